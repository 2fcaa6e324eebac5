//! Descriptors for the I/O tests: pairs, pipes, listeners, files, each closed when dropped.
//!
//! Owns the descriptors it makes. All are made with plain system calls, so that nothing under test
//! is needed to set a test up.

use core::ffi::{c_int, c_void};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A descriptor that closures share; closed when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Fd(Arc<OwnedFd>);

impl Fd {
    /// Takes over an open descriptor.
    pub fn new(raw: RawFd) -> Self {
        assert!(raw >= 0, "no descriptor, errno {}", super::errno());
        Fd(Arc::new(unsafe { OwnedFd::from_raw_fd(raw) }))
    }

    /// The descriptor's number.
    pub fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Sets or clears `O_NONBLOCK`.
    pub fn nonblocking(self, on: bool) -> Self {
        unsafe {
            let flags = libc::fcntl(self.raw(), libc::F_GETFL);
            let flags = if on {
                flags | libc::O_NONBLOCK
            } else {
                flags & !libc::O_NONBLOCK
            };
            assert_eq!(libc::fcntl(self.raw(), libc::F_SETFL, flags), 0);
        }
        self
    }

    /// Whether `O_NONBLOCK` is set.
    pub fn is_nonblocking(&self) -> bool {
        unsafe { libc::fcntl(self.raw(), libc::F_GETFL) & libc::O_NONBLOCK != 0 }
    }

    /// Writes plainly, outside the engine.
    pub fn put(&self, bytes: &[u8]) {
        let n = unsafe { libc::write(self.raw(), bytes.as_ptr().cast(), bytes.len()) };
        assert_eq!(n, bytes.len() as isize, "errno {}", super::errno());
    }

    /// Reads once, plainly, outside the engine.
    pub fn take(&self, max: usize) -> Vec<u8> {
        let mut bytes = vec![0; max];
        let n = unsafe { libc::read(self.raw(), bytes.as_mut_ptr().cast(), max) };
        assert!(n >= 0, "errno {}", super::errno());
        bytes.truncate(n as usize);
        bytes
    }
}

/// Both ends of a stream socket pair.
pub fn pair() -> (Fd, Fd) {
    socketpair(libc::SOCK_STREAM)
}

/// Both ends of a datagram socket pair.
pub fn datagram_pair() -> (Fd, Fd) {
    socketpair(libc::SOCK_DGRAM)
}

fn socketpair(kind: c_int) -> (Fd, Fd) {
    let mut fds = [0; 2];
    assert_eq!(
        unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) },
        0
    );
    (Fd::new(fds[0]), Fd::new(fds[1]))
}

/// The read end and the write end of a pipe.
pub fn pipe() -> (Fd, Fd) {
    let mut fds = [0; 2];
    assert_eq!(unsafe { libc::pipe(fds.as_mut_ptr()) }, 0);
    (Fd::new(fds[0]), Fd::new(fds[1]))
}

/// A TCP socket that listens on a free port of 127.0.0.1, and its address.
pub fn listener() -> (Fd, libc::sockaddr_in) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    (Fd::new(listener.into_raw_fd()), loopback(port))
}

/// 127.0.0.1 with this port.
pub fn loopback(port: u16) -> libc::sockaddr_in {
    let mut addr: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    addr.sin_family = libc::AF_INET as libc::sa_family_t;
    addr.sin_port = port.to_be();
    addr.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
    addr
}

/// The length of an IPv4 address.
pub const INET_LEN: libc::socklen_t = size_of::<libc::sockaddr_in>() as libc::socklen_t;

/// An unconnected TCP socket.
pub fn tcp() -> Fd {
    Fd::new(unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) })
}

/// A UDP socket bound to a free port of 127.0.0.1, and its address.
pub fn udp() -> (Fd, libc::sockaddr_in) {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = socket.local_addr().expect("an address").port();
    (Fd::new(socket.into_raw_fd()), loopback(port))
}

/// Connects plainly, outside the engine.
pub fn connect_plain(addr: &libc::sockaddr_in) -> Fd {
    let fd = tcp();
    let code = unsafe { libc::connect(fd.raw(), std::ptr::from_ref(addr).cast(), INET_LEN) };
    assert_eq!(code, 0, "errno {}", super::errno());
    fd
}

/// A temporary file, removed when dropped.
#[derive(Debug)]
pub struct TempFile {
    path: PathBuf,
}

impl TempFile {
    /// A file with this content.
    pub fn with(content: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("llam-sys-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut file = std::fs::File::create(&path).expect("a temporary file");
        file.write_all(content).expect("room for it");
        TempFile { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path for C.
    pub fn c_path(&self) -> std::ffi::CString {
        c_path(&self.path)
    }

    /// Opens it with these `O_*` flags.
    pub fn open(&self, flags: c_int) -> Fd {
        Fd::new(unsafe { libc::open(self.c_path().as_ptr(), flags) })
    }

    /// What it contains now.
    pub fn content(&self) -> Vec<u8> {
        std::fs::read(&self.path).expect("the file is there")
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A path for C.
pub fn c_path(path: &Path) -> std::ffi::CString {
    std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL in a path")
}

/// The directory for temporary files, opened for reading.
pub fn directory() -> Fd {
    let path = c_path(&std::env::temp_dir());
    Fd::new(unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY) })
}

/// The start of a buffer to fill.
pub fn buf(bytes: &mut [u8]) -> *mut c_void {
    bytes.as_mut_ptr().cast()
}
