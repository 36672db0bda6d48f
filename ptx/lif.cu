// Layers of leaky neurons, see layer.cuh; and the weights of a narrow layer.
#include "layer.cuh"

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

LAYER_FORWARD(lif_forward_fti, FireThenIntegrate)
LAYER_FORWARD(lif_forward_itf, IntegrateThenFire)
LAYER_FORWARD(lif_forward_ifr, IntegrateFireReset)
LAYER_BACKWARD(lif_backward_fti, FireThenIntegrate)
LAYER_BACKWARD_NARROW(lif_backward_narrow_fti, FireThenIntegrate)
LAYER_BACKWARD(lif_backward_itf, IntegrateThenFire)
LAYER_BACKWARD_NARROW(lif_backward_narrow_itf, IntegrateThenFire)
LAYER_BACKWARD(lif_backward_ifr, IntegrateFireReset)
LAYER_BACKWARD_NARROW(lif_backward_narrow_ifr, IntegrateFireReset)

// Below a narrow layer one more for the tutorial's rule, where neither a nor a loss's own share of e is
// wanted, of at most 12 neurons: the main job's.
extern "C" __global__ __launch_bounds__(128, 5) void lif_backward_narrow_common(
    const float *mem, const float *a_above, const float *weight, u32 classes, float price,
    LEAKY_CONSTANTS, float *sum, u32 steps, u32 batch, u32 neurons, u32 rows, float peak, float scale) {
    __shared__ four above[STAGED][NARROW / 4];
    layer_backward_narrow<FireThenIntegrate, true>(
        {mem, nullptr}, a_above, weight, classes, nullptr, nullptr, price, LEAKY_CONSTANTS_GIVEN,
        nullptr, sum, {}, steps, batch, neurons, rows, 0, {Subtract, 0, Arctan, peak, scale, 1}, above,
        nullptr);
}
