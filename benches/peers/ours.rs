//! The worker of `compare.py` for spikegrad: trains what it is told to, and says how long it took.
//! Not a bench to be run by hand; `common.py` describes the protocol.

use std::{
    error::Error,
    fs,
    io::{self, BufRead, Write},
    path::Path,
    time::Instant,
};

use ndarray::{Array3, ArrayView2, ArrayView3, IxDyn};
use serde_json::{Map, Value, json};
use spikegrad::{Adam, Adjoints, Device, Engine, Input, Leaky, Loss, Network, ReadOut};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const BETA: f64 = 0.95;
const LEARNING_RATE: f64 = 5e-4;

/// The setup request's `work`, and the data it points to.
struct Work {
    kind: String,
    num_steps: usize,
    batch: usize,
    /// `[batches · B, N]` or `[batches · T, B, N]`, flat.
    x: Vec<f32>,
    inputs: usize,
    sequence: bool,
    y: Vec<usize>,
    batches: usize,
}

fn number(value: &Value, key: &str) -> Result<usize> {
    let number = value[key]
        .as_u64()
        .ok_or_else(|| format!("{key} is missing"))?;
    Ok(number.try_into()?)
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    Ok(value[key]
        .as_str()
        .ok_or_else(|| format!("{key} is missing"))?)
}

fn floats(path: &Path) -> Result<Vec<f32>> {
    let bytes = fs::read(path)?;
    let (chunks, _) = bytes.as_chunks();
    Ok(chunks
        .iter()
        .map(|chunk| f32::from_le_bytes(*chunk))
        .collect())
}

impl Work {
    fn read(work: &Value) -> Result<(Work, Network)> {
        let folder = Path::new(text(work, "dir")?);
        let sizes: Vec<usize> = serde_json::from_value(work["sizes"].clone())?;
        let labels = fs::read(folder.join("y.i64"))?;
        let (labels, _) = labels.as_chunks();
        let data = Work {
            kind: text(work, "kind")?.into(),
            num_steps: number(work, "num_steps")?,
            batch: number(work, "batch")?,
            x: floats(&folder.join("x.f32"))?,
            inputs: sizes[0],
            sequence: work["sequence"] == true,
            y: (labels.iter())
                .map(|label| Ok(i64::from_le_bytes(*label).try_into()?))
                .collect::<Result<_>>()?,
            batches: number(work, "batches")?,
        };
        let mut builder = Network::builder(sizes[0]);
        for &neurons in &sizes[1..] {
            builder = builder.layer(neurons, Leaky::new(BETA));
        }
        let mut network = builder.build()?;
        let flat = floats(&folder.join("weights.f32"))?;
        let mut at = 0;
        for (k, pair) in sizes.windows(2).enumerate() {
            for (name, shape) in [("weight", vec![pair[1], pair[0]]), ("bias", vec![pair[1]])] {
                let count: usize = shape.iter().product();
                let values = ndarray::ArrayView::from_shape(IxDyn(&shape), &flat[at..at + count])?;
                network.set_parameter(&format!("fc{}.{name}", k + 1), values)?;
                at += count;
            }
        }
        Ok((data, network))
    }

    /// The batch of step `n`.
    fn batch(&self, n: usize) -> Result<(Input<'_>, &[usize])> {
        let (n, size) = (n % self.batches, self.x.len() / self.batches);
        let x = &self.x[n * size..(n + 1) * size];
        let input = if self.sequence {
            let shape = (self.num_steps, self.batch, self.inputs);
            Input::sequence(ArrayView3::from_shape(shape, x)?)
        } else {
            let x = ArrayView2::from_shape((self.batch, self.inputs), x)?;
            Input::constant(x, self.num_steps)
        };
        Ok((input, &self.y[n * self.batch..(n + 1) * self.batch]))
    }
}

