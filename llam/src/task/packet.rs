//! The one allocation of a spawn: closure, then result, with the task's name.
//!
//! Owns the memory that spawner and task share, the task's entry function, and the spawn call. Two
//! references exist: the handle's, and the task's, which travels through the engine as the entry
//! argument.
//!
//! ```text
//!            spawn                 entry                    entry
//!   Closure ───────> (engine) ───────────────> Empty ─────────────────> Outcome ──> Empty
//!                      takes the closure, runs it       `done` is set     the handle takes it
//! ```
//!
//! Invariants: until `done` the body belongs to the task alone; after it, to the one handle. A task
//! that is dropped without running (shutdown of an idle runtime, `abi.md` 5.1.5) leaks its reference,
//! so its closure is never dropped and never run. Called by every way to spawn.

use std::any::Any;
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use super::options::SpawnOptions;
use super::shared::{Counted, PAIR, Shared};
use super::state;
use crate::error::{Error, Result, check};
use crate::runtime;
use crate::sys;
use crate::time;
use sys::ext::SpawnMeta;

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send + 'static>;

enum Body<F, T> {
    Closure(F),
    Outcome(thread::Result<T>),
    Empty,
}

/// Closure, result and name of one task.
pub(crate) struct Packet<F, T> {
    /// See `shared`.
    count: AtomicU32,
    /// Set by the task after its last access to `body`; read with acquire by the handle.
    done: AtomicBool,
    name: Option<Box<str>>,
    body: UnsafeCell<Body<F, T>>,
}

// SAFETY: `body` has one owner at a time (module comment), handed over by the spawn and by `done`;
// the values inside are `Send`.
unsafe impl<F: Send, T: Send> Sync for Packet<F, T> {}

// SAFETY: one field, which only `Shared` changes.
unsafe impl<F, T> Counted for Packet<F, T> {
    #[inline]
    fn count(&self) -> &AtomicU32 {
        &self.count
    }
}

/// What a scope needs of a child, whatever its result type.
pub(crate) trait Child: Counted {
    /// Whether the closure has ended and the outcome is stored.
    fn is_done(&self) -> bool;

    /// Drops an outcome that nobody took; returns the payload when it was a panic.
    ///
    /// # Safety
    ///
    /// The task has ended or `is_done` was true, and nobody else takes the outcome.
    unsafe fn discard(&self) -> Option<Payload>;
}

/// What a handle needs of its task.
pub(crate) trait Outcome<T>: Child {
    fn name(&self) -> Option<&str>;

    /// Takes the outcome; `None` when there is none (any more).
    ///
    /// # Safety
    ///
    /// As for [`Child::discard`].
    unsafe fn take(&self) -> Option<thread::Result<T>>;
}

impl<F, T> Child for Packet<F, T> {
    fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    unsafe fn discard(&self) -> Option<Payload> {
        // SAFETY: passed on from this function's contract.
        unsafe { self.take() }.and_then(std::result::Result::err)
    }
}

impl<F, T> Outcome<T> for Packet<F, T> {
    fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    unsafe fn take(&self) -> Option<thread::Result<T>> {
        if !self.is_done() {
            return None;
        }
        // SAFETY: `done` hands the body to the caller, who says that it is the only one.
        let body = unsafe { mem::replace(&mut *self.body.get(), Body::Empty) };
        match body {
            Body::Outcome(outcome) => Some(outcome),
            Body::Closure(_) | Body::Empty => None,
        }
    }
}

/// The entry function of every task of this crate.
///
/// `extern "C"`, so a panic that would leave it aborts; none should, except from the destructor of a
/// panic's payload.
///
/// # Safety
///
/// `argument` is one reference to a `Packet<F, T>`, given up by the spawner.
unsafe extern "C" fn enter<F, T>(argument: *mut c_void)
where
    F: FnOnce() -> T,
{
    // SAFETY: the spawner gave this reference to the task, and a task is entered once.
    let packet = unsafe { Shared::<Packet<F, T>>::from_raw(argument) };
    if !sys::ext::IS_BUNDLED
        && let Some(name) = &packet.name
    {
        state::set_name(name);
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: before `done` the body belongs to the task.
        let body = unsafe { mem::replace(&mut *packet.body.get(), Body::Empty) };
        match body {
            Body::Closure(f) => f(),
            Body::Outcome(_) | Body::Empty => unreachable!("a task is entered once"),
        }
    }));
    // SAFETY: as above.
    unsafe { *packet.body.get() = Body::Outcome(outcome) };
    packet.done.store(true, Ordering::Release);
    // When the handle is gone this drops the result, whose destructor may do anything.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(packet))) {
        mem::forget(payload);
    }
    // Last: destructors above may have used task-local values.
    state::end();
}

