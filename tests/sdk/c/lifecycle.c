/* Init, run and shutdown of the default runtime: abi.md 4.2, 5.1.1 to 5.1.3, 5.1.5, 5.5, R1, R4, R8 and
 * Appendix A "Lifecycle". Stop requests are in stop.c, explicit runtimes in runtimes.c.
 */
#include "runtime_support.h"

#include <dirent.h>
#include <setjmp.h>
#include <sys/resource.h>

/* ---- Before init ---- */

/* Appendix A: llam_runtime_default() is non-NULL before any init, and always the same. */
TEST(the_default_handle_never_changes) {
    llam_runtime_t *handle = llam_runtime_default();
    CHECK(handle != NULL);
    for (int round = 0; round < 3; round++) {
        CHECK_PTR(llam_runtime_default(), handle);
        init_default(0);
        CHECK_PTR(llam_runtime_default(), handle);
        CHECK_OK(llam_run());
        llam_runtime_shutdown();
    }
    CHECK_PTR(llam_runtime_default(), handle);
}

static void check_calls_fail_when_not_live(void) {
    CHECK_NULL(llam_spawn(task_nothing, NULL, NULL), EINVAL);
    CHECK_NULL(llam_spawn_ex(task_nothing, NULL, NULL, 0), EINVAL);
    CHECK_NULL(llam_runtime_spawn_ex(llam_runtime_default(), task_nothing, NULL, NULL, 0), EINVAL);
    CHECK_FAILS(llam_run(), EINVAL);
    CHECK_FAILS(llam_runtime_run_handle(llam_runtime_default()), EINVAL);
    CHECK_FAILS(llam_runtime_request_stop(), EINVAL);
    CHECK_FAILS(llam_sleep_ns(0), EINVAL);
    CHECK_FAILS(llam_sleep_ns(1), EINVAL);
    CHECK_FAILS(llam_sleep_until(0), EINVAL);
    CHECK_FAILS(llam_sleep_until(1), EINVAL);
    CHECK_FAILS(llam_sleep_until(UINT64_MAX), EINVAL);
    check_default_is_not_live();
}

/* Appendix A: before init spawn, run, request_stop, sleep (even of 0 or a past deadline) give
 * EINVAL; the same holds after a shutdown (5.1.1) and while an explicit runtime is live (4.5). */
TEST(calls_fail_while_the_default_runtime_is_not_live) {
    check_calls_fail_when_not_live();
    init_default(0);
    CHECK_OK(llam_sleep_ns(0));
    llam_runtime_shutdown();
    check_calls_fail_when_not_live();
    llam_runtime_t *runtime = create_ok();
    check_calls_fail_when_not_live();
    llam_runtime_destroy(runtime);
    check_calls_fail_when_not_live();
}

/* R4: what host threads may do with default-owned objects while that runtime is not live. */
static void check_objects_when_not_live(void) {
    int value = 1;
    void *out = &value;
    uint64_t ticks = 99;
    llam_channel_t *channel = llam_channel_create(1);
    llam_cond_t *cond = llam_cond_create();
    llam_mutex_t *mutex = llam_mutex_create();
    llam_cancel_token_t *token = llam_cancel_token_create();
    llam_task_group_t *group = llam_task_group_create();
    llam_timer_t *timer = NULL;
    CHECK_OK(llam_timer_create(CHECK_MS, &timer));
    CHECK_FAILS(llam_channel_try_send(channel, &value), ENOTSUP);
    CHECK_FAILS(llam_channel_try_recv_result(channel, &out), ENOTSUP);
    CHECK_PTR(out, NULL);
    CHECK_OK(llam_channel_close(channel));
    CHECK_FAILS(llam_channel_try_send(channel, &value), ENOTSUP);
    CHECK_FAILS(llam_channel_try_recv_result(channel, &out), EPIPE);
    CHECK_FAILS(llam_cond_signal(cond), ENOTSUP);
    CHECK_FAILS(llam_cond_broadcast(cond), ENOTSUP);
    CHECK_EQ(llam_cancel_token_is_cancelled(token), 0);
    CHECK_OK(llam_cancel_token_cancel(token));
    CHECK_EQ(llam_cancel_token_is_cancelled(token), 1);
    CHECK_FAILS(llam_timer_wait(timer, &ticks), EINVAL);
    CHECK_EQ(ticks, 0);
    CHECK_FAILS(llam_timer_reset(timer, 0, 1), EINVAL);
    CHECK_FAILS(llam_timer_cancel(timer), EINVAL);
    CHECK_NULL(llam_task_group_spawn(group, task_nothing, NULL, NULL), EINVAL);
    CHECK_OK(llam_task_group_cancel(group));
    CHECK_OK(llam_task_group_join(group));
    CHECK_OK(llam_task_group_join_until(group, 0));
    CHECK_OK(llam_channel_destroy(channel));
    CHECK_OK(llam_cond_destroy(cond));
    CHECK_OK(llam_mutex_destroy(mutex));
    CHECK_OK(llam_cancel_token_destroy(token));
    CHECK_OK(llam_task_group_destroy(group));
    CHECK_OK(llam_timer_destroy(timer));
}

