//! Descriptions: the dataclasses of the package as the library's settings, and back.

use std::sync::{Arc, Mutex, PoisonError};

use numpy::{PyArray, ndarray::Array3};
use pyo3::{
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};
use spikegrad::{
    AdLif, Adam, Adamax, Adaptive, Adjoints, Alpha, Draw, Dynamics, Encoder, Init, Lapicque, Layer,
    LayerAdjoint, Leaky, LeakyIntegrator, Loss, Lsnn, NetworkBuilder, Optimizer, PerNeuron,
    Quantity, ReadOut, Recording, Recurrence, Reset, Schedule, Sgd, Surrogate, Synaptic, Targets,
    loss::Inverse,
    neuron::Neurons,
    optim::{Rule, schedule::Curve},
    synapses::Pattern,
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
    if let Ok(each) = value.cast::<PyTuple>() {
        return Ok(PerNeuron::Each(each.extract()?));
    }
    if value.hasattr("distribution")? {
        return Ok(PerNeuron::Drawn(draw(&value)?));
    }
    Ok(PerNeuron::Shared(value.extract()?))
}

fn draw(given: &Bound<'_, PyAny>) -> PyResult<Draw> {
    let (name, numbers): (String, (f64, f64)) =
        (get(given, "distribution")?, get(given, "numbers")?);
    match (name.as_str(), numbers) {
        ("uniform", (low, high)) => Ok(Draw::Uniform { low, high }),
        ("normal", (mean, sd)) => Ok(Draw::Normal { mean, sd }),
        _ => {
            let expected = "uniform or normal, made by a class method of Draw";
            Err(unknown(given.py(), "distribution", &name, expected))
        }
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

/// The equations of a layer, with the settings of its description.
fn equations(given: &Bound<'_, PyAny>) -> PyResult<Neurons> {
    let kind = kind(given, "a layer, as Leaky(10, beta=0.95)")?;
    let surrogate = || surrogate(&given.getattr("surrogate")?);
    // Every constant is set afterwards.
    Ok(match kind.as_str() {
        "leaky" => Leaky::new(0.0)
            .dynamics(dynamics(given)?)
            .reset(reset(given)?)
            .detach_reset(get(given, "detach_reset")?)
            .surrogate(surrogate()?)
            .into(),
        "synaptic" => Synaptic::new(0.0, 0.0)
            .dynamics(dynamics(given)?)
            .reset(reset(given)?)
            .detach_reset(get(given, "detach_reset")?)
            .surrogate(surrogate()?)
            .old_current(get(given, "old_current")?)
            .into(),
        "leaky_integrator" => LeakyIntegrator::new(0.0)
            .old_current(get(given, "old_current")?)
            .into(),
        "encoder" => Encoder::new(0.0)
            .dynamics(dynamics(given)?)
            .reset(reset(given)?)
            .detach_reset(get(given, "detach_reset")?)
            .surrogate(surrogate()?)
            .normalized(get(given, "normalized")?)
            .late_reset(get(given, "late_reset")?)
            .into(),
        "lapicque" => Lapicque::new(0.5)
            .dynamics(dynamics(given)?)
            .reset(reset(given)?)
            .detach_reset(get(given, "detach_reset")?)
            .surrogate(surrogate()?)
            .into(),
        "alpha" => Alpha::new(0.0, 0.0)
            .reset(reset(given)?)
            .surrogate(surrogate()?)
            .into(),
        "adaptive" => Adaptive::yin(0.0, 0.0)
            .old_membrane(get(given, "old_membrane")?)
            .scaled(get(given, "scaled")?)
            .normalized(get(given, "normalized")?)
            .detach_reset(get(given, "detach_reset")?)
            .detach_adaptation(get(given, "detach_adaptation")?)
            .surrogate(surrogate()?)
            .into(),
        "lsnn" => Lsnn::new(0.0, 0.0, 0.0)
            .detach_reset(get(given, "detach_reset")?)
            .surrogate(surrogate()?)
            .into(),
        "adlif" => AdLif::new(0.0, 0.0).surrogate(surrogate()?).into(),
        other => {
            return Err(unknown(
                given.py(),
                "layer",
                other,
                "a layer of this package",
            ));
        }
    })
}

/// Adds a layer to a network; `number` is that of the layer, from 1.
pub fn layer(
    builder: NetworkBuilder,
    given: &Bound<'_, PyAny>,
    number: usize,
) -> PyResult<NetworkBuilder> {
    let mut described = equations(given)?;
    for constant in described.constants() {
        let name = constant.name;
        described = described
            .constant(name, per_neuron(given, name)?)
            .learn(name, get(given, &format!("learn_{name}"))?);
    }
    let mut builder = builder
        .layer(get(given, "neurons")?, described)
        .bias(get(given, layer_bias(&kind(given, "a layer")?))?);
    if get(given, "fixed")? {
        builder = builder.fixed();
    }
    builder = builder
        .dropout(get(given, "dropout")?)
        .initial_membrane(per_neuron(given, "initial_membrane")?);
    let place = format!("layer {number}");
    let (init, within) = (given.getattr("init")?, given.getattr("recurrent_init")?);
    if !init.is_none() {
        builder = builder.init(self::init(&init, &format!("{place}: init"))?);
    }
    let recurrent = given.getattr("recurrent")?;
    let there = !matches!(recurrent.extract::<bool>(), Ok(false));
    if there {
        builder = builder.recurrent(recurrence(&recurrent, &place)?);
    }
    if !within.is_none() {
        if !there {
            let message = format!(
                "{place}: recurrent_init is {within}; expected None, since recurrent is False"
            );
            return Err(invalid(given.py(), message));
        }
        let what = format!("{place}: recurrent_init");
        builder = builder.recurrent_init(self::init(&within, &what)?);
    }
    Ok(builder)
}

/// The field that says whether a layer has biases. An encoder's `bias` is a constant of its neurons.
fn layer_bias(kind: &str) -> &'static str {
    match kind {
        "encoder" => "fc_bias",
        _ => "bias",
    }
}

/// The names of [`Pattern`].
const PATTERNS: [&str; 2] = ["all_to_all", "one_to_one"];

/// The connections within a layer.
fn recurrence(given: &Bound<'_, PyAny>, place: &str) -> PyResult<Recurrence> {
    if !given.hasattr("pattern")? {
        let message = format!(
            "{place}: recurrent is {given}; expected False, True or a Recurrence, as Recurrence(bias=False)"
        );
        return Err(pyo3::exceptions::PyTypeError::new_err(message));
    }
    let pattern: String = get(given, "pattern")?;
    let made = match pattern.as_str() {
        "all_to_all" => Recurrence::all_to_all(),
        "one_to_one" => Recurrence::one_to_one(),
        other => {
            let what = format!("{place}: pattern");
            return Err(unknown(given.py(), &what, other, &PATTERNS.join(" or ")));
        }
    };
    Ok(made
        .bias(get(given, "bias")?)
        .diagonal(get(given, "diagonal")?)
        .learn(get(given, "learn")?))
}

/// How weights are drawn; `what` names the setting.
fn init(given: &Bound<'_, PyAny>, what: &str) -> PyResult<Init> {
    if !given.hasattr("scheme")? {
        let message = format!("{what} is {given}; expected None or an Init, as Init.scaled(1.0)");
        return Err(pyo3::exceptions::PyTypeError::new_err(message));
    }
    let name: String = get(given, "scheme")?;
    let numbers: Vec<f64> = get(given, "numbers")?;
    Ok(match (name.as_str(), &numbers[..]) {
        ("linear", []) => Init::Linear,
        ("uniform", &[bound]) => Init::Uniform { bound },
        ("normal", &[mean, sd]) => Init::Normal { mean, sd },
        ("scaled", &[scale]) => Init::Scaled { scale },
        ("orthogonal", &[gain]) => Init::Orthogonal { gain },
        ("constant", &[value]) => Init::Constant(value),
        ("tiled", []) => Init::Tiled,
        _ => {
            let expected = "one made by a class method of Init";
            return Err(unknown(given.py(), what, &name, expected));
        }
    })
}

/// The mean and the deviation of weights that let a membrane fluctuate below its threshold.
#[pyfunction]
pub fn _fluctuation_driven(
    inputs: usize,
    rate: f64,
    decays: [f64; 3],
    threshold: f64,
    xi: f64,
) -> (f64, f64) {
    match Init::fluctuation_driven(inputs, rate, decays, threshold, xi) {
        Init::Normal { mean, sd } => (mean, sd),
        _ => (f64::NAN, f64::NAN),
    }
}

/// The decay per step of a time constant, ``exp(-dt / tau)``, both in one unit; the same bits on every machine.
///
/// >>> round(decay(20e-3, dt=1e-3), 4)
/// 0.9512
#[pyfunction]
pub fn decay(tau: f64, dt: f64) -> f64 {
    spikegrad::decay(tau, dt)
}

/// The surrogate of a setting, as ``arctan 2.0``.
fn py_surrogate<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    let module = py.import("spikegrad.surrogate")?;
    let (name, number) = match text.split_once(' ') {
        Some((name, number)) => (name, number.parse::<f64>().ok()),
        None => (text, None),
    };
    let class = match name {
        "arctan" => "Arctan",
        "fast_sigmoid" => "FastSigmoid",
        "sigmoid" => "Sigmoid",
        "triangular" => "Triangular",
        "straight_through" => "StraightThrough",
        other => {
            let message = format!("surrogate {other} has no class in this package");
            return Err(invalid(py, message));
        }
    };
    match number {
        Some(number) => module.getattr(class)?.call1((number,)),
        None => module.getattr(class)?.call0(),
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

fn py_recurrence<'py>(py: Python<'py>, recurrence: Recurrence) -> PyResult<Bound<'py, PyAny>> {
    let (pattern, diagonal) = match recurrence.pattern {
        Pattern::AllToAll { diagonal } => (PATTERNS[0], diagonal),
        Pattern::OneToOne => (PATTERNS[1], true),
        other => {
            let message = format!("recurrence {other:?} has no name in this package");
            return Err(invalid(py, message));
        }
    };
    let fields = (pattern, recurrence.bias, diagonal, recurrence.learn);
    py.import("spikegrad.neurons")?
        .getattr("Recurrence")?
        .call1(fields)
}

