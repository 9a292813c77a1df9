#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/pretoken.h"
#include "text/tokenizer_read.h"
#include "text/vocab.h"

enum { MAX_FILE = 100 << 20 };

struct tokenizer {
    struct vocab vocab;
    enum pretoken_kind pretoken;
};

/* ---- open and close ---- */

static struct tokenizer *tokenizer_new(void)
{
    struct tokenizer *t = xcalloc(1, sizeof *t);
    vocab_init(&t->vocab);
    return t;
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t) return;
    vocab_fini(&t->vocab);
    free(t);
}

int tokenizer_from_json(struct tokenizer **out, const char *what, const char *text, size_t size,
                        struct err *err)
{
    json_t *root = NULL;
    *out = NULL;
    if (json_parse(&root, what, text, size, err)) return -1;
    struct tokenizer *t = tokenizer_new();
    int rc = tokenizer_read_json(&t->vocab, &t->pretoken, root, err);
    json_decref(root);
    if (rc) {
        err_prefix(err, "%s", what);
        tokenizer_close(t);
        return -1;
    }
    *out = t;
    return 0;
}

static int open_json(struct tokenizer **out, const char *path, struct err *err)
{
    char *text;
    size_t size;
    if (file_slurp(path, MAX_FILE, &text, &size, err)) return -1;
    int rc = tokenizer_from_json(out, path, text, size, err);
    free(text);
    return rc;
}

static int open_folder(struct tokenizer **out, const char *folder, struct err *err)
{
    struct buf path;
    buf_init(&path, 1 << 16);
    buf_printf(&path, "%s/tokenizer.json", folder);
    int rc = path.failed ? err_set(err, ERR_ARGUMENT, "a path of over 64 KiB")
                         : open_json(out, buf_text(&path), err);
    buf_fini(&path);
    return rc;
}

static int open_gguf(struct tokenizer **out, const char *path, struct err *err)
{
    struct tokenizer *t = tokenizer_new();
    if (tokenizer_read_gguf(&t->vocab, &t->pretoken, path, err)) {
        tokenizer_close(t);
        return -1;
    }
    *out = t;
    return 0;
}

int tokenizer_open(struct tokenizer **out, const char *path, struct err *err)
{
    struct stat st;
    size_t size = strlen(path);
    *out = NULL;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return open_folder(out, path, err);
    if (size >= 5 && strcmp(path + size - 5, ".gguf") == 0) return open_gguf(out, path, err);
    if (size >= 12 && strcmp(path + size - 12, ".safetensors") == 0) {
        const char *slash = strrchr(path, '/');
        char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
        int rc = open_folder(out, *folder ? folder : "/", err);
        free(folder);
        return rc;
    }
    return open_json(out, path, err);
}

/* ---- tables ---- */

int tokenizer_count(const struct tokenizer *t)
{
    return t->vocab.n_ids;
}

const char *tokenizer_piece(const struct tokenizer *t, int id, size_t *size)
{
    return vocab_piece(&t->vocab, id, size);
}

int tokenizer_find(const struct tokenizer *t, const char *text)
{
    int32_t id = -1;
    size_t size = strlen(text);
    return vocab_match_added(&t->vocab, text, size, &id) == size && size > 0 ? id : -1;
}

bool tokenizer_is_added(const struct tokenizer *t, int id)
{
    return id >= 0 && id < t->vocab.n_ids && t->vocab.tokens[id].added;
}

bool tokenizer_is_special(const struct tokenizer *t, int id)
{
    return id >= 0 && id < t->vocab.n_ids && t->vocab.tokens[id].special;
}

/* ---- encode ---- */

/* Text without added tokens, valid UTF-8. */
static int encode_valid(const struct tokenizer *t, struct bpe_scratch *s, const char *text,
                        size_t size, struct ids *out, struct err *err)
{
    struct pretoken p;
    size_t start, end;
    pretoken_init(&p, t->pretoken, text, size);
    while (pretoken_next(&p, &start, &end))
        if (bpe_encode(t->vocab.bpe, s, text + start, end - start, out, err)) return -1;
    return 0;
}

static int encode_plain(const struct tokenizer *t, struct bpe_scratch *s, const char *text,
                        size_t size, struct ids *out, struct err *err)
{
    if (utf8_valid(text, size)) return encode_valid(t, s, text, size, out, err);
    struct utf8_stream repair = {0};
    struct buf valid;
    buf_init(&valid, 3 * size);
    utf8_stream_add(&repair, text, size, &valid);
    utf8_stream_end(&repair, &valid);
    int rc = valid.failed ? err_set(err, ERR_LIMIT, "no memory for %zu bytes of text", size)
                          : encode_valid(t, s, buf_text(&valid), valid.size, out, err);
    buf_fini(&valid);
    return rc;
}

static int encode_spans(const struct tokenizer *t, struct bpe_scratch *s, const char *text,
                        size_t size, const struct span *trusted, int n_trusted, struct ids *out,
                        struct err *err)
{
    size_t done = 0; /* everything before has its ids */
    for (int i = 0; i < n_trusted; i++) {
        size_t end = trusted[i].end;
        CHECK(trusted[i].start <= end && end <= size &&
                  (i == 0 || trusted[i - 1].end <= trusted[i].start),
              "span %d of %d", i, n_trusted);
        for (size_t at = trusted[i].start; at < end;) {
            int32_t id;
            size_t length = vocab_match_added(&t->vocab, text + at, end - at, &id);
            if (length == 0) {
                at++;
                continue;
            }
            if (encode_plain(t, s, text + done, at - done, out, err)) return -1;
            if (ids_add(out, id, err)) return -1;
            done = at += length;
        }
    }
    return encode_plain(t, s, text + done, size - done, out, err);
}

int tokenizer_encode_trusted(const struct tokenizer *t, const char *text, size_t size,
                             const struct span *trusted, int n_trusted, struct ids *out,
                             struct err *err)
{
    struct bpe_scratch s = {0};
    int rc = encode_spans(t, &s, text, size, trusted, n_trusted, out, err);
    bpe_scratch_fini(&s);
    return rc;
}

int tokenizer_encode(const struct tokenizer *t, const char *text, size_t size, bool specials,
                     struct ids *out, struct err *err)
{
    struct span whole = {0, size};
    return tokenizer_encode_trusted(t, text, size, &whole, specials ? 1 : 0, out, err);
}

/* ---- decode ---- */

void detok_init(struct detok *d, const struct tokenizer *t, bool skip_special)
{
    *d = (struct detok){.t = t, .skip_special = skip_special};
}

void detok_add(struct detok *d, int32_t id, struct buf *out)
{
    size_t size;
    const char *piece = tokenizer_piece(d->t, id, &size);
    if (!piece || (d->skip_special && tokenizer_is_special(d->t, id))) return;
    utf8_stream_add(&d->stream, piece, size, out);
}

void detok_flush(struct detok *d, struct buf *out)
{
    utf8_stream_end(&d->stream, out);
}

int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n, bool skip_special,
                     struct buf *out, struct err *err)
{
    struct detok d;
    detok_init(&d, t, skip_special);
    for (size_t i = 0; i < n; i++) {
        size_t size;
        if (!tokenizer_piece(t, ids[i], &size))
            return err_set(err, ERR_ARGUMENT, "id %d at position %zu names no token of 0..%d",
                           (int)ids[i], i, t->vocab.n_ids - 1);
        detok_add(&d, ids[i], out);
    }
    detok_flush(&d, out);
    if (out->failed) return err_set(err, ERR_LIMIT, "text of over %zu bytes", out->max);
    return 0;
}
