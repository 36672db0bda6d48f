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
use crate::{Dynamics, Float, Layer, Leaky, PerNeuron, Reset};

/// A decay or a threshold of a file.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    /// One for the layer, or one for each neuron.
    pub values: Vec<f64>,
    /// Whether they have been in single precision, so that more digits are not to be compared.
    pub single: bool,
    /// Whether they are a tensor: those are the values that neurons have. The description of learnt
    /// constants has their initial values.
    pub tensor: bool,
}

/// What a file tells of the neurons of one layer.
#[derive(Debug, Default)]
pub(super) struct Told<'a> {
    pub described: Option<&'a Leaky>,
    pub beta: Option<Constant>,
    pub threshold: Option<Constant>,
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
        beta,
        threshold,
        neuron,
        ..
    } = layer;
    for (name, learnt, have, found) in [
        ("beta", neuron.learn_beta, beta, &told.beta),
        (
            "threshold",
            neuron.learn_threshold,
            threshold,
            &told.threshold,
        ),
    ] {
        let name = format!("lif{k}.{name}");
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
    if let Some(reset) = told.snntorch {
        let [(_, dynamics), (_, have), ..] = rules(neuron);
        if neuron.dynamics == Dynamics::FireThenIntegrate {
            let found = "snnTorch's order of events (integrate_then_fire, or integrate_fire_reset \
                         without reset_delay)";
            return Err(differs(&format!("lif{k}.dynamics"), found.into(), dynamics));
        }
        if neuron.reset != reset {
            let [_, (_, found), ..] = rules(&neuron.clone().reset(reset));
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
        layer.beta = array(described.beta.values());
        layer.threshold = array(described.threshold.values());
    }
    let (neurons, neuron) = (layer.neurons(), &mut layer.neuron);
    for (learnt, built, have, found) in [
        (
            neuron.learn_beta,
            &mut neuron.beta,
            &mut layer.beta,
            &told.beta,
        ),
        (
            neuron.learn_threshold,
            &mut neuron.threshold,
            &mut layer.threshold,
            &told.threshold,
        ),
    ] {
        let Some(found) = found.as_ref().filter(|found| found.tensor) else {
            continue;
        };
        // Learnt ones keep their initial values, if there are as many.
        if !learnt || built.values().len() != found.values.len() {
            *built = match found.values[..] {
                [value] => PerNeuron::Shared(value),
                _ => PerNeuron::Each(found.values.clone()),
            };
        }
        *have = array(&found.values);
    }
    if let Some(reset) = told.snntorch {
        neuron.reset = reset;
        if neuron.dynamics == Dynamics::FireThenIntegrate {
            neuron.dynamics = Dynamics::IntegrateThenFire;
        }
    }
    neuron
        .check(&format!("layer {k}"), neurons)
        .map_err(super::describe::out_of_range)
}

fn array<F: Float>(values: &[f64]) -> Array1<F> {
    values.iter().map(|&x| F::of(x)).collect()
}

/// Refuses a constant that is another one than the network's, in any neuron.
fn same<F: Float>(name: &str, found: &Constant, have: &Array1<F>) -> Result<(), Unfit> {
    let equal = |found_value: f64, have: F| {
        F::of(found_value) == have
            || (found.single && f32::of(found_value) == f32::of(have.widen()))
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
                true => format!("{:?}", f32::of(*value)),
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
        expected: format!("{have}, as the network has it; Mismatch::TakeOver takes the file's"),
        found: format!("{found} in the file"),
    }
}
