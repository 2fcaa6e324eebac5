/* Channels: abi.md 4.12, 5.6, the channel rows of 5.2 and 5.3, rules R1 to R8 for them, and the
 * channel lines of Appendix A "Channels and select". */
#include "sync.h"

/* A payload. */
static void *value(uintptr_t number) { return (void *)number; }

/* What *out holds before a receive, so that a call that forgets to clear it is seen. */
#define GARBAGE value(0xabadcafe)

#define CHECK_RECEIVED(call, expected)                                                           \
    do {                                                                                         \
        void *out = GARBAGE;                                                                     \
        CHECK_OK(call);                                                                          \
        CHECK_PTR(out, expected);                                                                \
    } while (0)

#define CHECK_NOT_RECEIVED(call, code)                                                           \
    do {                                                                                         \
        void *out = GARBAGE;                                                                     \
        CHECK_FAILS(call, code);                                                                 \
        CHECK_PTR(out, NULL);                                                                    \
    } while (0)

static llam_channel_t *make_channel(size_t capacity) {
    llam_channel_t *channel = llam_channel_create(capacity);
    if (channel == NULL) FAIL("no channel: errno %d", errno);
    return channel;
}

/* Every parking operation fails with this code. */
static void parking_calls_fail(llam_channel_t *channel, int code) {
    CHECK_FAILS(llam_channel_send(channel, value(1)), code);
    CHECK_FAILS(llam_channel_send_until(channel, value(1), 0), code);
    CHECK_FAILS(llam_channel_send_until(channel, value(1), UINT64_MAX), code);
    CHECK_NOT_RECEIVED(llam_channel_recv_result(channel, &out), code);
    CHECK_NOT_RECEIVED(llam_channel_recv_until_result(channel, 0, &out), code);
    CHECK_NOT_RECEIVED(llam_channel_recv_until_result(channel, UINT64_MAX, &out), code);
    CHECK_NULL(llam_channel_recv(channel), code);
    CHECK_NULL(llam_channel_recv_until(channel, 0), code);
    CHECK_NULL(llam_channel_recv_until(channel, UINT64_MAX), code);
}

static void all_fail(llam_channel_t *channel, int code) {
    parking_calls_fail(channel, code);
    CHECK_FAILS(llam_channel_try_send(channel, value(1)), code);
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), code);
    CHECK_FAILS(llam_channel_close(channel), code);
    CHECK_FAILS(llam_channel_destroy(channel), code);
}

static void out_null(llam_channel_t *channel) {
    CHECK_FAILS(llam_channel_recv_result(channel, NULL), EINVAL);
    CHECK_FAILS(llam_channel_recv_until_result(channel, 0, NULL), EINVAL);
    CHECK_FAILS(llam_channel_recv_until_result(channel, UINT64_MAX, NULL), EINVAL);
    CHECK_FAILS(llam_channel_try_recv_result(channel, NULL), EINVAL);
}

static void bad_arguments(void *arg) {
    llam_channel_t *channel = make_channel(1);
    llam_mutex_t *mutex = llam_mutex_create();
    out_null(channel);
    out_null(NULL);
    all_fail(NULL, EINVAL);
    all_fail((llam_channel_t *)mutex, EINVAL);
    for (size_t i = 0; i < FORGED_VALUES; i++) all_fail(forged(i), EINVAL);
    llam_channel_t *dead = make_channel(2);
    CHECK_OK(llam_channel_destroy(dead));
    for (int i = 0; i < 64; i++) {
        llam_channel_t *other = make_channel(2);
        CHECK(other != dead);
        all_fail(dead, EINVAL);
        CHECK_OK(llam_channel_destroy(other));
    }
    CHECK_OK(llam_mutex_destroy(mutex));
    CHECK_OK(llam_channel_destroy(channel));
    if (arg != NULL) run_cancelled(bad_arguments, NULL);
}

/* R1, R7, and R3: arguments come before the context. Appendix A: *out is NULL after every failed
 * receive, even for a NULL channel; a destroyed channel: every operation EINVAL, after 64 new
 * channels too. */
TEST(bad_arguments_are_einval_everywhere) {
    int in_task = 1;
    bad_arguments(NULL);
    run_task(bad_arguments, &in_task);
    bad_arguments(NULL);
}

/* Appendix A: a dead value stays dead when the new channels live on. */
TEST(a_destroyed_channel_stays_dead_after_64_live_ones) {
    llam_channel_t *dead = make_channel(1), *alive[64];
    CHECK_OK(llam_channel_destroy(dead));
    for (int i = 0; i < 64; i++) alive[i] = make_channel(1);
    all_fail(dead, EINVAL);
    for (int i = 0; i < 64; i++) {
        CHECK(alive[i] != dead);
        CHECK_OK(llam_channel_destroy(alive[i]));
    }
}

