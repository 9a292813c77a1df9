#include "small_tokenizer.h"

#include <stdio.h>

#include "text/utf8.h"

/* The character of a byte in GPT-2's alphabet. */
static void spell_byte(int byte, char out[5])
{
    static const int first_moved[] = {0, 127, 173}, moved[] = {33, 34, 1};
    int cp = byte, before = 256;
    for (int i = 0; i < 3; i++) {
        if (byte >= first_moved[i] && byte < first_moved[i] + moved[i])
            cp = before + byte - first_moved[i];
        before += moved[i];
    }
    out[utf8_encode(cp, out)] = 0;
}

static json_t *make_vocab(void)
{
    static const char *const merged[] = {"ab", "abc", "\u0120a", "aa", "aaaa", "\u0120ab"};
    json_t *vocab = json_object();
    for (int byte = 0; byte < 256; byte++) {
        char key[5];
        spell_byte(byte, key);
        json_object_set_new(vocab, key, json_integer(byte));
    }
    for (int i = 0; i < 6; i++)
        json_object_set_new(vocab, merged[i], json_integer(256 + i));
    return vocab;
}

json_t *small_tokenizer(void)
{
    static const char *const patterns[] = {
        "\\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
        ("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?"
         "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")};
    static const char *const added[] = {"<\uff5cbegin\u2581of\u2581sentence\uff5c>",
                                        "<\uff5cend\u2581of\u2581sentence\uff5c>",
                                        "<think>",
                                        "</think>",
                                        "\uff5cDSML\uff5c",
                                        "<thin",
                                        "<\uff5cUser\uff5c>",
                                        "<\uff5cAssistant\uff5c>"};
    json_t *splits = json_array(), *tokens = json_array();
    for (int i = 0; i < 3; i++)
        json_array_append_new(splits,
                              json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern",
                                        "Regex", patterns[i], "behavior", "Isolated", "invert", 0));
    json_array_append_new(splits,
                          json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space",
                                    0, "trim_offsets", 1, "use_regex", 0));
    for (int i = 0; i < 8; i++)
        json_array_append_new(tokens,
                              json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", 262 + i,
                                        "content", added[i], "single_word", 0, "lstrip", 0,
                                        "rstrip", 0, "normalized", 0, "special", i < 2));
    json_t *merges =
        json_pack("[s, s, s, s, s, s]", "a b", "ab c", "\u0120 a", "a a", "aa aa", "\u0120 ab");
    return json_pack("{s:s, s:o, s:n, s:{s:s, s:o}, s:n, s:{s:s, s:o, s:o}}", "version", "1.0",
                     "added_tokens", tokens, "normalizer", "pre_tokenizer", "type", "Sequence",
                     "pretokenizers", splits, "decoder", "model", "type", "BPE", "vocab",
                     make_vocab(), "merges", merges);
}
