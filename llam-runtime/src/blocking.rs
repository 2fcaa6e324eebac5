//! The blocking pool, and blocking regions (`abi.md` 4.7, 5.11).
//!
//! A blocking call moves the *callback* to a pool thread and parks the task; the job lies on
//! the parked task's stack. One pool serves the process: threads start on demand and end
//! after ten idle seconds.
//!
//! A blocking region moves nothing: the task goes on blocking its own thread, and the
//! worker's fresh tasks are offered to the others meanwhile.

use core::ffi::c_void;
use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::clock::{NEVER, now_ns};
use crate::errno::{self, Result};
use crate::object::signal;
use crate::task::{State, Task, WaitKind};
use crate::wait::{Armed, Reason};
use crate::worker::{self, region};

/// Blocking callback of the ABI.
pub(crate) type Callback = unsafe extern "C" fn(*mut c_void) -> *mut c_void;

/// Threads of the pool at most; further calls queue in order.
const MAX_THREADS: usize = 64;
/// How long an idle thread stays.
const IDLE_LIFE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Queued,
    /// Cancelled before a pool thread came to it: never called.
    Skipped,
    Running,
    Done,
}

/// A call, on the stack of its parked task. Everything but `callback` and `argument` is
/// guarded by the pool's lock.
struct Job {
    callback: Callback,
    argument: *mut c_void,
    task: &'static Task,
    shared: UnsafeCell<Shared>,
}

struct Shared {
    stage: Stage,
    armed: Armed,
    result: *mut c_void,
    errno: i32,
}

#[derive(Clone, Copy)]
struct JobRef(*const Job);
// SAFETY: a job is shared between its task and one pool thread, under the pool's lock.
unsafe impl Send for JobRef {}

struct Pool {
    queue: VecDeque<JobRef>,
    threads: usize,
    idle: usize,
}

static POOL: Mutex<Pool> = Mutex::new(Pool {
    queue: VecDeque::new(),
    threads: 0,
    idle: 0,
});
static WORK: Condvar = Condvar::new();

/// `llam_call_blocking_result`.
///
/// # Safety
/// `callback` may be called with `argument` on another thread.
pub(crate) unsafe fn call(callback: Callback, argument: *mut c_void) -> Result<*mut c_void> {
    let Some((worker, task)) = worker::context() else {
        errno::store(0);
        // SAFETY: by the caller's promise.
        return Ok(unsafe { callback(argument) });
    };
    let scope = task.park_deadline.get();
    if scope != NEVER && now_ns() >= scope {
        return Err(libc::ETIMEDOUT);
    }
    if worker::cancelled(task) {
        return Err(libc::ECANCELED);
    }
    let runtime = worker.runtime();
    let armed = task.wait.arm(true);
    let shared = Shared {
        stage: Stage::Queued,
        armed,
        result: std::ptr::null_mut(),
        errno: 0,
    };
    let job = Job {
        callback,
        argument,
        task,
        shared: UnsafeCell::new(shared),
    };
    submit(&job)?;
    runtime.count_blocking_call();
    runtime.outside.fetch_add(1, Ordering::AcqRel);
    // A blocking call cannot be cut short by a deadline: its callback would go on without
    // its caller.
    let reason = {
        let scope = task.park_deadline.replace(NEVER);
        let reason = worker::park(worker, task, armed, NEVER, WaitKind::Blocking, 0);
        task.park_deadline.set(scope);
        reason
    };
    let started = reason != Reason::Cancelled || !withdraw(&job);
    if started {
        wait_until_done(&job, worker, task);
    }
    runtime.outside.fetch_sub(1, Ordering::AcqRel);
    runtime.count_blocking_completion();
    // SAFETY: the job is done or withdrawn, so nobody else uses it.
    let shared = unsafe { &*job.shared.get() };
    if reason == Reason::Cancelled {
        return Err(libc::ECANCELED);
    }
    errno::store(shared.errno);
    Ok(shared.result)
}

