//! Detects silent and saturated layers from firing rates.

use std::fmt;

use super::{History, Trainer};
use crate::Network;
#[cfg(doc)]
use crate::neuron::Neurons;

/// A layer whose neurons (almost) never or (almost) always fired during an epoch. Such a layer
/// passes on no information and hardly any gradient, the most common reason why a spiking network
/// does not learn. `Display` suggests remedies.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct InactiveLayer {
    /// The layer's number, from 1 (`fc1` and `lif1` are layer 1).
    pub layer: usize,
    /// Silent or saturated.
    pub activity: Activity,
    /// Mean firing rate over the epoch, in spikes per neuron and step.
    pub firing_rate: f64,
    /// Steps of the epoch's longest batch.
    pub num_steps: usize,
}

/// The kind of inactivity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Fewer than one spike in 10,000 neuron-steps, in every batch.
    Silent,
    /// A spike in more than 90 % of neuron-steps, in every batch, counting the `T − 1` steps at
    /// which a neuron can fire in every order of events.
    Saturated,
}

impl fmt::Display for InactiveLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, advice) = match self.activity {
            Activity::Silent if self.num_steps == 1 => (
                "silent",
                "in a run of one step a neuron that fires before it integrates (the default) never fires; \
                 use more steps or another order of events",
            ),
            Activity::Silent => (
                "silent",
                "a lower threshold, a slower decay, larger weights or more steps may increase firing",
            ),
            Activity::Saturated => (
                "saturated",
                "a higher threshold, a faster decay, smaller weights or an activity penalty may reduce firing",
            ),
        };
        let (layer, rate) = (self.layer, self.firing_rate);
        write!(
            f,
            "layer {layer} was {state} for the whole epoch ({rate:.2e} spikes per neuron and step): {advice}"
        )
    }
}

impl Trainer {
    /// The layers of `network` that were silent or saturated in every batch of an epoch in `history`, from
    /// the input up. Layers of neurons that [cannot spike](Neurons::spikes) are none of them.
    pub fn inactive_layers(
        &self,
        network: &Network,
        history: &History,
        epoch: usize,
    ) -> Vec<InactiveLayer> {
        let possible = |num_steps: usize| match num_steps {
            0 | 1 => 1.0,
            steps => (steps - 1) as f64 / steps as f64,
        };
        let batches = history.batches.iter().filter(|b| b.epoch == epoch);
        let Some(layers) = batches.clone().map(|b| b.report.firing_rate.len()).min() else {
            return Vec::new();
        };
        let layers = network.layers().iter().take(layers).enumerate();
        let spiking = layers.filter_map(|(k, layer)| layer.neuron().spikes().then_some(k));
        let inactive = |layer: usize| {
            let rates = batches.clone().map(|b| b.report.firing_rate[layer]);
            let activity = if rates.clone().all(|rate| rate < 1e-4) {
                Activity::Silent
            } else if batches
                .clone()
                .all(|b| b.report.firing_rate[layer] > 0.9 * possible(b.num_steps))
            {
                Activity::Saturated
            } else {
                return None;
            };
            let count = rates.clone().count() as f64;
            Some(InactiveLayer {
                layer: layer + 1,
                activity,
                firing_rate: rates.sum::<f64>() / count,
                num_steps: batches.clone().map(|b| b.num_steps).max().unwrap_or(0),
            })
        };
        spiking.filter_map(inactive).collect()
    }
}
