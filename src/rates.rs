//! Expected and found firing rates: whether initial weights suit the input.

use std::fmt;

use ndarray::{Array1, Array2, Array3, ArrayView2, Axis, Zip};

use crate::{
    Input, Layer, Network, Predictor, Record, Recording, Result, State,
    engine::reference::run,
    neuron::rows::Spikes,
    synapses::Synapses,
    tensors::{LayerTensors, Recurrent},
};

/// The firing rates of a network's layers on a batch, beside those to be expected of its weights.
///
/// The expectation is that of fluctuation-driven firing. Of the inputs of a layer, or the spikes of the
/// layers below and of its own, it knows the rates alone, and takes them as independent. Then neuron `n`'s
/// membrane without reset is a normal number of
///
/// ```text
/// mean      μ_t = (Σ_j W_nj m_j + b_n) Σ_{s ≤ t} k_s
/// variance  σ²_t = Σ_j W_nj² v_j Σ_{s ≤ t} k_s²
/// ```
///
/// with `m_j`, `v_j` the mean and variance of input `j`, `k_s` the membrane's response to a current of 1, `s`
/// steps later; of recurrent synapses likewise, with `V` and `c`. What the membrane is without a current, by its
/// initial value or a bias of the neuron, is added to the mean. (An input that is the same at each step
/// fluctuates from sample to sample alone: `(Σ_{s ≤ t} k_s)²` takes the place of `Σ_{s ≤ t} k_s²`.) The expected
/// rate is the mean of `P(u_t > θ)` over neurons and steps. Resets are not in it, so a layer that fires a lot
/// fires less than expected. A found rate far below the expected one says that the inputs are not
/// independent, or that the membrane does not respond linearly.
///
/// Source: Rossbroich, Gygax & Zenke, *Fluctuation-driven initialization for spiking neural network
/// training*, Neuromorphic Computing and Engineering 2, 2022.
///
/// ```
/// use spikegrad::ndarray::Array3;
/// use spikegrad::{FiringRates, Init, Input, Leaky, Network};
///
/// // 100 inputs that fire in a tenth of the steps.
/// let x = Array3::from_shape_fn((50, 8, 100), |(t, b, n)| f32::from(u8::from((t + 3 * b + 7 * n) % 10 == 0)));
/// let network: Network = Network::builder(100)
///     .layer(20, Leaky::new(0.9))
///     .bias(false)
///     .init(Init::fluctuation_driven(100, 0.1, [0.0, 0.9, 1.0], 1.0, 2.0))
///     .build()?;
/// let rates = FiringRates::measure(&network, Input::sequence(x.view()))?;
/// assert_eq!(rates.layers()[0].neurons, 20);
/// print!("{rates}");
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FiringRates {
    layers: Vec<LayerRates>,
}

/// One layer's part of [`FiringRates`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct LayerRates {
    /// Number of neurons `N`.
    pub neurons: usize,
    /// The mean of `μ_t` over the neurons, at the last step.
    pub mean: f64,
    /// The root of the mean of `σ²_t` over the neurons, at the last step.
    pub deviation: f64,
    /// The mean threshold; `None` of neurons without.
    pub threshold: Option<f64>,
    /// The expected spikes per neuron and step, from 0 to 1; `None` of neurons without a threshold, and if
    /// the membrane without reset grows beyond all numbers.
    pub expected: Option<f64>,
    /// The spikes per neuron and step that there were, from 0 to 1.
    pub found: f64,
    /// How many neurons never fired.
    pub silent: usize,
}

impl FiringRates {
    /// Runs the network on `input` and compares.
    ///
    /// # Errors
    /// As [`Predictor::forward`].
    pub fn measure(network: &Network, input: Input<'_>) -> Result<Self> {
        let recording = Predictor::new(network).forward(input, &Record::All)?;
        let mut below = Source::of_input(input);
        let layers = network.layers().iter().enumerate().map(|(k, layer)| {
            let own = Source::of_spikes(&recording, k);
            let rates = of_layer(layer, &recording, k, input.num_steps(), &below, &own);
            below = own;
            rates
        });
        Ok(FiringRates {
            layers: layers.collect(),
        })
    }

