//! `llam::net`: TCP.

mod common;

use std::io::{IoSlice, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{SOON, alone, run, until};
use llam::net::{TcpListener, TcpStream};
use llam::{CancelToken, SpawnOptions};

fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, peer) = listener.accept().unwrap();
    assert_eq!(peer, Some(client.local_addr().unwrap()));
    (client, server)
}

fn is_closed_on_exec(fd: &impl AsFd) -> bool {
    // SAFETY: asks for a number.
    let flags = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_GETFD) };
    flags & libc::FD_CLOEXEC != 0
}

#[test]
fn bytes_go_both_ways() {
    run(|| {
        let (mut client, mut server) = connected();
        client.write_all(b"ping")?;
        let mut buffer = [0; 4];
        server.read_exact(&mut buffer)?;
        assert_eq!(&buffer, b"ping");
        server.write_all(b"pong")?;
        server.flush()?;
        client.read_exact(&mut buffer)?;
        assert_eq!(&buffer, b"pong");
        assert_eq!(client.peer_addr()?, server.local_addr()?);
        assert!(is_closed_on_exec(&client) && is_closed_on_exec(&server));
        drop(server);
        assert_eq!(client.read(&mut buffer)?, 0);
        Ok(())
    });
}

#[test]
fn connect_by_name_asks_the_engines_resolver() {
    run(|| {
        let listener = TcpListener::bind(("localhost", 0))?;
        let port = listener.local_addr()?.port();
        let acceptor = llam::spawn(move || {
            for _ in 0..3 {
                drop(listener.accept().unwrap());
            }
        });
        drop(TcpStream::connect(format!("localhost:{port}"))?);
        drop(TcpStream::connect(("localhost", port))?);
        let name = format!("localhost:{port}");
        drop(TcpStream::connect(name.as_str())?);
        acceptor.join()?;
        let error = TcpStream::connect("no-such-host.invalid:1").unwrap_err();
        assert_eq!(error.raw_os_error(), None, "{error}");
        assert!(error.to_string().contains("lookup"), "{error}");
        Ok(())
    });
}

#[test]
fn connect_tries_each_address() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let closed = {
            let gone = TcpListener::bind("127.0.0.1:0")?;
            gone.local_addr()?
        };
        let good = listener.local_addr()?;
        let stream = TcpStream::connect(&[closed, good][..])?;
        assert_eq!(stream.peer_addr()?, good);
        let error = TcpStream::connect(closed).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
        let error = TcpStream::connect(&[][..] as &[SocketAddr]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        Ok(())
    });
}

/// A listener whose queue is full, so that further connects hang.
fn full_listener() -> (std::net::TcpListener, Vec<std::net::TcpStream>) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let listener: std::net::TcpListener = socket.into();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..4 {
        match std::net::TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
            Ok(stream) => waiting.push(stream),
            Err(_) => break,
        }
    }
    (listener, waiting)
}

