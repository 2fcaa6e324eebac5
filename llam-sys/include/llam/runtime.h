/*
 * llam/runtime.h - the C ABI of LLAM 2.1.0 (ABI 2.0): tasks, groups, time, signals, blocking calls,
 * synchronisation, channels, diagnostics.
 *
 * Owns: the versions, the opaque handle types, the option and statistics structs, the enums.
 * Includes llam/platform.h first and llam/io.h before its end, so that it is all a program needs.
 *
 * Conventions. Functions of type int and ssize_t return -1 and set errno on failure; functions that
 * return a pointer return NULL and set errno. Deadlines are absolute, in nanoseconds of
 * llam_now_ns(); 0 and past values have expired, UINT64_MAX means none. Every handle is checked
 * before anything behind it is touched: NULL, dead and foreign values give EINVAL. An object
 * belongs to the runtime of the task that created it, or to the default runtime when a host thread
 * did; a task that uses an object of another runtime gets EXDEV. A task whose token was cancelled,
 * or whose runtime is stopping, gets ECANCELED from calls that would park. errno is per task.
 */
#ifndef LLAM_RUNTIME_H
#define LLAM_RUNTIME_H

#include "platform.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Versions ---- */

/** Release number, major. */
#define LLAM_VERSION_MAJOR 2U
/** Release number, minor. */
#define LLAM_VERSION_MINOR 1U
/** Release number, patch. */
#define LLAM_VERSION_PATCH 0U
/** ABI number, major: differs when old programs cannot run. */
#define LLAM_ABI_VERSION_MAJOR 2U
/** ABI number, minor. */
#define LLAM_ABI_VERSION_MINOR 0U
/** Both ABI numbers in one, as llam_abi_version() returns it. */
#define LLAM_ABI_VERSION ((LLAM_ABI_VERSION_MAJOR << 16U) | LLAM_ABI_VERSION_MINOR)

/* ---- Handles: tokens, never read through ---- */

/** A task; ended by join, detach, group join or the end of its runtime. */
typedef struct llam_task llam_task_t;

/** A mutex between tasks. */
typedef struct llam_mutex llam_mutex_t;

/** A condition variable between tasks. */
typedef struct llam_cond llam_cond_t;

/** A bounded queue of void * between tasks. */
typedef struct llam_channel llam_channel_t;

/** A token through which tasks are cancelled. */
typedef struct llam_cancel_token llam_cancel_token_t;

/** A runtime: the default one, or one made by llam_runtime_create. */
typedef struct llam_runtime llam_runtime_t;

/** A list of child tasks with a token. */
typedef struct llam_task_group llam_task_group_t;

/** A repeating timer. */
typedef struct llam_timer llam_timer_t;

/** A subscription to signals (Linux). */
typedef struct llam_signal_set llam_signal_set_t;

/** A key of task-local values. */
typedef uint32_t llam_task_local_key_t;

/** Entry of a task; returning ends the task. */
typedef void (*llam_task_fn)(void *arg);

/** A callback of llam_call_blocking_result. */
typedef void *(*llam_blocking_fn)(void *arg);

/* ---- Constants ---- */

/** A key that is never handed out. */
#define LLAM_TASK_LOCAL_INVALID_KEY UINT32_MAX
/** Most arms of one llam_channel_select. */
#define LLAM_CHANNEL_SELECT_MAX_OPS 4096U
/** Hint: one I/O ring per worker. */
#define LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS UINT64_C(1)
/** Hint: multishot operations on worker rings. */
#define LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS_MULTISHOT (UINT64_C(1) << 1)
/** Hint: workers go on- and offline with the load. */
#define LLAM_RUNTIME_EXPERIMENTAL_F_DYNAMIC_WORKERS (UINT64_C(1) << 2)
/** Hint: lock-free run queue. */
#define LLAM_RUNTIME_EXPERIMENTAL_F_LOCKFREE_NORMQ (UINT64_C(1) << 3)
/** Hint: huge pages. */
#define LLAM_RUNTIME_EXPERIMENTAL_F_HUGE_ALLOC (UINT64_C(1) << 4)
/** Hint: kernel submission thread. */
#define LLAM_RUNTIME_EXPERIMENTAL_F_SQPOLL (UINT64_C(1) << 5)

/** Scheduling classes: a hint for dispatch order and slice length. */
typedef enum llam_task_class {
    LLAM_TASK_CLASS_LATENCY = 0, /**< Before the others. */
    LLAM_TASK_CLASS_DEFAULT = 1, /**< The default. */
    LLAM_TASK_CLASS_BATCH = 2 /**< After the others, without starving. */
} llam_task_class_t;

/** Stack sizes; each has a guard page. */
typedef enum llam_stack_class {
    LLAM_STACK_CLASS_DEFAULT = 0, /**< At least 64 KiB usable. */
    LLAM_STACK_CLASS_LARGE = 1, /**< At least 256 KiB usable. */
    LLAM_STACK_CLASS_HUGE = 2 /**< At least 1 MiB usable. */
} llam_stack_class_t;