    /// Each layer, from the input up.
    pub fn layers(&self) -> &[LayerRates] {
        &self.layers
    }
}

/// A table.
impl fmt::Display for FiringRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "layer  neurons    mean  deviation  threshold  expected rate  found rate  silent"
        )?;
        let number = |x: Option<f64>| x.map_or("-".into(), |x| format!("{x:.3}"));
        let percent = |x: Option<f64>| x.map_or("-".into(), |x| format!("{:.2} %", 100.0 * x));
        for (layer, k) in self.layers.iter().zip(1..) {
            writeln!(
                f,
                "{k:>5}  {:>7}  {:>6}  {:>9}  {:>9}  {:>13}  {:>10}  {:>6}",
                layer.neurons,
                number(Some(layer.mean)),
                number(Some(layer.deviation)),
                number(layer.threshold),
                percent(layer.expected),
                percent(Some(layer.found)),
                layer.silent,
            )?;
        }
        Ok(())
    }
}

/// What is known of the inputs of some weights, `[in]`.
struct Source {
    mean: Array1<f64>,
    variance: Array1<f64>,
    /// Whether they are the same at each step.
    constant: bool,
}

impl Source {
    fn of_input(input: Input<'_>) -> Self {
        match input {
            Input::Constant { x, .. } => Self::of(input.features(), &[x], true),
            Input::Sequence { x } => {
                let rows: Vec<_> = x.outer_iter().collect();
                Self::of(input.features(), &rows, false)
            }
        }
    }

    fn of_spikes(recording: &Recording, k: usize) -> Self {
        match recording.layer(k) {
            Some(trace) => {
                let rows: Vec<_> = trace.spk.outer_iter().collect();
                Self::of(trace.spk.len_of(Axis(2)), &rows, false)
            }
            None => Self::of(0, &[], false),
        }
    }

