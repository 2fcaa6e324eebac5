//! Reading, writing and closing descriptors: `abi.md` 4.14, rules I1 to I11, on sockets, pipes and
//! files, blocking and not.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use common::io::{Fd, TempFile, buf, pair, pipe};
use common::*;
use libc::{EAGAIN, EBADF, EFAULT, EINVAL, EISDIR, EPIPE, ETIMEDOUT};
use llam_sys::*;

fn read(fd: &Fd, max: usize) -> Vec<u8> {
    let mut bytes = vec![0; max];
    let n = ok!(unsafe { llam_read(fd.raw(), buf(&mut bytes), max) });
    bytes.truncate(n as usize);
    bytes
}

fn write(fd: &Fd, bytes: &[u8]) -> usize {
    ok!(unsafe { llam_write(fd.raw(), bytes.as_ptr().cast(), bytes.len()) }) as usize
}

fn write_all(fd: &Fd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        bytes = &bytes[write(fd, bytes)..];
    }
}

/// The kinds of stream a reader can wait on: reading end, writing end, name.
fn streams() -> Vec<(Fd, Fd, &'static str)> {
    let mut streams = Vec::new();
    for nonblocking in [false, true] {
        let (a, b) = pair();
        streams.push((
            a.nonblocking(nonblocking),
            b.nonblocking(nonblocking),
            "socket pair",
        ));
        let (a, b) = pipe();
        streams.push((
            a.nonblocking(nonblocking),
            b.nonblocking(nonblocking),
            "pipe",
        ));
        let (listener, addr) = common::io::listener();
        let client = common::io::connect_plain(&addr);
        let served = Fd::new(unsafe { libc::accept(listener.raw(), null_mut(), null_mut()) });
        streams.push((
            served.nonblocking(nonblocking),
            client.nonblocking(nonblocking),
            "TCP",
        ));
    }
    streams
}

#[test]
fn no_descriptor_is_ebadf() {
    everywhere(|| unsafe {
        let mut bytes = [0_u8; 4];
        let slice = llam_iovec_t {
            iov_base: buf(&mut bytes),
            iov_len: 4,
        };
        for bad in [LLAM_INVALID_FD, 1_000_000] {
            fails!(llam_read(bad, buf(&mut bytes), 4), EBADF);
            fails!(llam_read_handle(bad, buf(&mut bytes), 4), EBADF);
            fails!(llam_read_when_ready(bad, buf(&mut bytes), 4, 1000), EBADF);
            fails!(llam_write(bad, buf(&mut bytes), 4), EBADF);
            fails!(llam_write_handle(bad, buf(&mut bytes), 4), EBADF);
            fails!(llam_writev(bad, &slice, 1), EBADF);
            fails!(llam_close(bad), EBADF);
            fails!(llam_close_handle(bad), EBADF);
        }
    });
}

#[test]
fn a_host_thread_gets_the_plain_system_call() {
    everywhere(|| unsafe {
        if is_task() {
            return;
        }
        let (a, b) = pair();
        assert_eq!(write(&b, b"hello"), 5);
        assert_eq!(read(&a, 3), b"hel");
        assert_eq!(read(&a, 9), b"lo");
        let a = a.nonblocking(true);
        let mut bytes = [0_u8; 4];
        fails!(llam_read(a.raw(), buf(&mut bytes), 4), EAGAIN);
        fails!(llam_read_handle(a.raw(), buf(&mut bytes), 4), EAGAIN);
        let block = vec![0_u8; 65536];
        while llam_write(a.raw(), block.as_ptr().cast(), block.len()) > 0 {}
        assert_eq!(errno(), EAGAIN);
        let slice = llam_iovec_t {
            iov_base: block.as_ptr().cast(),
            iov_len: block.len(),
        };
        fails!(llam_writev(a.raw(), &slice, 1), EAGAIN);
    });
}

#[test]
fn a_task_waits_for_bytes_in_either_mode() {
    run_in_task(|| {
        for (reader, writer, name) in streams() {
            let mode = reader.is_nonblocking();
            let theirs = reader.clone();
            let task = spawn(move || assert_eq!(read(&theirs, 10), b"bytes", "{name}"));
            await_parked(task);
            assert_eq!(write(&writer, b"bytes"), 5);
            join(task);
            assert_eq!(
                reader.is_nonblocking(),
                mode,
                "{name}: the mode was changed"
            );
        }
    });
}

