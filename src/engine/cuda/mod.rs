//! The engine for NVIDIA GPUs, single precision.
//!
//! It computes what [`reference`](super::reference) computes, in the same order of work: parameters,
//! moments and everything in between stay on the device; a training step uploads a batch (as bytes,
//! where its values are those of an image), while the step before is computed if it was announced by
//! [`prefetch`](Engine::prefetch), and downloads some numbers per sample. The kernels are CUDA C in
//! `ptx/*.cu`, shipped as PTX; [`passes`] and [`back`] say which of them runs on what, [`machine`] what
//! there is, [`layout`] and [`batch`] where it lies; [`device`] runs them, [`driver`] finds the driver.
//! No sum depends on timing: the same steps give the same bits.
//!
//! The device looks at loss and gradients, for NaN and infinity, before it changes any parameter, so a
//! step that fails leaves parameters and moments alone.

mod answers;
mod back;
mod batch;
mod context;
#[allow(unsafe_code)]
mod device;
#[allow(unsafe_code)]
mod driver;
mod layout;
mod machine;
mod passes;

pub(super) use self::device::Gpu;
use self::{
    batch::{Flags, Report},
    machine::Machine,
};
use super::{build_note, check_classes, check_parameters, find_not_finite, loss_not_finite};
#[cfg(doc)]
use crate::Error;
use crate::{
    Adam, Engine, Gradients, Input, Loss, Network, Objective, ReadOut, Record, Recording, Result,
    StepReport, optim::Update,
};

/// The CUDA engine behind the [`Engine`] trait; feature `cuda`.
///
/// It works in the device's primary context, as the CUDA runtime and the libraries upon it do. Each method
/// makes that context current on the calling thread and restores what was current before: two calls of
/// the driver, without a way to the device. A custom loss finds the thread's own context. The primary
/// context is let go of when the last engine on the device is dropped. What ends it before, such as
/// `cudaDeviceReset`, ends the engine.
#[derive(Debug)]
pub struct CudaEngine {
    /// Structure, and the parameters as they were when last brought back.
    template: Network,
    objective: Objective,
    /// Settings and count of updates; the moments lie on the device.
    adam: Adam,
    machine: Machine,
    /// Whether training steps report the norms of their gradients.
    measures: bool,
    /// Whether all parameters are finite numbers.
    finite: bool,
}

impl CudaEngine {
    /// An engine on CUDA device `index`, from 0, that trains `network` by `objective` (a bare
    /// [`Loss`] will do).
    ///
    /// # Errors
    /// [`Error::Device`] where there is no such device, or it has no room; [`Error::InvalidParameter`]
    /// for settings of the objective or the optimizer out of range; [`Error::Shape`] where the
    /// optimizer has moments of another network.
    pub fn new(
        index: usize,
        network: Network,
        objective: impl Into<Objective>,
        adam: Adam,
    ) -> Result<Self> {
        Self::on(|| Gpu::open(index), network, objective.into(), adam)
    }

    /// [`new`](Self::new) on the device that `open` gives, which is opened when all else is well.
    pub(super) fn on(
        open: impl FnOnce() -> Result<Gpu>,
        network: Network,
        objective: Objective,
        adam: Adam,
    ) -> Result<Self> {
        objective.check()?;
        adam.check()?;
        if let Some((first, _)) = &adam.moments {
            super::adam_fits(&network, first)?;
        }
        let finite = network.check_finite("").is_ok();
        let machine = Machine::new(open()?, &network, &adam)?;
        Ok(CudaEngine {
            template: network,
            objective,
            adam: Adam {
                moments: None,
                ..adam
            },
            machine,
            measures: false,
            finite,
        })
    }

    /// The batch's loss and correct answers from what the device counted.
    fn step_report(&self, report: &Report, input: Input<'_>, targets: &[usize]) -> StepReport {
        let (steps, samples) = (input.num_steps() as f64, input.batch() as f64);
        let classes = self.template.outputs() as f64;
        let share = match self.objective.loss {
            Loss::CrossEntropyRate => 1.0 / (samples * steps),
            Loss::MseCount { .. } | Loss::MseMembrane { .. } => 1.0 / (steps * samples * classes),
            _ => 1.0 / samples,
        };
        let hidden: u64 = report.spikes.iter().rev().skip(1).sum();
        let activity_penalty = match self.objective.rate_l1 > 0.0 {
            true => self.objective.rate_l1 * hidden as f64,
            false => 0.0,
        };
        let correct = |classes: &[u32]| {
            let pairs = classes.iter().zip(targets);
            pairs
                .filter(|(class, target)| **class as usize == **target)
                .count()
        };
        let layers = self.template.layers().iter().zip(&report.spikes);
        StepReport {
            loss: report.losses.iter().sum::<f64>() * share + activity_penalty,
            samples: input.batch(),
            correct_spike_count: correct(&report.by_count),
            correct_membrane: correct(&report.by_membrane),
            firing_rate: layers
                .map(|(layer, &n)| n as f64 / (steps * samples * layer.neurons() as f64))
                .collect(),
            gradient_norms: None,
        }
    }

