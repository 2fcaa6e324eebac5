//! Bounded channels between tasks, and waiting on several of them.
//!
//! Owns [`Sender`] and [`Receiver`] over the ABI's channel (`abi.md` 4.12, 5.6). Values of at most a
//! word travel without an allocation, larger ones are boxed once (`word`).
//!
//! ```text
//!   Sender* ──┐                       ┌── Receiver*
//!             ├──> Arc<Inner> ────────┤        the last sender's drop closes,
//!   Sender* ──┘    owns the handle    └──      the last receiver's drop closes and drains
//! ```
//!
//! Invariants: a value in the C channel belongs to the channel and is decoded exactly once, by a
//! receive or by a drain. Whoever is inside a call borrows a sender or a receiver, so nobody is inside
//! when `Inner` is dropped and the handle destroyed. When the last owner of all is a task of another
//! runtime, which may not drain it, the channel leaks with what it holds.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::error::{Error, Result, check};
use crate::host;
use crate::sys;
use crate::time;

pub(crate) mod arm;
pub mod oneshot;
mod select;
pub mod watch;
mod word;

pub use select::{RawSelectResult, Select, select_raw};

/// The channel itself. Its last owner drains and destroys it.
struct Inner<T> {
    raw: *mut sys::llam_channel_t,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    /// Owns values, and is invariant: what goes in as a `T` comes out as one.
    _values: PhantomData<UnsafeCell<T>>,
}

// SAFETY: the handle is a token that the engine checks on every call from any thread (`abi.md` R1);
// values go from thread to thread, which `T: Send` allows.
unsafe impl<T: Send> Send for Inner<T> {}
// SAFETY: as above; shared access only sends and receives whole values.
unsafe impl<T: Send> Sync for Inner<T> {}

/// Closes the channel and drops what is buffered.
///
/// # Safety
///
/// Every value in the channel was encoded as a `T`.
unsafe fn close_and_drain<T>(raw: *mut sys::llam_channel_t) -> std::ffi::c_int {
    // SAFETY: the engine checks the handle.
    let status = unsafe { sys::llam_channel_close(raw) };
    if status == 0 {
        // SAFETY: passed on.
        unsafe { drain::<T>(raw) };
    }
    status
}

/// Drops what is buffered.
///
/// # Safety
///
/// As [`close_and_drain`].
unsafe fn drain<T>(raw: *mut sys::llam_channel_t) {
    let mut word = std::ptr::null_mut();
    // SAFETY: the engine checks the handle; `word` is a local.
    while unsafe { sys::llam_channel_try_recv_result(raw, &raw mut word) } == 0 {
        // SAFETY: the channel gives each word away once, and it was encoded as a `T`.
        drop(unsafe { word::decode::<T>(word) });
    }
}

impl<T> Drop for Inner<T> {
    fn drop(&mut self) {
        // SAFETY: the channel holds values of type `T` only.
        unsafe { drain::<T>(self.raw) };
        // SAFETY: the engine checks the handle.
        if unsafe { sys::llam_channel_destroy(self.raw) } != 0 && host::is_foreign() {
            let channel = host::Carried::new(self.raw);
            host::run_later(move || {
                // SAFETY: the engine checks the handle. Values that are still buffered may borrow
                // what is gone by then: the channel is refused as busy and leaks with them.
                unsafe { sys::llam_channel_destroy(channel.handle()) };
            });
        }
    }
}

/// A channel of the caller's runtime (from a host thread: of the default one) that buffers up to
/// `capacity` values.
///
/// # Errors
///
/// `EINVAL` for capacity 0; `ENOMEM` when the buffer cannot be had.
///
/// ```
/// llam::run(|| {
///     let (tx, rx) = llam::channel::bounded(2)?;
///     tx.send(1)?;
///     tx.send(2)?;
///     drop(tx);
///     assert_eq!(rx.iter().collect::<Vec<_>>(), [1, 2]);
///     Ok(())
/// }).unwrap();
/// ```
///
/// What goes in comes out with the same type, lifetimes included:
///
/// ```compile_fail
/// use llam::channel::Sender;
/// fn shorten<'a>(tx: Sender<&'static str>, _: &'a str) -> Sender<&'a str> {
///     tx
/// }
/// ```
pub fn bounded<T: Send>(capacity: usize) -> Result<(Sender<T>, Receiver<T>)> {
    // SAFETY: takes a number; allowed on any thread.
    let raw = unsafe { sys::llam_channel_create(capacity) };
    if raw.is_null() {
        return Err(Error::last());
    }
    let inner = Arc::new(Inner {
        raw,
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
        _values: PhantomData,
    });
    let sender = Sender {
        inner: Arc::clone(&inner),
    };
    Ok((sender, Receiver { inner }))
}

