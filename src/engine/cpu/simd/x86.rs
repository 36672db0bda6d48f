//! AVX2 and AVX-512.
//!
//! Every `unsafe` block here calls vector intrinsics by value, or loads or stores sixteen
//! floats through a reference to a `F32x16`, which is 64 bytes long and aligned to 64 (or says why it may
//! do otherwise): the only precondition left is that the machine has the instruction, and the tokens can
//! be had only from `detect`.

use std::arch::x86_64::*;

use super::{F32x16, Kernel, LANES, Simd};

/// Proof that AVX2, FMA and BMI are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

/// Proof that AVX-512 F, BW, DQ and VL are here, and all of [`Avx2`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx2 {
    pub fn detect() -> Option<Self> {
        let here = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        here.then_some(Avx2(()))
    }
}

impl Avx512 {
    pub fn detect() -> Option<Self> {
        let here = Avx2::detect().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        here.then_some(Avx512(()))
    }
}

macro_rules! pairwise {
    ($name:ident($($arg:ident),*) = $intrinsic:ident) => {
        #[inline(always)]
        fn $name(self, $($arg: Self::V),*) -> Self::V {
            // SAFETY: see the module.
            unsafe { [$intrinsic($($arg[0]),*), $intrinsic($($arg[1]),*)] }
        }
    };
}

