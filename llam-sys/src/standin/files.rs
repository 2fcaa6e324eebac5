//! Positional I/O, names, opening and `stat` (`abi.md` 4.15, 4.17), over the blocking pool.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use libc::{addrinfo, ssize_t};

use super::{failed, last_errno, offload};
use crate::*;

/// The offset as the system takes it.
fn checked_offset(offset: u64) -> Result<libc::off_t, c_int> {
    libc::off_t::try_from(offset).map_err(|_| libc::EOVERFLOW)
}

/// The result of a system call, or its errno.
fn outcome(count: ssize_t) -> Result<ssize_t, c_int> {
    if count < 0 {
        Err(last_errno())
    } else {
        Ok(count)
    }
}

/// What the four positional calls have in common: checks, the pool, the errno.
fn positional(
    buf: *const c_void,
    count: usize,
    offset: u64,
    call: impl FnOnce(libc::off_t) -> ssize_t,
) -> ssize_t {
    let result = (|| {
        if buf.is_null() && count > 0 || u32::try_from(count).is_err() {
            return Err(libc::EINVAL);
        }
        let offset = checked_offset(offset)?;
        offload(|| outcome(call(offset)))?
    })();
    result.unwrap_or_else(|code| failed(code) as ssize_t)
}

/// The same for the vectored ones.
///
/// # Safety
///
/// `iov` is null or points to `iovcnt` slices.
unsafe fn positional_vector(
    iov: *const libc::iovec,
    iovcnt: c_int,
    offset: u64,
    call: impl FnOnce(libc::off_t) -> ssize_t,
) -> ssize_t {
    let result = (|| {
        let slices = usize::try_from(iovcnt).map_err(|_| libc::EINVAL)?;
        if slices > libc::UIO_MAXIOV as usize {
            return Err(libc::EINVAL);
        }
        if slices == 0 {
            return Ok(0);
        }
        if iov.is_null() {
            return Err(libc::EINVAL);
        }
        // SAFETY: the caller promises that many slices.
        let slices = unsafe { core::slice::from_raw_parts(iov, slices) };
        let mut sum = 0_usize;
        for slice in slices {
            sum = sum.checked_add(slice.iov_len).ok_or(libc::EINVAL)?;
            if slice.iov_base.is_null() && slice.iov_len > 0 || sum > isize::MAX as usize {
                return Err(libc::EINVAL);
            }
        }
        let offset = checked_offset(offset)?;
        offload(|| outcome(call(offset)))?
    })();
    result.unwrap_or_else(|code| failed(code) as ssize_t)
}

/// Stand-in for 4.15.
///
/// # Safety
///
/// `buf` is null or writable for `count` bytes.
#[cfg(llam_lacks = "llam_pread")]
pub unsafe fn llam_pread(fd: llam_fd_t, buf: *mut c_void, count: usize, offset: u64) -> ssize_t {
    positional(buf, count, offset, |offset| {
        // SAFETY: the caller's memory, by its promise; it waits until the pool is done.
        unsafe { libc::pread(fd, buf, count, offset) }
    })
}

/// Stand-in for 4.15.
///
/// # Safety
///
/// `buf` is null or readable for `count` bytes.
#[cfg(llam_lacks = "llam_pwrite")]
pub unsafe fn llam_pwrite(fd: llam_fd_t, buf: *const c_void, count: usize, offset: u64) -> ssize_t {
    positional(buf, count, offset, |offset| {
        // SAFETY: the caller's memory, by its promise; it waits until the pool is done.
        unsafe { libc::pwrite(fd, buf, count, offset) }
    })
}

/// Stand-in for 4.15.
///
/// # Safety
///
/// `iov` is null or points to `iovcnt` slices that are writable.
#[cfg(llam_lacks = "llam_preadv")]
pub unsafe fn llam_preadv(
    fd: llam_fd_t,
    iov: *const llam_mut_iovec_t,
    iovcnt: c_int,
    offset: u64,
) -> ssize_t {
    let iov = iov.cast::<libc::iovec>();
    // SAFETY: the caller's memory, by its promise; it waits until the pool is done.
    unsafe { positional_vector(iov, iovcnt, offset, |at| libc::preadv(fd, iov, iovcnt, at)) }
}

