// Matrix products: (1), (4) and (5) of src/engine/reference.rs.
//
//   C[m, n] = sum over k of A[m, k] B[k, n]
//
// | kernel       | A                       | B                       | equation |
// |--------------|-------------------------|-------------------------|----------|
// | gemm_forward | data, [m, k]            | weights, [n, k]         | (1) of the first layer |
// | gemm_weights | adjoints a, [k, m]      | data, [k, n]            | (4) for weights |
// | gemm_below   | adjoints a, [m, k]      | weights, [k, n]         | (5) |
//
// Data are what a layer reads: floats, the bytes of an image (x = byte / 255), or spikes, as bits (not in
// gemm_forward: see spikes.cuh). C is row by row. Each sum runs over k in rising order, by fused
// multiply-adds; forward it begins at the bias, and is that of src/engine/cpu/current.rs.
//
// All but gemm_forward, which stands at the end:
// Grid: x tiles of C by rows, y by columns, z parts of k; 256 threads each. Part z leaves its sum in
// C + z m n; whoever reads C adds the parts in their order. Where there is one part, and C is a gradient,
// `flag` gets a bit if it is not finite; else it is null.
//
// Traffic: of a tile T x T and a slice of 16 of k, 2 * 16 T numbers are read once into shared memory
// (4, 1 or 1/8 bytes each; along k by runs of 16, else by runs of T) and each is used T times from
// there; 4 bytes of C are written once. The next slice is on its way to registers while this one is
// multiplied. From shared memory a thread reads 2 R floats (R = T / 16) for R * R multiply-adds, by
// vectors; a warp needs 8 of one tile and 4 of the other. A slice's row is T + R floats long, so that
// vectors stored along k (16 rows apart) do not meet in a bank.
#include "spikegrad.cuh"

enum { Floats, Bytes, Bits };

// byte / 255, rounded correctly: a quotient and one step of refinement (which is exact for all 256;
// a division would also look for the ranges that these operands never reach).
INLINE float of_byte(u8 byte) {
    const float x = (float)byte, inverse = 1.0f / 255.0f, q = x * inverse;
    return __builtin_fmaf(__builtin_fmaf(-q, 255.0f, x), inverse, q);
}

// What a thread brings of a slice: R numbers. ALONG_K: one entry of k, rows R q to R q + R - 1;
// else one row (or column), and R entries of k.
template <int T, bool ALONG_K>
INLINE void fetch(int kind, const void *from, u64 stride, u32 first, u32 count, u32 at, u32 to,
                  float (&into)[T / 16]) {
    constexpr int R = T / 16;
    const u32 tid = tid_x();
    u64 index[R];
    u32 column[R];
    bool inside[R];
#pragma unroll
    for (int i = 0; i < R; i++) {
        const u32 k = at + (ALONG_K ? tid % 16 : tid / T + 256 / T * i);
        const u32 r = first + (ALONG_K ? tid / 16 * R + i : tid % T);
        inside[i] = k < to && r < count;
        column[i] = ALONG_K ? k : r;
        index[i] = (u64)(ALONG_K ? r : k) * stride;
    }
    if (kind == Floats) {
#pragma unroll
        for (int i = 0; i < R; i++) {
            into[i] = inside[i] ? ((const float *)from)[index[i] + column[i]] : 0.0f;
        }
    } else if (kind == Bytes) {
#pragma unroll
        for (int i = 0; i < R; i++) {
            into[i] = inside[i] ? of_byte(((const u8 *)from)[index[i] + column[i]]) : 0.0f;
        }
    } else {
#pragma unroll
        for (int i = 0; i < R; i++) {
            const u32 word = inside[i] ? ((const u32 *)from)[index[i] + column[i] / 32] : 0;
            into[i] = bit(word, column[i] % 32);
        }
    }
}

template <int R> using vector = float __attribute__((ext_vector_type(R)));

