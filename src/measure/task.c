#include "measure/task.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/utf8.h"

static void problem_fini(struct problem *p)
{
    mem_free_const(p->id);
    mem_free_const(p->lang);
    mem_free_const(p->kind);
    mem_free_const(p->question);
    mem_free_const(p->answer);
    json_decref(p->others);
}

void task_fini(struct task *t)
{
    for (int i = 0; i < t->n; i++)
        problem_fini(&t->at[i]);
    free(t->at);
    *t = (struct task){0};
}

/* ---- checks ---- */

static bool is_control(int32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0);
}

/* A label goes to terminals and tables. */
static int check_label(const char *field, const char *s, struct err *err)
{
    size_t size = strlen(s), at = 0;
    if (size > TASK_MAX_LABEL)
        return err_set(err, ERR_FORMAT, "\"%s\" has %zu bytes, at most %d are allowed", field, size,
                       TASK_MAX_LABEL);
    while (at < size) {
        int32_t cp;
        at += (size_t)utf8_decode(s + at, size - at, &cp);
        if (is_control(cp))
            return err_set(err, ERR_FORMAT, "\"%s\" holds a control character", field);
    }
    return 0;
}

static int check_problem(const struct problem *p, struct err *err)
{
    if (check_label("id", p->id, err) || check_label("lang", p->lang, err) ||
        check_label("kind", p->kind, err))
        return -1;
    if (!p->question[0] || !p->answer[0])
        return err_set(err, ERR_FORMAT, "the %s is empty", p->question[0] ? "answer" : "question");
    return 0;
}

/* ---- adding ---- */

static int grow(struct task *t, struct err *err)
{
    if (t->n == TASK_MAX_PROBLEMS)
        return err_set(err, ERR_LIMIT, "more than %d problems", TASK_MAX_PROBLEMS);
    if (t->n < t->cap) return 0;
    int cap = t->cap ? 2 * t->cap : 256;
    struct problem *at = realloc(t->at, (size_t)cap * sizeof *at);
    if (!at) return err_set(err, ERR_LIMIT, "no memory for %d problems", cap);
    t->at = at;
    t->cap = cap;
    return 0;
}

int task_add(struct task *t, const struct problem *p, struct err *err)
{
    struct problem copy = {.others = p->others ? p->others : json_object()};
    if (check_problem(p, err) || grow(t, err)) goto fail;
    copy.id = strdup(p->id);
    copy.lang = strdup(p->lang);
    copy.kind = strdup(p->kind);
    copy.question = strdup(p->question);
    copy.answer = strdup(p->answer);
    if (!copy.id || !copy.lang || !copy.kind || !copy.question || !copy.answer || !copy.others) {
        err_set(err, ERR_LIMIT, "no memory for a problem");
        goto fail;
    }
    t->at[t->n++] = copy;
    return 0;

fail:
    problem_fini(&copy);
    return -1;
}

/* ---- JSON Lines ---- */

static const char *const KNOWN[] = {"id", "lang", "kind", "question", "answer"};

enum { N_KNOWN = sizeof KNOWN / sizeof *KNOWN };

/* A known field as a string; `missing` when it is not there and that is not NULL. */
static int get_string(const char **out, const json_t *root, const char *field, const char *missing,
                      struct err *err)
{
    const json_t *v = json_object_get(root, field);
    *out = v ? json_string_value(v) : missing;
    if (!*out)
        return err_set(err, ERR_FORMAT, "\"%s\" %s", field, v ? "is no string" : "is missing");
    if (v && strlen(*out) != json_string_length(v))
        return err_set(err, ERR_FORMAT, "\"%s\" holds a NUL", field);
    return 0;
}

/* The strings of root that are not known fields. A string with a NUL is none. */
static json_t *others_of(json_t *root)
{
    json_t *others = json_object(), *v;
    const char *key;
    json_object_foreach(root, key, v)
    {
        bool known = !json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v);
        for (int i = 0; i < N_KNOWN; i++)
            known |= !strcmp(key, KNOWN[i]);
        if (!known) json_object_set(others, key, v);
    }
    return others;
}

static int add_json(struct task *t, const char *id, const char *line, size_t size, struct err *err)
{
    json_t *root = NULL;
    const char *field[N_KNOWN];
    const char *const missing[N_KNOWN] = {id, "?", "?", NULL, NULL};
    int rc = json_parse(&root, "JSON", line, size, err);
    if (rc == 0 && !json_is_object(root)) rc = err_set(err, ERR_FORMAT, "not a JSON object");
    for (int i = 0; i < N_KNOWN && rc == 0; i++)
        rc = get_string(&field[i], root, KNOWN[i], missing[i], err);
    if (rc == 0)
        rc = task_add(t,
                      &(struct problem){.id = field[0],
                                        .lang = field[1],
                                        .kind = field[2],
                                        .question = field[3],
                                        .answer = field[4],
                                        .others = others_of(root)},
                      err);
    json_decref(root);
    return rc;
}

