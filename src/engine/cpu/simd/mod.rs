//! Sixteen virtual lanes of `f32` on the machine's vector registers.
//!
//! The kernels of this engine are written once, over [`Simd`]: a vector `V` is always sixteen
//! lanes, one AVX-512 register, two of AVX2, four of NEON or SSE2, or an array that the compiler maps to
//! available registers. AVX-512, AVX2 and NEON apply the same operations in the same order
//! to the same sixteen lanes, so they give the same bits. The portable path has no fused
//! multiply-add on x86, so its last bits differ there; on ARM it has one and serves as a comparison
//! for NEON.
//!
//! [`Isa::run`] enters a [`Kernel`] compiled for an instruction set. This is the engine's only
//! module with `unsafe` code.
#![allow(unsafe_code)]

/// `$x` for each of the four registers `$r`.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! four {
    (|$r:ident| $x:expr) => {
        [
            four!($r = 0; $x),
            four!($r = 1; $x),
            four!($r = 2; $x),
            four!($r = 3; $x),
        ]
    };
    ($r:ident = $n:literal; $x:expr) => {{
        let $r = $n;
        $x
    }};
}

/// An operation on vectors of four registers, as an intrinsic on each.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! fourfold {
    ($name:ident($($arg:ident),*) = $intrinsic:ident) => {
        #[inline(always)]
        fn $name(self, $($arg: Self::V),*) -> Self::V {
            // SAFETY: see the module.
            unsafe { four!(|r| $intrinsic($($arg[r]),*)) }
        }
    };
}

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod neon;
#[cfg(not(target_arch = "x86_64"))]
mod portable;
#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::sync::OnceLock;

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub(crate) use neon::Neon;
#[cfg(not(target_arch = "x86_64"))]
pub(super) use portable::Portable as Baseline;
#[cfg(target_arch = "x86_64")]
pub(super) use sse2::Sse2 as Baseline;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// Lanes of a vector.
pub(super) const LANES: usize = 16;

/// One vector in memory, aligned to a cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct F32x16(pub [f32; LANES]);

impl F32x16 {
    pub const ZERO: F32x16 = F32x16([0.0; LANES]);
}

/// The operations of the kernels, lane by lane.
pub(super) trait Simd: Copy {
    /// Sixteen numbers in registers.
    type V: Copy;
    /// Sixteen truth values in registers.
    type M: Copy;
    /// Number of vectors that a kernel can keep in registers as accumulators in addition to its
    /// operands.
    const ACCUMULATORS: usize;

    /// Runs a kernel as a separate function, compiled for this instruction set. A kernel with many
    /// variants calls them this way: without optimization, a function's stack frame holds
    /// everything inlined into it.
    fn call<K: Kernel>(self, kernel: K) -> K::Out;

