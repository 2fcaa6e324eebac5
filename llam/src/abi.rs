//! Which engine is linked: versions, names, struct sizes.
//!
//! Owns the safe view of `llam_abi_info_t` (`abi.md` sections 1.2 and 3). Needs no runtime; works on
//! any thread at any time.

use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;

use crate::error::{Result, check};
use crate::sys;

/// What the linked engine says about itself.
#[derive(Clone, Copy, Debug)]
pub struct AbiInfo {
    raw: sys::llam_abi_info_t,
}

// SAFETY: the pointers inside refer to static strings of the engine (`abi.md` section 3), which
// nobody writes.
unsafe impl Send for AbiInfo {}
// SAFETY: as above.
unsafe impl Sync for AbiInfo {}

/// Copies a static string of the engine; empty for null.
///
/// # Safety
///
/// `text` is null or a NUL-terminated string that lives as long as the process.
unsafe fn static_text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the caller promises the rest.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

impl AbiInfo {
    /// Asks the engine.
    ///
    /// # Errors
    ///
    /// Those of `llam_abi_get_info`; none are expected.
    pub fn load() -> Result<Self> {
        let mut raw = MaybeUninit::<sys::llam_abi_info_t>::zeroed();
        // SAFETY: the buffer is as large as the size says.
        check(unsafe {
            sys::llam_abi_get_info(raw.as_mut_ptr(), sys::LLAM_ABI_INFO_CURRENT_SIZE)
        })?;
        // SAFETY: zeroed above, and all-zero is a valid value of integers and raw pointers.
        let raw = unsafe { raw.assume_init() };
        Ok(Self { raw })
    }

    /// ABI number, major: programs built for another one cannot run on this engine.
    #[must_use]
    pub fn abi_major(&self) -> u32 {
        self.raw.abi_major
    }

    /// ABI number, minor.
    #[must_use]
    pub fn abi_minor(&self) -> u32 {
        self.raw.abi_minor
    }

    /// Release number: major, minor, patch.
    #[must_use]
    pub fn version(&self) -> (u32, u32, u32) {
        (
            self.raw.version_major,
            self.raw.version_minor,
            self.raw.version_patch,
        )
    }

    /// The runtime's name, `LLAM`.
    #[must_use]
    pub fn runtime_name(&self) -> String {
        // SAFETY: the engine promises a static string (`abi.md` section 3).
        unsafe { static_text(self.raw.runtime_name) }
    }

    /// `major.minor.patch`.
    #[must_use]
    pub fn version_string(&self) -> String {
        // SAFETY: the engine promises a static string (`abi.md` section 3).
        unsafe { static_text(self.raw.version_string) }
    }

    /// The platform the engine was built for, such as `linux`.
    #[must_use]
    pub fn platform_name(&self) -> String {
        // SAFETY: the engine promises a static string (`abi.md` section 3).
        unsafe { static_text(self.raw.platform_name) }
    }

    /// The struct itself.
    #[must_use]
    pub fn raw(&self) -> &sys::llam_abi_info_t {
        &self.raw
    }
}

/// `(major << 16) | minor` of the engine's ABI.
#[must_use]
pub fn abi_version() -> u32 {
    // SAFETY: takes nothing, never fails.
    unsafe { sys::llam_abi_version() }
}

/// The engine's release, `major.minor.patch`.
#[must_use]
pub fn version_string() -> String {
    // SAFETY: the engine returns a static string, never null (`abi.md` 4.1).
    unsafe { static_text(sys::llam_version_string()) }
}
