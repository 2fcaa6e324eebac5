//! Interval timers (`abi.md` 4.5): ticks are counted, not queued.

use core::ffi::c_void;

use super::Owner;
use super::live_owner;
use crate::clock::{NEVER, now_ns};
use crate::errno::Result;
use crate::handle::{self, Guarded, Kind, Object};
use crate::runtime::registry;
use crate::slab::{Slab, Slot, SlotHead};
use crate::spin::{SpinGuard, SpinLock};
use crate::task::WaitKind;
use crate::wait::Reason;
use crate::waiter::{HostWait, Waiter};
use crate::worker;

#[repr(C)]
pub(crate) struct Timer {
    head: SlotHead,
    owner: Owner,
    state: SpinLock<State>,
}

pub(crate) struct State {
    /// When the next tick is due.
    next_ns: u64,
    interval_ns: u64,
    cancelled: bool,
    /// Calls inside a wait.
    inside: u32,
    /// Who waits; `None` until the first. Boxed so that all-zero bytes are a value.
    #[expect(
        clippy::box_collection,
        reason = "a null box is what a zeroed slot holds"
    )]
    waiters: Option<Box<Vec<Waiter>>>,
}

// SAFETY: waiters are used under the lock, see `Waiter::wake`.
unsafe impl Send for State {}
// SAFETY: zero is an unlocked lock, 0, false, `None` (a null box).
unsafe impl Slot for Timer {
    fn head(&self) -> &SlotHead {
        &self.head
    }
}

static TIMERS: Slab<Timer> = Slab::new();

impl Object for Timer {
    const KIND: Kind = Kind::Timer;
    fn slab() -> &'static Slab<Self> {
        &TIMERS
    }
}

impl State {
    /// Takes the ticks that are due; the phase is kept.
    fn take_ticks(&mut self, now: u64) -> Option<u64> {
        if now < self.next_ns {
            return None;
        }
        let ticks = (now - self.next_ns) / self.interval_ns + 1;
        self.next_ns = self
            .next_ns
            .saturating_add(ticks.saturating_mul(self.interval_ns));
        Some(ticks)
    }

    fn wake_all(&mut self) {
        if let Some(waiters) = &mut self.waiters {
            for waiter in waiters.drain(..) {
                // SAFETY: taken under the lock, which is still held.
                unsafe { waiter.wake(Reason::Woken) };
            }
        }
    }
}

impl Guarded for Timer {
    type State = State;
    fn state(&self) -> &SpinLock<State> {
        &self.state
    }
}

fn first_tick(first_ns: u64) -> u64 {
    if first_ns == 0 { now_ns() } else { first_ns }
}

pub(crate) fn create(first_ns: u64, interval_ns: u64) -> Result<*mut c_void> {
    let timer = TIMERS.allocate().ok_or(libc::ENOMEM)?;
    timer.owner.set(registry::implied_owner());
    let mut state = timer.state.lock();
    state.next_ns = first_tick(first_ns);
    state.interval_ns = interval_ns;
    state.cancelled = false;
    drop(state);
    Ok(handle::of(timer))
}

pub(crate) fn destroy(timer: *mut c_void) -> Result<()> {
    let checked = handle::check::<Timer>(timer).ok_or(libc::EINVAL)?;
    registry::cleanup_standing(checked.slot.owner.get())?;
    let mut state = checked.lock()?;
    if state.inside > 0 {
        return Err(libc::EBUSY);
    }
    state.waiters = None;
    Slab::kill(checked.slot);
    drop(state);
    TIMERS.give_back([checked.slot]);
    Ok(())
}

pub(crate) fn reset(timer: *mut c_void, first_ns: u64, interval_ns: u64) -> Result<()> {
    if interval_ns == 0 {
        return Err(libc::EINVAL);
    }
    change(timer, |state| {
        state.next_ns = first_tick(first_ns);
        state.interval_ns = interval_ns;
        state.cancelled = false;
    })
}

pub(crate) fn cancel(timer: *mut c_void) -> Result<()> {
    change(timer, |state| state.cancelled = true)
}

fn change(timer: *mut c_void, edit: impl FnOnce(&mut State)) -> Result<()> {
    let checked = handle::check::<Timer>(timer).ok_or(libc::EINVAL)?;
    live_owner(checked.slot.owner.get(), libc::EINVAL)?;
    let mut state = checked.lock()?;
    edit(&mut state);
    state.wake_all();
    Ok(())
}

/// Waits for at least one tick and takes all that are due.
pub(crate) fn wait_until(timer: *mut c_void, deadline_ns: u64) -> Result<u64> {
    if deadline_ns == 0 {
        return Err(libc::ETIMEDOUT);
    }
    let checked = handle::check::<Timer>(timer).ok_or(libc::EINVAL)?;
    live_owner(checked.slot.owner.get(), libc::EINVAL)?;
    let mut state = checked.lock()?;
    state.inside += 1;
    let outcome = loop {
        if state.cancelled {
            break Err(libc::ECANCELED);
        }
        let now = now_ns();
        if let Some(ticks) = state.take_ticks(now) {
            break Ok(ticks);
        }
        if deadline_ns != NEVER && now >= deadline_ns {
            break Err(libc::ETIMEDOUT);
        }
        let until = deadline_ns.min(state.next_ns);
        match wait_once(checked.slot, state, until) {
            Ok(again) => state = again,
            Err(error) => {
                state = checked.slot.state.lock();
                break Err(error);
            }
        }
    };
    state.inside -= 1;
    outcome
}

/// Waits until something happens to the timer, or until `until`.
fn wait_once(
    timer: &'static Timer,
    mut state: SpinGuard<'static, State>,
    until: u64,
) -> Result<SpinGuard<'static, State>> {
    match worker::context() {
        None => {
            let host = HostWait::new();
            state
                .waiters
                .get_or_insert_with(Box::default)
                .push(Waiter::Host(&host));
            drop(state);
            host.block_until(until);
            let mut state = timer.state.lock();
            if let Some(waiters) = &mut state.waiters {
                waiters.retain(
                    |waiter| !matches!(waiter, Waiter::Host(own) if std::ptr::eq(*own, &host)),
                );
            }
            Ok(state)
        }
        Some((worker, task)) => {
            if worker::cancelled(task) {
                return Err(libc::ECANCELED);
            }
            let armed = task.wait.arm(true);
            let waiter = Waiter::Task { task, armed };
            state.waiters.get_or_insert_with(Box::default).push(waiter);
            drop(state);
            let reason = worker::park(worker, task, armed, until, WaitKind::Timer, 0);
            let mut state = timer.state.lock();
            if let Some(waiters) = &mut state.waiters {
                waiters.retain(|waiter| !matches!(waiter, Waiter::Task { task: own, .. } if std::ptr::eq(*own, task)));
            }
            if reason == Reason::Cancelled {
                return Err(libc::ECANCELED);
            }
            if reason == Reason::Timeout && task.park_deadline.get() <= now_ns() {
                return Err(libc::ETIMEDOUT);
            }
            Ok(state)
        }
    }
}
