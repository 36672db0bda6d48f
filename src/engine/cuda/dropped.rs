//! Dropout: the masks are drawn by the host, as for every engine.
//!
//! Spikes are bits, and those that are left are the bits that the masks keep. Their scale is that of the
//! weights going forward, of the weights' gradient, and, with the masks, of what arrives at the spikes below.

use super::{
    batch::Batch,
    device::{Arg, NULL},
    layout::words,
    machine::Machine,
    passes::bits,
};
use crate::{Result, dropout::Masks};

impl Machine {
    /// Sends the masks of layer `k`'s inputs, if they are dropped in this pass, and scales its weights.
    pub(super) fn send_masks(&mut self, k: usize, masks: Option<&Masks>) -> Result<()> {
        let mask = masks.and_then(|masks| masks.of(k));
        let (layer, t, gpu) = (&self.layout.layers[k], &mut self.traces[k], &self.gpu);
        t.dropped = mask.map(|mask| mask.scale() as f32);
        let (Some(mask), Some(scale)) = (mask, t.dropped) else {
            return Ok(());
        };
        let rows = (0..mask.len()).flat_map(|b| bits(mask.row(b).iter().copied()));
        let keep: Vec<u32> = rows.collect();
        gpu.reserve(&mut t.keep, keep.len())?;
        gpu.upload(&mut t.keep, &keep)?;
        let count = layer.weight.len();
        gpu.reserve(&mut t.scaled, count)?;
        let (from, to) = (self.param(&layer.weight), self.traces[k].scaled.arg());
        self.scale_kept((from, to), None, count, (1, layer.inputs), scale)
    }

    /// The spikes below layer `k` that are left.
    pub(super) fn drop_spikes(&mut self, k: usize, batch: &Batch) -> Result<()> {
        if self.traces[k].dropped.is_none() {
            return Ok(());
        }
        let of_batch = batch.sizes.samples * words(self.layout.layers[k].inputs);
        let count = batch.sizes.steps * of_batch;
        self.gpu.reserve(&mut self.traces[k].left, count)?;
        let args = [
            self.traces[k - 1].fired(),
            self.traces[k].keep.arg(),
            self.traces[k].left.arg(),
            Arg::U64(count as u64),
            Arg::U64(of_batch as u64),
        ];
        let grid = (count.div_ceil(256), 1, 1);
        self.gpu.launch("drop_spikes", grid, 256, &args)
    }

    /// The weights of layer `k` from below that its pass forward reads.
    pub(super) fn weight_below(&self, k: usize) -> Arg {
        match self.traces[k].dropped {
            Some(_) => self.traces[k].scaled.arg(),
            None => self.param(&self.layout.layers[k].weight),
        }
    }

    /// Scales `count` numbers in rows of `n`, of which every `batch` have the masks `keep`.
    pub(super) fn scale_kept(
        &self,
        (from, to): (Arg, Arg),
        keep: Option<Arg>,
        count: usize,
        (batch, n): (usize, usize),
        scale: f32,
    ) -> Result<()> {
        let args = [
            from,
            to,
            keep.unwrap_or(NULL),
            Arg::U64(count as u64),
            batch.into(),
            n.into(),
            Arg::F32(scale),
        ];
        let grid = (count.div_ceil(256), 1, 1);
        self.gpu.launch("scale_kept", grid, 256, &args)
    }
}