#[test]
fn the_end_of_a_stream_is_0() {
    run_in_task(|| {
        for (reader, writer, name) in streams() {
            write(&writer, b"last");
            drop(writer);
            assert_eq!(read(&reader, 10), b"last", "{name}");
            assert_eq!(read(&reader, 10), b"", "{name}");
            assert_eq!(read(&reader, 10), b"", "{name}");
        }
    });
}

#[test]
fn a_waiting_reader_sees_the_end_of_the_stream() {
    run_in_task(|| {
        for (reader, writer, name) in streams() {
            let task = spawn(move || assert_eq!(read(&reader, 10), b"", "{name}"));
            await_parked(task);
            drop(writer);
            join(task);
        }
    });
}

#[test]
fn a_read_of_no_bytes_returns_at_once() {
    run_in_task(|| {
        for (reader, _writer, _) in streams() {
            assert_eq!(read(&reader, 0), b"");
        }
    });
}

#[test]
fn a_task_waits_for_room_in_either_mode() {
    run_in_task(|| {
        for (reader, writer, name) in streams() {
            let total = 4 << 20;
            let task = spawn(move || {
                let block: Vec<u8> = (0..65536_u32).map(|n| (n * 7) as u8).collect();
                for _ in 0..total / block.len() {
                    write_all(&writer, &block);
                }
            });
            let mut received = 0;
            while received < total {
                let bytes = read(&reader, 100_000);
                assert!(!bytes.is_empty(), "{name}: the stream ended");
                for (at, byte) in bytes.iter().enumerate() {
                    let expected = (((received + at) % 65536) as u32 * 7) as u8;
                    assert_eq!(*byte, expected, "{name}: byte {}", received + at);
                }
                received += bytes.len();
            }
            join(task);
            assert_eq!(read(&reader, 1), b"");
        }
    });
}

#[test]
fn other_tasks_run_while_one_waits() {
    let live = live_deterministic();
    in_task(&live, || {
        for (reader, writer, name) in streams() {
            let theirs = reader.clone();
            let task = spawn(move || assert_eq!(read(&theirs, 1), b"x", "{name}"));
            await_parked(task);
            for _ in 0..10 {
                ok!(unsafe { llam_sleep_ns(MS / 10) });
                assert_eq!(state(task), "PARKED");
            }
            write(&writer, b"x");
            join(task);
        }
    });
}

#[test]
fn a_waiting_reader_does_not_delay_a_writer() {
    run_in_task(|| {
        for nonblocking in [false, true] {
            let (a, b) = pair();
            let a = a.nonblocking(nonblocking);
            let theirs = a.clone();
            let reader = spawn(move || assert_eq!(read(&theirs, 4), b"back"));
            await_parked(reader);
            assert_eq!(write(&a, b"forth"), 5);
            assert_eq!(b.take(9), b"forth");
            b.put(b"back");
            join(reader);
        }
    });
}

