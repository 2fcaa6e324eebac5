/* Joining and detaching tasks: the order of errors, deadlines, cancellation, races of joiners and
 * of join with detach, host threads. Covers abi.md 4.3 (join, detach), 5.1.1, R5, R6.
 */
#include "scheduling.h"

/* ---- Dead handles ---- */

static void join_and_detach_some(void *arg) {
    llam_task_t **dead = arg;
    dead[0] = spawn_ok(do_nothing, NULL);
    CHECK_OK(llam_join(dead[0]));
    check_dead(dead[0]);
    dead[1] = spawn_ok(do_nothing, NULL);
    CHECK_OK(llam_detach(dead[1]));
    check_dead(dead[1]);
    dead[2] = spawn_ok(do_nothing, NULL);
    AWAIT(in_state(dead[2], "DEAD"));
    CHECK_OK(llam_join_until(dead[2], 0));
    check_dead(dead[2]);
    for (int i = 0; i < 128; i++) {
        llam_task_t *task = spawn_ok(do_nothing, NULL);
        for (int k = 0; k < 3; k++) {
            CHECK(task != dead[k]);
            check_dead(dead[k]);
        }
        CHECK_OK(i % 2 ? llam_join(task) : llam_detach(task));
    }
}

/* Appendix A: "Joined or detached handle: id 0, UNKNOWN, class 1, flags 0, join and detach EINVAL -
 * also after new tasks were spawned, after shutdown and after re-init." */
TEST(a_joined_or_detached_handle_is_dead_for_ever) {
    llam_task_t *dead[4];
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(join_and_detach_some, dead)));
    dead[3] = spawn_ok(do_nothing, NULL);
    run_here();
    CHECK_STR(llam_task_state_name(dead[3]), "DEAD");
    for (int i = 0; i < 3; i++) check_dead(dead[i]);
    llam_runtime_shutdown();
    for (int i = 0; i < 4; i++) check_dead(dead[i]);
    init_default(0);
    for (int i = 0; i < 100; i++) CHECK_OK(llam_detach(spawn_ok(do_nothing, NULL)));
    for (int i = 0; i < 4; i++) check_dead(dead[i]);
    run_here();
    llam_runtime_shutdown();
}

/* R1: what is no task, or another kind of object, is EINVAL. */
TEST(only_tasks_can_be_joined) {
    for (int live = 0; live < 2; live++) {
        if (live) init_default(0);
        llam_task_group_t *group = llam_task_group_create();
        llam_cancel_token_t *token = token_new();
        check_dead(NULL);
        check_dead((llam_task_t *)group);
        check_dead((llam_task_t *)token);
        check_dead((llam_task_t *)(uintptr_t)7);
        CHECK_OK(llam_task_group_destroy(group));
        CHECK_OK(llam_cancel_token_destroy(token));
    }
    llam_runtime_shutdown();
}

/* ---- The order of errors ---- */

static void join_self(void *arg) {
    (void)arg;
    llam_task_t *self = llam_current_task();
    CHECK_FAILS(llam_join(self), EDEADLK);
    CHECK_FAILS(llam_join_until(self, 0), EDEADLK);
    CHECK_FAILS(llam_join_until(self, after_ms(10000)), EDEADLK);
}

static void join_self_cancelled(void *arg) {
    join_self(arg);
    run_cancelled(join_self, NULL);
}

/* abi.md 4.3: EDEADLK for the caller itself, before deadline and cancellation are looked at. */
TEST(a_task_cannot_join_itself) {
    init_default(0);
    llam_task_t *task = spawn_ok(join_self_cancelled, NULL);
    run_here();
    CHECK_OK(llam_join(task));
    llam_runtime_shutdown();
}

struct pair {
    llam_task_t *target;
    counter gate, joined, entered;
};

static void expired_and_cancelled_joins(void *arg) {
    struct pair *pair = arg;
    CHECK_FAILS(llam_join_until(pair->target, 0), ETIMEDOUT);
    CHECK_FAILS(llam_join_until(pair->target, llam_now_ns() - 1), ETIMEDOUT);
    CHECK_FAILS(llam_join(pair->target), ECANCELED);
    CHECK_FAILS(llam_join_until(pair->target, after_ms(60000)), ECANCELED);
    CHECK(llam_task_id(pair->target) != 0);
}

