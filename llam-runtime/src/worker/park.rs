//! Parking, yielding, safepoints: how the running task gives its worker up.
//!
//! Order of a wait (R5, R6): complete at once if possible; `precheck`; arm the wait word;
//! publish the waiter; `park`. Whoever claims the armed word makes the task runnable; the
//! task finds the reason when it is back.

use std::cell::Cell;
use std::sync::atomic::{Ordering, fence};

use super::{Worker, context};
use crate::clock::{NEVER, now_ns};
use crate::errno::{self, Result};
use crate::runtime::options::PreemptMode;
use crate::task::{State, Task, WaitKind, flag};
use crate::wait::{Armed, Reason};
use crate::wheel::TimerNode;

/// Calls that could have parked but completed, after which a task looks at its budget.
const OPS_PER_LOOK: u32 = 64;

/// A timed wait's node in the wheel, on the parked task's stack.
#[repr(C)]
pub(super) struct ParkTimer {
    node: TimerNode,
    pub(super) task: &'static Task,
    pub(super) armed: Cell<Armed>,
}

/// Whether the task's token is cancelled or its runtime is stopping.
#[inline]
pub(crate) fn cancelled(task: &Task) -> bool {
    task.runtime().is_stopping() || task.token().is_some_and(|token| token.is_cancelled())
}

/// Steps 3 and 4 of R5: `ETIMEDOUT` for a deadline that has passed, `ECANCELED` for a
/// cancelled task. The task's park deadline counts like the call's own.
#[inline]
pub(crate) fn precheck(task: &Task, deadline_ns: u64) -> Result<()> {
    let deadline = deadline_ns.min(task.park_deadline.get());
    if deadline != NEVER && (deadline == 0 || now_ns() >= deadline) {
        return Err(libc::ETIMEDOUT);
    }
    if cancelled(task) {
        return Err(libc::ECANCELED);
    }
    Ok(())
}

/// Parks the running task until its armed word is claimed.
///
/// `armed` is the task's current arming and has been published to whatever may wake it. A
/// cancellable park also ends by cancellation, by `deadline_ns` and by the task's park
/// deadline; see [`park_until_woken`] for the others.
///
/// Inlined, as all that lies between a call that waits and the switch: the processor predicts every return
/// wrongly that follows a switch.
#[inline(always)]
pub(crate) fn park(
    worker: &'static Worker,
    task: &'static Task,
    armed: Armed,
    deadline_ns: u64,
    kind: WaitKind,
    detail: u64,
) -> Reason {
    // A cancellation that came after `precheck` has either seen the armed word, or is seen
    // here: the canceller sets its flag, fences, and looks at the word.
    if task.token().is_some() {
        fence(Ordering::SeqCst);
    }
    if cancelled(task) && task.wait.claim(armed, Reason::Cancelled) {
        return Reason::Cancelled;
    }
    let deadline = deadline_ns.min(task.park_deadline.get());
    if deadline == NEVER {
        suspend_waiting(worker, task, kind, detail);
    } else {
        suspend_with_timer(worker, task, armed, deadline, kind, detail);
    }
    task.wait.reason()
}

/// As [`suspend_waiting`], with a timer that may end the park as well.
fn suspend_with_timer(
    worker: &'static Worker,
    task: &'static Task,
    armed: Armed,
    deadline: u64,
    kind: WaitKind,
    detail: u64,
) {
    let timer = ParkTimer {
        node: TimerNode::new(deadline),
        task,
        armed: Cell::new(armed),
    };
    // SAFETY: owner access to the wheel; the node stays in this frame and is removed below,
    // before the frame ends.
    unsafe { (*worker.wheel.get()).insert(&timer.node) };
    suspend(worker, task, kind, detail);
    // SAFETY: as above; the task is on its own worker's thread again (E1).
    unsafe { (*worker.wheel.get()).remove(&timer.node) };
}

/// Parks until woken; neither cancellation nor any deadline ends it. `armed` was made by
/// `arm(false)`.
#[inline(always)]
pub(crate) fn park_until_woken(
    worker: &'static Worker,
    task: &'static Task,
    kind: WaitKind,
    detail: u64,
) {
    suspend_waiting(worker, task, kind, detail);
}

