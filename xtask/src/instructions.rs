//! `cargo xtask instructions`: how many instructions an operation of the runtime takes, and whether
//! that has changed.
//!
//! Owns the command line and the table. Each row is a workload of `llam-instructions`
//! (`benches/micro`), run under callgrind twice, with N operations and with 2 N, so that start-up
//! cancels out:
//!
//! ```text
//!   instructions per operation = (I(2 N) - I(N)) / N
//! ```
//!
//! Unlike times, the counts are the same on a busy machine, so a committed baseline can be held to a
//! narrow tolerance (`baseline.rs`). They say nothing about caches, branches, locks or the kernel.

mod baseline;
mod measure;

use std::io::Write;

use crate::sdk::workspace_root;
use baseline::{Baseline, Toolchain, Verdict};
use measure::Row;

#[derive(Debug, Default, PartialEq, Eq)]
enum Mode {
    /// Prints the table.
    #[default]
    Show,
    /// Fails when a row differs from the baseline.
    Check,
    /// Writes the baseline.
    Update,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Request {
    mode: Mode,
    /// The rows to measure; all when it is empty.
    only: Vec<String>,
    /// Without valgrind, or on another architecture than the baseline's, succeed and say so.
    allow_missing: bool,
}

fn parse(arguments: &[String]) -> Result<Request, String> {
    let mut request = Request::default();
    let mut rest = arguments.iter();
    let choose = |request: &mut Request, mode| {
        if request.mode == Mode::Show {
            request.mode = mode;
            Ok(())
        } else {
            Err("instructions takes one of --check and --update".to_owned())
        }
    };
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--check" => choose(&mut request, Mode::Check)?,
            "--update" => choose(&mut request, Mode::Update)?,
            "--allow-missing" => request.allow_missing = true,
            "--only" => match rest.next() {
                Some(row) if !row.starts_with('-') => request.only.push(row.clone()),
                _ => return Err("--only needs the name of a row".to_owned()),
            },
            other => {
                return Err(format!(
                    "instructions does not know `{other}`; see cargo xtask --help"
                ));
            }
        }
    }
    Ok(request)
}

/// The command.
pub(crate) fn main(arguments: &[String]) -> Result<(), String> {
    let request = parse(arguments)?;
    let root = workspace_root();
    let toolchain = Toolchain::here(&root)?;
    let stored = match request.mode {
        Mode::Update if request.only.is_empty() => None,
        Mode::Check | Mode::Update => Some(Baseline::read(&root)?),
        Mode::Show => Baseline::read(&root).ok(),
    };
    let missing = measure::missing_tool().or_else(|| {
        let stored = stored.as_ref().filter(|_| request.mode == Mode::Check)?;
        stored.other_architecture(&toolchain)
    });
    if let Some(reason) = missing {
        return skip(&reason, request.allow_missing);
    }
    let program = measure::Program::build(&root)?;
    let rows = chosen(program.rows()?, &request.only)?;
    match request.mode {
        Mode::Show => show(&program, &rows, stored.as_ref()).map(drop),
        Mode::Check => {
            let stored = stored.expect("it was read above, or that failed");
            check(&program, &rows, &stored, &toolchain, &request)
        }
        Mode::Update => {
            let counts = show(&program, &rows, stored.as_ref())?;
            let names = rows.iter().map(|row| row.name.clone());
            let fresh = Baseline::of(toolchain, names.zip(counts));
            match stored {
                None => fresh,
                Some(stored) => stored.merged(fresh)?,
            }
            .write(&root)
        }
    }
}

fn skip(reason: &str, is_allowed: bool) -> Result<(), String> {
    if is_allowed {
        eprintln!("\n== SKIPPED: instructions are not counted: {reason}\n");
        return Ok(());
    }
    Err(format!(
        "instructions cannot be counted: {reason} (--allow-missing makes this a success)"
    ))
}

