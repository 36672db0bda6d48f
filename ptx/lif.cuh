// One neuron: a step forward, a step back, and the sweep back through time. src/neuron.rs and
// src/surrogate.rs are what it follows; the names are theirs. Where a product and a sum are fused, and
// in which order sums are taken, is as in src/engine/cpu/lif.rs and back.rs, so that both engines have
// the same bits.
#pragma once
#include "spikegrad.cuh"

enum { FireThenIntegrate, IntegrateThenFire, IntegrateFireReset };
enum { Subtract, Zero, None };
enum { Arctan, FastSigmoid, Sigmoid, Triangular, StraightThrough };

// A layer's rule. `peak` and `scale` are those of the arctan; `scale` alone is the others' slope. The
// dynamics are a constant: each has its own kernels.
struct Rule {
    int reset, attached, surrogate;
    float peak, scale;
    // Whether it is the tutorial's, with the arctan and nothing learnt (`common` in
    // src/engine/cpu/layout.rs).
    int common;
};

struct Fired {
    bool spike;
    float mem, pre;
};

// Rule::forward. `jump` is what a reset subtracts, 0 where it does not; `zero`: whether it sets to zero.
template <int DYNAMICS>
INLINE Fired forward(bool zero, float jump, float beta, float theta, float before, float current) {
    if (DYNAMICS == IntegrateFireReset) {
        const float pre = __builtin_fmaf(beta, before, current);
        const bool fires = pre > theta;
        const float left = fires && zero ? 0.0f : pre;
        return {fires, left - (fires ? jump : 0.0f), pre};
    }
    const bool resets = before > theta;
    const float left = resets && zero ? 0.0f : before;
    const float mem = __builtin_fmaf(beta, left, current) - (resets ? jump : 0.0f);
    return {DYNAMICS == FireThenIntegrate ? resets : mem > theta, mem, mem};
}

template <int DYNAMICS> INLINE float jump_of(int reset, float beta, float theta) {
    return reset != Subtract ? 0.0f : DYNAMICS == FireThenIntegrate ? beta * theta : theta;
}

// sigma'(x): a quotient, the same division for all.
INLINE float derivative(const Rule &rule, float x) {
    float above = 1.0f, below = 1.0f;
    if (rule.surrogate == Arctan) {
        const float y = rule.scale * x;
        above = rule.peak;
        below = __builtin_fmaf(y, y, 1.0f);
    } else if (rule.surrogate == FastSigmoid) {
        const float y = __builtin_fmaf(rule.scale, __builtin_fabsf(x), 1.0f);
        below = y * y;
    } else if (rule.surrogate == Sigmoid) {
        const float e = exp_clamped(0.0f - rule.scale * __builtin_fabsf(x));
        above = rule.scale * e;
        below = (1.0f + e) * (1.0f + e);
    } else if (rule.surrogate == Triangular && !(x < 0.0f)) {
        above = -1.0f;
    }
    return above / below;
}

// What the sweep back has of one neuron and sample: h_t, the sum of a over time, dL/dbeta, dL/dtheta.
struct Swept {
    float back, total, beta, theta;
};

// The membrane that the spike of a step read: of the recorded ones of steps t - 1 and t, `before` and
// `now`, or `pre`, which an IntegrateFireReset may have recorded beside them.
template <int DYNAMICS> INLINE float spike_reads(float before, float now, float pre) {
    return DYNAMICS == FireThenIntegrate ? before : DYNAMICS == IntegrateThenFire ? now : pre;
}

