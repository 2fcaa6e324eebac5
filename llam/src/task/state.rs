//! What the binding keeps for each task: task-local values, the timeout scope, the parker.
//!
//! Owns [`TaskState`], which hangs on the engine's word per task (`ext::task_data`), is made on first
//! use and freed by [`end`], the last thing a task of this crate does. Invariants: a state is touched
//! by its own task alone, so it needs no lock; a value is dropped by its own task, in reverse order of
//! first set, with no borrow of the state held, because its destructor may come back here. A task that
//! was spawned through the raw ABI has nobody to call [`end`]: its state leaks.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::sync::park::Parker;
use crate::sys;

/// Values that destructors may set anew while a task ends, before the rest is leaked. A destructor
/// that always sets its own key again would never end.
const MAX_LATE_VALUES: usize = 1024;

struct Local {
    /// The key's number, never used twice in a process.
    key: u64,
    /// Open `with_ref` calls.
    borrows: usize,
    value: Box<dyn Any>,
}

/// The binding's part of one task.
pub(crate) struct TaskState {
    /// Unlike the engine's handle, which changes when the task is detached, and its id, which is
    /// unique within one runtime only.
    number: u64,
    /// In order of first set.
    locals: RefCell<Vec<Local>>,
    /// The timeout scope in force; used only where the engine has no park deadline.
    deadline_ns: Cell<u64>,
    /// Set at the start of a named task; used only where the engine keeps no names.
    name: OnceCell<String>,
    parker: OnceCell<Arc<Parker>>,
}

/// The state of the calling task if it has one.
fn existing<'a>() -> Option<&'a TaskState> {
    let data = sys::ext::task_data().cast::<TaskState>();
    // SAFETY: the word is null or what `obtain` stored for this very task; `end` frees it as the
    // task's last act and clears the word. Callers do not keep the reference over the end of the
    // task: they are below `end` on its stack.
    unsafe { data.as_ref() }
}

/// The state of the calling task, made on first use; `ENOTSUP` outside a task.
fn obtain<'a>() -> Result<&'a TaskState> {
    if let Some(state) = existing() {
        return Ok(state);
    }
    if !super::is_inside() {
        return Err(Error::from_errno(libc::ENOTSUP));
    }
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let state = Box::into_raw(Box::new(TaskState {
        number: NEXT.fetch_add(1, Ordering::Relaxed),
        locals: RefCell::new(Vec::new()),
        deadline_ns: Cell::new(u64::MAX),
        name: OnceCell::new(),
        parker: OnceCell::new(),
    }));
    sys::ext::set_task_data(state.cast());
    if sys::ext::task_data() != state.cast() {
        // SAFETY: made above and stored nowhere.
        drop(unsafe { Box::from_raw(state) });
        return Err(Error::from_errno(libc::ENOMEM));
    }
    // SAFETY: as in `existing`.
    Ok(unsafe { &*state })
}

/// A number that no other task of the process ever has. `ENOTSUP` outside a task.
pub(crate) fn number() -> Result<u64> {
    Ok(obtain()?.number)
}

/// Notes the calling task's name; without effect outside a task and when there is one.
pub(crate) fn set_name(name: &str) {
    if let Ok(state) = obtain() {
        state.name.get_or_init(|| name.to_owned());
    }
}

/// The name that [`set_name`] noted.
pub(crate) fn name() -> Option<String> {
    existing()?.name.get().cloned()
}

/// Puts a value under the key and returns the one before. `EBUSY` while that one is borrowed, and
/// the new value is dropped; `ENOTSUP` outside a task.
pub(crate) fn put_local(key: u64, value: Box<dyn Any>) -> Result<Option<Box<dyn Any>>> {
    let state = obtain()?;
    let mut locals = state.locals.borrow_mut();
    match locals.iter_mut().find(|local| local.key == key) {
        None => {
            locals.push(Local {
                key,
                borrows: 0,
                value,
            });
            Ok(None)
        }
        Some(local) if local.borrows == 0 => Ok(Some(mem::replace(&mut local.value, value))),
        Some(_) => {
            drop(locals);
            drop(value);
            Err(Error::from_errno(libc::EBUSY))
        }
    }
}

