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
//! | `spin` | the lock of objects lets one in at a time, and what one wrote the next one sees |
#![allow(
    dead_code,
    reason = "the included files serve more than the models use"
)]

mod sync {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence,
    };

    pub(crate) fn give_way(_attempts: u32) {
        loom::thread::yield_now();
    }
}

#[path = "../../../llam-runtime/src/fresh.rs"]
mod fresh;
#[path = "../../../llam-runtime/src/inbox.rs"]
mod inbox;
#[path = "../../../llam-runtime/src/sleep.rs"]
mod sleep;
#[path = "../../../llam-runtime/src/spin.rs"]
mod spin;
#[path = "../../../llam-runtime/src/wait.rs"]
mod wait;

#[cfg(test)]
mod models;
