//! One socket: descriptor, timeouts, and every system call on it.
//!
//! Owns [`Socket`], from which the public types are made. Invariants: the descriptor is closed through
//! the engine (`llam_close`), which forgets what it knows about the number; nobody closes it while a
//! call is on it, because calls borrow the socket.
//!
//! Where a call waits:
//!
//! ```text
//!   in a task                      the engine parks it; a timeout is a park deadline around the call
//!   on a host thread               the system call; EAGAIN of a non-blocking descriptor: poll, again
//!   engine without park deadline   with a timeout: poll first, then the call
//! ```

use std::ffi::c_void;
use std::io::{self, IoSlice};
use std::mem::ManuallyDrop;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Type};

use crate::error::check_count;
use crate::io::{READABLE, WRITABLE, wait_ready};
use crate::sys;
use crate::task;
use crate::time::{self, DeadlineScope};

/// A socket of any family.
#[derive(Debug)]
pub(super) struct Socket {
    /// Closed through the engine, never by its own drop.
    fd: ManuallyDrop<OwnedFd>,
    /// Nanoseconds; 0 means none.
    read_timeout: AtomicU64,
    write_timeout: AtomicU64,
}

impl Socket {
    /// Takes over a descriptor in whatever mode it is.
    pub(super) fn adopt(fd: OwnedFd) -> Self {
        sys::ext::adopt_descriptor(fd.as_raw_fd());
        Self::adopted(fd)
    }

    /// Takes over a descriptor that the engine has adopted: it is closed through the engine, or
    /// released first. `Drop` and `into_fd` keep that.
    fn adopted(fd: OwnedFd) -> Self {
        Self {
            fd: ManuallyDrop::new(fd),
            read_timeout: AtomicU64::new(0),
            write_timeout: AtomicU64::new(0),
        }
    }

    /// A new socket with close-on-exec, in the mode that the engine serves best.
    pub(super) fn new(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Self> {
        let socket = Self::adopt(socket2::Socket::new(domain, kind, protocol)?.into());
        socket.settle_mode()?;
        Ok(socket)
    }

    /// A connected pair of Unix sockets.
    pub(super) fn pair(kind: Type) -> io::Result<(Self, Self)> {
        let (one, other) = socket2::Socket::pair(Domain::UNIX, kind, None)?;
        let (one, other) = (Self::adopt(one.into()), Self::adopt(other.into()));
        one.settle_mode()?;
        other.settle_mode()?;
        Ok((one, other))
    }

    fn settle_mode(&self) -> io::Result<()> {
        if sys::ext::prefers_blocking_sockets() {
            return Ok(());
        }
        self.as_ref().set_nonblocking(true)
    }

    /// The descriptor for the standard library, whose sockets are blocking.
    pub(super) fn into_std_fd(self) -> OwnedFd {
        // It fails for no open socket.
        let _ = self.as_ref().set_nonblocking(false);
        self.into_fd()
    }

    /// The descriptor as it is.
    pub(super) fn into_fd(self) -> OwnedFd {
        let mut socket = ManuallyDrop::new(self);
        sys::ext::release_descriptor(socket.raw());
        // SAFETY: `socket` is not dropped, so the descriptor is taken once.
        unsafe { ManuallyDrop::take(&mut socket.fd) }
    }

    /// A second descriptor of the same socket, with the same timeouts.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        let clone = Self::adopt(self.fd.try_clone()?);
        for (to, from) in [
            (&clone.read_timeout, &self.read_timeout),
            (&clone.write_timeout, &self.write_timeout),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Ok(clone)
    }

    /// Options and addresses.
    pub(super) fn as_ref(&self) -> SockRef<'_> {
        SockRef::from(&*self.fd)
    }

    fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    pub(super) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        set_timeout(&self.read_timeout, timeout)
    }

    pub(super) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        set_timeout(&self.write_timeout, timeout)
    }

    pub(super) fn read_timeout(&self) -> Option<Duration> {
        timeout_of(&self.read_timeout)
    }

    pub(super) fn write_timeout(&self) -> Option<Duration> {
        timeout_of(&self.write_timeout)
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.as_ref().shutdown(how)
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reading(|fd| {
            // SAFETY: the slice is valid for its length and stays lent until the call returns.
            unsafe { sys::llam_read(fd, buffer.as_mut_ptr().cast::<c_void>(), buffer.len()) }
        })
    }

    pub(super) fn write(&self, buffer: &[u8]) -> io::Result<usize> {
        self.writing(|fd| {
            // SAFETY: the slice is valid for its length and stays lent until the call returns.
            unsafe { sys::llam_write(fd, buffer.as_ptr().cast::<c_void>(), buffer.len()) }
        })
    }

    pub(super) fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // More than this is `EINVAL`; a partial write is within the contract.
        let count = slices.len().min(libc::UIO_MAXIOV as usize) as i32;
        self.writing(|fd| {
            // SAFETY: on POSIX an `IoSlice` has the layout of `struct iovec`, and so has
            // `llam_iovec_t` (`abi.md` section 3); the slices stay lent until the call returns.
            unsafe { sys::llam_writev(fd, slices.as_ptr().cast::<sys::llam_iovec_t>(), count) }
        })
    }

    /// `recv(2)` with flags, without an address.
    pub(super) fn recv(&self, buffer: &mut [u8], flags: i32) -> io::Result<usize> {
        self.reading(|fd| {
            // SAFETY: the slice is valid for its length and stays lent until the call returns; no
            // address is asked for.
            unsafe {
                sys::llam_recvfrom(
                    fd,
                    buffer.as_mut_ptr().cast::<c_void>(),
                    buffer.len(),
                    flags,
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                )
            }
        })
    }

    pub(super) fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SockAddr)> {
        // SAFETY: the closure fills the address as `recvfrom(2)` does, or fails.
        unsafe {
            SockAddr::try_init(|storage, length| {
                self.reading(|fd| {
                    // SAFETY: the slice is valid for its length, storage and length belong together;
                    // all stay lent until the call returns.
                    sys::llam_recvfrom(
                        fd,
                        buffer.as_mut_ptr().cast::<c_void>(),
                        buffer.len(),
                        0,
                        storage.cast(),
                        length,
                    )
                })
            })
        }
    }

    /// `send(2)`, without SIGPIPE.
    pub(super) fn send(&self, buffer: &[u8]) -> io::Result<usize> {
        self.send_raw(buffer, std::ptr::null(), 0)
    }

    pub(super) fn send_to(&self, buffer: &[u8], address: &SockAddr) -> io::Result<usize> {
        self.send_raw(buffer, address.as_ptr().cast(), address.len())
    }

    fn send_raw(
        &self,
        buffer: &[u8],
        address: *const libc::sockaddr,
        length: libc::socklen_t,
    ) -> io::Result<usize> {
        self.writing(|fd| {
            // SAFETY: the slice is valid for its length, and the address, which a caller in this file
            // lends, for its own; both until the call returns.
            unsafe {
                sys::llam_sendto(
                    fd,
                    buffer.as_ptr().cast::<c_void>(),
                    buffer.len(),
                    NO_SIGNAL,
                    address,
                    length,
                )
            }
        })
    }

    /// Takes a connection, with close-on-exec.
    pub(super) fn accept(&self) -> io::Result<(Self, SockAddr)> {
        // SAFETY: the closure fills the address as `accept(2)` does, or fails.
        let (fd, address) = unsafe {
            SockAddr::try_init(|storage, length| {
                self.reading(|fd| {
                    // SAFETY: storage and length belong together and stay lent.
                    sys::ext::accept_cloexec(fd, storage.cast(), length) as isize
                })
            })?
        };
        // SAFETY: the call made this descriptor for its caller; descriptors are `int`s.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
        Ok((Self::adopted(fd), address))
    }

    /// Connects before `deadline_ns`.
    pub(super) fn connect(&self, address: &SockAddr, deadline_ns: u64) -> io::Result<()> {
        let deadline_ns = time::effective_deadline(deadline_ns);
        if task::is_inside() && (sys::ext::HAS_PARK_DEADLINE || deadline_ns == u64::MAX) {
            let _limit = DeadlineScope::enter(deadline_ns);
            // SAFETY: the address is valid for its length until the call returns.
            let status =
                unsafe { sys::llam_connect(self.raw(), address.as_ptr().cast(), address.len()) };
            return if status == 0 {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            };
        }
        if deadline_ns != u64::MAX {
            self.as_ref().set_nonblocking(true)?;
        }
        match self.as_ref().connect(address) {
            Err(error) if is_in_progress(&error) => {
                wait_ready(self.raw(), WRITABLE, deadline_ns)?;
                self.as_ref().take_error()?.map_or(Ok(()), Err)
            }
            done => done,
        }
    }

    /// A call that waits for input, and the descriptor of a new connection or the count.
    fn reading(&self, call: impl FnMut(RawFd) -> isize) -> io::Result<usize> {
        self.attempt(READABLE, &self.read_timeout, call)
    }

    fn writing(&self, call: impl FnMut(RawFd) -> isize) -> io::Result<usize> {
        self.attempt(WRITABLE, &self.write_timeout, call)
    }

    /// Makes the call, waiting as the table above says.
    #[inline]
    fn attempt(
        &self,
        events: i16,
        timeout: &AtomicU64,
        mut call: impl FnMut(RawFd) -> isize,
    ) -> io::Result<usize> {
        let timeout_ns = timeout.load(Ordering::Relaxed);
        let own_ns = if timeout_ns == 0 {
            u64::MAX
        } else {
            time::now_ns().saturating_add(timeout_ns)
        };
        let deadline_ns = time::effective_deadline(own_ns);
        let must_poll =
            deadline_ns != u64::MAX && !(sys::ext::HAS_PARK_DEADLINE && task::is_inside());
        let _limit = (!must_poll).then(|| DeadlineScope::enter(deadline_ns));
        if must_poll {
            wait_ready(self.raw(), events, deadline_ns)?;
        }
        loop {
            let done = check_count(call(self.raw()));
            match done {
                // On a host thread only: a task never sees it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_ready(self.raw(), events, deadline_ns)?;
                }
                done => return done,
            }
        }
    }
}

