//! `llam-bench echo` and `llam-bench http`: load on a server.
//!
//! Owns what a run means: its result, whether the load side was the limit, and when it failed.
//! `sweep` makes its runs of the same parts. Called by `main`.

use crate::args::{EchoArguments, HttpArguments, LoadArguments, RunArguments};
use crate::load::{self, Measured, Plan, ThreadLoad};
use crate::machine::Machine;
use crate::process;
use crate::program::Program;
use crate::progress::Progress;
use crate::report::{self, PERCENTILE_HEADER, Percentiles, Report, bytes};
use crate::requests::Requests;
use crate::server::Server;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::SystemTime;

/// Descriptors that the process needs beside one per connection.
const OTHER_DESCRIPTORS: usize = 64;

/// A load thread that wants the CPU for more than this share of the time has no room left.
const BUSY_SHARE: f64 = 0.9;

/// Lateness of the load side below this is the timer's, not a lack of speed.
const HARMLESS_LATENESS_NS: u64 = 100_000;

#[derive(Debug, Serialize)]
struct Settings {
    #[serde(flatten)]
    load: LoadSettings,
    /// Requests per second asked for; 0 is a closed loop.
    rate: f64,
}

/// The settings of a load, whatever its rate.
#[derive(Debug, Serialize)]
pub(crate) struct LoadSettings {
    pub(crate) server: String,
    pub(crate) server_note: Option<String>,
    #[serde(flatten)]
    pub(crate) requests: Requests,
    pub(crate) connections: u32,
    pub(crate) pipeline: u32,
    pub(crate) threads: u32,
    pub(crate) churn: Option<u64>,
    pub(crate) duration_s: f64,
    pub(crate) warmup_s: f64,
    pub(crate) timeout_s: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) answers: u64,
    pub(crate) requests_per_second: f64,
    pub(crate) latency_ns: Option<Percentiles>,
    /// Of connections made during the run.
    pub(crate) connecting_ns: Option<Percentiles>,
    /// Of requests whose connection was free when they were due: the load side's own delay.
    pub(crate) lateness_ns: Option<Percentiles>,
    pub(crate) server: Option<ServerUse>,
    pub(crate) load_threads: Vec<Thread>,
    /// Why the load side, not the server, may be what was measured.
    pub(crate) load_limits: Vec<String>,
    pub(crate) unfinished: u64,
    pub(crate) faults: load::Faults,
    pub(crate) total_faults: u64,
    /// Why the first wrong answer of some connection was wrong, where that can be said.
    pub(crate) first_complaint: Option<String>,
}

/// What the server's process used within the window.
#[derive(Debug, Serialize)]
pub(crate) struct ServerUse {
    cpus: f64,
    requests_per_cpu_second: Option<f64>,
    resident_bytes_before: u64,
    resident_bytes_after: u64,
}

/// Shares of the window.
#[derive(Debug, Serialize)]
pub(crate) struct Thread {
    running: f64,
    waiting_for_a_cpu: f64,
}

impl Thread {
    pub(crate) fn of(load: &ThreadLoad) -> Self {
        Self {
            running: load.running,
            waiting_for_a_cpu: load.waiting,
        }
    }
}

pub(crate) fn echo(arguments: &EchoArguments) -> Result<(), String> {
    run(
        "echo",
        Program::Echo,
        &arguments.load,
        &arguments.run,
        |_| Requests::echo(&arguments.requests),
    )
}

pub(crate) fn http(arguments: &HttpArguments) -> Result<(), String> {
    run(
        "http",
        Program::Http,
        &arguments.load,
        &arguments.run,
        |address| Requests::http(&arguments.requests, address),
    )
}

fn run(
    benchmark: &'static str,
    program: Program,
    load: &LoadArguments,
    run: &RunArguments,
    requests: impl FnOnce(SocketAddr) -> Requests,
) -> Result<(), String> {
    let server = server(load, program)?;
    let requests = requests(server.address);
    let plan = Plan {
        rate: (run.rate > 0.0).then_some(run.rate),
        has_intervals: run.hlog.is_some(),
        ..plan(load, &requests, server.address)
    };
    let began = SystemTime::now() + plan.warmup;
    let progress = Progress::new(load.json, load.progress);
    let measured = load::run(&plan, || server.usage(), &progress)?;
    drop(progress);
    let report = Report {
        benchmark,
        machine: Machine::here(),
        settings: Settings {
            load: settings(load, requests, &server),
            rate: run.rate,
        },
        result: summary(&plan, &measured),
    };
    if let Some(path) = &run.hlog {
        report::write_hlog(path, began, &measured.outcome.intervals)?;
    }
    report.print(load.json, table)?;
    server.stop()?;
    failure(report.result.total_faults, benchmark)
}

