/* Cancellation tokens: life, references, owners, and the races of cancel with destroy, with what a
 * task waits for, and with itself. The table of waits is in waits.c, blocking calls in blocking.c.
 * Covers abi.md 4.9, 5.3, R2, R4, R6 for tokens.
 */
#include "scheduling.h"

/* ---- Handles ---- */

static void check_no_token(llam_cancel_token_t *token) {
    CHECK_FAILS(llam_cancel_token_cancel(token), EINVAL);
    CHECK_FAILS(llam_cancel_token_is_cancelled(token), EINVAL);
    CHECK_FAILS(llam_cancel_token_destroy(token), EINVAL);
}

static void check_no_tokens(void *arg) {
    llam_channel_t *channel = llam_channel_create(1);
    check_no_token(NULL);
    check_no_token(arg);
    check_no_token((llam_cancel_token_t *)channel);
    check_no_token((llam_cancel_token_t *)(uintptr_t)5);
    CHECK_OK(llam_channel_destroy(channel));
}

/* R1: dead tokens are EINVAL in every state, after many new ones too. */
TEST(a_dead_token_is_invalid) {
    llam_cancel_token_t *dead = token_new(), *later[64];
    CHECK_OK(llam_cancel_token_destroy(dead));
    for (int i = 0; i < 64; i++) {
        later[i] = token_new();
        CHECK(later[i] != dead);
    }
    check_no_tokens(dead);
    run_task(check_no_tokens, dead);
    check_no_tokens(dead);
    for (int i = 0; i < 64; i++) CHECK_OK(llam_cancel_token_destroy(later[i]));
}

/* R4: a host thread makes, cancels, asks and destroys tokens while nothing is live.
 * Appendix A: "Cancelling twice gives 0 twice." */
TEST(a_token_needs_no_runtime) {
    for (int life = 0; life < 2; life++) {
        llam_cancel_token_t *token = token_new();
        errno_marked();
        CHECK_EQ(llam_cancel_token_is_cancelled(token), 0);
        CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_EQ(llam_cancel_token_is_cancelled(token), 1);
        CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_EQ(llam_cancel_token_is_cancelled(token), 1);
        if (life == 0) {
            init_default(0);
            llam_runtime_shutdown();
            CHECK_EQ(llam_cancel_token_is_cancelled(token), 1);
            errno_marked();
        }
        CHECK_OK(llam_cancel_token_destroy(token));
        CHECK_ERRNO_KEPT();
    }
}

static void use_a_foreign_token(void *arg) {
    CHECK_FAILS(llam_cancel_token_is_cancelled(arg), EXDEV);
    CHECK_FAILS(llam_cancel_token_cancel(arg), EXDEV);
    CHECK_FAILS(llam_cancel_token_destroy(arg), EXDEV);
}

static void make_a_token(void *arg) { *(llam_cancel_token_t **)arg = token_new(); }

/* R2, R4: EXDEV from tasks of another runtime, without effect; a host thread may use the token while
 * its runtime lives, and only destroy it afterwards. */
TEST(a_token_belongs_to_its_runtime) {
    init_default(0);
    llam_runtime_t *other = runtime_new(0);
    llam_cancel_token_t *own = token_new(), *foreign = NULL, *unused = NULL;
    run_on(other, make_a_token, &foreign);
    run_on(other, make_a_token, &unused);
    run_on(other, use_a_foreign_token, own);
    CHECK_OK(llam_detach(spawn_ok(use_a_foreign_token, foreign)));
    run_here();
    CHECK_EQ(llam_cancel_token_is_cancelled(own), 0);
    CHECK_EQ(llam_cancel_token_is_cancelled(foreign), 0);
    CHECK_OK(llam_cancel_token_cancel(foreign));
    CHECK_EQ(llam_cancel_token_is_cancelled(foreign), 1);
    llam_runtime_destroy(other);
    CHECK_FAILS(llam_cancel_token_is_cancelled(unused), EXDEV);
    CHECK_FAILS(llam_cancel_token_cancel(unused), EXDEV);
    CHECK_FAILS(llam_cancel_token_cancel(foreign), EXDEV);
    CHECK_OK(llam_cancel_token_destroy(foreign));
    CHECK_OK(llam_cancel_token_destroy(unused));
    CHECK_OK(llam_cancel_token_destroy(own));
    llam_runtime_shutdown();
}

