//! What data parallelism costs on this machine, and from where on it pays on others.
//!
//! ```sh
//! cargo bench --features mpi --bench parallel
//! ```
//!
//! It starts itself under `mpirun` with two processes. Measured: a step of the engine alone and cut into
//! shards, with one and two threads; latency and bandwidth between two processes; a step of two processes with a
//! thread each. Predicted: a step on `P` nodes, each as fast as two threads here,
//!
//! ```text
//! t(P) = c(B/P) + o + 4 λ log₂P + 8 n (1 − 1/P) / w
//! ```
//!
//! with the engine's time `c` for a batch, a straight line through two that were measured; the time `o` that one
//! process needs for copies and for an update apart from the gradients, which is what remains of the measured step
//! of two processes; latency `λ` and bandwidth `w`; and `n` parameters of 4 bytes.

mod common;

use std::{
    env,
    process::{Command, Stdio},
    time::Instant,
};

use mpi::{
    point_to_point::{Destination, Source},
    topology::{Communicator, SimpleCommunicator},
};
use ndarray::{Array2, Array3};
use spikegrad::{
    Adam, CpuEngine, Engine, Init, Input, Leaky, LeakyIntegrator, Loss, Network, Parallel,
    Recurrence, Reset, Samples, Surrogate, Synaptic, World,
};

/// Tells a child that it is one of two processes.
const PAIR: &str = "SPIKEGRAD_BENCH_PAIR";

/// Networks between nodes: name, latency in seconds, bytes per second. Their makers' figures, not measured.
const LINKS: [(&str, f64, f64); 3] = [
    ("10 Gb/s", 30e-6, 1.25e9),
    ("100 Gb/s", 3e-6, 12.5e9),
    ("NVLink", 5e-6, 300e9),
];

fn main() {
    if env::var_os(PAIR).is_some() {
        return pair();
    }
    if !env::args().any(|argument| argument == "--bench") {
        return; // `cargo test` runs benches too
    }
    let pair = measured_pair();
    let [latency, bandwidth] = [pair[0], pair[1]];
    println!(
        "two processes, shared memory: latency {:.1} us, {:.2} GB/s in each direction at once\n",
        1e6 * latency,
        1e-9 * bandwidth
    );
    println!("a step, ms                  1 thread             2 threads            2 processes");
    println!(
        "                          alone  8 shards      alone  8 shards      8 shards  2 shards"
    );
    let mut found = Vec::new();
    for (n, case) in CASES.iter().enumerate() {
        let one = on_threads(1, || alone(case, case.batch));
        let two = on_threads(2, || alone(case, case.batch));
        let both = &pair[2 + 2 * n..4 + 2 * n];
        println!(
            "{:<24} {:>7.2}   {:>7.2}    {:>7.2}   {:>7.2}       {:>7.2}   {:>7.2}   ({:+.0} % of 2 threads)",
            case.name,
            1e3 * one[0],
            1e3 * one[1],
            1e3 * two[0],
            1e3 * two[1],
            1e3 * both[0],
            1e3 * both[1],
            100.0 * (both[1] / two[0] - 1.0),
        );
        let half = on_threads(1, || alone(case, case.batch / 2));
        let bytes = 4.0 * case.network().num_parameters() as f64;
        let wire = 4.0 * latency + bytes / bandwidth;
        let own = (both[1] - half[0] - wire).max(0.0);
        let smaller = on_threads(2, || alone(case, case.batch / 4));
        let slope = (two[0] - smaller[0]) / (0.75 * case.batch as f64);
        let fixed = (two[0] - slope * case.batch as f64).max(0.0);
        found.push((case, bytes, own, slope, fixed));
    }
    for (case, bytes, own, slope, fixed) in found {
        println!(
            "\n{}: {:.1} MB of parameters; c(B) = {:.2} + {:.4} B ms, o = {:.2} ms",
            case.name,
            1e-6 * bytes,
            1e3 * fixed,
            1e3 * slope,
            1e3 * own
        );
        println!(
            "                  speed-up at B = {} on P nodes                 samples a node for 80 % on 16",
            case.batch
        );
        println!("                 2      4      8     16     32     64");
        for (name, latency, bandwidth) in LINKS {
            let wire =
                |p: f64| 4.0 * latency * p.log2() + 2.0 * bytes * (1.0 - 1.0 / p) / bandwidth;
            let one = fixed + slope * case.batch as f64;
            let speed = |p: f64| one / (fixed + slope * case.batch as f64 / p + own + wire(p));
            let speeds: String = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
                .map(|p| format!("{:>6.2} ", speed(p)))
                .concat();
            // c(b) = 0.8 (c(b) + o + wire)
            let needed = (4.0 * (own + wire(16.0)) - fixed) / slope;
            println!("  {name:<10} {speeds}      {:>8.0}", needed.max(1.0).ceil());
        }
    }
}

struct Case {
    name: &'static str,
    hidden: usize,
    batch: usize,
    steps: usize,
    recurrent: bool,
    /// Steps that are timed.
    timed: usize,
}

const fn case(
    name: &'static str,
    hidden: usize,
    batch: usize,
    steps: usize,
    recurrent: bool,
) -> Case {
    Case {
        name,
        hidden,
        batch,
        steps,
        recurrent,
        timed: if hidden == 1 && batch * steps < 10_000 {
            200
        } else {
            24
        },
    }
}

const CASES: [Case; 5] = [
    case("main job", 1, 128, 25, false),
    case("main job, B = 1024", 1, 1024, 25, false),
    case("main job, T = 400", 1, 128, 400, false),
    case("three hidden layers", 3, 128, 25, false),
    case("recurrent, 700-256-20", 256, 128, 100, true),
];

