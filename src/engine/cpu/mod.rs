//! The fast engine for CPUs.
//!
//! It computes what [`reference`](super::reference) computes, in another order of loops:
//!
//! 1. **Hoist** ([`read`], [`current`]): a static input's product with the first layer's weights, once
//!    for all steps, block of neurons by block, walking the non-zero pixels.
//! 2. **Through time** ([`sample`]: [`forward`], [`loss`], [`backward`]): each sample (or a group of a few) goes
//!    forward through all layers and all steps, through the loss, and back, before the next begins.
//!    Membranes stay in registers, a sample's trace in L2; nothing of size `[T, B, N]` exists, unless
//!    a loss of the user's own asks for it.
//! 3. **Weights** ([`update`], [`strip`], [`weights`]): gradients block by block, each handed to Adam while it is
//!    in registers.
//!
//! Work is split by samples in 1 and 2 and by weights in 3, and every sum runs in a fixed order, so
//! the bits do not depend on the number of threads; nor on the instruction set, on x86 or ARM, where it
//! has fused multiply-adds ([`simd`]).

mod backward;
mod clock;
mod current;
mod dense;
mod forward;
mod infer;
pub(crate) mod kernels;
mod layout;
mod lists;
mod loss;
mod parallel;
mod pass;
mod pool;
mod read;
mod sample;
mod simd;
mod source;
mod step;
mod update;
mod vectors;
mod weight_grad;
mod weights;

use ndarray::ArrayViewMut2;

pub(crate) use self::infer::Inference;
use self::{
    infer::{classify, record, scores},
    layout::{LayerState, Moments},
    simd::Isa,
    step::{Machine, Mode},
};
use super::{
    adam_fits, build_note, check_classes, check_parameters, check_scores, find_not_finite,
    loss_not_finite,
};
use crate::{
    Adam, Engine, Error, Gradients, Input, Layer, Loss, Network, Objective, ReadOut, Record,
    Recording, Result, StepReport,
    network::LayerGradients,
    optim::{Update, check_second},
};

/// The fast CPU engine behind the [`Engine`] trait; single precision.
#[derive(Debug)]
pub struct CpuEngine {
    /// Structure, and the parameters as they were at first.
    template: Network,
    objective: Objective,
    /// Settings and count of updates; the moments lie with the layers.
    adam: Adam,
    machine: Machine,
    /// Whether training steps report the norms of their gradients.
    measures: bool,
    /// Why it is not another device, for the log.
    note: Option<String>,
}

impl CpuEngine {
    /// An engine that trains `network` by `objective` (a bare [`Loss`] will do).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for settings of the objective or the optimizer out of range;
    /// [`Error::Shape`] where the optimizer has moments of another network.
    pub fn new(network: Network, objective: impl Into<Objective>, adam: Adam) -> Result<Self> {
        Self::with_isa(network, objective.into(), adam, Isa::best())
    }

    /// The same on an instruction set by its name (`AVX-512`, `AVX2`, `SSE2`; on ARM `NEON`,
    /// `portable`), to compare their results.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::InvalidParameter`] where this machine does not have it.
    pub fn with_instruction_set(
        network: Network,
        objective: impl Into<Objective>,
        adam: Adam,
        name: &str,
    ) -> Result<Self> {
        let isa = instruction_set(name)?;
        Self::with_isa(network, objective.into(), adam, isa)
    }

