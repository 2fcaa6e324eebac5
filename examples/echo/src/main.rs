//! The smallest real server: one task per connection, every byte comes back.
//!
//! This file owns the process: the command line, the signals, one closing line and the exit codes
//! (0 stopped by SIGINT or SIGTERM, 1 failed while running, 2 bad command line). `server` owns
//! the sockets.
#![forbid(unsafe_code)]

mod server;

use llam::RuntimeBuilder;
use llam::signal::{Signal, SignalSet};
use server::Report;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc;

const USAGE: &str = "\
usage: echo [--listen ADDRESS] [--workers N] [--quiet]

Sends every byte back to where it came from.

  --listen ADDRESS  address and port to listen on, port 0 lets the system choose
                    (default 127.0.0.1:9090)
  --workers N       OS threads that run tasks, 1 to 1024 (default: one per CPU)
  --quiet           no line on standard error for a connection that failed
  --help            print this and exit
";

const MAX_WORKERS: usize = 1024;

/// Everything that can be chosen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Config {
    address: SocketAddr,
    /// `None`: one per CPU.
    workers: Option<usize>,
    quiet: bool,
}

fn main() -> ExitCode {
    match parse(std::env::args_os().skip(1)) {
        Ok(Some(config)) => finish(serve_and_report(config)),
        Ok(None) => finish(print(USAGE)),
        Err(error) => {
            eprintln!("echo: {error}; see --help");
            ExitCode::from(2)
        }
    }
}

/// `Ok(None)` asks for help.
fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Config>, String> {
    let mut config = Config {
        address: SocketAddr::from(([127, 0, 0, 1], 9090)),
        workers: None,
        quiet: false,
    };
    let mut arguments = arguments
        .into_iter()
        .map(|argument| argument.to_string_lossy().into_owned());
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--help" | "-h" => return Ok(None),
            "--quiet" => config.quiet = true,
            "--listen" => config.address = parse_address(&value()?)?,
            "--workers" => config.workers = Some(parse_workers(&value()?)?),
            other => return Err(format!("unknown argument {other:?}")),
        }
    }
    Ok(Some(config))
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not an address like 127.0.0.1:9090"))
}

fn parse_workers(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(workers @ 1..=MAX_WORKERS) => Ok(workers),
        _ => Err(format!(
            "{text:?} is not a number of workers from 1 to {MAX_WORKERS}"
        )),
    }
}

fn serve_and_report(config: Config) -> Result<(), String> {
    let report = run(config)?;
    print(&format!("{report}\n"))
}

/// Runs the server on its runtime until a signal stops it. The signals are asked for before the
/// runtime makes threads: each thread that does not block them would take their default action.
fn run(config: Config) -> Result<Report, String> {
    let stop_signals = SignalSet::new(&[Signal::INTERRUPT, Signal::TERMINATE])
        .map_err(|error| format!("cannot wait for signals: {error}"))?;
    let (result_sender, result) = mpsc::sync_channel(1);
    let mut builder = RuntimeBuilder::new();
    if let Some(workers) = config.workers {
        builder = builder.workers(workers);
    }
    builder
        .run(move || {
            let served = server::serve(config.address, config.quiet, &stop_signals);
            // The receiver outlives the runtime, and there is room for one.
            let _ = result_sender.send(served);
            Ok(())
        })
        .map_err(|error| format!("runtime failed: {error}"))?;
    result
        .recv()
        .unwrap_or_else(|_| Err("the server's first task panicked".to_owned()))
}

/// One line about what went wrong, and the exit code.
fn finish(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output and flushes; `println!` would panic when nobody reads it.
fn print(text: &str) -> Result<(), String> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| format!("cannot write to standard output: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Option<Config>, String> {
        parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn defaults_and_options() {
        let config = parsed(&[]).unwrap().unwrap();
        assert_eq!(config.address, "127.0.0.1:9090".parse().unwrap());
        assert_eq!(config.workers, None);
        let config = parsed(&["--listen", "[::1]:0", "--workers", "3", "--quiet"])
            .unwrap()
            .unwrap();
        assert_eq!(config.address, "[::1]:0".parse().unwrap());
        assert_eq!(config.workers, Some(3));
        assert!(config.quiet);
        assert_eq!(parsed(&["--help", "--loud"]), Ok(None));
    }

    #[test]
    fn bad_input_is_refused() {
        for arguments in [
            &["--listen"][..],
            &["--listen", "localhost"],
            &["--listen", "127.0.0.1:65536"],
            &["--workers", "0"],
            &["--workers", "1025"],
            &["--workers", "many"],
            &["--loud"],
            &["9090"],
        ] {
            assert!(parsed(arguments).is_err(), "{arguments:?}");
        }
    }
}
