//! Sixteen virtual lanes of `f32`, on whatever vector registers the machine has.
//!
//! The kernels of this engine are written once, over [`Simd`]: a vector `V` is always sixteen
//! lanes, one AVX-512 register, two of AVX2, or an array that the compiler maps to what is there
//! (SSE2, NEON). The same operations in the same order on the same sixteen lanes: the AVX-512 and
//! the AVX2 path give the same bits. The portable path has no fused multiply-add on x86 (so its
//! last bits differ there), and the machine's own on ARM.
//!
//! [`Isa::run`] enters a [`Kernel`] compiled for an instruction set. This is the engine's only
//! module with `unsafe` code.
#![allow(unsafe_code)]

use std::sync::OnceLock;

/// Lanes of a vector.
pub(super) const LANES: usize = 16;

/// One vector in memory, aligned to a cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Lane(pub [f32; LANES]);

impl Lane {
    pub const ZERO: Lane = Lane([0.0; LANES]);
}

/// The operations that the kernels are made of, each lane by lane.
pub(super) trait Simd: Copy {
    /// Sixteen numbers in registers.
    type V: Copy;
    /// Sixteen truth values in registers.
    type M: Copy;
    /// How many vectors a kernel may keep in registers as accumulators beside its operands.
    const ACCUMULATORS: usize;

    fn splat(self, x: f32) -> Self::V;
    fn load(self, from: &Lane) -> Self::V;
    fn store(self, v: Self::V, to: &mut Lane);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    fn sqrt(self, a: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a·b + c`, rounded once where the machine can.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn abs(self, a: Self::V) -> Self::V;
    /// `a > b`.
    fn gt(self, a: Self::V, b: Self::V) -> Self::M;
    /// Lane `n` as bit `n`.
    fn bits(self, m: Self::M) -> u16;
    /// Bit `n` as lane `n`.
    fn mask(self, bits: u16) -> Self::M;
    /// `m ? a : 0`.
    fn keep(self, m: Self::M, a: Self::V) -> Self::V;
    /// `m ? a : b`.
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V;
    /// Writes `first + n` for each set bit `n`, ascending, to the front of `list`, and returns how
    /// many there are; what follows them in `list` is arbitrary.
    #[inline(always)]
    fn indices(self, bits: u16, first: u32, list: &mut [u32; LANES]) -> usize {
        let (count, mut bits) = (bits.count_ones() as usize, u32::from(bits));
        for four in list.as_chunks_mut::<4>().0 {
            for index in four {
                *index = first + bits.trailing_zeros();
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
        }
        count
    }
    /// `2^n` where `magic = 1.5·2²³ + n`, `−126 ≤ n ≤ 127`.
    fn exp2_of_magic(self, magic: Self::V) -> Self::V;

    /// `e^x` for `−87 ≤ x ≤ 88` (clamped), to about 1 ulp: `2^n · p(r)` with
    /// `r = x − n ln 2`, `|r| ≤ ln 2 / 2`, and Cephes' polynomial of degree 6.
    #[inline(always)]
    fn exp(self, x: Self::V) -> Self::V {
        let (low, high) = (self.splat(-87.0), self.splat(88.0));
        let x = self.select(self.gt(x, low), x, low);
        let x = self.select(self.gt(x, high), high, x);
        let magic = self.splat(12_582_912.0);
        let shifted = self.fma(x, self.splat(std::f32::consts::LOG2_E), magic);
        let n = self.sub(shifted, magic);
        let r = self.fma(n, self.splat(-0.693_359_4), x);
        let r = self.fma(n, self.splat(2.121_944_4e-4), r);
        let mut p = self.splat(1.987_569_1e-4);
        for c in [
            1.398_199_9e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            1.666_666_5e-1,
            5.0e-1,
        ] {
            p = self.fma(p, r, self.splat(c));
        }
        let p = self.fma(p, self.mul(r, r), self.add(r, self.splat(1.0)));
        self.mul(p, self.exp2_of_magic(shifted))
    }

    /// The sum of sixteen lanes, in one fixed order.
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        let mut lane = Lane::ZERO;
        self.store(v, &mut lane);
        let mut x = lane.0;
        for half in [8, 4, 2, 1] {
            for n in 0..half {
                x[n] += x[n + half];
            }
        }
        x[0]
    }
}

/// A piece of work that is compiled for each instruction set.
pub(super) trait Kernel {
    type Out;
    /// Must be `#[inline(always)]`, and so must all that it calls with `simd`.
    fn run<S: Simd>(self, simd: S) -> Self::Out;
}

/// An instruction set that this process can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    /// What every machine of this architecture has (SSE2, NEON).
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Isa {
    /// All that this machine can run, the fastest last.
    pub fn available() -> Vec<Isa> {
        let mut all = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(Avx2::detect().map(Isa::Avx2));
            all.extend(Avx512::detect().map(Isa::Avx512));
        }
        all
    }

