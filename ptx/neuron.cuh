// Generated from src/neuron and src/surrogate.rs by tests/cuda_source.rs; do not edit.
#pragma once
#include "spikegrad.cuh"

enum { FireThenIntegrate, IntegrateThenFire, IntegrateFireReset };
enum { Subtract, Zero, None };
enum { Arctan, FastSigmoid, Sigmoid, Triangular, StraightThrough };

struct Rule;
// The slope of the rule's surrogate.
INLINE float derivative(const Rule &rule, float x);

template <int LEN> struct List {
    float of[LEN];
};

namespace neuron {

// Of src/neuron/leaky.rs. How many constants, and how much state: the membrane first; as much is kept.
struct Leaky {
    enum { CONSTANTS = 2, STATES = 1 };
};

// Of src/neuron/synaptic.rs; OLD: whether the membrane reads the current of the step before.
template <bool OLD> struct Synaptic {
    enum { CONSTANTS = 4, STATES = 2 };
};

// The spike that is sent up, and what is kept of the step.
template <class NEURON> struct Step {
    bool spike;
    List<NEURON::STATES> kept;
};

// dL/dI, what goes back to the state before, and this step's share of the derivatives by the constants.
template <class NEURON> struct Adjoint {
    float current;
    List<NEURON::STATES> before;
    List<NEURON::CONSTANTS> constants;
};

template <int SURROGATE> INLINE float slope(float peak, float scale, float x);
template <class NEURON, int DYNAMICS, int RESET>
INLINE Step<NEURON> step(List<NEURON::CONSTANTS> constants, List<NEURON::STATES> states, float current);
template <class NEURON, int DYNAMICS, int RESET>
INLINE List<NEURON::STATES> state(List<NEURON::CONSTANTS> constants, List<NEURON::STATES> of_step);
template <class NEURON, int DYNAMICS, int RESET, bool ATTACHED>
INLINE Adjoint<NEURON> adjoint(const Rule &rule, List<NEURON::CONSTANTS> constants,
                               List<NEURON::STATES> states, List<NEURON::STATES> of_step,
                               List<NEURON::STATES> arriving, float spike);

template <> INLINE float slope<Arctan>(
    float peak, float scale, float x) {
    const float f0 = scale * x;
    const float f1 = __builtin_fmaf(f0, f0, 1.0f);
    const float f2 = peak / f1;
    return f2;
}

template <> INLINE float slope<FastSigmoid>(
    float peak, float scale, float x) {
    const float f0 = __builtin_fabsf(x);
    const float f1 = __builtin_fmaf(scale, f0, 1.0f);
    const float f2 = f1 * f1;
    const float f3 = peak / f2;
    return f3;
}

template <> INLINE float slope<Sigmoid>(
    float peak, float scale, float x) {
    const float f0 = __builtin_fabsf(x);
    const float f1 = scale * f0;
    const float f2 = 0.0f - f1;
    const float f3 = exp_clamped(f2);
    const float f4 = peak * f3;
    const float f5 = 1.0f + f3;
    const float f6 = f5 * f5;
    const float f7 = f4 / f6;
    return f7;
}

template <> INLINE float slope<Triangular>(
    float, float, float x) {
    const float f0 = 0.0f - x;
    const float f1 = f0 > 0.0f ? 1.0f : -1.0f;
    return f1;
}

template <> INLINE float slope<StraightThrough>(
    float, float, float) {
    return 1.0f;
}

template <> INLINE Step<Leaky> step<Leaky, FireThenIntegrate, Subtract>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(beta, before, current);
    const float f2 = beta * threshold;
    const float f3 = b0 ? f2 : 0.0f;
    const float f4 = f1 - f3;
    return {b0, {f4}};
}

