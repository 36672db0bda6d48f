//! The kernels' layout of a layer's parameters, and conversions from and to it.
//!
//! Neurons are grouped in **blocks** of up to 64: `vectors` vectors of sixteen, one bit of a spike
//! word each. A layer of `N` neurons has `⌈N/64⌉` blocks of 4 vectors (or one block of fewer, if it
//! is small); padding has weight 0 and bias 0, its spikes are not counted, and it gets no gradient.
//!
//! Parameters are stored `[block][input][vectors]`, the bias as one more input: the data of one
//! block are contiguous, the rows of one input are adjacent, and iterating over active inputs
//! touches whole cache lines. Adam's moments have the same layout.

use ndarray::{Array1, Array2};

use super::{
    parallel::{for_each, for_each_chunk},
    simd::{F32x16, LANES, flatten},
};

/// Layers of at most this many neurons send their adjoints down by fused multiply-adds; wider ones
/// by a matrix product.
pub(super) const NARROW: usize = 32;

/// The numbers of one layer in the engine's own layout.
#[derive(Clone, Debug)]
pub(crate) struct LayerState {
    pub inputs: usize,
    pub neurons: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// Vectors in a block, 1 to 4.
    pub vectors: usize,
    /// `[block][inputs + 1][vectors]`, the bias last.
    pub params: Vec<F32x16>,
    /// The constants of the neurons, `[block][vectors]` each, in the order of
    /// [`Neuron::Constants`](crate::neuron::Neuron::Constants).
    pub constants: Vec<Vec<F32x16>>,
    /// The transposed weights, `[block below][neuron][vectors below]`, for the adjoints of the
    /// inputs. Empty if not needed: in the first layer, and without training.
    pub weight_t: Vec<F32x16>,
    /// Blocks and vectors of the layer below (or of the input, in blocks of 4).
    pub below: Shape,
    /// Whether a constant is trained.
    pub learns: bool,
}

/// Blocks and vectors per block of a row of neurons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub blocks: usize,
    pub vectors: usize,
}

impl Shape {
    /// The blocks for `neurons` neurons.
    pub fn of(neurons: usize) -> Shape {
        let vectors = neurons.div_ceil(LANES);
        Shape {
            blocks: vectors.div_ceil(4).max(1),
            vectors: vectors.clamp(1, 4),
        }
    }

    /// Vectors in a row.
    pub fn row(self) -> usize {
        self.blocks * self.vectors
    }
}

/// Number of vectors of a block that hold neurons; the rest of the last block is padding.
pub(super) fn live(neurons: usize, vectors: usize, block: usize) -> usize {
    (neurons.div_ceil(LANES) - block * vectors).min(vectors)
}

impl LayerState {
    /// Allocates memory for a layer of this size, to be filled later.
    pub fn new(inputs: usize, neurons: usize, learns: bool) -> Self {
        let shape = Shape::of(neurons);
        LayerState {
            inputs,
            neurons,
            blocks: shape.blocks,
            vectors: shape.vectors,
            params: Vec::new(),
            constants: Vec::new(),
            weight_t: Vec::new(),
            below: Shape::of(inputs),
            learns,
        }
    }

    pub fn shape(&self) -> Shape {
        Shape {
            blocks: self.blocks,
            vectors: self.vectors,
        }
    }

    /// The bits of a block's neurons in its spike words; the others are padding.
    pub fn live_bits(&self, block: usize) -> u64 {
        let width = self.vectors * LANES;
        match self.neurons - (block * width).min(self.neurons) {
            all if all >= u64::BITS as usize => u64::MAX,
            neurons => (1 << neurons) - 1,
        }
    }

    /// Whether the adjoint of the inputs is computed with fused multiply-adds.
    pub fn narrow(&self) -> bool {
        self.neurons <= NARROW
    }

    /// Vectors of one block's parameters.
    pub fn block_len(&self) -> usize {
        (self.inputs + 1) * self.vectors
    }

    /// One block's weights `[input][vectors]` and bias `[vectors]`; `L` is `vectors`.
    #[inline(always)]
    pub fn panel<const L: usize>(&self, block: usize) -> (&[[F32x16; L]], &[F32x16; L]) {
        let (rows, _) =
            self.params[block * self.block_len()..][..self.block_len()].as_chunks::<L>();
        (&rows[..self.inputs], &rows[self.inputs])
    }

