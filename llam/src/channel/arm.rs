//! Arms of a select, without allocation.
//!
//! Owns the arm types that `select!` keeps as locals and [`Select`](super::Select) keeps boxed, and
//! the one call of `llam_channel_select`. Public only for the macros. Invariants: an [`Op`] borrows
//! its arm, so the arm stays where it is while the engine may write to it; a word is owned by exactly
//! one side, as the arm's [`State`] says. Contract: `abi.md` 4.13 and 5.7.
//!
//! ```text
//!   recv arm   Waiting ──selected──> Settled(errno)    errno 0: the arm owns the word received
//!   send arm   Waiting ──selected──> Settled(0)        before: the arm owns the word to send
//! ```

use std::ffi::c_void;
use std::ptr;
use std::time::Duration;

use super::{Receiver, Sender, word};
use crate::error::{Error, Result};
use crate::sys;
use crate::time;

/// How far an arm is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Settled(i32),
}

/// One arm as the engine sees it; it borrows the arm.
#[allow(missing_debug_implementations)]
pub struct Op<'a> {
    raw: sys::llam_select_op_t,
    state: &'a mut State,
}

/// How long a select waits.
#[derive(Clone, Copy, Debug)]
pub enum Wait {
    /// Until an arm can be done.
    Forever,
    /// At most this long.
    After(Duration),
    /// Not at all.
    Not,
}

/// How a select ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selected {
    /// This arm was done.
    Arm(usize),
    /// None could be done in time.
    Waited,
}

/// Performs one of the operations. Generic over their number, so that they stay on the stack.
///
/// # Errors
///
/// Those of `llam_channel_select`, and `EPIPE` when the arm is a send into a closed channel.
pub fn select<const N: usize>(ops: [Op<'_>; N], wait: Wait) -> Result<Selected> {
    let mut raw = ops.each_ref().map(|op| op.raw);
    let mut states = ops.map(|op| op.state);
    select_slices(&mut raw, &mut states, wait)
}

/// [`select`] for a number of arms known at run time.
pub(super) fn select_boxed(ops: Vec<Op<'_>>, wait: Wait) -> Result<Selected> {
    let mut raw: Vec<_> = ops.iter().map(|op| op.raw).collect();
    let mut states: Vec<_> = ops.into_iter().map(|op| op.state).collect();
    select_slices(&mut raw, &mut states, wait)
}

fn select_slices(
    ops: &mut [sys::llam_select_op_t],
    states: &mut [&mut State],
    wait: Wait,
) -> Result<Selected> {
    let deadline_ns = match wait {
        Wait::Forever => u64::MAX,
        Wait::After(duration) => time::deadline_after(duration),
        Wait::Not => 0,
    };
    if ops.is_empty() {
        return wait_only(wait, deadline_ns);
    }
    let mut index = 0;
    // SAFETY: the slice is valid for its length. Each `recv_out` points into an arm that `states`
    // keeps borrowed until this function returns.
    let status = unsafe {
        sys::llam_channel_select(
            ops.as_mut_ptr(),
            ops.len(),
            time::effective_deadline(deadline_ns),
            &raw mut index,
        )
    };
    if status != 0 {
        let error = Error::last();
        if error.is_timed_out() && time::has_passed(deadline_ns) {
            return Ok(Selected::Waited);
        }
        return Err(error);
    }
    let done = &ops[index];
    if done.kind == sys::LLAM_SELECT_OP_SEND && done.result_errno != 0 {
        return Err(Error::from_errno(done.result_errno));
    }
    *states[index] = State::Settled(done.result_errno);
    Ok(Selected::Arm(index))
}

/// A select without channels: only the clock can end it.
fn wait_only(wait: Wait, deadline_ns: u64) -> Result<Selected> {
    match wait {
        Wait::Forever => Err(Error::from_errno(libc::EINVAL)),
        Wait::After(_) => time::sleep_until(deadline_ns).map(|()| Selected::Waited),
        Wait::Not => Ok(Selected::Waited),
    }
}

/// A receive that may happen.
#[allow(missing_debug_implementations)]
pub struct RecvArm<'a, T> {
    receiver: &'a Receiver<T>,
    word: *mut c_void,
    state: State,
}

/// Makes the arm `recv(receiver)`.
pub fn recv_arm<T: Send>(receiver: &Receiver<T>) -> RecvArm<'_, T> {
    RecvArm {
        receiver,
        word: ptr::null_mut(),
        state: State::Waiting,
    }
}

impl<T> RecvArm<'_, T> {
    /// The operation, for one [`select`].
    ///
    /// # Panics
    ///
    /// When a select was done with this arm before.
    pub fn op(&mut self) -> Op<'_> {
        assert!(self.state == State::Waiting, "an arm is used once");
        Op {
            raw: sys::llam_select_op_t {
                kind: sys::LLAM_SELECT_OP_RECV,
                reserved0: 0,
                channel: self.receiver.inner.raw,
                send_value: ptr::null_mut(),
                recv_out: &raw mut self.word,
                result_errno: 0,
            },
            state: &mut self.state,
        }
    }

    /// What was received; `EINVAL` when this arm was not selected.
    ///
    /// # Errors
    ///
    /// `EPIPE` when the channel is closed and drained.
    pub fn take(mut self) -> Result<T> {
        match std::mem::replace(&mut self.state, State::Waiting) {
            // SAFETY: the select gave this word to this arm; the state says so once.
            State::Settled(0) => Ok(unsafe { word::decode(self.word) }),
            State::Settled(errno) => Err(Error::from_errno(errno)),
            State::Waiting => Err(Error::from_errno(libc::EINVAL)),
        }
    }

    pub(super) fn channel(&self) -> *mut sys::llam_channel_t {
        self.receiver.inner.raw
    }
}

impl<T> Drop for RecvArm<'_, T> {
    fn drop(&mut self) {
        if self.state == State::Settled(0) {
            // SAFETY: received and not taken, so the word is still this arm's.
            drop(unsafe { word::decode::<T>(self.word) });
        }
    }
}

/// A send that may happen.
#[allow(missing_debug_implementations)]
pub struct SendArm<'a, T> {
    sender: &'a Sender<T>,
    word: *mut c_void,
    state: State,
}

/// Makes the arm `send(sender, value)`.
pub fn send_arm<T: Send>(sender: &Sender<T>, value: T) -> SendArm<'_, T> {
    SendArm {
        sender,
        word: word::encode(value),
        state: State::Waiting,
    }
}

impl<T> SendArm<'_, T> {
    /// The operation, for one [`select`].
    ///
    /// # Panics
    ///
    /// When the value was sent before.
    pub fn op(&mut self) -> Op<'_> {
        assert!(self.state == State::Waiting, "an arm is used once");
        Op {
            raw: sys::llam_select_op_t {
                kind: sys::LLAM_SELECT_OP_SEND,
                reserved0: 0,
                channel: self.sender.inner.raw,
                send_value: self.word,
                recv_out: ptr::null_mut(),
                result_errno: 0,
            },
            state: &mut self.state,
        }
    }
}

impl<T> Drop for SendArm<'_, T> {
    fn drop(&mut self) {
        if self.state == State::Waiting {
            // SAFETY: not sent, so the word made in `send_arm` is still this arm's.
            drop(unsafe { word::decode::<T>(self.word) });
        }
    }
}
