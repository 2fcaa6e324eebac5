//! What all rivals share: the command line, the listening socket, the first line, the end, and the
//! repetition of runtime rows. Nothing of this runs while something is measured, so that the measured code
//! is the framework's own.
//!
//! | file | holds |
//! |---|---|
//! | `server` | servers: arguments, socket, first line, signals |
//! | `rt` | programs that time the operations of a runtime |
//! | `row` | the names and counts of those rows, and their repetition |
//!
//! Used by the programs of this workspace, which `cargo xtask rivals` builds.
#![forbid(unsafe_code)]

mod row;
pub mod rt;
pub mod server;

/// Prints one phrase and ends the process with 1. For programs whose `main` has nothing to clean up.
pub fn fail(error: impl std::fmt::Display) -> ! {
    eprintln!("error: {error}");
    std::process::exit(1)
}
