//! Decodes a checkpoint from untrusted bytes. The checksum is verified first, each size is checked
//! against the data before it is used, every number must be finite and in range, and nothing may be
//! left over. Memory is bounded by the length of the bytes.

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

use std::{collections::BTreeMap, path::Path};

use safetensors::SafeTensors;

use super::{
    Checkpoint, DIGITS, FORMAT, MEASURED, NORMS, RATES, STEPS, VERSION, encode,
    file_tensors::FileTensors,
    optimizer::optimizer,
    text::{self, CUSTOM, DROP_LAST, LAYER, SETTING, TRUNCATE},
};
use crate::{
    Error, History, Layer, Network, Objective, StepReport, Trainer, files,
    neuron::Neurons,
    train::{BatchRecord, EpochRecord, Position},
    weights::describe::{Described, Fields, Unfit, out_of_range, shortened},
};

/// The reason why bytes are not a usable checkpoint.
pub(super) enum Flaw {
    /// The bytes are damaged.
    Damaged(Error),
    /// The bytes are intact, but this version of the crate could not have written them.
    Foreign(Error),
}

impl From<Flaw> for Error {
    fn from(flaw: Flaw) -> Error {
        match flaw {
            Flaw::Damaged(error) | Flaw::Foreign(error) => error,
        }
    }
}

/// Decodes a file's bytes; `path` is for messages, and `known` are custom neurons that the file may
/// name.
pub(super) fn decode(bytes: &[u8], path: &Path, known: &[Neurons]) -> Result<Checkpoint, Flaw> {
    verify(bytes).map_err(|unfit| Flaw::Damaged(unfit.of(path)))?;
    let file = files::tensors(path, bytes).map_err(Flaw::Foreign)?;
    parse(bytes, &file, known).map_err(|unfit| Flaw::Foreign(unfit.of(path)))
}

/// Verifies the checksum. Its position and algorithm are the same in all versions of the format.
pub(crate) fn verify(bytes: &[u8]) -> Result<(), Unfit> {
    let unfit = |what: &str, expected: String, found: String| {
        Err(Unfit {
            what: what.into(),
            expected,
            found,
        })
    };
    let length = bytes.len();
    let Some((first, rest)) = bytes.split_first_chunk::<8>() else {
        let found = format!("{length} bytes");
        return unfit("length", "at least 8 bytes".into(), found);
    };
    let claimed = u64::from_le_bytes(*first);
    let header = usize::try_from(claimed).ok().and_then(|n| rest.get(..n));
    let Some(header) = header else {
        let expected = format!(
            "at most {}, the number of bytes that follow: the file is truncated or damaged",
            rest.len()
        );
        return unfit("length of the header", expected, claimed.to_string());
    };
    let Some(digits) = encode::find_checksum(header) else {
        return unfit("crc32", "a checksum in the header".into(), "none".into());
    };
    let digits = digits.saturating_add(8);
    let found = bytes.get(digits..).and_then(|tail| tail.get(..DIGITS));
    let expected = encode::checksum(bytes, digits);
    match found {
        Some(found) if found == expected.as_bytes() => Ok(()),
        found => {
            let found = String::from_utf8_lossy(found.unwrap_or_default());
            let expected = format!("{expected}, computed from the content: the file is damaged");
            unfit("crc32", expected, found.into_owned())
        }
    }
}

/// Decodes verified bytes according to their version.
fn parse(bytes: &[u8], file: &SafeTensors<'_>, known: &[Neurons]) -> Result<Checkpoint, Unfit> {
    let mut fields = Fields::of(bytes)?;
    fields.get("format", FORMAT, |text| (text == FORMAT).then_some(()))?;
    match version(&mut fields)? {
        version @ 1..=VERSION => of_version(version, fields, file, known),
        other => Err(later(other)),
    }
}

/// The version of the format, if this crate supports it.
pub(crate) fn version(fields: &mut Fields) -> Result<u32, Unfit> {
    let version = fields.parse("version", "a whole number")?;
    match version {
        1..=VERSION => Ok(version),
        other => Err(later(other)),
    }
}

fn later(version: u32) -> Unfit {
    Unfit {
        what: "version".into(),
        expected: format!(
            "1 to {VERSION}, the versions supported by spikegrad {}; a later one wrote the file",
            env!("CARGO_PKG_VERSION")
        ),
        found: version.to_string(),
    }
}

