//! The remote inbox: how other threads hand tasks to a worker.
//!
//! Any thread pushes; only the owning worker takes, and it takes everything at once. An
//! intrusive stack with one word per node: a task is in at most one inbox at a time, because
//! it gets there only by the one claim that ended its park (E2) or by its one placement.

use super::sync::{AtomicPtr, Ordering};
use std::ptr;

/// A node of an inbox.
///
/// # Safety
/// `link` must return the same field each time, used by nothing else while the node is
/// in an inbox, and the node must stay valid until it has been taken.
pub(crate) unsafe trait Linked: Sized {
    fn link(&self) -> &AtomicPtr<Self>;
}

#[derive(Debug)]
pub(crate) struct Inbox<T> {
    head: AtomicPtr<T>,
}

impl<T: Linked> Inbox<T> {
    pub(crate) fn new() -> Self {
        Self {
            head: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Adds a node.
    ///
    /// # Safety
    /// `node` is valid, in no inbox, and stays valid until `take_all` has returned it.
    pub(crate) unsafe fn push(&self, node: *const T) {
        let node = node.cast_mut();
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller keeps the node valid, and nobody else uses its link.
            unsafe { (*node).link().store(head, Ordering::Relaxed) };
            // Release publishes the node's contents; success needs no acquire because the
            // nodes below are not read here.
            match self
                .head
                .compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Acquire).is_null()
    }

    /// Takes every node, oldest first.
    pub(crate) fn take_all(&self) -> Taken<T> {
        let mut node = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        let mut oldest_first = ptr::null_mut();
        while !node.is_null() {
            // SAFETY: the swap made this thread the only one to hold these nodes.
            let link = unsafe { (*node).link() };
            let below = link.load(Ordering::Relaxed);
            link.store(oldest_first, Ordering::Relaxed);
            oldest_first = node;
            node = below;
        }
        Taken { next: oldest_first }
    }
}

/// The nodes of one `take_all`, oldest first.
#[derive(Debug)]
pub(crate) struct Taken<T> {
    next: *mut T,
}

impl<T: Linked> Iterator for Taken<T> {
    type Item = *const T;

    fn next(&mut self) -> Option<*const T> {
        if self.next.is_null() {
            return None;
        }
        let node = self.next;
        // SAFETY: taken nodes belong to this iterator until it has returned them.
        self.next = unsafe { (*node).link().load(Ordering::Relaxed) };
        Some(node)
    }
}
