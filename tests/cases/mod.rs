//! The table of cases that every engine goes through: a case is a line in it, and a module with a test
//! for each thing that must hold.

use std::ops::Range;

use ndarray::{Array2, Array3, s};
use spikegrad::{
    AdLif, Adaptive, Alpha, Draw, Dynamics, Encoder, Init, Input, Lapicque, Leaky, LeakyIntegrator,
    Loss, Lsnn, Network, NetworkBuilder, Objective, PerNeuron, Recurrence, Reset, Surrogate,
    Surrogate::*, Synaptic, neuron::Neurons,
};

/// An input with a storage of its own.
#[derive(Debug, Clone)]
pub enum Data {
    Constant(Array2<f32>, usize),
    Sequence(Array3<f32>),
}

impl Data {
    /// Some of the steps.
    pub fn steps(&self, steps: Range<usize>) -> Data {
        match self {
            Data::Constant(x, _) => Data::Constant(x.clone(), steps.len()),
            Data::Sequence(x) => Data::Sequence(x.slice(s![steps, .., ..]).to_owned()),
        }
    }

    /// One of the samples.
    pub fn sample(&self, b: usize) -> Data {
        match self {
            Data::Constant(x, steps) => Data::Constant(x.slice(s![b..=b, ..]).to_owned(), *steps),
            Data::Sequence(x) => Data::Sequence(x.slice(s![.., b..=b, ..]).to_owned()),
        }
    }

    /// In double precision, `f` of it.
    pub fn with_double<R>(&self, f: impl FnOnce(Input<'_, f64>) -> R) -> R {
        match self {
            Data::Constant(x, num_steps) => {
                f(Input::constant(x.mapv(f64::from).view(), *num_steps))
            }
            Data::Sequence(x) => f(Input::sequence(x.mapv(f64::from).view())),
        }
    }

    pub fn input(&self) -> Input<'_> {
        match self {
            Data::Constant(x, num_steps) => Input::constant(x.view(), *num_steps),
            Data::Sequence(x) => Input::sequence(x.view()),
        }
    }
}

/// Deterministic numbers in `[0, 1)`.
pub fn noise(i: usize) -> f32 {
    (i as f64 * 0.754_877_666).fract() as f32
}

/// Static: `density` of the entries are not 0.
pub fn constant(batch: usize, inputs: usize, num_steps: usize, density: f32) -> Data {
    let entry = |i: usize| {
        if noise(3 * i + 1) < density {
            0.2 + noise(i)
        } else {
            0.0
        }
    };
    Data::Constant(
        Array2::from_shape_fn((batch, inputs), |(b, n)| entry(b * inputs + n)),
        num_steps,
    )
}

/// Time-varying; binary if `binary`.
pub fn sequence(num_steps: usize, batch: usize, inputs: usize, density: f32, binary: bool) -> Data {
    let entry = |i: usize| match noise(3 * i + 1) < density {
        true if binary => 1.0,
        true => 1.5 * noise(i) - 0.3,
        false => 0.0,
    };
    Data::Sequence(Array3::from_shape_fn(
        (num_steps, batch, inputs),
        |(t, b, n)| entry((t * batch + b) * inputs + n),
    ))
}

/// A sequence of 30 steps and 6 samples, active in the 64 rows by which the CPU engine judges whether a
/// sequence is sparse, and nowhere else; or the other way round.
pub fn misjudged(inputs: usize, looks_dense: bool) -> Data {
    let judged: Vec<usize> = (0..64_u64)
        .map(|n| ((u128::from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)) * 180) >> 64) as usize)
        .collect();
    let Data::Sequence(mut x) = sequence(30, 6, inputs, 1.0, false) else {
        unreachable!("a sequence")
    };
    for ((t, b, _), x) in x.indexed_iter_mut() {
        if judged.contains(&(b * 30 + t)) != looks_dense {
            *x = 0.0;
        }
    }
    Data::Sequence(x)
}

/// A network, what it is fed, and what it is trained to.
pub struct Case {
    pub label: String,
    pub network: Network,
    pub data: Data,
    pub objective: Objective,
}

impl Case {
    pub fn targets(&self) -> Vec<usize> {
        (0..self.data.input().batch())
            .map(|b| (5 * b + 2) % self.network.outputs())
            .collect()
    }