template <int T, bool ALONG_K> INLINE void keep(float (*tile)[T + T / 16], float (&values)[T / 16]) {
    constexpr int R = T / 16;
    const u32 tid = tid_x();
    if (ALONG_K) {
        vector<R> all;
#pragma unroll
        for (int i = 0; i < R; i++) {
            all[i] = values[i];
        }
        *(vector<R> *)&tile[tid % 16][tid / 16 * R] = all;
    } else {
#pragma unroll
        for (int i = 0; i < R; i++) {
            tile[tid / T + 256 / T * i][tid % T] = values[i];
        }
    }
}

template <int T, bool A_ALONG_K, bool B_ALONG_K>
INLINE void product(int kind_a, const void *a, u64 a_stride, int kind_b, const void *b, u64 b_stride,
                    float *c, u32 m, u32 n, u32 k, u32 part, u32 *flag, float (*tile_a)[T + T / 16],
                    float (*tile_b)[T + T / 16]) {
    constexpr int R = T / 16; // rows and columns of C for each thread
    constexpr int TURNS = T == 32 ? 4 : A_ALONG_K ? 8 : 16; // of the inner loop, at once
    // A warp has 8 columns and 4 rows of threads, such that neighbouring lanes share their columns and
    // lanes two apart their rows: then a half-warp's vectors come in one pass.
    const u32 lane = tid_x() % 32, warp = tid_x() / 32;
    const u32 tx = warp % 2 * 8 + lane / 2 % 8, ty = warp / 2 * 4 + lane / 16 * 2 + lane % 2;
    const u32 row = ctaid_x() * T, col = ctaid_y() * T;
    const u32 from = ctaid_z() * part, left = k - from, to = from + (left < part ? left : part);
    float sum[R][R], next_a[R], next_b[R];
#pragma unroll
    for (int i = 0; i < R; i++) {
#pragma unroll
        for (int j = 0; j < R; j++) {
            sum[i][j] = 0.0f;
        }
    }
    fetch<T, A_ALONG_K>(kind_a, a, a_stride, row, m, from, to, next_a);
    fetch<T, B_ALONG_K>(kind_b, b, b_stride, col, n, from, to, next_b);
    for (u32 at = from; at < to; at += 16) {
        keep<T, A_ALONG_K>(tile_a, next_a);
        keep<T, B_ALONG_K>(tile_b, next_b);
        barrier();
        if (at + 16 < to) {
            fetch<T, A_ALONG_K>(kind_a, a, a_stride, row, m, at + 16, to, next_a);
            fetch<T, B_ALONG_K>(kind_b, b, b_stride, col, n, at + 16, to, next_b);
        }
#pragma unroll TURNS
        for (int s = 0; s < 16; s++) {
            const vector<R> left = *(const vector<R> *)&tile_a[s][ty * R];
            const vector<R> right = *(const vector<R> *)&tile_b[s][tx * R];
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
    if (flag) {
        bool bad = false;
#pragma unroll
        for (int i = 0; i < R; i++) {
#pragma unroll
            for (int j = 0; j < R; j++) {
                bad = bad || !finite(sum[i][j]); // 0 beyond the last row and column
            }
        }
        if (bad) {
            refuse(flag, GradientNotFinite);
        }
    }
    c += ctaid_z() * (u64)m * n;
    // By vectors where all of C's rows begin at the right addresses.
    const bool vectors = n % R == 0 && (u64)c % (4 * R) == 0;
#pragma unroll
    for (int i = 0; i < R; i++) {
        const u32 r = row + ty * R + i, q = col + tx * R;
        if (vectors && r < m && q < n) {
            vector<R> all;
#pragma unroll
            for (int j = 0; j < R; j++) {
                all[j] = sum[i][j];
            }
            *(vector<R> *)&c[(u64)r * n + q] = all;
        } else {
#pragma unroll
            for (int j = 0; j < R; j++) {
                if (r < m && q + j < n) {
                    c[(u64)r * n + q + j] = sum[i][j];
                }
            }
        }
    }
}

#define GEMM(T, NAME, A_ALONG_K, B_ALONG_K, KIND_A, KIND_B)                                          \
    extern "C" __global__ __launch_bounds__(256) void NAME##_##T(                                    \
        int kind, const void *a, u64 a_stride, const void *b, u64 b_stride, float *c, u32 m, u32 n,  \
        u32 k, u32 part, u32 *flag) {                                                                \
        __shared__ __attribute__((aligned(16))) float tile_a[16][T + T / 16];                        \
        __shared__ __attribute__((aligned(16))) float tile_b[16][T + T / 16];                        \
        (void)kind;                                                                                  \
        product<T, A_ALONG_K, B_ALONG_K>(KIND_A, a, a_stride, KIND_B, b, b_stride, c, m, n, k, part, \
                                         flag, tile_a, tile_b);                                      \
    }

// Tiles of 64 x 64 have 4 x 4 of C for each thread; those of 32 x 32, for narrow matrices, 2 x 2.
GEMM(64, gemm_weights, false, false, Floats, kind)
GEMM(32, gemm_weights, false, false, Floats, kind)
GEMM(64, gemm_below, true, false, Floats, Floats)
GEMM(32, gemm_below, true, false, Floats, Floats)

// Rows and columns of a tile of gemm_forward, and of k in a slice; a row in shared memory is such that
// vectors of eight neighbouring rows do not meet in a bank.
enum { SIDE = 32, SLICE = 32, LONG = SLICE + 4 };
typedef float four __attribute__((ext_vector_type(4)));

// Four neighbours along k as they lie in memory: floats, or the bytes of an image in the first of them.
// VECTORS: rows allow vectors. What is beyond the end is something else of the row.
template <bool VECTORS> INLINE four fetch_four(int kind, const void *row, u32 k, u32 end) {
    four x = {0.0f, 0.0f, 0.0f, 0.0f};
    if (VECTORS) {
        k = k < end ? k : end - 4;
        if (kind == Floats) {
            return *(const four *)((const float *)row + k);
        }
        x[0] = __builtin_bit_cast(float, *(const u32 *)((const u8 *)row + k));
        return x;
    }
    u32 all = 0;
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
        const u32 at = k + i < end ? k + i : end - 1;
        if (kind == Floats) {
            x[i] = ((const float *)row)[at];
        } else {
            all |= (u32)((const u8 *)row)[at] << 8 * i;
        }
    }
    if (kind != Floats) {
        x[0] = __builtin_bit_cast(float, all);
    }
    return x;
}

