/* Stop requests, and shutdown or destroy of a runtime that runs: abi.md 4.2, 5.1.4, 5.3 and Appendix A
 * "Lifecycle" and "Cancellation" as far as they speak of stops.
 */
#include "runtime_support.h"

#include <poll.h>
#include <sys/socket.h>

/* ---- Requests ---- */

/* 4.2: EINVAL while the runtime is not live, 0 each time when it is. */
TEST(a_request_needs_a_live_runtime) {
    CHECK_FAILS(llam_runtime_request_stop(), EINVAL);
    init_default(0);
    CHECK_OK(llam_runtime_request_stop());
    CHECK_OK(llam_runtime_request_stop());
    llam_runtime_shutdown();
    CHECK_FAILS(llam_runtime_request_stop(), EINVAL);
    llam_runtime_t *runtime = create_ok();
    CHECK_FAILS(llam_runtime_request_stop(), EINVAL);
    llam_runtime_destroy(runtime);
}

static void task_sleep_is_cancelled(void *arg) {
    task_count(arg);
    CHECK_FAILS(llam_sleep_ns(UINT64_MAX), ECANCELED);
    CHECK_FAILS(llam_sleep_ns(1000 * CHECK_MS), ECANCELED);
    CHECK_OK(llam_sleep_ns(0));
    CHECK_OK(llam_sleep_until(1));
    llam_yield();
    task_count(arg);
}

static void task_sleep_works(void *arg) {
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    task_count(arg);
}

/* Appendix A: a stop requested before the run: the tasks do start; their parking calls fail. The
 * mark is cleared when that run returns 0: a second llam_run works normally. */
TEST(a_stop_before_the_run_marks_that_run_only) {
    atomic_int counted = 0;
    init_default(0);
    CHECK_OK(llam_runtime_request_stop());
    CHECK_OK(llam_runtime_request_stop());
    for (int i = 0; i < 10; i++) CHECK_OK(llam_detach(spawn_ok(task_sleep_is_cancelled, &counted)));
    CHECK_OK(llam_run());
    CHECK_EQ(counted, 20);
    for (int i = 0; i < 10; i++) CHECK_OK(llam_detach(spawn_ok(task_sleep_works, &counted)));
    CHECK_OK(llam_run());
    CHECK_EQ(counted, 30);
    llam_runtime_shutdown();
}

/* A stopped run without tasks also clears the mark. */
TEST(an_empty_run_clears_the_mark) {
    atomic_int counted = 0;
    init_default(0);
    CHECK_OK(llam_runtime_request_stop());
    CHECK_OK(llam_run());
    CHECK_OK(llam_detach(spawn_ok(task_sleep_works, &counted)));
    CHECK_OK(llam_run());
    CHECK_EQ(counted, 1);
    llam_runtime_shutdown();
}

static void task_requests_a_stop(void *arg) {
    errno = ENOTTY;
    CHECK_OK(llam_runtime_request_stop());
    CHECK_OK(llam_runtime_request_stop());
    CHECK_FAILS(llam_sleep_ns(1000 * CHECK_MS), ECANCELED);
    task_count(arg);
}

/* Appendix A: llam_runtime_request_stop from a task: llam_run still returns 0. */
TEST(a_task_may_request_the_stop) {
    atomic_int counted = 0;
    init_default(0);
    llam_task_t *sleeper = spawn_ok(task_sleep_for_ever, NULL);
    CHECK_OK(llam_detach(spawn_ok(task_requests_a_stop, &counted)));
    CHECK_OK(llam_run());
    CHECK_EQ(counted, 1);
    CHECK_OK(llam_join(sleeper));
    CHECK_OK(llam_detach(spawn_ok(task_sleep_works, &counted)));
    CHECK_OK(llam_run());
    CHECK_EQ(counted, 2);
    llam_runtime_shutdown();
}

static void task_spawns_after_the_stop(void *arg) {
    CHECK_OK(llam_runtime_request_stop());
    llam_task_t *tasks[10];
    for (int i = 0; i < 10; i++) tasks[i] = spawn_ok(task_sleep_is_cancelled, arg);
    for (int i = 0; i < 10; i++) CHECK_OK(llam_detach(tasks[i]));
}

