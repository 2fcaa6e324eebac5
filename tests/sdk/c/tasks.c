/* Tasks: spawning, spawn options, handles and introspection, classes, stacks, errno, floating point
 * and yielding. Covers abi.md 4.3 without join and detach (see joins.c), 5.4, 5.5, 5.14, R8.
 */
#include "scheduling.h"

/* ---- Errors of spawning ---- */

/* abi.md 4.3: EINVAL for a NULL function, in each of the spawn calls. */
TEST(a_spawn_needs_a_function) {
    init_default(0);
    CHECK_NULL(llam_spawn(NULL, NULL, NULL), EINVAL);
    CHECK_NULL(llam_spawn_ex(NULL, NULL, NULL, 0), EINVAL);
    CHECK_NULL(llam_runtime_spawn_ex(llam_runtime_default(), NULL, NULL, NULL, 0), EINVAL);
    run_here();
    llam_runtime_shutdown();
}

/* abi.md 4.3, R4: no live runtime is EINVAL; a live explicit one does not help. */
TEST(a_spawn_needs_a_live_runtime) {
    CHECK_NULL(llam_spawn(do_nothing, NULL, NULL), EINVAL);
    CHECK_NULL(llam_runtime_spawn_ex(llam_runtime_default(), do_nothing, NULL, NULL, 0), EINVAL);
    llam_runtime_t *other = runtime_new(0);
    CHECK_NULL(llam_spawn(do_nothing, NULL, NULL), EINVAL);
    CHECK_NULL(llam_spawn_ex(do_nothing, NULL, NULL, 0), EINVAL);
    llam_runtime_destroy(other);
    CHECK_NULL(llam_runtime_spawn_ex(other, do_nothing, NULL, NULL, 0), EINVAL);
    CHECK_NULL(llam_runtime_spawn_ex(NULL, do_nothing, NULL, NULL, 0), EINVAL);
    int no_runtime = 0;
    CHECK_NULL(llam_runtime_spawn_ex((llam_runtime_t *)&no_runtime, do_nothing, NULL, NULL, 0),
               EINVAL);
    init_default(0);
    llam_runtime_shutdown();
    CHECK_NULL(llam_spawn(do_nothing, NULL, NULL), EINVAL);
}

/* abi.md 1.4, 4.3: size 0 is EINVAL, whatever the options hold; NULL options ignore the size. */
TEST(options_of_size_zero_are_invalid) {
    init_default(0);
    llam_spawn_opts_t opts = spawn_options();
    CHECK_NULL(llam_spawn_ex(do_nothing, NULL, &opts, 0), EINVAL);
    CHECK_NULL(llam_runtime_spawn_ex(llam_runtime_default(), do_nothing, NULL, &opts, 0), EINVAL);
    llam_task_t *task = llam_spawn_ex(do_nothing, NULL, NULL, 12345);
    CHECK(task != NULL);
    CHECK_OK(llam_detach(task));
    run_here();
    llam_runtime_shutdown();
}

/* abi.md 4.3: classes above 2 and tokens that are none are EINVAL; nothing is started. */
TEST(bad_options_start_nothing) {
    init_default(0);
    static counter ran;
    llam_cancel_token_t *token = token_new();
    llam_spawn_opts_t opts = spawn_options();
    opts.cancel_token = token;
    opts.task_class = 3;
    CHECK_NULL(llam_spawn(count_one, &ran, &opts), EINVAL);
    opts.task_class = UINT32_MAX;
    CHECK_NULL(llam_spawn(count_one, &ran, &opts), EINVAL);
    opts.task_class = 1;
    opts.stack_class = 3;
    CHECK_NULL(llam_spawn(count_one, &ran, &opts), EINVAL);
    opts.stack_class = 0;
    CHECK_NULL(llam_spawn(NULL, &ran, &opts), EINVAL);
    /* abi.md 4.3: a failed spawn leaves no reference to the token. */
    CHECK_OK(llam_cancel_token_destroy(token));
    CHECK_NULL(llam_spawn(count_one, &ran, &opts), EINVAL);
    llam_mutex_t *mutex = llam_mutex_create();
    opts.cancel_token = (llam_cancel_token_t *)mutex;
    CHECK_NULL(llam_spawn(count_one, &ran, &opts), EINVAL);
    opts.cancel_token = (llam_cancel_token_t *)(uintptr_t)1;
    CHECK_NULL(llam_spawn(count_one, &ran, &opts), EINVAL);
    run_here();
    CHECK_EQ(atomic_load(&ran), 0);
    CHECK_OK(llam_mutex_destroy(mutex));
    llam_runtime_shutdown();
}