// Rule::adjoint: `g` arrives at the recorded membrane, `e` at the spike; returns a_t. `x` is what the
// spike read. Spikes and resets are taken from the stored membranes by the forward pass's own
// comparison, so they are the same. `silent`: nothing arrives at spikes here, in no step. COMMON: the
// rule is the tutorial's, see `Rule`.
template <int DYNAMICS, bool COMMON>
INLINE float adjoint(const Rule &rule, float beta, float theta, float before, float x, float g, float e,
                     bool silent, Swept &s) {
    const float h = g + s.back;
    if (COMMON || (DYNAMICS == FireThenIntegrate && rule.common)) {
        const float y = rule.scale * (before - theta);
        const float slope = silent ? 0.0f : rule.peak / __builtin_fmaf(y, y, 1.0f);
        s.back = __builtin_fmaf(slope, e, beta * h);
        s.total += h;
        return h;
    }
    const bool r = (DYNAMICS == IntegrateThenFire ? before : x) > theta;
    const bool zero = rule.reset == Zero, subtract = rule.reset == Subtract;
    const auto keep = [&](float v) { return zero && r ? 0.0f : v; };
    const auto falls = [&](float v) { return subtract && r ? -v : 0.0f; };
    float slope = 0.0f;
    if (!silent || rule.attached) {
        slope = derivative(rule, x - theta);
    }
    float current, k;
    if (DYNAMICS == IntegrateThenFire) {
        k = slope * e;
        current = h + k;
        float rho = 0.0f;
        if (rule.attached) {
            rho = -(derivative(rule, before - theta) * ((zero ? beta * before : theta) * current));
        }
        s.beta += keep(before) * current;
        s.theta += falls(current) - k - rho;
        s.back = __builtin_fmaf(beta, keep(current), rho);
    } else {
        float through = 0.0f;
        if (DYNAMICS == FireThenIntegrate) {
            through = rule.attached ? -(beta * (zero ? before : theta) * h) : 0.0f;
        } else {
            through = rule.attached ? -((zero ? x : theta) * h) : 0.0f;
        }
        k = slope * (e + through);
        if (DYNAMICS == FireThenIntegrate) {
            current = h;
            s.beta += (subtract ? before - (r ? theta : 0.0f) : keep(before)) * current;
            s.theta += falls(beta) * current - k;
            s.back = __builtin_fmaf(beta, keep(current), k);
        } else {
            current = keep(h) + k;
            s.beta += before * current;
            s.theta += falls(h) - k;
            s.back = beta * current;
        }
    }
    s.total += current;
    return current;
}

// How many steps ahead a membrane is asked for, so that its way from memory overlaps with the steps
// before.
enum { AHEAD = 4 };

// Steps top - 1 down to bottom of one neuron, whose step t lies at `cell` + t `stride` of all arrays.
// `pre` is null unless it differs from `mem`. `arrive(t, at, g, e)` gives what arrives at step t;
// `leave(t, at, a)` is given its adjoint. `now` is the membrane of step top - 1, and then of step
// bottom - 1.
// Traffic, bytes a step: 4 read (8 with `pre`), and what `arrive` and `leave` do.
template <int DYNAMICS, bool COMMON, class Arrive, class Leave>
INLINE void sweep(const Rule &rule, float beta, float theta, const float *mem, const float *pre, u64 cell,
                  u64 stride, u32 top, u32 bottom, bool silent, float &now, Swept &swept, Arrive arrive,
                  Leave leave) {
    u64 at = cell + top * stride;
    const float *ahead_of = mem + at - (AHEAD + 2) * stride; // of step top - 1: AHEAD + 1 before it
    float before[AHEAD]; // the membranes of steps top - 2, top - 3, …; 0 before step 0
#pragma unroll
    for (u32 i = 0; i < AHEAD; i++) {
        before[i] = i + 2 <= top ? mem[at - (i + 2) * stride] : 0.0f;
    }
    // Where all is specialised a turn has AHEAD steps, so that no membrane moves from register to
    // register; elsewhere code would grow.
    constexpr u32 TURN = COMMON ? AHEAD : 1;
#pragma unroll 1
    while (top > bottom) {
#pragma unroll
        for (u32 i = 0; i < TURN; i++) {
            if (top > bottom) {
                at -= stride;
                const float ahead = top >= AHEAD + 2 ? *ahead_of : 0.0f;
                ahead_of -= stride;
                top--;
                const float read = DYNAMICS == IntegrateFireReset && pre ? pre[at] : now;
                const float x = spike_reads<DYNAMICS>(before[i], now, read);
                float g = 0.0f, e = 0.0f;
                arrive(top, at, g, e);
                leave(top, at,
                      adjoint<DYNAMICS, COMMON>(rule, beta, theta, before[i], x, g, e, silent, swept));
                now = before[i];
                before[i] = ahead;
            }
        }
        if (TURN == 1) {
            const float ahead = before[0];
#pragma unroll
            for (u32 i = 0; i + 1 < AHEAD; i++) {
                before[i] = before[i + 1];
            }
            before[AHEAD - 1] = ahead;
        }
    }
}
