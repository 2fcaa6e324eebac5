/* Deadlock detection: what is reported with EDEADLK, what never is, and what a report leaves behind:
 * abi.md 5.1.6, 4.2 (llam_run), 4.3 (llam_join_until) and Appendix A "Synchronisation".
 *
 * "Not reported" is seen by leaving the runtime alone for several times the 100 ms that the engine
 * may take to find a deadlock.
 */
#include "runtime_support.h"

#include <poll.h>

#define UNDISTURBED_MS 350

static struct {
    llam_task_t *tasks[4];
    llam_mutex_t *first, *second;
    atomic_int ended, step;
} scene;

/* Joins a task that never ends by itself; the deadlock's end is ECANCELED, as is a stop's. */
static void task_join_other(void *arg) {
    CHECK_FAILS(llam_join(scene.tasks[(intptr_t)arg]), ECANCELED);
    atomic_fetch_add(&scene.ended, 1);
}

/* Two tasks that join each other: the plainest deadlock. Returns the run's outcome unchecked. */
static void spawn_join_cycle(llam_runtime_t *runtime) {
    scene.tasks[0] = spawn_on(runtime, task_join_other, (void *)1);
    scene.tasks[1] = spawn_on(runtime, task_join_other, (void *)0);
}

static void check_deadlock_of_two(void) {
    CHECK_FAILS(llam_run(), EDEADLK);
    CHECK_EQ(scene.ended, 2);
}

/* 5.1.6: two tasks that join each other; every parked wait gets ECANCELED and the tasks run to their
 * end. Their handles stay joinable; a join gives the ended task. */
TEST(two_tasks_that_join_each_other) {
    init_default(0);
    spawn_join_cycle(llam_runtime_default());
    check_deadlock_of_two();
    llam_runtime_shutdown();
}

static void task_end_holding(void *arg) {
    (void)arg;
    CHECK_OK(llam_mutex_lock(scene.first));
    atomic_fetch_add(&scene.ended, 1);
}

static void task_lock_in_vain(void *arg) {
    (void)arg;
    while (scene.ended == 0) llam_yield();
    CHECK_FAILS(llam_mutex_lock_until(scene.first, after_ms(5)), ETIMEDOUT);
    CHECK_FAILS(llam_mutex_lock(scene.first), ECANCELED);
    atomic_fetch_add(&scene.ended, 1);
}

/* Appendix A: a task that ends holding a mutex: timed lockers get ETIMEDOUT, untimed ones end with
 * the run in EDEADLK, destroy stays EBUSY. */
TEST(a_mutex_whose_owner_has_ended) {
    init_default(0);
    scene.first = llam_mutex_create();
    CHECK_OK(llam_detach(spawn_ok(task_end_holding, NULL)));
    CHECK_OK(llam_detach(spawn_ok(task_lock_in_vain, NULL)));
    check_deadlock_of_two();
    CHECK_FAILS(llam_mutex_destroy(scene.first), EBUSY);
    llam_runtime_shutdown();
}

static void task_lock_both(void *arg) {
    llam_mutex_t *mine = arg == NULL ? scene.first : scene.second;
    llam_mutex_t *theirs = arg == NULL ? scene.second : scene.first;
    CHECK_OK(llam_mutex_lock(mine));
    atomic_fetch_add(&scene.step, 1);
    while (scene.step < 2) llam_yield();
    CHECK_FAILS(llam_mutex_lock(theirs), ECANCELED);
    CHECK_OK(llam_mutex_unlock(mine));
    atomic_fetch_add(&scene.ended, 1);
}

/* 5.1.6: a mutex whose owner waits for another mutex. Both are free afterwards. */
TEST(two_mutexes_locked_in_opposite_order) {
    init_default(0);
    scene.first = llam_mutex_create();
    scene.second = llam_mutex_create();
    CHECK_OK(llam_detach(spawn_ok(task_lock_both, NULL)));
    CHECK_OK(llam_detach(spawn_ok(task_lock_both, &scene)));
    check_deadlock_of_two();
    CHECK_OK(llam_mutex_destroy(scene.first));
    CHECK_OK(llam_mutex_destroy(scene.second));
    llam_runtime_shutdown();
}

/* The owner has ended: no later task is taken for it (4.10). */
static void task_lock_first(void *arg) {
    (void)arg;
    CHECK_FAILS(llam_mutex_unlock(scene.first), EPERM);
    CHECK_FAILS(llam_mutex_lock(scene.first), ECANCELED);
    atomic_fetch_add(&scene.ended, 1);
}

static void task_join_group(void *arg) {
    CHECK_FAILS(llam_task_group_join(arg), ECANCELED);
    atomic_fetch_add(&scene.ended, 1);
}

