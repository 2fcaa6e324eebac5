//! `llam-bench rt`: the price of the runtime's operations.
//!
//! | file | holds |
//! |---|---|
//! | `tasks` | spawn, join, yield, sleep |
//! | `channels` | channels, select, mutex |
//! | `memory` | what a parked task keeps resident |
//!
//! This file owns the rows, their repetition and the table. Each row checks its own result. All
//! timed rows run in one runtime, one after the other; each memory run has a process to itself.
//! Called by `main`.

mod channels;
mod memory;
mod tasks;

use crate::args::{Profile, RtArguments};
use crate::machine::Machine;
use crate::progress::Progress;
use crate::report::{self, Report};
use serde::Serialize;
use std::sync::mpsc;
use std::time::Duration;

/// One timed run of a row.
#[derive(Debug, Clone, Copy)]
struct Timed {
    operations: u64,
    elapsed: Duration,
}

/// What one row is: its name, how many operations it is asked for, and how to run that many.
#[derive(Clone, Copy)]
struct TimedRow {
    name: &'static str,
    operation: &'static str,
    operations: u64,
    run: fn(u64) -> llam::Result<Timed>,
}

const TIMED_ROWS: &[TimedRow] = &[
    TimedRow {
        name: "spawn-join",
        operation: "a task spawned and joined, one by one",
        operations: 1_000_000,
        run: tasks::spawn_join,
    },
    TimedRow {
        name: "spawn-join-batch",
        operation: "a task spawned and joined, 10,000 at a time",
        operations: 1_000_000,
        run: tasks::spawn_join_batch,
    },
    TimedRow {
        name: "yield-2",
        operation: "a yield, two tasks",
        operations: 10_000_000,
        run: tasks::yield_between_two,
    },
    TimedRow {
        name: "yield-10000",
        operation: "a yield, 10,000 tasks in turn",
        operations: 10_000_000,
        run: tasks::yield_round_robin,
    },
    TimedRow {
        name: "channel-ping-pong",
        operation: "a value there and one back, two tasks",
        operations: 1_000_000,
        run: channels::ping_pong,
    },
    TimedRow {
        name: "channel-stream",
        operation: "a value through a channel of 128",
        operations: 5_000_000,
        run: channels::stream,
    },
    TimedRow {
        name: "select-default",
        operation: "a select of two empty channels and a default",
        operations: 5_000_000,
        run: channels::select_default,
    },
    TimedRow {
        name: "mutex-contended",
        operation: "a lock and unlock, 8 tasks that yield inside",
        operations: 1_000_000,
        run: channels::mutex_contended,
    },
    TimedRow {
        name: "sleep-100000",
        operation: "a task spawned, asleep 1 to 10 ms, joined; 100,000 at once",
        operations: 100_000,
        run: tasks::sleep_fan_out,
    },
];

const MEMORY_ROWS: &[(&str, u32)] = &[
    ("parked-10000", 10_000),
    ("parked-100000", 100_000),
    ("parked-1000000", 1_000_000),
];

#[derive(Debug, Serialize)]
struct Settings {
    workers: u32,
    profile: Profile,
    runs: u32,
    divide: u32,
}

/// The median of a row's runs, with the least and the greatest.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    operation: String,
    unit: &'static str,
    median: f64,
    least: f64,
    greatest: f64,
    runs: Vec<f64>,
    /// Operations, or tasks, in each run.
    count: u64,
}

impl Row {
    fn new(name: &str, operation: &str, unit: &'static str, count: u64, runs: Vec<f64>) -> Self {
        // There is at least one run.
        let (median, least, greatest) = report::median_and_spread(&runs).unwrap_or_default();
        Self {
            name: name.to_owned(),
            operation: operation.to_owned(),
            unit,
            median,
            least,
            greatest,
            runs,
            count,
        }
    }
}

