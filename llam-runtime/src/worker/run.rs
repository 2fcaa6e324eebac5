//! The scheduler loop: which task runs next, how it starts, what happens when it ends.
//!
//! One scheduling round is up to `ROUND` task switches, or fewer when the queues run dry or
//! the tasks run long.
//! Between rounds the worker looks at its driver, its timers, the injector and control
//! requests, however busy it is (E8).

use std::sync::atomic::{AtomicU32, Ordering};

use super::{CURRENT, Worker};
use crate::clock::now_ns;
use crate::driver::Driver;
use crate::fiber::{self, Fiber, ThreadState};
use crate::slab::{Slab, Slot};
use crate::stack::overflow::AlternateStack;
use crate::task::{State, TASKS, Task};
use crate::wait::Reason;

/// Task switches between two looks at the world.
const ROUND: u32 = 61;
/// How long a round may last: then the world is looked at, however few tasks have run.
const ROUND_NS: u64 = 200_000;
/// Switches between two looks at the clock; a look costs about 25 ns.
const CLOCK_PERIOD: u32 = 8;
/// Woken LATENCY tasks that may go before one of the others.
const URGENT_IN_A_ROW: u32 = 8;
/// Fresh tasks moved at once from the injector, the overflow or a victim.
const BATCH: usize = 128;

impl Worker {
    /// Opens the driver on the thread that will run this worker.
    pub(crate) fn open_driver(&'static self) -> std::io::Result<()> {
        let driver = Driver::open(self.runtime().backend(), self.bell.descriptor())?;
        // SAFETY: this thread owns the worker until its run is over.
        unsafe { *self.driver.get() = Some(driver) };
        Ok(())
    }

    /// This worker takes no part in the run: what was placed on it goes to the others.
    pub(crate) fn give_up(&'static self) {
        self.failed.store(true, Ordering::SeqCst);
        for task in self.inbox.take_all() {
            // SAFETY: slots are never unmapped.
            let task: &'static Task = unsafe { &*task };
            self.bound_from_elsewhere.fetch_sub(1, Ordering::Relaxed);
            self.runtime().inject(task);
        }
    }

    /// Runs this worker on the calling thread until the runtime's run is over. Its driver
    /// is open.
    pub(crate) fn run(&'static self) {
        let _own_float_control = fiber::DefaultFloatControl::set();
        let _alternate = AlternateStack::new();
        self.sleep.wake_up();
        self.online.store(true, Ordering::Release);
        CURRENT.set(Some(self));
        self.round_ns.set(now_ns());
        self.schedule::<false>();
        CURRENT.set(None);
        self.online.store(false, Ordering::Release);
        self.return_caches();
        // SAFETY: as above; the loop has ended, so no operation is in flight.
        if let Some(driver) = unsafe { (*self.driver.get()).take() } {
            driver.close();
        }
    }

    /// Runs tasks until the run is over, or, as a substitute, until the seat is wanted (true)
    /// or has been given on (false).
    pub(super) fn schedule<const SUBSTITUTE: bool>(&'static self) -> bool {
        let thread = ThreadState::here();
        let mut left = ROUND;
        loop {
            if SUBSTITUTE && self.seat_wanted.load(Ordering::Acquire) {
                return true;
            }
            if left == 0 || self.round_is_over(left) {
                left = ROUND;
                self.look_around();
            }
            if !self.inbox.is_empty() {
                self.take_inbox();
            }
            if let Some(task) = self.next_task() {
                left -= 1;
                let held = SUBSTITUTE && self.hold_if_pinned(task);
                if !held && !self.run_task::<SUBSTITUTE>(task, &thread) {
                    return false;
                }
                continue;
            }
            left = ROUND;
            // The driver is asked by `idle`, in the same system call that waits.
            if self.look_inside() || self.steal() {
                continue;
            }
            if self.ended_some.replace(false) {
                self.runtime().finish_if_all_ended();
            }
            if self.runtime().is_finished() {
                return true;
            }
            self.idle();
        }
    }

    /// Whether a round has lasted long enough although switches are left: its tasks run long.
    /// Looks at the clock every few switches, and after a task has used up its budget.
    #[inline]
    fn round_is_over(&self, left: u32) -> bool {
        if self.over_budget.replace(false) {
            return true;
        }
        left.is_multiple_of(CLOCK_PERIOD) && now_ns() > self.round_ns.get() + ROUND_NS
    }

    /// Submits and reaps I/O, fires timers, fetches injected tasks, obeys control requests.
    /// True when a task is ready. Also called by running tasks at safepoints.
    pub(super) fn look_around(&'static self) -> bool {
        // SAFETY: owner access; the callback touches the run queue only.
        let driver = unsafe { self.driver() };
        driver.poll(&self.counters, &mut |task| self.complete(task));
        self.look_inside()
    }

