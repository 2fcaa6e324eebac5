//! Exact fan-out under load, lossless: everybody gets every line of everybody else, once and in
//! each sender's order.

use crate::common::{Client, Server, join_within};
use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// How long the whole exchange may take.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(120);

/// 8 million deliveries: about six seconds on two cores without optimisation.
#[test]
fn every_line_reaches_everybody_else_once_and_in_order() {
    exchange(64, 2000);
}

fn exchange(clients: usize, lines: u32) {
    let server = Server::start(&["--lossless"]);
    // All of them before the first line, so that everybody can expect everything.
    let connected: Vec<_> = (0..clients)
        .map(|_| Client::connect(server.address))
        .collect();
    let start = Instant::now();
    let threads: Vec<_> = connected
        .into_iter()
        .zip(1..)
        .map(|(client, number)| thread::spawn(move || talk(client, number, clients, lines)))
        .collect();
    // One after another; each returns when it has all it should get, and stays connected.
    let connections: Vec<_> = threads
        .into_iter()
        .map(|thread| join_within(EXCHANGE_LIMIT, "a client", thread))
        .collect();
    let took = start.elapsed();
    let stopping = thread::spawn(move || server.stop());
    for (mut connection, mut tally) in connections {
        // Nothing comes twice, so nothing may come now.
        let mut rest = Vec::new();
        connection.read_to_end(&mut rest).unwrap();
        tally.take(&rest);
        assert!(
            tally.is_complete(),
            "client {}: more lines than were sent",
            tally.own
        );
    }
    let report = join_within(EXCHANGE_LIMIT, "the server", stopping).report();
    let lines_delivered = (clients * (clients - 1)) as u64 * u64::from(lines);
    let joined_delivered = (clients * (clients - 1) / 2) as u64;
    assert_eq!(
        report.enqueued,
        lines_delivered + joined_delivered,
        "{report:?}"
    );
    assert_eq!((report.full_drops, report.closed_drops), (0, 0));
    let rate = lines_delivered as f64 / took.as_secs_f64();
    println!("{lines_delivered} lines in {took:.2?}, {rate:.0} a second");
}

/// Sends all lines from another thread and receives until everybody's last line is there.
fn talk(client: Client, number: usize, clients: usize, lines: u32) -> (TcpStream, Tally) {
    let (mut stream, mut tally) = (client.into_stream(), Tally::new(number, clients, lines));
    let mut writing = stream.try_clone().unwrap();
    let writer = thread::spawn(move || {
        use std::io::Write;
        let text: String = (0..lines).map(|line| format!("{line}\n")).collect();
        // In several writes, so that the clients' lines mix.
        for part in text.as_bytes().chunks(1000) {
            writing.write_all(part).unwrap();
        }
    });
    let mut buffer = vec![0; 64 * 1024];
    while !tally.is_complete() {
        let length = stream.read(&mut buffer).expect("a line within the limit");
        assert_ne!(
            length, 0,
            "client {number}: the server closed the connection"
        );
        tally.take(&buffer[..length]);
    }
    writer.join().unwrap();
    (stream, tally)
}

/// What one client has received. It must be fast without optimisation, since 64 of them run on
/// the same machine as the server; so lines are parsed by hand, byte by byte.
struct Tally {
    own: usize,
    lines: u32,
    /// The next line expected from each client; number 0 is nobody.
    next: Vec<u32>,
    missing: u64,
    /// Half a line from the last piece of input.
    part: Vec<u8>,
}

impl Tally {
    fn new(own: usize, clients: usize, lines: u32) -> Self {
        let missing = (clients as u64 - 1) * u64::from(lines);
        Self {
            own,
            lines,
            next: vec![0; clients + 1],
            missing,
            part: Vec::new(),
        }
    }

    fn is_complete(&self) -> bool {
        self.missing == 0
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.part.is_empty() {
                self.take_line(line);
            } else {
                self.part.extend_from_slice(line);
                let line = std::mem::take(&mut self.part);
                self.take_line(&line);
            }
        }
        self.part.extend_from_slice(bytes);
    }

    /// `[client 12] 345` or a notice.
    fn take_line(&mut self, line: &[u8]) {
        if line.starts_with(b"* client ") && line.ends_with(b" joined") {
            return;
        }
        let parsed = line.strip_prefix(b"[client ").and_then(|rest| {
            let (client, rest) = number(rest)?;
            let (line, rest) = number(rest.strip_prefix(b"] ")?)?;
            rest.is_empty().then_some((client as usize, line))
        });
        let Some((client, line)) = parsed.filter(|&(client, _)| client < self.next.len()) else {
            panic!(
                "client {} got {:?}",
                self.own,
                String::from_utf8_lossy(line)
            );
        };
        assert_ne!(client, self.own, "a line came back to its sender");
        let expected = self.next[client];
        assert_eq!(
            line, expected,
            "client {} got a wrong line of client {client}",
            self.own
        );
        assert!(line < self.lines, "client {client} never sent line {line}");
        self.next[client] += 1;
        self.missing -= 1;
    }
}

/// The decimal number at the beginning, and the rest.
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0;
    let mut length = 0;
    while length < bytes.len() && bytes[length].is_ascii_digit() {
        value = value * 10 + u32::from(bytes[length] - b'0');
        length += 1;
    }
    (length > 0).then(|| (value, &bytes[length..]))
}
