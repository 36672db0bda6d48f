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
//!
//! The files describe their networks here. In a program, `spikegrad::verify::verify` does the same with
//! the program's own network.

mod args;

use std::{collections::BTreeMap, fs, io::Write, path::Path, process::ExitCode};

use clap::Parser;
use safetensors::{Dtype, tensor::TensorView};
use spikegrad::{
    Device, Engine, Error, Float, ReferenceEngine, Result,
    data::Mnist,
    verify::{Fixture, Report, Tensors},
};

use args::{Args, Which};

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
    let mut sum = Sum::default();
    for path in &args.files {
        if let Err(error) = verify(path, &args, &mut sum) {
            eprintln!("error: {error}");
            sum.failed += 1;
        }
    }
    let silent = match sum.silent {
        0 => String::new(),
        silent => format!(", {silent} with nothing to compare in some tensors"),
    };
    say(&format!(
        "{} fixtures, {} tables, {} failed{silent}",
        args.files.len(),
        sum.tables,
        sum.failed
    ));
    if sum.failed > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Tables so far.
#[derive(Default)]
struct Sum {
    tables: usize,
    failed: usize,
    /// With a warning.
    silent: usize,
}

/// Prints a line; a reader that has gone away is no error (the exit code still tells).
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Checks one file with each engine that is asked for.
fn verify(path: &Path, args: &Args, sum: &mut Sum) -> Result<()> {
    let mut fixture = Fixture::load(path)?;
    if fixture.needs_images() {
        let mnist = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist");
        fixture = fixture.with_images(&Mnist::load(mnist)?.train)?;
    }
    let Some(network) = fixture.network() else {
        return Err(Error::Format {
            path: path.into(),
            what: "metadata sizes".into(),
            expected: "a network that the metadata describe; to check one of a program, call \
                       spikegrad::verify::verify there"
                .into(),
            found: "missing".into(),
        });
    };
    let wants = |which| args.engine == Which::All || args.engine == which;
    let single = || (network.cast(), fixture.objective(), fixture.adam());
    if wants(Which::Reference) {
        let (objective, adam) = (fixture.objective(), fixture.adam());
        let engine = ReferenceEngine::<f64>::new(network.clone(), objective, adam);
        judge(&fixture, "reference", engine, args, sum)?;
        let (network, objective, adam) = single();
        let engine = ReferenceEngine::<f32>::new(network, objective, adam);
        judge(&fixture, "reference", engine, args, sum)?;
    }
    if wants(Which::Cpu) {
        let (network, objective, adam) = single();
        let engine = Device::Cpu.engine(network, objective, adam);
        judge(&fixture, "cpu", engine, args, sum)?;
    }
    if wants(Which::Cuda) {
        let (network, objective, adam) = single();
        match Device::Cuda(0).engine(network, objective, adam) {
            Err(e) if args.engine == Which::All => {
                say(&format!("{} · cuda · skipped: {e}\n", fixture.name()));
            }
            engine => judge(&fixture, "cuda", engine, args, sum)?,
        }
    }
    Ok(())
}

/// Prints the table of one engine. An engine that cannot run the file has failed; the others go on.
fn judge<F: Float>(
    fixture: &Fixture,
    name: &str,
    engine: Result<impl Engine<F>>,
    args: &Args,
    sum: &mut Sum,
) -> Result<()> {
    let report = engine.and_then(|mut engine| match args.tolerance {
        Some(tolerance) => fixture.check_within(&mut engine, tolerance),
        None => fixture.check(&mut engine),
    });
    sum.tables += 1;
    let mut report: Report = match report {
        Ok(report) => report,
        Err(e) => {
            let fixture = fixture.name();
            eprintln!("error: {fixture}: {name} engine, {}: {e}", F::NAME);
            sum.failed += 1;
            return Ok(());
        }
    };
    report.engine = name.into();
    say(&report.to_string());
    sum.failed += usize::from(!report.passes());
    sum.silent += usize::from(!report.warnings().is_empty());
    match &args.dump {
        Some(dir) => {
            let file = format!("{}.{name}.{}.safetensors", fixture.name(), F::NAME);
            dump(&dir.join(file), &report.found, F::NAME)
        }
        None => Ok(()),
    }
}

/// Writes tensors under the fixture's names, in the engine's precision.
fn dump(path: &Path, tensors: &Tensors, precision: &str) -> Result<()> {
    let fail = |source: std::io::Error| Error::Io {
        action: "write",
        path: path.into(),
        source,
    };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(fail)?;
    }
    let encoded: Vec<(&String, Dtype, Vec<usize>, Vec<u8>)> = (tensors.iter())
        .map(|(name, values)| {
            let single = |&x: &f64| (x as f32).to_le_bytes();
            let (dtype, bytes) = match precision {
                _ if name.starts_with("spk") => {
                    (Dtype::U8, values.iter().map(|&s| s as u8).collect())
                }
                "f32" => (Dtype::F32, values.iter().flat_map(single).collect()),
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
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        views.insert(
            name.as_str(),
            view.map_err(|e| fail(std::io::Error::other(e)))?,
        );
    }
    let bytes = safetensors::serialize(views, None);
    fs::write(path, bytes.map_err(|e| fail(std::io::Error::other(e)))?).map_err(fail)
}
