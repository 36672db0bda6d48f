//! Finite differences against the backward pass: every dynamics × reset × detach × surrogate ×
//! loss, one to four layers, static and time-varying input, real-valued and binary.
//!
//! The relaxed network is differenced in float64 (see `spikegrad::gradcheck`); 1e-6 of each
//! tensor's largest entry is the tolerance, well above what rounding leaves (about 1e-9) and far
//! below what any wrong term makes.

use std::collections::{BTreeMap, BTreeSet};

use approx::assert_relative_eq;
use ndarray::{Array2, Array3};
use proptest::{prelude::*, test_runner::RngSeed};
use spikegrad::{
    Adjoints, Dynamics, Input, Leaky, Loss, Network, Objective, PerNeuron, Reset, Surrogate,
    gradcheck::{GradcheckReport, gradcheck},
};

const DYNAMICS: [Dynamics; 3] = [
    Dynamics::FireThenIntegrate,
    Dynamics::IntegrateThenFire,
    Dynamics::IntegrateFireReset,
];
const RESETS: [(Reset, bool); 5] = [
    (Reset::Subtract, true),
    (Reset::Subtract, false),
    (Reset::Zero, true),
    (Reset::Zero, false),
    (Reset::None, true),
];
const SURROGATES: [Surrogate; 6] = [
    Surrogate::Arctan { alpha: 2.0 },
    Surrogate::Arctan { alpha: 5.0 },
    Surrogate::FastSigmoid { slope: 25.0 },
    Surrogate::Sigmoid { slope: 4.0 },
    Surrogate::Triangular,
    Surrogate::StraightThrough,
];

/// A loss that pulls at every layer.
fn custom() -> Loss<f64> {
    Loss::custom(|recording, _| {
        // Σ over layers of Σ s·(1 + index) + ½ Σ u²
        let mut adjoints = Adjoints::none(recording.num_layers());
        let mut value = 0.0;
        for k in 0..recording.num_layers() {
            let trace = recording.trace(k + 1).expect("all layers are kept");
            let weight = Array3::from_shape_fn(trace.spk.raw_dim(), |(t, b, n)| {
                1.0 + 0.1 * (t + 2 * b + 3 * n) as f64
            });
            value += (&weight * &trace.spk).sum() + 0.5 * trace.mem.mapv(|u| u * u).sum();
            adjoints.layers[k].spk = Some(weight);
            adjoints.layers[k].mem = Some(trace.mem.clone());
        }
        Ok((value, adjoints))
    })
}

/// All losses of the library, a custom one, and the rate penalty.
fn objectives() -> Vec<(&'static str, Objective<f64>)> {
    vec![
        ("ce membrane", Loss::CrossEntropyMembrane.into()),
        ("ce count", Loss::CrossEntropyCount.into()),
        ("ce rate", Loss::CrossEntropyRate.into()),
        ("ce max membrane", Loss::CrossEntropyMaxMembrane.into()),
        (
            "mse count",
            Loss::MseCount {
                correct_rate: 0.8,
                incorrect_rate: 0.2,
            }
            .into(),
        ),
        (
            "mse membrane",
            Loss::MseMembrane {
                on_target: 1.5,
                off_target: -0.5,
            }
            .into(),
        ),
        ("custom", custom().into()),
        (
            "ce membrane + l1",
            Objective {
                loss: Loss::CrossEntropyMembrane,
                rate_l1: 0.05,
                penalties: Vec::new(),
            },
        ),
    ]
}

/// Deterministic numbers in `[0, 1)`, different for every index.
fn noise(i: usize) -> f64 {
    (i as f64 * 0.754_877_666).fract()
}

/// Every entry agrees, and every tensor has a gradient.
fn assert_passes(case: &str, report: &GradcheckReport) {
    let nothing = report.nothing_to_compare();
    assert!(
        nothing.is_empty(),
        "{case}: nothing to compare in {nothing:?}\n{report}"
    );
    assert!(report.passes(), "{case}\n{report}");
}

