/* Select: abi.md 4.13, 5.7, the select rows of 5.2 and 5.3, rules R1 to R8 for it, and the select
 * lines of Appendix A "Channels and select". */
#include "sync.h"

#include <sys/mman.h>

static void *value(uintptr_t number) { return (void *)number; }

/* What outputs hold before a call. */
#define GARBAGE value(0xabadcafe)
#define UNTOUCHED ((size_t)0x5e1ec7)
#define STALE 12345

static llam_channel_t *make_channel(size_t capacity) {
    llam_channel_t *channel = llam_channel_create(capacity);
    if (channel == NULL) FAIL("no channel: errno %d", errno);
    return channel;
}

/* A channel of capacity 1 that holds this value. */
static llam_channel_t *make_full(void *content) {
    llam_channel_t *channel = make_channel(1);
    CHECK_OK(llam_channel_try_send(channel, content));
    return channel;
}

static llam_channel_t *make_closed(void) {
    llam_channel_t *channel = make_channel(1);
    CHECK_OK(llam_channel_close(channel));
    return channel;
}

/* Takes the one value out and destroys the channel. */
static void end_full(llam_channel_t *channel, void *content) {
    void *out = GARBAGE;
    CHECK_OK(llam_channel_try_recv_result(channel, &out));
    CHECK_PTR(out, content);
    CHECK_OK(llam_channel_destroy(channel));
}

static llam_select_op_t receive(llam_channel_t *channel, void **out) {
    return (llam_select_op_t){LLAM_SELECT_OP_RECV, UINT32_MAX, channel, GARBAGE, out, STALE};
}

static llam_select_op_t sending(llam_channel_t *channel, void *payload) {
    return (llam_select_op_t){LLAM_SELECT_OP_SEND, UINT32_MAX, channel, payload, NULL, STALE};
}

static void all_results_are(const llam_select_op_t *ops, size_t count, int expected) {
    for (size_t i = 0; i < count; i++) CHECK_EQ(ops[i].result_errno, expected);
}

/* The select fails so, touches no index, and clears every result. */
static void fails(llam_select_op_t *ops, size_t count, uint64_t deadline_ns, int code) {
    size_t index = UNTOUCHED;
    for (size_t i = 0; i < count; i++) ops[i].result_errno = STALE;
    CHECK_FAILS(llam_channel_select(ops, count, deadline_ns, &index), code);
    CHECK_EQ(index, UNTOUCHED);
    all_results_are(ops, count, 0);
}

/* The select performs that arm with that result; every other result is 0. */
static void selects(llam_select_op_t *ops, size_t count, uint64_t deadline_ns, size_t expected,
                    int result) {
    size_t index = UNTOUCHED;
    for (size_t i = 0; i < count; i++) ops[i].result_errno = STALE;
    errno = 88;
    CHECK_OK(llam_channel_select(ops, count, deadline_ns, &index));
    CHECK_EQ(errno, 88);
    CHECK_EQ(index, expected);
    for (size_t i = 0; i < count; i++) CHECK_EQ(ops[i].result_errno, i == expected ? result : 0);
}

/* Bad counts and pointers: ops is not touched. */
static void bad_calls(void *arg) {
    (void)arg;
    void *out = GARBAGE;
    llam_channel_t *channel = make_full(value(1));
    llam_select_op_t ops[2] = {receive(channel, &out), receive(channel, &out)};
    size_t index = UNTOUCHED;
    CHECK_FAILS(llam_channel_select(NULL, 1, 0, &index), EINVAL);
    CHECK_FAILS(llam_channel_select(NULL, 0, 0, &index), EINVAL);
    CHECK_FAILS(llam_channel_select(ops, 0, 0, &index), EINVAL);
    CHECK_FAILS(llam_channel_select(ops, 2, 0, NULL), EINVAL);
    CHECK_FAILS(llam_channel_select(ops, LLAM_CHANNEL_SELECT_MAX_OPS + 1, 0, &index), EINVAL);
    CHECK_FAILS(llam_channel_select(ops, SIZE_MAX, UINT64_MAX, &index), EINVAL);
    CHECK_FAILS(llam_channel_select(ops, SIZE_MAX / sizeof *ops + 2, 0, &index), EINVAL);
    void *wall = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(wall != MAP_FAILED);
    CHECK_FAILS(llam_channel_select(wall, LLAM_CHANNEL_SELECT_MAX_OPS + 1, 0, &index), EINVAL);
    CHECK_FAILS(llam_channel_select(wall, 0, 0, &index), EINVAL);
    CHECK_FAILS(llam_channel_select(wall, 1, 0, NULL), EINVAL);
    CHECK_EQ(munmap(wall, 4096), 0);
    all_results_are(ops, 2, STALE);
    CHECK_EQ(index, UNTOUCHED);
    CHECK_PTR(out, GARBAGE);
    end_full(channel, value(1));
}

