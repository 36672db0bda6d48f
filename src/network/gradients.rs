//! The gradients of a network's parameters.

use ndarray::{ArrayView, ArrayView2, ArrayViewD, ArrayViewMut, ArrayViewMutD};

use crate::{Float, Layer, Network, Result, finite::check_finite, tensors::Tensors};

/// The gradient `∂L/∂w` of every trained tensor `w` of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients<F: Float = f32> {
    pub(crate) layers: Vec<Tensors<F>>,
}

impl<F: Float> Gradients<F> {
    /// Zeros in the shapes of the network's [`parameters`](Network::parameters), and in their
    /// memory order.
    pub fn zeros(network: &Network<F>) -> Self {
        let zeros = |layer: &Layer<F>| {
            let matrix = |w: ArrayView2<'_, F>| w.map(|_| F::zero());
            layer.tensors().map(matrix, |v| v.map(|_| F::zero()))
        };
        Gradients {
            layers: network.layers().iter().map(zeros).collect(),
        }
    }

    /// All tensors with their names, in the order of [`Network::parameters`].
    pub fn tensors(&self) -> Vec<(String, ArrayViewD<'_, F>)> {
        let layers = self.layers.iter().zip(1..);
        let named = layers.map(|(layer, k)| {
            let tensors = layer.view();
            tensors.named(k, ArrayView::into_dyn, ArrayView::into_dyn)
        });
        named.flatten().collect()
    }

    /// The same tensors, mutable, for example to clip or average them.
    pub fn tensors_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, F>)> {
        let layers = self.layers.iter_mut().zip(1..);
        let named = layers.map(|(layer, k)| {
            let tensors = layer.view_mut();
            tensors.named(k, ArrayViewMut::into_dyn, ArrayViewMut::into_dyn)
        });
        named.flatten().collect()
    }

    /// One tensor by its name.
    pub fn get(&self, name: &str) -> Option<ArrayViewD<'_, F>> {
        self.tensors()
            .into_iter()
            .find(|(known, _)| known == name)
            .map(|(_, values)| values)
    }

    /// The Euclidean norm of all gradients together.
    pub fn norm(&self) -> f64 {
        self.layers.iter().map(Tensors::squares).sum::<f64>().sqrt()
    }

    /// The Euclidean norm of each layer's gradients, from the first layer up: of its weights,
    /// biases and learned constants together.
    ///
    /// ```
    /// use spikegrad::{Gradients, Leaky, Network};
    ///
    /// let network: Network = Network::builder(2)
    ///     .layer(3, Leaky::new(0.9))
    ///     .layer(1, Leaky::new(0.9))
    ///     .build()?;
    /// let mut gradients = Gradients::zeros(&network);
    /// for (_, mut g) in gradients.tensors_mut() {
    ///     g.fill(2.0);
    /// }
    /// // 3 · 2 weights and 3 biases; 3 weights and 1 bias.
    /// assert_eq!(gradients.layer_norms(), [6.0, 4.0]);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn layer_norms(&self) -> Vec<f64> {
        let norm = |layer: &Tensors<F>| layer.squares().sqrt();
        self.layers.iter().map(norm).collect()
    }

    /// Whether the squares of all gradients, each scaled by `factor`, are finite.
    pub(crate) fn squares_fit(&self, factor: F) -> bool {
        let fits = |fits: bool, g: &F| fits & (*g * factor * (*g * factor)).is_finite();
        let mut tensors = self.tensors().into_iter();
        tensors.all(|(_, v)| v.iter().fold(true, fits))
    }

    /// Reports NaN or infinity in any tensor by name.
    pub(crate) fn check_finite(&self) -> Result<()> {
        self.tensors()
            .iter()
            .try_for_each(|(name, v)| check_finite(&format!("gradient of {name}"), v.iter()))
    }
}
