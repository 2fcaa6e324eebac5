//! Starting, running, stopping and ending runtimes: `abi.md` 4.2 and 5.1, without deadlocks.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::*;
use libc::{EBUSY, ECANCELED, EINVAL};
use llam_sys::*;

/// Spawns a task that parks until somebody sends on the channel, and counts it.
fn park_on(channel: H<llam_channel_t>, woken: &Arc<AtomicU32>) -> Task {
    let woken = Arc::clone(woken);
    spawn(move || unsafe {
        let mut out = null_mut();
        ok!(llam_channel_recv_result(channel.raw(), &mut out));
        woken.fetch_add(1, Ordering::Relaxed);
    })
}

#[test]
fn init_of_a_live_runtime_is_ebusy() {
    let _live = live();
    fails!(unsafe { llam_runtime_init_ex(null(), 0) }, EBUSY);
    fails!(unsafe { llam_runtime_init(null()) }, EBUSY);
}

#[test]
fn bad_options_are_einval_even_when_live() {
    let _live = live();
    let mut opts = runtime_opts();
    opts.profile = 4;
    fails!(unsafe { llam_runtime_init_ex(&opts, 56) }, EINVAL);
    let mut opts = runtime_opts();
    opts.preempt_mode = 4;
    fails!(unsafe { llam_runtime_init_ex(&opts, 56) }, EINVAL);
    fails!(unsafe { llam_runtime_init_ex(&opts, 0) }, EINVAL);
}

#[test]
fn a_failed_init_leaves_nothing_behind() {
    let _serial = serial();
    let mut opts = runtime_opts();
    opts.profile = 99;
    fails!(unsafe { llam_runtime_init_ex(&opts, 56) }, EINVAL);
    assert_eq!(stats().active_workers, 0);
    unsafe { llam_runtime_shutdown() };
    ok!(unsafe { llam_runtime_init_ex(null(), 0) });
    assert!(stats().active_workers > 0);
    unsafe { llam_runtime_shutdown() };
    assert_eq!(stats().active_workers, 0);
}

#[test]
fn an_impossible_sqpoll_cpu_is_einval_with_the_flag_alone() {
    let _serial = serial();
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let mut opts = runtime_opts();
    opts.sqpoll_cpu = 100_000;
    ok!(unsafe { llam_runtime_init_ex(&opts, 56) });
    unsafe { llam_runtime_shutdown() };
    if cpus > 1 {
        opts.experimental_flags = LLAM_RUNTIME_EXPERIMENTAL_F_SQPOLL;
        fails!(unsafe { llam_runtime_init_ex(&opts, 56) }, EINVAL);
    }
    opts.experimental_flags =
        LLAM_RUNTIME_EXPERIMENTAL_F_SQPOLL | LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS;
    ok!(unsafe { llam_runtime_init_ex(&opts, 56) });
    unsafe { llam_runtime_shutdown() };
}

#[test]
fn unknown_experimental_flags_are_ignored() {
    let mut opts = runtime_opts();
    opts.experimental_flags = !LLAM_RUNTIME_EXPERIMENTAL_F_SQPOLL;
    let live = live_with(&opts);
    in_task(&live, || unsafe { llam_yield() });
}

#[test]
fn every_profile_is_accepted() {
    for profile in 0..4 {
        let mut opts = runtime_opts();
        opts.profile = profile;
        let live = live_with(&opts);
        in_task(&live, || unsafe { llam_yield() });
    }
}

#[test]
fn shutdown_is_idempotent_and_harmless_before_init() {
    let _serial = serial();
    unsafe {
        llam_runtime_shutdown();
        ok!(llam_runtime_init_ex(null(), 0));
        set_errno(55);
        llam_runtime_shutdown();
        llam_runtime_shutdown();
        assert_eq!(errno(), 55);
    }
}

