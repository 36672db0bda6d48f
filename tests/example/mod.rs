//! The examples as processes, for the tests that run them.
#![allow(dead_code)] // each test uses a part of it

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

/// The example `mnist`.
pub fn binary() -> PathBuf {
    built("mnist")
}

/// The example that cargo built along with this test: `target/PROFILE/examples/NAME`.
///
/// `cargo test` builds it; `cargo test --test …` does not, and would test an old one.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let binary = profile.join("examples").join(file);
    let built = fs::metadata(&binary).and_then(|m| m.modified()).ok();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let changed = newest(&root.join("examples").join(name)).max(newest(&root.join("src")));
    assert!(
        built.is_some_and(|built| built >= changed),
        "{} is missing or older than its sources: run all of `cargo test`, or `cargo build \
         --example {name}` in this profile first",
        binary.display()
    );
    binary
}

/// When a file of this folder was last changed.
fn newest(dir: &Path) -> SystemTime {
    fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| {
            let entry = entry.expect("a readable folder");
            if entry.path().is_dir() {
                return newest(&entry.path());
            }
            let metadata = entry.metadata().expect("a readable file");
            metadata.modified().expect("a time of change")
        })
        .max()
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Whether the real data are not there, said aloud: in the packaged crate.
pub fn no_data() -> bool {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist");
    if !dir.is_dir() {
        eprintln!(
            "SKIPPED: {} is not there (the published crate comes without it)",
            dir.display()
        );
    }
    !dir.is_dir()
}

/// The example, started in the repository.
pub fn example() -> Command {
    let mut command = Command::new(binary());
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}