/// Called for a task that its runtime drops without having run it: drops the closure, unless
/// the handle still holds the packet.
///
/// # Safety
///
/// As [`enter`], which is not called then.
unsafe extern "C" fn abandon<F, T>(argument: *mut c_void) {
    // SAFETY: the spawner gave this reference to the task, which never ran.
    let packet = unsafe { Shared::<Packet<F, T>>::from_raw(argument) };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(packet))) {
        mem::forget(payload);
    }
}

/// A task handle that knows when it has become stale.
///
/// The engine refuses stale handles itself (`abi.md` R1), but not that of an SDK 1.x, whose shutdown
/// frees every task: there the handle is good for the time between two shutdowns.
#[derive(Clone, Copy)]
pub(crate) struct TaskRef {
    raw: *mut sys::llam_task_t,
    era: u32,
}

impl TaskRef {
    fn new(raw: *mut sys::llam_task_t) -> Self {
        Self {
            raw,
            era: sys::ext::task_era(),
        }
    }

    /// The handle value.
    pub(crate) fn raw(self) -> *mut sys::llam_task_t {
        self.raw
    }

    /// Calls into the engine with the handle, or with null, which every call refuses with `EINVAL`,
    /// when it is stale and the engine would not notice. The call must not wait.
    pub(crate) fn with<R>(self, call: impl FnOnce(*mut sys::llam_task_t) -> R) -> R {
        let _held = sys::ext::hold_tasks();
        call(self.checked())
    }

    #[inline]
    fn checked(self) -> *mut sys::llam_task_t {
        if self.era == sys::ext::task_era() {
            self.raw
        } else {
            ptr::null_mut()
        }
    }

    /// `llam_join_until`. Inlined, as its callers: after a wait every return is predicted wrongly.
    #[inline(always)]
    pub(crate) fn join_until(self, deadline_ns: u64) -> Result<()> {
        in_turns(deadline_ns, |until| {
            // SAFETY: live, or checked by the engine.
            unsafe { sys::llam_join_until(self.checked(), until) }
        })
    }

    /// `llam_join`, which nothing but the task's end ends.
    pub(crate) fn join_uncancellable(self) -> Result<()> {
        if sys::ext::ABI_MAJOR == 1 && !super::is_inside() {
            // A host thread cannot be cancelled.
            return self.join_until(u64::MAX);
        }
        // SAFETY: live, or checked by the engine.
        check(unsafe { sys::ext::join_uncancellable(self.checked()) })
    }
}

/// How long a host thread of an SDK 1.x keeps a runtime from ending, at a time.
const TURN_NS: u64 = 5_000_000;

/// Makes a call that waits until a deadline and uses task handles. On an SDK 1.x a host thread waits in
/// turns, between which the runtime may end.
#[inline(always)]
pub(crate) fn in_turns(deadline_ns: u64, call: impl Fn(u64) -> i32) -> Result<()> {
    if sys::ext::ABI_MAJOR != 1 || super::is_inside() {
        return check(call(deadline_ns));
    }
    by_turns(deadline_ns, call)
}

#[cold]
fn by_turns(deadline_ns: u64, call: impl Fn(u64) -> i32) -> Result<()> {
    loop {
        let until = deadline_ns.min(time::now_ns().saturating_add(TURN_NS));
        let outcome = {
            let _held = sys::ext::hold_tasks();
            check(call(until))
        };
        match outcome {
            Err(error) if error.is_timed_out() && until < deadline_ns => {}
            outcome => return outcome,
        }
    }
}

