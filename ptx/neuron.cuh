// Generated from src/neuron/leaky.rs and src/surrogate.rs by tests/cuda_source.rs; do not edit.
#pragma once
#include "spikegrad.cuh"

enum { FireThenIntegrate, IntegrateThenFire, IntegrateFireReset };
enum { Subtract, Zero, None };
enum { Arctan, FastSigmoid, Sigmoid, Triangular, StraightThrough };

struct Rule;
// The slope of the rule's surrogate.
INLINE float derivative(const Rule &rule, float x);

namespace neuron {

// The spike that is sent up, and what is kept of the step.
struct Step {
    bool spike;
    float kept;
};

// dL/dI, what goes back to the state before, and this step's share of dL/dbeta and dL/dtheta.
struct Adjoint {
    float current, before, beta, theta;
};

template <int SURROGATE> INLINE float slope(float peak, float scale, float x);
template <int DYNAMICS, int RESET> INLINE Step step(float beta, float theta, float before, float current);
template <int DYNAMICS, int RESET> INLINE float state(float beta, float theta, float kept);
template <int DYNAMICS, int RESET, bool ATTACHED>
INLINE Adjoint adjoint(const Rule &rule, float beta, float theta, float before, float kept, float after,
                       float spike);

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

template <> INLINE Step step<FireThenIntegrate, Subtract>(
    float beta, float theta, float before, float current) {
    const bool b0 = before > theta;
    const float f1 = __builtin_fmaf(beta, before, current);
    const float f2 = beta * theta;
    const float f3 = b0 ? f2 : 0.0f;
    const float f4 = f1 - f3;
    return {b0, f4};
}

template <> INLINE float state<FireThenIntegrate, Subtract>(
    float, float, float kept) {
    return kept;
}

template <> INLINE Adjoint adjoint<FireThenIntegrate, Subtract, false>(
    const Rule &rule, float beta, float theta, float before, float, float after, float spike) {
    const bool b0 = before > theta;
    const float f1 = before - theta;
    const float f2 = derivative(rule, f1);
    const float f3 = b0 ? theta : 0.0f;
    const float f4 = before - f3;
    const float f5 = b0 ? beta : 0.0f;
    const float f6 = 0.0f - f5;
    const float f7 = beta * after;
    const float f8 = __builtin_fmaf(f2, spike, f7);
    const float f9 = f4 * after;
    const float f10 = f6 * after;
    const float f11 = f2 * spike;
    const float f12 = f10 - f11;
    return {after, f8, f9, f12};
}

template <> INLINE Adjoint adjoint<FireThenIntegrate, Subtract, true>(
    const Rule &rule, float beta, float theta, float before, float, float after, float spike) {
    const bool b0 = before > theta;
    const float f1 = beta * theta;
    const float f2 = f1 * after;
    const float f3 = spike - f2;
    const float f4 = before - theta;
    const float f5 = derivative(rule, f4);
    const float f6 = b0 ? theta : 0.0f;
    const float f7 = before - f6;
    const float f8 = b0 ? beta : 0.0f;
    const float f9 = 0.0f - f8;
    const float f10 = beta * after;
    const float f11 = __builtin_fmaf(f5, f3, f10);
    const float f12 = f7 * after;
    const float f13 = f9 * after;
    const float f14 = f5 * f3;
    const float f15 = f13 - f14;
    return {after, f11, f12, f15};
}

template <> INLINE Step step<FireThenIntegrate, Zero>(
    float beta, float theta, float before, float current) {
    const bool b0 = before > theta;
    const float f1 = b0 ? before : 0.0f;
    const float f2 = before - f1;
    const float f3 = __builtin_fmaf(beta, f2, current);
    return {b0, f3};
}

template <> INLINE float state<FireThenIntegrate, Zero>(
    float, float, float kept) {
    return kept;
}

template <> INLINE Adjoint adjoint<FireThenIntegrate, Zero, false>(
    const Rule &rule, float beta, float theta, float before, float, float after, float spike) {
    const bool b0 = before > theta;
    const float f1 = before - theta;
    const float f2 = derivative(rule, f1);
    const float f3 = b0 ? before : 0.0f;
    const float f4 = before - f3;
    const float f5 = b0 ? after : 0.0f;
    const float f6 = after - f5;
    const float f7 = beta * f6;
    const float f8 = __builtin_fmaf(f2, spike, f7);
    const float f9 = f4 * after;
    const float f10 = 0.0f * after;
    const float f11 = f2 * spike;
    const float f12 = f10 - f11;
    return {after, f8, f9, f12};
}

template <> INLINE Adjoint adjoint<FireThenIntegrate, Zero, true>(
    const Rule &rule, float beta, float theta, float before, float, float after, float spike) {
    const bool b0 = before > theta;
    const float f1 = beta * before;
    const float f2 = f1 * after;
    const float f3 = spike - f2;
    const float f4 = before - theta;
    const float f5 = derivative(rule, f4);
    const float f6 = b0 ? before : 0.0f;
    const float f7 = before - f6;
    const float f8 = b0 ? after : 0.0f;
    const float f9 = after - f8;
    const float f10 = beta * f9;
    const float f11 = __builtin_fmaf(f5, f3, f10);
    const float f12 = f7 * after;
    const float f13 = 0.0f * after;
    const float f14 = f5 * f3;
    const float f15 = f13 - f14;
    return {after, f11, f12, f15};
}

template <> INLINE Step step<FireThenIntegrate, None>(
    float beta, float theta, float before, float current) {
    const bool b0 = before > theta;
    const float f1 = __builtin_fmaf(beta, before, current);
    return {b0, f1};
}

template <> INLINE float state<FireThenIntegrate, None>(
    float, float, float kept) {
    return kept;
}

template <> INLINE Adjoint adjoint<FireThenIntegrate, None, false>(
    const Rule &rule, float beta, float theta, float before, float, float after, float spike) {
    const float f0 = before - theta;
    const float f1 = derivative(rule, f0);
    const float f2 = beta * after;
    const float f3 = __builtin_fmaf(f1, spike, f2);
    const float f4 = before * after;
    const float f5 = 0.0f * after;
    const float f6 = f1 * spike;
    const float f7 = f5 - f6;
    return {after, f3, f4, f7};
}

template <> INLINE Step step<IntegrateThenFire, Subtract>(
    float beta, float theta, float before, float current) {
    const bool b0 = before > theta;
    const float f1 = __builtin_fmaf(beta, before, current);
    const float f2 = b0 ? theta : 0.0f;
    const float f3 = f1 - f2;
    const bool b4 = f3 > theta;
    return {b4, f3};
}

template <> INLINE float state<IntegrateThenFire, Subtract>(
    float, float, float kept) {
    return kept;
}

template <> INLINE Adjoint adjoint<IntegrateThenFire, Subtract, false>(
    const Rule &rule, float beta, float theta, float before, float kept, float after, float spike) {
    const float f0 = kept - theta;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > theta;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = beta * f3;
    const float f5 = b2 ? f3 : 0.0f;
    const float f6 = 0.0f - f5;
    const float f7 = before * f3;
    const float f8 = f1 * spike;
    const float f9 = f6 - f8;
    const float f10 = f9 - 0.0f;
    return {f3, f4, f7, f10};
}

template <> INLINE Adjoint adjoint<IntegrateThenFire, Subtract, true>(
    const Rule &rule, float beta, float theta, float before, float kept, float after, float spike) {
    const float f0 = kept - theta;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > theta;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = beta * f3;
    const float f5 = before - theta;
    const float f6 = derivative(rule, f5);
    const float f7 = theta * f3;
    const float f8 = f6 * f7;
    const float f9 = 0.0f - f8;
    const float f10 = b2 ? f3 : 0.0f;
    const float f11 = 0.0f - f10;
    const float f12 = f4 + f9;
    const float f13 = before * f3;
    const float f14 = f1 * spike;
    const float f15 = f11 - f14;
    const float f16 = f15 - f9;
    return {f3, f12, f13, f16};
}

template <> INLINE Step step<IntegrateThenFire, Zero>(
    float beta, float theta, float before, float current) {
    const bool b0 = before > theta;
    const float f1 = b0 ? before : 0.0f;
    const float f2 = before - f1;
    const float f3 = __builtin_fmaf(beta, f2, current);
    const bool b4 = f3 > theta;
    return {b4, f3};
}

template <> INLINE float state<IntegrateThenFire, Zero>(
    float, float, float kept) {
    return kept;
}

template <> INLINE Adjoint adjoint<IntegrateThenFire, Zero, false>(
    const Rule &rule, float beta, float theta, float before, float kept, float after, float spike) {
    const float f0 = kept - theta;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > theta;
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
    return {f3, f6, f9, f12};
}

template <> INLINE Adjoint adjoint<IntegrateThenFire, Zero, true>(
    const Rule &rule, float beta, float theta, float before, float kept, float after, float spike) {
    const float f0 = kept - theta;
    const float f1 = derivative(rule, f0);
    const bool b2 = before > theta;
    const float f3 = __builtin_fmaf(f1, spike, after);
    const float f4 = b2 ? f3 : 0.0f;
    const float f5 = f3 - f4;
    const float f6 = beta * f5;
    const float f7 = beta * before;
    const float f8 = before - theta;
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
    return {f3, f13, f16, f19};
}

template <> INLINE Step step<IntegrateThenFire, None>(
    float beta, float theta, float before, float current) {
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > theta;
    return {b1, f0};
}

template <> INLINE float state<IntegrateThenFire, None>(
    float, float, float kept) {
    return kept;
}

template <> INLINE Adjoint adjoint<IntegrateThenFire, None, false>(
    const Rule &rule, float beta, float theta, float before, float kept, float after, float spike) {
    const float f0 = kept - theta;
    const float f1 = derivative(rule, f0);
    const float f2 = __builtin_fmaf(f1, spike, after);
    const float f3 = beta * f2;
    const float f4 = before * f2;
    const float f5 = f1 * spike;
    const float f6 = 0.0f - f5;
    const float f7 = f6 - 0.0f;
    return {f2, f3, f4, f7};
}

template <> INLINE Step step<IntegrateFireReset, Subtract>(
    float beta, float theta, float before, float current) {
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > theta;
    return {b1, f0};
}

template <> INLINE float state<IntegrateFireReset, Subtract>(
    float, float theta, float kept) {
    const bool b0 = kept > theta;
    const float f1 = b0 ? theta : 0.0f;
    const float f2 = kept - f1;
    return f2;
}

template <> INLINE Adjoint adjoint<IntegrateFireReset, Subtract, false>(
    const Rule &rule, float beta, float theta, float before, float kept, float after, float spike) {
    const bool b0 = kept > theta;
    const float f1 = kept - theta;
    const float f2 = derivative(rule, f1);
    const float f3 = __builtin_fmaf(f2, spike, after);
    const float f4 = b0 ? after : 0.0f;
    const float f5 = 0.0f - f4;
    const float f6 = beta * f3;
    const float f7 = before * f3;
    const float f8 = f2 * spike;
    const float f9 = f5 - f8;
    return {f3, f6, f7, f9};
}

template <> INLINE Adjoint adjoint<IntegrateFireReset, Subtract, true>(
    const Rule &rule, float beta, float theta, float before, float kept, float after, float spike) {
    const bool b0 = kept > theta;
    const float f1 = theta * after;
    const float f2 = spike - f1;
    const float f3 = kept - theta;
    const float f4 = derivative(rule, f3);
    const float f5 = __builtin_fmaf(f4, f2, after);
    const float f6 = b0 ? after : 0.0f;
    const float f7 = 0.0f - f6;
    const float f8 = beta * f5;
    const float f9 = before * f5;
    const float f10 = f4 * f2;
    const float f11 = f7 - f10;
    return {f5, f8, f9, f11};
}

template <> INLINE Step step<IntegrateFireReset, Zero>(
    float beta, float theta, float before, float current) {
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > theta;
    return {b1, f0};
}

template <> INLINE float state<IntegrateFireReset, Zero>(
    float, float theta, float kept) {
    const bool b0 = kept > theta;
    const float f1 = b0 ? kept : 0.0f;
    const float f2 = kept - f1;
    return f2;
}

template <> INLINE Adjoint adjoint<IntegrateFireReset, Zero, false>(
    const Rule &rule, float beta, float theta, float before, float kept, float after, float spike) {
    const bool b0 = kept > theta;
    const float f1 = kept - theta;
    const float f2 = derivative(rule, f1);
    const float f3 = b0 ? after : 0.0f;
    const float f4 = after - f3;
    const float f5 = __builtin_fmaf(f2, spike, f4);
    const float f6 = beta * f5;
    const float f7 = before * f5;
    const float f8 = f2 * spike;
    const float f9 = 0.0f - f8;
    return {f5, f6, f7, f9};
}

template <> INLINE Adjoint adjoint<IntegrateFireReset, Zero, true>(
    const Rule &rule, float beta, float theta, float before, float kept, float after, float spike) {
    const bool b0 = kept > theta;
    const float f1 = kept * after;
    const float f2 = spike - f1;
    const float f3 = kept - theta;
    const float f4 = derivative(rule, f3);
    const float f5 = b0 ? after : 0.0f;
    const float f6 = after - f5;
    const float f7 = __builtin_fmaf(f4, f2, f6);
    const float f8 = beta * f7;
    const float f9 = before * f7;
    const float f10 = f4 * f2;
    const float f11 = 0.0f - f10;
    return {f7, f8, f9, f11};
}

template <> INLINE Step step<IntegrateFireReset, None>(
    float beta, float theta, float before, float current) {
    const float f0 = __builtin_fmaf(beta, before, current);
    const bool b1 = f0 > theta;
    return {b1, f0};
}

template <> INLINE float state<IntegrateFireReset, None>(
    float, float, float kept) {
    return kept;
}

template <> INLINE Adjoint adjoint<IntegrateFireReset, None, false>(
    const Rule &rule, float beta, float theta, float before, float kept, float after, float spike) {
    const float f0 = kept - theta;
    const float f1 = derivative(rule, f0);
    const float f2 = __builtin_fmaf(f1, spike, after);
    const float f3 = beta * f2;
    const float f4 = before * f2;
    const float f5 = f1 * spike;
    const float f6 = 0.0f - f5;
    return {f2, f3, f4, f6};
}

} // namespace neuron
