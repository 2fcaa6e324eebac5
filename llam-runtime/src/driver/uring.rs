//! The completion backend: one ring per worker, set up for that worker alone.
//!
//! `DEFER_TASKRUN` makes the kernel deliver completions only when the worker asks, so
//! submissions and completions of a scheduling round share one system call. The ring is
//! made on the worker's thread (`SINGLE_ISSUER`).

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;

use io_uring::squeue::Entry;
use io_uring::types::{CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, opcode};

use super::Operation;
use crate::bell::Bell;
use crate::runtime::stats::Counters;
use crate::task::Task;

/// Submissions per system call at most; more are submitted in several calls.
const SUBMISSIONS: u32 = 256;
/// Completions the ring holds before the kernel has to keep some aside.
const COMPLETIONS: u32 = 4096;

/// Tags of completions that belong to no operation.
const TAG_BELL: u64 = 1;
const TAG_IGNORED: u64 = 2;
const TAG_PROBE: u64 = 3;

pub(crate) struct Uring {
    ring: IoUring,
    bell: RawFd,
    /// The kernel watches the bell.
    bell_watched: bool,
    /// Operations that have not completed.
    in_flight: usize,
    /// Submissions that found the queue full: an operation per parked task, and its
    /// cancellation (E6).
    backlog: VecDeque<Entry>,
}

/// Whether io_uring works here with exactly the features the driver needs: set up, enabled
/// on this thread, and one operation completed.
pub(super) fn probe() -> Result<(), i32> {
    let code = |error: io::Error| error.raw_os_error().unwrap_or(libc::EIO);
    let mut ring = build(8).map_err(code)?;
    let nop = opcode::Nop::new().build().user_data(TAG_PROBE);
    // SAFETY: a NOP refers to no memory.
    unsafe { ring.submission().push(&nop) }.map_err(|_| libc::EIO)?;
    ring.submit_and_wait(1).map_err(code)?;
    match ring.completion().next() {
        Some(completion) if completion.user_data() == TAG_PROBE => Ok(()),
        _ => Err(libc::EIO),
    }
}

fn build(entries: u32) -> io::Result<IoUring> {
    IoUring::builder()
        .setup_clamp()
        .setup_cqsize(entries.max(COMPLETIONS / 16) * 16)
        .setup_submit_all()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .build(entries)
}

impl Uring {
    pub(super) fn open(bell: RawFd) -> io::Result<Self> {
        let ring = build(SUBMISSIONS)?;
        Ok(Self {
            ring,
            bell,
            bell_watched: false,
            in_flight: 0,
            backlog: VecDeque::new(),
        })
    }

    /// Queues a submission. When the queue is full and the kernel takes nothing (it may
    /// refuse until completions were reaped), the entry waits its turn in the backlog.
    fn push(&mut self, entry: Entry, counters: &Counters) {
        counters.io_submits.bump();
        if self.backlog.is_empty() {
            if self.try_push(&entry) {
                return;
            }
            counters.io_submit_syscalls.bump();
            if self.ring.submit().is_ok() && self.try_push(&entry) {
                return;
            }
        }
        self.backlog.push_back(entry);
    }

    fn try_push(&mut self, entry: &Entry) -> bool {
        // SAFETY: every entry refers to memory of an operation that stays in place until
        // its completion was reaped (E3), or to none.
        unsafe { self.ring.submission().push(entry) }.is_ok()
    }

    fn push_backlog(&mut self) {
        while let Some(entry) = self.backlog.pop_front() {
            if !self.try_push(&entry) {
                self.backlog.push_front(entry);
                return;
            }
        }
    }

    /// Queues an operation; it is handed over at the next `poll` or `wait`.
    ///
    /// # Safety
    /// `operation` and everything that `entry` points to stay in place until
    /// `operation.is_done()`.
    pub(crate) unsafe fn submit(
        &mut self,
        entry: Entry,
        operation: &Operation,
        counters: &Counters,
    ) {
        counters.io_submit_calls.bump();
        let tagged = entry.user_data(std::ptr::from_ref(operation) as u64);
        self.in_flight += 1;
        self.push(tagged, counters);
    }

