//! Spawning: making a task and choosing where it starts.
//!
//! A fresh task goes to its spawner's worker, from where idle workers steal it. A task
//! spawned after an accept goes to the worker with the fewest tasks. Tasks from host
//! threads and other runtimes go to the injector.

use std::sync::atomic::{Ordering, fence};

use super::Runtime;
use crate::errno::Result;
use crate::names;
use crate::object::token::Token;
use crate::slab::Slab;
use crate::stack;
use crate::task::{Blueprint, TASKS, Task, flag};
use crate::worker::{self, Worker};

impl Runtime {
    /// Makes a task and queues it. The caller keeps the runtime live.
    ///
    /// Inlined with all callers up to the exported functions: what they hand on is a dozen words, which would
    /// be copied from frame to frame.
    #[inline(always)]
    pub(crate) fn spawn(
        &'static self,
        plan: &Blueprint,
        name: Option<&str>,
        published: impl FnOnce(&'static Task),
    ) -> Result<&'static Task> {
        let own_worker =
            worker::context().filter(|(worker, _)| std::ptr::eq(worker.runtime(), self));
        stack::reserve()?;
        let slot = match own_worker {
            Some((worker, _)) => worker.take_slot(),
            None => TASKS.take(),
        };
        let Some(task) = slot else {
            stack::unreserve();
            return Err(libc::ENOMEM);
        };
        // Counted before anybody can run it, so that it is live before it can have ended.
        let id = self.spawned.fetch_add(1, Ordering::AcqRel) + 1;
        // Live only when it says whose it is: another runtime's end would take a slot that it had
        // served before for its own.
        task.init(plan, self, id);
        Slab::revive(task);
        if let Some(token) = plan.token {
            Token::remember(token, task);
        }
        if let Some(name) = name {
            names::set(task, name);
        }
        if plan.flags & flag::PINNED == 0 {
            self.unpinned.fetch_add(1, Ordering::AcqRel);
        }
        published(task);
        match own_worker {
            Some((worker, spawner)) if !worker.is_region() && spawner.accepted.replace(false) => {
                self.place(worker, task);
            }
            Some((worker, spawner)) if !worker.is_region() => {
                worker.push_fresh(task);
                if spawner.regions.get() > 0 {
                    // This thread is about to block: somebody else has to come.
                    self.wake_helper();
                }
            }
            // A task in a blocking region has no queue that anybody looks at.
            _ => self.inject(task),
        }
        Ok(task)
    }

    /// Gives a connection's task to the worker with the fewest tasks.
    fn place(&'static self, own: &'static Worker, task: &'static Task) {
        let least = self
            .workers()
            .iter()
            .copied()
            .filter(|worker| !worker.failed.load(Ordering::Relaxed))
            .min_by_key(|worker| worker.bound())
            .filter(|least| least.bound() + 1 < own.bound());
        match least {
            Some(target) if !task.stays() => {
                target.adopt_from_elsewhere(task);
                target.push_remote(task);
                // It may have failed to start just now: then nobody looks into its inbox.
                fence(Ordering::SeqCst);
                if target.failed.load(Ordering::SeqCst) {
                    target.give_up();
                }
            }
            _ => own.push_fresh(task),
        }
    }
}
