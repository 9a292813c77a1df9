#include "format/stored.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void set_name(struct stored *s, const struct name *name)
{
    s->official = xstrdup(name->official);
    s->kind = name->kind;
    s->scale = name->scale;
}

static int name_failed(const char *what, const char *name, struct err *err)
{
    return err_set(err, ERR_LIMIT, "%s: tensor name %.100s... is too long", what, name);
}

int stored_from_safetensors(struct stored *list, const struct safetensors *st, int file,
                            const char *what, struct err *err)
{
    for (int i = 0; i < st->n; i++) {
        const struct safetensor *t = &st->tensors[i];
        struct name name;
        list[i] = (struct stored){.spelled = t->name,
                                  .dtype = t->dtype,
                                  .n_dims = t->n_dims,
                                  .file = file,
                                  .offset = t->offset,
                                  .bytes = t->bytes};
        memcpy(list[i].dim, t->dim, sizeof t->dim);
        if (!name_from_safetensors(&name, t->name)) return name_failed(what, t->name, err);
        set_name(&list[i], &name);
    }
    return 0;
}

int stored_from_gguf(struct stored *list, const struct gguf *g, int n_layers, const char *what,
                     struct err *err)
{
    for (int i = 0; i < gguf_tensor_count(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        struct name name;
        list[i] = (struct stored){.spelled = t->name,
                                  .dtype = t->dtype,
                                  .n_dims = t->n_dims,
                                  .file = t->file,
                                  .offset = t->offset,
                                  .bytes = t->bytes};
        for (int d = 0; d < t->n_dims; d++)
            list[i].dim[d] = t->dim[t->n_dims - 1 - d];
        if (!name_from_gguf(&name, t->name, n_layers)) return name_failed(what, t->name, err);
        set_name(&list[i], &name);
    }
    return 0;
}

void stored_free(struct stored *list, int n)
{
    for (int i = 0; i < n; i++)
        free(list[i].official);
    free(list);
}
