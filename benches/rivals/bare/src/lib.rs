//! The least that a server can do: loops over the kernel's interfaces, without a runtime, timers or
//! fairness. They are limits, shown apart from the rivals.
//!
//! | file | holds |
//! |---|---|
//! | `protocol` | what is answered: the same bytes, or a fixed HTTP answer |
//! | `epoll` | the loop over epoll, edge-triggered |
//! | `uring` | the loop over io_uring |
//!
//! Each worker is a thread with a loop and a listener of its own. Used by the programs of this crate.

mod epoll;
mod protocol;
mod uring;

pub use protocol::{Echo, FixedHttp, Protocol};

use rival_common::server::{self, Arguments};
use std::io;
use std::net::TcpListener;
use std::thread;

/// What one receive takes at most.
const BUFFER_BYTES: usize = server::ECHO_BUFFER_BYTES;

/// A whole server on epoll.
pub fn serve_epoll<P: Protocol>(name: &str) -> ! {
    serve(name, epoll::run::<P>)
}

/// A whole server on io_uring.
pub fn serve_uring<P: Protocol>(name: &str) -> ! {
    // Before anybody is told that this server listens.
    if let Err(error) = uring::ring() {
        rival_common::fail(format!(
            "the kernel gives no io_uring as it is needed here: {error}"
        ));
    }
    serve(name, uring::run::<P>)
}

/// Never returns: a signal ends the process, or an error does.
fn serve(name: &str, run: fn(TcpListener) -> io::Result<()>) -> ! {
    let arguments = Arguments::parse(&[], &[]);
    let listeners = server::end_on_signal()
        .and_then(|()| server::listen_shared(arguments.address, arguments.workers))
        .and_then(|listeners| {
            server::announce(name, listeners[0].local_addr()?)?;
            Ok(listeners)
        });
    let listeners = match listeners {
        Ok(listeners) => listeners,
        Err(error) => rival_common::fail(error),
    };
    let serve_one = move |listener| -> ! {
        match run(listener) {
            Ok(()) => rival_common::fail("a worker has ended"),
            Err(error) => rival_common::fail(format!("a worker has failed: {error}")),
        }
    };
    let mut listeners = listeners.into_iter();
    let first = listeners.next().expect("there is one at least");
    for listener in listeners {
        thread::spawn(move || serve_one(listener));
    }
    serve_one(first)
}
