//! The crate's error: an errno with its text.
//!
//! Owns [`Error`] and its conversions. Invariant: every error has an errno, also one that was made
//! from an `io::Error` without one. Used by every module; I/O modules return `io::Error` instead,
//! where the standard traits ask for it.

use std::fmt;
use std::io;

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// A failed call of the runtime: the errno of `abi.md` and its text.
///
/// `Display` is `<text of the system> (errno=<number>)`, and `source()` is the [`io::Error`].
///
/// ```
/// let error = llam::Error::from_errno(libc::EPIPE);
/// assert!(error.is_closed());
/// assert_eq!(error.to_string(), format!("Broken pipe (errno={})", libc::EPIPE));
/// ```
#[derive(Debug)]
pub struct Error {
    source: io::Error,
}

impl Error {
    /// The calling task's (or thread's) current `errno`.
    ///
    /// Meaningful straight after a call that failed.
    #[must_use]
    pub fn last() -> Self {
        Self {
            source: io::Error::last_os_error(),
        }
    }

    /// The error of the given errno.
    #[must_use]
    pub fn from_errno(errno: i32) -> Self {
        Self {
            source: io::Error::from_raw_os_error(errno),
        }
    }

    /// The errno. An error that was made from an [`io::Error`] without one has the errno that fits
    /// its kind, else `EIO`.
    #[must_use]
    pub fn errno(&self) -> i32 {
        self.source
            .raw_os_error()
            .unwrap_or_else(|| errno_of_kind(self.source.kind()))
    }

    /// Whether a deadline passed: `ETIMEDOUT`.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        self.errno() == libc::ETIMEDOUT
    }

    /// Whether the other side is gone: `EPIPE`, what a closed channel says.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.errno() == libc::EPIPE
    }

    /// Whether the task was cancelled or its runtime is stopping: `ECANCELED`.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.errno() == libc::ECANCELED
    }

    /// Whether a call that does not wait found nothing to do: `EAGAIN`.
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        self.errno() == libc::EAGAIN
    }

    /// The same error for interfaces of the standard library.
    #[must_use]
    pub fn into_io_error(self) -> io::Error {
        self.source
    }
}

/// The errno that stands for an error kind, for errors that have no errno of their own.
fn errno_of_kind(kind: io::ErrorKind) -> i32 {
    use io::ErrorKind as Kind;
    match kind {
        Kind::NotFound => libc::ENOENT,
        Kind::PermissionDenied => libc::EACCES,
        Kind::ConnectionRefused => libc::ECONNREFUSED,
        Kind::ConnectionReset => libc::ECONNRESET,
        Kind::ConnectionAborted => libc::ECONNABORTED,
        Kind::NotConnected => libc::ENOTCONN,
        Kind::AddrInUse => libc::EADDRINUSE,
        Kind::AddrNotAvailable => libc::EADDRNOTAVAIL,
        Kind::BrokenPipe | Kind::UnexpectedEof => libc::EPIPE,
        Kind::AlreadyExists => libc::EEXIST,
        Kind::WouldBlock => libc::EAGAIN,
        Kind::InvalidInput | Kind::InvalidData => libc::EINVAL,
        Kind::TimedOut => libc::ETIMEDOUT,
        Kind::Interrupted => libc::EINTR,
        Kind::Unsupported => libc::ENOTSUP,
        Kind::OutOfMemory => libc::ENOMEM,
        _ => libc::EIO,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.source.to_string();
        // The standard library ends the text of an errno with this; the errno is said once.
        let suffix = format!(" (os error {})", self.errno());
        let text = text.strip_suffix(&suffix).unwrap_or(&text);
        write!(f, "{text} (errno={})", self.errno())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self { source }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        error.source
    }
}

/// `Ok` when the call returned 0, else the current errno. For calls of type `int`.
#[inline]
pub(crate) fn check(status: std::ffi::c_int) -> Result<()> {
    if status == 0 {
        Ok(())
    } else {
        Err(Error::last())
    }
}

/// The count of a transfer, or the current errno. For calls of type `ssize_t`.
#[inline]
pub(crate) fn check_count(count: isize) -> io::Result<usize> {
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_says_the_errno_once() {
        let error = Error::from_errno(libc::ECONNREFUSED);
        assert_eq!(
            error.to_string(),
            format!("Connection refused (errno={})", libc::ECONNREFUSED)
        );
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn an_io_error_without_errno_gets_the_one_of_its_kind() {
        let error = Error::from(io::Error::new(io::ErrorKind::TimedOut, "late"));
        assert_eq!(error.errno(), libc::ETIMEDOUT);
        assert_eq!(
            error.to_string(),
            format!("late (errno={})", libc::ETIMEDOUT)
        );
        assert_eq!(
            Error::from(io::Error::other("odd")).errno(),
            libc::EIO,
            "unknown kinds are EIO"
        );
        assert_eq!(error.into_io_error().kind(), io::ErrorKind::TimedOut);
    }
}
