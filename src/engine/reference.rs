//! Backpropagation through time, as a textbook would write it. Not fast: exact, short, and generic
//! over `f32` and `f64`; the page to read to understand how a spiking network learns, and the
//! oracle that the other engines are tested against.
//!
//! Layers feed forward, so each is run over all of time before the next begins. With `s⁰ = x` and
//! [`Rule::forward`](crate::neuron) for one neuron and one step, layer `k` is
//!
//! ```text
//! (1)  Iᵏ_t = sᵏ⁻¹_t Wᵏᵀ + bᵏ                one product for all t: [T·B, in] · [in, N]
//! (2)  (sᵏ_t, uᵏ_t) = step(uᵏ_{t−1}, Iᵏ_t)    t = 0 … T−1, u_{−1} = 0
//! ```
//!
//! and its adjoint, with `gᵏ_t` and `eᵏ_t` the loss's derivatives by membrane and spike, and
//! [`Rule::adjoint`](crate::neuron) for one neuron and one step,
//!
//! ```text
//! (3)  (aᵏ_t, hᵏ_{t−1}) = stepᵀ(gᵏ_t + hᵏ_t, eᵏ_t)    t = T−1 … 0, h_{T−1} = 0
//! (4)  ∂L/∂Wᵏ = Σ_t aᵏ_tᵀ sᵏ⁻¹_t       ∂L/∂bᵏ = Σ_t Σ_b aᵏ_t
//! (5)  eᵏ⁻¹_t += aᵏ_t Wᵏ
//! ```
//!
//! A static input makes (1) of the first layer the same at every step: it is computed once, and
//! (4) becomes `(Σ_t a_t)ᵀ x`, so `Σ_t a_t` is all that is kept of `a`.
//!
//! Everything here is allocated anew by each call and written once; nothing accumulates into
//! arguments.

use ndarray::{
    Array, Array1, Array2, Array3, ArrayBase, ArrayView3, Axis, CowArray, Data, Dimension, Ix2,
};

use super::{build_note, check_classes, first_not_finite, loss_not_finite};
#[cfg(doc)]
use crate::Error;
use crate::{
    Adam, Adjoints, Engine, Float, Gradients, Input, Layer, Network, Objective, ReadOut, Record,
    Recording, Result, StepReport, Surrogate, Trace,
    loss::check_adjoints,
    network::LayerGradients,
    neuron::{Dynamics, Rule, Step, specialise},
    surrogate::with_slope,
};

/// Runs the network over an input and keeps spikes and membranes of every layer at every step.
///
/// # Errors
/// [`Error::Shape`], [`Error::InvalidParameter`] or [`Error::NonFinite`] for an input that does not
/// fit.
pub fn forward<F: Float>(network: &Network<F>, input: Input<'_, F>) -> Result<Recording<F>> {
    input.check(network)?;
    input.check_recording(network, &Record::All)?;
    Ok(forward_as::<F, Heaviside>(network, input, None))
}

/// The forward pass with `S` for spikes. `frozen` holds every detached reset at the values of
/// another, relaxed run.
pub(crate) fn forward_as<F: Float, S: Spike>(
    network: &Network<F>,
    input: Input<'_, F>,
    frozen: Option<&Recording<F>>,
) -> Recording<F> {
    let mut traces: Vec<Trace<F>> = Vec::with_capacity(network.layers().len());
    for (k, layer) in network.layers().iter().enumerate() {
        let below = below(&input, traces.last());
        let current = below.dot(&layer.weight.t()) + &layer.bias; // (1)
        let held = frozen.filter(|_| layer.neuron.detach_reset);
        let held = held.and_then(|run| run.layer(k)?.reset.as_ref());
        traces.push(forward_layer::<F, S>(
            layer,
            &current,
            (input.num_steps(), input.batch()),
            held,
        )); // (2)
    }
    let output = traces.pop().expect("a network has a layer");
    Recording::new(traces.into_iter().map(Some).collect(), output)
}