/* ---- References ---- */

static void hold_token_references(void *arg) {
    counter *gate = arg;
    llam_cancel_token_t *token = token_new();
    llam_task_t *joined = spawn_with_token(do_nothing, NULL, token);
    llam_task_t *detached = spawn_with_token(until_set, gate, token);
    CHECK_FAILS(llam_cancel_token_destroy(token), EBUSY);
    AWAIT(in_state(joined, "DEAD"));
    CHECK_OK(llam_detach(detached));
    CHECK_FAILS(llam_cancel_token_destroy(token), EBUSY);
    CHECK_EQ(llam_cancel_token_is_cancelled(token), 0);
    CHECK_OK(llam_join(joined));
    CHECK_FAILS(llam_cancel_token_destroy(token), EBUSY);
    atomic_store(gate, 1);
    /* Detached: reclaimed as soon as it has ended. */
    AWAIT(llam_cancel_token_destroy(token) == 0);
    check_no_token(token);
}

/* Appendix A: "llam_cancel_token_destroy is EBUSY until the last task with it is joined (or detached
 * and ended); ended alone is not enough." */
TEST(a_token_is_busy_until_its_tasks_are_reclaimed) {
    counter gate = 0;
    run_task(hold_token_references, &gate);
}

static void hold_own_token(void *arg) {
    llam_cancel_token_t *token = *(llam_cancel_token_t **)arg;
    CHECK_FAILS(llam_cancel_token_destroy(token), EBUSY);
}

/* abi.md 4.3: referenced from the spawn on, before the task runs; a task that was joined by the host,
 * detached after its end, or dropped at shutdown refers to it no more. */
TEST(every_way_to_reclaim_a_task_frees_its_token) {
    llam_cancel_token_t *token = token_new();
    for (int way = 0; way < 4; way++) {
        init_default(0);
        llam_task_t *task = spawn_with_token(hold_own_token, &token, token);
        CHECK_FAILS(llam_cancel_token_destroy(token), EBUSY);
        if (way != 3) run_here();
        CHECK_FAILS(llam_cancel_token_destroy(token), EBUSY);
        if (way == 0) CHECK_OK(llam_join(task));
        if (way == 1) CHECK_OK(llam_detach(task));
        if (way >= 2) llam_runtime_shutdown();
        CHECK_OK(llam_cancel_token_destroy(token));
        token = token_new();
        llam_runtime_shutdown();
    }
    CHECK_OK(llam_cancel_token_destroy(token));
}

/* ---- Who cancels ---- */

static void cancel_myself(void *arg) {
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    CHECK_EQ(llam_cancel_token_is_cancelled(arg), 0);
    CHECK_OK(llam_cancel_token_cancel(arg));
    CHECK_EQ(llam_cancel_token_is_cancelled(arg), 1);
    CHECK_FAILS(llam_sleep_ns(CHECK_MS), ECANCELED);
    CHECK_FAILS(llam_sleep_ns(CHECK_MS), ECANCELED);
}

/* abi.md 4.9, 5.3: a task may cancel itself; a token never becomes uncancelled. */
TEST(a_task_cancels_itself) {
    init_default(0);
    llam_cancel_token_t *token = token_new();
    llam_task_t *task = spawn_with_token(cancel_myself, token, token);
    run_here();
    CHECK_OK(llam_join(task));
    CHECK_EQ(llam_cancel_token_is_cancelled(token), 1);
    CHECK_OK(llam_cancel_token_destroy(token));
    llam_runtime_shutdown();
}

/* abi.md 4.9: any thread cancels; one token wakes all of its tasks, and no others. */
TEST(a_host_thread_cancels_many_tasks) {
    init_default(0);
    enum { MANY = 500 };
    static llam_task_t *tasks[MANY];
    counter gate = 0;
    llam_cancel_token_t *token = token_new();
    llam_task_t *other = spawn_ok(until_set, &gate);
    for (int i = 0; i < MANY; i++) tasks[i] = spawn_with_token(until_cancelled, NULL, token);
    struct run run;
    run_start(&run, NULL);
    for (int i = 0; i < MANY; i++) AWAIT(in_state(tasks[i], "PARKED"));
    CHECK_OK(llam_cancel_token_cancel(token));
    for (int i = 0; i < MANY; i++) CHECK_OK(llam_join(tasks[i]));
    CHECK_FAILS(llam_join_until(other, 0), ETIMEDOUT);
    atomic_store(&gate, 1);
    CHECK_OK(llam_join(other));
    run_finish(&run);
    CHECK_OK(llam_cancel_token_destroy(token));
    llam_runtime_shutdown();
}

