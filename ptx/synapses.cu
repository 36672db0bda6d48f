// What connections within a layer and dropout need beside products. A module of its own: only networks with
// such layers load it.
#include "spikegrad.cuh"

enum { SIDE = 32 };

// to = from^T, both [n, n].
// Grid: tiles of 32 x 32 by columns and rows; 256 threads. Traffic: 4 bytes an entry each way, coalesced.
extern "C" __global__ __launch_bounds__(256) void transpose(const float *from, float *to, u32 n) {
    __shared__ float tile[SIDE][SIDE + 1];
    const u32 x = tid_x() % SIDE, y = tid_x() / SIDE, column = ctaid_x() * SIDE, row = ctaid_y() * SIDE;
    for (u32 i = y; i < SIDE; i += 256 / SIDE) {
        if (row + i < n && column + x < n) {
            tile[i][x] = from[(u64)(row + i) * n + column + x];
        }
    }
    barrier();
    for (u32 i = y; i < SIDE; i += 256 / SIDE) {
        if (column + i < n && row + x < n) {
            to[(u64)(column + i) * n + row + x] = tile[x][i];
        }
    }
}

// 0 to the diagonals of matrices [n, n], one after another. Grid: x a thread for each row, y the matrices.
extern "C" __global__ __launch_bounds__(256) void clear_diagonals(float *matrices, u32 n) {
    const u64 i = (u64)ctaid_x() * 256 + tid_x();
    if (i < n) {
        matrices[ctaid_y() * (u64)n * n + i * (n + 1)] = 0.0f;
    }
}

// The spikes that are left of some: words [rows, words], of which every `batch` rows have the masks `keep`
// [batch, words]. Grid: a thread for each word.
extern "C" __global__ __launch_bounds__(256) void drop_spikes(const u32 *spikes, const u32 *keep, u32 *left,
                                                              u64 count, u64 of_batch) {
    const u64 i = (u64)ctaid_x() * 256 + tid_x();
    if (i < count) {
        left[i] = spikes[i] & keep[i % of_batch];
    }
}

// to = scale * from of what is kept, else 0: numbers [rows, n], of which every `batch` rows have the masks
// `keep`, words of bits; all is kept where that is null. Grid: a thread for each number.
extern "C" __global__ __launch_bounds__(256) void scale_kept(const float *from, float *to, const u32 *keep,
                                                             u64 count, u32 batch, u32 n, float scale) {
    const u64 i = (u64)ctaid_x() * 256 + tid_x();
    if (i < count) {
        const u32 column = i % n, b = i / n % batch;
        const bool kept = !keep || keep[(u64)b * words_of(n) + column / 32] >> column % 32 & 1;
        to[i] = kept ? from[i] * scale : 0.0f;
    }
}
