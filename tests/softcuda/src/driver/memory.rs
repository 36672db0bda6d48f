//! Device memory, page-locked host memory, copies and memsets.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::{c_uint, c_void};

use super::state::{Driver, Handle};
use super::{entries, put};
use crate::error::Code;
use crate::memory::device::Refused;
use crate::memory::segment::Role;

type Result<T = ()> = std::result::Result<T, Code>;
type Pointer = u64;

impl Driver {
    fn allocate(&mut self, bytes: usize) -> Result<Pointer> {
        if bytes == 0 {
            return self.refuse(Code::ERROR_INVALID_VALUE, "an allocation of 0 bytes");
        }
        self.allocations += 1;
        let number = self.allocations;
        if number == self.config.fail_alloc {
            let line = format!("injected: allocation {number}, of {bytes} bytes, fails");
            return self.refuse(Code::ERROR_OUT_OF_MEMORY, line);
        }
        let name = format!("allocation {number}");
        let memory = self.memory()?;
        let (used, total) = (memory.used, memory.total);
        match memory.allocate(bytes as u64, Role::Global, name) {
            Some(address) => {
                let used = memory.used;
                self.transfers.peak_bytes = self.transfers.peak_bytes.max(used);
                Ok(address)
            }
            None => {
                let line = format!("out of memory: {bytes} bytes wanted, {used} of {total} in use");
                self.refuse(Code::ERROR_OUT_OF_MEMORY, line)
            }
        }
    }

    fn release_memory(&mut self, address: Pointer) -> Result {
        // As in CUDA, freeing null does nothing.
        if address == 0 {
            return Ok(());
        }
        self.idle(address)?;
        let call = self.calls;
        let freed = self.memory()?.free(address, call);
        self.granted(freed, Code::ERROR_INVALID_VALUE)
    }

    /// A refusal as an error and a line.
    fn granted<T>(&mut self, result: std::result::Result<T, Refused>, code: Code) -> Result<T> {
        result.or_else(|refused| {
            self.violations += 1;
            self.refuse(code, refused.0)
        })
    }

    /// Counts a copy, and injects its fault.
    fn copying(&mut self) -> Result {
        self.copies += 1;
        if self.copies == self.config.fail_copy {
            let code = Code::ERROR_ECC_UNCORRECTABLE;
            self.say(format!("injected: copy {} fails", self.copies));
            self.fail(code);
            return Err(code);
        }
        Ok(())
    }