/// Sixteen vectors folded into one lane each, halves onto each other, four times over. The vectors
/// are taken in such an order that the lanes end in theirs.
macro_rules! fold_avx2 {
    ($v:ident, $op:ident) => {{
        // SAFETY: see the module.
        unsafe {
            let mut out = [_mm256_setzero_ps(); 2];
            for (out, v) in out.iter_mut().zip($v.as_chunks::<8>().0) {
                let (mut eight, mut four) = ([*out; 8], [*out; 4]);
                for n in 0..8 {
                    let [low, high] = v[n / 2 + n % 2 * 4];
                    eight[n] = $op(low, high);
                }
                for n in 0..4 {
                    let (a, b) = (eight[2 * n], eight[2 * n + 1]);
                    let low = _mm256_permute2f128_ps::<0x20>(a, b);
                    four[n] = $op(low, _mm256_permute2f128_ps::<0x31>(a, b));
                }
                for n in [0, 2] {
                    let (a, b) = (_mm256_castps_pd(four[n]), _mm256_castps_pd(four[n + 1]));
                    let low = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
                    four[n] = $op(low, _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
                }
                let low = _mm256_shuffle_ps::<0x88>(four[0], four[2]);
                *out = $op(low, _mm256_shuffle_ps::<0xDD>(four[0], four[2]));
            }
            out
        }
    }};
}

/// The same with wider registers.
macro_rules! fold_avx512 {
    ($v:ident, $op:ident) => {{
        // SAFETY: see the module.
        unsafe {
            let (mut eight, mut four) = ([_mm512_setzero_ps(); 8], [_mm512_setzero_ps(); 4]);
            for n in 0..8 {
                let (a, b) = ($v[n / 2 + n % 2 * 8], $v[n / 2 + n % 2 * 8 + 4]);
                let low = _mm512_shuffle_f32x4::<0x44>(a, b);
                eight[n] = $op(low, _mm512_shuffle_f32x4::<0xEE>(a, b));
            }
            for n in 0..4 {
                let (a, b) = (eight[2 * n], eight[2 * n + 1]);
                let low = _mm512_shuffle_f32x4::<0x88>(a, b);
                four[n] = $op(low, _mm512_shuffle_f32x4::<0xDD>(a, b));
            }
            for n in [0, 2] {
                let (a, b) = (_mm512_castps_pd(four[n]), _mm512_castps_pd(four[n + 1]));
                let low = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
                four[n] = $op(low, _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
            }
            let low = _mm512_shuffle_ps::<0x88>(four[0], four[2]);
            $op(low, _mm512_shuffle_ps::<0xDD>(four[0], four[2]))
        }
    }};
}

#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn avx2<K: Kernel>(kernel: K, simd: Avx2) -> K::Out {
    kernel.run(simd)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn avx512<K: Kernel>(kernel: K, simd: Avx512) -> K::Out {
    kernel.run(simd)
}

impl Simd for Avx2 {
    type V = [__m256; 2];
    type M = [__m256; 2];
    const ACCUMULATORS: usize = 4;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Out {
        // SAFETY: see the module: the features are there.
        unsafe { avx2(kernel, self) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: see the module.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    fn load(self, from: &F32x16) -> Self::V {
        let from = from.0.as_ptr();
        // SAFETY: see the module.
        unsafe { [_mm256_load_ps(from), _mm256_load_ps(from.add(8))] }
    }
    #[inline(always)]
    fn load_from(self, from: &[f32; LANES]) -> Self::V {
        let from = from.as_ptr();
        // SAFETY: see the module; these loads need no alignment.
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    fn prefetch(self, at: &f32) {
        // SAFETY: see the module; it is a hint, which touches nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(at).cast()) }
    }
    #[inline(always)]
    fn nonzero(self, v: Self::V) -> u16 {
        // SAFETY: see the module.
        let unequal = unsafe {
            let zero = _mm256_setzero_ps();
            [
                _mm256_cmp_ps::<_CMP_NEQ_UQ>(v[0], zero),
                _mm256_cmp_ps::<_CMP_NEQ_UQ>(v[1], zero),
            ]
        };
        self.bits(unequal)
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut F32x16) {
        let to = to.0.as_mut_ptr();
        // SAFETY: see the module.
        unsafe {
            _mm256_store_ps(to, v[0]);
            _mm256_store_ps(to.add(8), v[1]);
        }
    }
    pairwise!(add(a, b) = _mm256_add_ps);
    pairwise!(sub(a, b) = _mm256_sub_ps);
    pairwise!(mul(a, b) = _mm256_mul_ps);
    pairwise!(div(a, b) = _mm256_div_ps);
    pairwise!(sqrt(a) = _mm256_sqrt_ps);
    pairwise!(max(a, b) = _mm256_max_ps);
    pairwise!(fma(a, b, c) = _mm256_fmadd_ps);
    #[inline(always)]
    fn sums(self, vectors: [Self::V; LANES]) -> Self::V {
        fold_avx2!(vectors, _mm256_add_ps)
    }
    #[inline(always)]
    fn largest(self, vectors: [Self::V; LANES]) -> Self::V {
        fold_avx2!(vectors, _mm256_max_ps)
    }
    #[inline(always)]
    fn abs(self, a: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            [_mm256_andnot_ps(sign, a[0]), _mm256_andnot_ps(sign, a[1])]
        }
    }
    #[inline(always)]
    fn max_abs(self, x: Self::V, before: Self::V) -> Self::V {
        let x = self.abs(x);
        // SAFETY: see the module. Without their signs, numbers and bits have one order.
        let half = |x, before| unsafe {
            _mm256_castsi256_ps(_mm256_max_epu32(
                _mm256_castps_si256(x),
                _mm256_castps_si256(before),
            ))
        };
        [half(x[0], before[0]), half(x[1], before[1])]
    }
    #[inline(always)]
    fn gt(self, a: Self::V, b: Self::V) -> Self::M {
        // SAFETY: see the module.
        unsafe {
            [
                _mm256_cmp_ps::<_CMP_GT_OQ>(a[0], b[0]),
                _mm256_cmp_ps::<_CMP_GT_OQ>(a[1], b[1]),
            ]
        }
    }
    #[inline(always)]
    fn bits(self, m: Self::M) -> u16 {
        // SAFETY: see the module.
        unsafe { (_mm256_movemask_ps(m[0]) | _mm256_movemask_ps(m[1]) << 8) as u16 }
    }
    #[inline(always)]
    fn mask(self, bits: u16) -> Self::M {
        // SAFETY: see the module.
        unsafe {
            let half = |bits: i32| {
                let each = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
                let set = _mm256_and_si256(_mm256_set1_epi32(bits), each);
                _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, each))
            };
            [half(i32::from(bits)), half(i32::from(bits >> 8))]
        }
    }
    #[inline(always)]
    fn keep(self, m: Self::M, a: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { [_mm256_and_ps(m[0], a[0]), _mm256_and_ps(m[1], a[1])] }
    }
    #[inline(always)]
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            [
                _mm256_blendv_ps(b[0], a[0], m[0]),
                _mm256_blendv_ps(b[1], a[1], m[1]),
            ]
        }
    }
    #[inline(always)]
    fn exp2_of_magic(self, magic: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            let half = |v: __m256| {
                let n = _mm256_slli_epi32::<23>(_mm256_castps_si256(v));
                _mm256_castsi256_ps(_mm256_add_epi32(n, _mm256_set1_epi32(127 << 23)))
            };
            [half(magic[0]), half(magic[1])]
        }
    }
}

