/* Every kind of wait against cancellation: a token that is cancelled while the task is parked, one
 * that was cancelled before, a stop request, and an expired deadline in a cancelled task; and what a
 * cancelled task can still do. Covers abi.md 5.2, 5.3, 5.1.4, R5, R6.
 */
#include "scheduling.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <llam/io.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

/* Everything there is to wait for; nothing of it ever comes. */
struct world {
    llam_mutex_t *held, *own;
    llam_cond_t *cond;
    llam_channel_t *empty, *full;
    llam_task_group_t *group;
    llam_task_t *holder, *target;
    llam_timer_t *timer;
    llam_signal_set_t *signals;
    int quiet[2], clogged[2], listener;
    counter holding, leave;
};

static struct world world;

/* ---- The waits: each ends in ECANCELED and has changed nothing ---- */

static void sleep_long(void) { CHECK_FAILS(llam_sleep_ns(UINT64_MAX - 1), ECANCELED); }
static void sleep_for_ever(void) { CHECK_FAILS(llam_sleep_until(UINT64_MAX), ECANCELED); }

static void join_task(void) {
    CHECK_FAILS(llam_join(world.target), ECANCELED);
    CHECK(llam_task_id(world.target) != 0);
}

static void join_group(void) { CHECK_FAILS(llam_task_group_join(world.group), ECANCELED); }

static void lock_mutex(void) {
    CHECK_FAILS(llam_mutex_lock(world.held), ECANCELED);
    CHECK_FAILS(llam_mutex_unlock(world.held), EPERM);
}

static void lock_mutex_until(void) {
    CHECK_FAILS(llam_mutex_lock_until(world.held, after_ms(100000)), ECANCELED);
}

static void wait_cond(void) {
    CHECK_OK(llam_mutex_lock(world.own));
    CHECK_FAILS(llam_cond_wait(world.cond, world.own), ECANCELED);
    CHECK_OK(llam_mutex_unlock(world.own));
}

static void send_value(void) { CHECK_FAILS(llam_channel_send(world.full, &world), ECANCELED); }

static void receive_value(void) {
    void *value = &world;
    CHECK_FAILS(llam_channel_recv_result(world.empty, &value), ECANCELED);
    CHECK_PTR(value, NULL);
    CHECK_NULL(llam_channel_recv(world.empty), ECANCELED);
}

static void select_arms(void) {
    void *value = NULL;
    llam_select_op_t ops[2] = {
        {.kind = LLAM_SELECT_OP_RECV, .channel = world.empty, .recv_out = &value, .result_errno = 5},
        {.kind = LLAM_SELECT_OP_SEND, .channel = world.full, .send_value = &world, .result_errno = 5}};
    size_t index = 0;
    CHECK_FAILS(llam_channel_select(ops, 2, UINT64_MAX, &index), ECANCELED);
    CHECK_EQ(ops[0].result_errno, 0);
    CHECK_EQ(ops[1].result_errno, 0);
}

static void wait_timer(void) {
    uint64_t ticks = 7;
    CHECK_FAILS(llam_timer_wait(world.timer, &ticks), ECANCELED);
    CHECK_EQ(ticks, 0);
}

static void wait_signal(void) {
    llam_signal_event_t event;
    memset(&event, 0x5A, sizeof event);
    CHECK_FAILS(llam_signal_wait(world.signals, &event), ECANCELED);
    CHECK_EQ(event.signo, 0);
    CHECK_EQ(event.sequence, 0);
}

static void read_bytes(void) {
    char byte;
    CHECK_FAILS(llam_read(world.quiet[0], &byte, 1), ECANCELED);
}

static void read_when_ready(void) {
    char byte;
    CHECK_FAILS(llam_read_when_ready(world.quiet[0], &byte, 1, -1), ECANCELED);
}

static void receive_from(void) {
    char byte;
    CHECK_FAILS(llam_recvfrom(world.quiet[0], &byte, 1, 0, NULL, NULL), ECANCELED);
}

static void read_owned(void) {
    llam_io_buffer_t *buffer = (llam_io_buffer_t *)&world;
    CHECK_FAILS(llam_read_owned(world.quiet[0], 16, &buffer), ECANCELED);
    CHECK_PTR(buffer, NULL);
}

static void receive_owned(void) {
    llam_io_buffer_t *buffer = (llam_io_buffer_t *)&world;
    CHECK_FAILS(llam_recv_owned(world.quiet[0], 16, 0, &buffer), ECANCELED);
    CHECK_PTR(buffer, NULL);
}

