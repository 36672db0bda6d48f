// Generated from src/neuron and src/surrogate.rs by tests/cuda_source.rs; do not edit.
#pragma once
#include "spikegrad.cuh"

enum { FireThenIntegrate, IntegrateThenFire, IntegrateFireReset };
enum { Subtract, Zero, None };
enum { Arctan, FastSigmoid, Sigmoid, Triangular, StraightThrough };

template <int LEN> struct List {
    float of[LEN];
};

namespace neuron {

// The spike that is sent up, and what is kept of the step.
template <class NEURON> struct Step {
    bool spike;
    List<NEURON::KEPT> kept;
};

// How many slopes of the surrogate a step back takes, and of what.
struct Read {
    u32 count;
    List<2> of;
};

// dL/dI, what goes back to the state before, and this step's share of the derivatives by the constants.
template <class NEURON> struct Adjoint {
    float current;
    List<NEURON::STATES> before;
    List<NEURON::CONSTANTS> constants;
};

// Of each neuron the numbers of its constants, of its state (the membrane first), of what is kept of a step,
// and of the variants of its rule, forward and back; in src/engine/cuda/kind.rs they get their numbers.
template <int SURROGATE> INLINE float slope(float peak, float scale, float x);
template <class NEURON, int FORWARD>
INLINE Step<NEURON> step(List<NEURON::CONSTANTS> constants, List<NEURON::STATES> states, float current);
template <class NEURON, int FORWARD>
INLINE List<NEURON::STATES> state(List<NEURON::CONSTANTS> constants, List<NEURON::KEPT> of_step);
template <class NEURON, int BACKWARD>
INLINE Read read(List<NEURON::CONSTANTS> constants, List<NEURON::STATES> states,
                 List<NEURON::KEPT> of_step);
template <class NEURON, int BACKWARD>
INLINE Adjoint<NEURON> adjoint(List<NEURON::CONSTANTS> constants, List<NEURON::STATES> states,
                               List<NEURON::KEPT> of_step, List<2> slopes,
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

struct Leaky {
    enum { CONSTANTS = 2, STATES = 1, KEPT = 1, FORWARDS = 9, BACKWARDS = 18 };
};

template <> INLINE Step<Leaky> step<Leaky, 0>(
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

template <> INLINE List<1> state<Leaky, 0>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Step<Leaky> step<Leaky, 1>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const bool b0 = before > threshold;
    const float f1 = b0 ? before : 0.0f;
    const float f2 = before - f1;
    const float f3 = __builtin_fmaf(beta, f2, current);
    return {b0, {f3}};
}

template <> INLINE List<1> state<Leaky, 1>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Step<Leaky> step<Leaky, 2>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(beta, before, current);
    return {b0, {f1}};
}

template <> INLINE List<1> state<Leaky, 2>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Step<Leaky> step<Leaky, 3>(
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

template <> INLINE List<1> state<Leaky, 3>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Step<Leaky> step<Leaky, 4>(
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

template <> INLINE List<1> state<Leaky, 4>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Step<Leaky> step<Leaky, 5>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > threshold;
    return {b1, {f0}};
}

template <> INLINE List<1> state<Leaky, 5>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Step<Leaky> step<Leaky, 6>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > threshold;
    return {b1, {f0}};
}

template <> INLINE List<1> state<Leaky, 6>(
    List<2> constants, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? threshold : 0.0f;
    const float f2 = kept - f1;
    return {f2};
}

template <> INLINE Step<Leaky> step<Leaky, 7>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > threshold;
    return {b1, {f0}};
}

template <> INLINE List<1> state<Leaky, 7>(
    List<2> constants, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? kept : 0.0f;
    const float f2 = kept - f1;
    return {f2};
}

template <> INLINE Step<Leaky> step<Leaky, 8>(
    List<2> constants, List<1> states, float current) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > threshold;
    return {b1, {f0}};
}

template <> INLINE List<1> state<Leaky, 8>(
    List<2>, List<1> of_step) {
    const float kept = of_step.of[0];
    return {kept};
}

template <> INLINE Read read<Leaky, 0>(
    List<2> constants, List<1> states, List<1>) {
    const float threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 0>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const bool b0 = before > threshold;
    const float f1 = b0 ? threshold : 0.0f;
    const float f2 = before - f1;
    const float f3 = b0 ? beta : 0.0f;
    const float f4 = 0.0f - f3;
    const float f5 = beta * after;
    const float f6 = __builtin_fmaf(slope, spike, f5);
    const float f7 = f2 * after;
    const float f8 = f4 * after;
    const float f9 = slope * spike;
    const float f10 = f8 - f9;
    return {after, {f6}, {f7, f10}};
}

template <> INLINE Read read<Leaky, 1>(
    List<2> constants, List<1> states, List<1>) {
    const float threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 1>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const bool b0 = before > threshold;
    const float f1 = b0 ? before : 0.0f;
    const float f2 = before - f1;
    const float f3 = b0 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = beta * f4;
    const float f6 = __builtin_fmaf(slope, spike, f5);
    const float f7 = f2 * after;
    const float f8 = 0.0f * after;
    const float f9 = slope * spike;
    const float f10 = f8 - f9;
    return {after, {f6}, {f7, f10}};
}

template <> INLINE Read read<Leaky, 2>(
    List<2> constants, List<1> states, List<1>) {
    const float threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 2>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = beta * after;
    const float f1 = __builtin_fmaf(slope, spike, f0);
    const float f2 = before * after;
    const float f3 = 0.0f * after;
    const float f4 = slope * spike;
    const float f5 = f3 - f4;
    return {after, {f1}, {f2, f5}};
}

template <> INLINE Read read<Leaky, 3>(
    List<2> constants, List<1>, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 3>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = beta * f1;
    const float f3 = b0 ? f1 : 0.0f;
    const float f4 = 0.0f - f3;
    const float f5 = before * f1;
    const float f6 = slope * spike;
    const float f7 = f4 - f6;
    const float f8 = f7 - 0.0f;
    return {f1, {f2}, {f5, f8}};
}

template <> INLINE Read read<Leaky, 4>(
    List<2> constants, List<1>, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 4>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = b0 ? f1 : 0.0f;
    const float f3 = f1 - f2;
    const float f4 = beta * f3;
    const float f5 = b0 ? before : 0.0f;
    const float f6 = before - f5;
    const float f7 = f6 * f1;
    const float f8 = slope * spike;
    const float f9 = 0.0f - f8;
    const float f10 = f9 - 0.0f;
    return {f1, {f4}, {f7, f10}};
}

template <> INLINE Read read<Leaky, 5>(
    List<2> constants, List<1>, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 5>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = beta * f0;
    const float f2 = before * f0;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    const float f5 = f4 - 0.0f;
    return {f0, {f1}, {f2, f5}};
}

template <> INLINE Read read<Leaky, 6>(
    List<2> constants, List<1>, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 6>(
    List<2> constants, List<1> states, List<1> of_step, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const bool b0 = kept > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = b0 ? after : 0.0f;
    const float f3 = 0.0f - f2;
    const float f4 = beta * f1;
    const float f5 = before * f1;
    const float f6 = slope * spike;
    const float f7 = f3 - f6;
    return {f1, {f4}, {f5, f7}};
}

template <> INLINE Read read<Leaky, 7>(
    List<2> constants, List<1>, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 7>(
    List<2> constants, List<1> states, List<1> of_step, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? after : 0.0f;
    const float f2 = after - f1;
    const float f3 = __builtin_fmaf(slope, spike, f2);
    const float f4 = beta * f3;
    const float f5 = before * f3;
    const float f6 = slope * spike;
    const float f7 = 0.0f - f6;
    return {f3, {f4}, {f5, f7}};
}

template <> INLINE Read read<Leaky, 8>(
    List<2> constants, List<1>, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 8>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = beta * f0;
    const float f2 = before * f0;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    return {f0, {f1}, {f2, f4}};
}

template <> INLINE Read read<Leaky, 9>(
    List<2> constants, List<1> states, List<1>) {
    const float threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 9>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const bool b0 = before > threshold;
    const float f1 = beta * threshold;
    const float f2 = f1 * after;
    const float f3 = spike - f2;
    const float f4 = b0 ? threshold : 0.0f;
    const float f5 = before - f4;
    const float f6 = b0 ? beta : 0.0f;
    const float f7 = 0.0f - f6;
    const float f8 = beta * after;
    const float f9 = __builtin_fmaf(slope, f3, f8);
    const float f10 = f5 * after;
    const float f11 = f7 * after;
    const float f12 = slope * f3;
    const float f13 = f11 - f12;
    return {after, {f9}, {f10, f13}};
}

template <> INLINE Read read<Leaky, 10>(
    List<2> constants, List<1> states, List<1>) {
    const float threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 10>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const bool b0 = before > threshold;
    const float f1 = beta * before;
    const float f2 = f1 * after;
    const float f3 = spike - f2;
    const float f4 = b0 ? before : 0.0f;
    const float f5 = before - f4;
    const float f6 = b0 ? after : 0.0f;
    const float f7 = after - f6;
    const float f8 = beta * f7;
    const float f9 = __builtin_fmaf(slope, f3, f8);
    const float f10 = f5 * after;
    const float f11 = 0.0f * after;
    const float f12 = slope * f3;
    const float f13 = f11 - f12;
    return {after, {f9}, {f10, f13}};
}

template <> INLINE Read read<Leaky, 11>(
    List<2> constants, List<1> states, List<1>) {
    const float threshold = constants.of[1];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 11>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = beta * after;
    const float f1 = __builtin_fmaf(slope, spike, f0);
    const float f2 = before * after;
    const float f3 = 0.0f * after;
    const float f4 = slope * spike;
    const float f5 = f3 - f4;
    return {after, {f1}, {f2, f5}};
}

template <> INLINE Read read<Leaky, 12>(
    List<2> constants, List<1> states, List<1> of_step) {
    const float threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    const float f1 = before - threshold;
    return {2, {f0, f1}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 12>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float slope = slopes.of[0], slope_1 = slopes.of[1];
    const float after = arriving.of[0];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = beta * f1;
    const float f3 = threshold * f1;
    const float f4 = slope_1 * f3;
    const float f5 = 0.0f - f4;
    const float f6 = b0 ? f1 : 0.0f;
    const float f7 = 0.0f - f6;
    const float f8 = f2 + f5;
    const float f9 = before * f1;
    const float f10 = slope * spike;
    const float f11 = f7 - f10;
    const float f12 = f11 - f5;
    return {f1, {f8}, {f9, f12}};
}

template <> INLINE Read read<Leaky, 13>(
    List<2> constants, List<1> states, List<1> of_step) {
    const float threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    const float f1 = before - threshold;
    return {2, {f0, f1}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 13>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float slope = slopes.of[0], slope_1 = slopes.of[1];
    const float after = arriving.of[0];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = b0 ? f1 : 0.0f;
    const float f3 = f1 - f2;
    const float f4 = beta * f3;
    const float f5 = beta * before;
    const float f6 = f5 * f1;
    const float f7 = slope_1 * f6;
    const float f8 = 0.0f - f7;
    const float f9 = f4 + f8;
    const float f10 = b0 ? before : 0.0f;
    const float f11 = before - f10;
    const float f12 = f11 * f1;
    const float f13 = slope * spike;
    const float f14 = 0.0f - f13;
    const float f15 = f14 - f8;
    return {f1, {f9}, {f12, f15}};
}

template <> INLINE Read read<Leaky, 14>(
    List<2> constants, List<1>, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 14>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = beta * f0;
    const float f2 = before * f0;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    const float f5 = f4 - 0.0f;
    return {f0, {f1}, {f2, f5}};
}

template <> INLINE Read read<Leaky, 15>(
    List<2> constants, List<1>, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 15>(
    List<2> constants, List<1> states, List<1> of_step, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const bool b0 = kept > threshold;
    const float f1 = threshold * after;
    const float f2 = spike - f1;
    const float f3 = __builtin_fmaf(slope, f2, after);
    const float f4 = b0 ? after : 0.0f;
    const float f5 = 0.0f - f4;
    const float f6 = beta * f3;
    const float f7 = before * f3;
    const float f8 = slope * f2;
    const float f9 = f5 - f8;
    return {f3, {f6}, {f7, f9}};
}

template <> INLINE Read read<Leaky, 16>(
    List<2> constants, List<1>, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 16>(
    List<2> constants, List<1> states, List<1> of_step, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0], threshold = constants.of[1];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const bool b0 = kept > threshold;
    const float f1 = kept * after;
    const float f2 = spike - f1;
    const float f3 = b0 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = __builtin_fmaf(slope, f2, f4);
    const float f6 = beta * f5;
    const float f7 = before * f5;
    const float f8 = slope * f2;
    const float f9 = 0.0f - f8;
    return {f5, {f6}, {f7, f9}};
}

template <> INLINE Read read<Leaky, 17>(
    List<2> constants, List<1>, List<1> of_step) {
    const float threshold = constants.of[1];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Leaky> adjoint<Leaky, 17>(
    List<2> constants, List<1> states, List<1>, List<2> slopes, List<1> arriving, float spike) {
    const float beta = constants.of[0];
    const float before = states.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = beta * f0;
    const float f2 = before * f0;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    return {f0, {f1}, {f2, f4}};
}

struct Synaptic {
    enum { CONSTANTS = 4, STATES = 2, KEPT = 2, FORWARDS = 18, BACKWARDS = 36 };
};

template <> INLINE Step<Synaptic> step<Synaptic, 0>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = beta * threshold;
    const float f5 = b3 ? f4 : 0.0f;
    const float f6 = f2 - f5;
    return {b3, {f6, f0}};
}

template <> INLINE List<2> state<Synaptic, 0>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 1>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? f2 : 0.0f;
    const float f5 = f2 - f4;
    return {b3, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic, 1>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 2>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic, 2>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 3>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? threshold : 0.0f;
    const float f5 = f2 - f4;
    const bool b6 = f5 > threshold;
    return {b6, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic, 3>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 4>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? f2 : 0.0f;
    const float f5 = f2 - f4;
    const bool b6 = f5 > threshold;
    return {b6, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic, 4>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 5>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic, 5>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 6>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic, 6>(
    List<4> constants, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? threshold : 0.0f;
    const float f2 = kept - f1;
    return {f2, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 7>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic, 7>(
    List<4> constants, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? kept : 0.0f;
    const float f2 = kept - f1;
    return {f2, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 8>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * f0;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic, 8>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 9>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * before_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = beta * threshold;
    const float f5 = b3 ? f4 : 0.0f;
    const float f6 = f2 - f5;
    return {b3, {f6, f0}};
}

template <> INLINE List<2> state<Synaptic, 9>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 10>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * before_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? f2 : 0.0f;
    const float f5 = f2 - f4;
    return {b3, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic, 10>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 11>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * before_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic, 11>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 12>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * before_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? threshold : 0.0f;
    const float f5 = f2 - f4;
    const bool b6 = f5 > threshold;
    return {b6, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic, 12>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 13>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * before_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = before > threshold;
    const float f4 = b3 ? f2 : 0.0f;
    const float f5 = f2 - f4;
    const bool b6 = f5 > threshold;
    return {b6, {f5, f0}};
}

template <> INLINE List<2> state<Synaptic, 13>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 14>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * before_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic, 14>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 15>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * before_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic, 15>(
    List<4> constants, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? threshold : 0.0f;
    const float f2 = kept - f1;
    return {f2, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 16>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * before_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic, 16>(
    List<4> constants, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? kept : 0.0f;
    const float f2 = kept - f1;
    return {f2, kept_1};
}

template <> INLINE Step<Synaptic> step<Synaptic, 17>(
    List<4> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = __builtin_fmaf(alpha, before_1, current);
    const float f1 = gain * before_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const bool b3 = f2 > threshold;
    return {b3, {f2, f0}};
}

template <> INLINE List<2> state<Synaptic, 17>(
    List<4>, List<2> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Read read<Synaptic, 0>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 0>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = b0 ? threshold : 0.0f;
    const float f2 = after * before;
    const float f3 = f1 * after;
    const float f4 = f2 - f3;
    const float f5 = beta * after;
    const float f6 = b0 ? f5 : 0.0f;
    const float f7 = 0.0f - f6;
    const float f8 = __builtin_fmaf(slope, spike, f5);
    const float f9 = slope * spike;
    const float f10 = f7 - f9;
    const float f11 = __builtin_fmaf(gain, after, after_1);
    const float f12 = alpha * f11;
    const float f13 = f11 * before_1;
    const float f14 = after * kept_1;
    return {f11, {f8, f12}, {f13, f4, f14, f10}};
}

template <> INLINE Read read<Synaptic, 1>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 1>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = b0 ? after : 0.0f;
    const float f2 = after - f1;
    const float f3 = f2 * before;
    const float f4 = 0.0f * after;
    const float f5 = f3 - f4;
    const float f6 = beta * f2;
    const float f7 = __builtin_fmaf(slope, spike, f6);
    const float f8 = slope * spike;
    const float f9 = 0.0f - f8;
    const float f10 = __builtin_fmaf(gain, f2, after_1);
    const float f11 = alpha * f10;
    const float f12 = f10 * before_1;
    const float f13 = f2 * kept_1;
    return {f10, {f7, f11}, {f12, f5, f13, f9}};
}

template <> INLINE Read read<Synaptic, 2>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 2>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = after * before;
    const float f1 = 0.0f * after;
    const float f2 = f0 - f1;
    const float f3 = beta * after;
    const float f4 = __builtin_fmaf(slope, spike, f3);
    const float f5 = slope * spike;
    const float f6 = 0.0f - f5;
    const float f7 = __builtin_fmaf(gain, after, after_1);
    const float f8 = alpha * f7;
    const float f9 = f7 * before_1;
    const float f10 = after * kept_1;
    return {f7, {f4, f8}, {f9, f2, f10, f6}};
}

template <> INLINE Read read<Synaptic, 3>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 3>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = b0 ? f1 : 0.0f;
    const float f3 = 0.0f - f2;
    const float f4 = __builtin_fmaf(beta, f1, 0.0f);
    const float f5 = f1 * before;
    const float f6 = slope * spike;
    const float f7 = f3 - f6;
    const float f8 = f7 - 0.0f;
    const float f9 = __builtin_fmaf(gain, f1, after_1);
    const float f10 = alpha * f9;
    const float f11 = f9 * before_1;
    const float f12 = f1 * kept_1;
    return {f9, {f4, f10}, {f11, f5, f12, f8}};
}

template <> INLINE Read read<Synaptic, 4>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 4>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = b0 ? f1 : 0.0f;
    const float f3 = f1 - f2;
    const float f4 = __builtin_fmaf(beta, f3, 0.0f);
    const float f5 = f3 * before;
    const float f6 = slope * spike;
    const float f7 = 0.0f - f6;
    const float f8 = f7 - 0.0f;
    const float f9 = __builtin_fmaf(gain, f3, after_1);
    const float f10 = alpha * f9;
    const float f11 = f9 * before_1;
    const float f12 = f3 * kept_1;
    return {f9, {f4, f10}, {f11, f5, f12, f8}};
}

template <> INLINE Read read<Synaptic, 5>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 5>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = __builtin_fmaf(beta, f0, 0.0f);
    const float f2 = f0 * before;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    const float f5 = f4 - 0.0f;
    const float f6 = __builtin_fmaf(gain, f0, after_1);
    const float f7 = alpha * f6;
    const float f8 = f6 * before_1;
    const float f9 = f0 * kept_1;
    return {f6, {f1, f7}, {f8, f2, f9, f5}};
}

template <> INLINE Read read<Synaptic, 6>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 6>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = kept > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = b0 ? after : 0.0f;
    const float f3 = 0.0f - f2;
    const float f4 = beta * f1;
    const float f5 = f1 * before;
    const float f6 = slope * spike;
    const float f7 = f3 - f6;
    const float f8 = __builtin_fmaf(gain, f1, after_1);
    const float f9 = alpha * f8;
    const float f10 = f8 * before_1;
    const float f11 = f1 * kept_1;
    return {f8, {f4, f9}, {f10, f5, f11, f7}};
}

template <> INLINE Read read<Synaptic, 7>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 7>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? after : 0.0f;
    const float f2 = after - f1;
    const float f3 = __builtin_fmaf(slope, spike, f2);
    const float f4 = beta * f3;
    const float f5 = f3 * before;
    const float f6 = slope * spike;
    const float f7 = 0.0f - f6;
    const float f8 = __builtin_fmaf(gain, f3, after_1);
    const float f9 = alpha * f8;
    const float f10 = f8 * before_1;
    const float f11 = f3 * kept_1;
    return {f8, {f4, f9}, {f10, f5, f11, f7}};
}

template <> INLINE Read read<Synaptic, 8>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 8>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = beta * f0;
    const float f2 = f0 * before;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    const float f5 = __builtin_fmaf(gain, f0, after_1);
    const float f6 = alpha * f5;
    const float f7 = f5 * before_1;
    const float f8 = f0 * kept_1;
    return {f5, {f1, f6}, {f7, f2, f8, f4}};
}

template <> INLINE Read read<Synaptic, 9>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 9>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = b0 ? threshold : 0.0f;
    const float f2 = after * before;
    const float f3 = f1 * after;
    const float f4 = f2 - f3;
    const float f5 = beta * after;
    const float f6 = b0 ? f5 : 0.0f;
    const float f7 = 0.0f - f6;
    const float f8 = __builtin_fmaf(slope, spike, f5);
    const float f9 = slope * spike;
    const float f10 = f7 - f9;
    const float f11 = gain * after;
    const float f12 = __builtin_fmaf(alpha, after_1, f11);
    const float f13 = after_1 * before_1;
    const float f14 = after * before_1;
    return {after_1, {f8, f12}, {f13, f4, f14, f10}};
}

template <> INLINE Read read<Synaptic, 10>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 10>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = b0 ? after : 0.0f;
    const float f2 = after - f1;
    const float f3 = f2 * before;
    const float f4 = 0.0f * after;
    const float f5 = f3 - f4;
    const float f6 = beta * f2;
    const float f7 = __builtin_fmaf(slope, spike, f6);
    const float f8 = slope * spike;
    const float f9 = 0.0f - f8;
    const float f10 = gain * f2;
    const float f11 = __builtin_fmaf(alpha, after_1, f10);
    const float f12 = after_1 * before_1;
    const float f13 = f2 * before_1;
    return {after_1, {f7, f11}, {f12, f5, f13, f9}};
}

template <> INLINE Read read<Synaptic, 11>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 11>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = after * before;
    const float f1 = 0.0f * after;
    const float f2 = f0 - f1;
    const float f3 = beta * after;
    const float f4 = __builtin_fmaf(slope, spike, f3);
    const float f5 = slope * spike;
    const float f6 = 0.0f - f5;
    const float f7 = gain * after;
    const float f8 = __builtin_fmaf(alpha, after_1, f7);
    const float f9 = after_1 * before_1;
    const float f10 = after * before_1;
    return {after_1, {f4, f8}, {f9, f2, f10, f6}};
}

template <> INLINE Read read<Synaptic, 12>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 12>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = b0 ? f1 : 0.0f;
    const float f3 = 0.0f - f2;
    const float f4 = __builtin_fmaf(beta, f1, 0.0f);
    const float f5 = f1 * before;
    const float f6 = slope * spike;
    const float f7 = f3 - f6;
    const float f8 = f7 - 0.0f;
    const float f9 = gain * f1;
    const float f10 = __builtin_fmaf(alpha, after_1, f9);
    const float f11 = after_1 * before_1;
    const float f12 = f1 * before_1;
    return {after_1, {f4, f10}, {f11, f5, f12, f8}};
}

template <> INLINE Read read<Synaptic, 13>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 13>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = b0 ? f1 : 0.0f;
    const float f3 = f1 - f2;
    const float f4 = __builtin_fmaf(beta, f3, 0.0f);
    const float f5 = f3 * before;
    const float f6 = slope * spike;
    const float f7 = 0.0f - f6;
    const float f8 = f7 - 0.0f;
    const float f9 = gain * f3;
    const float f10 = __builtin_fmaf(alpha, after_1, f9);
    const float f11 = after_1 * before_1;
    const float f12 = f3 * before_1;
    return {after_1, {f4, f10}, {f11, f5, f12, f8}};
}

template <> INLINE Read read<Synaptic, 14>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 14>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = __builtin_fmaf(beta, f0, 0.0f);
    const float f2 = f0 * before;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    const float f5 = f4 - 0.0f;
    const float f6 = gain * f0;
    const float f7 = __builtin_fmaf(alpha, after_1, f6);
    const float f8 = after_1 * before_1;
    const float f9 = f0 * before_1;
    return {after_1, {f1, f7}, {f8, f2, f9, f5}};
}