fn chosen(rows: Vec<Row>, only: &[String]) -> Result<Vec<Row>, String> {
    if let Some(name) = only.iter().find(|&name| !has_row(&rows, name)) {
        let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
        return Err(format!(
            "there is no row `{name}`; the rows are {}",
            names.join(", ")
        ));
    }
    Ok(rows
        .into_iter()
        .filter(|row| only.is_empty() || only.contains(&row.name))
        .collect())
}

fn has_row(rows: &[Row], name: &str) -> bool {
    rows.iter().any(|row| row.name == name)
}

/// Measures the rows and prints each when it is done; their counts.
fn show(
    program: &measure::Program,
    rows: &[Row],
    stored: Option<&Baseline>,
) -> Result<Vec<f64>, String> {
    println!(
        "{:<20}{:>12}{:>12}{:>9}  operation",
        "row", "instr/op", "baseline", "change"
    );
    rows.iter()
        .map(|row| {
            let count = program.instructions_per_operation(row)?;
            let before = stored.and_then(|stored| stored.row(&row.name));
            let (before, change) = match before {
                Some(before) => (format!("{before:.1}"), baseline::change(before, count)),
                None => ("-".to_owned(), "-".to_owned()),
            };
            println!(
                "{:<20}{count:>12.1}{before:>12}{change:>9}  {}",
                row.name, row.operation
            );
            // A closed pipe is the reader's business.
            let _ = std::io::stdout().flush();
            Ok(count)
        })
        .collect()
}

fn check(
    program: &measure::Program,
    rows: &[Row],
    stored: &Baseline,
    toolchain: &Toolchain,
    request: &Request,
) -> Result<(), String> {
    let mut problems = Vec::new();
    let tolerance = stored.tolerance(toolchain);
    if let Some(note) = stored.other_toolchain(toolchain) {
        eprintln!("\n== NOTE: {note}\n");
    }
    if request.only.is_empty() {
        for name in stored.names().filter(|name| !has_row(rows, name)) {
            problems.push(format!("{name}: in the baseline, but no row any more"));
        }
    }
    let counts = show(program, rows, Some(stored))?;
    for (row, count) in rows.iter().zip(counts) {
        let verdict = match stored.row(&row.name) {
            Some(before) => tolerance.judge(before, count),
            None => Verdict::Unknown,
        };
        problems.extend(verdict.problem(&row.name));
    }
    if problems.is_empty() {
        println!("within {tolerance} of {}", baseline::FILE);
        return Ok(());
    }
    Err(format!(
        "instructions per operation are not those of {}:\n  {}\n\
         If that is meant: cargo xtask instructions --update, and say why in the commit.",
        baseline::FILE,
        problems.join("\n  ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Request, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn the_command_line() {
        assert_eq!(parsed(""), Ok(Request::default()));
        let request = parsed("--check --only yield-2 --only echo-64 --allow-missing");
        assert_eq!(
            request,
            Ok(Request {
                mode: Mode::Check,
                only: vec!["yield-2".to_owned(), "echo-64".to_owned()],
                allow_missing: true,
            })
        );
        for wrong in [
            "--check --update",
            "--only",
            "--only --check",
            "--chek",
            "yield-2",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rows_that_do_not_exist_are_named() {
        let rows = || {
            measure::parse_rows("a\t1\tone thing\nb\t2\tanother\n")
                .expect("the list is well-formed")
        };
        let both = chosen(rows(), &[]).expect("all rows exist");
        assert_eq!(both.len(), 2);
        let one = chosen(rows(), &["b".to_owned()]).expect("the row exists");
        assert_eq!((one.len(), one[0].name.as_str()), (1, "b"));
        let error = chosen(rows(), &["c".to_owned()]).expect_err("there is no c");
        assert_eq!(error, "there is no row `c`; the rows are a, b");
    }

    #[test]
    fn what_cannot_be_counted_is_an_error_unless_that_is_allowed() {
        assert!(skip("no valgrind", true).is_ok());
        let error = skip("no valgrind", false).expect_err("it is not allowed");
        assert!(error.contains("no valgrind") && error.contains("--allow-missing"));
    }
}
