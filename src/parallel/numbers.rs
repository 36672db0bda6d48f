//! Loops over long vectors, in orders that depend on their lengths alone.

use crate::Float;

/// Independent sums, which a compiler turns into vectors.
const LANES: usize = 16;

/// Numbers that a thread adds at once.
#[cfg(feature = "rayon")]
const SHARE: usize = 1 << 15;

/// `sums += others`.
pub(super) fn add<F: Float>(sums: &mut [F], others: &[F]) {
    let add = |sums: &mut [F], others: &[F]| {
        let pairs = sums.iter_mut().zip(others);
        pairs.for_each(|(sum, &x)| *sum += x);
    };
    #[cfg(feature = "rayon")]
    if sums.len() > 2 * SHARE && rayon::current_num_threads() > 1 {
        use rayon::prelude::*;
        let pairs = sums.par_chunks_mut(SHARE).zip(others.par_chunks(SHARE));
        return pairs.for_each(|(sums, others)| add(sums, others));
    }
    add(sums, others);
}

/// The sum of the squares.
pub(super) fn squares<F: Float>(numbers: &[F]) -> f64 {
    let mut sums = [0.0; LANES];
    for chunk in numbers.chunks(LANES) {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += x.as_f64() * x.as_f64();
        }
    }
    sums.iter().sum()
}

/// The largest magnitude; NaN if any number is not finite.
pub(super) fn largest<F: Float>(numbers: &[F]) -> f64 {
    let (mut most, mut nothing) = ([F::zero(); LANES], [F::zero(); LANES]);
    for chunk in numbers.chunks(LANES) {
        for ((most, nothing), x) in most.iter_mut().zip(&mut nothing).zip(chunk) {
            let size = x.abs();
            *most = if size > *most { size } else { *most };
            // 0, or NaN.
            *nothing += size * F::zero();
        }
    }
    let most = most.iter().map(|x| x.as_f64()).fold(0.0, f64::max);
    most + nothing.iter().map(|x| x.as_f64()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_maxima() {
        let numbers: Vec<f32> = (0..100_000).map(|n| ((n % 7) as f32) - 3.0).collect();
        let expected: f64 = numbers.iter().map(|x| f64::from(*x).powi(2)).sum();
        assert_eq!(squares(&numbers), expected);
        assert_eq!(largest(&numbers), 3.0);
        let mut doubled = numbers.clone();
        add(&mut doubled, &numbers);
        assert!(doubled.iter().zip(&numbers).all(|(a, b)| *a == 2.0 * b));
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut numbers = numbers.clone();
            numbers[70_003] = bad;
            assert!(largest(&numbers).is_nan(), "{bad}");
        }
    }
}