macro_rules! whole {
    ($name:ident($($arg:ident),*) = $intrinsic:ident) => {
        #[inline(always)]
        fn $name(self, $($arg: Self::V),*) -> Self::V {
            // SAFETY: see the module.
            unsafe { $intrinsic($($arg),*) }
        }
    };
}

impl Simd for Avx512 {
    type V = __m512;
    type M = __mmask16;
    const ACCUMULATORS: usize = 8;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Out {
        // SAFETY: see the module: the features are there.
        unsafe { avx512(kernel, self) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: see the module.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, from: &F32x16) -> Self::V {
        // SAFETY: see the module.
        unsafe { _mm512_load_ps(from.0.as_ptr()) }
    }
    #[inline(always)]
    fn load_from(self, from: &[f32; LANES]) -> Self::V {
        // SAFETY: see the module; this load needs no alignment.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn prefetch(self, at: &f32) {
        // SAFETY: see the module; it is a hint, which touches nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(std::ptr::from_ref(at).cast()) }
    }
    #[inline(always)]
    fn nonzero(self, v: Self::V) -> u16 {
        // SAFETY: see the module.
        unsafe { _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(v, _mm512_setzero_ps()) }
    }
    #[inline(always)]
    fn compress(self, bits: u16, v: Self::V, list: &mut [f32; LANES]) {
        // SAFETY: see the module; `list` has room for sixteen, and the store needs no alignment.
        unsafe { _mm512_storeu_ps(list.as_mut_ptr(), _mm512_maskz_compress_ps(bits, v)) }
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut F32x16) {
        // SAFETY: see the module.
        unsafe { _mm512_store_ps(to.0.as_mut_ptr(), v) }
    }
    whole!(add(a, b) = _mm512_add_ps);
    whole!(sub(a, b) = _mm512_sub_ps);
    whole!(mul(a, b) = _mm512_mul_ps);
    whole!(div(a, b) = _mm512_div_ps);
    whole!(sqrt(a) = _mm512_sqrt_ps);
    whole!(max(a, b) = _mm512_max_ps);
    whole!(fma(a, b, c) = _mm512_fmadd_ps);
    whole!(abs(a) = _mm512_abs_ps);
    #[inline(always)]
    fn max_abs(self, x: Self::V, before: Self::V) -> Self::V {
        // SAFETY: see the module. Without their signs, numbers and bits have one order.
        unsafe {
            _mm512_castsi512_ps(_mm512_max_epu32(
                _mm512_castps_si512(_mm512_abs_ps(x)),
                _mm512_castps_si512(before),
            ))
        }
    }
    #[inline(always)]
    fn sums(self, vectors: [Self::V; LANES]) -> Self::V {
        fold_avx512!(vectors, _mm512_add_ps)
    }
    #[inline(always)]
    fn largest(self, vectors: [Self::V; LANES]) -> Self::V {
        fold_avx512!(vectors, _mm512_max_ps)
    }
    #[inline(always)]
    fn indices(self, bits: u16, first: u32, list: &mut [u32; LANES]) -> usize {
        // SAFETY: see the module; `list` has room for sixteen indices, and the store needs no
        // alignment.
        unsafe {
            let each = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let all = _mm512_add_epi32(each, _mm512_set1_epi32(first as i32));
            _mm512_storeu_si512(
                list.as_mut_ptr().cast(),
                _mm512_maskz_compress_epi32(bits, all),
            );
        }
        bits.count_ones() as usize
    }
    #[inline(always)]
    fn gt(self, a: Self::V, b: Self::V) -> Self::M {
        // SAFETY: see the module.
        unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b) }
    }
    #[inline(always)]
    fn bits(self, m: Self::M) -> u16 {
        m
    }
    #[inline(always)]
    fn mask(self, bits: u16) -> Self::M {
        bits
    }
    #[inline(always)]
    fn keep(self, m: Self::M, a: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { _mm512_maskz_mov_ps(m, a) }
    }
    #[inline(always)]
    fn add_where(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { _mm512_mask_add_ps(a, m, a, b) }
    }
    #[inline(always)]
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe { _mm512_mask_mov_ps(b, m, a) }
    }
    #[inline(always)]
    fn exp2_of_magic(self, magic: Self::V) -> Self::V {
        // SAFETY: see the module.
        unsafe {
            let n = _mm512_slli_epi32::<23>(_mm512_castps_si512(magic));
            _mm512_castsi512_ps(_mm512_add_epi32(n, _mm512_set1_epi32(127 << 23)))
        }
    }
}
