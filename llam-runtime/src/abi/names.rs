//! Name resolution, opening and stating files (`abi.md` 4.17): on the blocking pool in a
//! task, direct on a host thread.

use core::ffi::{c_char, c_int, c_void};

use libc::addrinfo;

use super::convert::{failed, status, write_prefix};
use crate::blocking;
use crate::errno::{self, Result};

/// Runs `body` where it may block. The callback's own failure is part of `T`.
fn off_worker<T>(body: impl FnOnce() -> T) -> Result<T> {
    struct Call<F, T> {
        body: Option<F>,
        result: Option<T>,
    }
    unsafe extern "C" fn run<F: FnOnce() -> T, T>(argument: *mut c_void) -> *mut c_void {
        // SAFETY: the argument is the `Call` of the frame below, which waits.
        let call = unsafe { &mut *argument.cast::<Call<F, T>>() };
        call.result = call.body.take().map(|body| body());
        argument
    }
    fn entry<F: FnOnce() -> T, T>(_: &Call<F, T>) -> blocking::Callback {
        run::<F, T>
    }
    let mut call = Call {
        body: Some(body),
        result: None,
    };
    let callback = entry(&call);
    // SAFETY: `call` outlives the callback: `blocking::call` returns after it has ended.
    let outcome = unsafe { blocking::call(callback, (&raw mut call).cast()) };
    match (outcome, call.result) {
        (Ok(_), Some(result)) => Ok(result),
        (Err(error), result) => {
            // What the callback brought about after a cancellation is dropped here.
            drop(result);
            Err(error)
        }
        (Ok(_), None) => Err(libc::ECANCELED),
    }
}

/// A descriptor that is closed unless it is taken out.
struct Opened(c_int);

impl Drop for Opened {
    fn drop(&mut self) {
        if self.0 >= 0 {
            // SAFETY: opened by the callback and given to nobody.
            unsafe { libc::close(self.0) };
        }
    }
}

/// A resolver's list that is freed unless it is taken out.
struct Resolved(*mut addrinfo, c_int);

impl Drop for Resolved {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: made by getaddrinfo and given to nobody.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

/// `llam_getaddrinfo_result`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_getaddrinfo_result(
    node: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    out: *mut *mut addrinfo,
    gai_error: *mut c_int,
) -> c_int {
    if out.is_null() || gai_error.is_null() || (node.is_null() && service.is_null()) {
        return failed(libc::EINVAL);
    }
    // SAFETY: by the contract of the header.
    unsafe {
        out.write(std::ptr::null_mut());
        gai_error.write(0);
    }
    let resolved = off_worker(|| {
        let mut list = std::ptr::null_mut();
        // SAFETY: by the contract of the header, strings and hints stay valid.
        let error = unsafe { libc::getaddrinfo(node, service, hints, &mut list) };
        Resolved(
            if error == 0 {
                list
            } else {
                std::ptr::null_mut()
            },
            error,
        )
    });
    status(resolved.map(|mut resolved| {
        // SAFETY: as above.
        unsafe {
            out.write(std::mem::replace(&mut resolved.0, std::ptr::null_mut()));
            gai_error.write(resolved.1);
        }
    }))
}

/// `llam_freeaddrinfo_result`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_freeaddrinfo_result(result: *mut addrinfo) {
    if !result.is_null() {
        // SAFETY: by the contract of the header, a list of llam_getaddrinfo_result.
        unsafe { libc::freeaddrinfo(result) };
    }
}

/// `llam_open_async`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_open_async(
    path: *const c_char,
    flags: c_int,
    mode: u32,
    out: *mut c_int,
) -> c_int {
    if path.is_null() || out.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: by the contract of the header.
    unsafe { out.write(-1) };
    let opened = off_worker(|| {
        // SAFETY: by the contract of the header, the path stays valid.
        let fd = errno::check(unsafe { libc::open(path, flags, mode) } as isize)?;
        Ok(Opened(fd as c_int))
    });
    status(opened.and_then(|opened| opened).map(|mut opened| {
        // SAFETY: as above.
        unsafe { out.write(std::mem::replace(&mut opened.0, -1)) }
    }))
}

/// `llam_file_stat_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the fields are those of the C struct")]
pub struct FileStat {
    pub size: u64,
    pub mtime_ns: u64,
    pub atime_ns: u64,
    pub ctime_ns: u64,
    pub mode: u32,
    pub kind: u32,
    pub reserved0: u64,
}

const _: () = assert!(size_of::<FileStat>() == 48);

/// Times before 1970 are 0, too large ones `u64::MAX`.
fn nanoseconds(seconds: i64, fraction: i64) -> u64 {
    let Ok(seconds) = u64::try_from(seconds) else {
        return 0;
    };
    seconds
        .checked_mul(1_000_000_000)
        .and_then(|whole| whole.checked_add(fraction as u64))
        .unwrap_or(u64::MAX)
}

fn convert(status: &libc::stat) -> FileStat {
    let kind = match status.st_mode & libc::S_IFMT {
        libc::S_IFREG => 1,
        libc::S_IFDIR => 2,
        libc::S_IFLNK => 3,
        _ => 4,
    };
    FileStat {
        size: status.st_size as u64,
        mtime_ns: nanoseconds(status.st_mtime, status.st_mtime_nsec),
        atime_ns: nanoseconds(status.st_atime, status.st_atime_nsec),
        ctime_ns: nanoseconds(status.st_ctime, status.st_ctime_nsec),
        mode: status.st_mode,
        kind,
        reserved0: 0,
    }
}

/// `llam_stat_path_ex`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_stat_path_ex(
    path: *const c_char,
    out: *mut FileStat,
    out_size: usize,
) -> c_int {
    if path.is_null() || out.is_null() || out_size == 0 {
        return failed(libc::EINVAL);
    }
    // SAFETY: by the contract of the header.
    let cleared = unsafe { write_prefix(out, out_size, &FileStat::default()) };
    let looked = cleared.and_then(|()| {
        off_worker(|| {
            // SAFETY: the path stays valid; stat fills the structure.
            unsafe {
                let mut status: libc::stat = std::mem::zeroed();
                errno::check(libc::stat(path, &mut status) as isize)?;
                Ok(convert(&status))
            }
        })
    });
    status(looked.and_then(|looked| looked).and_then(|stat| {
        // SAFETY: as above.
        unsafe { write_prefix(out, out_size, &stat) }
    }))
}
