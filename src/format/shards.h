/* The safetensors files of one model: a single file, or shards named by an index. */
#pragma once
#include "base/err.h"
#include "base/file.h"
#include "format/safetensors.h"

enum { SHARDS_MAX = 4096 };

struct shards {
    int n;
    struct file *files;          /* [n], open */
    struct safetensors *headers; /* [n] */
};

/* One file. */
MUST_USE int shards_open_file(struct shards *s, const char *path, struct err *err);

/* A folder: the shards of model.safetensors.index.json when there is one, else model.safetensors,
 * else the only *.safetensors in it. The index and the shards must name the same tensors. */
MUST_USE int shards_open_folder(struct shards *s, const char *dir, struct err *err);

/* Lets go of the headers (the names of tensors with them) and keeps the files. */
void shards_drop_headers(struct shards *s);

void shards_close(struct shards *s); /* takes an empty one */