static void bad_calls_cancelled(void *arg) { run_cancelled(bad_calls, arg); }

/* 4.13. Appendix A: with more than 4096 arms it does not even look at ops. */
TEST(a_bad_call_does_not_touch_the_arms) {
    init_default(0);
    bad_calls(NULL);
    llam_runtime_shutdown();
    run_task(bad_calls, NULL);
    run_task(bad_calls_cancelled, NULL);
}

static void host_select(llam_channel_t *channel) {
    void *out = GARBAGE;
    llam_select_op_t ops[3] = {receive(channel, &out), sending(channel, value(1)),
                               receive(NULL, NULL)};
    fails(ops, 2, 0, ENOTSUP);
    fails(ops, 2, UINT64_MAX, ENOTSUP);
    fails(ops, 3, 0, ENOTSUP);
}

/* R3, and 4.13: ENOTSUP comes before the arms are looked at. Appendix A: stale result_errno values
 * are reset on a host thread too. */
TEST(a_host_thread_cannot_select) {
    llam_channel_t *channel = make_channel(1);
    host_select(channel);
    init_default(0);
    CHECK_OK(llam_channel_try_send(channel, value(4)));
    host_select(channel);
    llam_runtime_shutdown();
    host_select(channel);
    end_full(channel, value(4));
}

#define ARMS 9

/* Every way in which an arm can be wrong. */
static size_t bad_arms(llam_select_op_t *bad, llam_channel_t *alive, llam_channel_t *dead,
                       void **out) {
    static const uint32_t kinds[] = {0, 3, 4, 0x80000001, 0x10001, UINT32_MAX};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        bad[count] = receive(alive, out);
        bad[count++].kind = kinds[i];
    }
    bad[count++] = receive(NULL, out);
    bad[count++] = sending(NULL, value(1));
    bad[count++] = receive(alive, NULL);
    bad[count++] = receive(dead, out);
    bad[count++] = sending(dead, value(1));
    for (size_t i = 0; i < FORGED_VALUES; i++) bad[count++] = sending(forged(i), value(1));
    return count;
}

/* Puts the bad arm at every place among arms that are ready; nothing may happen. */
static void bad_at_every_place(const llam_select_op_t *bad, int code, llam_channel_t *full,
                               llam_channel_t *room, void **out) {
    for (size_t place = 0; place < ARMS; place++) {
        llam_select_op_t ops[ARMS];
        for (size_t i = 0; i < ARMS; i++)
            ops[i] = i % 2 == 0 ? receive(full, out) : sending(room, value(9));
        ops[place] = *bad;
        fails(ops, ARMS, place % 2 == 0 ? 0 : UINT64_MAX, code);
        CHECK_PTR(*out, GARBAGE);
    }
}

static void one_bad_arm(void *arg) {
    (void)arg;
    void *out = GARBAGE;
    llam_channel_t *full = make_full(value(1)), *room = make_channel(1), *dead = make_channel(1);
    llam_mutex_t *mutex = llam_mutex_create();
    llam_select_op_t bad[32];
    CHECK_OK(llam_channel_destroy(dead));
    size_t count = bad_arms(bad, full, dead, &out);
    bad[count++] = receive((llam_channel_t *)mutex, &out);
    for (size_t i = 0; i < count; i++) bad_at_every_place(&bad[i], EINVAL, full, room, &out);
    void *unused;
    CHECK_FAILS(llam_channel_try_recv_result(room, &unused), EAGAIN);
    CHECK_OK(llam_mutex_destroy(mutex));
    CHECK_OK(llam_channel_destroy(room));
    end_full(full, value(1));
}