/// Stand-in for 4.15.
///
/// # Safety
///
/// `iov` is null or points to `iovcnt` slices that are readable.
#[cfg(llam_lacks = "llam_pwritev")]
pub unsafe fn llam_pwritev(
    fd: llam_fd_t,
    iov: *const llam_iovec_t,
    iovcnt: c_int,
    offset: u64,
) -> ssize_t {
    let iov = iov.cast::<libc::iovec>();
    // SAFETY: the caller's memory, by its promise; it waits until the pool is done.
    unsafe { positional_vector(iov, iovcnt, offset, |at| libc::pwritev(fd, iov, iovcnt, at)) }
}

/// Stand-in for 4.15.
///
/// # Safety
///
/// As [`llam_pread`].
#[cfg(llam_lacks = "llam_pread_handle")]
pub unsafe fn llam_pread_handle(
    handle: llam_handle_t,
    buf: *mut c_void,
    count: usize,
    offset: u64,
) -> ssize_t {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { llam_pread(handle, buf, count, offset) }
}

/// Stand-in for 4.15.
///
/// # Safety
///
/// As [`llam_pwrite`].
#[cfg(llam_lacks = "llam_pwrite_handle")]
pub unsafe fn llam_pwrite_handle(
    handle: llam_handle_t,
    buf: *const c_void,
    count: usize,
    offset: u64,
) -> ssize_t {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { llam_pwrite(handle, buf, count, offset) }
}

/// Stand-in for 4.15.
///
/// # Safety
///
/// As [`llam_preadv`].
#[cfg(llam_lacks = "llam_preadv_handle")]
pub unsafe fn llam_preadv_handle(
    handle: llam_handle_t,
    iov: *const llam_mut_iovec_t,
    iovcnt: c_int,
    offset: u64,
) -> ssize_t {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { llam_preadv(handle, iov, iovcnt, offset) }
}

/// Stand-in for 4.15.
///
/// # Safety
///
/// As [`llam_pwritev`].
#[cfg(llam_lacks = "llam_pwritev_handle")]
pub unsafe fn llam_pwritev_handle(
    handle: llam_handle_t,
    iov: *const llam_iovec_t,
    iovcnt: c_int,
    offset: u64,
) -> ssize_t {
    // SAFETY: passed on; the caller keeps the promise.
    unsafe { llam_pwritev(handle, iov, iovcnt, offset) }
}

/// Stand-in for 4.17.
///
/// # Safety
///
/// The strings are null or end in a zero byte, `hints` is null or valid, the outputs are null or
/// writable.
#[cfg(llam_lacks = "llam_getaddrinfo_result")]
pub unsafe fn llam_getaddrinfo_result(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    out: *mut *mut addrinfo,
    gai_error: *mut c_int,
) -> c_int {
    if out.is_null() || gai_error.is_null() || node.is_null() && service.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: neither is null, so the caller promises that both are writable.
    unsafe {
        *out = ptr::null_mut();
        *gai_error = 0;
    }
    let mut list = ptr::null_mut();
    let asked = offload(|| {
        // SAFETY: the caller's strings and hints, by its promise; `list` is a local that outlives
        // the call.
        unsafe { libc::getaddrinfo(node, service, hints, &raw mut list) }
    });
    match asked {
        Ok(verdict) => {
            // SAFETY: as above.
            unsafe {
                *gai_error = verdict;
                *out = if verdict == 0 { list } else { ptr::null_mut() };
            }
            0
        }
        Err(code) => {
            if !list.is_null() {
                // SAFETY: the resolver made the list, and nobody else has it.
                unsafe { libc::freeaddrinfo(list) };
            }
            failed(code)
        }
    }
}

