//! Engine invariant E4: handles are checked, not trusted. Uses the C ABI, where handles are bare.
//!
//! "Broken" in a comment tells how the invariant was broken on purpose and what the test said.

mod common;
mod support_child;

use std::ffi::{c_int, c_void};
use std::ptr;

use common::run;
use llam::sys;
use support_child::{Random, seed};

/// Objects made, ended and made again, so that slots are surely reused.
const OBJECTS: usize = 300;

/// errno of a call that must fail.
#[track_caller]
fn refused(status: c_int) -> i32 {
    let errno = std::io::Error::last_os_error().raw_os_error();
    assert_eq!(status, -1, "a call accepted a handle that names nothing");
    errno.unwrap()
}

/// Every call on a handle of some family, on one that no longer names anything, must say `EINVAL`.
trait Family {
    const NAME: &'static str;
    fn create() -> *mut c_void;
    fn end(handle: *mut c_void) -> c_int;
    /// Names and results of calls that must be refused; none of them may wait.
    fn calls(handle: *mut c_void) -> Vec<(&'static str, i32)>;
}

struct Mutexes;
struct Conds;
struct Channels;
struct Tokens;
struct Groups;
struct Timers;
struct Tasks;

// SAFETY of all calls below: handles are tokens that the engine checks before it reads anything
// (R1, E4), which is what is tested; other pointers are to locals or null where that is allowed.

impl Family for Mutexes {
    const NAME: &'static str = "mutex";
    fn create() -> *mut c_void {
        // SAFETY: takes nothing.
        unsafe { sys::llam_mutex_create().cast() }
    }
    fn end(handle: *mut c_void) -> c_int {
        // SAFETY: the engine checks the handle.
        unsafe { sys::llam_mutex_destroy(handle.cast()) }
    }
    fn calls(handle: *mut c_void) -> Vec<(&'static str, i32)> {
        let handle = handle.cast();
        // SAFETY: the engine checks the handle.
        unsafe {
            vec![
                ("lock", refused(sys::llam_mutex_lock_until(handle, 1))),
                ("trylock", refused(sys::llam_mutex_trylock(handle))),
                ("unlock", refused(sys::llam_mutex_unlock(handle))),
                ("destroy", refused(sys::llam_mutex_destroy(handle))),
            ]
        }
    }
}

impl Family for Conds {
    const NAME: &'static str = "condition";
    fn create() -> *mut c_void {
        // SAFETY: takes nothing.
        unsafe { sys::llam_cond_create().cast() }
    }
    fn end(handle: *mut c_void) -> c_int {
        // SAFETY: the engine checks the handle.
        unsafe { sys::llam_cond_destroy(handle.cast()) }
    }
    fn calls(handle: *mut c_void) -> Vec<(&'static str, i32)> {
        let handle = handle.cast();
        // SAFETY: the engine checks the handles.
        unsafe {
            let mutex = sys::llam_mutex_create();
            assert_eq!(sys::llam_mutex_lock(mutex), 0);
            let wait = refused(sys::llam_cond_wait_until(handle, mutex, 1));
            assert_eq!(sys::llam_mutex_unlock(mutex), 0);
            assert_eq!(sys::llam_mutex_destroy(mutex), 0);
            vec![
                ("wait", wait),
                ("signal", refused(sys::llam_cond_signal(handle))),
                ("broadcast", refused(sys::llam_cond_broadcast(handle))),
                ("destroy", refused(sys::llam_cond_destroy(handle))),
            ]
        }
    }
}

impl Family for Channels {
    const NAME: &'static str = "channel";
    fn create() -> *mut c_void {
        // SAFETY: takes a number.
        unsafe { sys::llam_channel_create(2).cast() }
    }
    fn end(handle: *mut c_void) -> c_int {
        // SAFETY: the engine checks the handle.
        unsafe { sys::llam_channel_destroy(handle.cast()) }
    }
    fn calls(handle: *mut c_void) -> Vec<(&'static str, i32)> {
        let handle = handle.cast();
        let (nothing, mut out) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the engine checks the handle; `out` is a local.
        unsafe {
            vec![
                (
                    "send",
                    refused(sys::llam_channel_send_until(handle, nothing, 1)),
                ),
                (
                    "try_send",
                    refused(sys::llam_channel_try_send(handle, nothing)),
                ),
                (
                    "recv",
                    refused(sys::llam_channel_recv_until_result(handle, 1, &mut out)),
                ),
                (
                    "try_recv",
                    refused(sys::llam_channel_try_recv_result(handle, &mut out)),
                ),
                ("close", refused(sys::llam_channel_close(handle))),
                ("destroy", refused(sys::llam_channel_destroy(handle))),
            ]
        }
    }
}

impl Family for Tokens {
    const NAME: &'static str = "token";
    fn create() -> *mut c_void {
        // SAFETY: takes nothing.
        unsafe { sys::llam_cancel_token_create().cast() }
    }
    fn end(handle: *mut c_void) -> c_int {
        // SAFETY: the engine checks the handle.
        unsafe { sys::llam_cancel_token_destroy(handle.cast()) }
    }
    fn calls(handle: *mut c_void) -> Vec<(&'static str, i32)> {
        let handle: *mut sys::llam_cancel_token_t = handle.cast();
        // SAFETY: the engine checks the handle.
        unsafe {
            vec![
                ("cancel", refused(sys::llam_cancel_token_cancel(handle))),
                ("ask", refused(sys::llam_cancel_token_is_cancelled(handle))),
                ("destroy", refused(sys::llam_cancel_token_destroy(handle))),
            ]
        }
    }
}

impl Family for Groups {
    const NAME: &'static str = "group";
    fn create() -> *mut c_void {
        // SAFETY: takes nothing.
        unsafe { sys::llam_task_group_create().cast() }
    }
    fn end(handle: *mut c_void) -> c_int {
        // SAFETY: the engine checks the handle.
        unsafe { sys::llam_task_group_destroy(handle.cast()) }
    }
    fn calls(handle: *mut c_void) -> Vec<(&'static str, i32)> {
        let handle = handle.cast();
        // SAFETY: the engine checks the handle.
        unsafe {
            vec![
                ("cancel", refused(sys::llam_task_group_cancel(handle))),
                ("join", refused(sys::llam_task_group_join_until(handle, 1))),
                ("destroy", refused(sys::llam_task_group_destroy(handle))),
            ]
        }
    }
}

impl Family for Timers {
    const NAME: &'static str = "timer";
    fn create() -> *mut c_void {
        let mut out = ptr::null_mut();
        // SAFETY: `out` is a local.
        let status = unsafe { sys::llam_timer_create(1_000_000_000, &mut out) };
        assert_eq!(status, 0);
        out.cast()
    }
    fn end(handle: *mut c_void) -> c_int {
        // SAFETY: the engine checks the handle.
        unsafe { sys::llam_timer_destroy(handle.cast()) }
    }
    fn calls(handle: *mut c_void) -> Vec<(&'static str, i32)> {
        let handle = handle.cast();
        let mut ticks = 0;
        // SAFETY: the engine checks the handle; `ticks` is a local.
        unsafe {
            vec![
                (
                    "wait",
                    refused(sys::llam_timer_wait_until(handle, 1, &mut ticks)),
                ),
                ("reset", refused(sys::llam_timer_reset(handle, 0, 1))),
                ("cancel", refused(sys::llam_timer_cancel(handle))),
                ("destroy", refused(sys::llam_timer_destroy(handle))),
            ]
        }
    }
}

unsafe extern "C" fn do_nothing(_: *mut c_void) {}

impl Family for Tasks {
    const NAME: &'static str = "task";
    fn create() -> *mut c_void {
        // SAFETY: the entry ignores its argument.
        unsafe { sys::llam_spawn_ex(Some(do_nothing), ptr::null_mut(), ptr::null(), 0).cast() }
    }
    fn end(handle: *mut c_void) -> c_int {
        // SAFETY: the engine checks the handle.
        unsafe { sys::llam_join(handle.cast()) }
    }
    fn calls(handle: *mut c_void) -> Vec<(&'static str, i32)> {
        let handle: *mut sys::llam_task_t = handle.cast();
        // SAFETY: the engine checks the handle.
        unsafe {
            assert_eq!(sys::llam_task_id(handle), 0, "a dead handle has no id");
            vec![
                ("join", refused(sys::llam_join_until(handle, 1))),
                ("detach", refused(sys::llam_detach(handle))),
            ]
        }
    }
}

#[track_caller]
fn all_refused<F: Family>(handle: *mut c_void, what: &str) {
    for (call, errno) in F::calls(handle) {
        assert_eq!(errno, libc::EINVAL, "{what} handle, {} {call}", F::NAME);
    }
}

/// Handles of ended objects stay dead when their slots hold new ones, and the new ones are unharmed.
fn stale_handles_are_refused<F: Family>() {
    let create = || -> Vec<_> {
        (0..OBJECTS)
            .map(|_| F::create())
            .inspect(|handle| assert!(!handle.is_null()))
            .collect()
    };
    let mut stale = Vec::new();
    for _ in 0..3 {
        let objects = create();
        assert!(
            objects.iter().all(|handle| !stale.contains(handle)),
            "a {} handle was given out twice",
            F::NAME
        );
        for handle in &objects {
            assert_eq!(F::end(*handle), 0, "{}", F::NAME);
        }
        stale.extend(objects);
        let living = create();
        for handle in &stale {
            all_refused::<F>(*handle, "stale");
        }
        for handle in living {
            assert_eq!(F::end(handle), 0, "a living {} was hit", F::NAME);
            stale.push(handle);
        }
    }
}

/// A handle of another family, and one that is off by some bits, name nothing.
fn forged_handles_are_refused<F: Family>(random: &mut Random, others: &[*mut c_void]) {
    let living = F::create();
    for other in others {
        all_refused::<F>(*other, "foreign");
    }
    for round in 0..2000_u64 {
        let bits = match round % 3 {
            // Nothing but chance: a few low bits may be a plausible pointer.
            0 => random.below(u64::MAX) >> random.below(60),
            // One bit wrong.
            1 => living as u64 ^ (1 << random.below(64)),
            // The right family and slot, any generation.
            _ => living as u64 ^ (random.below(1 << 30) + 1) << 26,
        };
        let forged = std::ptr::without_provenance_mut(bits as usize);
        // A flipped low bit may name a neighbour; only this test's own objects must not be ended.
        if forged != living && !others.contains(&forged) {
            all_refused::<F>(forged, "forged");
        }
    }
    all_refused::<F>(ptr::null_mut(), "null");
    assert_eq!(F::end(living), 0, "{} was hit by a forged handle", F::NAME);
}

macro_rules! for_every_family {
    ($function:ident($($argument:expr),*)) => {
        $function::<Mutexes>($($argument),*);
        $function::<Conds>($($argument),*);
        $function::<Channels>($($argument),*);
        $function::<Tokens>($($argument),*);
        $function::<Groups>($($argument),*);
        $function::<Timers>($($argument),*);
        $function::<Tasks>($($argument),*);
    };
}

// Broken: `Checked::is_current` did not compare generations: "a call accepted a handle that names
// nothing", in both tests of this file.
#[test]
fn e4_stale_handles_are_refused_when_their_slots_live_again() {
    if !common::needs_abi_2("handles are checked") {
        return;
    }
    run(|| {
        for_every_family!(stale_handles_are_refused());
        Ok(())
    });
}

// Broken: `handle::check` did not compare the kind: "a call accepted a handle that names nothing".
#[test]
fn e4_forged_and_foreign_handles_are_refused() {
    if !common::needs_abi_2("handles are checked") {
        return;
    }
    let mut random = Random::new(seed());
    run(move || {
        let rounds = [
            (Mutexes::create(), Mutexes::end as fn(_) -> _),
            (Conds::create(), Conds::end),
            (Channels::create(), Channels::end),
            (Tokens::create(), Tokens::end),
            (Groups::create(), Groups::end),
            (Timers::create(), Timers::end),
            (Tasks::create(), Tasks::end),
        ];
        let all = rounds.map(|(handle, _)| handle);
        let but = |own: usize| {
            let mut others = all.to_vec();
            others.remove(own);
            others
        };
        forged_handles_are_refused::<Mutexes>(&mut random, &but(0));
        forged_handles_are_refused::<Conds>(&mut random, &but(1));
        forged_handles_are_refused::<Channels>(&mut random, &but(2));
        forged_handles_are_refused::<Tokens>(&mut random, &but(3));
        forged_handles_are_refused::<Groups>(&mut random, &but(4));
        forged_handles_are_refused::<Timers>(&mut random, &but(5));
        forged_handles_are_refused::<Tasks>(&mut random, &but(6));
        for (handle, end) in rounds {
            assert_eq!(end(handle), 0, "hit by a handle that was not its own");
        }
        Ok(())
    });
}
