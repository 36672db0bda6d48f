//! The CPU engine's back end: a network in the layout of the kernels, and the memory of its passes.

use ndarray::ArrayViewMut2;

use super::{
    infer,
    layer::{NeuronLayer, Vector, pack_all, states, vectors_of},
    layout::LayerState,
    parallel,
    pass::{AdjointSource, Kit, Model},
    simd::{F32x16, Isa},
    step::{Done, Step, Then},
    update::{GradientsOf, Grads, Learning},
    workspace::Workspace,
};
#[cfg(feature = "mpi")]
use crate::engine::flat::Packed;
use crate::{
    Adjoints, Gradients, Input, Layer, Network, Objective, Optimizer, ReadOut, Record, Recording,
    Result, Samples, State, StepReport, Targets,
    engine::driver::{Backend, Mode, Norms},
    optim::Update,
    state::Carry,
};

/// Layers in the kernels' layout, and all reusable memory.
#[derive(Debug)]
pub(in crate::engine) struct Cpu {
    /// The structure and the initial parameters.
    template: Network,
    pub(super) kit: Kit,
    pub(super) layers: Vec<NeuronLayer>,
    work: Workspace,
    pub(super) learning: Learning,
    /// The reason why another device was not used, for the log.
    pub(super) note: Option<String>,
}

impl Cpu {
    /// `kept` is what the optimizer keeps; empty before the first update.
    pub fn new(isa: Isa, network: Network, kept: &[Gradients]) -> Self {
        let layers = NeuronLayer::all(&network, true);
        let finite = network.check_finite("").is_ok();
        Cpu {
            template: network,
            kit: Kit::new(isa),
            learning: Learning::new(&layers, kept, finite),
            layers,
            work: Workspace::default(),
            note: None,
        }
    }

    /// The inputs of a forward pass, and its memory.
    fn pass(&mut self) -> (Model<'_>, &mut Workspace) {
        let model = Model {
            kit: &self.kit,
            layers: &self.layers,
        };
        (model, &mut self.work)
    }

    /// Runs one batch according to the mode. The optimizer uses gradients block by block while they are in
    /// registers, unless they are clipped or measured, or are so large that one may have
    /// overflowed; then all gradients are computed and checked first.
    fn step(
        &mut self,
        input: Input<'_>,
        targets: &[usize],
        goal: AdjointSource<'_>,
        mode: Mode<'_>,
        start: Option<&State>,
        end: Option<&mut State>,
    ) -> Result<StepReport> {
        let updates = match mode {
            Mode::Train {
                optimizer,
                measure: false,
                ..
            } if optimizer.clip_norm.is_none() => Some(optimizer.next_updates()),
            _ => None,
        };
        let then = match &updates {
            Some(updates) => Then::Update(updates),
            None if mode.backward() => Then::Gradients,
            None => Then::Stop,
        };
        let step = Step {
            kit: &self.kit,
            layers: &mut self.layers,
            work: &mut self.work,
            learning: &mut self.learning,
        };
        let done = step.run(input, targets, goal, then, mode.masks(), start, end);
        let Done {
            mut report,
            updated,
            bound,
        } = input.finite(done)?;
        self.learning.gradients.bound = bound;
        if let Mode::Train {
            optimizer, measure, ..
        } = mode
            && !updated
            && report.loss.is_finite()
        {
            let norms = self.update_from(optimizer, GradientsOf::LastBatch)?;
            report.gradient_norms = measure.then_some(norms);
        }
        Ok(report)
    }