static void *cancel_from_a_callback(void *arg) {
    CHECK_OK(llam_cancel_token_cancel(arg));
    return arg;
}

static void call_to_cancel(void *arg) {
    (void)arg;
    llam_cancel_token_t *token = token_new();
    llam_task_t *task = spawn_with_token(until_cancelled, NULL, token);
    void *out;
    CHECK_OK(llam_call_blocking_result(cancel_from_a_callback, token, &out));
    CHECK_OK(llam_join(task));
    CHECK_OK(llam_cancel_token_destroy(token));
}

/* abi.md 4.7: a blocking callback is a host thread, and may cancel. */
TEST(a_blocking_callback_cancels) { run_task(call_to_cancel, NULL); }

static void *cancel_on_a_thread(void *arg) {
    CHECK_OK(llam_cancel_token_cancel(arg));
    return NULL;
}

/* R6: the waits of host threads cannot be cancelled: neither by a token nor by a stop. */
TEST(a_host_thread_cannot_be_cancelled) {
    init_default(0);
    llam_cancel_token_t *token = token_new();
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, cancel_on_a_thread, token));
    CHECK_OK(llam_runtime_request_stop());
    uint64_t deadline = after_ms(20);
    CHECK_OK(llam_sleep_until(deadline));
    CHECK(llam_now_ns() >= deadline);
    CHECK_OK(pthread_join(thread, NULL));
    CHECK_OK(llam_cancel_token_destroy(token));
    llam_runtime_shutdown();
}

/* ---- Places in line ---- */

struct line {
    llam_mutex_t *mutex;
    counter order[3], next;
};

static void stand_in_line(void *arg) {
    struct line *line = arg;
    CHECK_OK(llam_mutex_lock(line->mutex));
    int place = atomic_fetch_add(&line->next, 1);
    atomic_store(&line->order[place], 1);
    CHECK_OK(llam_mutex_unlock(line->mutex));
}

static void leave_the_line(void *arg) {
    struct line *line = arg;
    CHECK_FAILS(llam_mutex_lock(line->mutex), ECANCELED);
}

static void hold_a_line(void *arg) {
    struct line *line = arg;
    line->mutex = llam_mutex_create();
    CHECK_OK(llam_mutex_lock(line->mutex));
    llam_cancel_token_t *token = token_new();
    llam_task_t *leaver = spawn_with_token(leave_the_line, line, token);
    AWAIT(in_state(leaver, "PARKED"));
    llam_task_t *first = spawn_ok(stand_in_line, line), *second = spawn_ok(stand_in_line, line);
    AWAIT(in_state(first, "PARKED") && in_state(second, "PARKED"));
    CHECK_OK(llam_cancel_token_cancel(token));
    CHECK_OK(llam_join(leaver));
    CHECK_OK(llam_cancel_token_destroy(token));
    CHECK_EQ(atomic_load(&line->next), 0);
    CHECK_OK(llam_mutex_unlock(line->mutex));
    CHECK_OK(llam_join(first));
    CHECK_OK(llam_join(second));
    CHECK_EQ(atomic_load(&line->next), 2);
    CHECK_OK(llam_mutex_lock(line->mutex));
    CHECK_OK(llam_mutex_unlock(line->mutex));
    CHECK_OK(llam_mutex_destroy(line->mutex));
}

/* abi.md 5.3: a cancelled lock gives its place in line up; the others get the mutex. */
TEST(a_cancelled_waiter_gives_its_place_up) {
    static struct line line;
    run_task(hold_a_line, &line);
}

/* ---- Races ---- */

struct delivery {
    llam_channel_t *channel;
    counter received, cancelled;
    llam_cancel_token_t *token;
};

static void receive_one(void *arg) {
    struct delivery *delivery = arg;
    void *value = delivery;
    check_errno_set(0);
    if (llam_channel_recv_result(delivery->channel, &value) == 0) {
        CHECK_PTR(value, &delivery->channel);
        atomic_fetch_add(&delivery->received, 1);
    } else {
        CHECK_EQ(check_errno_get(), ECANCELED);
        CHECK_PTR(value, NULL);
        atomic_fetch_add(&delivery->cancelled, 1);
    }
}

