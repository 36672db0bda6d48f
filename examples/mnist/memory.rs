//! How much memory a run takes, and how much there is.

use std::fs;

/// Refuses a run that would not fit into this machine's free memory: the system would end it
/// without a word, or swap for hours. Where the system does not tell (it is asked on Linux only),
/// 64 GiB are taken for granted.
///
/// `sizes` are the inputs and the neurons of each layer.
pub fn check(sizes: &[usize], batch: usize, steps: usize, checkpoints: bool) -> Result<(), String> {
    let needed = estimate(sizes, batch, steps, checkpoints);
    let free = free().unwrap_or(64.0 * GIB);
    if needed <= free {
        return Ok(());
    }
    Err(format!(
        "a network {} with batches of {batch} over {steps} steps takes about {:.1} GiB of memory; \
         expected at most {:.1} GiB, which this machine has free: lower --hidden, --batch-size or \
         --steps",
        crate::report::joined(sizes),
        needed / GIB,
        free / GIB
    ))
}

const GIB: f64 = (1u64 << 30) as f64;

/// Bytes that the CPU engine takes.
fn estimate(sizes: &[usize], batch: usize, steps: usize, checkpoints: bool) -> f64 {
    let float = size_of::<f32>() as f64;
    let weights: f64 = (sizes.windows(2))
        .map(|pair| (pair[0] as f64 + 1.0) * pair[1] as f64)
        .sum();
    let neurons: f64 = sizes[1..].iter().map(|&n| n as f64).sum();
    // Weights as they were drawn, and in the engine those and both moments of Adam; the sanity test's
    // engine has as many. The gradients that are measured are one more. A checkpoint is one of weights and moments, its bytes are another, and the
    // next is made while one is written.
    let parameters = (9.0 + if checkpoints { 9.0 } else { 0.0 }) * weights;
    // For each thread one sample's traces, currents and adjoints at every step; the batch's spikes
    // and adjoints are bounded; the first layer's currents.
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()) as f64;
    let traces =
        4.0 * threads * steps as f64 * neurons + batch as f64 * (sizes[0] + sizes[1]) as f64;
    // The sanity test records the outputs of a batch, as it runs and as arrays.
    let outputs = sizes.last().map_or(0.0, |&n| n as f64);
    let recorded = 4.0 * steps as f64 * batch as f64 * outputs;
    float * (parameters + traces + recorded)
}

/// Bytes that a new process may take: what the kernel calls available, or the limit of the control
/// group if that is lower.
fn free() -> Option<f64> {
    let available = field("/proc/meminfo", "MemAvailable:")?;
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = limit.and_then(|text| text.trim().parse().ok());
    Some(limit.map_or(available, |limit: u64| available.min(limit)) as f64)
}

/// The most memory that this process has held so far, in bytes; `None` where the system does not
/// tell.
pub fn peak_rss() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// A line `name    N kB` of one of the kernel's files, in bytes.
fn field(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}