TEST(objects_of_a_default_runtime_that_is_not_live) {
    check_objects_when_not_live();
    init_default(0);
    llam_runtime_shutdown();
    check_objects_when_not_live();
}

#ifdef __linux__
/* R4: a signal set waits only while the owner is live. */
TEST(a_signal_set_waits_only_while_the_runtime_is_live) {
    const int signo = SIGUSR2;
    llam_signal_set_t *set = NULL;
    llam_signal_event_t event = {7, 7, 7};
    CHECK_OK(llam_signal_set_create_ex(&signo, 1, NULL, 0, &set));
    CHECK_FAILS(llam_signal_wait(set, &event), EINVAL);
    CHECK(all_zero(&event, sizeof event));
    init_default(0);
    CHECK_OK(raise(signo));
    CHECK_OK(llam_signal_wait_until(set, after_ms(LONG_MS), &event));
    CHECK_EQ(event.signo, signo);
    llam_runtime_shutdown();
    CHECK_FAILS(llam_signal_wait(set, &event), EINVAL);
    CHECK_OK(llam_signal_set_destroy(set));
}
#endif

/* ---- Init ---- */

static void check_bad_options_are_refused(void) {
    for (uint32_t bad = 4; bad != 0; bad = bad < 100 ? 100 : bad == 100 ? UINT32_MAX : 0) {
        llam_runtime_opts_t opts = default_opts();
        opts.profile = bad;
        CHECK_FAILS(llam_runtime_init_ex(&opts, sizeof opts), EINVAL);
        CHECK_FAILS(llam_runtime_init(&opts), EINVAL);
        opts.profile = 0;
        opts.preempt_mode = bad;
        CHECK_FAILS(llam_runtime_init_ex(&opts, sizeof opts), EINVAL);
        CHECK_FAILS(llam_runtime_init_ex(&opts, 0), EINVAL);
    }
}

/* Appendix A: init with a bad profile or preempt_mode is EINVAL even when the runtime is already
 * live (not EBUSY), and a good init right after it works. */
TEST(bad_options_are_refused_in_every_state) {
    check_bad_options_are_refused();
    check_default_is_not_live();
    llam_runtime_shutdown();
    init_default(0);
    check_bad_options_are_refused();
    CHECK_FAILS(llam_runtime_init_ex(NULL, 0), EBUSY);
    CHECK(is_live());
    llam_runtime_shutdown();
    check_bad_options_are_refused();
    init_default(0);
    llam_runtime_shutdown();
}

static void task_init_is_busy(void *arg) {
    llam_runtime_opts_t opts = default_opts();
    CHECK_FAILS(llam_runtime_init(NULL), EBUSY);
    CHECK_FAILS(llam_runtime_init_ex(&opts, sizeof opts), EBUSY);
    opts.profile = 9;
    CHECK_FAILS(llam_runtime_init_ex(&opts, sizeof opts), EINVAL);
    task_count(arg);
}

