/* tokenizer.json of Hugging Face `tokenizers`, the pipeline of DeepSeek V3 and V4. */
#include <limits.h>
#include <string.h>

#include "base/json.h"
#include "text/tokenizer_read.h"

enum { MAX_SPLITS = 8 };

/* Members that must be absent or have the one value that does nothing. */
static bool is_off(const json_t *value)
{
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_string(value) && json_string_length(value) == 0);
}

static int refuse_unless_off(const json_t *object, const char *where, const char *const *keys,
                             struct err *err)
{
    for (; *keys; keys++)
        if (!is_off(json_object_get(object, *keys)))
            return err_set(err, ERR_UNSUPPORTED, "%s: \"%s\" is set, which Tenon does not do",
                           where, *keys);
    return 0;
}

static const char *type_of(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    return type ? type : "(no type)";
}

/* ---- pre-tokenizer ---- */

static int read_split(const json_t *split, const char **pattern, struct err *err)
{
    *pattern = json_string_value(json_object_get(json_object_get(split, "pattern"), "Regex"));
    if (!*pattern) return err_set(err, ERR_UNSUPPORTED, "pre_tokenizer: a Split without a Regex");
    const char *behavior = json_string_value(json_object_get(split, "behavior"));
    if (!behavior || strcmp(behavior, "Isolated") != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "pre_tokenizer: Split of behavior \"%s\", not Isolated",
                       behavior ? behavior : "(none)");
    static const char *const off[] = {"invert", NULL};
    return refuse_unless_off(split, "pre_tokenizer: Split", off, err);
}

static int read_pretokenizer(enum pretoken_kind *kind, const json_t *pre, struct err *err)
{
    const json_t *list = json_object_get(pre, "pretokenizers");
    size_t n = json_array_size(list);
    const char *patterns[MAX_SPLITS];
    if (strcmp(type_of(pre), "Sequence") != 0 || n < 1 || n > MAX_SPLITS)
        return err_set(err, ERR_UNSUPPORTED,
                       "pre_tokenizer is a %s of %zu, not a Sequence of splits and ByteLevel",
                       type_of(pre), n);
    for (size_t i = 0; i + 1 < n; i++) {
        const json_t *split = json_array_get(list, i);
        if (strcmp(type_of(split), "Split") != 0)
            return err_set(err, ERR_UNSUPPORTED, "pre_tokenizer: step %zu is \"%s\", not Split", i,
                           type_of(split));
        if (read_split(split, &patterns[i], err)) return -1;
    }
    const json_t *last = json_array_get(list, n - 1);
    if (strcmp(type_of(last), "ByteLevel") != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "pre_tokenizer: the last step is \"%s\", not ByteLevel", type_of(last));
    /* use_regex is true when absent, and would cut once more. */
    if (!json_is_false(json_object_get(last, "use_regex")) ||
        !json_is_false(json_object_get(last, "add_prefix_space")))
        return err_set(err, ERR_UNSUPPORTED,
                       "pre_tokenizer: ByteLevel without use_regex and add_prefix_space false");
    return pretoken_from_patterns(kind, patterns, (int)n - 1, err);
}

/* ---- the steps that do nothing here ---- */

static int check_pipeline(const json_t *root, struct err *err)
{
    static const char *const off[] = {"truncation", "padding", NULL};
    if (refuse_unless_off(root, "tokenizer", off, err)) return -1;

    const json_t *normalizer = json_object_get(root, "normalizer");
    if (!is_off(normalizer) && (strcmp(type_of(normalizer), "Sequence") != 0 ||
                                json_array_size(json_object_get(normalizer, "normalizers")) > 0))
        return err_set(err, ERR_UNSUPPORTED, "normalizer \"%s\" is not known", type_of(normalizer));
    static const char *const steps[] = {"post_processor", "decoder"};
    for (int i = 0; i < 2; i++) {
        const json_t *step = json_object_get(root, steps[i]);
        if (!is_off(step) && strcmp(type_of(step), "ByteLevel") != 0)
            return err_set(err, ERR_UNSUPPORTED, "%s \"%s\" is not known", steps[i], type_of(step));
    }
    return 0;
}

