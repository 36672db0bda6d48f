//! An engine's parameters, gradients and moments as vectors, which processes divide among themselves.
//!
//! Any order does, since updates are made number by number: an engine can keep that of its kernels
//! ([`Packed`]). The functions below have the order of [`Network::parameters`], for engines without one of their own.

use crate::{Float, Gradients, Network, Result, Samples, State, StepReport, optim::Update};

/// Numbers that follow one another in the vector and belong to one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Run<F> {
    /// The tensor's name.
    pub tensor: String,
    /// The layer, from 0.
    pub layer: usize,
    /// How many numbers.
    pub len: usize,
    /// Whether they are trained.
    pub learn: bool,
    /// The range of a learned constant.
    pub range: Option<(F, F)>,
}

/// What tells a shard from others: which inputs it does without depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Updates made so far.
    pub update: u64,
    /// The number of the shard since the last update.
    pub part: u64,
}

/// What a built-in engine offers to data parallelism.
pub trait Flat<F: Float> {
    /// Report and gradients of one shard; the engine keeps the gradients.
    fn shard(
        &mut self,
        samples: Samples<'_, F>,
        state: Option<&mut State<F>>,
        key: Key,
    ) -> Result<StepReport>;

    /// The gradients of the last shard.
    fn gradients(&mut self) -> Result<Gradients<F>>;

    /// The engine's own layout of the vector, if it has one.
    fn packed(&mut self) -> Option<&mut dyn Packed<F>>;
}

/// A layout of the vector.
pub trait Packed<F: Float> {
    /// What follows what.
    fn runs(&self) -> Vec<Run<F>>;

    /// Copies `weight` times the gradients of the last shard, or adds that. If any is not finite, it is an
    /// error.
    fn gradients(&mut self, weight: F, out: &mut [F], add: bool) -> Result<()>;

    /// Copies the parameters.
    fn parameters(&mut self, out: &mut [F]) -> Result<()>;

    /// Replaces the parameters.
    fn set_parameters(&mut self, from: &[F]) -> Result<()>;

    /// The vector as tensors.
    fn tensors(&self, flat: &[F]) -> Gradients<F>;

    /// Tensors as the vector.
    fn flatten(&self, tensors: &Gradients<F>, out: &mut [F]);

    /// Updates numbers of one tensor.
    fn update(&self, piece: Piece<'_, F>);
}

/// Numbers to be updated; what the rule does not keep is empty.
pub struct Piece<'a, F> {
    /// The update of their tensor.
    pub(crate) update: Update<F>,
    /// The parameters.
    pub weights: &'a mut [F],
    /// Their gradients.
    pub gradients: &'a [F],
    /// What the optimizer keeps for them.
    pub kept: [&'a mut [F]; 2],
}

/// What follows what in the order of the network's tensors.
pub fn runs<F: Float>(network: &Network<F>) -> Vec<Run<F>> {
    let fixed = network.fixed();
    let layers = (network.layers().iter().enumerate())
        .flat_map(|(k, layer)| layer.tensors().named(k + 1, |_| k, |_| k));
    let tensors = network.parameters().into_iter().zip(layers);
    let run = |((tensor, values), (_, layer)): ((String, ndarray::ArrayViewD<'_, F>), _)| Run {
        layer,
        len: values.len(),
        learn: !fixed.contains(&tensor),
        range: network.range(&tensor),
        tensor,
    };
    tensors.map(run).collect()
}

/// Copies `weight` times tensors, one after the other, or adds that.
pub fn flatten<F: Float>(tensors: &Gradients<F>, weight: F, out: &mut [F], add: bool) {
    let tensors = tensors.tensors();
    let values = tensors.iter().flat_map(|(_, values)| values.iter());
    take(out, values, weight, add);
}

/// Copies `weight` times numbers, or adds that.
#[inline]
pub fn take<'a, F: Float>(out: &mut [F], from: impl Iterator<Item = &'a F>, weight: F, add: bool) {
    let pairs = out.iter_mut().zip(from);
    match add {
        true => pairs.for_each(|(out, &x)| *out += weight * x),
        false => pairs.for_each(|(out, &x)| *out = weight * x),
    }
}

/// The tensors that [`flatten`] has copied.
pub fn tensors<F: Float>(network: &Network<F>, flat: &[F]) -> Gradients<F> {
    let mut tensors = Gradients::zeros(network);
    let mut tensors_mut = tensors.tensors_mut();
    let values = tensors_mut
        .iter_mut()
        .flat_map(|(_, values)| values.iter_mut());
    values.zip(flat).for_each(|(to, &x)| *to = x);
    tensors
}

/// Copies the parameters, one tensor after the other.
pub fn parameters<F: Float>(network: &Network<F>, out: &mut [F]) {
    let tensors = network.parameters();
    let values = tensors.iter().flat_map(|(_, values)| values.iter());
    out.iter_mut().zip(values).for_each(|(out, &x)| *out = x);
}

/// Replaces the parameters by those that [`parameters`] has copied.
pub fn set_parameters<F: Float>(network: &mut Network<F>, from: &[F]) {
    let mut tensors = network.parameters_mut();
    let values = tensors.iter_mut().flat_map(|(_, values)| values.iter_mut());
    values.zip(from).for_each(|(to, &x)| *to = x);
}

/// Updates numbers one by one.
pub fn update<F: Float>(piece: Piece<'_, F>) {
    let Piece {
        update,
        weights,
        gradients,
        kept,
    } = piece;
    let kept = kept.into_iter().filter(|kept| !kept.is_empty());
    let kept = kept.map(|kept| ndarray::ArrayViewMut1::from(kept).into_dyn());
    update.apply(
        ndarray::ArrayViewMut1::from(weights).into_dyn(),
        ndarray::ArrayView1::from(gradients).into_dyn(),
        F::one(),
        kept.collect(),
    );
}
