//! A mutex between tasks of one runtime.
//!
//! Owns [`Mutex`] and its guard over `llam_mutex_*` (`abi.md` 4.10, 5.8). Invariant: the value is
//! touched only by who holds the C mutex, that is through a guard, through `&mut`, or after the end.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::error::{Error, Result, check};
use crate::host;
use crate::sys;
use crate::time;

/// A value that one task at a time may touch. First come, first served; not recursive.
///
/// It belongs to the runtime of the task that made it, or to the default one when a host thread did.
/// Host threads cannot lock it (`ENOTSUP`), tasks of other runtimes neither (`EXDEV`). There is no
/// poisoning: a panic unlocks. A guard that is leaked, or dropped by another task through a
/// thread-local, leaves the mutex locked for ever.
///
/// ```
/// use std::sync::Arc;
/// llam::run(|| {
///     let count = Arc::new(llam::sync::Mutex::new(0)?);
///     let other = Arc::clone(&count);
///     llam::spawn(move || *other.lock().unwrap() += 1).join()?;
///     assert_eq!(*count.lock()?, 1);
///     Ok(())
/// }).unwrap();
/// ```
pub struct Mutex<T: ?Sized> {
    raw: RawMutex,
    value: UnsafeCell<T>,
}

/// The C mutex, destroyed on drop.
struct RawMutex(*mut sys::llam_mutex_t);

// SAFETY: as for any mutex: the value goes to another thread (`Send`), or is lent to one task at a
// time, which needs no more. The handle is a token that the engine checks (`abi.md` R1).
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A new, unlocked mutex.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(value: T) -> Result<Self> {
        // SAFETY: takes nothing; allowed on any thread.
        let raw = unsafe { sys::llam_mutex_create() };
        if raw.is_null() {
            return Err(Error::last());
        }
        Ok(Self {
            raw: RawMutex(raw),
            value: UnsafeCell::new(value),
        })
    }

    /// The value. Works anywhere.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks, waiting for the mutex.
    ///
    /// # Errors
    ///
    /// `EDEADLK` the caller holds it already; `ECANCELED`; `ETIMEDOUT` (a
    /// [`timeout`](fn@crate::time::timeout) around it); `ENOTSUP` outside a task; `EXDEV` in a task of
    /// another runtime.
    pub fn lock(&self) -> Result<MutexGuard<'_, T>> {
        self.lock_until(u64::MAX)
    }

    /// [`lock`](Self::lock) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn lock_timeout(&self, duration: Duration) -> Result<MutexGuard<'_, T>> {
        self.lock_until(time::deadline_after(duration))
    }

    /// [`lock`](Self::lock) with an absolute deadline of [`now_ns`](crate::time::now_ns).
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn lock_until(&self, deadline_ns: u64) -> Result<MutexGuard<'_, T>> {
        let until = time::effective_deadline(deadline_ns);
        // SAFETY: the engine checks the handle.
        check(unsafe { sys::llam_mutex_lock_until(self.raw.0, until) })?;
        Ok(MutexGuard::held(self))
    }

    /// Locks if it is free.
    ///
    /// # Errors
    ///
    /// `EBUSY` when anybody holds it, the caller included; `ENOTSUP` outside a task; `EXDEV`.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>> {
        // SAFETY: the engine checks the handle.
        check(unsafe { sys::llam_mutex_trylock(self.raw.0) })?;
        Ok(MutexGuard::held(self))
    }

    /// The value, without locking: `&mut` shows that nobody else has it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl Drop for RawMutex {
    fn drop(&mut self) {
        // SAFETY: the engine checks the handle.
        if unsafe { sys::llam_mutex_destroy(self.0) } != 0 && host::is_foreign() {
            let mutex = host::Carried::new(self.0);
            host::run_later(move || {
                // SAFETY: the engine checks the handle.
                unsafe { sys::llam_mutex_destroy(mutex.handle()) };
            });
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => out.field("value", &&*guard).finish(),
            Err(_) => out.finish_non_exhaustive(),
        }
    }
}

/// The right to touch the value; dropping it unlocks. It stays with its task:
///
/// ```compile_fail,E0277
/// fn send<T: Send>(_: T) {}
/// let mutex = llam::sync::Mutex::new(1).unwrap();
/// send(mutex.lock().unwrap());
/// ```
#[must_use = "the mutex is unlocked when the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// Only the task that locked may unlock.
    _not_send: PhantomData<*mut ()>,
}

// SAFETY: a shared guard only lends `&T`.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The guard of a mutex that the caller has just locked.
    fn held(mutex: &'a Mutex<T>) -> Self {
        Self {
            mutex,
            _not_send: PhantomData,
        }
    }

    /// The C mutex, for a condition wait.
    pub(super) fn raw(&self) -> *mut sys::llam_mutex_t {
        self.mutex.raw.0
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard exists, so the mutex is held for it alone.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`, and `&mut self` is the only way in.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the engine checks the handle, and that the caller is the owner.
        unsafe { sys::llam_mutex_unlock(self.mutex.raw.0) };
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
