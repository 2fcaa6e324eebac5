//! Identity: versions and sizes (`abi.md` 1.1, 1.2, 4.1).

use core::ffi::{CStr, c_char, c_int};

use super::convert::{status, write_prefix};
use super::options::{RuntimeOpts, SpawnOpts};
use crate::runtime::stats::RuntimeStats;

const ABI_MAJOR: u32 = 2;
const ABI_MINOR: u32 = 0;
const VERSION: [u32; 3] = [2, 1, 0];
const VERSION_STRING: &CStr = c"2.1.0";
const RUNTIME_NAME: &CStr = c"LLAM";

#[cfg(target_os = "linux")]
const PLATFORM_NAME: &CStr = c"linux";
#[cfg(any(target_os = "macos", target_os = "ios"))]
const PLATFORM_NAME: &CStr = c"darwin";
#[cfg(target_os = "freebsd")]
const PLATFORM_NAME: &CStr = c"freebsd";
#[cfg(target_os = "openbsd")]
const PLATFORM_NAME: &CStr = c"openbsd";
#[cfg(target_os = "netbsd")]
const PLATFORM_NAME: &CStr = c"netbsd";
#[cfg(target_os = "dragonfly")]
const PLATFORM_NAME: &CStr = c"dragonfly";
#[cfg(not(any(
    target_os = "linux",
    target_os = "macos",
    target_os = "ios",
    target_os = "freebsd",
    target_os = "openbsd",
    target_os = "netbsd",
    target_os = "dragonfly"
)))]
const PLATFORM_NAME: &CStr = c"posix";

/// `llam_abi_info_t`.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs, reason = "the fields are those of the C struct")]
pub struct AbiInfo {
    pub abi_major: u32,
    pub abi_minor: u32,
    pub version_major: u32,
    pub version_minor: u32,
    pub version_patch: u32,
    pub reserved0: u32,
    pub struct_size: usize,
    pub runtime_opts_size: usize,
    pub spawn_opts_size: usize,
    pub runtime_stats_size: usize,
    pub runtime_name: *const c_char,
    pub version_string: *const c_char,
    pub platform_name: *const c_char,
}

const _: () = assert!(size_of::<AbiInfo>() == 80);

/// `llam_abi_version`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_abi_version() -> u32 {
    (ABI_MAJOR << 16) | ABI_MINOR
}

/// `llam_version_string`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_version_string() -> *const c_char {
    VERSION_STRING.as_ptr()
}

/// `llam_abi_get_info`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_abi_get_info(info: *mut AbiInfo, info_size: usize) -> c_int {
    let value = AbiInfo {
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        version_major: VERSION[0],
        version_minor: VERSION[1],
        version_patch: VERSION[2],
        reserved0: 0,
        struct_size: size_of::<AbiInfo>(),
        runtime_opts_size: size_of::<RuntimeOpts>(),
        spawn_opts_size: size_of::<SpawnOpts>(),
        runtime_stats_size: size_of::<RuntimeStats>(),
        runtime_name: RUNTIME_NAME.as_ptr(),
        version_string: VERSION_STRING.as_ptr(),
        platform_name: PLATFORM_NAME.as_ptr(),
    };
    // SAFETY: by the contract of the header.
    status(unsafe { write_prefix(info, info_size, &value) })
}
