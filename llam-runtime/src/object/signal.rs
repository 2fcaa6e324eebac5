//! Signal sets (`abi.md` 4.6): signals as something a task can wait for. Linux only.
//!
//! A set is a signalfd. Its signals are blocked in the calling thread and in every thread
//! the engine runs: workers apply the process-wide mask at their next look around.

use core::ffi::c_void;

use crate::errno::Result;

/// Most signals of one set.
pub(crate) const MAX_SIGNALS: usize = 16;

#[cfg(target_os = "linux")]
pub(crate) use linux::{apply_mask, block_all, create, destroy, wait_until};

/// What one wait took.
pub(crate) struct Event {
    pub(crate) signo: i32,
    pub(crate) sequence: u64,
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Event, Result, c_void};

    pub(crate) fn create(_signals: &[i32]) -> Result<*mut c_void> {
        Err(libc::ENOTSUP)
    }

    pub(crate) fn destroy(_set: *mut c_void) -> Result<()> {
        Err(libc::ENOTSUP)
    }

    pub(crate) fn wait_until(_set: *mut c_void, _deadline_ns: u64) -> Result<Event> {
        Err(libc::ENOTSUP)
    }

    pub(crate) fn apply_mask() {}

    pub(crate) fn block_all() {}
}
#[cfg(not(target_os = "linux"))]
pub(crate) use elsewhere::{apply_mask, block_all, create, destroy, wait_until};

#[cfg(target_os = "linux")]
mod linux {

    use std::mem::MaybeUninit;
    use std::ptr;

    use parking_lot::Mutex;

    use super::{Event, MAX_SIGNALS, Result, c_void};
    use crate::clock::{NEVER, now_ns};
    use crate::errno;
    use crate::handle::{self, Guarded, Kind, Object};
    use crate::io;
    use crate::object::{Owner, live_owner};
    use crate::runtime::registry;
    use crate::slab::{Slab, Slot, SlotHead};
    use crate::spin::SpinLock;
    use crate::worker;

    #[repr(C)]
    pub(crate) struct SignalSet {
        head: SlotHead,
        owner: Owner,
        state: SpinLock<State>,
    }

    pub(crate) struct State {
        descriptor: i32,
        /// Bit n - 1 for signal n.
        signals: u64,
        sequence: u64,
        inside: u32,
    }
    // SAFETY: zero is an unlocked lock and zeros.
    unsafe impl Slot for SignalSet {
        fn head(&self) -> &SlotHead {
            &self.head
        }
    }

    /// How long a host thread waits at a time: a stop is noticed within 50 ms.
    const HOST_SLICE_NS: u64 = 40_000_000;

    static SETS: Slab<SignalSet> = Slab::new();
    /// Signals that belong to live sets.
    static TAKEN: Mutex<u64> = Mutex::new(0);

