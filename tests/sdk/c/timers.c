/* Time, sleeping and interval timers. Covers abi.md 4.5, 5.2 (sleep, timer wait), R2, R4, R5, R7 for
 * timers. Ticks are checked against the grid of deadlines, never against the time a wait took.
 */
#include "scheduling.h"

/* ---- Time and sleeping ---- */

/* abi.md 4.5: CLOCK_MONOTONIC, without any runtime. */
TEST(now_is_the_monotonic_clock) {
    uint64_t last = 0;
    for (int i = 0; i < 1000; i++) {
        struct timespec before, after;
        CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &before));
        uint64_t now = llam_now_ns();
        CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &after));
        CHECK(now >= (uint64_t)before.tv_sec * 1000000000U + (uint64_t)before.tv_nsec);
        CHECK(now <= (uint64_t)after.tv_sec * 1000000000U + (uint64_t)after.tv_nsec);
        CHECK(now >= last);
        last = now;
    }
}

static void check_sleep_needs_a_runtime(void) {
    CHECK_FAILS(llam_sleep_ns(0), EINVAL);
    CHECK_FAILS(llam_sleep_ns(CHECK_MS), EINVAL);
    CHECK_FAILS(llam_sleep_until(0), EINVAL);
    CHECK_FAILS(llam_sleep_until(llam_now_ns() - 1), EINVAL);
    CHECK_FAILS(llam_sleep_until(UINT64_MAX), EINVAL);
}

/* abi.md 4.5: a host thread's sleep needs the default runtime, whatever the deadline. */
TEST(a_host_thread_sleeps_only_while_the_runtime_lives) {
    check_sleep_needs_a_runtime();
    llam_runtime_t *other = runtime_new(0);
    check_sleep_needs_a_runtime();
    llam_runtime_destroy(other);
    init_default(0);
    errno_marked();
    CHECK_OK(llam_sleep_ns(0));
    CHECK_OK(llam_sleep_until(0));
    CHECK_OK(llam_sleep_until(1));
    uint64_t deadline = after_ms(3);
    CHECK_OK(llam_sleep_until(deadline));
    CHECK(llam_now_ns() >= deadline);
    uint64_t start = llam_now_ns();
    CHECK_OK(llam_sleep_ns(2 * CHECK_MS));
    CHECK(llam_now_ns() >= start + 2 * CHECK_MS);
    CHECK_ERRNO_KEPT();
    llam_runtime_shutdown();
    check_sleep_needs_a_runtime();
}

static counter interrupts;
static void note_interrupt(int number) {
    (void)number;
    atomic_fetch_add(&interrupts, 1);
}

static void *interrupt(void *arg) {
    pthread_t *sleeper = arg;
    for (int i = 0; i < 10; i++) {
        struct timespec rest = {0, 2000000};
        nanosleep(&rest, NULL);
        CHECK_OK(pthread_kill(*sleeper, SIGUSR1));
    }
    return NULL;
}

/* abi.md 4.5: a host thread sleeps until the deadline, whatever signals its thread handles. */
TEST(a_host_threads_sleep_survives_signals) {
    struct sigaction action = {.sa_handler = note_interrupt};
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    init_default(0);
    pthread_t self = pthread_self(), thread;
    CHECK_OK(pthread_create(&thread, NULL, interrupt, &self));
    uint64_t deadline = after_ms(40);
    CHECK_OK(llam_sleep_until(deadline));
    CHECK(llam_now_ns() >= deadline);
    CHECK_OK(pthread_join(thread, NULL));
    CHECK(atomic_load(&interrupts) >= 1);
    llam_runtime_shutdown();
}

