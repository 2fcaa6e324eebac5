//! Select (`abi.md` 4.13, 5.7): exactly one of several channel operations.
//!
//! First every arm is checked, then the arms are tried in order. If none is ready, the task
//! arms its wait word once and links one node per arm; whoever claims the word performs that
//! arm. Arms that become ready while the nodes are being linked are claimed by the task
//! itself. Up to `INLINE_ARMS` nodes live on the stack, more in one allocation.

use core::ffi::c_void;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ptr;

use super::channel::{self, Attempt, Channel, Locked};
use super::waitlist::{Outcome, WaitNode};
use crate::errno::Result;
use crate::handle::Checked;
use crate::task::{Task, WaitKind};
use crate::wait::{Armed, Reason};
use crate::worker::{self, Worker};

/// Most arms (`LLAM_CHANNEL_SELECT_MAX_OPS`).
pub(crate) const MAX_ARMS: usize = 4096;
const INLINE_ARMS: usize = 6;
const RECV: u32 = 1;
const SEND: u32 = 2;

/// `llam_select_op_t`.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields are those of the C struct")]
pub struct SelectOp {
    pub kind: u32,
    pub reserved0: u32,
    pub channel: *mut c_void,
    pub send_value: *mut c_void,
    pub recv_out: *mut *mut c_void,
    pub result_errno: i32,
}

const _: () = assert!(size_of::<SelectOp>() == 40);

/// Performs one arm; returns its index.
pub(crate) fn select(arms: &mut [SelectOp], deadline_ns: u64) -> Result<usize> {
    for arm in &mut *arms {
        arm.result_errno = 0;
    }
    let (worker, task) = worker::context().ok_or(libc::ENOTSUP)?;
    let mut surely_waiting = 0;
    for arm in &*arms {
        surely_waiting += usize::from(validate(arm, worker)?);
    }
    worker::budget_point(worker, task);
    // Who waits looks at each arm once more, under its lock.
    if surely_waiting < arms.len() {
        for (index, arm) in arms.iter_mut().enumerate() {
            if attempt(arm)? {
                return Ok(index);
            }
        }
    }
    worker::precheck(task, deadline_ns)?;
    if arms.len() <= INLINE_ARMS {
        let mut nodes = [const { MaybeUninit::uninit() }; INLINE_ARMS];
        wait(worker, task, arms, &mut nodes[..], deadline_ns)
    } else {
        let mut nodes = Vec::with_capacity(arms.len());
        nodes.resize_with(arms.len(), MaybeUninit::uninit);
        wait(worker, task, arms, &mut nodes, deadline_ns)
    }
}

/// Checks an arm. True when it could not be performed at a moment during this call.
#[inline]
fn validate(arm: &SelectOp, worker: &Worker) -> Result<bool> {
    let shape = match arm.kind {
        RECV => !arm.recv_out.is_null(),
        SEND => true,
        _ => false,
    };
    if !shape || arm.channel.is_null() {
        return Err(libc::EINVAL);
    }
    let (checked, owner) = channel::find(arm.channel)?;
    if owner != worker.owner() {
        return Err(libc::EXDEV);
    }
    Ok(arm.kind == RECV && checked.slot.is_empty_and_open())
}

/// Performs an arm if it is ready.
fn attempt(arm: &mut SelectOp) -> Result<bool> {
    let (checked, _) = channel::find(arm.channel)?;
    let mut state = channel::lock(&checked)?;
    let (outcome, value, woken) = try_arm(arm, &mut state);
    drop(state);
    if let Some(task) = woken {
        worker::make_runnable(task);
    }
    Ok(match outcome {
        Attempt::WouldWait => false,
        Attempt::Closed => {
            record(arm, Outcome::Closed, ptr::null_mut());
            true
        }
        Attempt::Done(()) => {
            record(arm, Outcome::Done, value);
            true
        }
    })
}

fn try_arm(
    arm: &SelectOp,
    state: &mut Locked,
) -> (Attempt<()>, *mut c_void, Option<&'static Task>) {
    if arm.kind == SEND {
        let (attempt, woken) = state.try_send(arm.send_value);
        return (attempt, ptr::null_mut(), woken);
    }
    match state.try_recv() {
        (Attempt::Done(value), woken) => (Attempt::Done(()), value, woken),
        (Attempt::Closed, woken) => (Attempt::Closed, ptr::null_mut(), woken),
        (Attempt::WouldWait, woken) => (Attempt::WouldWait, ptr::null_mut(), woken),
    }
}

/// Writes the outcome of the performed arm.
fn record(arm: &mut SelectOp, outcome: Outcome, value: *mut c_void) {
    if outcome == Outcome::Closed {
        arm.result_errno = libc::EPIPE;
    }
    if arm.kind == RECV {
        // SAFETY: checked non-null; the caller of the ABI promised it is writable.
        unsafe { arm.recv_out.write(value) };
    }
}