/* Appendix A: capacity 0 EINVAL; capacity SIZE_MAX/2 + 1 and + 2 ENOMEM (4.12: as any above
 * SIZE_MAX / 2, and sizes that overflow). */
TEST(impossible_capacities_are_refused) {
    CHECK_NULL(llam_channel_create(0), EINVAL);
    CHECK_NULL(llam_channel_create(SIZE_MAX / 2 + 1), ENOMEM);
    CHECK_NULL(llam_channel_create(SIZE_MAX / 2 + 2), ENOMEM);
    CHECK_NULL(llam_channel_create(SIZE_MAX / 4 * 3), ENOMEM);
    CHECK_NULL(llam_channel_create(SIZE_MAX / sizeof(void *) + 1), ENOMEM);
    CHECK_NULL(llam_channel_create(SIZE_MAX - 1), ENOMEM);
    CHECK_NULL(llam_channel_create(SIZE_MAX), ENOMEM);
}

/* R3 and R4. Appendix A: host thread: send and receive are ENOTSUP. 4.12: with a dead owner R4 wins
 * over EPIPE. */
TEST(a_host_thread_needs_a_live_default_runtime) {
    llam_channel_t *channel = make_channel(1);
    for (int life = 0; life < 2; life++) {
        parking_calls_fail(channel, ENOTSUP);
        CHECK_FAILS(llam_channel_try_send(channel, value(1)), ENOTSUP);
        CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), ENOTSUP);
        init_default(0);
        parking_calls_fail(channel, ENOTSUP);
        CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), EAGAIN);
        CHECK_OK(llam_channel_try_send(channel, value(7)));
        CHECK_RECEIVED(llam_channel_try_recv_result(channel, &out), value(7));
        llam_runtime_shutdown();
    }
    CHECK_OK(llam_channel_close(channel));
    CHECK_FAILS(llam_channel_try_send(channel, value(1)), ENOTSUP);
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), EPIPE);
    CHECK_OK(llam_channel_destroy(channel));
}

static void send_three(void *arg) {
    for (uintptr_t i = 1; i <= 3; i++) CHECK_OK(llam_channel_send(arg, value(i)));
}

/* Appendix A: values that tasks sent can be drained by the host after shutdown. 4.12: destroy is
 * EBUSY until they are. */
TEST(values_survive_the_runtime) {
    llam_channel_t *channel = make_channel(4);
    run_task(send_three, channel);
    CHECK_FAILS(llam_channel_destroy(channel), EBUSY);
    CHECK_FAILS(llam_channel_try_send(channel, value(9)), ENOTSUP);
    CHECK_RECEIVED(llam_channel_try_recv_result(channel, &out), value(1));
    CHECK_OK(llam_channel_close(channel));
    CHECK_FAILS(llam_channel_destroy(channel), EBUSY);
    CHECK_RECEIVED(llam_channel_try_recv_result(channel, &out), value(2));
    CHECK_RECEIVED(llam_channel_try_recv_result(channel, &out), value(3));
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), EPIPE);
    CHECK_OK(llam_channel_destroy(channel));
}

static void make_filled(void *arg) {
    llam_channel_t **made = arg;
    for (int i = 0; i < 3; i++) made[i] = make_channel(4);
    send_three(made[0]);
}

/* R4 with an explicit owner: everything while it is live, cleanup after it is gone. */
TEST(a_host_thread_and_an_explicit_owner) {
    llam_channel_t *made[3];
    llam_runtime_t *runtime = create_runtime();
    run_on(runtime, make_filled, made);
    parking_calls_fail(made[0], ENOTSUP);
    CHECK_OK(llam_channel_try_send(made[1], value(5)));
    CHECK_RECEIVED(llam_channel_try_recv_result(made[1], &out), value(5));
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(made[1], &out), EAGAIN);
    CHECK_OK(llam_channel_close(made[1]));
    CHECK_FAILS(llam_channel_try_send(made[1], value(5)), EPIPE);
    CHECK_OK(llam_channel_destroy(made[1]));
    llam_runtime_destroy(runtime);
    parking_calls_fail(made[0], ENOTSUP);
    CHECK_FAILS(llam_channel_try_send(made[0], value(9)), EXDEV);
    CHECK_FAILS(llam_channel_destroy(made[0]), EBUSY);
    for (uintptr_t i = 1; i <= 3; i++)
        CHECK_RECEIVED(llam_channel_try_recv_result(made[0], &out), value(i));
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(made[0], &out), ENOTSUP);
    CHECK_OK(llam_channel_close(made[2]));
    CHECK_FAILS(llam_channel_try_send(made[2], value(9)), EXDEV);
    CHECK_OK(llam_channel_destroy(made[2]));
    CHECK_OK(llam_channel_destroy(made[0]));
}

