/*
 * The behaviour of LLAM 1.0.1 in front of the engine: what `cargo xtask sdk --only-1.0` links in.
 *
 * Test equipment. It gives the binding an SDK to run on that has the identity, the struct sizes and
 * the manners of 1.0.1 (docs/abi.md, 1.2 to 1.6) where a binding can see them:
 *
 * - versions 1.0.1 and ABI 1.0, options of 40 bytes, statistics of 336, unknown tails zeroed;
 * - deterministic is 1 by default;
 * - llam_runtime_create initialises the default runtime and returns its handle;
 * - a stop request wakes no parked task;
 * - handles are not checked: where 1.0.1 would corrupt its heap, this one says which call it was
 *   and aborts.
 *
 * The engine's own functions are renamed to engine_llam_* before this is linked to them.
 */
#include <llam/runtime.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ABI_INFO_SIZE 80U
#define RUNTIME_OPTS_SIZE 40U
#define SPAWN_OPTS_SIZE 32U
#define STATS_SIZE 336U

int engine_llam_abi_get_info(llam_abi_info_t *info, size_t info_size);
int engine_llam_runtime_opts_init(llam_runtime_opts_t *opts, size_t opts_size);
int engine_llam_runtime_init_ex(const llam_runtime_opts_t *opts, size_t opts_size);
int engine_llam_runtime_collect_stats_ex(llam_runtime_stats_t *stats, size_t stats_size);
void engine_llam_runtime_shutdown(void);

static _Atomic int is_live;

static int failed(int code) {
    errno = code;
    return -1;
}

/* ---- Identity and sizes ---- */

uint32_t llam_abi_version(void) { return 0x00010000U; }

const char *llam_version_string(void) { return "1.0.1"; }

/* Copies a prefix and, as 1.0.1 does, zeroes what lies behind it. */
static int give(void *out, size_t out_size, const void *from, size_t from_size) {
    if (out == NULL || out_size == 0) return failed(EINVAL);
    memset(out, 0, out_size);
    memcpy(out, from, out_size < from_size ? out_size : from_size);
    return 0;
}

int llam_abi_get_info(llam_abi_info_t *info, size_t info_size) {
    llam_abi_info_t own;
    engine_llam_abi_get_info(&own, sizeof own);
    own.abi_major = 1;
    own.abi_minor = 0;
    own.version_major = 1;
    own.version_minor = 0;
    own.version_patch = 1;
    own.runtime_opts_size = RUNTIME_OPTS_SIZE;
    own.runtime_stats_size = STATS_SIZE;
    own.version_string = llam_version_string();
    return give(info, info_size, &own, ABI_INFO_SIZE);
}

static void default_opts(llam_runtime_opts_t *opts) {
    engine_llam_runtime_opts_init(opts, sizeof *opts);
    opts->deterministic = 1;
}

int llam_runtime_opts_init(llam_runtime_opts_t *opts, size_t opts_size) {
    llam_runtime_opts_t own;
    default_opts(&own);
    return give(opts, opts_size, &own, RUNTIME_OPTS_SIZE);
}

/* Where each field of the 40 bytes ends. */
static size_t whole_fields(size_t size) {
    static const size_t ends[] = {40, 36, 32, 28, 24, 16, 8, 4};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (size >= ends[i]) return ends[i];
    return 0;
}

int llam_runtime_init_ex(const llam_runtime_opts_t *opts, size_t opts_size) {
    llam_runtime_opts_t own;
    default_opts(&own);
    if (opts != NULL) {
        if (opts_size == 0) return failed(EINVAL);
        memcpy(&own, opts, whole_fields(opts_size));
    }
    int status = engine_llam_runtime_init_ex(&own, RUNTIME_OPTS_SIZE);
    if (status == 0) atomic_store(&is_live, 1);
    return status;
}

int llam_runtime_init(const llam_runtime_opts_t *opts) {
    return llam_runtime_init_ex(opts, RUNTIME_OPTS_SIZE);
}

int llam_runtime_collect_stats_ex(llam_runtime_stats_t *stats, size_t stats_size) {
    llam_runtime_stats_t own;
    engine_llam_runtime_collect_stats_ex(&own, sizeof own);
    return give(stats, stats_size, &own, STATS_SIZE);
}

int llam_runtime_collect_stats(llam_runtime_stats_t *stats) {
    return llam_runtime_collect_stats_ex(stats, STATS_SIZE);
}

/* ---- One runtime ---- */

