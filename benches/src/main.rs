//! `llam-bench` measures: servers under load, idle connections, the operations of the runtime.
//!
//! | file | holds |
//! |---|---|
//! | `args` | the command line |
//! | `load` | the load side: threads, connections, checking, histograms |
//! | `throughput` | the subcommands `echo` and `http` |
//! | `sweep` | runs at more and more of the peak rate |
//! | `requests` | what a load asks for |
//! | `fanout`, `idle`, `rt` | one subcommand each |
//! | `compare` | llam beside its rivals |
//! | `serve` | servers to be measured that are part of this program |
//! | `server` | the measured server, started here or elsewhere |
//! | `program` | which program that is |
//! | `process` | what Linux tells about a process |
//! | `machine` | what a result must be quoted with |
//! | `progress` | what is going on, on a terminal |
//! | `report` | tables, JSON and histogram logs |
//! | `page` | the same as an HTML page |
//!
//! This file owns the process and its exit codes: 0 measured and all answers right, 1 could not
//! measure or an answer was wrong, 2 bad command line.
#![forbid(unsafe_code)]

mod args;
mod compare;
mod fanout;
mod idle;
mod load;
mod machine;
mod page;
mod process;
mod program;
mod progress;
mod report;
mod requests;
mod rt;
mod serve;
mod server;
mod sweep;
mod throughput;

use args::{Arguments, Command, ServeCommand};
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
        Command::Echo(arguments) => throughput::echo(&arguments),
        Command::Http(arguments) => throughput::http(&arguments),
        Command::Sweep(command) => sweep::run(&command),
        Command::Fanout(arguments) => fanout::run(&arguments),
        Command::Idle(arguments) => idle::run(&arguments),
        Command::Rt(arguments) => rt::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Serve(ServeCommand::Http(arguments)) => serve::run(&arguments),
    }
}
