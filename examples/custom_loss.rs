//! A custom loss, a margin on spike counts: one function for training and for the check in `f64`.
//!
//! ```console
//! cargo run --release --example custom_loss
//! ```

use ndarray::{Array2, Array3};
use spikegrad::{
    Adam, Adjoints, Device, Float, Input, Leaky, Loss, Network, Recording, Targets,
    gradcheck::gradcheck,
};

/// The margin: the correct class should have `MARGIN` spikes more than every other.
const MARGIN: f64 = 4.0;

/// With counts `n = Σ_t s_t`: `L = mean_b Σ_{c ≠ y} max(0, MARGIN + n_c − n_y)`.
///
/// Each nonzero term adds `∂L/∂s_t[c] = 1/B` and `∂L/∂s_t[y] = −1/B` at every step `t`.
fn margin<F: Float>(
    recording: &Recording<F>,
    targets: Targets<'_, F>,
) -> spikegrad::Result<(f64, Adjoints<F>)> {
    let count = recording.spike_count(); // [B, C]
    let (steps, batch, classes) = recording.output().spk.dim();
    let share = 1.0 / batch as f64;
    let (mut loss, mut each_step) = (0.0, Array2::<F>::zeros((batch, classes)));
    for (b, &y) in targets.classes()?.iter().enumerate() {
        for c in (0..classes).filter(|&c| c != y) {
            let short = MARGIN + (count[[b, c]] - count[[b, y]]).as_f64();
            if short > 0.0 {
                loss += share * short;
                each_step[[b, c]] += F::from_f64(share);
                each_step[[b, y]] -= F::from_f64(share);
            }
        }
    }
    let e = Array3::from_shape_fn((steps, batch, classes), |(_, b, c)| each_step[[b, c]]);
    Ok((
        loss,
        Adjoints::output(recording.num_layers(), Some(e), None),
    ))
}

fn main() -> spikegrad::Result<()> {
    let (hidden, output) = (Leaky::new(0.9), Leaky::new(0.9));
    let build = |n| {
        Network::builder(6)
            .layer(n, hidden.clone())
            .layer(3, output.clone())
    };
    let x = Array2::from_shape_fn((48, 6), |(b, n)| {
        if n / 2 == b % 3 {
            0.9
        } else {
            0.1 + 0.02 * (b % 7) as f32
        }
    });
    let targets: Vec<usize> = (0..48).map(|b| b % 3).collect();

    // Is the adjoint that of the loss? Asked of a small network, every parameter moved in turn.
    let small: Network<f64> = build(5).build()?;
    let some = x.mapv(f64::from);
    let input = Input::constant(some.slice(ndarray::s![..3, ..]), 8);
    let report = gradcheck(&small, input, &targets[..3], Loss::custom(margin))?;
    print!("{report}");
    assert!(report.passes());

    let mut engine =
        Device::Auto.engine(build(50).build()?, Loss::custom(margin), Adam::new(2e-3))?;
    for step in 1..=120 {
        let report = engine.train_step(Input::constant(x.view(), 25).classes(&targets))?;
        if step % 40 == 0 {
            let accuracy = 100.0 * report.accuracy_spike_count();
            println!(
                "step {step}: loss {:.3}, {accuracy:.0} % right by spike count",
                report.loss
            );
        }
    }
    Ok(())
}
