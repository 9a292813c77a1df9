/* What the files of the schema compiler share. Private to text. */
#pragma once
#include "text/regex.h"
#include "text/schema.h"

enum schema_type {
    TYPE_NULL = 1,
    TYPE_BOOLEAN = 2,
    TYPE_INTEGER = 4,
    TYPE_NUMBER = 8,
    TYPE_STRING = 16,
    TYPE_LIST = 32,
    TYPE_OBJECT = 64,
    TYPE_ALL = 127
};

/* Fails with "schema: KEYWORD at PLACE: ..." . Returns an expression. */
int schema_refuse(struct schema *s, const struct schema_place *at, const char *keyword,
                  const char *fmt, ...) PRINTF_LIKE(4, 5);

/* Counts work that the size of the grammar does not bound; a step is some tens of nanoseconds. False: the grammar
 * has failed, or fails now. */
bool schema_charge(struct schema *s, size_t steps);

/* The steps of a look at this many bytes. */
static inline size_t schema_look(size_t size)
{
    return 1 + size / 16;
}

/* The types that a schema names or that its keywords are about; 0: it says nothing of them. */
int schema_types(const json_t *node);

/* What $ref leads to; NULL: nowhere. */
const json_t *schema_find(struct schema *s, const char *ref);

/* Whether no value can be accepted by both, as far as is plain to see. */
bool schema_apart(struct schema *s, const json_t *a, const json_t *b, int depth);

int schema_string(struct schema *s, const json_t *node, enum schema_form form,
                  const struct schema_place *at);
int schema_integer(struct schema *s, const json_t *node, const struct schema_place *at);
int schema_number(struct schema *s, const json_t *node, const struct schema_place *at);
int schema_list(struct schema *s, const json_t *node, const struct schema_place *at);
int schema_object(struct schema *s, const json_t *node, const struct schema_place *at);

/* Reads a count: 0..PATTERN_MAX_COUNT; *out stays when it is absent. -1 after a failure. */
MUST_USE int schema_count(struct schema *s, const json_t *node, const char *keyword,
                          const struct schema_place *at, int *out);
