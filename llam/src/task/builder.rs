//! A spawn with a name.
//!
//! Owns [`Builder`]: [`SpawnOptions`] plus what they cannot say. The name appears in dumps, in the
//! report of a stack overflow, and through [`current_name`](super::current_name).

use std::time::Duration;

use super::join::JoinHandle;
use super::options::{SpawnOptions, StackClass, TaskClass};
use super::packet::Target;
use crate::cancel::CancelToken;
use crate::error::Result;

/// Configures one spawn.
///
/// ```
/// use llam::task::Builder;
/// llam::run(|| {
///     let name = Builder::new()
///         .name("reader")
///         .spawn(llam::task::current_name)?
///         .join()?;
///     assert_eq!(name.as_deref(), Some("reader"));
///     Ok(())
/// }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: Option<String>,
    options: SpawnOptions,
}

impl Builder {
    /// No name, default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the task.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Replaces all options at once.
    #[must_use]
    pub fn options(mut self, options: SpawnOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the class.
    #[must_use]
    pub fn class(mut self, class: TaskClass) -> Self {
        self.options = self.options.class(class);
        self
    }

    /// Sets the stack class.
    #[must_use]
    pub fn stack_size(mut self, stack: StackClass) -> Self {
        self.options = self.options.stack(stack);
        self
    }

    /// The token that cancels the task.
    #[must_use]
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.options = self.options.cancel(token);
        self
    }

    /// See [`SpawnOptions::deadline_after`].
    #[must_use]
    pub fn deadline_after(mut self, duration: Duration) -> Self {
        self.options = self.options.deadline_after(duration);
        self
    }

    /// Spawns the task on the caller's runtime.
    ///
    /// # Errors
    ///
    /// As [`try_spawn_with`](super::try_spawn_with).
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        JoinHandle::spawn(Target::caller(), &self.options, self.name, f)
    }
}
