//! Cancellation tokens (`abi.md` 4.9, 5.3).
//!
//! A token knows the tasks that were spawned with it. Cancelling sets the flag, fences, and
//! claims the wait of each that is parked; a task that is about to park fences and looks at
//! the flag. One of the two sees the other (model-checked with the wait word).

use core::ffi::c_void;
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use super::Owner;
use crate::errno::Result;
use crate::handle::{self, Guarded, Kind, Object};
use crate::runtime::registry::{self, Standing};
use crate::slab::{Slab, Slot, SlotHead};
use crate::spin::SpinLock;
use crate::task::Task;
use crate::worker;

#[repr(C)]
pub(crate) struct Token {
    head: SlotHead,
    owner: Owner,
    cancelled: AtomicBool,
    state: SpinLock<State>,
}

pub(crate) struct State {
    /// Tasks that refer to the token, linked through `Task::token_links`.
    first: *const Task,
    /// References: tasks, and spawns in progress.
    references: Cell<u32>,
}

// SAFETY: pointers to task slots, used under the lock.
unsafe impl Send for State {}
// SAFETY: zero is an unlocked lock, null, 0, false.
unsafe impl Slot for Token {
    fn head(&self) -> &SlotHead {
        &self.head
    }
}

static TOKENS: Slab<Token> = Slab::new();

impl Object for Token {
    const KIND: Kind = Kind::Token;
    fn slab() -> &'static Slab<Self> {
        &TOKENS
    }
}

impl Guarded for Token {
    type State = State;
    fn state(&self) -> &SpinLock<State> {
        &self.state
    }
}

impl Token {
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Links a task whose reference was taken by `refer`.
    pub(crate) fn remember(&self, task: &'static Task) {
        let mut state = self.state.lock();
        task.token_links.set((ptr::null(), state.first));
        if !state.first.is_null() {
            // SAFETY: linked tasks are slots, their links are used under this lock.
            let second = unsafe { &(*state.first).token_links };
            second.set((task, second.get().1));
        }
        state.first = task;
    }

    /// Unlinks a task and drops its reference.
    pub(crate) fn forget(&self, task: &'static Task) {
        let mut state = self.state.lock();
        let (prev, next) = task.token_links.get();
        // SAFETY: as in `remember`.
        unsafe {
            if prev.is_null() {
                state.first = next;
            } else {
                let links = &(*prev).token_links;
                links.set((links.get().0, next));
            }
            if !next.is_null() {
                let links = &(*next).token_links;
                links.set((prev, links.get().1));
            }
        }
        state.references.set(state.references.get() - 1);
    }

    /// Drops a reference that no task got.
    pub(crate) fn release(&self) {
        let state = self.state.lock();
        state.references.set(state.references.get() - 1);
    }

    pub(crate) fn cancel_all(&self) {
        let state = self.state.lock();
        self.cancelled.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let mut next = state.first;
        while !next.is_null() {
            // SAFETY: linked tasks cannot be reclaimed without this lock.
            let task: &'static Task = unsafe { &*next };
            if task.wait.claim_cancelled() {
                worker::make_runnable(task);
            }
            next = task.token_links.get().1;
        }
    }
}

/// Takes a reference for a spawn: the token cannot be destroyed any more. `EINVAL` for a
/// bad handle, `EXDEV` when its owner is not `owner`.
pub(crate) fn refer(token: *mut c_void, owner: u32) -> Result<&'static Token> {
    let checked = handle::check::<Token>(token).ok_or(libc::EINVAL)?;
    if checked.slot.owner.get() != owner {
        return Err(libc::EXDEV);
    }
    let state = checked.lock()?;
    state.references.set(state.references.get() + 1);
    Ok(checked.slot)
}

pub(crate) fn create() -> Result<*mut c_void> {
    create_for(registry::implied_owner())
}

pub(crate) fn create_for(owner: u32) -> Result<*mut c_void> {
    let token = TOKENS.allocate().ok_or(libc::ENOMEM)?;
    token.owner.set(owner);
    token.cancelled.store(false, Ordering::Relaxed);
    Ok(handle::of(token))
}

pub(crate) fn destroy(token: *mut c_void) -> Result<()> {
    let checked = handle::check::<Token>(token).ok_or(libc::EINVAL)?;
    registry::cleanup_standing(checked.slot.owner.get())?;
    let state = checked.lock()?;
    if state.references.get() > 0 {
        return Err(libc::EBUSY);
    }
    Slab::kill(checked.slot);
    drop(state);
    TOKENS.give_back([checked.slot]);
    Ok(())
}

pub(crate) fn cancel(token: *mut c_void) -> Result<()> {
    let checked = handle::check::<Token>(token).ok_or(libc::EINVAL)?;
    // Cancelling works on the default runtime's tokens in every state (R4).
    let _: Standing = registry::standing(checked.slot.owner.get())?;
    drop(checked.lock()?);
    checked.slot.cancel_all();
    Ok(())
}

pub(crate) fn is_cancelled(token: *const c_void) -> Result<bool> {
    let checked = handle::check::<Token>(token).ok_or(libc::EINVAL)?;
    registry::standing(checked.slot.owner.get())?;
    let cancelled = checked.slot.is_cancelled();
    if checked.is_current() {
        Ok(cancelled)
    } else {
        Err(libc::EINVAL)
    }
}
