// One neuron through time. What it does in a step, forward and back, is neuron.cuh's, which is generated
// from the library's neurons; here are the choice among its variants and the sweep back.
//
// The kernels of layer.cuh and readout.cuh are those of Leaky, whose state is the recorded membrane; all other
// neurons have those of any.cuh, which shares the rule, the surrogates and the constants.
#pragma once
#include "neuron.cuh"

// The most neurons of a layer that the kernels of the layer below take along.
enum { NARROW = 16 };

// A layer's rule. `peak` and `scale` are the constants of its surrogate.
struct Rule {
    int reset, attached, surrogate;
    float peak, scale;
    // Whether it is the tutorial's leaky neuron, with the arctan and nothing learnt (`LayerLayout::common` in
    // src/engine/cuda/layout.rs).
    int common;
    // Whether nothing is multiplied by the slopes but 0: nothing arrives at spikes, in no step, and no
    // gradient passes a reset.
    bool flat = false;
};

INLINE float derivative(const Rule &rule, float x) {
    if (rule.flat) {
        return 0.0f;
    }
    const float peak = rule.peak, scale = rule.scale;
    return rule.surrogate == Arctan        ? neuron::slope<Arctan>(peak, scale, x)
           : rule.surrogate == FastSigmoid ? neuron::slope<FastSigmoid>(peak, scale, x)
           : rule.surrogate == Sigmoid     ? neuron::slope<Sigmoid>(peak, scale, x)
           : rule.surrogate == Triangular  ? neuron::slope<Triangular>(peak, scale, x)
                                           : neuron::slope<StraightThrough>(peak, scale, x);
}

// A constant that a lambda is called with.
template <int VALUE> struct Constant {
    static constexpr int value = VALUE;
};

// Calls `work` with the dynamics as a constant.
template <class Work> INLINE void of_dynamics(int dynamics, Work work) {
    if (dynamics == FireThenIntegrate) {
        work(Constant<FireThenIntegrate>());
    } else if (dynamics == IntegrateThenFire) {
        work(Constant<IntegrateThenFire>());
    } else {
        work(Constant<IntegrateFireReset>());
    }
}

// The same with the reset.
template <class Work> INLINE auto of_reset(int reset, Work work) {
    if (reset == Subtract) {
        return work(Constant<Subtract>());
    }
    if (reset == Zero) {
        return work(Constant<Zero>());
    }
    return work(Constant<None>());
}

// The constants of a layer: where they are, and whether each neuron has its own.
template <class NEURON> struct Constants {
    const float *at[NEURON::CONSTANTS];
    u32 each[NEURON::CONSTANTS];
};

// Those of neuron n; 0 where it is not there.
template <class NEURON>
INLINE List<NEURON::CONSTANTS> constants_of(const Constants<NEURON> &layer, u32 n, bool there) {
    List<NEURON::CONSTANTS> own = {};
    if (there) {
#pragma unroll
        for (u32 c = 0; c < NEURON::CONSTANTS; c++) {
            own.of[c] = layer.at[c][layer.each[c] ? n : 0];
        }
    }
    return own;
}

using neuron::Leaky;
typedef List<Leaky::CONSTANTS> Pair;

// Where the sums over samples of the derivatives by the constants go; null for those not learnt.
struct Learnt {
    float *out[Leaky::CONSTANTS];
};

// What is stored of each step, [T, B, N] each: the membrane, and the one that the spike read, null unless it
// differs from the one recorded.
template <class FLOAT> struct Stored {
    FLOAT *mem, *pre;
};

struct Fired {
    bool spike;
    float mem, pre;
};

// A step: the spike, the membrane after it, and the membrane that the spike read, which may differ.
template <int DYNAMICS, int RESET> INLINE Fired forward(Pair constants, float before, float current) {
    constexpr int FORWARD = 3 * DYNAMICS + RESET;
    const neuron::Step<Leaky> now = neuron::step<Leaky, FORWARD>(constants, {before}, current);
    return {now.spike, neuron::state<Leaky, FORWARD>(constants, now.kept).of[0], now.kept.of[0]};
}

// What the sweep back has of one neuron and sample: what goes back to the membrane, a_t and its sum over
// time, the derivatives by the constants.
struct Swept {
    float back, current, total;
    Pair constants;
};

// The adjoint with the slopes that it takes.
template <int BACKWARD>
INLINE neuron::Adjoint<Leaky> adjoint(const Rule &rule, Pair constants, float before, float kept,
                                      float after, float spike) {
    const neuron::Read read = neuron::read<Leaky, BACKWARD>(constants, {before}, {kept});
    const List<2> slopes = {read.count > 0 ? derivative(rule, read.of.of[0]) : 0.0f,
                            read.count > 1 ? derivative(rule, read.of.of[1]) : 0.0f};
    return neuron::adjoint<Leaky, BACKWARD>(constants, {before}, {kept}, slopes, {after}, spike);
}

