//! Attempts: system calls that transfer what they can and never block, whatever mode the
//! descriptor is in. `EAGAIN` means: wait for readiness, then try again.

use crate::errno::{self, Result};

use super::readiness::probe;
use super::{MAX_TRANSFER, is_nonblocking, retry};

/// One piece of memory for a transfer.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) base: *mut u8,
    pub(super) len: usize,
}

impl Piece {
    pub(super) fn new(base: *mut u8, len: usize) -> Self {
        Self {
            base,
            len: len.min(MAX_TRANSFER),
        }
    }

    fn vector(self) -> libc::iovec {
        libc::iovec {
            iov_base: self.base.cast(),
            iov_len: self.len,
        }
    }
}

/// What kind of descriptor an attempt turned out to be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Socket,
    Other,
}

/// Reads. `expected` spares a system call when it is right.
pub(super) fn read(fd: i32, piece: Piece, expected: Kind) -> (Kind, Result<usize>) {
    if expected == Kind::Socket {
        // SAFETY: the caller of the ABI owns the buffer.
        let outcome =
            retry(|| unsafe { libc::recv(fd, piece.base.cast(), piece.len, libc::MSG_DONTWAIT) });
        if outcome != Err(libc::ENOTSOCK) {
            return (Kind::Socket, outcome);
        }
    }
    (Kind::Other, read_other(fd, piece))
}

/// Writes. As `read`.
pub(super) fn write(fd: i32, piece: Piece, expected: Kind) -> (Kind, Result<usize>) {
    if expected == Kind::Socket {
        // SAFETY: as in `read`.
        let outcome =
            retry(|| unsafe { libc::send(fd, piece.base.cast(), piece.len, libc::MSG_DONTWAIT) });
        if outcome != Err(libc::ENOTSOCK) {
            return (Kind::Socket, outcome);
        }
    }
    if piece.len == 0 {
        // SAFETY: nothing is read. Only sockets wait to send nothing.
        return (
            Kind::Other,
            retry(|| unsafe { libc::write(fd, piece.base.cast(), 0) }),
        );
    }
    (Kind::Other, write_other(fd, &[piece.vector()]))
}

/// Writes several pieces, joined.
pub(super) fn write_vectored(
    fd: i32,
    pieces: &[libc::iovec],
    expected: Kind,
) -> (Kind, Result<usize>) {
    if expected == Kind::Socket {
        // SAFETY: a zeroed message header is valid; the pieces are the caller's.
        let outcome = retry(|| unsafe {
            let mut message: libc::msghdr = std::mem::zeroed();
            message.msg_iov = pieces.as_ptr().cast_mut();
            message.msg_iovlen = pieces.len() as _;
            libc::sendmsg(fd, &message, libc::MSG_DONTWAIT)
        });
        if outcome != Err(libc::ENOTSOCK) {
            return (Kind::Socket, outcome);
        }
    }
    (Kind::Other, write_other(fd, pieces))
}

#[cfg(target_os = "linux")]
fn read_other(fd: i32, piece: Piece) -> Result<usize> {
    let vector = piece.vector();
    // SAFETY: the buffer is the caller's; -1 means the file position, as `read` does.
    let outcome = retry(|| unsafe { libc::preadv2(fd, &vector, 1, -1, libc::RWF_NOWAIT) });
    match outcome {
        // A file whose data is not cached has no readiness to wait for either.
        Err(libc::EAGAIN) if is_file(fd) => plain_read(fd, piece),
        Err(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) => read_when_safe(fd, piece),
        outcome => outcome,
    }
}

#[cfg(not(target_os = "linux"))]
fn read_other(fd: i32, piece: Piece) -> Result<usize> {
    read_when_safe(fd, piece)
}

#[cfg(target_os = "linux")]
fn write_other(fd: i32, pieces: &[libc::iovec]) -> Result<usize> {
    let count = pieces.len() as libc::c_int;
    // SAFETY: as in `read_other`.
    let outcome =
        retry(|| unsafe { libc::pwritev2(fd, pieces.as_ptr(), count, -1, libc::RWF_NOWAIT) });
    match outcome {
        Err(libc::EAGAIN) if is_file(fd) => plain_write(fd, pieces),
        Err(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL) => write_when_safe(fd, pieces),
        outcome => outcome,
    }
}

#[cfg(not(target_os = "linux"))]
fn write_other(fd: i32, pieces: &[libc::iovec]) -> Result<usize> {
    write_when_safe(fd, pieces)
}

/// For descriptors that know no non-blocking transfer per call: look first, then transfer.
fn read_when_safe(fd: i32, piece: Piece) -> Result<usize> {
    if !is_file(fd) && !is_nonblocking(fd)? && probe(fd, libc::POLLIN)? == 0 {
        return Err(libc::EAGAIN);
    }
    plain_read(fd, piece)
}

/// As `read_when_safe`. A pipe that reports room has it for `PIPE_BUF` bytes only.
fn write_when_safe(fd: i32, pieces: &[libc::iovec]) -> Result<usize> {
    if is_file(fd) || is_nonblocking(fd)? {
        return plain_write(fd, pieces);
    }
    if probe(fd, libc::POLLOUT)? == 0 {
        return Err(libc::EAGAIN);
    }
    match pieces.iter().find(|piece| piece.iov_len > 0) {
        Some(first) => {
            let len = first.iov_len.min(libc::PIPE_BUF);
            plain_write(
                fd,
                &[libc::iovec {
                    iov_base: first.iov_base,
                    iov_len: len,
                }],
            )
        }
        None => plain_write(fd, pieces),
    }
}

fn plain_read(fd: i32, piece: Piece) -> Result<usize> {
    // SAFETY: the buffer is the caller's.
    retry(|| unsafe { libc::read(fd, piece.base.cast(), piece.len) })
}

fn plain_write(fd: i32, pieces: &[libc::iovec]) -> Result<usize> {
    let count = pieces.len() as libc::c_int;
    // SAFETY: the pieces are the caller's.
    retry(|| unsafe { libc::writev(fd, pieces.as_ptr(), count) })
}

/// Whether the descriptor is a file, directory or block device: these never wait for
/// readiness.
pub(super) fn is_file(fd: i32) -> bool {
    // SAFETY: fstat fills the structure it is given.
    unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        errno::check(libc::fstat(fd, &mut status) as isize).is_ok()
            && matches!(
                status.st_mode & libc::S_IFMT,
                libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK
            )
    }
}
