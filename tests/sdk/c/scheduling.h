/* What the tests of tasks, groups, cancellation, blocking, timers and signals share: waiting for a
 * condition, running a runtime on a host thread of its own, and spawning with a token.
 */
#ifndef SCHEDULING_H
#define SCHEDULING_H

#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

/* Longest that AWAIT waits. */
#define AWAIT_MS 20000

typedef _Atomic int counter;

/* Lets others go on: other tasks in a task, other threads on a host thread. */
static inline void let_others_go_on(void) {
    if (llam_current_task() == NULL) {
        struct timespec moment = {0, 200000};
        nanosleep(&moment, NULL);
    } else if (llam_sleep_ns(200000) != 0) {
        llam_yield();
    }
}

/* Waits until the condition holds; fails when it does not come to hold. */
#define AWAIT(condition)                                                                         \
    do {                                                                                         \
        uint64_t await_end = after_ms(AWAIT_MS);                                                 \
        while (!(condition)) {                                                                   \
            if (llam_now_ns() > await_end) FAIL("never came to hold: %s", #condition);           \
            let_others_go_on();                                                                  \
        }                                                                                        \
    } while (0)

/* errno of the caller has not been touched since `errno_marked`. */
#define ERRNO_MARK 4242
static inline void errno_marked(void) { check_errno_set(ERRNO_MARK); }
#define CHECK_ERRNO_KEPT() CHECK_EQ(check_errno_get(), ERRNO_MARK)

static inline int in_state(const llam_task_t *task, const char *name) {
    return strcmp(llam_task_state_name(task), name) == 0;
}

/* The handle answers as a dead or unknown one, without touching errno. */
static inline void check_neutral(const llam_task_t *task) {
    errno_marked();
    CHECK_EQ(llam_task_id(task), 0);
    CHECK_STR(llam_task_state_name(task), "UNKNOWN");
    CHECK_EQ(llam_task_class(task), 1);
    CHECK_EQ(llam_task_flags(task), 0);
    CHECK_ERRNO_KEPT();
}

/* The handle is neutral, and join and detach refuse it. */
static inline void check_dead(llam_task_t *task) {
    check_neutral(task);
    CHECK_FAILS(llam_join(task), EINVAL);
    CHECK_FAILS(llam_join_until(task, 0), EINVAL);
    CHECK_FAILS(llam_detach(task), EINVAL);
}

/* A run on a host thread of its own; a NULL runtime is the default one. */
struct run {
    llam_runtime_t *runtime;
    pthread_t thread;
    int result, error;
    counter over;
};

static void *run_body(void *arg) {
    struct run *run = arg;
    errno = 0;
    run->result = run->runtime != NULL ? llam_runtime_run_handle(run->runtime) : llam_run();
    run->error = errno;
    atomic_store(&run->over, 1);
    return NULL;
}

static inline void run_start(struct run *run, llam_runtime_t *runtime) {
    memset(run, 0, sizeof *run);
    run->runtime = runtime;
    CHECK_OK(pthread_create(&run->thread, NULL, run_body, run));
}

/* Waits for the run to end; the harness limits the time. */
static inline void run_wait(struct run *run) { CHECK_OK(pthread_join(run->thread, NULL)); }

static inline void run_finish(struct run *run) {
    run_wait(run);
    if (run->result != 0) FAIL("the run gave %d with errno %d", run->result, run->error);
}

/* Runs the default runtime here until all its tasks have ended. */
static inline void run_here(void) { CHECK_OK(llam_run()); }

/* An explicit runtime with default options but `deterministic`. */
static inline llam_runtime_t *runtime_new(uint32_t one_worker) {
    llam_runtime_opts_t opts;
    llam_runtime_t *runtime = NULL;
    CHECK_OK(llam_runtime_opts_init(&opts, sizeof opts));
    opts.deterministic = one_worker;
    CHECK_OK(llam_runtime_create(&opts, sizeof opts, &runtime));
    CHECK(runtime != NULL);
    return runtime;
}

static inline llam_task_t *spawn_on(llam_runtime_t *runtime, llam_task_fn fn, void *arg) {
    llam_task_t *task = llam_runtime_spawn_ex(runtime, fn, arg, NULL, 0);
    if (task == NULL) FAIL("spawn on a runtime failed with errno %d", errno);
    return task;
}

/* Runs `fn(arg)` as a task of that runtime, and every task it leaves, on this thread. */
static inline void run_on(llam_runtime_t *runtime, llam_task_fn fn, void *arg) {
    CHECK_OK(llam_detach(spawn_on(runtime, fn, arg)));
    CHECK_OK(llam_runtime_run_handle(runtime));
}

static inline llam_spawn_opts_t spawn_options(void) {
    llam_spawn_opts_t opts;
    CHECK_OK(llam_spawn_opts_init(&opts, sizeof opts));
    return opts;
}

static inline llam_task_t *spawn_with_token(llam_task_fn fn, void *arg,
                                            llam_cancel_token_t *token) {
    llam_spawn_opts_t opts = spawn_options();
    opts.cancel_token = token;
    llam_task_t *task = llam_spawn_ex(fn, arg, &opts, sizeof opts);
    if (task == NULL) FAIL("spawn with a token failed with errno %d", errno);
    return task;
}

static inline llam_cancel_token_t *token_new(void) {
    llam_cancel_token_t *token = llam_cancel_token_create();
    if (token == NULL) FAIL("no token: errno %d", errno);
    return token;
}

/* In a task: runs `fn(arg)` in a task that is cancelled from birth, and joins it. */
static inline void run_cancelled(llam_task_fn fn, void *arg) {
    llam_cancel_token_t *token = token_new();
    CHECK_OK(llam_cancel_token_cancel(token));
    CHECK_OK(llam_join(spawn_with_token(fn, arg, token)));
    CHECK_OK(llam_cancel_token_destroy(token));
}

/* Runs `fn(arg)` as the only first task of the default runtime on one worker, and shuts down. */
static inline void run_task_on_one_worker(llam_task_fn fn, void *arg) {
    init_default(1);
    CHECK_OK(llam_detach(spawn_ok(fn, arg)));
    run_here();
    llam_runtime_shutdown();
}

/* Bodies of tasks that many tests use. */
static inline void do_nothing(void *arg) { (void)arg; }
static inline void count_one(void *arg) { atomic_fetch_add((counter *)arg, 1); }

/* Parks until the counter becomes nonzero or the task is cancelled. */
static inline void until_set(void *arg) {
    counter *gate = arg;
    while (atomic_load(gate) == 0 && llam_sleep_ns(200000) == 0) {}
}

/* Sleeps without end; must be cancelled. */
static inline void until_cancelled(void *arg) {
    (void)arg;
    CHECK_FAILS(llam_sleep_until(UINT64_MAX), ECANCELED);
}

#endif
