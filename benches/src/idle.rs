//! `llam-bench idle`: what idle connections cost a server, and whether they still work afterwards.
//!
//! Invariant: the server has answered once on every connection before it is counted as idle, so
//! whatever it makes per connection exists. Called by `main`.

use crate::args::{IdleArguments, IdleProtocol};
use crate::load::payload::{Mark, Reading};
use crate::load::{Answer, Exchange, Protocol, histogram, record, source};
use crate::machine::Machine;
use crate::process;
use crate::program::Program;
use crate::progress::Progress;
use crate::report::{PERCENTILE_HEADER, Percentiles, Report, bytes};
use crate::server::Server;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Descriptors that the process needs beside one per connection.
const OTHER_DESCRIPTORS: usize = 64;

/// How long connecting, and an answer, may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of an echo request.
const SIZE: usize = 64;

/// Connections that are opened, used and closed before the first look at the server, so that what it
/// makes once is not counted per connection.
const PRELUDE: u32 = 16;

#[derive(Debug, Serialize)]
struct Settings {
    server: String,
    server_note: Option<String>,
    protocol: IdleProtocol,
    connections: u32,
    sample: u32,
}

#[derive(Debug, Serialize)]
struct Summary {
    server_bytes_per_connection: f64,
    resident_bytes_before: u64,
    resident_bytes_after: u64,
    /// Connections opened and used once per second, one after the other.
    opened_per_second: f64,
    /// Round trips on idle connections, one after the other.
    answer_ns: Option<Percentiles>,
}

pub(crate) fn run(arguments: &IdleArguments) -> Result<(), String> {
    let connections = arguments.connections as usize;
    process::allow_descriptors(connections + OTHER_DESCRIPTORS)?;
    let program = match arguments.protocol {
        IdleProtocol::Echo => Program::Echo,
        IdleProtocol::Http => Program::Http,
    };
    let server = Server::from_arguments(&arguments.server, program)?;
    let protocol = match arguments.protocol {
        IdleProtocol::Echo => Protocol::Echo { size: SIZE },
        IdleProtocol::Http => {
            let host = server.address.to_string();
            Protocol::Http(Arc::new(Exchange::get("/plaintext", &host, None)))
        }
    };
    let look = || {
        server
            .usage()?
            .ok_or_else(|| "the memory of --address cannot be seen without --pid".to_owned())
    };
    look()?;
    let progress = Progress::new(arguments.json, arguments.progress);
    drop(open(server.address, &protocol, 0..PRELUDE, &progress)?);
    let before = look()?;
    let began = Instant::now();
    let mut idle = {
        let numbers = PRELUDE..PRELUDE + arguments.connections;
        open(server.address, &protocol, numbers, &progress)?
    };
    let opening = began.elapsed();
    let after = look()?;
    let answers = use_sample(&mut idle, &protocol, arguments.sample as usize)?;
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    let report = Report {
        benchmark: "idle",
        machine: Machine::here(),
        settings: Settings {
            server: server.description.clone(),
            server_note: server.note.clone(),
            protocol: arguments.protocol,
            connections: arguments.connections,
            sample: arguments.sample,
        },
        result: Summary {
            server_bytes_per_connection: grown as f64 / connections as f64,
            resident_bytes_before: before.resident_bytes,
            resident_bytes_after: after.resident_bytes,
            opened_per_second: connections as f64 / opening.as_secs_f64(),
            answer_ns: Percentiles::of(&answers),
        },
    };
    drop(progress);
    report.print(arguments.json, table)?;
    // Before its clients: whoever closes first keeps the port for a minute.
    server.stop()
}

/// Opens the connections with these numbers and has each answered once.
fn open(
    address: SocketAddr,
    protocol: &Protocol,
    numbers: Range<u32>,
    progress: &Progress,
) -> Result<Vec<TcpStream>, String> {
    let mut all = Vec::with_capacity(numbers.len());
    progress.phase("connecting", numbers.len() as u64);
    for number in numbers {
        progress.at(all.len() as u64);
        let mut stream = connect(address, number)
            .map_err(|error| format!("cannot open connection {number}: {error}"))?;
        ask(&mut stream, protocol, number, 0)?;
        all.push(stream);
    }
    Ok(all)
}