/* 5.1.4: new spawns are accepted and run. */
TEST(spawns_after_a_stop_run) {
    atomic_int counted = 0;
    run_task(task_spawns_after_the_stop, &counted);
    CHECK_EQ(counted, 20);
}

/* ---- What a stop does to waits ---- */

static struct {
    llam_mutex_t *held, *mutex;
    llam_cond_t *cond;
    llam_channel_t *empty, *full;
    llam_task_t *target;
    llam_task_group_t *group;
    llam_timer_t *timer;
    int pipe[2];
    llam_task_t *waiters[16];
    int count;
    atomic_int ended, callbacks;
} waits;

static void wait_sleep(void *arg) { task_sleep_for_ever(arg); }

static void wait_join(void *arg) {
    (void)arg;
    CHECK_FAILS(llam_join(waits.target), ECANCELED);
}

static void wait_group(void *arg) {
    (void)arg;
    CHECK_FAILS(llam_task_group_join(waits.group), ECANCELED);
}

static void wait_mutex(void *arg) {
    (void)arg;
    CHECK_FAILS(llam_mutex_lock(waits.held), ECANCELED);
}

static void wait_cond(void *arg) {
    (void)arg;
    CHECK_OK(llam_mutex_lock(waits.mutex));
    CHECK_FAILS(llam_cond_wait(waits.cond, waits.mutex), ECANCELED);
    CHECK_OK(llam_mutex_unlock(waits.mutex));
}

static void wait_send(void *arg) { CHECK_FAILS(llam_channel_send(waits.full, arg), ECANCELED); }

static void wait_receive(void *arg) {
    void *out = arg;
    CHECK_FAILS(llam_channel_recv_result(waits.empty, &out), ECANCELED);
    CHECK_PTR(out, NULL);
    CHECK_NULL(llam_channel_recv(waits.empty), ECANCELED);
}

static void wait_select(void *arg) {
    size_t index = 77;
    void *out = arg;
    llam_select_op_t ops[2] = {{LLAM_SELECT_OP_RECV, 0, waits.empty, NULL, &out, 5},
                               {LLAM_SELECT_OP_SEND, 0, waits.full, arg, NULL, 5}};
    CHECK_FAILS(llam_channel_select(ops, 2, UINT64_MAX, &index), ECANCELED);
    CHECK_EQ(index, 77);
    CHECK_EQ(ops[0].result_errno, 0);
    CHECK_EQ(ops[1].result_errno, 0);
}

static void wait_timer(void *arg) {
    uint64_t ticks = 7;
    (void)arg;
    CHECK_FAILS(llam_timer_wait(waits.timer, &ticks), ECANCELED);
    CHECK_EQ(ticks, 0);
}

static void wait_read(void *arg) {
    char byte;
    (void)arg;
    CHECK_FAILS(llam_read(waits.pipe[0], &byte, 1), ECANCELED);
}

static void wait_poll(void *arg) {
    short revents = 99;
    (void)arg;
    CHECK_FAILS(llam_poll_fd(waits.pipe[0], POLLIN, -1, &revents), ECANCELED);
    CHECK_EQ(revents, 0);
}

static void *callback(void *arg) {
    atomic_fetch_add(&waits.callbacks, 1);
    return arg;
}

/* A task that holds the mutex, and afterwards finds that blocking calls are refused. */
static void hold_mutex(void *arg) {
    void *out = &waits;
    CHECK_OK(llam_mutex_lock(waits.held));
    task_sleep_for_ever(arg);
    CHECK_FAILS(llam_call_blocking_result(callback, NULL, &out), ECANCELED);
    CHECK_PTR(out, NULL);
    CHECK_NULL(llam_call_blocking(callback, NULL), ECANCELED);
    CHECK_OK(llam_mutex_unlock(waits.held));
}

static void add_waiter(llam_task_fn fn) {
    waits.waiters[waits.count] = spawn_ok(fn, &waits);
    llam_task_t *task = waits.waiters[waits.count++];
    EVENTUALLY(strcmp(llam_task_state_name(task), "PARKED") == 0);
}

static void make_waits(void) {
    waits.held = llam_mutex_create();
    waits.mutex = llam_mutex_create();
    waits.cond = llam_cond_create();
    waits.empty = llam_channel_create(1);
    waits.full = llam_channel_create(1);
    waits.group = llam_task_group_create();
    CHECK_OK(llam_timer_create(UINT64_MAX / 4, &waits.timer));
    CHECK_OK(pipe(waits.pipe));
    CHECK_OK(llam_channel_try_send(waits.full, &waits));
    waits.target = spawn_ok(task_sleep_for_ever, NULL);
    CHECK(llam_task_group_spawn(waits.group, task_sleep_for_ever, NULL, NULL) != NULL);
}