/// The tutorial's neuron, layer counts 1 to 3, compared entry by entry with `approx`.
#[test]
fn the_tutorial_neuron() {
    for sizes in [&[5, 3][..], &[5, 6, 3], &[4, 6, 5, 3]] {
        let mut builder = Network::builder(sizes[0]).seed(7);
        for &n in &sizes[1..] {
            builder = builder.layer(n, Leaky::new(0.95).threshold(0.4));
        }
        let network: Network<f64> = builder.build().unwrap();
        let x = Array2::from_shape_fn((4, sizes[0]), |(b, n)| 2.0 * noise(17 * b + n));
        let sequence = Array3::from_shape_fn((9, 4, sizes[0]), |(t, b, n)| {
            2.0 * noise(31 * t + 17 * b + n)
        });
        for input in [
            Input::constant(x.view(), 9),
            Input::sequence(sequence.view()),
        ] {
            let report =
                gradcheck(&network, input, &[0, 2, 1, 1], Loss::CrossEntropyMembrane).unwrap();
            for t in &report.tensors {
                assert_relative_eq!(t.analytic, t.numeric, max_relative = 1e-6, epsilon = 1e-8);
            }
            assert_passes(&format!("{sizes:?}"), &report);
        }
    }
}

/// The whole product: 3 dynamics × 5 resets × 6 surrogates × 8 objectives, with everything learnt.
///
/// Not every objective reaches every tensor in every variant: the largest membrane may stand at the first
/// step, which no spike below has reached. But each variant has every tensor compared under some objective,
/// and each objective has every tensor compared in some variant.
#[test]
fn every_variant_and_loss() {
    let (binary, real) = (
        Array3::from_shape_fn((6, 2, 3), |(t, b, n)| {
            f64::from(u8::from(noise(7 * t + 5 * b + n) < 0.5))
        }),
        Array2::from_shape_fn((2, 3), |(b, n)| 2.0 * noise(3 * b + n)),
    );
    let mut case = 0;
    let mut compared: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for dynamics in DYNAMICS {
        for (reset, detach) in RESETS {
            for surrogate in SURROGATES {
                for (name, objective) in objectives() {
                    case += 1;
                    let neuron = |beta: PerNeuron, threshold: PerNeuron| {
                        Leaky::new(0.9)
                            .dynamics(dynamics)
                            .reset(reset)
                            .detach_reset(detach)
                            .surrogate(surrogate)
                            .learn_beta(true)
                            .learn_threshold(true)
                            .clone_with(beta, threshold)
                    };
                    let network: Network<f64> = Network::builder(3)
                        .layer(4, neuron(0.85.into(), vec![0.3, 0.5, 0.4, 0.6].into()))
                        .layer(2, neuron(vec![0.9, 0.7].into(), 0.45.into()))
                        .seed(case)
                        .build()
                        .unwrap();
                    let input = match case % 2 {
                        0 => Input::constant(real.view(), 6),
                        _ => Input::sequence(binary.view()),
                    };
                    let report = gradcheck(&network, input, &[1, 0], objective).unwrap();
                    let case = format!(
                        "{dynamics:?} {reset:?} detach {detach} {surrogate:?} {name} seed {case}"
                    );
                    assert!(report.passes(), "{case}\n{report}");
                    let variant = format!("{dynamics:?} {reset:?} detach {detach} {surrogate:?}");
                    for tensor in report.tensors.iter().filter(|tensor| !tensor.zero) {
                        for part in [&variant, name] {
                            let tensors = compared.entry(part.to_string()).or_default();
                            tensors.insert(tensor.name.clone());
                        }
                    }
                }
            }
        }
    }
    assert_eq!(case, 3 * 5 * 6 * 8);
    assert_eq!(compared.len(), 3 * 5 * 6 + 8);
    for (part, tensors) in compared {
        assert_eq!(tensors.len(), 8, "{part}: only {tensors:?} compared");
    }
}

/// The price on hidden spikes adds to what a loss says of them.
#[test]
fn a_price_beside_a_loss_on_hidden_spikes() {
    let x = Array2::from_shape_fn((3, 4), |(b, n)| 2.0 * noise(5 * b + n));
    let input = Input::constant(x.view(), 6);
    for dynamics in DYNAMICS {
        let neuron = || Leaky::new(0.9).threshold(0.4).dynamics(dynamics);
        let builder = Network::builder(4).layer(6, neuron()).layer(5, neuron());
        let network: Network<f64> = builder.layer(3, neuron()).seed(3).build().unwrap();
        let objective = Objective {
            loss: custom(),
            rate_l1: 0.5,
            penalties: Vec::new(),
        };
        let report = gradcheck(&network, input, &[0, 2, 1], objective).unwrap();
        assert_passes(&format!("{dynamics:?}"), &report);
    }
}

