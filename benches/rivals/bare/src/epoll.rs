//! A loop over epoll, edge-triggered: one wait, then a receive and a send for each connection that is
//! ready.
//!
//! A connection is registered once, for reading and writing. A receive that does not fill the buffer
//! has emptied the socket, so the next edge will tell; the end of input is looked for only when epoll has
//! announced it. What the socket does not take is kept, and nothing more is received until it is gone.

use crate::{BUFFER_BYTES, Protocol};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags, accept_with, recv, send, sockopt};
use std::io;
use std::net::TcpListener;

/// Events that one wait takes.
const EVENTS: usize = 1024;
/// The listener's event; a connection has its place in the table.
const LISTENER: u64 = u64::MAX;

struct Connection<P> {
    socket: OwnedFd,
    protocol: P,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
}

enum State {
    Open,
    Ended,
}

/// Serves for ever.
pub(crate) fn run<P: Protocol>(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut connections: Vec<Option<Connection<P>>> = Vec::new();
    let mut free = Vec::new();
    let mut events = Vec::with_capacity(EVENTS);
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        events.clear();
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let (flags, data) = (event.flags, event.data);
            if data.u64() == LISTENER {
                accept(&epoll, &listener, &mut connections, &mut free)?;
                continue;
            }
            let place = data.u64() as usize;
            let Some(connection) = &mut connections[place] else {
                continue;
            };
            if let State::Ended = serve(connection, flags, &mut buffer) {
                // Closing takes it out of epoll.
                connections[place] = None;
                free.push(place);
            }
        }
    }
}

fn accept<P: Protocol>(
    epoll: &OwnedFd,
    listener: &TcpListener,
    connections: &mut Vec<Option<Connection<P>>>,
    free: &mut Vec<usize>,
) -> io::Result<()> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    loop {
        let socket = match accept_with(listener, flags) {
            Ok(socket) => socket,
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::CONNABORTED | Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        sockopt::set_tcp_nodelay(&socket, true)?;
        let place = free.pop().unwrap_or_else(|| {
            connections.push(None);
            connections.len() - 1
        });
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(epoll, &socket, EventData::new_u64(place as u64), interest)?;
        connections[place] = Some(Connection {
            socket,
            protocol: P::default(),
            unsent: Vec::new(),
        });
    }
}

/// Receives and sends as far as the socket goes. An error ends the connection like its end does.
fn serve<P: Protocol>(
    connection: &mut Connection<P>,
    flags: EventFlags,
    buffer: &mut [u8; BUFFER_BYTES],
) -> State {
    let is_ending = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
    if !connection.unsent.is_empty() {
        let sent = send(&connection.socket, &connection.unsent, SendFlags::NOSIGNAL);
        match sent {
            Ok(length) => drop(connection.unsent.drain(..length)),
            Err(Errno::AGAIN) => {}
            Err(_) => return State::Ended,
        }
        if !connection.unsent.is_empty() {
            return State::Open;
        }
    } else if !flags.contains(EventFlags::IN) && !is_ending {
        return State::Open;
    }
    loop {
        let received = match recv(&connection.socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((_, 0)) => return State::Ended,
            Ok((_, length)) => length,
            Err(Errno::AGAIN) => return State::Open,
            Err(_) => return State::Ended,
        };
        let answer = connection.protocol.answer(&buffer[..received]);
        if !answer.is_empty() {
            let sent = match send(&connection.socket, answer, SendFlags::NOSIGNAL) {
                Ok(length) => length,
                Err(Errno::AGAIN) => 0,
                Err(_) => return State::Ended,
            };
            if sent < answer.len() {
                connection.unsent.extend_from_slice(&answer[sent..]);
                return State::Open;
            }
        }
        if received < buffer.len() && !is_ending {
            return State::Open;
        }
    }
}