static void start_waiters(void) {
    static const llam_task_fn bodies[] = {hold_mutex, wait_sleep, wait_join, wait_group,
                                          wait_mutex, wait_cond,  wait_send, wait_receive,
                                          wait_select, wait_timer, wait_read, wait_poll};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) add_waiter(bodies[i]);
}

static void destroy_waits(void) {
    void *out = NULL;
    CHECK_OK(llam_channel_try_recv_result(waits.full, &out));
    CHECK_PTR(out, &waits);
    CHECK_OK(llam_channel_destroy(waits.full));
    CHECK_OK(llam_channel_destroy(waits.empty));
    CHECK_OK(llam_mutex_destroy(waits.held));
    CHECK_OK(llam_mutex_destroy(waits.mutex));
    CHECK_OK(llam_cond_destroy(waits.cond));
    CHECK_OK(llam_timer_destroy(waits.timer));
    CHECK_OK(llam_task_group_destroy(waits.group));
    CHECK_OK(close(waits.pipe[0]) | close(waits.pipe[1]));
}

/* 5.1.4 and 5.3: every parked wait gets ECANCELED, nothing is lost, no task is killed, the run
 * returns 0 and everything can be used and destroyed. */
TEST(a_stop_cancels_every_kind_of_wait) {
    struct runner runner;
    init_default(0);
    make_waits();
    start_run(&runner, llam_runtime_default());
    start_waiters();
    CHECK_OK(llam_runtime_request_stop());
    CHECK_OK(llam_runtime_request_stop());
    for (int i = 0; i < waits.count; i++) CHECK_OK(llam_join_until(waits.waiters[i], after_ms(LONG_MS)));
    end_run_ok(&runner);
    CHECK_OK(llam_join(waits.target));
    CHECK_OK(llam_task_group_join(waits.group));
    CHECK_EQ(waits.callbacks, 0);
    destroy_waits();
    llam_runtime_shutdown();
}

/* 4.2: shutdown while another thread runs: requests a stop and waits until every task has ended and
 * the run has returned, with 0. Here every kind of wait is pending. */
TEST(shutdown_of_a_running_runtime_stops_and_waits) {
    struct runner runner;
    init_default(0);
    make_waits();
    start_run(&runner, llam_runtime_default());
    start_waiters();
    errno = ENOTTY;
    llam_runtime_shutdown();
    CHECK_EQ(errno, ENOTTY);
    check_default_is_not_live();
    end_run_ok(&runner);
    for (int i = 0; i < waits.count; i++) CHECK_FAILS(llam_join(waits.waiters[i]), EINVAL);
    CHECK_EQ(waits.callbacks, 0);
    destroy_waits();
}

static void task_completes_at_once(void *arg) {
    void *out = NULL;
    char byte = 'x';
    int *fds = arg;
    llam_channel_t *channel = llam_channel_create(1);
    llam_mutex_t *mutex = llam_mutex_create();
    llam_task_t *ended = spawn_ok(task_nothing, NULL);
    while (strcmp(llam_task_state_name(ended), "DEAD") != 0) llam_yield();
    CHECK_OK(llam_runtime_request_stop());
    CHECK_OK(llam_channel_send(channel, arg));
    CHECK_FAILS(llam_channel_send_until(channel, arg, 1), ETIMEDOUT);
    CHECK_FAILS(llam_channel_send(channel, arg), ECANCELED);
    CHECK_OK(llam_channel_recv_result(channel, &out));
    CHECK_PTR(out, arg);
    CHECK_OK(llam_mutex_lock(mutex));
    CHECK_OK(llam_mutex_unlock(mutex));
    CHECK_OK(llam_join(ended));
    CHECK_EQ(llam_write(fds[1], &byte, 1), 1);
    CHECK_EQ(llam_read(fds[0], &byte, 1), 1);
    CHECK_FAILS(llam_read(fds[0], &byte, 1), ECANCELED);
    CHECK_OK(llam_channel_destroy(channel));
    CHECK_OK(llam_mutex_destroy(mutex));
}

