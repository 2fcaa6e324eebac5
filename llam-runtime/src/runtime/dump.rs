//! The dump: every task, what it does and what it waits for (`abi.md` 5.15).

use std::fmt::Write;

use super::Runtime;
use super::stats::RuntimeStats;
use crate::clock::now_ns;
use crate::names;
use crate::task::{State, TASKS, Task, WaitKind};

/// Tasks listed at most, so that the text stays near a megabyte.
const MAX_TASKS: usize = 8192;

/// What is printed while there is nothing to look at.
pub(crate) const NOT_LIVE: &str =
    "runtime:\n  lifecycle_lock=busy diagnostics_unavailable=partial_init_or_shutdown\n";

/// Text about a live runtime. The caller keeps it live (lifecycle lock).
pub(crate) fn text(runtime: &Runtime) -> String {
    let mut out = String::with_capacity(4096);
    // Writing to a string cannot fail.
    let _ = sections(runtime, &mut out);
    out
}

fn sections(runtime: &Runtime, out: &mut String) -> std::fmt::Result {
    let stats = RuntimeStats::of(runtime);
    let options = runtime.options();
    let (tasks, io_waiters, more) = collect(runtime);
    writeln!(out, "runtime:")?;
    writeln!(
        out,
        "  workers={} backend={} deterministic={}",
        options.workers,
        runtime.backend().name(),
        u32::from(options.deterministic)
    )?;
    writeln!(out, "lifecycle:")?;
    writeln!(
        out,
        "  stop_requested={} live_tasks={} active_io_waiters={io_waiters}",
        u32::from(runtime.is_stopping()),
        runtime.live_tasks(),
    )?;
    writeln!(out, "block:")?;
    writeln!(
        out,
        "  calls={} completions={} outside={}",
        stats.blocking_calls,
        stats.blocking_completions,
        runtime.outside.load(std::sync::atomic::Ordering::Relaxed)
    )?;
    writeln!(out, "nodes:")?;
    writeln!(
        out,
        "  io_queues(submits={} completions={}) inflight_io_waiters={io_waiters}",
        stats.io_submits, stats.io_completions
    )?;
    writeln!(out, "shards:")?;
    for worker in runtime.all_workers() {
        writeln!(
            out,
            "  worker={} sleeping={} tasks={} switches={} overflow={}",
            worker.index.load(std::sync::atomic::Ordering::Relaxed),
            u32::from(worker.is_sleeping()),
            worker.bound(),
            worker.counters.ctx_switches.value(),
            worker.overflow_len()
        )?;
    }
    writeln!(out, "tasks:")?;
    let now = now_ns();
    for task in tasks {
        describe(task, now, out)?;
    }
    if more > 0 {
        writeln!(out, "  ({more} more)")?;
    }
    Ok(())
}

/// The runtime's tasks, how many of them wait for I/O, and how many are not listed.
fn collect(runtime: &Runtime) -> (Vec<&'static Task>, usize, usize) {
    let mut tasks = Vec::new();
    let (mut io_waiters, mut more) = (0, 0);
    for task in TASKS.iter() {
        if !task.is_live() || !task.belongs_to(runtime) {
            continue;
        }
        if task.state() == State::Parked && task.wait_kind() == WaitKind::Io {
            io_waiters += 1;
        }
        if tasks.len() < MAX_TASKS {
            tasks.push(task);
        } else {
            more += 1;
        }
    }
    // Slots may be reused while this looks: sort by what was read, not by reading again.
    tasks.sort_by_cached_key(|task| task.id());
    (tasks, io_waiters, more)
}

fn describe(task: &Task, now: u64, out: &mut String) -> std::fmt::Result {
    let state = task.state_name().to_str().unwrap_or("UNKNOWN");
    let parked = task.state() == State::Parked;
    let kind = if parked {
        task.wait_kind()
    } else {
        WaitKind::None
    };
    write!(out, "  id={} state={state} wait={}", task.id(), kind.name())?;
    let detail = task.wait_detail();
    match kind {
        WaitKind::Io => write!(
            out,
            " wait_owner=io_req io_req=kind=poll,fd={detail} wait_mode=readiness block_job=none \
             kind=poll fd={detail}"
        )?,
        WaitKind::Blocking => write!(
            out,
            " wait_owner=blocking_job io_req=none block_job=running"
        )?,
        WaitKind::Join => write!(out, " wait_owner=task:{detail} io_req=none block_job=none")?,
        WaitKind::Mutex => {
            write!(
                out,
                " wait_owner=holder_task:{detail} io_req=none block_job=none"
            )?;
        }
        WaitKind::ChannelSend | WaitKind::ChannelRecv | WaitKind::Select => {
            write!(
                out,
                " wait_owner=channel:{detail:#x} io_req=none block_job=none"
            )?;
        }
        _ => write!(out, " wait_owner=none io_req=none block_job=none")?,
    }
    if parked {
        write!(out, " waiting_ms={}", task.waited_ms(now))?;
    }
    write!(
        out,
        " class={} stack_kib={}",
        task.class(),
        task.stack_class().usable_bytes() / 1024
    )?;
    if task.deadline_ns() != 0 {
        write!(out, " deadline_ns={}", task.deadline_ns())?;
    }
    if let Some(name) = names::of(task) {
        write!(out, " name={name:?}")?;
    }
    if let Some(site) = task.site() {
        write!(out, " spawned_at={site}")?;
    }
    writeln!(out)
}
