//! A program that times the operations of one runtime.
//!
//! It is run with `--workers N --runs R --divide D [--only TEXT]...` and prints a JSON array of rows. Timed
//! rows run one after the other in this process. Each memory run has a process of its own, this
//! program with a hidden option: what an earlier run left behind would make the next one look cheap.
//! Called by each runtime program's `main`.

use crate::fail;
use crate::row::{self, MEMORY_ROWS, Row, TIMED_ROWS};
use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Duration;

const USAGE: &str = "\
options: [--workers N] [--runs R] [--divide D] [--only TEXT]... [FLAG]...

  --workers N   threads that run tasks (default 1)
  --runs R      measured runs of each row, after one that is thrown away (default 5)
  --divide D    divide all counts by this (default 1)
  --only TEXT   only rows whose name contains this
";

/// Tasks of the spawn-join-batch row that are alive at once.
pub const BATCH: u64 = 10_000;
/// Tasks of the yield-10000 row.
pub const CROWD: usize = 10_000;
/// Values that fit into the channel of the channel-stream row.
pub const STREAM_CAPACITY: usize = 128;
/// Tasks of the mutex-contended row.
pub const MUTEX_TASKS: u64 = 8;
/// Sleeps of the sleep row take from 1 ms to this.
const SLEEPERS_LONGEST_MS: u64 = 10;
/// How long all tasks of a memory row may take to park.
pub const PARK_LIMIT: Duration = Duration::from_secs(300);
/// How often a memory row looks whether all are parked.
pub const PARK_LOOK: Duration = Duration::from_millis(1);

/// One timed run of a row.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    pub operations: u64,
    pub elapsed: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments {
    pub workers: usize,
    runs: u32,
    divide: u32,
    only: Vec<String>,
    flags: Vec<String>,
    park: Option<u32>,
}

impl Arguments {
    /// Of this process. `flags` are the program's own. A bad command line ends the process with 2.
    pub fn parse(flags: &[&str]) -> Self {
        Self::from(std::env::args_os().skip(1).collect(), flags).unwrap_or_else(|error| {
            eprintln!("error: {error}\n{USAGE}");
            std::process::exit(2)
        })
    }

    fn from(words: Vec<OsString>, flags: &[&str]) -> Result<Self, lexopt::Error> {
        let mut parsed = Self {
            workers: 1,
            runs: 5,
            divide: 1,
            only: Vec::new(),
            flags: Vec::new(),
            park: None,
        };
        let mut parser = Parser::from_args(words);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("workers") => parsed.workers = parser.value()?.parse()?,
                Arg::Long("runs") => parsed.runs = parser.value()?.parse()?,
                Arg::Long("divide") => parsed.divide = parser.value()?.parse()?,
                Arg::Long("only") => parsed.only.push(parser.value()?.string()?),
                Arg::Long("park") => parsed.park = Some(parser.value()?.parse()?),
                Arg::Long(name) if flags.contains(&name) => parsed.flags.push(name.to_owned()),
                other => return Err(other.unexpected()),
            }
        }
        if parsed.workers == 0 || parsed.runs == 0 || parsed.divide == 0 {
            return Err("--workers, --runs and --divide are at least 1".into());
        }
        Ok(parsed)
    }

    pub fn has_flag(&self, name: &str) -> bool {
        self.flags.iter().any(|flag| flag == name)
    }

    /// This process is that of a memory row.
    pub fn is_parking(&self) -> bool {
        self.park.is_some()
    }

    fn is_chosen(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|text| name.contains(text))
    }
}

/// One runtime under measurement. A row that the runtime cannot do is `None`.
pub trait Runtime {
    /// Runs a timed row once, with about so many operations, in a task of the runtime.
    fn run(&self, row: &str, operations: u64) -> Option<Timed>;

    /// Parks `tasks` tasks and gives the bytes by which each makes the process grow.
    fn park(&self, tasks: u32) -> f64;
}

