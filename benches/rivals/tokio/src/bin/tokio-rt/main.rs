//! The operations of tokio, as `llam-bench rt` times those of llam.
//!
//! `--multi` takes the multi-thread runtime for one worker too. `--crates` has only the rows for which
//! tokio's users turn to other crates, done with those; see `choice`.
//!
//! | file | holds |
//! |---|---|
//! | `choice` | tokio's own yield and channel, and those of other crates |
//! | `tasks` | spawn, join, yield, sleep |
//! | `channels` | channels, select, mutex |
//! | `memory` | what a parked task keeps resident |
#![forbid(unsafe_code)]

mod channels;
mod choice;
mod memory;
mod tasks;

use choice::{AsyncChannel, Own, SelfWaking};
use rival_common::rt::{self, Arguments, CROWD, Timed};
use std::future::Future;

fn main() {
    let arguments = Arguments::parse(&["multi", "crates"]);
    let takes_crates = arguments.has_flag("crates");
    let max_parked = if takes_crates { 0 } else { u32::MAX };
    rt::main(&arguments, max_parked, || Tokio {
        runtime: rival_tokio::runtime(arguments.workers, arguments.has_flag("multi")),
        takes_crates,
    });
}

struct Tokio {
    runtime: tokio::runtime::Runtime,
    takes_crates: bool,
}

impl Tokio {
    /// Runs in a task. The future of `block_on` itself is none, and with the multi-thread runtime it is
    /// not on a worker either.
    fn in_task<T: Send + 'static>(&self, body: impl Future<Output = T> + Send + 'static) -> T {
        let task = self.runtime.spawn(body);
        self.runtime
            .block_on(task)
            .unwrap_or_else(|error| rival_common::fail(error))
    }

    fn run_own(&self, row: &str, operations: u64) -> Option<Timed> {
        Some(match row {
            "spawn-join" => self.in_task(tasks::spawn_join(operations)),
            "spawn-join-batch" => self.in_task(tasks::spawn_join_batch(operations)),
            "yield-2" => self.in_task(tasks::yield_among::<Own>(2, operations)),
            "yield-10000" => self.in_task(tasks::yield_among::<Own>(CROWD, operations)),
            "channel-ping-pong" => self.in_task(channels::ping_pong::<Own>(operations)),
            "channel-stream" => self.in_task(channels::stream::<Own>(operations)),
            "select-default" => self.in_task(channels::select_default(operations)),
            "mutex-contended" => self.in_task(channels::mutex_contended::<Own>(operations)),
            "sleep-100000" => self.in_task(tasks::sleep_fan_out(operations)),
            _ => return None,
        })
    }

    fn run_crates(&self, row: &str, operations: u64) -> Option<Timed> {
        Some(match row {
            "yield-2" => self.in_task(tasks::yield_among::<SelfWaking>(2, operations)),
            "yield-10000" => self.in_task(tasks::yield_among::<SelfWaking>(CROWD, operations)),
            "channel-ping-pong" => self.in_task(channels::ping_pong::<AsyncChannel>(operations)),
            "channel-stream" => self.in_task(channels::stream::<AsyncChannel>(operations)),
            "mutex-contended" => self.in_task(channels::mutex_contended::<SelfWaking>(operations)),
            _ => return None,
        })
    }
}

impl rt::Runtime for Tokio {
    fn run(&self, row: &str, operations: u64) -> Option<Timed> {
        if self.takes_crates {
            self.run_crates(row, operations)
        } else {
            self.run_own(row, operations)
        }
    }

    fn park(&self, tasks: u32) -> f64 {
        self.in_task(memory::park(tasks))
    }
}