/** Tuning profiles; they never change results. */
typedef enum llam_runtime_profile {
    LLAM_RUNTIME_PROFILE_BALANCED = 0, /**< The default. */
    LLAM_RUNTIME_PROFILE_RELEASE_FAST = 1, /**< Throughput. */
    LLAM_RUNTIME_PROFILE_DEBUG_SAFE = 2, /**< Checks. */
    LLAM_RUNTIME_PROFILE_IO_LATENCY = 3 /**< I/O latency. */
} llam_runtime_profile_t;

/** When safepoints yield. */
typedef enum llam_preempt_mode {
    LLAM_PREEMPT_OFF = 0, /**< Never for budget reasons. */
    LLAM_PREEMPT_COOPERATIVE = 1, /**< Explicit safepoints are honoured, nothing asks by itself. */
    LLAM_PREEMPT_AUTO = 2, /**< Over budget, and other work waits. */
    LLAM_PREEMPT_STRICT = 3 /**< Over budget. */
} llam_preempt_mode_t;

/** Kinds of select arms. */
typedef enum llam_select_op_kind {
    LLAM_SELECT_OP_RECV = 1, /**< Receive into recv_out. */
    LLAM_SELECT_OP_SEND = 2 /**< Send send_value. */
} llam_select_op_kind_t;

/** Spawn flags. Unknown bits are kept and reported back by llam_task_flags. */
enum {
    LLAM_SPAWN_F_PINNED = 1, /**< Spawn flag: stays with the worker it was spawned on. */
    LLAM_SPAWN_F_NO_PREEMPT = 2, /**< Spawn flag: safepoints never yield for it. */
    LLAM_SPAWN_F_SYS_TASK = 4, /**< Spawn flag: marks helper work. */
    LLAM_SPAWN_F_LATENCY_CRITICAL = 8 /**< Spawn flag: forces class LATENCY. */
};

/* ---- Structs ---- */

/** What the library says about itself; filled by llam_abi_get_info. */
typedef struct llam_abi_info {
    uint32_t abi_major; /**< ABI major of the library. */
    uint32_t abi_minor; /**< ABI minor of the library. */
    uint32_t version_major; /**< Release number, major. */
    uint32_t version_minor; /**< Release number, minor. */
    uint32_t version_patch; /**< Release number, patch. */
    uint32_t reserved0; /**< Always 0. */
    size_t struct_size; /**< The library's sizeof(llam_abi_info_t). */
    size_t runtime_opts_size; /**< The library's sizeof(llam_runtime_opts_t). */
    size_t spawn_opts_size; /**< The library's sizeof(llam_spawn_opts_t). */
    size_t runtime_stats_size; /**< The library's sizeof(llam_runtime_stats_t). */
    const char *runtime_name; /**< "LLAM"; static storage. */
    const char *version_string; /**< Same text as llam_version_string(); static storage. */
    const char *platform_name; /**< LLAM_PLATFORM_NAME of the build; static storage. */
} llam_abi_info_t;

/** Options of a spawn; start from llam_spawn_opts_init. */
typedef struct llam_spawn_opts {
    uint32_t task_class; /**< llam_task_class_t; default 1. */
    uint32_t stack_class; /**< llam_stack_class_t; default 0. */
    /** LLAM_SPAWN_F_*; default 0; unknown bits are kept and reported back by llam_task_flags. */
    uint32_t flags;
    uint32_t reserved0; /**< Ignored (unnamed padding in 1.0.1). */
    uint64_t deadline_ns; /**< Stored, has no effect; default 0. */
    llam_cancel_token_t *cancel_token; /**< Token the task observes, or NULL; default NULL. */
} llam_spawn_opts_t;

/** Options of a runtime; start from llam_runtime_opts_init. */
typedef struct llam_runtime_opts {
    uint32_t deterministic; /**< Non-zero: one worker, no stealing, FIFO order. */
    uint32_t forced_yield_every; /**< N > 0: every N-th safepoint of a task yields. */
    uint64_t experimental_flags; /**< LLAM_RUNTIME_EXPERIMENTAL_F_*; unknown bits ignored. */
    uint64_t idle_spin_ns; /**< Upper bound of idle spinning before a worker sleeps; 0 none. */
    uint32_t idle_spin_max_iters; /**< Upper bound of spin iterations; 0 none. */
    /** CPU for a kernel submission thread, -1 automatic; looked at only with the SQPOLL flag. */
    int32_t sqpoll_cpu;
    uint32_t profile; /**< llam_runtime_profile_t. */
    uint32_t reserved0; /**< Ignored. */
    uint32_t preempt_mode; /**< llam_preempt_mode_t; default 2 (AUTO). */
    /** 0 takes the default of the profile; values above 4096 are taken as 4096. */
    uint32_t preempt_poll_period;
    /** 0 takes the budgets per task class; else one budget for all. */
    uint64_t preempt_quantum_ns;
} llam_runtime_opts_t;

