//! The function-like macros, which pass this crate's path to the expansions.
//!
//! Owns `spawn!`, `try_spawn!`, `select!`, `try_select!`; the grammar lives in `llam-macros`.
//! Invariant: what they expand to calls safe functions through `$crate`, so they work in crates that
//! forbid unsafe code and under another name of this crate.

/// Spawns a task from a block: `spawn!({ .. })`, `spawn!(move { .. })`, and before the block any of
/// `class = e`, `stack = e`, `cancel = e`, each followed by a comma.
///
/// The value is a [`JoinHandle`](crate::JoinHandle). The token is cloned.
///
/// # Panics
///
/// When the task cannot be made; see [`try_spawn!`](crate::try_spawn!).
///
/// ```
/// use llam::{StackClass, TaskClass, spawn};
/// llam::run(|| {
///     let base = 40;
///     let task = spawn!(class = TaskClass::Latency, stack = StackClass::Large, move { base + 2 });
///     assert_eq!(task.join()?, 42);
///     Ok(())
/// }).unwrap();
/// ```
#[macro_export]
macro_rules! spawn {
    ($($input:tt)*) => { $crate::__private::expand_spawn!{ $crate $($input)* } };
}

/// [`spawn!`] that returns `Result<JoinHandle<T>>`.
#[macro_export]
macro_rules! try_spawn {
    ($($input:tt)*) => { $crate::__private::expand_try_spawn!{ $crate $($input)* } };
}

/// Waits for the first of several channel operations and runs its expression. Nothing is allocated.
///
/// | arm | done when |
/// |---|---|
/// | `recv(rx) -> name => expr` | a value is there, or the channel is closed and drained; `name` (a pattern) is bound to a `Result` |
/// | `send(tx, value) => expr` | the value was taken; a closed channel is an error of the select |
/// | `closed(rx) => expr` | `recv(rx)` finds the channel closed and drained; needs that arm beside it |
/// | `after(duration) => expr` | nothing could be done for so long |
/// | `default => expr` | nothing can be done at once |
///
/// When several can be done, the first one written is done. `after` and `default` exclude each other.
/// A value that was not sent is dropped before the expression runs. The expressions are part of the
/// function around them: `return`, `?` and `break` work.
///
/// # Panics
///
/// Where [`try_select!`](crate::try_select!) fails.
///
/// ```
/// use std::time::Duration;
/// llam::run(|| {
///     let (tx, rx) = llam::channel::bounded(1)?;
///     llam::spawn(move || tx.send(7));
///     let value = llam::select! {
///         recv(rx) -> got => got.unwrap_or(0),
///         closed(rx) => -1,
///         after(Duration::from_secs(5)) => -2,
///     };
///     assert_eq!(value, 7);
///     Ok(())
/// }).unwrap();
/// ```
#[macro_export]
macro_rules! select {
    ($($input:tt)*) => { $crate::__private::expand_select!{ $crate $($input)* } };
}

/// [`select!`] that returns `Result<R>`: the error of the select, or the value of the arm done.
///
/// Errors: `EPIPE` a send into a closed channel; `ECANCELED`; `ETIMEDOUT` (a
/// [`timeout`](fn@crate::time::timeout) around it); `ENOTSUP` outside a task; `EXDEV` a channel of
/// another runtime.
#[macro_export]
macro_rules! try_select {
    ($($input:tt)*) => { $crate::__private::expand_try_select!{ $crate $($input)* } };
}
