//! Task groups (`abi.md` 4.4, 5.9): a list of children and a token of its own.

use core::ffi::c_void;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::Owner;
use super::join::{self, Mode};
use super::{live_owner, token};
use crate::errno::Result;
use crate::handle::{self, Guarded, Kind, Object};
use crate::runtime::{Runtime, registry};
use crate::slab::{Slab, Slot, SlotHead};
use crate::spin::SpinLock;
use crate::task::Task;
use crate::worker;

#[repr(C)]
pub(crate) struct Group {
    head: SlotHead,
    owner: Owner,
    token: AtomicPtr<c_void>,
    state: SpinLock<State>,
}

pub(crate) struct State {
    /// Handles of unjoined children in spawn order; `None` until the first. Boxed so that
    /// all-zero bytes are a value.
    #[expect(
        clippy::box_collection,
        reason = "a null box is what a zeroed slot holds"
    )]
    children: Option<Box<VecDeque<usize>>>,
    joining: bool,
    /// Spawn and cancel calls in progress.
    calls: u32,
}
// SAFETY: zero is an unlocked lock, `None` (a null box), false, 0.
unsafe impl Slot for Group {
    fn head(&self) -> &SlotHead {
        &self.head
    }
}

static GROUPS: Slab<Group> = Slab::new();

impl Object for Group {
    const KIND: Kind = Kind::Group;
    fn slab() -> &'static Slab<Self> {
        &GROUPS
    }
}

impl State {
    fn children(&mut self) -> &mut VecDeque<usize> {
        self.children.get_or_insert_with(Box::default)
    }

    fn is_empty(&self) -> bool {
        self.children
            .as_ref()
            .is_none_or(|children| children.is_empty())
    }

    /// Forgets children that a shutdown has reclaimed.
    fn drop_dead_children(&mut self) {
        if let Some(children) = &mut self.children {
            children.retain(|&child| handle::find::<Task>(child as *const c_void).is_some());
        }
    }
}

impl Guarded for Group {
    type State = State;
    fn state(&self) -> &SpinLock<State> {
        &self.state
    }
}

pub(crate) fn create() -> Result<*mut c_void> {
    let owner = registry::implied_owner();
    let token = token::create_for(owner)?;
    let Some(group) = GROUPS.allocate() else {
        let _ = token::destroy(token);
        return Err(libc::ENOMEM);
    };
    group.owner.set(owner);
    group.token.store(token, Ordering::Relaxed);
    Ok(handle::of(group))
}

pub(crate) fn destroy(group: *mut c_void) -> Result<()> {
    let checked = handle::check::<Group>(group).ok_or(libc::EINVAL)?;
    registry::cleanup_standing(checked.slot.owner.get())?;
    let mut state = checked.lock()?;
    state.drop_dead_children();
    if state.joining || state.calls > 0 || !state.is_empty() {
        return Err(libc::EBUSY);
    }
    token::destroy(checked.slot.token.load(Ordering::Relaxed))?;
    state.children = None;
    Slab::kill(checked.slot);
    drop(state);
    GROUPS.give_back([checked.slot]);
    Ok(())
}

/// A spawn into a group, in progress: the group cannot be joined or destroyed meanwhile.
pub(crate) struct Joining {
    group: &'static Group,
    /// The group's own token.
    pub(crate) token: *mut c_void,
    pub(crate) runtime: &'static Runtime,
}

/// Checks a group for a spawn. The caller keeps the owner live when it is a host thread.
pub(crate) fn begin_spawn(group: *mut c_void) -> Result<Joining> {
    let checked = handle::check::<Group>(group).ok_or(libc::EINVAL)?;
    let owner = checked.slot.owner.get();
    live_owner(owner, libc::EINVAL)?;
    let runtime = registry::runtime_of(owner).ok_or(libc::EXDEV)?;
    let mut state = checked.lock()?;
    if state.joining {
        return Err(libc::EBUSY);
    }
    state.calls += 1;
    Ok(Joining {
        group: checked.slot,
        token: checked.slot.token.load(Ordering::Relaxed),
        runtime,
    })
}

impl Joining {
    /// Enters the child; called before anybody can run it.
    pub(crate) fn enter(&self, child: *mut c_void) {
        self.group.state.lock().children().push_back(child as usize);
    }
}

impl Drop for Joining {
    fn drop(&mut self) {
        self.group.state.lock().calls -= 1;
    }
}

pub(crate) fn cancel(group: *mut c_void) -> Result<()> {
    let checked = handle::check::<Group>(group).ok_or(libc::EINVAL)?;
    registry::standing(checked.slot.owner.get())?;
    drop(checked.lock()?);
    token::cancel(checked.slot.token.load(Ordering::Relaxed))
}

pub(crate) fn join_until(group: *mut c_void, deadline_ns: u64) -> Result<()> {
    let checked = handle::check::<Group>(group).ok_or(libc::EINVAL)?;
    let owner = checked.slot.owner.get();
    registry::standing(owner)?;
    {
        let mut state = checked.lock()?;
        if state.joining || state.calls > 0 {
            return Err(libc::EBUSY);
        }
        if state.is_empty() {
            return Ok(());
        }
        live_owner(owner, libc::EINVAL)?;
        if let Some(own) = worker::current_task() {
            let own = handle::of(own) as usize;
            if state.children().contains(&own) {
                return Err(libc::EDEADLK);
            }
        }
        state.joining = true;
    }
    let outcome = join_children(checked.slot, deadline_ns);
    checked.slot.state.lock().joining = false;
    outcome
}

fn join_children(group: &'static Group, deadline_ns: u64) -> Result<()> {
    loop {
        let Some(child) = group.state.lock().children().front().copied() else {
            return Ok(());
        };
        match join::join(child as *mut c_void, deadline_ns, Mode::Group) {
            Ok(()) => {
                group.state.lock().children().pop_front();
            }
            Err(error) => return Err(error),
        }
    }
}
