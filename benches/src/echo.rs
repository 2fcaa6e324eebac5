//! `llam-bench echo`: load on an echo server.
//!
//! Owns what a run means: its result, whether the load side was the limit, and when it failed.
//! Called by `main`.

use crate::args::EchoArguments;
use crate::load::{self, Measured, Plan, ThreadLoad};
use crate::machine::Machine;
use crate::process;
use crate::program::Program;
use crate::report::{self, PERCENTILE_HEADER, Percentiles, Report, bytes};
use crate::server::Server;
use serde::Serialize;
use std::time::SystemTime;

/// Descriptors that the process needs beside one per connection.
const OTHER_DESCRIPTORS: usize = 64;

/// A load thread that wants the CPU for more than this share of the time has no room left.
const BUSY_SHARE: f64 = 0.9;

/// Lateness of the load side below this is the timer's, not a lack of speed.
const HARMLESS_LATENESS_NS: u64 = 100_000;

#[derive(Debug, Serialize)]
struct Settings {
    server: String,
    server_note: Option<String>,
    /// Requests per second asked for; 0 is a closed loop.
    rate: f64,
    connections: u32,
    size_bytes: u32,
    pipeline: u32,
    threads: u32,
    churn: Option<u64>,
    duration_s: f64,
    warmup_s: f64,
    timeout_s: f64,
}

#[derive(Debug, Serialize)]
struct Summary {
    answers: u64,
    requests_per_second: f64,
    latency_ns: Option<Percentiles>,
    /// Of connections made during the run.
    connecting_ns: Option<Percentiles>,
    /// Of requests whose connection was free when they were due: the load side's own delay.
    lateness_ns: Option<Percentiles>,
    server: Option<ServerUse>,
    load_threads: Vec<Thread>,
    /// Why the load side, not the server, may be what was measured.
    load_limits: Vec<String>,
    unfinished: u64,
    faults: load::Faults,
    total_faults: u64,
}

/// What the server's process used within the window.
#[derive(Debug, Serialize)]
struct ServerUse {
    cpus: f64,
    requests_per_cpu_second: Option<f64>,
    resident_bytes_before: u64,
    resident_bytes_after: u64,
}

/// Shares of the window.
#[derive(Debug, Serialize)]
struct Thread {
    running: f64,
    waiting_for_a_cpu: f64,
}

pub(crate) fn run(arguments: &EchoArguments) -> Result<(), String> {
    if arguments.threads > arguments.connections {
        return Err("more threads than connections".to_owned());
    }
    process::allow_descriptors(arguments.connections as usize + OTHER_DESCRIPTORS)?;
    let server = Server::from_arguments(&arguments.server, Program::Echo)?;
    let plan = plan(arguments, &server);
    let began = SystemTime::now() + plan.warmup;
    let measured = load::run(&plan, || server.usage())?;
    let report = Report {
        benchmark: "echo",
        machine: Machine::here(),
        settings: settings(arguments, &server),
        result: summary(&plan, &measured),
    };
    if let Some(path) = &arguments.hlog {
        report::write_hlog(path, began, &measured.outcome.intervals)?;
    }
    report.print(arguments.json, table)?;
    server.stop()?;
    match report.result.total_faults {
        0 => Ok(()),
        faults => Err(format!(
            "{faults} faults; the server is not an echo server, or it failed"
        )),
    }
}

fn plan(arguments: &EchoArguments, server: &Server) -> Plan {
    Plan {
        address: server.address,
        connections: arguments.connections as usize,
        threads: arguments.threads as usize,
        size: arguments.size as usize,
        pipeline: arguments.pipeline as usize,
        rate: (arguments.rate > 0.0).then_some(arguments.rate),
        churn: arguments.churn,
        warmup: arguments.warmup,
        duration: arguments.duration,
        timeout: arguments.timeout,
        has_intervals: arguments.hlog.is_some(),
    }
}

fn settings(arguments: &EchoArguments, server: &Server) -> Settings {
    Settings {
        server: server.description.clone(),
        server_note: server.note.clone(),
        rate: arguments.rate,
        connections: arguments.connections,
        size_bytes: arguments.size,
        pipeline: arguments.pipeline,
        threads: arguments.threads,
        churn: arguments.churn,
        duration_s: arguments.duration.as_secs_f64(),
        warmup_s: arguments.warmup.as_secs_f64(),
        timeout_s: arguments.timeout.as_secs_f64(),
    }
}

fn summary(plan: &Plan, measured: &Measured) -> Summary {
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
        load_threads: outcome
            .threads
            .iter()
            .map(|thread| Thread {
                running: thread.running,
                waiting_for_a_cpu: thread.waiting,
            })
            .collect(),
        load_limits,
        unfinished: outcome.unfinished,
        faults: outcome.faults,
        total_faults: outcome.faults.total(),
    }
}

/// Why the load side may have been the limit, one phrase each.
fn load_limits(
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
    let mut text = heading(&report.settings);
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
    if let Some(note) = &report.settings.server_note {
        text.push_str(&format!("NOTE: {note}\n"));
    }
    if result.total_faults > 0 {
        text.push_str(&format!("FAULTS: {}\n", result.faults));
    }
    text
}

/// What was run, in two lines.
fn heading(settings: &Settings) -> String {
    let mode = match settings.rate {
        0.0 => "closed loop".to_owned(),
        rate => format!("open loop at {rate} requests/s"),
    };
    let churn = settings.churn.map_or_else(String::new, |requests| {
        format!(", a new connection after {requests} requests")
    });
    format!(
        "echo: {}\nconnections {}, bytes {}, pipeline {}, {mode}{churn}, \
         {} s after {} s of warm-up, load threads {}\n\n",
        settings.server,
        settings.connections,
        settings.size_bytes,
        settings.pipeline,
        settings.duration_s,
        settings.warmup_s,
        settings.threads,
    )
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
