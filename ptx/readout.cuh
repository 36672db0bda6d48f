// The read-out: losses and their adjoints as in src/loss.rs, and the classes as in src/metrics.rs; for
// a narrow output layer also all else that belongs to it, (1), (2) and (3) of
// src/engine/reference.rs. readout.cu makes kernels of it.
#pragma once
#include "lif.cuh"
#include "spikes.cuh"

enum {
    Classify,
    CrossEntropyMembrane,
    CrossEntropyCount,
    CrossEntropyRate,
    CrossEntropyMaxMembrane,
    MseCount,
    MseMembrane
};

INLINE float larger(float a, float b) { return b > a ? b : a; }

INLINE float warp_max(float x) {
    for (int lanes = 16; lanes; lanes /= 2) {
        x = larger(x, shuffle_xor(x, lanes));
    }
    return x;
}

// Over half a warp.
INLINE float half_max(float x) {
    for (int lanes = 8; lanes; lanes /= 2) {
        x = larger(x, shuffle_xor(x, lanes));
    }
    return x;
}

INLINE float half_sum(float x) {
    for (int lanes = 8; lanes; lanes /= 2) {
        x += shuffle_xor(x, lanes);
    }
    return x;
}

// The largest (or the sum) over a block, to all of its threads; `scratch` has 8 floats.
template <bool MAX> INLINE float of_block(float x, float *scratch) {
    x = MAX ? warp_max(x) : warp_sum(x);
    barrier();
    if (tid_x() % 32 == 0) {
        scratch[tid_x() / 32] = x;
    }
    barrier();
    float all = scratch[0];
    for (int w = 1; w < 8; w++) {
        all = MAX ? larger(all, scratch[w]) : all + scratch[w];
    }
    return all;
}

// The lowest index of the largest score of the first `count` threads, to thread 0; ~0 stands for no
// index.
INLINE u32 argmax_of_block(float score, u32 n, u32 count, float *scores, u32 *indices) {
    if (count <= 32) { // the first warp's alone, which thread 0 belongs to
        for (int lanes = 16; lanes; lanes /= 2) {
            const float other = shuffle_xor(score, lanes);
            const u32 index = shuffle_xor_int(n, lanes);
            const bool better = other > score || (other == score && index < n);
            score = better ? other : score;
            n = better ? index : n;
        }
        return n;
    }
    barrier();
    scores[tid_x()] = score;
    indices[tid_x()] = n;
    barrier();
    for (u32 half = 128; half; half /= 2) {
        if (half >= count) {
            continue; // the same for all threads
        }
        if (tid_x() < half) {
            const float other = scores[tid_x() + half];
            const u32 index = indices[tid_x() + half];
            const float mine = scores[tid_x()];
            if (other > mine || (other == mine && index < indices[tid_x()])) {
                scores[tid_x()] = other;
                indices[tid_x()] = index;
            }
        }
        barrier();
    }
    return indices[0];
}

// One sample's spikes, as bits.
struct Spikes {
    const u32 *words;
    u64 step;
};

INLINE float spike(const Spikes &spikes, u32 t, u32 c) {
    return bit(spikes.words[t * spikes.step + c / 32], c % 32);
}

struct Shared {
    float scores[256];
    u32 indices[256];
    double parts[16];
};

