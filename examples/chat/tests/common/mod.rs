//! Owns what the end-to-end tests share: the server as a child process, and clients with
//! deadlines.
//!
//! Invariants: every wait here has a deadline ([`LIMIT`] unless told otherwise); a server is
//! killed when its value is dropped, so a failed test leaves no process behind.
//!
//! The server inherits the environment, so that a test run can be repeated with another
//! `LLAM_IO_BACKEND` or `LLAM_WORKERS`.

// Two test programs include this file, and each uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything that should happen soon may take, also on a loaded machine.
pub const LIMIT: Duration = Duration::from_secs(20);

pub const WELCOME: &str = "Welcome to LLAM chat. Type and press enter.";

/// The program under test, with the variables that the tests set themselves removed.
pub fn chat() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chat"));
    for name in [
        "LLAM_CHAT_QUIET",
        "LLAM_CHAT_LOSSLESS",
        "LLAM_CHAT_STATS_PATH",
    ] {
        command.env_remove(name);
    }
    command
}

/// A running server.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// The line it printed when it began to listen.
    pub first_line: String,
    lines: Receiver<String>,
}

/// What a server left behind.
#[derive(Debug)]
pub struct Stopped {
    pub status: ExitStatus,
    /// What it printed after the first line.
    pub lines: Vec<String>,
    /// How long it took from the signal to the exit.
    pub took: Duration,
}

impl Server {
    /// Starts a server on a free port of the loopback address.
    pub fn start(arguments: &[&str]) -> Self {
        Self::spawn(chat().args(["0", "--quiet"]).args(arguments))
    }

