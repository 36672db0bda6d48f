//! Initial weights.

use ndarray::{Array1, Array2};
use rand_chacha::ChaCha8Rng;

use crate::{
    Error, Float, Result,
    draw::{RandomExt, Uniform, normal},
};

/// How initial weights are drawn, from the network's seed. They are drawn as doubles and rounded, so `f32`
/// and `f64` networks with the same seed agree, on every machine.
///
/// `n_in` is the number of inputs of a neuron: of the layer's inputs for the weights from below, of the
/// layer's neurons for recurrent weights.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// `U(−1/√n_in, 1/√n_in)`, as `torch.nn.Linear` does; the default.
    Linear,
    /// `U(−bound, bound)`.
    Uniform {
        /// At least 0.
        bound: f64,
    },
    /// `N(mean, sd²)`.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation, at least 0.
        sd: f64,
    },
    /// `N(0, scale²/n_in)`: SpyTorch's `weight_scale`. LeCun's initialization with 1, He's with √2.
    Scaled {
        /// At least 0.
        scale: f64,
    },
    /// A random matrix with orthonormal rows, or columns if it has fewer, times the gain, as
    /// `torch.nn.init.orthogonal_` makes one.
    ///
    /// Source: Saxe, McClelland & Ganguli, *Exact solutions to the nonlinear dynamics of learning in deep
    /// linear neural networks*, ICLR 2014.
    Orthogonal {
        /// Finite.
        gain: f64,
    },
    /// The same value everywhere.
    Constant(f64),
    /// Neuron `n` gets input `n mod n_in`, with weight 1: several neurons for each channel.
    Tiled,
}

impl Init {
    /// Weights that let a current-based neuron's membrane fluctuate below the threshold: with `inputs`
    /// inputs that each fire with probability `rate` per step, the membrane without reset has mean 0 and
    /// a standard deviation of `threshold/xi`. `alpha` and `beta` are the decays, `gain` the gain from
    /// current to membrane; `alpha` is 0 without a synaptic current. A `xi` of 1 to 3 is usual.
    ///
    /// The variance of the membrane is `inputs · rate · sd² · Σ_t k_t²`, `k` the membrane's response to a
    /// spike of weight 1: `k_t = β k_{t−1} + γ α^t`.
    ///
    /// Source: Rossbroich, Gygax & Zenke, *Fluctuation-driven initialization for spiking neural network
    /// training*, Neuromorphic Computing and Engineering 2, 2022.
    ///
    /// ```
    /// use spikegrad::Init;
    ///
    /// // A single input of rate 1 and no memory: the membrane is the weight.
    /// assert_eq!(Init::fluctuation_driven(1, 1.0, [0.0, 0.0, 1.0], 1.0, 2.0), Init::Normal { mean: 0.0, sd: 0.5 });
    /// ```
    pub fn fluctuation_driven(
        inputs: usize,
        rate: f64,
        [alpha, beta, gain]: [f64; 3],
        threshold: f64,
        xi: f64,
    ) -> Init {
        // Σ_t k_t² of k_t = γ (β^{t+1} − α^{t+1})/(β − α), as the sum of three geometric series; written so
        // that α = β needs no case of its own.
        let squares = gain * gain * (1.0 + alpha * beta)
            / ((1.0 - alpha * beta) * (1.0 - alpha * alpha) * (1.0 - beta * beta));
        Init::Normal {
            mean: 0.0,
            sd: threshold / (xi * (inputs as f64 * rate * squares).sqrt()),
        }
    }

    /// Checks the numbers; `place` names the weights.
    pub(super) fn check(self, place: &str) -> Result<()> {
        let (value, from_0) = match self {
            Init::Linear | Init::Tiled => return Ok(()),
            Init::Uniform { bound } => (bound, true),
            Init::Normal { mean, sd } => match mean.is_finite() {
                true => (sd, true),
                false => (mean, false),
            },
            Init::Scaled { scale } => (scale, true),
            Init::Orthogonal { gain } => (gain, false),
            Init::Constant(value) => (value, false),
        };
        if value.is_finite() && (!from_0 || value >= 0.0) {
            return Ok(());
        }
        let expected = match from_0 {
            true => "a finite number of at least 0",
            false => "a finite number",
        };
        let name = format!("{place}: initial weights, {self:?}");
        Err(Error::parameter(name, value, expected))
    }

    /// `[out, in]`.
    pub(super) fn matrix<F: Float>(
        self,
        (rows, columns): (usize, usize),
        rng: &mut ChaCha8Rng,
    ) -> Result<Array2<F>> {
        let scaled = |sd: f64, mean: f64, rng: &mut ChaCha8Rng| {
            Array2::from_shape_simple_fn((rows, columns), || mean + sd * normal(rng))
        };
        let per_input = 1.0 / (columns as f64).sqrt();
        let drawn = match self {
            Init::Linear => Array2::random_using((rows, columns), uniform(per_input)?, rng),
            Init::Uniform { bound } => Array2::random_using((rows, columns), uniform(bound)?, rng),
            Init::Normal { mean, sd } => scaled(sd, mean, rng),
            Init::Scaled { scale } => scaled(scale * per_input, 0.0, rng),
            Init::Orthogonal { gain } if rows > columns => {
                orthonormal((columns, rows), rng)
                    .reversed_axes()
                    .as_standard_layout()
                    .into_owned()
                    * gain
            }
            Init::Orthogonal { gain } => orthonormal((rows, columns), rng) * gain,
            Init::Constant(value) => Array2::from_elem((rows, columns), value),
            Init::Tiled => {
                Array2::from_shape_fn((rows, columns), |(n, j)| f64::from(n % columns == j))
            }
        };
        Ok(drawn.mapv_into_any(F::from_f64))
    }

