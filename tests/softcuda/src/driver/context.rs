//! Initialisation, devices, and contexts.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::report::register_exit;
use super::state::{Context, Device, Driver, Handle};
use super::{entries, put};
use crate::error::{CODES, Code};
use crate::memory::DeviceMemory;

type Result<T = ()> = std::result::Result<T, Code>;

impl Driver {
    fn ordinal(&self, device: c_int) -> Result<usize> {
        usize::try_from(device)
            .ok()
            .filter(|&index| index < self.devices.len())
            .ok_or(Code::ERROR_INVALID_DEVICE)
    }

    fn initialise(&mut self) -> Result {
        register_exit();
        if !self.initialised {
            let memory = self.config.memory;
            self.devices = (0..self.config.devices)
                .map(|_| Device {
                    memory: DeviceMemory::new(memory),
                    primary: None,
                    retained: 0,
                    flags: 0,
                    failed: None,
                })
                .collect();
        }
        self.initialised = true;
        if self.devices.is_empty() {
            Err(Code::ERROR_NO_DEVICE)
        } else {
            Ok(())
        }
    }

    fn retain(&mut self, device: c_int) -> Result<Handle> {
        let index = self.ordinal(device)?;
        if let Some(handle) = self.devices[index].primary {
            self.devices[index].retained += 1;
            return Ok(handle);
        }
        let handle = self.handle();
        let flags = self.devices[index].flags;
        self.contexts.insert(
            handle,
            Context {
                device: index,
                flags,
            },
        );
        let device = &mut self.devices[index];
        (device.primary, device.retained) = (Some(handle), 1);
        Ok(handle)
    }

    fn release(&mut self, device: c_int, all: bool) -> Result {
        let index = self.ordinal(device)?;
        let device = &mut self.devices[index];
        let Some(handle) = device.primary else {
            return if all {
                Ok(())
            } else {
                Err(Code::ERROR_INVALID_CONTEXT)
            };
        };
        device.retained = if all { 0 } else { device.retained - 1 };
        if device.retained == 0 {
            device.primary = None;
            self.close(index);
            self.contexts.remove(&handle);
        }
        Ok(())
    }

    fn destroy(&mut self, context: Handle) -> Result {
        let Some(found) = self.contexts.get(&context) else {
            return Err(Code::ERROR_INVALID_CONTEXT);
        };
        let index = found.device;
        if self.devices[index].primary == Some(context) {
            return Err(Code::ERROR_INVALID_CONTEXT);
        }
        self.close(index);
        self.contexts.remove(&context);
        self.with_current(|stack| stack.retain(|&handle| handle != context));
        Ok(())
    }

    fn attribute(&self, attribute: c_uint) -> Option<c_int> {
        let capability = self.config.capability;
        Some(match attribute {
            1..=3 => 1024,
            4 => 64,
            5 => i32::MAX,
            6 | 7 => 65535,
            8 => 49152,
            9 => 65536,
            10 => 32,
            11 => i32::MAX,
            12 | 82 => 65536,
            13 => 1_380_000,
            14 => 512,
            15 | 19 | 31 | 41 => 1,
            16 => MULTIPROCESSORS,
            36 => 877_000,
            37 => 4096,
            38 => 6 << 20,
            39 => THREADS_PER_MULTIPROCESSOR,
            40 => 2,
            75 => (capability / 10) as c_int,
            76 => (capability % 10) as c_int,
            81 | 97 => self.config.shared_limit as c_int,
            106 => BLOCKS_PER_MULTIPROCESSOR,
            115 => 1,
            0 | 140.. => return None,
            // What else there is, this device has not.
            _ => 0,
        })
    }
}

pub const MULTIPROCESSORS: c_int = 80;
pub const THREADS_PER_MULTIPROCESSOR: c_int = 2048;
pub const BLOCKS_PER_MULTIPROCESSOR: c_int = 32;

/// Finds the name or the description of a code.
fn describe(code: Code, place: *mut *const c_char, name: bool) -> Code {
    let found = CODES.iter().find(|(value, ..)| *value == code.0);
    let (text, result) = match found {
        Some((_, title, description)) => (
            if name { title } else { description }.as_ptr().cast(),
            Code::SUCCESS,
        ),
        None => (std::ptr::null(), Code::ERROR_INVALID_VALUE),
    };
    match put(place, text) {
        Ok(()) => result,
        Err(code) => code,
    }
}

