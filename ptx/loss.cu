// The read-out: losses and their adjoints as in src/loss.rs, and the classes as in src/metrics.rs.
//
// A block of 8 warps has one sample. Losses of each step's membranes or spikes take a warp per
// step, its lanes over the classes; losses of counts and of maxima over time take a thread per
// class. Sums run in an order that depends on the shapes alone.
// Traffic: mem and spk [T, B, C] are read once or twice (from L1), the adjoint is written once.
#include "spikegrad.cuh"

enum {
    Classify,
    CrossEntropyMembrane,
    CrossEntropyCount,
    CrossEntropyRate,
    CrossEntropyMaxMembrane,
    MseCount,
    MseMembrane
};

__device__ inline float larger(float a, float b) { return b > a ? b : a; }

__device__ inline float warp_max(float x) {
    for (int lanes = 16; lanes; lanes /= 2) {
        x = larger(x, shuffle_xor(x, lanes));
    }
    return x;
}

__device__ inline float warp_sum(float x) {
    for (int lanes = 16; lanes; lanes /= 2) {
        x += shuffle_xor(x, lanes);
    }
    return x;
}

// The largest (or the sum) over a block, to all of its threads; `scratch` has 8 floats.
template <bool MAX> __device__ inline float of_block(float x, float *scratch) {
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

// The lowest index of the largest score; `n` is none if there is no score.
__device__ inline u32 argmax_of_block(float score, u32 n, float *scores, u32 *indices) {
    barrier();
    scores[tid_x()] = score;
    indices[tid_x()] = n;
    barrier();
    for (u32 half = 128; half; half /= 2) {
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

// `spk` and `mem` are [T, B, C]; `targets` [B] and the adjoint [T, B, C] may be null. `scratch` is
// [B, C]. `on` and `off` are what the squared losses aim at; `share` scales the adjoint.
// losses[b] is the sample's sum, before any mean.
extern "C" __global__ __launch_bounds__(256) void readout(
    const float *spk, const float *mem, const u32 *targets, int loss, float on, float off,
    float share, float *adjoint, float *scratch, double *losses, u32 *by_count, u32 *by_membrane,
    u32 steps, u32 batch, u32 classes) {
    __shared__ float scores[256];
    __shared__ u32 indices[256];
    __shared__ double parts[8];
    const u32 b = ctaid_x(), tid = tid_x(), lane = tid % 32, warp = tid / 32;
    const u64 step = (u64)batch * classes;
    spk += (u64)b * classes;
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
        for (u32 t = 0; t < steps; t++) {
            count += spk[t * step + c];
            sum += mem[t * step + c];
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
    class_count = argmax_of_block(best_count, class_count, scores, indices);
    class_sum = argmax_of_block(best_sum, class_sum, scores, indices);
    if (tid == 0) {
        by_count[b] = class_count;
        by_membrane[b] = class_sum;
    }
    if (loss == Classify) {
        return;
    }

    const u32 target = targets[b];
    const float mean = (float)batch;
    double value = 0.0;
    if (loss == CrossEntropyMembrane || loss == CrossEntropyRate) {
        const float *logits = loss == CrossEntropyRate ? spk : mem;
        for (u32 t = warp; t < steps; t += 8) {
            const float *row = logits + t * step;
            float max = -__builtin_inff();
            for (u32 c = lane; c < classes; c += 32) {
                max = larger(max, row[c]);
            }
            max = warp_max(max);
            float total = 0.0f;
            for (u32 c = lane; c < classes; c += 32) {
                total += exp_negative(row[c] - max);
            }
            total = warp_sum(total);
            value += (double)(max - row[target] + ln_from_one(total));
            for (u32 c = lane; adjoint && c < classes; c += 32) {
                const float p = exp_negative(row[c] - max) / (total * mean);
                adjoint[t * step + c] = (c == target ? p - 1.0f / mean : p) * share;
            }
        }
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
            total += exp_negative(scratch[c] - max);
        }
        total = of_block<false>(total, scores);
        const float at_target = scratch[target]; // written before the barriers above
        value = warp == 0 ? (double)(max - at_target + ln_from_one(total)) : 0.0;
#pragma unroll 1
        for (u32 c = tid; adjoint && c < classes; c += 256) {
            const float logit = scratch[c];
            float p = exp_negative(logit - max) / (total * mean);
            p = c == target ? p - 1.0f / mean : p;
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
    if (lane == 0) {
        parts[warp] = value;
    }
    barrier();
    if (tid == 0) {
        double sum = 0.0;
        for (int w = 0; w < 8; w++) {
            sum += parts[w];
        }
        losses[b] = sum;
    }
}