/* R2: the token of a spawn has the owner of the new task, else EXDEV. */
static void foreign_token_body(void *arg) {
    llam_cancel_token_t **made = arg;
    llam_cancel_token_t *host_made = *made;
    llam_spawn_opts_t opts = spawn_options();
    opts.cancel_token = host_made;
    CHECK_NULL(llam_spawn(do_nothing, NULL, &opts), EXDEV);
    *made = token_new();
    opts.cancel_token = *made;
    llam_task_t *task = llam_spawn(do_nothing, NULL, &opts);
    CHECK(task != NULL);
    CHECK_OK(llam_join(task));
    CHECK_NULL(llam_runtime_spawn_ex(llam_runtime_default(), do_nothing, NULL, &opts, sizeof opts),
               EXDEV);
}

TEST(a_token_of_another_runtime_is_refused) {
    init_default(0);
    llam_runtime_t *other = runtime_new(0);
    llam_cancel_token_t *host_made = token_new(), *made = host_made;
    run_on(other, foreign_token_body, &made);
    llam_spawn_opts_t opts = spawn_options();
    opts.cancel_token = made;
    CHECK_NULL(llam_spawn(do_nothing, NULL, &opts), EXDEV);
    llam_task_t *task = llam_runtime_spawn_ex(other, do_nothing, NULL, &opts, sizeof opts);
    CHECK(task != NULL);
    opts.cancel_token = host_made;
    CHECK_NULL(llam_runtime_spawn_ex(other, do_nothing, NULL, &opts, sizeof opts), EXDEV);
    CHECK_OK(llam_runtime_run_handle(other));
    CHECK_OK(llam_join(task));
    CHECK_OK(llam_cancel_token_destroy(made));
    CHECK_OK(llam_cancel_token_destroy(host_made));
    llam_runtime_destroy(other);
    llam_runtime_shutdown();
}

/* ---- The size handshake ---- */

/* abi.md 1.4: a field that the size cuts has its default; an unknown tail is ignored. */
TEST(cut_options_have_defaults) {
    init_default(0);
    struct {
        llam_spawn_opts_t opts;
        unsigned char tail[64];
    } big;
    for (size_t size = 1; size <= sizeof big; size++) {
        memset(&big, 0xA5, sizeof big);
        big.opts.task_class = size >= 4 ? LLAM_TASK_CLASS_BATCH : 99;
        big.opts.stack_class = size >= 8 ? LLAM_STACK_CLASS_LARGE : 99;
        big.opts.flags = LLAM_SPAWN_F_SYS_TASK;
        if (size >= 32) big.opts.cancel_token = NULL;
        llam_task_t *task = llam_spawn_ex(do_nothing, NULL, &big.opts, size);
        if (task == NULL) FAIL("size %zu refused with errno %d", size, errno);
        CHECK_EQ(llam_task_class(task), size >= 4 ? 2 : 1);
        CHECK_EQ(llam_task_flags(task), size >= 12 ? LLAM_SPAWN_F_SYS_TASK : 0);
        CHECK_OK(llam_detach(task));
    }
    run_here();
    llam_runtime_shutdown();
}

/* ---- Handles and introspection ---- */

/* Appendix A: "Before the first run: id not 0, state RUNNABLE, class and flags as given." */
TEST(before_the_first_run_a_task_is_runnable) {
    init_default(0);
    llam_spawn_opts_t opts = spawn_options();
    opts.task_class = LLAM_TASK_CLASS_BATCH;
    opts.flags = LLAM_SPAWN_F_PINNED | LLAM_SPAWN_F_NO_PREEMPT;
    llam_task_t *task = llam_spawn(do_nothing, NULL, &opts);
    errno_marked();
    CHECK(llam_task_id(task) != 0);
    CHECK_STR(llam_task_state_name(task), "RUNNABLE");
    CHECK_EQ(llam_task_class(task), LLAM_TASK_CLASS_BATCH);
    CHECK_EQ(llam_task_flags(task), LLAM_SPAWN_F_PINNED | LLAM_SPAWN_F_NO_PREEMPT);
    CHECK_ERRNO_KEPT();
    run_here();
    /* abi.md 5.14: ended, not yet joined. */
    CHECK_STR(llam_task_state_name(task), "DEAD");
    CHECK_EQ(llam_task_class(task), LLAM_TASK_CLASS_BATCH);
    CHECK_EQ(llam_task_flags(task), LLAM_SPAWN_F_PINNED | LLAM_SPAWN_F_NO_PREEMPT);
    CHECK_OK(llam_join(task));
    llam_runtime_shutdown();
}

