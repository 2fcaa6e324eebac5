//! TCP listeners.
//!
//! Owns [`TcpListener`] and its builder. Calls: see `socket`.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use socket2::{Domain, Protocol, SockAddr, Type};

use super::address;
use super::socket::{Socket, socket_type};
use super::tcp::{TcpStream, internet};

/// Connections that may wait to be accepted, by default; the system has a limit of its own
/// (`net.core.somaxconn`, 4096 on Linux).
const DEFAULT_BACKLOG: i32 = 1024;

/// A socket that takes TCP connections.
///
/// Several tasks may accept from it at once.
#[derive(Debug)]
pub struct TcpListener {
    pub(super) socket: Socket,
}

socket_type!(TcpListener, std::net::TcpListener);

impl TcpListener {
    /// Listens on the first address that can be bound, with `SO_REUSEADDR` on and a backlog of 1024.
    /// Names are looked up by the engine's resolver, so that only the task waits.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, `EMFILE`; an error without errno when the name cannot
    /// be resolved.
    pub fn bind<A: ToSocketAddrs>(address: A) -> io::Result<Self> {
        Self::builder().bind(address)
    }

    /// Options first.
    pub fn builder() -> TcpListenerBuilder {
        TcpListenerBuilder::new()
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// Those of `accept(2)`: `EMFILE`, `ENFILE`, `ECONNABORTED`, …; in a task `ECANCELED`, and
    /// `ETIMEDOUT` for a [`timeout`](fn@crate::time::timeout) around it.
    pub fn accept(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        let (socket, peer) = self.socket.accept()?;
        Ok((TcpStream { socket }, peer.as_socket()))
    }

    /// The connections to come, without end: an error is an item.
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet(&self.socket.as_ref().local_addr()?)
    }
}

/// The connections of a listener; see [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _peer)| stream))
    }
}

/// Chooses a listener's options.
///
/// ```
/// let listener = llam::net::TcpListener::builder()
///     .backlog(16)
///     .reuse_port(true)
///     .bind("127.0.0.1:0")
///     .unwrap();
/// assert_ne!(listener.local_addr().unwrap().port(), 0);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TcpListenerBuilder {
    backlog: i32,
    reuse_address: bool,
    reuse_port: bool,
    only_v6: Option<bool>,
}

impl Default for TcpListenerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl TcpListenerBuilder {
    /// Backlog 1024, `SO_REUSEADDR` on, `SO_REUSEPORT` off, `IPV6_V6ONLY` as the system has it.
    pub fn new() -> Self {
        Self {
            backlog: DEFAULT_BACKLOG,
            reuse_address: true,
            reuse_port: false,
            only_v6: None,
        }
    }

    /// How many connections may wait to be accepted.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = i32::try_from(connections).unwrap_or(i32::MAX);
        self
    }

    /// `SO_REUSEADDR`: binds although old connections of the port linger.
    pub fn reuse_address(mut self, on: bool) -> Self {
        self.reuse_address = on;
        self
    }

    /// `SO_REUSEPORT`: several sockets share the port.
    pub fn reuse_port(mut self, on: bool) -> Self {
        self.reuse_port = on;
        self
    }

    /// `IPV6_V6ONLY`: an IPv6 socket takes no IPv4 connections. Ignored for IPv4 addresses.
    pub fn only_v6(mut self, on: bool) -> Self {
        self.only_v6 = Some(on);
        self
    }

    /// Listens on the first address that can be bound.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`].
    pub fn bind<A: ToSocketAddrs>(&self, address: A) -> io::Result<TcpListener> {
        address::first_success(address, |address| self.bind_one(address))
    }

    fn bind_one(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        let options = socket.as_ref();
        options.set_reuse_address(self.reuse_address)?;
        if self.reuse_port {
            options.set_reuse_port(true)?;
        }
        if let (Domain::IPV6, Some(only_v6)) = (domain, self.only_v6) {
            options.set_only_v6(only_v6)?;
        }
        options.bind(&SockAddr::from(address))?;
        options.listen(self.backlog)?;
        Ok(TcpListener { socket })
    }
}
