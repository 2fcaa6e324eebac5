//! Rounds of loopback connections: an echo server, clients that talk, half-close, reset or leave.
//!
//! Checked: an orderly client gets every byte back, then the end of the stream; a rude one ends
//! only its own connection; all tasks of the round end.

use crate::random::Random;
use crate::watch::Slot;
use crate::{Failure, check};
use llam::net::{TcpListener, TcpStream};
use llam::{CancelToken, SpawnOptions, TaskBatch};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn round(random: &mut Random, slot: &Slot) -> Result<(), Failure> {
    slot.step("sockets: start");
    let listener = TcpListener::bind(random.loopback())?;
    let address = listener.local_addr()?;
    let count = random.between(1, 8);
    let server = llam::try_spawn(move || serve(&listener, count))?;
    let mut clients = Vec::new();
    for _ in 0..count {
        let random = random.fork();
        clients.push(llam::try_spawn(move || visit(address, random))?);
    }
    slot.step("sockets: join clients");
    for client in clients {
        client
            .join()
            .map_err(|error| Failure(format!("a client ended: {error:?}")))??;
    }
    slot.step("sockets: join server");
    server
        .join()
        .map_err(|error| Failure(format!("the server ended: {error:?}")))?
}

/// Takes `count` connections and serves each in its own task.
fn serve(listener: &TcpListener, count: u64) -> Result<(), Failure> {
    let mut connections = TaskBatch::new();
    for _ in 0..count {
        let (stream, _) = listener.accept()?;
        // Errors are the peer's doing: some reset their connection.
        connections.spawn(move || drop(echo(&stream)))?;
    }
    connections
        .join()
        .map_err(|error| Failure(format!("a connection ended: {error:?}")))?;
    Ok(())
}

fn echo(mut stream: &TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return stream.shutdown(Shutdown::Write),
            length => stream.write_all(&buffer[..length])?,
        }
    }
}

fn visit(address: SocketAddr, mut random: Random) -> Result<(), Failure> {
    let stream = TcpStream::connect(address)?;
    match random.between(0, 5) {
        0 => reset(&stream, &mut random),
        1 => Ok(()),
        2 => cancel_a_reader(stream, &mut random),
        _ => talk(stream, random),
    }
}

/// A writer task and a reader task on one descriptor; every byte is compared.
fn talk(stream: TcpStream, mut random: Random) -> Result<(), Failure> {
    let total = random.between(0, 100_000) as usize;
    let stream = Arc::new(stream);
    let mut expected = random.fork();
    let mut source = expected.clone();
    let writing = stream.clone();
    let writer = llam::try_spawn(move || -> Result<(), Failure> {
        let mut left = total;
        while left > 0 {
            let length = left.min(random.between(1, 9000) as usize);
            let chunk: Vec<u8> = (0..length).map(|_| source.next() as u8).collect();
            (&*writing).write_all(&chunk)?;
            left -= length;
            if random.one_in(4) {
                llam::time::sleep(random.micros(200))?;
            }
        }
        writing.shutdown(Shutdown::Write)?;
        Ok(())
    })?;
    let mut buffer = [0; 3000];
    let mut received = 0;
    loop {
        let length = (&*stream).read(&mut buffer)?;
        if length == 0 {
            break;
        }
        for byte in &buffer[..length] {
            let wanted = expected.next() as u8;
            check!(
                *byte == wanted,
                "byte {received} is {byte}, sent was {wanted}"
            );
            received += 1;
        }
    }
    check!(received == total, "{received} of {total} bytes came back");
    writer
        .join()
        .map_err(|error| Failure(format!("the writer ended: {error:?}")))?
}

/// Leaves with a reset, perhaps with unread answers.
fn reset(mut stream: &TcpStream, random: &mut Random) -> Result<(), Failure> {
    stream.write_all(&vec![1; random.between(1, 5000) as usize])?;
    if random.one_in(2) {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
    }
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
    Ok(())
}

/// Cancels a task that waits for bytes that never come; the descriptor works on.
fn cancel_a_reader(stream: TcpStream, random: &mut Random) -> Result<(), Failure> {
    let stream = Arc::new(stream);
    let token = CancelToken::new()?;
    let reading = stream.clone();
    let reader = llam::try_spawn_with(SpawnOptions::new().cancel(token.clone()), move || {
        (&*reading)
            .read(&mut [0; 8])
            .map_err(|error| error.raw_os_error())
    })?;
    llam::time::sleep(random.micros(200))?;
    token.cancel()?;
    let read = reader
        .join()
        .map_err(|error| Failure(format!("the reader ended: {error:?}")))?;
    check!(
        read == Err(Some(libc::ECANCELED)),
        "a cancelled read gave {read:?}"
    );
    (&*stream).write_all(b"still there")?;
    let mut answer = [0; 11];
    (&*stream).read_exact(&mut answer)?;
    check!(
        &answer == b"still there",
        "after a cancelled read came {answer:?}"
    );
    Ok(())
}