static void task_join_first(void *arg) { task_join_other(arg); }

/* 5.1.6: joins and group joins of tasks that wait for a mutex for ever. A token is no reason to keep
 * waiting: the group's children have one. */
TEST(joins_and_group_joins_of_hopeless_tasks) {
    init_default(0);
    scene.first = llam_mutex_create();
    llam_task_group_t *group = llam_task_group_create();
    CHECK_OK(llam_detach(spawn_ok(task_end_holding, NULL)));
    CHECK_OK(llam_run());
    scene.tasks[0] = spawn_ok(task_lock_first, NULL);
    CHECK_OK(llam_detach(spawn_ok(task_join_first, (void *)0)));
    CHECK(llam_task_group_spawn(group, task_lock_first, NULL, NULL) != NULL);
    CHECK_OK(llam_detach(spawn_ok(task_join_group, group)));
    CHECK_FAILS(llam_run(), EDEADLK);
    CHECK_EQ(scene.ended, 5);
    llam_runtime_shutdown();
    CHECK_OK(llam_task_group_destroy(group));
}

/* A token that could still be cancelled is no reason either. */
TEST(a_task_with_a_token_may_be_in_a_deadlock) {
    llam_spawn_opts_t opts;
    init_default(0);
    CHECK_OK(llam_spawn_opts_init(&opts, sizeof opts));
    opts.cancel_token = llam_cancel_token_create();
    scene.tasks[0] = llam_spawn(task_join_other, (void *)1, &opts);
    scene.tasks[1] = llam_spawn(task_join_other, (void *)0, &opts);
    check_deadlock_of_two();
    CHECK_EQ(llam_cancel_token_is_cancelled(opts.cancel_token), 0);
    llam_runtime_shutdown();
    CHECK_OK(llam_cancel_token_destroy(opts.cancel_token));
}

/* 4.2: after a fatal error every later run runs what is spawned and returns the same error, until
 * shutdown and a new init. */
TEST(a_fatal_error_is_sticky_until_shutdown) {
    init_default(0);
    spawn_join_cycle(llam_runtime_default());
    check_deadlock_of_two();
    for (int i = 3; i <= 6; i++) {
        CHECK_OK(llam_detach(spawn_ok(task_count, &scene.ended)));
        CHECK_FAILS(llam_run(), EDEADLK);
        CHECK_EQ(scene.ended, i);
    }
    CHECK_FAILS(llam_run(), EDEADLK);
    CHECK_FAILS(llam_runtime_run_handle(llam_runtime_default()), EDEADLK);
    llam_runtime_shutdown();
    init_default(0);
    CHECK_OK(llam_run());
    CHECK_OK(llam_detach(spawn_ok(task_count, &scene.ended)));
    CHECK_OK(llam_run());
    CHECK_EQ(scene.ended, 7);
    llam_runtime_shutdown();
}

static void task_end_then_join_other(void *arg) {
    while (scene.step == 0) CHECK_OK(llam_sleep_ns(CHECK_MS));
    task_join_other(arg);
}

static void *host_join(void *arg) {
    errno = 0;
    return (void *)(intptr_t)(llam_join_until(arg, after_ms(LONG_MS)) == 0 ? 0 : errno);
}

static void *host_group_join(void *arg) {
    errno = 0;
    return (void *)(intptr_t)(llam_task_group_join_until(arg, after_ms(LONG_MS)) == 0 ? 0 : errno);
}

static void task_lock_first_later(void *arg) {
    while (scene.step == 0) CHECK_OK(llam_sleep_ns(CHECK_MS));
    task_lock_first(arg);
}

/* 4.3 and 5.1.6: host threads that join get EDEADLK too. */
TEST(host_joins_get_the_fatal_error) {
    struct runner runner;
    init_default(0);
    scene.first = llam_mutex_create();
    CHECK_OK(llam_detach(spawn_ok(task_end_holding, NULL)));
    CHECK_OK(llam_run());
    llam_task_group_t *group = llam_task_group_create();
    scene.tasks[0] = spawn_ok(task_end_then_join_other, (void *)1);
    scene.tasks[1] = spawn_ok(task_end_then_join_other, (void *)0);
    llam_task_t *hopeless = spawn_ok(task_lock_first_later, NULL);
    CHECK(llam_task_group_spawn(group, task_lock_first_later, NULL, NULL) != NULL);
    pthread_t joiner = start_thread(host_join, hopeless);
    pthread_t group_joiner = start_thread(host_group_join, group);
    start_run(&runner, llam_runtime_default());
    /* A third joiner is refused once the first one waits. */
    EVENTUALLY(llam_join_until(hopeless, 0) == -1 && errno == EBUSY);
    EVENTUALLY(llam_task_group_join_until(group, 0) == -1 && errno == EBUSY);
    atomic_store(&scene.step, 1);
    CHECK_EQ((intptr_t)end_thread(joiner), EDEADLK);
    CHECK_EQ((intptr_t)end_thread(group_joiner), EDEADLK);
    end_thread(runner.thread);
    CHECK_EQ(runner.result, -1);
    CHECK_EQ(runner.error, EDEADLK);
    llam_runtime_shutdown();
}

