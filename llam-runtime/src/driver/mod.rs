//! Drivers: the only place that waits in the kernel.
//!
//! Two equal backends stand behind one small surface. A worker owns its driver; nothing
//! here is shared between threads.
//!
//! ```text
//!              submit / wait_ready            poll, wait
//!   task  ──────────────────────────> driver ────────────> completed tasks
//!            (operation on its stack)
//! ```
//!
//! An operation lives on the stack of the task that started it, and the task does not leave
//! that frame before the driver has let go of it (E3).

pub(crate) mod descriptors;
pub(crate) mod operation;
mod readiness;
#[cfg(target_os = "linux")]
mod uring;

use std::io;
use std::os::fd::RawFd;
use std::sync::Once;
use std::sync::OnceLock;

use crate::errno::Result;
use crate::runtime::options::BackendChoice;
use crate::runtime::stats::Counters;
use crate::task::Task;
pub(crate) use operation::Operation;
pub(crate) use readiness::{Readiness, ReadyWait, Registered};
#[cfg(target_os = "linux")]
pub(crate) use uring::Uring;

/// Which driver a runtime's workers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    #[cfg(target_os = "linux")]
    Uring,
    Readiness,
}

impl Backend {
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_os = "linux")]
            Self::Uring => "uring",
            Self::Readiness => "epoll",
        }
    }
}

/// Settles which backend to use. Says so in one line when the better one cannot be had.
#[cfg(target_os = "linux")]
pub(crate) fn choose(choice: BackendChoice) -> Result<Backend> {
    static PROBE: OnceLock<std::result::Result<(), i32>> = OnceLock::new();
    /// What may be gone at the next start: short of descriptors or of memory.
    const PASSING: [i32; 4] = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::EAGAIN];
    static NOTICE: Once = Once::new();
    if choice == BackendChoice::Readiness {
        return Ok(Backend::Readiness);
    }
    let probed = match PROBE.get() {
        Some(&known) => known,
        None => match uring::probe() {
            Err(error) if PASSING.contains(&error) => Err(error),
            lasting => *PROBE.get_or_init(|| lasting),
        },
    };
    match probed {
        Ok(()) => Ok(Backend::Uring),
        Err(error) if choice == BackendChoice::Uring => {
            NOTICE.call_once(|| {
                let error = io::Error::from_raw_os_error(error);
                eprintln!("llam: LLAM_IO_BACKEND asks for io_uring, which is refused: {error}");
            });
            Err(error)
        }
        Err(error) => {
            NOTICE.call_once(|| {
                let error = io::Error::from_raw_os_error(error);
                eprintln!("llam: io_uring is refused ({error}), using epoll");
            });
            Ok(Backend::Readiness)
        }
    }
}

/// Settles which backend to use.
#[cfg(not(target_os = "linux"))]
pub(crate) fn choose(choice: BackendChoice) -> Result<Backend> {
    if choice == BackendChoice::Uring {
        return Err(libc::ENOTSUP);
    }
    Ok(Backend::Readiness)
}

/// A worker's driver.
pub(crate) enum Driver {
    #[cfg(target_os = "linux")]
    Uring(Box<Uring>),
    Readiness(Box<Readiness>),
}

impl Driver {
    /// Opens a driver on the calling thread, which must be the only one to use it.
    pub(crate) fn open(backend: Backend, bell: RawFd) -> io::Result<Self> {
        match backend {
            #[cfg(target_os = "linux")]
            Backend::Uring => Ok(Self::Uring(Box::new(Uring::open(bell)?))),
            Backend::Readiness => Ok(Self::Readiness(Box::new(Readiness::open(bell)?))),
        }
    }

    /// Hands over what was submitted and reaps what has completed, without waiting.
    /// `ready` gets each task whose park was ended.
    pub(crate) fn poll(&mut self, counters: &Counters, ready: &mut dyn FnMut(&'static Task)) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Uring(driver) => driver.poll(counters, ready),
            Self::Readiness(driver) => driver.wait(Some(0), counters, ready),
        }
    }

    /// As `poll`, but waits until something completes, the bell rings, or `timeout_ns` has
    /// passed.
    pub(crate) fn wait(
        &mut self,
        timeout_ns: Option<u64>,
        counters: &Counters,
        ready: &mut dyn FnMut(&'static Task),
    ) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Uring(driver) => driver.wait(timeout_ns, counters, ready),
            Self::Readiness(driver) => driver.wait(timeout_ns, counters, ready),
        }
    }

    /// Takes every operation back from the kernel. Their tasks become ready and try again,
    /// on whatever driver their worker has then.
    pub(crate) fn retire(&mut self, counters: &Counters, ready: &mut dyn FnMut(&'static Task)) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Uring(driver) => driver.retire(counters, ready),
            Self::Readiness(driver) => driver.retire(ready),
        }
    }

    /// Watches another worker's bell from now on. After `retire`.
    pub(crate) fn watch_bell(&mut self, bell: RawFd) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Uring(driver) => driver.set_bell(bell),
            Self::Readiness(driver) => driver.set_bell(bell),
        }
    }

    /// Closes the driver; no operation is in flight.
    pub(crate) fn close(self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::Uring(driver) => driver.close(),
            Self::Readiness(driver) => drop(driver),
        }
    }
}
