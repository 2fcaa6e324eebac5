//! The command line.
//!
//! Owns every option with its default, unit and bounds, so that the subcommands get values they can
//! use as they are. Read by `main`.

use crate::compare::CompareArguments;
use crate::load::payload;
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
}

/// Which server is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArguments {
    /// A running server; without it the echo example is started and stopped again
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<SocketAddr>,
    /// The running server's process on this machine, for CPU time and memory
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
pub(crate) struct EchoArguments {
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    /// Requests per second over all connections; 0: as fast as answers come
    #[arg(long, value_name = "R", default_value_t = 0.0, value_parser = parse_rate)]
    pub(crate) rate: f64,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,
    /// Bytes of a message, at least 16
    #[arg(long, value_name = "BYTES", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(payload::MIN_BYTES as i64..=16 << 20))]
    pub(crate) size: u32,
    /// Requests that a connection has open at most
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) pipeline: u32,
    /// Time that is measured, like 10s or 500ms
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    pub(crate) duration: Duration,
    /// Time before that, with the same load
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_time_or_zero)]
    pub(crate) warmup: Duration,
    /// Threads of the load side
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) threads: u32,
    /// Requests after which a connection is closed and made again
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) churn: Option<u64>,
    /// A request that is open for so long is lost
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    pub(crate) timeout: Duration,
    /// Write the latencies of each second to a histogram log
    #[arg(long, value_name = "FILE")]
    pub(crate) hlog: Option<PathBuf>,
    /// Print JSON in place of the table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct IdleArguments {
    #[command(flatten)]
    pub(crate) server: ServerArguments,
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
    /// One run of one memory row in this process, which prints bytes per task
    #[arg(long, hide = true, value_name = "TASKS", conflicts_with_all = ["only", "list", "json"])]
    pub(crate) park: Option<u32>,
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
            &["rt", "--runs", "0"],
            &["sweep"],
            &[],
        ] {
            let words = ["llam-bench"].iter().chain(bad);
            assert!(Arguments::try_parse_from(words).is_err(), "{bad:?}");
        }
    }
}