static void task_receive_closed(void *arg) {
    void *out = arg;
    CHECK_FAILS(llam_channel_recv_result(arg, &out), EPIPE);
}

/* 5.1.1: init of a live runtime is EBUSY: idle, in one of its tasks, and while it runs. */
TEST(init_of_a_live_runtime_is_busy) {
    atomic_int ran = 0;
    init_default(0);
    CHECK_FAILS(llam_runtime_init(NULL), EBUSY);
    CHECK_OK(llam_detach(spawn_ok(task_init_is_busy, &ran)));
    CHECK_OK(llam_run());
    CHECK_EQ(ran, 1);
    CHECK_FAILS(llam_runtime_init(NULL), EBUSY);
    llam_channel_t *channel = llam_channel_create(1);
    llam_task_t *task = spawn_ok(task_receive_closed, channel);
    struct runner runner;
    start_run(&runner, llam_runtime_default());
    EVENTUALLY(strcmp(llam_task_state_name(task), "PARKED") == 0);
    CHECK_FAILS(llam_runtime_init(NULL), EBUSY);
    CHECK_OK(llam_channel_close(channel));
    end_run_ok(&runner);
    CHECK_OK(llam_join(task));
    CHECK_OK(llam_channel_destroy(channel));
    llam_runtime_shutdown();
}

static void task_inits_the_default_runtime(void *arg) {
    llam_task_t *self = llam_current_task();
    CHECK_OK(llam_runtime_init(NULL));
    CHECK_FAILS(llam_runtime_init(NULL), EBUSY);
    CHECK_PTR(llam_current_task(), self);
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    task_count(arg);
}

/* 4.2: from a task of an explicit runtime, init starts the default one; the task goes on. */
TEST(a_task_of_an_explicit_runtime_may_init_the_default_one) {
    atomic_int ran = 0;
    llam_runtime_t *runtime = create_ok();
    run_on(runtime, task_inits_the_default_runtime, &ran);
    CHECK_EQ(ran, 1);
    CHECK(is_live());
    CHECK_OK(llam_detach(spawn_ok(task_count, &ran)));
    CHECK_OK(llam_run());
    CHECK_EQ(ran, 2);
    llam_runtime_destroy(runtime);
    CHECK(is_live());
    llam_runtime_shutdown();
}

/* A CPU that no process may use. */
#define NO_CPU 1000000

/* 5.13: with SQPOLL, a sqpoll_cpu that the process may not use makes init fail with EINVAL: with
 * more than one CPU, without worker rings. Without the flag the field is not looked at (section 3).
 * 4.2: EBUSY comes first. */
TEST(a_bad_sqpoll_cpu_matters_only_with_the_flag) {
    cpu_set_t cpus;
    CHECK_OK(sched_getaffinity(0, sizeof cpus, &cpus));
    llam_runtime_opts_t opts = default_opts();
    llam_runtime_t *runtime = NULL;
    opts.sqpoll_cpu = NO_CPU;
    CHECK_OK(llam_runtime_init_ex(&opts, sizeof opts));
    opts.experimental_flags = LLAM_RUNTIME_EXPERIMENTAL_F_SQPOLL;
    CHECK_FAILS(llam_runtime_init_ex(&opts, sizeof opts), EBUSY);
    llam_runtime_shutdown();
    if (CPU_COUNT(&cpus) > 1) {
        CHECK_FAILS(llam_runtime_init_ex(&opts, sizeof opts), EINVAL);
        check_default_is_not_live();
        CHECK_FAILS(llam_runtime_create(&opts, sizeof opts, &runtime), EINVAL);
        CHECK_PTR(runtime, NULL);
    }
    opts.experimental_flags |= LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS;
    CHECK_OK(llam_runtime_init_ex(&opts, sizeof opts));
    llam_runtime_shutdown();
    opts.experimental_flags = LLAM_RUNTIME_EXPERIMENTAL_F_SQPOLL;
    opts.sqpoll_cpu = -1;
    CHECK_OK(llam_runtime_init_ex(&opts, sizeof opts));
    llam_runtime_shutdown();
}

