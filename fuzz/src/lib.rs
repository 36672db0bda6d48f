//! The fuzz targets' common ground: `tests/fuzz_corpus/targets.rs` says what each does.

#![deny(unsafe_code)]

use std::{path::Path, sync::LazyLock};

use tempfile::TempDir;

#[allow(dead_code)]
#[path = "../../examples/mnist/args.rs"]
mod args;
#[allow(dead_code)]
#[path = "../../examples/mnist/optimizer.rs"]
mod optimizer;
#[path = "../../tests/fuzz_corpus/targets.rs"]
pub mod targets;
#[path = "../../examples/verify/args.rs"]
mod verify_args;

static SCRATCH: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

/// Runs a target with a file of its own, in a folder below `$TMPDIR`.
pub fn run(target: fn(&[u8], &Path), bytes: &[u8]) {
    target(bytes, &SCRATCH.path().join("file"));
}
