#include "base/fmath.h"

#include <math.h>

/* ln 2 in two parts; their sum is off by 2^-54 or so. */
static const float ln2_hi = 0x1.62e43p-1f, ln2_lo = -0x1.05c61p-29f;

/* log(1 + f) - f for f in [sqrt(1/2) - 1, sqrt(2) - 1]: -f^2/2 + f^3 P(f), minimax. */
static float log_tail(float f)
{
    float p = 0x1.1ac824p-4f;
    p = fmaf(p, f, -0x1.e2a98cp-4f);
    p = fmaf(p, f, 0x1.e66596p-4f);
    p = fmaf(p, f, -0x1.fb5022p-4f);
    p = fmaf(p, f, 0x1.233244p-3f);
    p = fmaf(p, f, -0x1.55627ap-3f);
    p = fmaf(p, f, 0x1.99a546p-3f);
    p = fmaf(p, f, -0x1.fffffp-3f);
    p = fmaf(p, f, 0x1.555546p-2f);
    return f * f * fmaf(p, f, -0.5f);
}

/* x = m * 2^k, m in [sqrt(1/2), sqrt(2)), for positive normal x. Gives m - 1, exact. */
static float split(float x, float *k)
{
    uint32_t u = fm_bits(x);
    uint32_t n = u - 0x3f3504f3u; /* sqrt(1/2) */
    *k = (float)((int32_t)n >> 23);
    return fm_float(u - (n & 0xff800000u)) - 1.0f;
}

/* k ln 2 + log(1 + f) + extra, the small parts first. */
static float log_sum(float k, float f, float extra)
{
    return fmaf(k, ln2_hi, f + (log_tail(f) + fmaf(k, ln2_lo, extra)));
}

float fm_log(float x)
{
    if (!(x >= 0.0f)) return fm_nan();
    if (x == 0.0f) return -INFINITY;
    if (x == INFINITY) return x;
    float k, shift = 0.0f;
    if (x < 0x1p-126f) {
        x *= 0x1p24f;
        shift = 24.0f;
    }
    float f = split(x, &k);
    return log_sum(k - shift, f, 0.0f);
}

float fm_log1p(float x)
{
    if (!(x >= -1.0f)) return fm_nan();
    if (x == -1.0f) return -INFINITY;
    if (x == INFINITY) return x;
    if (x > -0x1p-25f && x < 0x1p-25f) return x;
    if (x > -0x1.2bec34p-2f && x < 0x1.a8279ap-2f)
        return x + log_tail(x); /* 1 + x needs no split */

    float u = 1.0f + x;
    float lost = x > 1.0f ? 1.0f - (u - x) : x - (u - 1.0f); /* 1 + x = u + lost, exact */
    float k;
    float f = split(u, &k);
    return log_sum(k, f, lost / u);
}

float fm_softplus(float x)
{
    return x > 20.0f ? x : fm_log1p(fm_exp(x));
}

/* The first 256 bits of 2 / pi after the binary point. */
static const uint64_t two_over_pi[4] = {0xa2f9836e4e441529u, 0xfc2757d1f534ddc0u,
                                        0xdb6295993c439041u, 0xfe5163abdebbc561u};

/* x - quarter * pi / 2 for |x| >= 2^40: an integer m times 2^e. Of m * 2^e * 2 / pi only the value
 * modulo 4 counts, so the bits of 2 / pi that give multiples of 4 are skipped, and 128 bits from there
 * are enough: the product is off by 2^-102. */
static double reduce_huge(float x, uint32_t *quarter)
{
    uint32_t bits = fm_bits(x);
    uint32_t m = (bits & 0x7fffffu) | 0x800000u;
    uint32_t skip = (bits >> 23 & 0xff) - 150u - 2u; /* e - 2, in [15, 102] */
    const uint64_t *w = two_over_pi + skip / 64;
    uint32_t s = skip % 64;
    uint64_t high = w[0] << s | w[1] >> 1 >> (63 - s);
    uint64_t low = w[1] << s | w[2] >> 1 >> (63 - s);
    unsigned __int128 turns = ((unsigned __int128)high << 64 | low) * m; /* 4 is 2^128 */
    turns += (unsigned __int128)1 << 125; /* to the nearest quarter */
    *quarter = (uint32_t)(turns >> 126);
    /* Below the two top bits: quarters plus one half, 2^126 to one. */
    int64_t rest = (int64_t)(uint64_t)(turns >> 64 & 0x3fffffffffffffffu) - ((int64_t)1 << 61);
    double r = (double)rest * 0x1p-62 * 0x1.921fb54442d18p+0;
    if (bits >> 31) {
        *quarter = 0u - *quarter;
        r = -r;
    }
    return r;
}