template <> INLINE Read read<Synaptic, 15>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 15>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept = of_step.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = kept > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = b0 ? after : 0.0f;
    const float f3 = 0.0f - f2;
    const float f4 = beta * f1;
    const float f5 = f1 * before;
    const float f6 = slope * spike;
    const float f7 = f3 - f6;
    const float f8 = gain * f1;
    const float f9 = __builtin_fmaf(alpha, after_1, f8);
    const float f10 = after_1 * before_1;
    const float f11 = f1 * before_1;
    return {after_1, {f4, f9}, {f10, f5, f11, f7}};
}

template <> INLINE Read read<Synaptic, 16>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 16>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept = of_step.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? after : 0.0f;
    const float f2 = after - f1;
    const float f3 = __builtin_fmaf(slope, spike, f2);
    const float f4 = beta * f3;
    const float f5 = f3 * before;
    const float f6 = slope * spike;
    const float f7 = 0.0f - f6;
    const float f8 = gain * f3;
    const float f9 = __builtin_fmaf(alpha, after_1, f8);
    const float f10 = after_1 * before_1;
    const float f11 = f3 * before_1;
    return {after_1, {f4, f9}, {f10, f5, f11, f7}};
}

template <> INLINE Read read<Synaptic, 17>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 17>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = beta * f0;
    const float f2 = f0 * before;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    const float f5 = gain * f0;
    const float f6 = __builtin_fmaf(alpha, after_1, f5);
    const float f7 = after_1 * before_1;
    const float f8 = f0 * before_1;
    return {after_1, {f1, f6}, {f7, f2, f8, f4}};
}

template <> INLINE Read read<Synaptic, 18>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 18>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = beta * threshold;
    const float f2 = f1 * after;
    const float f3 = spike - f2;
    const float f4 = b0 ? threshold : 0.0f;
    const float f5 = after * before;
    const float f6 = f4 * after;
    const float f7 = f5 - f6;
    const float f8 = beta * after;
    const float f9 = b0 ? f8 : 0.0f;
    const float f10 = 0.0f - f9;
    const float f11 = __builtin_fmaf(slope, f3, f8);
    const float f12 = slope * f3;
    const float f13 = f10 - f12;
    const float f14 = __builtin_fmaf(gain, after, after_1);
    const float f15 = alpha * f14;
    const float f16 = f14 * before_1;
    const float f17 = after * kept_1;
    return {f14, {f11, f15}, {f16, f7, f17, f13}};
}

template <> INLINE Read read<Synaptic, 19>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 19>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = gain * kept_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const float f3 = f2 * after;
    const float f4 = spike - f3;
    const float f5 = b0 ? after : 0.0f;
    const float f6 = after - f5;
    const float f7 = f6 * before;
    const float f8 = 0.0f * after;
    const float f9 = f7 - f8;
    const float f10 = beta * f6;
    const float f11 = __builtin_fmaf(slope, f4, f10);
    const float f12 = slope * f4;
    const float f13 = 0.0f - f12;
    const float f14 = __builtin_fmaf(gain, f6, after_1);
    const float f15 = alpha * f14;
    const float f16 = f14 * before_1;
    const float f17 = f6 * kept_1;
    return {f14, {f11, f15}, {f16, f9, f17, f13}};
}

template <> INLINE Read read<Synaptic, 20>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 20>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = after * before;
    const float f1 = 0.0f * after;
    const float f2 = f0 - f1;
    const float f3 = beta * after;
    const float f4 = __builtin_fmaf(slope, spike, f3);
    const float f5 = slope * spike;
    const float f6 = 0.0f - f5;
    const float f7 = __builtin_fmaf(gain, after, after_1);
    const float f8 = alpha * f7;
    const float f9 = f7 * before_1;
    const float f10 = after * kept_1;
    return {f7, {f4, f8}, {f9, f2, f10, f6}};
}

template <> INLINE Read read<Synaptic, 21>(
    List<4> constants, List<2> states, List<2> of_step) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    const float f1 = before - threshold;
    return {2, {f0, f1}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 21>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0], slope_1 = slopes.of[1];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = threshold * f1;
    const float f3 = slope_1 * f2;
    const float f4 = 0.0f - f3;
    const float f5 = b0 ? f1 : 0.0f;
    const float f6 = 0.0f - f5;
    const float f7 = __builtin_fmaf(beta, f1, f4);
    const float f8 = f1 * before;
    const float f9 = slope * spike;
    const float f10 = f6 - f9;
    const float f11 = f10 - f4;
    const float f12 = __builtin_fmaf(gain, f1, after_1);
    const float f13 = alpha * f12;
    const float f14 = f12 * before_1;
    const float f15 = f1 * kept_1;
    return {f12, {f7, f13}, {f14, f8, f15, f11}};
}

template <> INLINE Read read<Synaptic, 22>(
    List<4> constants, List<2> states, List<2> of_step) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    const float f1 = before - threshold;
    return {2, {f0, f1}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 22>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0], slope_1 = slopes.of[1];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = b0 ? f1 : 0.0f;
    const float f3 = f1 - f2;
    const float f4 = gain * kept_1;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const float f6 = f5 * f1;
    const float f7 = slope_1 * f6;
    const float f8 = 0.0f - f7;
    const float f9 = __builtin_fmaf(beta, f3, f8);
    const float f10 = f3 * before;
    const float f11 = slope * spike;
    const float f12 = 0.0f - f11;
    const float f13 = f12 - f8;
    const float f14 = __builtin_fmaf(gain, f3, after_1);
    const float f15 = alpha * f14;
    const float f16 = f14 * before_1;
    const float f17 = f3 * kept_1;
    return {f14, {f9, f15}, {f16, f10, f17, f13}};
}

template <> INLINE Read read<Synaptic, 23>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 23>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = __builtin_fmaf(beta, f0, 0.0f);
    const float f2 = f0 * before;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    const float f5 = f4 - 0.0f;
    const float f6 = __builtin_fmaf(gain, f0, after_1);
    const float f7 = alpha * f6;
    const float f8 = f6 * before_1;
    const float f9 = f0 * kept_1;
    return {f6, {f1, f7}, {f8, f2, f9, f5}};
}

template <> INLINE Read read<Synaptic, 24>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 24>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = kept > threshold;
    const float f1 = threshold * after;
    const float f2 = spike - f1;
    const float f3 = __builtin_fmaf(slope, f2, after);
    const float f4 = b0 ? after : 0.0f;
    const float f5 = 0.0f - f4;
    const float f6 = beta * f3;
    const float f7 = f3 * before;
    const float f8 = slope * f2;
    const float f9 = f5 - f8;
    const float f10 = __builtin_fmaf(gain, f3, after_1);
    const float f11 = alpha * f10;
    const float f12 = f10 * before_1;
    const float f13 = f3 * kept_1;
    return {f10, {f6, f11}, {f12, f7, f13, f9}};
}

template <> INLINE Read read<Synaptic, 25>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 25>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = kept > threshold;
    const float f1 = kept * after;
    const float f2 = spike - f1;
    const float f3 = b0 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = __builtin_fmaf(slope, f2, f4);
    const float f6 = beta * f5;
    const float f7 = f5 * before;
    const float f8 = slope * f2;
    const float f9 = 0.0f - f8;
    const float f10 = __builtin_fmaf(gain, f5, after_1);
    const float f11 = alpha * f10;
    const float f12 = f10 * before_1;
    const float f13 = f5 * kept_1;
    return {f10, {f6, f11}, {f12, f7, f13, f9}};
}

template <> INLINE Read read<Synaptic, 26>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 26>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = beta * f0;
    const float f2 = f0 * before;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    const float f5 = __builtin_fmaf(gain, f0, after_1);
    const float f6 = alpha * f5;
    const float f7 = f5 * before_1;
    const float f8 = f0 * kept_1;
    return {f5, {f1, f6}, {f7, f2, f8, f4}};
}

