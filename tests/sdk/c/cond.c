/* Condition variables: abi.md 4.11, 5.8, the cond rows of 5.2 and 5.3, rules R1 to R6 and R8 for
 * them, and the cond lines of Appendix A "Synchronisation". */
#include "sync.h"

/* A condition with its mutex, and what the waiters report. */
struct pair {
    llam_cond_t *cond;
    llam_mutex_t *mutex;
    atomic_int next;
};

static struct pair make_pair(void) {
    struct pair pair = {llam_cond_create(), llam_mutex_create(), 0};
    CHECK(pair.cond != NULL && pair.mutex != NULL);
    return pair;
}

static void end_pair(struct pair *pair) {
    CHECK_OK(llam_cond_destroy(pair->cond));
    CHECK_OK(llam_mutex_destroy(pair->mutex));
}

static void all_are_einval(llam_cond_t *cond, llam_mutex_t *mutex) {
    CHECK_FAILS(llam_cond_wait(cond, mutex), EINVAL);
    CHECK_FAILS(llam_cond_wait_until(cond, mutex, 0), EINVAL);
    CHECK_FAILS(llam_cond_wait_until(cond, mutex, UINT64_MAX), EINVAL);
    CHECK_FAILS(llam_cond_signal(cond), EINVAL);
    CHECK_FAILS(llam_cond_broadcast(cond), EINVAL);
    CHECK_FAILS(llam_cond_destroy(cond), EINVAL);
}

static void bad_handles(void *arg) {
    struct pair pair = make_pair();
    all_are_einval(NULL, pair.mutex);
    all_are_einval((llam_cond_t *)pair.mutex, pair.mutex);
    for (size_t i = 0; i < FORGED_VALUES; i++) {
        all_are_einval(forged(i), pair.mutex);
        CHECK_FAILS(llam_cond_wait(pair.cond, forged(i)), EINVAL);
    }
    CHECK_FAILS(llam_cond_wait(pair.cond, NULL), EINVAL);
    CHECK_FAILS(llam_cond_wait_until(pair.cond, NULL, 0), EINVAL);
    CHECK_FAILS(llam_cond_wait(pair.cond, (llam_mutex_t *)pair.cond), EINVAL);
    struct pair dead = make_pair();
    end_pair(&dead);
    for (int i = 0; i < 64; i++) {
        struct pair other = make_pair();
        CHECK(other.cond != dead.cond && other.mutex != dead.mutex);
        all_are_einval(dead.cond, pair.mutex);
        CHECK_FAILS(llam_cond_wait(pair.cond, dead.mutex), EINVAL);
        end_pair(&other);
    }
    end_pair(&pair);
    if (arg != NULL) run_cancelled(bad_handles, NULL);
}

/* R1, and R3: both handles are checked before the context. */
TEST(bad_handles_are_einval_everywhere) {
    int in_task = 1;
    bad_handles(NULL);
    run_task(bad_handles, &in_task);
    bad_handles(NULL);
}

static void host_waits_fail(struct pair *pair) {
    CHECK_FAILS(llam_cond_wait(pair->cond, pair->mutex), ENOTSUP);
    CHECK_FAILS(llam_cond_wait_until(pair->cond, pair->mutex, 0), ENOTSUP);
    CHECK_FAILS(llam_cond_wait_until(pair->cond, pair->mutex, UINT64_MAX), ENOTSUP);
}

static void host_signals_fail(struct pair *pair, int code) {
    CHECK_FAILS(llam_cond_signal(pair->cond), code);
    CHECK_FAILS(llam_cond_broadcast(pair->cond), code);
}

/* R3 and R4. Appendix A: signal and broadcast without waiters: 0; from a host thread: 0 while
 * live. */
TEST(a_host_thread_signals_only_a_live_owner) {
    struct pair pair = make_pair();
    for (int life = 0; life < 2; life++) {
        host_waits_fail(&pair);
        host_signals_fail(&pair, ENOTSUP);
        init_default(0);
        host_waits_fail(&pair);
        CHECK_OK(llam_cond_signal(pair.cond));
        CHECK_OK(llam_cond_broadcast(pair.cond));
        llam_runtime_shutdown();
    }
    host_signals_fail(&pair, ENOTSUP);
    end_pair(&pair);
}

