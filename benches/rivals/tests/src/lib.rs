//! What the checks of the rivals share: the list of what is built, and a server that is running.
//!
//! | file | holds |
//! |---|---|
//! | `list` | `target/rivals/rivals.json`, as `cargo xtask rivals` has written it |
//! | `running` | a started server and its end |
#![forbid(unsafe_code)]

pub mod list;
pub mod running;

use std::time::Duration;

/// How long anything may take that a server or a program has to do.
pub const LIMIT: Duration = Duration::from_secs(60);