    /// Starts a command that ends up as a server, and waits until it listens.
    pub fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Self {
            child,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            first_line: String::new(),
            lines,
        };
        server.first_line = server
            .lines
            .recv_timeout(LIMIT)
            .expect("the server says it listens");
        let rest = server
            .first_line
            .strip_prefix("LLAM chat server listening on ");
        let address = rest.and_then(|rest| rest.split(' ').next());
        server.address = address
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("no address in {:?}", server.first_line));
        server
    }

    /// Its standard error, if that is piped.
    pub fn stderr(&mut self) -> ChildStderr {
        self.child.stderr.take().expect("it is piped")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its short name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh")
            .args(["-c", &kill])
            .status()
            .expect("there is a shell");
        assert!(status.success(), "{kill} failed");
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(self) -> Stopped {
        self.stop_with("TERM")
    }

    pub fn stop_with(self, signal: &str) -> Stopped {
        let start = Instant::now();
        self.signal(signal);
        self.wait(start)
    }

    /// Waits for the exit after a signal sent at `start`.
    pub fn wait(mut self, start: Instant) -> Stopped {
        let status = wait_for_exit(&mut self.child);
        let took = start.elapsed();
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(LIMIT) {
            lines.push(line);
        }
        Stopped {
            status,
            lines,
            took,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a process; kills it and fails when that takes too long.
pub fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!("process {} did not end within {LIMIT:?}", child.id());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

impl Stopped {
    /// The numbers of the closing line, checked: exit code 0, one line, closed accounts.
    pub fn report(&self) -> Report {
        assert!(
            self.status.success(),
            "the server ended with {:?}",
            self.status
        );
        let [line] = &self.lines[..] else {
            panic!("not one closing line: {:?}", self.lines)
        };
        Report::parse(line)
    }
}

/// The counters of the closing line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    pub full_drops: u64,
    pub closed_drops: u64,
    pub created: u64,
    pub attempted: u64,
    pub enqueued: u64,
}

impl Report {
    pub fn parse(line: &str) -> Self {
        let pairs = line
            .strip_prefix("server stopped; ")
            .expect("the closing line's beginning");
        let names: Vec<_> = pairs
            .split(' ')
            .map(|pair| pair.split('=').next().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "outbox_full_drops",
                "outbox_closed_drops",
                "broadcast_messages_created",
                "broadcast_deliveries_attempted",
                "broadcast_deliveries_enqueued"
            ]
        );
        let values: HashMap<_, u64> = pairs
            .split(' ')
            .map(|pair| pair.split_once('=').expect("a name and a value"))
            .map(|(name, value)| (name, value.parse().expect("a number")))
            .collect();
        let report = Self {
            full_drops: values["outbox_full_drops"],
            closed_drops: values["outbox_closed_drops"],
            created: values["broadcast_messages_created"],
            attempted: values["broadcast_deliveries_attempted"],
            enqueued: values["broadcast_deliveries_enqueued"],
        };
        assert_eq!(
            report.attempted,
            report.enqueued + report.full_drops + report.closed_drops,
            "the accounts do not close: {line}"
        );
        report
    }
}

/// A client that reads line by line.
pub struct Client {
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects and waits for the greeting.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, LIMIT).expect("the server accepts");
        Self::greeted(stream)
    }

    /// Takes over a connection and waits for the greeting.
    pub fn greeted(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self {
            reader: BufReader::with_capacity(64 * 1024, stream),
        };
        assert_eq!(client.line().as_deref(), Some(WELCOME));
        client
    }

    /// Takes over a connection whose greeting has been read.
    pub fn from_greeted(stream: TcpStream) -> Self {
        Self {
            reader: BufReader::new(stream),
        }
    }

    /// Gives the connection back; nothing may have been read ahead.
    pub fn into_stream(self) -> TcpStream {
        assert_eq!(self.reader.buffer(), b"", "read ahead");
        self.reader.into_inner()
    }

    pub fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    pub fn send(&self, bytes: impl AsRef<[u8]>) {
        self.stream()
            .write_all(bytes.as_ref())
            .expect("the server reads");
    }

    /// The client has no more to say.
    pub fn finish(&self) {
        self.stream().shutdown(Shutdown::Write).unwrap();
    }

    /// The next line without its newline; `None` at the end of the stream.
    pub fn line(&mut self) -> Option<String> {
        self.bytes()
            .map(|bytes| String::from_utf8(bytes).expect("UTF-8"))
    }

    /// As [`Client::line`], for lines that need not be text.
    pub fn bytes(&mut self) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        self.reader
            .read_until(b'\n', &mut line)
            .expect("a line or the end within the limit");
        match line.pop() {
            None => None,
            Some(b'\n') => Some(line),
            Some(_) => panic!("the stream ended within a line: {line:?}"),
        }
    }

    /// The next line must be this one.
    #[track_caller]
    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.line().as_deref(), Some(line));
    }

    /// Reads and forgets everything; a reset is an end, a timeout is not.
    pub fn drain(&mut self) {
        let drained = std::io::copy(&mut self.reader, &mut std::io::sink());
        if let Err(error) = drained {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }

    /// The stream must end here; a reset counts as an end.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        let _ = self.reader.read_to_end(&mut rest);
        assert_eq!(String::from_utf8_lossy(&rest), "", "more than expected");
    }
}

/// Connects with a receive buffer of about this size: an unread connection fills up soon.
pub fn connect_with_buffer(address: SocketAddr, bytes: usize) -> TcpStream {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )
    .unwrap();
    socket.set_recv_buffer_size(bytes).unwrap();
    socket
        .connect_timeout(&address.into(), LIMIT)
        .expect("the server accepts");
    socket.into()
}

/// Closes with a reset instead of an orderly end.
pub fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
}

/// Joins a thread; fails when it does not end in time.
pub fn join_within<T>(limit: Duration, what: &str, thread: thread::JoinHandle<T>) -> T {
    let end = Instant::now() + limit;
    while !thread.is_finished() {
        assert!(Instant::now() < end, "{what} did not end within {limit:?}");
        thread::sleep(Duration::from_millis(2));
    }
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