static void receive_from_owned(void) {
    llam_io_buffer_t *buffer = (llam_io_buffer_t *)&world;
    CHECK_FAILS(llam_recvfrom_owned(world.quiet[0], 16, 0, NULL, NULL, &buffer), ECANCELED);
    CHECK_PTR(buffer, NULL);
}

static void write_bytes(void) { CHECK_FAILS(llam_write(world.clogged[0], "x", 1), ECANCELED); }

static void write_slices(void) {
    llam_iovec_t slices[2] = {{"x", 1}, {"y", 1}};
    CHECK_FAILS(llam_writev(world.clogged[0], slices, 2), ECANCELED);
}

static void send_to(void) {
    CHECK_FAILS(llam_sendto(world.clogged[0], "x", 1, 0, NULL, 0), ECANCELED);
}

static void accept_one(void) { CHECK_FAILS(llam_accept(world.listener, NULL, NULL), ECANCELED); }

/* Appendix A: "Cancelled poll with a timeout: ECANCELED and *revents 0 even if it held garbage." */
static void poll_with_a_timeout(void) {
    short revents = 0x7F7F;
    CHECK_FAILS(llam_poll_fd(world.quiet[0], POLLIN, 100000, &revents), ECANCELED);
    CHECK_EQ(revents, 0);
}

static void poll_for_ever(void) {
    short revents = 0x7F7F;
    CHECK_FAILS(llam_poll_handle(world.listener, POLLIN, -1, &revents), ECANCELED);
    CHECK_EQ(revents, 0);
}

static void (*const waits[])(void) = {
    sleep_long,    sleep_for_ever, join_task,        join_group,    lock_mutex,
    wait_cond,     send_value,     lock_mutex_until, select_arms,   receive_value,
    wait_timer,    wait_signal,    read_bytes,       receive_from,  read_when_ready,
    read_owned,    receive_owned,  write_bytes,      write_slices,  receive_from_owned,
    accept_one,    send_to,        poll_for_ever,    poll_with_a_timeout};

#define WAITS (sizeof waits / sizeof *waits)

static void do_wait(void *arg) {
    waits[(uintptr_t)arg]();
    /* For the rest of its life. */
    CHECK_FAILS(llam_sleep_ns(CHECK_MS), ECANCELED);
}

/* ---- The world ---- */

static void hold_the_mutex(void *arg) {
    (void)arg;
    CHECK_OK(llam_mutex_lock(world.held));
    atomic_store(&world.holding, 1);
    while (!atomic_load(&world.leave) && llam_sleep_ns(200000) == 0) {}
    CHECK_OK(llam_mutex_unlock(world.held));
}

static void stay(void *arg) {
    (void)arg;
    while (!atomic_load(&world.leave) && llam_sleep_ns(200000) == 0) {}
}

/* On the host, before the runtime: the signal must be blocked everywhere. */
static void make_signals(void) {
    const int numbers[1] = {SIGUSR2};
    CHECK_OK(llam_signal_set_create_ex(numbers, 1, NULL, 0, &world.signals));
}

