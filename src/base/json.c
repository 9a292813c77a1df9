#include "base/json.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/file.h"

enum { MAX_DEPTH = 64, MAX_VALUES = 1000000 };

/* An upper bound of the number of values, in one pass. Inside strings only the closing quote matters;
 * everything else is left to the parser. */
int json_check_shape(const char *what, const char *text, size_t size, struct err *err)
{
    int depth = 0, values = 1;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"') in_string = true;
        if (c == '[' || c == '{') depth++;
        if (c == ']' || c == '}') depth--;
        if (c == ',' || c == '[' || c == '{') values++;
        if (depth > MAX_DEPTH)
            return err_set(err, ERR_LIMIT, "%s: JSON nested deeper than %d", what, MAX_DEPTH);
        if (values > MAX_VALUES)
            return err_set(err, ERR_LIMIT, "%s: JSON of more than %d values", what, MAX_VALUES);
    }
    return 0;
}

int json_parse(json_t **out, const char *what, const char *text, size_t size, struct err *err)
{
    *out = NULL;
    if (json_check_shape(what, text, size, err)) return -1;
    json_error_t at;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &at);
    if (!*out)
        return err_set(err, ERR_FORMAT, "%s: line %d column %d: %s", what, at.line, at.column,
                       at.text);
    return 0;
}

/* Takes text. */
static int parse_slurped(json_t **out, const char *path, char *text, size_t size, struct err *err)
{
    int rc = json_parse(out, path, text, size, err);
    free(text);
    return rc;
}

int json_parse_file(json_t **out, const char *path, size_t max, struct err *err)
{
    char *text;
    size_t size;
    *out = NULL;
    if (file_slurp(path, max, &text, &size, err)) return -1;
    return parse_slurped(out, path, text, size, err);
}

int json_parse_input(json_t **out, const char *path, size_t max, struct err *err)
{
    char *text;
    size_t size;
    *out = NULL;
    if (file_slurp_input(path, max, &text, &size, err)) return -1;
    return parse_slurped(out, path, text, size, err);
}
