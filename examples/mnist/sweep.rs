//! `--seeds` and `--sweep`: independent trainings, distributed over the processes, and a table of their results.

use std::{
    collections::BTreeMap, error::Error, fmt::Write, path::Path, process::ExitCode, time::Instant,
};

use clap::Parser;

use crate::{args::Args, files::Folder, processes::Processes};

/// Runs, at most.
const MOST: usize = 10_000;

/// Options and their values in one run, in the order in which they were given.
type Values = Vec<(String, String)>;

/// The trainings.
pub struct Sweep<'a> {
    args: &'a Args,
    runs: Vec<Values>,
}

/// What a training has come to.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Found {
    run: usize,
    /// Loss, accuracy by spike count and by membrane on the test images; seconds.
    figures: [f64; 4],
}

impl<'a> Sweep<'a> {
    /// The sweep that the command line asks for, if it does.
    pub fn of(args: &'a Args) -> Result<Option<Self>, String> {
        let mut lists = Vec::new();
        for sweep in &args.sweep {
            let wrong =
                || format!("--sweep is {sweep}; expected an option and its values: lr=1e-3,5e-4");
            let (name, values) = sweep.split_once('=').ok_or_else(wrong)?;
            let name = name.trim_start_matches('-');
            let separator = if values.contains('|') { '|' } else { ',' };
            let values: Vec<String> = values.split(separator).map(String::from).collect();
            if name.is_empty() || values.iter().any(String::is_empty) {
                return Err(wrong());
            }
            lists.push((name.to_string(), values));
        }
        if let Some(seeds) = &args.seeds {
            lists.push(("seed".to_string(), seeds_of(seeds)?));
        }
        if lists.is_empty() {
            return Ok(None);
        }
        let mut runs = vec![Values::new()];
        for (name, values) in lists {
            let with = |run: &Values| {
                let more = values.iter().map(|value| (name.clone(), value.clone()));
                let runs = more.map(|value| run.iter().cloned().chain([value]).collect());
                runs.collect::<Vec<Values>>()
            };
            runs = runs.iter().flat_map(with).collect();
            if runs.len() > MOST {
                return Err(format!(
                    "the sweep has {} runs; expected at most {MOST}",
                    runs.len()
                ));
            }
        }
        Ok(Some(Sweep { args, runs }))
    }

