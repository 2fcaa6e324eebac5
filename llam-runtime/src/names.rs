//! Names of tasks: a side table, so that tasks without a name pay nothing.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::errno;
use crate::slab::Slot;
use crate::task::Task;

/// Longest name kept, in bytes; longer ones are cut.
const MAX_NAME_BYTES: usize = 128;

static NAMES: LazyLock<Mutex<HashMap<u32, Box<str>>>> = LazyLock::new(Mutex::default);

/// Gives a task that is not yet published its name.
pub(crate) fn set(task: &Task, name: &str) {
    let mut end = name.len().min(MAX_NAME_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    NAMES.lock().insert(task.head().index(), name[..end].into());
    task.named.store(true, Ordering::Release);
}

/// Forgets the name of a task that is being reclaimed. `errno` stays as it was.
#[inline]
pub(crate) fn clear(task: &Task) {
    if task.named.load(Ordering::Relaxed) {
        task.named.store(false, Ordering::Relaxed);
        errno::preserve(|| NAMES.lock().remove(&task.head().index()));
    }
}

/// The name of a task, if it has one.
pub(crate) fn of(task: &Task) -> Option<String> {
    if !task.named.load(Ordering::Acquire) {
        return None;
    }
    NAMES
        .lock()
        .get(&task.head().index())
        .map(|name| name.to_string())
}

/// As `of`, for the fault handler: neither waits nor allocates.
pub(crate) fn try_with<R>(task: &Task, read: impl FnOnce(&str) -> R) -> Option<R> {
    let names = NAMES.try_lock()?;
    names.get(&task.head().index()).map(|name| read(name))
}
