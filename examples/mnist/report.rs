//! What is printed: lines on stdout and, where stderr is a terminal, a progress bar there.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use spikegrad::{
    Engine, Input, Network, Optimizer, Record, Result, StepReport, Trainer,
    data::{Batch, Dataset, MnistFiles},
    train::{BatchRecord, EpochRecord, Event, History, Position},
};

use crate::{
    args::Args,
    files::{self, Folder},
    optimizer,
    resume::place,
};

/// A line is printed after every so many batches.
const EVERY: usize = 100;

/// One line on stderr, whatever the message holds.
pub fn error(message: &str) {
    line("error", message);
}

/// The same for another `kind` of message.
pub fn line(kind: &str, message: &str) {
    let line: String = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    // There is nowhere to report that stderr is gone.
    let _ = writeln!(io::stderr(), "{kind}: {line}");
}

/// `784-1000-10`
pub fn joined(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    sizes.join("-")
}

/// Tells how a run goes.
pub struct Report<'a> {
    quiet: bool,
    /// Whether this process computes what is printed, but leaves that to the first.
    silent: bool,
    trainer: &'a Trainer,
    test: &'a Dataset,
    bar: ProgressBar,
    epoch_started: Instant,
    /// Batches of the epoch that were done before `epoch_started`.
    done: usize,
    /// Why stdout takes no more, if so. The run goes on: its results are the files.
    closed: Option<io::Error>,
}

impl<'a> Report<'a> {
    pub fn new(quiet: bool, silent: bool, trainer: &'a Trainer, test: &'a Dataset) -> Self {
        Report {
            quiet,
            silent,
            trainer,
            test,
            bar: ProgressBar::hidden(),
            epoch_started: Instant::now(),
            done: 0,
            closed: None,
        }
    }

    /// What will be done, on what, and what is probably not meant.
    pub fn configuration(
        &mut self,
        args: &Args,
        network: &Network,
        data: &MnistFiles,
        train: &Dataset,
        optimizer: &Optimizer,
        engine: &dyn Engine,
    ) {
        let Trainer {
            epochs,
            batch_size,
            num_steps,
            seed,
            accumulate,
            truncate,
            drop_last: _,
        } = *self.trainer;
        let (beta, threshold) = (args.beta, args.threshold);
        let sizes = joined(&network.sizes());
        let updates = train.len() / batch_size;
        self.say(&format!(
            "network   {sizes}, beta {beta}, threshold {threshold}, {num_steps} steps"
        ));
        // As many as there are of one size.
        let parts = match batch_size.div_ceil(batch_size.div_ceil(accumulate)) {
            1 => String::new(),
            parts => format!(" in {parts} parts"),
        };
        let windows = match truncate {
            Some(steps) if steps < num_steps => format!(", windows of {steps} steps"),
            _ => String::new(),
        };
        let optimizer = optimizer::describe(optimizer);
        self.say(&format!(
            "training  epochs: {epochs}, each of {updates} batches of {batch_size}{parts}{windows}; {optimizer}; seed {seed}"
        ));
        let name = match &*data.name {
            "" => String::new(),
            name => format!(" ({name})"),
        };
        let pixels = |(low, high)| format!("{low} to {high}");
        let range = match (train.range(), self.test.range()) {
            (train, test) if train == test => pixels(train),
            (train, test) => format!("{} and {}", pixels(train), pixels(test)),
        };
        self.say(&format!(
            "data      {} training and {} test images from {}{name}, pixels from {range}",
            train.len(),
            self.test.len(),
            args.data_dir().display()
        ));
        self.say(&format!("device    {}", engine.describe()));
        if data.is_emnist() && !data.transpose {
            self.say("note      EMNIST's images are transposed: --transpose turns them upright");
        }
        for warning in self.trainer.warnings(network, train, Some(self.test)) {
            self.say(&format!("warning   {warning}"));
        }
    }

    /// Where the run goes on.
    pub fn resumed(&mut self, position: Position) {
        self.say(&format!("resumed   {}", place(position)));
        self.epoch_started = Instant::now();
        self.done = position.batch;
    }

    /// That `--resume` found nothing to go on from.
    pub fn no_checkpoint_yet(&mut self) {
        self.say("resumed   from nothing: there is no checkpoint yet, so the run starts afresh");
    }

    /// The tutorial's: shapes, and what one update does to the first batch. `engine` is trained by
    /// one step.
    pub fn sanity_test(&mut self, engine: &mut dyn Engine, train: &Dataset) -> Result<()> {
        let mut batch = Batch::default();
        let mut batches = train.batches(self.trainer.batch_size)?;
        batches = batches.shuffled(self.trainer.seed, 0);
        batches.next_into(&mut batch);
        let input = Input::constant(batch.images.view(), self.trainer.num_steps);

        let recording = engine.forward(input, &Record::Output)?;
        let (spk, mem) = (&recording.output().spk, &recording.output().mem);
        self.say("");
        self.say("Sanity test on the first batch, apart from the training");
        self.say(&format!("  output spikes     {:?}", spk.shape()));
        self.say(&format!("  output membranes  {:?}", mem.shape()));
        let before = engine.train_step(input.classes(&batch.targets))?;
        let after = engine.evaluate(input.classes(&batch.targets))?;
        self.say(&format!("  before an update  {}", figures(&before)));
        self.say(&format!("  after it          {}", figures(&after)));
        self.epoch_started = Instant::now();
        Ok(())
    }

