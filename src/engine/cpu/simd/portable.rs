//! Vectors as arrays, compiled to SSE2, NEON or other registers.

use super::{F32x16, Kernel, LANES, Simd, exp};

/// Arrays of sixteen: the compiler's choice of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portable;

macro_rules! each {
    (|$n:ident| $x:expr) => {
        each!([0.0_f32; LANES], |$n| $x)
    };
    ($zeros:expr, |$n:ident| $x:expr) => {{
        let mut out = $zeros;
        for ($n, out) in out.iter_mut().enumerate() {
            *out = $x;
        }
        out
    }};
}

impl Simd for Portable {
    type V = [f32; LANES];
    /// All bits of a lane, or none.
    type M = [u32; LANES];
    const ACCUMULATORS: usize = 2;

    #[inline(never)]
    fn call<K: Kernel>(self, kernel: K) -> K::Out {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    fn load(self, from: &F32x16) -> Self::V {
        from.0
    }
    #[inline(always)]
    fn load_from(self, from: &[f32; LANES]) -> Self::V {
        *from
    }
    #[inline(always)]
    fn nonzero(self, v: Self::V) -> u16 {
        let mut bits = 0;
        for (n, x) in v.iter().enumerate() {
            bits |= u16::from(*x != 0.0) << n;
        }
        bits
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut F32x16) {
        to.0 = v;
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        each!(|n| a[n] + b[n])
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        each!(|n| a[n] - b[n])
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        each!(|n| a[n] * b[n])
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        each!(|n| a[n] / b[n])
    }
    #[inline(always)]
    fn sqrt(self, a: Self::V) -> Self::V {
        each!(|n| a[n].sqrt())
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        each!(|n| if a[n] > b[n] { a[n] } else { b[n] })
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        if cfg!(target_arch = "aarch64") {
            each!(|n| a[n].mul_add(b[n], c[n]))
        } else {
            each!(|n| a[n] * b[n] + c[n])
        }
    }
    #[inline(always)]
    fn abs(self, a: Self::V) -> Self::V {
        each!(|n| a[n].abs())
    }
    #[inline(always)]
    fn max_abs(self, x: Self::V, before: Self::V) -> Self::V {
        each!(|n| f32::from_bits(x[n].abs().to_bits().max(before[n].to_bits())))
    }
    #[inline(always)]
    fn gt(self, a: Self::V, b: Self::V) -> Self::M {
        each!([0_u32; LANES], |n| if a[n] > b[n] { !0 } else { 0 })
    }
    #[inline(always)]
    fn bits(self, m: Self::M) -> u16 {
        let mut bits = 0;
        for (n, &m) in m.iter().enumerate() {
            bits |= (m as u16 & 1) << n;
        }
        bits
    }
    #[inline(always)]
    fn mask(self, bits: u16) -> Self::M {
        each!([0_u32; LANES], |n| if bits & (1 << n) != 0 {
            !0
        } else {
            0
        })
    }
    #[inline(always)]
    fn keep(self, m: Self::M, a: Self::V) -> Self::V {
        each!(|n| f32::from_bits(a[n].to_bits() & m[n]))
    }
    #[inline(always)]
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        each!(|n| f32::from_bits(a[n].to_bits() & m[n] | b[n].to_bits() & !m[n]))
    }
    /// Called, not inlined: it would be unrolled sixteenfold in many places.
    #[inline(never)]
    fn exp(self, x: Self::V) -> Self::V {
        exp(self, x)
    }
    #[inline(always)]
    fn exp2_of_magic(self, magic: Self::V) -> Self::V {
        each!(|n| f32::from_bits((magic[n].to_bits() << 23).wrapping_add(127 << 23)))
    }
}
