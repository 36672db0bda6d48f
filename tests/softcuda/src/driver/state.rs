//! The state of the driver: devices, contexts, modules, streams, events, and what went wrong so far.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use super::config::Config;
use super::order::Order;
use super::report::Transfers;
use crate::error::Code;
use crate::exec::KernelStats;
use crate::memory::DeviceMemory;
use crate::memory::uses::Clock;
use crate::module::Module;

/// Handles that the caller gets: never dereferenced, never used twice.
pub type Handle = usize;

pub struct Device {
    pub memory: DeviceMemory,
    pub primary: Option<Handle>,
    pub retained: u32,
    pub flags: u32,
    /// The error that every later call returns.
    pub failed: Option<Code>,
}

pub struct Context {
    pub device: usize,
    pub flags: u32,
}

pub struct LoadedModule {
    pub module: Module,
    pub device: usize,
}

#[derive(Clone, Copy)]
pub struct Function {
    pub module: Handle,
    pub kernel: usize,
    /// The dynamic shared memory that was opted into.
    pub dynamic_limit: u32,
}

pub struct Stream {
    pub flags: u32,
    pub priority: i32,
    pub device: usize,
}

pub struct Event {
    pub flags: u32,
    pub recorded: Option<Instant>,
    /// What its stream had come to when it was recorded.
    pub reached: Clock,
    pub device: usize,
}

#[derive(Default)]
pub struct Driver {
    pub config: Config,
    pub initialised: bool,
    pub calls: u64,
    pub allocations: u64,
    pub launches: u64,
    pub copies: u64,
    pub loads: u64,
    pub lost: bool,
    pub devices: Vec<Device>,
    pub contexts: HashMap<Handle, Context>,
    pub modules: HashMap<Handle, LoadedModule>,
    pub functions: HashMap<Handle, Function>,
    pub streams: HashMap<Handle, Stream>,
    pub events: HashMap<Handle, Event>,
    /// Page-locked memory of the host, by address, with its layout.
    pub pinned: HashMap<usize, std::alloc::Layout>,
    pub registered: HashMap<usize, usize>,
    pub stats: BTreeMap<String, KernelStats>,
    pub transfers: Transfers,
    pub order: Order,
    pub log: Vec<String>,
    pub violations: u64,
    pub leaks: u64,
    /// Advances at a reset, so that contexts of before are no longer current anywhere.
    pub generation: u64,
    next: Handle,
}

/// What must hold before a call does its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Init,
    /// The thread's own stack of contexts: no device is asked, so a lost one does not show.
    Stack,
    /// A current context that has not failed.
    Context,
    /// Gives something back: does so also in a failed context, but returns its error.
    Cleanup,
}

static DRIVER: Mutex<Option<Driver>> = Mutex::new(None);

thread_local! {
    /// The stack of current contexts of this thread, with the generation that they belong to.
    static CURRENT: RefCell<(u64, Vec<Handle>)> = const { RefCell::new((0, Vec::new())) };
}

/// The driver, made on first use. A panic in an earlier call does not lock it for ever.
pub fn lock() -> MutexGuard<'static, Option<Driver>> {
    let mut guard = DRIVER
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    if guard.is_none() {
        *guard = Some(Driver::fresh(1));
    }
    guard
}

/// Runs the body of an entry point.
pub fn enter(name: &str, needs: Needs, body: impl FnOnce(&mut Driver) -> Result<(), Code>) -> Code {
    let run = || {
        let mut guard = lock();
        let Some(driver) = guard.as_mut() else {
            return Code::ERROR_UNKNOWN;
        };
        driver.enter(name, needs, body)
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        eprintln!("softcuda: {name} panicked");
        Code::ERROR_UNKNOWN
    })
}

impl Driver {
    pub fn fresh(generation: u64) -> Self {
        let (config, complaints) = Config::from_environment();
        let mut driver = Self {
            config,
            generation,
            next: 0x1000,
            ..Self::default()
        };
        for complaint in complaints {
            driver.say(complaint);
        }
        driver
    }

    /// One line for stderr and for `softcuda_last_error`.
    pub fn say(&mut self, line: impl Into<String>) {
        let line = line.into();
        if !self.config.quiet {
            eprintln!("softcuda: {line}");
        }
        self.log.push(line);
    }

    /// Says why, and returns the code.
    pub fn refuse<T>(&mut self, code: Code, line: impl Into<String>) -> Result<T, Code> {
        self.say(line);
        Err(code)
    }

    fn enter(
        &mut self,
        name: &str,
        needs: Needs,
        body: impl FnOnce(&mut Driver) -> Result<(), Code>,
    ) -> Code {
        self.calls += 1;
        if self.config.lost_at != 0 && self.calls >= self.config.lost_at && !self.lost {
            self.lost = true;
            self.say(format!(
                "injected: the device is lost at driver call {} ({name})",
                self.calls
            ));
        }
        if name == self.config.fail_call {
            let code = self.config.fail_code;
            self.say(format!("injected: {name} fails with code {}", code.0));
            return code;
        }
        if needs != Needs::Nothing && !self.initialised {
            return Code::ERROR_NOT_INITIALIZED;
        }
        let lost = self.lost && needs != Needs::Stack;
        let mut failed = lost.then_some(self.config.lost_code);
        if matches!(needs, Needs::Context | Needs::Cleanup) && failed.is_none() {
            failed = match self.device() {
                Ok(device) => self.devices[device].failed,
                Err(code) if needs == Needs::Context => return code,
                Err(_) => None,
            };
        }
        match (failed, needs) {
            (Some(code), Needs::Cleanup) => {
                // The error of the failed context counts, whatever comes of the clean-up.
                let _ = body(self);
                code
            }
            (Some(code), _) => code,
            (None, _) => match self.check_host().and_then(|()| body(self)) {
                Ok(()) => Code::SUCCESS,
                Err(code) => code,
            },
        }
    }

    pub fn handle(&mut self) -> Handle {
        self.next += 16;
        self.next
    }

    /// The contexts of this thread, the current one last.
    pub fn with_current<T>(&self, f: impl FnOnce(&mut Vec<Handle>) -> T) -> T {
        CURRENT.with_borrow_mut(|(generation, stack)| {
            if *generation != self.generation {
                stack.clear();
                *generation = self.generation;
            }
            f(stack)
        })
    }

    pub fn current(&self) -> Option<Handle> {
        self.with_current(|stack| stack.last().copied())
            .filter(|&handle| handle != 0)
    }

    /// The device of the current context.
    pub fn device(&self) -> Result<usize, Code> {
        let handle = self.current().ok_or(Code::ERROR_INVALID_CONTEXT)?;
        match self.contexts.get(&handle) {
            Some(context) => Ok(context.device),
            None => Err(Code::ERROR_CONTEXT_IS_DESTROYED),
        }
    }

    pub fn memory(&mut self) -> Result<&mut DeviceMemory, Code> {
        let device = self.device()?;
        Ok(&mut self.devices[device].memory)
    }

    /// Makes the current context fail from now on.
    pub fn fail(&mut self, code: Code) {
        self.violations += 1;
        if let Ok(device) = self.device() {
            self.devices[device].failed.get_or_insert(code);
        }
    }
}
