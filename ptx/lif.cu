// The neurons of one layer through all of time, forward and back: (2) and (3) of
// src/engine/reference.rs.
//
// A thread has one neuron, its membrane or adjoint in a register through all T steps. Blocks of up to
// 128 threads have neighbouring neurons of one sample: arrays over time are [T, B, N], so a warp's
// accesses are coalesced at every step. Spikes are bits, [T, B, N / 32] words: one word is written
// for a warp and step.
#include "lif.cuh"

// (2). `current` is [T, B, N], or [B, N] if it is the same at every step (step_stride 0), in `parts`
// that are added in their order, and to the bias. `pre` is null unless the spike reads another
// membrane than the one recorded. `count` grows by the layer's spikes.
// Grid: ceil(N / block) blocks for each sample.
// Traffic, bytes per neuron and step: 4 for each part read (only once if static), 4 written (8 with
// `pre`) and 1/8 for the spike.
template <int DYNAMICS>
INLINE void lif_forward(const float *current, u64 step_stride, u32 parts, u64 part_stride,
                        const float *bias, const float *betas, u32 beta_each, const float *thetas,
                        u32 theta_each, u32 *spikes, float *mem, float *pre, u64 *count, u32 steps,
                        u32 batch, u32 neurons, int reset) {
    const u32 blocks = (neurons + ntid_x() - 1) / ntid_x();
    const u32 b = ctaid_x() / blocks, n = ctaid_x() % blocks * ntid_x() + tid_x();
    const u32 words = words_of(neurons);
    const bool active = n < neurons;
    const u64 cells = (u64)batch * neurons;
    const float beta = active ? betas[beta_each ? n : 0] : 0.0f;
    const float theta = active ? thetas[theta_each ? n : 0] : 0.0f;
    const float shift = active ? bias[n] : 0.0f;
    u64 at = (u64)b * neurons + n, word_at = (u64)b * words + n / 32;
    current += at;
    float u = 0.0f, input = 0.0f;
    u32 fired = 0;
#pragma unroll 1
    for (u32 t = 0; t < steps; t++) {
        if (active && (t == 0 || step_stride)) {
            input = *current;
#pragma unroll 1
            for (u32 z = 1; z < parts; z++) {
                input += current[z * part_stride];
            }
            input += shift;
            current += step_stride;
        }
        const Fired now = forward<DYNAMICS>(reset, beta, theta, u, input);
        u = now.mem;
        if (active) {
            mem[at] = u;
            if (DYNAMICS == IntegrateFireReset && pre) {
                pre[at] = now.pre;
            }
        }
        const u32 word = ballot(active && now.spike > 0.0f);
        if (tid_x() % 32 == 0 && active) {
            spikes[word_at] = word;
            fired += __builtin_popcount(word);
        }
        at += cells;
        word_at += (u64)batch * words;
    }
    add_count(count, fired);
}

// Sums over a block of what each thread has, in a fixed order; thread 0 gets it. `scratch` has 4.
INLINE float of_block(float x, float *scratch) {
    x = warp_sum(x);
    barrier();
    if (tid_x() % 32 == 0) {
        scratch[tid_x() / 32] = x;
    }
    barrier();
    float all = scratch[0];
    for (u32 w = 1; w < ntid_x() / 32; w++) {
        all += scratch[w];
    }
    return all;
}