static void all_exdev(void *arg) { all_fail(arg, EXDEV); }

static void all_exdev_cancelled(void *arg) { run_cancelled(all_exdev, arg); }

/* R2: a task of another runtime gets EXDEV from every operation, without effect. */
TEST(a_task_of_another_runtime_gets_exdev) {
    llam_channel_t *made[3], *ours = make_channel(1);
    llam_runtime_t *runtime = create_runtime();
    run_on(runtime, make_filled, made);
    run_on(runtime, all_exdev, ours);
    run_task(all_exdev, made[0]);
    run_task(all_exdev_cancelled, made[0]);
    CHECK_OK(llam_channel_try_send(made[0], value(4)));
    for (uintptr_t i = 1; i <= 4; i++)
        CHECK_RECEIVED(llam_channel_try_recv_result(made[0], &out), value(i));
    llam_runtime_destroy(runtime);
    run_task(all_exdev, made[0]);
    for (int i = 0; i < 3; i++) CHECK_OK(llam_channel_destroy(made[i]));
    CHECK_OK(llam_channel_destroy(ours));
}

static void fill_and_drain(void *arg) {
    llam_channel_t *channel = make_channel(3);
    for (uintptr_t i = 1; i <= 3; i++) CHECK_OK(llam_channel_try_send(channel, value(i)));
    CHECK_FAILS(llam_channel_try_send(channel, value(4)), EAGAIN);
    for (uintptr_t i = 1; i <= 3; i++)
        CHECK_RECEIVED(llam_channel_try_recv_result(channel, &out), value(i));
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), EAGAIN);
    for (uintptr_t i = 0; i < 100; i++) {
        CHECK_OK(llam_channel_try_send(channel, value(i)));
        CHECK_OK(llam_channel_try_send(channel, value(i + 1)));
        CHECK_RECEIVED(llam_channel_try_recv_result(channel, &out), value(i));
        CHECK_RECEIVED(llam_channel_try_recv_result(channel, &out), value(i + 1));
    }
    CHECK_OK(llam_channel_destroy(channel));
    if (arg != NULL) run_cancelled(fill_and_drain, NULL);
}

/* Appendix A: capacity 3: three sends succeed, the fourth try gives EAGAIN; values come in order.
 * 5.3: a cancelled task may do the same. */
TEST(the_capacity_is_exact_and_the_order_kept) {
    int in_task = 1;
    init_default(0);
    fill_and_drain(NULL);
    CHECK_OK(llam_detach(spawn_ok(fill_and_drain, &in_task)));
    CHECK_OK(llam_run());
    llam_runtime_shutdown();
}

/* 4.12: every capacity is exact. */
TASK_TEST(capacities_of_many_sizes_are_exact) {
    (void)arg;
    const size_t sizes[] = {1, 2, 3, 5, 7, 8, 9, 63, 64, 65, 1000, 4097};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        llam_channel_t *channel = make_channel(sizes[i]);
        for (size_t n = 0; n < sizes[i]; n++)
            CHECK_OK(llam_channel_send_until(channel, value(n), 0));
        CHECK_FAILS(llam_channel_send_until(channel, value(1), 0), ETIMEDOUT);
        for (size_t n = 0; n < sizes[i]; n++)
            CHECK_RECEIVED(llam_channel_recv_until_result(channel, 0, &out), value(n));
        CHECK_NOT_RECEIVED(llam_channel_recv_until_result(channel, 0, &out), ETIMEDOUT);
        CHECK_OK(llam_channel_destroy(channel));
    }
}

/* Appendix A: llam_channel_recv of a NULL payload returns NULL with errno 0 (R8: both forms). */
TASK_TEST(a_null_payload_is_received_with_errno_0) {
    (void)arg;
    llam_channel_t *channel = make_channel(4);
    for (int i = 0; i < 3; i++) CHECK_OK(llam_channel_send(channel, NULL));
    errno = 99;
    CHECK_PTR(llam_channel_recv(channel), NULL);
    CHECK_EQ(errno, 0);
    errno = 99;
    CHECK_PTR(llam_channel_recv_until(channel, 0), NULL);
    CHECK_EQ(errno, 0);
    errno = 99;
    CHECK_RECEIVED(llam_channel_recv_result(channel, &out), NULL);
    CHECK_EQ(errno, 99);
    CHECK_OK(llam_channel_send(channel, value(3)));
    CHECK_PTR(llam_channel_recv(channel), value(3));
    CHECK_EQ(errno, 99);
    CHECK_NULL(llam_channel_recv_until(channel, 0), ETIMEDOUT);
    CHECK_OK(llam_channel_close(channel));
    CHECK_NULL(llam_channel_recv(channel), EPIPE);
    CHECK_NULL(llam_channel_recv_until(channel, 0), EPIPE);
    CHECK_OK(llam_channel_destroy(channel));
}

