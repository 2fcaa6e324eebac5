//! `serve http` on the wire: what it answers, what it refuses, how it ends.

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

const GET: &str = "GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n";

struct Server {
    child: Child,
    address: String,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_llam-bench"))
            .args(["serve", "http", "--listen", "127.0.0.1:0", "--workers", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it says something");
        let (_, address) = line.trim_end().split_once(" listening on ").expect(&line);
        Self {
            child,
            address: address.to_owned(),
            stdout,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a socket");
        stream
    }

    /// Sends these bytes and then nothing more; the whole answer with its date replaced.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it is connected");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it ends in time");
        let answer = String::from_utf8(answer).expect("it is text");
        answer
            .lines()
            .filter(|line| !line.starts_with("Date: "))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn requests_are_answered_in_order() {
    let server = Server::start();
    let hello = "HTTP/1.1 200 OK\nServer: llam\nContent-Type: text/plain\nContent-Length: 13\n\n\
                 Hello, World!";
    assert_eq!(server.ask(GET.as_bytes()), hello);
    let several = format!(
        "{GET}GET /else HTTP/1.1\r\n\r\nDELETE /echo HTTP/1.1\r\n\r\n\
         POST /echo HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde{GET}"
    );
    let answers = server.ask(several.as_bytes());
    let statuses: Vec<_> = answers
        .split("HTTP/1.1 ")
        .filter_map(|answer| answer.get(..3))
        .collect();
    assert_eq!(statuses, ["200", "404", "405", "200", "200"], "{answers}");
    assert!(
        answers.contains("Content-Length: 5\n\nabcdeHTTP"),
        "{answers}"
    );
}

#[test]
fn a_long_body_comes_back() {
    let server = Server::start();
    let body: String = (0..300_000).map(|n| format!("{n},")).collect();
    let request = format!(
        "POST /echo HTTP/1.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = server.connect();
    let mut writing = stream.try_clone().expect("a socket can be cloned");
    let writer = std::thread::spawn(move || {
        writing.write_all(request.as_bytes()).expect("it reads");
        writing.shutdown(Shutdown::Write).expect("it is connected");
    });
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it ends in time");
    writer.join().expect("everything was sent");
    let (_, found) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(found == body, "{} bytes of {}", found.len(), body.len());
}

#[test]
fn what_cannot_be_followed_is_refused_and_ends_the_connection() {
    let server = Server::start();
    for (request, status) in [
        ("nonsense\r\n\r\n", 400),
        ("GET /plaintext HTTP/1.0\r\n\r\n", 505),
        (
            "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            411,
        ),
        (
            "POST /echo HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
            413,
        ),
        (&format!("GET /{} HTTP/1.1\r\n", "x".repeat(20_000)), 431),
    ] {
        let answer = server.ask([request, GET].concat().as_bytes());
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{request:.40}: {answer}");
        assert!(answer.contains("\nConnection: close\n"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
    let last = "GET /plaintext HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answer = server.ask([last, GET].concat().as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
}

#[test]
fn a_signal_ends_it_though_clients_are_connected() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.write_all(GET.as_bytes()).expect("it reads");
    let mut first = [0; 1];
    client.read_exact(&mut first).expect("it answers");
    kill_process(Pid::from_child(&server.child), Signal::TERM).expect("it runs");
    let end = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = server.child.try_wait().expect("a child can be waited for") {
            break status;
        }
        assert!(Instant::now() < end, "it does not end");
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(status.success(), "{status}");
    let mut rest = String::new();
    server.stdout.read_to_string(&mut rest).expect("it is text");
    assert_eq!(rest, "");
}
