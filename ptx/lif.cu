// The neurons of one layer through all of time, forward and back: (2) and (3) of
// src/engine/reference.rs, with the rules of src/neuron.rs and the surrogates of src/surrogate.rs.
//
// A thread has one neuron of one sample (cell = sample * neurons + neuron), its membrane or
// adjoint in a register through all T steps; arrays over time are [T, cells], so a warp's accesses
// are coalesced at every step. Blocks of 128 threads, as many as the cells need.
#include "spikegrad.cuh"

enum { FireThenIntegrate, IntegrateThenFire, IntegrateFireReset };
enum { Subtract, Zero, None };
enum { Arctan, FastSigmoid, Sigmoid, Triangular, StraightThrough };

__device__ inline float heaviside(float x) { return x > 0.0f ? 1.0f : 0.0f; }

// Rule::forward, all steps. `current` is [T, cells], or [cells] if it is the same at every step
// (current_step 0). `pre` is null unless the spike reads another membrane than the one recorded.
// counts[block] is the number of the block's spikes.
// Traffic, bytes per cell and step: 4 read (0 if static), 8 written (12 with `pre`).
extern "C" __global__ __launch_bounds__(128) void lif_forward(
    const float *current, u64 current_step, const float *betas, u32 beta_each, const float *thetas,
    u32 theta_each, float *spk, float *mem, float *pre, u32 *counts, u32 steps, u32 cells,
    u32 neurons, int dynamics, int reset) {
    const u32 cell = ctaid_x() * 128 + tid_x();
    int count = 0;
    if (cell < cells) {
        const u32 n = cell % neurons;
        const float beta = betas[beta_each ? n : 0], theta = thetas[theta_each ? n : 0];
        float u = 0.0f;
        u64 at = cell;
        const float *input = current + cell;
        for (u32 t = 0; t < steps; t++, at += cells, input += current_step) {
            const float i = *input;
            float s;
            if (dynamics == IntegrateFireReset) {
                const float before = beta * u + i;
                s = heaviside(before - theta);
                u = reset == Subtract ? before - theta * s : reset == Zero ? (1.0f - s) * before : before;
                if (pre) {
                    pre[at] = before;
                }
            } else {
                const float r = heaviside(u - theta);
                const float jump = dynamics == FireThenIntegrate ? beta * theta : theta;
                u = reset == Subtract ? beta * u + i - jump * r
                    : reset == Zero   ? beta * (1.0f - r) * u + i
                                      : beta * u + i;
                s = dynamics == FireThenIntegrate ? r : heaviside(u - theta);
            }
            spk[at] = s;
            mem[at] = u;
            count += s > 0.0f;
        }
    }
    __shared__ int warps[4];
    for (int lanes = 16; lanes; lanes /= 2) {
        count += shuffle_xor_int(count, lanes);
    }
    if (tid_x() % 32 == 0) {
        warps[tid_x() / 32] = count;
    }
    barrier();
    if (tid_x() == 0) {
        counts[ctaid_x()] = (u32)(warps[0] + warps[1] + warps[2] + warps[3]);
    }
}

// sigma'(x). `peak` and `scale` are those of the arctan; `scale` alone is the slope of the others.
__device__ inline float derivative(int surrogate, float peak, float scale, float x) {
    if (surrogate == Arctan) {
        const float y = scale * x;
        return peak / (1.0f + y * y);
    }
    if (surrogate == FastSigmoid) {
        const float y = scale * __builtin_fabsf(x) + 1.0f;
        return 1.0f / (y * y);
    }
    if (surrogate == Sigmoid) {
        const float e = exp_negative(-__builtin_fabsf(scale * x));
        return scale * e / ((1.0f + e) * (1.0f + e));
    }
    return surrogate == StraightThrough || x < 0.0f ? 1.0f : -1.0f;
}

// Rule::adjoint, from the last step to the first. `g`, `e` and `extra` (a loss's own share of e)
// are [T, cells] or null; `price` is added to e. Writes the adjoint of the current, [T, cells], to
// `a` (null where its sum is enough), its sum over time to `sum`, [cells]; where learnt (not
// null), dL/dbeta and dL/dtheta of each cell.
// Traffic, bytes per cell and step: 8 read (spk, mem; 12 with pre), 4 for each of g, e, extra;
// 4 written (0 where the sum is enough). The membrane of step t - 1 is read once, for both steps.
extern "C" __global__ __launch_bounds__(128) void lif_backward(
    const float *spk, const float *mem, const float *pre, const float *g, const float *e,
    const float *extra, float price, const float *betas, u32 beta_each, const float *thetas,
    u32 theta_each, float *a, float *sum, float *beta_out, float *theta_out, u32 steps, u32 cells,
    u32 neurons, int dynamics, int reset, int attached, int surrogate, float peak, float scale) {
    const u32 cell = ctaid_x() * 128 + tid_x();
    if (cell >= cells) {
        return;
    }
    const u32 n = cell % neurons;
    const float beta = betas[beta_each ? n : 0], theta = thetas[theta_each ? n : 0];
    float back = 0.0f, total = 0.0f, d_beta = 0.0f, d_theta = 0.0f;
    u64 at = cell + (u64)(steps - 1) * cells;
    float now = mem[at];
    float spike = spk[at];
    for (u32 t = steps; t-- > 0; at -= cells) {
        const float before = t ? mem[at - cells] : 0.0f;
        const float spike_before = t ? spk[at - cells] : 0.0f;
        const float h = (g ? g[at] : 0.0f) + back;
        const float from_above = (e ? e[at] : 0.0f) + (extra ? extra[at] : 0.0f) + price;
        float current;
        if (dynamics == FireThenIntegrate) {
            const float r = spike, keep = reset == Zero ? 1.0f - r : 1.0f;
            const float slope = derivative(surrogate, peak, scale, before - theta);
            current = h;
            const float through = !attached        ? 0.0f
                                  : reset == Zero  ? -beta * before * current
                                                   : -beta * theta * current;
            const float k = slope * (from_above + through);
            const bool subtract = reset == Subtract;
            d_beta += (subtract ? before - theta * r : keep * before) * current;
            d_theta += (subtract ? -beta * r : 0.0f) * current - k;
            back = beta * keep * current + k;
        } else if (dynamics == IntegrateThenFire) {
            const float r = spike_before, keep = reset == Zero ? 1.0f - r : 1.0f;
            const float k = derivative(surrogate, peak, scale, now - theta) * from_above;
            current = h + k;
            float rho = 0.0f;
            if (attached) {
                const float slope = derivative(surrogate, peak, scale, before - theta);
                rho = slope * (reset == Zero ? -beta * before : -theta) * current;
            }
            d_beta += keep * before * current;
            d_theta += (reset == Subtract ? -r : 0.0f) * current - k - rho;
            back = beta * keep * current + rho;
        } else {
            const float read = pre ? pre[at] : now;
            const float r = spike, keep = reset == Zero ? 1.0f - r : 1.0f;
            const float through = !attached ? 0.0f : reset == Zero ? -read * h : -theta * h;
            const float k = derivative(surrogate, peak, scale, read - theta) * (from_above + through);
            current = keep * h + k;
            d_beta += before * current;
            d_theta += (reset == Subtract ? -r : 0.0f) * h - k;
            back = beta * current;
        }
        total += current;
        if (a) {
            a[at] = current;
        }
        now = before;
        spike = spike_before;
    }
    sum[cell] = total;
    if (beta_out) {
        beta_out[cell] = d_beta;
    }
    if (theta_out) {
        theta_out[cell] = d_theta;
    }
}