static void one_bad_arm_cancelled(void *arg) { run_cancelled(one_bad_arm, arg); }

/* Appendix A: select with one bad arm among many takes nothing from a ready arm, wherever the bad
 * one stands. */
TEST(one_bad_arm_prevents_everything) {
    run_task(one_bad_arm, NULL);
    run_task(one_bad_arm_cancelled, NULL);
}

static void make_for_host(void *arg) { *(llam_channel_t **)arg = make_full(value(8)); }

static void foreign_arm(void *arg) {
    void *out = GARBAGE;
    llam_channel_t *full = make_full(value(1)), *room = make_channel(1);
    llam_select_op_t foreign = receive(arg, &out);
    bad_at_every_place(&foreign, EXDEV, full, room, &out);
    foreign = sending(arg, value(7));
    bad_at_every_place(&foreign, EXDEV, full, room, &out);
    CHECK_OK(llam_channel_destroy(room));
    end_full(full, value(1));
}

/* R2, and 4.13: a foreign channel in any arm is EXDEV before any effect. */
TEST(a_foreign_arm_is_exdev) {
    llam_channel_t *theirs, *ours = make_channel(1);
    llam_runtime_t *runtime = create_runtime();
    run_on(runtime, make_for_host, &theirs);
    run_task(foreign_arm, theirs);
    run_on(runtime, foreign_arm, ours);
    llam_runtime_destroy(runtime);
    run_task(foreign_arm, theirs);
    end_full(theirs, value(8));
    CHECK_OK(llam_channel_destroy(ours));
}

/* The four rows of the table in 5.7. */
static void outcomes(void *arg) {
    (void)arg;
    const uint64_t deadlines[] = {0, 1, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(deadlines); i++) {
        void *out = GARBAGE;
        llam_channel_t *channel = make_channel(1);
        llam_select_op_t op = sending(channel, value(3));
        selects(&op, 1, deadlines[i], 0, 0);
        op = receive(channel, &out);
        selects(&op, 1, deadlines[i], 0, 0);
        CHECK_PTR(out, value(3));
        CHECK_OK(llam_channel_try_send(channel, value(4)));
        CHECK_OK(llam_channel_close(channel));
        selects(&op, 1, deadlines[i], 0, 0);
        CHECK_PTR(out, value(4));
        selects(&op, 1, deadlines[i], 0, EPIPE);
        CHECK_PTR(out, NULL);
        op = sending(channel, value(5));
        selects(&op, 1, deadlines[i], 0, EPIPE);
        CHECK_OK(llam_channel_destroy(channel));
    }
}

/* 5.7. Appendix A: select on a closed channel returns 0 with EPIPE in the arm, not -1. 5.2 and 5.3:
 * the same when expired or cancelled. */
TASK_TEST(the_outcome_is_in_the_winning_arm) {
    (void)arg;
    outcomes(NULL);
    run_cancelled(outcomes, NULL);
    CHECK_OK(llam_runtime_request_stop());
    outcomes(NULL);
}

/* Appendix A: lowest ready index wins, always. For every set of ready arms. */
TASK_TEST(the_lowest_ready_arm_wins) {
    (void)arg;
    for (unsigned ready = 1; ready < 64; ready++) {
        llam_channel_t *channels[6];
        llam_select_op_t ops[6];
        void *outs[6];
        size_t lowest = 6;
        for (size_t i = 0; i < 6; i++) {
            int is_ready = (ready >> i & 1) != 0, sends = i % 2 != 0;
            if (is_ready && lowest == 6) lowest = i;
            channels[i] = is_ready != sends ? make_full(value(i + 1)) : make_channel(1);
            outs[i] = GARBAGE;
            ops[i] = sends ? sending(channels[i], value(i + 1)) : receive(channels[i], &outs[i]);
        }
        selects(ops, 6, ready % 2 == 0 ? 0 : UINT64_MAX, lowest, 0);
        if (lowest % 2 == 0) CHECK_PTR(outs[lowest], value(lowest + 1));
        for (size_t i = 0; i < 6; i++) {
            int full = ((ready >> i & 1) != 0) != (i % 2 != 0);
            if (i == lowest) full = i % 2 != 0;
            if (full) end_full(channels[i], value(i + 1));
            if (!full) CHECK_OK(llam_channel_destroy(channels[i]));
        }
    }
}

