//! Signal sets (`abi.md` 4.6).

use core::ffi::{c_int, c_void};

use super::convert::{failed, quiet_status, status};
use crate::clock::NEVER;
use crate::object::signal;

/// `llam_signal_event_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the fields are those of the C struct")]
pub struct SignalEvent {
    pub signo: i32,
    pub reserved0: u32,
    pub sequence: u64,
}

/// `llam_signal_opts_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the fields are those of the C struct")]
pub struct SignalOpts {
    pub flags: u32,
    pub reserved0: u32,
}

/// `llam_signal_set_create_ex`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_signal_set_create_ex(
    signos: *const c_int,
    signo_count: usize,
    opts: *const SignalOpts,
    opts_size: usize,
    out: *mut *mut c_void,
) -> c_int {
    if out.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: by the contract of the header.
    unsafe { out.write(std::ptr::null_mut()) };
    if !opts.is_null() {
        if opts_size == 0 {
            return failed(libc::EINVAL);
        }
        // SAFETY: by the contract of the header; a cut field counts as absent.
        if opts_size >= 4 && unsafe { (*opts).flags } != 0 {
            return failed(libc::ENOTSUP);
        }
    }
    if signos.is_null() || signo_count == 0 || signo_count > signal::MAX_SIGNALS {
        return failed(libc::EINVAL);
    }
    // SAFETY: by the contract of the header.
    let signals = unsafe { std::slice::from_raw_parts(signos, signo_count) };
    status(signal::create(signals).map(|handle| {
        // SAFETY: as above.
        unsafe { out.write(handle) }
    }))
}

/// `llam_signal_wait`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_signal_wait(set: *mut c_void, out: *mut SignalEvent) -> c_int {
    // SAFETY: by the contract of the header.
    unsafe { llam_signal_wait_until(set, NEVER, out) }
}

/// `llam_signal_wait_until`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_signal_wait_until(
    set: *mut c_void,
    deadline_ns: u64,
    out: *mut SignalEvent,
) -> c_int {
    if out.is_null() {
        return failed(libc::EINVAL);
    }
    // SAFETY: by the contract of the header.
    unsafe { out.write(SignalEvent::default()) };
    quiet_status(|| {
        let event = signal::wait_until(set, deadline_ns)?;
        let event = SignalEvent {
            signo: event.signo,
            reserved0: 0,
            sequence: event.sequence,
        };
        // SAFETY: as above.
        unsafe { out.write(event) };
        Ok(())
    })
}

/// `llam_signal_set_destroy`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_signal_set_destroy(set: *mut c_void) -> c_int {
    status(signal::destroy(set))
}