    impl Object for SignalSet {
        const KIND: Kind = Kind::SignalSet;
        fn slab() -> &'static Slab<Self> {
            &SETS
        }
    }

    impl Guarded for SignalSet {
        type State = State;
        fn state(&self) -> &SpinLock<State> {
            &self.state
        }
    }

    fn mask_of(signals: u64) -> libc::sigset_t {
        let mut mask = MaybeUninit::uninit();
        // SAFETY: sigemptyset initialises the set.
        unsafe {
            libc::sigemptyset(mask.as_mut_ptr());
            for signal in 1..=64 {
                if signals & (1 << (signal - 1)) != 0 {
                    libc::sigaddset(mask.as_mut_ptr(), signal);
                }
            }
            mask.assume_init()
        }
    }

    fn change_mask(how: i32, signals: u64) {
        // SAFETY: a valid set; the old mask is not asked for.
        unsafe { libc::pthread_sigmask(how, &mask_of(signals), ptr::null_mut()) };
    }

    /// Blocks the signals of all live sets in the calling (worker) thread.
    pub(crate) fn apply_mask() {
        let taken = *TAKEN.lock();
        if taken != 0 {
            change_mask(libc::SIG_BLOCK, taken);
        }
    }

    /// Blocks every signal in a thread of the engine's own that runs no user code.
    pub(crate) fn block_all() {
        let faults = [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGABRT,
        ];
        let faults = faults
            .iter()
            .fold(0u64, |all, signal| all | 1 << (signal - 1));
        change_mask(libc::SIG_BLOCK, !faults);
    }

    fn collect(signals: &[i32]) -> Result<u64> {
        if signals.is_empty() || signals.len() > MAX_SIGNALS {
            return Err(libc::EINVAL);
        }
        let mut all = 0u64;
        for &signal in signals {
            let usable = (1..=64).contains(&signal)
                && signal != libc::SIGKILL
                && signal != libc::SIGSTOP
                && all & (1 << (signal - 1)) == 0;
            if !usable {
                return Err(libc::EINVAL);
            }
            all |= 1 << (signal - 1);
        }
        Ok(all)
    }

    pub(crate) fn create(signals: &[i32]) -> Result<*mut c_void> {
        let all = collect(signals)?;
        {
            let mut taken = TAKEN.lock();
            if *taken & all != 0 {
                return Err(libc::EBUSY);
            }
            *taken |= all;
        }
        let give_up = |error| {
            *TAKEN.lock() &= !all;
            Err(error)
        };
        let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
        // SAFETY: a valid set and flags.
        let descriptor = unsafe { libc::signalfd(-1, &mask_of(all), flags) };
        if descriptor < 0 {
            return give_up(errno::load());
        }
        let Some(set) = SETS.allocate() else {
            // SAFETY: the descriptor made above.
            unsafe { libc::close(descriptor) };
            return give_up(libc::ENOMEM);
        };
        change_mask(libc::SIG_BLOCK, all);
        registry::make_all_workers_look();
        set.owner.set(registry::implied_owner());
        *set.state.lock() = State {
            descriptor,
            signals: all,
            sequence: 0,
            inside: 0,
        };
        Ok(handle::of(set))
    }

    pub(crate) fn destroy(set: *mut c_void) -> Result<()> {
        let checked = handle::check::<SignalSet>(set).ok_or(libc::EINVAL)?;
        registry::cleanup_standing(checked.slot.owner.get())?;
        let state = checked.lock()?;
        if state.inside > 0 {
            return Err(libc::EBUSY);
        }
        Slab::kill(checked.slot);
        let (descriptor, signals) = (state.descriptor, state.signals);
        drop(state);
        io::close(descriptor)?;
        *TAKEN.lock() &= !signals;
        change_mask(libc::SIG_UNBLOCK, signals);
        SETS.give_back([checked.slot]);
        Ok(())
    }

    pub(crate) fn wait_until(set: *mut c_void, deadline_ns: u64) -> Result<Event> {
        let checked = handle::check::<SignalSet>(set).ok_or(libc::EINVAL)?;
        live_owner(checked.slot.owner.get(), libc::EINVAL)?;
        let mut state = checked.lock()?;
        if deadline_ns != NEVER && now_ns() >= deadline_ns {
            return Err(libc::ETIMEDOUT);
        }
        if worker::current_task().is_some_and(worker::cancelled) {
            return Err(libc::ECANCELED);
        }
        state.inside += 1;
        let descriptor = state.descriptor;
        drop(state);
        let taken = take_one(descriptor, checked.slot.owner.get(), deadline_ns);
        let mut state = checked.slot.state.lock();
        state.inside -= 1;
        let signo = taken?;
        state.sequence += 1;
        Ok(Event {
            signo,
            sequence: state.sequence,
        })
    }

    fn take_one(descriptor: i32, owner: u32, deadline_ns: u64) -> Result<i32> {
        loop {
            let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
            let size = size_of::<libc::signalfd_siginfo>();
            // SAFETY: the buffer has the size that is passed.
            let count = unsafe { libc::read(descriptor, info.as_mut_ptr().cast(), size) };
            if count == size as isize {
                // SAFETY: the kernel filled the whole structure.
                return Ok(unsafe { info.assume_init() }.ssi_signo as i32);
            }
            match errno::load() {
                libc::EINTR => {}
                libc::EAGAIN => wait_for_one(descriptor, owner, deadline_ns)?,
                error => return Err(error),
            }
        }
    }

    /// A host thread is told of nothing while it polls, so it looks for a stop itself.
    fn wait_for_one(descriptor: i32, owner: u32, deadline_ns: u64) -> Result<()> {
        if worker::context().is_some() {
            return io::wait_ready(descriptor, libc::POLLIN, deadline_ns);
        }
        let stopping = registry::runtime_of(owner).is_none_or(|runtime| runtime.is_stopping());
        if stopping {
            return Err(libc::ECANCELED);
        }
        let slice = now_ns().saturating_add(HOST_SLICE_NS).min(deadline_ns);
        match io::wait_ready(descriptor, libc::POLLIN, slice) {
            Err(libc::ETIMEDOUT) if slice < deadline_ns => Ok(()),
            Err(libc::EINTR) => Ok(()),
            outcome => outcome,
        }
    }
}
