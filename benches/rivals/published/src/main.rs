//! Echo with the published crate `llam` 0.1.4 on an installed SDK: a task per connection, a read and a
//! `write_all` with one buffer.
//!
//! The crate cannot be told a number of workers; `--workers` is the number of CPUs that the process may use.

use llam::net::{TcpListener, TcpStream};
use rival_common::server::{self, Arguments, ECHO_BUFFER_BYTES};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};

fn main() {
    let arguments = Arguments::parse(&[], &[]);
    if let Err(error) = rival_threads::use_cpus(arguments.workers) {
        rival_common::fail(error);
    }
    let served = llam::run(move || {
        if let Err(error) = serve(&arguments) {
            rival_common::fail(error);
        }
        Ok(())
    });
    if let Err(error) = served {
        rival_common::fail(error);
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    server::end_on_signal()?;
    let listener = TcpListener::bind(arguments.address)?;
    set_nodelay(&listener)?;
    server::announce("llam-published-echo", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept()?;
        llam::task::spawn(move || {
            // A peer that is gone ends its connection only.
            let _ = echo(stream);
        });
    }
}

/// Accepted sockets have it from the listener. The crate has no such option itself.
fn set_nodelay(listener: &TcpListener) -> io::Result<()> {
    // SAFETY: the listener keeps its descriptor open for as long as it is borrowed here.
    let socket = unsafe { BorrowedFd::borrow_raw(listener.as_raw_fd()) };
    Ok(rustix::net::sockopt::set_tcp_nodelay(socket, true)?)
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; ECHO_BUFFER_BYTES];
    loop {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length])?;
    }
}
