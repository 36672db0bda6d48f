//! Checks before a run for data and settings from which a network cannot learn.

use super::Trainer;
use crate::{Network, Result, data::Dataset};

impl Trainer {
    /// Likely mistakes in a run of this network on this data, one line each; usually empty.
    /// [`fit`](Self::fit) stores them in [`History::warnings`](super::History::warnings) and
    /// continues. They are
    ///
    /// - each set's own [`Dataset::warnings`];
    /// - [`Network::warnings`]: fewer steps than [`Network::min_steps`], so that the outputs do not
    ///   depend on the input.
    ///
    /// ```
    /// # use ndarray::Array2;
    /// # use spikegrad::{Leaky, Network, Trainer, data::Dataset};
    /// # let images = Array2::from_shape_fn((8, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
    /// # let data = Dataset::new(images, (0..8).map(|b| b % 2).collect(), 2)?;
    /// let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
    /// let trainer = |num_steps| Trainer { num_steps, ..Trainer::default() };
    /// assert!(trainer(2).warnings(&network, &data, None).is_empty());
    /// let warnings = trainer(1).warnings(&network, &data, None);
    /// assert!(warnings[0].starts_with("num_steps is 1; expected at least 2"));
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn warnings(
        &self,
        network: &Network,
        train: &Dataset,
        validation: Option<&Dataset>,
    ) -> Vec<String> {
        let of = |set: &Dataset, what: &str| -> Vec<String> {
            let warnings = set.warnings().into_iter();
            warnings.map(|w| format!("{what} images: {w}")).collect()
        };
        let mut warnings = of(train, "training");
        warnings.extend(validation.into_iter().flat_map(|set| of(set, "validation")));
        warnings.extend(network.warnings(self.num_steps));
        warnings
    }
}

/// Checks that the network has an output for every label in both sets.
pub(super) fn check_labels(
    outputs: usize,
    train: &Dataset,
    validation: Option<&Dataset>,
) -> Result<()> {
    train.check_outputs("training", outputs)?;
    validation.map_or(Ok(()), |set| set.check_outputs("validation", outputs))
}