template <> INLINE Read read<Synaptic, 27>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 27>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = beta * threshold;
    const float f2 = f1 * after;
    const float f3 = spike - f2;
    const float f4 = b0 ? threshold : 0.0f;
    const float f5 = after * before;
    const float f6 = f4 * after;
    const float f7 = f5 - f6;
    const float f8 = beta * after;
    const float f9 = b0 ? f8 : 0.0f;
    const float f10 = 0.0f - f9;
    const float f11 = __builtin_fmaf(slope, f3, f8);
    const float f12 = slope * f3;
    const float f13 = f10 - f12;
    const float f14 = gain * after;
    const float f15 = __builtin_fmaf(alpha, after_1, f14);
    const float f16 = after_1 * before_1;
    const float f17 = after * before_1;
    return {after_1, {f11, f15}, {f16, f7, f17, f13}};
}

template <> INLINE Read read<Synaptic, 28>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 28>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = gain * before_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const float f3 = f2 * after;
    const float f4 = spike - f3;
    const float f5 = b0 ? after : 0.0f;
    const float f6 = after - f5;
    const float f7 = f6 * before;
    const float f8 = 0.0f * after;
    const float f9 = f7 - f8;
    const float f10 = beta * f6;
    const float f11 = __builtin_fmaf(slope, f4, f10);
    const float f12 = slope * f4;
    const float f13 = 0.0f - f12;
    const float f14 = gain * f6;
    const float f15 = __builtin_fmaf(alpha, after_1, f14);
    const float f16 = after_1 * before_1;
    const float f17 = f6 * before_1;
    return {after_1, {f11, f15}, {f16, f9, f17, f13}};
}

template <> INLINE Read read<Synaptic, 29>(
    List<4> constants, List<2> states, List<2>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 29>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = after * before;
    const float f1 = 0.0f * after;
    const float f2 = f0 - f1;
    const float f3 = beta * after;
    const float f4 = __builtin_fmaf(slope, spike, f3);
    const float f5 = slope * spike;
    const float f6 = 0.0f - f5;
    const float f7 = gain * after;
    const float f8 = __builtin_fmaf(alpha, after_1, f7);
    const float f9 = after_1 * before_1;
    const float f10 = after * before_1;
    return {after_1, {f4, f8}, {f9, f2, f10, f6}};
}

template <> INLINE Read read<Synaptic, 30>(
    List<4> constants, List<2> states, List<2> of_step) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    const float f1 = before - threshold;
    return {2, {f0, f1}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 30>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0], slope_1 = slopes.of[1];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = threshold * f1;
    const float f3 = slope_1 * f2;
    const float f4 = 0.0f - f3;
    const float f5 = b0 ? f1 : 0.0f;
    const float f6 = 0.0f - f5;
    const float f7 = __builtin_fmaf(beta, f1, f4);
    const float f8 = f1 * before;
    const float f9 = slope * spike;
    const float f10 = f6 - f9;
    const float f11 = f10 - f4;
    const float f12 = gain * f1;
    const float f13 = __builtin_fmaf(alpha, after_1, f12);
    const float f14 = after_1 * before_1;
    const float f15 = f1 * before_1;
    return {after_1, {f7, f13}, {f14, f8, f15, f11}};
}

template <> INLINE Read read<Synaptic, 31>(
    List<4> constants, List<2> states, List<2> of_step) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    const float f1 = before - threshold;
    return {2, {f0, f1}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 31>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0], slope_1 = slopes.of[1];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = b0 ? f1 : 0.0f;
    const float f3 = f1 - f2;
    const float f4 = gain * before_1;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const float f6 = f5 * f1;
    const float f7 = slope_1 * f6;
    const float f8 = 0.0f - f7;
    const float f9 = __builtin_fmaf(beta, f3, f8);
    const float f10 = f3 * before;
    const float f11 = slope * spike;
    const float f12 = 0.0f - f11;
    const float f13 = f12 - f8;
    const float f14 = gain * f3;
    const float f15 = __builtin_fmaf(alpha, after_1, f14);
    const float f16 = after_1 * before_1;
    const float f17 = f3 * before_1;
    return {after_1, {f9, f15}, {f16, f10, f17, f13}};
}

template <> INLINE Read read<Synaptic, 32>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 32>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = __builtin_fmaf(beta, f0, 0.0f);
    const float f2 = f0 * before;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    const float f5 = f4 - 0.0f;
    const float f6 = gain * f0;
    const float f7 = __builtin_fmaf(alpha, after_1, f6);
    const float f8 = after_1 * before_1;
    const float f9 = f0 * before_1;
    return {after_1, {f1, f7}, {f8, f2, f9, f5}};
}

template <> INLINE Read read<Synaptic, 33>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 33>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept = of_step.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = kept > threshold;
    const float f1 = threshold * after;
    const float f2 = spike - f1;
    const float f3 = __builtin_fmaf(slope, f2, after);
    const float f4 = b0 ? after : 0.0f;
    const float f5 = 0.0f - f4;
    const float f6 = beta * f3;
    const float f7 = f3 * before;
    const float f8 = slope * f2;
    const float f9 = f5 - f8;
    const float f10 = gain * f3;
    const float f11 = __builtin_fmaf(alpha, after_1, f10);
    const float f12 = after_1 * before_1;
    const float f13 = f3 * before_1;
    return {after_1, {f6, f11}, {f12, f7, f13, f9}};
}

template <> INLINE Read read<Synaptic, 34>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 34>(
    List<4> constants, List<2> states, List<2> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept = of_step.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = kept > threshold;
    const float f1 = kept * after;
    const float f2 = spike - f1;
    const float f3 = b0 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = __builtin_fmaf(slope, f2, f4);
    const float f6 = beta * f5;
    const float f7 = f5 * before;
    const float f8 = slope * f2;
    const float f9 = 0.0f - f8;
    const float f10 = gain * f5;
    const float f11 = __builtin_fmaf(alpha, after_1, f10);
    const float f12 = after_1 * before_1;
    const float f13 = f5 * before_1;
    return {after_1, {f6, f11}, {f12, f7, f13, f9}};
}

template <> INLINE Read read<Synaptic, 35>(
    List<4> constants, List<2>, List<2> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Synaptic> adjoint<Synaptic, 35>(
    List<4> constants, List<2> states, List<2>, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], gain = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const float f0 = __builtin_fmaf(slope, spike, after);
    const float f1 = beta * f0;
    const float f2 = f0 * before;
    const float f3 = slope * spike;
    const float f4 = 0.0f - f3;
    const float f5 = gain * f0;
    const float f6 = __builtin_fmaf(alpha, after_1, f5);
    const float f7 = after_1 * before_1;
    const float f8 = f0 * before_1;
    return {after_1, {f1, f6}, {f7, f2, f8, f4}};
}

struct Alpha {
    enum { CONSTANTS = 3, STATES = 3, KEPT = 3, FORWARDS = 3, BACKWARDS = 3 };
};

template <> INLINE Step<Alpha> step<Alpha, 0>(
    List<3> constants, List<3> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], threshold = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const bool b0 = before > threshold;
    const float f1 = __nvvm_sqrt_rn_f(alpha);
    const float f2 = __nvvm_sqrt_rn_f(f1);
    const float f3 = __nvvm_sqrt_rn_f(f2);
    const float f4 = f3 - 1.0f;
    const float f5 = f3 + 1.0f;
    const float f6 = f4 / f5;
    const float f7 = f6 * f6;
    const float f8 = 16.0f * f6;
    const float f9 = __builtin_fmaf(f7, 0.2f, 0.33333334f);
    const float f10 = __builtin_fmaf(f7, f9, 1.0f);
    const float f11 = f8 * f10;
    const float f12 = exp_clamped(f11);
    const float f13 = alpha - f12;
    const float f14 = 2.0f * f13;
    const float f15 = alpha + f12;
    const float f16 = f14 / f15;
    const float f17 = f11 + f16;
    const float f18 = exp_clamped(f17);
    const float f19 = alpha - f18;
    const float f20 = 2.0f * f19;
    const float f21 = alpha + f18;
    const float f22 = f20 / f21;
    const float f23 = f17 + f22;
    const float f24 = __nvvm_sqrt_rn_f(beta);
    const float f25 = __nvvm_sqrt_rn_f(f24);
    const float f26 = __nvvm_sqrt_rn_f(f25);
    const float f27 = f26 - 1.0f;
    const float f28 = f26 + 1.0f;
    const float f29 = f27 / f28;
    const float f30 = f29 * f29;
    const float f31 = 16.0f * f29;
    const float f32 = __builtin_fmaf(f30, 0.2f, 0.33333334f);
    const float f33 = __builtin_fmaf(f30, f32, 1.0f);
    const float f34 = f31 * f33;
    const float f35 = exp_clamped(f34);
    const float f36 = beta - f35;
    const float f37 = 2.0f * f36;
    const float f38 = beta + f35;
    const float f39 = f37 / f38;
    const float f40 = f34 + f39;
    const float f41 = exp_clamped(f40);
    const float f42 = beta - f41;
    const float f43 = 2.0f * f42;
    const float f44 = beta + f41;
    const float f45 = f43 / f44;
    const float f46 = f40 + f45;
    const float f47 = f46 - f23;
    const float f48 = f46 / f47;
    const float f49 = __builtin_fmaf(alpha, before_1, current);
    const float f50 = 0.0f - current;
    const float f51 = __builtin_fmaf(beta, before_2, f50);
    const float f52 = f49 + f51;
    const float f53 = f48 * f52;
    const float f54 = b0 ? before_2 : 0.0f;
    const float f55 = f53 + f54;
    const float f56 = b0 ? threshold : 0.0f;
    const float f57 = f49 - f56;
    const float f58 = b0 ? f51 : 0.0f;
    const float f59 = f51 - f58;
    const bool b60 = f55 > threshold;
    return {b60, {f55, f57, f59}};
}

template <> INLINE List<3> state<Alpha, 0>(
    List<3>, List<3> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    return {kept, kept_1, kept_2};
}

template <> INLINE Step<Alpha> step<Alpha, 1>(
    List<3> constants, List<3> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], threshold = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const bool b0 = before > threshold;
    const float f1 = __nvvm_sqrt_rn_f(alpha);
    const float f2 = __nvvm_sqrt_rn_f(f1);
    const float f3 = __nvvm_sqrt_rn_f(f2);
    const float f4 = f3 - 1.0f;
    const float f5 = f3 + 1.0f;
    const float f6 = f4 / f5;
    const float f7 = f6 * f6;
    const float f8 = 16.0f * f6;
    const float f9 = __builtin_fmaf(f7, 0.2f, 0.33333334f);
    const float f10 = __builtin_fmaf(f7, f9, 1.0f);
    const float f11 = f8 * f10;
    const float f12 = exp_clamped(f11);
    const float f13 = alpha - f12;
    const float f14 = 2.0f * f13;
    const float f15 = alpha + f12;
    const float f16 = f14 / f15;
    const float f17 = f11 + f16;
    const float f18 = exp_clamped(f17);
    const float f19 = alpha - f18;
    const float f20 = 2.0f * f19;
    const float f21 = alpha + f18;
    const float f22 = f20 / f21;
    const float f23 = f17 + f22;
    const float f24 = __nvvm_sqrt_rn_f(beta);
    const float f25 = __nvvm_sqrt_rn_f(f24);
    const float f26 = __nvvm_sqrt_rn_f(f25);
    const float f27 = f26 - 1.0f;
    const float f28 = f26 + 1.0f;
    const float f29 = f27 / f28;
    const float f30 = f29 * f29;
    const float f31 = 16.0f * f29;
    const float f32 = __builtin_fmaf(f30, 0.2f, 0.33333334f);
    const float f33 = __builtin_fmaf(f30, f32, 1.0f);
    const float f34 = f31 * f33;
    const float f35 = exp_clamped(f34);
    const float f36 = beta - f35;
    const float f37 = 2.0f * f36;
    const float f38 = beta + f35;
    const float f39 = f37 / f38;
    const float f40 = f34 + f39;
    const float f41 = exp_clamped(f40);
    const float f42 = beta - f41;
    const float f43 = 2.0f * f42;
    const float f44 = beta + f41;
    const float f45 = f43 / f44;
    const float f46 = f40 + f45;
    const float f47 = f46 - f23;
    const float f48 = f46 / f47;
    const float f49 = __builtin_fmaf(alpha, before_1, current);
    const float f50 = 0.0f - current;
    const float f51 = __builtin_fmaf(beta, before_2, f50);
    const float f52 = f49 + f51;
    const float f53 = f48 * f52;
    const float f54 = b0 ? f53 : 0.0f;
    const float f55 = f53 - f54;
    const float f56 = b0 ? f49 : 0.0f;
    const float f57 = f49 - f56;
    const float f58 = b0 ? f51 : 0.0f;
    const float f59 = f51 - f58;
    const bool b60 = f55 > threshold;
    return {b60, {f55, f57, f59}};
}

template <> INLINE List<3> state<Alpha, 1>(
    List<3>, List<3> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    return {kept, kept_1, kept_2};
}

template <> INLINE Step<Alpha> step<Alpha, 2>(
    List<3> constants, List<3> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], threshold = constants.of[2];
    const float before_1 = states.of[1], before_2 = states.of[2];
    const float f0 = __nvvm_sqrt_rn_f(alpha);
    const float f1 = __nvvm_sqrt_rn_f(f0);
    const float f2 = __nvvm_sqrt_rn_f(f1);
    const float f3 = f2 - 1.0f;
    const float f4 = f2 + 1.0f;
    const float f5 = f3 / f4;
    const float f6 = f5 * f5;
    const float f7 = 16.0f * f5;
    const float f8 = __builtin_fmaf(f6, 0.2f, 0.33333334f);
    const float f9 = __builtin_fmaf(f6, f8, 1.0f);
    const float f10 = f7 * f9;
    const float f11 = exp_clamped(f10);
    const float f12 = alpha - f11;
    const float f13 = 2.0f * f12;
    const float f14 = alpha + f11;
    const float f15 = f13 / f14;
    const float f16 = f10 + f15;
    const float f17 = exp_clamped(f16);
    const float f18 = alpha - f17;
    const float f19 = 2.0f * f18;
    const float f20 = alpha + f17;
    const float f21 = f19 / f20;
    const float f22 = f16 + f21;
    const float f23 = __nvvm_sqrt_rn_f(beta);
    const float f24 = __nvvm_sqrt_rn_f(f23);
    const float f25 = __nvvm_sqrt_rn_f(f24);
    const float f26 = f25 - 1.0f;
    const float f27 = f25 + 1.0f;
    const float f28 = f26 / f27;
    const float f29 = f28 * f28;
    const float f30 = 16.0f * f28;
    const float f31 = __builtin_fmaf(f29, 0.2f, 0.33333334f);
    const float f32 = __builtin_fmaf(f29, f31, 1.0f);
    const float f33 = f30 * f32;
    const float f34 = exp_clamped(f33);
    const float f35 = beta - f34;
    const float f36 = 2.0f * f35;
    const float f37 = beta + f34;
    const float f38 = f36 / f37;
    const float f39 = f33 + f38;
    const float f40 = exp_clamped(f39);
    const float f41 = beta - f40;
    const float f42 = 2.0f * f41;
    const float f43 = beta + f40;
    const float f44 = f42 / f43;
    const float f45 = f39 + f44;
    const float f46 = f45 - f22;
    const float f47 = f45 / f46;
    const float f48 = __builtin_fmaf(alpha, before_1, current);
    const float f49 = 0.0f - current;
    const float f50 = __builtin_fmaf(beta, before_2, f49);
    const float f51 = f48 + f50;
    const float f52 = f47 * f51;
    const bool b53 = f52 > threshold;
    return {b53, {f52, f48, f50}};
}

template <> INLINE List<3> state<Alpha, 2>(
    List<3>, List<3> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    return {kept, kept_1, kept_2};
}

