/* Blocking calls on the pool and blocking regions. Covers abi.md 4.7, 5.11, and the rows of 5.3 and
 * 5.1.4 on blocking calls.
 */
#include "scheduling.h"

#include <sys/syscall.h>

/* ---- Blocking calls ---- */

static void *give_back(void *arg) {
    CHECK_EQ(errno, 0);
    errno = 71;
    return arg;
}

static void *give_null(void *arg) {
    (void)arg;
    errno = 72;
    return NULL;
}

static void call_and_look(void *arg) {
    void *out = &out;
    check_errno_set(5);
    CHECK_OK(llam_call_blocking_result(give_back, arg, &out));
    CHECK_EQ(check_errno_get(), 71);
    CHECK_PTR(out, arg);
    out = &out;
    check_errno_set(5);
    CHECK_OK(llam_call_blocking_result(give_null, arg, &out));
    CHECK_EQ(check_errno_get(), 72);
    CHECK_PTR(out, NULL);
    check_errno_set(0);
    CHECK_PTR(llam_call_blocking(give_back, arg), arg);
    CHECK_PTR(llam_call_blocking(give_null, arg), NULL);
}

static void bad_calls(void *arg) {
    void *out = arg;
    CHECK_FAILS(llam_call_blocking_result(give_back, arg, NULL), EINVAL);
    CHECK_FAILS(llam_call_blocking_result(NULL, arg, NULL), EINVAL);
    CHECK_FAILS(llam_call_blocking_result(NULL, arg, &out), EINVAL);
    CHECK_PTR(out, NULL);
    CHECK_NULL(llam_call_blocking(NULL, arg), EINVAL);
}

/* abi.md 4.7, R7, R8: 0 and the value, errno as the callback left it; EINVAL clears *out. */
TEST(a_blocking_call_gives_value_and_errno) {
    int something;
    call_and_look(&something);
    bad_calls(&something);
    run_task(call_and_look, &something);
    run_task(bad_calls, &something);
    call_and_look(&something);
}

static void *whoami(void *arg) {
    *(pthread_t *)arg = pthread_self();
    return NULL;
}

/* abi.md 4.7: on a host thread the callback runs directly, on that thread. */
TEST(a_host_thread_calls_directly) {
    pthread_t there;
    void *out;
    CHECK_OK(llam_call_blocking_result(whoami, &there, &out));
    CHECK(pthread_equal(there, pthread_self()));
}

static void *look_around_inside(void *arg) {
    llam_runtime_t *runtime = arg;
    llam_mutex_t *mutex = llam_mutex_create();
    llam_channel_t *channel = llam_channel_create(1);
    llam_task_local_key_t key;
    void *value = arg;
    CHECK_PTR(llam_current_task(), NULL);
    CHECK_FAILS(llam_mutex_lock(mutex), ENOTSUP);
    CHECK_FAILS(llam_mutex_trylock(mutex), ENOTSUP);
    CHECK_FAILS(llam_channel_recv_result(channel, &value), ENOTSUP);
    CHECK_FAILS(llam_channel_send(channel, NULL), ENOTSUP);
    CHECK_FAILS(llam_task_set_class(1), ENOTSUP);
    CHECK_OK(llam_task_local_key_create(&key));
    CHECK_NULL(llam_task_local_get(key), ENOTSUP);
    CHECK_FAILS(llam_task_local_set(key, arg), ENOTSUP);
    CHECK_OK(llam_task_local_key_delete(key));
    CHECK_OK(llam_enter_blocking());
    CHECK_OK(llam_leave_blocking());
    CHECK_OK(llam_leave_blocking());
    /* Spawns go to the default runtime, also from the callback of an explicit one's task. */
    if (runtime != NULL) {
        CHECK_NULL(llam_spawn(do_nothing, NULL, NULL), EINVAL);
        CHECK_FAILS(llam_sleep_ns(0), EINVAL);
        llam_task_t *task = spawn_on(runtime, do_nothing, NULL);
        CHECK_OK(llam_join(task));
    } else {
        CHECK_OK(llam_join(spawn_ok(do_nothing, NULL)));
        CHECK_OK(llam_sleep_ns(CHECK_MS));
    }
    CHECK_OK(llam_mutex_destroy(mutex));
    CHECK_OK(llam_channel_destroy(channel));
    CHECK_OK(llam_call_blocking_result(give_null, NULL, &value));
    return llam_runtime_default();
}

