/* Means, shares and quantiles with their uncertainty. */
#pragma once
#include <stddef.h>

struct interval {
    double low, high; /* NaN when there is none */
};

/* The 95 % score interval of a share of k in n (Wilson, JASA 22, 1927): for counts, also near 0 and 1.
 * k need not be whole. n > 0, else there is none. */
struct interval stats_wilson(double k, double n);

/* Mean of values that come in clusters of equal weight (windows of a text, whose tokens are not
 * independent): the standard error is that of the mean of cluster means. */
struct mean {
    double value;
    double error;          /* standard error; NaN with fewer than two clusters */
    struct interval range; /* 95 %: value +- 1.96 error */
};

struct mean stats_mean(const double *cluster_means, int n);

/* Quantile q in [0, 1] of n >= 1 ascending values, linear between neighbours. */
double stats_quantile(const float *sorted, size_t n, double q);

void stats_sort(float *values, size_t n);

/* Index of the i-th of `count` spread evenly over n, 0 <= i < count <= n: one of each n-th part, which one a
 * hash of i says, so that a pattern in the n (kinds in turn) is met in all its places. */
int stats_spread(int n, int count, int i);
