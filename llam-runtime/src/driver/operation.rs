//! An operation that the kernel works on for a parked task.

use std::cell::Cell;

use crate::task::Task;
use crate::wait::{Armed, Reason};

/// Lives on the task's stack from submission to completion (E3).
pub(crate) struct Operation {
    task: &'static Task,
    armed: Cell<Armed>,
    result: Cell<i32>,
    done: Cell<bool>,
}

impl Operation {
    pub(crate) fn new(task: &'static Task, armed: Armed) -> Self {
        Self {
            task,
            armed: Cell::new(armed),
            result: Cell::new(0),
            done: Cell::new(false),
        }
    }

    /// Stores the result. Returns the task when this ended its park.
    pub(super) fn complete(&self, result: i32) -> Option<&'static Task> {
        self.result.set(result);
        self.done.set(true);
        self.task
            .wait
            .claim(self.armed.get(), Reason::Completed)
            .then_some(self.task)
    }

    /// The park that the completion will end now.
    pub(crate) fn set_armed(&self, armed: Armed) {
        self.armed.set(armed);
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done.get()
    }

    /// The kernel's result: a count, or a negative errno.
    pub(crate) fn result(&self) -> i32 {
        self.result.get()
    }
}