/// Gradients of all parameters, from a recording of all layers and the loss's adjoints.
///
/// # Errors
/// As [`forward`]; [`Error::Shape`] where the recording or the adjoints do not belong to this
/// network and input.
pub fn backward<F: Float>(
    network: &Network<F>,
    input: Input<'_, F>,
    recording: &Recording<F>,
    adjoints: &Adjoints<F>,
) -> Result<Gradients<F>> {
    input.check(network)?;
    let traces = recording.traces_of(network, input)?;
    check_adjoints(adjoints, recording)?;

    let mut layers = Vec::with_capacity(traces.len());
    let mut from_above: Option<Array3<F>> = None;
    for (k, layer) in network.layers().iter().enumerate().rev() {
        let adjoint = &adjoints.layers[k];
        let e = match (from_above.take(), &adjoint.spk) {
            (Some(above), Some(loss)) => Some(above + loss),
            (above, loss) => above.or_else(|| loss.clone()),
        };
        let below = below(&input, k.checked_sub(1).map(|below| traces[below]));
        let summed = k == 0 && matches!(input, Input::Constant { .. }); // Σ_t a_t is enough
        let back = backward_layer(layer, traces[k], adjoint.mem.as_ref(), e.as_ref(), summed); // (3)

        let a = flat(back.current.view());
        let shared = |each: Array1<F>, like: &Array1<F>| match like.len() {
            1 => Array1::from_elem(1, each.sum()),
            _ => each,
        };
        layers.push(LayerGradients {
            weight: a.t().dot(&below), // (4)
            bias: a.sum_axis(Axis(0)), // (4)
            beta: layer
                .neuron
                .learn_beta
                .then(|| shared(back.beta, &layer.beta)),
            threshold: layer
                .neuron
                .learn_threshold
                .then(|| shared(back.theta, &layer.threshold)),
        });
        if k > 0 {
            from_above = Some(unflat(a.dot(&layer.weight), input.num_steps())); // (5)
        }
    }
    layers.reverse();
    Ok(Gradients { layers })
}

/// What a layer reads, `[T·B, in]`: spikes of the layer below, or the input (`[B, in]` if static).
fn below<'a, F: Float>(
    input: &'a Input<'_, F>,
    below: Option<&'a Trace<F>>,
) -> CowArray<'a, F, Ix2> {
    match (below, input) {
        (Some(trace), _) => flat(trace.spk.view()),
        (None, Input::Constant { x, .. }) => x.reborrow().into(),
        (None, Input::Sequence { x }) => flat(x.reborrow()),
    }
}

/// (2): the neurons of one layer over all of time. `current` is `[T·B, N]`, or `[B, N]` where it is
/// the same at every step.
fn forward_layer<F: Float, S: Spike>(
    layer: &Layer<F>,
    current: &Array2<F>,
    (num_steps, batch): (usize, usize),
    held: Option<&Array3<F>>,
) -> Trace<F> {
    let n = layer.neurons();
    let (beta, theta) = layer.constants();
    let rule = layer.neuron.rule();
    let shape = (num_steps, batch, n);
    let (mut spk, mut mem) = (Array3::zeros(shape), Array3::zeros(shape));
    let mut pre = rule.pre_differs().then(|| Array3::zeros(shape));
    let mut reset = S::RELAXED.then(|| Array3::zeros(shape));
    let current = current.as_standard_layout();
    let (currents, rest) = (values(&current), vec![F::zero(); n]);

    for t in 0..num_steps {
        for b in 0..batch {
            let now = (t * batch + b) * n..(t * batch + b + 1) * n;
            let (past, future) = values_mut(&mut mem).split_at_mut(now.start);
            let before = if t == 0 {
                &rest[..]
            } else {
                &past[now.start - batch * n..][..n]
            };
            let fired = FiredRow {
                spk: &mut values_mut(&mut spk)[now.clone()],
                mem: &mut future[..n],
                pre: pre
                    .as_mut()
                    .map_or(&mut [], |pre| &mut values_mut(pre)[now.clone()]),
                reset: reset
                    .as_mut()
                    .map_or(&mut [], |reset| &mut values_mut(reset)[now.clone()]),
            };
            let current = &currents[now.start % currents.len()..][..n];
            let held = held.map(|held| &values(held)[now]);
            specialise!(rule, |rule| forward_row::<F, S>(
                rule,
                layer.neuron.surrogate,
                (&beta, &theta),
                before,
                current,
                held,
                fired
            ));
        }
    }
    Trace {
        spk,
        mem,
        pre,
        reset,
    }
}