/// Takes the value under the key. `EBUSY` while it is borrowed; `ENOTSUP` outside a task.
pub(crate) fn take_local(key: u64) -> Result<Option<Box<dyn Any>>> {
    if !super::is_inside() {
        return Err(Error::from_errno(libc::ENOTSUP));
    }
    let Some(state) = existing() else {
        return Ok(None);
    };
    let mut locals = state.locals.borrow_mut();
    let Some(index) = locals.iter().position(|local| local.key == key) else {
        return Ok(None);
    };
    if locals[index].borrows != 0 {
        return Err(Error::from_errno(libc::EBUSY));
    }
    Ok(Some(locals.remove(index).value))
}

/// Whether the task has a value under the key. `ENOTSUP` outside a task.
pub(crate) fn has_local(key: u64) -> Result<bool> {
    if !super::is_inside() {
        return Err(Error::from_errno(libc::ENOTSUP));
    }
    Ok(existing().is_some_and(|state| state.locals.borrow().iter().any(|local| local.key == key)))
}

/// Calls `f` with the value under the key. Until it returns or unwinds, the value can be neither
/// replaced nor taken. `ENOTSUP` outside a task, and `f` is not called.
pub(crate) fn with_local<T: 'static, R>(key: u64, f: impl FnOnce(Option<&T>) -> R) -> Result<R> {
    struct Release<'a>(&'a TaskState, u64);
    impl Drop for Release<'_> {
        fn drop(&mut self) {
            let mut locals = self.0.locals.borrow_mut();
            if let Some(local) = locals.iter_mut().find(|local| local.key == self.1) {
                local.borrows -= 1;
            }
        }
    }

    if !super::is_inside() {
        return Err(Error::from_errno(libc::ENOTSUP));
    }
    let Some(state) = existing() else {
        return Ok(f(None));
    };
    let value: Option<*const T> = {
        let mut locals = state.locals.borrow_mut();
        locals
            .iter_mut()
            .find(|local| local.key == key)
            .and_then(|local| {
                let value = local.value.downcast_ref::<T>()?;
                local.borrows += 1;
                Some(ptr::from_ref(value))
            })
    };
    let Some(value) = value else {
        return Ok(f(None));
    };
    let _release = Release(state, key);
    // SAFETY: the value is boxed, so it stays where it is while the list changes; `borrows` keeps
    // it from being replaced or taken until `_release` is dropped, after `f`.
    Ok(f(Some(unsafe { &*value })))
}

/// The parker of the calling task, made on first use. `ENOTSUP` outside a task, `ENOMEM`.
pub(crate) fn parker() -> Result<Arc<Parker>> {
    let state = obtain()?;
    if let Some(parker) = state.parker.get() {
        return Ok(Arc::clone(parker));
    }
    let parker = Arc::new(Parker::for_task()?);
    Ok(Arc::clone(state.parker.get_or_init(|| parker)))
}

/// Sets the timeout scope of the calling task and returns the one before; for engines without a
/// park deadline. `ENOTSUP` outside a task.
pub(crate) fn replace_deadline(deadline_ns: u64) -> Result<u64> {
    Ok(obtain()?.deadline_ns.replace(deadline_ns))
}

/// The timeout scope of the calling task as [`replace_deadline`] set it; `u64::MAX` for none.
pub(crate) fn deadline() -> u64 {
    existing().map_or(u64::MAX, |state| state.deadline_ns.get())
}

/// Drops the calling task's values and frees its state. The last act of a task.
pub(crate) fn end() {
    let Some(state) = existing() else {
        return;
    };
    let mut left = state.locals.borrow().len() + MAX_LATE_VALUES;
    loop {
        // One at a time: a destructor may use the values that are still there, or set new ones.
        let last = state.locals.borrow_mut().pop();
        let Some(local) = last else { break };
        if left == 0 {
            mem::forget(local);
            continue;
        }
        left -= 1;
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(local))) {
            mem::forget(payload);
        }
    }
    let state = sys::ext::task_data().cast::<TaskState>();
    sys::ext::set_task_data(ptr::null_mut());
    // SAFETY: made by `Box::into_raw` in `obtain` for this task; the word that led to it is cleared
    // and no reference is used any more: the task's own frames have all returned.
    drop(unsafe { Box::from_raw(state) });
}
