/* DSML tags in text whose control tokens are single marker bytes. Private to text. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* These bytes occur in no UTF-8, so no text can forge them. */
enum { MARK_DSML = 0xff, MARK_END_THINK = 0xfe, MARK_THINK = 0xfd };

enum tag_match { TAG_NO, TAG_PARTIAL, TAG_YES };

enum tag_kind { TAG_BLOCK, TAG_INVOKE, TAG_PARAMETER, TAG_OTHER };

struct tag {
    enum tag_kind kind;
    bool closes;      /* "</" */
    size_t size;      /* bytes of the whole tag */
    const char *name; /* attribute name="...", NULL when absent; in the text given */
    size_t name_size;
    int string; /* attribute string: 1 "true", 0 "false", -1 absent or other */
};

/* A tag at s[0], size >= 1: <M word attr="value" ...> or </M word>, where M is the DSML marker and
 * a space may follow it. TAG_PARTIAL when s ends inside what may yet be one. */
enum tag_match tag_match(struct tag *tag, const char *s, size_t size);
