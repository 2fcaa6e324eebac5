//! What every file of the ABI suite shares: sessions, tasks from closures, errno, deadlines.
//!
//! Owns the process-wide lock that keeps one test at a time on the default runtime, and the watchdog
//! that ends the process when a test hangs. Invariants: a panic inside a task is raised again on the
//! thread that runs the runtime; every wait ends by [`PATIENCE`] or by the watchdog. Used by the test
//! files of this folder alone; each uses a part of it.

#![allow(
    dead_code,
    unused_macros,
    unreachable_pub,
    reason = "every test file compiles this module into itself and uses a part of it"
)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "each block calls the ABI under test with arguments the test itself made"
)]

pub mod io;

use core::ffi::{c_int, c_void};
use std::any::Any;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use llam_sys::*;

/// How long a test waits for something that must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How long a whole test may take before the process is aborted.
const TEST_LIMIT: Duration = Duration::from_secs(60);
/// No deadline.
pub const FOREVER: u64 = u64::MAX;
/// One millisecond in nanoseconds.
pub const MS: u64 = 1_000_000;

/// The calling thread's (inside a task: the task's) `errno`.
#[inline(never)]
pub fn errno() -> c_int {
    unsafe { *libc::__errno_location() }
}

/// Sets the calling thread's (inside a task: the task's) `errno`.
#[inline(never)]
pub fn set_errno(code: c_int) {
    unsafe { *libc::__errno_location() = code }
}

/// An absolute deadline that many milliseconds from now.
pub fn after_ms(ms: u64) -> u64 {
    unsafe { llam_now_ns() + ms * MS }
}

/// The absolute form of [`PATIENCE`].
pub fn soon() -> u64 {
    after_ms(PATIENCE.as_millis() as u64)
}

/// How the functions of the ABI report failure.
pub trait Outcome: Copy + std::fmt::Debug {
    /// -1 or null.
    fn is_failure(self) -> bool;
    /// 0 or non-null.
    fn is_success(self) -> bool;
}

impl Outcome for c_int {
    fn is_failure(self) -> bool {
        self == -1
    }
    fn is_success(self) -> bool {
        self == 0
    }
}

impl Outcome for isize {
    fn is_failure(self) -> bool {
        self == -1
    }
    fn is_success(self) -> bool {
        self >= 0
    }
}

impl<T> Outcome for *mut T {
    fn is_failure(self) -> bool {
        self.is_null()
    }
    fn is_success(self) -> bool {
        !self.is_null()
    }
}

/// Requires success (0, a count, or non-null) and gives the value.
macro_rules! ok {
    ($call:expr) => {{
        let value = $call;
        let code = $crate::common::errno();
        assert!(
            $crate::common::Outcome::is_success(value),
            "{} gave {value:?}, errno {code}",
            stringify!($call)
        );
        value
    }};
}

/// Requires failure (-1 or null) with exactly this `errno`.
macro_rules! fails {
    ($call:expr, $code:expr) => {{
        $crate::common::set_errno(0);
        let value = $call;
        let code = $crate::common::errno();
        assert!(
            $crate::common::Outcome::is_failure(value),
            "{} gave {value:?}, expected errno {}",
            stringify!($call),
            stringify!($code)
        );
        assert_eq!(
            code,
            $code,
            "{} failed with {code}, not {}",
            stringify!($call),
            stringify!($code)
        );
    }};
}

/// Requires success and that `errno` is as it was.
macro_rules! keeps_errno {
    ($call:expr) => {{
        $crate::common::set_errno(77);
        let value = $call;
        let code = $crate::common::errno();
        assert!(
            $crate::common::Outcome::is_success(value),
            "{} gave {value:?}, errno {code}",
            stringify!($call)
        );
        assert_eq!(code, 77, "{} changed errno", stringify!($call));
        value
    }};
}

/// A raw handle that closures may carry to other threads.
#[derive(Debug)]
pub struct H<T>(*mut T);

impl<T> Clone for H<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for H<T> {}

