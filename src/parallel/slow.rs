//! Finds a rank for which the others wait.

/// Steps over which times are compared.
const STEPS: usize = 50;

/// A rank is slow if it needs so many times as long as the others in the mean.
const FACTOR: f64 = 1.5;

/// Differences below this, in seconds a step, are not worth a word.
const LEAST: f64 = 1e-3;

/// Sums of the times that each rank has worked between two exchanges.
pub(super) struct Slow {
    sums: Vec<f64>,
    steps: usize,
    /// The rank that was named last: it is named once.
    named: Option<usize>,
}

impl Slow {
    pub fn new(ranks: usize) -> Self {
        Slow {
            sums: vec![0.0; ranks],
            steps: 0,
            named: None,
        }
    }

    /// Takes the times of a step; a warning where a rank is found to be slow.
    pub fn step(&mut self, seconds: &[f64]) -> Option<String> {
        let sums = self.sums.iter_mut().zip(seconds);
        sums.for_each(|(sum, seconds)| *sum += seconds);
        self.steps += 1;
        if self.steps < STEPS {
            return None;
        }
        self.steps = 0;
        let means: Vec<f64> = self.sums.iter().map(|sum| sum / STEPS as f64).collect();
        self.sums.fill(0.0);
        let (rank, most) =
            (means.iter().copied().enumerate()).max_by(|a, b| a.1.total_cmp(&b.1))?;
        let others = (means.iter().sum::<f64>() - most) / (means.len() - 1).max(1) as f64;
        let slow = means.len() > 1 && most > FACTOR * others && most - others > LEAST;
        if !slow {
            self.named = None;
            return None;
        }
        if self.named.replace(rank) == Some(rank) {
            return None;
        }
        let (waiting, most, others) = (100.0 * (1.0 - others / most), 1e3 * most, 1e3 * others);
        Some(format!(
            "rank {rank} is slow: it works {most:.1} ms between two exchanges, the others {others:.1} ms in the \
             mean, so they wait {waiting:.0} % of the time"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_rank_is_named_once() {
        let mut slow = Slow::new(4);
        let mut run = |seconds: [f64; 4]| -> Vec<String> {
            (0..STEPS).filter_map(|_| slow.step(&seconds)).collect()
        };
        assert!(run([0.010, 0.011, 0.009, 0.012]).is_empty());
        let found = run([0.010, 0.010, 0.040, 0.010]);
        assert_eq!(
            found,
            [
                "rank 2 is slow: it works 40.0 ms between two exchanges, the others 10.0 ms in the mean, so \
                 they wait 75 % of the time"
            ]
        );
        assert!(run([0.010, 0.010, 0.040, 0.010]).is_empty());
        assert_eq!(run([0.050, 0.010, 0.010, 0.010]).len(), 1);
        assert!(Slow::new(1).step(&[1.0]).is_none());
    }
}