/* An explicit runtime reports its own deadlock; the default one runs on undisturbed. */
TEST(a_deadlock_belongs_to_one_runtime) {
    atomic_int ran = 0;
    llam_runtime_t *runtime = create_ok();
    init_default(0);
    spawn_join_cycle(runtime);
    CHECK_FAILS(llam_runtime_run_handle(runtime), EDEADLK);
    CHECK_EQ(scene.ended, 2);
    CHECK_OK(llam_detach(spawn_ok(task_count, &ran)));
    CHECK_OK(llam_run());
    CHECK_EQ(ran, 1);
    CHECK_FAILS(llam_runtime_run_handle(runtime), EDEADLK);
    llam_runtime_destroy(runtime);
    runtime = create_ok();
    run_on(runtime, task_count, &ran);
    CHECK_EQ(ran, 2);
    llam_runtime_destroy(runtime);
    llam_runtime_shutdown();
}

/* ---- Never reported ---- */

/* Runs a hopeless pair together with `waiter`; nothing may be reported while that waits. Then
 * `wake` ends the wait, and the pair is reported. */
static void check_not_reported(llam_task_fn waiter, void *arg, void (*wake)(void *)) {
    struct runner runner;
    init_default(0);
    spawn_join_cycle(llam_runtime_default());
    llam_task_t *task = spawn_ok(waiter, arg);
    start_run(&runner, llam_runtime_default());
    EVENTUALLY(strcmp(llam_task_state_name(scene.tasks[0]), "PARKED") == 0);
    uint64_t until = after_ms(UNDISTURBED_MS);
    while (llam_now_ns() < until) {
        CHECK_EQ(scene.ended, 0);
        host_pause();
    }
    wake(arg);
    CHECK_OK(llam_join_until(task, after_ms(LONG_MS)));
    end_thread(runner.thread);
    CHECK_EQ(runner.result, -1);
    CHECK_EQ(runner.error, EDEADLK);
    CHECK_EQ(scene.ended, 2);
    llam_runtime_shutdown();
}

static void close_it(void *channel) { CHECK_OK(llam_channel_close(channel)); }

static void task_receive(void *arg) {
    void *out = NULL;
    CHECK_FAILS(llam_channel_recv_result(arg, &out), EPIPE);
}

static void task_send(void *arg) { CHECK_FAILS(llam_channel_send(arg, NULL), EPIPE); }

static void task_select(void *arg) {
    size_t index = 9;
    void *out = NULL;
    llam_select_op_t op = {LLAM_SELECT_OP_RECV, 0, arg, NULL, &out, 0};
    CHECK_OK(llam_channel_select(&op, 1, UINT64_MAX, &index));
    CHECK_EQ(op.result_errno, EPIPE);
}

/* 5.1.6: a program where any task waits on a channel or a select is never reported. */
TEST(a_channel_receive_keeps_the_run_waiting) {
    check_not_reported(task_receive, llam_channel_create(1), close_it);
}

TEST(a_channel_send_keeps_the_run_waiting) {
    llam_channel_t *channel = llam_channel_create(1);
    init_default(0);
    CHECK_OK(llam_channel_try_send(channel, NULL));
    llam_runtime_shutdown();
    check_not_reported(task_send, channel, close_it);
}

TEST(a_select_keeps_the_run_waiting) {
    check_not_reported(task_select, llam_channel_create(1), close_it);
}

static void task_cond(void *arg) {
    llam_mutex_t *mutex = llam_mutex_create();
    CHECK_OK(llam_mutex_lock(mutex));
    CHECK_OK(llam_cond_wait(arg, mutex));
    CHECK_OK(llam_mutex_unlock(mutex));
    CHECK_OK(llam_mutex_destroy(mutex));
}

static void signal_it(void *cond) { CHECK_OK(llam_cond_signal(cond)); }

TEST(a_condition_wait_keeps_the_run_waiting) {
    check_not_reported(task_cond, llam_cond_create(), signal_it);
}

static llam_cancel_token_t *wake_token;

static void cancel_it(void *arg) {
    (void)arg;
    CHECK_OK(llam_cancel_token_cancel(wake_token));
}