/// Rows `[N]` that one step of one sample fills; `pre` and `reset` may be empty, if not kept.
struct FiredRow<'a, F> {
    spk: &'a mut [F],
    mem: &'a mut [F],
    pre: &'a mut [F],
    reset: &'a mut [F],
}

#[inline(always)]
fn forward_row<F: Float, S: Spike>(
    rule: Rule,
    surrogate: Surrogate,
    (beta, theta): (&[F], &[F]),
    before: &[F],
    current: &[F],
    held: Option<&[F]>,
    row: FiredRow<'_, F>,
) {
    let n = current.len();
    let (beta, theta, before, spk, mem) = (
        &beta[..n],
        &theta[..n],
        &before[..n],
        &mut row.spk[..n],
        &mut row.mem[..n],
    );
    for n in 0..n {
        let hold = |r| {
            if S::RELAXED {
                held.map_or(r, |held| held[n])
            } else {
                r
            }
        };
        let fire = |x| S::fire(surrogate, x);
        let fired = rule.forward((beta[n], theta[n]), before[n], current[n], fire, hold);
        (spk[n], mem[n]) = (fired.spk, fired.mem);
        if rule.pre_differs() {
            row.pre[n] = fired.pre;
        }
        if S::RELAXED {
            row.reset[n] = fired.reset;
        }
    }
}

/// What (3) leaves of a layer: `∂L/∂I [T, B, N]` (summed over time, `[1, B, N]`, if asked for), and
/// `∂L/∂β`, `∂L/∂θ` of each neuron, `[N]`.
struct Back<F> {
    current: Array3<F>,
    beta: Array1<F>,
    theta: Array1<F>,
}

/// (3): the neurons of one layer, back through all of time. `g` and `e` are `[T, B, N]` or absent.
fn backward_layer<F: Float>(
    layer: &Layer<F>,
    trace: &Trace<F>,
    g: Option<&Array3<F>>,
    e: Option<&Array3<F>>,
    summed: bool,
) -> Back<F> {
    let (num_steps, batch, n) = trace.spk.dim();
    let (rule, surrogate) = (layer.neuron.rule(), layer.neuron.surrogate);
    let learn = layer.neuron.learn_beta || layer.neuron.learn_threshold;
    let (beta, theta) = layer.constants();
    let (spk, mem) = (
        trace.spk.as_standard_layout(),
        trace.mem.as_standard_layout(),
    );
    let [g, e, pre, reset] = [g, e, trace.pre.as_ref(), trace.reset.as_ref()]
        .map(|array| array.map(|a| a.as_standard_layout()));

    let zeros = vec![F::zero(); n];
    let mut h = Array2::zeros((batch, n)); // what step t+1 sent back
    let mut back = Back {
        current: Array3::zeros((if summed { 1 } else { num_steps }, batch, n)),
        beta: Array1::zeros(n),
        theta: Array1::zeros(n),
    };
    for t in (0..num_steps).rev() {
        for b in 0..batch {
            let row = |t: usize| (t * batch + b) * n..(t * batch + b + 1) * n;
            let before = if t == 0 {
                &zeros[..]
            } else {
                &values(&mem)[row(t - 1)]
            };
            let read = match (rule.dynamics, &pre) {
                (Dynamics::FireThenIntegrate, _) => before,
                (_, Some(pre)) => &values(pre)[row(t)],
                (_, None) => &values(&mem)[row(t)],
            };
            let reset = match (rule.dynamics, &reset) {
                (_, Some(reset)) => &values(reset)[row(t)],
                (Dynamics::IntegrateThenFire, None) if t == 0 => &zeros[..],
                (Dynamics::IntegrateThenFire, None) => &values(&spk)[row(t - 1)],
                (_, None) => &values(&spk)[row(t)],
            };
            let step = StepRow {
                before,
                read,
                reset,
            };
            let arriving = (
                g.as_ref().map_or(&zeros[..], |g| &values(g)[row(t)]),
                e.as_ref().map_or(&zeros[..], |e| &values(e)[row(t)]),
            );
            let out = BackRow {
                current: &mut values_mut(&mut back.current)[row(if summed { 0 } else { t })],
                back: &mut values_mut(&mut h)[row(0)],
                beta: values_mut(&mut back.beta),
                theta: values_mut(&mut back.theta),
            };
            with_slope!(surrogate, F, |slope| specialise!(
                rule,
                |rule| match learn {
                    true =>
                        backward_row::<F, true>(rule, slope, (&beta, &theta), step, arriving, out),
                    false =>
                        backward_row::<F, false>(rule, slope, (&beta, &theta), step, arriving, out),
                }
            ));
        }
    }
    back
}

