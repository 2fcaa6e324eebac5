//! What a stop signal does: connections end, one line, exit code 0.

use crate::server::{LIMIT, Server};
use std::io::{Read, Write};
use std::time::Duration;

const STOP_LIMIT: Duration = Duration::from_secs(5);

#[test]
fn sigterm_and_sigint_end_an_idle_server() {
    for signal in ["TERM", "INT"] {
        let stopped = Server::start(&[]).stop_with(signal);
        assert_eq!(stopped.report(), (0, 0));
        assert!(stopped.took < STOP_LIMIT, "it took {:?}", stopped.took);
    }
}

#[test]
fn the_closing_line_counts_connections_and_bytes() {
    let server = Server::start(&["--workers", "2"]);
    for _ in 0..3 {
        let mut stream = server.connect();
        stream.write_all(b"hello").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
    }
    assert_eq!(server.stop_with("TERM").report(), (3, 15));
}

#[test]
fn open_connections_are_ended() {
    let server = Server::start(&[]);
    let mut streams: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }
    let stopped = server.stop_with("INT");
    assert_eq!(stopped.report(), (20, 20));
    assert!(stopped.took < STOP_LIMIT, "it took {:?}", stopped.took);
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "the connection goes on");
    }
}

#[test]
fn a_peer_that_never_pauses_cannot_keep_the_server_from_stopping() {
    let server = Server::start(&[]);
    let mut writing = server.connect();
    let mut reading = writing.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        let piece = vec![1; 64 * 1024];
        while writing.write_all(&piece).is_ok() {}
    });
    let mut buffer = vec![0; 64 * 1024];
    reading.read_exact(&mut buffer).unwrap();
    let reader = std::thread::spawn(move || {
        // Until the end or a reset.
        while let Ok(1..) = reading.read(&mut buffer) {}
    });
    let stopped = server.stop_with("TERM");
    assert_eq!(stopped.report().0, 1);
    assert!(stopped.took < STOP_LIMIT, "it took {:?}", stopped.took);
    crate::server::join_within(LIMIT, "the reader", reader);
    crate::server::join_within(LIMIT, "the writer", writer);
}
