//! Locks and signals between tasks.
//!
//! Owns two families. [`Mutex`] and [`Condvar`] are the ABI's own (`abi.md` 4.10, 4.11, 5.8): for tasks
//! of one runtime, with deadlock detection for the former. The others are built here on a small wait queue (`park`):
//! they work between tasks of any runtime and host threads.
//!
//! ```text
//!   mutex  condvar                      over llam_mutex_*, llam_cond_*
//!   rwlock  semaphore  notify           over park
//!   once_cell  wait_group               over park, as are channel::{oneshot, watch}
//!   park                                who waits, in what order, and how it is woken
//! ```
//!
//! All waits obey [`time::timeout`](fn@crate::time::timeout) and cancellation: what can be had at once
//! is had, a wait fails with `ETIMEDOUT` or `ECANCELED` and leaves the object as it was. Releasing never
//! waits and never fails.

mod condvar;
mod mutex;
mod notify;
mod once_cell;
pub(crate) mod park;
mod rwlock;
mod semaphore;
mod wait_group;

pub use condvar::Condvar;
pub use mutex::{Mutex, MutexGuard};
pub use notify::Notify;
pub use once_cell::OnceCell;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Semaphore, SemaphorePermit};
pub use wait_group::WaitGroup;
