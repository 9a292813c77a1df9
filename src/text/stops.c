#include "text/stops.h"

#include <string.h>

#include "text/utf8.h"

static void find_borders(struct stop_string *t)
{
    t->fallback[0] = t->fallback[1] = 0;
    int border = 0;
    for (int i = 1; i < t->size; i++) {
        while (border > 0 && t->text[i] != t->text[border])
            border = t->fallback[border];
        if (t->text[i] == t->text[border]) border++;
        t->fallback[i + 1] = border;
    }
}

int stops_init(struct stops *s, const char *const *texts, int n, struct err *err)
{
    if (n < 0 || n > PARSE_MAX_STOPS)
        return err_set(err, ERR_ARGUMENT, "%d stop strings, allowed are %d", n, PARSE_MAX_STOPS);
    s->n = n;
    for (int i = 0; i < n; i++) {
        struct stop_string *t = &s->list[i];
        size_t size = strlen(texts[i]);
        if (size == 0 || size > PARSE_MAX_STOP_BYTES)
            return err_set(err, ERR_ARGUMENT, "stop string %d is %zu bytes long, allowed are 1..%d",
                           i, size, PARSE_MAX_STOP_BYTES);
        if (!utf8_valid(texts[i], size))
            return err_set(err, ERR_ARGUMENT, "stop string %d is not UTF-8", i);
        memcpy(t->text, texts[i], size);
        t->size = (int)size;
        t->matched = 0;
        find_borders(t);
    }
    return 0;
}

size_t stops_feed(struct stops *s, const char *text, size_t size, int *found)
{
    *found = -1;
    for (size_t i = 0; i < size; i++) {
        for (int k = 0; k < s->n; k++) {
            struct stop_string *t = &s->list[k];
            while (t->matched > 0 && (t->matched == t->size || t->text[t->matched] != text[i]))
                t->matched = t->fallback[t->matched];
            if (t->text[t->matched] == text[i]) t->matched++;
            if (t->matched == t->size && (*found < 0 || t->size > s->list[*found].size)) *found = k;
        }
        if (*found >= 0) return i + 1;
    }
    return size;
}

size_t stops_held(const struct stops *s)
{
    int held = 0;
    for (int k = 0; k < s->n; k++)
        if (s->list[k].matched > held) held = s->list[k].matched;
    return (size_t)held;
}
