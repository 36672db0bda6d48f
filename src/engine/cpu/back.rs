//! The neurons of one block, back through all of time.
//!
//! Reads the trace that [`lif`](super::lif) left once, forms `e` on the fly if the layer above is
//! narrow (10 classes: 10 fused multiply-adds for each vector and step, three steps sharing each load
//! of the weights), keeps `h` in registers, and writes `Σ_t a_t` or `a_t`. The arithmetic is that of
//! [`Rule::adjoint`](crate::neuron), line by line; one division for each vector and step, for the
//! arctan.

use std::f64::consts::PI;

use super::{
    layout::LayerState,
    lif::recorded,
    simd::{Kernel, LANES, Lane, Simd, flatten},
};
use crate::{Dynamics, Reset, Surrogate, neuron::Rule};

/// A number for each step and neuron of one sample: block `k` at step `t` has its vectors from
/// `k·block + t·step` on.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    pub values: &'a [Lane],
    pub block: usize,
    pub step: usize,
}

impl<'a> Plane<'a> {
    /// `[block][T][lanes]`.
    pub fn blocks(values: &'a [Lane], lanes: usize, num_steps: usize) -> Self {
        let (block, step) = (num_steps * lanes, lanes);
        Plane {
            values,
            block,
            step,
        }
    }

    /// Rows `[T][block][lanes]`.
    pub fn rows(values: &'a [Lane], lanes: usize, row: usize) -> Self {
        let (block, step) = (lanes, row);
        Plane {
            values,
            block,
            step,
        }
    }

    /// Neuron `n` at step `t`, in blocks of `lanes` vectors.
    pub fn entry(self, lanes: usize, t: usize, n: usize) -> f32 {
        let vector = n / LANES;
        self.at(vector / lanes, t, vector % lanes)[0].0[n % LANES]
    }

    #[inline(always)]
    fn at(self, block: usize, t: usize, at: usize) -> &'a [Lane] {
        &self.values[block * self.block + t * self.step + at..]
    }
}

/// What arrives at a layer's spikes from above.
#[derive(Clone, Copy)]
pub(super) enum FromAbove<'a> {
    /// Nothing.
    Nothing,
    /// `e`.
    Rows(Plane<'a>),
    /// A narrow layer's `a`, `[T][lanes above]`, and the layer: `e_t = Σ_c a_t[c] W[c]`.
    Narrow {
        a: &'a [Lane],
        above: &'a LayerState,
    },
}

/// Back through all of time, all blocks of one sample.
pub(super) struct Backward<'a> {
    pub layer: &'a LayerState,
    pub num_steps: usize,
    /// As [`Forward`] wrote it.
    pub trace: &'a [Lane],
    pub words: &'a [u64],
    /// `∂L/∂` recorded membrane by the loss, if there is any.
    pub g: Option<Plane<'a>>,
    pub e: FromAbove<'a>,
    /// Added to every `e`: the price of a spike.
    pub price: f32,
    /// Whether `out` gets `Σ_t a_t`, `[block][lanes]`, instead of `a_t`, `[block][T][lanes]`.
    pub summed: bool,
    pub out: &'a mut [Lane],
    /// `∂L/∂β` and `∂L/∂θ` of this sample, a row each; empty if not learnt.
    pub learnt: (&'a mut [Lane], &'a mut [Lane]),
}

impl Kernel for Backward<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let lanes = self.layer.lanes;
        for block in 0..self.layer.blocks {
            let mut at = 0;
            while at < lanes {
                at += match lanes - at {
                    4.. if S::ACCUMULATORS >= 8 => self.group::<S, 4>(s, block, at),
                    2.. if S::ACCUMULATORS >= 4 => self.group::<S, 2>(s, block, at),
                    _ => self.group::<S, 1>(s, block, at),
                };
            }
        }
    }
}

