// The read-out's kernels for leaky neurons, and for all where the output is wide, see readout.cuh; and the
// currents of a wide layer above another.
#include "readout.cuh"

// A whole output layer's losses. Grid: a block for each sample.
// Traffic: spikes (bits) and mem [T, B, C] are read, the adjoint is written, once.
extern "C" __global__ __launch_bounds__(256, 2) void readout(
    const u32 *spikes, const float *mem, const u32 *targets, int loss, float on, float off,
    float share, float *adjoint, float *scratch, double *losses, u32 *by_count, u32 *by_membrane,
    u32 *flag, u32 steps, u32 batch, u32 classes) {
    __shared__ Shared shared;
    const u32 b = ctaid_x(), words = words_of(classes);
    losses_and_classes({spikes + (u64)b * words, (u64)batch * words}, mem, targets, loss, on, off, share,
                       adjoint, scratch, losses, by_count, by_membrane, flag, steps, batch, classes, b,
                       shared);
}

// A narrow output layer of leaky neurons at once.
extern "C" __global__ __launch_bounds__(256, 1) void readout_narrow(
    const u32 *below, u32 inputs, const float *weight, const float *bias, LEAKY_CONSTANTS, int dynamics,
    int reset, int attached, int surrogate, float peak, float scale, int common, u32 *spikes, float *mem,
    float *pre, u64 *count, const u32 *targets, int loss, float on, float off, float share, float *adjoint,
    u32 of_spikes, float *scratch, double *losses, u32 *by_count, u32 *by_membrane, u32 *flag, float *a,
    float *sum, LEAKY_LEARNT, u32 steps, u32 batch, u32 classes, u32 carried) {
    __shared__ Walk<2, 7> walk;
    __shared__ two currents[STEPS][NARROW / 2];
    __shared__ Shared shared;
    output_narrow(below, inputs, weight, bias, LEAKY_CONSTANTS_GIVEN, dynamics,
                                 {reset, attached, surrogate, peak, scale, common}, spikes, {mem, pre},
                                 count, targets, loss, on, off, share, adjoint, of_spikes, scratch, losses,
                                 by_count, by_membrane, flag, a, sum, LEAKY_LEARNT_GIVEN, steps, batch,
                                 classes, carried, walk, currents, shared);
}

// Currents (1) of a wide layer above another: C [m, n] = bias + spikes [m, k], as bits, times weights
// [n, k]^T.
// Grid: x blocks of 32 rows, four for each of 8 warps; y of 64 columns.
// Traffic: a block reads its rows' bits and its columns' weights once; a spike costs 64 additions and as
// many floats from shared memory.
extern "C" __global__ __launch_bounds__(256, 1) void spikes_forward(const u32 *below, const float *weight,
                                                                    const float *bias, float *c, u32 m,
                                                                    u32 n, u32 k) {
    __shared__ Walk<8, 4> walk;
    const u32 lane = tid_x() % 32, warp = tid_x() / 32, first = ctaid_y() * 64;
    const u32 row = ctaid_x() * 8 * ROWS + warp * ROWS, columns = n - first < 64 ? n - first : 64;
    float current[ROWS][8];
    walk_spikes(
        walk, weight, bias, k, first, columns,
        [&](u32 r) { return row + r < m ? below + (u64)(row + r) * words_of(k) : (const u32 *)0; },
        current);
    // Each group of lanes writes one of the rows.
#pragma unroll
    for (u32 r = 0; r < ROWS; r++) {
        if (lane / 8 == r && row + r < m) {
#pragma unroll
            for (u32 v = 0; v < 8; v++) {
                const u32 q = v / 4 * 32 + lane % 8 * 4 + v % 4;
                if (q < columns) {
                    c[(u64)(row + r) * n + first + q] = current[r][v];
                }
            }
        }
    }
}
