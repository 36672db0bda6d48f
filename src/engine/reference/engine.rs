//! The reference behind the [`Engine`] trait: checks, loss and update around the
//! [page](mod@super).

use super::{backward, forward};
#[cfg(doc)]
use crate::Error;
use crate::{
    Adam, Adjoints, Engine, Float, Gradients, Input, Network, Objective, ReadOut, Record,
    Recording, Result, StepReport,
    engine::{build_note, check_classes, first_not_finite, loss_not_finite},
};

/// The reference behind the [`Engine`] trait.
#[derive(Debug, Clone)]
pub struct ReferenceEngine<F: Float = f32> {
    network: Network<F>,
    objective: Objective<F>,
    adam: Adam<F>,
    measures: bool,
}

impl<F: Float> ReferenceEngine<F> {
    /// An engine that trains `network` by `objective` (a bare [`Loss`](crate::Loss) will do).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for settings of the objective or the optimizer out of range.
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
            measures: false,
        })
    }

    fn run(
        &self,
        input: Input<'_, F>,
        targets: &[usize],
    ) -> Result<(Recording<F>, Adjoints<F>, StepReport)> {
        self.network.check_targets(targets, input)?;
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
        let (mut report, gradients) = self.run_back(input, targets)?;
        report.gradient_norms = self.measures.then(|| gradients.layer_norms());
        self.adam.step(&mut self.network, &gradients)?;
        Ok(report)
    }

    fn measure_gradients(&mut self, on: bool) {
        self.measures = on;
    }

    fn to_network(&mut self) -> Result<Network<F>> {
        Ok(self.network.clone())
    }

    fn objective(&self) -> &Objective<F> {
        &self.objective
    }

    fn to_optimizer(&mut self) -> Result<Adam<F>> {
        Ok(self.adam.clone())
    }
}