static void join_ended(void *arg) {
    struct pair *pair = arg;
    CHECK_OK(llam_join(pair->target));
    check_dead(pair->target);
}

static void joins_by_the_rules(void *arg) {
    struct pair *pair = arg;
    pair->target = spawn_ok(until_set, &pair->gate);
    uint64_t deadline = after_ms(5);
    CHECK_FAILS(llam_join_until(pair->target, deadline), ETIMEDOUT);
    CHECK(llam_now_ns() >= deadline);
    CHECK_FAILS(llam_join_until(pair->target, 1), ETIMEDOUT);
    run_cancelled(expired_and_cancelled_joins, pair);
    CHECK(llam_task_id(pair->target) != 0);
    atomic_store(&pair->gate, 1);
    AWAIT(in_state(pair->target, "DEAD"));
    run_cancelled(join_ended, pair);
    check_dead(pair->target);
    pair->target = spawn_ok(do_nothing, NULL);
    AWAIT(in_state(pair->target, "DEAD"));
    CHECK_OK(llam_join_until(pair->target, 0));
}

/* R5: ended gives 0 whatever deadline and token; then ETIMEDOUT, never early; then ECANCELED. */
TEST(joins_go_by_the_rule_of_deadlines) {
    static struct pair pair;
    run_task(joins_by_the_rules, &pair);
}

static void wait_to_join(void *arg) {
    struct pair *pair = arg;
    atomic_store(&pair->entered, 1);
    CHECK_OK(llam_join(pair->target));
    atomic_fetch_add(&pair->joined, 1);
}

static void second_joiner(void *arg) {
    struct pair *pair = arg;
    pair->target = spawn_ok(until_set, &pair->gate);
    llam_task_t *first = spawn_ok(wait_to_join, pair);
    AWAIT(atomic_load(&pair->entered) && in_state(first, "PARKED"));
    CHECK_FAILS(llam_join(pair->target), EBUSY);
    /* EBUSY comes before the deadline. */
    CHECK_FAILS(llam_join_until(pair->target, 0), EBUSY);
    CHECK_FAILS(llam_detach(pair->target), EBUSY);
    CHECK(llam_task_id(pair->target) != 0);
    atomic_store(&pair->gate, 1);
    CHECK_OK(llam_join(first));
    CHECK_EQ(atomic_load(&pair->joined), 1);
    check_dead(pair->target);
}

/* Appendix A: "Two concurrent joiners: one 0, the other EBUSY (or EINVAL if it came after)." */
TEST(a_second_join_is_busy_and_later_invalid) {
    static struct pair pair;
    run_task(second_joiner, &pair);
}

/* ---- Repeating a join that failed ---- */

static void time_out(void *arg) {
    CHECK_FAILS(llam_join_until(((struct pair *)arg)->target, after_ms(3)), ETIMEDOUT);
}

static void park_in_join_until_cancelled(void *arg) {
    CHECK_FAILS(llam_join(((struct pair *)arg)->target), ECANCELED);
}

static void fail_to_join(void *arg) {
    struct pair *pair = arg;
    pair->target = spawn_ok(until_set, &pair->gate);
    CHECK_OK(llam_join(spawn_ok(time_out, pair)));
    llam_cancel_token_t *token = token_new();
    llam_task_t *waiter = spawn_with_token(park_in_join_until_cancelled, pair, token);
    AWAIT(in_state(waiter, "PARKED"));
    CHECK_OK(llam_cancel_token_cancel(token));
    CHECK_OK(llam_join(waiter));
    CHECK_OK(llam_cancel_token_destroy(token));
    CHECK_STR(llam_task_state_name(pair->target), "PARKED");
    atomic_store(&pair->entered, 1);
}

/* Appendix A: "A timed-out or cancelled join can be repeated, by anyone": here by the host. */
TEST(a_failed_join_can_be_repeated_by_anyone) {
    static struct pair pair;
    struct run run;
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(fail_to_join, &pair)));
    run_start(&run, NULL);
    AWAIT(atomic_load(&pair.entered));
    CHECK_FAILS(llam_join_until(pair.target, after_ms(3)), ETIMEDOUT);
    atomic_store(&pair.gate, 1);
    CHECK_OK(llam_join(pair.target));
    run_finish(&run);
    llam_runtime_shutdown();
}

/* ---- Races ---- */

struct racer {
    llam_task_t *task;
    int detach;
    pthread_barrier_t *start;
    int result, error;
};

