// Layers of any neuron, alone or connected within, through all of time: (2) and (3) of
// src/engine/reference.rs, with the terms of V and c in (1) and (5). There is one pair of kernels for each
// neuron; the variant of its rule is a number, which chooses among the functions of neuron.cuh by branches
// that all threads take alike.
//
// A block has `span` neurons of a sample: 128, or all where every neuron is connected to every neuron. The
// backward kernel of such a layer has up to GROUP samples, which share what is read of V. Where a thread has
// several neurons or samples, what passes from step to step lies in memory; else it stays in registers.
//
// Arrays over time are [T, B, N], what is kept of the steps is one such array after the other, `plane` apart;
// states are [STATES, B, N]. Spikes are bits, [T, B, N / 32] words; those of a connected layer have the
// spikes before the first step in a row before.
#pragma once
#include "lif.cuh"

// How the neurons of a layer are connected: not at all, every one to every one, every one to itself.
enum { Apart, AllToAll, OneToOne };
// Samples of a block of the backward kernel, and adjoints that it has in shared memory of each.
enum { GROUP = 4, STRETCH = 256, EARLY = 2 };
typedef float four __attribute__((ext_vector_type(4)));
typedef u32 quad __attribute__((ext_vector_type(4)));

// The sum over a warp, to all lanes.
INLINE u32 warp_count(u32 x) {
    for (int lanes = 16; lanes; lanes /= 2) {
        x += shuffle_xor_int(x, lanes);
    }
    return x;
}

// Calls `work` with the variant, one of COUNT from FROM on, as a constant.
template <int FROM, int COUNT, class Work> INLINE auto of_variant(int variant, Work work) {
    if constexpr (COUNT == 1) {
        return work(Constant<FROM>());
    } else {
        constexpr int HALF = COUNT / 2;
        if (variant < FROM + HALF) {
            return of_variant<FROM, HALF>(variant, work);
        }
        return of_variant<FROM + HALF, COUNT - HALF>(variant, work);
    }
}

// LEN numbers, `plane` apart.
template <int LEN> INLINE List<LEN> planes_at(const float *from, u64 plane) {
    List<LEN> list;
#pragma unroll
    for (u32 i = 0; i < LEN; i++) {
        list.of[i] = from[i * plane];
    }
    return list;
}

template <int LEN> INLINE void put_planes(float *to, u64 plane, const List<LEN> &list) {
#pragma unroll
    for (u32 i = 0; i < LEN; i++) {
        to[i * plane] = list.of[i];
    }
}

// The neurons that fired, of words of bits, in rising order, to `list`; how many there are. By all threads
// of a block; a barrier must come before anyone reads.
INLINE u32 list_fired(const u32 *fired, u32 neurons, u32 *list) {
    const u32 lane = tid_x() % 32, words = words_of(neurons);
    for (u32 n = tid_x(); n < 32 * words; n += ntid_x()) {
        const u32 own = n / 32, word = fired[own];
        u32 before = 0;
        for (u32 w = lane; w < own; w += 32) {
            before += __builtin_popcount(fired[w]);
        }
        before = warp_count(before);
        if (word & 1u << lane) {
            list[before + __builtin_popcount(word & ((1u << lane) - 1))] = n;
        }
    }
    u32 all = 0;
    for (u32 w = lane; w < words; w += 32) {
        all += __builtin_popcount(fired[w]);
    }
    return warp_count(all);
}

