/* Mutexes: abi.md 4.10, 5.8, the mutex rows of 5.2 and 5.3, rules R1 to R6 and R8 for them, and the
 * mutex lines of Appendix A "Synchronisation". */
#include "sync.h"

/* Every operation gives EINVAL for this value. */
static void all_are_einval(llam_mutex_t *mutex) {
    CHECK_FAILS(llam_mutex_lock(mutex), EINVAL);
    CHECK_FAILS(llam_mutex_lock_until(mutex, 0), EINVAL);
    CHECK_FAILS(llam_mutex_lock_until(mutex, UINT64_MAX), EINVAL);
    CHECK_FAILS(llam_mutex_trylock(mutex), EINVAL);
    CHECK_FAILS(llam_mutex_unlock(mutex), EINVAL);
    CHECK_FAILS(llam_mutex_destroy(mutex), EINVAL);
}

static void bad_handles(void *arg) {
    (void)arg;
    all_are_einval(NULL);
    for (size_t i = 0; i < FORGED_VALUES; i++) all_are_einval(forged(i));
    llam_cond_t *cond = llam_cond_create();
    llam_channel_t *channel = llam_channel_create(1);
    all_are_einval((llam_mutex_t *)cond);
    all_are_einval((llam_mutex_t *)channel);
    llam_mutex_t *dead = llam_mutex_create();
    CHECK_OK(llam_mutex_destroy(dead));
    all_are_einval(dead);
    for (int i = 0; i < 64; i++) {
        llam_mutex_t *other = llam_mutex_create();
        CHECK(other != NULL && other != dead);
        all_are_einval(dead);
        CHECK_OK(llam_mutex_destroy(other));
    }
    CHECK_OK(llam_cond_destroy(cond));
    CHECK_OK(llam_channel_destroy(channel));
}

/* R1, and R3: handles are checked before the context, so a host thread gets EINVAL too. */
TEST(bad_handles_are_einval_on_a_host_thread_in_every_state) {
    bad_handles(NULL);
    init_default(0);
    bad_handles(NULL);
    llam_runtime_shutdown();
    bad_handles(NULL);
}

TEST(bad_handles_are_einval_in_a_task) { run_task(bad_handles, NULL); }

static void bad_handles_when_cancelled(void *arg) {
    run_cancelled(bad_handles, arg);
}

/* R5 and R6: argument errors come before ECANCELED. */
TEST(bad_handles_are_einval_in_a_cancelled_task) { run_task(bad_handles_when_cancelled, NULL); }

static void host_operations_fail(llam_mutex_t *mutex) {
    CHECK_FAILS(llam_mutex_lock(mutex), ENOTSUP);
    CHECK_FAILS(llam_mutex_lock_until(mutex, 0), ENOTSUP);
    CHECK_FAILS(llam_mutex_lock_until(mutex, UINT64_MAX), ENOTSUP);
    CHECK_FAILS(llam_mutex_trylock(mutex), ENOTSUP);
    CHECK_FAILS(llam_mutex_unlock(mutex), ENOTSUP);
}

/* R3; create and destroy work in every state of the runtime (4.10, 5.8). */
TEST(a_host_thread_can_only_create_and_destroy) {
    llam_mutex_t *early = llam_mutex_create();
    CHECK(early != NULL);
    host_operations_fail(early);
    init_default(0);
    host_operations_fail(early);
    llam_mutex_t *second = llam_mutex_create();
    CHECK_OK(llam_mutex_destroy(second));
    llam_runtime_shutdown();
    host_operations_fail(early);
    CHECK_OK(llam_mutex_destroy(early));
    CHECK_FAILS(llam_mutex_destroy(early), EINVAL);
}

static void *try_from_blocking_callback(void *arg) {
    host_operations_fail(arg);
    return arg;
}

/* 4.7: inside a blocking callback the caller is a host thread, whoever owns the mutex. */
TASK_TEST(a_blocking_callback_is_a_host_thread) {
    (void)arg;
    if (threads_stand_still()) return;
    llam_mutex_t *mutex = llam_mutex_create();
    CHECK_OK(llam_mutex_lock(mutex));
    void *out = NULL;
    CHECK_OK(llam_call_blocking_result(try_from_blocking_callback, mutex, &out));
    CHECK_PTR(out, mutex);
    CHECK_OK(llam_mutex_unlock(mutex));
    CHECK_OK(llam_mutex_destroy(mutex));
}