/**
 * A snapshot of counters and gauges. Counters start at 0 when the runtime is initialised and
 * never decrease while it is live; those of mechanisms the engine does not have stay 0.
 */
typedef struct llam_runtime_stats {
    uint64_t ctx_switches; /**< Switches into tasks. */
    uint64_t yields; /**< Yields done by tasks, safepoint yields included. */
    uint64_t parks; /**< Times a task parked. */
    uint64_t wakes; /**< Times a parked task was made runnable. */
    uint64_t steals; /**< Tasks taken from another worker. */
    uint64_t migrations; /**< Tasks or I/O moved to another worker. */
    uint64_t blocking_calls; /**< Blocking jobs submitted. */
    uint64_t blocking_completions; /**< Blocking jobs finished. */
    uint64_t io_submits; /**< I/O requests handed to the backend. */
    uint64_t io_submit_calls; /**< Submit attempts. */
    uint64_t io_submit_syscalls; /**< Submit system calls. */
    uint64_t io_completions; /**< I/O requests completed. */
    uint64_t idle_polls; /**< Kernel polls by idle workers. */
    uint64_t idle_spin_loops; /**< Idle spin iterations. */
    uint64_t idle_spin_hits; /**< Spins that found work. */
    uint64_t idle_spin_fallbacks; /**< Spins that ended in a kernel wait. */
    uint64_t idle_spin_ns; /**< Time spent spinning. */
    uint64_t queue_overflows; /**< Run-queue overflows. */
    uint64_t overflow_depth; /**< Current depth of the overflow queue (a gauge). */
    uint32_t active_workers; /**< Configured workers. */
    uint32_t online_workers; /**< Workers online now. */
    uint32_t online_workers_floor; /**< Lower bound kept online. */
    uint32_t online_workers_min; /**< Smallest number seen online. */
    uint32_t online_workers_max; /**< Largest number seen online. */
    uint32_t active_nodes; /**< I/O backends (at least 1). */
    uint32_t dynamic_workers; /**< 0 or 1: the mode is active. */
    uint32_t worker_rings; /**< 0 or 1: the mode is active. */
    uint32_t worker_rings_multishot; /**< 0 or 1: the mode is active. */
    uint32_t lockfree_normq; /**< 0 or 1: the mode is active. */
    uint32_t huge_alloc; /**< 0 or 1: the mode is active. */
    uint32_t sqpoll; /**< 0 or 1: the mode is active. */
    /** Time in opaque blocking regions (only with LLAM_OPAQUE_TIMING=1, like the next eight). */
    uint64_t opaque_block_ns;
    uint64_t opaque_block_samples; /**< Samples of opaque_block_ns. */
    uint64_t opaque_block_max_ns; /**< Longest of opaque_block_ns. */
    uint64_t opaque_enter_wait_ns; /**< Time spent entering. */
    uint64_t opaque_enter_wait_samples; /**< Samples of opaque_enter_wait_ns. */
    uint64_t opaque_enter_wait_max_ns; /**< Longest of opaque_enter_wait_ns. */
    uint64_t opaque_leave_wait_ns; /**< Time spent leaving. */
    uint64_t opaque_leave_wait_samples; /**< Samples of opaque_leave_wait_ns. */
    uint64_t opaque_leave_wait_max_ns; /**< Longest of opaque_leave_wait_ns. */
    uint64_t yield_direct_attempts; /**< Attempts to switch directly to another task on yield. */
    uint64_t yield_direct_fast_hits; /**< Of these, done without a lock. */
    uint64_t yield_direct_locked_hits; /**< Of these, done under a lock. */
    uint64_t yield_direct_fail_context; /**< Not done: wrong context. */
    uint64_t yield_direct_fail_policy; /**< Not done: policy. */
    uint64_t yield_direct_fail_no_work; /**< Not done: nothing runnable here. */
    uint64_t yield_direct_fail_self; /**< Not done: only the caller was found. */
    uint64_t yield_direct_fail_push; /**< Not done: caller could not be queued. */
    uint64_t preempt_requests; /**< Automatic preemption requests. */
    uint64_t preempt_yields; /**< Yields caused by them. */
    uint64_t preempt_suppressed; /**< Over-budget observations without a request. */
    uint64_t preempt_signals; /**< Wake signals sent for them. */
    uint32_t preempt_mode; /**< Active mode. */
    uint32_t preempt_poll_period; /**< Active period (0 when OFF, 1 when STRICT). */
    uint64_t preempt_quantum_ns; /**< Active override, 0 for class budgets. */
} llam_runtime_stats_t;

