//! Raw bindings to the LLAM C ABI (version 2.1.0, ABI 2.0), and the headers that declare it.
//!
//! `include/llam/{platform,runtime,io}.h` are the contract; the modules here say the same in Rust,
//! under the same names. Nothing is safe: handles are plain pointers and every call is `unsafe`. The
//! crate `llam` is the safe layer on top.
//!
//! - `types`: handle types, structs, constants.
//! - `bindings`: the 130 functions.
//! - `inline`: what the headers have as inline functions and macros.
//! - [`ext`]: what the C ABI cannot say, with a fallback where the engine is not ours.
//!
//! Feature `bundled` (default) links the engine `llam-runtime`, which exports the functions.
//! Without it the symbols must come from elsewhere at link time.
//!
//! Dependents find the headers through the build-script variables `DEP_LLAM_RUNTIME_INCLUDE` and
//! `DEP_LLAM_RUNTIME_ROOT`.

#![allow(
    non_camel_case_types,
    reason = "the names are those of the C headers, so that one documentation serves both"
)]

#[cfg(feature = "bundled")]
extern crate llam_runtime as _;

mod bindings;
pub mod ext;
#[cfg(not(unix))]
mod foreign;
mod inline;
mod types;

pub use bindings::*;
pub use inline::*;
pub use types::*;
