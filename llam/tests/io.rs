//! `llam::io`: plain descriptors and owned buffers.

mod common;

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::{alone, run, until};
use llam::io::{self, READABLE, WRITABLE};
use llam::{CancelToken, SpawnOptions};

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

#[test]
fn read_and_write_in_either_mode() {
    run(|| {
        for nonblocking in [false, true] {
            let (one, other) = pair();
            one.set_nonblocking(nonblocking)?;
            other.set_nonblocking(nonblocking)?;
            let mut buffer = [0; 8];
            let (here, there) = (one.as_raw_fd(), other.as_raw_fd());
            let writer = llam::spawn(move || {
                llam::time::sleep(Duration::from_millis(1)).unwrap();
                assert_eq!(io::write(there, b"abc").unwrap(), 3);
                assert_eq!(io::write_handle(there, b"de").unwrap(), 2);
            });
            let count = io::read(here, &mut buffer)?;
            assert_eq!(&buffer[..count], &b"abcde"[..count]);
            writer.join()?;
            if count == 3 {
                assert_eq!(io::read_handle(here, &mut buffer)?, 2);
            }
            drop(other);
            assert_eq!(io::read(here, &mut buffer)?, 0);
        }
        assert_eq!(
            io::read(-1, &mut [0]).unwrap_err().raw_os_error(),
            Some(libc::EBADF)
        );
        Ok(())
    });
}

#[test]
fn a_task_waits_in_a_read_until_it_is_cancelled() {
    run(|| {
        let (one, _other) = pair();
        let token = CancelToken::new()?;
        let fd = one.as_raw_fd();
        let reader = llam::task::spawn_with(SpawnOptions::new().cancel(token.clone()), move || {
            io::read(fd, &mut [0]).unwrap_err().raw_os_error()
        });
        until("the reader parks", || {
            reader.state_name().as_deref() == Some("PARKED")
        });
        token.cancel()?;
        assert_eq!(reader.join()?, Some(libc::ECANCELED));
        Ok(())
    });
}

#[test]
fn read_when_ready_has_a_limit() {
    run(|| {
        let (one, mut other) = pair();
        let start = Instant::now();
        let error = io::read_when_ready(one.as_raw_fd(), &mut [0], 3).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
        assert!(start.elapsed() >= Duration::from_millis(3));
        other.write_all(b"x")?;
        assert_eq!(io::read_when_ready(one.as_raw_fd(), &mut [0], 0)?, 1);
        Ok(())
    });
}

#[test]
fn poll_sees_readiness() {
    run(|| {
        let (one, mut other) = pair();
        let fd = one.as_raw_fd();
        assert_eq!(io::poll_fd(fd, READABLE, 0)?, 0);
        assert_eq!(io::poll_fd(fd, WRITABLE, 0)?, WRITABLE);
        let idle = io::poll(fd, READABLE, 2)?;
        assert_eq!((idle.ready_count, idle.revents), (0, 0));
        other.write_all(b"x")?;
        let ready = io::poll(fd, READABLE, 1_000)?;
        assert_eq!((ready.ready_count, ready.revents), (1, READABLE));
        assert_eq!(
            io::poll_handle(fd, READABLE | WRITABLE, -1)?,
            READABLE | WRITABLE
        );
        assert_eq!(io::poll_fd(-1, READABLE, 0)?, libc::POLLNVAL);
        Ok(())
    });
}

#[test]
fn accept_and_connect() {
    run(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let fd = listener.as_raw_fd();
        let acceptor = llam::spawn(move || {
            let taken = io::accept_with_addr(fd).unwrap();
            let again = io::accept(fd).unwrap();
            (taken, again)
        });
        let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        let to = socket2::SockAddr::from(address);
        // SAFETY: the address is valid for its length.
        unsafe { io::connect_raw(client.as_raw_fd(), to.as_ptr().cast(), to.len())? };
        let second = std::net::TcpStream::connect(address)?;
        let (taken, again) = acceptor.join()?;
        assert_eq!(
            taken.addr,
            client.local_addr()?.as_socket(),
            "the peer's address"
        );
        for fd in [taken.fd, again] {
            // SAFETY: both were made for this test.
            unsafe { libc::close(fd) };
        }
        drop(second);
        // SAFETY: null is an error, nothing else.
        let error = unsafe { io::connect_raw(-1, std::ptr::null(), 0) }.unwrap_err();
        assert_eq!(error.errno(), libc::EINVAL);
        Ok(())
    });
}

#[test]
fn owned_buffers() {
    run(|| {
        let (one, mut other) = pair();
        let fd = one.as_raw_fd();
        other.write_all(b"hello")?;
        let buffer = io::read_owned(fd, 64)?.unwrap();
        assert_eq!(buffer.as_slice(), b"hello");
        assert_eq!((&buffer[..2], buffer.as_ref().len()), (&b"he"[..], 5));
        assert!(buffer.capacity() >= 5);
        other.write_all(b"more")?;
        let peeked = io::recv_owned(fd, 2, libc::MSG_PEEK)?.unwrap();
        let taken = io::recv_owned(fd, 64, 0)?.unwrap();
        assert_eq!((&*peeked, &*taken), (&b"mo"[..], &b"more"[..]));
        assert!(io::read_owned(fd, 0)?.is_none());
        drop(other);
        assert!(io::read_owned(fd, 8)?.is_none());
        assert!(io::recv_owned(fd, 8, 0)?.is_none());
        let error = io::read_owned(-1, 1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        let file = std::fs::File::open("/dev/null")?;
        let error = io::recv_owned(file.as_raw_fd(), 1, 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
        // A buffer may outlive the run and be dropped by another thread.
        std::thread::spawn(move || assert_eq!(buffer.as_slice(), b"hello"))
            .join()
            .unwrap();
        Ok(())
    });
}

#[test]
fn on_a_host_thread_they_are_the_system_calls() {
    let _turn = alone();
    let (one, mut other) = pair();
    one.set_nonblocking(true).unwrap();
    let error = io::read(one.as_raw_fd(), &mut [0]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EAGAIN));
    other.write_all(b"ab").unwrap();
    let mut buffer = [0; 4];
    assert_eq!(io::read(one.as_raw_fd(), &mut buffer).unwrap(), 2);
    assert_eq!(io::write(one.as_raw_fd(), b"c").unwrap(), 1);
    let mut byte = [0];
    other.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"c");
    assert_eq!(io::poll_fd(one.as_raw_fd(), READABLE, 0).unwrap(), 0);
    // SAFETY: taken out of its owner.
    unsafe { libc::close(one.into_raw_fd()) };
}