/// Where a task is spawned.
pub(crate) struct Target {
    pub(crate) runtime: *mut sys::llam_runtime_t,
    pub(crate) group: *mut sys::llam_task_group_t,
}

impl Target {
    /// The caller's runtime.
    pub(crate) fn caller() -> Self {
        Self {
            runtime: ptr::null_mut(),
            group: ptr::null_mut(),
        }
    }
}

/// Spawns a task that runs `f`, and returns its handle and the packet.
///
/// # Errors
///
/// Those of `llam_spawn_ex`; nothing of `f` has run then, and `f` has been dropped.
///
/// # Safety
///
/// What `f` and `T` borrow lives until the task has ended and its outcome has been taken or
/// discarded.
#[track_caller]
#[inline(always)]
pub(crate) unsafe fn launch<'a, F, T>(
    target: Target,
    options: &SpawnOptions,
    name: Option<String>,
    f: F,
) -> Result<(TaskRef, Shared<Packet<F, T>>)>
where
    F: FnOnce() -> T + Send + 'a,
    T: Send + 'a,
{
    let (packet, lent) = Shared::pair(Packet {
        count: AtomicU32::new(PAIR),
        done: AtomicBool::new(false),
        name: name.map(String::into_boxed_str),
        body: UnsafeCell::new(Body::Closure(f)),
    });
    let argument = lent.into_raw();
    let meta = SpawnMeta {
        name: packet.name.as_deref(),
        site: Some(Location::caller()),
        abandon: Some(abandon::<F, T>),
        stay: false,
    };
    let task = {
        // The handle and its era belong together.
        let _held = sys::ext::hold_tasks();
        // SAFETY: `enter` gets the reference it asks for; what it borrows lives long enough by this
        // function's contract.
        unsafe { start(target, options, Some(enter::<F, T>), argument, meta) }.map(TaskRef::new)
    };
    match task {
        Ok(task) => Ok((task, packet)),
        Err(error) => {
            // SAFETY: no task was made, so the reference made above is still ours.
            drop(unsafe { Shared::<Packet<F, T>>::from_raw(argument) });
            Err(error)
        }
    }
}

/// The spawn call itself, apart from the types.
///
/// # Safety
///
/// `entry` may be called once with `argument`, on another thread, at any time until the runtime is
/// shut down.
#[inline(always)]
unsafe fn start(
    target: Target,
    options: &SpawnOptions,
    entry: sys::llam_task_fn,
    argument: *mut c_void,
    meta: SpawnMeta<'_>,
) -> Result<*mut sys::llam_task_t> {
    let raw = options.raw_options();
    let spawn_on = |runtime, group| {
        // SAFETY: `raw` is a local of the size given; `entry` and `argument` by this function's
        // contract; handles are checked by the engine. A failed call starts nothing, so trying
        // another runtime afterwards calls `entry` at most once.
        unsafe {
            sys::ext::spawn(
                runtime,
                group,
                entry,
                argument,
                &raw const raw,
                sys::LLAM_SPAWN_OPTS_CURRENT_SIZE,
                meta,
            )
        }
    };
    let task = spawn_on(target.runtime, target.group);
    if !task.is_null() {
        return Ok(task);
    }
    start_elsewhere(&target, spawn_on)
}

/// After a spawn has failed: a host thread without a default runtime gets the runtime made last.
#[cold]
fn start_elsewhere(
    target: &Target,
    spawn_on: impl Fn(*mut sys::llam_runtime_t, *mut sys::llam_task_group_t) -> *mut sys::llam_task_t,
) -> Result<*mut sys::llam_task_t> {
    let error = Error::last();
    let names_no_runtime = target.runtime.is_null() && target.group.is_null();
    let is_homeless = names_no_runtime && error.errno() == libc::EINVAL && !super::is_inside();
    let Some(runtime) = runtime::most_recent_handle().filter(|_| is_homeless) else {
        return Err(error);
    };
    let task = spawn_on(runtime, ptr::null_mut());
    if task.is_null() {
        return Err(Error::last());
    }
    Ok(task)
}
