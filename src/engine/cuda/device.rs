//! One GPU: its context, the kernels, memory, copies and launches.
//!
//! The only module of the engine that hands pointers to the driver. Kernels are launched by name
//! with [`Arg`]s whose kinds are checked against the kernel's parameters, read from its PTX. They run
//! on one stream, one after another; batches are brought to [`Slot`]s by a second one, meanwhile.

use std::{collections::HashMap, ffi::c_void, mem::size_of, ops::Range, sync::Arc};

use cust::{
    CudaApiVersion, CudaFlags,
    context::Context,
    device::{Device, DeviceAttribute},
    error::{CudaError, CudaResult},
    event::{Event, EventFlags},
    memory::{AsyncCopyDestination, DeviceBuffer, DeviceCopy, LockedBuffer},
    module::Module,
    stream::{Stream, StreamFlags, StreamWaitEventFlags},
};

use super::{
    answers::{START, reason, where_devices_are},
    context::{Entered, retain},
    driver,
};
use crate::{Error, Result};

const SOURCES: [&str; 4] = [
    include_str!("../../../ptx/gemm.ptx"),
    include_str!("../../../ptx/lif.ptx"),
    include_str!("../../../ptx/readout.ptx"),
    include_str!("../../../ptx/update.ptx"),
];

/// The oldest driver that reads the kernels' PTX (ISA 6.0): CUDA 9.0.
const OLDEST: (i32, i32) = (9, 0);
/// The oldest architecture that they are compiled for.
const ARCHITECTURE: (i32, i32) = (7, 0);

/// A kernel's argument.
#[derive(Debug, Clone, Copy)]
pub enum Arg {
    U32(u32),
    U64(u64),
    F32(f32),
    F64(f64),
}

impl From<usize> for Arg {
    /// A length or a stride as a `u32`. [`Gpu::launch`]'s callers check their sizes before.
    fn from(value: usize) -> Self {
        Arg::U32(u32::try_from(value).expect("sizes are checked before a pass begins"))
    }
}

/// Memory of the device, `T`s in a row. Grows, never shrinks.
#[derive(Debug)]
pub struct Buffer<T: DeviceCopy> {
    buffer: Option<DeviceBuffer<T>>,
}

impl<T: DeviceCopy> Default for Buffer<T> {
    fn default() -> Self {
        Buffer { buffer: None }
    }
}

impl<T: DeviceCopy> Buffer<T> {
    fn len(&self) -> usize {
        self.buffer.as_ref().map_or(0, |buffer| buffer.len())
    }

    /// Its address as an argument; null while it is empty.
    pub fn arg(&self) -> Arg {
        self.at(0)
    }

    /// The address of an entry.
    pub fn at(&self, offset: usize) -> Arg {
        assert!(offset <= self.len());
        let base = self
            .buffer
            .as_ref()
            .map_or(0, |b| b.as_device_ptr().as_raw());
        Arg::U64(base + (offset * size_of::<T>()) as u64)
    }
}

/// What stands for an array that a kernel may do without.
pub const NULL: Arg = Arg::U64(0);

/// Memory of the device for one batch at a time, and page-locked memory of the host, of the same bytes,
/// that it is filled from.
#[derive(Debug, Default)]
pub struct Slot {
    host: Option<LockedBuffer<u8>>,
    device: Buffer<u8>,
    /// Passed by the second stream when the last copy is complete; taken by who waits for it.
    arrived: Option<Event>,
}

impl Slot {
    /// What the device was last filled from.
    pub fn host(&self) -> &[u8] {
        self.host.as_ref().map_or(&[], |host| host.as_slice())
    }

    /// The address of a byte on the device.
    pub fn at(&self, offset: usize) -> Arg {
        self.device.at(offset)
    }
}

/// The kernel's module, and the letter of each parameter's type: `u`, `U`, `f`, `d` for integers of 32
/// and 64 bits, floats and doubles.
type Kernel = (usize, String);

/// A device with the kernels loaded. Fields are dropped in this order, in the context that goes last.
#[derive(Debug)]
pub struct Gpu {
    name: String,
    index: usize,
    kernels: HashMap<&'static str, Kernel>,
    modules: Vec<Module>,
    stream: Stream,
    copies: Stream,
    context: Arc<Context>,
    /// Made by [`close`](Self::close).
    last: Option<Entered>,
}

