//! Statistics, JSON and the dump: `abi.md` 4.18 and 5.15.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::io::Read;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::io::TempFile;
use common::*;
use libc::{EBADF, EINVAL};
use llam_sys::*;

/// The keys of the JSON object, in order.
const KEYS: &str = "ctx_switches yields parks wakes steals migrations blocking_calls \
    blocking_completions io_submits io_submit_calls io_submit_syscalls io_completions idle_polls \
    idle_spin_loops idle_spin_hits idle_spin_fallbacks idle_spin_ns queue_overflows overflow_depth \
    active_workers online_workers online_workers_floor online_workers_min online_workers_max \
    active_nodes dynamic_workers worker_rings worker_rings_multishot lockfree_normq huge_alloc \
    sqpoll opaque_block_ns opaque_block_samples opaque_block_max_ns opaque_enter_wait_ns \
    opaque_enter_wait_samples opaque_enter_wait_max_ns opaque_leave_wait_ns \
    opaque_leave_wait_samples opaque_leave_wait_max_ns yield_direct_attempts \
    yield_direct_fast_hits yield_direct_locked_hits yield_direct_fail_context \
    yield_direct_fail_policy yield_direct_fail_no_work yield_direct_fail_self \
    yield_direct_fail_push preempt_requests preempt_yields preempt_suppressed preempt_signals \
    preempt_mode preempt_poll_period preempt_quantum_ns";

/// What a call writes to the descriptor it is given.
fn written(write: impl FnOnce(i32)) -> String {
    let file = TempFile::with(b"");
    let fd = file.open(libc::O_WRONLY);
    write(fd.raw());
    String::from_utf8(file.content()).expect("text")
}

fn dump() -> String {
    let text = written(|fd| unsafe {
        set_errno(47);
        llam_dump_runtime_state(fd);
        assert_eq!(errno(), 47, "the dump changed errno");
    });
    assert!(
        !text.is_empty() && text.len() <= 1 << 20,
        "{} bytes",
        text.len()
    );
    text
}

fn json() -> String {
    written(|fd| {
        ok!(unsafe { llam_runtime_write_stats_json(fd) });
    })
}

/// The object as `(key, value)` pairs; fails unless it is strict.
fn parse(json: &str) -> Vec<(String, u64)> {
    let body = json.strip_prefix('{').and_then(|j| j.strip_suffix("}\n"));
    let body = body.unwrap_or_else(|| panic!("not one object and a newline: {json:?}"));
    body.split(',')
        .map(|pair| {
            let (key, value) = pair.split_once(':').expect("key:value");
            let key = key
                .strip_prefix('"')
                .and_then(|k| k.strip_suffix('"'))
                .expect("a quoted key");
            assert!(value.bytes().all(|b| b.is_ascii_digit()), "{pair}");
            (key.to_owned(), value.parse().expect("an unsigned number"))
        })
        .collect()
}

fn check_gauges(stats: &llam_runtime_stats_t) {
    assert!(stats.active_workers > 0);
    assert!(stats.active_nodes > 0);
    assert!(stats.online_workers <= stats.active_workers);
    assert!(stats.online_workers_floor <= stats.active_workers);
    assert!(stats.online_workers_min <= stats.online_workers_max);
    assert!(stats.online_workers_max <= stats.active_workers);
    for flag in [
        stats.dynamic_workers,
        stats.worker_rings,
        stats.worker_rings_multishot,
        stats.lockfree_normq,
        stats.huge_alloc,
        stats.sqpoll,
    ] {
        assert!(flag <= 1);
    }
}

/// The counters that must never fall.
fn counters(stats: &llam_runtime_stats_t) -> [u64; 24] {
    [
        stats.ctx_switches,
        stats.yields,
        stats.parks,
        stats.wakes,
        stats.steals,
        stats.migrations,
        stats.blocking_calls,
        stats.blocking_completions,
        stats.io_submits,
        stats.io_submit_calls,
        stats.io_submit_syscalls,
        stats.io_completions,
        stats.idle_polls,
        stats.idle_spin_loops,
        stats.idle_spin_hits,
        stats.idle_spin_fallbacks,
        stats.idle_spin_ns,
        stats.queue_overflows,
        stats.opaque_block_ns,
        stats.yield_direct_attempts,
        stats.preempt_requests,
        stats.preempt_yields,
        stats.preempt_suppressed,
        stats.preempt_signals,
    ]
}

#[test]
fn json_of_no_runtime_is_all_zeros() {
    let _serial = serial();
    let pairs = parse(&json());
    let keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, KEYS.split_whitespace().collect::<Vec<_>>());
    assert!(pairs.iter().all(|(_, value)| *value == 0));
}

#[test]
fn json_has_every_field_in_order() {
    let live = live();
    in_task(&live, || unsafe { llam_yield() });
    let pairs = parse(&json());
    let keys: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, KEYS.split_whitespace().collect::<Vec<_>>());
    let value = |key: &str| pairs.iter().find(|(k, _)| k == key).expect("the key").1;
    let stats = stats();
    assert_eq!(value("ctx_switches"), stats.ctx_switches);
    assert_eq!(value("active_workers"), stats.active_workers.into());
    assert_eq!(value("preempt_mode"), stats.preempt_mode.into());
    assert_eq!(
        value("preempt_poll_period"),
        stats.preempt_poll_period.into()
    );
}

