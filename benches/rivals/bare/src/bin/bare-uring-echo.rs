//! Echo from a bare loop over io_uring.
#![forbid(unsafe_code)]

use rival_bare::{Echo, serve_uring};

fn main() {
    serve_uring::<Echo>("bare-uring-echo")
}
