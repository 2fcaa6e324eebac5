//! The cheating echo server of the tests as a program, for `llam-bench compare` to start.
//!
//! `llam-bench-cheat honest|drop [--listen ADDRESS] [--workers N]`: prints where it listens, on an
//! address of its own choice, and serves until a signal ends it.

#[path = "cheat.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod cheat;

#[path = "wire.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod wire;

use cheat::{Cheat, Server};

fn main() {
    let cheat = match std::env::args().nth(1).as_deref() {
        Some("honest") => Cheat::Honest,
        Some("drop") => Cheat::Drop,
        other => panic!("honest or drop, not {other:?}"),
    };
    println!("cheat listening on {}", Server::start(cheat).address);
    loop {
        std::thread::park();
    }
}