    fn splat(self, x: f32) -> Self::V;
    fn load(self, from: &F32x16) -> Self::V;
    /// Needs no alignment.
    fn load_from(self, from: &[f32; LANES]) -> Self::V;
    fn store(self, v: Self::V, to: &mut F32x16);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    fn sqrt(self, a: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a·b + c`, rounded once if the machine supports it.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn abs(self, a: Self::V) -> Self::V;
    /// The larger of `|x|` and `before`, which is not negative; a NaN is larger than an infinity.
    fn max_abs(self, x: Self::V, before: Self::V) -> Self::V;
    /// `a > b`.
    fn gt(self, a: Self::V, b: Self::V) -> Self::M;
    /// Which lanes are not 0; a NaN is not.
    fn nonzero(self, v: Self::V) -> u16;
    /// Lane `n` as bit `n`.
    fn bits(self, m: Self::M) -> u16;
    /// Bit `n` as lane `n`.
    fn mask(self, bits: u16) -> Self::M;
    /// `m ? a : 0`.
    fn keep(self, m: Self::M, a: Self::V) -> Self::V;
    /// `m ? a : b`.
    fn select(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V;
    /// `a + (m ? b : 0)`, where `a` is not −0.
    #[inline(always)]
    fn add_where(self, m: Self::M, a: Self::V, b: Self::V) -> Self::V {
        self.add(a, self.keep(m, b))
    }
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
    /// Writes the lanes of the set bits, ascending, to the front of `list`; what follows them is arbitrary.
    #[inline(always)]
    fn compress(self, bits: u16, v: Self::V, list: &mut [f32; LANES]) {
        let mut lane = F32x16::ZERO;
        self.store(v, &mut lane);
        let mut bits = u32::from(bits);
        for four in list.as_chunks_mut::<4>().0 {
            for x in four {
                *x = lane.0[bits.trailing_zeros() as usize % LANES];
                bits &= bits.wrapping_sub(1);
            }
            if bits == 0 {
                break;
            }
        }
    }
    /// Prefetches the cache line of `at`.
    #[inline(always)]
    fn prefetch(self, _at: &f32) {}
    /// `2^n` where `magic = 1.5·2²³ + n`, `−126 ≤ n ≤ 127`.
    fn exp2_of_magic(self, magic: Self::V) -> Self::V;

    /// `e^x` for `−87 ≤ x ≤ 88` (clamped), to about 1 ulp: `2^n · p(r)` with
    /// `r = x − n ln 2`, `|r| ≤ ln 2 / 2`, and Cephes' polynomial of degree 6.
    #[inline(always)]
    fn exp(self, x: Self::V) -> Self::V {
        exp(self, x)
    }

    /// The sum of sixteen lanes, in one fixed order.
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        let mut lane = F32x16::ZERO;
        self.store(v, &mut lane);
        fold(lane.0, |a, b| a + b)
    }

    /// [`sum`](Self::sum) of each of sixteen vectors, side by side.
    #[inline(always)]
    fn sums(self, vectors: [Self::V; LANES]) -> Self::V {
        self.fold_each(vectors, |a, b| a + b)
    }

    /// The largest lane of each of sixteen vectors, side by side.
    #[inline(always)]
    fn largest(self, vectors: [Self::V; LANES]) -> Self::V {
        self.fold_each(vectors, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn fold_each(self, vectors: [Self::V; LANES], f: impl Fn(f32, f32) -> f32) -> Self::V {
        let (mut lane, mut all) = (F32x16::ZERO, F32x16::ZERO);
        for (x, v) in all.0.iter_mut().zip(vectors) {
            self.store(v, &mut lane);
            *x = fold(lane.0, &f);
        }
        self.load(&all)
    }
}

/// Sixteen lanes into one: lane `n` takes lane `n + 8`, then `n + 4`, `n + 2`, `n + 1`.
#[inline(always)]
fn fold(mut x: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    for half in [8, 4, 2, 1] {
        for n in 0..half {
            x[n] = f(x[n], x[n + half]);
        }
    }
    x[0]
}

/// [`Simd::exp`].
#[inline(always)]
fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let (low, high) = (s.splat(-87.0), s.splat(88.0));
    let x = s.select(s.gt(x, low), x, low);
    let x = s.select(s.gt(x, high), high, x);
    let magic = s.splat(12_582_912.0);
    let shifted = s.fma(x, s.splat(std::f32::consts::LOG2_E), magic);
    let n = s.sub(shifted, magic);
    let r = s.fma(n, s.splat(-0.693_359_4), x);
    let r = s.fma(n, s.splat(2.121_944_4e-4), r);
    let mut p = s.splat(1.987_569_1e-4);
    for c in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5.0e-1,
    ] {
        p = s.fma(p, r, s.splat(c));
    }
    let p = s.fma(p, s.mul(r, r), s.add(r, s.splat(1.0)));
    s.mul(p, s.exp2_of_magic(shifted))
}

/// Work compiled for each instruction set.
pub(super) trait Kernel {
    type Out;
    /// Must be `#[inline(always)]`, as must everything it calls with `simd`.
    fn run<S: Simd>(self, simd: S) -> Self::Out;
}

/// Work on blocks of `L` vectors, also compiled for each `L` from 1 to 4.
pub(super) trait BlockKernel {
    type Out;
    /// Vectors in a block, 1 to 4.
    fn vectors(&self) -> usize;
    /// `L` is `lanes`; to be inlined as [`Kernel::run`] is.
    fn run_block<S: Simd, const L: usize>(self, simd: S) -> Self::Out;
}

impl<K: BlockKernel> Kernel for K {
    type Out = K::Out;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> K::Out {
        match self.vectors() {
            1 => self.run_block::<S, 1>(s),
            2 => self.run_block::<S, 2>(s),
            3 => self.run_block::<S, 3>(s),
            _ => self.run_block::<S, 4>(s),
        }
    }
}

/// An instruction set that this process can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    /// Registers of the baseline instruction set: SSE2 on x86, elsewhere what the compiler makes of arrays.
    Portable,
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Isa {
    /// All instruction sets that the machine can run, the fastest last.
    pub fn available() -> Vec<Isa> {
        #[allow(unused_mut, reason = "where there is but one")]
        let mut all = vec![Isa::Portable];
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        all.push(Isa::Neon);
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
            Isa::Portable if cfg!(target_arch = "x86_64") => "SSE2",
            Isa::Portable => "portable",
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Isa::Neon => "NEON",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => "AVX-512",
        }
    }

    /// Runs a kernel compiled for this instruction set.
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self {
            Isa::Portable => Baseline.call(kernel),
            #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
            Isa::Neon => Neon.call(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(simd) => simd.call(kernel),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(simd) => simd.call(kernel),
        }
    }
}

/// The floats of a slice of vectors.
pub(super) fn flatten(lanes: &[F32x16]) -> &[f32] {
    // SAFETY: a `F32x16` is sixteen floats and nothing else (`repr(C)`, size 64 = 16 · 4), so a slice
    // of `len` of them is a slice of `16 · len` floats; `f32` needs less alignment.
    unsafe { std::slice::from_raw_parts(lanes.as_ptr().cast(), lanes.len() * LANES) }
}

/// The floats of a slice of vectors, to be changed.
pub(super) fn flatten_mut(lanes: &mut [F32x16]) -> &mut [f32] {
    // SAFETY: as in `flatten`, and the borrow is exclusive.
    unsafe { std::slice::from_raw_parts_mut(lanes.as_mut_ptr().cast(), lanes.len() * LANES) }
}