    /// Of rows `[B, N]`.
    fn of(features: usize, rows: &[ArrayView2<'_, f32>], constant: bool) -> Self {
        let (mut mean, mut square) = (Array1::zeros(features), Array1::zeros(features));
        let mut count = 0.0;
        for row in rows.iter().flat_map(|rows| rows.rows()) {
            Zip::from(&mut mean)
                .and(&mut square)
                .and(row)
                .for_each(|mean, square, &x| {
                    let x = f64::from(x);
                    *mean += x;
                    *square += x * x;
                });
            count += 1.0;
        }
        mean /= count;
        square /= count;
        let variance = square - mean.mapv(|mean: f64| mean * mean);
        Source {
            mean,
            variance: variance.mapv(|variance| variance.max(0.0)),
            constant,
        }
    }
}

/// The membrane's response to a current, without spikes and resets, each `[T, N]`.
struct Response {
    /// `Σ_{s ≤ t} k_s`
    sum: Array2<f64>,
    /// `Σ_{s ≤ t} k_s²`
    squares: Array2<f64>,
    /// The membrane without a current.
    offset: Array2<f64>,
}

impl Response {
    fn of(layer: &Layer, steps: usize) -> Self {
        let neurons = layer.neurons();
        let tensors = LayerTensors {
            weight: Array2::ones((neurons, 1)),
            bias: None,
            recurrent: None,
            constants: Vec::new(),
        };
        let synapses = Synapses {
            bias: false,
            ..Synapses::default()
        };
        let mut alone = Layer::of(synapses, layer.neuron.clone(), tensors);
        alone.constants = layer.constants.clone();
        let constants = alone.neuron.constants().iter().zip(&mut alone.constants);
        for (constant, values) in constants {
            if constant.name == THRESHOLD {
                values.fill(UNREACHED);
            }
        }
        let alone = Network::from_layers(vec![alone]);
        let respond = |at_first: f32| {
            let mut x = Array3::zeros((steps, 1, 1));
            x.iter_mut().take(1).for_each(|x| *x = at_first);
            let input = Input::sequence(x.view());
            let mut state = State::at_rest(&alone, 1);
            let recording = run(&alone, input, &mut state, Spikes::Hard, None);
            let membrane = recording.output().mem.index_axis(Axis(1), 0);
            membrane.mapv(f64::from)
        };
        let offset = respond(0.0);
        let mut sum = respond(1.0) - &offset;
        let mut squares = sum.mapv(|k| k * k);
        sum.accumulate_axis_inplace(Axis(0), |before, now| *now += before);
        squares.accumulate_axis_inplace(Axis(0), |before, now| *now += before);
        Response {
            sum,
            squares,
            offset,
        }
    }
}

/// The name of the constant that a membrane has to exceed.
const THRESHOLD: &str = "threshold";

/// A threshold that no membrane exceeds.
const UNREACHED: f32 = 1e30;

fn of_layer(
    layer: &Layer,
    recording: &Recording,
    k: usize,
    steps: usize,
    below: &Source,
    own: &Source,
) -> LayerRates {
    let neurons = layer.neurons();
    let response = Response::of(layer, steps);
    let weight = layer.weight().mapv(f64::from);
    let mut mean = weight.dot(&below.mean) + layer.bias().mapv(f64::from);
    // What the input contributes to the variance, and what the layer's own spikes do.
    let by_input = weight.mapv(|w| w * w).dot(&below.variance);
    let by_own = match &layer.recurrent {
        None => Array1::zeros(neurons),
        Some(Recurrent::AllToAll { weight, bias }) => {
            let weight = weight.mapv(f64::from);
            mean += &weight.dot(&own.mean);
            bias.iter().for_each(|bias| mean += &bias.mapv(f64::from));
            weight.mapv(|w| w * w).dot(&own.variance)
        }
        Some(Recurrent::OneToOne(each)) => {
            let each = each.mapv(f64::from);
            mean += &(&each * &own.mean);
            &each * &each * &own.variance
        }
    };
    let mean_at = |t: usize, n: usize| response.offset[[t, n]] + mean[n] * response.sum[[t, n]];
    let variance_at = |t: usize, n: usize| {
        let (sum, squares) = (response.sum[[t, n]], response.squares[[t, n]]);
        let per_input = if below.constant { sum * sum } else { squares };
        by_input[n] * per_input + by_own[n] * squares
    };
    let threshold = layer.constant(THRESHOLD);
    let expected = threshold.map(|threshold| {
        // The spike of a step reads this step's membrane, or the one of the step before.
        let theta = |n: usize| f64::from(threshold[if threshold.len() == 1 { 0 } else { n }]);
        let first = layer.neuron.run().spikes_first();
        let read = steps - usize::from(first);
        let mut sum = 0.0;
        if first {
            let above = |&n: &usize| layer.neuron.start_of(n) > theta(n);
            sum += (0..neurons).filter(above).count() as f64;
        }
        for (t, n) in (0..read).flat_map(|t| (0..neurons).map(move |n| (t, n))) {
            sum += above(theta(n), mean_at(t, n), variance_at(t, n));
        }
        sum / (steps * neurons) as f64
    });
    let over_neurons = |f: &dyn Fn(usize) -> f64| (0..neurons).map(f).sum::<f64>() / neurons as f64;
    LayerRates {
        neurons,
        mean: over_neurons(&|n| mean_at(steps - 1, n)),
        deviation: over_neurons(&|n| variance_at(steps - 1, n)).sqrt(),
        threshold: threshold.map(|threshold| {
            threshold.iter().map(|&x| f64::from(x)).sum::<f64>() / threshold.len() as f64
        }),
        expected: expected.filter(|expected| expected.is_finite()),
        found: own.mean.mean().unwrap_or(0.0),
        silent: recording
            .layer(k)
            .map_or(0, |trace| trace.silent_neurons().len()),
    }
}

/// `P(u > θ)` of a normal number `u`.
fn above(theta: f64, mean: f64, variance: f64) -> f64 {
    if variance == 0.0 {
        return f64::from(u8::from(mean > theta));
    }
    0.5 * libm::erfc((theta - mean) / (2.0 * variance).sqrt())
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;
    use crate::{
        Dynamics, Encoder, Init, Leaky, LeakyIntegrator, Recurrence, Reset, Synaptic, draw::normal,
    };

    /// Independent spikes, a tenth of all.
    fn spikes(shape: (usize, usize, usize)) -> Array3<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        // P(x > 1.2816) of a normal number is a tenth.
        Array3::from_shape_simple_fn(shape, || {
            f32::from(u8::from(normal(&mut rng) > 1.281_551_6))
        })
    }

