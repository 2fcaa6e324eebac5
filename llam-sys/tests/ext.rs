//! What `llam_sys::ext` adds to the C ABI, with the bundled engine.

#![cfg(feature = "bundled")]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::panic::Location;
use std::ptr::{null, null_mut};

use common::io::{INET_LEN, connect_plain, listener, pair};
use common::*;
use libc::{EINVAL, ETIMEDOUT};
use llam_sys::ext::{self, SpawnMeta};
use llam_sys::*;

/// Sets the park deadline of the calling task that many milliseconds from now.
fn deadline_in(ms: u64) -> u64 {
    let deadline = after_ms(ms);
    ext::set_park_deadline(deadline);
    deadline
}

fn spawn_named(name: Option<&str>, f: impl FnOnce() + Send + 'static) -> Task {
    let meta = SpawnMeta {
        name,
        site: Some(Location::caller()),
        abandon: None,
        stay: false,
    };
    let task = unsafe {
        ext::spawn(
            null_mut(),
            null_mut(),
            Some(enter),
            boxed(f),
            null(),
            0,
            meta,
        )
    };
    H::new(task)
}

#[test]
fn a_name_is_kept_and_dumped() {
    let live = live();
    let task = spawn_named(Some("the answer"), || {
        assert_eq!(ext::task_name(null()).as_deref(), Some("the answer"));
    });
    assert_eq!(ext::task_name(task.raw()).as_deref(), Some("the answer"));
    let file = common::io::TempFile::with(b"");
    let fd = file.open(libc::O_WRONLY);
    unsafe { llam_dump_runtime_state(fd.raw()) };
    let text = String::from_utf8(file.content()).expect("text");
    assert!(text.contains("the answer"), "{text}");
    live.run();
    join(task);
    assert_eq!(ext::task_name(task.raw()), None);
}

#[test]
fn tasks_without_a_name_have_none() {
    let live = live();
    assert_eq!(ext::task_name(null()), None);
    let task = spawn_named(None, || assert_eq!(ext::task_name(null()), None));
    live.run();
    join(task);
    in_task(&live, || assert_eq!(ext::task_name(null()), None));
}

#[test]
fn spawn_means_the_call_it_stands_for() {
    let _live = live();
    let runtime = Runtime::create();
    let group = group();
    unsafe {
        let meta = SpawnMeta::default();
        let spawn = |runtime, group, entry: llam_task_fn| {
            ext::spawn(runtime, group, entry, null_mut(), null(), 0, meta)
        };
        fails!(spawn(null_mut(), null_mut(), None), EINVAL);
        fails!(spawn(word(64).cast(), null_mut(), Some(nothing)), EINVAL);
        fails!(spawn(null_mut(), word(64).cast(), Some(nothing)), EINVAL);
        let child = spawn(null_mut(), group.raw(), Some(nothing));
        fails!(llam_join(child), libc::EBUSY);
        let theirs = spawn(runtime.handle.raw(), null_mut(), Some(nothing));
        runtime.run();
        ok!(llam_join(theirs));
    }
}

#[test]
fn the_number_of_workers_is_taken() {
    let serial = serial();
    if std::env::var_os("LLAM_WORKERS").is_some() {
        println!("LLAM_WORKERS overrides the argument: skipped");
        return;
    }
    for workers in [1, 2, 3, 8] {
        ok!(unsafe { ext::runtime_init(null(), 0, workers) });
        assert_eq!(stats().active_workers, workers);
        unsafe { llam_runtime_shutdown() };
        let mut out = null_mut();
        ok!(unsafe { ext::runtime_create(null(), 0, workers, &mut out) });
        let runtime = Runtime {
            handle: H::new(out),
        };
        assert_eq!(runtime.in_task(|| 5), 5);
    }
    fails!(unsafe { ext::runtime_init(&runtime_opts(), 0, 1) }, EINVAL);
    fails!(
        unsafe { ext::runtime_create(null(), 0, 1, null_mut()) },
        EINVAL
    );
    drop(serial);
}