int llam_runtime_create(const llam_runtime_opts_t *opts, size_t opts_size, llam_runtime_t **out) {
    if (out == NULL) return failed(EINVAL);
    *out = NULL;
    if (llam_runtime_init_ex(opts, opts_size) != 0) return -1;
    *out = llam_runtime_default();
    return 0;
}

int llam_runtime_run_handle(llam_runtime_t *runtime) {
    return runtime == llam_runtime_default() ? llam_run() : failed(EINVAL);
}

void llam_runtime_shutdown(void) {
    if (llam_current_task() == NULL) atomic_store(&is_live, 0);
    engine_llam_runtime_shutdown();
}

void llam_runtime_destroy(llam_runtime_t *runtime) {
    (void)runtime;
    llam_runtime_shutdown();
}

/* Wakes workers, which notice nothing: parked tasks stay parked. */
int llam_runtime_request_stop(void) {
    return atomic_load(&is_live) ? 0 : failed(EINVAL);
}

/* ---- Handles that nobody checks ---- */

static void must_be_live(const char *function, const void *handle, int status) {
    if (status == -1 && errno == EINVAL && handle != NULL) {
        fprintf(stderr, "LLAM 1.0: %s was given the dead handle %p\n", function, handle);
        abort();
    }
}

#define UNCHECKED_1(function, type)                                                              \
    int engine_##function(type *handle);                                                         \
    int function(type *handle) {                                                                 \
        int status = engine_##function(handle);                                                  \
        must_be_live(#function, handle, status);                                                 \
        return status;                                                                           \
    }

#define UNCHECKED_2(function, type, second_type)                                                 \
    int engine_##function(type *handle, second_type second);                                     \
    int function(type *handle, second_type second) {                                             \
        int status = engine_##function(handle, second);                                          \
        must_be_live(#function, handle, status);                                                 \
        return status;                                                                           \
    }

UNCHECKED_1(llam_detach, llam_task_t)
UNCHECKED_1(llam_mutex_destroy, llam_mutex_t)
UNCHECKED_1(llam_mutex_lock, llam_mutex_t)
UNCHECKED_2(llam_mutex_lock_until, llam_mutex_t, uint64_t)
UNCHECKED_1(llam_mutex_trylock, llam_mutex_t)
UNCHECKED_1(llam_mutex_unlock, llam_mutex_t)
UNCHECKED_1(llam_cond_destroy, llam_cond_t)
UNCHECKED_1(llam_cond_signal, llam_cond_t)
UNCHECKED_1(llam_cond_broadcast, llam_cond_t)
UNCHECKED_1(llam_channel_destroy, llam_channel_t)
UNCHECKED_1(llam_channel_close, llam_channel_t)
UNCHECKED_2(llam_channel_send, llam_channel_t, void *)
UNCHECKED_1(llam_cancel_token_destroy, llam_cancel_token_t)
UNCHECKED_1(llam_cancel_token_cancel, llam_cancel_token_t)
UNCHECKED_1(llam_cancel_token_is_cancelled, const llam_cancel_token_t)
UNCHECKED_1(llam_task_group_destroy, llam_task_group_t)
UNCHECKED_1(llam_task_group_cancel, llam_task_group_t)
UNCHECKED_1(llam_task_group_join, llam_task_group_t)
UNCHECKED_2(llam_task_group_join_until, llam_task_group_t, uint64_t)

/* Joins fail with EINVAL for live handles too, when no runtime is live. */
int engine_llam_join_until(llam_task_t *task, uint64_t deadline_ns);
int llam_join_until(llam_task_t *task, uint64_t deadline_ns) {
    int status = engine_llam_join_until(task, deadline_ns);
    must_be_live("llam_join_until", task, status);
    return status;
}

int llam_join(llam_task_t *task) { return llam_join_until(task, UINT64_MAX); }

uint64_t engine_llam_task_id(const llam_task_t *task);
uint64_t llam_task_id(const llam_task_t *task) {
    uint64_t id = engine_llam_task_id(task);
    if (id == 0 && task != NULL) {
        errno = EINVAL;
        must_be_live("llam_task_id", task, -1);
    }
    return id;
}

const char *engine_llam_task_state_name(const llam_task_t *task);
const char *llam_task_state_name(const llam_task_t *task) {
    const char *name = engine_llam_task_state_name(task);
    if (task != NULL && strcmp(name, "UNKNOWN") == 0) {
        errno = EINVAL;
        must_be_live("llam_task_state_name", task, -1);
    }
    return name;
}
