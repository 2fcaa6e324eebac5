//! Accepting and connecting (`abi.md` 4.14).

use parking_lot::Mutex;

use super::readiness::wait_ready;
use super::{is_nonblocking, refuse_cancelled, retry};
use crate::clock::{NEVER, now_ns};
use crate::driver::descriptors;
use crate::errno::{self, Result};
use crate::worker;

/// Longest pause between two tries of a connect that the system cannot queue (Unix sockets
/// with a full backlog).
const MAX_CONNECT_PAUSE_NS: u64 = 10_000_000;

/// How an accepted socket is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// As from `accept(2)`.
    Plain,
    /// Closed on exec, in the mode that suits the driver, adopted (see `descriptors`).
    Owned,
}

/// `llam_accept`.
pub(crate) fn accept(
    fd: i32,
    address: *mut libc::sockaddr,
    length: *mut libc::socklen_t,
    wanted: Accepted,
) -> Result<i32> {
    if fd < 0 {
        return Err(libc::EBADF);
    }
    let context = worker::context();
    let completes = context.is_some_and(|(worker, _)| worker.completes());
    let flags = match wanted {
        Accepted::Plain => 0,
        Accepted::Owned if completes || context.is_none() => libc::SOCK_CLOEXEC,
        Accepted::Owned => libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
    };
    let accepted = match context {
        // SAFETY: the caller of the ABI owns address and length.
        None => errno::check(unsafe { libc::accept4(fd, address, length, flags) } as isize)? as i32,
        Some((worker, task)) => {
            worker::budget_point(worker, task);
            let accepted = accept_in_task(fd, address, length, flags)?;
            task.accepted.set(true);
            accepted
        }
    };
    if wanted == Accepted::Owned {
        descriptors::adopt(accepted);
    }
    Ok(accepted)
}

fn accept_in_task(
    fd: i32,
    address: *mut libc::sockaddr,
    length: *mut libc::socklen_t,
    flags: i32,
) -> Result<i32> {
    // SAFETY: the length is null or the caller's.
    let room = unsafe { length.as_ref().copied() };
    loop {
        if let Some(room) = room {
            // SAFETY: as above.
            unsafe { length.write(room) };
        }
        #[cfg(target_os = "linux")]
        if let Some(outcome) = ring::accept(fd, address, length, flags) {
            return outcome;
        }
        let outcome = without_blocking(fd, || {
            // SAFETY: the caller of the ABI owns address and length.
            retry(|| unsafe { libc::accept4(fd, address, length, flags) } as isize)
        });
        match outcome {
            Ok(accepted) => return Ok(accepted as i32),
            Err(libc::EAGAIN) => wait_ready(fd, libc::POLLIN, NEVER)?,
            Err(error) => return Err(error),
        }
    }
}

/// Runs a call that has no non-blocking form. A blocking descriptor is switched over for
/// the moment of the call and switched back. Calls on one descriptor go one at a time: a
/// mode seen without the lock may be another call's moment.
fn without_blocking<T>(fd: i32, call: impl FnOnce() -> Result<T>) -> Result<T> {
    const LOCKS: usize = 64;
    static SWITCHING: [Mutex<()>; LOCKS] = [const { Mutex::new(()) }; LOCKS];
    let _switching = SWITCHING[fd as usize % LOCKS].lock();
    if is_nonblocking(fd)? {
        return call();
    }
    // SAFETY: changes status flags of the caller's descriptor and restores them below.
    unsafe {
        let before = libc::fcntl(fd, libc::F_GETFL);
        libc::fcntl(fd, libc::F_SETFL, before | libc::O_NONBLOCK);
        let outcome = call();
        libc::fcntl(fd, libc::F_SETFL, before);
        outcome
    }
}

/// `llam_connect`.
///
/// # Safety
/// `address` is readable for `length` bytes.
pub(crate) unsafe fn connect(
    fd: i32,
    address: *const libc::sockaddr,
    length: libc::socklen_t,
) -> Result<()> {
    if worker::context().is_none() {
        // SAFETY: by the caller's promise.
        return errno::check(unsafe { libc::connect(fd, address, length) } as isize).map(|_| ());
    }
    refuse_cancelled()?;
    let mut pause = 1_000_000;
    loop {
        let outcome = without_blocking(fd, || {
            // SAFETY: by the caller's promise.
            errno::check(unsafe { libc::connect(fd, address, length) } as isize)
        });
        match outcome {
            Ok(_) => return Ok(()),
            Err(libc::EINPROGRESS | libc::EALREADY | libc::EINTR) => {
                // SAFETY: by the caller's promise.
                return unsafe { await_outcome(fd, address, length) };
            }
            Err(libc::EAGAIN) => {
                crate::time::sleep_until(now_ns() + pause)?;
                pause = (pause * 2).min(MAX_CONNECT_PAUSE_NS);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits for a connection that is on its way. Asking again tells the outcome, and on Linux
/// also settles the socket's state.
///
/// # Safety
/// As `connect`.
unsafe fn await_outcome(
    fd: i32,
    address: *const libc::sockaddr,
    length: libc::socklen_t,
) -> Result<()> {
    loop {
        wait_ready(fd, libc::POLLOUT, NEVER)?;
        let outcome = without_blocking(fd, || {
            // SAFETY: by the caller's promise.
            errno::check(unsafe { libc::connect(fd, address, length) } as isize)
        });
        match outcome {
            Ok(_) | Err(libc::EISCONN) => return Ok(()),
            Err(libc::EINPROGRESS | libc::EALREADY | libc::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(target_os = "linux")]
mod ring {
    use io_uring::opcode;
    use io_uring::types::Fd;

    use super::super::stream::ring::perform;
    use crate::clock::NEVER;
    use crate::errno::Result;
    use crate::worker;

    /// Accepts from a blocking listener; `None` when another way has to be taken.
    pub(super) fn accept(
        fd: i32,
        address: *mut libc::sockaddr,
        length: *mut libc::socklen_t,
        flags: i32,
    ) -> Option<Result<i32>> {
        let (worker, task) = worker::context()?;
        if !worker.completes() || worker::precheck(task, NEVER).is_err() {
            return None;
        }
        if !worker.is_handed_over(fd) {
            match super::is_nonblocking(fd) {
                Ok(true) => return None,
                Ok(false) => worker.hand_over(fd),
                Err(error) => return Some(Err(error)),
            }
        }
        let entry = opcode::Accept::new(Fd(fd), address, length)
            .flags(flags)
            .build();
        match perform(worker, task, fd, entry, NEVER) {
            Err(libc::EAGAIN | libc::EINTR) => {
                worker.take_back(fd);
                None
            }
            outcome => Some(outcome),
        }
    }
}