/* 5.7: repeated selects drain the lowest arm first, closed arms count as ready. */
TASK_TEST(there_is_no_fairness_between_arms) {
    (void)arg;
    void *out;
    llam_channel_t *low = make_channel(8), *high = make_channel(8), *closed = make_closed();
    for (uintptr_t i = 0; i < 8; i++) {
        CHECK_OK(llam_channel_send(low, value(i)));
        CHECK_OK(llam_channel_send(high, value(100 + i)));
    }
    llam_select_op_t ops[3] = {receive(low, &out), receive(high, &out), receive(closed, &out)};
    for (uintptr_t i = 0; i < 16; i++) {
        selects(ops, 3, 0, i < 8 ? 0 : 1, 0);
        CHECK_PTR(out, value(i < 8 ? i : 92 + i));
    }
    selects(ops, 3, 0, 2, EPIPE);
    CHECK_PTR(out, NULL);
    CHECK_OK(llam_channel_destroy(low));
    CHECK_OK(llam_channel_destroy(high));
    CHECK_OK(llam_channel_destroy(closed));
}

struct idle_arms {
    llam_channel_t *full, *empty;
};

/* Arms of which none is ready. */
static void nothing_ready(struct idle_arms *idle, uint64_t deadline_ns, int code) {
    void *out = GARBAGE;
    llam_select_op_t ops[3] = {receive(idle->empty, &out), sending(idle->full, value(2)),
                               receive(idle->empty, &out)};
    fails(ops, 3, deadline_ns, code);
}

static void expired(void *arg) {
    nothing_ready(arg, 0, ETIMEDOUT);
    nothing_ready(arg, 1, ETIMEDOUT);
    nothing_ready(arg, llam_now_ns(), ETIMEDOUT);
}

static void expired_and_cancelled(void *arg) {
    expired(arg);
    nothing_ready(arg, after_ms(60000), ECANCELED);
    nothing_ready(arg, UINT64_MAX, ECANCELED);
}

/* 5.2, 5.3: ETIMEDOUT when expired, else ECANCELED; never early (R5); no arm performed. */
TASK_TEST(a_select_that_cannot_be_done_changes_nothing) {
    (void)arg;
    struct idle_arms idle = {make_full(value(1)), make_channel(1)};
    expired(&idle);
    run_cancelled(expired_and_cancelled, &idle);
    uint64_t deadline = after_ms(20);
    nothing_ready(&idle, deadline, ETIMEDOUT);
    CHECK(llam_now_ns() >= deadline);
    CHECK_OK(llam_runtime_request_stop());
    nothing_ready(&idle, UINT64_MAX, ECANCELED);
    CHECK_OK(llam_channel_destroy(idle.empty));
    end_full(idle.full, value(1));
}

/* A select with two receives and two sends that parks, and what came of it. */
struct parked {
    llam_channel_t *empty[2], *full[2];
    uint64_t deadline_ns;
    int outcome, result;
    size_t index;
    void *out[2];
};

static void select_parked(void *arg) {
    struct parked *self = arg;
    llam_select_op_t *ops = malloc(4 * sizeof *ops);
    CHECK(ops != NULL);
    ops[0] = receive(self->empty[0], &self->out[0]);
    ops[1] = sending(self->full[0], value(20));
    ops[2] = receive(self->empty[1], &self->out[1]);
    ops[3] = sending(self->full[1], value(40));
    errno = 61;
    int status = llam_channel_select(ops, 4, self->deadline_ns, &self->index);
    self->outcome = status == 0 ? 0 : errno;
    if (status == 0) CHECK_EQ(errno, 61);
    self->result = status == 0 ? ops[self->index].result_errno : 0;
    for (size_t i = 0; i < 4; i++)
        if (status != 0 || i != self->index) CHECK_EQ(ops[i].result_errno, 0);
    /* 5.7: the array is not used after the call. */
    memset(ops, 0xff, 4 * sizeof *ops);
    free(ops);
}

