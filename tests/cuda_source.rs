//! The neuron of the CUDA kernels, `ptx/neuron.cuh`, is generated from the neuron of the library: its
//! equations are run over an arithmetic whose values are lines of C. This test fails where the file is
//! not what the equations give; `ptx/build.sh` writes it anew:
//!
//! ```text
//! SPIKEGRAD_WRITE_NEURON=1 cargo test --release --test cuda_source
//! ```
//!
//! One line is one operation, rounded once, in the order of the Rust source, so the kernels compute
//! what the CPU engine computes. Lines that nothing reads are dropped; no line is written twice.

use std::{cell::RefCell, fmt::Debug, fs, path::Path};

use spikegrad::{
    AdLif, Adaptive, Alpha, Dynamics, Encoder, Leaky, Lsnn, Reset, Surrogate, Synaptic,
    neuron::{Arithmetic, List, Neuron, Num, Shape},
};

const DYNAMICS: [Dynamics; 3] = [
    Dynamics::FireThenIntegrate,
    Dynamics::IntegrateThenFire,
    Dynamics::IntegrateFireReset,
];
const RESETS: [Reset; 3] = [Reset::Subtract, Reset::Zero, Reset::None];
/// In the order of the CUDA engine's numbers of them, which `tests/cuda` holds against the CPU engine.
const SURROGATES: [Surrogate; 5] = [
    Surrogate::Arctan { alpha: 1.0 },
    Surrogate::FastSigmoid { slope: 1.0 },
    Surrogate::Sigmoid { slope: 1.0 },
    Surrogate::Triangular,
    Surrogate::StraightThrough,
];

/// A value of a function in C.
#[derive(Clone, PartialEq)]
enum Value {
    /// A parameter.
    Parameter(&'static str),
    /// A literal.
    Literal(String),
    /// A line of this type; `$0`, `$1`, … in its text stand for earlier values.
    Line(&'static str, &'static str, Vec<usize>),
}

/// What was written down.
#[derive(Default)]
struct Written {
    values: Vec<Value>,
    /// Where slopes of the surrogate were asked for, in the order of [`SLOPES`].
    slopes: Vec<usize>,
}

/// Writes down what it is asked to compute.
#[derive(Clone, Copy)]
struct Text<'a>(&'a RefCell<Written>);

impl<'a> Text<'a> {
    /// The place of a value; an equal one has the same.
    fn put(self, value: Value) -> usize {
        let values = &mut self.0.borrow_mut().values;
        values.iter().position(|v| *v == value).unwrap_or_else(|| {
            values.push(value);
            values.len() - 1
        })
    }

    fn float<const N: usize>(self, text: &'static str, of: [usize; N]) -> usize {
        self.put(Value::Line("float", text, of.to_vec()))
    }
}

impl Arithmetic for Text<'_> {
    type V = usize;
    type S = usize;

    fn number(self, x: f64) -> usize {
        assert!(x.is_finite(), "{x} is no literal of C");
        self.put(Value::Literal(format!("{:?}f", x as f32)))
    }
    fn add(self, a: usize, b: usize) -> usize {
        self.float("$0 + $1", [a, b])
    }
    fn sub(self, a: usize, b: usize) -> usize {
        self.float("$0 - $1", [a, b])
    }
    fn mul(self, a: usize, b: usize) -> usize {
        self.float("$0 * $1", [a, b])
    }
    fn div(self, a: usize, b: usize) -> usize {
        self.float("$0 / $1", [a, b])
    }
    fn mul_add(self, a: usize, b: usize, c: usize) -> usize {
        self.float("__builtin_fmaf($0, $1, $2)", [a, b, c])
    }
    fn sqrt(self, a: usize) -> usize {
        self.float("__nvvm_sqrt_rn_f($0)", [a])
    }
    fn abs(self, a: usize) -> usize {
        self.float("__builtin_fabsf($0)", [a])
    }
    fn exp(self, a: usize) -> usize {
        self.float("exp_clamped($0)", [a])
    }
    fn select(self, x: usize, y: usize, a: usize, b: usize) -> usize {
        self.float("$0 > $1 ? $2 : $3", [x, y, a, b])
    }
    fn fire(self, _: impl Shape, u: usize, theta: usize) -> usize {
        self.put(Value::Line("bool", "$0 > $1", vec![u, theta]))
    }
    fn silent(self) -> usize {
        self.put(Value::Line("bool", "false", Vec::new()))
    }
    fn gate(self, s: usize, a: usize) -> usize {
        self.float("$0 ? $1 : 0.0f", [s, a])
    }
    /// A parameter: the kernel computes all slopes of a step in one place.
    fn slope(self, _: impl Shape, x: usize) -> usize {
        let known = self.0.borrow().slopes.iter().position(|&at| at == x);
        let k = known.unwrap_or_else(|| {
            let slopes = &mut self.0.borrow_mut().slopes;
            slopes.push(x);
            slopes.len() - 1
        });
        self.put(Value::Parameter(SLOPES[k]))
    }
}

