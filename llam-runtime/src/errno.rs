//! `errno` of the calling OS thread. The park path carries it along with the task.

/// An error number, as `abi.md` names them.
pub(crate) type Errno = i32;

/// Result of engine operations: the error is the `errno` the ABI reports.
pub(crate) type Result<T> = std::result::Result<T, Errno>;

#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
use libc::__errno as location;
#[cfg(any(target_os = "linux", target_os = "dragonfly"))]
use libc::__errno_location as location;
#[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
use libc::__error as location;

/// Where the calling thread keeps its `errno`. Not to be kept over a park, but by a worker's loop.
#[inline]
pub(crate) fn place() -> *mut Errno {
    // SAFETY: libc returns the valid address of the calling thread's errno.
    unsafe { location() }
}

/// Reads `errno`. Never cached: the address is asked for each time.
#[inline]
pub(crate) fn load() -> Errno {
    // SAFETY: libc returns the valid address of the calling thread's errno.
    unsafe { *location() }
}

/// Writes `errno`.
#[inline]
pub(crate) fn store(value: Errno) {
    // SAFETY: as above.
    unsafe { *location() = value };
}

/// Turns the return value of a system call into a result.
#[inline]
pub(crate) fn check(value: isize) -> Result<usize> {
    if value < 0 {
        Err(load())
    } else {
        Ok(value as usize)
    }
}

/// Keeps `errno` as it was, whatever `body` does to it.
#[inline]
pub(crate) fn preserve<T>(body: impl FnOnce() -> T) -> T {
    let saved = load();
    let value = body();
    store(saved);
    value
}

/// 0 with `errno` as it was, or -1 with `errno` set (R8).
#[inline]
pub(crate) fn preserve_on_success(body: impl FnOnce() -> Result<()>) -> i32 {
    let saved = load();
    match body() {
        Ok(()) => {
            store(saved);
            0
        }
        Err(error) => {
            store(error);
            -1
        }
    }
}