/// The description of a layer.
pub fn py_layer<'py>(py: Python<'py>, layer: &Layer<f64>) -> PyResult<Bound<'py, PyAny>> {
    let described = layer.neuron();
    let name = described.name();
    let class = match name {
        "leaky" => "Leaky",
        "synaptic" => "Synaptic",
        "leaky_integrator" => "LeakyIntegrator",
        "encoder" => "Encoder",
        "lapicque" => "Lapicque",
        "alpha" => "Alpha",
        "adaptive" => "Adaptive",
        "lsnn" => "Lsnn",
        "adlif" => "AdLif",
        other => {
            let message = format!("neurons '{other}' have no class in this package");
            return Err(invalid(py, message));
        }
    };
    let settings = PyDict::new(py);
    settings.set_item("neurons", layer.neurons())?;
    for (name, text) in described.settings() {
        match (name, text.parse::<bool>()) {
            (_, Ok(flag)) => settings.set_item(name, flag)?,
            ("surrogate", _) => settings.set_item(name, py_surrogate(py, &text)?)?,
            _ => settings.set_item(name, text)?,
        }
    }
    for constant in described.constants() {
        let name = constant.name;
        if let Some(value) = described.initial(name) {
            settings.set_item(name, py_constant(py, value)?)?;
        }
        settings.set_item(format!("learn_{name}"), described.learns(name))?;
    }
    let synapses = layer.synapses();
    settings.set_item(layer_bias(name), synapses.bias)?;
    settings.set_item("fixed", !synapses.learn)?;
    let start = py_constant(py, described.initial_membrane())?;
    settings.set_item("initial_membrane", start)?;
    settings.set_item(
        "dropout",
        synapses.dropout.map_or(0.0, |dropout| dropout.rate),
    )?;
    if let Some(recurrence) = synapses.recurrence {
        settings.set_item("recurrent", py_recurrence(py, recurrence)?)?;
    }
    py.import("spikegrad.neurons")?
        .getattr(class)?
        .call((), Some(&settings))
}

