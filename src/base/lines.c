#include "base/lines.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool has_control_bytes(const char *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)line[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) return true;
    }
    return false;
}

int lines_read(const char *what, const char *text, size_t size,
               int (*take)(void *ctx, char *line, struct err *err), void *ctx, struct err *err)
{
    int number = 0;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t n = end ? (size_t)(end - text) - at : size - at, next = at + n + 1;
        if (n && text[at + n - 1] == '\r') n--;
        char *line = xstrndup(text + at, n);
        number++;
        int rc = has_control_bytes(text + at, n) ? err_set(err, ERR_FORMAT, "a control byte")
                                                 : take(ctx, line, err);
        free(line);
        if (rc) return err_prefix(err, "%s: line %d", what, number);
        at = next;
    }
    return 0;
}

char *line_trim(char *s)
{
    static const char blanks[] = " \t";
    s += strspn(s, blanks);
    size_t n = strlen(s);
    while (n && strchr(blanks, s[n - 1]))
        n--;
    s[n] = 0;
    return s;
}
