/* Explicit runtimes: create, run, destroy, many of them, several at once: abi.md 4.2, 4.3
 * (llam_runtime_spawn_ex), 5.1.1, R1 and Appendix A "Lifecycle".
 */
#include "runtime_support.h"

/* ---- Create ---- */

/* 4.2: out NULL is EINVAL; then as init, without EBUSY; *out is NULL after a failure (R7). */
TEST(create_checks_its_arguments) {
    llam_runtime_t *runtime = (llam_runtime_t *)(uintptr_t)1;
    llam_runtime_opts_t opts = default_opts();
    CHECK_FAILS(llam_runtime_create(NULL, 0, NULL), EINVAL);
    CHECK_FAILS(llam_runtime_create(&opts, sizeof opts, NULL), EINVAL);
    CHECK_FAILS(llam_runtime_create(&opts, 0, &runtime), EINVAL);
    CHECK_PTR(runtime, NULL);
    opts.profile = 4;
    runtime = (llam_runtime_t *)(uintptr_t)1;
    CHECK_FAILS(llam_runtime_create(&opts, sizeof opts, &runtime), EINVAL);
    CHECK_PTR(runtime, NULL);
    opts.profile = 0;
    opts.preempt_mode = 4;
    runtime = (llam_runtime_t *)(uintptr_t)1;
    CHECK_FAILS(llam_runtime_create(&opts, sizeof opts, &runtime), EINVAL);
    CHECK_PTR(runtime, NULL);
    check_default_is_not_live();
}

/* 4.2: create does not init the default runtime; host calls without a handle mean the default one. */
TEST(create_leaves_the_default_runtime_alone) {
    atomic_int ran = 0;
    llam_runtime_t *runtime = create_ok();
    CHECK(runtime != llam_runtime_default());
    check_default_is_not_live();
    CHECK(stats_of(runtime).active_workers > 0);
    CHECK_NULL(llam_spawn(task_nothing, NULL, NULL), EINVAL);
    CHECK_FAILS(llam_run(), EINVAL);
    CHECK_FAILS(llam_runtime_request_stop(), EINVAL);
    run_on(runtime, task_count, &ran);
    CHECK_EQ(ran, 1);
    check_default_is_not_live();
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(task_count, &ran)));
    CHECK_OK(llam_runtime_run_handle(runtime));
    CHECK_EQ(ran, 1);
    CHECK_OK(llam_run());
    CHECK_EQ(ran, 2);
    llam_runtime_shutdown();
    run_on(runtime, task_count, &ran);
    CHECK_EQ(ran, 3);
    llam_runtime_destroy(runtime);
}

static void check_dead_runtime(llam_runtime_t *runtime) {
    llam_runtime_stats_t stats;
    CHECK_FAILS(llam_runtime_run_handle(runtime), EINVAL);
    CHECK_NULL(llam_runtime_spawn_ex(runtime, task_nothing, NULL, NULL, 0), EINVAL);
    CHECK_FAILS(llam_runtime_collect_stats_ex_handle(runtime, &stats, sizeof stats), EINVAL);
    CHECK(all_zero(&stats, sizeof stats));
    errno = ENOTTY;
    llam_runtime_destroy(runtime);
    CHECK_EQ(errno, ENOTTY);
}

/* Appendix A: 128 explicit runtimes created and destroyed in a row have 128 different handle values,
 * none equal to the default's. R1: an old value is never accepted. */
TEST(a_row_of_128_runtimes_has_128_handles) {
    static llam_runtime_t *handles[128];
    for (int i = 0; i < 128; i++) {
        atomic_int ran = 0;
        handles[i] = create_ok();
        CHECK(handles[i] != llam_runtime_default());
        for (int j = 0; j < i; j++) CHECK(handles[i] != handles[j]);
        if (i % 8 == 0) {
            run_on(handles[i], task_count, &ran);
            CHECK_EQ(ran, 1);
        }
        llam_runtime_destroy(handles[i]);
        check_dead_runtime(handles[i]);
        check_dead_runtime(handles[i / 2]);
    }
    for (int i = 0; i < 128; i++) check_dead_runtime(handles[i]);
}

