//! A worker: one OS thread, its queues, its timers, its driver.
//!
//! ```text
//!   other threads ──push──> inbox ─────────┐
//!   spawn ────────────────> fresh ─────────┤ (others may steal from here)
//!   wake, yield ──────────> started ───────┼──> run one task at a time
//!   timers, driver ───────> started ───────┘
//! ```
//!
//! `fresh` holds tasks that never ran; `started` those that have, which only this thread
//! may run (E1). Workers are pooled and never freed: a waker that comes late, with a task
//! that has meanwhile ended, rings the bell of a worker that exists.
//!
//! Cells and `UnsafeCell`s are used by the worker's own thread alone, the rest by anyone.

mod idle;
mod park;
mod queue;
pub(crate) mod region;
mod run;

pub(crate) use park::{
    budget_point, cancelled, park, park_until_woken, precheck, safepoint, yield_now,
};

use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::bell::Bell;
use crate::clock::NEVER;
use crate::driver::Driver;
use crate::errno;
use crate::fresh::FreshRing;
use crate::inbox::Inbox;
use crate::io::DescriptorKind;
use crate::runtime::Runtime;
use crate::runtime::stats::Counters;
use crate::slab::Slot;
use crate::sleep::SleepState;
use crate::stack::{self, Stack, StackClass};
use crate::task::{State, TASKS, Task};
use crate::wheel::Wheel;
use queue::{Queued, RunQueue};

/// `LLAM_TASK_CLASS_LATENCY`.
const LATENCY: u8 = 0;
/// Fresh tasks that need no lock; the rest overflows.
const FRESH_CAPACITY: usize = 256;
/// Free task slots a worker keeps, and how many it fetches at once.
const SLOT_CACHE: usize = 256;
/// Stacks a worker keeps per class.
const STACK_CACHE: [usize; 3] = [64, 8, 4];

pub(crate) struct Worker {
    // Shared.
    inbox: Inbox<Task>,
    sleep: SleepState,
    fresh: FreshRing<FRESH_CAPACITY>,
    /// What `fresh` had no room for. Bounded by the number of live tasks (E6).
    overflow: Mutex<VecDeque<&'static Task>>,
    overflow_len: AtomicUsize,
    bell: Bell,
    /// Tasks bound to this worker, started or placed here: `bound_here` is changed by this worker's
    /// own thread without atomic exchanges, `bound_from_elsewhere` by the others. Their sum counts.
    bound_here: AtomicU32,
    bound_from_elsewhere: AtomicU32,
    /// Tasks that have ended on this worker in this life of its runtime.
    ended: AtomicU64,
    /// Whether any has since the worker last looked whether the run is over.
    ended_some: Cell<bool>,
    /// Tasks of this worker in a wait that only another task can end.
    internal_waits: AtomicUsize,
    /// The thread of this worker runs its loop now.
    pub(crate) online: AtomicBool,
    /// Takes fresh tasks only while another worker's thread is blocked (see `region`).
    pub(crate) spare: AtomicBool,
    /// The worker could not be started and takes no part in the run.
    pub(crate) failed: AtomicBool,
    /// Control requests seen (see `Runtime::control`).
    control_seen: AtomicU32,
    pub(crate) counters: Counters,
    /// Who runs this worker's loop, and whether somebody wants to (see `region`).
    seat: region::Seat,
    seat_wanted: AtomicBool,
    // Fixed while the worker belongs to a runtime.
    pub(crate) index: AtomicU32,
    runtime: Cell<Option<&'static Runtime>>,
    /// The runtime's owner number.
    owner: Cell<u32>,
    /// The run order is shuffled (deterministic runs with a seed), and class LATENCY goes first
    /// (all others): what the loop asks of the options each turn.
    shuffles: Cell<bool>,
    prefers_urgent: Cell<bool>,
    // Owner.
    current: Cell<Option<&'static Task>>,
    started: UnsafeCell<RunQueue>,
    /// Woken tasks of class LATENCY.
    urgent: UnsafeCell<VecDeque<&'static Task>>,
    /// How many of them have run in a row.
    urgent_streak: Cell<u32>,
    ticket: Cell<u32>,
    wheel: UnsafeCell<Wheel>,
    driver: UnsafeCell<Option<Driver>>,
    stacks: UnsafeCell<[Vec<Stack>; 3]>,
    slots: UnsafeCell<Vec<&'static Task>>,
    /// Clock of this scheduling round; read once per round.
    round_ns: Cell<u64>,
    /// When the running task's slice began, 0 until a safepoint has asked.
    slice_ns: Cell<u64>,
    /// Calls that might have parked but did not, since the slice began.
    ops: Cell<u32>,
    /// A task was made to yield because it had run too long.
    over_budget: Cell<bool>,
    /// A helper was woken in this round already.
    called_help: Cell<bool>,
    random: Cell<u64>,
    guesses: UnsafeCell<Vec<u8>>,
    /// The worker whose task this one was made for, while it is in a blocking region.
    region_of: Cell<Option<&'static Worker>>,
    /// The task of this region worker has left its region and stands still.
    leaving: Cell<bool>,
    /// Pinned tasks that a substitute may not run.
    held: UnsafeCell<Vec<&'static Task>>,
}

