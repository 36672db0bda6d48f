// The leaky neurons of one layer through all of time, forward and back: (2) and (3) of
// src/engine/reference.rs. lif.cu makes kernels of it.
//
// A thread has one neuron, its state or adjoint in registers through all T steps. Blocks of up to
// 128 threads have neighbouring neurons of one sample: arrays over time are [T, B, N], so a warp's
// accesses are coalesced at every step. Spikes are bits, [T, B, N / 32] words: one word is written
// for a warp and step.
#pragma once
#include "lif.cuh"

// (2). `current` is [T, B, N], or [B, N] if it is the same at every step (step_stride 0). `when`, unless
// null, gets each neuron's spikes as a word for 32 steps, [T / 32, B, N]. `count` grows by the layer's
// spikes. The state before the first step is at rest or, if `carried`, in the row before it.
// Grid: ceil(N / block) blocks for each sample.
// Traffic, bytes per neuron and step: 4 read (only once if static), 4 written (4 more with `pre`), 1/8 for
// the spike and as much for `when`.
template <int DYNAMICS>
INLINE void layer_forward(const float *current, u64 step_stride, Constants<Leaky> layer, u32 *spikes,
                          u32 *when, Stored<float> stored, u64 *count, u32 steps, u32 batch,
                          u32 neurons, u32 carried, int reset) {
    const u32 blocks = (neurons + ntid_x() - 1) / ntid_x();
    const u32 b = ctaid_x() / blocks, n = ctaid_x() % blocks * ntid_x() + tid_x();
    const u32 words = words_of(neurons);
    const bool active = n < neurons, first = tid_x() % 32 == 0 && active;
    const u64 cells = (u64)batch * neurons, at = (u64)b * neurons + n;
    const Pair constants = constants_of(layer, n, active);
    current += at;
    stored.mem += at;
    if (stored.pre) {
        stored.pre += at;
    }
    spikes += (u64)b * words + n / 32;
    const bool keeps_pre = DYNAMICS == IntegrateFireReset && stored.pre;
    float mem = carried && active ? *(stored.mem - cells) : 0.0f;
    float input = active ? *current : 0.0f;
    u32 fired = 0, history = 0;
    const auto through = [&](auto which) ALWAYS {
        constexpr int RESET = decltype(which)::value;
        constexpr u32 TURN = DYNAMICS == FireThenIntegrate && RESET == Subtract ? 4 : 1; // steps a turn
#pragma unroll 1
        for (u32 t = 0; t < steps;) {
#pragma unroll
            for (u32 i = 0; i < TURN && t < steps; i++, t++) {
                // The next step's current, on its way while this one is used.
                float next = input;
                if (step_stride && active && t + 1 < steps) {
                    current += step_stride;
                    next = *current;
                }
                const Fired now = forward<DYNAMICS, RESET>(constants, mem, input);
                mem = now.mem;
                input = next;
                if (active) {
                    *stored.mem = mem;
                    if (keeps_pre) {
                        *stored.pre = now.pre;
                        stored.pre += cells;
                    }
                }
                stored.mem += cells;
                const u32 word = ballot(active && now.spike);
                if (first) {
                    *spikes = word;
                    fired += __builtin_popcount(word);
                }
                spikes += (u64)batch * words;
                history |= (now.spike ? 1u : 0u) << t % 32;
                if (when && active && (t % 32 == 31 || t + 1 == steps)) {
                    when[t / 32 * cells + at] = history;
                    history = 0;
                }
            }
        }
    };
    of_reset(reset, through);
    add_count(count, fired);
}

// The sums of (3) over samples for the derivative by a constant: of each neuron, [rows, N], or of a block
// where the layer shares one, [blocks].
INLINE void learn(float *out, u32 each, float value, bool active, u32 row, u32 n, u32 neurons,
                  float *scratch) {
    if (!out) {
        return;
    }
    if (each) {
        if (active) {
            out[(u64)row * neurons + n] = value;
        }
        return;
    }
    const float all = of_block(active ? value : 0.0f, scratch);
    if (tid_x() == 0) {
        out[ctaid_x()] = all;
    }
}

