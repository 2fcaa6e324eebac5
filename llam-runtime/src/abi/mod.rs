//! The C ABI: the exported `llam_*` functions, written from the contract that
//! `llam-sys/include/llam/*.h` states.
//!
//! Functions here check their arguments, convert, call the engine, and set `errno`. They
//! hold no logic of their own. Names, types and behaviour are those of LLAM 2.1 (ABI 2.0).
//!
//! # Safety of the exported functions
//!
//! Pointer arguments follow the rules of the header: null or valid for the stated size, for
//! the time of the call. Handles are values, checked before anything behind them is touched
//! (E4), and may be anything.

#![allow(
    clippy::missing_safety_doc,
    reason = "the contract of every exported function is the one stated in the module's text"
)]

pub(crate) mod convert;
pub mod io;
pub mod lifecycle;
pub mod names;
pub mod objects;
pub mod options;
pub mod signals;
pub mod stats;
pub mod tasks;
pub mod version;
