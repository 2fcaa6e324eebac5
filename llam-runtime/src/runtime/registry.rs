//! Which runtimes exist: the default one, the explicit ones, their handles and owners (R2).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use core::ffi::c_void;

use parking_lot::Mutex;

use super::options::RawOptions;
use super::{DEFAULT_OWNER, Runtime};
use crate::errno::Result;
use crate::handle::{self, Kind, Object};
use crate::slab::{Slab, Slot, SlotHead};
use crate::worker;

/// The default runtime.
pub(crate) static DEFAULT: Runtime = Runtime::new(DEFAULT_OWNER);

/// What a runtime handle points to.
#[repr(C)]
pub(crate) struct RuntimeSlot {
    head: SlotHead,
    runtime: AtomicPtr<Runtime>,
    owner: AtomicU32,
}

// SAFETY: atomics may be zero.
unsafe impl Slot for RuntimeSlot {
    fn head(&self) -> &SlotHead {
        &self.head
    }
}

static RUNTIMES: Slab<RuntimeSlot> = Slab::new();

impl Object for RuntimeSlot {
    const KIND: Kind = Kind::Runtime;
    fn slab() -> &'static Slab<Self> {
        &RUNTIMES
    }
}

/// Ended explicit runtimes, for use again.
static POOL: Mutex<Vec<&'static Runtime>> = Mutex::new(Vec::new());
static NEXT_OWNER: AtomicU32 = AtomicU32::new(DEFAULT_OWNER + 1);
/// Owner numbers of live explicit runtimes, for host threads that use their objects.
static LIVE_OWNERS: Mutex<Vec<(u32, &'static Runtime)>> = Mutex::new(Vec::new());

/// A runtime and the incarnation a handle was made for.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) runtime: &'static Runtime,
    pub(crate) owner: u32,
}

/// The handle of the default runtime: the same value for the life of the process.
pub(crate) fn default_handle() -> *mut c_void {
    static SLOT: OnceLock<&'static RuntimeSlot> = OnceLock::new();
    let slot = SLOT.get_or_init(|| {
        let slot = RUNTIMES
            .allocate()
            .expect("memory for the first runtime slot");
        slot.runtime
            .store((&raw const DEFAULT).cast_mut(), Ordering::Relaxed);
        slot.owner.store(DEFAULT_OWNER, Ordering::Release);
        slot
    });
    handle::of(*slot)
}

/// Checks a runtime handle.
pub(crate) fn find(runtime: *const c_void) -> Option<Named> {
    default_handle();
    let checked = handle::check::<RuntimeSlot>(runtime)?;
    let owner = checked.slot.owner.load(Ordering::Acquire);
    // SAFETY: runtimes are never freed.
    let runtime = unsafe { checked.slot.runtime.load(Ordering::Relaxed).as_ref() }?;
    checked.is_current().then_some(Named { runtime, owner })
}

/// Makes an explicit runtime.
pub(crate) fn create(raw: &RawOptions) -> Result<*mut c_void> {
    default_handle();
    let slot = RUNTIMES.allocate().ok_or(libc::ENOMEM)?;
    let owner = NEXT_OWNER.fetch_add(1, Ordering::Relaxed);
    let pooled = POOL.lock().pop();
    let runtime = pooled.unwrap_or_else(|| Box::leak(Box::new(Runtime::new(owner))));
    runtime.set_owner(owner);
    if let Err(error) = runtime.init(raw) {
        RUNTIMES.free(slot);
        POOL.lock().push(runtime);
        return Err(error);
    }
    LIVE_OWNERS.lock().push((owner, runtime));
    slot.runtime
        .store(std::ptr::from_ref(runtime).cast_mut(), Ordering::Relaxed);
    slot.owner.store(owner, Ordering::Release);
    Ok(handle::of(slot))
}

/// Ends an explicit runtime. From a host thread. Of several threads one destroys, the others
/// return when it is gone.
pub(crate) fn destroy(runtime: *const c_void) {
    let Some(checked) = handle::check::<RuntimeSlot>(runtime) else {
        return;
    };
    let Some(named) = find(runtime) else {
        return;
    };
    if !named.runtime.shut_down(named.owner) {
        return;
    }
    let mut owners = LIVE_OWNERS.lock();
    let before = owners.len();
    owners.retain(|(owner, _)| *owner != named.owner);
    let first = owners.len() < before;
    drop(owners);
    if first {
        // The number that no object can have: late callers with the old one are refused.
        named.runtime.set_owner(0);
        RUNTIMES.free(checked.slot);
        POOL.lock().push(named.runtime);
    }
}

/// Where the caller stands towards objects of `owner` (R2).
#[derive(Clone, Copy)]
pub(crate) enum Standing {
    /// A task of the owner runtime.
    Task,
    /// A host thread; the object belongs to the default runtime.
    HostDefault,
    /// A host thread; the object belongs to this live explicit runtime.
    HostExplicit,
}

/// Whether the caller may use objects of `owner`: `EXDEV` if not.
#[inline]
pub(crate) fn standing(owner: u32) -> Result<Standing> {
    match worker::context() {
        Some((worker, _)) if worker.runtime().owner() == owner => Ok(Standing::Task),
        Some(_) => Err(libc::EXDEV),
        None if owner == DEFAULT_OWNER => Ok(Standing::HostDefault),
        None if owner_is_live(owner) => Ok(Standing::HostExplicit),
        None => Err(libc::EXDEV),
    }
}

/// As [`standing`] for cleanup, which host threads may do in any state of the owner.
#[inline]
pub(crate) fn cleanup_standing(owner: u32) -> Result<()> {
    match worker::context() {
        Some((worker, _)) if worker.runtime().owner() != owner => Err(libc::EXDEV),
        _ => Ok(()),
    }
}

fn owner_is_live(owner: u32) -> bool {
    LIVE_OWNERS.lock().iter().any(|(live, _)| *live == owner)
}

/// The runtime of a live owner.
pub(crate) fn runtime_of(owner: u32) -> Option<&'static Runtime> {
    if owner == DEFAULT_OWNER {
        return Some(&DEFAULT);
    }
    LIVE_OWNERS
        .lock()
        .iter()
        .find(|(live, _)| *live == owner)
        .map(|(_, runtime)| *runtime)
}

/// The runtime a call without one means: the task's own, or the default one.
#[inline]
pub(crate) fn implied() -> &'static Runtime {
    match worker::context() {
        Some((worker, _)) => worker.runtime(),
        None => &DEFAULT,
    }
}

/// The owner of an object made now: the task's runtime, or the default one.
#[inline]
pub(crate) fn implied_owner() -> u32 {
    implied().owner()
}

/// Makes every worker of every live runtime obey control requests soon.
pub(crate) fn make_all_workers_look() {
    let explicit: Vec<_> = LIVE_OWNERS
        .lock()
        .iter()
        .map(|(_, runtime)| *runtime)
        .collect();
    for runtime in std::iter::once(&DEFAULT).chain(explicit) {
        if let Some(lifecycle) = runtime.lock_live() {
            runtime.make_workers_look();
            drop(lifecycle);
        }
    }
}
