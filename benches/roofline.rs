//! A training step of the main job (784–1000–10, B = 128, T = 25) on GPUs that are not here: what the
//! software CUDA driver counts, kernel by kernel, beside what four GPUs can do at most.
//!
//! ```sh
//! cargo build --release -p spikegrad-softcuda
//! SPIKEGRAD_CUDA_DRIVER=$PWD/target/release/libsoftcuda.so \
//!     cargo bench --features cuda --bench roofline
//! ```
//!
//! On a real GPU, without that variable, it measures the step instead. What the model has and has not is
//! said in `src/docs/cuda.md`, which holds the tables that this prints.

#[allow(dead_code)] // one batch alone is not enough here
mod common;

use std::{collections::BTreeMap, process::Command, time::Instant};

use serde_json::Value;
use spikegrad::{CudaEngine, Device, Engine, Input};

const BATCH: usize = 128;
const STEPS: usize = 25;
/// Set for the child process that trains, under a driver that counts.
const CHILD: &str = "ROOFLINE_UPDATES";

/// Registers and shared memory of each kernel, as NVIDIA's assembler says.
const REGISTERS: &str = include_str!("../ptx/registers.txt");

/// A GPU's rates at most. Sources: NVIDIA's data sheets and white papers for multiprocessors, units,
/// clocks, memory and sizes; L2 of A100 and H100 as in PMC10448217, table 3, of the T4 as in Jia et al.,
/// arXiv:1903.07486; that of the laptop GPU is assumed to be 64 bytes for each multiprocessor and clock.
struct Gpu {
    name: &'static str,
    architecture: u32,
    multiprocessors: f64,
    /// Sustained boost.
    gigahertz: f64,
    /// Units for single and double precision and integers, of each multiprocessor.
    floats: f64,
    doubles: f64,
    integers: f64,
    /// Bytes per second of memory and of L2, in 10⁹.
    memory: f64,
    l2: f64,
    threads: usize,
    blocks: usize,
    shared: usize,
}

const GPUS: [Gpu; 4] = [
    Gpu {
        name: "H100 SXM",
        architecture: 90,
        multiprocessors: 132.0,
        gigahertz: 1.755,
        floats: 128.0,
        doubles: 64.0,
        integers: 64.0,
        memory: 3352.0,
        l2: 8986.0,
        threads: 2048,
        blocks: 32,
        shared: 233_472,
    },
    Gpu {
        name: "A100 SXM 40 GB",
        architecture: 80,
        multiprocessors: 108.0,
        gigahertz: 1.41,
        floats: 64.0,
        doubles: 32.0,
        integers: 64.0,
        memory: 1555.0,
        l2: 7219.0,
        threads: 2048,
        blocks: 32,
        shared: 167_936,
    },
    Gpu {
        name: "T4",
        architecture: 75,
        multiprocessors: 40.0,
        gigahertz: 1.59,
        floats: 64.0,
        doubles: 2.0,
        integers: 64.0,
        memory: 320.0,
        l2: 1270.0,
        threads: 1024,
        blocks: 16,
        shared: 65_536,
    },
    Gpu {
        name: "RTX 4060 Laptop",
        architecture: 89,
        multiprocessors: 24.0,
        gigahertz: 1.47,
        floats: 128.0,
        doubles: 2.0,
        integers: 64.0,
        memory: 256.0,
        l2: 2258.0,
        threads: 1536,
        blocks: 24,
        shared: 102_400,
    },
];

/// Microseconds that are assumed, not counted: from the end of one kernel to the start of the next; for
/// a step's last answer to reach the host and its next launch the device.
const BETWEEN: f64 = 1.5;
const ROUND_TRIP: f64 = 10.0;

/// The counts of one kernel in one training step.
type Counts = BTreeMap<String, f64>;

fn main() {
    if let Ok(updates) = std::env::var(CHILD) {
        train(updates.parse().expect("a number of updates"));
        return;
    }
    match Device::Auto.resolve() {
        (Device::Cuda(_), found) if found.contains("softcuda") => model(),
        (Device::Cuda(_), found) => measure(&found),
        (_, reason) => println!("no GPU and no software driver, see benches/roofline.rs: {reason}"),
    }
}

