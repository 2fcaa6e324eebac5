//! One socket of the load side.
//!
//! Owns what TCP does not keep together: requests that are written in pieces; answers that are read
//! in pieces are its dialogue's. Invariant: the socket never blocks. Called by `loader`.

use super::ledger::{Ledger, Request, Verdict};
use super::protocol::{Dialogue, Protocol};
use super::source;
use mio::net::TcpStream;
use rustix::io::Errno;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

/// connecting -> open -> closing (our side has finished; the server's end of stream is to come).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Connecting { since: Instant },
    Open,
    Closing { since: Instant },
}

/// How far a receive came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// All that is there now.
    Drained,
    EndOfStream,
    /// The stream is no longer a sequence of answers.
    OutOfStep,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) ledger: Ledger,
    pub(crate) state: State,
    dialogue: Dialogue,
    /// What was not written yet starts at `written`.
    out: Vec<u8>,
    written: usize,
}

impl Connection {
    /// Connects and waits for it.
    pub(crate) fn connected(
        address: SocketAddr,
        limit: Duration,
        number: u32,
        protocol: &Protocol,
    ) -> io::Result<Self> {
        let socket = source::socket_to(address, number)?;
        socket.connect_timeout(&address.into(), limit)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let stream = TcpStream::from_std(socket.into());
        Ok(Self::new(stream, State::Open, number, protocol))
    }

    /// Starts to connect.
    pub(crate) fn connecting(
        address: SocketAddr,
        now: Instant,
        number: u32,
        protocol: &Protocol,
    ) -> io::Result<Self> {
        let socket = source::socket_to(address, number)?;
        socket.set_nonblocking(true)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
            other => other?,
        }
        let stream = TcpStream::from_std(socket.into());
        let state = State::Connecting { since: now };
        Ok(Self::new(stream, state, number, protocol))
    }

    fn new(stream: TcpStream, state: State, number: u32, protocol: &Protocol) -> Self {
        Self {
            stream,
            ledger: Ledger::new(number),
            state,
            dialogue: protocol.dialogue(),
            out: Vec::new(),
            written: 0,
        }
    }

    /// Whether the connection has been made; an error when it cannot be.
    pub(crate) fn finish_connecting(&mut self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => {
                self.stream.set_nodelay(true)?;
                self.state = State::Open;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Queues a request; [`flush`](Self::flush) sends it.
    pub(crate) fn queue(&mut self, due: Instant, now: Instant) {
        let mark = self.ledger.send(due, now);
        self.dialogue.ask(mark, &mut self.out);
    }

    /// Writes what the socket takes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.out.len() {
            match self.stream.write(&self.out[self.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    /// Finishes our side.
    pub(crate) fn close(&mut self, now: Instant) -> io::Result<()> {
        self.state = State::Closing { since: now };
        self.stream.shutdown(Shutdown::Write)
    }

    /// Reads what is there and calls `settled` with each request that is answered. `is_ending`: the
    /// kernel has seen the end of the stream, so reading goes on until it is reached.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        is_ending: bool,
        mut settled: impl FnMut(Request),
    ) -> io::Result<Received> {
        loop {
            let length = match self.stream.read(buffer) {
                Ok(0) => return Ok(Received::EndOfStream),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Received::Drained);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if !self.take(&buffer[..length], &mut settled) {
                return Ok(Received::OutOfStep);
            }
            // A short read has emptied the socket: that saves a call per answer.
            if length < buffer.len() && !is_ending {
                return Ok(Received::Drained);
            }
        }
    }

    /// Accounts for bytes as they came; `false` when they are out of step.
    fn take(&mut self, bytes: &[u8], settled: &mut impl FnMut(Request)) -> bool {
        let Self {
            dialogue, ledger, ..
        } = self;
        dialogue.take(bytes, &mut |answer| match ledger.answer(answer) {
            Verdict::Settled(request) => {
                settled(request);
                true
            }
            Verdict::Fault => true,
            Verdict::OutOfStep => false,
        })
    }

    /// Whether the stream stopped inside an answer.
    pub(crate) fn is_inside_an_answer(&self) -> bool {
        self.dialogue.is_inside_an_answer()
    }

    /// Whether the server has said that it takes no more requests here.
    pub(crate) fn is_told_to_close(&self) -> bool {
        self.dialogue.is_told_to_close()
    }
}
