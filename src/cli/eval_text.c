/* tenon eval --ppl, --kl and --save-base: a model on a text. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sha256.h"
#include "cli/eval.h"
#include "cli/interrupt.h"
#include "measure/ppl.h"
#include "text/utf8.h"

enum { MAX_TEXT = 256 << 20, MAX_TEXT_IDS = 256 << 20, TEXT_BATCH = 8 };

struct run {
    const struct eval_options *o;
    struct opened open, base; /* base only with --base and --base-mode */
    struct windows windows;
    char *file; /* bytes of --base-file */
    struct kl_base_view view;
    struct kl_base_image image; /* of --save-base */
};

/* ---- the text ---- */

static int cut(struct run *r, const struct ids *ids, struct err *err)
{
    const struct eval_options *o = r->o;
    const struct config *c = model_config(r->open.model);
    int skip = o->skip < 0 ? o->window / 2 : o->skip;
    if (o->window > c->max_positions)
        return err_set(err, ERR_ARGUMENT, "--window %d, the model has %d positions", o->window,
                       c->max_positions);
    if (windows_cut(&r->windows, ids, c->bos, o->window, skip, o->limit, err))
        return err_prefix(err, "%s", o->text);
    return 0;
}

/* The base must read the text as the model does, and call each token the same. */
static int check_tokenizers(const struct run *r, const struct ids *ids, const char *text,
                            size_t size, struct err *err)
{
    const struct tokenizer *a = r->open.tokenizer, *b = r->base.tokenizer;
    int n = tokenizer_count(a);
    bool same = n == tokenizer_count(b) &&
                model_config(r->open.model)->vocab == model_config(r->base.model)->vocab &&
                model_config(r->open.model)->bos == model_config(r->base.model)->bos;
    for (int id = 0; id < n && same; id++) {
        size_t size_a, size_b;
        const char *pa = tokenizer_piece(a, id, &size_a), *pb = tokenizer_piece(b, id, &size_b);
        same = size_a == size_b && (!size_a || !memcmp(pa, pb, size_a));
    }
    struct ids other;
    ids_init(&other, MAX_TEXT_IDS);
    if (same && engine_raw(r->base.engine, text, size, r->o->special, &other, err)) {
        ids_fini(&other);
        return -1;
    }
    same = same && other.n == ids->n &&
           (!ids->n || !memcmp(other.data, ids->data, ids->n * sizeof *ids->data));
    ids_fini(&other);
    if (same) return 0;
    return err_set(err, ERR_ARGUMENT, "%s and %s: their tokenizers or vocabularies differ",
                   r->o->model, r->o->base);
}

static int read_windows(struct run *r, struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    struct ids ids;
    if (file_slurp_input(r->o->text, MAX_TEXT, &text, &size, err)) return -1;
    ids_init(&ids, MAX_TEXT_IDS);
    int rc = 0;
    if (!utf8_valid(text, size))
        rc = err_set(err, ERR_FORMAT, "%s: the text is not UTF-8", r->o->text);
    if (rc == 0) rc = engine_raw(r->open.engine, text, size, r->o->special, &ids, err);
    if (rc == 0 && r->o->base) rc = check_tokenizers(r, &ids, text, size, err);
    if (rc == 0) rc = cut(r, &ids, err);
    ids_fini(&ids);
    free(text);
    return rc;
}

/* ---- the base ---- */

static struct kl_base_id identity(const struct run *r)
{
    struct kl_base_id id = {.vocab = (uint32_t)model_config(r->open.model)->vocab,
                            .windows = (uint32_t)r->windows.n,
                            .length = (uint32_t)r->windows.length,
                            .skip = (uint32_t)r->windows.skip,
                            .mode = (uint32_t)r->open.backend->mode};
    windows_digest(&r->windows, id.tokens);
    return id;
}

