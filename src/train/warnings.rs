//! Checks before a run for data and settings from which a network cannot learn.

use super::Trainer;
use crate::{Network, data::Data};

impl Trainer {
    /// Likely mistakes in a run of this network on this data, one line each; usually empty.
    /// [`fit`](Self::fit) stores them in [`History::warnings`](super::History::warnings) and
    /// continues. They are
    ///
    /// - each set's own [`Data::warnings`];
    /// - [`Network::warnings`]: fewer steps than [`Network::min_steps`], so that the outputs do not
    ///   depend on the input;
    /// - windows of [`truncate`](Self::truncate) that are shorter than `min_steps`.
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
        train: &dyn Data,
        validation: Option<&dyn Data>,
    ) -> Vec<String> {
        let of = |set: &dyn Data, what: &str| -> Vec<String> {
            let warnings = set.warnings().into_iter();
            warnings.map(|w| format!("{what} set: {w}")).collect()
        };
        let mut warnings = of(train, "training");
        warnings.extend(validation.into_iter().flat_map(|set| of(set, "validation")));
        let num_steps = train.num_steps().unwrap_or(self.num_steps);
        warnings.extend(network.warnings(num_steps));
        warnings.extend(self.short_windows(network, num_steps));
        warnings
    }

    /// Windows in which gradients do not reach the first layers, since each layer that fires before it
    /// integrates passes them on one step late.
    fn short_windows(&self, network: &Network, num_steps: usize) -> Option<String> {
        let (window, least) = (self.truncate?, network.min_steps());
        let last = num_steps % window.max(1);
        let shortest = if last == 0 { window } else { last.min(window) };
        (window < num_steps && shortest < least).then(|| {
            format!(
                "truncate is {window}; expected windows of at least {least} steps: one of {shortest}, of \
                 the {num_steps}, gives the first layers little or no gradient"
            )
        })
    }
}
