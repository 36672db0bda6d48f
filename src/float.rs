//! The two precisions of the crate: `f32` for training, `f64` for verification.
//!
//! `exp` and `ln` come from Rust code (`libm`), not the platform's C library, so that a seed gives
//! the same bits on every machine.

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

/// A type constructor over the precision: `Of<f32>` and `Of<f64>`.
pub trait ByPrecision {
    /// The type for `F`.
    type Of<F: Float>;
}

mod private {
    use super::{ByPrecision, Float};

    pub trait Sealed: Sized {
        /// The one of the two with this precision.
        fn choose<P: ByPrecision>(single: P::Of<f32>, double: P::Of<f64>) -> P::Of<Self>
        where
            Self: Float;
    }

    impl Sealed for f32 {
        fn choose<P: ByPrecision>(single: P::Of<f32>, _: P::Of<f64>) -> P::Of<f32> {
            single
        }
    }

    impl Sealed for f64 {
        fn choose<P: ByPrecision>(_: P::Of<f32>, double: P::Of<f64>) -> P::Of<f64> {
            double
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
