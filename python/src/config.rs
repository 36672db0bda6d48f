//! Descriptions: the dataclasses of the package as the library's settings, and back.

use std::sync::{Arc, Mutex, PoisonError};

use numpy::{PyArray, ndarray::Array3};
use pyo3::{
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};
use spikegrad::{
    Adam, Adamax, Adjoints, Dynamics, LayerAdjoint, Leaky, Loss, Optimizer, PerNeuron, Quantity,
    Recording, Reset, Schedule, Sgd, Surrogate, Synaptic, Targets,
    neuron::Neurons,
    optim::{Rule, schedule::Curve},
};

use crate::{
    arrays::{Number, shaped},
    errors::{OrRaise, invalid, keep},
};

/// The `kind` of a description; `expected` says what it has to be.
fn kind(given: &Bound<'_, PyAny>, expected: &str) -> PyResult<String> {
    let kind = given.getattr("kind").and_then(|kind| kind.extract());
    kind.map_err(|_| {
        let found = given.get_type();
        pyo3::exceptions::PyTypeError::new_err(format!("{found} is not {expected}"))
    })
}

/// An error for a setting that is none of some names.
fn unknown(py: Python<'_>, what: &str, found: &str, expected: &str) -> PyErr {
    invalid(py, format!("{what} is '{found}'; expected {expected}"))
}

/// The attribute `name`, converted.
fn get<'py, T: FromPyObjectOwned<'py>>(given: &Bound<'py, PyAny>, name: &str) -> PyResult<T> {
    let value = given.getattr(name)?;
    value.extract::<T>().map_err(|error| {
        let error: PyErr = error.into();
        let found = value.get_type();
        pyo3::exceptions::PyTypeError::new_err(format!("{name} is a {found}: {error}"))
    })
}

fn per_neuron(given: &Bound<'_, PyAny>, name: &str) -> PyResult<PerNeuron> {
    let value = given.getattr(name)?;
    match value.cast::<PyTuple>() {
        Ok(each) => Ok(PerNeuron::Each(each.extract()?)),
        Err(_) => Ok(PerNeuron::Shared(value.extract()?)),
    }
}

fn surrogate(given: &Bound<'_, PyAny>) -> PyResult<Surrogate> {
    let kind = kind(given, "a Surrogate, as Arctan()")?;
    match kind.as_str() {
        "arctan" => Ok(Surrogate::Arctan {
            alpha: get(given, "alpha")?,
        }),
        "fast_sigmoid" => Ok(Surrogate::FastSigmoid {
            slope: get(given, "slope")?,
        }),
        "sigmoid" => Ok(Surrogate::Sigmoid {
            slope: get(given, "slope")?,
        }),
        "triangular" => Ok(Surrogate::Triangular),
        "straight_through" => Ok(Surrogate::StraightThrough),
        other => Err(unknown(
            given.py(),
            "surrogate",
            other,
            "a surrogate of this package",
        )),
    }
}

fn dynamics(given: &Bound<'_, PyAny>) -> PyResult<Dynamics> {
    let all = [
        Dynamics::FireThenIntegrate,
        Dynamics::IntegrateThenFire,
        Dynamics::IntegrateFireReset,
    ];
    let found: String = get(given, "dynamics")?;
    let one = all.into_iter().find(|one| one.to_string() == found);
    one.ok_or_else(|| {
        let names = "fire_then_integrate, integrate_then_fire or integrate_fire_reset";
        unknown(given.py(), "dynamics", &found, names)
    })
}

fn reset(given: &Bound<'_, PyAny>) -> PyResult<Reset> {
    let found: String = get(given, "reset")?;
    let one = [Reset::Subtract, Reset::Zero, Reset::None].into_iter();
    let one = { one }.find(|one| one.to_string() == found);
    one.ok_or_else(|| unknown(given.py(), "reset", &found, "subtract, zero or none"))
}

