//! A read that does not fill its buffer tells the engine that there is nothing more to read for now. Where
//! that would be wrong, the next read must not wait for an edge that has passed.

mod common;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use common::{SOON, run};
use llam::net::{TcpListener, TcpStream, UnixStream};
use socket2::SockRef;

/// Both ends of a connection; the far one is a plain socket of the test's thread.
fn pair() -> llam::Result<(TcpStream, std::net::TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let far = std::net::TcpStream::connect(listener.local_addr()?)?;
    far.set_nodelay(true)?;
    Ok((listener.accept()?.0, far))
}

fn read_soon(mut stream: &TcpStream, room: usize) -> Vec<u8> {
    let mut buffer = vec![0; room];
    let count = llam::time::timeout(SOON, || stream.read(&mut buffer))
        .expect("the read does not wait")
        .expect("the read succeeds");
    buffer.truncate(count);
    buffer
}

/// Waits until the reader's socket holds this many bytes, without the engine.
fn until_there(stream: &TcpStream, bytes: usize) {
    let end = std::time::Instant::now() + SOON;
    let mut buffer = vec![0; bytes];
    loop {
        // SAFETY: the buffer is as long as is said.
        let there = unsafe {
            libc::recv(
                stream.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                bytes,
                libc::MSG_PEEK | libc::MSG_DONTWAIT,
            )
        };
        if there == bytes as isize {
            return;
        }
        assert!(std::time::Instant::now() < end, "{there} bytes arrive");
        std::thread::yield_now();
    }
}

/// A reader that has been through one wait and one short read: the engine knows its socket by now.
fn settled_pair() -> llam::Result<(TcpStream, std::net::TcpStream)> {
    let (near, mut far) = pair()?;
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(2));
        far.write_all(b"first").unwrap();
        far
    });
    assert_eq!(read_soon(&near, 64), b"first");
    Ok((near, writer.join().unwrap()))
}

#[test]
fn every_message_is_read_however_it_meets_the_reader() {
    run(|| {
        let (near, mut far) = settled_pair()?;
        for round in 0..500_u32 {
            let message = round.to_le_bytes();
            if round % 3 == 0 {
                // There before the read begins.
                far.write_all(&message)?;
                until_there(&near, 4);
                assert_eq!(read_soon(&near, 64), message);
            } else {
                // Comes while the reader waits, or about to.
                let mut writer = far.try_clone()?;
                let thread = std::thread::spawn(move || writer.write_all(&message).unwrap());
                assert_eq!(read_soon(&near, 64), message);
                thread.join().unwrap();
            }
        }
        Ok(())
    });
}

// Broken: `ends_reads` left out of `dispatch`: "the read does not wait" on the readiness backend.
#[test]
fn the_end_that_came_with_the_data_is_seen() {
    run(|| {
        for _ in 0..50 {
            let (near, mut far) = settled_pair()?;
            let closer = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_micros(300));
                far.write_all(b"last").unwrap();
                far.shutdown(Shutdown::Write).unwrap();
                far
            });
            let mut got = read_soon(&near, 64);
            while got.len() < 4 {
                got.extend(read_soon(&near, 64));
            }
            assert_eq!(got, b"last");
            assert_eq!(read_soon(&near, 64), b"", "the end of the stream");
            drop(closer.join().unwrap());
        }
        Ok(())
    });
}

#[test]
fn bytes_behind_urgent_data_are_read() {
    run(|| {
        for _ in 0..20 {
            let (near, mut far) = settled_pair()?;
            far.write_all(b"before")?;
            SockRef::from(&far).send_out_of_band(b"!")?;
            far.write_all(b"behind")?;
            // All of it lies there before the first read, so no further edge comes.
            llam::time::sleep(Duration::from_millis(2))?;
            let mut got = Vec::new();
            while got.len() < b"beforebehind".len() {
                got.extend(read_soon(&near, 64));
            }
            assert_eq!(got, b"beforebehind");
        }
        Ok(())
    });
}

#[test]
fn a_read_that_may_not_wait_still_takes_what_is_there() {
    run(|| {
        let (near, mut far) = settled_pair()?;
        far.write_all(b"here")?;
        until_there(&near, 4);
        let mut buffer = [0; 64];
        let count = llam::time::with_deadline(1, || (&near).read(&mut buffer))??;
        assert_eq!(&buffer[..count], b"here", "a deadline ends waits only");
        Ok(())
    });
}

#[test]
fn local_streams_that_stop_between_messages_are_read_on() {
    run(|| {
        let (near, far) = std::os::unix::net::UnixStream::pair()?;
        let near = UnixStream::from_std(near)?;
        for round in 0..20_u8 {
            send_with_descriptor(&far, &[round]);
            (&far).write_all(&[round + 100])?;
            llam::time::sleep(Duration::from_millis(1))?;
            let mut got = Vec::new();
            let mut buffer = [0; 64];
            while got.len() < 2 {
                let count = llam::time::timeout(SOON, || (&near).read(&mut buffer))
                    .expect("the read does not wait")?;
                got.extend_from_slice(&buffer[..count]);
            }
            assert_eq!(got, [round, round + 100]);
        }
        Ok(())
    });
}

/// Sends bytes together with a descriptor: a receiver's read ends behind them.
fn send_with_descriptor(to: &std::os::unix::net::UnixStream, bytes: &[u8]) {
    let payload = to.as_fd().as_raw_fd();
    let mut control = [0_u8; 64];
    let mut piece = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: a zeroed header is valid, every pointer is to a local that outlives the call, and the
    // control buffer has room for one descriptor.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut piece;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as _;
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(header)
            .cast::<i32>()
            .write_unaligned(payload);
        let sent = libc::sendmsg(to.as_raw_fd(), &message, 0);
        assert_eq!(sent, bytes.len() as isize);
    }
}