#[test]
fn init_and_shutdown_any_number_of_times_start_afresh() {
    for _ in 0..20 {
        let live = live();
        let task = spawn(|| {});
        assert_eq!(unsafe { llam_task_id(task.raw()) }, 1);
        assert_eq!(stats().ctx_switches, 0);
        live.run();
        assert!(stats().ctx_switches > 0);
    }
}

#[test]
fn nothing_works_on_a_host_thread_before_init() {
    let _serial = serial();
    unsafe {
        fails!(llam_spawn_ex(Some(nothing), null_mut(), null(), 0), EINVAL);
        fails!(llam_run(), EINVAL);
        fails!(llam_runtime_request_stop(), EINVAL);
        fails!(llam_sleep_ns(0), EINVAL);
        fails!(llam_sleep_until(0), EINVAL);
        fails!(llam_sleep_until(llam_now_ns() - 1), EINVAL);
        fails!(llam_runtime_run_handle(llam_runtime_default()), EINVAL);
        fails!(
            llam_runtime_spawn_ex(llam_runtime_default(), Some(nothing), null_mut(), null(), 0),
            EINVAL
        );
    }
}

#[test]
fn the_default_handle_is_constant_through_all_states() {
    let _serial = serial();
    unsafe {
        let handle = llam_runtime_default();
        assert!(!handle.is_null());
        ok!(llam_runtime_init_ex(null(), 0));
        assert_eq!(llam_runtime_default(), handle);
        llam_runtime_shutdown();
        assert_eq!(llam_runtime_default(), handle);
    }
}

#[test]
fn run_without_tasks_returns_at_once() {
    let live = live();
    live.run();
    live.run();
    ok!(unsafe { llam_runtime_run_handle(llam_runtime_default()) });
}

#[test]
fn run_waits_for_detached_tasks() {
    let live = live();
    let done = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&done);
    let task = spawn(move || unsafe {
        ok!(llam_sleep_ns(20 * MS));
        count.fetch_add(1, Ordering::Relaxed);
    });
    ok!(unsafe { llam_detach(task.raw()) });
    live.run();
    assert_eq!(done.load(Ordering::Relaxed), 1);
}

#[test]
fn unjoined_tasks_stay_joinable_after_the_run() {
    let live = live();
    let task = spawn(|| {});
    live.run();
    assert_eq!(state(task), "DEAD");
    live.run();
    ok!(unsafe { llam_join(task.raw()) });
}

#[test]
fn tasks_may_be_spawned_between_runs() {
    let live = live();
    for round in 0..5 {
        assert_eq!(in_task(&live, move || round), round);
    }
}

#[test]
fn host_threads_spawn_before_and_during_the_run() {
    let live = live();
    let channel = chan(1);
    let woken = Arc::new(AtomicU32::new(0));
    let parked = park_on(channel, &woken);
    let spawn_many = || {
        let tasks: Vec<Task> = (0..100)
            .map(|_| spawn(|| unsafe { llam_yield() }))
            .collect();
        assert!(tasks.iter().all(|t| unsafe { llam_task_id(t.raw()) } != 0));
        tasks
    };
    let mut tasks = spawn_many();
    live.run_beside(|| {
        await_parked(parked);
        thread::scope(|scope| {
            let spawners: Vec<_> = (0..4).map(|_| scope.spawn(spawn_many)).collect();
            for spawner in spawners {
                tasks.extend(spawner.join().expect("no panic"));
            }
        });
        for task in &tasks {
            join(*task);
        }
        ok!(unsafe { llam_channel_try_send(channel.raw(), word(1)) });
    });
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    ok!(unsafe { llam_channel_destroy(channel.raw()) });
}

#[test]
fn run_from_a_task_is_einval() {
    run_in_task(|| unsafe {
        fails!(llam_run(), EINVAL);
        fails!(llam_runtime_run_handle(llam_runtime_default()), EINVAL);
        let mut other = null_mut();
        ok!(llam_runtime_create(null(), 0, &mut other));
        fails!(llam_runtime_run_handle(other), EINVAL);
        assert!(is_task());
        llam_yield();
    });
}

