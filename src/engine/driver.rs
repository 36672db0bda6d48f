//! The protocol that all engines share: what is checked before and after a batch is run, how a loss of the
//! user's own takes part, and the count of updates. What computes is a [`Backend`].

use ndarray::ArrayViewMut2;

use super::{build_note, check_classes, check_scores};
use crate::{
    Adam, Adjoints, Engine, Error, Float, Gradients, Input, Network, Objective, ReadOut, Record,
    Recording, Result, StepReport, finite::check_finite, optim::check_same,
};

/// What a batch is run for.
#[derive(Clone, Copy)]
pub(crate) enum Mode<'a, F: Float = f32> {
    /// The loss alone.
    Evaluate,
    /// The gradients, which stay with the back end.
    Gradients,
    /// An update by these settings; `measure`: whether the norms of the gradients are wanted.
    Train { adam: &'a Adam<F>, measure: bool },
}

impl<F: Float> Mode<'_, F> {
    /// Whether there is a pass back.
    pub fn backward(self) -> bool {
        !matches!(self, Mode::Evaluate)
    }
}

/// The Euclidean norm of each layer's gradients, where it was asked for.
pub(crate) type Norms = Option<Vec<f64>>;

/// Adam's first and second moments.
pub(crate) type Moments<F = f32> = (Gradients<F>, Gradients<F>);

/// What computes for an engine: it holds parameters and moments, and runs batches that [`Driver`] has
/// checked. It refuses an input that holds a NaN or an infinity itself, where it reads it.
pub(crate) trait Backend<F: Float>: Send {
    /// What computes, in a few words.
    fn describe(&self) -> String;

    /// The network's structure. Its parameters may be older than those that are trained.
    fn structure(&self) -> &Network<F>;

    /// The network as it is now.
    fn network(&mut self) -> Result<Network<F>>;

    /// The moments as they are now, after at least one update.
    fn moments(&mut self) -> Result<Option<Moments<F>>>;

    /// Whether all parameters and second moments are finite, as far as it knows without a search.
    fn finite(&self) -> bool;

    /// Refuses an input that does not fit.
    fn check_input(&self, input: Input<'_, F>) -> Result<()> {
        input.check_shape(self.structure())
    }

    /// Runs the network; `back`: whether [`run_back`](Self::run_back) on the same input comes next.
    fn forward(&mut self, input: Input<'_, F>, record: &Record, back: bool)
    -> Result<Recording<F>>;

    /// Each sample's class.
    fn classify(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        let recording = self.forward(input, &Record::Output, false)?;
        classes.copy_from_slice(&recording.classify(read_out));
        Ok(())
    }

    /// Each sample's scores.
    fn scores(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        mut scores: ArrayViewMut2<'_, F>,
    ) -> Result<()> {
        let recording = self.forward(input, &Record::Output, false)?;
        scores.assign(&recording.scores(read_out));
        Ok(())
    }

    /// Runs a batch whose loss the back end computes itself: loss, gradients, update, as the mode says.
    /// `None` if it does not compute this loss. Where the loss is not finite, nothing has been updated.
    fn run(
        &mut self,
        input: Input<'_, F>,
        targets: &[usize],
        objective: &Objective<F>,
        mode: Mode<'_, F>,
    ) -> Result<Option<StepReport>> {
        let _ = (input, targets, objective, mode);
        Ok(None)
    }

    /// Goes on from a recording of all layers and a loss's adjoints: gradients, update, as the mode says.
    fn run_back(
        &mut self,
        input: Input<'_, F>,
        targets: &[usize],
        recording: &Recording<F>,
        adjoints: &Adjoints<F>,
        mode: Mode<'_, F>,
    ) -> Result<Norms>;

    /// The gradients that the last batch left; refuses a NaN or an infinity in them.
    fn gradients(&mut self) -> Result<Gradients<F>>;

    /// Takes back a recording's memory.
    fn reclaim(&mut self, recording: Recording<F>) {
        drop(recording);
    }

    /// Begins to bring a coming batch to where it is computed.
    fn prefetch(
        &mut self,
        input: Input<'_, F>,
        targets: &[usize],
        objective: &Objective<F>,
    ) -> Result<()> {
        let _ = (input, targets, objective);
        Ok(())
    }
}

/// An engine on a back end.
#[derive(Debug, Clone)]
pub(crate) struct Driver<B, F: Float = f32> {
    pub backend: B,
    objective: Objective<F>,
    /// Settings and count of updates; the moments lie with the back end.
    adam: Adam<F>,
    /// Whether training steps report the norms of their gradients.
    measures: bool,
}

impl<F: Float, B: Backend<F>> Driver<B, F> {
    /// Checks the settings; then `open` makes the back end, which takes the moments over.
    pub fn new(
        network: Network<F>,
        objective: Objective<F>,
        adam: Adam<F>,
        open: impl FnOnce(Network<F>, &Adam<F>) -> Result<B>,
    ) -> Result<Self> {
        objective.check()?;
        adam.check()?;
        if let Some((first, _)) = &adam.moments {
            check_same(&network, first, "moments of the optimizer")?;
        }
        Ok(Driver {
            backend: open(network, &adam)?,
            objective,
            adam: Adam {
                moments: None,
                ..adam
            },
            measures: false,
        })
    }

    fn check(&self, input: Input<'_, F>, targets: &[usize]) -> Result<()> {
        self.backend.check_input(input)?;
        let network = self.backend.structure();
        input.check_targets(network, targets)
    }