    /// The instruction sets that this machine has, the fastest last.
    pub fn instruction_sets() -> Vec<&'static str> {
        Isa::available().into_iter().map(Isa::name).collect()
    }

    /// Starts timing the parts of what is run from now on.
    #[doc(hidden)]
    pub fn start_clock(&mut self) {
        self.machine.kit.clock.start();
    }

    /// Seconds of each part since [`start_clock`](Self::start_clock), all threads together.
    #[doc(hidden)]
    pub fn stop_clock(&mut self) -> Vec<(&'static str, f64)> {
        self.machine.kit.clock.stop()
    }

    fn with_isa(network: Network, objective: Objective, adam: Adam, isa: Isa) -> Result<Self> {
        objective.check()?;
        adam.check()?;
        let layers = network.layers().iter().enumerate();
        let layers = layers.map(|(k, layer)| LayerState::new(layer, k > 0));
        let layers: Vec<LayerState> = layers.collect();
        let mut moments = vec![Moments::default(); layers.len()];
        let mut settings = Adam {
            moments: None,
            ..adam
        };
        if let Some((first, second)) = adam.moments {
            adam_fits(&network, &first)?;
            let given = first.layers.into_iter().zip(second.layers);
            for ((layer, moments), (m, v)) in layers.iter().zip(&mut moments).zip(given) {
                *moments = Moments {
                    first: layer.pack(&m.weight, &m.bias),
                    second: layer.pack(&v.weight, &v.bias),
                    constants: {
                        let mut given = m.constants.into_iter().zip(v.constants);
                        let each = layer.neuron.each();
                        let pair = |((_, m), (_, v))| (m, v);
                        each.map(|(.., learn)| learn.then(|| given.next().map(pair)).flatten())
                            .collect()
                    },
                };
            }
            settings.step = adam.step;
        }
        let finite = network.check_finite("").is_ok();
        let machine = Machine::new(isa, layers, moments, finite);
        Ok(CpuEngine {
            template: network,
            objective,
            adam: settings,
            machine,
            measures: false,
            note: None,
        })
    }

    /// Says why it is not another device that computes.
    #[cfg(feature = "cuda")]
    pub(super) fn with_note(mut self, note: String) -> Self {
        self.note = Some(note);
        self
    }

    /// Refuses what can be refused without looking at the input's numbers: a pass does that.
    fn check(&self, input: Input<'_>, targets: &[usize]) -> Result<()> {
        input.check_shape(&self.template)?;
        self.template.check_targets(targets, input)
    }

    /// Refuses a loss that is not finite, and says what made it so.
    fn check_loss(&mut self, report: StepReport, input: Input<'_>) -> Result<StepReport> {
        if report.loss.is_finite() {
            return Ok(report);
        }
        let network = self.to_network()?;
        let (model, work) = self.machine.forward();
        let record = |one| finite(one, record(model, work, one, &Record::All));
        let find = || find_not_finite(input, record);
        Err(loss_not_finite(report.loss, &network, find))
    }

    /// One batch as the mode says. A loss of the user's own sees the whole batch, recorded, and hands
    /// back adjoints, from which a second pass goes on; the others are formed sample by sample.
    fn run(&mut self, input: Input<'_>, targets: &[usize], mode: Mode) -> Result<StepReport> {
        if !matches!(self.objective.loss, Loss::Custom(_)) {
            let report = self.machine.run(input, targets, &self.objective, mode);
            return self.check_loss(finite(input, report)?, input);
        }
        input.check_recording(&self.template, &Record::All)?;
        let recording = self.record(input, &Record::All)?;
        let (loss, adjoints) = self.objective.evaluate(&recording, targets)?;
        let report = self.check_loss(StepReport::new(loss, &recording, targets)?, input)?;
        if !matches!(mode, Mode::Evaluate) {
            let machine = &mut self.machine;
            let report = machine.run_back(input, targets, &recording, &adjoints, mode);
            finite(input, report)?;
        }
        self.machine.reclaim(recording);
        Ok(report)
    }

    fn record(&mut self, input: Input<'_>, what: &Record) -> Result<Recording> {
        let (model, work) = self.machine.forward();
        finite(input, record(model, work, input, what))
    }

    /// The gradients in the machine's buffers, if all are finite.
    fn finite_gradients(&self) -> Result<Gradients> {
        let learning = &self.machine.learning;
        let gradients = self.export(|layer, k| {
            let (weight, bias) = layer.unpack(&learning.gradients[k]);
            let constants = learning.learnt_gradients(layer, k).into_iter();
            let constants = constants.map(|(i, g)| (layer.neuron.constants()[i], g));
            LayerGradients {
                weight,
                bias,
                constants: constants.collect(),
            }
        });
        gradients.check_finite()?;
        Ok(gradients)
    }

    /// Adam on the gradients in the machine's buffers, clipped if asked for. Returns the norm of each
    /// layer's before that.
    fn apply(&mut self, update: Update) -> Result<Vec<f64>> {
        let squares = self.machine.learning.gradient_squares(&self.machine.layers);
        let norm = squares.iter().sum::<f64>().sqrt();
        if !norm.is_finite() {
            self.finite_gradients()?;
        }
        let factor = self.adam.clip_factor(norm);
        if factor < 1.0 {
            self.machine.learning.scale_gradients(factor);
        }
        if norm * factor >= Update::SAFE {
            let (gradients, before) = (self.finite_gradients()?, self.to_optimizer()?);
            let second = |v, g| update.second(v, g);
            check_second(&gradients, before.moments(), before.steps() + 1, second)?;
        }
        let Machine {
            kit,
            layers,
            learning,
            ..
        } = &mut self.machine;
        learning.apply(kit.isa, layers, update);
        Ok(squares.into_iter().map(f64::sqrt).collect())
    }

    fn export(&self, layer: impl Fn(&LayerState, usize) -> LayerGradients<f32>) -> Gradients {
        let layers = self.machine.layers.iter().enumerate();
        Gradients {
            layers: layers.map(|(k, state)| layer(state, k)).collect(),
        }
    }
}

