#include "cpu/kernels_avxvnni.h"

#include "cpu/kernels_avx2.h"

const struct cpu_kernels kernels_avxvnni = {
    .name = "avxvnni",
    .quantise = quantise_avx2,
    .matmul_int = matmul_int_avxvnni,
    .matmul_f32 = matmul_f32_avx2,
    .sum_squares = sum_squares_avx2,
    .row_decode = row_decode_avx2,
    .attend = attend_avx2,
    .swiglu = swiglu_avx2,
    .mix = mix_avx2,
    .rope = rope_avx2,
    .index_scores = index_scores_avxvnni,
    .int_peak = int_peak_avxvnni,
    .float_peak = float_peak_avx2,
    .read_peak = read_peak_avx2,
};
