//! Modules, functions and their attributes, occupancy.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::context::{BLOCKS_PER_MULTIPROCESSOR, MULTIPROCESSORS, THREADS_PER_MULTIPROCESSOR};
use super::state::{Driver, Function, Handle, LoadedModule};
use super::{entries, put, text};
use crate::decode::form::Kernel;
use crate::error::Code;
use crate::module::{Module, PTX_VERSION};

type Result<T = ()> = std::result::Result<T, Code>;

impl Driver {
    fn load(&mut self, source: &str) -> Result<Handle> {
        self.loads += 1;
        if self.loads == self.config.fail_module {
            let line = format!("injected: module {} does not load", self.loads);
            return self.refuse(Code::ERROR_INVALID_PTX, line);
        }
        let device = self.device()?;
        let module = match Module::load(source, &mut self.devices[device].memory) {
            Ok(module) => module,
            Err(error) => {
                self.violations += 1;
                let code = match error.message.contains("is too new") {
                    true => Code::ERROR_UNSUPPORTED_PTX_VERSION,
                    false => Code::ERROR_INVALID_PTX,
                };
                let newest = PTX_VERSION;
                return self.refuse(
                    code,
                    format!("a module is refused (PTX up to {newest:?}): {error}"),
                );
            }
        };
        if module.target > self.config.capability {
            let line = format!(
                "the module is for sm_{}, the device is sm_{}",
                module.target, self.config.capability
            );
            let call = self.calls;
            module.unload(&mut self.devices[device].memory, call);
            return self.refuse(Code::ERROR_NO_BINARY_FOR_GPU, line);
        }
        let handle = self.handle();
        self.modules.insert(handle, LoadedModule { module, device });
        Ok(handle)
    }

    /// Loads what `image` points to: PTX text that ends in a NUL byte. Anything else is refused.
    fn load_image(&mut self, image: *const c_void) -> Result<Handle> {
        if image.is_null() {
            return Err(Code::ERROR_INVALID_VALUE);
        }
        // SAFETY: not null; every image that the driver API knows has at least four bytes.
        let start = unsafe { std::slice::from_raw_parts(image.cast::<u8>(), 4) };
        if start == b"\x7fELF" || start == [0x50, 0xed, 0x55, 0xba] {
            return self.refuse(
                Code::ERROR_INVALID_IMAGE,
                "cubin and fatbin images are not supported",
            );
        }
        match text(image.cast()) {
            Ok(source) => self.load(&source),
            Err(_) => self.refuse(Code::ERROR_INVALID_IMAGE, "a module that is not text"),
        }
    }

    pub fn function(&mut self, handle: Handle) -> Result<Function> {
        match self.functions.get(&handle) {
            Some(function) => Ok(*function),
            None => self.refuse(
                Code::ERROR_INVALID_HANDLE,
                format!("there is no function {handle:#x}"),
            ),
        }
    }

    pub fn kernel(&mut self, handle: Handle) -> Result<&Kernel> {
        let function = self.function(handle)?;
        let loaded = self
            .modules
            .get(&function.module)
            .ok_or(Code::ERROR_INVALID_HANDLE)?;
        Ok(&loaded.module.kernels[function.kernel])
    }

    fn blocks_per_multiprocessor(
        &mut self,
        function: Handle,
        threads: c_int,
        dynamic: usize,
    ) -> Result<c_int> {
        let limit = u64::from(self.config.shared_limit);
        let kernel = self.kernel(function)?;
        if threads <= 0 {
            return Err(Code::ERROR_INVALID_VALUE);
        }
        if threads as u64 > kernel.max_threads {
            return Ok(0);
        }
        let by_threads =
            THREADS_PER_MULTIPROCESSOR / (threads as u32).next_multiple_of(32) as c_int;
        let shared = kernel.shared_bytes() + dynamic as u64;
        let by_shared = limit
            .checked_div(shared)
            .map_or(c_int::MAX, |blocks| blocks as c_int);
        Ok(by_threads.min(by_shared).min(BLOCKS_PER_MULTIPROCESSOR))
    }
}

