//! Owns a chat server that does one thing wrong, and counts how often it did.
//!
//! It has a thread per client and one lock for the whole room, so that what it delivers is in order unless
//! it cheats. Threads end with their connections, which the program under test closes.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// Every how many deliveries to a client it cheats.
const PERIOD: u64 = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChatCheat {
    Honest,
    Drop,
    Double,
    /// Two neighbours in the wrong order.
    Reorder,
    FlipBit,
    /// Under the name of another client.
    Rename,
    /// To the sender as well.
    SendBack,
    /// Ends the receiver's connection, once.
    Close,
}

struct Member {
    number: u64,
    stream: TcpStream,
    deliveries: u64,
    held: Option<Vec<u8>>,
}

struct Shared {
    cheat: ChatCheat,
    cheated: AtomicU64,
    members: Mutex<Vec<Member>>,
}

pub(crate) struct ChatServer {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl ChatServer {
    pub(crate) fn start(cheat: ChatCheat) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            cheat,
            cheated: AtomicU64::new(0),
            members: Mutex::new(Vec::new()),
        });
        let serving = shared.clone();
        // Ends with the test's process.
        thread::spawn(move || {
            for (number, stream) in (1..).zip(listener.incoming().map_while(Result::ok)) {
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
    /// A member before it is greeted: who has read the greeting misses nothing.
    fn serve(&self, number: u64, stream: TcpStream) {
        stream.set_nodelay(true).expect("it is a TCP socket");
        let mut own = stream.try_clone().expect("a socket can be cloned");
        {
            let mut members = self.members.lock().expect("no thread panics");
            for member in members.iter_mut() {
                let notice = format!("* client {number} joined\n");
                let _ = member.stream.write_all(notice.as_bytes());
            }
            members.push(Member {
                number,
                stream: stream.try_clone().expect("a socket can be cloned"),
                deliveries: 0,
                held: None,
            });
            let _ = own.write_all(b"Hello there\n");
        }
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let text = [format!("[client {number}] ").as_bytes(), &line, b"\n"].concat();
            let mut members = self.members.lock().expect("no thread panics");
            for member in members.iter_mut() {
                if member.number == number && self.cheat != ChatCheat::SendBack {
                    continue;
                }
                self.deliver(member, number, text.clone());
            }
        }
        let mut members = self.members.lock().expect("no thread panics");
        members.retain(|member| member.number != number);
    }

    fn deliver(&self, member: &mut Member, sender: u64, mut text: Vec<u8>) {
        member.deliveries += 1;
        if let Some(held) = member.held.take() {
            self.cheated.fetch_add(1, Ordering::SeqCst);
            text.extend_from_slice(&held);
        } else if member.number == sender {
            self.cheated.fetch_add(1, Ordering::SeqCst);
        } else if member.deliveries.is_multiple_of(PERIOD) {
            match self.cheat {
                ChatCheat::Honest | ChatCheat::SendBack => {}
                ChatCheat::Reorder => {
                    member.held = Some(text);
                    return;
                }
                ChatCheat::Close => {
                    if self.cheated.swap(1, Ordering::SeqCst) == 0 {
                        let _ = member.stream.shutdown(std::net::Shutdown::Both);
                    }
                }
                cheat => {
                    self.cheated.fetch_add(1, Ordering::SeqCst);
                    match cheat {
                        ChatCheat::Drop => return,
                        ChatCheat::Double => text.extend_from_within(..),
                        ChatCheat::FlipBit => text[20] ^= 1,
                        _ => text[8] = b'9',
                    }
                }
            }
        }
        // A client that is gone gets nothing.
        let _ = member.stream.write_all(&text);
    }
}
