//! Reading and writing (`abi.md` 4.14).

use super::attempt::{self, Kind, Piece};
use super::readiness::wait_ready;
use super::{is_nonblocking, retry};
use crate::clock::{self, NEVER};
use crate::errno::{self, Result};
use crate::task::Task;
use crate::worker::{self, Worker};

/// `llam_read`.
pub(crate) fn read(fd: i32, buffer: *mut u8, count: usize) -> Result<usize> {
    read_until(fd, buffer, count, NEVER)
}

fn read_until(fd: i32, buffer: *mut u8, count: usize, deadline_ns: u64) -> Result<usize> {
    let Some((worker, task)) = worker::context() else {
        // SAFETY: the caller of the ABI owns the buffer.
        return errno::check(unsafe { libc::read(fd, buffer.cast(), count) });
    };
    worker::budget_point(worker, task);
    let piece = Piece::new(buffer, count);
    if count == 0 {
        // SAFETY: nothing is written.
        return retry(|| unsafe { libc::read(fd, buffer.cast(), 0) });
    }
    let mut expected = worker.expected_kind(fd);
    loop {
        #[cfg(target_os = "linux")]
        if let Some(outcome) = ring::read(worker, task, fd, piece, deadline_ns) {
            return outcome;
        }
        // Who may not wait tries, in case that something has come which no event has told of yet.
        if worker.is_surely_drained(fd) && worker::precheck(task, deadline_ns).is_ok() {
            wait_ready(fd, libc::POLLIN, deadline_ns)?;
        }
        let (kind, outcome) = attempt::read(fd, piece, expected);
        if kind != expected {
            worker.expect_kind(fd, kind);
            expected = kind;
        }
        match outcome {
            Err(libc::EAGAIN) => {
                wait_or_hand_over(worker, task, fd, kind, libc::POLLIN, deadline_ns)?
            }
            Ok(count) if count > 0 && count < piece.len => {
                worker.note_short_read(fd);
                return outcome;
            }
            outcome => return outcome,
        }
    }
}

/// `llam_write`.
pub(crate) fn write(fd: i32, buffer: *const u8, count: usize) -> Result<usize> {
    let Some((worker, task)) = worker::context() else {
        // SAFETY: the caller of the ABI owns the buffer.
        return errno::check(unsafe { libc::write(fd, buffer.cast(), count) });
    };
    worker::budget_point(worker, task);
    let piece = Piece::new(buffer.cast_mut(), count);
    let mut expected = worker.expected_kind(fd);
    loop {
        #[cfg(target_os = "linux")]
        if let Some(outcome) = ring::write(worker, task, fd, piece) {
            return outcome;
        }
        let (kind, outcome) = attempt::write(fd, piece, expected);
        if kind != expected {
            worker.expect_kind(fd, kind);
            expected = kind;
        }
        match outcome {
            Err(libc::EAGAIN) => wait_or_hand_over(worker, task, fd, kind, libc::POLLOUT, NEVER)?,
            outcome => return outcome,
        }
    }
}

/// `llam_writev` on at most `IOV_MAX` pieces.
pub(crate) fn write_vectored(fd: i32, pieces: &[libc::iovec]) -> Result<usize> {
    if fd < 0 {
        return Err(libc::EBADF);
    }
    let Some((worker, task)) = worker::context() else {
        let count = pieces.len() as libc::c_int;
        // SAFETY: the caller of the ABI owns the pieces.
        return errno::check(unsafe { libc::writev(fd, pieces.as_ptr(), count) });
    };
    check_many(pieces)?;
    worker::budget_point(worker, task);
    let mut expected = worker.expected_kind(fd);
    loop {
        let (kind, outcome) = attempt::write_vectored(fd, pieces, expected);
        if kind != expected {
            worker.expect_kind(fd, kind);
            expected = kind;
        }
        match outcome {
            Err(libc::EAGAIN) => wait_ready(fd, libc::POLLOUT, NEVER)?,
            outcome => return outcome,
        }
    }
}

/// More pieces than one system call takes at once are all looked at before the first is written.
fn check_many(pieces: &[libc::iovec]) -> Result<()> {
    const AT_ONCE: usize = 16;
    if pieces.len() <= AT_ONCE {
        return Ok(());
    }
    let mut sum = 0_usize;
    for piece in pieces {
        sum = sum.checked_add(piece.iov_len).ok_or(libc::EINVAL)?;
        if piece.iov_base.is_null() && piece.iov_len > 0 || isize::try_from(sum).is_err() {
            return Err(libc::EINVAL);
        }
    }
    Ok(())
}

/// Waits; on the completion backend a blocking socket is handed over from now on instead.
fn wait_or_hand_over(
    worker: &'static Worker,
    task: &'static Task,
    fd: i32,
    kind: Kind,
    events: i16,
    deadline_ns: u64,
) -> Result<()> {
    worker::precheck(task, deadline_ns)?;
    if kind == Kind::Socket && worker.completes() && !is_nonblocking(fd)? {
        worker.hand_over(fd);
        return Ok(());
    }
    wait_ready(fd, events, deadline_ns)
}

