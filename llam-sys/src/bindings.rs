//! The 130 functions of the C ABI, as `include/llam/*.h` declares them.
//!
//! Owns: the declarations and nothing else. Invariant: names, parameters and return types are those
//! of the header; `tests/header.rs` compares the two texts. Called by programs that want the raw ABI
//! and by the safe crate above.
//!
//! Shared rules (`abi.md` section 4.0): functions that return `c_int` or `ssize_t` give -1 and set
//! `errno`, those that return a pointer give null and set `errno`. Deadlines are absolute, in
//! nanoseconds of `llam_now_ns`. A null, dead or foreign handle gives `EINVAL`; a task that uses an
//! object of another runtime gets `EXDEV`; a cancelled task gets `ECANCELED` from calls that park.

use core::ffi::{c_char, c_int, c_short, c_void};

#[cfg(unix)]
use libc::{addrinfo, sockaddr, socklen_t, ssize_t};

#[cfg(not(unix))]
use crate::foreign::{addrinfo, sockaddr, socklen_t, ssize_t};
use crate::types::*;

unsafe extern "C" {
    /// Returns `LLAM_ABI_VERSION` of the library. Never fails; any thread, any time.
    pub fn llam_abi_version() -> u32;

    /// Returns "major.minor.patch"; a static string, never NULL, never freed.
    pub fn llam_version_string() -> *const c_char;

    /// Fills at most info_size bytes of info. 0; `EINVAL` for NULL or size 0. Needs no runtime.
    pub fn llam_abi_get_info(info: *mut llam_abi_info_t, info_size: usize) -> c_int;

    /// Writes the defaults: all 0, but sqpoll_cpu -1 and preempt_mode AUTO. 0; `EINVAL` for NULL
    /// or size 0.
    pub fn llam_runtime_opts_init(opts: *mut llam_runtime_opts_t, opts_size: usize) -> c_int;

    /// Writes the defaults: task_class DEFAULT, all else 0. 0; `EINVAL` for NULL or size 0.
    pub fn llam_spawn_opts_init(opts: *mut llam_spawn_opts_t, opts_size: usize) -> c_int;

    /// Initialises the default runtime. opts NULL: defaults. Errors: `EINVAL` opts with size 0,
    /// bad profile or preempt_mode; `EBUSY` already live; `EINVAL` sqpoll_cpu; `ENODEV`,
    /// `ENOMEM`, `EAGAIN`. A failure leaves nothing behind.
    pub fn llam_runtime_init_ex(opts: *const llam_runtime_opts_t, opts_size: usize) -> c_int;

    /// `llam_runtime_init_ex` with the library's own struct size: only safe when program and
    /// library have the same ABI.
    pub fn llam_runtime_init(opts: *const llam_runtime_opts_t) -> c_int;

    /// The handle of the default runtime: never NULL, always the same, whether live or not.
    pub fn llam_runtime_default() -> *mut llam_runtime_t;

    /// Makes an independent runtime. 0 and `*out`; `EINVAL` for out NULL, else as
    /// `llam_runtime_init_ex` without `EBUSY`. End it with `llam_runtime_destroy`.
    pub fn llam_runtime_create(
        opts: *const llam_runtime_opts_t,
        opts_size: usize,
        out: *mut *mut llam_runtime_t,
    ) -> c_int;

    /// Runs that runtime as `llam_run` does. `EINVAL` for a bad, destroyed or running runtime,
    /// and from any task.
    pub fn llam_runtime_run_handle(runtime: *mut llam_runtime_t) -> c_int;

    /// Ends a runtime: waits for a run in progress, frees everything. NULL or the default handle:
    /// `llam_runtime_shutdown`. From one of its tasks: a stop request. errno is kept.
    pub fn llam_runtime_destroy(runtime: *mut llam_runtime_t);

    /// Runs the default runtime on the calling thread (and others) until it has no live task. 0;
    /// `EINVAL` not live, already running, or called in a task; `EDEADLK` when every task waits
    /// for another for ever.
    pub fn llam_run() -> c_int;

    /// Cancels every wait of the caller's runtime (host threads: of the default one), now and
    /// until its run has returned. 0; `EINVAL` when it is not live.
    pub fn llam_runtime_request_stop() -> c_int;

    /// Ends the default runtime; waits for a run on another thread. In a task: a stop request.
    /// Idempotent; errno is kept.
    pub fn llam_runtime_shutdown();

    /// Creates a task that calls fn(arg), on the caller's runtime (host threads: the default
    /// one). The handle must be joined or detached. NULL with `EINVAL` (fn NULL, opts with size
    /// 0, runtime not live, bad class, bad token), `EXDEV` (token of another runtime), `ENOMEM`.
    pub fn llam_spawn_ex(
        fn_: llam_task_fn,
        arg: *mut c_void,
        opts: *const llam_spawn_opts_t,
        opts_size: usize,
    ) -> *mut llam_task_t;

    /// `llam_spawn_ex` with size 32.
    pub fn llam_spawn(
        fn_: llam_task_fn,
        arg: *mut c_void,
        opts: *const llam_spawn_opts_t,
    ) -> *mut llam_task_t;

    /// `llam_spawn_ex` onto the given live runtime, from any thread. NULL, unknown or dead
    /// runtimes give `EINVAL`.
    pub fn llam_runtime_spawn_ex(
        runtime: *mut llam_runtime_t,
        fn_: llam_task_fn,
        arg: *mut c_void,
        opts: *const llam_spawn_opts_t,
        opts_size: usize,
    ) -> *mut llam_task_t;

    /// Waits for the task to end and consumes the handle: `llam_join_until` without a deadline.
    pub fn llam_join(task: *mut llam_task_t) -> c_int;

    /// Waits for the task to end and consumes the handle. Errors, in order: `EINVAL` dead handle,
    /// `EXDEV`, `EINVAL` runtime not live, `EBUSY` owned by a group, `EDEADLK` the caller itself,
    /// `EBUSY` being joined, `ETIMEDOUT`, `ECANCELED`. After the last three the handle is still
    /// valid.
    pub fn llam_join_until(task: *mut llam_task_t, deadline_ns: u64) -> c_int;

    /// Gives up the handle; the task frees itself at its end. `EINVAL` dead handle; `EXDEV`;
    /// `EBUSY` owned by a group or being joined.
    pub fn llam_detach(task: *mut llam_task_t) -> c_int;

    /// The calling task's own handle (borrowed), NULL on a host thread.
    pub fn llam_current_task() -> *mut llam_task_t;

    /// Id of the task, from 1 in the order of spawns; 0 for NULL, dead or foreign handles. errno
    /// is kept.
    pub fn llam_task_id(task: *const llam_task_t) -> u64;

    /// One of NEW, RUNNABLE, RUNNING, PARKED, BLOCKED_OPAQUE, DEAD, UNKNOWN; a static string and
    /// a snapshot.
    pub fn llam_task_state_name(task: *const llam_task_t) -> *const c_char;

    /// Current `llam_task_class_t` of the task; 1 for NULL, dead or foreign handles.
    pub fn llam_task_class(task: *const llam_task_t) -> u32;

    /// The flags given at spawn, unknown bits included; 0 for NULL, dead or foreign handles.
    pub fn llam_task_flags(task: *const llam_task_t) -> u32;

    /// Sets the calling task's class. `EINVAL` for a value above 2 (checked first); `ENOTSUP` on
    /// a host thread.
    pub fn llam_task_set_class(task_class: u32) -> c_int;

    /// Puts the caller at the end of the run order. Never fails; on a host thread at most an OS
    /// yield.
    pub fn llam_yield();

    /// Gives the scheduler a chance to preempt. Cheap; no effect on a host thread.
    pub fn llam_task_safepoint();

    /// A new empty group with its own token. NULL with `ENOMEM`. Any thread, any time.
    pub fn llam_task_group_create() -> *mut llam_task_group_t;

    /// Spawns a child on the group's runtime, with the group's token unless the options name one.
    /// The handle is borrowed: join and detach give `EBUSY`. NULL with `EINVAL`, `EBUSY` (being
    /// joined), `EXDEV`, `ENOMEM`.
    pub fn llam_task_group_spawn_ex(
        group: *mut llam_task_group_t,
        fn_: llam_task_fn,
        arg: *mut c_void,
        opts: *const llam_spawn_opts_t,
        opts_size: usize,
    ) -> *mut llam_task_t;

    /// `llam_task_group_spawn_ex` with size 32.
    pub fn llam_task_group_spawn(
        group: *mut llam_task_group_t,
        fn_: llam_task_fn,
        arg: *mut c_void,
        opts: *const llam_spawn_opts_t,
    ) -> *mut llam_task_t;

    /// Cancels the group's token: children that use it, now and later. 0, also when repeated;
    /// `EINVAL`; `EXDEV`.
    pub fn llam_task_group_cancel(group: *mut llam_task_group_t) -> c_int;

    /// `llam_task_group_join_until` without a deadline.
    pub fn llam_task_group_join(group: *mut llam_task_group_t) -> c_int;

    /// Joins the children in spawn order. 0 when all have ended. `EINVAL`; `EXDEV`; `EBUSY`
    /// another call is in progress; `EDEADLK` from a child; `ETIMEDOUT` and `ECANCELED` leave the
    /// remaining children in the group.
    pub fn llam_task_group_join_until(group: *mut llam_task_group_t, deadline_ns: u64) -> c_int;

    /// Frees an empty group. `EINVAL`; `EXDEV`; `EBUSY` while it has unjoined children or a call
    /// is in progress.
    pub fn llam_task_group_destroy(group: *mut llam_task_group_t) -> c_int;

    /// Monotonic nanoseconds (CLOCK_MONOTONIC). Never fails; any thread, any time.
    pub fn llam_now_ns() -> u64;

    /// Waits until the deadline; a past one returns 0 at once, also when cancelled. `ECANCELED`;
    /// on a host thread `EINVAL` when the default runtime is not live.
    pub fn llam_sleep_until(deadline_ns: u64) -> c_int;

    /// `llam_sleep_until`(now + duration), saturating; 0 returns at once.
    pub fn llam_sleep_ns(duration_ns: u64) -> c_int;

    /// Makes a timer that ticks at first_deadline_ns (0: now) and then every interval_ns. Errors,
    /// in order: `EINVAL` out NULL, opts NULL, size 0, interval 0; `ENOTSUP` flags; `ENOMEM`.
    pub fn llam_timer_create_ex(
        opts: *const llam_timer_opts_t,
        opts_size: usize,
        out: *mut *mut llam_timer_t,
    ) -> c_int;

    /// Makes a timer whose first tick is due one interval from now. `EINVAL` for interval 0 or
    /// out NULL.
    pub fn llam_timer_create(interval_ns: u64, out: *mut *mut llam_timer_t) -> c_int;

    /// `llam_timer_wait_until` without a deadline.
    pub fn llam_timer_wait(timer: *mut llam_timer_t, ticks_out: *mut u64) -> c_int;

    /// Waits for a tick and takes all due ones into `*ticks_out`. Errors, in order: `EINVAL`
    /// ticks_out NULL; `ETIMEDOUT` deadline 0; `EINVAL` handle; `EXDEV`; `ECANCELED` timer
    /// cancelled; `ETIMEDOUT`; `ECANCELED` task cancelled. Works on host threads.
    pub fn llam_timer_wait_until(
        timer: *mut llam_timer_t,
        deadline_ns: u64,
        ticks_out: *mut u64,
    ) -> c_int;

    /// Sets first deadline (0: now) and interval anew, forgets due ticks, undoes a cancel.
    /// `EINVAL`; `EXDEV`.
    pub fn llam_timer_reset(
        timer: *mut llam_timer_t,
        first_deadline_ns: u64,
        interval_ns: u64,
    ) -> c_int;

    /// Makes current and later waits fail with `ECANCELED` until a reset. 0, also when repeated;
    /// `EINVAL`; `EXDEV`.
    pub fn llam_timer_cancel(timer: *mut llam_timer_t) -> c_int;

    /// Frees the timer. `EINVAL`; `EXDEV`; `EBUSY` while a wait is inside.
    pub fn llam_timer_destroy(timer: *mut llam_timer_t) -> c_int;

    /// Subscribes to 1 to 16 signals and blocks them in the calling thread. Errors, in order:
    /// `EINVAL` out NULL, size 0; `ENOTSUP` flags, or not Linux; `EINVAL` bad numbers; `EBUSY` a
    /// signal belongs to another set; `ENOMEM`.
    pub fn llam_signal_set_create_ex(
        signos: *const c_int,
        signo_count: usize,
        opts: *const llam_signal_opts_t,
        opts_size: usize,
        out: *mut *mut llam_signal_set_t,
    ) -> c_int;

    /// `llam_signal_wait_until` without a deadline.
    pub fn llam_signal_wait(set: *mut llam_signal_set_t, out: *mut llam_signal_event_t) -> c_int;

    /// Takes one pending signal of the set. Errors, in order: `EINVAL` out NULL, handle; `EXDEV`;
    /// `ETIMEDOUT`; `ECANCELED`. Works on host threads.
    pub fn llam_signal_wait_until(
        set: *mut llam_signal_set_t,
        deadline_ns: u64,
        out: *mut llam_signal_event_t,
    ) -> c_int;

    /// Ends the subscription and unblocks the signals in the calling thread. `EINVAL`; `EXDEV`;
    /// `EBUSY` while somebody waits.
    pub fn llam_signal_set_destroy(set: *mut llam_signal_set_t) -> c_int;

    /// Runs fn(arg) on a pool thread while the task is parked (host thread: directly). 0 and
    /// `*out`, errno as fn left it; `EINVAL`; `ECANCELED` (a callback that runs is waited for);
    /// `ENOMEM`.
    pub fn llam_call_blocking_result(
        fn_: llam_blocking_fn,
        arg: *mut c_void,
        out: *mut *mut c_void,
    ) -> c_int;

    /// As `llam_call_blocking_result`; NULL on failure.
    pub fn llam_call_blocking(fn_: llam_blocking_fn, arg: *mut c_void) -> *mut c_void;

    /// Declares that the task is about to block its OS thread itself. Nests. 0, also on a host
    /// thread; `ENOMEM`.
    pub fn llam_enter_blocking() -> c_int;

    /// Ends the innermost blocking region. 0; `EINVAL` in a task that is in none.
    pub fn llam_leave_blocking() -> c_int;

    /// A new key for all tasks: the lowest free id, 1 to 65535. `EINVAL`; `ENOSPC`; `ENOMEM`.
    pub fn llam_task_local_key_create(out_key: *mut llam_task_local_key_t) -> c_int;

    /// Deactivates the key; values are not touched. `EINVAL` for a key that is not active.
    pub fn llam_task_local_key_delete(key: llam_task_local_key_t) -> c_int;

    /// The calling task's value, NULL when there is none; errno is set to 0. NULL with `EINVAL`
    /// for an inactive key, `ENOTSUP` on a host thread.
    pub fn llam_task_local_get(key: llam_task_local_key_t) -> *mut c_void;

    /// Sets the calling task's value; NULL removes it. `ENOTSUP` on a host thread; `EINVAL` for
    /// an inactive key (a NULL may still remove an old entry); `ENOMEM`.
    pub fn llam_task_local_set(key: llam_task_local_key_t, value: *mut c_void) -> c_int;

    /// A new token. NULL with `ENOMEM`. Any thread, any time.
    pub fn llam_cancel_token_create() -> *mut llam_cancel_token_t;

    /// Cancels for good every task that has this token. 0, also when repeated; `EINVAL`; `EXDEV`.
    pub fn llam_cancel_token_cancel(token: *mut llam_cancel_token_t) -> c_int;

    /// 1 or 0; -1 with `EINVAL` or `EXDEV`.
    pub fn llam_cancel_token_is_cancelled(token: *const llam_cancel_token_t) -> c_int;

    /// Frees the token. `EINVAL`; `EXDEV`; `EBUSY` while an unreclaimed task refers to it.
    pub fn llam_cancel_token_destroy(token: *mut llam_cancel_token_t) -> c_int;

    /// A new mutex. NULL with `ENOMEM`. Any thread, any time.
    pub fn llam_mutex_create() -> *mut llam_mutex_t;

    /// Frees the mutex. `EINVAL`; `EXDEV`; `EBUSY` when locked, waited for or in use.
    pub fn llam_mutex_destroy(mutex: *mut llam_mutex_t) -> c_int;

    /// `llam_mutex_lock_until` without a deadline.
    pub fn llam_mutex_lock(mutex: *mut llam_mutex_t) -> c_int;

    /// Takes the mutex, first come, first served. Errors, in order: `EINVAL`; `ENOTSUP` host
    /// thread; `EXDEV`; `EDEADLK` the caller owns it; `ETIMEDOUT`; `ECANCELED`.
    pub fn llam_mutex_lock_until(mutex: *mut llam_mutex_t, deadline_ns: u64) -> c_int;

    /// Takes the mutex if it is free. `EBUSY` held by anyone; `EINVAL`; `ENOTSUP`; `EXDEV`.
    pub fn llam_mutex_trylock(mutex: *mut llam_mutex_t) -> c_int;

    /// Hands the mutex to the longest waiter. `EINVAL`; `ENOTSUP`; `EXDEV`; `EPERM` the caller
    /// does not own it.
    pub fn llam_mutex_unlock(mutex: *mut llam_mutex_t) -> c_int;

    /// A new condition variable. NULL with `ENOMEM`. Any thread, any time.
    pub fn llam_cond_create() -> *mut llam_cond_t;

    /// Frees it. `EINVAL`; `EXDEV`; `EBUSY` while a wait on it has not returned.
    pub fn llam_cond_destroy(cond: *mut llam_cond_t) -> c_int;

    /// `llam_cond_wait_until` without a deadline.
    pub fn llam_cond_wait(cond: *mut llam_cond_t, mutex: *mut llam_mutex_t) -> c_int;

    /// Releases the mutex and parks in one step; the mutex is held again on return. Errors, in
    /// order: `EINVAL`; `ENOTSUP`; `EXDEV`; `EPERM` not the owner; `ETIMEDOUT`; `ECANCELED`.
    pub fn llam_cond_wait_until(
        cond: *mut llam_cond_t,
        mutex: *mut llam_mutex_t,
        deadline_ns: u64,
    ) -> c_int;

    /// Wakes the longest waiter, if any. 0; `EINVAL`; `EXDEV`; `ENOTSUP` on a host thread when
    /// the runtime is not live. Any thread.
    pub fn llam_cond_signal(cond: *mut llam_cond_t) -> c_int;

    /// Wakes all current waiters. Errors as `llam_cond_signal`.
    pub fn llam_cond_broadcast(cond: *mut llam_cond_t) -> c_int;

    /// A new channel of exactly this capacity. NULL with `EINVAL` for 0, `ENOMEM`.
    pub fn llam_channel_create(capacity: usize) -> *mut llam_channel_t;

    /// Frees an empty, unused channel. `EINVAL`; `EXDEV`; `EBUSY` when values are buffered or
    /// calls are inside.
    pub fn llam_channel_destroy(channel: *mut llam_channel_t) -> c_int;

    /// `llam_channel_send_until` without a deadline.
    pub fn llam_channel_send(channel: *mut llam_channel_t, value: *mut c_void) -> c_int;

    /// Sends, parking while the channel is full. `EINVAL`; `ENOTSUP` host thread; `EXDEV`;
    /// `EPIPE` closed; `ETIMEDOUT`; `ECANCELED`. On failure the value still belongs to the
    /// caller.
    pub fn llam_channel_send_until(
        channel: *mut llam_channel_t,
        value: *mut c_void,
        deadline_ns: u64,
    ) -> c_int;

    /// Sends without parking, from any thread. `EAGAIN` full; `EPIPE` closed; `EINVAL`; `EXDEV`;
    /// `ENOTSUP` runtime not live.
    pub fn llam_channel_try_send(channel: *mut llam_channel_t, value: *mut c_void) -> c_int;

    /// `llam_channel_recv_until_result` without a deadline.
    pub fn llam_channel_recv_result(channel: *mut llam_channel_t, out: *mut *mut c_void) -> c_int;

    /// Receives the oldest value into `*out`, parking while the channel is empty. `EINVAL`;
    /// `ENOTSUP` host thread; `EXDEV`; `EPIPE` closed and empty; `ETIMEDOUT`; `ECANCELED`.
    pub fn llam_channel_recv_until_result(
        channel: *mut llam_channel_t,
        deadline_ns: u64,
        out: *mut *mut c_void,
    ) -> c_int;

    /// Receives without parking, from any thread. `EAGAIN` empty; `EPIPE` closed and empty;
    /// `EINVAL`; `EXDEV`; `ENOTSUP` runtime not live.
    pub fn llam_channel_try_recv_result(
        channel: *mut llam_channel_t,
        out: *mut *mut c_void,
    ) -> c_int;

    /// Returns the payload; NULL with errno set on failure, NULL with errno 0 for a NULL payload.
    pub fn llam_channel_recv(channel: *mut llam_channel_t) -> *mut c_void;

    /// `llam_channel_recv` with a deadline.
    pub fn llam_channel_recv_until(channel: *mut llam_channel_t, deadline_ns: u64) -> *mut c_void;

    /// Closes for sending and wakes every waiter with `EPIPE`. 0, also when repeated; `EINVAL`;
    /// `EXDEV`. Any thread.
    pub fn llam_channel_close(channel: *mut llam_channel_t) -> c_int;

    /// Performs exactly one of the arms; the lowest ready index wins. 0, `*selected_index` and
    /// that arm's result_errno (0 or `EPIPE`). Errors, in order: `EINVAL`; `ENOTSUP` host thread;
    /// `EINVAL` or `EXDEV` of an arm; `ETIMEDOUT`; `ECANCELED`.
    pub fn llam_channel_select(
        ops: *mut llam_select_op_t,
        op_count: usize,
        deadline_ns: u64,
        selected_index: *mut usize,
    ) -> c_int;

    /// Snapshot of the default runtime, zeros when it is not live. 0; `EINVAL` for NULL or size
    /// 0. Any thread.
    pub fn llam_runtime_collect_stats_ex(
        stats: *mut llam_runtime_stats_t,
        stats_size: usize,
    ) -> c_int;

    /// Snapshot of one runtime. `EINVAL` for stats NULL, size 0; for a bad runtime `EINVAL` with
    /// the prefix zeroed.
    pub fn llam_runtime_collect_stats_ex_handle(
        runtime: *mut llam_runtime_t,
        stats: *mut llam_runtime_stats_t,
        stats_size: usize,
    ) -> c_int;

    /// `llam_runtime_collect_stats_ex` with the library's own struct size: only safe when program
    /// and library have the same ABI.
    pub fn llam_runtime_collect_stats(stats: *mut llam_runtime_stats_t) -> c_int;

    /// Writes the default runtime's statistics to fd as one JSON object and a newline. `EINVAL`
    /// fd below 0; errors of write(2).
    pub fn llam_runtime_write_stats_json(fd: c_int) -> c_int;

    /// Writes readable text about the default runtime to fd; errors are ignored. Any thread, any
    /// time.
    pub fn llam_dump_runtime_state(fd: c_int);

    /// read(2).
    pub fn llam_read(fd: llam_fd_t, buf: *mut c_void, count: usize) -> ssize_t;

    /// POSIX: `llam_read`. Windows: reads a HANDLE.
    pub fn llam_read_handle(handle: llam_handle_t, buf: *mut c_void, count: usize) -> ssize_t;

    /// Waits up to timeout_ms (negative: no limit) for readability, then reads. `ETIMEDOUT`;
    /// `ECANCELED`; errors of read(2). count 0 returns 0 at once.
    pub fn llam_read_when_ready(
        fd: llam_fd_t,
        buf: *mut c_void,
        count: usize,
        timeout_ms: c_int,
    ) -> ssize_t;

    /// write(2); may be partial. SIGPIPE is not suppressed.
    pub fn llam_write(fd: llam_fd_t, buf: *const c_void, count: usize) -> ssize_t;

    /// POSIX: `llam_write`. Windows: writes a HANDLE.
    pub fn llam_write_handle(handle: llam_handle_t, buf: *const c_void, count: usize) -> ssize_t;

    /// writev(2); may be partial. `EINVAL` iovcnt below 0 or above IOV_MAX; 0 slices return 0.
    pub fn llam_writev(fd: llam_fd_t, iov: *const llam_iovec_t, iovcnt: c_int) -> ssize_t;

    /// Closes fd after forgetting what the engine knows about it. `EBADF`; errors of close(2).
    /// Any thread.
    pub fn llam_close(fd: llam_fd_t) -> c_int;

    /// POSIX: `llam_close`. Windows: CloseHandle.
    pub fn llam_close_handle(handle: llam_handle_t) -> c_int;

    /// accept(2). `EINVAL` when exactly one of addr and addrlen is NULL. The new descriptor is
    /// blocking and without close-on-exec on Linux.
    pub fn llam_accept(fd: llam_fd_t, addr: *mut sockaddr, addrlen: *mut socklen_t) -> llam_fd_t;

    /// Connects and waits for the outcome, also on non-blocking sockets. `EINVAL` addr NULL;
    /// `ECANCELED`; errors of connect(2).
    pub fn llam_connect(fd: llam_fd_t, addr: *const sockaddr, addrlen: socklen_t) -> c_int;

    /// Waits up to timeout_ms (negative: no limit, 0: probe) for one descriptor. 1 ready, 0
    /// timeout; `*revents` is always written. Invalid descriptors give 1 with POLLNVAL.
    /// `ECANCELED`.
    pub fn llam_poll_fd(
        fd: llam_fd_t,
        events: c_short,
        timeout_ms: c_int,
        revents: *mut c_short,
    ) -> c_int;

    /// POSIX: `llam_poll_fd`. Windows: waits for a HANDLE.
    pub fn llam_poll_handle(
        handle: llam_handle_t,
        events: c_short,
        timeout_ms: c_int,
        revents: *mut c_short,
    ) -> c_int;

    /// recvfrom(2); MSG_DONTWAIT does not prevent waiting in a task. `EINVAL` when exactly one of
    /// src_addr and addrlen is NULL, or buf is NULL.
    pub fn llam_recvfrom(
        fd: llam_fd_t,
        buf: *mut c_void,
        count: usize,
        flags: c_int,
        src_addr: *mut sockaddr,
        addrlen: *mut socklen_t,
    ) -> ssize_t;

    /// sendto(2); dst_addr NULL sends on a connected socket. `EINVAL` buf NULL, or dst_addr NULL
    /// with a length.
    pub fn llam_sendto(
        fd: llam_fd_t,
        buf: *const c_void,
        count: usize,
        flags: c_int,
        dst_addr: *const sockaddr,
        addrlen: socklen_t,
    ) -> ssize_t;

    /// pread(2). `EINVAL` buf NULL, count above UINT32_MAX; `EOVERFLOW` offset above INT64_MAX;
    /// `EBADF`; `ESPIPE`.
    pub fn llam_pread(fd: llam_fd_t, buf: *mut c_void, count: usize, offset: u64) -> ssize_t;

    /// pwrite(2). Errors as `llam_pread`.
    pub fn llam_pwrite(fd: llam_fd_t, buf: *const c_void, count: usize, offset: u64) -> ssize_t;

    /// preadv(2). `EINVAL` bad slices; 0 slices return 0; else as `llam_pread`.
    pub fn llam_preadv(
        fd: llam_fd_t,
        iov: *const llam_mut_iovec_t,
        iovcnt: c_int,
        offset: u64,
    ) -> ssize_t;

    /// pwritev(2). Errors as `llam_preadv`.
    pub fn llam_pwritev(
        fd: llam_fd_t,
        iov: *const llam_iovec_t,
        iovcnt: c_int,
        offset: u64,
    ) -> ssize_t;

    /// POSIX: `llam_pread`. Windows: a HANDLE.
    pub fn llam_pread_handle(
        handle: llam_handle_t,
        buf: *mut c_void,
        count: usize,
        offset: u64,
    ) -> ssize_t;

    /// POSIX: `llam_pwrite`. Windows: a HANDLE.
    pub fn llam_pwrite_handle(
        handle: llam_handle_t,
        buf: *const c_void,
        count: usize,
        offset: u64,
    ) -> ssize_t;

    /// POSIX: `llam_preadv`. Windows: a HANDLE.
    pub fn llam_preadv_handle(
        handle: llam_handle_t,
        iov: *const llam_mut_iovec_t,
        iovcnt: c_int,
        offset: u64,
    ) -> ssize_t;

    /// POSIX: `llam_pwritev`. Windows: a HANDLE.
    pub fn llam_pwritev_handle(
        handle: llam_handle_t,
        iov: *const llam_iovec_t,
        iovcnt: c_int,
        offset: u64,
    ) -> ssize_t;

    /// Reads up to max_count bytes into a new buffer. Above 0 and `*out`; 0 and NULL at the end
    /// of the stream. `EINVAL`; `EBADF`; `EISDIR`; `ENOMEM`; `ECANCELED`.
    pub fn llam_read_owned(
        fd: llam_fd_t,
        max_count: usize,
        out: *mut *mut llam_io_buffer_t,
    ) -> ssize_t;

    /// `llam_read_owned` with the flags of recv(2); `ENOTSOCK`.
    pub fn llam_recv_owned(
        fd: llam_fd_t,
        max_count: usize,
        flags: c_int,
        out: *mut *mut llam_io_buffer_t,
    ) -> ssize_t;

    /// `llam_recvfrom` into a new buffer. An empty datagram gives 0 and no buffer.
    pub fn llam_recvfrom_owned(
        fd: llam_fd_t,
        max_count: usize,
        flags: c_int,
        src_addr: *mut sockaddr,
        addrlen: *mut socklen_t,
        out: *mut *mut llam_io_buffer_t,
    ) -> ssize_t;

    /// pread(2) into a new buffer with this alignment (0, or a power of two from the size
    /// of a pointer). `EINVAL`; `EBADF`; `EISDIR`; `ESPIPE`; `EOVERFLOW`; `ENOMEM`; `ECANCELED`.
    pub fn llam_pread_owned_aligned(
        fd: llam_fd_t,
        max_count: usize,
        offset: u64,
        alignment: usize,
        out: *mut *mut llam_io_buffer_t,
    ) -> ssize_t;

    /// POSIX: `llam_pread_owned_aligned`. Windows: a HANDLE.
    pub fn llam_pread_handle_owned_aligned(
        handle: llam_handle_t,
        max_count: usize,
        offset: u64,
        alignment: usize,
        out: *mut *mut llam_io_buffer_t,
    ) -> ssize_t;

    /// Writes the defaults: all 0. 0; `EINVAL` for NULL or size 0.
    pub fn llam_io_buffer_opts_init(opts: *mut llam_io_buffer_opts_t, opts_size: usize) -> c_int;

    /// A new buffer of size 0. Errors, in order: `EINVAL` out NULL, opts with size 0, unknown
    /// flags, bad alignment; `ENOMEM`. Needs no runtime.
    pub fn llam_io_buffer_alloc_ex(
        opts: *const llam_io_buffer_opts_t,
        opts_size: usize,
        out: *mut *mut llam_io_buffer_t,
    ) -> c_int;

    /// A new buffer with at least this capacity.
    pub fn llam_io_buffer_alloc(capacity: usize, out: *mut *mut llam_io_buffer_t) -> c_int;

    /// A new buffer with at least this capacity and this alignment.
    pub fn llam_io_buffer_alloc_aligned(
        capacity: usize,
        alignment: usize,
        out: *mut *mut llam_io_buffer_t,
    ) -> c_int;

    /// The alignment asked for, 8 when that was 0; 0 with `EINVAL` for a bad handle.
    pub fn llam_io_buffer_alignment(buffer: *const llam_io_buffer_t) -> usize;

    /// Start of the bytes, stable until release; NULL with `EINVAL` for a bad handle.
    pub fn llam_io_buffer_data(buffer: *mut llam_io_buffer_t) -> *mut c_void;

    /// Bytes received; 0 with `EINVAL` for a bad handle.
    pub fn llam_io_buffer_size(buffer: *const llam_io_buffer_t) -> usize;

    /// Bytes there is room for; 0 with `EINVAL` for a bad handle.
    pub fn llam_io_buffer_capacity(buffer: *const llam_io_buffer_t) -> usize;

    /// Frees the buffer. NULL, dead and double releases are ignored. Any thread, any time.
    pub fn llam_io_buffer_release(buffer: *mut llam_io_buffer_t);

    /// getaddrinfo(3) on the blocking pool. 0 when the resolver was asked: `*gai_error` has its
    /// verdict, `*out` the list. `EINVAL`; `ECANCELED`; `ENOMEM`.
    pub fn llam_getaddrinfo_result(
        node: *const c_char,
        service: *const c_char,
        hints: *const addrinfo,
        out: *mut *mut addrinfo,
        gai_error: *mut c_int,
    ) -> c_int;

    /// freeaddrinfo(3); NULL is ignored.
    pub fn llam_freeaddrinfo_result(result: *mut addrinfo);

    /// open(2) on the blocking pool; nothing is added to flags. `EINVAL` path or out NULL;
    /// `ECANCELED`; errors of open(2).
    pub fn llam_open_async(
        path: *const c_char,
        flags: c_int,
        mode: u32,
        out: *mut llam_handle_t,
    ) -> c_int;

    /// stat(2) on the blocking pool; fills at most out_size bytes. `EINVAL` path or out NULL,
    /// size 0; `ECANCELED`; errors of stat(2).
    pub fn llam_stat_path_ex(
        path: *const c_char,
        out: *mut llam_file_stat_t,
        out_size: usize,
    ) -> c_int;
}
