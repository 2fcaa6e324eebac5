//! Values that belong to a task.
//!
//! Owns [`TaskLocalKey`]; the values live in the binding's task state (`task::state`). A value is
//! dropped when its task ends, on the task's own thread, in reverse order of first set. Invariant: a
//! key's number is never used twice in a process, so a value is only ever seen through the key it was
//! set with, and has that key's type. Contract: `abi.md` 4.8.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result, check};
use crate::sys;
use crate::task::state;

/// A key under which every task can have a value of its own.
///
/// New tasks have none; nothing is inherited. Values need not be `Send`: they never leave their task.
/// Outside a task everything fails with `ENOTSUP`. Dropping the key drops what the current task holds
/// under it; what other tasks hold is dropped when they end.
///
/// ```
/// use llam::TaskLocalKey;
/// llam::run(|| {
///     let name = TaskLocalKey::new()?;
///     name.set("outer".to_string())?;
///     name.with("inner".to_string(), || {
///         assert_eq!(name.get_cloned().unwrap().unwrap(), "inner");
///     })?;
///     name.with_ref(|value| assert_eq!(value.unwrap(), "outer"))?;
///     Ok(())
/// }).unwrap();
/// ```
pub struct TaskLocalKey<T: 'static> {
    raw: sys::llam_task_local_key_t,
    number: u64,
    _value: PhantomData<fn(T) -> T>,
}

/// Turns an erased value back; the number under which it was found says that it fits.
fn typed<T: 'static>(value: Box<dyn Any>) -> Option<T> {
    value.downcast::<T>().ok().map(|value| *value)
}

impl<T: 'static> TaskLocalKey<T> {
    /// A new key, for the tasks of all runtimes.
    ///
    /// # Errors
    ///
    /// `ENOSPC` when 65535 keys are in use; `ENOMEM`.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut raw = sys::LLAM_TASK_LOCAL_INVALID_KEY;
        // SAFETY: `raw` is a local; allowed on any thread.
        check(unsafe { sys::llam_task_local_key_create(&raw mut raw) })?;
        Ok(Self {
            raw,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            _value: PhantomData,
        })
    }

    /// The key of the ABI that stands for this one. Values set here are not visible through it.
    #[must_use]
    pub fn raw_key(&self) -> sys::llam_task_local_key_t {
        self.raw
    }

    /// Sets the calling task's value; one that was there is dropped.
    ///
    /// # Errors
    ///
    /// `ENOTSUP` outside a task; `EBUSY` while the value is lent by [`with_ref`](Self::with_ref).
    pub fn set(&self, value: T) -> Result<()> {
        self.replace(value).map(drop)
    }

    /// Sets the calling task's value and returns the one before.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn replace(&self, value: T) -> Result<Option<T>> {
        let old = state::put_local(self.number, Box::new(value))?;
        Ok(old.and_then(typed))
    }

    /// Sets the value until the guard is dropped, which puts the one before back.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn bind(&self, value: T) -> Result<TaskLocalGuard<'_, T>> {
        let previous = self.replace(value)?;
        Ok(TaskLocalGuard {
            key: self,
            previous,
            task: state::number()?,
            is_open: true,
            _not_send: PhantomData,
        })
    }

    /// Calls `f` with the value set, and puts the one before back, also when `f` panics.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), without calling `f`.
    pub fn with<R>(&self, value: T, f: impl FnOnce() -> R) -> Result<R> {
        let guard = self.bind(value)?;
        let result = f();
        drop(guard);
        Ok(result)
    }

    /// Calls `f` with a reference to the value. Until `f` returns, the value can be read again but
    /// neither replaced nor removed (`EBUSY`).
    ///
    /// # Errors
    ///
    /// `ENOTSUP` outside a task, without calling `f`.
    pub fn with_ref<R>(&self, f: impl FnOnce(Option<&T>) -> R) -> Result<R> {
        state::with_local(self.number, f)
    }

    /// Whether the calling task has a value.
    ///
    /// # Errors
    ///
    /// `ENOTSUP` outside a task.
    pub fn is_set(&self) -> Result<bool> {
        state::has_local(self.number)
    }

    /// Removes the value and returns it.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn take(&self) -> Result<Option<T>> {
        Ok(state::take_local(self.number)?.and_then(typed))
    }

    /// Removes the value and drops it.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn clear(&self) -> Result<()> {
        self.take().map(drop)
    }
}

impl<T: Clone + 'static> TaskLocalKey<T> {
    /// A clone of the value.
    ///
    /// # Errors
    ///
    /// `ENOTSUP` outside a task.
    pub fn get_cloned(&self) -> Result<Option<T>> {
        self.with_ref(|value| value.cloned())
    }

    /// A clone of the value, or `default` without one.
    ///
    /// # Errors
    ///
    /// `ENOTSUP` outside a task.
    pub fn get_cloned_or(&self, default: T) -> Result<T> {
        Ok(self.get_cloned()?.unwrap_or(default))
    }

    /// A clone of the value, or the type's default without one.
    ///
    /// # Errors
    ///
    /// `ENOTSUP` outside a task.
    pub fn get_cloned_or_default(&self) -> Result<T>
    where
        T: Default,
    {
        Ok(self.get_cloned()?.unwrap_or_default())
    }
}

impl<T: 'static> Drop for TaskLocalKey<T> {
    fn drop(&mut self) {
        // Outside a task there is nothing to drop. A value cannot be lent: that borrows the key.
        drop(state::take_local(self.number));
        // SAFETY: the engine checks the key.
        unsafe { sys::llam_task_local_key_delete(self.raw) };
    }
}

impl<T: 'static> fmt::Debug for TaskLocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalKey")
            .field("raw_key", &self.raw)
            .finish_non_exhaustive()
    }
}

/// Puts a task's former value back; see [`TaskLocalKey::bind`].
///
/// When it is dropped while the value is lent by [`TaskLocalKey::with_ref`], or by another task (by way
/// of a thread-local), the value stays and the former one is dropped.
#[must_use = "the value is put back when the guard is dropped"]
pub struct TaskLocalGuard<'a, T: 'static> {
    key: &'a TaskLocalKey<T>,
    previous: Option<T>,
    /// The number of the task that bound it.
    task: u64,
    is_open: bool,
    _not_send: PhantomData<*mut ()>,
}

impl<T: 'static> TaskLocalGuard<'_, T> {
    /// Puts the former value back, or removes the value when there was none.
    ///
    /// # Errors
    ///
    /// `EBUSY` while the value is lent; `ENOTSUP` and `EPERM` outside the task that bound it.
    pub fn restore(mut self) -> Result<()> {
        self.put_back()
    }

    /// Removes the value and forgets the former one.
    ///
    /// # Errors
    ///
    /// As [`restore`](Self::restore).
    pub fn clear(mut self) -> Result<()> {
        self.check_task()?;
        self.is_open = false;
        self.key.clear()
    }

    fn check_task(&self) -> Result<()> {
        if state::number()? == self.task {
            Ok(())
        } else {
            Err(Error::from_errno(libc::EPERM))
        }
    }

    fn put_back(&mut self) -> Result<()> {
        self.check_task()?;
        self.is_open = false;
        match self.previous.take() {
            Some(previous) => self.key.set(previous),
            None => self.key.clear(),
        }
    }
}

impl<T: 'static> Drop for TaskLocalGuard<'_, T> {
    fn drop(&mut self) {
        if self.is_open {
            let _ = self.put_back();
        }
    }
}

impl<T: 'static> fmt::Debug for TaskLocalGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskLocalGuard").finish_non_exhaustive()
    }
}
