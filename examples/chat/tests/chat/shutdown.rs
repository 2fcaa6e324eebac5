//! What a stop signal does: flush, end everything, one line, exit code 0.

use crate::common::{Client, Report, Server, chat, connect_with_buffer};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// More than the second that flushing may take, for the rest and for a loaded machine.
const STOP_LIMIT: Duration = Duration::from_secs(6);

/// A path of its own for each test, removed at the end.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str) -> Self {
        let name = format!("llam-chat-{name}-{}.stats", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn sigterm_and_sigint_end_an_idle_server() {
    for signal in ["TERM", "INT"] {
        let stopped = Server::start(&[]).stop_with(signal);
        let report = stopped.report();
        assert_eq!((report.created, report.attempted), (0, 0));
    }
}

#[test]
fn clients_see_the_end_of_the_stream_and_nobody_is_accepted_any_more() {
    let server = Server::start(&[]);
    let address = server.address;
    let mut first = Client::connect(address);
    let mut second = Client::connect(address);
    first.expect("* client 2 joined");
    server.stop().report();
    first.expect_end();
    second.expect_end();
    assert!(std::net::TcpStream::connect_timeout(&address, STOP_LIMIT).is_err());
}

#[test]
fn everything_queued_is_flushed() {
    let server = Server::start(&["--lossless"]);
    let mut slow = Client::greeted(connect_with_buffer(server.address, 32 * 1024));
    let mut sender = Client::connect(server.address);
    slow.expect("* client 2 joined");
    let line = "x".repeat(4000);
    // Far more than outbox and socket buffers hold, so the sender's task waits for room and the
    // outbox is full when the signal comes.
    let lines = 2000;
    let sending = std::thread::spawn(move || {
        use std::io::Write;
        let text = format!("{line}\n");
        for _ in 0..lines {
            // Fails when the server goes.
            if sender.stream().write_all(text.as_bytes()).is_err() {
                break;
            }
        }
        sender.drain();
    });
    assert!(
        slow.line()
            .is_some_and(|line| line.starts_with("[client 2] xxx"))
    );
    let start = Instant::now();
    server.signal("TERM");
    let mut received = 2;
    while let Some(line) = slow.line() {
        assert_eq!(line.len(), "[client 2] ".len() + 4000);
        received += 1;
    }
    let report = server.wait(start).report();
    crate::common::join_within(crate::common::LIMIT, "the sender", sending);
    // The sender got no delivery: it came last and nobody else has spoken.
    assert_eq!(received, report.enqueued, "{report:?}");
    assert!(received < lines, "nothing was left to flush");
}

#[test]
fn a_client_that_never_reads_delays_the_end_by_a_second_only() {
    let server = Server::start(&["--lossless"]);
    let _mute = Client::greeted(connect_with_buffer(server.address, 4096));
    let mut sender = Client::connect(server.address);
    let line = format!("{}\n", "x".repeat(4000));
    sender
        .stream()
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    // Until nothing fits any more: outbox, socket buffers and the sender's own are all full.
    while std::io::Write::write_all(&mut sender.stream(), line.as_bytes()).is_ok() {}
    let stopped = server.stop();
    let report = stopped.report();
    assert!(stopped.took < STOP_LIMIT, "it took {:?}", stopped.took);
    assert!(
        report.closed_drops >= 1,
        "the waiting delivery must be counted: {report:?}"
    );
    assert_eq!(report.full_drops, 0);
    sender.drain();
}

#[test]
fn clients_that_never_pause_cannot_keep_the_server_from_stopping() {
    let server = Server::start(&[]);
    let address = server.address;
    let flooders: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = Client::connect(address);
                let mut reader = Client::from_greeted(client.stream().try_clone().unwrap());
                let draining = std::thread::spawn(move || reader.drain());
                let text = "flood\n".repeat(1000);
                while std::io::Write::write_all(&mut client.stream(), text.as_bytes()).is_ok() {}
                draining.join().unwrap();
                client.drain();
            })
        })
        .collect();
    let mut witness = Client::connect(address);
    // The flood is on.
    while !witness.line().expect("the server runs").ends_with("flood") {}
    let start = Instant::now();
    server.signal("TERM");
    witness.drain();
    let stopped = server.wait(start);
    stopped.report();
    assert!(stopped.took < STOP_LIMIT, "it took {:?}", stopped.took);
    for flooder in flooders {
        crate::common::join_within(crate::common::LIMIT, "a flooder", flooder);
    }
}

#[test]
fn the_closing_line_is_appended_to_the_statistics_file() {
    let file = TemporaryFile::new("append");
    let mut expected = String::from("an older line\n");
    fs::write(&file.0, &expected).unwrap();
    for clients in [1, 2] {
        let server = Server::spawn(
            chat()
                .args(["0", "--quiet"])
                .env("LLAM_CHAT_STATS_PATH", &file.0),
        );
        for _ in 0..clients {
            Client::connect(server.address);
        }
        let stopped = server.stop();
        stopped.report();
        expected += &format!("{}\n", stopped.lines[0]);
    }
    let written = fs::read_to_string(&file.0).unwrap();
    assert_eq!(written, expected);
    for line in written.lines().skip(1) {
        Report::parse(line);
    }
}

#[test]
fn a_statistics_file_that_cannot_be_written_is_one_line_and_exit_code_1() {
    use std::io::Read;
    use std::process::Stdio;
    // A full disk shows only when the line is written; the closing line is printed all the same.
    let mut command = chat();
    command
        .args(["0", "--quiet"])
        .env("LLAM_CHAT_STATS_PATH", "/dev/full")
        .stderr(Stdio::piped());
    let mut server = Server::spawn(&mut command);
    let mut stderr = server.stderr();
    let stopped = server.stop();
    assert_eq!(stopped.status.code(), Some(1));
    assert_eq!(stopped.lines.len(), 1, "{:?}", stopped.lines);
    let mut log = String::new();
    stderr.read_to_string(&mut log).unwrap();
    assert_eq!(log.lines().count(), 1, "{log:?}");
    assert!(log.contains("/dev/full"), "{log:?}");
}
