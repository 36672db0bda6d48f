//! What an instruction costs a GPU's schedulers, roughly: PTX is not what runs, but NVIDIA's assembler
//! makes of most instructions one. The exceptions that our kernels meet:
//!
//! - a division or a root that rounds correctly is an approximation and its refinement, 10 or so;
//! - 64-bit integers are pairs: an addition is two instructions, a product four (a widening one is one);
//! - moves between registers mostly vanish.

use crate::decode::form::{Binary, Op, Ternary, Unary};
use crate::ptx::{Space, Type};

/// The unit that an instruction occupies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Float,
    Double,
    Integer,
    Memory,
    Control,
}

const REFINED: u64 = 10;

/// The unit, and how many issue slots of it.
pub fn slots(op: &Op) -> (Unit, u64) {
    let of = |ty: Type, float: u64, wide: u64| match ty {
        Type::F32 => (Unit::Float, float),
        Type::F64 => (Unit::Double, float),
        Type::U64 | Type::S64 => (Unit::Integer, wide),
        _ => (Unit::Integer, 1),
    };
    match op {
        Op::Unary { op, ty, .. } => match op {
            Unary::Sqrt | Unary::Rcp | Unary::Rsqrt => of(*ty, REFINED, 1),
            _ => of(*ty, 1, 2),
        },
        Op::Binary { op, ty, .. } => match op {
            Binary::Div | Binary::Rem if ty.is_float() => of(*ty, REFINED, 1),
            Binary::Div | Binary::Rem => (Unit::Integer, 2 * REFINED),
            Binary::Mul | Binary::MulHi => of(*ty, 1, 4),
            _ => of(*ty, 1, 2),
        },
        Op::Ternary { op, ty, .. } => match op {
            Ternary::Mad | Ternary::MadHi => of(*ty, 1, 4),
            _ => of(*ty, 1, 2),
        },
        Op::Setp { ty, .. } => of(*ty, 1, 2),
        Op::Load(access) | Op::Store(access) => match access.space {
            Space::Param => (Unit::Control, 0), // constant memory, an operand of its user
            _ => (Unit::Memory, 1),
        },
        Op::Atomic { .. } => (Unit::Memory, 1),
        Op::Move { .. } | Op::PredMove { .. } => (Unit::Control, 0),
        Op::Branch { .. }
        | Op::BranchIndexed { .. }
        | Op::Exit
        | Op::Barrier { .. }
        | Op::WarpSync { .. }
        | Op::Shuffle { .. }
        | Op::Vote { .. } => (Unit::Control, 1),
        _ => (Unit::Integer, 1),
    }
}
