#include "format/gguf_types.h"

#include <stddef.h>

static const char *const names[] = {
    "F32",   "F16",        "Q4_0",       "Q4_1",       "Q4_2",     "Q4_3",     "Q5_0",
    "Q5_1",  "Q8_0",       "Q8_1",       "Q2_K",       "Q3_K",     "Q4_K",     "Q5_K",
    "Q6_K",  "Q8_K",       "IQ2_XXS",    "IQ2_XS",     "IQ3_XXS",  "IQ1_S",    "IQ4_NL",
    "IQ3_S", "IQ2_S",      "IQ4_XS",     "I8",         "I16",      "I32",      "I64",
    "F64",   "IQ1_M",      "BF16",       "Q4_0_4_4",   "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",
    "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",    "NVFP4",
};

static const struct {
    enum dtype dtype;
    uint32_t number;
} readable[] = {
    {DT_F32, 0},  {DT_F16, 1},  {DT_Q4_0, 2},  {DT_Q8_0, 8},   {DT_I8, 24},
    {DT_I32, 26}, {DT_I64, 27}, {DT_BF16, 30}, {DT_MXFP4, 39},
};
enum { N_READABLE = sizeof readable / sizeof *readable };

enum dtype gguf_dtype(uint32_t ggml_type)
{
    for (int i = 0; i < N_READABLE; i++)
        if (readable[i].number == ggml_type) return readable[i].dtype;
    return DT_COUNT;
}

int gguf_number_of(enum dtype t)
{
    for (int i = 0; i < N_READABLE; i++)
        if (readable[i].dtype == t) return (int)readable[i].number;
    return -1;
}

const char *gguf_type_name(uint32_t ggml_type)
{
    return ggml_type < sizeof names / sizeof *names ? names[ggml_type] : "?";
}