/* The same number alive at one time, each with its tasks and its counters. */
TEST(many_runtimes_live_at_one_time) {
    static llam_runtime_t *handles[128];
    atomic_int ran = 0;
    for (int i = 0; i < 128; i++) {
        llam_runtime_opts_t opts = default_opts();
        opts.deterministic = 1;
        CHECK_OK(llam_runtime_create(&opts, sizeof opts, &handles[i]));
        for (int j = 0; j < i; j++) CHECK(handles[i] != handles[j]);
    }
    for (int i = 0; i < 128; i++)
        for (int j = 0; j <= i % 4; j++)
            CHECK_OK(llam_detach(spawn_on(handles[i], task_count, &ran)));
    for (int i = 127; i >= 0; i--) {
        CHECK_EQ(stats_of(handles[i]).ctx_switches, 0);
        CHECK_OK(llam_runtime_run_handle(handles[i]));
        CHECK_EQ(stats_of(handles[i]).ctx_switches, i % 4 + 1);
    }
    CHECK_EQ(ran, 320);
    for (int i = 0; i < 128; i++) llam_runtime_destroy(handles[i]);
    for (int i = 0; i < 128; i++) check_dead_runtime(handles[i]);
}

struct creation {
    llam_runtime_t *own, *inner;
    atomic_int steps;
};

static void task_creates(void *arg) {
    struct creation *creation = arg;
    llam_task_t *self = llam_current_task();
    uint64_t id = llam_task_id(self);
    CHECK_OK(llam_runtime_create(NULL, 0, &creation->inner));
    CHECK_PTR(llam_current_task(), self);
    CHECK_EQ(llam_task_id(self), id);
    CHECK_STR(llam_task_state_name(self), "RUNNING");
    CHECK_FAILS(llam_join(self), EDEADLK);
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    CHECK_FAILS(llam_detach(spawn_on(creation->inner, task_count, &creation->steps)), EXDEV);
    CHECK_FAILS(llam_runtime_run_handle(creation->inner), EINVAL);
    llam_runtime_destroy(creation->inner);
    CHECK(stats_of(creation->inner).active_workers > 0);
    atomic_fetch_add(&creation->steps, 1);
}

/* Appendix A: llam_runtime_create inside a task works and the task is still a task afterwards. 4.2:
 * a destroy by a task of another runtime does nothing. */
TEST(a_task_may_create_a_runtime) {
    struct creation creation = {.steps = 0};
    llam_runtime_t *outer = create_ok();
    init_default(0);
    llam_runtime_t *const handles[2] = {llam_runtime_default(), outer};
    for (int i = 0; i < 2; i++) {
        llam_task_t *task = spawn_on(handles[i], task_creates, &creation);
        CHECK_OK(llam_runtime_run_handle(handles[i]));
        CHECK_OK(llam_join(task));
        CHECK_EQ(creation.steps, 2 * i + 1);
        CHECK_OK(llam_runtime_run_handle(creation.inner));
        CHECK_EQ(creation.steps, 2 * i + 2);
        llam_runtime_destroy(creation.inner);
        check_dead_runtime(creation.inner);
    }
    llam_runtime_destroy(outer);
    llam_runtime_shutdown();
}

/* ---- Tasks of an explicit runtime ---- */

static void task_spawns_here(void *arg) {
    llam_task_t *child = spawn_ok(task_count, arg);
    CHECK_EQ(llam_task_id(child), 2);
    CHECK_OK(llam_join(child));
    CHECK_OK(llam_sleep_ns(1));
    CHECK_EQ(llam_task_id(llam_current_task()), 1);
}

/* Appendix A: llam_spawn of an explicit runtime's task goes to that runtime; from a host thread
 * always to the default one. */