/// The steps of a window, `first` and `end`; `None` is the end of the steps.
fn window(given: &Bound<'_, PyAny>) -> PyResult<(usize, usize)> {
    let (first, end): (i64, Option<i64>) = (get(given, "first")?, get(given, "end")?);
    let from = usize::try_from(first).map_err(|_| {
        invalid(
            given.py(),
            format!("first is {first}; expected a step, from 0"),
        )
    })?;
    let Some(end) = end else {
        return Ok((from, usize::MAX));
    };
    match usize::try_from(end) {
        Ok(to) if to > from => Ok((from, to)),
        _ => {
            let message = format!("end is {end}; expected None or a step after first, {first}");
            Err(invalid(given.py(), message))
        }
    }
}

/// The read-outs with a name alone.
const READ_OUTS: [(&str, ReadOut); 5] = [
    ("spike_count", ReadOut::SpikeCount),
    ("membrane", ReadOut::Membrane),
    ("max_membrane", ReadOut::MaxMembrane),
    ("last_membrane", ReadOut::LastMembrane),
    ("first_spike", ReadOut::FirstSpike),
];

/// The read-out of a name or of a `WindowMembrane`; `own` if there is none.
pub fn read_out(given: Option<&Bound<'_, PyAny>>, own: ReadOut) -> PyResult<ReadOut> {
    let Some(given) = given else {
        return Ok(own);
    };
    if given.hasattr("first")? && given.hasattr("end")? {
        let (first, end) = window(given)?;
        return Ok(ReadOut::WindowMembrane { first, end });
    }
    let name = given.to_string();
    let known = READ_OUTS.into_iter().find(|(known, _)| *known == name);
    known.map(|(_, read_out)| read_out).ok_or_else(|| {
        let names = READ_OUTS.map(|(name, _)| name).join(", ");
        let expected = format!("{names} or a WindowMembrane");
        unknown(given.py(), "read_out", &name, &expected)
    })
}

