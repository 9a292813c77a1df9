/* tenon inspect: what a model's files hold, and whether it fits this machine. Reads headers only. */
#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/fit.h"
#include "cpu/cpu.h"
#include "format/survey.h"
#include "model/model.h"
#include "format/weights.h"

struct options {
    const char *model;
    bool tensors, json;
    size_t memory;
};

enum { KEY_TENSORS = 256, KEY_JSON, KEY_MEMORY };

static const struct argp_option option_table[] = {
    {"tensors", KEY_TENSORS, NULL, 0, "List every tensor", 0},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object", 0},
    {"memory", KEY_MEMORY, "SIZE", 0, "What opening it with run --memory SIZE would do", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case KEY_TENSORS:
        o->tensors = true;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case KEY_MEMORY:
        o->memory = fit_parse(arg);
        if (!o->memory)
            argp_error(state, "--memory %s: a size is wanted, as 4G, 1.5T or 800M", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) argp_error(state, "one model, please");
        o->model = arg;
        return 0;
    case ARGP_KEY_END:
        if (!o->model) argp_error(state, "which model?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp parser = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "MODEL",
    .doc =
        "Shows configuration, sizes, bytes read per token and whether the weights fit in memory. "
        "Reads no weights.",
};

static uint64_t view_bytes(const struct weight_view *v)
{
    return v->data.row_bytes * (uint64_t)v->rows + v->scale.row_bytes * (uint64_t)v->scale_rows;
}

/* What opening the model would do here; false where the files are no model that could be opened. */
static bool find_fit(struct fit *f, const struct weights *w, size_t memory)
{
    struct err err = {0};
    struct backend *b;
    if (cpu_open(&b, MODE_DEFAULT, 1, NULL, &err)) return false;
    int rc = fit_model(f, b, w, false, memory, &err);
    b->close(b);
    return rc == 0;
}

/* ---- text ---- */

static void print_layers(const struct config *c)
{
    int sliding = 0, csa = 0, rest = 0;
    for (int i = 0; i < c->n_layers; i++) {
        sliding += c->ratio[i] == 0;
        csa += c->ratio[i] == 4;
        rest += c->ratio[i] != 0 && c->ratio[i] != 4;
    }
    printf("layers            %d: %d window, %d CSA, %d HCA; %d hash-routed\n", c->n_layers,
           sliding, csa, rest, c->n_hash_layers);
}

static void print_config(const struct config *c)
{
    printf("width             %d, %d streams, vocabulary %d\n", c->dim, c->hc_mult, c->vocab);
    print_layers(c);
    printf("attention         %d heads of %d (%d rotary), window %d, q rank %d, output %d x %d\n",
           c->n_heads, c->head_dim, c->rope_dim, c->window, c->q_lora, c->o_groups, c->o_lora);
    printf("indexer           %d heads of %d, top %d\n", c->index_heads, c->index_dim,
           c->index_topk);
    printf("experts           %d of %d, %d per token, %d shared\n", c->n_experts, c->expert_dim,
           c->n_used, c->n_shared);
    printf("positions         %d\n", c->max_positions);
}

static void print_sizes(const struct weights *w, const struct survey *s)
{
    char a[32], b[32];
    printf("files             %s, %s; tensors %s\n", weights_container(w),
           cli_bytes((double)weights_file_bytes(w), a),
           cli_bytes((double)weights_tensor_bytes(w), b));
    printf("parameters        %.4g billion\n", s->parameters / 1e9);
    for (int i = 0; i < PART_COUNT; i++)
        if (s->part_bytes[i])
            printf("  %-29s %s\n", survey_part_name((enum survey_part)i),
                   cli_bytes((double)s->part_bytes[i], a));
    printf("stored as\n");
    for (int i = 0; i < DT_COUNT; i++)
        if (s->dtype_tensors[i])
            printf("  %-10s %7d tensors  %s\n", dtype_name((enum dtype)i), s->dtype_tensors[i],
                   cli_bytes((double)s->dtype_bytes[i], a));
    printf("read per token    %s, of these routed experts %s\n", cli_bytes(s->bytes_per_token, a),
           cli_bytes(s->expert_bytes_per_token, b));
    printf("drafts (MTP)      %s\n", weights_have_mtp(w) ? "yes" : "no");
}

static void print_fit(const struct weights *w, size_t memory)
{
    char a[32], b[32], text[FIT_TEXT];
    size_t total, available;
    struct fit f;
    mem_host(&total, &available);
    printf("this machine      %s memory, %s available\n", cli_bytes((double)total, a),
           cli_bytes((double)available, b));
    if (find_fit(&f, w, memory)) printf("loading           %s\n", fit_text(&f, text));
}

static void print_missing(const struct survey *s)
{
    if (s->n_missing == 0) return;
    printf("MISSING           %d tensors:\n", s->n_missing);
    for (int i = 0; i < s->n_missing && i < SURVEY_NAMED; i++)
        printf("  %s\n", s->missing[i]);
    if (s->n_missing > SURVEY_NAMED) printf("  ...\n");
}

/* Names come from the file: bytes that could drive a terminal are shown as "?". */
static void print_name(const char *name)
{
    for (; *name; name++)
        putchar((unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name);
}

static void print_tensors(const struct weights *w)
{
    for (int i = 0; i < weights_count(w); i++) {
        const struct weight_view *v = weights_at(w, i);
        char shape[32];
        if (v->is_vector)
            snprintf(shape, sizeof shape, "[%d]", v->cols);
        else
            snprintf(shape, sizeof shape, "[%d, %d]", v->rows, v->cols);
        printf("%-8s %-17s %12llu  ", dtype_name(v->dtype), shape,
               (unsigned long long)view_bytes(v));
        print_name(v->name);
        putchar('\n');
    }
}

/* ---- JSON ---- */

static json_t *tensors_json(const struct weights *w)
{
    json_t *list = json_array();
    for (int i = 0; i < weights_count(w); i++) {
        const struct weight_view *v = weights_at(w, i);
        json_t *shape =
            v->is_vector ? json_pack("[i]", v->cols) : json_pack("[ii]", v->rows, v->cols);
        json_array_append_new(list, json_pack("{ss ss so sI}", "name", v->name, "dtype",
                                              dtype_name(v->dtype), "shape", shape, "bytes",
                                              (json_int_t)view_bytes(v)));
    }
    return list;
}

static json_t *parts_json(const struct survey *s)
{
    json_t *parts = json_object();
    for (int i = 0; i < PART_COUNT; i++)
        json_object_set_new(parts, survey_part_name((enum survey_part)i),
                            json_integer((json_int_t)s->part_bytes[i]));
    return parts;
}

static json_t *dtypes_json(const struct survey *s)
{
    json_t *dtypes = json_object();
    for (int i = 0; i < DT_COUNT; i++)
        if (s->dtype_tensors[i])
            json_object_set_new(dtypes, dtype_name((enum dtype)i),
                                json_pack("{si sI}", "tensors", s->dtype_tensors[i], "bytes",
                                          (json_int_t)s->dtype_bytes[i]));
    return dtypes;
}

static int print_json(const struct weights *w, const struct survey *s, const struct options *opt)
{
    size_t total, available;
    struct fit f;
    bool known = find_fit(&f, w, opt->memory);
    char *canonical = config_canonical(weights_config(w));
    mem_host(&total, &available);
    json_t *o = json_pack(
        "{ss ss so sI sI sf so so sf sf sb si sI sI sb}", "path", weights_path(w), "container",
        weights_container(w), "config", json_loads(canonical, 0, NULL), "file_bytes",
        (json_int_t)weights_file_bytes(w), "tensor_bytes", (json_int_t)weights_tensor_bytes(w),
        "parameters", s->parameters, "parts", parts_json(s), "dtypes", dtypes_json(s),
        "bytes_per_token", s->bytes_per_token, "expert_bytes_per_token", s->expert_bytes_per_token,
        "mtp", (int)weights_have_mtp(w), "missing", s->n_missing, "memory_total", (json_int_t)total,
        "memory_available", (json_int_t)available, "fits", known && !f.too_small && f.n_slots == 0);
    if (o && known)
        json_object_set_new(o, "loading",
                            json_pack("{sI sI si si sb}", "dense_bytes", (json_int_t)f.size.dense,
                                      "expert_bytes", (json_int_t)f.size.expert, "experts",
                                      f.size.n_experts, "slots", f.n_slots, "possible",
                                      !f.too_small));
    if (o && opt->tensors) json_object_set_new(o, "tensors", tensors_json(w));
    int bad = !o || json_dumpf(o, stdout, JSON_INDENT(1)) || putchar('\n') == EOF;
    json_decref(o);
    free(canonical);
    return bad;
}

int cli_inspect(int argc, char **argv)
{
    struct options o = {0};
    struct err err = {0};
    struct weights *w;
    struct survey s;
    int status = 0;
    if (argp_parse(&parser, argc, argv, 0, NULL, &o)) return CLI_USAGE;
    if (weights_open(&w, o.model, &err)) return cli_fail(&err);
    survey_weights(&s, w);
    if (o.json) {
        if (print_json(w, &s, &o)) {
            err_set(&err, ERR_IO, "cannot print: a name is not text, or standard output is closed");
            status = cli_fail(&err);
        }
    } else {
        print_config(weights_config(w));
        print_sizes(w, &s);
        print_fit(w, o.memory);
        print_missing(&s);
        if (o.tensors) print_tensors(w);
    }
    /* Shown all the same: what is wrong is why one inspects. */
    if (status == 0 && model_check(w, true, &err)) status = cli_fail(&err);
    weights_close(w);
    return status;
}
