/* Rope frequencies. Source: spec deepseek-v4, section 5; YaRN, arXiv:2309.00071, section 3.2. */
#include <stdlib.h>

#include "base/fmath.h"
#include "base/mem.h"
#include "model/layers.h"

static const double TWO_PI = 6.283185307179586476925286766559;

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* The pair whose wavelength fits n times into the original context. */
static double pair_of(double n, int dim, double theta, int original)
{
    return (double)dim * fm_log64((double)original / (n * TWO_PI)) / (2.0 * fm_log64(theta));
}

/* theta^(-2i / dim), for pairs below `low` as it is, above `high` divided by factor, between them a
 * linear ramp. In f32, operation by operation as DeepSeek's own code does it: the model was trained
 * with these very numbers, and at position 1,000 half an ulp of a frequency already moves a logit.
 * Only the power is computed in f64 and rounded once. */
static float *frequencies(int dim, double theta, double factor, double low, double high)
{
    float *freq = xcalloc((size_t)dim / 2, sizeof *freq);
    for (int i = 0; i < dim / 2; i++) {
        float exponent = (float)(2 * i) / (float)dim;
        float f = 1.0f / (float)fm_exp64((double)exponent * fm_log64(theta));
        float smooth = 1.0f - (float)clamp((i - low) / (high - low), 0.0, 1.0);
        freq[i] = f / (float)factor * (1.0f - smooth) + f * smooth;
    }
    return freq;
}

void model_rope_init(struct model *m)
{
    const struct config *c = &m->config;
    int dim = c->rope_dim;
    double low = pair_of(c->yarn_beta_fast, dim, c->compress_theta, c->yarn_original);
    double high = pair_of(c->yarn_beta_slow, dim, c->compress_theta, c->yarn_original);
    low = clamp(__builtin_floor(low), 0, dim - 1);
    high = clamp(__builtin_ceil(high), 0, dim - 1);
    if (high <= low) high = low + 0.001;
    m->rope[ROPE_PLAIN] = (struct rope){dim, frequencies(dim, c->rope_theta, 1.0, dim, dim + 1)};
    m->rope[ROPE_YARN] =
        (struct rope){dim, frequencies(dim, c->compress_theta, c->yarn_factor, low, high)};
}
