//! The task: one slot per task, in a slab that is never unmapped (E4).
//!
//! Fields fall into three groups, by who may touch them:
//!
//! - **shared**: atomics and the join lock; any thread, any time.
//! - **owner**: cells used by the thread that runs the task's worker, or by the spawner
//!   before the task was published. A started task never changes thread (E1), so these need
//!   no synchronisation.
//! - **fixed**: written before the task is published, read by anyone afterwards.

use core::ffi::c_void;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

use crate::clock::NEVER;
use crate::fiber::{Fiber, OwnState};
use crate::handle::{Kind, Object};
use crate::inbox::Linked;
use crate::names;
use crate::object::local::Locals;
use crate::object::token::Token;
use crate::runtime::Runtime;
use crate::slab::{Slab, Slot, SlotHead};
use crate::spin::SpinLock;
use crate::stack::StackClass;
use crate::wait::WaitWord;
use crate::waiter::Waiter;
use crate::worker::Worker;

/// Task entry of the ABI.
pub(crate) type Entry = unsafe extern "C" fn(*mut c_void);

/// What `llam_task_state_name` reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    New = 0,
    Runnable,
    Running,
    Parked,
    Opaque,
    Dead,
}

/// What a parked task waits for; the dump's `wait=` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum WaitKind {
    None = 0,
    Yield,
    Join,
    Sleep,
    Blocking,
    Io,
    Mutex,
    Cond,
    ChannelSend,
    ChannelRecv,
    Select,
    Timer,
}

impl WaitKind {
    /// Waits that only another task of the runtime can end (deadlock detection).
    pub(crate) fn is_internal(self) -> bool {
        matches!(self, Self::Join | Self::Mutex)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Yield => "yield",
            Self::Join => "join",
            Self::Sleep => "sleep",
            Self::Blocking => "blocking",
            Self::Io => "io",
            Self::Mutex => "mutex",
            Self::Cond => "cond",
            Self::ChannelSend => "channel_send",
            Self::ChannelRecv | Self::Select => "channel_recv",
            Self::Timer => "timeout",
        }
    }

    fn from_raw(raw: u8) -> Self {
        const ALL: [WaitKind; 12] = [
            WaitKind::None,
            WaitKind::Yield,
            WaitKind::Join,
            WaitKind::Sleep,
            WaitKind::Blocking,
            WaitKind::Io,
            WaitKind::Mutex,
            WaitKind::Cond,
            WaitKind::ChannelSend,
            WaitKind::ChannelRecv,
            WaitKind::Select,
            WaitKind::Timer,
        ];
        ALL.get(raw as usize).copied().unwrap_or(Self::None)
    }
}

/// Spawn flags of the ABI.
pub(crate) mod flag {
    pub(crate) const PINNED: u32 = 1;
    pub(crate) const NO_PREEMPT: u32 = 2;
    pub(crate) const LATENCY_CRITICAL: u32 = 8;
}

/// How a task's end is shared between the task, its joiner and its detacher.
pub(crate) struct Ending {
    pub(crate) ended: bool,
    /// It ended after its run had failed.
    pub(crate) failed: bool,
    pub(crate) detached: bool,
    /// Somebody is inside join on this task.
    pub(crate) joining: bool,
    /// A task group owns the handle.
    pub(crate) grouped: bool,
    has_waiter: bool,
    waiter: MaybeUninit<Waiter>,
}

impl Ending {
    pub(crate) fn set_waiter(&mut self, waiter: Waiter) {
        self.has_waiter = true;
        self.waiter.write(waiter);
    }

    pub(crate) fn take_waiter(&mut self) -> Option<Waiter> {
        if !std::mem::take(&mut self.has_waiter) {
            return None;
        }
        // SAFETY: `has_waiter` was set together with the value.
        Some(unsafe { self.waiter.assume_init() })
    }
}