    /// Updates from these gradients, clipped if enabled. Returns each layer's norm before clipping.
    fn update_from(&mut self, optimizer: &Optimizer, of: GradientsOf) -> Result<Vec<f64>> {
        let squares = self.learning.grads(of).squares(&self.layers);
        let norm = squares.iter().sum::<f64>().sqrt();
        if !norm.is_finite() {
            self.exported(of).check_finite()?;
        }
        let (factor, updates) = (optimizer.clip_factor(norm), optimizer.next_updates());
        if norm * factor >= Update::SAFE {
            let (gradients, network) = (self.exported(of), self.network()?);
            let kept = match optimizer.step {
                0 => Vec::new(),
                _ => self.kept(optimizer.rule.kept().len())?,
            };
            let (factor, n) = (factor as f32, optimizer.step + 1);
            updates.check_second(&network, &gradients, factor, &kept, n)?;
        }
        if factor < 1.0 {
            self.learning.scale(of, factor);
        }
        self.learning
            .apply(self.kit.isa, &mut self.layers, &updates, of);
        Ok(squares.into_iter().map(f64::sqrt).collect())
    }

    /// These gradients, as tensors.
    fn exported(&self, of: GradientsOf) -> Gradients {
        let grads = self.learning.grads(of);
        self.export(&grads.params, |layer, k| grads.learnt(layer, k))
    }

    /// Tensors of all layers from those of all matrices in the kernels' layout, and the vectors of each layer.
    pub(super) fn export<P: std::borrow::Borrow<Vec<F32x16>>>(
        &self,
        matrices: &[P],
        vectors: impl Fn(&NeuronLayer, usize) -> Vec<(Vector, ndarray::Array1<f32>)>,
    ) -> Gradients {
        let mut packed = matrices.iter().map(|packed| packed.borrow().as_slice());
        let layers = self.layers.iter().enumerate().map(|(k, layer)| {
            let own = |state: &LayerState| state.unpack(packed.next().unwrap_or_default());
            layer.tensors(own, vectors(layer, k))
        });
        Gradients {
            layers: layers.collect(),
        }
    }
}

impl Backend<f32> for Cpu {
    fn describe(&self) -> String {
        let note = self.note.as_ref().map(|note| format!("; {note}"));
        format!(
            "CPU, {}, {} threads{}",
            self.kit.isa.name(),
            parallel::threads(),
            note.unwrap_or_default(),
        )
    }

    fn structure(&self) -> &Network {
        &self.template
    }

    fn network(&mut self) -> Result<Network> {
        let packed: Vec<_> = states(&self.layers).map(|state| &state.params).collect();
        let vectors = |layer: &NeuronLayer, _| {
            let vectors = layer.numbered();
            vectors
                .map(|(i, vector, _)| (vector, layer.values[i].clone()))
                .collect()
        };
        let tensors = self.export(&packed, vectors).layers.into_iter();
        let layers = self.layers.iter().zip(tensors).map(|(layer, tensors)| {
            let mut built = Layer::of(layer.synapses, layer.neuron.clone(), tensors);
            let constants = layer.neuron.constants().len();
            built.constants = layer.values[..constants].to_vec();
            built
        });
        Ok(Network::from_layers(layers.collect()))
    }

    fn set_network(&mut self, network: Network) -> Result<()> {
        self.layers = NeuronLayer::all(&network, true);
        self.learning.finite = network.check_finite("").is_ok();
        self.template = network;
        Ok(())
    }

    fn kept(&mut self, count: usize) -> Result<Vec<Gradients>> {
        let Learning {
            kept, kept_vectors, ..
        } = &self.learning;
        let export = |number: usize| {
            let vectors = |layer: &NeuronLayer, k: usize| {
                let pick = |(i, vector, _): (usize, _, _)| {
                    let values = kept_vectors[k].get(i)?.get(number)?;
                    Some((vector, values.clone()))
                };
                layer.numbered().filter_map(pick).collect()
            };
            let packed: Vec<_> = kept.iter().map(|kept| &kept.params[number]).collect();
            self.export(&packed, vectors)
        };
        Ok((0..count).map(export).collect())
    }

    fn set_kept(&mut self, kept: &[Gradients]) -> Result<()> {
        self.learning.set_kept(&self.layers, kept);
        Ok(())
    }

    fn finite(&self) -> bool {
        self.learning.finite
    }

