//! The load side: requests over many connections from a few threads, each with its own epoll.
//!
//! | file | holds |
//! |---|---|
//! | `payload` | the bytes of a message |
//! | `protocol` | what requests and answers look like: echo, HTTP |
//! | `ledger` | what a connection asked for and got back |
//! | `connection` | one socket: partial writes, what it was asked and answered |
//! | `source` | local addresses and ports |
//! | `schedule` | when requests are due in an open loop |
//! | `clock` | waking a load thread, and how busy it was |
//! | `loader` | one load thread |
//! | `outcome` | what was measured |
//!
//! This file owns the run as a whole: connecting, starting all threads at one instant, sampling the
//! server when the measured window opens and closes, and merging. It uses no part of llam, so that
//! what it measures cannot slow it down. Called by
//! `throughput` and `sweep`; `fanout` uses parts of it.

mod clock;
mod connection;
mod ledger;
mod loader;
mod outcome;
pub(crate) mod payload;
mod protocol;
mod schedule;
pub(crate) mod source;

pub(crate) use clock::{ThreadClock, Timer};
pub(crate) use ledger::{Answer, Faults};
pub(crate) use outcome::{Outcome, ThreadLoad, histogram, record};
pub(crate) use protocol::{Exchange, Protocol};
pub(crate) use schedule::{Schedule, Window};

use crate::process::Usage;
use crate::progress::Progress;
use loader::Loader;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// How long one of the first connections may take.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// From the moment everything is connected to the first request.
pub(crate) const LEAD: Duration = Duration::from_millis(5);

/// What a run does.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
    pub(crate) protocol: Protocol,
    /// Requests that a connection has open at most.
    pub(crate) pipeline: usize,
    /// Requests per second over all connections; `None` is a closed loop.
    pub(crate) rate: Option<f64>,
    /// Requests after which a connection is closed and made again.
    pub(crate) churn: Option<u64>,
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
    /// A request that is open for so long is lost.
    pub(crate) timeout: Duration,
    /// One histogram per second beside the whole.
    pub(crate) has_intervals: bool,
}

impl Plan {
    fn window(&self, start: Instant) -> Window {
        Window::new(start, self.warmup, self.duration)
    }
}

/// Numbers for connections: each is used once in a run.
#[derive(Debug, Default)]
struct Numbers(AtomicU32);

impl Numbers {
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) outcome: Outcome,
    /// The server, when the measured window opened and when it closed.
    pub(crate) server: Option<(Usage, Usage)>,
}

/// Runs a plan. `sample` looks at the server; an error is one phrase.
pub(crate) fn run(
    plan: &Plan,
    sample: impl Fn() -> Result<Option<Usage>, String>,
    progress: &Progress,
) -> Result<Measured, String> {
    let answers = Arc::new(AtomicU64::new(0));
    let numbers = Arc::new(Numbers::default());
    // All threads and this one meet when everything is connected; the window follows from then.
    let ready = Arc::new(Barrier::new(plan.threads + 1));
    let window = Arc::new(OnceLock::new());
    let mut loaders = Vec::new();
    progress.phase("connecting", plan.connections as u64);
    for slots in split(plan.connections, plan.threads) {
        loaders.push(Loader::connect(
            plan.clone(),
            slots,
            numbers.clone(),
            answers.clone(),
            progress,
        )?);
    }
    let threads: Vec<_> = loaders
        .into_iter()
        .map(|loader| {
            let (ready, window) = (ready.clone(), window.clone());
            thread::spawn(move || {
                ready.wait();
                loader.run(*window.wait())
            })
        })
        .collect();
    ready.wait();
    let chosen = *window.get_or_init(|| plan.window(Instant::now() + LEAD));
    let answered = || answers.load(Ordering::Relaxed);
    let server = watch(chosen, sample, progress, "answers", answered);
    let mut outcome = Outcome::new(plan, chosen);
    for thread in threads {
        let result = thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        outcome.merge(&result.map_err(|error| format!("load thread failed: {error}"))?);
    }
    Ok(Measured { outcome, server })
}

/// Samples the server at both ends of the window; meanwhile shows how many `things` are done.
pub(crate) fn watch(
    window: Window,
    sample: impl Fn() -> Result<Option<Usage>, String>,
    progress: &Progress,
    things: &'static str,
    done: impl Fn() -> u64,
) -> Option<(Usage, Usage)> {
    let Window {
        start,
        measure_from,
        end,
    } = window;
    // A server that has died is no reason to lose what was seen of it.
    let sample = || {
        sample().unwrap_or_else(|error| {
            eprintln!("llam-bench: {error}");
            None
        })
    };
    progress.sleep("warm-up", start, measure_from, things, &done);
    let before = sample();
    progress.sleep("measuring", measure_from, end, things, &done);
    before.zip(sample())
}

/// The connections of each thread: contiguous ranges that differ by one at most.
pub(crate) fn split(connections: usize, threads: usize) -> Vec<std::ops::Range<usize>> {
    (0..threads)
        .map(|thread| {
            let bound = |thread: usize| connections * thread / threads;
            bound(thread)..bound(thread + 1)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_has_one_thread() {
        for (connections, threads) in [(1, 1), (7, 3), (512, 2), (4, 4)] {
            let ranges = split(connections, threads);
            assert_eq!(ranges.len(), threads);
            assert!(ranges.iter().all(|range| !range.is_empty()));
            let all: Vec<_> = ranges.into_iter().flatten().collect();
            assert_eq!(all, (0..connections).collect::<Vec<_>>());
        }
    }
}
