//! Where a training step's time goes, part by part, and what this machine would need for it.
//!
//! ```sh
//! cargo bench --bench parts           # -- main: the main job alone
//! ```
//!
//! **Measured**: the fast engine's own clock, over whole steps of the main job (784–1000–10, B = 128,
//! T = 25) on real batches, after a warm-up that brings firing rates to what training has. Times are
//! summed over threads and divided by their number.
//!
//! **The limit**: what the same arithmetic would take if nothing else did. For each part, the
//! operations that are left after skipping what is silent are counted from the data (non-zero pixels,
//! spikes), in vectors of sixteen as the engine has them, padding included, and so are the bytes that
//! must come from each level of the cache; each count is divided by the rate that this machine reaches
//! at that alone, in this run, with all threads at once and the engine's instruction set; the largest
//! quotient is the part's limit, as if all else were free beside it. Their sum is the step's limit:
//!
//! | part | arithmetic | bytes |
//! |---|---|---|
//! | input lists | | input, once, from L2 |
//! | first product | a multiply-add for each non-zero pixel and vector of neurons | as many vectors of weights from L1; all weights once from memory |
//! | spike products | an addition for each hidden spike | the weights' vectors, from L2 |
//! | LIF forward | 3 operations for each vector and step | the trace, written to L2 |
//! | read-out and loss | 40 operations for each step | |
//! | LIF backward | 17 operations (10 of them for `e`), a division | the trace, from L2 |
//! | first weights | a multiply-add for each pair of entries in use, 2 operations each; Adam's 11, a root and a division for each vector of weights | weights and moments, read and written in memory |
//! | other weights | an addition for each hidden spike | one sum, read and written in L1, for each |
//!
//! "Memory" is wherever an array as large as weights and moments lies, an L3 if that is large enough.
//! In no limit is what it takes to bring data from one core to another, which the bench measures too:
//! currents, adjoints and spikes do change cores. On a virtual machine whose cores are now close to each
//! other and now far apart, run it more than once, and compare what was measured at the same distance.
//!
//! Then the dense products of the workloads `dense` and `wide` against the rate of multiply-adds.

mod common;
#[path = "../src/engine/cpu/simd/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod simd;

use std::{
    hint::black_box,
    sync::{
        Barrier,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Release},
        },
    },
    time::{Duration, Instant},
};

use simd::{F32x16, Isa, Kernel, LANES, Simd};
use spikegrad::{
    Adam, CpuEngine, Engine, Input, Leaky, Loss, Network,
    data::{Batch, Dataset},
};

const HIDDEN: usize = 1000;
const BATCH: usize = 128;
const STEPS: usize = 25;
const CLASSES: f64 = 10.0;

