//! Accepting, connecting and datagrams: `abi.md` 4.14.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

#[macro_use]
mod common;

use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::io::{Fd, INET_LEN, buf, connect_plain, datagram_pair, listener, loopback, tcp, udp};
use common::*;
use libc::{
    EBADF, ECANCELED, ECONNREFUSED, EINPROGRESS, EINVAL, EISCONN, ENOTSOCK, sockaddr, sockaddr_in,
    socklen_t,
};
use llam_sys::*;

fn as_addr(addr: &sockaddr_in) -> *const sockaddr {
    std::ptr::from_ref(addr).cast()
}

fn as_addr_mut(addr: &mut sockaddr_in) -> *mut sockaddr {
    std::ptr::from_mut(addr).cast()
}

fn accept(listener: &Fd) -> Fd {
    let fd = unsafe { llam_accept(listener.raw(), null_mut(), null_mut()) };
    assert!(!llam_fd_is_invalid(fd), "errno {}", errno());
    Fd::new(fd)
}

fn connect(addr: &sockaddr_in, nonblocking: bool) -> Fd {
    let fd = tcp().nonblocking(nonblocking);
    ok!(unsafe { llam_connect(fd.raw(), as_addr(addr), INET_LEN) });
    fd
}

#[test]
fn accept_refuses_half_an_address_and_takes_nothing() {
    everywhere(|| unsafe {
        let (listener, addr) = listener();
        let _client = connect_plain(&addr);
        let mut peer = loopback(0);
        let mut len = INET_LEN;
        fails!(
            llam_accept(listener.raw(), as_addr_mut(&mut peer), null_mut()),
            EINVAL
        );
        fails!(llam_accept(listener.raw(), null_mut(), &mut len), EINVAL);
        fails!(llam_accept(LLAM_INVALID_FD, null_mut(), &mut len), EINVAL);
        let fd = llam_accept(listener.raw(), as_addr_mut(&mut peer), &mut len);
        drop(Fd::new(fd));
        assert_eq!(len, INET_LEN);
        assert_eq!(peer.sin_family, libc::AF_INET as libc::sa_family_t);
    });
}

#[test]
fn accept_passes_errors_on() {
    everywhere(|| unsafe {
        fails!(llam_accept(LLAM_INVALID_FD, null_mut(), null_mut()), EBADF);
        let (reader, _writer) = common::io::pipe();
        fails!(llam_accept(reader.raw(), null_mut(), null_mut()), ENOTSOCK);
        let idle = tcp();
        fails!(llam_accept(idle.raw(), null_mut(), null_mut()), EINVAL);
    });
}

#[test]
fn an_accepted_socket_is_blocking_and_survives_exec() {
    everywhere(|| unsafe {
        for nonblocking in [false, true] {
            let (listener, addr) = listener();
            let listener = listener.nonblocking(nonblocking);
            let _client = connect_plain(&addr);
            let served = accept(&listener);
            assert!(!served.is_nonblocking());
            assert_eq!(
                libc::fcntl(served.raw(), libc::F_GETFD) & libc::FD_CLOEXEC,
                0
            );
            assert_eq!(listener.is_nonblocking(), nonblocking);
        }
    });
}

#[test]
fn accept_waits_in_either_mode_and_tells_the_peer() {
    run_in_task(|| {
        for nonblocking in [false, true] {
            let (listener, addr) = listener();
            let listener = listener.nonblocking(nonblocking);
            let theirs = listener.clone();
            let (send, receive) = std::sync::mpsc::channel();
            let task = spawn(move || unsafe {
                let mut peer = loopback(0);
                let mut len: socklen_t = INET_LEN;
                let fd = llam_accept(theirs.raw(), as_addr_mut(&mut peer), &mut len);
                drop(Fd::new(fd));
                let _ = send.send((peer.sin_port, len));
            });
            await_parked(task);
            let client = connect_plain(&addr);
            join(task);
            let mut local = loopback(0);
            let mut len = INET_LEN;
            unsafe { libc::getsockname(client.raw(), as_addr_mut(&mut local), &mut len) };
            assert_eq!(receive.try_recv(), Ok((local.sin_port, INET_LEN)));
        }
    });
}