/// What [`Step`] is made of, for a row of neurons, `[N]` each.
#[derive(Clone, Copy)]
struct StepRow<'a, F> {
    before: &'a [F],
    /// The membrane that the spike read.
    read: &'a [F],
    reset: &'a [F],
}

/// Where a row's adjoints go, `[N]` each: `current`, `beta` and `theta` accumulate, `back` holds `h`
/// of this step and is overwritten with that of the one before.
struct BackRow<'a, F> {
    current: &'a mut [F],
    back: &'a mut [F],
    beta: &'a mut [F],
    theta: &'a mut [F],
}

#[inline(always)]
fn backward_row<F: Float, const LEARN: bool>(
    rule: Rule,
    slope: impl Fn(F) -> F,
    (beta, theta): (&[F], &[F]),
    step: StepRow<'_, F>,
    (g, e): (&[F], &[F]),
    out: BackRow<'_, F>,
) {
    let n = out.current.len();
    let (beta, theta, g, e) = (&beta[..n], &theta[..n], &g[..n], &e[..n]);
    let (before, read, reset) = (&step.before[..n], &step.read[..n], &step.reset[..n]);
    let (current, back) = (&mut out.current[..n], &mut out.back[..n]);
    let (d_beta, d_theta) = (&mut out.beta[..n], &mut out.theta[..n]);
    for n in 0..n {
        let step = Step {
            before: before[n],
            pre: read[n],
            reset: reset[n],
            slope: slope(read[n] - theta[n]),
            reset_slope: match rule.dynamics {
                Dynamics::IntegrateThenFire if rule.attached() => slope(before[n] - theta[n]),
                _ => F::zero(),
            },
        };
        let adjoint = rule.adjoint((beta[n], theta[n]), step, g[n] + back[n], e[n]);
        current[n] += adjoint.current;
        back[n] = adjoint.back;
        if LEARN {
            d_beta[n] += adjoint.beta;
            d_theta[n] += adjoint.theta;
        }
    }
}

/// What a spike is: the step that trains, or the soft spike of the relaxed network that proves the
/// gradient ([`gradcheck`](crate::gradcheck)).
pub(crate) trait Spike {
    /// Whether spikes are not 0 or 1, so that the reset has to be recorded beside them.
    const RELAXED: bool;
    /// The spike for `x = u − θ`.
    fn fire<F: Float>(surrogate: Surrogate, x: F) -> F;
}

/// `Θ(x)`, with `Θ(0) = 0`.
pub(crate) enum Heaviside {}

impl Spike for Heaviside {
    const RELAXED: bool = false;
    #[inline(always)]
    fn fire<F: Float>(_: Surrogate, x: F) -> F {
        if x > F::zero() { F::one() } else { F::zero() }
    }
}

/// `σ(x)`, whose derivative the surrogate is.
pub(crate) enum Soft {}

impl Spike for Soft {
    const RELAXED: bool = true;
    fn fire<F: Float>(surrogate: Surrogate, x: F) -> F {
        surrogate.soft_spike(x)
    }
}