/* abi.md 4.3, 5.4: unknown flags are reported back; LATENCY_CRITICAL forces class LATENCY. */
TEST(flags_are_reported_back) {
    init_default(0);
    llam_spawn_opts_t opts = spawn_options();
    opts.task_class = LLAM_TASK_CLASS_BATCH;
    opts.flags = UINT32_C(0xFFFFFFF7);
    llam_task_t *unknown = llam_spawn(do_nothing, NULL, &opts);
    CHECK_EQ(llam_task_flags(unknown), UINT32_C(0xFFFFFFF7));
    CHECK_EQ(llam_task_class(unknown), LLAM_TASK_CLASS_BATCH);
    opts.flags = LLAM_SPAWN_F_LATENCY_CRITICAL;
    llam_task_t *critical = llam_spawn(do_nothing, NULL, &opts);
    CHECK_EQ(llam_task_class(critical), LLAM_TASK_CLASS_LATENCY);
    CHECK_EQ(llam_task_flags(critical), LLAM_SPAWN_F_LATENCY_CRITICAL);
    run_here();
    CHECK_OK(llam_join(unknown));
    CHECK_OK(llam_join(critical));
    llam_runtime_shutdown();
}

/* abi.md 4.3: ids count from 1 in the order of spawns, per runtime and per life of it. */
TEST(ids_count_from_one) {
    for (int life = 0; life < 3; life++) {
        init_default(0);
        llam_runtime_t *other = runtime_new(0);
        for (uint64_t id = 1; id <= 100; id++) {
            llam_task_t *task = spawn_ok(do_nothing, NULL);
            CHECK_EQ(llam_task_id(task), id);
            if (id % 2 == 0) CHECK_OK(llam_detach(task));
            CHECK_EQ(llam_task_id(spawn_on(other, do_nothing, NULL)), id);
        }
        run_here();
        CHECK_EQ(llam_task_id(spawn_ok(do_nothing, NULL)), 101);
        llam_runtime_destroy(other);
        llam_runtime_shutdown();
    }
}

struct self {
    llam_task_t *_Atomic handle;
    counter go;
};

static void is_itself(void *arg) {
    struct self *self = arg;
    llam_task_t *first = llam_current_task();
    CHECK(first != NULL);
    AWAIT(atomic_load(&self->go) != 0);
    CHECK_PTR(llam_current_task(), atomic_load(&self->handle));
    CHECK_PTR(first, atomic_load(&self->handle));
    CHECK_STR(llam_task_state_name(first), "RUNNING");
    llam_yield();
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    CHECK_PTR(llam_current_task(), first);
}

/* Appendix A: "The handle returned by spawn equals llam_current_task() inside that task." */
TEST(the_spawned_handle_is_the_tasks_own) {
    CHECK_PTR(llam_current_task(), NULL);
    init_default(0);
    static struct self selves[20];
    for (int i = 0; i < 20; i++) {
        atomic_store(&selves[i].handle, spawn_ok(is_itself, &selves[i]));
        atomic_store(&selves[i].go, 1);
    }
    CHECK_PTR(llam_current_task(), NULL);
    run_here();
    for (int i = 0; i < 20; i++) CHECK_OK(llam_join(atomic_load(&selves[i].handle)));
    llam_runtime_shutdown();
}

/* abi.md 4.3: after a detach the task sees another valid handle, which join and detach refuse. */
static void detached_self(void *arg) {
    counter *done = arg;
    llam_task_t *old = llam_current_task();
    uint64_t id = llam_task_id(old);
    CHECK_OK(llam_detach(old));
    check_dead(old);
    llam_task_t *now = llam_current_task();
    CHECK(now != NULL && now != old);
    CHECK_EQ(llam_task_id(now), id);
    CHECK_STR(llam_task_state_name(now), "RUNNING");
    CHECK_EQ(llam_task_class(now), LLAM_TASK_CLASS_DEFAULT);
    CHECK_FAILS(llam_join(now), EINVAL);
    CHECK_FAILS(llam_join_until(now, 0), EINVAL);
    CHECK_FAILS(llam_detach(now), EINVAL);
    llam_yield();
    CHECK_PTR(llam_current_task(), now);
    atomic_fetch_add(done, 1);
}

TEST(a_detached_task_sees_another_handle_for_itself) {
    counter done = 0;
    init_default(0);
    spawn_ok(detached_self, &done);
    run_here();
    CHECK_EQ(atomic_load(&done), 1);
    llam_runtime_shutdown();
}

/* abi.md 4.3, R1: introspection of what is no live task is neutral and keeps errno. */
TEST(introspection_of_no_task_is_neutral) {
    check_neutral(NULL);
    check_neutral((llam_task_t *)(uintptr_t)1);
    check_neutral((llam_task_t *)UINTPTR_MAX);
    int local = 0;
    check_neutral((llam_task_t *)(void *)&local);
    llam_mutex_t *mutex = llam_mutex_create();
    check_neutral((llam_task_t *)mutex);
    CHECK_OK(llam_mutex_destroy(mutex));
    init_default(0);
    check_neutral((llam_task_t *)llam_runtime_default());
    check_dead((llam_task_t *)llam_runtime_default());
    check_dead(NULL);
    llam_runtime_shutdown();
}

