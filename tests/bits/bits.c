#include "bits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fmath.h"
#include "quant/act8.h"
#include "quant/blocks.h"
#include "quant/convert.h"
#include "quant/fp4_sim.h"
#include "quant/fp8_int.h"
#include "quant/fp8_sim.h"

enum { STRIDE = 65537, VALUES = 4096 };

struct digest digest_new(void)
{
    return (struct digest){0xcbf29ce484222325u};
}

void digest_add(struct digest *d, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++)
        d->value = (d->value ^ p[i]) * 0x100000001b3u;
}

void digest_print(const struct digest *d, const char *name)
{
    printf("%-28s %016llx\n", name, (unsigned long long)d->value);
}

/* splitmix64 of the pair */
uint64_t noise(uint64_t key, uint64_t index)
{
    uint64_t z = key + (index + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

float noise_float(uint64_t key, uint64_t index)
{
    return (float)(int32_t)(uint32_t)(noise(key, index) >> 16) * 0x1p-31f;
}

/* ---- fmath ---- */

static float exp_f(float x)
{
    return fm_exp(x);
}

static float sigmoid_f(float x)
{
    return fm_sigmoid(x);
}

static float silu_f(float x)
{
    return fm_silu(x);
}

void bits_of_fmath(void)
{
    static const struct {
        const char *name;
        float (*f)(float);
    } list[] = {{"fmath exp", exp_f},
                {"fmath log", fm_log},
                {"fmath log1p", fm_log1p},
                {"fmath sigmoid", sigmoid_f},
                {"fmath softplus", fm_softplus},
                {"fmath silu", silu_f},
                {"fmath sin", fm_sin},
                {"fmath cos", fm_cos}};
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct digest d = digest_new();
        for (uint64_t u = 0; u <= UINT32_MAX; u += STRIDE) {
            float y = list[i].f(fm_float((uint32_t)u));
            digest_add(&d, &y, sizeof y);
        }
        digest_print(&d, list[i].name);
    }
    struct digest d = digest_new(), e = digest_new();
    for (int i = 0; i < 20000; i++) {
        double x = (double)noise_float(1, (uint64_t)i) * 700, y = fm_exp64(x);
        double l = fm_log64(y), m = fm_log64(1.5 + (double)noise_float(2, (uint64_t)i));
        digest_add(&d, &y, sizeof y);
        digest_add(&e, &l, sizeof l);
        digest_add(&e, &m, sizeof m);
    }
    digest_print(&d, "fmath exp64");
    digest_print(&e, "fmath log64");
}

/* ---- quant ---- */

static void bits_of_conversions(void)
{
    struct digest d = digest_new();
    for (uint32_t c = 0; c < 65536; c++) {
        float v[2] = {f16_to_f32((uint16_t)c), bf16_to_f32((uint16_t)c)};
        digest_add(&d, v, sizeof v);
    }
    for (int c = 0; c < 256; c++) {
        float v[3] = {e4m3_to_f32((uint8_t)c), e8m0_to_f32((uint8_t)c), e2m1_to_f32(c & 15)};
        digest_add(&d, v, sizeof v);
    }
    digest_add(&d, fp8_int, sizeof fp8_int);
    digest_print(&d, "quant decode");

    d = digest_new();
    for (uint64_t u = 0; u <= UINT32_MAX; u += STRIDE) {
        float x = fm_float((uint32_t)u);
        uint16_t half[2] = {f32_to_f16(x), f32_to_bf16(x)};
        uint8_t small[2] = {f32_to_e4m3(x), f32_to_e2m1(x)};
        digest_add(&d, half, sizeof half);
        digest_add(&d, small, sizeof small);
    }
    digest_print(&d, "quant encode");
}

/* Values of many magnitudes, some zero, a few not finite. */
static void fill(float *x, uint64_t key)
{
    for (uint64_t i = 0; i < VALUES; i++) {
        uint32_t group = (uint32_t)noise(key + 1, i / 256);
        float scale = fm_float((40u + group % 170u) << 23);
        x[i] = noise(key + 2, i) % 11 ? noise_float(key, i) * scale : 0.0f;
    }
    x[noise(key, 7) % VALUES] = fm_float(0x7f800000u);
    x[noise(key, 8) % VALUES] = fm_nan();
}

void bits_of_quant(void)
{
    static float x[VALUES], y[VALUES], scale[VALUES / 32];
    static uint8_t code[2 * VALUES], byte[VALUES / 32];
    static int8_t q[VALUES];
    static int16_t pairs[VALUES / 16];
    struct digest fp8 = digest_new(), fp4 = digest_new(), act8 = digest_new(), q8 = digest_new();
    bits_of_conversions();
    for (uint64_t round = 0; round < 16; round++) {
        fill(x, round * 100);
        fp8_sim_encode(code, byte, x, VALUES);
        fp8_sim_decode(y, code, byte, VALUES);
        digest_add(&fp8, code, VALUES);
        digest_add(&fp8, byte, VALUES / 64);
        digest_add(&fp8, y, sizeof y);

        fp4_sim_encode(code, byte, x, VALUES);
        fp4_sim_decode(y, code, byte, VALUES);
        digest_add(&fp4, code, VALUES / 2);
        digest_add(&fp4, byte, VALUES / 32);
        digest_add(&fp4, y, sizeof y);

        act8_encode(q, scale, pairs, x, VALUES);
        digest_add(&act8, q, sizeof q);
        digest_add(&act8, scale, sizeof scale);
        digest_add(&act8, pairs, sizeof pairs);

        for (uint64_t i = 0; i < VALUES; i++)
            x[i] = noise_float(round, i) * fm_float((110u + (uint32_t)round) << 23);
        if (q8_0_encode(code, x, VALUES)) abort();
        q8_0_decode(y, code, VALUES);
        digest_add(&q8, code, VALUES / 32 * 34);
        digest_add(&q8, y, sizeof y);
    }
    digest_print(&fp8, "quant fp8_sim");
    digest_print(&fp4, "quant fp4_sim");
    digest_print(&act8, "quant act8");
    digest_print(&q8, "quant q8_0");
}

/* bits [ISA [THREADS]] */
int main(int argc, char **argv)
{
    const char *isa = argc > 1 ? argv[1] : "ref";
    int threads = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1;
    bits_of_fmath();
    bits_of_quant();
    for (int mode = MODE_DEFAULT; mode <= MODE_FLOAT; mode++)
        bits_of_forward((enum numeric_mode)mode, isa, threads);
    return 0;
}