/* ---- tables ---- */

static int read_vocab(struct vocab *v, json_t *entries, struct err *err)
{
    if (!json_is_object(entries)) return err_set(err, ERR_FORMAT, "model.vocab is not an object");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)entries, key, value)
    {
        if (!json_is_integer(value))
            return err_set(err, ERR_FORMAT, "model.vocab: the id of \"%.64s\" is not an integer",
                           key);
        if (vocab_add(v, json_integer_value(value), key, strlen(key), err)) return -1;
    }
    return 0;
}

static int read_added(struct vocab *v, const json_t *list, struct err *err)
{
    if (list && !json_is_array(list)) return err_set(err, ERR_FORMAT, "added_tokens is not a list");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const json_t *id = json_object_get(entry, "id"), *text = json_object_get(entry, "content");
        if (!json_is_integer(id) || !json_is_string(text))
            return err_set(err, ERR_FORMAT, "added_tokens: entry %zu lacks id or content", i);
        static const char *const off[] = {"single_word", "lstrip", "rstrip", NULL};
        if (refuse_unless_off(entry, "added_tokens", off, err)) return -1;
        const json_t *special = json_object_get(entry, "special");
        if (special && !json_is_boolean(special))
            return err_set(err, ERR_FORMAT, "added_tokens: special of entry %zu is no boolean", i);
        if (vocab_add_added(v, json_integer_value(id), json_string_value(text),
                            json_string_length(text), json_is_true(special), err))
            return -1;
    }
    return 0;
}

static int read_merge(struct vocab *v, size_t rank, const json_t *merge, struct err *err)
{
    if (json_is_string(merge))
        return vocab_add_merge_text(v, rank, json_string_value(merge), json_string_length(merge),
                                    err);
    const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
    if (json_array_size(merge) != 2 || !json_is_string(left) || !json_is_string(right))
        return err_set(err, ERR_FORMAT, "model.merges: entry %zu is not two parts", rank);
    return vocab_add_merge(v, rank, json_string_value(left), json_string_length(left),
                           json_string_value(right), json_string_length(right), err);
}

int tokenizer_read_json(struct vocab *v, enum pretoken_kind *kind, const json_t *root,
                        struct err *err)
{
    const json_t *model = json_object_get(root, "model");
    if (!json_is_object(model)) return err_set(err, ERR_FORMAT, "no object \"model\"");
    if (strcmp(type_of(model), "BPE") != 0)
        return err_set(err, ERR_UNSUPPORTED, "model \"%s\"; Tenon has BPE", type_of(model));
    static const char *const off[] = {"dropout",
                                      "unk_token",
                                      "continuing_subword_prefix",
                                      "end_of_word_suffix",
                                      "fuse_unk",
                                      "byte_fallback",
                                      "ignore_merges",
                                      NULL};
    if (refuse_unless_off(model, "model", off, err)) return -1;
    if (check_pipeline(root, err)) return -1;
    if (read_pretokenizer(kind, json_object_get(root, "pre_tokenizer"), err)) return -1;

    const json_t *merges = json_object_get(model, "merges");
    size_t n = json_array_size(merges);
    if (!json_is_array(merges) || n > VOCAB_MAX_IDS)
        return err_set(err, ERR_FORMAT, "model.merges is not a list of at most %d", VOCAB_MAX_IDS);
    if (read_vocab(v, json_object_get(model, "vocab"), err)) return -1;
    if (read_added(v, json_object_get(root, "added_tokens"), err)) return -1;
    if (vocab_seal(v, (int)n, err)) return -1;
    for (size_t i = 0; i < n; i++)
        if (read_merge(v, i, json_array_get(merges, i), err)) return -1;
    return 0;
}
