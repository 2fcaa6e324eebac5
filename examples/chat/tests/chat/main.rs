//! End-to-end tests: the real program as a child process, real sockets, threads as clients.

#[path = "../common/mod.rs"]
mod common;
mod input;
mod load;
mod protocol;
mod shutdown;
mod slow;
