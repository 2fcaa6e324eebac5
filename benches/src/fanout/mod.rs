//! `llam-bench fanout`: a chat room under load, with every delivery accounted for.
//!
//! | file | holds |
//! |---|---|
//! | `line` | the bytes of a line |
//! | `tally` | what one client should have got and has |
//! | `client` | one connection |
//! | `talk` | one load thread |
//! | `books` | the server's own account, and whether it agrees |
//! | `report` | result, table, and when a run has failed |
//!
//! This file owns the run as a whole: who joins in which order, the threads, and the end, in which even what
//! slow clients did not read is counted. It speaks the line protocol of the chat example. Called
//! by `main`.

mod books;
mod client;
pub(crate) mod line;
mod report;
mod talk;
mod tally;

use crate::args::{FanoutArguments, Mode};
use crate::load::{CONNECT_LIMIT, LEAD, Window, split, watch};
use crate::process::{self, Usage};
use crate::program::Program;
use crate::progress::Progress;
use crate::server::Server;
use books::{Account, Ours, ServerCounts};
use client::{Client, Role, Terms};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use talk::{Outcome, Plan, Shared, Talk};

/// Descriptors that the process needs beside one per client.
const OTHER_DESCRIPTORS: usize = 64;

/// What the receive buffer of a client that does not read holds, about.
const SLOW_BYTES: usize = 4096;

/// In the end slow clients are read until nothing has come for so long.
const SILENCE: Duration = Duration::from_millis(300);

/// How long the rest of a connection may take when the server has ended.
const END_LIMIT: Duration = Duration::from_secs(2);

/// Everything that a run gave.
#[derive(Debug)]
struct Finding {
    outcome: Outcome,
    usage: Option<(Usage, Usage)>,
    ours: Ours,
    server: Option<ServerCounts>,
    doubled: u64,
    reordered: u64,
    corrupted: u64,
    /// Connections that ended while they were needed.
    broken: u64,
    complaint: Option<String>,
}

pub(crate) fn run(arguments: &FanoutArguments) -> Result<(), String> {
    let (clients, senders) = (arguments.clients, arguments.senders());
    if senders > clients {
        return Err("more senders than clients".to_owned());
    }
    if arguments.threads > clients / 2 {
        return Err("less than two clients for each thread".to_owned());
    }
    if arguments.slow > 0 && arguments.mode == Mode::Lossless {
        return Err(
            "a lossless server waits for slow clients: --slow needs --mode best-effort".into(),
        );
    }
    process::allow_descriptors((clients + arguments.slow) as usize + OTHER_DESCRIPTORS)?;
    let server = Server::from_arguments(&arguments.server, Program::Chat(arguments.mode))?;
    let settings = report::settings(arguments, &server);
    let progress = Progress::new(arguments.json, arguments.progress);
    let finding = measure(arguments, server, &progress)?;
    drop(progress);
    report::print(arguments, settings, &finding)
}

fn measure(
    arguments: &FanoutArguments,
    server: Server,
    progress: &Progress,
) -> Result<Finding, String> {
    let terms = Terms {
        size: arguments.size as usize,
        senders: arguments.senders() as usize,
    };
    let plan = Plan {
        rate: (arguments.rate > 0.0).then_some(arguments.rate),
        pipeline: u64::from(arguments.pipeline),
        mode: arguments.mode,
        timeout: arguments.timeout,
        threads: arguments.threads as usize,
        senders: terms.senders,
        clients: arguments.clients as usize,
    };
    let everybody = arguments.clients + arguments.slow;
    progress.phase("connecting", u64::from(everybody));
    let shared = Arc::new(Shared::default());
    let mut talks = Vec::new();
    for places in split(plan.clients, plan.threads) {
        let clients = join_readers(server.address, terms, plan.clients, places, progress)?;
        let talk = Talk::new(plan.clone(), shared.clone(), clients);
        talks.push(talk.map_err(|error| format!("cannot prepare a load thread: {error}"))?);
    }
    let mut slow = join_slow(
        server.address,
        terms,
        arguments.clients..everybody,
        progress,
    )?;
    let times = (arguments.warmup, arguments.duration);
    let (mut outcome, usage, mut readers) = talk(talks, &shared, times, &server, progress)?;
    let broken = readers.iter().filter(|client| client.is_over).count() as u64;
    read_slow(&mut slow).map_err(|error| format!("cannot read slow clients: {error}"))?;
    let counts = end(server, readers.iter_mut().chain(&mut slow), &mut outcome)?;
    Ok(close(readers, slow, outcome, usage, counts, broken))
}

/// The clients at these places of all. The senders are spread evenly among them.
fn join_readers(
    address: SocketAddr,
    terms: Terms,
    clients: usize,
    places: Range<usize>,
    progress: &Progress,
) -> Result<Vec<Client<TcpStream>>, String> {
    places
        .map(|place| {
            progress.at(place as u64);
            let senders_before = |place: usize| place * terms.senders / clients;
            let is_sender = senders_before(place + 1) > senders_before(place);
            let role = Role {
                number: place as u32,
                sender: is_sender.then_some(senders_before(place) as u32),
            };
            Client::join(address, terms, role, None, CONNECT_LIMIT)
                .map_err(|error| format!("client {place} cannot join at {address}: {error}"))
        })
        .collect()
}

