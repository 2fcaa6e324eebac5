//! The bell: how one thread wakes another that waits in its driver.
//!
//! One descriptor per worker, made once; both drivers watch it. Linux has `eventfd` for
//! this, other systems a pipe that never blocks.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

#[derive(Debug)]
pub(crate) struct Bell {
    watched: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    rung: OwnedFd,
}

#[cfg(target_os = "linux")]
impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no preconditions; the result is checked.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else owns.
        let watched = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { watched })
    }

    /// Makes the watched descriptor readable.
    pub(crate) fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // A full counter (EAGAIN) is readable, which is all that is wanted.
        // SAFETY: writes eight initialised bytes.
        unsafe { libc::write(self.watched.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }
}

#[cfg(not(target_os = "linux"))]
impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: `ends` has room for two descriptors.
        if unsafe { libc::pipe(ends.as_mut_ptr()) } < 0 {
            return Err(io::Error::last_os_error());
        }
        for end in ends {
            // SAFETY: new descriptors of this function's own.
            unsafe {
                libc::fcntl(end, libc::F_SETFL, libc::O_NONBLOCK);
                libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC);
            }
        }
        // SAFETY: nobody else owns them.
        let [watched, rung] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        Ok(Self { watched, rung })
    }

    /// Makes the watched descriptor readable.
    pub(crate) fn ring(&self) {
        // A full pipe (EAGAIN) is readable, which is all that is wanted.
        // SAFETY: writes one initialised byte.
        unsafe { libc::write(self.rung.as_raw_fd(), [1u8].as_ptr().cast(), 1) };
    }
}

impl Bell {
    /// The descriptor a driver watches for readability.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.watched.as_raw_fd()
    }

    /// Takes back what was rung, after the driver has seen it.
    pub(crate) fn silence(descriptor: RawFd) {
        let mut sink = [0u8; 64];
        // SAFETY: reads into a buffer of this function's own; never blocks.
        unsafe { libc::read(descriptor, sink.as_mut_ptr().cast(), sink.len()) };
    }
}