    /// The objective in double precision; a loss of one's own is that of the spike count.
    pub fn objective64(&self) -> Objective<f64> {
        let loss = match &self.objective.loss {
            Loss::CrossEntropyMembrane => Loss::CrossEntropyMembrane,
            Loss::CrossEntropyRate => Loss::CrossEntropyRate,
            Loss::CrossEntropyMaxMembrane => Loss::CrossEntropyMaxMembrane,
            Loss::MseCount {
                correct_rate,
                incorrect_rate,
            } => Loss::MseCount {
                correct_rate: *correct_rate,
                incorrect_rate: *incorrect_rate,
            },
            Loss::MseMembrane {
                on_target,
                off_target,
            } => Loss::MseMembrane {
                on_target: *on_target,
                off_target: *off_target,
            },
            _ => Loss::CrossEntropyCount,
        };
        Objective {
            loss,
            rate_l1: self.objective.rate_l1,
            penalties: self.objective.penalties.clone(),
        }
    }

    /// The same with all parameters a little larger, `n` times.
    pub fn nudged(mut self, n: i32) -> Self {
        let factor = 1.003_f32.powi(n);
        for (name, mut values) in self.network.parameters_mut() {
            if name.starts_with("fc") {
                values.mapv_inplace(|w| factor * w);
            }
        }
        self
    }
}

/// Widths from the input on, and the neuron of each layer.
pub fn network<N: Into<Neurons>>(sizes: &[usize], neuron: impl Fn(usize) -> N) -> Network {
    connected(sizes, neuron, |_, builder| builder)
}

/// The same, with further settings of each layer.
fn connected<N: Into<Neurons>>(
    sizes: &[usize],
    neuron: impl Fn(usize) -> N,
    set: impl Fn(usize, NetworkBuilder) -> NetworkBuilder,
) -> Network {
    let layers = sizes[1..].iter().enumerate();
    let mut network: Network = layers
        .fold(Network::builder(sizes[0]), |b, (k, &n)| {
            set(k, b.layer(n, neuron(k)))
        })
        .seed(3)
        .build()
        .unwrap();
    // Initial weights hardly fire in small networks: make them bite.
    for (name, mut values) in network.parameters_mut() {
        if name.starts_with("fc") && name.ends_with("weight") {
            values.mapv_inplace(|w| 2.5 * w + 0.02);
        }
    }
    network
}

fn leaky(_: usize) -> Leaky {
    Leaky::new(0.95)
}

/// A case of the usual loss.
fn usual(network: Network, data: Data) -> Case {
    with(Loss::CrossEntropyMembrane, 0.0, network, data)
}

fn with(loss: Loss, rate_l1: f64, network: Network, data: Data) -> Case {
    Case {
        label: String::new(),
        network,
        data,
        objective: Objective {
            rate_l1,
            ..loss.into()
        },
    }
}

/// A case of a loss, with a price on spikes.
fn lossy(loss: Loss) -> Case {
    let network = network(&[30, 70, 20], leaky);
    with(loss, 0.001, network, constant(6, 30, 11, 0.4))
}

/// A loss of one's own; it is that of the spike count.
fn own_loss() -> Loss {
    Loss::custom(|recording, targets| Loss::CrossEntropyCount.evaluate(recording, targets))
}

/// A value for each of `n` neurons.
fn each(n: usize, low: f64) -> PerNeuron {
    PerNeuron::Each((0..n).map(|i| low + 0.04 * (i % 10) as f64).collect())
}

/// A case of a rule of the neuron. Where constants are learnt they are of each neuron, but for one.
fn rule(
    dynamics: Dynamics,
    (reset, detach): (Reset, bool),
    surrogate: Surrogate,
    learn: bool,
) -> Case {
    let sizes = [15, 70, 4];
    let neuron = |k: usize| {
        let leaky = if learn {
            Leaky::new(each(sizes[k + 1], 0.5))
        } else {
            Leaky::new(0.85)
        };
        let theta = if learn && k == 0 {
            0.7.into()
        } else {
            each(sizes[k + 1], 0.6)
        };
        leaky
            .threshold(theta)
            .dynamics(dynamics)
            .reset(reset)
            .detach_reset(detach)
            .surrogate(surrogate)
            .learn_beta(learn)
            .learn_threshold(learn)
    };
    usual(network(&sizes, neuron), constant(3, 15, 9, 0.6))
}

