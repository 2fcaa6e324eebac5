//! Scoped tasks.
//!
//! Owns the list of a scope's children and the wait at its end.
//!
//! ```text
//!            join, join_all, sweep, end        it ended
//!   Open ───────────────────────────> Joining ──────────> Reaped ──> off the list, with its outcome
//!     ^                                  │                           (taken by its handle, or dropped)
//!     └────────── the wait failed ───────┘
//! ```
//!
//! Invariants:
//! - A child is joined by whoever moved its entry to Joining, so never by two at once.
//! - That is the parent, or another child, whose own entry is not Reaped meanwhile. So when every entry
//!   is Reaped, every child has ended.
//! - An outcome that borrows from the frame is gone before the scope returns.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::error::Result;
use crate::sync::park::{Parker, WaitList, lock, wake_all};
use crate::task::packet::{self, Child, Outcome, Payload, Target, TaskRef};
use crate::task::shared::Shared;
use crate::task::{self, JoinError, SpawnOptions, settle};
use crate::time;

/// Children that are listed before finished ones are looked for.
const FIRST_SWEEP: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Joining,
    Reaped,
}

/// A child whose outcome has not been taken.
struct Entry {
    /// Dead once the stage is `Reaped`.
    task: TaskRef,
    stage: Stage,
    /// Its lifetime is erased: the scope's end keeps it from being used after `'scope`.
    packet: Shared<dyn Child + Send + Sync>,
}

// SAFETY: the task handle is a token that the engine checks (`abi.md` R1); the packet is shared by
// design.
unsafe impl Send for Entry {}

impl Entry {
    fn id(&self) -> *const () {
        self.packet.as_ptr().cast()
    }

    /// Whether this list is all that refers to the outcome.
    fn is_abandoned(&self) -> bool {
        self.packet.is_only()
    }
}

struct Children {
    entries: Vec<Entry>,
    /// Finished children are joined when the list has grown to this.
    sweep_at: usize,
    /// The first panic that nobody has been told of.
    panic: Option<Payload>,
    /// Who waits for the end of a join that another one does.
    waiters: WaitList<()>,
}

impl Children {
    fn position(&self, id: *const ()) -> Option<usize> {
        self.entries.iter().position(|entry| entry.id() == id)
    }

    /// Moves an open entry that `wanted` accepts to Joining.
    fn claim(&mut self, wanted: impl Fn(&Entry) -> bool) -> Option<(TaskRef, *const ())> {
        let entry = self
            .entries
            .iter_mut()
            .find(|entry| entry.stage == Stage::Open && wanted(entry))?;
        entry.stage = Stage::Joining;
        Some((entry.task, entry.id()))
    }
}

/// Where children are spawned. See [`scope`].
///
/// `'scope` is the time children may run, `'env` what they may borrow from.
pub struct Scope<'scope, 'env: 'scope> {
    children: Mutex<Children>,
    /// Tells a nursery's token of a child's panic.
    pub(super) cancel_on_panic: Option<crate::CancelToken>,
    _scope: PhantomData<&'scope mut &'scope ()>,
    _env: PhantomData<&'env mut &'env ()>,
}

impl<'scope, 'env> Scope<'scope, 'env> {
    pub(super) fn new(cancel_on_panic: Option<crate::CancelToken>) -> Self {
        Self {
            children: Mutex::new(Children {
                entries: Vec::new(),
                sweep_at: FIRST_SWEEP,
                panic: None,
                waiters: WaitList::new(),
            }),
            cancel_on_panic,
            _scope: PhantomData,
            _env: PhantomData,
        }
    }

