//! What is trained of a layer: the one list of tensors, with their names and shapes, for parameters,
//! gradients, moments and files.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

use crate::{
    Float,
    neuron::{Constant, Neurons},
};

/// One thing for each trained tensor of a layer: `M` for the matrix, `V` for each vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerTensors<M, V> {
    /// `[out, in]`
    pub weight: M,
    /// `[out]`
    pub bias: V,
    /// Those of the neurons' constants that are learned, `[1]` or `[out]`.
    pub constants: Vec<(Constant, V)>,
}

/// The tensors themselves.
pub(crate) type Tensors<F> = LayerTensors<Array2<F>, Array1<F>>;

/// The shapes of a layer's trained tensors.
#[cfg(feature = "safetensors")]
pub(crate) fn shapes(
    inputs: usize,
    outputs: usize,
    neuron: &Neurons,
) -> LayerTensors<[usize; 2], usize> {
    let constants = neuron.each().filter(|&(.., learnt)| learnt);
    LayerTensors {
        weight: [outputs, inputs],
        bias: outputs,
        constants: constants
            .map(|(constant, value, _)| (constant, value.values().len()))
            .collect(),
    }
}

/// The name of layer `k`'s weights, from 1.
pub(crate) fn weight(k: usize) -> String {
    format!("fc{k}.weight")
}

/// The name of layer `k`'s biases, from 1.
pub(crate) fn bias(k: usize) -> String {
    format!("fc{k}.bias")
}

/// The name of a constant of layer `k`, from 1.
pub(crate) fn constant(k: usize, constant: Constant) -> String {
    format!("lif{k}.{}", constant.name)
}

impl<M, V> LayerTensors<M, V> {
    /// Each tensor of layer `k`, from 1, with its name.
    pub fn named<T>(
        self,
        k: usize,
        matrix: impl FnOnce(M) -> T,
        vector: impl Fn(V) -> T,
    ) -> Vec<(String, T)> {
        let mut named = vec![
            (weight(k), matrix(self.weight)),
            (bias(k), vector(self.bias)),
        ];
        let constants = self.constants.into_iter();
        named.extend(constants.map(|(c, values)| (constant(k, c), vector(values))));
        named
    }

    /// Something else for each tensor.
    pub fn map<N, W>(
        self,
        matrix: impl FnOnce(M) -> N,
        vector: impl Fn(V) -> W,
    ) -> LayerTensors<N, W> {
        let constants = self.constants.into_iter();
        LayerTensors {
            weight: matrix(self.weight),
            bias: vector(self.bias),
            constants: constants.map(|(c, values)| (c, vector(values))).collect(),
        }
    }

    /// Something else for each tensor of layer `k`, from 1, read `from` somewhere by its name; or the
    /// first error.
    #[cfg(feature = "safetensors")]
    pub fn read<S, N, W, E>(
        self,
        k: usize,
        from: &mut S,
        matrix: impl FnOnce(&mut S, String, M) -> Result<N, E>,
        vector: impl Fn(&mut S, String, V) -> Result<W, E>,
    ) -> Result<LayerTensors<N, W>, E> {
        let bias = vector(from, bias(k), self.bias)?;
        let mut constants = Vec::new();
        for (c, values) in self.constants {
            constants.push((c, vector(from, constant(k, c), values)?));
        }
        Ok(LayerTensors {
            weight: matrix(from, weight(k), self.weight)?,
            bias,
            constants,
        })
    }
}

impl<F: Float> Tensors<F> {
    /// The same, to be read.
    pub fn view(&self) -> LayerTensors<ArrayView2<'_, F>, ArrayView1<'_, F>> {
        let constants = self.constants.iter();
        LayerTensors {
            weight: self.weight.view(),
            bias: self.bias.view(),
            constants: constants.map(|(c, values)| (*c, values.view())).collect(),
        }
    }

    /// The same, to be changed.
    pub fn view_mut(&mut self) -> LayerTensors<ArrayViewMut2<'_, F>, ArrayViewMut1<'_, F>> {
        let constants = self.constants.iter_mut();
        LayerTensors {
            weight: self.weight.view_mut(),
            bias: self.bias.view_mut(),
            constants: constants.map(|(c, v)| (*c, v.view_mut())).collect(),
        }
    }

    /// Adds shares `[N]` of each learned constant's gradient, from those of all constants of the neurons.
    pub fn add_constants(&mut self, neuron: &Neurons, shares: &[Array1<F>]) {
        let learnt = neuron.each().zip(shares);
        let learnt = learnt.filter_map(|((.., learn), share)| learn.then_some(share));
        for ((_, sum), share) in self.constants.iter_mut().zip(learnt) {
            match sum.len() {
                1 => sum[0] += share.sum(),
                _ => *sum += share,
            }
        }
    }

    /// The sum of the squares of all of them.
    pub fn squares(&self) -> f64 {
        let square = |x: &F| x.as_f64() * x.as_f64();
        let learnt = self.constants.iter().map(|(_, values)| values);
        let vectors = std::iter::once(&self.bias).chain(learnt);
        self.weight.iter().map(square).sum::<f64>() + vectors.flatten().map(square).sum::<f64>()
    }
}