template <> INLINE List<1> state<Leaky, FireThenIntegrate, Subtract>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, FireThenIntegrate, Subtract, false>(
    const Rule &rule, List<2> constants, List<1> states, List<1>, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float after = arriving.of[0];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = b2 ? threshold : 0.0f;
    const float f4 = before - f3;
    const float f5 = b2 ? beta : 0.0f;
    const float f6 = 0.0f - f5;
    const float f7 = beta * after;
    const float f8 = __builtin_fmaf(f1, spike, f7);
    const float f9 = f4 * after;
    const float f10 = f6 * after;
    const float f11 = f1 * spike;
    const float f12 = f10 - f11;
    return {after, {f8}, {f9, f12}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, FireThenIntegrate, Subtract, true>(
    const Rule &rule, List<2> constants, List<1> states, List<1>, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float after = arriving.of[0];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = beta * threshold;
    const float f4 = f3 * after;
    const float f5 = spike - f4;
    const float f6 = b2 ? threshold : 0.0f;
    const float f7 = before - f6;
    const float f8 = b2 ? beta : 0.0f;
    const float f9 = 0.0f - f8;
    const float f10 = beta * after;
    const float f11 = __builtin_fmaf(f1, f5, f10);
    const float f12 = f7 * after;
    const float f13 = f9 * after;
    const float f14 = f1 * f5;
    const float f15 = f13 - f14;
    return {after, {f11}, {f12, f15}};
}

template <> INLINE Step<Leaky> step<Leaky, FireThenIntegrate, Zero>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const bool b0 = before > threshold;
    const float f1 = b0 ? before : 0.0f;
    const float f2 = before - f1;
    const float f3 = __builtin_fmaf(beta, f2, current);
    return {b0, {f3}};
}

template <> INLINE List<1> state<Leaky, FireThenIntegrate, Zero>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, FireThenIntegrate, Zero, false>(
    const Rule &rule, List<2> constants, List<1> states, List<1>, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float after = arriving.of[0];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = b2 ? before : 0.0f;
    const float f4 = before - f3;
    const float f5 = b2 ? after : 0.0f;
    const float f6 = after - f5;
    const float f7 = beta * f6;
    const float f8 = __builtin_fmaf(f1, spike, f7);
    const float f9 = f4 * after;
    const float f10 = 0.0f * after;
    const float f11 = f1 * spike;
    const float f12 = f10 - f11;
    return {after, {f8}, {f9, f12}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, FireThenIntegrate, Zero, true>(
    const Rule &rule, List<2> constants, List<1> states, List<1>, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float after = arriving.of[0];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = beta * before;
    const float f4 = f3 * after;
    const float f5 = spike - f4;
    const float f6 = b2 ? before : 0.0f;
    const float f7 = before - f6;
    const float f8 = b2 ? after : 0.0f;
    const float f9 = after - f8;
    const float f10 = beta * f9;
    const float f11 = __builtin_fmaf(f1, f5, f10);
    const float f12 = f7 * after;
    const float f13 = 0.0f * after;
    const float f14 = f1 * f5;
    const float f15 = f13 - f14;
    return {after, {f11}, {f12, f15}};
}

template <> INLINE Step<Leaky> step<Leaky, FireThenIntegrate, None>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(beta, before, current);
    return {b0, {f1}};
}

template <> INLINE List<1> state<Leaky, FireThenIntegrate, None>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, FireThenIntegrate, None, false>(
    const Rule &rule, List<2> constants, List<1> states, List<1>, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float after = arriving.of[0];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const float f2 = beta * after;
    const float f3 = __builtin_fmaf(f1, spike, f2);
    const float f4 = before * after;
    const float f5 = 0.0f * after;
    const float f6 = f1 * spike;
    const float f7 = f5 - f6;
    return {after, {f3}, {f4, f7}};
}

template <> INLINE Step<Leaky> step<Leaky, IntegrateThenFire, Subtract>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(beta, before, current);
    const float f2 = b0 ? threshold : 0.0f;
    const float f3 = f1 - f2;
    const bool b4 = f3 > threshold;
    return {b4, {f3}};
}

template <> INLINE List<1> state<Leaky, IntegrateThenFire, Subtract>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, IntegrateThenFire, Subtract, false>(
    const Rule &rule, List<2> constants, List<1> states, List<1> of_step, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float after = arriving.of[0];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = beta * f3;
    const float f5 = b2 ? f3 : 0.0f;
    const float f6 = 0.0f - f5;
    const float f7 = before * f3;
    const float f8 = f1 * spike;
    const float f9 = f6 - f8;
    const float f10 = f9 - 0.0f;
    return {f3, {f4}, {f7, f10}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, IntegrateThenFire, Subtract, true>(
    const Rule &rule, List<2> constants, List<1> states, List<1> of_step, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float after = arriving.of[0];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = beta * f3;
    const float f5 = before - threshold;
    const float f6 = derivative(rule, f5);
    const float f7 = threshold * f3;
    const float f8 = f6 * f7;
    const float f9 = 0.0f - f8;
    const float f10 = b2 ? f3 : 0.0f;
    const float f11 = 0.0f - f10;
    const float f12 = f4 + f9;
    const float f13 = before * f3;
    const float f14 = f1 * spike;
    const float f15 = f11 - f14;
    const float f16 = f15 - f9;
    return {f3, {f12}, {f13, f16}};
}

template <> INLINE Step<Leaky> step<Leaky, IntegrateThenFire, Zero>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const bool b0 = before > threshold;
    const float f1 = b0 ? before : 0.0f;
    const float f2 = before - f1;
    const float f3 = __builtin_fmaf(beta, f2, current);
    const bool b4 = f3 > threshold;
    return {b4, {f3}};
}

template <> INLINE List<1> state<Leaky, IntegrateThenFire, Zero>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, IntegrateThenFire, Zero, false>(
    const Rule &rule, List<2> constants, List<1> states, List<1> of_step, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float after = arriving.of[0];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = f3 - f4;
    const float f6 = beta * f5;
    const float f7 = b2 ? before : 0.0f;
    const float f8 = before - f7;
    const float f9 = f8 * f3;
    const float f10 = f1 * spike;
    const float f11 = 0.0f - f10;
    const float f12 = f11 - 0.0f;
    return {f3, {f6}, {f9, f12}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, IntegrateThenFire, Zero, true>(
    const Rule &rule, List<2> constants, List<1> states, List<1> of_step, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float after = arriving.of[0];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = f3 - f4;
    const float f6 = beta * f5;
    const float f7 = beta * before;
    const float f8 = before - threshold;
    const float f9 = derivative(rule, f8);
    const float f10 = f7 * f3;
    const float f11 = f9 * f10;
    const float f12 = 0.0f - f11;
    const float f13 = f6 + f12;
    const float f14 = b2 ? before : 0.0f;
    const float f15 = before - f14;
    const float f16 = f15 * f3;
    const float f17 = f1 * spike;
    const float f18 = 0.0f - f17;
    const float f19 = f18 - f12;
    return {f3, {f13}, {f16, f19}};
}

template <> INLINE Step<Leaky> step<Leaky, IntegrateThenFire, None>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > threshold;
    return {b1, {f0}};
}

template <> INLINE List<1> state<Leaky, IntegrateThenFire, None>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, IntegrateThenFire, None, false>(
    const Rule &rule, List<2> constants, List<1> states, List<1> of_step, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float after = arriving.of[0];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const float f2 = __builtin_fmaf(f1, spike, after);
    const float f3 = beta * f2;
    const float f4 = before * f2;
    const float f5 = f1 * spike;
    const float f6 = 0.0f - f5;
    const float f7 = f6 - 0.0f;
    return {f2, {f3}, {f4, f7}};
}

template <> INLINE Step<Leaky> step<Leaky, IntegrateFireReset, Subtract>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > threshold;
    return {b1, {f0}};
}

template <> INLINE List<1> state<Leaky, IntegrateFireReset, Subtract>(
    List<2> constants, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? threshold : 0.0f;
    const float f2 = kept - f1;
    return {f2};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, IntegrateFireReset, Subtract, false>(
    const Rule &rule, List<2> constants, List<1> states, List<1> of_step, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float after = arriving.of[0];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? after : 0.0f;
    const float f5 = 0.0f - f4;
    const float f6 = beta * f3;
    const float f7 = before * f3;
    const float f8 = f1 * spike;
    const float f9 = f5 - f8;
    return {f3, {f6}, {f7, f9}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, IntegrateFireReset, Subtract, true>(
    const Rule &rule, List<2> constants, List<1> states, List<1> of_step, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float after = arriving.of[0];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = threshold * after;
    const float f4 = spike - f3;
    const float f5 = __builtin_fmaf(f1, f4, after);
    const float f6 = b2 ? after : 0.0f;
    const float f7 = 0.0f - f6;
    const float f8 = beta * f5;
    const float f9 = before * f5;
    const float f10 = f1 * f4;
    const float f11 = f7 - f10;
    return {f5, {f8}, {f9, f11}};
}

template <> INLINE Step<Leaky> step<Leaky, IntegrateFireReset, Zero>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > threshold;
    return {b1, {f0}};
}

template <> INLINE List<1> state<Leaky, IntegrateFireReset, Zero>(
    List<2> constants, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? kept : 0.0f;
    const float f2 = kept - f1;
    return {f2};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, IntegrateFireReset, Zero, false>(
    const Rule &rule, List<2> constants, List<1> states, List<1> of_step, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float after = arriving.of[0];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = b2 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = __builtin_fmaf(f1, spike, f4);
    const float f6 = beta * f5;
    const float f7 = before * f5;
    const float f8 = f1 * spike;
    const float f9 = 0.0f - f8;
    return {f5, {f6}, {f7, f9}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, IntegrateFireReset, Zero, true>(
    const Rule &rule, List<2> constants, List<1> states, List<1> of_step, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float after = arriving.of[0];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = kept * after;
    const float f4 = spike - f3;
    const float f5 = b2 ? after : 0.0f;
    const float f6 = after - f5;
    const float f7 = __builtin_fmaf(f1, f4, f6);
    const float f8 = beta * f7;
    const float f9 = before * f7;
    const float f10 = f1 * f4;
    const float f11 = 0.0f - f10;
    return {f7, {f8}, {f9, f11}};
}

template <> INLINE Step<Leaky> step<Leaky, IntegrateFireReset, None>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > threshold;
    return {b1, {f0}};
}

template <> INLINE List<1> state<Leaky, IntegrateFireReset, None>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, IntegrateFireReset, None, false>(
    const Rule &rule, List<2> constants, List<1> states, List<1> of_step, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float after = arriving.of[0];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const float f2 = __builtin_fmaf(f1, spike, after);
    const float f3 = beta * f2;
    const float f4 = before * f2;
    const float f5 = f1 * spike;
    const float f6 = 0.0f - f5;
    return {f2, {f3}, {f4, f6}};
}

template <> INLINE Step<Synaptic<false>> step<Synaptic<false>, FireThenIntegrate, Subtract>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = beta * threshold;
    const float f5 = b3 ? f4 : 0.0f;
    const float f6 = f2 - f5;
    return {b3, {f6, f0}};
}

template <> INLINE List<2> state<Synaptic<false>, FireThenIntegrate, Subtract>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, FireThenIntegrate, Subtract, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = b2 ? threshold : 0.0f;
    const float f4 = after * before;
    const float f5 = f3 * after;
    const float f6 = f4 - f5;
    const float f7 = beta * after;
    const float f8 = b2 ? f7 : 0.0f;
    const float f9 = 0.0f - f8;
    const float f10 = __builtin_fmaf(f1, spike, f7);
    const float f11 = f1 * spike;
    const float f12 = f9 - f11;
    const float f13 = __builtin_fmaf(gain, after, current_after);
    const float f14 = alpha * f13;
    const float f15 = f13 * current_before;
    const float f16 = after * current_kept;
    return {f13, {f10, f14}, {f15, f6, f16, f12}};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, FireThenIntegrate, Subtract, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = beta * threshold;
    const float f4 = f3 * after;
    const float f5 = spike - f4;
    const float f6 = b2 ? threshold : 0.0f;
    const float f7 = after * before;
    const float f8 = f6 * after;
    const float f9 = f7 - f8;
    const float f10 = beta * after;
    const float f11 = b2 ? f10 : 0.0f;
    const float f12 = 0.0f - f11;
    const float f13 = __builtin_fmaf(f1, f5, f10);
    const float f14 = f1 * f5;
    const float f15 = f12 - f14;
    const float f16 = __builtin_fmaf(gain, after, current_after);
    const float f17 = alpha * f16;
    const float f18 = f16 * current_before;
    const float f19 = after * current_kept;
    return {f16, {f13, f17}, {f18, f9, f19, f15}};
}

template <> INLINE Step<Synaptic<false>> step<Synaptic<false>, FireThenIntegrate, Zero>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? f2 : 0.0f;
    const float f5 = f2 - f4;
    return {b3, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic<false>, FireThenIntegrate, Zero>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, FireThenIntegrate, Zero, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = b2 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = f4 * before;
    const float f6 = 0.0f * after;
    const float f7 = f5 - f6;
    const float f8 = beta * f4;
    const float f9 = __builtin_fmaf(f1, spike, f8);
    const float f10 = f1 * spike;
    const float f11 = 0.0f - f10;
    const float f12 = __builtin_fmaf(gain, f4, current_after);
    const float f13 = alpha * f12;
    const float f14 = f12 * current_before;
    const float f15 = f4 * current_kept;
    return {f12, {f9, f13}, {f14, f7, f15, f11}};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, FireThenIntegrate, Zero, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = gain * current_kept;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const float f5 = f4 * after;
    const float f6 = spike - f5;
    const float f7 = b2 ? after : 0.0f;
    const float f8 = after - f7;
    const float f9 = f8 * before;
    const float f10 = 0.0f * after;
    const float f11 = f9 - f10;
    const float f12 = beta * f8;
    const float f13 = __builtin_fmaf(f1, f6, f12);
    const float f14 = f1 * f6;
    const float f15 = 0.0f - f14;
    const float f16 = __builtin_fmaf(gain, f8, current_after);
    const float f17 = alpha * f16;
    const float f18 = f16 * current_before;
    const float f19 = f8 * current_kept;
    return {f16, {f13, f17}, {f18, f11, f19, f15}};
}

template <> INLINE Step<Synaptic<false>> step<Synaptic<false>, FireThenIntegrate, None>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic<false>, FireThenIntegrate, None>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, FireThenIntegrate, None, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const float f2 = after * before;
    const float f3 = 0.0f * after;
    const float f4 = f2 - f3;
    const float f5 = beta * after;
    const float f6 = __builtin_fmaf(f1, spike, f5);
    const float f7 = f1 * spike;
    const float f8 = 0.0f - f7;
    const float f9 = __builtin_fmaf(gain, after, current_after);
    const float f10 = alpha * f9;
    const float f11 = f9 * current_before;
    const float f12 = after * current_kept;
    return {f9, {f6, f10}, {f11, f4, f12, f8}};
}

template <> INLINE Step<Synaptic<false>> step<Synaptic<false>, IntegrateThenFire, Subtract>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? threshold : 0.0f;
    const float f5 = f2 - f4;
    const bool b6 = f5 > threshold;
    return {b6, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic<false>, IntegrateThenFire, Subtract>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, IntegrateThenFire, Subtract, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = 0.0f - f4;
    const float f6 = __builtin_fmaf(beta, f3, 0.0f);
    const float f7 = f3 * before;
    const float f8 = f1 * spike;
    const float f9 = f5 - f8;
    const float f10 = f9 - 0.0f;
    const float f11 = __builtin_fmaf(gain, f3, current_after);
    const float f12 = alpha * f11;
    const float f13 = f11 * current_before;
    const float f14 = f3 * current_kept;
    return {f11, {f6, f12}, {f13, f7, f14, f10}};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, IntegrateThenFire, Subtract, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = before - threshold;
    const float f5 = derivative(rule, f4);
    const float f6 = threshold * f3;
    const float f7 = f5 * f6;
    const float f8 = 0.0f - f7;
    const float f9 = b2 ? f3 : 0.0f;
    const float f10 = 0.0f - f9;
    const float f11 = __builtin_fmaf(beta, f3, f8);
    const float f12 = f3 * before;
    const float f13 = f1 * spike;
    const float f14 = f10 - f13;
    const float f15 = f14 - f8;
    const float f16 = __builtin_fmaf(gain, f3, current_after);
    const float f17 = alpha * f16;
    const float f18 = f16 * current_before;
    const float f19 = f3 * current_kept;
    return {f16, {f11, f17}, {f18, f12, f19, f15}};
}

template <> INLINE Step<Synaptic<false>> step<Synaptic<false>, IntegrateThenFire, Zero>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? f2 : 0.0f;
    const float f5 = f2 - f4;
    const bool b6 = f5 > threshold;
    return {b6, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic<false>, IntegrateThenFire, Zero>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, IntegrateThenFire, Zero, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = f3 - f4;
    const float f6 = __builtin_fmaf(beta, f5, 0.0f);
    const float f7 = f5 * before;
    const float f8 = f1 * spike;
    const float f9 = 0.0f - f8;
    const float f10 = f9 - 0.0f;
    const float f11 = __builtin_fmaf(gain, f5, current_after);
    const float f12 = alpha * f11;
    const float f13 = f11 * current_before;
    const float f14 = f5 * current_kept;
    return {f11, {f6, f12}, {f13, f7, f14, f10}};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, IntegrateThenFire, Zero, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = f3 - f4;
    const float f6 = gain * current_kept;
    const float f7 = __builtin_fmaf(beta, before, f6);
    const float f8 = before - threshold;
    const float f9 = derivative(rule, f8);
    const float f10 = f7 * f3;
    const float f11 = f9 * f10;
    const float f12 = 0.0f - f11;
    const float f13 = __builtin_fmaf(beta, f5, f12);
    const float f14 = f5 * before;
    const float f15 = f1 * spike;
    const float f16 = 0.0f - f15;
    const float f17 = f16 - f12;
    const float f18 = __builtin_fmaf(gain, f5, current_after);
    const float f19 = alpha * f18;
    const float f20 = f18 * current_before;
    const float f21 = f5 * current_kept;
    return {f18, {f13, f19}, {f20, f14, f21, f17}};
}

template <> INLINE Step<Synaptic<false>> step<Synaptic<false>, IntegrateThenFire, None>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic<false>, IntegrateThenFire, None>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, IntegrateThenFire, None, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const float f2 = __builtin_fmaf(f1, spike, after);
    const float f3 = __builtin_fmaf(beta, f2, 0.0f);
    const float f4 = f2 * before;
    const float f5 = f1 * spike;
    const float f6 = 0.0f - f5;
    const float f7 = f6 - 0.0f;
    const float f8 = __builtin_fmaf(gain, f2, current_after);
    const float f9 = alpha * f8;
    const float f10 = f8 * current_before;
    const float f11 = f2 * current_kept;
    return {f8, {f3, f9}, {f10, f4, f11, f7}};
}

template <> INLINE Step<Synaptic<false>> step<Synaptic<false>, IntegrateFireReset, Subtract>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic<false>, IntegrateFireReset, Subtract>(
    List<4> constants, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? threshold : 0.0f;
    const float f2 = kept - f1;
    return {f2, current_kept};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, IntegrateFireReset, Subtract, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? after : 0.0f;
    const float f5 = 0.0f - f4;
    const float f6 = beta * f3;
    const float f7 = f3 * before;
    const float f8 = f1 * spike;
    const float f9 = f5 - f8;
    const float f10 = __builtin_fmaf(gain, f3, current_after);
    const float f11 = alpha * f10;
    const float f12 = f10 * current_before;
    const float f13 = f3 * current_kept;
    return {f10, {f6, f11}, {f12, f7, f13, f9}};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, IntegrateFireReset, Subtract, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = threshold * after;
    const float f4 = spike - f3;
    const float f5 = __builtin_fmaf(f1, f4, after);
    const float f6 = b2 ? after : 0.0f;
    const float f7 = 0.0f - f6;
    const float f8 = beta * f5;
    const float f9 = f5 * before;
    const float f10 = f1 * f4;
    const float f11 = f7 - f10;
    const float f12 = __builtin_fmaf(gain, f5, current_after);
    const float f13 = alpha * f12;
    const float f14 = f12 * current_before;
    const float f15 = f5 * current_kept;
    return {f12, {f8, f13}, {f14, f9, f15, f11}};
}

template <> INLINE Step<Synaptic<false>> step<Synaptic<false>, IntegrateFireReset, Zero>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic<false>, IntegrateFireReset, Zero>(
    List<4> constants, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? kept : 0.0f;
    const float f2 = kept - f1;
    return {f2, current_kept};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, IntegrateFireReset, Zero, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = b2 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = __builtin_fmaf(f1, spike, f4);
    const float f6 = beta * f5;
    const float f7 = f5 * before;
    const float f8 = f1 * spike;
    const float f9 = 0.0f - f8;
    const float f10 = __builtin_fmaf(gain, f5, current_after);
    const float f11 = alpha * f10;
    const float f12 = f10 * current_before;
    const float f13 = f5 * current_kept;
    return {f10, {f6, f11}, {f12, f7, f13, f9}};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, IntegrateFireReset, Zero, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = kept * after;
    const float f4 = spike - f3;
    const float f5 = b2 ? after : 0.0f;
    const float f6 = after - f5;
    const float f7 = __builtin_fmaf(f1, f4, f6);
    const float f8 = beta * f7;
    const float f9 = f7 * before;
    const float f10 = f1 * f4;
    const float f11 = 0.0f - f10;
    const float f12 = __builtin_fmaf(gain, f7, current_after);
    const float f13 = alpha * f12;
    const float f14 = f12 * current_before;
    const float f15 = f7 * current_kept;
    return {f12, {f8, f13}, {f14, f9, f15, f11}};
}

template <> INLINE Step<Synaptic<false>> step<Synaptic<false>, IntegrateFireReset, None>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic<false>, IntegrateFireReset, None>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<false>> adjoint<Synaptic<false>, IntegrateFireReset, None, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const float f2 = __builtin_fmaf(f1, spike, after);
    const float f3 = beta * f2;
    const float f4 = f2 * before;
    const float f5 = f1 * spike;
    const float f6 = 0.0f - f5;
    const float f7 = __builtin_fmaf(gain, f2, current_after);
    const float f8 = alpha * f7;
    const float f9 = f7 * current_before;
    const float f10 = f2 * current_kept;
    return {f7, {f3, f8}, {f9, f4, f10, f6}};
}

template <> INLINE Step<Synaptic<true>> step<Synaptic<true>, FireThenIntegrate, Subtract>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * current_before;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = beta * threshold;
    const float f5 = b3 ? f4 : 0.0f;
    const float f6 = f2 - f5;
    return {b3, {f6, f0}};
}