static void look_around(void *arg) {
    void *out;
    CHECK_OK(llam_call_blocking_result(look_around_inside, arg, &out));
    CHECK_PTR(out, llam_runtime_default());
    CHECK(llam_current_task() != NULL);
}

/* abi.md 4.7: inside the callback: a host thread. */
TEST(a_callback_is_a_host_thread) {
    llam_runtime_t *other = runtime_new(0);
    run_on(other, look_around, other);
    llam_runtime_destroy(other);
    run_task(look_around, NULL);
}

struct call {
    counter open, started, finished, ticks;
    llam_task_t *caller;
};

static void *wait_inside(void *arg) {
    struct call *call = arg;
    atomic_fetch_add(&call->started, 1);
    AWAIT(atomic_load(&call->open));
    atomic_fetch_add(&call->finished, 1);
    return call;
}

static void call_and_wait(void *arg) {
    void *out;
    CHECK_OK(llam_call_blocking_result(wait_inside, arg, &out));
    CHECK_PTR(out, arg);
}

static void go_on_meanwhile(void *arg) {
    struct call *call = arg;
    call->caller = spawn_ok(call_and_wait, call);
    AWAIT(atomic_load(&call->started));
    AWAIT(in_state(call->caller, "PARKED"));
    for (int i = 0; i < 50; i++) llam_yield();
    CHECK_EQ(atomic_load(&call->finished), 0);
    atomic_store(&call->open, 1);
    CHECK_OK(llam_join(call->caller));
    CHECK_EQ(atomic_load(&call->finished), 1);
}

/* abi.md 4.7: the task parks meanwhile; on a single worker the other tasks go on. */
TEST(other_tasks_go_on_during_a_blocking_call) {
    static struct call call;
    run_task_on_one_worker(go_on_meanwhile, &call);
}

static void *add_one(void *arg) { return (char *)arg + 1; }

static void call_often(void *arg) {
    for (uintptr_t i = 0; i < 20; i++) {
        char *base = (char *)arg + i;
        CHECK_PTR(llam_call_blocking(add_one, base), base + 1);
    }
}

/* abi.md 4.7: excess calls queue. */
TEST(many_tasks_call_at_once) {
    static char room[256];
    init_default(0);
    for (int i = 0; i < 150; i++) CHECK_OK(llam_detach(spawn_ok(call_often, room + i)));
    run_here();
    llam_runtime_shutdown();
}

/* ---- Cancelled calls ---- */

static void *must_not_run(void *arg) {
    (void)arg;
    FAIL("a cancelled call ran");
}

static void call_cancelled(void *arg) {
    void *out = &out;
    CHECK_FAILS(llam_call_blocking_result(must_not_run, arg, &out), ECANCELED);
    CHECK_PTR(out, NULL);
    CHECK_NULL(llam_call_blocking(must_not_run, arg), ECANCELED);
    CHECK_FAILS(llam_call_blocking_result(must_not_run, arg, NULL), EINVAL);
    CHECK_FAILS(llam_call_blocking_result(NULL, arg, &out), EINVAL);
}

static void try_cancelled_calls(void *arg) {
    run_cancelled(call_cancelled, arg);
    CHECK_OK(llam_runtime_request_stop());
    call_cancelled(arg);
}

/* Appendix A: "After a stop request llam_call_blocking_result fails with ECANCELED and does not call
 * the function." abi.md 5.3: the same for a cancelled task. */
TEST(a_cancelled_task_calls_nothing) { run_task(try_cancelled_calls, NULL); }

static void call_to_be_cancelled(void *arg) {
    struct call *call = arg;
    void *out = arg;
    CHECK_FAILS(llam_call_blocking_result(wait_inside, arg, &out), ECANCELED);
    CHECK_PTR(out, NULL);
    CHECK_EQ(atomic_load(&call->finished), 1);
}

