//! Dropout: which inputs of a layer a training batch does without.
//!
//! With `m_j` 0 at a probability of `p` and `1/(1 − p)` otherwise, drawn for each sample and input, a layer's
//! current is
//!
//! ```text
//! I_t = W (m ⊙ s_t^below) + b
//! ```
//!
//! with one mask for all steps: an input that is missing is missing throughout, and does not flicker. The
//! adjoint has the same mask: `∂L/∂W = Σ_t a_t (m ⊙ s_t)ᵀ` and `e_t += m ⊙ Wᵀ a_t`.
//!
//! Source: Srivastava et al., *Dropout: A Simple Way to Prevent Neural Networks from Overfitting*, JMLR 15,
//! 2014; the scale as in `torch.nn.Dropout`.

use ndarray::{Array2, Array3, ArrayView1, ArrayView2, Axis, Zip};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

use crate::{Float, Input, Network, Samples, Targets, synapses::Dropout};

/// The masks of one batch.
#[derive(Debug, Clone)]
pub(crate) struct Masks {
    /// Of the first layer, for the network's input.
    input: Option<Mask>,
    /// Of the layers above the first.
    above: Vec<Option<Mask>>,
}

/// Which inputs of a layer there are.
#[derive(Debug, Clone)]
pub(crate) struct Mask {
    /// `[B, in]`
    keep: Array2<bool>,
    /// `1/(1 − p)`
    scale: f64,
}

/// An input without what is dropped.
pub(crate) enum Dropped<F: Float> {
    Constant(Array2<F>, usize),
    Sequence(Array3<F>),
}

impl<F: Float> Dropped<F> {
    pub fn input(&self) -> Input<'_, F> {
        match self {
            Dropped::Constant(x, num_steps) => Input::constant(x.view(), *num_steps),
            Dropped::Sequence(x) => Input::sequence(x.view()),
        }
    }
}

impl<'a, F: Float> Samples<'a, F> {
    /// These samples, with the input that is left of theirs if anything is dropped.
    pub(crate) fn without<'b>(self, dropped: Option<&'b Dropped<F>>) -> Samples<'b, F>
    where
        'a: 'b,
    {
        let targets = match self.targets {
            Targets::Classes(classes) => Targets::Classes(classes),
            Targets::Values(values) => Targets::Values(values.reborrow()),
            Targets::Sequence(values) => Targets::Sequence(values.reborrow()),
        };
        match dropped {
            Some(dropped) => dropped.input().with(targets),
            None => self.input.with(targets),
        }
    }
}

impl Masks {
    /// The masks for `batch` samples: of part `part` of a batch, `update` updates after the start. `None` if
    /// no layer drops anything.
    pub fn draw<F: Float>(
        network: &Network<F>,
        batch: usize,
        update: u64,
        part: u64,
    ) -> Option<Self> {
        let layers = network.layers().iter().zip(0_u64..);
        let mut masks = layers.map(|(layer, k)| {
            let Dropout { rate, seed } = layer.synapses().dropout?;
            let mut key = [0; 32];
            let numbers = [seed, update, part, k];
            for (key, number) in key.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
                *key = number.to_le_bytes();
            }
            let mut rng = ChaCha8Rng::from_seed(key);
            let dropped = (rate * 2_f64.powi(32)) as u64;
            let shape = (batch, layer.inputs());
            Some(Mask {
                keep: Array2::from_shape_simple_fn(shape, || u64::from(rng.next_u32()) >= dropped),
                scale: 1.0 / (1.0 - rate),
            })
        });
        let input = masks.next().flatten();
        let above: Vec<_> = masks.collect();
        (input.is_some() || above.iter().any(Option::is_some)).then_some(Masks { input, above })
    }

    /// The mask of layer `k`, from 0, on the spikes of the layer below it; that of the first layer is
    /// [in its input](Self::drop).
    pub fn of(&self, k: usize) -> Option<&Mask> {
        self.above.get(k.checked_sub(1)?)?.as_ref()
    }

    /// Whether the first layer drops any of the network's input.
    pub fn of_input(&self) -> bool {
        self.input.is_some()
    }

    /// The network's input without what the first layer drops, if it drops anything.
    pub fn drop<F: Float>(&self, input: Input<'_, F>) -> Option<Dropped<F>> {
        let mask = self.input.as_ref()?;
        Some(match input {
            Input::Constant { x, num_steps } => Dropped::Constant(mask.apply(x), num_steps),
            Input::Sequence { x } => {
                let mut dropped = Array3::zeros(x.raw_dim());
                let steps = dropped.axis_iter_mut(Axis(0)).zip(x.outer_iter());
                steps.for_each(|(mut to, x)| to.assign(&mask.apply(x)));
                Dropped::Sequence(dropped)
            }
        })
    }

    /// The largest scale.
    pub fn scale(&self) -> f64 {
        let scales = self.above.iter().flatten().map(|mask| mask.scale);
        scales.fold(1.0, f64::max)
    }
}