/// Every version of the format.
///
/// Version 2 added optimizers beside Adam, their schedules and groups, batches in parts, the learning
/// rate of each batch, its time steps where they differ, and windows of steps.
fn of_version(
    version: u32,
    mut fields: Fields,
    file: &SafeTensors<'_>,
    known: &[Neurons],
) -> Result<Checkpoint, Unfit> {
    fields.text("crc32")?;
    let mut tensors = FileTensors::new(file)?;
    let network = network(&mut fields, &mut tensors, known)?;
    let objective = objective(&mut fields)?;
    let optimizer = optimizer(&mut fields, &mut tensors, &network, version)?;
    let whole = "a whole number of at least 1";
    let trainer = Trainer {
        epochs: fields.at_least_1("trainer.epochs", whole)?,
        batch_size: fields.at_least_1("trainer.batch_size", whole)?,
        num_steps: fields.at_least_1("trainer.num_steps", whole)?,
        seed: fields.parse("trainer.seed", "a whole number")?,
        drop_last: match version > 1 && fields.0.contains_key(DROP_LAST) {
            true => fields.parse(DROP_LAST, "true or false")?,
            false => true,
        },
        accumulate: match version {
            1 => 1,
            _ => fields.at_least_1("trainer.accumulate", whole)?,
        },
        truncate: match version > 1 && fields.0.contains_key(TRUNCATE) {
            true => Some(fields.at_least_1(TRUNCATE, whole)?),
            false => None,
        },
    };
    let position = Position {
        epoch: fields.parse("position.epoch", "a whole number")?,
        batch: fields.parse("position.batch", "a whole number")?,
    };
    let constant = (version == 1).then(|| optimizer.rule.lr());
    let layers = network.layers().len();
    let history = history(&mut tensors, layers, constant, trainer.num_steps)?;
    if !history.batches.is_empty() && history.position() != position {
        return Err(Unfit {
            what: "position".into(),
            expected: format!("{:?}, as in the history", history.position()),
            found: format!("{position:?}"),
        });
    }
    let mut settings = BTreeMap::new();
    for (name, value) in fields.0 {
        match name.strip_prefix(SETTING) {
            Some(name) => settings.insert(name.into(), value),
            None => return Err(left_over("entry of the metadata", &name, version)),
        };
    }
    if let Some(name) = tensors.0.into_keys().next() {
        return Err(left_over("tensor", name, version));
    }
    Ok(Checkpoint {
        network,
        optimizer,
        objective,
        trainer,
        position,
        history,
        settings,
    })
}

fn left_over(what: &str, name: &str, version: u32) -> Unfit {
    Unfit {
        what: what.into(),
        expected: format!("only those of format version {version}"),
        found: shortened(name),
    }
}

impl Fields {
    fn at_least_1(&mut self, name: &str, expected: &str) -> Result<usize, Unfit> {
        self.get(name, expected, |text| text.parse().ok().filter(|n| *n >= 1))
    }
}

fn network(
    fields: &mut Fields,
    tensors: &mut FileTensors<'_, '_>,
    known: &[Neurons],
) -> Result<Network, Unfit> {
    let Described {
        sizes,
        neurons,
        synapses,
    } = Described::take(fields, LAYER, tensors.0.len(), known)?;
    let mut layers = Vec::new();
    let described = neurons.into_iter().zip(synapses);
    for ((pair, (neuron, synapses)), k) in sizes.windows(2).zip(described).zip(1..) {
        let &[inputs, neurons] = pair else { continue };
        let parameters = tensors.trained("", k, (inputs, neurons), synapses, &neuron)?;
        layers.push(Layer::of(synapses, neuron, parameters));
    }
    let network = Network::from_layers(layers);
    network.check_constants().map_err(out_of_range)?;
    Ok(network)
}

fn objective(fields: &mut Fields) -> Result<Option<Objective>, Unfit> {
    let expected = "the name of a loss and its numbers";
    let loss = fields.get("objective.loss", expected, |text| match text {
        CUSTOM => Some(None),
        text => text::parse_loss(text).map(Some),
    })?;
    let Some(loss) = loss else { return Ok(None) };
    let objective = Objective {
        loss,
        rate_l1: fields.parse("objective.rate_l1", "a number")?,
        penalties: match fields.0.contains_key(text::PENALTIES) {
            true => fields.get(text::PENALTIES, "penalties on rates", text::parse_penalties)?,
            false => Vec::new(),
        },
    };
    objective.check().map_err(out_of_range)?;
    Ok(Some(objective))
}

