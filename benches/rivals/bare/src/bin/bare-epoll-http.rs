//! A fixed HTTP answer from a bare loop over epoll.
#![forbid(unsafe_code)]

use rival_bare::{FixedHttp, serve_epoll};

fn main() {
    serve_epoll::<FixedHttp>("bare-epoll-http")
}
