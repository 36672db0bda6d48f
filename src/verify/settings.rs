//! Where the program's network, objective and optimizer differ from what a file's metadata state.
//!
//! The numbers show most of it as well, but not what a setting that differs had no occasion to do.

use std::fmt::Debug;

use super::{Fixture, kinds};
use crate::{Float, Layer, Network, Objective, Optimizer, PerNeuron, Reset, neuron::Neurons};

/// The network in double precision. A decay or threshold that is not learnt is what the program wrote,
/// not what single precision made of it.
pub(super) fn widened<F: Float>(network: &Network<F>) -> Network<f64> {
    let mut wide = network.cast::<f64>();
    for layer in wide.layers_mut() {
        let each = layer.neuron.each().zip(&mut layer.constants);
        for ((_, value, _), now) in each.filter(|((.., learnt), _)| !learnt) {
            *now = value.values().iter().copied().collect();
        }
    }
    wide
}

/// Each setting that the file states otherwise, in a line.
pub(super) fn differences<F: Float>(
    fixture: &Fixture,
    network: &Network<F>,
    objective: &Objective<F>,
    optimizer: &Optimizer<F>,
) -> Vec<String> {
    let mut found = Differences(Vec::new());
    if let Some(described) = fixture.network() {
        found.compare("sizes", &network.sizes(), &described.sizes());
        for ((ours, theirs), k) in network.layers().iter().zip(described.layers()).zip(1..) {
            found.layer(k, ours, theirs);
        }
    }
    let own = network.parameters();
    for (name, values) in &own {
        let same = |theirs: &ndarray::ArrayD<f64>| {
            theirs.shape() == values.shape()
                && theirs
                    .iter()
                    .zip(values)
                    .all(|(&theirs, &own)| F::from_f64(theirs) == own)
        };
        match fixture.parameters().get(name) {
            None => found.add(format!("{name} is learnt here, and not in the file")),
            Some(theirs) if !same(theirs) => {
                found.add(format!(
                    "{name} is not the file's; Fixture::fill takes it over"
                ));
            }
            Some(_) => {}
        }
    }
    for name in fixture.parameters().keys() {
        if !own.iter().any(|(known, _)| known == name) {
            found.add(format!(
                "{name} is in the file, and the network does not learn it"
            ));
        }
    }
    if let (Some(theirs), Some(ours)) = (&fixture.loss, objective.loss.cast::<f64>())
        && !matches!(ours, crate::Loss::Custom(_))
    {
        found.compare("loss", &ours, theirs);
    }
    if let Some(theirs) = fixture.rate_l1 {
        found.compare("rate_l1", &objective.rate_l1, &theirs);
    }
    if fixture.updates() > 0 {
        let theirs: Optimizer<F> = fixture.adam().into();
        found.compare("optimizer", &optimizer.rule, &theirs.rule);
        found.compare("schedule", &optimizer.schedule, &theirs.schedule);
        found.compare("groups", &optimizer.groups, &theirs.groups);
        found.compare("clip_norm", &optimizer.clip_norm, &theirs.clip_norm);
        found.compare("number of updates before the first", &optimizer.steps(), &0);
    }
    found.0
}

struct Differences(Vec<String>);

impl Differences {
    fn add(&mut self, line: String) {
        self.0.push(line);
    }

    fn compare<T: Debug>(&mut self, name: &str, ours: &T, theirs: &T) {
        let (ours, theirs) = (format!("{ours:?}"), format!("{theirs:?}"));
        if ours != theirs {
            self.add(format!("{name} is {ours} here, and {theirs} in the file"));
        }
    }

    fn layer<F: Float>(&mut self, k: usize, ours: &Layer<F>, theirs: &Layer<f64>) {
        let (own, other) = (&ours.neuron, &theirs.neuron);
        let name = |setting: &str| format!("layer {k}: {setting}");
        self.compare(&name("neuron"), &own.name(), &other.name());
        if own.name() != other.name() {
            return; // their settings and constants are not the same ones
        }
        let resets =
            |neuron: &Neurons| kinds::membrane(neuron).is_none_or(|m| m.reset != Reset::None);
        for ((setting, ours), (_, theirs)) in own.settings().iter().zip(other.settings()) {
            if *setting != "detach_reset" || resets(own) || resets(other) {
                self.compare(&name(setting), ours, &theirs);
            }
        }
        let rounded = |value: &PerNeuron| {
            let values = value.values().iter();
            values.map(|&x| F::from_f64(x)).collect::<Vec<F>>()
        };
        for ((constant, ours, own), (_, theirs, other)) in own.each().zip(other.each()) {
            self.compare(&name(&format!("learn_{}", constant.name)), &own, &other);
            // Learnt ones come from the file.
            if !own && !other && rounded(ours) != rounded(theirs) {
                self.compare(&name(constant.name), &ours.values(), &theirs.values());
            }
        }
    }
}
