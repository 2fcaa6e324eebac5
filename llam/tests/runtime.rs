//! `llam::runtime`: starting, running, stopping; counters; independent runtimes.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{SOON, alone, quiet_panics, run};
use llam::runtime::{PreemptMode, current_runtime_raw};
use llam::{Error, Profile, Runtime, RuntimeBuilder};

#[test]
fn run_returns_after_every_task_has_ended() {
    let _turn = alone();
    let ended = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&ended);
    llam::test(move || {
        for _ in 0..8 {
            let counter = Arc::clone(&counter);
            llam::spawn(move || {
                llam::time::sleep(Duration::from_millis(5)).unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
            });
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), 8);
}

#[test]
fn run_returns_the_error_of_its_closure() {
    let _turn = alone();
    let error = llam::test(|| Err(Error::from_errno(libc::ENOENT))).unwrap_err();
    assert_eq!(error.errno(), libc::ENOENT);
}

#[test]
fn run_passes_the_panic_of_its_closure_on_and_can_run_again() {
    let _turn = alone();
    quiet_panics();
    let payload = std::panic::catch_unwind(|| llam::test(|| panic!("expected: out"))).unwrap_err();
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"expected: out"));
    llam::test(|| Ok(())).unwrap();
}

#[test]
fn run_with_each_profile() {
    let _turn = alone();
    for profile in [
        Profile::Balanced,
        Profile::ReleaseFast,
        Profile::DebugSafe,
        Profile::IoLatency,
    ] {
        llam::test_with_profile(profile, || Ok(())).unwrap();
        llam::run_with_profile(profile, || Ok(())).unwrap();
    }
    assert_eq!(Profile::default(), Profile::Balanced);
}

#[test]
fn run_inside_a_task_is_refused() {
    run(|| {
        assert_eq!(llam::run(|| Ok(())).unwrap_err().errno(), libc::EBUSY);
        assert_eq!(Runtime::init().unwrap_err().errno(), libc::EBUSY);
        Ok(())
    });
}

#[test]
fn init_twice_is_busy() {
    let _turn = alone();
    let runtime = Runtime::init().unwrap();
    assert_eq!(Runtime::init().unwrap_err().errno(), libc::EBUSY);
    runtime.shutdown();
    drop(Runtime::init().unwrap());
}

#[test]
fn builder_options_reach_the_engine() {
    let raw = RuntimeBuilder::new()
        .profile(Profile::IoLatency)
        .deterministic(true)
        .forced_yield_every(3)
        .idle_spin(Duration::from_micros(2))
        .idle_spin_max_iters(9)
        .sqpoll_cpu(1)
        .worker_rings(true)
        .huge_alloc(true)
        .huge_alloc(false)
        .preempt_mode(PreemptMode::Strict)
        .preempt_poll_period(5)
        .preempt_quantum(Duration::from_micros(7))
        .raw_options();
    assert_eq!(raw.profile, Profile::IoLatency.to_raw());
    assert_eq!((raw.deterministic, raw.forced_yield_every), (1, 3));
    assert_eq!((raw.idle_spin_ns, raw.idle_spin_max_iters), (2_000, 9));
    assert_eq!(raw.sqpoll_cpu, 1);
    assert_eq!(
        raw.experimental_flags,
        llam::sys::LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS
    );
    assert_eq!(
        (
            raw.preempt_mode,
            raw.preempt_poll_period,
            raw.preempt_quantum_ns
        ),
        (llam::sys::LLAM_PREEMPT_STRICT, 5, 7_000)
    );
    let raw = RuntimeBuilder::new()
        .dynamic_workers(true)
        .worker_rings_multishot(true)
        .lockfree_normq(true)
        .sqpoll(true)
        .raw_options();
    assert_eq!(raw.experimental_flags, 0b101_110);
    let raw = RuntimeBuilder::new().experimental_flags(64).raw_options();
    assert_eq!((raw.experimental_flags, raw.sqpoll_cpu), (64, -1));
}

