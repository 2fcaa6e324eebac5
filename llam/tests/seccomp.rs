//! Where the kernel refuses things: no io_uring, as in containers, and one CPU only.
//!
//! The children start with the restriction in place, so every thread of theirs has it.
#![cfg(target_os = "linux")]

mod common;
mod support_child;

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use common::alone;
use support_child::{LIMIT, child, finish, is_child};

/// Makes `io_uring_setup` fail with `errno` in this process and all that come from it.
fn refuse_io_uring(errno: u16) -> io::Result<()> {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let mut filter = [
        // The number of the system call is the first word of `seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter {
            code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
            jt: 0,
            jf: 1,
            k: libc::SYS_io_uring_setup as u32,
        },
        statement(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | u32::from(errno),
        ),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filter.len() as u16,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: numbers, and a program that lives until the calls return; the kernel checks it.
    let status = unsafe {
        match libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) {
            0 => libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program),
            error => error,
        }
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Lets the process use the first of its CPUs only.
fn keep_one_cpu() -> io::Result<()> {
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: zeroed sets are valid, and their size is passed along.
    let status = unsafe {
        let (mut all, mut one): (libc::cpu_set_t, libc::cpu_set_t) = std::mem::zeroed();
        if libc::sched_getaffinity(0, size, &mut all) != 0 {
            return Err(io::Error::last_os_error());
        }
        let first = (0..libc::CPU_SETSIZE as usize).find(|cpu| libc::CPU_ISSET(*cpu, &all));
        libc::CPU_SET(first.unwrap_or(0), &mut one);
        libc::sched_setaffinity(0, size, &one)
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A child that starts restricted.
fn restricted(
    name: &str,
    restrict: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> Command {
    let mut command = child(name);
    // SAFETY: the closure makes a few system calls and allocates nothing.
    unsafe { command.pre_exec(restrict) };
    command
}

/// Clients and servers in tasks: each client sends lines and hears them again.
fn echo_over_tcp() -> llam::Result<()> {
    const CLIENTS: usize = 20;
    let listener = llam::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = llam::spawn(move || {
        for stream in listener.incoming().take(CLIENTS) {
            let stream = stream.unwrap();
            llam::spawn(move || io::copy(&mut &stream, &mut &stream).unwrap());
        }
    });
    let mut clients = llam::TaskBatch::new();
    for client in 0..CLIENTS as u8 {
        clients.spawn(move || {
            let mut stream = llam::net::TcpStream::connect(address).unwrap();
            for round in 0..50 {
                let line = [client, round, 3, 4];
                stream.write_all(&line).unwrap();
                let mut answer = [0; 4];
                stream.read_exact(&mut answer).unwrap();
                assert_eq!(answer, line);
            }
        })?;
    }
    llam::time::timeout(Duration::from_secs(30), || clients.join())??;
    server.join()?;
    Ok(())
}

/// A pipeline of tasks over channels, with a timer beside it.
fn pass_through_channels() -> llam::Result<()> {
    const VALUES: u64 = 5000;
    let (tx, mut rx) = llam::channel::bounded::<u64>(4)?;
    for _ in 0..10 {
        let (next, end) = llam::channel::bounded::<u64>(4)?;
        llam::spawn(move || {
            for value in &rx {
                next.send(value + 1).unwrap();
            }
        });
        rx = end;
    }
    let ticks = llam::spawn(|| {
        for _ in 0..10 {
            llam::time::sleep(Duration::from_millis(1)).unwrap();
        }
    });
    llam::spawn(move || (0..VALUES).for_each(|value| tx.send(value).unwrap()));
    assert!(rx.iter().eq(10..VALUES + 10));
    ticks.join()?;
    Ok(())
}

#[test]
#[ignore = "the child of the tests in this file"]
fn child_echo() {
    if !is_child() {
        return;
    }
    let _guard = alone();
    llam::run(|| {
        println!("| backend={}", llam::sys::ext::io_backend());
        echo_over_tcp()?;
        pass_through_channels()
    })
    .unwrap();
    // A second runtime says nothing more.
    llam::run(pass_through_channels).unwrap();
}

#[test]
#[ignore = "the child of a_forced_backend_that_is_refused_is_an_error"]
fn child_forced() {
    if !is_child() {
        return;
    }
    for _ in 0..2 {
        let error = llam::Runtime::init().expect_err("io_uring is refused");
        println!("| errno={}", error.errno());
    }
    let error = llam::RuntimeBuilder::new().create_handle().unwrap_err();
    println!("| errno={}", error.errno());
}

#[test]
fn without_io_uring_the_program_says_so_once_and_works() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let mut command = restricted("child_echo", move || refuse_io_uring(errno as u16));
        command.env_remove("LLAM_IO_BACKEND");
        let ended = finish(command, LIMIT).expect_success();
        if llam::sys::ext::IS_BUNDLED {
            assert!(ended.stdout.contains("backend=epoll"), "{}", ended.text());
        }
        let [line] = ended.stderr_lines("llam: ")[..] else {
            panic!("exactly one line: {}", ended.text());
        };
        assert!(line.contains("io_uring is refused"), "{line}");
        assert!(line.contains(&format!("os error {errno}")), "{line}");
    }
}

#[test]
fn without_io_uring_but_asked_for_epoll_nothing_is_said() {
    let mut command = restricted("child_echo", || refuse_io_uring(libc::EPERM as u16));
    command.env("LLAM_IO_BACKEND", "epoll");
    let ended = finish(command, LIMIT).expect_success();
    assert!(ended.stderr_lines("llam: ").is_empty(), "{}", ended.text());
}

#[test]
fn a_forced_backend_that_is_refused_is_an_error() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let mut command = restricted("child_forced", move || refuse_io_uring(errno as u16));
        command.env("LLAM_IO_BACKEND", "uring");
        let ended = finish(command, LIMIT).expect_success();
        let said = format!("errno={errno}");
        assert_eq!(ended.stdout.matches(&said).count(), 3, "{}", ended.text());
        let [line] = ended.stderr_lines("llam: ")[..] else {
            panic!("exactly one line: {}", ended.text());
        };
        assert!(line.contains("LLAM_IO_BACKEND"), "{line}");
        assert!(line.contains("io_uring"), "{line}");
        assert!(line.contains(&format!("os error {errno}")), "{line}");
    }
}

#[test]
fn one_cpu_is_enough() {
    for workers in [None, Some("1"), Some("4")] {
        let mut command = restricted("child_echo", keep_one_cpu);
        if let Some(workers) = workers {
            command.env("LLAM_WORKERS", workers);
        }
        finish(command, LIMIT).expect_success();
    }
}