entries! {
    fn cuModuleLoadData(module: *mut Handle, image: *const c_void) needs Context |driver| {
        let handle = driver.load_image(image)?;
        put(module, handle)
    };
    fn cuModuleLoadDataEx(
        module: *mut Handle, image: *const c_void, _count: c_uint, _options: *mut c_uint,
        _values: *mut *mut c_void,
    ) needs Context |driver| {
        let handle = driver.load_image(image)?;
        put(module, handle)
    };
    fn cuModuleLoadFatBinary(_module: *mut Handle, _image: *const c_void) needs Context |driver| {
        driver.refuse(Code::ERROR_INVALID_IMAGE, "fatbin images are not supported")
    };
    fn cuModuleLoad(module: *mut Handle, path: *const c_char) needs Context |driver| {
        let path = text(path)?;
        let source = match std::fs::read_to_string(&path) {
            Ok(source) => source,
            Err(error) => return driver.refuse(Code::ERROR_FILE_NOT_FOUND, format!("{path}: {error}")),
        };
        let handle = driver.load(source.trim_end_matches('\0'))?;
        put(module, handle)
    };
    fn cuModuleUnload(module: Handle) needs Cleanup |driver| {
        let Some(loaded) = driver.modules.remove(&module) else {
            return driver.refuse(Code::ERROR_INVALID_HANDLE, format!("there is no module {module:#x}"));
        };
        let call = driver.calls;
        loaded.module.unload(&mut driver.devices[loaded.device].memory, call);
        driver.functions.retain(|_, function| function.module != module);
        Ok(())
    };
    fn cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char) needs Context |driver| {
        let name = text(name)?;
        let Some(loaded) = driver.modules.get(&module) else {
            return driver.refuse(Code::ERROR_INVALID_HANDLE, format!("there is no module {module:#x}"));
        };
        let Some(kernel) = loaded.module.kernels.iter().position(|kernel| kernel.name == name) else {
            return driver.refuse(Code::ERROR_NOT_FOUND, format!("the module has no kernel `{name}`"));
        };
        // The same kernel is always the same handle, as its attributes are its own.
        let known = driver.functions.iter().find(|(_, f)| f.module == module && f.kernel == kernel);
        let handle = match known {
            Some((&handle, _)) => handle,
            None => driver.handle(),
        };
        driver.functions.entry(handle).or_insert(Function { module, kernel, dynamic_limit: 0 });
        put(function, handle)
    };
    fn cuModuleGetGlobal_v2(
        pointer: *mut u64, bytes: *mut usize, module: Handle, name: *const c_char,
    ) needs Context |driver| {
        let name = text(name)?;
        let Some(loaded) = driver.modules.get(&module) else {
            return driver.refuse(Code::ERROR_INVALID_HANDLE, format!("there is no module {module:#x}"));
        };
        let Some(symbol) = loaded.module.variables.get(&name).cloned() else {
            return driver.refuse(Code::ERROR_NOT_FOUND, format!("the module has no variable `{name}`"));
        };
        if !pointer.is_null() {
            put(pointer, symbol.address)?;
        }
        if bytes.is_null() { Ok(()) } else { put(bytes, symbol.bytes as usize) }
    };
    fn cuFuncGetAttribute(value: *mut c_int, attribute: c_uint, function: Handle) needs Context |driver| {
        let dynamic_limit = driver.function(function)?.dynamic_limit;
        let capability = driver.config.capability as c_int;
        let kernel = driver.kernel(function)?;
        put(value, match attribute {
            0 => kernel.max_threads as c_int,
            1 => kernel.shared_bytes() as c_int,
            3 => kernel.local_bytes() as c_int,
            4 => (kernel.narrow.len() + 2 * kernel.wide.len()).min(255) as c_int,
            5 | 6 => capability,
            8 => if dynamic_limit > 0 { dynamic_limit as c_int } else { 49152 - kernel.shared_bytes() as c_int },
            2 | 7 | 9 => 0,
            _ => return Err(Code::ERROR_INVALID_VALUE),
        })
    };
    fn cuFuncSetAttribute(function: Handle, attribute: c_uint, value: c_int) needs Context |driver| {
        let limit = driver.config.shared_limit;
        let fixed = driver.kernel(function)?.shared_bytes();
        match attribute {
            8 if value >= 0 && value as u64 + fixed <= u64::from(limit) => {
                if let Some(function) = driver.functions.get_mut(&function) {
                    function.dynamic_limit = value as u32;
                }
                Ok(())
            }
            9 => Ok(()),
            _ => driver.refuse(
                Code::ERROR_INVALID_VALUE,
                format!("function attribute {attribute} = {value} (shared memory: {fixed} fixed, {limit} at most)"),
            ),
        }
    };
    fn cuFuncGetModule(module: *mut Handle, function: Handle) needs Context |driver| {
        let found = driver.function(function)?.module;
        put(module, found)
    };
    fn cuFuncSetCacheConfig(function: Handle, _config: c_uint) needs Context |driver| {
        driver.function(function).map(|_| ())
    };
    fn cuFuncSetSharedMemConfig(function: Handle, _config: c_uint) needs Context |driver| {
        driver.function(function).map(|_| ())
    };
    fn cuOccupancyMaxActiveBlocksPerMultiprocessor(
        blocks: *mut c_int, function: Handle, threads: c_int, dynamic: usize,
    ) needs Context |driver| {
        let found = driver.blocks_per_multiprocessor(function, threads, dynamic)?;
        put(blocks, found)
    };
    fn cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
        blocks: *mut c_int, function: Handle, threads: c_int, dynamic: usize, _flags: c_uint,
    ) needs Context |driver| {
        let found = driver.blocks_per_multiprocessor(function, threads, dynamic)?;
        put(blocks, found)
    };
    fn cuOccupancyAvailableDynamicSMemPerBlock(
        bytes: *mut usize, function: Handle, blocks: c_int, _threads: c_int,
    ) needs Context |driver| {
        let limit = u64::from(driver.config.shared_limit);
        let fixed = driver.kernel(function)?.shared_bytes();
        if blocks <= 0 {
            return Err(Code::ERROR_INVALID_VALUE);
        }
        put(bytes, (limit / blocks as u64).saturating_sub(fixed) as usize)
    };
    fn cuOccupancyMaxPotentialBlockSize(
        grid: *mut c_int, threads: *mut c_int, function: Handle,
        _shared_of: Option<unsafe extern "C" fn(c_int) -> usize>, dynamic: usize, limit: c_int,
    ) needs Context |driver| {
        let mut best = driver.kernel(function)?.max_threads as c_int;
        if limit > 0 {
            best = best.min(limit);
        }
        let blocks = driver.blocks_per_multiprocessor(function, best, dynamic)?;
        put(threads, best)?;
        put(grid, blocks * MULTIPROCESSORS)
    };
}