static void *send_one(void *arg) {
    struct delivery *delivery = arg;
    CHECK_OK(llam_channel_try_send(delivery->channel, &delivery->channel));
    return NULL;
}

/* abi.md 5.3: a cancel that races with completion never loses a value. */
TEST(a_cancel_that_races_with_a_value_loses_nothing) {
    static struct delivery delivery;
    init_default(0);
    delivery.channel = llam_channel_create(1);
    counter gate = 0;
    llam_task_t *keeper = spawn_ok(until_set, &gate);
    struct run run;
    run_start(&run, NULL);
    for (int round = 0; round < 300; round++) {
        delivery.token = token_new();
        llam_task_t *receiver = spawn_with_token(receive_one, &delivery, delivery.token);
        pthread_t sender;
        if (round % 2) AWAIT(in_state(receiver, "PARKED"));
        CHECK_OK(pthread_create(&sender, NULL, send_one, &delivery));
        CHECK_OK(llam_cancel_token_cancel(delivery.token));
        CHECK_OK(llam_join(receiver));
        CHECK_OK(pthread_join(sender, NULL));
        CHECK_OK(llam_cancel_token_destroy(delivery.token));
        void *value = NULL;
        int left = llam_channel_try_recv_result(delivery.channel, &value) == 0;
        int received = atomic_exchange(&delivery.received, 0);
        CHECK_EQ(received + left, 1);
        CHECK_EQ(received + atomic_exchange(&delivery.cancelled, 0), 1);
    }
    atomic_store(&gate, 1);
    CHECK_OK(llam_join(keeper));
    run_finish(&run);
    CHECK_OK(llam_channel_destroy(delivery.channel));
    llam_runtime_shutdown();
}

struct token_race {
    llam_cancel_token_t *token;
    pthread_barrier_t start;
    int cancel_result, cancel_error;
};

static void *cancel_in_a_race(void *arg) {
    struct token_race *race = arg;
    for (int i = 0; i < 1000; i++) {
        pthread_barrier_wait(&race->start);
        race->cancel_result = llam_cancel_token_cancel(race->token);
        race->cancel_error = errno;
        pthread_barrier_wait(&race->start);
    }
    return NULL;
}

/* abi.md 4.9: a race of cancel and destroy: 0 or EINVAL, and 0 or EBUSY. */
TEST(cancel_may_race_with_destroy) {
    static struct token_race race;
    CHECK_OK(pthread_barrier_init(&race.start, NULL, 2));
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, cancel_in_a_race, &race));
    for (int i = 0; i < 1000; i++) {
        race.token = token_new();
        pthread_barrier_wait(&race.start);
        int result = llam_cancel_token_destroy(race.token), error = errno;
        pthread_barrier_wait(&race.start);
        if (result != 0) {
            CHECK_EQ(error, EBUSY);
            CHECK_EQ(race.cancel_result, 0);
            CHECK_OK(llam_cancel_token_destroy(race.token));
        } else if (race.cancel_result != 0) {
            CHECK_EQ(race.cancel_error, EINVAL);
        }
        check_no_token(race.token);
    }
    CHECK_OK(pthread_join(thread, NULL));
}

static void sleep_or_be_cancelled(void *arg) {
    (void)arg;
    uint64_t deadline = llam_now_ns() + 50000;
    check_errno_set(0);
    if (llam_sleep_until(deadline) == 0) {
        CHECK(llam_now_ns() >= deadline);
    } else {
        CHECK_EQ(check_errno_get(), ECANCELED);
        CHECK_FAILS(llam_sleep_ns(CHECK_MS), ECANCELED);
    }
}

static void race_with_sleepers(void *arg) {
    for (int i = 0; i < 500; i++) {
        llam_cancel_token_t *token = token_new();
        llam_task_t *sleeper = spawn_with_token(sleep_or_be_cancelled, arg, token);
        for (int k = 0; k < i % 10; k++) llam_yield();
        if (i % 3 == 0) CHECK_OK(llam_sleep_ns(50000));
        CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_OK(llam_join(sleeper));
        CHECK_OK(llam_cancel_token_destroy(token));
    }
}

/* abi.md 5.3: a cancel that races with a deadline yields one of the two results. */
TEST(a_cancel_may_race_with_a_deadline) { run_task(race_with_sleepers, NULL); }

MAIN
