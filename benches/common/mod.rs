//! What the benches share: batches of MNIST, and engines on its network.

use std::path::Path;

use spikegrad::{
    Adam, Engine, Leaky, Loss, Network,
    data::{Batch, Dataset, Mnist},
};

/// Training images of MNIST; where the files are not there (a published crate comes without them),
/// as many images with as many pixels lit, in random places.
pub fn images() -> Dataset {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist");
    if folder.is_dir() {
        return Mnist::load(folder).expect("MNIST can be read").train;
    }
    eprintln!("no MNIST in examples/data/mnist: synthetic images, 19 % of their pixels lit");
    let mut state = 1_u32;
    let mut draw = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 24
    };
    let pixels = ndarray::Array2::from_shape_simple_fn((4096, 784), || match draw() {
        0..49 => (draw() | 1) as u8,
        _ => 0,
    });
    let labels = (0..4096).map(|n| (n % 10) as u8).collect();
    Dataset::new(pixels, labels, 10).expect("labels fit")
}

/// The first batch of `size` images.
pub fn batch(images: &Dataset, size: usize) -> Batch {
    let mut batches = images.batches(size).expect("size is not 0").shuffled(0, 0);
    batches.next().expect("there are as many images")
}

/// 784–1000–…–10 with `hidden` hidden layers: network, loss and optimizer of the main job.
#[allow(dead_code, reason = "one bench has networks of its own")]
pub fn engine<E: Engine>(
    hidden: usize,
    new: impl FnOnce(Network, Loss, Adam) -> spikegrad::Result<E>,
) -> E {
    let mut builder = Network::builder(784);
    for _ in 0..hidden {
        builder = builder.layer(1000, Leaky::new(0.95));
    }
    let network = builder.layer(10, Leaky::new(0.95)).seed(0).build();
    new(
        network.expect("sizes are not 0"),
        Loss::CrossEntropyMembrane,
        Adam::new(5e-4),
    )
    .expect("settings are in range")
}

/// Whether there is a GPU; the software driver's times say nothing.
#[cfg(feature = "cuda")]
#[allow(dead_code, reason = "not every bench has a GPU's engine")]
pub fn gpu() -> bool {
    let (device, found) = spikegrad::Device::Auto.resolve();
    device == spikegrad::Device::Cuda(0) && !found.contains("softcuda")
}