static void lock_and_unlock(void *arg) {
    CHECK_OK(llam_mutex_lock(arg));
    CHECK_OK(llam_mutex_unlock(arg));
}

/* 5.8: may be created before the runtime is live and destroyed after it ended. */
TEST(a_mutex_outlives_the_lives_of_its_runtime) {
    llam_mutex_t *mutex = llam_mutex_create();
    for (int life = 0; life < 3; life++) run_task(lock_and_unlock, mutex);
    CHECK_OK(llam_mutex_destroy(mutex));
}

static void all_are_exdev(void *arg) {
    llam_mutex_t *mutex = arg;
    CHECK_FAILS(llam_mutex_lock(mutex), EXDEV);
    CHECK_FAILS(llam_mutex_lock_until(mutex, 0), EXDEV);
    CHECK_FAILS(llam_mutex_trylock(mutex), EXDEV);
    CHECK_FAILS(llam_mutex_unlock(mutex), EXDEV);
    CHECK_FAILS(llam_mutex_destroy(mutex), EXDEV);
}

static void exdev_when_cancelled(void *arg) { run_cancelled(all_are_exdev, arg); }

static void make_two(void *arg) {
    llam_mutex_t **made = arg;
    made[0] = llam_mutex_create();
    made[1] = llam_mutex_create();
    CHECK(made[0] != NULL && made[1] != NULL);
}

/* R2: every operation of a task on another runtime's mutex is EXDEV and has no effect. */
TEST(a_task_of_another_runtime_gets_exdev) {
    llam_mutex_t *made[2], *ours = llam_mutex_create();
    llam_runtime_t *runtime = create_runtime();
    run_on(runtime, make_two, made);
    run_task(all_are_exdev, made[0]);
    run_task(exdev_when_cancelled, made[0]);
    run_on(runtime, all_are_exdev, ours);
    host_operations_fail(made[0]);
    CHECK_OK(llam_mutex_destroy(made[0]));
    run_on(runtime, lock_and_unlock, made[1]);
    llam_runtime_destroy(runtime);
    run_task(all_are_exdev, made[1]);
    host_operations_fail(made[1]);
    CHECK_OK(llam_mutex_destroy(made[1]));
    CHECK_OK(llam_mutex_destroy(ours));
}

static void take_free_mutex(void *arg) {
    llam_mutex_t *mutex = arg;
    const uint64_t deadlines[] = {0, 1, llam_now_ns(), after_ms(60000), UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(deadlines); i++) {
        CHECK_OK(llam_mutex_lock_until(mutex, deadlines[i]));
        CHECK_FAILS(llam_mutex_trylock(mutex), EBUSY);
        CHECK_OK(llam_mutex_unlock(mutex));
    }
    CHECK_OK(llam_mutex_trylock(mutex));
    CHECK_OK(llam_mutex_unlock(mutex));
    CHECK_OK(llam_mutex_lock(mutex));
    CHECK_OK(llam_mutex_unlock(mutex));
}

/* 4.10: free -> 0, also when expired or cancelled. */
TASK_TEST(a_free_mutex_is_taken_expired_or_cancelled) {
    (void)arg;
    llam_mutex_t *mutex = llam_mutex_create();
    take_free_mutex(mutex);
    run_cancelled(take_free_mutex, mutex);
    CHECK_OK(llam_mutex_destroy(mutex));
}

static void lock_twice(void *arg) {
    llam_mutex_t *mutex = arg;
    CHECK_OK(llam_mutex_lock(mutex));
    CHECK_FAILS(llam_mutex_lock(mutex), EDEADLK);
    CHECK_FAILS(llam_mutex_lock_until(mutex, 0), EDEADLK);
    CHECK_FAILS(llam_mutex_lock_until(mutex, llam_now_ns()), EDEADLK);
    CHECK_FAILS(llam_mutex_lock_until(mutex, after_ms(60000)), EDEADLK);
    CHECK_FAILS(llam_mutex_lock_until(mutex, UINT64_MAX), EDEADLK);
    CHECK_FAILS(llam_mutex_trylock(mutex), EBUSY);
    CHECK_FAILS(llam_mutex_destroy(mutex), EBUSY);
    CHECK_OK(llam_mutex_unlock(mutex));
    CHECK_FAILS(llam_mutex_unlock(mutex), EPERM);
}

/* Appendix A: recursive lock EDEADLK, recursive timed lock EDEADLK, trylock of one's own EBUSY.
 * 4.10: EDEADLK comes before ETIMEDOUT and ECANCELED. */
