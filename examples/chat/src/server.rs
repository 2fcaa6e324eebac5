//! Owns the listener, the accept loop and the order of shutdown.
//!
//! Shutdown, as promised to clients: nothing more is accepted or read; each outbox is written out
//! for at most [`FLUSH_LIMIT`]; then what is left is cut. [`serve`] returns when every task of
//! every client has ended. Called by `main`, in the first task.

use crate::args::Config;
use crate::backoff::AcceptBackoff;
use crate::client;
use crate::counters::Report;
use crate::room::Room;
use llam::channel::{self, Sender};
use llam::net::TcpListener;
use llam::signal::SignalSet;
use llam::{CancelToken, SpawnOptions};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the outboxes are written out after a stop signal.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// What all tasks of the server share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) room: Room,
    /// Cancels the accept loop and the readers.
    pub(crate) stop: CancelToken,
    /// Cancels the writers, [`FLUSH_LIMIT`] later.
    pub(crate) cut: CancelToken,
    quiet: bool,
}

impl Shared {
    /// One line on standard error, unless the server is to be quiet about its clients.
    pub(crate) fn log(&self, line: fmt::Arguments<'_>) {
        if !self.quiet {
            log_always(line);
        }
    }
}

/// One line on standard error. A log that cannot be written is no reason to stop serving.
fn log_always(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "chat: {line}");
}

/// Listens, serves until one of `stop_signals` comes, then shuts down. An error is one phrase for
/// standard error.
pub(crate) fn serve(config: &Config, stop_signals: &SignalSet) -> Result<Report, String> {
    let listener = TcpListener::bind(config.address)
        .map_err(|error| format!("cannot listen on {}: {error}", config.address))?;
    let address = listener
        .local_addr()
        .map_err(|error| format!("cannot tell the address that was bound: {error}"))?;
    let mode = config.delivery.name();
    let mut stdout = io::stdout().lock();
    writeln!(
        stdout,
        "LLAM chat server listening on {address} mode={mode}"
    )
    .and_then(|()| stdout.flush())
    .map_err(|error| format!("cannot write to standard output: {error}"))?;
    drop(stdout);

    let shared = Shared {
        room: Room::new(config.delivery),
        stop: CancelToken::new().map_err(|error| error.to_string())?,
        cut: CancelToken::new().map_err(|error| error.to_string())?,
        quiet: config.quiet,
    };
    run(listener, Arc::new(shared), stop_signals).map_err(|error| format!("server failed: {error}"))
}

fn run(
    listener: TcpListener,
    shared: Arc<Shared>,
    stop_signals: &SignalSet,
) -> llam::Result<Report> {
    // Nothing is ever sent: each client task holds a sender, and the last one to go closes it.
    let (alive, all_gone) = channel::bounded::<()>(1)?;
    let acceptor = llam::task::try_spawn_with(SpawnOptions::new().cancel(shared.stop.clone()), {
        let shared = shared.clone();
        move || accept_clients(&listener, &shared, &alive)
    })?;
    let stopped = stop_signals.wait();
    let _ = shared.stop.cancel();
    // It has moved its sender and its listener into its closure: both are gone when it ends.
    let accepted = acceptor.join();
    if all_gone
        .recv_timeout(FLUSH_LIMIT)
        .is_err_and(|error| error.is_timed_out())
    {
        let _ = shared.cut.cancel();
        let _ = all_gone.recv_option();
    }
    stopped?;
    if let Err(llam::JoinError::Runtime(error)) = accepted {
        return Err(error);
    }
    Ok(shared.room.counters().report())
}

/// Accepts until cancelled. No error of accept ends the server; see [`AcceptBackoff`].
fn accept_clients(listener: &TcpListener, shared: &Arc<Shared>, alive: &Sender<()>) {
    let mut backoff = AcceptBackoff::default();
    let mut id = 0;
    while !shared.stop.is_cancelled() {
        let failure = match listener.accept() {
            Ok((stream, address)) => {
                // Chat lines are small and somebody waits for each. The socket may be dead by now.
                let _ = stream.set_nodelay(true);
                id += 1;
                client::start(shared, id, stream, address, alive).map_err(io::Error::from)
            }
            Err(error) => Err(error),
        };
        match failure {
            Ok(()) => backoff.succeeded(),
            Err(_) if shared.stop.is_cancelled() => break,
            Err(error) => {
                let advice = backoff.failed(&error, Instant::now());
                if let Some(times) = advice.report {
                    log_always(format_args!(
                        "cannot take a client ({times} times): {error}"
                    ));
                }
                if !advice.pause.is_zero() {
                    // Ends early only when the server stops.
                    let _ = llam::time::sleep(advice.pause);
                }
            }
        }
    }
}
