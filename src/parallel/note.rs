//! What travels with the numbers of a step: sums for the report, requests to stop, failures, times.

use crate::{Error, StepReport};

/// Bytes of a failure's text, at most.
const TEXT: usize = 600;

/// Sums over shards, each weighted by its share of the samples, and what every process has to know.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Note {
    pub loss: f64,
    /// Samples, and correct answers by one read-out and by the other.
    pub counts: [u64; 3],
    /// Of each layer.
    pub rates: Vec<f64>,
    /// Of each layer, the sum of the squares of its gradients.
    pub squares: Vec<f64>,
    /// The largest magnitude of a gradient.
    pub largest: f64,
    /// What a process has been asked to tell all, see `World::raise`; 0 for nothing.
    pub raised: u64,
    /// Seconds each rank has worked since the last exchange.
    pub seconds: Vec<f64>,
    /// The lowest rank that has failed, and why.
    pub failure: Option<(u64, String)>,
}

impl Note {
    pub fn new(layers: usize, ranks: usize) -> Self {
        Note {
            loss: 0.0,
            counts: [0; 3],
            rates: vec![0.0; layers],
            squares: vec![0.0; layers],
            largest: 0.0,
            raised: 0,
            seconds: vec![0.0; ranks],
            failure: None,
        }
    }

    /// Adds the report of a shard with this share of the samples.
    pub fn of_shard(&mut self, report: &StepReport, share: f64) {
        self.loss = share * report.loss;
        let counts = [
            report.samples,
            report.correct_spike_count,
            report.correct_membrane,
        ];
        self.counts = counts.map(|count| count as u64);
        self.rates = report.firing_rate.iter().map(|rate| share * rate).collect();
    }

    /// Combines two nodes of the tree.
    pub fn add(&mut self, other: &Note) {
        self.loss += other.loss;
        for (a, b) in self.counts.iter_mut().zip(other.counts) {
            *a += b;
        }
        for (own, others) in [
            (&mut self.rates, &other.rates),
            (&mut self.squares, &other.squares),
            (&mut self.seconds, &other.seconds),
        ] {
            own.iter_mut().zip(others).for_each(|(a, b)| *a += b);
        }
        // A NaN stays.
        if other.largest.is_nan() || other.largest > self.largest {
            self.largest = other.largest;
        }
        self.raised = self.raised.max(other.raised);
        let lower = |a: &(u64, String), b: &(u64, String)| a.0 <= b.0;
        self.failure = match (self.failure.take(), &other.failure) {
            (Some(own), Some(other)) if !lower(&own, other) => Some(other.clone()),
            (None, other) => other.clone(),
            (own, _) => own,
        };
    }

    /// The report of the whole batch.
    pub fn report(&self) -> StepReport {
        let [samples, count, membrane] = self.counts.map(|count| count as usize);
        let rates = self.rates.iter().copied();
        StepReport::counted(self.loss, samples, [count, membrane], rates)
    }

    /// Fails if a rank has failed: with this rank's own error, or with what another reports.
    pub fn check(&self, rank: usize, own: Option<Error>) -> crate::Result<()> {
        match (&self.failure, own) {
            (Some((failed, _)), Some(own)) if *failed == rank as u64 => Err(own),
            (Some((rank, what)), _) => Err(Error::Process {
                rank: *rank as usize,
                what: what.clone(),
            }),
            (None, Some(own)) => Err(own),
            (None, None) => Ok(()),
        }
    }

    /// As many bytes on every rank.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |number: [u8; 8]| bytes.extend(number);
        put(self.loss.to_le_bytes());
        self.counts.iter().for_each(|x| put(x.to_le_bytes()));
        for numbers in [&self.rates, &self.squares, &self.seconds] {
            numbers.iter().for_each(|x| put(x.to_le_bytes()));
        }
        put(self.largest.to_le_bytes());
        put(self.raised.to_le_bytes());
        let (rank, text) = match &self.failure {
            Some((rank, text)) => (*rank, text.as_str()),
            None => (u64::MAX, ""),
        };
        put(rank.to_le_bytes());
        let whole = |end: &usize| text.is_char_boundary(*end);
        let end = (0..=TEXT.min(text.len())).rev().find(whole);
        let text = &text.as_bytes()[..end.unwrap_or(0)];
        put((text.len() as u64).to_le_bytes());
        bytes.extend(text);
        let padding = TEXT - text.len();
        bytes.resize(bytes.len() + padding, 0);
        bytes
    }

    /// The note of another rank, of the same shape as this one.
    pub fn like(&self, bytes: &[u8]) -> Note {
        let (numbers, _) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().copied();
        let mut next = || numbers.next().unwrap_or_default();
        let mut note = Note::new(self.rates.len(), self.seconds.len());
        note.loss = f64::from_le_bytes(next());
        note.counts = std::array::from_fn(|_| u64::from_le_bytes(next()));
        for numbers in [&mut note.rates, &mut note.squares, &mut note.seconds] {
            numbers
                .iter_mut()
                .for_each(|x| *x = f64::from_le_bytes(next()));
        }
        note.largest = f64::from_le_bytes(next());
        note.raised = u64::from_le_bytes(next());
        let rank = u64::from_le_bytes(next());
        let length = u64::from_le_bytes(next()) as usize;
        if rank != u64::MAX {
            let text = bytes[bytes.len().saturating_sub(TEXT)..]
                .iter()
                .take(length);
            let text: Vec<u8> = text.copied().collect();
            note.failure = Some((rank, String::from_utf8_lossy(&text).into_owned()));
        }
        note
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(seed: f64) -> Note {
        Note {
            loss: seed,
            counts: [seed as u64, 2, 3],
            rates: vec![0.1 * seed, 0.2],
            squares: vec![seed, 1e-3],
            largest: seed,
            raised: 0,
            seconds: vec![seed, 0.0, 0.0],
            failure: None,
        }
    }

    #[test]
    fn bytes_are_the_note_and_of_one_length() {
        let mut failed = note(3.0);
        failed.failure = Some((2, "ä".repeat(500)));
        let bytes = failed.to_bytes();
        assert_eq!(bytes.len(), note(1.0).to_bytes().len());
        let back = note(7.0).like(&bytes);
        let (rank, text) = back.failure.as_ref().expect("a failure");
        assert_eq!((*rank, text.as_str()), (2, &*"ä".repeat(300)));
        assert_eq!(note(7.0).like(&note(5.0).to_bytes()), note(5.0));
    }

    #[test]
    fn the_lowest_rank_that_failed_is_the_one_reported() {
        let failed = |rank| {
            let mut failed = note(1.0);
            failed.failure = Some((rank, format!("error of {rank}")));
            failed
        };
        for pair in [[1, 3], [3, 1]] {
            let mut sum = note(2.0);
            pair.iter().for_each(|&rank| sum.add(&failed(rank)));
            let error = sum.check(0, None).expect_err("one has failed");
            assert_eq!(error.to_string(), "rank 1: error of 1");
        }
        let mut sum = note(f64::NAN);
        sum.add(&note(1.0));
        assert!(sum.largest.is_nan());
        let mut sum = note(1.0);
        sum.add(&note(f64::NAN));
        assert!(sum.largest.is_nan());
    }
}
