//! What can be chosen when a task is spawned.
//!
//! Owns [`SpawnOptions`] and its enums, and their translation to `llam_spawn_opts_t`. Invariant: the
//! translation always sets `LLAM_SPAWN_F_PINNED` (see the module above). Contract: `abi.md` 5.4.

use std::time::Duration;

use crate::cancel::CancelToken;
use crate::sys;
use crate::time;

/// A hint for dispatch order and slice length. It never changes results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TaskClass {
    /// First in line, short slices.
    Latency,
    /// The middle, and what a task has by default.
    #[default]
    Default,
    /// Last in line, long slices; never starved.
    Batch,
}

impl TaskClass {
    /// The class of a raw value; `None` above 2.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Option<Self> {
        match raw {
            sys::LLAM_TASK_CLASS_LATENCY => Some(Self::Latency),
            sys::LLAM_TASK_CLASS_DEFAULT => Some(Self::Default),
            sys::LLAM_TASK_CLASS_BATCH => Some(Self::Batch),
            _ => None,
        }
    }

    /// The raw value, `LLAM_TASK_CLASS_*`.
    #[must_use]
    pub const fn to_raw(self) -> u32 {
        match self {
            Self::Latency => sys::LLAM_TASK_CLASS_LATENCY,
            Self::Default => sys::LLAM_TASK_CLASS_DEFAULT,
            Self::Batch => sys::LLAM_TASK_CLASS_BATCH,
        }
    }
}

/// How much stack a task gets, beside its guard. At least 64 KiB, 256 KiB, 1 MiB; builds with debug
/// assertions give four times as much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StackClass {
    /// 64 KiB usable.
    #[default]
    Default,
    /// 256 KiB usable.
    Large,
    /// 1 MiB usable.
    Huge,
}

impl StackClass {
    /// The raw value, `LLAM_STACK_CLASS_*`.
    #[must_use]
    pub const fn to_raw(self) -> u32 {
        match self {
            Self::Default => sys::LLAM_STACK_CLASS_DEFAULT,
            Self::Large => sys::LLAM_STACK_CLASS_LARGE,
            Self::Huge => sys::LLAM_STACK_CLASS_HUGE,
        }
    }
}

/// Options of a spawn call: class, stack, cancel token, flags.
///
/// ```
/// use llam::{SpawnOptions, StackClass, TaskClass};
/// let options = SpawnOptions::new().class(TaskClass::Batch).stack(StackClass::Large);
/// assert_eq!(options.raw_options().task_class, TaskClass::Batch.to_raw());
/// ```
#[derive(Clone, Debug, Default)]
pub struct SpawnOptions {
    class: TaskClass,
    stack: StackClass,
    deadline_ns: u64,
    cancel: Option<CancelToken>,
    flags: u32,
}

impl SpawnOptions {
    /// Class `Default`, stack `Default`, no token, no flags.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the class.
    #[must_use]
    pub fn class(mut self, class: TaskClass) -> Self {
        self.class = class;
        self
    }

    /// Sets the stack class.
    #[must_use]
    pub fn stack(mut self, stack: StackClass) -> Self {
        self.stack = stack;
        self
    }

    /// Notes a deadline with the task, from now. It is shown in dumps and enforced nowhere; to
    /// enforce one use [`time::timeout`](crate::time::timeout).
    #[must_use]
    pub fn deadline_after(mut self, duration: Duration) -> Self {
        self.deadline_ns = time::deadline_after(duration);
        self
    }

    /// The token that cancels the task.
    #[must_use]
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = Some(token);
        self
    }

    /// Kept for programs that ask for it: every task of this crate is pinned, whatever is said
    /// here.
    #[must_use]
    pub fn pinned(self, pinned: bool) -> Self {
        self.flag(sys::LLAM_SPAWN_F_PINNED, pinned)
    }

    /// Forces class `Latency`.
    #[must_use]
    pub fn latency_critical(self, latency_critical: bool) -> Self {
        self.flag(sys::LLAM_SPAWN_F_LATENCY_CRITICAL, latency_critical)
    }

    /// Safepoints never yield for this task.
    #[must_use]
    pub fn no_preempt(self, no_preempt: bool) -> Self {
        self.flag(sys::LLAM_SPAWN_F_NO_PREEMPT, no_preempt)
    }

    /// Marks helper work; no visible effect.
    #[must_use]
    pub fn system_task(self, system_task: bool) -> Self {
        self.flag(sys::LLAM_SPAWN_F_SYS_TASK, system_task)
    }

    /// The struct the engine gets. The token inside is borrowed from these options.
    #[must_use]
    pub fn raw_options(&self) -> sys::llam_spawn_opts_t {
        sys::llam_spawn_opts_t {
            task_class: self.class.to_raw(),
            stack_class: self.stack.to_raw(),
            flags: self.flags | sys::LLAM_SPAWN_F_PINNED,
            reserved0: 0,
            deadline_ns: self.deadline_ns,
            cancel_token: self
                .cancel
                .as_ref()
                .map_or(std::ptr::null_mut(), CancelToken::raw),
        }
    }

    pub(crate) fn has_token(&self) -> bool {
        self.cancel.is_some()
    }

    fn flag(mut self, flag: u32, on: bool) -> Self {
        if on {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_is_pinned() {
        let raw = SpawnOptions::new().pinned(false).raw_options();
        assert_eq!(raw.flags, sys::LLAM_SPAWN_F_PINNED);
        let raw = SpawnOptions::new()
            .no_preempt(true)
            .latency_critical(true)
            .latency_critical(false)
            .system_task(true)
            .raw_options();
        assert_eq!(
            raw.flags,
            sys::LLAM_SPAWN_F_PINNED | sys::LLAM_SPAWN_F_NO_PREEMPT | sys::LLAM_SPAWN_F_SYS_TASK
        );
    }

    #[test]
    fn classes_match_the_header() {
        for raw in 0..3 {
            assert_eq!(TaskClass::from_raw(raw).map(TaskClass::to_raw), Some(raw));
        }
        assert_eq!(TaskClass::from_raw(3), None);
        assert_eq!(StackClass::Huge.to_raw(), sys::LLAM_STACK_CLASS_HUGE);
    }
}
