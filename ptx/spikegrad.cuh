// The few builtins that the kernels use, in place of the CUDA toolkit's headers, and what several
// kernels share.
#pragma once

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
// Inlined by force: a call would take shared memory by generic addresses.
#define INLINE __device__ inline __attribute__((always_inline))
// The same of a lambda.
#define ALWAYS __attribute__((always_inline))

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define tid_x() ((u32)__nvvm_read_ptx_sreg_tid_x())
#define ctaid_x() ((u32)__nvvm_read_ptx_sreg_ctaid_x())
#define ctaid_y() ((u32)__nvvm_read_ptx_sreg_ctaid_y())
#define ctaid_z() ((u32)__nvvm_read_ptx_sreg_ctaid_z())
#define ntid_x() ((u32)__nvvm_read_ptx_sreg_ntid_x())
#define barrier() __syncthreads()
#define warp_barrier() __nvvm_bar_warp_sync(~0u)
#define ballot(p) ((u32)__nvvm_vote_ballot_sync(~0u, (p)))
#define shuffle_from(x, lane) ((u32)__nvvm_shfl_sync_idx_i32(~0u, (int)(x), (lane), 31))
#define shuffle_up(x, lanes, segment)                                                                \
    ((u32)__nvvm_shfl_sync_up_i32(~0u, (int)(x), (lanes), (32 - (segment)) << 8))
#define shuffle_xor_int(x, lanes) ((u32)__nvvm_shfl_sync_bfly_i32(~0u, (int)(x), (lanes), 31))
#define shuffle_xor(x, lanes) __nvvm_shfl_sync_bfly_f32(~0u, (x), (lanes), 31)

// Bits of the two words by which a batch is refused: no parameter changes while the first is not 0, and
// the second tells of parameters that have become infinite.
enum { LossNotFinite = 1, GradientNotFinite = 2, ParameterNotFinite = 1 };

// Integers alone are added atomically: their sums do not depend on the order.
INLINE void add_count(u64 *count, u32 more) {
    if (more) {
        __atomic_fetch_add(count, (u64)more, __ATOMIC_RELAXED);
    }
}

INLINE void refuse(u32 *flag, u32 why) { __atomic_fetch_or(flag, why, __ATOMIC_RELAXED); }

INLINE bool finite(float x) { return __builtin_fabsf(x) < __builtin_inff(); }

// Spikes lie as bits: word w of a sample and step has neurons 32 w to 32 w + 31.
INLINE u32 words_of(u32 neurons) { return (neurons + 31) / 32; }

// Bit `n` of a word as 0.0 or 1.0.
INLINE float bit(u32 word, u32 n) {
    return word & 1u << n ? 1.0f : 0.0f;
}

INLINE float warp_sum(float x) {
    for (int lanes = 16; lanes; lanes /= 2) {
        x += shuffle_xor(x, lanes);
    }
    return x;
}

// e^x, clamped to -87 <= x <= 88: `exp` of src/engine/cpu/simd/mod.rs, operation by operation, so that
// both have the same bits; about 1 ulp. NaN stays NaN.
INLINE float exp_clamped(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    const float magic = 12582912.0f, shifted = __builtin_fmaf(x, 1.44269504088896340736f, magic);
    const float n = shifted - magic;
    float r = __builtin_fmaf(n, -0.6933594f, x);
    r = __builtin_fmaf(n, 2.1219444e-4f, r);
    float p = 1.9875691e-4f;
    p = __builtin_fmaf(p, r, 1.3981999e-3f);
    p = __builtin_fmaf(p, r, 8.333452e-3f);
    p = __builtin_fmaf(p, r, 4.1665796e-2f);
    p = __builtin_fmaf(p, r, 1.6666665e-1f);
    p = __builtin_fmaf(p, r, 5.0e-1f);
    p = __builtin_fmaf(p, r * r, r + 1.0f);
    // 2^n: n stands in the low bits of `shifted`.
    return p * __builtin_bit_cast(float, (__builtin_bit_cast(u32, shifted) << 23) + 0x3f800000u);
}

// e^x of a logit below the largest, 0 below 2^-64: `NO_PROBABILITY` of src/engine/cpu/loss.rs, which has
// the reason. NaN stays NaN.
INLINE float likelihood(float x) {
    const float e = exp_clamped(x);
    return e <= 5.4210109e-20f ? 0.0f : e;
}

// ln x for x >= 1 (Cephes' polynomial). Infinity and NaN stay what they are.
__device__ inline float ln_from_one(float x) {
    const u32 bits = __builtin_bit_cast(u32, x);
    float e = (float)((int)(bits >> 23) - 126);
    float m = __builtin_bit_cast(float, (bits & 0x007fffffu) | 0x3f000000u); // in [1/2, 1)
    const bool low = m < 0.707106781f;
    e -= low ? 1.0f : 0.0f;
    m += (low ? m : 0.0f) - 1.0f;
    const float z = m * m;
    float p = 7.0376836292e-2f;
    p = __builtin_fmaf(p, m, -1.1514610310e-1f);
    p = __builtin_fmaf(p, m, 1.1676998740e-1f);
    p = __builtin_fmaf(p, m, -1.2420140846e-1f);
    p = __builtin_fmaf(p, m, 1.4249322787e-1f);
    p = __builtin_fmaf(p, m, -1.6668057665e-1f);
    p = __builtin_fmaf(p, m, 2.0000714765e-1f);
    p = __builtin_fmaf(p, m, -2.4999993993e-1f);
    p = __builtin_fmaf(p, m, 3.3333331174e-1f);
    float y = p * m * z;
    y = __builtin_fmaf(e, -2.12194440e-4f, y);
    y = __builtin_fmaf(z, -0.5f, y);
    y = __builtin_fmaf(e, 0.693359375f, m + y);
    return x < __builtin_inff() ? y : x;
}
