//! Where connections come from.
//!
//! A client that closes first leaves its port taken for a minute. With one local address that is
//! some 28,000 connections, and the kernel searches longer for each further one: soon the search is
//! what a churning load measures. Towards a server on IPv4 loopback there are 16 million local
//! addresses, so each connection of a run gets an address and a port of its own, without a search.
//! Called by `connection` and `idle`.

use socket2::{Domain, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const FIRST_PORT: u32 = 10_000;
const PORTS: u32 = 50_000;

/// A socket for the run's connection `number` to `address`.
pub(crate) fn socket_to(address: SocketAddr, number: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if let IpAddr::V4(ip) = address.ip()
        && ip.is_loopback()
    {
        // Where an earlier run came from: that connection was to another server.
        socket.set_reuse_address(true)?;
        // Somebody may listen on this port; then the system chooses.
        let _ = socket.bind(&local_address(number).into());
    }
    Ok(socket)
}

/// The second number of the address differs from process to process.
fn local_address(number: u32) -> SocketAddr {
    let network = (std::process::id() % 200) as u8 + 1;
    let [high, low] = ((number / PORTS % 65_535) as u16 + 1).to_be_bytes();
    let port = (FIRST_PORT + number % PORTS) as u16;
    SocketAddr::from((Ipv4Addr::new(127, network, high, low), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn every_connection_has_its_own_place() {
        let places: HashSet<_> = (0..200_000).map(local_address).collect();
        assert_eq!(places.len(), 200_000);
        assert!(places.iter().all(|place| place.ip().is_loopback()));
        assert!(local_address(u32::MAX).ip().is_loopback());
    }

    #[test]
    fn the_server_sees_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut seen = HashSet::new();
        for number in 0..20 {
            let socket = socket_to(address, number).unwrap();
            socket.connect(&address.into()).unwrap();
            let client = TcpStream::from(socket);
            let (_server, peer) = listener.accept().unwrap();
            assert_eq!(client.local_addr().unwrap(), peer);
            seen.insert(peer);
        }
        let expected: HashSet<_> = (0..20).map(local_address).collect();
        // A few of the ports may be somebody else's.
        assert!(seen.intersection(&expected).count() >= 15, "{seen:?}");
    }
}