    fn upload(&mut self, to: Pointer, from: *const c_void, bytes: usize, stream: Handle) -> Result {
        self.copying()?;
        if bytes == 0 {
            return Ok(());
        }
        if from.is_null() {
            return Err(Code::ERROR_INVALID_VALUE);
        }
        // SAFETY: not null, and the caller promises `bytes` readable bytes there.
        let source = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), bytes) };
        self.transfers.to_device += 1;
        self.transfers.to_device_bytes += bytes as u64;
        let (operation, clock) = self.begin(stream, "a copy to the device");
        self.uses(&operation, &clock, to, (false, true))?;
        if stream != 0 {
            self.reads_host(&operation, from as usize, source);
        }
        let written = self.memory()?.write(to, source);
        self.granted(written, Code::ERROR_INVALID_VALUE)
    }

    fn download(&mut self, to: *mut c_void, from: Pointer, bytes: usize, stream: Handle) -> Result {
        self.copying()?;
        if bytes == 0 {
            return Ok(());
        }
        if to.is_null() {
            return Err(Code::ERROR_INVALID_VALUE);
        }
        self.transfers.to_host += 1;
        self.transfers.to_host_bytes += bytes as u64;
        let (operation, clock) = self.begin(stream, "a copy to the host");
        self.uses(&operation, &clock, from, (true, false))?;
        if stream == 0 {
            self.wait_for(0);
        }
        let read = self.memory()?.read(from, bytes as u64).map(|source| {
            // SAFETY: not null, the caller promises room for `bytes` bytes there, and `source`, which
            // has that many, is memory of the driver's own.
            unsafe { std::ptr::copy_nonoverlapping(source.as_ptr(), to.cast::<u8>(), bytes) };
        });
        self.granted(read, Code::ERROR_INVALID_VALUE)
    }

    fn copy_on_device(
        &mut self,
        to: Pointer,
        from: Pointer,
        bytes: usize,
        stream: Handle,
    ) -> Result {
        self.copying()?;
        if bytes == 0 {
            return Ok(());
        }
        self.transfers.on_device += 1;
        self.transfers.on_device_bytes += bytes as u64;
        let (operation, clock) = self.begin(stream, "a copy on the device");
        self.uses(&operation, &clock, from, (true, false))?;
        self.uses(&operation, &clock, to, (false, true))?;
        let copied = self.memory()?.copy(to, from, bytes as u64);
        self.granted(copied, Code::ERROR_INVALID_VALUE)
    }

    fn memset(&mut self, to: Pointer, pattern: &[u8], count: usize, stream: Handle) -> Result {
        self.copying()?;
        if count == 0 {
            return Ok(());
        }
        self.transfers.memsets += 1;
        self.transfers.memset_bytes += (count * pattern.len()) as u64;
        let (operation, clock) = self.begin(stream, "a memset");
        self.uses(&operation, &clock, to, (false, true))?;
        let filled = self.memory()?.fill(to, pattern, count as u64);
        self.granted(filled, Code::ERROR_INVALID_VALUE)
    }

    fn pin(&mut self, bytes: usize) -> Result<*mut c_void> {
        self.allocations += 1;
        if self.allocations == self.config.fail_alloc {
            let line = format!(
                "injected: allocation {}, page-locked, fails",
                self.allocations
            );
            return self.refuse(Code::ERROR_OUT_OF_MEMORY, line);
        }
        let layout = Layout::from_size_align(bytes, 4096).map_err(|_| Code::ERROR_INVALID_VALUE)?;
        if bytes == 0 {
            return Err(Code::ERROR_INVALID_VALUE);
        }
        // SAFETY: the layout's size is not 0.
        let pointer = unsafe { alloc_zeroed(layout) };
        if pointer.is_null() {
            return Err(Code::ERROR_OUT_OF_MEMORY);
        }
        self.pinned.insert(pointer as usize, layout);
        Ok(pointer.cast())
    }

    fn unpin(&mut self, pointer: *mut c_void) -> Result {
        if let Some(layout) = self.pinned.get(&(pointer as usize)).copied() {
            self.idle_host(pointer as usize, layout.size())?;
        }
        let Some(layout) = self.pinned.remove(&(pointer as usize)) else {
            self.violations += 1;
            let line =
                format!("free of page-locked memory at {pointer:?}, which was not allocated");
            return self.refuse(Code::ERROR_INVALID_VALUE, line);
        };
        // SAFETY: `pin` allocated it with this layout, and it was in the table, so it was not freed yet.
        unsafe { dealloc(pointer.cast(), layout) };
        Ok(())
    }
}

