#include "serve/token_ids.h"

#include <limits.h>
#include <string.h>

#include "text/prompt.h"

int token_ids_check(const struct fields *f, const char *path, const json_t *list)
{
    size_t n = json_array_size(list);
    if (n == 0) return field_refuse(f, 400, path, "is empty");
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(list, i);
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id))
            return field_refuse(f, 400, path, "element %zu is no token id", i);
        if (value < 0 || value > INT_MAX)
            return field_refuse(f, 422, path, "element %zu is %lld, no token id", i, value);
    }
    return 0;
}

int token_ids_refuse(const struct ids *out, const char *param, const struct err *err,
                     struct api_error *e)
{
    if (err->code == ERR_LIMIT && out->n >= out->max)
        return api_refuse(e, 400, param, "%s is too long: %s", param, err->message);
    return api_refuse_err(e, err);
}

int token_ids_add(const json_t *list, const struct tokenizer *t, const char *param, struct ids *out,
                  struct api_error *e)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct err err = {0};
        size_t size;
        int id = (int)json_integer_value(json_array_get(list, i));
        if (!tokenizer_piece(t, id, &size))
            return api_refuse(e, 400, param, "%s: %d at position %zu names no token of 0..%d",
                              param, id, i, tokenizer_count(t) - 1);
        if (ids_add(out, id, &err)) return token_ids_refuse(out, param, &err, e);
    }
    return 0;
}

int token_ids_of_text(const char *text, bool bos, const struct tokenizer *t, const char *param,
                      struct ids *out, struct api_error *e)
{
    struct err err = {0};
    size_t size = 0;
    int id = bos ? prompt_bos(t) : -1;
    if (id >= 0) {
        const char *spelled = tokenizer_piece(t, id, &size);
        if (strncmp(text, spelled, size) == 0) text += size;
        if (ids_add(out, id, &err)) return token_ids_refuse(out, param, &err, e);
    }
    if (tokenizer_encode(t, text, strlen(text), false, out, &err))
        return token_ids_refuse(out, param, &err, e);
    return 0;
}
