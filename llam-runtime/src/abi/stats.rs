//! Statistics and the dump (`abi.md` 4.18, 5.15).

use core::ffi::{c_int, c_void};
use std::fmt::Write;

use super::convert::{failed, quiet_status, status, write_prefix};
use crate::errno;
use crate::runtime::stats::RuntimeStats;
use crate::runtime::{dump, registry};

/// A snapshot of the default runtime; zeros while it is not live.
fn default_stats() -> RuntimeStats {
    match registry::DEFAULT.lock_live() {
        Some(_live) => RuntimeStats::of(&registry::DEFAULT),
        None => RuntimeStats::default(),
    }
}

/// `llam_runtime_collect_stats_ex`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_runtime_collect_stats_ex(
    stats: *mut RuntimeStats,
    stats_size: usize,
) -> c_int {
    if stats.is_null() || stats_size == 0 {
        return failed(libc::EINVAL);
    }
    let snapshot = errno::preserve(default_stats);
    // SAFETY: by the contract of the header.
    status(unsafe { write_prefix(stats, stats_size, &snapshot) })
}

/// `llam_runtime_collect_stats`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_runtime_collect_stats(stats: *mut RuntimeStats) -> c_int {
    // SAFETY: by the contract of the header.
    unsafe { llam_runtime_collect_stats_ex(stats, size_of::<RuntimeStats>()) }
}

/// `llam_runtime_collect_stats_ex_handle`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_runtime_collect_stats_ex_handle(
    runtime: *mut c_void,
    stats: *mut RuntimeStats,
    stats_size: usize,
) -> c_int {
    if stats.is_null() || stats_size == 0 {
        return failed(libc::EINVAL);
    }
    quiet_status(|| {
        // SAFETY: by the contract of the header.
        unsafe { write_prefix(stats, stats_size, &RuntimeStats::default()) }?;
        let snapshot = stats_of(runtime)?;
        // SAFETY: by the contract of the header.
        unsafe { write_prefix(stats, stats_size, &snapshot) }
    })
}

/// A snapshot of the runtime that the handle names.
fn stats_of(runtime: *mut c_void) -> errno::Result<RuntimeStats> {
    if runtime == registry::default_handle() {
        return Ok(default_stats());
    }
    let named = registry::find(runtime).ok_or(libc::EINVAL)?;
    let _live = named.runtime.lock_live().ok_or(libc::EINVAL)?;
    if named.runtime.owner() != named.owner {
        return Err(libc::EINVAL);
    }
    Ok(RuntimeStats::of(named.runtime))
}

fn write_all(fd: c_int, mut text: &[u8]) -> errno::Result<()> {
    while !text.is_empty() {
        // SAFETY: initialised bytes.
        match errno::check(unsafe { libc::write(fd, text.as_ptr().cast(), text.len()) }) {
            Ok(0) => return Err(libc::EIO),
            Ok(count) => text = &text[count..],
            Err(libc::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// `llam_runtime_write_stats_json`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_runtime_write_stats_json(fd: c_int) -> c_int {
    if fd < 0 {
        return failed(libc::EINVAL);
    }
    let saved = errno::load();
    let mut text = String::with_capacity(2048);
    for (name, value) in default_stats().fields() {
        let separator = if text.is_empty() { '{' } else { ',' };
        // Writing to a string cannot fail.
        let _ = write!(text, "{separator}\"{name}\":{value}");
    }
    text.push_str("}\n");
    match write_all(fd, text.as_bytes()) {
        Ok(()) => {
            errno::store(saved);
            0
        }
        Err(error) => failed(error),
    }
}

/// `llam_dump_runtime_state`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_dump_runtime_state(fd: c_int) {
    if fd < 0 {
        return;
    }
    errno::preserve(|| {
        let text = match registry::DEFAULT.lock_live() {
            Some(_live) => dump::text(&registry::DEFAULT),
            None => dump::NOT_LIVE.to_owned(),
        };
        // Errors of the descriptor are ignored, as the contract says.
        let _ = write_all(fd, text.as_bytes());
    });
}
