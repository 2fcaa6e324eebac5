//! `llam-bench compare`: llam beside its rivals, on one machine, in one run.
//!
//! | file | holds |
//! |---|---|
//! | `arguments` | the command line |
//! | `catalogue` | who takes part |
//! | `cpus` | where server and load run |
//! | `order` | in which order |
//! | `sample`, `child` | one sample: a server and a load, each a process of its own |
//! | `disturbance` | what else the machine did meanwhile |
//! | `metrics` | the numbers of a sample |
//! | `tally` | medians, spread, ratios |
//! | `table` | the text |
//!
//! This file owns the run: rounds, repetitions of disturbed samples, and who is out. The load is this
//! program itself with the subcommand that is compared, so a comparison measures what that subcommand
//! measures. Called by `main`. It fails when llam's own sample fails or nobody could be measured; a
//! rival that fails is listed with the reason, and the others go on.

mod arguments;
mod catalogue;
mod child;
mod cpus;
mod disturbance;
mod metrics;
mod order;
mod sample;
mod table;
mod tally;

pub(crate) use arguments::CompareArguments;

use crate::args::Mode;
use crate::args::Profile;
use crate::machine::Machine;
use crate::report::Report;
use arguments::{Kind, Shape};
use catalogue::{Entry, Field, Role, Skipped};
use cpus::Placement;
use sample::{Failure, Order};
use serde::Serialize;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use tally::{Row, Tally};

#[derive(Debug, Serialize)]
struct Settings {
    kind: Kind,
    workers: u32,
    profile: Profile,
    mode: Option<Mode>,
    /// Samples of each entry in each row.
    runs: u32,
    /// How often a disturbed sample is taken again at most.
    repeats: u32,
    is_quick: bool,
    /// Empty lists: not pinned.
    cpus: Placement,
    /// What the subcommand was given beside the row.
    passed: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Summary {
    entries: Vec<Entry>,
    /// In the catalogue, and not built.
    skipped: Vec<Skipped>,
    /// Samples that are in no figure because something was wrong with them.
    failed: Vec<Without>,
    /// Samples that were disturbed and taken again.
    replaced: Vec<Without>,
    rows: Vec<Row>,
}

/// A sample that is not used.
#[derive(Debug, Clone, Serialize)]
struct Without {
    entry: String,
    row: String,
    why: String,
}

pub(crate) fn run(arguments: &CompareArguments) -> Result<(), String> {
    arguments.check()?;
    let field = Field::choose(arguments)?;
    let placement = Placement::choose(arguments)?;
    if let Some(folder) = &arguments.hlog {
        fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    }
    let mut comparison = Comparison {
        arguments,
        placement: &placement,
        tally: Tally::default(),
        failed: Vec::new(),
        replaced: Vec::new(),
        is_out: vec![false; field.entries.len()],
    };
    comparison.measure(&field.entries);
    let Comparison {
        tally,
        failed,
        replaced,
        ..
    } = comparison;
    let rows = tally.rows(&field.entries);
    let report = Report {
        benchmark: "compare",
        machine: Machine::here(),
        settings: settings(arguments, placement.clone()),
        result: Summary {
            entries: field.entries,
            skipped: field.skipped,
            failed,
            replaced,
            rows,
        },
    };
    report.print(arguments.json, table::text)?;
    verdict(&report.result)
}

fn settings(arguments: &CompareArguments, mut cpus: Placement) -> Settings {
    if !arguments.kind.has_server() {
        cpus.load.clear();
    }
    Settings {
        kind: arguments.kind,
        workers: arguments.workers,
        profile: arguments.profile,
        mode: (arguments.kind == Kind::Fanout).then_some(arguments.mode),
        runs: arguments.runs(),
        repeats: arguments.repeats,
        is_quick: arguments.quick,
        cpus,
        passed: arguments.passed(),
    }
}

/// Whether the run as a whole has failed. An error is one phrase.
fn verdict(summary: &Summary) -> Result<(), String> {
    let is_ours = |name: &String| {
        let mut ours = summary
            .entries
            .iter()
            .filter(|entry| entry.role == Role::Ours);
        ours.any(|entry| entry.name == *name)
    };
    if summary.rows.is_empty() {
        return Err("nobody could be measured".to_owned());
    }
    match summary.failed.iter().find(|failed| is_ours(&failed.entry)) {
        Some(Without { entry, row, why }) => Err(format!("{entry} failed, {row}: {why}")),
        None => Ok(()),
    }
}

/// A run in progress.
struct Comparison<'a> {
    arguments: &'a CompareArguments,
    placement: &'a Placement,
    tally: Tally,
    failed: Vec<Without>,
    replaced: Vec<Without>,
    /// Entries that cannot be started, by number.
    is_out: Vec<bool>,
}

