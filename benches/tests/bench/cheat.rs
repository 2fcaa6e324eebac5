//! Owns an echo or HTTP server that does one thing wrong, and counts how often it did.
//!
//! It has a thread per connection; `wire` knows the protocol. Threads end with their connections,
//! which the program under test closes.

use crate::wire::Wire;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Every how many messages of a connection it cheats.
const PERIOD: u64 = 20;

/// How long a message that is held back waits for the next one.
const HOLD: Duration = Duration::from_millis(200);

/// When a stalling server stalls, after its first connection, and for how long.
const STALL_AFTER: Duration = Duration::from_millis(500);
pub(crate) const STALL: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cheat {
    /// None: every message comes back.
    Honest,
    Drop,
    Double,
    /// Two neighbours of one connection in the wrong order.
    Swap,
    /// A message of another connection in place of the right one.
    SwapAcross,
    FlipInBody,
    FlipInHeader,
    /// One byte less: everything after it is shifted.
    CutByte,
    /// HTTP only: a status other than 200.
    WrongStatus,
    /// HTTP only: a Content-Length that is one byte too much, or too little.
    LongLength,
    ShortLength,
    /// HTTP only, and honest: the connection's last answer says so.
    SayClose,
    Close,
    /// Once, for all connections.
    Stall,
    /// 5 ms for each message.
    Slow,
}

/// What the threads of one server share.
struct Shared {
    wire: Wire,
    cheat: Cheat,
    cheated: AtomicU64,
    /// Held while answering, so that a stall stops everybody.
    turn: Mutex<()>,
    began: Instant,
    has_stalled: AtomicBool,
    /// The last message of some connection, for [`Cheat::SwapAcross`].
    latest: Mutex<Option<(u64, Vec<u8>)>>,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// An echo server.
    pub(crate) fn start(cheat: Cheat) -> Self {
        Self::speaking(Wire::Echo, cheat)
    }

    pub(crate) fn speaking(wire: Wire, cheat: Cheat) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            wire,
            cheat,
            cheated: AtomicU64::new(0),
            turn: Mutex::new(()),
            began: Instant::now(),
            has_stalled: AtomicBool::new(false),
            latest: Mutex::new(None),
        });
        let serving = shared.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for (number, stream) in (0..).zip(listener.incoming().map_while(Result::ok)) {
                let shared = serving.clone();
                thread::spawn(move || shared.serve(number, stream));
            }
        });
        Self { address, shared }
    }

    /// How often it has cheated.
    pub(crate) fn cheated(&self) -> u64 {
        self.shared.cheated.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// Errors end the connection; the other side sees that.
    fn serve(&self, number: u64, mut stream: TcpStream) {
        stream.set_nodelay(true).expect("it is a TCP socket");
        let mut input = Vec::new();
        let mut held = None;
        for count in 1.. {
            let Some(message) = self.next(&mut stream, &mut input, &mut held) else {
                return;
            };
            let _turn = self.turn.lock().expect("no thread panics");
            let answer = self.answer(number, count, message, &mut held);
            let Some(answer) = answer else {
                return;
            };
            if stream.write_all(&answer).is_err() {
                return;
            }
            if self.cheat == Cheat::SayClose && count == PERIOD {
                return;
            }
        }
    }

    /// The next whole message; sends the one that is held when none comes.
    fn next(
        &self,
        stream: &mut TcpStream,
        input: &mut Vec<u8>,
        held: &mut Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        loop {
            if let Some((message, length)) = self.wire.message(input) {
                input.drain(..length);
                return Some(message);
            }
            stream
                .set_read_timeout(held.is_some().then_some(HOLD))
                .expect("it is a socket");
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(length) => input.extend_from_slice(&bytes[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let message = held.take()?;
                    stream.write_all(&self.wire.answer(&message)).ok()?;
                }
                Err(_) => return None,
            }
        }
    }

    /// The bytes to send for the `count`-th message; `None` ends the connection.
    fn answer(
        &self,
        number: u64,
        count: u64,
        mut message: Vec<u8>,
        held: &mut Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        if let Some(first) = held.take() {
            self.cheated.fetch_add(1, Ordering::SeqCst);
            return Some([self.wire.answer(&message), self.wire.answer(&first)].concat());
        }
        match self.cheat {
            Cheat::Stall => self.stall_once(),
            Cheat::Slow => thread::sleep(Duration::from_millis(5)),
            Cheat::SwapAcross => return Some(self.swap_across(number, count, message)),
            Cheat::Swap if count.is_multiple_of(PERIOD) => {
                *held = Some(message);
                return Some(Vec::new());
            }
            _ if self.cheat == Cheat::Honest || !count.is_multiple_of(PERIOD) => {}
            cheat => {
                self.cheated.fetch_add(1, Ordering::SeqCst);
                let last = message.len() - 1;
                let mut answer = self.wire.answer(&message);
                match cheat {
                    Cheat::Drop => answer.clear(),
                    Cheat::Double => answer.extend_from_within(..),
                    Cheat::FlipInBody => {
                        message[last] ^= 0x10;
                        answer = self.wire.answer(&message);
                    }
                    Cheat::FlipInHeader => answer[9] ^= 0x10,
                    Cheat::CutByte => drop(answer.pop()),
                    Cheat::WrongStatus => answer = Wire::head(503, last + 1, &message),
                    Cheat::LongLength => answer = Wire::head(200, last + 2, &message),
                    Cheat::ShortLength => answer = Wire::head(200, last, &message),
                    Cheat::SayClose => {
                        let close = b"HTTP/1.1 200 OK\r\nConnection: close\r\n";
                        answer.splice(..b"HTTP/1.1 200 OK\r\n".len(), close.iter().copied());
                    }
                    _ => return None,
                }
                return Some(answer);
            }
        }
        Some(self.wire.answer(&message))
    }

    fn stall_once(&self) {
        if self.began.elapsed() >= STALL_AFTER && !self.has_stalled.swap(true, Ordering::SeqCst) {
            self.cheated.fetch_add(1, Ordering::SeqCst);
            thread::sleep(STALL);
        }
    }

    fn swap_across(&self, number: u64, count: u64, message: Vec<u8>) -> Vec<u8> {
        let mut latest = self.latest.lock().expect("no thread panics");
        match latest.replace((number, message.clone())) {
            Some((other, foreign)) if other != number && count.is_multiple_of(PERIOD) => {
                self.cheated.fetch_add(1, Ordering::SeqCst);
                self.wire.answer(&foreign)
            }
            _ => self.wire.answer(&message),
        }
    }
}
