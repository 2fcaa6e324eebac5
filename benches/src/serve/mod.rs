//! `llam-bench serve http`: a server to be measured, on tasks and sockets of llam.
//!
//! | file | holds |
//! |---|---|
//! | `exchange` | one connection: requests in, answers out |
//! | `request` | bytes into requests |
//! | `answer` | the bytes of answers |
//!
//! This file owns the process of the server: its signals, its line about where it listens, its
//! tasks and their end. It is the echo example with another protocol. Called by `main`.

mod answer;
mod exchange;
mod request;

use crate::args::ServeHttpArguments;
use crate::report::print;
use llam::channel::{self, Sender};
use llam::net::{TcpListener, TcpStream};
use llam::signal::{Signal, SignalSet};
use llam::{CancelToken, RuntimeBuilder, SpawnOptions};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::Duration;

/// The pause after an accept that failed for want of something: trying again at once would only burn
/// the CPU.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until SIGINT or SIGTERM. The signals are asked for before the runtime makes threads: each
/// thread that does not block them would take their default action. An error is one phrase.
pub(crate) fn run(arguments: &ServeHttpArguments) -> Result<(), String> {
    let stop_signals = SignalSet::new(&[Signal::INTERRUPT, Signal::TERMINATE])
        .map_err(|error| format!("cannot wait for signals: {error}"))?;
    let (result_sender, result) = mpsc::sync_channel(1);
    let mut builder = RuntimeBuilder::new();
    if let Some(workers) = arguments.workers {
        builder = builder.workers(workers as usize);
    }
    let address = arguments.listen;
    builder
        .run(move || {
            // The receiver outlives the runtime, and there is room for one.
            let _ = result_sender.send(serve(address, &stop_signals));
            Ok(())
        })
        .map_err(|error| format!("runtime failed: {error}"))?;
    result
        .recv()
        .unwrap_or_else(|_| Err("the server's first task panicked".to_owned()))
}

fn serve(address: SocketAddr, stop_signals: &SignalSet) -> Result<(), String> {
    let listener = TcpListener::bind(address)
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener
        .local_addr()
        .map_err(|error| format!("cannot tell the address that was bound: {error}"))?;
    print(&format!("llam-bench http listening on {address}\n"))?;
    until_stopped(listener, stop_signals).map_err(|error| format!("server failed: {error}"))
}

fn until_stopped(listener: TcpListener, stop_signals: &SignalSet) -> llam::Result<()> {
    let stop = CancelToken::new()?;
    // Nothing is ever sent: each task owns a sender, and the last one to end closes it.
    let (alive, all_gone) = channel::bounded::<()>(1)?;
    let accepting = stop.clone();
    spawn_until(&stop, move || {
        accept_connections(&listener, &accepting, &alive)
    })?;
    let stopped = stop_signals.wait();
    let _ = stop.cancel();
    let _ = all_gone.recv_option();
    stopped.map(drop)
}

/// Spawns a task that the token cancels.
fn spawn_until(stop: &CancelToken, body: impl FnOnce() + Send + 'static) -> llam::Result<()> {
    let options = SpawnOptions::new().cancel(stop.clone());
    llam::task::try_spawn_with(options, body)?.detach()
}

/// Accepts until cancelled. No error of accept ends the server.
fn accept_connections(listener: &TcpListener, stop: &CancelToken, alive: &Sender<()>) {
    while !stop.is_cancelled() {
        let started = listener
            .accept()
            .and_then(|(stream, _)| start(stream, stop, alive));
        match started {
            Ok(()) => {}
            Err(_) if stop.is_cancelled() => break,
            // The peer gave up while it was queued; the next accept takes another one.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                eprintln!("llam-bench http: cannot take a connection: {error}");
                // Ends early only when the server stops.
                let _ = llam::time::sleep(PAUSE);
            }
        }
    }
}

fn start(stream: TcpStream, stop: &CancelToken, alive: &Sender<()>) -> io::Result<()> {
    // Answers must not wait for an acknowledgement. The socket may be dead by now.
    let _ = stream.set_nodelay(true);
    let (stopped, alive) = (stop.clone(), alive.clone());
    spawn_until(stop, move || {
        // An error is the end of this connection; a peer that is gone is told nothing.
        let _ = exchange::serve(&stream, || stopped.is_cancelled());
        drop(alive);
    })?;
    Ok(())
}
