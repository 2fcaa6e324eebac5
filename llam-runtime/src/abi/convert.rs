//! From results to return values and `errno`, and the size handshake (`abi.md` 1.3, 1.4).

use core::ffi::{c_int, c_void};

use crate::errno::{self, Errno, Result};

/// -1 with `errno` set.
#[cold]
pub(crate) fn failed(error: Errno) -> c_int {
    errno::store(error);
    -1
}

/// 0, or -1 with `errno` set. Also for calls that leave `errno` alone when they succeed (R8) and need not
/// be helped: those that make no system call then, or restore it. A park carries it along.
#[inline(always)]
pub(crate) fn status(outcome: Result<()>) -> c_int {
    match outcome {
        Ok(()) => 0,
        Err(error) => failed(error),
    }
}

/// As `status` for calls that leave `errno` alone when they succeed (R8).
#[inline]
pub(crate) fn quiet_status(body: impl FnOnce() -> Result<()>) -> c_int {
    errno::preserve_on_success(body)
}

/// A byte count, or -1 with `errno` set.
#[inline]
pub(crate) fn count(outcome: Result<usize>) -> isize {
    match outcome {
        Ok(count) => count as isize,
        Err(error) => {
            errno::store(error);
            -1
        }
    }
}

/// A handle, or NULL with `errno` set.
#[inline]
pub(crate) fn handle_or_errno(outcome: Result<*mut c_void>) -> *mut c_void {
    match outcome {
        Ok(handle) => handle,
        Err(error) => {
            errno::store(error);
            std::ptr::null_mut()
        }
    }
}

/// As `handle_or_errno` for calls that leave `errno` alone when they succeed (R8).
#[inline]
pub(crate) fn quiet_handle(body: impl FnOnce() -> Result<*mut c_void>) -> *mut c_void {
    let saved = errno::load();
    let made = body();
    if made.is_ok() {
        errno::store(saved);
    }
    handle_or_errno(made)
}

/// A descriptor, or -1 with `errno` set.
pub(crate) fn fd_or_errno(outcome: Result<c_int>) -> c_int {
    outcome.unwrap_or_else(failed)
}

/// Writes the first `size` bytes of a library struct into the caller's (1.3): never more
/// than the library's own, never behind it.
///
/// # Safety
/// `target` is null or writable for `size` bytes.
pub(crate) unsafe fn write_prefix<T>(target: *mut T, size: usize, value: &T) -> Result<()> {
    if target.is_null() || size == 0 {
        return Err(libc::EINVAL);
    }
    // SAFETY: by the caller's promise, and at most `size_of::<T>()` bytes are read.
    unsafe {
        std::ptr::copy_nonoverlapping(
            std::ptr::from_ref(value).cast::<u8>(),
            target.cast::<u8>(),
            size.min(size_of::<T>()),
        );
    }
    Ok(())
}

/// Reads the fields that lie wholly inside the first `size` bytes of a caller's struct (1.4).
/// Every other field keeps the value it has in `defaults`.
///
/// # Safety
/// `source` is readable for `size` bytes. `T` is plain data: any bytes are a valid value.
pub(crate) unsafe fn read_prefix<T: Copy>(
    source: *const T,
    size: usize,
    defaults: T,
    field_ends: &[usize],
) -> T {
    let whole = field_ends
        .iter()
        .copied()
        .filter(|&end| end <= size)
        .max()
        .unwrap_or(0);
    let mut value = defaults;
    // SAFETY: `whole` is at most `size` and at most the struct's own size.
    unsafe {
        std::ptr::copy_nonoverlapping(
            source.cast::<u8>(),
            std::ptr::from_mut(&mut value).cast::<u8>(),
            whole,
        );
    }
    value
}