/** One arm of llam_channel_select. */
typedef struct llam_select_op {
    uint32_t kind; /**< llam_select_op_kind_t. */
    uint32_t reserved0; /**< Ignored. */
    llam_channel_t *channel; /**< Channel of this arm. */
    void *send_value; /**< Value of a SEND arm; unused for RECV. */
    void **recv_out; /**< Where a RECV arm stores; must be non-NULL there; unused for SEND. */
    int result_errno; /**< Output: 0 or EPIPE. */
} llam_select_op_t;

/** Options of llam_timer_create_ex. */
typedef struct llam_timer_opts {
    uint64_t first_deadline_ns; /**< First tick, absolute; 0 means now. */
    uint64_t interval_ns; /**< Period; 0 is EINVAL. */
    uint32_t flags; /**< Must be 0, else ENOTSUP. */
    uint32_t reserved0; /**< Ignored. */
} llam_timer_opts_t;

/** A signal taken by llam_signal_wait. */
typedef struct llam_signal_event {
    int32_t signo; /**< Signal number. */
    uint32_t reserved0; /**< Always 0. */
    uint64_t sequence; /**< Counts from 1, per set. */
} llam_signal_event_t;

/** Options of llam_signal_set_create_ex. */
typedef struct llam_signal_opts {
    uint32_t flags; /**< Must be 0, else ENOTSUP. */
    uint32_t reserved0; /**< Ignored. */
} llam_signal_opts_t;

/* The size each struct has in this header; pass it as the size argument. */
#define LLAM_ABI_INFO_CURRENT_SIZE ((size_t)sizeof(llam_abi_info_t))
#define LLAM_SPAWN_OPTS_CURRENT_SIZE ((size_t)sizeof(llam_spawn_opts_t))
#define LLAM_RUNTIME_OPTS_CURRENT_SIZE ((size_t)sizeof(llam_runtime_opts_t))
#define LLAM_RUNTIME_STATS_CURRENT_SIZE ((size_t)sizeof(llam_runtime_stats_t))
#define LLAM_TIMER_OPTS_CURRENT_SIZE ((size_t)sizeof(llam_timer_opts_t))
#define LLAM_SIGNAL_OPTS_CURRENT_SIZE ((size_t)sizeof(llam_signal_opts_t))

/* ---- ABI and version ---- */

/** Returns LLAM_ABI_VERSION of the library. Never fails; any thread, any time. */
LLAM_API uint32_t llam_abi_version(void);

/** Returns "major.minor.patch"; a static string, never NULL, never freed. */
LLAM_API const char *llam_version_string(void);

/** Fills at most info_size bytes of info. 0; EINVAL for NULL or size 0. Needs no runtime. */
LLAM_API int llam_abi_get_info(llam_abi_info_t *info, size_t info_size);

/**
 * Writes the defaults: all 0, but sqpoll_cpu -1 and preempt_mode AUTO. 0; EINVAL for NULL or
 * size 0.
 */
LLAM_API int llam_runtime_opts_init(llam_runtime_opts_t *opts, size_t opts_size);

/** Writes the defaults: task_class DEFAULT, all else 0. 0; EINVAL for NULL or size 0. */
LLAM_API int llam_spawn_opts_init(llam_spawn_opts_t *opts, size_t opts_size);

/* ---- Lifecycle ---- */

/**
 * Initialises the default runtime. opts NULL: defaults. Errors: EINVAL opts with size 0, bad
 * profile or preempt_mode; EBUSY already live; EINVAL sqpoll_cpu; ENODEV, ENOMEM, EAGAIN. A
 * failure leaves nothing behind.
 */
LLAM_API int llam_runtime_init_ex(const llam_runtime_opts_t *opts, size_t opts_size);

/**
 * llam_runtime_init_ex with the library's own struct size: only safe when program and library
 * have the same ABI.
 */
LLAM_API int llam_runtime_init(const llam_runtime_opts_t *opts);

/** The handle of the default runtime: never NULL, always the same, whether live or not. */
LLAM_API llam_runtime_t *llam_runtime_default(void);

/**
 * Makes an independent runtime. 0 and *out; EINVAL for out NULL, else as llam_runtime_init_ex
 * without EBUSY. End it with llam_runtime_destroy.
 */
LLAM_API int llam_runtime_create(const llam_runtime_opts_t *opts,
                                 size_t opts_size,
                                 llam_runtime_t **out);

/**
 * Runs that runtime as llam_run does. EINVAL for a bad, destroyed or running runtime, and from
 * any task.
 */
LLAM_API int llam_runtime_run_handle(llam_runtime_t *runtime);

/**
 * Ends a runtime: waits for a run in progress, frees everything. NULL or the default handle:
 * llam_runtime_shutdown. From one of its tasks: a stop request. errno is kept.
 */
LLAM_API void llam_runtime_destroy(llam_runtime_t *runtime);

