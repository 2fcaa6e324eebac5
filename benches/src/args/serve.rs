//! The options of the servers that are part of this program.

use clap::{Args, Subcommand};
use std::net::SocketAddr;

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ServeCommand {
    /// A fixed-answer HTTP/1.1 server, written by hand on sockets of llam
    ///
    /// It is no framework: there is none on llam yet. It parses requests with httparse and answers from one
    /// task per connection, so it measures what tasks and sockets of llam leave for HTTP, not what a
    /// router, typed headers or limits would cost. Answers GET /plaintext with `Hello, World!`, POST /echo
    /// (with Content-Length, at most 16 MiB) with the request's body, and everything else with an
    /// error. Pipelined requests that come together are answered together. Ends on SIGINT or
    /// SIGTERM.
    Http(ServeHttpArguments),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ServeHttpArguments {
    /// Address and port to listen on; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// OS threads that run tasks [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
}