/// A case of a rule of the current-based neuron; `old`: whether the membrane reads the old current. Where
/// constants are learnt, every other layer has one for each neuron.
fn current_based(
    dynamics: Dynamics,
    (reset, detach): (Reset, bool),
    sizes: &[usize],
    old: bool,
    surrogate: Surrogate,
    learn: bool,
) -> Case {
    let neuron = |k: usize| {
        let of = |low: f64| match (learn, (k + sizes.len()) % 2) {
            (true, 0) => each(sizes[k + 1], low),
            _ => low.into(),
        };
        Synaptic::new(of(0.4), of(0.5))
            .gain(of(0.7))
            .threshold(each(sizes[k + 1], 0.3))
            .dynamics(dynamics)
            .reset(reset)
            .detach_reset(detach)
            .old_current(old)
            .surrogate(surrogate)
            .learn_alpha(learn)
            .learn_beta(learn)
            .learn_gain(learn)
            .learn_threshold(learn)
    };
    let data = match sizes.len() {
        3 => constant(3, 15, 9, 0.6),
        _ => sequence(11, 3, 15, 0.5, true),
    };
    usual(network(sizes, neuron), data)
}

/// A case of both kinds of neurons in one network; `current_first`: which is the first layer's.
fn both_kinds(current_first: bool) -> Case {
    let neuron = |k: usize| match k.is_multiple_of(2) == current_first {
        true => Neurons::from(Synaptic::spytorch(0.6, 0.8).threshold(0.5)),
        false => Neurons::from(Leaky::new(0.85)),
    };
    let network = network(&[15, 70, 33, 4], neuron);
    with(
        Loss::CrossEntropyCount,
        0.001,
        network,
        sequence(11, 3, 15, 0.5, true),
    )
}

/// A case of a neuron in two layers, the first wide, on a loss of spikes. All constants are learnt, those
/// of the first layer by neuron where the neuron has them so.
fn spiking<N: Into<Neurons>>(neuron: impl Fn(usize) -> N) -> Case {
    let network = network(&[15, 70, 33], |k| {
        learning(neuron(if k == 0 { 70 } else { 33 }))
    });
    with(
        Loss::CrossEntropyCount,
        0.001,
        network,
        sequence(11, 3, 15, 0.5, true),
    )
}

/// All constants learnt.
fn learning(neuron: impl Into<Neurons>) -> Neurons {
    let neuron = neuron.into();
    let names = neuron.constants().iter();
    names.fold(neuron.clone(), |neuron, constant| {
        neuron.learn(constant.name, true)
    })
}

/// A case of a read-out without spikes, behind an encoder and a current-based layer.
fn read_out(old: bool, loss: Loss) -> Case {
    let neuron = |k: usize| match k {
        0 => learning(
            Encoder::new(0.7)
                .gain(each(40, 3.0))
                .bias(each(40, 0.1))
                .threshold(0.5),
        ),
        1 => Synaptic::spytorch(0.6, 0.8).threshold(0.5).into(),
        _ => learning(
            LeakyIntegrator::new(each(20, 0.4))
                .alpha(0.6)
                .gain(0.5)
                .old_current(old),
        ),
    };
    let network = network(&[15, 40, 70, 20], neuron);
    with(loss, 0.001, network, constant(3, 15, 12, 0.6))
}

fn encoder(dynamics: Dynamics, reset: Reset) -> Case {
    let neuron = |n| {
        let encoder = Encoder::new(each(n, 0.4))
            .gain(each(n, 0.8))
            .bias(each(n, -0.1));
        encoder
            .threshold(each(n, 0.4))
            .dynamics(dynamics)
            .reset(reset)
    };
    spiking(|n| {
        neuron(n)
            .detach_reset(false)
            .normalized(false)
            .surrogate(Sigmoid { slope: 5.0 })
    })
}

fn lapicque(reset: Reset) -> Case {
    spiking(|n| {
        Lapicque::circuit(4.0, 1.5, 1.0)
            .reset(reset)
            .threshold(each(n, 0.4))
    })
}

fn alpha(reset: Reset) -> Case {
    spiking(|n| {
        Alpha::new(each(n, 0.55), 0.4)
            .reset(reset)
            .threshold(each(n, 0.5))
    })
}

fn adaptive(old: bool, detach: bool) -> Case {
    let neuron = |n| match old {
        true => Adaptive::bellec(each(n, 0.4), each(n, 0.5)),
        false => Adaptive::yin(each(n, 0.4), each(n, 0.5)),
    };
    spiking(|n| {
        let neuron = neuron(n).adaptation(0.5).threshold(each(n, 0.15));
        neuron.detach_reset(detach).detach_adaptation(detach)
    })
}