/// In the order of use: a switch touches the first lines, the rest is for beginning, ending and looking on.
#[repr(C, align(64))]
pub(crate) struct Task {
    head: SlotHead,
    /// Shared: who ends the current park (E2).
    pub(crate) wait: WaitWord,
    /// Shared: the worker the task is bound to; null until it is placed.
    worker: AtomicPtr<Worker>,
    /// Owner: the suspended computation; initialised while `has_fiber`.
    fiber: UnsafeCell<MaybeUninit<Fiber>>,
    /// Inbox link; see `Linked`.
    link: AtomicPtr<Task>,
    /// Owner.
    own_state: OwnState,
    /// Owner: every park of the task ends by then (`ext::set_park_deadline`).
    pub(crate) park_deadline: Cell<u64>,
    runtime: AtomicPtr<Runtime>,
    token: Cell<Option<&'static Token>>,
    /// Shared: what it waits for and since when (coarse), for the dump.
    wait_detail: AtomicU64,
    wait_since: AtomicU32,
    state: AtomicU8,
    wait_kind: AtomicU8,
    class: AtomicU8,
    stack_class: AtomicU8,
    flags: AtomicU32,
    has_fiber: Cell<bool>,
    /// Owner: its region blocks the worker's thread (see `worker/region`).
    pub(crate) blocks_worker: Cell<bool>,
    /// Owner: the task accepted a connection and has not spawned since.
    pub(crate) accepted: Cell<bool>,
    /// Fixed: not placed elsewhere even before its start.
    stays: Cell<bool>,
    /// Fixed: which task of this slot this is.
    life: Cell<u32>,
    /// Owner: safepoints passed, for `forced_yield_every`.
    pub(crate) safepoints: Cell<u32>,
    /// Owner: open blocking regions.
    pub(crate) regions: Cell<u32>,
    /// Shared: has a name in the table of names.
    pub(crate) named: AtomicBool,
    /// Fixed.
    entry: Cell<Option<Entry>>,
    arg: Cell<*mut c_void>,
    /// Called with `arg` instead of the entry when the task is dropped without having run.
    abandon: Cell<Option<Entry>>,
    pub(crate) ending: SpinLock<Ending>,
    id: AtomicU64,
    /// Owner: the binding's word.
    pub(crate) data: Cell<*mut c_void>,
    /// Owner: task-local values.
    pub(crate) locals: UnsafeCell<Option<Box<Locals>>>,
    /// Token's list of its tasks, guarded by the token's lock.
    pub(crate) token_links: Cell<(*const Task, *const Task)>,
    /// Shared: where it was spawned.
    site: AtomicPtr<Location<'static>>,
    /// Fixed: spawn option `deadline_ns`, kept for the dump only.
    deadline_ns: Cell<u64>,
}

// SAFETY: the cells follow the owner rule in the module's text: they are used by the
// spawner before the task is published through a queue, and by its worker's thread after
// that; publication through a queue is a release/acquire pair.
unsafe impl Sync for Task {}
// SAFETY: as above; slots are never dropped.
unsafe impl Send for Task {}

// SAFETY: every field may be zero: atomics, cells with Option or raw pointers (null),
// `MaybeUninit`, an open lock, false booleans.
unsafe impl Slot for Task {
    fn head(&self) -> &SlotHead {
        &self.head
    }
}

// SAFETY: `link` is used by inboxes alone, and slots are never unmapped.
unsafe impl Linked for Task {
    fn link(&self) -> &AtomicPtr<Task> {
        &self.link
    }
}

pub(crate) static TASKS: Slab<Task> = Slab::new();

impl Object for Task {
    const KIND: Kind = Kind::Task;
    fn slab() -> &'static Slab<Self> {
        &TASKS
    }
}

/// The start of a wait is kept in units of 2^20 ns, about a millisecond.
const SINCE_SHIFT: u32 = 20;

/// Each task of a million costs this much beside its stack (with the switch of `fiber::native`).
const _: () = assert!(size_of::<Fiber>() > 16 || size_of::<Task>() <= 256);

/// What a spawn fixes about a task.
pub(crate) struct Blueprint {
    pub(crate) entry: Entry,
    pub(crate) arg: *mut c_void,
    pub(crate) abandon: Option<Entry>,
    pub(crate) class: u8,
    pub(crate) stack_class: StackClass,
    pub(crate) flags: u32,
    pub(crate) deadline_ns: u64,
    pub(crate) token: Option<&'static Token>,
    pub(crate) site: Option<&'static Location<'static>>,
    /// Not placed elsewhere even before its start.
    pub(crate) stays: bool,
    pub(crate) grouped: bool,
}