TASK_TEST(a_recursive_lock_is_edeadlk) {
    (void)arg;
    llam_mutex_t *mutex = llam_mutex_create();
    lock_twice(mutex);
    run_cancelled(lock_twice, mutex);
    CHECK_OK(llam_mutex_destroy(mutex));
}

static void held_by_another(void *arg) {
    llam_mutex_t *mutex = arg;
    CHECK_FAILS(llam_mutex_trylock(mutex), EBUSY);
    CHECK_FAILS(llam_mutex_unlock(mutex), EPERM);
    CHECK_FAILS(llam_mutex_lock_until(mutex, 0), ETIMEDOUT);
    CHECK_FAILS(llam_mutex_lock_until(mutex, 1), ETIMEDOUT);
    CHECK_FAILS(llam_mutex_lock_until(mutex, llam_now_ns()), ETIMEDOUT);
    CHECK_FAILS(llam_mutex_destroy(mutex), EBUSY);
}

static void held_when_cancelled(void *arg) {
    held_by_another(arg);
    CHECK_FAILS(llam_mutex_lock_until(arg, after_ms(60000)), ECANCELED);
    CHECK_FAILS(llam_mutex_lock_until(arg, UINT64_MAX), ECANCELED);
    CHECK_FAILS(llam_mutex_lock(arg), ECANCELED);
}

/* 4.10 and 5.2: EBUSY, EPERM, ETIMEDOUT; 5.3: cancelled and expired is ETIMEDOUT. */
TASK_TEST(a_mutex_of_another_task_is_busy_and_not_ours) {
    (void)arg;
    llam_mutex_t *mutex = llam_mutex_create();
    CHECK_FAILS(llam_mutex_unlock(mutex), EPERM);
    CHECK_OK(llam_mutex_lock(mutex));
    join_ok(spawn_ok(held_by_another, mutex));
    run_cancelled(held_when_cancelled, mutex);
    CHECK_OK(llam_mutex_unlock(mutex));
    take_free_mutex(mutex);
    CHECK_OK(llam_mutex_destroy(mutex));
}

static void lock_for_20_ms(void *arg) {
    uint64_t deadline = after_ms(20);
    CHECK_FAILS(llam_mutex_lock_until(arg, deadline), ETIMEDOUT);
    CHECK(llam_now_ns() >= deadline);
    CHECK_FAILS(llam_mutex_unlock(arg), EPERM);
}

/* R5: a wait never ends with ETIMEDOUT before its deadline. */
TASK_TEST(a_timed_lock_does_not_end_early) {
    (void)arg;
    llam_mutex_t *mutex = llam_mutex_create();
    CHECK_OK(llam_mutex_lock(mutex));
    llam_task_t *tasks[4];
    for (size_t i = 0; i < ARRAY_LENGTH(tasks); i++) tasks[i] = spawn_ok(lock_for_20_ms, mutex);
    for (size_t i = 0; i < ARRAY_LENGTH(tasks); i++) join_ok(tasks[i]);
    CHECK_OK(llam_mutex_unlock(mutex));
    CHECK_OK(llam_mutex_destroy(mutex));
}

struct line {
    llam_mutex_t *mutex;
    atomic_int next;
};

struct in_line {
    struct line *line;
    int outcome, place;
    uint64_t deadline_ns;
};

static void stand_in_line(void *arg) {
    struct in_line *self = arg;
    self->outcome = llam_mutex_lock_until(self->line->mutex, self->deadline_ns) == 0 ? 0 : errno;
    if (self->outcome != 0) return;
    self->place = atomic_fetch_add(&self->line->next, 1);
    CHECK_OK(llam_mutex_unlock(self->line->mutex));
}

/* Spawns the waiter and waits until it stands in line. */
static llam_task_t *join_line(struct in_line *self, struct line *line, uint64_t deadline_ns,
                              llam_cancel_token_t *token) {
    *self = (struct in_line){line, -1, -1, deadline_ns};
    llam_task_t *task = spawn_with_token(stand_in_line, self, token);
    await_parked(task);
    return task;
}

