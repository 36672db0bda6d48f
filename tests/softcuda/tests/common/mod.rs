//! Runs PTX in process, without the driver's entry points: a device, buffers, launches.
#![allow(dead_code)]

use softcuda::error::{LoadError, Rule, Violation};
use softcuda::exec::{KernelStats, Launch, Options, run};
use softcuda::memory::DeviceMemory;
use softcuda::memory::segment::Role;
use softcuda::module::Module;

/// A PTX module around `body`, which is what stands between the braces of the entry `k`.
pub fn ptx(parameters: &str, body: &str) -> String {
    format!(
        ".version 6.0\n.target sm_70\n.address_size 64\n.visible .entry k({parameters})\n{{\n\
         .reg .pred %p<20>;\n.reg .b16 %h<20>;\n.reg .b32 %r<40>;\n.reg .f32 %f<40>;\n\
         .reg .b64 %rd<40>;\n.reg .f64 %fd<20>;\n{body}\n}}\n"
    )
}

/// An argument of a launch, as the bytes that the kernel's parameter gets.
pub enum Arg {
    Bytes(Vec<u8>),
}

macro_rules! arg {
    ($($ty:ty),*) => {
        $(impl From<$ty> for Arg {
            fn from(value: $ty) -> Self {
                Arg::Bytes(value.to_le_bytes().to_vec())
            }
        })*
    };
}
arg!(u32, i32, u64, f32, f64);

pub struct Gpu {
    pub memory: DeviceMemory,
    pub options: Options,
    pub stats: KernelStats,
    calls: u64,
}

impl Gpu {
    pub fn new() -> Self {
        Self {
            memory: DeviceMemory::new(1 << 30),
            options: Options::default(),
            stats: KernelStats::default(),
            calls: 0,
        }
    }

    pub fn module(&mut self, source: &str) -> Result<Module, LoadError> {
        Module::load(source, &mut self.memory)
    }

    pub fn alloc(&mut self, bytes: u64) -> u64 {
        self.calls += 1;
        let name = format!("allocation {}", self.calls);
        self.memory
            .allocate(bytes, Role::Global, name)
            .expect("memory suffices")
    }

    pub fn free(&mut self, address: u64) {
        self.memory.free(address, 77).expect("it is allocated");
    }

    pub fn upload<T: Bits>(&mut self, values: &[T]) -> u64 {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.bits()).collect();
        let address = self.alloc(bytes.len() as u64);
        self.memory
            .write(address, &bytes)
            .expect("it was just allocated");
        address
    }

    pub fn f32s(&mut self, address: u64, count: usize) -> Vec<f32> {
        self.u32s(address, count)
            .into_iter()
            .map(f32::from_bits)
            .collect()
    }

    pub fn u32s(&mut self, address: u64, count: usize) -> Vec<u32> {
        let bytes = self
            .memory
            .read(address, 4 * count as u64)
            .expect("all of it was written");
        bytes
            .chunks(4)
            .map(|c| u32::from_le_bytes(c.try_into().expect("four bytes")))
            .collect()
    }

    pub fn u64s(&mut self, address: u64, count: usize) -> Vec<u64> {
        let bytes = self
            .memory
            .read(address, 8 * count as u64)
            .expect("all of it was written");
        bytes
            .chunks(8)
            .map(|c| u64::from_le_bytes(c.try_into().expect("eight bytes")))
            .collect()
    }

    pub fn launch(
        &mut self,
        module: &Module,
        kernel: &str,
        grid: [u32; 3],
        block: [u32; 3],
        dynamic_shared: u32,
        args: &[Arg],
    ) -> Result<(), Violation> {
        let kernel = module.kernel(kernel).expect("the module has the kernel");
        assert_eq!(kernel.parameters.len(), args.len(), "arguments");
        let mut parameters = vec![0; kernel.parameter_bytes as usize];
        for (parameter, Arg::Bytes(bytes)) in kernel.parameters.iter().zip(args) {
            assert_eq!(
                parameter.bytes,
                bytes.len() as u64,
                "the size of an argument"
            );
            let at = parameter.offset as usize;
            parameters[at..at + bytes.len()].copy_from_slice(bytes);
        }
        let launch = Launch {
            kernel,
            grid,
            block,
            dynamic_shared,
            parameters: &parameters,
            source: &module.source,
        };
        let (stats, result) = run(&mut self.memory, &launch, &self.options);
        self.stats = stats;
        result
    }
}

pub trait Bits {
    fn bits(&self) -> Vec<u8>;
}

macro_rules! bits {
    ($($ty:ty),*) => {
        $(impl Bits for $ty {
            fn bits(&self) -> Vec<u8> {
                self.to_le_bytes().to_vec()
            }
        })*
    };
}
bits!(f32, u32, i32, u8, f64);

/// Runs a body that breaks a rule, and returns the violation.
#[track_caller]
pub fn broken(gpu: &mut Gpu, source: &str, block: u32, args: &[Arg]) -> Violation {
    broken_with(gpu, source, [1, 1, 1], block, 0, args)
}

#[track_caller]
pub fn broken_with(
    gpu: &mut Gpu,
    source: &str,
    grid: [u32; 3],
    block: u32,
    shared: u32,
    args: &[Arg],
) -> Violation {
    let module = gpu.module(source).expect("the module loads");
    match gpu.launch(&module, "k", grid, [block, 1, 1], shared, args) {
        Err(violation) => violation,
        Ok(()) => panic!("the kernel ran to its end"),
    }
}

#[track_caller]
pub fn assert_rule(violation: &Violation, rule: Rule, words: &[&str]) {
    let text = violation.to_string();
    assert_eq!(violation.rule, rule, "{text}");
    for word in words {
        assert!(text.contains(word), "`{word}` is missing in: {text}");
    }
}

/// A repeatable sequence of floats in [-1, 1).
pub fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}
