//! Owns one connected client: its socket, its outbox, its reader task and its writer task.
//!
//! ```text
//!   socket --> reader task --> room.broadcast --> the others' outboxes
//!   socket <-- writer task <-- own outbox     <-- the others' reader tasks
//! ```
//!
//! The two tasks share one descriptor. Whichever sees the end first ends the other: the reader
//! closes the outbox, which ends the writer once it is drained; a failed writer shuts the socket
//! down, which ends the reader. The reader is cancelled by the server's `stop` token, the writer
//! by `cut` only, so that it can flush in between. Started by `server` for each connection.

use crate::outbox::{self, Message, OUTBOX_MESSAGES, Outbox, OutboxDrain};
use crate::server::Shared;
use llam::SpawnOptions;
use llam::channel::Sender;
use llam::net::TcpStream;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const WELCOME: &[u8] = b"Welcome to LLAM chat. Type and press enter.\n";

/// What one read takes at most.
const READ_BYTES: usize = 8 * 1024;

/// How long a client that has ended its input may take to read what is queued for it.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// How long, and for how many bytes, a connection is read after the last write. Closing a socket
/// with unread input resets it, and a reset can take from the peer what it has not read yet.
const LINGER_LIMIT: Duration = Duration::from_millis(200);
const LINGER_BYTES: usize = 256 * 1024;

/// What other tasks may see of a client.
#[derive(Debug)]
pub(crate) struct Client {
    id: u64,
    stream: TcpStream,
    outbox: Outbox,
}

impl Client {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }
}

/// Starts the tasks of a new client. They own a copy of `alive` until they end.
pub(crate) fn start(
    shared: &Arc<Shared>,
    id: u64,
    stream: TcpStream,
    address: Option<SocketAddr>,
    alive: &Sender<()>,
) -> llam::Result<()> {
    let (outbox, drain) = outbox::outbox()?;
    let client = Arc::new(Client { id, stream, outbox });
    let reader = llam::task::try_spawn_with(SpawnOptions::new().cancel(shared.stop.clone()), {
        let shared = shared.clone();
        let alive = alive.clone();
        move || {
            shared.log(format_args!("client {id} connected from {}", Peer(address)));
            match run_reader(&shared, &client, drain, &alive) {
                Ok(()) => shared.log(format_args!("client {id} left")),
                Err(error) => shared.log(format_args!("client {id} left: {error}")),
            }
        }
    })?;
    reader.detach()
}

/// The reader task, with the writer task as its child. An error is why the client has left.
fn run_reader(
    shared: &Arc<Shared>,
    client: &Arc<Client>,
    drain: OutboxDrain,
    alive: &Sender<()>,
) -> io::Result<()> {
    // A member before the writer greets it: who has read the greeting misses nothing.
    let others = shared.room.join(client);
    let writer = llam::task::try_spawn_with(SpawnOptions::new().cancel(shared.cut.clone()), {
        let client = client.clone();
        let alive = alive.clone();
        move || {
            write_all_from(&client, &drain);
            drop(alive);
        }
    });
    shared
        .room
        .broadcast_to(&others, client.id, &Message::joined(client.id));
    let (writer, outcome) = match writer {
        Ok(writer) => (Some(writer), read_lines(shared, client)),
        Err(error) => (None, Err(error.into())),
    };
    // Closed before anything else: senders that wait for room in this outbox are released, so
    // that two clients that leave at once do not wait for each other.
    client.outbox.close();
    let others = shared.room.leave(client);
    if shared.stop.is_cancelled() {
        // Everybody goes; nobody is left to be told, and the server sees to the writer.
        return Ok(());
    }
    shared
        .room
        .broadcast_to(&others, client.id, &Message::left(client.id));
    if let Some(mut writer) = writer
        && matches!(writer.join_timeout(DRAIN_LIMIT), Ok(None))
    {
        // The peer has stopped reading, too. It may fail when the peer is gone by now.
        let _ = client.stream.shutdown(Shutdown::Both);
    }
    outcome
}

/// Broadcasts what the client types, up to the end of its input.
fn read_lines(shared: &Shared, client: &Client) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    let mut lines = crate::lines::LineSplitter::default();
    let broadcast = |line: &[u8]| {
        shared
            .room
            .broadcast(client.id, &Message::line(client.id, line));
    };
    // A cancelled task may go on reading what is there already; a client that never pauses would
    // keep the server from stopping.
    while !shared.stop.is_cancelled() {
        match (&client.stream).read(&mut buffer)? {
            0 => {
                lines.finish(broadcast);
                break;
            }
            length => lines.push(&buffer[..length], broadcast),
        }
    }
    Ok(())
}

/// The writer task: greets, then writes what comes into the outbox until it is closed and empty.
fn write_all_from(client: &Client, drain: &OutboxDrain) {
    let written = (&client.stream).write_all(WELCOME).and_then(|()| {
        let mut batch = Vec::with_capacity(OUTBOX_MESSAGES);
        while drain.next_batch(&mut batch) {
            write_batch(&client.stream, &batch)?;
        }
        client.stream.shutdown(Shutdown::Write)
    });
    match written {
        Ok(()) => linger(&client.stream),
        Err(_) => {
            // Nothing can be written any more: senders must not wait for room here, and the
            // reader, if it still runs, has to find out. A peer that is gone makes this fail.
            client.outbox.close();
            let _ = client.stream.shutdown(Shutdown::Both);
        }
    }
}

/// Writes all messages of a batch, with one system call unless the socket takes only a part.
fn write_batch(mut stream: &TcpStream, batch: &[Message]) -> io::Result<()> {
    let mut slices = [IoSlice::new(&[]); OUTBOX_MESSAGES];
    for (slice, message) in slices.iter_mut().zip(batch) {
        *slice = IoSlice::new(message);
    }
    let mut rest = &mut slices[..batch.len()];
    while !rest.is_empty() {
        match stream.write_vectored(rest)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut rest, written),
        }
    }
    Ok(())
}

/// Reads and forgets until the peer has closed, or for [`LINGER_LIMIT`] or [`LINGER_BYTES`].
fn linger(mut stream: &TcpStream) {
    let mut forgotten = [0; 4096];
    let mut rest = LINGER_BYTES;
    let _ = llam::time::timeout(LINGER_LIMIT, || {
        while let Ok(length @ 1..) = stream.read(&mut forgotten) {
            rest = rest.saturating_sub(length);
            if rest == 0 {
                break;
            }
        }
    });
}

/// A peer's address for the log.
struct Peer(Option<SocketAddr>);

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("an unknown address"),
        }
    }
}
