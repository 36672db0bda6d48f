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

// What every update takes besides the rule's constants. Numbers `start` to `end` of the row of trained
// numbers are updated; those from `free` on are kept between low and high, [count - free]. If `blocks` is
// not 0, gradients are scaled first by min(1, max_norm / (norm + 1e-6)), with the norm of all of them from
// `squares`, [blocks].
struct Row {
    float *w;
    const float *g;
    float *kept[2];
    u64 start, end, free;
    const float *low, *high;
    u32 *flag;
    const double *squares;
    double max_norm;
    u64 blocks;
};

// The rules of src/optim, bit for bit as the CPU engine computes them: the new weight; the kept numbers
// change in place.

INLINE float decayed(float weight_decay, float w, float g) {
    return weight_decay > 0.0f ? __builtin_fmaf(w, weight_decay, g) : g;
}

// 0 where it is no longer normal.
INLINE float faded(float mean) { return __builtin_fabsf(mean) < 0x1p-126f ? 0.0f : mean; }

struct Sgd {
    float lr, weight_decay;
    static const u32 kept = 0;
    INLINE float step(float w, float g, float *) const {
        return w - decayed(weight_decay, w, g) * lr;
    }
};

struct Momentum {
    float lr, momentum, weight_decay;
    u32 nesterov;
    static const u32 kept = 1;
    INLINE float step(float w, float g, float *now) const {
        g = decayed(weight_decay, w, g);
        now[0] = faded(__builtin_fmaf(now[0], momentum, g));
        const float along = nesterov ? __builtin_fmaf(now[0], momentum, g) : now[0];
        return w - along * lr;
    }
};

struct Adam {
    float beta1, beta2, gain1, gain2, step_size, scale, eps, weight_decay, shrink;
    static const u32 kept = 2;
    INLINE float step(float w, float g, float *now) const {
        g = decayed(weight_decay, w, g);
        w = shrink == 1.0f ? w : w * shrink;
        now[0] = faded(__builtin_fmaf(beta1, now[0], gain1 * g));
        now[1] = __builtin_fmaf(beta2, now[1], gain2 * (g * g));
        const float below = __builtin_fmaf(__nvvm_sqrt_rn_f(now[1]), scale, eps);
        return w - step_size * now[0] / below;
    }
};

struct Adamax {
    float beta1, beta2, gain1, step_size, eps, weight_decay;
    static const u32 kept = 2;
    INLINE float step(float w, float g, float *now) const {
        g = decayed(weight_decay, w, g);
        now[0] = faded(__builtin_fmaf(beta1, now[0], gain1 * g));
        const float before = now[1] * beta2, size = __builtin_fabsf(g) + eps;
        now[1] = before > size ? before : size;
        return w - step_size * now[0] / now[1];
    }
};

// One update of a part of the row, unless flag[0] refuses the batch. flag[1] is set where a number or what
// is kept for it has become infinite.
template <class Rule> INLINE void update(const Row &row, const Rule &rule) {
    __shared__ double scratch[256];
    if (row.flag[0]) {
        return;
    }
    float shrink = 1.0f;
    if (row.blocks) {
        double sum = 0.0;
        for (u32 k = tid_x(); k < row.blocks; k += 256) {
            sum += row.squares[k];
        }
        of_block(sum, scratch);
        barrier();
        const double factor = row.max_norm / (__nvvm_sqrt_rn_d(scratch[0]) + 1e-6);
        shrink = factor < 1.0 ? (float)factor : 1.0f;
    }
    for (u32 turn = 0; turn < 4; turn++) {
        const u64 i = row.start + ((u64)ctaid_x() * 4 + turn) * 256 + tid_x();
        if (i >= row.end) {
            return;
        }
        float now[2] = {0.0f, 0.0f};
#pragma unroll
        for (u32 k = 0; k < Rule::kept; k++) {
            now[k] = row.kept[k][i];
        }
        float updated = rule.step(row.w[i], row.blocks ? row.g[i] * shrink : row.g[i], now);
        if (i >= row.free) {
            const float least = row.low[i - row.free], most = row.high[i - row.free];
            updated = updated < least ? least : updated;
            updated = updated > most ? most : updated;
        }
#pragma unroll
        for (u32 k = 0; k < Rule::kept; k++) {
            row.kept[k][i] = now[k];
        }
        row.w[i] = updated;
        if (!finite(updated) || !finite(now[0]) || !finite(now[1])) {
            refuse(row.flag + 1, ParameterNotFinite);
        }
    }
}

#define ROW_ARGS                                                                                   \
    float *w, const float *g, float *first, float *second, u64 start, u64 end, u64 free,           \
        const float *low, const float *high, u32 *flag, const double *squares, double max_norm,    \
        u64 blocks
#define ROW Row{w, g, {first, second}, start, end, free, low, high, flag, squares, max_norm, blocks}

// Grid of each: a thread for four entries, 256 apart. Traffic: 8 bytes read and 4 written an entry, and 4
// each way for every number kept, coalesced; 8 bytes for each of `squares` a block, from L2.
extern "C" __global__ __launch_bounds__(256) void sgd(ROW_ARGS, float lr, float weight_decay) {
    update(ROW, Sgd{lr, weight_decay});
}

extern "C" __global__ __launch_bounds__(256) void momentum(ROW_ARGS, float lr, float momentum,
                                                           float weight_decay, u32 nesterov) {
    update(ROW, Momentum{lr, momentum, weight_decay, nesterov});
}

extern "C" __global__ __launch_bounds__(256) void adam(ROW_ARGS, float beta1, float beta2,
                                                       float gain1, float gain2, float step_size,
                                                       float scale, float eps, float weight_decay,
                                                       float shrink) {
    update(ROW, Adam{beta1, beta2, gain1, gain2, step_size, scale, eps, weight_decay, shrink});
}

extern "C" __global__ __launch_bounds__(256) void adamax(ROW_ARGS, float beta1, float beta2,
                                                         float gain1, float step_size, float eps,
                                                         float weight_decay) {
    update(ROW, Adamax{beta1, beta2, gain1, step_size, eps, weight_decay});
}

// sum = weight g where it is the first, else sum + weight g. Grid: a thread an entry.
extern "C" __global__ __launch_bounds__(256) void accumulate(float *sum, const float *g, u64 count,
                                                             float weight, u32 first) {
    const u64 i = (u64)ctaid_x() * 256 + tid_x();
    if (i < count) {
        const float share = weight * g[i];
        sum[i] = first ? share : sum[i] + share;
    }
}