/// A parameter of a function in C: one number, or a list of them, by name.
enum Parameter<'a> {
    One(&'static str),
    List(&'static str, &'a [&'static str]),
}
use Parameter::{List as Many, One};

/// A result of a function in C.
enum Of {
    Value(usize),
    List(Vec<usize>),
}

/// A function in C of these parameters, whose results `make` computes. `head` ends where the parameters
/// are listed; one that is not read has no name there.
fn function(
    head: String,
    parameters: &[Parameter<'_>],
    make: impl for<'a> FnOnce(Text<'a>, &[Vec<Num<Text<'a>>>]) -> Vec<Of>,
) -> String {
    let written = RefCell::default();
    let text = Text(&written);
    let put = |name: &&'static str| Num::new(text, text.put(Value::Parameter(name)));
    let given: Vec<Vec<_>> = parameters
        .iter()
        .map(|parameter| match parameter {
            One(name) => vec![put(name)],
            Many(_, names) => names.iter().map(put).collect(),
        })
        .collect();
    let results = make(text, &given);
    let values = written.into_inner().values;
    let read = read(&values, &results);
    let is_read = |name: &str| {
        let mut both = values.iter().zip(&read);
        both.any(|(value, &read)| read && matches!(value, Value::Parameter(of) if *of == name))
    };
    // Those of a list that are read get names of their own first.
    let (mut lines, mut listed): (Vec<String>, Vec<String>) = Default::default();
    for parameter in parameters {
        let (list, names) = match parameter {
            One(name) if is_read(name) => {
                listed.push(format!("float {name}"));
                continue;
            }
            One(_) => {
                listed.push("float".into());
                continue;
            }
            Many(list, names) => (list, names),
        };
        let named = names.iter().enumerate().filter(|(_, name)| is_read(name));
        let named: Vec<_> = named
            .map(|(k, name)| format!("{name} = {list}.of[{k}]"))
            .collect();
        let len = names.len();
        listed.push(match &named[..] {
            [] => format!("List<{len}>"),
            _ => format!("List<{len}> {list}"),
        });
        if !named.is_empty() {
            lines.push(format!("    const float {};\n", named.join(", ")));
        }
    }
    let (mut known, mut count): (Vec<String>, usize) = Default::default();
    for (value, &read) in values.iter().zip(&read) {
        known.push(match value {
            Value::Parameter(name) => (*name).to_owned(),
            Value::Literal(text) => text.clone(),
            Value::Line(..) if !read => String::new(),
            Value::Line(kind, text, of) => {
                let name = format!("{}{count}", &kind[..1]);
                count += 1;
                let operands = of.iter().enumerate();
                let text = operands.fold((*text).to_owned(), |text, (k, &operand)| {
                    text.replace(&format!("${k}"), &known[operand])
                });
                lines.push(format!("    const {kind} {name} = {text};\n"));
                name
            }
        });
    }
    let results = results.iter().map(|result| match result {
        Of::Value(value) => known[*value].clone(),
        Of::List(list) => {
            let list: Vec<_> = list.iter().map(|&value| &known[value][..]).collect();
            format!("{{{}}}", list.join(", "))
        }
    });
    let results: Vec<_> = results.collect();
    let results = match &results[..] {
        [one] => one.clone(),
        several => format!("{{{}}}", several.join(", ")),
    };
    format!(
        "\ntemplate <> INLINE {head}{}) {{\n{}    return {results};\n}}\n",
        listed.join(", "),
        lines.concat(),
    )
}

/// Which values the results are made of.
fn read(values: &[Value], results: &[Of]) -> Vec<bool> {
    let mut read = vec![false; values.len()];
    for result in results {
        match result {
            Of::Value(value) => read[*value] = true,
            Of::List(list) => list.iter().for_each(|&value| read[value] = true),
        }
    }
    for (at, value) in values.iter().enumerate().rev() {
        if let (true, Value::Line(_, _, of)) = (read[at], value) {
            of.iter().for_each(|&operand| read[operand] = true);
        }
    }
    read
}

/// The variants' names, without their fields.
fn names(of: &[impl Debug]) -> Vec<String> {
    let bare = |debug: String| debug.split(' ').next().unwrap_or_default().to_owned();
    of.iter().map(|x| bare(format!("{x:?}"))).collect()
}

fn slope(surrogate: Surrogate) -> String {
    let name = names(&[surrogate]).concat();
    function(
        format!("float slope<{name}>(\n    "),
        &["peak", "scale", "x"].map(One),
        |_, given| {
            let [peak, scale, x] = [0, 1, 2].map(|k| given[k][0]);
            vec![Of::Value(surrogate.slope_with([peak, scale], x).value())]
        },
    )
}

/// What the entries of a neuron's lists are called in C.
const BEFORE: [&str; 3] = ["before", "before_1", "before_2"];
const KEPT: [&str; 4] = ["kept", "kept_1", "kept_2", "kept_3"];
const AFTER: [&str; 3] = ["after", "after_1", "after_2"];
const SLOPES: [&str; 2] = ["slope", "slope_1"];

/// A list of a neuron from the parameters of a function.
fn list<'a, L: List<Num<Text<'a>>>>(of: &[Num<Text<'a>>]) -> L {
    assert_eq!(of.len(), L::LEN);
    L::from_fn(|k| of[k])
}

fn out<'a>(of: impl AsRef<[Num<Text<'a>>]>) -> Of {
    Of::List(of.as_ref().iter().map(|of| of.value()).collect())
}

/// What is the same for all functions of a neuron.
struct Named {
    /// The struct.
    neuron: &'static str,
    constants: Vec<&'static str>,
    before: &'static [&'static str],
    kept: &'static [&'static str],
    after: &'static [&'static str],
}

