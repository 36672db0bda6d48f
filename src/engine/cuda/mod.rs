//! The engine for NVIDIA GPUs, single precision.
//!
//! It computes what [`reference`](super::reference) computes, in the same order of work: parameters,
//! moments and everything in between stay on the device; a training step uploads a batch (as bytes,
//! where its values are those of an image), while the step before is computed if it was announced by
//! [`prefetch`](crate::Engine::prefetch), and downloads some numbers per sample. The kernels are CUDA C in
//! `ptx/*.cu`, shipped as PTX; [`passes`] and [`back`] say which of them runs on what ([`any`] for neurons
//! other than plain leaky ones, [`kind`] which those are), [`machine`] what there is, [`layout`] and [`batch`]
//! where it lies; [`device`] runs them, [`driver`] finds the driver.
//! No sum depends on timing: the same steps give the same bits.
//!
//! The device looks at loss and gradients, for NaN and infinity, before it changes any parameter, so a
//! step that fails leaves parameters and moments alone.

mod answers;
mod any;
mod back;
mod batch;
mod context;
#[allow(unsafe_code)]
mod device;
#[allow(unsafe_code)]
mod driver;
mod dropped;
mod kind;
mod layout;
mod machine;
mod passes;
mod products;
mod read_out;
mod recording;

pub(super) use self::device::Gpu;
use self::{
    batch::{Flags, Report},
    machine::Machine,
};
use super::driver::{Backend, Driver, Mode, Norms};
#[cfg(doc)]
use crate::Error;
use crate::{
    Adjoints, Gradients, Input, Loss, Network, Objective, Optimizer, ReadOut, Record, Recording,
    Result, Samples, State, StepReport, Targets, state::Carry,
};

/// Checks that the engine has such layers.
///
/// # Errors
/// [`Error::Unsupported`] for the first that it has not.
pub(super) fn check(network: &Network) -> Result<()> {
    let mut layers = network.layers().iter().zip(1..);
    layers.try_for_each(|(layer, k)| layout::supported(layer, k).map(drop))
}

/// The CUDA engine behind the [`Engine`](crate::Engine) trait; feature `cuda`.
///
/// It works in the device's primary context, as the CUDA runtime and the libraries upon it do. Each method
/// makes that context current on the calling thread and restores what was current before: two calls of
/// the driver, without a way to the device. A custom loss finds the thread's own context. The primary
/// context is let go of when the last engine on the device is dropped. What ends it before, such as
/// `cudaDeviceReset`, ends the engine.
#[derive(Debug)]
pub struct CudaEngine(pub(super) Driver<Cuda>);

impl CudaEngine {
    /// An engine on CUDA device `index`, from 0, that trains `network` by `objective` (a bare
    /// [`Loss`] will do) with an optimizer (bare settings will do).
    ///
    /// # Errors
    /// [`Error::Device`] where there is no such device, or it has no room; [`Error::InvalidParameter`]
    /// for settings of the objective or the optimizer out of range; [`Error::Shape`] where the
    /// optimizer has the state of another network.
    pub fn new(
        index: usize,
        network: Network,
        objective: impl Into<Objective>,
        optimizer: impl Into<Optimizer>,
    ) -> Result<Self> {
        let (objective, optimizer) = (objective.into(), optimizer.into());
        Self::on(|| Gpu::open(index), network, objective, optimizer)
    }

    /// [`new`](Self::new) on the device that `open` gives, which is opened when all else is well.
    pub(super) fn on(
        open: impl FnOnce() -> Result<Gpu>,
        network: Network,
        objective: Objective,
        optimizer: Optimizer,
    ) -> Result<Self> {
        let open = |network: Network, kept: &[Gradients]| {
            Ok(Cuda {
                finite: network.check_finite("").is_ok(),
                machine: Machine::new(open()?, &network, kept)?,
                template: network,
            })
        };
        Driver::new(network, objective, optimizer, open).map(CudaEngine)
    }
}

/// A network on a device.
#[derive(Debug)]
pub(super) struct Cuda {
    /// Structure, and the parameters as they were when last brought back.
    template: Network,
    machine: Machine,
    /// Whether all parameters are finite numbers.
    finite: bool,
}

impl Cuda {
    /// The batch's loss and correct answers from what the device counted.
    fn step_report(
        &self,
        report: &Report,
        input: Input<'_>,
        targets: &[usize],
        objective: &Objective,
    ) -> StepReport {
        let (steps, samples) = (input.num_steps() as f64, input.batch() as f64);
        let classes = self.template.outputs() as f64;
        let share = match objective.loss {
            Loss::CrossEntropyRate => 1.0 / (samples * steps),
            Loss::MseCount { .. } | Loss::MseMembrane { .. } => 1.0 / (steps * samples * classes),
            _ => 1.0 / samples,
        };
        let hidden: u64 = report.spikes.iter().rev().skip(1).sum();
        let activity_penalty = match objective.rate_l1 > 0.0 {
            true => objective.rate_l1 * hidden as f64,
            false => 0.0,
        };
        let correct = |classes: &[u32]| {
            let pairs = classes.iter().zip(targets);
            pairs
                .filter(|(class, target)| **class as usize == **target)
                .count()
        };
        let layers = self.template.layers().iter().zip(&report.spikes);
        let loss = report.losses.iter().sum::<f64>() * share + activity_penalty;
        let correct = [correct(&report.by_count), correct(&report.by_membrane)];
        let rates = layers.map(|(layer, &n)| n as f64 / (steps * samples * layer.neurons() as f64));
        StepReport::counted(loss, input.batch(), correct, rates)
    }