entries! {
    fn cuMemGetInfo_v2(free: *mut usize, total: *mut usize) needs Context |driver| {
        let memory = driver.memory()?;
        put(free, (memory.total - memory.used) as usize)?;
        put(total, memory.total as usize)
    };
    fn cuMemAlloc_v2(pointer: *mut Pointer, bytes: usize) needs Context |driver| {
        let address = driver.allocate(bytes)?;
        put(pointer, address)
    };
    fn cuMemAllocAsync(pointer: *mut Pointer, bytes: usize, stream: Handle) needs Context |driver| {
        driver.stream(stream)?;
        let address = driver.allocate(bytes)?;
        put(pointer, address)
    };
    fn cuMemFree_v2(pointer: Pointer) needs Cleanup |driver| driver.release_memory(pointer);
    fn cuMemFreeAsync(pointer: Pointer, stream: Handle) needs Cleanup |driver| {
        driver.stream(stream)?;
        driver.release_memory(pointer)
    };
    fn cuMemGetAddressRange_v2(base: *mut Pointer, bytes: *mut usize, pointer: Pointer) needs Context |driver| {
        let arena = &driver.memory()?.arena;
        let found = arena.before(pointer).map(|index| &arena.segments[index]);
        let Some(segment) = found.filter(|segment| segment.freed.is_none() && segment.holds(pointer, 1)) else {
            return Err(Code::ERROR_NOT_FOUND);
        };
        let (start, size) = (segment.base, segment.bytes);
        if !base.is_null() {
            put(base, start)?;
        }
        if bytes.is_null() { Ok(()) } else { put(bytes, size as usize) }
    };
    fn cuMemcpyHtoD_v2(to: Pointer, from: *const c_void, bytes: usize) needs Context |driver| {
        driver.upload(to, from, bytes, 0)
    };
    fn cuMemcpyHtoDAsync_v2(to: Pointer, from: *const c_void, bytes: usize, stream: Handle) needs Context |driver| {
        driver.stream(stream)?;
        driver.upload(to, from, bytes, stream)
    };
    fn cuMemcpyDtoH_v2(to: *mut c_void, from: Pointer, bytes: usize) needs Context |driver| {
        driver.download(to, from, bytes, 0)
    };
    fn cuMemcpyDtoHAsync_v2(to: *mut c_void, from: Pointer, bytes: usize, stream: Handle) needs Context |driver| {
        driver.stream(stream)?;
        driver.download(to, from, bytes, stream)
    };
    fn cuMemcpyDtoD_v2(to: Pointer, from: Pointer, bytes: usize) needs Context |driver| {
        driver.copy_on_device(to, from, bytes, 0)
    };
    fn cuMemcpyDtoDAsync_v2(to: Pointer, from: Pointer, bytes: usize, stream: Handle) needs Context |driver| {
        driver.stream(stream)?;
        driver.copy_on_device(to, from, bytes, stream)
    };
    fn cuMemsetD8_v2(to: Pointer, value: u8, count: usize) needs Context |driver| {
        driver.memset(to, &[value], count, 0)
    };
    fn cuMemsetD8Async(to: Pointer, value: u8, count: usize, stream: Handle) needs Context |driver| {
        driver.stream(stream)?;
        driver.memset(to, &[value], count, stream)
    };
    fn cuMemsetD16_v2(to: Pointer, value: u16, count: usize) needs Context |driver| {
        driver.memset(to, &value.to_le_bytes(), count, 0)
    };
    fn cuMemsetD16Async(to: Pointer, value: u16, count: usize, stream: Handle) needs Context |driver| {
        driver.stream(stream)?;
        driver.memset(to, &value.to_le_bytes(), count, stream)
    };
    fn cuMemsetD32_v2(to: Pointer, value: u32, count: usize) needs Context |driver| {
        driver.memset(to, &value.to_le_bytes(), count, 0)
    };
    fn cuMemsetD32Async(to: Pointer, value: u32, count: usize, stream: Handle) needs Context |driver| {
        driver.stream(stream)?;
        driver.memset(to, &value.to_le_bytes(), count, stream)
    };
    fn cuMemAllocHost_v2(pointer: *mut *mut c_void, bytes: usize) needs Context |driver| {
        let memory = driver.pin(bytes)?;
        put(pointer, memory)
    };
    fn cuMemHostAlloc(pointer: *mut *mut c_void, bytes: usize, _flags: c_uint) needs Context |driver| {
        let memory = driver.pin(bytes)?;
        put(pointer, memory)
    };
    fn cuMemFreeHost(pointer: *mut c_void) needs Cleanup |driver| driver.unpin(pointer);
    fn cuMemHostRegister_v2(pointer: *mut c_void, bytes: usize, _flags: c_uint) needs Context |driver| {
        if pointer.is_null() || driver.registered.insert(pointer as usize, bytes).is_some() {
            return Err(Code::ERROR_INVALID_VALUE);
        }
        Ok(())
    };
    fn cuMemHostUnregister(pointer: *mut c_void) needs Cleanup |driver| {
        match driver.registered.remove(&(pointer as usize)) {
            Some(_) => Ok(()),
            None => Err(Code::ERROR_INVALID_VALUE),
        }
    };
}
