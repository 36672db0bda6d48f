//! A checkpoint as bytes: `[length of the header: u64][header: JSON][tensors]`, little-endian, the
//! safetensors format. Implemented here rather than with the `safetensors` crate, so that tensors
//! are copied only once.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::time::Duration;

use crc32fast::Hasher;
use ndarray::ArrayViewD;

use super::{
    CHECKSUM, Checkpoint, DIGITS, FORMAT, MEASURED, NORMS, Position, RATES, STEPS, VERSION,
    optimizer, text,
};
use crate::{
    Error, History, Result, StepReport,
    finite::check_finite,
    weights::header::{self, Entry, START},
};

/// Values of one tensor.
enum Values<'a> {
    F32(ArrayViewD<'a, f32>),
    F64(Vec<f64>),
    U64(Vec<u64>),
}

/// One tensor of the file.
struct Tensor<'a> {
    name: String,
    shape: Vec<usize>,
    values: Values<'a>,
}

impl<'a> Tensor<'a> {
    fn dtype(&self) -> &'static str {
        match self.values {
            Values::F32(_) => "F32",
            Values::F64(_) => "F64",
            Values::U64(_) => "U64",
        }
    }

    /// Length in bytes.
    fn len(&self) -> usize {
        match &self.values {
            Values::F32(values) => size_of::<f32>().saturating_mul(values.len()),
            Values::F64(values) => size_of_val(values.as_slice()),
            Values::U64(values) => size_of_val(values.as_slice()),
        }
    }

    /// Overwrites `out`, which has the tensor's length, piece by piece: each is copied, checked and
    /// added to the checksum while it is in the cache.
    fn put(&self, out: &mut [u8], sum: &mut Hasher) -> Result<()> {
        match &self.values {
            Values::F32(values) => {
                let values = values.as_standard_layout();
                let values = values.as_slice().unwrap_or_default();
                let mut finite = true;
                for (out, values) in out.chunks_mut(4 * PIECE).zip(values.chunks(PIECE)) {
                    put(out, values.iter().map(|x| x.to_le_bytes()));
                    finite &= values.iter().fold(true, |all, x| all & x.is_finite());
                    sum.update(out);
                }
                if !finite {
                    check_finite(&self.name, values.iter())?;
                }
                return Ok(());
            }
            Values::F64(values) => put(out, values.iter().map(|x| x.to_le_bytes())),
            Values::U64(values) => put(out, values.iter().map(|x| x.to_le_bytes())),
        }
        sum.update(out);
        Ok(())
    }
}

/// Numbers of a piece: 64 KB.
const PIECE: usize = 1 << 14;

fn put<const N: usize>(out: &mut [u8], values: impl Iterator<Item = [u8; N]>) {
    let (out, _) = out.as_chunks_mut::<N>();
    out.iter_mut()
        .zip(values)
        .for_each(|(out, value)| *out = value);
}

/// Overwrites `bytes` with the file of a checkpoint, reusing their memory.
pub(super) fn encode(checkpoint: &Checkpoint, bytes: &mut Vec<u8>) -> Result<()> {
    check(checkpoint)?;
    let tensors = tensors(checkpoint)?;
    let header = header(checkpoint, &tensors)?;
    // All data are in memory, so the length fits a usize.
    let data = tensors.iter().map(Tensor::len);
    let length = data.fold(START.saturating_add(header.len()), usize::saturating_add);
    // Old content is overwritten without clearing.
    bytes.resize(length, 0);
    let (length, rest) = bytes.split_at_mut(START);
    length.copy_from_slice(&(header.len() as u64).to_le_bytes());
    let (head, mut rest) = rest.split_at_mut(header.len());
    head.copy_from_slice(header.as_bytes());
    let (mut sum, digits) = (Hasher::new(), find_checksum(head).unwrap_or_default());
    let (before, after) = head.split_at_mut(digits);
    sum.update(length);
    sum.update(before);
    let (digits, after) = after.split_at_mut(DIGITS.min(after.len()));
    sum.update(after);
    for tensor in &tensors {
        let (out, after) = rest.split_at_mut(tensor.len());
        tensor.put(out, &mut sum)?;
        rest = after;
    }
    for (digit, byte) in digits.iter_mut().zip(text_of(sum).bytes()) {
        *digit = byte;
    }
    Ok(())
}