static void cancel_a_running_call(void *arg) {
    struct call *call = arg;
    llam_cancel_token_t *token = token_new();
    call->caller = spawn_with_token(call_to_be_cancelled, call, token);
    AWAIT(atomic_load(&call->started));
    CHECK_OK(llam_cancel_token_cancel(token));
    CHECK_FAILS(llam_join_until(call->caller, after_ms(20)), ETIMEDOUT);
    CHECK_EQ(atomic_load(&call->finished), 0);
    atomic_store(&call->open, 1);
    CHECK_OK(llam_join(call->caller));
    CHECK_OK(llam_cancel_token_destroy(token));
}

/* abi.md 4.7, 5.3: cancelled while it runs, the call returns only after the callback has. */
TEST(a_cancelled_call_waits_for_its_callback) {
    static struct call call;
    run_task(cancel_a_running_call, &call);
}

static void stop_a_running_call(void *arg) {
    struct call *call = arg;
    call->caller = spawn_ok(call_to_be_cancelled, call);
    while (!atomic_load(&call->started)) llam_yield();
    CHECK_OK(llam_runtime_request_stop());
    for (int i = 0; i < 100; i++) llam_yield();
    CHECK(!in_state(call->caller, "DEAD"));
    CHECK_EQ(atomic_load(&call->finished), 0);
    atomic_store(&call->open, 1);
}

/* abi.md 5.1.4, 5.3: the same for a stop. */
TEST(a_stopped_call_waits_for_its_callback) {
    static struct call call;
    run_task(stop_a_running_call, &call);
    CHECK_EQ(atomic_load(&call.finished), 1);
}

struct short_call {
    counter inside, calls;
};

static void *stay_a_moment(void *arg) {
    struct short_call *call = arg;
    atomic_store(&call->inside, 1);
    struct timespec moment = {0, 20000};
    nanosleep(&moment, NULL);
    atomic_fetch_add(&call->calls, 1);
    atomic_store(&call->inside, 0);
    return arg;
}

static void call_in_a_race(void *arg) {
    struct short_call *call = arg;
    void *out = arg;
    int before = atomic_load(&call->calls);
    check_errno_set(0);
    int result = llam_call_blocking_result(stay_a_moment, arg, &out);
    CHECK_EQ(atomic_load(&call->inside), 0);
    if (result == 0) {
        CHECK_PTR(out, arg);
        CHECK_EQ(atomic_load(&call->calls), before + 1);
    } else {
        CHECK_EQ(check_errno_get(), ECANCELED);
        CHECK_PTR(out, NULL);
    }
}

static void race_calls(void *arg) {
    for (int i = 0; i < 400; i++) {
        llam_cancel_token_t *token = token_new();
        llam_task_t *caller = spawn_with_token(call_in_a_race, arg, token);
        for (int k = 0; k < i % 20; k++) llam_yield();
        if (i % 2) CHECK_OK(llam_sleep_ns((uint64_t)(i % 8) * 10000));
        CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_OK(llam_join(caller));
        CHECK_OK(llam_cancel_token_destroy(token));
        CHECK_EQ(atomic_load(&((struct short_call *)arg)->inside), 0);
    }
}

/* Appendix A: "Cancel racing with a blocking call: ECANCELED never before the callback has
 * returned." */
TEST(a_racing_cancel_never_returns_before_the_callback) {
    static struct short_call call;
    run_task(race_calls, &call);
}

enum { QUEUED = 300 };

struct queued {
    counter started[QUEUED], finished[QUEUED], started_at_return[QUEUED];
    counter running, open;
};

static struct queued queued;

static void *run_queued(void *arg) {
    uintptr_t i = (uintptr_t)arg;
    atomic_store(&queued.started[i], 1);
    atomic_fetch_add(&queued.running, 1);
    AWAIT(atomic_load(&queued.open));
    atomic_store(&queued.finished[i], 1);
    return NULL;
}

