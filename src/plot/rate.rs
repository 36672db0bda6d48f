//! The learning rate over a training run.

use super::canvas::Axis;
use super::lines::lines;
use super::{Series, finite};
use crate::{
    History,
    error::{Error, Result},
};

/// Draws the learning rate of every batch, on a linear axis from 0. The legend gives the last one.
///
/// ```
/// # use ndarray::Array2;
/// # use spikegrad::{Adam, Device, Leaky, Loss, Network, Trainer, data::Dataset};
/// # use std::ops::ControlFlow;
/// use spikegrad::{Schedule, plot};
/// # let images = Array2::from_shape_fn((40, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
/// # let data = Dataset::new(images, (0..40).map(|b| b % 2).collect(), 2)?;
/// # let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
/// # let trainer = Trainer { epochs: 2, batch_size: 4, ..Trainer::default() };
/// let adam = Adam::new(1e-2).schedule(Schedule::cosine(20));
/// let mut engine = Device::Cpu.engine(network, Loss::CrossEntropyMembrane, adam)?;
/// let history = trainer.fit(&mut *engine, &data, None, |_, _| Ok(ControlFlow::Continue(())))?;
/// let svg = plot::learning_rate(&history)?;
/// assert!(svg.contains("learning rate"));
/// # Ok::<(), spikegrad::Error>(())
/// ```
///
/// # Errors
/// - [`Error::Shape`] if no batch was trained.
/// - [`Error::NonFinite`] if a rate is NaN or infinite.
/// - [`Error::InvalidParameter`] if a rate is negative or above 1e100.
pub fn learning_rate(history: &History) -> Result<String> {
    let name = "learning rate";
    let rates = history.batches.iter().map(|b| b.learning_rate);
    let points: Vec<(f64, f64)> = rates
        .enumerate()
        .map(|(i, rate)| ((i + 1) as f64, rate))
        .collect();
    if points.is_empty() {
        return Err(Error::shape(name, "[batches], at least 1", &[0]));
    }
    let mut high = 0.0;
    for (i, &(_, rate)) in points.iter().enumerate() {
        finite(name, rate, || format!("batch {i}"))?;
        if !(0.0..=1e100).contains(&rate) {
            let what = format!("{name}, batch {i}");
            return Err(Error::parameter(what, rate, "0 to 1e100"));
        }
        high = f64::max(high, rate);
    }
    let high = if high > 0.0 { 1.05 * high } else { 1.0 };
    let series = Series {
        label: name.into(),
        points,
    };
    lines(
        &[series],
        "batch",
        &Axis::new(name, 0.0, high, 6, 0.0),
        |rate| rate,
    )
}
