//! `llam-instructions ROW OPERATIONS`: does one workload that often, for `cargo xtask instructions`,
//! which runs it under valgrind. `llam-instructions --list` names the rows.
//!
//! Nothing here depends on the time: the worker's clock is held (`clock.rs`), so that the engine's
//! looks at it come out the same however slow valgrind is.

#![deny(unsafe_code)]

#[expect(unsafe_code, reason = "it stands in for a function of the C library")]
mod clock;

use std::process::ExitCode;

use llam_micro::{Clock, WORKLOADS};

const USAGE: &str = "usage: llam-instructions ROW OPERATIONS\n       llam-instructions --list";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--list"] => {
            for workload in WORKLOADS {
                println!(
                    "{}\t{}\t{}",
                    workload.name, workload.granularity, workload.operation
                );
            }
            Ok(())
        }
        [row, operations] => run(row, operations),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("llam-instructions: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(row: &str, operations: &str) -> Result<(), String> {
    let workload = WORKLOADS
        .iter()
        .find(|workload| workload.name == row)
        .ok_or_else(|| format!("there is no row `{row}`"))?;
    let operations: u64 = operations
        .parse()
        .ok()
        .filter(|&count| count > 0)
        .ok_or_else(|| format!("`{operations}` is not a positive number"))?;
    let clock = Clock::Held {
        hold: clock::hold,
        advance: clock::advance,
    };
    llam_micro::run(*workload, operations, clock)
        .map(drop)
        .map_err(|error| format!("{row}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, because there is one default runtime.
    #[test]
    fn every_row_does_what_it_should_by_the_held_clock() {
        for workload in WORKLOADS {
            let operations = (3 * workload.granularity).to_string();
            assert_eq!(run(workload.name, &operations), Ok(()), "{}", workload.name);
        }
    }

    #[test]
    fn wrong_arguments_are_told_of() {
        assert!(run("no-such-row", "1").is_err());
        assert!(run("yield-2", "0").is_err());
        assert!(run("yield-2", "many").is_err());
    }
}
