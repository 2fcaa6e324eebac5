//! What the macros expand to. No part of the public interface.
//!
//! Owns the entry points of `#[llam::main]` and `#[llam::test]`; re-exports the expansions and the arms
//! of `select!`. Invariant: everything here is safe to call, whoever does.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

pub use llam_macros::{
    select as expand_select, spawn as expand_spawn, try_select as expand_try_select,
    try_spawn as expand_try_spawn,
};

pub use crate::channel::arm::{Op, RecvArm, Selected, SendArm, Wait, recv_arm, select, send_arm};
use crate::error::{Error, Result};
use crate::runtime::{self, Profile};
use crate::sync::park::lock;

/// What a `main` or a test may return.
///
/// ```compile_fail,E0277
/// #[llam::main]
/// fn main() -> u32 {
///     3
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the function must return `()` or a `Result<(), E>` whose error can be displayed",
    label = "returns neither `()` nor `Result<(), E>`"
)]
pub trait Outcome {
    /// The error's text, if it failed.
    fn into_failure(self) -> Option<String>;
}

impl Outcome for () {
    fn into_failure(self) -> Option<String> {
        None
    }
}

impl<E: Display> Outcome for std::result::Result<(), E> {
    fn into_failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// Runs `body` in a runtime made by `run`; the text of what failed, if anything did.
fn failure_of<R: Outcome + 'static>(
    body: fn() -> R,
    run: impl FnOnce(Box<dyn FnOnce() -> Result<()> + Send>) -> Result<()>,
) -> Option<String> {
    let failure = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&failure);
    let ran = run(Box::new(move || {
        let failure = body().into_failure();
        *lock(&slot) = failure;
        Ok(())
    }));
    let failure = lock(&failure).take();
    failure.or_else(|| ran.err().map(|error| error.to_string()))
}

/// The body of a function with `#[llam::main]`.
pub fn main<R: Outcome + 'static>(profile: Profile, body: fn() -> R) -> ExitCode {
    match failure_of(body, |f| runtime::run_with_profile(profile, f)) {
        None => ExitCode::SUCCESS,
        Some(text) => {
            eprintln!("error: {text}");
            ExitCode::FAILURE
        }
    }
}

/// The body of a function with `#[llam::test]`.
///
/// # Panics
///
/// When the test failed.
pub fn test<R: Outcome + 'static>(profile: Profile, body: fn() -> R) {
    if let Some(text) = failure_of(body, |f| runtime::test_with_profile(profile, f)) {
        panic!("the test returned an error: {text}");
    }
}

/// Whether a receive found its channel closed and drained.
pub fn is_closed<T>(received: &Result<T>) -> bool {
    received.as_ref().is_err_and(Error::is_closed)
}

/// `select!` has nowhere to put its error.
///
/// # Panics
///
/// Always.
pub fn select_failed(error: Error) -> ! {
    panic!("select failed: {error}")
}

/// The engine named an arm that does not exist.
///
/// # Panics
///
/// Always.
pub fn no_such_arm() -> ! {
    unreachable!("a select was done with an arm that it does not have")
}
