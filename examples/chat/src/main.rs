//! A line chat server: one reader task and one writer task per client, a bounded outbox between
//! them, and no `async`.
//!
//! | file | holds |
//! |---|---|
//! | `args` | the command line |
//! | `server` | listener, accept loop, order of shutdown |
//! | `client` | the two tasks of a connection |
//! | `room` | who is there, and the fan-out |
//! | `outbox` | what waits to be written to one client |
//! | `lines` | bytes into lines |
//! | `counters` | what became of each delivery |
//! | `backoff` | failed accepts |
//!
//! This file owns the process: signals before any thread exists, one closing line, exit codes
//! (0 stopped by a signal, 1 failed while running, 2 bad command line).
#![forbid(unsafe_code)]

mod args;
mod backoff;
mod client;
mod counters;
mod lines;
mod outbox;
mod room;
mod server;

use args::{Command, Config, Environment};
use counters::Report;
use llam::signal::{Signal, SignalSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;

fn main() -> ExitCode {
    let config = match args::parse(std::env::args_os().skip(1), &Environment::load()) {
        Ok(Command::Serve(config)) => config,
        Ok(Command::Help) => return finish(print(args::USAGE)),
        Err(error) => {
            eprintln!("chat: {error}; see --help");
            return ExitCode::from(2);
        }
    };
    finish(serve_and_report(config))
}

/// One line about what went wrong, and the exit code.
fn finish(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve_and_report(config: Config) -> Result<(), String> {
    // Opened now, so that a path that cannot work is found before the first client comes.
    let stats = StatsFile::from_environment()?;
    let report = run(config)?;
    let line = format!("{report}\n");
    // The file gets its line even if nobody listens on standard output any more.
    let printed = print(&line);
    stats
        .map_or(Ok(()), |stats| stats.append(&line))
        .and(printed)
}

/// Runs the server on its runtime until a signal stops it. The signals are asked for before the
/// runtime makes threads: each thread that does not block them would take their default action.
fn run(config: Config) -> Result<Report, String> {
    let stop_signals = SignalSet::new(&[Signal::INTERRUPT, Signal::TERMINATE])
        .map_err(|error| format!("cannot wait for signals: {error}"))?;
    let (result_sender, result) = mpsc::sync_channel(1);
    llam::run(move || {
        let served = server::serve(&config, &stop_signals);
        // The receiver outlives the runtime, and there is room for one.
        let _ = result_sender.send(served);
        Ok(())
    })
    .map_err(|error| format!("runtime failed: {error}"))?;
    result
        .recv()
        .unwrap_or_else(|_| Err("the server's first task panicked".to_owned()))
}

fn print(text: &str) -> Result<(), String> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| format!("cannot write to standard output: {error}"))
}

/// The file that `LLAM_CHAT_STATS_PATH` names.
struct StatsFile {
    path: PathBuf,
    file: File,
}

impl StatsFile {
    fn from_environment() -> Result<Option<Self>, String> {
        let Some(path) = std::env::var_os("LLAM_CHAT_STATS_PATH") else {
            return Ok(None);
        };
        if path.is_empty() {
            return Ok(None);
        }
        let path = PathBuf::from(path);
        match OpenOptions::new().append(true).create(true).open(&path) {
            Ok(file) => Ok(Some(Self { path, file })),
            Err(error) => Err(format!(
                "cannot write statistics to {}: {error}",
                path.display()
            )),
        }
    }

    /// One write, so that several servers may share a file.
    fn append(mut self, line: &str) -> Result<(), String> {
        self.file.write_all(line.as_bytes()).map_err(|error| {
            format!(
                "cannot write statistics to {}: {error}",
                self.path.display()
            )
        })
    }
}