/// The neurons of a layer, and their number.
pub fn layer(given: &Bound<'_, PyAny>) -> PyResult<(usize, Neurons)> {
    let kind = kind(given, "a layer, as Leaky(10, beta=0.95)")?;
    let neurons = get(given, "neurons")?;
    let described: Neurons = match kind.as_str() {
        "leaky" => Leaky::new(per_neuron(given, "beta")?)
            .threshold(per_neuron(given, "threshold")?)
            .dynamics(dynamics(given)?)
            .reset(reset(given)?)
            .detach_reset(get(given, "detach_reset")?)
            .surrogate(surrogate(&given.getattr("surrogate")?)?)
            .learn_beta(get(given, "learn_beta")?)
            .learn_threshold(get(given, "learn_threshold")?)
            .into(),
        "synaptic" => Synaptic::new(per_neuron(given, "alpha")?, per_neuron(given, "beta")?)
            .gain(per_neuron(given, "gain")?)
            .threshold(per_neuron(given, "threshold")?)
            .dynamics(dynamics(given)?)
            .reset(reset(given)?)
            .detach_reset(get(given, "detach_reset")?)
            .surrogate(surrogate(&given.getattr("surrogate")?)?)
            .old_current(get(given, "old_current")?)
            .learn_alpha(get(given, "learn_alpha")?)
            .learn_beta(get(given, "learn_beta")?)
            .learn_gain(get(given, "learn_gain")?)
            .learn_threshold(get(given, "learn_threshold")?)
            .into(),
        other => {
            return Err(unknown(
                given.py(),
                "layer",
                other,
                "a layer of this package",
            ));
        }
    };
    Ok((neurons, described))
}

fn py_surrogate<'py>(py: Python<'py>, surrogate: Surrogate) -> PyResult<Bound<'py, PyAny>> {
    let module = py.import("spikegrad.surrogate")?;
    match surrogate {
        Surrogate::Arctan { alpha } => module.getattr("Arctan")?.call1((alpha,)),
        Surrogate::FastSigmoid { slope } => module.getattr("FastSigmoid")?.call1((slope,)),
        Surrogate::Sigmoid { slope } => module.getattr("Sigmoid")?.call1((slope,)),
        Surrogate::Triangular => module.getattr("Triangular")?.call0(),
        Surrogate::StraightThrough => module.getattr("StraightThrough")?.call0(),
        other => Err(invalid(
            py,
            format!("surrogate {other} has no class in this package"),
        )),
    }
}

fn py_constant<'py>(py: Python<'py>, value: &PerNeuron) -> PyResult<Bound<'py, PyAny>> {
    match value {
        PerNeuron::Shared(value) => Ok(value.into_pyobject(py)?.into_any()),
        PerNeuron::Each(values) => Ok(PyTuple::new(py, values)?.into_any()),
        // A network's constants are drawn.
        PerNeuron::Drawn(draw) => Ok(draw.to_string().into_pyobject(py)?.into_any()),
    }
}

/// The description of a layer of `neurons` neurons.
pub fn py_layer<'py>(
    py: Python<'py>,
    neurons: usize,
    described: &Neurons,
) -> PyResult<Bound<'py, PyAny>> {
    let settings = PyDict::new(py);
    settings.set_item("neurons", neurons)?;
    let rule = |dynamics: Dynamics, reset: Reset, detach: bool, surrogate: Surrogate| {
        settings.set_item("dynamics", dynamics.to_string())?;
        settings.set_item("reset", reset.to_string())?;
        settings.set_item("detach_reset", detach)?;
        settings.set_item("surrogate", py_surrogate(py, surrogate)?)
    };
    let class = if let Some(leaky) = described.leaky() {
        rule(
            leaky.dynamics,
            leaky.reset,
            leaky.detach_reset,
            leaky.surrogate,
        )?;
        "Leaky"
    } else if let Some(synaptic) = described.synaptic() {
        rule(
            synaptic.dynamics,
            synaptic.reset,
            synaptic.detach_reset,
            synaptic.surrogate,
        )?;
        settings.set_item("old_current", synaptic.old_current)?;
        "Synaptic"
    } else {
        let name = described.name();
        return Err(invalid(
            py,
            format!("neurons '{name}' have no class in this package"),
        ));
    };
    for constant in described.constants() {
        let name = constant.name;
        if let Some(value) = described.initial(name) {
            settings.set_item(name, py_constant(py, value)?)?;
        }
        settings.set_item(format!("learn_{name}"), described.learns(name))?;
    }
    py.import("spikegrad.neurons")?
        .getattr(class)?
        .call((), Some(&settings))
}

/// The function of a loss of one's own. An engine lets go of it where it is part of a cycle that nobody else
/// refers to.
pub type Function = Arc<Mutex<Option<Py<PyAny>>>>;

