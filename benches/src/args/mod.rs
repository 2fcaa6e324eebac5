//! The command line.
//!
//! Owns every option with its default, unit and bounds, so that the subcommands get values they can
//! use as they are. `load` and `fanout` hold the options of loads, `serve` those of
//! a server. Read by `main`.

mod fanout;
mod load;
mod serve;

pub(crate) use fanout::{FanoutArguments, Mode};
pub(crate) use load::{
    EchoArguments, EchoRequests, HttpArguments, HttpRequests, LoadArguments, RunArguments,
    SweepArguments, SweepCommand,
};
pub(crate) use serve::{ServeCommand, ServeHttpArguments};

use crate::compare::CompareArguments;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Measures servers under load, idle connections, and the operations of the llam runtime.
#[derive(Debug, Parser)]
#[command(name = "llam-bench", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Write the result as a page as well: one HTML file that needs nothing beside itself
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) report: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load on an echo server; every byte of every answer is checked
    ///
    /// With --rate 0 each connection sends as soon as it has its answer (closed loop): that finds
    /// the peak. With --rate R requests are due at fixed times whatever the server does (open loop), and
    /// latency counts from then: that is what users of a busy server see.
    Echo(EchoArguments),
    /// Load on an HTTP/1.1 server; every byte of every answer is checked
    ///
    /// As echo, with GET requests over kept connections. Each answer must be a well-formed 200 whose body is that
    /// of the first one, or --expect-body. Such answers do not say to which request they belong: one that
    /// is dropped or too many shows, two that are swapped do not. With --echo each request posts a
    /// message of its own that must come back, so that these show as well.
    Http(HttpArguments),
    /// Latency at more and more of the peak rate, of an echo or HTTP server
    ///
    /// First as fast as answers come, which gives the peak; then at fixed rates that are shares of it,
    /// each with its own warm-up and window on new connections. It ends early when the server cannot
    /// keep a rate.
    #[command(subcommand)]
    Sweep(SweepCommand),
    /// A chat room: lines of a few go to all, and every delivery is accounted for
    ///
    /// It speaks the line protocol of the chat example, which it starts if there is no --address. Every line carries
    /// its sender, its number and a check, so that lost, doubled, reordered and corrupted deliveries are
    /// told apart. In the end our account is compared with the server's own, where that prints one.
    Fanout(FanoutArguments),
    /// Memory of idle connections, and whether they still answer
    Idle(IdleArguments),
    /// The runtime's operations: spawn, yield, channels, select, mutex, sleep, memory of tasks
    Rt(RtArguments),
    /// llam beside its rivals: interleaved samples, medians with spread, ratios
    ///
    /// cargo xtask rivals builds the rivals first. Each sample has a server and a load in new processes,
    /// pinned to CPUs of their own where there are enough. A sample with faults is in no figure; one
    /// that something else on the machine disturbed is taken again a few times and marked if that did not help.
    Compare(Box<CompareArguments>),
    /// A server to be measured
    #[command(subcommand)]
    Serve(ServeCommand),
}