static void make_sockets(void) {
    char bytes[4096];
    memset(bytes, 0, sizeof bytes);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, world.quiet));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, world.clogged));
    while (send(world.clogged[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0) {}
    while (send(world.clogged[0], bytes, 1, MSG_DONTWAIT) > 0) {}
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    world.listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(world.listener >= 0);
    CHECK_OK(bind(world.listener, (struct sockaddr *)&address, sizeof address));
    CHECK_OK(listen(world.listener, 8));
}

/* In a task. */
static void make_world(void) {
    make_sockets();
    world.held = llam_mutex_create();
    world.own = llam_mutex_create();
    world.cond = llam_cond_create();
    world.empty = llam_channel_create(1);
    world.full = llam_channel_create(1);
    world.group = llam_task_group_create();
    CHECK_OK(llam_channel_send(world.full, NULL));
    CHECK_OK(llam_timer_create(UINT64_C(1000) * 1000 * CHECK_MS, &world.timer));
    world.holder = spawn_ok(hold_the_mutex, NULL);
    world.target = spawn_ok(stay, NULL);
    CHECK(llam_task_group_spawn(world.group, stay, NULL, NULL) != NULL);
    AWAIT(atomic_load(&world.holding));
}

/* Everything still works and holds what it held. */
static void check_world(void) {
    char bytes[8];
    void *value = &world;
    CHECK_EQ(llam_write(world.quiet[1], "abc", 3), 3);
    CHECK_EQ(llam_read(world.quiet[0], bytes, sizeof bytes), 3);
    CHECK_FAILS(llam_mutex_trylock(world.held), EBUSY);
    CHECK_OK(llam_mutex_lock(world.own));
    CHECK_FAILS(llam_cond_wait_until(world.cond, world.own, after_ms(1)), ETIMEDOUT);
    CHECK_OK(llam_mutex_unlock(world.own));
    CHECK_FAILS(llam_channel_try_recv_result(world.empty, &value), EAGAIN);
    CHECK_OK(llam_channel_try_recv_result(world.full, &value));
    CHECK_PTR(value, NULL);
    CHECK_FAILS(llam_channel_try_recv_result(world.full, &value), EAGAIN);
    CHECK_OK(llam_channel_try_send(world.full, NULL));
    CHECK_FAILS(llam_join_until(world.target, 0), ETIMEDOUT);
    CHECK_FAILS(llam_task_group_join_until(world.group, 0), ETIMEDOUT);
}

static void end_world(void) {
    void *value;
    atomic_store(&world.leave, 1);
    CHECK_OK(llam_join(world.holder));
    CHECK_OK(llam_join(world.target));
    CHECK_OK(llam_task_group_join(world.group));
    CHECK_OK(llam_channel_try_recv_result(world.full, &value));
    CHECK_OK(llam_mutex_destroy(world.held));
    CHECK_OK(llam_mutex_destroy(world.own));
    CHECK_OK(llam_cond_destroy(world.cond));
    CHECK_OK(llam_channel_destroy(world.empty));
    CHECK_OK(llam_channel_destroy(world.full));
    CHECK_OK(llam_task_group_destroy(world.group));
    CHECK_OK(llam_timer_destroy(world.timer));
    CHECK_OK(llam_signal_set_destroy(world.signals));
    CHECK_OK(llam_close(world.quiet[0]) | llam_close(world.quiet[1]));
    CHECK_OK(llam_close(world.clogged[0]) | llam_close(world.clogged[1]));
    CHECK_OK(llam_close(world.listener));
}

static void run_world(llam_task_fn fn) {
    make_signals();
    run_task(fn, NULL);
}

/* ---- The table of abi.md 5.3 ---- */

static void cancel_each_wait(void *arg) {
    (void)arg;
    make_world();
    for (uintptr_t i = 0; i < WAITS; i++) {
        llam_cancel_token_t *token = token_new();
        llam_task_t *victim = spawn_with_token(do_wait, (void *)i, token);
        AWAIT(in_state(victim, "PARKED"));
        CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_OK(llam_join(victim));
        CHECK_OK(llam_cancel_token_destroy(token));
        check_world();
    }
    end_world();
}

/* abi.md 5.3: each parked wait ends in ECANCELED when its token is cancelled. */
TEST(a_token_ends_every_kind_of_wait) { run_world(cancel_each_wait); }

static void cancel_before_each_wait(void *arg) {
    (void)arg;
    make_world();
    for (uintptr_t i = 0; i < WAITS; i++) {
        run_cancelled(do_wait, (void *)i);
        check_world();
    }
    end_world();
}

/* abi.md 5.3, R6: a task that is cancelled already cannot begin any of these waits. */
TEST(a_cancelled_task_begins_no_kind_of_wait) { run_world(cancel_before_each_wait); }

static void cancel_all_waits(void *arg) {
    (void)arg;
    make_world();
    llam_cancel_token_t *token = token_new();
    llam_task_t *victims[WAITS];
    for (uintptr_t i = 0; i < WAITS; i++) {
        victims[i] = spawn_with_token(do_wait, (void *)i, token);
        AWAIT(in_state(victims[i], "PARKED"));
    }
    CHECK_OK(llam_cancel_token_cancel(token));
    for (uintptr_t i = 0; i < WAITS; i++) CHECK_OK(llam_join(victims[i]));
    CHECK_OK(llam_cancel_token_destroy(token));
    check_world();
    end_world();
}

/* abi.md 4.9: one token wakes all the tasks that have it. */
TEST(one_token_ends_all_kinds_of_wait_together) { run_world(cancel_all_waits); }

static void stop_all_waits(void *arg) {
    (void)arg;
    make_world();
    llam_task_t *victims[WAITS];
    for (uintptr_t i = 0; i < WAITS; i++) {
        victims[i] = spawn_ok(do_wait, (void *)i);
        AWAIT(in_state(victims[i], "PARKED"));
    }
    CHECK_OK(llam_runtime_request_stop());
    CHECK_OK(llam_runtime_request_stop());
    for (uintptr_t i = 0; i < WAITS; i++) {
        CHECK_FAILS(llam_sleep_ns(CHECK_MS), ECANCELED);
        while (!in_state(victims[i], "DEAD")) llam_yield();
        CHECK_OK(llam_join(victims[i]));
    }
    atomic_store(&world.leave, 1);
}

/* abi.md 5.1.4, 5.3: a stop request has the same effect; the run returns 0; the next run is as ever.
 * Appendix A: "A task waiting in llam_accept, llam_read or llam_poll_handle gets ECANCELED from a
 * stop and from its token." */
TEST(a_stop_ends_every_kind_of_wait) {
    make_signals();
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(stop_all_waits, NULL)));
    run_here();
    counter ran = 0;
    CHECK_OK(llam_detach(spawn_ok(count_one, &ran)));
    llam_task_t *sleeper = spawn_ok(until_set, &ran);
    run_here();
    CHECK_OK(llam_join(sleeper));
    llam_runtime_shutdown();
}