#[test]
fn a_named_runtime_is_stopped_from_a_host_thread() {
    let _serial = serial();
    let runtime = Runtime::create();
    let parked = runtime.spawn(|| fails!(unsafe { llam_sleep_until(FOREVER) }, libc::ECANCELED));
    let handle = runtime.handle;
    run_beside(
        move || unsafe { llam_runtime_run_handle(handle.raw()) },
        || {
            await_parked(parked);
            ok!(unsafe { ext::runtime_request_stop(handle.raw()) });
        },
    );
    drop(runtime);
    fails!(unsafe { ext::runtime_request_stop(handle.raw()) }, EINVAL);
    fails!(
        unsafe { ext::runtime_request_stop(llam_runtime_default()) },
        EINVAL
    );
}

#[test]
fn outside_a_task_there_is_no_park_deadline() {
    let _live = live();
    const { assert!(ext::HAS_PARK_DEADLINE) };
    assert_eq!(ext::set_park_deadline(1), u64::MAX);
    assert_eq!(ext::set_park_deadline(2), u64::MAX);
    ok!(unsafe { llam_sleep_ns(MS) });
}

#[test]
fn the_park_deadline_is_returned_and_not_inherited() {
    run_in_task(|| {
        assert_eq!(ext::set_park_deadline(5), u64::MAX);
        assert_eq!(ext::set_park_deadline(u64::MAX), 5);
        ext::set_park_deadline(7);
        let child = spawn(|| assert_eq!(ext::set_park_deadline(1), u64::MAX));
        assert_eq!(ext::set_park_deadline(u64::MAX), 7);
        join(child);
    });
}

#[test]
fn the_park_deadline_ends_waits() {
    run_in_task(|| unsafe {
        let (a, _b) = pair();
        let channel = chan(1);
        let mut byte = [0_u8; 1];
        let to: *mut core::ffi::c_void = byte.as_mut_ptr().cast();
        let mut out = null_mut();
        let deadline = deadline_in(10);
        fails!(llam_channel_recv_result(channel.raw(), &mut out), ETIMEDOUT);
        assert!(llam_now_ns() >= deadline);
        let deadline = deadline_in(10);
        fails!(llam_read(a.raw(), to, 1), ETIMEDOUT);
        assert!(llam_now_ns() >= deadline);
        fails!(llam_read(a.raw(), to, 1), ETIMEDOUT);
        fails!(
            llam_poll_fd(a.raw(), libc::POLLIN, -1, null_mut()),
            ETIMEDOUT
        );
        fails!(llam_sleep_ns(3_600_000 * MS), ETIMEDOUT);
        fails!(
            llam_join(spawn(|| ok!(llam_sleep_ns(20 * MS))).raw()),
            ETIMEDOUT
        );
        ext::set_park_deadline(u64::MAX);
        ok!(llam_sleep_ns(MS));
    });
}

#[test]
fn the_park_deadline_spares_what_completes_at_once() {
    run_in_task(|| unsafe {
        let (a, b) = pair();
        let channel = chan(1);
        ext::set_park_deadline(1);
        ok!(llam_channel_send(channel.raw(), word(1)));
        assert_eq!(llam_channel_recv(channel.raw()), word(1));
        b.put(b"x");
        let mut byte = [0_u8; 1];
        assert_eq!(ok!(llam_read(a.raw(), byte.as_mut_ptr().cast(), 1)), 1);
        ok!(llam_sleep_ns(0));
        llam_yield();
        ext::set_park_deadline(u64::MAX);
    });
}

#[test]
fn the_earlier_deadline_counts() {
    run_in_task(|| unsafe {
        deadline_in(3_600_000);
        ok!(llam_sleep_ns(5 * MS));
        let mut out = null_mut();
        let channel = chan(1);
        fails!(
            llam_channel_recv_until_result(channel.raw(), after_ms(5), &mut out),
            ETIMEDOUT
        );
        let deadline = deadline_in(5);
        fails!(
            llam_channel_recv_until_result(channel.raw(), after_ms(3_600_000), &mut out),
            ETIMEDOUT
        );
        assert!(llam_now_ns() >= deadline);
        ext::set_park_deadline(u64::MAX);
    });
}

