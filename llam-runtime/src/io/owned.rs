//! Reads into buffers of the engine's own (`abi.md` 4.16).

use core::ffi::c_void;

use super::readiness::probe;
use super::stream::{self, Source};
use super::{attempt, refuse_cancelled};
use crate::clock::NEVER;
use crate::errno::{self, Result};
use crate::object::buffer::Memory;
use crate::worker;

/// A count and the buffer that holds so many bytes; no buffer with 0.
pub(crate) type Owned = (usize, *mut c_void);

const NOTHING: Owned = (0, std::ptr::null_mut());

/// Waits until there is something to read before memory is allocated, so that an idle
/// connection holds none.
fn wait_for_data(fd: i32) -> Result<()> {
    if worker::context().is_none() || attempt::is_file(fd) {
        return Ok(());
    }
    while probe(fd, libc::POLLIN)? == 0 {
        super::wait_ready(fd, libc::POLLIN, NEVER)?;
    }
    Ok(())
}

fn check_readable(fd: i32) -> Result<()> {
    // SAFETY: no memory is involved.
    let flags = errno::check(unsafe { libc::fcntl(fd, libc::F_GETFL) } as isize)?;
    if flags as i32 & libc::O_ACCMODE == libc::O_WRONLY {
        return Err(libc::EBADF);
    }
    // SAFETY: fstat fills the structure it is given.
    unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        errno::check(libc::fstat(fd, &mut status) as isize)?;
        if status.st_mode & libc::S_IFMT == libc::S_IFDIR {
            return Err(libc::EISDIR);
        }
    }
    Ok(())
}

fn limited(max_count: usize) -> Result<()> {
    if u32::try_from(max_count).is_err() {
        Err(libc::EINVAL)
    } else {
        Ok(())
    }
}

/// Turns what was read into a buffer.
fn keep(memory: Memory, count: usize) -> Result<Owned> {
    if count == 0 {
        return Ok(NOTHING);
    }
    Ok((count, memory.into_buffer(count)?))
}

/// `llam_read_owned`.
pub(crate) fn read_owned(fd: i32, max_count: usize) -> Result<Owned> {
    limited(max_count)?;
    if max_count == 0 {
        return Ok(NOTHING);
    }
    check_readable(fd)?;
    refuse_cancelled()?;
    wait_for_data(fd)?;
    let memory = Memory::allocate(max_count, 0, false)?;
    let count = stream::read(fd, memory.data(), max_count)?;
    keep(memory, count)
}

/// `llam_recv_owned`.
pub(crate) fn recv_owned(fd: i32, max_count: usize, flags: i32) -> Result<Owned> {
    let source = Source {
        address: std::ptr::null_mut(),
        length: std::ptr::null_mut(),
    };
    limited(max_count)?;
    if max_count == 0 {
        return Ok(NOTHING);
    }
    check_socket(fd)?;
    refuse_cancelled()?;
    if flags & libc::MSG_OOB == 0 {
        wait_for_data(fd)?;
    }
    let memory = Memory::allocate(max_count, 0, false)?;
    let count = stream::recvfrom(fd, memory.data(), max_count, flags, source)?;
    keep(memory, count)
}

fn check_socket(fd: i32) -> Result<()> {
    let mut kind = 0i32;
    let mut size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: `kind` has the size that is passed.
    errno::check(unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_TYPE,
            (&raw mut kind).cast(),
            &mut size,
        )
    } as isize)
    .map(|_| ())
}

/// `llam_recvfrom_owned`.
pub(crate) fn recvfrom_owned(
    fd: i32,
    max_count: usize,
    flags: i32,
    source: Source,
) -> Result<Owned> {
    limited(max_count)?;
    if max_count == 0 {
        return Ok(NOTHING);
    }
    check_socket(fd)?;
    if flags & libc::MSG_OOB == 0 {
        wait_for_data(fd)?;
    }
    let memory = Memory::allocate(max_count, 0, false)?;
    let count = stream::recvfrom(fd, memory.data(), max_count, flags, source)?;
    keep(memory, count)
}

/// `llam_pread_owned_aligned`; alignment and limits have been checked.
pub(crate) fn pread_owned(
    fd: i32,
    max_count: usize,
    offset: u64,
    alignment: usize,
) -> Result<Owned> {
    check_readable(fd)?;
    // SAFETY: asks for the position, which only files have.
    errno::check(unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) } as isize)?;
    let offset = i64::try_from(offset).map_err(|_| libc::EOVERFLOW)?;
    refuse_cancelled()?;
    let memory = Memory::allocate(max_count, alignment, false)?;
    // SAFETY: the memory holds at least `max_count` bytes.
    let count =
        super::retry(|| unsafe { libc::pread(fd, memory.data().cast(), max_count, offset) })?;
    keep(memory, count)
}
