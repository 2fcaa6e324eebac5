//! End-to-end tests: the real program as a child process, real sockets, threads as clients.

mod input;
mod load;
mod server;
mod shutdown;