impl Mask {
    /// `m ⊙ x`, `[B, in]`.
    pub fn apply<F: Float>(&self, x: ArrayView2<'_, F>) -> Array2<F> {
        let scale = F::from_f64(self.scale);
        Zip::from(x)
            .and(&self.keep)
            .map_collect(|&x, &keep| match keep {
                true => x * scale,
                false => F::zero(),
            })
    }

    /// Number of samples.
    #[cfg(feature = "cuda")]
    pub fn len(&self) -> usize {
        self.keep.nrows()
    }

    /// Which inputs of sample `b` there are, `[in]`.
    pub fn row(&self, b: usize) -> ArrayView1<'_, bool> {
        self.keep.row(b)
    }

    /// `1/(1 − p)`
    pub fn scale(&self) -> f64 {
        self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Leaky;

    fn masks(update: u64, part: u64, seed: u64) -> Masks {
        let layers = Network::builder(300).seed(seed);
        let layers = layers.layer(400, Leaky::new(0.9)).dropout(0.2);
        let layers = layers.layer(10, Leaky::new(0.9)).dropout(0.5);
        let network: Network = layers.layer(4, Leaky::new(0.9)).build().expect("a network");
        Masks::draw(&network, 50, update, part).expect("two layers drop inputs")
    }

    #[test]
    fn as_many_are_dropped_as_should_be() {
        let drawn = masks(3, 0, 1);
        let (input, above) = (drawn.input.as_ref(), drawn.of(1));
        for (mask, rate, inputs) in [(input, 0.2, 300), (above, 0.5, 400)] {
            let mask = mask.expect("a mask");
            assert_eq!(mask.keep.dim(), (50, inputs));
            let count = mask.keep.len() as f64;
            let dropped = mask.keep.iter().filter(|keep| !**keep).count() as f64 / count;
            // Four standard deviations.
            let error = 4.0 * (rate * (1.0 - rate) / count).sqrt();
            assert!((dropped - rate).abs() < error, "{dropped} of {rate}");
            assert_eq!(mask.scale, 1.0 / (1.0 - rate));
        }
        assert!(drawn.of(0).is_none() && drawn.of(2).is_none() && drawn.of(3).is_none());
        assert_eq!(drawn.scale(), 2.0);
    }

    #[test]
    fn each_batch_and_each_sample_has_its_own() {
        let first = masks(3, 0, 1);
        let same = |masks: &Masks| {
            masks.above[0].as_ref().map(|mask| &mask.keep)
                == first.above[0].as_ref().map(|mask| &mask.keep)
        };
        assert!(same(&masks(3, 0, 1)));
        assert!(!same(&masks(4, 0, 1)) && !same(&masks(3, 1, 1)) && !same(&masks(3, 0, 2)));
        let keep = &first.of(1).expect("a mask").keep;
        assert_ne!(keep.row(0), keep.row(1));
    }

    #[test]
    fn what_is_kept_counts_more() {
        let drawn = masks(0, 0, 0);
        let x = Array3::from_elem((2, 50, 300), 2.0_f64);
        let dropped = drawn.drop(Input::sequence(x.view())).expect("dropped");
        let Input::Sequence { x } = dropped.input() else {
            panic!("a sequence");
        };
        let keep = &drawn.input.as_ref().expect("a mask").keep;
        for ((_, b, n), &x) in x.indexed_iter() {
            assert_eq!(x, if keep[[b, n]] { 2.5 } else { 0.0 });
        }
    }
}
