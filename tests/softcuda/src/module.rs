//! A loaded module: its kernels, decoded, and its variables, placed in device memory.

use std::collections::HashMap;

use crate::decode::form::Kernel;
use crate::decode::{Symbol, decode};
use crate::error::LoadError;
use crate::memory::DeviceMemory;
use crate::memory::segment::Role;
use crate::ptx::{Space, Tree, parse};

/// The newest PTX that is understood, as (major, minor).
pub const PTX_VERSION: (u32, u32) = (8, 5);

#[derive(Clone, Debug)]
pub struct Module {
    pub kernels: Vec<Kernel>,
    pub variables: HashMap<String, Symbol>,
    pub source: Vec<String>,
    pub version: (u32, u32),
    pub target: u32,
}

impl Module {
    /// Reads, checks and decodes PTX. Its variables are allocated, and hold their initial values:
    /// the given ones, or zeros.
    pub fn load(source: &str, memory: &mut DeviceMemory) -> Result<Self, LoadError> {
        let tree: Tree = parse(source)?;
        if tree.version > PTX_VERSION {
            let (major, minor) = tree.version;
            return Err(LoadError::new(
                1,
                format!("PTX version {major}.{minor} is too new"),
            ));
        }
        let mut variables = HashMap::new();
        let placed = Self::place(&tree, memory, &mut variables);
        let kernels = placed.and_then(|()| decode(&tree, &variables));
        match kernels {
            Ok(kernels) => {
                let source = source.lines().map(str::to_owned).collect();
                let (version, target) = (tree.version, tree.target);
                Ok(Self {
                    kernels,
                    variables,
                    source,
                    version,
                    target,
                })
            }
            Err(error) => {
                Self::free(&variables, memory, 0);
                Err(error)
            }
        }
    }

    fn place(
        tree: &Tree,
        memory: &mut DeviceMemory,
        variables: &mut HashMap<String, Symbol>,
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

    fn free(variables: &HashMap<String, Symbol>, memory: &mut DeviceMemory, call: u64) {
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