/// A read-out as the package's.
pub fn py_read_out(py: Python<'_>, read_out: ReadOut) -> PyResult<Bound<'_, PyAny>> {
    if let ReadOut::WindowMembrane { first, end } = read_out {
        let end = (end != usize::MAX).then_some(end);
        let class = py.import("spikegrad.loss")?.getattr("WindowMembrane")?;
        return class.call1((first, end));
    }
    let known = READ_OUTS.into_iter().find(|(_, known)| *known == read_out);
    match known {
        Some((name, _)) => Ok(name.into_pyobject(py)?.into_any()),
        None => Err(invalid(
            py,
            format!("read-out {read_out:?} has no name in this package"),
        )),
    }
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
        "cross_entropy_last_membrane" => Loss::CrossEntropyLastMembrane,
        "cross_entropy_mean_membrane" => {
            let (first, end) = window(given)?;
            Loss::CrossEntropyMeanMembrane { first, end }
        }
        "cross_entropy_first_spike" => {
            let found: String = get(given, "inverse")?;
            Loss::CrossEntropyFirstSpike(match found.as_str() {
                "negate" => Inverse::Negate,
                "reciprocal" => Inverse::Reciprocal,
                _ => {
                    let expected = "negate or reciprocal";
                    return Err(unknown(given.py(), "inverse", &found, expected));
                }
            })
        }
        "mse_first_spike" => Loss::MseFirstSpike {
            on_target: get(given, "on_target")?,
            off_target: get(given, "off_target")?,
            tolerance: get(given, "tolerance")?,
        },
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
