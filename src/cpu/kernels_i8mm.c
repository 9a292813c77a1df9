#include "cpu/kernels_i8mm.h"

#include "cpu/kernels_neon.h"

const struct cpu_kernels kernels_i8mm = {
    .name = "i8mm",
    .quantise = quantise_neon,
    .matmul_int = matmul_int_i8mm,
    .matmul_f32 = matmul_f32_neon,
    .sum_squares = sum_squares_neon,
    .row_decode = row_decode_neon,
    .attend = attend_neon,
    .swiglu = swiglu_neon,
    .mix = mix_neon,
    .rope = rope_neon,
    .index_scores = index_scores_neon,
    .int_peak = int_peak_i8mm,
    .float_peak = float_peak_neon,
    .read_peak = read_peak_neon,
};