/// The loss, which calls the function in `custom` if it is one of one's own; an exception of the function is
/// raised where the call ends.
pub fn loss<F: Number>(given: &Bound<'_, PyAny>, custom: &Function) -> PyResult<Loss<F>> {
    let kind = kind(given, "a Loss, as CrossEntropyMembrane()")?;
    let quantity = || -> PyResult<Quantity> {
        let found: String = get(given, "quantity")?;
        match found.as_str() {
            "membrane" => Ok(Quantity::Membrane),
            "spike_count" => Ok(Quantity::SpikeCount),
            "spike_rate" => Ok(Quantity::SpikeRate),
            _ => Err(unknown(
                given.py(),
                "quantity",
                &found,
                "membrane, spike_count or spike_rate",
            )),
        }
    };
    Ok(match kind.as_str() {
        "cross_entropy_membrane" => Loss::CrossEntropyMembrane,
        "cross_entropy_count" => Loss::CrossEntropyCount,
        "cross_entropy_rate" => Loss::CrossEntropyRate,
        "cross_entropy_max_membrane" => Loss::CrossEntropyMaxMembrane,
        "mse_count" => Loss::MseCount {
            correct_rate: get(given, "correct_rate")?,
            incorrect_rate: get(given, "incorrect_rate")?,
        },
        "mse_membrane" => Loss::MseMembrane {
            on_target: get(given, "on_target")?,
            off_target: get(given, "off_target")?,
        },
        "mse" => Loss::Mse(quantity()?),
        "mae" => Loss::Mae(quantity()?),
        "custom" => {
            let function = given.getattr("function")?.unbind();
            *custom.lock().unwrap_or_else(PoisonError::into_inner) = Some(function);
            let custom = custom.clone();
            Loss::custom(move |recording, targets| {
                let called = Python::attach(|py| {
                    let kept = custom.lock().unwrap_or_else(PoisonError::into_inner);
                    let function = kept.as_ref().map(|function| function.clone_ref(py));
                    drop(kept);
                    let gone = || invalid(py, "the function of the loss is gone");
                    call(function.ok_or_else(gone)?.bind(py), recording, targets)
                });
                called.map_err(keep)
            })
        }
        other => return Err(unknown(given.py(), "loss", other, "a loss of this package")),
    })
}

/// Calls a loss of one's own.
fn call<F: Number>(
    function: &Bound<'_, PyAny>,
    recording: &Recording<F>,
    targets: Targets<'_, F>,
) -> PyResult<(f64, Adjoints<F>)> {
    let py = function.py();
    let targets = match targets {
        Targets::Classes(classes) => {
            let classes = classes.iter().map(|&class| class as i64);
            numpy::PyArray1::from_iter(py, classes).into_any()
        }
        Targets::Values(values) => PyArray::from_array(py, &values).into_any(),
        Targets::Sequence(values) => PyArray::from_array(py, &values).into_any(),
        _ => {
            return Err(invalid(
                py,
                "targets of this kind have no array in this package",
            ));
        }
    };
    let returned = function.call1((py_recording(py, recording.clone())?, targets))?;
    let expected = "a loss of one's own must return its value and Adjoints";
    let (value, adjoints): (f64, Bound<'_, PyAny>) = returned.extract().map_err(|error| {
        let found = returned.get_type();
        pyo3::exceptions::PyTypeError::new_err(format!("{expected}; found {found} ({error})"))
    })?;
    let layers = recording.num_layers();
    let mut found = vec![LayerAdjoint::default(); layers];
    for (layer, array) in per_layer(&adjoints, "spk", layers)?.into_iter().enumerate() {
        found[layer].spk = array;
    }
    for (layer, array) in per_layer(&adjoints, "mem", layers)?.into_iter().enumerate() {
        found[layer].mem = array;
    }
    Ok((value, Adjoints { layers: found }))
}

/// The adjoints of each layer: of an array for the last, or of a list with an entry for each.
fn per_layer<F: Number>(
    adjoints: &Bound<'_, PyAny>,
    name: &str,
    layers: usize,
) -> PyResult<Vec<Option<Array3<F>>>> {
    let given = adjoints.getattr(name)?;
    let what = format!("adjoints.{name}");
    let array = |given: &Bound<'_, PyAny>| -> PyResult<Option<Array3<F>>> {
        match given.is_none() {
            true => Ok(None),
            false => Ok(Some(
                shaped::<F, _>(given, &what, "[T, B, N]")?
                    .as_array()
                    .to_owned(),
            )),
        }
    };
    if let Ok(list) = given.cast::<PyList>() {
        if list.len() != layers {
            let found = list.len();
            let message =
                format!("{what} has {found} entries; expected {layers}, one for each layer");
            return Err(invalid(given.py(), message));
        }
        return list.iter().map(|given| array(&given)).collect();
    }
    let mut all = vec![None; layers];
    if let Some(last) = all.last_mut() {
        *last = array(&given)?;
    }
    Ok(all)
}