static void sleep_various(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (int i = 0; i < 10; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        uint64_t deadline = llam_now_ns() + (seed >> 33) % 3000000;
        CHECK_OK(llam_sleep_until(deadline));
        CHECK(llam_now_ns() >= deadline);
        uint64_t start = llam_now_ns(), length = (seed >> 20) % 500000;
        CHECK_OK(llam_sleep_ns(length));
        CHECK(llam_now_ns() >= start + length);
    }
    CHECK_OK(llam_sleep_ns(0));
    CHECK_OK(llam_sleep_until(0));
    CHECK_OK(llam_sleep_until(llam_now_ns() - 1));
}

/* abi.md 4.5, R5: sleeps of tasks end with 0, never early; past ones at once. */
TEST(no_task_sleeps_too_short) {
    init_default(0);
    for (uintptr_t i = 1; i <= 100; i++) CHECK_OK(llam_detach(spawn_ok(sleep_various, (void *)i)));
    run_here();
    llam_runtime_shutdown();
}

static void sleep_saturating(void *arg) {
    static const uint64_t lengths[4] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2,
                                        UINT64_C(1) << 62};
    CHECK_FAILS(llam_sleep_ns(lengths[(uintptr_t)arg]), ECANCELED);
}

static void cancel_long_sleeps(void *arg) {
    (void)arg;
    for (uintptr_t i = 0; i < 4; i++) {
        llam_cancel_token_t *token = token_new();
        llam_task_t *sleeper = spawn_with_token(sleep_saturating, (void *)i, token);
        AWAIT(in_state(sleeper, "PARKED"));
        CHECK_FAILS(llam_join_until(sleeper, after_ms(2)), ETIMEDOUT);
        CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_OK(llam_join(sleeper));
        CHECK_OK(llam_cancel_token_destroy(token));
    }
}

/* abi.md 4.5: a sleep saturates at UINT64_MAX and lasts until cancelled. */
TEST(a_huge_sleep_does_not_wrap) { run_task(cancel_long_sleeps, NULL); }

/* ---- Creating timers ---- */

static llam_timer_t *timer_at(uint64_t first, uint64_t interval) {
    llam_timer_opts_t opts = {.first_deadline_ns = first, .interval_ns = interval};
    llam_timer_t *timer = NULL;
    CHECK_OK(llam_timer_create_ex(&opts, sizeof opts, &timer));
    CHECK(timer != NULL);
    return timer;
}

#define REFUSED(call, code)                                                                      \
    do {                                                                                         \
        timer = (llam_timer_t *)&opts;                                                           \
        CHECK_FAILS(call, code);                                                                 \
        CHECK_PTR(timer, NULL);                                                                  \
    } while (0)

/* abi.md 4.5: the errors of create, in order; *out is cleared. No runtime needed. */
TEST(bad_timers_are_refused) {
    llam_timer_opts_t opts = {.first_deadline_ns = 0, .interval_ns = 0, .flags = 1};
    llam_timer_t *timer;
    CHECK_FAILS(llam_timer_create_ex(NULL, 0, NULL), EINVAL);
    CHECK_FAILS(llam_timer_create_ex(&opts, sizeof opts, NULL), EINVAL);
    CHECK_FAILS(llam_timer_create(CHECK_MS, NULL), EINVAL);
    REFUSED(llam_timer_create_ex(NULL, sizeof opts, &timer), EINVAL);
    REFUSED(llam_timer_create_ex(NULL, 0, &timer), EINVAL);
    REFUSED(llam_timer_create_ex(&opts, 0, &timer), EINVAL);
    REFUSED(llam_timer_create_ex(&opts, sizeof opts, &timer), EINVAL);
    REFUSED(llam_timer_create(0, &timer), EINVAL);
    opts.interval_ns = 5;
    REFUSED(llam_timer_create_ex(&opts, sizeof opts, &timer), ENOTSUP);
    opts.flags = 0x80000000U;
    REFUSED(llam_timer_create_ex(&opts, sizeof opts, &timer), ENOTSUP);
}