#[test]
fn accept_cloexec_sets_the_flag() {
    run_in_task(|| unsafe {
        for nonblocking in [false, true] {
            let (listener, addr) = listener();
            let listener = listener.nonblocking(nonblocking);
            let theirs = listener.clone();
            let task = spawn(move || {
                let mut peer = common::io::loopback(0);
                let mut len = INET_LEN;
                let fd = ext::accept_cloexec(theirs.raw(), (&raw mut peer).cast(), &mut len);
                let fd = common::io::Fd::new(fd);
                assert_ne!(libc::fcntl(fd.raw(), libc::F_GETFD) & libc::FD_CLOEXEC, 0);
                assert_eq!(fd.is_nonblocking(), !ext::prefers_blocking_sockets());
                assert_eq!(len, INET_LEN);
            });
            await_parked(task);
            let _client = connect_plain(&addr);
            join(task);
            let mut len = INET_LEN;
            fails!(
                ext::accept_cloexec(listener.raw(), null_mut(), &mut len),
                EINVAL
            );
            fails!(ext::accept_cloexec(-1, null_mut(), null_mut()), libc::EBADF);
        }
    });
}

#[test]
fn the_backend_has_a_name() {
    let _live = live();
    let backend = ext::io_backend();
    assert!(["uring", "epoll"].contains(&backend), "{backend}");
    if let Ok(forced) = std::env::var("LLAM_IO_BACKEND")
        && forced == "epoll"
    {
        assert_eq!(backend, "epoll");
    }
    assert_eq!(ext::prefers_blocking_sockets(), backend == "uring");
}

#[test]
fn without_a_runtime_the_backend_is_none() {
    let _serial = serial();
    assert_eq!(ext::io_backend(), "none");
    assert!(!ext::prefers_blocking_sockets());
}

#[test]
fn an_uncancellable_join_outlasts_cancel_and_park_deadline() {
    run_in_task(|| {
        let sleeper = spawn(|| ok!(unsafe { llam_sleep_ns(20 * MS) }));
        in_cancelled_task(move || unsafe {
            ext::set_park_deadline(1);
            ok!(ext::join_uncancellable(sleeper.raw()));
            fails!(ext::join_uncancellable(sleeper.raw()), EINVAL);
            fails!(ext::join_uncancellable(llam_current_task()), libc::EDEADLK);
        });
    });
}

#[test]
fn adopted_descriptors_work_as_others() {
    run_in_task(|| unsafe {
        for close_plainly in [false, true] {
            for _ in 0..10 {
                let (a, b) = pair();
                let raw = libc::dup(a.nonblocking(true).raw());
                ext::adopt_descriptor(raw);
                for _ in 0..3 {
                    let task = spawn(move || {
                        let mut byte = [0_u8; 1];
                        assert_eq!(ok!(llam_read(raw, byte.as_mut_ptr().cast(), 1)), 1);
                    });
                    await_parked(task);
                    b.put(b"x");
                    join(task);
                }
                if close_plainly {
                    ext::release_descriptor(raw);
                    assert_eq!(libc::close(raw), 0);
                } else {
                    ok!(llam_close(raw));
                }
            }
        }
    });
}

#[test]
fn task_data_is_a_word_per_task() {
    let live = live();
    ext::set_task_data(word(9));
    assert!(ext::task_data().is_null(), "host threads have none");
    let tasks: Vec<Task> = (1..20)
        .map(|number| {
            spawn(move || {
                assert!(ext::task_data().is_null());
                ext::set_task_data(word(number));
                for _ in 0..5 {
                    ok!(unsafe { llam_sleep_ns(MS / 10) });
                    assert_eq!(ext::task_data(), word(number));
                }
            })
        })
        .collect();
    live.run();
    tasks.into_iter().for_each(join);
    // Tasks that reuse the memory of ended ones start afresh.
    in_task(&live, || assert!(ext::task_data().is_null()));
}
