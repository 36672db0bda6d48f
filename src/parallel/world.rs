//! The processes that train together.

use std::{
    collections::BTreeMap,
    env, fmt,
    fs::File,
    io::Read,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use super::{note::Note, wire::Wire};
use crate::{Device, Error, Result};

/// How long to wait for a rank, if the program does not say.
const BOUND: Duration = Duration::from_secs(120);

/// What tells that a launcher of MPI has started this process: Open MPI's, MPICH's, Slurm's.
const LAUNCHED: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE"];

/// The number of this process on its machine.
const LOCAL: [&str; 4] = [
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MPI_LOCALRANKID",
    "SLURM_LOCALID",
    "PMI_LOCAL_RANK",
];

/// A sign of life, no result.
const BEAT: &[u8] = b"\0alive";

/// Signs of life in each bound.
const BEATS: u32 = 4;

/// The processes that `mpirun` has started, or this one alone. Clones are the same processes; when the last
/// is dropped, MPI ends, and the process cannot join again.
///
/// Calls that say so are *collective*: every process makes them, in the same order. No call waits longer than
/// the bound for another rank; it then fails and names that rank, and later calls fail at once.
#[derive(Clone)]
pub struct World(Arc<Shared>);

struct Shared {
    rank: usize,
    size: usize,
    /// `None` for one process without MPI.
    wire: Option<Mutex<Wire>>,
    /// What this process wants to tell all, and what all have been told.
    raised: AtomicU64,
    agreed: AtomicU64,
    warnings: Mutex<Vec<String>>,
    beaten: Mutex<Instant>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "World {{ rank: {}, size: {} }}",
            self.rank(),
            self.size()
        )
    }
}

impl World {
    /// This process alone, without MPI.
    pub fn alone() -> World {
        World::new(0, 1, None)
    }

    /// The processes that a launcher has started with this one (`mpirun`, `mpiexec`, `srun`); without one,
    /// this process [alone](Self::alone). `bound` is how long to wait for a rank, two minutes by default: more
    /// than the longest time by which the processes may differ between two steps.
    ///
    /// # Errors
    /// [`Error::Device`] if MPI is initialized already or does not support threads.
    pub fn join(bound: Option<Duration>) -> Result<World> {
        if !LAUNCHED.iter().any(|name| env::var_os(name).is_some()) {
            return Ok(World::alone());
        }
        let wire = Wire::start(bound.unwrap_or(BOUND))?;
        Ok(World::new(wire.rank, wire.size, Some(Mutex::new(wire))))
    }

    fn new(rank: usize, size: usize, wire: Option<Mutex<Wire>>) -> World {
        World(Arc::new(Shared {
            rank,
            size,
            wire,
            raised: AtomicU64::new(0),
            agreed: AtomicU64::new(0),
            warnings: Mutex::default(),
            beaten: Mutex::new(Instant::now()),
        }))
    }

