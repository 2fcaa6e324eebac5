//! Chat servers: the protocol of `examples/chat`.

use rival_tests::list::Entry;
use rival_tests::running::Running;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};

const CLIENTS: usize = 4;
/// As many as an outbox holds: nothing may be dropped in either mode when somebody reads in between.
const LINES: usize = 50;
const ROUNDS: usize = 10;
const LONGEST_LINE_BYTES: usize = 4096;

struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects and reads the greeting, so that everybody who connects later is told of.
    fn connect(server: &Running) -> Self {
        let stream = server.connect();
        let reader = BufReader::new(stream.try_clone().expect("a socket"));
        let mut client = Self { stream, reader };
        let greeting = client.line().expect("a greeting");
        assert!(greeting.starts_with("Welcome to "), "{greeting:?}");
        client
    }

    /// Without its end. `None`: the server has ended the connection.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line).expect("a line in time");
        (!line.is_empty()).then(|| line.strip_suffix('\n').expect("a whole line").to_owned())
    }

    fn expect(&mut self, expected: &str) {
        assert_eq!(self.line().as_deref(), Some(expected));
    }

    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("sent");
    }
}

pub(crate) fn check(entry: &Entry, mode: &str) {
    let server = Running::start(&entry.command, &["--mode", mode], 1);
    let mut clients: Vec<Client> = Vec::new();
    for number in 1..=CLIENTS {
        let newcomer = Client::connect(&server);
        for earlier in &mut clients {
            earlier.expect(&format!("* client {number} joined"));
        }
        clients.push(newcomer);
    }
    lines_go_to_all_others(&mut clients);
    lines_are_cut_where_they_end(&mut clients);
    leaving_is_told(&mut clients);
    server.stop();
}

fn lines_go_to_all_others(clients: &mut [Client]) {
    for round in 0..ROUNDS {
        for sender in 0..clients.len() {
            let text: String = (0..LINES).map(|line| format!("{round} {line}\n")).collect();
            clients[sender].send(&text);
            for (number, client) in clients.iter_mut().enumerate() {
                if number != sender {
                    for line in 0..LINES {
                        client.expect(&format!("[client {}] {round} {line}", sender + 1));
                    }
                }
            }
        }
    }
}

fn lines_are_cut_where_they_end(clients: &mut [Client]) {
    for part in ["one\ntw", "o\r\n\nfo", "ur\r", "\nfi\rve\n"] {
        clients[0].send(part);
    }
    for line in ["one", "two", "", "four", "fi\rve"] {
        clients[1].expect(&format!("[client 1] {line}"));
    }
    let longest = "x".repeat(LONGEST_LINE_BYTES);
    clients[0].send(&format!("{longest}{longest}y\r\nnext\n"));
    clients[1].expect(&format!("[client 1] {longest}"));
    clients[1].expect("[client 1] next");
}

fn leaving_is_told(clients: &mut Vec<Client>) {
    let mut first = clients.remove(0);
    first.send("half a line");
    first
        .stream
        .shutdown(Shutdown::Write)
        .expect("a connection");
    clients[0].expect("[client 1] half a line");
    clients[0].expect("* client 1 left");
    assert_eq!(first.line(), None, "nothing was said to the one that left");
}
