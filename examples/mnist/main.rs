//! Trains snnTorch's tutorial-5 network, 784–1000–10 leaky integrate-and-fire neurons, on MNIST.
//!
//! ```text
//! cargo run --release --example mnist
//! cargo run --release --example mnist -- --epochs 1 --limit 2560 --hidden 200,100 --out runs/small
//! ```
//!
//! This file is how a program uses the library: read data, build a network, pick an engine, train
//! with a callback, look at the result. The mathematics is all in the library. Around it stand
//!
//! - `args`: the command line, checked;
//! - `memory`: refuses what would not fit, before it is tried;
//! - `report`: what is printed;
//! - `resume`: checkpoints, and going on from one, and `signals`: what makes a run end early;
//! - `inside`: gradients that are measured, neurons that take no part;
//! - `files`: what is written into `--out`, and `pictures`: the plots among it;
//! - `processes`: several processes under `mpirun`, and `sweep`: many runs, each on one of them.
//!
//! Epochs and batches are counted from 1 in all output. Errors are one line on stderr; the exit
//! code is 2 if the command line is wrong, 130 or 143 after Ctrl-C or SIGTERM, and 1 for everything
//! else, also for options that do not go with the data. Neither printing nor checkpoints change what is
//! computed: the results have the same bits with and without.

mod args;
mod best;
mod files;
mod inside;
mod memory;
mod optimizer;
mod pictures;
mod processes;
mod report;
mod resume;
mod signals;
#[cfg(feature = "mpi")]
mod sweep;

use std::{error::Error, ops::ControlFlow, process::ExitCode, time::Instant};

use spikegrad::{
    Leaky, Loss, Network, Trainer,
    data::Mnist,
    train::{EarlyStopping, Event, History, Position, best_epoch},
};

