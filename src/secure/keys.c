#include "secure/keys.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/lines.h"
#include "base/mem.h"
#include "base/sha256.h"

static const int64_t MAX_LIMIT = 1000000000000;

static const char BLANKS[] = " \t";

struct keys {
    atomic_int n_holders;
    struct key *keys;
    int n, cap;
};

/* --- one key --- */

void key_fini(struct key *k)
{
    free(k->models);
    *k = (struct key){0};
}

static int read_number(int64_t *out, const char *text, int64_t low, int64_t high)
{
    bool negative = *text == '-';
    const char *digits = text + negative;
    size_t n = strlen(digits);
    int64_t value = 0;
    if (n < 1 || n > 13 || strspn(digits, "0123456789") != n) return -1;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (digits[i] - '0');
    if (negative) value = -value;
    if (value < low || value > high) return -1;
    *out = value;
    return 0;
}

/* "2027-01-31", a day that exists. */
static int read_date(int64_t *out, const char *text)
{
    static const char form[] = "0000-00-00";
    int part[3] = {0}, at = 0;
    if (strlen(text) != sizeof form - 1) return -1;
    for (size_t i = 0; form[i]; i++) {
        bool is_digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == '-' ? text[i] != '-' : !is_digit) return -1;
        if (form[i] == '-')
            at++;
        else
            part[at] = part[at] * 10 + (text[i] - '0');
    }
    struct tm t = {.tm_year = part[0] - 1900, .tm_mon = part[1] - 1, .tm_mday = part[2]};
    int64_t seconds = timegm(&t);
    if (part[0] < 1971 || t.tm_mon != part[1] - 1)
        return -1; /* a day too many is of another month */
    *out = seconds;
    return 0;
}

static int read_models(char **out, const char *text)
{
    size_t n = strlen(text);
    if (!n || text[0] == ',' || text[n - 1] == ',' || strstr(text, ",,")) return -1;
    free(*out);
    *out = xstrdup(text);
    return 0;
}

int key_set(struct key *k, const char *name, const char *value, const char *what, struct err *err)
{
    int64_t priority = 0;
    const struct {
        const char *name;
        int64_t *value;
    } numbers[] = {{"requests", &k->requests},
                   {"tokens", &k->tokens},
                   {"concurrent", &k->concurrent},
                   {"daily", &k->daily}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name) != 0) continue;
        if (read_number(numbers[i].value, value, 1, MAX_LIMIT) == 0) return 0;
        return err_set(err, ERR_FORMAT, "%s: %s is \"%.64s\": 1 to 10^12 is possible", what, name,
                       value);
    }
    if (!strcmp(name, "priority")) {
        if (read_number(&priority, value, -KEY_MAX_PRIORITY, KEY_MAX_PRIORITY))
            return err_set(err, ERR_FORMAT, "%s: priority is \"%.64s\": -%d to %d is possible",
                           what, value, KEY_MAX_PRIORITY, KEY_MAX_PRIORITY);
        k->priority = (int)priority;
        return 0;
    }
    if (!strcmp(name, "expires")) {
        if (read_date(&k->expires, value))
            return err_set(err, ERR_FORMAT, "%s: expires is \"%.64s\": a date as 2027-01-31 is",
                           what, value);
        return 0;
    }
    if (strcmp(name, "models") != 0)
        return err_set(err, ERR_FORMAT, "%s: there is no limit \"%.64s\"", what, name);
    if (read_models(&k->models, value))
        return err_set(err, ERR_FORMAT, "%s: models is \"%.64s\": names with commas between are",
                       what, value);
    return 0;
}

bool keys_is_name(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    size_t n = strlen(name);
    return n && n <= KEY_MAX_NAME && strspn(name, allowed) == n;
}

static int read_hash(uint8_t out[32], const char *text)
{
    if (strlen(text) != 64) return -1;
    for (int i = 0; i < 64; i++) {
        char c = text[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | digit : digit << 4);
    }
    return 0;
}

static bool is_in_list(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = list; at;) {
        const char *end = strchr(at, ',');
        size_t size = end ? (size_t)(end - at) : strlen(at);
        if (size == n && !memcmp(at, name, n)) return true;
        at = end ? end + 1 : NULL;
    }
    return false;
}

bool key_allows(const struct key *k, const char *name, const char *served)
{
    return !k->models || is_in_list(k->models, name) || is_in_list(k->models, served);
}

void key_make(char text[KEY_TEXT])
{
    uint8_t random[32];
    CHECK(RAND_bytes(random, sizeof random) == 1, "no random numbers");
    snprintf(text, KEY_TEXT, "sk-");
    sha256_hex(random, sizeof random, text + 3);
    OPENSSL_cleanse(random, sizeof random);
}

/* --- a set --- */

