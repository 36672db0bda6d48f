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
    ffi::{c_int, c_uint, c_void},
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
}

/// The driver's library, or why there is none.
fn library() -> &'static Result<Library, String> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let system = if cfg!(windows) {
            "nvcuda.dll"
        } else {
            "libcuda.so.1"
        };
        let name = std::env::var_os("SPIKEGRAD_CUDA_DRIVER").filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| system.into());
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
        | 500
        | 600
        | 700..=705
        | 708..=719
        | 800..=801 => code,
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
                    Err(code) => *code,
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
