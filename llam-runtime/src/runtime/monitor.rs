//! The monitor: one thread per process that watches running runtimes.
//!
//! It sees to two things that no worker can: fresh tasks behind a task that keeps its
//! worker (it wakes a helper), and deadlocks (`abi.md` 5.1.6). It looks every 10 ms while
//! something moves and every 50 ms while everything sleeps.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::Runtime;

const BUSY_PERIOD: Duration = Duration::from_millis(10);
const QUIET_PERIOD: Duration = Duration::from_millis(50);
/// Looks without any movement after which a hopeless runtime counts as deadlocked.
const HOPELESS_LOOKS: u32 = 2;

struct Watched {
    runtime: &'static Runtime,
    heartbeats: Vec<u64>,
    hopeless: u32,
}

struct Watchlist {
    runtimes: Vec<Watched>,
    thread_runs: bool,
}

static WATCHLIST: Mutex<Watchlist> = Mutex::new(Watchlist {
    runtimes: Vec::new(),
    thread_runs: false,
});
static CHANGED: Condvar = Condvar::new();

/// Keeps a runtime watched while it runs.
pub(super) struct Watch(&'static Runtime);

/// Watches a runtime until the value is dropped.
pub(super) fn watch(runtime: &'static Runtime) -> Watch {
    let mut list = WATCHLIST.lock();
    list.runtimes.push(Watched {
        runtime,
        heartbeats: vec![0; runtime.workers().len()],
        hopeless: 0,
    });
    if list.thread_runs {
        CHANGED.notify_one();
    } else {
        let started = thread::Builder::new()
            .name("llam-monitor".into())
            .stack_size(128 * 1024)
            .spawn(monitor);
        match started {
            Ok(_) => list.thread_runs = true,
            Err(error) => eprintln!("llam: the monitor cannot be started: {error}"),
        }
    }
    Watch(runtime)
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Waits for a look in progress, so nothing is looked at after the run.
        WATCHLIST
            .lock()
            .runtimes
            .retain(|watched| !std::ptr::eq(watched.runtime, self.0));
    }
}

fn monitor() {
    crate::object::signal::block_all();
    let mut list = WATCHLIST.lock();
    loop {
        if list.runtimes.is_empty() {
            CHANGED.wait(&mut list);
            continue;
        }
        let moving = list
            .runtimes
            .iter_mut()
            .map(Watched::look)
            // Every runtime is looked at, whatever the others do.
            .filter(|moves| *moves)
            .count();
        let period = if moving > 0 {
            BUSY_PERIOD
        } else {
            QUIET_PERIOD
        };
        CHANGED.wait_for(&mut list, period);
    }
}

impl Watched {
    /// One look; true when something moves.
    fn look(&mut self) -> bool {
        let mut moving = false;
        let mut stuck = false;
        for (worker, last) in self.runtime.workers().iter().zip(&mut self.heartbeats) {
            let beat = worker.heartbeat();
            let asleep = worker.is_sleeping() || !worker.online.load(Ordering::Acquire);
            stuck |= !asleep && beat == *last && worker.has_fresh();
            moving |= !asleep || beat != *last;
            *last = beat;
        }
        if stuck && self.runtime.has_idle_worker() {
            self.runtime.wake_helper();
        }
        self.hopeless = if moving || !self.runtime.is_hopeless() {
            0
        } else {
            self.hopeless + 1
        };
        if self.hopeless == HOPELESS_LOOKS && self.runtime.fatal() == 0 {
            self.runtime.fail(libc::EDEADLK);
        }
        moving
    }
}

impl Runtime {
    /// Every live task waits for another live task, and nothing is queued anywhere.
    fn is_hopeless(&self) -> bool {
        let live = self.live_tasks();
        live > 0
            && self.injected() == 0
            && self.outside.load(Ordering::Acquire) == 0
            && self
                .all_workers()
                .iter()
                .map(|worker| worker.internal_waits())
                .sum::<usize>()
                == live
            && !self
                .all_workers()
                .iter()
                .any(|worker| worker.has_fresh() || worker.has_remote())
    }
}