// c + V s of one neuron: `v` is its column of V transposed, [N, N]. Four sums in turn, as in
// src/engine/cpu/recurrent.rs.
INLINE float walk_fired(const u32 *list, u32 count, const float *v, u32 neurons, float bias) {
    float sum[4] = {bias, 0.0f, 0.0f, 0.0f};
    u32 i = 0;
#pragma unroll 2
    for (; i + 4 <= count; i += 4) {
        const quad from = *(const quad *)(list + i);
#pragma unroll
        for (u32 k = 0; k < 4; k++) {
            sum[k] += v[(u64)from[k] * neurons];
        }
    }
#pragma unroll
    for (u32 k = 0; k < 3; k++) {
        sum[k] += i + k < count ? v[(u64)list[i + k] * neurons] : 0.0f;
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// (2), and the terms of V and c in (1). `current` is [T, B, N], or [B, N] if it is the same at every step
// (step_stride 0). `mem` gets the membranes that are recorded, unless null: then they are the first that is
// kept. `start` is the state before the first step, null at rest, where the spikes before it are none; `end`
// gets that after the last. `when` and `count` as in layer.cuh. `v` is V transposed, or v; `c` may be null.
// `list` is [B, N], rows of a multiple of 4.
// Grid: ceil(N / span) blocks for each sample.
// Traffic, bytes per neuron and step: 4 read (only once if static), 4 written for each number kept (4 more with
// `mem`), 1/8 for the spike; 4 read from L2 for each neuron connected to it that fired, 2 1/8 for the list.
template <class NEURON>
INLINE void any_forward(const float *current, u64 step_stride, Constants<NEURON> layer, int variant,
                        float *kept, u64 plane, float *mem, const float *start, float *end, u32 *spikes,
                        u32 *when, u64 *count, int own, const float *v, const float *c, u32 *list, u32 steps,
                        u32 batch, u32 neurons, u32 span) {
    const u32 tid = tid_x(), lane = tid % 32, words = words_of(neurons);
    const u32 blocks = (neurons + span - 1) / span, b = ctaid_x() / blocks;
    const u32 from = ctaid_x() % blocks * span, to = neurons - from < span ? neurons : from + span;
    const bool several = span > ntid_x();
    const u64 cells = (u64)batch * neurons, row = (u64)b * neurons;
    u32 *now = spikes + (u64)b * words; // of the step
    const u64 next_words = (u64)batch * words;
    list += (u64)b * ((neurons + 3) / 4 * 4);
    if (own != Apart && !start) {
        for (u32 w = from / 32 + tid; 32 * w < to; w += ntid_x()) {
            *(now - next_words + w) = 0;
        }
    }
    List<NEURON::CONSTANTS> constants = {};
    List<NEURON::STATES> state = {};
    bool spiked = false;
    float coming = 0.0f; // the current of the next step, of a thread with one neuron
    u32 fired = 0;
#pragma unroll 1
    for (u32 t = 0; t < steps; t++) {
        u32 listed = 0;
        if (own == AllToAll || t == 0) {
            barrier(); // the spikes of the step before are there
        }
        if (own == AllToAll) {
            listed = list_fired(now - next_words, neurons, list);
            barrier();
        }
#pragma unroll 1
        for (u32 base = from; base < to; base += ntid_x()) {
            const u32 n = base + tid;
            const bool active = n < to;
            const u64 cell = row + n, at = t * cells + cell;
            if (several || t == 0) {
                constants = constants_of(layer, n, active);
                const float *before = t ? end : start;
                state = {};
                if (before && active) {
                    state = planes_at<NEURON::STATES>(before + cell, cells);
                }
            }
            float input = coming;
            if (several || t == 0) {
                input = active ? current[t * step_stride + cell] : 0.0f;
            }
            if (!several && active && t + 1 < steps) {
                coming = current[(t + 1) * step_stride + cell];
            }
            if (own == AllToAll && active) {
                input += walk_fired(list, listed, v + n, neurons, c ? c[n] : 0.0f);
            }
            if (own == OneToOne && active) {
                if (t == 0) {
                    spiked = *(now - next_words + n / 32) >> lane & 1;
                }
                input += spiked ? v[n] : 0.0f;
            }
            neuron::Step<NEURON> step;
            of_variant<0, NEURON::FORWARDS>(variant, [&](auto which) ALWAYS {
                constexpr int FORWARD = decltype(which)::value;
                step = neuron::step<NEURON, FORWARD>(constants, state, input);
                state = neuron::state<NEURON, FORWARD>(constants, step.kept);
            });
            spiked = active && step.spike;
            if (active) {
                put_planes(kept + at, plane, step.kept);
                if (mem) {
                    mem[at] = state.of[0];
                }
                if (several || t + 1 == steps) {
                    put_planes(end + cell, cells, state);
                }
                if (when) {
                    u32 *word = when + t / 32 * cells + cell;
                    const u32 history = t % 32 ? *word : 0;
                    *word = history | (step.spike ? 1u : 0u) << t % 32;
                }
            }
            const u32 word = ballot(spiked);
            if (lane == 0 && active) {
                now[n / 32] = word;
                fired += __builtin_popcount(word);
            }
        }
        now += next_words;
    }
    add_count(count, fired);
}

// What arrives at the steps of a layer from above, and from a loss: `g` at membranes, `e` (in parts) or,
// from a narrow layer, a_above [T, B, C] times its weights [C, N] at spikes, `extra` and `price` there too.
struct FromAbove {
    const float *g, *e;
    u32 parts;
    u64 part_stride;
    const float *a, *weight;
    u32 classes;
    const float *extra;
    float price;
};

// At the spike `at` of neuron n; `row` is the sample's and step's.
INLINE float at_spike(const FromAbove &above, u64 row, u32 n, u32 neurons, u64 at) {
    float sum = 0.0f;
    if (above.a) {
        sum = above.price;
        for (u32 c = 0; c < above.classes; c++) {
            sum = __builtin_fmaf(above.a[row * above.classes + c], above.weight[(u64)c * neurons + n], sum);
        }
        return above.extra ? sum + above.extra[at] : sum;
    }
    if (above.e) {
        sum = above.e[at];
        for (u32 z = 1; z < above.parts; z++) {
            sum += above.e[z * above.part_stride + at];
        }
    }
    return sum + ((above.extra ? above.extra[at] : 0.0f) + above.price);
}

// Where the derivatives by the constants go, and by v: of each neuron and sample, [B, N], and behind them
// those of blocks where the layer shares one. Null for those not learnt.
enum { MOST = 5 };
struct Outs {
    float *of[MOST + 1];
};

// (3), and the terms of V in (5). `v` is V, or v. Writes a to `a`, [T, B, N] (null where its sum is enough),
// its sum over time to `sum`, [B, N]; `h` [STATES, B, N] and `later` [B, N] are room for what passes to the
// step before. The state before the first step is a constant.
// Grid: ceil(N / span) blocks for each `group` of samples.
// Traffic, bytes per neuron and step: 4 read for each number kept, 4 for each of g, each part of e, and
// extra; 4 written; where every neuron is connected to every neuron, 4 N for each group, from L2.
template <class NEURON>
INLINE void any_backward(const float *kept, u64 plane, const float *start, int variant, int backward,
                         const Rule &rule, const FromAbove &above, Constants<NEURON> layer, Outs outs,
                         int own, const float *v, const u32 *spikes, float *a, float *sum, float *h,
                         float *later, u32 steps, u32 batch, u32 neurons, u32 span, u32 group, four *staged,
                         float *scratch) {
    const u32 tid = tid_x(), words = words_of(neurons);
    const u32 blocks = (neurons + span - 1) / span, first = ctaid_x() / blocks * group;
    const u32 last = batch - first < group ? batch : first + group;
    const u32 from = ctaid_x() % blocks * span, to = neurons - from < span ? neurons : from + span;
    const bool several = span > ntid_x() || group > 1;
    const u64 cells = (u64)batch * neurons;
    List<NEURON::CONSTANTS> constants = {}, shares = {};
    List<NEURON::STATES> back = {};
    // What was kept of the step, and of those before: a thread with one neuron asks for it EARLY steps before.
    List<NEURON::KEPT> now = {}, ahead[EARLY] = {};
    float total = 0.0f, passed = 0.0f, of_v = 0.0f;
#pragma unroll 1
    for (u32 t = steps; t-- > 0;) {
        const bool top = t + 1 == steps;
        float e = 0.0f;
#pragma unroll 1
        for (u32 b = first; b < last; b++) {
#pragma unroll 1
            for (u32 n = from + tid; n < to; n += ntid_x()) {
                const u64 in_step = (u64)t * batch + b;
                e = at_spike(above, in_step, n, neurons, in_step * neurons + n);
                if (several) {
                    later[(u64)b * neurons + n] = e;
                }
            }
        }
        if (own == AllToAll && !top) {
            barrier(); // the adjoints of the step after are there
#pragma unroll 1
            for (u32 base = 0; base < neurons; base += ntid_x()) {
                const u32 m = base + tid;
                const bool active = m < neurons;
                const float *column = v + (active ? m : neurons - 1);
                float *of_spike = later + (u64)first * neurons + m;
                float sums[GROUP];
#pragma unroll
                for (u32 g = 0; g < GROUP; g++) {
                    sums[g] = several && active && first + g < last ? of_spike[g * neurons] : e;
                }
#pragma unroll 1
                for (u32 n = 0; n < neurons; n += STRETCH) {
                    const u32 here = neurons - n < STRETCH ? neurons - n : STRETCH;
                    barrier();
                    for (u32 i = tid; i < GROUP * STRETCH; i += ntid_x()) {
                        const u32 g = i / STRETCH, k = i % STRETCH;
                        const u64 cell = (u64)(first + g) * neurons + n + k;
                        const bool there = k < here && first + g < last;
                        ((float *)staged)[GROUP * k + g] = there ? a[(t + 1) * cells + cell] : 0.0f;
                    }
                    barrier();
#pragma unroll 2
                    for (u32 k = 0; k < here; k++) {
                        const float weight = column[(u64)(n + k) * neurons];
                        const four adjoint = staged[k];
#pragma unroll
                        for (u32 g = 0; g < GROUP; g++) {
                            sums[g] = __builtin_fmaf(weight, adjoint[g], sums[g]);
                        }
                    }
                }
#pragma unroll
                for (u32 g = 0; g < GROUP; g++) {
                    if (several && active && first + g < last) {
                        of_spike[g * neurons] = sums[g];
                    }
                }
                e = sums[0];
            }
        }
#pragma unroll 1
        for (u32 b = first; b < last; b++) {
#pragma unroll 1
            for (u32 n = from + tid; n < to; n += ntid_x()) {
                const u32 cell = b * neurons + n;
                const u64 at = t * cells + cell;
                const auto kept_before = [&](u32 steps_before) {
                    List<NEURON::KEPT> none = {};
                    const float *of_step = kept + at - steps_before * cells;
                    return t >= steps_before ? planes_at<NEURON::KEPT>(of_step, plane) : none;
                };
                if (several || top) {
                    constants = constants_of(layer, n, true);
                    now = kept_before(0);
                    ahead[0] = kept_before(1);
                }
                if (!several && top) {
#pragma unroll
                    for (u32 i = 1; i < EARLY; i++) {
                        ahead[i] = kept_before(i + 1);
                    }
                }
                const List<NEURON::KEPT> earlier = ahead[0];
                if (!several) {
#pragma unroll
                    for (u32 i = 0; i + 1 < EARLY; i++) {
                        ahead[i] = ahead[i + 1];
                    }
                    ahead[EARLY - 1] = kept_before(EARLY + 1);
                }
                if (several && !top) {
                    back = planes_at<NEURON::STATES>(h + cell, cells);
                    total = sum[cell];
#pragma unroll
                    for (u32 c = 0; c < NEURON::CONSTANTS; c++) {
                        shares.of[c] = outs.of[c] ? outs.of[c][cell] : 0.0f;
                    }
                } else if (several) {
                    back = {};
                    total = 0.0f;
                    shares = {};
                }
                e = several ? later[cell] : e;
                if (own == OneToOne && !top) {
                    e = __builtin_fmaf(v[n], passed, e);
                }
                back.of[0] = (above.g ? above.g[at] : 0.0f) + back.of[0];
                List<NEURON::STATES> before = {};
                if (t) {
                    of_variant<0, NEURON::FORWARDS>(variant, [&](auto which) ALWAYS {
                        before = neuron::state<NEURON, decltype(which)::value>(constants, earlier);
                    });
                } else if (start) {
                    before = planes_at<NEURON::STATES>(start + cell, cells);
                }
                neuron::Read read;
                of_variant<0, NEURON::BACKWARDS>(backward, [&](auto which) ALWAYS {
                    read = neuron::read<NEURON, decltype(which)::value>(constants, before, now);
                });
                // One copy of the surrogates' code.
                List<2> slopes = {};
#pragma unroll 1
                for (u32 k = 0; k < read.count; k++) {
                    const float slope = derivative(rule, k ? read.of.of[1] : read.of.of[0]);
                    slopes.of[0] = k ? slopes.of[0] : slope;
                    slopes.of[1] = k ? slope : 0.0f;
                }
                neuron::Adjoint<NEURON> adjoint;
                of_variant<0, NEURON::BACKWARDS>(backward, [&](auto which) ALWAYS {
                    adjoint = neuron::adjoint<NEURON, decltype(which)::value>(constants, before, now,
                                                                              slopes, back, e);
                });
                back = adjoint.before;
                passed = adjoint.current;
                total += passed;
#pragma unroll
                for (u32 c = 0; c < NEURON::CONSTANTS; c++) {
                    shares.of[c] += adjoint.constants.of[c];
                }
                now = earlier;
                if (a) {
                    a[at] = passed;
                }
                if (own == OneToOne) {
                    const u32 *row = spikes + ((u64)t * batch + b) * words - (u64)batch * words;
                    of_v += row[n / 32] >> n % 32 & 1 ? passed : 0.0f;
                }
                if (several) {
                    put_planes(h + cell, cells, back);
                }
                if (several || t == 0) {
                    sum[cell] = total;
#pragma unroll
                    for (u32 c = 0; c < NEURON::CONSTANTS; c++) {
                        if (outs.of[c]) {
                            outs.of[c][cell] = shares.of[c];
                        }
                    }
                    if (outs.of[MOST]) {
                        outs.of[MOST][cell] = of_v;
                    }
                }
            }
        }
    }
#pragma unroll 1
    for (u32 c = 0; c < NEURON::CONSTANTS; c++) {
        // Not by an index: parameters that one reaches so would go to memory.
        float *out = outs.of[0];
        u32 each = layer.each[0];
#pragma unroll
        for (u32 i = 1; i < NEURON::CONSTANTS; i++) {
            out = c == i ? outs.of[i] : out;
            each = c == i ? layer.each[i] : each;
        }
        if (!out || each) {
            continue;
        }
        float mine = 0.0f;
        for (u32 b = first; b < last; b++) {
            for (u32 n = from + tid; n < to; n += ntid_x()) {
                mine += out[(u64)b * neurons + n];
            }
        }
        mine = of_block(mine, scratch);
        if (tid == 0) {
            out[cells + ctaid_x()] = mine;
        }
    }
}

// The two kernels of a neuron. All have the parameters of the neuron with the most constants.
#define ANY_CONSTANTS                                                                               \
    const float *c0, u32 each0, const float *c1, u32 each1, const float *c2, u32 each2,             \
        const float *c3, u32 each3, const float *c4, u32 each4

template <class NEURON>
INLINE Constants<NEURON> first_constants(ANY_CONSTANTS) {
    const float *const at[MOST] = {c0, c1, c2, c3, c4};
    const u32 each[MOST] = {each0, each1, each2, each3, each4};
    Constants<NEURON> first;
#pragma unroll
    for (u32 i = 0; i < NEURON::CONSTANTS; i++) {
        first.at[i] = at[i];
        first.each[i] = each[i];
    }
    return first;
}

#define ANY_KERNELS(NEURON, NAME)                                                                   \
    extern "C" __global__ __launch_bounds__(384, 1) void NAME##_forward(                             \
        const float *current, u64 step_stride, ANY_CONSTANTS, int variant, float *kept, u64 plane,  \
        float *mem, const float *start, float *end, u32 *spikes, u32 *when, u64 *count, int own,    \
        const float *v, const float *c, u32 *list, u32 steps, u32 batch, u32 neurons, u32 span) {   \
        any_forward<neuron::NEURON>(                                                                \
            current, step_stride,                                                                   \
            first_constants<neuron::NEURON>(c0, each0, c1, each1, c2, each2, c3, each3, c4, each4), \
            variant, kept, plane, mem, start, end, spikes, when, count, own, v, c, list, steps,     \
            batch, neurons, span);                                                                  \
    }                                                                                               \
    extern "C" __global__ __launch_bounds__(384, 1) void NAME##_backward(                            \
        const float *kept, u64 plane, const float *start, int variant, int backward, int surrogate, \
        float peak, float scale, const float *g, const float *e, u32 parts, u64 part_stride,        \
        const float *a_above, const float *weight, u32 classes, const float *extra, float price,    \
        ANY_CONSTANTS, float *out0, float *out1, float *out2, float *out3, float *out4,             \
        float *out_v, int own, const float *v, const u32 *spikes, float *a, float *sum, float *h,   \
        float *later, u32 steps, u32 batch, u32 neurons, u32 span, u32 group) {                     \
        __shared__ four staged[STRETCH];                                                            \
        __shared__ float scratch[32];                                                               \
        any_backward<neuron::NEURON>(                                                               \
            kept, plane, start, variant, backward, {0, 0, surrogate, peak, scale, 0},               \
            {g, e, parts, part_stride, a_above, weight, classes, extra, price},                     \
            first_constants<neuron::NEURON>(c0, each0, c1, each1, c2, each2, c3, each3, c4, each4), \
            {{out0, out1, out2, out3, out4, out_v}}, own, v, spikes, a, sum, h, later, steps,       \
            batch, neurons, span, group, staged, scratch);                                          \
    }