/// No SIGPIPE, where a flag can say so.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
const NO_SIGNAL: i32 = libc::MSG_NOSIGNAL;
/// No SIGPIPE, where a flag can say so.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
const NO_SIGNAL: i32 = 0;

fn is_in_progress(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINPROGRESS | libc::EINTR | libc::EALREADY)
    )
}

fn set_timeout(slot: &AtomicU64, timeout: Option<Duration>) -> io::Result<()> {
    if timeout.is_some_and(|timeout| timeout.is_zero()) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "cannot set a 0 duration timeout",
        ));
    }
    slot.store(timeout.map_or(0, time::saturating_ns), Ordering::Relaxed);
    Ok(())
}

fn timeout_of(slot: &AtomicU64) -> Option<Duration> {
    let timeout_ns = slot.load(Ordering::Relaxed);
    (timeout_ns != 0).then(|| Duration::from_nanos(timeout_ns))
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: the descriptor is this socket's, and its own drop never runs. Errors of a close are
        // ignored, as by the standard library.
        unsafe { sys::llam_close(self.raw()) };
    }
}

/// Implements what every public socket type has: conversions and access to the descriptor.
macro_rules! socket_type {
    ($type:ident, $std:ty) => {
        impl $type {
            /// Takes over a socket of the standard library and switches it to non-blocking mode.
            ///
            /// # Errors
            ///
            /// Those of `fcntl(2)`; none are expected.
            pub fn from_std(socket: $std) -> std::io::Result<Self> {
                socket.set_nonblocking(true)?;
                Ok(Self::from(std::os::fd::OwnedFd::from(socket)))
            }

            /// Gives the socket to the standard library, in blocking mode.
            #[must_use]
            pub fn into_std(self) -> $std {
                <$std>::from(self.socket.into_std_fd())
            }
        }

        impl std::os::fd::AsRawFd for $type {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsFd::as_fd(&self.socket).as_raw_fd()
            }
        }

        impl std::os::fd::AsFd for $type {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                std::os::fd::AsFd::as_fd(&self.socket)
            }
        }

        /// Takes the descriptor over in the mode it is in.
        impl From<std::os::fd::OwnedFd> for $type {
            fn from(fd: std::os::fd::OwnedFd) -> Self {
                Self {
                    socket: $crate::net::socket::Socket::adopt(fd),
                }
            }
        }

        /// Gives the descriptor up in the mode it is in.
        impl From<$type> for std::os::fd::OwnedFd {
            fn from(socket: $type) -> Self {
                socket.socket.into_fd()
            }
        }
    };
}

/// Implements timeouts as the standard library has them.
macro_rules! socket_timeouts {
    ($type:ident) => {
        impl $type {
            /// Limits every later read; `None`, the default, means no limit. In a task an earlier
            /// [`timeout`](fn@crate::time::timeout) around the read counts. A clone made before keeps
            /// its own limit.
            ///
            /// # Errors
            ///
            /// `InvalidInput` for a zero duration.
            pub fn set_read_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.socket.set_read_timeout(timeout)
            }

            /// [`set_read_timeout`](Self::set_read_timeout) for writes.
            ///
            /// # Errors
            ///
            /// As there.
            pub fn set_write_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                self.socket.set_write_timeout(timeout)
            }

            /// The limit of reads.
            ///
            /// # Errors
            ///
            /// None; the standard library's has some.
            pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.socket.read_timeout())
            }

            /// The limit of writes.
            ///
            /// # Errors
            ///
            /// None; the standard library's has some.
            pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                Ok(self.socket.write_timeout())
            }
        }
    };
}

/// Implements `Read` and `Write` for a stream and for a shared reference to it.
macro_rules! stream_io {
    ($type:ident) => {
        impl std::io::Read for &$type {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.socket.read(buffer)
            }
        }

        impl std::io::Write for &$type {
            fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
                self.socket.write(buffer)
            }

            fn write_vectored(
                &mut self,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.socket.write_vectored(slices)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        impl std::io::Read for $type {
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                self.socket.read(buffer)
            }
        }

        impl std::io::Write for $type {
            fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
                self.socket.write(buffer)
            }

            fn write_vectored(
                &mut self,
                slices: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                self.socket.write_vectored(slices)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}

pub(super) use {socket_timeouts, socket_type, stream_io};
