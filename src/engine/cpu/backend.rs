//! The CPU engine's back end: a network in the layout of the kernels, and the memory of its passes.

use ndarray::ArrayViewMut2;

use super::{
    infer,
    layer::{Moments, NeuronLayer},
    parallel,
    pass::{AdjointSource, Kit, Model},
    simd::{F32x16, Isa},
    step::{Done, Step, Then},
    update::Learning,
    workspace::Workspace,
};
use crate::{
    Adam, Adjoints, Gradients, Input, Layer, Loss, Network, Objective, ReadOut, Record, Recording,
    Result, StepReport,
    engine::driver::{self, Backend, Mode, Norms},
    optim::{Update, check_second},
    tensors::Tensors,
};

/// Layers in the kernels' layout, and all reusable memory.
#[derive(Debug)]
pub(in crate::engine) struct Cpu {
    /// The structure and the initial parameters.
    template: Network,
    pub(super) kit: Kit,
    layers: Vec<NeuronLayer>,
    work: Workspace,
    learning: Learning,
    /// The reason why another device was not used, for the log.
    pub(super) note: Option<String>,
}

impl Cpu {
    /// `adam` may have moments of this network.
    pub fn new(isa: Isa, network: Network, adam: &Adam) -> Self {
        let layers = network.layers().iter().enumerate();
        let layers = layers.map(|(k, layer)| NeuronLayer::new(layer, k > 0));
        let layers: Vec<NeuronLayer> = layers.collect();
        let moments = match &adam.moments {
            None => vec![Moments::default(); layers.len()],
            Some((first, second)) => {
                let given = first.layers.iter().zip(&second.layers);
                let each = layers.iter().zip(given);
                each.map(|(layer, (m, v))| Moments::pack(layer, m, v))
                    .collect()
            }
        };
        let finite = network.check_finite("").is_ok();
        Cpu {
            template: network,
            kit: Kit::new(isa),
            learning: Learning::new(&layers, moments, finite),
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

    /// Runs one batch according to the mode. Adam uses gradients block by block while they are in
    /// registers, unless they are clipped or measured, or are so large that one may have
    /// overflowed; then all gradients are computed and checked first.
    fn step(
        &mut self,
        input: Input<'_>,
        targets: &[usize],
        goal: AdjointSource<'_>,
        mode: Mode<'_>,
    ) -> Result<StepReport> {
        let then = match mode {
            Mode::Evaluate => Then::Stop,
            Mode::Train { adam, measure } if !measure && adam.clip_norm.is_none() => {
                Then::Update(adam.next_update())
            }
            Mode::Gradients | Mode::Train { .. } => Then::Gradients,
        };
        let step = Step {
            kit: &self.kit,
            layers: &mut self.layers,
            work: &mut self.work,
            learning: &mut self.learning,
        };
        let done = step.run(input, targets, goal, then);
        let Done {
            mut report,
            updated,
        } = input.finite(done)?;
        if let Mode::Train { adam, measure } = mode
            && !updated
            && report.loss.is_finite()
        {
            let norms = self.update(adam)?;
            report.gradient_norms = measure.then_some(norms);
        }
        Ok(report)
    }

    /// Applies Adam to the gradients in the buffers, clipped if enabled. Returns each layer's norm
    /// before clipping.
    fn update(&mut self, adam: &Adam) -> Result<Vec<f64>> {
        let squares = self.learning.gradient_squares(&self.layers);
        let norm = squares.iter().sum::<f64>().sqrt();
        if !norm.is_finite() {
            self.gradients()?;
        }
        let factor = adam.clip_factor(norm);
        if factor < 1.0 {
            self.learning.scale_gradients(factor);
        }
        let update = adam.next_update();
        if norm * factor >= Update::SAFE {
            let gradients = self.gradients()?;
            let moments = match adam.step {
                0 => None,
                _ => self.moments()?,
            };
            let moments = moments.as_ref().map(|(m, v)| (m, v));
            check_second(&gradients, moments, adam.step + 1, |v, g| {
                update.second(v, g)
            })?;
        }
        self.learning.apply(self.kit.isa, &mut self.layers, update);
        Ok(squares.into_iter().map(f64::sqrt).collect())
    }

    /// Tensors of all layers from numbers in the kernels' layout, and `constants` of each layer.
    fn export<'a>(
        &'a self,
        packed: impl Fn(usize) -> &'a [F32x16],
        constants: impl Fn(&NeuronLayer, usize) -> Vec<(usize, ndarray::Array1<f32>)>,
    ) -> Gradients {
        let layers = self.layers.iter().enumerate().map(|(k, layer)| {
            let (weight, bias) = layer.unpack(packed(k));
            let named = |(i, values)| (layer.neuron.constants()[i], values);
            Tensors {
                weight,
                bias,
                constants: constants(layer, k).into_iter().map(named).collect(),
            }
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
        let layers = self.layers.iter().map(|state| {
            let (weight, bias) = state.unpack(&state.params);
            Layer {
                weight,
                bias,
                constants: state.values.clone(),
                neuron: state.neuron.clone(),
            }
        });
        Ok(Network::from_layers(layers.collect()))
    }

    fn moments(&mut self) -> Result<Option<driver::Moments>> {
        let moments = &self.learning.moments;
        let learnt = |layer: &NeuronLayer, k: usize, second: bool| {
            let pick = |(i, _): (usize, _)| {
                let (m, v) = moments[k].constants[i].as_ref()?;
                Some((i, if second { v.clone() } else { m.clone() }))
            };
            layer.learnt().filter_map(pick).collect()
        };
        Ok(Some((
            self.export(|k| &moments[k].first, |layer, k| learnt(layer, k, false)),
            self.export(|k| &moments[k].second, |layer, k| learnt(layer, k, true)),
        )))
    }

    fn finite(&self) -> bool {
        self.learning.finite
    }

    fn forward(&mut self, input: Input<'_>, record: &Record, _: bool) -> Result<Recording> {
        let (model, work) = self.pass();
        input.finite(infer::record(model, work, input, record))
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
        input: Input<'_>,
        targets: &[usize],
        objective: &Objective,
        mode: Mode<'_>,
    ) -> Result<Option<StepReport>> {
        match objective.loss {
            Loss::Custom(_) => Ok(None),
            _ => (self.step(input, targets, AdjointSource::Objective(objective), mode)).map(Some),
        }
    }

    fn run_back(
        &mut self,
        input: Input<'_>,
        targets: &[usize],
        recording: &Recording,
        adjoints: &Adjoints,
        mode: Mode<'_>,
    ) -> Result<Norms> {
        let report = self.step(
            input,
            targets,
            AdjointSource::Adjoints(recording, adjoints),
            mode,
        )?;
        Ok(report.gradient_norms)
    }

    fn gradients(&mut self) -> Result<Gradients> {
        let learning = &self.learning;
        let gradients = self.export(
            |k| &learning.gradients[k],
            |layer, k| learning.learnt_gradients(layer, k),
        );
        gradients.check_finite()?;
        Ok(gradients)
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