#[test]
fn accept_cuts_the_address_as_the_system_does() {
    run_in_task(|| unsafe {
        let (listener, addr) = listener();
        let _client = connect_plain(&addr);
        let mut room = [0xEE_u8; 16];
        let mut len: socklen_t = 4;
        drop(Fd::new(llam_accept(
            listener.raw(),
            room.as_mut_ptr().cast(),
            &mut len,
        )));
        assert_eq!(len, INET_LEN, "the full length is told");
        assert!(
            room[4..].iter().all(|b| *b == 0xEE),
            "written behind the room"
        );
        assert_ne!(room[2..4], [0xEE; 2]);
    });
}

#[test]
fn each_connection_goes_to_one_of_several_acceptors() {
    for nonblocking in [false, true] {
        run_in_task(move || {
            let (listener, addr) = listener();
            let listener = listener.nonblocking(nonblocking);
            let accepted = Arc::new(AtomicUsize::new(0));
            let token = token();
            let tasks: Vec<Task> = (0..5)
                .map(|_| {
                    let (listener, accepted) = (listener.clone(), Arc::clone(&accepted));
                    spawn_with(&with_token(token), move || unsafe {
                        loop {
                            let fd = llam_accept(listener.raw(), null_mut(), null_mut());
                            if fd == LLAM_INVALID_FD {
                                assert_eq!(errno(), ECANCELED);
                                break;
                            }
                            drop(Fd::new(fd));
                            accepted.fetch_add(1, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            for _ in 0..60 {
                drop(connect(&addr, true));
            }
            eventually("all are accepted", || {
                accepted.load(Ordering::Relaxed) >= 60
            });
            ok!(unsafe { llam_cancel_token_cancel(token.raw()) });
            tasks.into_iter().for_each(join);
            assert_eq!(accepted.load(Ordering::Relaxed), 60);
            ok!(unsafe { llam_cancel_token_destroy(token.raw()) });
        });
    }
}

#[test]
fn a_listener_under_a_reused_number_is_another_one() {
    run_in_task(|| unsafe {
        for nonblocking in [false, true] {
            let (first, first_addr) = listener();
            let number = libc::dup(first.nonblocking(nonblocking).raw());
            drop(connect_plain(&first_addr));
            drop(Fd::new(llam_accept(number, null_mut(), null_mut())));
            ok!(llam_close(number));
            let (second, second_addr) = listener();
            let second = second.nonblocking(nonblocking);
            assert_eq!(libc::dup2(second.raw(), number), number);
            let task = spawn(move || drop(Fd::new(llam_accept(number, null_mut(), null_mut()))));
            await_parked(task);
            drop(connect_plain(&second_addr));
            join(task);
        }
    });
}

#[test]
fn connect_checks_the_address_before_the_descriptor() {
    everywhere(|| unsafe {
        fails!(llam_connect(LLAM_INVALID_FD, null(), INET_LEN), EINVAL);
        let addr = loopback(9);
        fails!(
            llam_connect(LLAM_INVALID_FD, as_addr(&addr), INET_LEN),
            EBADF
        );
        let (reader, _writer) = common::io::pipe();
        fails!(
            llam_connect(reader.raw(), as_addr(&addr), INET_LEN),
            ENOTSOCK
        );
        fails!(llam_connect(tcp().raw(), as_addr(&addr), 1), EINVAL);
    });
}

#[test]
fn connect_waits_for_the_outcome_in_either_mode() {
    run_in_task(|| unsafe {
        for nonblocking in [false, true] {
            let (listener, addr) = listener();
            let client = connect(&addr, nonblocking);
            assert_eq!(client.is_nonblocking(), nonblocking);
            let served = accept(&listener);
            client.put(b"through");
            assert_eq!(served.take(10), b"through");
            fails!(
                llam_connect(client.raw(), as_addr(&addr), INET_LEN),
                EISCONN
            );
        }
    });
}

#[test]
fn connect_tells_that_it_was_refused() {
    run_in_task(|| unsafe {
        for nonblocking in [false, true] {
            let (closed, addr) = listener();
            drop(closed);
            let fd = tcp().nonblocking(nonblocking);
            fails!(
                llam_connect(fd.raw(), as_addr(&addr), INET_LEN),
                ECONNREFUSED
            );
        }
    });
}

#[test]
fn connect_on_a_host_thread_is_the_system_call() {
    let _serial = serial();
    let (listener, addr) = listener();
    let fd = connect(&addr, false);
    drop(accept(&listener));
    drop(fd);
    let fd = tcp().nonblocking(true);
    let code = unsafe { llam_connect(fd.raw(), as_addr(&addr), INET_LEN) };
    assert!(code == 0 || errno() == EINPROGRESS, "errno {}", errno());
    drop(accept(&listener));
}

#[test]
fn a_hundred_clients_are_echoed() {
    for nonblocking in [false, true] {
        run_in_task(move || {
            let (listener, addr) = listener();
            let listener = listener.nonblocking(nonblocking);
            let server = spawn(move || {
                let tasks: Vec<Task> = (0..100)
                    .map(|_| {
                        let served = accept(&listener).nonblocking(nonblocking);
                        spawn(move || unsafe {
                            let mut bytes = [0_u8; 64];
                            loop {
                                let n = ok!(llam_read(served.raw(), buf(&mut bytes), 64));
                                if n == 0 {
                                    break;
                                }
                                let n = n as usize;
                                assert_eq!(
                                    ok!(llam_write(served.raw(), buf(&mut bytes), n)),
                                    n as isize
                                );
                            }
                        })
                    })
                    .collect();
                tasks.into_iter().for_each(join);
            });
            let clients: Vec<Task> = (0..100_u8)
                .map(|number| {
                    spawn(move || unsafe {
                        let fd = connect(&addr, nonblocking);
                        for round in 0..20 {
                            let mut bytes = [number ^ round; 10];
                            assert_eq!(ok!(llam_write(fd.raw(), buf(&mut bytes), 10)), 10);
                            let mut back = [0_u8; 10];
                            let mut got = 0;
                            while got < 10 {
                                let rest = buf(&mut back[got..]);
                                let n = ok!(llam_read(fd.raw(), rest, 10 - got));
                                assert_ne!(n, 0, "closed");
                                got += n as usize;
                            }
                            assert_eq!(back, bytes);
                        }
                    })
                })
                .collect();
            clients.into_iter().for_each(join);
            join(server);
        });
    }
}

#[test]
fn datagrams_check_their_arguments_in_order() {
    everywhere(|| unsafe {
        let mut addr = loopback(1);
        let mut len = INET_LEN;
        let mut bytes = [0_u8; 4];
        let bad = LLAM_INVALID_FD;
        let to = as_addr_mut(&mut addr);
        fails!(llam_recvfrom(bad, null_mut(), 4, 0, to, null_mut()), EINVAL);
        fails!(
            llam_recvfrom(bad, buf(&mut bytes), 4, 0, to, null_mut()),
            EINVAL
        );
        fails!(
            llam_recvfrom(bad, buf(&mut bytes), 4, 0, null_mut(), &mut len),
            EINVAL
        );
        fails!(
            llam_recvfrom(bad, null_mut(), 4, 0, null_mut(), null_mut()),
            EINVAL
        );
        fails!(
            llam_recvfrom(bad, buf(&mut bytes), 4, 0, null_mut(), null_mut()),
            EBADF
        );
        fails!(llam_sendto(bad, null(), 4, 0, null(), 0), EINVAL);
        fails!(llam_sendto(bad, buf(&mut bytes), 4, 0, null(), 1), EINVAL);
        fails!(llam_sendto(bad, buf(&mut bytes), 4, 0, null(), 0), EBADF);
        let (reader, writer) = common::io::pipe();
        writer.put(b"x");
        fails!(
            llam_recvfrom(reader.raw(), buf(&mut bytes), 4, 0, null_mut(), null_mut()),
            ENOTSOCK
        );
        fails!(
            llam_sendto(writer.raw(), buf(&mut bytes), 4, 0, null(), 0),
            ENOTSOCK
        );
    });
}

#[test]
fn datagrams_carry_their_sender() {
    everywhere(|| unsafe {
        let (a, a_addr) = udp();
        let (b, b_addr) = udp();
        let sent = llam_sendto(
            a.raw(),
            b"ping".as_ptr().cast(),
            4,
            0,
            as_addr(&b_addr),
            INET_LEN,
        );
        assert_eq!(sent, 4, "errno {}", errno());
        let mut bytes = [0_u8; 16];
        let mut from = loopback(0);
        let mut len = INET_LEN;
        let got = llam_recvfrom(
            b.raw(),
            buf(&mut bytes),
            16,
            0,
            as_addr_mut(&mut from),
            &mut len,
        );
        assert_eq!((got, len, from.sin_port), (4, INET_LEN, a_addr.sin_port));
        assert_eq!(&bytes[..4], b"ping");
    });
}

#[test]
fn empty_datagrams_arrive() {
    everywhere(|| unsafe {
        let (a, b) = datagram_pair();
        assert_eq!(ok!(llam_sendto(a.raw(), null(), 0, 0, null(), 0)), 0);
        assert_eq!(
            ok!(llam_sendto(a.raw(), b"x".as_ptr().cast(), 1, 0, null(), 0)),
            1
        );
        let mut bytes = [0_u8; 4];
        let mut receive = || llam_recvfrom(b.raw(), buf(&mut bytes), 4, 0, null_mut(), null_mut());
        assert_eq!(receive(), 0);
        assert_eq!(receive(), 1);
    });
}

#[test]
fn receiving_waits_in_either_mode_even_with_dontwait() {
    run_in_task(|| unsafe {
        for nonblocking in [false, true] {
            for flags in [0, libc::MSG_DONTWAIT] {
                let (a, b) = datagram_pair();
                let b = b.nonblocking(nonblocking);
                let theirs = b.clone();
                let task = spawn(move || {
                    let mut bytes = [0_u8; 4];
                    let to = buf(&mut bytes);
                    let n = llam_recvfrom(theirs.raw(), to, 4, flags, null_mut(), null_mut());
                    assert_eq!((n, &bytes[..2]), (2, &b"go"[..]), "errno {}", errno());
                });
                await_parked(task);
                assert_eq!(
                    ok!(llam_sendto(a.raw(), b"go".as_ptr().cast(), 2, 0, null(), 0)),
                    2
                );
                join(task);
                assert_eq!(b.is_nonblocking(), nonblocking);
            }
        }
    });
}

#[test]
fn sending_waits_for_room_even_with_dontwait() {
    run_in_task(|| unsafe {
        for nonblocking in [false, true] {
            for flags in [0, libc::MSG_DONTWAIT] {
                let (a, b) = datagram_pair();
                let a = a.nonblocking(nonblocking);
                let task = spawn(move || {
                    for number in 0..1000_u32 {
                        let bytes = number.to_ne_bytes();
                        let from = bytes.as_ptr().cast();
                        assert_eq!(ok!(llam_sendto(a.raw(), from, 4, flags, null(), 0)), 4);
                    }
                });
                await_parked(task);
                for number in 0..1000_u32 {
                    let mut bytes = [0_u8; 8];
                    let to = buf(&mut bytes);
                    let n = ok!(llam_recvfrom(b.raw(), to, 8, 0, null_mut(), null_mut()));
                    assert_eq!((n, &bytes[..4]), (4, &number.to_ne_bytes()[..]));
                }
                join(task);
            }
        }
    });
}

#[test]
fn peeking_leaves_the_datagram() {
    everywhere(|| unsafe {
        let (a, b) = datagram_pair();
        a.put(b"peek");
        let mut bytes = [0_u8; 8];
        for flags in [libc::MSG_PEEK, libc::MSG_PEEK, 0] {
            let n = llam_recvfrom(b.raw(), buf(&mut bytes), 8, flags, null_mut(), null_mut());
            assert_eq!((n, &bytes[..4]), (4, &b"peek"[..]));
        }
    });
}
