// Images from bytes, sums over samples, and the update of src/optim.rs.
#include "spikegrad.cuh"

// y = x / 255. Grid: a thread for each. Traffic: 1 byte read, 4 written.
extern "C" __global__ __launch_bounds__(256) void scale(const unsigned char *x, float *y, u64 count) {
    const u64 i = (u64)ctaid_x() * 256 + tid_x();
    if (i < count) {
        y[i] = (float)x[i] / 255.0f;
    }
}

// out[c] = sum over rows of x[r, c]: the sums of (4) over samples, of (3) for beta and theta.
// Grid: blocks of 32 columns x 8 stripes of rows; stripe s adds rows s, s + 8, …, and the stripes
// are added in their order. Traffic: every entry is read once, by rows of 128 bytes.
extern "C" __global__ __launch_bounds__(256) void column_sums(const float *x, float *out, u32 rows,
                                                              u32 cols) {
    __shared__ float stripes[8][32];
    const u32 lane = tid_x() % 32, stripe = tid_x() / 32, c = ctaid_x() * 32 + lane;
    float sum = 0.0f;
    if (c < cols) {
        for (u32 r = stripe; r < rows; r += 8) {
            sum += x[(u64)r * cols + c];
        }
    }
    stripes[stripe][lane] = sum;
    barrier();
    if (stripe == 0 && c < cols) {
        for (int s = 1; s < 8; s++) {
            sum += stripes[s][lane];
        }
        out[c] = sum;
    }
}

// bad[block] = 1 if one of its gradients is a NaN or an infinity, else 0. Grid: any number of
// blocks, in strides. Traffic: 4 bytes read each.
extern "C" __global__ __launch_bounds__(256) void not_finite(const float *g, u64 count, u32 *bad) {
    __shared__ u32 warps[8];
    int found = 0;
    for (u64 i = (u64)ctaid_x() * 256 + tid_x(); i < count; i += (u64)nctaid_x() * 256) {
        found |= !(__builtin_fabsf(g[i]) < __builtin_inff());
    }
    for (int lanes = 16; lanes; lanes /= 2) {
        found |= shuffle_xor_int(found, lanes);
    }
    if (tid_x() % 32 == 0) {
        warps[tid_x() / 32] = (u32)found;
    }
    barrier();
    if (tid_x() == 0) {
        u32 any = 0;
        for (int w = 0; w < 8; w++) {
            any |= warps[w];
        }
        bad[ctaid_x()] = any;
    }
}

// One update of all trained numbers; those from `free` on are kept between low and high, [count -
// free]. Grid: a thread for each. Traffic: 16 bytes read, 12 written.
extern "C" __global__ __launch_bounds__(256) void adam(float *w, const float *g, float *m, float *v,
                                                       u64 count, u64 free, const float *low,
                                                       const float *high, float beta1, float beta2,
                                                       float gain1, float gain2, float step_size,
                                                       float root, float eps) {
    const u64 i = (u64)ctaid_x() * 256 + tid_x();
    if (i >= count) {
        return;
    }
    const float gradient = g[i];
    const float first = beta1 * m[i] + gain1 * gradient;
    const float second = beta2 * v[i] + gain2 * gradient * gradient;
    float updated = w[i] - step_size * first / (__nvvm_sqrt_rn_f(second) / root + eps);
    if (i >= free) {
        const float least = low[i - free], most = high[i - free];
        updated = updated < least ? least : updated;
        updated = updated > most ? most : updated;
    }
    m[i] = first;
    v[i] = second;
    w[i] = updated;
}
