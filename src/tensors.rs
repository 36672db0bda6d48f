//! What is trained of a layer: the one list of tensors, with their names and shapes, for parameters,
//! gradients, moments and files.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2};

#[cfg(feature = "safetensors")]
use crate::synapses::{Pattern, Synapses};
use crate::{
    Float,
    neuron::{Constant, Neurons},
};

/// One thing for each tensor of a layer: `M` for a matrix, `V` for a vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerTensors<M, V> {
    /// `[out, in]`
    pub weight: M,
    /// `[out]`; not in a layer without biases.
    pub bias: Option<V>,
    /// Of a recurrent layer.
    pub recurrent: Option<Recurrent<M, V>>,
    /// Those of the neurons' constants that are learned, `[1]` or `[out]`.
    pub constants: Vec<(Constant, V)>,
}

/// One thing for each tensor of recurrent synapses.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Recurrent<M, V> {
    /// From every neuron to every neuron.
    AllToAll {
        /// `[out, out]`: row `n` has the weights to neuron `n`.
        weight: M,
        /// `[out]`, if there are biases of their own.
        bias: Option<V>,
    },
    /// From every neuron to itself, `[out]`.
    OneToOne(V),
}

/// The tensors themselves.
pub(crate) type Tensors<F> = LayerTensors<Array2<F>, Array1<F>>;

