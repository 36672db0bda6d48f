// The few builtins that the kernels use, in place of the CUDA toolkit's headers.
#pragma once

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))

typedef unsigned int u32;
typedef unsigned long long u64;

#define tid_x() ((u32)__nvvm_read_ptx_sreg_tid_x())
#define ctaid_x() ((u32)__nvvm_read_ptx_sreg_ctaid_x())
#define ctaid_y() ((u32)__nvvm_read_ptx_sreg_ctaid_y())
#define ctaid_z() ((u32)__nvvm_read_ptx_sreg_ctaid_z())
#define ntid_x() ((u32)__nvvm_read_ptx_sreg_ntid_x())
#define nctaid_x() ((u32)__nvvm_read_ptx_sreg_nctaid_x())
#define barrier() __syncthreads()
#define shuffle_xor(x, lanes) __nvvm_shfl_sync_bfly_f32(~0u, (x), (lanes), 31)
#define shuffle_xor_int(x, lanes) __nvvm_shfl_sync_bfly_i32(~0u, (x), (lanes), 31)

// e^x for x <= 0 (Cephes' polynomial): nothing but IEEE operations, so every device has the same
// bits; error below 2 ulp. NaN stays NaN.
__device__ inline float exp_negative(float x) {
    if (x < -103.0f) {
        return 0.0f;
    }
    const float n = __builtin_rintf(x * 1.44269504f);
    float r = __builtin_fmaf(n, -0.693359375f, x);
    r = __builtin_fmaf(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = __builtin_fmaf(p, r, 1.3981999507e-3f);
    p = __builtin_fmaf(p, r, 8.3334519073e-3f);
    p = __builtin_fmaf(p, r, 4.1665795894e-2f);
    p = __builtin_fmaf(p, r, 1.6666665459e-1f);
    p = __builtin_fmaf(p, r, 5.0000001201e-1f);
    p = __builtin_fmaf(p * r, r, r) + 1.0f;
    // 2^n in two factors, for results below the normal range.
    const int whole = x == x ? (int)n : 0, half = whole / 2;
    const u32 first = (u32)(half + 127) << 23, second = (u32)(whole - half + 127) << 23;
    return p * __builtin_bit_cast(float, first) * __builtin_bit_cast(float, second);
}

// ln x for x >= 1 (Cephes' polynomial). Infinity and NaN stay what they are.
__device__ inline float ln_from_one(float x) {
    if (!(x < __builtin_inff())) {
        return x;
    }
    const u32 bits = __builtin_bit_cast(u32, x);
    float e = (float)((int)(bits >> 23) - 126);
    float m = __builtin_bit_cast(float, (bits & 0x007fffffu) | 0x3f000000u); // in [1/2, 1)
    if (m < 0.707106781f) {
        e -= 1.0f;
        m += m;
    }
    m -= 1.0f;
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
    return __builtin_fmaf(e, 0.693359375f, m + y);
}