template <> INLINE List<2> state<Synaptic<true>, FireThenIntegrate, Subtract>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, FireThenIntegrate, Subtract, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2>, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = b2 ? threshold : 0.0f;
    const float f4 = after * before;
    const float f5 = f3 * after;
    const float f6 = f4 - f5;
    const float f7 = beta * after;
    const float f8 = b2 ? f7 : 0.0f;
    const float f9 = 0.0f - f8;
    const float f10 = __builtin_fmaf(f1, spike, f7);
    const float f11 = f1 * spike;
    const float f12 = f9 - f11;
    const float f13 = gain * after;
    const float f14 = __builtin_fmaf(alpha, current_after, f13);
    const float f15 = current_after * current_before;
    const float f16 = after * current_before;
    return {current_after, {f10, f14}, {f15, f6, f16, f12}};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, FireThenIntegrate, Subtract, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2>, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = beta * threshold;
    const float f4 = f3 * after;
    const float f5 = spike - f4;
    const float f6 = b2 ? threshold : 0.0f;
    const float f7 = after * before;
    const float f8 = f6 * after;
    const float f9 = f7 - f8;
    const float f10 = beta * after;
    const float f11 = b2 ? f10 : 0.0f;
    const float f12 = 0.0f - f11;
    const float f13 = __builtin_fmaf(f1, f5, f10);
    const float f14 = f1 * f5;
    const float f15 = f12 - f14;
    const float f16 = gain * after;
    const float f17 = __builtin_fmaf(alpha, current_after, f16);
    const float f18 = current_after * current_before;
    const float f19 = after * current_before;
    return {current_after, {f13, f17}, {f18, f9, f19, f15}};
}

