//! Channels (`abi.md` 4.12, 5.6): bounded, first in first out, words only.
//!
//! One lock per channel, held for a few instructions. A sender that finds a parked receiver
//! puts the value straight into the receiver's frame; a receiver that makes room moves the
//! first parked sender's value into the buffer.

use core::ffi::c_void;
use std::alloc::{Layout, alloc, dealloc};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Owner;
use super::managed;
use super::waitlist::{Outcome, WaitList, WaitNode};
use crate::errno::Result;
use crate::handle::{self, Checked, Guarded, Kind, Object};
use crate::runtime::registry::{self, Standing};
use crate::slab::{Slab, Slot, SlotHead};
use crate::spin::{SpinGuard, SpinLock};
use crate::task::{Task, WaitKind};
use crate::wait::Reason;
use crate::worker;

type Word = *mut c_void;

#[repr(C)]
pub(crate) struct Channel {
    head: SlotHead,
    owner: Owner,
    /// Changed under the lock. Read without it to learn that a call would wait: see
    /// [`is_empty_and_open`](Self::is_empty_and_open).
    len: AtomicUsize,
    closed: AtomicBool,
    pub(super) state: SpinLock<State>,
}

pub(crate) struct State {
    buffer: *mut Word,
    capacity: usize,
    first: usize,
    receivers: WaitList,
    senders: WaitList,
    /// Waiters that `close` has woken and that have not returned.
    leaving: u32,
}

// SAFETY: the buffer belongs to the channel; payloads are opaque words.
unsafe impl Send for State {}
// SAFETY: zero is an unlocked lock, null, 0, false, empty lists.
unsafe impl Slot for Channel {
    fn head(&self) -> &SlotHead {
        &self.head
    }
}

static CHANNELS: Slab<Channel> = Slab::new();

impl Object for Channel {
    const KIND: Kind = Kind::Channel;
    fn slab() -> &'static Slab<Self> {
        &CHANNELS
    }
}

/// What an attempt without waiting came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt<T> {
    Done(T),
    Closed,
    WouldWait,
}

/// A channel whose lock is held.
pub(super) struct Locked {
    channel: &'static Channel,
    state: SpinGuard<'static, State>,
}

impl Channel {
    /// Whether a receive would wait, at a moment during this call. Parked senders mean a full buffer,
    /// so only an empty one says that.
    #[inline]
    pub(super) fn is_empty_and_open(&self) -> bool {
        self.len.load(Ordering::Acquire) == 0 && !self.closed.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn lock(&'static self) -> Locked {
        Locked {
            channel: self,
            state: self.state.lock(),
        }
    }
}

impl Locked {
    #[inline]
    fn len(&self) -> usize {
        self.channel.len.load(Ordering::Relaxed)
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.channel.closed.load(Ordering::Relaxed)
    }

    #[inline]
    fn push(&mut self, value: Word) {
        let len = self.len();
        let state = &mut *self.state;
        let mut at = state.first + len;
        if at >= state.capacity {
            at -= state.capacity;
        }
        // SAFETY: `at` is below the capacity, and the slot is free.
        unsafe { state.buffer.add(at).write(value) };
        self.channel.len.store(len + 1, Ordering::Release);
    }

    #[inline]
    fn pop(&mut self) -> Word {
        let state = &mut *self.state;
        // SAFETY: `len` is not 0, so `first` holds a value.
        let value = unsafe { state.buffer.add(state.first).read() };
        state.first += 1;
        if state.first == state.capacity {
            state.first = 0;
        }
        self.channel.len.store(self.len() - 1, Ordering::Release);
        value
    }

    /// Sends if that needs no waiting. The second value is a task to make runnable.
    #[inline]
    pub(super) fn try_send(&mut self, value: Word) -> (Attempt<()>, Option<&'static Task>) {
        if self.is_closed() {
            return (Attempt::Closed, None);
        }
        // SAFETY: under the lock.
        if let Some(receiver) = unsafe { self.state.receivers.claim_first() } {
            receiver.value.set(value);
            receiver.settle(Outcome::Done);
            return (Attempt::Done(()), Some(receiver.task));
        }
        if self.len() < self.state.capacity {
            self.push(value);
            return (Attempt::Done(()), None);
        }
        (Attempt::WouldWait, None)
    }

    /// Receives if that needs no waiting. The second value is a task to make runnable.
    #[inline]
    pub(super) fn try_recv(&mut self) -> (Attempt<Word>, Option<&'static Task>) {
        if self.len() > 0 {
            let value = self.pop();
            // SAFETY: under the lock.
            let sender = unsafe { self.state.senders.claim_first() };
            if let Some(sender) = sender {
                self.push(sender.value.get());
                sender.settle(Outcome::Done);
            }
            return (Attempt::Done(value), sender.map(|sender| sender.task));
        }
        if self.is_closed() {
            return (Attempt::Closed, None);
        }
        (Attempt::WouldWait, None)
    }