static void call_queued(void *arg) {
    uintptr_t i = (uintptr_t)arg;
    void *out;
    CHECK_FAILS(llam_call_blocking_result(run_queued, arg, &out), ECANCELED);
    atomic_store(&queued.started_at_return[i], atomic_load(&queued.started[i]));
    if (atomic_load(&queued.started[i])) CHECK_EQ(atomic_load(&queued.finished[i]), 1);
}

static void cancel_queued(void *arg) {
    (void)arg;
    llam_cancel_token_t *token = token_new();
    static llam_task_t *callers[QUEUED];
    for (uintptr_t i = 0; i < QUEUED; i++)
        callers[i] = spawn_with_token(call_queued, (void *)i, token);
    for (int i = 0; i < QUEUED; i++) AWAIT(in_state(callers[i], "PARKED"));
    AWAIT(atomic_load(&queued.running) > 0);
    CHECK_OK(llam_cancel_token_cancel(token));
    atomic_store(&queued.open, 1);
    /* Keeps the only worker while the pool goes on with what it has: none of the callers can take
     * its call back itself. */
    uint64_t end = after_ms(100);
    while (llam_now_ns() < end && atomic_load(&queued.running) < QUEUED) sched_yield();
    for (int i = 0; i < QUEUED; i++) CHECK_OK(llam_join(callers[i]));
    CHECK_OK(llam_cancel_token_destroy(token));
}

/* abi.md 4.7: a call that is cancelled while it queues is skipped and never called. The pool is
 * bounded, so of so many calls some must have queued. */
TEST(a_call_cancelled_in_the_queue_is_skipped) {
    run_task_on_one_worker(cancel_queued, NULL);
    int skipped = 0;
    for (int i = 0; i < QUEUED; i++) {
        CHECK_EQ(atomic_load(&queued.started[i]), atomic_load(&queued.started_at_return[i]));
        skipped += atomic_load(&queued.started[i]) == 0;
    }
    CHECK(skipped > 0);
}

/* ---- Regions ---- */

static void nest(void *arg) {
    (void)arg;
    llam_task_t *self = llam_current_task();
    CHECK_FAILS(llam_leave_blocking(), EINVAL);
    CHECK_OK(llam_enter_blocking());
    CHECK_OK(llam_enter_blocking());
    CHECK_STR(llam_task_state_name(self), "BLOCKED_OPAQUE");
    CHECK_OK(llam_leave_blocking());
    CHECK_STR(llam_task_state_name(self), "BLOCKED_OPAQUE");
    CHECK_PTR(llam_current_task(), self);
    CHECK_OK(llam_leave_blocking());
    CHECK_STR(llam_task_state_name(self), "RUNNING");
    CHECK_FAILS(llam_leave_blocking(), EINVAL);
    CHECK_FAILS(llam_leave_blocking(), EINVAL);
    CHECK_OK(llam_enter_blocking());
    CHECK_OK(llam_leave_blocking());
}

/* abi.md 4.7, 5.11: regions nest; one leave too many is EINVAL without effect. */
TEST(regions_nest) {
    run_task(nest, NULL);
    run_task_on_one_worker(nest, NULL);
}

/* abi.md 4.7: on a host thread both give 0 without effect, in every state. */
TEST(regions_mean_nothing_on_host_threads) {
    CHECK_OK(llam_leave_blocking());
    CHECK_OK(llam_enter_blocking());
    init_default(0);
    CHECK_OK(llam_leave_blocking());
    CHECK_OK(llam_leave_blocking());
    llam_runtime_shutdown();
}

struct region {
    int pipe_ends[2];
    counter inside, out, ticks;
    llam_task_t *task;
};

static void block_in_a_region(void *arg) {
    struct region *region = arg;
    char byte = 0;
    CHECK_OK(llam_enter_blocking());
    long here = syscall(SYS_gettid);
    atomic_store(&region->inside, 1);
    CHECK_EQ(read(region->pipe_ends[0], &byte, 1), 1);
    CHECK_EQ(byte, 'r');
    CHECK_EQ(syscall(SYS_gettid), here);
    CHECK_OK(llam_leave_blocking());
    atomic_store(&region->out, 1);
}