/// The shapes of a layer's tensors.
#[cfg(feature = "safetensors")]
pub(crate) fn shapes(
    inputs: usize,
    outputs: usize,
    synapses: Synapses,
    neuron: &Neurons,
) -> LayerTensors<[usize; 2], usize> {
    let constants = neuron.each().filter(|&(.., learnt)| learnt);
    let recurrent = synapses
        .recurrence
        .map(|recurrence| match recurrence.pattern {
            Pattern::AllToAll { .. } => Recurrent::AllToAll {
                weight: [outputs, outputs],
                bias: recurrence.bias.then_some(outputs),
            },
            Pattern::OneToOne => Recurrent::OneToOne(outputs),
        });
    LayerTensors {
        weight: [outputs, inputs],
        bias: synapses.bias.then_some(outputs),
        recurrent,
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

/// snnTorch's name of layer `k`'s recurrent weights from every neuron to every neuron, from 1.
pub(crate) fn recurrent_weight(k: usize) -> String {
    format!("lif{k}.recurrent.weight")
}

/// snnTorch's name of the biases that come with them.
pub(crate) fn recurrent_bias(k: usize) -> String {
    format!("lif{k}.recurrent.bias")
}

/// snnTorch's name of layer `k`'s recurrent weights from every neuron to itself, from 1.
pub(crate) fn recurrent_each(k: usize) -> String {
    format!("lif{k}.recurrent.V")
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
        matrix: impl Fn(M) -> T,
        vector: impl Fn(V) -> T,
    ) -> Vec<(String, T)> {
        let mut named = vec![(weight(k), matrix(self.weight))];
        let some = |name: String, values: Option<V>| values.map(|values| (name, vector(values)));
        named.extend(some(bias(k), self.bias));
        match self.recurrent {
            None => {}
            Some(Recurrent::AllToAll { weight, bias }) => {
                named.push((recurrent_weight(k), matrix(weight)));
                named.extend(some(recurrent_bias(k), bias));
            }
            Some(Recurrent::OneToOne(each)) => named.push((recurrent_each(k), vector(each))),
        }
        let constants = self.constants.into_iter();
        named.extend(constants.map(|(c, values)| (constant(k, c), vector(values))));
        named
    }

    /// Something else for each tensor.
    pub fn map<N, W>(self, matrix: impl Fn(M) -> N, vector: impl Fn(V) -> W) -> LayerTensors<N, W> {
        let constants = self.constants.into_iter();
        LayerTensors {
            weight: matrix(self.weight),
            bias: self.bias.map(&vector),
            recurrent: self.recurrent.map(|r| r.map(&matrix, &vector)),
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
        matrix: impl Fn(&mut S, String, M) -> Result<N, E>,
        vector: impl Fn(&mut S, String, V) -> Result<W, E>,
    ) -> Result<LayerTensors<N, W>, E> {
        let some = |from: &mut S, name: String, like: Option<V>| match like {
            Some(like) => vector(from, name, like).map(Some),
            None => Ok(None),
        };
        let bias = some(from, bias(k), self.bias)?;
        let recurrent = match self.recurrent {
            None => None,
            Some(Recurrent::AllToAll { weight, bias }) => Some(Recurrent::AllToAll {
                weight: matrix(from, recurrent_weight(k), weight)?,
                bias: some(from, recurrent_bias(k), bias)?,
            }),
            Some(Recurrent::OneToOne(each)) => {
                Some(Recurrent::OneToOne(vector(from, recurrent_each(k), each)?))
            }
        };
        let mut constants = Vec::new();
        for (c, values) in self.constants {
            constants.push((c, vector(from, constant(k, c), values)?));
        }
        Ok(LayerTensors {
            weight: matrix(from, weight(k), self.weight)?,
            bias,
            recurrent,
            constants,
        })
    }
}

impl<M, V> Recurrent<M, V> {
    /// Something else for each tensor.
    pub fn map<N, W>(self, matrix: impl Fn(M) -> N, vector: impl Fn(V) -> W) -> Recurrent<N, W> {
        match self {
            Recurrent::AllToAll { weight, bias } => Recurrent::AllToAll {
                weight: matrix(weight),
                bias: bias.map(vector),
            },
            Recurrent::OneToOne(each) => Recurrent::OneToOne(vector(each)),
        }
    }

    /// The same, to be read.
    pub fn as_ref(&self) -> Recurrent<&M, &V> {
        match self {
            Recurrent::AllToAll { weight, bias } => Recurrent::AllToAll {
                weight,
                bias: bias.as_ref(),
            },
            Recurrent::OneToOne(each) => Recurrent::OneToOne(each),
        }
    }

    /// The same, to be changed.
    pub fn as_mut(&mut self) -> Recurrent<&mut M, &mut V> {
        match self {
            Recurrent::AllToAll { weight, bias } => Recurrent::AllToAll {
                weight,
                bias: bias.as_mut(),
            },
            Recurrent::OneToOne(each) => Recurrent::OneToOne(each),
        }
    }
}

impl<F: Float> Tensors<F> {
    /// The same, to be read.
    pub fn view(&self) -> LayerTensors<ArrayView2<'_, F>, ArrayView1<'_, F>> {
        let constants = self.constants.iter();
        LayerTensors {
            weight: self.weight.view(),
            bias: self.bias.as_ref().map(|bias| bias.view()),
            recurrent: view(&self.recurrent),
            constants: constants.map(|(c, values)| (*c, values.view())).collect(),
        }
    }

    /// The same, to be changed.
    pub fn view_mut(&mut self) -> LayerTensors<ArrayViewMut2<'_, F>, ArrayViewMut1<'_, F>> {
        let constants = self.constants.iter_mut();
        LayerTensors {
            weight: self.weight.view_mut(),
            bias: self.bias.as_mut().map(|bias| bias.view_mut()),
            recurrent: view_mut(&mut self.recurrent),
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
        let matrix = |m: &Array2<F>| m.iter().map(square).sum::<f64>();
        let weights = matrix(&self.weight);
        let mut vectors = Vec::from_iter(&self.bias);
        let mut recurrent = 0.0;
        match &self.recurrent {
            None => {}
            Some(Recurrent::AllToAll { weight, bias }) => {
                recurrent = matrix(weight);
                vectors.extend(bias);
            }
            Some(Recurrent::OneToOne(each)) => vectors.push(each),
        }
        vectors.extend(self.constants.iter().map(|(_, values)| values));
        let vectors = vectors.into_iter().flatten().map(square).sum::<f64>();
        weights + vectors + recurrent
    }
}

/// Recurrent tensors, to be read.
pub(crate) fn view<F: Float>(
    tensors: &Option<Recurrent<Array2<F>, Array1<F>>>,
) -> Option<Recurrent<ArrayView2<'_, F>, ArrayView1<'_, F>>> {
    let tensors = tensors.as_ref().map(Recurrent::as_ref);
    tensors.map(|tensors| tensors.map(|m| m.view(), |v| v.view()))
}

/// Recurrent tensors, to be changed.
pub(crate) fn view_mut<F: Float>(
    tensors: &mut Option<Recurrent<Array2<F>, Array1<F>>>,
) -> Option<Recurrent<ArrayViewMut2<'_, F>, ArrayViewMut1<'_, F>>> {
    let tensors = tensors.as_mut().map(Recurrent::as_mut);
    tensors.map(|tensors| tensors.map(|m| m.view_mut(), |v| v.view_mut()))
}