/* abi.md 1.4: size 16 is enough, up to 15 the interval is 0; flags count from size 20 on. */
TEST(timer_options_may_be_cut) {
    struct {
        llam_timer_opts_t opts;
        unsigned char tail[64];
    } big;
    memset(&big, 0xA5, sizeof big);
    big.opts.flags = 1;
    llam_timer_t *timer;
    llam_timer_opts_t opts;
    for (size_t size = 1; size <= sizeof big; size++) {
        if (size < 16) {
            REFUSED(llam_timer_create_ex(&big.opts, size, &timer), EINVAL);
        } else if (size >= 20) {
            REFUSED(llam_timer_create_ex(&big.opts, size, &timer), ENOTSUP);
        } else {
            CHECK_OK(llam_timer_create_ex(&big.opts, size, &timer));
            CHECK_OK(llam_timer_destroy(timer));
        }
    }
    big.opts.flags = 0;
    CHECK_OK(llam_timer_create_ex(&big.opts, sizeof big, &timer));
    CHECK_OK(llam_timer_destroy(timer));
}

/* ---- Handles and owners ---- */

static void check_no_timer(llam_timer_t *timer) {
    uint64_t ticks = 3;
    CHECK_FAILS(llam_timer_wait(timer, &ticks), EINVAL);
    CHECK_EQ(ticks, 0);
    CHECK_FAILS(llam_timer_wait_until(timer, 1, &ticks), EINVAL);
    CHECK_FAILS(llam_timer_wait_until(timer, 0, NULL), EINVAL);
    ticks = 3;
    /* abi.md 4.5: a deadline of 0 is ETIMEDOUT before the handle is looked at. */
    CHECK_FAILS(llam_timer_wait_until(timer, 0, &ticks), ETIMEDOUT);
    CHECK_EQ(ticks, 0);
    CHECK_FAILS(llam_timer_reset(timer, 0, CHECK_MS), EINVAL);
    CHECK_FAILS(llam_timer_cancel(timer), EINVAL);
    CHECK_FAILS(llam_timer_destroy(timer), EINVAL);
}

static void check_no_timers(void *arg) {
    llam_cancel_token_t *token = token_new();
    check_no_timer(NULL);
    check_no_timer(arg);
    check_no_timer((llam_timer_t *)token);
    check_no_timer((llam_timer_t *)(uintptr_t)9);
    CHECK_OK(llam_cancel_token_destroy(token));
}

/* R1: dead timers are EINVAL in every state, after many new ones too. */
TEST(a_dead_timer_is_invalid) {
    llam_timer_t *dead = timer_at(0, 1), *later[64];
    CHECK_OK(llam_timer_destroy(dead));
    for (int i = 0; i < 64; i++) {
        CHECK_OK(llam_timer_create(CHECK_MS, &later[i]));
        CHECK(later[i] != dead);
    }
    check_no_timers(dead);
    run_task(check_no_timers, dead);
    for (int i = 0; i < 64; i++) CHECK_OK(llam_timer_destroy(later[i]));
}

/* R4: while the runtime is not live, wait, reset and cancel are EINVAL; create and destroy work. */
TEST(a_timer_is_used_only_while_its_runtime_lives) {
    llam_timer_t *timer = timer_at(0, CHECK_MS);
    uint64_t ticks = 5;
    for (int life = 0; life < 2; life++) {
        CHECK_FAILS(llam_timer_wait(timer, &ticks), EINVAL);
        CHECK_EQ(ticks, 0);
        CHECK_FAILS(llam_timer_wait_until(timer, 1, &ticks), EINVAL);
        CHECK_FAILS(llam_timer_reset(timer, 0, 1), EINVAL);
        CHECK_FAILS(llam_timer_cancel(timer), EINVAL);
        init_default(0);
        CHECK_OK(llam_timer_wait(timer, &ticks));
        CHECK(ticks >= 1);
        llam_runtime_shutdown();
    }
    CHECK_OK(llam_timer_destroy(timer));
}

