//! A loaded module: its kernels, decoded, and its variables, placed in device memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::decode::form::Kernel;
use crate::decode::{Symbol, decode};
use crate::error::LoadError;
use crate::memory::DeviceMemory;
use crate::memory::segment::Role;
use crate::ptx::{Space, Tree, parse};

/// The newest PTX that is understood, as (major, minor).
pub const PTX_VERSION: (u32, u32) = (8, 5);

/// The variables of a module by name.
type Variables = HashMap<String, Symbol>;

#[derive(Clone, Debug)]
pub struct Module {
    pub kernels: Arc<[Kernel]>,
    pub variables: Variables,
    pub source: Arc<[String]>,
    pub version: (u32, u32),
    pub target: u32,
}

/// What came of a source before. A test makes many contexts, and each of them loads the same few modules:
/// reading them again took half of its time.
struct Read {
    text: String,
    lines: Arc<[String]>,
    tree: Tree,
    decoded: Mutex<Option<Decoded>>,
}

/// Kernels, and the variables whose addresses are in them.
type Decoded = (Variables, Arc<[Kernel]>);

static READ: Mutex<Vec<Arc<Read>>> = Mutex::new(Vec::new());

/// Sources that are kept.
const KEPT: usize = 32;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Read {
    /// What is known of a source. The lock is not held while a new one is read.
    fn of(source: &str) -> Result<Arc<Read>, LoadError> {
        let known = lock(&READ).iter().find(|read| read.text == source).cloned();
        if let Some(read) = known {
            return Ok(read);
        }
        let read = Arc::new(Read {
            text: source.to_owned(),
            lines: source.lines().map(str::to_owned).collect(),
            tree: parse(source)?,
            decoded: Mutex::new(None),
        });
        let mut all = lock(&READ);
        if all.len() >= KEPT {
            all.remove(0);
        }
        all.push(read.clone());
        Ok(read)
    }

    /// The kernels, for variables at these addresses.
    fn kernels(&self, variables: &Variables) -> Result<Arc<[Kernel]>, LoadError> {
        let mut decoded = lock(&self.decoded);
        if let Some((there, kernels)) = &*decoded
            && there == variables
        {
            return Ok(kernels.clone());
        }
        let kernels: Arc<[Kernel]> = decode(&self.tree, variables)?.into();
        *decoded = Some((variables.clone(), kernels.clone()));
        Ok(kernels)
    }
}

impl Module {
    /// Reads, checks and decodes PTX. Its variables are allocated, and hold their initial values:
    /// the given ones, or zeros.
    pub fn load(source: &str, memory: &mut DeviceMemory) -> Result<Self, LoadError> {
        let read = Read::of(source)?;
        let tree = &read.tree;
        if tree.version > PTX_VERSION {
            let (major, minor) = tree.version;
            return Err(LoadError::new(
                1,
                format!("PTX version {major}.{minor} is too new"),
            ));
        }
        let mut variables = HashMap::new();
        let placed = Self::place(tree, memory, &mut variables);
        match placed.and_then(|()| read.kernels(&variables)) {
            Ok(kernels) => Ok(Self {
                kernels,
                variables,
                source: read.lines.clone(),
                version: tree.version,
                target: tree.target,
            }),
            Err(error) => {
                Self::free(&variables, memory, 0);
                Err(error)
            }
        }
    }

    fn place(
        tree: &Tree,
        memory: &mut DeviceMemory,
        variables: &mut Variables,
    ) -> Result<(), LoadError> {
        for variable in &tree.variables {
            let role = match variable.space {
                Space::Global => Role::Global,
                Space::Const => Role::Const,
                _ => continue,
            };
            let name = format!("module variable `{}`", variable.name);
            let Some(address) = memory.allocate(variable.bytes, role, name) else {
                return Err(LoadError::new(
                    variable.line,
                    "out of memory for a module variable",
                ));
            };
            let symbol = Symbol {
                space: variable.space,
                address,
                bytes: variable.bytes,
            };
            if variables.insert(variable.name.clone(), symbol).is_some() {
                return Err(LoadError::new(
                    variable.line,
                    "a variable is declared twice",
                ));
            }
            let mut initial = variable.initial.clone();
            initial.resize(variable.bytes as usize, 0);
            memory
                .write(address, &initial)
                .map_err(|refused| LoadError::new(variable.line, refused.0))?;
        }
        Ok(())
    }

    /// Frees the variables; `call` is the number of the driver call that unloads the module.
    pub fn unload(&self, memory: &mut DeviceMemory, call: u64) {
        Self::free(&self.variables, memory, call);
    }

    fn free(variables: &Variables, memory: &mut DeviceMemory, call: u64) {
        for symbol in variables.values() {
            // They were allocated by `place`, and are freed once.
            let freed = memory.free(symbol.address, call);
            debug_assert!(freed.is_ok());
        }
    }

    pub fn kernel(&self, name: &str) -> Option<&Kernel> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }
}
