//! Vectored writes, datagrams and closing (`abi.md` 4.14).

use core::ffi::{c_int, c_void};

use libc::{sockaddr, socklen_t, ssize_t};

use super::{failed, is_in_task, last_errno};
use crate::*;

/// Most bytes that a vectored write gathers into one.
const GATHER_LIMIT: usize = 256 * 1024;

/// Stand-in for 4.14: the slices are gathered into one write of up to 256 KiB.
///
/// # Safety
///
/// `iov` is null or points to `iovcnt` slices that are readable.
#[cfg(llam_lacks = "llam_writev")]
pub unsafe fn llam_writev(fd: llam_fd_t, iov: *const llam_iovec_t, iovcnt: c_int) -> ssize_t {
    let count = match usize::try_from(iovcnt) {
        Ok(count) if count <= libc::UIO_MAXIOV as usize => count,
        _ => return failed(libc::EINVAL) as ssize_t,
    };
    if count == 0 {
        return 0;
    }
    if iov.is_null() {
        return failed(libc::EINVAL) as ssize_t;
    }
    // SAFETY: the caller promises that many slices.
    let slices = unsafe { core::slice::from_raw_parts(iov, count) };
    let mut full = slices.iter().filter(|slice| slice.iov_len != 0);
    let (first, second) = (full.next(), full.next());
    if let (Some(one), None) = (first, second) {
        // SAFETY: the caller promises that the slice is readable.
        return unsafe { llam_write(fd, one.iov_base, one.iov_len) };
    }
    let mut gathered = Vec::new();
    for slice in slices.iter().filter(|slice| slice.iov_len != 0) {
        if slice.iov_base.is_null() {
            return failed(libc::EFAULT) as ssize_t;
        }
        let room = GATHER_LIMIT - gathered.len();
        // SAFETY: not null, so the caller promises that the slice is readable.
        let bytes =
            unsafe { core::slice::from_raw_parts(slice.iov_base.cast::<u8>(), slice.iov_len) };
        gathered.extend_from_slice(&bytes[..slice.iov_len.min(room)]);
    }
    // SAFETY: the vector is valid for its length.
    unsafe { llam_write(fd, gathered.as_ptr().cast(), gathered.len()) }
}

/// Stand-in for 4.14: `close(2)`; the library is not told.
///
/// # Safety
///
/// The descriptor is the caller's to close.
#[cfg(llam_lacks = "llam_close")]
pub unsafe fn llam_close(fd: llam_fd_t) -> c_int {
    // SAFETY: the caller's descriptor, by its promise.
    unsafe { libc::close(fd) }
}

/// Stand-in for 4.14: `close(2)`; the library is not told.
///
/// # Safety
///
/// The descriptor is the caller's to close.
#[cfg(llam_lacks = "llam_close_handle")]
pub unsafe fn llam_close_handle(handle: llam_handle_t) -> c_int {
    // SAFETY: the caller's descriptor, by its promise.
    unsafe { libc::close(handle) }
}

/// Makes a call that does not block until it does something else than `EAGAIN` and `EINTR`; in
/// between the task waits for `events`.
fn patiently(fd: llam_fd_t, events: i16, mut call: impl FnMut() -> ssize_t) -> ssize_t {
    loop {
        let count = call();
        if count >= 0 {
            return count;
        }
        match last_errno() {
            libc::EINTR => {}
            libc::EAGAIN => {
                // SAFETY: no events are asked back.
                if unsafe { llam_poll_fd(fd, events, -1, core::ptr::null_mut()) } < 0 {
                    return -1;
                }
            }
            _ => return -1,
        }
    }
}

/// Stand-in for 4.14.
///
/// # Safety
///
/// `buf` is null or writable for `count` bytes; `src_addr` and `addrlen` as for `recvfrom(2)`.
#[cfg(llam_lacks = "llam_recvfrom")]
pub unsafe fn llam_recvfrom(
    fd: llam_fd_t,
    buf: *mut c_void,
    count: usize,
    flags: c_int,
    src_addr: *mut sockaddr,
    addrlen: *mut socklen_t,
) -> ssize_t {
    if src_addr.is_null() != addrlen.is_null() || buf.is_null() && count > 0 {
        return failed(libc::EINVAL) as ssize_t;
    }
    if !is_in_task() {
        // SAFETY: the caller's memory, by its promise.
        return unsafe { libc::recvfrom(fd, buf, count, flags, src_addr, addrlen) };
    }
    patiently(fd, libc::POLLIN, || {
        let flags = flags | libc::MSG_DONTWAIT;
        // SAFETY: the caller's memory, by its promise.
        unsafe { libc::recvfrom(fd, buf, count, flags, src_addr, addrlen) }
    })
}

/// Stand-in for 4.14.
///
/// # Safety
///
/// `buf` is null or readable for `count` bytes; `dst_addr` is null or readable for `addrlen` bytes.
#[cfg(llam_lacks = "llam_sendto")]
pub unsafe fn llam_sendto(
    fd: llam_fd_t,
    buf: *const c_void,
    count: usize,
    flags: c_int,
    dst_addr: *const sockaddr,
    addrlen: socklen_t,
) -> ssize_t {
    if buf.is_null() && count > 0 || dst_addr.is_null() && addrlen != 0 {
        return failed(libc::EINVAL) as ssize_t;
    }
    if !is_in_task() {
        // SAFETY: the caller's memory, by its promise.
        return unsafe { libc::sendto(fd, buf, count, flags, dst_addr, addrlen) };
    }
    patiently(fd, libc::POLLOUT, || {
        let flags = flags | libc::MSG_DONTWAIT;
        // SAFETY: the caller's memory, by its promise.
        unsafe { libc::sendto(fd, buf, count, flags, dst_addr, addrlen) }
    })
}
