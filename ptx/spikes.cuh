// Currents (1) of spikes, bit for bit those of src/engine/cpu/current.rs: the neurons that fire, in rising
// order, are added to four sums in turn, the first of which begins at the bias; (0 + 1) + (2 + 3) is the
// current.
//
// A warp has ROWS rows (a sample's steps, or any of [T, B]) and columns of 8 lanes; its lanes are four
// groups of 8, one for each of the four sums. The weights of 32 WORDS inputs come to shared memory once
// for all of a block's 8 warps, input by input; from the spike words each warp makes lists of what fires,
// a byte for each; then each group of lanes walks every fourth entry. Nothing is spent on the neurons
// that are silent but their bits.
//
// Cost for four spikes of a row: of each lane, V additions, V / 4 vectors of weights (8 or 16 bytes), two
// instructions for where they lie, and 3/4 of one for the loop.
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
        // Bytes of a list, which begins with up to three entries that stand for nothing; by 16.
        LIST = (INPUTS + 3 + 15) / 16 * 16
    };
    // One more input than there are, whose weights are 0.
    four weights[INPUTS + 1][LONG];
    __attribute__((aligned(16))) u8 lists[8][ROWS][LIST];
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
        // What is not there is taken from where something is: no list has it, or nobody wants the sum.
        const u32 n = 32 * at + input, column = begin < columns ? begin : columns - 1;
        const float *from = weight + (u64)(first + column) * inputs + (n < inputs ? n : inputs - 1);
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            next[i / 4][i % 4] = *from;
            from += begin + i + 1 < columns ? inputs : 0;
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
    u8(*const lists)[S::LIST] = shared.lists[warp];
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
        const float none = __builtin_bit_cast(float, S::INPUTS * 0x01010101u);
#pragma unroll
        for (u32 i = 0; i < ROWS * S::LIST / 16; i += 32) {
            if (i + lane < ROWS * S::LIST / 16) {
                ((four *)lists)[i + lane] = four{none, none, none, none};
            }
        }
        const u32 here = __builtin_popcount(word);
        u32 upto = here;
#pragma unroll
        for (u32 lanes = 1; lanes < 8; lanes *= 2) {
            const u32 other = shuffle_up(upto, lanes, 8);
            upto += own >= lanes ? other : 0;
        }
        const u32 end = rank + shuffle_from(upto, lane | 7);
        u8 *place = lists[group] + rank + upto; // behind this word's
        rank = end % 4;
        warp_barrier();
        while (word) {
            const u32 highest = __builtin_clz(word);
            *--place = (u8)(32 * own + 31 - highest);
            word ^= 0x80000000u >> highest;
        }
        if (at + WORDS < words) {
            fetch(at + WORDS);
            word = fetch_word(at + WORDS);
        }
        barrier();
#pragma unroll
        for (u32 r = 0; r < ROWS; r++) {
            const u32 turns = (shuffle_from(end, 8 * r) + 15) / 16;
            const u8 *list = lists[r] + group;
#pragma unroll 1
            for (u32 i = 0; i < turns; i++, list += 16) {
#pragma unroll
                for (u32 k = 0; k < 4; k++) {
                    const four *from = shared.weights[list[4 * k]];
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
