//! The entry points, called as a program would: good runs, refusals, injected faults, leaks.
//!
//! The driver is one for the process, so these tests take turns.
#![allow(unsafe_code)] // the interface is C's

use std::ffi::{CString, c_void};
use std::ptr::{from_ref, null_mut};
use std::sync::{Mutex, MutexGuard};

use softcuda::driver::context::*;
use softcuda::driver::control::*;
use softcuda::driver::launch::*;
use softcuda::driver::memory::*;
use softcuda::driver::module::*;
use softcuda::driver::stream::*;
use softcuda::driver::unsupported::*;
use softcuda::error::Code;

const KERNELS: &str = include_str!("data/kernels.ptx");
static TURN: Mutex<()> = Mutex::new(());

/// A fresh driver with settings.
fn fresh(settings: &[(&str, &str)]) -> MutexGuard<'static, ()> {
    let turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    softcuda_reset();
    set("QUIET", "1");
    for (key, value) in settings {
        set(key, value);
    }
    turn
}

fn set(key: &str, value: &str) {
    let (key, value) = (CString::new(key).unwrap(), CString::new(value).unwrap());
    // SAFETY: two strings that end in a NUL byte.
    assert_eq!(unsafe { softcuda_set(key.as_ptr(), value.as_ptr()) }, 0);
}

fn count(name: &str) -> u64 {
    let name = CString::new(name).unwrap();
    // SAFETY: a string that ends in a NUL byte.
    unsafe { softcuda_count(name.as_ptr()) }
}