impl Case {
    fn network(&self) -> Network {
        if !self.recurrent {
            let mut builder = Network::builder(784);
            for _ in 0..self.hidden {
                builder = builder.layer(1000, Leaky::new(0.95));
            }
            return builder
                .layer(10, Leaky::new(0.95))
                .build()
                .expect("a network");
        }
        let (alpha, beta) = ((-1.0_f64 / 10.0).exp(), (-1.0_f64 / 20.0).exp());
        let neuron = Synaptic::new(alpha, beta)
            .reset(Reset::Zero)
            .gain(1.0 - beta)
            .surrogate(Surrogate::FastSigmoid { slope: 10.0 });
        let builder = Network::builder(700)
            .layer(self.hidden, neuron)
            .bias(false)
            .init(Init::Scaled { scale: 3.5 })
            .recurrent(Recurrence::all_to_all().bias(false))
            .recurrent_init(Init::Scaled { scale: 0.1 });
        let last = LeakyIntegrator::new(beta).alpha(alpha).gain(1.0 - beta);
        builder
            .layer(20, last)
            .bias(false)
            .build()
            .expect("a network")
    }

    fn engine(&self) -> Box<dyn Engine> {
        let loss = match self.recurrent {
            true => Loss::CrossEntropyMaxMembrane,
            false => Loss::CrossEntropyMembrane,
        };
        let engine = CpuEngine::new(self.network(), loss, Adam::new(5e-4));
        Box::new(engine.expect("an engine"))
    }

    /// Runs `f` with a batch.
    fn with_batch<R>(&self, batch: usize, f: impl FnOnce(Samples<'_>) -> R) -> R {
        if !self.recurrent {
            let batch = common::batch(&common::images(), batch);
            let x: &Array2<f32> = &batch.images;
            return f(Input::constant(x.view(), self.steps).classes(&batch.targets));
        }
        let mut seed = 1_u64;
        let mut random = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as f64 / (1 << 24) as f64
        };
        let x = Array3::from_shape_simple_fn((self.steps, batch, 700), || {
            f32::from(u8::from(random() < 0.02))
        });
        let targets: Vec<usize> = (0..batch).map(|b| b % 20).collect();
        f(Input::sequence(x.view()).classes(&targets))
    }
}

fn on_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.expect("threads").install(f)
}

/// Seconds of a step, each engine in turn: the medians. A network that learns fires more or less, so each takes
/// as many steps.
fn medians(engines: &mut [Box<dyn Engine>], samples: Samples<'_>, steps: usize) -> Vec<f64> {
    let mut times = vec![Vec::new(); engines.len()];
    for _ in 0..steps {
        for (engine, times) in engines.iter_mut().zip(&mut times) {
            let step = Instant::now();
            engine.train_step(samples).expect("it trains");
            times.push(step.elapsed().as_secs_f64());
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    times.iter_mut().map(median).collect()
}

/// A step of one process: the engine's own, and with 8 shards.
fn alone(case: &Case, batch: usize) -> Vec<f64> {
    let sharded = Parallel::with_shards(World::alone(), case.engine(), 8).expect("an engine");
    let mut engines = [case.engine(), Box::new(sharded)];
    case.with_batch(batch, |samples| medians(&mut engines, samples, case.timed))
}

/// What two processes have measured.
fn measured_pair() -> Vec<f64> {
    let output = Command::new("mpirun")
        .args([
            "-n",
            "2",
            "--oversubscribe",
            "--allow-run-as-root",
            "--bind-to",
            "none",
        ])
        .args(["--mca", "btl_vader_single_copy_mechanism", "none"])
        .arg(env::current_exe().expect("this bench"))
        .env(PAIR, "1")
        .env("RAYON_NUM_THREADS", "1")
        .stderr(Stdio::inherit())
        .output()
        .expect("mpirun is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|x| x.parse().ok())
        .collect();
    assert_eq!(numbers.len(), 2 + 2 * CASES.len(), "{text}");
    numbers
}

/// One of two processes: latency, bandwidth, and steps with 8 and with 2 shards.
fn pair() {
    let world = World::join(None).expect("MPI");
    let mut numbers = Vec::new();
    for (bytes, rounds) in [(8, 20_000), (1 << 23, 60)] {
        let all = SimpleCommunicator::world();
        let peer = all.process_at_rank(1 - all.rank());
        let (out, mut place) = (vec![0_u8; bytes], vec![0_u8; bytes]);
        let mut swap = || {
            mpi::request::scope(|scope| {
                use mpi::request::WaitGuard;
                let _sent = WaitGuard::from(peer.immediate_send(scope, &out[..]));
                peer.receive_into(&mut place[..]);
            });
        };
        (0..rounds / 10).for_each(|_| swap());
        let started = Instant::now();
        (0..rounds).for_each(|_| swap());
        let each = started.elapsed().as_secs_f64() / rounds as f64;
        numbers.push(if bytes == 8 {
            each
        } else {
            bytes as f64 / each
        });
    }
    for case in &CASES {
        let engine = |shards| -> Box<dyn Engine> {
            let engine = Parallel::with_shards(world.clone(), case.engine(), shards);
            Box::new(engine.expect("an engine"))
        };
        let mut engines = [engine(8), engine(2)];
        numbers.extend(case.with_batch(case.batch, |samples| {
            medians(&mut engines, samples, case.timed)
        }));
    }
    if world.rank() == 0 {
        numbers.iter().for_each(|number| println!("{number}"));
    }
}