// SAFETY: the engine checks every handle it is given, on any thread.
unsafe impl<T> Send for H<T> {}
// SAFETY: as above; the value itself is plain data.
unsafe impl<T> Sync for H<T> {}

impl<T> H<T> {
    /// Wraps a handle, which must not be null.
    pub fn new(raw: *mut T) -> Self {
        assert!(!raw.is_null(), "no handle, errno {}", errno());
        H(raw)
    }

    /// The handle.
    pub fn raw(self) -> *mut T {
        self.0
    }
}

pub type Task = H<llam_task_t>;

static SERIAL: Mutex<()> = Mutex::new(());
static PANICS: Mutex<Vec<Box<dyn Any + Send>>> = Mutex::new(Vec::new());

/// The only test that runs at the moment, under the watchdog; the runtime is not live.
pub struct Serial {
    _stop_watchdog: Sender<()>,
    _lock: MutexGuard<'static, ()>,
}

/// Waits for the other tests, then starts the watchdog.
pub fn serial() -> Serial {
    let lock = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
    PANICS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clear();
    let name = thread::current().name().unwrap_or("?").to_owned();
    let (stop, stopped) = channel::<()>();
    thread::spawn(move || {
        if stopped.recv_timeout(TEST_LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("test {name} took more than {} s", TEST_LIMIT.as_secs());
            let dump = thread::spawn(|| unsafe { llam_dump_runtime_state(2) });
            let give_up = Instant::now() + Duration::from_secs(2);
            while !dump.is_finished() && Instant::now() < give_up {
                thread::sleep(Duration::from_millis(10));
            }
            std::process::abort();
        }
    });
    Serial {
        _stop_watchdog: stop,
        _lock: lock,
    }
}

/// A test with the default runtime live; shut down when it is dropped.
pub struct Live {
    _serial: Serial,
}

/// The default runtime with default options.
pub fn live() -> Live {
    let serial = serial();
    ok!(unsafe { llam_runtime_init_ex(std::ptr::null(), 0) });
    Live { _serial: serial }
}

/// The default runtime with these options.
pub fn live_with(opts: &llam_runtime_opts_t) -> Live {
    let serial = serial();
    ok!(unsafe { llam_runtime_init_ex(opts, LLAM_RUNTIME_OPTS_CURRENT_SIZE) });
    Live { _serial: serial }
}

/// The default runtime with one worker and FIFO order.
pub fn live_deterministic() -> Live {
    let mut opts = runtime_opts();
    opts.deterministic = 1;
    live_with(&opts)
}

impl Live {
    /// Runs until no task is left; requires success.
    pub fn run(&self) {
        let code = unsafe { llam_run() };
        let errno = errno();
        raise_task_panics();
        assert_eq!(code, 0, "llam_run failed with errno {errno}");
    }

    /// Runs and requires this fatal error.
    pub fn run_fails(&self, expected: c_int) {
        let code = unsafe { llam_run() };
        let errno = errno();
        raise_task_panics();
        assert_eq!((code, errno), (-1, expected), "llam_run");
    }

    /// Runs on another thread while this one does something, then waits for the run to end.
    pub fn run_beside<R>(&self, beside: impl FnOnce() -> R) -> R {
        run_beside(|| unsafe { llam_run() }, beside)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        unsafe { llam_runtime_shutdown() }
    }
}

/// Calls `run` on another thread while this one does something; requires that `run` gives 0.
pub fn run_beside<R>(run: impl FnOnce() -> c_int + Send, beside: impl FnOnce() -> R) -> R {
    thread::scope(|scope| {
        let runner = scope.spawn(move || {
            let code = run();
            (code, errno())
        });
        let result = catch_unwind(AssertUnwindSafe(beside));
        if result.is_err() {
            unsafe { llam_runtime_request_stop() };
        }
        let (code, errno) = runner.join().expect("the running thread panicked");
        let result = result.unwrap_or_else(|panic| resume_unwind(panic));
        raise_task_panics();
        assert_eq!(code, 0, "run failed with errno {errno}");
        result
    })
}