trait CloneWith {
    fn clone_with(self, beta: PerNeuron, threshold: PerNeuron) -> Self;
}

impl CloneWith for Leaky {
    fn clone_with(mut self, beta: PerNeuron, threshold: PerNeuron) -> Self {
        (self.beta, self.threshold) = (beta, threshold);
        self
    }
}

fn any_neuron() -> impl Strategy<Value = Leaky> {
    let variant = (0..DYNAMICS.len(), 0..RESETS.len(), 0..SURROGATES.len());
    (variant, 0.3..1.0, 0.1..1.2, any::<bool>(), any::<bool>()).prop_map(
        |((dynamics, reset, surrogate), beta, theta, learn_beta, learn_threshold)| {
            Leaky::new(beta)
                .threshold(theta)
                .dynamics(DYNAMICS[dynamics])
                .reset(RESETS[reset].0)
                .detach_reset(RESETS[reset].1)
                .surrogate(SURROGATES[surrogate])
                .learn_beta(learn_beta)
                .learn_threshold(learn_threshold)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        // The same networks in every run; PROPTEST_RNG_SEED draws others.
        rng_seed: RngSeed::Fixed(std::env::var("PROPTEST_RNG_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7)),
        ..ProptestConfig::default()
    })]

    /// Drawn networks: 1–4 layers, each with a variant of its own, T 1–30, B 1–9.
    #[test]
    fn drawn_networks(
        layers in prop::collection::vec((1_usize..5, any_neuron()), 1..5),
        inputs in 1_usize..5,
        num_steps in 1_usize..31,
        batch in 1_usize..10,
        kind in 0..3,
        objective in 0_usize..8,
        seed in any::<u64>(),
    ) {
        let classes = layers[layers.len() - 1].0;
        let network: Network<f64> =
            layers.into_iter().fold(Network::builder(inputs), |b, (n, leaky)| b.layer(n, leaky)).seed(seed).build().unwrap();
        let salt = (seed % 1000) as usize;
        let real = Array2::from_shape_fn((batch, inputs), |(b, n)| 3.0 * noise(salt + inputs * b + n) - 0.5);
        let sequence = Array3::from_shape_fn((num_steps, batch, inputs), |(t, b, n)| {
            let x = noise(salt + (t * batch + b) * inputs + n);
            if kind == 1 { f64::from(u8::from(x < 0.4)) } else { 3.0 * x - 0.5 }
        });
        let input = if kind == 0 { Input::constant(real.view(), num_steps) } else { Input::sequence(sequence.view()) };
        let targets: Vec<usize> = (0..batch).map(|b| (b + salt) % classes).collect();
        // A membrane that settles reaches its maximum again and again: there the largest membrane has
        // no derivative. `every_variant_and_loss` has that loss, on networks where it has one.
        let objective = if objective == 3 { 0 } else { objective };
        let (name, objective) = objectives().swap_remove(objective);
        let report = gradcheck(&network, input, &targets, objective).unwrap();
        // Soft spikes are not bounded: some relaxed networks grow without limit, and have no digits left.
        prop_assume!(report.loss.abs() < 1e4 && report.tensors.iter().all(|t| t.analytic.abs() < 1e6));
        // Such as one step and a loss on spikes, which read nothing but the membranes' start.
        prop_assume!(report.nothing_to_compare().len() < report.tensors.len());
        prop_assert!(report.passes(), "{} T {} B {}\n{}", name, num_steps, batch, report);
    }
}

/// The check itself must be able to fail: a loss whose adjoint is wrong by one part in a thousand.
#[test]
fn a_wrong_adjoint_is_caught() {
    let network: Network<f64> = Network::builder(3)
        .layer(2, Leaky::new(0.9).threshold(0.3))
        .build()
        .unwrap();
    let x = Array2::from_elem((2, 3), 0.8);
    let loss = |factor: f64| {
        Loss::custom(move |recording, targets| {
            let (value, mut adjoints) = Loss::CrossEntropyMembrane.evaluate(recording, targets)?;
            for adjoint in adjoints
                .layers
                .iter_mut()
                .filter_map(|layer| layer.mem.as_mut())
            {
                *adjoint *= factor;
            }
            Ok((value, adjoints))
        })
    };
    let check = |factor| {
        gradcheck(
            &network,
            Input::constant(x.view(), 5),
            &[0, 1],
            loss(factor),
        )
        .unwrap()
    };
    assert!(check(1.0).passes());
    let wrong = check(1.001);
    assert!(!wrong.passes());
    assert!(wrong.to_string().contains("FAILED"), "{wrong}");
    assert!(!check(f64::NAN).passes(), "NaN must not pass");
}

/// A loss that is 0 with a gradient of 0, as that of a margin which every sample keeps, proves nothing,
/// and neither does a wrong one.
#[test]
fn zeros_do_not_pass() {
    let network: Network<f64> = Network::builder(3)
        .layer(4, Leaky::new(0.9).threshold(0.3).learn_beta(true))
        .layer(2, Leaky::new(0.9))
        .build()
        .unwrap();
    let x = Array2::from_elem((2, 3), 0.8);
    let margin = |factor: f64| {
        Loss::custom(move |recording, _| {
            let mem = &recording.output().mem;
            let short = mem.mapv(|u: f64| (-100.0 - u).max(0.0));
            let g = short.mapv(|d| if d > 0.0 { -factor } else { 0.0 });
            Ok((
                short.sum(),
                Adjoints::output(recording.num_layers(), None, Some(g)),
            ))
        })
    };
    for factor in [1.0, 1.5] {
        let input = Input::constant(x.view(), 5);
        let report = gradcheck(&network, input, &[0, 1], margin(factor)).unwrap();
        assert!(!report.passes(), "{report}");
        assert_eq!(report.nothing_to_compare().len(), report.tensors.len());
        assert!(
            report.to_string().contains("NOTHING TO COMPARE"),
            "{report}"
        );
    }

    // Single tensors of zeros are named, and the rest still counts.
    let dark = Array2::zeros((2, 3));
    let input = Input::constant(dark.view(), 5);
    let report = gradcheck(&network, input, &[0, 1], Loss::CrossEntropyMembrane).unwrap();
    assert!(report.passes(), "{report}");
    assert_eq!(report.nothing_to_compare(), ["fc1.weight"]);
    let text = report.to_string();
    assert!(
        text.contains("passed, but nothing to compare in fc1.weight\n"),
        "{text}"
    );
    // A gradient where there should be none is a failure, not nothing.
    let loss = Loss::custom(|recording, targets| {
        let (_, adjoints) = Loss::CrossEntropyMembrane.evaluate(recording, targets)?;
        Ok((1.0, adjoints))
    });
    let report = gradcheck(&network, input, &[0, 1], loss).unwrap();
    assert!(
        !report.passes() && report.to_string().contains("FAILED"),
        "{report}"
    );
}

/// With one step no neuron of the default order can fire, and the report says so; the others can.
#[test]
fn one_step_cannot_fire_in_the_default_order() {
    let x = Array2::from_elem((2, 3), 0.8);
    let check = |first, second, steps| {
        let builder = Network::builder(3).layer(4, Leaky::new(0.9).dynamics(first));
        let builder = builder.layer(2, Leaky::new(0.9).dynamics(second));
        let network: Network<f64> = builder.build().unwrap();
        let input = Input::constant(x.view(), steps);
        gradcheck(&network, input, &[0, 1], Loss::CrossEntropyMembrane).unwrap()
    };
    let [tutorial, snntorch, jelly] = DYNAMICS;
    let report = check(tutorial, tutorial, 1);
    assert_eq!(report.cannot_fire, [1, 2]);
    assert!(
        report.to_string().contains("layers 1, 2 cannot fire"),
        "{report}"
    );
    let report = check(tutorial, snntorch, 1);
    assert_eq!(report.cannot_fire, [1]);
    assert!(
        report.to_string().contains("layer 1 cannot fire"),
        "{report}"
    );
    for report in [check(snntorch, jelly, 1), check(tutorial, tutorial, 2)] {
        assert!(report.cannot_fire.is_empty() && !report.to_string().contains("cannot fire"));
    }
}