/// Stand-in for 4.17.
///
/// # Safety
///
/// `result` is null or a list of [`llam_getaddrinfo_result`], not freed before.
#[cfg(llam_lacks = "llam_freeaddrinfo_result")]
pub unsafe fn llam_freeaddrinfo_result(result: *mut addrinfo) {
    if !result.is_null() {
        // SAFETY: the caller's list, by its promise.
        unsafe { libc::freeaddrinfo(result) };
    }
}

/// Stand-in for 4.17.
///
/// # Safety
///
/// `path` is null or ends in a zero byte; `out` is null or writable.
#[cfg(llam_lacks = "llam_open_async")]
pub unsafe fn llam_open_async(
    path: *const c_char,
    flags: c_int,
    mode: u32,
    out: *mut llam_handle_t,
) -> c_int {
    if path.is_null() || out.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: not null, so the caller promises that it is writable.
    unsafe { *out = LLAM_INVALID_HANDLE };
    let mut opened = -1;
    let result = offload(|| {
        // SAFETY: the caller's path, by its promise.
        opened = unsafe { libc::open(path, flags, mode) };
        outcome(opened as ssize_t)
    });
    match result {
        Ok(Ok(_)) => {
            // SAFETY: as above.
            unsafe { *out = opened };
            0
        }
        Ok(Err(code)) => failed(code),
        Err(code) => {
            if opened >= 0 {
                // SAFETY: opened just now, and nobody else has it.
                unsafe { libc::close(opened) };
            }
            failed(code)
        }
    }
}

/// Nanoseconds since 1970: 0 for times before, `u64::MAX` for those too late.
fn nanoseconds(seconds: i64, fraction: i64) -> u64 {
    match (u64::try_from(seconds), u64::try_from(fraction)) {
        (Ok(seconds), Ok(fraction)) => seconds
            .checked_mul(1_000_000_000)
            .and_then(|whole| whole.checked_add(fraction))
            .unwrap_or(u64::MAX),
        _ => 0,
    }
}

/// Stand-in for 4.17.
///
/// # Safety
///
/// `path` is null or ends in a zero byte; `out` is null or writable for `out_size` bytes.
#[cfg(llam_lacks = "llam_stat_path_ex")]
pub unsafe fn llam_stat_path_ex(
    path: *const c_char,
    out: *mut llam_file_stat_t,
    out_size: usize,
) -> c_int {
    if path.is_null() || out.is_null() || out_size == 0 {
        return failed(libc::EINVAL);
    }
    let size = out_size.min(size_of::<llam_file_stat_t>());
    // SAFETY: the caller promises `out_size` writable bytes.
    unsafe { ptr::write_bytes(out.cast::<u8>(), 0, size) };
    let result = offload(|| {
        // SAFETY: all-zero is a valid value of this plain struct.
        let mut info: libc::stat = unsafe { core::mem::zeroed() };
        // SAFETY: the caller's path, by its promise; `info` is a local.
        outcome(unsafe { libc::stat(path, &raw mut info) } as ssize_t).map(|_| info)
    });
    let info = match result {
        Ok(Ok(info)) => info,
        Ok(Err(code)) | Err(code) => return failed(code),
    };
    let told = llam_file_stat_t {
        size: u64::try_from(info.st_size).unwrap_or(0),
        mtime_ns: nanoseconds(info.st_mtime, info.st_mtime_nsec),
        atime_ns: nanoseconds(info.st_atime, info.st_atime_nsec),
        ctime_ns: nanoseconds(info.st_ctime, info.st_ctime_nsec),
        mode: info.st_mode,
        type_: match info.st_mode & libc::S_IFMT {
            libc::S_IFREG => LLAM_FILE_TYPE_REGULAR,
            libc::S_IFDIR => LLAM_FILE_TYPE_DIRECTORY,
            _ => LLAM_FILE_TYPE_OTHER,
        },
        reserved0: 0,
    };
    // SAFETY: the caller promises `out_size` writable bytes; the struct has no padding.
    unsafe {
        ptr::copy_nonoverlapping((&raw const told).cast::<u8>(), out.cast::<u8>(), size);
    }
    0
}