/* 5.13: experimental flags are hints, unknown bits are ignored; tasks run with all of them. */
TEST(experimental_flags_change_no_result) {
    for (unsigned bit = 0; bit <= 64; bit++) {
        atomic_int ran = 0;
        llam_runtime_opts_t opts = default_opts();
        opts.experimental_flags = bit < 64 ? UINT64_C(1) << bit : UINT64_MAX;
        CHECK_OK(llam_runtime_init_ex(&opts, sizeof opts));
        for (int i = 0; i < 8; i++) CHECK_OK(llam_detach(spawn_ok(task_count, &ran)));
        CHECK_OK(llam_run());
        CHECK_EQ(ran, 8);
        llam_runtime_stats_t stats = default_stats();
        CHECK(stats.dynamic_workers <= 1 && stats.worker_rings <= 1 && stats.sqpoll <= 1);
        CHECK(stats.worker_rings_multishot <= 1 && stats.lockfree_normq <= 1);
        CHECK(stats.huge_alloc <= 1);
        llam_runtime_shutdown();
    }
}

static size_t count_entries(const char *directory) {
    size_t count = 0;
    DIR *entries = opendir(directory);
    CHECK(entries != NULL);
    while (readdir(entries) != NULL) count++;
    closedir(entries);
    return count;
}

/* Tries init and create with each small number of free descriptors; how often they failed. */
static int init_without_descriptors(void) {
    struct rlimit limit, tight;
    int failures = 0;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    for (rlim_t most = 0; most < 12; most++) {
        llam_runtime_t *runtime = (llam_runtime_t *)(uintptr_t)1;
        tight = limit;
        tight.rlim_cur = 3 + most;
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &tight));
        int init = llam_runtime_init(NULL), created = 0;
        if (init == 0) {
            CHECK(is_live());
        } else {
            failures++;
            check_default_is_not_live();
            created = llam_runtime_create(NULL, 0, &runtime);
        }
        if (created != 0) CHECK_PTR(runtime, NULL);
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
        if (init != 0 && created == 0) llam_runtime_destroy(runtime);
        llam_runtime_shutdown();
        init_default(0);
        CHECK_OK(llam_run());
        llam_runtime_shutdown();
    }
    return failures;
}

/* Appendix A: a failed init or create leaves nothing behind; statistics after it are zero. Here it
 * fails for want of descriptors; afterwards it works, and descriptors do not pile up. */
TEST(a_failed_init_leaves_nothing_behind) {
    CHECK(init_without_descriptors() > 0);
    size_t descriptors = count_entries("/proc/self/fd");
    for (int round = 0; round < 5; round++) (void)init_without_descriptors();
    CHECK_EQ(count_entries("/proc/self/fd"), descriptors);
}

/* 4.2: init and shutdown go round any number of times; counters are zero and ids start from 1. */
TEST(each_init_starts_afresh) {
    size_t descriptors = 0, threads = 0;
    for (int round = 0; round < 60; round++) {
        atomic_int ran = 0;
        init_default(0);
        CHECK_EQ(default_stats().ctx_switches, 0);
        CHECK_EQ(default_stats().yields, 0);
        for (uint64_t id = 1; id <= 10; id++) {
            llam_task_t *task = spawn_ok(task_count, &ran);
            CHECK_EQ(llam_task_id(task), id);
            CHECK_OK(llam_detach(task));
        }
        CHECK_OK(llam_run());
        CHECK_EQ(ran, 10);
        llam_runtime_shutdown();
        if (round == 20) {
            descriptors = count_entries("/proc/self/fd");
            threads = count_entries("/proc/self/task");
        }
    }
    CHECK_EQ(count_entries("/proc/self/fd"), descriptors);
    EVENTUALLY(count_entries("/proc/self/task") <= threads);
}

/* ---- Run ---- */

