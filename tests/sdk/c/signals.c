/* Signal sets. Covers abi.md 4.6, R2, R4, R5, R7 for signal sets (Linux). Each test makes its sets
 * before the runtime and any thread, so that every thread has the signals blocked.
 */
#include "scheduling.h"

static llam_signal_set_t *set_of(int first, int second) {
    const int numbers[2] = {first, second};
    llam_signal_set_t *set = NULL;
    CHECK_OK(llam_signal_set_create_ex(numbers, second != 0 ? 2 : 1, NULL, 0, &set));
    CHECK(set != NULL);
    return set;
}

static int is_blocked(int number) {
    sigset_t mask;
    CHECK_OK(pthread_sigmask(SIG_SETMASK, NULL, &mask));
    return sigismember(&mask, number);
}

static int is_pending(int number) {
    sigset_t pending;
    CHECK_OK(sigpending(&pending));
    return sigismember(&pending, number);
}

static void send_self(int number) { CHECK_OK(kill(getpid(), number)); }

static void check_event(const llam_signal_event_t *event, int number, uint64_t sequence) {
    CHECK_EQ(event->signo, number);
    CHECK_EQ(event->sequence, sequence);
    CHECK_EQ(event->reserved0, 0);
}

static void check_zero_event(const llam_signal_event_t *event) { check_event(event, 0, 0); }

/* ---- Creating ---- */

#define REFUSED(call, code)                                                                      \
    do {                                                                                         \
        set = (llam_signal_set_t *)&opts;                                                        \
        CHECK_FAILS(call, code);                                                                 \
        CHECK_PTR(set, NULL);                                                                    \
    } while (0)

/* abi.md 4.6: the errors of create, in order; *out is cleared. */
TEST(bad_sets_are_refused) {
    llam_signal_opts_t opts = {.flags = 0};
    llam_signal_set_t *set;
    int numbers[17];
    for (int i = 0; i < 17; i++) numbers[i] = SIGRTMIN + i;
    CHECK_FAILS(llam_signal_set_create_ex(NULL, 0, &opts, 0, NULL), EINVAL);
    CHECK_FAILS(llam_signal_set_create_ex(numbers, 1, NULL, 0, NULL), EINVAL);
    REFUSED(llam_signal_set_create_ex(numbers, 1, &opts, 0, &set), EINVAL);
    opts.flags = 1;
    REFUSED(llam_signal_set_create_ex(numbers, 1, &opts, 0, &set), EINVAL);
    REFUSED(llam_signal_set_create_ex(numbers, 1, &opts, sizeof opts, &set), ENOTSUP);
    REFUSED(llam_signal_set_create_ex(NULL, 0, &opts, sizeof opts, &set), ENOTSUP);
    opts.flags = 0;
    REFUSED(llam_signal_set_create_ex(NULL, 1, &opts, sizeof opts, &set), EINVAL);
    REFUSED(llam_signal_set_create_ex(numbers, 0, NULL, 0, &set), EINVAL);
    REFUSED(llam_signal_set_create_ex(numbers, 17, NULL, 0, &set), EINVAL);
    REFUSED(llam_signal_set_create_ex(numbers, SIZE_MAX, NULL, 0, &set), EINVAL);
    const int bad[] = {0, -1, -15, NSIG, NSIG + 1, 100000, SIGKILL, SIGSTOP};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int pair[2] = {SIGUSR1, bad[i]};
        REFUSED(llam_signal_set_create_ex(&bad[i], 1, NULL, 0, &set), EINVAL);
        REFUSED(llam_signal_set_create_ex(pair, 2, NULL, 0, &set), EINVAL);
    }
    const int twice[3] = {SIGUSR1, SIGUSR2, SIGUSR1};
    REFUSED(llam_signal_set_create_ex(twice, 3, NULL, 0, &set), EINVAL);
    /* What failed has subscribed to nothing; 16 signals are the most. */
    CHECK_OK(llam_signal_set_destroy(set_of(SIGUSR1, SIGUSR2)));
    CHECK_OK(llam_signal_set_create_ex(numbers, 16, &opts, sizeof opts, &set));
    CHECK_OK(llam_signal_set_destroy(set));
}

