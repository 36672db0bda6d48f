//! Random arrays. The weights that a seed draws have the same bits on every machine.
//!
//! `ndarray-rand` brings the crate `getrandom` with it, which does not compile for
//! `wasm32-unknown-unknown`. There its `random_using` is written out below.

use rand_chacha::rand_core::RngCore;

/// A number from the standard normal distribution, by Box and Muller's formula. Its functions are those of
/// `libm`, which have the same bits everywhere.
pub(crate) fn normal(rng: &mut impl RngCore) -> f64 {
    let (radius, angle) = (1.0 - unit(rng), unit(rng)); // the first is not 0
    (-2.0 * libm::log(radius)).sqrt() * libm::cos(std::f64::consts::TAU * angle)
}

/// A number from `[0, 1)`, a multiple of 2⁻⁵³.
pub(crate) fn unit(rng: &mut impl RngCore) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(crate) use ndarray_rand::{RandomExt, rand_distr::Uniform};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub(crate) use {rand::distr::Uniform, without_system::RandomExt};

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod without_system {
    use ndarray::{Array, Dimension, ShapeBuilder};
    use rand::{RngCore, distr::Distribution};

    pub(crate) trait RandomExt<D: Dimension> {
        fn random_using<Sh: ShapeBuilder<Dim = D>>(
            shape: Sh,
            distribution: impl Distribution<f64>,
            rng: &mut impl RngCore,
        ) -> Self;
    }

    impl<D: Dimension> RandomExt<D> for Array<f64, D> {
        fn random_using<Sh: ShapeBuilder<Dim = D>>(
            shape: Sh,
            distribution: impl Distribution<f64>,
            rng: &mut impl RngCore,
        ) -> Self {
            Array::from_shape_simple_fn(shape, || distribution.sample(rng))
        }
    }
}