    /// The list, locked for a few instructions: see `sync::park`.
    fn children(&self) -> MutexGuard<'_, Children> {
        lock(&self.children)
    }

    /// Spawns a child, which may borrow what outlives the scope, the scope itself included.
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
    /// As [`task::try_spawn`].
    #[track_caller]
    pub fn try_spawn<F, T>(&'scope self, f: F) -> Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.try_spawn_with(SpawnOptions::new(), f)
    }

    /// [`spawn`](Self::spawn) with options.
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
        match self.try_spawn_with(options, f) {
            Ok(handle) => handle,
            Err(error) => panic!("spawning a scoped task failed: {error}"),
        }
    }

    /// [`spawn_with`](Self::spawn_with) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`task::try_spawn_with`].
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
        self.sweep();
        let cancel = self.cancel_on_panic.clone();
        let body = move || {
            let guard = CancelOnPanic(cancel);
            let value = f();
            std::mem::forget(guard);
            value
        };
        // SAFETY: `Scope::finish` runs before `'scope` ends, on every path (`scope`, `try_scope`,
        // `nursery`): it waits for all children and drops the outcomes nobody took. Handles, the only
        // other way to an outcome, cannot outlive `'scope`.
        let (task, packet) = unsafe { packet::launch(Target::caller(), &options, None, body)? };
        // SAFETY: a coercion and nothing else.
        let erased: Shared<dyn Child + Send + Sync + 'scope> =
            unsafe { packet.clone().widen(|packet| packet as _) };
        // SAFETY: only the lifetime changes; `finish` takes every use of it before `'scope` ends, and
        // after it the packet holds nothing that borrows.
        let erased: Shared<dyn Child + Send + Sync> = unsafe { std::mem::transmute(erased) };
        // The caller is the parent before the scope's end, or a child that is waited for itself, so
        // the end does not miss this entry.
        self.children().entries.push(Entry {
            task,
            stage: Stage::Open,
            packet: erased,
        });
        Ok(ScopedJoinHandle {
            // SAFETY: a coercion and nothing else.
            packet: unsafe { packet.widen(|packet| packet as _) },
            scope: self.erased(),
        })
    }

    /// The scope as its handles know it.
    fn erased(&'scope self) -> &'scope Scope<'scope, 'scope> {
        // SAFETY: the lifetimes mark what children may borrow and are used in no field; the handle
        // only takes children off the list and puts them back.
        unsafe { &*(std::ptr::from_ref(self).cast::<Scope<'scope, 'scope>>()) }
    }

    /// Settles a join that was claimed: the entry is Reaped, or Open again.
    fn settle(&self, id: *const (), has_ended: bool) {
        let mut children = self.children();
        if let Some(index) = children.position(id) {
            children.entries[index].stage = if has_ended {
                Stage::Reaped
            } else {
                Stage::Open
            };
        }
        let woken = children.waiters.grant_all();
        drop(children);
        wake_all(woken);
    }

    /// When the list has grown: joins children that have ended, and drops outcomes without a handle.
    fn sweep(&self) {
        {
            let children = self.children();
            if children.entries.len() < children.sweep_at {
                return;
            }
        }
        loop {
            let claimed = self.children().claim(|entry| entry.packet.is_done());
            let Some((task, id)) = claimed else { break };
            // Done but for its last steps: a join that does not wait may still be refused.
            let has_ended = task.join_until(0).is_ok();
            self.settle(id, has_ended);
            if !has_ended {
                break;
            }
        }
        let abandoned = {
            let mut children = self.children();
            let abandoned: Vec<Entry> = children
                .entries
                .extract_if(.., |entry| {
                    entry.stage == Stage::Reaped && entry.is_abandoned()
                })
                .collect();
            children.sweep_at = FIRST_SWEEP.max(children.entries.len() * 2);
            abandoned
        };
        for entry in abandoned {
            self.dispose(entry);
        }
    }

    /// Drops an outcome that nobody took, and keeps the first panic. The child has ended and has no
    /// handle.
    fn dispose(&self, entry: Entry) {
        // SAFETY: as this function asks of its callers.
        let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { entry.packet.discard() }));
        let payload = match outcome {
            Ok(payload) => payload,
            // The result's destructor panicked.
            Err(payload) => Some(payload),
        };
        if let Some(payload) = payload {
            let mut children = self.children();
            if children.panic.is_none() {
                children.panic = Some(payload);
            } else {
                drop(children);
                std::mem::forget(payload);
            }
        }
    }

    /// Waits for all children spawned so far, but those that another task is joining.
    ///
    /// # Errors
    ///
    /// [`JoinError::Panic`] with the first panic of a child whose handle was dropped;
    /// [`JoinError::Runtime`] when the wait failed (`ECANCELED`, `ETIMEDOUT`): the scope's end waits
    /// for the rest.
    pub fn join_all(&self) -> std::result::Result<(), JoinError> {
        loop {
            let claimed = self.children().claim(|_| true);
            let Some((task, id)) = claimed else { break };
            let until = time::effective_deadline(u64::MAX);
            let joined = task.join_until(until);
            self.settle(id, joined.is_ok());
            joined?;
        }
        let abandoned: Vec<Entry> = self
            .children()
            .entries
            .extract_if(.., |entry| {
                entry.stage == Stage::Reaped && entry.is_abandoned()
            })
            .collect();
        for entry in abandoned {
            self.dispose(entry);
        }
        match self.children().panic.take() {
            None => Ok(()),
            Some(payload) => Err(JoinError::Panic(payload)),
        }
    }

    /// Waits for every child, whatever happens, and returns the first panic nobody was told of. The
    /// closure has ended, so handles exist inside children only, and after this nowhere.
    ///
    /// A child's result is dropped here at the latest, and its destructor may spawn into the scope
    /// once more: the scope has ended when nothing is left to drop.
    pub(super) fn finish(&self) -> Option<Payload> {
        let bomb = AbortOnUnwind;
        loop {
            self.outwait_all();
            let entries = std::mem::take(&mut self.children().entries);
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                self.dispose(entry);
            }
        }
        std::mem::forget(bomb);
        self.children().panic.take()
    }

    /// Waits until every child on the list has ended.
    fn outwait_all(&self) {
        let mut pause = Pause::new();
        loop {
            let claimed = self.children().claim(|_| true);
            if let Some((task, id)) = claimed {
                self.outwait(task, id);
                self.settle(id, true);
                continue;
            }
            let is_joining = |entry: &Entry| entry.stage == Stage::Joining;
            if !self.children().entries.iter().any(is_joining) {
                return;
            }
            // Only children that join each other are left.
            pause.take();
        }
    }

    /// Waits until the child has ended; nothing can keep it from that.
    fn outwait(&self, task: TaskRef, id: *const ()) {
        let mut pause = Pause::new();
        loop {
            let Err(error) = task.join_uncancellable() else {
                return;
            };
            let is_done = {
                let children = self.children();
                let index = children.position(id);
                index.is_none_or(|index| children.entries[index].packet.is_done())
            };
            // `EINVAL`: the runtime is gone, and with it every task; one that never started was
            // dropped without running.
            if is_done || error.errno() == libc::EINVAL {
                return;
            }
            // A fatal error of the run, or a child of another runtime: ask again, ever more slowly.
            pause.take();
        }
    }
}