impl Drop for Gpu {
    fn drop(&mut self) {
        self.close();
    }
}

impl Gpu {
    /// Opens device `index` and loads the kernels.
    pub fn open(index: usize) -> Result<Self> {
        let fail = |reason: String| device_error(index, reason);
        let said = |what: &'static str| move |e: CudaError| device_error(index, reason(what, e));
        if let Some(reason) = driver::missing() {
            return Err(fail(reason.into()));
        }
        cust::init(CudaFlags::empty()).map_err(said(START))?;
        let version = CudaApiVersion::get().map_err(said("the driver has no version"))?;
        let (major, minor) = (version.major(), version.minor());
        if (major, minor) < OLDEST {
            return Err(fail(format!(
                "its driver is too old: it is of CUDA {major}.{minor}, at least {}.{} is needed",
                OLDEST.0, OLDEST.1
            )));
        }
        let count = Device::num_devices().map_err(said("the driver names no devices"))? as usize;
        if index >= count {
            return Err(fail(match count {
                0 => format!("there is no CUDA device; {}", where_devices_are()),
                1 => "there is one CUDA device, cuda:0".into(),
                _ => format!(
                    "there are {count} CUDA devices, cuda:0 to cuda:{}",
                    count - 1
                ),
            }));
        }
        let device = Device::get_device(index as u32).map_err(said("the device does not open"))?;
        let attribute = |attribute| {
            let value = device.get_attribute(attribute);
            value.map_err(said("the device does not say what it can do"))
        };
        let capability = (
            attribute(DeviceAttribute::ComputeCapabilityMajor)?,
            attribute(DeviceAttribute::ComputeCapabilityMinor)?,
        );
        if capability < ARCHITECTURE {
            return Err(fail(format!(
                "its compute capability is {}.{}, at least {}.{} is needed",
                capability.0, capability.1, ARCHITECTURE.0, ARCHITECTURE.1
            )));
        }
        let name = device.name().map_err(said("the device has no name"))?;
        let context = retain(device).map_err(said("the device makes no context"))?;
        // Dropped after all that is made from here on, and before the context.
        let _entered = Entered::new(&context).map_err(said("the context does not begin"))?;
        let stream = || Stream::new(StreamFlags::DEFAULT, None).map_err(said("no stream"));
        let (stream, copies) = (stream()?, stream()?);
        let mut modules = Vec::new();
        for source in SOURCES {
            let module = Module::from_ptx(source, &[]);
            modules.push(module.map_err(said("the driver does not accept the kernels"))?);
        }
        let sources = SOURCES.iter().enumerate();
        let kernels = sources
            .flat_map(|(k, source)| parameters(source, k))
            .collect();
        Ok(Gpu {
            name,
            index,
            kernels,
            modules,
            stream,
            copies,
            context,
            last: None,
        })
    }

