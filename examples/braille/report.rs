//! What is printed.

use std::io::{self, Write};

use spikegrad::train::{EpochRecord, History};

/// One line on stderr, whatever the message holds.
pub fn error(message: &str) {
    let line: String = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    // There is nowhere to report that stderr is gone.
    let _ = writeln!(io::stderr(), "error: {line}");
}

/// Prints lines on stdout, unless the run is quiet or nobody reads them any more.
pub struct Report {
    silent: bool,
}

impl Report {
    pub fn new(quiet: bool) -> Report {
        Report { silent: quiet }
    }

    /// Prints a text of one line or more.
    ///
    /// # Errors
    /// If stdout fails, other than by being closed.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        match writeln!(stdout, "{text}").and_then(|()| stdout.flush()) {
            // The run goes on: its results are the files.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.silent = true,
            Err(error) => {
                let message = format!("cannot write to standard output: {error}");
                return Err(io::Error::new(error.kind(), message));
            }
            Ok(()) => {}
        }
        Ok(())
    }

    /// One line on an epoch. The accuracy on the training sweeps is that of its batches, each before its
    /// update.
    pub fn epoch(
        &mut self,
        record: &EpochRecord,
        history: &History,
        epochs: usize,
    ) -> io::Result<()> {
        let validation = record.validation.as_ref();
        let (loss, accuracy) = validation.map_or((0.0, 0.0), |v| (v.loss, v.accuracy_membrane()));
        self.say(&format!(
            "epoch {:>3}/{epochs}  train loss {:.3}, accuracy {:>6.2} %   test loss {loss:.3}, accuracy {:>6.2} %   {:.2} s",
            record.epoch + 1,
            record.train_loss,
            100.0 * training_accuracy(record, history),
            100.0 * accuracy,
            record.time.as_secs_f64(),
        ))
    }
}

/// The share of an epoch's training sweeps that were read correctly.
pub fn training_accuracy(record: &EpochRecord, history: &History) -> f64 {
    let batches = history.batches.iter().filter(|b| b.epoch == record.epoch);
    let (mut right, mut all) = (0, 0);
    for batch in batches {
        right += batch.report.correct_membrane;
        all += batch.report.samples;
    }
    right as f64 / all.max(1) as f64
}
