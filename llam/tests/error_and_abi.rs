//! `llam::error` and `llam::abi`.

use std::error::Error as _;
use std::io;

use llam::{AbiInfo, Error};

#[test]
fn error_of_an_errno() {
    let error = Error::from_errno(libc::EPIPE);
    assert_eq!(error.errno(), libc::EPIPE);
    assert!(error.is_closed() && !error.is_timed_out());
    assert_eq!(
        error.to_string(),
        format!("Broken pipe (errno={})", libc::EPIPE)
    );
    let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.raw_os_error(), Some(libc::EPIPE));
}

#[test]
fn error_last_is_the_current_errno() {
    // SAFETY: a bad descriptor is an error, nothing else.
    unsafe { libc::close(-1) };
    assert_eq!(Error::last().errno(), libc::EBADF);
}

#[test]
fn errors_convert_both_ways() {
    let there: Error = io::Error::from_raw_os_error(libc::ETIMEDOUT).into();
    assert!(there.is_timed_out());
    let back: io::Error = there.into();
    assert_eq!(back.kind(), io::ErrorKind::TimedOut);
    assert_eq!(
        Error::from_errno(libc::ECONNREFUSED)
            .into_io_error()
            .raw_os_error(),
        Some(libc::ECONNREFUSED)
    );
}

#[test]
fn abi_identity_is_that_of_the_header() {
    let abi_major = llam::sys::ext::ABI_MAJOR;
    let info = AbiInfo::load().unwrap();
    assert_eq!((info.abi_major(), info.abi_minor()), (abi_major, 0));
    let (major, minor, patch) = info.version();
    assert_eq!(info.version_string(), format!("{major}.{minor}.{patch}"));
    assert_eq!(info.version_string(), llam::abi::version_string());
    assert_eq!(info.runtime_name(), "LLAM");
    assert_eq!(llam::abi::abi_version(), abi_major << 16);
    let stats_size = match abi_major {
        1 => 336,
        _ => size_of::<llam::sys::llam_runtime_stats_t>(),
    };
    assert_eq!(info.raw().runtime_stats_size, stats_size);
    if cfg!(target_os = "linux") {
        assert_eq!(info.platform_name(), "linux");
    }
}