/* 4.10: first come, first served. 5.8: who unlocks and locks again waits behind the line. */
TASK_TEST(waiters_are_served_in_order) {
    (void)arg;
    struct line line = {llam_mutex_create(), 0};
    struct in_line waiters[8];
    llam_task_t *tasks[8];
    CHECK_OK(llam_mutex_lock(line.mutex));
    for (int i = 0; i < 8; i++) tasks[i] = join_line(&waiters[i], &line, UINT64_MAX, NULL);
    CHECK_OK(llam_mutex_unlock(line.mutex));
    CHECK_OK(llam_mutex_lock(line.mutex));
    CHECK_EQ(atomic_load(&line.next), 8);
    CHECK_OK(llam_mutex_unlock(line.mutex));
    for (int i = 0; i < 8; i++) {
        join_ok(tasks[i]);
        CHECK_EQ(waiters[i].outcome, 0);
        CHECK_EQ(waiters[i].place, i);
    }
    CHECK_OK(llam_mutex_destroy(line.mutex));
}

/* 4.10: unlock hands the mutex to the longest waiter directly, before that task has run. */
ONE_WORKER_TEST(unlock_hands_over_before_the_waiter_runs) {
    (void)arg;
    struct line line = {llam_mutex_create(), 0};
    struct in_line waiter;
    CHECK_OK(llam_mutex_lock(line.mutex));
    llam_task_t *task = join_line(&waiter, &line, UINT64_MAX, NULL);
    CHECK_OK(llam_mutex_unlock(line.mutex));
    CHECK_FAILS(llam_mutex_trylock(line.mutex), EBUSY);
    CHECK_FAILS(llam_mutex_unlock(line.mutex), EPERM);
    CHECK_FAILS(llam_mutex_lock_until(line.mutex, 0), ETIMEDOUT);
    CHECK_FAILS(llam_mutex_destroy(line.mutex), EBUSY);
    join_ok(task);
    CHECK_EQ(waiter.outcome, 0);
    CHECK_OK(llam_mutex_destroy(line.mutex));
}

/* 5.8: a timed-out or cancelled waiter leaves the line; the others keep their order. */
TASK_TEST(those_who_leave_do_not_disturb_the_line) {
    (void)arg;
    struct line line = {llam_mutex_create(), 0};
    llam_cancel_token_t *token = llam_cancel_token_create();
    struct in_line waiters[7];
    llam_task_t *tasks[7];
    CHECK_OK(llam_mutex_lock(line.mutex));
    for (int i = 0; i < 7; i++)
        tasks[i] = join_line(&waiters[i], &line, UINT64_MAX, i % 3 == 0 ? token : NULL);
    struct in_line timed = {&line, -1, -1, after_ms(10)};
    join_ok(spawn_ok(stand_in_line, &timed));
    CHECK_EQ(timed.outcome, ETIMEDOUT);
    CHECK_OK(llam_cancel_token_cancel(token));
    for (int i = 0; i < 7; i += 3) {
        join_ok(tasks[i]);
        CHECK_EQ(waiters[i].outcome, ECANCELED);
    }
    CHECK_EQ(atomic_load(&line.next), 0);
    CHECK_OK(llam_mutex_unlock(line.mutex));
    const int left[] = {1, 2, 4, 5};
    for (int i = 0; i < 4; i++) {
        join_ok(tasks[left[i]]);
        CHECK_EQ(waiters[left[i]].outcome, 0);
        CHECK_EQ(waiters[left[i]].place, i);
    }
    CHECK_OK(llam_cancel_token_destroy(token));
    take_free_mutex(line.mutex);
    CHECK_OK(llam_mutex_destroy(line.mutex));
}

static void lock_is_cancelled(void *arg) {
    CHECK_FAILS(llam_mutex_lock(arg), ECANCELED);
    CHECK_FAILS(llam_mutex_lock(arg), ECANCELED);
    CHECK_FAILS(llam_mutex_trylock(arg), EBUSY);
}

/* 5.1.4: a stop request cancels the wait; the owner can still unlock, and a free mutex be taken. */
TASK_TEST(a_stop_cancels_the_wait_and_nothing_else) {
    (void)arg;
    llam_mutex_t *mutex = llam_mutex_create();
    CHECK_OK(llam_mutex_lock(mutex));
    llam_task_t *waiter = spawn_ok(lock_is_cancelled, mutex);
    await_parked(waiter);
    CHECK_OK(llam_runtime_request_stop());
    await_state(waiter, "DEAD");
    CHECK_OK(llam_join(waiter));
    CHECK_FAILS(llam_mutex_lock(mutex), EDEADLK);
    CHECK_OK(llam_mutex_unlock(mutex));
    take_free_mutex(mutex);
    CHECK_OK(llam_mutex_destroy(mutex));
}

static void unlock_when_cancelled(void *arg) {
    llam_mutex_t *mutex = arg;
    CHECK_OK(llam_mutex_lock(mutex));
    CHECK_FAILS(llam_sleep_ns(UINT64_MAX), ECANCELED);
    CHECK_OK(llam_mutex_unlock(mutex));
}