/**
 * Runs the default runtime on the calling thread (and others) until it has no live task. 0;
 * EINVAL not live, already running, or called in a task; EDEADLK when every task waits for
 * another for ever; EMFILE, EPERM and the like when no worker can open its driver.
 */
LLAM_API int llam_run(void);

/**
 * Cancels every wait of the caller's runtime (host threads: of the default one), now and until
 * its run has returned. 0; EINVAL when it is not live.
 */
LLAM_API int llam_runtime_request_stop(void);

/**
 * Ends the default runtime; waits for a run on another thread. In a task: a stop request.
 * Idempotent; errno is kept.
 */
LLAM_API void llam_runtime_shutdown(void);

/* ---- Tasks ---- */

/**
 * Creates a task that calls fn(arg), on the caller's runtime (host threads: the default one).
 * The handle must be joined or detached. NULL with EINVAL (fn NULL, opts with size 0, runtime
 * not live, bad class, bad token), EXDEV (token of another runtime), ENOMEM.
 */
LLAM_API llam_task_t *llam_spawn_ex(llam_task_fn fn,
                                    void *arg,
                                    const llam_spawn_opts_t *opts,
                                    size_t opts_size);

/** llam_spawn_ex with size 32. */
LLAM_API llam_task_t *llam_spawn(llam_task_fn fn, void *arg, const llam_spawn_opts_t *opts);

/**
 * llam_spawn_ex onto the given live runtime, from any thread. NULL, unknown or dead runtimes
 * give EINVAL.
 */
LLAM_API llam_task_t *llam_runtime_spawn_ex(llam_runtime_t *runtime,
                                            llam_task_fn fn,
                                            void *arg,
                                            const llam_spawn_opts_t *opts,
                                            size_t opts_size);

/** Waits for the task to end and consumes the handle: llam_join_until without a deadline. */
LLAM_API int llam_join(llam_task_t *task);

/**
 * Waits for the task to end and consumes the handle. Errors, in order: EINVAL dead handle,
 * EXDEV, EINVAL runtime not live, EBUSY owned by a group, EDEADLK the caller itself, EBUSY being
 * joined, ETIMEDOUT, ECANCELED. After the last three the handle is still valid.
 */
LLAM_API int llam_join_until(llam_task_t *task, uint64_t deadline_ns);

/**
 * Gives up the handle; the task frees itself at its end. EINVAL dead handle; EXDEV; EBUSY owned
 * by a group or being joined.
 */
LLAM_API int llam_detach(llam_task_t *task);

/** The calling task's own handle (borrowed), NULL on a host thread. */
LLAM_API llam_task_t *llam_current_task(void);

/**
 * Id of the task, from 1 in the order of spawns; 0 for NULL, dead or foreign handles. errno is
 * kept.
 */
LLAM_API uint64_t llam_task_id(const llam_task_t *task);

/**
 * One of NEW, RUNNABLE, RUNNING, PARKED, BLOCKED_OPAQUE, DEAD, UNKNOWN; a static string and a
 * snapshot.
 */
LLAM_API const char *llam_task_state_name(const llam_task_t *task);

/** Current llam_task_class_t of the task; 1 for NULL, dead or foreign handles. */
LLAM_API uint32_t llam_task_class(const llam_task_t *task);

/** The flags given at spawn, unknown bits included; 0 for NULL, dead or foreign handles. */
LLAM_API uint32_t llam_task_flags(const llam_task_t *task);

/**
 * Sets the calling task's class. EINVAL for a value above 2 (checked first); ENOTSUP on a host
 * thread.
 */
LLAM_API int llam_task_set_class(uint32_t task_class);

/**
 * Puts the caller at the end of the run order. Never fails; on a host thread at most an OS
 * yield.
 */
LLAM_API void llam_yield(void);

/** Gives the scheduler a chance to preempt. Cheap; no effect on a host thread. */
LLAM_API void llam_task_safepoint(void);

/** Passes a safepoint; see llam_task_safepoint. */
#define LLAM_PREEMPT_POLL() (llam_task_safepoint())

/** Passes a safepoint when interval is 0 or 1, or counter is a multiple of it (also 0). */
static inline void llam_preempt_poll_every(size_t counter, size_t interval) {
    if (interval <= 1U || counter % interval == 0U) {
        llam_task_safepoint();
    }
}

/* Evaluates each argument once. */
#define LLAM_PREEMPT_POLL_EVERY(counter, interval) \
    (llam_preempt_poll_every((size_t)(counter), (size_t)(interval)))

/* ---- Task groups ---- */

/** A new empty group with its own token. NULL with ENOMEM. Any thread, any time. */
LLAM_API llam_task_group_t *llam_task_group_create(void);

/**
 * Spawns a child on the group's runtime, with the group's token unless the options name one. The
 * handle is borrowed: join and detach give EBUSY. NULL with EINVAL, EBUSY (being joined), EXDEV,
 * ENOMEM.
 */
