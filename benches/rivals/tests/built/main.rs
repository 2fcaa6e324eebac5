//! Checks everything that `cargo xtask rivals` has built: `cargo test` in `benches/rivals`.
//!
//! A rival that answers wrongly is not worth measuring: every byte of every answer is looked at. There is a
//! test per entry of the list and number of workers, so that the report names what fails. What was skipped
//! is shown as ignored.
//!
//! | file | holds |
//! |---|---|
//! | `echo`, `http`, `fanout` | the checks of servers |
//! | `rt` | the checks of runtime programs |
#![forbid(unsafe_code)]

mod echo;
mod fanout;
mod http;
mod rt;

use libtest_mimic::{Arguments, Trial};
use rival_tests::list::{Entry, Kind, List};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let list = match List::read() {
        Ok(list) => list,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if list.built.is_empty() {
        eprintln!("error: nothing is built; `cargo xtask rivals` says why");
        return ExitCode::FAILURE;
    }
    let mut trials: Vec<Trial> = list.built.iter().flat_map(trials_of).collect();
    trials.extend(list.skipped.iter().map(|skipped| {
        let name = format!("{:?}::{} (skipped)", skipped.kind, skipped.name);
        Trial::test(name, || Ok(())).with_ignored_flag(true)
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trials_of(entry: &Entry) -> Vec<Trial> {
    let trial = |what: &str, check: fn(&Entry)| {
        let entry = entry.clone();
        Trial::test(
            format!("{:?}::{}::{what}", entry.kind, entry.name),
            move || {
                check(&entry);
                Ok(())
            },
        )
    };
    match entry.kind {
        Kind::Echo => vec![
            trial("one_worker", |entry| echo::check(entry, 1)),
            trial("two_workers", |entry| echo::check(entry, 2)),
        ],
        Kind::Http => vec![
            trial("one_worker", |entry| http::check(entry, 1)),
            trial("two_workers", |entry| http::check(entry, 2)),
        ],
        Kind::Fanout => vec![
            trial("best_effort", |entry| fanout::check(entry, "best-effort")),
            trial("lossless", |entry| fanout::check(entry, "lossless")),
        ],
        Kind::Rt => vec![
            trial("all_rows", rt::check_all_rows),
            trial("chosen_rows", rt::check_chosen_rows),
        ],
    }
}
