//! `llam-bench sweep`: latency at more and more of the rate that a server can do at most.
//!
//! Invariant: all runs are on one server process, one after the other, each on connections of its own; a
//! run with faults, or at a rate that the server did not keep, is the last. Called by `main`.

use crate::args::{LoadArguments, SweepArguments, SweepCommand};
use crate::load::{self, Plan};
use crate::machine::Machine;
use crate::program::Program;
use crate::progress::Progress;
use crate::report::{Percentiles, Report, time};
use crate::requests::Requests;
use crate::server::Server;
use crate::throughput::{self, LoadSettings, Summary};
use serde::Serialize;
use std::net::SocketAddr;

/// A rate counts as kept when this share of its requests was answered within the window, apart from one on
/// each connection that may have been under way when the window closed.
const KEPT_SHARE: f64 = 0.98;

#[derive(Debug, Serialize)]
struct Settings {
    #[serde(flatten)]
    load: LoadSettings,
    protocol: &'static str,
    /// Percents of the peak.
    shares: Vec<u32>,
}

#[derive(Debug, Serialize)]
struct Sweep {
    /// Of the closed loop.
    peak_requests_per_second: f64,
    /// Why the peak may be the load side's and not the server's.
    peak_load_limits: Vec<String>,
    points: Vec<Point>,
    /// Why it ended before the last share.
    stopped: Option<String>,
    faults: load::Faults,
    total_faults: u64,
    first_complaint: Option<String>,
}

/// One open loop.
#[derive(Debug, Serialize)]
struct Point {
    /// Percent of the peak.
    share: u32,
    /// Requests per second asked for.
    rate: f64,
    requests_per_second: f64,
    is_kept: bool,
    /// Requests that were due and never sent, or still open in the end.
    unfinished: u64,
    latency_ns: Option<Percentiles>,
    load_limits: Vec<String>,
}

pub(crate) fn run(command: &SweepCommand) -> Result<(), String> {
    match command {
        SweepCommand::Echo { sweep, requests } => {
            run_protocol("echo", Program::Echo, sweep, |_| Requests::echo(requests))
        }
        SweepCommand::Http { sweep, requests } => {
            run_protocol("http", Program::Http, sweep, |address| {
                Requests::http(requests, address)
            })
        }
    }
}

fn run_protocol(
    protocol: &'static str,
    program: Program,
    arguments: &SweepArguments,
    requests: impl FnOnce(SocketAddr) -> Requests,
) -> Result<(), String> {
    let load = &arguments.load;
    let server = throughput::server(load, program)?;
    let requests = requests(server.address);
    let result = sweep(load, &arguments.shares, &requests, &server)?;
    let report = Report {
        benchmark: "sweep",
        machine: Machine::here(),
        settings: Settings {
            load: throughput::settings(load, requests, &server),
            protocol,
            shares: arguments.shares.clone(),
        },
        result,
    };
    report.print(load.json, table)?;
    server.stop()?;
    throughput::failure(report.result.total_faults, protocol)
}

/// The peak, then a point for each share while the server keeps up.
fn sweep(
    load: &LoadArguments,
    shares: &[u32],
    requests: &Requests,
    server: &Server,
) -> Result<Sweep, String> {
    let progress = Progress::new(load.json, load.progress);
    let measure = |name: &str, rate: Option<f64>| {
        progress.part(name);
        let plan = Plan {
            rate,
            ..throughput::plan(load, requests, server.address)
        };
        let measured = load::run(&plan, || server.usage(), &progress)?;
        Ok::<_, String>(throughput::summary(&plan, &measured))
    };
    let peak = measure("peak", None)?;
    let mut sweep = Sweep::after(peak);
    for share in shares {
        if sweep.stopped.is_some() {
            break;
        }
        let rate = sweep.peak_requests_per_second * f64::from(*share) / 100.0;
        let summary = measure(&format!("{share} %"), Some(rate))?;
        let due = rate * load.duration.as_secs_f64();
        let answered = (summary.answers + u64::from(load.connections)) as f64;
        let is_kept = summary.unfinished == 0 && answered >= due * KEPT_SHARE;
        sweep.add(*share, rate, is_kept, summary);
    }
    Ok(sweep)
}

impl Sweep {
    fn after(peak: Summary) -> Self {
        let mut sweep = Self {
            peak_requests_per_second: peak.requests_per_second,
            peak_load_limits: peak.load_limits,
            points: Vec::new(),
            stopped: (peak.answers == 0).then(|| "nothing was answered".to_owned()),
            faults: load::Faults::default(),
            total_faults: 0,
            first_complaint: None,
        };
        sweep.count_faults("at the peak", peak.faults, peak.first_complaint);
        sweep
    }

    fn add(&mut self, share: u32, rate: f64, is_kept: bool, summary: Summary) {
        if !is_kept {
            self.stopped = Some(format!(
                "the server did not keep {share} % of its peak: {:.0} of {rate:.0} requests/s",
                summary.requests_per_second
            ));
        }
        self.points.push(Point {
            share,
            rate,
            requests_per_second: summary.requests_per_second,
            is_kept,
            unfinished: summary.unfinished,
            latency_ns: summary.latency_ns,
            load_limits: summary.load_limits,
        });
        let place = format!("at {share} %");
        self.count_faults(&place, summary.faults, summary.first_complaint);
    }

    fn count_faults(&mut self, place: &str, faults: load::Faults, complaint: Option<String>) {
        self.faults += faults;
        self.total_faults = self.faults.total();
        if faults.total() > 0 {
            self.stopped = Some(format!("there were faults {place}"));
            self.first_complaint = complaint;
        }
    }
}

fn table(report: &Report<Settings, Sweep>) -> String {
    let (settings, result) = (&report.settings, &report.result);
    let mut text = format!(
        "sweep {}: {}\n{}\n\npeak {:.0} requests/s (closed loop)\n",
        settings.protocol,
        settings.load.server,
        settings.load.description(),
        result.peak_requests_per_second
    );
    for limit in &result.peak_load_limits {
        text.push_str(&format!(
            "THE LOAD SIDE MAY BE THE LIMIT OF THE PEAK: {limit}\n"
        ));
    }
    text.push_str(&format!("\n{:>6}{:>11}{:>11}", "share", "asked/s", "got/s"));
    for name in ["p50", "p90", "p99", "p99.9", "p99.99", "max"] {
        text.push_str(&format!("{name:>10}"));
    }
    text.push('\n');
    for point in &result.points {
        text.push_str(&format!(
            "{:>4} %{:>11.0}{:>11.0}",
            point.share, point.rate, point.requests_per_second
        ));
        if let Some(latency) = &point.latency_ns {
            for ns in [
                latency.p50,
                latency.p90,
                latency.p99,
                latency.p99_9,
                latency.p99_99,
                latency.max,
            ] {
                text.push_str(&format!("{:>10}", time(ns)));
            }
        }
        text.push('\n');
        for limit in &point.load_limits {
            text.push_str(&format!("       THE LOAD SIDE MAY BE THE LIMIT: {limit}\n"));
        }
    }
    if let Some(why) = &result.stopped {
        text.push_str(&format!("STOPPED: {why}\n"));
    }
    if let Some(note) = &settings.load.server_note {
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