/// `llam_read_when_ready`.
pub(crate) fn read_when_ready(
    fd: i32,
    buffer: *mut u8,
    count: usize,
    timeout_ms: i32,
) -> Result<usize> {
    if count == 0 {
        return Ok(0);
    }
    if fd < 0 {
        return Err(libc::EBADF);
    }
    let deadline = clock::deadline_from_ms(timeout_ms);
    match super::poll(fd, libc::POLLIN, timeout_ms) {
        Ok(None) => Err(libc::ETIMEDOUT),
        Ok(Some(ready)) if ready & libc::POLLNVAL != 0 => Err(libc::EBADF),
        Ok(Some(_)) if worker::context().is_some() => read_until(fd, buffer, count, deadline),
        // SAFETY: the caller of the ABI owns the buffer.
        Ok(Some(_)) => retry(|| unsafe { libc::read(fd, buffer.cast(), count) }),
        Err(libc::EINTR) => read_when_ready(fd, buffer, count, remaining_ms(deadline)),
        Err(error) => Err(error),
    }
}

fn remaining_ms(deadline_ns: u64) -> i32 {
    if deadline_ns == NEVER {
        return -1;
    }
    let left = deadline_ns
        .saturating_sub(clock::now_ns())
        .div_ceil(1_000_000);
    i32::try_from(left).unwrap_or(i32::MAX)
}

/// A source address to fill in, or none.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub(crate) address: *mut libc::sockaddr,
    pub(crate) length: *mut libc::socklen_t,
}

/// `llam_recvfrom`.
pub(crate) fn recvfrom(
    fd: i32,
    buffer: *mut u8,
    count: usize,
    flags: i32,
    source: Source,
) -> Result<usize> {
    let waits = worker::context().is_some();
    let flags = if waits {
        flags | libc::MSG_DONTWAIT
    } else {
        flags
    };
    // The kernel overwrites the length, also when it then reports EAGAIN on some systems.
    // SAFETY: the length is null or the caller's.
    let room = unsafe { source.length.as_ref().copied() };
    loop {
        if let Some(room) = room {
            // SAFETY: as above.
            unsafe { source.length.write(room) };
        }
        // SAFETY: the caller of the ABI owns buffer, address and length.
        let outcome = errno::check(unsafe {
            libc::recvfrom(
                fd,
                buffer.cast(),
                count,
                flags,
                source.address,
                source.length,
            )
        });
        match outcome {
            Err(libc::EAGAIN) if waits => wait_ready(fd, events_of(flags), NEVER)?,
            Err(libc::EINTR) if waits => {}
            outcome => return outcome,
        }
    }
}

/// What a receive with these flags waits for: urgent data is an event of its own.
fn events_of(flags: i32) -> i16 {
    if flags & libc::MSG_OOB != 0 {
        libc::POLLPRI
    } else {
        libc::POLLIN
    }
}

/// `llam_sendto`.
///
/// # Safety
/// `target` is null or readable for `target_len` bytes, `buffer` for `count`.
pub(crate) unsafe fn sendto(
    fd: i32,
    buffer: *const u8,
    count: usize,
    flags: i32,
    target: *const libc::sockaddr,
    target_len: libc::socklen_t,
) -> Result<usize> {
    let waits = worker::context().is_some();
    let flags = if waits {
        flags | libc::MSG_DONTWAIT
    } else {
        flags
    };
    let mut pause_ns = 0;
    loop {
        // SAFETY: by the caller's promise.
        let outcome = errno::check(unsafe {
            libc::sendto(fd, buffer.cast(), count, flags, target, target_len)
        });
        match outcome {
            Err(libc::EAGAIN) if waits => {
                wait_ready(fd, libc::POLLOUT, NEVER)?;
                // A local datagram socket counts as writable while the queue of its target is full.
                if pause_ns > 0 {
                    crate::time::sleep_until(clock::now_ns() + pause_ns)?;
                }
                pause_ns = (pause_ns * 2).clamp(FIRST_PAUSE_NS, LONGEST_PAUSE_NS);
            }
            Err(libc::EINTR) if waits => {}
            outcome => return outcome,
        }
    }
}

/// Pauses between attempts to send to a full queue that nothing announces the room of.
const FIRST_PAUSE_NS: u64 = 50_000;
const LONGEST_PAUSE_NS: u64 = 5_000_000;

/// Operations that the completion backend performs itself.
#[cfg(target_os = "linux")]
pub(super) mod ring {
    use io_uring::opcode;
    use io_uring::squeue::Entry;
    use io_uring::types::Fd;

    use super::{Piece, Result, Task, Worker, worker};
    use crate::clock::NEVER;
    use crate::driver::{Driver, Operation};
    use crate::task::WaitKind;
    use crate::wait::Reason;

