//! A channel for one value.
//!
//! Owns [`Sender`] and [`Receiver`], over `sync::park`: one allocation for both, no runtime object.
//! Works between tasks of any runtime and host threads.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sync::park::{Parker, WaitList, lock, wake_all};
use crate::time;

struct State<T> {
    value: Option<T>,
    has_sender: bool,
    has_receiver: bool,
    /// At most the receiver.
    waiters: WaitList<()>,
}

type Shared<T> = Arc<Mutex<State<T>>>;

/// A channel for one value.
///
/// ```
/// llam::run(|| {
///     let (tx, rx) = llam::channel::oneshot::channel();
///     llam::spawn(move || tx.send("done"));
///     assert_eq!(rx.recv()?, "done");
///     Ok(())
/// }).unwrap();
/// ```
#[must_use]
pub fn channel<T: Send>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Mutex::new(State {
        value: None,
        has_sender: true,
        has_receiver: true,
        waiters: WaitList::new(),
    }));
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Receiver { shared })
}

/// The sending side; dropping it without sending closes the channel.
pub struct Sender<T> {
    shared: Shared<T>,
}

impl<T> Sender<T> {
    /// Sends. Never waits.
    ///
    /// # Errors
    ///
    /// The value comes back when the receiver is gone.
    pub fn send(self, value: T) -> std::result::Result<(), T> {
        let mut state = lock(&self.shared);
        if !state.has_receiver {
            return Err(value);
        }
        // The drop of `self` wakes the receiver.
        state.value = Some(value);
        Ok(())
    }

    /// Whether the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !lock(&self.shared).has_receiver
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.has_sender = false;
        let woken = state.waiters.grant_all();
        drop(state);
        wake_all(woken);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// The receiving side.
pub struct Receiver<T> {
    shared: Shared<T>,
}

impl<T> Receiver<T> {
    /// Waits for the value.
    ///
    /// # Errors
    ///
    /// `EPIPE` the sender is gone without sending; `ECANCELED`; `ETIMEDOUT` (a
    /// [`timeout`](fn@crate::time::timeout) around it).
    pub fn recv(mut self) -> Result<T> {
        self.recv_until(u64::MAX)
    }

    /// [`recv`](Self::recv) with a limit; can be called again after a failure.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn recv_timeout(&mut self, duration: Duration) -> Result<T> {
        self.recv_until(time::deadline_after(duration))
    }

    /// Takes the value if it is there.
    ///
    /// # Errors
    ///
    /// `EAGAIN` not sent yet; `EPIPE` the sender is gone, or the value was taken.
    pub fn try_recv(&mut self) -> Result<T> {
        let mut state = lock(&self.shared);
        match state.value.take() {
            Some(value) => Ok(value),
            None if state.has_sender => Err(Error::from_errno(libc::EAGAIN)),
            None => Err(Error::from_errno(libc::EPIPE)),
        }
    }

    fn recv_until(&mut self, deadline_ns: u64) -> Result<T> {
        match self.try_recv() {
            Err(error) if error.is_would_block() => {}
            done => return done,
        }
        let parker = Parker::current()?;
        let must_wait = {
            let mut state = lock(&self.shared);
            let must_wait = state.has_sender;
            if must_wait {
                state.waiters.push(&parker, ());
            }
            must_wait
        };
        if must_wait {
            parker.wait(deadline_ns, || lock(&self.shared).waiters.remove(&parker))?;
        }
        self.try_recv()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.shared);
        state.has_receiver = false;
        let value = state.value.take();
        drop(state);
        // Outside the lock: its destructor may do anything.
        drop(value);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
