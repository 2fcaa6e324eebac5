//! A chat server in one file: `chat_server [PORT] [--public] [--quiet]`.
//!
//! Each client has a reader task and a writer task with a bounded outbox between them; what a
//! full outbox cannot take is dropped. `LLAM_CHAT_QUIET=1` is the same as `--quiet`. The `chat`
//! program of this repository is the grown-up version: clean shutdown, counters, limits.
//!
//! `cargo run -p llam --example chat_server -- 7777`

use llam::channel::{self, Receiver, Sender};
use llam::net::{TcpListener, TcpStream};
use llam::sync::Mutex;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

/// Messages that wait for one client at most.
const OUTBOX_MESSAGES: usize = 64;

/// A client that never ends its line gets no more memory than this.
const MAX_LINE_BYTES: u64 = 4096;

const WELCOME: &[u8] = b"Welcome to LLAM chat. Type and press enter.\n";

/// A thin pointer: it crosses a channel without an allocation.
type Message = Arc<String>;

struct Options {
    port: u16,
    address: &'static str,
    quiet: bool,
}

fn main() {
    let options = match parse() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("chat_server: {error}");
            eprintln!("usage: chat_server [PORT] [--public] [--quiet]");
            std::process::exit(2);
        }
    };
    if let Err(error) = llam::run(move || serve(&options)) {
        eprintln!("chat_server: {error}");
        std::process::exit(1);
    }
}

fn parse() -> Result<Options, String> {
    let quiet = std::env::var_os("LLAM_CHAT_QUIET").is_some_and(|value| value == "1");
    let mut options = Options {
        port: 7777,
        address: "127.0.0.1",
        quiet,
    };
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--public" => options.address = "0.0.0.0",
            "--quiet" => options.quiet = true,
            text => options.port = text.parse().map_err(|_| format!("bad argument {text:?}"))?,
        }
    }
    Ok(options)
}

/// Who is there. llam's own mutex: a task that waits for it parks, and its thread goes on.
struct Room(Mutex<Vec<(u64, Sender<Message>)>>);

impl Room {
    fn broadcast(&self, from: u64, text: String) -> llam::Result<()> {
        let message = Message::new(text);
        for (id, outbox) in self.0.lock()?.iter() {
            if *id != from {
                // A full outbox belongs to a slow reader: it misses this one.
                let _ = outbox.try_send(message.clone());
            }
        }
        Ok(())
    }
}

fn serve(options: &Options) -> llam::Result<()> {
    let listener = TcpListener::bind((options.address, options.port))?;
    println!("LLAM chat server listening on {}", listener.local_addr()?);
    let room = Arc::new(Room(Mutex::new(Vec::new())?));
    let quiet = options.quiet;
    for id in 1.. {
        let (stream, peer) = listener.accept()?;
        if !quiet {
            eprintln!("client {id} connected from {peer:?}");
        }
        let room = room.clone();
        llam::spawn!(move {
            let served = serve_client(&room, id, Arc::new(stream));
            if !quiet {
                eprintln!("client {id} left: {served:?}");
            }
        });
    }
    Ok(())
}

/// The reader task of one client. The writer task uses the same descriptor.
fn serve_client(room: &Room, id: u64, stream: Arc<TcpStream>) -> llam::Result<()> {
    let (outbox, messages) = channel::bounded(OUTBOX_MESSAGES)?;
    let output = stream.clone();
    let writer = llam::try_spawn!(move { write_messages(&output, &messages) })?;
    room.0.lock()?.push((id, outbox));
    room.broadcast(id, format!("* client {id} joined\n"))?;
    let read = read_lines(room, id, &stream);
    // Drops the outbox, which ends the writer once it is empty.
    room.0.lock()?.retain(|(member, _)| *member != id);
    room.broadcast(id, format!("* client {id} left\n"))?;
    // A peer that does not read any more must not keep the writer.
    stream.shutdown(Shutdown::Both)?;
    let _ = writer.join();
    Ok(read?)
}

fn read_lines(room: &Room, id: u64, stream: &TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    // A line that is longer than the limit goes out in parts.
    while lines
        .by_ref()
        .take(MAX_LINE_BYTES)
        .read_until(b'\n', &mut line)?
        != 0
    {
        let text = String::from_utf8_lossy(&line);
        room.broadcast(
            id,
            format!("[client {id}] {}\n", text.trim_end_matches(['\r', '\n'])),
        )?;
        line.clear();
    }
    Ok(())
}

fn write_messages(mut stream: &TcpStream, messages: &Receiver<Message>) -> io::Result<()> {
    stream.write_all(WELCOME)?;
    while let Some(message) = messages.recv_option()? {
        stream.write_all(message.as_bytes())?;
    }
    Ok(())
}