/// A wait that grows, for the cases in which there is nothing better to wait for.
struct Pause(Duration);

impl Pause {
    const LONGEST: Duration = Duration::from_millis(10);

    fn new() -> Self {
        Self(Duration::from_micros(50))
    }

    fn take(&mut self) {
        if !task::is_inside() {
            std::thread::sleep(self.0);
        } else if time::sleep(self.0).is_err() {
            // Cancelled: the engine lets this task wait for nothing more.
            task::yield_now();
        }
        self.0 = (self.0 * 2).min(Self::LONGEST);
    }
}

/// Cancels a nursery when its child unwinds, at once rather than when it is joined.
struct CancelOnPanic(Option<crate::CancelToken>);

impl Drop for CancelOnPanic {
    fn drop(&mut self) {
        if let Some(token) = &self.0 {
            let _ = token.cancel();
        }
    }
}

/// Frames are borrowed by running tasks: better no process than a return.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        eprintln!("llam: a scope could not wait for its tasks");
        std::process::abort();
    }
}

/// Runs `f` with a scope for tasks that borrow from the caller's frame, and returns when `f` and all
/// children have ended.
///
/// On a host thread the children go to the default runtime, which another thread has to run.
///
/// # Panics
///
/// When `f` panics, or a child whose handle was dropped; always after all children have ended.
///
/// ```
/// llam::run(|| {
///     let words = ["a", "bc", "def"];
///     let mut total = 0;
///     llam::scope(|s| {
///         let lengths: Vec<_> = words.iter().map(|w| s.spawn(move || w.len())).collect();
///         for length in lengths {
///             total += length.join().unwrap();
///         }
///     });
///     assert_eq!(total, 6);
///     Ok(())
/// }).unwrap();
/// ```
///
/// A child cannot borrow from inside the closure, and its handle cannot leave it:
///
/// ```compile_fail,E0373
/// llam::scope(|s| {
///     let local = String::from("gone before the child");
///     s.spawn(|| local.len());
/// });
/// ```
///
/// ```compile_fail,E0521
/// let mut kept = None;
/// llam::scope(|s| kept = Some(s.spawn(|| 1)));
/// ```
pub fn scope<'env, F, R>(f: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    match try_scope(f) {
        Ok(value) => value,
        Err(JoinError::Panic(payload)) => resume_unwind(payload),
        Err(error) => panic!("a scope failed: {error}"),
    }
}

