//! The candle peer: the tutorial's network, candle's autograd and AdamW (without decay: Adam). The
//! first product is hoisted out of time, or, by option, taken at each step: of a sequence that is the
//! faster, since the adjoint of `get(t)` in candle fills a tensor of all `T` steps. Speaks the protocol
//! of `../common.py`.

use std::{
    error::Error,
    fs,
    io::{self, BufRead, Write},
    path::Path,
    time::Instant,
};

use candle_core::{CpuStorage, CustomOp1, D, Device, Layout, Shape, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use serde_json::{Map, Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const BETA: f64 = 0.95;
const THRESHOLD: f64 = 1.0;
const LEARNING_RATE: f64 = 5e-4;

/// Heaviside, with the arctan's derivative on the way back.
struct Spike;

impl CustomOp1 for Spike {
    fn name(&self) -> &'static str {
        "spike"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (begin, end) = layout
            .contiguous_offsets()
            .ok_or_else(|| candle_core::Error::Msg("spike: not contiguous".into()))?;
        let x = &storage.as_slice::<f32>()?[begin..end];
        let spk = x.iter().map(|&x| f32::from(u8::from(x > 0.0))).collect();
        Ok((CpuStorage::F32(spk), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _spk: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let slope = (x * std::f64::consts::PI)?.sqr()?.affine(1.0, 1.0)?;
        Ok(Some(grad.div(&slope)?))
    }
}

struct Layer {
    /// `[out, in]` and `[out]`.
    weight: Var,
    bias: Var,
}

impl Layer {
    fn product(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)?)
    }
}

struct Worker {
    layers: Vec<Layer>,
    adam: AdamW,
    /// `[B, N]` or `[T, B, N]` each.
    x: Vec<Tensor>,
    y: Vec<Tensor>,
    num_steps: usize,
    kind: String,
    /// The first product is taken at each step, instead of before all.
    each_step: bool,
    count: usize,
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

impl Worker {
    fn new(work: &Value, option: &Value) -> Result<Worker> {
        let folder = Path::new(text(work, "dir")?);
        let sizes: Vec<usize> = serde_json::from_value(work["sizes"].clone())?;
        let (num_steps, batch) = (number(work, "num_steps")?, number(work, "batch")?);
        let (x, labels) = (
            floats(&folder.join("x.f32"))?,
            fs::read(folder.join("y.i64"))?,
        );
        let labels: Vec<u32> = labels
            .as_chunks()
            .0
            .iter()
            .map(|label| i64::from_le_bytes(*label) as u32)
            .collect();
        let mut shape = vec![batch, sizes[0]];
        if work["sequence"] == true {
            shape.insert(0, num_steps);
        }
        let flat = floats(&folder.join("weights.f32"))?;
        let (mut at, mut layers) = (0, Vec::new());
        for pair in sizes.windows(2) {
            let (inputs, outputs) = (pair[0], pair[1]);
            let (weight, bias) =
                flat[at..at + inputs * outputs + outputs].split_at(inputs * outputs);
            at += inputs * outputs + outputs;
            layers.push(Layer {
                weight: Var::from_slice(weight, (outputs, inputs), &Device::Cpu)?,
                bias: Var::from_slice(bias, outputs, &Device::Cpu)?,
            });
        }
        let variables = layers
            .iter()
            .flat_map(|layer| [layer.weight.clone(), layer.bias.clone()])
            .collect();
        let adam = ParamsAdamW {
            lr: LEARNING_RATE,
            weight_decay: 0.0,
            ..ParamsAdamW::default()
        };
        Ok(Worker {
            layers,
            adam: AdamW::new(variables, adam)?,
            x: x.chunks(shape.iter().product())
                .map(|x| Tensor::from_slice(x, shape.clone(), &Device::Cpu))
                .collect::<candle_core::Result<_>>()?,
            y: labels
                .chunks(batch)
                .map(|y| Tensor::from_slice(y, batch, &Device::Cpu))
                .collect::<candle_core::Result<_>>()?,
            num_steps,
            kind: text(work, "kind")?.into(),
            each_step: option["each_step"] == true,
            count: 0,
        })
    }

    /// Spikes and membranes of the last layer, one for each step.
    fn roll(&self, x: &Tensor) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
        let batch = x.dim(D::Minus2)?;
        let is_static = x.rank() == 2;
        let first = match (self.each_step, is_static) {
            (true, _) => x.clone(),
            (false, true) => self.layers[0].product(x)?,
            (false, false) => {
                (self.layers[0].product(&x.flatten(0, 1)?)?).reshape((self.num_steps, batch, ()))?
            }
        };
        let mut mem = (self.layers.iter())
            .map(|layer| {
                Ok(Tensor::zeros(
                    (batch, layer.bias.elem_count()),
                    x.dtype(),
                    &Device::Cpu,
                )?)
            })
            .collect::<Result<Vec<_>>>()?;
        let (mut spikes, mut membranes) = (Vec::new(), Vec::new());
        for t in 0..self.num_steps {
            let mut h = if is_static {
                first.clone()
            } else {
                first.get(t)?
            };
            for (k, layer) in self.layers.iter().enumerate() {
                let hoisted = k == 0 && !self.each_step;
                let current = if hoisted { h } else { layer.product(&h)? };
                let spk = (&mem[k] - THRESHOLD)?.apply_op1(Spike)?;
                let reset = (spk.detach() * (BETA * THRESHOLD))?;
                mem[k] = (((&mem[k] * BETA)? + current)? - reset)?;
                h = spk;
            }
            spikes.push(h);
            membranes.push(mem[mem.len() - 1].clone());
        }
        Ok((spikes, membranes))
    }

    /// The phases' seconds, and the loss.
    fn step(&mut self) -> Result<(Vec<(&'static str, f64)>, f64)> {
        let n = self.count % self.x.len();
        self.count += 1;
        let begin = Instant::now();
        let (spikes, membranes) = self.roll(&self.x[n])?;
        Ok(match self.kind.as_str() {
            "train" => {
                let membranes = Tensor::cat(&membranes, 0)?; // [T · B, classes]
                let targets = self.y[n].repeat(self.num_steps)?;
                let mean = candle_nn::loss::cross_entropy(&membranes, &targets)?;
                let loss = (mean * self.num_steps as f64)?;
                self.adam.backward_step(&loss)?;
                let value = f64::from(loss.to_scalar::<f32>()?);
                (vec![("step", begin.elapsed().as_secs_f64())], value)
            }
            "inference" => {
                let counts = Tensor::stack(&spikes, 0)?.sum(0)?;
                let classes = counts.argmax(1)?.to_vec1::<u32>()?;
                let step = begin.elapsed().as_secs_f64();
                (vec![("step", step)], f64::from(classes.iter().sum::<u32>()))
            }
            _ => {
                let loss = Tensor::stack(&spikes, 0)?.sum_all()?;
                let value = f64::from(loss.to_scalar::<f32>()?);
                let forward = begin.elapsed().as_secs_f64();
                let begin = Instant::now();
                loss.backward()?;
                (
                    vec![
                        ("forward", forward),
                        ("backward", begin.elapsed().as_secs_f64()),
                    ],
                    value,
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
        let (_, losses) = self.run(2)?;
        let (mut step, mut best) = (0.0, f64::INFINITY);
        for _ in 0..3 {
            let begin = Instant::now();
            self.run(1)?;
            let seconds = begin.elapsed().as_secs_f64();
            step += seconds / 3.0;
            best = seconds.min(best);
        }
        fs::write("/proc/self/clear_refs", "5")?; // the peak of memory counts from here
        Ok(
            json!({"compile_s": 0.0, "step_s": step, "best_s": best, "loss": losses[0], "versions": {"candle": "0.11.1"}}),
        )
    }
}

fn peak_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.ok_or("no VmHWM")?.trim().parse::<u64>()? * 1024)
}

fn main() -> Result<()> {
    let mut worker = None;
    for line in io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let answer = match (text(&request, "cmd")?, &mut worker) {
            ("setup", _) => worker
                .insert(Worker::new(&request["work"], &request["option"])?)
                .setup()?,
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
