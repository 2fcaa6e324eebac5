/* Races of the lifecycle calls: several threads init, shut down, create, destroy, run, spawn, join,
 * sleep, collect statistics and dump at the same time; each call gives one of its documented results:
 * abi.md 4.0 "Threads", 4.2 (llam_runtime_destroy, race results), 4.18, Appendix A "Lifecycle".
 */
#include "runtime_support.h"

#include <fcntl.h>

#define ROUNDS 150

static int null_fd = -1;
static atomic_int finished;

/* The result of a call is 0, or -1 with one of two codes (0 stands for none). */
#define CHECK_ONE_OF(call, first, second)                                                        \
    do {                                                                                         \
        errno = ENOTTY;                                                                          \
        int64_t check_r = (int64_t)(call);                                                       \
        int check_n = errno;                                                                     \
        if (check_r != 0 && (check_r != -1 || (check_n != (first) && check_n != (second))))      \
            FAIL("%s gave %" PRId64 " with errno %d", #call, check_r, check_n);                  \
    } while (0)

/* Statistics at any moment: zeros, or consistent gauges (Appendix A "Other"). */
static void check_gauges(const llam_runtime_stats_t *stats) {
    CHECK(stats->online_workers <= stats->active_workers);
    CHECK(stats->online_workers_floor <= stats->active_workers);
    CHECK(stats->online_workers_min <= stats->online_workers_max);
    CHECK(stats->online_workers_max <= stats->active_workers);
    if (stats->active_workers == 0) CHECK(all_zero(stats, sizeof *stats));
    else CHECK(stats->active_nodes > 0);
}

static void *init_and_shut_down(void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_ONE_OF(llam_runtime_init(NULL), EBUSY, EBUSY);
        llam_runtime_shutdown();
    }
    atomic_fetch_add(&finished, 1);
    return NULL;
}

static void *run_and_spawn(void *arg) {
    (void)arg;
    while (finished < 2) {
        llam_task_t *task = llam_spawn(task_nothing, NULL, NULL);
        if (task != NULL) {
            CHECK_ONE_OF(llam_run(), EINVAL, EINVAL);
            CHECK_ONE_OF(llam_join_until(task, 0), EINVAL, ETIMEDOUT);
        } else {
            CHECK_EQ(errno, EINVAL);
        }
        CHECK_ONE_OF(llam_runtime_request_stop(), EINVAL, EINVAL);
    }
    return NULL;
}

static void *sleep_on_the_host(void *arg) {
    (void)arg;
    while (finished < 2) {
        CHECK_ONE_OF(llam_sleep_ns(0), EINVAL, EINVAL);
        CHECK_ONE_OF(llam_sleep_ns(1000), EINVAL, EINVAL);
        CHECK_ONE_OF(llam_sleep_until(1), EINVAL, EINVAL);
    }
    return NULL;
}

static void *look_at_the_default(void *arg) {
    (void)arg;
    while (finished < 2) {
        llam_runtime_stats_t stats;
        CHECK_OK(llam_runtime_collect_stats_ex(&stats, sizeof stats));
        check_gauges(&stats);
        CHECK_OK(llam_runtime_collect_stats_ex_handle(llam_runtime_default(), &stats, sizeof stats));
        check_gauges(&stats);
        llam_dump_runtime_state(null_fd);
        CHECK_OK(llam_runtime_write_stats_json(null_fd));
    }
    return NULL;
}

/* Appendix A: init, shutdown, statistics, dump and sleep may race from several threads without
 * crash; each gives one of its documented results. Runs and spawns take part as well. */
TEST(lifecycle_calls_of_the_default_runtime_race) {
    void *(*const bodies[])(void *) = {init_and_shut_down, init_and_shut_down, run_and_spawn,
                                       sleep_on_the_host, look_at_the_default};
    pthread_t threads[5];
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (int i = 0; i < 5; i++) threads[i] = start_thread(bodies[i], NULL);
    for (int i = 0; i < 5; i++) end_thread(threads[i]);
    llam_runtime_shutdown();
    check_default_is_not_live();
    init_default(0);
    CHECK_OK(llam_run());
    llam_runtime_shutdown();
}