fn fetch(f: unsafe extern "C" fn(*mut std::ffi::c_char, usize) -> usize) -> String {
    let mut buffer = vec![0u8; 1 << 16];
    // SAFETY: the buffer has the size that is told.
    let length = unsafe { f(buffer.as_mut_ptr().cast(), buffer.len()) };
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

/// The whole life of a small program: sets up, runs `squash` over 100 numbers, tears down. Stops at the
/// first error and returns it, having given back what it had.
fn program(n: u32) -> Result<Vec<f32>, Code> {
    // SAFETY (all blocks): pointers to locals that live as long as the call, of the documented types.
    let ok = |code: Code| {
        if code == Code::SUCCESS {
            Ok(())
        } else {
            Err(code)
        }
    };
    let (mut context, mut module, mut function, mut stream) = (0, 0, 0, 0);
    let (mut x, mut y) = (0u64, 0u64);
    let mut retained = false;
    let values: Vec<f32> = (0..100).map(|i| i as f32 - 50.0).collect();
    let mut result = vec![0.0f32; 100];
    let mut run = || unsafe {
        ok(cuInit(0))?;
        ok(cuDevicePrimaryCtxRetain(&mut context, 0))?;
        retained = true;
        ok(cuCtxSetCurrent(context))?;
        let text = CString::new(KERNELS).unwrap();
        ok(cuModuleLoadDataEx(
            &mut module,
            text.as_ptr().cast(),
            0,
            null_mut(),
            null_mut(),
        ))?;
        ok(cuModuleGetFunction(
            &mut function,
            module,
            c"squash".as_ptr(),
        ))?;
        ok(cuStreamCreateWithPriority(&mut stream, 1, 0))?;
        ok(cuMemAlloc_v2(&mut x, 400))?;
        ok(cuMemAlloc_v2(&mut y, 400))?;
        ok(cuMemcpyHtoDAsync_v2(x, values.as_ptr().cast(), 400, stream))?;
        let mut args = [
            from_ref(&x) as *mut c_void,
            from_ref(&y) as *mut c_void,
            from_ref(&n) as *mut c_void,
        ];
        ok(cuLaunchKernel(
            function,
            1,
            1,
            1,
            128,
            1,
            1,
            0,
            stream,
            args.as_mut_ptr(),
            null_mut(),
        ))?;
        ok(cuStreamSynchronize(stream))?;
        ok(cuMemcpyDtoH_v2(result.as_mut_ptr().cast(), y, 400))
    };
    let outcome = run();
    let mut cleanup = Ok(());
    unsafe {
        for address in [x, y] {
            cleanup = cleanup.and(ok(cuMemFree_v2(address)));
        }
        if stream != 0 {
            cleanup = cleanup.and(ok(cuStreamDestroy_v2(stream)));
        }
        if module != 0 {
            cleanup = cleanup.and(ok(cuModuleUnload(module)));
        }
        if retained {
            cleanup = cleanup.and(ok(cuDevicePrimaryCtxRelease_v2(0)));
        }
    }
    outcome?;
    cleanup?;
    Ok(result)
}

/// A current context.
fn context() {
    let mut context = 0;
    // SAFETY: a pointer to a local of the type of a handle.
    unsafe {
        assert_eq!(cuInit(0), Code::SUCCESS);
        assert_eq!(cuDevicePrimaryCtxRetain(&mut context, 0), Code::SUCCESS);
        assert_eq!(cuCtxSetCurrent(context), Code::SUCCESS);
    }
}

fn allocate(bytes: usize) -> Result<u64, Code> {
    let mut address = 0;
    // SAFETY: a pointer to a local of the type of an address.
    match unsafe { cuMemAlloc_v2(&mut address, bytes) } {
        Code::SUCCESS => Ok(address),
        code => Err(code),
    }
}

#[test]
fn a_program_runs_and_leaves_nothing_behind() {
    let _turn = fresh(&[]);
    let found = program(100).unwrap();
    let expected: Vec<f32> = (0..100)
        .map(|i| i as f32 - 50.0)
        .enumerate()
        .map(|(i, x)| x / (1.0 + x.abs()) * (i % 4 + 1) as f32)
        .collect();
    assert_eq!(found, expected);
    assert_eq!(
        (count("leaks"), count("violations"), count("live")),
        (0, 0, 0)
    );
    let stats = fetch(softcuda_stats);
    for words in [
        "\"squash\": {\"launches\": 1, \"blocks\": 1, \"threads\": 128",
        "\"to_device_bytes\": 400",
    ] {
        assert!(stats.contains(words), "`{words}` is missing in {stats}");
    }
}

#[test]
fn a_violation_is_sticky_and_named() {
    let _turn = fresh(&[]);
    assert_eq!(program(101), Err(Code::ERROR_ILLEGAL_ADDRESS));
    let log = fetch(softcuda_log);
    assert!(
        log.contains("OutOfBounds in kernel `squash`, block (0,0,0), thread (100,0,0)"),
        "{log}"
    );
    assert_eq!((count("violations"), count("leaks")), (1, 0));
    // The context was given back, so a new one works.
    assert!(program(100).is_ok());
}

#[test]
fn a_deferred_violation_comes_with_the_next_call() {
    let _turn = fresh(&[("DEFERRED", "1")]);
    assert_eq!(program(101), Err(Code::ERROR_ILLEGAL_ADDRESS));
    // Had the launch returned it, the program would have made one call less.
    let deferred = count("calls");
    drop(_turn);
    let _turn = fresh(&[]);
    assert_eq!(program(101), Err(Code::ERROR_ILLEGAL_ADDRESS));
    assert_eq!(count("calls") + 1, deferred);
}

#[test]
fn every_call_can_lose_the_device() {
    let _turn = fresh(&[]);
    program(100).unwrap();
    let calls = count("calls");
    assert!(calls > 15);
    drop(_turn);
    for code in [214, 719] {
        for at in 1..=calls {
            let _turn = fresh(&[
                ("LOST_AT", &at.to_string()),
                ("LOST_CODE", &code.to_string()),
            ]);
            // `cuInit` at call 1 is answered before there is a device to lose.
            let found = program(100);
            assert_eq!(found, Err(Code(code)), "at call {at}");
            assert_eq!(count("leaks"), 0, "at call {at}");
            assert!(fetch(softcuda_log).contains("injected: the device is lost"));
        }
    }
}

/// The answer of each function of a program can be chosen.
#[test]
fn calls_fail_by_name() {
    for name in [
        "cuInit",
        "cuDevicePrimaryCtxRetain",
        "cuCtxSetCurrent",
        "cuModuleLoadDataEx",
        "cuStreamCreateWithPriority",
        "cuMemAlloc_v2",
        "cuStreamSynchronize",
    ] {
        let _turn = fresh(&[("FAIL_CALL", name), ("FAIL_CODE", "46")]);
        assert_eq!(program(100), Err(Code::ERROR_DEVICE_UNAVAILABLE), "{name}");
        let line = format!("injected: {name} fails with code 46");
        assert!(fetch(softcuda_log).contains(&line), "{name}");
    }
}

/// A lost device leaves a thread its stack of contexts.
#[test]
fn the_stack_of_contexts_asks_no_device() {
    let _turn = fresh(&[]);
    context();
    let mut found = [0; 3];
    // SAFETY: pointers to locals of the type of a handle.
    unsafe {
        assert_eq!(cuCtxGetCurrent(&mut found[0]), Code::SUCCESS);
        set("LOST_AT", "1");
        assert_eq!(cuCtxPushCurrent_v2(found[0]), Code::SUCCESS);
        assert_eq!(cuCtxSynchronize(), Code::ERROR_UNKNOWN);
        assert_eq!(cuCtxPopCurrent_v2(&mut found[1]), Code::SUCCESS);
        assert_eq!(cuCtxPopCurrent_v2(&mut found[2]), Code::SUCCESS);
        assert_eq!(cuCtxPopCurrent_v2(null_mut()), Code::ERROR_INVALID_CONTEXT);
    }
    assert_eq!(found, [found[0]; 3]);
}

#[test]
fn allocations_launches_copies_and_modules_fail_on_demand() {
    for (key, number, code) in [
        ("FAIL_ALLOC", "1", Code::ERROR_OUT_OF_MEMORY),
        ("FAIL_ALLOC", "2", Code::ERROR_OUT_OF_MEMORY),
        ("FAIL_LAUNCH", "1", Code::ERROR_LAUNCH_FAILED),
        ("FAIL_COPY", "1", Code::ERROR_ECC_UNCORRECTABLE),
        ("FAIL_COPY", "2", Code::ERROR_ECC_UNCORRECTABLE),
        ("FAIL_MODULE", "1", Code::ERROR_INVALID_PTX),
    ] {
        let _turn = fresh(&[(key, number)]);
        assert_eq!(program(100), Err(code), "{key}={number}");
        assert_eq!((count("leaks"), count("live")), (0, 0), "{key}={number}");
        assert!(fetch(softcuda_log).contains("injected"), "{key}={number}");
        assert!(
            program(100).is_ok(),
            "the fault happens once: {key}={number}"
        );
    }
}

#[test]
fn memory_is_limited_and_freed_once() {
    let _turn = fresh(&[("MEMORY", "1M")]);
    context();
    let first = allocate(600 << 10).unwrap();
    assert_eq!(allocate(600 << 10), Err(Code::ERROR_OUT_OF_MEMORY));
    assert!(fetch(softcuda_last_error).contains("out of memory: 614400 bytes wanted"));
    assert_eq!(allocate(0), Err(Code::ERROR_INVALID_VALUE));
    // SAFETY: device addresses are numbers; nothing is dereferenced.
    unsafe {
        assert_eq!(cuMemFree_v2(first + 256), Code::ERROR_INVALID_VALUE);
        assert_eq!(cuMemFree_v2(first), Code::SUCCESS);
        assert_eq!(cuMemFree_v2(first), Code::ERROR_INVALID_VALUE);
    }
    assert!(fetch(softcuda_last_error).contains("double free"));
    assert!(allocate(600 << 10).is_ok());
}

#[test]
fn copies_stay_inside_and_read_what_was_written() {
    let _turn = fresh(&[]);
    context();
    let address = allocate(100).unwrap();
    let mut bytes = [7u8; 101];
    let (from, to) = (
        bytes.as_ptr().cast::<c_void>(),
        bytes.as_mut_ptr().cast::<c_void>(),
    );
    // SAFETY: the buffer has at least the bytes of each copy.
    unsafe {
        assert_eq!(
            cuMemcpyHtoD_v2(address, from, 101),
            Code::ERROR_INVALID_VALUE
        );
        assert!(fetch(softcuda_last_error).contains("go beyond"));
        assert_eq!(cuMemcpyDtoH_v2(to, address, 100), Code::ERROR_INVALID_VALUE);
        assert!(fetch(softcuda_last_error).contains("never written"));
        assert_eq!(cuMemsetD8_v2(address, 3, 50), Code::SUCCESS);
        assert_eq!(cuMemsetD32_v2(address + 52, 0x0404_0404, 12), Code::SUCCESS);
        assert_eq!(cuMemcpyDtoH_v2(to, address, 100), Code::ERROR_INVALID_VALUE);
        assert_eq!(cuMemcpyDtoD_v2(address + 50, address, 2), Code::SUCCESS);
        assert_eq!(
            cuMemcpyDtoD_v2(address + 1, address, 2),
            Code::ERROR_INVALID_VALUE
        );
        assert_eq!(cuMemcpyDtoH_v2(to, address, 100), Code::SUCCESS);
        assert_eq!(cuMemsetD32_v2(address + 2, 0, 1), Code::ERROR_INVALID_VALUE);
    }
    let expected: Vec<u8> = (0..100).map(|i| if i < 52 { 3 } else { 4 }).collect();
    assert_eq!(&bytes[..100], &expected[..]);
}

#[test]
fn leaks_are_reported_when_the_context_ends() {
    let _turn = fresh(&[]);
    context();
    allocate(123).unwrap();
    let mut stream = 0;
    // SAFETY: a pointer to a local of the type of a handle.
    unsafe {
        assert_eq!(cuStreamCreate(&mut stream, 0), Code::SUCCESS);
        assert_eq!(cuDevicePrimaryCtxRelease_v2(0), Code::SUCCESS);
    }
    assert_eq!(count("leaks"), 2);
    let log = fetch(softcuda_log);
    assert!(
        log.contains("leak: 123 bytes at 0x700000000000 (allocation 1)"),
        "{log}"
    );
    assert!(log.contains("1 streams and 0 events"), "{log}");
    assert_eq!(allocate(1), Err(Code::ERROR_CONTEXT_IS_DESTROYED));
}

#[test]
fn launches_are_checked_before_they_run() {
    let _turn = fresh(&[]);
    context();
    let (mut module, mut function) = (0, 0);
    let text = CString::new(
        ".version 6.0\n.target sm_70\n.address_size 64\n.extern .shared .align 4 .b8 d[];\n\
         .visible .entry k(.param .u32 n)\n.maxntid 64, 1, 1\n{\n.shared .align 4 .b8 s[1024];\n.reg .b32 %r<2>;\n\
         mov.u32 %r1, s;\nret;\n}\n",
    )
    .unwrap();
    // SAFETY: pointers to locals that live as long as the calls, of the documented types.
    unsafe {
        assert_eq!(
            cuModuleLoadData(&mut module, text.as_ptr().cast()),
            Code::SUCCESS
        );
        assert_eq!(
            cuModuleGetFunction(&mut function, module, c"none".as_ptr()),
            Code::ERROR_NOT_FOUND
        );
        assert_eq!(
            cuModuleGetFunction(&mut function, module, c"k".as_ptr()),
            Code::SUCCESS
        );
        let n = 5u32;
        let launch = |grid: u32, block: [u32; 3], shared: u32, missing: bool| {
            let mut args = [if missing {
                null_mut()
            } else {
                from_ref(&n) as *mut c_void
            }];
            let [x, y, z] = block;
            cuLaunchKernel(
                function,
                grid,
                1,
                1,
                x,
                y,
                z,
                shared,
                0,
                args.as_mut_ptr(),
                null_mut(),
            )
        };
        assert_eq!(
            launch(1, [64, 1, 1], 48 * 1024 - 1024, false),
            Code::SUCCESS
        );
        assert_eq!(launch(1, [65, 1, 1], 0, false), Code::ERROR_INVALID_VALUE);
        assert!(fetch(softcuda_last_error).contains("`.maxntid` is 64"));
        assert_eq!(launch(0, [1, 1, 1], 0, false), Code::ERROR_INVALID_VALUE);
        assert_eq!(launch(1, [0, 1, 1], 0, false), Code::ERROR_INVALID_VALUE);
        assert_eq!(launch(1, [1, 1, 65], 0, false), Code::ERROR_INVALID_VALUE);
        assert_eq!(launch(1, [1, 1, 1], 0, true), Code::ERROR_INVALID_VALUE);
        assert!(fetch(softcuda_last_error).contains("argument 0 is missing"));
        assert_eq!(
            launch(1, [1, 1, 1], 48 * 1024, false),
            Code::ERROR_INVALID_VALUE
        );
        assert_eq!(cuFuncSetAttribute(function, 8, 64 * 1024), Code::SUCCESS);
        assert_eq!(launch(1, [1, 1, 1], 64 * 1024, false), Code::SUCCESS);
        assert_eq!(
            cuFuncSetAttribute(function, 8, 96 * 1024),
            Code::ERROR_INVALID_VALUE
        );
        assert_eq!(cuModuleUnload(module), Code::SUCCESS);
        assert_eq!(launch(1, [1, 1, 1], 0, false), Code::ERROR_INVALID_HANDLE);
    }
}

#[test]
fn machines_without_devices_and_calls_out_of_order() {
    let _turn = fresh(&[("DEVICES", "0")]);
    let mut number = 7;
    // SAFETY: a pointer to a local of the documented type.
    unsafe {
        assert_eq!(cuDeviceGetCount(&mut number), Code::ERROR_NOT_INITIALIZED);
        assert_eq!(cuInit(0), Code::ERROR_NO_DEVICE);
        assert_eq!(cuDeviceGetCount(&mut number), Code::SUCCESS);
        assert_eq!(number, 0);
        assert_eq!(cuDeviceGet(&mut number, 0), Code::ERROR_INVALID_DEVICE);
        assert_eq!(cuDriverGetVersion(&mut number), Code::SUCCESS);
        assert_eq!(number, 12040);
        assert_eq!(cuDriverGetVersion(null_mut()), Code::ERROR_INVALID_VALUE);
    }
    assert_eq!(allocate(1), Err(Code::ERROR_INVALID_CONTEXT));
    assert_eq!(cuTexObjectCreate(), Code::ERROR_NOT_SUPPORTED);
    assert!(fetch(softcuda_last_error).contains("cuTexObjectCreate"));
}

#[test]
fn modules_for_other_machines_are_refused() {
    let _turn = fresh(&[("CAPABILITY", "5.2")]);
    context();
    let mut module = 0;
    let load = |module: &mut usize, text: &str| {
        let text = CString::new(text).unwrap();
        // SAFETY: a handle's place, and a string that ends in a NUL byte.
        unsafe { cuModuleLoadData(module, text.as_ptr().cast()) }
    };
    assert_eq!(load(&mut module, KERNELS), Code::ERROR_NO_BINARY_FOR_GPU);
    assert_eq!(
        load(&mut module, ".version 99.0\n.target sm_50\n"),
        Code::ERROR_UNSUPPORTED_PTX_VERSION
    );
    assert_eq!(load(&mut module, "what?"), Code::ERROR_INVALID_PTX);
    assert_eq!(
        load(&mut module, "\u{7f}ELF and so on"),
        Code::ERROR_INVALID_IMAGE
    );
    assert_eq!(count("live"), 0);
}

#[test]
fn events_measure_streams_that_exist() {
    let _turn = fresh(&[]);
    context();
    let (mut start, mut end, mut untimed) = (0, 0, 0);
    let mut time = -1.0;
    // SAFETY: pointers to locals of the documented types.
    unsafe {
        assert_eq!(cuEventCreate(&mut start, 0), Code::SUCCESS);
        assert_eq!(cuEventCreate(&mut end, 0), Code::SUCCESS);
        assert_eq!(cuEventCreate(&mut untimed, 2), Code::SUCCESS);
        assert_eq!(cuEventRecord(start, 0), Code::SUCCESS);
        assert_eq!(
            cuEventElapsedTime(&mut time, start, end),
            Code::ERROR_INVALID_HANDLE
        );
        assert_eq!(cuEventRecord(end, 0), Code::SUCCESS);
        assert_eq!(cuEventElapsedTime(&mut time, start, end), Code::SUCCESS);
        assert!(time >= 0.0);
        assert_eq!(cuEventRecord(untimed, 0), Code::SUCCESS);
        assert_eq!(
            cuEventElapsedTime(&mut time, start, untimed),
            Code::ERROR_INVALID_HANDLE
        );
        assert_eq!(cuEventRecord(end, 0x9999), Code::ERROR_INVALID_HANDLE);
        for event in [start, end, untimed] {
            assert_eq!(cuEventDestroy_v2(event), Code::SUCCESS);
        }
        assert_eq!(cuEventQuery(start), Code::ERROR_INVALID_HANDLE);
    }
}

/// Not a test of its own: what the process of the next test does.
#[test]
#[ignore = "run by `the_end_of_a_process_reports_leaks`"]
fn leaks_and_ends() {
    context();
    allocate(321).unwrap();
}

#[test]
fn the_end_of_a_process_reports_leaks() {
    let _turn = fresh(&[]);
    let stats = std::env::temp_dir().join(format!("softcuda-{}.json", std::process::id()));
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "leaks_and_ends", "--ignored"])
        .env("SOFTCUDA_STATS", &stats)
        .env("SOFTCUDA_STRICT_EXIT", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(86), "{text}");
    assert!(text.contains("leak: 321 bytes"), "{text}");
    let retained = "leak: the primary context of device 0 has 1 owners that never released it";
    assert!(text.contains(retained), "{text}");
    let json = std::fs::read_to_string(&stats).unwrap();
    std::fs::remove_file(&stats).unwrap();
    assert!(json.contains("\"leaks\": 2"), "{json}");
}