/// The whole program. The runtime is made by `start`, once in a process: the memory rows come first,
/// while this process has no runtime that uses the CPU.
pub fn main<R: Runtime>(arguments: &Arguments, max_parked: u32, start: impl FnOnce() -> R) {
    if let Some(tasks) = arguments.park {
        println!("{}", start().park(tasks));
        return;
    }
    let parked = measure_parked(arguments, max_parked);
    let runtime = start();
    let mut rows: Vec<Row> = Vec::new();
    for &(name, operations) in TIMED_ROWS
        .iter()
        .filter(|(name, _)| arguments.is_chosen(name))
    {
        let operations = (operations / u64::from(arguments.divide)).max(1);
        let once = |operations| runtime.run(name, operations);
        rows.extend(row::measure_timed(name, operations, arguments.runs, once));
    }
    rows.extend(parked);
    match serde_json::to_string(&rows) {
        Ok(text) => println!("{text}"),
        Err(error) => fail(error),
    }
}

fn measure_parked(arguments: &Arguments, max_parked: u32) -> Vec<Row> {
    MEMORY_ROWS
        .iter()
        .filter(|(name, _)| arguments.is_chosen(name))
        .map(|(name, tasks)| (*name, (tasks / arguments.divide).max(1)))
        .filter(|(_, tasks)| *tasks <= max_parked)
        .filter_map(|(name, tasks)| {
            let runs = (0..arguments.runs)
                .map(|_| park_in_own_process(arguments, tasks))
                .collect::<Result<Vec<_>, _>>();
            match runs {
                Ok(runs) => Some(Row {
                    name,
                    unit: "bytes",
                    count: u64::from(tasks),
                    runs,
                }),
                // A framework may be at its end here: more stacks than the kernel maps, say.
                Err(error) => {
                    eprintln!("{name} is left out: {error}");
                    None
                }
            }
        })
        .collect()
}

fn park_in_own_process(arguments: &Arguments, tasks: u32) -> Result<f64, String> {
    let program = std::env::current_exe()
        .map_err(|error| format!("cannot tell where this program is: {error}"))?;
    let output = Command::new(program)
        .args(arguments.flags.iter().map(|flag| format!("--{flag}")))
        .args(["--workers", &arguments.workers.to_string()])
        .args(["--park", &tasks.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start a process of its own: {error}"))?;
    if !output.status.success() {
        return Err(format!("{tasks} parked tasks: {}", output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim()
        .parse()
        .map_err(|_| format!("{tasks} parked tasks: no number in {text:?}"))
}

/// Resident memory of this process. Panics without /proc.
pub fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc is there");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: Option<u64> = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kib.expect("VmRSS is there") * 1024
}

/// How much each of `tasks` tasks has added to `before`.
pub fn growth_per_task(before: u64, tasks: u32) -> f64 {
    resident_bytes().saturating_sub(before) as f64 / f64::from(tasks)
}

/// The sum of the numbers below `count`: what the tasks of the spawn rows give together.
pub fn sum_below(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}

/// How long the sleeper with this number sleeps.
pub fn sleep_time(number: u64) -> Duration {
    Duration::from_millis(1 + number % SLEEPERS_LONGEST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Arguments, lexopt::Error> {
        Arguments::from(words.iter().map(OsString::from).collect(), &["multi"])
    }

    #[test]
    fn rows_are_chosen_by_a_part_of_their_name() {
        let all = parsed(&[]).unwrap();
        assert!(all.is_chosen("yield-2"));
        let some = parsed(&["--only", "yield", "--only", "mutex", "--multi"]).unwrap();
        assert!(some.is_chosen("yield-10000") && some.is_chosen("mutex-contended"));
        assert!(!some.is_chosen("spawn-join"));
        assert!(some.has_flag("multi"));
    }

    #[test]
    fn bad_input_is_refused() {
        for bad in [
            &["--runs", "0"][..],
            &["--divide", "0"],
            &["--workers", "x"],
            &["--single"],
            &["rows"],
        ] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn memory_of_this_process_is_counted() {
        let before = resident_bytes();
        let bytes = vec![1_u8; 64 << 20];
        let each = growth_per_task(before, 2);
        assert!(bytes.iter().all(|byte| *byte == 1));
        assert!(each >= f64::from(24 << 20), "{each}");
    }
}
