//! Destinations for gradients in registers: added to a buffer, or passed to the optimizer.

use std::array::from_mut;

use super::{
    simd::{BlockKernel, F32x16, Kernel, Simd},
    vectors::Vectors,
};
use crate::{
    neuron::Num,
    optim::{Step, Update, with_step},
};

/// The updates of a layer's weights and of its biases.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerUpdate {
    pub weight: Update,
    pub bias: Update,
}

/// Where a block's gradients go, `[input][vectors]` each.
pub(super) enum Sink<'a> {
    /// Adds to a buffer.
    Store(&'a mut [F32x16]),
    /// Updates weights and what the optimizer keeps for them.
    Update {
        update: LayerUpdate,
        /// The row of the biases, if there is one.
        bias_row: Option<usize>,
        weights: &'a mut [F32x16],
        /// Those that the optimizer does not keep are empty.
        kept: [&'a mut [F32x16]; 2],
        /// Nonzero if a weight has become NaN or infinite.
        nonfinite: &'a mut F32x16,
    },
}

impl Sink<'_> {
    /// Prefetches the data that [`put`](Self::put) needs for inputs `i` and `i + 1`.
    #[inline(always)]
    pub fn prefetch<S: Simd, const L: usize>(&self, s: S, i: usize) {
        if let Sink::Update { weights, kept, .. } = self {
            for values in [&**weights, &*kept[0], &*kept[1]] {
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
            Sink::Update {
                update,
                bias_row,
                weights,
                kept: [first, second],
                nonfinite,
            } => {
                let update = match *bias_row == Some(i) {
                    true => &update.bias,
                    false => &update.weight,
                };
                let weights = &mut weights.as_chunks_mut::<L>().0[i];
                let [mut first, mut second] = [row(first, i), row(second, i)];
                with_step!(update, step => {
                    if const { S::ACCUMULATORS < 4 } {
                        // A loop of its own, so that gradients stay in registers up to here.
                        let mut row = [F32x16::ZERO; L];
                        for l in 0..L {
                            s.store(gradient[l], &mut row[l]);
                        }
                        for l in 0..L {
                            s.call(Advance {
                                step,
                                gradient: &row[l],
                                weights: &mut weights[l],
                                kept: [&mut first, &mut second]
                                    .map(|row| row.as_mut().map(|row| &mut row[l])),
                                nonfinite,
                            });
                        }
                    } else {
                        advance(s, step, gradient, weights, [first, second], nonfinite);
                    }
                });
            }
        }
    }
}

/// Row `i` of what the optimizer keeps, if it does.
#[inline(always)]
fn row<const L: usize>(kept: &mut [F32x16], i: usize) -> Option<&mut [F32x16; L]> {
    kept.as_chunks_mut::<L>().0.get_mut(i)
}

/// One update of one vector of weights: a call where vectors are arrays, whose operations a compiler
/// unrolls lane by lane, which takes it long.
struct Advance<'a, U> {
    step: &'a U,
    gradient: &'a F32x16,
    weights: &'a mut F32x16,
    kept: [Option<&'a mut F32x16>; 2],
    nonfinite: &'a mut F32x16,
}

impl<U: Step> Kernel for Advance<'_, U> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let kept = self.kept.map(|row| row.map(from_mut));
        let gradient = [s.load(self.gradient)];
        advance(
            s,
            self.step,
            gradient,
            from_mut(self.weights),
            kept,
            self.nonfinite,
        );
    }
}

/// One update of a row of weights.
#[inline(always)]
fn advance<S: Simd, U: Step, const L: usize>(
    s: S,
    step: &U,
    gradient: [S::V; L],
    weights: &mut [F32x16; L],
    kept: [Option<&mut [F32x16; L]>; 2],
    nonfinite: &mut F32x16,
) {
    let a = Vectors(s);
    let number = |x| Num(a, x);
    let mut seen = s.load(nonfinite);
    let mut see = |x: S::V| seen = s.fma(x, s.splat(0.0), seen);
    match (U::KEPT, kept) {
        (2, [Some(first), Some(second)]) => {
            for l in 0..L {
                let before = [s.load(&first[l]), s.load(&second[l])].map(number);
                let (w, [m, v]) =
                    step.step(number(s.load(&weights[l])), number(gradient[l]), before);
                s.store(m.1, &mut first[l]);
                s.store(v.1, &mut second[l]);
                s.store(w.1, &mut weights[l]);
                see(w.1);
                if step.can_overflow() {
                    see(v.1);
                }
            }
        }
        (1, [Some(buffer), _]) => {
            for l in 0..L {
                let before = [s.load(&buffer[l]), s.splat(0.0)].map(number);
                let (w, [b, _]) =
                    step.step(number(s.load(&weights[l])), number(gradient[l]), before);
                s.store(b.1, &mut buffer[l]);
                s.store(w.1, &mut weights[l]);
                see(w.1);
            }
        }
        _ => {
            for l in 0..L {
                let nothing = [number(s.splat(0.0)); 2];
                let (w, _) = step.step(number(s.load(&weights[l])), number(gradient[l]), nothing);
                s.store(w.1, &mut weights[l]);
                see(w.1);
            }
        }
    }
    s.store(seen, nonfinite);
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
            let mut gradient = [s.splat(0.0); L];
            for l in 0..L {
                gradient[l] = s.load(&sums[l]);
            }
            self.sink.put::<S, L>(s, i, gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::simd::{Isa, LANES},
        *,
    };
    use crate::{
        Adam,
        optim::{Optimizer, adam::Moments},
    };

    /// Adam's update of one weight without the rule for subnormal moments.
    fn plain(u: &Moments<f32>, fused: bool, g: f32, [w, m, v]: [f32; 3]) -> [f32; 3] {
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
            let (mut nonfinite, mut optimizer) = (F32x16::ZERO, Optimizer::from(Adam::new(5e-4)));
            let mut subnormal = 0;
            for n in 0..3200 {
                let update = optimizer.next_updates().of(String::new);
                let Update::Adam(moments) = update else {
                    unreachable!("{update:?}")
                };
                optimizer.step += 1;
                let gradients = [F32x16(std::array::from_fn(|lane| gradient(lane, n)))];
                isa.run(Deliver {
                    vectors: 1,
                    sums: &gradients,
                    sink: Sink::Update {
                        update: LayerUpdate {
                            weight: update,
                            bias: update,
                        },
                        bias_row: None,
                        weights: &mut weights,
                        kept: [&mut first, &mut second],
                        nonfinite: &mut nonfinite,
                    },
                });
                for (lane, expected) in expected.iter_mut().enumerate() {
                    *expected = plain(&moments, fused, gradients[0].0[lane], *expected);
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