static void use_a_foreign_timer(void *arg) {
    uint64_t ticks = 5;
    CHECK_FAILS(llam_timer_wait(arg, &ticks), EXDEV);
    CHECK_EQ(ticks, 0);
    CHECK_FAILS(llam_timer_wait_until(arg, 1, &ticks), EXDEV);
    CHECK_FAILS(llam_timer_reset(arg, 0, 1), EXDEV);
    CHECK_FAILS(llam_timer_cancel(arg), EXDEV);
    CHECK_FAILS(llam_timer_destroy(arg), EXDEV);
}

static void make_a_timer(void *arg) { *(llam_timer_t **)arg = timer_at(0, UINT64_MAX / 4); }

/* R2, R4: EXDEV from foreign tasks; of a destroyed runtime only the destroy works. */
TEST(a_timer_belongs_to_its_runtime) {
    init_default(0);
    llam_runtime_t *other = runtime_new(0);
    llam_timer_t *own = timer_at(0, UINT64_MAX / 4), *foreign = NULL;
    uint64_t ticks;
    run_on(other, make_a_timer, &foreign);
    run_on(other, use_a_foreign_timer, own);
    CHECK_OK(llam_detach(spawn_ok(use_a_foreign_timer, foreign)));
    run_here();
    CHECK_OK(llam_timer_wait(own, &ticks));
    CHECK_OK(llam_timer_wait(foreign, &ticks));
    CHECK_EQ(ticks, 1);
    llam_runtime_destroy(other);
    CHECK_FAILS(llam_timer_wait_until(foreign, 1, &ticks), EXDEV);
    CHECK_FAILS(llam_timer_reset(foreign, 0, 1), EXDEV);
    CHECK_FAILS(llam_timer_cancel(foreign), EXDEV);
    CHECK_OK(llam_timer_destroy(foreign));
    CHECK_OK(llam_timer_destroy(own));
    llam_runtime_shutdown();
}

/* ---- Ticks ---- */

/* Ticks of the grid that are due at `now`. */
static uint64_t due(uint64_t now, uint64_t first, uint64_t interval) {
    return now < first ? 0 : (now - first) / interval + 1;
}

static void count_ticks(void *arg) {
    (void)arg;
    const uint64_t interval = CHECK_MS, first = after_ms(2);
    llam_timer_t *timer = timer_at(first, interval);
    uint64_t total = 0, ticks = 0;
    for (int i = 0; i < 15; i++) {
        if (i % 4 == 3) CHECK_OK(llam_sleep_ns(5 * CHECK_MS));
        uint64_t before = llam_now_ns();
        errno_marked();
        CHECK_OK(llam_timer_wait(timer, &ticks));
        CHECK_ERRNO_KEPT();
        uint64_t after = llam_now_ns();
        CHECK(ticks >= 1);
        total += ticks;
        /* Never early, none lost, none twice, and the grid is kept. */
        CHECK(after >= first + (total - 1) * interval);
        CHECK(total >= due(before, first, interval));
        CHECK(total <= due(after, first, interval));
        if (i % 4 == 3) CHECK(ticks >= 5);
    }
    CHECK_OK(llam_timer_destroy(timer));
}

/* Appendix A: "Timer: ticks are counted, not queued." abi.md 4.5: the phase is kept. */
TEST(ticks_are_counted_on_the_grid) {
    run_task(count_ticks, NULL);
    init_default(0);
    count_ticks(NULL);
    llam_runtime_shutdown();
}