    /// Runs this process's trainings; the first process collects and prints the results.
    pub fn run(&self, processes: &Processes) -> Result<ExitCode, Box<dyn Error>> {
        // Every one is checked before the first begins.
        let all: Result<Vec<Args>, String> =
            self.runs.iter().map(|run| self.args_of(run)).collect();
        let all = all?;
        processes.check_same(&BTreeMap::new())?;
        let world = processes.world();
        let folder = match processes.first() {
            true => Some(Folder::create(&self.args.out)?),
            false => None,
        };
        let (mut lines, mut stopped) = (String::new(), None);
        for (n, args) in all
            .iter()
            .enumerate()
            .skip(world.rank())
            .step_by(world.size())
        {
            let apart = Processes::apart(shards_of(args), world);
            let started = Instant::now();
            let (exit_code, history) = crate::run(args, &apart)?;
            if exit_code != ExitCode::SUCCESS {
                stopped = Some(exit_code);
                break;
            }
            let last = history
                .epochs
                .last()
                .and_then(|epoch| epoch.validation.as_ref());
            let figures = last.map_or([f64::NAN; 4], |v| {
                let seconds = started.elapsed().as_secs_f64();
                [
                    v.loss,
                    v.accuracy_spike_count(),
                    v.accuracy_membrane(),
                    seconds,
                ]
            });
            if !self.args.quiet {
                let [loss, count, membrane, seconds] = figures;
                println!(
                    "run {}/{} on rank {}: {}: test loss {loss:.3}, accuracy {:.2} % by spike count, {:.2} % by \
                     membrane, {seconds:.1} s",
                    n + 1,
                    all.len(),
                    world.rank(),
                    named(&self.runs[n]),
                    100.0 * count,
                    100.0 * membrane,
                );
            }
            let figures = figures.map(|x| x.to_string());
            writeln!(lines, "{n},{}", figures.join(","))?;
        }
        if let Some(exit_code) = stopped {
            return Ok(exit_code);
        }
        let lines = world.all(&lines)?;
        let Some(folder) = folder else {
            return Ok(ExitCode::SUCCESS);
        };
        let mut found: Vec<Found> = lines
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(read)
            .collect();
        found.sort_by_key(|found| found.run);
        folder.write("sweep.csv", &self.csv(&found))?;
        if !self.args.quiet {
            print!("{}", self.table(&found));
            println!("all runs: {}", folder.path("sweep.csv").display());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The command line of one run: this one, with other values and folders of its own.
    fn args_of(&self, run: &Values) -> Result<Args, String> {
        let mut own = without(std::env::args().collect(), &["seeds", "sweep"]);
        let folder = named(run)
            .replace(", ", "_")
            .replace([' ', '/', '|', ','], "-");
        let mut values = run.clone();
        let below = |dir: &Path| dir.join(&folder).display().to_string();
        values.push(("out".into(), below(&self.args.out)));
        values
            .extend((self.args.checkpoint.as_deref()).map(|dir| ("checkpoint".into(), below(dir))));
        for (name, value) in values {
            own = without(own, &[&name]);
            own.push(format!("--{name}={value}"));
        }
        own.retain(|word| word != "--quiet");
        own.push("--quiet".into());
        Args::try_parse_from(own).map_err(|error| {
            let text = error.to_string();
            let text = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = text.split_whitespace().collect();
            format!("the run with {}: {}", named(run), words.join(" "))
        })
    }

    /// A row for each run.
    fn csv(&self, found: &[Found]) -> String {
        let names = self
            .runs
            .first()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str());
        let mut text: String = names.flat_map(|name| [name, ","]).collect();
        text += "test_loss,accuracy_spike_count,accuracy_membrane,seconds\n";
        for Found { run, figures } in found {
            for (_, value) in &self.runs[*run] {
                match value.contains(',') {
                    true => text += &format!("\"{value}\","),
                    false => text += &format!("{value},"),
                }
            }
            text += &format!("{}\n", figures.map(|x| x.to_string()).join(","));
        }
        text
    }

    /// Mean and standard deviation over the seeds, for each combination of the other values.
    fn table(&self, found: &[Found]) -> String {
        let mut groups: Vec<(String, Vec<[f64; 4]>)> = Vec::new();
        for Found { run, figures } in found {
            let others = self.runs[*run].iter().filter(|(name, _)| name != "seed");
            let others = named(&others.cloned().collect());
            match groups.iter_mut().find(|(name, _)| *name == others) {
                Some((_, group)) => group.push(*figures),
                None => groups.push((others, vec![*figures])),
            }
        }
        let mut text = String::new();
        for (others, group) in groups {
            let title = if others.is_empty() {
                "all runs"
            } else {
                &others
            };
            let figure = |n: usize, unit: f64| {
                let values: Vec<f64> = group.iter().map(|figures| unit * figures[n]).collect();
                spread(&values)
            };
            let s = if group.len() == 1 { "" } else { "s" };
            text += &format!(
                "{title}: {} run{s}\n  test loss                    {}\n  accuracy by spike count, %   {}\n  \
                 accuracy by membrane, %      {}\n  seconds                      {}\n",
                group.len(),
                figure(0, 1.0),
                figure(1, 100.0),
                figure(2, 100.0),
                figure(3, 1.0),
            );
        }
        text
    }
}

/// `mean ± standard deviation, from least to most`.
fn spread(values: &[f64]) -> String {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    let (least, most) = (values.iter().copied()).fold((f64::MAX, f64::MIN), |(least, most), x| {
        (least.min(x), most.max(x))
    });
    match values.len() {
        1 => format!("{mean:.3}"),
        _ => format!(
            "{mean:.3} ± {:.3}, from {least:.3} to {most:.3}",
            (squares / (count - 1.0)).sqrt()
        ),
    }
}

/// `lr 0.001, seed 3`
fn named(run: &Values) -> String {
    let pairs: Vec<String> = run
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    pairs.join(", ")
}

/// A line of the results.
fn read(line: &str) -> Option<Found> {
    let mut fields = line.split(',');
    let run = fields.next()?.parse().ok()?;
    let mut figures = [0.0; 4];
    for figure in &mut figures {
        *figure = fields.next()?.parse().ok()?;
    }
    Some(Found { run, figures })
}

/// The seeds of `A..B`.
fn seeds_of(text: &str) -> Result<Vec<String>, String> {
    let wrong = || {
        format!("--seeds is {text}; expected two numbers with the first at most the second: 0..7")
    };
    let (first, last) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
    let (first, last) = (number(first)?, number(last)?);
    if first > last || last - first >= MOST as u64 {
        return Err(wrong());
    }
    Ok((first..=last).map(|seed| seed.to_string()).collect())
}

/// A command line without some options, which have a value each.
fn without(words: Vec<String>, names: &[&str]) -> Vec<String> {
    let (mut left, mut words) = (Vec::new(), words.into_iter());
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--").unwrap_or_default();
        let (name, value) = match name.split_once('=') {
            Some((name, _)) => (name, true),
            None => (name, false),
        };
        match names.contains(&name) {
            true if !value => drop(words.next()),
            true => {}
            false => left.push(word),
        }
    }
    left
}

/// Shards of each run, which has one process.
fn shards_of(args: &Args) -> usize {
    args.shards.unwrap_or(1)
}