static void make_into(void *arg) { *(struct pair *)arg = make_pair(); }

/* R4: an explicit owner that is destroyed gives EXDEV; destroy still works. */
TEST(a_host_thread_and_an_explicit_owner) {
    struct pair pair;
    llam_runtime_t *runtime = create_runtime();
    run_on(runtime, make_into, &pair);
    CHECK_OK(llam_cond_signal(pair.cond));
    CHECK_OK(llam_cond_broadcast(pair.cond));
    host_waits_fail(&pair);
    llam_runtime_destroy(runtime);
    host_signals_fail(&pair, EXDEV);
    host_waits_fail(&pair);
    end_pair(&pair);
}

static void foreign_is_exdev(void *arg) {
    struct pair *foreign = arg, own = make_pair();
    CHECK_OK(llam_mutex_lock(own.mutex));
    CHECK_FAILS(llam_cond_wait(foreign->cond, own.mutex), EXDEV);
    CHECK_FAILS(llam_cond_wait(own.cond, foreign->mutex), EXDEV);
    CHECK_FAILS(llam_cond_wait_until(foreign->cond, foreign->mutex, 0), EXDEV);
    CHECK_FAILS(llam_cond_signal(foreign->cond), EXDEV);
    CHECK_FAILS(llam_cond_broadcast(foreign->cond), EXDEV);
    CHECK_FAILS(llam_cond_destroy(foreign->cond), EXDEV);
    CHECK_FAILS(llam_mutex_trylock(own.mutex), EBUSY);
    CHECK_OK(llam_mutex_unlock(own.mutex));
    end_pair(&own);
}

/* R2, and 4.11: EXDEV for either object; the mutex stays as it was. */
TEST(a_task_of_another_runtime_gets_exdev) {
    struct pair theirs, ours = make_pair();
    llam_runtime_t *runtime = create_runtime();
    run_on(runtime, make_into, &theirs);
    run_task(foreign_is_exdev, &theirs);
    run_on(runtime, foreign_is_exdev, &ours);
    llam_runtime_destroy(runtime);
    run_task(foreign_is_exdev, &theirs);
    end_pair(&theirs);
    end_pair(&ours);
}

static void not_the_owner(void *arg) {
    struct pair *pair = arg;
    CHECK_FAILS(llam_cond_wait(pair->cond, pair->mutex), EPERM);
    CHECK_FAILS(llam_cond_wait_until(pair->cond, pair->mutex, 0), EPERM);
    CHECK_FAILS(llam_cond_wait_until(pair->cond, pair->mutex, 1), EPERM);
    CHECK_FAILS(llam_cond_wait_until(pair->cond, pair->mutex, after_ms(60000)), EPERM);
}

/* Appendix A: cond wait without owning the mutex: EPERM, checked before the deadline (4.11: and
 * before the cancellation). */
TASK_TEST(a_wait_needs_the_mutex) {
    (void)arg;
    struct pair pair = make_pair();
    not_the_owner(&pair);
    run_cancelled(not_the_owner, &pair);
    CHECK_OK(llam_mutex_lock(pair.mutex));
    join_ok(spawn_ok(not_the_owner, &pair));
    run_cancelled(not_the_owner, &pair);
    CHECK_FAILS(llam_mutex_trylock(pair.mutex), EBUSY);
    CHECK_OK(llam_mutex_unlock(pair.mutex));
    end_pair(&pair);
}

static void lock_and_tell(void *arg) {
    struct pair *pair = arg;
    CHECK_OK(llam_mutex_lock(pair->mutex));
    atomic_fetch_add(&pair->next, 1);
    CHECK_OK(llam_mutex_unlock(pair->mutex));
}