static void wait_on_time(void *arg) {
    (void)arg;
    uint64_t ticks = 9, now = llam_now_ns();
    llam_timer_t *past = timer_at(now - 95 * CHECK_MS, 10 * CHECK_MS);
    CHECK_OK(llam_timer_wait_until(past, 1, &ticks));
    CHECK(ticks >= 10 && ticks <= due(llam_now_ns(), now - 95 * CHECK_MS, 10 * CHECK_MS));
    CHECK_OK(llam_timer_destroy(past));
    /* First deadline 0 means now; an interval that never comes gives one tick only. */
    llam_timer_t *once = timer_at(0, UINT64_MAX);
    CHECK_FAILS(llam_timer_wait_until(once, 0, &ticks), ETIMEDOUT);
    CHECK_EQ(ticks, 0);
    CHECK_OK(llam_timer_wait_until(once, 1, &ticks));
    CHECK_EQ(ticks, 1);
    uint64_t deadline = after_ms(3);
    CHECK_FAILS(llam_timer_wait_until(once, deadline, &ticks), ETIMEDOUT);
    CHECK(llam_now_ns() >= deadline);
    CHECK_EQ(ticks, 0);
    CHECK_FAILS(llam_timer_wait_until(once, 1, &ticks), ETIMEDOUT);
    CHECK_FAILS(llam_timer_wait_until(once, llam_now_ns() - 1, &ticks), ETIMEDOUT);
    CHECK_OK(llam_timer_destroy(once));
    llam_timer_t *never = timer_at(UINT64_MAX, 1);
    CHECK_FAILS(llam_timer_wait_until(never, after_ms(2), &ticks), ETIMEDOUT);
    CHECK_OK(llam_timer_destroy(never));
    /* The short form: the first tick is due one interval from now. */
    llam_timer_t *later;
    uint64_t start = llam_now_ns();
    CHECK_OK(llam_timer_create(4 * CHECK_MS, &later));
    CHECK_OK(llam_timer_wait(later, &ticks));
    CHECK(llam_now_ns() >= start + ticks * 4 * CHECK_MS);
    CHECK_OK(llam_timer_destroy(later));
}

/* abi.md 4.5, 5.2: due ticks are taken with an expired deadline, but not with deadline 0. */
TEST(due_ticks_are_taken_whatever_the_deadline) {
    run_task(wait_on_time, NULL);
    init_default(0);
    wait_on_time(NULL);
    llam_runtime_shutdown();
}

static void cancel_and_reset(void *arg) {
    (void)arg;
    uint64_t ticks = 9;
    llam_timer_t *timer = timer_at(0, 1000);
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    errno_marked();
    CHECK_OK(llam_timer_cancel(timer));
    CHECK_OK(llam_timer_cancel(timer));
    CHECK_ERRNO_KEPT();
    CHECK_FAILS(llam_timer_wait(timer, &ticks), ECANCELED);
    CHECK_EQ(ticks, 0);
    CHECK_FAILS(llam_timer_wait_until(timer, 1, &ticks), ECANCELED);
    CHECK_FAILS(llam_timer_wait_until(timer, 0, &ticks), ETIMEDOUT);
    CHECK_FAILS(llam_timer_reset(timer, 0, 0), EINVAL);
    CHECK_FAILS(llam_timer_wait(timer, &ticks), ECANCELED);
    CHECK_OK(llam_timer_reset(timer, 0, UINT64_MAX));
    CHECK_OK(llam_timer_wait_until(timer, 1, &ticks));
    CHECK_EQ(ticks, 1);
    CHECK_OK(llam_timer_reset(timer, 0, 1000));
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    /* Due ticks are forgotten. */
    CHECK_OK(llam_timer_reset(timer, after_ms(60000), CHECK_MS));
    CHECK_FAILS(llam_timer_wait_until(timer, after_ms(2), &ticks), ETIMEDOUT);
    CHECK_OK(llam_timer_destroy(timer));
}

/* Appendix A: "cancelled timers fail even with ticks due; reset revives." */
TEST(a_cancelled_timer_is_revived_by_a_reset) {
    run_task(cancel_and_reset, NULL);
    init_default(0);
    cancel_and_reset(NULL);
    llam_runtime_shutdown();
}

/* ---- Waiters ---- */

struct waiting {
    llam_timer_t *timer;
    counter ticks, timeouts, cancelled;
    uint64_t deadline;
};