impl Named {
    fn of<N: Neuron>(neuron: &'static str) -> Self {
        Named {
            neuron,
            constants: N::CONSTANTS.iter().map(|known| known.name).collect(),
            before: &BEFORE[..N::State::<()>::LEN],
            kept: &KEPT[..N::Kept::<()>::LEN],
            after: &AFTER[..N::State::<()>::LEN],
        }
    }

    fn constants(&self) -> Parameter<'_> {
        Many("constants", &self.constants)
    }

    /// A step, and the state after it.
    fn forward<N: Neuron>(&self, rule: N, number: usize) -> String {
        let of = format!("{}, {number}", self.neuron);
        let step = function(
            format!("Step<{}> step<{of}>(\n    ", self.neuron),
            &[
                self.constants(),
                Many("states", self.before),
                One("current"),
            ],
            |_, given| {
                let (spike, kept) = rule.step(list(&given[0]), list(&given[1]), given[2][0]);
                vec![Of::Value(spike.value()), out(kept)]
            },
        );
        let state = function(
            format!("List<{}> state<{of}>(\n    ", self.before.len()),
            &[self.constants(), Many("of_step", self.kept)],
            |_, given| vec![out(rule.state(list(&given[0]), list(&given[1])))],
        );
        step + &state
    }

    /// What the surrogate's slopes are taken of, and the adjoint with them.
    fn backward<N: Neuron>(&self, rule: N, number: usize) -> String {
        let of = format!("{}, {number}", self.neuron);
        let known = || {
            vec![
                self.constants(),
                Many("states", self.before),
                Many("of_step", self.kept),
            ]
        };
        let read = function(
            format!("Read read<{of}>(\n    "),
            &known(),
            |text, given| {
                let any = Num::new(text, text.put(Value::Parameter("arriving")));
                let lists = (list(&given[1]), list(&given[2]), N::State::from_fn(|_| any));
                rule.adjoint(list(&given[0]), lists.0, lists.1, lists.2, any);
                let slopes = text.0.borrow().slopes.clone();
                let count = text.put(Value::Literal(slopes.len().to_string()));
                vec![Of::Value(count), Of::List(slopes)]
            },
        );
        let mut all = known();
        all.extend([
            Many("slopes", &SLOPES),
            Many("arriving", self.after),
            One("spike"),
        ]);
        let adjoint = function(
            format!("Adjoint<{}> adjoint<{of}>(\n    ", self.neuron),
            &all,
            |_, given| {
                let lists = (list(&given[1]), list(&given[2]), list(&given[4]));
                let constants = list(&given[0]);
                let back = rule.adjoint(constants, lists.0, lists.1, lists.2, given[5][0]);
                vec![
                    Of::Value(back.current.value()),
                    out(back.before),
                    out(back.constants),
                ]
            },
        );
        read + &adjoint
    }
}

