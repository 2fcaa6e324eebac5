//! Descriptors, buffers, positional transfers (`abi.md` 4.14 to 4.16). On POSIX a handle is
//! a descriptor.

use core::ffi::{c_int, c_short, c_void};

use libc::{iovec, sockaddr, socklen_t};

use super::convert::{count, failed, fd_or_errno, read_prefix, status, write_prefix};
use crate::errno::{self, Result};
use crate::io::{self, Accepted, Source, Vector};
use crate::object::buffer::{self, Memory};

/// `IOV_MAX`.
const MAX_PIECES: c_int = 1024;

/// `llam_read`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_read(fd: c_int, buf: *mut c_void, size: usize) -> isize {
    count(io::read(fd, buf.cast(), size))
}

/// `llam_read_handle`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_read_handle(handle: c_int, buf: *mut c_void, size: usize) -> isize {
    count(io::read(handle, buf.cast(), size))
}

/// `llam_read_when_ready`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_read_when_ready(
    fd: c_int,
    buf: *mut c_void,
    size: usize,
    timeout_ms: c_int,
) -> isize {
    count(io::read_when_ready(fd, buf.cast(), size, timeout_ms))
}

/// `llam_write`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_write(fd: c_int, buf: *const c_void, size: usize) -> isize {
    count(io::write(fd, buf.cast(), size))
}

/// `llam_write_handle`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_write_handle(
    handle: c_int,
    buf: *const c_void,
    size: usize,
) -> isize {
    count(io::write(handle, buf.cast(), size))
}

/// The pieces of a vectored call; `None` for none at all.
///
/// # Safety
/// `iov` is null or readable for `iovcnt` pieces.
unsafe fn pieces<'a>(iov: *const iovec, iovcnt: c_int) -> Result<Option<&'a [iovec]>> {
    if !(0..=MAX_PIECES).contains(&iovcnt) {
        return Err(libc::EINVAL);
    }
    if iovcnt == 0 {
        return Ok(None);
    }
    if iov.is_null() {
        return Err(libc::EINVAL);
    }
    // SAFETY: by the caller's promise.
    Ok(Some(unsafe {
        std::slice::from_raw_parts(iov, iovcnt as usize)
    }))
}

/// `llam_writev`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_writev(fd: c_int, iov: *const iovec, iovcnt: c_int) -> isize {
    // SAFETY: by the contract of the header.
    count(
        unsafe { pieces(iov, iovcnt) }.and_then(|pieces| match pieces {
            None => Ok(0),
            Some(pieces) => io::write_vectored(fd, pieces),
        }),
    )
}

/// `llam_close`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_close(fd: c_int) -> c_int {
    status(io::close(fd))
}

/// `llam_close_handle`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_close_handle(handle: c_int) -> c_int {
    status(io::close(handle))
}

/// `llam_accept`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_accept(
    fd: c_int,
    addr: *mut sockaddr,
    addrlen: *mut socklen_t,
) -> c_int {
    if addr.is_null() != addrlen.is_null() {
        return failed(libc::EINVAL);
    }
    fd_or_errno(io::accept(fd, addr, addrlen, Accepted::Plain))
}

/// `llam_connect`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_connect(
    fd: c_int,
    addr: *const sockaddr,
    addrlen: socklen_t,
) -> c_int {
    if addr.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: by the contract of the header.
    status(unsafe { io::connect(fd, addr, addrlen) })
}

/// `llam_poll_fd`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_poll_fd(
    fd: c_int,
    events: c_short,
    timeout_ms: c_int,
    revents: *mut c_short,
) -> c_int {
    let outcome = io::poll(fd, events, timeout_ms);
    let ready = outcome.ok().flatten().unwrap_or(0);
    if !revents.is_null() {
        // SAFETY: by the contract of the header.
        unsafe { revents.write(ready) };
    }
    match outcome {
        Ok(Some(_)) => 1,
        Ok(None) => 0,
        Err(error) => failed(error),
    }
}

/// `llam_poll_handle`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_poll_handle(
    handle: c_int,
    events: c_short,
    timeout_ms: c_int,
    revents: *mut c_short,
) -> c_int {
    // SAFETY: by the contract of the header.
    unsafe { llam_poll_fd(handle, events, timeout_ms, revents) }
}

/// `llam_recvfrom`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_recvfrom(
    fd: c_int,
    buf: *mut c_void,
    size: usize,
    flags: c_int,
    src_addr: *mut sockaddr,
    addrlen: *mut socklen_t,
) -> isize {
    if src_addr.is_null() != addrlen.is_null() || (buf.is_null() && size > 0) {
        errno::store(libc::EINVAL);
        return -1;
    }
    let source = Source {
        address: src_addr,
        length: addrlen,
    };
    count(io::recvfrom(fd, buf.cast(), size, flags, source))
}