#[test]
fn connect_timeout_gives_up() {
    run(|| {
        let (listener, _waiting) = full_listener();
        let address = listener.local_addr()?;
        let start = Instant::now();
        let error = TcpStream::connect_timeout(&address, Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert!(start.elapsed() < SOON);
        let error = TcpStream::connect_timeout(&address, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let free = TcpListener::bind("127.0.0.1:0")?;
        drop(TcpStream::connect_timeout(&free.local_addr()?, SOON)?);
        Ok(())
    });
}

#[test]
fn connect_timeout_gives_up_on_a_host_thread_too() {
    let _turn = alone();
    let (listener, _waiting) = full_listener();
    let address = listener.local_addr().unwrap();
    let error = TcpStream::connect_timeout(&address, Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    drop(TcpStream::connect_timeout(&free.local_addr().unwrap(), SOON).unwrap());
}

#[test]
fn read_and_write_timeouts() {
    run(|| {
        let (client, server) = connected();
        client.set_read_timeout(Some(Duration::from_millis(5)))?;
        assert_eq!(client.read_timeout()?, Some(Duration::from_millis(5)));
        let start = Instant::now();
        let error = (&client).read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= Duration::from_millis(5));
        // The limit is per call, and gone with it.
        llam::time::sleep(Duration::from_millis(6))?;
        (&server).write_all(b"x")?;
        assert_eq!((&client).read(&mut [0])?, 1);
        client.set_write_timeout(Some(Duration::from_millis(5)))?;
        assert_eq!(client.write_timeout()?, Some(Duration::from_millis(5)));
        let block = vec![0; 1 << 20];
        let error = loop {
            if let Err(error) = (&client).write(&block) {
                break error;
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        let error = client.set_read_timeout(Some(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let clone = client.try_clone()?;
        assert_eq!(clone.read_timeout()?, Some(Duration::from_millis(5)));
        client.set_read_timeout(None)?;
        assert_eq!(client.read_timeout()?, None);
        Ok(())
    });
}

#[test]
fn a_reader_and_a_writer_task_share_one_stream() {
    run(|| {
        const BYTES: usize = 4 << 20;
        let (client, server) = connected();
        let mut batch = llam::TaskBatch::new();
        for stream in [client, server] {
            let stream = Arc::new(stream);
            let reader = Arc::clone(&stream);
            batch.spawn(move || {
                let mut total = 0;
                let mut buffer = vec![0; 64 << 10];
                loop {
                    match (&*reader).read(&mut buffer).unwrap() {
                        0 => return total,
                        count => total += count,
                    }
                }
            })?;
            batch.spawn(move || {
                (&*stream).write_all(&vec![7; BYTES]).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                BYTES
            })?;
        }
        assert_eq!(batch.join()?, [BYTES; 4]);
        Ok(())
    });
}

#[test]
fn half_close_and_peek() {
    run(|| {
        let (mut client, mut server) = connected();
        client.write_all(b"last words")?;
        client.shutdown(Shutdown::Write)?;
        let mut buffer = [0; 4];
        assert_eq!(server.peek(&mut buffer)?, 4);
        assert_eq!(server.peek(&mut buffer)?, 4);
        let mut text = String::new();
        server.read_to_string(&mut text)?;
        assert_eq!(text, "last words");
        server.write_all(b"still")?;
        let mut buffer = [0; 5];
        client.read_exact(&mut buffer)?;
        assert_eq!(&buffer, b"still");
        Ok(())
    });
}

#[test]
fn vectored_writes_go_out_in_order() {
    run(|| {
        let (client, server) = connected();
        let parts: Vec<Vec<u8>> = (0..40).map(|i| vec![i; 100]).collect();
        let expected: Vec<u8> = parts.concat();
        let reader = llam::spawn(move || {
            let mut all = Vec::new();
            (&server).read_to_end(&mut all).unwrap();
            all
        });
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut left = &mut slices[..];
        let mut calls = 0;
        while !left.is_empty() {
            let count = (&client).write_vectored(left)?;
            IoSlice::advance_slices(&mut left, count);
            calls += 1;
        }
        assert!(calls < 40, "slices are joined");
        assert_eq!((&client).write_vectored(&[])?, 0);
        drop(client);
        assert_eq!(reader.join()?, expected);
        // More slices than the system takes at once.
        let (client, _server) = connected();
        let many = vec![IoSlice::new(b"x"); 3_000];
        assert!((&client).write_vectored(&many)? > 0);
        Ok(())
    });
}

#[test]
fn options_and_conversions() {
    run(|| {
        let (client, server) = connected();
        client.set_nodelay(true)?;
        assert!(client.nodelay()?);
        let mut std_stream = client.into_std();
        std_stream.write_all(b"blocking again")?;
        let mut buffer = [0; 14];
        (&server).read_exact(&mut buffer)?;
        let client = TcpStream::from_std(std_stream)?;
        // SAFETY: asks for a number.
        let flags = unsafe { libc::fcntl(client.as_raw_fd(), libc::F_GETFL) };
        assert_ne!(flags & libc::O_NONBLOCK, 0);
        let fd: OwnedFd = client.into();
        let client = TcpStream::from(fd);
        let mut clone = client.try_clone()?;
        drop(client);
        clone.write_all(b"cloned")?;
        let mut buffer = [0; 6];
        (&server).read_exact(&mut buffer)?;
        assert_eq!(&buffer, b"cloned");
        Ok(())
    });
}

#[test]
fn a_write_to_a_gone_peer_is_an_error() {
    run(|| {
        let (client, server) = connected();
        drop(server);
        let error = loop {
            if let Err(error) = (&client).write(b"anybody there?") {
                break error;
            }
            llam::task::yield_now();
        };
        assert!(matches!(
            error.raw_os_error(),
            Some(libc::EPIPE | libc::ECONNRESET)
        ));
        Ok(())
    });
}

#[test]
fn a_cancelled_accept_leaves_the_listener_usable() {
    run(|| {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0")?);
        let token = CancelToken::new()?;
        let other = Arc::clone(&listener);
        let acceptor =
            llam::task::spawn_with(SpawnOptions::new().cancel(token.clone()), move || {
                other.accept().map(drop).unwrap_err().raw_os_error()
            });
        until("the acceptor parks", || {
            acceptor.state_name().as_deref() == Some("PARKED")
        });
        token.cancel()?;
        assert_eq!(acceptor.join()?, Some(libc::ECANCELED));
        let client = TcpStream::connect(listener.local_addr()?)?;
        assert_eq!(listener.accept()?.1, Some(client.local_addr()?));
        Ok(())
    });
}

#[test]
fn several_acceptors_share_a_listener() {
    run(|| {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0")?);
        let address = listener.local_addr()?;
        let mut acceptors = llam::TaskBatch::new();
        for _ in 0..4 {
            let listener = Arc::clone(&listener);
            acceptors.spawn(move || {
                let mut stream = listener.incoming().next().unwrap().unwrap();
                stream.write_all(b"!").unwrap();
            })?;
        }
        for _ in 0..4 {
            let mut byte = [0];
            TcpStream::connect(address)?.read_exact(&mut byte)?;
        }
        acceptors.join()?;
        Ok(())
    });
}

#[test]
fn listener_options() {
    run(|| {
        let first = TcpListener::builder()
            .reuse_port(true)
            .bind("127.0.0.1:0")?;
        let address = first.local_addr()?;
        let second = TcpListener::builder()
            .reuse_port(true)
            .backlog(8)
            .bind(address)?;
        assert_eq!(second.local_addr()?, address);
        let error = TcpListener::bind(address).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
        if let Ok(six) = TcpListener::builder().only_v6(true).bind("[::1]:0") {
            assert!(six.local_addr()?.is_ipv6());
            let options = socket2::SockRef::from(&six);
            assert!(options.only_v6()?);
        }
        let options = socket2::SockRef::from(&first);
        assert!(options.reuse_address()?);
        let std_listener = first.into_std();
        let again = TcpListener::from_std(std_listener)?;
        assert_eq!(again.local_addr()?, address);
        assert!(is_closed_on_exec(&again));
        Ok(())
    });
}

#[test]
fn a_number_used_again_is_a_new_socket() {
    // Closing and opening reuses descriptor numbers; nothing of the old socket may be remembered.
    run(|| {
        for round in 0..200_u32 {
            let (mut client, mut server) = connected();
            client.write_all(&round.to_le_bytes())?;
            let mut buffer = [0; 4];
            server.read_exact(&mut buffer)?;
            assert_eq!(u32::from_le_bytes(buffer), round);
        }
        Ok(())
    });
}

#[test]
fn host_threads_use_the_same_sockets() {
    let _turn = alone();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 5];
        stream.read_exact(&mut buffer).unwrap();
        stream.write_all(&buffer).unwrap();
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(5)))
        .unwrap();
    let error = stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut buffer = [0; 5];
    stream.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"hello");
    server.join().unwrap();
}
