/* tenon inspect: what a model's files hold, and whether it fits this machine. Reads headers only. */
#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "format/survey.h"
#include "model/model.h"
#include "format/weights.h"

struct options {
    const char *model;
    bool tensors, json;
};

enum { KEY_TENSORS = 256, KEY_JSON };

static const struct argp_option option_table[] = {
    {"tensors", KEY_TENSORS, NULL, 0, "List every tensor", 0},
    {"json", KEY_JSON, NULL, 0, "Print one JSON object", 0},
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

/* "159.6 GB" into text[32]; returns text. */
static const char *bytes_text(double bytes, char text[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    int unit = 0;
    while (bytes >= 999.5 && unit < 4) {
        bytes /= 1000;
        unit++;
    }
    snprintf(text, 32, "%.*f %s", unit == 0 ? 0 : bytes < 100 ? 2 : 1, bytes, units[unit]);
    return text;
}

/* A weight needs its bytes, and a tenth more for work around them. */
static bool fits(const struct weights *w, size_t memory)
{
    return (double)weights_tensor_bytes(w) * 1.1 <= (double)memory;
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
           bytes_text((double)weights_file_bytes(w), a),
           bytes_text((double)weights_tensor_bytes(w), b));
    printf("parameters        %.4g billion\n", s->parameters / 1e9);
    for (int i = 0; i < PART_COUNT; i++)
        if (s->part_bytes[i])
            printf("  %-29s %s\n", survey_part_name((enum survey_part)i),
                   bytes_text((double)s->part_bytes[i], a));
    printf("stored as\n");
    for (int i = 0; i < DT_COUNT; i++)
        if (s->dtype_tensors[i])
            printf("  %-10s %7d tensors  %s\n", dtype_name((enum dtype)i), s->dtype_tensors[i],
                   bytes_text((double)s->dtype_bytes[i], a));
    printf("read per token    %s, of these routed experts %s\n", bytes_text(s->bytes_per_token, a),
           bytes_text(s->expert_bytes_per_token, b));
    printf("drafts (MTP)      %s\n", weights_have_mtp(w) ? "yes" : "no");
}

static void print_fit(const struct weights *w)
{
    char a[32], b[32];
    size_t total, available;
    mem_host(&total, &available);
    printf("this machine      %s memory, %s available: %s\n", bytes_text((double)total, a),
           bytes_text((double)available, b),
           fits(w, available) ? "fits"
           : fits(w, total)   ? "fits when other programs give memory back"
                              : "does not fit");
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

static int print_json(const struct weights *w, const struct survey *s, bool tensors)
{
    size_t total, available;
    char *canonical = config_canonical(weights_config(w));
    mem_host(&total, &available);
    json_t *o = json_pack(
        "{ss ss so sI sI sf so so sf sf sb si sI sI sb}", "path", weights_path(w), "container",
        weights_container(w), "config", json_loads(canonical, 0, NULL), "file_bytes",
        (json_int_t)weights_file_bytes(w), "tensor_bytes", (json_int_t)weights_tensor_bytes(w),
        "parameters", s->parameters, "parts", parts_json(s), "dtypes", dtypes_json(s),
        "bytes_per_token", s->bytes_per_token, "expert_bytes_per_token", s->expert_bytes_per_token,
        "mtp", (int)weights_have_mtp(w), "missing", s->n_missing, "memory_total", (json_int_t)total,
        "memory_available", (json_int_t)available, "fits", (int)fits(w, available));
    if (o && tensors) json_object_set_new(o, "tensors", tensors_json(w));
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
        if (print_json(w, &s, o.tensors)) {
            err_set(&err, ERR_IO, "cannot print: a name is not text, or standard output is closed");
            status = cli_fail(&err);
        }
    } else {
        print_config(weights_config(w));
        print_sizes(w, &s);
        print_fit(w);
        print_missing(&s);
        if (o.tensors) print_tensors(w);
    }
    /* Shown all the same: what is wrong is why one inspects. */
    if (status == 0 && model_check(w, true, &err)) status = cli_fail(&err);
    weights_close(w);
    return status;
}
