//! A fixed HTTP answer from a bare loop over io_uring.
#![forbid(unsafe_code)]

use rival_bare::{FixedHttp, serve_uring};

fn main() {
    serve_uring::<FixedHttp>("bare-uring-http")
}