    /// Refuses parameters and second moments that are not finite, and says which, before or after an
    /// update.
    fn check_parameters(&mut self, when: &str, update: u64) -> Result<()> {
        if self.backend.finite() {
            return Ok(());
        }
        let when = format!(" {when} update {update}");
        self.backend.network()?.check_finite(&when)?;
        if let Some((_, second)) = self.to_optimizer()?.moments() {
            for (name, v) in second.tensors() {
                check_finite(&format!("second moment of {name}{when}"), v.iter())?;
            }
        }
        Ok(())
    }
}

impl<F: Float, B: Backend<F>> Engine<F> for Driver<B, F> {
    fn describe(&self) -> String {
        format!("{}{}", self.backend.describe(), build_note())
    }

    fn forward(&mut self, input: Input<'_, F>, record: &Record) -> Result<Recording<F>> {
        self.backend.check_input(input)?;
        let network = self.backend.structure();
        record.check(network.layers().len())?;
        record.check_memory(network, input)?;
        self.backend.forward(input, record, false)
    }

    fn classify(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        self.backend.check_input(input)?;
        check_classes(input, classes)?;
        self.backend.classify(input, read_out, classes)
    }

    fn scores(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        scores: ArrayViewMut2<'_, F>,
    ) -> Result<()> {
        self.backend.check_input(input)?;
        check_scores(input, self.backend.structure().outputs(), &scores)?;
        self.backend.scores(input, read_out, scores)
    }

    fn evaluate(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<StepReport> {
        self.check(input, targets)?;
        run(
            &mut self.backend,
            &self.objective,
            input,
            targets,
            Mode::Evaluate,
        )
    }

    fn gradients(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<(f64, Gradients<F>)> {
        self.check(input, targets)?;
        let Driver {
            backend, objective, ..
        } = self;
        let report = run(backend, objective, input, targets, Mode::Gradients)?;
        Ok((report.loss, self.backend.gradients()?))
    }

    fn train_step(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<StepReport> {
        self.check(input, targets)?;
        self.check_parameters("before", self.adam.step + 1)?;
        let mode = Mode::Train {
            adam: &self.adam,
            measure: self.measures,
        };
        let report = run(&mut self.backend, &self.objective, input, targets, mode)?;
        self.adam.step += 1;
        self.check_parameters("after", self.adam.step)?;
        Ok(report)
    }

    fn prefetch(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<()> {
        self.backend.prefetch(input, targets, &self.objective)
    }

    fn measure_gradients(&mut self, on: bool) {
        self.measures = on;
    }

    fn to_network(&mut self) -> Result<Network<F>> {
        self.backend.network()
    }

    fn objective(&self) -> &Objective<F> {
        &self.objective
    }

    fn to_optimizer(&mut self) -> Result<Adam<F>> {
        let mut adam = self.adam.clone();
        if adam.step > 0 {
            adam.moments = self.backend.moments()?;
        }
        Ok(adam)
    }
}

/// One batch as the mode says. A loss that the back end does not compute itself sees the whole batch,
/// recorded, and hands back adjoints, from which the back end goes on.
fn run<F: Float>(
    backend: &mut impl Backend<F>,
    objective: &Objective<F>,
    input: Input<'_, F>,
    targets: &[usize],
    mode: Mode<'_, F>,
) -> Result<StepReport> {
    if let Some(report) = backend.run(input, targets, objective, mode)? {
        return check_loss(backend, report, input);
    }
    Record::All.check_memory(backend.structure(), input)?;
    let recording = backend.forward(input, &Record::All, mode.backward())?;
    let (loss, adjoints) = objective.evaluate(&recording, targets)?;
    let report = StepReport::new(loss, &recording, targets)?;
    let mut report = check_loss(backend, report, input)?;
    if mode.backward() {
        report.gradient_norms = backend.run_back(input, targets, &recording, &adjoints, mode)?;
    }
    backend.reclaim(recording);
    Ok(report)
}

/// Refuses a loss that is not finite. Names the first parameter that is not, else the first membrane: of the
/// first sample that has one, layer, step, neuron first; samples are run one by one, since the memory for a
/// recording of all of them may not be there.
fn check_loss<F: Float>(
    backend: &mut impl Backend<F>,
    report: StepReport,
    input: Input<'_, F>,
) -> Result<StepReport> {
    if report.loss.is_finite() {
        return Ok(report);
    }
    backend.network()?.check_finite("")?;
    let mut first: Option<[usize; 4]> = None;
    for sample in 0..input.batch() {
        let recording = backend.forward(input.sample(sample), &Record::All, false)?;
        let place = first_not_finite(&recording).map(|[k, t, _, n]| [k, t, sample, n]);
        first = first.into_iter().chain(place).min();
    }
    let position = match first {
        Some([k, t, b, n]) => format!("layer {}, step {t}, sample {b}, neuron {n}", k + 1),
        None => "its return value, although every membrane is finite".into(),
    };
    Err(Error::NonFinite {
        what: "loss".into(),
        value: report.loss.to_string(),
        position,
    })
}

/// The first membrane that is not finite: layer, step, sample, neuron, each from 0.
fn first_not_finite<F: Float>(recording: &Recording<F>) -> Option<[usize; 4]> {
    (0..recording.num_layers())
        .filter_map(|k| Some((k, recording.layer(k)?)))
        .find_map(|(k, trace)| {
            let ((t, b, n), _) = trace.mem.indexed_iter().find(|(_, u)| !u.is_finite())?;
            Some([k, t, b, n])
        })
}