/// A recording as the package's, without a copy.
pub fn py_recording<'py, F: Number>(
    py: Python<'py>,
    recording: Recording<F>,
) -> PyResult<Bound<'py, PyAny>> {
    let (spk, mem) = (PyList::empty(py), PyList::empty(py));
    for trace in recording.into_traces() {
        let (of_spk, of_mem) = trace.map(|trace| (trace.spk, trace.mem)).unzip();
        spk.append(of_spk.map(|array| PyArray::from_owned_array(py, array)))?;
        mem.append(of_mem.map(|array| PyArray::from_owned_array(py, array)))?;
    }
    py.import("spikegrad.recording")?
        .getattr("Recording")?
        .call1((spk, mem))
}

/// The schedule.
pub fn schedule(given: &Bound<'_, PyAny>) -> PyResult<Schedule> {
    let (curve, numbers): (String, Vec<f64>) = (get(given, "curve")?, get(given, "numbers")?);
    let count = |x: f64| -> PyResult<u64> {
        match x >= 0.0 && x.fract() == 0.0 && x < 9e15 {
            true => Ok(x as u64),
            false => Err(invalid(
                given.py(),
                format!("schedule: updates is {x}; expected a whole number of at least 0"),
            )),
        }
    };
    let curve = match (curve.as_str(), &numbers[..]) {
        ("constant", []) => Curve::Constant,
        ("step", &[every, gamma]) => Curve::Step {
            every: count(every)?,
            gamma,
        },
        ("exponential", &[gamma]) => Curve::Exponential { gamma },
        ("cosine", &[updates, least]) => Curve::Cosine {
            updates: count(updates)?,
            least,
        },
        ("one_cycle", &[updates, rise, start_factor, end_factor]) => Curve::OneCycle {
            updates: count(updates)?,
            rise,
            start_factor,
            end_factor,
        },
        _ => {
            return Err(unknown(
                given.py(),
                "schedule",
                &curve,
                "one made by a class method of Schedule",
            ));
        }
    };
    let warmup = given.getattr("warmup_updates")?.extract::<f64>()?;
    Ok(Schedule {
        warmup: count(warmup)?,
        curve,
    })
}

fn rule(given: &Bound<'_, PyAny>) -> PyResult<Rule> {
    let kind = kind(given, "an Optimizer, as Adam(1e-3)")?;
    let lr = get(given, "lr")?;
    let betas = || get::<(f64, f64)>(given, "betas");
    Ok(match kind.as_str() {
        "sgd" => Sgd {
            lr,
            momentum: get(given, "momentum")?,
            nesterov: get(given, "nesterov")?,
            weight_decay: get(given, "weight_decay")?,
        }
        .into(),
        name @ ("adam" | "adamw") => {
            let (beta1, beta2) = betas()?;
            let (eps, weight_decay) = (get(given, "eps")?, get(given, "weight_decay")?);
            Adam {
                lr,
                beta1,
                beta2,
                eps,
                weight_decay,
                decoupled: name == "adamw",
            }
            .into()
        }
        "adamax" => {
            let (beta1, beta2) = betas()?;
            let (eps, weight_decay) = (get(given, "eps")?, get(given, "weight_decay")?);
            Adamax {
                lr,
                beta1,
                beta2,
                eps,
                weight_decay,
            }
            .into()
        }
        other => {
            return Err(unknown(
                given.py(),
                "optimizer",
                other,
                "an optimizer of this package",
            ));
        }
    })
}

/// The optimizer, before its first update.
pub fn optimizer<F: Number>(given: &Bound<'_, PyAny>) -> PyResult<Optimizer<F>> {
    let mut optimizer = Optimizer::from(rule(given)?);
    optimizer.schedule = schedule(&given.getattr("schedule")?)?;
    optimizer.clip_norm = get(given, "clip_norm")?;
    for group in given.getattr("groups")?.try_iter()? {
        let (tensors, settings): (Vec<String>, Bound<'_, PyAny>) = group?.extract()?;
        let own = schedule(&settings.getattr("schedule")?)?;
        if own != Schedule::default() || !settings.getattr("clip_norm")?.is_none() {
            let expected = "those of the optimizer alone, which hold for every group";
            return Err(invalid(
                given.py(),
                format!("a group has a schedule or a clip_norm; expected {expected}"),
            ));
        }
        optimizer = optimizer.group(tensors, rule(&settings)?);
    }
    Ok(optimizer)
}

/// The learning rate of a schedule.
#[pyfunction]
pub fn schedule_rate(schedule: &Bound<'_, PyAny>, base: f64, made: u64) -> PyResult<f64> {
    let found = self::schedule(schedule)?;
    found.check().or_raise(schedule.py())?;
    Ok(found.rate(base, made))
}