    /// `IORING_RECVSEND_POLL_FIRST`.
    const POLL_FIRST: u16 = 1;

    /// Performs an operation: submits it and parks until the kernel has completed it, also
    /// when a deadline or a cancellation ends the wait before (E3). `Err` carries the
    /// kernel's errno, `ETIMEDOUT` or `ECANCELED`.
    pub(crate) fn perform(
        worker: &'static Worker,
        task: &'static Task,
        fd: i32,
        entry: Entry,
        deadline_ns: u64,
    ) -> Result<i32> {
        let armed = task.wait.arm(true);
        let operation = Operation::new(task, armed);
        // SAFETY: the borrow ends with the call; this frame stays until the operation is
        // done, and what the entry points to belongs to frames below it.
        unsafe {
            if let Driver::Uring(driver) = worker.driver() {
                driver.submit(entry, &operation, &worker.counters);
            }
        }
        let reason = worker::park(worker, task, armed, deadline_ns, WaitKind::Io, fd as u64);
        if !operation.is_done() {
            give_up(worker, task, fd, &operation);
        }
        match operation.result() {
            result if result >= 0 => Ok(result),
            error if error == -libc::ECANCELED || error == -libc::EINTR => Err(match reason {
                Reason::Timeout => libc::ETIMEDOUT,
                Reason::Cancelled => libc::ECANCELED,
                // Taken back for the sake of the worker: the call tries again.
                Reason::Completed | Reason::Woken => libc::EINTR,
            }),
            error => Err(-error),
        }
    }

    /// Takes an operation back from the kernel, however long that takes.
    fn give_up(worker: &'static Worker, task: &'static Task, fd: i32, operation: &Operation) {
        // SAFETY: the borrow ends with the call.
        unsafe {
            if let Driver::Uring(driver) = worker.driver() {
                driver.cancel(operation, &worker.counters);
            }
        }
        while !operation.is_done() {
            operation.set_armed(task.wait.arm(false));
            worker::park_until_woken(worker, task, WaitKind::Io, fd as u64);
        }
    }

    /// Waits for readiness by a poll operation.
    pub(crate) fn wait(
        worker: &'static Worker,
        task: &'static Task,
        fd: i32,
        events: i16,
        deadline_ns: u64,
    ) -> Result<()> {
        let mut events = events;
        // A ring hears of urgent data by this bit alone (seen on Linux 6.18).
        if events & libc::POLLPRI != 0 {
            events |= libc::POLLRDBAND;
        }
        let entry = opcode::PollAdd::new(Fd(fd), events as u16 as u32).build();
        match perform(worker, task, fd, entry, deadline_ns) {
            Ok(_) | Err(libc::EINTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads from a blocking socket; `None` when the descriptor is not known to be one, or
    /// turns out not to be.
    pub(super) fn read(
        worker: &'static Worker,
        task: &'static Task,
        fd: i32,
        piece: Piece,
        deadline_ns: u64,
    ) -> Option<Result<usize>> {
        if !worker.is_handed_over(fd) || worker::precheck(task, deadline_ns).is_err() {
            return None;
        }
        // A receive that would find nothing is better not tried before it waits. Only a hint: what has come
        // meanwhile is found by the wait.
        let order = match worker.is_probably_drained(fd) {
            true => POLL_FIRST,
            false => 0,
        };
        let entry = opcode::Recv::new(Fd(fd), piece.base, piece.len as u32)
            .ioprio(order)
            .build();
        let received = perform(worker, task, fd, entry, deadline_ns);
        if let Ok(count) = received {
            worker.note_drained(fd, (count as usize) < piece.len);
        }
        settle(worker, fd, received)
    }

    /// Writes to a blocking socket. As `read`.
    pub(super) fn write(
        worker: &'static Worker,
        task: &'static Task,
        fd: i32,
        piece: Piece,
    ) -> Option<Result<usize>> {
        if !worker.is_handed_over(fd) || worker::precheck(task, NEVER).is_err() {
            return None;
        }
        let entry = opcode::Send::new(Fd(fd), piece.base, piece.len as u32).build();
        let outcome = settle(worker, fd, perform(worker, task, fd, entry, NEVER));
        if outcome == Some(Err(libc::EPIPE)) {
            // The kernel suppresses the signal for operations of a ring; `write` does not.
            // SAFETY: raises a signal in this thread, as the system call would have.
            unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGPIPE) };
        }
        outcome
    }

    /// A wrong guess about the descriptor is forgotten, and the call tried the other way.
    fn settle(worker: &Worker, fd: i32, outcome: Result<i32>) -> Option<Result<usize>> {
        match outcome {
            Ok(count) => Some(Ok(count as usize)),
            Err(libc::EAGAIN | libc::ENOTSOCK | libc::EINTR) => {
                worker.take_back(fd);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }
}
