//! The bundled engine of llam: stackful tasks over a few OS threads, behind the C ABI.
//!
//! Programs do not use this crate. `llam-sys` declares the functions it exports, `llam`
//! makes a safe API of them. [`ext`] holds what the C ABI cannot say.
//!
//! The map, from the outside in:
//!
//! | module | owns |
//! |---|---|
//! | [`abi`] | the exported `llam_*` functions: check, convert, set `errno` |
//! | [`ext`] | Rust-only additions for the binding |
//! | `object` | mutexes, conditions, channels, select, tokens, groups, timers, signals, buffers |
//! | `io` | reading, writing, accepting, connecting, polling |
//! | `blocking` | the pool for blocking callbacks; blocking regions |
//! | `runtime` | lifecycle, options, spawning, statistics, monitor, dump |
//! | `worker` | the scheduler loop, parking, idling |
//! | `driver` | the two kernel backends |
//! | `stack`, `fiber` | guarded stacks, the switch |
//! | `wait`, `inbox`, `fresh`, `sleep`, `spin` | the lock-free parts, model-checked |
//! | `slab`, `handle` | type-stable slots and checked handles |
//!
//! The invariants E1 to E8 that comments cite are stated in `SAFETY.md`.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

pub mod abi;
mod bell;
mod blocking;
mod clock;
mod driver;
mod errno;
pub mod ext;
mod fiber;
mod fresh;
mod handle;
mod inbox;
mod io;
mod names;
mod object;
mod prefetch;
mod runtime;
mod slab;
mod sleep;
mod spin;
mod stack;
mod sync;
mod task;
mod time;
mod wait;
mod waiter;
mod wheel;
mod worker;