// The sums of (3) over samples for dL/dbeta and dL/dtheta: of each neuron, [rows, N], or of a block
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
// [B, N]; where learnt (not null), dL/dbeta and dL/dtheta.
// Grid: ceil(N / block) blocks for each of `rows` samples; a block takes every rows-th.
// Traffic, bytes per neuron and step: 4 read for the membrane (8 with `pre`), 4 for each of g, each
// part of e, and extra; 4 written (0 where the sum is enough).
template <int DYNAMICS>
INLINE void lif_backward(const float *mem, const float *pre, const float *g, const float *e, u32 parts,
                         u64 part_stride, const float *extra, float price, const float *betas,
                         u32 beta_each, const float *thetas, u32 theta_each, float *a, float *sum,
                         float *beta_out, float *theta_out, u32 steps, u32 batch, u32 neurons,
                         u32 rows, Rule rule, float *scratch) {
    const u32 blocks = (neurons + ntid_x() - 1) / ntid_x();
    const u32 row = ctaid_x() / blocks, n = ctaid_x() % blocks * ntid_x() + tid_x();
    const bool active = n < neurons;
    const float beta = active ? betas[beta_each ? n : 0] : 0.0f;
    const float theta = active ? thetas[theta_each ? n : 0] : 0.0f;
    const u64 cells = (u64)batch * neurons;
    const bool silent = !e && !extra && price == 0.0f;
    Swept swept = {0.0f, 0.0f, 0.0f, 0.0f};
    for (u32 b = row; active && b < batch; b += rows) {
        const u64 cell = (u64)b * neurons + n;
        float now = mem[(steps - 1) * cells + cell];
        swept.back = 0.0f;
        swept.total = 0.0f;
        sweep<DYNAMICS>(
            rule, beta, theta, mem, pre, cell, cells, steps, 0, silent, now, swept,
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
            [&](u32, u64 at, float current, float) {
                if (a) {
                    a[at] = current;
                }
            });
        sum[cell] = swept.total;
    }
    learn(beta_out, beta_each, swept.beta, active, row, n, neurons, scratch);
    learn(theta_out, theta_each, swept.theta, active, row, n, neurons, scratch);
}

// The most neurons of a layer above that is taken along, and the steps staged at once.
enum { NARROW = 16, STAGED = 32 };
typedef float four __attribute__((ext_vector_type(4)));

// (3) below a narrow layer, whose share of (4) and (5) is formed on the way: with a_above [T, B, C]
// and its weights [C, N], e_t = a_above_t W, and dL/dW = sum over t of a_above_t^T s_t of the samples
// of a block, to `d_weight`, [rows, C, N]. `extra`, `price`, `a`, `sum`, beta and theta as above.
// Grid: ceil(N / block) blocks for each of `rows` samples; a block takes every rows-th.
// Traffic, bytes per neuron and step: 4 read for the membrane (8 with `pre`), 4 written for `a` (0
// where the sum is enough); per neuron and row 4 C written; weights, 4 C a neuron, are in registers,
// a_above of the block's sample comes through shared memory by 16 bytes for all lanes. 4 C FLOP a
// step beside the adjoint's own.
template <int DYNAMICS>
INLINE void lif_backward_narrow(const float *mem, const float *pre, const float *a_above,
                                const float *weight, u32 classes, const float *extra, float price,
                                const float *betas, u32 beta_each, const float *thetas, u32 theta_each,
                                float *a, float *sum, float *beta_out, float *theta_out,
                                float *d_weight, u32 steps, u32 batch, u32 neurons, u32 rows, Rule rule,
                                four (*above)[NARROW / 4], float *scratch) {
    const u32 blocks = (neurons + ntid_x() - 1) / ntid_x();
    const u32 row = ctaid_x() / blocks, n = ctaid_x() % blocks * ntid_x() + tid_x();
    const bool active = n < neurons;
    const float beta = active ? betas[beta_each ? n : 0] : 0.0f;
    const float theta = active ? thetas[theta_each ? n : 0] : 0.0f;
    const u64 cells = (u64)batch * neurons;
    four w[NARROW / 4], d_w[NARROW / 4];
#pragma unroll
    for (u32 c = 0; c < NARROW; c++) {
        w[c / 4][c % 4] = active && c < classes ? weight[(u64)c * neurons + n] : 0.0f;
        d_w[c / 4][c % 4] = 0.0f;
    }
    Swept swept = {0.0f, 0.0f, 0.0f, 0.0f};
    for (u32 b = row; b < batch; b += rows) {
        const u64 cell = (u64)b * neurons + n;
        float now = active ? mem[(steps - 1) * cells + cell] : 0.0f;
        swept.back = 0.0f;
        swept.total = 0.0f;
        for (u32 top = steps; top > 0;) {
            const u32 bottom = top > STAGED ? top - STAGED : 0;
            barrier();
            for (u32 i = tid_x(); i < (top - bottom) * NARROW; i += ntid_x()) {
                const u32 t = i / NARROW, c = i % NARROW;
                const u64 at = ((u64)(bottom + t) * batch + b) * classes + c;
                ((float *)above[t])[c] = c < classes ? a_above[at] : 0.0f;
            }
            barrier();
            if (active) {
                sweep<DYNAMICS>(
                    rule, beta, theta, mem, pre, cell, cells, top, bottom, false, now, swept,
                    [&](u32 t, u64 at, float &, float &at_spike) {
                        float e = 0.0f;
#pragma unroll
                        for (u32 c = 0; c < NARROW; c += 4) {
                            if (c < classes) {
                                const four from = above[t - bottom][c / 4];
#pragma unroll
                                for (u32 i = 0; i < 4; i++) {
                                    e = __builtin_fmaf(from[i], w[c / 4][i], e);
                                }
                            }
                        }
                        at_spike = e + ((extra ? extra[at] : 0.0f) + price);
                    },
                    [&](u32 t, u64 at, float current, float spike) {
                        if (a) {
                            a[at] = current;
                        }
#pragma unroll
                        for (u32 c = 0; c < NARROW; c += 4) {
                            if (c < classes) {
                                const four from = above[t - bottom][c / 4];
#pragma unroll
                                for (u32 i = 0; i < 4; i++) {
                                    d_w[c / 4][i] = __builtin_fmaf(from[i], spike, d_w[c / 4][i]);
                                }
                            }
                        }
                    });
            }
            top = bottom;
        }
        if (active) {
            sum[cell] = swept.total;
        }
    }
#pragma unroll
    for (u32 c = 0; c < NARROW; c++) {
        if (active && c < classes) {
            d_weight[((u64)row * classes + c) * neurons + n] = d_w[c / 4][c % 4];
        }
    }
    learn(beta_out, beta_each, swept.beta, active, row, n, neurons, scratch);
    learn(theta_out, theta_each, swept.theta, active, row, n, neurons, scratch);
}

