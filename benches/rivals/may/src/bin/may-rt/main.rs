//! The operations of may, as `llam-bench rt` times those of llam.
//!
//! may has no select with a default, so that row is left out. Its stacks are mapped one by one, two mappings
//! each with the guard; rows with more coroutines than the kernel allows mappings are left out.
//!
//! | file | holds |
//! |---|---|
//! | `tasks` | spawn, join, yield, sleep |
//! | `channels` | channels, mutex |
//! | `memory` | what a parked coroutine keeps resident |

mod channels;
mod memory;
mod tasks;

use may::go;
use rival_common::rt::{self, Arguments, BATCH, CROWD, Timed};

/// Mappings of a process by default, for a kernel that does not tell.
const USUAL_MAPPINGS: u32 = 65_530;
/// Mappings for all that is not a stack.
const OTHER_MAPPINGS: u32 = 2_000;
/// may takes 0 for its default.
const LEAST_POOL: usize = 1;

fn main() {
    let arguments = Arguments::parse(&[]);
    let max_coroutines = max_coroutines();
    // As many stacks as the rows with many coroutines use at once. Hardly any for the memory rows: stacks that are
    // there before would not be counted.
    let pool_capacity = if arguments.is_parking() {
        LEAST_POOL
    } else {
        BATCH as usize
    };
    rt::main(&arguments, max_coroutines, || {
        rival_may::configure(arguments.workers, pool_capacity);
        May { max_coroutines }
    });
}

fn max_coroutines() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    let mappings = text.trim().parse().unwrap_or(USUAL_MAPPINGS);
    mappings.saturating_sub(OTHER_MAPPINGS) / 2
}

struct May {
    max_coroutines: u32,
}

/// Runs in a coroutine.
fn in_coroutine<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let result = go!(body).join();
    result.unwrap_or_else(|_| rival_common::fail("a row failed its check"))
}

impl rt::Runtime for May {
    fn run(&self, row: &str, operations: u64) -> Option<Timed> {
        let row = match row {
            "spawn-join" => tasks::spawn_join,
            "spawn-join-batch" => tasks::spawn_join_batch,
            "yield-2" => |operations| tasks::yield_among(2, operations),
            "yield-10000" => |operations| tasks::yield_among(CROWD, operations),
            "channel-ping-pong" => channels::ping_pong,
            "channel-stream" => channels::stream,
            "mutex-contended" => channels::mutex_contended,
            "sleep-100000" if operations <= u64::from(self.max_coroutines) => tasks::sleep_fan_out,
            _ => return None,
        };
        Some(in_coroutine(move || row(operations)))
    }

    fn park(&self, tasks: u32) -> f64 {
        in_coroutine(move || memory::park(tasks))
    }
}