impl Backward<'_> {
    #[inline(always)]
    fn group<S: Simd, const G: usize>(&mut self, s: S, block: usize, at: usize) -> usize {
        if self.layer.common() {
            match S::ACCUMULATORS {
                8.. => self.group_common::<S, G, 3>(s, block, at),
                _ => self.group_common::<S, G, 2>(s, block, at),
            }
        } else {
            self.group_any::<S, G>(s, block, at)
        }
    }

    /// `e` of `G` vectors at the `N` steps `t, t − 1, …`: several at once, so that a narrow layer's
    /// weights are loaded once for all of them.
    #[inline(always)]
    fn arriving<S: Simd, const G: usize, const N: usize>(
        &self,
        s: S,
        t: usize,
        block: usize,
        at: usize,
    ) -> [[S::V; G]; N] {
        let mut e = [[s.splat(0.0); G]; N];
        if self.price != 0.0 {
            // For real neurons alone: padding that is charged would be trained, and fire one day.
            for g in 0..G {
                let first = (block * self.layer.lanes + at + g) * LANES;
                let real = self.layer.neurons.saturating_sub(first).min(LANES);
                let price = s.keep(s.mask(((1_u32 << real) - 1) as u16), s.splat(self.price));
                e.iter_mut().for_each(|e| e[g] = price);
            }
        }
        match self.e {
            FromAbove::Nothing => {}
            FromAbove::Rows(rows) => {
                for (n, e) in e.iter_mut().enumerate() {
                    let rows = &rows.at(block, t - n, at)[..G];
                    for g in 0..G {
                        e[g] = s.add(s.load(&rows[g]), e[g]);
                    }
                }
            }
            FromAbove::Narrow { a, above } => {
                let (lanes, stride) = (self.layer.lanes, above.shape().row());
                let a: [&[f32]; N] = std::array::from_fn(|n| {
                    &flatten(&a[(t - n) * stride..][..stride])[..above.neurons]
                });
                let weights = &above.across[block * above.neurons * lanes..];
                for (class, weights) in weights.chunks_exact(lanes).take(above.neurons).enumerate()
                {
                    let weights = &weights[at..][..G];
                    let weights: [S::V; G] = std::array::from_fn(|g| s.load(&weights[g]));
                    for n in 0..N {
                        let a = s.splat(a[n][class]);
                        for g in 0..G {
                            e[n][g] = s.fma(a, weights[g], e[n][g]);
                        }
                    }
                }
            }
        }
        e
    }

    /// The tutorial's rule: `a_t = g_t + h_t`, `h_{t−1} = β a_t + σ'(u_{t−1} − θ) e_t`; `N` steps'
    /// `e` at a time.
    #[inline(always)]
    fn group_common<S: Simd, const G: usize, const N: usize>(
        &mut self,
        s: S,
        block: usize,
        at: usize,
    ) -> usize {
        let (lanes, steps) = (self.layer.lanes, self.num_steps);
        let vector = block * lanes + at;
        let constants =
            |from: &[Lane]| -> [S::V; G] { std::array::from_fn(|g| s.load(&from[vector + g])) };
        let (beta, theta) = (constants(&self.layer.beta), constants(&self.layer.theta));
        let alpha = match self.layer.surrogate() {
            Surrogate::Arctan { alpha } => alpha,
            _ => 2.0,
        };
        let (peak, scale) = (
            s.splat((alpha / 2.0) as f32),
            s.splat((PI / 2.0 * alpha) as f32),
        );
        let trace = &self.trace[block * steps * lanes..][..steps * lanes];
        let (mut h, mut sum) = ([s.splat(0.0); G], [s.splat(0.0); G]);
        // A macro, since a closure would not be compiled for the instruction set of its caller.
        macro_rules! back {
            ($t:expr, $e:expr) => {{
                let (t, e): (usize, [S::V; G]) = ($t, $e);
                let mut a = h;
                if let Some(g) = self.g {
                    let g_t = &g.at(block, t, at)[..G];
                    for g in 0..G {
                        a[g] = s.add(s.load(&g_t[g]), h[g]);
                    }
                }
                if self.summed {
                    for g in 0..G {
                        sum[g] = s.add(sum[g], a[g]);
                    }
                } else {
                    let out = &mut self.out[(block * steps + t) * lanes + at..][..G];
                    for g in 0..G {
                        s.store(a[g], &mut out[g]);
                    }
                }
                if t > 0 {
                    let before = &trace[(t - 1) * lanes + at..][..G];
                    for g in 0..G {
                        let y = s.mul(scale, s.sub(s.load(&before[g]), theta[g]));
                        let slope = s.div(peak, s.fma(y, y, s.splat(1.0)));
                        h[g] = s.fma(slope, e[g], s.mul(beta[g], a[g]));
                    }
                }
            }};
        }
        // The first step's spikes read the resting membrane, and lead nowhere.
        let mut left = steps;
        while left > N {
            let e = self.arriving::<S, G, N>(s, left - 1, block, at);
            for n in 0..N {
                back!(left - 1 - n, e[n]);
            }
            left -= N;
        }
        while left > 1 {
            let [e] = self.arriving::<S, G, 1>(s, left - 1, block, at);
            back!(left - 1, e);
            left -= 1;
        }
        back!(0, [s.splat(0.0); G]);
        if self.summed {
            let out = &mut self.out[vector..][..G];
            for g in 0..G {
                s.store(sum[g], &mut out[g]);
            }
        }
        G
    }

    /// Any rule: [`Rule::adjoint`] on vectors.
    #[inline(always)]
    fn group_any<S: Simd, const G: usize>(&mut self, s: S, block: usize, at: usize) -> usize {
        let (lanes, steps) = (self.layer.lanes, self.num_steps);
        let vector = block * lanes + at;
        let (rule, surrogate, learns) = (
            self.layer.rule(),
            self.layer.surrogate(),
            self.layer.learns(),
        );
        let words = &self.words[block * steps..][..steps];
        let trace = &self.trace[block * steps * lanes..][..steps * lanes];
        let zero = s.splat(0.0);
        let (mut h, mut sum, mut d_beta, mut d_theta) =
            ([zero; G], [zero; G], [zero; G], [zero; G]);
        for t in (0..steps).rev() {
            let [e] = self.arriving::<S, G, 1>(s, t, block, at);
            for g in 0..G {
                let (beta, theta) = (
                    s.load(&self.layer.beta[vector + g]),
                    s.load(&self.layer.theta[vector + g]),
                );
                let spike = |t: usize| s.mask((words[t] >> ((at + g) * LANES)) as u16);
                let load = |t: usize| s.load(&trace[t * lanes + at + g]);
                let before = if t == 0 {
                    zero
                } else {
                    recorded(s, rule, theta, load(t - 1), spike(t - 1))
                };
                let read = if rule.dynamics == Dynamics::FireThenIntegrate {
                    before
                } else {
                    load(t)
                };
                let reset = match (rule.dynamics, t) {
                    (Dynamics::IntegrateThenFire, 0) => s.gt(zero, zero),
                    (Dynamics::IntegrateThenFire, _) => spike(t - 1),
                    _ => spike(t),
                };
                let own = match self.g {
                    Some(plane) => s.load(&plane.at(block, t, at)[g]),
                    None => zero,
                };
                let step = StepV {
                    before,
                    pre: read,
                    reset,
                    slope: slope(s, surrogate, s.sub(read, theta)),
                };
                let back = adjoint(
                    s,
                    (rule, surrogate),
                    beta,
                    theta,
                    step,
                    s.add(own, h[g]),
                    e[g],
                );
                h[g] = back.back;
                if self.summed {
                    sum[g] = s.add(sum[g], back.current);
                } else {
                    s.store(
                        back.current,
                        &mut self.out[(block * steps + t) * lanes + at + g],
                    );
                }
                if learns {
                    d_beta[g] = s.add(d_beta[g], back.beta);
                    d_theta[g] = s.add(d_theta[g], back.theta);
                }
            }
        }
        for g in 0..G {
            if self.summed {
                s.store(sum[g], &mut self.out[vector + g]);
            }
            if learns {
                s.store(d_beta[g], &mut self.learnt.0[vector + g]);
                s.store(d_theta[g], &mut self.learnt.1[vector + g]);
            }
        }
        G
    }
}