/* 4.12 and 5.6: close is idempotent; buffered values remain; EPIPE when empty. */
TASK_TEST(a_closed_channel_can_be_drained) {
    (void)arg;
    llam_channel_t *channel = make_channel(3);
    send_three(channel);
    CHECK_OK(llam_channel_close(channel));
    CHECK_OK(llam_channel_close(channel));
    CHECK_FAILS(llam_channel_send(channel, value(9)), EPIPE);
    CHECK_FAILS(llam_channel_send_until(channel, value(9), 0), EPIPE);
    CHECK_FAILS(llam_channel_try_send(channel, value(9)), EPIPE);
    CHECK_FAILS(llam_channel_destroy(channel), EBUSY);
    CHECK_RECEIVED(llam_channel_recv_result(channel, &out), value(1));
    CHECK_RECEIVED(llam_channel_recv_until_result(channel, 0, &out), value(2));
    CHECK_PTR(llam_channel_recv(channel), value(3));
    CHECK_NOT_RECEIVED(llam_channel_recv_result(channel, &out), EPIPE);
    CHECK_NOT_RECEIVED(llam_channel_recv_until_result(channel, 0, &out), EPIPE);
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), EPIPE);
    CHECK_FAILS(llam_channel_send(channel, value(9)), EPIPE);
    CHECK_OK(llam_channel_close(channel));
    CHECK_OK(llam_channel_destroy(channel));
}

static void full_and_empty(void *arg) {
    llam_channel_t *full = ((llam_channel_t **)arg)[0], *empty = ((llam_channel_t **)arg)[1];
    const uint64_t expired[] = {0, 1, llam_now_ns()};
    for (size_t i = 0; i < ARRAY_LENGTH(expired); i++) {
        CHECK_FAILS(llam_channel_send_until(full, value(2), expired[i]), ETIMEDOUT);
        CHECK_NOT_RECEIVED(llam_channel_recv_until_result(empty, expired[i], &out), ETIMEDOUT);
        CHECK_NULL(llam_channel_recv_until(empty, expired[i]), ETIMEDOUT);
    }
}

static void full_and_empty_cancelled(void *arg) {
    llam_channel_t *full = ((llam_channel_t **)arg)[0], *empty = ((llam_channel_t **)arg)[1];
    full_and_empty(arg);
    CHECK_FAILS(llam_channel_send(full, value(2)), ECANCELED);
    CHECK_FAILS(llam_channel_send_until(full, value(2), after_ms(60000)), ECANCELED);
    CHECK_NOT_RECEIVED(llam_channel_recv_result(empty, &out), ECANCELED);
    CHECK_NOT_RECEIVED(llam_channel_recv_until_result(empty, after_ms(60000), &out), ECANCELED);
    CHECK_NULL(llam_channel_recv(empty), ECANCELED);
    CHECK_NULL(llam_channel_recv_until(empty, after_ms(60000)), ECANCELED);
}

/* 5.2 and 5.3: what cannot be done at once: ETIMEDOUT when expired, else ECANCELED; nothing
 * changes. */
TASK_TEST(an_expired_or_cancelled_wait_changes_nothing) {
    (void)arg;
    llam_channel_t *pair[2] = {make_channel(1), make_channel(1)};
    CHECK_OK(llam_channel_send(pair[0], value(1)));
    full_and_empty(pair);
    run_cancelled(full_and_empty_cancelled, pair);
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(pair[1], &out), EAGAIN);
    CHECK_RECEIVED(llam_channel_try_recv_result(pair[0], &out), value(1));
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(pair[0], &out), EAGAIN);
    CHECK_OK(llam_channel_destroy(pair[0]));
    CHECK_OK(llam_channel_destroy(pair[1]));
}

static void complete_when_cancelled(void *arg) {
    llam_channel_t *channel = arg;
    CHECK_OK(llam_channel_send(channel, value(1)));
    CHECK_RECEIVED(llam_channel_recv_result(channel, &out), value(1));
    CHECK_OK(llam_channel_send_until(channel, value(2), 0));
    CHECK_RECEIVED(llam_channel_recv_until_result(channel, 0, &out), value(2));
    llam_channel_t *closed = make_channel(1);
    CHECK_OK(llam_channel_close(closed));
    CHECK_FAILS(llam_channel_send(closed, value(1)), EPIPE);
    CHECK_NOT_RECEIVED(llam_channel_recv_result(closed, &out), EPIPE);
    CHECK_OK(llam_channel_destroy(closed));
}

