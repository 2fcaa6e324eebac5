//! The types that the header defines per platform, and what the generated declarations stand on.
//!
//! Owns: `llam_fd_t`, `llam_handle_t`, their invalid values, the marker of the opaque handles.
//! Invariant: definitions are those of `include/llam/platform.h` (`abi.md` 2.3 and 2.4). Everything
//! else comes from `bindings`, which this module hands on, so that `types` has every type.

use core::marker::{PhantomData, PhantomPinned};

pub use crate::bindings::*;

/// Makes the handle types neither `Send`, `Sync` nor `Unpin`: nothing is known about them here.
pub(crate) type Opaque = PhantomData<(*mut u8, PhantomPinned)>;

/// A file descriptor; on Windows a socket.
#[cfg(unix)]
pub type llam_fd_t = core::ffi::c_int;
/// A file descriptor; on Windows a socket.
#[cfg(not(unix))]
pub type llam_fd_t = usize;
/// A file descriptor; on Windows a HANDLE.
#[cfg(unix)]
pub type llam_handle_t = core::ffi::c_int;
/// A file descriptor; on Windows a HANDLE.
#[cfg(not(unix))]
pub type llam_handle_t = *mut core::ffi::c_void;

/// No descriptor.
#[cfg(unix)]
pub const LLAM_INVALID_FD: llam_fd_t = -1;
/// No descriptor.
#[cfg(not(unix))]
pub const LLAM_INVALID_FD: llam_fd_t = usize::MAX;
/// No handle.
#[cfg(unix)]
pub const LLAM_INVALID_HANDLE: llam_handle_t = -1;
/// No handle.
#[cfg(not(unix))]
pub const LLAM_INVALID_HANDLE: llam_handle_t = usize::MAX as llam_handle_t;
