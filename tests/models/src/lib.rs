//! Model checks: loom runs the engine's own lock-free files through every interleaving.
//!
//! The files are included by path, beside a `sync` module that names loom's types where the
//! engine's names std's. Nothing is copied, so a change in the engine is checked here.
//!
//! | model | shows |
//! |---|---|
//! | `parking` | a worker that goes to sleep and a waker never miss each other |
//! | `inbox` | every pushed task is taken, once |
//! | `fresh` | owner and thieves take each fresh task once |
//! | `wait_race` | of wake, timeout and cancel exactly one ends a park (E2) |
//! | `cancel` | a task that parks while its token is cancelled does not stay parked |
#![allow(
    dead_code,
    reason = "the included files serve more than the models use"
)]

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};
}

#[path = "../../../llam-runtime/src/fresh.rs"]
mod fresh;
#[path = "../../../llam-runtime/src/inbox.rs"]
mod inbox;
#[path = "../../../llam-runtime/src/sleep.rs"]
mod sleep;
#[path = "../../../llam-runtime/src/wait.rs"]
mod wait;

#[cfg(test)]
mod models;
