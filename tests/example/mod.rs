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
    let changed = newest(&profile.join("examples").join(format!("{name}.d")));
    assert!(
        changed.is_some_and(|changed| built >= Some(changed)),
        "{} is missing or older than its sources: run all of `cargo test`, or `cargo build \
         --example {name}` in this profile first",
        binary.display()
    );
    binary
}

/// When a source of a program was last changed, by the list that cargo writes beside it
/// (`program: source source …`, a blank in a path as `\ `): what is not compiled does not count.
fn newest(list: &Path) -> Option<SystemTime> {
    let text = fs::read_to_string(list).ok()?;
    let (_, sources) = text.lines().next()?.split_once(": ")?;
    let sources = sources.replace("\\ ", "\0");
    let times = sources.split_whitespace().map(|path| {
        let metadata = fs::metadata(path.replace('\0', " ")).ok()?;
        metadata.modified().ok()
    });
    times.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Whether the real data are not there, said aloud: in the packaged crate.
pub fn no_data() -> bool {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist");
    if !dir.is_dir() {
        crate::skip::skipped(format_args!(
            "{} is not there (the published crate comes without it)",
            dir.display()
        ));
    }
    !dir.is_dir()
}

/// The example, started in the repository.
pub fn example() -> Command {
    let mut command = Command::new(binary());
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}