/* 4.10: unlock may be called by a task that was cancelled while it held the mutex. */
TASK_TEST(a_task_cancelled_while_holding_can_unlock) {
    (void)arg;
    llam_mutex_t *mutex = llam_mutex_create();
    llam_cancel_token_t *token = llam_cancel_token_create();
    llam_task_t *task = spawn_with_token(unlock_when_cancelled, mutex, token);
    await_parked(task);
    CHECK_FAILS(llam_mutex_trylock(mutex), EBUSY);
    CHECK_OK(llam_cancel_token_cancel(token));
    join_ok(task);
    take_free_mutex(mutex);
    CHECK_OK(llam_cancel_token_destroy(token));
    CHECK_OK(llam_mutex_destroy(mutex));
}

static void *destroy_is_busy(void *arg) {
    CHECK_FAILS(llam_mutex_destroy(arg), EBUSY);
    return NULL;
}

/* 4.10: destroy is EBUSY when locked or waited for, on any thread. */
TASK_TEST(destroy_is_busy_while_locked) {
    (void)arg;
    struct line line = {llam_mutex_create(), 0};
    struct in_line waiter;
    CHECK_OK(llam_mutex_lock(line.mutex));
    CHECK_FAILS(llam_mutex_destroy(line.mutex), EBUSY);
    llam_task_t *task = join_line(&waiter, &line, UINT64_MAX, NULL);
    CHECK_FAILS(llam_mutex_destroy(line.mutex), EBUSY);
    void *out = line.mutex;
    if (!threads_stand_still())
        CHECK_OK(llam_call_blocking_result(destroy_is_busy, line.mutex, &out));
    CHECK_OK(llam_mutex_unlock(line.mutex));
    join_ok(task);
    CHECK_OK(llam_mutex_destroy(line.mutex));
    CHECK_FAILS(llam_mutex_destroy(line.mutex), EINVAL);
}

static void end_holding(void *arg) { CHECK_OK(llam_mutex_lock(arg)); }

static void meet_orphan(void *arg) {
    join_ok(spawn_ok(end_holding, arg));
    CHECK_FAILS(llam_mutex_lock_until(arg, after_ms(5)), ETIMEDOUT);
    CHECK_FAILS(llam_mutex_trylock(arg), EBUSY);
    CHECK_FAILS(llam_mutex_unlock(arg), EPERM);
    CHECK_FAILS(llam_mutex_destroy(arg), EBUSY);
    CHECK_FAILS(llam_mutex_lock(arg), ECANCELED);
}

/* Appendix A: a task that ends holding a mutex: timed lockers get ETIMEDOUT, untimed ones end with
 * the run in EDEADLK, destroy stays EBUSY. */
TEST(a_mutex_whose_owner_has_ended_stays_locked) {
    if (threads_stand_still()) return;
    llam_mutex_t *mutex = llam_mutex_create();
    init_default(0);
    llam_task_t *task = spawn_ok(meet_orphan, mutex);
    CHECK_FAILS(llam_run(), EDEADLK);
    CHECK_OK(llam_detach(task));
    CHECK_FAILS(llam_mutex_destroy(mutex), EBUSY);
    llam_runtime_shutdown();
    CHECK_FAILS(llam_mutex_destroy(mutex), EBUSY);
}

struct crossing {
    llam_mutex_t *first, *second;
    atomic_int *ready;
};

static void lock_both(void *arg) {
    struct crossing *self = arg;
    CHECK_OK(llam_mutex_lock(self->first));
    atomic_fetch_add(self->ready, 1);
    await_count(self->ready, 2);
    CHECK_FAILS(llam_mutex_lock(self->second), ECANCELED);
    CHECK_OK(llam_mutex_unlock(self->first));
}

/* 5.1.6: a mutex whose owner waits for another mutex is a deadlock; its waiters get ECANCELED. */
TEST(a_circle_of_mutexes_ends_the_run_with_edeadlk) {
    if (threads_stand_still()) return;
    llam_mutex_t *a = llam_mutex_create(), *b = llam_mutex_create();
    atomic_int ready = 0;
    struct crossing one = {a, b, &ready}, two = {b, a, &ready};
    init_default(0);
    llam_task_t *first = spawn_ok(lock_both, &one), *second = spawn_ok(lock_both, &two);
    CHECK_FAILS(llam_run(), EDEADLK);
    CHECK_OK(llam_detach(first));
    CHECK_OK(llam_detach(second));
    llam_runtime_shutdown();
    CHECK_OK(llam_mutex_destroy(a));
    CHECK_OK(llam_mutex_destroy(b));
}

