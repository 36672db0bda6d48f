//! NEON.
//!
//! Every `unsafe` block here calls vector intrinsics by value, or loads or stores four numbers
//! within an array of sixteen: the only precondition left is that the machine has the instructions,
//! and this module is compiled only for targets of which they are a part, as they are of every
//! 64-bit ARM with an operating system.

use std::arch::aarch64::*;

use super::{F32x16, Kernel, LANES, Simd};

/// Four registers of four lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neon;

/// Lane `n` has bit `n`.
#[inline(always)]
fn each_bit() -> [uint32x4_t; 4] {
    const BITS: [u32; LANES] = [
        0x1, 0x2, 0x4, 0x8, 0x10, 0x20, 0x40, 0x80, 0x100, 0x200, 0x400, 0x800, 0x1000, 0x2000,
        0x4000, 0x8000,
    ];
    // SAFETY: see the module.
    unsafe { four!(|r| vld1q_u32(BITS.as_ptr().add(4 * r))) }
}

impl Simd for Neon {
    type V = [float32x4_t; 4];
    type M = [uint32x4_t; 4];
    const ACCUMULATORS: usize = 4;

    fn call<K: Kernel>(self, kernel: K) -> K::Out {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: see the module.
        unsafe { [vdupq_n_f32(x); 4] }
    }
    #[inline(always)]
    fn load(self, from: &F32x16) -> Self::V {
        // SAFETY: see the module.
        unsafe { four!(|r| vld1q_f32(from.0.as_ptr().add(4 * r))) }
    }
    #[inline(always)]
    fn load_from(self, from: &[f32; LANES]) -> Self::V {
        // SAFETY: see the module.
        unsafe { four!(|r| vld1q_f32(from.as_ptr().add(4 * r))) }
    }
    #[inline(always)]
    fn nonzero(self, v: Self::V) -> u16 {
        // SAFETY: see the module.
        !self.bits(unsafe { four!(|r| vceqzq_f32(v[r])) })
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut F32x16) {
        let to = to.0.as_mut_ptr();
        // SAFETY: see the module.
        unsafe { four!(|r| vst1q_f32(to.add(4 * r), v[r])) };
    }
    fourfold!(add(a, b) = vaddq_f32);
    fourfold!(sub(a, b) = vsubq_f32);
    fourfold!(mul(a, b) = vmulq_f32);
    fourfold!(div(a, b) = vdivq_f32);
    fourfold!(sqrt(a) = vsqrtq_f32);
    /// `a > b ? a : b`, as x86 has it; NEON's own maximum has another rule for NaN.
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        self.select(self.gt(a, b), a, b)
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { four!(|r| vfmaq_f32(c[r], a[r], b[r])) }
    }
    fourfold!(abs(a) = vabsq_f32);
    #[inline(always)]
    fn max_abs(self, x: Self::V, before: Self::V) -> Self::V {
        // SAFETY: see the module. Without their signs, numbers and bits have one order.
        unsafe {
            four!(|r| {
                let x = vreinterpretq_u32_f32(vabsq_f32(x[r]));
                vreinterpretq_f32_u32(vmaxq_u32(x, vreinterpretq_u32_f32(before[r])))
            })
        }
    }
    #[inline(always)]
    fn gt(self, a: Self::V, b: Self::V) -> Self::M {
        // SAFETY: see the module.
        unsafe { four!(|r| vcgtq_f32(a[r], b[r])) }
    }
    #[inline(always)]
    fn bits(self, m: Self::M) -> u16 {
        let each = each_bit();
        // SAFETY: see the module.
        unsafe {
            let [a, b, c, d] = four!(|r| vandq_u32(m[r], each[r]));
            vaddvq_u32(vorrq_u32(vorrq_u32(a, b), vorrq_u32(c, d))) as u16
        }
    }
    #[inline(always)]
    fn mask(self, bits: u16) -> Self::M {
        let each = each_bit();
        // SAFETY: see the module.
        unsafe {
            let bits = vdupq_n_u32(bits.into());
            four!(|r| vtstq_u32(bits, each[r]))
        }
    }
    #[inline(always)]
    fn keep(self, m: Self::M, a: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { four!(|r| vreinterpretq_f32_u32(vandq_u32(m[r], vreinterpretq_u32_f32(a[r])))) }
    }
    #[inline(always)]
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { four!(|r| vbslq_f32(m[r], a[r], b[r])) }
    }
    #[inline(always)]
    fn exp2_of_magic(self, magic: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            let one = vdupq_n_u32(127 << 23);
            four!(|r| {
                let n = vshlq_n_u32::<23>(vreinterpretq_u32_f32(magic[r]));
                vreinterpretq_f32_u32(vaddq_u32(n, one))
            })
        }
    }
    /// In the same order, half by half.
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        // SAFETY: see the module.
        unsafe {
            let four = vaddq_f32(vaddq_f32(v[0], v[2]), vaddq_f32(v[1], v[3]));
            vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)))
        }
    }
}
