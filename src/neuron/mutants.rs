//! Every operation of every adjoint counts.
//!
//! Run over an [`Arithmetic`] that does one operation wrongly (a sum in place of a difference, a factor left out,
//! another literal), an adjoint has to disagree with finite differences of the neuron's step. An operation is
//! let off where it changes no gradient by more than rounding: the rule at hand makes nothing of it, or it is
//! as right (the logistic function's derivative is even). So a term that is missing or wrong in an adjoint cannot
//! go unseen by [`gradcheck`](crate::gradcheck).

use std::cell::{Cell, RefCell};

use super::{
    AdLif, Adaptive, Alpha, Arithmetic, Dynamics, Encoder, Held, Lapicque, Leaky, LeakyIntegrator,
    List, Lsnn, Neuron, Num, Relaxed, Reset, Shape, Synaptic,
};
use crate::Surrogate;

const STEPS: usize = 4;

/// Which operation of an adjoint is wrong, and how.
#[derive(Default)]
struct Mutation {
    /// Its number in the adjoint of one step, and the number of its wrong result.
    place: Option<(usize, usize)>,
    /// How many operations there were in this step.
    count: Cell<usize>,
    /// The number of wrong results of each operation, of the last step.
    found: RefCell<Vec<usize>>,
}

/// Soft spikes, with one operation mutated.
#[derive(Clone, Copy)]
struct Mutant<'a>(&'a Mutation);

impl Mutant<'_> {
    /// The right result, or a wrong one where this is the operation.
    fn or(self, right: f64, wrong: &[f64]) -> f64 {
        let at = self.0.count.replace(self.0.count.get() + 1);
        self.0.found.borrow_mut().push(wrong.len());
        match self.0.place {
            Some((operation, n)) if operation == at => wrong[n],
            _ => right,
        }
    }
}

impl Arithmetic for Mutant<'_> {
    type V = f64;
    type S = f64;
    fn number(self, x: f64) -> f64 {
        self.or(x, &[x + 0.5])
    }
    fn add(self, a: f64, b: f64) -> f64 {
        self.or(a + b, &[a - b, a, b])
    }
    fn sub(self, a: f64, b: f64) -> f64 {
        self.or(a - b, &[a + b, a, -b, b - a])
    }
    fn mul(self, a: f64, b: f64) -> f64 {
        self.or(a * b, &[a, b, a / b, -(a * b)])
    }
    fn div(self, a: f64, b: f64) -> f64 {
        self.or(a / b, &[a, a * b, 1.0 / b, b / a])
    }
    fn mul_add(self, a: f64, b: f64, c: f64) -> f64 {
        self.or(a * b + c, &[a * b - c, c - a * b, a * b, c, a + c, b + c])
    }
    fn sqrt(self, a: f64) -> f64 {
        self.or(a.sqrt(), &[a])
    }
    fn abs(self, a: f64) -> f64 {
        self.or(a.abs(), &[a, -a.abs()])
    }
    fn exp(self, a: f64) -> f64 {
        self.or(a.exp(), &[a, (-a).exp()])
    }
    fn ln(self, a: f64) -> f64 {
        self.or(a.ln(), &[a, -a.ln()])
    }
    fn select(self, x: f64, y: f64, a: f64, b: f64) -> f64 {
        let (right, wrong) = if x > y { (a, b) } else { (b, a) };
        self.or(right, &[wrong])
    }
    fn fire(self, surrogate: impl Shape, u: f64, theta: f64) -> f64 {
        let spike = surrogate.soft_spike(u - theta);
        self.or(spike, &[0.0, 1.0, 1.0 - spike])
    }
    fn silent(self) -> f64 {
        0.0
    }
    fn gate(self, s: f64, a: f64) -> f64 {
        self.or(s * a, &[0.0, a, s, -(s * a)])
    }
}

/// One neuron over some steps, with a weight of each membrane and each spike in the loss.
struct Run<N: Neuron> {
    neuron: N,
    /// Constants and each step's current, which gradients are with respect to.
    parameters: Vec<f64>,
    /// The state before the first step.
    begin: Vec<f64>,
    weights: [[f64; 2]; STEPS],
}

impl<N: Neuron> Run<N> {
    fn new(neuron: N, constants: &[f64]) -> Self {
        // Nothing regular, so that nothing cancels.
        let irregular = |n: usize| (12.9898 * (n as f64 + 1.0)).sin();
        let states = N::State::<()>::LEN;
        let begin = (0..states).map(|n| 0.3 * irregular(n + 40));
        let currents = (0..STEPS).map(|t| 0.5 + 0.7 * irregular(t));
        Run {
            neuron,
            parameters: constants.iter().copied().chain(currents).collect(),
            begin: begin.collect(),
            weights: std::array::from_fn(|t| [irregular(t + 80), irregular(t + 120)]),
        }
    }

    fn constants<A: Arithmetic<V = f64>>(&self, a: A) -> N::Constants<Num<A>> {
        N::Constants::from_fn(|i| Num(a, self.parameters[i]))
    }