// The four numbers from k on; 0 beyond the end.
template <bool VECTORS> INLINE four four_of(int kind, four x, u32 k, u32 end) {
    const u32 all = __builtin_bit_cast(u32, x[0]);
#pragma unroll
    for (u32 i = 0; i < 4; i++) {
        const bool there = VECTORS ? k < end : k + i < end;
        x[i] = there ? (kind == Floats ? x[i] : of_byte(all >> 8 * i & 255)) : 0.0f;
    }
    return x;
}

// C [m, n] = bias + data [m, k] weights [n, k]^T: one chain of fused multiply-adds for each entry, so k
// is not cut into parts. What that costs in parallelism, small tiles give back.
// Grid: x tiles of 32 x 32 by rows, y by columns; 128 threads, which have 2 x 4 entries each.
// Traffic: of a tile and a slice of 32 of k, 2 * 1024 numbers are read once, by four along k where rows
// allow it (4 or 1 bytes each), and each is used 32 times; 4 bytes of C are written once. Two slices are
// on their way while one is multiplied. Tiles lie in shared memory along k: of 4 of k a thread reads 6
// vectors for 32 multiply-adds.
template <bool VECTORS>
INLINE void forward_product(int kind, const void *a, const float *b, const float *bias, float *c, u32 m,
                            u32 n, u32 k, four (*tile_a)[LONG / 4], four (*tile_b)[LONG / 4]) {
    constexpr int TURNS = VECTORS ? 4 : 1; // of the inner loop, at once
    const u32 tid = tid_x(), lane = tid % 32, warp = tid / 32;
    // A warp has 4 columns and 8 rows of threads, such that neighbouring lanes share their columns and
    // lanes two apart their rows: then half a warp's vectors come in one pass.
    const u32 tx = warp % 2 * 4 + lane / 2 % 4, ty = warp / 2 * 8 + lane / 8 * 2 + lane % 2;
    const u32 row = ctaid_x() * SIDE, col = ctaid_y() * SIDE;
    float sum[2][4];
#pragma unroll
    for (u32 j = 0; j < 4; j++) {
        const u32 q = col + tx + 8 * j;
        sum[0][j] = sum[1][j] = bias[q < n ? q : n - 1];
    }
    // What a thread brings of a slice: four of k of two rows of each tile. Beyond the last row it brings
    // the last, of which nothing comes.
    const u32 own = tid / 8, first = tid % 8;
    const u64 size = kind == Floats ? 4 : 1;
    const u8 *from_a[2];
    const float *from_b[2];
#pragma unroll
    for (u32 i = 0; i < 2; i++) {
        const u32 r = row + own + 16 * i, q = col + own + 16 * i;
        from_a[i] = (const u8 *)a + (u64)(r < m ? r : m - 1) * k * size;
        from_b[i] = b + (u64)(q < n ? q : n - 1) * k;
    }
    struct Slice {
        four a[2], b[2];
    } one, two;
    const auto fetch = [&](u32 at, Slice &into) {
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            into.a[i] = fetch_four<VECTORS>(kind, from_a[i], at + 4 * first, k);
            into.b[i] = fetch_four<VECTORS>(Floats, from_b[i], at + 4 * first, k);
        }
    };
    const auto multiply = [&](Slice &slice, u32 at) {
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            // Beyond the end, 0 times whatever weights.
            tile_a[own + 16 * i][first] = four_of<VECTORS>(kind, slice.a[i], at + 4 * first, k);
            tile_b[own + 16 * i][first] = slice.b[i];
        }
        barrier();
        fetch(at + 2 * SLICE, slice);