/// Raises the first panic of a task on this thread.
pub fn raise_task_panics() {
    let first = {
        let mut panics = PANICS.lock().unwrap_or_else(PoisonError::into_inner);
        if panics.is_empty() {
            None
        } else {
            Some(panics.remove(0))
        }
    };
    if let Some(panic) = first {
        resume_unwind(panic);
    }
}

/// An explicit runtime, destroyed when dropped.
pub struct Runtime {
    pub handle: H<llam_runtime_t>,
}

impl Runtime {
    /// A runtime with default options.
    pub fn create() -> Self {
        let mut out = std::ptr::null_mut();
        ok!(unsafe { llam_runtime_create(std::ptr::null(), 0, &mut out) });
        Runtime {
            handle: H::new(out),
        }
    }

    /// Runs until no task of it is left; requires success.
    pub fn run(&self) {
        let code = unsafe { llam_runtime_run_handle(self.handle.raw()) };
        let errno = errno();
        raise_task_panics();
        assert_eq!(code, 0, "llam_runtime_run_handle failed with errno {errno}");
    }

    /// Spawns a closure on this runtime.
    pub fn spawn<R>(&self, f: impl FnOnce() -> R + Send + 'static) -> Task {
        let task = unsafe {
            llam_runtime_spawn_ex(
                self.handle.raw(),
                Some(enter),
                boxed(f),
                std::ptr::null(),
                0,
            )
        };
        H::new(task)
    }

    /// Runs a closure in a task of this runtime and gives its value.
    pub fn in_task<R: Send + 'static>(&self, f: impl FnOnce() -> R + Send + 'static) -> R {
        let (send, receive) = channel();
        let task = self.spawn(move || {
            let _ = send.send(f());
        });
        self.run();
        ok!(unsafe { llam_join(task.raw()) });
        receive.recv().expect("the task gave no value")
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        unsafe { llam_runtime_destroy(self.handle.raw()) }
    }
}

/// Default runtime options.
pub fn runtime_opts() -> llam_runtime_opts_t {
    let mut opts = MaybeUninit::zeroed();
    unsafe {
        ok!(llam_runtime_opts_init(
            opts.as_mut_ptr(),
            LLAM_RUNTIME_OPTS_CURRENT_SIZE
        ));
        opts.assume_init()
    }
}

/// Default spawn options.
pub fn spawn_opts() -> llam_spawn_opts_t {
    let mut opts = MaybeUninit::zeroed();
    unsafe {
        ok!(llam_spawn_opts_init(
            opts.as_mut_ptr(),
            LLAM_SPAWN_OPTS_CURRENT_SIZE
        ));
        opts.assume_init()
    }
}

/// Spawn options that name this token.
pub fn with_token(token: H<llam_cancel_token_t>) -> llam_spawn_opts_t {
    let mut opts = spawn_opts();
    opts.cancel_token = token.raw();
    opts
}

/// A snapshot of the default runtime's statistics.
pub fn stats() -> llam_runtime_stats_t {
    let mut stats = MaybeUninit::zeroed();
    unsafe {
        ok!(llam_runtime_collect_stats_ex(
            stats.as_mut_ptr(),
            LLAM_RUNTIME_STATS_CURRENT_SIZE
        ));
        stats.assume_init()
    }
}

type Body = Box<dyn FnOnce() + Send>;

/// A closure as the argument of [`enter`].
pub fn boxed<R>(f: impl FnOnce() -> R + Send + 'static) -> *mut c_void {
    let body: Body = Box::new(move || drop(f()));
    Box::into_raw(Box::new(body)).cast()
}

/// The task entry that runs a closure made by [`boxed`]. A panic stops the runtime and is raised
/// again by whoever runs it.
pub unsafe extern "C" fn enter(arg: *mut c_void) {
    let body = unsafe { Box::from_raw(arg.cast::<Body>()) };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
        PANICS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(panic);
        unsafe { llam_runtime_request_stop() };
    }
}

/// A task entry that does nothing.
pub unsafe extern "C" fn nothing(_: *mut c_void) {}

