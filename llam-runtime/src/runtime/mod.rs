//! A runtime: its workers, its lifecycle, its spawn path (`abi.md` 4.2, 5.1).
//!
//! ```text
//!   NotLive --init--> Idle --run--> Running --live tasks = 0--> Idle --shutdown--> NotLive
//! ```
//!
//! Runtimes are pooled and never freed, so a reference to one stays valid; the lifecycle
//! lock and the incarnation tell whether it still is the one that was meant.

pub(crate) mod dump;
mod monitor;
pub(crate) mod options;
pub(crate) mod registry;
pub(crate) mod spawn;
pub(crate) mod stats;

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
use std::thread;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::driver::{self, Backend};
use crate::errno::{self, Result};
use crate::names;
use crate::slab::Slab;
use crate::stack::{self, overflow::Handlers};
use crate::task::{TASKS, Task, flag};
use crate::worker::Worker;
use options::{Options, RawOptions};

/// Where a runtime is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    NotLive,
    /// Being built or taken apart by some thread.
    Changing,
    Idle,
    Running,
}

pub(crate) struct Lifecycle {
    pub(crate) phase: Phase,
    /// The thread that is ending the runtime; its destructors may ask for the same again.
    ended_by: Option<thread::ThreadId>,
    handlers: Option<Handlers>,
}

pub(crate) struct Runtime {
    lifecycle: Mutex<Lifecycle>,
    phase_changed: Condvar,
    /// Who owns what: 1 is the default runtime, explicit ones count on and never repeat.
    owner: AtomicU32,
    /// Written while `Changing`, read while live.
    settings: UnsafeCell<Option<(Options, Backend)>>,
    workers: UnsafeCell<Vec<&'static Worker>>,
    /// A run is in progress: somebody takes what is injected.
    running: AtomicBool,
    sleeping_workers: AtomicU32,
    /// Fresh tasks from host threads and other runtimes. Bounded by live tasks (E6).
    injector: Mutex<VecDeque<&'static Task>>,
    injected: AtomicUsize,
    /// Tasks that were made; the last one's id.
    spawned: AtomicU64,
    finished: AtomicBool,
    stopping: AtomicBool,
    /// Counts requests that every worker has to look at.
    control: AtomicU32,
    /// The sticky error of a failed run, 0 for none.
    fatal: AtomicI32,
    blocking_calls: AtomicU64,
    blocking_completions: AtomicU64,
    /// Tasks in a blocking region, and blocking calls in progress.
    pub(crate) outside: AtomicUsize,
    /// Live tasks without `LLAM_SPAWN_F_PINNED`.
    unpinned: AtomicUsize,
    /// Workers that exist for a task in a blocking region.
    regions: Mutex<Vec<&'static Worker>>,
    /// Workers whose thread a pinned task blocks in a region, and those that take fresh
    /// tasks meanwhile. Spares keep their tasks, and so their threads, to the run's end.
    blocked: AtomicUsize,
    spares: Mutex<Vec<&'static Worker>>,
    spare_threads: Mutex<Vec<thread::JoinHandle<()>>>,
}

// SAFETY: `settings` and `workers` are written under the lifecycle lock while the phase is
// `Changing` and nobody else may use the runtime; see the module's text.
unsafe impl Sync for Runtime {}

/// The default runtime's owner number.
pub(crate) const DEFAULT_OWNER: u32 = 1;

impl Runtime {
    pub(crate) const fn new(owner: u32) -> Self {
        Self {
            lifecycle: Mutex::new(Lifecycle {
                phase: Phase::NotLive,
                ended_by: None,
                handlers: None,
            }),
            phase_changed: Condvar::new(),
            owner: AtomicU32::new(owner),
            settings: UnsafeCell::new(None),
            workers: UnsafeCell::new(Vec::new()),
            running: AtomicBool::new(false),
            sleeping_workers: AtomicU32::new(0),
            injector: Mutex::new(VecDeque::new()),
            injected: AtomicUsize::new(0),
            spawned: AtomicU64::new(0),
            finished: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            control: AtomicU32::new(0),
            fatal: AtomicI32::new(0),
            blocking_calls: AtomicU64::new(0),
            blocking_completions: AtomicU64::new(0),
            outside: AtomicUsize::new(0),
            unpinned: AtomicUsize::new(0),
            regions: Mutex::new(Vec::new()),
            blocked: AtomicUsize::new(0),
            spares: Mutex::new(Vec::new()),
            spare_threads: Mutex::new(Vec::new()),
        }
    }

