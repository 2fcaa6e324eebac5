//! Waiting until a number of things are done.
//!
//! Owns [`WaitGroup`], over `park`.

use std::fmt;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use super::park::{Parker, WaitList, lock, wake_all};
use crate::error::Result;
use crate::time;

struct State {
    count: usize,
    waiters: WaitList<()>,
}

/// A count of open jobs and a wait for zero.
///
/// Works between tasks of any runtime and host threads. Can be used again once it is at zero.
///
/// ```
/// use std::sync::Arc;
/// llam::run(|| {
///     let open = Arc::new(llam::sync::WaitGroup::new());
///     for _ in 0..3 {
///         open.add(1);
///         let open = Arc::clone(&open);
///         llam::spawn(move || open.done());
///     }
///     open.wait()
/// }).unwrap();
/// ```
pub struct WaitGroup {
    state: StdMutex<State>,
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl WaitGroup {
    /// A count of zero.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: StdMutex::new(State {
                count: 0,
                waiters: WaitList::new(),
            }),
        }
    }

    /// Adds open jobs. Call it before the job is started, not inside it.
    ///
    /// # Panics
    ///
    /// When the count overflows.
    pub fn add(&self, count: usize) {
        let mut state = lock(&self.state);
        let sum = state.count.checked_add(count);
        if let Some(sum) = sum {
            state.count = sum;
        }
        drop(state);
        assert!(sum.is_some(), "the count of a wait group overflowed");
    }

    /// Marks one job as done.
    ///
    /// # Panics
    ///
    /// When no job is open.
    pub fn done(&self) {
        let mut state = lock(&self.state);
        let left = state.count.checked_sub(1);
        let woken = match left {
            Some(left) => {
                state.count = left;
                if left == 0 {
                    state.waiters.grant_all()
                } else {
                    Vec::new()
                }
            }
            None => Vec::new(),
        };
        drop(state);
        assert!(
            left.is_some(),
            "a wait group was done more often than added"
        );
        wake_all(woken);
    }

    /// The number of open jobs.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.state).count
    }

    /// Waits for zero.
    ///
    /// # Errors
    ///
    /// `ECANCELED`; `ETIMEDOUT` (a [`timeout`](fn@crate::time::timeout) around it).
    pub fn wait(&self) -> Result<()> {
        self.wait_until(u64::MAX)
    }

    /// [`wait`](Self::wait) with a limit.
    ///
    /// # Errors
    ///
    /// As there, and `ETIMEDOUT`.
    pub fn wait_timeout(&self, duration: Duration) -> Result<()> {
        self.wait_until(time::deadline_after(duration))
    }

    fn wait_until(&self, deadline_ns: u64) -> Result<()> {
        if self.count() == 0 {
            return Ok(());
        }
        let parker = Parker::current()?;
        {
            let mut state = lock(&self.state);
            if state.count == 0 {
                return Ok(());
            }
            state.waiters.push(&parker, ());
        }
        parker.wait(deadline_ns, || lock(&self.state).waiters.remove(&parker))
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup")
            .field("count", &self.count())
            .finish()
    }
}