static void stopped_before(void *arg) {
    CHECK_FAILS(llam_sleep_ns(CHECK_MS), ECANCELED);
    count_one(arg);
}

/* abi.md 5.1.4: a stop requested while idle marks the next run; its tasks start. */
TEST(a_stop_before_the_run_cancels_its_waits) {
    counter ran = 0;
    init_default(0);
    llam_task_t *task = spawn_ok(stopped_before, &ran);
    CHECK_OK(llam_runtime_request_stop());
    run_here();
    CHECK_EQ(atomic_load(&ran), 1);
    CHECK_OK(llam_join(task));
    llam_runtime_shutdown();
}

/* ---- Cancelled and expired ---- */

static void expired_waits(void *arg) {
    uint64_t past = (uint64_t)(uintptr_t)arg, ticks;
    void *value;
    size_t index;
    llam_signal_event_t event;
    llam_select_op_t op = {.kind = LLAM_SELECT_OP_RECV, .channel = world.empty, .recv_out = &value};
    CHECK_OK(llam_sleep_until(past));
    CHECK_FAILS(llam_join_until(world.target, past), ETIMEDOUT);
    CHECK_FAILS(llam_task_group_join_until(world.group, past), ETIMEDOUT);
    CHECK_FAILS(llam_mutex_lock_until(world.held, past), ETIMEDOUT);
    CHECK_OK(llam_mutex_lock(world.own));
    CHECK_FAILS(llam_cond_wait_until(world.cond, world.own, past), ETIMEDOUT);
    CHECK_FAILS(llam_mutex_lock_until(world.own, past), EDEADLK);
    CHECK_OK(llam_mutex_unlock(world.own));
    CHECK_FAILS(llam_channel_send_until(world.full, NULL, past), ETIMEDOUT);
    CHECK_FAILS(llam_channel_recv_until_result(world.empty, past, &value), ETIMEDOUT);
    CHECK_NULL(llam_channel_recv_until(world.empty, past), ETIMEDOUT);
    CHECK_FAILS(llam_channel_select(&op, 1, past, &index), ETIMEDOUT);
    CHECK_FAILS(llam_timer_wait_until(world.timer, past, &ticks), ETIMEDOUT);
    CHECK_FAILS(llam_signal_wait_until(world.signals, past, &event), ETIMEDOUT);
}

static void expire(void *arg) {
    (void)arg;
    make_world();
    for (uintptr_t past = 0; past < 2; past++) {
        expired_waits((void *)past);
        run_cancelled(expired_waits, (void *)past);
    }
    check_world();
    end_world();
}

/* abi.md 5.2, and 5.3: "cancelled and expired gives ETIMEDOUT (0 for a sleep)". */
TEST(an_expired_deadline_comes_before_cancellation) { run_world(expire); }

