//! SSE2, the baseline of 64-bit x86: the portable path as intrinsics, with the same bits.
//!
//! The compiler makes much the same of arrays, as in `portable.rs`, but takes four times as
//! long over it. Every `unsafe` block here calls vector intrinsics by value, or loads or stores four
//! floats within an array of sixteen: the only precondition left is that the machine has the instructions,
//! which are a part of every such machine.

use std::arch::x86_64::*;

use super::{F32x16, Kernel, LANES, Simd, exp};

/// Four registers of four lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sse2;

impl Simd for Sse2 {
    type V = [__m128; 4];
    /// All bits of a lane, or none.
    type M = [__m128; 4];
    const ACCUMULATORS: usize = 2;

    #[inline(never)]
    fn call<K: Kernel>(self, kernel: K) -> K::Out {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: see the module.
        unsafe { [_mm_set1_ps(x); 4] }
    }
    #[inline(always)]
    fn load(self, from: &F32x16) -> Self::V {
        self.load_from(&from.0)
    }
    #[inline(always)]
    fn load_from(self, from: &[f32; LANES]) -> Self::V {
        // SAFETY: see the module; these loads need no alignment.
        four!(|r| unsafe { _mm_loadu_ps(from.as_ptr().add(4 * r)) })
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut F32x16) {
        let to = to.0.as_mut_ptr();
        // SAFETY: see the module; these stores need no alignment.
        four!(|r| unsafe { _mm_storeu_ps(to.add(4 * r), v[r]) });
    }
    #[inline(always)]
    fn prefetch(self, at: &f32) {
        // SAFETY: it is a hint, which touches nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(at).cast()) }
    }
    #[inline(always)]
    fn nonzero(self, v: Self::V) -> u16 {
        // SAFETY: see the module.
        self.bits(unsafe { four!(|r| _mm_cmpneq_ps(v[r], _mm_setzero_ps())) })
    }
    fourfold!(add(a, b) = _mm_add_ps);
    fourfold!(sub(a, b) = _mm_sub_ps);
    fourfold!(mul(a, b) = _mm_mul_ps);
    fourfold!(div(a, b) = _mm_div_ps);
    fourfold!(sqrt(a) = _mm_sqrt_ps);
    fourfold!(max(a, b) = _mm_max_ps);
    /// Rounded twice: SSE2 has no fused multiply-add.
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        self.add(self.mul(a, b), c)
    }
    #[inline(always)]
    fn abs(self, a: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { four!(|r| _mm_andnot_ps(_mm_set1_ps(-0.0), a[r])) }
    }
    #[inline(always)]
    fn max_abs(self, x: Self::V, before: Self::V) -> Self::V {
        let x = self.abs(x);
        // SAFETY: see the module. Without their signs, numbers and bits have one order.
        let above = unsafe {
            four!(|r| {
                let (x, before) = (_mm_castps_si128(x[r]), _mm_castps_si128(before[r]));
                _mm_castsi128_ps(_mm_cmpgt_epi32(x, before))
            })
        };
        self.select(above, x, before)
    }
    #[inline(always)]
    fn gt(self, a: Self::V, b: Self::V) -> Self::M {
        // SAFETY: see the module.
        unsafe { four!(|r| _mm_cmpgt_ps(a[r], b[r])) }
    }
    #[inline(always)]
    fn bits(self, m: Self::M) -> u16 {
        // SAFETY: see the module.
        let [a, b, c, d] = unsafe { four!(|r| _mm_movemask_ps(m[r])) };
        (a | b << 4 | c << 8 | d << 12) as u16
    }
    #[inline(always)]
    fn mask(self, bits: u16) -> Self::M {
        // SAFETY: see the module.
        unsafe {
            let each = _mm_setr_epi32(1, 2, 4, 8);
            four!(|r| {
                let set = _mm_and_si128(_mm_set1_epi32(i32::from(bits) >> (4 * r)), each);
                _mm_castsi128_ps(_mm_cmpeq_epi32(set, each))
            })
        }
    }
    #[inline(always)]
    fn keep(self, m: Self::M, a: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { four!(|r| _mm_and_ps(m[r], a[r])) }
    }
    #[inline(always)]
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { four!(|r| _mm_or_ps(_mm_and_ps(m[r], a[r]), _mm_andnot_ps(m[r], b[r]))) }
    }
    /// Called, not inlined: it is long, and has many callers.
    #[inline(never)]
    fn exp(self, x: Self::V) -> Self::V {
        exp(self, x)
    }
    #[inline(always)]
    fn exp2_of_magic(self, magic: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            four!(|r| {
                let n = _mm_slli_epi32::<23>(_mm_castps_si128(magic[r]));
                _mm_castsi128_ps(_mm_add_epi32(n, _mm_set1_epi32(127 << 23)))
            })
        }
    }
}
