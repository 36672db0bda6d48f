// Matrix products: (1), (4) and (5) of src/engine/reference.rs.
//
//   C[m, n] = sum over k of A[m, k] B[k, n]  (+ bias[n])
//
// A and B have a stride for each of their two indices, so that transposed forms need no copy; C is
// row by row. Each sum runs over k in rising order, by fused multiply-adds.
//
// Grid: x tiles of C by rows, y by columns, z parts of k; 256 threads each. Part z of several
// leaves its sum in C + z M N, and `reduce` adds the parts in their order.
//
// Traffic: of a tile T x T and a slice of 16 of k, 2 * 16 T floats are read once into shared
// memory, by rows of at least 64 bytes, and each is used T times from there: T / 4 FLOP a byte.
// A slice's row in shared memory is T + 2 floats long, so that neither the stores (two rows of 16
// entries of k) nor the loads (16 columns, the rows broadcast) meet in a bank.
#include "spikegrad.cuh"

// Inlined by force: a call would take the tiles as generic addresses, not as shared memory.
template <int T>
__device__ inline __attribute__((always_inline)) void
product(const float *a, u64 a_row, u64 a_col, const float *b, u64 b_row, u64 b_col,
        const float *bias, float *c, u32 m, u32 n, u32 k, u32 part, float (*tile_a)[T + 2],
        float (*tile_b)[T + 2]) {
    constexpr int R = T / 16; // rows and columns of C for each thread
    const u32 tid = tid_x(), tx = tid % 16, ty = tid / 16;
    const u32 row = ctaid_x() * T, col = ctaid_y() * T;
    const u32 from = ctaid_z() * part, left = k - from, to = from + (left < part ? left : part);
    float sum[R][R];
#pragma unroll
    for (int i = 0; i < R; i++) {
#pragma unroll
        for (int j = 0; j < R; j++) {
            sum[i][j] = 0.0f;
        }
    }
    for (u32 at = from; at < to; at += 16) {
#pragma unroll
        for (int i = 0; i < R; i++) {
            // Neighbouring threads read along the index whose entries are neighbours in memory.
            u32 r = a_col == 1 ? ty + 16 * i : (tid + 256 * i) % T;
            u32 s = a_col == 1 ? tx : (tid + 256 * i) / T;
            tile_a[s][r] = row + r < m && at + s < to ? a[(row + r) * a_row + (at + s) * a_col] : 0.0f;
            r = b_row == 1 ? ty + 16 * i : (tid + 256 * i) % T;
            s = b_row == 1 ? tx : (tid + 256 * i) / T;
            tile_b[s][r] = col + r < n && at + s < to ? b[(at + s) * b_row + (col + r) * b_col] : 0.0f;
        }
        barrier();
#pragma unroll
        for (int s = 0; s < 16; s++) {
            float left[R], right[R];
#pragma unroll
            for (int i = 0; i < R; i++) {
                left[i] = tile_a[s][ty + 16 * i];
                right[i] = tile_b[s][tx + 16 * i];
            }
#pragma unroll
            for (int i = 0; i < R; i++) {
#pragma unroll
                for (int j = 0; j < R; j++) {
                    sum[i][j] = __builtin_fmaf(left[i], right[j], sum[i][j]);
                }
            }
        }
        barrier();
    }
    c += ctaid_z() * (u64)m * n;
#pragma unroll
    for (int i = 0; i < R; i++) {
#pragma unroll
        for (int j = 0; j < R; j++) {
            const u32 r = row + ty + 16 * i, q = col + tx + 16 * j;
            if (r < m && q < n) {
                c[(u64)r * n + q] = bias ? sum[i][j] + bias[q] : sum[i][j];
            }
        }
    }
}

#define GEMM(T)                                                                                      \
    extern "C" __global__ __launch_bounds__(256) void gemm_##T(                                      \
        const float *a, u64 a_row, u64 a_col, const float *b, u64 b_row, u64 b_col,                  \
        const float *bias, float *c, u32 m, u32 n, u32 k, u32 part) {                                \
        __shared__ float tile_a[16][T + 2], tile_b[16][T + 2];                                       \
        product<T>(a, a_row, a_col, b, b_row, b_col, bias, c, m, n, k, part, tile_a, tile_b);        \
    }

// Large products: 4 x 4 of C for each thread.
GEMM(64)
// Small ones, to fill the device: 2 x 2.
GEMM(32)

// c[i] = sum over z of parts[z, i] (+ bias[i mod n]). Grid: a thread for each entry of C.
// Traffic: parts + 1 floats an entry, all coalesced.
extern "C" __global__ __launch_bounds__(256) void reduce(const float *parts, const float *bias,
                                                         float *c, u64 entries, u32 n, u32 count) {
    const u64 i = (u64)ctaid_x() * 256 + tid_x();
    if (i >= entries) {
        return;
    }
    float sum = parts[i];
    for (u32 z = 1; z < count; z++) {
        sum += parts[z * entries + i];
    }
    c[i] = bias ? sum + bias[i % n] : sum;
}
