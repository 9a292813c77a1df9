#include "format/dtype.h"

#include "base/err.h"

static const struct {
    const char *name;
    int values, bytes; /* of one block */
} dtypes[DT_COUNT] = {
    [DT_F32] = {"F32", 1, 4},         [DT_F16] = {"F16", 1, 2},
    [DT_BF16] = {"BF16", 1, 2},       [DT_F8_E4M3] = {"F8_E4M3", 1, 1},
    [DT_F8_E8M0] = {"F8_E8M0", 1, 1}, [DT_FP4] = {"FP4", 2, 1},
    [DT_I8] = {"I8", 1, 1},           [DT_U8] = {"U8", 1, 1},
    [DT_I32] = {"I32", 1, 4},         [DT_I64] = {"I64", 1, 8},
    [DT_Q8_0] = {"Q8_0", 32, 34},     [DT_Q4_0] = {"Q4_0", 32, 18},
    [DT_MXFP4] = {"MXFP4", 32, 17},
};

const char *dtype_name(enum dtype t)
{
    CHECK((unsigned)t < DT_COUNT, "dtype %d", (int)t);
    return dtypes[t].name;
}

int dtype_block(enum dtype t)
{
    CHECK((unsigned)t < DT_COUNT, "dtype %d", (int)t);
    return dtypes[t].values;
}

uint64_t dtype_row_bytes(enum dtype t, uint64_t n)
{
    CHECK((unsigned)t < DT_COUNT && n % (uint64_t)dtypes[t].values == 0 && n < UINT64_MAX / 64,
          "dtype %d of %llu values", (int)t, (unsigned long long)n);
    return n / (uint64_t)dtypes[t].values * (uint64_t)dtypes[t].bytes;
}