/* Each of these waits fails at once; a task that stands in line for the mutex must not get it. */
static void fail_at_once(struct pair *pair, int cancelled) {
    CHECK_OK(llam_mutex_lock(pair->mutex));
    atomic_store(&pair->next, 0);
    llam_task_t *rival = spawn_ok(lock_and_tell, pair);
    await_parked(rival);
    CHECK_FAILS(llam_cond_wait_until(pair->cond, pair->mutex, 0), ETIMEDOUT);
    CHECK_FAILS(llam_cond_wait_until(pair->cond, pair->mutex, 1), ETIMEDOUT);
    CHECK_FAILS(llam_cond_wait_until(pair->cond, pair->mutex, llam_now_ns()), ETIMEDOUT);
    if (cancelled) {
        CHECK_FAILS(llam_cond_wait_until(pair->cond, pair->mutex, after_ms(60000)), ECANCELED);
        CHECK_FAILS(llam_cond_wait(pair->cond, pair->mutex), ECANCELED);
    }
    CHECK_FAILS(llam_mutex_lock_until(pair->mutex, 0), EDEADLK);
    CHECK_EQ(atomic_load(&pair->next), 0);
    CHECK_STR(llam_task_state_name(rival), "PARKED");
    CHECK_OK(llam_mutex_unlock(pair->mutex));
    await_count(&pair->next, 1);
    await_state(rival, "DEAD");
    CHECK_OK(llam_detach(rival));
}

static void fail_at_once_cancelled(void *arg) { fail_at_once(arg, 1); }

/* Appendix A: cond wait with an expired deadline: ETIMEDOUT and the mutex still held. 4.11: never
 * released; the same when already cancelled. */
TASK_TEST(a_wait_that_is_over_before_it_begins_keeps_the_mutex) {
    (void)arg;
    struct pair pair = make_pair();
    fail_at_once(&pair, 0);
    run_cancelled(fail_at_once_cancelled, &pair);
    end_pair(&pair);
}

struct waiter {
    struct pair *pair;
    uint64_t deadline_ns;
    int outcome, place;
    atomic_int waiting;
};

static void wait_once(void *arg) {
    struct waiter *self = arg;
    struct pair *pair = self->pair;
    CHECK_OK(llam_mutex_lock(pair->mutex));
    atomic_store(&self->waiting, 1);
    self->outcome =
        llam_cond_wait_until(pair->cond, pair->mutex, self->deadline_ns) == 0 ? 0 : errno;
    CHECK_FAILS(llam_mutex_lock(pair->mutex), EDEADLK);
    self->place = atomic_fetch_add(&pair->next, 1);
    CHECK_OK(llam_mutex_unlock(pair->mutex));
}

/* Spawns a waiter and waits until it is parked in the condition: it holds the mutex from before it
 * says so until it waits. */
static llam_task_t *start_waiter(struct waiter *self, struct pair *pair, uint64_t deadline_ns,
                                 llam_cancel_token_t *token) {
    *self = (struct waiter){pair, deadline_ns, -1, -1, 0};
    llam_task_t *task = spawn_with_token(wait_once, self, token);
    await_count(&self->waiting, 1);
    CHECK_OK(llam_mutex_lock(pair->mutex));
    CHECK_OK(llam_mutex_unlock(pair->mutex));
    await_parked(task);
    return task;
}

/* 4.11 and 5.8: a signal wakes the longest waiter, the others go on waiting. */
TASK_TEST(a_signal_wakes_the_longest_waiter) {
    (void)arg;
    struct pair pair = make_pair();
    struct waiter waiters[5];
    llam_task_t *tasks[5];
    for (int i = 0; i < 5; i++) tasks[i] = start_waiter(&waiters[i], &pair, UINT64_MAX, NULL);
    for (int i = 0; i < 5; i++) {
        if (i % 2 == 0) CHECK_OK(llam_mutex_lock(pair.mutex));
        CHECK_OK(llam_cond_signal(pair.cond));
        if (i % 2 == 0) CHECK_OK(llam_mutex_unlock(pair.mutex));
        join_ok(tasks[i]);
        CHECK_EQ(waiters[i].outcome, 0);
        CHECK_EQ(waiters[i].place, i);
        if (i < 4) CHECK_STR(llam_task_state_name(tasks[i + 1]), "PARKED");
    }
    end_pair(&pair);
}

