//! The wait queue under this crate's own locks and channels.
//!
//! Owns [`Parker`], one per task or host thread, and [`WaitList`], the queue an object keeps. The ABI
//! has no bare park and unpark, so a task parks in a receive from a channel of its own with room for one
//! token, and is woken by a `try_send`, which any thread may do.
//!
//! ```text
//!   waiter                                         waker
//!   lock state; push itself; unlock                lock state; pop a waiter: its verdict is set
//!   receive from its own channel  <── token ────   unlock; unpark it
//!   verdict there? done. else receive again
//!   wait failed? lock; remove itself:
//!       found      the failure counts
//!       not found  it was popped: the verdict counts
//! ```
//!
//! Invariants:
//! - An object's state is locked with `std::sync::Mutex` for a few instructions; no call of the ABI is
//!   made meanwhile, because a task switched out with the lock would block the OS thread of the next.
//! - A verdict is set under the lock, at the moment the waiter leaves the queue: exactly one of waker
//!   and waiter wins. A token that comes late only causes one more look at the verdict.
//! - A task waits in one queue at a time, so one parker serves all its waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::error::{Error, Result, check};
use crate::host;
use crate::sys;
use crate::task::{self, state};
use crate::time;

/// No verdict yet. Others: 0 granted, else the errno of a refusal.
const WAITING: i32 = -1;

/// On an SDK 1.x a host thread cannot leave a token: a task looks at its verdict this often by itself.
const LOOK_AGAIN_NS: u64 = 10_000_000;

/// Locks an object's state. Nothing panics with it held, so poison means nothing.
pub(crate) fn lock<S>(state: &Mutex<S>) -> MutexGuard<'_, S> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Place {
    Task(*mut sys::llam_channel_t),
    Thread(Thread),
}

/// How one task or host thread waits and is woken.
pub(crate) struct Parker {
    place: Place,
    verdict: AtomicI32,
}

// SAFETY: the channel handle is a token that the engine checks on every call from any thread
// (`abi.md` R1); the rest is shared by design.
unsafe impl Send for Parker {}
// SAFETY: as above.
unsafe impl Sync for Parker {}

thread_local! {
    static OF_THREAD: Arc<Parker> = Arc::new(Parker {
        place: Place::Thread(thread::current()),
        verdict: AtomicI32::new(WAITING),
    });
}

impl Parker {
    /// The caller's parker. `ENOMEM` when a task cannot get one.
    pub(crate) fn current() -> Result<Arc<Self>> {
        if task::is_inside() {
            state::parker()
        } else {
            Ok(OF_THREAD.with(Arc::clone))
        }
    }

    /// A parker for the calling task.
    pub(crate) fn for_task() -> Result<Self> {
        // SAFETY: takes a number; allowed on any thread.
        let channel = unsafe { sys::llam_channel_create(1) };
        if channel.is_null() {
            return Err(Error::last());
        }
        Ok(Self {
            place: Place::Task(channel),
            verdict: AtomicI32::new(WAITING),
        })
    }

    /// Waits for the verdict of the queue the parker was pushed to. `withdraw` removes it from the
    /// queue and says whether it was still there.
    pub(crate) fn wait(&self, deadline_ns: u64, withdraw: impl FnOnce() -> bool) -> Result<()> {
        loop {
            if let Some(verdict) = self.verdict() {
                return verdict;
            }
            if let Err(error) = self.park(deadline_ns) {
                if withdraw() {
                    return Err(error);
                }
                return self
                    .verdict()
                    .expect("who leaves the queue has been given a verdict");
            }
        }
    }

    fn verdict(&self) -> Option<Result<()>> {
        match self.verdict.load(Ordering::Acquire) {
            WAITING => None,
            0 => Some(Ok(())),
            errno => Some(Err(Error::from_errno(errno))),
        }
    }