LLAM_API llam_task_t *llam_task_group_spawn_ex(llam_task_group_t *group,
                                               llam_task_fn fn,
                                               void *arg,
                                               const llam_spawn_opts_t *opts,
                                               size_t opts_size);

/** llam_task_group_spawn_ex with size 32. */
LLAM_API llam_task_t *llam_task_group_spawn(llam_task_group_t *group,
                                            llam_task_fn fn,
                                            void *arg,
                                            const llam_spawn_opts_t *opts);

/**
 * Cancels the group's token: children that use it, now and later. 0, also when repeated; EINVAL;
 * EXDEV.
 */
LLAM_API int llam_task_group_cancel(llam_task_group_t *group);

/** llam_task_group_join_until without a deadline. */
LLAM_API int llam_task_group_join(llam_task_group_t *group);

/**
 * Joins the children in spawn order. 0 when all have ended. EINVAL; EXDEV; EBUSY another call is
 * in progress; EDEADLK from a child; ETIMEDOUT and ECANCELED leave the remaining children in the
 * group.
 */
LLAM_API int llam_task_group_join_until(llam_task_group_t *group, uint64_t deadline_ns);

/**
 * Frees an empty group. EINVAL; EXDEV; EBUSY while it has unjoined children or a call is in
 * progress.
 */
LLAM_API int llam_task_group_destroy(llam_task_group_t *group);

/* ---- Time and timers ---- */

/** Monotonic nanoseconds (CLOCK_MONOTONIC). Never fails; any thread, any time. */
LLAM_API uint64_t llam_now_ns(void);

/**
 * Waits until the deadline; a past one returns 0 at once, also when cancelled. ECANCELED; on a
 * host thread EINVAL when the default runtime is not live.
 */
LLAM_API int llam_sleep_until(uint64_t deadline_ns);

/** llam_sleep_until(now + duration), saturating; 0 returns at once. */
LLAM_API int llam_sleep_ns(uint64_t duration_ns);

/**
 * Makes a timer that ticks at first_deadline_ns (0: now) and then every interval_ns. Errors, in
 * order: EINVAL out NULL, opts NULL, size 0, interval 0; ENOTSUP flags; ENOMEM.
 */
LLAM_API int llam_timer_create_ex(const llam_timer_opts_t *opts,
                                  size_t opts_size,
                                  llam_timer_t **out);

/**
 * Makes a timer whose first tick is due one interval from now. EINVAL for interval 0 or out
 * NULL.
 */
LLAM_API int llam_timer_create(uint64_t interval_ns, llam_timer_t **out);

/** llam_timer_wait_until without a deadline. */
LLAM_API int llam_timer_wait(llam_timer_t *timer, uint64_t *ticks_out);

/**
 * Waits for a tick and takes all due ones into *ticks_out. Errors, in order: EINVAL ticks_out
 * NULL; ETIMEDOUT deadline 0; EINVAL handle; EXDEV; ECANCELED timer cancelled; ETIMEDOUT;
 * ECANCELED task cancelled. Works on host threads.
 */
LLAM_API int llam_timer_wait_until(llam_timer_t *timer,
                                   uint64_t deadline_ns,
                                   uint64_t *ticks_out);

/**
 * Sets first deadline (0: now) and interval anew, forgets due ticks, undoes a cancel. EINVAL;
 * EXDEV.
 */
LLAM_API int llam_timer_reset(llam_timer_t *timer,
                              uint64_t first_deadline_ns,
                              uint64_t interval_ns);

/**
 * Makes current and later waits fail with ECANCELED until a reset. 0, also when repeated;
 * EINVAL; EXDEV.
 */
LLAM_API int llam_timer_cancel(llam_timer_t *timer);

/** Frees the timer. EINVAL; EXDEV; EBUSY while a wait is inside. */
LLAM_API int llam_timer_destroy(llam_timer_t *timer);

/* ---- Signals ---- */

/**
 * Subscribes to 1 to 16 signals and blocks them in the calling thread. Create sets before the
 * runtime and any other thread: one that has a signal unblocked may take it. Errors, in order: EINVAL
 * out NULL, size 0; ENOTSUP flags, or not Linux; EINVAL bad numbers; EBUSY a signal belongs to
 * another set; ENOMEM.
 */
LLAM_API int llam_signal_set_create_ex(const int *signos,
                                       size_t signo_count,
                                       const llam_signal_opts_t *opts,
                                       size_t opts_size,
                                       llam_signal_set_t **out);

/** llam_signal_wait_until without a deadline. */
LLAM_API int llam_signal_wait(llam_signal_set_t *set, llam_signal_event_t *out);

/**
 * Takes one pending signal of the set. Errors, in order: EINVAL out NULL, handle; EXDEV;
 * ETIMEDOUT; ECANCELED. Works on host threads.
 */
LLAM_API int llam_signal_wait_until(llam_signal_set_t *set,
                                    uint64_t deadline_ns,
                                    llam_signal_event_t *out);

