//! Echo on monoio: a runtime per worker, each with its own listener on the same address, a task per
//! connection. On io_uring, or with `--legacy` on epoll.
#![forbid(unsafe_code)]

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use rival_common::server::{self, Arguments, ECHO_BUFFER_BYTES};
use std::io;
use std::thread;

/// Operations that fit into the ring before it must be handed to the kernel in between.
const ENTRIES: u32 = 4096;

fn main() {
    let arguments = Arguments::parse(&["legacy"], &[]);
    if let Err(error) = serve(&arguments) {
        rival_common::fail(error)
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    server::end_on_signal()?;
    let is_legacy = arguments.has_flag("legacy");
    if !is_legacy {
        // Before anybody is told that this server listens.
        ring().build(ENTRIES)?;
    }
    let listeners = server::listen_shared(arguments.address, arguments.workers)?;
    server::announce("monoio-echo", listeners[0].local_addr()?)?;
    let mut listeners = listeners.into_iter();
    let first = listeners.next().expect("there is one at least");
    for listener in listeners {
        thread::spawn(move || {
            if let Err(error) = run(listener, is_legacy) {
                rival_common::fail(error);
            }
        });
    }
    run(first, is_legacy)
}

fn run(listener: std::net::TcpListener, is_legacy: bool) -> io::Result<()> {
    if is_legacy {
        listener.set_nonblocking(true)?;
        let builder = RuntimeBuilder::<LegacyDriver>::new();
        return builder.build()?.block_on(accept(listener));
    }
    RuntimeBuilder::<IoUringDriver>::new()
        .with_entries(ENTRIES)
        .uring_builder(ring())
        .build()?
        .block_on(accept(listener))
}

/// A thread that is alone with its ring, and looks at it only when it has nothing else to do, needs no
/// interrupts: the kernel's part runs when it enters the kernel anyway.
fn ring() -> io_uring_06::Builder {
    let mut ring = io_uring_06::IoUring::builder();
    ring.setup_single_issuer().setup_defer_taskrun();
    ring
}

async fn accept(listener: std::net::TcpListener) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        monoio::spawn(async move {
            // A peer that is gone ends its connection only.
            let _ = echo(stream).await;
        });
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(ECHO_BUFFER_BYTES);
    loop {
        let (length, read) = stream.read(buffer).await;
        if length? == 0 {
            return Ok(());
        }
        let (written, sent) = stream.write_all(read).await;
        written?;
        buffer = sent;
        buffer.clear();
    }
}