// (3). `g`, `e` (in `parts`) and `extra` (a loss's own share of e) are [T, B, N] or null; `price` is
// added to e. Writes a to `a`, [T, B, N] (null where its sum is enough), its sum over time to `sum`,
// [B, N]; where learnt (not null), the derivatives by the constants to `learnt`. `carried` as above: the
// state before the first step is a constant.
// Grid: ceil(N / block) blocks for each of `rows` samples; a block takes every rows-th.
// Traffic, bytes per neuron and step: 4 read for the membrane (4 more with `pre`), 4 for each
// of g, each part of e, and extra; 4 written (0 where the sum is enough).
template <int DYNAMICS>
INLINE void layer_backward(Stored<const float> stored, const float *g, const float *e, u32 parts,
                           u64 part_stride, const float *extra, float price, Constants<Leaky> layer,
                           float *a, float *sum, Learnt learnt, u32 steps, u32 batch, u32 neurons,
                           u32 rows, u32 carried, Rule rule, float *scratch) {
    const u32 blocks = (neurons + ntid_x() - 1) / ntid_x();
    const u32 row = ctaid_x() / blocks, n = ctaid_x() % blocks * ntid_x() + tid_x();
    const bool active = n < neurons;
    const Pair constants = constants_of(layer, n, active);
    const u64 cells = (u64)batch * neurons;
    rule.flat = !rule.attached && !e && !extra && price == 0.0f;
    Swept swept = {};
    for (u32 b = row; active && b < batch; b += rows) {
        const u64 cell = (u64)b * neurons + n;
        float now = mem_at(stored.mem, (steps - 1) * cells + cell, true);
        swept.back = 0.0f;
        swept.total = 0.0f;
        sweep<DYNAMICS, false>(
            rule, constants, stored, cell, cells, steps, 0, carried, now, swept,
            [&](u32, u64 at, float &at_mem, float &at_spike) {
                at_mem = g ? g[at] : 0.0f;
                if (e) {
                    at_spike = e[at];
                    for (u32 z = 1; z < parts; z++) {
                        at_spike += e[z * part_stride + at];
                    }
                }
                at_spike += (extra ? extra[at] : 0.0f) + price;
            },
            [&](u32, u64 at, float current) {
                if (a) {
                    a[at] = current;
                }
            });
        sum[cell] = swept.total;
    }
#pragma unroll
    for (u32 c = 0; c < Leaky::CONSTANTS; c++) {
        learn(learnt.out[c], layer.each[c], swept.constants.of[c], active, row, n, neurons, scratch);
    }
}

// The steps of a layer above that are staged at once.
enum { STAGED = 32 };
typedef float four __attribute__((ext_vector_type(4)));

// (3) below a narrow layer, whose share of (5) is formed on the way: with a_above [T, B, C] and its
// weights [C, N], e_t = a_above_t W, added from the price on in the order of C. `g`, `extra`, `price`,
// `a`, `sum` and the constants as above.
// Grid: ceil(N / block) blocks for each of `rows` samples; a block takes every rows-th.
// Traffic, bytes per neuron and step: 4 read for the membrane (4 more with `pre`), 4 for each
// of g and extra; 4 written for `a` (0 where the sum is enough); weights, 4 C a neuron, are in registers,
// a_above of the block's sample comes through shared memory by 16 bytes for all lanes. 2 C FLOP a step
// beside the adjoint's own.
template <int DYNAMICS, bool COMMON>
INLINE void layer_backward_narrow(Stored<const float> stored, const float *a_above,
                                  const float *weight, u32 classes, const float *g, const float *extra,
                                  float price, Constants<Leaky> layer, float *a, float *sum,
                                  Learnt learnt, u32 steps, u32 batch, u32 neurons, u32 rows,
                                  u32 carried, Rule rule, four (*above)[NARROW / 4], float *scratch) {
    const u32 blocks = (neurons + ntid_x() - 1) / ntid_x();
    const u32 row = ctaid_x() / blocks, n = ctaid_x() % blocks * ntid_x() + tid_x();
    const bool active = n < neurons;
    const Pair constants = constants_of(layer, n, active);
    const u64 cells = (u64)batch * neurons;
    four w[NARROW / 4];
#pragma unroll
    for (u32 c = 0; c < NARROW; c++) {
        w[c / 4][c % 4] = active && c < classes ? weight[(u64)c * neurons + n] : 0.0f;
    }
    Swept swept = {};
    for (u32 b = row; b < batch; b += rows) {
        const u64 cell = (u64)b * neurons + n;
        float now = mem_at(stored.mem, (steps - 1) * cells + cell, active);
        swept.back = 0.0f;
        swept.total = 0.0f;
        for (u32 top = steps; top > 0;) {
            const u32 bottom = top > STAGED ? top - STAGED : 0;
            barrier();
            const u32 c = tid_x() % NARROW;
            const float *from = a_above + (u64)b * classes + c;
            for (u32 t = bottom + tid_x() / NARROW; t < top; t += ntid_x() / NARROW) {
                ((float *)above[t - bottom])[c] = c < classes ? from[(u64)t * batch * classes] : 0.0f;
            }
            barrier();
            if (active) {
                const auto back = [&](auto fours) {
                    sweep<DYNAMICS, COMMON>(
                        rule, constants, stored, cell, cells, top, bottom, carried, now, swept,
                        [&](u32 t, u64 at, float &at_mem, float &at_spike) {
                            at_mem = g ? g[at] : 0.0f;
                            float e = price;
#pragma unroll
                            for (u32 k = 0; k < (u32)decltype(fours)::value; k++) {
                                const four from = above[t - bottom][k];
#pragma unroll
                                for (u32 i = 0; i < 4; i++) {
                                    e = __builtin_fmaf(from[i], w[k][i], e); // what is not there is 0
                                }
                            }
                            at_spike = extra ? e + extra[at] : e;
                        },
                        [&](u32, u64 at, float current) {
                            if (a) {
                                a[at] = current;
                            }
                        });
                };
                back(Constant<COMMON ? 3 : 4>());
            }
            top = bottom;
        }
        if (active) {
            sum[cell] = swept.total;
        }
    }
#pragma unroll
    for (u32 c = 0; c < Leaky::CONSTANTS; c++) {
        learn(learnt.out[c], layer.each[c], swept.constants.of[c], active, row, n, neurons, scratch);
    }
}