static int open_base(struct run *r, struct err *err)
{
    const struct eval_options *o = r->o;
    struct open_options open = o->ask.open;
    struct engine_options engine = {0};
    if (!o->base && !o->base_mode) return 0;
    if (o->base_mode) {
        open.is_float = !strcmp(o->base_mode, "float");
        open.f32_acts = !strcmp(o->base_mode, "f32");
    }
    const char *path = o->base ? o->base : o->model;
    return open_model(&r->base, path, &open, true, OPEN_MTP_NONE, &engine, err);
}

static int read_base_file(struct run *r, struct err *err)
{
    size_t size;
    struct kl_base_id want = identity(r);
    const char *path = r->o->base_file;
    if (file_slurp(path, KL_BASE_MAX_BYTES, &r->file, &size, err)) return -1;
    if (kl_base_parse(&r->view, path, r->file, size, err)) return -1;
    return kl_base_match(&r->view, &want, err) ? err_prefix(err, "%s", path) : 0;
}

static int begin_base_file(struct run *r, struct err *err)
{
    struct kl_base_id id = identity(r);
    if (weights_digest(r->open.weights, id.model, err)) return -1;
    return kl_base_new(&r->image, &id, err);
}

/* ---- results ---- */

/* Tokens fed per second, of whole windows. */
static double speed(const struct ppl_result *p, const struct windows *w)
{
    double fed = (double)p->n_windows * (w->length - 1);
    return p->seconds > 0 ? fed / p->seconds : 0;
}

static json_t *mean_json(const struct mean *m)
{
    return json_pack("{s:o, s:o, s:o}", "value", eval_number(m->value), "error",
                     eval_number(m->error), "interval", eval_interval(m->range));
}

static json_t *text_json(const struct ppl_text *t)
{
    return json_pack("{s:o, s:o, s:o}", "nll", mean_json(&t->nll), "perplexity",
                     eval_number(t->ppl), "interval", eval_interval(t->ppl_range));
}

static const char *base_name(const struct run *r)
{
    const struct eval_options *o = r->o;
    return o->base_file ? o->base_file : o->base ? o->base : o->model;
}

static const char *base_mode(const struct run *r)
{
    static const char *const names[] = {
        [MODE_DEFAULT] = "default", [MODE_F32_ACTS] = "f32", [MODE_FLOAT] = "float"};
    return names[r->o->base_file ? r->view.id.mode : (uint32_t)r->base.backend->mode];
}

static int print_json(const struct run *r, const struct ppl_result *p, struct err *err)
{
    const struct windows *w = &r->windows;
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:b, s:I, s:o, s:o, s:o}", "mode",
        r->o->kl ? "kl" : "ppl", "model", r->o->model, "text", r->o->text, "window", w->length,
        "skip", w->skip, "windows", p->n_windows, "planned", w->n, "partial", p->cancelled,
        "tokens", (json_int_t)p->n_tokens, "result", text_json(&p->model), "seconds",
        eval_number(p->seconds), "tokens_per_second", eval_number(speed(p, w)));
    if (r->o->kl) {
        json_object_set_new(root, "base", json_string(base_name(r)));
        json_object_set_new(root, "base_mode", json_string(base_mode(r)));
        if (r->o->base_file) {
            char digest[65];
            sha256_hex(r->view.id.model, 32, digest);
            json_object_set_new(root, "base_digest", json_string(digest));
        }
        json_object_set_new(root, "base_result", text_json(&p->base));
        json_t *kl = mean_json(&p->kl);
        json_object_set_new(kl, "median", eval_number(p->kl_median));
        json_object_set_new(kl, "q99", eval_number(p->kl_99));
        json_object_set_new(kl, "q999", eval_number(p->kl_999));
        json_object_set_new(kl, "max", eval_number(p->kl_max));
        json_object_set_new(root, "kl", kl);
        json_object_set_new(root, "same_top", eval_number((double)p->n_same / (double)p->n_tokens));
        json_object_set_new(root, "same_top_interval", eval_interval(p->same_range));
    }
    return eval_print_json(root, err);
}

