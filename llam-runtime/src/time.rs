//! Sleeping (`abi.md` 4.5).

use std::time::Duration;

use crate::clock::{self, now_ns};
use crate::errno::Result;
use crate::runtime::registry;
use crate::task::WaitKind;
use crate::wait::Reason;
use crate::worker;

/// Sleeps until an absolute time. `EINVAL` on a host thread when the default runtime is not
/// live, `ECANCELED` in a cancelled task.
pub(crate) fn sleep_until(deadline_ns: u64) -> Result<()> {
    let Some((worker, task)) = worker::context() else {
        return sleep_on_host(deadline_ns);
    };
    if now_ns() >= deadline_ns {
        return Ok(());
    }
    // A sleep has no deadline of its own to miss: only the task's park deadline can.
    worker::precheck(task, clock::NEVER)?;
    let armed = task.wait.arm(true);
    // A sleep is a timed wait even when it is endless: it never counts as a deadlock.
    let until = deadline_ns.min(clock::NEVER - 1);
    match worker::park(worker, task, armed, until, WaitKind::Sleep, 0) {
        Reason::Timeout if task.park_deadline.get() < deadline_ns => Err(libc::ETIMEDOUT),
        Reason::Timeout => Ok(()),
        Reason::Cancelled | Reason::Woken | Reason::Completed => Err(libc::ECANCELED),
    }
}

fn sleep_on_host(deadline_ns: u64) -> Result<()> {
    if registry::DEFAULT.lock_live().is_none() {
        return Err(libc::EINVAL);
    }
    loop {
        let now = now_ns();
        if now >= deadline_ns {
            return Ok(());
        }
        std::thread::sleep(Duration::from_nanos(deadline_ns - now));
    }
}
