//! Every engine in single precision, by name: each is a test of its own, so that one's failure hides
//! no other's.
#![allow(dead_code)] // each test uses a part of it

use spikegrad::{CpuEngine, Device, Engine, Network, Objective, Optimizer, ReferenceEngine};

use crate::skip::skipped;

/// Makes an engine.
pub type Make = Box<dyn Fn(Network, Objective, Optimizer) -> Box<dyn Engine>>;

/// The engine of this name, if this machine has it: one of [`on_every_engine`]'s.
pub fn engine(name: &'static str) -> Option<Make> {
    match name {
        "reference" => Some(Box::new(|n, o, a| {
            Box::new(ReferenceEngine::new(n, o, a).unwrap())
        })),
        "cpu" => Some(Box::new(|n, o, a| Device::Cpu.engine(n, o, a).unwrap())),
        #[cfg(feature = "cuda")]
        "cuda" if crate::skip::cuda() => {
            Some(Box::new(|n, o, a| Device::Cuda(0).engine(n, o, a).unwrap()))
        }
        #[cfg(feature = "cuda")]
        "cuda" => None,
        isa if CpuEngine::instruction_sets().contains(&isa) => Some(Box::new(move |n, o, a| {
            Box::new(CpuEngine::with_instruction_set(n, o, a, isa).unwrap())
        })),
        "AVX2" | "AVX-512" => {
            skipped(format_args!("this machine has no {name}"));
            None
        }
        _ => panic!("no engine is named {name}"),
    }
}

/// Runs a test on the engine of this name, if this machine has it.
pub fn on(name: &'static str, test: impl Fn(&str, &Make)) {
    if let Some(make) = engine(name) {
        test(name, &make);
    }
}

/// One test for each engine of a function that takes the engine's name and what makes it; a module of
/// the function's name. Each instruction set of the CPU engine counts as an engine.
macro_rules! on_every_engine {
    ($test:ident) => {
        mod $test {
            use super::$test as test;
            use crate::engines::on;

            #[test]
            fn reference() {
                on("reference", test);
            }

            #[test]
            fn cpu() {
                on("cpu", test);
            }

            #[test]
            #[cfg(not(target_arch = "x86_64"))]
            fn portable() {
                on("portable", test);
            }

            #[test]
            #[cfg(target_arch = "x86_64")]
            fn sse2() {
                on("SSE2", test);
            }

            #[test]
            #[cfg(target_arch = "x86_64")]
            fn avx2() {
                on("AVX2", test);
            }

            #[test]
            #[cfg(target_arch = "x86_64")]
            fn avx_512() {
                on("AVX-512", test);
            }

            #[test]
            #[cfg(target_arch = "aarch64")]
            fn neon() {
                on("NEON", test);
            }

            /// On a GPU or the software driver.
            #[test]
            #[cfg(feature = "cuda")]
            fn cuda() {
                on("cuda", test);
            }
        }
    };
}
