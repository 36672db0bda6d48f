//! The engine's parameters as one vector, in the layout of the kernels: the matrices with their biases,
//! block by block, then the vectors of each layer. Padding is part of it, and stays 0.

use ndarray::Array1;

use super::{
    backend::Cpu,
    layer::{matrices, pack_all, states, states_mut, vectors_of},
    parallel::for_each,
    simd::{F32x16, LANES, flatten, flatten_mut},
    sink::{Deliver, LayerUpdate, Sink},
    update::GradientsOf,
};
use crate::{
    Gradients, Result,
    engine::{
        driver::Backend,
        flat::{Packed, Piece, Run, take},
    },
    finite::all_finite,
};

/// Numbers that a thread updates at once.
const SHARE: usize = 1 << 14;

/// Vectors that are updated while they are in L1: 4 KB each of weights, gradients and moments.
const ROWS: usize = 64;

impl Packed<f32> for Cpu {
    fn runs(&self) -> Vec<Run<f32>> {
        let mut runs = Vec::new();
        for (matrix, state) in matrices(&self.layers).into_iter().zip(states(&self.layers)) {
            let (weight, bias) = (matrix.weight_name(), matrix.bias_name());
            let width = state.vectors * LANES;
            for _ in 0..state.blocks {
                for (tensor, len) in [(&weight, state.inputs * width), (&bias, width)] {
                    runs.push(Run {
                        tensor: tensor.clone(),
                        layer: matrix.layer,
                        len,
                        learn: matrix.learn,
                        range: None,
                    });
                }
            }
        }
        for (k, layer) in self.layers.iter().enumerate() {
            for (i, vector, learn) in layer.numbered() {
                let tensor = vector.name(k + 1);
                runs.push(Run {
                    layer: k,
                    len: layer.values[i].len(),
                    learn,
                    range: self.structure().range(&tensor),
                    tensor,
                });
            }
        }
        runs
    }

    fn gradients(&mut self, weight: f32, out: &mut [f32], add: bool) -> Result<()> {
        let grads = self.learning.grads(GradientsOf::LastBatch);
        if !grads.is_safe(f64::from(weight)) {
            Backend::gradients(self)?;
        }
        let grads = self.learning.grads(GradientsOf::LastBatch);
        let mut rest = out;
        for (params, state) in grads.params.iter().zip(states(&self.layers)) {
            let (out, after) = rest.split_at_mut(state.params.len() * LANES);
            let mut pieces: Vec<_> =
                (out.chunks_mut(SHARE).zip(flatten(params).chunks(SHARE))).collect();
            for_each(&mut pieces, |_, (out, from)| {
                take(out, from.iter(), weight, add)
            });
            rest = after;
        }
        for (k, layer) in self.layers.iter().enumerate() {
            for (_, gradient) in grads.learnt(layer, k) {
                let (out, after) = rest.split_at_mut(gradient.len());
                take(out, gradient.iter(), weight, add);
                rest = after;
            }
        }
        Ok(())
    }

    fn parameters(&mut self, out: &mut [f32]) -> Result<()> {
        let mut rest = out;
        for state in states(&self.layers) {
            let (out, after) = rest.split_at_mut(state.params.len() * LANES);
            out.copy_from_slice(flatten(&state.params));
            rest = after;
        }
        for layer in &self.layers {
            for (i, ..) in layer.numbered() {
                let (out, after) = rest.split_at_mut(layer.values[i].len());
                out.iter_mut()
                    .zip(&layer.values[i])
                    .for_each(|(out, &x)| *out = x);
                rest = after;
            }
        }
        Ok(())
    }

    fn set_parameters(&mut self, from: &[f32]) -> Result<()> {
        let (matrices, mut rest) = (matrices(&self.layers), from);
        self.learning.finite = all_finite(from.iter());
        for (matrix, state) in matrices.into_iter().zip(states_mut(&mut self.layers)) {
            let (from, after) = rest.split_at(state.params.len() * LANES);
            if matrix.learn {
                let to = flatten_mut(&mut state.params);
                let mut pieces: Vec<_> = (to.chunks_mut(SHARE).zip(from.chunks(SHARE))).collect();
                for_each(&mut pieces, |_, (to, from)| to.copy_from_slice(from));
                if !matrix.is_first() {
                    state.refresh_weight_t();
                }
            }
            rest = after;
        }
        for layer in &mut self.layers {
            let numbers: Vec<usize> = layer.numbered().map(|(i, ..)| i).collect();
            for &i in &numbers {
                let (from, after) = rest.split_at(layer.values[i].len());
                layer.values[i]
                    .iter_mut()
                    .zip(from)
                    .for_each(|(to, &x)| *to = x);
                rest = after;
            }
            if !numbers.is_empty() {
                layer.refresh_constants();
            }
        }
        Ok(())
    }