/// The history; `constant` is the learning rate of all batches in a file without one for each, and
/// `num_steps` the time steps.
fn history(
    tensors: &mut FileTensors<'_, '_>,
    layers: usize,
    constant: Option<f64>,
    num_steps: usize,
) -> Result<History, Unfit> {
    let mut history = History::default();
    let epochs = tensors.whole("history.batch.epoch", None)?;
    let count = Some(epochs.len());
    let batches = tensors.whole("history.batch.batch", count)?;
    let times = tensors.times("history.batch.nanoseconds", count)?;
    let rates = match constant {
        Some(rate) => vec![rate; epochs.len()],
        None => tensors.f64(RATES, count)?,
    };
    let steps = match tensors.0.contains_key(STEPS) {
        true => tensors.whole(STEPS, count)?,
        false => vec![num_steps; epochs.len()],
    };
    let mut reports = reports(tensors, "history.batch", epochs.len(), layers)?;
    gradient_norms(tensors, &mut reports, layers)?;
    let records = epochs.into_iter().zip(batches).zip(reports);
    let records = records.zip(times.into_iter().zip(rates)).zip(steps);
    for ((((epoch, batch), report), (step_time, learning_rate)), num_steps) in records {
        let Some(report) = report else {
            return Err(Unfit {
                what: format!("history, batch {} of all", history.batches.len()),
                expected: "at least 1 sample".into(),
                found: "0".into(),
            });
        };
        history.batches.push(BatchRecord {
            epoch,
            batch,
            report,
            step_time,
            learning_rate,
            num_steps,
        });
    }

    let losses = tensors.f64("history.epoch.train_loss", None)?;
    let count = losses.len();
    let times = tensors.times("history.epoch.nanoseconds", Some(count))?;
    let validations = self::reports(tensors, "history.epoch.validation", count, layers)?;
    let records = losses.into_iter().zip(validations).zip(times).enumerate();
    history.epochs = records
        .map(|(epoch, ((train_loss, validation), time))| EpochRecord {
            epoch,
            train_loss,
            validation,
            time,
        })
        .collect();

    history.check_whole(layers).map_err(out_of_range)?;
    Ok(history)
}

/// The columns of `count` reports; a report without samples is missing.
fn reports(
    tensors: &mut FileTensors<'_, '_>,
    prefix: &str,
    count: usize,
    layers: usize,
) -> Result<Vec<Option<StepReport>>, Unfit> {
    let name = |column: &str| format!("{prefix}.{column}");
    let losses = tensors.f64(&name("loss"), Some(count))?;
    let samples = tensors.whole(&name("samples"), Some(count))?;
    let by_count = tensors.whole(&name("correct_spike_count"), Some(count))?;
    let by_membrane = tensors.whole(&name("correct_membrane"), Some(count))?;
    let rates = tensors.rows(&name("firing_rate"), count, layers)?;
    let reports = losses.into_iter().zip(samples);
    let reports = reports
        .zip(by_count.into_iter().zip(by_membrane))
        .zip(rates);
    let mut out = Vec::with_capacity(count);
    for (((loss, samples), (correct_spike_count, correct_membrane)), firing_rate) in reports {
        out.push((samples > 0).then_some(StepReport {
            loss,
            samples,
            correct_spike_count,
            correct_membrane,
            firing_rate,
            gradient_norms: None,
        }));
    }
    Ok(out)
}

/// The norms of the measured batches; absent if no batch was measured.
fn gradient_norms(
    tensors: &mut FileTensors<'_, '_>,
    reports: &mut [Option<StepReport>],
    layers: usize,
) -> Result<(), Unfit> {
    if !tensors.0.contains_key(MEASURED) {
        return Ok(());
    }
    let measured = tensors.whole(MEASURED, None)?;
    let norms = tensors.rows(NORMS, measured.len(), layers)?;
    for (index, norms) in measured.into_iter().zip(norms) {
        let report = reports.get_mut(index).and_then(Option::as_mut);
        match report.filter(|report| report.gradient_norms.is_none()) {
            Some(report) => report.gradient_norms = Some(norms),
            None => {
                return Err(Unfit {
                    what: format!("tensor {MEASURED}"),
                    expected: "batch numbers without duplicates".into(),
                    found: index.to_string(),
                });
            }
        }
    }
    Ok(())
}
