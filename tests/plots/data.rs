//! Invented data that looks like a training run, the same on every machine.

use ndarray::{Array1, Array2};
use spikegrad::plot::{Panel, Raster};

/// Noise in -1..1, the same on every machine.
pub fn noise(i: usize) -> f64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// A loss that falls from 60 to 8.
pub fn losses(n: usize) -> Vec<f64> {
    (0..n)
        .map(|i| 8.0 + 52.0 * (-6.0 * i as f64 / n as f64).exp() + 1.5 * noise(i))
        .collect()
}

/// An accuracy that rises from 10 % to 97 %.
pub fn accuracies(n: usize) -> Vec<f64> {
    let rise = |i: usize| 0.97 - 0.87 * (-14.0 * i as f64 / n as f64).exp();
    (0..n)
        .map(|i| (rise(i) + 0.03 * noise(i)).clamp(0.0, 1.0))
        .collect()
}

/// Spikes with the given probability.
pub fn spikes(steps: usize, neurons: usize, rate: f64) -> Array2<f32> {
    Array2::from_shape_fn((steps, neurons), |(t, i)| {
        f32::from((noise(t * neurons + i) + 1.0) / 2.0 < rate)
    })
}

/// A bright ring on black.
pub fn ring(side: usize) -> Array1<f32> {
    let middle = (side as f64 - 1.0) / 2.0;
    let pixel = |i: usize| {
        let r = ((i / side) as f64 - middle).hypot((i % side) as f64 - middle);
        (1.0 - (r - 0.3 * side as f64).abs() / 2.5).max(0.0) as f32
    };
    (0..side * side).map(pixel).collect()
}

/// Leaky membranes that one class drives up to the threshold.
pub fn membranes(steps: usize, classes: usize, winner: usize) -> Array2<f32> {
    let mut mem = Array2::<f32>::zeros((steps, classes));
    for class in 0..classes {
        let mut u = 0.0;
        for t in 0..steps {
            let drive = if class == winner {
                0.35
            } else {
                0.02 * class as f64 - 0.12
            };
            u = 0.95 * u + drive + 0.1 * noise(1000 * class + t) - if u > 1.0 { 1.0 } else { 0.0 };
            mem[[t, class]] = u as f32;
        }
    }
    mem
}

/// Outputs above hidden neurons.
pub fn panels(output: &Array2<f32>, hidden: &Array2<f32>) -> [Panel; 2] {
    [
        Panel::new("output", output.clone()),
        Panel::new("hidden", hidden.clone()),
    ]
}

pub fn plain_raster(panels: &[Panel]) -> Raster<'_> {
    Raster {
        panels,
        image: None,
        title: "",
    }
}
