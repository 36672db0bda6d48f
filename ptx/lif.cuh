// One neuron through time. What it does in a step, forward and back, is neuron.cuh's, which is generated
// from the library's neuron; here are the choice among its variants and the sweep back.
#pragma once
#include "neuron.cuh"

// A layer's rule. `peak` and `scale` are the constants of its surrogate.
struct Rule {
    int reset, attached, surrogate;
    float peak, scale;
    // Whether it is the tutorial's, with the arctan and nothing learnt (`Place::common` in
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

struct Fired {
    bool spike;
    float mem, pre;
};

// A step: the spike, the membrane that is recorded, and the one that the spike read, which may differ.
template <int DYNAMICS, int RESET>
INLINE Fired forward(float beta, float theta, float before, float current) {
    const neuron::Step now = neuron::step<DYNAMICS, RESET>(beta, theta, before, current);
    return {now.spike, neuron::state<DYNAMICS, RESET>(beta, theta, now.kept), now.kept};
}

// What the sweep back has of one neuron and sample: h_t, a_t and its sum over time, dL/dbeta, dL/dtheta.
struct Swept {
    float back, current, total, beta, theta;
};

// A step back: `g` arrives at the recorded membrane, `e` at the spike. `before` is the membrane recorded
// of the step before, `kept` the one that this step's forward pass kept. COMMON: the rule is the
// tutorial's, see `Rule`, and nothing arrives at membranes. By value: a branch that adds to what a pointer
// reaches would keep it in memory.
template <int DYNAMICS, bool COMMON>
INLINE Swept step_back(const Rule &rule, float beta, float theta, float before, float kept, float g,
                       float e, Swept s) {
    const float h = COMMON ? s.back : g + s.back;
    if (COMMON || (DYNAMICS == FireThenIntegrate && rule.common)) {
        Rule tutorial = rule;
        tutorial.surrogate = Arctan;
        const neuron::Adjoint back =
            neuron::adjoint<FireThenIntegrate, Subtract, false>(tutorial, beta, theta, before, kept, h, e);
        return {back.before, back.current, s.total + back.current, s.beta, s.theta};
    }
    const neuron::Adjoint back = of_reset(rule.reset, [&](auto reset) {
        constexpr int RESET = decltype(reset)::value;
        return RESET != None && rule.attached
                   ? neuron::adjoint<DYNAMICS, RESET, RESET != None>(rule, beta, theta, before, kept, h, e)
                   : neuron::adjoint<DYNAMICS, RESET, false>(rule, beta, theta, before, kept, h, e);
    });
    return {back.before, back.current, s.total + back.current, s.beta + back.beta, s.theta + back.theta};
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
                  u64 stride, u32 top, u32 bottom, float &now, Swept &swept, Arrive arrive, Leave leave) {
    u64 at = cell + top * stride;
    const float *next = mem + at - (AHEAD + 2) * stride; // AHEAD + 1 before step top - 1
    float before[AHEAD]; // the membranes of steps top - 2, top - 3, …; 0 before step 0
#pragma unroll
    for (u32 i = 0; i < AHEAD; i++) {
        before[i] = i + 2 <= top ? mem[at - (i + 2) * stride] : 0.0f;
    }
    const auto step = [&](float previous) {
        at -= stride;
        next -= stride;
        top--;
        const float kept = DYNAMICS == IntegrateFireReset && pre ? pre[at] : now;
        float g = 0.0f, e = 0.0f;
        arrive(top, at, g, e);
        swept = step_back<DYNAMICS, COMMON>(rule, beta, theta, previous, kept, g, e, swept);
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
                const float ahead = *next;
                step(before[i]);
                before[i] = ahead;
            }
        }
    }
#pragma unroll 1
    while (top > bottom) {
        const float ahead = top >= AHEAD + 2 ? *next : 0.0f;
        step(before[0]);
#pragma unroll
        for (u32 i = 0; i + 1 < AHEAD; i++) {
            before[i] = before[i + 1];
        }
        before[AHEAD - 1] = ahead;
    }
}