/// The position of the checksum's digits in a header.
pub(super) fn find_checksum(header: &[u8]) -> Option<usize> {
    let mut places = header.windows(CHECKSUM.len());
    let mark = places.position(|window| window == CHECKSUM)?;
    let digits = mark.checked_add(CHECKSUM.len())?;
    let after = header.get(digits..)?;
    (after.len() >= DIGITS).then_some(digits)
}

/// The eight checksum digits, computed from all bytes except those at `digits`.
pub(super) fn checksum(bytes: &[u8], digits: usize) -> String {
    let mut hasher = Hasher::new();
    let (before, after) = bytes.split_at(digits.min(bytes.len()));
    hasher.update(before);
    hasher.update(after.get(DIGITS..).unwrap_or_default());
    text_of(hasher)
}

fn text_of(sum: Hasher) -> String {
    format!("{:08x}", sum.finalize())
}

/// Rejects data that could not be read back. Whether numbers are finite is checked during copying.
fn check(checkpoint: &Checkpoint) -> Result<()> {
    let Checkpoint {
        network,
        optimizer,
        objective,
        history,
        position,
        trainer,
        settings: _,
    } = checkpoint;
    optimizer.check_for(network)?;
    trainer.check_numbers("trainer.")?;
    if let Some(objective) = objective {
        objective.check()?;
    }
    network.check_constants()?;
    history.check_whole(network.layers().len())?;
    if !history.batches.is_empty() && history.position() != *position {
        let (found, expected) = (format!("{position:?}"), format!("{:?}", history.position()));
        return Err(Error::parameter(
            "position",
            found,
            format!("{expected}, as in the history"),
        ));
    }
    Ok(())
}

/// All tensors: the history's, then the parameters and their moments. Those of eight-byte numbers
/// come first, so that each is aligned.
fn tensors<'a>(checkpoint: &'a Checkpoint) -> Result<Vec<Tensor<'a>>> {
    let network = &checkpoint.network;
    let mut tensors = history(checkpoint, network.layers().len())?;
    let named = |prefix: String| {
        move |(name, values): (String, ArrayViewD<'a, f32>)| Tensor {
            name: format!("{prefix}{name}"),
            shape: values.shape().to_vec(),
            values: Values::F32(values),
        }
    };
    tensors.extend(network.parameters().into_iter().map(named(String::new())));
    let rule = optimizer::prefix(&checkpoint.optimizer.rule);
    for (name, kept) in checkpoint.optimizer.state() {
        let prefix = format!("{rule}.{name}.");
        tensors.extend(kept.tensors().into_iter().map(named(prefix)));
    }
    Ok(tensors)
}

/// The history, one tensor for each column.
fn history<'a>(checkpoint: &Checkpoint, layers: usize) -> Result<Vec<Tensor<'a>>> {
    let history = &checkpoint.history;
    let (batches, epochs) = (&history.batches, &history.epochs);
    let mut tensors = vec![
        whole("history.batch.epoch", batches.iter().map(|b| b.epoch)),
        whole("history.batch.batch", batches.iter().map(|b| b.batch)),
        time(
            "history.batch.nanoseconds",
            batches.iter().map(|b| b.step_time),
        ),
        real(RATES, batches.iter().map(|b| b.learning_rate))?,
        time("history.epoch.nanoseconds", epochs.iter().map(|e| e.time)),
        real(
            "history.epoch.train_loss",
            epochs.iter().map(|e| e.train_loss),
        )?,
    ];
    let mut steps = batches.iter().map(|b| b.num_steps);
    if steps.any(|steps| steps != checkpoint.trainer.num_steps) {
        tensors.push(whole(STEPS, batches.iter().map(|b| b.num_steps)));
    }
    let reports = batches.iter().map(|b| Some(&b.report)).collect();
    columns(&mut tensors, "history.batch", reports, layers)?;
    gradient_norms(&mut tensors, history, layers);
    let reports = epochs.iter().map(|e| e.validation.as_ref()).collect();
    columns(&mut tensors, "history.epoch.validation", reports, layers)?;
    Ok(tensors)
}

