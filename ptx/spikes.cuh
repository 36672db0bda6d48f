// Currents (1) of spikes, bit for bit those of src/engine/cpu/current.rs: the neurons that fire, in rising
// order, are added to four sums in turn, the first of which begins at the bias; (0 + 1) + (2 + 3) is the
// current.
//
// A warp has ROWS rows (a sample's steps, or any of [T, B]) and columns of 8 lanes; its lanes are four
// groups of 8, one for each of the four sums. The weights of 32 WORDS inputs come to shared memory once
// for all of a block's 8 warps, input by input; from the spike words each warp makes lists of what fires,
// a byte for each, dealt out to the four groups; then each group walks its own list. Nothing is spent on
// the neurons that are silent but their bits.
//
// Cost for four spikes of a row: of each lane, V additions, V / 4 vectors of weights (8 or 16 bytes),
// two instructions for where they lie and 3/4 of the loop's.
#pragma once
#include "spikegrad.cuh"

enum { ROWS = 4 };
typedef float two __attribute__((ext_vector_type(2)));
typedef float four __attribute__((ext_vector_type(4)));

// V columns for each lane, 2 or 8; WORDS words of inputs at a time, at most 7.
template <int V, int WORDS> struct Walk {
    enum {
        INPUTS = 32 * WORDS,
        COLUMNS = 8 * V,
        // In fours of floats; vectors stored for neighbouring inputs do not meet in a bank.
        LONG = COLUMNS / 4 + 1,
        // Words of a list: four entries each, of up to INPUTS + 3 dealt out to four groups, by fours.
        LIST = ((INPUTS + 3 + 15) / 16) | 1
    };
    // One more input than there are, whose weights are 0.
    four weights[INPUTS + 1][LONG];
    u32 lists[8][ROWS][4][LIST];
};

// Adds to `sum[r]` the currents of the warp's row r at the columns of the lane: first + 2 l, + 1 of lane
// l of its group for V = 2; first + 4 l to + 3 and first + 32 + 4 l to + 3 for V = 8. `row(r)` is where
// row r's words begin, or null.
template <int V, int WORDS, class Row>
INLINE void walk_spikes(Walk<V, WORDS> &shared, const float *weight, const float *bias, u32 inputs,
                        u32 first, u32 columns, Row row, float (&sum)[ROWS][V]) {
    typedef Walk<V, WORDS> S;
    const u32 tid = tid_x(), lane = tid % 32, warp = tid / 32, group = lane / 8, own = lane % 8;
    const u32 words = words_of(inputs);
    const auto column = [&](u32 v) { return V == 2 ? 2 * own + v : v / 4 * 32 + 4 * own + v % 4; };
#pragma unroll
    for (u32 v = 0; v < V; v++) {
        const u32 c = first + column(v);
        const float start = group == 0 && column(v) < columns ? bias[c] : 0.0f;
#pragma unroll
        for (u32 r = 0; r < ROWS; r++) {
            sum[r][v] = start;
        }
    }
    // What a thread brings of the weights: EACH columns of one input.
    constexpr u32 SETS = 256 / S::INPUTS, EACH = S::COLUMNS / SETS;
    const u32 input = tid % S::INPUTS, begin = tid / S::INPUTS * EACH;
    const bool brings = tid < SETS * S::INPUTS;
    four next[EACH / 4];
    const auto fetch = [&](u32 at) {
        const u32 n = 32 * at + input;
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            const u32 c = begin + i;
            next[i / 4][i % 4] =
                brings && n < inputs && c < columns ? weight[(u64)(first + c) * inputs + n] : 0.0f;
        }
    };
    // Lane w of group r has word w of row r.
    const u32 *mine = row(group);
    const auto fetch_word = [&](u32 at) {
        return mine && own < WORDS && at + own < words ? mine[at + own] : 0;
    };
    if (tid < S::LONG) {
        shared.weights[S::INPUTS][tid] = four{0.0f, 0.0f, 0.0f, 0.0f};
    }
    u32 rank = 0; // of the row's next spike, modulo 4
    u32 *const lists = &shared.lists[warp][0][0][0];
    fetch(0);
    u32 word = fetch_word(0);
#pragma unroll 1
    for (u32 at = 0; at < words; at += WORDS) {
        barrier(); // all have done with the weights of before
        if (brings) {
#pragma unroll
            for (u32 i = 0; i < EACH / 4; i++) {
                shared.weights[input][begin / 4 + i] = next[i];
            }
        }
        // The lists: nothing but the input without weights at first.
        const u32 none = S::INPUTS * 0x01010101u;
        for (u32 i = lane; i < ROWS * 4 * S::LIST; i += 32) {
            lists[i] = none;
        }
        const u32 here = __builtin_popcount(word);
        u32 upto = here;
#pragma unroll
        for (u32 lanes = 1; lanes < 8; lanes *= 2) {
            const u32 other = shuffle_up(upto, lanes, 8);
            upto += own >= lanes ? other : 0;
        }
        const u32 end = rank + shuffle_from(upto, lane | 7);
        u32 place = rank + upto - here;
        rank = end % 4;
        warp_barrier();
        while (word) {
            const u32 n = 32 * own + __builtin_ctz(word);
            ((u8 *)&lists[(group * 4 + place % 4) * S::LIST])[place / 4] = (u8)n;
            word &= word - 1;
            place++;
        }
        if (at + WORDS < words) {
            fetch(at + WORDS);
            word = fetch_word(at + WORDS);
        }
        barrier();
#pragma unroll
        for (u32 r = 0; r < ROWS; r++) {
            const u32 turns = (shuffle_from(end, 8 * r) + 15) / 16;
            const u32 *list = &lists[(r * 4 + group) * S::LIST];
#pragma unroll 1
            for (u32 i = 0; i < turns; i++) {
                const u32 all = list[i];
#pragma unroll
                for (u32 k = 0; k < 4; k++) {
                    const four *from = shared.weights[all >> 8 * k & 255];
                    if (V == 2) {
                        const two w = ((const two *)from)[own];
                        sum[r][0] += w[0];
                        sum[r][1] += w[1];
                    } else {
#pragma unroll
                        for (u32 v = 0; v < V / 4; v++) {
                            const four w = from[own + 8 * v];
#pragma unroll
                            for (u32 j = 0; j < 4; j++) {
                                sum[r][4 * v + j] += w[j];
                            }
                        }
                    }
                }
            }
        }
    }
    // (0 + 1) + (2 + 3), in all groups.
#pragma unroll
    for (u32 r = 0; r < ROWS; r++) {
#pragma unroll
        for (u32 v = 0; v < V; v++) {
            const float pair = sum[r][v] + shuffle_xor(sum[r][v], 8);
            sum[r][v] = pair + shuffle_xor(pair, 16);
        }
    }
}
