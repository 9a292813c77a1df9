#include "cpu/kernels_avx2.h"
#include "cpu/kernels_avx512.h"

const struct cpu_kernels kernels_avx512 = {
    .name = "avx512",
    .quantise = quantise_avx512,
    .matmul_int = matmul_int_avx512,
    .matmul_f32 = matmul_f32_avx512,
    .sum_squares = sum_squares_avx512,
    .row_decode = row_decode_avx512,
    .attend = attend_avx512,
    .swiglu = swiglu_avx512,
    .mix = mix_avx512,
    .rope = rope_avx2,
    .index_scores = index_scores_avx512,
    .int_peak = int_peak_avx512,
    .float_peak = float_peak_avx512,
    .read_peak = read_peak_avx512,
};
