//! Processes under `mpirun`.

use std::{
    fmt::Display,
    io::Read,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Tells a process what to do.
pub const JOB: &str = "SPIKEGRAD_MPI_JOB";

/// Prefix of a job's settings.
pub const SETTING: &str = "SPIKEGRAD_MPI_";

/// No run takes longer.
const BOUND: Duration = Duration::from_secs(150);

/// Whether this process was started by another of these tests: only `child` has something to do.
pub fn here() -> bool {
    std::env::var_os(JOB).is_some()
}

/// `mpirun`, as root and on few cores, if need be. Single copies between processes are not allowed in every
/// container, and said aloud by each rank.
pub fn mpirun() -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--oversubscribe", "--allow-run-as-root"])
        .args(["--mca", "btl_vader_single_copy_mechanism", "none"])
        .env("RAYON_NUM_THREADS", "1")
        .stdin(Stdio::null());
    command
}

/// One run of a job.
pub struct Launch {
    processes: usize,
    job: &'static str,
    /// Name and value, for one rank or for all.
    settings: Vec<(Option<usize>, String, String)>,
    /// The environment of all.
    environment: Vec<(&'static str, &'static str)>,
}

impl Launch {
    pub fn new(processes: usize, job: &'static str) -> Self {
        Launch {
            processes,
            job,
            settings: Vec::new(),
            environment: Vec::new(),
        }
    }

    pub fn env(mut self, name: &str, value: impl Display) -> Self {
        self.settings.push((None, name.into(), value.to_string()));
        self
    }

    pub fn env_of(mut self, rank: usize, name: &str, value: impl Display) -> Self {
        let value = value.to_string();
        self.settings.push((Some(rank), name.into(), value));
        self
    }

    #[cfg(feature = "cuda")]
    pub fn environment(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    pub fn run(&self) -> Output {
        let mut command = mpirun();
        command.envs(self.environment.iter().copied());
        let exe = std::env::current_exe().expect("this test");
        for rank in 0..self.processes {
            if rank > 0 {
                command.arg(":");
            }
            command.args(["-n", "1", "-x"]);
            command.arg(format!("{JOB}={}", self.job));
            for (of, name, value) in &self.settings {
                if of.is_none_or(|of| of == rank) {
                    command.arg("-x").arg(format!("{SETTING}{name}={value}"));
                }
            }
            command.arg(&exe).args(["--exact", "child", "--nocapture"]);
        }
        finish(start(&mut command))
    }

    pub fn succeeds(&self) {
        let output = self.run();
        assert!(
            output.status.success(),
            "{} with {} processes: {}\n{}",
            self.job,
            self.processes,
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout),
        );
    }
}

pub fn start(command: &mut Command) -> Child {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("mpirun is installed")
}

/// Waits for the end of a run, with a bound.
pub fn finish(mut child: Child) -> Output {
    fn read(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).expect("a pipe");
            bytes
        })
    }
    let stdout = read(child.stdout.take().expect("a pipe"));
    let stderr = read(child.stderr.take().expect("a pipe"));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("it runs") {
            break status;
        }
        if started.elapsed() > BOUND {
            child.kill().expect("it can be killed");
            let stderr = stderr.join().expect("a thread");
            panic!("no end: {}", String::from_utf8_lossy(&stderr));
        }
        thread::sleep(Duration::from_millis(5));
    };
    Output {
        status,
        stdout: stdout.join().expect("a thread"),
        stderr: stderr.join().expect("a thread"),
    }
}

/// The processes that `mpirun` has started.
pub fn ranks(mpirun: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{mpirun}/task"))
        .into_iter()
        .flatten();
    let children =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok());
    let mut ranks: Vec<u32> = children
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    ranks.sort_unstable();
    ranks
}
