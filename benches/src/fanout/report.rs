//! What a run of `fanout` means: its result, its table, and when it has failed.
//!
//! A run fails when a delivery was doubled, reordered or corrupted, when a connection broke, and when our
//! account and the server's do not agree; in lossless mode also when anything is missing. Called by the
//! module.

use super::Finding;
use super::books::{self, Account, ServerCounts};
use crate::args::{FanoutArguments, Mode};
use crate::machine::Machine;
use crate::report::{PERCENTILE_HEADER, Percentiles, Report, bytes};
use crate::server::Server;
use crate::throughput::{Thread, load_limits};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Settings {
    server: String,
    server_note: Option<String>,
    mode: Mode,
    clients: u32,
    senders: u32,
    slow: u32,
    /// Lines per second asked for; 0 is a closed loop.
    rate: f64,
    pipeline: u32,
    size_bytes: u32,
    threads: u32,
    duration_s: f64,
    warmup_s: f64,
    timeout_s: f64,
}

#[derive(Debug, Serialize)]
struct Summary {
    deliveries_per_second: f64,
    lines_per_second: f64,
    latency_ns: Option<Percentiles>,
    lateness_ns: Option<Percentiles>,
    server: Option<ServerUse>,
    load_threads: Vec<Thread>,
    load_limits: Vec<String>,
    /// Lines sent over the whole run, warm-up included, as are all counts that follow.
    sent: u64,
    /// Deliveries that clients that read should have got.
    expected: u64,
    /// Deliveries that they got, doubled ones included.
    received: u64,
    lost: u64,
    doubled: u64,
    reordered: u64,
    corrupted: u64,
    /// Connections that the server ended.
    broken: u64,
    /// Lines that were due and never sent, and deliveries that came when the run was over.
    unfinished: u64,
    /// Times that a sender of a closed loop went on though its lines had not come through.
    stalls: u64,
    /// Deliveries to clients that did not read while the load ran.
    slow: Account,
    /// Deliveries of notices that somebody has joined.
    notices: Account,
    /// What the server counted; `None` when it does not say.
    server_counts: Option<ServerCounts>,
    /// Where the accounts do not agree.
    disagreements: Vec<String>,
    total_faults: u64,
    first_complaint: Option<String>,
}

/// What the server's process used within the window.
#[derive(Debug, Serialize)]
struct ServerUse {
    cpus: f64,
    deliveries_per_cpu_second: Option<f64>,
    resident_bytes_before: u64,
    resident_bytes_after: u64,
}

pub(super) fn settings(arguments: &FanoutArguments, server: &Server) -> Settings {
    Settings {
        server: server.description.clone(),
        server_note: server.note.clone(),
        mode: arguments.mode,
        clients: arguments.clients,
        senders: arguments.senders(),
        slow: arguments.slow,
        rate: arguments.rate,
        pipeline: arguments.pipeline,
        size_bytes: arguments.size,
        threads: arguments.threads,
        duration_s: arguments.duration.as_secs_f64(),
        warmup_s: arguments.warmup.as_secs_f64(),
        timeout_s: arguments.timeout.as_secs_f64(),
    }
}

/// Prints the report; an error when the run has failed.
pub(super) fn print(
    arguments: &FanoutArguments,
    settings: Settings,
    finding: &Finding,
) -> Result<(), String> {
    let report = Report {
        benchmark: "fanout",
        machine: Machine::here(),
        result: summary(&settings, finding),
        settings,
    };
    report.print(arguments.json, table)?;
    match report.result.total_faults {
        0 => Ok(()),
        faults => Err(format!("{faults} faults; see the report")),
    }
}

fn summary(settings: &Settings, finding: &Finding) -> Summary {
    let (outcome, ours) = (&finding.outcome, &finding.ours);
    let server = finding.usage.map(|(before, after)| {
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        ServerUse {
            cpus: cpu / (after.at - before.at).as_secs_f64(),
            deliveries_per_cpu_second: (cpu > 0.0).then(|| outcome.deliveries as f64 / cpu),
            resident_bytes_before: before.resident_bytes,
            resident_bytes_after: after.resident_bytes,
        }
    });
    let latency = Percentiles::of(&outcome.latency);
    let lateness = Percentiles::of(&outcome.lateness);
    let load_limits = load_limits(&outcome.threads, latency.as_ref(), lateness.as_ref(), 0);
    let disagreements = books::disagreements(ours, finding.server.as_ref(), settings.mode);
    let wrong = finding.doubled + finding.reordered + finding.corrupted + finding.broken;
    Summary {
        deliveries_per_second: outcome.deliveries as f64 / settings.duration_s,
        lines_per_second: outcome.lines as f64 / settings.duration_s,
        latency_ns: latency,
        lateness_ns: lateness,
        server,
        load_threads: outcome.threads.iter().map(Thread::of).collect(),
        load_limits,
        sent: ours.lines_sent,
        expected: ours.readers.expected,
        received: ours.readers.delivered + finding.doubled,
        lost: ours.readers.lost,
        doubled: finding.doubled,
        reordered: finding.reordered,
        corrupted: finding.corrupted,
        broken: finding.broken,
        unfinished: outcome.unfinished,
        stalls: outcome.stalls,
        slow: ours.slow,
        notices: ours.notices,
        server_counts: finding.server,
        total_faults: wrong + disagreements.len() as u64,
        disagreements,
        first_complaint: finding.complaint.clone(),
    }
}

