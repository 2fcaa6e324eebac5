//! What the tests share: a watchdog, a way to run a body as a task, bounded waits.
//!
//! Every test body goes through [`run`] (or holds a [`Watchdog`] itself), so that a hang ends the
//! process with a message instead of stopping the suite.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a test may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How long a test waits for something that should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Ends the process when the test takes too long.
pub(crate) struct Watchdog {
    done: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watchdog {
    pub(crate) fn start() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        let thread = std::thread::spawn(move || {
            let end = Instant::now() + LIMIT;
            while !seen.load(Ordering::Acquire) {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    eprintln!("watchdog: {name} takes longer than {LIMIT:?}");
                    llam::diagnostics::dump_runtime_state(&std::io::stderr());
                    std::process::abort();
                }
                std::thread::park_timeout(left);
            }
        });
        Self {
            done,
            thread: Some(thread),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            thread.join().unwrap();
        }
    }
}

static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// For tests that start runtimes themselves: one at a time, and none beside those of [`run`].
pub(crate) fn alone() -> (std::sync::MutexGuard<'static, ()>, Watchdog) {
    let turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    (turn, Watchdog::start())
}

/// Runs the body as the first task of the default runtime.
pub(crate) fn run(body: impl FnOnce() -> llam::Result<()> + Send + 'static) {
    // The time counts from the test's own turn.
    let (_turn, _watchdog) = alone();
    llam::test(body).unwrap();
}

/// For what only the bundled engine can do: false, and a line that says so, on an installed SDK.
#[must_use]
pub(crate) fn needs_bundled_engine(what: &str) -> bool {
    if !llam::sys::ext::IS_BUNDLED {
        // Not by `eprintln`, which the test harness swallows.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED without the bundled engine: {what}"
        );
    }
    llam::sys::ext::IS_BUNDLED
}

/// For what ABI 2 brought: false, and a line that says so, on an SDK 1.x.
#[must_use]
pub(crate) fn needs_abi_2(what: &str) -> bool {
    let has = llam::sys::ext::ABI_MAJOR >= 2;
    if !has {
        let _ = writeln!(std::io::stderr(), "SKIPPED on an SDK 1.x: {what}");
    }
    has
}

/// Waits inside a task until the condition holds.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < end, "in vain: {what}");
        llam::time::sleep(Duration::from_millis(1)).unwrap();
    }
}

/// Waits on a host thread until the condition holds.
pub(crate) fn until_on_host(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !condition() {
        assert!(Instant::now() < end, "in vain: {what}");
        std::thread::yield_now();
    }
}

/// Counts drops.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drops(Arc<std::sync::atomic::AtomicUsize>);

impl Drops {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn token(&self) -> DropToken {
        DropToken(self.clone())
    }
}

/// Adds one to its counter when dropped.
#[derive(Debug)]
pub(crate) struct DropToken(Drops);

impl Drop for DropToken {
    fn drop(&mut self) {
        (self.0).0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Keeps the message of an expected panic off the output.
pub(crate) fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let text = info
                .payload()
                .downcast_ref::<&str>()
                .copied()
                .unwrap_or_default();
            if !text.starts_with("expected:") {
                before(info);
            }
        }));
    });
}
