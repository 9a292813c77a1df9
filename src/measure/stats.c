#include "measure/stats.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static const double Z = 1.959963984540054; /* 97.5 % of the normal distribution */

struct interval stats_wilson(double k, double n)
{
    if (!(n > 0)) return (struct interval){NAN, NAN};
    double p = k / n, z2 = Z * Z;
    double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = Z / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n));
    return (struct interval){fmax(0, middle - half), fmin(1, middle + half)};
}

struct mean stats_mean(const double *cluster_means, int n)
{
    struct mean m = {NAN, NAN, {NAN, NAN}};
    double sum = 0, squares = 0;
    if (n < 1) return m;
    for (int i = 0; i < n; i++)
        sum += cluster_means[i];
    m.value = sum / n;
    if (n < 2) return m;
    for (int i = 0; i < n; i++)
        squares += (cluster_means[i] - m.value) * (cluster_means[i] - m.value);
    m.error = sqrt(squares / (n - 1) / n);
    m.range = (struct interval){m.value - Z * m.error, m.value + Z * m.error};
    return m;
}

double stats_quantile(const float *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t i = (size_t)at;
    if (i + 1 >= n) return (double)sorted[n - 1];
    double part = at - (double)i;
    return (double)sorted[i] * (1 - part) + (double)sorted[i + 1] * part;
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void stats_sort(float *values, size_t n)
{
    qsort(values, n, sizeof *values, compare);
}

int stats_spread(int n, int count, int i)
{
    int64_t low = (int64_t)i * n / count, high = (int64_t)(i + 1) * n / count;
    uint64_t x = (uint64_t)i * 0x9e3779b97f4a7c15u; /* splitmix64 */
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return (int)(low + (int64_t)((x ^ x >> 31) % (uint64_t)(high - low)));
}