fn lsnn(detach: bool) -> Case {
    spiking(|n| {
        let neuron = Lsnn::new(each(n, 0.3), 0.6, each(n, 0.5)).adaptation(0.2);
        neuron
            .threshold(each(n, 0.2))
            .detach_reset(detach)
            .surrogate(FastSigmoid { slope: 5.0 })
    })
}

fn adlif() -> Case {
    let a = Draw::Uniform {
        low: -0.2,
        high: 0.2,
    };
    spiking(|_| AdLif::sparch().a(a).b(0.1).threshold(0.1))
}

/// A case of neurons that are connected within their layers, all but the last.
fn recurrent<N: Into<Neurons>>(
    sizes: &[usize],
    recurrence: Recurrence,
    neuron: impl Fn(usize) -> N,
) -> Case {
    let last = sizes.len() - 2;
    let set = |k, builder: NetworkBuilder| match k < last {
        true => builder
            .recurrent(recurrence)
            .recurrent_init(Init::Normal { mean: 0.0, sd: 0.1 }),
        false => builder,
    };
    let network = connected(sizes, neuron, set);
    with(
        Loss::CrossEntropyMembrane,
        0.001,
        network,
        sequence(11, 5, sizes[0], 0.5, true),
    )
}

/// A case of leaky neurons, connected all to all, under a static input.
fn recurrent_static() -> Case {
    let case = recurrent(&[15, 70, 4], Recurrence::all_to_all(), |_| {
        Leaky::new(0.85).threshold(0.5).learn_beta(true)
    });
    Case {
        data: constant(3, 15, 9, 0.6),
        ..case
    }
}

/// A case of fixed weights, and of layers without biases.
fn fixed_and_without_biases() -> Case {
    let set = |k, builder: NetworkBuilder| match k {
        0 => builder.fixed(),
        1 => builder.bias(false),
        _ => builder.bias(false).fixed(),
    };
    let neuron = |k| match k {
        1 => Neurons::from(Synaptic::new(0.5, 0.8).threshold(0.5).learn_gain(true)),
        _ => Neurons::from(Leaky::new(0.85).learn_threshold(true)),
    };
    let network = connected(&[15, 70, 33, 4], neuron, set);
    usual(network, sequence(11, 3, 15, 0.5, true))
}

/// Modules of this name, each with a case and its tests, and a list of them.
macro_rules! cases {
    ($($name:ident: $case:expr;)*) => {
        $(
            pub mod $name {
                #[allow(unused_imports)]
                use super::*;

                pub fn case() -> Case {
                    let (_, label) = module_path!().split_once("cases::").unwrap();
                    let label = label.into();
                    Case { label, ..$case }
                }

                fn agrees(engine: &str, make: &crate::engines::Make) {
                    crate::agrees(case, engine, make);
                }
                on_every_engine!(agrees);

                fn in_pieces(engine: &str, make: &crate::engines::Make) {
                    crate::in_pieces(case, engine, make);
                }
                on_every_engine!(in_pieces);

                #[test]
                fn bites() {
                    crate::bites(&case());
                }

                #[test]
                fn predictor_has_the_bits_of_the_engine() {
                    crate::predictor_has_the_bits_of_the_engine(&case());
                }

                #[test]
                #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
                fn vector_width_does_not_show() {
                    crate::vector_width_does_not_show(&case());
                }

                #[test]
                #[cfg(feature = "rayon")]
                fn threads_do_not_show() {
                    crate::threads_do_not_show(&case());
                }

                #[test]
                fn recording_is_good_for_any_engine() {
                    crate::recording_is_good_for_any_engine(case);
                }
            }
        )*

        fn list() -> Vec<fn() -> Case> {
            vec![$($name::case),*]
        }
    };
}

/// All of them.
pub fn all() -> Vec<fn() -> Case> {
    let rules = [
        fire_then_integrate::all(),
        integrate_then_fire::all(),
        integrate_fire_reset::all(),
    ];
    [list(), rules.concat()].concat()
}

