//! Many connections of all sorts at once: orderly ones get every byte back, rude ones disturb
//! nobody, and afterwards the server holds what it held before.

use crate::server::{LIMIT, Server, connect, join_within};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const CONNECTIONS: u64 = 512;

/// How long all connections together may take.
const ROUND_LIMIT: Duration = Duration::from_secs(90);

/// What memory may grow by from one round of connections to a later one. Stacks and buffers that
/// the allocator and the engine keep for the next connections were there before already.
const GROWTH_LIMIT_KIB: usize = 8 * 1024;

/// What may remain of a round: pages of stacks that are kept for the next tasks, some 64 KiB per
/// connection.
const KEPT_LIMIT_KIB: usize = 32 * 1024;

/// Workers that may start after the first few connections.
const MAX_LAZY_THREADS: usize = 4;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

#[test]
fn many_connections_leave_nothing_behind() {
    let seed = match std::env::var("ECHO_TEST_SEED") {
        Ok(text) => text.parse().expect("ECHO_TEST_SEED is a number"),
        Err(_) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64,
    };
    println!("ECHO_TEST_SEED={seed}");
    let mut random = Random(seed);
    let server = Server::start(&[]);
    let fresh = server.usage();
    // A few connections first: what the engine makes only once is there after them.
    let mut served = 0;
    let mut least_echoed = 0;
    let mut run = |connections: u64| {
        let (connected, echoed) = connect_many(server.address, connections, &mut random);
        served += connected;
        least_echoed += echoed;
    };
    run(16);
    let idle = server.settle(fresh.descriptors);
    println!("at the start {idle:?}");
    run(CONNECTIONS);
    let first = server.settle(idle.descriptors);
    println!("after one round {first:?}");
    run(CONNECTIONS);
    run(CONNECTIONS);
    let last = server.settle(idle.descriptors);
    println!("after three rounds {last:?}");
    assert_eq!(last.descriptors, fresh.descriptors);
    assert!(
        last.threads <= idle.threads + MAX_LAZY_THREADS,
        "{idle:?} became {last:?}"
    );
    assert!(
        last.resident_kib <= first.resident_kib + GROWTH_LIMIT_KIB,
        "{first:?} -> {last:?}"
    );
    assert!(
        last.resident_kib <= idle.resident_kib + KEPT_LIMIT_KIB,
        "{idle:?} -> {last:?}"
    );
    let (connections, bytes) = server.stop_with("TERM").report();
    assert_eq!(connections, served);
    assert!(
        bytes >= least_echoed,
        "{bytes} bytes echoed, {least_echoed} received"
    );
}

/// Runs so many connections at once. Tells how many there were and how many bytes came back.
fn connect_many(address: SocketAddr, connections: u64, random: &mut Random) -> (u64, u64) {
    // Everybody is connected before anybody talks.
    let all_connected = Arc::new(Barrier::new(connections as usize));
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let mut random = Random(random.next());
            let all_connected = all_connected.clone();
            let thread = thread::Builder::new().stack_size(256 * 1024);
            let client = move || {
                let stream = connect(address);
                all_connected.wait();
                match random.between(0, 15) {
                    0 => leave_with_a_reset(stream, random),
                    1 => stop_reading(stream),
                    2 | 3 => drop(stream),
                    4..7 => return pipeline(stream, random),
                    _ => return converse(stream, random),
                }
                0
            };
            thread.spawn(client).expect("there are threads")
        })
        .collect();
    let echoed = threads
        .into_iter()
        .map(|thread| join_within(ROUND_LIMIT, "a client", thread));
    (connections, echoed.sum())
}

/// Pieces of random size with random pauses; each comes back before the next one goes.
fn converse(mut stream: TcpStream, mut random: Random) -> u64 {
    let mut total = 0;
    for _ in 0..random.between(1, 20) {
        let length = random.between(1, 8000);
        let sent = random.bytes(length);
        stream.write_all(&sent).unwrap();
        let mut received = vec![0; sent.len()];
        stream.read_exact(&mut received).unwrap();
        assert!(sent == received, "other bytes came back");
        total += length;
        thread::sleep(Duration::from_micros(random.between(0, 3000)));
    }
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(
        stream.read(&mut [0]).unwrap(),
        0,
        "more came back than was sent"
    );
    total
}

/// Everything at once, then the end of input; then everything comes back, and the end.
fn pipeline(mut stream: TcpStream, mut random: Random) -> u64 {
    let length = random.between(0, 60_000);
    let sent = random.bytes(length);
    for piece in sent.chunks(random.between(1, 10_000) as usize) {
        stream.write_all(piece).unwrap();
    }
    stream.shutdown(Shutdown::Write).unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    assert!(
        sent == received,
        "sent {} bytes, received {}",
        sent.len(),
        received.len()
    );
    length
}

fn leave_with_a_reset(mut stream: TcpStream, mut random: Random) {
    let length = random.between(1, 50_000);
    stream.write_all(&random.bytes(length)).unwrap();
    socket2::SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
}

/// Sends until the server, whose answers nobody reads, takes no more; then goes.
fn stop_reading(mut stream: TcpStream) {
    stream
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let socket = socket2::SockRef::from(&stream);
    socket.set_recv_buffer_size(4096).unwrap();
    let piece = vec![7; 64 * 1024];
    while stream.write_all(&piece).is_ok() {}
}

#[test]
fn a_peer_that_stops_reading_holds_up_nobody_else() {
    let server = Server::start(&["--workers", "1"]);
    let stuck = server.connect();
    stuck
        .set_write_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    let piece = vec![7; 64 * 1024];
    while (&stuck).write_all(&piece).is_ok() {}
    let mut other = server.connect();
    for _ in 0..100 {
        other.write_all(b"ping").unwrap();
        let mut answer = [0; 4];
        other.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ping");
    }
    drop(other);
    let stopped = server.stop_with("TERM");
    let (connections, bytes) = stopped.report();
    assert_eq!(connections, 2);
    assert!(bytes >= 400);
    assert!(
        stopped.took < LIMIT / 2,
        "a stuck connection delayed the stop by {:?}",
        stopped.took
    );
}