static void *race(void *arg) {
    struct racer *racer = arg;
    pthread_barrier_wait(racer->start);
    errno = 0;
    racer->result = racer->detach ? llam_detach(racer->task) : llam_join(racer->task);
    racer->error = errno;
    return NULL;
}

/* One of the two wins, the other gets EBUSY or EINVAL. */
static void race_round(int first_detaches, int second_detaches) {
    pthread_barrier_t start;
    CHECK_OK(pthread_barrier_init(&start, NULL, 2));
    counter gate = 0;
    llam_task_t *task = spawn_ok(until_set, &gate);
    struct racer racers[2] = {{task, first_detaches, &start, 0, 0},
                              {task, second_detaches, &start, 0, 0}};
    pthread_t other;
    CHECK_OK(pthread_create(&other, NULL, race, &racers[1]));
    pthread_t opener;
    CHECK_OK(pthread_create(&opener, NULL, race, &racers[0]));
    atomic_store(&gate, 1);
    CHECK_OK(pthread_join(other, NULL));
    CHECK_OK(pthread_join(opener, NULL));
    int winners = 0;
    for (int i = 0; i < 2; i++) {
        if (racers[i].result == 0) {
            winners++;
        } else {
            CHECK_EQ(racers[i].result, -1);
            CHECK(racers[i].error == EBUSY || racers[i].error == EINVAL);
        }
    }
    CHECK_EQ(winners, 1);
    check_dead(task);
    CHECK_OK(pthread_barrier_destroy(&start));
}

static void race_many(int first_detaches, int second_detaches) {
    struct run run;
    counter keep = 0;
    init_default(0);
    llam_task_t *keeper = spawn_ok(until_set, &keep);
    run_start(&run, NULL);
    for (int i = 0; i < 150; i++) race_round(first_detaches, second_detaches);
    atomic_store(&keep, 1);
    CHECK_OK(llam_join(keeper));
    run_finish(&run);
    llam_runtime_shutdown();
}

/* abi.md 4.3: of two joiners exactly one gets 0. */
TEST(of_two_racing_joiners_one_wins) { race_many(0, 0); }

/* Appendix A: "Join and detach at the same time: one wins, the other gets EBUSY or EINVAL." */
TEST(of_a_racing_join_and_detach_one_wins) { race_many(0, 1); }

/* abi.md 4.3: the second of two detaches is EINVAL. */
TEST(of_two_racing_detaches_one_wins) { race_many(1, 1); }

/* ---- Detaching ---- */

static void detach_self(void *arg) {
    CHECK_OK(llam_detach(llam_current_task()));
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    count_one(arg);
}

static void detach_in_every_state(void *arg) {
    counter *ran = arg, gate = 0;
    CHECK_OK(llam_detach(spawn_ok(count_one, ran)));
    spawn_ok(detach_self, ran);
    llam_task_t *parked = spawn_ok(until_set, &gate);
    AWAIT(in_state(parked, "PARKED"));
    CHECK_OK(llam_detach(parked));
    check_dead(parked);
    llam_task_t *ended = spawn_ok(count_one, ran);
    AWAIT(in_state(ended, "DEAD"));
    CHECK_OK(llam_detach(ended));
    check_dead(ended);
    atomic_store(&gate, 1);
    /* The gate lives on this stack: until the detached task has seen it, stay. */
    AWAIT(atomic_load(ran) == 4);
    CHECK_OK(llam_sleep_ns(20 * CHECK_MS));
}

/* Appendix A: "Detach works before the run, during it, by the task itself and after the end."
 * abi.md 5.1.2: the run waits for detached tasks. */
TEST(detach_works_in_every_state_of_the_task) {
    static counter ran;
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(count_one, &ran)));
    CHECK_OK(llam_detach(spawn_ok(detach_in_every_state, &ran)));
    llam_task_t *last = spawn_ok(do_nothing, NULL);
    run_here();
    CHECK_EQ(atomic_load(&ran), 4);
    CHECK_OK(llam_detach(last));
    check_dead(last);
    llam_runtime_shutdown();
}

static void slow_count(void *arg) {
    CHECK_OK(llam_sleep_ns(20 * CHECK_MS));
    count_one(arg);
}