template <> INLINE Read read<Alpha, 0>(
    List<3> constants, List<3>, List<3> of_step) {
    const float threshold = constants.of[2];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Alpha> adjoint<Alpha, 0>(
    List<3> constants, List<3> states, List<3> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], threshold = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const bool b0 = before > threshold;
    const float f1 = __nvvm_sqrt_rn_f(alpha);
    const float f2 = __nvvm_sqrt_rn_f(f1);
    const float f3 = __nvvm_sqrt_rn_f(f2);
    const float f4 = f3 - 1.0f;
    const float f5 = f3 + 1.0f;
    const float f6 = f4 / f5;
    const float f7 = f6 * f6;
    const float f8 = 16.0f * f6;
    const float f9 = __builtin_fmaf(f7, 0.2f, 0.33333334f);
    const float f10 = __builtin_fmaf(f7, f9, 1.0f);
    const float f11 = f8 * f10;
    const float f12 = exp_clamped(f11);
    const float f13 = alpha - f12;
    const float f14 = 2.0f * f13;
    const float f15 = alpha + f12;
    const float f16 = f14 / f15;
    const float f17 = f11 + f16;
    const float f18 = exp_clamped(f17);
    const float f19 = alpha - f18;
    const float f20 = 2.0f * f19;
    const float f21 = alpha + f18;
    const float f22 = f20 / f21;
    const float f23 = f17 + f22;
    const float f24 = __nvvm_sqrt_rn_f(beta);
    const float f25 = __nvvm_sqrt_rn_f(f24);
    const float f26 = __nvvm_sqrt_rn_f(f25);
    const float f27 = f26 - 1.0f;
    const float f28 = f26 + 1.0f;
    const float f29 = f27 / f28;
    const float f30 = f29 * f29;
    const float f31 = 16.0f * f29;
    const float f32 = __builtin_fmaf(f30, 0.2f, 0.33333334f);
    const float f33 = __builtin_fmaf(f30, f32, 1.0f);
    const float f34 = f31 * f33;
    const float f35 = exp_clamped(f34);
    const float f36 = beta - f35;
    const float f37 = 2.0f * f36;
    const float f38 = beta + f35;
    const float f39 = f37 / f38;
    const float f40 = f34 + f39;
    const float f41 = exp_clamped(f40);
    const float f42 = beta - f41;
    const float f43 = 2.0f * f42;
    const float f44 = beta + f41;
    const float f45 = f43 / f44;
    const float f46 = f40 + f45;
    const float f47 = f46 - f23;
    const float f48 = slope * spike;
    const float f49 = after + f48;
    const float f50 = f46 / f47;
    const float f51 = f50 * f49;
    const float f52 = b0 ? before_2 : 0.0f;
    const float f53 = kept - f52;
    const float f54 = b0 ? after_2 : 0.0f;
    const float f55 = after_2 - f54;
    const float f56 = f55 + f51;
    const float f57 = after_1 + f51;
    const float f58 = f49 * f53;
    const float f59 = b0 ? f49 : 0.0f;
    const float f60 = b0 ? after_1 : 0.0f;
    const float f61 = f47 * alpha;
    const float f62 = f58 / f61;
    const float f63 = f58 * f23;
    const float f64 = f47 * beta;
    const float f65 = f64 * f46;
    const float f66 = f63 / f65;
    const float f67 = f57 - f56;
    const float f68 = alpha * f57;
    const float f69 = __builtin_fmaf(beta, f56, f59);
    const float f70 = __builtin_fmaf(f57, before_1, f62);
    const float f71 = f56 * before_2;
    const float f72 = f71 - f66;
    const float f73 = f48 + f60;
    const float f74 = 0.0f - f73;
    return {f67, {0.0f, f68, f69}, {f70, f72, f74}};
}

template <> INLINE Read read<Alpha, 1>(
    List<3> constants, List<3>, List<3> of_step) {
    const float threshold = constants.of[2];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Alpha> adjoint<Alpha, 1>(
    List<3> constants, List<3> states, List<3> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], threshold = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const bool b0 = before > threshold;
    const float f1 = __nvvm_sqrt_rn_f(alpha);
    const float f2 = __nvvm_sqrt_rn_f(f1);
    const float f3 = __nvvm_sqrt_rn_f(f2);
    const float f4 = f3 - 1.0f;
    const float f5 = f3 + 1.0f;
    const float f6 = f4 / f5;
    const float f7 = f6 * f6;
    const float f8 = 16.0f * f6;
    const float f9 = __builtin_fmaf(f7, 0.2f, 0.33333334f);
    const float f10 = __builtin_fmaf(f7, f9, 1.0f);
    const float f11 = f8 * f10;
    const float f12 = exp_clamped(f11);
    const float f13 = alpha - f12;
    const float f14 = 2.0f * f13;
    const float f15 = alpha + f12;
    const float f16 = f14 / f15;
    const float f17 = f11 + f16;
    const float f18 = exp_clamped(f17);
    const float f19 = alpha - f18;
    const float f20 = 2.0f * f19;
    const float f21 = alpha + f18;
    const float f22 = f20 / f21;
    const float f23 = f17 + f22;
    const float f24 = __nvvm_sqrt_rn_f(beta);
    const float f25 = __nvvm_sqrt_rn_f(f24);
    const float f26 = __nvvm_sqrt_rn_f(f25);
    const float f27 = f26 - 1.0f;
    const float f28 = f26 + 1.0f;
    const float f29 = f27 / f28;
    const float f30 = f29 * f29;
    const float f31 = 16.0f * f29;
    const float f32 = __builtin_fmaf(f30, 0.2f, 0.33333334f);
    const float f33 = __builtin_fmaf(f30, f32, 1.0f);
    const float f34 = f31 * f33;
    const float f35 = exp_clamped(f34);
    const float f36 = beta - f35;
    const float f37 = 2.0f * f36;
    const float f38 = beta + f35;
    const float f39 = f37 / f38;
    const float f40 = f34 + f39;
    const float f41 = exp_clamped(f40);
    const float f42 = beta - f41;
    const float f43 = 2.0f * f42;
    const float f44 = beta + f41;
    const float f45 = f43 / f44;
    const float f46 = f40 + f45;
    const float f47 = f46 - f23;
    const float f48 = slope * spike;
    const float f49 = after + f48;
    const float f50 = f46 / f47;
    const float f51 = f50 * f49;
    const float f52 = after_1 + f51;
    const float f53 = b0 ? f52 : 0.0f;
    const float f54 = f52 - f53;
    const float f55 = after_2 + f51;
    const float f56 = b0 ? f55 : 0.0f;
    const float f57 = f55 - f56;
    const float f58 = f49 * kept;
    const float f59 = f47 * alpha;
    const float f60 = f58 / f59;
    const float f61 = f58 * f23;
    const float f62 = f47 * beta;
    const float f63 = f62 * f46;
    const float f64 = f61 / f63;
    const float f65 = f54 - f57;
    const float f66 = alpha * f54;
    const float f67 = __builtin_fmaf(beta, f57, 0.0f);
    const float f68 = __builtin_fmaf(f54, before_1, f60);
    const float f69 = f57 * before_2;
    const float f70 = f69 - f64;
    const float f71 = f48 + 0.0f;
    const float f72 = 0.0f - f71;
    return {f65, {0.0f, f66, f67}, {f68, f70, f72}};
}

template <> INLINE Read read<Alpha, 2>(
    List<3> constants, List<3>, List<3> of_step) {
    const float threshold = constants.of[2];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Alpha> adjoint<Alpha, 2>(
    List<3> constants, List<3> states, List<3> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1];
    const float before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __nvvm_sqrt_rn_f(alpha);
    const float f1 = __nvvm_sqrt_rn_f(f0);
    const float f2 = __nvvm_sqrt_rn_f(f1);
    const float f3 = f2 - 1.0f;
    const float f4 = f2 + 1.0f;
    const float f5 = f3 / f4;
    const float f6 = f5 * f5;
    const float f7 = 16.0f * f5;
    const float f8 = __builtin_fmaf(f6, 0.2f, 0.33333334f);
    const float f9 = __builtin_fmaf(f6, f8, 1.0f);
    const float f10 = f7 * f9;
    const float f11 = exp_clamped(f10);
    const float f12 = alpha - f11;
    const float f13 = 2.0f * f12;
    const float f14 = alpha + f11;
    const float f15 = f13 / f14;
    const float f16 = f10 + f15;
    const float f17 = exp_clamped(f16);
    const float f18 = alpha - f17;
    const float f19 = 2.0f * f18;
    const float f20 = alpha + f17;
    const float f21 = f19 / f20;
    const float f22 = f16 + f21;
    const float f23 = __nvvm_sqrt_rn_f(beta);
    const float f24 = __nvvm_sqrt_rn_f(f23);
    const float f25 = __nvvm_sqrt_rn_f(f24);
    const float f26 = f25 - 1.0f;
    const float f27 = f25 + 1.0f;
    const float f28 = f26 / f27;
    const float f29 = f28 * f28;
    const float f30 = 16.0f * f28;
    const float f31 = __builtin_fmaf(f29, 0.2f, 0.33333334f);
    const float f32 = __builtin_fmaf(f29, f31, 1.0f);
    const float f33 = f30 * f32;
    const float f34 = exp_clamped(f33);
    const float f35 = beta - f34;
    const float f36 = 2.0f * f35;
    const float f37 = beta + f34;
    const float f38 = f36 / f37;
    const float f39 = f33 + f38;
    const float f40 = exp_clamped(f39);
    const float f41 = beta - f40;
    const float f42 = 2.0f * f41;
    const float f43 = beta + f40;
    const float f44 = f42 / f43;
    const float f45 = f39 + f44;
    const float f46 = f45 - f22;
    const float f47 = slope * spike;
    const float f48 = after + f47;
    const float f49 = f45 / f46;
    const float f50 = f49 * f48;
    const float f51 = after_1 + f50;
    const float f52 = after_2 + f50;
    const float f53 = f48 * kept;
    const float f54 = f46 * alpha;
    const float f55 = f53 / f54;
    const float f56 = f53 * f22;
    const float f57 = f46 * beta;
    const float f58 = f57 * f45;
    const float f59 = f56 / f58;
    const float f60 = f51 - f52;
    const float f61 = alpha * f51;
    const float f62 = __builtin_fmaf(beta, f52, 0.0f);
    const float f63 = __builtin_fmaf(f51, before_1, f55);
    const float f64 = f52 * before_2;
    const float f65 = f64 - f59;
    const float f66 = f47 + 0.0f;
    const float f67 = 0.0f - f66;
    return {f60, {0.0f, f61, f62}, {f63, f65, f67}};
}

struct Adaptive {
    enum { CONSTANTS = 4, STATES = 3, KEPT = 4, FORWARDS = 8, BACKWARDS = 32 };
};

template <> INLINE Step<Adaptive> step<Adaptive, 0>(
    List<4> constants, List<3> states, float current) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float f0 = 1.0f - rho;
    const float f1 = f0 * before_2;
    const float f2 = __builtin_fmaf(rho, before_1, f1);
    const float f3 = __builtin_fmaf(adaptation, f2, threshold);
    const float f4 = 1.0f * current;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const float f6 = f3 * before_2;
    const float f7 = f5 - f6;
    const float f8 = f7 - f3;
    const bool b9 = f8 > 0.0f;
    const float f10 = b9 ? 1.0f : 0.0f;
    return {b9, {f7, f2, f10, current}};
}

template <> INLINE List<3> state<Adaptive, 0>(
    List<4>, List<4> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    return {kept, kept_1, kept_2};
}

template <> INLINE Step<Adaptive> step<Adaptive, 1>(
    List<4> constants, List<3> states, float current) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float f0 = 1.0f - rho;
    const float f1 = f0 * before_2;
    const float f2 = __builtin_fmaf(rho, before_1, f1);
    const float f3 = __builtin_fmaf(adaptation, f2, threshold);
    const float f4 = 1.0f * current;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const float f6 = f3 * before_2;
    const float f7 = f5 - f6;
    const float f8 = before - f3;
    const bool b9 = f8 > 0.0f;
    const float f10 = b9 ? 1.0f : 0.0f;
    return {b9, {f7, f2, f10, current}};
}

template <> INLINE List<3> state<Adaptive, 1>(
    List<4>, List<4> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    return {kept, kept_1, kept_2};
}

template <> INLINE Step<Adaptive> step<Adaptive, 2>(
    List<4> constants, List<3> states, float current) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float f0 = 1.0f - rho;
    const float f1 = f0 * before_2;
    const float f2 = __builtin_fmaf(rho, before_1, f1);
    const float f3 = __builtin_fmaf(adaptation, f2, threshold);
    const float f4 = 1.0f * current;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const float f6 = f3 * before_2;
    const float f7 = f5 - f6;
    const float f8 = f7 - f3;
    const float f9 = f8 / f3;
    const bool b10 = f9 > 0.0f;
    const float f11 = b10 ? 1.0f : 0.0f;
    return {b10, {f7, f2, f11, current}};
}

template <> INLINE List<3> state<Adaptive, 2>(
    List<4>, List<4> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    return {kept, kept_1, kept_2};
}

template <> INLINE Step<Adaptive> step<Adaptive, 3>(
    List<4> constants, List<3> states, float current) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float f0 = 1.0f - rho;
    const float f1 = f0 * before_2;
    const float f2 = __builtin_fmaf(rho, before_1, f1);
    const float f3 = __builtin_fmaf(adaptation, f2, threshold);
    const float f4 = 1.0f * current;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const float f6 = f3 * before_2;
    const float f7 = f5 - f6;
    const float f8 = before - f3;
    const float f9 = f8 / f3;
    const bool b10 = f9 > 0.0f;
    const float f11 = b10 ? 1.0f : 0.0f;
    return {b10, {f7, f2, f11, current}};
}

template <> INLINE List<3> state<Adaptive, 3>(
    List<4>, List<4> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    return {kept, kept_1, kept_2};
}

template <> INLINE Step<Adaptive> step<Adaptive, 4>(
    List<4> constants, List<3> states, float current) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float f0 = 1.0f - rho;
    const float f1 = f0 * before_2;
    const float f2 = __builtin_fmaf(rho, before_1, f1);
    const float f3 = __builtin_fmaf(adaptation, f2, threshold);
    const float f4 = 1.0f - beta;
    const float f5 = f4 * current;
    const float f6 = __builtin_fmaf(beta, before, f5);
    const float f7 = f3 * before_2;
    const float f8 = f6 - f7;
    const float f9 = f8 - f3;
    const bool b10 = f9 > 0.0f;
    const float f11 = b10 ? 1.0f : 0.0f;
    return {b10, {f8, f2, f11, current}};
}

template <> INLINE List<3> state<Adaptive, 4>(
    List<4>, List<4> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    return {kept, kept_1, kept_2};
}

template <> INLINE Step<Adaptive> step<Adaptive, 5>(
    List<4> constants, List<3> states, float current) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float f0 = 1.0f - rho;
    const float f1 = f0 * before_2;
    const float f2 = __builtin_fmaf(rho, before_1, f1);
    const float f3 = __builtin_fmaf(adaptation, f2, threshold);
    const float f4 = 1.0f - beta;
    const float f5 = f4 * current;
    const float f6 = __builtin_fmaf(beta, before, f5);
    const float f7 = f3 * before_2;
    const float f8 = f6 - f7;
    const float f9 = before - f3;
    const bool b10 = f9 > 0.0f;
    const float f11 = b10 ? 1.0f : 0.0f;
    return {b10, {f8, f2, f11, current}};
}

template <> INLINE List<3> state<Adaptive, 5>(
    List<4>, List<4> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    return {kept, kept_1, kept_2};
}

template <> INLINE Step<Adaptive> step<Adaptive, 6>(
    List<4> constants, List<3> states, float current) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float f0 = 1.0f - rho;
    const float f1 = f0 * before_2;
    const float f2 = __builtin_fmaf(rho, before_1, f1);
    const float f3 = __builtin_fmaf(adaptation, f2, threshold);
    const float f4 = 1.0f - beta;
    const float f5 = f4 * current;
    const float f6 = __builtin_fmaf(beta, before, f5);
    const float f7 = f3 * before_2;
    const float f8 = f6 - f7;
    const float f9 = f8 - f3;
    const float f10 = f9 / f3;
    const bool b11 = f10 > 0.0f;
    const float f12 = b11 ? 1.0f : 0.0f;
    return {b11, {f8, f2, f12, current}};
}

template <> INLINE List<3> state<Adaptive, 6>(
    List<4>, List<4> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    return {kept, kept_1, kept_2};
}

template <> INLINE Step<Adaptive> step<Adaptive, 7>(
    List<4> constants, List<3> states, float current) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float f0 = 1.0f - rho;
    const float f1 = f0 * before_2;
    const float f2 = __builtin_fmaf(rho, before_1, f1);
    const float f3 = __builtin_fmaf(adaptation, f2, threshold);
    const float f4 = 1.0f - beta;
    const float f5 = f4 * current;
    const float f6 = __builtin_fmaf(beta, before, f5);
    const float f7 = f3 * before_2;
    const float f8 = f6 - f7;
    const float f9 = before - f3;
    const float f10 = f9 / f3;
    const bool b11 = f10 > 0.0f;
    const float f12 = b11 ? 1.0f : 0.0f;
    return {b11, {f8, f2, f12, current}};
}

