//! What is reported at the end: leaks, and statistics as JSON.

use std::fmt::Write;

use super::state::{Driver, lock};
use crate::memory::segment::Role;

/// Copies between host and device.
#[derive(Clone, Debug, Default)]
pub struct Transfers {
    pub to_device: u64,
    pub to_device_bytes: u64,
    pub to_host: u64,
    pub to_host_bytes: u64,
    pub on_device: u64,
    pub on_device_bytes: u64,
    pub memsets: u64,
    pub memset_bytes: u64,
    pub synchronisations: u64,
    pub peak_bytes: u64,
}

impl Driver {
    /// Ends a device's context: reports and frees what its owner has not freed.
    pub fn close(&mut self, index: usize) {
        let call = self.calls;
        let modules: Vec<usize> = self
            .modules
            .iter()
            .filter(|(_, m)| m.device == index)
            .map(|(&handle, _)| handle)
            .collect();
        // A context takes its modules with it; leaving them to it is no mistake.
        for handle in modules {
            if let Some(loaded) = self.modules.remove(&handle) {
                loaded.module.unload(&mut self.devices[index].memory, call);
            }
        }
        let modules = &self.modules;
        self.functions
            .retain(|_, function| modules.contains_key(&function.module));
        let device = &self.devices[index];
        let live: Vec<(u64, u64, String)> = device
            .memory
            .live()
            .filter(|segment| segment.role == Role::Global)
            .map(|segment| (segment.base, segment.bytes, segment.name.clone()))
            .collect();
        let streams = self
            .streams
            .values()
            .filter(|stream| stream.device == index)
            .count();
        let events = self
            .events
            .values()
            .filter(|event| event.device == index)
            .count();
        for (address, bytes, name) in live {
            self.leak(format!(
                "{bytes} bytes at {address:#x} ({name}) were never freed"
            ));
            // It is live, so this cannot fail.
            let _ = self.devices[index].memory.free(address, call);
        }
        if streams + events > 0 {
            self.leak(format!(
                "{streams} streams and {events} events were never destroyed"
            ));
        }
        self.streams.retain(|_, stream| stream.device != index);
        self.events.retain(|_, event| event.device != index);
        self.devices[index].failed = None;
        self.write_stats();
    }

    /// At the end nobody owns a primary context any more.
    pub fn report_retained(&mut self, index: usize) {
        let retained = self.devices[index].retained;
        if retained > 0 {
            self.leak(format!(
                "the primary context of device {index} has {retained} owners that never released it"
            ));
        }
    }

    fn leak(&mut self, what: String) {
        self.leaks += 1;
        self.say(format!("leak: {what}"));
    }

    /// Everything that was counted.
    pub fn stats_json(&self) -> String {
        let t = &self.transfers;
        let mut text = String::from("{\n  \"kernels\": {");
        for (number, (name, stats)) in self.stats.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            let _ = write!(text, "{comma}\n    \"{name}\": {}", stats.json());
        }
        let _ = write!(
            text,
            "\n  }},\n  \"transfers\": {{\"to_device\": {}, \"to_device_bytes\": {}, \"to_host\": {}, \
             \"to_host_bytes\": {}, \"on_device\": {}, \"on_device_bytes\": {}, \"memsets\": {}, \
             \"memset_bytes\": {}, \"synchronisations\": {}}},\n  \"calls\": {}, \"allocations\": {}, \
             \"launches\": {}, \"copies\": {}, \"peak_bytes\": {}, \"violations\": {}, \"leaks\": {}\n}}\n",
            t.to_device,
            t.to_device_bytes,
            t.to_host,
            t.to_host_bytes,
            t.on_device,
            t.on_device_bytes,
            t.memsets,
            t.memset_bytes,
            t.synchronisations,
            self.calls,
            self.allocations,
            self.launches,
            self.copies,
            t.peak_bytes,
            self.violations,
            self.leaks,
        );
        text
    }

    pub fn write_stats(&mut self) {
        let Some(path) = self.config.stats.clone() else {
            return;
        };
        if let Err(error) = std::fs::write(&path, self.stats_json()) {
            self.say(format!("cannot write the statistics to {path}: {error}"));
        }
    }
}

unsafe extern "C" {
    fn atexit(function: extern "C" fn()) -> i32;
    fn _exit(status: i32) -> !;
}

/// Asks for `at_exit` to be called when the process ends.
pub fn register_exit() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function has the signature that C wants, and does not unwind.
        unsafe { atexit(at_exit) };
    });
}

/// Reports what is still alive, and writes the statistics.
extern "C" fn at_exit() {
    let outcome = std::panic::catch_unwind(|| {
        let mut guard = lock();
        let Some(driver) = guard.as_mut() else {
            return false;
        };
        for index in 0..driver.devices.len() {
            driver.close(index);
            driver.report_retained(index);
        }
        let pinned = driver.pinned.len();
        if pinned > 0 {
            driver.leak(format!(
                "{pinned} allocations of page-locked memory were never freed"
            ));
        }
        driver.write_stats();
        driver.config.strict_exit && (driver.violations > 0 || driver.leaks > 0)
    });
    if outcome.unwrap_or(true) {
        // SAFETY: ends the process at once; nothing of it is used afterwards.
        unsafe { _exit(86) };
    }
}