    /// As `look_around`, without the driver.
    fn look_inside(&'static self) -> bool {
        self.called_help.set(false);
        self.round_ns.set(now_ns());
        self.obey_control();
        self.expire_timers();
        self.take_injected();
        self.has_ready()
    }

    /// Queues a task whose operation has completed.
    #[inline]
    pub(super) fn complete(&self, task: &'static Task) {
        self.push_woken(task);
    }

    pub(super) fn take_inbox(&'static self) {
        for task in self.inbox.take_all() {
            // SAFETY: slots are never unmapped.
            let task: &'static Task = unsafe { &*task };
            self.push_woken(task);
        }
    }

    /// The task to run next: a few woken LATENCY tasks in a row, then one of the others.
    pub(super) fn next_task(&'static self) -> Option<&'static Task> {
        // SAFETY: owner access, and the borrow ends before any task runs.
        let urgent = unsafe { &mut *self.urgent.get() };
        if urgent.is_empty() {
            return self.next_in_order();
        }
        let streak = self.urgent_streak.get();
        if streak < URGENT_IN_A_ROW {
            self.urgent_streak.set(streak + 1);
            return urgent.pop_front();
        }
        self.urgent_streak.set(0);
        self.next_in_order().or_else(|| urgent.pop_front())
    }

    /// The oldest of the started and the fresh tasks, by ticket: exact first in, first out.
    fn next_in_order(&'static self) -> Option<&'static Task> {
        // SAFETY: owner access, and the borrow ends before any task runs.
        let started = unsafe { &mut *self.started.get() };
        if self.shuffles.get() && started.len() > 1 {
            started.swap_first((self.random() % u64::from(started.len())) as u32);
        }
        started.prefetch();
        if self.overflow_len() > 0 && self.fresh.len() == 0 {
            self.refill_from_overflow();
        }
        let Some(word) = self.fresh.peek() else {
            return started.pop();
        };
        match started.first() {
            Some(first) if is_before(first.ticket, (word >> 32) as u32) => started.pop(),
            _ => match self.fresh.pop() {
                Some(word) => {
                    let task = TASKS.slot(word as u32)?;
                    self.adopt(task);
                    Some(task)
                }
                None => started.pop(),
            },
        }
    }

    fn refill_from_overflow(&'static self) {
        let mut overflow = self.overflow.lock();
        while let Some(&task) = overflow.front() {
            let word = (u64::from(self.next_ticket()) << 32) | u64::from(task.head().index());
            if self.fresh.push(word).is_err() {
                break;
            }
            overflow.pop_front();
        }
        self.overflow_len.store(overflow.len(), Ordering::Relaxed);
    }

    /// Takes a share of the tasks that host threads spawned.
    fn take_injected(&'static self) {
        let runtime = self.runtime();
        if runtime.injected() > 0 && self.takes_fresh() {
            for task in runtime.take_injected(BATCH) {
                self.push_fresh(task);
            }
        }
    }

    /// Takes half of another worker's fresh tasks (E1: never started ones).
    fn steal(&'static self) -> bool {
        let runtime = self.runtime();
        let workers = runtime.workers();
        if !self.takes_fresh() || (workers.len() < 2 && !self.is_spare()) {
            return false;
        }
        let mut batch = [0; BATCH];
        let first = self.random() as usize;
        for offset in 0..workers.len() {
            let victim = workers[(first + offset) % workers.len()];
            if std::ptr::eq(victim, self) {
                continue;
            }
            let count = victim.fresh.steal(&mut batch);
            for word in &batch[..count] {
                if let Some(task) = TASKS.slot(*word as u32) {
                    self.push_fresh(task);
                }
            }
            let taken = if count > 0 {
                count
            } else {
                self.steal_overflow(victim)
            };
            if taken > 0 {
                self.counters.steals.add(taken as u64);
                if victim.has_fresh() {
                    runtime.wake_helper();
                }
                return true;
            }
        }
        false
    }

    fn steal_overflow(&'static self, victim: &Worker) -> usize {
        if victim.overflow_len() == 0 {
            return 0;
        }
        let batch: Vec<&'static Task> = {
            let mut overflow = victim.overflow.lock();
            let count = overflow.len().div_ceil(2).min(BATCH);
            let batch = overflow.drain(..count).collect();
            victim.overflow_len.store(overflow.len(), Ordering::Relaxed);
            batch
        };
        for task in &batch {
            self.push_fresh(task);
        }
        batch.len()
    }

    /// Runs a task until it parks, yields or ends. False when this thread, a substitute, has
    /// given its seat on meanwhile.
    #[inline]
    fn run_task<const SUBSTITUTE: bool>(
        &'static self,
        task: &'static Task,
        thread: &ThreadState,
    ) -> bool {
        if !task.is_started() && !self.begin(task) {
            return true;
        }
        self.counters.ctx_switches.bump();
        self.slice_ns.set(0);
        self.ops.set(0);
        task.set_state(State::Running);
        self.current.set(Some(task));
        // SAFETY: the task is bound to this worker and is not running.
        let mut ended = unsafe { fiber::enter(task.fiber(), task.own_state(), thread) };
        // A task in a blocking region has taken this thread to a worker of its own.
        while let Some(own) = CURRENT.get().filter(|now| !std::ptr::eq(*now, self)) {
            if own.leaving.replace(false) {
                return self.after_leaving::<SUBSTITUTE>(own, task);
            }
            ended = own.run_region(task, thread);
        }
        self.current.set(None);
        if ended {
            self.finish(task);
        }
        true
    }

    /// Gives a fresh task its stack. False when the system has none now: the task goes back
    /// into the queue and is tried again after others have run.
    fn begin(&'static self, task: &'static Task) -> bool {
        let Some(stack) = self.take_stack(task.stack_class()) else {
            self.push_started(task);
            tell_of_missing_stack();
            std::thread::sleep(std::time::Duration::from_millis(1));
            return false;
        };
        let fiber = Fiber::new(stack, root, std::ptr::from_ref(task).cast());
        // SAFETY: this thread owns the task, which does not run.
        unsafe { task.set_fiber(fiber) };
        true
    }

    /// The end of a task: its stack goes back, its joiner is woken.
    fn finish(&'static self, task: &'static Task) {
        // SAFETY: the task has ended on this thread.
        let fiber = unsafe { task.take_fiber() };
        self.recycle_stack(fiber.into_stack());
        self.count_bound(-1);
        let (runtime, flags) = (self.runtime(), task.flags());
        crate::object::local::clear(task);
        let mut ending = task.ending.lock();
        task.set_state(State::Dead);
        ending.ended = true;
        ending.failed = runtime.fatal() != 0;
        if ending.detached {
            Slab::kill(task);
            drop(ending);
            runtime.reclaim(task);
        } else if let Some(waiter) = ending.take_waiter() {
            // SAFETY: taken under the ending lock, which is still held.
            unsafe { waiter.wake(Reason::Woken) };
            drop(ending);
        } else {
            drop(ending);
        }
        runtime.task_ended(flags);
        self.count_ended();
    }

    /// Asks a sleeping worker to share the fresh tasks, at most once per round.
    #[inline]
    pub(super) fn call_help(&self) {
        if !self.called_help.get() && self.runtime().has_idle_worker() && self.fresh.len() >= 2 {
            self.called_help.set(true);
            self.runtime().wake_helper();
        }
    }

    /// Obeys requests made to all workers: stop (cancel every parked task), signal masks.
    fn obey_control(&'static self) {
        let wanted = self.runtime().control();
        if self.control_seen.load(Ordering::Relaxed) == wanted {
            return;
        }
        self.control_seen.store(wanted, Ordering::Relaxed);
        crate::object::signal::apply_mask();
        if !self.runtime().is_stopping() {
            return;
        }
        for task in TASKS.iter() {
            if !task
                .worker()
                .is_some_and(|worker| std::ptr::eq(worker, self))
            {
                continue;
            }
            if task.wait.claim_cancelled() {
                self.complete(task);
            }
        }
    }

    fn return_caches(&self) {
        // SAFETY: owner access at the end of the loop.
        unsafe {
            TASKS.give_back((*self.slots.get()).drain(..));
            for class in crate::stack::StackClass::ALL {
                let cache = &mut (*self.stacks.get())[class as usize];
                crate::stack::give(class, cache.drain(..));
            }
        }
    }
}

/// The first frame of every task.
///
/// # Safety
/// The body of the fiber of the task that `task` points to.
unsafe extern "C" fn root(task: *const (), way_back: *const ()) {
    // SAFETY: by this function's contract; slots are never unmapped.
    let task: &'static Task = unsafe { &*task.cast() };
    // SAFETY: on the thread of the task's worker.
    unsafe { task.fiber() }.begin(way_back);
    let (entry, argument) = task.entry();
    // SAFETY: the spawner promised that the entry may be called with its argument.
    unsafe { entry(argument) };
    crate::blocking::close_regions(task);
    // SAFETY: this is the fiber's own computation, and its last frame.
    unsafe { task.fiber().end() }
}

/// Whether ticket `a` was drawn before ticket `b`; tickets wrap.
#[inline]
fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

/// Says once, when it has gone on for a while, that a task waits for memory: only the end of others
/// can give it some.
#[cold]
fn tell_of_missing_stack() {
    const PATIENCE: u32 = 500;
    static MISSES: AtomicU32 = AtomicU32::new(0);
    if MISSES.fetch_add(1, Ordering::Relaxed) == PATIENCE {
        eprintln!(
            "llam: the system refuses memory for the stack of a task; it is tried again until others \
             have ended"
        );
    }
}
