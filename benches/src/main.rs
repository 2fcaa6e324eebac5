//! `llam-bench` measures: servers under load, idle connections, the operations of the runtime.
//!
//! | file | holds |
//! |---|---|
//! | `args` | the command line |
//! | `load` | the load side: threads, connections, checking, histograms |
//! | `echo`, `idle`, `rt` | one subcommand each |
//! | `compare` | llam beside its rivals |
//! | `server` | the measured server, started here or elsewhere |
//! | `program` | which program that is |
//! | `process` | what Linux tells about a process |
//! | `machine` | what a result must be quoted with |
//! | `report` | tables, JSON and histogram logs |
//! | `page` | the same as an HTML page |
//!
//! This file owns the process and its exit codes: 0 measured and all answers right, 1 could not
//! measure or an answer was wrong, 2 bad command line.
#![forbid(unsafe_code)]

mod args;
mod compare;
mod echo;
mod idle;
mod load;
mod machine;
mod page;
mod process;
mod program;
mod report;
mod rt;
mod server;

use args::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("llam-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), String> {
    if let Some(path) = arguments.report {
        page::choose(path)?;
    }
    match arguments.command {
        Command::Echo(arguments) => echo::run(&arguments),
        Command::Idle(arguments) => idle::run(&arguments),
        Command::Rt(arguments) => rt::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
    }
}