/// Vectors of the hidden layer: 1000 neurons in blocks of 64.
const VECTORS: f64 = (HIDDEN.div_ceil(64) * 4) as f64;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test` runs benches too
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let isa = Isa::best();
    println!("{}, {threads} threads\n", isa.name());
    let images = common::images();
    let batches: Vec<Batch> = images
        .batches(BATCH)
        .expect("not 0")
        .shuffled(0, 0)
        .take(256)
        .collect();
    let rates = Rates::measure(isa, threads);
    rates.print(threads);
    main_job(&batches, &rates, threads);
    print_distance(threads);
    if !std::env::args().any(|argument| argument == "main") {
        dense(&images, &rates, threads);
    }
}

// ---- What the machine can do ----

/// Per second, all threads together.
struct Rates {
    /// Multiply-adds, divisions, square roots of vectors, in registers.
    fma: f64,
    div: f64,
    sqrt: f64,
    /// Vectors from L1 into a multiply-add; from and to L2.
    l1: f64,
    l2: f64,
    l2_store: f64,
    /// Vectors read and written again where weights and moments lie.
    memory: f64,
}

/// What a kernel does over and over.
#[derive(Clone, Copy)]
enum What {
    Fma,
    Div,
    Sqrt,
    Load,
    Store,
    Update,
}

struct Work<'a> {
    what: What,
    data: &'a mut [F32x16],
    times: usize,
}

impl Kernel for Work<'_> {
    type Out = f64;

    /// Returns how many vectors it has done.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let some = s.splat(black_box(1.000_001));
        let mut sums = [some; 16];
        let mut count = 0;
        for _ in 0..self.times {
            match self.what {
                What::Fma => {
                    // Eight chains hide the latency of two pipes.
                    let mut few = [some; 8];
                    for _ in 0..64 {
                        for sum in &mut few {
                            *sum = s.fma(*sum, some, some);
                        }
                    }
                    count += 512;
                    sums[..8].copy_from_slice(&few);
                }
                What::Div => {
                    for sum in &mut sums {
                        *sum = s.div(some, *sum);
                    }
                    count += 16;
                }
                What::Sqrt => {
                    for sum in &mut sums {
                        *sum = s.sqrt(*sum);
                    }
                    count += 16;
                }
                What::Load => {
                    for lanes in self.data.as_chunks::<8>().0 {
                        for (sum, lane) in sums.iter_mut().zip(lanes) {
                            *sum = s.fma(some, s.load(lane), *sum);
                        }
                    }
                    count += self.data.len();
                }
                What::Store => {
                    for lane in self.data.iter_mut() {
                        s.store(some, lane);
                    }
                    black_box(&mut *self.data);
                    count += self.data.len();
                }
                What::Update => {
                    for lane in self.data.iter_mut() {
                        s.store(s.mul(s.load(lane), some), lane);
                    }
                    black_box(&mut *self.data);
                    count += self.data.len();
                }
            }
        }
        let mut out = F32x16::ZERO;
        for sum in sums {
            s.store(sum, &mut out);
            black_box(&out);
        }
        count as f64
    }
}

/// Vectors per second of all threads together, each on `bytes` of its own: the best of many tries.
fn rate(isa: Isa, threads: usize, what: What, bytes: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let each = || {
        let mut data = vec![F32x16::ZERO; bytes / size_of::<F32x16>()];
        let data = &mut data[..];
        let mut run = |times| isa.run(Work { what, data, times });
        let begin = Instant::now();
        run(20);
        let times = (20.0 * 0.01 / begin.elapsed().as_secs_f64()).ceil() as usize;
        let mut best = 0.0_f64;
        // More often than looks needed: threads may begin on one core.
        for _ in 0..25 {
            barrier.wait();
            let begin = Instant::now();
            let count = run(times);
            best = best.max(count / begin.elapsed().as_secs_f64());
        }
        best
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
        all.into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .sum()
    })
}

/// Nanoseconds from one core to another and back: a number that two threads take turns to raise, the
/// best of some tries, since they may begin on one core.
fn there_and_back() -> f64 {
    const TURNS: u64 = 4_000;
    let once = || {
        let (turn, begin) = (AtomicU64::new(0), Instant::now());
        let play = |side: u64| {
            for n in 0..TURNS {
                while turn.load(Acquire) != 2 * n + side {
                    std::hint::spin_loop();
                }
                turn.store(2 * n + side + 1, Release);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| play(1));
            play(0);
        });
        begin.elapsed().as_nanos() as f64 / TURNS as f64
    };
    (0..10).map(|_| once()).fold(f64::INFINITY, f64::min)
}

fn print_distance(threads: usize) {
    if threads > 1 {
        println!(
            "  core to core    {:8.0} ns there and back\n",
            there_and_back()
        );
    }
}

impl Rates {
    fn measure(isa: Isa, threads: usize) -> Rates {
        let rate = |what, bytes| rate(isa, threads, what, bytes);
        let parameters = 3 * 4 * 785 * (VECTORS as usize * LANES);
        Rates {
            fma: rate(What::Fma, 0),
            div: rate(What::Div, 0),
            sqrt: rate(What::Sqrt, 0),
            l1: rate(What::Load, 24 << 10),
            l2: rate(What::Load, 320 << 10),
            l2_store: rate(What::Store, 320 << 10),
            memory: rate(What::Update, parameters / threads),
        }
    }

    fn print(&self, threads: usize) {
        let bytes = |vectors: f64| vectors * size_of::<F32x16>() as f64 * 1e-9;
        println!("this machine, all threads:");
        println!("  multiply-adds   {:8.0} GFLOP/s", 32e-9 * self.fma);
        println!("  divisions       {:8.0} G/s", 16e-9 * self.div);
        println!("  square roots    {:8.0} G/s", 16e-9 * self.sqrt);
        println!("  from L1         {:8.0} GB/s", bytes(self.l1));
        println!("  from L2         {:8.0} GB/s", bytes(self.l2));
        println!("  to L2           {:8.0} GB/s", bytes(self.l2_store));
        println!(
            "  memory          {:8.0} GB/s, and as much written",
            bytes(self.memory)
        );
        print_distance(threads);
    }
}

// ---- The main job ----

/// What one step does in a part: vectors of each kind.
#[derive(Clone, Copy, Default)]
struct Counts {
    flops: f64,
    ops: f64,
    div: f64,
    sqrt: f64,
    l1: f64,
    l2: f64,
    l2_store: f64,
    memory: f64,
}

impl Counts {
    /// The part's limit in seconds, and what sets it.
    fn limit(&self, rates: &Rates) -> (f64, &'static str) {
        let times = [
            (self.ops / rates.fma, "arithmetic"),
            (
                self.div / rates.div + self.sqrt / rates.sqrt,
                "division, root",
            ),
            (self.l1 / rates.l1, "L1"),
            (self.l2 / rates.l2, "L2"),
            (self.l2_store / rates.l2_store, "L2, written"),
            (self.memory / rates.memory, "memory"),
        ];
        times
            .into_iter()
            .fold((0.0, ""), |a, b| if b.0 > a.0 { b } else { a })
    }

    fn bytes(&self) -> f64 {
        (self.l1.max(self.l2) + self.l2_store + 2.0 * self.memory) * size_of::<F32x16>() as f64
    }
}

/// What the parts of one step do; `spikes` are the hidden ones of a batch.
fn count(batch: &Batch, spikes: f64) -> [(&'static str, Counts); 8] {
    let (mut active, mut pairs) = (0.0, 0.0);
    for image in batch.images.rows() {
        active += image.iter().filter(|x| **x != 0.0).count() as f64;
        let image = image.to_vec();
        pairs += image
            .chunks(2)
            .filter(|p| p.iter().any(|x| *x != 0.0))
            .count() as f64;
    }
    let (images, steps) = (batch.targets.len() as f64, STEPS as f64);
    let pixels = batch.images.len() as f64 / LANES as f64;
    let weights = 785.0 * VECTORS;
    let neurons = images * steps * VECTORS;
    let ops = |ops: f64| Counts {
        ops,
        flops: 16.0 * ops,
        ..Counts::default()
    };
    [
        (
            "input lists",
            Counts {
                l2: pixels,
                ..Counts::default()
            },
        ),
        (
            "first product",
            Counts {
                flops: 32.0 * active * VECTORS,
                l1: active * VECTORS,
                memory: weights / 2.0, // read only
                ..ops(active * VECTORS)
            },
        ),
        (
            "spike products",
            Counts {
                l2: spikes,
                ..ops(spikes)
            },
        ),
        (
            "LIF forward",
            Counts {
                l2_store: neurons,
                ..ops(3.0 * neurons)
            },
        ),
        ("read-out and loss", ops(40.0 * images * steps)),
        (
            "LIF backward",
            Counts {
                flops: (2.0 * CLASSES + 10.0) * 16.0 * neurons,
                div: neurons,
                l2: neurons,
                ..ops((CLASSES + 7.0) * neurons)
            },
        ),
        (
            "first weights",
            Counts {
                flops: (2.0 * active * VECTORS + 13.0 * weights) * 16.0,
                div: weights,
                sqrt: weights,
                l1: pairs * VECTORS,
                memory: 3.0 * weights,
                ..ops(2.0 * pairs * VECTORS + 11.0 * weights)
            },
        ),
        (
            "other weights",
            Counts {
                l1: spikes,
                ..ops(spikes)
            },
        ),
    ]
}

fn main_job(batches: &[Batch], rates: &Rates, threads: usize) {
    let mut engine = common::engine(1, CpuEngine::new);
    let mut spikes = 0.0;
    let mut step = |engine: &mut CpuEngine, n: usize| {
        let batch = &batches[n % batches.len()];
        let input = Input::constant(batch.images.view(), STEPS);
        let report = engine
            .train_step(input.classes(&batch.targets))
            .expect("it fits");
        spikes += report.firing_rate[0] * (BATCH * STEPS * HIDDEN) as f64;
    };
    (0..200).for_each(|n| step(&mut engine, n));
    // In turns with the clock on and off.
    let (mut whole, mut parts, steps) = (Vec::new(), Vec::<(&str, f64)>::new(), 30);
    for turn in 0..10 {
        let first = 200 + 2 * turn * steps;
        for n in first..first + steps {
            let begin = Instant::now();
            step(&mut engine, n);
            whole.push(begin.elapsed());
        }
        engine.start_clock();
        (first + steps..first + 2 * steps).for_each(|n| step(&mut engine, n));
        for (n, (name, seconds)) in engine.stop_clock().into_iter().enumerate() {
            if parts.len() <= n {
                parts.push((name, 0.0));
            }
            parts[n].1 += seconds / (10 * steps * threads) as f64;
        }
    }
    let spikes = spikes / (200 + 20 * steps) as f64;
    let step = median(&mut whole);
    let each: Vec<_> = batches.iter().map(|batch| count(batch, spikes)).collect();

    println!(
        "784-1000-10, B = {BATCH}, T = {STEPS}; {:.1} % of pixels and {:.1} % of neuron-steps active\n",
        100.0
            * batches
                .iter()
                .map(|b| b.images.iter().filter(|x| **x != 0.0).count())
                .sum::<usize>() as f64
            / (batches.len() * BATCH * 784) as f64,
        100.0 * spikes / (BATCH * STEPS * HIDDEN) as f64
    );
    println!("| part | ms | GFLOP/s | GB/s | limit, ms | by | of the limit |");
    println!("|---|---:|---:|---:|---:|---|---:|");
    let (mut limits, mut sum) = (0.0, 0.0);
    for (n, (name, _)) in each[0].iter().enumerate() {
        let mean = |f: &dyn Fn(&Counts) -> f64| {
            each.iter().map(|counts| f(&counts[n].1)).sum::<f64>() / each.len() as f64
        };
        let limit = mean(&|counts| counts.limit(rates).0);
        let by = each[0][n].1.limit(rates).1;
        let found = parts.iter().find(|(part, _)| part == name);
        let seconds = found.expect("the engine has this part").1;
        println!(
            "| {name} | {:.3} | {:.0} | {:.0} | {:.3} | {by} | {:.2} |",
            1e3 * seconds,
            1e-9 * mean(&|counts| counts.flops) / seconds,
            1e-9 * mean(&Counts::bytes) / seconds,
            1e3 * limit,
            seconds / limit
        );
        limits += limit;
        sum += seconds;
    }
    let rest = step - sum;
    println!("| waiting, reports | {:.3} | | | | | |", 1e3 * rest);
    println!(
        "| **step, median** | {:.3} | | | {:.3} | | **{:.2}** |\n",
        1e3 * step,
        1e3 * limits,
        step / limits
    );
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

// ---- Dense products ----

/// Runs `steps` training steps and prints the dense products' rates: `(part, GFLOP of one step)`.
fn products(
    name: &str,
    engine: &mut CpuEngine,
    input: Input<'_>,
    targets: &[usize],
    (rates, threads): (&Rates, usize),
    parts: &[(&str, f64)],
) {
    let steps = 20;
    let mut whole = Vec::new();
    let mut step = |engine: &mut CpuEngine| {
        let begin = Instant::now();
        engine.train_step(input.classes(targets)).expect("it fits");
        whole.push(begin.elapsed());
    };
    (0..5).for_each(|_| step(engine));
    engine.start_clock();
    (0..steps).for_each(|_| step(engine));
    let times = engine.stop_clock();
    let each = |seconds: f64| 1e3 * seconds / (steps * threads) as f64;
    println!("{name}: step {:.2} ms", 1e3 * median(&mut whole));
    for (part, seconds) in &times {
        let flop = parts.iter().find(|(name, _)| name == part);
        print!("  {part:18} {:8.3} ms", each(*seconds));
        if let Some((_, flop)) = flop {
            let rate = flop * 1e9 / (each(*seconds) * 1e-3);
            print!(
                "  {:5.0} GFLOP/s, {:.0} % of the rate of multiply-adds",
                1e-9 * rate,
                100.0 * rate / (32.0 * rates.fma)
            );
        }
        println!();
    }
    println!();
}

fn dense(images: &Dataset, rates: &Rates, threads: usize) {
    let wide = common::batch(images, BATCH);
    let mut engine = common::engine(3, CpuEngine::new);
    let rows = (BATCH * STEPS) as f64;
    let flop = |rows: f64, inputs: f64, neurons: f64| 2e-9 * rows * inputs * neurons;
    products(
        "784-1000-1000-1000-10, static images",
        &mut engine,
        Input::constant(wide.images.view(), STEPS),
        &wide.targets,
        (rates, threads),
        &[("input gradient", 2.0 * flop(rows, 1000.0, 1000.0))],
    );
    let mut state = 1_u32;
    let mut draw = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state as f32 / u32::MAX as f32 - 0.5
    };
    for (name, sizes, batch, steps) in [
        ("784-1000-10, a dense sequence", [784, 1000, 10], 128, 25),
        (
            "2048-2048-10, a long dense sequence",
            [2048, 2048, 10],
            16,
            500,
        ),
    ] {
        let x = ndarray::Array3::from_shape_simple_fn((steps, batch, sizes[0]), &mut draw);
        let network = Network::builder(sizes[0])
            .layer(sizes[1], Leaky::new(0.95))
            .layer(sizes[2], Leaky::new(0.95))
            .build()
            .expect("sizes are not 0");
        let mut engine = CpuEngine::new(network, Loss::CrossEntropyMembrane, Adam::new(5e-4))
            .expect("settings are in range");
        let product = flop((batch * steps) as f64, sizes[0] as f64, sizes[1] as f64);
        products(
            name,
            &mut engine,
            Input::sequence(x.view()),
            &vec![0; batch],
            (rates, threads),
            &[("first product", product), ("first weights", product)],
        );
    }
}