    fn tensors(&self, flat: &[f32]) -> Gradients {
        let mut rest = flat;
        let mut packed = Vec::new();
        for state in states(&self.layers) {
            let (from, after) = rest.split_at(state.params.len() * LANES);
            let mut params = vec![F32x16::ZERO; state.params.len()];
            flatten_mut(&mut params).copy_from_slice(from);
            packed.push(params);
            rest = after;
        }
        let mut vectors: Vec<Vec<_>> = Vec::new();
        for layer in &self.layers {
            let own = layer.numbered().map(|(i, vector, _)| {
                let (from, after) = rest.split_at(layer.values[i].len());
                rest = after;
                (vector, Array1::from(from.to_vec()))
            });
            vectors.push(own.collect());
        }
        self.export(&packed, |_, k| vectors[k].clone())
    }

    fn flatten(&self, tensors: &Gradients, out: &mut [f32]) {
        let mut rest = out;
        for packed in pack_all(&self.layers, &tensors.layers) {
            let (out, after) = rest.split_at_mut(packed.len() * LANES);
            out.copy_from_slice(flatten(&packed));
            rest = after;
        }
        for tensors in &tensors.layers {
            for values in vectors_of(tensors) {
                let (out, after) = rest.split_at_mut(values.len());
                out.iter_mut().zip(values).for_each(|(out, &x)| *out = x);
                rest = after;
            }
        }
    }

    fn update(&self, piece: Piece<'_, f32>) {
        let Piece {
            update,
            weights,
            gradients,
            kept: [first, second],
        } = piece;
        let mut first = first.chunks_mut(SHARE);
        let mut second = second.chunks_mut(SHARE);
        let pieces = weights.chunks_mut(SHARE).zip(gradients.chunks(SHARE));
        let mut pieces: Vec<_> = pieces
            .map(|(weights, gradients)| Piece {
                update,
                weights,
                gradients,
                kept: [first.next(), second.next()].map(Option::unwrap_or_default),
            })
            .collect();
        for_each(&mut pieces, |_, piece| self.update_share(piece));
    }
}

impl Cpu {
    /// Updates numbers in the kernels' arithmetic, through copies that are aligned as vectors are.
    fn update_share(&self, piece: &mut Piece<'_, f32>) {
        let zeros = || [F32x16::ZERO; ROWS];
        let (mut w, mut g, mut m, mut v) = (zeros(), zeros(), zeros(), zeros());
        let (len, at_once) = (piece.weights.len(), ROWS * LANES);
        let mut nonfinite = F32x16::ZERO;
        for begin in (0..len).step_by(at_once) {
            let end = len.min(begin + at_once);
            let rows = (end - begin).div_ceil(LANES);
            let count = end - begin;
            flatten_mut(&mut w)[..count].copy_from_slice(&piece.weights[begin..end]);
            flatten_mut(&mut g)[..count].copy_from_slice(&piece.gradients[begin..end]);
            for (to, from) in [&mut m, &mut v].into_iter().zip(&piece.kept) {
                if let Some(from) = from.get(begin..end) {
                    flatten_mut(to)[..count].copy_from_slice(from);
                }
            }
            let rows_of = |n: usize| match piece.kept[n].is_empty() {
                true => 0..0,
                false => 0..rows,
            };
            let kept = [&mut m[rows_of(0)], &mut v[rows_of(1)]];
            self.kit.isa.run(Deliver {
                vectors: 1,
                sums: &g[..rows],
                sink: Sink::Update {
                    update: LayerUpdate {
                        weight: piece.update,
                        bias: piece.update,
                    },
                    bias_row: None,
                    weights: &mut w[..rows],
                    kept,
                    nonfinite: &mut nonfinite,
                },
            });
            piece.weights[begin..end].copy_from_slice(&flatten(&w)[..count]);
            for (from, to) in [&m, &v].into_iter().zip(&mut piece.kept) {
                if let Some(to) = to.get_mut(begin..end) {
                    to.copy_from_slice(&flatten(from)[..count]);
                }
            }
        }
    }
}
