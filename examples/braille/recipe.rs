//! Network, loss, optimizer and run: as SpyTorch's tutorial 5 has them, or as they do better.

use std::fmt;

use clap::ValueEnum;
use spikegrad::{
    Adamax, Draw, Encoder, Init, LeakyIntegrator, Loss, Network, Optimizer, PerNeuron, Recurrence,
    Schedule, Surrogate, Synaptic, Trainer, decay,
};

use crate::data::Over;

/// Inputs.
const CHANNELS: usize = 4;
/// Encoders, in turn of the first, the second, … channel.
const ENCODERS: usize = 128;
/// Recurrent neurons.
const RECURRENT: usize = 200;
/// One more than there are letters, as in the tutorial.
const OUTPUTS: usize = 28;

/// Time constants of synapses and membranes, in steps of 1 ms.
const SYNAPSE: f64 = 10.0;
const MEMBRANE: f64 = 20.0;

/// Which recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    Tutorial,
    Own,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Name::Tutorial => "tutorial",
            Name::Own => "own",
        })
    }
}

/// Everything that a run is made of, but for its data and its seed.
pub struct Recipe {
    pub name: Name,
    pub epochs: usize,
    pub batch_size: usize,
    /// What the measurements are standardized over.
    pub standardize: Over,
}

impl Recipe {
    pub fn new(name: Name, epochs: Option<u64>) -> Recipe {
        let standardize = match name {
            Name::Tutorial => Over::All,
            Name::Own => Over::Training,
        };
        Recipe {
            name,
            epochs: epochs.map_or(100, |epochs| epochs as usize),
            batch_size: 100,
            standardize,
        }
    }

    /// Encoders with a gain and a bias each, on weights that hand each of them one channel; recurrent
    /// current-based neurons; leaky integrators.
    pub fn network(&self, seed: u64) -> spikegrad::Result<Network> {
        let learn = self.name == Name::Own;
        let (alpha, beta) = (decay(SYNAPSE, 1.0), decay(MEMBRANE, 1.0));
        // Constants that are learnt are those of each neuron.
        let of = |value: f64, neurons: usize| match learn {
            true => PerNeuron::Each(vec![value; neurons]),
            false => PerNeuron::Shared(value),
        };
        let surrogate = Surrogate::FastSigmoid { slope: 20.0 };
        let normal = Draw::Normal { mean: 0.0, sd: 1.0 };
        Network::builder(CHANNELS)
            .layer(
                ENCODERS,
                Encoder::new(beta)
                    .late_reset(true)
                    .gain(normal)
                    .bias(normal)
                    .learn_gain(true)
                    .learn_bias(true)
                    .surrogate(surrogate),
            )
            .init(Init::Tiled)
            .bias(false)
            .fixed()
            .layer(
                RECURRENT,
                Synaptic::spytorch(of(alpha, RECURRENT), of(beta, RECURRENT))
                    .gain(1.0 - beta)
                    .learn_alpha(learn)
                    .learn_beta(learn)
                    .surrogate(surrogate),
            )
            .initial_membrane(-1e-3)
            .init(Init::Scaled { scale: 3.0 })
            .bias(false)
            .recurrent(Recurrence::all_to_all().bias(false))
            .recurrent_init(Init::Scaled { scale: 0.03 })
            .layer(
                OUTPUTS,
                LeakyIntegrator::spytorch(of(alpha, OUTPUTS), of(beta, OUTPUTS))
                    .gain(1.0 - beta)
                    .learn_alpha(learn)
                    .learn_beta(learn),
            )
            .init(Init::Scaled { scale: 3.0 })
            .bias(false)
            .seed(seed)
            .build()
    }

    /// Cross entropy of each output's largest membrane.
    pub fn loss(&self) -> Loss {
        Loss::CrossEntropyMaxMembrane
    }

    /// Adamax, at a rate that falls in the own recipe; `updates` are those of the whole run.
    pub fn optimizer(&self, updates: u64) -> Optimizer {
        let adamax = Adamax::new(1e-2).betas(0.9, 0.995);
        match self.name {
            Name::Tutorial => adamax.into(),
            Name::Own => adamax.schedule(Schedule::cosine(updates)),
        }
    }

    /// The run. The last batch of an epoch may be short, as in the tutorial.
    pub fn trainer(&self, seed: u64) -> Trainer {
        Trainer {
            epochs: self.epochs,
            batch_size: self.batch_size,
            seed,
            drop_last: false,
            ..Trainer::default()
        }
    }
}