/* Of several inits at the same time exactly one succeeds; the others get EBUSY. */
static struct {
    pthread_barrier_t start;
    atomic_int inits;
} init_race;

static void *init_once(void *arg) {
    (void)arg;
    for (int i = 0; i < 50; i++) {
        pthread_barrier_wait(&init_race.start);
        errno = 0;
        if (llam_runtime_init(NULL) == 0) atomic_fetch_add(&init_race.inits, 1);
        else CHECK_EQ(errno, EBUSY);
        if (pthread_barrier_wait(&init_race.start) == PTHREAD_BARRIER_SERIAL_THREAD) {
            CHECK_EQ(init_race.inits, i + 1);
            CHECK_OK(llam_run());
        }
        pthread_barrier_wait(&init_race.start);
        llam_runtime_shutdown();
    }
    return NULL;
}

TEST(one_of_several_inits_wins) {
    pthread_t threads[3];
    CHECK_OK(pthread_barrier_init(&init_race.start, NULL, 3));
    for (int i = 0; i < 3; i++) threads[i] = start_thread(init_once, NULL);
    for (int i = 0; i < 3; i++) end_thread(threads[i]);
}

/* ---- Explicit runtimes ---- */

static struct {
    _Atomic(llam_runtime_t *) runtime;
    _Atomic(llam_task_t *) task;
    atomic_int over;
} target;

static void task_naps(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++) {
        int slept = llam_sleep_ns(CHECK_MS / 5);
        CHECK(slept == 0 || errno == ECANCELED);
    }
}

static void *run_the_target(void *arg) {
    (void)arg;
    while (!target.over) CHECK_ONE_OF(llam_runtime_run_handle(target.runtime), EINVAL, EINVAL);
    return NULL;
}

static void *look_at_the_target(void *arg) {
    (void)arg;
    while (!target.over) {
        llam_runtime_stats_t stats;
        CHECK_ONE_OF(llam_runtime_collect_stats_ex_handle(target.runtime, &stats, sizeof stats),
                     EINVAL, EINVAL);
        check_gauges(&stats);
    }
    return NULL;
}

static void *join_the_target(void *arg) {
    (void)arg;
    while (!target.over) {
        errno = 0;
        int joined = llam_join_until(target.task, after_ms(1));
        CHECK(joined == 0 || errno == EINVAL || errno == ETIMEDOUT || errno == ECANCELED);
    }
    return NULL;
}

static void *spawn_on_the_target(void *arg) {
    (void)arg;
    while (!target.over) {
        errno = 0;
        llam_task_t *task = llam_runtime_spawn_ex(target.runtime, task_nothing, NULL, NULL, 0);
        if (task == NULL) {
            CHECK_EQ(errno, EINVAL);
            continue;
        }
        CHECK_ONE_OF(llam_detach(task), EINVAL, EINVAL);
        host_pause();
    }
    return NULL;
}

/* 4.2: race results of destroy: a run gives 0 or EINVAL, statistics 0 or EINVAL, a host join
 * EINVAL, ETIMEDOUT or ECANCELED (or 0 when the task had ended). */
TEST(destroy_races_with_run_stats_join_and_spawn) {
    void *(*const bodies[])(void *) = {run_the_target, look_at_the_target, join_the_target,
                                       spawn_on_the_target};
    pthread_t threads[4];
    target.runtime = create_ok();
    target.task = spawn_on(target.runtime, task_naps, NULL);
    for (int i = 0; i < 4; i++) threads[i] = start_thread(bodies[i], NULL);
    for (int round = 0; round < 60; round++) {
        llam_runtime_t *old = target.runtime, *fresh = create_ok();
        llam_task_t *task = spawn_on(fresh, task_naps, NULL);
        for (int i = 0; i < round % 5; i++) host_pause();
        llam_runtime_destroy(old);
        target.runtime = fresh;
        target.task = task;
    }
    target.over = 1;
    llam_runtime_destroy(target.runtime);
    for (int i = 0; i < 4; i++) end_thread(threads[i]);
}

