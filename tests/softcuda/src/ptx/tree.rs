//! The syntax tree of a PTX module.

/// A scalar type. Untyped `.b` types are the unsigned ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Pred,
    U8,
    S8,
    U16,
    S16,
    U32,
    S32,
    F32,
    U64,
    S64,
    F64,
}

impl Type {
    /// The type that a modifier without its dot names.
    pub fn named(name: &str) -> Option<Type> {
        Some(match name {
            "pred" => Type::Pred,
            "u8" | "b8" => Type::U8,
            "s8" => Type::S8,
            "u16" | "b16" => Type::U16,
            "s16" => Type::S16,
            "u32" | "b32" => Type::U32,
            "s32" => Type::S32,
            "f32" => Type::F32,
            "u64" | "b64" => Type::U64,
            "s64" => Type::S64,
            "f64" => Type::F64,
            _ => return None,
        })
    }

    /// Its size in bytes; 0 for a predicate, which has no address.
    pub fn bytes(self) -> u64 {
        match self {
            Type::Pred => 0,
            Type::U8 | Type::S8 => 1,
            Type::U16 | Type::S16 => 2,
            Type::U32 | Type::S32 | Type::F32 => 4,
            Type::U64 | Type::S64 | Type::F64 => 8,
        }
    }

    pub fn is_float(self) -> bool {
        matches!(self, Type::F32 | Type::F64)
    }

    pub fn is_signed(self) -> bool {
        matches!(self, Type::S8 | Type::S16 | Type::S32 | Type::S64)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    Generic,
    Global,
    Const,
    Shared,
    Local,
    Param,
}

impl Space {
    pub fn named(name: &str) -> Option<Space> {
        Some(match name {
            "global" => Space::Global,
            "const" => Space::Const,
            "shared" => Space::Shared,
            "local" => Space::Local,
            "param" => Space::Param,
            _ => return None,
        })
    }
}

/// A variable of any space, or a parameter.
#[derive(Clone, Debug)]
pub struct Variable {
    pub space: Space,
    pub name: String,
    pub align: u64,
    pub bytes: u64,
    /// Declared `.extern .shared name[]`: its size is the launch's dynamic shared memory.
    pub dynamic: bool,
    /// The initial bytes; empty means zeros.
    pub initial: Vec<u8>,
    pub line: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A register, variable, label or function.
    Name(String),
    /// `!%p1`
    Not(String),
    /// An integer, already negated in two's complement where it had a sign.
    Integer(u64),
    F32(u32),
    F64(u64),
    /// `[base+offset]`; `base` is `None` for an absolute address.
    Address {
        base: Option<String>,
        offset: i64,
    },
    /// `{a, b}`
    Vector(Vec<Operand>),
    /// `(a, b)`, in a call.
    List(Vec<Operand>),
    /// `%p1|%p2`
    Pair(String, String),
    /// `_`
    Sink,
}

#[derive(Clone, Debug)]
pub struct Instruction {
    pub line: u32,
    /// The predicate that guards it, and whether it is negated.
    pub guard: Option<(String, bool)>,
    /// The opcode, cut at its dots.
    pub opcode: Vec<String>,
    pub operands: Vec<Operand>,
}

#[derive(Clone, Debug)]
pub enum Statement {
    Label(String, u32),
    Instruction(Instruction),
    Variable(Variable),
    /// `.reg .b32 %r<28>` declares 28 registers; without `<…>` one.
    Registers {
        ty: Type,
        name: String,
        count: Option<u64>,
        line: u32,
    },
    /// `name: .branchtargets a, b;`
    Targets {
        name: String,
        labels: Vec<String>,
        line: u32,
    },
    Open,
    Close,
}

#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub entry: bool,
    pub parameters: Vec<Variable>,
    pub returns: Vec<Variable>,
    pub body: Vec<Statement>,
    /// `.maxntid`: the most threads of a block.
    pub max_threads: Option<u64>,
    /// `.reqntid`: exactly these block dimensions.
    pub required: Option<[u32; 3]>,
    pub line: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// `.version 6.0` as (6, 0).
    pub version: (u32, u32),
    /// `.target sm_70` as 70.
    pub target: u32,
    pub variables: Vec<Variable>,
    pub functions: Vec<Function>,
}