    /// `[out, in]` and `[out]` into blocks; without biases, they are 0.
    pub fn pack(&self, weight: &Array2<f32>, bias: Option<&Array1<f32>>) -> Vec<F32x16> {
        let mut packed = vec![F32x16::ZERO; self.blocks * self.block_len()];
        for n in 0..self.neurons {
            let (block, lane, at) = self.place(n);
            let column = &mut packed[block * self.block_len()..][..self.block_len()];
            let bias = bias.map(|bias| &bias[n]);
            for (i, &w) in weight.row(n).iter().chain(bias).enumerate() {
                column[i * self.vectors + lane].0[at] = w;
            }
        }
        packed
    }

    /// Blocks back into `[out, in]` and `[out]`: block by block, a cache line of each neuron's row at
    /// a time.
    pub fn unpack(&self, packed: &[F32x16]) -> (Array2<f32>, Array1<f32>) {
        let (inputs, width) = (self.inputs, self.vectors * LANES);
        let mut weight = vec![0.0; self.neurons * inputs];
        let worth = weight.len() >= 1 << 16;
        for_each_chunk(worth, &mut weight, width * inputs, |block, rows| {
            let column = flatten(&packed[block * self.block_len()..][..self.block_len()]);
            for first in (0..inputs).step_by(LANES) {
                let last = inputs.min(first + LANES);
                let column = &column[first * width..last * width];
                for (n, row) in rows.chunks_exact_mut(inputs).enumerate() {
                    for (w, values) in row[first..last].iter_mut().zip(column.chunks_exact(width)) {
                        *w = values[n];
                    }
                }
            }
        });
        let weight = Array2::from_shape_vec((self.neurons, inputs), weight);
        let bias = Array1::from_shape_fn(self.neurons, |n| {
            let (block, lane, at) = self.place(n);
            packed[block * self.block_len() + inputs * self.vectors + lane].0[at]
        });
        (weight.expect("as many values as its shape"), bias)
    }

    /// Block, vector within it and lane of neuron `n`.
    fn place(&self, n: usize) -> (usize, usize, usize) {
        let vector = n / LANES;
        (vector / self.vectors, vector % self.vectors, n % LANES)
    }

    /// The constants from their own shapes, `[1]` or `[N]`: one entry for each neuron; padding has those of
    /// the last.
    pub fn spread_constants(&mut self, values: &[Array1<f32>]) {
        let (vectors, last) = (self.blocks * self.vectors, self.neurons - 1);
        let spread = |values: &Array1<f32>| -> Vec<F32x16> {
            let of = |n: usize| values[if values.len() == 1 { 0 } else { n.min(last) }];
            let vector = |vector| F32x16(std::array::from_fn(|at| of(vector * LANES + at)));
            (0..vectors).map(vector).collect()
        };
        self.constants = values.iter().map(spread).collect();
    }

    /// Updates `weight_t` from `params`.
    pub fn refresh_weight_t(&mut self) {
        let (below, neurons, inputs) = (self.below.vectors, self.neurons, self.inputs);
        let (vectors, block_len) = (self.vectors, self.block_len());
        self.weight_t
            .resize(self.below.blocks * neurons * below, F32x16::ZERO);
        let params = &self.params;
        let mut blocks: Vec<&mut [F32x16]> =
            self.weight_t.chunks_exact_mut(neurons * below).collect();
        for_each(&mut blocks, |block, weight_t| {
            let first = block * below * LANES;
            for i in first..inputs.min(first + below * LANES) {
                let (lane, at) = ((i - first) / LANES, i % LANES);
                for (column, weight_t) in params
                    .chunks_exact(block_len)
                    .zip(weight_t.chunks_mut(vectors * LANES * below))
                {
                    let weights = flatten(&column[i * vectors..][..vectors]);
                    for (row, &w) in weight_t.chunks_exact_mut(below).zip(weights) {
                        row[lane].0[at] = w;
                    }
                }
            }
        });
    }
}