static llam_task_t *start_select(struct parked *self, llam_cancel_token_t *token) {
    self->deadline_ns = UINT64_MAX;
    self->outcome = self->result = -1;
    self->index = UNTOUCHED;
    for (int i = 0; i < 2; i++) {
        self->empty[i] = make_channel(1);
        self->full[i] = make_full(value((uintptr_t)i + 1));
        self->out[i] = GARBAGE;
    }
    llam_task_t *task = spawn_with_token(select_parked, self, token);
    await_parked(task);
    return task;
}

static void selected(struct parked *self, llam_task_t *task, size_t index, int result) {
    join_ok(task);
    CHECK_EQ(self->outcome, 0);
    CHECK_EQ(self->index, index);
    CHECK_EQ(self->result, result);
}

/* The channels are as before the select, but for the one with that arm's index; no waiter is left
 * behind in any of them: a value sent stays in the buffer, and destroy is not EBUSY. */
static void others_are_untouched(struct parked *self, size_t index) {
    for (size_t i = 0; i < 2; i++) {
        if (index != 2 * i) {
            CHECK_OK(llam_channel_try_send(self->empty[i], value(77)));
            end_full(self->empty[i], value(77));
        }
        if (index != 2 * i + 1) end_full(self->full[i], value(i + 1));
    }
}

enum { BY_SEND, BY_TRY_SEND, BY_CLOSE };

static void complete_receive(int how, size_t which) {
    struct parked self;
    llam_task_t *task = start_select(&self, NULL);
    if (how == BY_SEND) CHECK_OK(llam_channel_send(self.empty[which], value(5)));
    if (how == BY_TRY_SEND) CHECK_OK(llam_channel_try_send(self.empty[which], value(5)));
    if (how == BY_CLOSE) CHECK_OK(llam_channel_close(self.empty[which]));
    selected(&self, task, 2 * which, how == BY_CLOSE ? EPIPE : 0);
    CHECK_PTR(self.out[which], how == BY_CLOSE ? NULL : value(5));
    others_are_untouched(&self, 2 * which);
    CHECK_OK(llam_channel_destroy(self.empty[which]));
}

static void complete_send(int how, size_t which) {
    struct parked self;
    void *out = GARBAGE;
    llam_task_t *task = start_select(&self, NULL);
    if (how == BY_SEND) CHECK_OK(llam_channel_recv_result(self.full[which], &out));
    if (how == BY_TRY_SEND) CHECK_OK(llam_channel_try_recv_result(self.full[which], &out));
    if (how == BY_CLOSE) CHECK_OK(llam_channel_close(self.full[which]));
    selected(&self, task, 2 * which + 1, how == BY_CLOSE ? EPIPE : 0);
    if (how != BY_CLOSE) CHECK_PTR(out, value(which + 1));
    others_are_untouched(&self, 2 * which + 1);
    end_full(self.full[which], how == BY_CLOSE ? value(which + 1) : value(20 * (which + 1)));
}

/* 5.7: while parked, whichever arm becomes possible first is performed, and only that one; closing
 * a channel completes the select with that arm and EPIPE. */
TASK_TEST(a_parked_select_performs_the_arm_that_becomes_possible) {
    (void)arg;
    for (int how = BY_SEND; how <= BY_CLOSE; how++) {
        for (size_t which = 0; which < 2; which++) {
            complete_receive(how, which);
            complete_send(how, which);
        }
    }
}

static void select_has_failed(struct parked *self, llam_task_t *task, int code) {
    await_state(task, "DEAD");
    CHECK_OK(llam_join(task));
    CHECK_EQ(self->outcome, code);
    CHECK_EQ(self->index, UNTOUCHED);
    others_are_untouched(self, UNTOUCHED);
}

/* 5.3, 5.7: a parked select that is cancelled has performed no arm. */
TASK_TEST(a_cancelled_select_leaves_every_channel_alone) {
    (void)arg;
    struct parked self;
    llam_cancel_token_t *token = llam_cancel_token_create();
    llam_task_t *task = start_select(&self, token);
    CHECK_FAILS(llam_channel_destroy(self.empty[0]), EBUSY);
    CHECK_FAILS(llam_channel_destroy(self.empty[1]), EBUSY);
    CHECK_OK(llam_cancel_token_cancel(token));
    select_has_failed(&self, task, ECANCELED);
    CHECK_OK(llam_cancel_token_destroy(token));
    task = start_select(&self, NULL);
    CHECK_OK(llam_runtime_request_stop());
    select_has_failed(&self, task, ECANCELED);
}

