//! What can go wrong: the driver's result codes, why a module did not load, and what a kernel violated.

use std::fmt;

/// A `CUresult`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Code(pub u32);

macro_rules! codes {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        impl Code {
            $(pub const $name: Code = Code($value);)*
        }
        /// Name and description of every code known here; both end in a NUL byte.
        pub const CODES: &[(u32, &str, &str)] = &[
            $(($value, concat!("CUDA_", stringify!($name), "\0"), concat!($text, "\0")),)*
        ];
    };
}

codes! {
    SUCCESS = 0, "no error";
    ERROR_INVALID_VALUE = 1, "invalid argument";
    ERROR_OUT_OF_MEMORY = 2, "out of memory";
    ERROR_NOT_INITIALIZED = 3, "initialization error";
    ERROR_DEINITIALIZED = 4, "driver shutting down";
    ERROR_DEVICE_UNAVAILABLE = 46, "CUDA-capable device(s) is/are busy or unavailable";
    ERROR_NO_DEVICE = 100, "no CUDA-capable device is detected";
    ERROR_INVALID_DEVICE = 101, "invalid device ordinal";
    ERROR_INVALID_IMAGE = 200, "device kernel image is invalid";
    ERROR_INVALID_CONTEXT = 201, "invalid device context";
    ERROR_NO_BINARY_FOR_GPU = 209, "no kernel image is available for execution on the device";
    ERROR_ECC_UNCORRECTABLE = 214, "uncorrectable ECC error encountered";
    ERROR_INVALID_PTX = 218, "a PTX JIT compilation failed";
    ERROR_UNSUPPORTED_PTX_VERSION = 222, "the provided PTX was compiled with an unsupported toolchain.";
    ERROR_FILE_NOT_FOUND = 301, "file not found";
    ERROR_INVALID_HANDLE = 400, "invalid resource handle";
    ERROR_NOT_FOUND = 500, "named symbol not found";
    ERROR_NOT_READY = 600, "device not ready";
    ERROR_ILLEGAL_ADDRESS = 700, "an illegal memory access was encountered";
    ERROR_LAUNCH_OUT_OF_RESOURCES = 701, "too many resources requested for launch";
    ERROR_LAUNCH_TIMEOUT = 702, "the launch timed out and was terminated";
    ERROR_PRIMARY_CONTEXT_ACTIVE = 708, "cannot set while device is active in this process";
    ERROR_CONTEXT_IS_DESTROYED = 709, "context is destroyed";
    ERROR_MISALIGNED_ADDRESS = 716, "misaligned address";
    ERROR_INVALID_ADDRESS_SPACE = 717, "operation not supported on global/shared address space";
    ERROR_LAUNCH_FAILED = 719, "unspecified launch failure";
    ERROR_COOPERATIVE_LAUNCH_TOO_LARGE = 720, "too many blocks in cooperative launch";
    ERROR_NOT_SUPPORTED = 801, "operation not supported";
    ERROR_UNKNOWN = 999, "unknown error";
}

/// Why a module was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    pub line: u32,
    pub message: String,
}

impl LoadError {
    pub fn new(line: u32, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PTX line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for LoadError {}

/// The rule that a kernel broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// An access outside every allocation, or past the end of one.
    OutOfBounds,
    UseAfterFree,
    Misaligned,
    /// The address does not belong to the space that the instruction names, or may not be written.
    AddressSpace,
    UninitialisedMemory,
    UninitialisedRegister,
    SharedRace,
    GlobalRace,
    /// A barrier, or a warp-wide instruction, that some of its threads do not reach.
    Divergence,
    /// More instructions than the budget: an infinite loop.
    Budget,
    Trap,
    DivisionByZero,
}

impl Rule {
    /// What a real driver would report.
    pub fn code(self) -> Code {
        match self {
            Rule::OutOfBounds | Rule::UseAfterFree => Code::ERROR_ILLEGAL_ADDRESS,
            Rule::Misaligned => Code::ERROR_MISALIGNED_ADDRESS,
            Rule::AddressSpace => Code::ERROR_INVALID_ADDRESS_SPACE,
            Rule::Budget => Code::ERROR_LAUNCH_TIMEOUT,
            _ => Code::ERROR_LAUNCH_FAILED,
        }
    }
}

/// A broken rule, before the place is known: what `exec` returns from inside an instruction.
#[derive(Clone, Debug)]
pub struct Fault {
    pub rule: Rule,
    /// The lane of the warp that broke it.
    pub lane: u32,
    pub message: String,
}

/// Boxed, so that the good path carries one word.
pub type Checked<T = ()> = Result<T, Box<Fault>>;

impl Fault {
    #[cold]
    pub fn new(rule: Rule, lane: u32, message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            rule,
            lane,
            message: message.into(),
        })
    }
}

/// A fault with its place.
#[derive(Clone, Debug)]
pub struct Violation {
    pub rule: Rule,
    pub kernel: String,
    pub block: [u32; 3],
    pub thread: [u32; 3],
    pub line: u32,
    pub instruction: String,
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [bx, by, bz] = self.block;
        let [tx, ty, tz] = self.thread;
        write!(
            f,
            "{:?} in kernel `{}`, block ({bx},{by},{bz}), thread ({tx},{ty},{tz}), PTX line {}: `{}`: {}",
            self.rule, self.kernel, self.line, self.instruction, self.message
        )
    }
}
