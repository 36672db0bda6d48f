//! An engine that is not one of the crate's: of the trait it has what every engine must have.

use spikegrad::{
    Engine, Gradients, Input, Network, Objective, Optimizer, ReadOut, Record, Recording,
    ReferenceEngine, Result, Samples, State, StepReport,
};

pub struct Foreign(pub ReferenceEngine);

impl Engine for Foreign {
    fn describe(&self) -> String {
        "foreign".into()
    }

    fn forward(&mut self, input: Input<'_>, record: &Record) -> Result<Recording> {
        self.0.forward(input, record)
    }

    fn forward_from(
        &mut self,
        state: &mut State,
        input: Input<'_>,
        record: &Record,
    ) -> Result<Recording> {
        self.0.forward_from(state, input, record)
    }

    fn classify(
        &mut self,
        input: Input<'_>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        self.0.classify(input, read_out, classes)
    }

    fn evaluate(&mut self, samples: Samples<'_>) -> Result<StepReport> {
        self.0.evaluate(samples)
    }

    fn gradients(&mut self, samples: Samples<'_>) -> Result<(f64, Gradients)> {
        self.0.gradients(samples)
    }

    fn train_step(&mut self, samples: Samples<'_>) -> Result<StepReport> {
        self.0.train_step(samples)
    }

    fn train_step_from(&mut self, state: &mut State, samples: Samples<'_>) -> Result<StepReport> {
        self.0.train_step_from(state, samples)
    }

    fn accumulate(&mut self, samples: Samples<'_>, weight: f64) -> Result<StepReport> {
        self.0.accumulate(samples, weight)
    }

    fn accumulate_from(
        &mut self,
        state: &mut State,
        samples: Samples<'_>,
        weight: f64,
    ) -> Result<StepReport> {
        self.0.accumulate_from(state, samples, weight)
    }

    fn gradients_mut(&mut self, edit: &mut dyn FnMut(&mut Gradients) -> Result<()>) -> Result<()> {
        self.0.gradients_mut(edit)
    }

    fn update(&mut self) -> Result<()> {
        self.0.update()
    }

    fn clear_gradients(&mut self) {
        self.0.clear_gradients();
    }

    fn measure_gradients(&mut self, on: bool) {
        self.0.measure_gradients(on);
    }

    fn to_network(&mut self) -> Result<Network> {
        self.0.to_network()
    }

    fn set_network(&mut self, network: Network) -> Result<()> {
        self.0.set_network(network)
    }

    fn objective(&self) -> &Objective {
        self.0.objective()
    }

    fn to_optimizer(&mut self) -> Result<Optimizer> {
        self.0.to_optimizer()
    }

    fn set_optimizer(&mut self, optimizer: Optimizer) -> Result<()> {
        self.0.set_optimizer(optimizer)
    }

    fn learning_rate(&self) -> f64 {
        self.0.learning_rate()
    }

    fn set_learning_rate(&mut self, lr: f64) -> Result<()> {
        self.0.set_learning_rate(lr)
    }
}