    /// Loads further kernels, unless they are there.
    pub fn load(&mut self, source: &'static str) -> Result<()> {
        let kernels = parameters(source, self.modules.len());
        let there = |(name, _): &(&'static str, Kernel)| self.kernels.contains_key(name);
        if kernels.iter().all(there) {
            return Ok(());
        }
        let module = Module::from_ptx(source, &[]);
        let module = self.said("the driver does not accept the kernels", module)?;
        self.kernels.extend(kernels);
        self.modules.push(module);
        Ok(())
    }

    /// The device's name and number.
    pub fn describe(&self) -> String {
        format!("cuda:{}, {}", self.index, self.name)
    }

    /// Whatever a thread does with the device begins here, and ends where the result is dropped. Costs two
    /// calls of the driver, which change the thread's stack of contexts and do not ask the device.
    pub fn enter(&self) -> Result<Entered> {
        self.said("the device does not answer", Entered::new(&self.context))
    }

    /// Waits for the device, and makes the context current until this is dropped, with all that is dropped
    /// before. A device that is lost has nothing to give back, and there is nobody to tell.
    pub fn close(&mut self) {
        if self.last.is_none()
            && let Ok(entered) = self.enter()
        {
            let _ = self.finish();
            self.last = Some(entered);
        }
    }

    fn said<T>(&self, what: &str, result: CudaResult<T>) -> Result<T> {
        result.map_err(|e| device_error(self.index, reason(what, e)))
    }

    /// Waits for all that was launched, and all copies.
    pub fn finish(&self) -> Result<()> {
        let finished = self.stream.synchronize().and(self.copies.synchronize());
        self.said("the device does not finish", finished)
    }

    /// Makes room for `len` entries; what was there is lost if it has to grow.
    pub fn reserve<T: DeviceCopy>(&self, buffer: &mut Buffer<T>, len: usize) -> Result<()> {
        if buffer.len() >= len {
            return Ok(());
        }
        if buffer.buffer.is_some() {
            self.finish()?; // a kernel may still be using it
            buffer.buffer = None;
        }
        // SAFETY: kernels write an entry before another kernel or a copy reads it; see each pass.
        let grown = unsafe { DeviceBuffer::uninitialized(len) };
        buffer.buffer = Some(self.said(&no_room::<T>(len), grown)?);
        Ok(())
    }

    /// Copies `values` to the start of a buffer, after all that was launched before.
    pub fn upload<T: DeviceCopy>(&self, buffer: &mut Buffer<T>, values: &[T]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        assert!(values.len() <= buffer.len());
        let buffer = buffer.buffer.as_mut().expect("it has entries");
        let mut part = buffer.index(0..values.len());
        // SAFETY: both sides have as many entries, and are there until the stream has passed the copy,
        // which is waited for.
        let copied = unsafe { part.async_copy_from(values, &self.stream) };
        let copied = copied.and_then(|()| self.stream.synchronize());
        self.said("a copy to the device failed", copied)
    }

    /// Copies the first entries to `values`, after all that was launched before.
    pub fn download<T: DeviceCopy>(&self, buffer: &Buffer<T>, values: &mut [T]) -> Result<()> {
        self.download_from(buffer, 0, values)
    }

    /// Copies the entries from `offset` on to `values`, after all that was launched before.
    pub fn download_from<T: DeviceCopy>(
        &self,
        buffer: &Buffer<T>,
        offset: usize,
        values: &mut [T],
    ) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        assert!(offset + values.len() <= buffer.len());
        let buffer = buffer.buffer.as_ref().expect("it has entries");
        // SAFETY: as for `upload`.
        let copied = unsafe {
            let part = buffer.index(offset..offset + values.len());
            part.async_copy_to(values, &self.stream)
        };
        let copied = copied.and_then(|()| self.stream.synchronize());
        self.said("a copy from the device failed", copied)
    }

    /// Fills a slot while the device goes on computing. `fill` is given room for `most` bytes, and
    /// answers which of them to copy.
    pub fn fill(
        &self,
        slot: &mut Slot,
        most: usize,
        fill: impl FnOnce(&mut [u8]) -> Range<usize>,
    ) -> Result<()> {
        let failed = "a copy to the device failed";
        // The host's bytes are free when the copy before is complete.
        self.said(failed, self.copies.synchronize())?;
        self.reserve(&mut slot.device, most)?;
        let host = match slot.host.take().filter(|host| host.len() >= most) {
            Some(host) => slot.host.insert(host),
            None => {
                let locked = LockedBuffer::new(&0, most);
                slot.host.insert(self.said(&no_room::<u8>(most), locked)?)
            }
        };
        let range = fill(&mut host[..most]);
        // The device's are free when the kernels before are through.
        let free = self.event(&self.stream)?;
        self.wait(&self.copies, free)?;
        let device = slot.device.buffer.as_mut().expect("room was just made");
        let mut part = device.index(range.clone());
        // SAFETY: both sides have as many bytes. They are not changed or given back before the copy is
        // complete: `fill` and `finish`, which every such change begins with, wait for the stream.
        let copied = unsafe { part.async_copy_from(&host[range], &self.copies) };
        self.said(failed, copied)?;
        slot.arrived = Some(self.event(&self.copies)?);
        Ok(())
    }