    #[inline]
    pub(crate) fn owner(&self) -> u32 {
        self.owner.load(Ordering::Relaxed)
    }

    fn set_owner(&self, owner: u32) {
        self.owner.store(owner, Ordering::Relaxed);
    }

    /// The settings of a live runtime.
    #[inline]
    pub(crate) fn options(&self) -> &Options {
        // SAFETY: set before the runtime became live, not changed while it is.
        unsafe {
            &(*self.settings.get())
                .as_ref()
                .expect("a live runtime has settings")
                .0
        }
    }

    pub(crate) fn backend(&self) -> Backend {
        // SAFETY: as above.
        unsafe {
            (*self.settings.get())
                .as_ref()
                .expect("a live runtime has settings")
                .1
        }
    }

    #[inline]
    pub(crate) fn workers(&self) -> &[&'static Worker] {
        // SAFETY: as above.
        unsafe { &*self.workers.get() }
    }

    /// Locks the lifecycle if the runtime is live.
    pub(crate) fn lock_live(&self) -> Option<MutexGuard<'_, Lifecycle>> {
        let guard = self.lifecycle.lock();
        matches!(guard.phase, Phase::Idle | Phase::Running).then_some(guard)
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn control(&self) -> u32 {
        self.control.load(Ordering::Acquire)
    }

    /// Tasks that were made and have not ended. Both counts only grow, and what has ended is
    /// counted first: a result of 0 was true when the other count was read.
    pub(crate) fn live_tasks(&self) -> usize {
        let mut ended: u64 = self.workers().iter().map(|worker| worker.ended()).sum();
        ended += self
            .spares
            .lock()
            .iter()
            .map(|spare| spare.ended())
            .sum::<u64>();
        self.spawned.load(Ordering::Acquire).saturating_sub(ended) as usize
    }

    pub(crate) fn fatal(&self) -> i32 {
        self.fatal.load(Ordering::Acquire)
    }

    pub(crate) fn blocking_counts(&self) -> (u64, u64) {
        // Completions first: a snapshot never shows more of them than calls.
        let completions = self.blocking_completions.load(Ordering::Acquire);
        (self.blocking_calls.load(Ordering::Acquire), completions)
    }

    pub(crate) fn count_blocking_call(&self) {
        self.blocking_calls.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn count_blocking_completion(&self) {
        self.blocking_completions.fetch_add(1, Ordering::AcqRel);
    }

    /// Makes the runtime live.
    pub(crate) fn init(&'static self, raw: &RawOptions) -> Result<()> {
        options::validate(raw)?;
        {
            let mut lifecycle = self.lifecycle.lock();
            if lifecycle.phase != Phase::NotLive {
                return Err(libc::EBUSY);
            }
            lifecycle.phase = Phase::Changing;
        }
        let built = self.build(raw);
        let mut lifecycle = self.lifecycle.lock();
        lifecycle.phase = if built.is_ok() {
            Phase::Idle
        } else {
            Phase::NotLive
        };
        if built.is_ok() {
            lifecycle.handlers = Some(Handlers::install());
        }
        self.phase_changed.notify_all();
        built
    }

    fn build(&'static self, raw: &RawOptions) -> Result<()> {
        let cpus = options::available_cpus();
        check_sqpoll_cpu(raw, cpus)?;
        let options = Options::settle(raw, cpus, |name| std::env::var(name).ok());
        let backend = driver::choose(options.backend)?;
        stack::guard::guards();
        let count = options.workers;
        // SAFETY: the phase is `Changing`: this thread is the only one here.
        unsafe { *self.settings.get() = Some((options, backend)) };
        let mut workers = Vec::with_capacity(count);
        for index in 0..count {
            match Worker::acquire(self, index) {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    workers.into_iter().for_each(Worker::release);
                    return Err(error.raw_os_error().unwrap_or(libc::ENOMEM));
                }
            }
        }
        // SAFETY: as above.
        unsafe { *self.workers.get() = workers };
        self.spawned.store(0, Ordering::Relaxed);
        self.control.store(0, Ordering::Relaxed);
        self.stopping.store(false, Ordering::Relaxed);
        self.finished.store(false, Ordering::Relaxed);
        self.fatal.store(0, Ordering::Relaxed);
        self.blocking_calls.store(0, Ordering::Relaxed);
        self.blocking_completions.store(0, Ordering::Relaxed);
        self.unpinned.store(0, Ordering::Relaxed);
        self.running.store(false, Ordering::Relaxed);
        self.sleeping_workers.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Runs until no task is live. `incarnation_of` is the owner number the caller meant.
    pub(crate) fn run(&'static self, meant: u32) -> Result<()> {
        {
            let mut lifecycle = self.lifecycle.lock();
            if lifecycle.phase != Phase::Idle || self.owner() != meant {
                return Err(libc::EINVAL);
            }
            lifecycle.phase = Phase::Running;
        }
        let outcome = if self.live_tasks() == 0 {
            Ok(())
        } else {
            self.run_workers()
        };
        let fatal = self.fatal();
        let mut lifecycle = self.lifecycle.lock();
        lifecycle.phase = Phase::Idle;
        if outcome.is_ok() {
            self.stopping.store(false, Ordering::Release);
        }
        self.phase_changed.notify_all();
        drop(lifecycle);
        if fatal != 0 { Err(fatal) } else { outcome }
    }

    fn run_workers(&'static self) -> Result<()> {
        let code = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::EIO);
        let first = self.workers()[0];
        // Before any other thread runs a task: without this driver there is no run.
        first.open_driver().map_err(code)?;
        self.finished.store(false, Ordering::Release);
        self.running.store(true, Ordering::Release);
        let watch = monitor::watch(self);
        let threads = self.start_other_workers();
        first.run();
        drop(watch);
        self.running.store(false, Ordering::Release);
        let spares = std::mem::take(&mut *self.spare_threads.lock());
        for thread in threads.into_iter().chain(spares) {
            let _ = thread.join();
        }
        Ok(())
    }

