#include "text/pretoken.h"

#include <string.h>

#include "text/unicode.h"
#include "text/utf8.h"

/* ---- the known pattern texts ---- */

static const char *const deepseek3_patterns[] = {
    "\\p{N}{1,3}",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
    "|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*"
    "|\\s*[\r\n]+"
    "|\\s+(?!\\S)"
    "|\\s+",
};
enum { N_DEEPSEEK3 = sizeof deepseek3_patterns / sizeof *deepseek3_patterns };

int pretoken_from_patterns(enum pretoken_kind *out, const char *const *patterns, int n,
                           struct err *err)
{
    for (int i = 0; i < n; i++)
        if (i >= N_DEEPSEEK3 || strcmp(patterns[i], deepseek3_patterns[i]) != 0)
            return err_set(err, ERR_UNSUPPORTED,
                           "pre-tokenizer split %d has the unknown pattern \"%s\"; known are those "
                           "of DeepSeek V3 and V4",
                           i, patterns[i]);
    if (n != N_DEEPSEEK3)
        return err_set(err, ERR_UNSUPPORTED,
                       "pre-tokenizer has %d splits; DeepSeek V3 and V4 have %d", n, N_DEEPSEEK3);
    *out = PRETOKEN_DEEPSEEK3;
    return 0;
}

int pretoken_from_name(enum pretoken_kind *out, const char *name, struct err *err)
{
    /* llama.cpp writes deepseek-v3 for V3 and R1, joyai-llm for V4; both are the same cuts. */
    static const char *const names[] = {"deepseek-v3", "deepseek-r1", "joyai-llm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = PRETOKEN_DEEPSEEK3;
        return 0;
    }
    return err_set(err, ERR_UNSUPPORTED,
                   "pre-tokenizer \"%s\" (tokenizer.ggml.pre) is not known; known are deepseek-v3, "
                   "deepseek-r1 and joyai-llm",
                   name);
}

/* ---- classes of characters in the text ---- */

/* The class of the character at pos, and where the next one begins; 0 at the end of the run. */
static int class_at(const struct pretoken *p, size_t pos, size_t end, size_t *next)
{
    int32_t cp;
    if (pos >= end) {
        *next = end;
        return 0;
    }
    *next = pos + (size_t)utf8_decode(p->text + pos, end - pos, &cp);
    return unicode_class(cp < 0 ? 0xfffd : cp);
}

/* Skips characters that have one of the classes in `mask`. */
static size_t skip(const struct pretoken *p, size_t pos, size_t end, int mask)
{
    size_t next;
    while (class_at(p, pos, end, &next) & mask)
        pos = next;
    return pos;
}

/* ---- splits A and B: runs of one kind ---- */

static void find_run(struct pretoken *p)
{
    size_t next;
    int class = class_at(p, p->pos, p->size, &next);
    p->in_digits = (class & NUMBER) != 0;
    if (p->in_digits) {
        for (int n = 1; n < 3 && next < p->size; n++) {
            size_t after;
            if (!(class_at(p, next, p->size, &after) & NUMBER)) break;
            next = after;
        }
        p->run_end = next;
        return;
    }
    int kind = class & HAN_KANA;
    p->run_end = next;
    while (p->run_end < p->size) {
        class = class_at(p, p->run_end, p->size, &next);
        if ((class & NUMBER) || (class & HAN_KANA) != kind) break;
        p->run_end = next;
    }
}

/* ---- split C, inside a run ---- */

/* White space from pos on: alternatives 4 to 6. */
static size_t match_space(const struct pretoken *p, size_t pos, size_t end)
{
    size_t after_newline = 0, last = pos, next;
    size_t at = pos;
    for (int class; (class = class_at(p, at, end, &next)) & SPACE; at = next) {
        last = at;
        if (class & NEWLINE) after_newline = next;
    }
    if (after_newline) return after_newline;
    if (at == end || last == pos) return at;
    return last; /* leave one space to the word that follows */
}

/* End of the match that starts at pos, or pos when none does. */
static size_t match_at(const struct pretoken *p, size_t pos, size_t end)
{
    size_t second, third;
    int class = class_at(p, pos, end, &second);
    int after = class_at(p, second, end, &third);
    bool is_ascii = (unsigned char)p->text[pos] < 0x80;

    if (is_ascii && (class & PUNCT) && (after & ASCII_LETTER))
        return skip(p, third, end, ASCII_LETTER);
    if (class & (LETTER | MARK)) return skip(p, second, end, LETTER | MARK);
    if (!(class & (NEWLINE | PUNCT)) && (after & (LETTER | MARK)))
        return skip(p, third, end, LETTER | MARK);
    if ((class & PUNCT) || (p->text[pos] == ' ' && (after & PUNCT)))
        return skip(p, skip(p, second, end, PUNCT), end, NEWLINE);
    if (class & SPACE) return match_space(p, pos, end);
    return pos;
}

void pretoken_init(struct pretoken *p, enum pretoken_kind kind, const char *text, size_t size)
{
    CHECK(kind == PRETOKEN_DEEPSEEK3, "pre-tokenizer %d", (int)kind);
    *p = (struct pretoken){.text = text, .size = size};
}

bool pretoken_next(struct pretoken *p, size_t *start, size_t *end)
{
    if (p->pos >= p->size) return false;
    if (p->pos >= p->run_end) find_run(p);
    *start = p->pos;
    *end = p->in_digits ? p->run_end : match_at(p, p->pos, p->run_end);
    /* What matches nothing is a piece of its own, up to the next match. */
    if (*end == *start) {
        do {
            class_at(p, *end, p->run_end, end);
        } while (*end < p->run_end && match_at(p, *end, p->run_end) == *end);
    }
    p->pos = *end;
    return true;
}
