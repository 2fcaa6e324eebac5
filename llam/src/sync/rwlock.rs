//! A lock with many readers or one writer.
//!
//! Owns [`RwLock`] and its guards, over `park`. Invariant: `writer` and `readers > 0` exclude each
//! other. Waiters are served first come, first served, readers in a row together; so neither side
//! starves, and a reader that waits behind a writer does not overtake it.

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use super::park::{Parker, WaitList, Woken, lock, wake_all};
use crate::error::{Error, Result};
use crate::time;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

struct State {
    readers: usize,
    writer: bool,
    waiters: WaitList<Access>,
}

impl State {
    fn is_open(&self, access: Access) -> bool {
        match access {
            Access::Read => !self.writer,
            Access::Write => !self.writer && self.readers == 0,
        }
    }

    fn enter(&mut self, access: Access) {
        match access {
            Access::Read => self.readers += 1,
            Access::Write => self.writer = true,
        }
    }

    /// Lets in who may go in now, from the front of the queue.
    fn admit(&mut self) -> Vec<Woken> {
        let mut woken = Vec::new();
        while let Some(&access) = self.waiters.first() {
            if !self.is_open(access) {
                break;
            }
            self.enter(access);
            woken.extend(self.waiters.grant_first());
        }
        woken
    }
}

/// A value that many tasks may read, or one may change.
///
/// Works between tasks of any runtime and host threads. No poisoning. Taking a read lock twice in one
/// task deadlocks when a writer waits in between.
///
/// ```
/// llam::run(|| {
///     let lock = llam::sync::RwLock::new(1);
///     *lock.write()? += 1;
///     assert_eq!((*lock.read()?, *lock.read()?), (2, 2));
///     Ok(())
/// }).unwrap();
/// ```
pub struct RwLock<T: ?Sized> {
    state: StdMutex<State>,
    value: UnsafeCell<T>,
}

// SAFETY: as for any such lock: the value may move to another thread.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: writers on any thread need `Send`, readers on several need `Sync`; `State` keeps writers
// alone.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    /// A new, unlocked lock.
    pub const fn new(value: T) -> Self {
        Self {
            state: StdMutex::new(State {
                readers: 0,
                writer: false,
                waiters: WaitList::new(),
            }),
            value: UnsafeCell::new(value),
        }
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading, waiting for writers.
    ///
    /// # Errors
    ///
    /// `ECANCELED`, `ETIMEDOUT` (a [`timeout`](fn@crate::time::timeout) around it).
    pub fn read(&self) -> Result<RwLockReadGuard<'_, T>> {
        self.acquire(Access::Read, u64::MAX)?;
        Ok(RwLockReadGuard { lock: self })
    }

    /// [`read`](Self::read) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn read_timeout(&self, duration: Duration) -> Result<RwLockReadGuard<'_, T>> {
        self.acquire(Access::Read, time::deadline_after(duration))?;
        Ok(RwLockReadGuard { lock: self })
    }

    /// Locks for reading if that is possible now.
    ///
    /// # Errors
    ///
    /// `EBUSY`.
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>> {
        self.try_acquire(Access::Read)?;
        Ok(RwLockReadGuard { lock: self })
    }

    /// Locks for writing, waiting for everybody else.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn write(&self) -> Result<RwLockWriteGuard<'_, T>> {
        self.acquire(Access::Write, u64::MAX)?;
        Ok(RwLockWriteGuard { lock: self })
    }

    /// [`write`](Self::write) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn write_timeout(&self, duration: Duration) -> Result<RwLockWriteGuard<'_, T>> {
        self.acquire(Access::Write, time::deadline_after(duration))?;
        Ok(RwLockWriteGuard { lock: self })
    }

    /// Locks for writing if that is possible now.
    ///
    /// # Errors
    ///
    /// `EBUSY`.
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>> {
        self.try_acquire(Access::Write)?;
        Ok(RwLockWriteGuard { lock: self })
    }

    /// The value, without locking: `&mut` shows that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    fn try_acquire(&self, access: Access) -> Result<()> {
        let mut state = lock(&self.state);
        if state.waiters.is_empty() && state.is_open(access) {
            state.enter(access);
            return Ok(());
        }
        Err(Error::from_errno(libc::EBUSY))
    }

    fn acquire(&self, access: Access, deadline_ns: u64) -> Result<()> {
        if self.try_acquire(access).is_ok() {
            return Ok(());
        }
        let parker = Parker::current()?;
        {
            let mut state = lock(&self.state);
            if state.waiters.is_empty() && state.is_open(access) {
                state.enter(access);
                return Ok(());
            }
            state.waiters.push(&parker, access);
        }
        parker.wait(deadline_ns, || {
            let mut state = lock(&self.state);
            let was_waiting = state.waiters.remove(&parker);
            // A writer that gives up may have held up readers behind it.
            let woken = state.admit();
            drop(state);
            wake_all(woken);
            was_waiting
        })
    }

    fn release(&self, access: Access) {
        let mut state = lock(&self.state);
        match access {
            Access::Read => state.readers -= 1,
            Access::Write => state.writer = false,
        }
        let woken = state.admit();
        drop(state);
        wake_all(woken);
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => out.field("value", &&*guard).finish(),
            Err(_) => out.finish_non_exhaustive(),
        }
    }
}

/// The right to read the value; dropping it unlocks.
#[must_use = "the lock is released when the guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `State` counts this guard as a reader, so no writer exists.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.release(Access::Read);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The right to change the value; dropping it unlocks.
#[must_use = "the lock is released when the guard is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `State` has this guard as its one writer, so no reader exists.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` is the only way in.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        self.lock.release(Access::Write);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