// SAFETY: see the module's text: the cells belong to the worker's thread; between threads
// a worker is handed on through the runtime's lifecycle lock.
unsafe impl Sync for Worker {}
// SAFETY: as above.
unsafe impl Send for Worker {}

thread_local! {
    /// The worker whose loop this thread runs.
    static CURRENT: Cell<Option<&'static Worker>> = const { Cell::new(None) };
}

/// Workers that belong to no runtime now.
static POOL: Mutex<Vec<&'static Worker>> = Mutex::new(Vec::new());

/// The worker of the calling thread; `None` on host threads.
///
/// Never inlined, and the only way in for code that tasks run: a compiler takes the address of a
/// thread-local for a constant of the function it is used in, but an unpinned task may go on another
/// thread after any park.
#[inline(never)]
pub(crate) fn current() -> Option<&'static Worker> {
    CURRENT.get()
}

/// The task that the calling code belongs to; `None` on host threads.
#[inline]
pub(crate) fn current_task() -> Option<&'static Task> {
    current()?.current.get()
}

/// As [`current_task`], for the fault handler: the thread-local needs no initialisation.
pub(crate) fn running_task() -> Option<&'static Task> {
    current_task()
}

/// Worker and task of the calling code.
#[inline]
pub(crate) fn context() -> Option<(&'static Worker, &'static Task)> {
    let worker = current()?;
    Some((worker, worker.current.get()?))
}

/// Queues a task whose park this caller ended.
#[inline]
pub(crate) fn make_runnable(task: &'static Task) {
    let Some(worker) = task.worker() else {
        unreachable!("a parked task is bound to a worker")
    };
    match current() {
        Some(own) if std::ptr::eq(own, worker) => own.push_woken(task),
        _ => {
            task.set_state(State::Runnable);
            worker.push_remote(task);
        }
    }
}

impl Worker {
    /// A worker from the pool, or a new one, for a runtime.
    pub(crate) fn acquire(
        runtime: &'static Runtime,
        index: usize,
    ) -> std::io::Result<&'static Self> {
        let pooled = POOL.lock().pop();
        let worker = match pooled {
            Some(worker) => worker,
            None => Box::leak(Box::new(Self::new()?)),
        };
        worker.index.store(index as u32, Ordering::Relaxed);
        worker.runtime.set(Some(runtime));
        worker.owner.set(runtime.owner());
        worker.shuffles.set(runtime.options().seed != 0);
        worker.prefers_urgent.set(!runtime.options().deterministic);
        worker.spare.store(false, Ordering::Relaxed);
        worker.counters.reset();
        worker.ended.store(0, Ordering::Relaxed);
        worker.ended_some.set(false);
        worker.ticket.set(0);
        worker.control_seen.store(0, Ordering::Relaxed);
        let seed = runtime.options().seed.wrapping_add(index as u64 + 1);
        worker
            .random
            .set(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        Ok(worker)
    }

    /// Gives a worker back whose runtime has ended. Its queues hold tasks that never
    /// started, which the runtime reclaims.
    pub(crate) fn release(&'static self) {
        while self.fresh.pop().is_some() {}
        self.overflow.lock().clear();
        self.overflow_len.store(0, Ordering::Relaxed);
        for _ in self.inbox.take_all() {}
        // SAFETY: no thread runs this worker, and the caller holds the lifecycle lock.
        unsafe {
            (*self.started.get()).clear();
            (*self.urgent.get()).clear();
        }
        self.bound_here.store(0, Ordering::Relaxed);
        self.bound_from_elsewhere.store(0, Ordering::Relaxed);
        self.internal_waits.store(0, Ordering::Relaxed);
        self.runtime.set(None);
        POOL.lock().push(self);
    }

