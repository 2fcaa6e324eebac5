//! UDP sockets.
//!
//! Owns [`UdpSocket`]. Calls: see `socket`.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use socket2::{Domain, Protocol, SockAddr, Type};

use super::address;
use super::socket::{Socket, socket_timeouts, socket_type};
use super::tcp::internet;

/// A UDP socket.
///
/// ```
/// use llam::net::UdpSocket;
/// llam::run(|| {
///     let one = UdpSocket::bind("127.0.0.1:0")?;
///     let other = UdpSocket::bind("127.0.0.1:0")?;
///     one.send_to(b"hello", other.local_addr()?)?;
///     let mut buffer = [0; 16];
///     let (count, from) = other.recv_from(&mut buffer)?;
///     assert_eq!((&buffer[..count], from), (&b"hello"[..], one.local_addr()?));
///     Ok(())
/// }).unwrap();
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    pub(super) socket: Socket,
}

socket_type!(UdpSocket, std::net::UdpSocket);
socket_timeouts!(UdpSocket);

impl UdpSocket {
    /// Binds to the first address that can be had.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, `EMFILE`; an error without errno when the name cannot
    /// be resolved.
    pub fn bind<A: ToSocketAddrs>(address: A) -> io::Result<Self> {
        address::first_success(address, |address| {
            let domain = Domain::for_address(address);
            let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
            socket.as_ref().bind(&SockAddr::from(address))?;
            Ok(Self { socket })
        })
    }

    /// Fixes the peer for [`send`](Self::send) and [`recv`](Self::recv).
    ///
    /// # Errors
    ///
    /// Those of `connect(2)`, and of resolving the name.
    pub fn connect<A: ToSocketAddrs>(&self, address: A) -> io::Result<()> {
        address::first_success(address, |address| {
            // Connecting a datagram socket does not wait.
            self.socket.as_ref().connect(&SockAddr::from(address))
        })
    }

    /// Sends a datagram to the connected peer.
    ///
    /// # Errors
    ///
    /// `EDESTADDRREQ` not connected; `ECONNREFUSED`, `EMSGSIZE`, …; as
    /// [`recv_from`](Self::recv_from).
    pub fn send(&self, buffer: &[u8]) -> io::Result<usize> {
        self.socket.send(buffer)
    }

    /// Receives a datagram from the connected peer. What does not fit is lost; 0 is an empty one.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.recv(buffer, 0)
    }

    /// Sends a datagram to the first address of those given.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), and of resolving the name.
    pub fn send_to<A: ToSocketAddrs>(&self, buffer: &[u8], address: A) -> io::Result<usize> {
        let addresses = address::resolve(address)?;
        self.socket.send_to(buffer, &SockAddr::from(addresses[0]))
    }

    /// Receives a datagram and its sender's address. What does not fit is lost.
    ///
    /// # Errors
    ///
    /// Those of `recvfrom(2)`; `ETIMEDOUT` after the read timeout; in a task `ECANCELED`, and
    /// `ETIMEDOUT` for a [`timeout`](fn@crate::time::timeout) around it.
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (count, from) = self.socket.recv_from(buffer)?;
        Ok((count, internet(&from)?))
    }

    /// The connected peer.
    ///
    /// # Errors
    ///
    /// `ENOTCONN`.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        internet(&self.socket.as_ref().peer_addr()?)
    }

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// Those of `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        internet(&self.socket.as_ref().local_addr()?)
    }

    /// A second descriptor of the same socket.
    ///
    /// # Errors
    ///
    /// `EMFILE`.
    pub fn try_clone(&self) -> io::Result<Self> {
        let socket = self.socket.try_clone()?;
        Ok(Self { socket })
    }
}
