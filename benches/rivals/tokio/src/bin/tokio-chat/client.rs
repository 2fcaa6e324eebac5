//! One client: the task that reads its lines, and the one that writes what the others said. Started by
//! `main`.

use crate::lines::LineSplitter;
use crate::room::{Client, Message, Room};
use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

const WELCOME: &[u8] = b"Welcome to LLAM chat. Type and press enter.\n";
/// Messages that an outbox holds before it is full.
const OUTBOX_MESSAGES: usize = 64;
/// What one read takes at most.
const READ_BYTES: usize = 8 * 1024;
/// How long a client that has ended its input may take to read what is queued for it.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// The reading task.
pub(crate) async fn serve(room: Arc<Room>, id: u64, stream: TcpStream) {
    let (reading, writing) = stream.into_split();
    let (outbox, drain) = mpsc::channel(OUTBOX_MESSAGES);
    // A member before the greeting: who has read it misses nothing.
    let others = room.join(Arc::new(Client { id, outbox }));
    let (closing, is_closing) = oneshot::channel();
    let mut writer = tokio::spawn(write_all_from(writing, drain, is_closing));
    let notice = |what: &str| Message::new(format!("* client {id} {what}\n").into_bytes());
    room.broadcast_to(&others, id, notice("joined")).await;
    drop(others);
    // A peer that is gone has left like one that says so.
    let _ = read_lines(&room, id, reading).await;
    // Before anything else: senders that wait for room in this outbox are released.
    drop(closing);
    let others = room.leave(id);
    room.broadcast_to(&others, id, notice("left")).await;
    if tokio::time::timeout(DRAIN_LIMIT, &mut writer)
        .await
        .is_err()
    {
        // The peer has stopped reading, too.
        writer.abort();
    }
}

/// Broadcasts what the client types, up to the end of its input.
async fn read_lines(room: &Room, id: u64, mut reading: OwnedReadHalf) -> io::Result<()> {
    let prefix = format!("[client {id}] ");
    let encode = |line: &[u8]| {
        let mut bytes = Vec::with_capacity(prefix.len() + line.len() + 1);
        bytes.extend_from_slice(prefix.as_bytes());
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        Message::new(bytes)
    };
    let mut buffer = vec![0; READ_BYTES];
    let mut lines = LineSplitter::default();
    loop {
        let length = reading.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        let mut rest = &buffer[..length];
        while let Some(line) = lines.next(&mut rest) {
            room.broadcast(id, encode(line)).await;
            lines.line_is_used();
        }
    }
    if let Some(line) = lines.unfinished() {
        room.broadcast(id, encode(line)).await;
    }
    Ok(())
}

/// The writing task: greets, then writes what comes into the outbox until it is closed and empty. Whatever
/// ends it, the outbox is gone then, and nobody waits for room there.
async fn write_all_from(
    mut writing: OwnedWriteHalf,
    mut drain: mpsc::Receiver<Message>,
    mut closing: oneshot::Receiver<()>,
) -> io::Result<()> {
    writing.write_all(WELCOME).await?;
    let mut batch = Vec::with_capacity(OUTBOX_MESSAGES);
    let mut is_open = true;
    loop {
        batch.clear();
        let length = tokio::select! {
            biased;
            _ = &mut closing, if is_open => {
                is_open = false;
                drain.close();
                continue;
            }
            length = drain.recv_many(&mut batch, OUTBOX_MESSAGES) => length,
        };
        if length == 0 {
            return writing.shutdown().await;
        }
        let mut written = pin!(write_batch(&mut writing, &batch));
        loop {
            tokio::select! {
                biased;
                result = &mut written => break result?,
                _ = &mut closing, if is_open => {
                    is_open = false;
                    drain.close();
                }
            }
        }
    }
}

/// Writes all messages of a batch, with one system call unless the socket takes only a part.
async fn write_batch(writing: &mut OwnedWriteHalf, batch: &[Message]) -> io::Result<()> {
    let mut slices = [IoSlice::new(&[]); OUTBOX_MESSAGES];
    for (slice, message) in slices.iter_mut().zip(batch) {
        *slice = IoSlice::new(message);
    }
    let mut rest = &mut slices[..batch.len()];
    while !rest.is_empty() {
        match writing.write_vectored(rest).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut rest, written),
        }
    }
    Ok(())
}
