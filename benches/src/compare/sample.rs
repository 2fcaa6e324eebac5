//! One sample: a fresh server, a fresh load, their end.
//!
//! Invariant: nothing that was started here is alive when [`take`] returns. Called by the module.

use super::arguments::{CompareArguments, Kind, Shape};
use super::catalogue::Entry;
use super::child;
use super::cpus::{self, Placement};
use super::disturbance::{Disturbance, Watch};
use super::metrics::{self, Observed};
use crate::program;
use crate::server::Server;
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a sample is taken of.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    pub(crate) arguments: &'a CompareArguments,
    pub(crate) placement: &'a Placement,
    pub(crate) entry: &'a Entry,
    pub(crate) shape: &'a Shape,
    /// Where the load keeps its histogram log.
    pub(crate) hlog: Option<PathBuf>,
}

/// What it gave.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) rows: Vec<Observed>,
    pub(crate) disturbance: Disturbance,
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It could not be started: trying again is no use.
    Start(String),
    /// It ran, and something was wrong.
    Run(String),
}

/// Takes a sample. An error is one phrase.
pub(crate) fn take(order: &Order<'_>) -> Result<Sample, Failure> {
    let watch = Watch::begin();
    let (rows, waiting) = match order.arguments.kind {
        Kind::Rt => (order.run_program()?, None),
        _ => order.load_server()?,
    };
    Ok(Sample {
        rows,
        disturbance: watch.end(waiting),
    })
}

impl Order<'_> {
    /// The rows, and the longest that a load thread waited for its CPU.
    fn load_server(&self) -> Result<(Vec<Observed>, Option<f64>), Failure> {
        let mut command = self.entry.process();
        command.stderr(Stdio::piped());
        let mut server = cpus::on(&self.placement.server, || Server::launch(&mut command))
            .flatten()
            .map_err(Failure::Start)?;
        let report = self.load(&server).map_err(Failure::Run);
        if let Some(status) = server.has_ended() {
            return Err(Failure::Run(format!(
                "the server ended by itself: {status}"
            )));
        }
        server.terminate().map_err(Failure::Run)?;
        let report = report?;
        let row = metrics::of_load(self.arguments.kind, &self.shape.name(), &report);
        let is_alone = self.placement.is_pinned();
        let waiting = is_alone.then(|| longest_wait(&report)).flatten();
        Ok((vec![row.map_err(Failure::Run)?], waiting))
    }

    /// What the load printed about a server that it found without fault.
    fn load(&self, server: &Server) -> Result<Value, String> {
        let mut command = Command::new(program::own_path()?);
        command
            .args([self.arguments.kind.name(), "--json", "--address"])
            .arg(server.address.to_string())
            .args(server.pid().map(|pid| format!("--pid={pid}")))
            .args(self.shape.arguments())
            .args(self.arguments.passed());
        if self.arguments.kind == Kind::Fanout {
            command.args(["--mode", self.arguments.mode.name()]);
        }
        if let Some(path) = &self.hlog {
            command.arg("--hlog").arg(path);
        }
        let limit = self.arguments.limit;
        let load = cpus::on(&self.placement.load, || child::run(&mut command, limit)).flatten()?;
        if !load.status.success() {
            return Err(match load.complaint.is_empty() {
                true => format!("the load ended with {}", load.status),
                false => load.complaint.trim_start_matches("llam-bench: ").to_owned(),
            });
        }
        serde_json::from_str(&load.stdout)
            .map_err(|error| format!("the load's output is no JSON: {error}"))
    }

    fn run_program(&self) -> Result<Vec<Observed>, Failure> {
        let mut command = self.entry.process();
        command.args(self.arguments.passed());
        let limit = self.arguments.limit;
        let program = cpus::on(&self.placement.server, || child::run(&mut command, limit))
            .flatten()
            .map_err(Failure::Start)?;
        if !program.status.success() {
            let complaint = program.complaint;
            return Err(Failure::Run(format!("{}: {complaint}", program.status)));
        }
        let rows = serde_json::from_str(&program.stdout)
            .map_err(|error| format!("the program's output is no JSON: {error}"))
            .and_then(|json| metrics::of_program(&json));
        rows.map_err(Failure::Run)
    }
}

/// The greatest share of the window in which a load thread was ready and not running.
fn longest_wait(report: &Value) -> Option<f64> {
    let threads = report["result"]["load_threads"].as_array()?;
    let waits = threads.iter().map(|thread| &thread["waiting_for_a_cpu"]);
    waits.filter_map(Value::as_f64).max_by(f64::total_cmp)
}
