//! I/O on plain descriptors, and owned buffers.
//!
//! Owns the safe wrappers of the ABI's descriptor calls (`abi.md` 4.14, 4.16). In a task only the task
//! waits, whatever the descriptor's mode; on a host thread they are the plain system calls, and a
//! non-blocking descriptor gives `EAGAIN`. Counts may be partial. The types of [`net`](crate::net) and
//! [`fs`](crate::fs) are the comfortable way.

use std::ffi::c_void;
use std::io;
use std::net::SocketAddr;

use crate::error::{Error, Result, check, check_count};
use crate::sys;
use crate::time;

mod owned;

pub use owned::{OwnedBuf, read_owned, recv_owned};

/// A descriptor; on Windows a socket.
pub type Fd = sys::llam_fd_t;
/// A descriptor; on Windows a HANDLE.
pub type Handle = sys::llam_handle_t;

/// Event bit: there is something to read, or the end of the stream (`POLLIN`).
pub const READABLE: i16 = 1;
/// Event bit: there is room to write (`POLLOUT`).
pub const WRITABLE: i16 = 4;

/// What [`poll`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollResult {
    /// 1 when ready, 0 when the time was up.
    pub ready_count: i32,
    /// The events, `READABLE`, `WRITABLE` and those of `poll(2)`.
    pub revents: i16,
}

/// A connection taken by [`accept_with_addr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedFd {
    /// The new descriptor, the caller's to close.
    pub fd: Fd,
    /// The peer; `None` when it is not an Internet address.
    pub addr: Option<SocketAddr>,
}