template <> INLINE Step<Synaptic<true>> step<Synaptic<true>, FireThenIntegrate, Zero>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * current_before;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? f2 : 0.0f;
    const float f5 = f2 - f4;
    return {b3, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic<true>, FireThenIntegrate, Zero>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, FireThenIntegrate, Zero, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2>, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = b2 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = f4 * before;
    const float f6 = 0.0f * after;
    const float f7 = f5 - f6;
    const float f8 = beta * f4;
    const float f9 = __builtin_fmaf(f1, spike, f8);
    const float f10 = f1 * spike;
    const float f11 = 0.0f - f10;
    const float f12 = gain * f4;
    const float f13 = __builtin_fmaf(alpha, current_after, f12);
    const float f14 = current_after * current_before;
    const float f15 = f4 * current_before;
    return {current_after, {f9, f13}, {f14, f7, f15, f11}};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, FireThenIntegrate, Zero, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2>, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = gain * current_before;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const float f5 = f4 * after;
    const float f6 = spike - f5;
    const float f7 = b2 ? after : 0.0f;
    const float f8 = after - f7;
    const float f9 = f8 * before;
    const float f10 = 0.0f * after;
    const float f11 = f9 - f10;
    const float f12 = beta * f8;
    const float f13 = __builtin_fmaf(f1, f6, f12);
    const float f14 = f1 * f6;
    const float f15 = 0.0f - f14;
    const float f16 = gain * f8;
    const float f17 = __builtin_fmaf(alpha, current_after, f16);
    const float f18 = current_after * current_before;
    const float f19 = f8 * current_before;
    return {current_after, {f13, f17}, {f18, f11, f19, f15}};
}

