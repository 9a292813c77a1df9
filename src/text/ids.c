#include "text/ids.h"

#include <stdlib.h>

void ids_init(struct ids *l, size_t max)
{
    *l = (struct ids){.max = max};
}

void ids_fini(struct ids *l)
{
    free(l->data);
    *l = (struct ids){.max = l->max};
}

void ids_clear(struct ids *l)
{
    l->n = 0;
    l->work = 0;
}

static int grow(struct ids *l, struct err *err)
{
    if (l->n >= l->max) return err_set(err, ERR_LIMIT, "text of more than %zu tokens", l->max);
    size_t cap = l->cap ? l->cap * 2 : 64;
    if (cap > l->max) cap = l->max;
    int32_t *data = realloc(l->data, cap * sizeof *data);
    if (!data) return err_set(err, ERR_LIMIT, "no memory for %zu token ids", cap);
    l->data = data;
    l->cap = cap;
    return 0;
}

int ids_add(struct ids *l, int32_t id, struct err *err)
{
    if (l->n == l->cap && grow(l, err)) return -1;
    l->data[l->n++] = id;
    return 0;
}
