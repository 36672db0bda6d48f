//! The CUDA driver, found when the program runs.
//!
//! `cust` calls the driver by symbols that a linker would look for in `libcuda`. They are defined
//! here instead: each opens the driver's library at the first call and goes on to its function of
//! the same name. So a program with the feature `cuda` links without a CUDA installation, and starts
//! on a machine without a driver, where every call answers `CUDA_ERROR_NO_DEVICE`.
//!
//! The library is `libcuda.so.1` (`nvcuda.dll` on Windows), or what the environment variable
//! `SPIKEGRAD_CUDA_DRIVER` names, if it is set and not empty.

#![allow(non_snake_case)]

use std::{
    cell::Cell,
    ffi::{CStr, OsString, c_char, c_int, c_uint, c_void},
    sync::OnceLock,
};

use libloading::Library;

/// Any pointer or handle of the driver's interface.
type Ptr = *mut c_void;

const NO_DEVICE: c_uint = 100;
const NOT_FOUND: c_uint = 500;
const UNKNOWN: c_uint = 999;

thread_local! {
    /// The driver's own code behind this thread's last `CUDA_ERROR_UNKNOWN`.
    static BEHIND: Cell<c_uint> = const { Cell::new(UNKNOWN) };
    /// The function behind this thread's last `CUDA_ERROR_NOT_FOUND`, if the library does not have it.
    static ABSENT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The name that the driver's library is looked for by.
fn name() -> OsString {
    let system = if cfg!(windows) {
        "nvcuda.dll"
    } else {
        "libcuda.so.1"
    };
    let named = std::env::var_os("SPIKEGRAD_CUDA_DRIVER").filter(|name| !name.is_empty());
    named.unwrap_or_else(|| system.into())
}

/// The driver's library, or why there is none.
fn library() -> &'static Result<Library, String> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let name = name();
        // SAFETY: loading runs the library's initialisers. It is the system's CUDA driver, or the
        // library that the user named to take its place.
        unsafe { Library::new(&name) }.map_err(|e| {
            format!(
                "there is no CUDA driver: {} does not load ({e})",
                name.display()
            )
        })
    })
}

/// Why there is no driver, if there is none.
pub fn missing() -> Option<&'static str> {
    // The table is read, so that the linker keeps every function in it.
    std::hint::black_box(&FUNCTIONS);
    library().as_ref().err().map(String::as_str)
}

/// The driver's own code behind this thread's last `CUDA_ERROR_UNKNOWN`.
pub fn behind() -> u32 {
    BEHIND.get()
}

/// The function behind this thread's last `CUDA_ERROR_NOT_FOUND`, if the library does not have it.
pub fn absent() -> Option<&'static str> {
    ABSENT.get()
}

/// What the driver says of a code, if it knows it.
pub fn words(code: u32) -> Option<String> {
    let mut text: *const c_char = std::ptr::null();
    // SAFETY: the driver writes null or the address of a string of its own, which it never frees.
    unsafe {
        let known = cuGetErrorString(code, (&raw mut text).cast()) == 0 && !text.is_null();
        known.then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    }
}

/// The file that the driver was loaded from, where the system tells, or else its name.
pub fn file() -> String {
    mapped().unwrap_or_else(|| name().display().to_string())
}

/// The file behind the memory that the driver's first function lies in.
fn mapped() -> Option<String> {
    let library = library().as_ref().ok()?;
    // SAFETY: the symbol's address is looked at, and not followed; the library is never closed.
    let address = unsafe { library.get::<Ptr>(b"cuInit\0").ok()?.try_as_raw_ptr()? } as usize;
    file_at(&std::fs::read_to_string("/proc/self/maps").ok()?, address)
}

/// The file of the line of `/proc/self/maps` that has an address.
fn file_at(maps: &str, address: usize) -> Option<String> {
    let line = maps.lines().find(|line| {
        let range = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'));
        let hex = |text| usize::from_str_radix(text, 16);
        range.is_some_and(|(from, to)| {
            matches!((hex(from), hex(to)), (Ok(from), Ok(to)) if (from..to).contains(&address))
        })
    })?;
    line.find('/').map(|at| line[at..].to_owned())
}

/// `cust` has the driver's answers as an enum, in which a code that it does not have would be undefined
/// behaviour; and of those that it has it tells only these apart. All others become
/// `CUDA_ERROR_UNKNOWN`, and [`behind`] tells them.
fn known(code: c_uint) -> c_uint {
    match code {
        0..=8
        | 100..=101
        | 200..=202
        | 205..=220
        | 300..=304
        | 400
        | 600
        | 700..=705
        | 708..=719
        | 800..=801 => code,
        NOT_FOUND => {
            ABSENT.set(None);
            code
        }
        _ => {
            BEHIND.set(code);
            UNKNOWN
        }
    }
}

