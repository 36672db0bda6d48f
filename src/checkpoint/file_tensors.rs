//! The tensors of a checkpoint's file, from untrusted bytes.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::{collections::BTreeMap, time::Duration};

use ndarray::{Array1, Array2};
use safetensors::{Dtype, SafeTensors};

use crate::{
    neuron::Neurons,
    synapses::Synapses,
    tensors::{self, Tensors},
    weights::describe::Unfit,
};

/// The tensors of a file; each is used once.
pub(super) struct FileTensors<'f, 'd>(pub BTreeMap<&'f str, safetensors::tensor::TensorView<'d>>);

impl<'f, 'd> FileTensors<'f, 'd> {
    pub fn new(file: &'f SafeTensors<'d>) -> Result<Self, Unfit> {
        Ok(FileTensors(file.iter().collect()))
    }

    /// The bytes of a tensor, of `shape` if known, else with one axis.
    fn take<const N: usize>(
        &mut self,
        name: &str,
        dtype: Dtype,
        shape: Option<&[usize]>,
    ) -> Result<&'d [[u8; N]], Unfit> {
        let unfit = |expected: String, found: String| Unfit {
            what: format!("tensor {name}"),
            expected,
            found,
        };
        let Some(view) = self.0.remove(name) else {
            return Err(unfit("a tensor of that name".into(), "nothing".into()));
        };
        let fits = shape.map_or(view.shape().len() == 1, |shape| view.shape() == shape);
        if view.dtype() != dtype || !fits {
            let shape = shape.map_or("[N]".into(), |shape| format!("{shape:?}"));
            let found = format!("{:?} {:?}", view.dtype(), view.shape());
            return Err(unfit(format!("{dtype:?} {shape}"), found));
        }
        let (values, _) = view.data().as_chunks::<N>();
        Ok(values)
    }

    /// The tensors of layer `k`, or what the optimizer keeps for them.
    pub fn trained(
        &mut self,
        prefix: &str,
        k: usize,
        (inputs, neurons): (usize, usize),
        synapses: Synapses,
        neuron: &Neurons,
    ) -> Result<Tensors<f32>, Unfit> {
        let name = |name: String| format!("{prefix}{name}");
        let matrix = |from: &mut Self, tensor, [outputs, inputs]: [usize; 2]| {
            let tensor = name(tensor);
            let values = from.f32(&tensor, &[outputs, inputs])?;
            Array2::from_shape_vec((outputs, inputs), values).map_err(|e| Unfit {
                what: tensor,
                expected: format!("[{outputs}, {inputs}]"),
                found: e.to_string(),
            })
        };
        let vector =
            |from: &mut Self, tensor, len| Ok(Array1::from(from.f32(&name(tensor), &[len])?));
        tensors::shapes(inputs, neurons, synapses, neuron).read(k, self, matrix, vector)
    }

    pub fn f32(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Unfit> {
        let values = self.take(name, Dtype::F32, Some(shape))?;
        let values: Vec<f32> = values
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        match values.iter().find(|x| !x.is_finite()) {
            Some(bad) => Err(not_finite(name, f64::from(*bad))),
            None => Ok(values),
        }
    }

    pub fn f64(&mut self, name: &str, length: Option<usize>) -> Result<Vec<f64>, Unfit> {
        let shape = length.map(|length| [length]);
        let values = self.take(name, Dtype::F64, shape.as_ref().map(|s| &s[..]))?;
        let values: Vec<f64> = values
            .iter()
            .map(|bytes| f64::from_le_bytes(*bytes))
            .collect();
        match values.iter().find(|x| !x.is_finite()) {
            Some(bad) => Err(not_finite(name, *bad)),
            None => Ok(values),
        }
    }

    /// `[count, layers]`.
    pub fn rows(
        &mut self,
        name: &str,
        count: usize,
        layers: usize,
    ) -> Result<Vec<Vec<f64>>, Unfit> {
        let values = self.take(name, Dtype::F64, Some(&[count, layers]))?;
        let row = |bytes: &[[u8; 8]]| bytes.iter().map(|b| f64::from_le_bytes(*b)).collect();
        Ok(values.chunks_exact(layers.max(1)).map(row).collect())
    }

    pub fn u64(&mut self, name: &str, length: Option<usize>) -> Result<Vec<u64>, Unfit> {
        let shape = length.map(|length| [length]);
        let values = self.take(name, Dtype::U64, shape.as_ref().map(|s| &s[..]))?;
        Ok(values
            .iter()
            .map(|bytes| u64::from_le_bytes(*bytes))
            .collect())
    }

    pub fn whole(&mut self, name: &str, length: Option<usize>) -> Result<Vec<usize>, Unfit> {
        let values = self.u64(name, length)?;
        let values: Option<Vec<usize>> = (values.into_iter())
            .map(|n| usize::try_from(n).ok())
            .collect();
        values.ok_or_else(|| Unfit {
            what: format!("tensor {name}"),
            expected: format!("numbers up to {}", usize::MAX),
            found: "a larger one".into(),
        })
    }

    pub fn times(&mut self, name: &str, length: Option<usize>) -> Result<Vec<Duration>, Unfit> {
        let values = self.u64(name, length)?;
        Ok(values.into_iter().map(Duration::from_nanos).collect())
    }
}

fn not_finite(name: &str, found: f64) -> Unfit {
    Unfit {
        what: format!("tensor {name}"),
        expected: "finite numbers".into(),
        found: found.to_string(),
    }
}
