//! The arithmetic of a [neuron](crate::neuron) on vector registers of sixteen lanes.

use super::simd::Simd;
use crate::neuron::{Arithmetic, Shape};

/// The arithmetic of an instruction set; a spike is a mask.
#[derive(Clone, Copy)]
pub(super) struct Vectors<S>(pub S);

impl<S: Simd> Arithmetic for Vectors<S> {
    type V = S::V;
    type S = S::M;

    #[inline(always)]
    fn number(self, x: f64) -> S::V {
        self.0.splat(x as f32)
    }
    #[inline(always)]
    fn add(self, a: S::V, b: S::V) -> S::V {
        self.0.add(a, b)
    }
    #[inline(always)]
    fn sub(self, a: S::V, b: S::V) -> S::V {
        self.0.sub(a, b)
    }
    #[inline(always)]
    fn mul(self, a: S::V, b: S::V) -> S::V {
        self.0.mul(a, b)
    }
    #[inline(always)]
    fn div(self, a: S::V, b: S::V) -> S::V {
        self.0.div(a, b)
    }
    #[inline(always)]
    fn mul_add(self, a: S::V, b: S::V, c: S::V) -> S::V {
        self.0.fma(a, b, c)
    }
    #[inline(always)]
    fn sqrt(self, a: S::V) -> S::V {
        self.0.sqrt(a)
    }
    #[inline(always)]
    fn abs(self, a: S::V) -> S::V {
        self.0.abs(a)
    }
    #[inline(always)]
    fn exp(self, a: S::V) -> S::V {
        self.0.exp(a)
    }
    #[inline(always)]
    fn select(self, x: S::V, y: S::V, a: S::V, b: S::V) -> S::V {
        self.0.select(self.0.gt(x, y), a, b)
    }
    #[inline(always)]
    fn fire(self, _: impl Shape, u: S::V, theta: S::V) -> S::M {
        self.0.gt(u, theta)
    }
    #[inline(always)]
    fn silent(self) -> S::M {
        let zero = self.0.splat(0.0);
        self.0.gt(zero, zero)
    }
    #[inline(always)]
    fn gate(self, s: S::M, a: S::V) -> S::V {
        self.0.keep(s, a)
    }
}