/// Waits until the descriptor is ready; `ETIMEDOUT` when the deadline passes first.
#[cold]
pub(crate) fn wait_ready(fd: Fd, events: i16, deadline_ns: u64) -> io::Result<()> {
    loop {
        // SAFETY: no events are asked back.
        let ready =
            unsafe { sys::llam_poll_fd(fd, events, timeout_ms(deadline_ns), std::ptr::null_mut()) };
        if ready > 0 {
            return Ok(());
        }
        if ready < 0 {
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        } else if time::has_passed(deadline_ns) {
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
    }
}

/// The milliseconds until a deadline, rounded up; -1 for none.
fn timeout_ms(deadline_ns: u64) -> i32 {
    if deadline_ns == u64::MAX {
        return -1;
    }
    let left_ns = deadline_ns.saturating_sub(time::now_ns());
    i32::try_from(left_ns.div_ceil(1_000_000)).unwrap_or(i32::MAX)
}

/// Where the engine does not know the deadline of the timeout scope around the caller: waits here,
/// before the call that would wait without limit.
#[inline]
fn within_scope(fd: Fd, events: i16) -> io::Result<()> {
    match time::effective_deadline(u64::MAX) {
        u64::MAX => Ok(()),
        deadline_ns => wait_ready(fd, events, deadline_ns),
    }
}

/// The earlier of a time limit and the scope's, and whether it is the scope's.
fn scoped_timeout(limit_ms: i32) -> (i32, bool) {
    match timeout_ms(time::effective_deadline(u64::MAX)) {
        -1 => (limit_ms, false),
        scope_ms if limit_ms < 0 || scope_ms < limit_ms => (scope_ms, true),
        _ => (limit_ms, false),
    }
}

/// Reads into `buffer`; 0 is the end of the stream.
///
/// # Errors
///
/// Those of `read(2)`; in a task `ECANCELED` and `ETIMEDOUT` (a
/// [`timeout`](fn@crate::time::timeout) around it) when it would have to wait.
pub fn read(fd: Fd, buffer: &mut [u8]) -> io::Result<usize> {
    within_scope(fd, READABLE)?;
    // SAFETY: the slice is valid for its length and stays lent until the call returns.
    check_count(unsafe { sys::llam_read(fd, buffer.as_mut_ptr().cast::<c_void>(), buffer.len()) })
}

/// Writes from `buffer`. A peer that is gone gives `EPIPE`; SIGPIPE is ignored in Rust programs.
///
/// # Errors
///
/// Those of `write(2)`, and as [`read()`].
pub fn write(fd: Fd, buffer: &[u8]) -> io::Result<usize> {
    within_scope(fd, WRITABLE)?;
    // SAFETY: the slice is valid for its length and stays lent until the call returns.
    check_count(unsafe { sys::llam_write(fd, buffer.as_ptr().cast::<c_void>(), buffer.len()) })
}

/// [`read()`] of a handle; differs on Windows only.
///
/// # Errors
///
/// As [`read()`].
pub fn read_handle(handle: Handle, buffer: &mut [u8]) -> io::Result<usize> {
    #[cfg(unix)]
    within_scope(handle, READABLE)?;
    // SAFETY: the slice is valid for its length and stays lent until the call returns.
    check_count(unsafe {
        sys::llam_read_handle(handle, buffer.as_mut_ptr().cast::<c_void>(), buffer.len())
    })
}

/// [`write()`] to a handle; differs on Windows only.
///
/// # Errors
///
/// As [`write()`].
pub fn write_handle(handle: Handle, buffer: &[u8]) -> io::Result<usize> {
    #[cfg(unix)]
    within_scope(handle, WRITABLE)?;
    // SAFETY: the slice is valid for its length and stays lent until the call returns.
    check_count(unsafe {
        sys::llam_write_handle(handle, buffer.as_ptr().cast::<c_void>(), buffer.len())
    })
}

/// Waits up to `timeout_ms` (negative: without limit) until there is something to read, then reads.
///
/// # Errors
///
/// `ETIMEDOUT` nothing came in time; else as [`read()`].
pub fn read_when_ready(fd: Fd, buffer: &mut [u8], timeout_ms: i32) -> io::Result<usize> {
    let (timeout_ms, _) = scoped_timeout(timeout_ms);
    // SAFETY: the slice is valid for its length and stays lent until the call returns.
    check_count(unsafe {
        sys::llam_read_when_ready(
            fd,
            buffer.as_mut_ptr().cast::<c_void>(),
            buffer.len(),
            timeout_ms,
        )
    })
}

/// Waits for events of a descriptor and returns them; 0 when the time was up. `timeout_ms`: negative
/// for no limit, 0 for a look. A bad descriptor is an event (`POLLNVAL`).
///
/// # Errors
///
/// `ECANCELED`; `ETIMEDOUT` for a [`timeout`](fn@crate::time::timeout) around it.
pub fn poll_fd(fd: Fd, events: i16, timeout_ms: i32) -> Result<i16> {
    poll(fd, events, timeout_ms).map(|found| found.revents)
}

/// [`poll_fd`] that also says whether the time was up.
///
/// # Errors
///
/// As [`poll_fd`].
pub fn poll(fd: Fd, events: i16, timeout_ms: i32) -> Result<PollResult> {
    let mut revents = 0;
    let (timeout_ms, is_cut) = scoped_timeout(timeout_ms);
    // SAFETY: `revents` is a local.
    let ready_count = unsafe { sys::llam_poll_fd(fd, events, timeout_ms, &raw mut revents) };
    polled(ready_count, revents, is_cut)
}

/// [`poll_fd`] of a handle; differs on Windows only.
///
/// # Errors
///
/// As [`poll_fd`].
pub fn poll_handle(handle: Handle, events: i16, timeout_ms: i32) -> Result<i16> {
    let mut revents = 0;
    let (timeout_ms, is_cut) = scoped_timeout(timeout_ms);
    // SAFETY: `revents` is a local.
    let ready_count =
        unsafe { sys::llam_poll_handle(handle, events, timeout_ms, &raw mut revents) };
    polled(ready_count, revents, is_cut).map(|found| found.revents)
}

fn polled(ready_count: i32, revents: i16, is_cut: bool) -> Result<PollResult> {
    if ready_count < 0 {
        return Err(Error::last());
    }
    if ready_count == 0 && is_cut {
        return Err(Error::from_errno(libc::ETIMEDOUT));
    }
    Ok(PollResult {
        ready_count,
        revents,
    })
}

/// Takes a connection. The new descriptor is blocking, without close-on-exec, and the caller's.
///
/// # Errors
///
/// Those of `accept(2)`; `ECANCELED`; `ETIMEDOUT` for a [`timeout`](fn@crate::time::timeout) around it.
pub fn accept(fd: Fd) -> io::Result<Fd> {
    within_scope(fd, READABLE)?;
    // SAFETY: no address is asked for.
    let new = unsafe { sys::llam_accept(fd, std::ptr::null_mut(), std::ptr::null_mut()) };
    if new == sys::LLAM_INVALID_FD {
        return Err(io::Error::last_os_error());
    }
    Ok(new)
}

/// [`accept`] with the peer's address.
///
/// # Errors
///
/// As [`accept`].
#[cfg(unix)]
pub fn accept_with_addr(fd: Fd) -> io::Result<AcceptedFd> {
    within_scope(fd, READABLE)?;
    // SAFETY: the closure fills the address as `accept(2)` does, or fails.
    let (fd, address) = unsafe {
        socket2::SockAddr::try_init(|storage, length| {
            // SAFETY: storage and length are valid and belong together.
            match sys::llam_accept(fd, storage.cast(), length) {
                sys::LLAM_INVALID_FD => Err(io::Error::last_os_error()),
                new => Ok(new),
            }
        })?
    };
    Ok(AcceptedFd {
        fd,
        addr: address.as_socket(),
    })
}

/// Connects a socket.
///
/// # Errors
///
/// Those of `connect(2)`; in a task never `EINPROGRESS`; `ECANCELED`; `ETIMEDOUT`. After the last two
/// the socket is in an unspecified state: close it.
///
/// # Safety
///
/// `address` is null or valid for `length` bytes.
#[cfg(unix)]
pub unsafe fn connect_raw(
    fd: Fd,
    address: *const libc::sockaddr,
    length: libc::socklen_t,
) -> Result<()> {
    // SAFETY: the caller's promise.
    check(unsafe { sys::llam_connect(fd, address, length) })
}