/* Spawns its argument's body with a token, so that the host can end a wait. */
static void task_with_token(void *arg) {
    llam_spawn_opts_t opts;
    llam_task_fn *body = arg;
    CHECK_OK(llam_spawn_opts_init(&opts, sizeof opts));
    opts.cancel_token = wake_token;
    llam_task_t *task = llam_spawn(*body, NULL, &opts);
    CHECK(task != NULL);
    CHECK_OK(llam_join(task));
}

static void check_token_wait(llam_task_fn body) {
    wake_token = llam_cancel_token_create();
    check_not_reported(task_with_token, &body, cancel_it);
    CHECK_OK(llam_cancel_token_destroy(wake_token));
}

static void task_lock_until_far(void *arg) {
    (void)arg;
    CHECK_OK(llam_mutex_lock(scene.first));
    CHECK_OK(llam_mutex_unlock(scene.first));
    CHECK_FAILS(llam_sleep_until(UINT64_MAX - 1), ECANCELED);
}

/* 5.1.6: nor is one with a timed wait, however far away, a llam_sleep_until(UINT64_MAX) included. */
TEST(a_sleep_without_end_keeps_the_run_waiting) { check_token_wait(task_sleep_for_ever); }

TEST(a_sleep_to_the_far_future_keeps_the_run_waiting) {
    scene.first = llam_mutex_create();
    check_token_wait(task_lock_until_far);
    CHECK_OK(llam_mutex_destroy(scene.first));
}

static void task_timer(void *arg) {
    llam_timer_t *timer = NULL;
    uint64_t ticks = 0;
    (void)arg;
    CHECK_OK(llam_timer_create(UINT64_MAX / 4, &timer));
    CHECK_FAILS(llam_timer_wait(timer, &ticks), ECANCELED);
    CHECK_OK(llam_timer_destroy(timer));
}

TEST(a_timer_wait_keeps_the_run_waiting) { check_token_wait(task_timer); }

static int pipe_ends[2];

static void task_read(void *arg) {
    char byte = 0;
    CHECK_EQ(llam_read(*(int *)arg, &byte, 1), 1);
}

static void task_poll(void *arg) {
    short revents = 0;
    CHECK_EQ(llam_poll_fd(*(int *)arg, POLLIN, -1, &revents), 1);
}

static void write_it(void *arg) {
    (void)arg;
    CHECK_EQ(write(pipe_ends[1], "x", 1), 1);
}

/* 5.1.6: pending I/O, blocking jobs and blocking regions are reasons to wait. */
TEST(a_pending_read_keeps_the_run_waiting) {
    CHECK_OK(pipe(pipe_ends));
    check_not_reported(task_read, &pipe_ends[0], write_it);
}

TEST(a_pending_poll_keeps_the_run_waiting) {
    CHECK_OK(pipe(pipe_ends));
    check_not_reported(task_poll, &pipe_ends[0], write_it);
}

static void *wait_for_flag(void *arg) {
    while (!atomic_load((atomic_int *)arg)) host_pause();
    return arg;
}

static void task_blocking(void *arg) {
    void *out = NULL;
    CHECK_OK(llam_call_blocking_result(wait_for_flag, arg, &out));
    CHECK_PTR(out, arg);
}

static void task_region(void *arg) {
    CHECK_OK(llam_enter_blocking());
    (void)wait_for_flag(arg);
    CHECK_OK(llam_leave_blocking());
}

static void set_flag(void *arg) { atomic_store((atomic_int *)arg, 1); }

TEST(a_blocking_job_keeps_the_run_waiting) {
    atomic_int flag = 0;
    check_not_reported(task_blocking, &flag, set_flag);
}

TEST(a_blocking_region_keeps_the_run_waiting) {
    atomic_int flag = 0;
    check_not_reported(task_region, &flag, set_flag);
}

static void task_busy(void *arg) {
    while (!atomic_load((atomic_int *)arg)) llam_yield();
}

TEST(a_busy_task_keeps_the_run_waiting) {
    atomic_int flag = 0;
    check_not_reported(task_busy, &flag, set_flag);
}

#ifdef __linux__
static void task_signal(void *arg) {
    llam_signal_event_t event;
    CHECK_OK(llam_signal_wait(arg, &event));
    CHECK_EQ(event.signo, SIGUSR2);
}

static void raise_it(void *arg) {
    (void)arg;
    CHECK_OK(kill(getpid(), SIGUSR2));
}

/* A signal may still come. */
TEST(a_signal_wait_keeps_the_run_waiting) {
    const int signo = SIGUSR2;
    llam_signal_set_t *set = NULL;
    CHECK_OK(llam_signal_set_create_ex(&signo, 1, NULL, 0, &set));
    check_not_reported(task_signal, set, raise_it);
}
#endif

MAIN
