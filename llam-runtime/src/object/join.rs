//! Joining and detaching tasks (`abi.md` 4.3): exactly one call consumes a handle.

use core::ffi::c_void;

use crate::clock::NEVER;
use crate::errno::Result;
use crate::handle::{self, Checked};
use crate::slab::{Slab, Slot};
use crate::spin::SpinGuard;
use crate::task::{Ending, Task, WaitKind};
use crate::wait::Reason;
use crate::waiter::{HostWait, Waiter};
use crate::worker::{self, Worker};

/// Who joins, and what may end the wait early.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `llam_join*`.
    Single,
    /// A group's join, which owns the handle.
    Group,
    /// A join that neither cancellation nor a deadline ends.
    Uncancellable,
}

/// Waits for a task and consumes its handle.
#[inline(always)]
pub(crate) fn join(task: *mut c_void, deadline_ns: u64, mode: Mode) -> Result<()> {
    let checked = handle::check::<Task>(task).ok_or(libc::EINVAL)?;
    match worker::context() {
        Some((worker, joiner)) => {
            if !checked.slot.belongs_to(worker.runtime()) {
                return Err(libc::EXDEV);
            }
            worker::budget_point(worker, joiner);
            join_in_task(&checked, worker, joiner, deadline_ns, mode)
        }
        None => join_on_host(&checked, deadline_ns, mode),
    }
}

#[inline(always)]
fn lock_ending(checked: &Checked<Task>) -> Result<SpinGuard<'static, Ending>> {
    let ending = checked.slot.ending.lock();
    if checked.is_current() {
        Ok(ending)
    } else {
        Err(libc::EINVAL)
    }
}

/// The checks that come before R5.
#[inline]
fn check_joinable(ending: &Ending, mode: Mode) -> Result<()> {
    if ending.detached {
        Err(libc::EINVAL)
    } else if ending.joining || (ending.grouped && mode != Mode::Group) {
        Err(libc::EBUSY)
    } else {
        Ok(())
    }
}

/// Ends the life of an ended task's handle. The lock makes it happen once.
#[inline(always)]
fn consume(task: &'static Task, ending: SpinGuard<'_, Ending>) {
    Slab::kill(task);
    drop(ending);
    task.runtime().reclaim(task);
}

#[inline(always)]
fn join_in_task(
    checked: &Checked<Task>,
    worker: &'static Worker,
    joiner: &'static Task,
    deadline_ns: u64,
    mode: Mode,
) -> Result<()> {
    let target = checked.slot;
    let mut ending = lock_ending(checked)?;
    if ending.grouped && mode != Mode::Group {
        return Err(libc::EBUSY);
    }
    if std::ptr::eq(target, joiner) {
        return Err(if ending.detached {
            libc::EINVAL
        } else {
            libc::EDEADLK
        });
    }
    check_joinable(&ending, mode)?;
    if ending.ended {
        consume(target, ending);
        return Ok(());
    }
    let cancellable = mode != Mode::Uncancellable;
    if cancellable {
        worker::precheck(joiner, deadline_ns)?;
    }
    let armed = joiner.wait.arm(cancellable);
    ending.joining = true;
    ending.set_waiter(Waiter::Task {
        task: joiner,
        armed,
    });
    drop(ending);
    let detail = target.id();
    let reason = if cancellable {
        worker::park(worker, joiner, armed, deadline_ns, WaitKind::Join, detail)
    } else {
        worker::park_until_woken(worker, joiner, WaitKind::Join, detail);
        Reason::Woken
    };
    let mut ending = lock_ending(checked)?;
    ending.joining = false;
    ending.take_waiter();
    match reason {
        // The claim decides: a task that ends after a cancellation has won changes nothing.
        Reason::Timeout => Err(libc::ETIMEDOUT),
        Reason::Cancelled => Err(libc::ECANCELED),
        Reason::Woken | Reason::Completed => {
            consume(target, ending);
            Ok(())
        }
    }
}

#[cold]
fn join_on_host(checked: &Checked<Task>, deadline_ns: u64, mode: Mode) -> Result<()> {
    let target = checked.slot;
    let mut ending = lock_ending(checked)?;
    check_joinable(&ending, mode)?;
    if ending.ended {
        return host_outcome(target, ending);
    }
    let host = HostWait::new();
    ending.joining = true;
    ending.set_waiter(Waiter::Host(&host));
    drop(ending);
    host.block_until(deadline_ns);
    // The slot may have been reclaimed by a shutdown: then the handle is dead and the
    // waiter was taken.
    let mut ending = lock_ending(checked)?;
    ending.joining = false;
    ending.take_waiter();
    if ending.ended {
        return host_outcome(target, ending);
    }
    Err(libc::ETIMEDOUT)
}

/// A host thread learns of a failed run instead of the end that the failure caused.
fn host_outcome(target: &'static Task, ending: SpinGuard<'_, Ending>) -> Result<()> {
    let fatal = target.runtime().fatal();
    if ending.failed && fatal != 0 {
        return Err(fatal);
    }
    consume(target, ending);
    Ok(())
}

/// Gives a handle up.
pub(crate) fn detach(task: *mut c_void) -> Result<()> {
    let checked = handle::check::<Task>(task).ok_or(libc::EINVAL)?;
    if let Some((worker, _)) = worker::context()
        && !checked.slot.belongs_to(worker.runtime())
    {
        return Err(libc::EXDEV);
    }
    let mut ending = lock_ending(&checked)?;
    if ending.detached {
        return Err(libc::EINVAL);
    }
    if ending.grouped || ending.joining {
        return Err(libc::EBUSY);
    }
    if ending.ended {
        consume(checked.slot, ending);
    } else {
        ending.detached = true;
        checked.slot.head().renew();
    }
    Ok(())
}

/// A join without a deadline that nothing but the task's end ends (`ext`).
pub(crate) fn join_uncancellable(task: *mut c_void) -> Result<()> {
    join(task, NEVER, Mode::Uncancellable)
}
