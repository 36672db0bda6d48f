//! Reads Braille letters by touch: SpyTorch's tutorial 5, a recurrent network of current-based neurons on
//! 1,350 sweeps of an artificial fingertip.
//!
//! ```text
//! cargo run --release --example braille
//! cargo run --release --example braille -- --recipe tutorial --seeds 5
//! ```
//!
//! Encoders turn four measurements into spikes, by a gain and a bias each that are learnt; 200 neurons that
//! are connected to each other read them; the largest membrane of leaky integrators names the letter. The
//! mathematics is all in the library. Around this file stand
//!
//! - `args`: the command line, checked;
//! - `data`: the sweeps: read, split and standardized;
//! - `recipe`: network, loss and optimizer, as in the tutorial or better;
//! - `report`: what is printed, `results`: what is written into `--out`;
//! - `resume`: checkpoints, and going on from one.
//!
//! Errors are one line on stderr; the exit code is 2 if the command line is wrong, and 1 for everything else.
//!
//! Source: <https://github.com/fzenke/spytorch>, `SpyTorchTutorial5.ipynb`

mod args;
mod data;
mod recipe;
mod report;
mod results;
mod resume;

use std::{collections::BTreeMap, error::Error, ops::ControlFlow, path::Path, process::ExitCode};

use spikegrad::{Device, History, data::Data, train::Event};

use args::Args;
use data::{Letters, Split};
use recipe::Recipe;
use report::Report;
use results::{Confusion, Folder, Run};
use resume::Checkpoints;

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(exit_code) => return exit_code,
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .build_global()?;
    }
    let letters = Letters::load(&args.data_dir())?;
    let mut report = Report::new(args.quiet);
    let mut accuracies = Vec::new();
    for seed in args.seed..args.seed + args.seeds {
        let out = match args.seeds {
            1 => args.out.clone(),
            _ => args.out.join(format!("seed-{seed}")),
        };
        accuracies.push(train(args, &letters, seed, &out, &mut report)?);
    }
    if args.seeds > 1 {
        report.say(&results::spread(&accuracies))?;
    }
    Ok(())
}

/// Trains from one seed, and writes the results. Returns the accuracy on the test sweeps.
fn train(
    args: &Args,
    letters: &Letters,
    seed: u64,
    out: &Path,
    report: &mut Report,
) -> Result<f64, Box<dyn Error>> {
    // The data: 80 % of the sweeps to train on, the rest to test on.
    let recipe = Recipe::new(args.recipe, args.epochs);
    let Split { train, test } = letters.split(seed, recipe.standardize)?;
    let trainer = recipe.trainer(seed);
    trainer.check(&train)?;

    // The network, with weights drawn from the seed, and what will train it.
    let network = recipe.network(seed)?;
    let updates = recipe.epochs * trainer.batches_per_epoch(train.len());
    let optimizer = recipe.optimizer(updates as u64);
    let mut engine = Device::Cpu.engine(network, recipe.loss(), optimizer)?;

    // A folder that cannot be written is found out now, not after the training.
    let folder = Folder::create(out)?;
    let mut history = History::default();
    let mut checkpoints = None;
    if let Some(dir) = &args.checkpoint {
        let settings = [
            ("recipe", recipe.name.to_string()),
            ("sweeps_crc32", letters.fingerprint()),
        ];
        let settings: BTreeMap<String, String> =
            settings.map(|(name, value)| (name.into(), value)).into();
        let mut opened = Checkpoints::open(dir, &trainer, settings)?;
        for warning in opened.warnings() {
            report.say(&format!("warning   {warning}"))?;
        }
        if let Some(found) = opened.find(args.resume, &mut *engine)? {
            engine = found.engine(Device::Cpu)?;
            history = found.history;
        }
        checkpoints = Some(opened);
    }
    let resumed = history.epochs.len();
    report.say(&format!(
        "recipe    {}, {} epochs of {} batches; seed {seed}\n\
         data      {} training and {} test sweeps from {}\n\
         device    {}",
        recipe.name,
        recipe.epochs,
        trainer.batches_per_epoch(train.len()),
        train.len(),
        test.len(),
        args.data_dir().display(),
        engine.describe(),
    ))?;
    if args.resume {
        report.say(&match resumed {
            0 => "resumed   from nothing: there is no checkpoint yet".to_string(),
            epochs => format!("resumed   after epoch {epochs}"),
        })?;
    }

    trainer.fit_into(
        &mut *engine,
        &train,
        Some(&test),
        &mut history,
        |engine, event| {
            if let Event::Epoch { record, history } = event {
                let said = report.epoch(record, history, recipe.epochs);
                said.map_err(spikegrad::Error::callback)?;
                if let Some(checkpoints) = &mut checkpoints {
                    checkpoints.save(engine, history)?;
                }
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    if let Some(checkpoints) = &mut checkpoints {
        checkpoints.finish()?;
    }

    let network = engine.to_network()?;
    let confusion = Confusion::find(&mut *engine, &test)?;
    let run = Run {
        args,
        seed,
        recipe: &recipe,
        network: &network,
        device: engine.describe(),
        history: &history,
        confusion: &confusion,
        resumed,
    };
    run.write(&folder)?;
    results::draw_sweep(&mut *engine, &test, &confusion, &folder)?;
    report.say(&run.text(&folder))?;
    Ok(confusion.accuracy())
}
