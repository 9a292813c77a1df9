#include "cpu/kernels.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* FMA and F16C, and an operating system that saves the parts of the registers named in xcr0. */
static int has_basics(unsigned saved)
{
    enum { FMA = 1 << 12, OSXSAVE = 1 << 27, AVX = 1 << 28, F16C = 1 << 29 };
    const unsigned need = FMA | OSXSAVE | AVX | F16C;
    unsigned a, b, c, d, xcr0, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & need) != need) return 0;
    __asm__("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    return (xcr0 & saved) == saved;
}

static int has_avx2(void)
{
    enum { AVX2 = 1 << 5, YMM = 6 };
    unsigned a, b, c, d;
    return has_basics(YMM) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & AVX2);
}

static int has_avxvnni(void)
{
    enum { AVXVNNI = 1 << 4 };
    unsigned most, a, b, c, d;
    return has_avx2() && __get_cpuid_count(7, 0, &most, &b, &c, &d) && most >= 1 &&
           __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & AVXVNNI);
}

/* F, DQ, BW, VL and VNNI. */
static int has_avx512(void)
{
    const unsigned need = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    enum { VNNI = 1 << 11, ZMM = 0xe6 };
    unsigned a, b, c, d;
    return has_avx2() && has_basics(ZMM) && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b & need) == need && (c & VNNI);
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

static int has_neon(void)
{
    const unsigned long need = HWCAP_ASIMDDP | HWCAP_ASIMDHP;
    return (getauxval(AT_HWCAP) & need) == need;
}

static int has_i8mm(void)
{
    return has_neon() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM);
}
#endif

static int always(void)
{
    return 1;
}

/* Best first. */
static const struct {
    const struct cpu_kernels *kernels;
    int (*usable)(void);
} tables[] = {
#if defined(__x86_64__)
    {&kernels_avx512, has_avx512},
    {&kernels_avxvnni, has_avxvnni},
    {&kernels_avx2, has_avx2},
#elif defined(__aarch64__)
    {&kernels_i8mm, has_i8mm},
    {&kernels_neon, has_neon},
#endif
    {&kernels_ref, always},
};

const struct cpu_kernels *kernels_find(const char *name)
{
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if ((!name || !strcmp(name, tables[i].kernels->name)) && tables[i].usable())
            return tables[i].kernels;
    return NULL;
}
