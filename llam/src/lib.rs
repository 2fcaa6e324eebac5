//! Stackful tasks: write `accept`, `read`, `send` and `select!` as if they blocked, and run thousands
//! of them on a few threads. No `async`.
//!
//! ```
//! use std::io::{Read, Write};
//! use llam::net::{TcpListener, TcpStream};
//!
//! llam::run(|| {
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     let address = listener.local_addr()?;
//!     llam::spawn(move || {
//!         for stream in listener.incoming().take(1) {
//!             let stream = stream.unwrap();
//!             llam::spawn(move || std::io::copy(&mut &stream, &mut &stream));
//!         }
//!     });
//!     let mut stream = TcpStream::connect(address)?;
//!     stream.write_all(b"hello")?;
//!     stream.shutdown(std::net::Shutdown::Write)?;
//!     let mut answer = Vec::new();
//!     stream.read_to_end(&mut answer)?;
//!     assert_eq!(answer, b"hello");
//!     Ok(())
//! })
//! .unwrap();
//! ```
//!
//! # Terms
//!
//! - A *task* is a function with its own stack. It runs on one OS thread from its first instruction to
//!   its last: thread-locals, guards and values that are not `Send` may live across any wait. Only the
//!   initialiser of a thread-local, and the closure of a scoped one, must not wait (`HAZARDS.md`).
//! - A task *parks* when it has to wait; others run meanwhile. Every park can be ended by cancelling the
//!   task ([`CancelToken`]), by stopping its runtime, or by a time limit ([`time::timeout`](fn@time::timeout)): the
//!   call fails then with `ECANCELED` or `ETIMEDOUT` and has changed nothing.
//! - A *host thread* is any thread that is not running a task. Sockets, files, `try_` calls and joins
//!   work there too and block it; calls that need a task fail with `ENOTSUP`.
//! - Objects ([`sync::Mutex`], [`channel`], tokens, groups) belong to the *runtime* of the task that made
//!   them, or to the default one when a host thread did. Tasks of another runtime get `EXDEV`. One that
//!   is dropped where the engine refuses to destroy it is destroyed later, or leaks.
//!
//! # Engines
//!
//! The engine is the bundled one, unless the environment of the build names an installed LLAM SDK
//! (`LLAM_SYS_PREFIX` and its kin, see the crate `llam-sys`). Every item of this crate exists on every
//! engine. What an SDK cannot do, because its C ABI has no way to say it:
//!
//! | on an installed SDK | |
//! |---|---|
//! | [`RuntimeBuilder::workers`] | 1 means deterministic, other numbers are ignored |
//! | task names | known to the program ([`task::current_name`]), not to dumps |
//! | fresh tasks | run on the worker of their spawner: tasks are pinned there, so that they never change OS thread |
//! | a task that never runs, because its runtime ends before | its closure is leaked, not dropped |
//!
//! And what an SDK of ABI 1 (LLAM 1.x) cannot do:
//!
//! | on an SDK 1.x | |
//! |---|---|
//! | several runtimes | [`RuntimeBuilder::create_handle`] starts the default runtime: `EBUSY` when it is live |
//! | [`channel::Sender::try_send`], [`channel::Receiver::try_recv`] on a host thread | `ENOTSUP`; so values that nobody received before the run ended leak |
//! | waking a task from a host thread through [`sync`] or [`channel::oneshot`] and [`channel::watch`] | noticed within 10 ms |
//! | [`Runtime::request_stop`] | wakes the tasks that brought no [`CancelToken`] and belong to no [`TaskGroup`] |
//! | deadlocks | are not detected: the run does not return |
//! | stale handles | are not checked by the engine; this crate uses none after their [`Runtime`] has ended, on any thread |
//!
//! # Where things are
//!
//! [`run`], [`task`], [`structured`], [`cancel`] start and end tasks; [`channel`] and [`sync`] connect them;
//! [`net`], [`fs`], [`io`], [`blocking`], [`signal`] reach the system; [`time`] has the clock;
//! [`task_local`] has values per task; [`diagnostics`] and [`runtime`] tell what goes on; [`sys`] is the C
//! ABI underneath.

#![deny(unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod host;
mod macros;

pub mod abi;
pub mod blocking;
pub mod cancel;
pub mod channel;
pub mod diagnostics;
pub mod error;
#[cfg(unix)]
pub mod fs;
pub mod io;
#[cfg(unix)]
pub mod net;
pub mod prelude;
pub mod runtime;
pub mod signal;
pub mod structured;
pub mod sync;
pub mod task;
pub mod task_local;
pub mod time;

pub use llam_sys as sys;

/// Runs the function as the first task of a runtime.
///
/// `profile = "balanced" | "release_fast" | "debug_safe" | "io_latency"` or `profile = <expression>`
/// chooses the profile. The function takes nothing and returns `()` or a `Result<(), E>`; on an error
/// the program prints `error: <Display>` to standard error and exits with code 1.
///
/// ```no_run
/// #[llam::main]
/// fn main() -> llam::Result<()> {
///     llam::time::sleep(std::time::Duration::from_millis(1))
/// }
/// ```
pub use llam_macros::main;
/// A unit test whose body runs as the first task of a runtime; such tests run one at a time. Arguments
/// as for [`main`](macro@main).
pub use llam_macros::test;

pub use abi::AbiInfo;
pub use cancel::{CancelScope, CancelToken};
pub use error::{Error, Result};
pub use runtime::{
    Profile, Runtime, RuntimeBuilder, RuntimeHandle, RuntimeStats, run, run_with_profile, test,
    test_with_profile,
};
pub use structured::{Nursery, Scope, ScopedJoinHandle, nursery, scope, try_scope};
pub use task::{
    JoinError, JoinHandle, SpawnOptions, StackClass, TaskBatch, TaskClass, TaskGroup, spawn,
    spawn_with, try_spawn, try_spawn_with,
};
pub use task_local::TaskLocalKey;

/// Compiles the example of the workspace's README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct ReadmeExample;
