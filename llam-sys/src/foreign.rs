//! Socket types for platforms where the `libc` crate has none; only ever used behind pointers.

use core::ffi::c_int;

/// An address list of the resolver.
#[repr(C)]
#[derive(Debug)]
pub struct addrinfo {
    _opaque: [u8; 0],
}

/// A socket address.
#[repr(C)]
#[derive(Debug)]
pub struct sockaddr {
    _opaque: [u8; 0],
}

/// Length of a socket address.
pub type socklen_t = c_int;

/// A byte count, or -1.
pub type ssize_t = isize;
