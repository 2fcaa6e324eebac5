//! Slow readers in best-effort mode: they miss messages, nobody else does, and all is counted.

use crate::common::{Client, Server, connect_with_buffer};

const MUTE: u64 = 8;
const READERS: u64 = 4;
const LINES: u64 = 1500;

/// Lines that are under way at most: less than an outbox holds, so that a client that reads
/// misses none.
const WINDOW: u64 = 32;

#[test]
fn readers_get_everything_beside_clients_that_never_read() {
    let server = Server::start(&["--best-effort"]);
    // They read the greeting and nothing after it.
    let mute: Vec<Client> = (0..MUTE)
        .map(|_| Client::greeted(connect_with_buffer(server.address, 4096)))
        .collect();
    let mut readers: Vec<Client> = Vec::new();
    let first = MUTE + 1;
    for number in first..first + READERS {
        let newcomer = Client::connect(server.address);
        for earlier in &mut readers {
            earlier.expect(&format!("* client {number} joined"));
        }
        readers.push(newcomer);
    }
    let sender_number = first + READERS;
    let mut sender = Client::connect(server.address);
    for reader in &mut readers {
        reader.expect(&format!("* client {sender_number} joined"));
    }

    let padding = "x".repeat(4000);
    for window in (0..LINES).step_by(WINDOW as usize) {
        let lines = window..LINES.min(window + WINDOW);
        for line in lines.clone() {
            sender.send(format!("{line} {padding}\n"));
        }
        for line in lines {
            for reader in &mut readers {
                reader.expect(&format!("[client {sender_number}] {line} {padding}"));
            }
        }
    }

    let stopped = server.stop();
    for client in &mut readers {
        client.expect_end();
    }
    sender.expect_end();
    drop(mute);
    let report = stopped.report();
    let clients = MUTE + READERS + 1;
    assert_eq!(report.created, clients + LINES);
    assert_eq!(
        report.attempted,
        clients * (clients - 1) / 2 + LINES * (clients - 1)
    );
    // What readers got was enqueued; what is missing was dropped from the outboxes of the mute.
    assert!(report.enqueued >= LINES * READERS, "{report:?}");
    assert!(report.full_drops > MUTE * LINES / 10, "{report:?}");
    assert_eq!(report.closed_drops, 0, "{report:?}");
}
