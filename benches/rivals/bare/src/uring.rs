//! A loop over io_uring: one enter a round, which hands over what is queued and waits for the first
//! completion.
//!
//! A connection has exactly one operation in the kernel: a receive, then a send of the answer, then the
//! next receive. It is freed when that operation has completed and no other follows, so its buffer outlives
//! the operation that uses it.
//!
//! ```text
//!   accepted --> receive --> send --> receive ...
//!                   |          |
//!                   +----------+--> freed: end of input, or an error
//! ```

use crate::{BUFFER_BYTES, Protocol};
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::fd::{AsRawFd, FromRawFd, OwnedFd};
use rustix::net::{SendFlags, SocketFlags, sockopt};
use std::io;
use std::net::TcpListener;

/// Operations that fit into the ring; more are handed over in between.
const ENTRIES: u32 = 4096;
/// The accept operation's number; a connection's operation has its place in the table.
const ACCEPT: u64 = u64::MAX;
/// `MSG_WAITALL`: the kernel goes on until all is sent.
const ALL_AT_ONCE: u32 = 0x100;

#[derive(Debug, Clone, Copy)]
enum Operation {
    Receive,
    Send,
}

struct Connection<P> {
    socket: OwnedFd,
    protocol: P,
    /// What is in the kernel.
    operation: Operation,
    /// Behind a pointer of its own: the table may move while the kernel writes here.
    buffer: Box<[u8; BUFFER_BYTES]>,
}

/// A ring of a thread that is alone with it: the kernel's part runs when the thread waits, without interrupts.
pub(crate) fn ring() -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_cqsize(4 * ENTRIES)
        .build(ENTRIES)
}

/// Serves for ever.
pub(crate) fn run<P: Protocol>(listener: TcpListener) -> io::Result<()> {
    let mut ring = ring()?;
    // Never freed as a whole: when an error ends the loop, operations are still in the kernel.
    let table = Box::leak(Box::new(Table::<P>::default()));
    let accept = opcode::AcceptMulti::new(Fd(listener.as_raw_fd()))
        .flags(SocketFlags::CLOEXEC.bits() as i32)
        .build()
        .user_data(ACCEPT);
    // SAFETY: the operation refers to no memory.
    unsafe { queue(&mut ring, &accept) }?;
    let mut completed = Vec::new();
    loop {
        match ring.submit_and_wait(1) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        completed.extend(ring.completion());
        for completion in completed.drain(..) {
            if completion.user_data() != ACCEPT {
                table.complete(
                    &mut ring,
                    completion.user_data() as usize,
                    completion.result(),
                )?;
                continue;
            }
            if !cqueue::more(completion.flags()) {
                // SAFETY: the operation refers to no memory.
                unsafe { queue(&mut ring, &accept) }?;
            }
            table.accepted(&mut ring, completion.result())?;
        }
    }
}

/// The connections, each at the place that its operation carries as its number.
struct Table<P> {
    connections: Vec<Option<Connection<P>>>,
    free: Vec<usize>,
}

impl<P> Default for Table<P> {
    fn default() -> Self {
        Self {
            connections: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<P: Protocol> Table<P> {
    fn accepted(&mut self, ring: &mut IoUring, result: i32) -> io::Result<()> {
        if result < 0 {
            let error = io::Error::from_raw_os_error(-result);
            return match error.kind() {
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => Ok(()),
                _ => Err(error),
            };
        }
        // SAFETY: the kernel has just made this descriptor for the accept operation; nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(result) };
        sockopt::set_tcp_nodelay(&socket, true)?;
        let place = self.free.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        let connection = self.connections[place].insert(Connection {
            socket,
            protocol: P::default(),
            operation: Operation::Receive,
            buffer: Box::new([0; BUFFER_BYTES]),
        });
        connection.receive(ring, place)
    }

    /// The operation of a connection has completed: it gets its next one, or is freed.
    fn complete(&mut self, ring: &mut IoUring, place: usize, result: i32) -> io::Result<()> {
        let connection = self.connections[place]
            .as_mut()
            .expect("a connection lives as long as its operation");
        match (connection.operation, usize::try_from(result)) {
            (Operation::Receive, Ok(length @ 1..)) => connection.answer(ring, place, length),
            // All of it: less comes only when the peer is gone, and then the receive tells.
            (Operation::Send, Ok(1..)) => connection.receive(ring, place),
            _ => {
                self.connections[place] = None;
                self.free.push(place);
                Ok(())
            }
        }
    }
}

impl<P: Protocol> Connection<P> {
    fn receive(&mut self, ring: &mut IoUring, place: usize) -> io::Result<()> {
        self.operation = Operation::Receive;
        let length = self.buffer.len() as u32;
        let receive = opcode::Recv::new(
            Fd(self.socket.as_raw_fd()),
            self.buffer.as_mut_ptr(),
            length,
        )
        .build()
        .user_data(place as u64);
        // SAFETY: the buffer stays until this operation completes, and nobody touches it before: the table
        // frees and uses a connection only in `complete`.
        unsafe { queue(ring, &receive) }
    }

    /// Sends the answer to the first `length` bytes of the buffer, or goes on receiving when there is none
    /// yet.
    fn answer(&mut self, ring: &mut IoUring, place: usize, length: usize) -> io::Result<()> {
        let answer = self.protocol.answer(&self.buffer[..length]);
        if answer.is_empty() {
            return self.receive(ring, place);
        }
        self.operation = Operation::Send;
        let flags = SendFlags::NOSIGNAL.bits() | ALL_AT_ONCE;
        let fd = Fd(self.socket.as_raw_fd());
        let send = opcode::Send::new(fd, answer.as_ptr(), answer.len() as u32)
            .flags(flags as i32)
            .build()
            .user_data(place as u64);
        // SAFETY: the answer is in the buffer, which stays unchanged as in `receive`, or is static.
        unsafe { queue(ring, &send) }
    }
}

/// Queues an operation, after handing over those before it when there is no room.
///
/// # Safety
///
/// The memory that the operation refers to stays, and is not used otherwise, until it has completed.
unsafe fn queue(ring: &mut IoUring, operation: &squeue::Entry) -> io::Result<()> {
    // SAFETY: the caller promises it.
    while unsafe { ring.submission().push(operation) }.is_err() {
        ring.submit()?;
    }
    Ok(())
}