/* 5.7: the same channel in several arms, as RECV and SEND at once; such a select never parks on an
 * open channel. */
TASK_TEST(a_channel_may_stand_in_several_arms) {
    (void)arg;
    void *out[2] = {GARBAGE, GARBAGE};
    llam_channel_t *channel = make_channel(1);
    llam_select_op_t ops[4] = {receive(channel, &out[0]), sending(channel, value(6)),
                               receive(channel, &out[1]), sending(channel, value(7))};
    for (int round = 0; round < 3; round++) {
        selects(ops, 4, UINT64_MAX, 1, 0);
        selects(ops, 4, UINT64_MAX, 0, 0);
        CHECK_PTR(out[0], value(6));
        selects(ops + 1, 3, 0, 0, 0);
        selects(ops + 1, 3, 0, 1, 0);
        CHECK_PTR(out[1], value(6));
    }
    CHECK_OK(llam_channel_close(channel));
    selects(ops, 4, UINT64_MAX, 0, EPIPE);
    selects(ops + 1, 3, UINT64_MAX, 0, EPIPE);
    CHECK_OK(llam_channel_destroy(channel));
}

/* 5.7: with room and a value both, the lower index wins. */
TASK_TEST(with_room_and_a_value_the_lower_index_wins) {
    (void)arg;
    void *out = GARBAGE;
    llam_channel_t *channel = make_channel(2);
    CHECK_OK(llam_channel_send(channel, value(1)));
    llam_select_op_t receive_first[2] = {receive(channel, &out), sending(channel, value(2))};
    llam_select_op_t send_first[2] = {sending(channel, value(3)), receive(channel, &out)};
    selects(send_first, 2, UINT64_MAX, 0, 0);
    selects(receive_first, 2, UINT64_MAX, 0, 0);
    CHECK_PTR(out, value(1));
    end_full(channel, value(3));
}

static void select_twice_on_one(void *arg) {
    struct parked *self = arg;
    llam_select_op_t ops[2] = {receive(self->empty[0], &self->out[0]),
                               receive(self->empty[0], &self->out[1])};
    CHECK_OK(llam_channel_select(ops, 2, UINT64_MAX, &self->index));
    self->outcome = 0;
}

/* 5.7: a parked select with one channel twice takes one value; the second one stays. */
TASK_TEST(one_channel_twice_takes_one_value) {
    (void)arg;
    struct parked self = {.empty = {make_channel(1), NULL}, .outcome = -1};
    llam_task_t *task = spawn_ok(select_twice_on_one, &self);
    await_parked(task);
    CHECK_OK(llam_channel_try_send(self.empty[0], value(1)));
    CHECK_OK(llam_channel_try_send(self.empty[0], value(2)));
    join_ok(task);
    CHECK_EQ(self.outcome, 0);
    CHECK_PTR(self.out[self.index], value(1));
    end_full(self.empty[0], value(2));
}

/* 4.13, 5.7: 4096 arms are allowed, and validated all; one more is not. */
TASK_TEST(there_may_be_4096_arms) {
    (void)arg;
    const size_t count = LLAM_CHANNEL_SELECT_MAX_OPS;
    llam_select_op_t *ops = malloc((count + 1) * sizeof *ops);
    CHECK(ops != NULL);
    void *out = GARBAGE;
    llam_channel_t *empty = make_channel(1), *full = make_full(value(1));
    for (size_t i = 0; i <= count; i++) ops[i] = receive(empty, &out);
    fails(ops, count, 0, ETIMEDOUT);
    fails(ops, count, after_ms(2), ETIMEDOUT);
    ops[count - 1] = receive(full, &out);
    selects(ops, count, UINT64_MAX, count - 1, 0);
    CHECK_PTR(out, value(1));
    CHECK_OK(llam_channel_send(full, value(2)));
    ops[0].kind = 0;
    fails(ops, count, 0, EINVAL);
    ops[0] = receive(full, &out);
    ops[count - 1] = receive(NULL, &out);
    fails(ops, count, UINT64_MAX, EINVAL);
    size_t index = UNTOUCHED;
    CHECK_FAILS(llam_channel_select(ops, count + 1, 0, &index), EINVAL);
    free(ops);
    CHECK_OK(llam_channel_destroy(empty));
    end_full(full, value(2));
}