impl Comparison<'_> {
    /// Every round takes one sample of each entry in each row, in an order of its own.
    fn measure(&mut self, entries: &[Entry]) {
        let shapes = self.arguments.shapes();
        for round in 0..self.arguments.runs() {
            for (number, shape) in shapes.iter().enumerate() {
                let turn = round as usize * shapes.len() + number;
                for entry in order::of_round(turn, entries.len()) {
                    if !self.is_out[entry] {
                        self.progress(round, shape, &entries[entry]);
                        self.measure_one(round, shape, entry, &entries[entry]);
                    }
                }
            }
        }
    }

    /// One sample, again while it is disturbed.
    fn measure_one(&mut self, round: u32, shape: &Shape, number: usize, entry: &Entry) {
        let without = |why| Without {
            entry: entry.name.clone(),
            row: shape.name(),
            why,
        };
        for repetition in 0..=self.arguments.repeats {
            let order = Order {
                arguments: self.arguments,
                placement: self.placement,
                entry,
                shape,
                hlog: self.hlog(round, shape, entry),
            };
            match sample::take(&order) {
                Ok(sample) => {
                    let is_last = repetition == self.arguments.repeats;
                    if is_last || !sample.disturbance.is_harmful() {
                        return self.tally.add(entry, sample);
                    }
                    let why = sample.disturbance.reasons.join(", ");
                    self.replaced.push(without(why));
                }
                Err(Failure::Run(why)) => return self.failed.push(without(why)),
                Err(Failure::Start(why)) => {
                    self.is_out[number] = true;
                    return self.failed.push(without(why));
                }
            }
        }
    }

    fn hlog(&self, round: u32, shape: &Shape, entry: &Entry) -> Option<PathBuf> {
        let name = format!("{}, {}, {}.hlog", entry.name, shape.name(), round + 1);
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
        let mut plain = String::new();
        for letter in name.chars() {
            match is_plain(letter) {
                true => plain.push(letter),
                false if plain.ends_with('_') => {}
                false => plain.push('_'),
            }
        }
        Some(self.arguments.hlog.as_ref()?.join(plain))
    }

    /// Says on a terminal what comes next.
    fn progress(&self, round: u32, shape: &Shape, entry: &Entry) {
        if io::stderr().is_terminal() {
            eprintln!(
                "{} {}/{}, {}: {}",
                self.arguments.kind.name(),
                round + 1,
                self.arguments.runs(),
                shape.name(),
                entry.name
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(failed: &[&str], has_rows: bool) -> Summary {
        let entry = |name: &str, role| Entry {
            name: name.to_owned(),
            role,
            version: String::new(),
            command: Vec::new(),
            environment: Vec::new(),
            note: None,
        };
        let without = |entry: &&str| Without {
            entry: (*entry).to_owned(),
            row: "row".to_owned(),
            why: "why".to_owned(),
        };
        let row = Row {
            name: "row".to_owned(),
            metrics: Vec::new(),
            cells: Vec::new(),
            ours: None,
            ratios: Default::default(),
        };
        Summary {
            entries: vec![entry("llam-uring", Role::Ours), entry("may", Role::Peer)],
            skipped: Vec::new(),
            failed: failed.iter().map(without).collect(),
            replaced: Vec::new(),
            rows: if has_rows { vec![row] } else { Vec::new() },
        }
    }

    #[test]
    fn our_failure_is_the_runs_and_a_rivals_is_its_own() {
        assert_eq!(verdict(&summary(&[], true)), Ok(()));
        assert_eq!(verdict(&summary(&["may", "may"], true)), Ok(()));
        let ours = verdict(&summary(&["may", "llam-uring"], true));
        assert_eq!(ours, Err("llam-uring failed, row: why".to_owned()));
        assert!(verdict(&summary(&["may"], false)).is_err());
    }
}
