//! Recurrent layers, step by step.
//!
//! The currents from below are known for all steps. At each step a sample's spikes of the step before are
//! walked as a list, and each adds a row of `V` to the currents of all blocks ([`AddOwn`]); then the
//! neurons run one step, with the kernels of [`forward`](mod@super::forward).
//!
//! Back, the adjoints `a_{t+1}` send `a_{t+1} V` to the spikes of step `t`. They are dense, so this is a
//! matrix product, and the samples of a group share each load of `V` (the rows of a tile); then the
//! kernels of [`backward`](mod@super::backward) run step `t`, sample by sample.
//!
//! Every sum has the same order for any group, thread and instruction set: a current is
//! `(W s + b) + ((c + rows of V) …)`, the rows in the order of the neurons in four alternating sums, as in
//! [`FromSpikes`](super::current::FromSpikes); an adjoint is one chain of fused multiply-adds in the order of
//! the neurons that it comes from, on top of what came from above.

use super::{
    backward::{Backward, FromAbove},
    clock::Part,
    current::InputGrad,
    forward::Forward,
    layer::NeuronLayer,
    layout::LayerState,
    pass::{Model, SampleScratch, SampleTrace, StepScratch},
    planes::StridedView,
    simd::{BlockKernel, F32x16, Kernel, LANES, Simd},
};

/// Runs all steps of layer `k` of one sample, whose currents from below are in `slot`.
pub(super) fn forward(
    model: Model<'_>,
    k: usize,
    num_steps: usize,
    (sample, slot): (&mut SampleTrace, &mut SampleScratch),
    scratch: &mut StepScratch,
) {
    let (layer, isa, clock) = (&model.layers[k], model.kit.isa, &model.kit.clock);
    let (vectors, row) = (layer.vectors, layer.shape().row());
    let StepScratch {
        current,
        states: [before, after],
        fired,
        ..
    } = scratch;
    current.resize(row, F32x16::ZERO);
    before.clear();
    before.extend_from_slice(&sample.start[k]);
    after.resize(row * layer.states(), F32x16::ZERO);
    let below = StridedView {
        values: &slot.currents,
        block: slot.currents.len() / layer.blocks,
        // A current that is the same at every step has one row.
        step: match slot.currents.len() == row {
            true => 0,
            false => vectors,
        },
    };
    let (words, earlier) = (&mut sample.words[k], &mut sample.earlier[k]);
    for t in 0..num_steps {
        if t > 0 {
            for (earlier, words) in
                (earlier.chunks_exact_mut(num_steps)).zip(words.chunks_exact(num_steps))
            {
                earlier[t] = words[t - 1];
            }
        }
        clock.time(Part::SpikeProducts, || {
            isa.run(AddOwn {
                layer,
                num_steps,
                t,
                earlier,
                below,
                fired,
                out: current,
            });
        });
        let step = Forward {
            layer,
            block: 0,
            num_steps,
            steps: t..t + 1,
            current,
            block_stride: vectors,
            stride: 0,
            trace: &mut slot.trace[k],
            words,
            start: before,
            end: after,
        };
        let neurons = layer.neuron.run();
        clock.time(Part::Forward, || neurons.forward(isa, step));
        std::mem::swap(before, after);
        after.resize(row * layer.states(), F32x16::ZERO);
    }
    let end = &mut sample.end[k];
    let len = end.len();
    end.copy_from_slice(&before[..len]);
}

/// Spikes of one step before, `[block][T]`, after those of the first step, which are there.
pub(super) fn delay(words: &[u64], num_steps: usize, earlier: &mut [u64]) {
    let blocks = earlier.chunks_exact_mut(num_steps);
    for (earlier, words) in blocks.zip(words.chunks_exact(num_steps)) {
        earlier[1..].copy_from_slice(&words[..num_steps - 1]);
    }
}

/// One step's currents of all blocks: those from below and those from the layer's own spikes.
struct AddOwn<'a> {
    layer: &'a NeuronLayer,
    num_steps: usize,
    t: usize,
    /// `[block][T]`
    earlier: &'a [u64],
    below: StridedView<'a>,
    fired: &'a mut Vec<u32>,
    /// `[block][vectors]`
    out: &'a mut [F32x16],
}

