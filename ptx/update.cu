// Gradients from what the passes left of them, and the update of src/optim.rs.
#include "spikegrad.cuh"

// A tensor's gradient: the sum of `rows` rows of `entries` numbers, `stride` apart: parts of a product,
// samples, or blocks. Its blocks begin with number `first`; each has 256 threads. In one stripe, a thread
// adds the rows of `turns` entries, 256 apart, in their order; in 256 (of a single number), thread s adds
// rows s, s + 256, …, and a tree adds those.
struct Piece {
    const float *from;
    float *to;
    u64 stride, entries;
    u32 rows, stripes, first, turns;
};

// Sums over a block of 256 by a tree. `scratch` has 256, the sum is in the first: thread 0 may read it
// at once, the others after a barrier.
INLINE void of_block(double x, double *scratch) {
    scratch[tid_x()] = x;
    for (u32 half = 128; half; half /= 2) {
        barrier();
        if (tid_x() < half) {
            scratch[tid_x()] += scratch[tid_x() + half];
        }
    }
}

// The sums of (4) over parts and samples, of (3) for beta and theta. `flag` gets a bit where a gradient
// is not finite; squares[block], unless null, is the sum of their squares.
// Grid: the pieces' blocks, one piece after another.
// Traffic, bytes an entry: 4 for each row read, 4 written; a single row that lies where it belongs is
// only read. All coalesced (but for stripes of 256).
extern "C" __global__ __launch_bounds__(256) void collect(const Piece *pieces, u32 count, u32 *flag,
                                                          double *squares) {
    __shared__ float stripes[256];
    __shared__ double scratch[256];
    // Which piece: by the lanes of a warp at once.
    u32 k = 0;
    for (u32 from = 0; from < count; from += 32) {
        const u32 i = from + tid_x() % 32;
        k += __builtin_popcount(ballot(i < count && ctaid_x() >= pieces[i < count ? i : 0].first));
    }
    const Piece piece = pieces[k - 1];
    const u64 block = ctaid_x() - piece.first;
    const u32 columns = 256 / piece.stripes, column = tid_x() % columns, stripe = tid_x() / columns;
    const u64 stride = piece.stripes * piece.stride;
    double square = 0.0;
    bool bad = false;
    for (u32 turn = 0; turn < piece.turns; turn++) {
        const u64 i = (block * piece.turns + turn) * columns + column;
        const bool inside = i < piece.entries;
        float sum = 0.0f;
        if (inside && stripe < piece.rows) {
            const float *from = piece.from + stripe * piece.stride + i;
            sum = *from;
#pragma unroll 8
            for (u32 row = stripe + piece.stripes; row < piece.rows; row += piece.stripes) {
                from += stride;
                sum += *from;
            }
        }
        if (piece.stripes > 1) {
            stripes[tid_x()] = sum;
            for (u32 half = piece.stripes / 2; half; half /= 2) {
                barrier();
                if (stripe < half) {
                    stripes[tid_x()] += stripes[tid_x() + half * columns];
                }
            }
            sum = stripes[tid_x()];
        }
        if (inside && stripe == 0) {
            bad = bad || !finite(sum);
            if (squares) {
                square += (double)sum * (double)sum;
            }
            if (piece.to != piece.from || piece.rows > 1) {
                piece.to[i] = sum;
            }
        }
    }
    if (bad) {
        refuse(flag, GradientNotFinite);
    }
    if (squares) {
        of_block(square, scratch);
        if (tid_x() == 0) {
            squares[ctaid_x()] = scratch[0];
        }
    }
}

// One update of all trained numbers, as in src/engine/cpu/weights.rs bit for bit, unless flag[0] refuses
// the batch; those from `free` on are kept between low and high, [count - free]. flag[1] is set where a
// number or its second moment has become infinite. If `blocks` is not 0, gradients are scaled first by
// min(1, max_norm / (norm + 1e-6)), with the norm of all of them from `squares`, [blocks].
// Grid: a thread for four entries, 256 apart. Traffic: 16 bytes read, 12 written an entry, coalesced;
// 8 bytes for each of `squares` a block, from L2.
extern "C" __global__ __launch_bounds__(256) void adam(float *w, const float *g, float *m, float *v,
                                                       u64 count, u64 free, const float *low,
                                                       const float *high, float beta1, float beta2,
                                                       float gain1, float gain2, float step_size,
                                                       float scale, float eps, u32 *flag,
                                                       const double *squares, u32 blocks,
                                                       double max_norm) {
    __shared__ double scratch[256];
    if (flag[0]) {
        return;
    }
    float shrink = 1.0f;
    if (blocks) {
        double sum = 0.0;
        for (u32 k = tid_x(); k < blocks; k += 256) {
            sum += squares[k];
        }
        of_block(sum, scratch);
        barrier();
        const double factor = max_norm / (__nvvm_sqrt_rn_d(scratch[0]) + 1e-6);
        shrink = factor < 1.0 ? (float)factor : 1.0f;
    }
    for (u32 turn = 0; turn < 4; turn++) {
        const u64 i = ((u64)ctaid_x() * 4 + turn) * 256 + tid_x();
        if (i >= count) {
            return;
        }
        const float gradient = blocks ? g[i] * shrink : g[i];
        float first = __builtin_fmaf(beta1, m[i], gain1 * gradient);
        first = __builtin_fabsf(first) < 0x1p-126f ? 0.0f : first; // faded, as there
        const float second = __builtin_fmaf(beta2, v[i], gain2 * (gradient * gradient));
        const float below = __builtin_fmaf(__nvvm_sqrt_rn_f(second), scale, eps);
        float updated = w[i] - step_size * first / below;
        if (i >= free) {
            const float least = low[i - free], most = high[i - free];
            updated = updated < least ? least : updated;
            updated = updated > most ? most : updated;
        }
        m[i] = first;
        v[i] = second;
        w[i] = updated;
        if (!finite(updated) || !finite(second)) {
            refuse(flag + 1, ParameterNotFinite);
        }
    }
}