/// The functions of a neuron. `rule` gives that of a forward variant, of `forwards`, and of what passes a
/// gradient on, of `attachments`: a backward variant has the number `forward + forwards * attachment`.
fn neuron<N: Neuron>(
    name: &'static str,
    [forwards, attachments]: [usize; 2],
    rule: impl Fn(usize, usize) -> N,
) -> String {
    let named = Named::of::<N>(name);
    let mut text = format!(
        "\nstruct {name} {{\n    enum {{ CONSTANTS = {}, STATES = {}, KEPT = {}, FORWARDS = {forwards}, BACKWARDS = {} }};\n}};\n",
        named.constants.len(),
        named.before.len(),
        named.kept.len(),
        forwards * attachments,
    );
    for forward in 0..forwards {
        let steps = |attachment| named.forward(rule(forward, attachment), forward);
        assert!((1..attachments).all(|attachment| steps(attachment) == steps(0)));
        text += &steps(0);
    }
    for attachment in 0..attachments {
        for forward in 0..forwards {
            let number = forward + forwards * attachment;
            text += &named.backward(rule(forward, attachment), number);
        }
    }
    text
}

/// What stands above the functions.
const HEAD: &str = "\
// Generated from src/neuron and src/surrogate.rs by tests/cuda_source.rs; do not edit.
#pragma once
#include \"spikegrad.cuh\"

ENUMS
template <int LEN> struct List {
    float of[LEN];
};

