//! The reference as an [`Engine`](crate::Engine): the [reference](mod@super) plus an optimizer.

use std::fmt;

use super::{run, run_back};
#[cfg(doc)]
use crate::Error;
use crate::{
    Adjoints, Engine, Float, Gradients, Input, Network, Objective, Optimizer, Record, Recording,
    Result, State,
    engine::driver::{Backend, Driver, Mode, Norms},
    float::ByPrecision,
    neuron::rows::Spikes,
    state::Carry,
};

/// The reference engine. It implements [`Engine`](crate::Engine).
#[derive(Debug)]
pub struct ReferenceEngine<F: Float = f32>(pub(in crate::engine) Box<dyn Owned<F>>);

/// The engine of a precision behind a pointer: the library has it compiled, and a program that uses it does not
/// compile it anew.
pub(in crate::engine) trait Owned<F: Float>: Engine<F> + fmt::Debug {
    fn boxed(&self) -> Box<dyn Owned<F>>;
}

impl<F: Float> Owned<F> for Driver<Reference<F>, F> {
    fn boxed(&self) -> Box<dyn Owned<F>> {
        Box::new(self.clone())
    }
}

impl<F: Float> Clone for ReferenceEngine<F> {
    fn clone(&self) -> Self {
        ReferenceEngine(self.0.boxed())
    }
}

/// What makes an engine of a precision.
struct Open;

impl ByPrecision for Open {
    type Of<F: Float> = fn(Network<F>, Objective<F>, Optimizer<F>) -> Result<Box<dyn Owned<F>>>;
}

fn open<F: Float>(
    network: Network<F>,
    objective: Objective<F>,
    optimizer: Optimizer<F>,
) -> Result<Box<dyn Owned<F>>> {
    let reference = |network: Network<F>, kept: &[Gradients<F>]| {
        Ok(Reference {
            gradients: Gradients::zeros(&network),
            sum: Gradients::zeros(&network),
            kept: kept.to_vec(),
            network,
        })
    };
    let driver = Driver::new(network, objective, optimizer, reference)?;
    Ok(Box::new(driver))
}

/// [`open`] in single precision. (A generic function is compiled where it is called.)
fn single(
    network: Network<f32>,
    objective: Objective<f32>,
    optimizer: Optimizer<f32>,
) -> Result<Box<dyn Owned<f32>>> {
    open(network, objective, optimizer)
}

/// [`open`] in double precision.
fn double(
    network: Network<f64>,
    objective: Objective<f64>,
    optimizer: Optimizer<f64>,
) -> Result<Box<dyn Owned<f64>>> {
    open(network, objective, optimizer)
}

impl<F: Float> ReferenceEngine<F> {
    /// An engine that trains `network` on `objective`, which can be a bare [`Loss`](crate::Loss), with
    /// an optimizer, which can be bare settings such as [`Adam`](crate::Adam).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if a setting of the objective or the optimizer is out of range;
    /// [`Error::Shape`] if the optimizer has the state of another network.
    pub fn new(
        network: Network<F>,
        objective: impl Into<Objective<F>>,
        optimizer: impl Into<Optimizer<F>>,
    ) -> Result<Self> {
        let open = F::choose::<Open>(single, double);
        open(network, objective.into(), optimizer.into()).map(ReferenceEngine)
    }
}

#[derive(Debug, Clone)]
pub(in crate::engine) struct Reference<F: Float> {
    network: Network<F>,
    /// What the optimizer keeps.
    kept: Vec<Gradients<F>>,
    /// Of the last batch that was run for them.
    gradients: Gradients<F>,
    /// The weighted sum over the batches since the last update.
    sum: Gradients<F>,
}