/// A phase's name and its seconds.
type Phases = Vec<(&'static str, f64)>;

struct Worker {
    work: Work,
    engine: Box<dyn Engine>,
    classes: Vec<usize>,
    count: usize,
}

impl Worker {
    fn new(request: &Value, name: &str) -> Result<Worker> {
        let (work, network) = Work::read(&request["work"])?;
        let loss = match (work.kind.as_str(), name) {
            ("onm", "ours") => sum_of_spikes(),
            // The nearest loss that the fast engine has of its own: it too is one number for each
            // neuron, at every step.
            ("onm", _) => Loss::CrossEntropyCount,
            _ => Loss::CrossEntropyMembrane,
        };
        Ok(Worker {
            classes: vec![0; work.batch],
            work,
            engine: Device::Cpu.engine(network, loss, Adam::new(LEARNING_RATE))?,
            count: 0,
        })
    }

    fn step(&mut self) -> Result<(Phases, f64)> {
        let (input, targets) = self.work.batch(self.count)?;
        self.count += 1;
        let begin = Instant::now();
        Ok(match self.work.kind.as_str() {
            "train" => {
                let report = self.engine.train_step(input.classes(targets))?;
                (vec![("step", begin.elapsed().as_secs_f64())], report.loss)
            }
            "inference" => {
                self.engine
                    .classify(input, ReadOut::SpikeCount, &mut self.classes)?;
                (
                    vec![("step", begin.elapsed().as_secs_f64())],
                    self.classes.iter().sum::<usize>() as f64,
                )
            }
            // `gradients` goes both ways; a forward pass alone is timed beside it, and what is left
            // is called backward.
            _ => {
                let report = self.engine.evaluate(input.classes(targets))?;
                let forward = begin.elapsed().as_secs_f64();
                let begin = Instant::now();
                self.engine.gradients(input.classes(targets))?;
                let both = begin.elapsed().as_secs_f64();
                (
                    vec![("forward", forward), ("backward", both - forward)],
                    report.loss,
                )
            }
        })
    }

    /// Takes `steps` steps: each phase's seconds, and the losses.
    fn run(&mut self, steps: usize) -> Result<(Map<String, Value>, Vec<f64>)> {
        let (mut seconds, mut losses) = (Map::new(), Vec::new());
        for _ in 0..steps {
            let (phases, loss) = self.step()?;
            losses.push(loss);
            for (name, value) in phases {
                let times = seconds.entry(name).or_insert_with(|| json!([]));
                times
                    .as_array_mut()
                    .ok_or("not an array")?
                    .push(json!(value));
            }
        }
        Ok((seconds, losses))
    }

    fn setup(&mut self) -> Result<Value> {
        let (_, losses) = self.run(5)?;
        let begin = Instant::now();
        self.run(3)?;
        let step = begin.elapsed().as_secs_f64() / 3.0;
        fs::write("/proc/self/clear_refs", "5")?; // the peak of memory counts from here
        let version = env!("CARGO_PKG_VERSION");
        Ok(json!({
            "compile_s": 0.0, "step_s": step, "best_s": step, "loss": losses[0],
            "versions": {"spikegrad": version, "engine": self.engine.describe()},
        }))
    }
}

/// The loss of the Open Neuromorphic benchmark; a loss of the user's own.
fn sum_of_spikes() -> Loss {
    Loss::custom(|recording, _| {
        let spk = &recording.output().spk;
        let ones = Array3::ones(spk.raw_dim());
        let sum = f64::from(spk.sum());
        Ok((
            sum,
            Adjoints::output(recording.num_layers(), Some(ones), None),
        ))
    })
}

fn peak_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.ok_or("no VmHWM")?.trim().parse::<u64>()? * 1024)
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(at) = arguments.iter().position(|argument| argument == "--serve") else {
        println!("peers_worker is started by benches/peers/compare.sh");
        return Ok(());
    };
    let name = arguments.get(at + 1).map_or("ours", String::as_str);
    let mut worker = None;
    for line in io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let answer = match (text(&request, "cmd")?, &mut worker) {
            ("setup", _) => worker.insert(Worker::new(&request, name)?).setup()?,
            ("run", Some(worker)) => {
                worker.run(1)?; // as in common.py: this process has been asleep
                let (seconds, losses) = worker.run(number(&request, "steps")?)?;
                json!({"seconds": seconds, "losses": losses})
            }
            ("quit", _) => json!({"peak_bytes": peak_bytes()?}),
            (cmd, _) => return Err(format!("{cmd}: there is nothing to run yet").into()),
        };
        println!("{answer}");
        io::stdout().flush()?;
        if request["cmd"] == "quit" {
            return Ok(());
        }
    }
    Ok(())
}
