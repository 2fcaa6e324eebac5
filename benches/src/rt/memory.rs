//! Rows about memory: what a parked task keeps resident.
//!
//! Each run is a process of its own, this program with a hidden option: stacks that an earlier run
//! left behind would make the next one look cheap. Called by the module.

use super::{Row, in_runtime};
use crate::args::RtArguments;
use crate::{process, report};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long all tasks may take to park.
const LIMIT: Duration = Duration::from_secs(300);

/// The row of `tasks` parked tasks.
pub(super) fn measure(arguments: &RtArguments, name: &str, tasks: u32) -> Result<Row, String> {
    let tasks = tasks.max(1);
    let runs = (0..arguments.runs)
        .map(|_| measure_once(arguments, tasks))
        .collect::<Result<Vec<_>, _>>()?;
    let operation = format!("resident for each of {tasks} parked tasks");
    Ok(Row::new(name, &operation, "bytes", u64::from(tasks), runs))
}

fn measure_once(arguments: &RtArguments, tasks: u32) -> Result<f64, String> {
    let program = std::env::current_exe()
        .map_err(|error| format!("cannot tell where this program is: {error}"))?;
    let output = Command::new(program)
        .args(["rt", "--profile", arguments.profile.name()])
        .args(["--workers", &arguments.workers.to_string()])
        .args(["--park", &tasks.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start a process of its own: {error}"))?;
    if !output.status.success() {
        return Err(format!("{tasks} parked tasks: {}", output.status));
    }
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .map_err(|_| "the process of its own prints no number".to_owned())
}

/// Parks `tasks` tasks and prints the bytes that each keeps.
pub(super) fn print_parked(arguments: &RtArguments, tasks: u32) -> Result<(), String> {
    let each = in_runtime(arguments, move || park(tasks))??;
    report::print(&format!("{each}\n"))
}

fn park(tasks: u32) -> llam::Result<Result<f64, String>> {
    let look = || process::usage(std::process::id()).map(|usage| usage.resident_bytes);
    let before = look();
    let parked = Arc::new(AtomicU32::new(0));
    let (sender, receiver) = llam::channel::bounded::<()>(1)?;
    let mut batch = llam::TaskBatch::with_capacity(tasks as usize);
    for _ in 0..tasks {
        let (receiver, parked) = (receiver.clone(), parked.clone());
        batch.spawn(move || {
            parked.fetch_add(1, Ordering::Relaxed);
            receiver.recv().is_err_and(|error| error.is_closed())
        })?;
    }
    let end = Instant::now() + LIMIT;
    while parked.load(Ordering::Relaxed) < tasks {
        assert!(Instant::now() < end, "not all tasks park in time");
        llam::time::sleep(Duration::from_millis(1))?;
    }
    let after = look();
    drop(sender);
    let all_closed = batch.join()?.into_iter().all(|is_closed| is_closed);
    assert!(all_closed, "every task waits until the channel is closed");
    Ok(before.and_then(|before| {
        let grown = after?.saturating_sub(before);
        Ok(grown as f64 / f64::from(tasks))
    }))
}