fn table(report: &Report<Settings, Summary>) -> String {
    let result = &report.result;
    let mut text = heading(&report.settings);
    text.push_str(PERCENTILE_HEADER);
    for (name, percentiles) in [
        ("delivery", &result.latency_ns),
        ("sent late", &result.lateness_ns),
    ] {
        if let Some(percentiles) = percentiles {
            text.push_str(&percentiles.row(name));
        }
    }
    text.push_str(&format!(
        "\n{:.0} deliveries/s of {:.0} lines/s\n",
        result.deliveries_per_second, result.lines_per_second
    ));
    if let Some(server) = &result.server {
        let per_second = server
            .deliveries_per_cpu_second
            .map_or_else(|| "unknown".to_owned(), |number| format!("{number:.0}"));
        text.push_str(&format!(
            "server: {per_second} deliveries per CPU second, {:.2} CPUs, {} resident (before: {})\n",
            server.cpus,
            bytes(server.resident_bytes_after),
            bytes(server.resident_bytes_before),
        ));
    }
    text.push_str(&accounts(&report.settings, result));
    if result.unfinished > 0 {
        text.push_str(&format!(
            "OVERLOAD: {} lines were never sent, or deliveries too late to be measured\n",
            result.unfinished
        ));
    }
    for limit in &result.load_limits {
        text.push_str(&format!("THE LOAD SIDE MAY BE THE LIMIT: {limit}\n"));
    }
    if let Some(note) = &report.settings.server_note {
        text.push_str(&format!("NOTE: {note}\n"));
    }
    for (count, what) in [
        (result.doubled, "doubled"),
        (result.reordered, "reordered"),
        (result.corrupted, "corrupted"),
        (result.broken, "connections broken"),
    ] {
        if count > 0 {
            text.push_str(&format!("FAULTS: {count} {what}\n"));
        }
    }
    for disagreement in &result.disagreements {
        text.push_str(&format!("THE BOOKS DO NOT CLOSE: {disagreement}\n"));
    }
    if let Some(complaint) = &result.first_complaint {
        text.push_str(&format!("FIRST WRONG LINE: {complaint}\n"));
    }
    text
}

/// Who should have got what, and has.
fn accounts(settings: &Settings, result: &Summary) -> String {
    let mut text = format!(
        "\nwhole run: {} lines sent, {} deliveries expected, {} received, {} lost\n",
        result.sent, result.expected, result.received, result.lost
    );
    if settings.slow > 0 {
        text.push_str(&format!(
            "slow clients: {} deliveries expected, {} received in the end, {} lost\n",
            result.slow.expected, result.slow.delivered, result.slow.lost
        ));
    }
    if result.stalls > 0 {
        text.push_str(&format!(
            "{} times a sender went on without its neighbour\n",
            result.stalls
        ));
    }
    let books = match (&result.server_counts, settings.mode) {
        (Some(_), _) if result.disagreements.is_empty() => "the server's own account agrees",
        (Some(_), _) => "the server's own account does not agree",
        (None, Mode::Lossless) => "the server's own account is not known",
        (None, Mode::BestEffort) => {
            "the server's own account is not known: nobody knows whether it counted what is lost"
        }
    };
    text.push_str(books);
    text.push('\n');
    text
}

/// What was run, in two lines.
fn heading(settings: &Settings) -> String {
    let mode = match settings.rate {
        0.0 => format!("closed loop, pipeline {}", settings.pipeline),
        rate => format!("open loop at {rate} lines/s"),
    };
    format!(
        "fanout: {}\n{}, clients {}, senders {}, slow {}, lines of {} bytes, {mode}, \
         {} s after {} s of warm-up, load threads {}\n\n",
        settings.server,
        settings.mode.name(),
        settings.clients,
        settings.senders,
        settings.slow,
        settings.size_bytes,
        settings.duration_s,
        settings.warmup_s,
        settings.threads,
    )
}
