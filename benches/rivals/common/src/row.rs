//! The rows of a runtime program: names and counts are those of `llam-bench rt`, so that a row means the
//! same on both sides.
//!
//! Owns the order and the repetition: one run that is thrown away, then those that count. Called by
//! `rt`.

use crate::rt::Timed;
use serde::Serialize;

/// Name, and operations in one run.
pub(crate) const TIMED_ROWS: &[(&str, u64)] = &[
    ("spawn-join", 1_000_000),
    ("spawn-join-batch", 1_000_000),
    ("yield-2", 10_000_000),
    ("yield-10000", 10_000_000),
    ("channel-ping-pong", 1_000_000),
    ("channel-stream", 5_000_000),
    ("select-default", 5_000_000),
    ("mutex-contended", 1_000_000),
    ("sleep-100000", 100_000),
];

/// Name, and tasks that are parked at once.
pub(crate) const MEMORY_ROWS: &[(&str, u32)] = &[
    ("parked-10000", 10_000),
    ("parked-100000", 100_000),
    ("parked-1000000", 1_000_000),
];

/// One line of the program's output.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// `ns` for an operation, or `bytes` for a task.
    pub(crate) unit: &'static str,
    /// Operations, or tasks, in each run.
    pub(crate) count: u64,
    pub(crate) runs: Vec<f64>,
}

/// Runs a row, once more than `runs`. `None`: the framework has no such row.
pub(crate) fn measure_timed(
    name: &'static str,
    operations: u64,
    runs: u32,
    mut once: impl FnMut(u64) -> Option<Timed>,
) -> Option<Row> {
    let mut count = once(operations)?.operations;
    let mut times = Vec::new();
    for _ in 0..runs {
        let timed = once(operations)?;
        count = timed.operations;
        times.push(timed.elapsed.as_nanos() as f64 / count as f64);
    }
    Some(Row {
        name,
        unit: "ns",
        count,
        runs: times,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_run_is_thrown_away() {
        let mut times = [900, 10, 20].into_iter();
        let row = measure_timed("yield-2", 10, 2, |operations| {
            Some(Timed {
                operations,
                elapsed: Duration::from_nanos(times.next()?),
            })
        });
        let row = row.unwrap();
        assert_eq!(row.runs, [1.0, 2.0]);
        assert_eq!(row.count, 10);
        assert!(measure_timed("yield-2", 10, 2, |_| None).is_none());
    }
}
