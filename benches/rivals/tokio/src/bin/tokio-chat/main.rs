//! The chat server of `examples/chat` on tokio: a task that reads and one that writes for each client, and
//! tokio's bounded channel between them.
//!
//! | file | holds |
//! |---|---|
//! | `client` | the two tasks of a client |
//! | `room` | who is there, and the fan-out |
//! | `lines` | bytes into lines |
#![forbid(unsafe_code)]

mod client;
mod lines;
mod room;

use rival_common::server::{self, Arguments};
use room::{Delivery, Room};
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;

fn main() {
    let arguments = Arguments::parse(&["multi"], &["mode"]);
    let delivery = match arguments.option("mode").unwrap_or("best-effort") {
        "lossless" => Delivery::Lossless,
        "best-effort" => Delivery::BestEffort,
        other => {
            eprintln!("error: --mode {other:?} is not lossless or best-effort");
            std::process::exit(2)
        }
    };
    let runtime = rival_tokio::runtime(arguments.workers, arguments.has_flag("multi"));
    if let Err(error) = runtime.block_on(serve(&arguments, delivery)) {
        rival_common::fail(error)
    }
}

async fn serve(arguments: &Arguments, delivery: Delivery) -> io::Result<()> {
    let listener = server::start("tokio-chat", arguments)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let room = Arc::new(Room::new(delivery));
    // Accepts in a task, so that with several workers it is one of them that accepts.
    tokio::spawn(async move {
        for id in 1.. {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(client::serve(room.clone(), id, stream));
        }
        Ok(())
    })
    .await?
}
