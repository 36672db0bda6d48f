//! Inference: classes, scores and recordings, for the engine and for
//! [`Predictor`](crate::Predictor).

use ndarray::{Array3, ArrayViewMut2};

use super::{
    instruction_set,
    layer::NeuronLayer,
    parallel::enter,
    pass::{AdjointSource, Kit, Model, Pass, SampleTrace, View, views},
    pool::Pool,
    simd::Isa,
    source::{Source, with_source},
    workspace::Workspace,
};
use crate::{
    Input, Network, ReadOut, Record, Recording, Result, Trace, dropout::Masks, state::Carry,
};

/// A network for concurrent inference: immutable layers, and a workspace per call.
#[derive(Debug)]
pub(crate) struct Inference {
    kit: Kit,
    layers: Vec<NeuronLayer>,
    workspaces: Pool<Workspace>,
}

impl Inference {
    /// `network` on the fastest instruction set.
    pub fn new(network: &Network) -> Self {
        Self::on(network, Isa::best())
    }

    /// `network` on the instruction set of that name.
    pub fn with_instruction_set(network: &Network, name: &str) -> Result<Self> {
        Ok(Self::on(network, instruction_set(name)?))
    }

    fn on(network: &Network, isa: Isa) -> Self {
        Inference {
            kit: Kit::new(isa),
            layers: NeuronLayer::all(network, false),
            workspaces: Pool::default(),
        }
    }

    pub fn instruction_set(&self) -> &'static str {
        self.kit.isa.name()
    }

    /// As [`classify`]; `None`, here and below: the input holds a NaN or an infinity.
    pub fn classify(&self, input: Input<'_>, by: ReadOut, classes: &mut [usize]) -> Option<()> {
        self.with(|model, work| classify(model, work, input, by, classes))
    }

    /// As [`scores`].
    pub fn scores(
        &self,
        input: Input<'_>,
        by: ReadOut,
        into: ArrayViewMut2<'_, f32>,
    ) -> Option<()> {
        self.with(|model, work| scores(model, work, input, by, into))
    }

    /// As [`record`].
    pub fn record(
        &self,
        input: Input<'_>,
        what: &Record,
        carry: Option<Carry<'_>>,
    ) -> Option<Recording> {
        self.with(|model, work| record(model, work, input, what, None, carry))
    }

    fn with<R>(&self, run: impl FnOnce(Model<'_>, &mut Workspace) -> R) -> R {
        let model = Model {
            kit: &self.kit,
            layers: &self.layers,
        };
        self.workspaces.with(|work| run(model, work))
    }
}

/// Every sample's class, without a loss. `None`, here and below: the input holds a NaN or an infinity.
pub(super) fn classify(
    model: Model<'_>,
    work: &mut Workspace,
    input: Input<'_>,
    read_out: ReadOut,
    classes: &mut [usize],
) -> Option<()> {
    each_sample(model, work, input, read_out, |b, sample| {
        (_, classes[b]) = sample.answer(read_out);
    })
}

/// Every sample's scores `[B, N]`; the largest determines the class.
pub(super) fn scores(
    model: Model<'_>,
    work: &mut Workspace,
    input: Input<'_>,
    read_out: ReadOut,
    mut scores: ArrayViewMut2<'_, f32>,
) -> Option<()> {
    each_sample(model, work, input, read_out, |b, sample| {
        let (found, _) = sample.answer(read_out);
        let row = scores.row_mut(b);
        row.into_iter()
            .zip(found)
            .for_each(|(to, from)| *to = *from);
    })
}

/// Runs a batch and passes each sample to `take`, in order.
fn each_sample(
    model: Model<'_>,
    work: &mut Workspace,
    input: Input<'_>,
    read_out: ReadOut,
    mut take: impl FnMut(usize, &SampleTrace) + Send,
) -> Option<()> {
    with_source(input, |source| {
        let part = model.part(source, false);
        enter(source.worth(), || {
            for first in (0..source.batch).step_by(part) {
                let count = part.min(source.batch - first);
                let samples = (first, count);
                forward_part(model, work, source, samples, read_out, &mut [], None, None)?;
                let samples = work.samples[..count].iter();
                samples.zip(first..).for_each(|(sample, b)| take(b, sample));
            }
            Some(())
        })
    })
}

/// Spikes and membranes of the requested layers, from a state to a state unless it begins at rest.
pub(super) fn record(
    model: Model<'_>,
    work: &mut Workspace,
    input: Input<'_>,
    record: &Record,
    masks: Option<&Masks>,
    mut carry: Option<Carry<'_>>,
) -> Option<Recording> {
    with_source(input, |source| {
        let layers = model.layers.len();
        let mut spare = std::mem::take(&mut work.spare);
        let keep = |(k, layer): (usize, &NeuronLayer)| {
            let shape = (source.steps, source.batch, layer.neurons);
            // Every entry is overwritten, so old contents do not matter.
            let mut tensor = || {
                let len = shape.0 * shape.1 * shape.2;
                let fitting = spare.iter().position(|spare| spare.len() == len);
                let values = fitting.map(|n| spare.swap_remove(n));
                values
                    .and_then(|values| Array3::from_shape_vec(shape, values).ok())
                    .unwrap_or_else(|| Array3::zeros(shape))
            };
            record.keeps(k, layers).then(|| {
                let mut trace = Trace::new(tensor(), tensor());
                let beside = layer.neuron.run().kept_beside_membrane();
                trace.kept = (0..beside).map(|_| tensor()).collect();
                trace
            })
        };
        let mut traces: Vec<_> = model.layers.iter().enumerate().map(keep).collect();
        let mut by_layer: Vec<_> = traces.iter_mut().map(|t| t.as_mut().map(views)).collect();
        let mut samples: Vec<Vec<Option<View<'_>>>> = (0..source.batch)
            .map(|_| {
                let layers = by_layer.iter_mut();
                layers.map(|views| views.as_mut()?.next()).collect()
            })
            .collect();
        drop(by_layer);
        let part = model.part(source, false);
        for (n, views) in samples.chunks_mut(part).enumerate() {
            let carry = carry.as_mut().map(Carry::reborrow);
            let samples = (n * part, views.len());
            forward_part(
                model,
                work,
                source,
                samples,
                ReadOut::default(),
                views,
                masks,
                carry,
            )?;
        }
        drop(samples);
        let output = traces.pop().flatten();
        let output = output.expect("the output layer is always kept");
        Some(Recording::new(traces, output))
    })
}

/// A part of a batch forward, without a loss.
#[allow(clippy::too_many_arguments)]
fn forward_part(
    model: Model<'_>,
    work: &mut Workspace,
    source: Source<'_>,
    (first, count): (usize, usize),
    read_out: ReadOut,
    views: &mut [Vec<Option<View<'_>>>],
    masks: Option<&Masks>,
    carry: Option<Carry<'_>>,
) -> Option<()> {
    let goal = AdjointSource::Nothing;
    let (sparse, _) = work.lists.read(model, source, first, count, goal, false)?;
    let pass = Pass {
        source,
        first,
        count,
        sparse,
        targets: &[],
        goal,
        backward: false,
        masks,
        start: carry.as_ref().map(|carry| carry.start),
        read_outs: read_out.with_other(),
    };
    work.pass(model, pass, views)?;
    work.leave(model, pass, carry.map(|carry| carry.end));
    Some(())
}
