//! The plots: which numbers go into them.

use ndarray::Axis;
use spikegrad::{
    Engine, Input, Network, Record, Recording, Result,
    data::{Batch, Dataset},
    metrics::argmax_rows,
    plot::{self, Curves, Image, Panel, Raster, Traces},
    train::History,
};

use crate::files::Folder;

/// The test image that is shown to the trained network.
const IMAGE: usize = 0;
/// Neurons of each layer in the raster, at most.
const NEURONS: usize = 100;
/// Outputs among the traces, at most: as many as the plot takes.
const OUTPUTS: usize = 20;

/// Loss, accuracy, learning rate and norms of gradients over the run.
pub fn history(history: &History, folder: &Folder) -> Result<()> {
    let loss = plot::loss(&Curves::loss(history, "test"))?;
    folder.write("loss.svg", &loss)?;
    let accuracy = plot::accuracy(&Curves::accuracy(history, "test"))?;
    folder.write("accuracy.svg", &accuracy)?;
    folder.write("learning_rate.svg", &plot::learning_rate(history)?)?;
    let norms = plot::gradient_norms(history);
    // A run in parts measures none, and one that went on from an older version's checkpoint may not have.
    if norms.is_empty() {
        return folder.remove("gradients.svg");
    }
    folder.write("gradients.svg", &plot::gradients(&norms)?)
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

    /// Spikes of neurons spread evenly over each layer, the outputs on top.
    pub fn raster(&self, network: &Network) -> Result<String> {
        let layers = (1..)
            .zip(network.layers())
            .collect::<Vec<_>>()
            .into_iter()
            .rev();
        let panels = layers.map(|(k, layer)| {
            let neurons = plot::spread(layer.neurons(), NEURONS);
            Panel::layer(&self.recording, k, 0, &neurons)
        });
        let panels = panels.collect::<Result<Vec<Panel>>>()?;
        let (height, width) = self.shape;
        let label = format!("a {}", self.batch.targets[0]);
        let image = Image {
            pixels: self.batch.images.row(0),
            height,
            width,
            label: &label,
        };
        plot::raster(&Raster {
            panels: &panels,
            // A larger one than the plot takes is left out.
            image: (height.max(width) <= 256).then_some(image),
            title: &format!("Spikes for test image {IMAGE} ({})", self.answer()),
        })
    }

    /// Membranes of the outputs: if there are many, of the target and those that rise highest.
    pub fn traces(&self, network: &Network) -> Result<String> {
        let (target, last) = (self.batch.targets[0], network.layers().len());
        let sums = self.recording.output().mem.sum_axis(Axis(0));
        let mut outputs: Vec<usize> = (0..network.outputs()).collect();
        outputs.sort_by(|&a, &b| sums[[0, b]].total_cmp(&sums[[0, a]]));
        outputs.sort_by_key(|&n| n != target);
        outputs.truncate(OUTPUTS);
        outputs.sort_unstable();
        plot::traces(&Traces {
            target: outputs.iter().position(|&n| n == target),
            title: format!(
                "Output membranes for test image {IMAGE}, a {target} ({})",
                self.answer()
            ),
            ..Traces::layer(&self.recording, network, last, 0, &outputs)?
        })
    }

    fn answer(&self) -> String {
        let answer = argmax_rows(self.recording.spike_count().view())[0];
        format!("most spikes: {answer}")
    }
}
