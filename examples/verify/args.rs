//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Checks every engine against tensors that other libraries computed.
#[derive(Parser)]
#[command(name = "verify", version)]
pub struct Args {
    /// Which engine to check.
    #[arg(long, value_enum, default_value = "all")]
    pub engine: Which,
    /// Write what each engine computed to DIR/<fixture>.<engine>.<f32|f64>.safetensors.
    #[arg(long, value_name = "DIR")]
    pub dump: Option<PathBuf>,
    /// Allow this error, relative to a tensor's largest entry (default: 1e-10 in float64, 1e-4 in
    /// float32).
    #[arg(long, value_parser = tolerance)]
    pub tolerance: Option<f64>,
    /// The fixtures.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Which {
    All,
    Reference,
    Cpu,
    Cuda,
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(x) if x >= 0.0 && x.is_finite() => Ok(x),
        _ => Err("expected a finite number of at least 0".into()),
    }
}
