//! Tasks and task groups (`abi.md` 4.3, 4.4).

use core::ffi::{c_char, c_int, c_void};
use std::panic::Location;

use super::convert::{failed, quiet_handle, quiet_status, status};
use super::options::{SpawnOpts, read_spawn};
use crate::clock::NEVER;
use crate::errno::{self, Result};
use crate::handle;
use crate::object::group;
use crate::object::join::{self, Mode};
use crate::object::token;
use crate::runtime::{Runtime, registry};
use crate::stack::StackClass;
use crate::task::{Blueprint, Entry, Task, flag};
use crate::worker;

/// What a spawn call was given.
pub(crate) struct SpawnRequest<'a> {
    pub(crate) entry: Option<Entry>,
    pub(crate) arg: *mut c_void,
    /// Called with `arg` when the task is dropped without having run.
    pub(crate) abandon: Option<Entry>,
    /// What the options say; `EINVAL` for options of size 0.
    pub(crate) opts: Result<SpawnOpts>,
    pub(crate) name: Option<&'a str>,
    pub(crate) site: Option<&'static Location<'static>>,
    /// A pinned task may still be placed elsewhere before its start (the binding's tasks).
    pub(crate) movable_when_fresh: bool,
}

impl SpawnRequest<'_> {
    /// # Safety
    /// `opts` is null or readable for `size` bytes; `entry` may be called with `arg` on
    /// another thread.
    pub(crate) unsafe fn read(
        entry: Option<Entry>,
        arg: *mut c_void,
        opts: *const SpawnOpts,
        size: usize,
    ) -> Self {
        Self {
            entry,
            arg,
            abandon: None,
            // SAFETY: by the caller's promise.
            opts: unsafe { read_spawn(opts, size) },
            name: None,
            site: None,
            movable_when_fresh: false,
        }
    }
}

/// Takes the token's reference, then makes the task.
#[inline(always)]
fn spawn(
    runtime: &'static Runtime,
    request: &SpawnRequest<'_>,
    group: Option<&group::Joining>,
) -> Result<*mut c_void> {
    let entry = request.entry.ok_or(libc::EINVAL)?;
    let opts = request.opts?;
    if opts.task_class > 2 {
        return Err(libc::EINVAL);
    }
    let stack_class = StackClass::from_raw(opts.stack_class).ok_or(libc::EINVAL)?;
    let token = match (opts.cancel_token.is_null(), group) {
        (false, _) => Some(token::refer(opts.cancel_token, runtime.owner())?),
        (true, Some(group)) => Some(token::refer(group.token, runtime.owner())?),
        (true, None) => None,
    };
    let urgent = opts.flags & flag::LATENCY_CRITICAL != 0;
    let plan = Blueprint {
        entry,
        arg: request.arg,
        abandon: request.abandon,
        class: if urgent { 0 } else { opts.task_class as u8 },
        stack_class,
        flags: opts.flags,
        deadline_ns: opts.deadline_ns,
        token,
        site: request.site,
        stays: opts.flags & flag::PINNED != 0 && !request.movable_when_fresh,
        grouped: group.is_some(),
    };
    let mut handle = std::ptr::null_mut();
    let spawned = runtime.spawn(&plan, request.name, |task| {
        handle = handle::of(task);
        if let Some(group) = group {
            group.enter(handle);
        }
    });
    if let Err(error) = spawned {
        token.inspect(|token| token.release());
        return Err(error);
    }
    Ok(handle)
}

/// Spawns on the caller's runtime, or the default one.
#[inline(always)]
pub(crate) fn spawn_implied(request: &SpawnRequest<'_>) -> Result<*mut c_void> {
    if let Some((worker, _)) = worker::context() {
        return spawn(worker.runtime(), request, None);
    }
    spawn_from_host(request)
}

#[cold]
fn spawn_from_host(request: &SpawnRequest<'_>) -> Result<*mut c_void> {
    check_early(request)?;
    let _live = registry::DEFAULT.lock_live().ok_or(libc::EINVAL)?;
    spawn(&registry::DEFAULT, request, None)
}

/// Spawns on a named runtime.
#[inline(never)]
pub(crate) fn spawn_on(runtime: *mut c_void, request: &SpawnRequest<'_>) -> Result<*mut c_void> {
    let named = registry::find(runtime).ok_or(libc::EINVAL)?;
    let own =
        worker::context().is_some_and(|(worker, _)| std::ptr::eq(worker.runtime(), named.runtime));
    if own {
        return spawn(named.runtime, request, None);
    }
    let _live = named.runtime.lock_live().ok_or(libc::EINVAL)?;
    if named.runtime.owner() != named.owner {
        return Err(libc::EINVAL);
    }
    spawn(named.runtime, request, None)
}

/// Spawns into a group, on the group's owner.
#[inline(never)]
pub(crate) fn spawn_in_group(
    group: *mut c_void,
    request: &SpawnRequest<'_>,
) -> Result<*mut c_void> {
    check_early(request)?;
    let joining = group::begin_spawn(group)?;
    if worker::context().is_some() {
        return spawn(joining.runtime, request, Some(&joining));
    }
    let _live = joining.runtime.lock_live().ok_or(libc::EINVAL)?;
    spawn(joining.runtime, request, Some(&joining))
}