/// The server for a load, after looking at what the load needs.
pub(crate) fn server(load: &LoadArguments, program: Program) -> Result<Server, String> {
    if load.threads > load.connections {
        return Err("more threads than connections".to_owned());
    }
    process::allow_descriptors(load.connections as usize + OTHER_DESCRIPTORS)?;
    Server::from_arguments(&load.server, program)
}

/// An error for a run with faults.
pub(crate) fn failure(faults: u64, protocol: &str) -> Result<(), String> {
    match faults {
        0 => Ok(()),
        faults => Err(format!(
            "{faults} faults; this is no {protocol} server that answers as asked, or it failed"
        )),
    }
}

/// A closed loop.
pub(crate) fn plan(load: &LoadArguments, requests: &Requests, address: SocketAddr) -> Plan {
    Plan {
        address,
        connections: load.connections as usize,
        threads: load.threads as usize,
        protocol: requests.protocol(),
        pipeline: load.pipeline as usize,
        rate: None,
        churn: load.churn,
        warmup: load.warmup,
        duration: load.duration,
        timeout: load.timeout,
        has_intervals: false,
    }
}

pub(crate) fn settings(load: &LoadArguments, requests: Requests, server: &Server) -> LoadSettings {
    LoadSettings {
        server: server.description.clone(),
        server_note: server.note.clone(),
        requests,
        connections: load.connections,
        pipeline: load.pipeline,
        threads: load.threads,
        churn: load.churn,
        duration_s: load.duration.as_secs_f64(),
        warmup_s: load.warmup.as_secs_f64(),
        timeout_s: load.timeout.as_secs_f64(),
    }
}

pub(crate) fn summary(plan: &Plan, measured: &Measured) -> Summary {
    let outcome = &measured.outcome;
    let seconds = plan.duration.as_secs_f64();
    let server = measured.server.map(|(before, after)| {
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        ServerUse {
            cpus: cpu / (after.at - before.at).as_secs_f64(),
            requests_per_cpu_second: (cpu > 0.0).then(|| outcome.answers as f64 / cpu),
            resident_bytes_before: before.resident_bytes,
            resident_bytes_after: after.resident_bytes,
        }
    });
    let latency = Percentiles::of(&outcome.latency);
    let lateness = Percentiles::of(&outcome.lateness);
    let load_limits = load_limits(
        &outcome.threads,
        latency.as_ref(),
        lateness.as_ref(),
        outcome.port_shortages,
    );
    Summary {
        answers: outcome.answers,
        requests_per_second: outcome.answers as f64 / seconds,
        latency_ns: latency,
        connecting_ns: Percentiles::of(&outcome.connecting),
        lateness_ns: lateness,
        server,
        load_threads: outcome.threads.iter().map(Thread::of).collect(),
        load_limits,
        unfinished: outcome.unfinished,
        faults: outcome.faults,
        total_faults: outcome.faults.total(),
        first_complaint: outcome.complaint.clone(),
    }
}

/// Why the load side may have been the limit, one phrase each.
pub(crate) fn load_limits(
    threads: &[ThreadLoad],
    latency: Option<&Percentiles>,
    lateness: Option<&Percentiles>,
    port_shortages: u64,
) -> Vec<String> {
    let mut limits = Vec::new();
    let busiest = threads
        .iter()
        .max_by(|one, other| one.wanted().total_cmp(&other.wanted()));
    if let Some(thread) = busiest
        && thread.wanted() >= BUSY_SHARE
    {
        limits.push(format!(
            "a load thread ran {:.0} % of the time and waited {:.0} % for a CPU",
            thread.running * 100.0,
            thread.waiting * 100.0
        ));
    }
    if let (Some(lateness), Some(latency)) = (lateness, latency)
        && lateness.p99 > HARMLESS_LATENESS_NS
        && lateness.p99 > latency.p99 / 10
    {
        limits.push(format!(
            "requests were sent late by {} (p99), which is part of their latency",
            report::time(lateness.p99)
        ));
    }
    if port_shortages > 0 {
        limits.push(format!(
            "no local port was free for a new connection, {port_shortages} times"
        ));
    }
    limits
}