/// Not counted as a call, and answered whatever has failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorName(code: Code, name: *mut *const c_char) -> Code {
    describe(code, name, true)
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cuGetErrorString(code: Code, text: *mut *const c_char) -> Code {
    describe(code, text, false)
}

entries! {
    fn cuInit(flags: c_uint) needs Nothing |driver| {
        if flags != 0 {
            return Err(Code::ERROR_INVALID_VALUE);
        }
        driver.initialise()
    };
    fn cuDriverGetVersion(version: *mut c_int) needs Nothing |driver| {
        put(version, driver.config.driver_version as c_int)
    };
    fn cuDeviceGetCount(count: *mut c_int) needs Init |driver| {
        put(count, driver.devices.len() as c_int)
    };
    fn cuDeviceGet(device: *mut c_int, ordinal: c_int) needs Init |driver| {
        driver.ordinal(ordinal)?;
        put(device, ordinal)
    };
    fn cuDeviceGetName(name: *mut c_char, length: c_int, device: c_int) needs Init |driver| {
        let index = driver.ordinal(device)?;
        let text = format!("softcuda {index}");
        let room = usize::try_from(length).unwrap_or(0);
        if name.is_null() || room == 0 {
            return Err(Code::ERROR_INVALID_VALUE);
        }
        let bytes = text.as_bytes();
        let count = bytes.len().min(room - 1);
        // SAFETY: the caller gives room for `length` bytes, of which `count` + 1 are written.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), name.cast(), count);
            name.add(count).write(0);
        }
        Ok(())
    };
    fn cuDeviceGetUuid(uuid: *mut [u8; 16], device: c_int) needs Init |driver| {
        let index = driver.ordinal(device)?;
        let mut bytes = *b"softcuda\0\0\0\0\0\0\0\0";
        bytes[15] = index as u8;
        put(uuid, bytes)
    };
    fn cuDeviceGetUuid_v2(uuid: *mut [u8; 16], device: c_int) needs Init |driver| {
        let index = driver.ordinal(device)?;
        let mut bytes = *b"softcuda\0\0\0\0\0\0\0\0";
        bytes[15] = index as u8;
        put(uuid, bytes)
    };
    fn cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int) needs Init |driver| {
        let index = driver.ordinal(device)?;
        put(bytes, driver.devices[index].memory.total as usize)
    };
    fn cuDeviceGetAttribute(value: *mut c_int, attribute: c_uint, device: c_int) needs Init |driver| {
        driver.ordinal(device)?;
        let found = driver.attribute(attribute).ok_or(Code::ERROR_INVALID_VALUE)?;
        put(value, found)
    };
    fn cuDeviceComputeCapability(major: *mut c_int, minor: *mut c_int, device: c_int) needs Init |driver| {
        driver.ordinal(device)?;
        put(major, (driver.config.capability / 10) as c_int)?;
        put(minor, (driver.config.capability % 10) as c_int)
    };
    fn cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int) needs Init |driver| {
        let handle = driver.retain(device)?;
        put(context, handle)
    };
    fn cuDevicePrimaryCtxRelease_v2(device: c_int) needs Cleanup |driver| driver.release(device, false);
    fn cuDevicePrimaryCtxRelease(device: c_int) needs Cleanup |driver| driver.release(device, false);
    fn cuDevicePrimaryCtxReset_v2(device: c_int) needs Cleanup |driver| driver.release(device, true);
    fn cuDevicePrimaryCtxReset(device: c_int) needs Cleanup |driver| driver.release(device, true);
    fn cuDevicePrimaryCtxSetFlags_v2(device: c_int, flags: c_uint) needs Init |driver| {
        let index = driver.ordinal(device)?;
        driver.devices[index].flags = flags;
        Ok(())
    };
    fn cuDevicePrimaryCtxSetFlags(device: c_int, flags: c_uint) needs Init |driver| {
        let index = driver.ordinal(device)?;
        driver.devices[index].flags = flags;
        Ok(())
    };
    fn cuDevicePrimaryCtxGetState(device: c_int, flags: *mut c_uint, active: *mut c_int) needs Init |driver| {
        let index = driver.ordinal(device)?;
        put(flags, driver.devices[index].flags)?;
        put(active, c_int::from(driver.devices[index].primary.is_some()))
    };
    fn cuCtxCreate_v2(context: *mut Handle, flags: c_uint, device: c_int) needs Init |driver| {
        let index = driver.ordinal(device)?;
        let handle = driver.handle();
        driver.contexts.insert(handle, Context { device: index, flags });
        driver.with_current(|stack| stack.push(handle));
        put(context, handle)
    };
    fn cuCtxDestroy_v2(context: Handle) needs Cleanup |driver| driver.destroy(context);
    fn cuCtxPushCurrent_v2(context: Handle) needs Stack |driver| {
        if !driver.contexts.contains_key(&context) {
            return Err(Code::ERROR_INVALID_CONTEXT);
        }
        driver.with_current(|stack| stack.push(context));
        Ok(())
    };
    fn cuCtxPopCurrent_v2(context: *mut Handle) needs Stack |driver| {
        let popped = driver.with_current(Vec::pop).ok_or(Code::ERROR_INVALID_CONTEXT)?;
        if context.is_null() { Ok(()) } else { put(context, popped) }
    };
    fn cuCtxSetCurrent(context: Handle) needs Stack |driver| {
        if context != 0 && !driver.contexts.contains_key(&context) {
            return Err(Code::ERROR_INVALID_CONTEXT);
        }
        driver.with_current(|stack| {
            stack.pop();
            if context != 0 {
                stack.push(context);
            }
        });
        Ok(())
    };
    fn cuCtxGetCurrent(context: *mut Handle) needs Stack |driver| {
        put(context, driver.current().unwrap_or(0))
    };
    fn cuCtxGetDevice(device: *mut c_int) needs Context |driver| {
        put(device, driver.device()? as c_int)
    };
    fn cuCtxGetFlags(flags: *mut c_uint) needs Context |driver| {
        let context = driver.current().and_then(|handle| driver.contexts.get(&handle));
        put(flags, context.map_or(0, |context| context.flags))
    };
    fn cuCtxGetApiVersion(context: Handle, version: *mut c_uint) needs Init |driver| {
        if context != 0 && !driver.contexts.contains_key(&context) {
            return Err(Code::ERROR_INVALID_CONTEXT);
        }
        put(version, 3020)
    };
    fn cuCtxSynchronize() needs Context |driver| {
        driver.transfers.synchronisations += 1;
        driver.wait_for_all();
        Ok(())
    };
    fn cuCtxGetLimit(value: *mut usize, limit: c_uint) needs Context |_driver| {
        put(value, match limit { 0 => 1024, 1 => 1 << 20, 2 => 8 << 20, _ => 0 })
    };
    fn cuCtxSetLimit(_limit: c_uint, _value: usize) needs Context |_driver| Ok(());
    fn cuCtxGetCacheConfig(config: *mut c_uint) needs Context |_driver| put(config, 0);
    fn cuCtxSetCacheConfig(_config: c_uint) needs Context |_driver| Ok(());
    fn cuCtxGetSharedMemConfig(config: *mut c_uint) needs Context |_driver| put(config, 1);
    fn cuCtxSetSharedMemConfig(_config: c_uint) needs Context |_driver| Ok(());
    fn cuCtxGetStreamPriorityRange(least: *mut c_int, greatest: *mut c_int) needs Context |_driver| {
        if !least.is_null() {
            put(least, 0)?;
        }
        if greatest.is_null() { Ok(()) } else { put(greatest, -5) }
    };
    fn cuCtxGetId(context: Handle, id: *mut u64) needs Init |driver| {
        let handle = if context == 0 { driver.current().unwrap_or(0) } else { context };
        put(id, handle as u64)
    };
    fn cuCtxResetPersistingL2Cache() needs Context |_driver| Ok(());
    fn cuDeviceCanAccessPeer(can: *mut c_int, _a: c_int, _b: c_int) needs Init |_driver| put(can, 0);
    fn cuProfilerStart() needs Context |_driver| Ok(());
    fn cuProfilerStop() needs Context |_driver| Ok(());
}

/// The size of a pointer is what handles are passed as.
const _: () = assert!(size_of::<Handle>() == size_of::<*mut c_void>());