    fn forward(
        &mut self,
        input: Input<'_>,
        record: &Record,
        mode: Mode<'_>,
        carry: Option<Carry<'_>>,
    ) -> Result<Recording> {
        let (model, work) = self.pass();
        let masks = mode.masks();
        input.finite(infer::record(model, work, input, record, masks, carry))
    }

    fn classify(
        &mut self,
        input: Input<'_>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        let (model, work) = self.pass();
        input.finite(infer::classify(model, work, input, read_out, classes))
    }

    fn scores(
        &mut self,
        input: Input<'_>,
        read_out: ReadOut,
        scores: ArrayViewMut2<'_, f32>,
    ) -> Result<()> {
        let (model, work) = self.pass();
        input.finite(infer::scores(model, work, input, read_out, scores))
    }

    fn run(
        &mut self,
        Samples { input, targets }: Samples<'_>,
        objective: &Objective,
        mode: Mode<'_>,
        carry: Option<Carry<'_>>,
    ) -> Result<Option<StepReport>> {
        let Targets::Classes(classes) = targets else {
            return Ok(None);
        };
        match objective.loss.is_fused() {
            true => {
                let goal = AdjointSource::Objective(objective);
                let (start, end) = carry.map(|carry| (carry.start, carry.end)).unzip();
                self.step(input, classes, goal, mode, start, end).map(Some)
            }
            false => Ok(None),
        }
    }

    fn run_back(
        &mut self,
        input: Input<'_>,
        recording: &Recording,
        adjoints: &Adjoints,
        mode: Mode<'_>,
        start: Option<&State>,
    ) -> Result<Norms> {
        // The correct answers have been counted.
        let classes = vec![0; input.batch()];
        let adjoints = AdjointSource::Adjoints(recording, adjoints);
        let report = self.step(input, &classes, adjoints, mode, start, None);
        Ok(report?.gradient_norms)
    }

    fn gradients(&mut self) -> Result<Gradients> {
        let gradients = self.exported(GradientsOf::LastBatch);
        gradients.check_finite()?;
        Ok(gradients)
    }

    fn accumulate(&mut self, weight: f64, first: bool) -> Result<()> {
        if !self.learning.gradients.is_safe(weight) {
            self.exported(GradientsOf::LastBatch).check_finite()?;
        }
        self.learning.accumulate(weight, first);
        Ok(())
    }

    fn sum(&mut self) -> Result<Gradients> {
        Ok(self.exported(GradientsOf::Sum))
    }

    fn set_sum(&mut self, gradients: &Gradients) -> Result<()> {
        let sum: &mut Grads = &mut self.learning.sum;
        sum.params = pack_all(&self.layers, &gradients.layers);
        for (k, (layer, tensors)) in self.layers.iter().zip(&gradients.layers).enumerate() {
            sum.set_learnt(layer, k, vectors_of(tensors));
        }
        sum.bound = f64::INFINITY;
        Ok(())
    }

    fn update(&mut self, optimizer: &Optimizer) -> Result<()> {
        if optimizer.clip_norm.is_some() || !self.learning.sum.is_safe(1.0) {
            return self.update_from(optimizer, GradientsOf::Sum).map(|_| ());
        }
        let updates = optimizer.next_updates();
        self.learning
            .apply(self.kit.isa, &mut self.layers, &updates, GradientsOf::Sum);
        Ok(())
    }

    #[cfg(feature = "mpi")]
    fn packed(&mut self) -> Option<&mut dyn Packed<f32>> {
        Some(self)
    }

    /// New memory costs more than overwriting old memory.
    fn reclaim(&mut self, recording: Recording) {
        let traces = recording.layers.into_iter().flatten();
        for trace in traces.chain([recording.output]) {
            let tensors = [trace.spk, trace.mem].into_iter().chain(trace.kept);
            let vectors = tensors.map(|tensor| tensor.into_raw_vec_and_offset().0);
            self.work.spare.extend(vectors);
        }
    }
}