    fn begin<A: Arithmetic<V = f64>>(&self, a: A) -> N::State<Num<A>> {
        N::State::from_fn(|i| Num(a, self.begin[i]))
    }

    /// The loss of these parameters, and what each step keeps.
    fn forward(&self, parameters: &[f64], held: &Held<f64>) -> (f64, Vec<Vec<f64>>) {
        let a = Relaxed::forward(held);
        let constants = N::Constants::from_fn(|i| Num(a, parameters[i]));
        let mut state = self.begin(a);
        let (mut loss, mut trace) = (0.0, Vec::new());
        for (&current, [of_membrane, of_spike]) in parameters[N::Constants::<()>::LEN..]
            .iter()
            .zip(self.weights)
        {
            let (spike, kept) = self.neuron.step(constants, state, Num(a, current));
            state = self.neuron.state(constants, kept);
            loss += of_membrane * state.as_ref()[N::MEMBRANE].1 + of_spike * spike.1;
            trace.push(kept.as_ref().iter().map(|kept| kept.1).collect());
        }
        (loss, trace)
    }

    /// The gradient by the adjoint, of what was kept.
    fn backward(&self, trace: &[Vec<f64>], mutation: &Mutation) -> Vec<f64> {
        let (a, plain) = (Mutant(mutation), Relaxed::backward());
        let constants = self.constants(a);
        let mut gradient = vec![0.0; self.parameters.len()];
        let mut h = vec![0.0; N::State::<()>::LEN];
        for t in (0..STEPS).rev() {
            let before: N::State<_> = match t.checked_sub(1) {
                Some(earlier) => {
                    let kept = N::Kept::from_fn(|i| Num(plain, trace[earlier][i]));
                    self.neuron.state(self.constants(plain), kept)
                }
                None => self.begin(plain),
            };
            let before = N::State::from_fn(|i| Num(a, before.as_ref()[i].1));
            h[N::MEMBRANE] += self.weights[t][0];
            let after = N::State::from_fn(|i| Num(a, h[i]));
            let (kept, e) = (
                N::Kept::from_fn(|i| Num(a, trace[t][i])),
                self.weights[t][1],
            );
            mutation.count.set(0);
            mutation.found.borrow_mut().clear();
            let adjoint = self
                .neuron
                .adjoint(constants, before, kept, after, Num(a, e));
            for (h, before) in h.iter_mut().zip(adjoint.before.as_ref()) {
                *h = before.1;
            }
            gradient[N::Constants::<()>::LEN + t] = adjoint.current.1;
            for (sum, share) in gradient.iter_mut().zip(adjoint.constants.as_ref()) {
                *sum += share.1;
            }
        }
        gradient
    }

    /// How far a gradient is from finite differences of the loss, relative to the largest.
    fn error(&self, gradient: &[f64], held: &Held<f64>) -> f64 {
        let numeric: Vec<f64> = (0..self.parameters.len())
            .map(|n| {
                let loss = |by: f64| {
                    let mut parameters = self.parameters.clone();
                    parameters[n] += by;
                    self.forward(&parameters, held).0
                };
                let step = 1e-4;
                let difference = |step: f64| (loss(step) - loss(-step)) / (2.0 * step);
                // Richardson's extrapolation.
                (4.0 * difference(step) - difference(2.0 * step)) / 3.0
            })
            .collect();
        let largest = numeric.iter().fold(1e-3_f64, |max, g| max.max(g.abs()));
        let errors = gradient.iter().zip(&numeric).map(|(g, n)| (g - n).abs());
        errors.fold(0.0, |max, error| match error.is_nan() {
            true => f64::INFINITY,
            false => error.max(max),
        }) / largest
    }
}

/// Mutates each operation of a neuron's adjoint. Returns how many mutants changed a gradient.
fn every_operation_counts<N: Neuron>(neuron: N, constants: &[f64]) -> usize {
    assert_eq!(constants.len(), N::Constants::<()>::LEN);
    let (run, held) = (Run::new(neuron, constants), Held::default());
    let (_, trace) = run.forward(&run.parameters, &held);
    let right = Mutation::default();
    let gradient = run.backward(&trace, &right);
    let error = run.error(&gradient, &held);
    assert!(error < 1e-7, "{neuron:?}: {error:.1e} off");
    let mut changed = 0;
    for (operation, &wrong) in right.found.borrow().iter().enumerate() {
        for n in 0..wrong {
            let mutation = Mutation {
                place: Some((operation, n)),
                ..Mutation::default()
            };
            let mutated = run.backward(&trace, &mutation);
            let largest = gradient.iter().fold(0.0_f64, |max, g| max.max(g.abs()));
            let mut pairs = mutated.iter().zip(&gradient);
            if pairs.all(|(m, g)| (m - g).abs() < 1e-11 * largest) {
                continue;
            }
            let error = run.error(&mutated, &held);
            assert!(
                error > 1e-6,
                "{neuron:?}: wrong result {n} of operation {operation} passes, {error:.1e} off"
            );
            changed += 1;
        }
    }
    changed
}