template <> INLINE Step<Synaptic<true>> step<Synaptic<true>, FireThenIntegrate, None>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * current_before;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic<true>, FireThenIntegrate, None>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, FireThenIntegrate, None, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2>, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = before - threshold;
    const float f1 = derivative(rule, f0);
    const float f2 = after * before;
    const float f3 = 0.0f * after;
    const float f4 = f2 - f3;
    const float f5 = beta * after;
    const float f6 = __builtin_fmaf(f1, spike, f5);
    const float f7 = f1 * spike;
    const float f8 = 0.0f - f7;
    const float f9 = gain * after;
    const float f10 = __builtin_fmaf(alpha, current_after, f9);
    const float f11 = current_after * current_before;
    const float f12 = after * current_before;
    return {current_after, {f6, f10}, {f11, f4, f12, f8}};
}

template <> INLINE Step<Synaptic<true>> step<Synaptic<true>, IntegrateThenFire, Subtract>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * current_before;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? threshold : 0.0f;
    const float f5 = f2 - f4;
    const bool b6 = f5 > threshold;
    return {b6, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic<true>, IntegrateThenFire, Subtract>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, IntegrateThenFire, Subtract, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = 0.0f - f4;
    const float f6 = __builtin_fmaf(beta, f3, 0.0f);
    const float f7 = f3 * before;
    const float f8 = f1 * spike;
    const float f9 = f5 - f8;
    const float f10 = f9 - 0.0f;
    const float f11 = gain * f3;
    const float f12 = __builtin_fmaf(alpha, current_after, f11);
    const float f13 = current_after * current_before;
    const float f14 = f3 * current_before;
    return {current_after, {f6, f12}, {f13, f7, f14, f10}};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, IntegrateThenFire, Subtract, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = before - threshold;
    const float f5 = derivative(rule, f4);
    const float f6 = threshold * f3;
    const float f7 = f5 * f6;
    const float f8 = 0.0f - f7;
    const float f9 = b2 ? f3 : 0.0f;
    const float f10 = 0.0f - f9;
    const float f11 = __builtin_fmaf(beta, f3, f8);
    const float f12 = f3 * before;
    const float f13 = f1 * spike;
    const float f14 = f10 - f13;
    const float f15 = f14 - f8;
    const float f16 = gain * f3;
    const float f17 = __builtin_fmaf(alpha, current_after, f16);
    const float f18 = current_after * current_before;
    const float f19 = f3 * current_before;
    return {current_after, {f11, f17}, {f18, f12, f19, f15}};
}