/* 5.1.4: calls that complete at once still work. 5.3: an expired deadline comes first. */
TEST(calls_that_need_no_wait_work_in_a_stopping_runtime) {
    int fds[2];
    CHECK_OK(pipe(fds));
    run_task(task_completes_at_once, fds);
}

static atomic_int release_callback;

static void *slow_callback(void *arg) {
    atomic_fetch_add(&waits.callbacks, 1);
    while (!atomic_load(&release_callback)) host_pause();
    atomic_fetch_add(&waits.callbacks, 1);
    return arg;
}

static void task_blocking_call(void *arg) {
    void *out = arg;
    CHECK_FAILS(llam_call_blocking_result(slow_callback, &waits, &out), ECANCELED);
    CHECK_PTR(out, NULL);
    CHECK_EQ(waits.callbacks, 2);
    atomic_fetch_add(&waits.ended, 1);
}

/* 5.3: a blocking call that runs gives ECANCELED after the callback has ended, not before. */
TEST(a_stop_waits_for_a_running_callback) {
    struct runner runner;
    init_default(0);
    llam_task_t *task = spawn_ok(task_blocking_call, &waits);
    start_run(&runner, llam_runtime_default());
    EVENTUALLY(waits.callbacks == 1);
    CHECK_OK(llam_runtime_request_stop());
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(waits.ended, 0);
        host_pause();
    }
    atomic_store(&release_callback, 1);
    end_run_ok(&runner);
    CHECK_EQ(waits.ended, 1);
    CHECK_OK(llam_join(task));
    llam_runtime_shutdown();
}

static void *callback_requests_a_stop(void *arg) {
    CHECK_OK(llam_runtime_request_stop());
    return arg;
}

static void *callback_finds_no_runtime(void *arg) {
    CHECK_FAILS(llam_runtime_request_stop(), EINVAL);
    return arg;
}

static void task_stops_by_callback(void *arg) {
    void *out = NULL;
    CHECK_FAILS(llam_call_blocking_result(callback_requests_a_stop, arg, &out), ECANCELED);
    CHECK_FAILS(llam_sleep_ns(1000 * CHECK_MS), ECANCELED);
    task_count(arg);
}

static void task_calls_back_in_vain(void *arg) {
    void *out = NULL;
    CHECK_OK(llam_call_blocking_result(callback_finds_no_runtime, arg, &out));
    CHECK_PTR(out, arg);
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    task_count(arg);
}

/* 4.2: a blocking callback is a host thread: its request is for the default runtime. */
TEST(a_request_in_a_blocking_callback_is_for_the_default_runtime) {
    atomic_int counted = 0;
    run_task(task_stops_by_callback, &counted);
    CHECK_EQ(counted, 1);
    llam_runtime_t *runtime = create_ok();
    run_on(runtime, task_calls_back_in_vain, &counted);
    CHECK_EQ(counted, 2);
    llam_runtime_destroy(runtime);
}

static atomic_int both_run;

static void task_stops_its_own(void *arg) {
    atomic_fetch_add(&both_run, 1);
    while (atomic_load(&both_run) < 2) CHECK_OK(llam_sleep_ns(CHECK_MS / 4));
    CHECK_OK(llam_runtime_request_stop());
    task_sleep_for_ever(NULL);
    task_count(arg);
    atomic_fetch_add(&both_run, 1);
}

static void task_is_not_stopped(void *arg) {
    atomic_fetch_add(&both_run, 1);
    while (atomic_load(&both_run) < 3) CHECK_OK(llam_sleep_ns(CHECK_MS / 4));
    for (int i = 0; i < 5; i++) CHECK_OK(llam_sleep_ns(CHECK_MS));
    task_count(arg);
}

/* 4.2: a task's request is for its own runtime only; the others go on. */
TEST(a_stop_leaves_the_other_runtimes_alone) {
    atomic_int counted = 0;
    struct runner runner;
    llam_runtime_t *runtime = create_ok();
    init_default(0);
    CHECK_OK(llam_detach(spawn_on(runtime, task_stops_its_own, &counted)));
    CHECK_OK(llam_detach(spawn_ok(task_is_not_stopped, &counted)));
    start_run(&runner, runtime);
    CHECK_OK(llam_run());
    end_run_ok(&runner);
    CHECK_EQ(counted, 2);
    atomic_store(&both_run, 0);
    CHECK_OK(llam_detach(spawn_ok(task_stops_its_own, &counted)));
    CHECK_OK(llam_detach(spawn_on(runtime, task_is_not_stopped, &counted)));
    start_run(&runner, runtime);
    CHECK_OK(llam_run());
    end_run_ok(&runner);
    CHECK_EQ(counted, 4);
    llam_runtime_destroy(runtime);
    llam_runtime_shutdown();
}