fn join_slow(
    address: SocketAddr,
    terms: Terms,
    numbers: Range<u32>,
    progress: &Progress,
) -> Result<Vec<Client<TcpStream>>, String> {
    numbers
        .map(|number| {
            progress.at(u64::from(number));
            let role = Role {
                number,
                sender: None,
            };
            Client::join(address, terms, role, Some(SLOW_BYTES), CONNECT_LIMIT)
                .map_err(|error| format!("client {number} cannot join at {address}: {error}"))
        })
        .collect()
}

type Talked = (Outcome, Option<(Usage, Usage)>, Vec<Client<TcpStream>>);

/// Starts all threads at one instant, and samples the server at both ends of the window.
fn talk(
    talks: Vec<Talk>,
    shared: &Shared,
    (warmup, duration): (Duration, Duration),
    server: &Server,
    progress: &Progress,
) -> Result<Talked, String> {
    let ready = Arc::new(Barrier::new(talks.len() + 1));
    let window = Arc::new(OnceLock::new());
    let threads: Vec<_> = talks
        .into_iter()
        .map(|talk| {
            let (ready, window) = (ready.clone(), window.clone());
            thread::spawn(move || {
                ready.wait();
                talk.run(*window.wait())
            })
        })
        .collect();
    ready.wait();
    let start = Instant::now() + LEAD;
    let chosen = *window.get_or_init(|| Window::new(start, warmup, duration));
    let delivered = || shared.delivered.load(Ordering::Relaxed);
    let usage = watch(chosen, || server.usage(), progress, "deliveries", delivered);
    let mut outcome = Outcome::new();
    let mut clients = Vec::new();
    for thread in threads {
        let result = thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let (part, its_clients) = result.map_err(|error| format!("load thread failed: {error}"))?;
        outcome.merge(&part);
        clients.extend(its_clients);
    }
    Ok((outcome, usage, clients))
}

/// Reads what is still on its way to slow clients.
fn read_slow(slow: &mut [Client<TcpStream>]) -> io::Result<()> {
    for client in &mut *slow {
        client.stream.set_nonblocking(true)?;
    }
    let mut buffer = vec![0; 64 * 1024];
    let before = |slow: &[Client<TcpStream>]| -> u64 {
        slow.iter().map(|client| client.tally.delivered).sum()
    };
    let mut last = Instant::now();
    while !slow.is_empty() && last.elapsed() < SILENCE {
        let had = before(slow);
        for client in &mut *slow {
            client.receive(&mut buffer, false, &mut |_| {});
        }
        if before(slow) > had {
            last = Instant::now();
        } else {
            thread::sleep(Duration::from_millis(5));
        }
    }
    for client in &mut *slow {
        client.stream.set_nonblocking(false)?;
    }
    Ok(())
}

/// Stops a server that was started here, and reads every connection to its end: nothing may come
/// twice even now. Gives the server's account, if it prints one.
fn end<'a>(
    server: Server,
    clients: impl Iterator<Item = &'a mut Client<TcpStream>>,
    outcome: &mut Outcome,
) -> Result<Option<ServerCounts>, String> {
    let Some(lines) = server.stop_and_read()? else {
        return Ok(None);
    };
    let mut buffer = vec![0; 64 * 1024];
    for client in clients {
        let has_limit = client.stream.set_read_timeout(Some(END_LIMIT));
        has_limit.map_err(|error| format!("cannot read to the end: {error}"))?;
        while !client.is_over {
            match client.stream.read(&mut buffer) {
                Ok(length @ 1..) => client.take(&buffer[..length], &mut |_| {
                    // Later than any latency that was measured: the run should have waited.
                    outcome.unfinished += 1;
                }),
                // A server that has ended may have reset the connection.
                Ok(0) | Err(_) => client.is_over = true,
            }
        }
    }
    Ok(lines.iter().find_map(|line| ServerCounts::parse(line)))
}

/// Adds everything up.
fn close(
    mut readers: Vec<Client<TcpStream>>,
    mut slow: Vec<Client<TcpStream>>,
    outcome: Outcome,
    usage: Option<(Usage, Usage)>,
    server: Option<ServerCounts>,
    broken: u64,
) -> Finding {
    let sent: Vec<_> = readers
        .iter()
        .filter_map(|client| client.saying.as_ref().map(|saying| saying.sent))
        .collect();
    let lines_sent: u64 = sent.iter().sum();
    let account = |clients: &mut [Client<TcpStream>]| {
        let mut account = Account::default();
        for client in clients {
            let own = client.saying.as_ref().map(|saying| saying.number as usize);
            account.expected += lines_sent - own.map_or(0, |own| sent[own]);
            account.lost += client.tally.close(&sent, own);
            account.delivered += client.tally.delivered;
        }
        account
    };
    let (reader_account, slow_account) = (account(&mut readers), account(&mut slow));
    let all = || readers.iter().chain(&slow).map(|client| &client.tally);
    let members = (readers.len() + slow.len()) as u64;
    // Each newcomer is announced to those who were there.
    let announced = members * (members - 1) / 2;
    let joined: u64 = all().map(|tally| tally.joined).sum();
    Finding {
        ours: Ours {
            members,
            lines_sent,
            readers: reader_account,
            slow: slow_account,
            notices: Account {
                expected: announced,
                delivered: joined,
                lost: announced.saturating_sub(joined),
            },
        },
        doubled: all().map(|tally| tally.doubled).sum(),
        reordered: all().map(|tally| tally.reordered).sum(),
        corrupted: all().map(|tally| tally.corrupted).sum::<u64>()
            + joined.saturating_sub(announced),
        complaint: all().find_map(|tally| tally.complaint.clone()),
        outcome,
        usage,
        server,
        broken,
    }
}