static void *create_run_destroy(void *arg) {
    (void)arg;
    for (int i = 0; i < 40; i++) {
        atomic_int ran = 0;
        llam_runtime_t *runtime = create_ok();
        for (int j = 0; j < 5; j++) CHECK_OK(llam_detach(spawn_on(runtime, task_count, &ran)));
        CHECK_OK(llam_runtime_run_handle(runtime));
        CHECK_EQ(ran, 5);
        llam_runtime_destroy(runtime);
    }
    return NULL;
}

/* 4.2: any number of threads create at once; each runtime is its maker's. */
TEST(several_threads_create_run_and_destroy) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) threads[i] = start_thread(create_run_destroy, NULL);
    for (int i = 0; i < 4; i++) end_thread(threads[i]);
}

static void *make_and_break(void *arg) {
    (void)arg;
    while (!target.over) {
        llam_runtime_t *runtime = create_ok();
        llam_runtime_destroy(runtime);
    }
    return NULL;
}

/* A runtime that works is not disturbed by others that come and go. */
TEST(coming_and_going_runtimes_disturb_nobody) {
    atomic_int ran = 0;
    pthread_t thread = start_thread(make_and_break, NULL);
    for (int i = 0; i < 40; i++) {
        init_default(0);
        for (int j = 0; j < 20; j++) CHECK_OK(llam_detach(spawn_ok(task_count, &ran)));
        CHECK_OK(llam_run());
        CHECK_EQ(ran, 20 * (i + 1));
        llam_runtime_shutdown();
    }
    target.over = 1;
    end_thread(thread);
}

/* ---- Stop requests and tasks' ends ---- */

static void *stop_again_and_again(void *arg) {
    (void)arg;
    while (!target.over) {
        CHECK_OK(llam_runtime_request_stop());
        host_pause();
    }
    return NULL;
}

/* 5.1.4: requests at any moment of a run: it returns 0 each time. */
TEST(stop_requests_race_with_runs) {
    init_default(0);
    pthread_t thread = start_thread(stop_again_and_again, NULL);
    for (int i = 0; i < 150; i++) {
        for (int j = 0; j < 4; j++) CHECK_OK(llam_detach(spawn_ok(task_naps, NULL)));
        CHECK_OK(llam_detach(spawn_ok(task_sleep_for_ever, NULL)));
        CHECK_OK(llam_run());
    }
    target.over = 1;
    end_thread(thread);
    llam_runtime_shutdown();
}

static void *dump_and_collect(void *arg) {
    (void)arg;
    while (!target.over) {
        llam_runtime_stats_t stats;
        llam_dump_runtime_state(null_fd);
        CHECK_OK(llam_runtime_collect_stats_ex(&stats, sizeof stats));
        check_gauges(&stats);
        CHECK(stats.active_workers > 0);
    }
    return NULL;
}

/* 4.18: a dump must not deadlock or crash when it races with runs and task exits. */
TEST(dumps_race_with_tasks_that_come_and_go) {
    null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    init_default(0);
    pthread_t thread = start_thread(dump_and_collect, NULL);
    atomic_int ran = 0;
    for (int i = 0; i < 40; i++) {
        for (int j = 0; j < 100; j++) CHECK_OK(llam_detach(spawn_ok(task_count, &ran)));
        CHECK_OK(llam_detach(spawn_ok(task_naps, NULL)));
        CHECK_OK(llam_run());
    }
    CHECK_EQ(ran, 4000);
    target.over = 1;
    end_thread(thread);
    llam_runtime_shutdown();
}

MAIN