/**
 * Ends the subscription and unblocks the signals in the calling thread. EINVAL; EXDEV; EBUSY
 * while somebody waits.
 */
LLAM_API int llam_signal_set_destroy(llam_signal_set_t *set);

/* ---- Blocking ---- */

/**
 * Runs fn(arg) on a pool thread while the task is parked (host thread: directly). 0 and *out,
 * errno as fn left it; EINVAL; ECANCELED (a callback that runs is waited for); ENOMEM.
 */
LLAM_API int llam_call_blocking_result(llam_blocking_fn fn, void *arg, void **out);

/** As llam_call_blocking_result; NULL on failure. */
LLAM_API void *llam_call_blocking(llam_blocking_fn fn, void *arg);

/**
 * Declares that the task is about to block its OS thread itself. Nests. 0, also on a host
 * thread; ENOMEM.
 *
 * After it, and after llam_leave_blocking, this task and the others of its worker may go on on
 * another OS thread, unless they were spawned with LLAM_SPAWN_F_PINNED. Compilers keep the address
 * of errno and of thread-locals over a call: in such a task read them in a function of its own that
 * is not inlined, or pin the task.
 */
LLAM_API int llam_enter_blocking(void);

/** Ends the innermost blocking region. 0; EINVAL in a task that is in none. */
LLAM_API int llam_leave_blocking(void);

/* ---- Task-local values ---- */

/** A new key for all tasks: the lowest free id, 1 to 65535. EINVAL; ENOSPC; ENOMEM. */
LLAM_API int llam_task_local_key_create(llam_task_local_key_t *out_key);

/** Deactivates the key; values are not touched. EINVAL for a key that is not active. */
LLAM_API int llam_task_local_key_delete(llam_task_local_key_t key);

/**
 * The calling task's value, NULL when there is none; errno is set to 0. NULL with EINVAL for an
 * inactive key, ENOTSUP on a host thread.
 */
LLAM_API void *llam_task_local_get(llam_task_local_key_t key);

/**
 * Sets the calling task's value; NULL removes it. ENOTSUP on a host thread; EINVAL for an
 * inactive key (a NULL may still remove an old entry); ENOMEM.
 */
LLAM_API int llam_task_local_set(llam_task_local_key_t key, void *value);

/* ---- Cancellation tokens ---- */

/** A new token. NULL with ENOMEM. Any thread, any time. */
LLAM_API llam_cancel_token_t *llam_cancel_token_create(void);

/** Cancels for good every task that has this token. 0, also when repeated; EINVAL; EXDEV. */
LLAM_API int llam_cancel_token_cancel(llam_cancel_token_t *token);

/** 1 or 0; -1 with EINVAL or EXDEV. */
LLAM_API int llam_cancel_token_is_cancelled(const llam_cancel_token_t *token);

/** Frees the token. EINVAL; EXDEV; EBUSY while an unreclaimed task refers to it. */
LLAM_API int llam_cancel_token_destroy(llam_cancel_token_t *token);

/* ---- Mutex ---- */

/** A new mutex. NULL with ENOMEM. Any thread, any time. */
LLAM_API llam_mutex_t *llam_mutex_create(void);

/** Frees the mutex. EINVAL; EXDEV; EBUSY when locked, waited for or in use. */
LLAM_API int llam_mutex_destroy(llam_mutex_t *mutex);

/** llam_mutex_lock_until without a deadline. */
LLAM_API int llam_mutex_lock(llam_mutex_t *mutex);

/**
 * Takes the mutex, first come, first served. Errors, in order: EINVAL; ENOTSUP host thread;
 * EXDEV; EDEADLK the caller owns it; ETIMEDOUT; ECANCELED.
 */
LLAM_API int llam_mutex_lock_until(llam_mutex_t *mutex, uint64_t deadline_ns);

/** Takes the mutex if it is free. EBUSY held by anyone; EINVAL; ENOTSUP; EXDEV. */
LLAM_API int llam_mutex_trylock(llam_mutex_t *mutex);

/**
 * Hands the mutex to the longest waiter. EINVAL; ENOTSUP; EXDEV; EPERM the caller does not own
 * it.
 */
LLAM_API int llam_mutex_unlock(llam_mutex_t *mutex);

/* ---- Condition variable ---- */

/** A new condition variable. NULL with ENOMEM. Any thread, any time. */
LLAM_API llam_cond_t *llam_cond_create(void);

/** Frees it. EINVAL; EXDEV; EBUSY while a wait on it has not returned. */
LLAM_API int llam_cond_destroy(llam_cond_t *cond);

/** llam_cond_wait_until without a deadline. */
LLAM_API int llam_cond_wait(llam_cond_t *cond, llam_mutex_t *mutex);

/**
 * Releases the mutex and parks in one step; the mutex is held again on return. Errors, in order:
 * EINVAL; ENOTSUP; EXDEV; EPERM not the owner; ETIMEDOUT; ECANCELED.
 */
