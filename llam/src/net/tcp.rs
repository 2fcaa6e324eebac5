//! TCP streams.
//!
//! Owns [`TcpStream`]. Calls: see `socket`.

use std::io;
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Type};

use super::address;
use super::socket::{Socket, socket_timeouts, socket_type, stream_io};
use crate::time;

/// A TCP connection. `Read` and `Write` also work on `&TcpStream`.
///
/// ```
/// use std::io::{Read, Write};
/// use llam::net::{TcpListener, TcpStream};
/// llam::run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let address = listener.local_addr()?;
///     llam::spawn(move || {
///         let (stream, _peer) = listener.accept().unwrap();
///         std::io::copy(&mut &stream, &mut &stream).unwrap();
///     });
///     let mut stream = TcpStream::connect(address)?;
///     stream.write_all(b"ping")?;
///     stream.shutdown(std::net::Shutdown::Write)?;
///     let mut answer = String::new();
///     stream.read_to_string(&mut answer)?;
///     assert_eq!(answer, "ping");
///     Ok(())
/// }).unwrap();
/// ```
#[derive(Debug)]
pub struct TcpStream {
    pub(super) socket: Socket,
}

socket_type!(TcpStream, std::net::TcpStream);
socket_timeouts!(TcpStream);
stream_io!(TcpStream);

/// The address as an Internet one.
pub(super) fn internet(address: &SockAddr) -> io::Result<SocketAddr> {
    address
        .as_socket()
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
}

impl TcpStream {
    /// Connects to the first address that answers. Names are looked up by the engine's resolver, so
    /// that only the task waits.
    ///
    /// # Errors
    ///
    /// That of the last address tried: `ECONNREFUSED`, `ETIMEDOUT`, `EHOSTUNREACH` and so on; an error
    /// without errno when the name cannot be resolved; in a task `ECANCELED`, and `ETIMEDOUT` for a
    /// [`timeout`](fn@crate::time::timeout) around it.
    pub fn connect<A: ToSocketAddrs>(address: A) -> io::Result<Self> {
        address::first_success(address, |address| Self::connect_one(address, u64::MAX))
    }

    /// Connects to one address within a time limit.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); `ETIMEDOUT` when the time is up; `InvalidInput` for a zero
    /// duration.
    pub fn connect_timeout(address: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        if timeout.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "cannot set a 0 duration timeout",
            ));
        }
        Self::connect_one(*address, time::deadline_after(timeout))
    }

    fn connect_one(address: SocketAddr, deadline_ns: u64) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.connect(&SockAddr::from(address), deadline_ns)?;
        Ok(Self { socket })
    }

    /// The other end's address.
    ///
    /// # Errors
    ///
    /// `ENOTCONN`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        internet(&self.socket.as_ref().peer_addr()?)
    }

    /// This end's address.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet(&self.socket.as_ref().local_addr()?)
    }

    /// A second descriptor of the same connection. Sharing a `&TcpStream` costs none.
    ///
    /// # Errors
    ///
    /// `EMFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self { socket })
    }

    /// Ends reading, writing or both. After `Shutdown::Write` the peer reads the end of the stream.
    ///
    /// # Errors
    ///
    /// `ENOTCONN`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    /// Reads without taking: the next read sees the same bytes. Waits as a read does.
    ///
    /// # Errors
    ///
    /// As reading.
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer, libc::MSG_PEEK)
    }

    /// Sends small writes at once (`TCP_NODELAY`) instead of waiting for acknowledgements.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket.as_ref().set_tcp_nodelay(nodelay)
    }

    /// Whether [`set_nodelay`](Self::set_nodelay) is on.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket.as_ref().tcp_nodelay()
    }
}
