//! Waiters of an object, first come first served.
//!
//! A node lives on the stack of its parked task and is linked into the object's list under
//! the object's lock. Two ways out of the list: a waker pops it (and then tries to claim
//! the wait), or the task, back from a timeout or cancellation, unlinks it. Both hold the
//! lock, and the task never leaves its frame with a linked node.

use core::ffi::c_void;
use std::cell::Cell;
use std::ptr;

use crate::task::Task;
use crate::wait::{Armed, Reason};

/// What the waker did for the waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pending,
    /// The operation was performed: a value handed over or taken, a lock passed on.
    Done,
    /// The channel was closed.
    Closed,
}

pub(crate) struct WaitNode {
    next: Cell<*const WaitNode>,
    prev: Cell<*const WaitNode>,
    linked: Cell<bool>,
    pub(crate) task: &'static Task,
    pub(crate) armed: Cell<Armed>,
    /// A sender's value, or where a receiver's value was put.
    pub(crate) value: Cell<*mut c_void>,
    pub(crate) outcome: Cell<Outcome>,
    /// Position of this arm in its select.
    pub(crate) arm: usize,
    /// Where the arm that was performed is noted; null outside select.
    pub(crate) chosen: *const Cell<usize>,
}

impl WaitNode {
    pub(crate) fn new(task: &'static Task, armed: Armed, value: *mut c_void) -> Self {
        Self {
            next: Cell::new(ptr::null()),
            prev: Cell::new(ptr::null()),
            linked: Cell::new(false),
            task,
            armed: Cell::new(armed),
            value: Cell::new(value),
            outcome: Cell::new(Outcome::Pending),
            arm: 0,
            chosen: ptr::null(),
        }
    }

    /// Tells the waiter what was done. The caller has won the claim and has not yet made
    /// the task runnable, so the frame stands still.
    pub(crate) fn settle(&self, outcome: Outcome) {
        self.outcome.set(outcome);
        if !self.chosen.is_null() {
            // SAFETY: the note lies in the same parked frame as the node.
            unsafe { (*self.chosen).set(self.arm) };
        }
    }
}

/// The list. All-zero bytes are an empty list.
pub(crate) struct WaitList {
    first: *const WaitNode,
    last: *const WaitNode,
}

// SAFETY: the list is used under its object's lock only.
unsafe impl Send for WaitList {}

impl WaitList {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Links a node in at the end.
    ///
    /// # Safety
    /// The object's lock is held; the node stays in place until it was popped or removed.
    pub(crate) unsafe fn push(&mut self, node: *const WaitNode) {
        // SAFETY: by the caller's promise; linked nodes are valid.
        unsafe {
            (*node).next.set(ptr::null());
            (*node).prev.set(self.last);
            (*node).linked.set(true);
            if self.last.is_null() {
                self.first = node;
            } else {
                (*self.last).next.set(node);
            }
        }
        self.last = node;
    }

    /// Unlinks a node, if it is still linked.
    ///
    /// # Safety
    /// The object's lock is held, and the node is this list's or nobody's.
    pub(crate) unsafe fn remove(&mut self, node: &WaitNode) {
        if !node.linked.replace(false) {
            return;
        }
        let (prev, next) = (node.prev.get(), node.next.get());
        // SAFETY: linked neighbours are valid.
        unsafe {
            match prev.is_null() {
                true => self.first = next,
                false => (*prev).next.set(next),
            }
            match next.is_null() {
                true => self.last = prev,
                false => (*next).prev.set(prev),
            }
        }
    }

    #[inline]
    fn pop(&mut self) -> Option<*const WaitNode> {
        let node = self.first;
        // SAFETY: linked nodes are valid.
        let first = unsafe { node.as_ref() }?;
        first.linked.set(false);
        self.first = first.next.get();
        // SAFETY: as above.
        match unsafe { self.first.as_ref() } {
            Some(second) => second.prev.set(ptr::null()),
            None => self.last = ptr::null(),
        }
        Some(node)
    }

    /// Pops waiters until one is claimed. The claimed one is still parked: the caller
    /// settles it and makes its task runnable. Others had ended for another reason.
    ///
    /// # Safety
    /// The object's lock is held.
    #[inline]
    pub(crate) unsafe fn claim_first(&mut self) -> Option<&'static WaitNode> {
        while let Some(node) = self.pop() {
            // SAFETY: a node that was linked a moment ago belongs to a frame that cannot
            // go before it has taken the lock; a claimed one stays until it is made
            // runnable, which is the caller's next step.
            let node: &'static WaitNode = unsafe { &*node };
            if node.task.wait.claim(node.armed.get(), Reason::Woken) {
                return Some(node);
            }
        }
        None
    }

    /// Whether a parked waiter is there that has not ended for another reason.
    pub(crate) fn has_claimable(&self) -> bool {
        let mut node = self.first;
        while !node.is_null() {
            // SAFETY: linked nodes are valid under the lock.
            let waiting = unsafe { &*node };
            if waiting.task.wait.is_armed(waiting.armed.get()) {
                return true;
            }
            node = waiting.next.get();
        }
        false
    }
}
