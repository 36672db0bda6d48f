//! A custom neuron: the exponential integrate-and-fire neuron, which has a nonlinear membrane.
//!
//! ```text
//! f(v) = Δ e^{(v − θ_r)/Δ} − v
//! u_t = v_{t−1} + ρ (I_t + f(v_{t−1}))     s_t = H(u_t − θ)     v_t = (1 − s_t) u_t
//! ```
//!
//! `ρ` is `1/τ`, `θ_r` the rheobase threshold, above which the membrane diverges, `Δ` the
//! sharpness. Source: Fourcaud-Trocmé et al., Journal of Neuroscience 23, 2003, discretized as in
//! SpikingJelly's `EIFNode`. The equations and their adjoint are written once; the reference
//! engine, the gradient check and the CPU engine's vector code run them. `docs::own_neuron`
//! explains this file.
//!
//! ```console
//! cargo run --release --example own_neuron
//! ```

use spikegrad::{
    Adam, Checkpoint, CheckpointDir, CpuEngine, Engine, History, Input, Loss, Network,
    ReferenceEngine, Surrogate, Trainer,
    gradcheck::gradcheck,
    ndarray::Array3,
    neuron::{Adjoint, Arithmetic, Constant, Neuron, Neurons, Num, Spike},
};

/// The settings of a layer; `ρ` and the threshold are constants, which can be trained.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Exponential {
    runaway: f64,
    sharpness: f64,
    surrogate: Surrogate,
}

impl Exponential {
    /// `Δ e^{(v − θ_r)/Δ}`.
    #[inline(always)]
    fn pull<A: Arithmetic>(self, v: Num<A>) -> Num<A> {
        self.sharpness * ((v - self.runaway) * (1.0 / self.sharpness)).exp()
    }
}

impl Neuron for Exponential {
    const NAME: &'static str = "exponential";
    const CONSTANTS: &'static [Constant] = &[
        Constant::new("rate", 1e-3, 1.0, "a rate from 0.001 to 1"),
        Constant::THRESHOLD,
    ];
    type Constants<V: Copy> = [V; 2];
    type State<V: Copy> = [V; 1]; // v_t
    type Kept<V: Copy> = [V; 1]; // u_t, from which v_t follows

    #[inline(always)]
    fn step<A: Arithmetic>(
        self,
        [rate, threshold]: [Num<A>; 2],
        [v]: [Num<A>; 1],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 1]) {
        let u = rate.mul_add(current - v + self.pull(v), v);
        (self.surrogate.spike(u, threshold), [u])
    }

    #[inline(always)]
    fn state<A: Arithmetic>(self, [_, threshold]: [Num<A>; 2], [u]: [Num<A>; 1]) -> [Num<A>; 1] {
        let reset = self.surrogate.spike(u, threshold).detach();
        [u - reset * u]
    }

    /// `a = ∂L/∂u_t = (1 − s) h + σ'(u − θ) e`. The current reaches `u` by `ρ`, `v` by
    /// `1 + ρ (e^{(v − θ_r)/Δ} − 1)`, and `∂u/∂ρ = (u − v)/ρ`.
    #[inline(always)]
    fn adjoint<A: Arithmetic>(
        self,
        [rate, threshold]: [Num<A>; 2],
        [v]: [Num<A>; 1],
        [u]: [Num<A>; 1],
        [h]: [Num<A>; 1],
        e: Num<A>,
    ) -> Adjoint<Self, A> {
        let spike = self.surrogate.spike(u, threshold);
        let k = self.surrogate.slope(u - threshold) * e;
        let a = h - spike * h + k;
        let slope = self.pull(v) * (1.0 / self.sharpness) - 1.0;
        Adjoint {
            current: rate * a,
            before: [rate.mul_add(slope, 1.0) * a],
            constants: [a * (u - v) / rate, -k],
        }
    }

    fn settings(self) -> Vec<(&'static str, String)> {
        vec![
            ("runaway", format!("{:?}", self.runaway)),
            ("sharpness", format!("{:?}", self.sharpness)),
            ("surrogate", self.surrogate.to_string()),
        ]
    }
}

fn neurons() -> Neurons {
    Neurons::new(Exponential {
        runaway: 0.8,
        sharpness: 0.5,
        surrogate: Surrogate::Arctan { alpha: 2.0 },
    })
    .constant("rate", 0.3)
    .constant("threshold", 1.0)
    .learn("rate", true)
}

fn main() -> spikegrad::Result<()> {
    let build = |hidden| {
        Network::builder(8)
            .layer(hidden, neurons())
            .layer(2, neurons())
    };

    // 1. The adjoint against finite differences, of a small network in double precision.
    let x = Array3::from_shape_fn((6, 3, 8), |(t, b, n)| {
        ((t + 2 * b + 3 * n) % 5) as f64 * 0.6
    });
    let small: Network<f64> = build(5).build()?;
    let loss = Loss::CrossEntropyMembrane;
    let report = gradcheck(&small, Input::sequence(x.view()), &[0, 1, 1], loss)?;
    assert!(report.passes(), "{report}");
    println!("gradcheck: largest error {:.0e}", report.max_error());

    // 2. Two classes of spike trains: the first or the last four inputs are the busier ones.
    let x = Array3::from_shape_fn((20, 64, 8), |(t, b, n)| {
        let noise = (t * 7919 + b * 104_729 + n * 1_299_709) % 97;
        f32::from(u8::from(
            noise < if (n < 4) == (b % 2 == 0) { 40 } else { 15 },
        ))
    });
    let (input, classes): (_, Vec<usize>) =
        (Input::sequence(x.view()), (0..64).map(|b| b % 2).collect());
    let mut reference = ReferenceEngine::new(
        build(64).build()?,
        Loss::CrossEntropyMembrane,
        Adam::new(1e-3),
    )?;
    let mut fast = CpuEngine::new(
        build(64).build()?,
        Loss::CrossEntropyMembrane,
        Adam::new(1e-3),
    )?;
    for _ in 0..3 {
        let expected = reference.train_step(input.classes(&classes))?.loss;
        let found = fast.train_step(input.classes(&classes))?.loss;
        assert!(
            (expected - found).abs() < 1e-4 * expected,
            "{expected} {found}"
        );
    }
    println!("the engines agree");

    // 3. Saved in the middle, and resumed to the same bits.
    let folder = std::env::temp_dir().join(format!("own_neuron-{}", std::process::id()));
    let checkpoint = Checkpoint::new(&mut fast, &Trainer::default(), &History::default())?;
    CheckpointDir::open(&folder)?.save(&checkpoint)?;
    let found = CheckpointDir::open(&folder)?
        .with_neurons([neurons()])
        .load()?;
    let mut resumed = found
        .expect("it was saved")
        .checkpoint
        .engine(spikegrad::Device::Cpu)?;
    let mut accuracy = 0.0;
    for _ in 0..100 {
        accuracy = fast
            .train_step(input.classes(&classes))?
            .accuracy_membrane();
        resumed.train_step(input.classes(&classes))?;
    }
    assert_eq!(resumed.to_network()?, fast.to_network()?);
    std::fs::remove_dir_all(&folder).ok();
    let rate = fast.to_network()?.layers()[0]
        .constant("rate")
        .map(|rate| rate[0]);
    println!(
        "resumed to the same bits; accuracy {accuracy}, learnt rate {:.3}",
        rate.unwrap_or(0.0)
    );
    Ok(())
}