/* x - quarter * pi / 2, |result| <= pi / 4 and a little, x finite. The first fma is exact: x and
 * the product share a grid and nearly cancel. */
static double reduce(float x, uint32_t *quarter)
{
    if (fabsf(x) >= 0x1p40f) return reduce_huge(x, quarter);
    const double to_int = 0x1.8p52;
    double t = fma((double)x, 0x1.45f306dc9c883p-1, to_int); /* 2 / pi */
    double n = t - to_int;
    uint64_t u;
    memcpy(&u, &t, sizeof u);
    *quarter = (uint32_t)u;
    double r = fma(-n, 0x1.921fb54442d18p+0, (double)x); /* pi / 2 in two parts */
    return fma(-n, 0x1.1a62633145c07p-54, r);
}

static double sin_poly(double r)
{
    double z = r * r;
    double p = 0x1.6cd5d6e41716cp-19;
    p = fma(p, z, -0x1.a00f932fd5ff1p-13);
    p = fma(p, z, 0x1.1111088957f5cp-7);
    p = fma(p, z, -0x1.5555554ca818cp-3);
    return fma(p, z * r, r);
}

static double cos_poly(double r)
{
    double z = r * r;
    double p = -0x1.2428f01e1ccdfp-22;
    p = fma(p, z, 0x1.a01117030f46dp-16);
    p = fma(p, z, -0x1.6c16b88affdebp-10);
    p = fma(p, z, 0x1.5555554f41811p-5);
    return fma(p, z * z, fma(-0.5, z, 1.0));
}

/* sin(x + shift * pi / 2) */
static float sin_shifted(float x, uint32_t shift)
{
    if (!(fabsf(x) < INFINITY)) return fm_nan();
    uint32_t quarter;
    double r = reduce(x, &quarter);
    quarter += shift;
    double y = quarter & 1 ? cos_poly(r) : sin_poly(r);
    return (float)(quarter & 2 ? -y : y);
}

float fm_sin(float x)
{
    if (fabsf(x) < 0x1p-13f) return x; /* keeps -0 */
    return sin_shifted(x, 0);
}

float fm_cos(float x)
{
    return sin_shifted(x, 1);
}

static double from_bits64(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static const double ln2_hi64 = 0x1.62e42fefa39efp-1, ln2_lo64 = 0x1.abc9e3b39803fp-56;

double fm_exp64(double x)
{
    if (!(fabs(x) <= 700.0)) return from_bits64(0x7ff8000000000000u);
    const double to_int = 0x1.8p52;
    double t = fma(x, 0x1.71547652b82fep+0, to_int); /* 1 / ln 2 */
    double k = t - to_int;
    double r = fma(-k, ln2_hi64, x);
    double r_lo = -k * ln2_lo64;
    double sum = r + r_lo;
    r_lo = (r - sum) + r_lo;
    r = sum;
    /* exp(r) - 1 - r - r^2 / 2 = r^3 (1/3! + r/4! + ...), 11 terms; r^2 / 2 carries its own error */
    static const double factorial[] = {6.0,       24.0,       120.0,      720.0,
                                       5040.0,    40320.0,    362880.0,   3628800.0,
                                       39916800., 479001600., 6227020800.};
    double p = 0.0;
    for (int i = 10; i >= 0; i--)
        p = fma(p, r, 1.0 / factorial[i]);
    double y = 1.0 + (r + (fma(r * r, fma(p, r, 0.5), r_lo)));
    uint64_t u;
    memcpy(&u, &t, sizeof u);
    u -= 0x4338000000000000u; /* the bits of to_int */
    return y * from_bits64((u + 1023u) << 52);
}

double fm_log64(double x)
{
    if (!(x >= 0x1p-1022 && x < INFINITY)) return from_bits64(0x7ff8000000000000u);
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    uint64_t n = u - 0x3fe6a09e667f3bcdu; /* sqrt(1/2) */
    double k = (double)((int64_t)n >> 52);
    double f = from_bits64(u - (n & 0xfff0000000000000u)) - 1.0;
    /* log(1 + f) = 2 atanh(s), s = f / (2 + f); 2 s = f - s f keeps the leading term exact */
    double s = f / (2.0 + f);
    double z = s * s;
    double p = 0.0;
    for (int i = 23; i >= 3; i -= 2)
        p = fma(p, z, 2.0 / i);
    double tail = fma(-s, f, p * z * s);
    return fma(k, ln2_hi64, f + fma(k, ln2_lo64, tail));
}
