//! Which kernels run a layer's neurons, and the numbers that they have for its rule.

use crate::{
    Surrogate,
    neuron::{
        Constant, Dynamics, Neurons, Reset, adaptive, adlif, alpha, encoder, integrator, lapicque,
        leaky, lsnn, synaptic,
    },
};

/// The neurons that have kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Leaky,
    /// Also those that never fire, and those whose current ends with its step.
    Synaptic,
    Alpha,
    Adaptive,
    Lsnn,
    AdLif,
    Encoder,
}

/// The kernels of a kind, in `ptx/any.cuh`.
#[derive(Debug)]
pub struct Kernels {
    pub forward: &'static str,
    pub backward: &'static str,
    /// Their PTX.
    pub source: &'static str,
    /// How many numbers the state of a neuron has there, and how many are kept of a step.
    pub states: usize,
    pub kept: usize,
}

macro_rules! kernels {
    ($name:literal, $states:literal, $kept:literal) => {
        &Kernels {
            forward: concat!($name, "_forward"),
            backward: concat!($name, "_backward"),
            source: include_str!(concat!("../../../ptx/", $name, ".ptx")),
            states: $states,
            kept: $kept,
        }
    };
}

impl Kind {
    pub fn kernels(self) -> &'static Kernels {
        match self {
            Kind::Leaky => kernels!("leaky", 1, 1),
            Kind::Synaptic => kernels!("synaptic", 2, 2),
            Kind::Alpha => kernels!("alpha", 3, 3),
            Kind::Adaptive => kernels!("adaptive", 3, 4),
            Kind::Lsnn => kernels!("lsnn", 3, 3),
            Kind::AdLif => kernels!("adlif", 2, 3),
            Kind::Encoder => kernels!("encoder", 2, 3),
        }
    }
}

/// What the kernels are told of a layer's neurons.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub kind: Kind,
    /// The numbers of the variant forward and back, as `tests/cuda_source.rs` gives them.
    pub forward: u32,
    pub backward: u32,
    pub surrogate: Surrogate,
    /// Whether the recorded membrane is not the first number that is kept of a step.
    pub pre_differs: bool,
}

/// How a membrane that never fires is told to.
const SILENT: leaky::Rule = leaky::Rule {
    dynamics: Dynamics::IntegrateThenFire,
    reset: Reset::None,
    detach_reset: true,
    surrogate: Surrogate::Arctan { alpha: 2.0 },
};

impl Rule {
    /// That of these neurons, if they have kernels.
    pub fn of(neurons: &Neurons) -> Option<Self> {
        let of_membrane = |kind, m: leaky::Rule, forward, forwards| Rule {
            kind,
            forward,
            backward: forward + forwards * u32::from(m.attached()),
            surrogate: m.surrogate,
            pre_differs: m.pre_differs(),
        };
        let synaptic = |m, old_current| {
            let forward = events(m) + 9 * u32::from(old_current);
            of_membrane(Kind::Synaptic, m, forward, 18)
        };
        let plain = |kind, surrogate, forward, backward| Rule {
            kind,
            forward,
            backward,
            surrogate,
            pre_differs: false,
        };
        if let Some(&m) = neurons.equations::<leaky::Rule>() {
            return Some(of_membrane(Kind::Leaky, m, events(m), 9));
        }
        if let Some(rule) = neurons.equations::<synaptic::Rule>() {
            return Some(synaptic(rule.membrane, rule.old_current));
        }
        // A current-based neuron whose threshold nothing reaches, without a reset: its surrogate is 0.
        if let Some(rule) = neurons.equations::<integrator::Rule>() {
            return Some(synaptic(SILENT, rule.old_current));
        }
        // A current-based neuron whose current ends with its step.
        if let Some(rule) = neurons.equations::<lapicque::Rule>() {
            return Some(synaptic(rule.membrane, false));
        }
        if let Some(rule) = neurons.equations::<alpha::Rule>() {
            let number = rule.reset as u32;
            return Some(plain(Kind::Alpha, rule.surrogate, number, number));
        }
        if let Some(rule) = neurons.equations::<adaptive::Rule>() {
            let forward = bits([rule.old_membrane, rule.scaled, rule.normalized]);
            let attached = bits([!rule.detach_reset, !rule.detach_adaptation]);
            let backward = forward + 8 * attached;
            return Some(plain(Kind::Adaptive, rule.surrogate, forward, backward));
        }
        if let Some(rule) = neurons.equations::<lsnn::Rule>() {
            let attached = u32::from(!rule.detach_reset);
            return Some(Rule {
                pre_differs: true,
                ..plain(Kind::Lsnn, rule.surrogate, 0, attached)
            });
        }
        if let Some(rule) = neurons.equations::<adlif::Rule>() {
            return Some(plain(Kind::AdLif, rule.surrogate, 0, 0));
        }
        let rule = neurons.equations::<encoder::Rule>()?;
        let order = if rule.late_reset {
            9
        } else {
            events(rule.membrane)
        };
        let forward = 2 * order + u32::from(rule.normalized);
        Some(of_membrane(Kind::Encoder, rule.membrane, forward, 20))
    }
}

/// The number of an order of events with a reset.
fn events(m: leaky::Rule) -> u32 {
    3 * m.dynamics as u32 + m.reset as u32
}

/// The number with these bits, the lowest first.
fn bits<const N: usize>(of: [bool; N]) -> u32 {
    of.into_iter()
        .rev()
        .fold(0, |number, bit| 2 * number + u32::from(bit))
}

/// Constants of the kernel that these neurons do not have, and their values: before their own, and
/// after them.
pub fn added(neurons: &Neurons) -> [Option<(Constant, f32)>; 2] {
    match () {
        () if neurons.equations::<integrator::Rule>().is_some() => {
            [None, Some((Constant::THRESHOLD, f32::MAX))]
        }
        () if neurons.equations::<lapicque::Rule>().is_some() => {
            [Some((Constant::SYNAPSE, 0.0)), None]
        }
        () => [None, None],
    }
}