impl Task {
    /// Fills a slot that is dead and belongs to the caller alone.
    #[inline(always)]
    pub(crate) fn init(&self, plan: &Blueprint, runtime: &'static Runtime, id: u64) {
        self.worker.store(std::ptr::null_mut(), Ordering::Relaxed);
        self.entry.set(Some(plan.entry));
        self.arg.set(plan.arg);
        self.abandon.set(plan.abandon);
        self.runtime
            .store(std::ptr::from_ref(runtime).cast_mut(), Ordering::Relaxed);
        self.token.set(plan.token);
        self.id.store(id, Ordering::Relaxed);
        self.life.set(self.life.get().wrapping_add(1));
        self.deadline_ns.set(plan.deadline_ns);
        self.park_deadline.set(NEVER);
        self.data.set(std::ptr::null_mut());
        let site = plan.site.map_or(std::ptr::null_mut(), |site| {
            std::ptr::from_ref(site).cast_mut()
        });
        self.site.store(site, Ordering::Relaxed);
        self.flags.store(plan.flags, Ordering::Relaxed);
        self.class.store(plan.class, Ordering::Relaxed);
        self.stack_class
            .store(plan.stack_class as u8, Ordering::Relaxed);
        self.regions.set(0);
        self.blocks_worker.set(false);
        self.safepoints.set(0);
        self.accepted.set(false);
        self.stays.set(plan.stays);
        self.own_state.reset();
        self.state.store(State::Runnable as u8, Ordering::Relaxed);
        self.wait_kind.store(0, Ordering::Relaxed);
        // SAFETY: the slot is dead, so whoever still takes this lock finds a stale handle and looks no
        // further; nobody else knows of the task yet.
        let ending = unsafe { &mut *self.ending.as_ptr() };
        ending.ended = false;
        ending.failed = false;
        ending.detached = false;
        ending.joining = false;
        ending.grouped = plan.grouped;
        ending.has_waiter = false;
    }

    /// Whether the slot holds a task whose handle has not been consumed. Meaningful under
    /// the ending lock, a snapshot without it.
    pub(crate) fn is_live(&self) -> bool {
        SlotHead::is_live(self.head.generation())
    }