    fn new() -> std::io::Result<Self> {
        Ok(Self {
            inbox: Inbox::new(),
            sleep: SleepState::new(),
            fresh: FreshRing::new(),
            overflow: Mutex::default(),
            overflow_len: AtomicUsize::new(0),
            bell: Bell::new()?,
            seat: region::Seat::default(),
            seat_wanted: AtomicBool::new(false),
            bound_here: AtomicU32::new(0),
            bound_from_elsewhere: AtomicU32::new(0),
            ended: AtomicU64::new(0),
            ended_some: Cell::new(false),
            internal_waits: AtomicUsize::new(0),
            online: AtomicBool::new(false),
            spare: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            control_seen: AtomicU32::new(0),
            counters: Counters::default(),
            index: AtomicU32::new(0),
            runtime: Cell::new(None),
            owner: Cell::new(0),
            shuffles: Cell::new(false),
            prefers_urgent: Cell::new(false),
            current: Cell::new(None),
            started: UnsafeCell::new(RunQueue::new()),
            urgent: UnsafeCell::default(),
            urgent_streak: Cell::new(0),
            ticket: Cell::new(0),
            wheel: UnsafeCell::new(Wheel::new()),
            driver: UnsafeCell::new(None),
            stacks: UnsafeCell::default(),
            slots: UnsafeCell::default(),
            round_ns: Cell::new(0),
            slice_ns: Cell::new(0),
            ops: Cell::new(0),
            over_budget: Cell::new(false),
            called_help: Cell::new(false),
            random: Cell::new(1),
            guesses: UnsafeCell::default(),
            region_of: Cell::new(None),
            leaving: Cell::new(false),
            held: UnsafeCell::default(),
        })
    }

    /// The runtime's owner number (R2).
    #[inline]
    pub(crate) fn owner(&self) -> u32 {
        self.owner.get()
    }

