//! One chat client: its connection, what it has read, and what it has to say.
//!
//! Invariants: `partial` has no end of line; a client that sends is a member of the room before anybody
//! sends, because its greeting has been read. Called by `talk` and by the module.

use super::line::{self, Line};
use super::tally::Tally;
use crate::load::source;
use memchr::memchr;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The greeting and each notice are shorter; a longer line than this is none of this protocol.
const MAX_LINE_BYTES: usize = line::MAX_BYTES + 64;

/// A client that sends stops making lines while so many bytes wait to be written.
const MAX_OUT_BYTES: usize = 256 * 1024;

/// What every client has to know of the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Bytes of a line as it is sent.
    pub(super) size: usize,
    pub(super) senders: usize,
}

/// A client's number, and its number as a sender.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role {
    pub(super) number: u32,
    pub(super) sender: Option<u32>,
}

/// What a client that sends has sent.
#[derive(Debug)]
pub(super) struct Saying {
    pub(super) number: u32,
    /// Lines that were made; the next one's sequence.
    pub(super) sent: u64,
    /// Lines that the neighbour has had, or will not get any more.
    pub(super) through: u64,
    /// When `through` last grew, or the first line after that was sent.
    pub(super) moved: Instant,
    /// Lines that are due (open loop).
    pub(super) released: u64,
    out: Vec<u8>,
    written: usize,
}

#[derive(Debug)]
pub(super) struct Client<S> {
    pub(super) stream: S,
    pub(super) tally: Tally,
    pub(super) saying: Option<Saying>,
    pub(super) is_over: bool,
    terms: Terms,
    partial: Vec<u8>,
    /// The server's number of each sender, 0 while unknown.
    names: Vec<u64>,
}

impl Client<std::net::TcpStream> {
    /// Connects and reads the greeting. `receive_bytes`: the size of the receive buffer, where it matters.
    pub(super) fn join(
        address: SocketAddr,
        terms: Terms,
        role: Role,
        receive_bytes: Option<usize>,
        limit: Duration,
    ) -> io::Result<Self> {
        let socket = source::socket_to(address, role.number)?;
        if let Some(bytes) = receive_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.connect_timeout(&address.into(), limit)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_read_timeout(Some(limit))?;
        let mut client = Self {
            stream: socket.into(),
            tally: Tally::new(terms.senders),
            saying: role.sender.map(Saying::new),
            is_over: false,
            terms,
            partial: Vec::new(),
            names: vec![0; terms.senders],
        };
        client.read_greeting()?;
        Ok(client)
    }

    /// The first line, whatever it says; what comes with it is read as always.
    fn read_greeting(&mut self) -> io::Result<()> {
        let mut greeting = Vec::new();
        let mut buffer = [0; 512];
        loop {
            let length = self.stream.read(&mut buffer)?;
            if length == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            greeting.extend_from_slice(&buffer[..length]);
            if let Some(end) = memchr(b'\n', &greeting) {
                self.take(&greeting[end + 1..], &mut |_| {});
                return Ok(());
            }
            if greeting.len() > MAX_LINE_BYTES {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    "its greeting has no end",
                ));
            }
        }
    }
}

impl<S> Client<S> {
    /// The same client with its connection in another form.
    pub(super) fn with_stream<T>(
        self,
        convert: impl FnOnce(S) -> io::Result<T>,
    ) -> io::Result<Client<T>> {
        Ok(Client {
            stream: convert(self.stream)?,
            tally: self.tally,
            saying: self.saying,
            is_over: self.is_over,
            terms: self.terms,
            partial: self.partial,
            names: self.names,
        })
    }

    /// Takes bytes as they came; calls `delivered` with each line that is new to this client.
    pub(super) fn take(&mut self, mut bytes: &[u8], delivered: &mut impl FnMut(Line)) {
        while let Some(end) = memchr(b'\n', bytes) {
            if self.partial.is_empty() {
                self.take_line(&bytes[..end], delivered);
            } else {
                let mut line = std::mem::take(&mut self.partial);
                line.extend_from_slice(&bytes[..end]);
                self.take_line(&line, delivered);
                line.clear();
                self.partial = line;
            }
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > MAX_LINE_BYTES {
            self.tally.corrupted(|| "a line has no end".to_owned());
            self.partial.clear();
        }
    }

    fn take_line(&mut self, bytes: &[u8], delivered: &mut impl FnMut(Line)) {
        let parts = bytes.strip_prefix(b"[client ").and_then(number);
        if let Some((name, rest)) = parts
            && let Some(text) = rest.strip_prefix(b"] ")
            && let Some(line) = line::read(text, self.terms.size)
        {
            let own = self.saying.as_ref().map(|saying| saying.number);
            if own == Some(line.sender) {
                self.tally
                    .corrupted(|| "a line came back to its sender".to_owned());
            } else if !self.is_known(line.sender, name) {
                self.tally
                    .corrupted(|| "a line came under another client's name".to_owned());
            } else if self.tally.deliver(line) {
                delivered(line);
            }
            return;
        }
        match bytes.strip_prefix(b"* client ").and_then(number) {
            Some((_, b" joined")) => self.tally.joined += 1,
            Some((_, b" left")) => self
                .tally
                .corrupted(|| "a client is said to have left, and nobody did".to_owned()),
            _ => self.tally.corrupted(|| {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]);
                format!("nobody sent {text:?}")
            }),
        }
    }

    /// A sender has one name for the whole run.
    fn is_known(&mut self, sender: u32, name: u64) -> bool {
        match self.names.get_mut(sender as usize) {
            Some(0) => {
                self.names[sender as usize] = name;
                true
            }
            Some(known) => *known == name,
            // The tally complains.
            None => true,
        }
    }
}

