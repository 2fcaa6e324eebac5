//! The objects of the ABI: what tasks wait for, pass on and share.
//!
//! Each kind is one file: a slot type for its slab, and its operations as functions from a
//! handle to a `Result` whose error is the `errno` of `abi.md`. The ABI layer above only
//! converts. All of them follow one order: handle, context (R3), owner (R2), then R5.

pub(crate) mod buffer;
pub(crate) mod channel;
pub(crate) mod cond;
pub(crate) mod group;
pub(crate) mod join;
pub(crate) mod local;
pub(crate) mod mutex;
pub(crate) mod select;
pub(crate) mod signal;
pub(crate) mod timer;
pub(crate) mod token;
pub(crate) mod waitlist;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::errno::Result;
use crate::runtime::registry::{self, Standing};
use crate::task::Task;
use crate::worker::{self, Worker};

/// The runtime that an object belongs to, by number. Atomic because a stale handle may read
/// it while the slot becomes another object; what it reads then is not used.
#[derive(Debug)]
pub(crate) struct Owner(AtomicU32);

impl Owner {
    #[inline]
    pub(crate) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, owner: u32) {
        self.0.store(owner, Ordering::Relaxed);
    }
}

/// Rules R3 and R2 for an operation that only tasks may do.
#[inline(always)]
pub(crate) fn managed(owner: u32) -> Result<(&'static Worker, &'static Task)> {
    let (worker, task) = worker::context().ok_or(libc::ENOTSUP)?;
    if worker.owner() != owner {
        return Err(libc::EXDEV);
    }
    Ok((worker, task))
}

/// R2 and R4 for an operation that host threads may do while the owner is live; `dead` is
/// what they get when the default runtime is not.
pub(crate) fn live_owner(owner: u32, dead: i32) -> Result<Standing> {
    let standing = registry::standing(owner)?;
    if matches!(standing, Standing::HostDefault) && registry::DEFAULT.lock_live().is_none() {
        return Err(dead);
    }
    Ok(standing)
}