#[test]
fn a_second_run_is_einval_at_once() {
    let live = live();
    let channel = chan(1);
    let parked = park_on(channel, &Arc::default());
    live.run_beside(|| {
        await_parked(parked);
        fails!(unsafe { llam_run() }, EINVAL);
        fails!(
            unsafe { llam_runtime_run_handle(llam_runtime_default()) },
            EINVAL
        );
        ok!(unsafe { llam_channel_try_send(channel.raw(), null_mut()) });
    });
    ok!(unsafe { llam_channel_destroy(channel.raw()) });
}

#[test]
fn a_stop_from_a_task_cancels_parked_tasks_and_run_returns_0() {
    let live = live();
    let parked = spawn(|| fails!(unsafe { llam_sleep_ns(3_600_000 * MS) }, ECANCELED));
    spawn(move || {
        await_parked(parked);
        ok!(unsafe { llam_runtime_request_stop() });
        ok!(unsafe { llam_runtime_request_stop() });
        fails!(unsafe { llam_sleep_ns(MS) }, ECANCELED);
    });
    live.run();
    // The mark is gone with the run.
    in_task(&live, || ok!(unsafe { llam_sleep_ns(MS) }));
}

#[test]
fn a_stop_before_the_run_lets_tasks_start_but_not_park() {
    let live = live();
    let started = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&started);
    spawn(move || {
        mark.store(true, Ordering::Relaxed);
        fails!(unsafe { llam_sleep_ns(3_600_000 * MS) }, ECANCELED);
    });
    ok!(unsafe { llam_runtime_request_stop() });
    live.run();
    assert!(started.load(Ordering::Relaxed));
    in_task(&live, || ok!(unsafe { llam_sleep_ns(MS) }));
}

#[test]
fn tasks_spawned_after_a_stop_run_and_cannot_park() {
    let live = live();
    spawn(|| {
        ok!(unsafe { llam_runtime_request_stop() });
        let child = spawn(|| fails!(unsafe { llam_sleep_ns(3_600_000 * MS) }, ECANCELED));
        eventually("the child ends", || state(child) == "DEAD");
        ok!(unsafe { llam_join(child.raw()) });
    });
    live.run();
}

#[test]
fn a_stop_from_a_host_thread_stops_the_default_runtime() {
    let live = live();
    let parked = spawn(|| fails!(unsafe { llam_sleep_until(FOREVER) }, ECANCELED));
    live.run_beside(|| {
        await_parked(parked);
        ok!(unsafe { llam_runtime_request_stop() });
    });
}

#[test]
fn a_task_that_calls_shutdown_goes_on() {
    let live = live();
    let after = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&after);
    spawn(move || unsafe {
        set_errno(33);
        llam_runtime_shutdown();
        assert_eq!(errno(), 33);
        assert!(is_task());
        llam_yield();
        fails!(llam_sleep_ns(3_600_000 * MS), ECANCELED);
        mark.store(true, Ordering::Relaxed);
    });
    live.run();
    assert!(after.load(Ordering::Relaxed));
    assert!(stats().active_workers > 0, "still live");
}

#[test]
fn shutdown_from_a_host_thread_ends_a_run_on_another() {
    let live = live();
    let ended = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&ended);
    let parked = spawn(move || {
        fails!(unsafe { llam_sleep_until(FOREVER) }, ECANCELED);
        mark.store(true, Ordering::Release);
    });
    live.run_beside(|| {
        await_parked(parked);
        unsafe { llam_runtime_shutdown() };
        assert!(
            ended.load(Ordering::Acquire),
            "shutdown waits for the tasks"
        );
        fails!(unsafe { llam_runtime_request_stop() }, EINVAL);
    });
    assert_eq!(state(parked), "UNKNOWN");
}

#[test]
fn shutdown_of_an_idle_runtime_drops_tasks_that_never_started() {
    let ran = Arc::new(AtomicBool::new(false));
    let live = live();
    let mark = Arc::clone(&ran);
    let task = spawn(move || mark.store(true, Ordering::Relaxed));
    drop(live);
    assert!(!ran.load(Ordering::Relaxed));
    let again = common::live();
    again.run();
    assert!(!ran.load(Ordering::Relaxed));
    assert_eq!(state(task), "UNKNOWN");
}