static void look_at_a_foreign_task(void *arg) {
    check_neutral(arg);
    CHECK_FAILS(llam_join(arg), EXDEV);
    CHECK_FAILS(llam_join_until(arg, 0), EXDEV);
    CHECK_FAILS(llam_detach(arg), EXDEV);
}

/* abi.md 4.3: foreign handles are neutral to tasks; host threads see tasks of any runtime. */
TEST(a_task_sees_nothing_of_a_foreign_task) {
    init_default(0);
    llam_runtime_t *other = runtime_new(0);
    llam_task_t *own = spawn_ok(do_nothing, NULL);
    run_on(other, look_at_a_foreign_task, own);
    CHECK_EQ(llam_task_id(own), 1);
    llam_task_t *foreign = spawn_on(other, do_nothing, NULL);
    CHECK_EQ(llam_task_id(foreign), 2);
    CHECK_STR(llam_task_state_name(foreign), "RUNNABLE");
    CHECK_OK(llam_detach(spawn_ok(look_at_a_foreign_task, foreign)));
    run_here();
    CHECK_OK(llam_join(own));
    CHECK_OK(llam_runtime_run_handle(other));
    CHECK_OK(llam_join(foreign));
    llam_runtime_destroy(other);
    llam_runtime_shutdown();
}

static void see_states(void *arg) {
    counter *gate = arg;
    llam_task_t *sleeper = spawn_ok(until_set, gate);
    AWAIT(in_state(sleeper, "PARKED"));
    llam_task_t *ended = spawn_ok(do_nothing, NULL);
    AWAIT(in_state(ended, "DEAD"));
    CHECK(llam_task_id(ended) != 0);
    atomic_store(gate, 1);
    CHECK_OK(llam_join(sleeper));
    CHECK_OK(llam_join(ended));
}

/* abi.md 5.14: PARKED in a wait, DEAD once ended. */
TEST(states_are_named) {
    counter gate = 0;
    run_task(see_states, &gate);
}

static const char *const state_names[] = {"NEW",  "RUNNABLE", "RUNNING", "PARKED", "BLOCKED_OPAQUE",
                                          "DEAD", "UNKNOWN"};

struct watched {
    llam_task_t *_Atomic tasks[8];
    counter over;
};

static void *watch(void *arg) {
    struct watched *watched = arg;
    while (!atomic_load(&watched->over)) {
        for (int i = 0; i < 8; i++) {
            llam_task_t *task = atomic_load(&watched->tasks[i]);
            const char *name = llam_task_state_name(task);
            int known = 0;
            for (size_t k = 0; k < sizeof state_names / sizeof *state_names; k++)
                known |= strcmp(name, state_names[k]) == 0;
            CHECK(known);
            CHECK(llam_task_class(task) <= 2);
            uint32_t flags = llam_task_flags(task);
            CHECK(flags == 0 || flags == 0xABCD0000U);
            (void)llam_task_id(task);
        }
    }
    return NULL;
}

static void nap(void *arg) {
    (void)arg;
    CHECK_OK(llam_sleep_ns(10000));
}

static void churn(void *arg) {
    struct watched *watched = arg;
    llam_spawn_opts_t opts = spawn_options();
    opts.flags = 0xABCD0000U;
    for (int round = 0; round < 2000; round++) {
        llam_task_fn fn = round % 3 == 0 ? do_nothing : nap;
        llam_task_t *task = llam_spawn(fn, NULL, &opts);
        CHECK(task != NULL);
        atomic_store(&watched->tasks[round % 8], task);
        if (round % 3 == 0) {
            CHECK_OK(llam_join(task));
        } else {
            CHECK_OK(llam_detach(task));
        }
    }
    atomic_store(&watched->over, 1);
}

/* R1: introspection may race with the end of the tasks and the reuse of their slots. */
TEST(introspection_races_with_the_end_of_tasks) {
    static struct watched watched;
    pthread_t watcher;
    CHECK_OK(pthread_create(&watcher, NULL, watch, &watched));
    run_task(churn, &watched);
    CHECK_OK(pthread_join(watcher, NULL));
}

/* ---- Where tasks go ---- */

struct spawning {
    llam_task_t *tasks[200];
    counter *ran;
};

static void *spawn_many(void *arg) {
    struct spawning *spawning = arg;
    for (int i = 0; i < 200; i++) spawning->tasks[i] = spawn_ok(count_one, spawning->ran);
    return NULL;
}

/* Appendix A: "Host threads may spawn at the same time, before and during the run; all handles are
 * valid and joinable." */