#[test]
fn json_refuses_bad_descriptors() {
    let _serial = serial();
    unsafe {
        fails!(llam_runtime_write_stats_json(-1), EINVAL);
        fails!(llam_runtime_write_stats_json(-5), EINVAL);
        fails!(llam_runtime_write_stats_json(1_000_000), EBADF);
    }
}

#[test]
fn json_and_dump_work_from_a_task() {
    run_in_task(|| {
        assert_eq!(parse(&json()).len(), KEYS.split_whitespace().count());
        assert!(dump().contains("lifecycle:"));
    });
}

#[test]
fn counters_count() {
    let live = live();
    check_gauges(&stats());
    assert_eq!(stats().ctx_switches, 0);
    in_task(&live, || unsafe {
        for _ in 0..10 {
            llam_yield();
        }
        let channel = chan(1);
        let waiter = spawn(move || {
            let mut out = null_mut();
            ok!(llam_channel_recv_result(channel.raw(), &mut out));
        });
        await_parked(waiter);
        ok!(llam_channel_send(channel.raw(), null_mut()));
        join(waiter);
        ok!(llam_channel_destroy(channel.raw()));
    });
    let stats = stats();
    check_gauges(&stats);
    assert!(stats.ctx_switches > 0);
    assert!(stats.yields >= 10);
    assert!(stats.parks > 0);
    assert!(stats.wakes > 0);
}

#[test]
fn blocking_counters_are_equal_at_rest() {
    unsafe extern "C" fn callback(_: *mut core::ffi::c_void) -> *mut core::ffi::c_void {
        null_mut()
    }
    let live = live();
    in_task(&live, || {
        for _ in 0..5 {
            unsafe { llam_call_blocking(Some(callback), null_mut()) };
        }
    });
    assert_eq!(
        (stats().blocking_calls, stats().blocking_completions),
        (5, 5)
    );
}

#[test]
fn counters_never_fall_while_live() {
    let live = live();
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..4 {
        let stop = Arc::clone(&stop);
        spawn(move || {
            while !stop.load(Ordering::Acquire) {
                unsafe { llam_yield() };
                join(spawn(|| {}));
            }
        });
    }
    live.run_beside(|| {
        let mut before = counters(&stats());
        for _ in 0..500 {
            let stats = stats();
            check_gauges(&stats);
            let now = counters(&stats);
            for (index, (old, new)) in before.iter().zip(&now).enumerate() {
                assert!(new >= old, "counter {index} fell from {old} to {new}");
            }
            before = now;
        }
        stop.store(true, Ordering::Release);
    });
}

#[test]
fn statistics_keep_errno() {
    let _live = live();
    unsafe {
        let mut stats = std::mem::MaybeUninit::<llam_runtime_stats_t>::uninit();
        let stats = stats.as_mut_ptr();
        keeps_errno!(llam_runtime_collect_stats(stats));
        keeps_errno!(llam_runtime_collect_stats_ex(stats, 8));
        keeps_errno!(llam_runtime_collect_stats_ex_handle(
            llam_runtime_default(),
            stats,
            8
        ));
    }
}

#[test]
fn statistics_of_a_handle_are_its_own() {
    let live = live();
    let runtime = Runtime::create();
    runtime.in_task(|| unsafe { llam_yield() });
    let mut theirs = std::mem::MaybeUninit::<llam_runtime_stats_t>::zeroed();
    let theirs = unsafe {
        ok!(llam_runtime_collect_stats_ex_handle(
            runtime.handle.raw(),
            theirs.as_mut_ptr(),
            LLAM_RUNTIME_STATS_CURRENT_SIZE
        ));
        theirs.assume_init()
    };
    check_gauges(&theirs);
    assert!(theirs.ctx_switches > 0 && theirs.yields > 0);
    assert_eq!(stats().ctx_switches, 0);
    in_task(&live, || {});
}

#[test]
fn a_dump_of_no_runtime_says_something() {
    let _serial = serial();
    assert!(dump().contains("runtime:"));
}

#[test]
fn a_dump_to_a_negative_descriptor_is_nothing() {
    let _live = live();
    unsafe {
        set_errno(47);
        llam_dump_runtime_state(-1);
        llam_dump_runtime_state(-100);
        llam_dump_runtime_state(1_000_000);
        assert_eq!(errno(), 47);
    }
}

#[test]
fn a_dump_has_its_sections() {
    let live = live();
    spawn(|| {});
    let text = dump();
    for section in [
        "runtime:",
        "lifecycle:",
        "block:",
        "nodes:",
        "shards:",
        "tasks:",
    ] {
        assert!(text.contains(section), "no {section} in\n{text}");
    }
    let (_, after) = text.split_once("lifecycle:").expect("checked");
    for field in ["stop_requested=0", "live_tasks=1", "active_io_waiters=0"] {
        assert!(
            after.contains(field),
            "no {field} after lifecycle: in\n{text}"
        );
    }
    for field in [
        "io_queues(",
        "inflight_io_waiters=",
        "id=1 state=RUNNABLE",
        "wait=none",
    ] {
        assert!(text.contains(field), "no {field} in\n{text}");
    }
    ok!(unsafe { llam_runtime_request_stop() });
    assert!(dump().contains("stop_requested=1"));
    live.run();
    let text = dump();
    assert!(text.contains("id=1 state=DEAD"), "{text}");
    assert!(text.contains("live_tasks=0"), "{text}");
}