template <> INLINE List<3> state<Adaptive, 7>(
    List<4>, List<4> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    return {kept, kept_1, kept_2};
}

template <> INLINE Read read<Adaptive, 0>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 0>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = spike + after_2;
    const float f1 = slope * f0;
    const float f2 = 0.0f - f1;
    const float f3 = after + f1;
    const float f4 = before_2 * f3;
    const float f5 = f2 - f4;
    const float f6 = __builtin_fmaf(adaptation, f5, after_1);
    const float f7 = 1.0f * f3;
    const float f8 = __builtin_fmaf(beta, f3, 0.0f);
    const float f9 = rho * f6;
    const float f10 = 0.0f - 0.0f;
    const float f11 = f3 * before;
    const float f12 = before_1 - before_2;
    const float f13 = f6 * f12;
    const float f14 = f5 * kept_1;
    return {f7, {f8, f9, f10}, {f11, f13, f14, f5}};
}

template <> INLINE Read read<Adaptive, 1>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 1>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = spike + after_2;
    const float f1 = slope * f0;
    const float f2 = 0.0f - f1;
    const float f3 = after + 0.0f;
    const float f4 = before_2 * f3;
    const float f5 = f2 - f4;
    const float f6 = __builtin_fmaf(adaptation, f5, after_1);
    const float f7 = 1.0f * f3;
    const float f8 = __builtin_fmaf(beta, f3, f1);
    const float f9 = rho * f6;
    const float f10 = 0.0f - 0.0f;
    const float f11 = f3 * before;
    const float f12 = before_1 - before_2;
    const float f13 = f6 * f12;
    const float f14 = f5 * kept_1;
    return {f7, {f8, f9, f10}, {f11, f13, f14, f5}};
}

template <> INLINE Read read<Adaptive, 2>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 2>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * kept;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + f3;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = 1.0f * f7;
    const float f12 = __builtin_fmaf(beta, f7, 0.0f);
    const float f13 = rho * f10;
    const float f14 = 0.0f - 0.0f;
    const float f15 = f7 * before;
    const float f16 = before_1 - before_2;
    const float f17 = f10 * f16;
    const float f18 = f9 * kept_1;
    return {f11, {f12, f13, f14}, {f15, f17, f18, f9}};
}

template <> INLINE Read read<Adaptive, 3>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 3>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * before;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + 0.0f;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = 1.0f * f7;
    const float f12 = __builtin_fmaf(beta, f7, f3);
    const float f13 = rho * f10;
    const float f14 = 0.0f - 0.0f;
    const float f15 = f7 * before;
    const float f16 = before_1 - before_2;
    const float f17 = f10 * f16;
    const float f18 = f9 * kept_1;
    return {f11, {f12, f13, f14}, {f15, f17, f18, f9}};
}

template <> INLINE Read read<Adaptive, 4>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 4>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = spike + after_2;
    const float f1 = slope * f0;
    const float f2 = 0.0f - f1;
    const float f3 = after + f1;
    const float f4 = before_2 * f3;
    const float f5 = f2 - f4;
    const float f6 = __builtin_fmaf(adaptation, f5, after_1);
    const float f7 = before - kept_3;
    const float f8 = 1.0f - beta;
    const float f9 = f8 * f3;
    const float f10 = __builtin_fmaf(beta, f3, 0.0f);
    const float f11 = rho * f6;
    const float f12 = 0.0f - 0.0f;
    const float f13 = f3 * f7;
    const float f14 = before_1 - before_2;
    const float f15 = f6 * f14;
    const float f16 = f5 * kept_1;
    return {f9, {f10, f11, f12}, {f13, f15, f16, f5}};
}

template <> INLINE Read read<Adaptive, 5>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 5>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = spike + after_2;
    const float f1 = slope * f0;
    const float f2 = 0.0f - f1;
    const float f3 = after + 0.0f;
    const float f4 = before_2 * f3;
    const float f5 = f2 - f4;
    const float f6 = __builtin_fmaf(adaptation, f5, after_1);
    const float f7 = before - kept_3;
    const float f8 = 1.0f - beta;
    const float f9 = f8 * f3;
    const float f10 = __builtin_fmaf(beta, f3, f1);
    const float f11 = rho * f6;
    const float f12 = 0.0f - 0.0f;
    const float f13 = f3 * f7;
    const float f14 = before_1 - before_2;
    const float f15 = f6 * f14;
    const float f16 = f5 * kept_1;
    return {f9, {f10, f11, f12}, {f13, f15, f16, f5}};
}

template <> INLINE Read read<Adaptive, 6>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 6>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * kept;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + f3;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = before - kept_3;
    const float f12 = 1.0f - beta;
    const float f13 = f12 * f7;
    const float f14 = __builtin_fmaf(beta, f7, 0.0f);
    const float f15 = rho * f10;
    const float f16 = 0.0f - 0.0f;
    const float f17 = f7 * f11;
    const float f18 = before_1 - before_2;
    const float f19 = f10 * f18;
    const float f20 = f9 * kept_1;
    return {f13, {f14, f15, f16}, {f17, f19, f20, f9}};
}

template <> INLINE Read read<Adaptive, 7>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 7>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * before;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + 0.0f;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = before - kept_3;
    const float f12 = 1.0f - beta;
    const float f13 = f12 * f7;
    const float f14 = __builtin_fmaf(beta, f7, f3);
    const float f15 = rho * f10;
    const float f16 = 0.0f - 0.0f;
    const float f17 = f7 * f11;
    const float f18 = before_1 - before_2;
    const float f19 = f10 * f18;
    const float f20 = f9 * kept_1;
    return {f13, {f14, f15, f16}, {f17, f19, f20, f9}};
}

template <> INLINE Read read<Adaptive, 8>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 8>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = 0.0f - f2;
    const float f4 = after + f2;
    const float f5 = before_2 * f4;
    const float f6 = f3 - f5;
    const float f7 = __builtin_fmaf(adaptation, f6, after_1);
    const float f8 = f0 * f4;
    const float f9 = 1.0f * f4;
    const float f10 = __builtin_fmaf(beta, f4, 0.0f);
    const float f11 = rho * f7;
    const float f12 = 0.0f - f8;
    const float f13 = f4 * before;
    const float f14 = before_1 - before_2;
    const float f15 = f7 * f14;
    const float f16 = f6 * kept_1;
    return {f9, {f10, f11, f12}, {f13, f15, f16, f6}};
}

template <> INLINE Read read<Adaptive, 9>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 9>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = 0.0f - f2;
    const float f4 = after + 0.0f;
    const float f5 = before_2 * f4;
    const float f6 = f3 - f5;
    const float f7 = __builtin_fmaf(adaptation, f6, after_1);
    const float f8 = f0 * f4;
    const float f9 = 1.0f * f4;
    const float f10 = __builtin_fmaf(beta, f4, f2);
    const float f11 = rho * f7;
    const float f12 = 0.0f - f8;
    const float f13 = f4 * before;
    const float f14 = before_1 - before_2;
    const float f15 = f7 * f14;
    const float f16 = f6 * kept_1;
    return {f9, {f10, f11, f12}, {f13, f15, f16, f6}};
}

template <> INLINE Read read<Adaptive, 10>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 10>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * kept;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + f3;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = f0 * f7;
    const float f12 = 1.0f * f7;
    const float f13 = __builtin_fmaf(beta, f7, 0.0f);
    const float f14 = rho * f10;
    const float f15 = 0.0f - f11;
    const float f16 = f7 * before;
    const float f17 = before_1 - before_2;
    const float f18 = f10 * f17;
    const float f19 = f9 * kept_1;
    return {f12, {f13, f14, f15}, {f16, f18, f19, f9}};
}

template <> INLINE Read read<Adaptive, 11>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 11>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * before;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + 0.0f;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = f0 * f7;
    const float f12 = 1.0f * f7;
    const float f13 = __builtin_fmaf(beta, f7, f3);
    const float f14 = rho * f10;
    const float f15 = 0.0f - f11;
    const float f16 = f7 * before;
    const float f17 = before_1 - before_2;
    const float f18 = f10 * f17;
    const float f19 = f9 * kept_1;
    return {f12, {f13, f14, f15}, {f16, f18, f19, f9}};
}

template <> INLINE Read read<Adaptive, 12>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 12>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = 0.0f - f2;
    const float f4 = after + f2;
    const float f5 = before_2 * f4;
    const float f6 = f3 - f5;
    const float f7 = __builtin_fmaf(adaptation, f6, after_1);
    const float f8 = f0 * f4;
    const float f9 = before - kept_3;
    const float f10 = 1.0f - beta;
    const float f11 = f10 * f4;
    const float f12 = __builtin_fmaf(beta, f4, 0.0f);
    const float f13 = rho * f7;
    const float f14 = 0.0f - f8;
    const float f15 = f4 * f9;
    const float f16 = before_1 - before_2;
    const float f17 = f7 * f16;
    const float f18 = f6 * kept_1;
    return {f11, {f12, f13, f14}, {f15, f17, f18, f6}};
}

template <> INLINE Read read<Adaptive, 13>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 13>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = 0.0f - f2;
    const float f4 = after + 0.0f;
    const float f5 = before_2 * f4;
    const float f6 = f3 - f5;
    const float f7 = __builtin_fmaf(adaptation, f6, after_1);
    const float f8 = f0 * f4;
    const float f9 = before - kept_3;
    const float f10 = 1.0f - beta;
    const float f11 = f10 * f4;
    const float f12 = __builtin_fmaf(beta, f4, f2);
    const float f13 = rho * f7;
    const float f14 = 0.0f - f8;
    const float f15 = f4 * f9;
    const float f16 = before_1 - before_2;
    const float f17 = f7 * f16;
    const float f18 = f6 * kept_1;
    return {f11, {f12, f13, f14}, {f15, f17, f18, f6}};
}

template <> INLINE Read read<Adaptive, 14>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 14>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * kept;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + f3;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = f0 * f7;
    const float f12 = before - kept_3;
    const float f13 = 1.0f - beta;
    const float f14 = f13 * f7;
    const float f15 = __builtin_fmaf(beta, f7, 0.0f);
    const float f16 = rho * f10;
    const float f17 = 0.0f - f11;
    const float f18 = f7 * f12;
    const float f19 = before_1 - before_2;
    const float f20 = f10 * f19;
    const float f21 = f9 * kept_1;
    return {f14, {f15, f16, f17}, {f18, f20, f21, f9}};
}

template <> INLINE Read read<Adaptive, 15>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 15>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * before;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + 0.0f;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = f0 * f7;
    const float f12 = before - kept_3;
    const float f13 = 1.0f - beta;
    const float f14 = f13 * f7;
    const float f15 = __builtin_fmaf(beta, f7, f3);
    const float f16 = rho * f10;
    const float f17 = 0.0f - f11;
    const float f18 = f7 * f12;
    const float f19 = before_1 - before_2;
    const float f20 = f10 * f19;
    const float f21 = f9 * kept_1;
    return {f14, {f15, f16, f17}, {f18, f20, f21, f9}};
}

template <> INLINE Read read<Adaptive, 16>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 16>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = spike + after_2;
    const float f1 = slope * f0;
    const float f2 = 0.0f - f1;
    const float f3 = after + f1;
    const float f4 = before_2 * f3;
    const float f5 = f2 - f4;
    const float f6 = __builtin_fmaf(adaptation, f5, after_1);
    const float f7 = 1.0f - rho;
    const float f8 = f7 * f6;
    const float f9 = 1.0f * f3;
    const float f10 = __builtin_fmaf(beta, f3, 0.0f);
    const float f11 = rho * f6;
    const float f12 = f8 - 0.0f;
    const float f13 = f3 * before;
    const float f14 = before_1 - before_2;
    const float f15 = f6 * f14;
    const float f16 = f5 * kept_1;
    return {f9, {f10, f11, f12}, {f13, f15, f16, f5}};
}

template <> INLINE Read read<Adaptive, 17>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 17>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = spike + after_2;
    const float f1 = slope * f0;
    const float f2 = 0.0f - f1;
    const float f3 = after + 0.0f;
    const float f4 = before_2 * f3;
    const float f5 = f2 - f4;
    const float f6 = __builtin_fmaf(adaptation, f5, after_1);
    const float f7 = 1.0f - rho;
    const float f8 = f7 * f6;
    const float f9 = 1.0f * f3;
    const float f10 = __builtin_fmaf(beta, f3, f1);
    const float f11 = rho * f6;
    const float f12 = f8 - 0.0f;
    const float f13 = f3 * before;
    const float f14 = before_1 - before_2;
    const float f15 = f6 * f14;
    const float f16 = f5 * kept_1;
    return {f9, {f10, f11, f12}, {f13, f15, f16, f5}};
}

template <> INLINE Read read<Adaptive, 18>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 18>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * kept;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + f3;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = 1.0f - rho;
    const float f12 = f11 * f10;
    const float f13 = 1.0f * f7;
    const float f14 = __builtin_fmaf(beta, f7, 0.0f);
    const float f15 = rho * f10;
    const float f16 = f12 - 0.0f;
    const float f17 = f7 * before;
    const float f18 = before_1 - before_2;
    const float f19 = f10 * f18;
    const float f20 = f9 * kept_1;
    return {f13, {f14, f15, f16}, {f17, f19, f20, f9}};
}

template <> INLINE Read read<Adaptive, 19>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 19>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * before;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + 0.0f;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = 1.0f - rho;
    const float f12 = f11 * f10;
    const float f13 = 1.0f * f7;
    const float f14 = __builtin_fmaf(beta, f7, f3);
    const float f15 = rho * f10;
    const float f16 = f12 - 0.0f;
    const float f17 = f7 * before;
    const float f18 = before_1 - before_2;
    const float f19 = f10 * f18;
    const float f20 = f9 * kept_1;
    return {f13, {f14, f15, f16}, {f17, f19, f20, f9}};
}

template <> INLINE Read read<Adaptive, 20>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 20>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = spike + after_2;
    const float f1 = slope * f0;
    const float f2 = 0.0f - f1;
    const float f3 = after + f1;
    const float f4 = before_2 * f3;
    const float f5 = f2 - f4;
    const float f6 = __builtin_fmaf(adaptation, f5, after_1);
    const float f7 = 1.0f - rho;
    const float f8 = f7 * f6;
    const float f9 = before - kept_3;
    const float f10 = 1.0f - beta;
    const float f11 = f10 * f3;
    const float f12 = __builtin_fmaf(beta, f3, 0.0f);
    const float f13 = rho * f6;
    const float f14 = f8 - 0.0f;
    const float f15 = f3 * f9;
    const float f16 = before_1 - before_2;
    const float f17 = f6 * f16;
    const float f18 = f5 * kept_1;
    return {f11, {f12, f13, f14}, {f15, f17, f18, f5}};
}

template <> INLINE Read read<Adaptive, 21>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 21>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = spike + after_2;
    const float f1 = slope * f0;
    const float f2 = 0.0f - f1;
    const float f3 = after + 0.0f;
    const float f4 = before_2 * f3;
    const float f5 = f2 - f4;
    const float f6 = __builtin_fmaf(adaptation, f5, after_1);
    const float f7 = 1.0f - rho;
    const float f8 = f7 * f6;
    const float f9 = before - kept_3;
    const float f10 = 1.0f - beta;
    const float f11 = f10 * f3;
    const float f12 = __builtin_fmaf(beta, f3, f1);
    const float f13 = rho * f6;
    const float f14 = f8 - 0.0f;
    const float f15 = f3 * f9;
    const float f16 = before_1 - before_2;
    const float f17 = f6 * f16;
    const float f18 = f5 * kept_1;
    return {f11, {f12, f13, f14}, {f15, f17, f18, f5}};
}

template <> INLINE Read read<Adaptive, 22>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 22>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * kept;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + f3;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = 1.0f - rho;
    const float f12 = f11 * f10;
    const float f13 = before - kept_3;
    const float f14 = 1.0f - beta;
    const float f15 = f14 * f7;
    const float f16 = __builtin_fmaf(beta, f7, 0.0f);
    const float f17 = rho * f10;
    const float f18 = f12 - 0.0f;
    const float f19 = f7 * f13;
    const float f20 = before_1 - before_2;
    const float f21 = f10 * f20;
    const float f22 = f9 * kept_1;
    return {f15, {f16, f17, f18}, {f19, f21, f22, f9}};
}