static void *wait_on_a_thread(void *arg) {
    struct waiting *waiting = arg;
    uint64_t ticks = 0;
    check_errno_set(0);
    if (llam_timer_wait_until(waiting->timer, waiting->deadline, &ticks) == 0) {
        CHECK(ticks >= 1);
        atomic_fetch_add(&waiting->ticks, (int)ticks);
    } else if (check_errno_get() == ETIMEDOUT) {
        CHECK(llam_now_ns() >= waiting->deadline);
        atomic_fetch_add(&waiting->timeouts, 1);
    } else {
        CHECK_EQ(check_errno_get(), ECANCELED);
        atomic_fetch_add(&waiting->cancelled, 1);
    }
    return NULL;
}

static void wait_in_a_task(void *arg) { wait_on_a_thread(arg); }

/* abi.md 4.5: each tick goes to exactly one of several waiters, tasks and host threads. */
TEST(a_tick_goes_to_one_of_the_waiters) {
    static struct waiting waiting;
    init_default(0);
    waiting.timer = timer_at(after_ms(20), UINT64_MAX / 4);
    waiting.deadline = after_ms(60);
    pthread_t threads[3];
    for (int i = 0; i < 5; i++) CHECK_OK(llam_detach(spawn_ok(wait_in_a_task, &waiting)));
    for (int i = 0; i < 3; i++)
        CHECK_OK(pthread_create(&threads[i], NULL, wait_on_a_thread, &waiting));
    run_here();
    for (int i = 0; i < 3; i++) CHECK_OK(pthread_join(threads[i], NULL));
    CHECK_EQ(atomic_load(&waiting.ticks), 1);
    CHECK_EQ(atomic_load(&waiting.timeouts), 7);
    CHECK_OK(llam_timer_destroy(waiting.timer));
    llam_runtime_shutdown();
}

/* Starts one waiting task and one waiting host thread, and waits until both are inside. */
static void start_waiters(struct waiting *waiting, llam_task_t **task, pthread_t *thread) {
    waiting->deadline = UINT64_MAX;
    *task = spawn_ok(wait_in_a_task, waiting);
    AWAIT(in_state(*task, "PARKED"));
    CHECK_FAILS(llam_timer_destroy(waiting->timer), EBUSY);
    CHECK_OK(pthread_create(thread, NULL, wait_on_a_thread, waiting));
}

/* abi.md 4.5: cancel and reset wake the waiters; destroy is EBUSY while a wait is inside. */
TEST(cancel_and_reset_reach_the_waiters) {
    static struct waiting waiting;
    init_default(0);
    counter gate = 0;
    llam_task_t *keeper = spawn_ok(until_set, &gate), *task;
    pthread_t thread;
    struct run run;
    run_start(&run, NULL);
    waiting.timer = timer_at(after_ms(600000), CHECK_MS);
    start_waiters(&waiting, &task, &thread);
    CHECK_OK(llam_timer_cancel(waiting.timer));
    CHECK_OK(llam_join(task));
    CHECK_OK(pthread_join(thread, NULL));
    CHECK_EQ(atomic_load(&waiting.cancelled), 2);
    CHECK_OK(llam_timer_reset(waiting.timer, after_ms(600000), CHECK_MS));
    start_waiters(&waiting, &task, &thread);
    CHECK_OK(llam_timer_reset(waiting.timer, after_ms(1), CHECK_MS));
    CHECK_OK(llam_join(task));
    CHECK_OK(pthread_join(thread, NULL));
    CHECK_EQ(atomic_load(&waiting.cancelled), 2);
    CHECK(atomic_load(&waiting.ticks) >= 2);
    CHECK_OK(llam_timer_destroy(waiting.timer));
    atomic_store(&gate, 1);
    CHECK_OK(llam_join(keeper));
    run_finish(&run);
    llam_runtime_shutdown();
}

