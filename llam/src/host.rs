//! Work that a task may not do itself: handing it to a host thread.
//!
//! Owns one OS thread, started on first use, and its queue. A task may not touch objects of another
//! runtime (`abi.md` R2, `EXDEV`), not even to destroy or close them; a host thread may. So whoever
//! meets `EXDEV` where there is nobody to report it to (drops, wakes) sends the rest of the work
//! here. Invariant: jobs do not park and do not panic. The queue is bounded by the number of live
//! objects: each job is about one of them.

use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};

type Job = Box<dyn FnOnce() + Send>;

static QUEUE: OnceLock<Option<Sender<Job>>> = OnceLock::new();

fn start() -> Option<Sender<Job>> {
    let (sender, receiver) = mpsc::channel::<Job>();
    std::thread::Builder::new()
        .name("llam-host".into())
        .spawn(move || {
            for job in receiver {
                // A destructor of a user's value may run in here; its panic must not end the thread.
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
            }
        })
        .ok()
        .map(|_| sender)
}

/// Runs the job on the host thread, some time later. When no thread can be had the job is dropped,
/// and what it would have freed leaks.
#[cold]
pub(crate) fn run_later(job: impl FnOnce() + Send + 'static) {
    if let Some(queue) = QUEUE.get_or_init(start) {
        let _ = queue.send(Box::new(job));
    }
}

/// Whether the last failed call was refused because the object belongs to another runtime.
pub(crate) fn is_foreign() -> bool {
    std::io::Error::last_os_error().raw_os_error() == Some(libc::EXDEV)
}

/// A handle value on its way to the host thread.
pub(crate) struct Carried<T>(*mut T);

// SAFETY: handles are tokens that the engine checks (`abi.md` R1) and that any thread may use; the
// pointer is never read through here.
unsafe impl<T> Send for Carried<T> {}

impl<T> Carried<T> {
    pub(crate) fn new(handle: *mut T) -> Self {
        Self(handle)
    }

    pub(crate) fn handle(&self) -> *mut T {
        self.0
    }
}
