//! Echo servers: every byte comes back, in order, whatever the sizes and however many are on their way.

use rival_tests::list::Entry;
use rival_tests::running::Running;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

const CONNECTIONS: usize = 8;
/// Around the servers' buffer of 4096 bytes, and beyond it.
const SIZES: &[usize] = &[1, 2, 64, 1000, 4095, 4096, 4097, 8192, 20_000];
/// More than the buffers of two sockets hold: the server has to wait until somebody reads.
const LARGE_BYTES: usize = 16 << 20;
const SHORT_CONNECTIONS: usize = 200;

pub(crate) fn check(entry: &Entry, workers: usize) {
    let server = Running::start(&entry.command, &[], workers);
    let mut streams: Vec<_> = (0..CONNECTIONS).map(|_| server.connect()).collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        messages_one_by_one(stream, number);
    }
    // All connections at once, each with all of its messages on their way.
    for (number, stream) in streams.iter_mut().enumerate() {
        for &size in SIZES {
            stream.write_all(&pattern(number, size)).expect("sent");
        }
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        for &size in SIZES {
            assert_eq!(receive(stream, size), pattern(number, size), "size {size}");
        }
    }
    more_than_the_sockets_hold(&server);
    for number in 0..SHORT_CONNECTIONS {
        let mut stream = server.connect();
        stream.write_all(&pattern(number, 100)).expect("sent");
        assert_eq!(receive(&mut stream, 100), pattern(number, 100));
    }
    // The first connections are still served, and one that is done sending is closed.
    let mut first = streams.swap_remove(0);
    messages_one_by_one(&mut first, 0);
    first
        .shutdown(std::net::Shutdown::Write)
        .expect("a connection");
    assert_eq!(
        first.read(&mut [0]).expect("an end"),
        0,
        "bytes that nobody sent"
    );
    server.stop();
}

/// Bytes that tell connection and place, so that a swap or a loss is seen.
fn pattern(connection: usize, size: usize) -> Vec<u8> {
    let mut state = (connection as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ size as u64;
    (0..size)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

fn receive(stream: &mut TcpStream, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    stream
        .read_exact(&mut bytes)
        .expect("everything comes back");
    bytes
}

fn messages_one_by_one(stream: &mut TcpStream, number: usize) {
    for &size in SIZES {
        let message = pattern(number, size);
        stream.write_all(&message).expect("sent");
        assert_eq!(receive(stream, size), message, "size {size}");
    }
}

/// The reader begins only when the writer cannot go on.
fn more_than_the_sockets_hold(server: &Running) {
    let mut stream = server.connect();
    let mut writing = stream.try_clone().expect("a socket");
    let bytes = pattern(CONNECTIONS, LARGE_BYTES);
    let expected = bytes.clone();
    writing.set_nonblocking(true).expect("a socket");
    let mut sent = 0;
    while let Ok(length) = writing.write(&bytes[sent..]) {
        sent += length;
        assert!(sent < LARGE_BYTES, "the sockets hold it all: send more");
    }
    writing.set_nonblocking(false).expect("a socket");
    let writer = thread::spawn(move || writing.write_all(&bytes[sent..]).expect("sent"));
    assert!(receive(&mut stream, LARGE_BYTES) == expected, "wrong bytes");
    writer.join().expect("all is sent");
}