/* 5.3: what can complete at once completes in a cancelled task, EPIPE included. */
TASK_TEST(a_cancelled_task_completes_what_needs_no_wait) {
    (void)arg;
    llam_channel_t *channel = make_channel(1);
    run_cancelled(complete_when_cancelled, channel);
    CHECK_OK(llam_runtime_request_stop());
    complete_when_cancelled(channel);
    CHECK_OK(llam_channel_destroy(channel));
}

struct party {
    llam_channel_t *channel;
    uint64_t deadline_ns;
    void *payload;
    int outcome;
    uint64_t ended_ns;
};

static void receive_once(void *arg) {
    struct party *self = arg;
    self->payload = GARBAGE;
    errno = 66;
    self->outcome =
        llam_channel_recv_until_result(self->channel, self->deadline_ns, &self->payload);
    self->ended_ns = llam_now_ns();
    /* R8: errno is kept by a receive that parked and succeeded. */
    if (self->outcome == 0) CHECK_EQ(errno, 66);
    if (self->outcome != 0) {
        CHECK_PTR(self->payload, NULL);
        self->outcome = errno;
    }
}

static void send_once(void *arg) {
    struct party *self = arg;
    errno = 67;
    self->outcome = llam_channel_send_until(self->channel, self->payload, self->deadline_ns);
    self->ended_ns = llam_now_ns();
    if (self->outcome == 0) CHECK_EQ(errno, 67);
    if (self->outcome != 0) self->outcome = errno;
}

/* Spawns the party and waits until it is parked. */
static llam_task_t *start_party(struct party *self, llam_channel_t *channel, llam_task_fn fn,
                                void *payload, llam_cancel_token_t *token) {
    *self = (struct party){channel, UINT64_MAX, payload, -1, 0};
    llam_task_t *task = spawn_with_token(fn, self, token);
    await_parked(task);
    return task;
}

/* R5: never early. */
TASK_TEST(timed_waits_do_not_end_early) {
    (void)arg;
    llam_channel_t *channel = make_channel(1);
    uint64_t deadline = after_ms(20);
    struct party receiver = {channel, deadline, NULL, -1, 0};
    join_ok(spawn_ok(receive_once, &receiver));
    CHECK_EQ(receiver.outcome, ETIMEDOUT);
    CHECK(receiver.ended_ns >= deadline);
    CHECK_OK(llam_channel_send(channel, value(1)));
    deadline = after_ms(20);
    struct party sender = {channel, deadline, value(2), -1, 0};
    join_ok(spawn_ok(send_once, &sender));
    CHECK_EQ(sender.outcome, ETIMEDOUT);
    CHECK(sender.ended_ns >= deadline);
    CHECK_PTR(llam_channel_recv(channel), value(1));
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), EAGAIN);
    CHECK_OK(llam_channel_destroy(channel));
}

/* 5.6: parked receivers are served first come, first served; the value is handed over, so that the
 * channel stays empty. */
TASK_TEST(parked_receivers_are_served_in_order) {
    (void)arg;
    llam_channel_t *channel = make_channel(1);
    struct party parties[5];
    llam_task_t *tasks[5];
    for (int i = 0; i < 5; i++)
        tasks[i] = start_party(&parties[i], channel, receive_once, NULL, NULL);
    for (uintptr_t i = 0; i < 4; i++) {
        if (i % 2 == 0) CHECK_OK(llam_channel_send(channel, value(i + 1)));
        if (i % 2 != 0) CHECK_OK(llam_channel_try_send(channel, value(i + 1)));
        CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), EAGAIN);
    }
    for (uintptr_t i = 0; i < 4; i++) {
        join_ok(tasks[i]);
        CHECK_EQ(parties[i].outcome, 0);
        CHECK_PTR(parties[i].payload, value(i + 1));
    }
    CHECK_STR(llam_task_state_name(tasks[4]), "PARKED");
    CHECK_FAILS(llam_channel_destroy(channel), EBUSY);
    CHECK_OK(llam_channel_close(channel));
    join_ok(tasks[4]);
    CHECK_EQ(parties[4].outcome, EPIPE);
    CHECK_OK(llam_channel_destroy(channel));
}