    /// Whether a send would not wait.
    pub(super) fn can_send(&self) -> bool {
        self.is_closed() || self.len() < self.state.capacity || self.state.receivers.has_claimable()
    }

    /// Whether a receive would not wait.
    pub(super) fn can_recv(&self) -> bool {
        self.is_closed() || self.len() > 0
    }

    /// Links a waiter in.
    ///
    /// # Safety
    /// As `WaitList::push`.
    #[inline]
    pub(super) unsafe fn enqueue(&mut self, sends: bool, node: *const WaitNode) {
        let list = if sends {
            &mut self.state.senders
        } else {
            &mut self.state.receivers
        };
        // SAFETY: by the caller's promise.
        unsafe { list.push(node) };
    }

    /// Unlinks a waiter that ended, or checks out one that `close` has woken.
    pub(super) fn dequeue(&mut self, sends: bool, node: &WaitNode) {
        let list = if sends {
            &mut self.state.senders
        } else {
            &mut self.state.receivers
        };
        // SAFETY: under the lock, and the node was pushed to this list.
        unsafe { list.remove(node) };
        if node.outcome.get() == Outcome::Closed {
            self.state.leaving -= 1;
        }
    }
}

impl Guarded for Channel {
    type State = State;
    fn state(&self) -> &SpinLock<State> {
        &self.state
    }
}

/// Checks a handle; the owner is checked by the caller.
#[inline(always)]
pub(super) fn find(channel: *mut c_void) -> Result<(Checked<Channel>, u32)> {
    let checked = handle::check::<Channel>(channel).ok_or(libc::EINVAL)?;
    let owner = checked.slot.owner.get();
    Ok((checked, owner))
}

/// Locks a channel and checks its handle once more.
#[inline(always)]
pub(super) fn lock(checked: &Checked<Channel>) -> Result<Locked> {
    Ok(Locked {
        channel: checked.slot,
        state: checked.lock()?,
    })
}

pub(crate) fn create(capacity: usize) -> Result<*mut c_void> {
    if capacity == 0 {
        return Err(libc::EINVAL);
    }
    let layout = Layout::array::<Word>(capacity).map_err(|_| libc::ENOMEM)?;
    let channel = CHANNELS.allocate().ok_or(libc::ENOMEM)?;
    // SAFETY: the layout is not zero-sized.
    let buffer = unsafe { alloc(layout) }.cast::<Word>();
    if buffer.is_null() {
        CHANNELS.free(channel);
        return Err(libc::ENOMEM);
    }
    let mut state = channel.state.lock();
    state.buffer = buffer;
    state.capacity = capacity;
    state.first = 0;
    drop(state);
    channel.len.store(0, Ordering::Relaxed);
    channel.closed.store(false, Ordering::Relaxed);
    channel.owner.set(registry::implied_owner());
    Ok(handle::of(channel))
}

pub(crate) fn destroy(channel: *mut c_void) -> Result<()> {
    let (checked, owner) = find(channel)?;
    registry::cleanup_standing(owner)?;
    let mut state = checked.lock()?;
    let waiting = !state.receivers.is_empty() || !state.senders.is_empty();
    if checked.slot.len.load(Ordering::Relaxed) > 0 || waiting || state.leaving > 0 {
        return Err(libc::EBUSY);
    }
    Slab::kill(checked.slot);
    let layout = Layout::array::<Word>(state.capacity).map_err(|_| libc::EINVAL)?;
    // SAFETY: allocated in `create` with this layout; nobody uses it any more.
    unsafe { dealloc(state.buffer.cast(), layout) };
    state.buffer = ptr::null_mut();
    drop(state);
    CHANNELS.give_back([checked.slot]);
    Ok(())
}

#[inline(always)]
pub(crate) fn send_until(channel: *mut c_void, value: Word, deadline_ns: u64) -> Result<()> {
    let (checked, owner) = find(channel)?;
    let (worker, task) = managed(owner)?;
    worker::budget_point(worker, task);
    let mut state = lock(&checked)?;
    match state.try_send(value) {
        (Attempt::Done(()), woken) => {
            drop(state);
            if let Some(receiver) = woken {
                worker.wake(receiver);
            }
            return Ok(());
        }
        (Attempt::Closed, _) => return Err(libc::EPIPE),
        (Attempt::WouldWait, _) => {}
    }
    worker::precheck(task, deadline_ns)?;
    let armed = task.wait.arm(true);
    let node = WaitNode::new(task, armed, value);
    // SAFETY: under the lock; `settle_wait` unlinks the node.
    unsafe { state.enqueue(true, &node) };
    drop(state);
    let detail = channel as usize as u64;
    let reason = worker::park(
        worker,
        task,
        armed,
        deadline_ns,
        WaitKind::ChannelSend,
        detail,
    );
    settle_wait(checked.slot, true, &node, reason)
}

#[inline(always)]
pub(crate) fn recv_until(channel: *mut c_void, deadline_ns: u64) -> Result<Word> {
    let (checked, owner) = find(channel)?;
    let (worker, task) = managed(owner)?;
    worker::budget_point(worker, task);
    let mut state = lock(&checked)?;
    match state.try_recv() {
        (Attempt::Done(value), woken) => {
            drop(state);
            if let Some(sender) = woken {
                worker.wake(sender);
            }
            return Ok(value);
        }
        (Attempt::Closed, _) => return Err(libc::EPIPE),
        (Attempt::WouldWait, _) => {}
    }
    worker::precheck(task, deadline_ns)?;
    let armed = task.wait.arm(true);
    let node = WaitNode::new(task, armed, ptr::null_mut());
    // SAFETY: under the lock; `settle_wait` unlinks the node.
    unsafe { state.enqueue(false, &node) };
    drop(state);
    let detail = channel as usize as u64;
    let reason = worker::park(
        worker,
        task,
        armed,
        deadline_ns,
        WaitKind::ChannelRecv,
        detail,
    );
    settle_wait(checked.slot, false, &node, reason)?;
    Ok(node.value.get())
}

/// The end of a parked send or receive.
#[inline(always)]
fn settle_wait(
    channel: &'static Channel,
    sends: bool,
    node: &WaitNode,
    reason: Reason,
) -> Result<()> {
    if reason == Reason::Woken && node.outcome.get() == Outcome::Done {
        return Ok(());
    }
    settle_failed_wait(channel, sends, node, reason)
}

#[cold]
fn settle_failed_wait(
    channel: &'static Channel,
    sends: bool,
    node: &WaitNode,
    reason: Reason,
) -> Result<()> {
    channel.lock().dequeue(sends, node);
    Err(match reason {
        Reason::Woken => libc::EPIPE,
        Reason::Timeout => libc::ETIMEDOUT,
        Reason::Cancelled | Reason::Completed => libc::ECANCELED,
    })
}

/// Keeps a host thread's owner live while a waiter is woken.
fn host_may_wake(standing: Standing, dead: i32) -> Result<()> {
    match standing {
        Standing::HostDefault if registry::DEFAULT.lock_live().is_none() => Err(dead),
        _ => Ok(()),
    }
}

pub(crate) fn try_send(channel: *mut c_void, value: Word) -> Result<()> {
    let (checked, owner) = find(channel)?;
    let standing = registry::standing(owner)?;
    host_may_wake(standing, libc::ENOTSUP)?;
    let mut state = lock(&checked)?;
    let (attempt, woken) = state.try_send(value);
    drop(state);
    if let Some(receiver) = woken {
        worker::make_runnable(receiver);
    }
    match attempt {
        Attempt::Done(()) => Ok(()),
        Attempt::Closed => Err(libc::EPIPE),
        Attempt::WouldWait => Err(libc::EAGAIN),
    }
}

pub(crate) fn try_recv(channel: *mut c_void) -> Result<Word> {
    let (checked, owner) = find(channel)?;
    registry::cleanup_standing(owner)?;
    let mut state = lock(&checked)?;
    let (attempt, woken) = state.try_recv();
    drop(state);
    if let Some(sender) = woken {
        worker::make_runnable(sender);
    }
    match attempt {
        Attempt::Done(value) => Ok(value),
        Attempt::Closed => Err(libc::EPIPE),
        // Nothing buffered and open: only a live owner's task could still send (R4).
        Attempt::WouldWait => match registry::standing(owner) {
            Ok(standing) => host_may_wake(standing, libc::ENOTSUP).and(Err(libc::EAGAIN)),
            Err(_) => Err(libc::ENOTSUP),
        },
    }
}

pub(crate) fn close(channel: *mut c_void) -> Result<()> {
    let (checked, owner) = find(channel)?;
    registry::cleanup_standing(owner)?;
    let mut state = checked.lock()?;
    checked.slot.closed.store(true, Ordering::Release);
    loop {
        // SAFETY: under the lock.
        let node = unsafe {
            match state.receivers.claim_first() {
                Some(node) => Some(node),
                None => state.senders.claim_first(),
            }
        };
        let Some(node) = node else {
            return Ok(());
        };
        let task = node.task;
        node.settle(Outcome::Closed);
        state.leaving += 1;
        worker::make_runnable(task);
    }
}