    /// Waits for a token; may return without one.
    fn park(&self, deadline_ns: u64) -> Result<()> {
        match &self.place {
            Place::Task(channel) => {
                let until = time::effective_deadline(deadline_ns);
                let look_again = if sys::ext::ABI_MAJOR == 1 {
                    until.min(time::now_ns().saturating_add(LOOK_AGAIN_NS))
                } else {
                    until
                };
                let mut word = std::ptr::null_mut();
                // SAFETY: the engine checks the handle; `word` is a local.
                let received = check(unsafe {
                    sys::llam_channel_recv_until_result(*channel, look_again, &raw mut word)
                });
                match received {
                    Err(error) if error.is_timed_out() && look_again < until => Ok(()),
                    received => received,
                }
            }
            Place::Thread(_) => {
                if deadline_ns == u64::MAX {
                    thread::park();
                    return Ok(());
                }
                let left_ns = deadline_ns.saturating_sub(time::now_ns());
                if left_ns == 0 {
                    return Err(Error::from_errno(libc::ETIMEDOUT));
                }
                thread::park_timeout(Duration::from_nanos(left_ns));
                Ok(())
            }
        }
    }

    /// Leaves a token. Never waits; works across runtimes and from host threads.
    fn unpark(self: Arc<Self>) {
        match &self.place {
            Place::Thread(thread) => thread.unpark(),
            Place::Task(channel) => {
                // SAFETY: the engine checks the handle. A full channel holds a token already.
                let status = unsafe { sys::llam_channel_try_send(*channel, std::ptr::null_mut()) };
                if status != 0 && host::is_foreign() {
                    host::run_later(move || self.unpark());
                }
            }
        }
    }
}

impl Drop for Parker {
    fn drop(&mut self) {
        let Place::Task(channel) = self.place else {
            return;
        };
        if !destroy(channel) && host::is_foreign() {
            let channel = host::Carried::new(channel);
            host::run_later(move || {
                destroy(channel.handle());
            });
        }
    }
}

/// Empties and destroys a parker's channel.
fn destroy(channel: *mut sys::llam_channel_t) -> bool {
    let mut word = std::ptr::null_mut();
    // SAFETY: the engine checks the handle; `word` is a local. The words are null: nothing to drop.
    unsafe {
        while sys::llam_channel_try_recv_result(channel, &raw mut word) == 0 {}
        sys::llam_channel_destroy(channel) == 0
    }
}

/// A waiter that has left its queue and has to be woken, once the lock is released.
#[must_use]
pub(crate) struct Woken(Arc<Parker>);

impl Woken {
    pub(crate) fn wake(self) {
        self.0.unpark();
    }
}

/// Wakes them all; call it without the lock.
pub(crate) fn wake_all(woken: Vec<Woken>) {
    for waiter in woken {
        waiter.wake();
    }
}

/// Who waits for an object, first come first, each with what it wants.
pub(crate) struct WaitList<K> {
    queue: VecDeque<(Arc<Parker>, K)>,
}

impl<K> WaitList<K> {
    pub(crate) const fn new() -> Self {
        Self {
            queue: VecDeque::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// What the longest waiter wants.
    pub(crate) fn first(&self) -> Option<&K> {
        self.queue.front().map(|(_, wanted)| wanted)
    }

    /// Queues the caller.
    pub(crate) fn push(&mut self, parker: &Arc<Parker>, wanted: K) {
        parker.verdict.store(WAITING, Ordering::Relaxed);
        self.queue.push_back((Arc::clone(parker), wanted));
    }

    /// Takes the longest waiter out; its wait succeeds.
    pub(crate) fn grant_first(&mut self) -> Option<Woken> {
        self.settle_first(0)
    }

    /// Takes the longest waiter out; its wait fails with `errno`.
    pub(crate) fn refuse_first(&mut self, errno: i32) -> Option<Woken> {
        self.settle_first(errno)
    }

    fn settle_first(&mut self, verdict: i32) -> Option<Woken> {
        let (parker, _) = self.queue.pop_front()?;
        parker.verdict.store(verdict, Ordering::Release);
        Some(Woken(parker))
    }

    /// Takes everybody out; their waits succeed.
    pub(crate) fn grant_all(&mut self) -> Vec<Woken> {
        std::iter::from_fn(|| self.grant_first()).collect()
    }

    /// Takes a waiter out that gives up; false when it was taken out before.
    pub(crate) fn remove(&mut self, parker: &Arc<Parker>) -> bool {
        let found = self
            .queue
            .iter()
            .position(|(other, _)| Arc::ptr_eq(other, parker));
        found.is_some_and(|index| self.queue.remove(index).is_some())
    }
}
