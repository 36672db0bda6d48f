//! Ends a run whose validation loss no longer falls.

use std::ops::ControlFlow;

use super::{Event, History};
use crate::{Engine, Network, Result};

/// Ends a run after a number of epochs without a lower validation loss, and keeps the network of the
/// best epoch. Call [`event`](Self::event) in the callback of [`Trainer::fit`](super::Trainer::fit).
///
/// What has happened is read off the [`History`], so a resumed run stops at the same epoch. The best
/// network is kept in memory: in a resumed run it is unknown until there is a better epoch.
///
/// ```
/// # use ndarray::Array2;
/// # use spikegrad::{Adam, Device, Leaky, Loss, Network, Trainer, data::Dataset};
/// # use std::ops::ControlFlow;
/// use spikegrad::train::EarlyStopping;
/// # let images = Array2::from_shape_fn((8, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
/// # let data = Dataset::new(images, (0..8).map(|b| b % 2).collect(), 2)?;
/// # let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
/// # let mut engine = Device::Cpu.engine(network, Loss::CrossEntropyMembrane, Adam::new(0.0))?;
///
/// let trainer = Trainer { epochs: 100, batch_size: 4, ..Trainer::default() };
/// let mut stopping = EarlyStopping::new(3);
/// let history = trainer.fit(&mut engine, &data, Some(&data), |engine, event| {
///     stopping.event(engine, event)
/// })?;
/// assert_eq!(history.epochs.len(), 4); // at a learning rate of 0
/// if let Some(best) = stopping.best() {
///     engine.set_network(best.clone())?;
/// }
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct EarlyStopping {
    patience: usize,
    best: Option<Network>,
}

impl EarlyStopping {
    /// Stops after `patience` epochs in a row without a lower validation loss; 0 counts as 1.
    pub fn new(patience: usize) -> Self {
        EarlyStopping {
            patience: patience.max(1),
            best: None,
        }
    }

    /// After an epoch: copies the network if it is the best so far, and tells whether to stop. Does
    /// nothing after a batch, and in a run without validation.
    ///
    /// # Errors
    /// As [`Engine::to_network`].
    pub fn event(&mut self, engine: &mut dyn Engine, event: Event<'_>) -> Result<ControlFlow<()>> {
        if let Event::Epoch { record, history } = event
            && best_epoch(history) == Some(record.epoch)
        {
            self.best = Some(engine.to_network()?);
        }
        Ok(match event {
            Event::Epoch { history, .. } if self.is_over(history) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    }

    /// Whether a run with this history has stopped.
    pub fn is_over(&self, history: &History) -> bool {
        best_epoch(history).is_some_and(|best| history.epochs.len() - 1 - best >= self.patience)
    }

    /// The network after the best epoch; `None` if that was before the run was resumed, or never.
    pub fn best(&self) -> Option<&Network> {
        self.best.as_ref()
    }
}

/// The epoch with the lowest validation loss, from 0, the first of several; `None` without validation.
pub fn best_epoch(history: &History) -> Option<usize> {
    let losses = history.epochs.iter().enumerate();
    let losses =
        losses.filter_map(|(epoch, record)| Some((epoch, record.validation.as_ref()?.loss)));
    losses
        .reduce(|best, next| if next.1 < best.1 { next } else { best })
        .map(|(epoch, _)| epoch)
}