static void live_beside_a_region(void *arg) {
    struct region *region = arg;
    region->task = spawn_ok(block_in_a_region, region);
    AWAIT(atomic_load(&region->inside));
    CHECK_STR(llam_task_state_name(region->task), "BLOCKED_OPAQUE");
    for (int i = 0; i < 20; i++) {
        llam_yield();
        CHECK_OK(llam_sleep_ns(100000));
        CHECK_OK(llam_join(spawn_ok(count_one, &region->ticks)));
    }
    CHECK_EQ(atomic_load(&region->out), 0);
    CHECK_EQ(write(region->pipe_ends[1], "r", 1), 1);
    CHECK_OK(llam_join(region->task));
    CHECK_EQ(atomic_load(&region->out), 1);
    CHECK_EQ(atomic_load(&region->ticks), 20);
}

/* abi.md 4.7, 5.11: the runtime keeps its other tasks going, on a single worker too; the state name
 * is BLOCKED_OPAQUE, and the task stays on its OS thread. */
TEST(other_tasks_go_on_beside_a_region) {
    for (int one_worker = 0; one_worker < 2; one_worker++) {
        static struct region region;
        memset(&region, 0, sizeof region);
        CHECK_OK(pipe(region.pipe_ends));
        if (one_worker) {
            run_task_on_one_worker(live_beside_a_region, &region);
        } else {
            run_task(live_beside_a_region, &region);
        }
        CHECK_OK(close(region.pipe_ends[0]) | close(region.pipe_ends[1]));
    }
}

enum { MEETING = 12 };

static pthread_barrier_t meeting;

static void meet(void *arg) {
    check_errno_set((int)(uintptr_t)arg);
    for (int round = 0; round < 3; round++) {
        CHECK_OK(llam_enter_blocking());
        pthread_barrier_wait(&meeting);
        CHECK_OK(llam_leave_blocking());
        llam_yield();
    }
}

static void keep_errno_meanwhile(void *arg) {
    check_errno_set((int)(uintptr_t)arg);
    for (int i = 0; i < 50; i++) {
        llam_yield();
        CHECK_EQ(check_errno_get(), (int)(uintptr_t)arg);
        CHECK_OK(llam_sleep_ns(i % 10 ? 0 : 100000));
        CHECK_EQ(check_errno_get(), (int)(uintptr_t)arg);
    }
}

/* abi.md 5.11: tasks in regions all block at the same time, each on an OS thread of its own.
 * R8: the others keep their errno, whatever thread they go on with. */
TEST(many_regions_block_at_the_same_time) {
    for (uint32_t one_worker = 0; one_worker < 2; one_worker++) {
        CHECK_OK(pthread_barrier_init(&meeting, NULL, MEETING));
        init_default(one_worker);
        for (uintptr_t i = 0; i < MEETING; i++) {
            CHECK_OK(llam_detach(spawn_ok(meet, (void *)(i + 100))));
            CHECK_OK(llam_detach(spawn_ok(keep_errno_meanwhile, (void *)(i + 1))));
        }
        run_here();
        llam_runtime_shutdown();
        CHECK_OK(pthread_barrier_destroy(&meeting));
    }
}

static void park_in_a_region(void *arg) {
    llam_channel_t *channel = llam_channel_create(1);
    void *value = NULL;
    CHECK_OK(llam_enter_blocking());
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    CHECK_STR(llam_task_state_name(llam_current_task()), "BLOCKED_OPAQUE");
    llam_yield();
    llam_task_safepoint();
    CHECK_OK(llam_join(spawn_ok(do_nothing, NULL)));
    CHECK_FAILS(llam_channel_recv_until_result(channel, after_ms(2), &value), ETIMEDOUT);
    CHECK_OK(llam_channel_send(channel, arg));
    CHECK_OK(llam_channel_recv_result(channel, &value));
    CHECK_PTR(value, arg);
    CHECK_PTR(llam_call_blocking(add_one, arg), (char *)arg + 1);
    CHECK_STR(llam_task_state_name(llam_current_task()), "BLOCKED_OPAQUE");
    CHECK_OK(llam_leave_blocking());
    CHECK_FAILS(llam_leave_blocking(), EINVAL);
    CHECK_STR(llam_task_state_name(llam_current_task()), "RUNNING");
    CHECK_OK(llam_channel_destroy(channel));
}