template <> INLINE Step<Synaptic<true>> step<Synaptic<true>, IntegrateThenFire, Zero>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * current_before;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? f2 : 0.0f;
    const float f5 = f2 - f4;
    const bool b6 = f5 > threshold;
    return {b6, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic<true>, IntegrateThenFire, Zero>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, IntegrateThenFire, Zero, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = f3 - f4;
    const float f6 = __builtin_fmaf(beta, f5, 0.0f);
    const float f7 = f5 * before;
    const float f8 = f1 * spike;
    const float f9 = 0.0f - f8;
    const float f10 = f9 - 0.0f;
    const float f11 = gain * f5;
    const float f12 = __builtin_fmaf(alpha, current_after, f11);
    const float f13 = current_after * current_before;
    const float f14 = f5 * current_before;
    return {current_after, {f6, f12}, {f13, f7, f14, f10}};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, IntegrateThenFire, Zero, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = f3 - f4;
    const float f6 = gain * current_before;
    const float f7 = __builtin_fmaf(beta, before, f6);
    const float f8 = before - threshold;
    const float f9 = derivative(rule, f8);
    const float f10 = f7 * f3;
    const float f11 = f9 * f10;
    const float f12 = 0.0f - f11;
    const float f13 = __builtin_fmaf(beta, f5, f12);
    const float f14 = f5 * before;
    const float f15 = f1 * spike;
    const float f16 = 0.0f - f15;
    const float f17 = f16 - f12;
    const float f18 = gain * f5;
    const float f19 = __builtin_fmaf(alpha, current_after, f18);
    const float f20 = current_after * current_before;
    const float f21 = f5 * current_before;
    return {current_after, {f13, f19}, {f20, f14, f21, f17}};
}

