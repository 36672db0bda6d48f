//! Replays what the fuzzers of `fuzz/` started from and all that they found, on the stable
//! compiler: each file of `fuzz/corpus/<target>` and `fuzz/crashers/<target>`.

#[allow(dead_code)]
#[path = "../../examples/mnist/args.rs"]
mod args;
#[allow(dead_code)]
#[path = "../../examples/mnist/optimizer.rs"]
mod optimizer;
#[path = "../skip/mod.rs"]
mod skip;
mod targets;
#[path = "../../examples/verify/args.rs"]
mod verify_args;

use std::{fs, path::Path};

use targets::TARGETS;

#[test]
fn corpora_and_crashers_do_no_harm() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fuzz = root.join("fuzz");
    if !fuzz.is_dir() && !root.join(".git").exists() {
        let fuzz = fuzz.display();
        return skip::skipped(format_args!(
            "{fuzz} is not there (the published crate comes without it)"
        ));
    }
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    for (name, target) in TARGETS {
        let corpus = fuzz.join("corpus").join(name);
        assert!(replay(target, &corpus, &file) > 0, "no corpus of {name}");
        let crashers = fuzz.join("crashers").join(name);
        if crashers.is_dir() {
            replay(target, &crashers, &file);
        }
    }
}

/// Runs each file of a folder; returns how many.
fn replay(target: targets::Target, dir: &Path, file: &Path) -> usize {
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in &paths {
        // Shown with the panic, if there is one.
        println!("{}", path.display());
        target(&fs::read(path).unwrap(), file);
    }
    paths.len()
}