pub(crate) fn run(arguments: &RtArguments) -> Result<(), String> {
    if let Some(tasks) = arguments.park {
        return memory::print_parked(arguments, tasks);
    }
    let is_chosen = |name: &str| {
        arguments.only.is_empty() || arguments.only.iter().any(|text| name.contains(text))
    };
    let timed: Vec<_> = TIMED_ROWS
        .iter()
        .filter(|row| is_chosen(row.name))
        .copied()
        .collect();
    let parked: Vec<_> = MEMORY_ROWS
        .iter()
        .filter(|(name, _)| is_chosen(name))
        .collect();
    if timed.is_empty() && parked.is_empty() {
        return Err(format!("no row is called {:?}; see --list", arguments.only));
    }
    if arguments.list {
        let names = timed.iter().map(|row| row.name);
        let names = names.chain(parked.iter().map(|(name, _)| *name));
        return report::print(&names.map(|name| format!("{name}\n")).collect::<String>());
    }
    // Memory first, while this process has no runtime that uses the CPU.
    let progress = Progress::new(arguments.json, arguments.progress);
    let rows_in_all = (parked.len() + timed.len()) as u64;
    let mut memory_rows = Vec::new();
    for (name, tasks) in parked {
        progress.phase(name, rows_in_all);
        progress.at(memory_rows.len() as u64);
        memory_rows.push(memory::measure(arguments, name, tasks / arguments.divide)?);
    }
    let mut rows = Vec::new();
    if !timed.is_empty() {
        rows = measure_timed(arguments, timed, progress, rows_in_all)?;
    }
    rows.extend(memory_rows);
    let report = Report {
        benchmark: "rt",
        machine: Machine::here(),
        settings: Settings {
            workers: arguments.workers,
            profile: arguments.profile,
            runs: arguments.runs,
            divide: arguments.divide,
        },
        result: rows,
    };
    report.print(arguments.json, table)
}

/// Starts a runtime as asked for and runs `body` as its first task.
fn in_runtime<T, F>(arguments: &RtArguments, body: F) -> Result<T, String>
where
    T: Send + 'static,
    F: FnOnce() -> llam::Result<T> + Send + 'static,
{
    let (sender, result) = mpsc::sync_channel(1);
    llam::RuntimeBuilder::new()
        .workers(arguments.workers as usize)
        .profile(arguments.profile.of_llam())
        .run(move || {
            // The receiver outlives the runtime, and there is room for one.
            let _ = sender.send(body()?);
            Ok(())
        })
        .map_err(|error| format!("the runtime failed: {error}"))?;
    result
        .recv()
        .map_err(|_| "a row failed its check".to_owned())
}

/// Measures the last of `rows_in_all`.
fn measure_timed(
    arguments: &RtArguments,
    rows: Vec<TimedRow>,
    progress: Progress,
    rows_in_all: u64,
) -> Result<Vec<Row>, String> {
    let (runs, divide) = (arguments.runs, u64::from(arguments.divide));
    let first = rows_in_all - rows.len() as u64;
    in_runtime(arguments, move || {
        (first..)
            .zip(rows)
            .map(|(number, row)| {
                // Drawn between rows, never while one is measured.
                progress.phase(row.name, rows_in_all);
                progress.at(number);
                measure_row(row, (row.operations / divide).max(1), runs)
            })
            .collect()
    })
}

fn measure_row(row: TimedRow, operations: u64, runs: u32) -> llam::Result<Row> {
    let mut times = Vec::new();
    let mut count = (row.run)(operations)?.operations;
    for _ in 0..runs {
        let timed = (row.run)(operations)?;
        count = timed.operations;
        times.push(timed.elapsed.as_nanos() as f64 / count as f64);
    }
    Ok(Row::new(row.name, row.operation, "ns", count, times))
}

fn table(report: &Report<Settings, Vec<Row>>) -> String {
    let settings = &report.settings;
    let mut text = format!(
        "rt: workers {}, profile {}, runs {}\n\n{:<18}{:>10}{:>10}{:>10}  {:<6}{}\n",
        settings.workers,
        settings.profile.name(),
        settings.runs,
        "row",
        "median",
        "least",
        "greatest",
        "unit",
        "of"
    );
    for row in &report.result {
        text.push_str(&format!(
            "{:<18}{:>10.1}{:>10.1}{:>10.1}  {:<6}{}\n",
            row.name, row.median, row.least, row.greatest, row.unit, row.operation
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_spread() {
        let row = Row::new("n", "o", "ns", 1, vec![5.0, 1.0, 9.0]);
        assert_eq!((row.median, row.least, row.greatest), (5.0, 1.0, 9.0));
        let row = Row::new("n", "o", "ns", 1, vec![4.0, 1.0, 9.0, 2.0]);
        assert_eq!((row.median, row.least, row.greatest), (3.0, 1.0, 9.0));
        assert_eq!(row.runs, [4.0, 1.0, 9.0, 2.0]);
    }
}
