//! The two precisions that the mathematics is written for: `f32` to train, `f64` to prove.
//!
//! `exp` and `ln` come from Rust code (`libm`), not from the platform's C library, so that a seed
//! gives the same bits on every machine.

use std::iter::Sum;

use ndarray::NdFloat;

/// `f32` or `f64`. Sealed: no other type implements it.
pub trait Float: NdFloat + Sum + Default + private::Sealed {
    /// Name of the type: `f32` or `f64`.
    const NAME: &'static str;
    /// Rounds a double to this type.
    fn from_f64(x: f64) -> Self;
    /// Widens to a double, exactly.
    fn as_f64(self) -> f64;
    /// `e^x`, the same bits on every platform.
    fn exp_portable(self) -> Self;
    /// Natural logarithm, the same bits on every platform.
    fn ln_portable(self) -> Self;
}

mod private {
    use crate::neuron::{Equations, rows::Rows};

    #[allow(private_interfaces, reason = "nobody outside can name this trait")]
    pub trait Sealed: Sized {
        /// The neurons' equations in this precision.
        fn rows(neuron: &dyn Equations) -> &dyn Rows<Self>
        where
            Self: super::Float;
    }

    #[allow(private_interfaces, reason = "nobody outside can name this trait")]
    impl Sealed for f32 {
        fn rows(neuron: &dyn Equations) -> &dyn Rows<f32> {
            neuron
        }
    }

    #[allow(private_interfaces, reason = "nobody outside can name this trait")]
    impl Sealed for f64 {
        fn rows(neuron: &dyn Equations) -> &dyn Rows<f64> {
            neuron
        }
    }
}

macro_rules! float {
    ($type:ident, $exp:path, $ln:path) => {
        impl Float for $type {
            const NAME: &'static str = stringify!($type);
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $type
            }
            #[inline(always)]
            fn as_f64(self) -> f64 {
                f64::from(self)
            }
            fn exp_portable(self) -> Self {
                $exp(self)
            }
            fn ln_portable(self) -> Self {
                $ln(self)
            }
        }
    };
}
float!(f32, libm::expf, libm::logf);
float!(f64, libm::exp, libm::log);