    #[test]
    fn without_resets_the_expected_rate_is_found() {
        let x = spikes((40, 64, 100));
        for dynamics in [Dynamics::IntegrateThenFire, Dynamics::FireThenIntegrate] {
            let init = Init::fluctuation_driven(100, 0.1, [0.5, 0.8, 0.5], 1.0, 1.5);
            let neuron = Synaptic::new(0.5, 0.8)
                .gain(0.5)
                .dynamics(dynamics)
                .reset(Reset::None);
            let network: Network = Network::builder(100)
                .layer(50, neuron.clone())
                .bias(false)
                .init(init)
                .layer(20, neuron)
                .init(Init::Scaled { scale: 3.0 })
                .recurrent(Recurrence::all_to_all())
                .recurrent_init(Init::Scaled { scale: 0.3 })
                .layer(5, LeakyIntegrator::new(0.9))
                .build()
                .expect("a network");
            let rates = FiringRates::measure(&network, Input::sequence(x.view())).expect("rates");
            let [first, second, output] = rates.layers() else {
                panic!("three layers");
            };
            let expected = first.expected.expect("a threshold");
            assert!(
                expected > 0.1 && (first.found / expected - 1.0).abs() < 0.03,
                "{rates}"
            );
            assert!(
                (first.deviation - 0.9_f64.sqrt() / 1.5).abs() < 0.03,
                "{rates}"
            );
            // Spikes of one membrane depend on each other; the order of magnitude holds.
            let expected = second.expected.expect("a threshold");
            assert!(
                expected > 0.05 && (second.found / expected - 1.0).abs() < 0.5,
                "{rates}"
            );
            assert_eq!(
                (output.threshold, output.expected, output.found),
                (None, None, 0.0)
            );
            assert_eq!(output.silent, 5);
        }
    }

    #[test]
    fn a_constant_input_gives_the_membrane_itself() {
        // One sample: nothing fluctuates.
        let x = ndarray::array![[2.0_f32]];
        let rate = |network: Network| {
            let input = Input::constant(x.view(), 4);
            let rates = FiringRates::measure(&network, input).expect("rates");
            rates.layers()[0]
        };
        let one = |neurons: crate::neuron::Neurons| {
            let network = Network::builder(1).layer(1, neurons).bias(false);
            rate(
                network
                    .init(Init::Constant(0.25))
                    .build()
                    .expect("a network"),
            )
        };
        let leaky = Leaky::new(0.5)
            .dynamics(Dynamics::IntegrateThenFire)
            .reset(Reset::None);
        // 0.5, 0.75, 0.875, 0.9375
        let found = one(leaky.clone().threshold(0.8).into());
        assert_eq!((found.mean, found.deviation), (0.9375, 0.0));
        assert_eq!((found.expected, found.found), (Some(0.5), 0.5));
        let encoder = Encoder::new(0.5).gain(2.0).bias(-0.25).normalized(false);
        // β u + g (w x + b)
        assert_eq!(one(encoder.into()).mean, 2.0 * 0.25 * 1.875);
    }
}
