#include "cpu/kernels_ref.h"
#include "quant/act8.h"

const struct cpu_kernels kernels_ref = {
    .name = "ref",
    .quantise = act8_encode,
    .matmul_int = matmul_int_ref,
    .matmul_f32 = matmul_f32_ref,
    .sum_squares = sum_squares_ref,
    .row_decode = row_decode_ref,
    .attend = attend_ref,
    .swiglu = swiglu_ref,
    .mix = mix_ref,
    .rope = rope_ref,
    .index_scores = index_scores_ref,
    .int_peak = int_peak_ref,
    .float_peak = float_peak_ref,
    .read_peak = read_peak_ref,
};