impl BlockKernel for AddOwn<'_> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.layer.vectors
    }

    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(self, s: S) {
        let (out, _) = self.out.as_chunks_mut::<L>();
        let words = self.earlier.chunks_exact(self.num_steps);
        if let Some(each) = self.layer.each() {
            let (each, _) = each.as_chunks::<L>();
            let blocks = out.iter_mut().zip(words.clone().zip(each));
            for (block, (out, (words, each))) in blocks.enumerate() {
                let (word, below) = (words[self.t], self.below.at(block, self.t, 0));
                for l in 0..L {
                    let fires = s.mask((word >> (l * LANES)) as u16);
                    let own = s.keep(fires, s.load(&each[l]));
                    s.store(s.add(s.load(&below[l]), own), &mut out[l]);
                }
            }
        }
        let Some(own) = &self.layer.own else { return };
        // Sixteen are written at a time.
        self.fired.resize(self.layer.blocks * L * LANES + LANES, 0);
        let mut count = 0;
        for (block, words) in words.enumerate() {
            for l in 0..L {
                let bits = (words[self.t] >> (l * LANES)) as u16;
                let first = ((block * L + l) * LANES) as u32;
                if bits != 0
                    && let Some(list) = self.fired[count..].first_chunk_mut()
                {
                    count += s.indices(bits, first, list);
                }
            }
        }
        let fired = &self.fired[..count];
        for (block, out) in out.iter_mut().enumerate() {
            let below = self.below.at(block, self.t, 0);
            let own = rows::<S, L>(s, own, block, fired);
            for l in 0..L {
                s.store(s.add(s.load(&below[l]), own[l]), &mut out[l]);
            }
        }
    }
}

/// `c + Σ V[n]` over the neurons that fired, of one block: in four alternating sums, `(0 + 1) + (2 + 3)`,
/// the first of which starts with the biases.
#[inline(always)]
fn rows<S: Simd, const L: usize>(s: S, own: &LayerState, block: usize, fired: &[u32]) -> [S::V; L] {
    let (weights, bias) = own.panel::<L>(block);
    let mut sums = [[s.splat(0.0); L]; 4];
    for l in 0..L {
        sums[0][l] = s.load(&bias[l]);
    }
    let (fours, rest) = fired.as_chunks::<4>();
    for four in fours {
        for n in 0..4 {
            let row = &weights[four[n] as usize];
            for l in 0..L {
                sums[n][l] = s.add(sums[n][l], s.load(&row[l]));
            }
        }
    }
    for (n, &i) in rest.iter().enumerate() {
        let row = &weights[i as usize];
        for l in 0..L {
            sums[n][l] = s.add(sums[n][l], s.load(&row[l]));
        }
    }
    let mut sum = sums[0];
    for l in 0..L {
        let (first, second) = (s.add(sums[0][l], sums[1][l]), s.add(sums[2][l], sums[3][l]));
        sum[l] = s.add(first, second);
    }
    sum
}

