#include "cli/run_form.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

enum { MAX_FORM = 1 << 20 };

static bool is_inline(const struct run_form *f)
{
    const char *s = f->given;
    if (f->spec.kind == CONSTRAINT_REGEX) return true;
    if (f->spec.kind == CONSTRAINT_EBNF) return strstr(s, "::=") != NULL;
    return s[strspn(s, " \t\r\n")] == '{';
}

int run_form_read(struct run_form *f, struct err *err)
{
    if (!f->option) return 0;
    const char *name = f->option;
    size_t size = strlen(f->given);
    if (is_inline(f)) {
        f->text = strdup(f->given);
        if (!f->text) return err_set(err, ERR_LIMIT, "no memory for %s", name);
    } else {
        name = f->given;
        if (file_slurp_input(name, MAX_FORM, &f->text, &size, err)) return -1;
    }
    if (f->spec.kind == CONSTRAINT_SCHEMA) {
        if (json_parse(&f->schema, name, f->text, size, err)) return -1;
        f->spec.schema = f->schema;
    }
    f->spec.text = f->text;
    f->spec.size = size;
    return 0;
}

int run_form_compile(struct run_form *f, const struct engine *e, struct err *err)
{
    if (!f->option) return 0;
    int rc = token_trie_new(&f->trie, engine_tokenizer(e), engine_vocab(e), engine_eos(e), err);
    if (rc == 0) rc = constraint_new(&f->constraint, &f->spec, f->trie, err);
    if (rc) err_prefix(err, "%s", f->option);
    return rc;
}

void run_form_fini(struct run_form *f)
{
    constraint_drop(f->constraint);
    token_trie_free(f->trie);
    json_decref(f->schema);
    free(f->text);
    *f = (struct run_form){0};
}
