//! Building `llam-instructions`, running it under callgrind, reading the count.
//!
//! The program and what it inherits are made the same everywhere: a release build without extra flags,
//! an empty environment but for the engine's settings. Only the thread that runs `main`, which is the
//! runtime's one worker, is counted: the engine's monitor thread works by the clock. What callgrind
//! found stays in `target/instructions`, for `callgrind_annotate`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sdk::{cargo, target_dir};

/// Operations of the shorter run: enough that what start-up differs by is below 0.01 per operation, few
/// enough that a run takes a second.
const OPERATIONS: u64 = 10_000;
/// Limit of one run, in seconds; runs take one to three.
const RUN_LIMIT_S: &str = "60";

/// A workload of the program.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    /// The program does a multiple of this many operations.
    granularity: u64,
    pub(super) operation: String,
}

/// Why nothing can be counted on this machine.
pub(super) fn missing_tool() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("the program and its settings are for Linux".to_owned());
    }
    let works = Command::new("valgrind")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success());
    (!works).then(|| "there is no `valgrind`".to_owned())
}

/// The program, built.
pub(super) struct Program {
    path: PathBuf,
    /// Where callgrind writes.
    folder: PathBuf,
}

impl Program {
    pub(super) fn build(root: &Path) -> Result<Self, String> {
        let mut build = Command::new(cargo());
        build
            .current_dir(root)
            .args(["build", "--quiet", "--release", "--package", "llam-micro"])
            .args(["--bin", "llam-instructions"]);
        // Flags of the caller, or an installed SDK, would make it another program.
        let settings = std::env::vars_os().map(|(name, _)| name);
        for name in settings.filter(|name| {
            let name = name.to_string_lossy();
            name.contains("RUSTFLAGS")
                || name.starts_with("CARGO_PROFILE_")
                || name.starts_with("LLAM_")
        }) {
            build.env_remove(name);
        }
        let status = build
            .status()
            .map_err(|error| format!("cargo cannot be started: {error}"))?;
        if !status.success() {
            return Err(format!("{status} from {build:?}"));
        }
        let target = target_dir(root);
        let folder = target.join("instructions");
        fs::create_dir_all(&folder)
            .map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
        Ok(Self {
            path: target.join("release/llam-instructions"),
            folder,
        })
    }

    pub(super) fn rows(&self) -> Result<Vec<Row>, String> {
        let mut list = Command::new(&self.path);
        list.arg("--list");
        parse_rows(&output_of(&mut list)?)
    }

    pub(super) fn instructions_per_operation(&self, row: &Row) -> Result<f64, String> {
        let operations = OPERATIONS.next_multiple_of(row.granularity);
        let once = self.instructions(row, operations)?;
        let twice = self.instructions(row, 2 * operations)?;
        per_operation(once, twice, operations).map_err(|problem| format!("{}: {problem}", row.name))
    }

    /// Instructions of the main thread of a run with so many operations.
    fn instructions(&self, row: &Row, operations: u64) -> Result<u64, String> {
        let out = self.folder.join(format!("{}.{operations}", row.name));
        // The file of the first thread.
        let first = self.folder.join(format!("{}.{operations}-01", row.name));
        if first.exists() {
            fs::remove_file(&first)
                .map_err(|error| format!("cannot remove `{}`: {error}", first.display()))?;
        }
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", RUN_LIMIT_S, "valgrind", "-q"])
            .args(["--tool=callgrind", "--separate-threads=yes"])
            .arg("--fair-sched=try")
            .arg(format!("--callgrind-out-file={}", out.display()))
            .arg(&self.path)
            .args([&row.name, &operations.to_string()])
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            // Valgrind knows neither guard regions nor a wait inside `io_uring_enter`.
            .env("LLAM_STACK_GUARD", "mprotect")
            .env("LLAM_IO_BACKEND", "epoll");
        output_of(&mut command)?;
        let text = fs::read_to_string(&first)
            .map_err(|error| format!("cannot read `{}`: {error}", first.display()))?;
        parse_total(&text).ok_or_else(|| format!("no total in `{}`", first.display()))
    }
}

/// The lines of `llam-instructions --list`: name, granularity and operation between tabs.
pub(super) fn parse_rows(list: &str) -> Result<Vec<Row>, String> {
    let row = |line: &str| {
        let mut fields = line.splitn(3, '\t');
        Some(Row {
            name: fields.next()?.to_owned(),
            granularity: fields.next()?.parse().ok().filter(|&count| count > 0)?,
            operation: fields.next()?.to_owned(),
        })
    };
    list.lines()
        .map(|line| row(line).ok_or_else(|| format!("not a row: `{line}`")))
        .collect()
}

/// The total of a callgrind file.
fn parse_total(text: &str) -> Option<u64> {
    let total = text.lines().find_map(|line| line.strip_prefix("totals:"))?;
    total.trim().parse().ok()
}

/// An operation takes an instruction at least; a result below says that the runtime's worker is not
/// the thread that was counted.
fn per_operation(once: u64, twice: u64, operations: u64) -> Result<f64, String> {
    let more = twice.saturating_sub(once);
    if more < operations {
        return Err(format!(
            "{once} instructions for {operations} operations, and {twice} for twice as many: \
             the worker's thread was not the one counted"
        ));
    }
    Ok(more as f64 / operations as f64)
}

/// Runs a command to its end; what it printed, or an error that shows it.
fn output_of(command: &mut Command) -> Result<String, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?} cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!(
        "{} from {command:?}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_up_cancels_out() {
        let start_up = 500_000;
        let count = per_operation(start_up + 2_220_000, start_up + 4_440_000, 10_000);
        assert_eq!(count, Ok(222.0));
    }

    #[test]
    fn a_count_that_does_not_grow_is_an_error() {
        assert!(per_operation(500_000, 500_100, 10_000).is_err());
        assert!(per_operation(500_000, 400_000, 10_000).is_err());
    }

    #[test]
    fn totals_are_found() {
        let text = "version: 1\nevents: Ir\nfn=(0) main\n3 17\ntotals: 2699566\n";
        assert_eq!(parse_total(text), Some(2_699_566));
        assert_eq!(parse_total("version: 1\nsummary: 3\n"), None);
        assert_eq!(parse_total("totals: many\n"), None);
    }

    #[test]
    fn rows_are_read_and_nonsense_is_not() {
        let rows = parse_rows("yield-2\t2\ta yield, two tasks\n");
        let row = Row {
            name: "yield-2".to_owned(),
            granularity: 2,
            operation: "a yield, two tasks".to_owned(),
        };
        assert_eq!(rows, Ok(vec![row]));
        for wrong in ["yield-2\n", "yield-2\t0\tx\n", "yield-2\ttwo\tx\n"] {
            assert!(parse_rows(wrong).is_err(), "{wrong}");
        }
    }
}
