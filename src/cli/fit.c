#include "cli/fit.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"

static const size_t most_reserved = (size_t)2 << 30;

size_t fit_bytes(const struct fit *f)
{
    return f->size.dense + f->size.expert * (size_t)f->size.n_experts;
}

size_t fit_reserve(size_t memory)
{
    return memory / 8 < most_reserved ? memory / 8 : most_reserved;
}

static void decide(struct fit *f)
{
    if (f->memory == 0) return;
    f->reserve = fit_reserve(f->memory);
    size_t left = f->memory - f->reserve;
    f->too_small = f->size.expert > left || f->size.dense > left - f->size.expert;
    if (f->too_small || fit_bytes(f) <= left) return;
    f->n_slots = (int)((left - f->size.dense) / f->size.expert);
}

int fit_model(struct fit *out, struct backend *b, const struct weights *w, bool mtp, size_t memory,
              struct err *err)
{
    size_t total;
    *out = (struct fit){.memory = memory, .given = memory != 0};
    if (!memory) mem_host(&total, &out->memory);
    if (model_measure(&out->size, b, w, mtp, err)) return -1;
    decide(out);
    return 0;
}

size_t fit_parse(const char *arg)
{
    static const char suffixes[] = "KMGT";
    char *end;
    if (!isdigit((unsigned char)*arg) || strspn(arg, "0123456789.") == 0) return 0;
    if (arg[0] == '0' && (arg[1] == 'x' || arg[1] == 'X')) return 0;
    double bytes = strtod(arg, &end);
    if (end != arg + strspn(arg, "0123456789.")) return 0;
    const char *suffix = *end ? strchr(suffixes, toupper((unsigned char)*end)) : NULL;
    if (*end && (!suffix || end[1])) return 0;
    for (int i = 0; suffix && i <= suffix - suffixes; i++)
        bytes *= 1024;
    return bytes >= 1 && bytes < 1e18 ? (size_t)bytes : 0;
}

const char *fit_text(const struct fit *f, char text[FIT_TEXT])
{
    char all[32], dense[32], expert[32], memory[32], reserve[32];
    const char *whose = f->given ? "given" : "available";
    cli_bytes((double)fit_bytes(f), all);
    cli_bytes((double)f->size.dense, dense);
    cli_bytes((double)f->size.expert, expert);
    cli_bytes((double)f->memory, memory);
    cli_bytes((double)f->reserve, reserve);
    if (f->too_small)
        snprintf(text, FIT_TEXT,
                 "the dense part of %s and one expert of %s do not fit in the %s %s, of which %s "
                 "are kept for sessions and scratch",
                 dense, expert, memory, whose, reserve);
    else if (f->n_slots)
        snprintf(text, FIT_TEXT,
                 "weights of %s, memory of %s %s: %s and %d of %d experts are kept, the others are "
                 "read on demand",
                 all, memory, whose, dense, f->n_slots, f->size.n_experts);
    else
        snprintf(text, FIT_TEXT, "weights of %s, memory of %s %s: fits", all, memory, whose);
    return text;
}
