//! Runtime programs: rows with the names of `llam-bench rt`, all of them measured.

use rival_tests::LIMIT;
use rival_tests::list::Entry;
use serde::Deserialize;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Name, unit, and operations or tasks in a run that is divided by 1000.
const ROWS: &[(&str, &str, u64)] = &[
    ("spawn-join", "ns", 1000),
    ("spawn-join-batch", "ns", 1000),
    ("yield-2", "ns", 10_000),
    ("yield-10000", "ns", 10_000),
    ("channel-ping-pong", "ns", 1000),
    ("channel-stream", "ns", 5000),
    ("select-default", "ns", 5000),
    ("mutex-contended", "ns", 1000),
    ("sleep-100000", "ns", 100),
    ("parked-10000", "bytes", 10),
    ("parked-100000", "bytes", 100),
    ("parked-1000000", "bytes", 1000),
];
/// Threads are too dear for the whole count of the spawn rows.
const DEAR: (&str, u64) = ("threads", 10);

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    unit: String,
    count: u64,
    runs: Vec<f64>,
}

pub(crate) fn check_all_rows(entry: &Entry) {
    let rows = run(entry, &["--runs", "2"]);
    assert!(rows.len() >= 4, "hardly any rows: {rows:?}");
    for row in &rows {
        let known = ROWS.iter().find(|(name, ..)| *name == row.name);
        let Some(&(name, unit, count)) = known else {
            panic!("a row that llam-bench does not have: {row:?}");
        };
        let is_dear = entry.name == DEAR.0 && name.starts_with("spawn");
        let expected = if is_dear { count / DEAR.1 } else { count };
        assert_eq!((row.unit.as_str(), row.count), (unit, expected), "{row:?}");
        assert_eq!(row.runs.len(), 2, "{row:?}");
        // A few parked tasks may fit into pages that are there already.
        let least = if unit == "ns" { f64::MIN_POSITIVE } else { 0.0 };
        assert!(
            row.runs.iter().all(|run| *run >= least && run.is_finite()),
            "{row:?}"
        );
    }
    let mut names: Vec<_> = rows.iter().map(|row| &row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows.len(), "a row comes twice: {rows:?}");
}

pub(crate) fn check_chosen_rows(entry: &Entry) {
    let rows = run(
        entry,
        &["--runs", "1", "--only", "ping-pong", "--only", "mutex"],
    );
    let names: Vec<_> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["channel-ping-pong", "mutex-contended"]);
}

fn run(entry: &Entry, arguments: &[&str]) -> Vec<Row> {
    let mut child = Command::new(&entry.command[0])
        .args(&entry.command[1..])
        .args(["--workers", "1", "--divide", "1000"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let end = Instant::now() + LIMIT;
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > end {
            let _ = child.kill();
            panic!("the program does not end");
        }
        thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("a child");
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout).expect("JSON is text");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}