struct wide {
    llam_channel_t *channels[40];
    size_t index;
    void *out;
};

static void select_wide(void *arg) {
    struct wide *self = arg;
    llam_select_op_t ops[40];
    for (int i = 0; i < 40; i++) ops[i] = receive(self->channels[i], &self->out);
    selects(ops, 40, UINT64_MAX, self->index, 0);
}

/* A parked select with many arms, woken through each of them. */
TASK_TEST(a_parked_select_with_many_arms_wakes_through_each) {
    (void)arg;
    struct wide wide;
    for (int i = 0; i < 40; i++) wide.channels[i] = make_channel(1);
    for (size_t i = 0; i < 40; i++) {
        wide.index = i;
        wide.out = GARBAGE;
        llam_task_t *task = spawn_ok(select_wide, &wide);
        await_parked(task);
        CHECK_OK(llam_channel_try_send(wide.channels[i], value(i)));
        join_ok(task);
        CHECK_PTR(wide.out, value(i));
    }
    for (int i = 0; i < 40; i++) CHECK_OK(llam_channel_destroy(wide.channels[i]));
}

struct rush {
    llam_channel_t *channels[3];
    atomic_int go;
};

struct runner {
    struct rush *rush;
    int which;
};

static void *send_to_one(void *arg) {
    struct runner *self = arg;
    struct rush *rush = self->rush;
    for (int round = 1; round <= 200; round++) {
        await_count(&rush->go, round);
        CHECK_OK(llam_channel_try_send(rush->channels[self->which], value((uintptr_t)round)));
    }
    return NULL;
}

static void select_in_rush(void *arg) {
    struct rush *rush = arg;
    for (int round = 1; round <= 200; round++) {
        void *out = GARBAGE;
        llam_select_op_t ops[3];
        for (int i = 0; i < 3; i++) ops[i] = receive(rush->channels[i], &out);
        atomic_store(&rush->go, round);
        for (int taken = 0; taken < 3; taken++) {
            size_t index = UNTOUCHED;
            out = GARBAGE;
            CHECK_OK(llam_channel_select(ops, 3, after_ms(PATIENCE_MS), &index));
            CHECK_EQ(ops[index].result_errno, 0);
            CHECK_PTR(out, value((uintptr_t)round));
            ops[index] = receive(rush->channels[index], &out);
        }
        fails(ops, 3, 0, ETIMEDOUT);
    }
}

/* 5.7: exactly one arm per select, even if several threads act at once: three values, three
 * selects, nothing left. */
TEST(three_threads_at_once_complete_three_selects) {
    if (threads_stand_still()) return;
    struct rush rush = {{make_channel(1), make_channel(1), make_channel(1)}, 0};
    struct runner runners[3];
    pthread_t threads[3];
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(select_in_rush, &rush)));
    for (int i = 0; i < 3; i++) {
        runners[i] = (struct runner){&rush, i};
        threads[i] = start_thread(send_to_one, &runners[i]);
    }
    CHECK_OK(llam_run());
    for (int i = 0; i < 3; i++) {
        end_thread(threads[i]);
        CHECK_OK(llam_channel_destroy(rush.channels[i]));
    }
    llam_runtime_shutdown();
}

struct race {
    llam_channel_t *channels[2];
    uint64_t deadline_ns;
    int outcome;
    size_t index;
    void *out;
};

static void select_in_race(void *arg) {
    struct race *self = arg;
    llam_select_op_t ops[2] = {receive(self->channels[0], &self->out),
                               receive(self->channels[1], &self->out)};
    int status = llam_channel_select(ops, 2, self->deadline_ns, &self->index);
    self->outcome = status == 0 ? 0 : errno;
}