TEST(host_threads_spawn_at_the_same_time) {
    init_default(0);
    counter ran = 0, gate = 0;
    for (int during = 0; during < 2; during++) {
        struct run run;
        static struct spawning spawning[4];
        pthread_t threads[4];
        llam_task_t *keeper = spawn_ok(until_set, &gate);
        if (during) run_start(&run, NULL);
        for (int i = 0; i < 4; i++) {
            spawning[i].ran = &ran;
            CHECK_OK(pthread_create(&threads[i], NULL, spawn_many, &spawning[i]));
        }
        for (int i = 0; i < 4; i++) CHECK_OK(pthread_join(threads[i], NULL));
        if (!during) run_start(&run, NULL);
        for (int i = 0; i < 4; i++)
            for (int k = 0; k < 200; k++) CHECK_OK(llam_join(spawning[i].tasks[k]));
        CHECK_EQ(atomic_load(&ran), 800 * (during + 1));
        atomic_store(&gate, 1);
        run_finish(&run);
        CHECK_OK(llam_join(keeper));
        atomic_store(&gate, 0);
    }
    llam_runtime_shutdown();
}

static void spawn_at_home(void *arg) {
    uint64_t here = llam_task_id(llam_current_task());
    llam_task_t *child = spawn_ok(count_one, arg);
    CHECK_EQ(llam_task_id(child), here + 1);
    CHECK_OK(llam_join(child));
    /* abi.md 4.3: llam_runtime_spawn_ex works from tasks of other runtimes. */
    llam_task_t *foreign = spawn_on(llam_runtime_default(), count_one, arg);
    check_neutral(foreign);
    CHECK_FAILS(llam_join(foreign), EXDEV);
}

/* Appendix A: "llam_spawn of an explicit runtime's task goes to that runtime; from a host thread
 * always to the default one." */
TEST(a_task_spawns_onto_its_own_runtime) {
    init_default(0);
    llam_runtime_t *other = runtime_new(0);
    counter ran = 0;
    for (int i = 0; i < 9; i++) CHECK_OK(llam_detach(spawn_on(other, count_one, &ran)));
    run_on(other, spawn_at_home, &ran);
    CHECK_EQ(atomic_load(&ran), 10);
    CHECK_EQ(llam_task_id(spawn_ok(count_one, &ran)), 2);
    run_here();
    CHECK_EQ(atomic_load(&ran), 12);
    llam_runtime_destroy(other);
    llam_runtime_shutdown();
}

/* abi.md 4.2, 5.1.5: tasks that never started are dropped without running; handles die. */
TEST(tasks_that_never_started_are_dropped) {
    counter ran = 0;
    init_default(0);
    llam_task_t *task = spawn_ok(count_one, &ran);
    llam_task_t *detached = spawn_ok(count_one, &ran);
    CHECK_OK(llam_detach(detached));
    llam_runtime_shutdown();
    check_dead(task);
    init_default(0);
    check_dead(task);
    check_dead(detached);
    run_here();
    llam_runtime_shutdown();
    CHECK_EQ(atomic_load(&ran), 0);
}

static void same_argument(void *arg) { CHECK_PTR(arg, (void *)(uintptr_t)0x1234567); }
static void null_argument(void *arg) { CHECK_PTR(arg, NULL); }

/* abi.md 4.3: the argument is passed through, not touched. */
TEST(the_argument_is_passed_through) {
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(same_argument, (void *)(uintptr_t)0x1234567)));
    CHECK_OK(llam_detach(spawn_ok(null_argument, NULL)));
    run_here();
    llam_runtime_shutdown();
}

/* ---- Options that mean little ---- */

static void with_a_past_deadline(void *arg) {
    counter *gate = arg;
    CHECK_OK(llam_sleep_ns(2 * CHECK_MS));
    atomic_store(gate, 1);
    llam_yield();
    CHECK_OK(llam_join(spawn_ok(do_nothing, NULL)));
    CHECK_OK(llam_sleep_ns(2 * CHECK_MS));
    atomic_store(gate, 2);
}

/* abi.md 5.4: deadline_ns has no effect. 5.4: a SYS_TASK counts as a live task. */
TEST(a_spawn_deadline_has_no_effect) {
    init_default(0);
    counter gate = 0;
    llam_spawn_opts_t opts = spawn_options();
    opts.deadline_ns = 1;
    opts.flags = LLAM_SPAWN_F_SYS_TASK;
    opts.reserved0 = 0xFFFFFFFFU;
    llam_task_t *task = llam_spawn(with_a_past_deadline, &gate, &opts);
    CHECK(task != NULL);
    run_here();
    CHECK_EQ(atomic_load(&gate), 2);
    CHECK_OK(llam_join(task));
    llam_runtime_shutdown();
}

static void check_nothing_inherited(void *arg) {
    llam_task_local_key_t *key = arg;
    llam_task_t *self = llam_current_task();
    CHECK_EQ(llam_task_class(self), LLAM_TASK_CLASS_DEFAULT);
    CHECK_EQ(llam_task_flags(self), 0);
    CHECK_PTR(llam_task_local_get(*key), NULL);
    CHECK_OK(llam_sleep_ns(CHECK_MS));
}