#[test]
fn each_byte_goes_to_one_of_several_readers() {
    run_in_task(|| {
        for (reader, writer, name) in streams() {
            let count = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<Task> = (0..6)
                .map(|_| {
                    let (reader, count) = (reader.clone(), Arc::clone(&count));
                    spawn(move || {
                        loop {
                            let bytes = read(&reader, 3);
                            if bytes.is_empty() {
                                break;
                            }
                            count.fetch_add(bytes.len(), Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            for _ in 0..100 {
                write_all(&writer, b"0123456");
                unsafe { llam_yield() };
            }
            drop(writer);
            tasks.into_iter().for_each(join);
            assert_eq!(count.load(Ordering::Relaxed), 700, "{name}");
        }
    });
}

#[test]
fn a_duplicate_waits_on_its_own() {
    run_in_task(|| {
        for nonblocking in [false, true] {
            let (a, b) = pair();
            let a = a.nonblocking(nonblocking);
            let copy = Fd::new(unsafe { libc::dup(a.raw()) });
            let readers = [a, copy].map(|fd| {
                let task = spawn(move || assert_eq!(read(&fd, 1).len(), 1));
                await_parked(task);
                task
            });
            b.put(b"1");
            b.put(b"2");
            readers.into_iter().for_each(join);
        }
    });
}

#[test]
fn the_handle_forms_are_the_same_calls() {
    run_in_task(|| unsafe {
        let (a, b) = pair();
        assert_eq!(
            ok!(llam_write_handle(b.raw(), b"handle".as_ptr().cast(), 6)),
            6
        );
        let mut bytes = [0_u8; 10];
        assert_eq!(ok!(llam_read_handle(a.raw(), buf(&mut bytes), 10)), 6);
        assert_eq!(&bytes[..6], b"handle");
    });
}

#[test]
fn errors_of_the_system_call_are_passed_on() {
    everywhere(|| unsafe {
        let mut bytes = [0_u8; 4];
        let directory = common::io::directory();
        fails!(llam_read(directory.raw(), buf(&mut bytes), 4), EISDIR);
        let file = TempFile::with(b"content");
        let write_only = file.open(libc::O_WRONLY);
        fails!(llam_read(write_only.raw(), buf(&mut bytes), 4), EBADF);
        let read_only = file.open(libc::O_RDONLY);
        fails!(llam_write(read_only.raw(), buf(&mut bytes), 4), EBADF);
        let (a, b) = pair();
        b.put(b"x");
        fails!(llam_read(a.raw(), null_mut(), 4), EFAULT);
        assert_eq!(a.take(4), b"x");
        drop(b);
        // The test harness ignores SIGPIPE.
        fails!(llam_write(a.raw(), buf(&mut bytes), 4), EPIPE);
    });
}

#[test]
fn a_waiting_writer_learns_that_the_peer_is_gone() {
    run_in_task(|| {
        for nonblocking in [false, true] {
            let (a, b) = pair();
            let a = a.nonblocking(nonblocking);
            let task = spawn(move || unsafe {
                let block = vec![0_u8; 65536];
                while llam_write(a.raw(), block.as_ptr().cast(), block.len()) > 0 {}
                let code = errno();
                assert!([EPIPE, libc::ECONNRESET].contains(&code), "errno {code}");
            });
            await_parked(task);
            drop(b);
            join(task);
        }
    });
}

#[test]
#[ignore = "ends its process; run by sigpipe_is_not_suppressed"]
fn child_is_killed_by_sigpipe() {
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    run_in_task(|| {
        let (a, b) = pair();
        drop(b);
        write(&a, b"x");
    });
}

#[test]
fn sigpipe_is_not_suppressed() {
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "child_is_killed_by_sigpipe",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .expect("the child runs");
    assert_eq!(output.status.signal(), Some(libc::SIGPIPE), "{output:?}");
}

#[test]
fn files_are_read_and_written_at_their_position() {
    everywhere(|| {
        let file = TempFile::with(b"0123456789");
        let fd = file.open(libc::O_RDWR);
        assert_eq!(read(&fd, 4), b"0123");
        assert_eq!(write(&fd, b"ab"), 2);
        assert_eq!(read(&fd, 10), b"6789");
        assert_eq!(read(&fd, 10), b"");
        assert_eq!(file.content(), b"0123ab6789");
        let append = file.open(libc::O_WRONLY | libc::O_APPEND);
        assert_eq!(write(&append, b"end"), 3);
        assert_eq!(file.content(), b"0123ab6789end");
    });
}

#[test]
fn devices_and_eventfds_are_descriptors_too() {
    run_in_task(|| unsafe {
        let zero = Fd::new(libc::open(c"/dev/zero".as_ptr(), libc::O_RDWR));
        assert_eq!(read(&zero, 5), [0; 5]);
        assert_eq!(write(&zero, b"12345"), 5);
        for flags in [0, libc::EFD_NONBLOCK] {
            let event = Fd::new(libc::eventfd(0, flags));
            let theirs = event.clone();
            let task = spawn(move || assert_eq!(read(&theirs, 8), 7_u64.to_ne_bytes()));
            await_parked(task);
            assert_eq!(write(&event, &7_u64.to_ne_bytes()), 8);
            join(task);
        }
    });
}

#[test]
fn read_when_ready_reads_probes_and_times_out() {
    everywhere(|| unsafe {
        for nonblocking in [false, true] {
            let (a, b) = pair();
            let a = a.nonblocking(nonblocking);
            let mut bytes = [0_u8; 8];
            fails!(
                llam_read_when_ready(a.raw(), buf(&mut bytes), 8, 0),
                ETIMEDOUT
            );
            let before = llam_now_ns();
            fails!(
                llam_read_when_ready(a.raw(), buf(&mut bytes), 8, 10),
                ETIMEDOUT
            );
            assert!(llam_now_ns() - before >= 10 * MS);
            fails!(llam_read_when_ready(a.raw(), null_mut(), 8, 1), ETIMEDOUT);
            b.put(b"abc");
            assert_eq!(ok!(llam_read_when_ready(a.raw(), buf(&mut bytes), 1, 0)), 1);
            assert_eq!(
                ok!(llam_read_when_ready(a.raw(), buf(&mut bytes), 1, 1000)),
                1
            );
            assert_eq!(
                ok!(llam_read_when_ready(a.raw(), buf(&mut bytes), 8, -1)),
                1
            );
            drop(b);
            assert_eq!(
                ok!(llam_read_when_ready(a.raw(), buf(&mut bytes), 8, -1)),
                0
            );
            assert_eq!(
                ok!(llam_read_when_ready(LLAM_INVALID_FD, null_mut(), 0, -1)),
                0
            );
        }
    });
}

#[test]
fn read_when_ready_waits_in_a_task() {
    run_in_task(|| {
        for (reader, writer, name) in streams() {
            let task = spawn(move || unsafe {
                let mut bytes = [0_u8; 8];
                let n = llam_read_when_ready(reader.raw(), buf(&mut bytes), 8, 20_000);
                assert_eq!((n, &bytes[..2]), (2, &b"ok"[..]), "{name}");
            });
            await_parked(task);
            writer.put(b"ok");
            join(task);
        }
    });
}

#[test]
fn a_timeout_that_races_with_a_byte_loses_nothing() {
    run_in_task(|| unsafe {
        for round in 0..200_u64 {
            let (a, b) = pair();
            let a = a.nonblocking(round % 2 == 0);
            let theirs = a.clone();
            let taken = Arc::new(AtomicBool::new(false));
            let mark = Arc::clone(&taken);
            let reader = spawn(move || {
                let mut byte = [0_u8; 1];
                let n = llam_read_when_ready(theirs.raw(), buf(&mut byte), 1, 1);
                assert!(n == 1 || errno() == ETIMEDOUT, "{n}, errno {}", errno());
                mark.store(n == 1, Ordering::Release);
            });
            ok!(llam_sleep_ns(MS - 100_000 + round * 1000));
            b.put(b"x");
            join(reader);
            let mut byte = [0_u8; 1];
            let left = libc::recv(a.raw(), buf(&mut byte), 1, libc::MSG_DONTWAIT) == 1;
            assert_ne!(
                left,
                taken.load(Ordering::Acquire),
                "lost or doubled in round {round}"
            );
        }
    });
}

#[test]
fn writev_refuses_in_this_order() {
    everywhere(|| unsafe {
        let slice = llam_iovec_t {
            iov_base: b"x".as_ptr().cast(),
            iov_len: 1,
        };
        fails!(llam_writev(LLAM_INVALID_FD, null(), -1), EINVAL);
        fails!(llam_writev(LLAM_INVALID_FD, &slice, 1_000_000), EINVAL);
        assert_eq!(ok!(llam_writev(LLAM_INVALID_FD, null(), 0)), 0);
        fails!(llam_writev(LLAM_INVALID_FD, null(), 1), EINVAL);
        fails!(llam_writev(LLAM_INVALID_FD, &slice, 1), EBADF);
    });
}

#[test]
fn writev_writes_its_slices_in_order() {
    everywhere(|| unsafe {
        for count in [1, 2, 16, 17, 40] {
            let (a, b) = pair();
            let texts: Vec<String> = (0..count)
                .map(|n| "x".repeat(n % 4) + &n.to_string())
                .collect();
            let slices: Vec<_> = texts
                .iter()
                .map(|t| llam_iovec_t {
                    iov_base: t.as_ptr().cast(),
                    iov_len: t.len(),
                })
                .collect();
            let all = texts.concat();
            let n = ok!(llam_writev(a.raw(), slices.as_ptr(), count as i32)) as usize;
            assert_eq!(n, all.len(), "{count} slices");
            assert_eq!(b.take(1000), all.as_bytes());
        }
    });
}

#[test]
fn writev_waits_for_room() {
    run_in_task(|| unsafe {
        for nonblocking in [false, true] {
            let (a, b) = pair();
            let a = a.nonblocking(nonblocking);
            let task = spawn(move || {
                let block = vec![1_u8; 300_000];
                let mut sent = 0;
                while sent < 3_000_000 {
                    let half = llam_iovec_t {
                        iov_base: block.as_ptr().cast(),
                        iov_len: 150_000,
                    };
                    let slices = [half, half];
                    sent += ok!(llam_writev(a.raw(), slices.as_ptr(), 2)) as usize;
                }
                sent
            });
            let mut received = 0;
            loop {
                let bytes = read(&b, 65536);
                if bytes.is_empty() {
                    break;
                }
                received += bytes.len();
            }
            join(task);
            assert!(received >= 3_000_000);
        }
    });
}

#[test]
fn close_closes() {
    everywhere(|| unsafe {
        for close in [
            llam_close as unsafe extern "C" fn(i32) -> i32,
            llam_close_handle,
        ] {
            let copy = libc::dup(pipe().0.raw());
            ok!(close(copy));
            assert_eq!(libc::fcntl(copy, libc::F_GETFD), -1);
            fails!(close(copy), EBADF);
        }
    });
}

#[test]
fn a_number_that_comes_back_is_another_descriptor() {
    run_in_task(|| unsafe {
        for plain in [true, false] {
            // The engine gets to know the number as a socket, blocking and then not, as a pipe and
            // as a file; nothing of it may be remembered.
            for round in 0..30 {
                let raw;
                if round % 3 == 2 {
                    let file = TempFile::with(b"file");
                    raw = libc::dup(file.open(libc::O_RDONLY).raw());
                    let mut bytes = [0_u8; 9];
                    assert_eq!(ok!(llam_read(raw, buf(&mut bytes), 9)), 4);
                } else {
                    let (a, b) = if round % 3 == 0 { pair() } else { pipe() };
                    raw = libc::dup(a.nonblocking(round % 2 == 0).raw());
                    let task = spawn(move || {
                        let mut bytes = [0_u8; 9];
                        assert_eq!(ok!(llam_read(raw, buf(&mut bytes), 9)), 2);
                        assert_eq!(&bytes[..2], b"hi");
                    });
                    await_parked(task);
                    b.put(b"hi");
                    join(task);
                }
                if plain {
                    assert_eq!(libc::close(raw), 0);
                } else {
                    ok!(llam_close(raw));
                }
            }
        }
    });
}

#[test]
fn descriptors_belong_to_no_runtime() {
    let live = live();
    let runtime = Runtime::create();
    let (a, b) = pair();
    let theirs = a.clone();
    let _b = runtime.in_task(move || {
        let helper = spawn(move || assert_eq!(read(&theirs, 5), b"first"));
        await_parked(helper);
        b.put(b"first");
        join(helper);
        b.put(b"second");
        b
    });
    in_task(&live, move || assert_eq!(read(&a, 10), b"second"));
}

#[test]
fn eintr_never_surfaces_in_a_task() {
    extern "C" fn ignore(_: i32) {}
    let live = live();
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as extern "C" fn(i32) as usize;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, null_mut()), 0);
    }
    let (a, b) = pair();
    let (c, d) = pipe();
    let readers = [a, c].map(|fd| spawn(move || assert_eq!(read(&fd, 2), b"ok")));
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let runner = unsafe { libc::pthread_self() } as usize;
    let harasser = std::thread::spawn(move || {
        readers.iter().for_each(|t| await_parked(*t));
        for _ in 0..50 {
            unsafe { libc::pthread_kill(runner as libc::pthread_t, libc::SIGUSR1) };
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        seen.store(true, Ordering::Release);
        b.put(b"ok");
        d.put(b"ok");
    });
    live.run();
    assert!(
        stop.load(Ordering::Acquire),
        "the reads ended before the bytes came"
    );
    harasser.join().expect("no panic");
}

#[test]
fn hundreds_of_sockets_wait_at_once() {
    run_in_task(|| {
        // A pair costs two descriptors; the usual limit is 1024.
        let pairs: Vec<(Fd, Fd)> = (0..400).map(|_| pair()).collect();
        let tasks: Vec<Task> = pairs
            .iter()
            .map(|(a, _)| {
                let a = a.clone();
                spawn(move || {
                    for _ in 0..5 {
                        let bytes = read(&a, 1);
                        write_all(&a, &bytes);
                    }
                })
            })
            .collect();
        for round in 0..5_u8 {
            for (_, b) in &pairs {
                write_all(b, &[round]);
            }
            for (_, b) in &pairs {
                assert_eq!(read(b, 2), [round]);
            }
        }
        tasks.into_iter().for_each(join);
    });
}
