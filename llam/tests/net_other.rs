//! `llam::net`: UDP and Unix sockets. `llam::fs`: files.

mod common;

use std::io::{Read, Seek, SeekFrom, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::{alone, run};
use llam::fs::File;
use llam::net::{UdpSocket, UnixDatagram, UnixListener, UnixStream};
use llam::{CancelToken, SpawnOptions};

/// A path of this test's own, removed on drop.
struct Path(PathBuf);

impl Path {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("llam-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn udp_with_and_without_a_peer() {
    run(|| {
        let one = UdpSocket::bind("localhost:0")?;
        let other = UdpSocket::bind(one.local_addr().map(|mut a| {
            a.set_port(0);
            a
        })?)?;
        let mut buffer = [0; 16];
        assert_eq!(one.send_to(b"first", other.local_addr()?)?, 5);
        let (count, from) = other.recv_from(&mut buffer)?;
        assert_eq!((&buffer[..count], from), (&b"first"[..], one.local_addr()?));
        other.connect(from)?;
        assert_eq!(other.peer_addr()?, from);
        other.send(b"")?;
        assert_eq!(one.recv_from(&mut buffer)?.0, 0);
        one.connect(other.local_addr()?)?;
        one.send(b"second")?;
        assert_eq!(other.recv(&mut buffer)?, 6);
        let error = UdpSocket::bind("127.0.0.1:0")?.send(b"x").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EDESTADDRREQ));
        Ok(())
    });
}

#[test]
fn udp_timeouts_cancel_and_conversions() {
    run(|| {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(3)))?;
        let error = socket.recv(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        let address = socket.local_addr()?;
        let socket = UdpSocket::from_std(socket.into_std())?;
        assert_eq!(socket.local_addr()?, address);
        let clone = socket.try_clone()?;
        assert_ne!(clone.as_raw_fd(), socket.as_raw_fd());
        let token = CancelToken::new()?;
        token.cancel()?;
        let options = SpawnOptions::new().cancel(token);
        let errno = llam::task::spawn_with(options, move || {
            socket.recv_from(&mut [0]).unwrap_err().raw_os_error()
        });
        assert_eq!(errno.join()?, Some(libc::ECANCELED));
        Ok(())
    });
}

#[test]
fn unix_streams() {
    run(|| {
        let path = Path::new("stream");
        let listener = UnixListener::bind(&path.0)?;
        assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path.0));
        let connect_to = path.0.clone();
        let client = llam::spawn(move || {
            let mut stream = UnixStream::connect(connect_to).unwrap();
            stream.write_all(b"over a path").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let stream = listener.accept()?;
        let mut text = String::new();
        (&stream).read_to_string(&mut text)?;
        (&stream).write_all(text.to_uppercase().as_bytes())?;
        drop(stream);
        assert_eq!(client.join()?, "OVER A PATH");
        let error = UnixListener::bind(&path.0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EADDRINUSE));
        let error = UnixStream::connect("/no/such/path").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
        Ok(())
    });
}

#[test]
fn unix_pairs_timeouts_and_conversions() {
    run(|| {
        let (one, other) = UnixStream::pair()?;
        let one = Arc::new(one);
        let reader = Arc::clone(&one);
        let reads = llam::spawn(move || {
            let mut byte = [0];
            (&*reader).read_exact(&mut byte).unwrap();
            byte[0]
        });
        (&*one).write_all(b"a")?;
        let mut byte = [0];
        (&other).read_exact(&mut byte)?;
        (&other).write_all(b"b")?;
        assert_eq!((byte[0], reads.join()?), (b'a', b'b'));
        other.set_read_timeout(Some(Duration::from_millis(2)))?;
        let error = (&other).read(&mut byte).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        let other = UnixStream::from_std(other.into_std())?;
        let fd: OwnedFd = other.try_clone()?.into();
        drop(UnixStream::from(fd));
        assert!(other.peer_addr()?.is_unnamed() && other.local_addr()?.is_unnamed());
        let listener = UnixListener::bind(&Path::new("convert").0)?;
        drop(UnixListener::from_std(listener.into_std())?);
        Ok(())
    });
}

