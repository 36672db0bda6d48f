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
    const bool active = n < neurons, first = tid_x() % 32 == 0 && active;
    const u64 cells = (u64)batch * neurons, at = (u64)b * neurons + n;
    const float beta = active ? betas[beta_each ? n : 0] : 0.0f;
    const float theta = active ? thetas[theta_each ? n : 0] : 0.0f;
    current += at;
    mem += at;
    if (pre) {
        pre += at;
    }
    spikes += (u64)b * words + n / 32;
    const bool keeps_pre = DYNAMICS == IntegrateFireReset && pre;
    float u = 0.0f, input = active ? *current : 0.0f;
    u32 fired = 0, history = 0;
    of_reset(reset, [&](auto which) {
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
                const Fired now = forward<DYNAMICS, RESET>(beta, theta, u, input);
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
    });
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
    rule.flat = !rule.attached && !e && !extra && price == 0.0f;
    Swept swept = {};
    for (u32 b = row; active && b < batch; b += rows) {
        const u64 cell = (u64)b * neurons + n;
        float now = mem[(steps - 1) * cells + cell];
        swept.back = 0.0f;
        swept.total = 0.0f;
        sweep<DYNAMICS, false>(
            rule, beta, theta, mem, pre, cell, cells, steps, 0, now, swept,
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
// weights [C, N], e_t = a_above_t W, added from the price on in the order of C. `g`, `extra`, `price`,
// `a`, `sum`, beta and theta as above.
// Grid: ceil(N / block) blocks for each of `rows` samples; a block takes every rows-th.
// Traffic, bytes per neuron and step: 4 read for the membrane (8 with `pre`), 4 for each of g and extra;
// 4 written for `a` (0 where the sum is enough); weights, 4 C a neuron, are in registers, a_above of the block's sample comes
// through shared memory by 16 bytes for all lanes. 2 C FLOP a step beside the adjoint's own.
template <int DYNAMICS, bool COMMON>
INLINE void lif_backward_narrow(const float *mem, const float *pre, const float *a_above,
                                const float *weight, u32 classes, const float *g, const float *extra,
                                float price, const float *betas, u32 beta_each, const float *thetas,
                                u32 theta_each, float *a, float *sum, float *beta_out, float *theta_out,
                                u32 steps, u32 batch, u32 neurons, u32 rows, Rule rule,
                                four (*above)[NARROW / 4], float *scratch) {
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
    Swept swept = {};
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
                const auto back = [&](auto fours) {
                    sweep<DYNAMICS, COMMON>(
                        rule, beta, theta, mem, pre, cell, cells, top, bottom, now, swept,
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
    learn(beta_out, beta_each, swept.beta, active, row, n, neurons, scratch);
    learn(theta_out, theta_each, swept.theta, active, row, n, neurons, scratch);
}

// Samples whose share of the sum below is taken together: as in src/engine/cpu/weights.rs. Turns of 32 steps
// whose adjoints are in shared memory at once.
enum { SAMPLES = 4, STAGES = 4 };

// (4) of a narrow layer above another: a^T s, summed over the steps of SAMPLES samples, in their order, to
// d_weight [ceil(B / SAMPLES), C, N]. `when` [T / 32, B, N] are the spikes below, words of 32 steps; a is
// [T, B, C], C <= 16.
// Grid: x ceil(N / 128) blocks of 64 threads, y the groups of samples. A thread has two neurons, 64
// apart, and their C sums in registers.
// Traffic, bytes per neuron: T / 8 read for each sample, 4 C written for each group; a comes through
// shared memory by 16 bytes for all lanes, 32 steps of STAGES samples at a time. C fused multiply-adds a
// step.
extern "C" __global__ __launch_bounds__(64) void weights_narrow(const u32 *when, const float *a,
                                                                float *d_weight, u32 steps, u32 batch,
                                                                u32 neurons, u32 classes) {
    __shared__ four above[STAGES][STAGED][NARROW / 4];
    const u32 n = ctaid_x() * 128 + tid_x(), words = words_of(steps);
    const u32 first = ctaid_y() * SAMPLES;
    const u32 count = batch - first < SAMPLES ? batch - first : SAMPLES;
    const u64 step = (u64)batch * classes;
    // A thread's share of `above`: one class of every fourth step. Turn by turn: 32 steps of a sample.
    const u32 c = tid_x() % NARROW, own = tid_x() / NARROW;
    const u32 turns = count * words;
    float next[STAGES][STAGED / 4];
    u32 next_word[STAGES][2];
    // What is not there is taken from where something is: it is not used.
    const float *of_class = a + (c < classes ? c : 0);
    const u32 n_there[2] = {n < neurons ? n : neurons - 1, n + 64 < neurons ? n + 64 : neurons - 1};
    const auto fetch = [&](u32 from) {
#pragma unroll
        for (u32 s = 0; s < STAGES; s++) {
            const u32 turn = from + s < turns ? from + s : turns - 1;
            const u32 b = first + turn / words, w = turn % words;
#pragma unroll
            for (u32 i = 0; i < STAGED / 4; i++) {
                const u32 t = w * 32 + own + 4 * i;
                next[s][i] = of_class[(t < steps ? t : steps - 1) * step + (u64)b * classes];
            }
#pragma unroll
            for (u32 h = 0; h < 2; h++) {
                next_word[s][h] = when[((u64)w * batch + b) * neurons + n_there[h]];
            }
        }
    };
    four sum[2][NARROW / 4] = {};
#pragma unroll 1
    for (u32 turn = 0; turn < turns; turn += STAGES) {
        fetch(turn);
        barrier();
#pragma unroll
        for (u32 s = 0; s < STAGES; s++) {
#pragma unroll
            for (u32 i = 0; i < STAGED / 4; i++) {
                ((float *)above[s][own + 4 * i])[c] = next[s][i];
            }
        }
        barrier();
        const auto walk = [&](auto fours) {
#pragma unroll 1
            for (u32 s = 0; s < STAGES; s++) {
                const u32 left = steps - (turn + s) % words * 32;
                const u32 end = turn + s >= turns ? 0 : left < 32 ? left : 32;
                u32 word[2] = {next_word[0][0], next_word[0][1]};
                const auto add = [&](u32 t, u32 i) {
                    const float spike[2] = {bit(word[0], i), bit(word[1], i)};
#pragma unroll
                    for (u32 k = 0; k < (u32)decltype(fours)::value; k++) {
                        const four from = above[s][t + i][k];
#pragma unroll
                        for (u32 j = 0; j < 4; j++) {
                            sum[0][k][j] = __builtin_fmaf(from[j], spike[0], sum[0][k][j]);
                            sum[1][k][j] = __builtin_fmaf(from[j], spike[1], sum[1][k][j]);
                        }
                    }
                };
                u32 t = 0;
#pragma unroll 1
                for (; decltype(fours)::value < 4 && t + 8 <= end; t += 8) {
#pragma unroll
                    for (u32 i = 0; i < 8; i++) {
                        add(t, i);
                    }
                    word[0] >>= 8;
                    word[1] >>= 8;
                }
#pragma unroll 1
                for (; t < end; t++) {
                    add(t, 0);
                    word[0] >>= 1;
                    word[1] >>= 1;
                }
#pragma unroll
                for (u32 i = 0; i + 1 < STAGES; i++) { // the next stage's in front
                    next_word[i][0] = next_word[i + 1][0];
                    next_word[i][1] = next_word[i + 1][1];
                }
            }
        };
        if (classes > 12) {
            walk(Constant<4>());
        } else {
            walk(Constant<3>());
        }
    }
#pragma unroll
    for (u32 h = 0; h < 2; h++) {
#pragma unroll
        for (u32 k = 0; k < NARROW; k++) {
            const u32 at = n + 64 * h;
            if (at < neurons && k < classes) {
                d_weight[((u64)ctaid_y() * classes + k) * neurons + at] = sum[h][k / 4][k % 4];
            }
        }
    }
}

// One kernel of each for each of the dynamics; below a narrow layer one more for the tutorial's rule, where
// neither a nor a loss's own share of e is wanted, of at most 12 neurons: the main job's. The second bound
// is how many blocks shall fit on a multiprocessor: it keeps the registers of the backward ones from being
// cut to where they spill.
#define LIF_FORWARD(SUFFIX, DYNAMICS)                                                                \
    extern "C" __global__ __launch_bounds__(128) void lif_forward_##SUFFIX(                          \
        const float *current, u64 step_stride, const float *betas, u32 beta_each,                    \
        const float *thetas, u32 theta_each, u32 *spikes, u32 *when, float *mem, float *pre,         \
        u64 *count, u32 steps, u32 batch, u32 neurons, int reset) {                                  \
        lif_forward<DYNAMICS>(current, step_stride, betas, beta_each, thetas, theta_each, spikes,    \
                              when, mem, pre, count, steps, batch, neurons, reset);                  \
    }

#define LIF_BACKWARD(SUFFIX, DYNAMICS)                                                               \
    extern "C" __global__ __launch_bounds__(128, 6) void lif_backward_##SUFFIX(                      \
        const float *mem, const float *pre, const float *g, const float *e, u32 parts,               \
        u64 part_stride, const float *extra, float price, const float *betas, u32 beta_each,         \
        const float *thetas, u32 theta_each, float *a, float *sum, float *beta_out,                  \
        float *theta_out, u32 steps, u32 batch, u32 neurons, u32 rows, int reset, int attached,      \
        int surrogate, float peak, float scale, int common) {                                        \
        __shared__ float scratch[4];                                                                 \
        lif_backward<DYNAMICS>(mem, pre, g, e, parts, part_stride, extra, price, betas, beta_each,   \
                               thetas, theta_each, a, sum, beta_out, theta_out, steps, batch,        \
                               neurons, rows, {reset, attached, surrogate, peak, scale, common},     \
                               scratch);                                                             \
    }                                                                                                \
    extern "C" __global__ __launch_bounds__(128, 5) void lif_backward_narrow_##SUFFIX(               \
        const float *mem, const float *pre, const float *a_above, const float *weight, u32 classes,  \
        const float *g, const float *extra, float price, const float *betas, u32 beta_each,          \
        const float *thetas, u32 theta_each, float *a, float *sum, float *beta_out,                  \
        float *theta_out, u32 steps, u32 batch, u32 neurons, u32 rows, int reset, int attached,      \
        int surrogate, float peak, float scale, int common) {                                        \
        __shared__ four above[STAGED][NARROW / 4];                                                   \
        __shared__ float scratch[4];                                                                 \
        lif_backward_narrow<DYNAMICS, false>(                                                        \
            mem, pre, a_above, weight, classes, g, extra, price, betas, beta_each, thetas,           \
            theta_each, a, sum, beta_out, theta_out, steps, batch, neurons, rows,                    \
            {reset, attached, surrogate, peak, scale, common}, above, scratch);                      \
    }

LIF_FORWARD(fti, FireThenIntegrate)
LIF_FORWARD(itf, IntegrateThenFire)
LIF_FORWARD(ifr, IntegrateFireReset)
LIF_BACKWARD(fti, FireThenIntegrate)
LIF_BACKWARD(itf, IntegrateThenFire)
LIF_BACKWARD(ifr, IntegrateFireReset)

extern "C" __global__ __launch_bounds__(128, 5) void lif_backward_narrow_common(
    const float *mem, const float *a_above, const float *weight, u32 classes, float price,
    const float *betas, u32 beta_each, const float *thetas, u32 theta_each, float *sum, u32 steps,
    u32 batch, u32 neurons, u32 rows, float peak, float scale) {
    __shared__ four above[STAGED][NARROW / 4];
    lif_backward_narrow<FireThenIntegrate, true>(
        mem, nullptr, a_above, weight, classes, nullptr, nullptr, price, betas, beta_each, thetas,
        theta_each, nullptr, sum, nullptr, nullptr, steps, batch, neurons, rows,
        {Subtract, 0, Arctan, peak, scale, 1}, above, nullptr);
}