/* Appendix A: llam_run without tasks returns 0 at once. */
TEST(a_run_without_tasks_returns_at_once) {
    init_default(0);
    for (int i = 0; i < 100; i++) CHECK_OK(llam_run());
    CHECK_OK(llam_runtime_run_handle(llam_runtime_default()));
    CHECK_EQ(default_stats().ctx_switches, 0);
    llam_runtime_shutdown();
}

/* 4.2: after 0 finished, unjoined tasks stay joinable, and more may be spawned and run. */
TEST(runs_follow_each_other_and_tasks_stay_joinable) {
    atomic_int ran = 0;
    llam_task_t *tasks[20];
    init_default(0);
    for (int i = 0; i < 20; i++) {
        tasks[i] = spawn_ok(task_count, &ran);
        CHECK_STR(llam_task_state_name(tasks[i]), "RUNNABLE");
        CHECK_OK(llam_run());
        CHECK_EQ(ran, i + 1);
        CHECK_STR(llam_task_state_name(tasks[i]), "DEAD");
    }
    for (int i = 0; i < 20; i++) CHECK_OK(llam_join(tasks[i]));
    llam_runtime_shutdown();
}

static void task_spawns_chain(void *arg) {
    atomic_int *left = arg;
    if (atomic_fetch_sub(left, 1) > 1) CHECK_OK(llam_detach(spawn_ok(task_spawns_chain, arg)));
}

/* 5.1.2: a run ends when no task is left; detached ones and later ones count. */
TEST(a_run_goes_on_until_the_last_detached_task) {
    atomic_int left = 1000;
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(task_spawns_chain, &left)));
    CHECK_OK(llam_run());
    CHECK_EQ(left, 0);
    llam_runtime_shutdown();
}

static void task_runs(void *arg) {
    llam_runtime_t *runtime = arg;
    CHECK_FAILS(llam_run(), EINVAL);
    CHECK_FAILS(llam_runtime_run_handle(NULL), EINVAL);
    CHECK_FAILS(llam_runtime_run_handle(llam_runtime_default()), EINVAL);
    CHECK_FAILS(llam_runtime_run_handle(runtime), EINVAL);
    CHECK(llam_current_task() != NULL);
}

/* 4.2: run is refused in any task, of its own runtime or another. */
TEST(run_in_a_task_is_invalid) {
    llam_runtime_t *runtime = create_ok();
    run_task(task_runs, runtime);
    init_default(0);
    run_on(runtime, task_runs, runtime);
    llam_runtime_destroy(runtime);
    llam_runtime_shutdown();
}

/* Appendix A: llam_run while another thread runs: EINVAL, at once, not a wait. */
TEST(a_second_run_at_the_same_time_is_invalid) {
    struct runner runner;
    init_default(0);
    llam_channel_t *channel = llam_channel_create(1);
    llam_task_t *task = spawn_ok(task_receive_closed, channel);
    start_run(&runner, llam_runtime_default());
    EVENTUALLY(strcmp(llam_task_state_name(task), "PARKED") == 0);
    for (int i = 0; i < 100; i++) {
        CHECK_FAILS(llam_run(), EINVAL);
        CHECK_FAILS(llam_runtime_run_handle(llam_runtime_default()), EINVAL);
    }
    CHECK_STR(llam_task_state_name(task), "PARKED");
    CHECK_OK(llam_channel_close(channel));
    end_run_ok(&runner);
    CHECK_OK(llam_join(task));
    CHECK_OK(llam_run());
    CHECK_OK(llam_channel_destroy(channel));
    llam_runtime_shutdown();
}

struct crowd {
    llam_task_t *tasks[4][100];
    atomic_int ran, next;
    atomic_int joined;
};

static struct crowd crowd;

static void *spawn_a_hundred(void *arg) {
    int which = atomic_fetch_add(&crowd.next, 1);
    for (int i = 0; i < 100; i++) crowd.tasks[which][i] = spawn_ok(task_count, &crowd.ran);
    if (arg == NULL) return NULL;
    for (int i = 0; i < 100; i++) {
        CHECK_OK(llam_join_until(crowd.tasks[which][i], after_ms(LONG_MS)));
        atomic_fetch_add(&crowd.joined, 1);
    }
    return NULL;
}