/* abi.md 1.4: flags that the size cuts are 0; a tail and reserved fields are ignored. */
TEST(signal_options_may_be_cut) {
    struct {
        llam_signal_opts_t opts;
        unsigned char tail[64];
    } big;
    memset(&big, 0xA5, sizeof big);
    llam_signal_set_t *set;
    llam_signal_opts_t opts;
    const int number = SIGUSR1;
    for (size_t size = 1; size <= sizeof big; size++) {
        if (size < 4) {
            CHECK_OK(llam_signal_set_create_ex(&number, 1, &big.opts, size, &set));
            CHECK_OK(llam_signal_set_destroy(set));
        } else {
            REFUSED(llam_signal_set_create_ex(&number, 1, &big.opts, size, &set), ENOTSUP);
        }
    }
    big.opts.flags = 0;
    CHECK_OK(llam_signal_set_create_ex(&number, 1, &big.opts, sizeof big, &set));
    CHECK_OK(llam_signal_set_destroy(set));
}

static void make_a_set(void *arg) { *(llam_signal_set_t **)arg = set_of(SIGUSR2, 0); }

/* Appendix A: "Two signal sets with the same signal: the second create is EBUSY; after destroying
 * the first it works." abi.md 4.6: also sets of different runtimes. */
TEST(a_signal_belongs_to_one_set) {
    llam_signal_opts_t opts;
    llam_signal_set_t *set, *first = set_of(SIGUSR1, SIGUSR2), *foreign = NULL;
    const int overlap[2] = {SIGRTMIN, SIGUSR2}, rest = SIGRTMIN;
    REFUSED(llam_signal_set_create_ex(overlap, 2, NULL, 0, &set), EBUSY);
    CHECK_OK(llam_signal_set_create_ex(&rest, 1, NULL, 0, &set));
    CHECK_OK(llam_signal_set_destroy(set));
    CHECK_OK(llam_signal_set_destroy(first));
    CHECK_OK(llam_signal_set_create_ex(overlap, 2, NULL, 0, &set));
    CHECK_OK(llam_signal_set_destroy(set));
    llam_runtime_t *other = runtime_new(1);
    run_on(other, make_a_set, &foreign);
    REFUSED(llam_signal_set_create_ex(overlap, 2, NULL, 0, &set), EBUSY);
    CHECK_OK(llam_signal_set_destroy(foreign));
    CHECK_OK(llam_signal_set_create_ex(overlap, 2, NULL, 0, &set));
    CHECK_OK(llam_signal_set_destroy(set));
    llam_runtime_destroy(other);
}

/* abi.md 4.6: create blocks the signals in the calling thread, destroy unblocks them. */
TEST(a_set_blocks_its_signals_in_the_calling_thread) {
    CHECK(!is_blocked(SIGUSR1) && !is_blocked(SIGUSR2));
    llam_signal_set_t *set = set_of(SIGUSR1, SIGUSR2);
    CHECK(is_blocked(SIGUSR1) && is_blocked(SIGUSR2));
    CHECK(!is_blocked(SIGTERM));
    CHECK_OK(llam_signal_set_destroy(set));
    CHECK(!is_blocked(SIGUSR1) && !is_blocked(SIGUSR2));
}

static counter handled;
static void handle(int number) { atomic_fetch_add(&handled, number); }

/* abi.md 4.6: a destroyed set ends the subscription: a handler that was there works again. */
TEST(a_handler_works_again_after_the_set) {
    struct sigaction action = {.sa_handler = handle};
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    llam_signal_set_t *set = set_of(SIGUSR1, 0);
    llam_signal_event_t event;
    init_default(1);
    send_self(SIGUSR1);
    CHECK_OK(llam_signal_wait(set, &event));
    CHECK_EQ(atomic_load(&handled), 0);
    llam_runtime_shutdown();
    CHECK_OK(llam_signal_set_destroy(set));
    send_self(SIGUSR1);
    AWAIT(atomic_load(&handled) == SIGUSR1);
}

/* ---- Handles and owners ---- */

static void check_no_set(llam_signal_set_t *set) {
    llam_signal_event_t event;
    memset(&event, 0x5A, sizeof event);
    CHECK_FAILS(llam_signal_wait(set, NULL), EINVAL);
    CHECK_FAILS(llam_signal_wait(set, &event), EINVAL);
    check_zero_event(&event);
    CHECK_FAILS(llam_signal_wait_until(set, 0, &event), EINVAL);
    CHECK_FAILS(llam_signal_set_destroy(set), EINVAL);
}

