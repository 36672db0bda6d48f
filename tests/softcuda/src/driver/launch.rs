//! `cuLaunchKernel`: the checks of a launch, and what becomes of a violation.

use std::ffi::{c_uint, c_void};

use super::entries;
use super::state::{Driver, Handle};
use crate::error::Code;
use crate::exec::{Launch, Options, run};

type Result<T = ()> = std::result::Result<T, Code>;

/// What a launch may have without opting in.
const SHARED_DEFAULT: u64 = 49152;

struct Request {
    function: Handle,
    grid: [u32; 3],
    block: [u32; 3],
    dynamic: u32,
    parameters: *mut *mut c_void,
    stream: Handle,
}

impl Driver {
    fn launch(&mut self, request: &Request) -> Result {
        self.launches += 1;
        if self.launches == self.config.fail_launch {
            let code = Code::ERROR_LAUNCH_FAILED;
            self.say(format!("injected: launch {} fails", self.launches));
            self.fail(code);
            return Err(code);
        }
        let function = self.function(request.function)?;
        self.check(request)?;
        let parameters = self.parameters(request)?;
        let Some(loaded) = self.modules.get(&function.module) else {
            return Err(Code::ERROR_INVALID_HANDLE);
        };
        let kernel = &loaded.module.kernels[function.kernel];
        let launch = Launch {
            kernel,
            grid: request.grid,
            block: request.block,
            dynamic_shared: request.dynamic,
            parameters: &parameters,
            source: &loaded.module.source,
        };
        let options = Options {
            budget: self.config.budget,
            shared_races: self.config.shared_races,
            global_races: self.config.global_races,
        };
        let memory = &mut self.devices[loaded.device].memory;
        let (stats, result) = run(memory, &launch, &options);
        let name = kernel.name.clone();
        self.stats.entry(name.clone()).or_default().add(&stats);
        let (operation, clock) = self.begin(request.stream, &format!("kernel `{name}`"));
        self.kernel_uses(&operation, &clock)?;
        if let Err(violation) = result {
            let code = violation.rule.code();
            self.say(violation.to_string());
            self.fail(code);
            // A real launch returns before the kernel has run.
            return if self.config.deferred {
                Ok(())
            } else {
                Err(code)
            };
        }
        Ok(())
    }

    /// The limits of the device and of the kernel.
    fn check(&mut self, request: &Request) -> Result {
        let function = self.function(request.function)?;
        let limit = u64::from(self.config.shared_limit);
        let device = self.device()?;
        let home = self
            .modules
            .get(&function.module)
            .map(|loaded| loaded.device);
        let kernel = self.kernel(request.function)?;
        let name = kernel.name.clone();
        let [bx, by, bz] = request.block.map(u64::from);
        let [gx, gy, gz] = request.grid.map(u64::from);
        let threads = bx * by * bz;
        let (fixed, dynamic) = (kernel.shared_bytes(), u64::from(request.dynamic));
        let allowed = match function.dynamic_limit {
            0 => SHARED_DEFAULT.saturating_sub(fixed),
            opted => u64::from(opted),
        };
        let invalid = Code::ERROR_INVALID_VALUE;
        let complaint = if home != Some(device) {
            Some((
                Code::ERROR_INVALID_HANDLE,
                "the kernel belongs to another device".to_owned(),
            ))
        } else if threads == 0 || bx > 1024 || by > 1024 || bz > 64 || threads > 1024 {
            Some((invalid, format!("a block of {bx} x {by} x {bz} threads")))
        } else if gx * gy * gz == 0 || gx > 0x7fff_ffff || gy > 65535 || gz > 65535 {
            Some((invalid, format!("a grid of {gx} x {gy} x {gz} blocks")))
        } else if threads > kernel.max_threads {
            Some((
                invalid,
                format!("{threads} threads, `.maxntid` is {}", kernel.max_threads),
            ))
        } else if kernel
            .required
            .is_some_and(|required| required != request.block)
        {
            Some((
                invalid,
                format!(
                    "a block of {bx} x {by} x {bz}, `.reqntid` is {:?}",
                    kernel.required
                ),
            ))
        } else if dynamic > allowed || fixed + dynamic > limit {
            Some((
                invalid,
                format!(
                    "{fixed} + {dynamic} bytes of shared memory; {allowed} bytes of dynamic memory are allowed"
                ),
            ))
        } else {
            None
        };
        match complaint {
            Some((code, text)) => self.refuse(code, format!("launch of `{name}` refused: {text}")),
            None => Ok(()),
        }
    }

    /// Copies the arguments, whose sizes are those of the kernel's parameters.
    fn parameters(&mut self, request: &Request) -> Result<Vec<u8>> {
        let kernel = self.kernel(request.function)?;
        let mut bytes = vec![0; kernel.parameter_bytes as usize];
        let sizes: Vec<(usize, usize)> = kernel
            .parameters
            .iter()
            .map(|p| (p.offset as usize, p.bytes as usize))
            .collect();
        let name = kernel.name.clone();
        for (number, (offset, size)) in sizes.into_iter().enumerate() {
            let argument = if request.parameters.is_null() {
                std::ptr::null_mut()
            } else {
                // SAFETY: the caller promises a pointer for each of the kernel's parameters.
                unsafe { request.parameters.add(number).read() }
            };
            if argument.is_null() {
                let line = format!("launch of `{name}` refused: argument {number} is missing");
                return self.refuse(Code::ERROR_INVALID_VALUE, line);
            }
            // SAFETY: not null, and the caller promises an argument of the parameter's size there.
            let argument = unsafe { std::slice::from_raw_parts(argument.cast::<u8>(), size) };
            bytes[offset..offset + size].copy_from_slice(argument);
        }
        Ok(bytes)
    }
}

entries! {
    fn cuLaunchKernel(
        function: Handle,
        grid_x: c_uint, grid_y: c_uint, grid_z: c_uint,
        block_x: c_uint, block_y: c_uint, block_z: c_uint,
        dynamic: c_uint, stream: Handle,
        parameters: *mut *mut c_void, extra: *mut *mut c_void,
    ) needs Context |driver| {
        driver.stream(stream)?;
        if !extra.is_null() {
            return driver.refuse(Code::ERROR_NOT_SUPPORTED, "launch arguments by `extra` are not supported");
        }
        let grid = [grid_x, grid_y, grid_z];
        let block = [block_x, block_y, block_z];
        driver.launch(&Request { function, grid, block, dynamic, parameters, stream })
    };
}