/// Runs all steps of layer `k` back, for a group of samples. `samples` have what their kernels need, with
/// what came from above as rows.
pub(super) fn backward(
    model: Model<'_>,
    k: usize,
    mut samples: Vec<Backward<'_>>,
    scratch: &mut StepScratch,
) {
    let (layer, isa, clock) = (&model.layers[k], model.kit.isa, &model.kit.clock);
    let (vectors, row, count) = (layer.vectors, layer.shape().row(), samples.len());
    let StepScratch { a, e, passed, .. } = scratch;
    a.resize(row * count, F32x16::ZERO);
    e.resize(row * count, F32x16::ZERO);
    passed.resize_with(passed.len().max(count), Vec::new);
    for passed in &mut passed[..count] {
        passed.clear();
        passed.resize(row * layer.states(), F32x16::ZERO);
    }
    let arriving: Vec<_> = samples.iter().map(|sample| sample.e).collect();
    let num_steps = samples.first().map_or(0, |sample| sample.num_steps);
    for t in (0..num_steps).rev() {
        for (n, from) in arriving.iter().enumerate() {
            for block in 0..layer.blocks {
                let to = &mut e[(block * count + n) * vectors..][..vectors];
                match from {
                    FromAbove::Rows(rows) => {
                        to.copy_from_slice(&rows.at(block, t, 0)[..vectors]);
                    }
                    _ => to.fill(F32x16::ZERO),
                }
            }
        }
        if t + 1 < num_steps {
            match (&layer.own, layer.each()) {
                (Some(own), _) => clock.time(Part::InputGrad, || {
                    for (block, out) in e.chunks_exact_mut(count * vectors).enumerate() {
                        let layer = own;
                        isa.run(InputGrad {
                            layer,
                            block,
                            a,
                            add: true,
                            out,
                        });
                    }
                }),
                (None, Some(each)) => isa.run(AddEach {
                    each,
                    vectors,
                    a,
                    e,
                }),
                (None, None) => {}
            }
        }
        for (n, (sample, passed)) in samples.iter_mut().zip(&mut *passed).enumerate() {
            let e = FromAbove::Rows(StridedView {
                values: &e[n * vectors..],
                block: count * vectors,
                step: 0,
            });
            let step = Backward {
                steps: t..t + 1,
                e,
                passed,
                out: sample.out,
                learnt: sample.learnt,
                ..*sample
            };
            let neurons = layer.neuron.run();
            clock.time(Part::Backward, || neurons.backward(isa, step));
            for block in 0..layer.blocks {
                let from = &sample.out[(block * num_steps + t) * vectors..][..vectors];
                a[(block * count + n) * vectors..][..vectors].copy_from_slice(from);
            }
        }
    }
}

/// Adds `v ⊙ a` of the step after to `e` of a group.
struct AddEach<'a> {
    /// `[block][vectors]`
    each: &'a [F32x16],
    vectors: usize,
    /// `[block][sample][vectors]`
    a: &'a [F32x16],
    e: &'a mut [F32x16],
}

impl Kernel for AddEach<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let blocks = self.each.len() / self.vectors;
        let len = self.a.len() / blocks;
        let each = self.each.chunks_exact(self.vectors);
        for (each, (a, e)) in each.zip(self.a.chunks_exact(len).zip(self.e.chunks_exact_mut(len))) {
            for ((a, e), each) in a.iter().zip(e).zip(each.iter().cycle()) {
                s.store(s.fma(s.load(each), s.load(a), s.load(e)), e);
            }
        }
    }
}

/// After all steps of layer `k`: `Σ_t a_t` if its input is static, and the gradients of weights of neurons
/// that are connected to themselves alone, `Σ_t a_t s_{t−1}`.
pub(super) fn finish(
    layer: &NeuronLayer,
    num_steps: usize,
    constant: bool,
    k: usize,
    sample: &mut SampleTrace,
) {
    let (vectors, row) = (layer.vectors, layer.shape().row());
    let add = |to: &mut F32x16, from: &F32x16, keep: u16| {
        for (lane, (to, from)) in to.0.iter_mut().zip(from.0).enumerate() {
            if keep >> lane & 1 == 1 {
                *to += from;
            }
        }
    };
    if constant {
        sample.a_sum.clear();
        sample.a_sum.resize(row, F32x16::ZERO);
    }
    let mut each = match layer.each() {
        Some(_) => sample.learnt[k].last_mut(),
        None => None,
    };
    if !constant && each.is_none() {
        return;
    }
    for block in 0..layer.blocks {
        for t in (0..num_steps).rev() {
            let a = &sample.a[k][(block * num_steps + t) * vectors..][..vectors];
            let word = sample.earlier[k][block * num_steps + t];
            for (l, a) in a.iter().enumerate() {
                if constant {
                    add(&mut sample.a_sum[block * vectors + l], a, u16::MAX);
                }
                if let Some(each) = &mut each {
                    let fired = (word >> (l * LANES)) as u16;
                    add(&mut each[block * vectors + l], a, fired);
                }
            }
        }
    }
}