static void check_no_sets(void *arg) {
    llam_mutex_t *mutex = llam_mutex_create();
    check_no_set(NULL);
    check_no_set(arg);
    check_no_set((llam_signal_set_t *)mutex);
    check_no_set((llam_signal_set_t *)(uintptr_t)11);
    CHECK_OK(llam_mutex_destroy(mutex));
}

/* R1, R7: dead sets are EINVAL, after many new ones too; the event is zeroed. */
TEST(a_dead_set_is_invalid) {
    llam_signal_set_t *dead = set_of(SIGUSR1, 0);
    CHECK_OK(llam_signal_set_destroy(dead));
    for (int i = 0; i < 64; i++) {
        llam_signal_set_t *later = set_of(SIGUSR1, 0);
        CHECK(later != dead);
        check_no_set(dead);
        CHECK_OK(llam_signal_set_destroy(later));
    }
    check_no_sets(dead);
    run_task(check_no_sets, dead);
}

static void wait_for_a_foreign_set(void *arg) {
    llam_signal_event_t event;
    CHECK_FAILS(llam_signal_wait(arg, NULL), EINVAL);
    CHECK_FAILS(llam_signal_wait(arg, &event), EXDEV);
    CHECK_FAILS(llam_signal_wait_until(arg, 0, &event), EXDEV);
    CHECK_FAILS(llam_signal_set_destroy(arg), EXDEV);
}

/* R2, R4: EINVAL while the default runtime is not live, EXDEV from foreign tasks and of a destroyed
 * runtime; destroy works from a host thread in every state. */
TEST(a_set_belongs_to_its_runtime) {
    llam_signal_set_t *own = set_of(SIGUSR1, 0), *foreign = NULL;
    llam_signal_event_t event;
    memset(&event, 0x5A, sizeof event);
    send_self(SIGUSR1);
    CHECK_FAILS(llam_signal_wait(own, &event), EINVAL);
    check_zero_event(&event);
    CHECK_FAILS(llam_signal_wait_until(own, 0, &event), EINVAL);
    init_default(1);
    llam_runtime_t *other = runtime_new(1);
    run_on(other, make_a_set, &foreign);
    run_on(other, wait_for_a_foreign_set, own);
    CHECK_OK(llam_detach(spawn_ok(wait_for_a_foreign_set, foreign)));
    run_here();
    CHECK_OK(llam_signal_wait(own, &event));
    check_event(&event, SIGUSR1, 1);
    CHECK_FAILS(llam_signal_wait_until(foreign, after_ms(2), &event), ETIMEDOUT);
    llam_runtime_destroy(other);
    CHECK_FAILS(llam_signal_wait(foreign, &event), EXDEV);
    CHECK_FAILS(llam_signal_wait_until(foreign, 0, &event), EXDEV);
    llam_runtime_shutdown();
    CHECK_FAILS(llam_signal_wait(own, &event), EINVAL);
    CHECK_OK(llam_signal_set_destroy(foreign));
    CHECK_OK(llam_signal_set_destroy(own));
}

/* ---- Waiting ---- */

static void take_signals(void *arg) {
    llam_signal_set_t *set = arg;
    llam_signal_event_t event;
    send_self(SIGUSR1);
    CHECK_OK(llam_signal_wait(set, &event));
    uint64_t sequence = event.sequence;
    check_event(&event, SIGUSR1, sequence);
    for (uint64_t i = 1; i <= 10; i++) {
        int number = i % 2 ? SIGUSR2 : SIGUSR1;
        send_self(number);
        /* Identical signals are merged while pending. */
        if (i % 3 == 0) send_self(number);
        CHECK_OK(llam_signal_wait_until(set, after_ms(60000), &event));
        check_event(&event, number, sequence + i);
        CHECK_FAILS(llam_signal_wait_until(set, after_ms(1), &event), ETIMEDOUT);
        check_zero_event(&event);
    }
    /* Two different ones that are pending come one by one. */
    send_self(SIGUSR1);
    send_self(SIGUSR2);
    llam_signal_event_t second;
    CHECK_OK(llam_signal_wait(set, &event));
    CHECK_OK(llam_signal_wait(set, &second));
    CHECK_EQ(event.signo + second.signo, SIGUSR1 + SIGUSR2);
    CHECK_EQ(event.sequence, sequence + 11);
    CHECK_EQ(second.sequence, sequence + 12);
}