TEST(spawn_in_a_task_stays_in_its_runtime) {
    atomic_int ran = 0;
    llam_runtime_t *runtime = create_ok();
    run_on(runtime, task_spawns_here, &ran);
    CHECK_EQ(ran, 1);
    check_default_is_not_live();
    init_default(0);
    llam_task_t *task = spawn_ok(task_count, &ran);
    CHECK_EQ(llam_task_id(task), 1);
    CHECK_OK(llam_runtime_run_handle(runtime));
    CHECK_STR(llam_task_state_name(task), "RUNNABLE");
    CHECK_OK(llam_run());
    CHECK_OK(llam_join(task));
    CHECK_EQ(ran, 2);
    llam_runtime_shutdown();
    llam_runtime_destroy(runtime);
}

/* 4.3: llam_runtime_spawn_ex: EINVAL for NULL, unknown, destroyed or not live; the default handle is
 * accepted; fn NULL is EINVAL. */
TEST(spawn_on_a_runtime_checks_its_arguments) {
    llam_mutex_t *mutex = llam_mutex_create();
    llam_runtime_t *runtime = create_ok();
    CHECK_NULL(llam_runtime_spawn_ex(NULL, task_nothing, NULL, NULL, 0), EINVAL);
    CHECK_NULL(llam_runtime_spawn_ex((void *)mutex, task_nothing, NULL, NULL, 0), EINVAL);
    CHECK_NULL(llam_runtime_spawn_ex(llam_runtime_default(), task_nothing, NULL, NULL, 0), EINVAL);
    CHECK_NULL(llam_runtime_spawn_ex(runtime, NULL, NULL, NULL, 0), EINVAL);
    init_default(0);
    CHECK(llam_runtime_spawn_ex(llam_runtime_default(), task_nothing, NULL, NULL, 0) != NULL);
    CHECK_OK(llam_run());
    CHECK_EQ(default_stats().ctx_switches, 1);
    llam_runtime_shutdown();
    llam_runtime_destroy(runtime);
    check_dead_runtime(runtime);
    CHECK_OK(llam_mutex_destroy(mutex));
}

/* 4.2: run_handle: EINVAL for NULL, unknown, destroyed, not live. */
TEST(run_checks_its_handle) {
    llam_channel_t *channel = llam_channel_create(1);
    CHECK_FAILS(llam_runtime_run_handle(NULL), EINVAL);
    CHECK_FAILS(llam_runtime_run_handle(llam_runtime_default()), EINVAL);
    CHECK_FAILS(llam_runtime_run_handle((void *)channel), EINVAL);
    CHECK_FAILS(llam_runtime_run_handle((llam_runtime_t *)(uintptr_t)0x1000), EINVAL);
    CHECK_FAILS(llam_runtime_run_handle((llam_runtime_t *)UINTPTR_MAX), EINVAL);
    CHECK_OK(llam_channel_destroy(channel));
}

static struct {
    atomic_int here, met;
} meeting;

/* Ends only when a task of each of the three runtimes is inside at the same time. */
static void task_meets(void *arg) {
    uint64_t until = after_ms(LONG_MS);
    (void)arg;
    atomic_fetch_add(&meeting.here, 1);
    while (atomic_load(&meeting.here) < 3) {
        CHECK(llam_now_ns() < until);
        llam_yield();
    }
    atomic_fetch_add(&meeting.met, 1);
}

/* 4.2: different runtimes may be run by different threads at the same time; a second run of one of
 * them is EINVAL meanwhile. */
TEST(different_runtimes_run_at_the_same_time) {
    struct runner runners[2];
    llam_runtime_t *runtimes[2] = {create_ok(), create_ok()};
    init_default(0);
    for (int round = 0; round < 10; round++) {
        meeting.here = meeting.met = 0;
        for (int i = 0; i < 2; i++) CHECK_OK(llam_detach(spawn_on(runtimes[i], task_meets, NULL)));
        start_run(&runners[0], runtimes[0]);
        EVENTUALLY(meeting.here == 1);
        CHECK_FAILS(llam_runtime_run_handle(runtimes[0]), EINVAL);
        start_run(&runners[1], runtimes[1]);
        EVENTUALLY(meeting.here == 2);
        CHECK_FAILS(llam_runtime_run_handle(runtimes[1]), EINVAL);
        CHECK_OK(llam_detach(spawn_ok(task_meets, NULL)));
        CHECK_OK(llam_run());
        for (int i = 0; i < 2; i++) end_run_ok(&runners[i]);
        CHECK_EQ(meeting.met, 3);
    }
    for (int i = 0; i < 2; i++) llam_runtime_destroy(runtimes[i]);
    llam_runtime_shutdown();
}