/* abi.md 5.1.2: detached tasks keep the run going; ended unjoined tasks do not. */
TEST(a_run_waits_for_detached_tasks) {
    counter ran = 0;
    init_default(0);
    llam_task_t *unjoined = spawn_ok(count_one, &ran);
    for (int i = 0; i < 10; i++) CHECK_OK(llam_detach(spawn_ok(slow_count, &ran)));
    run_here();
    CHECK_EQ(atomic_load(&ran), 11);
    run_here();
    CHECK_STR(llam_task_state_name(unjoined), "DEAD");
    CHECK_OK(llam_join(unjoined));
    llam_runtime_shutdown();
}

/* ---- Host threads ---- */

/* Appendix A: "A host thread can join while another host thread runs; with nobody running,
 * llam_join_until times out." */
TEST(a_host_thread_joins) {
    init_default(0);
    counter ran = 0;
    llam_task_t *task = spawn_ok(slow_count, &ran);
    uint64_t deadline = after_ms(10);
    CHECK_FAILS(llam_join_until(task, deadline), ETIMEDOUT);
    CHECK(llam_now_ns() >= deadline);
    CHECK_FAILS(llam_join_until(task, 0), ETIMEDOUT);
    struct run run;
    run_start(&run, NULL);
    CHECK_OK(llam_join(task));
    CHECK_EQ(atomic_load(&ran), 1);
    run_finish(&run);
    check_dead(task);
    llam_runtime_shutdown();
}

struct host_join {
    llam_task_t *task;
    counter entered;
    int result, error;
};

static void *join_on_a_thread(void *arg) {
    struct host_join *join = arg;
    atomic_store(&join->entered, 1);
    join->result = llam_join(join->task);
    join->error = errno;
    return NULL;
}

/* abi.md 4.3, 5.1.1: an untimed join with nobody running waits for somebody to run it. */
TEST(a_join_waits_for_somebody_to_run) {
    init_default(0);
    counter ran = 0;
    struct host_join join = {.task = spawn_ok(count_one, &ran)};
    pthread_t joiner;
    CHECK_OK(pthread_create(&joiner, NULL, join_on_a_thread, &join));
    AWAIT(atomic_load(&join.entered));
    /* Busy once the joiner is inside: a deadline of 0 shows it without waiting. */
    for (int busy = 0; !busy;) {
        CHECK(llam_join_until(join.task, 0) == -1);
        busy = errno == EBUSY;
        CHECK(busy || errno == ETIMEDOUT);
    }
    CHECK_FAILS(llam_detach(join.task), EBUSY);
    CHECK_EQ(atomic_load(&ran), 0);
    run_here();
    CHECK_OK(pthread_join(joiner, NULL));
    CHECK_EQ(join.result, 0);
    llam_runtime_shutdown();
}

/* abi.md 4.3, 5.1.2: finished, unjoined tasks stay joinable after the run. */
TEST(a_task_is_joinable_after_the_run) {
    init_default(0);
    counter ran = 0;
    llam_task_t *tasks[50];
    for (int i = 0; i < 50; i++) tasks[i] = spawn_ok(count_one, &ran);
    run_here();
    CHECK_EQ(atomic_load(&ran), 50);
    for (int i = 0; i < 50; i++)
        CHECK_OK(i % 2 ? llam_join(tasks[i]) : llam_join_until(tasks[i], 0));
    llam_runtime_shutdown();
}

/* R2: host threads join tasks of explicit runtimes; the destroyed runtime's handles are EINVAL. */
TEST(a_host_thread_joins_tasks_of_explicit_runtimes) {
    llam_runtime_t *other = runtime_new(0);
    counter ran = 0;
    llam_task_t *first = spawn_on(other, count_one, &ran), *second = spawn_on(other, count_one, &ran);
    CHECK_FAILS(llam_join_until(first, 0), ETIMEDOUT);
    struct run run;
    run_start(&run, other);
    CHECK_OK(llam_join(first));
    run_finish(&run);
    CHECK_EQ(atomic_load(&ran), 2);
    llam_runtime_destroy(other);
    check_dead(first);
    check_dead(second);
}

/* ---- A run that fails ---- */

struct embrace {
    llam_task_t *_Atomic tasks[2];
    counter cancelled;
};

static void join_the_first(void *arg) {
    struct embrace *embrace = arg;
    AWAIT(atomic_load(&embrace->tasks[0]) != NULL);
    CHECK_FAILS(llam_join(atomic_load(&embrace->tasks[0])), ECANCELED);
    atomic_fetch_add(&embrace->cancelled, 1);
}

