//! Buffers that the engine makes and fills.
//!
//! Owns [`OwnedBuf`] over `llam_io_buffer_t` and the reads that return one (`abi.md` 4.16, 5.12).
//! Invariant: a buffer is released once, by its drop.

use std::fmt;
use std::io;
use std::ops::Deref;

use super::Fd;
use crate::sys;

/// Bytes received. Belongs to no runtime: any thread may read and drop it, at any time.
pub struct OwnedBuf {
    raw: *mut sys::llam_io_buffer_t,
}

// SAFETY: the handle is a token that the engine checks on every call from any thread (`abi.md` R1),
// and the bytes are never written after the read that made the buffer.
unsafe impl Send for OwnedBuf {}
// SAFETY: as above.
unsafe impl Sync for OwnedBuf {}

impl OwnedBuf {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the engine checks the handle.
        let (data, size) = unsafe {
            (
                sys::llam_io_buffer_data(self.raw).cast::<u8>(),
                sys::llam_io_buffer_size(self.raw),
            )
        };
        if data.is_null() {
            return &[];
        }
        // SAFETY: the engine promises `size` initialised bytes at `data`, unchanged until the
        // release, which is the drop of `self`.
        unsafe { std::slice::from_raw_parts(data, size) }
    }

    /// How many bytes the buffer could have held; at least its length.
    #[must_use]
    pub fn capacity(&self) -> usize {
        // SAFETY: the engine checks the handle.
        unsafe { sys::llam_io_buffer_capacity(self.raw) }
    }

    /// Wraps what a successful read stored; `None` for null.
    fn adopt(raw: *mut sys::llam_io_buffer_t) -> Option<Self> {
        (!raw.is_null()).then_some(Self { raw })
    }
}

impl Deref for OwnedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for OwnedBuf {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl Drop for OwnedBuf {
    fn drop(&mut self) {
        // SAFETY: the engine checks the handle.
        unsafe { sys::llam_io_buffer_release(self.raw) }
    }
}

impl fmt::Debug for OwnedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedBuf")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish()
    }
}

/// Reads up to `max` bytes into a new buffer. `Ok(None)` at the end of the stream, and for a `max` of
/// 0.
///
/// # Errors
///
/// Those of `read(2)`; `EINVAL` `max` above `u32::MAX`; `ENOMEM`; in a task `ECANCELED`, also when data
/// is there, and `ETIMEDOUT` for a [`timeout`](fn@crate::time::timeout) around it.
pub fn read_owned(fd: Fd, max: usize) -> io::Result<Option<OwnedBuf>> {
    super::within_scope(fd, super::READABLE)?;
    let mut raw = std::ptr::null_mut();
    // SAFETY: `raw` is a local.
    finish(unsafe { sys::llam_read_owned(fd, max, &raw mut raw) }, raw)
}

/// [`read_owned`] from a socket, with flags of `recv(2)`.
///
/// # Errors
///
/// As there, and `ENOTSOCK`.
pub fn recv_owned(fd: Fd, max: usize, flags: i32) -> io::Result<Option<OwnedBuf>> {
    super::within_scope(fd, super::READABLE)?;
    let mut raw = std::ptr::null_mut();
    // SAFETY: `raw` is a local.
    finish(
        unsafe { sys::llam_recv_owned(fd, max, flags, &raw mut raw) },
        raw,
    )
}

fn finish(count: isize, raw: *mut sys::llam_io_buffer_t) -> io::Result<Option<OwnedBuf>> {
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(OwnedBuf::adopt(raw))
}