impl Engine for CpuEngine {
    fn describe(&self) -> String {
        let note = self.note.as_ref().map(|note| format!("; {note}"));
        format!(
            "CPU, {}, {} threads{}{}",
            self.machine.kit.isa.name(),
            parallel::threads(),
            note.unwrap_or_default(),
            build_note(),
        )
    }

    fn forward(&mut self, input: Input<'_>, record: &Record) -> Result<Recording> {
        input.check_shape(&self.template)?;
        record.check(self.template.layers().len())?;
        input.check_recording(&self.template, record)?;
        self.record(input, record)
    }

    fn classify(
        &mut self,
        input: Input<'_>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        input.check_shape(&self.template)?;
        check_classes(input, classes)?;
        let (model, work) = self.machine.forward();
        finite(input, classify(model, work, input, read_out, classes))
    }

    fn scores(
        &mut self,
        input: Input<'_>,
        read_out: ReadOut,
        into: ArrayViewMut2<'_, f32>,
    ) -> Result<()> {
        input.check_shape(&self.template)?;
        check_scores(input, self.template.outputs(), &into)?;
        let (model, work) = self.machine.forward();
        finite(input, scores(model, work, input, read_out, into))
    }

    fn evaluate(&mut self, input: Input<'_>, targets: &[usize]) -> Result<StepReport> {
        self.check(input, targets)?;
        self.run(input, targets, Mode::Evaluate)
    }

    fn gradients(&mut self, input: Input<'_>, targets: &[usize]) -> Result<(f64, Gradients)> {
        self.check(input, targets)?;
        let report = self.run(input, targets, Mode::Gradients)?;
        Ok((report.loss, self.finite_gradients()?))
    }

    fn train_step(&mut self, input: Input<'_>, targets: &[usize]) -> Result<StepReport> {
        self.check(input, targets)?;
        check_parameters(
            self.machine.learning.finite,
            "before",
            self.adam.step + 1,
            self,
        )?;
        let update = self.adam.next_update();
        let mode = match self.adam.clip_norm.is_some() || self.measures {
            false => Mode::Train(update),
            true => Mode::Gradients,
        };
        let mut report = self.run(input, targets, mode)?;
        if !self.machine.updated {
            // To be clipped or measured, or so large that one may have overflowed: look before using them.
            let norms = self.apply(update)?;
            report.gradient_norms = self.measures.then_some(norms);
        }
        self.adam.step += 1;
        check_parameters(self.machine.learning.finite, "after", self.adam.step, self)?;
        Ok(report)
    }

    fn measure_gradients(&mut self, on: bool) {
        self.measures = on;
    }

    fn to_network(&mut self) -> Result<Network> {
        let layers = self.machine.layers.iter().map(|state| {
            let (weight, bias) = state.unpack(&state.params);
            Layer {
                weight,
                bias,
                constants: state.values.clone(),
                neuron: state.neuron.clone(),
            }
        });
        Ok(Network::from_layers(layers.collect()))
    }

    fn objective(&self) -> &Objective {
        &self.objective
    }

    fn to_optimizer(&mut self) -> Result<Adam> {
        let mut adam = self.adam.clone();
        if adam.step > 0 {
            let moments = |second: bool| {
                self.export(|layer, k| {
                    let moments = &self.machine.learning.moments[k];
                    let (weight, bias) = layer.unpack(if second {
                        &moments.second
                    } else {
                        &moments.first
                    });
                    let pick = |(i, constant): (usize, _)| {
                        let (m, v) = moments.constants[i].as_ref()?;
                        Some((constant, if second { v.clone() } else { m.clone() }))
                    };
                    LayerGradients {
                        weight,
                        bias,
                        constants: layer.learnt().filter_map(pick).collect(),
                    }
                })
            };
            adam.moments = Some((moments(false), moments(true)));
        }
        Ok(adam)
    }
}

/// The instruction set of this name, if this machine has it.
fn instruction_set(name: &str) -> Result<Isa> {
    let available = Isa::available();
    let found = available.iter().find(|isa| isa.name() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<_> = available.iter().map(|isa| isa.name()).collect();
        Error::parameter("instruction set", name, names.join(" or "))
    })
}

/// What the machine has made of an input, or why it has not.
fn finite<T>(input: Input<'_>, made: Option<T>) -> Result<T> {
    made.ok_or_else(|| input.not_finite())
}
