//! A value made once.
//!
//! Owns [`OnceCell`], over `park` and the standard library's `OnceLock`, which would block an OS
//! thread while the value is being made. Invariant: `is_busy` is true while exactly one caller makes
//! the value.

use std::fmt;
use std::sync::{Mutex as StdMutex, OnceLock};

use super::park::{Parker, WaitList, lock, wake_all};
use crate::error::Result;

struct State {
    is_busy: bool,
    waiters: WaitList<()>,
}

/// A cell that is filled once, by a closure that may wait.
///
/// Works between tasks of any runtime and host threads.
///
/// ```
/// llam::run(|| {
///     let cell = llam::sync::OnceCell::new();
///     assert_eq!(*cell.get_or_init(|| 5)?, 5);
///     assert_eq!(*cell.get_or_init(|| 6)?, 5);
///     Ok(())
/// }).unwrap();
/// ```
pub struct OnceCell<T> {
    value: OnceLock<T>,
    state: StdMutex<State>,
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Ends a turn at making the value, also when that panicked.
struct Turn<'a, T>(&'a OnceCell<T>);

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.is_busy = false;
        let woken = state.waiters.grant_all();
        drop(state);
        wake_all(woken);
    }
}

impl<T> OnceCell<T> {
    /// An empty cell.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            value: OnceLock::new(),
            state: StdMutex::new(State {
                is_busy: false,
                waiters: WaitList::new(),
            }),
        }
    }

    /// The value, if it was made.
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value; the first caller makes it, others wait meanwhile. When `f` panics the next caller
    /// tries.
    ///
    /// # Errors
    ///
    /// Of the wait: `ECANCELED`, `ETIMEDOUT` (a [`timeout`](fn@crate::time::timeout) around it).
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> Result<&T> {
        self.get_or_try_init(|| Ok(f()))
    }

    /// [`get_or_init`](Self::get_or_init) with a closure that can fail; the cell stays empty then.
    ///
    /// # Errors
    ///
    /// Those of `f`, and as there.
    pub fn get_or_try_init(&self, f: impl FnOnce() -> Result<T>) -> Result<&T> {
        loop {
            if let Some(value) = self.value.get() {
                return Ok(value);
            }
            if !self.take_turn()? {
                continue;
            }
            let turn = Turn(self);
            if let Some(value) = self.value.get() {
                return Ok(value);
            }
            let made = f()?;
            let value = self.value.get_or_init(|| made);
            drop(turn);
            return Ok(value);
        }
    }

    /// Fills an empty cell.
    ///
    /// # Errors
    ///
    /// The value comes back when the cell is full or being filled.
    pub fn set(&self, value: T) -> std::result::Result<(), T> {
        let mut state = lock(&self.state);
        if state.is_busy {
            return Err(value);
        }
        state.is_busy = true;
        drop(state);
        let _turn = Turn(self);
        self.value.set(value)
    }

    /// The value, and an end to the cell.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// True when it is the caller's turn to make the value; false after a wait for somebody else's.
    fn take_turn(&self) -> Result<bool> {
        let parker = Parker::current()?;
        {
            let mut state = lock(&self.state);
            if !state.is_busy {
                state.is_busy = true;
                return Ok(true);
            }
            state.waiters.push(&parker, ());
        }
        parker.wait(u64::MAX, || lock(&self.state).waiters.remove(&parker))?;
        Ok(false)
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceCell").field(&self.get()).finish()
    }
}
