//! Checks every engine against fixtures computed by other libraries:
//!
//! ```text
//! cargo run --release --example verify -- [--engine all|reference|cpu|cuda] [--dump DIR]
//!                                         [--tolerance X] FILE.safetensors…
//! ```
//!
//! For each file, engine and precision it prints a table with the largest error of spikes,
//! membranes, loss, gradients and Adam-updated parameters, and where it is. The exit code is 1 if
//! one is over its tolerance or a file cannot be used, 2 for a wrong command line.

mod args;
mod compare;
mod compute;
mod fixture;
mod rounding;

use std::{collections::BTreeMap, fs, io::Write, path::Path, process::ExitCode};

use clap::Parser;
use safetensors::{Dtype, tensor::TensorView};
use spikegrad::{Device, ReferenceEngine};

use args::{Args, Which};
use compare::{compare, table};
use compute::{Tensors, compute};
use fixture::Fixture;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) if !e.use_stderr() => {
            print!("{e}");
            return ExitCode::SUCCESS;
        }
        Err(e) => {
            let message = e.to_string();
            let line: Vec<&str> = message
                .lines()
                .take_while(|line| !line.is_empty())
                .map(str::trim)
                .collect();
            eprintln!("{}", line.join(" "));
            return ExitCode::from(2);
        }
    };
    let (mut failed, mut tables) = (0, 0);
    for path in &args.files {
        match verify(path, &args) {
            Ok((passed, count)) => {
                tables += count;
                failed += count - passed;
            }
            Err(message) => {
                eprintln!("error: {message}");
                failed += 1;
            }
        }
    }
    say(&format!(
        "{} fixtures, {tables} tables, {failed} failed",
        args.files.len()
    ));
    if failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Prints a line; a reader that has gone away is no error (the exit code still tells).
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Checks one file; returns how many tables passed, of how many.
fn verify(path: &Path, args: &Args) -> Result<(usize, usize), String> {
    let fixture = Fixture::load(path)?;
    let wants = |which| args.engine == Which::All || args.engine == which;
    let (mut passed, mut count) = (0, 0);
    let mut judge = |engine: &str, precision: &str, found: Result<Tensors, String>| {
        count += 1;
        let found = match found {
            Ok(found) => found,
            Err(e) => {
                // An engine that cannot run the file has failed; the others go on.
                eprintln!(
                    "error: {}: {engine} engine, {precision}: {e}",
                    path.display()
                );
                return Ok(());
            }
        };
        let rows = compare(&fixture, &found, precision == "f32", args.tolerance);
        let (text, good) = table(&format!("{} · {engine} · {precision}", fixture.name), &rows);
        say(&text);
        passed += usize::from(good);
        match &args.dump {
            Some(dir) => dump(
                &dir.join(format!("{}.{engine}.{precision}.safetensors", fixture.name)),
                &found,
                precision,
            ),
            None => Ok(()),
        }
    };
    let reference = |n, o, a| -> spikegrad::Result<Box<dyn spikegrad::Engine>> {
        Ok(Box::new(ReferenceEngine::new(n, o, a)?))
    };
    if wants(Which::Reference) {
        judge(
            "reference",
            "f64",
            compute::<f64>(&fixture, &|n, o, a| {
                Ok(Box::new(ReferenceEngine::new(n, o, a)?))
            }),
        )?;
        judge("reference", "f32", compute::<f32>(&fixture, &reference))?;
    }
    if wants(Which::Cpu) {
        let cpu = compute::<f32>(&fixture, &|n, o, a| Device::Cpu.engine(n, o, a));
        judge("cpu", "f32", cpu)?;
    }
    if wants(Which::Cuda) {
        match compute::<f32>(&fixture, &|n, o, a| Device::Cuda(0).engine(n, o, a)) {
            Err(e) if args.engine == Which::All => {
                say(&format!("{} · cuda · skipped: {e}\n", fixture.name));
            }
            found => judge("cuda", "f32", found)?,
        }
    }
    Ok((passed, count))
}

/// Writes tensors under the fixture's names, in the engine's precision.
fn dump(path: &Path, tensors: &Tensors, precision: &str) -> Result<(), String> {
    let fail = |e: String| format!("cannot write {}: {e}", path.display());
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|e| fail(e.to_string()))?;
    }
    let encoded: Vec<(&String, Dtype, Vec<usize>, Vec<u8>)> = (tensors.iter())
        .map(|(name, values)| {
            let (dtype, bytes) = match precision {
                _ if name.starts_with("spk") => {
                    (Dtype::U8, values.iter().map(|&s| s as u8).collect())
                }
                "f32" => (
                    Dtype::F32,
                    values
                        .iter()
                        .flat_map(|&x| (x as f32).to_le_bytes())
                        .collect(),
                ),
                _ => (
                    Dtype::F64,
                    values.iter().flat_map(|x| x.to_le_bytes()).collect(),
                ),
            };
            (name, dtype, values.shape().to_vec(), bytes)
        })
        .collect();
    let mut views = BTreeMap::new();
    for (name, dtype, shape, bytes) in &encoded {
        let view =
            TensorView::new(*dtype, shape.clone(), bytes).map_err(|e| fail(e.to_string()))?;
        views.insert(name.as_str(), view);
    }
    let bytes = safetensors::serialize(views, None).map_err(|e| fail(e.to_string()))?;
    fs::write(path, bytes).map_err(|e| fail(e.to_string()))
}