// A step back: `g` arrives at the recorded membrane, `e` at the spike. `before` is the membrane of the step
// before, `kept` what this step's forward pass kept. COMMON: the rule is the tutorial's, see `Rule`, and
// nothing arrives at membranes. By value: a branch that adds to what a pointer reaches would keep it in
// memory.
template <int DYNAMICS, bool COMMON>
INLINE Swept step_back(const Rule &rule, Pair constants, float before, float kept, float g, float e,
                       Swept s) {
    const float h = COMMON ? s.back : g + s.back;
    if (COMMON || (DYNAMICS == FireThenIntegrate && rule.common)) {
        Rule tutorial = rule;
        tutorial.surrogate = Arctan;
        const auto back =
            adjoint<3 * FireThenIntegrate + Subtract>(tutorial, constants, before, kept, h, e);
        return {back.before.of[0], back.current, s.total + back.current, s.constants};
    }
    const neuron::Adjoint<Leaky> back = of_reset(rule.reset, [&](auto reset) {
        constexpr int RESET = decltype(reset)::value, DETACHED = 3 * DYNAMICS + RESET;
        constexpr int ATTACHED = RESET != None ? Leaky::FORWARDS + DETACHED : DETACHED;
        return RESET != None && rule.attached
                   ? adjoint<ATTACHED>(rule, constants, before, kept, h, e)
                   : adjoint<DETACHED>(rule, constants, before, kept, h, e);
    });
    Swept after = {back.before.of[0], back.current, s.total + back.current, s.constants};
#pragma unroll
    for (u32 c = 0; c < Leaky::CONSTANTS; c++) {
        after.constants.of[c] += back.constants.of[c];
    }
    return after;
}

// How many steps ahead a membrane is asked for, so that its way from memory overlaps with the steps before.
enum { AHEAD = 4 };

// The membrane at `at`; 0 where there is none.
INLINE float mem_at(const float *mem, i64 at, bool there) {
    return there ? mem[at] : 0.0f;
}

// Steps top - 1 down to bottom of one neuron, whose step t lies at `cell` + t `stride` of all arrays.
// `arrive(t, at, g, e)` gives what arrives at step t; `leave(t, at, a)` is given its adjoint. `now` is
// the membrane of step top - 1, and then of step bottom - 1. The one before step 0 is at rest or, if
// `carried` (1), stored in the row before it.
// Traffic, bytes a step: 4 read (4 more with `pre`), and what `arrive` and
// `leave` do.
template <int DYNAMICS, bool COMMON, class Arrive, class Leave>
INLINE void sweep(const Rule &rule, Pair constants, const Stored<const float> &stored, u64 cell, u64 stride,
                  u32 top, u32 bottom, u32 carried, float &now, Swept &swept, Arrive arrive, Leave leave) {
    u64 at = cell + top * stride;
    const float *next = stored.mem + at - (AHEAD + 2) * stride; // AHEAD + 1 before step top - 1
    float before[AHEAD];                                        // of steps top - 2, top - 3, …
#pragma unroll
    for (u32 i = 0; i < AHEAD; i++) {
        before[i] = mem_at(stored.mem, at - (i + 2) * stride, i + 2 <= top + carried);
    }
    const auto step = [&](float previous) ALWAYS {
        at -= stride;
        next -= stride;
        top--;
        float kept = now;
        if (DYNAMICS == IntegrateFireReset && stored.pre) {
            kept = stored.pre[at];
        }
        float g = 0.0f, e = 0.0f;
        arrive(top, at, g, e);
        swept = step_back<DYNAMICS, COMMON>(rule, constants, previous, kept, g, e, swept);
        leave(top, at, swept.current);
        now = previous;
    };
    // Where all is specialised, AHEAD steps in a turn: no membrane moves from register to register, and
    // no step asks whether there is one to load. Elsewhere code would grow.
    if (COMMON) {
#pragma unroll 1
        while (top >= bottom + AHEAD && top >= 2 * AHEAD + 1) {
#pragma unroll
            for (u32 i = 0; i < AHEAD; i++) {
                const float ahead = mem_at(next, 0, true);
                step(before[i]);
                before[i] = ahead;
            }
        }
    }
#pragma unroll 1
    while (top > bottom) {
        const float ahead = mem_at(next, 0, top + carried >= AHEAD + 2);
        step(before[0]);
#pragma unroll
        for (u32 i = 0; i + 1 < AHEAD; i++) {
            before[i] = before[i + 1];
        }
        before[AHEAD - 1] = ahead;
    }
}

// What the parameters of kernels have of the neuron: the constants and whether each neuron has its own, what
// is stored of the state, and where the derivatives by the constants go.
#define LEAKY_CONSTANTS const float *betas, u32 beta_each, const float *thetas, u32 theta_each
#define LEAKY_CONSTANTS_GIVEN {{betas, thetas}, {beta_each, theta_each}}
#define LEAKY_LEARNT float *beta_out, float *theta_out
#define LEAKY_LEARNT_GIVEN {{beta_out, theta_out}}

// Sums over a block of what each thread has, in a fixed order; thread 0 gets it. `scratch` has one for each warp.
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
