//! Sockets whose calls park the task instead of the thread.
//!
//! Owns the socket types; they look like those of `std::net` and `std::os::unix::net`. On a host thread
//! they block like those. Reading and writing work on `&TcpStream` too, so a reader and a writer task
//! can share one stream through an `Arc`.
//!
//! ```text
//!   address    names to addresses, by the engine's resolver
//!   socket     one descriptor with its timeouts, and every system call: what the others are made of
//!   tcp  listener  udp  unix  datagram     the public types
//! ```
//!
//! Sockets made here have close-on-exec set. A write to a peer that is gone fails with `EPIPE`: Rust
//! programs ignore SIGPIPE; a C program that calls in has to ignore it itself. Contract: `abi.md` 4.14.

mod address;
mod datagram;
mod listener;
mod socket;
mod tcp;
mod udp;
mod unix;

pub use datagram::UnixDatagram;
pub use listener::{Incoming, TcpListener, TcpListenerBuilder};
pub use tcp::TcpStream;
pub use udp::UdpSocket;
pub use unix::{UnixListener, UnixStream};
