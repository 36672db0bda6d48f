// Small kernels whose PTX covers what clang makes of ordinary CUDA C.
#include "cuda.cuh"

__constant__ float table[4] = {1.0f, 2.0f, 3.0f, 4.0f};
__device__ u32 visits = 7;
extern __shared__ float dynamic[];

extern "C" {

// Sums x; one partial sum for each block. Shuffles within a warp, dynamic shared memory between warps.
__global__ void reduce(const float *x, float *partial, int n) {
    float sum = 0.0f;
    for (int i = ctaid_x() * ntid_x() + tid_x(); i < n; i += ntid_x() * nctaid_x()) {
        sum += x[i];
    }
    for (int offset = 16; offset; offset >>= 1) {
        sum += __nvvm_shfl_sync_down_f32(~0u, sum, offset, 31);
    }
    if (tid_x() % 32 == 0) {
        dynamic[tid_x() / 32] = sum;
    }
    __syncthreads();
    if (tid_x() == 0) {
        float total = 0.0f;
        for (int warp = 0; warp < ntid_x() / 32; warp++) {
            total += dynamic[warp];
        }
        partial[ctaid_x()] = total;
    }
}

// y = x / (1 + |x|) * table[i % 4], and counts its threads.
__global__ void squash(const float *x, float *y, int n) {
    const int i = ctaid_x() * ntid_x() + tid_x();
    if (i < n) {
        y[i] = x[i] / (1.0f + __builtin_fabsf(x[i])) * table[i % 4];
        __nvvm_atom_add_gen_i((int *)&visits, 1);
    }
}

__device__ __noinline__ float series(float x, int terms) {
    float sum = 1.0f, term = 1.0f;
    for (int i = 1; i < terms; i++) {
        term = term * x / (float)i;
        sum += term;
    }
    return sum;
}

// A leaky integrator over `steps`, its spikes packed into a word per thread, and calls of a function.
__global__ void leaky(const float *input, u32 *spikes, float *u_out, float *series_out, float beta,
                      float threshold, int steps, int n) {
    const int i = ctaid_x() * ntid_x() + tid_x();
    if (i >= n) {
        return;
    }
    float u = 0.0f;
    u32 word = 0;
    for (int t = 0; t < steps; t++) {
        u = beta * u + input[t * n + i];
        if (u > threshold) {
            word |= 1u << t;
            u -= threshold;
        }
    }
    spikes[i] = word;
    u_out[i] = u;
    series_out[i] = series(input[i], 4 + i % 9);
}

// Indexed local memory, a switch, bytes, 64-bit arithmetic, vector loads, ballots.
__global__ void mixed(const float4 *v, const u8 *code, u32 *words, u64 *longs, u32 *ballots, int n) {
    const int i = ctaid_x() * ntid_x() + tid_x();
    if (i >= n) {
        return;
    }
    const float4 q = v[i];
    float local[8];
    for (int k = 0; k < 8; k++) {
        local[k] = q.x * k + q.y;
    }
    local[i & 7] += q.z;
    u32 w = (u32)(int)(local[(i * 5) & 7] * 1000.0f);
    switch (code[i]) {
    case 0: w += 3; break;
    case 1: w ^= 7; break;
    case 2: w *= 5; break;
    case 3: w /= 7; break;
    case 4: w %= 9; break;
    case 5: w <<= code[i]; break;
    default: w = __builtin_rotateleft32(w, 7);
    }
    words[i] = w;
    longs[i] = (u64)w * w / 1000003u + __builtin_popcount(w) + __builtin_clz(w | 1);
    const u32 ballot = __nvvm_vote_ballot_sync(~0u, q.w > 0.0f);
    if (tid_x() % 32 == 0) {
        ballots[i / 32] = ballot;
    }
}
}
