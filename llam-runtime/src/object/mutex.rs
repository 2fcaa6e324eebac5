//! Mutexes (`abi.md` 4.10, 5.8): owned by tasks, handed to the longest waiter.

use core::ffi::c_void;
use std::ptr;

use super::Owner;
use super::managed;
use super::waitlist::{Outcome, WaitList, WaitNode};
use crate::errno::Result;
use crate::handle::{self, Guarded, Kind, Object};
use crate::runtime::registry;
use crate::slab::{Slab, Slot, SlotHead};
use crate::spin::{SpinGuard, SpinLock};
use crate::task::{Task, WaitKind};
use crate::wait::Reason;
use crate::worker::{self, Worker};

#[repr(C)]
pub(crate) struct TaskMutex {
    head: SlotHead,
    owner: Owner,
    state: SpinLock<State>,
}

pub(crate) struct State {
    /// The task that holds the mutex, null when it is free. It may have ended, and its slot may hold
    /// another task: never followed.
    holder: *const Task,
    /// Which task of that slot.
    holder_life: u32,
    /// Its id, for the dump.
    holder_id: u64,
    waiters: WaitList,
    /// Condition waits that will take the mutex again.
    cond_waits: u32,
}

impl State {
    fn is_free(&self) -> bool {
        self.holder.is_null()
    }

    fn give_to(&mut self, task: &Task) {
        self.holder = task;
        self.holder_life = task.life();
        self.holder_id = task.id();
    }

    fn is_held_by(&self, task: &Task) -> bool {
        ptr::eq(self.holder, task) && self.holder_life == task.life()
    }
}

// SAFETY: pointers to task slots, which are shared and never unmapped.
unsafe impl Send for State {}
// SAFETY: zero is an unlocked lock, null, an empty list, 0.
unsafe impl Slot for TaskMutex {
    fn head(&self) -> &SlotHead {
        &self.head
    }
}

static MUTEXES: Slab<TaskMutex> = Slab::new();

impl Object for TaskMutex {
    const KIND: Kind = Kind::Mutex;
    fn slab() -> &'static Slab<Self> {
        &MUTEXES
    }
}

impl Guarded for TaskMutex {
    type State = State;
    fn state(&self) -> &SpinLock<State> {
        &self.state
    }
}

pub(crate) fn create() -> Result<*mut c_void> {
    let mutex = MUTEXES.allocate().ok_or(libc::ENOMEM)?;
    mutex.owner.set(registry::implied_owner());
    Ok(handle::of(mutex))
}

pub(crate) fn destroy(mutex: *mut c_void) -> Result<()> {
    let checked = handle::check::<TaskMutex>(mutex).ok_or(libc::EINVAL)?;
    registry::cleanup_standing(checked.slot.owner.get())?;
    let state = checked.lock()?;
    if !state.is_free() || !state.waiters.is_empty() || state.cond_waits > 0 {
        return Err(libc::EBUSY);
    }
    Slab::kill(checked.slot);
    drop(state);
    MUTEXES.give_back([checked.slot]);
    Ok(())
}

#[inline(always)]
pub(crate) fn lock_until(mutex: *mut c_void, deadline_ns: u64) -> Result<()> {
    let checked = handle::check::<TaskMutex>(mutex).ok_or(libc::EINVAL)?;
    let (worker, task) = managed(checked.slot.owner.get())?;
    worker::budget_point(worker, task);
    let mut state = checked.lock()?;
    if state.is_free() {
        state.give_to(task);
        return Ok(());
    }
    if state.is_held_by(task) {
        return Err(libc::EDEADLK);
    }
    worker::precheck(task, deadline_ns)?;
    let armed = task.wait.arm(true);
    let node = WaitNode::new(task, armed, ptr::null_mut());
    // SAFETY: under the lock; the node is unlinked before this frame ends.
    unsafe { state.waiters.push(&node) };
    let holder_id = state.holder_id;
    drop(state);
    let reason = worker::park(worker, task, armed, deadline_ns, WaitKind::Mutex, holder_id);
    finish_wait(checked.slot, &node, reason)
}

fn finish_wait(mutex: &TaskMutex, node: &WaitNode, reason: Reason) -> Result<()> {
    if reason == Reason::Woken {
        return Ok(());
    }
    // SAFETY: under the lock, and the node was pushed to this list.
    unsafe { mutex.state.lock().waiters.remove(node) };
    Err(if reason == Reason::Timeout {
        libc::ETIMEDOUT
    } else {
        libc::ECANCELED
    })
}

pub(crate) fn try_lock(mutex: *mut c_void) -> Result<()> {
    let checked = handle::check::<TaskMutex>(mutex).ok_or(libc::EINVAL)?;
    let (_, task) = managed(checked.slot.owner.get())?;
    let mut state = checked.lock()?;
    if !state.is_free() {
        return Err(libc::EBUSY);
    }
    state.give_to(task);
    Ok(())
}

pub(crate) fn unlock(mutex: *mut c_void) -> Result<()> {
    let checked = handle::check::<TaskMutex>(mutex).ok_or(libc::EINVAL)?;
    let (_, task) = managed(checked.slot.owner.get())?;
    let state = checked.lock()?;
    if !state.is_held_by(task) {
        return Err(libc::EPERM);
    }
    pass_on(state);
    Ok(())
}

/// Hands a held mutex to the longest waiter, or frees it.
fn pass_on(mut state: SpinGuard<'_, State>) {
    // SAFETY: under the lock.
    match unsafe { state.waiters.claim_first() } {
        Some(next) => {
            let task = next.task;
            state.give_to(task);
            next.settle(Outcome::Done);
            drop(state);
            worker::make_runnable(task);
        }
        None => state.holder = ptr::null(),
    }
}

/// A mutex that a condition wait gives up and takes again.
pub(super) struct Lent(&'static TaskMutex);

/// Checks the mutex of a condition wait: `EINVAL`, `EXDEV`, `EPERM`.
pub(super) fn held_by(mutex: *mut c_void, task: &Task) -> Result<Lent> {
    let checked = handle::check::<TaskMutex>(mutex).ok_or(libc::EINVAL)?;
    let state = checked.lock()?;
    if !state.is_held_by(task) {
        return Err(libc::EPERM);
    }
    Ok(Lent(checked.slot))
}

/// The owner of a mutex, for the owner check of a condition wait.
pub(super) fn owner_of(mutex: *mut c_void) -> Result<u32> {
    Ok(handle::find::<TaskMutex>(mutex)
        .ok_or(libc::EINVAL)?
        .owner
        .get())
}

impl Lent {
    /// Gives the mutex up; it cannot be destroyed until `take_back`.
    pub(super) fn give_up(&self) {
        let mut state = self.0.state.lock();
        state.cond_waits += 1;
        pass_on(state);
    }

    /// Takes the mutex again, however long that takes.
    pub(super) fn take_back(&self, worker: &'static Worker, task: &'static Task) {
        let mut state = self.0.state.lock();
        state.cond_waits -= 1;
        if state.is_free() {
            state.give_to(task);
            return;
        }
        let armed = task.wait.arm(false);
        let node = WaitNode::new(task, armed, ptr::null_mut());
        // SAFETY: under the lock; only a hand-over ends this wait, and it unlinks the node.
        unsafe { state.waiters.push(&node) };
        let holder_id = state.holder_id;
        drop(state);
        worker::park_until_woken(worker, task, WaitKind::Mutex, holder_id);
    }
}
