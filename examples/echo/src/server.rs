//! Owns the listener, a task per connection, and the order of shutdown.
//!
//! Invariants: what one connection does ends that connection only; [`serve`] returns when the
//! task of every connection has ended. Called by `main`, in the first task.

use llam::channel::{self, Sender};
use llam::net::{TcpListener, TcpStream};
use llam::signal::SignalSet;
use llam::{CancelToken, SpawnOptions};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes that a connection reads at once as long as it sends little. They lie in the task's first stack
/// page, which is there anyway: an idle connection costs no memory for a buffer.
const SMALL_BYTES: usize = 1024;

/// Bytes that it reads at once, from a buffer of its own, after it has filled the small one.
const LARGE_BYTES: usize = 16 * 1024;

/// Pauses after failed accepts double from the first to the longest: when descriptors have run
/// out, trying again at once would only burn the CPU.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the server has done. `Display` is its closing line, without a newline.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    connections: u64,
    bytes_echoed: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            connections,
            bytes_echoed,
        } = self;
        write!(
            f,
            "echo stopped; connections={connections} bytes_echoed={bytes_echoed}"
        )
    }
}

#[derive(Debug)]
struct Shared {
    /// Cancels the accept loop and every connection.
    stop: CancelToken,
    connections: AtomicU64,
    bytes_echoed: AtomicU64,
    quiet: bool,
}

/// Listens, serves until one of `stop_signals` comes, then ends every connection. An error is one
/// phrase for standard error.
pub(crate) fn serve(
    address: SocketAddr,
    quiet: bool,
    stop_signals: &SignalSet,
) -> Result<Report, String> {
    let listener = TcpListener::bind(address)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener
        .local_addr()
        .map_err(|error| format!("cannot tell the address that was bound: {error}"))?;
    crate::print(&format!("echo listening on {address}\n"))?;

    let shared = Arc::new(Shared {
        stop: CancelToken::new().map_err(|error| error.to_string())?,
        connections: AtomicU64::new(0),
        bytes_echoed: AtomicU64::new(0),
        quiet,
    });
    run(listener, &shared, stop_signals).map_err(|error| format!("server failed: {error}"))?;
    Ok(Report {
        connections: shared.connections.load(Ordering::Relaxed),
        bytes_echoed: shared.bytes_echoed.load(Ordering::Relaxed),
    })
}

fn run(listener: TcpListener, shared: &Arc<Shared>, stop_signals: &SignalSet) -> llam::Result<()> {
    // Nothing is ever sent: each task owns a sender, and the last one to end closes it.
    let (alive, all_gone) = channel::bounded::<()>(1)?;
    let accepting = shared.clone();
    spawn_until_stop(shared, move || {
        accept_connections(&listener, &accepting, &alive)
    })?;
    let stopped = stop_signals.wait();
    let _ = shared.stop.cancel();
    let _ = all_gone.recv_option();
    stopped.map(drop)
}

/// Spawns a task that the stop token cancels.
fn spawn_until_stop(shared: &Shared, body: impl FnOnce() + Send + 'static) -> llam::Result<()> {
    let options = SpawnOptions::new().cancel(shared.stop.clone());
    llam::task::try_spawn_with(options, body)?.detach()
}

/// Accepts until cancelled. No error of accept ends the server.
fn accept_connections(listener: &TcpListener, shared: &Arc<Shared>, alive: &Sender<()>) {
    let mut pause = FIRST_PAUSE;
    while !shared.stop.is_cancelled() {
        let started = listener.accept().and_then(|(stream, peer)| {
            // Small answers must not wait for an acknowledgement. The socket may be dead by now.
            let _ = stream.set_nodelay(true);
            let serving = shared.clone();
            let alive = alive.clone();
            spawn_until_stop(shared, move || {
                serve_connection(&serving, &stream, peer);
                drop(alive);
            })?;
            Ok(())
        });
        match started {
            Ok(()) => {
                shared.connections.fetch_add(1, Ordering::Relaxed);
                pause = FIRST_PAUSE;
            }
            Err(_) if shared.stop.is_cancelled() => break,
            // The peer gave up while it was queued; the next accept takes another one.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                log(format_args!("cannot take a connection: {error}"));
                // Ends early only when the server stops.
                let _ = llam::time::sleep(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

fn serve_connection(shared: &Shared, stream: &TcpStream, peer: Option<SocketAddr>) {
    let echoed = echo(shared, stream);
    if let Err(error) = echoed
        && !shared.quiet
        && !shared.stop.is_cancelled()
    {
        match peer {
            Some(peer) => log(format_args!("{peer}: {error}")),
            None => log(format_args!("connection: {error}")),
        }
    }
}

/// Sends everything back until the peer has finished sending, then finishes as well.
fn echo(shared: &Shared, stream: &TcpStream) -> io::Result<()> {
    let mut small = [0; SMALL_BYTES];
    // A cancelled task may go on reading what is there already; a peer that never pauses would
    // keep the server from stopping.
    while !shared.stop.is_cancelled() {
        let length = echo_once(shared, stream, &mut small)?;
        // A full buffer: there is more where that came from.
        let is_over = length == 0 || length == SMALL_BYTES && !echo_much(shared, stream)?;
        if is_over {
            return stream.shutdown(Shutdown::Write);
        }
    }
    Ok(())
}

/// As [`echo`], by a large buffer, until the peer sends little again (true) or has finished (false).
fn echo_much(shared: &Shared, stream: &TcpStream) -> io::Result<bool> {
    let mut large = vec![0; LARGE_BYTES];
    while !shared.stop.is_cancelled() {
        match echo_once(shared, stream, &mut large)? {
            0 => return Ok(false),
            1..=SMALL_BYTES => break,
            _ => {}
        }
    }
    Ok(true)
}

/// Reads once and sends that back. Returns how much it was.
fn echo_once(shared: &Shared, mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let length = stream.read(buffer)?;
    stream.write_all(&buffer[..length])?;
    shared
        .bytes_echoed
        .fetch_add(length as u64, Ordering::Relaxed);
    Ok(length)
}

/// One line on standard error. A log that cannot be written is no reason to stop serving.
fn log(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "echo: {line}");
}