fn connect(address: SocketAddr, number: u32) -> io::Result<TcpStream> {
    let socket = source::socket_to(address, number)?;
    socket.connect_timeout(&address.into(), LIMIT)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(LIMIT))?;
    socket.set_write_timeout(Some(LIMIT))?;
    Ok(socket.into())
}

/// One round trip, checked.
fn ask(
    stream: &mut TcpStream,
    protocol: &Protocol,
    connection: u32,
    sequence: u64,
) -> Result<Duration, String> {
    let mark = Mark {
        connection,
        sequence,
    };
    let mut dialogue = protocol.dialogue();
    let mut request = Vec::new();
    dialogue.ask(mark, &mut request);
    let mut answers = Vec::new();
    let mut buffer = [0; 4096];
    let silent = |error| format!("connection {connection} does not answer: {error}");
    let began = Instant::now();
    stream.write_all(&request).map_err(silent)?;
    while answers.is_empty() || dialogue.is_inside_an_answer() {
        match stream.read(&mut buffer).map_err(silent)? {
            0 => return Err(silent(io::ErrorKind::UnexpectedEof.into())),
            length => {
                let is_in_step = dialogue.take(&buffer[..length], &mut |answer| {
                    answers.push(answer);
                    true
                });
                if !is_in_step {
                    break;
                }
            }
        }
    }
    let took = began.elapsed();
    let right = Answer::Message(Reading::Intact(mark));
    match &answers[..] {
        [answer] if *answer == right || *answer == Answer::Unmarked => Ok(took),
        [Answer::Wrong(why) | Answer::Garbled(why), ..] => {
            Err(format!("connection {connection} has a wrong answer: {why}"))
        }
        _ => Err(format!("connection {connection} has a wrong answer")),
    }
}

/// Round trips on connections spread over all of them.
fn use_sample(
    idle: &mut [TcpStream],
    protocol: &Protocol,
    sample: usize,
) -> Result<Histogram<u64>, String> {
    let mut answers = histogram();
    let sample = sample.min(idle.len());
    for place in 0..sample {
        let number = place * idle.len() / sample;
        let took = ask(&mut idle[number], protocol, number as u32 + PRELUDE, 1)?;
        record(&mut answers, took);
    }
    Ok(answers)
}

fn table(report: &Report<Settings, Summary>) -> String {
    let result = &report.result;
    let mut text = format!(
        "idle: {}\n\n{} connections: {:.0} bytes of server memory each ({} resident, {} before)\n\
         opened and used once: {:.0} per second\n\n{PERCENTILE_HEADER}",
        report.settings.server,
        report.settings.connections,
        result.server_bytes_per_connection,
        bytes(result.resident_bytes_after),
        bytes(result.resident_bytes_before),
        result.opened_per_second,
    );
    if let Some(answers) = &result.answer_ns {
        text.push_str(&answers.row("afterwards"));
    }
    if let Some(note) = &report.settings.server_note {
        text.push_str(&format!("NOTE: {note}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// Asks a server that has this answer to whatever it reads first.
    fn asked(protocol: &Protocol, answer: &'static [u8]) -> Result<Duration, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
        });
        let asked = ask(&mut connect(address, 0).unwrap(), protocol, 0, 0);
        server.join().unwrap();
        asked
    }

    #[test]
    fn an_answer_is_checked() {
        let http = || Protocol::Http(Arc::new(Exchange::get("/", "localhost", None)));
        let right = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
        assert!(asked(&http(), right).is_ok());
        let wrong = b"HTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx";
        assert!(asked(&http(), wrong).unwrap_err().contains("404"));
        assert!(asked(&http(), &right[..right.len() - 1]).is_err());
        let echo = Protocol::Echo { size: SIZE };
        assert!(asked(&echo, &[7; SIZE]).is_err());
    }
}