    /// Asks the kernel to give an operation up. It completes either way.
    pub(crate) fn cancel(&mut self, operation: &Operation, counters: &Counters) {
        let entry = opcode::AsyncCancel::new(std::ptr::from_ref(operation) as u64)
            .build()
            .user_data(TAG_IGNORED);
        self.push(entry, counters);
    }

    pub(super) fn poll(&mut self, counters: &Counters, ready: &mut dyn FnMut(&'static Task)) {
        self.reap(counters, ready);
        self.push_backlog();
        let submission = self.ring.submission();
        let pending = !submission.is_empty() || submission.taskrun() || submission.cq_overflow();
        drop(submission);
        if pending {
            counters.io_submit_syscalls.bump();
            // A refusal (EBUSY, EAGAIN, EINTR) is retried at the next look.
            let _ = self.ring.submit();
            self.reap(counters, ready);
        }
    }

    pub(super) fn wait(
        &mut self,
        timeout_ns: Option<u64>,
        counters: &Counters,
        ready: &mut dyn FnMut(&'static Task),
    ) {
        self.watch_bell(counters);
        self.push_backlog();
        // What could not be handed over must not wait for what was.
        let timeout_ns = match self.backlog.is_empty() {
            true => timeout_ns,
            false => Some(0),
        };
        counters.io_submit_syscalls.bump();
        // ETIME, EINTR and EBUSY all mean: look at what is there.
        let _ = match timeout_ns {
            None => self.ring.submit_and_wait(1),
            Some(timeout) => {
                let time = Timespec::new()
                    .sec(timeout / 1_000_000_000)
                    .nsec((timeout % 1_000_000_000) as u32);
                let arguments = SubmitArgs::new().timespec(&time);
                self.ring.submitter().submit_with_args(1, &arguments)
            }
        };
        self.reap(counters, ready);
    }

    fn watch_bell(&mut self, counters: &Counters) {
        if self.bell_watched {
            return;
        }
        let entry = opcode::PollAdd::new(Fd(self.bell), libc::POLLIN as u32)
            .build()
            .user_data(TAG_BELL);
        self.push(entry, counters);
        self.bell_watched = true;
    }

    fn reap(&mut self, counters: &Counters, ready: &mut dyn FnMut(&'static Task)) {
        for completion in self.ring.completion() {
            match completion.user_data() {
                TAG_BELL => {
                    Bell::silence(self.bell);
                    self.bell_watched = false;
                }
                TAG_IGNORED | TAG_PROBE => {}
                address => {
                    self.in_flight -= 1;
                    counters.io_completions.bump();
                    // SAFETY: a tag of `submit`; the operation stays in place until this
                    // completion (E3).
                    let operation = unsafe { &*(address as *const Operation) };
                    if let Some(task) = operation.complete(completion.result()) {
                        ready(task);
                    }
                }
            }
        }
    }

    /// Takes back every operation, the watch on the bell included.
    pub(super) fn retire(&mut self, counters: &Counters, ready: &mut dyn FnMut(&'static Task)) {
        while self.in_flight > 0 || self.bell_watched {
            let everything = CancelBuilder::any().all();
            let entry = opcode::AsyncCancel2::new(everything)
                .build()
                .user_data(TAG_IGNORED);
            self.push(entry, counters);
            self.push_backlog();
            let _ = self.ring.submit_and_wait(1);
            self.reap(counters, ready);
        }
    }

    pub(super) fn set_bell(&mut self, bell: RawFd) {
        debug_assert!(!self.bell_watched, "the driver was retired");
        self.bell = bell;
    }

    /// Waits until the kernel has let go of the bell, then closes the ring. The bell is not
    /// silenced: another driver may watch it by now.
    pub(super) fn close(mut self) {
        debug_assert_eq!(self.in_flight, 0, "a run ends when no task is left");
        self.retire(&Counters::default(), &mut |_| ());
    }
}