/* 4.11: a broadcast wakes all current waiters, in order. */
TASK_TEST(a_broadcast_wakes_all_in_order) {
    (void)arg;
    struct pair pair = make_pair();
    struct waiter waiters[6];
    llam_task_t *tasks[6];
    for (int i = 0; i < 6; i++) tasks[i] = start_waiter(&waiters[i], &pair, UINT64_MAX, NULL);
    CHECK_OK(llam_mutex_lock(pair.mutex));
    CHECK_OK(llam_cond_broadcast(pair.cond));
    CHECK_EQ(atomic_load(&pair.next), 0);
    CHECK_OK(llam_mutex_unlock(pair.mutex));
    for (int i = 0; i < 6; i++) {
        join_ok(tasks[i]);
        CHECK_EQ(waiters[i].outcome, 0);
    }
    CHECK_EQ(atomic_load(&pair.next), 6);
    end_pair(&pair);
}

/* The same with one worker, where the order in which they return can be told. */
ONE_WORKER_TEST(a_broadcast_serves_the_waiters_in_order) {
    (void)arg;
    struct pair pair = make_pair();
    struct waiter waiters[6];
    llam_task_t *tasks[6];
    for (int i = 0; i < 6; i++) tasks[i] = start_waiter(&waiters[i], &pair, UINT64_MAX, NULL);
    CHECK_OK(llam_cond_broadcast(pair.cond));
    for (int i = 0; i < 6; i++) {
        join_ok(tasks[i]);
        CHECK_EQ(waiters[i].place, i);
    }
    end_pair(&pair);
}

/* 5.8: a signal without waiters is lost. */
TASK_TEST(a_signal_without_waiters_is_lost) {
    (void)arg;
    struct pair pair = make_pair();
    CHECK_OK(llam_cond_signal(pair.cond));
    CHECK_OK(llam_cond_broadcast(pair.cond));
    struct waiter late;
    uint64_t deadline = after_ms(20);
    late = (struct waiter){&pair, deadline, -1, -1, 0};
    join_ok(spawn_ok(wait_once, &late));
    CHECK_EQ(late.outcome, ETIMEDOUT);
    CHECK(llam_now_ns() >= deadline);
    end_pair(&pair);
}

/* 4.11: on ETIMEDOUT and ECANCELED the mutex is held again; 5.8: the others keep their order. */
TASK_TEST(those_who_leave_hold_the_mutex_and_do_not_disturb) {
    (void)arg;
    struct pair pair = make_pair();
    llam_cancel_token_t *token = llam_cancel_token_create();
    struct waiter stays[2], timed, cancelled;
    llam_task_t *first = start_waiter(&stays[0], &pair, UINT64_MAX, NULL);
    llam_task_t *second = start_waiter(&cancelled, &pair, UINT64_MAX, token);
    timed = (struct waiter){&pair, after_ms(10), -1, -1, 0};
    join_ok(spawn_ok(wait_once, &timed));
    CHECK_EQ(timed.outcome, ETIMEDOUT);
    llam_task_t *last = start_waiter(&stays[1], &pair, UINT64_MAX, NULL);
    CHECK_OK(llam_cancel_token_cancel(token));
    join_ok(second);
    CHECK_EQ(cancelled.outcome, ECANCELED);
    CHECK_OK(llam_cond_signal(pair.cond));
    join_ok(first);
    CHECK_EQ(stays[0].outcome, 0);
    CHECK_STR(llam_task_state_name(last), "PARKED");
    CHECK_OK(llam_cond_signal(pair.cond));
    join_ok(last);
    CHECK_OK(llam_cancel_token_destroy(token));
    end_pair(&pair);
}

/* 5.1.4 and the accident of 4.11: a stop request gives ECANCELED, and ours always holds the mutex
 * then (wait_once checks it). */
TASK_TEST(a_stop_ends_the_waits_with_the_mutex_held) {
    (void)arg;
    struct pair pair = make_pair();
    struct waiter waiters[4];
    llam_task_t *tasks[4];
    for (int i = 0; i < 4; i++) tasks[i] = start_waiter(&waiters[i], &pair, UINT64_MAX, NULL);
    CHECK_OK(llam_mutex_lock(pair.mutex));
    CHECK_OK(llam_runtime_request_stop());
    for (int i = 0; i < 100; i++) llam_yield();
    CHECK_EQ(atomic_load(&pair.next), 0);
    CHECK_OK(llam_mutex_unlock(pair.mutex));
    for (int i = 0; i < 4; i++) {
        await_state(tasks[i], "DEAD");
        CHECK_EQ(waiters[i].outcome, ECANCELED);
        CHECK_OK(llam_join(tasks[i]));
    }
    end_pair(&pair);
}