template <> INLINE Step<Synaptic<true>> step<Synaptic<true>, IntegrateThenFire, None>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * current_before;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic<true>, IntegrateThenFire, None>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, IntegrateThenFire, None, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const float f2 = __builtin_fmaf(f1, spike, after);
    const float f3 = __builtin_fmaf(beta, f2, 0.0f);
    const float f4 = f2 * before;
    const float f5 = f1 * spike;
    const float f6 = 0.0f - f5;
    const float f7 = f6 - 0.0f;
    const float f8 = gain * f2;
    const float f9 = __builtin_fmaf(alpha, current_after, f8);
    const float f10 = current_after * current_before;
    const float f11 = f2 * current_before;
    return {current_after, {f3, f9}, {f10, f4, f11, f7}};
}

template <> INLINE Step<Synaptic<true>> step<Synaptic<true>, IntegrateFireReset, Subtract>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * current_before;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic<true>, IntegrateFireReset, Subtract>(
    List<4> constants, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? threshold : 0.0f;
    const float f2 = kept - f1;
    return {f2, current_kept};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, IntegrateFireReset, Subtract, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? after : 0.0f;
    const float f5 = 0.0f - f4;
    const float f6 = beta * f3;
    const float f7 = f3 * before;
    const float f8 = f1 * spike;
    const float f9 = f5 - f8;
    const float f10 = gain * f3;
    const float f11 = __builtin_fmaf(alpha, current_after, f10);
    const float f12 = current_after * current_before;
    const float f13 = f3 * current_before;
    return {current_after, {f6, f11}, {f12, f7, f13, f9}};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, IntegrateFireReset, Subtract, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = threshold * after;
    const float f4 = spike - f3;
    const float f5 = __builtin_fmaf(f1, f4, after);
    const float f6 = b2 ? after : 0.0f;
    const float f7 = 0.0f - f6;
    const float f8 = beta * f5;
    const float f9 = f5 * before;
    const float f10 = f1 * f4;
    const float f11 = f7 - f10;
    const float f12 = gain * f5;
    const float f13 = __builtin_fmaf(alpha, current_after, f12);
    const float f14 = current_after * current_before;
    const float f15 = f5 * current_before;
    return {current_after, {f8, f13}, {f14, f9, f15, f11}};
}

