#include "cli/cli.h"

#include <stdio.h>

int cli_fail(const struct err *err)
{
    fflush(stdout);
    fprintf(stderr, "tenon: %s\n", err->message);
    return 1;
}
