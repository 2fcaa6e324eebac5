//! Scoped tasks that are cancelled together.
//!
//! Owns [`Nursery`]: a scope plus a token that its children get.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use super::scope::{Scope, ScopedJoinHandle};
use crate::cancel::CancelToken;
use crate::error::Result;
use crate::task::{JoinError, SpawnOptions};

/// Where a nursery's children are spawned. See [`nursery`].
pub struct Nursery<'scope, 'env: 'scope> {
    scope: Scope<'scope, 'env>,
    token: CancelToken,
    cancels_on_error: AtomicBool,
}

impl<'scope, 'env> Nursery<'scope, 'env> {
    /// Spawns a child with the nursery's token. It may borrow what outlives the nursery.
    ///
    /// # Panics
    ///
    /// When the task cannot be made.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.spawn_with(SpawnOptions::new(), f)
    }

    /// [`spawn`](Self::spawn) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`task::try_spawn`](crate::task::try_spawn).
    #[track_caller]
    pub fn try_spawn<F, T>(&'scope self, f: F) -> Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.try_spawn_with(SpawnOptions::new(), f)
    }

    /// [`spawn`](Self::spawn) with options. A token in them replaces the nursery's.
    ///
    /// # Panics
    ///
    /// When the task cannot be made.
    #[track_caller]
    pub fn spawn_with<F, T>(
        &'scope self,
        options: SpawnOptions,
        f: F,
    ) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.scope.spawn_with(self.with_token(options), f)
    }

    /// [`spawn_with`](Self::spawn_with) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`task::try_spawn_with`](crate::task::try_spawn_with).
    #[track_caller]
    pub fn try_spawn_with<F, T>(
        &'scope self,
        options: SpawnOptions,
        f: F,
    ) -> Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.scope.try_spawn_with(self.with_token(options), f)
    }

    fn with_token(&self, options: SpawnOptions) -> SpawnOptions {
        if options.has_token() {
            options
        } else {
            options.cancel(self.token())
        }
    }

    /// Waits for all children spawned so far; see [`Scope::join_all`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn join_all(&self) -> std::result::Result<(), JoinError> {
        self.scope.join_all()
    }

    /// The nursery's token, another handle on it.
    #[must_use]
    pub fn token(&self) -> CancelToken {
        self.token.clone()
    }

    /// Cancels the children.
    ///
    /// # Errors
    ///
    /// As [`CancelToken::cancel`].
    pub fn cancel(&self) -> Result<()> {
        self.token.cancel()
    }

    /// Whether the children were cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Says whether an error of the nursery's closure, or of waiting for the children, cancels them;
    /// it does by default. A child's panic always does.
    pub fn set_cancel_on_error(&self, cancel: bool) {
        self.cancels_on_error.store(cancel, Ordering::Relaxed);
    }
}

impl fmt::Debug for Nursery<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nursery")
            .field("scope", &self.scope)
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

/// Runs `f` with a scope whose children share a cancel token, and returns when `f` and all children
/// have ended.
///
/// The children are cancelled when `f` fails or panics, when a child panics, and when the wait for them
/// fails because the parent itself is cancelled or out of time.
///
/// # Errors
///
/// Those of `f`; `ENOMEM` when no token can be had; `ECANCELED` or `ETIMEDOUT` when the wait for the
/// children failed. Always after all children have ended.
///
/// # Panics
///
/// When `f` panics, or a child whose handle was dropped; after all children have ended.
///
/// ```
/// use std::time::Duration;
/// llam::run(|| {
///     let result = llam::nursery(|n| {
///         n.spawn(|| llam::time::sleep(Duration::from_secs(60)));
///         Err::<(), _>(llam::Error::from_errno(libc::EIO))
///     });
///     assert_eq!(result.unwrap_err().errno(), libc::EIO);
///     Ok(())
/// }).unwrap();
/// ```
pub fn nursery<'env, F, R>(f: F) -> Result<R>
where
    F: for<'scope> FnOnce(&'scope Nursery<'scope, 'env>) -> Result<R>,
{
    let token = CancelToken::new()?;
    let nursery = Nursery {
        scope: Scope::new(Some(token.clone())),
        token,
        cancels_on_error: AtomicBool::new(true),
    };
    let mut outcome = catch_unwind(AssertUnwindSafe(|| f(&nursery)));
    let mut child_panic = None;
    if let Ok(Ok(_)) = &outcome {
        match nursery.scope.join_all() {
            Ok(()) => {}
            Err(JoinError::Panic(payload)) => child_panic = Some(payload),
            Err(error) => outcome = Ok(Err(error.into())),
        }
    }
    let must_cancel = match &outcome {
        Err(_) => true,
        Ok(Err(_)) => nursery.cancels_on_error.load(Ordering::Relaxed),
        Ok(Ok(_)) => false,
    };
    if must_cancel {
        // It fails only in a task of another runtime, which this is not.
        let _ = nursery.cancel();
    }
    let late_panic = nursery.scope.finish();
    match (outcome, child_panic.or(late_panic)) {
        (Err(payload), _) | (Ok(_), Some(payload)) => resume_unwind(payload),
        (Ok(result), None) => result,
    }
}