    /// Starts the threads of all workers but the first. A run goes on with fewer workers
    /// than it should have.
    fn start_other_workers(&'static self) -> Vec<thread::JoinHandle<()>> {
        let mut threads = Vec::new();
        for (index, &worker) in self.workers().iter().enumerate().skip(1) {
            worker.failed.store(false, Ordering::Release);
            let spawned = thread::Builder::new()
                .name(format!("llam-worker-{index}"))
                .spawn(move || match worker.open_driver() {
                    Ok(()) => worker.run(),
                    Err(error) => {
                        eprintln!("llam: worker {index} cannot start its I/O driver: {error}");
                        worker.give_up();
                    }
                });
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    eprintln!("llam: worker {index} cannot be started: {error}");
                    worker.give_up();
                }
            }
        }
        threads
    }

    /// Ends the runtime: waits for a run in progress, drops tasks that never started,
    /// reclaims the rest. From a host thread. `meant` as in `run`. False when this thread is
    /// in the middle of ending this very runtime: a destructor asks for it again.
    pub(crate) fn shut_down(&'static self, meant: u32) -> bool {
        let own_thread = thread::current().id();
        let mut lifecycle = self.lifecycle.lock();
        loop {
            if self.owner() != meant {
                return true;
            }
            match lifecycle.phase {
                Phase::NotLive => return true,
                Phase::Idle => break,
                Phase::Running => self.request_stop(),
                Phase::Changing if lifecycle.ended_by == Some(own_thread) => return false,
                Phase::Changing => {}
            }
            self.phase_changed.wait(&mut lifecycle);
        }
        lifecycle.phase = Phase::Changing;
        lifecycle.ended_by = Some(own_thread);
        let handlers = lifecycle.handlers.take();
        drop(lifecycle);
        self.abandon_tasks();
        self.tear_down();
        drop(handlers);
        let mut lifecycle = self.lifecycle.lock();
        lifecycle.phase = Phase::NotLive;
        lifecycle.ended_by = None;
        self.phase_changed.notify_all();
        true
    }

    /// Calls what is to be called for tasks that never ran. Before anybody who waits for
    /// such a task is told that it is gone: what its closure borrows may be the waiter's.
    fn abandon_tasks(&'static self) {
        for task in TASKS.iter().filter(|task| task.belongs_to(self)) {
            let abandonment = {
                let ending = task.ending.lock();
                let never_ran = task.is_live() && task.belongs_to(self) && !ending.ended;
                if never_ran {
                    task.take_abandonment()
                } else {
                    None
                }
            };
            if let Some((abandon, argument)) = abandonment {
                // SAFETY: the spawner promised that this may be called once, instead of the
                // entry, which is never called: nobody runs the runtime any more.
                unsafe { abandon(argument) };
            }
        }
    }

    fn tear_down(&'static self) {
        self.injector.lock().clear();
        self.injected.store(0, Ordering::Relaxed);
        // SAFETY: the phase is `Changing`: this thread is the only one here.
        let workers = unsafe { std::mem::take(&mut *self.workers.get()) };
        for task in TASKS.iter() {
            if task.is_live() && task.belongs_to(self) {
                self.reclaim_at_shutdown(task);
            }
        }
        workers.into_iter().for_each(Worker::release);
        let spares = std::mem::take(&mut *self.spares.lock());
        spares.into_iter().for_each(Worker::release);
    }

    /// A task that was never joined is gone at shutdown: joiners that still wait get
    /// `EINVAL` from the dead handle.
    fn reclaim_at_shutdown(&'static self, task: &'static Task) {
        let mut ending = task.ending.lock();
        // A host thread may have joined or detached it since the caller looked: then the
        // slot is dead, or somebody else's already.
        if !task.is_live() || !task.belongs_to(self) {
            return;
        }
        if !ending.ended {
            stack::unreserve();
        }
        ending.ended = true;
        Slab::kill(task);
        if let Some(waiter) = ending.take_waiter() {
            // SAFETY: taken under the ending lock, which is still held.
            unsafe { waiter.wake(crate::wait::Reason::Cancelled) };
        }
        drop(ending);
        self.release_references(task);
        TASKS.give_back([task]);
    }

    /// Frees an ended task whose handle was consumed: its slot is dead already.
    #[inline]
    pub(crate) fn reclaim(&self, task: &'static Task) {
        self.release_references(task);
        match crate::worker::current() {
            Some(worker) => worker.recycle_slot(task),
            None => errno::preserve(|| TASKS.give_back([task])),
        }
    }

    #[inline]
    fn release_references(&self, task: &'static Task) {
        names::clear(task);
        if let Some(token) = task.clear_token() {
            token.forget(task);
        }
    }

    /// A task with these spawn flags has ended.
    #[inline]
    pub(crate) fn task_ended(&'static self, flags: u32) {
        stack::unreserve();
        if flags & flag::PINNED == 0 {
            self.unpinned.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Ends the run when no task is live. Called by a worker on which tasks have ended when it has
    /// nothing else to do: of two workers that end the last two tasks, the fences make one see both.
    #[cold]
    pub(crate) fn finish_if_all_ended(&self) {
        fence(Ordering::SeqCst);
        if self.live_tasks() == 0 {
            self.finished.store(true, Ordering::Release);
            self.notify_all();
        }
    }

    /// Wakes every worker of whatever kind.
    fn notify_all(&self) {
        let regions = self.regions.lock();
        let spares = self.spares.lock();
        for worker in self.workers().iter().chain(&*regions).chain(&*spares) {
            worker.notify();
        }
    }

    /// Asks the runtime to stop (`abi.md` 5.1.4). The caller keeps it live: it holds the
    /// lifecycle lock, or is one of its tasks.
    pub(crate) fn request_stop(&self) {
        if !self.stopping.swap(true, Ordering::AcqRel) {
            self.cancel_parked();
        }
    }

    /// Cancels every wait that may be cancelled. All are claimed before the first of their
    /// tasks can run, so that none is woken by what another does when it learns of the stop.
    /// A task that is just parking is found by its own worker, which looks afterwards.
    fn cancel_parked(&self) {
        fence(Ordering::SeqCst);
        let claimed: Vec<_> = TASKS
            .iter()
            .filter(|task| task.belongs_to(self) && task.wait.claim_cancelled())
            .collect();
        for task in claimed {
            crate::worker::make_runnable(task);
        }
        self.make_workers_look();
    }

    /// Declares the run failed and cancels every wait (`abi.md` 5.1.6).
    fn fail(&self, error: i32) {
        self.fatal.store(error, Ordering::Release);
        self.stopping.store(true, Ordering::Release);
        self.cancel_parked();
    }

    /// Makes every worker obey control requests soon.
    pub(crate) fn make_workers_look(&self) {
        self.control.fetch_add(1, Ordering::AcqRel);
        self.notify_all();
    }

    /// Whether some worker's thread is blocked, so that spares may take fresh tasks.
    pub(crate) fn has_blocked_worker(&self) -> bool {
        self.blocked.load(Ordering::Acquire) > 0
    }

    /// A pinned task blocks its worker's thread: a spare worker goes on with what is fresh.
    pub(crate) fn worker_blocks(&'static self) -> Result<()> {
        let blocked = self.blocked.fetch_add(1, Ordering::AcqRel) + 1;
        let started = self.start_spares(blocked);
        if started.is_err() {
            self.worker_unblocks();
        }
        started
    }

    pub(crate) fn worker_unblocks(&self) {
        self.blocked.fetch_sub(1, Ordering::AcqRel);
    }

    fn start_spares(&'static self, wanted: usize) -> Result<()> {
        let mut threads = self.spare_threads.lock();
        while threads.len() < wanted.min(options::MAX_WORKERS) {
            let index = self.workers().len() + threads.len();
            let code = |error: std::io::Error| error.raw_os_error().unwrap_or(libc::ENOMEM);
            // A spare of an earlier run is used again.
            let known = self.spares.lock().get(threads.len()).copied();
            let spare = match known {
                Some(spare) => spare,
                None => {
                    let spare = Worker::acquire(self, index).map_err(code)?;
                    spare.spare.store(true, Ordering::Relaxed);
                    self.spares.lock().push(spare);
                    spare
                }
            };
            let thread = thread::Builder::new()
                .name(format!("llam-worker-{index}"))
                .spawn(move || match spare.open_driver() {
                    Ok(()) => spare.run(),
                    Err(error) => eprintln!("llam: a blocking region has no spare worker: {error}"),
                })
                .map_err(code)?;
            threads.push(thread);
        }
        for spare in self.spares.lock().iter() {
            spare.notify();
        }
        Ok(())
    }

    /// Every worker that may have tasks of its own.
    pub(crate) fn all_workers(&self) -> Vec<&'static Worker> {
        let mut all = self.workers().to_vec();
        all.extend(self.spares.lock().iter());
        all
    }

    pub(crate) fn has_unpinned_tasks(&self) -> bool {
        self.unpinned.load(Ordering::Acquire) > 0
    }

    pub(crate) fn add_region(&self, worker: &'static Worker) {
        self.regions.lock().push(worker);
    }

    pub(crate) fn remove_region(&self, worker: &'static Worker) {
        self.regions
            .lock()
            .retain(|own| !std::ptr::eq(*own, worker));
    }

    /// A worker is about to sleep.
    pub(crate) fn worker_sleeps(&self) {
        self.sleeping_workers.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn worker_wakes(&self) {
        self.sleeping_workers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether a worker sleeps.
    #[inline]
    pub(crate) fn has_idle_worker(&self) -> bool {
        self.sleeping_workers.load(Ordering::Relaxed) > 0
    }

    /// Wakes one sleeping worker.
    #[cold]
    pub(crate) fn wake_helper(&self) {
        if let Some(worker) = self.workers().iter().find(|worker| worker.is_sleeping()) {
            worker.notify();
        } else if self.has_blocked_worker()
            && let Some(spare) = self.spares.lock().iter().find(|spare| spare.is_sleeping())
        {
            spare.notify();
        }
    }

    pub(crate) fn injected(&self) -> usize {
        self.injected.load(Ordering::Acquire)
    }

    /// A fair share of the injected tasks, oldest first.
    pub(crate) fn take_injected(&self, most: usize) -> Vec<&'static Task> {
        let mut injector = self.injector.lock();
        let share = injector.len().div_ceil(self.workers().len()).min(most);
        let batch = injector.drain(..share).collect();
        self.injected.store(injector.len(), Ordering::Release);
        batch
    }

    pub(crate) fn inject(&'static self, task: &'static Task) {
        {
            let mut injector = self.injector.lock();
            injector.push_back(task);
            self.injected.store(injector.len(), Ordering::Release);
        }
        // Pairs with the fence of a worker that announces sleep and then looks once more.
        fence(Ordering::SeqCst);
        if self.running.load(Ordering::Acquire) {
            self.wake_helper();
        }
    }
}

/// `EINVAL` when SQPOLL was asked for on a CPU that the process may not use.
fn check_sqpoll_cpu(raw: &RawOptions, cpus: usize) -> Result<()> {
    const WORKER_RINGS: u64 = 1;
    const SQPOLL: u64 = 1 << 5;
    let asked = raw.experimental_flags & SQPOLL != 0
        && raw.experimental_flags & WORKER_RINGS == 0
        && cpus > 1
        && raw.sqpoll_cpu >= 0;
    if asked && !cpu_is_allowed(raw.sqpoll_cpu as usize) {
        return Err(libc::EINVAL);
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn cpu_is_allowed(cpu: usize) -> bool {
    if cpu >= libc::CPU_SETSIZE as usize {
        return false;
    }
    // SAFETY: a zeroed set is valid, and its size is passed along.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) == 0
            && libc::CPU_ISSET(cpu, &set)
    }
}

#[cfg(not(target_os = "linux"))]
fn cpu_is_allowed(_cpu: usize) -> bool {
    true
}
