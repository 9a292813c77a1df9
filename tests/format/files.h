/* Files that tests of src/format make: a folder of their own, small safetensors with any header. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char dir[64];
    char path[8][160]; /* ring of results of place_path */
    int next;
};

static inline void place_make(struct place *p)
{
    *p = (struct place){0};
    snprintf(p->dir, sizeof p->dir, "/tmp/tenon-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
}

/* Removes the folder and all in it. */
static inline void place_remove(struct place *p)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", p->dir);
    assert_int_equal(system(command), 0);
}

/* dir/name; valid for the next seven calls. */
static inline const char *place_path(struct place *p, const char *name)
{
    char *out = p->path[p->next++ % 8];
    size_t dir = strlen(p->dir), size = strlen(name) + 1;
    assert_true(dir + 1 + size <= sizeof p->path[0]);
    memcpy(out, p->dir, dir);
    out[dir] = '/';
    memcpy(out + dir + 1, name, size);
    return out;
}

static inline void place_write(struct place *p, const char *name, const void *data, size_t size)
{
    FILE *f = fopen(place_path(p, name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline void place_text(struct place *p, const char *name, const char *text)
{
    place_write(p, name, text, strlen(text));
}

/* A safetensors file of this JSON and n bytes of data: byte i is i mod 251. */
static inline void place_safetensors(struct place *p, const char *name, const char *json, size_t n)
{
    size_t header = strlen(json);
    unsigned char *file = calloc(1, 8 + header + n);
    assert_non_null(file);
    for (int i = 0; i < 8; i++)
        file[i] = (unsigned char)(header >> (8 * i));
    memcpy(file + 8, json, header);
    for (size_t i = 0; i < n; i++)
        file[8 + header + i] = (unsigned char)(i % 251);
    place_write(p, name, file, 8 + header + n);
    free(file);
}

static inline unsigned char *read_whole(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(fread(data, 1, *size, f), *size);
    data[*size] = 0;
    fclose(f);
    return data;
}

/* A small, valid configuration: two layers, CSA and window, no hash layers, no MTP. */
static const char small_config[] =
    "{\"model_type\":\"deepseek_v4\",\"hidden_size\":32,\"num_hidden_layers\":2,\"vocab_size\":16,"
    "\"num_attention_heads\":2,\"head_dim\":96,\"qk_rope_head_dim\":32,\"q_lora_rank\":32,"
    "\"o_groups\":1,\"o_lora_rank\":32,\"sliding_window\":8,\"compress_ratios\":[4,0],"
    "\"index_n_heads\":2,\"index_head_dim\":32,\"index_topk\":4,\"n_routed_experts\":2,"
    "\"num_experts_per_tok\":1,\"moe_intermediate_size\":32,\"num_hash_layers\":0,"
    "\"num_nextn_predict_layers\":0}";