fn table(report: &Report<Settings, Summary>) -> String {
    let result = &report.result;
    let mut text = heading(report.benchmark, &report.settings);
    text.push_str(PERCENTILE_HEADER);
    for (name, percentiles) in [
        ("latency", &result.latency_ns),
        ("connecting", &result.connecting_ns),
        ("sent late", &result.lateness_ns),
    ] {
        if let Some(percentiles) = percentiles {
            text.push_str(&percentiles.row(name));
        }
    }
    text.push_str(&format!(
        "\n{:.0} requests/s ({} answers)\n",
        result.requests_per_second, result.answers
    ));
    if let Some(server) = &result.server {
        let per_second = server
            .requests_per_cpu_second
            .map_or_else(|| "unknown".to_owned(), |number| format!("{number:.0}"));
        text.push_str(&format!(
            "server: {per_second} requests per CPU second, {:.2} CPUs, {} resident (before: {})\n",
            server.cpus,
            bytes(server.resident_bytes_after),
            bytes(server.resident_bytes_before),
        ));
    }
    if result.unfinished > 0 {
        text.push_str(&format!(
            "OVERLOAD: {} requests that were due were never sent; \
             they count with the time they had waited\n",
            result.unfinished
        ));
    }
    for limit in &result.load_limits {
        text.push_str(&format!("THE LOAD SIDE MAY BE THE LIMIT: {limit}\n"));
    }
    if let Some(note) = &report.settings.load.server_note {
        text.push_str(&format!("NOTE: {note}\n"));
    }
    if result.total_faults > 0 {
        text.push_str(&format!("FAULTS: {}\n", result.faults));
    }
    if let Some(complaint) = &result.first_complaint {
        text.push_str(&format!("FIRST WRONG ANSWER: {complaint}\n"));
    }
    text
}

/// What was run, in two lines.
fn heading(benchmark: &str, settings: &Settings) -> String {
    let mode = match settings.rate {
        0.0 => "closed loop".to_owned(),
        rate => format!("open loop at {rate} requests/s"),
    };
    format!(
        "{benchmark}: {}\n{}, {mode}\n\n",
        settings.load.server,
        settings.load.description()
    )
}

impl LoadSettings {
    /// The shape of the load in a line.
    pub(crate) fn description(&self) -> String {
        let churn = self.churn.map_or_else(String::new, |requests| {
            format!(", a new connection after {requests} requests")
        });
        format!(
            "{}, connections {}, pipeline {}{churn}, {} s after {} s of warm-up, load threads {}",
            self.requests.description(),
            self.connections,
            self.pipeline,
            self.duration_s,
            self.warmup_s,
            self.threads,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{histogram, record};
    use std::time::Duration;

    fn limits(running: f64, waiting: f64, late: Duration, port_shortages: u64) -> usize {
        let threads = [0.1, running].map(|running| ThreadLoad { running, waiting });
        let percentiles = |time| {
            let mut histogram = histogram();
            record(&mut histogram, time);
            Percentiles::of(&histogram)
        };
        let latency = percentiles(Duration::from_millis(1));
        let late = percentiles(late);
        load_limits(&threads, latency.as_ref(), late.as_ref(), port_shortages).len()
    }

    #[test]
    fn each_limit_of_the_load_side_is_said() {
        let harmless = Duration::from_micros(60);
        assert_eq!(limits(0.5, 0.1, harmless, 0), 0);
        assert_eq!(limits(0.95, 0.0, harmless, 0), 1);
        assert_eq!(limits(0.5, 0.45, harmless, 0), 1);
        assert_eq!(limits(0.5, 0.0, Duration::from_micros(500), 0), 1);
        assert_eq!(limits(0.5, 0.0, harmless, 3), 1);
    }
}
