//! Echo with a thread per connection and the standard library alone. `--workers` is the number of
//! CPUs that the threads may use.
#![forbid(unsafe_code)]

use rival_common::server::{self, Arguments, ECHO_BUFFER_BYTES};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;

/// Far more than `echo` needs; the default of 2 MiB is address space only, but 10,000 times that.
const STACK_BYTES: usize = 64 * 1024;

fn main() {
    let arguments = Arguments::parse(&[], &[]);
    if let Err(error) = serve(&arguments) {
        rival_common::fail(error)
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    rival_threads::use_cpus(arguments.workers)?;
    let listener = server::start("threads-echo", arguments)?;
    loop {
        let (stream, _) = listener.accept()?;
        // No thread to be had: the connection is closed, the others go on.
        let _ = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || echo(stream));
    }
}

/// A peer that is gone ends its connection only.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; ECHO_BUFFER_BYTES];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}
