//! What a test may set: the machine that is pretended, the faults that are injected, what is checked.
//!
//! Every key is also an environment variable with the prefix `SOFTCUDA_`; see [`KEYS`].

use crate::error::Code;
use crate::exec::Options;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub devices: u32,
    pub memory: u64,
    pub driver_version: u32,
    /// Compute capability, as 70 for 7.0.
    pub capability: u32,
    /// The most shared memory of a block, with the kernel's attribute raised.
    pub shared_limit: u32,
    pub budget: u64,
    pub shared_races: bool,
    pub global_races: bool,
    /// Reports a kernel's violation at the next call instead of at the launch.
    pub deferred: bool,
    pub quiet: bool,
    pub stats: Option<String>,
    /// These count from 1; 0 is never.
    pub fail_alloc: u64,
    pub fail_launch: u64,
    pub fail_copy: u64,
    pub fail_module: u64,
    pub lost_at: u64,
    pub lost_code: Code,
    pub fail_call: String,
    pub fail_code: Code,
    /// Ends the process with status 86 if there was a violation or a leak.
    pub strict_exit: bool,
}

/// The keys and their meaning.
pub const KEYS: &[(&str, &str)] = &[
    ("DEVICES", "number of devices; 1"),
    (
        "MEMORY",
        "memory of a device in bytes, also 512K, 64M, 2G; 2G",
    ),
    ("DRIVER_VERSION", "what cuDriverGetVersion returns; 12040"),
    ("CAPABILITY", "compute capability; 7.0"),
    (
        "SHARED_LIMIT",
        "most shared memory of a block, opted in; 98304",
    ),
    ("BUDGET", "most instructions of a warp; 50000000"),
    ("RACES", "`all`, `shared` or `none`; all"),
    (
        "DEFERRED",
        "1: a violation is returned by the call after the launch; 0",
    ),
    ("QUIET", "1: nothing on stderr; 0"),
    ("STATS", "file that the statistics are written to as JSON"),
    ("FAIL_ALLOC", "this allocation runs out of memory"),
    ("FAIL_LAUNCH", "this launch fails"),
    ("FAIL_COPY", "this copy or memset fails"),
    ("FAIL_MODULE", "this module does not load"),
    ("LOST_AT", "from this driver call on the device is lost"),
    (
        "LOST_CODE",
        "and this is what every call returns; 999, unknown error",
    ),
    ("FAIL_CALL", "every call of this function fails"),
    ("FAIL_CODE", "and returns this; 999, unknown error"),
    (
        "STRICT_EXIT",
        "1: exit status 86 after a violation or a leak; 0",
    ),
];

impl Default for Config {
    fn default() -> Self {
        Self {
            devices: 1,
            memory: 2 << 30,
            driver_version: 12040,
            capability: 70,
            shared_limit: 98304,
            budget: Options::default().budget,
            shared_races: true,
            global_races: true,
            deferred: false,
            quiet: false,
            stats: None,
            fail_alloc: 0,
            fail_launch: 0,
            fail_copy: 0,
            fail_module: 0,
            lost_at: 0,
            lost_code: Code::ERROR_UNKNOWN,
            fail_call: String::new(),
            fail_code: Code::ERROR_UNKNOWN,
            strict_exit: false,
        }
    }
}

impl Config {
    /// The environment's, and what of it could not be understood.
    pub fn from_environment() -> (Self, Vec<String>) {
        let mut config = Self::default();
        let mut complaints = Vec::new();
        for (key, _) in KEYS {
            if let Ok(value) = std::env::var(format!("SOFTCUDA_{key}"))
                && !config.set(key, &value)
            {
                complaints.push(format!("SOFTCUDA_{key}={value} is not understood"));
            }
        }
        (config, complaints)
    }

    /// Sets one key; `false` if key or value are not understood.
    pub fn set(&mut self, key: &str, value: &str) -> bool {
        fn into<T: std::str::FromStr>(slot: &mut T, value: &str) -> bool {
            value.parse().map(|value| *slot = value).is_ok()
        }
        fn flag(slot: &mut bool, value: &str) -> bool {
            *slot = value == "1";
            matches!(value, "0" | "1")
        }
        match key {
            "DEVICES" => into(&mut self.devices, value),
            "MEMORY" => bytes(value).map(|bytes| self.memory = bytes).is_some(),
            "DRIVER_VERSION" => into(&mut self.driver_version, value),
            "CAPABILITY" => value
                .split_once('.')
                .and_then(|(a, b)| Some(10 * a.parse::<u32>().ok()? + b.parse::<u32>().ok()?))
                .map(|capability| self.capability = capability)
                .is_some(),
            "SHARED_LIMIT" => into(&mut self.shared_limit, value),
            "BUDGET" => into(&mut self.budget, value),
            "RACES" => {
                self.shared_races = value != "none";
                self.global_races = value == "all";
                matches!(value, "all" | "shared" | "none")
            }
            "DEFERRED" => flag(&mut self.deferred, value),
            "QUIET" => flag(&mut self.quiet, value),
            "STATS" => {
                self.stats = (!value.is_empty()).then(|| value.to_owned());
                true
            }
            "FAIL_ALLOC" => into(&mut self.fail_alloc, value),
            "FAIL_LAUNCH" => into(&mut self.fail_launch, value),
            "FAIL_COPY" => into(&mut self.fail_copy, value),
            "FAIL_MODULE" => into(&mut self.fail_module, value),
            "LOST_AT" => into(&mut self.lost_at, value),
            "LOST_CODE" => into(&mut self.lost_code.0, value),
            "FAIL_CALL" => into(&mut self.fail_call, value),
            "FAIL_CODE" => into(&mut self.fail_code.0, value),
            "STRICT_EXIT" => flag(&mut self.strict_exit, value),
            _ => false,
        }
    }
}

fn bytes(value: &str) -> Option<u64> {
    let (digits, shift) = match value.strip_suffix(['K', 'M', 'G']) {
        Some(digits) if value.ends_with('K') => (digits, 10),
        Some(digits) if value.ends_with('M') => (digits, 20),
        Some(digits) => (digits, 30),
        None => (value, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_settable_and_others_are_refused() {
        let mut config = Config::default();
        for (key, _) in KEYS {
            let value = match *key {
                "RACES" => "shared",
                "CAPABILITY" => "8.6",
                "MEMORY" => "64M",
                _ => "1",
            };
            assert!(config.set(key, value), "{key}");
        }
        assert_eq!((config.memory, config.capability), (64 << 20, 86));
        assert!(config.shared_races && !config.global_races);
        for (key, value) in [
            ("NOPE", "1"),
            ("DEVICES", "-1"),
            ("QUIET", "yes"),
            ("MEMORY", "2X"),
        ] {
            assert!(!config.set(key, value), "{key}={value}");
        }
    }
}
