//! Emits a kernel: scopes, labels, variables, and the inlining of device functions.
//! What the names of operands stand for is found in `names.rs`.

use std::collections::HashMap;

use super::Symbol;
use super::form::*;
use crate::error::LoadError;
use crate::ptx::*;

pub type Result<T> = std::result::Result<T, LoadError>;

/// What a name of a function's body stands for.
#[derive(Clone)]
pub enum Binding {
    /// `.reg .b32 %r<count>`: the type, and the registers used so far.
    Registers {
        ty: Type,
        count: Option<u64>,
        used: HashMap<u64, R>,
    },
    Variable {
        space: Space,
        address: u64,
        bytes: u64,
    },
    Targets(Vec<String>),
}

/// One body being emitted: the kernel's, or an inlined function's.
struct Frame {
    scopes: Vec<HashMap<String, Binding>>,
    labels: HashMap<String, u32>,
    /// Branches that wait for a label: the instruction, the entry of its target table, the label.
    open: Vec<(usize, usize, String)>,
    /// `ret`s of an inlined function, which jump behind it.
    returns: Vec<usize>,
    function: String,
}

pub struct Builder<'a> {
    pub tree: &'a Tree,
    pub symbols: &'a HashMap<String, Symbol>,
    pub kernel: Kernel,
    frames: Vec<Frame>,
    pub narrow_constants: HashMap<u32, R>,
    pub wide_constants: HashMap<u64, R>,
    pub specials: HashMap<String, R>,
    shared: HashMap<String, u64>,
    shared_end: u64,
    local_end: u64,
    pub line: u32,
}

impl<'a> Builder<'a> {
    pub fn new(tree: &'a Tree, symbols: &'a HashMap<String, Symbol>) -> Self {
        let kernel = Kernel {
            predicates: vec!["false".into(), "true".into()],
            ..Kernel::default()
        };
        Self {
            tree,
            symbols,
            kernel,
            frames: Vec::new(),
            narrow_constants: HashMap::new(),
            wide_constants: HashMap::new(),
            specials: HashMap::new(),
            shared: HashMap::new(),
            shared_end: SHARED_BASE,
            local_end: LOCAL_BASE,
            line: 0,
        }
    }