/* 5.3: a cancel or timeout that races with two values: one result; what was not taken is there. */
TASK_TEST(a_race_of_values_and_cancel_loses_nothing) {
    (void)arg;
    for (int round = 0; round < 300; round++) {
        struct race race = {{make_channel(1), make_channel(1)}, UINT64_MAX, -1, UNTOUCHED, GARBAGE};
        llam_cancel_token_t *token = llam_cancel_token_create();
        if (round % 3 == 0) race.deadline_ns = llam_now_ns() + 50000;
        llam_task_t *task = spawn_with_token(select_in_race, &race, token);
        if (round % 2 == 0) llam_yield();
        CHECK_OK(llam_channel_try_send(race.channels[1], value(2)));
        CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_OK(llam_channel_try_send(race.channels[0], value(1)));
        join_ok(task);
        CHECK(race.outcome == 0 || race.outcome == ECANCELED ||
              (race.outcome == ETIMEDOUT && round % 3 == 0));
        if (race.outcome == 0) CHECK(race.index < 2);
        if (race.outcome == 0) CHECK_PTR(race.out, value(race.index + 1));
        if (race.outcome != 0) CHECK_EQ(race.index, UNTOUCHED);
        for (size_t i = 0; i < 2; i++) {
            int taken = race.outcome == 0 && race.index == i;
            if (taken) CHECK_OK(llam_channel_destroy(race.channels[i]));
            if (!taken) end_full(race.channels[i], value(i + 1));
        }
        CHECK_OK(llam_cancel_token_destroy(token));
    }
}

static void select_one(void *arg) {
    struct race *self = arg;
    llam_select_op_t op = receive(self->channels[0], &self->out);
    CHECK_OK(llam_channel_select(&op, 1, UINT64_MAX, &self->index));
    self->outcome = 0;
}

static void receive_plain(void *arg) {
    struct race *self = arg;
    CHECK_OK(llam_channel_recv_result(self->channels[0], &self->out));
    self->outcome = 0;
}

/* 5.6: parked receives and selects on one channel are served first come, first served. */
TASK_TEST(selects_and_receives_stand_in_one_line) {
    (void)arg;
    llam_channel_t *channel = make_channel(1);
    struct race parties[6];
    llam_task_t *tasks[6];
    for (int i = 0; i < 6; i++) {
        parties[i] = (struct race){{channel, NULL}, UINT64_MAX, -1, UNTOUCHED, GARBAGE};
        tasks[i] = spawn_ok(i % 2 == 0 ? select_one : receive_plain, &parties[i]);
        await_parked(tasks[i]);
    }
    for (uintptr_t i = 0; i < 6; i++) {
        CHECK_OK(llam_channel_try_send(channel, value(i)));
        join_ok(tasks[i]);
        CHECK_EQ(parties[i].outcome, 0);
        CHECK_PTR(parties[i].out, value(i));
    }
    CHECK_OK(llam_channel_destroy(channel));
}

static void select_into(void *arg) {
    struct race *self = arg;
    llam_select_op_t op = sending(self->channels[0], self->out);
    CHECK_OK(llam_channel_select(&op, 1, UINT64_MAX, &self->index));
    CHECK_EQ(op.result_errno, 0);
    self->outcome = 0;
}

/* 5.6, 5.7: a select that receives takes the oldest value and lets the first parked sender in; a
 * parked select with a send arm is such a sender. */
TASK_TEST(a_select_lets_parked_senders_in) {
    (void)arg;
    void *out = GARBAGE;
    llam_channel_t *channel = make_full(value(1));
    struct race sender = {{channel, NULL}, UINT64_MAX, -1, UNTOUCHED, value(2)};
    llam_task_t *task = spawn_ok(select_into, &sender);
    await_parked(task);
    llam_select_op_t op = receive(channel, &out);
    selects(&op, 1, 0, 0, 0);
    CHECK_PTR(out, value(1));
    CHECK_FAILS(llam_channel_try_send(channel, value(3)), EAGAIN);
    join_ok(task);
    CHECK_EQ(sender.outcome, 0);
    selects(&op, 1, 0, 0, 0);
    CHECK_PTR(out, value(2));
    CHECK_OK(llam_channel_destroy(channel));
}

MAIN
