//! The products of the way back: (4) and (5) of a layer.

use super::{
    back::{BUSY, Pieces, SAMPLES},
    batch::{Batch, Sizes},
    device::{Arg, NULL},
    machine::Machine,
};
use crate::Result;

/// How a product `[m, n]` over `k` of the way back is cut: the side of a tile, entries of `k` for each
/// part, parts.
pub(super) fn cut(m: usize, n: usize, k: usize) -> (usize, usize, usize) {
    let tile = if m.min(n) <= 32 { 32 } else { 64 };
    let tiles = m.div_ceil(tile) * n.div_ceil(tile);
    let wanted = (BUSY / tiles).clamp(1, k.div_ceil(64)).min(32);
    let part = k.div_ceil(wanted).next_multiple_of(16);
    (tile, part, k.div_ceil(part))
}

impl Machine {
    /// `c [m, n] = a · b` over `k`, cut as given; `data` is the kind of the operand that may be other
    /// than floats; `flag` is for a gradient in one part, see `ptx/gemm.cu`.
    pub(super) fn product(
        &self,
        names: [&'static str; 2],
        data: u32,
        (a, b): ((Arg, usize), (Arg, usize)),
        (c, flag): (Arg, Arg),
        (m, n, k): (usize, usize, usize),
        (tile, part, parts): (usize, usize, usize),
    ) -> Result<()> {
        let wide = |n: usize| Arg::U64(n as u64);
        let args = [
            Arg::U32(data),
            a.0,
            wide(a.1),
            b.0,
            wide(b.1),
            c,
            m.into(),
            n.into(),
            k.into(),
            part.into(),
            flag,
        ];
        let grid = (m.div_ceil(tile), n.div_ceil(tile), parts);
        self.gpu
            .launch(names[usize::from(tile == 32)], grid, 256, &args)
    }

    /// Whether the sum over time of layer `k`'s adjoints is all that its input needs.
    pub(super) fn summed(&self, k: usize, batch: &Batch) -> bool {
        k == 0 && batch.sizes.constant
    }

    /// The adjoints of layer `k`'s currents, as the rows of its input.
    fn adjoints(&self, k: usize, batch: &Batch) -> (Arg, usize) {
        let (layer, t) = (&self.layout.layers[k], &self.traces[k]);
        let a = match self.summed(k, batch) {
            true => t.sum.arg(),
            false => t.current.arg(),
        };
        (a, layer.neurons)
    }

    /// (4) of layer `k`'s weights from below, if they are trained.
    pub(super) fn weights(
        &mut self,
        k: usize,
        batch: &Batch,
        clip: bool,
        pieces: &mut Pieces,
    ) -> Result<()> {
        let layer = &self.layout.layers[k];
        let (inputs, neurons, rows) = (layer.inputs, layer.neurons, self.rows(k, batch));
        if !layer.learn {
            return Ok(());
        }
        let shape = (neurons, inputs, rows);
        let (tile, part, parts) = match cut(shape.0, shape.1, shape.2) {
            // One sum, in the order of samples.
            (tile, ..) if self.summed(k, batch) => (tile, rows.next_multiple_of(16), 1),
            cut => cut,
        };
        let scale = self.traces[k].dropped;
        let at_once = parts == 1 && scale.is_none();
        let into = match at_once {
            true => self.gradients.at(layer.weight.start),
            false => {
                let t = &mut self.traces[k];
                self.gpu.reserve(&mut t.weight, parts * neurons * inputs)?;
                t.weight.arg()
            }
        };
        let below = self.below(k, batch);
        let names = ["gemm_weights_64", "gemm_weights_32"];
        let operands = (self.adjoints(k, batch), (below.at, below.stride));
        let flag = match at_once {
            true => batch.flags(&self.slots),
            false => NULL,
        };
        let cut_as = (tile, part, parts);
        self.product(names, below.kind, operands, (into, flag), shape, cut_as)?;
        if let Some(scale) = scale {
            let count = parts * neurons * inputs;
            self.scale_kept((into, into), None, count, (1, inputs), scale)?;
        }
        if !at_once || clip {
            let layer = &self.layout.layers[k];
            pieces.add(into, &self.gradients, &layer.weight, parts);
        }
        Ok(())
    }

    /// (5) of layer `k`: `e` of the layer below, in how many parts.
    pub(super) fn below_of(&mut self, k: usize, batch: &Batch) -> Result<usize> {
        let layer = &self.layout.layers[k];
        let (inputs, neurons, rows) = (layer.inputs, layer.neurons, self.rows(k, batch));
        let shape = (rows, inputs, neurons);
        let cut_as = cut(shape.0, shape.1, shape.2);
        let parts = cut_as.2;
        let below = &mut self.traces[k - 1];
        self.gpu.reserve(&mut below.e, parts * rows * inputs)?;
        let e = below.e.arg();
        let weight = (self.param(&layer.weight), inputs);
        let names = ["gemm_below_64", "gemm_below_32"];
        let operands = (self.adjoints(k, batch), weight);
        self.product(names, 0, operands, (e, NULL), shape, cut_as)?;
        if let Some(scale) = self.traces[k].dropped {
            let (keep, samples) = (self.traces[k].keep.arg(), batch.sizes.samples);
            let count = parts * rows * inputs;
            self.scale_kept((e, e), Some(keep), count, (samples, inputs), scale)?;
        }
        Ok(parts)
    }

    /// (4) of the narrow layer above layer `k`.
    pub(super) fn weights_above(&mut self, k: usize, batch: &Batch) -> Result<()> {
        let Sizes { steps, samples, .. } = batch.sizes;
        let groups = samples.div_ceil(SAMPLES);
        let above = &self.layout.layers[k + 1];
        let weight = &mut self.traces[k + 1].weight;
        self.gpu.reserve(weight, groups * above.weight.len())?;
        let args = [
            self.traces[k].when.arg(),
            self.traces[k + 1].current.arg(),
            self.traces[k + 1].weight.arg(),
            steps.into(),
            samples.into(),
            above.inputs.into(),
            above.neurons.into(),
        ];
        let grid = (above.inputs.div_ceil(128), groups, 1);
        self.gpu.launch("weights_narrow", grid, 64, &args)
    }
}
