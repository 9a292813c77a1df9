/* For kernels whose loops have constant bounds after inlining: unrolled, their arrays of vectors live in
 * registers. Private to cpu/. */
#pragma once

#define INLINE static inline __attribute__((always_inline))

#if defined(__clang__) /* takes GCC's pragma without a word and does nothing */
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
