//! Owned buffers beyond `llam_read_owned` and `llam_recv_owned` (`abi.md` 4.16).
//!
//! The buffers of a library are its own: none can be made from outside, so these fail with
//! `ENOTSUP` after the checks of their pointers.

use core::ffi::c_int;

#[cfg(unix)]
use libc::{sockaddr, socklen_t, ssize_t};

use super::{failed, set_errno};
#[cfg(not(unix))]
use crate::foreign::{sockaddr, socklen_t, ssize_t};
use crate::*;

/// Clears `*out` and returns the errno to fail with.
///
/// # Safety
///
/// `out` is null or writable.
unsafe fn refused(out: *mut *mut llam_io_buffer_t) -> c_int {
    if out.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: not null, so the caller promises that it is writable.
    unsafe { *out = core::ptr::null_mut() };
    failed(libc::ENOTSUP)
}

/// Stand-in for 4.16: `ENOTSUP`.
///
/// # Safety
///
/// `out` is null or writable.
#[cfg(llam_lacks = "llam_recvfrom_owned")]
pub unsafe fn llam_recvfrom_owned(
    _fd: llam_fd_t,
    _max_count: usize,
    _flags: c_int,
    _src_addr: *mut sockaddr,
    _addrlen: *mut socklen_t,
    out: *mut *mut llam_io_buffer_t,
) -> ssize_t {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { refused(out) as ssize_t }
}

/// Stand-in for 4.16: `ENOTSUP`.
///
/// # Safety
///
/// `out` is null or writable.
#[cfg(llam_lacks = "llam_pread_owned_aligned")]
pub unsafe fn llam_pread_owned_aligned(
    _fd: llam_fd_t,
    _max_count: usize,
    _offset: u64,
    _alignment: usize,
    out: *mut *mut llam_io_buffer_t,
) -> ssize_t {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { refused(out) as ssize_t }
}

/// Stand-in for 4.16: `ENOTSUP`.
///
/// # Safety
///
/// `out` is null or writable.
#[cfg(llam_lacks = "llam_pread_handle_owned_aligned")]
pub unsafe fn llam_pread_handle_owned_aligned(
    _handle: llam_handle_t,
    _max_count: usize,
    _offset: u64,
    _alignment: usize,
    out: *mut *mut llam_io_buffer_t,
) -> ssize_t {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { refused(out) as ssize_t }
}

/// Stand-in for 4.16: all zero, as the original.
///
/// # Safety
///
/// `opts` is null or writable for `opts_size` bytes.
#[cfg(llam_lacks = "llam_io_buffer_opts_init")]
pub unsafe fn llam_io_buffer_opts_init(
    opts: *mut llam_io_buffer_opts_t,
    opts_size: usize,
) -> c_int {
    if opts.is_null() || opts_size == 0 {
        return failed(libc::EINVAL);
    }
    let size = opts_size.min(size_of::<llam_io_buffer_opts_t>());
    // SAFETY: the caller promises `opts_size` writable bytes.
    unsafe { core::ptr::write_bytes(opts.cast::<u8>(), 0, size) };
    0
}

/// Stand-in for 4.16: `ENOTSUP`.
///
/// # Safety
///
/// `out` is null or writable.
#[cfg(llam_lacks = "llam_io_buffer_alloc_ex")]
pub unsafe fn llam_io_buffer_alloc_ex(
    _opts: *const llam_io_buffer_opts_t,
    _opts_size: usize,
    out: *mut *mut llam_io_buffer_t,
) -> c_int {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { refused(out) }
}

/// Stand-in for 4.16: `ENOTSUP`.
///
/// # Safety
///
/// `out` is null or writable.
#[cfg(llam_lacks = "llam_io_buffer_alloc")]
pub unsafe fn llam_io_buffer_alloc(_capacity: usize, out: *mut *mut llam_io_buffer_t) -> c_int {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { refused(out) }
}

/// Stand-in for 4.16: `ENOTSUP`.
///
/// # Safety
///
/// `out` is null or writable.
#[cfg(llam_lacks = "llam_io_buffer_alloc_aligned")]
pub unsafe fn llam_io_buffer_alloc_aligned(
    _capacity: usize,
    _alignment: usize,
    out: *mut *mut llam_io_buffer_t,
) -> c_int {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { refused(out) }
}

/// Stand-in for 4.16: 0 with `ENOTSUP`, for NULL with `EINVAL`.
///
/// # Safety
///
/// None: the buffer is not looked at.
#[cfg(llam_lacks = "llam_io_buffer_alignment")]
pub unsafe fn llam_io_buffer_alignment(buffer: *const llam_io_buffer_t) -> usize {
    set_errno(if buffer.is_null() {
        libc::EINVAL
    } else {
        libc::ENOTSUP
    });
    0
}