    #[inline]
    pub(crate) fn runtime(&self) -> &'static Runtime {
        self.runtime.get().expect("a running worker has a runtime")
    }

    /// The driver. The borrow must end before anything else of the worker is called.
    ///
    /// # Safety
    /// On the worker's own thread, and no other borrow is alive.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "owner access, see the safety contract")]
    pub(crate) unsafe fn driver(&self) -> &mut Driver {
        // SAFETY: by the caller's promise; the driver exists while the loop runs.
        unsafe {
            (*self.driver.get())
                .as_mut()
                .expect("a running worker has a driver")
        }
    }

    /// Clock of the current scheduling round: some microseconds old.
    #[inline]
    pub(crate) fn round_ns(&self) -> u64 {
        self.round_ns.get()
    }

    pub(crate) fn is_spare(&self) -> bool {
        self.spare.load(Ordering::Relaxed)
    }

    /// Whether this worker looks for fresh tasks of others.
    #[inline]
    fn takes_fresh(&self) -> bool {
        !self.is_region() && (!self.is_spare() || self.runtime().has_blocked_worker())
    }

    /// Counts switches into tasks: stands still while one runs.
    pub(crate) fn heartbeat(&self) -> u64 {
        self.counters.ctx_switches.value()
    }

    pub(crate) fn is_sleeping(&self) -> bool {
        self.sleep.is_sleeping()
    }

    pub(crate) fn bound(&self) -> u32 {
        let elsewhere = self.bound_from_elsewhere.load(Ordering::Relaxed);
        self.bound_here
            .load(Ordering::Relaxed)
            .wrapping_add(elsewhere)
    }

    pub(crate) fn internal_waits(&self) -> usize {
        self.internal_waits.load(Ordering::Relaxed)
    }

    pub(crate) fn overflow_len(&self) -> usize {
        self.overflow_len.load(Ordering::Relaxed)
    }

    pub(crate) fn has_fresh(&self) -> bool {
        self.fresh.len() > 0 || self.overflow_len() > 0
    }

    pub(crate) fn has_remote(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Whether this worker's own queues hold tasks. On the worker's thread.
    #[inline]
    fn has_ready(&self) -> bool {
        // SAFETY: owner access.
        let started =
            unsafe { !(*self.started.get()).is_empty() || !(*self.urgent.get()).is_empty() };
        started || self.fresh.len() > 0 || self.has_remote() || self.overflow_len() > 0
    }

    #[inline]
    fn next_ticket(&self) -> u32 {
        let ticket = self.ticket.get();
        self.ticket.set(ticket.wrapping_add(1));
        ticket
    }

    /// Queues a task that this thread may run. On the worker's thread.
    #[inline]
    fn push_started(&self, task: &'static Task) {
        task.set_state(State::Runnable);
        let ticket = self.next_ticket();
        // SAFETY: owner access, and the borrow ends here.
        unsafe { (*self.started.get()).push(Queued { task, ticket }) };
    }

    /// Queues a task that was woken: class LATENCY goes before the others (see `next_task`). Every
    /// wake comes through here, on the thread of the task's own worker.
    #[inline]
    fn push_woken(&self, task: &'static Task) {
        self.counters.wakes.bump();
        if task.class() == LATENCY && self.prefers_urgent.get() {
            task.set_state(State::Runnable);
            // SAFETY: owner access, and the borrow ends here.
            unsafe { (*self.urgent.get()).push_back(task) };
        } else {
            self.push_started(task);
        }
    }

    /// Queues a task whose park the caller, a task of this worker, has ended.
    #[inline]
    pub(crate) fn wake(&self, task: &'static Task) {
        if task.is_bound_to(self) {
            self.push_woken(task);
        } else {
            make_runnable(task);
        }
    }

    /// Queues a fresh task of this worker's own spawning. On the worker's thread.
    #[inline]
    pub(crate) fn push_fresh(&'static self, task: &'static Task) {
        if task.stays() {
            self.adopt(task);
            self.push_started(task);
            return;
        }
        let word = (u64::from(self.next_ticket()) << 32) | u64::from(task.head().index());
        if self.overflow_len() > 0 || self.fresh.push(word).is_err() {
            let mut overflow = self.overflow.lock();
            overflow.push_back(task);
            self.overflow_len.store(overflow.len(), Ordering::Relaxed);
            self.counters.queue_overflows.bump();
        }
        self.call_help();
    }

    /// Binds a task to this worker. On the worker's thread.
    #[inline]
    pub(crate) fn adopt(&'static self, task: &Task) {
        task.bind(self);
        self.count_bound(1);
    }

    /// Binds a task to this worker, from another one's thread.
    pub(crate) fn adopt_from_elsewhere(&'static self, task: &Task) {
        task.bind(self);
        self.bound_from_elsewhere.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes the number of bound tasks by 1 or -1. On the worker's thread.
    #[inline]
    fn count_bound(&self, change: i32) {
        let bound = self.bound_here.load(Ordering::Relaxed);
        self.bound_here
            .store(bound.wrapping_add_signed(change), Ordering::Relaxed);
    }

    /// How many tasks have ended here; see `Runtime::live_tasks`.
    pub(crate) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Acquire)
    }

    /// Counts a task that has ended. On the worker's thread.
    #[inline]
    fn count_ended(&self) {
        let ended = self.ended.load(Ordering::Relaxed) + 1;
        // Release: who sees the count sees what the task did.
        self.ended.store(ended, Ordering::Release);
        self.ended_some.set(true);
    }

    /// Tasks in internal waits change by 1 or -1. On the worker's thread.
    #[inline]
    fn count_internal_waits(&self, change: isize) {
        let waits = self.internal_waits.load(Ordering::Relaxed);
        self.internal_waits
            .store(waits.wrapping_add_signed(change), Ordering::Relaxed);
    }

    /// Queues a task from another thread and sees to it that the worker notices.
    pub(crate) fn push_remote(&'static self, task: &'static Task) {
        // SAFETY: a task is in at most one inbox (E2), and slots are never unmapped.
        unsafe { self.inbox.push(task) };
        self.notify();
    }

    /// Wakes the worker if it sleeps. `errno` stays as it was.
    pub(crate) fn notify(&self) {
        if self.sleep.notify() {
            errno::preserve(|| self.bell.ring());
        }
    }

    /// A free task slot, still dead.
    #[inline]
    pub(crate) fn take_slot(&self) -> Option<&'static Task> {
        // SAFETY: owner access, and the borrow ends here.
        let slots = unsafe { &mut *self.slots.get() };
        if slots.is_empty() {
            TASKS.take_batch(slots, SLOT_CACHE / 4);
        }
        slots.pop()
    }

    /// Takes back a dead task slot. `errno` stays as it was.
    #[inline]
    pub(crate) fn recycle_slot(&self, slot: &'static Task) {
        // SAFETY: owner access, and the borrow ends here.
        let slots = unsafe { &mut *self.slots.get() };
        slots.push(slot);
        if slots.len() > SLOT_CACHE {
            errno::preserve(|| TASKS.give_back(slots.drain(SLOT_CACHE / 2..)));
        }
    }

    fn take_stack(&self, class: StackClass) -> Option<Stack> {
        // SAFETY: owner access, and the borrow ends here.
        let cache = unsafe { &mut (*self.stacks.get())[class as usize] };
        if cache.is_empty() {
            stack::take(class, STACK_CACHE[class as usize] / 4, cache);
        }
        cache.pop()
    }

    fn recycle_stack(&self, stack: Stack) {
        let class = stack.class();
        // SAFETY: owner access, and the borrow ends here.
        let cache = unsafe { &mut (*self.stacks.get())[class as usize] };
        cache.push(stack);
        let keep = STACK_CACHE[class as usize];
        if cache.len() > keep {
            stack::give(class, cache.drain(keep / 2..));
        }
    }

    /// xorshift; seeds victim choice and the shuffle of deterministic runs.
    fn random(&self) -> u64 {
        let mut value = self.random.get();
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        self.random.set(value);
        value
    }

    /// The earliest timer, `NEVER` without one. On the worker's thread.
    fn next_timer(&self) -> u64 {
        // SAFETY: owner access, and the borrow ends here.
        unsafe { (*self.wheel.get()).next_deadline().unwrap_or(NEVER) }
    }
}