const SURROGATES: [Surrogate; 5] = [
    Surrogate::Arctan { alpha: 2.0 },
    Surrogate::FastSigmoid { slope: 3.0 },
    Surrogate::Sigmoid { slope: 2.5 },
    Surrogate::Triangular,
    Surrogate::StraightThrough,
];

/// Calls `visit` with each order of events, reset, whether it is detached, and surrogate.
fn each_rule(mut visit: impl FnMut(Dynamics, Reset, bool, Surrogate)) {
    use Dynamics::*;
    for dynamics in [FireThenIntegrate, IntegrateThenFire, IntegrateFireReset] {
        for reset in [Reset::Subtract, Reset::Zero, Reset::None] {
            for detach in [false, true] {
                for surrogate in SURROGATES {
                    visit(dynamics, reset, detach, surrogate);
                }
            }
        }
    }
}

#[test]
fn leaky() {
    let mut changed = 0;
    each_rule(|dynamics, reset, detach, surrogate| {
        let leaky = Leaky::new(0.9).dynamics(dynamics).reset(reset);
        let rule = leaky.detach_reset(detach).surrogate(surrogate).rule();
        changed += every_operation_counts(rule, &[0.83, 0.45]);
    });
    assert!(changed > 90 * 20, "{changed}");
}

#[test]
fn synaptic() {
    let mut changed = 0;
    each_rule(|dynamics, reset, detach, surrogate| {
        for old in [false, true] {
            let synaptic = Synaptic::new(0.9, 0.9).dynamics(dynamics).reset(reset);
            let synaptic = synaptic.detach_reset(detach).surrogate(surrogate);
            let rule = synaptic.old_current(old).rule();
            changed += every_operation_counts(rule, &[0.71, 0.83, 0.87, 0.45]);
        }
    });
    assert!(changed > 180 * 30, "{changed}");
}

#[test]
fn lapicque() {
    let mut changed = 0;
    each_rule(|dynamics, reset, detach, surrogate| {
        let lapicque = Lapicque::new(0.9).dynamics(dynamics).reset(reset);
        let rule = lapicque.detach_reset(detach).surrogate(surrogate).rule();
        changed += every_operation_counts(rule, &[0.83, 0.87, 0.45]);
    });
    assert!(changed > 90 * 20, "{changed}");
}

#[test]
fn encoder() {
    let mut changed = 0;
    each_rule(|dynamics, reset, detach, surrogate| {
        for (normalized, late) in [(false, false), (true, false), (false, true), (true, true)] {
            let encoder = Encoder::new(0.9).dynamics(dynamics).reset(reset);
            let encoder = encoder.detach_reset(detach).surrogate(surrogate);
            let rule = encoder.normalized(normalized).late_reset(late).rule();
            if super::Neuron::check(rule, "").is_ok() {
                changed += every_operation_counts(rule, &[0.83, 0.87, 0.21, 0.45]);
            }
        }
    });
    assert!(changed > 180 * 30, "{changed}");
}

#[test]
fn leaky_integrator() {
    for old in [false, true] {
        let rule = LeakyIntegrator::new(0.9).old_current(old).rule();
        assert!(every_operation_counts(rule, &[0.71, 0.83, 0.87]) > 20);
    }
}

#[test]
fn alpha() {
    for reset in [Reset::Subtract, Reset::Zero, Reset::None] {
        for surrogate in SURROGATES {
            let rule = Alpha::new(0.9, 0.8)
                .reset(reset)
                .surrogate(surrogate)
                .rule();
            assert!(every_operation_counts(rule, &[0.83, 0.61, 0.35]) > 60);
        }
    }
}

#[test]
fn adaptive() {
    for n in 0..32 {
        let on = |bit: usize| n >> bit & 1 == 1;
        for surrogate in SURROGATES {
            let adaptive = Adaptive::bellec(0.9, 0.9)
                .old_membrane(on(0))
                .scaled(on(1))
                .normalized(on(2))
                .detach_reset(on(3))
                .detach_adaptation(on(4))
                .surrogate(surrogate);
            let constants = [0.83, 0.71, 0.3, 0.45];
            assert!(every_operation_counts(adaptive.rule(), &constants) > 40);
        }
    }
}

#[test]
fn lsnn() {
    for detach in [false, true] {
        for surrogate in SURROGATES {
            let lsnn = Lsnn::new(0.8, 0.9, 0.9)
                .detach_reset(detach)
                .surrogate(surrogate);
            let constants = [0.71, 0.83, 0.77, 0.3, 0.45];
            assert!(every_operation_counts(lsnn.rule(), &constants) > 40);
        }
    }
}

#[test]
fn adlif() {
    for surrogate in SURROGATES {
        let rule = AdLif::sparch().surrogate(surrogate).rule();
        assert!(every_operation_counts(rule, &[0.83, 0.91, 0.31, 0.47, 0.45]) > 40);
    }
}
