//! Guards: what stands below each stack so that an overflow faults (E5).
//!
//! `MADV_GUARD_INSTALL` (Linux 6.13) marks pages without splitting the mapping, so a million
//! guarded stacks cost one map entry. Elsewhere `mprotect` costs two entries per stack; the
//! number of stacks is then limited below `vm.max_map_count`, and start-up says so.
//! Which one works is found by trying, once. `LLAM_STACK_GUARD=mprotect` forces the second.

use std::sync::OnceLock;

/// How guards are made on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guards {
    /// `MADV_GUARD_INSTALL`: no limit but memory.
    Advised,
    /// `mprotect`: at most this many stacks at a time.
    Mprotect { max_stacks: usize },
}

/// `MADV_GUARD_INSTALL` of the kernel's `mman-common.h`.
#[cfg(target_os = "linux")]
const MADV_GUARD_INSTALL: libc::c_int = 102;
/// Linux's default for `vm.max_map_count`, used when it cannot be read.
const DEFAULT_MAX_MAP_COUNT: usize = 65_530;

static GUARDS: OnceLock<Guards> = OnceLock::new();

/// The kind of guards in use; probes on first use.
#[inline]
pub(crate) fn guards() -> Guards {
    *GUARDS.get_or_init(probe)
}

/// Size of a guard, and the unit of everything here.
#[inline]
pub(crate) fn bytes() -> usize {
    static PAGE: OnceLock<usize> = OnceLock::new();
    *PAGE.get_or_init(|| {
        // SAFETY: sysconf has no preconditions.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(page).unwrap_or(4096)
    })
}

/// Reserves `len` bytes of zeroed, writable, not yet resident memory.
pub(crate) fn map(len: usize) -> Option<usize> {
    // SAFETY: a new private mapping at an address of the kernel's choice.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return None;
    }
    #[cfg(target_os = "linux")]
    // SAFETY: advice about the mapping just made; a refusal changes nothing.
    unsafe {
        libc::madvise(start, len, libc::MADV_NOHUGEPAGE);
    }
    Some(start as usize)
}

/// Makes the page at `address` a guard. False when the system refuses.
///
/// # Safety
/// The page belongs to a mapping of `map` and holds nothing.
pub(crate) unsafe fn install(address: usize) -> bool {
    match guards() {
        // SAFETY: passed on to the caller.
        Guards::Advised => unsafe { advise(address) },
        Guards::Mprotect { .. } => {
            // SAFETY: passed on to the caller.
            unsafe { libc::mprotect(address as *mut _, bytes(), libc::PROT_NONE) == 0 }
        }
    }
}

/// Gives the pages of a range back to the system; they read as zero afterwards.
///
/// # Safety
/// The range belongs to a mapping of `map` and nothing in it is needed.
pub(crate) unsafe fn release_pages(start: usize, len: usize) {
    // SAFETY: passed on to the caller.
    unsafe { libc::madvise(start as *mut _, len, libc::MADV_DONTNEED) };
}

/// Ends a mapping of `map`, or a part of it.
///
/// # Safety
/// The range belongs to a mapping of `map`, and nobody uses it any more.
pub(crate) unsafe fn unmap(start: usize, end: usize) {
    // SAFETY: passed on to the caller.
    unsafe { libc::munmap(start as *mut _, end - start) };
}

#[cfg(target_os = "linux")]
unsafe fn advise(address: usize) -> bool {
    // SAFETY: passed on to the caller of `install`.
    unsafe { libc::madvise(address as *mut _, bytes(), MADV_GUARD_INSTALL) == 0 }
}

#[cfg(not(target_os = "linux"))]
unsafe fn advise(_address: usize) -> bool {
    false
}

fn probe() -> Guards {
    let forced = std::env::var_os("LLAM_STACK_GUARD").is_some_and(|value| value == "mprotect");
    if !forced {
        let page = map(bytes());
        // SAFETY: the page was mapped for this trial and is unmapped after it.
        let works = page.is_some_and(|page| unsafe {
            let works = advise(page);
            libc::munmap(page as *mut _, bytes());
            works
        });
        if works {
            return Guards::Advised;
        }
    }
    let max_stacks = max_stacks();
    eprintln!(
        "llam: stack guards by mprotect: at most {max_stacks} tasks at a time \
         (raise vm.max_map_count for more)"
    );
    Guards::Mprotect { max_stacks }
}

/// Two map entries per stack, a tenth of the limit left to the rest of the process.
fn max_stacks() -> usize {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse::<usize>().ok())
        .unwrap_or(DEFAULT_MAX_MAP_COUNT);
    let used = std::fs::read_to_string("/proc/self/maps").map_or(100, |text| text.lines().count());
    // Workers keep some stacks that no task has; they need entries too.
    ((limit - limit / 10).saturating_sub(used) / 2).saturating_sub(256)
}
