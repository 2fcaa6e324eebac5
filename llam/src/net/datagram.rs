//! Unix datagram sockets.
//!
//! Owns [`UnixDatagram`]. Calls: see `socket`.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use socket2::{Domain, SockAddr, Type};

use super::socket::{Socket, socket_timeouts, socket_type};
use super::unix::local;

/// A socket for datagrams between processes of one machine. Nothing is lost: a full receiver makes
/// the sender wait.
#[derive(Debug)]
pub struct UnixDatagram {
    pub(super) socket: Socket,
}

socket_type!(UnixDatagram, std::os::unix::net::UnixDatagram);
socket_timeouts!(UnixDatagram);

impl UnixDatagram {
    /// A socket at this path, which must not exist.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` the path exists; `EACCES`, `ENOENT`, …; `InvalidInput` for a path that is too
    /// long.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let socket = Self::unbound()?;
        socket.socket.as_ref().bind(&SockAddr::unix(path)?)?;
        Ok(socket)
    }

    /// A socket without a name, which can only send.
    ///
    /// # Errors
    ///
    /// `EMFILE`.
    pub fn unbound() -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
        Ok(Self { socket })
    }

    /// Two connected sockets without a name.
    ///
    /// # Errors
    ///
    /// `EMFILE`.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = Socket::pair(Type::DGRAM)?;
        Ok((Self { socket: one }, Self { socket: other }))
    }

    /// Fixes the peer for [`send`](Self::send) and [`recv`](Self::recv).
    ///
    /// # Errors
    ///
    /// `ENOENT`, `ECONNREFUSED`, ….
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        // Connecting a datagram socket does not wait.
        self.socket.as_ref().connect(&SockAddr::unix(path)?)
    }

    /// Sends a datagram to the connected peer.
    ///
    /// # Errors
    ///
    /// `ENOTCONN`, `ECONNREFUSED`, `EMSGSIZE`; as [`recv_from`](Self::recv_from).
    pub fn send(&self, buffer: &[u8]) -> io::Result<usize> {
        self.socket.send(buffer)
    }

    /// Receives a datagram. What does not fit is lost.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer, 0)
    }

    /// Sends a datagram to the socket at this path.
    ///
    /// # Errors
    ///
    /// `ENOENT`, `ECONNREFUSED`, `EMSGSIZE`; as [`recv_from`](Self::recv_from).
    pub fn send_to<P: AsRef<Path>>(&self, buffer: &[u8], path: P) -> io::Result<usize> {
        self.socket.send_to(buffer, &SockAddr::unix(path)?)
    }

    /// Receives a datagram and its sender's address. What does not fit is lost.
    ///
    /// # Errors
    ///
    /// Those of `recvfrom(2)`; `ETIMEDOUT` after the read timeout; in a task `ECANCELED`, and
    /// `ETIMEDOUT` for a [`timeout`](fn@crate::time::timeout) around it.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (count, from) = self.socket.recv_from(buffer)?;
        Ok((count, local(&from)?))
    }

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        local(&self.socket.as_ref().local_addr()?)
    }

    /// Ends receiving, sending or both.
    ///
    /// # Errors
    ///
    /// `ENOTCONN`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}