/// What a dump says about the task with this id: everything from its id to the next one's.
fn part_of_task(text: &str, id: u64) -> &str {
    let own = format!("id={id} state=");
    let start = text
        .find(&own)
        .unwrap_or_else(|| panic!("no task {id} in\n{text}"));
    let of_task = &text[start..];
    let end = of_task.match_indices("id=").map(|(at, _)| at).find(|at| {
        *at > 0 && of_task[..*at].ends_with([' ', '\n']) && of_task[*at..].contains(" state=")
    });
    end.map_or(of_task, |end| &of_task[..end])
}

/// Parks a task in `wait`, requires that the dump comes to show it parked with this word, and stops.
fn shows(wait: impl FnOnce() + Send + 'static, word: &str) {
    let live = live();
    let task = spawn(wait);
    let id = unsafe { llam_task_id(task.raw()) };
    live.run_beside(|| {
        let mut seen = String::new();
        eventually(word, || {
            seen = part_of_task(&dump(), id).to_owned();
            seen.contains("state=PARKED") && seen.contains(word)
        });
        for field in ["wait_owner=", "io_req=", "block_job="] {
            assert!(seen.contains(field), "no {field} in {seen}");
        }
        ok!(unsafe { llam_runtime_request_stop() });
    });
}

#[test]
fn a_dump_tells_what_tasks_wait_for() {
    shows(|| _ = unsafe { llam_sleep_until(FOREVER) }, "wait=sleep");
    shows(
        || {
            let mut out = null_mut();
            unsafe { llam_channel_recv_result(chan(1).raw(), &mut out) };
        },
        "wait=channel_recv",
    );
    shows(
        || unsafe {
            let channel = chan(1);
            llam_channel_send(channel.raw(), word(1));
            llam_channel_send(channel.raw(), word(1));
        },
        "wait=channel_send",
    );
    shows(
        || unsafe {
            let (cond, mutex) = (cond(), mutex());
            llam_mutex_lock(mutex.raw());
            llam_cond_wait(cond.raw(), mutex.raw());
        },
        "wait=cond",
    );
    shows(
        || unsafe {
            let other = spawn(|| llam_sleep_until(FOREVER));
            llam_join(other.raw());
        },
        "wait=join",
    );
    shows(
        || unsafe {
            let mutex = mutex();
            join(spawn(move || llam_mutex_lock(mutex.raw())));
            llam_mutex_lock_until(mutex.raw(), after_ms(3_600_000));
        },
        "wait=mutex",
    );
    shows(
        || unsafe {
            let (a, _b) = common::io::pair();
            let mut byte = [0_u8; 1];
            llam_read(a.raw(), byte.as_mut_ptr().cast(), 1);
        },
        "wait=io",
    );
}

#[test]
fn a_dump_shows_a_task_in_poll() {
    let live = live();
    let (a, _b) = common::io::pair();
    let fd = a.raw();
    let task = spawn(move || {
        let mut revents = 0;
        unsafe { llam_poll_fd(a.raw(), libc::POLLIN, -1, &mut revents) };
    });
    live.run_beside(|| {
        await_parked(task);
        let text = dump();
        let number = format!("fd={fd}");
        let as_request = [
            "wait_owner=io_req",
            "kind=poll",
            &number,
            "wait_mode=",
            "active_io_waiters=",
        ];
        let as_job = ["wait_owner=blocking_job", "block_job=", "io_fallbacks="];
        assert!(
            as_request.iter().all(|w| text.contains(w)) || as_job.iter().all(|w| text.contains(w)),
            "{text}"
        );
        ok!(unsafe { llam_runtime_request_stop() });
    });
}

#[test]
fn dumps_may_race_with_everything() {
    let live = live();
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..3 {
        let stop = Arc::clone(&stop);
        spawn(move || {
            while !stop.load(Ordering::Acquire) {
                let tasks: Vec<Task> = (0..20)
                    .map(|_| spawn(|| ok!(unsafe { llam_sleep_ns(1000) })))
                    .collect();
                tasks.into_iter().for_each(join);
            }
        });
    }
    live.run_beside(|| {
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let (mut reader, writer) = std::io::pipe().expect("a pipe");
                        let collect = thread::spawn(move || {
                            let mut text = String::new();
                            reader.read_to_string(&mut text).map(|_| text)
                        });
                        unsafe { llam_dump_runtime_state(writer.as_raw_fd()) };
                        drop(writer);
                        let text = collect.join().expect("no panic").expect("text");
                        assert!(text.contains("runtime:"));
                    }
                });
            }
        });
        stop.store(true, Ordering::Release);
    });
}