/// What is guessed of descriptor numbers, per worker; a wrong guess costs a system call.
const GUESSED_DESCRIPTORS: usize = 1 << 20;

/// Not a socket, as far as is known.
const GUESS_OTHER: u8 = 1;
/// A blocking socket whose operations the completion backend performs.
const GUESS_HANDED_OVER: u8 = 2;
/// The same, and the last receive did not fill its buffer: the next one will have to wait.
const GUESS_DRAINED: u8 = 3;

impl Worker {
    /// Whether a read of this descriptor is known to wait (the readiness backend).
    #[inline]
    pub(crate) fn is_surely_drained(&self, fd: i32) -> bool {
        // SAFETY: owner access, for this expression alone.
        match unsafe { self.driver() } {
            #[cfg(target_os = "linux")]
            Driver::Uring(_) => false,
            Driver::Readiness(driver) => driver.is_drained(fd),
        }
    }

    /// Tells the readiness backend that a read did not fill its buffer.
    #[inline]
    pub(crate) fn note_short_read(&self, fd: i32) {
        // SAFETY: owner access, for this expression alone.
        if let Driver::Readiness(driver) = unsafe { self.driver() } {
            driver.note_short_read(fd);
        }
    }

    /// Whether the driver performs operations itself (the completion backend).
    #[inline]
    pub(crate) fn completes(&self) -> bool {
        // SAFETY: owner access, for this expression alone.
        match unsafe { self.driver() } {
            #[cfg(target_os = "linux")]
            Driver::Uring(_) => true,
            Driver::Readiness(_) => false,
        }
    }

    #[inline]
    fn guess(&self, fd: i32) -> u8 {
        // SAFETY: owner access, and the borrow ends here.
        let guesses = unsafe { &*self.guesses.get() };
        guesses.get(fd as usize).copied().unwrap_or(0)
    }

    fn set_guess(&self, fd: i32, guess: u8) {
        let Ok(index) = usize::try_from(fd) else {
            return;
        };
        // SAFETY: owner access, and the borrow ends here.
        let guesses = unsafe { &mut *self.guesses.get() };
        if index >= guesses.len() {
            if index >= GUESSED_DESCRIPTORS {
                return;
            }
            guesses.resize(index + 1, 0);
        }
        guesses[index] = guess;
    }

    /// What kind of descriptor this probably is.
    #[inline]
    pub(crate) fn expected_kind(&self, fd: i32) -> DescriptorKind {
        if self.guess(fd) == GUESS_OTHER {
            DescriptorKind::Other
        } else {
            DescriptorKind::Socket
        }
    }

    pub(crate) fn expect_kind(&self, fd: i32, kind: DescriptorKind) {
        self.set_guess(
            fd,
            if kind == DescriptorKind::Other {
                GUESS_OTHER
            } else {
                0
            },
        );
    }

    /// Whether operations on the descriptor go straight to the completion backend.
    #[inline]
    pub(crate) fn is_handed_over(&self, fd: i32) -> bool {
        self.guess(fd) >= GUESS_HANDED_OVER
    }

    /// Whether a receive from a socket that was handed over will probably wait.
    #[inline]
    pub(crate) fn is_probably_drained(&self, fd: i32) -> bool {
        self.guess(fd) == GUESS_DRAINED
    }

    /// Notes whether the last receive from a socket that was handed over took all there was.
    #[inline]
    pub(crate) fn note_drained(&self, fd: i32, is_drained: bool) {
        let guess = if is_drained {
            GUESS_DRAINED
        } else {
            GUESS_HANDED_OVER
        };
        if self.guess(fd) != guess {
            self.set_guess(fd, guess);
        }
    }

    pub(crate) fn hand_over(&self, fd: i32) {
        self.set_guess(fd, GUESS_HANDED_OVER);
    }

    pub(crate) fn take_back(&self, fd: i32) {
        self.set_guess(fd, 0);
    }
}