/// One update of the network; `kept` is what the optimizer keeps.
fn step<F: Float>(
    network: &mut Network<F>,
    kept: &mut Vec<Gradients<F>>,
    optimizer: &Optimizer<F>,
    gradients: &Gradients<F>,
) -> Result<()> {
    let kept_names = match optimizer.step {
        0 => &[],
        _ => optimizer.rule.kept(),
    };
    let mut optimizer = Optimizer {
        kept: std::mem::take(kept),
        kept_names,
        ..optimizer.clone()
    };
    let updated = optimizer.step(network, gradients);
    *kept = optimizer.kept;
    updated
}

impl<F: Float> Backend<F> for Reference<F> {
    fn describe(&self) -> String {
        format!("CPU, reference engine ({})", F::NAME)
    }

    fn structure(&self) -> &Network<F> {
        &self.network
    }

    fn network(&mut self) -> Result<Network<F>> {
        Ok(self.network.clone())
    }

    fn set_network(&mut self, network: Network<F>) -> Result<()> {
        self.network = network;
        Ok(())
    }

    fn kept(&mut self, _: usize) -> Result<Vec<Gradients<F>>> {
        Ok(self.kept.clone())
    }

    fn set_kept(&mut self, kept: &[Gradients<F>]) -> Result<()> {
        self.kept = kept.to_vec();
        Ok(())
    }

    /// [`Optimizer::step`] checks all of them before and after an update.
    fn finite(&self) -> bool {
        true
    }

    fn check_input(&self, input: Input<'_, F>) -> Result<()> {
        input.check(&self.network)
    }

    fn forward(
        &mut self,
        input: Input<'_, F>,
        record: &Record,
        mode: Mode<'_, F>,
        carry: Option<Carry<'_, F>>,
    ) -> Result<Recording<F>> {
        Record::All.check_memory(&self.network, input)?;
        let run =
            |state: &mut State<F>| run(&self.network, input, state, Spikes::Hard, mode.masks());
        let recording = match carry {
            Some(carry) => run(carry.end),
            None => run(&mut State::at_rest(&self.network, input.batch())),
        };
        Ok(recording.keep(record))
    }

    fn run_back(
        &mut self,
        input: Input<'_, F>,
        recording: &Recording<F>,
        adjoints: &Adjoints<F>,
        mode: Mode<'_, F>,
        start: Option<&State<F>>,
    ) -> Result<Norms> {
        let (network, spikes) = (&self.network, Spikes::Hard);
        let masks = mode.masks();
        let back =
            |start: &State<F>| run_back(network, input, start, recording, adjoints, spikes, masks);
        self.gradients = match start {
            Some(start) => back(start)?,
            None => back(&State::at_rest(network, input.batch()))?,
        };
        self.gradients.check_finite()?;
        let Mode::Train {
            optimizer, measure, ..
        } = mode
        else {
            return Ok(None);
        };
        let (network, kept) = (&mut self.network, &mut self.kept);
        step(network, kept, optimizer, &self.gradients)?;
        Ok(measure.then(|| self.gradients.layer_norms()))
    }

    fn gradients(&mut self) -> Result<Gradients<F>> {
        Ok(self.gradients.clone())
    }

    fn accumulate(&mut self, weight: f64, first: bool) -> Result<()> {
        let weight = F::from_f64(weight);
        let tensors = self.sum.tensors_mut().into_iter();
        for ((_, mut sum), (_, g)) in tensors.zip(self.gradients.tensors()) {
            if first {
                sum.fill(F::zero());
            }
            sum.zip_mut_with(&g, |sum, &g| *sum += weight * g);
        }
        Ok(())
    }

    fn sum(&mut self) -> Result<Gradients<F>> {
        Ok(self.sum.clone())
    }

    fn set_sum(&mut self, gradients: &Gradients<F>) -> Result<()> {
        self.sum = gradients.clone();
        Ok(())
    }

    fn update(&mut self, optimizer: &Optimizer<F>) -> Result<()> {
        let (network, kept) = (&mut self.network, &mut self.kept);
        step(network, kept, optimizer, &self.sum)
    }
}