    pub fn error<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(LoadError::new(self.line, message))
    }

    pub fn kernel(mut self, function: &Function) -> Result<Kernel> {
        self.kernel.name = function.name.clone();
        self.kernel.max_threads = function.max_threads.unwrap_or(1024).min(1024);
        self.kernel.required = function.required;
        let mut scope = HashMap::new();
        let mut end = 0u64;
        for parameter in &function.parameters {
            let offset = end.next_multiple_of(parameter.align);
            end = offset + parameter.bytes;
            self.kernel.parameters.push(Parameter {
                offset,
                bytes: parameter.bytes,
            });
            let binding = Binding::Variable {
                space: Space::Param,
                address: offset,
                bytes: parameter.bytes,
            };
            scope.insert(parameter.name.clone(), binding);
        }
        self.kernel.parameter_bytes = end;
        self.body(function, scope)?;
        Ok(self.kernel)
    }

    /// Emits a body with its parameters bound; its `ret`s lead to the instruction after it, and at the
    /// kernel's own end there is an `exit`.
    fn body(&mut self, function: &Function, scope: HashMap<String, Binding>) -> Result<()> {
        if self
            .frames
            .iter()
            .any(|frame| frame.function == function.name)
        {
            return self.error(format!(
                "`{}` is recursive, which is not supported",
                function.name
            ));
        }
        self.frames.push(Frame {
            scopes: vec![scope, HashMap::new()],
            labels: HashMap::new(),
            open: Vec::new(),
            returns: Vec::new(),
            function: function.name.clone(),
        });
        for statement in &function.body {
            self.statement(statement)?;
        }
        let outermost = self.frames.len() == 1;
        let Some(frame) = self.frames.pop() else {
            return self.error("internal: no frame");
        };
        let end = self.kernel.code.len() as u32;
        for (at, entry, label) in &frame.open {
            let Some(&target) = frame.labels.get(label) else {
                return Err(LoadError::new(
                    self.kernel.code[*at].line,
                    format!("there is no label `{label}`"),
                ));
            };
            self.set_target(*at, *entry, target);
        }
        for at in frame.returns {
            self.set_target(at, 0, end);
        }
        if outermost {
            self.line = function.line;
            self.emit(Op::Exit);
        }
        Ok(())
    }

    fn set_target(&mut self, at: usize, entry: usize, to: u32) {
        match &mut self.kernel.code[at].op {
            Op::Branch { target } => *target = to,
            Op::BranchIndexed { targets, .. } => targets[entry] = to,
            _ => {}
        }
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("a body is being emitted")
    }

    fn bind(&mut self, name: &str, binding: Binding) -> Result<()> {
        let scope = self.frame().scopes.last_mut().expect("a body has a scope");
        if scope.insert(name.to_owned(), binding).is_some() {
            return self.error(format!("`{name}` is declared twice"));
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Statement) -> Result<()> {
        match statement {
            Statement::Open => self.frame().scopes.push(HashMap::new()),
            Statement::Close => {
                self.frame().scopes.pop();
            }
            Statement::Label(name, line) => {
                self.line = *line;
                let here = self.kernel.code.len() as u32;
                if self.frame().labels.insert(name.clone(), here).is_some() {
                    return self.error(format!("label `{name}` stands twice"));
                }
            }
            Statement::Targets { name, labels, line } => {
                self.line = *line;
                self.bind(name, Binding::Targets(labels.clone()))?;
            }
            Statement::Registers {
                ty,
                name,
                count,
                line,
            } => {
                self.line = *line;
                let binding = Binding::Registers {
                    ty: *ty,
                    count: *count,
                    used: HashMap::new(),
                };
                self.bind(name, binding)?;
            }
            Statement::Variable(variable) => {
                self.line = variable.line;
                let address = match variable.space {
                    // Parameters of a call live in the thread's local memory, like its variables.
                    Space::Local | Space::Param => self.local(variable),
                    Space::Shared => {
                        let key = format!("{} {}", self.frame().function, variable.name);
                        self.shared(&key, variable)
                    }
                    _ => return self.error("a `.global` or `.const` variable inside a function"),
                };
                let space = if variable.space == Space::Shared {
                    Space::Shared
                } else {
                    Space::Local
                };
                let bytes = variable.bytes;
                self.bind(
                    &variable.name,
                    Binding::Variable {
                        space,
                        address,
                        bytes,
                    },
                )?;
            }
            Statement::Instruction(instruction) => {
                self.line = instruction.line;
                let start = self.kernel.code.len();
                self.instruction(instruction)?;
                if let Some((name, negated)) = &instruction.guard {
                    if instruction.opcode[0] == "call" {
                        return self.error("a guarded `call` is not supported");
                    }
                    let guard = self.predicate_named(name)?;
                    for inst in &mut self.kernel.code[start..] {
                        (inst.guard, inst.negated) = (guard, *negated);
                    }
                }
            }
        }
        Ok(())
    }

    fn local(&mut self, variable: &Variable) -> u64 {
        let address = self.local_end.next_multiple_of(variable.align.max(16));
        self.local_end = address + variable.bytes + LOCAL_GAP;
        self.kernel.local.push((address, variable.bytes));
        address
    }

    pub fn shared(&mut self, key: &str, variable: &Variable) -> u64 {
        if variable.dynamic {
            self.kernel.dynamic_shared = true;
            return DYNAMIC_SHARED;
        }
        if let Some(&address) = self.shared.get(key) {
            return address;
        }
        let address = self.shared_end.next_multiple_of(variable.align.max(16));
        self.shared_end = (address + variable.bytes).next_multiple_of(16) + SHARED_GAP;
        self.shared.insert(key.to_owned(), address);
        let name = variable.name.clone();
        self.kernel.shared.push(SharedObject {
            name,
            address,
            bytes: variable.bytes,
        });
        address
    }

    /// `call (ret), function, (arguments)`: binds the callee's parameters to the caller's variables
    /// and emits its body here.
    pub fn call(&mut self, operands: &[Operand]) -> Result<()> {
        let (returned, name, arguments): (&[Operand], _, &[Operand]) = match operands {
            [Operand::List(r), Operand::Name(name), Operand::List(a)] => (r, name, a),
            [Operand::List(r), Operand::Name(name)] => (r, name, &[]),
            [Operand::Name(name), Operand::List(a)] => (&[], name, a),
            [Operand::Name(name)] => (&[], name, &[]),
            _ => return self.error("this form of `call` is not supported"),
        };
        let tree = self.tree;
        let Some(function) = tree.functions.iter().find(|f| f.name == *name && !f.entry) else {
            return self.error(format!("there is no function `{name}` to call"));
        };
        if function.parameters.len() != arguments.len() || function.returns.len() != returned.len()
        {
            return self.error(format!(
                "`{name}` is called with a wrong number of arguments"
            ));
        }
        let mut scope = HashMap::new();
        let formals = function.parameters.iter().chain(&function.returns);
        for (formal, actual) in formals.zip(arguments.iter().chain(returned)) {
            let Operand::Name(actual) = actual else {
                return self.error("arguments of a call must be `.param` variables");
            };
            let binding = match self.lookup(actual) {
                Some(Binding::Variable {
                    space,
                    address,
                    bytes,
                }) => Binding::Variable {
                    space: *space,
                    address: *address,
                    bytes: *bytes,
                },
                _ => return self.error(format!("`{actual}` is not a `.param` variable")),
            };
            scope.insert(formal.name.clone(), binding);
        }
        self.body(function, scope)
    }

    pub fn lookup(&mut self, name: &str) -> Option<&mut Binding> {
        self.frame()
            .scopes
            .iter_mut()
            .rev()
            .find_map(|scope| scope.get_mut(name))
    }

    pub fn emit(&mut self, op: Op) {
        let line = self.line;
        self.kernel.code.push(Inst {
            op,
            guard: TRUE,
            negated: false,
            line,
            flops: 0,
        });
    }

    pub fn emit_flops(&mut self, op: Op, flops: u8) {
        self.emit(op);
        if let Some(inst) = self.kernel.code.last_mut() {
            inst.flops = flops;
        }
    }

    /// Emits a branch whose target is a label, known or not yet.
    pub fn branch(&mut self, label: &str) {
        let at = self.kernel.code.len();
        self.frame().open.push((at, 0, label.to_owned()));
        self.emit(Op::Branch { target: 0 });
    }

    pub fn branch_indexed(&mut self, index: R, table: &str) -> Result<()> {
        let labels = match self.lookup(table) {
            Some(Binding::Targets(labels)) => labels.clone(),
            _ => return self.error(format!("`{table}` is not a `.branchtargets`")),
        };
        let at = self.kernel.code.len();
        let targets = vec![0; labels.len()].into_boxed_slice();
        for (entry, label) in labels.into_iter().enumerate() {
            self.frame().open.push((at, entry, label));
        }
        self.emit(Op::BranchIndexed { index, targets });
        Ok(())
    }

    /// `ret`: ends the thread in a kernel, jumps behind the body in an inlined function.
    pub fn ret(&mut self) {
        if self.frames.len() == 1 {
            self.emit(Op::Exit);
        } else {
            let at = self.kernel.code.len();
            self.frame().returns.push(at);
            self.emit(Op::Branch { target: 0 });
        }
    }
}