/// `llam_sendto`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_sendto(
    fd: c_int,
    buf: *const c_void,
    size: usize,
    flags: c_int,
    dst_addr: *const sockaddr,
    addrlen: socklen_t,
) -> isize {
    if (buf.is_null() && size > 0) || (dst_addr.is_null() && addrlen != 0) {
        errno::store(libc::EINVAL);
        return -1;
    }
    // SAFETY: by the contract of the header.
    count(unsafe { io::sendto(fd, buf.cast(), size, flags, dst_addr, addrlen) })
}

/// `llam_pread`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_pread(
    fd: c_int,
    buf: *mut c_void,
    size: usize,
    offset: u64,
) -> isize {
    count(io::positional(fd, buf.cast(), size, offset, Vector::Read))
}

/// `llam_pwrite`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_pwrite(
    fd: c_int,
    buf: *const c_void,
    size: usize,
    offset: u64,
) -> isize {
    count(io::positional(
        fd,
        buf.cast_mut().cast(),
        size,
        offset,
        Vector::Write,
    ))
}

unsafe fn positional_vectored(
    fd: c_int,
    iov: *const iovec,
    iovcnt: c_int,
    offset: u64,
    way: Vector,
) -> isize {
    // SAFETY: by the contract of the header.
    count(
        unsafe { pieces(iov, iovcnt) }.and_then(|pieces| match pieces {
            None => Ok(0),
            Some(pieces) => io::positional_vectored(fd, pieces, offset, way),
        }),
    )
}

/// `llam_preadv`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_preadv(
    fd: c_int,
    iov: *const iovec,
    iovcnt: c_int,
    offset: u64,
) -> isize {
    // SAFETY: by the contract of the header.
    unsafe { positional_vectored(fd, iov, iovcnt, offset, Vector::Read) }
}

/// `llam_pwritev`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_pwritev(
    fd: c_int,
    iov: *const iovec,
    iovcnt: c_int,
    offset: u64,
) -> isize {
    // SAFETY: by the contract of the header.
    unsafe { positional_vectored(fd, iov, iovcnt, offset, Vector::Write) }
}

/// `llam_pread_handle`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_pread_handle(
    handle: c_int,
    buf: *mut c_void,
    size: usize,
    offset: u64,
) -> isize {
    // SAFETY: by the contract of the header.
    unsafe { llam_pread(handle, buf, size, offset) }
}

/// `llam_pwrite_handle`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_pwrite_handle(
    handle: c_int,
    buf: *const c_void,
    size: usize,
    offset: u64,
) -> isize {
    // SAFETY: by the contract of the header.
    unsafe { llam_pwrite(handle, buf, size, offset) }
}

/// `llam_preadv_handle`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_preadv_handle(
    handle: c_int,
    iov: *const iovec,
    iovcnt: c_int,
    offset: u64,
) -> isize {
    // SAFETY: by the contract of the header.
    unsafe { llam_preadv(handle, iov, iovcnt, offset) }
}

/// `llam_pwritev_handle`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_pwritev_handle(
    handle: c_int,
    iov: *const iovec,
    iovcnt: c_int,
    offset: u64,
) -> isize {
    // SAFETY: by the contract of the header.
    unsafe { llam_pwritev(handle, iov, iovcnt, offset) }
}

/// Clears `out`, then stores what an owned read got.
unsafe fn owned(
    out: *mut *mut c_void,
    read: impl FnOnce() -> Result<(usize, *mut c_void)>,
) -> isize {
    if out.is_null() {
        errno::store(libc::EINVAL);
        return -1;
    }
    // SAFETY: by the contract of the header.
    unsafe { out.write(std::ptr::null_mut()) };
    count(read().map(|(size, handle)| {
        // SAFETY: as above.
        unsafe { out.write(handle) };
        size
    }))
}

/// `llam_read_owned`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_read_owned(
    fd: c_int,
    max_count: usize,
    out: *mut *mut c_void,
) -> isize {
    // SAFETY: by the contract of the header.
    unsafe { owned(out, || io::read_owned(fd, max_count)) }
}

/// `llam_recv_owned`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_recv_owned(
    fd: c_int,
    max_count: usize,
    flags: c_int,
    out: *mut *mut c_void,
) -> isize {
    // SAFETY: by the contract of the header.
    unsafe { owned(out, || io::recv_owned(fd, max_count, flags)) }
}

