//! Echo on tokio: a task per connection, a read and a `write_all` with one buffer.
#![forbid(unsafe_code)]

use rival_common::server::{self, Arguments, ECHO_BUFFER_BYTES};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn main() {
    let arguments = Arguments::parse(&["multi"], &[]);
    let runtime = rival_tokio::runtime(arguments.workers, arguments.has_flag("multi"));
    if let Err(error) = runtime.block_on(serve(&arguments)) {
        rival_common::fail(error)
    }
}

async fn serve(arguments: &Arguments) -> io::Result<()> {
    let listener = server::start("tokio-echo", arguments)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    // Accepts in a task, so that with several workers it is one of them that accepts.
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(async move {
                // A peer that is gone ends its connection only.
                let _ = echo(stream).await;
            });
        }
    })
    .await?
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; ECHO_BUFFER_BYTES];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
    }
}