static void time_out(void *arg) {
    (void)arg;
    make_world();
    void *value;
    uint64_t ticks, deadline;
    size_t index;
    llam_signal_event_t event;
    llam_select_op_t op = {.kind = LLAM_SELECT_OP_RECV, .channel = world.empty, .recv_out = &value};
#define NOT_EARLY(call)                                                                          \
    do {                                                                                         \
        deadline = after_ms(3);                                                                  \
        CHECK_FAILS(call, ETIMEDOUT);                                                            \
        CHECK(llam_now_ns() >= deadline);                                                        \
    } while (0)
    NOT_EARLY(llam_join_until(world.target, deadline));
    NOT_EARLY(llam_task_group_join_until(world.group, deadline));
    NOT_EARLY(llam_mutex_lock_until(world.held, deadline));
    CHECK_OK(llam_mutex_lock(world.own));
    NOT_EARLY(llam_cond_wait_until(world.cond, world.own, deadline));
    CHECK_OK(llam_mutex_unlock(world.own));
    NOT_EARLY(llam_channel_send_until(world.full, NULL, deadline));
    NOT_EARLY(llam_channel_recv_until_result(world.empty, deadline, &value));
    NOT_EARLY(llam_channel_select(&op, 1, deadline, &index));
    NOT_EARLY(llam_timer_wait_until(world.timer, deadline, &ticks));
    NOT_EARLY(llam_signal_wait_until(world.signals, deadline, &event));
    check_world();
    end_world();
}

/* R5: a wait never ends with ETIMEDOUT before its deadline. */
TEST(no_wait_times_out_early) { run_world(time_out); }

/* ---- What a cancelled task can do ---- */

static void complete_at_once(void *arg) {
    llam_task_t *ended = arg;
    void *value = NULL;
    char bytes[8];
    short revents = 0;
    size_t index = 9;
    CHECK_OK(llam_channel_recv_result(world.full, &value));
    CHECK_OK(llam_channel_send(world.full, NULL));
    CHECK_OK(llam_mutex_lock(world.own));
    CHECK_FAILS(llam_mutex_trylock(world.own), EBUSY);
    CHECK_OK(llam_cond_signal(world.cond) | llam_cond_broadcast(world.cond));
    CHECK_OK(llam_mutex_unlock(world.own));
    CHECK_OK(llam_join(ended));
    CHECK_EQ(llam_write(world.quiet[1], "abcd", 4), 4);
    CHECK_EQ(llam_poll_fd(world.quiet[0], POLLIN, -1, &revents), 1);
    CHECK_EQ(llam_poll_fd(world.quiet[0], POLLIN, 0, &revents), 1);
    CHECK_EQ(revents, POLLIN);
    CHECK_EQ(llam_read(world.quiet[0], bytes, 2), 2);
    CHECK_EQ(llam_recvfrom(world.quiet[0], bytes, 1, 0, NULL, NULL), 1);
    CHECK_EQ(llam_read_when_ready(world.quiet[0], bytes, 1, -1), 1);
    CHECK_EQ(llam_poll_fd(world.quiet[0], POLLIN, 0, &revents), 0);
    llam_iovec_t slice = {"e", 1};
    CHECK_EQ(llam_writev(world.quiet[1], &slice, 1), 1);
    CHECK_EQ(llam_sendto(world.quiet[1], "f", 1, 0, NULL, 0), 1);
    llam_io_buffer_t *buffer = NULL;
    CHECK_EQ(llam_recvfrom_owned(world.quiet[0], 8, 0, NULL, NULL, &buffer), 2);
    llam_io_buffer_release(buffer);
    llam_select_op_t op = {.kind = LLAM_SELECT_OP_RECV, .channel = world.full, .recv_out = &value};
    CHECK_OK(llam_channel_select(&op, 1, UINT64_MAX, &index));
    CHECK_EQ(index, 0);
    CHECK_OK(llam_channel_try_send(world.full, NULL));
}

/* yield, spawn, detach, creates and destroys: as ever. */
static void go_on_as_ever(void *arg) {
    llam_timer_t *due;
    uint64_t ticks;
    llam_timer_opts_t opts = {.first_deadline_ns = 0, .interval_ns = UINT64_MAX};
    CHECK_OK(llam_timer_create_ex(&opts, sizeof opts, &due));
    CHECK_OK(llam_timer_wait(due, &ticks));
    CHECK_EQ(ticks, 1);
    CHECK_OK(llam_timer_destroy(due));
    CHECK_OK(llam_sleep_ns(0));
    CHECK_OK(llam_sleep_until(0));
    CHECK_OK(llam_sleep_until(llam_now_ns()));
    CHECK_FAILS(llam_sleep_ns(UINT64_MAX / 2), ECANCELED);
    llam_yield();
    llam_task_safepoint();
    CHECK_OK(llam_detach(spawn_ok(count_one, arg)));
    CHECK_OK(llam_enter_blocking());
    CHECK_OK(llam_leave_blocking());
    llam_task_group_t *group = llam_task_group_create();
    CHECK_OK(llam_task_group_join(group));
    CHECK_OK(llam_task_group_destroy(group));
    llam_channel_t *closed = llam_channel_create(1);
    CHECK_OK(llam_channel_close(closed));
    void *value;
    CHECK_FAILS(llam_channel_send(closed, NULL), EPIPE);
    CHECK_FAILS(llam_channel_recv_result(closed, &value), EPIPE);
    CHECK_OK(llam_channel_destroy(closed));
    CHECK_OK(llam_cancel_token_destroy(token_new()));
}