namespace neuron {

// The spike that is sent up, and what is kept of the step.
template <class NEURON> struct Step {
    bool spike;
    List<NEURON::KEPT> kept;
};

// How many slopes of the surrogate a step back takes, and of what.
struct Read {
    u32 count;
    List<2> of;
};

// dL/dI, what goes back to the state before, and this step's share of the derivatives by the constants.
template <class NEURON> struct Adjoint {
    float current;
    List<NEURON::STATES> before;
    List<NEURON::CONSTANTS> constants;
};

// Of each neuron the numbers of its constants, of its state (the membrane first), of what is kept of a step,
// and of the variants of its rule, forward and back; in src/engine/cuda/kind.rs they get their numbers.
template <int SURROGATE> INLINE float slope(float peak, float scale, float x);
template <class NEURON, int FORWARD>
INLINE Step<NEURON> step(List<NEURON::CONSTANTS> constants, List<NEURON::STATES> states, float current);
template <class NEURON, int FORWARD>
INLINE List<NEURON::STATES> state(List<NEURON::CONSTANTS> constants, List<NEURON::KEPT> of_step);
template <class NEURON, int BACKWARD>
INLINE Read read(List<NEURON::CONSTANTS> constants, List<NEURON::STATES> states,
                 List<NEURON::KEPT> of_step);
template <class NEURON, int BACKWARD>
INLINE Adjoint<NEURON> adjoint(List<NEURON::CONSTANTS> constants, List<NEURON::STATES> states,
                               List<NEURON::KEPT> of_step, List<2> slopes,
                               List<NEURON::STATES> arriving, float spike);
";

/// Order of events and reset of a forward variant.
fn events(forward: usize) -> (Dynamics, Reset) {
    (DYNAMICS[forward / 3 % 3], RESETS[forward % 3])
}

/// Whether a setting has the number's bit.
fn has(number: usize, bit: usize) -> bool {
    number >> bit & 1 == 1
}

fn source() -> String {
    // The engine passes them to the kernels by these numbers.
    assert_eq!(DYNAMICS.map(|dynamics| dynamics as usize), [0, 1, 2]);
    assert_eq!(RESETS.map(|reset| reset as usize), [0, 1, 2]);
    let enums = [names(&DYNAMICS), names(&RESETS), names(&SURROGATES)];
    let enums = enums.map(|names| format!("enum {{ {} }};\n", names.join(", ")));
    let mut text = HEAD.replace("ENUMS", &enums.concat());
    text.extend(SURROGATES.map(slope));
    text += &neuron("Leaky", [9, 2], |forward, attached| {
        let (dynamics, reset) = events(forward);
        let leaky = Leaky::new(0.5).dynamics(dynamics).reset(reset);
        leaky.detach_reset(attached == 0).rule()
    });
    text += &neuron("Synaptic", [18, 2], |forward, attached| {
        let (dynamics, reset) = events(forward);
        let synaptic = Synaptic::new(0.5, 0.5).dynamics(dynamics).reset(reset);
        let synaptic = synaptic.old_current(forward >= 9);
        synaptic.detach_reset(attached == 0).rule()
    });
    text += &neuron("Alpha", [3, 1], |forward, _| {
        Alpha::new(0.5, 0.4).reset(RESETS[forward]).rule()
    });
    text += &neuron("Adaptive", [8, 4], |forward, attached| {
        let adaptive = Adaptive::yin(0.5, 0.5)
            .old_membrane(has(forward, 0))
            .scaled(has(forward, 1))
            .normalized(has(forward, 2));
        let adaptive = adaptive.detach_reset(!has(attached, 0));
        adaptive.detach_adaptation(!has(attached, 1)).rule()
    });
    text += &neuron("Lsnn", [1, 2], |_, attached| {
        Lsnn::new(0.5, 0.5, 0.5).detach_reset(attached == 0).rule()
    });
    text += &neuron("AdLif", [1, 1], |_, _| AdLif::new(0.9, 0.98).rule());
    text += &neuron("Encoder", [20, 2], |forward, attached| {
        let encoder = Encoder::new(0.5).normalized(forward % 2 == 1);
        // The last two have the late reset, which is detached.
        if forward >= 18 {
            return encoder.late_reset(true).rule();
        }
        let (dynamics, reset) = events(forward / 2);
        let encoder = encoder.dynamics(dynamics).reset(reset);
        encoder.detach_reset(attached == 0).rule()
    });
    text + "\n} // namespace neuron\n"
}

#[test]
fn the_kernels_have_the_neuron_of_the_library() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ptx/neuron.cuh");
    let wanted = source();
    if std::env::var_os("SPIKEGRAD_WRITE_NEURON").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    let differs = wanted.lines().zip(found.lines()).position(|(a, b)| a != b);
    assert!(
        wanted == found,
        "ptx/neuron.cuh is not what the neuron gives, from line {} on; ptx/build.sh writes it",
        1 + differs.unwrap_or(wanted.lines().count().min(found.lines().count()))
    );
}
