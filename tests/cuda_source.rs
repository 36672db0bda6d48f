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
    Dynamics, Leaky, Reset, Surrogate,
    neuron::{Arithmetic, Neuron, Num, Shape},
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
    fn gate(self, s: usize, a: usize) -> usize {
        self.float("$0 ? $1 : 0.0f", [s, a])
    }
    fn slope(self, _: impl Shape, x: usize) -> usize {
        self.float("derivative(rule, $0)", [x])
    }
}

/// A function in C of numbers with these names, whose results `make` computes. `head` ends where they
/// are listed; one that is not read has no name in the list.
fn function<const N: usize, const R: usize>(
    head: String,
    names: [&'static str; N],
    make: impl for<'a> FnOnce([Num<Text<'a>>; N]) -> [usize; R],
) -> String {
    let values = RefCell::default();
    let text = Text(&values);
    let results = make(names.map(|name| Num::new(text, text.put(Value::Parameter(name)))));
    let values = values.into_inner();
    let read = read(&values, &results);
    let (mut lines, mut known): (Vec<String>, Vec<String>) = Default::default();
    for (value, &read) in values.iter().zip(&read) {
        known.push(match value {
            Value::Parameter(name) => (*name).to_owned(),
            Value::Literal(text) => text.clone(),
            Value::Line(..) if !read => String::new(),
            Value::Line(kind, text, of) => {
                let name = format!("{}{}", &kind[..1], lines.len());
                let operands = of.iter().enumerate();
                let text = operands.fold((*text).to_owned(), |text, (k, &operand)| {
                    text.replace(&format!("${k}"), &known[operand])
                });
                lines.push(format!("    const {kind} {name} = {text};\n"));
                name
            }
        });
    }
    let parameters = names.iter().zip(&read).map(|(name, &read)| match read {
        true => format!("float {name}"),
        false => "float".to_owned(),
    });
    let parameters: Vec<_> = parameters.collect();
    let results = results.map(|result| &known[result][..]);
    let results = match &results[..] {
        [one] => (*one).to_owned(),
        several => format!("{{{}}}", several.join(", ")),
    };
    format!(
        "\ntemplate <> INLINE {head}{}) {{\n{}    return {results};\n}}\n",
        parameters.join(", "),
        lines.concat(),
    )
}

/// Which values the results are made of.
fn read(values: &[Value], results: &[usize]) -> Vec<bool> {
    let mut read = vec![false; values.len()];
    results.iter().for_each(|&result| read[result] = true);
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
        ["peak", "scale", "x"],
        |[peak, scale, x]| [surrogate.slope_with([peak, scale], x).value()],
    )
}

/// The functions of one rule.
fn functions(dynamics: Dynamics, reset: Reset, detach: bool) -> [String; 3] {
    let rule = Leaky::new(0.5)
        .dynamics(dynamics)
        .reset(reset)
        .detach_reset(detach)
        .rule();
    let of = format!("{dynamics:?}, {reset:?}");
    let step = function(
        format!("Step step<{of}>(\n    "),
        ["beta", "theta", "before", "current"],
        |[beta, theta, before, current]| {
            let (spike, [kept]) = rule.step([beta, theta], [before], current);
            [spike.value(), kept.value()]
        },
    );
    let state = function(
        format!("float state<{of}>(\n    "),
        ["beta", "theta", "kept"],
        |[beta, theta, kept]| rule.state([beta, theta], [kept]).map(Num::value),
    );
    let adjoint = function(
        format!(
            "Adjoint adjoint<{of}, {}>(\n    const Rule &rule, ",
            !detach
        ),
        ["beta", "theta", "before", "kept", "after", "spike"],
        |[beta, theta, before, kept, after, spike]| {
            let back = rule.adjoint([beta, theta], [before], [kept], [after], spike);
            let ([before], [beta, theta]) = (back.before, back.constants);
            [back.current, before, beta, theta].map(Num::value)
        },
    );
    [step, state, adjoint]
}

/// What stands above the functions.
const HEAD: &str = "\
// Generated from src/neuron/leaky.rs and src/surrogate.rs by tests/cuda_source.rs; do not edit.
#pragma once
#include \"spikegrad.cuh\"

ENUMS
struct Rule;
// The slope of the rule's surrogate.
INLINE float derivative(const Rule &rule, float x);

namespace neuron {

// The spike that is sent up, and what is kept of the step.
struct Step {
    bool spike;
    float kept;
};

// dL/dI, what goes back to the state before, and this step's share of dL/dbeta and dL/dtheta.
struct Adjoint {
    float current, before, beta, theta;
};

template <int SURROGATE> INLINE float slope(float peak, float scale, float x);
template <int DYNAMICS, int RESET> INLINE Step step(float beta, float theta, float before, float current);
template <int DYNAMICS, int RESET> INLINE float state(float beta, float theta, float kept);
template <int DYNAMICS, int RESET, bool ATTACHED>
INLINE Adjoint adjoint(const Rule &rule, float beta, float theta, float before, float kept, float after,
                       float spike);
";

fn source() -> String {
    // The engine passes them to the kernels by these numbers.
    assert_eq!(DYNAMICS.map(|dynamics| dynamics as usize), [0, 1, 2]);
    assert_eq!(RESETS.map(|reset| reset as usize), [0, 1, 2]);
    let enums = [names(&DYNAMICS), names(&RESETS), names(&SURROGATES)];
    let enums = enums.map(|names| format!("enum {{ {} }};\n", names.join(", ")));
    let mut text = HEAD.replace("ENUMS", &enums.concat());
    text.extend(SURROGATES.map(slope));
    for dynamics in DYNAMICS {
        for reset in RESETS {
            let [step, state, detached] = functions(dynamics, reset, true);
            let [same_step, same_state, attached] = functions(dynamics, reset, false);
            assert_eq!([&step, &state], [&same_step, &same_state]);
            text.extend([step, state, detached]);
            if reset != Reset::None {
                text.push_str(&attached); // nothing passes where nothing is reset
            }
        }
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
