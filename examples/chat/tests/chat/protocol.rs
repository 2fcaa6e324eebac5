//! What clients see of each other.

use crate::common::{Client, Server, WELCOME, reset};

/// Connects clients one after another, so that the first gets number 1, and reads the notices
/// about each other.
fn connect_all(server: &Server, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = Vec::new();
    for number in 1..=count {
        let newcomer = Client::connect(server.address);
        for earlier in &mut clients {
            earlier.expect(&format!("* client {number} joined"));
        }
        clients.push(newcomer);
    }
    clients
}

#[test]
fn the_first_line_tells_address_and_mode() {
    let server = Server::start(&[]);
    assert_ne!(server.address.port(), 0);
    let address = format!("127.0.0.1:{}", server.address.port());
    assert_eq!(
        server.first_line,
        format!("LLAM chat server listening on {address} mode=best-effort")
    );
    let lossless = Server::start(&["--lossless"]);
    assert!(
        lossless.first_line.ends_with(" mode=lossless"),
        "{:?}",
        lossless.first_line
    );
    let public = Server::start(&["--public"]);
    assert!(
        public.address.ip().is_unspecified(),
        "{:?}",
        public.first_line
    );
}

#[test]
fn the_environment_chooses_lossless_and_an_option_wins() {
    use crate::common::chat;
    let server = Server::spawn(chat().args(["0", "--quiet"]).env("LLAM_CHAT_LOSSLESS", "1"));
    assert!(
        server.first_line.ends_with(" mode=lossless"),
        "{:?}",
        server.first_line
    );
    let server = Server::spawn(
        chat()
            .args(["0", "--quiet", "--best-effort"])
            .env("LLAM_CHAT_LOSSLESS", "1"),
    );
    assert!(
        server.first_line.ends_with(" mode=best-effort"),
        "{:?}",
        server.first_line
    );
}

#[test]
fn a_line_goes_to_all_others_and_not_back() {
    let server = Server::start(&[]);
    let mut clients = connect_all(&server, 3);
    clients[0].send("hello\n");
    clients[1].expect("[client 1] hello");
    clients[2].expect("[client 1] hello");
    clients[1].send("hello yourself\n");
    // The first line that client 1 gets is the answer: its own did not come back.
    clients[0].expect("[client 2] hello yourself");
    clients[2].expect("[client 2] hello yourself");
}

#[test]
fn leaving_is_told_to_all_others() {
    let server = Server::start(&[]);
    let mut clients = connect_all(&server, 3);
    clients.remove(1);
    clients[0].expect("* client 2 left");
    clients[1].expect("* client 2 left");
    // Numbers are not used again.
    let _newcomer = Client::connect(server.address);
    clients[0].expect("* client 4 joined");
    reset(clients.pop().unwrap().stream().try_clone().unwrap());
    clients[0].expect("* client 3 left");
}

#[test]
fn lines_are_cut_where_newlines_are_however_they_arrive() {
    let server = Server::start(&[]);
    let mut clients = connect_all(&server, 2);
    for part in ["one\ntw", "o\r\n\nfo", "ur\r", "\nfi\rve\n"] {
        clients[0].send(part);
        // Lets the part arrive alone more often than not; the outcome is the same either way.
        std::thread::yield_now();
    }
    for line in ["one", "two", "", "four", "fi\rve"] {
        clients[1].expect(&format!("[client 1] {line}"));
    }
}

#[test]
fn lines_need_not_be_text() {
    let server = Server::start(&[]);
    let mut clients = connect_all(&server, 2);
    clients[0].send(b"\xff\x00\xfe\n");
    assert_eq!(
        clients[1].bytes().as_deref(),
        Some(&b"[client 1] \xff\x00\xfe"[..])
    );
}

#[test]
fn half_a_line_at_the_end_of_input_is_sent_with_a_newline() {
    let server = Server::start(&[]);
    let mut clients = connect_all(&server, 2);
    clients[0].send("whole\nhalf");
    clients[0].finish();
    clients[1].expect("[client 1] whole");
    clients[1].expect("[client 1] half");
    clients[1].expect("* client 1 left");
    clients[0].expect_end();
}

#[test]
fn a_long_line_is_cut_at_4096_bytes() {
    let server = Server::start(&[]);
    let mut clients = connect_all(&server, 2);
    let limit = "x".repeat(4096);
    for extra in ["", "y", &"z".repeat(100_000)] {
        clients[0].send(format!("{limit}{extra}\n"));
        clients[1].expect(&format!("[client 1] {limit}"));
    }
    clients[0].send("short\n");
    clients[1].expect("[client 1] short");
    clients[0].send(format!("{limit}{limit}"));
    clients[0].finish();
    clients[1].expect(&format!("[client 1] {limit}"));
    clients[1].expect("* client 1 left");
}

#[test]
fn a_client_that_ends_its_input_still_gets_what_is_queued() {
    let server = Server::start(&["--lossless"]);
    let mut clients = connect_all(&server, 2);
    clients[1].send("a\nb\nc\n");
    clients[0].expect("[client 2] a");
    clients[0].expect("[client 2] b");
    clients[0].expect("[client 2] c");
    clients[0].finish();
    clients[1].expect("* client 1 left");
    clients[0].expect_end();
}

#[test]
fn one_client_alone_talks_to_nobody() {
    let server = Server::start(&[]);
    let client = Client::connect(server.address);
    client.send("is anybody there?\n");
    client.finish();
    let mut client = client;
    client.expect_end();
    let report = server.stop().report();
    // The joining notice, the line and the leaving notice, each to nobody.
    assert_eq!((report.created, report.attempted), (3, 0));
}

#[test]
fn log_lines_appear_unless_quiet() {
    use crate::common::chat;
    use std::io::Read;
    use std::process::Stdio;
    for (arguments, environment, is_quiet) in [
        (&["0"][..], "0", false),
        (&["0", "--quiet"], "0", true),
        (&["0"], "1", true),
    ] {
        let mut command = chat();
        command
            .args(arguments)
            .env("LLAM_CHAT_QUIET", environment)
            .stderr(Stdio::piped());
        let mut server = Server::spawn(&mut command);
        let mut stderr = server.stderr();
        let mut clients = connect_all(&server, 2);
        clients.remove(0);
        clients[0].expect("* client 1 left");
        server.stop().report();
        let mut log = String::new();
        stderr.read_to_string(&mut log).unwrap();
        assert_eq!(
            !log.contains("client 1 "),
            is_quiet,
            "{arguments:?} {environment}: {log:?}"
        );
        assert!(!log.contains(WELCOME));
    }
}