/* 5.6: taking a value moves the first parked sender's value in at once; its call returns 0. */
TASK_TEST(parked_senders_are_served_in_order) {
    (void)arg;
    llam_channel_t *channel = make_channel(2);
    struct party parties[4];
    llam_task_t *tasks[4];
    CHECK_OK(llam_channel_send(channel, value(1)));
    CHECK_OK(llam_channel_send(channel, value(2)));
    for (uintptr_t i = 0; i < 4; i++)
        tasks[i] = start_party(&parties[i], channel, send_once, value(i + 3), NULL);
    for (uintptr_t i = 0; i < 4; i++) {
        if (i % 2 == 0) CHECK_PTR(llam_channel_recv(channel), value(i + 1));
        if (i % 2 != 0) CHECK_RECEIVED(llam_channel_try_recv_result(channel, &out), value(i + 1));
        CHECK_FAILS(llam_channel_try_send(channel, value(99)), EAGAIN);
        join_ok(tasks[i]);
        CHECK_EQ(parties[i].outcome, 0);
        if (i < 3) CHECK_STR(llam_task_state_name(tasks[i + 1]), "PARKED");
    }
    CHECK_PTR(llam_channel_recv(channel), value(5));
    CHECK_PTR(llam_channel_recv(channel), value(6));
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), EAGAIN);
    CHECK_OK(llam_channel_destroy(channel));
}

/* 5.6: close gives EPIPE to parked senders; their values are not put into the buffer. */
TASK_TEST(close_leaves_parked_values_with_their_senders) {
    (void)arg;
    llam_channel_t *channel = make_channel(1);
    struct party parties[3];
    llam_task_t *tasks[3];
    CHECK_OK(llam_channel_send(channel, value(1)));
    for (uintptr_t i = 0; i < 3; i++)
        tasks[i] = start_party(&parties[i], channel, send_once, value(i + 2), NULL);
    CHECK_OK(llam_channel_close(channel));
    for (int i = 0; i < 3; i++) {
        join_ok(tasks[i]);
        CHECK_EQ(parties[i].outcome, EPIPE);
    }
    CHECK_PTR(llam_channel_recv(channel), value(1));
    CHECK_NULL(llam_channel_recv(channel), EPIPE);
    CHECK_OK(llam_channel_destroy(channel));
}

/* 5.3: a cancelled receiver has taken nothing, a cancelled sender sent nothing, the others keep
 * their order. */
TASK_TEST(a_cancelled_party_leaves_the_channel_as_it_was) {
    (void)arg;
    llam_channel_t *channel = make_channel(1);
    llam_cancel_token_t *token = llam_cancel_token_create();
    struct party leaves, stays;
    llam_task_t *first = start_party(&leaves, channel, receive_once, NULL, token);
    llam_task_t *second = start_party(&stays, channel, receive_once, NULL, NULL);
    CHECK_OK(llam_cancel_token_cancel(token));
    join_ok(first);
    CHECK_EQ(leaves.outcome, ECANCELED);
    CHECK_OK(llam_cancel_token_destroy(token));
    CHECK_OK(llam_channel_send(channel, value(1)));
    join_ok(second);
    CHECK_PTR(stays.payload, value(1));
    token = llam_cancel_token_create();
    CHECK_OK(llam_channel_send(channel, value(2)));
    first = start_party(&leaves, channel, send_once, value(3), token);
    second = start_party(&stays, channel, send_once, value(4), NULL);
    CHECK_OK(llam_cancel_token_cancel(token));
    join_ok(first);
    CHECK_EQ(leaves.outcome, ECANCELED);
    CHECK_OK(llam_cancel_token_destroy(token));
    CHECK_PTR(llam_channel_recv(channel), value(2));
    CHECK_PTR(llam_channel_recv(channel), value(4));
    join_ok(second);
    CHECK_EQ(stays.outcome, 0);
    CHECK_OK(llam_channel_destroy(channel));
}

/* 5.1.4: a stop request cancels parked senders and receivers. */
TASK_TEST(a_stop_cancels_parked_parties) {
    (void)arg;
    llam_channel_t *full = make_channel(1), *empty = make_channel(1);
    struct party sender, receiver;
    CHECK_OK(llam_channel_send(full, value(1)));
    llam_task_t *first = start_party(&sender, full, send_once, value(2), NULL);
    llam_task_t *second = start_party(&receiver, empty, receive_once, NULL, NULL);
    CHECK_OK(llam_runtime_request_stop());
    await_state(first, "DEAD");
    await_state(second, "DEAD");
    CHECK_OK(llam_join(first));
    CHECK_OK(llam_join(second));
    CHECK_EQ(sender.outcome, ECANCELED);
    CHECK_EQ(receiver.outcome, ECANCELED);
    CHECK_PTR(llam_channel_recv(full), value(1));
    CHECK_OK(llam_channel_destroy(full));
    CHECK_OK(llam_channel_destroy(empty));
}

/* Appendix A: destroy with a close-woken waiter that has not returned: EBUSY. On one worker the
 * waiter cannot run before the closer parks. */
