//! The update of the own slice.

use std::{ops::Range, time::Instant};

use super::Sharded;
use crate::{
    Engine, Error, Float, Result,
    engine::flat::{Piece, Run},
    finite::check_finite,
    optim::{Update, Updates},
    parallel::{
        note::Note,
        numbers::{largest, squares},
        ordinary::with_layout,
        shards,
    },
};

impl<F: Float> Sharded<F> {
    /// Updates the own slice from its gradients, and gathers all parameters. Returns the sum of squares of each
    /// layer's gradients, if they were needed. Collective.
    pub(super) fn update(
        &mut self,
        engine: &mut dyn Engine<F>,
        gradients: &[F],
    ) -> Result<Vec<f64>> {
        let bits = self.world.size().trailing_zeros();
        let Note {
            largest, squares, ..
        } = self.examine(gradients, bits)?;
        if largest.is_nan() {
            let found = self.check_own(gradients, |run| format!("gradient of {}", run.tensor));
            return Err(self.fail(found, 2 * bits));
        }
        let norm = squares.iter().sum::<f64>().sqrt();
        let factor = F::from_f64(self.optimizer.clip_factor(norm));
        let updates = self.optimizer.next_updates();
        if largest * factor.as_f64() >= Update::SAFE || updates.can_overflow() {
            let checked = self.check_second(&updates, gradients, factor);
            self.agree(checked, 2 * bits)?;
        }
        let mut scaled = Vec::new();
        let gradients = match factor < F::one() {
            true => {
                scaled.extend(gradients.iter().map(|&g| g * factor));
                &scaled
            }
            false => gradients,
        };
        self.advance(engine, &updates, gradients);
        self.optimizer.step += 1;
        let when = format!(" after update {}", self.optimizer.step);
        let own = &self.params[self.own.clone()];
        let failed = self.check_own(own, |run| format!("{}{when}", run.tensor));
        let mut note = self.note();
        let rank = self.world.rank() as u64;
        note.failure = (failed.as_ref().err()).map(|error| (rank, error.to_string()));
        let mut params = std::mem::take(&mut self.params);
        let gathered = self.gather(&mut params, &mut note, 3 * bits);
        self.params = params;
        gathered?;
        let params = &self.params[..self.len];
        with_layout(engine, &self.structure, |layout| {
            layout.set_parameters(params)
        })?;
        self.finished = Instant::now();
        self.finite = note.failure.is_none();
        note.check(self.world.rank(), failed.err())?;
        Ok(squares)
    }

    /// The largest gradient of all and, if needed, the squares of each layer: summed over pieces of the vector,
    /// as many as there are shards, in a tree, so that they do not depend on the number of processes.
    fn examine(&mut self, gradients: &[F], round: u32) -> Result<Note> {
        let wanted = self.optimizer.clip_norm.is_some() || self.measures;
        let piece = self.padded / self.shards;
        let pieces = gradients.chunks(piece).enumerate();
        let notes: Vec<Note> = pieces
            .map(|(n, piece_of)| {
                let mut note = self.note();
                note.largest = largest(piece_of);
                if wanted {
                    let begin = self.own.start + n * piece;
                    for (run, range) in self.runs_in(begin..begin + piece_of.len()) {
                        let range = range.start - begin..range.end - begin;
                        note.squares[run.layer] += squares(&piece_of[range]);
                    }
                }
                note
            })
            .collect();
        let mut note = shards::sum(&notes).unwrap_or_else(|| self.note());
        self.world.meet(&mut note, round, false)?;
        Ok(note)
    }

    /// The runs that a part of the vector belongs to, and where.
    fn runs_in(&self, part: Range<usize>) -> impl Iterator<Item = (&Run<F>, Range<usize>)> {
        let mut at = 0;
        let placed = self.runs.iter().map(move |run| {
            let begin = at;
            at += run.len;
            (run, begin.max(part.start)..at.min(part.end))
        });
        placed.filter(|(_, range)| !range.is_empty())
    }

    /// Looks for NaN and infinity in numbers of the own slice.
    fn check_own(&self, numbers: &[F], name: impl Fn(&Run<F>) -> String) -> Result<()> {
        if !largest(numbers).is_nan() {
            return Ok(());
        }
        let own = self.own.clone();
        self.runs_in(own.clone()).try_for_each(|(run, range)| {
            let range = range.start - own.start..range.end - own.start;
            check_finite(&name(run), numbers[range].iter())
        })
    }

    /// Reports a second moment of Adam that would become infinite, as [`Updates::check_second`].
    fn check_second(&self, updates: &Updates<F>, gradients: &[F], factor: F) -> Result<()> {
        let (begin, n) = (self.own.start, self.optimizer.step + 1);
        self.runs_in(self.own.clone()).try_for_each(|(run, range)| {
            let Update::Adam(adam) = updates.of(|| run.tensor.clone()) else {
                return Ok(());
            };
            let second = |i: usize| {
                let v = self.kept[1].get(i - begin).copied();
                adam.second(
                    self.params[i],
                    gradients[i - begin] * factor,
                    v.unwrap_or_default(),
                )
            };
            let second: Vec<F> = range.map(second).collect();
            let what = format!("second moment of {} in update {n}", run.tensor);
            check_finite(&what, second.iter())
        })
    }

    /// Fails on every process if one has failed. Collective.
    fn agree(&self, own: Result<()>, round: u32) -> Result<()> {
        let mut note = self.note();
        let rank = self.world.rank();
        note.failure = (own.as_ref().err()).map(|error| (rank as u64, error.to_string()));
        self.world.meet(&mut note, round, true)?;
        note.check(rank, own.err())
    }

    /// The error of a failure that one process at least has found. Collective.
    fn fail(&self, own: Result<()>, round: u32) -> Error {
        self.agree(own, round)
            .err()
            .unwrap_or_else(|| Error::parameter("gradients", "not finite", "finite numbers"))
    }

    /// Updates the own slice.
    fn advance(&mut self, engine: &mut dyn Engine<F>, updates: &Updates<F>, gradients: &[F]) {
        let (own, len) = (self.own.clone(), self.own.len());
        let mut params = std::mem::take(&mut self.params);
        let mut kept = std::mem::take(&mut self.kept);
        kept.iter_mut()
            .take(updates.kept())
            .for_each(|kept| kept.resize(len, F::zero()));
        with_layout(engine, &self.structure, |layout| {
            for (run, range) in self.runs_in(own.clone()) {
                if !run.learn {
                    continue;
                }
                let local = range.start - own.start..range.end - own.start;
                let own_of = |kept: &'_ mut Vec<F>| match kept.is_empty() {
                    true => 0..0,
                    false => local.clone(),
                };
                let kept = kept.each_mut().map(|kept| {
                    let part = own_of(kept);
                    &mut kept[part]
                });
                let piece = Piece {
                    update: updates.of(|| run.tensor.clone()),
                    weights: &mut params[range.clone()],
                    gradients: &gradients[local.clone()],
                    kept,
                };
                layout.update(piece);
                if let Some((low, high)) = run.range {
                    for x in &mut params[range] {
                        // A NaN stays.
                        *x = if *x < low { low } else { *x };
                        *x = if *x > high { high } else { *x };
                    }
                }
            }
        });
        (self.params, self.kept) = (params, kept);
    }
}
