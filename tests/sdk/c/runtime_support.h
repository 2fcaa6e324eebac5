/* Helpers of the tests about runtimes: statistics, options, explicit runtimes, host threads.
 *
 * Every wait here has a deadline.
 */
#ifndef RUNTIME_SUPPORT_H
#define RUNTIME_SUPPORT_H

#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

/* Far away for any machine; a wait that reaches it is a failure. */
#define LONG_MS 20000

/* Waits on a host thread until the condition holds. */
#define EVENTUALLY(condition)                                                                    \
    do {                                                                                         \
        uint64_t check_until = after_ms(LONG_MS);                                                \
        while (!(condition)) {                                                                   \
            if (llam_now_ns() > check_until) FAIL("never: %s", #condition);                      \
            host_pause();                                                                        \
        }                                                                                        \
    } while (0)

/* A short pause of the OS thread that needs no runtime. */
static inline void host_pause(void) {
    struct timespec pause = {0, 200000};
    nanosleep(&pause, NULL);
}

/* Removes the variables of abi.md 5.16 that the settings in the statistics depend on. */
static inline void plain_environment(void) {
    static const char *const variables[] = {"RUNTIME_PROFILE", "PREEMPT_MODE",
                                            "PREEMPT_POLL_PERIOD", "PREEMPT_QUANTUM_NS"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "LLAM_%s", variables[i]);
        unsetenv(name);
        snprintf(name, sizeof name, "NM_%s", variables[i]);
        unsetenv(name);
    }
}

static inline llam_runtime_opts_t default_opts(void) {
    llam_runtime_opts_t opts;
    CHECK_OK(llam_runtime_opts_init(&opts, sizeof opts));
    return opts;
}

static inline llam_runtime_stats_t default_stats(void) {
    llam_runtime_stats_t stats;
    CHECK_OK(llam_runtime_collect_stats_ex(&stats, sizeof stats));
    return stats;
}

static inline llam_runtime_stats_t stats_of(llam_runtime_t *runtime) {
    llam_runtime_stats_t stats;
    CHECK_OK(llam_runtime_collect_stats_ex_handle(runtime, &stats, sizeof stats));
    return stats;
}

static inline int is_live(void) { return default_stats().active_workers > 0; }

static inline int all_zero(const void *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (((const unsigned char *)bytes)[i] != 0) return 0;
    return 1;
}

static inline void check_default_is_not_live(void) {
    llam_runtime_stats_t stats = default_stats();
    CHECK(all_zero(&stats, sizeof stats));
}

static inline llam_runtime_t *create_ok(void) {
    llam_runtime_t *runtime = NULL;
    CHECK_OK(llam_runtime_create(NULL, 0, &runtime));
    CHECK(runtime != NULL);
    return runtime;
}

static inline llam_task_t *spawn_on(llam_runtime_t *runtime, llam_task_fn fn, void *arg) {
    llam_task_t *task = llam_runtime_spawn_ex(runtime, fn, arg, NULL, 0);
    if (task == NULL) FAIL("spawn failed with errno %d", errno);
    return task;
}

/* Runs fn(arg) as a detached task of that runtime until the runtime has no task left. */
static inline void run_on(llam_runtime_t *runtime, llam_task_fn fn, void *arg) {
    CHECK_OK(llam_detach(spawn_on(runtime, fn, arg)));
    CHECK_OK(llam_runtime_run_handle(runtime));
}

static inline pthread_t start_thread(void *(*body)(void *), void *arg) {
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, body, arg));
    return thread;
}

static inline void *end_thread(pthread_t thread) {
    struct timespec until;
    void *result = NULL;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LONG_MS / 1000;
    CHECK_OK(pthread_timedjoin_np(thread, &result, &until));
    return result;
}

/* A run on a thread of its own; its result is kept. */
struct runner {
    llam_runtime_t *runtime;
    pthread_t thread;
    int result, error;
};

static inline void *runner_body(void *arg) {
    struct runner *runner = arg;
    errno = 0;
    runner->result = llam_runtime_run_handle(runner->runtime);
    runner->error = errno;
    return NULL;
}

static inline void start_run(struct runner *runner, llam_runtime_t *runtime) {
    runner->runtime = runtime;
    runner->thread = start_thread(runner_body, runner);
}

static inline void end_run_ok(struct runner *runner) {
    end_thread(runner->thread);
    if (runner->result != 0) FAIL("the run failed with errno %d", runner->error);
}

/* Tasks of common use. */
static inline void task_nothing(void *arg) { (void)arg; }

static inline void task_count(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }

/* Sleeps until it is cancelled. */
static inline void task_sleep_for_ever(void *arg) {
    (void)arg;
    CHECK_FAILS(llam_sleep_until(UINT64_MAX), ECANCELED);
}

#endif