/* ---- Shutdown from inside and from several threads ---- */

static void task_shuts_down(void *arg) {
    llam_task_t *self = llam_current_task();
    errno = ENOTTY;
    llam_runtime_shutdown();
    CHECK_EQ(errno, ENOTTY);
    llam_runtime_destroy(NULL);
    llam_runtime_destroy(llam_runtime_default());
    CHECK_EQ(errno, ENOTTY);
    CHECK_PTR(llam_current_task(), self);
    llam_yield();
    CHECK_FAILS(llam_sleep_ns(1000 * CHECK_MS), ECANCELED);
    CHECK_OK(llam_detach(spawn_ok(task_count, arg)));
    task_count(arg);
}

/* Appendix A: a task that calls llam_runtime_shutdown goes on running, with its errno as before;
 * llam_run then returns 0. The runtime is still live. */
TEST(shutdown_in_a_task_is_a_stop_request) {
    atomic_int counted = 0;
    init_default(0);
    llam_task_t *task = spawn_ok(task_shuts_down, &counted);
    CHECK_OK(llam_run());
    CHECK_EQ(counted, 2);
    CHECK(is_live());
    CHECK_OK(llam_join(task));
    CHECK_OK(llam_detach(spawn_ok(task_sleep_works, &counted)));
    CHECK_OK(llam_run());
    CHECK_EQ(counted, 3);
    llam_runtime_shutdown();
    check_default_is_not_live();
}

static void task_ends_late(void *arg) {
    task_sleep_for_ever(NULL);
    for (int i = 0; i < 1000; i++) llam_yield();
    task_count(arg);
}

struct shutter {
    pthread_barrier_t start;
    atomic_int ended;
};

static void *shut_down_after_the_tasks(void *arg) {
    struct shutter *shutter = arg;
    pthread_barrier_wait(&shutter->start);
    llam_runtime_shutdown();
    CHECK_EQ(shutter->ended, 8);
    return NULL;
}

/* 4.2: safe from several threads at once; each returns when the tasks have ended. */
TEST(several_threads_shut_down_one_run) {
    struct shutter shutter = {.ended = 0};
    struct runner runner;
    pthread_t threads[4];
    llam_task_t *tasks[8];
    CHECK_OK(pthread_barrier_init(&shutter.start, NULL, 4));
    init_default(0);
    for (int i = 0; i < 8; i++) tasks[i] = spawn_ok(task_ends_late, &shutter.ended);
    start_run(&runner, llam_runtime_default());
    for (int i = 0; i < 8; i++) EVENTUALLY(strcmp(llam_task_state_name(tasks[i]), "PARKED") == 0);
    for (int i = 0; i < 4; i++) threads[i] = start_thread(shut_down_after_the_tasks, &shutter);
    for (int i = 0; i < 4; i++) end_thread(threads[i]);
    end_run_ok(&runner);
    check_default_is_not_live();
}

static void *join_for_ever(void *arg) {
    errno = 0;
    return (void *)(intptr_t)(llam_join(arg) == 0 ? 0 : errno);
}

/* 5.1.1: a host thread joins while the runtime is shut down: the task has ended first, or the
 * handle is dead. */
TEST(a_host_join_ends_with_the_shutdown) {
    for (int round = 0; round < 20; round++) {
        struct runner runner;
        init_default(0);
        llam_task_t *task = spawn_ok(task_sleep_for_ever, NULL);
        start_run(&runner, llam_runtime_default());
        pthread_t joiner = start_thread(join_for_ever, task);
        EVENTUALLY(strcmp(llam_task_state_name(task), "PARKED") == 0);
        llam_runtime_shutdown();
        intptr_t error = (intptr_t)end_thread(joiner);
        CHECK(error == 0 || error == EINVAL || error == ECANCELED);
        end_run_ok(&runner);
    }
}

MAIN