/// A value that could not be sent, and why.
pub struct SendError<T> {
    /// The value, back with its sender.
    pub value: T,
    /// `EPIPE` closed, `EAGAIN` full (try), `ETIMEDOUT`, `ECANCELED`, `ENOTSUP` outside a task,
    /// `EXDEV` in a task of another runtime.
    pub error: Error,
}

impl<T> SendError<T> {
    /// The value.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sending failed: {}", self.error)
    }
}

impl<T> std::error::Error for SendError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<T> From<SendError<T>> for Error {
    fn from(error: SendError<T>) -> Self {
        error.error
    }
}

/// The sending side. Clones send into the same channel.
pub struct Sender<T> {
    inner: Arc<Inner<T>>,
}

impl<T: Send> Sender<T> {
    /// Sends, waiting for room.
    ///
    /// # Errors
    ///
    /// The value comes back with `EPIPE` when the channel is or gets closed or has no receiver left,
    /// `ECANCELED`, `ETIMEDOUT` (a [`timeout`](fn@crate::time::timeout) around it), `ENOTSUP` outside
    /// a task, `EXDEV` in a task of another runtime.
    #[inline(always)]
    pub fn send(&self, value: T) -> std::result::Result<(), SendError<T>> {
        self.send_until(value, u64::MAX)
    }

