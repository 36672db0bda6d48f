//! One update of one weight: the constants of each rule, and where they apply.

use ndarray::{ArrayViewD, ArrayViewMutD, Zip};

use super::{adam::Moments, adamax::Maximum, sgd, step::Step};
use crate::{
    Float,
    neuron::{Num, Scalar},
};

/// The constants of one update.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Update<F = f32> {
    Sgd(sgd::Plain<F>),
    Momentum(sgd::Momentum<F>),
    Adam(Moments<F>),
    Adamax(Maximum<F>),
}

/// Runs an expression with the rule's own [`Step`].
macro_rules! with_step {
    ($update:expr, $step:ident => $body:expr) => {
        match $update {
            $crate::optim::Update::Sgd($step) => $body,
            $crate::optim::Update::Momentum($step) => $body,
            $crate::optim::Update::Adam($step) => $body,
            $crate::optim::Update::Adamax($step) => $body,
        }
    };
}
pub(crate) use with_step;

impl<F: Float> Update<F> {
    /// Updates one tensor, number by number. The gradients are scaled by `factor` first; `kept` has the
    /// numbers that the rule keeps.
    pub fn apply(
        &self,
        w: ArrayViewMutD<'_, F>,
        g: ArrayViewD<'_, F>,
        factor: F,
        kept: Vec<ArrayViewMutD<'_, F>>,
    ) {
        with_step!(self, step => apply(step, w, g, factor, kept));
    }
}

fn apply<F: Float>(
    step: &impl Step,
    w: ArrayViewMutD<'_, F>,
    g: ArrayViewD<'_, F>,
    factor: F,
    kept: Vec<ArrayViewMutD<'_, F>>,
) {
    let number = |x: F| Num::new(Scalar::new(), x);
    let run = |w: &mut F, g: F, kept: [F; 2]| {
        let (stepped, kept) = step.step(number(*w), number(g * factor), kept.map(number));
        *w = stepped.value();
        kept.map(Num::value)
    };
    let (zero, zip, mut kept) = (F::zero(), Zip::from(w).and(g), kept.into_iter());
    match (kept.next(), kept.next()) {
        (None, _) => zip.for_each(|w, &g| {
            run(w, g, [zero; 2]);
        }),
        (Some(m), None) => zip.and(m).for_each(|w, &g, m| {
            [*m, _] = run(w, g, [*m, zero]);
        }),
        (Some(m), Some(v)) => zip.and(m).and(v).for_each(|w, &g, m, v| {
            [*m, *v] = run(w, g, [*m, *v]);
        }),
    }
}

/// The updates of all tensors of a network: one for most, others for groups of them.
#[derive(Clone, Debug)]
pub(crate) struct Updates<F = f32> {
    pub(super) common: Update<F>,
    /// The tensors' names, and their update.
    pub(super) groups: Vec<(Vec<String>, Update<F>)>,
}

impl<F: Float> Updates<F> {
    /// How many numbers are kept for each weight.
    pub fn kept(&self) -> usize {
        fn of<S: Step>(_: S) -> usize {
            S::KEPT
        }
        with_step!(self.common, step => of(step))
    }

    /// Whether a kept number can overflow although no gradient is large.
    pub fn can_overflow(&self) -> bool {
        let of = |update: &Update<F>| with_step!(update, step => step.can_overflow());
        of(&self.common) || self.groups.iter().any(|(_, update)| of(update))
    }

    /// The update of the tensor of this name, which is made only if there are groups.
    pub fn of(&self, name: impl FnOnce() -> String) -> Update<F> {
        if self.groups.is_empty() {
            return self.common;
        }
        let name = name();
        let group = self.groups.iter().find(|(names, _)| names.contains(&name));
        group.map_or(self.common, |(_, update)| *update)
    }
}