/// `Σ |a|`: bounds every gradient that is made of `a`; a NaN or an infinity shows in it.
pub(super) struct Size<'a>(pub &'a [Lane]);

impl Kernel for Size<'_> {
    type Out = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        s.sum(
            self.0
                .iter()
                .fold(s.splat(0.0), |sum, a| s.add(sum, s.abs(s.load(a)))),
        )
    }
}

/// [`Surrogate::derivative`] on a vector.
#[inline(always)]
fn slope<S: Simd>(s: S, surrogate: Surrogate, x: S::V) -> S::V {
    let one = s.splat(1.0);
    match surrogate {
        Surrogate::Arctan { alpha } => {
            let y = s.mul(s.splat((PI / 2.0 * alpha) as f32), x);
            s.div(s.splat((alpha / 2.0) as f32), s.fma(y, y, one))
        }
        Surrogate::FastSigmoid { slope } => {
            let y = s.fma(s.splat(slope as f32), s.abs(x), one);
            s.div(one, s.mul(y, y))
        }
        Surrogate::Sigmoid { slope } => {
            let k = s.splat(slope as f32);
            let e = s.exp(s.sub(s.splat(0.0), s.mul(k, s.abs(x))));
            let d = s.add(one, e);
            s.div(s.mul(k, e), s.mul(d, d))
        }
        Surrogate::Triangular => s.select(s.gt(s.splat(0.0), x), one, s.splat(-1.0)),
        Surrogate::StraightThrough => one,
    }
}

