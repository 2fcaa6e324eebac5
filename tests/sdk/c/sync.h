/* What mutex.c, cond.c, channel.c, select.c, handles.c and hostile.c share: waits with a deadline,
 * cancelled tasks, explicit runtimes.
 *
 * The helpers work in tasks and on host threads alike. None of them waits without a deadline.
 */
#ifndef SYNC_H
#define SYNC_H

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* The longest that any of the waits below takes before the test fails. */
#define PATIENCE_MS 25000

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* Gives way for a moment. */
static inline void breathe(void) {
    if (llam_current_task() != NULL) {
        llam_yield();
        return;
    }
    struct timespec moment = {0, 100 * 1000};
    nanosleep(&moment, NULL);
}

/* Waits until the task is in that state. */
static inline void await_state(const llam_task_t *task, const char *name) {
    uint64_t deadline = after_ms(PATIENCE_MS);
    while (strcmp(llam_task_state_name(task), name) != 0) {
        if (llam_now_ns() > deadline)
            FAIL("the task is %s, not %s", llam_task_state_name(task), name);
        breathe();
    }
}

static inline void await_parked(const llam_task_t *task) { await_state(task, "PARKED"); }

/* Waits until the counter has at least that value. */
static inline void await_count(const atomic_int *counter, int value) {
    uint64_t deadline = after_ms(PATIENCE_MS);
    while (atomic_load(counter) < value) {
        if (llam_now_ns() > deadline)
            FAIL("the counter is %d, not %d", atomic_load(counter), value);
        breathe();
    }
}

static inline void join_ok(llam_task_t *task) {
    CHECK_OK(llam_join_until(task, after_ms(PATIENCE_MS)));
}

/* Spawns a task that observes the token. */
static inline llam_task_t *spawn_with_token(llam_task_fn fn, void *arg,
                                            llam_cancel_token_t *token) {
    llam_spawn_opts_t opts;
    CHECK_OK(llam_spawn_opts_init(&opts, sizeof opts));
    opts.cancel_token = token;
    llam_task_t *task = llam_spawn_ex(fn, arg, &opts, sizeof opts);
    if (task == NULL) FAIL("spawn failed with errno %d", errno);
    return task;
}

/* Runs fn(arg) as a task that is cancelled before it starts, and waits for its end. In a task. */
static inline void run_cancelled(llam_task_fn fn, void *arg) {
    llam_cancel_token_t *token = llam_cancel_token_create();
    CHECK(token != NULL);
    CHECK_OK(llam_cancel_token_cancel(token));
    join_ok(spawn_with_token(fn, arg, token));
    CHECK_OK(llam_cancel_token_destroy(token));
}

/* Makes an explicit runtime. */
static inline llam_runtime_t *create_runtime(void) {
    llam_runtime_t *runtime = NULL;
    CHECK_OK(llam_runtime_create(NULL, 0, &runtime));
    CHECK(runtime != NULL);
    return runtime;
}

/* Runs fn(arg) as a task of that explicit runtime until it has ended. On a host thread. */
static inline void run_on(llam_runtime_t *runtime, llam_task_fn fn, void *arg) {
    llam_task_t *task = llam_runtime_spawn_ex(runtime, fn, arg, NULL, 0);
    CHECK(task != NULL);
    CHECK_OK(llam_detach(task));
    CHECK_OK(llam_runtime_run_handle(runtime));
}

/* A host thread. */
static inline pthread_t start_thread(void *(*fn)(void *), void *arg) {
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

static inline void end_thread(pthread_t thread) { CHECK_EQ(pthread_join(thread, NULL), 0); }

/* Whether other threads stand still while a worker waits: valgrind lets nobody run while one thread
 * is inside io_uring_enter. Tests that need two threads at once are left out then. */
static inline int threads_stand_still(void) {
    const char *driver = getenv("LLAM_IO_BACKEND");
    return under_valgrind() && (driver == NULL || strcmp(driver, "epoll") != 0);
}

/* A TEST whose body is the first task of the default runtime. */
#define TASK_TEST(test_name)                                                                     \
    static void test_name##_body(void *arg);                                                     \
    TEST(test_name) { run_task(test_name##_body, NULL); }                                        \
    static void test_name##_body(void *arg)

/* A TASK_TEST on one worker: a task runs on until it parks or yields. */
#define ONE_WORKER_TEST(test_name)                                                               \
    static void test_name##_body(void *arg);                                                     \
    TEST(test_name) {                                                                            \
        init_default(1);                                                                         \
        CHECK_OK(llam_detach(spawn_ok(test_name##_body, NULL)));                                 \
        CHECK_OK(llam_run());                                                                    \
        llam_runtime_shutdown();                                                                 \
    }                                                                                            \
    static void test_name##_body(void *arg)

/* Values that were never handed out as a handle. */
static inline void *forged(size_t which) {
    static const uint64_t values[] = {1,
                                      2,
                                      7,
                                      UINT64_MAX,
                                      UINT64_MAX - 1,
                                      UINT64_C(0x8000000000000000),
                                      UINT64_C(0x7fffffffffffffff),
                                      UINT64_C(0xdeadbeefdeadbeef),
                                      UINT64_C(0x00007fffdeadbee1),
                                      4096};
    return (void *)(uintptr_t)values[which % ARRAY_LENGTH(values)];
}
#define FORGED_VALUES 10

#endif