static void postpone(void *arg) {
    struct waiting *waiting = arg;
    waiting->deadline = UINT64_MAX;
    waiting->timer = timer_at(after_ms(20), UINT64_MAX / 4);
    llam_task_t *task = spawn_ok(wait_in_a_task, waiting);
    AWAIT(in_state(task, "PARKED") || in_state(task, "DEAD"));
    uint64_t later = after_ms(40);
    CHECK_OK(llam_timer_reset(waiting->timer, later, UINT64_MAX / 4));
    CHECK_OK(llam_join(task));
    if (atomic_load(&waiting->ticks) == 1 && llam_now_ns() < later) {
        /* The first deadline came before the reset: the second is still to come. */
        uint64_t ticks;
        CHECK_OK(llam_timer_wait(waiting->timer, &ticks));
    }
    CHECK(llam_now_ns() >= later);
    CHECK_OK(llam_timer_destroy(waiting->timer));
}

/* abi.md 4.5: a reset to a later deadline holds for those who wait already. */
TEST(a_reset_may_postpone) {
    static struct waiting waiting;
    run_task(postpone, &waiting);
}

static void wait_cancelled(void *arg) {
    struct waiting *waiting = arg;
    uint64_t ticks;
    CHECK_FAILS(llam_timer_wait(waiting->timer, &ticks), ECANCELED);
    CHECK_FAILS(llam_timer_wait_until(waiting->timer, after_ms(60000), &ticks), ECANCELED);
    CHECK_FAILS(llam_timer_wait_until(waiting->timer, 1, &ticks), ETIMEDOUT);
    CHECK_OK(llam_timer_reset(waiting->timer, 0, UINT64_MAX));
    CHECK_OK(llam_timer_wait(waiting->timer, &ticks));
    CHECK_EQ(ticks, 1);
}

static void wait_in_a_cancelled_task(void *arg) {
    struct waiting *waiting = arg;
    waiting->timer = timer_at(after_ms(600000), CHECK_MS);
    run_cancelled(wait_cancelled, waiting);
    CHECK_OK(llam_timer_destroy(waiting->timer));
}

/* abi.md 5.3: in a cancelled task due ticks are taken, waiting is ECANCELED, expired ETIMEDOUT. */
TEST(a_cancelled_task_takes_due_ticks_only) {
    static struct waiting waiting;
    run_task(wait_in_a_cancelled_task, &waiting);
}

struct crowd {
    llam_timer_t *timer;
    _Atomic uint64_t total;
    counter over;
};

static void take_ticks(void *arg) {
    struct crowd *crowd = arg;
    uint64_t ticks;
    while (!atomic_load(&crowd->over)) {
        if (llam_timer_wait_until(crowd->timer, after_ms(2), &ticks) == 0)
            atomic_fetch_add(&crowd->total, ticks);
    }
}

/* abi.md 4.5: among many waiters no tick is lost and none is given twice. */
TEST(many_waiters_share_the_ticks) {
    static struct crowd crowd;
    const uint64_t interval = 200000;
    init_default(0);
    uint64_t first = after_ms(1), ticks = 0;
    crowd.timer = timer_at(first, interval);
    for (int i = 0; i < 20; i++) CHECK_OK(llam_detach(spawn_ok(take_ticks, &crowd)));
    struct run run;
    run_start(&run, NULL);
    CHECK_OK(llam_sleep_ns(60 * CHECK_MS));
    atomic_store(&crowd.over, 1);
    run_finish(&run);
    uint64_t before = llam_now_ns();
    CHECK_OK(llam_timer_wait(crowd.timer, &ticks));
    uint64_t after = llam_now_ns(), total = atomic_load(&crowd.total) + ticks;
    CHECK(total >= due(before, first, interval));
    CHECK(total <= due(after, first, interval));
    CHECK_OK(llam_timer_destroy(crowd.timer));
    llam_runtime_shutdown();
}

MAIN
