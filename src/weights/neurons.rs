//! Compares the neurons of a layer in a file with those of the network, or adopts them.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use ndarray::Array1;

use super::describe::{Unfit, number, rules};
use crate::{Dynamics, Float, Layer, PerNeuron, Reset, neuron::Neurons, tensors};

/// A decay or a threshold of a file.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    /// One for the layer, or one for each neuron.
    pub values: Vec<f64>,
    /// Whether they were stored in single precision, which limits the digits to compare.
    pub single: bool,
    /// Whether they are a tensor, with the current values. The description of learned constants has
    /// their initial values.
    pub tensor: bool,
}

/// The information in a file about the neurons of one layer.
#[derive(Debug, Default)]
pub(super) struct Told<'a> {
    pub described: Option<&'a Neurons>,
    /// Of each constant of the network's neurons, by name.
    pub constants: Vec<(&'static str, Option<Constant>)>,
    /// The reset of an snnTorch neuron.
    pub snntorch: Option<Reset>,
}

/// Compares the file's information about layer `k`, from 1, with the network. Constants that the
/// network learns but the file describes as fixed get the file's values.
pub(super) fn compare<F: Float>(
    layer: &mut Layer<F>,
    k: usize,
    told: &Told<'_>,
) -> Result<(), Unfit> {
    let neurons = layer.neurons();
    let Layer {
        constants, neuron, ..
    } = layer;
    if let Some(described) = told.described
        && described.name() != neuron.name()
    {
        let (found, have) = (described.name().into(), neuron.name().into());
        return Err(differs(&format!("lif{k}.neuron"), found, have));
    }
    let each = neuron.each().zip(constants).zip(&told.constants);
    for (((constant, _, learnt), have), (_, found)) in each {
        let name = tensors::constant(k, constant);
        match found {
            Some(found) if !learnt => same(&name, found, have)?,
            // A tensor is loaded like the other parameters.
            Some(found) if !found.tensor => assign(&name, found, have)?,
            _ => {}
        }
    }
    if let Some(described) = told.described {
        for n in 0..neurons {
            let (found, have) = (described.start_of(n), neuron.start_of(n));
            if found != have {
                let name = format!("lif{k}.initial_membrane, neuron {n}");
                return Err(differs(&name, found.to_string(), have.to_string()));
            }
        }
        for ((name, found), (_, have)) in rules(described).into_iter().zip(rules(neuron)) {
            if found != have {
                return Err(differs(&format!("lif{k}.{name}"), found, have));
            }
        }
    }
    if let Some((reset, neuron)) = told.snntorch.zip(neuron.leaky()) {
        if neuron.dynamics == Dynamics::FireThenIntegrate {
            let found = "snnTorch's order of events (integrate_then_fire, or integrate_fire_reset \
                         without reset_delay)";
            let have = neuron.dynamics.to_string();
            return Err(differs(&format!("lif{k}.dynamics"), found.into(), have));
        }
        if neuron.reset != reset {
            let (found, have) = (reset.to_string(), neuron.reset.to_string());
            return Err(differs(&format!("lif{k}.reset"), found, have));
        }
    }
    Ok(())
}

/// Sets the neurons of layer `k`, from 1, to those of the file, as far as it describes them.
pub(super) fn take_over<F: Float>(
    layer: &mut Layer<F>,
    k: usize,
    told: &Told<'_>,
) -> Result<(), Unfit> {
    if let Some(described) = told.described {
        layer.neuron = described.clone();
        layer.constants = Layer::initial(described);
    }
    for (name, found) in &told.constants {
        let Some(found) = found.as_ref().filter(|found| found.tensor) else {
            continue;
        };
        let names = layer.neuron.constants().iter();
        let values = names.zip(&mut layer.constants);
        let Some((_, have)) = { values }.find(|(known, _)| known.name == *name) else {
            continue;
        };
        *have = array(&found.values);
        // Learned constants keep their initial values if the number matches.
        let built = layer.neuron.initial(name).map(|built| built.values().len());
        if !layer.neuron.learns(name) || built != Some(found.values.len()) {
            let value = match found.values[..] {
                [value] => PerNeuron::Shared(value),
                _ => PerNeuron::Each(found.values.clone()),
            };
            layer.neuron = layer.neuron.clone().constant(name, value);
        }
    }
    if let Some((reset, mut neuron)) = told.snntorch.zip(layer.neuron.leaky()) {
        neuron.reset = reset;
        if neuron.dynamics == Dynamics::FireThenIntegrate {
            neuron.dynamics = Dynamics::IntegrateThenFire;
        }
        let start = layer.neuron.initial_membrane().clone();
        layer.neuron = Neurons::from(neuron).start(start);
    }
    let (place, neurons) = (format!("layer {k}"), layer.neurons());
    (layer.neuron.check(&place, neurons))
        .and_then(|()| layer.neuron.check_together(&place, neurons))
        .map_err(super::describe::out_of_range)
}

fn array<F: Float>(values: &[f64]) -> Array1<F> {
    values.iter().map(|&x| F::from_f64(x)).collect()
}

/// Checks that a constant equals the network's in every neuron.
fn same<F: Float>(name: &str, found: &Constant, have: &Array1<F>) -> Result<(), Unfit> {
    let equal = |found_value: f64, have: F| {
        F::from_f64(found_value) == have
            || (found.single && f32::from_f64(found_value) == f32::from_f64(have.as_f64()))
    };
    let most = found.values.len().max(have.len());
    let pairs = found.values.iter().cycle().zip(have.iter().cycle());
    let mut pairs = pairs.take(most).enumerate();
    match pairs.find(|(_, (found, have))| !equal(**found, **have)) {
        None => Ok(()),
        Some((neuron, (value, have))) => {
            let name = match most {
                1 => name.into(),
                _ => format!("{name}[{neuron}]"),
            };
            let text = match found.single {
                true => format!("{:?}", f32::from_f64(*value)),
                false => number(*value),
            };
            Err(differs(&name, text, have.to_string()))
        }
    }
}

/// Sets the values of all neurons from the file.
fn assign<F: Float>(name: &str, found: &Constant, have: &mut Array1<F>) -> Result<(), Unfit> {
    let values = array(&found.values);
    if values.len() == 1 || values.len() == have.len() {
        let each = values.iter().cycle().copied();
        have.iter_mut()
            .zip(each)
            .for_each(|(have, value)| *have = value);
        return Ok(());
    }
    Err(Unfit {
        what: format!("shape of {name}"),
        expected: format!("{:?}", have.shape()),
        found: format!("[{}]", values.len()),
    })
}

#[cold]
pub(super) fn differs(name: &str, found: String, have: String) -> Unfit {
    Unfit {
        what: name.into(),
        expected: format!("{have}, as in the network; Mismatch::TakeOver adopts the file's"),
        found: format!("{found} in the file"),
    }
}