/// Suspends in a wait without a deadline.
#[inline(always)]
fn suspend_waiting(worker: &'static Worker, task: &'static Task, kind: WaitKind, detail: u64) {
    if kind.is_internal() {
        worker.count_internal_waits(1);
        suspend(worker, task, kind, detail);
        worker.count_internal_waits(-1);
    } else {
        suspend(worker, task, kind, detail);
    }
}

#[inline(always)]
fn suspend(worker: &'static Worker, task: &'static Task, kind: WaitKind, detail: u64) {
    task.note_wait(kind, detail, worker.round_ns());
    task.set_state(State::Parked);
    worker.counters.parks.bump();
    // SAFETY: the task is the one running on this thread.
    unsafe { task.leave() };
}

impl Worker {
    /// Ends the timed waits that are due.
    pub(super) fn expire_timers(&self) {
        // SAFETY: owner access; `fire` touches the queue, not the wheel.
        let wheel = unsafe { &mut *self.wheel.get() };
        if wheel.is_empty() {
            return;
        }
        wheel.expire(self.round_ns.get(), |node| {
            // SAFETY: nodes in a worker's wheel are the first field of a `ParkTimer` whose
            // frame is parked.
            let timer = unsafe { &*node.cast::<ParkTimer>() };
            if timer.task.wait.claim(timer.armed.get(), Reason::Timeout) {
                self.push_woken(timer.task);
            }
        });
    }
}

/// Lets the other ready tasks of this worker run. On a host thread: an OS yield.
#[inline(always)]
pub(crate) fn yield_now() {
    match context() {
        Some((worker, task)) => reschedule(worker, task),
        None => errno::preserve(std::thread::yield_now),
    }
}

#[inline(always)]
fn reschedule(worker: &'static Worker, task: &'static Task) {
    worker.counters.yields.bump();
    worker.push_started(task);
    // SAFETY: the task is the one running on this thread.
    unsafe { task.leave() };
}

/// An explicit safepoint (`llam_task_safepoint`).
pub(crate) fn safepoint() {
    let Some((worker, task)) = context() else {
        return;
    };
    let passed = task.safepoints.get().wrapping_add(1);
    task.safepoints.set(passed);
    if task.flags() & flag::NO_PREEMPT != 0 {
        return;
    }
    let options = worker.runtime().options();
    let forced = options.forced_yield_every;
    if forced != 0 && passed % forced == 0 {
        reschedule(worker, task);
        return;
    }
    match options.preempt_mode {
        PreemptMode::Off | PreemptMode::Cooperative => {}
        PreemptMode::Strict => look_at_budget(worker, task),
        PreemptMode::Auto => {
            if passed % options.preempt_poll_period.max(1) == 0 {
                look_at_budget(worker, task);
            }
        }
    }
}

/// The safepoint inside calls that might park (R9): one count, now and then a look.
#[inline]
pub(crate) fn budget_point(worker: &'static Worker, task: &'static Task) {
    let ops = worker.ops.get() + 1;
    worker.ops.set(ops);
    if ops >= OPS_PER_LOOK {
        worker.ops.set(0);
        after_many_ops(worker, task);
    }
}

/// A task that never has to wait, because its channels and sockets are always ready, must
/// not keep its worker (E8): it yields when anything else could run. `errno` stays as it was.
#[cold]
fn after_many_ops(worker: &'static Worker, task: &'static Task) {
    if task.flags() & flag::NO_PREEMPT != 0 {
        return;
    }
    if worker.has_ready() || errno::preserve(|| worker.look_around()) {
        reschedule(worker, task);
    }
}

fn look_at_budget(worker: &'static Worker, task: &'static Task) {
    let now = now_ns();
    let began = worker.slice_ns.get();
    if began == 0 {
        worker.slice_ns.set(now);
        return;
    }
    let options = worker.runtime().options();
    if now - began < options.budget_ns(task.class()) {
        return;
    }
    let wanted =
        options.preempt_mode == PreemptMode::Strict || worker.has_ready() || worker.look_around();
    if wanted {
        worker.counters.preempt_requests.bump();
        worker.counters.preempt_yields.bump();
        worker.over_budget.set(true);
        reschedule(worker, task);
    } else {
        worker.counters.preempt_suppressed.bump();
        worker.slice_ns.set(now);
    }
}
