#include "text/vocab.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "text/utf8.h"

enum { MAX_TOKEN_BYTES = 1 << 16, MAX_BLOB = 256 << 20 };

/* ---- the byte alphabet: printable Latin-1 stands for itself, the 68 other bytes for U+0100 on ---- */

static bool is_plain_byte(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

/* The byte that a character stands for, or -1. */
static int alphabet_byte(int32_t cp)
{
    if (cp >= 0 && cp < 256) return is_plain_byte(cp) ? cp : -1;
    int32_t n = cp - 256;
    if (n < 0) return -1;
    if (n < 33) return n;              /* 0..32 */
    if (n < 67) return 127 + (n - 33); /* 127..160 */
    return n == 67 ? 173 : -1;
}

/* Appends the bytes that a spelling stands for; false when it leaves the alphabet. */
static bool spell(const char *s, size_t size, struct buf *out)
{
    size_t before = out->size;
    for (size_t i = 0; i < size;) {
        int32_t cp;
        i += (size_t)utf8_decode(s + i, size - i, &cp);
        int byte = alphabet_byte(cp);
        if (byte < 0) {
            out->size = before;
            return false;
        }
        buf_add_byte(out, (char)byte);
    }
    return true;
}

/* ---- table ---- */

void vocab_init(struct vocab *v)
{
    *v = (struct vocab){0};
    buf_init(&v->blob, MAX_BLOB);
    if (getrandom(&v->seed, sizeof v->seed, GRND_NONBLOCK) != sizeof v->seed) v->seed = 0;
}

void vocab_fini(struct vocab *v)
{
    free(v->tokens);
    free(v->slots);
    free(v->added);
    buf_fini(&v->blob);
    bpe_free(v->bpe);
    *v = (struct vocab){0};
}

static const char *bytes_of(const struct vocab *v, int32_t id)
{
    return buf_text(&v->blob) + v->tokens[id].start;
}

const char *vocab_piece(const struct vocab *v, int id, size_t *size)
{
    *size = 0;
    if (id < 0 || id >= v->n_ids || !v->tokens[id].present) return NULL;
    *size = v->tokens[id].size;
    return bytes_of(v, id);
}

/* The slot of these bytes: with their id, or the empty one (-1) where they would go. */
static int32_t *find_slot(const struct vocab *v, const char *bytes, size_t size)
{
    size_t i = XXH3_64bits_withSeed(bytes, size, v->seed) & (v->n_slots - 1);
    for (; v->slots[i] >= 0; i = (i + 1) & (v->n_slots - 1)) {
        int32_t id = v->slots[i];
        if (v->tokens[id].size == size && memcmp(bytes_of(v, id), bytes, size) == 0) break;
    }
    return &v->slots[i];
}

static int32_t find_bytes(const struct vocab *v, const char *bytes, size_t size)
{
    return v->n_slots ? *find_slot(v, bytes, size) : -1;
}

static int grow_slots(struct vocab *v, struct err *err)
{
    size_t n = v->n_slots ? v->n_slots * 2 : 1024, old_n = v->n_slots;
    int32_t *old = v->slots, *slots = malloc(n * sizeof *slots);
    if (!slots) return err_set(err, ERR_LIMIT, "no memory for a vocabulary of %zu", n / 2);
    memset(slots, 0xff, n * sizeof *slots);
    v->slots = slots;
    v->n_slots = n;
    for (size_t i = 0; i < old_n; i++)
        if (old[i] >= 0) *find_slot(v, bytes_of(v, old[i]), v->tokens[old[i]].size) = old[i];
    free(old);
    return 0;
}

/* Room for `id` in the table of tokens. */
static int reserve_id(struct vocab *v, int64_t id, struct err *err)
{
    if (id < 0 || id >= VOCAB_MAX_IDS)
        return err_set(err, ERR_FORMAT, "token id %lld is not in 0..%d", (long long)id,
                       VOCAB_MAX_IDS - 1);
    if (id >= v->cap_ids) {
        int cap = v->cap_ids ? v->cap_ids : 1024;
        while (cap <= id)
            cap *= 2;
        struct vocab_token *tokens = realloc(v->tokens, (size_t)cap * sizeof *tokens);
        if (!tokens) return err_set(err, ERR_LIMIT, "no memory for %d tokens", cap);
        memset(tokens + v->cap_ids, 0, (size_t)(cap - v->cap_ids) * sizeof *tokens);
        v->tokens = tokens;
        v->cap_ids = cap;
    }
    if (id >= v->n_ids) v->n_ids = (int)id + 1;
    return 0;
}

int vocab_add(struct vocab *v, int64_t id, const char *spelling, size_t size, struct err *err)
{
    if (size == 0 || size > MAX_TOKEN_BYTES)
        return err_set(err, ERR_FORMAT, "token %lld is %zu bytes long, allowed are 1..%d",
                       (long long)id, size, MAX_TOKEN_BYTES);
    if (reserve_id(v, id, err)) return -1;
    struct vocab_token *token = &v->tokens[id];
    if (token->present) return err_set(err, ERR_FORMAT, "two tokens with id %lld", (long long)id);

    token->start = v->blob.size;
    token->literal = !spell(spelling, size, &v->blob);
    if (token->literal) buf_add(&v->blob, spelling, size);
    if (v->blob.failed) return err_set(err, ERR_LIMIT, "vocabulary of over %d bytes", MAX_BLOB);
    token->size = (uint32_t)(v->blob.size - token->start);
    token->present = true;
    if (token->literal) return 0;

    if (2 * (v->n_filled + 1) > v->n_slots && grow_slots(v, err)) return -1;
    int32_t *slot = find_slot(v, bytes_of(v, (int32_t)id), token->size);
    if (*slot >= 0)
        return err_set(err, ERR_FORMAT, "tokens %d and %lld are both \"%.*s\"", *slot,
                       (long long)id, (int)(size < 64 ? size : 64), spelling);
    *slot = (int32_t)id;
    v->n_filled++;
    return 0;
}

/* ---- added tokens ---- */

int vocab_add_added(struct vocab *v, int64_t id, const char *text, size_t size, bool special,
                    struct err *err)
{
    if (size == 0 || size > VOCAB_MAX_ADDED_BYTES)
        return err_set(err, ERR_FORMAT, "added token %lld is %zu bytes long, allowed are 1..%d",
                       (long long)id, size, VOCAB_MAX_ADDED_BYTES);
    if (!utf8_valid(text, size))
        return err_set(err, ERR_FORMAT, "added token %lld is not UTF-8", (long long)id);
    if (reserve_id(v, id, err)) return -1;
    struct vocab_token *token = &v->tokens[id];
    if (token->added)
        return err_set(err, ERR_FORMAT, "two added tokens with id %lld", (long long)id);
    if (token->present &&
        (token->size != size || memcmp(bytes_of(v, (int32_t)id), text, size) != 0))
        return err_set(err, ERR_FORMAT, "added token %lld is \"%.*s\", the vocabulary has \"%.*s\"",
                       (long long)id, (int)size, text, (int)(token->size < 64 ? token->size : 64),
                       bytes_of(v, (int32_t)id));
    if (!token->present) {
        token->start = v->blob.size;
        token->size = (uint32_t)size;
        buf_add(&v->blob, text, size);
        if (v->blob.failed) return err_set(err, ERR_LIMIT, "vocabulary of over %d bytes", MAX_BLOB);
    }
    if (v->n_added == v->cap_added) {
        int cap = v->cap_added ? v->cap_added * 2 : 256;
        int32_t *added = realloc(v->added, (size_t)cap * sizeof *added);
        if (!added) return err_set(err, ERR_LIMIT, "no memory for %d added tokens", cap);
        v->added = added;
        v->cap_added = cap;
    }
    v->added[v->n_added++] = (int32_t)id;
    *token = (struct vocab_token){token->start, token->size, true, true, special, false};
    return 0;
}

static int by_bytes(const void *a, const void *b, void *vocab)
{
    const struct vocab *v = vocab;
    const int32_t *left = a, *right = b;
    size_t m = v->tokens[*left].size, n = v->tokens[*right].size;
    int order = memcmp(bytes_of(v, *left), bytes_of(v, *right), m < n ? m : n);
    return order ? order : (m > n) - (m < n);
}

static int seal_added(struct vocab *v, struct err *err)
{
    if (v->n_added) qsort_r(v->added, (size_t)v->n_added, sizeof *v->added, by_bytes, v);
    for (int i = 0; i < v->n_added; i++) {
        int32_t id = v->added[i];
        const char *text = bytes_of(v, id);
        int size = (int)v->tokens[id].size;
        if (i && by_bytes(&v->added[i - 1], &id, v) == 0)
            return err_set(err, ERR_FORMAT, "added tokens %d and %d are both \"%.*s\"",
                           v->added[i - 1], id, size, text);
        int32_t other = find_bytes(v, text, (size_t)size);
        if (other >= 0 && other != id)
            return err_set(err, ERR_FORMAT, "added token %d \"%.*s\" is token %d of the vocabulary",
                           id, size, text, other);
        v->first[(unsigned char)text[0]] = true;
    }
    return 0;
}

/* First index in [lo, hi) of v->added whose byte at `depth` is at least `byte`; a token that ends at
 * depth comes first. */
static int lower_bound(const struct vocab *v, int lo, int hi, size_t depth, int byte)
{
    while (lo < hi) {
        int mid = lo + (hi - lo) / 2;
        int32_t id = v->added[mid];
        int c = v->tokens[id].size == depth ? -1 : (unsigned char)bytes_of(v, id)[depth];
        if (c < byte)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

size_t vocab_match_added(const struct vocab *v, const char *s, size_t size, int32_t *id)
{
    if (size == 0 || !v->first[(unsigned char)s[0]]) return 0;
    int lo = 0, hi = v->n_added;
    size_t best = 0;
    for (size_t depth = 0; depth < size && lo < hi; depth++) {
        int byte = (unsigned char)s[depth];
        lo = lower_bound(v, lo, hi, depth, byte);
        hi = lower_bound(v, lo, hi, depth, byte + 1);
        if (lo == hi || v->tokens[v->added[lo]].size != depth + 1) continue;
        best = depth + 1;
        *id = v->added[lo];
    }
    return best;
}

/* ---- completion ---- */

int vocab_seal(struct vocab *v, int n_merges, struct err *err)
{
    for (int id = 0; id < v->n_ids; id++)
        if (v->tokens[id].literal)
            return err_set(err, ERR_FORMAT,
                           "token %d \"%.*s\" is spelled outside the byte alphabet and is no added "
                           "token",
                           id, (int)(v->tokens[id].size < 64 ? v->tokens[id].size : 64),
                           bytes_of(v, id));
    if (seal_added(v, err)) return -1;
    v->bpe = bpe_new(n_merges);
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        int32_t id = find_bytes(v, &c, 1);
        if (id < 0) return err_set(err, ERR_FORMAT, "no token for the byte 0x%02x", byte);
        if (v->tokens[id].added)
            return err_set(err, ERR_FORMAT, "token %d of the byte 0x%02x is an added token", id,
                           byte);
        bpe_set_byte(v->bpe, byte, id);
    }
    return 0;
}

static int merge_error(struct err *err, size_t rank, const char *left, size_t left_size,
                       const char *right, size_t right_size, const char *what)
{
    return err_set(err, ERR_FORMAT, "merge %zu \"%.*s\" + \"%.*s\": %s", rank,
                   (int)(left_size < 64 ? left_size : 64), left,
                   (int)(right_size < 64 ? right_size : 64), right, what);
}

int vocab_add_merge(struct vocab *v, size_t rank, const char *left, size_t left_size,
                    const char *right, size_t right_size, struct err *err)
{
    const char *wrong = NULL;
    struct buf whole;
    buf_init(&whole, 2 * MAX_TOKEN_BYTES);
    if (left_size == 0 || right_size == 0 || !spell(left, left_size, &whole)) {
        wrong = "a part is not in the vocabulary";
    } else {
        size_t cut = whole.size;
        int32_t a = find_bytes(v, buf_text(&whole), cut), b = -1, ab = -1;
        if (spell(right, right_size, &whole) && !whole.failed) {
            b = find_bytes(v, buf_text(&whole) + cut, whole.size - cut);
            ab = find_bytes(v, buf_text(&whole), whole.size);
        }
        if (a < 0 || b < 0)
            wrong = "a part is not in the vocabulary";
        else if (ab < 0)
            wrong = "the result is not in the vocabulary";
        else if (v->tokens[a].added || v->tokens[b].added || v->tokens[ab].added)
            wrong = "text would become an added token";
        else if (bpe_add_merge(v->bpe, a, b, ab))
            wrong = "the pair is there already";
    }
    buf_fini(&whole);
    return wrong ? merge_error(err, rank, left, left_size, right, right_size, wrong) : 0;
}

int vocab_add_merge_text(struct vocab *v, size_t rank, const char *text, size_t size,
                         struct err *err)
{
    const char *space = size ? memchr(text, ' ', size) : NULL;
    if (!space)
        return err_set(err, ERR_FORMAT, "merge %zu \"%.*s\" is not two parts", rank,
                       (int)(size < 64 ? size : 64), text);
    size_t left = (size_t)(space - text);
    return vocab_add_merge(v, rank, text, left, space + 1, size - left - 1, err);
}
