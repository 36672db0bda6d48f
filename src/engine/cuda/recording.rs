//! What comes back from the device of a pass: recordings, and the state after it.

use ndarray::Array3;

use super::{
    batch::Batch,
    device::Buffer,
    layout::{LayerLayout, words},
    machine::{Machine, Traces},
};
use crate::{Input, Record, Recording, Result, Trace, dropout::Masks, state::Carry};

impl Machine {
    /// Brings back the state after the last step, if it is wanted.
    pub(super) fn leave(&self, batch: &Batch, carry: Option<Carry<'_>>) -> Result<()> {
        let Some(carry) = carry else { return Ok(()) };
        let last = batch.sizes.steps - 1;
        let layers = self.layout.layers.iter().zip(&self.traces);
        for ((layer, t), numbers) in layers.zip(&mut carry.end.layers) {
            for (n, numbers) in numbers.iter_mut().enumerate() {
                let cells = numbers.len();
                let mut values = vec![0.0; cells];
                match (n == layer.states, layer.leaky) {
                    (true, _) => {
                        let samples = batch.sizes.samples;
                        values = self.spikes(layer, t, last * samples, samples)?;
                    }
                    (false, Some(_)) => {
                        let place = t.first + last * cells;
                        self.gpu.download_from(&t.mem, place, &mut values)?;
                    }
                    (false, None) => {
                        self.gpu.download_from(&t.end, n * cells, &mut values)?;
                    }
                }
                numbers
                    .iter_mut()
                    .zip(values)
                    .for_each(|(to, from)| *to = from);
            }
        }
        Ok(())
    }

    /// The spikes of `rows` rows from the row `first` on, of steps and samples.
    fn spikes(
        &self,
        layer: &LayerLayout,
        t: &Traces,
        first: usize,
        rows: usize,
    ) -> Result<Vec<f32>> {
        let words = words(layer.neurons);
        let mut bits = vec![0_u32; rows * words];
        let place = t.before + first * words;
        self.gpu.download_from(&t.spikes, place, &mut bits)?;
        let row = |row: &[u32]| {
            let bit = |n: usize| (row[n / 32] >> (n % 32) & 1) as f32;
            (0..layer.neurons).map(bit).collect::<Vec<_>>()
        };
        Ok(bits.chunks_exact(words).flat_map(row).collect())
    }

    /// Spikes and membranes of the layers asked for; `back`: whether [`run_adjoints`](Self::run_adjoints)
    /// comes next.
    pub fn record(
        &mut self,
        input: Input<'_>,
        record: &Record,
        (back, masks): (bool, Option<&Masks>),
        carry: Option<Carry<'_>>,
    ) -> Result<Recording> {
        let batch = self.send(input, &[])?;
        let start = carry.as_ref().map(|carry| carry.start);
        self.forward(&batch, start, None, back, masks)?;
        let (steps, samples) = (batch.sizes.steps, batch.sizes.samples);
        let layers = self.traces.len();
        let mut recorded = Vec::with_capacity(layers);
        for (k, (layer, traces)) in self.layout.layers.iter().zip(&self.traces).enumerate() {
            if !record.keeps(k, layers) {
                recorded.push(None);
                continue;
            }
            let shape = (steps, samples, layer.neurons);
            let array = |buffer: &Buffer<f32>, first: usize| -> Result<Array3<f32>> {
                let mut values = vec![0.0; steps * samples * layer.neurons];
                self.gpu.download_from(buffer, first, &mut values)?;
                Ok(Array3::from_shape_vec(shape, values).expect("as many as the shape has"))
            };
            let spk = self.spikes(layer, traces, 0, steps * samples)?;
            let spk = Array3::from_shape_vec(shape, spk).expect("as many as the shape has");
            let (membranes, first) = traces.membranes(layer);
            let mut trace = Trace::new(spk, array(membranes, first)?);
            let kept = match layer.leaky {
                Some(_) => &traces.pre,
                None => &traces.kept,
            };
            let kept =
                (0..layer.recorded).map(|n| array(kept, n * steps * samples * layer.neurons));
            trace.kept = kept.collect::<Result<_>>()?;
            recorded.push(Some(trace));
        }
        self.leave(&batch, carry)?;
        let output = recorded
            .pop()
            .flatten()
            .expect("the last layer is always kept");
        Ok(Recording::new(recorded, output))
    }
}
