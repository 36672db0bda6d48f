//! Weights as safetensors files, by PyTorch's names and shapes (feature `safetensors`).
//!
//! `fc1.weight [out, in]`, `fc1.bias [out]`, …, and where they are learnt `lif1.beta` and
//! `lif1.threshold`: what `safetensors.torch.load_file` reads and the `load_state_dict` of a class
//! with layers `fc1`, `fc2`, … takes. The file holds parameters, not structure: to load it, build
//! the network first. It is not a checkpoint: the optimiser's state is not in it.

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

use std::{collections::BTreeMap, fs, path::Path};

use ndarray::{ArrayViewD, IxDyn};
use safetensors::{Dtype, tensor::TensorView};

use crate::{
    Error, Float, Network, Result,
    files::{self, format_error},
};

/// Bytes of a file for each parameter, at most: in double precision, with Adam's moments beside it.
const BYTES_PER_PARAMETER: u64 = 24;

/// Bytes that a file may hold besides.
const MARGIN: u64 = 16 << 20;

impl<F: Float> Network<F> {
    /// Writes all trained tensors to a file, in this network's precision.
    ///
    /// # Errors
    /// [`Error::Io`] with the path, where it cannot be written.
    pub fn save_safetensors(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = self.to_safetensors().map_err(|source| Error::Io {
            action: "serialise weights for",
            path: path.into(),
            source: std::io::Error::other(source),
        })?;
        fs::write(path, bytes).map_err(|source| Error::Io {
            action: "write",
            path: path.into(),
            source,
        })
    }

    fn to_safetensors(&self) -> std::result::Result<Vec<u8>, safetensors::SafeTensorError> {
        let dtype = if F::NAME == "f32" {
            Dtype::F32
        } else {
            Dtype::F64
        };
        let encode = |values: &ArrayViewD<'_, F>| -> Vec<u8> {
            #[expect(clippy::cast_possible_truncation, reason = "an f32 that was widened")]
            let little_endian = |x: &F| match dtype {
                Dtype::F32 => (x.widen() as f32).to_le_bytes().to_vec(),
                _ => x.widen().to_le_bytes().to_vec(),
            };
            values.iter().flat_map(little_endian).collect()
        };
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = (self.parameters().into_iter())
            .map(|(name, values)| (name, values.shape().to_vec(), encode(&values)))
            .collect();
        let views: BTreeMap<&str, TensorView<'_>> = (tensors.iter())
            .map(|(name, shape, bytes)| {
                Ok((name.as_str(), TensorView::new(dtype, shape.clone(), bytes)?))
            })
            .collect::<std::result::Result<_, safetensors::SafeTensorError>>()?;
        safetensors::serialize(views, None)
    }

    /// Replaces all trained tensors by those of a file, `f32` or `f64`. Tensors of other names in
    /// it are ignored, up to a size: a file of more than 24 bytes for each parameter and 16 MiB is
    /// refused unread.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Format`] where it is not a safetensors file
    /// or too large for this network, a tensor is missing or of another type or shape, or holds a
    /// NaN or an infinity. The network is unchanged then.
    pub fn load_safetensors(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let parameters = (self.num_parameters() as u64).saturating_mul(BYTES_PER_PARAMETER);
        let limit = parameters.saturating_add(MARGIN);
        let bytes = files::read(path, limit)?;
        let file = files::tensors(path, &bytes)?;
        let format = |what: String, expected: String, found: String| {
            format_error(path, what, expected, found)
        };
        let mut loaded = self.clone();
        for (name, mut tensor) in loaded.parameters_mut() {
            let Ok(view) = file.tensor(&name) else {
                let names = file.names().join(", ");
                return Err(format(
                    format!("tensor {name}"),
                    "a tensor of that name".into(),
                    names,
                ));
            };
            if view.shape() != tensor.shape() {
                let (expected, found) = (
                    format!("{:?}", tensor.shape()),
                    format!("{:?}", view.shape()),
                );
                return Err(format(format!("shape of {name}"), expected, found));
            }
            let values: Vec<F> = match view.dtype() {
                Dtype::F32 => decode(view.data(), |b| f32::from_le_bytes(b).into()),
                Dtype::F64 => decode(view.data(), f64::from_le_bytes),
                other => {
                    return Err(format(
                        format!("type of {name}"),
                        "F32 or F64".into(),
                        format!("{other:?}"),
                    ));
                }
            };
            if let Some(bad) = values.iter().find(|x| !x.is_finite()) {
                return Err(format(
                    format!("tensor {name}"),
                    "finite numbers".into(),
                    bad.to_string(),
                ));
            }
            let values = ArrayViewD::from_shape(IxDyn(view.shape()), &values).map_err(|e| {
                format(
                    format!("tensor {name}"),
                    "as many values as its shape".into(),
                    e.to_string(),
                )
            })?;
            tensor.assign(&values);
        }
        loaded
            .check_constants()
            .map_err(|e| format("content".into(), "values in range".into(), e.to_string()))?;
        *self = loaded;
        Ok(())
    }
}

fn decode<F: Float, const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<F> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().map(|&chunk| F::of(number(chunk))).collect()
}
