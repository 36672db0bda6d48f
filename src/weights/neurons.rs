//! A layer's neurons as a file has them, beside those of the network: compared, or taken over.

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
    /// Whether they have been in single precision, so that more digits are not to be compared.
    pub single: bool,
    /// Whether they are a tensor: those are the values that neurons have. The description of learned
    /// constants has their initial values.
    pub tensor: bool,
}

/// What a file tells of the neurons of one layer.
#[derive(Debug, Default)]
pub(super) struct Told<'a> {
    pub described: Option<&'a Neurons>,
    /// Of each constant of the network's neurons, by name.
    pub constants: Vec<(&'static str, Option<Constant>)>,
    /// The reset of a neuron of snnTorch's.
    pub snntorch: Option<Reset>,
}

/// Compares what the file tells of layer `k`, from 1, with the network's, and gives constants that the
/// network learns and the file's description has as fixed ones their values.
pub(super) fn compare<F: Float>(
    layer: &mut Layer<F>,
    k: usize,
    told: &Told<'_>,
) -> Result<(), Unfit> {
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
            // A tensor is loaded as the other parameters are.
            Some(found) if !found.tensor => assign(&name, found, have)?,
            _ => {}
        }
    }
    if let Some(described) = told.described {
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

/// Makes the neurons of layer `k`, from 1, those of the file, as far as it tells.
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
        // Learned ones keep their initial values, if there are as many.
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
        layer.neuron = neuron.into();
    }
    layer
        .neuron
        .check(&format!("layer {k}"), layer.neurons())
        .map_err(super::describe::out_of_range)
}

fn array<F: Float>(values: &[f64]) -> Array1<F> {
    values.iter().map(|&x| F::from_f64(x)).collect()
}

/// Refuses a constant that is another one than the network's, in any neuron.
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

/// Gives all neurons the file's values.
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