/* 4.11: taking the mutex back has no deadline and cannot be cancelled. */
TASK_TEST(taking_the_mutex_back_cannot_be_cut_short) {
    (void)arg;
    struct pair pair = make_pair();
    llam_cancel_token_t *token = llam_cancel_token_create();
    struct waiter signalled, timed;
    llam_task_t *first = start_waiter(&signalled, &pair, UINT64_MAX, token);
    llam_task_t *second = start_waiter(&timed, &pair, after_ms(30), NULL);
    CHECK_OK(llam_mutex_lock(pair.mutex));
    CHECK_OK(llam_cond_signal(pair.cond));
    CHECK_OK(llam_cancel_token_cancel(token));
    CHECK_OK(llam_sleep_until(timed.deadline_ns + 20 * CHECK_MS));
    CHECK_EQ(atomic_load(&pair.next), 0);
    CHECK_OK(llam_mutex_unlock(pair.mutex));
    join_ok(first);
    join_ok(second);
    CHECK_EQ(signalled.outcome, 0);
    CHECK_EQ(timed.outcome, ETIMEDOUT);
    CHECK_OK(llam_cancel_token_destroy(token));
    end_pair(&pair);
}

static void *destroys_are_busy(void *arg) {
    struct pair *pair = arg;
    CHECK_FAILS(llam_cond_destroy(pair->cond), EBUSY);
    CHECK_FAILS(llam_mutex_destroy(pair->mutex), EBUSY);
    return NULL;
}

/* Appendix A: cond destroy straight after signal, before the waiter ran: EBUSY. 5.8: the waiter
 * counts as inside the mutex too. */
TASK_TEST(a_signalled_waiter_counts_as_inside) {
    (void)arg;
    struct pair pair = make_pair();
    struct waiter waiter;
    llam_task_t *task = start_waiter(&waiter, &pair, UINT64_MAX, NULL);
    destroys_are_busy(&pair);
    CHECK_OK(llam_mutex_lock(pair.mutex));
    CHECK_OK(llam_cond_signal(pair.cond));
    destroys_are_busy(&pair);
    if (!threads_stand_still()) CHECK_PTR(llam_call_blocking(destroys_are_busy, &pair), NULL);
    CHECK_OK(llam_mutex_unlock(pair.mutex));
    join_ok(task);
    end_pair(&pair);
}

/* The same with the mutex free and the waiter merely runnable. */
ONE_WORKER_TEST(a_signalled_waiter_that_has_not_run_counts_as_inside) {
    (void)arg;
    struct pair pair = make_pair();
    struct waiter waiter;
    llam_task_t *task = start_waiter(&waiter, &pair, UINT64_MAX, NULL);
    destroys_are_busy(&pair);
    CHECK_OK(llam_cond_signal(pair.cond));
    destroys_are_busy(&pair);
    join_ok(task);
    CHECK_EQ(waiter.outcome, 0);
    end_pair(&pair);
}

static void wait_keeping_errno(void *arg) {
    struct pair *pair = arg;
    CHECK_OK(llam_mutex_lock(pair->mutex));
    errno = 55;
    CHECK_OK(llam_cond_wait(pair->cond, pair->mutex));
    CHECK_EQ(errno, 55);
    CHECK_OK(llam_mutex_unlock(pair->mutex));
}

/* R8: a successful operation leaves errno as it was. */
TASK_TEST(success_keeps_errno) {
    (void)arg;
    struct pair pair = make_pair();
    llam_task_t *task = spawn_ok(wait_keeping_errno, &pair);
    await_parked(task);
    errno = 44;
    CHECK_OK(llam_cond_signal(pair.cond));
    CHECK_EQ(errno, 44);
    CHECK_OK(llam_cond_broadcast(pair.cond));
    CHECK_EQ(errno, 44);
    join_ok(task);
    CHECK_EQ(errno, 44);
    end_pair(&pair);
}

static void *signal_from_host(void *arg) {
    struct waiter *waiter = arg;
    CHECK_OK(llam_sleep_ns(200 * CHECK_MS));
    CHECK_OK(llam_cond_signal(waiter->pair->cond));
    return NULL;
}