static void spawn_an_heir(void *arg) {
    CHECK_OK(llam_task_local_set(*(llam_task_local_key_t *)arg, arg));
    CHECK_FAILS(llam_sleep_ns(CHECK_MS), ECANCELED);
    CHECK_OK(llam_detach(spawn_ok(check_nothing_inherited, arg)));
}

/* abi.md 4.3: class, flags, token and task-locals are not inherited.
 * Appendix A: "Spawned children do not inherit the spawner's token." */
TEST(a_child_inherits_nothing) {
    init_default(0);
    llam_task_local_key_t key;
    CHECK_OK(llam_task_local_key_create(&key));
    llam_cancel_token_t *token = token_new();
    CHECK_OK(llam_cancel_token_cancel(token));
    llam_spawn_opts_t opts = spawn_options();
    opts.cancel_token = token;
    opts.task_class = LLAM_TASK_CLASS_BATCH;
    opts.flags = LLAM_SPAWN_F_PINNED;
    llam_task_t *task = llam_spawn(spawn_an_heir, &key, &opts);
    run_here();
    CHECK_OK(llam_join(task));
    CHECK_OK(llam_cancel_token_destroy(token));
    llam_runtime_shutdown();
}

static void change_class(void *arg) {
    llam_task_t *self = llam_current_task();
    for (uint32_t class = 0; class <= 2; class++) {
        errno_marked();
        CHECK_OK(llam_task_set_class(class));
        CHECK_EQ(llam_task_class(self), class);
    }
    CHECK_FAILS(llam_task_set_class(3), EINVAL);
    CHECK_FAILS(llam_task_set_class(UINT32_MAX), EINVAL);
    CHECK_EQ(llam_task_class(self), LLAM_TASK_CLASS_BATCH);
    atomic_fetch_add((counter *)arg, 1);
}

/* Appendix A: "llam_task_set_class(99) is EINVAL on a host thread too; 0 there is ENOTSUP." */
TEST(a_task_sets_its_own_class) {
    CHECK_FAILS(llam_task_set_class(99), EINVAL);
    CHECK_FAILS(llam_task_set_class(0), ENOTSUP);
    counter ran = 0;
    init_default(0);
    CHECK_FAILS(llam_task_set_class(99), EINVAL);
    CHECK_FAILS(llam_task_set_class(2), ENOTSUP);
    llam_task_t *task = spawn_ok(change_class, &ran);
    run_here();
    CHECK_EQ(atomic_load(&ran), 1);
    CHECK_EQ(llam_task_class(task), LLAM_TASK_CLASS_BATCH);
    CHECK_OK(llam_join(task));
    llam_runtime_shutdown();
}

/* ---- Stacks ---- */

/* Touches `size` bytes of stack, from the near end to the far one. */
__attribute__((noinline)) static void touch(size_t size) {
    volatile char room[1024];
    room[0] = 1;
    room[sizeof room - 1] = 1;
    if (size > sizeof room + 96) touch(size - sizeof room - 96);
    room[1] = room[0];
}

static void touch_stack(void *arg) {
    touch((size_t)(uintptr_t)arg);
    llam_yield();
    touch((size_t)(uintptr_t)arg);
}

/* abi.md 5.4: usable stack of 64 KiB, 256 KiB and 1 MiB; a little of it holds the entry. */
TEST(stacks_have_the_promised_sizes) {
    init_default(0);
    const size_t sizes[3] = {64U << 10, 256U << 10, 1U << 20};
    for (int i = 0; i < 60; i++) {
        llam_spawn_opts_t opts = spawn_options();
        opts.stack_class = (uint32_t)(i % 3);
        llam_task_t *task = llam_spawn(touch_stack, (void *)(sizes[i % 3] - 4096), &opts);
        CHECK(task != NULL);
        CHECK_OK(llam_detach(task));
    }
    run_here();
    llam_runtime_shutdown();
}

static void overflow(void *arg) {
    (void)arg;
    touch(64U << 20);
}

/* abi.md 5.4: overflow hits the guard: a diagnostic on standard error, and a failing end. */
TEST(an_overflow_ends_the_process_with_a_diagnostic) {
    int pipe_ends[2];
    CHECK_OK(pipe(pipe_ends));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK(dup2(pipe_ends[1], 2) == 2);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        run_task(overflow, NULL);
        _exit(0);
    }
    close(pipe_ends[1]);
    char text[4096];
    size_t length = 0;
    ssize_t got;
    while ((got = read(pipe_ends[0], text, sizeof text)) > 0) length += (size_t)got;
    CHECK(length > 0);
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

/* ---- errno and floating point ---- */

static void keep_errno(void *arg) {
    int mine = (int)(uintptr_t)arg;
    CHECK_EQ(check_errno_get(), 0);
    check_errno_set(mine);
    for (int i = 0; i < 50; i++) {
        llam_yield();
        CHECK_EQ(check_errno_get(), mine);
        CHECK_OK(llam_sleep_ns(i % 5 == 0 ? 100000 : 0));
        CHECK_EQ(check_errno_get(), mine);
        llam_task_safepoint();
        CHECK_EQ(check_errno_get(), mine);
    }
}

