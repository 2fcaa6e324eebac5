//! Waiting for a descriptor: the wait of every call, and `llam_poll_fd`.

use crate::clock::{self, NEVER, now_ns};
use crate::driver::{Driver, ReadyWait, descriptors};
use crate::errno::{self, Result};
use crate::task::{Task, WaitKind};
use crate::wait::Reason;
use crate::worker::{self, Worker};

/// Waits until a call on `fd` is worth trying again: it is ready, in error, or hung up.
/// `events` are bits of `poll(2)`. `ETIMEDOUT`, `ECANCELED`; `EBADF` when the descriptor was
/// closed meanwhile and its number means another object.
pub(crate) fn wait_ready(fd: i32, events: i16, deadline_ns: u64) -> Result<()> {
    match worker::context() {
        None => match host_poll(fd, events, deadline_ns)? {
            0 => Err(libc::ETIMEDOUT),
            _ => Ok(()),
        },
        Some((worker, task)) => {
            worker::precheck(task, deadline_ns)?;
            let waited_for = Identity::of(fd);
            // SAFETY: the borrow is for the match alone.
            match unsafe { worker.driver() } {
                #[cfg(target_os = "linux")]
                Driver::Uring(_) => {
                    super::stream::ring::wait(worker, task, fd, events, deadline_ns)?;
                }
                Driver::Readiness(_) => link_and_park(worker, task, fd, events, deadline_ns)?,
            }
            if waited_for == Identity::of(fd) {
                Ok(())
            } else {
                Err(libc::EBADF)
            }
        }
    }
}

/// What a descriptor number means, to notice that it means something else after a wait (`abi.md` I9).
/// Objects without an inode of their own (eventfd and its kin) look alike.
#[derive(PartialEq, Eq)]
enum Identity {
    /// An adopted number: its stamp changes with each close.
    Stamp(u32),
    Inode(libc::dev_t, libc::ino_t),
    Closed,
}

impl Identity {
    fn of(fd: i32) -> Self {
        if let Some(stamp) = descriptors::adopted_stamp(fd) {
            return Self::Stamp(stamp);
        }
        // SAFETY: all-zero is a valid value of this plain structure, and fstat fills it.
        unsafe {
            let mut status: libc::stat = std::mem::zeroed();
            if libc::fstat(fd, &raw mut status) == 0 {
                Self::Inode(status.st_dev, status.st_ino)
            } else {
                Self::Closed
            }
        }
    }
}

fn link_and_park(
    worker: &'static Worker,
    task: &'static Task,
    fd: i32,
    events: i16,
    deadline_ns: u64,
) -> Result<()> {
    let armed = task.wait.arm(true);
    let wait = ReadyWait::new(task, armed, fd, events);
    // SAFETY: the borrow ends before the task parks; the wait stays in this frame until it
    // is unlinked below.
    let Driver::Readiness(driver) = (unsafe { worker.driver() }) else {
        unreachable!("the caller has looked at the driver");
    };
    // SAFETY: as above.
    match unsafe { driver.link(&wait, &worker.counters) }? {
        crate::driver::Registered::AlwaysReady => return Ok(()),
        crate::driver::Registered::Waiting => {}
    }
    let reason = worker::park(worker, task, armed, deadline_ns, WaitKind::Io, fd as u64);
    // SAFETY: as above; the task is on its worker's thread again (E1).
    if let Driver::Readiness(driver) = unsafe { worker.driver() } {
        driver.unlink(&wait);
    }
    match reason {
        Reason::Completed if wait.is_stale() => Err(libc::EBADF),
        Reason::Timeout => Err(libc::ETIMEDOUT),
        Reason::Cancelled => Err(libc::ECANCELED),
        Reason::Completed | Reason::Woken => Ok(()),
    }
}

/// One `poll(2)` without waiting.
pub(super) fn probe(fd: i32, events: i16) -> Result<i16> {
    if fd < 0 {
        return Ok(libc::POLLNVAL);
    }
    let mut watched = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one valid pollfd.
    super::retry(|| unsafe { libc::poll(&mut watched, 1, 0) } as isize)?;
    Ok(watched.revents)
}

/// `poll(2)` on a host thread. 0 events mean that the deadline has passed.
fn host_poll(fd: i32, events: i16, deadline_ns: u64) -> Result<i16> {
    if fd < 0 {
        return Ok(libc::POLLNVAL);
    }
    let mut watched = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    let timeout_ms = match deadline_ns {
        NEVER => -1,
        deadline => {
            let left = deadline.saturating_sub(now_ns()).div_ceil(1_000_000);
            i32::try_from(left).unwrap_or(i32::MAX)
        }
    };
    // SAFETY: one valid pollfd.
    errno::check(unsafe { libc::poll(&mut watched, 1, timeout_ms) } as isize)?;
    Ok(watched.revents)
}

/// `llam_poll_fd`: the ready bits, or `None` when `timeout_ms` has passed.
pub(crate) fn poll(fd: i32, events: i16, timeout_ms: i32) -> Result<Option<i16>> {
    let deadline = clock::deadline_from_ms(timeout_ms);
    let some = |ready: i16| (ready != 0).then_some(ready);
    if worker::context().is_none() {
        return host_poll(fd, events, deadline).map(some);
    }
    loop {
        let ready = probe(fd, events)?;
        if ready != 0 || timeout_ms == 0 {
            return Ok(some(ready));
        }
        // A limit that counts from the call has not passed when the wait begins, however slowly the
        // call came here: a cancelled task hears of its cancellation.
        super::refuse_cancelled()?;
        match wait_ready(fd, events, deadline) {
            Ok(()) => {}
            Err(libc::ETIMEDOUT) if now_ns() >= deadline => return Ok(None),
            Err(libc::EBADF) => return Ok(Some(libc::POLLNVAL)),
            Err(error) => return Err(error),
        }
    }
}