#[test]
fn shutdown_frees_tokens_and_groups_from_their_tasks() {
    let live = live();
    let token = token();
    let group = group();
    spawn_with(&with_token(token), || {});
    unsafe {
        ok!(llam_task_group_spawn_ex(
            group.raw(),
            Some(nothing),
            null_mut(),
            null(),
            0
        ));
        fails!(llam_cancel_token_destroy(token.raw()), EBUSY);
        fails!(llam_task_group_destroy(group.raw()), EBUSY);
        live.run();
        fails!(llam_cancel_token_destroy(token.raw()), EBUSY);
        fails!(llam_task_group_destroy(group.raw()), EBUSY);
        drop(live);
        ok!(llam_cancel_token_destroy(token.raw()));
        ok!(llam_task_group_destroy(group.raw()));
    }
}

#[test]
fn deterministic_runs_tasks_in_spawn_order() {
    let live = live_deterministic();
    assert_eq!(stats().active_workers, 1);
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    for number in 0..6 {
        let order = Arc::clone(&order);
        spawn(move || {
            order.lock().expect("no panic").push(number);
            unsafe { llam_yield() };
            order.lock().expect("no panic").push(number);
        });
    }
    live.run();
    assert_eq!(
        *order.lock().expect("no panic"),
        [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5]
    );
}

#[test]
fn deterministic_runs_a_child_after_its_parent_parks() {
    let live = live_deterministic();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let notes = Arc::clone(&order);
    in_task(&live, move || {
        let note = |what| notes.lock().expect("no panic").push(what);
        let child_notes = Arc::clone(&notes);
        let child = spawn(move || child_notes.lock().expect("no panic").push("child"));
        note("parent");
        join(child);
        note("joined");
    });
    assert_eq!(
        *order.lock().expect("no panic"),
        ["parent", "child", "joined"]
    );
}

#[test]
fn what_a_task_wrote_is_seen_after_the_run() {
    let live = live();
    let cells: Arc<Vec<AtomicU32>> = Arc::new((0..100).map(|_| AtomicU32::new(0)).collect());
    for index in 0..100 {
        let cells = Arc::clone(&cells);
        spawn(move || cells[index].store(index as u32 + 1, Ordering::Relaxed));
    }
    live.run();
    for (index, cell) in cells.iter().enumerate() {
        assert_eq!(cell.load(Ordering::Relaxed), index as u32 + 1);
    }
}

#[test]
fn init_shutdown_stats_dump_and_sleep_may_race() {
    let _serial = serial();
    let until = Instant::now() + Duration::from_millis(400);
    let sink = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/null")
        .expect("a sink");
    let fd = std::os::fd::AsRawFd::as_raw_fd(&sink);
    let one_of = |code: i32, allowed: &[i32]| {
        let errno = errno();
        assert!(
            code == 0 || allowed.contains(&errno),
            "code {code}, errno {errno}"
        );
    };
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while Instant::now() < until {
                    one_of(unsafe { llam_runtime_init_ex(null(), 0) }, &[EBUSY]);
                    unsafe { llam_runtime_shutdown() };
                }
            });
        }
        scope.spawn(|| {
            while Instant::now() < until {
                one_of(unsafe { llam_sleep_ns(MS) }, &[EINVAL]);
                one_of(unsafe { llam_run() }, &[EINVAL]);
                one_of(unsafe { llam_runtime_request_stop() }, &[EINVAL]);
            }
        });
        scope.spawn(|| {
            while Instant::now() < until {
                let stats = stats();
                assert!(stats.online_workers <= stats.active_workers);
                unsafe { llam_dump_runtime_state(fd) };
                ok!(unsafe { llam_runtime_write_stats_json(fd) });
            }
        });
    });
    unsafe { llam_runtime_shutdown() };
}
