//! What a workload is, their list, and running one.
//!
//! The benches time them, `llam-instructions` counts their instructions.

mod connect;
mod io;
mod tasks;
mod time;

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use llam::{Profile, RuntimeBuilder};

/// How long a run may take before it counts as hanging; benches ask for a few seconds at most, and
/// valgrind is some fifty times slower.
const LIMIT: Duration = Duration::from_secs(120);

/// How a workload lets time pass.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// It waits.
    Real,
    /// It stands nearly still on the worker's thread, and is moved on.
    Held {
        /// Called on the worker's thread before the workload begins.
        hold: fn(),
        /// Moves the held time on.
        advance: fn(Duration),
    },
}

impl Clock {
    fn begin(self) {
        if let Self::Held { hold, .. } = self {
            hold();
        }
    }

    /// Lets this much time pass for the tasks that sleep.
    fn pass(self, duration: Duration) -> llam::Result<()> {
        match self {
            Self::Real => llam::time::sleep(duration),
            Self::Held { advance, .. } => {
                advance(duration);
                Ok(())
            }
        }
    }
}

/// An operation that is done again and again.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Its row in tables.
    pub name: &'static str,
    /// What is counted as one operation.
    pub operation: &'static str,
    /// It does a multiple of this many operations.
    pub granularity: u64,
    /// Does so many operations, checks them, and tells how long they took.
    body: fn(u64, Clock) -> llam::Result<Duration>,
}

/// All workloads.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "spawn-join",
        operation: "a task spawned and joined, one by one",
        granularity: 1,
        body: tasks::spawn_join,
    },
    Workload {
        name: "spawn-join-batch",
        operation: "a task spawned and joined, 1,000 at a time",
        granularity: tasks::BATCH,
        body: tasks::spawn_join_batch,
    },
    Workload {
        name: "yield-2",
        operation: "a yield, two tasks in turn",
        granularity: 2,
        body: tasks::yield_between_two,
    },
    Workload {
        name: "yield-1000",
        operation: "a yield, 1,000 tasks in turn",
        granularity: tasks::CROWD,
        body: tasks::yield_in_a_crowd,
    },
    Workload {
        name: "task-local-get",
        operation: "a value of the current task read",
        granularity: 1,
        body: tasks::task_local_get,
    },
    Workload {
        name: "channel-try",
        operation: "a value put into a channel and taken out, one task",
        granularity: 1,
        body: connect::channel_try,
    },
    Workload {
        name: "channel-ping-pong",
        operation: "a value there and one back, two tasks",
        granularity: 1,
        body: connect::channel_ping_pong,
    },
    Workload {
        name: "channel-stream",
        operation: "a value through a channel of 128, two tasks",
        granularity: 1,
        body: connect::channel_stream,
    },
    Workload {
        name: "select-default",
        operation: "a select of two empty channels and a default",
        granularity: 1,
        body: connect::select_default,
    },
    Workload {
        name: "mutex-uncontended",
        operation: "a lock and unlock, one task",
        granularity: 1,
        body: connect::mutex_uncontended,
    },
    Workload {
        name: "mutex-contended",
        operation: "a lock and unlock, 8 tasks that yield inside",
        granularity: connect::RIVALS,
        body: connect::mutex_contended,
    },
    Workload {
        name: "timeout-cancelled",
        operation: "a receive with a time limit that is met, two tasks",
        granularity: 1,
        body: time::timeout_cancelled,
    },
    Workload {
        name: "sleep-1000",
        operation: "a sleep to its end, 1,000 tasks asleep at once",
        granularity: time::SLEEPERS,
        body: time::sleep_in_a_crowd,
    },
    Workload {
        name: "echo-64",
        operation: "64 bytes there and back over a pair of sockets, two tasks",
        granularity: 1,
        body: io::echo,
    },
];

/// Runs a workload in a runtime of its own with one worker, on the calling thread.
///
/// # Errors
///
/// Those of starting a runtime, and those of the workload.
///
/// # Panics
///
/// When the workload did not do what it should have done. When it is not done after two minutes, the
/// process ends.
pub fn run(workload: Workload, operations: u64, clock: Clock) -> llam::Result<Duration> {
    let operations = operations.next_multiple_of(workload.granularity);
    let _watch = Watch::begin(workload.name);
    let (sender, elapsed) = mpsc::sync_channel(1);
    // Deterministic, because then it has one worker whatever the environment says.
    RuntimeBuilder::new()
        .deterministic(true)
        .profile(Profile::Balanced)
        .run(move || {
            clock.begin();
            // There is room for one, and the receiver outlives the runtime.
            let _ = sender.send((workload.body)(operations, clock)?);
            Ok(())
        })?;
    Ok(elapsed.recv().expect("a run that succeeds has sent"))
}

/// Ends the process when it lives too long: a task that hangs cannot be ended from outside.
struct Watch {
    /// Dropped first, which tells the thread to end.
    over: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Watch {
    fn begin(name: &'static str) -> Self {
        let (over, is_over) = mpsc::channel();
        let thread = thread::spawn(move || {
            if is_over.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{name} is not done after {LIMIT:?}");
                std::process::abort();
            }
        });
        Self {
            over: Some(over),
            thread: Some(thread),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.take();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the watching thread does not panic");
        }
    }
}

/// The sum of the numbers below `count`: what a loop over all of them must come to.
fn sum_below(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}