template <> INLINE Read read<Adaptive, 23>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 23>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * before;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + 0.0f;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = 1.0f - rho;
    const float f12 = f11 * f10;
    const float f13 = before - kept_3;
    const float f14 = 1.0f - beta;
    const float f15 = f14 * f7;
    const float f16 = __builtin_fmaf(beta, f7, f3);
    const float f17 = rho * f10;
    const float f18 = f12 - 0.0f;
    const float f19 = f7 * f13;
    const float f20 = before_1 - before_2;
    const float f21 = f10 * f20;
    const float f22 = f9 * kept_1;
    return {f15, {f16, f17, f18}, {f19, f21, f22, f9}};
}

template <> INLINE Read read<Adaptive, 24>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 24>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = 0.0f - f2;
    const float f4 = after + f2;
    const float f5 = before_2 * f4;
    const float f6 = f3 - f5;
    const float f7 = __builtin_fmaf(adaptation, f6, after_1);
    const float f8 = 1.0f - rho;
    const float f9 = f8 * f7;
    const float f10 = f0 * f4;
    const float f11 = 1.0f * f4;
    const float f12 = __builtin_fmaf(beta, f4, 0.0f);
    const float f13 = rho * f7;
    const float f14 = f9 - f10;
    const float f15 = f4 * before;
    const float f16 = before_1 - before_2;
    const float f17 = f7 * f16;
    const float f18 = f6 * kept_1;
    return {f11, {f12, f13, f14}, {f15, f17, f18, f6}};
}

template <> INLINE Read read<Adaptive, 25>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 25>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = 0.0f - f2;
    const float f4 = after + 0.0f;
    const float f5 = before_2 * f4;
    const float f6 = f3 - f5;
    const float f7 = __builtin_fmaf(adaptation, f6, after_1);
    const float f8 = 1.0f - rho;
    const float f9 = f8 * f7;
    const float f10 = f0 * f4;
    const float f11 = 1.0f * f4;
    const float f12 = __builtin_fmaf(beta, f4, f2);
    const float f13 = rho * f7;
    const float f14 = f9 - f10;
    const float f15 = f4 * before;
    const float f16 = before_1 - before_2;
    const float f17 = f7 * f16;
    const float f18 = f6 * kept_1;
    return {f11, {f12, f13, f14}, {f15, f17, f18, f6}};
}

template <> INLINE Read read<Adaptive, 26>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 26>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * kept;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + f3;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = 1.0f - rho;
    const float f12 = f11 * f10;
    const float f13 = f0 * f7;
    const float f14 = 1.0f * f7;
    const float f15 = __builtin_fmaf(beta, f7, 0.0f);
    const float f16 = rho * f10;
    const float f17 = f12 - f13;
    const float f18 = f7 * before;
    const float f19 = before_1 - before_2;
    const float f20 = f10 * f19;
    const float f21 = f9 * kept_1;
    return {f14, {f15, f16, f17}, {f18, f20, f21, f9}};
}

template <> INLINE Read read<Adaptive, 27>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 27>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * before;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + 0.0f;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = 1.0f - rho;
    const float f12 = f11 * f10;
    const float f13 = f0 * f7;
    const float f14 = 1.0f * f7;
    const float f15 = __builtin_fmaf(beta, f7, f3);
    const float f16 = rho * f10;
    const float f17 = f12 - f13;
    const float f18 = f7 * before;
    const float f19 = before_1 - before_2;
    const float f20 = f10 * f19;
    const float f21 = f9 * kept_1;
    return {f14, {f15, f16, f17}, {f18, f20, f21, f9}};
}

template <> INLINE Read read<Adaptive, 28>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 28>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = 0.0f - f2;
    const float f4 = after + f2;
    const float f5 = before_2 * f4;
    const float f6 = f3 - f5;
    const float f7 = __builtin_fmaf(adaptation, f6, after_1);
    const float f8 = 1.0f - rho;
    const float f9 = f8 * f7;
    const float f10 = f0 * f4;
    const float f11 = before - kept_3;
    const float f12 = 1.0f - beta;
    const float f13 = f12 * f4;
    const float f14 = __builtin_fmaf(beta, f4, 0.0f);
    const float f15 = rho * f7;
    const float f16 = f9 - f10;
    const float f17 = f4 * f11;
    const float f18 = before_1 - before_2;
    const float f19 = f7 * f18;
    const float f20 = f6 * kept_1;
    return {f13, {f14, f15, f16}, {f17, f19, f20, f6}};
}

template <> INLINE Read read<Adaptive, 29>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 29>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = 0.0f - f2;
    const float f4 = after + 0.0f;
    const float f5 = before_2 * f4;
    const float f6 = f3 - f5;
    const float f7 = __builtin_fmaf(adaptation, f6, after_1);
    const float f8 = 1.0f - rho;
    const float f9 = f8 * f7;
    const float f10 = f0 * f4;
    const float f11 = before - kept_3;
    const float f12 = 1.0f - beta;
    const float f13 = f12 * f4;
    const float f14 = __builtin_fmaf(beta, f4, f2);
    const float f15 = rho * f7;
    const float f16 = f9 - f10;
    const float f17 = f4 * f11;
    const float f18 = before_1 - before_2;
    const float f19 = f7 * f18;
    const float f20 = f6 * kept_1;
    return {f13, {f14, f15, f16}, {f17, f19, f20, f6}};
}

template <> INLINE Read read<Adaptive, 30>(
    List<4> constants, List<3>, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = kept - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 30>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * kept;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + f3;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = 1.0f - rho;
    const float f12 = f11 * f10;
    const float f13 = f0 * f7;
    const float f14 = before - kept_3;
    const float f15 = 1.0f - beta;
    const float f16 = f15 * f7;
    const float f17 = __builtin_fmaf(beta, f7, 0.0f);
    const float f18 = rho * f10;
    const float f19 = f12 - f13;
    const float f20 = f7 * f14;
    const float f21 = before_1 - before_2;
    const float f22 = f10 * f21;
    const float f23 = f9 * kept_1;
    return {f16, {f17, f18, f19}, {f20, f22, f23, f9}};
}

template <> INLINE Read read<Adaptive, 31>(
    List<4> constants, List<3> states, List<4> of_step) {
    const float adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = before - f0;
    const float f2 = f1 / f0;
    return {1, {f2}};
}

template <> INLINE Adjoint<Adaptive> adjoint<Adaptive, 31>(
    List<4> constants, List<3> states, List<4> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float beta = constants.of[0], rho = constants.of[1], adaptation = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept_1 = of_step.of[1], kept_3 = of_step.of[3];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = __builtin_fmaf(adaptation, kept_1, threshold);
    const float f1 = spike + after_2;
    const float f2 = slope * f1;
    const float f3 = f2 / f0;
    const float f4 = f3 * before;
    const float f5 = f4 / f0;
    const float f6 = 0.0f - f5;
    const float f7 = after + 0.0f;
    const float f8 = before_2 * f7;
    const float f9 = f6 - f8;
    const float f10 = __builtin_fmaf(adaptation, f9, after_1);
    const float f11 = 1.0f - rho;
    const float f12 = f11 * f10;
    const float f13 = f0 * f7;
    const float f14 = before - kept_3;
    const float f15 = 1.0f - beta;
    const float f16 = f15 * f7;
    const float f17 = __builtin_fmaf(beta, f7, f3);
    const float f18 = rho * f10;
    const float f19 = f12 - f13;
    const float f20 = f7 * f14;
    const float f21 = before_1 - before_2;
    const float f22 = f10 * f21;
    const float f23 = f9 * kept_1;
    return {f16, {f17, f18, f19}, {f20, f22, f23, f9}};
}

struct Lsnn {
    enum { CONSTANTS = 5, STATES = 3, KEPT = 3, FORWARDS = 1, BACKWARDS = 2 };
};

template <> INLINE Step<Lsnn> step<Lsnn, 0>(
    List<5> constants, List<3> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], rho = constants.of[2], threshold = constants.of[4];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * before_1;
    const float f2 = __builtin_fmaf(beta, before, f1);
    const float f3 = rho * before_2;
    const float f4 = threshold + f3;
    const bool b5 = f2 > f4;
    const float f6 = __builtin_fmaf(alpha, before_1, current);
    return {b5, {f2, f6, f3}};
}

template <> INLINE List<3> state<Lsnn, 0>(
    List<5> constants, List<3> of_step) {
    const float adaptation = constants.of[3], threshold = constants.of[4];
    const float kept = of_step.of[0], kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    const float f0 = threshold + kept_2;
    const bool b1 = kept > f0;
    const float f2 = b1 ? kept : 0.0f;
    const float f3 = kept - f2;
    const float f4 = b1 ? adaptation : 0.0f;
    const float f5 = kept_2 + f4;
    return {f3, kept_1, f5};
}

template <> INLINE Read read<Lsnn, 0>(
    List<5> constants, List<3>, List<3> of_step) {
    const float threshold = constants.of[4];
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    const float f0 = threshold + kept_2;
    const float f1 = kept - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Lsnn> adjoint<Lsnn, 0>(
    List<5> constants, List<3> states, List<3> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], rho = constants.of[2], threshold = constants.of[4];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = threshold + kept_2;
    const bool b1 = kept > f0;
    const float f2 = slope * spike;
    const float f3 = b1 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = f4 + f2;
    const float f6 = after_2 - f2;
    const float f7 = beta * f5;
    const float f8 = 1.0f - beta;
    const float f9 = f8 * f5;
    const float f10 = __builtin_fmaf(alpha, after_1, f9);
    const float f11 = rho * f6;
    const float f12 = after_1 * before_1;
    const float f13 = before - before_1;
    const float f14 = f5 * f13;
    const float f15 = f6 * before_2;
    const float f16 = b1 ? after_2 : 0.0f;
    const float f17 = 0.0f - f2;
    return {after_1, {f7, f10, f11}, {f12, f14, f15, f16, f17}};
}

template <> INLINE Read read<Lsnn, 1>(
    List<5> constants, List<3>, List<3> of_step) {
    const float threshold = constants.of[4];
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    const float f0 = threshold + kept_2;
    const float f1 = kept - f0;
    return {1, {f1}};
}

template <> INLINE Adjoint<Lsnn> adjoint<Lsnn, 1>(
    List<5> constants, List<3> states, List<3> of_step, List<2> slopes, List<3> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], rho = constants.of[2], adaptation = constants.of[3], threshold = constants.of[4];
    const float before = states.of[0], before_1 = states.of[1], before_2 = states.of[2];
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    const float slope = slopes.of[0];
    const float after = arriving.of[0], after_1 = arriving.of[1], after_2 = arriving.of[2];
    const float f0 = threshold + kept_2;
    const bool b1 = kept > f0;
    const float f2 = adaptation * after_2;
    const float f3 = spike + f2;
    const float f4 = kept * after;
    const float f5 = f3 - f4;
    const float f6 = slope * f5;
    const float f7 = b1 ? after : 0.0f;
    const float f8 = after - f7;
    const float f9 = f8 + f6;
    const float f10 = after_2 - f6;
    const float f11 = beta * f9;
    const float f12 = 1.0f - beta;
    const float f13 = f12 * f9;
    const float f14 = __builtin_fmaf(alpha, after_1, f13);
    const float f15 = rho * f10;
    const float f16 = after_1 * before_1;
    const float f17 = before - before_1;
    const float f18 = f9 * f17;
    const float f19 = f10 * before_2;
    const float f20 = b1 ? after_2 : 0.0f;
    const float f21 = 0.0f - f6;
    return {after_1, {f11, f14, f15}, {f16, f18, f19, f20, f21}};
}

struct AdLif {
    enum { CONSTANTS = 5, STATES = 2, KEPT = 3, FORWARDS = 1, BACKWARDS = 1 };
};

template <> INLINE Step<AdLif> step<AdLif, 0>(
    List<5> constants, List<2> states, float current) {
    const float alpha = constants.of[0], beta = constants.of[1], a = constants.of[2], b = constants.of[3], threshold = constants.of[4];
    const float before = states.of[0], before_1 = states.of[1];
    const bool b0 = before > threshold;
    const float f1 = a * before;
    const float f2 = __builtin_fmaf(beta, before_1, f1);
    const float f3 = b0 ? b : 0.0f;
    const float f4 = f2 + f3;
    const float f5 = b0 ? 1.0f : 0.0f;
    const float f6 = before - f5;
    const float f7 = 1.0f - alpha;
    const float f8 = current - f4;
    const float f9 = f7 * f8;
    const float f10 = __builtin_fmaf(alpha, f6, f9);
    const bool b11 = f10 > threshold;
    return {b11, {f10, f4, current}};
}

template <> INLINE List<2> state<AdLif, 0>(
    List<5>, List<3> of_step) {
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    return {kept, kept_1};
}

template <> INLINE Read read<AdLif, 0>(
    List<5> constants, List<2> states, List<3> of_step) {
    const float threshold = constants.of[4];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    const float f1 = before - threshold;
    return {2, {f0, f1}};
}

template <> INLINE Adjoint<AdLif> adjoint<AdLif, 0>(
    List<5> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float alpha = constants.of[0], beta = constants.of[1], a = constants.of[2], b = constants.of[3], threshold = constants.of[4];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1], kept_2 = of_step.of[2];
    const float slope = slopes.of[0], slope_1 = slopes.of[1];
    const float after = arriving.of[0], after_1 = arriving.of[1];
    const bool b0 = before > threshold;
    const float f1 = slope * spike;
    const float f2 = after + f1;
    const float f3 = 1.0f - alpha;
    const float f4 = f3 * f2;
    const float f5 = after_1 - f4;
    const float f6 = b * f5;
    const float f7 = alpha * f2;
    const float f8 = f6 - f7;
    const float f9 = slope_1 * f8;
    const float f10 = b0 ? 1.0f : 0.0f;
    const float f11 = before - f10;
    const float f12 = __builtin_fmaf(a, f5, f9);
    const float f13 = __builtin_fmaf(alpha, f2, f12);
    const float f14 = beta * f5;
    const float f15 = f11 - kept_2;
    const float f16 = f15 + kept_1;
    const float f17 = f2 * f16;
    const float f18 = f5 * before_1;
    const float f19 = f5 * before;
    const float f20 = b0 ? f5 : 0.0f;
    const float f21 = f1 + f9;
    const float f22 = 0.0f - f21;
    return {f4, {f13, f14}, {f17, f18, f19, f20, f22}};
}

struct Encoder {
    enum { CONSTANTS = 4, STATES = 2, KEPT = 3, FORWARDS = 20, BACKWARDS = 40 };
};

