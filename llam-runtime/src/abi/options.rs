//! Option structs of the C ABI and their handshakes (`abi.md` 1.3, 1.4, 3).

use core::ffi::{c_int, c_void};
use core::mem::offset_of;

use super::convert::{read_prefix, status, write_prefix};
use crate::errno::Result;
use crate::runtime::options::RawOptions;

/// `llam_runtime_opts_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are those of the C struct")]
pub struct RuntimeOpts {
    pub deterministic: u32,
    pub forced_yield_every: u32,
    pub experimental_flags: u64,
    pub idle_spin_ns: u64,
    pub idle_spin_max_iters: u32,
    pub sqpoll_cpu: i32,
    pub profile: u32,
    pub reserved0: u32,
    pub preempt_mode: u32,
    pub preempt_poll_period: u32,
    pub preempt_quantum_ns: u64,
}

impl Default for RuntimeOpts {
    fn default() -> Self {
        let raw = RawOptions::default();
        Self {
            deterministic: raw.deterministic,
            forced_yield_every: raw.forced_yield_every,
            experimental_flags: raw.experimental_flags,
            idle_spin_ns: raw.idle_spin_ns,
            idle_spin_max_iters: raw.idle_spin_max_iters,
            sqpoll_cpu: raw.sqpoll_cpu,
            profile: raw.profile,
            reserved0: 0,
            preempt_mode: raw.preempt_mode,
            preempt_poll_period: raw.preempt_poll_period,
            preempt_quantum_ns: raw.preempt_quantum_ns,
        }
    }
}

/// `llam_spawn_opts_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the fields are those of the C struct")]
pub struct SpawnOpts {
    pub task_class: u32,
    pub stack_class: u32,
    pub flags: u32,
    pub reserved0: u32,
    pub deadline_ns: u64,
    pub cancel_token: *mut c_void,
}

impl Default for SpawnOpts {
    fn default() -> Self {
        Self {
            task_class: 1,
            stack_class: 0,
            flags: 0,
            reserved0: 0,
            deadline_ns: 0,
            cancel_token: std::ptr::null_mut(),
        }
    }
}

const _: () = assert!(size_of::<RuntimeOpts>() == 56 && size_of::<SpawnOpts>() == 32);

/// Reads runtime options; null means the defaults.
///
/// # Safety
/// `opts` is null or readable for `size` bytes.
pub(crate) unsafe fn read_runtime(opts: *const RuntimeOpts, size: usize) -> Result<RawOptions> {
    if opts.is_null() {
        return Ok(RawOptions::default());
    }
    if size == 0 {
        return Err(libc::EINVAL);
    }
    const ENDS: [usize; 11] = [
        offset_of!(RuntimeOpts, forced_yield_every),
        offset_of!(RuntimeOpts, experimental_flags),
        offset_of!(RuntimeOpts, idle_spin_ns),
        offset_of!(RuntimeOpts, idle_spin_max_iters),
        offset_of!(RuntimeOpts, sqpoll_cpu),
        offset_of!(RuntimeOpts, profile),
        offset_of!(RuntimeOpts, reserved0),
        offset_of!(RuntimeOpts, preempt_mode),
        offset_of!(RuntimeOpts, preempt_poll_period),
        offset_of!(RuntimeOpts, preempt_quantum_ns),
        size_of::<RuntimeOpts>(),
    ];
    // SAFETY: by the caller's promise; the struct is plain data.
    let opts = unsafe { read_prefix(opts, size, RuntimeOpts::default(), &ENDS) };
    Ok(RawOptions {
        deterministic: opts.deterministic,
        forced_yield_every: opts.forced_yield_every,
        experimental_flags: opts.experimental_flags,
        idle_spin_ns: opts.idle_spin_ns,
        idle_spin_max_iters: opts.idle_spin_max_iters,
        sqpoll_cpu: opts.sqpoll_cpu,
        profile: opts.profile,
        preempt_mode: opts.preempt_mode,
        preempt_poll_period: opts.preempt_poll_period,
        preempt_quantum_ns: opts.preempt_quantum_ns,
        workers: 0,
    })
}

/// Reads spawn options; null means the defaults.
///
/// # Safety
/// `opts` is null or readable for `size` bytes.
#[inline]
pub(crate) unsafe fn read_spawn(opts: *const SpawnOpts, size: usize) -> Result<SpawnOpts> {
    if opts.is_null() {
        return Ok(SpawnOpts::default());
    }
    if size >= size_of::<SpawnOpts>() {
        // SAFETY: by the caller's promise; only the alignment of the struct is assumed away.
        return Ok(unsafe { opts.read_unaligned() });
    }
    if size == 0 {
        return Err(libc::EINVAL);
    }
    const ENDS: [usize; 6] = [
        offset_of!(SpawnOpts, stack_class),
        offset_of!(SpawnOpts, flags),
        offset_of!(SpawnOpts, reserved0),
        offset_of!(SpawnOpts, deadline_ns),
        offset_of!(SpawnOpts, cancel_token),
        size_of::<SpawnOpts>(),
    ];
    // SAFETY: by the caller's promise; the struct is plain data.
    Ok(unsafe { read_prefix(opts, size, SpawnOpts::default(), &ENDS) })
}

/// `llam_runtime_opts_init`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_runtime_opts_init(opts: *mut RuntimeOpts, opts_size: usize) -> c_int {
    // SAFETY: by the contract of the header.
    status(unsafe { write_prefix(opts, opts_size, &RuntimeOpts::default()) })
}

/// `llam_spawn_opts_init`: see the header.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn llam_spawn_opts_init(opts: *mut SpawnOpts, opts_size: usize) -> c_int {
    // SAFETY: by the contract of the header.
    status(unsafe { write_prefix(opts, opts_size, &SpawnOpts::default()) })
}