/// [`scope`] that returns a child's panic as an error.
///
/// # Errors
///
/// [`JoinError::Panic`] with the first panic of a child whose handle was dropped.
///
/// # Panics
///
/// When `f` panics, after all children have ended.
pub fn try_scope<'env, F, R>(f: F) -> std::result::Result<R, JoinError>
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    let scope = Scope::new(None);
    let outcome = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    let panic = scope.finish();
    match (outcome, panic) {
        (Err(payload), _) => resume_unwind(payload),
        (Ok(_), Some(payload)) => Err(JoinError::Panic(payload)),
        (Ok(value), None) => Ok(value),
    }
}

/// The right to take one child's result. Dropping it leaves the child to the scope.
pub struct ScopedJoinHandle<'scope, T> {
    packet: Shared<dyn Outcome<T> + Send + Sync + 'scope>,
    scope: &'scope Scope<'scope, 'scope>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the child and returns its result.
    ///
    /// # Errors
    ///
    /// [`JoinError::Panic`] when the child panicked; [`JoinError::Runtime`] when the wait failed
    /// (`ECANCELED`, `ETIMEDOUT`): the scope's end waits for the child then.
    pub fn join(self) -> std::result::Result<T, JoinError> {
        let id: *const () = self.packet.as_ptr().cast();
        loop {
            let claimed = self.scope.children().claim(|entry| entry.id() == id);
            if let Some((task, id)) = claimed {
                let until = time::effective_deadline(u64::MAX);
                let joined = task.join_until(until);
                self.scope.settle(id, joined.is_ok());
                joined?;
            }
            if self.take_entry_or_wait(id)? {
                break;
            }
        }
        // SAFETY: the child has ended and its entry is gone, so this handle is the only way to its
        // outcome.
        settle(unsafe { self.packet.take() })
    }

    /// Takes the entry of a reaped child off the list; while another task joins it, waits for that
    /// and returns false.
    fn take_entry_or_wait(&self, id: *const ()) -> std::result::Result<bool, JoinError> {
        let entry = {
            let mut children = self.scope.children();
            let Some(index) = children.position(id) else {
                return Ok(true);
            };
            match children.entries[index].stage {
                Stage::Reaped => Some(children.entries.swap_remove(index)),
                Stage::Open => return Ok(false),
                Stage::Joining => None,
            }
        };
        if entry.is_some() {
            return Ok(true);
        }
        let parker = Parker::current()?;
        {
            let mut children = self.scope.children();
            let is_joining = children
                .position(id)
                .is_some_and(|index| children.entries[index].stage == Stage::Joining);
            if !is_joining {
                return Ok(false);
            }
            children.waiters.push(&parker, ());
        }
        parker.wait(u64::MAX, || self.scope.children().waiters.remove(&parker))?;
        Ok(false)
    }

    /// Whether the child has ended. Never waits.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.packet.is_done()
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScopedJoinHandle")
            .field("is_finished", &self.is_finished())
            .finish()
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("children", &self.children().entries.len())
            .finish()
    }
}