impl<S: Read> Client<S> {
    /// Reads what is there. A client whose connection has ended is over. `is_ending`: the kernel has seen
    /// the end of the stream, so reading goes on until it is reached.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        is_ending: bool,
        delivered: &mut impl FnMut(Line),
    ) {
        while !self.is_over {
            match self.stream.read(buffer) {
                Ok(0) => self.is_over = true,
                Ok(length) => {
                    self.take(&buffer[..length], delivered);
                    // A short read has emptied the socket: that saves a call.
                    if length < buffer.len() && !is_ending {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_over = true,
            }
        }
    }
}

impl<S: Write> Client<S> {
    /// Makes a line that is `due` so long after the start; [`flush`](Self::flush) sends it.
    pub(super) fn say(&mut self, due_ns: u64, now: Instant) {
        let Some(saying) = &mut self.saying else {
            return;
        };
        if saying.through == saying.sent {
            saying.moved = now;
        }
        let line = Line {
            sender: saying.number,
            sequence: saying.sent,
            due_ns,
        };
        saying.sent += 1;
        line::append(&mut saying.out, line, self.terms.size);
    }

    /// Writes what the socket takes. A client whose connection has failed is over.
    pub(super) fn flush(&mut self) {
        let Some(saying) = &mut self.saying else {
            return;
        };
        while saying.written < saying.out.len() && !self.is_over {
            match self.stream.write(&saying.out[saying.written..]) {
                Ok(0) => self.is_over = true,
                Ok(length) => saying.written += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    saying.out.drain(..saying.written);
                    saying.written = 0;
                    return;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.is_over = true,
            }
        }
        saying.out.clear();
        saying.written = 0;
    }
}

impl Saying {
    fn new(number: u32) -> Self {
        Self {
            number,
            sent: 0,
            through: 0,
            moved: Instant::now(),
            released: 0,
            out: Vec::new(),
            written: 0,
        }
    }

    /// Everything that was made is with the kernel.
    pub(super) fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.out.len() < MAX_OUT_BYTES
    }

    /// The neighbour has had this line, so it has had all before it or never will.
    pub(super) fn came_through(&mut self, sequence: u64, now: Instant) {
        if sequence >= self.through {
            self.through = sequence + 1;
            self.moved = now;
        }
    }
}

/// The decimal number at the beginning, and the rest.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if !(1..=18).contains(&length) {
        return None;
    }
    let number = bytes[..length]
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some((number, &bytes[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 60;

    fn client(sender: Option<u32>) -> Client<()> {
        let terms = Terms {
            size: SIZE,
            senders: 2,
        };
        Client {
            stream: (),
            tally: Tally::new(2),
            saying: sender.map(Saying::new),
            is_over: false,
            terms,
            partial: Vec::new(),
            names: vec![0; 2],
        }
    }

    fn delivered(name: u64, sender: u32, sequence: u64) -> Vec<u8> {
        let mut bytes = format!("[client {name}] ").into_bytes();
        let line = Line {
            sender,
            sequence,
            due_ns: 5,
        };
        line::append(&mut bytes, line, SIZE);
        bytes
    }

    #[test]
    fn every_way_to_cut_the_stream_gives_the_same_lines() {
        let notice = b"* client 3 joined\n".to_vec();
        let stream = [
            delivered(9, 0, 0),
            notice,
            delivered(10, 1, 0),
            delivered(9, 0, 1),
        ]
        .concat();
        for cut in 0..stream.len() {
            let mut client = client(None);
            let mut lines = Vec::new();
            for bytes in [&stream[..cut], &stream[cut..]] {
                client.take(bytes, &mut |line| lines.push((line.sender, line.sequence)));
            }
            assert_eq!(lines, [(0, 0), (1, 0), (0, 1)], "cut at {cut}");
            assert_eq!((client.tally.joined, client.tally.corrupted), (1, 0));
        }
    }

    #[test]
    fn what_should_not_come_is_corrupted() {
        let mut flipped = delivered(9, 0, 1);
        flipped[12] ^= 1;
        for bad in [
            flipped,
            delivered(10, 0, 1),
            delivered(9, 1, 1),
            b"* client 4 left\n".to_vec(),
            b"\n".to_vec(),
            b"[client ] x\n".to_vec(),
            b"Welcome\n".to_vec(),
            vec![b'x'; MAX_LINE_BYTES + 1],
        ] {
            let mut client = client(Some(1));
            client.take(&delivered(9, 0, 0), &mut |_| {});
            client.take(&bad, &mut |_| panic!("{}", String::from_utf8_lossy(&bad)));
            let text = String::from_utf8_lossy(&bad);
            assert_eq!(client.tally.corrupted, 1, "{text}");
            assert!(client.tally.complaint.is_some(), "{text}");
        }
    }
}
