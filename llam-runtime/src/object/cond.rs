//! Condition variables (`abi.md` 4.11, 5.8).

use core::ffi::c_void;
use std::ptr;

use super::Owner;
use super::mutex;
use super::waitlist::{Outcome, WaitList, WaitNode};
use super::{live_owner, managed};
use crate::errno::Result;
use crate::handle::{self, Guarded, Kind, Object};
use crate::runtime::registry;
use crate::slab::{Slab, Slot, SlotHead};
use crate::spin::SpinLock;
use crate::task::WaitKind;
use crate::wait::Reason;
use crate::worker;

#[repr(C)]
pub(crate) struct Cond {
    head: SlotHead,
    owner: Owner,
    state: SpinLock<State>,
}

pub(crate) struct State {
    waiters: WaitList,
    /// Wait calls that have not returned, signalled or not.
    inside: u32,
}
// SAFETY: zero is an unlocked lock, an empty list, 0.
unsafe impl Slot for Cond {
    fn head(&self) -> &SlotHead {
        &self.head
    }
}

static CONDS: Slab<Cond> = Slab::new();

impl Object for Cond {
    const KIND: Kind = Kind::Cond;
    fn slab() -> &'static Slab<Self> {
        &CONDS
    }
}

impl Guarded for Cond {
    type State = State;
    fn state(&self) -> &SpinLock<State> {
        &self.state
    }
}

pub(crate) fn create() -> Result<*mut c_void> {
    let cond = CONDS.allocate().ok_or(libc::ENOMEM)?;
    cond.owner.set(registry::implied_owner());
    Ok(handle::of(cond))
}

pub(crate) fn destroy(cond: *mut c_void) -> Result<()> {
    let checked = handle::check::<Cond>(cond).ok_or(libc::EINVAL)?;
    registry::cleanup_standing(checked.slot.owner.get())?;
    let state = checked.lock()?;
    if state.inside > 0 {
        return Err(libc::EBUSY);
    }
    Slab::kill(checked.slot);
    drop(state);
    CONDS.give_back([checked.slot]);
    Ok(())
}

pub(crate) fn wait_until(cond: *mut c_void, mutex: *mut c_void, deadline_ns: u64) -> Result<()> {
    let checked = handle::check::<Cond>(cond).ok_or(libc::EINVAL)?;
    let mutex_owner = mutex::owner_of(mutex)?;
    let (worker, task) = managed(checked.slot.owner.get())?;
    managed(mutex_owner)?;
    let lent = mutex::held_by(mutex, task)?;
    worker::precheck(task, deadline_ns)?;
    let mut state = checked.lock()?;
    let armed = task.wait.arm(true);
    let node = WaitNode::new(task, armed, ptr::null_mut());
    // SAFETY: under the lock; the node is unlinked before this frame ends.
    unsafe { state.waiters.push(&node) };
    state.inside += 1;
    drop(state);
    // A signal from here on finds the waiter, so unlocking and parking are one step.
    lent.give_up();
    let reason = worker::park(worker, task, armed, deadline_ns, WaitKind::Cond, 0);
    if reason != Reason::Woken {
        // SAFETY: under the lock, and the node was pushed to this list.
        unsafe { checked.slot.state.lock().waiters.remove(&node) };
    }
    lent.take_back(worker, task);
    checked.slot.state.lock().inside -= 1;
    match reason {
        Reason::Woken => Ok(()),
        Reason::Timeout => Err(libc::ETIMEDOUT),
        Reason::Cancelled | Reason::Completed => Err(libc::ECANCELED),
    }
}

pub(crate) fn signal(cond: *mut c_void, all: bool) -> Result<()> {
    let checked = handle::check::<Cond>(cond).ok_or(libc::EINVAL)?;
    live_owner(checked.slot.owner.get(), libc::ENOTSUP)?;
    let mut state = checked.lock()?;
    // SAFETY: under the lock.
    while let Some(node) = unsafe { state.waiters.claim_first() } {
        let task = node.task;
        node.settle(Outcome::Done);
        worker::make_runnable(task);
        if !all {
            break;
        }
    }
    Ok(())
}
