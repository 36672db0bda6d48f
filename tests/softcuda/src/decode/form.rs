//! The decoded form of a kernel: one flat list of instructions, whose operands are indices into the
//! register files. Immediates and special registers are registers too, filled before a warp starts, so
//! that the executor has one kind of operand only.
//!
//! There are three files: *narrow* (16 and 32 bits, one `u32` per lane; 16-bit values are kept
//! zero-extended), *wide* (64 bits) and *predicates* (one bit per lane). Device functions are inlined:
//! there are no calls left.

use crate::ptx::{Space, Type};

/// An index into one of the three register files.
pub type R = u16;

/// The predicate that is always false, and the one that is always true.
pub const FALSE: R = 0;
pub const TRUE: R = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    Neg,
    Abs,
    Not,
    Sqrt,
    Rcp,
    Rsqrt,
    Ex2,
    Lg2,
    Sin,
    Cos,
    Tanh,
    Popc,
    Clz,
    Brev,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    MulHi,
    Div,
    Rem,
    Min,
    Max,
    And,
    Or,
    Xor,
    Shl,
    Shr,
    CopySign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ternary {
    /// `mad.lo` for integers, `fma.rn` for floats.
    Mad,
    MadHi,
    Bfe,
    Prmt,
    /// Funnel shifts; `true` clamps the amount, `false` wraps it.
    ShfL(bool),
    ShfR(bool),
    Lop3(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// The unordered forms are true also when an operand is NaN.
    Equ,
    Neu,
    Ltu,
    Leu,
    Gtu,
    Geu,
    Num,
    Nan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logic {
    And,
    Or,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// To nearest even, towards zero, down, up; for `cvt` to integers and to floats alike.
    Nearest,
    Zero,
    Down,
    Up,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    Finite,
    Infinite,
    Number,
    NotANumber,
    Normal,
    Subnormal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Atomic {
    Add,
    Min,
    Max,
    Inc,
    Dec,
    And,
    Or,
    Xor,
    Exch,
    Cas,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shuffle {
    Up,
    Down,
    Bfly,
    Idx,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    All,
    Any,
    Uni,
    Ballot,
}

/// A register with its file and its declared width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reg {
    pub index: R,
    /// 16, 32 or 64.
    pub bits: u8,
}

#[derive(Clone, Copy, Debug)]
pub struct Address {
    pub base: Option<Reg>,
    pub offset: u64,
}

/// A load or store of `count` registers of one type.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    pub space: Space,
    pub ty: Type,
    pub count: u8,
    pub registers: [Reg; 4],
    pub address: Address,
}

impl Access {
    pub fn registers(&self) -> &[Reg] {
        &self.registers[..usize::from(self.count)]
    }
}

#[derive(Clone, Debug)]
pub enum Op {
    Unary {
        op: Unary,
        ty: Type,
        d: R,
        a: R,
    },
    Binary {
        op: Binary,
        ty: Type,
        d: R,
        a: R,
        b: R,
    },
    Ternary {
        op: Ternary,
        ty: Type,
        d: R,
        a: R,
        b: R,
        c: R,
    },
    /// `bfi`: inserts `a` into `b` at `c`, `e` bits long.
    Bfi {
        ty: Type,
        d: R,
        a: R,
        b: R,
        c: R,
        e: R,
    },
    /// `mul.wide` and `mad.wide`: twice as wide as `ty`.
    MulWide {
        ty: Type,
        d: R,
        a: R,
        b: R,
        c: Option<R>,
    },
    Setp {
        compare: Compare,
        ty: Type,
        d: R,
        not_d: Option<R>,
        a: R,
        b: R,
        also: Option<(Logic, R, bool)>,
    },
    Testp {
        test: Test,
        ty: Type,
        d: R,
        a: R,
    },
    Select {
        wide: bool,
        d: R,
        a: R,
        b: R,
        p: R,
    },
    /// `slct`: `a` where `c >= 0`, else `b`.
    Slct {
        wide: bool,
        float: bool,
        d: R,
        a: R,
        b: R,
        c: R,
    },
    Move {
        wide: bool,
        d: R,
        a: R,
    },
    /// Two narrow registers of `bits` each into one register of twice the bits.
    Pack {
        bits: u8,
        d: R,
        a: R,
        b: R,
    },
    Unpack {
        bits: u8,
        d: Option<R>,
        e: Option<R>,
        a: R,
    },
    PredLogic {
        op: Logic,
        d: R,
        a: R,
        b: R,
    },
    PredNot {
        d: R,
        a: R,
    },
    PredMove {
        d: R,
        a: R,
    },
    Convert {
        to: Type,
        from: Type,
        round: Round,
        integral: bool,
        sat: bool,
        d: Reg,
        a: Reg,
    },
    /// `cvta`: from `space` to generic addresses, or back.
    Window {
        space: Space,
        back: bool,
        d: R,
        a: R,
    },
    Load(Access),
    Store(Access),
    Atomic {
        op: Atomic,
        space: Space,
        ty: Type,
        d: Option<Reg>,
        address: Address,
        b: Reg,
        c: Option<Reg>,
    },
    Branch {
        target: u32,
    },
    BranchIndexed {
        index: R,
        targets: Box<[u32]>,
    },
    Exit,
    Barrier {
        id: u8,
    },
    WarpSync {
        mask: R,
    },
    Shuffle {
        op: Shuffle,
        d: R,
        valid: Option<R>,
        a: R,
        b: R,
        c: R,
        mask: R,
    },
    Vote {
        op: Vote,
        d: R,
        p: R,
        negated: bool,
        mask: R,
    },
    ActiveMask {
        d: R,
    },
    Fence,
    Trap,
}

#[derive(Clone, Debug)]
pub struct Inst {
    pub op: Op,
    /// The predicate that guards it ([`TRUE`] where there is none), and whether it is negated.
    pub guard: R,
    pub negated: bool,
    pub line: u32,
    /// Floating-point operations per thread; a fused multiply-add counts two.
    pub flops: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    Tid(u8),
    Ntid(u8),
    Ctaid(u8),
    Nctaid(u8),
    LaneId,
    WarpId,
    NWarpId,
    /// `%lanemask_eq`, `_lt`, `_le`, `_gt`, `_ge` as 0 … 4.
    LaneMask(u8),
    DynamicShared,
    Zero,
}

/// What a narrow register holds before a warp starts.
#[derive(Clone, Copy, Debug)]
pub enum Preset {
    Value(u32),
    Special(Special),
}

#[derive(Clone, Debug)]
pub struct SharedObject {
    pub name: String,
    pub address: u64,
    pub bytes: u64,
}

#[derive(Clone, Debug)]
pub struct Parameter {
    pub offset: u64,
    pub bytes: u64,
}

/// A kernel, ready to run.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    pub name: String,
    pub code: Vec<Inst>,
    pub narrow: Vec<String>,
    pub wide: Vec<String>,
    pub predicates: Vec<String>,
    pub narrow_presets: Vec<(R, Preset)>,
    pub wide_presets: Vec<(R, u64)>,
    pub parameters: Vec<Parameter>,
    pub parameter_bytes: u64,
    pub shared: Vec<SharedObject>,
    /// Whether it names an `.extern .shared` array.
    pub dynamic_shared: bool,
    /// The objects of a thread's local memory, as start and length.
    pub local: Vec<(u64, u64)>,
    pub max_threads: u64,
    pub required: Option<[u32; 3]>,
}

impl Kernel {
    /// The static shared memory that a real device would give it.
    pub fn shared_bytes(&self) -> u64 {
        self.shared
            .iter()
            .map(|object| object.bytes.next_multiple_of(4))
            .sum()
    }

    pub fn local_bytes(&self) -> u64 {
        self.local.iter().map(|(_, bytes)| bytes).sum()
    }
}

/// Shared variables begin here, so that a null pointer points to none of them.
pub const SHARED_BASE: u64 = 0x400;
/// The launch's dynamic shared memory, far behind the static variables.
pub const DYNAMIC_SHARED: u64 = 0x80_0000;
/// Unused bytes after a shared variable; a multiple of a row of banks, so that the gap does not change
/// which bank a variable starts in.
pub const SHARED_GAP: u64 = 128;
pub const LOCAL_BASE: u64 = 0x400;
pub const LOCAL_GAP: u64 = 64;
/// Where generic addresses find shared and local memory.
pub const SHARED_WINDOW: u64 = 0x100_0000_0000;
pub const LOCAL_WINDOW: u64 = 0x200_0000_0000;
pub const WINDOW_BYTES: u64 = 0x100_0000;