/* ---- TSV ---- */

static bool is_tsv(const char *name)
{
    size_t n = strlen(name);
    return n >= 4 && !strcmp(name + n - 4, ".tsv");
}

/* mgsm_de.tsv: de. */
static void language_of(const char *name, char out[16])
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    const char *bar = strrchr(base, '_'), *dot = strrchr(base, '.');
    size_t n = bar && dot > bar ? (size_t)(dot - bar - 1) : 0;
    bool good = n >= 2 && n <= 12;
    for (size_t i = 0; i < n && good; i++)
        good = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-", bar[1 + i]) != NULL;
    snprintf(out, 16, "%.*s", good ? (int)n : 1, good ? bar + 1 : "?");
}

static int add_tsv(struct task *t, const char *name, const char *id, const char *line, size_t size,
                   struct err *err)
{
    char lang[16];
    if (memchr(line, 0, size) || !utf8_valid(line, size))
        return err_set(err, ERR_FORMAT, "not UTF-8 text");
    const char *tab = memchr(line, '\t', size);
    size_t before = tab ? (size_t)(tab - line) : 0;
    if (!tab || memchr(tab + 1, '\t', size - before - 1))
        return err_set(err, ERR_FORMAT, "question, one tab and answer are wanted");
    char *question = strndup(line, before), *answer = strndup(tab + 1, size - before - 1);
    language_of(name, lang);
    int rc = -1;
    if (question && answer)
        rc = task_add(
            t,
            &(struct problem){
                .id = id, .lang = lang, .kind = "mgsm", .question = question, .answer = answer},
            err);
    else
        err_set(err, ERR_LIMIT, "no memory for a problem");
    free(question);
    free(answer);
    return rc;
}

/* ---- lines ---- */

static bool is_blank(const char *s, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (s[i] != ' ' && s[i] != '\t' && s[i] != '\r') return false;
    return true;
}

/* The id of a problem that has none: the file's name without folder and ending, and the line. */
static void default_id(const char *name, int line, char *out, size_t room)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    int n = dot && dot > base ? (int)(dot - base) : (int)strlen(base);
    snprintf(out, room, "%.*s-%d", n < 64 ? n : 64, base, line);
    make_printable(out);
}

static int add_line(struct task *t, const char *name, int number, const char *line, size_t size,
                    struct err *err)
{
    char id[96];
    struct err why = {0};
    if (size && line[size - 1] == '\r') size--;
    if (is_blank(line, size)) return 0;
    default_id(name, number, id, sizeof id);
    int rc = -1;
    if (size > TASK_MAX_LINE)
        err_set(&why, ERR_LIMIT, "%zu bytes, at most %d are allowed", size, TASK_MAX_LINE);
    else
        rc = is_tsv(name) ? add_tsv(t, name, id, line, size, &why)
                          : add_json(t, id, line, size, &why);
    return rc ? err_set(err, why.code, "%s: line %d: %s", name, number, why.message) : 0;
}

int task_add_text(struct task *t, const char *name, const char *text, size_t size, struct err *err)
{
    static const char bom[3] = {'\xef', '\xbb', '\xbf'};
    size_t at = size >= 3 && !memcmp(text, bom, 3) ? 3 : 0;
    for (int number = 1; at < size; number++) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end ? (size_t)(end - text) - at : size - at;
        if (add_line(t, name, number, text + at, length, err)) return -1;
        at += length + 1;
    }
    return 0;
}

int task_add_file(struct task *t, const char *path, struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    int before = t->n;
    if (file_slurp_input(path, TASK_MAX_BYTES, &text, &size, err)) return -1;
    int rc = task_add_text(t, path, text, size, err);
    free(text);
    if (rc == 0 && t->n == before) rc = err_set(err, ERR_FORMAT, "%s: no problems", path);
    return rc;
}

const char *problem_field(const struct problem *p, const char *name)
{
    if (!strcmp(name, "id")) return p->id;
    if (!strcmp(name, "lang")) return p->lang;
    if (!strcmp(name, "kind")) return p->kind;
    return json_string_value(json_object_get(p->others, name));
}