static void print_text(const char *name, const struct ppl_text *t)
{
    printf("%s\n", name);
    printf("  NLL         %.6f nats a token", t->nll.value);
    if (isfinite(t->nll.error))
        printf(", standard error %.6f, 95 %% %.6f .. %.6f", t->nll.error, t->nll.range.low,
               t->nll.range.high);
    printf("\n  perplexity  %.4f", t->ppl);
    if (isfinite(t->nll.error)) printf(", 95 %% %.4f .. %.4f", t->ppl_range.low, t->ppl_range.high);
    putchar('\n');
}

static void print_kl(const struct ppl_result *p)
{
    printf("KL(base || model), nats\n  mean        %.8f", p->kl.value);
    if (isfinite(p->kl.error)) printf(", 95 %% %.8f .. %.8f", p->kl.range.low, p->kl.range.high);
    printf("\n  median      %.8f\n  99 %%        %.8f\n  99.9 %%      %.8f\n  largest     %.8f\n",
           p->kl_median, p->kl_99, p->kl_999, p->kl_max);
    printf("same most likely token: %.3f %%, 95 %% %.3f .. %.3f, %lld of %lld\n",
           100.0 * (double)p->n_same / (double)p->n_tokens, 100 * p->same_range.low,
           100 * p->same_range.high, p->n_same, p->n_tokens);
}

static int print_result(const struct run *r, const struct ppl_result *p, struct err *err)
{
    const struct windows *w = &r->windows;
    if (r->o->json) return print_json(r, p, err);
    if (p->cancelled) printf("PARTIAL: interrupted after %d of %d windows\n", p->n_windows, w->n);
    printf("%s: %d windows of %d tokens, %lld tokens scored, in %.1f s: %.0f tokens/s fed\n",
           r->o->text, p->n_windows, w->length, p->n_tokens, p->seconds, speed(p, w));
    if (p->n_windows == 0) return 0;
    print_text(r->o->model, &p->model);
    if (!r->o->kl) return 0;
    printf("base, in mode %s: ", base_mode(r));
    print_text(base_name(r), &p->base);
    print_kl(p);
    return 0;
}

/* ---- running ---- */

static int measure(struct run *r, bool *partial, struct err *err)
{
    const struct eval_options *o = r->o;
    atomic_bool cancel;
    struct ppl_result result;
    struct ppl_job job = {.model = r->open.model,
                          .windows = &r->windows,
                          .at_once = o->batch ? o->batch : TEXT_BATCH,
                          .cancel = &cancel,
                          .base = r->base.model,
                          .file = o->base_file ? &r->view : NULL,
                          .save = o->save_base ? &r->image : NULL};
    interrupt_watch(&cancel, true);
    int rc = ppl_run(&job, &result, err);
    interrupt_forget();
    if (rc == 0 && o->save_base && !result.cancelled) {
        kl_base_seal(&r->image);
        rc = file_replace(o->save_base, r->image.data, r->image.size, err);
    }
    if (rc == 0) rc = print_result(r, &result, err);
    *partial = result.cancelled;
    return rc;
}

int eval_text(const struct eval_options *o, bool *partial, struct err *err)
{
    struct run r = {.o = o};
    struct engine_options engine = {0};
    int rc = open_model(&r.open, o->model, &o->ask.open, true, OPEN_MTP_NONE, &engine, err);
    if (rc == 0) rc = open_base(&r, err);
    if (rc == 0) rc = read_windows(&r, err);
    if (rc == 0 && o->base_file) rc = read_base_file(&r, err);
    if (rc == 0 && o->save_base) rc = begin_base_file(&r, err);
    if (rc == 0) rc = measure(&r, partial, err);
    free(r.file);
    free(r.image.data);
    windows_fini(&r.windows);
    open_close(&r.base);
    open_close(&r.open);
    return rc;
}