/// One step's values, as the adjoint reads them.
#[derive(Clone, Copy)]
struct StepV<S: Simd> {
    before: S::V,
    pre: S::V,
    reset: S::M,
    slope: S::V,
}

/// Where one step's adjoint goes.
struct AdjointV<S: Simd> {
    current: S::V,
    back: S::V,
    beta: S::V,
    theta: S::V,
}

/// [`Rule::adjoint`] on a vector.
#[inline(always)]
fn adjoint<S: Simd>(
    s: S,
    (rule, surrogate): (Rule, Surrogate),
    beta: S::V,
    theta: S::V,
    step: StepV<S>,
    h: S::V,
    e: S::V,
) -> AdjointV<S> {
    let StepV {
        before,
        pre,
        reset: r,
        slope: sigma,
    } = step;
    let zero = s.splat(0.0);
    let negate = |v: S::V| s.sub(zero, v);
    // (1 − r) v with reset to zero, else v
    let keep = |v: S::V| {
        if rule.reset == Reset::Zero {
            s.sub(v, s.keep(r, v))
        } else {
            v
        }
    };
    let subtracts = rule.reset == Reset::Subtract;
    match rule.dynamics {
        Dynamics::FireThenIntegrate => {
            let a = h;
            let through_reset = match rule.reset {
                _ if !rule.attached() => zero,
                Reset::Zero => negate(s.mul(s.mul(beta, before), a)),
                _ => negate(s.mul(s.mul(beta, theta), a)),
            };
            let k = s.mul(sigma, s.add(e, through_reset));
            let du_dbeta = if subtracts {
                s.sub(before, s.keep(r, theta))
            } else {
                keep(before)
            };
            let du_dtheta = if subtracts {
                negate(s.keep(r, beta))
            } else {
                zero
            };
            AdjointV {
                current: a,
                back: s.fma(beta, keep(a), k),
                beta: s.mul(du_dbeta, a),
                theta: s.sub(s.mul(du_dtheta, a), k),
            }
        }
        Dynamics::IntegrateThenFire => {
            let k = s.mul(sigma, e);
            let a = s.add(h, k);
            let through = if rule.reset == Reset::Zero {
                s.mul(beta, before)
            } else {
                theta
            };
            let rho = if rule.attached() {
                negate(s.mul(slope(s, surrogate, s.sub(before, theta)), s.mul(through, a)))
            } else {
                zero
            };
            let du_dtheta_a = if subtracts {
                negate(s.keep(r, a))
            } else {
                zero
            };
            AdjointV {
                current: a,
                back: s.fma(beta, keep(a), rho),
                beta: s.mul(keep(before), a),
                theta: s.sub(s.sub(du_dtheta_a, k), rho),
            }
        }
        Dynamics::IntegrateFireReset => {
            let through_reset = match rule.reset {
                _ if !rule.attached() => zero,
                Reset::Zero => negate(s.mul(pre, h)),
                _ => negate(s.mul(theta, h)),
            };
            let k = s.mul(sigma, s.add(e, through_reset));
            let a = s.add(keep(h), k);
            let dv_dtheta_h = if subtracts {
                negate(s.keep(r, h))
            } else {
                zero
            };
            AdjointV {
                current: a,
                back: s.mul(beta, a),
                beta: s.mul(before, a),
                theta: s.sub(dv_dtheta_h, k),
            }
        }
    }
}