    /// `[out]`: the weights of neurons to themselves, one input each.
    pub(super) fn vector<F: Float>(self, len: usize, rng: &mut ChaCha8Rng) -> Result<Array1<F>> {
        let drawn = match self {
            Init::Orthogonal { gain } => Init::Constant(gain).matrix((len, 1), rng)?,
            init => init.matrix((len, 1), rng)?,
        };
        Ok(drawn.column(0).to_owned())
    }
}

/// Biases as `torch.nn.Linear` draws them for `inputs` inputs: `U(−1/√inputs, 1/√inputs)`, `[len]`.
pub(super) fn biases<F: Float>(
    len: usize,
    inputs: usize,
    rng: &mut ChaCha8Rng,
) -> Result<Array1<F>> {
    let bound = uniform(1.0 / (inputs as f64).sqrt())?;
    Ok(Array1::random_using(len, bound, rng).mapv_into_any(F::from_f64))
}

fn uniform(bound: f64) -> Result<Uniform<f64>> {
    Uniform::new_inclusive(-bound, bound)
        .map_err(|e| Error::parameter("bound of initial weights", bound, e.to_string()))
}

/// Orthonormal rows, at most as many as there are columns: normal numbers, each row less its projections
/// on the rows before it (twice, for the digits that the first loses).
fn orthonormal((rows, columns): (usize, usize), rng: &mut ChaCha8Rng) -> Array2<f64> {
    let mut m: Array2<f64> = Array2::from_shape_simple_fn((rows, columns), || normal(rng));
    for n in 0..rows {
        let (before, mut rest) = m.view_mut().split_at(ndarray::Axis(0), n);
        let mut row = rest.row_mut(0);
        for _ in 0..2 {
            for earlier in before.rows() {
                let along = row.dot(&earlier);
                row.scaled_add(-along, &earlier);
            }
        }
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    m
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;

    fn drawn(init: Init, shape: (usize, usize)) -> Array2<f64> {
        init.matrix(shape, &mut ChaCha8Rng::seed_from_u64(3))
            .expect("numbers in range")
    }

    #[test]
    fn rows_or_columns_are_orthonormal() {
        for shape in [(5, 9), (9, 5), (7, 7), (1, 4)] {
            let m = drawn(Init::Orthogonal { gain: 2.0 }, shape);
            let product = match shape.0 <= shape.1 {
                true => m.dot(&m.t()),
                false => m.t().dot(&m),
            };
            for ((i, j), x) in product.indexed_iter() {
                let expected = if i == j { 4.0 } else { 0.0 };
                assert!((x - expected).abs() < 1e-12, "{shape:?} [{i}, {j}] {x}");
            }
        }
    }

    #[test]
    fn normal_weights_have_their_moments() {
        let m = drawn(Init::Normal { mean: 0.5, sd: 2.0 }, (200, 500));
        let mean = m.mean().expect("not empty");
        let variance = m.mapv(|x| (x - mean).powi(2)).mean().expect("not empty");
        let fourth = m
            .mapv(|x| ((x - mean) / 2.0).powi(4))
            .mean()
            .expect("not empty");
        // Standard errors of 100,000 draws: 0.006, 0.018, 0.03.
        assert!((mean - 0.5).abs() < 0.03, "{mean}");
        assert!((variance - 4.0).abs() < 0.09, "{variance}");
        assert!((fourth - 3.0).abs() < 0.15, "{fourth}");
        let scaled = drawn(Init::Scaled { scale: 3.0 }, (200, 900));
        let sd = scaled.mapv(|x| x * x).mean().expect("not empty").sqrt();
        assert!((sd - 0.1).abs() < 0.002, "{sd}");
    }

    #[test]
    fn a_fluctuating_membrane_has_its_deviation() {
        let constants @ [alpha, beta, gain] = [0.9, 0.8, 0.2];
        let Init::Normal { sd, .. } = Init::fluctuation_driven(50, 0.1, constants, 1.5, 3.0) else {
            panic!("normal weights");
        };
        let (mut i, mut u, mut squares) = (1.0, 0.0, 0.0);
        for _ in 0..1000 {
            u = beta * u + gain * i;
            i *= alpha;
            squares += u * u;
        }
        let deviation = (50.0 * 0.1 * sd * sd * squares).sqrt();
        assert!((deviation - 0.5).abs() < 1e-12, "{deviation}");
    }
}
