//! The four plots: which numbers go into them.

use ndarray::{Array2, Axis, s};
use spikegrad::{
    Engine, Input, Network, Record, Recording, Result,
    data::{Batch, Dataset},
    metrics::argmax_rows,
    plot::{self, Curves, Image, Raster, Series, Traces},
    train::History,
};

/// The test image that is shown to the trained network.
const IMAGE: usize = 0;
/// Hidden neurons in the raster.
const NEURONS: usize = 100;

/// The loss of every training batch, and the test set's after each epoch.
pub fn loss(history: &History) -> Result<String> {
    let train: Vec<f64> = history.batches.iter().map(|b| b.report.loss).collect();
    let test = validation(history, |report| report.loss);
    plot::loss(&Curves {
        train: &train,
        validation: &[Series {
            label: "test",
            points: &test,
        }],
    })
}

/// The accuracy of every training batch, and the test set's by both read-outs after each epoch.
pub fn accuracy(history: &History) -> Result<String> {
    let train: Vec<f64> = (history.batches.iter())
        .map(|b| b.report.accuracy_spike_count())
        .collect();
    let spike_count = validation(history, |report| report.accuracy_spike_count());
    let membrane = validation(history, |report| report.accuracy_membrane());
    let series = |label, points| Series { label, points };
    plot::accuracy(&Curves {
        train: &train,
        validation: &[
            series("test, spike count", &spike_count),
            series("test, membrane", &membrane),
        ],
    })
}

/// A value of each epoch's validation, at the batch where the epoch ended.
fn validation(history: &History, value: impl Fn(&spikegrad::StepReport) -> f64) -> Vec<(f64, f64)> {
    let batches = history.batches.len() / history.epochs.len().max(1);
    let point = |record: &spikegrad::train::EpochRecord| {
        let end = (record.epoch + 1) * batches;
        Some((end as f64, value(record.validation.as_ref()?)))
    };
    history.epochs.iter().filter_map(point).collect()
}

/// One test image, and what the trained network does when it sees it.
pub struct Sample {
    batch: Batch,
    /// `(height, width)`
    shape: (usize, usize),
    recording: Recording,
}

impl Sample {
    /// Shows the network the image for `steps` steps.
    pub fn record(engine: &mut dyn Engine, test: &Dataset, steps: usize) -> Result<Sample> {
        let batch = test.batch(&[IMAGE])?;
        let input = Input::constant(batch.images.view(), steps);
        let recording = engine.forward(input, &Record::All)?;
        Ok(Sample {
            shape: test.image_shape(),
            batch,
            recording,
        })
    }

    /// Spikes of the outputs and of neurons spread evenly over the last hidden layer.
    pub fn raster(&self) -> Result<String> {
        let last = self.recording.num_layers() - 1;
        let spikes = |trace: &spikegrad::Trace| trace.spk.slice(s![.., 0, ..]).to_owned();
        let all: Array2<f32> = (self.recording.trace(last)).map(spikes).unwrap_or_default();
        let shown = all.ncols().min(NEURONS);
        let spread: Vec<usize> = (0..shown).map(|i| i * all.ncols() / shown).collect();
        let (height, width) = self.shape;
        let label = format!("a {}", self.batch.targets[0]);
        let image = Image {
            pixels: self.batch.images.row(0),
            height,
            width,
            label: &label,
        };
        let title = format!(
            "Spikes for test image {IMAGE}: {shown} of {} hidden neurons, and the outputs ({})",
            all.ncols(),
            self.answer()
        );
        plot::raster(&Raster {
            hidden: all.select(Axis(1), &spread).view(),
            output: spikes(self.recording.output()).view(),
            // A larger one than the plot takes is left out.
            image: (height.max(width) <= 256).then_some(image),
            title: &title,
        })
    }

    /// Membranes of the outputs.
    pub fn traces(&self, network: &Network) -> Result<String> {
        let output = &network.layers()[network.layers().len() - 1];
        let (target, title) = (
            self.batch.targets[0],
            format!(
                "Output membranes for test image {IMAGE}, a {} ({})",
                self.batch.targets[0],
                self.answer()
            ),
        );
        plot::traces(&Traces {
            mem: self.recording.output().mem.slice(s![.., 0, ..]),
            threshold: &output.threshold().to_vec(),
            target: Some(target),
            title: &title,
        })
    }

    fn answer(&self) -> String {
        let answer = argmax_rows(self.recording.spike_count().view())[0];
        format!("most spikes: {answer}")
    }
}