/* ---- Destroy ---- */

/* 4.2: NULL and the default handle mean shutdown; errno is kept. */
TEST(destroy_of_the_default_handle_is_shutdown) {
    llam_runtime_t *const handles[2] = {NULL, llam_runtime_default()};
    for (int i = 0; i < 2; i++) {
        init_default(0);
        CHECK(is_live());
        errno = ENOTTY;
        llam_runtime_destroy(handles[i]);
        CHECK_EQ(errno, ENOTTY);
        check_default_is_not_live();
        llam_runtime_destroy(handles[i]);
        CHECK_EQ(errno, ENOTTY);
    }
}

/* 4.2: unknown, stale and already destroyed handles: nothing, also to the runtimes that live. */
TEST(destroy_ignores_other_values) {
    atomic_int ran = 0;
    llam_runtime_t *gone = create_ok(), *live;
    llam_mutex_t *mutex = llam_mutex_create();
    llam_runtime_destroy(gone);
    live = create_ok();
    init_default(0);
    errno = ENOTTY;
    llam_runtime_destroy(gone);
    llam_runtime_destroy((void *)mutex);
    llam_runtime_destroy((llam_runtime_t *)(uintptr_t)3);
    llam_runtime_destroy((llam_runtime_t *)UINTPTR_MAX);
    CHECK_EQ(errno, ENOTTY);
    CHECK(is_live());
    run_on(live, task_count, &ran);
    CHECK_EQ(ran, 1);
    CHECK_OK(llam_mutex_destroy(mutex));
    llam_runtime_shutdown();
    llam_runtime_destroy(live);
}

/* 4.2: tasks that never started are dropped without running; their handles are dead. */
TEST(destroy_drops_tasks_that_never_started) {
    atomic_int ran = 0;
    llam_runtime_t *runtime = create_ok();
    llam_task_t *tasks[20];
    for (int i = 0; i < 20; i++) tasks[i] = spawn_on(runtime, task_count, &ran);
    CHECK_FAILS(llam_join_until(tasks[0], after_ms(5)), ETIMEDOUT);
    llam_runtime_destroy(runtime);
    CHECK_EQ(ran, 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ(llam_task_id(tasks[i]), 0);
        CHECK_STR(llam_task_state_name(tasks[i]), "UNKNOWN");
        CHECK_FAILS(llam_join(tasks[i]), EINVAL);
    }
}

static void task_destroys_its_own(void *arg) {
    struct creation *creation = arg;
    errno = ENOTTY;
    llam_runtime_destroy(creation->own);
    llam_runtime_destroy(creation->own);
    CHECK_EQ(errno, ENOTTY);
    CHECK_FAILS(llam_sleep_ns(1000 * CHECK_MS), ECANCELED);
    atomic_fetch_add(&creation->steps, 1);
}

/* 4.2: from a task of that runtime a destroy becomes a stop request; the runtime must still be
 * destroyed later, and runs on until then. */
TEST(destroy_in_its_own_task_is_a_stop_request) {
    struct creation creation = {.steps = 0};
    creation.own = create_ok();
    llam_task_t *sleeper = spawn_on(creation.own, task_sleep_for_ever, NULL);
    run_on(creation.own, task_destroys_its_own, &creation);
    CHECK_EQ(creation.steps, 1);
    CHECK_OK(llam_join(sleeper));
    run_on(creation.own, task_count, &creation.steps);
    CHECK_EQ(creation.steps, 2);
    llam_runtime_destroy(creation.own);
    check_dead_runtime(creation.own);
}

static void task_destroys_another(void *arg) {
    llam_runtime_destroy(arg);
    CHECK_OK(llam_sleep_ns(CHECK_MS));
}

