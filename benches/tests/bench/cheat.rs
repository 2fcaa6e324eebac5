//! Owns an echo server that does one thing wrong, and counts how often it did.
//!
//! It has a thread per connection and knows the size of a message. Threads end with their
//! connections, which the program under test closes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Bytes of a message: what `llam-bench echo` sends by default.
pub(crate) const SIZE: usize = 64;

/// Every how many messages of a connection it cheats.
const PERIOD: u64 = 20;

/// How long a message that is held back waits for the next one.
const HOLD: Duration = Duration::from_millis(200);

/// When a stalling server stalls, after its first connection, and for how long.
const STALL_AFTER: Duration = Duration::from_millis(500);
pub(crate) const STALL: Duration = Duration::from_millis(300);

type Message = [u8; SIZE];

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
    Close,
    /// Once, for all connections.
    Stall,
    /// 5 ms for each message.
    Slow,
}

/// What the threads of one server share.
struct Shared {
    cheat: Cheat,
    cheated: AtomicU64,
    /// Held while answering, so that a stall stops everybody.
    turn: Mutex<()>,
    began: Instant,
    has_stalled: AtomicBool,
    /// The last message of some connection, for [`Cheat::SwapAcross`].
    latest: Mutex<Option<(u64, Message)>>,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(crate) fn start(cheat: Cheat) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
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
        let mut held = None;
        for count in 1.. {
            let Some(message) = self.next(&mut stream, &mut held) else {
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
        }
    }

    /// The next whole message; sends the one that is held when none comes.
    fn next(&self, stream: &mut TcpStream, held: &mut Option<Message>) -> Option<Message> {
        let mut message = [0; SIZE];
        let mut length = 0;
        stream
            .set_read_timeout(held.map(|_| HOLD))
            .expect("it is a socket");
        while length < SIZE {
            match stream.read(&mut message[length..]) {
                Ok(0) => return None,
                Ok(more) => length += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if let Some(message) = held.take() {
                        stream.write_all(&message).ok()?;
                        stream.set_read_timeout(None).expect("it is a socket");
                    }
                }
                Err(_) => return None,
            }
        }
        Some(message)
    }

    /// The bytes to send for the `count`-th message; `None` ends the connection.
    fn answer(
        &self,
        number: u64,
        count: u64,
        mut message: Message,
        held: &mut Option<Message>,
    ) -> Option<Vec<u8>> {
        if let Some(first) = held.take() {
            self.cheated.fetch_add(1, Ordering::SeqCst);
            return Some([message, first].concat());
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
                match cheat {
                    Cheat::Drop => return Some(Vec::new()),
                    Cheat::Double => return Some([message, message].concat()),
                    Cheat::FlipInBody => message[SIZE - 1] ^= 0x10,
                    Cheat::FlipInHeader => message[9] ^= 0x10,
                    Cheat::CutByte => return Some(message[1..].to_vec()),
                    _ => return None,
                }
            }
        }
        Some(message.to_vec())
    }

    fn stall_once(&self) {
        if self.began.elapsed() >= STALL_AFTER && !self.has_stalled.swap(true, Ordering::SeqCst) {
            self.cheated.fetch_add(1, Ordering::SeqCst);
            thread::sleep(STALL);
        }
    }

    fn swap_across(&self, number: u64, count: u64, message: Message) -> Vec<u8> {
        let mut latest = self.latest.lock().expect("no thread panics");
        let answer = match *latest {
            Some((other, foreign)) if other != number && count.is_multiple_of(PERIOD) => {
                self.cheated.fetch_add(1, Ordering::SeqCst);
                foreign
            }
            _ => message,
        };
        *latest = Some((number, message));
        answer.to_vec()
    }
}