#[test]
fn deterministic_runs_tasks_in_order() {
    let _turn = alone();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    RuntimeBuilder::new()
        .deterministic(true)
        .run(move || {
            for i in 0..4 {
                let seen = Arc::clone(&seen);
                llam::spawn(move || {
                    seen.lock().unwrap().push(i);
                    llam::task::yield_now();
                    seen.lock().unwrap().push(i);
                });
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 0, 1, 2, 3]);
}

#[test]
fn workers_are_as_many_as_asked_for() {
    if !common::needs_bundled_engine("a number of workers can be chosen") {
        return;
    }
    let _turn = alone();
    let wanted = std::env::var("LLAM_WORKERS").map_or(3, |n| n.parse().unwrap());
    let runtime = Runtime::builder().workers(3).init().unwrap();
    assert_eq!(runtime.stats().unwrap().active_workers(), wanted);
    runtime.run(|| Ok(())).unwrap();
}

#[test]
fn request_stop_cancels_waits_and_run_still_succeeds() {
    let _turn = alone();
    let runtime = Runtime::init().unwrap();
    runtime.request_stop().unwrap();
    runtime
        .run(|| {
            let error = llam::time::sleep(Duration::from_secs(60)).unwrap_err();
            assert!(error.is_cancelled());
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_deadlock_is_an_error_of_run() {
    let _turn = alone();
    let error = llam::test(|| {
        let mutex = Arc::new(llam::sync::Mutex::new(())?);
        let other = Arc::clone(&mutex);
        // The owner ends with the lock held: nobody can ever have it.
        llam::spawn(move || std::mem::forget(other.lock().unwrap())).join()?;
        assert!(mutex.lock().unwrap_err().is_cancelled());
        Ok(())
    })
    .unwrap_err();
    assert_eq!(error.errno(), libc::EDEADLK);
    llam::test(|| Ok(())).unwrap();
}

#[test]
fn stats_count() {
    let _turn = alone();
    let runtime = Runtime::init().unwrap();
    assert_eq!(runtime.stats().unwrap().ctx_switches(), 0);
    let stats = Arc::new(std::sync::Mutex::new(None));
    let slot = Arc::clone(&stats);
    runtime
        .run(move || {
            llam::task::yield_now();
            llam::blocking::call(|| ())?.unwrap();
            // SAFETY: all-zero is a valid value of plain integers.
            let mut raw: llam::sys::llam_runtime_stats_t = unsafe { std::mem::zeroed() };
            // SAFETY: the buffer is as large as the size says.
            let status = unsafe {
                llam::sys::llam_runtime_collect_stats_ex(
                    &raw mut raw,
                    llam::sys::LLAM_RUNTIME_STATS_CURRENT_SIZE,
                )
            };
            assert_eq!(status, 0);
            *slot.lock().unwrap() = Some(raw);
            Ok(())
        })
        .unwrap();
    let raw = stats.lock().unwrap().take().unwrap();
    assert!(raw.ctx_switches > 0 && raw.yields > 0);
    assert_eq!((raw.blocking_calls, raw.blocking_completions), (1, 1));
}

#[test]
fn a_handle_is_an_independent_runtime() {
    if !common::needs_abi_2("several runtimes") {
        return;
    }
    let _turn = alone();
    let handle = Runtime::builder().workers(1).create_handle().unwrap();
    assert_ne!(handle.raw(), current_runtime_raw());
    let task = handle.spawn(llam::task::current_id).unwrap();
    assert_eq!(handle.stats().unwrap().ctx_switches(), 0);
    handle.run().unwrap();
    assert_eq!(task.join().unwrap(), Some(1));
    assert!(handle.stats().unwrap().ctx_switches() > 0);
    // Again, with options.
    let options = llam::SpawnOptions::new().class(llam::TaskClass::Batch);
    let task = handle
        .spawn_with(options, llam::task::current_class)
        .unwrap();
    handle.run().unwrap();
    assert_eq!(task.join().unwrap(), Some(llam::TaskClass::Batch));
    handle.destroy();
}

#[test]
fn a_program_of_the_first_release_runs_unchanged() {
    // create_handle, spawn from the host thread without a runtime's name, run, join, destroy.
    let _turn = alone();
    let handle = RuntimeBuilder::new().create_handle().unwrap();
    let task = llam::spawn(|| 21 * 2);
    handle.run().unwrap();
    assert_eq!(task.join().unwrap(), 42);
    handle.destroy();
    let error = llam::task::try_spawn(|| ()).unwrap_err();
    assert_eq!(error.errno(), libc::EINVAL);
}

#[test]
fn a_handle_can_be_stopped_from_outside() {
    let _turn = alone();
    let handle = Arc::new(Runtime::builder().workers(1).create_handle().unwrap());
    let (started, is_started) = std::sync::mpsc::channel();
    let sleeper = handle
        .spawn(move || {
            started.send(()).unwrap();
            llam::time::sleep(Duration::from_secs(60))
        })
        .unwrap();
    let runner = Arc::clone(&handle);
    let thread = std::thread::spawn(move || runner.run());
    is_started.recv_timeout(SOON).unwrap();
    handle.request_stop().unwrap();
    assert!(sleeper.join().unwrap().unwrap_err().is_cancelled());
    thread.join().unwrap().unwrap();
}

#[test]
fn objects_of_another_runtime_are_refused_not_followed() {
    if !common::needs_abi_2("several runtimes") {
        return;
    }
    let _turn = alone();
    let handle = Runtime::builder().workers(1).create_handle().unwrap();
    let mutex = Arc::new(llam::sync::Mutex::new(1).unwrap());
    let (tx, rx) = llam::channel::bounded::<u32>(1).unwrap();
    let token = llam::CancelToken::new().unwrap();
    let foreign = Arc::clone(&mutex);
    let task = handle
        .spawn(move || {
            assert_eq!(foreign.lock().unwrap_err().errno(), libc::EXDEV);
            assert_eq!(rx.recv().unwrap_err().errno(), libc::EXDEV);
            let back = tx.send(5).unwrap_err();
            assert_eq!((back.value, back.error.errno()), (5, libc::EXDEV));
            assert_eq!(token.cancel().unwrap_err().errno(), libc::EXDEV);
            assert!(!token.is_cancelled());
            let error = llam::task::try_spawn_with(llam::SpawnOptions::new().cancel(token), || ())
                .unwrap_err();
            assert_eq!(error.errno(), libc::EXDEV);
            // All of them are dropped here, where the engine refuses to destroy them.
        })
        .unwrap();
    handle.run().unwrap();
    task.join().unwrap();
}

#[test]
fn a_task_joins_no_task_of_another_runtime() {
    if !common::needs_abi_2("several runtimes") {
        return;
    }
    let _turn = alone();
    let one = Runtime::builder().workers(1).create_handle().unwrap();
    let other = Runtime::builder().workers(1).create_handle().unwrap();
    let target = one.spawn(|| 1).unwrap();
    let joiner = other
        .spawn(move || match target.join() {
            Err(llam::JoinError::Runtime(error)) => error.errno(),
            other => panic!("{other:?}"),
        })
        .unwrap();
    one.run().unwrap();
    other.run().unwrap();
    assert_eq!(joiner.join().unwrap(), libc::EXDEV);
}
