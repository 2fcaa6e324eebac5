//! `select!` as a value: arms added one by one.
//!
//! Owns [`Select`], for arms that are not known when the program is written, and the raw call. The
//! macro `select!` does the same without allocating. Contract: `abi.md` 4.13 and 5.7.

use std::fmt;
use std::time::Duration;

use super::arm::{self, Op, RecvArm, Selected, SendArm, Wait};
use super::{Receiver, Sender};
use crate::error::{Error, Result, check};
use crate::sys;
use crate::time;

type Handler<'a, R> = Box<dyn FnOnce() -> R + 'a>;

/// One boxed arm: boxed, so that it stays in place while the list grows.
trait Arm<'a, R> {
    fn op(&mut self) -> Op<'_>;
    /// The channel of a receive, to find it for a `closed` handler.
    fn received_from(&self) -> Option<*mut sys::llam_channel_t>;
    fn finish(self: Box<Self>, on_closed: Option<Handler<'a, R>>) -> R;
}

struct Recv<'a, T, F> {
    arm: RecvArm<'a, T>,
    handler: F,
}

impl<'a, T, R, F> Arm<'a, R> for Recv<'a, T, F>
where
    F: FnOnce(Result<T>) -> R,
{
    fn op(&mut self) -> Op<'_> {
        self.arm.op()
    }

    fn received_from(&self) -> Option<*mut sys::llam_channel_t> {
        Some(self.arm.channel())
    }

    fn finish(self: Box<Self>, on_closed: Option<Handler<'a, R>>) -> R {
        let Self { arm, handler } = *self;
        match (arm.take(), on_closed) {
            (Err(error), Some(on_closed)) if error.is_closed() => on_closed(),
            (received, _) => handler(received),
        }
    }
}

struct Give<'a, T, F> {
    arm: SendArm<'a, T>,
    handler: F,
}

impl<'a, T, R, F> Arm<'a, R> for Give<'a, T, F>
where
    F: FnOnce() -> R,
{
    fn op(&mut self) -> Op<'_> {
        self.arm.op()
    }

    fn received_from(&self) -> Option<*mut sys::llam_channel_t> {
        None
    }

    fn finish(self: Box<Self>, _on_closed: Option<Handler<'a, R>>) -> R {
        let Self { arm, handler } = *self;
        drop(arm);
        handler()
    }
}

/// A select whose arms are added at run time.
///
/// The arm that can be done first is done, and its handler's value is the select's value; when
/// several can, the one added first. At most 4096 arms.
///
/// ```
/// use llam::channel::{Select, bounded};
/// llam::run(|| {
///     let (tx, rx) = bounded(1)?;
///     tx.send(5)?;
///     let doubled = Select::new().recv(&rx, |n| n.unwrap() * 2).default(|| 0).run();
///     assert_eq!(doubled, 10);
///     Ok(())
/// }).unwrap();
/// ```
#[must_use]
pub struct Select<'a, R> {
    arms: Vec<Box<dyn Arm<'a, R> + 'a>>,
    closed: Vec<(*mut sys::llam_channel_t, Handler<'a, R>)>,
    wait: Wait,
    on_wait: Option<Handler<'a, R>>,
    /// `after` and `default` were both given, or one of them twice.
    is_contradictory: bool,
}

#[allow(
    clippy::new_without_default,
    reason = "`default` is the name of an arm"
)]
impl<'a, R> Select<'a, R> {
    /// A select without arms.
    pub fn new() -> Self {
        Self {
            arms: Vec::new(),
            closed: Vec::new(),
            wait: Wait::Forever,
            on_wait: None,
            is_contradictory: false,
        }
    }

