//! Clients that die: processes killed with SIGKILL and connections that are reset, in the middle
//! of a lossless exchange that waits for them. The others must get everything.
//!
//! The program starts itself (`killed client ADDRESS`) for the clients that are to be killed; that
//! is why it does without the test harness.

mod common;

use common::{Client, LIMIT, Server, connect_with_buffer, join_within, reset};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

const SURVIVORS: usize = 16;
const PROCESSES: usize = 8;
const RESETS: usize = 8;
const LINES: usize = 400;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["client", address] => be_a_client(address.parse().expect("an address")),
        // `cargo test -- --list` and `-- --ignored`: there is no harness to leave it out.
        _ if arguments
            .iter()
            .any(|argument| argument == "--list" || argument == "--ignored") => {}
        _ => {
            survivors_get_everything();
            println!("killed: ok");
        }
    }
}

/// Connects, says so, chatters once and then never reads, until killed.
fn be_a_client(address: SocketAddr) {
    let client = Client::greeted(connect_with_buffer(address, 4096));
    client.send("hello from a doomed process\n");
    println!("connected");
    let _ = std::io::stdin().read(&mut [0]);
}

struct Process(Child);

impl Process {
    fn start(address: SocketAddr) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["client", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test program starts itself");
        Self(child)
    }

    /// It prints a line when it is connected. The greeting has a deadline in the process itself,
    /// which ends with an error, and so without the line, when it passes.
    fn wait_until_connected(&mut self) {
        let mut line = [0; "connected\n".len()];
        let stdout = self.0.stdout.as_mut().expect("it is piped");
        stdout.read_exact(&mut line).expect("the process connects");
    }
}

impl Drop for Process {
    /// SIGKILL.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn survivors_get_everything() {
    let server = Server::start(&["--lossless"]);
    let mut processes: Vec<Process> = (0..PROCESSES)
        .map(|_| Process::start(server.address))
        .collect();
    processes.iter_mut().for_each(Process::wait_until_connected);
    let doomed: Vec<TcpStream> = (0..RESETS)
        .map(|_| connect_with_buffer(server.address, 4096))
        .collect();
    for stream in &doomed {
        Client::greeted(stream.try_clone().unwrap());
    }
    let (progress, heard) = std::sync::mpsc::channel();
    let clients: Vec<_> = (0..SURVIVORS)
        .map(|_| Client::connect(server.address))
        .collect();
    let survivors: Vec<_> = clients
        .into_iter()
        .enumerate()
        .map(|(name, client)| {
            let progress = progress.clone();
            thread::spawn(move || survive(client, name, &progress))
        })
        .collect();
    drop(progress);
    // The exchange goes on until the outboxes of those who do not read are full, and then stands
    // still: nobody hears anything for a while.
    let mut heard_before = 0;
    while heard.recv_timeout(Duration::from_secs(1)).is_ok() {
        heard_before += 1;
    }
    let expected = SURVIVORS * (SURVIVORS - 1) * LINES;
    assert!(
        heard_before < expected,
        "the exchange never waited for those who do not read"
    );
    // SIGKILL for half of them, a reset for the others.
    drop(processes);
    doomed.into_iter().for_each(reset);
    let mut clients = Vec::new();
    for survivor in survivors {
        clients.push(join_within(3 * LIMIT, "a survivor", survivor));
    }
    let heard_after = heard.try_iter().count();
    assert_eq!(heard_before + heard_after, expected);
    let report = server.stop().report();
    assert!(report.closed_drops > 0, "{report:?}");
    assert_eq!(report.full_drops, 0, "{report:?}");
}

/// Sends [`LINES`] lines and listens until all lines of all other survivors have come, in order.
fn survive(mut client: Client, name: usize, progress: &std::sync::mpsc::Sender<()>) -> Client {
    let mut writing = client.stream().try_clone().unwrap();
    let writer = thread::spawn(move || {
        let padding = "x".repeat(1000);
        for line in 0..LINES {
            writing
                .write_all(format!("survivor {name} {line} {padding}\n").as_bytes())
                .unwrap();
        }
    });
    let mut next = [0; SURVIVORS];
    let mut missing = (SURVIVORS - 1) * LINES;
    while missing > 0 {
        let line = client.line().expect("the server goes on");
        let Some((_, said)) = line.split_once("] survivor ") else {
            continue;
        };
        let mut words = said.split(' ');
        let mut number = || words.next().and_then(|word| word.parse::<usize>().ok());
        let (Some(other), Some(line)) = (number(), number()) else {
            panic!("got {said:?}")
        };
        assert_ne!(other, name, "a line came back to its sender");
        assert_eq!(
            line, next[other],
            "survivor {name} got a wrong line of {other}"
        );
        next[other] += 1;
        missing -= 1;
        // Nobody listens any more once the last phase has begun.
        let _ = progress.send(());
    }
    writer.join().unwrap();
    client
}