static void lock_keeping_errno(void *arg) {
    CHECK_EQ(errno, 0);
    errno = 77;
    CHECK_OK(llam_mutex_lock(arg));
    CHECK_EQ(errno, 77);
    CHECK_OK(llam_mutex_unlock(arg));
    CHECK_EQ(errno, 77);
}

/* R8: a successful operation leaves errno as it was, parked or not. */
TASK_TEST(success_keeps_errno) {
    (void)arg;
    llam_mutex_t *mutex = llam_mutex_create();
    errno = 33;
    CHECK_OK(llam_mutex_lock_until(mutex, UINT64_MAX));
    CHECK_EQ(errno, 33);
    llam_task_t *task = spawn_ok(lock_keeping_errno, mutex);
    await_parked(task);
    errno = 34;
    CHECK_OK(llam_mutex_unlock(mutex));
    CHECK_EQ(errno, 34);
    join_ok(task);
    CHECK_EQ(errno, 34);
    CHECK_OK(llam_mutex_trylock(mutex));
    CHECK_EQ(errno, 34);
    CHECK_OK(llam_mutex_unlock(mutex));
    CHECK_OK(llam_mutex_destroy(mutex));
    CHECK_EQ(errno, 34);
}

#define COUNTERS 8
#define ROUNDS 500

struct counted {
    llam_mutex_t *mutex;
    long value;
    int inside;
};

static void count_up(void *arg) {
    struct counted *counted = arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 2 == 0) {
            CHECK_OK(llam_mutex_lock(counted->mutex));
        } else {
            while (llam_mutex_trylock(counted->mutex) != 0) {
                CHECK_EQ(errno, EBUSY);
                llam_yield();
            }
        }
        CHECK_EQ(counted->inside++, 0);
        long seen = counted->value;
        if (i % 16 == 0) llam_yield();
        counted->value = seen + 1;
        counted->inside--;
        CHECK_OK(llam_mutex_unlock(counted->mutex));
    }
}

/* 5.8 and 5.1.3: one owner at a time, and unlock happens before the next lock. */
TASK_TEST(only_one_task_is_inside) {
    (void)arg;
    struct counted counted = {llam_mutex_create(), 0, 0};
    llam_task_t *tasks[COUNTERS];
    for (int i = 0; i < COUNTERS; i++) tasks[i] = spawn_ok(count_up, &counted);
    for (int i = 0; i < COUNTERS; i++) join_ok(tasks[i]);
    CHECK_EQ(counted.value, COUNTERS * ROUNDS);
    CHECK_OK(llam_mutex_destroy(counted.mutex));
}

static void lock_or_give_up(void *arg) {
    struct in_line *self = arg;
    self->outcome = llam_mutex_lock_until(self->line->mutex, self->deadline_ns) == 0 ? 0 : errno;
    if (self->outcome == 0) CHECK_OK(llam_mutex_unlock(self->line->mutex));
}

/* 5.3: a cancel or a timeout that races with the hand-over yields one result; the mutex is never
 * lost. */
TASK_TEST(a_race_of_hand_over_and_cancel_loses_nothing) {
    (void)arg;
    struct line line = {llam_mutex_create(), 0};
    for (int round = 0; round < 300; round++) {
        llam_cancel_token_t *token = llam_cancel_token_create();
        CHECK_OK(llam_mutex_lock(line.mutex));
        uint64_t deadline = round % 3 == 0 ? llam_now_ns() + 50000 : UINT64_MAX;
        struct in_line waiter = {&line, -1, -1, deadline};
        llam_task_t *task = spawn_with_token(lock_or_give_up, &waiter, token);
        if (round % 2 == 0) llam_yield();
        CHECK_OK(llam_mutex_unlock(line.mutex));
        CHECK_OK(llam_cancel_token_cancel(token));
        join_ok(task);
        CHECK(waiter.outcome == 0 || waiter.outcome == ECANCELED ||
              (waiter.outcome == ETIMEDOUT && round % 3 == 0));
        CHECK_OK(llam_mutex_trylock(line.mutex));
        CHECK_OK(llam_mutex_unlock(line.mutex));
        CHECK_OK(llam_cancel_token_destroy(token));
    }
    CHECK_OK(llam_mutex_destroy(line.mutex));
}

MAIN