/* abi.md 5.11: a task may park inside a region; the region stays open and needs its leave. */
TEST(a_task_parks_inside_a_region) {
    char something;
    for (uint32_t one_worker = 0; one_worker < 2; one_worker++) {
        init_default(one_worker);
        for (int i = 0; i < 5; i++) CHECK_OK(llam_detach(spawn_ok(park_in_a_region, &something)));
        run_here();
        llam_runtime_shutdown();
    }
}

static void leave_regions_open(void *arg) {
    CHECK_OK(llam_enter_blocking());
    CHECK_OK(llam_enter_blocking());
    count_one(arg);
}

static void after_open_regions(void *arg) {
    for (int i = 0; i < 10; i++) CHECK_OK(llam_join(spawn_ok(leave_regions_open, arg)));
    CHECK_FAILS(llam_leave_blocking(), EINVAL);
    CHECK_OK(llam_join(spawn_ok(nest, NULL)));
}

/* abi.md 5.11: regions that a task leaves open are closed at its end, for later tasks too. */
TEST(a_task_may_end_inside_a_region) {
    counter ran = 0;
    run_task(after_open_regions, &ran);
    run_task_on_one_worker(after_open_regions, &ran);
    CHECK_EQ(atomic_load(&ran), 20);
}

static void block_long(void *arg) {
    CHECK_OK(llam_enter_blocking());
    uint64_t end = after_ms(400);
    while (llam_now_ns() < end) {
        struct timespec rest = {0, 10000000};
        nanosleep(&rest, NULL);
    }
    CHECK_OK(llam_leave_blocking());
    count_one(arg);
}

static void wait_for_it(void *arg) { CHECK_OK(llam_join(arg)); }

/* abi.md 5.11: deadlock detection takes a task in a region for one that can run; the same for a
 * blocking call (5.1.6). */
TEST(a_region_is_no_deadlock) {
    counter ran = 0;
    init_default(0);
    llam_task_t *blocked = spawn_ok(block_long, &ran);
    CHECK_OK(llam_detach(spawn_ok(wait_for_it, blocked)));
    run_here();
    CHECK_EQ(atomic_load(&ran), 1);
    llam_runtime_shutdown();
}

static void enter_often(void *arg) {
    for (int i = 0; i < 100; i++) {
        CHECK_OK(llam_enter_blocking());
        if (i % 10 == 0) sched_yield();
        CHECK_OK(llam_leave_blocking());
        count_one(arg);
        if (i % 7 == 0) llam_yield();
    }
}

/* abi.md 5.11: regions of many tasks, in turn. */
TEST(many_tasks_enter_and_leave) {
    counter count = 0;
    for (uint32_t one_worker = 0; one_worker < 2; one_worker++) {
        init_default(one_worker);
        for (int i = 0; i < 20; i++) CHECK_OK(llam_detach(spawn_ok(enter_often, &count)));
        run_here();
        llam_runtime_shutdown();
    }
    CHECK_EQ(atomic_load(&count), 4000);
}

static void cancelled_in_a_region(void *arg) {
    counter *inside = arg;
    CHECK_OK(llam_enter_blocking());
    atomic_store(inside, 1);
    CHECK_FAILS(llam_sleep_until(UINT64_MAX), ECANCELED);
    CHECK_OK(llam_leave_blocking());
}

static void cancel_a_region(void *arg) {
    llam_cancel_token_t *token = token_new();
    llam_task_t *task = spawn_with_token(cancelled_in_a_region, arg, token);
    AWAIT(atomic_load((counter *)arg));
    CHECK_OK(llam_cancel_token_cancel(token));
    CHECK_OK(llam_join(task));
    CHECK_OK(llam_cancel_token_destroy(token));
}

/* abi.md 5.3, 5.11: waits inside regions are cancelled like others. */
TEST(a_wait_in_a_region_is_cancelled) {
    counter inside = 0;
    run_task(cancel_a_region, &inside);
}

MAIN