/// `[T, B, N]` as `[T·B, N]`.
fn flat<F: Float>(array: ArrayView3<'_, F>) -> CowArray<'_, F, Ix2> {
    let (num_steps, batch, n) = array.dim();
    let standard = if array.is_standard_layout() {
        array.into()
    } else {
        CowArray::from(array.as_standard_layout().into_owned())
    };
    standard
        .into_shape_with_order((num_steps * batch, n))
        .expect("standard layout, equal sizes")
}

/// `[T·B, N]` as `[T, B, N]`.
fn unflat<F: Float>(array: Array2<F>, num_steps: usize) -> Array3<F> {
    let (rows, n) = array.dim();
    let standard = if array.is_standard_layout() {
        array
    } else {
        array.as_standard_layout().into_owned()
    };
    standard
        .into_shape_with_order((num_steps, rows / num_steps, n))
        .expect("standard layout, equal sizes")
}

/// The values of an array in standard layout.
fn values<F, S: Data<Elem = F>, D: Dimension>(array: &ArrayBase<S, D>) -> &[F] {
    array.as_slice().expect("standard layout")
}

/// The values of an array in standard layout, to be changed.
fn values_mut<F, D: Dimension>(array: &mut Array<F, D>) -> &mut [F] {
    array.as_slice_mut().expect("standard layout")
}

/// The reference behind the [`Engine`] trait.
#[derive(Debug, Clone)]
pub struct ReferenceEngine<F: Float = f32> {
    network: Network<F>,
    objective: Objective<F>,
    adam: Adam<F>,
}

impl<F: Float> ReferenceEngine<F> {
    /// An engine that trains `network` by `objective` (a bare [`Loss`](crate::Loss) will do).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for settings of the objective or the optimiser out of range.
    pub fn new(
        network: Network<F>,
        objective: impl Into<Objective<F>>,
        adam: Adam<F>,
    ) -> Result<Self> {
        let objective = objective.into();
        objective.check()?;
        adam.check()?;
        Ok(ReferenceEngine {
            network,
            objective,
            adam,
        })
    }

    fn run(
        &self,
        input: Input<'_, F>,
        targets: &[usize],
    ) -> Result<(Recording<F>, Adjoints<F>, StepReport)> {
        self.network.check_targets(targets, input.batch())?;
        let recording = forward(&self.network, input)?;
        let (loss, adjoints) = self.objective.evaluate(&recording, targets)?;
        if !loss.is_finite() {
            let find = || Ok(first_not_finite(&recording));
            return Err(loss_not_finite(loss, &self.network, find));
        }
        let report = StepReport::new(loss, &recording, targets)?;
        Ok((recording, adjoints, report))
    }

    pub(crate) fn run_back(
        &self,
        input: Input<'_, F>,
        targets: &[usize],
    ) -> Result<(StepReport, Gradients<F>)> {
        let (recording, adjoints, report) = self.run(input, targets)?;
        let gradients = backward(&self.network, input, &recording, &adjoints)?;
        gradients.check_finite()?;
        Ok((report, gradients))
    }
}

impl<F: Float> Engine<F> for ReferenceEngine<F> {
    fn describe(&self) -> String {
        format!("CPU, reference engine ({}){}", F::NAME, build_note())
    }

    fn forward(&mut self, input: Input<'_, F>, record: &Record) -> Result<Recording<F>> {
        record.check(self.network.layers().len())?;
        Ok(forward(&self.network, input)?.keep(record))
    }

    fn classify(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        check_classes(input, classes)?;
        let recording = forward(&self.network, input)?;
        classes.copy_from_slice(&recording.classify(read_out));
        Ok(())
    }

    fn evaluate(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<StepReport> {
        Ok(self.run(input, targets)?.2)
    }

    fn gradients(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<(f64, Gradients<F>)> {
        let (report, gradients) = self.run_back(input, targets)?;
        Ok((report.loss, gradients))
    }

    fn train_step(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<StepReport> {
        let (report, gradients) = self.run_back(input, targets)?;
        self.adam.step(&mut self.network, &gradients)?;
        Ok(report)
    }

    fn network(&mut self) -> Result<Network<F>> {
        Ok(self.network.clone())
    }

    fn objective(&self) -> &Objective<F> {
        &self.objective
    }

    fn optimiser(&mut self) -> Result<Adam<F>> {
        Ok(self.adam.clone())
    }
}
