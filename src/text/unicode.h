/* Character classes of Unicode that pre-tokenizers ask for.
 * Source: Unicode 16. The tokenizers of Hugging Face (0.23.3, Oniguruma) agree with it for every code
 * point; utf8proc of Debian 12 has Unicode 15.0, and the few that came since are in a table here. */
#pragma once
#include <stdint.h>

/* A set of these; 0 for what is in none, such as controls and unassigned code points. */
enum {
    LETTER = 1,        /* general category L */
    MARK = 2,          /* M */
    NUMBER = 4,        /* N: Nd, Nl and No */
    PUNCT = 8,         /* P and S together: no known pattern tells them apart */
    SPACE = 16,        /* White_Space */
    NEWLINE = 32,      /* CR and LF; SPACE too */
    ASCII_LETTER = 64, /* LETTER too */
    HAN_KANA = 128     /* U+4E00..U+9FA5, U+3040..U+30FF */
};

/* The classes of a code point in 0..0x10ffff. */
int unicode_class(int32_t cp);