/// `llam_recvfrom_owned`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_recvfrom_owned(
    fd: c_int,
    max_count: usize,
    flags: c_int,
    src_addr: *mut sockaddr,
    addrlen: *mut socklen_t,
    out: *mut *mut c_void,
) -> isize {
    let read = || {
        if src_addr.is_null() != addrlen.is_null() {
            return Err(libc::EINVAL);
        }
        let source = Source {
            address: src_addr,
            length: addrlen,
        };
        io::recvfrom_owned(fd, max_count, flags, source)
    };
    // SAFETY: by the contract of the header.
    unsafe { owned(out, read) }
}

/// `llam_pread_owned_aligned`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_pread_owned_aligned(
    fd: c_int,
    max_count: usize,
    offset: u64,
    alignment: usize,
    out: *mut *mut c_void,
) -> isize {
    let read = || {
        if u32::try_from(max_count).is_err() {
            return Err(libc::EINVAL);
        }
        buffer::check_alignment(alignment)?;
        if max_count == 0 {
            return Ok((0, std::ptr::null_mut()));
        }
        io::pread_owned(fd, max_count, offset, alignment)
    };
    // SAFETY: by the contract of the header.
    unsafe { owned(out, read) }
}

/// `llam_pread_handle_owned_aligned`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_pread_handle_owned_aligned(
    handle: c_int,
    max_count: usize,
    offset: u64,
    alignment: usize,
    out: *mut *mut c_void,
) -> isize {
    // SAFETY: by the contract of the header.
    unsafe { llam_pread_owned_aligned(handle, max_count, offset, alignment, out) }
}

/// `llam_io_buffer_opts_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the fields are those of the C struct")]
pub struct BufferOpts {
    pub capacity: usize,
    pub alignment: usize,
    pub flags: u32,
    pub reserved0: u32,
}

const ZERO_FILL: u32 = 1;

/// `llam_io_buffer_opts_init`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_io_buffer_opts_init(
    opts: *mut BufferOpts,
    opts_size: usize,
) -> c_int {
    // SAFETY: by the contract of the header.
    status(unsafe { write_prefix(opts, opts_size, &BufferOpts::default()) })
}

/// `llam_io_buffer_alloc_ex`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_io_buffer_alloc_ex(
    opts: *const BufferOpts,
    opts_size: usize,
    out: *mut *mut c_void,
) -> c_int {
    if out.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: by the contract of the header.
    unsafe { out.write(std::ptr::null_mut()) };
    let allocate = || {
        let opts = match (opts.is_null(), opts_size) {
            (true, _) => BufferOpts::default(),
            (false, 0) => return Err(libc::EINVAL),
            // SAFETY: by the contract of the header; the struct is plain data.
            (false, _) => unsafe {
                read_prefix(opts, opts_size, BufferOpts::default(), &[8, 16, 20, 24])
            },
        };
        if opts.flags & !ZERO_FILL != 0 {
            return Err(libc::EINVAL);
        }
        Memory::allocate(opts.capacity, opts.alignment, opts.flags & ZERO_FILL != 0)?.into_buffer(0)
    };
    status(allocate().map(|handle| {
        // SAFETY: as above.
        unsafe { out.write(handle) }
    }))
}

/// `llam_io_buffer_alloc`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_io_buffer_alloc(capacity: usize, out: *mut *mut c_void) -> c_int {
    // SAFETY: by the contract of the header.
    unsafe { llam_io_buffer_alloc_aligned(capacity, 0, out) }
}

/// `llam_io_buffer_alloc_aligned`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_io_buffer_alloc_aligned(
    capacity: usize,
    alignment: usize,
    out: *mut *mut c_void,
) -> c_int {
    let opts = BufferOpts {
        capacity,
        alignment,
        ..BufferOpts::default()
    };
    // SAFETY: by the contract of the header.
    unsafe { llam_io_buffer_alloc_ex(&opts, size_of::<BufferOpts>(), out) }
}

fn or_zero<T>(outcome: Result<T>, zero: T) -> T {
    outcome.unwrap_or_else(|error| {
        errno::store(error);
        zero
    })
}

/// `llam_io_buffer_alignment`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_io_buffer_alignment(buffer: *const c_void) -> usize {
    or_zero(buffer::alignment(buffer), 0)
}

/// `llam_io_buffer_data`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_io_buffer_data(buffer: *mut c_void) -> *mut c_void {
    or_zero(
        buffer::data(buffer).map(|data| data.cast()),
        std::ptr::null_mut(),
    )
}

/// `llam_io_buffer_size`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_io_buffer_size(buffer: *const c_void) -> usize {
    or_zero(buffer::size(buffer), 0)
}

/// `llam_io_buffer_capacity`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_io_buffer_capacity(buffer: *const c_void) -> usize {
    or_zero(buffer::capacity(buffer), 0)
}

/// `llam_io_buffer_release`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_io_buffer_release(buffer: *mut c_void) {
    errno::preserve(|| buffer::release(buffer));
}
