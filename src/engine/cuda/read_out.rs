//! The read-out: losses, their adjoints and classes, and all of a narrow output layer of leaky neurons.

use super::{
    batch::{Batch, Sizes},
    device::{Arg, NULL},
    layout::AdjointInputs,
    machine::Machine,
    passes::{carried, learnt, rule, stored},
};
use crate::{Loss, Result};

impl Machine {
    /// Losses (unless there is none: classes alone) and, with `back`, their adjoint of the output; all of
    /// the output layer, if it is narrow.
    pub(super) fn read_out(
        &mut self,
        batch: &Batch,
        loss: Option<&Loss>,
        back: bool,
    ) -> Result<Vec<AdjointInputs>> {
        let Sizes { steps, samples, .. } = batch.sizes;
        let last = self.traces.len() - 1;
        let narrow = self.reads_out(last);
        let layer = &self.layout.layers[last];
        let classes = layer.neurons;
        let (mean, element) = (
            1.0 / samples as f64,
            1.0 / (steps as f64 * samples as f64 * classes as f64),
        );
        let back = back && loss.is_some();
        let aim = |rate: f64| (steps as f64 * rate).floor() as f32;
        // The kernel's number of the loss, what it aims at, the adjoint's scale, and whether the
        // adjoint is that of spikes.
        let (kind, on, off, share, of_spikes) = match loss {
            None => (0, 0.0, 0.0, 0.0, false),
            Some(Loss::CrossEntropyMembrane) => (1, 0.0, 0.0, mean, false),
            Some(Loss::CrossEntropyCount) => (2, 0.0, 0.0, mean, true),
            Some(Loss::CrossEntropyRate) => {
                (3, 0.0, 0.0, 1.0 / (samples as f64 * steps as f64), true)
            }
            Some(Loss::CrossEntropyMaxMembrane) => (4, 0.0, 0.0, mean, false),
            Some(&Loss::MseCount {
                correct_rate,
                incorrect_rate,
            }) => (
                5,
                aim(correct_rate),
                aim(incorrect_rate),
                2.0 * element,
                true,
            ),
            Some(&Loss::MseMembrane {
                on_target,
                off_target,
            }) => (6, on_target as f32, off_target as f32, 2.0 * element, false),
            Some(_) => {
                unreachable!("these losses are computed on the host")
            }
        };
        let traces = &mut self.traces[last];
        let mut adjoint = NULL;
        if back {
            let which = if of_spikes {
                &mut traces.e
            } else {
                &mut traces.g
            };
            self.gpu.reserve(which, steps * samples * classes)?;
            adjoint = which.arg();
        }
        let mut arriving = vec![AdjointInputs::default(); last + 1];
        arriving[last] = AdjointInputs {
            e: usize::from(back && of_spikes),
            g: back && !of_spikes,
            extra: false,
            done: back && narrow,
        };
        if back && narrow {
            self.reserve_sums(last, samples, samples)?;
        }
        let (layer, t) = (&self.layout.layers[last], &self.traces[last]);
        let of_batch = [Arg::F32(on), Arg::F32(off), Arg::F32(share as f32), adjoint];
        let results = [
            self.scratch.arg(),
            batch.losses(&self.slots),
            batch.by_count(&self.slots),
            batch.by_membrane(&self.slots),
            batch.flags(&self.slots),
        ];
        let sizes: [Arg; 3] = [steps.into(), samples.into(), classes.into()];
        if !narrow {
            let (membranes, first) = t.membranes(layer);
            let mut args = vec![
                t.fired(),
                membranes.at(first),
                batch.targets(&self.slots),
                Arg::U32(kind),
            ];
            args.extend(of_batch);
            args.extend(results);
            args.extend(sizes);
            self.gpu.launch("readout", (samples, 1, 1), 256, &args)?;
            return Ok(arriving);
        }
        let below = self.below(last, batch);
        let mut args = vec![
            below.at,
            layer.inputs.into(),
            self.param(&layer.weight),
            self.param(&layer.bias),
        ];
        args.extend(self.constants(layer));
        args.extend(layer.leaky.map(|rule| Arg::U32(rule.dynamics as u32)));
        args.extend(rule(layer));
        args.push(t.spikes.arg());
        args.extend(stored(layer, t));
        args.extend([
            batch.spikes(&self.slots, last),
            batch.targets(&self.slots),
            Arg::U32(kind),
        ]);
        args.extend(of_batch);
        args.push(Arg::U32(u32::from(of_spikes)));
        args.extend(results);
        args.extend([t.current.arg(), t.sum.arg()]);
        args.extend(learnt(layer, t));
        args.extend(sizes);
        args.push(carried(t));
        let name = "readout_narrow";
        self.gpu.launch(name, (samples, 1, 1), 256, &args)?; // (1)–(3)
        Ok(arriving)
    }
}
