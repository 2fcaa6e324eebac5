//! Echo on may: a coroutine per connection, a read and a `write_all` with one buffer.

use may::go;
use may::net::{TcpListener, TcpStream};
use rival_common::server::{self, Arguments, ECHO_BUFFER_BYTES};
use std::io::{self, Read, Write};

fn main() {
    let arguments = Arguments::parse(&[], &[]);
    rival_may::configure(arguments.workers, rival_may::POOL_CAPACITY);
    let served = go!(move || serve(&arguments)).join();
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => rival_common::fail(error),
        Err(_) => rival_common::fail("the accepting coroutine panicked"),
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    server::end_on_signal()?;
    // may makes a listener from an address only; its queue is 1024 long.
    let listener = TcpListener::bind(arguments.address)?;
    server::announce("may-echo", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept()?;
        // A peer that is gone ends its connection only.
        go!(move || echo(stream));
    }
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // On the heap, as in may's own example.
    let mut buffer = vec![0; ECHO_BUFFER_BYTES];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}
