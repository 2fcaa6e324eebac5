//! What a worker does when it has nothing to run: poll a little, then sleep.
//!
//! The parking protocol is that of `sleep.rs`: announce, look once more, wait in the kernel.

use std::sync::atomic::Ordering;

use super::Worker;
use crate::clock::{NEVER, now_ns};
use crate::stack;

/// How long an idle worker sleeps at most while surplus stacks wait to be released.
const TRIM_PAUSE_NS: u64 = 10_000_000;

impl Worker {
    /// Waits until there may be something to do.
    pub(super) fn idle(&'static self) {
        if self.spin() {
            return;
        }
        let runtime = self.runtime();
        self.sleep.announce();
        runtime.worker_sleeps();
        if self.could_work() {
            // The driver was not asked on the way here.
            self.look_around();
        } else {
            self.sleep_in_driver();
        }
        self.sleep.wake_up();
        runtime.worker_wakes();
    }

    /// The second look of the parking protocol.
    fn could_work(&self) -> bool {
        let runtime = self.runtime();
        let anything = self.has_ready()
            || self.seat_wanted.load(Ordering::Acquire)
            || runtime.control() != self.control_seen.load(Ordering::Relaxed);
        if self.is_region() {
            return anything;
        }
        if anything || runtime.is_finished() {
            return true;
        }
        self.takes_fresh()
            && (runtime.injected() > 0 || runtime.workers().iter().any(|victim| victim.has_fresh()))
    }

    fn sleep_in_driver(&'static self) {
        let mut deadline = self.next_timer();
        if stack::trim() {
            deadline = deadline.min(now_ns() + TRIM_PAUSE_NS);
        }
        let timeout = match deadline {
            NEVER => None,
            deadline => Some(deadline.saturating_sub(now_ns())),
        };
        self.counters.idle_polls.bump();
        // SAFETY: owner access; the callback touches the run queue only.
        let driver = unsafe { self.driver() };
        driver.wait(timeout, &self.counters, &mut |task| self.complete(task));
        self.round_ns.set(now_ns());
        self.expire_timers();
    }

    /// Polls for as long as the options allow. True when something turned up.
    fn spin(&'static self) -> bool {
        let options = self.runtime().options();
        if options.idle_spin_ns == 0 {
            return false;
        }
        let began = now_ns();
        let end = began.saturating_add(options.idle_spin_ns);
        for _ in 0..options.idle_spin_max_iters {
            self.counters.idle_spin_loops.bump();
            if self.look_around() || self.could_work() {
                self.counters.idle_spin_hits.bump();
                self.counters.idle_spin_ns.add(self.round_ns.get() - began);
                return true;
            }
            if self.round_ns.get() >= end {
                break;
            }
            std::hint::spin_loop();
        }
        self.counters.idle_spin_fallbacks.bump();
        self.counters.idle_spin_ns.add(self.round_ns.get() - began);
        false
    }
}
