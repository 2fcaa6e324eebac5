//! I/O calls (`abi.md` 4.14 to 4.16): on a host thread the plain system call, in a task a
//! call that waits without holding the worker.
//!
//! Every waiting call has one shape: an *attempt* that never blocks, and a wait for
//! readiness when the attempt says `EAGAIN`. On the completion backend a blocking socket
//! skips the attempt: the operation itself is handed to the kernel.

mod attempt;
mod owned;
mod positional;
mod readiness;
mod socket;
mod stream;

pub(crate) use attempt::Kind as DescriptorKind;
pub(crate) use owned::{pread_owned, read_owned, recv_owned, recvfrom_owned};
pub(crate) use positional::{Vector, positional, positional_vectored};
pub(crate) use readiness::{poll, wait_ready};
pub(crate) use socket::{Accepted, accept, connect};
pub(crate) use stream::{Source, read, read_when_ready, recvfrom, sendto, write, write_vectored};

use crate::driver::descriptors;
use crate::errno::{self, Result};
use crate::worker;

/// Most bytes of one transfer, as the kernel limits it.
const MAX_TRANSFER: usize = 0x7fff_f000;

/// Repeats a system call that a signal interrupted.
#[inline]
fn retry(mut call: impl FnMut() -> isize) -> Result<usize> {
    loop {
        match errno::check(call()) {
            Err(libc::EINTR) => {}
            outcome => return outcome,
        }
    }
}

/// Whether the descriptor is in non-blocking mode.
fn is_nonblocking(fd: i32) -> Result<bool> {
    // SAFETY: no memory is involved.
    let flags = errno::check(unsafe { libc::fcntl(fd, libc::F_GETFL) } as isize)?;
    Ok(flags as i32 & libc::O_NONBLOCK != 0)
}

/// Closes a descriptor and forgets what was known about its number.
pub(crate) fn close(fd: i32) -> Result<()> {
    if fd < 0 {
        return Err(libc::EBADF);
    }
    descriptors::release(fd);
    // SAFETY: the caller owns the descriptor.
    errno::check(unsafe { libc::close(fd) } as isize).map(|_| ())
}

/// `ECANCELED` in a task that is already cancelled: for class-B calls (I7), and before a timed wait.
pub(crate) fn refuse_cancelled() -> Result<()> {
    match worker::current_task() {
        Some(task) if worker::cancelled(task) => Err(libc::ECANCELED),
        _ => Ok(()),
    }
}
