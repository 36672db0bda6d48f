//! Names to registers and addresses, scopes, labels, and the inlining of device functions.

use std::collections::HashMap;

use super::Symbol;
use super::form::*;
use crate::error::LoadError;
use crate::ptx::*;

pub type Result<T> = std::result::Result<T, LoadError>;

/// What a name of a function's body stands for.
#[derive(Clone)]
enum Binding {
    /// `.reg .b32 %r<count>`: the type, and the registers used so far.
    Registers { ty: Type, count: Option<u64>, used: HashMap<u64, R> },
    Variable { space: Space, address: u64, bytes: u64 },
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
    tree: &'a Tree,
    symbols: &'a HashMap<String, Symbol>,
    pub kernel: Kernel,
    frames: Vec<Frame>,
    narrow_constants: HashMap<u32, R>,
    wide_constants: HashMap<u64, R>,
    specials: HashMap<String, R>,
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
            self.kernel.parameters.push(Parameter { offset, bytes: parameter.bytes });
            let binding =
                Binding::Variable { space: Space::Param, address: offset, bytes: parameter.bytes };
            scope.insert(parameter.name.clone(), binding);
        }
        self.kernel.parameter_bytes = end;
        self.body(function, scope)?;
        Ok(self.kernel)
    }

    /// Emits a body with its parameters bound; its `ret`s lead to the instruction after it, and at the
    /// kernel's own end there is an `exit`.
    fn body(&mut self, function: &Function, scope: HashMap<String, Binding>) -> Result<()> {
        if self.frames.iter().any(|frame| frame.function == function.name) {
            return self.error(format!("`{}` is recursive, which is not supported", function.name));
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
            Statement::Registers { ty, name, count, line } => {
                self.line = *line;
                let binding =
                    Binding::Registers { ty: *ty, count: *count, used: HashMap::new() };
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
                let space = if variable.space == Space::Shared { Space::Shared } else { Space::Local };
                let bytes = variable.bytes;
                self.bind(&variable.name, Binding::Variable { space, address, bytes })?;
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

    fn shared(&mut self, key: &str, variable: &Variable) -> u64 {
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
        self.kernel.shared.push(SharedObject { name, address, bytes: variable.bytes });
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
        if function.parameters.len() != arguments.len() || function.returns.len() != returned.len() {
            return self.error(format!("`{name}` is called with a wrong number of arguments"));
        }
        let mut scope = HashMap::new();
        let formals = function.parameters.iter().chain(&function.returns);
        for (formal, actual) in formals.zip(arguments.iter().chain(returned)) {
            let Operand::Name(actual) = actual else {
                return self.error("arguments of a call must be `.param` variables");
            };
            let binding = match self.lookup(actual) {
                Some(Binding::Variable { space, address, bytes }) => {
                    Binding::Variable { space: *space, address: *address, bytes: *bytes }
                }
                _ => return self.error(format!("`{actual}` is not a `.param` variable")),
            };
            scope.insert(formal.name.clone(), binding);
        }
        self.body(function, scope)
    }

    fn lookup(&mut self, name: &str) -> Option<&mut Binding> {
        self.frame().scopes.iter_mut().rev().find_map(|scope| scope.get_mut(name))
    }

    /// The address of a variable, with the space it lies in.
    pub fn variable(&mut self, name: &str) -> Option<(Space, u64, u64)> {
        if let Some(Binding::Variable { space, address, bytes }) = self.lookup(name) {
            return Some((*space, *address, *bytes));
        }
        if let Some(symbol) = self.symbols.get(name) {
            return Some((symbol.space, symbol.address, symbol.bytes));
        }
        let tree = self.tree;
        let variable = tree.variables.iter().find(|v| v.name == name && v.space == Space::Shared)?;
        let address = self.shared(name, variable);
        Some((Space::Shared, address, variable.bytes))
    }

    /// The register of that name, of whatever file.
    pub fn register(&mut self, name: &str) -> Result<(Type, R)> {
        if let Some(special) = self.special(name)? {
            return Ok((Type::U32, special));
        }
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = name[stem.len()..].parse::<u64>().ok();
        let (key, number) = match self.lookup(name) {
            Some(Binding::Registers { count: None, .. }) => (name, None),
            _ => (stem, number),
        };
        let files = [self.kernel.predicates.len(), self.kernel.narrow.len(), self.kernel.wide.len()];
        let Some(Binding::Registers { ty, count, used }) = self.lookup(key) else {
            return self.error(format!("`{name}` is not a register"));
        };
        let ty = *ty;
        if let (Some(number), Some(count)) = (number, *count)
            && number >= count
        {
            return self.error(format!("register `{name}` is beyond `{key}<{count}>`"));
        }
        let slot = number.unwrap_or(0);
        if let Some(&index) = used.get(&slot) {
            return Ok((ty, index));
        }
        let file = match ty.bytes() {
            0 => 0,
            8 => 2,
            _ => 1,
        };
        if files[file] >= usize::from(R::MAX) {
            return self.error("too many registers");
        }
        let index = files[file] as R;
        used.insert(slot, index);
        let names = match file {
            0 => &mut self.kernel.predicates,
            1 => &mut self.kernel.narrow,
            _ => &mut self.kernel.wide,
        };
        names.push(name.to_owned());
        Ok((ty, index))
    }

    fn special(&mut self, name: &str) -> Result<Option<R>> {
        if let Some(&index) = self.specials.get(name) {
            return Ok(Some(index));
        }
        let axis = |name: &str| match name {
            "x" => Some(0),
            "y" => Some(1),
            "z" => Some(2),
            _ => None,
        };
        let special = match name.split_once('.') {
            Some(("%tid", a)) => axis(a).map(Special::Tid),
            Some(("%ntid", a)) => axis(a).map(Special::Ntid),
            Some(("%ctaid", a)) => axis(a).map(Special::Ctaid),
            Some(("%nctaid", a)) => axis(a).map(Special::Nctaid),
            Some(_) => None,
            None => match name {
                "%laneid" => Some(Special::LaneId),
                "%warpid" => Some(Special::WarpId),
                "%nwarpid" => Some(Special::NWarpId),
                "%smid" => Some(Special::Zero),
                "%lanemask_eq" => Some(Special::LaneMask(0)),
                "%lanemask_lt" => Some(Special::LaneMask(1)),
                "%lanemask_le" => Some(Special::LaneMask(2)),
                "%lanemask_gt" => Some(Special::LaneMask(3)),
                "%lanemask_ge" => Some(Special::LaneMask(4)),
                "%dynamic_smem_size" => Some(Special::DynamicShared),
                "WARP_SZ" => return Ok(Some(self.narrow_constant(32))),
                "%clock" | "%clock64" | "%clock_hi" | "%globaltimer" | "%gridid" | "%nsmid" => {
                    return self.error(format!("`{name}` would make a run unrepeatable"));
                }
                _ => None,
            },
        };
        let Some(special) = special else { return Ok(None) };
        let index = self.kernel.narrow.len() as R;
        self.kernel.narrow.push(name.to_owned());
        self.kernel.narrow_presets.push((index, Preset::Special(special)));
        self.specials.insert(name.to_owned(), index);
        Ok(Some(index))
    }

    fn narrow_constant(&mut self, value: u32) -> R {
        let kernel = &mut self.kernel;
        *self.narrow_constants.entry(value).or_insert_with(|| {
            let index = kernel.narrow.len() as R;
            kernel.narrow.push(format!("{value}"));
            kernel.narrow_presets.push((index, Preset::Value(value)));
            index
        })
    }

    fn wide_constant(&mut self, value: u64) -> R {
        let kernel = &mut self.kernel;
        *self.wide_constants.entry(value).or_insert_with(|| {
            let index = kernel.wide.len() as R;
            kernel.wide.push(format!("{value}"));
            kernel.wide_presets.push((index, value));
            index
        })
    }

    /// A constant as a register of `bits`.
    pub fn constant(&mut self, bits: u8, value: u64) -> R {
        match bits {
            64 => self.wide_constant(value),
            16 => self.narrow_constant(value as u32 & 0xffff),
            _ => self.narrow_constant(value as u32),
        }
    }

    pub fn predicate_named(&mut self, name: &str) -> Result<R> {
        match self.register(name)? {
            (Type::Pred, index) => Ok(index),
            _ => self.error(format!("`{name}` is not a predicate")),
        }
    }

    /// A predicate operand, with whether it is negated.
    pub fn predicate(&mut self, operand: &Operand) -> Result<(R, bool)> {
        match operand {
            Operand::Name(name) => Ok((self.predicate_named(name)?, false)),
            Operand::Not(name) => Ok((self.predicate_named(name)?, true)),
            Operand::Integer(value) => Ok((if *value == 0 { FALSE } else { TRUE }, false)),
            other => self.error(format!("{other:?} as a predicate")),
        }
    }

    /// A register operand of any width, but not a predicate.
    pub fn any(&mut self, operand: &Operand) -> Result<Reg> {
        let Operand::Name(name) = operand else {
            return self.error(format!("{operand:?} where a register is needed"));
        };
        match self.register(name)? {
            (Type::Pred, _) => self.error(format!("`{name}` is a predicate")),
            (ty, index) => Ok(Reg { index, bits: (ty.bytes() * 8) as u8 }),
        }
    }

    /// A destination register of exactly `bits`.
    pub fn target(&mut self, operand: &Operand, bits: u8) -> Result<R> {
        let register = self.any(operand)?;
        if register.bits != bits {
            return self.error(format!(
                "{operand:?} has {} bits, the instruction {bits}",
                register.bits
            ));
        }
        Ok(register.index)
    }

    /// A source of exactly `bits`: a register, an immediate, or the address of a variable.
    pub fn source(&mut self, operand: &Operand, bits: u8) -> Result<R> {
        match operand {
            Operand::Integer(value) => Ok(self.constant(bits, *value)),
            Operand::F32(value) if bits == 32 => Ok(self.constant(32, u64::from(*value))),
            Operand::F64(value) if bits == 64 => Ok(self.constant(64, *value)),
            Operand::Name(name) if bits >= 32 && !name.starts_with('%') => {
                match self.variable(name) {
                    Some((_, address, _)) => Ok(self.constant(bits, address)),
                    None => self.target(operand, bits),
                }
            }
            _ => self.target(operand, bits),
        }
    }

    pub fn emit(&mut self, op: Op) {
        let line = self.line;
        self.kernel.code.push(Inst { op, guard: TRUE, negated: false, line, flops: 0 });
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
