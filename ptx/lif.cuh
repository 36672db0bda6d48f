// One neuron: a step forward, a step back, and the sweep back through time. src/neuron.rs and
// src/surrogate.rs are what it follows; the names are theirs.
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
};

INLINE float heaviside(float x) { return x > 0.0f ? 1.0f : 0.0f; }

struct Fired {
    float spike, mem, pre;
};

// Rule::forward.
template <int DYNAMICS>
INLINE Fired forward(int reset, float beta, float theta, float before, float current) {
    if (DYNAMICS == IntegrateFireReset) {
        const float pre = beta * before + current, s = heaviside(pre - theta);
        const float mem = reset == Subtract ? pre - theta * s : reset == Zero ? (1.0f - s) * pre : pre;
        return {s, mem, pre};
    }
    const float r = heaviside(before - theta);
    const float jump = DYNAMICS == FireThenIntegrate ? beta * theta : theta;
    const float mem = reset == Subtract ? beta * before + current - jump * r
                      : reset == Zero   ? beta * (1.0f - r) * before + current
                                        : beta * before + current;
    return {DYNAMICS == FireThenIntegrate ? r : heaviside(mem - theta), mem, mem};
}

// sigma'(x): a quotient, the same division for all.
INLINE float derivative(const Rule &rule, float x) {
    float above = 1.0f, below = 1.0f;
    if (rule.surrogate == Arctan) {
        const float y = rule.scale * x;
        above = rule.peak;
        below = 1.0f + y * y;
    } else if (rule.surrogate == FastSigmoid) {
        const float y = rule.scale * __builtin_fabsf(x) + 1.0f;
        below = y * y;
    } else if (rule.surrogate == Sigmoid) {
        const float e = exp_negative(-__builtin_fabsf(rule.scale * x));
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
// comparison, so they are the same. `silent`: nothing arrives at spikes here, in no step.
template <int DYNAMICS>
INLINE float adjoint(const Rule &rule, float beta, float theta, float before, float x, float g, float e,
                     bool silent, Swept &s) {
    const float h = g + s.back;
    const float at_reset = DYNAMICS == IntegrateThenFire ? before : x;
    const float r = heaviside(at_reset - theta), keep = rule.reset == Zero ? 1.0f - r : 1.0f;
    const bool subtract = rule.reset == Subtract;
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
            rho = derivative(rule, before - theta) * (subtract ? -theta : -beta * before) * current;
        }
        s.beta += keep * before * current;
        s.theta += (subtract ? -r : 0.0f) * current - k - rho;
        s.back = beta * keep * current + rho;
    } else {
        const float falls = DYNAMICS == FireThenIntegrate ? -beta : -1.0f;
        const float through = rule.attached ? falls * (subtract ? theta : x) * h : 0.0f;
        k = slope * (e + through);
        if (DYNAMICS == FireThenIntegrate) {
            current = h;
            s.beta += (subtract ? before - theta * r : keep * before) * current;
            s.theta += (subtract ? -beta * r : 0.0f) * current - k;
            s.back = beta * keep * current + k;
        } else {
            current = keep * h + k;
            s.beta += before * current;
            s.theta += (subtract ? -r : 0.0f) * h - k;
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
// `leave(t, at, a, spike)` is given its adjoint. `now` is the membrane of step top - 1, and then of
// step bottom - 1.
// Traffic, bytes a step: 4 read (8 with `pre`), and what `arrive` and `leave` do.
template <int DYNAMICS, class Arrive, class Leave>
INLINE void sweep(const Rule &rule, float beta, float theta, const float *mem, const float *pre, u64 cell,
                  u64 stride, u32 top, u32 bottom, bool silent, float &now, Swept &swept, Arrive arrive,
                  Leave leave) {
    u64 at = cell + top * stride;
    float before[AHEAD]; // the membranes of steps top - 2, top - 3, …; 0 before step 0
#pragma unroll
    for (u32 i = 0; i < AHEAD; i++) {
        before[i] = i + 2 <= top ? mem[at - (i + 2) * stride] : 0.0f;
    }
#pragma unroll 1
    while (top > bottom) {
        at -= stride;
        const float ahead = top >= AHEAD + 2 ? mem[at - (AHEAD + 1) * stride] : 0.0f;
        top--;
        const float read = DYNAMICS == IntegrateFireReset && pre ? pre[at] : now;
        const float x = spike_reads<DYNAMICS>(before[0], now, read);
        float g = 0.0f, e = 0.0f;
        arrive(top, at, g, e);
        const float a = adjoint<DYNAMICS>(rule, beta, theta, before[0], x, g, e, silent, swept);
        leave(top, at, a, heaviside(x - theta));
        now = before[0];
#pragma unroll
        for (u32 i = 0; i + 1 < AHEAD; i++) {
            before[i] = before[i + 1];
        }
        before[AHEAD - 1] = ahead;
    }
}