/// Two streams, and the copies and launches of a program that overlaps them, one mistake at a time.
#[test]
fn streams_that_race_are_found_out() {
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Mistake {
        None,
        /// The kernel does not wait for the copy of its input.
        Early,
        /// The next copy does not wait for the kernel that reads what it overwrites.
        Overwrites,
        /// The host changes page-locked memory before its copy is complete.
        HostChanges,
        /// Memory is given back while the kernel may still use it.
        Frees,
        /// The same of page-locked memory.
        FreesHost,
    }
    use Mistake::*;
    for mistake in [None, Early, Overwrites, HostChanges, Frees, FreesHost] {
        let _turn = fresh(&[]);
        context();
        let good =
            |code: Code| assert_eq!(code, Code::SUCCESS, "{mistake:?}: {}", fetch(softcuda_log));
        let (mut module, mut function) = (0, 0);
        let (mut compute, mut copies, mut event) = (0, 0, 0);
        let mut pinned: *mut c_void = null_mut();
        let text = CString::new(KERNELS).unwrap();
        let (x, y, n) = (allocate(400).unwrap(), allocate(400).unwrap(), 100u32);
        let mut args = [
            from_ref(&x) as *mut c_void,
            from_ref(&y) as *mut c_void,
            from_ref(&n) as *mut c_void,
        ];
        let code = unsafe {
            // SAFETY: pointers to locals that live as long as the call; the page-locked memory has 400
            // bytes and is written before it is given back.
            good(cuModuleLoadDataEx(
                &mut module,
                text.as_ptr().cast(),
                0,
                null_mut(),
                null_mut(),
            ));
            good(cuModuleGetFunction(
                &mut function,
                module,
                c"squash".as_ptr(),
            ));
            good(cuStreamCreateWithPriority(&mut compute, 0, 0));
            good(cuStreamCreateWithPriority(&mut copies, 0, 0));
            good(cuEventCreate(&mut event, 2));
            good(cuMemAllocHost_v2(&mut pinned, 400));
            let steps: [&mut dyn FnMut() -> Code; 12] = [
                &mut || cuMemcpyHtoDAsync_v2(x, pinned, 400, copies),
                &mut || cuEventRecord(event, copies),
                &mut || match mistake {
                    Early => Code::SUCCESS,
                    _ => cuStreamWaitEvent(compute, event, 0),
                },
                &mut || {
                    let args = args.as_mut_ptr();
                    cuLaunchKernel(function, 1, 1, 1, 128, 1, 1, 0, compute, args, null_mut())
                },
                &mut || match mistake {
                    HostChanges => Code::SUCCESS,
                    _ => cuStreamSynchronize(copies),
                },
                &mut || {
                    pinned.cast::<f32>().write(2.0);
                    cuEventRecord(event, compute)
                },
                &mut || match mistake {
                    Overwrites => Code::SUCCESS,
                    _ => cuStreamWaitEvent(copies, event, 0),
                },
                &mut || cuMemcpyHtoDAsync_v2(x, pinned, 400, copies),
                &mut || match mistake {
                    FreesHost => Code::SUCCESS,
                    _ => cuStreamSynchronize(copies),
                },
                &mut || cuMemFreeHost(pinned),
                &mut || match mistake {
                    Frees => cuMemcpyDtoDAsync_v2(y + 200, y, 200, compute),
                    _ => cuStreamSynchronize(compute),
                },
                &mut || cuMemFree_v2(y),
            ];
            let failed = |code: &Code| *code != Code::SUCCESS;
            steps.into_iter().map(|step| step()).find(failed)
        };
        let words = match mistake {
            None => "",
            Early => "kernel `squash` on stream",
            Overwrites => "a copy to the device on stream",
            HostChanges => "page-locked memory at",
            Frees => "allocation 2 is freed",
            FreesHost => "is freed, and the host has not waited for a copy",
        };
        let last = fetch(softcuda_last_error);
        if mistake == None {
            assert_eq!(code, Option::None, "{last}");
        } else {
            assert_eq!(code, Some(Code::ERROR_LAUNCH_FAILED), "{mistake:?}: {last}");
            assert!(
                last.starts_with("stream race:") && last.contains(words),
                "{mistake:?}: {last}"
            );
        }
    }
}
