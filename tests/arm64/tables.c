/* Prints the tables of kernels that this processor has, best first. */
#include <stdio.h>

#include "cpu/kernels.h"

int main(void)
{
    static const char *const names[] = {"i8mm", "neon", "avx2", "ref"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (kernels_find(names[i])) printf("%s ", names[i]);
    printf("best %s\n", kernels_find(NULL)->name);
    return 0;
}