// One sample's classes, loss and adjoint, by a block of 8 warps. Losses of each step's membranes or
// spikes take a warp per step, its lanes over the classes (half a warp, where 16 are enough); losses of
// counts and of maxima over time take a thread per class. Sums run in an order that depends on the shapes
// alone.
// `spikes`, `mem` and the adjoint are the sample's own, steps lie `step` apart; `targets` [B] and the
// adjoint [T, B, C] may be null. `scratch` is [B, C]. `on` and `off` are what the squared losses aim at;
// `share` scales the adjoint. losses[b] is the sample's sum, before any mean; `flag` gets a bit where
// it is not finite.
// by_membrane[b] is the class with the largest sum of membranes, or of the loss of maxima the largest.
// Traffic: spikes and mem are read once to three times, mostly from L1; the adjoint is written once.
INLINE void losses_and_classes(Spikes spikes, const float *mem, const u32 *targets, int loss, float on,
                               float off, float share, float *adjoint, float *scratch, double *losses,
                               u32 *by_count, u32 *by_membrane, u32 *flag, u32 steps, u32 batch,
                               u32 classes, u32 b, Shared &shared) {
    float *const scores = shared.scores;
    u32 *const indices = shared.indices;
    double *const parts = shared.parts;
    const u32 tid = tid_x(), lane = tid % 32, warp = tid / 32;
    const u64 step = (u64)batch * classes;
    mem += (u64)b * classes;
    scratch += (u64)b * classes;
    if (adjoint) {
        adjoint += (u64)b * classes;
    }

    // Which class: each thread the best of its own, then the best of the block.
    float best_count = -1.0f, best_sum = -__builtin_inff();
    u32 class_count = ~0u, class_sum = ~0u;
    for (u32 c = tid; c < classes; c += 256) {
        float count = 0.0f, sum = 0.0f;
        const float *from = mem + c;
        const u32 *words = spikes.words + c / 32;
#pragma unroll 1
        for (u32 t = 0; t < steps; t++) {
            count += bit(*words, c % 32);
            sum = loss != CrossEntropyMaxMembrane ? sum + *from : t ? larger(sum, *from) : *from;
            from += step;
            words += spikes.step;
        }
        if (class_count == ~0u || count > best_count) {
            best_count = count;
            class_count = c;
        }
        if (class_sum == ~0u || sum > best_sum) {
            best_sum = sum;
            class_sum = c;
        }
        scratch[c] = count;
    }
    class_count = argmax_of_block(best_count, class_count, classes, scores, indices);
    class_sum = argmax_of_block(best_sum, class_sum, classes, scores, indices);
    if (tid == 0) {
        by_count[b] = class_count;
        by_membrane[b] = class_sum;
    }
    if (loss == Classify) {
        return;
    }

    const u32 target = targets[b];
    double value = 0.0;
    bool halves = false; // whether a warp's halves have shares of their own
    if (loss == CrossEntropyMembrane || loss == CrossEntropyRate) {
        // Up to 16 classes: two steps at once, by half a warp each.
        const u32 width = classes <= 16 ? 16 : 32, first = lane % width;
        const u32 together = 32 / width, turn = 8 * together;
#pragma unroll 1
        for (u32 from = warp * together; from < steps; from += turn) {
            const bool there = from + lane / width < steps;
            const u32 t = there ? from + lane / width : steps - 1;
            const auto row = [&](u32 c) {
                return loss == CrossEntropyRate ? spike(spikes, t, c) : mem[t * step + c];
            };
            // The first classes stay in registers.
            const bool inside = first < classes;
            const float own = row(inside ? first : 0);
            float max = inside ? own : -__builtin_inff();
#pragma unroll 1
            for (u32 c = lane + 32; c < classes; c += 32) {
                max = larger(max, row(c));
            }
            max = width == 16 ? half_max(max) : warp_max(max);
            const float e = inside ? likelihood(own - max) : 0.0f;
            float total = e;
#pragma unroll 1
            for (u32 c = lane + 32; c < classes; c += 32) {
                total += likelihood(row(c) - max);
            }
            total = width == 16 ? half_sum(total) : warp_sum(total);
            const float of_step = max - row(target) + ln_from_one(total);
            value += there ? (double)of_step : 0.0;
            const float scale = share / total;
            if (adjoint && there && inside) {
                adjoint[t * step + first] = e * scale - (first == target ? share : 0.0f);
            }
            warp_barrier(); // the lanes go on together
#pragma unroll 1
            for (u32 c = lane + 32; adjoint && c < classes; c += 32) {
                const float p = likelihood(row(c) - max) * scale;
                adjoint[t * step + c] = p - (c == target ? share : 0.0f);
            }
        }
        halves = classes <= 16;
    } else if (loss == MseMembrane) {
#pragma unroll 1
        for (u32 t = warp; t < steps; t += 8) {
            float sum = 0.0f;
#pragma unroll 1
            for (u32 c = lane; c < classes; c += 32) {
                const float d = mem[t * step + c] - (c == target ? on : off);
                sum += d * d;
                if (adjoint) {
                    adjoint[t * step + c] = d * share;
                }
            }
            value += (double)warp_sum(sum);
        }
    } else if (loss == MseCount) {
        float sum = 0.0f;
#pragma unroll 1
        for (u32 c = tid; c < classes; c += 256) {
            const float d = scratch[c] - (c == target ? on : off);
            sum += d * d;
#pragma unroll 1
            for (u32 t = 0; adjoint && t < steps; t++) {
                adjoint[t * step + c] = d * share;
            }
        }
        sum = of_block<false>(sum, scores);
        value = warp == 0 ? (double)sum : 0.0;
    } else {
        // Cross entropy of the counts, or of the largest membrane of each class.
        float max = -__builtin_inff();
#pragma unroll 1
        for (u32 c = tid; c < classes; c += 256) {
            if (loss == CrossEntropyMaxMembrane) {
                float highest = mem[c];
#pragma unroll 1
                for (u32 t = 1; t < steps; t++) {
                    highest = larger(highest, mem[t * step + c]);
                }
                scratch[c] = highest;
            }
            max = larger(max, scratch[c]);
        }
        max = of_block<true>(max, scores);
        float total = 0.0f;
#pragma unroll 1
        for (u32 c = tid; c < classes; c += 256) {
            total += likelihood(scratch[c] - max);
        }
        total = of_block<false>(total, scores);
        const float at_target = scratch[target]; // written before the barriers above
        value = warp == 0 ? (double)(max - at_target + ln_from_one(total)) : 0.0;
#pragma unroll 1
        for (u32 c = tid; adjoint && c < classes; c += 256) {
            const float logit = scratch[c];
            float p = likelihood(logit - max) * (share / total);
            p = c == target ? p - share : p;
            bool found = false;
#pragma unroll 1
            for (u32 t = 0; t < steps; t++) {
                // The first step at which the largest is reached; NaN is never equal, and fails.
                const bool here = loss == CrossEntropyCount || (!found && mem[t * step + c] == logit);
                found = found || here;
                adjoint[t * step + c] = here ? p : 0.0f;
            }
        }
    }
    if (lane % 16 == 0) {
        parts[tid / 16] = lane == 0 || halves ? value : 0.0;
    }
    barrier();
    if (tid == 0) {
        double sum = 0.0;
        for (int w = 0; w < 16; w++) {
            sum += parts[w];
        }
        losses[b] = sum;
        if (!(__builtin_fabs(sum) < __builtin_inf())) {
            refuse(flag, LossNotFinite);
        }
    }
}