    /// The fastest.
    pub fn best() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| *Isa::available().last().unwrap_or(&Isa::Portable))
    }

    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable if cfg!(target_arch = "aarch64") => "NEON",
            Isa::Portable if cfg!(target_arch = "x86_64") => "SSE2",
            Isa::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => "AVX-512",
        }
    }

    /// Runs a kernel compiled for this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self {
            Isa::Portable => kernel.run(Portable),
            // SAFETY: an `Avx2` or `Avx512` exists only after `detect` has seen every feature that
            // the function is compiled for.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(simd) => unsafe { run_avx2(kernel, simd) },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(simd) => unsafe { run_avx512(kernel, simd) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn run_avx2<K: Kernel>(kernel: K, simd: Avx2) -> K::Out {
    kernel.run(simd)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
fn run_avx512<K: Kernel>(kernel: K, simd: Avx512) -> K::Out {
    kernel.run(simd)
}

/// Arrays of sixteen: the compiler's choice of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portable;

macro_rules! each {
    (|$n:ident| $x:expr) => {{
        let mut out = [0.0_f32; LANES];
        for ($n, out) in out.iter_mut().enumerate() {
            *out = $x;
        }
        out
    }};
}

impl Simd for Portable {
    type V = [f32; LANES];
    type M = u16;
    const ACCUMULATORS: usize = 2;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    fn load(self, from: &Lane) -> Self::V {
        from.0
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut Lane) {
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
    fn gt(self, a: Self::V, b: Self::V) -> Self::M {
        let mut bits = 0;
        for n in 0..LANES {
            bits |= u16::from(a[n] > b[n]) << n;
        }
        bits
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
        each!(|n| if m >> n & 1 == 1 { a[n] } else { 0.0 })
    }
    #[inline(always)]
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        each!(|n| if m >> n & 1 == 1 { a[n] } else { b[n] })
    }
    #[inline(always)]
    fn exp2_of_magic(self, magic: Self::V) -> Self::V {
        each!(|n| f32::from_bits((magic[n].to_bits() << 23).wrapping_add(127 << 23)))
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! Every `unsafe` block here calls one vector intrinsic by value, or loads or stores sixteen
    //! floats through a reference to a `Lane`, which is 64 bytes long and aligned to 64: the only
    //! precondition left is that the machine has the instruction, and the tokens can be had only
    //! from `detect`.

    use std::arch::x86_64::*;

    use super::{LANES, Lane, Simd};

    /// Proof that AVX2, FMA and BMI are here.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) struct Avx2(());

    /// Proof that AVX-512 F, BW, DQ and VL are here, and all of [`Avx2`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(in super::super) struct Avx512(());

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

    impl Simd for Avx2 {
        type V = [__m256; 2];
        type M = [__m256; 2];
        const ACCUMULATORS: usize = 4;

        #[inline(always)]
        fn splat(self, x: f32) -> Self::V {
            // SAFETY: see the module.
            unsafe { [_mm256_set1_ps(x); 2] }
        }
        #[inline(always)]
        fn load(self, from: &Lane) -> Self::V {
            let from = from.0.as_ptr();
            // SAFETY: see the module.
            unsafe { [_mm256_load_ps(from), _mm256_load_ps(from.add(8))] }
        }
        #[inline(always)]
        fn store(self, v: Self::V, to: &mut Lane) {
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
        fn abs(self, a: Self::V) -> Self::V {
            // SAFETY: see the module.
            unsafe {
                let sign = _mm256_set1_ps(-0.0);
                [_mm256_andnot_ps(sign, a[0]), _mm256_andnot_ps(sign, a[1])]
            }
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
        fn splat(self, x: f32) -> Self::V {
            // SAFETY: see the module.
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        fn load(self, from: &Lane) -> Self::V {
            // SAFETY: see the module.
            unsafe { _mm512_load_ps(from.0.as_ptr()) }
        }
        #[inline(always)]
        fn store(self, v: Self::V, to: &mut Lane) {
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
}

/// The floats of a slice of vectors.
pub(super) fn flatten(lanes: &[Lane]) -> &[f32] {
    // SAFETY: a `Lane` is sixteen floats and nothing else (`repr(C)`, size 64 = 16 · 4), so a slice
    // of `len` of them is a slice of `16 · len` floats; `f32` needs less alignment.
    unsafe { std::slice::from_raw_parts(lanes.as_ptr().cast(), lanes.len() * LANES) }
}

/// The floats of a slice of vectors, to be changed.
pub(super) fn flatten_mut(lanes: &mut [Lane]) -> &mut [f32] {
    // SAFETY: as in `flatten`, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(lanes.as_mut_ptr().cast(), lanes.len() * LANES) }
}