#pragma unroll TURNS
        for (u32 s = 0; s < SLICE / 4; s++) {
            four x[2], w[4];
#pragma unroll
            for (u32 i = 0; i < 2; i++) {
                x[i] = tile_a[ty + 16 * i][s];
            }
#pragma unroll
            for (u32 j = 0; j < 4; j++) {
                w[j] = tile_b[tx + 8 * j][s];
            }
#pragma unroll
            for (u32 q = 0; q < 4; q++) {
#pragma unroll
                for (u32 i = 0; i < 2; i++) {
#pragma unroll
                    for (u32 j = 0; j < 4; j++) {
                        sum[i][j] = __builtin_fmaf(x[i][q], w[j][q], sum[i][j]);
                    }
                }
            }
        }
        barrier();
    };
    fetch(0, one);
    fetch(SLICE, two);
#pragma unroll 1
    for (u32 at = 0; at < k; at += 2 * SLICE) {
        multiply(one, at);
        if (at + SLICE < k) {
            multiply(two, at + SLICE);
        }
    }
#pragma unroll
    for (u32 i = 0; i < 2; i++) {
#pragma unroll
        for (u32 j = 0; j < 4; j++) {
            const u32 r = row + ty + 16 * i, q = col + tx + 8 * j;
            if (r < m && q < n) {
                c[(u64)r * n + q] = sum[i][j];
            }
        }
    }
}

extern "C" __global__ __launch_bounds__(128, 4) void gemm_forward(int kind, const void *a, const float *b,
                                                               const float *bias, float *c, u32 m,
                                                               u32 n, u32 k) {
    __shared__ four tile_a[SIDE][LONG / 4];
    __shared__ four tile_b[SIDE][LONG / 4];
    const u64 size = kind == Floats ? 4 : 1;
    const bool vectors = k % 4 == 0 && (u64)a % (4 * size) == 0 && (u64)b % 16 == 0;
    if (vectors) {
        forward_product<true>(kind, a, b, bias, c, m, n, k, tile_a, tile_b);
    } else {
        forward_product<false>(kind, a, b, bias, c, m, n, k, tile_a, tile_b);
    }
}