static void join_the_second(void *arg) {
    struct embrace *embrace = arg;
    AWAIT(atomic_load(&embrace->tasks[1]) != NULL);
    CHECK_FAILS(llam_join(atomic_load(&embrace->tasks[1])), ECANCELED);
    atomic_fetch_add(&embrace->cancelled, 1);
}

/* abi.md 4.3, 5.1.6: tasks that join each other end the run in EDEADLK; a run after it too. */
TEST(tasks_that_join_each_other_are_a_deadlock) {
    static struct embrace embrace;
    init_default(0);
    atomic_store(&embrace.tasks[0], spawn_ok(join_the_second, &embrace));
    atomic_store(&embrace.tasks[1], spawn_ok(join_the_first, &embrace));
    CHECK_FAILS(llam_run(), EDEADLK);
    CHECK_EQ(atomic_load(&embrace.cancelled), 2);
    counter ran = 0;
    CHECK_OK(llam_detach(spawn_ok(count_one, &ran)));
    CHECK_FAILS(llam_run(), EDEADLK);
    CHECK_EQ(atomic_load(&ran), 1);
    llam_runtime_shutdown();
    run_task(count_one, &ran);
    CHECK_EQ(atomic_load(&ran), 2);
}

static void lock_until_the_end(void *arg) { CHECK_FAILS(llam_mutex_lock(arg), ECANCELED); }

static void end_with_the_mutex(void *arg) { CHECK_OK(llam_mutex_lock(arg)); }

/* abi.md 4.3, 5.1.6: a host thread that joins when the run ends in a fatal error gets that error. */
TEST(a_host_thread_learns_of_a_deadlock) {
    init_default(0);
    llam_mutex_t *mutex = llam_mutex_create();
    llam_task_t *owner = spawn_ok(end_with_the_mutex, mutex);
    run_here();
    struct host_join join = {.task = spawn_ok(lock_until_the_end, mutex)};
    pthread_t joiner;
    CHECK_OK(pthread_create(&joiner, NULL, join_on_a_thread, &join));
    AWAIT(llam_join_until(join.task, 0) == -1 && errno == EBUSY);
    CHECK_FAILS(llam_run(), EDEADLK);
    CHECK_OK(pthread_join(joiner, NULL));
    CHECK_EQ(join.result, -1);
    CHECK_EQ(join.error, EDEADLK);
    CHECK_FAILS(llam_mutex_destroy(mutex), EBUSY);
    CHECK_OK(llam_detach(owner));
    llam_runtime_shutdown();
}

static void own_nothing(void *arg) {
    CHECK_FAILS(llam_mutex_unlock(arg), EPERM);
    CHECK_FAILS(llam_mutex_lock_until(arg, 0), ETIMEDOUT);
    CHECK_FAILS(llam_mutex_trylock(arg), EBUSY);
}

/* abi.md 5.8: ownership is by task: no later task inherits what a joined task held. */
TEST(a_joined_tasks_mutex_belongs_to_no_later_task) {
    init_default(1);
    llam_mutex_t *mutex = llam_mutex_create();
    llam_task_t *owner = spawn_ok(end_with_the_mutex, mutex);
    run_here();
    CHECK_OK(llam_join(owner));
    for (int i = 0; i < 100; i++) {
        llam_task_t *task = spawn_ok(own_nothing, mutex);
        run_here();
        CHECK_OK(llam_join(task));
    }
    llam_runtime_shutdown();
}

/* ---- Many ---- */

struct sum {
    int part[300];
};

static void fill_part(void *arg) {
    int *part = arg;
    llam_yield();
    *part += 1;
}

static void sum_up(void *arg) {
    struct sum *sum = arg;
    llam_task_t *tasks[300];
    for (int round = 1; round <= 5; round++) {
        for (int i = 0; i < 300; i++) tasks[i] = spawn_ok(fill_part, &sum->part[i]);
        for (int i = 299; i >= 0; i--) {
            CHECK_OK(llam_join(tasks[i]));
            CHECK_EQ(sum->part[i], round);
        }
    }
}

/* abi.md 4.3, 5.1.3: everything the task did happens before the join returns. */
TEST(what_a_task_did_is_seen_after_its_join) {
    static struct sum sum;
    run_task(sum_up, &sum);
}

MAIN
