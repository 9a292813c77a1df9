#include "cli/cli.h"

#include <stdio.h>

int cli_fail(const struct err *err)
{
    fflush(stdout);
    fprintf(stderr, "tenon: %s\n", err->message);
    return 1;
}

const char *cli_bytes(double bytes, char text[32])
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