    /// Tells the tasks of one slot apart, as the id does not over several runs. For the task itself
    /// and for whoever just gave it something.
    #[inline]
    pub(crate) fn life(&self) -> u32 {
        self.life.get()
    }

    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn runtime(&self) -> &'static Runtime {
        // SAFETY: set when the task was made; runtimes are never freed.
        unsafe { self.runtime.load(Ordering::Relaxed).as_ref() }.expect("a live task has a runtime")
    }

    #[inline]
    pub(crate) fn belongs_to(&self, runtime: &Runtime) -> bool {
        std::ptr::eq(self.runtime.load(Ordering::Relaxed), runtime)
    }

    #[inline]
    pub(crate) fn token(&self) -> Option<&'static Token> {
        self.token.get()
    }

    pub(crate) fn clear_token(&self) -> Option<&'static Token> {
        self.token.take()
    }

    /// The worker the task is bound to.
    #[inline]
    pub(crate) fn worker(&self) -> Option<&'static Worker> {
        // SAFETY: workers are never freed.
        unsafe { self.worker.load(Ordering::Relaxed).as_ref() }
    }

    #[inline]
    pub(crate) fn is_bound_to(&self, worker: &Worker) -> bool {
        std::ptr::eq(self.worker.load(Ordering::Relaxed), worker)
    }

    #[inline]
    pub(crate) fn bind(&self, worker: &'static Worker) {
        self.worker
            .store(std::ptr::from_ref(worker).cast_mut(), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn class(&self) -> u8 {
        self.class.load(Ordering::Relaxed)
    }

    pub(crate) fn set_class(&self, class: u8) {
        self.class.store(class, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn stack_class(&self) -> StackClass {
        StackClass::ALL[self.stack_class.load(Ordering::Relaxed) as usize % 3]
    }

    /// Whether other workers must leave the task alone even while it is fresh.
    #[inline]
    pub(crate) fn stays(&self) -> bool {
        self.stays.get()
    }

    pub(crate) fn deadline_ns(&self) -> u64 {
        self.deadline_ns.get()
    }

    pub(crate) fn site(&self) -> Option<&'static Location<'static>> {
        // SAFETY: only `'static` locations are stored.
        unsafe { self.site.load(Ordering::Relaxed).as_ref() }
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        const ALL: [State; 6] = [
            State::New,
            State::Runnable,
            State::Running,
            State::Parked,
            State::Opaque,
            State::Dead,
        ];
        ALL[self.state.load(Ordering::Relaxed) as usize % 6]
    }

    #[inline]
    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub(crate) fn state_name(&self) -> &'static core::ffi::CStr {
        match self.state() {
            State::New => c"NEW",
            State::Runnable => c"RUNNABLE",
            State::Running => c"RUNNING",
            State::Parked => c"PARKED",
            State::Opaque => c"BLOCKED_OPAQUE",
            State::Dead => c"DEAD",
        }
    }

    /// Says what the task is about to wait for (`detail`: a handle, a descriptor or an id).
    #[inline]
    pub(crate) fn note_wait(&self, kind: WaitKind, detail: u64, since: u64) {
        self.wait_kind.store(kind as u8, Ordering::Relaxed);
        self.wait_detail.store(detail, Ordering::Relaxed);
        self.wait_since
            .store((since >> SINCE_SHIFT) as u32, Ordering::Relaxed);
    }

    pub(crate) fn wait_kind(&self) -> WaitKind {
        WaitKind::from_raw(self.wait_kind.load(Ordering::Relaxed))
    }

    pub(crate) fn wait_detail(&self) -> u64 {
        self.wait_detail.load(Ordering::Relaxed)
    }

    /// For how long the task has been in its wait, in milliseconds, about; right for seven weeks.
    pub(crate) fn waited_ms(&self, now_ns: u64) -> u64 {
        let since = self.wait_since.load(Ordering::Relaxed);
        let waited = ((now_ns >> SINCE_SHIFT) as u32).wrapping_sub(since);
        (u64::from(waited) << SINCE_SHIFT) / 1_000_000
    }

    #[inline]
    pub(crate) fn is_started(&self) -> bool {
        self.has_fiber.get()
    }

    /// Entry and argument. Called once, on the task's own stack.
    #[inline]
    pub(crate) fn entry(&self) -> (Entry, *mut c_void) {
        (
            self.entry.get().expect("an initialised task"),
            self.arg.get(),
        )
    }

    /// What to call, and with what, for a task that never runs; once. Under the ending lock.
    pub(crate) fn take_abandonment(&self) -> Option<(Entry, *mut c_void)> {
        Some((self.abandon.take()?, self.arg.get()))
    }

    /// Suspends the task. Returns when its worker enters it again.
    ///
    /// # Safety
    /// The task is running on the calling thread.
    #[inline(always)]
    pub(crate) unsafe fn leave(&self) {
        // SAFETY: the running task has a fiber, and by the caller's promise it is the caller's.
        unsafe { self.fiber().leave() };
    }

    /// What the worker keeps for the task while it is away.
    #[inline]
    pub(crate) fn own_state(&self) -> &OwnState {
        &self.own_state
    }

    /// Starts to fetch the part of the slot that a switch uses.
    #[inline]
    pub(crate) fn prefetch(&self) {
        crate::prefetch::read(std::ptr::from_ref(self));
        crate::prefetch::read(&raw const self.own_state);
    }

    /// Starts to fetch the frames that a suspended task goes on with.
    #[inline]
    pub(crate) fn prefetch_stack(&self) {
        // One that found no stack waits among the started ones.
        if !self.has_fiber.get() {
            return;
        }
        // SAFETY: it has a fiber, and tasks in a worker's queue are this thread's.
        let end = unsafe { self.fiber() }.frames_end();
        crate::prefetch::read(end);
        crate::prefetch::read(end.wrapping_add(64));
    }

    /// # Safety
    /// On the thread of the task's worker, while the task does not run.
    #[inline]
    pub(crate) unsafe fn set_fiber(&self, fiber: Fiber) {
        // SAFETY: owner access, by the caller's promise.
        unsafe { (*self.fiber.get()).write(fiber) };
        self.has_fiber.set(true);
    }

    /// # Safety
    /// On the thread of the task's worker, for a started task.
    #[inline]
    pub(crate) unsafe fn fiber(&self) -> &Fiber {
        // SAFETY: owner access by the caller's promise; a started task has a fiber.
        unsafe { (*self.fiber.get()).assume_init_ref() }
    }

    /// Takes the fiber of an ended task.
    ///
    /// # Safety
    /// As `fiber`, once.
    #[inline]
    pub(crate) unsafe fn take_fiber(&self) -> Fiber {
        self.has_fiber.set(false);
        // SAFETY: by the caller's promise the fiber is there and taken once.
        unsafe { (*self.fiber.get()).assume_init_read() }
    }

    /// Whether an address lies in the guard of this started task's stack. Async-signal-safe.
    pub(crate) fn stack_guards(&self, address: usize) -> bool {
        // SAFETY: called by the fault handler on the thread that runs the task; what is read does not
        // change while it runs.
        self.has_fiber.get() && unsafe { self.fiber().guards(address) }
    }

    /// `task 7 "name" (spawned at file:line:column)`, without allocation.
    pub(crate) fn describe(&self) -> Description<'_> {
        Description(self)
    }
}

pub(crate) struct Description<'a>(&'a Task);

impl fmt::Display for Description<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = self.0;
        write!(out, "task {}", task.id())?;
        if task.named.load(Ordering::Relaxed) {
            names::try_with(task, |name| write!(out, " \"{name}\"")).unwrap_or(Ok(()))?;
        }
        match task.site() {
            Some(site) => write!(out, " (spawned at {site})"),
            None => Ok(()),
        }
    }
}