/* Appendix A: "errno values of two tasks that set, yield and sleep do not mix; a new task sees 0." */
TEST(errno_belongs_to_the_task) {
    init_default(0);
    errno = 77;
    for (int i = 1; i <= 40; i++) CHECK_OK(llam_detach(spawn_ok(keep_errno, (void *)(uintptr_t)i)));
    run_here();
    llam_runtime_shutdown();
}

#define KEEPS_ERRNO(call)                                                                        \
    do {                                                                                         \
        errno_marked();                                                                          \
        CHECK_OK(call);                                                                          \
        CHECK_ERRNO_KEPT();                                                                      \
    } while (0)

static void pass_one(void *arg) {
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    CHECK_OK(llam_channel_send(arg, arg));
}

static void calls_that_keep_errno(void *arg) {
    (void)arg;
    llam_mutex_t *mutex = llam_mutex_create();
    llam_cond_t *cond = llam_cond_create();
    llam_channel_t *channel = llam_channel_create(1);
    llam_cancel_token_t *token = token_new();
    llam_timer_t *timer;
    llam_runtime_stats_t stats;
    void *value;
    uint64_t ticks;
    CHECK_OK(llam_timer_create(CHECK_MS, &timer));
    KEEPS_ERRNO((llam_yield(), llam_task_safepoint(), 0));
    KEEPS_ERRNO(llam_sleep_ns(CHECK_MS));
    KEEPS_ERRNO(llam_sleep_ns(0));
    KEEPS_ERRNO(llam_sleep_until(after_ms(1)));
    KEEPS_ERRNO(llam_join(spawn_ok(do_nothing, NULL)));
    KEEPS_ERRNO(llam_join_until(spawn_ok(do_nothing, NULL), UINT64_MAX));
    KEEPS_ERRNO(llam_detach(spawn_ok(do_nothing, NULL)));
    KEEPS_ERRNO(llam_mutex_lock(mutex));
    KEEPS_ERRNO(llam_cond_signal(cond));
    KEEPS_ERRNO(llam_mutex_unlock(mutex));
    llam_task_t *sender = spawn_ok(pass_one, channel);
    KEEPS_ERRNO(llam_channel_recv_result(channel, &value));
    KEEPS_ERRNO(llam_join(sender));
    KEEPS_ERRNO(llam_timer_wait(timer, &ticks));
    KEEPS_ERRNO(llam_timer_reset(timer, 0, 1000));
    KEEPS_ERRNO(llam_timer_cancel(timer));
    KEEPS_ERRNO(llam_cancel_token_is_cancelled(token));
    KEEPS_ERRNO(llam_cancel_token_cancel(token));
    KEEPS_ERRNO(llam_runtime_collect_stats_ex(&stats, sizeof stats));
    KEEPS_ERRNO(llam_timer_destroy(timer));
    KEEPS_ERRNO(llam_cancel_token_destroy(token));
    KEEPS_ERRNO(llam_channel_destroy(channel));
    KEEPS_ERRNO(llam_cond_destroy(cond));
    KEEPS_ERRNO(llam_mutex_destroy(mutex));
}

/* R8: what succeeds leaves errno as it was, parked or not. */
TEST(successful_calls_keep_errno) { run_task(calls_that_keep_errno, NULL); }

/* R8 on a host thread, and for spawns, joins after the run, and shutdown. */
TEST(successful_calls_of_host_threads_keep_errno) {
    init_default(0);
    errno_marked();
    llam_task_t *task = spawn_ok(do_nothing, NULL);
    CHECK_ERRNO_KEPT();
    llam_yield();
    llam_task_safepoint();
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    CHECK_ERRNO_KEPT();
    run_here();
    KEEPS_ERRNO(llam_join(task));
    errno_marked();
    llam_runtime_shutdown();
    CHECK_ERRNO_KEPT();
}

/* The rounding mode, 0 to 3, as the processor's control words hold it. */
#if defined(__x86_64__)
static void set_rounding(unsigned mode) {
    unsigned sse;
    unsigned short x87;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(sse), "=m"(x87));
    sse = (sse & ~0x6000U) | mode << 13;
    x87 = (unsigned short)((x87 & ~0x0C00U) | mode << 10);
    __asm__ volatile("ldmxcsr %0\n\tfldcw %1" : : "m"(sse), "m"(x87));
}
static int rounding_is(unsigned mode) {
    unsigned sse;
    unsigned short x87;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(sse), "=m"(x87));
    return (sse >> 13 & 3) == mode && (x87 >> 10 & 3) == mode;
}
#elif defined(__aarch64__)
static void set_rounding(unsigned mode) {
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    control = (control & ~(UINT64_C(3) << 22)) | (uint64_t)mode << 22;
    __asm__ volatile("msr fpcr, %0" : : "r"(control));
}
static int rounding_is(unsigned mode) {
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    return (control >> 22 & 3) == mode;
}
#else
#error "the rounding mode of this processor is not known here"
#endif

