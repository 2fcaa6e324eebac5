//! The options of `fanout`.

use super::{ServerArguments, parse_rate, parse_time, parse_time_or_zero};
use crate::fanout::line;
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::time::Duration;

/// Senders when their number is not given and there are as many clients.
const SENDERS: u32 = 8;

#[derive(Debug, Clone, Args)]
pub(crate) struct FanoutArguments {
    #[command(flatten)]
    pub(crate) server: ServerArguments,
    /// What the server does for a client that reads too slowly; one at --address must be told itself
    #[arg(long, value_enum, default_value_t = Mode::Lossless)]
    pub(crate) mode: Mode,
    /// Clients that read, at least two for each thread
    #[arg(long, value_name = "N", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) clients: u32,
    /// How many of them send [default: 8, or all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) senders: Option<u32>,
    /// Further clients that never read while the load runs; needs --mode best-effort
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(..=100_000))]
    pub(crate) slow: u32,
    /// Lines per second over all senders; 0: as fast as lines come through
    #[arg(long, value_name = "R", default_value_t = 0.0, value_parser = parse_rate)]
    pub(crate) rate: f64,
    /// With --rate 0: lines of a sender that its neighbour has not had yet, at most
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) pipeline: u32,
    /// Bytes of a line as it is sent, its end not counted, at least 52
    #[arg(long, value_name = "BYTES", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(line::MIN_BYTES as i64..=line::MAX_BYTES as i64))]
    pub(crate) size: u32,
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
    /// A lossless server that has delivered nothing for so long has lost what is missing
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_time)]
    pub(crate) timeout: Duration,
    /// Print JSON in place of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Show on a terminal's standard error how far the run is, with --json as well
    #[arg(long)]
    pub(crate) progress: bool,
}

impl FanoutArguments {
    pub(crate) fn senders(&self) -> u32 {
        self.senders.unwrap_or(SENDERS.min(self.clients))
    }
}

/// What a chat server does about a full outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// The sender waits.
    Lossless,
    /// The line is dropped for that client, and counted.
    BestEffort,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lossless => "lossless",
            Self::BestEffort => "best-effort",
        }
    }
}