/// Which server is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArguments {
    /// A running server; without it one of llam is started and stopped again
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<SocketAddr>,
    /// The running server's process on this machine, for CPU time and memory; its descendants count as well
    #[arg(long, value_name = "PID", requires = "address")]
    pub(crate) pid: Option<u32>,
    /// Workers of the started server [default: one per CPU]
    #[arg(long, value_name = "N", conflicts_with = "address",
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) server_workers: Option<u32>,
    /// Profile of the started server's runtime
    #[arg(long, value_enum, default_value_t = Profile::IoLatency, conflicts_with = "address")]
    pub(crate) profile: Profile,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct IdleArguments {
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    /// What the connections are used for, once before they are idle and once afterwards
    #[arg(long, value_enum, default_value_t = IdleProtocol::Echo)]
    pub(crate) protocol: IdleProtocol,
    /// Idle connections
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    pub(crate) connections: u32,
    /// How many of them are used in the end
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) sample: u32,
    /// Print JSON in place of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Show on a terminal's standard error how far the run is, with --json as well
    #[arg(long)]
    pub(crate) progress: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct RtArguments {
    /// Workers of the runtime (LLAM_WORKERS in the environment overrides it)
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: u32,
    /// Profile of the runtime (LLAM_RUNTIME_PROFILE in the environment overrides it)
    #[arg(long, value_enum, default_value_t = Profile::IoLatency)]
    pub(crate) profile: Profile,
    /// Measured runs of each row, after one that is thrown away
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) runs: u32,
    /// Divide all counts by this, for a quick look
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) divide: u32,
    /// Only rows whose name contains this; can be given several times
    #[arg(long, value_name = "TEXT")]
    pub(crate) only: Vec<String>,
    /// Print the names of the rows and exit
    #[arg(long)]
    pub(crate) list: bool,
    /// Print JSON in place of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Show on a terminal's standard error how far the run is, with --json as well
    #[arg(long)]
    pub(crate) progress: bool,
    /// One run of one memory row in this process, which prints bytes per task
    #[arg(long, hide = true, value_name = "TASKS", conflicts_with_all = ["only", "list", "json"])]
    pub(crate) park: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum IdleProtocol {
    Echo,
    /// GET /plaintext over HTTP/1.1.
    Http,
}

/// What a runtime is tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Profile {
    Balanced,
    ReleaseFast,
    DebugSafe,
    IoLatency,
}

impl Profile {
    /// The value of `LLAM_RUNTIME_PROFILE`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Balanced => "balanced",
            Self::ReleaseFast => "release-fast",
            Self::DebugSafe => "debug-safe",
            Self::IoLatency => "io-latency",
        }
    }

    pub(crate) fn of_llam(self) -> llam::Profile {
        match self {
            Self::Balanced => llam::Profile::Balanced,
            Self::ReleaseFast => llam::Profile::ReleaseFast,
            Self::DebugSafe => llam::Profile::DebugSafe,
            Self::IoLatency => llam::Profile::IoLatency,
        }
    }
}

pub(crate) fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate == 0.0 || (0.001..=1e9).contains(&rate) => Ok(rate),
        _ => Err("not 0 and not a number from 0.001 to 1000000000".to_owned()),
    }
}

/// At most an hour, so that no sum of times overflows.
fn parse_time_or_zero(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    match number.parse::<f64>() {
        Ok(number) if (0.0..=3600.0).contains(&(number * unit)) => {
            Ok(Duration::from_secs_f64(number * unit))
        }
        _ => Err("not a time from 0 to 3600s, like 10s or 500ms".to_owned()),
    }
}

pub(crate) fn parse_time(text: &str) -> Result<Duration, String> {
    let time = parse_time_or_zero(text)?;
    if time < Duration::from_millis(1) {
        return Err("less than a millisecond".to_owned());
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_time("2"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_time_or_zero("0s"), Ok(Duration::ZERO));
        for bad in ["0s", "", "s", "-1s", "3601s", "1m", "nan", "inf"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bad_options_are_refused() {
        for bad in [
            &["echo", "--size", "15"][..],
            &["echo", "--rate", "-1"],
            &["echo", "--rate", "nan"],
            &["echo", "--pid", "1"],
            &["echo", "--address", "localhost"],
            &["echo", "--address", "127.0.0.1:1", "--server-workers", "2"],
            &["echo", "--connections", "0"],
            &["http", "--path", "/a b"],
            &["http", "--host", ""],
            &["http", "--size", "64"],
            &["http", "--echo", "--expect-body", "x"],
            &["fanout", "--size", "51"],
            &["fanout", "--clients", "1"],
            &["serve"],
            &["serve", "http", "--workers", "0"],
            &["rt", "--runs", "0"],
            &["sweep"],
            &["sweep", "echo", "--rate", "5"],
            &["sweep", "http", "--shares", "0"],
            &[],
        ] {
            let words = ["llam-bench"].iter().chain(bad);
            assert!(Arguments::try_parse_from(words).is_err(), "{bad:?}");
        }
    }
}