static struct keys *keys_new(void)
{
    struct keys *k = xcalloc(1, sizeof *k);
    atomic_init(&k->n_holders, 1);
    return k;
}

struct keys *keys_hold(struct keys *k)
{
    atomic_fetch_add(&k->n_holders, 1);
    return k;
}

void keys_release(struct keys *k)
{
    if (!k || atomic_fetch_sub(&k->n_holders, 1) > 1) return;
    for (int i = 0; i < k->n; i++)
        key_fini(&k->keys[i]);
    free(k->keys);
    free(k);
}

int keys_count(const struct keys *k)
{
    return k->n;
}

const struct key *keys_get(const struct keys *k, int i)
{
    return &k->keys[i];
}

/* Every key is looked at, so that the time tells nothing of the place of one that is right. */
const struct key *keys_find(const struct keys *k, const char *text)
{
    uint8_t hash[32];
    const struct key *found = NULL;
    sha256_of(text, strlen(text), hash);
    for (int i = 0; i < k->n; i++)
        if (CRYPTO_memcmp(hash, k->keys[i].hash, sizeof hash) == 0) found = &k->keys[i];
    return found;
}

/* Takes key over, also when it is refused. */
static int add_key(struct keys *k, struct key *key, struct err *err)
{
    const char *why = k->n >= KEYS_MAX ? "there are too many keys" : NULL;
    for (int i = 0; i < k->n && !why; i++) {
        if (!strcmp(k->keys[i].name, key->name)) why = "there is another of that name";
        if (!memcmp(k->keys[i].hash, key->hash, sizeof key->hash)) why = "the same key has another";
    }
    if (why) {
        err_set(err, ERR_FORMAT, "name \"%s\": %s", key->name, why);
        key_fini(key);
        return -1;
    }
    if (k->n == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 8;
        k->keys = xrealloc(k->keys, (size_t)k->cap, sizeof *k->keys);
    }
    k->keys[k->n++] = *key;
    return 0;
}

/* The next word of a line, which is cut into pieces; NULL at its end. */
static char *next_word(char **line)
{
    char *word = *line + strspn(*line, BLANKS);
    size_t n = strcspn(word, BLANKS);
    if (!n) return NULL;
    *line = word + n;
    if (**line) *(*line)++ = 0;
    return word;
}

static int read_limits(struct key *key, char *line, struct err *err)
{
    static const char *const names[] = {"requests", "tokens",   "concurrent", "daily",
                                        "models",   "priority", "expires"};
    unsigned seen = 0;
    for (char *word; (word = next_word(&line));) {
        char *value = strchr(word, '=');
        if (!value) return err_set(err, ERR_FORMAT, "\"%.64s\" has no value", word);
        *value++ = 0;
        if (key_set(key, word, value, key->name, err)) return -1;
        for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
            if (strcmp(word, names[i]) != 0) continue;
            if (seen & 1u << i) return err_set(err, ERR_FORMAT, "%s is twice", word);
            seen |= 1u << i;
        }
    }
    return 0;
}

/* One line, cut into pieces; nothing for a comment. */
static int read_line(void *ctx, char *line, struct err *err)
{
    struct key key = {0};
    const char *name = next_word(&line);
    if (!name || *name == '#') return 0;
    const char *hash = next_word(&line);
    if (!keys_is_name(name))
        return err_set(err, ERR_FORMAT, "\"%.80s\" is no name of 1 to %d letters, digits, . _ -",
                       name, KEY_MAX_NAME);
    memcpy(key.name, name, strlen(name) + 1);
    if (!hash || read_hash(key.hash, hash))
        return err_set(err, ERR_FORMAT, "behind the name comes SHA-256 in 64 hex digits");
    if (read_limits(&key, line, err)) {
        key_fini(&key);
        return -1;
    }
    return add_key(ctx, &key, err);
}

int keys_parse(struct keys **out, const char *what, const char *text, size_t size, struct err *err)
{
    *out = keys_new();
    if (lines_read(what, text, size, read_line, *out, err) == 0) return 0;
    keys_release(*out);
    *out = NULL;
    return -1;
}

static int add_default(struct keys *k, const uint8_t hash[32], struct err *err)
{
    struct key key = {.name = "default"};
    memcpy(key.hash, hash, sizeof key.hash);
    return add_key(k, &key, err) ? err_prefix(err, "the key beside the file") : 0;
}

int keys_read(struct keys **out, const char *path, const uint8_t hash[32], struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    if (path && file_slurp(path, KEYS_MAX_BYTES, &text, &size, err)) return -1;
    int rc = keys_parse(out, path ? path : "no file", text ? text : "", size, err);
    free(text);
    if (rc == 0 && hash && add_default(*out, hash, err)) {
        keys_release(*out);
        *out = NULL;
        return -1;
    }
    return rc;
}
