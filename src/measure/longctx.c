#include "measure/longctx.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/progress.h"
#include "engine/philox.h"

enum { MAX_TEXT = 256 << 20, SLACK = 32, LIST = 5 };

enum test { NEEDLE, COPY, TESTS };

static const char *const test_names[TESTS] = {"needle", "copy"};

static const char *const who[] = {"The baker",   "A sailor",    "Our teacher", "The old man",
                                  "My neighbor", "The painter", "A farmer",    "The girl"};
static const char *const did[] = {"carried", "found", "sold", "washed",
                                  "opened",  "drew",  "lost", "fixed"};
static const char *const what[] = {"a red box",    "the small boat", "an old chair",
                                   "a green coat", "the long rope",  "a clean plate",
                                   "the door",     "a warm blanket"};
static const char *const where[] = {"near the river",   "in the garden",     "behind the school",
                                    "at the market",    "on the hill",       "beside the road",
                                    "under the bridge", "in the quiet house"};
static const char *const when[] = {"in the morning", "after lunch", "last week",
                                   "on Sunday",      "before dark", "in winter",
                                   "at the weekend", "every spring"};
static const char *const names[] = {"Nora",  "Felix", "Ida",  "Oscar", "Clara", "Hugo",
                                    "Mira",  "Leo",   "Anna", "Paul",  "Helen", "Simon",
                                    "Julia", "David", "Emma", "Tom"};

/* One problem being made. */
struct draft {
    const struct longctx_options *o;
    enum test test;
    int position, index;
    int depth; /* of the fact, in 1/1000 of the sentences */
    char fact[128], question[128], answer[64];
};

/* Four random words for item k of a problem. */
static void draw(const struct draft *d, uint32_t k, uint32_t out[4])
{
    const uint32_t counter[4] = {k, (uint32_t)d->index, (uint32_t)d->position, (uint32_t)d->test};
    const uint32_t key[2] = {(uint32_t)d->o->seed, (uint32_t)(d->o->seed >> 32)};
    philox4x32_10(counter, key, out);
}

static void make_needle(struct draft *d)
{
    uint32_t r[4];
    draw(d, UINT32_MAX, r);
    const char *name = names[r[0] % (sizeof names / sizeof *names)];
    snprintf(d->answer, sizeof d->answer, "%u", 10000 + r[1] % 90000);
    snprintf(d->fact, sizeof d->fact, "The secret number of %s is %s.", name, d->answer);
    snprintf(d->question, sizeof d->question, "What is the secret number of %s?", name);
}

static void make_copy(struct draft *d)
{
    uint32_t r[8];
    draw(d, UINT32_MAX, r);
    draw(d, UINT32_MAX - 1, r + 4);
    int n = 0;
    for (int i = 0; i < LIST; i++)
        n += snprintf(d->answer + n, sizeof d->answer - (size_t)n, "%s%u", i ? ", " : "",
                      10 + r[i] % 90);
    snprintf(d->fact, sizeof d->fact, "Remember this list: %s.", d->answer);
    snprintf(d->question, sizeof d->question, "Which list should you remember? Repeat it.");
}

static void add_sentence(const struct draft *d, int k, struct buf *out)
{
    uint32_t r[4];
    draw(d, (uint32_t)k, r);
    buf_printf(out, "%s %s %s %s %s. ", who[r[0] % 8], did[(r[0] >> 8) % 8], what[r[1] % 8],
               where[r[2] % 8], when[r[3] % 8]);
}

/* The whole question with n sentences. */
static int write_text(const struct draft *d, int n, struct buf *out, struct err *err)
{
    int at = (int)((int64_t)n * d->depth / 1000);
    buf_clear(out);
    for (int k = 0; k <= n; k++) {
        if (k == at) buf_printf(out, "%s ", d->fact);
        if (k < n) add_sentence(d, k, out);
    }
    buf_add_str(out, d->question);
    return out->failed ? err_set(err, ERR_LIMIT, "a text of more than %d bytes", MAX_TEXT) : 0;
}

static int count_text(const struct draft *d, int n, struct buf *out, int *tokens, struct err *err)
{
    if (write_text(d, n, out, err)) return -1;
    return d->o->count(d->o->ctx, buf_text(out), tokens, err);
}

/* Finds how many sentences fit and leaves that text in out. Each guess goes by the tokens that a
 * sentence took so far. */
static int fit_text(const struct draft *d, struct buf *out, struct err *err)
{
    int empty, tokens, n = 0, too_many = INT32_MAX;
    if (count_text(d, 0, out, &empty, err)) return -1;
    if (empty > d->position)
        return err_set(err, ERR_ARGUMENT, "a prompt of %d tokens: the question alone has %d",
                       d->position, empty);
    tokens = empty;
    while (n + 1 < too_many && (n == 0 || d->position - tokens >= SLACK)) {
        int each = n ? (tokens - empty) / n : 16, got;
        int64_t guess = (int64_t)n + (d->position - tokens) / (each > 0 ? each : 1);
        if (guess <= n) guess = n + 1;
        if (guess >= too_many) guess = too_many - 1;
        if (count_text(d, (int)guess, out, &got, err)) return -1;
        if (got > d->position) {
            too_many = (int)guess;
        } else {
            n = (int)guess;
            tokens = got;
        }
    }
    return write_text(d, n, out, err);
}

static int add_problem(struct task *t, const struct draft *d, struct buf *text, struct err *err)
{
    char id[64], position[16], depth[16];
    if (fit_text(d, text, err)) return -1;
    snprintf(id, sizeof id, "%s-%d-%d", test_names[d->test], d->position, d->index);
    snprintf(position, sizeof position, "%d", d->position);
    snprintf(depth, sizeof depth, "%d", d->depth / 10);
    return task_add(
        t,
        &(struct problem){.id = id,
                          .lang = "en",
                          .kind = test_names[d->test],
                          .question = text->data,
                          .answer = d->answer,
                          .others = json_pack("{s:s, s:s}", "position", position, "depth", depth)},
        err);
}

int longctx_make(struct task *t, const struct longctx_options *o, struct err *err)
{
    struct buf text;
    uint64_t total = (uint64_t)o->n_positions * TESTS * (uint64_t)o->n_each;
    struct progress *progress = progress_new("prompts", total, "problems");
    int rc = 0;
    buf_init(&text, MAX_TEXT);
    for (int p = 0; p < o->n_positions; p++)
        for (int test = 0; test < TESTS; test++)
            for (int i = 0; i < o->n_each && rc == 0; i++) {
                struct draft d = {
                    .o = o, .test = (enum test)test, .position = o->positions[p], .index = i};
                d.depth = (int)((2 * (int64_t)i + 1) * 1000 / (2 * (int64_t)o->n_each));
                if (test == COPY) d.depth /= 4;
                test == COPY ? make_copy(&d) : make_needle(&d);
                rc = add_problem(t, &d, &text, err);
                progress_add(progress, 1);
            }
    progress_free(progress);
    buf_fini(&text);
    return rc;
}