static void task_wait_for_crowd(void *arg) {
    (void)arg;
    uint64_t until = after_ms(LONG_MS);
    while (crowd.joined < 400) {
        CHECK(llam_now_ns() < until);
        CHECK_OK(llam_sleep_ns(CHECK_MS / 4));
    }
}

/* Appendix A: host threads may spawn at the same time, before the run; all handles are valid and
 * joinable. Ids are those of 4.3: each from 1 to the number of spawns, once. */
TEST(host_threads_spawn_together_before_the_run) {
    pthread_t threads[4];
    unsigned char seen[401] = {0};
    init_default(0);
    for (int i = 0; i < 4; i++) threads[i] = start_thread(spawn_a_hundred, NULL);
    for (int i = 0; i < 4; i++) end_thread(threads[i]);
    for (int i = 0; i < 400; i++) {
        uint64_t id = llam_task_id(crowd.tasks[i / 100][i % 100]);
        CHECK(id >= 1 && id <= 400 && seen[id] == 0);
        seen[id] = 1;
    }
    CHECK_OK(llam_run());
    CHECK_EQ(crowd.ran, 400);
    for (int i = 0; i < 400; i++) CHECK_OK(llam_join(crowd.tasks[i / 100][i % 100]));
    llam_runtime_shutdown();
}

/* The same during the run, where the spawning threads join as well. */
TEST(host_threads_spawn_and_join_during_the_run) {
    pthread_t threads[4];
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(task_wait_for_crowd, NULL)));
    for (int i = 0; i < 4; i++) threads[i] = start_thread(spawn_a_hundred, &crowd);
    CHECK_OK(llam_run());
    for (int i = 0; i < 4; i++) end_thread(threads[i]);
    CHECK_EQ(crowd.ran, 400);
    CHECK_EQ(crowd.joined, 400);
    llam_runtime_shutdown();
}

static void task_receive_all(void *arg) {
    for (uintptr_t expected = 1; expected <= 200; expected++) {
        void *out = NULL;
        CHECK_OK(llam_channel_recv_until_result(arg, after_ms(LONG_MS), &out));
        CHECK_EQ((uintptr_t)out, expected);
    }
}

/* 4.2: a run does not return while tasks wait for what a host thread may still deliver. */
TEST(a_run_waits_for_host_threads_that_may_deliver) {
    struct runner runner;
    init_default(0);
    llam_channel_t *channel = llam_channel_create(1);
    llam_task_t *task = spawn_ok(task_receive_all, channel);
    start_run(&runner, llam_runtime_default());
    for (uintptr_t value = 1; value <= 200; value++)
        EVENTUALLY(llam_channel_try_send(channel, (void *)value) == 0);
    CHECK_OK(llam_join_until(task, after_ms(LONG_MS)));
    end_run_ok(&runner);
    CHECK_OK(llam_channel_destroy(channel));
    llam_runtime_shutdown();
}

/* ---- Shutdown ---- */

/* 4.2: idempotent; safe before init; keeps errno. */
TEST(shutdown_is_harmless_at_any_time) {
    for (int round = 0; round < 3; round++) {
        errno = ENOTTY;
        llam_runtime_shutdown();
        llam_runtime_shutdown();
        CHECK_EQ(errno, ENOTTY);
        init_default(0);
        CHECK_OK(llam_detach(spawn_ok(task_nothing, NULL)));
        CHECK_OK(llam_run());
        errno = ENOTTY;
        llam_runtime_shutdown();
        CHECK_EQ(errno, ENOTTY);
        check_default_is_not_live();
    }
}

static void check_dead_task(llam_task_t *task) {
    CHECK_EQ(llam_task_id(task), 0);
    CHECK_STR(llam_task_state_name(task), "UNKNOWN");
    CHECK_EQ(llam_task_class(task), 1);
    CHECK_EQ(llam_task_flags(task), 0);
    CHECK_FAILS(llam_join(task), EINVAL);
    CHECK_FAILS(llam_join_until(task, 0), EINVAL);
    CHECK_FAILS(llam_detach(task), EINVAL);
}

