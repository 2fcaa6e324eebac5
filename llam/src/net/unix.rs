//! Unix stream sockets.
//!
//! Owns [`UnixStream`] and [`UnixListener`]. Calls: see `socket`.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use socket2::{Domain, SockAddr, Type};

use super::socket::{Socket, socket_timeouts, socket_type, stream_io};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// The address as one of the Unix family.
pub(super) fn local(address: &SockAddr) -> io::Result<SocketAddr> {
    if let Some(address) = address.as_unix() {
        return Ok(address);
    }
    // A socket without a name has an address without a path, or none at all.
    if address.is_unix() || address.len() == 0 {
        return SocketAddr::from_pathname("");
    }
    Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
}

/// A connection between processes of one machine. `Read` and `Write` also work on `&UnixStream`.
#[derive(Debug)]
pub struct UnixStream {
    pub(super) socket: Socket,
}

socket_type!(UnixStream, std::os::unix::net::UnixStream);
socket_timeouts!(UnixStream);
stream_io!(UnixStream);

impl UnixStream {
    /// Connects to the listener at this path.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `ECONNREFUSED`, `EACCES`, …; `InvalidInput` for a path that is too long; in a task
    /// `ECANCELED`, and `ETIMEDOUT` for a [`timeout`](fn@crate::time::timeout) around it.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.connect(&SockAddr::unix(path)?, u64::MAX)?;
        Ok(Self { socket })
    }

    /// Two ends of a connection without a name.
    ///
    /// # Errors
    ///
    /// `EMFILE`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = Socket::pair(Type::STREAM)?;
        Ok((Self { socket: one }, Self { socket: other }))
    }

    /// The other end's address.
    ///
    /// # Errors
    ///
    /// `ENOTCONN`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        local(&self.socket.as_ref().peer_addr()?)
    }

    /// This end's address.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local(&self.socket.as_ref().local_addr()?)
    }

    /// A second descriptor of the same connection. Sharing a `&UnixStream` costs none.
    ///
    /// # Errors
    ///
    /// `EMFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self { socket })
    }

    /// Ends reading, writing or both.
    ///
    /// # Errors
    ///
    /// `ENOTCONN`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

/// A socket that takes connections at a path. Dropping it leaves the path behind.
#[derive(Debug)]
pub struct UnixListener {
    pub(super) socket: Socket,
}

socket_type!(UnixListener, std::os::unix::net::UnixListener);

impl UnixListener {
    /// Listens at this path, which must not exist; with a backlog of 1024.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` the path exists; `EACCES`, `ENOENT`, …; `InvalidInput` for a path that is too
    /// long.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.as_ref().bind(&SockAddr::unix(path)?)?;
        socket.as_ref().listen(BACKLOG)?;
        Ok(Self { socket })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::accept`](super::TcpListener::accept).
    pub fn accept(&self) -> io::Result<UnixStream> {
        let (socket, _peer) = self.socket.accept()?;
        Ok(UnixStream { socket })
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local(&self.socket.as_ref().local_addr()?)
    }
}