use args::Args;
use best::Best;
use files::Folder;
use processes::Processes;
use report::Report;
use resume::Checkpoints;

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(None) => return ExitCode::SUCCESS,
        Err(Some(wrong)) => return fail(None, 2, &wrong),
    };
    let processes = match Processes::join(Some(&args)) {
        Ok(processes) => processes,
        Err(error) => {
            report::error(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    match start(&args, &processes) {
        Ok(exit_code) => exit_code,
        Err(error) => fail(Some(&processes), 1, &error.to_string()),
    }
}

/// Prints an error once, whichever processes have it, and ends them.
fn fail(processes: Option<&Processes>, code: u8, message: &str) -> ExitCode {
    match (processes, Processes::join(None)) {
        (Some(processes), _) => processes.fail(code, message),
        (None, Ok(processes)) => processes.fail(code, message),
        (None, Err(_)) => {
            report::error(message);
            ExitCode::from(code)
        }
    }
}

fn start(args: &Args, processes: &Processes) -> Result<ExitCode, Box<dyn Error>> {
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()?;
    }
    #[cfg(feature = "mpi")]
    if let Some(sweep) = sweep::Sweep::of(args)? {
        return sweep.run(processes);
    }
    run(args, processes).map(|(exit_code, _)| exit_code)
}

/// One training. All processes take part, and the first writes and reports.
fn run(args: &Args, processes: &Processes) -> Result<(ExitCode, History), Box<dyn Error>> {
    let started = Instant::now();

    // The data: of MNIST, 60,000 images to train on and 10,000 to test on.
    let data_dir = args.data_dir();
    let data = args.data_files()?;
    let Mnist { mut train, test } = data.load()?;
    if let Some(limit) = args.limit {
        args.check_limit(limit, train.len())?;
        train = train.head(limit)?;
    }
    let trainer = Trainer {
        epochs: args.epochs,
        batch_size: args.batch_size,
        num_steps: args.steps,
        seed: args.seed,
        accumulate: args.accumulate,
        truncate: args.truncate,
        ..Trainer::default()
    };
    trainer.check(&train)?;
    if processes.count() > 1 {
        processes.check_same(&resume::settings([&train, &test], processes.shards))?;
    }

    // The network, with weights drawn from the seed, and what will train it.
    let mut sizes = vec![train.features()];
    sizes.extend(&args.hidden.0);
    sizes.push(train.classes());
    let checkpoints = args.checkpoint.is_some();
    memory::check(&sizes, args.batch_size, args.steps, checkpoints)?;
    let mut builder = Network::builder(sizes[0]).seed(args.seed);
    for &neurons in &sizes[1..] {
        builder = builder.layer(neurons, Leaky::new(args.beta).threshold(args.threshold));
    }
    let network: Network = builder.build()?;
    let batches = args.epochs * (train.len() / args.batch_size);
    let updates = batches * trainer.updates_per_batch(args.steps);
    let optimizer = args.optimizer.optimizer(updates)?;
    let device = processes.device(args.device);
    let engine = |network| {
        let engine = device.engine(network, Loss::CrossEntropyMembrane, optimizer.clone())?;
        processes.engine(engine)
    };
    let mut training = engine(network.clone())?;

    // A folder that cannot be written is found out now, not after the training.
    let folder = match processes.first() {
        true => Some(Folder::create(&args.out)?),
        false => None,
    };
    let mut checkpoints = match &args.checkpoint {
        Some(dir) => {
            let every = args.checkpoint_every;
            let data = [&train, &test];
            Some(Checkpoints::open(dir, every, &trainer, data, processes)?)
        }
        None => None,
    };
    let found = match &mut checkpoints {
        Some(checkpoints) => checkpoints.find(args, &mut *training)?,
        None => None,
    };

    let mut report = Report::new(args.quiet, !processes.first(), &trainer, &test);
    let mut history = History::default();
    if let Some(found) = found {
        training = processes.engine(found.engine(device)?)?;
        report.configuration(args, &network, &data, &train, &optimizer, &*training);
        report.resumed(found.position);
        history = found.history;
    } else {
        report.configuration(args, &network, &data, &train, &optimizer, &*training);
        if args.resume {
            report.no_checkpoint_yet();
        }
        if !args.quiet {
            // On an engine of its own, so that training is not one step ahead.
            report.sanity_test(&mut *engine(network)?, &train)?;
        }
    }
    let resumed = history.position();
    inside::measure(
        &mut *training,
        resumed.batch % (train.len() / args.batch_size),
    );

    // Which checkpoint could not be written.
    let mut unsaved: Option<spikegrad::Error> = None;
    let stopping = args.early_stopping.map(EarlyStopping::new);
    let over = |history: &History| stopping.as_ref().is_some_and(|s| s.is_over(history));
    let mut best = match args.keep_best && processes.first() {
        true => Some(Best::find(args.checkpoint.as_deref(), &history)?),
        false => None,
    };
    let mut run = trainer.clone();
    if over(&history) {
        run.epochs = history.epochs.len(); // it has stopped before
    }
    let trained = run.fit_into(
        &mut *training,
        &train,
        Some(&test),
        &mut history,
        |engine, event| {
            inside::event(engine, event);
            report.event(engine, event)?;
            processes.warn();
            processes.beat()?;
            let mut flow = ControlFlow::Continue(());
            if let Event::Epoch { history, .. } = event {
                if let Some(best) = &mut best {
                    best.epoch(engine, history)?;
                }
                if over(history) {
                    report.stopped_early(best_epoch(history));
                    flow = ControlFlow::Break(());
                }
            }
            let Some(checkpoints) = &mut checkpoints else {
                return Ok(flow);
            };
            // What was measured outlives a checkpoint that could not be written; all processes end together.
            let saved = checkpoints.event(engine, event).unwrap_or_else(|error| {
                unsaved.get_or_insert(error);
                processes.raise(processes::UNSAVED);
                ControlFlow::Continue(())
            });
            Ok(
                match flow.is_break() || processes.raised() == processes::UNSAVED {
                    true => ControlFlow::Break(()),
                    false => saved,
                },
            )
        },
    );
    if let Err(error) = trained {
        let mut run = String::from("training stopped");
        let Some(folder) = &folder else {
            return Err(error.into());
        };
        if !history.batches.is_empty() {
            // What was measured is not lost with what comes after it.
            let path = folder.path("history.csv");
            run += &match folder.write("history.csv", &files::history(&history)) {
                Ok(()) => format!(", what was measured is in {}", path.display()),
                Err(error) => format!(", what was measured is lost ({error})"),
            };
        }
        return Err(match &mut checkpoints {
            Some(checkpoints) => checkpoints.explain(&error, &run).into(),
            None if history.batches.is_empty() => error.into(),
            None => format!("{error}; {run}").into(),
        });
    }
    let mut exit_code = ExitCode::SUCCESS;
    if let Some(checkpoints) = &mut checkpoints {
        match (
            unsaved.map_or_else(|| checkpoints.finish(), Err),
            history.position(),
        ) {
            (Ok(Some(exit_code)), _) => return Ok((exit_code, history)),
            (Ok(None), _) => {}
            // What was trained is not lost with its checkpoint.
            (Err(error), Position { epoch, batch: 0 }) if epoch == args.epochs => {
                report::error(&checkpoints.explain(&error, "training is complete"));
                exit_code = ExitCode::FAILURE;
            }
            (Err(error), position) => {
                let place = format!("training stopped {}", resume::place(position));
                return Err(checkpoints.explain(&error, &place).into());
            }
        }
    }

    let Some(folder) = folder else {
        return Ok((exit_code, history));
    };
    let mut network = training.to_network()?;
    if let Some(best) = best.as_ref().and_then(Best::network) {
        network = best.clone();
        training.set_network(network.clone())?;
    }
    let neurons = inside::Neurons::look(&mut *training, &test, args.steps)?;
    let seconds = started.elapsed().as_secs_f64();
    let summary = files::summary(&files::Run {
        args,
        sizes: &sizes,
        data_dir: &data_dir,
        train: &train,
        engine: &*training,
        network: &network,
        optimizer: &optimizer,
        trainer: &trainer,
        history: &history,
        neurons: &neurons,
        shards: [processes.shards, processes.count()],
        resumed,
        seconds,
    });
    folder.write("summary.json", &summary)?;
    folder.write("history.csv", &files::history(&history))?;
    folder.replace("model.safetensors", |path| network.save_safetensors(path))?;

    let sample = pictures::Sample::record(&mut *training, &test, args.steps)?;
    pictures::history(&history, &folder)?;
    folder.write("raster.svg", &sample.raster(&network)?)?;
    folder.write("traces.svg", &sample.traces(&network)?)?;

    report.end(&history, seconds, &folder)?;
    Ok((exit_code, history))
}
