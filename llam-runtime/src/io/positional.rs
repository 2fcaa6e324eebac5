//! Positional transfers (`abi.md` 4.15). Files never wait for readiness, so these are the
//! plain system calls, after the checks that the contract orders.

use super::{refuse_cancelled, retry};
use crate::errno::Result;

/// Which way a transfer goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vector {
    Read,
    Write,
}

fn file_offset(offset: u64) -> Result<i64> {
    i64::try_from(offset).map_err(|_| libc::EOVERFLOW)
}

/// `llam_pread`, `llam_pwrite`.
pub(crate) fn positional(
    fd: i32,
    buffer: *mut u8,
    count: usize,
    offset: u64,
    way: Vector,
) -> Result<usize> {
    if buffer.is_null() && count > 0 {
        return Err(libc::EINVAL);
    }
    if u32::try_from(count).is_err() {
        return Err(libc::EINVAL);
    }
    let offset = file_offset(offset)?;
    if fd < 0 {
        return Err(libc::EBADF);
    }
    if count == 0 {
        return Ok(0);
    }
    refuse_cancelled()?;
    // SAFETY: the caller of the ABI owns the buffer.
    retry(|| unsafe {
        match way {
            Vector::Read => libc::pread(fd, buffer.cast(), count, offset),
            Vector::Write => libc::pwrite(fd, buffer.cast(), count, offset),
        }
    })
}

/// `llam_preadv`, `llam_pwritev` on at most `IOV_MAX` pieces.
pub(crate) fn positional_vectored(
    fd: i32,
    pieces: &[libc::iovec],
    offset: u64,
    way: Vector,
) -> Result<usize> {
    let mut sum = 0usize;
    for piece in pieces {
        if piece.iov_base.is_null() && piece.iov_len > 0 {
            return Err(libc::EINVAL);
        }
        sum = sum
            .checked_add(piece.iov_len)
            .filter(|&sum| isize::try_from(sum).is_ok())
            .ok_or(libc::EINVAL)?;
    }
    let offset = file_offset(offset)?;
    if fd < 0 {
        return Err(libc::EBADF);
    }
    refuse_cancelled()?;
    let count = pieces.len() as libc::c_int;
    // SAFETY: the caller of the ABI owns the pieces.
    retry(|| unsafe {
        match way {
            Vector::Read => libc::preadv(fd, pieces.as_ptr(), count, offset),
            Vector::Write => libc::pwritev(fd, pieces.as_ptr(), count, offset),
        }
    })
}