/// The nodes of a parked select, and how far they have been linked in.
struct Linked<'a> {
    arms: &'a mut [SelectOp],
    nodes: &'a mut [MaybeUninit<WaitNode>],
    channels: Cell<usize>,
}

impl Linked<'_> {
    /// Unlinks every node that was linked in; after this the frame may go.
    fn unlink(&self) {
        for index in 0..self.channels.get() {
            // SAFETY: the first `channels` nodes are initialised and stand in this frame.
            let node = unsafe { self.nodes[index].assume_init_ref() };
            let arm = &self.arms[index];
            // A node that was popped by a waker may belong to a channel that is gone by
            // now; the slot and its lock are still there, and the node is not linked.
            if let Some(slot) = slot_of(arm) {
                slot.lock().dequeue(arm.kind == SEND, node);
            }
        }
    }
}

fn slot_of(arm: &SelectOp) -> Option<&'static Channel> {
    use crate::handle::Object;
    // The index alone finds the slot, also when the channel has been destroyed since.
    Channel::slab().slot(arm.channel as usize as u32 & ((1 << 26) - 1))
}

fn wait(
    worker: &'static Worker,
    task: &'static Task,
    arms: &mut [SelectOp],
    nodes: &mut [MaybeUninit<WaitNode>],
    deadline_ns: u64,
) -> Result<usize> {
    let chosen = Cell::new(usize::MAX);
    let armed = task.wait.arm(true);
    let linked = Linked {
        arms,
        nodes,
        channels: Cell::new(0),
    };
    let linked = match link_all(task, armed, linked, &chosen)? {
        Progress::Performed(index) => return Ok(index),
        Progress::Linked(linked) => linked,
    };
    let detail = linked.arms[0].channel as usize as u64;
    let reason = worker::park(worker, task, armed, deadline_ns, WaitKind::Select, detail);
    finish(linked, reason, chosen.get())
}

enum Progress<'a> {
    Performed(usize),
    Linked(Linked<'a>),
}

/// Links a node per arm, unless an arm turns out to be ready first.
fn link_all<'a>(
    task: &'static Task,
    armed: Armed,
    linked: Linked<'a>,
    chosen: &Cell<usize>,
) -> Result<Progress<'a>> {
    for index in 0..linked.arms.len() {
        let arm = &linked.arms[index];
        let sends = arm.kind == SEND;
        let locked = channel::find(arm.channel)
            .and_then(|(checked, _): (Checked<Channel>, u32)| channel::lock(&checked));
        let mut state = match locked {
            Ok(state) => state,
            // Destroyed since it was checked. If no other arm has been performed
            // meanwhile, nothing is.
            Err(error) if task.wait.claim(armed, Reason::Cancelled) => {
                linked.unlink();
                return Err(error);
            }
            Err(_) => return Ok(Progress::Linked(linked)),
        };
        if is_ready(arm, &state) {
            if !task.wait.claim(armed, Reason::Woken) {
                // Another arm has been performed; the wake is on its way.
                drop(state);
                return Ok(Progress::Linked(linked));
            }
            let (outcome, value, woken) = try_arm(arm, &mut state);
            drop(state);
            if let Some(other) = woken {
                worker::make_runnable(other);
            }
            linked.unlink();
            let outcome = match outcome {
                Attempt::Closed => Outcome::Closed,
                Attempt::Done(()) | Attempt::WouldWait => Outcome::Done,
            };
            record(&mut linked.arms[index], outcome, value);
            return Ok(Progress::Performed(index));
        }
        let value = if sends {
            arm.send_value
        } else {
            ptr::null_mut()
        };
        let mut node = WaitNode::new(task, armed, value);
        node.arm = index;
        node.chosen = chosen;
        let place = linked.nodes[index].write(node);
        // SAFETY: under the lock; `unlink` takes the node out before the frame goes.
        unsafe { state.enqueue(sends, place) };
        linked.channels.set(index + 1);
    }
    Ok(Progress::Linked(linked))
}

/// Whether an arm could be performed now. Under the channel's lock, so it still can be
/// after the claim.
fn is_ready(arm: &SelectOp, state: &Locked) -> bool {
    if arm.kind == SEND {
        state.can_send()
    } else {
        state.can_recv()
    }
}

fn finish(linked: Linked<'_>, reason: Reason, chosen: usize) -> Result<usize> {
    if reason != Reason::Woken {
        linked.unlink();
        return Err(if reason == Reason::Timeout {
            libc::ETIMEDOUT
        } else {
            libc::ECANCELED
        });
    }
    // SAFETY: the waker noted the arm whose node it claimed, which is initialised.
    let node = unsafe { linked.nodes[chosen].assume_init_ref() };
    let (outcome, value) = (node.outcome.get(), node.value.get());
    linked.unlink();
    record(&mut linked.arms[chosen], outcome, value);
    Ok(chosen)
}