/* 4.11: any thread may signal. 5.1.6: a run whose only task waits on a condition is no deadlock. */
TEST(a_host_thread_wakes_a_lonely_waiter) {
    if (threads_stand_still()) return;
    struct pair pair = make_pair();
    struct waiter waiter = {&pair, UINT64_MAX, -1, -1, 0};
    init_default(0);
    llam_task_t *task = spawn_ok(wait_once, &waiter);
    pthread_t thread = start_thread(signal_from_host, &waiter);
    CHECK_OK(llam_run());
    end_thread(thread);
    CHECK_EQ(waiter.outcome, 0);
    CHECK_OK(llam_join(task));
    llam_runtime_shutdown();
    end_pair(&pair);
}

/* 4.11: a signal that meets a timeout or a cancel goes to one waiter; it is not lost while others
 * wait. One signal for two waiters, of which one leaves at about the same moment. */
TASK_TEST(a_signal_that_meets_a_timeout_or_cancel_is_not_lost) {
    (void)arg;
    struct pair pair = make_pair();
    for (int round = 0; round < 200; round++) {
        llam_cancel_token_t *token = llam_cancel_token_create();
        struct waiter leaves, stays;
        uint64_t moment = llam_now_ns() + 300000;
        leaves = (struct waiter){&pair, round % 2 == 0 ? moment : UINT64_MAX, -1, -1, 0};
        llam_task_t *first = spawn_with_token(wait_once, &leaves, token);
        if (round % 2 != 0) await_parked(first);
        llam_task_t *second = start_waiter(&stays, &pair, UINT64_MAX, NULL);
        while (round % 2 == 0 && llam_now_ns() < moment) llam_task_safepoint();
        if (round % 4 == 1) CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_OK(llam_cond_signal(pair.cond));
        if (round % 4 == 3) CHECK_OK(llam_cancel_token_cancel(token));
        join_ok(first);
        if (leaves.outcome == 0) CHECK_OK(llam_cond_signal(pair.cond));
        if (leaves.outcome != 0) CHECK_EQ(leaves.outcome, round % 2 == 0 ? ETIMEDOUT : ECANCELED);
        join_ok(second);
        CHECK_EQ(stays.outcome, 0);
        CHECK_OK(llam_cancel_token_destroy(token));
    }
    end_pair(&pair);
}

#define ITEMS 2000

struct store {
    struct pair not_empty;
    llam_cond_t *not_full;
    int held, produced, consumed;
};

static void produce(void *arg) {
    struct store *store = arg;
    for (int i = 0; i < ITEMS; i++) {
        CHECK_OK(llam_mutex_lock(store->not_empty.mutex));
        while (store->held == 3)
            CHECK_OK(llam_cond_wait(store->not_full, store->not_empty.mutex));
        store->held++;
        store->produced++;
        CHECK_OK(llam_cond_signal(store->not_empty.cond));
        CHECK_OK(llam_mutex_unlock(store->not_empty.mutex));
    }
}

static void consume(void *arg) {
    struct store *store = arg;
    for (int i = 0; i < ITEMS; i++) {
        CHECK_OK(llam_mutex_lock(store->not_empty.mutex));
        while (store->held == 0)
            CHECK_OK(llam_cond_wait(store->not_empty.cond, store->not_empty.mutex));
        store->held--;
        store->consumed++;
        CHECK_OK(llam_mutex_unlock(store->not_empty.mutex));
        CHECK_OK(llam_cond_signal(store->not_full));
    }
}

/* No wake-up is lost between producers and consumers with two conditions on one mutex. */
TASK_TEST(producers_and_consumers_meet) {
    (void)arg;
    struct store store = {make_pair(), llam_cond_create(), 0, 0, 0};
    llam_task_t *tasks[8];
    for (int i = 0; i < 8; i++) tasks[i] = spawn_ok(i % 2 == 0 ? produce : consume, &store);
    for (int i = 0; i < 8; i++) join_ok(tasks[i]);
    CHECK_EQ(store.produced, 4 * ITEMS);
    CHECK_EQ(store.consumed, 4 * ITEMS);
    CHECK_EQ(store.held, 0);
    CHECK_OK(llam_cond_destroy(store.not_full));
    end_pair(&store.not_empty);
}

MAIN