macro_rules! forward {
    ($($name:ident($($arg:ident: $type:ty),*);)*) => {
        $(
            /// The driver's function of this name.
            ///
            /// # Safety
            /// As the driver's function.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($arg: $type),*) -> c_uint {
                type Function = unsafe extern "C" fn($($type),*) -> c_uint;
                static FOUND: OnceLock<Result<Function, c_uint>> = OnceLock::new();
                let found = FOUND.get_or_init(|| {
                    let library = library().as_ref().map_err(|_| NO_DEVICE)?;
                    // SAFETY: the type is the function's in the driver's interface, and the library
                    // is never closed.
                    unsafe { library.get::<Function>(concat!(stringify!($name), "\0").as_bytes()) }
                        .map(|function| *function)
                        .map_err(|_| NOT_FOUND)
                });
                match found {
                    // SAFETY: the arguments are the caller's, for the same function.
                    Ok(function) => known(unsafe { function($($arg),*) }),
                    Err(code) => {
                        ABSENT.set(Some(stringify!($name)));
                        *code
                    }
                }
            }
        )*

        /// Every forwarder's address.
        static FUNCTIONS: &[Address] = &[$(Address($name as *const ())),*];
    };
}

/// The address of a function, which any thread may look at.
struct Address(#[allow(dead_code)] *const ());

// SAFETY: it is never followed.
unsafe impl Sync for Address {}

// All functions that cust 0.3.2 refers to.
forward! {
    cuArray3DCreate_v2(a: Ptr, b: Ptr);
    cuArray3DGetDescriptor_v2(a: Ptr, b: Ptr);
    cuArrayDestroy(a: Ptr);
    cuCtxCreate_v2(a: Ptr, b: c_uint, c: c_int);
    cuCtxDestroy_v2(a: Ptr);
    cuCtxGetApiVersion(a: Ptr, b: Ptr);
    cuCtxGetCacheConfig(a: Ptr);
    cuCtxGetCurrent(a: Ptr);
    cuCtxGetDevice(a: Ptr);
    cuCtxGetFlags(a: Ptr);
    cuCtxGetLimit(a: Ptr, b: c_uint);
    cuCtxGetSharedMemConfig(a: Ptr);
    cuCtxGetStreamPriorityRange(a: Ptr, b: Ptr);
    cuCtxPopCurrent_v2(a: Ptr);
    cuCtxPushCurrent_v2(a: Ptr);
    cuCtxSetCacheConfig(a: c_uint);
    cuCtxSetCurrent(a: Ptr);
    cuCtxSetLimit(a: c_uint, b: usize);
    cuCtxSetSharedMemConfig(a: c_uint);
    cuCtxSynchronize();
    cuDestroyExternalMemory(a: Ptr);
    cuDeviceGet(a: Ptr, b: c_int);
    cuDeviceGetAttribute(a: Ptr, b: c_uint, c: c_int);
    cuDeviceGetCount(a: Ptr);
    cuDeviceGetName(a: Ptr, b: c_int, c: c_int);
    cuDevicePrimaryCtxRelease_v2(a: c_int);
    cuDevicePrimaryCtxReset_v2(a: c_int);
    cuDevicePrimaryCtxRetain(a: Ptr, b: c_int);
    cuDevicePrimaryCtxSetFlags_v2(a: c_int, b: c_uint);
    cuDeviceTotalMem_v2(a: Ptr, b: c_int);
    cuDriverGetVersion(a: Ptr);
    cuEventCreate(a: Ptr, b: c_uint);
    cuEventDestroy_v2(a: Ptr);
    cuEventElapsedTime(a: Ptr, b: Ptr, c: Ptr);
    cuEventQuery(a: Ptr);
    cuEventRecord(a: Ptr, b: Ptr);
    cuEventSynchronize(a: Ptr);
    cuExternalMemoryGetMappedBuffer(a: Ptr, b: Ptr, c: Ptr);
    cuFuncGetAttribute(a: Ptr, b: c_uint, c: Ptr);
    cuFuncSetCacheConfig(a: Ptr, b: c_uint);
    cuFuncSetSharedMemConfig(a: Ptr, b: c_uint);
    cuGetErrorString(a: c_uint, b: Ptr);
    cuGraphAddKernelNode(a: Ptr, b: Ptr, c: Ptr, d: usize, e: Ptr);
    cuGraphCreate(a: Ptr, b: c_uint);
    cuGraphDebugDotPrint(a: Ptr, b: Ptr, c: c_uint);
    cuGraphDestroy(a: Ptr);
    cuGraphGetEdges(a: Ptr, b: Ptr, c: Ptr, d: Ptr);
    cuGraphGetNodes(a: Ptr, b: Ptr, c: Ptr);
    cuGraphKernelNodeGetParams(a: Ptr, b: Ptr);
    cuGraphNodeGetType(a: Ptr, b: Ptr);
    cuImportExternalMemory(a: Ptr, b: Ptr);
    cuInit(a: c_uint);
    cuLaunchHostFunc(a: Ptr, b: Ptr, c: Ptr);
    cuLaunchKernel(a: Ptr, b: c_uint, c: c_uint, d: c_uint, e: c_uint, f: c_uint, g: c_uint, h: c_uint, i: Ptr, j: Ptr, k: Ptr);
    cuLinkAddData_v2(a: Ptr, b: c_uint, c: Ptr, d: usize, e: Ptr, f: c_uint, g: Ptr, h: Ptr);
    cuLinkComplete(a: Ptr, b: Ptr, c: Ptr);
    cuLinkCreate_v2(a: c_uint, b: Ptr, c: Ptr, d: Ptr);
    cuLinkDestroy(a: Ptr);
    cuMemAdvise(a: u64, b: usize, c: c_uint, d: c_int);
    cuMemAllocAsync(a: Ptr, b: usize, c: Ptr);
    cuMemAllocHost_v2(a: Ptr, b: usize);
    cuMemAllocManaged(a: Ptr, b: usize, c: c_uint);
    cuMemAlloc_v2(a: Ptr, b: usize);
    cuMemFreeAsync(a: u64, b: Ptr);
    cuMemFreeHost(a: Ptr);
    cuMemFree_v2(a: u64);
    cuMemGetInfo_v2(a: Ptr, b: Ptr);
    cuMemPrefetchAsync(a: u64, b: usize, c: c_int, d: Ptr);
    cuMemcpy2D_v2(a: Ptr);
    cuMemcpyAtoH_v2(a: Ptr, b: Ptr, c: usize, d: usize);
    cuMemcpyDtoDAsync_v2(a: u64, b: u64, c: usize, d: Ptr);
    cuMemcpyDtoD_v2(a: u64, b: u64, c: usize);
    cuMemcpyDtoHAsync_v2(a: Ptr, b: u64, c: usize, d: Ptr);
    cuMemcpyDtoH_v2(a: Ptr, b: u64, c: usize);
    cuMemcpyHtoA_v2(a: Ptr, b: usize, c: Ptr, d: usize);
    cuMemcpyHtoDAsync_v2(a: u64, b: Ptr, c: usize, d: Ptr);
    cuMemcpyHtoD_v2(a: u64, b: Ptr, c: usize);
    cuMemsetD16Async(a: u64, b: u16, c: usize, d: Ptr);
    cuMemsetD16_v2(a: u64, b: u16, c: usize);
    cuMemsetD32Async(a: u64, b: c_uint, c: usize, d: Ptr);
    cuMemsetD32_v2(a: u64, b: c_uint, c: usize);
    cuMemsetD8Async(a: u64, b: u8, c: usize, d: Ptr);
    cuMemsetD8_v2(a: u64, b: u8, c: usize);
    cuModuleGetFunction(a: Ptr, b: Ptr, c: Ptr);
    cuModuleGetGlobal_v2(a: Ptr, b: Ptr, c: Ptr, d: Ptr);
    cuModuleLoad(a: Ptr, b: Ptr);
    cuModuleLoadData(a: Ptr, b: Ptr);
    cuModuleLoadDataEx(a: Ptr, b: Ptr, c: c_uint, d: Ptr, e: Ptr);
    cuModuleUnload(a: Ptr);
    cuOccupancyAvailableDynamicSMemPerBlock(a: Ptr, b: Ptr, c: c_int, d: c_int);
    cuOccupancyMaxActiveBlocksPerMultiprocessor(a: Ptr, b: Ptr, c: c_int, d: usize);
    cuOccupancyMaxPotentialBlockSize(a: Ptr, b: Ptr, c: Ptr, d: Ptr, e: usize, f: c_int);
    cuStreamCreateWithPriority(a: Ptr, b: c_uint, c: c_int);
    cuStreamDestroy_v2(a: Ptr);
    cuStreamGetFlags(a: Ptr, b: Ptr);
    cuStreamGetPriority(a: Ptr, b: Ptr);
    cuStreamSynchronize(a: Ptr);
    cuStreamWaitEvent(a: Ptr, b: Ptr, c: c_uint);
    cuSurfObjectCreate(a: Ptr, b: Ptr);
    cuSurfObjectDestroy(a: u64);
    cuSurfObjectGetResourceDesc(a: Ptr, b: u64);
    cuTexObjectCreate(a: Ptr, b: Ptr, c: Ptr, d: Ptr);
    cuTexObjectDestroy(a: u64);
    cuTexObjectGetResourceDesc(a: Ptr, b: u64);
}

#[cfg(test)]
mod tests {
    use super::file_at;

    #[test]
    fn the_file_of_an_address_is_found() {
        let maps = "7f00-7f80 r--p 00000000 00:1f 42    /opt/other.so\n\
                    7f80-8000 r-xp 00000000 00:1f 43    /opt/a folder/libcuda.so.1\n\
                    8000-9000 rw-p 00000000 00:00 0 \n\
                    ffff-not a line\n";
        let file = |address| file_at(maps, address);
        assert_eq!(file(0x7f7f).as_deref(), Some("/opt/other.so"));
        for address in [0x7f80, 0x7fff] {
            assert_eq!(file(address).as_deref(), Some("/opt/a folder/libcuda.so.1"));
        }
        for address in [0, 0x7eff, 0x8000, 0x9000] {
            assert_eq!(file(address), None);
        }
    }
}