// The steps whose currents are formed together: ROWS by each warp.
enum { STEPS = 8 * ROWS };

// A narrow output layer at once, above another layer: currents (1) from the spikes below [T, B, N], as
// bits, by weights [C, N]; membranes and spikes (2); losses and adjoint as above, the adjoint being
// that of spikes if `of_spikes`; and, where there is an adjoint, the sweep back (3): a [T, B, C], its
// sum over time [B, C], and the derivatives by the constants that are learnt, [B, C] or, shared, [B].
// `carried` as in layer.cuh.
//
// Grid: a block of 8 warps for each sample. A warp has the currents of four steps, by `walk_spikes`.
// Traffic: a sample reads its spikes, T N / 8 bytes, the weights, 4 C N bytes for 32 steps (from L2:
// every block reads the same), and writes 4 to 12 bytes for each class and step. A spike costs C
// additions.
INLINE void output_narrow(const u32 *below, u32 inputs, const float *weight, const float *bias,
                          Constants<Leaky> layer, int dynamics, Rule rule, u32 *spikes,
                          Stored<float> stored, u64 *count, const u32 *targets, int loss,
                          float on, float off, float share, float *adjoint, u32 of_spikes,
                          float *scratch, double *losses, u32 *by_count, u32 *by_membrane, u32 *flag,
                          float *a, float *sum, Learnt learnt, u32 steps, u32 batch,
                          u32 classes, u32 carried, Walk<2, 7> &walk, two (&currents)[STEPS][NARROW / 2],
                          Shared &shared) {
    const u32 b = ctaid_x(), tid = tid_x(), lane = tid % 32, warp = tid / 32;
    const u32 words = words_of(inputs);
    const u64 cells = (u64)batch * classes, cell = (u64)b * classes + tid;
    const bool active = tid < classes;
    const Pair constants = constants_of(layer, tid, active);
    float mem = carried && active ? *(stored.mem + cell - cells) : 0.0f;
    u32 fired = 0;
#pragma unroll 1
    for (u32 from = 0; from < steps; from += STEPS) {
        // (1) for STEPS steps: row r of a warp is step from + 8 r + warp.
        float current[ROWS][2];
        walk_spikes(
            walk, weight, bias, inputs, 0, classes,
            [&](u32 r) {
                const u32 t = from + 8 * r + warp;
                return t < steps ? below + ((u64)t * batch + b) * words : (const u32 *)0;
            },
            current);
        if (lane < 8) {
#pragma unroll
            for (u32 r = 0; r < ROWS; r++) {
                currents[8 * r + warp][lane] = two{current[r][0], current[r][1]};
            }
        }
        barrier();
        // (2): warp 0 has the neurons.
        if (warp == 0) {
            const u32 end = steps - from < STEPS ? steps - from : STEPS;
            const auto through = [&](auto order, auto which) ALWAYS {
                constexpr int DYNAMICS = decltype(order)::value, RESET = decltype(which)::value;
                const u64 at = from * cells + cell;
                Stored<float> to = stored;
                to.mem += at;
                to.pre = stored.pre ? stored.pre + at : nullptr;
                u32 *of_spikes = spikes + (u64)from * batch + b;
                const float *input = (const float *)currents + lane % NARROW;
#pragma unroll 1
                for (u32 t = 0; t < end; t++) {
                    const Fired now = forward<DYNAMICS, RESET>(constants, mem, *input);
                    mem = now.mem;
                    const u32 word = ballot(active && now.spike);
                    fired += __builtin_popcount(word);
                    if (active) {
                        *to.mem = mem;
                        if (lane == 0) {
                            *of_spikes = word;
                        }
                        if (DYNAMICS == IntegrateFireReset && stored.pre) {
                            *to.pre = now.pre;
                            to.pre += cells;
                        }
                    }
                    warp_barrier(); // the lanes go on together
                    input += NARROW;
                    to.mem += cells;
                    of_spikes += batch;
                }
            };
            of_dynamics(dynamics, [&](auto order) ALWAYS {
                of_reset(rule.reset, [&](auto which) ALWAYS { through(order, which); });
            });
        }
        barrier();
    }
    if (tid == 0) {
        add_count(count, fired);
    }
    losses_and_classes({spikes + b, batch}, stored.mem, targets, loss, on, off, share, adjoint,
                       scratch, losses, by_count, by_membrane, flag, steps, batch, classes, b, shared);
    if (!adjoint) {
        return;
    }
    barrier();
    if (warp > 0) {
        return;
    }
    // (3)
    rule.flat = !rule.attached && !of_spikes;
    Swept swept = {};
    if (active) {
        const Stored<const float> from = {stored.mem, stored.pre};
        float now = mem_at(from.mem, (steps - 1) * cells + cell, true);
        const auto arrive = [&](u32, u64 at, float &g, float &e) {
            const float arriving = adjoint[at];
            g = of_spikes ? 0.0f : arriving;
            e = of_spikes ? arriving : 0.0f;
        };
        const auto leave = [&](u32, u64 at, float current) { a[at] = current; };
        of_dynamics(dynamics, [&](auto order) ALWAYS {
            sweep<decltype(order)::value, false>(rule, constants, from, cell, cells, steps, 0,
                                                         carried, now, swept, arrive, leave);
        });
        sum[cell] = swept.total;
    }
#pragma unroll
    for (u32 c = 0; c < Leaky::CONSTANTS; c++) {
        const float own = swept.constants.of[c];
        const float of_layer = layer.each[c] ? own : warp_sum(own);
        if (learnt.out[c] && active && (layer.each[c] || tid == 0)) {
            learnt.out[c][layer.each[c] ? cell : b] = of_layer;
        }
    }
}