ONE_WORKER_TEST(destroy_is_busy_until_the_woken_have_returned) {
    (void)arg;
    llam_channel_t *empty = make_channel(1), *full = make_channel(1);
    struct party receiver, sender;
    CHECK_OK(llam_channel_send(full, value(1)));
    llam_task_t *first = start_party(&receiver, empty, receive_once, NULL, NULL);
    llam_task_t *second = start_party(&sender, full, send_once, value(2), NULL);
    CHECK_FAILS(llam_channel_destroy(empty), EBUSY);
    CHECK_OK(llam_channel_close(empty));
    CHECK_FAILS(llam_channel_destroy(empty), EBUSY);
    CHECK_OK(llam_channel_close(full));
    CHECK_RECEIVED(llam_channel_try_recv_result(full, &out), value(1));
    CHECK_FAILS(llam_channel_destroy(full), EBUSY);
    join_ok(first);
    join_ok(second);
    CHECK_EQ(receiver.outcome, EPIPE);
    CHECK_EQ(sender.outcome, EPIPE);
    CHECK_OK(llam_channel_destroy(empty));
    CHECK_OK(llam_channel_destroy(full));
}

static void *close_and_destroy(void *arg) {
    struct party *party = arg;
    uint64_t deadline = after_ms(PATIENCE_MS);
    CHECK_OK(llam_channel_close(party->channel));
    while (llam_channel_destroy(party->channel) != 0) {
        CHECK_EQ(errno, EBUSY);
        CHECK(llam_now_ns() < deadline);
    }
    return NULL;
}

/* 4.12: a host thread that closes and destroys at once gets EBUSY until the waiters are out, and
 * never takes the channel away under them. */
TASK_TEST(a_host_thread_destroys_when_the_last_waiter_is_out) {
    (void)arg;
    if (threads_stand_still()) return;
    for (int round = 0; round < 100; round++) {
        llam_channel_t *channel = make_channel(1);
        struct party parties[3];
        llam_task_t *tasks[3];
        for (int i = 0; i < 3; i++)
            tasks[i] = start_party(&parties[i], channel, receive_once, NULL, NULL);
        CHECK_PTR(llam_call_blocking(close_and_destroy, &parties[0]), NULL);
        for (int i = 0; i < 3; i++) {
            join_ok(tasks[i]);
            CHECK_EQ(parties[i].outcome, EPIPE);
        }
        CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), EINVAL);
    }
}

struct bridge {
    llam_channel_t *to_task, *to_host;
    atomic_int made;
};

static void echo(void *arg) {
    struct bridge *bridge = arg;
    bridge->to_task = make_channel(1);
    bridge->to_host = make_channel(1);
    atomic_store(&bridge->made, 1);
    for (;;) {
        void *out;
        if (llam_channel_recv_result(bridge->to_task, &out) != 0) break;
        CHECK_OK(llam_channel_send(bridge->to_host, out));
    }
    CHECK_EQ(errno, EPIPE);
    CHECK_OK(llam_channel_destroy(bridge->to_task));
    CHECK_OK(llam_channel_close(bridge->to_host));
}

static void *talk(void *arg) {
    struct bridge *bridge = arg;
    uint64_t deadline = after_ms(PATIENCE_MS);
    uintptr_t sent = 0, received = 0;
    await_count(&bridge->made, 1);
    while (received < 1000) {
        void *out;
        CHECK(llam_now_ns() < deadline);
        if (sent < 1000 && llam_channel_try_send(bridge->to_task, value(sent + 1)) == 0) sent++;
        if (llam_channel_try_recv_result(bridge->to_host, &out) == 0)
            CHECK_PTR(out, value(++received));
        else
            CHECK_EQ(errno, EAGAIN);
    }
    CHECK_OK(llam_channel_close(bridge->to_task));
    return NULL;
}

/* Appendix A: host thread: try_send and try_recv_result work and wake tasks. */
TEST(a_host_thread_talks_with_a_task) {
    if (threads_stand_still()) return;
    struct bridge bridge = {NULL, NULL, 0};
    pthread_t thread = start_thread(talk, &bridge);
    run_task(echo, &bridge);
    end_thread(thread);
    CHECK_NOT_RECEIVED(llam_channel_try_recv_result(bridge.to_host, &out), EPIPE);
    CHECK_OK(llam_channel_destroy(bridge.to_host));
}

/* R2: the same with the objects of an explicit runtime. */
TEST(a_host_thread_talks_with_a_task_of_an_explicit_runtime) {
    if (threads_stand_still()) return;
    struct bridge bridge = {NULL, NULL, 0};
    llam_runtime_t *runtime = create_runtime();
    pthread_t thread = start_thread(talk, &bridge);
    run_on(runtime, echo, &bridge);
    end_thread(thread);
    CHECK_OK(llam_channel_destroy(bridge.to_host));
    llam_runtime_destroy(runtime);
}

#define SENDERS 4
#define EACH 3000

struct crowd {
    llam_channel_t *channel;
    atomic_int senders;
    atomic_long sum;
};