template <> INLINE Step<Encoder> step<Encoder, 0>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = current + bias;
    const float f2 = __builtin_fmaf(0.0f, 0.0f, f1);
    const float f3 = f0 * f2;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const bool b5 = before > threshold;
    const float f6 = beta * threshold;
    const float f7 = b5 ? f6 : 0.0f;
    const float f8 = f4 - f7;
    return {b5, {f8, f2, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 0>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 1>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = current + bias;
    const float f3 = __builtin_fmaf(0.0f, 0.0f, f2);
    const float f4 = f1 * f3;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const bool b6 = before > threshold;
    const float f7 = beta * threshold;
    const float f8 = b6 ? f7 : 0.0f;
    const float f9 = f5 - f8;
    return {b6, {f9, f3, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 1>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 2>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = current + bias;
    const float f2 = __builtin_fmaf(0.0f, 0.0f, f1);
    const float f3 = f0 * f2;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const bool b5 = before > threshold;
    const float f6 = b5 ? f4 : 0.0f;
    const float f7 = f4 - f6;
    return {b5, {f7, f2, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 2>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 3>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = current + bias;
    const float f3 = __builtin_fmaf(0.0f, 0.0f, f2);
    const float f4 = f1 * f3;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const bool b6 = before > threshold;
    const float f7 = b6 ? f5 : 0.0f;
    const float f8 = f5 - f7;
    return {b6, {f8, f3, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 3>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 4>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = current + bias;
    const float f2 = __builtin_fmaf(0.0f, 0.0f, f1);
    const float f3 = f0 * f2;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const bool b5 = before > threshold;
    return {b5, {f4, f2, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 4>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 5>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = current + bias;
    const float f3 = __builtin_fmaf(0.0f, 0.0f, f2);
    const float f4 = f1 * f3;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const bool b6 = before > threshold;
    return {b6, {f5, f3, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 5>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 6>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = current + bias;
    const float f2 = __builtin_fmaf(0.0f, 0.0f, f1);
    const float f3 = f0 * f2;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const bool b5 = before > threshold;
    const float f6 = b5 ? threshold : 0.0f;
    const float f7 = f4 - f6;
    const bool b8 = f7 > threshold;
    return {b8, {f7, f2, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 6>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 7>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = current + bias;
    const float f3 = __builtin_fmaf(0.0f, 0.0f, f2);
    const float f4 = f1 * f3;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const bool b6 = before > threshold;
    const float f7 = b6 ? threshold : 0.0f;
    const float f8 = f5 - f7;
    const bool b9 = f8 > threshold;
    return {b9, {f8, f3, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 7>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 8>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = current + bias;
    const float f2 = __builtin_fmaf(0.0f, 0.0f, f1);
    const float f3 = f0 * f2;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const bool b5 = before > threshold;
    const float f6 = b5 ? f4 : 0.0f;
    const float f7 = f4 - f6;
    const bool b8 = f7 > threshold;
    return {b8, {f7, f2, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 8>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 9>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = current + bias;
    const float f3 = __builtin_fmaf(0.0f, 0.0f, f2);
    const float f4 = f1 * f3;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const bool b6 = before > threshold;
    const float f7 = b6 ? f5 : 0.0f;
    const float f8 = f5 - f7;
    const bool b9 = f8 > threshold;
    return {b9, {f8, f3, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 9>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 10>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = current + bias;
    const float f2 = __builtin_fmaf(0.0f, 0.0f, f1);
    const float f3 = f0 * f2;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const bool b5 = f4 > threshold;
    return {b5, {f4, f2, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 10>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 11>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = current + bias;
    const float f3 = __builtin_fmaf(0.0f, 0.0f, f2);
    const float f4 = f1 * f3;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const bool b6 = f5 > threshold;
    return {b6, {f5, f3, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 11>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 12>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = current + bias;
    const float f2 = __builtin_fmaf(0.0f, 0.0f, f1);
    const float f3 = f0 * f2;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const bool b5 = f4 > threshold;
    return {b5, {f4, f2, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 12>(
    List<4> constants, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? threshold : 0.0f;
    const float f2 = kept - f1;
    return {f2, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 13>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = current + bias;
    const float f3 = __builtin_fmaf(0.0f, 0.0f, f2);
    const float f4 = f1 * f3;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const bool b6 = f5 > threshold;
    return {b6, {f5, f3, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 13>(
    List<4> constants, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? threshold : 0.0f;
    const float f2 = kept - f1;
    return {f2, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 14>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = current + bias;
    const float f2 = __builtin_fmaf(0.0f, 0.0f, f1);
    const float f3 = f0 * f2;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const bool b5 = f4 > threshold;
    return {b5, {f4, f2, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 14>(
    List<4> constants, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? kept : 0.0f;
    const float f2 = kept - f1;
    return {f2, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 15>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = current + bias;
    const float f3 = __builtin_fmaf(0.0f, 0.0f, f2);
    const float f4 = f1 * f3;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const bool b6 = f5 > threshold;
    return {b6, {f5, f3, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 15>(
    List<4> constants, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    const bool b0 = kept > threshold;
    const float f1 = b0 ? kept : 0.0f;
    const float f2 = kept - f1;
    return {f2, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 16>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = current + bias;
    const float f2 = __builtin_fmaf(0.0f, 0.0f, f1);
    const float f3 = f0 * f2;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const bool b5 = f4 > threshold;
    return {b5, {f4, f2, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 16>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 17>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = current + bias;
    const float f3 = __builtin_fmaf(0.0f, 0.0f, f2);
    const float f4 = f1 * f3;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const bool b6 = f5 > threshold;
    return {b6, {f5, f3, 0.0f}};
}

template <> INLINE List<2> state<Encoder, 17>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 18>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = 1.0f * gain;
    const float f1 = current + bias;
    const bool b2 = before > threshold;
    const float f3 = f0 * f1;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const float f5 = before_1 * f4;
    const float f6 = f4 - f5;
    const float f7 = b2 ? 1.0f : 0.0f;
    return {b2, {f6, f1, f7}};
}

template <> INLINE List<2> state<Encoder, 18>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Step<Encoder> step<Encoder, 19>(
    List<4> constants, List<2> states, float current) {
    const float beta = constants.of[0], gain = constants.of[1], bias = constants.of[2], threshold = constants.of[3];
    const float before = states.of[0], before_1 = states.of[1];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = current + bias;
    const bool b3 = before > threshold;
    const float f4 = f1 * f2;
    const float f5 = __builtin_fmaf(beta, before, f4);
    const float f6 = before_1 * f5;
    const float f7 = f5 - f6;
    const float f8 = b3 ? 1.0f : 0.0f;
    return {b3, {f7, f2, f8}};
}

template <> INLINE List<2> state<Encoder, 19>(
    List<4>, List<3> of_step) {
    const float kept = of_step.of[0], kept_2 = of_step.of[2];
    return {kept, kept_2};
}

template <> INLINE Read read<Encoder, 0>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 0>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = before > threshold;
    const float f2 = b1 ? threshold : 0.0f;
    const float f3 = after * before;
    const float f4 = f2 * after;
    const float f5 = f3 - f4;
    const float f6 = beta * after;
    const float f7 = b1 ? f6 : 0.0f;
    const float f8 = 0.0f - f7;
    const float f9 = __builtin_fmaf(slope, spike, f6);
    const float f10 = slope * spike;
    const float f11 = f8 - f10;
    const float f12 = __builtin_fmaf(f0, after, 0.0f);
    const float f13 = after * kept_1;
    const float f14 = 1.0f * f13;
    return {f12, {f9, 0.0f}, {f5, f14, f12, f11}};
}

template <> INLINE Read read<Encoder, 1>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 1>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const bool b2 = before > threshold;
    const float f3 = b2 ? threshold : 0.0f;
    const float f4 = after * before;
    const float f5 = f3 * after;
    const float f6 = f4 - f5;
    const float f7 = beta * after;
    const float f8 = b2 ? f7 : 0.0f;
    const float f9 = 0.0f - f8;
    const float f10 = __builtin_fmaf(slope, spike, f7);
    const float f11 = slope * spike;
    const float f12 = f9 - f11;
    const float f13 = __builtin_fmaf(f1, after, 0.0f);
    const float f14 = after * kept_1;
    const float f15 = gain * f14;
    const float f16 = f6 - f15;
    const float f17 = f0 * f14;
    return {f13, {f10, 0.0f}, {f16, f17, f13, f12}};
}

template <> INLINE Read read<Encoder, 2>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 2>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = before > threshold;
    const float f2 = b1 ? after : 0.0f;
    const float f3 = after - f2;
    const float f4 = f3 * before;
    const float f5 = 0.0f * after;
    const float f6 = f4 - f5;
    const float f7 = beta * f3;
    const float f8 = __builtin_fmaf(slope, spike, f7);
    const float f9 = slope * spike;
    const float f10 = 0.0f - f9;
    const float f11 = __builtin_fmaf(f0, f3, 0.0f);
    const float f12 = f3 * kept_1;
    const float f13 = 1.0f * f12;
    return {f11, {f8, 0.0f}, {f6, f13, f11, f10}};
}

template <> INLINE Read read<Encoder, 3>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 3>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const bool b2 = before > threshold;
    const float f3 = b2 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = f4 * before;
    const float f6 = 0.0f * after;
    const float f7 = f5 - f6;
    const float f8 = beta * f4;
    const float f9 = __builtin_fmaf(slope, spike, f8);
    const float f10 = slope * spike;
    const float f11 = 0.0f - f10;
    const float f12 = __builtin_fmaf(f1, f4, 0.0f);
    const float f13 = f4 * kept_1;
    const float f14 = gain * f13;
    const float f15 = f7 - f14;
    const float f16 = f0 * f13;
    return {f12, {f9, 0.0f}, {f15, f16, f12, f11}};
}

template <> INLINE Read read<Encoder, 4>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 4>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = after * before;
    const float f2 = 0.0f * after;
    const float f3 = f1 - f2;
    const float f4 = beta * after;
    const float f5 = __builtin_fmaf(slope, spike, f4);
    const float f6 = slope * spike;
    const float f7 = 0.0f - f6;
    const float f8 = __builtin_fmaf(f0, after, 0.0f);
    const float f9 = after * kept_1;
    const float f10 = 1.0f * f9;
    return {f8, {f5, 0.0f}, {f3, f10, f8, f7}};
}

template <> INLINE Read read<Encoder, 5>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 5>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = after * before;
    const float f3 = 0.0f * after;
    const float f4 = f2 - f3;
    const float f5 = beta * after;
    const float f6 = __builtin_fmaf(slope, spike, f5);
    const float f7 = slope * spike;
    const float f8 = 0.0f - f7;
    const float f9 = __builtin_fmaf(f1, after, 0.0f);
    const float f10 = after * kept_1;
    const float f11 = gain * f10;
    const float f12 = f4 - f11;
    const float f13 = f0 * f10;
    return {f9, {f6, 0.0f}, {f12, f13, f9, f8}};
}

template <> INLINE Read read<Encoder, 6>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 6>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = before > threshold;
    const float f2 = __builtin_fmaf(slope, spike, after);
    const float f3 = b1 ? f2 : 0.0f;
    const float f4 = 0.0f - f3;
    const float f5 = __builtin_fmaf(beta, f2, 0.0f);
    const float f6 = f2 * before;
    const float f7 = slope * spike;
    const float f8 = f4 - f7;
    const float f9 = f8 - 0.0f;
    const float f10 = __builtin_fmaf(f0, f2, 0.0f);
    const float f11 = f2 * kept_1;
    const float f12 = 1.0f * f11;
    return {f10, {f5, 0.0f}, {f6, f12, f10, f9}};
}

template <> INLINE Read read<Encoder, 7>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 7>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(slope, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = 0.0f - f4;
    const float f6 = __builtin_fmaf(beta, f3, 0.0f);
    const float f7 = f3 * before;
    const float f8 = slope * spike;
    const float f9 = f5 - f8;
    const float f10 = f9 - 0.0f;
    const float f11 = __builtin_fmaf(f1, f3, 0.0f);
    const float f12 = f3 * kept_1;
    const float f13 = gain * f12;
    const float f14 = f7 - f13;
    const float f15 = f0 * f12;
    return {f11, {f6, 0.0f}, {f14, f15, f11, f10}};
}

template <> INLINE Read read<Encoder, 8>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 8>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = before > threshold;
    const float f2 = __builtin_fmaf(slope, spike, after);
    const float f3 = b1 ? f2 : 0.0f;
    const float f4 = f2 - f3;
    const float f5 = __builtin_fmaf(beta, f4, 0.0f);
    const float f6 = f4 * before;
    const float f7 = slope * spike;
    const float f8 = 0.0f - f7;
    const float f9 = f8 - 0.0f;
    const float f10 = __builtin_fmaf(f0, f4, 0.0f);
    const float f11 = f4 * kept_1;
    const float f12 = 1.0f * f11;
    return {f10, {f5, 0.0f}, {f6, f12, f10, f9}};
}

template <> INLINE Read read<Encoder, 9>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 9>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(slope, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = f3 - f4;
    const float f6 = __builtin_fmaf(beta, f5, 0.0f);
    const float f7 = f5 * before;
    const float f8 = slope * spike;
    const float f9 = 0.0f - f8;
    const float f10 = f9 - 0.0f;
    const float f11 = __builtin_fmaf(f1, f5, 0.0f);
    const float f12 = f5 * kept_1;
    const float f13 = gain * f12;
    const float f14 = f7 - f13;
    const float f15 = f0 * f12;
    return {f11, {f6, 0.0f}, {f14, f15, f11, f10}};
}

template <> INLINE Read read<Encoder, 10>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 10>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = __builtin_fmaf(beta, f1, 0.0f);
    const float f3 = f1 * before;
    const float f4 = slope * spike;
    const float f5 = 0.0f - f4;
    const float f6 = f5 - 0.0f;
    const float f7 = __builtin_fmaf(f0, f1, 0.0f);
    const float f8 = f1 * kept_1;
    const float f9 = 1.0f * f8;
    return {f7, {f2, 0.0f}, {f3, f9, f7, f6}};
}

template <> INLINE Read read<Encoder, 11>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 11>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = __builtin_fmaf(slope, spike, after);
    const float f3 = __builtin_fmaf(beta, f2, 0.0f);
    const float f4 = f2 * before;
    const float f5 = slope * spike;
    const float f6 = 0.0f - f5;
    const float f7 = f6 - 0.0f;
    const float f8 = __builtin_fmaf(f1, f2, 0.0f);
    const float f9 = f2 * kept_1;
    const float f10 = gain * f9;
    const float f11 = f4 - f10;
    const float f12 = f0 * f9;
    return {f8, {f3, 0.0f}, {f11, f12, f8, f7}};
}

template <> INLINE Read read<Encoder, 12>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 12>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = kept > threshold;
    const float f2 = __builtin_fmaf(slope, spike, after);
    const float f3 = b1 ? after : 0.0f;
    const float f4 = 0.0f - f3;
    const float f5 = beta * f2;
    const float f6 = f2 * before;
    const float f7 = slope * spike;
    const float f8 = f4 - f7;
    const float f9 = __builtin_fmaf(f0, f2, 0.0f);
    const float f10 = f2 * kept_1;
    const float f11 = 1.0f * f10;
    return {f9, {f5, 0.0f}, {f6, f11, f9, f8}};
}

template <> INLINE Read read<Encoder, 13>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 13>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const bool b2 = kept > threshold;
    const float f3 = __builtin_fmaf(slope, spike, after);
    const float f4 = b2 ? after : 0.0f;
    const float f5 = 0.0f - f4;
    const float f6 = beta * f3;
    const float f7 = f3 * before;
    const float f8 = slope * spike;
    const float f9 = f5 - f8;
    const float f10 = __builtin_fmaf(f1, f3, 0.0f);
    const float f11 = f3 * kept_1;
    const float f12 = gain * f11;
    const float f13 = f7 - f12;
    const float f14 = f0 * f11;
    return {f10, {f6, 0.0f}, {f13, f14, f10, f9}};
}

template <> INLINE Read read<Encoder, 14>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 14>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = kept > threshold;
    const float f2 = b1 ? after : 0.0f;
    const float f3 = after - f2;
    const float f4 = __builtin_fmaf(slope, spike, f3);
    const float f5 = beta * f4;
    const float f6 = f4 * before;
    const float f7 = slope * spike;
    const float f8 = 0.0f - f7;
    const float f9 = __builtin_fmaf(f0, f4, 0.0f);
    const float f10 = f4 * kept_1;
    const float f11 = 1.0f * f10;
    return {f9, {f5, 0.0f}, {f6, f11, f9, f8}};
}

template <> INLINE Read read<Encoder, 15>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 15>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const bool b2 = kept > threshold;
    const float f3 = b2 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = __builtin_fmaf(slope, spike, f4);
    const float f6 = beta * f5;
    const float f7 = f5 * before;
    const float f8 = slope * spike;
    const float f9 = 0.0f - f8;
    const float f10 = __builtin_fmaf(f1, f5, 0.0f);
    const float f11 = f5 * kept_1;
    const float f12 = gain * f11;
    const float f13 = f7 - f12;
    const float f14 = f0 * f11;
    return {f10, {f6, 0.0f}, {f13, f14, f10, f9}};
}

template <> INLINE Read read<Encoder, 16>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 16>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = beta * f1;
    const float f3 = f1 * before;
    const float f4 = slope * spike;
    const float f5 = 0.0f - f4;
    const float f6 = __builtin_fmaf(f0, f1, 0.0f);
    const float f7 = f1 * kept_1;
    const float f8 = 1.0f * f7;
    return {f6, {f2, 0.0f}, {f3, f8, f6, f5}};
}

template <> INLINE Read read<Encoder, 17>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 17>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = __builtin_fmaf(slope, spike, after);
    const float f3 = beta * f2;
    const float f4 = f2 * before;
    const float f5 = slope * spike;
    const float f6 = 0.0f - f5;
    const float f7 = __builtin_fmaf(f1, f2, 0.0f);
    const float f8 = f2 * kept_1;
    const float f9 = gain * f8;
    const float f10 = f4 - f9;
    const float f11 = f0 * f8;
    return {f7, {f3, 0.0f}, {f10, f11, f7, f6}};
}

template <> INLINE Read read<Encoder, 18>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 18>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = before_1 * after;
    const float f2 = after - f1;
    const float f3 = slope * spike;
    const float f4 = f2 * before;
    const float f5 = f2 * kept_1;
    const float f6 = 0.0f - f3;
    const float f7 = f0 * f2;
    const float f8 = __builtin_fmaf(beta, f2, f3);
    const float f9 = 1.0f * f5;
    return {f7, {f8, 0.0f}, {f4, f9, f7, f6}};
}

template <> INLINE Read read<Encoder, 19>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 19>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = before_1 * after;
    const float f3 = after - f2;
    const float f4 = slope * spike;
    const float f5 = f3 * before;
    const float f6 = f3 * kept_1;
    const float f7 = 0.0f - f4;
    const float f8 = f1 * f3;
    const float f9 = __builtin_fmaf(beta, f3, f4);
    const float f10 = gain * f6;
    const float f11 = f5 - f10;
    const float f12 = f0 * f6;
    return {f8, {f9, 0.0f}, {f11, f12, f8, f7}};
}

template <> INLINE Read read<Encoder, 20>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 20>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = before > threshold;
    const float f2 = beta * threshold;
    const float f3 = f2 * after;
    const float f4 = spike - f3;
    const float f5 = b1 ? threshold : 0.0f;
    const float f6 = after * before;
    const float f7 = f5 * after;
    const float f8 = f6 - f7;
    const float f9 = beta * after;
    const float f10 = b1 ? f9 : 0.0f;
    const float f11 = 0.0f - f10;
    const float f12 = __builtin_fmaf(slope, f4, f9);
    const float f13 = slope * f4;
    const float f14 = f11 - f13;
    const float f15 = __builtin_fmaf(f0, after, 0.0f);
    const float f16 = after * kept_1;
    const float f17 = 1.0f * f16;
    return {f15, {f12, 0.0f}, {f8, f17, f15, f14}};
}

template <> INLINE Read read<Encoder, 21>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 21>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
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
    const float f13 = __builtin_fmaf(slope, f5, f10);
    const float f14 = slope * f5;
    const float f15 = f12 - f14;
    const float f16 = __builtin_fmaf(f1, after, 0.0f);
    const float f17 = after * kept_1;
    const float f18 = gain * f17;
    const float f19 = f9 - f18;
    const float f20 = f0 * f17;
    return {f16, {f13, 0.0f}, {f19, f20, f16, f15}};
}

template <> INLINE Read read<Encoder, 22>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 22>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = before > threshold;
    const float f2 = f0 * kept_1;
    const float f3 = __builtin_fmaf(beta, before, f2);
    const float f4 = f3 * after;
    const float f5 = spike - f4;
    const float f6 = b1 ? after : 0.0f;
    const float f7 = after - f6;
    const float f8 = f7 * before;
    const float f9 = 0.0f * after;
    const float f10 = f8 - f9;
    const float f11 = beta * f7;
    const float f12 = __builtin_fmaf(slope, f5, f11);
    const float f13 = slope * f5;
    const float f14 = 0.0f - f13;
    const float f15 = __builtin_fmaf(f0, f7, 0.0f);
    const float f16 = f7 * kept_1;
    const float f17 = 1.0f * f16;
    return {f15, {f12, 0.0f}, {f10, f17, f15, f14}};
}

template <> INLINE Read read<Encoder, 23>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 23>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const bool b2 = before > threshold;
    const float f3 = f1 * kept_1;
    const float f4 = __builtin_fmaf(beta, before, f3);
    const float f5 = f4 * after;
    const float f6 = spike - f5;
    const float f7 = b2 ? after : 0.0f;
    const float f8 = after - f7;
    const float f9 = f8 * before;
    const float f10 = 0.0f * after;
    const float f11 = f9 - f10;
    const float f12 = beta * f8;
    const float f13 = __builtin_fmaf(slope, f6, f12);
    const float f14 = slope * f6;
    const float f15 = 0.0f - f14;
    const float f16 = __builtin_fmaf(f1, f8, 0.0f);
    const float f17 = f8 * kept_1;
    const float f18 = gain * f17;
    const float f19 = f11 - f18;
    const float f20 = f0 * f17;
    return {f16, {f13, 0.0f}, {f19, f20, f16, f15}};
}

template <> INLINE Read read<Encoder, 24>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 24>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = after * before;
    const float f2 = 0.0f * after;
    const float f3 = f1 - f2;
    const float f4 = beta * after;
    const float f5 = __builtin_fmaf(slope, spike, f4);
    const float f6 = slope * spike;
    const float f7 = 0.0f - f6;
    const float f8 = __builtin_fmaf(f0, after, 0.0f);
    const float f9 = after * kept_1;
    const float f10 = 1.0f * f9;
    return {f8, {f5, 0.0f}, {f3, f10, f8, f7}};
}

template <> INLINE Read read<Encoder, 25>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 25>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = after * before;
    const float f3 = 0.0f * after;
    const float f4 = f2 - f3;
    const float f5 = beta * after;
    const float f6 = __builtin_fmaf(slope, spike, f5);
    const float f7 = slope * spike;
    const float f8 = 0.0f - f7;
    const float f9 = __builtin_fmaf(f1, after, 0.0f);
    const float f10 = after * kept_1;
    const float f11 = gain * f10;
    const float f12 = f4 - f11;
    const float f13 = f0 * f10;
    return {f9, {f6, 0.0f}, {f12, f13, f9, f8}};
}

template <> INLINE Read read<Encoder, 26>(
    List<4> constants, List<2> states, List<3> of_step) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    const float f1 = before - threshold;
    return {2, {f0, f1}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 26>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0], slope_1 = slopes.of[1];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = before > threshold;
    const float f2 = __builtin_fmaf(slope, spike, after);
    const float f3 = threshold * f2;
    const float f4 = slope_1 * f3;
    const float f5 = 0.0f - f4;
    const float f6 = b1 ? f2 : 0.0f;
    const float f7 = 0.0f - f6;
    const float f8 = __builtin_fmaf(beta, f2, f5);
    const float f9 = f2 * before;
    const float f10 = slope * spike;
    const float f11 = f7 - f10;
    const float f12 = f11 - f5;
    const float f13 = __builtin_fmaf(f0, f2, 0.0f);
    const float f14 = f2 * kept_1;
    const float f15 = 1.0f * f14;
    return {f13, {f8, 0.0f}, {f9, f15, f13, f12}};
}

template <> INLINE Read read<Encoder, 27>(
    List<4> constants, List<2> states, List<3> of_step) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    const float f1 = before - threshold;
    return {2, {f0, f1}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 27>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0], slope_1 = slopes.of[1];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(slope, spike, after);
    const float f4 = threshold * f3;
    const float f5 = slope_1 * f4;
    const float f6 = 0.0f - f5;
    const float f7 = b2 ? f3 : 0.0f;
    const float f8 = 0.0f - f7;
    const float f9 = __builtin_fmaf(beta, f3, f6);
    const float f10 = f3 * before;
    const float f11 = slope * spike;
    const float f12 = f8 - f11;
    const float f13 = f12 - f6;
    const float f14 = __builtin_fmaf(f1, f3, 0.0f);
    const float f15 = f3 * kept_1;
    const float f16 = gain * f15;
    const float f17 = f10 - f16;
    const float f18 = f0 * f15;
    return {f14, {f9, 0.0f}, {f17, f18, f14, f13}};
}

template <> INLINE Read read<Encoder, 28>(
    List<4> constants, List<2> states, List<3> of_step) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    const float f1 = before - threshold;
    return {2, {f0, f1}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 28>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0], slope_1 = slopes.of[1];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = before > threshold;
    const float f2 = __builtin_fmaf(slope, spike, after);
    const float f3 = b1 ? f2 : 0.0f;
    const float f4 = f2 - f3;
    const float f5 = f0 * kept_1;
    const float f6 = __builtin_fmaf(beta, before, f5);
    const float f7 = f6 * f2;
    const float f8 = slope_1 * f7;
    const float f9 = 0.0f - f8;
    const float f10 = __builtin_fmaf(beta, f4, f9);
    const float f11 = f4 * before;
    const float f12 = slope * spike;
    const float f13 = 0.0f - f12;
    const float f14 = f13 - f9;
    const float f15 = __builtin_fmaf(f0, f4, 0.0f);
    const float f16 = f4 * kept_1;
    const float f17 = 1.0f * f16;
    return {f15, {f10, 0.0f}, {f11, f17, f15, f14}};
}

template <> INLINE Read read<Encoder, 29>(
    List<4> constants, List<2> states, List<3> of_step) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    const float f1 = before - threshold;
    return {2, {f0, f1}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 29>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0], slope_1 = slopes.of[1];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const bool b2 = before > threshold;
    const float f3 = __builtin_fmaf(slope, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = f3 - f4;
    const float f6 = f1 * kept_1;
    const float f7 = __builtin_fmaf(beta, before, f6);
    const float f8 = f7 * f3;
    const float f9 = slope_1 * f8;
    const float f10 = 0.0f - f9;
    const float f11 = __builtin_fmaf(beta, f5, f10);
    const float f12 = f5 * before;
    const float f13 = slope * spike;
    const float f14 = 0.0f - f13;
    const float f15 = f14 - f10;
    const float f16 = __builtin_fmaf(f1, f5, 0.0f);
    const float f17 = f5 * kept_1;
    const float f18 = gain * f17;
    const float f19 = f12 - f18;
    const float f20 = f0 * f17;
    return {f16, {f11, 0.0f}, {f19, f20, f16, f15}};
}

template <> INLINE Read read<Encoder, 30>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 30>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = __builtin_fmaf(beta, f1, 0.0f);
    const float f3 = f1 * before;
    const float f4 = slope * spike;
    const float f5 = 0.0f - f4;
    const float f6 = f5 - 0.0f;
    const float f7 = __builtin_fmaf(f0, f1, 0.0f);
    const float f8 = f1 * kept_1;
    const float f9 = 1.0f * f8;
    return {f7, {f2, 0.0f}, {f3, f9, f7, f6}};
}

template <> INLINE Read read<Encoder, 31>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 31>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = __builtin_fmaf(slope, spike, after);
    const float f3 = __builtin_fmaf(beta, f2, 0.0f);
    const float f4 = f2 * before;
    const float f5 = slope * spike;
    const float f6 = 0.0f - f5;
    const float f7 = f6 - 0.0f;
    const float f8 = __builtin_fmaf(f1, f2, 0.0f);
    const float f9 = f2 * kept_1;
    const float f10 = gain * f9;
    const float f11 = f4 - f10;
    const float f12 = f0 * f9;
    return {f8, {f3, 0.0f}, {f11, f12, f8, f7}};
}

template <> INLINE Read read<Encoder, 32>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 32>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = kept > threshold;
    const float f2 = threshold * after;
    const float f3 = spike - f2;
    const float f4 = __builtin_fmaf(slope, f3, after);
    const float f5 = b1 ? after : 0.0f;
    const float f6 = 0.0f - f5;
    const float f7 = beta * f4;
    const float f8 = f4 * before;
    const float f9 = slope * f3;
    const float f10 = f6 - f9;
    const float f11 = __builtin_fmaf(f0, f4, 0.0f);
    const float f12 = f4 * kept_1;
    const float f13 = 1.0f * f12;
    return {f11, {f7, 0.0f}, {f8, f13, f11, f10}};
}

template <> INLINE Read read<Encoder, 33>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 33>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const bool b2 = kept > threshold;
    const float f3 = threshold * after;
    const float f4 = spike - f3;
    const float f5 = __builtin_fmaf(slope, f4, after);
    const float f6 = b2 ? after : 0.0f;
    const float f7 = 0.0f - f6;
    const float f8 = beta * f5;
    const float f9 = f5 * before;
    const float f10 = slope * f4;
    const float f11 = f7 - f10;
    const float f12 = __builtin_fmaf(f1, f5, 0.0f);
    const float f13 = f5 * kept_1;
    const float f14 = gain * f13;
    const float f15 = f9 - f14;
    const float f16 = f0 * f13;
    return {f12, {f8, 0.0f}, {f15, f16, f12, f11}};
}

template <> INLINE Read read<Encoder, 34>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 34>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const bool b1 = kept > threshold;
    const float f2 = kept * after;
    const float f3 = spike - f2;
    const float f4 = b1 ? after : 0.0f;
    const float f5 = after - f4;
    const float f6 = __builtin_fmaf(slope, f3, f5);
    const float f7 = beta * f6;
    const float f8 = f6 * before;
    const float f9 = slope * f3;
    const float f10 = 0.0f - f9;
    const float f11 = __builtin_fmaf(f0, f6, 0.0f);
    const float f12 = f6 * kept_1;
    const float f13 = 1.0f * f12;
    return {f11, {f7, 0.0f}, {f8, f13, f11, f10}};
}

template <> INLINE Read read<Encoder, 35>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 35>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1], threshold = constants.of[3];
    const float before = states.of[0];
    const float kept = of_step.of[0], kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const bool b2 = kept > threshold;
    const float f3 = kept * after;
    const float f4 = spike - f3;
    const float f5 = b2 ? after : 0.0f;
    const float f6 = after - f5;
    const float f7 = __builtin_fmaf(slope, f4, f6);
    const float f8 = beta * f7;
    const float f9 = f7 * before;
    const float f10 = slope * f4;
    const float f11 = 0.0f - f10;
    const float f12 = __builtin_fmaf(f1, f7, 0.0f);
    const float f13 = f7 * kept_1;
    const float f14 = gain * f13;
    const float f15 = f9 - f14;
    const float f16 = f0 * f13;
    return {f12, {f8, 0.0f}, {f15, f16, f12, f11}};
}

template <> INLINE Read read<Encoder, 36>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 36>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = __builtin_fmaf(slope, spike, after);
    const float f2 = beta * f1;
    const float f3 = f1 * before;
    const float f4 = slope * spike;
    const float f5 = 0.0f - f4;
    const float f6 = __builtin_fmaf(f0, f1, 0.0f);
    const float f7 = f1 * kept_1;
    const float f8 = 1.0f * f7;
    return {f6, {f2, 0.0f}, {f3, f8, f6, f5}};
}

template <> INLINE Read read<Encoder, 37>(
    List<4> constants, List<2>, List<3> of_step) {
    const float threshold = constants.of[3];
    const float kept = of_step.of[0];
    const float f0 = kept - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 37>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = __builtin_fmaf(slope, spike, after);
    const float f3 = beta * f2;
    const float f4 = f2 * before;
    const float f5 = slope * spike;
    const float f6 = 0.0f - f5;
    const float f7 = __builtin_fmaf(f1, f2, 0.0f);
    const float f8 = f2 * kept_1;
    const float f9 = gain * f8;
    const float f10 = f4 - f9;
    const float f11 = f0 * f8;
    return {f7, {f3, 0.0f}, {f10, f11, f7, f6}};
}

template <> INLINE Read read<Encoder, 38>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 38>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f * gain;
    const float f1 = before_1 * after;
    const float f2 = after - f1;
    const float f3 = slope * spike;
    const float f4 = f2 * before;
    const float f5 = f2 * kept_1;
    const float f6 = 0.0f - f3;
    const float f7 = f0 * f2;
    const float f8 = __builtin_fmaf(beta, f2, f3);
    const float f9 = 1.0f * f5;
    return {f7, {f8, 0.0f}, {f4, f9, f7, f6}};
}

template <> INLINE Read read<Encoder, 39>(
    List<4> constants, List<2> states, List<3>) {
    const float threshold = constants.of[3];
    const float before = states.of[0];
    const float f0 = before - threshold;
    return {1, {f0}};
}

template <> INLINE Adjoint<Encoder> adjoint<Encoder, 39>(
    List<4> constants, List<2> states, List<3> of_step, List<2> slopes, List<2> arriving, float spike) {
    const float beta = constants.of[0], gain = constants.of[1];
    const float before = states.of[0], before_1 = states.of[1];
    const float kept_1 = of_step.of[1];
    const float slope = slopes.of[0];
    const float after = arriving.of[0];
    const float f0 = 1.0f - beta;
    const float f1 = f0 * gain;
    const float f2 = before_1 * after;
    const float f3 = after - f2;
    const float f4 = slope * spike;
    const float f5 = f3 * before;
    const float f6 = f3 * kept_1;
    const float f7 = 0.0f - f4;
    const float f8 = f1 * f3;
    const float f9 = __builtin_fmaf(beta, f3, f4);
    const float f10 = gain * f6;
    const float f11 = f5 - f10;
    const float f12 = f0 * f6;
    return {f8, {f9, 0.0f}, {f11, f12, f8, f7}};
}

} // namespace neuron