/* abi.md 4.6: a wait takes one pending signal; the sequence counts from 1, per set. */
TEST(signals_are_taken_and_counted) {
    llam_signal_set_t *set = set_of(SIGUSR1, SIGUSR2), *apart = set_of(SIGRTMIN, 0);
    llam_signal_event_t event;
    run_task(take_signals, set);
    init_default(0);
    take_signals(set);
    send_self(SIGRTMIN);
    CHECK_OK(llam_signal_wait(apart, &event));
    check_event(&event, SIGRTMIN, 1);
    send_self(SIGUSR1);
    CHECK_OK(llam_signal_wait(set, &event));
    check_event(&event, SIGUSR1, 27);
    llam_runtime_shutdown();
    CHECK_OK(llam_signal_set_destroy(set));
    CHECK_OK(llam_signal_set_destroy(apart));
    /* A new set counts from 1 again. */
    set = set_of(SIGUSR1, 0);
    init_default(0);
    send_self(SIGUSR1);
    CHECK_OK(llam_signal_wait(set, &event));
    check_event(&event, SIGUSR1, 1);
    llam_runtime_shutdown();
    CHECK_OK(llam_signal_set_destroy(set));
}

static void wait_expired(void *arg) {
    llam_signal_set_t *set = arg;
    llam_signal_event_t event;
    memset(&event, 0x5A, sizeof event);
    CHECK_FAILS(llam_signal_wait_until(set, 0, &event), ETIMEDOUT);
    check_zero_event(&event);
    CHECK_FAILS(llam_signal_wait_until(set, llam_now_ns() - 1, &event), ETIMEDOUT);
    CHECK(is_pending(SIGUSR1));
    CHECK_OK(llam_signal_wait_until(set, after_ms(60000), &event));
    CHECK_EQ(event.signo, SIGUSR1);
    CHECK(!is_pending(SIGUSR1));
    uint64_t deadline = after_ms(4);
    CHECK_FAILS(llam_signal_wait_until(set, deadline, &event), ETIMEDOUT);
    CHECK(llam_now_ns() >= deadline);
}

/* abi.md 4.6, 5.2: with an expired deadline ETIMEDOUT; the signal stays for the next call. */
TEST(an_expired_wait_leaves_the_signal_pending) {
    llam_signal_set_t *set = set_of(SIGUSR1, 0);
    send_self(SIGUSR1);
    run_task(wait_expired, set);
    init_default(0);
    send_self(SIGUSR1);
    wait_expired(set);
    llam_runtime_shutdown();
    CHECK_OK(llam_signal_set_destroy(set));
}

struct taking {
    llam_signal_set_t *set;
    counter taken, cancelled, inside;
};

static void take_one(void *arg) {
    struct taking *taking = arg;
    llam_signal_event_t event;
    CHECK_OK(llam_signal_wait(taking->set, &event));
    CHECK_EQ(event.signo, SIGUSR1);
    atomic_fetch_add(&taking->taken, 1);
}

static void give_to_waiters(void *arg) {
    struct taking *taking = arg;
    llam_task_t *waiters[4];
    for (int i = 0; i < 4; i++) waiters[i] = spawn_ok(take_one, taking);
    for (int i = 0; i < 4; i++) AWAIT(in_state(waiters[i], "PARKED"));
    CHECK_FAILS(llam_signal_set_destroy(taking->set), EBUSY);
    for (int i = 1; i <= 4; i++) {
        send_self(SIGUSR1);
        AWAIT(atomic_load(&taking->taken) == i);
    }
    for (int i = 0; i < 4; i++) CHECK_OK(llam_join(waiters[i]));
    CHECK_OK(llam_signal_set_destroy(taking->set));
}

/* abi.md 4.6: a signal wakes one waiter; destroy is EBUSY while somebody waits. */
TEST(a_signal_goes_to_one_waiter) {
    static struct taking taking;
    taking.set = set_of(SIGUSR1, 0);
    run_task(give_to_waiters, &taking);
}

static void *take_on_a_thread(void *arg) {
    take_one(arg);
    return NULL;
}

/* abi.md 4.6: on a host thread: blocks; same results. */
TEST(a_host_thread_waits_for_a_signal) {
    static struct taking taking;
    taking.set = set_of(SIGUSR1, 0);
    init_default(0);
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, take_on_a_thread, &taking));
    send_self(SIGUSR1);
    CHECK_OK(pthread_join(thread, NULL));
    CHECK_EQ(atomic_load(&taking.taken), 1);
    CHECK_OK(llam_signal_set_destroy(taking.set));
    llam_runtime_shutdown();
}