fn check_early(request: &SpawnRequest<'_>) -> Result<()> {
    if request.entry.is_none() {
        return Err(libc::EINVAL);
    }
    request.opts.map(|_| ())
}

/// `llam_spawn_ex`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_spawn_ex(
    entry: Option<Entry>,
    arg: *mut c_void,
    opts: *const SpawnOpts,
    opts_size: usize,
) -> *mut c_void {
    // SAFETY: by the contract of the header.
    let request = unsafe { SpawnRequest::read(entry, arg, opts, opts_size) };
    quiet_handle(|| spawn_implied(&request))
}

/// `llam_spawn`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_spawn(
    entry: Option<Entry>,
    arg: *mut c_void,
    opts: *const SpawnOpts,
) -> *mut c_void {
    // SAFETY: by the contract of the header.
    unsafe { llam_spawn_ex(entry, arg, opts, size_of::<SpawnOpts>()) }
}

/// `llam_runtime_spawn_ex`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_runtime_spawn_ex(
    runtime: *mut c_void,
    entry: Option<Entry>,
    arg: *mut c_void,
    opts: *const SpawnOpts,
    opts_size: usize,
) -> *mut c_void {
    // SAFETY: by the contract of the header.
    let request = unsafe { SpawnRequest::read(entry, arg, opts, opts_size) };
    quiet_handle(|| spawn_on(runtime, &request))
}

/// `llam_join`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_join(task: *mut c_void) -> c_int {
    llam_join_until(task, NEVER)
}

/// `llam_join_until`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_join_until(task: *mut c_void, deadline_ns: u64) -> c_int {
    status(join::join(task, deadline_ns, Mode::Single))
}

/// `llam_detach`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_detach(task: *mut c_void) -> c_int {
    quiet_status(|| join::detach(task))
}

/// `llam_current_task`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_current_task() -> *mut c_void {
    worker::current_task().map_or(std::ptr::null_mut(), handle::of)
}

/// The task of a handle that the caller may look at.
fn visible(task: *const c_void) -> Option<&'static Task> {
    let task = handle::find::<Task>(task)?;
    match worker::context() {
        Some((worker, _)) if !task.belongs_to(worker.runtime()) => None,
        _ => Some(task),
    }
}

/// `llam_task_id`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_id(task: *const c_void) -> u64 {
    visible(task).map_or(0, Task::id)
}

/// `llam_task_state_name`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_state_name(task: *const c_void) -> *const c_char {
    visible(task).map_or(c"UNKNOWN", Task::state_name).as_ptr()
}

/// `llam_task_class`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_class(task: *const c_void) -> u32 {
    visible(task).map_or(1, |task| u32::from(task.class()))
}

/// `llam_task_flags`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_flags(task: *const c_void) -> u32 {
    visible(task).map_or(0, Task::flags)
}

/// `llam_task_set_class`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_set_class(task_class: u32) -> c_int {
    if task_class > 2 {
        return failed(libc::EINVAL);
    }
    match worker::current_task() {
        Some(task) => {
            task.set_class(task_class as u8);
            0
        }
        None => failed(libc::ENOTSUP),
    }
}

/// `llam_yield`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_yield() {
    worker::yield_now();
}

/// `llam_task_safepoint`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_safepoint() {
    errno::preserve(worker::safepoint);
}

/// `llam_task_group_create`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_group_create() -> *mut c_void {
    quiet_handle(group::create)
}

/// `llam_task_group_spawn_ex`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_task_group_spawn_ex(
    group: *mut c_void,
    entry: Option<Entry>,
    arg: *mut c_void,
    opts: *const SpawnOpts,
    opts_size: usize,
) -> *mut c_void {
    // SAFETY: by the contract of the header.
    let request = unsafe { SpawnRequest::read(entry, arg, opts, opts_size) };
    quiet_handle(|| spawn_in_group(group, &request))
}

/// `llam_task_group_spawn`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_task_group_spawn(
    group: *mut c_void,
    entry: Option<Entry>,
    arg: *mut c_void,
    opts: *const SpawnOpts,
) -> *mut c_void {
    // SAFETY: by the contract of the header.
    unsafe { llam_task_group_spawn_ex(group, entry, arg, opts, size_of::<SpawnOpts>()) }
}

/// `llam_task_group_cancel`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_group_cancel(group: *mut c_void) -> c_int {
    quiet_status(|| group::cancel(group))
}

/// `llam_task_group_join`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_group_join(group: *mut c_void) -> c_int {
    llam_task_group_join_until(group, NEVER)
}

/// `llam_task_group_join_until`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_group_join_until(group: *mut c_void, deadline_ns: u64) -> c_int {
    quiet_status(|| group::join_until(group, deadline_ns))
}

/// `llam_task_group_destroy`: see the header.
#[unsafe(no_mangle)]
pub extern "C" fn llam_task_group_destroy(group: *mut c_void) -> c_int {
    quiet_status(|| group::destroy(group))
}
