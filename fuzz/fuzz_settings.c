/* A file of options. What is accepted is arguments of known options; what is refused has a reason. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct argp_option first[] = {
    {"port", 'p', "N", 0, "port", 0}, {"compat", 'c', NULL, 0, "compat", 0}, {0}};
static const struct argp_option second[] = {
    {"config", 'f', "FILE", 0, "this", 0}, {"memory", 'm', "SIZE", 0, "memory", 0}, {0}};

static void check_arg(const char *arg)
{
    bool known = !strncmp(arg, "--port=", 7) || !strncmp(arg, "--memory=", 9);
    CHECK(known || !strcmp(arg, "--compat"), "the argument %s", arg);
    const char *value = strchr(arg, '=');
    CHECK(!value || (value[1] && value[1] != ' '), "the value of %s", arg);
    CHECK(!strpbrk(arg, "\n\x7f"), "a control byte");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct argp_option *const tables[] = {first, second};
    static char name[] = "program", word[] = "word";
    char *argv[] = {name, word, NULL};
    struct settings s;
    struct err err = {0};
    if (settings_parse(&s, "fuzz", (const char *)data, size, tables, 2, &err)) {
        CHECK(err.code != ERR_NONE && strstr(err.message, "fuzz: line "), "refused: %s",
              err.message);
        CHECK(s.n == 0 && !s.args, "something is left");
        return 0;
    }
    CHECK(s.n <= 3, "%d of three options", s.n);
    for (int i = 0; i < s.n; i++)
        check_arg(s.args[i]);
    char **all = settings_before(&s, 2, argv);
    CHECK(all[0] == name && all[s.n + 1] == word && !all[s.n + 2], "the order");
    free(all);
    settings_fini(&s);
    return 0;
}
