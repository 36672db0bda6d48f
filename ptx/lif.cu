// The neurons of one layer through all of time, forward and back: (2) and (3) of
// src/engine/reference.rs.
//
// A thread has one neuron, its membrane or adjoint in a register through all T steps. Blocks of up to
// 128 threads have neighbouring neurons of one sample: arrays over time are [T, B, N], so a warp's
// accesses are coalesced at every step. Spikes are bits, [T, B, N / 32] words: one word is written
// for a warp and step.
#include "lif.cuh"

// (2). `current` is [T, B, N], or [B, N] if it is the same at every step (step_stride 0). `pre` is null
// unless the spike reads another membrane than the one recorded. `when`, unless null, gets each neuron's
// spikes as a word for 32 steps, [T / 32, B, N]. `count` grows by the layer's spikes.
// Grid: ceil(N / block) blocks for each sample.
// Traffic, bytes per neuron and step: 4 read (only once if static), 4 written (8 with `pre`), 1/8 for
// the spike and as much for `when`.
template <int DYNAMICS>
INLINE void lif_forward(const float *current, u64 step_stride, const float *betas, u32 beta_each,
                        const float *thetas, u32 theta_each, u32 *spikes, u32 *when, float *mem,
                        float *pre, u64 *count, u32 steps, u32 batch, u32 neurons, int reset) {
    const u32 blocks = (neurons + ntid_x() - 1) / ntid_x();
    const u32 b = ctaid_x() / blocks, n = ctaid_x() % blocks * ntid_x() + tid_x();
    const u32 words = words_of(neurons);
    const bool active = n < neurons, first = tid_x() % 32 == 0 && active, zero = reset == Zero;
    const u64 cells = (u64)batch * neurons, at = (u64)b * neurons + n;
    const float beta = active ? betas[beta_each ? n : 0] : 0.0f;
    const float theta = active ? thetas[theta_each ? n : 0] : 0.0f;
    const float jump = jump_of<DYNAMICS>(reset, beta, theta);
    current += at;
    mem += at;
    if (pre) {
        pre += at;
    }
    spikes += (u64)b * words + n / 32;
    const bool keeps_pre = DYNAMICS == IntegrateFireReset && pre;
    float u = 0.0f, input = active ? *current : 0.0f;
    u32 fired = 0, history = 0;
#pragma unroll 1
    for (u32 t = 0; t < steps;) {
#pragma unroll
        for (u32 i = 0; i < 4 && t < steps; i++, t++) {
            // The next step's current, on its way while this one is used.
            float next = input;
            if (step_stride && active && t + 1 < steps) {
                current += step_stride;
                next = *current;
            }
            const Fired now = forward<DYNAMICS>(zero, jump, beta, theta, u, input);
            u = now.mem;
            input = next;
            if (active) {
                *mem = u;
                if (keeps_pre) {
                    *pre = now.pre;
                    pre += cells;
                }
            }
            mem += cells;
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
template <int DYNAMICS, bool COMMON>
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
        sweep<DYNAMICS, COMMON>(
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
            [&](u32, u64 at, float current) {
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

// (3) below a narrow layer, whose share of (5) is formed on the way: with a_above [T, B, C] and its
// weights [C, N], e_t = a_above_t W, added from the price on in the order of C. `extra`, `price`, `a`,
// `sum`, beta and theta as above.
// Grid: ceil(N / block) blocks for each of `rows` samples; a block takes every rows-th.
// Traffic, bytes per neuron and step: 4 read for the membrane (8 with `pre`), 4 written for `a` (0
// where the sum is enough); weights, 4 C a neuron, are in registers, a_above of the block's sample comes
// through shared memory by 16 bytes for all lanes. 2 C FLOP a step beside the adjoint's own.
template <int DYNAMICS, bool COMMON>
INLINE void lif_backward_narrow(const float *mem, const float *pre, const float *a_above,
                                const float *weight, u32 classes, const float *extra, float price,
                                const float *betas, u32 beta_each, const float *thetas, u32 theta_each,
                                float *a, float *sum, float *beta_out, float *theta_out, u32 steps,
                                u32 batch, u32 neurons, u32 rows, Rule rule, four (*above)[NARROW / 4],
                                float *scratch) {
    const u32 blocks = (neurons + ntid_x() - 1) / ntid_x();
    const u32 row = ctaid_x() / blocks, n = ctaid_x() % blocks * ntid_x() + tid_x();
    const bool active = n < neurons;
    const float beta = active ? betas[beta_each ? n : 0] : 0.0f;
    const float theta = active ? thetas[theta_each ? n : 0] : 0.0f;
    const u64 cells = (u64)batch * neurons;
    four w[NARROW / 4];
#pragma unroll
    for (u32 c = 0; c < NARROW; c++) {
        w[c / 4][c % 4] = active && c < classes ? weight[(u64)c * neurons + n] : 0.0f;
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
            const u32 c = tid_x() % NARROW;
            const float *from = a_above + (u64)b * classes + c;
            for (u32 t = bottom + tid_x() / NARROW; t < top; t += ntid_x() / NARROW) {
                ((float *)above[t - bottom])[c] = c < classes ? from[(u64)t * batch * classes] : 0.0f;
            }
            barrier();
            if (active) {
                sweep<DYNAMICS, COMMON>(
                    rule, beta, theta, mem, pre, cell, cells, top, bottom, false, now, swept,
                    [&](u32 t, u64 at, float &, float &at_spike) {
                        float e = price;
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
                        at_spike = extra ? e + extra[at] : e;
                    },
                    [&](u32, u64 at, float current) {
                        if (a) {
                            a[at] = current;
                        }
                    });
            }
            top = bottom;
        }
        if (active) {
            sum[cell] = swept.total;
        }
    }
    learn(beta_out, beta_each, swept.beta, active, row, n, neurons, scratch);
    learn(theta_out, theta_each, swept.theta, active, row, n, neurons, scratch);
}

// (4) of a narrow layer above another: dL/dW = sum over samples and steps of a^T s, one sum for each
// weight in the order of samples and, within them, steps, as in src/engine/cpu/weights.rs. `when` [T /
// 32, B, N] are the spikes below, words of 32 steps; a is [T, B, C], C <= 16; d_weight [C, N].
// Grid: a block of 4 warps for 8 neurons; a half-warp has one, its lanes the classes. It walks the
// neuron's spikes: silent steps cost nothing.
// Traffic, bytes: 4 B T / 32 for each neuron, and 4 C for each spike, from L1 or L2.
extern "C" __global__ __launch_bounds__(128) void weights_narrow(const u32 *when, const float *a,
                                                                 float *d_weight, u32 steps, u32 batch,
                                                                 u32 neurons, u32 classes) {
    const u32 c = tid_x() % 16, n = ctaid_x() * 8 + tid_x() / 16;
    if (c >= classes || n >= neurons) {
        return;
    }
    const u32 words = words_of(steps), step = batch * classes;
    const float *of_class = a + c;
    float sum = 0.0f;
    when += n;
    // The next sample's word is on its way while this one's spikes are walked.
    u32 next = *when;
#pragma unroll 1
    for (u32 b = 0; b < batch; b++) {
#pragma unroll 1
        for (u32 w = 0; w < words; w++) {
            u32 word = next;
            const u32 nw = w + 1 < words ? w + 1 : 0, nb = w + 1 < words ? b : b + 1;
            next = nb < batch ? when[((u64)nw * batch + nb) * neurons] : 0;
            const float *from = of_class + (u64)w * 32 * step;
            // Two spikes at a time, so that their loads go together.
            while (word) {
                const u32 t = __builtin_ctz(word), rest = word & (word - 1);
                const float first = from[t * step];
                float second = 0.0f;
                if (rest) {
                    second = from[__builtin_ctz(rest) * step];
                }
                sum += first;
                sum += second;
                word = rest & (rest - 1);
            }
        }
        of_class += classes;
    }
    d_weight[(u64)c * neurons + n] = sum;
}

// One kernel of each for each of the dynamics, and those back once more for the tutorial's rule. The
// second bound is how many blocks shall fit on a multiprocessor: it keeps the registers of the backward
// ones from being cut to where they spill.
#define LIF_FORWARD(SUFFIX, DYNAMICS)                                                                \
    extern "C" __global__ __launch_bounds__(128) void lif_forward_##SUFFIX(                          \
        const float *current, u64 step_stride, const float *betas, u32 beta_each,                    \
        const float *thetas, u32 theta_each, u32 *spikes, u32 *when, float *mem, float *pre,         \
        u64 *count, u32 steps, u32 batch, u32 neurons, int reset) {                                  \
        lif_forward<DYNAMICS>(current, step_stride, betas, beta_each, thetas, theta_each, spikes,    \
                              when, mem, pre, count, steps, batch, neurons, reset);                  \
    }

#define LIF_BACKWARD(SUFFIX, DYNAMICS, COMMON, BLOCKS, BLOCKS_NARROW)                                \
    extern "C" __global__ __launch_bounds__(128, BLOCKS) void lif_backward_##SUFFIX(                 \
        const float *mem, const float *pre, const float *g, const float *e, u32 parts,               \
        u64 part_stride, const float *extra, float price, const float *betas, u32 beta_each,         \
        const float *thetas, u32 theta_each, float *a, float *sum, float *beta_out,                  \
        float *theta_out, u32 steps, u32 batch, u32 neurons, u32 rows, int reset, int attached,      \
        int surrogate, float peak, float scale, int common) {                                        \
        __shared__ float scratch[4];                                                                 \
        lif_backward<DYNAMICS, COMMON>(mem, pre, g, e, parts, part_stride, extra, price, betas,      \
                                       beta_each, thetas, theta_each, a, sum, beta_out, theta_out,   \
                                       steps, batch, neurons, rows,                                  \
                                       {reset, attached, surrogate, peak, scale, common}, scratch);  \
    }                                                                                                \
    extern "C" __global__ __launch_bounds__(128, BLOCKS_NARROW) void lif_backward_narrow_##SUFFIX(   \
        const float *mem, const float *pre, const float *a_above, const float *weight, u32 classes,  \
        const float *extra, float price, const float *betas, u32 beta_each, const float *thetas,     \
        u32 theta_each, float *a, float *sum, float *beta_out, float *theta_out, u32 steps,          \
        u32 batch, u32 neurons, u32 rows, int reset, int attached, int surrogate, float peak,        \
        float scale, int common) {                                                                   \
        __shared__ four above[STAGED][NARROW / 4];                                                   \
        __shared__ float scratch[4];                                                                 \
        lif_backward_narrow<DYNAMICS, COMMON>(                                                       \
            mem, pre, a_above, weight, classes, extra, price, betas, beta_each, thetas, theta_each,  \
            a, sum, beta_out, theta_out, steps, batch, neurons, rows,                                \
            {reset, attached, surrogate, peak, scale, common}, above, scratch);                      \
    }

LIF_FORWARD(fti, FireThenIntegrate)
LIF_FORWARD(itf, IntegrateThenFire)
LIF_FORWARD(ifr, IntegrateFireReset)
LIF_BACKWARD(common, FireThenIntegrate, true, 4, 6)
LIF_BACKWARD(fti, FireThenIntegrate, false, 6, 5)
LIF_BACKWARD(itf, IntegrateThenFire, false, 6, 5)
LIF_BACKWARD(ifr, IntegrateFireReset, false, 6, 5)