static void rounds_its_way(void *arg) {
    unsigned mode = (unsigned)(uintptr_t)arg % 4;
    set_rounding(mode);
    for (int i = 0; i < 30; i++) {
        if (i % 3 == 0) llam_yield();
        if (i % 10 == 1) CHECK_OK(llam_sleep_ns(200000));
        CHECK(rounding_is(mode));
    }
}

/* abi.md 5.5: floating-point control state is kept over parks and does not mix. */
TEST(the_rounding_mode_belongs_to_the_task) {
    init_default(0);
    for (uintptr_t i = 0; i < 12; i++)
        CHECK_OK(llam_detach(spawn_ok(rounds_its_way, (void *)i)));
    run_here();
    llam_runtime_shutdown();
}

static void change_and_end(void *arg) {
    set_rounding(1);
    count_one(arg);
}

static void keep_over_an_end(void *arg) {
    set_rounding(0);
    while (atomic_load((counter *)arg) == 0) llam_yield();
    CHECK(rounding_is(0));
}

/* abi.md 5.5: kept over a park during which another task changes its own and ends. */
TEST(an_ended_task_leaves_its_rounding_mode_to_nobody) {
    counter ended = 0;
    init_default(1);
    CHECK_OK(llam_detach(spawn_ok(keep_over_an_end, &ended)));
    CHECK_OK(llam_detach(spawn_ok(change_and_end, &ended)));
    run_here();
    llam_runtime_shutdown();
}

static volatile double seed_value = 1.5;

static void keeps_registers(void *arg) {
    double own = (double)(uintptr_t)arg;
    double a = own + seed_value, b = a * 2, c = b + 3, d = c * 5;
    double e = d - 7, f = e * 11, g = f + 13, h = g * 17;
    uint64_t p = (uint64_t)own, q = p * 3, r = q + 5, s = r * 7, t = s ^ 11, u = t * 13;
    for (int i = 0; i < 20; i++) {
        llam_yield();
        CHECK(a == own + seed_value && b == a * 2 && c == b + 3 && d == c * 5);
        CHECK(e == d - 7 && f == e * 11 && g == f + 13 && h == g * 17);
        CHECK(q == p * 3 && r == q + 5 && s == r * 7 && t == (s ^ 11) && u == t * 13);
    }
}

/* Appendix A: "Callee-saved vector registers (AArch64 d8-d15) survive a yield": eight doubles and
 * six integers live over each yield, which the compiler keeps there. */
TEST(callee_saved_registers_survive_a_yield) {
    init_default(1);
    for (uintptr_t i = 1; i <= 8; i++)
        CHECK_OK(llam_detach(spawn_ok(keeps_registers, (void *)i)));
    run_here();
    llam_runtime_shutdown();
}

/* ---- Yielding ---- */

/* abi.md 4.3: on a host thread a yield and a safepoint return, in every state of the runtime. */
TEST(a_host_thread_may_yield) {
    errno_marked();
    llam_yield();
    llam_task_safepoint();
    CHECK_ERRNO_KEPT();
    init_default(0);
    errno_marked();
    llam_yield();
    llam_task_safepoint();
    CHECK_ERRNO_KEPT();
    llam_runtime_shutdown();
}

struct taking_turns {
    counter turn;
};

static void even_turns(void *arg) {
    struct taking_turns *turns = arg;
    for (int i = 0; i < 100; i += 2) {
        while (atomic_load(&turns->turn) != i) llam_yield();
        atomic_store(&turns->turn, i + 1);
    }
}

static void odd_turns(void *arg) {
    struct taking_turns *turns = arg;
    for (int i = 1; i < 100; i += 2) {
        while (atomic_load(&turns->turn) != i) llam_yield();
        atomic_store(&turns->turn, i + 1);
    }
}

/* abi.md 4.3: a yield gives other runnable tasks a chance, also in a cancelled task. */
TEST(a_yield_lets_others_run) {
    struct taking_turns turns = {0};
    init_default(1);
    llam_cancel_token_t *token = token_new();
    CHECK_OK(llam_cancel_token_cancel(token));
    llam_task_t *even = spawn_with_token(even_turns, &turns, token);
    CHECK_OK(llam_detach(spawn_ok(odd_turns, &turns)));
    run_here();
    CHECK_EQ(atomic_load(&turns.turn), 100);
    CHECK_OK(llam_join(even));
    CHECK_OK(llam_cancel_token_destroy(token));
    llam_runtime_shutdown();
}

MAIN