template <> INLINE Step<Synaptic<true>> step<Synaptic<true>, IntegrateFireReset, Zero>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * current_before;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic<true>, IntegrateFireReset, Zero>(
    List<4> constants, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? kept : 0.0f;
    const float f2 = kept - f1;
    return {f2, current_kept};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, IntegrateFireReset, Zero, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = b2 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = __builtin_fmaf(f1, spike, f4);
    const float f6 = beta * f5;
    const float f7 = f5 * before;
    const float f8 = f1 * spike;
    const float f9 = 0.0f - f8;
    const float f10 = gain * f5;
    const float f11 = __builtin_fmaf(alpha, current_after, f10);
    const float f12 = current_after * current_before;
    const float f13 = f5 * current_before;
    return {current_after, {f6, f11}, {f12, f7, f13, f9}};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, IntegrateFireReset, Zero, true>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const bool b2 = kept > threshold;
    const float f3 = kept * after;
    const float f4 = spike - f3;
    const float f5 = b2 ? after : 0.0f;
    const float f6 = after - f5;
    const float f7 = __builtin_fmaf(f1, f4, f6);
    const float f8 = beta * f7;
    const float f9 = f7 * before;
    const float f10 = f1 * f4;
    const float f11 = 0.0f - f10;
    const float f12 = gain * f7;
    const float f13 = __builtin_fmaf(alpha, current_after, f12);
    const float f14 = current_after * current_before;
    const float f15 = f7 * current_before;
    return {current_after, {f8, f13}, {f14, f9, f15, f11}};
}

template <> INLINE Step<Synaptic<true>> step<Synaptic<true>, IntegrateFireReset, None>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float f0 = __builtin_fmaf(alpha, current_before, current);
    const float f1 = gain * current_before;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic<true>, IntegrateFireReset, None>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], current_kept = of_step.of[1];
    return {kept, current_kept};
}

template <> INLINE Adjoint<Synaptic<true>> adjoint<Synaptic<true>, IntegrateFireReset, None, false>(
    const Rule &rule, List<4> constants, List<2> states, List<2> of_step, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], current_before = states.of[1];
    const float kept = of_step.of[0];
    const float after = arriving.of[0], current_after = arriving.of[1];
    const float f0 = kept - threshold;
    const float f1 = derivative(rule, f0);
    const float f2 = __builtin_fmaf(f1, spike, after);
    const float f3 = beta * f2;
    const float f4 = f2 * before;
    const float f5 = f1 * spike;
    const float f6 = 0.0f - f5;
    const float f7 = gain * f2;
    const float f8 = __builtin_fmaf(alpha, current_after, f7);
    const float f9 = current_after * current_before;
    const float f10 = f2 * current_before;
    return {current_after, {f3, f8}, {f9, f4, f10, f6}};
}

} // namespace neuron