    /// The number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.0.rank
    }

    /// How many processes there are.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// Whether a launcher of MPI has started this process.
    pub fn is_launched(&self) -> bool {
        self.0.wire.is_some()
    }

    /// The number of this process on its machine, from 0.
    pub fn local_rank(&self) -> usize {
        let local = LOCAL
            .iter()
            .find_map(|name| env::var(name).ok()?.parse().ok());
        match self.is_launched() {
            true => local.unwrap_or(self.rank()),
            false => 0,
        }
    }

    /// The device of this process: with several processes on a machine, each takes the GPU of its
    /// [local rank](Self::local_rank), counted from the one that `device` names. `Auto` is the CPU where the
    /// machine has no GPU.
    pub fn device(&self, device: Device) -> Device {
        let own = self.local_rank();
        let first = match device {
            Device::Auto if own > 0 => device.resolve().0,
            device => device,
        };
        match first {
            Device::Cuda(first) => Device::Cuda(first + own),
            device => device,
        }
    }

    /// Asks all processes to learn a number above 0, such as that of a signal: it travels with the next
    /// exchange, and after it every process has the largest of those raised as [`raised`](Self::raised).
    pub fn raise(&self, number: u32) {
        self.0.raised.fetch_max(number.into(), SeqCst);
    }

    /// The largest number raised by any process before the last training step, or evaluation, of a
    /// [`Parallel`](super::Parallel) engine; 0 for none. All processes have the same.
    pub fn raised(&self) -> u32 {
        self.0.agreed.load(SeqCst) as u32
    }

    /// What has been noticed since the last call, a line each: a rank that is slower than the others.
    pub fn warnings(&self) -> Vec<String> {
        std::mem::take(
            &mut *self
                .0
                .warnings
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    pub(super) fn warn(&self, warning: String) {
        let warnings = self.0.warnings.lock();
        warnings
            .unwrap_or_else(PoisonError::into_inner)
            .push(warning);
    }

    /// Bytes that this process has sent: numbers of the training (gradients, parameters, moments), and
    /// everything else.
    pub fn sent(&self) -> [u64; 2] {
        self.wire().map_or([0; 2], |wire| wire.sent)
    }

    /// Texts of all processes, by rank. Collective; who works for long before the others get there has to
    /// [`beat`](Self::beat).
    ///
    /// # Errors
    /// [`Error::Process`] with a rank that does not answer.
    pub fn all(&self, text: &str) -> Result<Vec<String>> {
        let Some(mut wire) = self.wire() else {
            return Ok(vec![text.into()]);
        };
        let (rank, size) = (self.rank(), self.size());
        let read = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if rank > 0 {
            wire.send(0, text.as_bytes())?;
            let texts = (0..size).map(|_| receive(&mut wire, 0).map(read));
            return texts.collect();
        }
        let mut texts = vec![text.to_string()];
        for rank in 1..size {
            texts.push(receive(&mut wire, rank).map(read)?);
        }
        for rank in 1..size {
            for text in &texts {
                wire.send(rank, text.as_bytes())?;
            }
        }
        Ok(texts)
    }

    /// The bytes that rank 0 gives; what the others give does not matter. Collective.
    ///
    /// # Errors
    /// [`Error::Process`] with a rank that does not answer.
    pub fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let Some(mut wire) = self.wire() else {
            return Ok(bytes);
        };
        if self.rank() > 0 {
            return receive(&mut wire, 0);
        }
        (1..self.size()).try_for_each(|rank| wire.send(rank, &bytes))?;
        Ok(bytes)
    }

    /// Tells the others from time to time that this process is alive, so that they wait for it in
    /// [`all`](Self::all) longer than the bound: for processes that work on their own, as often as they like.
    ///
    /// # Errors
    /// [`Error::Process`] if a rank does not take it.
    pub fn beat(&self) -> Result<()> {
        let Some(mut wire) = self.wire() else {
            return Ok(());
        };
        let mut beaten = self.0.beaten.lock().unwrap_or_else(PoisonError::into_inner);
        if beaten.elapsed() < wire.bound / BEATS {
            return Ok(());
        }
        *beaten = Instant::now();
        match self.rank() {
            0 => (1..self.size()).try_for_each(|rank| wire.send(rank, BEAT)),
            _ => wire.send(0, BEAT),
        }
    }

    /// Checks that all processes have the same settings, and are the same program: this crate's version and
    /// the file of the program are compared, too. Collective.
    ///
    /// # Errors
    /// [`Error::Process`] with the first rank that differs, the setting and both values, on every rank.
    pub fn check_same(&self, settings: &BTreeMap<String, String>) -> Result<()> {
        if self.size() == 1 {
            return Ok(());
        }
        let mut own = settings.clone();
        // A blank sorts them before the others, which may differ because of them.
        own.insert(
            " version of spikegrad".into(),
            env!("CARGO_PKG_VERSION").into(),
        );
        own.insert(" checksum of the program".into(), program());
        let line = |text: &str| text.replace(['\t', '\n', '\r'], " ");
        let lines =
            |(name, value): (&String, &String)| format!("{}\t{}\n", line(name), line(value));
        let all = self.all(&own.iter().map(lines).collect::<String>())?;
        let all: Vec<BTreeMap<&str, &str>> = all
            .iter()
            .map(|text| {
                text.lines()
                    .filter_map(|line| line.split_once('\t'))
                    .collect()
            })
            .collect();
        for (rank, found) in all.iter().enumerate() {
            for name in all[0].keys().chain(found.keys()) {
                let [value, expected] =
                    [found, &all[0]].map(|map| map.get(name).unwrap_or(&"nothing"));
                if value != expected {
                    let name = name.trim_start();
                    return Err(Error::Process {
                        rank,
                        what: format!("{name} is {value}; expected {expected}, as on rank 0"),
                    });
                }
            }
        }
        Ok(())
    }

    /// Ends all processes at once with this exit code, after an error that the others may not know of. `report`
    /// prints it: where several processes fail for the same reason, one of them gets to it.
    pub fn abort(&self, code: u8, report: impl FnOnce()) -> ! {
        // Who has waited for a rank in vain speaks at once, before others do that have waited for this one. Of
        // others, the lowest rank is the first, and ends those that wait.
        if self.wire().is_some_and(|wire| wire.is_usable()) {
            thread::sleep(Duration::from_millis(
                (self.rank() > 0) as u64 * 500 + self.rank().min(8) as u64 * 250,
            ));
        }
        report();
        match self.wire() {
            Some(mut wire) => wire.abort(code.into()),
            None => std::process::exit(code.into()),
        }
    }

    /// Combines the notes of all ranks, those that differ in the lowest bit first, or last. The exchanges are
    /// the step's from `round` on.
    pub(super) fn meet(&self, note: &mut Note, round: u32, lowest_first: bool) -> Result<()> {
        let bits = self.size().trailing_zeros();
        for n in 0..bits {
            let bit = if lowest_first { n } else { bits - 1 - n };
            self.meet_one(note, round + n, self.rank() ^ (1 << bit))?;
        }
        Ok(())
    }

    /// Combines the note with that of one rank.
    pub(super) fn meet_one(&self, note: &mut Note, round: u32, peer: usize) -> Result<()> {
        if let Some(mut wire) = self.wire() {
            let other = wire.trade_note(peer, round, &note.to_bytes())?;
            note.add(&note.like(&other));
        }
        Ok(())
    }

    /// What this process has raised.
    pub(super) fn own_raised(&self) -> u64 {
        self.0.raised.load(SeqCst)
    }

    /// Takes over what all processes have raised.
    pub(super) fn agree(&self, raised: u64) {
        self.0.agreed.fetch_max(raised, SeqCst);
    }

    /// The wire, for one exchange; `None` for one process without MPI.
    pub(super) fn wire(&self) -> Option<MutexGuard<'_, Wire>> {
        let wire = self.0.wire.as_ref()?;
        Some(wire.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a rank has sent, but for signs of life.
fn receive(wire: &mut Wire, rank: usize) -> Result<Vec<u8>> {
    loop {
        let bytes = wire.receive(rank)?;
        if bytes != BEAT {
            return Ok(bytes);
        }
    }
}

/// A checksum of the file of this program.
fn program() -> String {
    let read = || -> std::io::Result<u64> {
        let mut file = File::open(env::current_exe()?)?;
        let (mut sum, mut piece) = (Checksum::default(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(sum.0),
                length => sum.add(&piece[..length]),
            }
        }
    };
    read().map_or_else(|_| "unknown".into(), |sum| format!("{sum:016x}"))
}

/// FNV-1a, 64 bits: tells files and parameters apart that differ by accident.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checksum(pub u64);

impl Default for Checksum {
    fn default() -> Self {
        Checksum(0xcbf2_9ce4_8422_2325)
    }
}

impl Checksum {
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
}