/// Reports, column by column; a missing report has 0 samples.
fn columns<'a>(
    tensors: &mut Vec<Tensor<'a>>,
    prefix: &str,
    reports: Vec<Option<&StepReport>>,
    layers: usize,
) -> Result<()> {
    let count = |f: fn(&StepReport) -> usize| {
        let reports = reports.iter();
        reports.map(move |report| report.map_or(0, f))
    };
    let mut rates = Vec::new();
    for report in &reports {
        match report {
            Some(report) => rates.extend(&report.firing_rate),
            None => rates.extend(std::iter::repeat_n(0.0, layers)),
        }
    }
    let name = |column: &str| format!("{prefix}.{column}");
    let losses = reports.iter().map(|report| report.map_or(0.0, |r| r.loss));
    tensors.push(real(&name("loss"), losses)?);
    tensors.push(whole(&name("samples"), count(|r| r.samples)));
    tensors.push(whole(
        &name("correct_spike_count"),
        count(|r| r.correct_spike_count),
    ));
    tensors.push(whole(
        &name("correct_membrane"),
        count(|r| r.correct_membrane),
    ));
    tensors.push(Tensor {
        name: name("firing_rate"),
        shape: vec![reports.len(), layers],
        values: Values::F64(rates),
    });
    Ok(())
}

/// The norms of the measured batches, with their numbers; nothing if no batch was measured.
fn gradient_norms(tensors: &mut Vec<Tensor<'_>>, history: &History, layers: usize) {
    let batches = history.batches.iter().enumerate();
    let norms = batches.filter_map(|(n, b)| Some((n, b.report.gradient_norms.as_ref()?)));
    let (measured, norms): (Vec<usize>, Vec<&Vec<f64>>) = norms.unzip();
    if measured.is_empty() {
        return;
    }
    tensors.push(Tensor {
        name: NORMS.into(),
        shape: vec![measured.len(), layers],
        values: Values::F64(norms.into_iter().flatten().copied().collect()),
    });
    tensors.push(whole(MEASURED, measured.into_iter()));
}

fn whole<'a>(name: &str, values: impl Iterator<Item = usize>) -> Tensor<'a> {
    // A usize has at most 64 bits.
    let values: Vec<u64> = values.map(|n| n as u64).collect();
    Tensor {
        name: name.into(),
        shape: vec![values.len()],
        values: Values::U64(values),
    }
}

fn time<'a>(name: &str, values: impl Iterator<Item = Duration>) -> Tensor<'a> {
    let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let values: Vec<u64> = values.map(nanoseconds).collect();
    Tensor {
        name: name.into(),
        shape: vec![values.len()],
        values: Values::U64(values),
    }
}

fn real<'a>(name: &str, values: impl Iterator<Item = f64>) -> Result<Tensor<'a>> {
    let values: Vec<f64> = values.collect();
    check_finite(name, values.iter())?;
    Ok(Tensor {
        name: name.into(),
        shape: vec![values.len()],
        values: Values::F64(values),
    })
}

/// The header, with zeros in place of the checksum.
fn header(checkpoint: &Checkpoint, tensors: &[Tensor<'_>]) -> Result<String> {
    let mut metadata = text::configuration(checkpoint);
    let Position { epoch, batch } = checkpoint.position;
    let optimizer = &checkpoint.optimizer;
    let step = format!("{}.step", optimizer::prefix(&optimizer.rule));
    metadata.insert(step, optimizer.steps().to_string());
    for (name, value) in [
        ("format", FORMAT.to_string()),
        ("version", VERSION.to_string()),
        ("crc32", "0".repeat(DIGITS)),
        ("trainer.epochs", checkpoint.trainer.epochs.to_string()),
        ("position.epoch", epoch.to_string()),
        ("position.batch", batch.to_string()),
    ] {
        metadata.insert(name.into(), value);
    }
    let entries = tensors.iter().map(|tensor| Entry {
        name: &tensor.name,
        dtype: tensor.dtype(),
        shape: &tensor.shape,
        len: tensor.len(),
    });
    header::header("a checkpoint, with its settings", &metadata, entries)
}