// Shapes, inputs and losses; widths that divide by nothing among them.
cases! {
    main_job_small: usual(network(&[50, 100, 10], leaky), constant(7, 50, 12, 0.2));
    dense_static_input: usual(network(&[50, 100, 10], leaky), constant(9, 50, 12, 1.0));
    one_layer: usual(network(&[17, 5], leaky), constant(3, 17, 9, 0.5));
    one_output: usual(network(&[17, 33, 1], leaky), constant(3, 17, 9, 0.5));
    one_of_everything: usual(network(&[1, 1, 1], leaky), constant(1, 1, 1, 1.0));
    one_step: usual(network(&[20, 30, 4], leaky), constant(5, 20, 1, 0.5));
    one_sample: usual(network(&[20, 30, 4], leaky), constant(1, 20, 20, 0.5));
    long: usual(network(&[8, 20, 3], leaky), constant(2, 8, 1000, 0.5));
    wide_above_wide: usual(network(&[20, 130, 70, 5], leaky), constant(4, 20, 10, 0.5));
    many_classes: usual(network(&[20, 40, 97], leaky), constant(4, 20, 10, 0.5));
    classes_33: usual(network(&[20, 65, 33], leaky), constant(4, 20, 10, 0.5));
    five_layers: usual(network(&[12, 31, 64, 15, 48, 3], leaky), constant(4, 12, 15, 0.7));
    sparse_events: usual(network(&[60, 40, 5], leaky), sequence(15, 4, 60, 0.05, true));
    binary_dense: usual(network(&[60, 40, 5], leaky), sequence(15, 4, 60, 0.8, true));
    real_dense: usual(network(&[61, 67, 5], leaky), sequence(13, 5, 61, 1.0, false));
    real_wide: usual(network(&[30, 64, 128, 40], leaky), sequence(8, 3, 30, 1.0, false));
    real_dense_wide_seven_vectors: usual(
        network(&[213, 104, 100, 40], leaky),
        sequence(30, 3, 213, 1.0, false)
    );
    real_dense_long: usual(network(&[90, 70, 5], leaky), sequence(100, 3, 90, 1.0, false));
    // More inputs, and more neurons above others, than a dense product takes at a time.
    real_dense_830_inputs: usual(
        network(&[830, 40, 5], |_| Leaky::new(0.95).threshold(6.0)),
        sequence(5, 3, 830, 1.0, false)
    );
    neurons_830_above_40: usual(network(&[20, 40, 830, 5], leaky), constant(3, 20, 8, 0.5));
    sparse_looks_dense: usual(network(&[40, 70, 5], leaky), misjudged(40, true));
    dense_looks_sparse: usual(network(&[40, 70, 5], leaky), misjudged(40, false));
    silent_input: usual(network(&[10, 20, 3], leaky), constant(2, 10, 5, 0.0));
    cross_entropy_count: lossy(Loss::CrossEntropyCount);
    cross_entropy_rate: lossy(Loss::CrossEntropyRate);
    cross_entropy_max_membrane: lossy(Loss::CrossEntropyMaxMembrane);
    mse_count: lossy(Loss::MseCount {
        correct_rate: 0.75,
        incorrect_rate: 0.1,
    });
    mse_membrane: lossy(Loss::MseMembrane {
        on_target: 1.5,
        off_target: -0.25,
    });
    loss_of_ones_own: lossy(own_loss());
    read_out_of_the_new_current: read_out(false, Loss::CrossEntropyMaxMembrane);
    read_out_of_the_old_current: read_out(true, Loss::CrossEntropyMembrane);
    encoder_zero: encoder(Dynamics::FireThenIntegrate, Reset::Zero);
    encoder_subtract: encoder(Dynamics::IntegrateThenFire, Reset::Subtract);
    lapicque_subtract: lapicque(Reset::Subtract);
    lapicque_zero: lapicque(Reset::Zero);
    alpha_zero: alpha(Reset::Zero);
    alpha_subtract: alpha(Reset::Subtract);
    adaptive_bellec: adaptive(true, false);
    adaptive_yin: adaptive(false, false);
    adaptive_yin_detached: adaptive(false, true);
    lsnn_attached: lsnn(false);
    lsnn_detached: lsnn(true);
    adlif_sparch: adlif();
    both_kinds_of_neurons: both_kinds(false);
    both_kinds_of_neurons_a_current_first: both_kinds(true);
    recurrent_leaky: recurrent(&[15, 70, 33, 4], Recurrence::all_to_all(), |_| Leaky::new(0.85));
    recurrent_leaky_static: recurrent_static();
    // More neurons than a block of the CUDA engine has threads.
    recurrent_leaky_wide: recurrent(&[15, 401, 4], Recurrence::all_to_all().bias(false), |_| {
        Leaky::new(0.85).reset(Reset::Zero).detach_reset(false)
    });
    recurrent_synaptic: recurrent(&[15, 70, 33, 20], Recurrence::all_to_all().diagonal(false), |k| {
        learning(Synaptic::spytorch(0.6, 0.8).threshold(each([70, 33, 20][k], 0.3)))
    });
    recurrent_immediate: recurrent(&[15, 70, 4], Recurrence::all_to_all().learn(false), |_| {
        Synaptic::new(0.4, 0.8).dynamics(Dynamics::IntegrateFireReset).threshold(0.5)
    });
    recurrent_one_to_one: recurrent(&[15, 140, 33, 4], Recurrence::one_to_one(), |_| {
        Leaky::new(0.85).dynamics(Dynamics::IntegrateThenFire).learn_beta(true)
    });
    recurrent_one_to_one_fixed: recurrent(&[15, 70, 20], Recurrence::one_to_one().learn(false), |_| {
        Leaky::new(0.85).dynamics(Dynamics::IntegrateFireReset).reset(Reset::Zero)
    });
    recurrent_adaptive: recurrent(&[15, 70, 33], Recurrence::all_to_all(), |_| {
        learning(Adaptive::yin(0.6, 0.7).adaptation(0.5).threshold(0.15))
    });
    recurrent_lsnn: recurrent(&[15, 70, 4], Recurrence::all_to_all().bias(false), |_| {
        let lsnn = Lsnn::new(0.3, 0.6, 0.5).adaptation(0.2).threshold(0.2);
        lsnn.surrogate(FastSigmoid { slope: 5.0 })
    });
    fixed_weights_and_no_biases: fixed_and_without_biases();
    loss_of_ones_own_few_outputs: with(
        own_loss(),
        0.001,
        network(&[30, 70, 33, 10], leaky),
        constant(6, 30, 11, 0.4)
    );
}

