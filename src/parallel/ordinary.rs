//! Engines without a layout of their own: the vector has the order of the network's tensors.

use crate::{
    Engine, Float, Gradients, Network, Result, Samples, State, StepReport,
    engine::flat::{self, Key, Packed, Piece, Run},
};

/// Computes report and gradients of a shard; the engine keeps the gradients for [`Packed::gradients`].
pub(super) fn shard<F: Float>(
    engine: &mut dyn Engine<F>,
    samples: Samples<'_, F>,
    state: Option<&mut State<F>>,
    key: Key,
) -> Result<StepReport> {
    if let Some(own) = engine.flat() {
        return own.shard(samples, state, key);
    }
    engine.clear_gradients();
    match state {
        Some(state) => engine.accumulate_from(state, samples, 1.0),
        None => engine.accumulate(samples, 1.0),
    }
}

/// Runs `f` with the layout of an engine; `structure` is its network, whose trained values do not matter.
pub(super) fn with_layout<F: Float, R>(
    engine: &mut dyn Engine<F>,
    structure: &Network<F>,
    f: impl FnOnce(&mut dyn Packed<F>) -> R,
) -> R {
    if let Some(packed) = engine.flat().and_then(|own| own.packed()) {
        return f(packed);
    }
    f(&mut Ordinary { engine, structure })
}

struct Ordinary<'a, F: Float> {
    engine: &'a mut dyn Engine<F>,
    structure: &'a Network<F>,
}

impl<F: Float> Packed<F> for Ordinary<'_, F> {
    fn runs(&self) -> Vec<Run<F>> {
        flat::runs(self.structure)
    }

    fn gradients(&mut self, weight: F, out: &mut [F], add: bool) -> Result<()> {
        if let Some(own) = self.engine.flat() {
            flat::flatten(&own.gradients()?, weight, out, add);
            return Ok(());
        }
        self.engine.gradients_mut(&mut |gradients| {
            flat::flatten(gradients, weight, out, add);
            Ok(())
        })?;
        self.engine.clear_gradients();
        Ok(())
    }

    fn parameters(&mut self, out: &mut [F]) -> Result<()> {
        flat::parameters(&self.engine.to_network()?, out);
        Ok(())
    }

    fn set_parameters(&mut self, from: &[F]) -> Result<()> {
        let mut network = self.structure.clone();
        flat::set_parameters(&mut network, from);
        self.engine.set_network(network)
    }

    fn tensors(&self, flat: &[F]) -> Gradients<F> {
        flat::tensors(self.structure, flat)
    }

    fn flatten(&self, tensors: &Gradients<F>, out: &mut [F]) {
        flat::flatten(tensors, F::one(), out, false);
    }

    fn update(&self, piece: Piece<'_, F>) {
        flat::update(piece);
    }
}