/// Spawns a closure on the caller's runtime.
pub fn spawn<R>(f: impl FnOnce() -> R + Send + 'static) -> Task {
    H::new(unsafe { llam_spawn_ex(Some(enter), boxed(f), std::ptr::null(), 0) })
}

/// Spawns a closure with options.
pub fn spawn_with<R>(opts: &llam_spawn_opts_t, f: impl FnOnce() -> R + Send + 'static) -> Task {
    H::new(unsafe { llam_spawn_ex(Some(enter), boxed(f), opts, LLAM_SPAWN_OPTS_CURRENT_SIZE) })
}

/// Joins a task within [`PATIENCE`].
pub fn join(task: Task) {
    ok!(unsafe { llam_join_until(task.raw(), soon()) });
}

/// Runs a closure in a task of a fresh default runtime and gives its value.
pub fn run_in_task<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let live = live();
    in_task(&live, f)
}

/// Runs a closure in a task of the live default runtime and gives its value.
pub fn in_task<R: Send + 'static>(live: &Live, f: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, receive) = channel();
    let task = spawn(move || {
        let _ = send.send(f());
    });
    live.run();
    join(task);
    receive.recv().expect("the task gave no value")
}

/// Runs a closure in a task whose token was cancelled before it started.
pub fn run_cancelled<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    run_in_task(move || in_cancelled_task(f))
}

/// From inside a task: runs a closure in a child whose token was cancelled before it started.
pub fn in_cancelled_task<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (send, receive) = channel();
    let token = token();
    ok!(unsafe { llam_cancel_token_cancel(token.raw()) });
    let task = spawn_with(&with_token(token), move || {
        let _ = send.send(f());
    });
    join(task);
    ok!(unsafe { llam_cancel_token_destroy(token.raw()) });
    receive
        .try_recv()
        .expect("the cancelled task gave no value")
}

/// A new cancel token.
pub fn token() -> H<llam_cancel_token_t> {
    H::new(unsafe { llam_cancel_token_create() })
}

/// A new mutex.
pub fn mutex() -> H<llam_mutex_t> {
    H::new(unsafe { llam_mutex_create() })
}

/// A new condition variable.
pub fn cond() -> H<llam_cond_t> {
    H::new(unsafe { llam_cond_create() })
}

/// A new channel.
pub fn chan(capacity: usize) -> H<llam_channel_t> {
    H::new(unsafe { llam_channel_create(capacity) })
}

/// A new task group.
pub fn group() -> H<llam_task_group_t> {
    H::new(unsafe { llam_task_group_create() })
}

/// A payload or argument that is not a pointer.
pub fn word(value: usize) -> *mut c_void {
    std::ptr::without_provenance_mut(value)
}

/// Whether the caller is a task.
pub fn is_task() -> bool {
    unsafe { !llam_current_task().is_null() }
}

/// Waits until `done` holds; fails after [`PATIENCE`]. In a task others run meanwhile.
#[track_caller]
pub fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    let mut rounds = 0_u32;
    while !done() {
        assert!(Instant::now() < give_up, "never: {what}");
        rounds += 1;
        if !is_task() {
            thread::sleep(Duration::from_millis(1));
        } else if rounds < 20 {
            unsafe { llam_yield() };
        } else {
            // A cancelled task cannot sleep; it yields instead.
            unsafe {
                if llam_sleep_ns(MS) != 0 {
                    llam_yield();
                }
            }
        }
    }
}

/// The state name of a task.
pub fn state(task: Task) -> &'static str {
    unsafe { std::ffi::CStr::from_ptr(llam_task_state_name(task.raw())) }
        .to_str()
        .expect("state names are ASCII")
}

/// Waits until a task is parked.
#[track_caller]
pub fn await_parked(task: Task) {
    eventually("the task parks", || state(task) == "PARKED");
}

/// Runs a closure on a host thread without a runtime, on a host thread with one, and in a task.
pub fn everywhere(f: impl Fn() + Send + 'static) {
    let alone = serial();
    f();
    drop(alone);
    let live = live();
    f();
    in_task(&live, f);
}
