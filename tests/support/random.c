#include "random.h"

/* splitmix64 */
uint64_t random_u64(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

int random_int(struct random *r, int first, int last)
{
    return first + (int)(random_u64(r) % (uint64_t)(last - first + 1));
}

float random_float(struct random *r)
{
    return (float)(int32_t)(uint32_t)random_u64(r) * 0x1p-31f;
}

float random_wild(struct random *r)
{
    float x = random_float(r);
    switch (random_int(r, 0, 19)) {
    case 0:
        return 0.0f;
    case 1:
        return x * 100.0f;
    case 2:
        return x * 0x1p-40f;
    default:
        return x;
    }
}

void random_floats(struct random *r, float *out, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = random_wild(r);
}