/// Updates on batches of an epoch, announced as a `Trainer` announces them; the seconds of each.
fn train(updates: usize) -> Vec<f64> {
    let images = common::images();
    let batches = images.batches(BATCH).expect("size is not 0").shuffled(0, 0);
    let batches: Vec<_> = batches.take(updates.min(20)).collect();
    let mut engine = common::engine(1, |n, l, a| CudaEngine::new(0, n, l, a));
    let mut seconds = Vec::with_capacity(updates);
    for update in 0..updates {
        let batch = &batches[update % batches.len()];
        let next = &batches[(update + 1) % batches.len()];
        let start = Instant::now();
        if update + 1 < updates {
            let announced =
                engine.prefetch(Input::constant(next.images.view(), STEPS).classes(&next.targets));
            announced.expect("there is room");
        }
        let report =
            engine.train_step(Input::constant(batch.images.view(), STEPS).classes(&batch.targets));
        report.expect("the batch fits");
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds
}

fn measure(found: &str) {
    let mut seconds = train(500).split_off(50);
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| 1e6 * seconds[(share * (seconds.len() - 1) as f64) as usize];
    println!(
        "{found}: {:.1} µs a step in the median of {}, {:.1} to {:.1} from the 5th to the 95th percentile",
        at(0.5),
        seconds.len(),
        at(0.05),
        at(0.95)
    );
}

/// What a step adds to the counts: those of three updates less those of two.
fn counted() -> (BTreeMap<String, Counts>, [f64; 4]) {
    let [two, three] = [2, 3].map(|updates: usize| {
        let file = std::env::temp_dir().join(format!("roofline-{}-{updates}", std::process::id()));
        let status = Command::new(std::env::current_exe().expect("this program has a name"))
            .env(CHILD, updates.to_string())
            .env("SOFTCUDA_STATS", &file)
            .status();
        assert!(status.expect("it starts").success(), "training failed");
        let text = std::fs::read(&file).expect("the driver writes its counts");
        std::fs::remove_file(&file).expect("they were there");
        serde_json::from_slice::<Value>(&text).expect("they are JSON")
    });
    let number = |value: &Value| value.as_f64().expect("a count");
    let kernels = three["kernels"].as_object().expect("kernels by name");
    let kernels = kernels.iter().map(|(name, counts)| {
        let counts = counts.as_object().expect("counts by name").iter();
        let counts = counts.map(|(key, count)| {
            let before = &two["kernels"][name][key];
            let less = if key.starts_with("longest") {
                0.0
            } else {
                number(before)
            };
            (key.clone(), number(count) - less)
        });
        (name.clone(), counts.collect::<Counts>())
    });
    let kernels = kernels
        .filter(|(_, counts)| counts["launches"] > 0.0)
        .collect();
    let keys = ["to_device", "to_device_bytes", "to_host", "to_host_bytes"];
    let transfers =
        keys.map(|key| number(&three["transfers"][key]) - number(&two["transfers"][key]));
    (kernels, transfers)
}

/// The times of a kernel on a GPU, in microseconds.
struct Times {
    bounds: Vec<(&'static str, f64)>,
    /// What memory and arithmetic alone allow.
    roofline: f64,
    occupancy: usize,
}

fn times(gpu: &Gpu, name: &str, counts: &Counts) -> Times {
    let line = REGISTERS
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let wanted = gpu.architecture.to_string();
    let line = line.into_iter().find(|l| l[0] == wanted && l[1] == name);
    let line = line.unwrap_or_else(|| panic!("{name} is not in ptx/registers.txt"));
    let [registers, shared] = [2, 3].map(|k| line[k].parse::<usize>().expect("a number"));
    let threads = (counts["threads"] / counts["blocks"]) as usize;
    // Registers are given to warps by 256.
    let warp = (32 * registers).next_multiple_of(256);
    let blocks = (65_536 / warp / (threads / 32))
        .min(gpu.threads / threads)
        .min(gpu.blocks);
    let blocks = blocks.min(gpu.shared / (shared + 1024));
    let launches = counts["launches"];
    let waves = (counts["blocks"] / launches / (gpu.multiprocessors * blocks as f64)).ceil();

    let of = |key: &str| counts[key];
    let clocks = |cycles: f64| cycles / (gpu.gigahertz * 1e3);
    let on_all = |slots: f64, each_clock: f64| clocks(slots / (gpu.multiprocessors * each_clock));
    let bytes = |sectors: f64, rate: f64| 32.0 * sectors / (rate * 1e3);
    let all = ["float", "double", "integer", "memory", "control"]
        .map(|unit| of(&format!("{unit}_slots")));
    let memory = bytes(of("sectors_read") + of("sectors_written"), gpu.memory);
    let bounds = vec![
        ("memory", memory),
        ("L2", bytes(of("global_sectors"), gpu.l2)),
        ("issue", on_all(all.iter().sum(), 4.0)),
        ("floats", on_all(all[0], gpu.floats / 32.0)),
        ("doubles", on_all(all[1], gpu.doubles / 32.0)),
        ("integers", on_all(all[2], gpu.integers / 32.0)),
        ("load/store", on_all(all[3], 1.0)),
        ("shared", on_all(of("shared_passes"), 1.0)),
        (
            "latency",
            launches * waves * clocks(of("longest_warp") + of("longest_chain")),
        ),
    ];
    let roofline = memory.max(on_all(of("flops") / 64.0, gpu.floats / 32.0));
    Times {
        bounds,
        roofline,
        occupancy: blocks * threads,
    }
}

impl Times {
    /// The largest bound, by name, with or without that of latency.
    fn largest(&self, latency: bool) -> (&'static str, f64) {
        let bounds = self
            .bounds
            .iter()
            .filter(|(name, _)| latency || *name != "latency");
        *bounds
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .expect("there are bounds")
    }
}

fn model() {
    let (kernels, [copies, bytes, answers, answer_bytes]) = counted();
    let of = |counts: &Counts, key: &str| counts[key];
    println!("\n| kernel | blocks × threads | MB asked for | MB of its own | sectors wasted, % |");
    println!("|---|---|---:|---:|---:|");
    for (name, counts) in &kernels {
        let asked = of(counts, "global_bytes_read") + of(counts, "global_bytes_written");
        let own = 32.0 * (of(counts, "sectors_read") + of(counts, "sectors_written"));
        let moved = 32.0 * of(counts, "global_sectors");
        println!(
            "| `{name}` | {} × {} | {:.1} | {:.1} | {:.0} |",
            of(counts, "blocks"),
            of(counts, "threads") / of(counts, "blocks"),
            asked / 1e6,
            own / 1e6,
            100.0 * (1.0 - (asked / moved).min(1.0)),
        );
    }
    println!(
        "\n| kernel | MFLOP | slots, 10³ | passes, 10³ | conflicts, % | slots of a warp | cycles of a chain |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (name, counts) in &kernels {
        let slots: f64 = counts
            .iter()
            .filter(|(key, _)| key.ends_with("_slots"))
            .map(|(_, n)| n)
            .sum();
        println!(
            "| `{name}` | {:.0} | {:.0} | {:.0} | {:.0} | {} | {} |",
            of(counts, "flops") / 1e6,
            slots / 1e3,
            of(counts, "shared_passes") / 1e3,
            100.0 * of(counts, "bank_conflicts") / of(counts, "shared_passes").max(1.0),
            of(counts, "longest_warp"),
            of(counts, "longest_chain"),
        );
    }
    println!(
        "\n{copies} copy of {bytes} bytes to the device, {answers} of {answer_bytes} bytes back, {} launches",
        kernels
            .values()
            .map(|counts| of(counts, "launches"))
            .sum::<f64>()
    );
    for gpu in &GPUS {
        println!("\n**{}**\n", gpu.name);
        println!(
            "| kernel | threads resident | roofline, µs | throughput, µs | × | by | with latency, µs | by |"
        );
        println!("|---|---:|---:|---:|---:|---|---:|---|");
        let (mut sum, mut ideal, mut busy) = (0.0, 0.0, 0.0);
        for (name, counts) in &kernels {
            let times = times(gpu, name, counts);
            let ((by, throughput), (all_by, time)) = (times.largest(false), times.largest(true));
            println!(
                "| `{name}` | {} | {:.1} | {throughput:.1} | {:.1} | {by} | {time:.1} | {all_by} |",
                times.occupancy,
                times.roofline,
                throughput / times.roofline,
            );
            (sum, ideal, busy) = (sum + time, ideal + times.roofline, busy + throughput);
        }
        let launches: f64 = kernels.values().map(|counts| of(counts, "launches")).sum();
        let step = sum + launches * BETWEEN + ROUND_TRIP;
        println!(
            "| sum | | {ideal:.1} | {busy:.1} | {:.1} | | {sum:.1} | |",
            busy / ideal
        );
        println!(
            "\nA step: {sum:.1} + {launches} × {BETWEEN} between kernels + {ROUND_TRIP} to the host and back = **{step:.0} µs**"
        );
    }
}
