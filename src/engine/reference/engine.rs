//! The reference as an [`Engine`](crate::Engine): the [reference](mod@super) plus Adam.

use super::{backward, forward};
#[cfg(doc)]
use crate::Error;
use crate::{
    Adam, Adjoints, Float, Gradients, Input, Network, Objective, Record, Recording, Result,
    engine::driver::{Backend, Driver, Mode, Moments, Norms},
};

/// The reference engine. It implements [`Engine`](crate::Engine).
#[derive(Debug, Clone)]
pub struct ReferenceEngine<F: Float = f32>(pub(in crate::engine) Driver<Reference<F>, F>);

impl<F: Float> ReferenceEngine<F> {
    /// An engine that trains `network` on `objective`, which can be a bare [`Loss`](crate::Loss).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if a setting of the objective or the optimizer is out of range;
    /// [`Error::Shape`] if the optimizer has the moments of another network.
    pub fn new(
        network: Network<F>,
        objective: impl Into<Objective<F>>,
        adam: Adam<F>,
    ) -> Result<Self> {
        let open = |network: Network<F>, adam: &Adam<F>| {
            Ok(Reference {
                gradients: Gradients::zeros(&network),
                moments: adam.moments.clone(),
                network,
            })
        };
        Driver::new(network, objective.into(), adam, open).map(ReferenceEngine)
    }
}

#[derive(Debug, Clone)]
pub(in crate::engine) struct Reference<F: Float> {
    network: Network<F>,
    moments: Option<Moments<F>>,
    /// Of the last batch that was run for them.
    gradients: Gradients<F>,
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

    fn moments(&mut self) -> Result<Option<Moments<F>>> {
        Ok(self.moments.clone())
    }

    /// [`Adam::step`] checks all of them before and after an update.
    fn finite(&self) -> bool {
        true
    }

    fn forward(&mut self, input: Input<'_, F>, record: &Record, _: bool) -> Result<Recording<F>> {
        Ok(forward(&self.network, input)?.keep(record))
    }

    fn run_back(
        &mut self,
        input: Input<'_, F>,
        _: &[usize],
        recording: &Recording<F>,
        adjoints: &Adjoints<F>,
        mode: Mode<'_, F>,
    ) -> Result<Norms> {
        self.gradients = backward(&self.network, input, recording, adjoints)?;
        self.gradients.check_finite()?;
        let Mode::Train { adam, measure } = mode else {
            return Ok(None);
        };
        let mut adam = Adam {
            moments: self.moments.take(),
            ..adam.clone()
        };
        let updated = adam.step(&mut self.network, &self.gradients);
        self.moments = adam.moments;
        updated?;
        Ok(measure.then(|| self.gradients.layer_norms()))
    }

    fn gradients(&mut self) -> Result<Gradients<F>> {
        Ok(self.gradients.clone())
    }
}
