//! Functions of this driver's own, for tests: settings, messages, statistics, reset.

use std::ffi::{c_char, c_int};

use super::state::{Driver, lock};
use super::text;

/// Copies a text with its NUL byte, cut to the room that there is; returns the length of the whole.
fn give(text: &str, buffer: *mut c_char, room: usize) -> usize {
    if !buffer.is_null() && room > 0 {
        let count = text.len().min(room - 1);
        // SAFETY: the caller gives room for `room` bytes, of which `count` + 1 are written.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast::<u8>(), count);
            buffer.add(count).write(0);
        }
    }
    text.len()
}

fn ask<T>(f: impl FnOnce(&mut Driver) -> T) -> Option<T> {
    lock().as_mut().map(f)
}

/// Sets one of [`super::config::KEYS`], without the prefix; 0 if it was understood, else 1. The number
/// of devices and their memory count from the next reset's `cuInit`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn softcuda_set(key: *const c_char, value: *const c_char) -> c_int {
    let (Ok(key), Ok(value)) = (text(key), text(value)) else {
        return 1;
    };
    let understood = ask(|driver| driver.config.set(&key, &value)).unwrap_or(false);
    c_int::from(!understood)
}

/// Forgets everything: devices, contexts, messages, statistics and counts. Settings are read from the
/// environment again. Page-locked memory that is still alive stays valid, but can't be freed any more.
#[unsafe(no_mangle)]
pub extern "C" fn softcuda_reset() {
    let mut guard = lock();
    let generation = guard.as_ref().map_or(0, |driver| driver.generation);
    *guard = Some(Driver::fresh(generation + 1));
}

/// The last message, as `buffer` of `room` bytes; returns its length, 0 if there was none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn softcuda_last_error(buffer: *mut c_char, room: usize) -> usize {
    let line = ask(|driver| driver.log.last().cloned())
        .flatten()
        .unwrap_or_default();
    give(&line, buffer, room)
}

/// All messages since the reset, a line each.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn softcuda_log(buffer: *mut c_char, room: usize) -> usize {
    let lines = ask(|driver| driver.log.join("\n")).unwrap_or_default();
    give(&lines, buffer, room)
}

/// The statistics as JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn softcuda_stats(buffer: *mut c_char, room: usize) -> usize {
    let json = ask(|driver| driver.stats_json()).unwrap_or_default();
    give(&json, buffer, room)
}

/// One count since the reset: `calls`, `allocations`, `launches`, `copies`, `modules`, `violations`,
/// `leaks`, `live` (allocations not yet freed); `u64::MAX` for another name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn softcuda_count(name: *const c_char) -> u64 {
    let Ok(name) = text(name) else {
        return u64::MAX;
    };
    ask(|driver| match name.as_str() {
        "calls" => driver.calls,
        "allocations" => driver.allocations,
        "launches" => driver.launches,
        "copies" => driver.copies,
        "modules" => driver.loads,
        "violations" => driver.violations,
        "leaks" => driver.leaks,
        "live" => {
            let of_modules: usize = driver
                .modules
                .values()
                .map(|loaded| loaded.module.variables.len())
                .sum();
            let live: usize = driver
                .devices
                .iter()
                .map(|device| device.memory.live().count())
                .sum();
            (live - of_modules) as u64
        }
        _ => u64::MAX,
    })
    .unwrap_or(u64::MAX)
}
