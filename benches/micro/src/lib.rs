//! Workloads of one kind of operation each, for `cargo bench -p llam-micro` and for the program
//! `llam-instructions`.
//!
//! Owns the list of [`WORKLOADS`] and the runtime they run in: one worker, nothing that depends on
//! chance. Each workload checks its own result and panics when it is wrong, so a run that returns is
//! a run that did what it says.
//!
//! | file | holds |
//! |---|---|
//! | `workloads/tasks.rs` | spawn, join, yield, task-locals |
//! | `workloads/connect.rs` | channels, select, mutexes |
//! | `workloads/time.rs` | timeouts, sleeping, by a clock that the caller moves |
//! | `workloads/io.rs` | messages over a pair of sockets |

#![forbid(unsafe_code)]

mod workloads;

pub use workloads::{Clock, WORKLOADS, Workload, run};
