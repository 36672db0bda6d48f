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
    Dynamics, Leaky, Reset, Surrogate, Synaptic,
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

/// Writes down what it is asked to compute.
#[derive(Clone, Copy)]
struct Text<'a>(&'a RefCell<Vec<Value>>);

impl<'a> Text<'a> {
    /// The place of a value; an equal one has the same.
    fn put(self, value: Value) -> usize {
        let mut values = self.0.borrow_mut();
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
    fn slope(self, _: impl Shape, x: usize) -> usize {
        self.float("derivative(rule, $0)", [x])
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
    make: impl for<'a> FnOnce(&[Vec<Num<Text<'a>>>]) -> Vec<Of>,
) -> String {
    let values = RefCell::default();
    let text = Text(&values);
    let put = |name: &&'static str| Num::new(text, text.put(Value::Parameter(name)));
    let given: Vec<Vec<_>> = parameters
        .iter()
        .map(|parameter| match parameter {
            One(name) => vec![put(name)],
            Many(_, names) => names.iter().map(put).collect(),
        })
        .collect();
    let results = make(&given);
    let values = values.into_inner();
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
        |given| {
            let [peak, scale, x] = [0, 1, 2].map(|k| given[k][0]);
            vec![Of::Value(surrogate.slope_with([peak, scale], x).value())]
        },
    )
}

/// What a neuron's lists hold, in C.
struct Named {
    /// The struct.
    neuron: &'static str,
    before: &'static [&'static str],
    kept: &'static [&'static str],
    after: &'static [&'static str],
}

/// The functions of one rule; `variant` are its arguments as a template.
fn functions<N: Neuron>(rule: N, named: &Named, variant: &str, attached: bool) -> [String; 3] {
    let of = format!("{}, {variant}", named.neuron);
    let constants: Vec<_> = N::CONSTANTS.iter().map(|known| known.name).collect();
    let constants = || Many("constants", &constants);
    fn list<'a, L: List<Num<Text<'a>>>>(of: &[Num<Text<'a>>]) -> L {
        assert_eq!(of.len(), L::LEN);
        L::from_fn(|k| of[k])
    }
    fn out<'a>(of: impl AsRef<[Num<Text<'a>>]>) -> Of {
        Of::List(of.as_ref().iter().map(|of| of.value()).collect())
    }
    let step = function(
        format!("Step<{}> step<{of}>(\n    ", named.neuron),
        &[constants(), Many("states", named.before), One("current")],
        |given| {
            let (spike, kept) = rule.step(list(&given[0]), list(&given[1]), given[2][0]);
            vec![Of::Value(spike.value()), out(kept)]
        },
    );
    let state = function(
        format!("List<{}> state<{of}>(\n    ", N::State::<()>::LEN),
        &[constants(), Many("of_step", named.kept)],
        |given| vec![out(rule.state(list(&given[0]), list(&given[1])))],
    );
    let adjoint = function(
        format!(
            "Adjoint<{}> adjoint<{of}, {attached}>(\n    const Rule &rule, ",
            named.neuron
        ),
        &[
            constants(),
            Many("states", named.before),
            Many("of_step", named.kept),
            Many("arriving", named.after),
            One("spike"),
        ],
        |given| {
            let lists = (list(&given[1]), list(&given[2]), list(&given[3]));
            let constants = list(&given[0]);
            let back = rule.adjoint(constants, lists.0, lists.1, lists.2, given[4][0]);
            vec![
                Of::Value(back.current.value()),
                out(back.before),
                out(back.constants),
            ]
        },
    );
    [step, state, adjoint]
}

/// The functions of a neuron under each order of events and each reset.
fn neuron<N: Neuron>(named: &Named, rule: impl Fn(Dynamics, Reset, bool) -> N) -> String {
    let mut text = String::new();
    for dynamics in DYNAMICS {
        for reset in RESETS {
            let variant = format!("{dynamics:?}, {reset:?}");
            let functions =
                |detach| functions(rule(dynamics, reset, detach), named, &variant, !detach);
            let [step, state, detached] = functions(true);
            let [same_step, same_state, attached] = functions(false);
            assert_eq!([&step, &state], [&same_step, &same_state]);
            text.extend([step, state, detached]);
            if reset != Reset::None {
                text.push_str(&attached); // nothing passes where nothing is reset
            }
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
struct Rule;
// The slope of the rule's surrogate.
INLINE float derivative(const Rule &rule, float x);

template <int LEN> struct List {
    float of[LEN];
};

namespace neuron {

// Of src/neuron/leaky.rs. How many constants, and how much state: the membrane first; as much is kept.
struct Leaky {
    enum { CONSTANTS = 2, STATES = 1 };
};

// Of src/neuron/synaptic.rs; OLD: whether the membrane reads the current of the step before.
template <bool OLD> struct Synaptic {
    enum { CONSTANTS = 4, STATES = 2 };
};

// The spike that is sent up, and what is kept of the step.
template <class NEURON> struct Step {
    bool spike;
    List<NEURON::STATES> kept;
};

// dL/dI, what goes back to the state before, and this step's share of the derivatives by the constants.
template <class NEURON> struct Adjoint {
    float current;
    List<NEURON::STATES> before;
    List<NEURON::CONSTANTS> constants;
};

template <int SURROGATE> INLINE float slope(float peak, float scale, float x);
template <class NEURON, int DYNAMICS, int RESET>
INLINE Step<NEURON> step(List<NEURON::CONSTANTS> constants, List<NEURON::STATES> states, float current);
template <class NEURON, int DYNAMICS, int RESET>
INLINE List<NEURON::STATES> state(List<NEURON::CONSTANTS> constants, List<NEURON::STATES> of_step);
template <class NEURON, int DYNAMICS, int RESET, bool ATTACHED>
INLINE Adjoint<NEURON> adjoint(const Rule &rule, List<NEURON::CONSTANTS> constants,
                               List<NEURON::STATES> states, List<NEURON::STATES> of_step,
                               List<NEURON::STATES> arriving, float spike);
";

fn source() -> String {
    // The engine passes them to the kernels by these numbers.
    assert_eq!(DYNAMICS.map(|dynamics| dynamics as usize), [0, 1, 2]);
    assert_eq!(RESETS.map(|reset| reset as usize), [0, 1, 2]);
    let enums = [names(&DYNAMICS), names(&RESETS), names(&SURROGATES)];
    let enums = enums.map(|names| format!("enum {{ {} }};\n", names.join(", ")));
    let mut text = HEAD.replace("ENUMS", &enums.concat());
    text.extend(SURROGATES.map(slope));
    let leaky = Named {
        neuron: "Leaky",
        before: &["before"],
        kept: &["kept"],
        after: &["after"],
    };
    text += &neuron(&leaky, |dynamics, reset, detach| {
        let leaky = Leaky::new(0.5).dynamics(dynamics).reset(reset);
        leaky.detach_reset(detach).rule()
    });
    for old in [false, true] {
        let synaptic = Named {
            neuron: if old {
                "Synaptic<true>"
            } else {
                "Synaptic<false>"
            },
            before: &["before", "current_before"],
            kept: &["kept", "current_kept"],
            after: &["after", "current_after"],
        };
        text += &neuron(&synaptic, |dynamics, reset, detach| {
            let synaptic = Synaptic::new(0.5, 0.5).dynamics(dynamics).reset(reset);
            synaptic.detach_reset(detach).old_current(old).rule()
        });
    }
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