    /// Receive from `receiver`. The handler gets the value, or `EPIPE` when the channel is closed and
    /// drained.
    pub fn recv<T, F>(mut self, receiver: &'a Receiver<T>, handler: F) -> Self
    where
        T: Send + 'a,
        F: FnOnce(Result<T>) -> R + 'a,
    {
        let arm = arm::recv_arm(receiver);
        self.arms.push(Box::new(Recv { arm, handler }));
        self
    }

    /// Send `value` into `sender`. The value is dropped when another arm is done.
    pub fn send<T, F>(mut self, sender: &'a Sender<T>, value: T, handler: F) -> Self
    where
        T: Send + 'a,
        F: FnOnce() -> R + 'a,
    {
        let arm = arm::send_arm(sender, value);
        self.arms.push(Box::new(Give { arm, handler }));
        self
    }

    /// What to do when the receive from `receiver` finds the channel closed and drained. Needs a
    /// [`recv`](Self::recv) from the same channel.
    pub fn closed<T, F>(mut self, receiver: &'a Receiver<T>, handler: F) -> Self
    where
        T: Send,
        F: FnOnce() -> R + 'a,
    {
        self.closed.push((receiver.inner.raw, Box::new(handler)));
        self
    }

    /// What to do when no arm could be done for this long.
    pub fn after<F>(self, duration: Duration, handler: F) -> Self
    where
        F: FnOnce() -> R + 'a,
    {
        self.waiting(Wait::After(duration), Box::new(handler))
    }

    /// What to do when no arm can be done at once.
    pub fn default<F>(self, handler: F) -> Self
    where
        F: FnOnce() -> R + 'a,
    {
        self.waiting(Wait::Not, Box::new(handler))
    }

    fn waiting(mut self, wait: Wait, handler: Handler<'a, R>) -> Self {
        self.is_contradictory |= self.on_wait.is_some();
        self.wait = wait;
        self.on_wait = Some(handler);
        self
    }

    /// Waits for an arm and returns its handler's value.
    ///
    /// # Panics
    ///
    /// Where [`try_run`](Self::try_run) fails.
    pub fn run(self) -> R {
        match self.try_run() {
            Ok(value) => value,
            Err(error) => panic!("select failed: {error}"),
        }
    }

    /// [`run`](Self::run) that returns the error. No arm was done then.
    ///
    /// # Errors
    ///
    /// `EPIPE` a send into a closed channel; `ECANCELED`; `ETIMEDOUT` (a
    /// [`timeout`](fn@crate::time::timeout) around it); `ENOTSUP` outside a task; `EXDEV` a channel of
    /// another runtime; `EINVAL` no arms, more than 4096, `after` together with `default`, or
    /// `closed` without its `recv`.
    pub fn try_run(mut self) -> Result<R> {
        let has_partner = |channel: &*mut sys::llam_channel_t| {
            self.arms
                .iter()
                .any(|arm| arm.received_from() == Some(*channel))
        };
        let is_lonely = self.closed.iter().any(|(channel, _)| !has_partner(channel));
        if self.is_contradictory || is_lonely {
            return Err(Error::from_errno(libc::EINVAL));
        }
        let ops = self.arms.iter_mut().map(|arm| arm.op()).collect();
        match arm::select_boxed(ops, self.wait)? {
            Selected::Waited => match self.on_wait {
                Some(handler) => {
                    drop(self.arms);
                    Ok(handler())
                }
                None => Err(Error::from_errno(libc::ETIMEDOUT)),
            },
            Selected::Arm(index) => {
                let arm = self.arms.swap_remove(index);
                drop(self.arms);
                let channel = arm.received_from();
                let on_closed = self
                    .closed
                    .into_iter()
                    .find_map(|(of, handler)| (Some(of) == channel).then_some(handler));
                Ok(arm.finish(on_closed))
            }
        }
    }
}

impl<R> fmt::Debug for Select<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select")
            .field("arms", &self.arms.len())
            .field("wait", &self.wait)
            .finish()
    }
}

/// How a raw select ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawSelectResult {
    /// The index of the operation that was done.
    pub selected: usize,
    /// 0, or `EPIPE` when its channel is closed.
    pub result_errno: i32,
}

/// `llam_channel_select` itself.
///
/// # Errors
///
/// Those of `abi.md` 4.13.
///
/// # Safety
///
/// Each operation's `recv_out` is valid to write for a receive. Payloads mean what the channels'
/// users think they mean: a word received from a channel of this crate is owned by the caller, who
/// cannot decode it.
pub unsafe fn select_raw(
    ops: &mut [sys::llam_select_op_t],
    deadline_ns: u64,
) -> Result<RawSelectResult> {
    let mut selected = 0;
    // SAFETY: the slice is valid for its length; the rest is the caller's promise.
    check(unsafe {
        sys::llam_channel_select(
            ops.as_mut_ptr(),
            ops.len(),
            time::effective_deadline(deadline_ns),
            &raw mut selected,
        )
    })?;
    Ok(RawSelectResult {
        selected,
        result_errno: ops[selected].result_errno,
    })
}
