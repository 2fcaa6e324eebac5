//! `llam-bench idle`: what idle connections cost a server, and whether they still work afterwards.
//!
//! Invariant: the server has answered once on every connection before it is counted as idle, so
//! whatever it makes per connection exists. Called by `main`.

use crate::args::IdleArguments;
use crate::load::payload::{self, Mark, Reading};
use crate::load::{histogram, record, source};
use crate::machine::Machine;
use crate::process;
use crate::program::Program;
use crate::report::{PERCENTILE_HEADER, Percentiles, Report, bytes};
use crate::server::Server;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Descriptors that the process needs beside one per connection.
const OTHER_DESCRIPTORS: usize = 64;

/// How long connecting, and an answer, may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Bytes of a request.
const SIZE: usize = 64;

/// Connections that are opened, used and closed before the first look at the server, so that what it
/// makes once is not counted per connection.
const PRELUDE: u32 = 16;

#[derive(Debug, Serialize)]
struct Settings {
    server: String,
    server_note: Option<String>,
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
    let server = Server::from_arguments(&arguments.server, Program::Echo)?;
    let look = || {
        server
            .usage()?
            .ok_or_else(|| "the memory of --address cannot be seen without --pid".to_owned())
    };
    look()?;
    drop(open(server.address, 0..PRELUDE)?);
    let before = look()?;
    let began = Instant::now();
    let mut idle = open(server.address, PRELUDE..PRELUDE + arguments.connections)?;
    let opening = began.elapsed();
    let after = look()?;
    let answers = use_sample(&mut idle, arguments.sample as usize)?;
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    let report = Report {
        benchmark: "idle",
        machine: Machine::here(),
        settings: Settings {
            server: server.description.clone(),
            server_note: server.note.clone(),
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
    report.print(arguments.json, table)?;
    // Before its clients: whoever closes first keeps the port for a minute.
    server.stop()
}

/// Opens the connections with these numbers and has each answered once.
fn open(address: SocketAddr, numbers: Range<u32>) -> Result<Vec<TcpStream>, String> {
    let mut all = Vec::with_capacity(numbers.len());
    for number in numbers {
        let mut stream = connect(address, number)
            .map_err(|error| format!("cannot open connection {number}: {error}"))?;
        ask(&mut stream, number, 0)?;
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
fn ask(stream: &mut TcpStream, connection: u32, sequence: u64) -> Result<Duration, String> {
    let mark = Mark {
        connection,
        sequence,
    };
    let mut request = Vec::with_capacity(SIZE);
    payload::append(&mut request, mark, SIZE);
    let mut answer = [0; SIZE];
    let began = Instant::now();
    stream
        .write_all(&request)
        .and_then(|()| stream.read_exact(&mut answer))
        .map_err(|error| format!("connection {connection} does not answer: {error}"))?;
    let took = began.elapsed();
    if payload::read(&answer) == Reading::Intact(mark) {
        Ok(took)
    } else {
        Err(format!("connection {connection} has a wrong answer"))
    }
}

/// Round trips on connections spread over all of them.
fn use_sample(idle: &mut [TcpStream], sample: usize) -> Result<Histogram<u64>, String> {
    let mut answers = histogram();
    let sample = sample.min(idle.len());
    for place in 0..sample {
        let number = place * idle.len() / sample;
        let took = ask(&mut idle[number], number as u32 + PRELUDE, 1)?;
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