    /// What [`Trainer::fit`] calls back with.
    pub fn event(&mut self, engine: &mut dyn Engine, event: Event<'_>) -> Result<()> {
        if self.quiet {
            return Ok(());
        }
        match event {
            Event::Batch {
                record, batches, ..
            } => self.batch(engine, record, batches),
            Event::Epoch {
                record, history, ..
            } => {
                self.epoch(&engine.to_network()?, record, history);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Moves the bar; every 100 batches, a line with this batch and one of the test set.
    fn batch(
        &mut self,
        engine: &mut dyn Engine,
        record: &BatchRecord,
        batches: usize,
    ) -> Result<()> {
        let (epoch, batch) = (record.epoch + 1, record.batch + 1);
        if batch == self.done + 1 {
            self.start_epoch(epoch, batches);
        }
        let rate = (batch - self.done) as f64 / self.epoch_started.elapsed().as_secs_f64();
        let left = Duration::from_secs_f64((batches - batch) as f64 / rate);
        let pace = format!("{rate:.1} batches/s, {} left", clock(left));
        if !self.bar.is_hidden() {
            let message = format!("{}, {pace}", figures(&record.report));
            self.bar.set_message(message);
            self.bar.set_position(batch as u64);
        }
        if batch.is_multiple_of(EVERY) {
            let test = self.test_batch(engine, record)?;
            let pace = if self.bar.is_hidden() {
                format!("  [{pace}]")
            } else {
                String::new()
            };
            self.say(&format!(
                "epoch {epoch}, batch {batch:>4}/{batches}  train {}  test {}{pace}",
                figures(&record.report),
                figures(&test),
            ));
        }
        Ok(())
    }

    /// Loss and accuracy on one batch of the test set, another each time.
    fn test_batch(&self, engine: &mut dyn Engine, record: &BatchRecord) -> Result<StepReport> {
        let mut batch = Batch::default();
        let mut batches = self.test.batches(self.trainer.batch_size)?;
        let number = record.batch / EVERY % batches.len();
        batches = batches
            .shuffled(self.trainer.seed, record.epoch as u64)
            .skip_to(number)?;
        batches.next_into(&mut batch);
        let input = Input::constant(batch.images.view(), self.trainer.num_steps);
        engine.evaluate(input.classes(&batch.targets))
    }

    fn start_epoch(&mut self, epoch: usize, batches: usize) {
        self.say("");
        if self.silent {
            return;
        }
        // Draws on stderr, and hides itself where that is no terminal.
        self.bar = ProgressBar::new(batches as u64);
        let template = "epoch {prefix} {bar:24} {pos}/{len}  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        let prefix = format!("{epoch}/{}", self.trainer.epochs);
        self.bar.set_prefix(prefix);
    }

    fn epoch(&mut self, network: &Network, record: &EpochRecord, history: &History) {
        self.bar.finish_and_clear();
        self.bar = ProgressBar::hidden();
        let (epoch, epochs) = (record.epoch + 1, self.trainer.epochs);
        let (train_loss, seconds) = (record.train_loss, record.time.as_secs_f64());
        self.say(&format!(
            "epoch {epoch}/{epochs} in {seconds:.1} s  mean train loss {train_loss:.3}"
        ));
        if let Some(validation) = &record.validation {
            self.say(&format!(
                "  on all {} test images: loss {:.3}, accuracy {:.2} % by spike count, {:.2} % by membrane",
                validation.samples,
                validation.loss,
                100.0 * validation.accuracy_spike_count(),
                100.0 * validation.accuracy_membrane(),
            ));
        }
        let epoch = record.epoch;
        for layer in self.trainer.inactive_layers(network, history, epoch) {
            self.say(&format!("  warning: {layer}"));
        }
        self.epoch_started = Instant::now();
        self.done = 0;
    }

    /// That the run ends before its last epoch; `best` is the epoch with the lowest loss, from 0.
    pub fn stopped_early(&mut self, best: Option<usize>) {
        let best = best.map_or(0, |best| best + 1);
        self.say(&format!(
            "stopped   early: no lower loss on the test images since epoch {best}"
        ));
    }

    /// Times, and where the results are.
    ///
    /// # Errors
    /// If stdout failed on the way, other than by being closed.
    pub fn end(mut self, history: &History, seconds: f64, folder: &Folder) -> io::Result<()> {
        let step = history.median_step_time().as_secs_f64() * 1e3;
        self.say("");
        self.say(&format!(
            "{} in all, {step:.1} ms per training step (median); results:",
            clock(Duration::from_secs_f64(seconds))
        ));
        for path in files::NAMES.map(|name| folder.path(name)) {
            if path.exists() {
                self.say(&format!("  {}", path.display()));
            }
        }
        match self.closed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                let message = format!("cannot write to standard output: {error}");
                Err(io::Error::new(error.kind(), message))
            }
            _ => Ok(()),
        }
    }

    /// One line on stdout, above the bar.
    fn say(&mut self, line: &str) {
        if self.quiet || self.silent || self.closed.is_some() {
            return;
        }
        let write = || {
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "{line}").and_then(|()| stdout.flush())
        };
        self.closed = self.bar.suspend(write).err();
    }
}

/// Loss, and accuracy by spike count.
fn figures(report: &StepReport) -> String {
    let accuracy = 100.0 * report.accuracy_spike_count();
    format!("loss {:>6.3}, accuracy {accuracy:>6.2} %", report.loss)
}

/// `2:05`
fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