static void use_a_cancelled_task(void *arg) {
    make_world();
    llam_task_t *ended = spawn_ok(do_nothing, NULL);
    AWAIT(in_state(ended, "DEAD"));
    run_cancelled(complete_at_once, ended);
    run_cancelled(go_on_as_ever, arg);
    AWAIT(atomic_load((counter *)arg) == 1);
    check_world();
    end_world();
}

/* Appendix A: "A pre-cancelled task receives a buffered value, locks a free mutex, joins an ended
 * task and reads available bytes with llam_read as usual; only waiting fails."
 * Appendix A: "Cancelled and llam_sleep_ns(0) or a past llam_sleep_until: 0. Cancelled and a huge
 * llam_sleep_ns: ECANCELED at once." */
TEST(a_cancelled_task_does_what_needs_no_wait) {
    counter ran = 0;
    make_signals();
    run_task(use_a_cancelled_task, &ran);
}

static void class_b_calls(void *arg) {
    int file = *(int *)arg, gai = 1;
    char bytes[4];
    llam_io_buffer_t *buffer = NULL;
    llam_iovec_t out = {"x", 1};
    llam_mut_iovec_t in = {bytes, 4};
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    struct addrinfo *list = NULL;
    llam_handle_t opened;
    llam_file_stat_t status;
    CHECK_OK(getsockname(world.listener, (struct sockaddr *)&address, &length));
    int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_FAILS(llam_connect(socket_fd, (struct sockaddr *)&address, length), ECANCELED);
    CHECK_OK(close(socket_fd));
    CHECK_FAILS(llam_read_owned(world.quiet[0], 4, &buffer), ECANCELED);
    CHECK_FAILS(llam_recv_owned(world.quiet[0], 4, 0, &buffer), ECANCELED);
    CHECK_FAILS(llam_pread_owned_aligned(file, 4, 0, 0, &buffer), ECANCELED);
    CHECK_PTR(buffer, NULL);
    CHECK_FAILS(llam_pread(file, bytes, 4, 0), ECANCELED);
    CHECK_FAILS(llam_pwrite(file, "x", 1, 0), ECANCELED);
    CHECK_FAILS(llam_preadv(file, &in, 1, 0), ECANCELED);
    CHECK_FAILS(llam_pwritev(file, &out, 1, 0), ECANCELED);
    CHECK_FAILS(llam_getaddrinfo_result("127.0.0.1", NULL, NULL, &list, &gai), ECANCELED);
    CHECK_PTR(list, NULL);
    CHECK_FAILS(llam_open_async("/dev/null", O_RDONLY, 0, &opened), ECANCELED);
    CHECK_FAILS(llam_stat_path_ex("/dev/null", &status, sizeof status), ECANCELED);
}

static void use_class_b(void *arg) {
    (void)arg;
    make_world();
    FILE *file = tmpfile();
    CHECK(file != NULL);
    int fd = fileno(file);
    CHECK_EQ(pwrite(fd, "abcd", 4, 0), 4);
    CHECK_EQ(llam_write(world.quiet[1], "abcd", 4), 4);
    run_cancelled(class_b_calls, &fd);
    char bytes[8];
    CHECK_EQ(pread(fd, bytes, 8, 0), 4);
    CHECK_EQ(memcmp(bytes, "abcd", 4), 0);
    /* The bytes that the owned reads could have taken are still there. */
    CHECK_EQ(llam_read(world.quiet[0], bytes, 8), 4);
    CHECK_OK(fclose(file));
    check_world();
    end_world();
}

/* Appendix A: "But llam_read_owned, llam_recv_owned, llam_connect and positional I/O fail with
 * ECANCELED in such a task even when they could complete." */
TEST(calls_of_class_b_fail_in_a_cancelled_task) { run_world(use_class_b); }

MAIN