/* ---- Cancelling ---- */

static void wait_until_cancelled(void *arg) {
    struct taking *taking = arg;
    llam_signal_event_t event;
    memset(&event, 0x5A, sizeof event);
    CHECK_FAILS(llam_signal_wait(taking->set, &event), ECANCELED);
    check_zero_event(&event);
    CHECK_FAILS(llam_signal_wait_until(taking->set, after_ms(60000), &event), ECANCELED);
    CHECK_FAILS(llam_signal_wait_until(taking->set, 0, &event), ETIMEDOUT);
    atomic_fetch_add(&taking->cancelled, 1);
}

static void cancel_signal_waits(void *arg) {
    struct taking *taking = arg;
    llam_signal_event_t event;
    llam_cancel_token_t *token = token_new();
    llam_task_t *waiter = spawn_with_token(wait_until_cancelled, taking, token);
    AWAIT(in_state(waiter, "PARKED"));
    CHECK_OK(llam_cancel_token_cancel(token));
    CHECK_OK(llam_join(waiter));
    CHECK_OK(llam_cancel_token_destroy(token));
    run_cancelled(wait_until_cancelled, taking);
    send_self(SIGUSR1);
    CHECK_OK(llam_signal_wait(taking->set, &event));
    check_event(&event, SIGUSR1, 1);
    /* abi.md 4.6: cancelled before the wait began: ECANCELED, and no signal is consumed. */
    send_self(SIGUSR1);
    run_cancelled(wait_until_cancelled, taking);
    CHECK(is_pending(SIGUSR1));
    CHECK_OK(llam_signal_wait(taking->set, &event));
    check_event(&event, SIGUSR1, 2);
    waiter = spawn_ok(wait_until_cancelled, taking);
    AWAIT(in_state(waiter, "PARKED"));
    CHECK_OK(llam_runtime_request_stop());
}

/* abi.md 4.6, 5.3: a token and a stop end the wait, and consume no signal. */
TEST(a_cancelled_wait_takes_no_signal) {
    static struct taking taking;
    taking.set = set_of(SIGUSR1, 0);
    run_task(cancel_signal_waits, &taking);
    CHECK_EQ(atomic_load(&taking.cancelled), 4);
    CHECK_OK(llam_signal_set_destroy(taking.set));
}

struct signal_race {
    llam_signal_set_t *set;
    llam_cancel_token_t *token;
    int taken;
};

static void take_or_be_cancelled(void *arg) {
    struct signal_race *race = arg;
    llam_signal_event_t event;
    check_errno_set(0);
    race->taken = llam_signal_wait(race->set, &event) == 0;
    if (!race->taken) {
        CHECK_EQ(check_errno_get(), ECANCELED);
        check_zero_event(&event);
    }
}

static void *cancel_the_race(void *arg) {
    CHECK_OK(llam_cancel_token_cancel(((struct signal_race *)arg)->token));
    return NULL;
}

static void race_signals(void *arg) {
    struct signal_race *race = arg;
    uint64_t sequence = 0;
    for (int i = 0; i < 100; i++) {
        llam_signal_event_t event;
        race->token = token_new();
        llam_task_t *waiter = spawn_with_token(take_or_be_cancelled, race, race->token);
        if (i % 2) AWAIT(in_state(waiter, "PARKED"));
        pthread_t thread;
        CHECK_OK(pthread_create(&thread, NULL, cancel_the_race, race));
        send_self(SIGUSR1);
        CHECK_OK(llam_join(waiter));
        CHECK_OK(pthread_join(thread, NULL));
        CHECK_OK(llam_cancel_token_destroy(race->token));
        if (race->taken) {
            CHECK_FAILS(llam_signal_wait_until(race->set, after_ms(1), &event), ETIMEDOUT);
        } else {
            CHECK_OK(llam_signal_wait(race->set, &event));
            CHECK_EQ(event.sequence, sequence + 1);
        }
        sequence++;
    }
}

/* abi.md 4.6: a cancel that races with a signal: it is taken by exactly one wait. */
TEST(a_cancel_that_races_with_a_signal_loses_none) {
    static struct signal_race race;
    race.set = set_of(SIGUSR1, 0);
    run_task(race_signals, &race);
    CHECK_OK(llam_signal_set_destroy(race.set));
}

MAIN