    /// Makes the kernels launched from now on wait for what a slot is being filled with.
    pub fn receive(&self, slot: &mut Slot) -> Result<()> {
        match slot.arrived.take() {
            Some(event) => self.wait(&self.stream, event),
            None => Ok(()),
        }
    }

    /// Copies a slot's bytes from `offset` on to the host, after all that was launched before.
    pub fn answer(&self, slot: &Slot, offset: usize, bytes: &mut [u8]) -> Result<()> {
        self.download_from(&slot.device, offset, bytes)
    }

    fn event(&self, stream: &Stream) -> Result<Event> {
        let event = Event::new(EventFlags::DISABLE_TIMING);
        let recorded = event.and_then(|event| event.record(stream).map(|()| event));
        self.said("no event", recorded)
    }

    /// The event is given back at once; the driver keeps it as long as it needs it.
    fn wait(&self, stream: &Stream, event: Event) -> Result<()> {
        let waits = stream.wait_event(event, StreamWaitEventFlags::DEFAULT);
        self.said("a stream does not wait", waits)
    }

    /// Launches a kernel.
    ///
    /// # Panics
    /// Where the arguments are not of the kernel's kinds.
    pub fn launch(
        &self,
        name: &'static str,
        grid: (usize, usize, usize),
        block: u32,
        args: &[Arg],
    ) -> Result<()> {
        let (module, kinds) = &self.kernels[name];
        let letters = args.iter().map(|arg| match arg {
            Arg::U32(_) => 'u',
            Arg::U64(_) => 'U',
            Arg::F32(_) => 'f',
            Arg::F64(_) => 'd',
        });
        assert!(
            letters.eq(kinds.chars()),
            "{name} takes {kinds}, not {args:?}"
        );
        let size = |n: usize, most: u32| u32::try_from(n).ok().filter(|n| *n <= most);
        let (Some(x), Some(y), Some(z)) = (
            size(grid.0, i32::MAX as u32),
            size(grid.1, 65535),
            size(grid.2, 65535),
        ) else {
            let reason =
                format!("{name} would need a grid of {grid:?} blocks; use a smaller batch");
            return Err(device_error(self.index, reason));
        };
        let pointers: Vec<*mut c_void> = args
            .iter()
            .map(|arg| match arg {
                Arg::U32(value) => std::ptr::from_ref(value).cast_mut().cast(),
                Arg::U64(value) => std::ptr::from_ref(value).cast_mut().cast(),
                Arg::F32(value) => std::ptr::from_ref(value).cast_mut().cast(),
                Arg::F64(value) => std::ptr::from_ref(value).cast_mut().cast(),
            })
            .collect();
        let what = format!("the launch of {name} failed");
        let function = self.said(&what, self.modules[*module].get_function(name))?;
        // SAFETY: each argument is alive and of the size that the kernel reads, as checked above.
        // The addresses and lengths among them are those of buffers that the engine keeps until
        // the stream has passed this launch: what is freed waits for the stream first.
        let launched = unsafe {
            self.stream
                .launch(&function, (x, y, z), block, 0, &pointers)
        };
        self.said(&what, launched)
    }
}

/// Names and parameters of the kernels of a module, from their `.entry` directives.
fn parameters(ptx: &'static str, module: usize) -> Vec<(&'static str, Kernel)> {
    let entries = ptx.split(".visible .entry ").skip(1);
    let kernel = |entry: &'static str| {
        let (name, rest) = entry.split_once('(')?;
        let (list, _) = rest.split_once(')')?;
        let letter = |line: &str| match line.split_whitespace().nth(1) {
            Some(".u32" | ".b32" | ".s32") => 'u',
            Some(".u64" | ".b64" | ".s64") => 'U',
            Some(".f32") => 'f',
            Some(".f64") => 'd',
            other => panic!("parameter of type {other:?} in the PTX of {name}"),
        };
        let letters = list.split(',').map(letter).collect();
        Some((name.trim(), (module, letters)))
    };
    entries.filter_map(kernel).collect()
}

fn no_room<T>(len: usize) -> String {
    format!("no room for {} bytes", len.saturating_mul(size_of::<T>()))
}

fn device_error(index: usize, reason: String) -> Error {
    Error::Device {
        device: format!("cuda:{index}"),
        reason,
    }
}