/* 5.1.5: tasks that never started are dropped; fn is not called. 4.2: every task handle becomes
 * invalid, also after a new init. */
TEST(shutdown_drops_tasks_that_never_started) {
    atomic_int ran = 0;
    llam_task_t *tasks[50], *ended, *child;
    init_default(0);
    ended = spawn_ok(task_count, &ran);
    CHECK_OK(llam_run());
    llam_task_group_t *group = llam_task_group_create();
    for (int i = 0; i < 50; i++) tasks[i] = spawn_ok(task_count, &ran);
    child = llam_task_group_spawn(group, task_count, &ran, NULL);
    CHECK(child != NULL);
    CHECK_OK(llam_detach(spawn_ok(task_count, &ran)));
    llam_runtime_shutdown();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50; i++) check_dead_task(tasks[i]);
        check_dead_task(ended);
        check_dead_task(child);
        if (round == 0) init_default(0);
        for (int i = 0; i < 100 && round == 0; i++) CHECK_OK(llam_detach(spawn_ok(task_nothing, NULL)));
    }
    CHECK_OK(llam_run());
    CHECK_EQ(ran, 1);
    CHECK_OK(llam_task_group_destroy(group));
    llam_runtime_shutdown();
}

/* 4.2 "leftovers": a token that an unjoined task held, and a group with unjoined children, can be
 * destroyed after the shutdown. */
TEST(shutdown_releases_tokens_and_groups_of_unjoined_tasks) {
    for (int run = 0; run < 2; run++) {
        llam_spawn_opts_t opts;
        CHECK_OK(llam_spawn_opts_init(&opts, sizeof opts));
        opts.cancel_token = llam_cancel_token_create();
        llam_task_group_t *group = llam_task_group_create();
        init_default(0);
        CHECK(llam_spawn(task_nothing, NULL, &opts) != NULL);
        CHECK(llam_task_group_spawn(group, task_nothing, NULL, NULL) != NULL);
        CHECK(llam_task_group_spawn(group, task_nothing, NULL, &opts) != NULL);
        if (run) CHECK_OK(llam_run());
        CHECK_FAILS(llam_cancel_token_destroy(opts.cancel_token), EBUSY);
        CHECK_FAILS(llam_task_group_destroy(group), EBUSY);
        llam_runtime_shutdown();
        CHECK_OK(llam_task_group_destroy(group));
        CHECK_OK(llam_cancel_token_destroy(opts.cancel_token));
    }
}

static llam_channel_t *kept_channel;
static llam_mutex_t *kept_mutex;
static llam_cond_t *kept_cond;
static llam_io_buffer_t *kept_buffer;

static void task_makes_objects(void *arg) {
    kept_channel = llam_channel_create(3);
    kept_mutex = llam_mutex_create();
    kept_cond = llam_cond_create();
    CHECK_OK(llam_io_buffer_alloc(100, &kept_buffer));
    memset(llam_io_buffer_data(kept_buffer), 0x77, 100);
    for (uintptr_t i = 0; i < 3; i++) CHECK_OK(llam_channel_send(kept_channel, (char *)arg + i));
}

/* 4.2: objects survive the shutdown and can be destroyed; buffers stay readable. Appendix A: values
 * that tasks sent can be drained by the host after shutdown. */
TEST(objects_survive_the_shutdown) {
    char base[3];
    void *out = NULL;
    run_task(task_makes_objects, base);
    CHECK_FAILS(llam_channel_destroy(kept_channel), EBUSY);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(llam_channel_try_recv_result(kept_channel, &out));
        CHECK_PTR(out, base + i);
    }
    CHECK_FAILS(llam_channel_try_recv_result(kept_channel, &out), ENOTSUP);
    CHECK_PTR(out, NULL);
    CHECK_OK(llam_channel_destroy(kept_channel));
    CHECK_OK(llam_mutex_destroy(kept_mutex));
    CHECK_OK(llam_cond_destroy(kept_cond));
    for (int i = 0; i < 100; i++)
        CHECK_EQ(((unsigned char *)llam_io_buffer_data(kept_buffer))[i], 0x77);
    llam_io_buffer_release(kept_buffer);
}

