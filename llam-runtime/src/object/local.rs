//! Task-local values (`abi.md` 4.8, 5.10): keys for the process, values per task.
//!
//! A key is one word: whether it is active, and how many tasks hold a value under it. An id
//! is free when its word is 0, so a deleted key is not handed out again while any task still
//! holds an old value.

use core::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::errno::Result;
use crate::task::Task;
use crate::worker;

/// Ids run from 1 to 65535.
const KEYS: usize = 65_536;
const ACTIVE: u32 = 1 << 31;

static WORDS: [AtomicU32; KEYS] = [const { AtomicU32::new(0) }; KEYS];
/// No free id lies below this one.
static LOWEST_FREE: Mutex<usize> = Mutex::new(1);

/// The values of one task, in order of first set.
#[derive(Default)]
pub(crate) struct Locals {
    entries: Vec<(u32, *mut c_void)>,
}

pub(crate) fn create_key() -> Result<u32> {
    let mut lowest = LOWEST_FREE.lock();
    let claim = |word: &AtomicU32| {
        word.compare_exchange(0, ACTIVE, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    };
    let found = WORDS[*lowest..].iter().position(claim);
    let id = *lowest + found.ok_or(libc::ENOSPC)?;
    *lowest = id + 1;
    Ok(id as u32)
}

fn word(key: u32) -> Result<&'static AtomicU32> {
    match key {
        0 => Err(libc::EINVAL),
        key => WORDS.get(key as usize).ok_or(libc::EINVAL),
    }
}

pub(crate) fn delete_key(key: u32) -> Result<()> {
    let word = word(key)?;
    let before = word.fetch_and(!ACTIVE, Ordering::AcqRel);
    if before & ACTIVE == 0 {
        return Err(libc::EINVAL);
    }
    if before == ACTIVE {
        freed(key);
    }
    Ok(())
}

/// An id has become free.
fn freed(key: u32) {
    let mut lowest = LOWEST_FREE.lock();
    *lowest = (*lowest).min(key as usize);
}

fn let_go(key: u32) {
    if WORDS[key as usize].fetch_sub(1, Ordering::AcqRel) == 1 {
        freed(key);
    }
}

/// The calling task's value, null without one.
#[inline]
pub(crate) fn load(key: u32) -> Result<*mut c_void> {
    let task = worker::current_task().ok_or(libc::ENOTSUP)?;
    if word(key)?.load(Ordering::Acquire) & ACTIVE == 0 {
        return Err(libc::EINVAL);
    }
    // SAFETY: owner access by the task itself.
    let locals = unsafe { &*task.locals.get() };
    let entry = locals
        .as_ref()
        .and_then(|locals| locals.entries.iter().find(|entry| entry.0 == key));
    Ok(entry.map_or(std::ptr::null_mut(), |entry| entry.1))
}

pub(crate) fn store(key: u32, value: *mut c_void) -> Result<()> {
    let task = worker::current_task().ok_or(libc::ENOTSUP)?;
    let word = word(key)?;
    // SAFETY: owner access by the task itself.
    let locals = unsafe { &mut *task.locals.get() };
    let position = locals
        .as_ref()
        .and_then(|locals| locals.entries.iter().position(|entry| entry.0 == key));
    let active = word.load(Ordering::Acquire) & ACTIVE != 0;
    match (position, value.is_null()) {
        (Some(position), true) => {
            if let Some(locals) = locals {
                locals.entries.remove(position);
            }
            let_go(key);
            Ok(())
        }
        (None, true) if active => Ok(()),
        (Some(position), false) if active => {
            if let Some(locals) = locals {
                locals.entries[position].1 = value;
            }
            Ok(())
        }
        (None, false) if hold(word) => {
            let locals = locals.get_or_insert_with(Box::default);
            locals.entries.push((key, value));
            Ok(())
        }
        _ => Err(libc::EINVAL),
    }
}

/// Counts a value under a key, unless the key is inactive.
fn hold(word: &AtomicU32) -> bool {
    word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |now| {
        (now & ACTIVE != 0).then_some(now + 1)
    })
    .is_ok()
}

/// Drops the entries of a task that has ended.
#[inline]
pub(crate) fn clear(task: &Task) {
    // SAFETY: the task has ended on the calling thread.
    if let Some(locals) = unsafe { (*task.locals.get()).take() } {
        for (key, _) in locals.entries {
            let_go(key);
        }
    }
}