// One kernel of each for each of the dynamics. The second bound is how many blocks shall fit on a
// multiprocessor: it keeps the registers of the backward ones from being cut to where they spill.
#define LIF(SUFFIX, DYNAMICS)                                                                        \
    extern "C" __global__ __launch_bounds__(128) void lif_forward_##SUFFIX(                          \
        const float *current, u64 step_stride, u32 parts, u64 part_stride, const float *bias,        \
        const float *betas, u32 beta_each, const float *thetas, u32 theta_each, u32 *spikes,         \
        float *mem, float *pre, u64 *count, u32 steps, u32 batch, u32 neurons, int reset) {          \
        lif_forward<DYNAMICS>(current, step_stride, parts, part_stride, bias, betas, beta_each,      \
                              thetas, theta_each, spikes, mem, pre, count, steps, batch, neurons,    \
                              reset);                                                                \
    }                                                                                                \
    extern "C" __global__ __launch_bounds__(128, 7) void lif_backward_##SUFFIX(                         \
        const float *mem, const float *pre, const float *g, const float *e, u32 parts,               \
        u64 part_stride, const float *extra, float price, const float *betas, u32 beta_each,         \
        const float *thetas, u32 theta_each, float *a, float *sum, float *beta_out,                  \
        float *theta_out, u32 steps, u32 batch, u32 neurons, u32 rows, int reset, int attached,      \
        int surrogate, float peak, float scale) {                                                    \
        __shared__ float scratch[4];                                                                 \
        lif_backward<DYNAMICS>(mem, pre, g, e, parts, part_stride, extra, price, betas, beta_each,   \
                               thetas, theta_each, a, sum, beta_out, theta_out, steps, batch,        \
                               neurons, rows, {reset, attached, surrogate, peak, scale}, scratch);   \
    }                                                                                                \
    extern "C" __global__ __launch_bounds__(128, 5) void lif_backward_narrow_##SUFFIX(                  \
        const float *mem, const float *pre, const float *a_above, const float *weight, u32 classes,  \
        const float *extra, float price, const float *betas, u32 beta_each, const float *thetas,     \
        u32 theta_each, float *a, float *sum, float *beta_out, float *theta_out, float *d_weight,    \
        u32 steps, u32 batch, u32 neurons, u32 rows, int reset, int attached, int surrogate,         \
        float peak, float scale) {                                                                   \
        __shared__ four above[STAGED][NARROW / 4];                                                   \
        __shared__ float scratch[4];                                                                 \
        lif_backward_narrow<DYNAMICS>(mem, pre, a_above, weight, classes, extra, price, betas,       \
                                      beta_each, thetas, theta_each, a, sum, beta_out, theta_out,    \
                                      d_weight, steps, batch, neurons, rows,                         \
                                      {reset, attached, surrogate, peak, scale}, above, scratch);    \
    }

LIF(fti, FireThenIntegrate)
LIF(itf, IntegrateThenFire)
LIF(ifr, IntegrateFireReset)