/* R1: objects made before an init are usable in it, and those of one life in the next. */
TEST(default_owned_objects_outlive_several_runtimes) {
    void *out = NULL;
    llam_channel_t *channel = llam_channel_create(1);
    for (uintptr_t round = 1; round <= 10; round++) {
        init_default(0);
        CHECK_OK(llam_channel_try_send(channel, (void *)round));
        llam_runtime_shutdown();
        CHECK_OK(llam_channel_try_recv_result(channel, &out));
        CHECK_EQ((uintptr_t)out, round);
    }
    CHECK_OK(llam_channel_destroy(channel));
}

/* ---- abi.md 5.5: signals of the process ---- */

static void on_signal(int signo) { (void)signo; }

static void check_dispositions(int install) {
    static struct sigaction kept[65];
    for (int signo = 1; signo < 65; signo++) {
        struct sigaction now = {0};
        if (signo == SIGKILL || signo == SIGSTOP || signo == SIGALRM) continue;
        if (install && signo % 3 == 0) (void)signal(signo, on_signal);
        if (sigaction(signo, NULL, &now) != 0) continue;
        if (install) kept[signo] = now;
        else if (now.sa_handler != kept[signo].sa_handler) FAIL("signal %d changed", signo);
    }
}

/* 5.5: handlers are as before once the last runtime is gone. */
TEST(signal_handlers_are_restored_when_the_last_runtime_is_gone) {
    check_dispositions(1);
    for (int round = 0; round < 2; round++) {
        init_default(0);
        llam_runtime_t *runtime = create_ok();
        CHECK_OK(llam_detach(spawn_ok(task_nothing, NULL)));
        CHECK_OK(llam_run());
        run_on(runtime, task_nothing, NULL);
        if (round == 0) llam_runtime_shutdown();
        llam_runtime_destroy(runtime);
        if (round == 1) llam_runtime_shutdown();
        check_dispositions(0);
    }
}

static sigjmp_buf back;

static void on_fault(int signo) { siglongjmp(back, signo); }

/* 5.5: a fault that is not its own goes to the handler that was there before. */
TEST(faults_of_the_program_reach_its_own_handler) {
    /* It would report the fault, which is meant. */
    if (under_valgrind()) return;
    int *volatile nowhere = NULL;
    struct sigaction action = {0};
    action.sa_handler = on_fault;
    CHECK_OK(sigaction(SIGSEGV, &action, NULL));
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(task_nothing, NULL)));
    CHECK_OK(llam_run());
    int signo = sigsetjmp(back, 1);
    if (signo == 0) {
        *nowhere = 1;
        FAIL("no fault");
    }
    CHECK_EQ(signo, SIGSEGV);
    CHECK_OK(llam_run());
    llam_runtime_shutdown();
}

static void *blocked_callback(void *arg) { return arg; }

static void task_uses_everything(void *arg) {
    void *out = NULL;
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    CHECK_OK(llam_call_blocking_result(blocked_callback, arg, &out));
    CHECK_PTR(out, arg);
    llam_task_t *task = spawn_ok(task_count, arg);
    CHECK_OK(llam_join(task));
}

/* 5.5: a program that blocks all signals, ignores SIGPIPE and handles SIGINT works. */
TEST(a_program_that_blocks_its_signals_works) {
    sigset_t all;
    atomic_int ran = 0;
    sigfillset(&all);
    sigdelset(&all, SIGALRM);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGINT, on_signal);
    CHECK_OK(pthread_sigmask(SIG_SETMASK, &all, NULL));
    init_default(0);
    for (int i = 0; i < 20; i++) CHECK_OK(llam_detach(spawn_ok(task_uses_everything, &ran)));
    CHECK_OK(llam_run());
    CHECK_EQ(ran, 20);
    llam_runtime_shutdown();
}

MAIN