LLAM_API int llam_cond_wait_until(llam_cond_t *cond, llam_mutex_t *mutex, uint64_t deadline_ns);

/**
 * Wakes the longest waiter, if any. 0; EINVAL; EXDEV; ENOTSUP on a host thread when the runtime
 * is not live. Any thread.
 */
LLAM_API int llam_cond_signal(llam_cond_t *cond);

/** Wakes all current waiters. Errors as llam_cond_signal. */
LLAM_API int llam_cond_broadcast(llam_cond_t *cond);

/* ---- Channel ---- */

/** A new channel of exactly this capacity. NULL with EINVAL for 0, ENOMEM. */
LLAM_API llam_channel_t *llam_channel_create(size_t capacity);

/**
 * Frees an empty, unused channel. EINVAL; EXDEV; EBUSY when values are buffered or calls are
 * inside.
 */
LLAM_API int llam_channel_destroy(llam_channel_t *channel);

/** llam_channel_send_until without a deadline. */
LLAM_API int llam_channel_send(llam_channel_t *channel, void *value);

/**
 * Sends, parking while the channel is full. EINVAL; ENOTSUP host thread; EXDEV; EPIPE closed;
 * ETIMEDOUT; ECANCELED. On failure the value still belongs to the caller.
 */
LLAM_API int llam_channel_send_until(llam_channel_t *channel,
                                     void *value,
                                     uint64_t deadline_ns);

/**
 * Sends without parking, from any thread. EAGAIN full; EPIPE closed; EINVAL; EXDEV; ENOTSUP
 * runtime not live.
 */
LLAM_API int llam_channel_try_send(llam_channel_t *channel, void *value);

/** llam_channel_recv_until_result without a deadline. */
LLAM_API int llam_channel_recv_result(llam_channel_t *channel, void **out);

/**
 * Receives the oldest value into *out, parking while the channel is empty. EINVAL; ENOTSUP host
 * thread; EXDEV; EPIPE closed and empty; ETIMEDOUT; ECANCELED.
 */
LLAM_API int llam_channel_recv_until_result(llam_channel_t *channel,
                                            uint64_t deadline_ns,
                                            void **out);

/**
 * Receives without parking, from any thread. EAGAIN empty; EPIPE closed and empty; EINVAL;
 * EXDEV; ENOTSUP runtime not live.
 */
LLAM_API int llam_channel_try_recv_result(llam_channel_t *channel, void **out);

/** Returns the payload; NULL with errno set on failure, NULL with errno 0 for a NULL payload. */
LLAM_API void *llam_channel_recv(llam_channel_t *channel);

/** llam_channel_recv with a deadline. */
LLAM_API void *llam_channel_recv_until(llam_channel_t *channel, uint64_t deadline_ns);

/**
 * Closes for sending and wakes every waiter with EPIPE. 0, also when repeated; EINVAL; EXDEV.
 * Any thread.
 */
LLAM_API int llam_channel_close(llam_channel_t *channel);

/* ---- Select ---- */

/**
 * Performs exactly one of the arms; the lowest ready index wins. 0, *selected_index and that
 * arm's result_errno (0 or EPIPE). Errors, in order: EINVAL; ENOTSUP host thread; EINVAL or
 * EXDEV of an arm; ETIMEDOUT; ECANCELED.
 */
LLAM_API int llam_channel_select(llam_select_op_t *ops,
                                 size_t op_count,
                                 uint64_t deadline_ns,
                                 size_t *selected_index);

/* ---- Statistics and diagnostics ---- */

/**
 * Snapshot of the default runtime, zeros when it is not live. 0; EINVAL for NULL or size 0. Any
 * thread.
 */
LLAM_API int llam_runtime_collect_stats_ex(llam_runtime_stats_t *stats, size_t stats_size);

/**
 * Snapshot of one runtime. EINVAL for stats NULL, size 0; for a bad runtime EINVAL with the
 * prefix zeroed.
 */
LLAM_API int llam_runtime_collect_stats_ex_handle(llam_runtime_t *runtime,
                                                  llam_runtime_stats_t *stats,
                                                  size_t stats_size);

/**
 * llam_runtime_collect_stats_ex with the library's own struct size: only safe when program and
 * library have the same ABI.
 */
LLAM_API int llam_runtime_collect_stats(llam_runtime_stats_t *stats);

/**
 * Writes the default runtime's statistics to fd as one JSON object and a newline. EINVAL fd
 * below 0; errors of write(2).
 */
LLAM_API int llam_runtime_write_stats_json(int fd);

/**
 * Writes readable text about the default runtime to fd; errors are ignored. Any thread, any
 * time.
 */
LLAM_API void llam_dump_runtime_state(int fd);

#ifdef __cplusplus
}
#endif

#include "io.h"

#endif /* LLAM_RUNTIME_H */
