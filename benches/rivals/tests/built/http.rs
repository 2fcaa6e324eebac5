//! HTTP servers: the plaintext answer, alone, pipelined, and to requests that come in pieces.

use rival_tests::list::{Entry, Role};
use rival_tests::running::Running;
use std::io::{Read, Write};
use std::net::TcpStream;

const REQUEST: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: localhost\r\nUser-Agent: check\r\n\
Accept: text/plain,text/html;q=0.9\r\nConnection: keep-alive\r\n\r\n";
const BODY: &[u8] = b"Hello, World!";
const DEPTHS: &[usize] = &[1, 2, 16, 100];
const CONNECTIONS: usize = 8;
const MAX_HEAD_BYTES: usize = 1024;

pub(crate) fn check(entry: &Entry, workers: usize) {
    let server = Running::start(&entry.command, &[], workers);
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    for stream in &mut streams {
        for &depth in DEPTHS {
            stream.write_all(&REQUEST.repeat(depth)).expect("sent");
            for _ in 0..depth {
                check_answer(stream, entry.role);
            }
        }
    }
    for stream in &mut streams {
        in_pieces(stream, entry.role);
    }
    for stream in &mut streams {
        stream.write_all(REQUEST).expect("sent");
    }
    for stream in &mut streams {
        check_answer(stream, entry.role);
        nothing_more(stream);
    }
    server.stop();
}

/// Requests that are cut in the middle, within the end of a head, and before and behind it. A whole one is
/// answered when nothing of the next one has come: hyper, told to write pipelined answers together, waits
/// for the rest otherwise.
fn in_pieces(stream: &mut TcpStream, role: Role) {
    for cuts in [&[10][..], &[REQUEST.len() - 2], &[1, REQUEST.len() - 1]] {
        let mut sent = 0;
        for end in cuts.iter().copied().chain([REQUEST.len()]) {
            stream.write_all(&REQUEST[sent..end]).expect("sent");
            sent = end;
        }
        check_answer(stream, role);
    }
    let requests = REQUEST.repeat(2);
    let (first, second) = requests.split_at(REQUEST.len() + 1);
    stream.write_all(first).expect("sent");
    stream.write_all(second).expect("sent");
    check_answer(stream, role);
    check_answer(stream, role);
}

/// Reads one answer to its last byte and no further.
fn check_answer(stream: &mut TcpStream, role: Role) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
        assert!(head.len() < MAX_HEAD_BYTES, "the head does not end");
    }
    let head = String::from_utf8(head).expect("a head is text");
    let mut lines = head.lines();
    let status = lines.next().unwrap_or_default();
    assert!(status.starts_with("HTTP/1.1 200 "), "{head}");
    let header = |name: &str| {
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut values = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim().to_owned())
    };
    assert_eq!(header("content-length").as_deref(), Some("13"), "{head}");
    let media = header("content-type").unwrap_or_default();
    assert!(media.starts_with("text/plain"), "{head}");
    if role == Role::Peer {
        let date = header("date").unwrap_or_default();
        assert!(date.ends_with(" GMT") && date.len() == 29, "{head}");
        assert!(
            header("server").is_some_and(|name| !name.is_empty()),
            "{head}"
        );
    }
    let mut body = [0; BODY.len()];
    stream.read_exact(&mut body).expect("a body");
    assert_eq!(body, BODY);
}

/// Whatever the server had written before a later answer would be here by now.
fn nothing_more(stream: &mut TcpStream) {
    stream.set_nonblocking(true).expect("a socket");
    let error = stream
        .read(&mut [0])
        .expect_err("bytes that nobody asked for");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
}