struct member {
    struct crowd *crowd;
    uintptr_t number;
};

static void send_many(void *arg) {
    struct member *self = arg;
    for (uintptr_t i = 1; i <= EACH; i++)
        CHECK_OK(llam_channel_send(self->crowd->channel, value(self->number << 20 | i)));
    if (atomic_fetch_sub(&self->crowd->senders, 1) == 1)
        CHECK_OK(llam_channel_close(self->crowd->channel));
}

static void receive_many(void *arg) {
    struct member *self = arg;
    uintptr_t last[SENDERS] = {0};
    void *out;
    while (llam_channel_recv_result(self->crowd->channel, &out) == 0) {
        uintptr_t sender = (uintptr_t)out >> 20, number = (uintptr_t)out & 0xfffff;
        CHECK(sender < SENDERS && number > last[sender]);
        last[sender] = number;
        atomic_fetch_add(&self->crowd->sum, (long)number);
    }
    CHECK_EQ(errno, EPIPE);
}

/* 5.6: one sender's values arrive in order, at every receiver; each exactly once. */
TASK_TEST(many_senders_and_receivers_lose_nothing) {
    (void)arg;
    const size_t capacities[] = {1, 3, 64};
    for (size_t c = 0; c < ARRAY_LENGTH(capacities); c++) {
        struct crowd crowd = {make_channel(capacities[c]), SENDERS, 0};
        struct member members[SENDERS];
        llam_task_t *tasks[2 * SENDERS];
        for (uintptr_t i = 0; i < SENDERS; i++) {
            members[i] = (struct member){&crowd, i};
            tasks[2 * i] = spawn_ok(send_many, &members[i]);
            tasks[2 * i + 1] = spawn_ok(receive_many, &members[i]);
        }
        for (int i = 0; i < 2 * SENDERS; i++) join_ok(tasks[i]);
        CHECK_EQ(atomic_load(&crowd.sum), (long)SENDERS * EACH * (EACH + 1) / 2);
        CHECK_OK(llam_channel_destroy(crowd.channel));
    }
}

/* 5.3: a cancel or timeout that races with a value yields one result; the value is received or
 * still there. */
TASK_TEST(a_race_of_value_and_cancel_loses_nothing) {
    (void)arg;
    for (int round = 0; round < 300; round++) {
        llam_channel_t *channel = make_channel(1);
        llam_cancel_token_t *token = llam_cancel_token_create();
        struct party receiver = {channel, UINT64_MAX, NULL, -1, 0};
        if (round % 3 == 0) receiver.deadline_ns = llam_now_ns() + 50000;
        llam_task_t *task = spawn_with_token(receive_once, &receiver, token);
        if (round % 2 == 0) llam_yield();
        if (round % 4 < 2) CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_OK(llam_channel_try_send(channel, value(5)));
        if (round % 4 >= 2) CHECK_OK(llam_cancel_token_cancel(token));
        join_ok(task);
        if (receiver.outcome == 0) {
            CHECK_PTR(receiver.payload, value(5));
        } else {
            CHECK(receiver.outcome == ECANCELED ||
                  (receiver.outcome == ETIMEDOUT && round % 3 == 0));
            CHECK_RECEIVED(llam_channel_try_recv_result(channel, &out), value(5));
        }
        CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), EAGAIN);
        CHECK_OK(llam_channel_destroy(channel));
        CHECK_OK(llam_cancel_token_destroy(token));
    }
}

/* The same for a parked sender: its value was taken, or it still belongs to the sender. */
TASK_TEST(a_race_of_room_and_cancel_sends_once_or_not) {
    (void)arg;
    for (int round = 0; round < 300; round++) {
        llam_channel_t *channel = make_channel(1);
        llam_cancel_token_t *token = llam_cancel_token_create();
        CHECK_OK(llam_channel_send(channel, value(1)));
        struct party sender = {channel, UINT64_MAX, value(2), -1, 0};
        llam_task_t *task = spawn_with_token(send_once, &sender, token);
        if (round % 2 == 0) llam_yield();
        if (round % 4 < 2) CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_RECEIVED(llam_channel_try_recv_result(channel, &out), value(1));
        if (round % 4 >= 2) CHECK_OK(llam_cancel_token_cancel(token));
        join_ok(task);
        CHECK(sender.outcome == 0 || sender.outcome == ECANCELED);
        if (sender.outcome == 0)
            CHECK_RECEIVED(llam_channel_try_recv_result(channel, &out), value(2));
        CHECK_NOT_RECEIVED(llam_channel_try_recv_result(channel, &out), EAGAIN);
        CHECK_OK(llam_channel_destroy(channel));
        CHECK_OK(llam_cancel_token_destroy(token));
    }
}

MAIN