#[test]
fn unix_datagrams() {
    run(|| {
        let path = Path::new("datagram");
        let server = UnixDatagram::bind(&path.0)?;
        let client = UnixDatagram::unbound()?;
        assert_eq!(client.send_to(b"one", &path.0)?, 3);
        client.connect(&path.0)?;
        client.send(b"two")?;
        let mut buffer = [0; 8];
        let (count, from) = server.recv_from(&mut buffer)?;
        assert_eq!((count, from.is_unnamed()), (3, true));
        assert_eq!(server.recv(&mut buffer)?, 3);
        assert_eq!(server.local_addr()?.as_pathname(), Some(&*path.0));
        let (left, right) = UnixDatagram::pair()?;
        left.send(b"pair")?;
        assert_eq!(right.recv(&mut buffer)?, 4);
        right.set_read_timeout(Some(Duration::from_millis(2)))?;
        assert_eq!(
            right.recv(&mut buffer).unwrap_err().kind(),
            std::io::ErrorKind::TimedOut
        );
        // A full receiver makes the sender wait, and nothing is lost.
        let sender = llam::spawn(move || {
            for i in 0..500_u32 {
                left.send(&i.to_le_bytes()).unwrap();
            }
        });
        right.set_read_timeout(None)?;
        for i in 0..500_u32 {
            let mut buffer = [0; 4];
            right.recv(&mut buffer)?;
            assert_eq!(u32::from_le_bytes(buffer), i);
        }
        sender.join()?;
        right.shutdown(Shutdown::Both)?;
        drop(UnixDatagram::from_std(right.into_std())?);
        Ok(())
    });
}

#[test]
fn files() {
    run(|| {
        let path = Path::new("file");
        let mut file = File::create(&path.0)?;
        file.write_all(b"some text")?;
        file.flush()?;
        // SAFETY: asks for a number.
        let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFD) };
        assert_ne!(flags & libc::FD_CLOEXEC, 0);
        let error = file.read(&mut [0]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        drop(file);
        let mut file = File::open(&path.0)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        assert_eq!(text, "some text");
        assert_eq!(file.seek(SeekFrom::Start(5))?, 5);
        text.clear();
        (&file).read_to_string(&mut text)?;
        assert_eq!(text, "text");
        assert_eq!(file.seek(SeekFrom::End(-9))?, 0);
        assert_eq!(file.seek(SeekFrom::Current(2))?, 2);
        assert!(file.seek(SeekFrom::Current(-9)).is_err());
        // Creating again empties it.
        let file = File::create(path.0.to_str().unwrap())?;
        assert_eq!(file.into_std().metadata()?.len(), 0);
        let std_file = std::fs::File::open(&path.0)?;
        let file = File::from_std(std_file);
        assert_eq!((&file).read(&mut [0])?, 0);
        let fd: OwnedFd = file.into();
        assert!(File::from(fd).as_fd().as_raw_fd() >= 0);
        Ok(())
    });
}

#[test]
fn errors_of_opening() {
    run(|| {
        let error = File::open("/no/such/file").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        let error = File::open("a\0b").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let error = File::create("/").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EISDIR));
        let token = CancelToken::new()?;
        token.cancel()?;
        let options = SpawnOptions::new().cancel(token);
        let errno = llam::task::spawn_with(options, || {
            File::open("/dev/null")
                .map(drop)
                .unwrap_err()
                .raw_os_error()
        });
        assert_eq!(errno.join()?, Some(libc::ECANCELED));
        Ok(())
    });
}

#[test]
fn opening_what_blocks_holds_up_the_task_alone() {
    // A pipe with a name blocks its opener until the other end is opened, too.
    run(|| {
        let path = Path::new("fifo");
        let name = std::ffi::CString::new(path.0.to_str().unwrap()).unwrap();
        // SAFETY: the path is NUL-terminated.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        let to_read = path.0.clone();
        let reader = llam::spawn(move || {
            let mut text = String::new();
            File::open(to_read)
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            text
        });
        common::until("the opener waits", || {
            reader.state_name().as_deref() == Some("PARKED")
        });
        assert_eq!(llam::spawn(|| 1).join()?, 1);
        let writer = std::fs::OpenOptions::new().write(true).open(&path.0)?;
        (&writer).write_all(b"through")?;
        drop(writer);
        assert_eq!(reader.join()?, "through");
        Ok(())
    });
}

#[test]
fn files_and_datagrams_on_a_host_thread() {
    let _turn = alone();
    let path = Path::new("host");
    File::create(&path.0).unwrap().write_all(b"host").unwrap();
    let mut text = String::new();
    File::open(&path.0)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "host");
    let (one, other) = UnixDatagram::pair().unwrap();
    let waits = std::thread::spawn(move || {
        let mut buffer = [0; 4];
        other.recv(&mut buffer).unwrap()
    });
    one.send(b"abc").unwrap();
    assert_eq!(waits.join().unwrap(), 3);
}