    /// What is left to do after a batch whose loss is finite: refuses gradients that the device has
    /// refused, and measures them. An update reads them and leaves them there.
    fn after(&mut self, flags: &Flags, mode: Mode<'_>) -> Result<Norms> {
        if flags.refused {
            self.machine.gradients()?.check_finite()?;
        }
        self.finite &= !flags.infinite;
        match mode {
            Mode::Train { measure: true, .. } => Ok(Some(self.machine.gradients()?.layer_norms())),
            _ => Ok(None),
        }
    }
}

/// The optimizer of a mode that makes an update.
fn optimizer(mode: Mode<'_>) -> Option<&Optimizer> {
    match mode {
        Mode::Train { optimizer, .. } => Some(optimizer),
        _ => None,
    }
}

impl Backend<f32> for Cuda {
    fn describe(&self) -> String {
        format!("GPU, {}", self.machine.describe())
    }

    fn structure(&self) -> &Network {
        &self.template
    }

    fn network(&mut self) -> Result<Network> {
        let _entered = self.machine.enter()?;
        self.machine.parameters(&mut self.template)?;
        Ok(self.template.clone())
    }

    fn set_network(&mut self, network: Network) -> Result<()> {
        let _entered = self.machine.enter()?;
        self.machine.set_parameters(&network)?;
        self.finite = network.check_finite("").is_ok();
        self.template = network;
        Ok(())
    }

    fn kept(&mut self, count: usize) -> Result<Vec<Gradients>> {
        let _entered = self.machine.enter()?;
        self.machine.kept(count)
    }

    fn set_kept(&mut self, kept: &[Gradients]) -> Result<()> {
        let _entered = self.machine.enter()?;
        self.machine.set_kept(kept)
    }

    fn finite(&self) -> bool {
        self.finite
    }

    /// The device is not asked about the input's numbers.
    fn check_input(&self, input: Input<'_>) -> Result<()> {
        input.check(&self.template)
    }

    fn forward(
        &mut self,
        input: Input<'_>,
        record: &Record,
        mode: Mode<'_>,
        carry: Option<Carry<'_>>,
    ) -> Result<Recording> {
        let _entered = self.machine.enter()?;
        let pass = (mode.backward(), mode.masks());
        self.machine.record(input, record, pass, carry)
    }

    fn classify(
        &mut self,
        input: Input<'_>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        let _entered = self.machine.enter()?;
        let found = match read_out {
            ReadOut::SpikeCount => self.machine.classify(input)?.0,
            ReadOut::Membrane => self.machine.classify(input)?.1,
            _ => {
                let recording = self
                    .machine
                    .record(input, &Record::Output, (false, None), None)?;
                classes.copy_from_slice(&recording.classify(read_out));
                return Ok(());
            }
        };
        for (class, found) in classes.iter_mut().zip(found) {
            *class = found as usize;
        }
        Ok(())
    }

    fn run(
        &mut self,
        Samples { input, targets }: Samples<'_>,
        objective: &Objective,
        mode: Mode<'_>,
        carry: Option<Carry<'_>>,
    ) -> Result<Option<StepReport>> {
        let (Targets::Classes(targets), true) = (targets, passes::computes(objective)) else {
            return Ok(None);
        };
        let _entered = self.machine.enter()?;
        let (back, pass) = (mode.backward(), (optimizer(mode), mode.masks()));
        let counted = (self.machine).run(input, targets, objective, back, pass, carry)?;
        let mut report = self.step_report(&counted, input, targets, objective);
        if report.loss.is_finite() {
            report.gradient_norms = self.after(&counted.flags, mode)?;
        }
        Ok(Some(report))
    }

    fn run_back(
        &mut self,
        input: Input<'_>,
        _: &Recording,
        adjoints: &Adjoints,
        mode: Mode<'_>,
        _: Option<&State>,
    ) -> Result<Norms> {
        let _entered = self.machine.enter()?;
        let flags = (self.machine).run_adjoints(input, adjoints, optimizer(mode))?;
        self.after(&flags, mode)
    }

    fn gradients(&mut self) -> Result<Gradients> {
        let _entered = self.machine.enter()?;
        self.machine.gradients()
    }

    /// The pass back has refused gradients that are not finite.
    fn accumulate(&mut self, weight: f64, first: bool) -> Result<()> {
        let _entered = self.machine.enter()?;
        self.machine.accumulate(weight, first)
    }

    fn sum(&mut self) -> Result<Gradients> {
        let _entered = self.machine.enter()?;
        self.machine.sum()
    }

    fn set_sum(&mut self, gradients: &Gradients) -> Result<()> {
        let _entered = self.machine.enter()?;
        self.machine.set_sum(gradients)
    }

    fn update(&mut self, optimizer: &Optimizer) -> Result<()> {
        let _entered = self.machine.enter()?;
        let flags = self.machine.update(optimizer)?;
        if flags.refused {
            self.machine.sum()?.check_finite()?;
        }
        self.finite &= !flags.infinite;
        Ok(())
    }

    /// Other losses are computed on the host: then there is nothing to send ahead. Nor is there where a step
    /// does without some of the input.
    fn prefetch(&mut self, samples: Samples<'_>, objective: &Objective) -> Result<()> {
        let Samples { input, targets } = samples;
        let (Targets::Classes(targets), true) = (targets, passes::computes(objective)) else {
            return Ok(());
        };
        self.check(samples, objective)?;
        if self.template.layers()[0].synapses().dropout.is_some() {
            return Ok(());
        }
        let _entered = self.machine.enter()?;
        self.machine.prefetch(input, targets)
    }
}