// One kernel of each for each of the dynamics. The bounds say how many blocks shall fit on a multiprocessor:
// they keep the registers of the backward ones from being cut to where they spill.
#define LAYER_FORWARD(NAME, DYNAMICS)                                                               \
    extern "C" __global__ __launch_bounds__(128) void NAME(                                         \
        const float *current, u64 step_stride, LEAKY_CONSTANTS, u32 *spikes, u32 *when, float *mem, \
        float *pre, u64 *count, u32 steps, u32 batch, u32 neurons, u32 carried, int reset) {        \
        layer_forward<DYNAMICS>(current, step_stride, LEAKY_CONSTANTS_GIVEN, spikes, \
                                               when, {mem, pre}, count, steps, batch, neurons,    \
                                               carried, reset);                                     \
    }

#define LAYER_BACKWARD(NAME, DYNAMICS)                                                              \
    extern "C" __global__ __launch_bounds__(128, 6) void NAME(                                      \
        const float *mem, const float *pre, const float *g, const float *e, u32 parts,              \
        u64 part_stride, const float *extra, float price, LEAKY_CONSTANTS, float *a, float *sum,    \
        LEAKY_LEARNT, u32 steps, u32 batch, u32 neurons, u32 rows, u32 carried, int reset,          \
        int attached, int surrogate, float peak, float scale, int common) {                         \
        __shared__ float scratch[4];                                                                \
        layer_backward<DYNAMICS>(                                                    \
            {mem, pre}, g, e, parts, part_stride, extra, price, LEAKY_CONSTANTS_GIVEN, a, sum,    \
            LEAKY_LEARNT_GIVEN, steps, batch, neurons, rows, carried,                               \
            {reset, attached, surrogate, peak, scale, common}, scratch);                            \
    }

#define LAYER_BACKWARD_NARROW(NAME, DYNAMICS)                                                       \
    extern "C" __global__ __launch_bounds__(128, 5) void NAME(                                      \
        const float *mem, const float *pre, const float *a_above, const float *weight, u32 classes, \
        const float *g, const float *extra, float price, LEAKY_CONSTANTS, float *a, float *sum,     \
        LEAKY_LEARNT, u32 steps, u32 batch, u32 neurons, u32 rows, u32 carried, int reset,          \
        int attached, int surrogate, float peak, float scale, int common) {                         \
        __shared__ four above[STAGED][NARROW / 4];                                                  \
        __shared__ float scratch[4];                                                                \
        layer_backward_narrow<DYNAMICS, false>(                                      \
            {mem, pre}, a_above, weight, classes, g, extra, price, LEAKY_CONSTANTS_GIVEN, a, sum, \
            LEAKY_LEARNT_GIVEN, steps, batch, neurons, rows, carried,                               \
            {reset, attached, surrogate, peak, scale, common}, above, scratch);                     \
    }