// Every rule of a step with every surrogate.
macro_rules! surrogates {
    ($dynamics:expr, $($reset:ident: $what:expr;)*) => {
        $(
            mod $reset {
                use super::*;
                cases! {
                    arctan: rule($dynamics, $what, Arctan { alpha: 2.0 }, false);
                    arctan_learnt: rule($dynamics, $what, Arctan { alpha: 3.0 }, true);
                    fast_sigmoid: rule($dynamics, $what, FastSigmoid { slope: 10.0 }, false);
                    sigmoid_learnt: rule($dynamics, $what, Sigmoid { slope: 5.0 }, true);
                    triangular: rule($dynamics, $what, Triangular, false);
                    straight_through: rule($dynamics, $what, StraightThrough, false);
                    // Current-based neurons: a narrow layer under another, in between, and above; a
                    // wide output.
                    current_new: current_based(
                        $dynamics, $what, &[15, 70, 4], false, Arctan { alpha: 2.0 }, false
                    );
                    current_old_learnt: current_based(
                        $dynamics, $what, &[15, 70, 4], true, Arctan { alpha: 3.0 }, true
                    );
                    current_new_learnt: current_based(
                        $dynamics, $what, &[15, 70, 4], false, Sigmoid { slope: 5.0 }, true
                    );
                    current_old_wide_learnt: current_based(
                        $dynamics, $what, &[15, 70, 12, 35], true, FastSigmoid { slope: 10.0 }, true
                    );
                    current_new_wide: current_based(
                        $dynamics, $what, &[15, 70, 33, 20], false, FastSigmoid { slope: 5.0 }, false
                    );
                }
                pub fn all() -> Vec<fn() -> Case> {
                    list()
                }
            }
        )*

        pub fn all() -> Vec<fn() -> Case> {
            [$($reset::all()),*].concat()
        }
    };
}
macro_rules! resets {
    ($($dynamics:ident: $what:expr;)*) => { $(
        mod $dynamics {
            use super::*;
            surrogates! {
                $what,
                subtract: (Reset::Subtract, true);
                subtract_attached: (Reset::Subtract, false);
                zero: (Reset::Zero, true);
                zero_attached: (Reset::Zero, false);
                none: (Reset::None, true);
            }
        }
    )* };
}
resets! {
    fire_then_integrate: Dynamics::FireThenIntegrate;
    integrate_then_fire: Dynamics::IntegrateThenFire;
    integrate_fire_reset: Dynamics::IntegrateFireReset;
}
