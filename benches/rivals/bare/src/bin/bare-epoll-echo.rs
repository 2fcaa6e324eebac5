//! Echo from a bare loop over epoll.
#![forbid(unsafe_code)]

use rival_bare::{Echo, serve_epoll};

fn main() {
    serve_epoll::<Echo>("bare-epoll-echo")
}