    /// Refuses a loss that is not finite, and says what made it so.
    fn check_loss(&mut self, report: StepReport, input: Input<'_>) -> Result<StepReport> {
        if report.loss.is_finite() {
            return Ok(report);
        }
        let network = self.to_network()?;
        let _entered = self.machine.enter()?;
        let machine = &mut self.machine;
        let find = || find_not_finite(input, |one| machine.record(one, &Record::All, false));
        Err(loss_not_finite(report.loss, &network, find))
    }

    fn check(&self, input: Input<'_>, targets: &[usize]) -> Result<()> {
        input.check(&self.template)?;
        self.template.check_targets(targets, input)
    }

    /// One batch; `back` leaves its gradients, all finite, on the device, and `update` applies them. A
    /// loss of the user's own sees the recording on the host, and its adjoints go back to the device.
    fn run(
        &mut self,
        input: Input<'_>,
        targets: &[usize],
        back: bool,
        update: Option<Update>,
    ) -> Result<(StepReport, Flags)> {
        self.check(input, targets)?;
        let (report, flags) = if matches!(self.objective.loss, Loss::Custom(_)) {
            input.check_recording(&self.template, &Record::All)?;
            let recording = {
                let _entered = self.machine.enter()?;
                self.machine.record(input, &Record::All, back)?
            };
            // The loss is the user's own code, and finds the thread's contexts as they were.
            let (loss, adjoints) = self.objective.evaluate(&recording, targets)?;
            let report = StepReport::new(loss, &recording, targets)?;
            let report = self.check_loss(report, input)?;
            let flags = match back {
                true => {
                    let _entered = self.machine.enter()?;
                    self.machine.run_adjoints(input, &adjoints, update)?
                }
                false => Flags::default(),
            };
            (report, flags)
        } else {
            let _entered = self.machine.enter()?;
            let counted = (self.machine).run(input, targets, &self.objective, back, update)?;
            let report = self.step_report(&counted, input, targets);
            (self.check_loss(report, input)?, counted.flags)
        };
        if flags.refused {
            let _entered = self.machine.enter()?;
            self.machine.gradients()?.check_finite()?;
        }
        Ok((report, flags))
    }
}

impl Engine for CudaEngine {
    fn describe(&self) -> String {
        format!("GPU, {}{}", self.machine.describe(), build_note())
    }

    fn forward(&mut self, input: Input<'_>, record: &Record) -> Result<Recording> {
        input.check(&self.template)?;
        record.check(self.template.layers().len())?;
        input.check_recording(&self.template, record)?;
        let _entered = self.machine.enter()?;
        self.machine.record(input, record, false)
    }

    fn classify(
        &mut self,
        input: Input<'_>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        input.check(&self.template)?;
        check_classes(input, classes)?;
        let _entered = self.machine.enter()?;
        let (by_count, by_membrane) = self.machine.classify(input)?;
        let found = match read_out {
            ReadOut::SpikeCount => by_count,
            ReadOut::Membrane => by_membrane,
        };
        for (class, found) in classes.iter_mut().zip(found) {
            *class = found as usize;
        }
        Ok(())
    }

    fn evaluate(&mut self, input: Input<'_>, targets: &[usize]) -> Result<StepReport> {
        Ok(self.run(input, targets, false, None)?.0)
    }

    fn gradients(&mut self, input: Input<'_>, targets: &[usize]) -> Result<(f64, Gradients)> {
        let (report, _) = self.run(input, targets, true, None)?;
        let _entered = self.machine.enter()?;
        Ok((report.loss, self.machine.gradients()?))
    }

    fn train_step(&mut self, input: Input<'_>, targets: &[usize]) -> Result<StepReport> {
        check_parameters(self.finite, "before", self.adam.step + 1, self)?;
        let update = self.adam.next_update();
        let (mut report, flags) = self.run(input, targets, true, Some(update))?;
        self.adam.step += 1;
        if self.measures {
            // The update reads them and leaves them there.
            let _entered = self.machine.enter()?;
            report.gradient_norms = Some(self.machine.gradients()?.layer_norms());
        }
        self.finite &= !flags.infinite;
        check_parameters(self.finite, "after", self.adam.step, self)?;
        Ok(report)
    }

    fn measure_gradients(&mut self, on: bool) {
        self.measures = on;
    }

    fn prefetch(&mut self, input: Input<'_>, targets: &[usize]) -> Result<()> {
        if matches!(self.objective.loss, Loss::Custom(_)) {
            return Ok(()); // is computed on the host
        }
        self.check(input, targets)?;
        let _entered = self.machine.enter()?;
        self.machine.prefetch(input, targets)
    }

    fn to_network(&mut self) -> Result<Network> {
        let _entered = self.machine.enter()?;
        self.machine.parameters(&mut self.template)?;
        Ok(self.template.clone())
    }

    fn objective(&self) -> &Objective {
        &self.objective
    }

    fn to_optimizer(&mut self) -> Result<Adam> {
        let mut adam = self.adam.clone();
        if adam.step > 0 {
            let _entered = self.machine.enter()?;
            adam.moments = Some(self.machine.moments()?);
        }
        Ok(adam)
    }
}
