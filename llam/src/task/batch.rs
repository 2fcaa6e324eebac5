//! Several tasks whose results are wanted together.
//!
//! Owns [`TaskBatch`], a list of handles. It has no counterpart in the ABI.

use super::join::{JoinError, JoinHandle};
use super::options::SpawnOptions;
use super::packet::Target;
use crate::error::Result;

/// A list of tasks with one result type, joined in the order they were added.
///
/// Dropping it detaches them.
///
/// ```
/// llam::run(|| {
///     let mut batch = llam::TaskBatch::new();
///     for i in 0..4 {
///         batch.spawn(move || i * i)?;
///     }
///     assert_eq!(batch.join()?, [0, 1, 4, 9]);
///     Ok(())
/// }).unwrap();
/// ```
#[derive(Debug)]
pub struct TaskBatch<T> {
    handles: Vec<JoinHandle<T>>,
}

impl<T> Default for TaskBatch<T> {
    fn default() -> Self {
        Self {
            handles: Vec::new(),
        }
    }
}

impl<T: Send + 'static> TaskBatch<T> {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for `capacity` handles.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            handles: Vec::with_capacity(capacity),
        }
    }

    /// Spawns a task and adds it.
    ///
    /// # Errors
    ///
    /// As [`try_spawn`](super::try_spawn).
    #[track_caller]
    pub fn spawn<F>(&mut self, f: F) -> Result<()>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        self.spawn_with(SpawnOptions::new(), f)
    }

    /// Spawns a task with options and adds it.
    ///
    /// # Errors
    ///
    /// As [`try_spawn_with`](super::try_spawn_with).
    #[track_caller]
    pub fn spawn_with<F>(&mut self, options: SpawnOptions, f: F) -> Result<()>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let handle = JoinHandle::spawn(Target::caller(), &options, None, f)?;
        self.handles.push(handle);
        Ok(())
    }

    /// Adds a task that was spawned elsewhere.
    pub fn push(&mut self, handle: JoinHandle<T>) {
        self.handles.push(handle);
    }

    /// The number of tasks.
    #[must_use]
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// Whether there is no task.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handles.is_empty()
    }

    /// Joins all tasks, then returns the results, or the first error in the order of adding.
    ///
    /// # Errors
    ///
    /// As [`JoinHandle::join`].
    pub fn join(self) -> std::result::Result<Vec<T>, JoinError> {
        self.join_results().into_iter().collect()
    }

    /// Joins all tasks and returns each one's result.
    pub fn join_results(self) -> Vec<std::result::Result<T, JoinError>> {
        self.handles.into_iter().map(JoinHandle::join).collect()
    }
}