fn submit(job: &Job) -> Result<()> {
    let mut pool = POOL.lock();
    pool.queue.push_back(JobRef(job));
    if pool.idle >= pool.queue.len() || pool.threads >= MAX_THREADS {
        WORK.notify_one();
        return Ok(());
    }
    let spawned = thread::Builder::new()
        .name("llam-blocking".into())
        .spawn(serve);
    match spawned {
        Ok(_) => pool.threads += 1,
        // Somebody will come to it, as long as there is a thread at all.
        Err(_) if pool.threads > 0 => {}
        Err(error) => {
            pool.queue.pop_back();
            return Err(error.raw_os_error().unwrap_or(libc::ENOMEM));
        }
    }
    Ok(())
}

/// Takes a cancelled job out of the queue. False when it has started.
fn withdraw(job: &Job) -> bool {
    let mut pool = POOL.lock();
    // SAFETY: under the pool's lock.
    if unsafe { (*job.shared.get()).stage } == Stage::Skipped {
        return true;
    }
    let before = pool.queue.len();
    pool.queue.retain(|queued| !std::ptr::eq(queued.0, job));
    pool.queue.len() < before
}

/// A callback that runs keeps using its argument, so its caller stays until it has ended.
fn wait_until_done(job: &Job, worker: &'static worker::Worker, task: &'static Task) {
    loop {
        let pool = POOL.lock();
        // SAFETY: under the pool's lock.
        let shared = unsafe { &mut *job.shared.get() };
        if shared.stage == Stage::Done {
            return;
        }
        shared.armed = task.wait.arm(false);
        drop(pool);
        worker::park_until_woken(worker, task, WaitKind::Blocking, 0);
    }
}

/// A pool thread.
fn serve() {
    signal::apply_mask();
    let mut pool = POOL.lock();
    loop {
        if let Some(JobRef(job)) = pool.queue.pop_front() {
            // SAFETY: a queued job stays until it is done (see `wait_until_done`).
            let job = unsafe { &*job };
            // SAFETY: under the pool's lock.
            let shared = unsafe { &mut *job.shared.get() };
            // Before it runs nothing but a cancellation ends the park of a job's task.
            if !job.task.wait.is_armed(shared.armed) {
                shared.stage = Stage::Skipped;
                continue;
            }
            shared.stage = Stage::Running;
            drop(pool);
            errno::store(0);
            // SAFETY: the caller of `call` promised it.
            let result = unsafe { (job.callback)(job.argument) };
            let left = errno::load();
            pool = POOL.lock();
            finish(job, result, left);
            continue;
        }
        pool.idle += 1;
        let timed_out = WORK.wait_for(&mut pool, IDLE_LIFE).timed_out();
        pool.idle -= 1;
        if timed_out && pool.queue.is_empty() {
            pool.threads -= 1;
            return;
        }
    }
}

/// Stores the result and wakes the task. Under the pool's lock: the task does not leave
/// before it has taken that lock, or has been made runnable here.
fn finish(job: &Job, result: *mut c_void, left: i32) {
    // SAFETY: under the pool's lock.
    let shared = unsafe { &mut *job.shared.get() };
    shared.result = result;
    shared.errno = left;
    shared.stage = Stage::Done;
    let task = job.task;
    if task.wait.claim(shared.armed, Reason::Woken) {
        worker::make_runnable(task);
    }
}

/// `llam_enter_blocking`.
pub(crate) fn enter_region() -> Result<()> {
    let Some((worker, task)) = worker::context() else {
        return Ok(());
    };
    let depth = task.regions.get();
    if depth == 0 {
        region::enter(worker, task)?;
        worker.runtime().outside.fetch_add(1, Ordering::AcqRel);
        task.set_state(State::Opaque);
    }
    task.regions.set(depth + 1);
    Ok(())
}

/// `llam_leave_blocking`.
pub(crate) fn leave_region() -> Result<()> {
    let Some((_, task)) = worker::context() else {
        return Ok(());
    };
    match task.regions.get() {
        0 => return Err(libc::EINVAL),
        1 => close_outermost(task),
        depth => task.regions.set(depth - 1),
    }
    Ok(())
}

/// Closes the regions of a task that ends.
pub(crate) fn close_regions(task: &'static Task) {
    if task.regions.get() > 0 {
        close_outermost(task);
    }
}

fn close_outermost(task: &'static Task) {
    task.regions.set(0);
    if let Some(worker) = task.worker() {
        region::leave(worker, task);
        task.set_state(State::Running);
    }
    task.runtime().outside.fetch_sub(1, Ordering::AcqRel);
}
