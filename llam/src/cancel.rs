//! Cancellation: tokens, and scopes that own one.
//!
//! Owns [`CancelToken`], [`CancelScope`], and the list of tokens and groups that could not be
//! destroyed yet. The ABI refuses to destroy a token while a task refers to it (`EBUSY`), and a group
//! while it has children, so the last owner puts it on a list that later calls work off. Invariant:
//! the list holds only handles that nobody else can reach. Contract: `abi.md` 4.9, 5.3, R6.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result, check};
use crate::host;
use crate::sys;
use crate::task::{self, JoinHandle, SpawnOptions};

/// How many entries of the list a call looks at, so that its cost is bounded.
const BURIALS_PER_CALL: usize = 4;

/// A handle whose last owner is gone.
pub(crate) enum Remains {
    Token(*mut sys::llam_cancel_token_t),
    /// And the era of its last spawn (`sys::ext::task_era`).
    Group(*mut sys::llam_task_group_t, u32),
}

// SAFETY: handles are tokens that the engine checks (`abi.md` R1) and any thread may use.
unsafe impl Send for Remains {}

impl Remains {
    /// Tries to destroy it; gives it back when that has to wait.
    fn destroy(self) -> Option<Self> {
        let _held = sys::ext::hold_tasks();
        let status = match self {
            // SAFETY: the engine checks the handle.
            Self::Token(raw) => unsafe { sys::llam_cancel_token_destroy(raw) },
            // Its children were freed with their runtime: it cannot be destroyed any more.
            Self::Group(_, era) if era != sys::ext::task_era() => return None,
            // SAFETY: the engine checks the handle. The join takes what has ended and never parks.
            Self::Group(raw, _) => unsafe {
                sys::llam_task_group_join_until(raw, 0);
                sys::llam_task_group_destroy(raw)
            },
        };
        let must_wait = status != 0
            && matches!(
                Error::last().errno(),
                libc::EBUSY | libc::EXDEV | libc::EAGAIN
            );
        must_wait.then_some(self)
    }
}

static WAITING: Mutex<VecDeque<Remains>> = Mutex::new(VecDeque::new());

/// Destroys the handle now, or later when the ABI refuses for the time being. Also works off a few
/// entries of those that wait.
pub(crate) fn bury(remains: Remains) {
    let left = remains.destroy();
    // No ABI call is made with the lock held: a task that was switched out with it would block the
    // OS thread of the next one.
    let mut older: [Option<Remains>; BURIALS_PER_CALL] = Default::default();
    {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in &mut older {
            *slot = waiting.pop_front();
        }
        waiting.extend(left);
    }
    for remains in older.into_iter().flatten() {
        if let Some(left) = remains.destroy() {
            let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push_back(left);
        }
    }
}

struct Token {
    raw: *mut sys::llam_cancel_token_t,
}

// SAFETY: the handle is a token that the engine checks on every call from any thread (`abi.md` R1).
unsafe impl Send for Token {}
// SAFETY: as above.
unsafe impl Sync for Token {}

impl Drop for Token {
    fn drop(&mut self) {
        bury(Remains::Token(self.raw));
    }
}

/// A switch that cancels the tasks spawned with it, for good. Clones are the same switch.
///
/// A cancelled task is not killed: its calls that would wait fail with `ECANCELED`, those that
/// complete at once go on working.
///
/// ```
/// use llam::{CancelToken, SpawnOptions};
/// use std::time::Duration;
/// llam::run(|| {
///     let token = CancelToken::new()?;
///     let options = SpawnOptions::new().cancel(token.clone());
///     let sleeper = llam::task::spawn_with(options, || llam::time::sleep(Duration::from_secs(60)));
///     token.cancel()?;
///     assert!(sleeper.join()?.unwrap_err().is_cancelled());
///     Ok(())
/// }).unwrap();
/// ```
#[derive(Clone)]
pub struct CancelToken {
    token: Arc<Token>,
}

impl CancelToken {
    /// A new token of the caller's runtime; from a host thread, of the default one. It can only be
    /// given to tasks of that runtime.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        // SAFETY: takes nothing; allowed on any thread.
        let raw = unsafe { sys::llam_cancel_token_create() };
        if raw.is_null() {
            return Err(Error::last());
        }
        Ok(Self {
            token: Arc::new(Token { raw }),
        })
    }

    /// Cancels. Idempotent; any thread.
    ///
    /// # Errors
    ///
    /// `EXDEV` from a task of another runtime, and when an explicit runtime is gone.
    pub fn cancel(&self) -> Result<()> {
        // SAFETY: the engine checks the handle.
        check(unsafe { sys::llam_cancel_token_cancel(self.token.raw) })
    }

    /// Whether it was cancelled. False where the engine refuses to say (`EXDEV`, as for
    /// [`cancel`](Self::cancel)).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        // SAFETY: the engine checks the handle.
        unsafe { sys::llam_cancel_token_is_cancelled(self.token.raw) == 1 }
    }

    pub(crate) fn raw(&self) -> *mut sys::llam_cancel_token_t {
        self.token.raw
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

/// Spawns tasks that share a token, and cancels them when it is dropped.
///
/// It does not wait for them; use a [`nursery`](crate::nursery) for that.
#[derive(Debug)]
pub struct CancelScope {
    token: CancelToken,
    cancel_on_drop: bool,
}

impl CancelScope {
    /// A scope that cancels its tasks when dropped.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new() -> Result<Self> {
        Ok(Self {
            token: CancelToken::new()?,
            cancel_on_drop: true,
        })
    }

    /// A scope that leaves its tasks alone when dropped.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn detached() -> Result<Self> {
        Ok(Self::new()?.with_cancel_on_drop(false))
    }

    /// Says whether dropping cancels.
    #[must_use]
    pub fn with_cancel_on_drop(mut self, cancel_on_drop: bool) -> Self {
        self.cancel_on_drop = cancel_on_drop;
        self
    }

    /// The token, another handle on it.
    #[must_use]
    pub fn token(&self) -> CancelToken {
        self.token.clone()
    }

    /// Cancels the tasks.
    ///
    /// # Errors
    ///
    /// As [`CancelToken::cancel`].
    pub fn cancel(&self) -> Result<()> {
        self.token.cancel()
    }

    /// Whether the scope was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Spawns a task with the scope's token.
    ///
    /// # Panics
    ///
    /// When the task cannot be made.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn_with(SpawnOptions::new(), f)
    }

    /// [`spawn`](Self::spawn) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`task::try_spawn`].
    #[track_caller]
    pub fn try_spawn<F, T>(&self, f: F) -> Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.try_spawn_with(SpawnOptions::new(), f)
    }

    /// Spawns a task with options; the scope's token replaces the one in them.
    ///
    /// # Panics
    ///
    /// When the task cannot be made.
    #[track_caller]
    pub fn spawn_with<F, T>(&self, options: SpawnOptions, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        task::spawn_with(options.cancel(self.token()), f)
    }

    /// [`spawn_with`](Self::spawn_with) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`task::try_spawn_with`].
    #[track_caller]
    pub fn try_spawn_with<F, T>(&self, options: SpawnOptions, f: F) -> Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        task::try_spawn_with(options.cancel(self.token()), f)
    }
}

impl Drop for CancelScope {
    fn drop(&mut self) {
        if !self.cancel_on_drop {
            return;
        }
        // SAFETY: the engine checks the handle.
        let status = unsafe { sys::llam_cancel_token_cancel(self.token.raw()) };
        if status != 0 && host::is_foreign() {
            let token = self.token();
            host::run_later(move || drop(token.cancel()));
        }
    }
}