    /// [`send`](Self::send) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn send_timeout(
        &self,
        value: T,
        duration: Duration,
    ) -> std::result::Result<(), SendError<T>> {
        self.send_until(value, time::deadline_after(duration))
    }

    #[inline(always)]
    fn send_until(&self, value: T, deadline_ns: u64) -> std::result::Result<(), SendError<T>> {
        let until = time::effective_deadline(deadline_ns);
        Self::pass(value, |word| {
            // SAFETY: the engine checks the handle; the word stays ours when the call fails.
            unsafe { sys::llam_channel_send_until(self.inner.raw, word, until) }
        })
    }

    /// Sends if there is room now. Works on host threads too.
    ///
    /// # Errors
    ///
    /// The value comes back with `EAGAIN` when full, else as [`send`](Self::send); on a host thread
    /// `ENOTSUP` when the default runtime is not live, and always on an SDK 1.x.
    pub fn try_send(&self, value: T) -> std::result::Result<(), SendError<T>> {
        Self::pass(value, |word| {
            // SAFETY: the engine checks the handle; the word stays ours when the call fails.
            unsafe { sys::llam_channel_try_send(self.inner.raw, word) }
        })
    }

    #[inline(always)]
    fn pass(
        value: T,
        call: impl FnOnce(*mut c_void) -> std::ffi::c_int,
    ) -> std::result::Result<(), SendError<T>> {
        let word = word::encode(value);
        if call(word) == 0 {
            return Ok(());
        }
        let error = Error::last();
        // SAFETY: a failed send leaves the word with the caller (`abi.md` 4.12).
        let value = unsafe { word::decode(word) };
        Err(SendError { value, error })
    }

    /// Closes the channel: sends fail with `EPIPE` from now on, buffered values can still be
    /// received. Idempotent.
    ///
    /// # Errors
    ///
    /// `EXDEV` in a task of another runtime.
    pub fn close(&self) -> Result<()> {
        // SAFETY: the engine checks the handle.
        check(unsafe { sys::llam_channel_close(self.inner.raw) })
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.inner.senders.fetch_add(1, Ordering::Relaxed);
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.inner.senders.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // SAFETY: the engine checks the handle.
        if unsafe { sys::llam_channel_close(self.inner.raw) } != 0 && host::is_foreign() {
            let channel = host::Carried::new(self.inner.raw);
            host::run_later(move || {
                // SAFETY: the engine checks the handle, which may be dead by then.
                unsafe { sys::llam_channel_close(channel.handle()) };
            });
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// The receiving side. Clones share the values: each goes to one of them.
pub struct Receiver<T> {
    inner: Arc<Inner<T>>,
}

impl<T: Send> Receiver<T> {
    /// Receives, waiting for a value.
    ///
    /// # Errors
    ///
    /// `EPIPE` closed and drained; `ECANCELED`; `ETIMEDOUT` (a
    /// [`timeout`](fn@crate::time::timeout) around it); `ENOTSUP` outside a task; `EXDEV` in a task of
    /// another runtime. Nothing is taken then.
    #[inline(always)]
    pub fn recv(&self) -> Result<T> {
        self.recv_until(u64::MAX)
    }

    /// [`recv`](Self::recv) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn recv_timeout(&self, duration: Duration) -> Result<T> {
        self.recv_until(time::deadline_after(duration))
    }

    #[inline(always)]
    fn recv_until(&self, deadline_ns: u64) -> Result<T> {
        let until = time::effective_deadline(deadline_ns);
        let mut word = std::ptr::null_mut();
        // SAFETY: the engine checks the handle; `word` is a local.
        check(unsafe {
            sys::llam_channel_recv_until_result(self.inner.raw, until, &raw mut word)
        })?;
        // SAFETY: the channel gives each word away once, and only `T`s are sent.
        Ok(unsafe { word::decode(word) })
    }

    /// Receives a value that is there. Works on host threads too.
    ///
    /// # Errors
    ///
    /// `EAGAIN` empty; `EPIPE` closed and drained; `EXDEV`; on a host thread `ENOTSUP` when the
    /// default runtime is not live and nothing is buffered, and always on an SDK 1.x.
    pub fn try_recv(&self) -> Result<T> {
        let mut word = std::ptr::null_mut();
        // SAFETY: the engine checks the handle; `word` is a local.
        check(unsafe { sys::llam_channel_try_recv_result(self.inner.raw, &raw mut word) })?;
        // SAFETY: as in `recv_until`.
        Ok(unsafe { word::decode(word) })
    }

    /// [`recv`](Self::recv) with `Ok(None)` for closed and drained.
    ///
    /// # Errors
    ///
    /// As there, but for `EPIPE`.
    #[inline(always)]
    pub fn recv_option(&self) -> Result<Option<T>> {
        open(self.recv())
    }

    /// [`recv_timeout`](Self::recv_timeout) with `Ok(None)` for closed and drained.
    ///
    /// # Errors
    ///
    /// As there, but for `EPIPE`.
    pub fn recv_timeout_option(&self, duration: Duration) -> Result<Option<T>> {
        open(self.recv_timeout(duration))
    }

    /// [`try_recv`](Self::try_recv) with `Ok(None)` for closed and drained.
    ///
    /// # Errors
    ///
    /// As there, but for `EPIPE`.
    pub fn try_recv_option(&self) -> Result<Option<T>> {
        open(self.try_recv())
    }

    /// The values to come, until the channel is closed and drained or a receive fails.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }
}

fn open<T>(received: Result<T>) -> Result<Option<T>> {
    match received {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_closed() => Ok(None),
        Err(error) => Err(error),
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.inner.receivers.fetch_add(1, Ordering::Relaxed);
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.inner.receivers.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // SAFETY: the channel holds values of type `T` only.
        if unsafe { close_and_drain::<T>(self.inner.raw) } != 0 && host::is_foreign() {
            let channel = host::Carried::new(self.inner.raw);
            host::run_later(move || {
                // SAFETY: the engine checks the handle, which may be dead by then. What is buffered
                // waits for the last sender's drop.
                unsafe { sys::llam_channel_close(channel.handle()) };
            });
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// The values of a [`Receiver`], see [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T: Send> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<'a, T: Send> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
