//! The options of load: what every protocol has, and what `echo`, `http` and `sweep` add.

use super::{ServerArguments, parse_rate, parse_time, parse_time_or_zero};
use crate::load::payload;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

/// The shape of a load, whatever it consists of.
#[derive(Debug, Clone, Args)]
pub(crate) struct LoadArguments {
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) connections: u32,
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
    /// Print JSON in place of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Show on a terminal's standard error how far the run is, with --json as well
    #[arg(long)]
    pub(crate) progress: bool,
}

/// What a single run has beside the shape of its load.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArguments {
    /// Requests per second over all connections; 0: as fast as answers come
    #[arg(long, value_name = "R", default_value_t = 0.0, value_parser = parse_rate)]
    pub(crate) rate: f64,
    /// Write the latencies of each second to a histogram log
    #[arg(long, value_name = "FILE")]
    pub(crate) hlog: Option<PathBuf>,
}

/// What echo requests look like.
#[derive(Debug, Clone, Args)]
pub(crate) struct EchoRequests {
    /// Bytes of a message, at least 16
    #[arg(long, value_name = "BYTES", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(payload::MIN_BYTES as i64..=16 << 20))]
    pub(crate) size: u32,
}

/// What HTTP requests look like.
#[derive(Debug, Clone, Args)]
pub(crate) struct HttpRequests {
    /// What is asked for [default: /plaintext, with --echo /echo]
    #[arg(long, value_name = "PATH", value_parser = parse_target)]
    pub(crate) path: Option<String>,
    /// The Host header [default: the address]
    #[arg(long, value_name = "NAME", value_parser = parse_target)]
    pub(crate) host: Option<String>,
    /// The body that every answer must have [default: that of the first answer]
    #[arg(long, value_name = "TEXT", conflicts_with = "echo")]
    pub(crate) expect_body: Option<String>,
    /// POST a checked message that must come back, in place of GET: this also tells swapped
    /// answers apart
    #[arg(long)]
    pub(crate) echo: bool,
    /// Bytes of that message, at least 16
    #[arg(long, value_name = "BYTES", default_value_t = 64, requires = "echo",
          value_parser = clap::value_parser!(u32).range(payload::MIN_BYTES as i64..=16 << 20))]
    pub(crate) size: u32,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct EchoArguments {
    #[command(flatten)]
    pub(crate) load: LoadArguments,
    #[command(flatten)]
    pub(crate) run: RunArguments,
    #[command(flatten)]
    pub(crate) requests: EchoRequests,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct HttpArguments {
    #[command(flatten)]
    pub(crate) load: LoadArguments,
    #[command(flatten)]
    pub(crate) run: RunArguments,
    #[command(flatten)]
    pub(crate) requests: HttpRequests,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SweepCommand {
    /// Of an echo server
    Echo {
        #[command(flatten)]
        sweep: SweepArguments,
        #[command(flatten)]
        requests: EchoRequests,
    },
    /// Of an HTTP server
    Http {
        #[command(flatten)]
        sweep: SweepArguments,
        #[command(flatten)]
        requests: HttpRequests,
    },
}

/// The shape of each run of a sweep.
#[derive(Debug, Clone, Args)]
pub(crate) struct SweepArguments {
    #[command(flatten)]
    pub(crate) load: LoadArguments,
    /// Percents of the peak rate
    #[arg(long, value_name = "N,..", value_delimiter = ',',
          default_value = "10,20,30,40,50,60,70,80,90,95",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) shares: Vec<u32>,
}

/// A request target or a host: nothing that would end the line or begin another header.
fn parse_target(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("empty, or with characters other than printable ASCII without spaces".to_owned())
    }
}
