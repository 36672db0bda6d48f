//! Destinations for gradients in registers: added to a buffer, or passed to Adam.

use super::{
    simd::{BlockKernel, F32x16, Kernel, Simd},
    vectors::Vectors,
};
use crate::{neuron::Num, optim::Update};

/// Where a block's gradients go, `[input][vectors]` each.
pub(super) enum Sink<'a> {
    /// Adds to a buffer.
    Store(&'a mut [F32x16]),
    /// Updates weights and moments.
    Adam {
        update: Update,
        weights: &'a mut [F32x16],
        first: &'a mut [F32x16],
        second: &'a mut [F32x16],
        /// Nonzero if a weight has become NaN or infinite.
        nonfinite: &'a mut F32x16,
    },
}

impl Sink<'_> {
    /// Prefetches the data that [`put`](Self::put) needs for inputs `i` and `i + 1`.
    #[inline(always)]
    pub fn prefetch<S: Simd, const L: usize>(&self, s: S, i: usize) {
        if let Sink::Adam {
            weights,
            first,
            second,
            ..
        } = self
        {
            for values in [&**weights, first, second] {
                let rows = values.get(i * L..(i + 2) * L).unwrap_or_default();
                rows.iter().for_each(|row| s.prefetch(&row.0[0]));
            }
        }
    }

    /// `gradient [vectors]` of input `i`.
    #[inline(always)]
    pub fn put<S: Simd, const L: usize>(&mut self, s: S, i: usize, gradient: [S::V; L]) {
        match self {
            Sink::Store(out) => {
                let out = &mut out.as_chunks_mut::<L>().0[i];
                for l in 0..L {
                    s.store(s.add(s.load(&out[l]), gradient[l]), &mut out[l]);
                }
            }
            Sink::Adam {
                update,
                weights,
                first,
                second,
                nonfinite,
            } => {
                let (w, m, v) = (
                    &mut weights.as_chunks_mut::<L>().0[i],
                    &mut first.as_chunks_mut::<L>().0[i],
                    &mut second.as_chunks_mut::<L>().0[i],
                );
                let mut seen = s.load(nonfinite);
                for l in 0..L {
                    let w = adam(s, update, gradient[l], &mut w[l], &mut m[l], &mut v[l]);
                    seen = s.fma(w, s.splat(0.0), seen);
                }
                s.store(seen, nonfinite);
            }
        }
    }
}

/// One update of sixteen weights; returns them.
#[inline(always)]
fn adam<S: Simd>(
    s: S,
    update: &Update,
    g: S::V,
    w: &mut F32x16,
    m: &mut F32x16,
    v: &mut F32x16,
) -> S::V {
    let a = Vectors(s);
    let (before, first, second) = (s.load(w), s.load(m), s.load(v));
    let [updated, first, second] =
        update.step(Num(a, before), Num(a, g), Num(a, first), Num(a, second));
    s.store(first.1, m);
    s.store(second.1, v);
    s.store(updated.1, w);
    updated.1
}

/// Applies gradients from a buffer.
pub(super) struct FromBuffer<'a> {
    pub gradients: &'a [F32x16],
    pub update: Update,
    pub weights: &'a mut [F32x16],
    pub first: &'a mut [F32x16],
    pub second: &'a mut [F32x16],
    /// Nonzero if a weight has become NaN or infinite.
    pub nonfinite: &'a mut F32x16,
}

impl Kernel for FromBuffer<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let moments = self.first.iter_mut().zip(self.second);
        let mut seen = s.splat(0.0);
        for ((g, w), (m, v)) in self.gradients.iter().zip(self.weights).zip(moments) {
            let w = adam(s, &self.update, s.load(g), w, m, v);
            seen = s.fma(w, s.splat(0.0), seen);
        }
        s.store(seen, self.nonfinite);
    }
}

/// Passes finished sums `[inputs][vectors]` to a sink.
pub(super) struct Deliver<'a> {
    pub vectors: usize,
    pub sums: &'a [F32x16],
    pub sink: Sink<'a>,
}

impl BlockKernel for Deliver<'_> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.vectors
    }

    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(mut self, s: S) {
        for (i, sums) in self.sums.as_chunks::<L>().0.iter().enumerate() {
            self.sink
                .put::<S, L>(s, i, std::array::from_fn(|l| s.load(&sums[l])));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::simd::{Isa, LANES},
        *,
    };
    use crate::Adam;

    /// The update of one weight without the rule for subnormal moments.
    fn plain(u: &Update, fused: bool, g: f32, [w, m, v]: [f32; 3]) -> [f32; 3] {
        let fma = |a: f32, b: f32, c: f32| if fused { a.mul_add(b, c) } else { a * b + c };
        let m = fma(u.beta1, m, u.gain1 * g);
        let v = fma(u.beta2, v, u.gain2 * (g * g));
        let denominator = fma(v.sqrt(), u.scale, u.eps);
        [w - u.step_size * m / denominator, m, v]
    }

    /// Gradients that stop for 1500 updates and come back: the moments that would be subnormal are 0, and
    /// no weight differs in a bit.
    #[test]
    fn faded_moments_change_no_weight() {
        let start = |n: usize| match n % 3 {
            0 => 0.03 * (n as f32 - 8.0),
            1 => 1e-6 * n as f32,
            _ => 0.0,
        };
        let gradient = |n: usize, update: usize| match update % 1600 {
            ..100 if n % 5 == 4 => 0.0,
            ..100 => 10_f32.powi(-(n as i32)) * if update % 3 == n % 3 { -1.0 } else { 0.5 },
            _ => 0.0,
        };
        for isa in Isa::available() {
            let fused = isa != Isa::Portable || cfg!(target_arch = "aarch64");
            let mut expected: [[f32; 3]; LANES] = std::array::from_fn(|n| [start(n), 0.0, 0.0]);
            let mut weights = [F32x16(std::array::from_fn(start))];
            let (mut first, mut second) = ([F32x16::ZERO], [F32x16::ZERO]);
            let (mut nonfinite, mut adam) = (F32x16::ZERO, Adam::new(5e-4));
            let mut subnormal = 0;
            for n in 0..3200 {
                let update = adam.next_update();
                adam.step += 1;
                let gradients = [F32x16(std::array::from_fn(|lane| gradient(lane, n)))];
                isa.run(FromBuffer {
                    gradients: &gradients,
                    update,
                    weights: &mut weights,
                    first: &mut first,
                    second: &mut second,
                    nonfinite: &mut nonfinite,
                });
                for (lane, expected) in expected.iter_mut().enumerate() {
                    *expected = plain(&update, fused, gradients[0].0[lane], *expected);
                    let [w, m, v] = *expected;
                    let (found, second) = (weights[0].0[lane], second[0].0[lane]);
                    assert_eq!(found.to_bits(), w.to_bits(), "{isa:?}, {n}, lane {lane}");
                    assert_eq!(second.to_bits(), v.to_bits(), "{isa:?}, {n}, lane {lane}");
                    let found = first[0].0[lane];
                    assert!(
                        found == m || found == 0.0 && m.is_subnormal(),
                        "{found} {m}"
                    );
                    assert!(!found.is_subnormal());
                    subnormal += usize::from(m.is_subnormal());
                }
            }
            assert!(subnormal > 10_000, "there is something to see: {subnormal}");
            assert!(nonfinite == F32x16::ZERO);
        }
    }
}