/* 4.2: from a task of another runtime it does nothing. */
TEST(destroy_in_a_task_of_another_runtime_does_nothing) {
    atomic_int ran = 0;
    llam_runtime_t *one = create_ok(), *two = create_ok();
    init_default(0);
    run_on(one, task_destroys_another, two);
    CHECK_OK(llam_detach(spawn_ok(task_destroys_another, two)));
    CHECK_OK(llam_run());
    run_on(two, task_count, &ran);
    CHECK_EQ(ran, 1);
    llam_runtime_destroy(one);
    llam_runtime_destroy(two);
    llam_runtime_shutdown();
}

static void task_ends_slowly(void *arg) {
    task_sleep_for_ever(NULL);
    for (int i = 0; i < 500; i++) llam_yield();
    task_count(arg);
}

struct destroyer {
    llam_runtime_t *runtime;
    pthread_barrier_t start;
    atomic_int ended;
};

static void *destroy_after_the_tasks(void *arg) {
    struct destroyer *destroyer = arg;
    pthread_barrier_wait(&destroyer->start);
    errno = ENOTTY;
    llam_runtime_destroy(destroyer->runtime);
    CHECK_EQ(errno, ENOTTY);
    CHECK_EQ(destroyer->ended, 4);
    check_dead_runtime(destroyer->runtime);
    return NULL;
}

/* 4.2: several threads at once: one destroys, the others return when it is gone; a run in progress
 * returns 0 first. */
TEST(several_threads_destroy_a_running_runtime) {
    for (int round = 0; round < 10; round++) {
        struct destroyer destroyer = {.ended = 0};
        struct runner runner;
        pthread_t threads[4];
        llam_task_t *tasks[4];
        CHECK_OK(pthread_barrier_init(&destroyer.start, NULL, 4));
        destroyer.runtime = create_ok();
        for (int i = 0; i < 4; i++)
            tasks[i] = spawn_on(destroyer.runtime, task_ends_slowly, &destroyer.ended);
        start_run(&runner, destroyer.runtime);
        for (int i = 0; i < 4; i++)
            EVENTUALLY(strcmp(llam_task_state_name(tasks[i]), "PARKED") == 0);
        for (int i = 0; i < 4; i++) threads[i] = start_thread(destroy_after_the_tasks, &destroyer);
        for (int i = 0; i < 4; i++) end_thread(threads[i]);
        end_run_ok(&runner);
        for (int i = 0; i < 4; i++) CHECK_FAILS(llam_join(tasks[i]), EINVAL);
    }
}

/* 4.2: counters, settings and task ids are each runtime's own. */
TEST(runtimes_have_their_own_counters_and_settings) {
    atomic_int ran = 0;
    llam_runtime_t *one, *two;
    llam_runtime_opts_t opts = default_opts();
    plain_environment();
    opts.preempt_mode = LLAM_PREEMPT_OFF;
    CHECK_OK(llam_runtime_create(&opts, sizeof opts, &one));
    opts.preempt_mode = LLAM_PREEMPT_STRICT;
    CHECK_OK(llam_runtime_create(&opts, sizeof opts, &two));
    for (int i = 0; i < 5; i++) run_on(one, task_count, &ran);
    CHECK_EQ(stats_of(one).ctx_switches, 5);
    CHECK_EQ(stats_of(two).ctx_switches, 0);
    CHECK_EQ(stats_of(one).preempt_mode, LLAM_PREEMPT_OFF);
    CHECK_EQ(stats_of(two).preempt_mode, LLAM_PREEMPT_STRICT);
    CHECK_EQ(llam_task_id(spawn_on(one, task_count, &ran)), 6);
    CHECK_EQ(llam_task_id(spawn_on(two, task_count, &ran)), 1);
    CHECK_OK(llam_runtime_run_handle(two));
    CHECK_EQ(stats_of(two).ctx_switches, 1);
    CHECK_EQ(stats_of(one).ctx_switches, 5);
    llam_runtime_destroy(one);
    llam_runtime_destroy(two);
}

MAIN
