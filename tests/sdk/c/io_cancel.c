/* Cancellation and stop requests in every I/O call (abi.md 5.3, R5, R6, rule I7): what ends a wait,
 * and what a cancelled task can still do.
 */
#include "io_util.h"

enum fixture { QUIET, FULL, LISTENING, CONNECTING };

struct call {
    const char *name;
    enum fixture fixture;
    int64_t (*make)(int fd);
};

static char scratch[64];
static const llam_iovec_t SLICES[2] = {{"ab", 2}, {"cd", 2}};

static int64_t call_read(int fd) { return llam_read(fd, scratch, 8); }
static int64_t call_read_handle(int fd) { return llam_read_handle(fd, scratch, 8); }
static int64_t call_read_ready(int fd) { return llam_read_when_ready(fd, scratch, 8, -1); }
static int64_t call_read_ready_ms(int fd) { return llam_read_when_ready(fd, scratch, 8, 900000); }
static int64_t call_write(int fd) { return llam_write(fd, "abcd", 4); }
static int64_t call_write_handle(int fd) { return llam_write_handle(fd, "abcd", 4); }
static int64_t call_writev(int fd) { return llam_writev(fd, SLICES, 2); }
static int64_t call_recvfrom(int fd) { return llam_recvfrom(fd, scratch, 8, 0, NULL, NULL); }
static int64_t call_sendto(int fd) { return llam_sendto(fd, "abcd", 4, 0, NULL, 0); }
static int64_t call_accept(int fd) { return llam_accept(fd, NULL, NULL); }

typedef int (*poll_call)(int fd, short events, int timeout_ms, short *revents);

/* -1 with the error, or 1; the events are written in every case. */
static int64_t poll_of(poll_call form, int fd, short events, int timeout_ms) {
    short revents = 0x7fff;
    int ready = form(fd, events, timeout_ms, &revents);
    if (ready == 1) CHECK_EQ(revents & events, events);
    else CHECK_EQ(revents, 0);
    return ready;
}

static int64_t call_poll(int fd) { return poll_of(llam_poll_fd, fd, POLLIN, -1); }
static int64_t call_poll_handle(int fd) { return poll_of(llam_poll_handle, fd, POLLIN, -1); }
static int64_t call_poll_ms(int fd) { return poll_of(llam_poll_fd, fd, POLLIN, 900000); }
static int64_t call_poll_out(int fd) { return poll_of(llam_poll_fd, fd, POLLOUT, -1); }

static int64_t dropped(int64_t count, llam_io_buffer_t *buffer) {
    CHECK((count > 0) == (buffer != NULL));
    int error = errno;
    llam_io_buffer_release(buffer);
    errno = error;
    return count;
}

static llam_io_buffer_t *stale_buffer(void) { return (llam_io_buffer_t *)(uintptr_t)24; }

static int64_t call_read_owned(int fd) {
    llam_io_buffer_t *buffer = stale_buffer();
    int64_t count = llam_read_owned(fd, 8, &buffer);
    return dropped(count, buffer);
}

static int64_t call_recv_owned(int fd) {
    llam_io_buffer_t *buffer = stale_buffer();
    int64_t count = llam_recv_owned(fd, 8, 0, &buffer);
    return dropped(count, buffer);
}

static int64_t call_recvfrom_owned(int fd) {
    llam_io_buffer_t *buffer = stale_buffer();
    int64_t count = llam_recvfrom_owned(fd, 8, 0, NULL, NULL, &buffer);
    return dropped(count, buffer);
}

/* A listener whose queue is full: connecting to it waits. */
static struct sockaddr_in busy_address;

static int64_t call_connect(int fd) {
    return llam_connect(fd, (struct sockaddr *)&busy_address, sizeof busy_address);
}

static const struct call CALLS[] = {
    {"read", QUIET, call_read},
    {"read_handle", QUIET, call_read_handle},
    {"read_when_ready", QUIET, call_read_ready},
    {"read_when_ready with a timeout", QUIET, call_read_ready_ms},
    {"write", FULL, call_write},
    {"write_handle", FULL, call_write_handle},
    {"writev", FULL, call_writev},
    {"recvfrom", QUIET, call_recvfrom},
    {"sendto", FULL, call_sendto},
    {"accept", LISTENING, call_accept},
    {"poll_fd", QUIET, call_poll},
    {"poll_handle", QUIET, call_poll_handle},
    {"poll_fd with a timeout", QUIET, call_poll_ms},
    {"poll_fd for room", FULL, call_poll_out},
    {"poll_fd of a listener", LISTENING, call_poll},
    {"read_owned", QUIET, call_read_owned},
    {"recv_owned", QUIET, call_recv_owned},
    {"recvfrom_owned", QUIET, call_recvfrom_owned},
    {"connect", CONNECTING, call_connect},
};
#define CALLS_COUNT ((int)(sizeof CALLS / sizeof CALLS[0]))

/* A listener that takes no more connections: its queue of one is full and nobody accepts. */
static void fill_the_queue(void) {
    int server = listener(0, &busy_address);
    CHECK(server >= 0);
    for (int i = 0; i < 3; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fd, (struct sockaddr *)&busy_address, sizeof busy_address) == 0) continue;
        CHECK_EQ(errno, EINPROGRESS);
        struct pollfd watched = {.fd = fd, .events = POLLOUT};
        CHECK(poll(&watched, 1, 200) >= 0);
    }
}

/* The descriptor on which the call waits, and the other end. A full one is local: what waits in a
 * TCP connection moves on by itself, which makes room again. */
static void make_fixture(enum fixture fixture, int over_tcp, int fds[2]) {
    struct sockaddr_in address;
    if (fixture == CONNECTING) {
        if (busy_address.sin_port == 0) fill_the_queue();
        fds[0] = socket(AF_INET, SOCK_STREAM, 0);
        fds[1] = dup(fds[0]);
    } else if (fixture == LISTENING) {
        fds[0] = listener(8, &address);
        fds[1] = dup(fds[0]);
    } else if (over_tcp && fixture == QUIET) {
        make_tcp_pair(fds);
    } else {
        make_pair(SOCK_STREAM, fds);
    }
    CHECK(fds[0] >= 0 && fds[1] >= 0);
    if (fixture == FULL) fill(fds[0]);
}

struct waiter {
    const struct call *call;
    int fds[2], flags, error;
    int64_t result;
    atomic_int gone_on;
};

static void wait_in_the_call(void *arg) {
    struct waiter *waiter = arg;
    waiter->result = waiter->call->make(waiter->fds[0]);
    waiter->error = errno;
    atomic_store(&waiter->gone_on, 1);
    /* Cancelled for good: another wait ends as well. */
    CHECK_FAILS(waiter->call->make(waiter->fds[0]), ECANCELED);
}

static void prepare(struct waiter *waiter, int round) {
    memset(waiter, 0, sizeof *waiter);
    waiter->call = &CALLS[round % CALLS_COUNT];
    make_fixture(waiter->call->fixture, round / CALLS_COUNT % 2, waiter->fds);
    if (waiter->call->fixture != CONNECTING)
        set_nonblocking(waiter->fds[0], round / CALLS_COUNT / 2);
    waiter->flags = fcntl(waiter->fds[0], F_GETFL);
}

#define ROUNDS (CALLS_COUNT * 4)

static void check_cancelled(struct waiter *waiter) {
    if (waiter->result != -1 || waiter->error != ECANCELED)
        FAIL("%s gave %" PRId64 " with errno %d", waiter->call->name, waiter->result,
             waiter->error);
    if (waiter->call->fixture != CONNECTING)
        CHECK_EQ(fcntl(waiter->fds[0], F_GETFL), waiter->flags);
    CHECK_OK(llam_close(waiter->fds[0]));
    CHECK_OK(llam_close(waiter->fds[1]));
}

static void cancel_every_wait(void *unused) {
    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        struct waiter waiter;
        prepare(&waiter, round);
        llam_cancel_token_t *token = llam_cancel_token_create();
        llam_task_t *task = spawn_with(wait_in_the_call, &waiter, token);
        await_parked(task);
        CHECK(!atomic_load(&waiter.gone_on));
        CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_OK(llam_join(task));
        CHECK_OK(llam_cancel_token_destroy(token));
        check_cancelled(&waiter);
    }
}

/* 5.3, I7: a token ends the wait of every call with ECANCELED, in both modes; so does Appendix A:
 * a task waiting in accept, read or poll_handle gets ECANCELED from its token. */
TEST(a_token_ends_every_wait) { run_task(cancel_every_wait, NULL); }

static struct waiter stopped[ROUNDS];
static llam_task_t *stopped_tasks[ROUNDS];

static void stop_when_all_wait(void *unused) {
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) await_parked(stopped_tasks[i]);
    CHECK_OK(llam_runtime_request_stop());
}

/* 5.1.4, Appendix A: and from a stop request; one request ends all of them. */
TEST(a_stop_request_ends_every_wait) {
    init_default(0);
    for (int i = 0; i < ROUNDS; i++) {
        prepare(&stopped[i], i);
        stopped_tasks[i] = spawn_ok(wait_in_the_call, &stopped[i]);
    }
    CHECK_OK(llam_detach(spawn_ok(stop_when_all_wait, NULL)));
    CHECK_OK(llam_run());
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(llam_join(stopped_tasks[i]));
        check_cancelled(&stopped[i]);
    }
    llam_runtime_shutdown();
}

static void *stop_from_outside(void *unused) {
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) await_parked(stopped_tasks[i]);
    CHECK_OK(llam_runtime_request_stop());
    return NULL;
}

/* The same from a host thread. */
TEST(a_stop_request_of_a_host_thread_ends_every_wait) {
    init_default(0);
    for (int i = 0; i < ROUNDS; i++) {
        prepare(&stopped[i], i);
        stopped_tasks[i] = spawn_ok(wait_in_the_call, &stopped[i]);
    }
    pthread_t thread = start_thread(stop_from_outside, NULL);
    CHECK_OK(llam_run());
    join_thread(thread);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(llam_join(stopped_tasks[i]));
        check_cancelled(&stopped[i]);
    }
    llam_runtime_shutdown();
}

static void nothing_was_transferred(void *unused) {
    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        struct waiter waiter;
        prepare(&waiter, round);
        enum fixture fixture = waiter.call->fixture;
        if (fixture != QUIET && fixture != FULL) continue;
        size_t full = 0;
        if (fixture == FULL) {
            full = drain(waiter.fds[1]);
            while (!ready_for(waiter.fds[0], POLLOUT)) full += drain(waiter.fds[1]);
            full = fill(waiter.fds[0]);
        }
        llam_cancel_token_t *token = llam_cancel_token_create();
        llam_task_t *task = spawn_with(wait_in_the_call, &waiter, token);
        await_parked(task);
        CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_OK(llam_join(task));
        if (fixture == QUIET) {
            CHECK_EQ(write(waiter.fds[1], "mine", 4), 4);
            CHECK_EQ(llam_read(waiter.fds[0], scratch, 8), 4);
            CHECK_EQ(memcmp(scratch, "mine", 4), 0);
        } else {
            size_t arrived = 0;
            while (arrived < full) arrived += (size_t)llam_read(waiter.fds[1], scratch, 64);
            CHECK_EQ(arrived, full);
            CHECK(!ready_for(waiter.fds[1], POLLIN));
        }
        check_cancelled(&waiter);
        CHECK_OK(llam_cancel_token_destroy(token));
    }
}

/* I7: ECANCELED means that nothing was transferred; the descriptor works on. */
TEST(a_cancelled_wait_has_transferred_nothing) { run_task(nothing_was_transferred, NULL); }

/* ---- A task that is cancelled already ---- */

static void class_a_works(void *unused) {
    (void)unused;
    int fds[2];
    short revents = 0x7fff;
    llam_io_buffer_t *buffer = stale_buffer();
    for (int mode = 0; mode < 2; mode++) {
        make_pair(SOCK_STREAM, fds);
        set_nonblocking(fds[0], mode);
        CHECK_EQ(write(fds[1], "abcdefgh", 8), 8);
        CHECK_EQ(llam_read(fds[0], scratch, 1), 1);
        CHECK_EQ(llam_read_handle(fds[0], scratch, 1), 1);
        CHECK_EQ(llam_read_when_ready(fds[0], scratch, 1, -1), 1);
        CHECK_EQ(llam_read_when_ready(fds[0], scratch, 1, 0), 1);
        CHECK_EQ(llam_recvfrom(fds[0], scratch, 1, 0, NULL, NULL), 1);
        CHECK_EQ(llam_recvfrom_owned(fds[0], 1, 0, NULL, NULL, &buffer), 1);
        CHECK_EQ(*(char *)llam_io_buffer_data(buffer), 'f');
        llam_io_buffer_release(buffer);
        CHECK_EQ(llam_poll_fd(fds[0], POLLIN, -1, &revents), 1);
        CHECK_EQ(revents, POLLIN);
        CHECK_EQ(llam_poll_handle(fds[0], POLLIN, 50, NULL), 1);
        CHECK_EQ(call_write(fds[0]) + call_write_handle(fds[0]), 8);
        CHECK_EQ(call_writev(fds[0]) + call_sendto(fds[0]), 8);
        struct sockaddr_in address;
        int server = listener(8, &address), client = plain_client(&address);
        set_nonblocking(server, mode);
        int accepted = llam_accept(server, NULL, NULL);
        CHECK(accepted >= 0);
        CHECK_OK(llam_close(accepted));
        CHECK_OK(llam_close(client));
        CHECK_OK(llam_close(server));
        CHECK_EQ(drain(fds[0]), 2);
        CHECK_EQ(drain(fds[1]), 16);
        CHECK_OK(llam_close(fds[1]));
        CHECK_EQ(llam_read(fds[0], scratch, 1), 0);
        CHECK_OK(llam_close(fds[0]));
    }
}

static void stop_then_class_a(void *unused) {
    CHECK_OK(llam_runtime_request_stop());
    class_a_works(unused);
}

/* Appendix A: a pre-cancelled task reads available bytes with llam_read as usual; only waiting
 * fails. I7 class A; also in a stopping runtime. */
TEST(a_cancelled_task_does_what_needs_no_wait) { run_cancelled(class_a_works, NULL); }
TEST(a_stopping_runtime_does_what_needs_no_wait) { run_task(stop_then_class_a, NULL); }

static void waiting_fails(void *unused) {
    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        struct waiter waiter;
        prepare(&waiter, round);
        CHECK_FAILS(waiter.call->make(waiter.fds[0]), ECANCELED);
        CHECK_OK(llam_close(waiter.fds[0]));
        CHECK_OK(llam_close(waiter.fds[1]));
    }
}

static void stop_then_wait(void *unused) {
    CHECK_OK(llam_runtime_request_stop());
    waiting_fails(unused);
}

/* R6: a call that would have to wait fails at once, with *revents 0 from polls. */
TEST(a_cancelled_task_cannot_wait) { run_cancelled(waiting_fails, NULL); }
TEST(a_stopping_runtime_cannot_wait) { run_task(stop_then_wait, NULL); }

static void class_b_fails(void *unused) {
    (void)unused;
    int fds[2];
    char bytes[8] = "held";
    llam_iovec_t out_slice = {bytes, 4};
    llam_mut_iovec_t in_slice = {bytes, 4};
    make_pair(SOCK_STREAM, fds);
    CHECK_EQ(write(fds[1], "data", 4), 4);
    CHECK_FAILS(call_read_owned(fds[0]), ECANCELED);
    CHECK_FAILS(call_recv_owned(fds[0]), ECANCELED);
    struct sockaddr_in address;
    int server = listener(8, &address), client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_FAILS(llam_connect(client, (struct sockaddr *)&address, sizeof address), ECANCELED);
    CHECK(!ready_for(server, POLLIN));
    int file = temporary_file("12345678", 8);
    llam_io_buffer_t *buffer = stale_buffer();
    CHECK_FAILS(llam_pread(file, bytes, 4, 0), ECANCELED);
    CHECK_FAILS(llam_pwrite(file, bytes, 4, 0), ECANCELED);
    CHECK_FAILS(llam_preadv(file, &in_slice, 1, 0), ECANCELED);
    CHECK_FAILS(llam_pwritev(file, &out_slice, 1, 0), ECANCELED);
    CHECK_FAILS(llam_pread_handle(file, bytes, 4, 0), ECANCELED);
    CHECK_FAILS(llam_pwrite_handle(file, bytes, 4, 0), ECANCELED);
    CHECK_FAILS(llam_preadv_handle(file, &in_slice, 1, 0), ECANCELED);
    CHECK_FAILS(llam_pwritev_handle(file, &out_slice, 1, 0), ECANCELED);
    CHECK_FAILS(llam_pread_owned_aligned(file, 4, 0, 0, &buffer), ECANCELED);
    CHECK_PTR(buffer, NULL);
    buffer = stale_buffer();
    CHECK_FAILS(llam_pread_handle_owned_aligned(file, 4, 0, 512, &buffer), ECANCELED);
    CHECK_PTR(buffer, NULL);
    CHECK_STR(bytes, "held");
    CHECK_EQ(read(file, bytes, 8), 8);
    CHECK_EQ(memcmp(bytes, "12345678", 8), 0);
    CHECK_EQ(read(fds[0], bytes, 8), 4);
}

static void class_b_argument_errors(void *unused) {
    (void)unused;
    llam_io_buffer_t *buffer = stale_buffer();
    CHECK_FAILS(llam_connect(0, NULL, 4), EINVAL);
    CHECK_FAILS(llam_pread(0, NULL, 4, 0), EINVAL);
    CHECK_FAILS(llam_pread(0, scratch, 4, UINT64_MAX), EOVERFLOW);
    CHECK_FAILS(llam_preadv(0, NULL, 1, 0), EINVAL);
    CHECK_FAILS(llam_read_owned(0, 4, NULL), EINVAL);
    CHECK_FAILS(llam_read_owned(0, SIZE_MAX, &buffer), EINVAL);
    CHECK_FAILS(llam_pread_owned_aligned(0, 4, 0, 3, &buffer), EINVAL);
    CHECK_FAILS(llam_open_async(NULL, 0, 0, &(int){0}), EINVAL);
    CHECK_FAILS(llam_stat_path_ex(NULL, NULL, 0), EINVAL);
}

static void stop_then_class_b(void *unused) {
    CHECK_OK(llam_runtime_request_stop());
    class_b_fails(unused);
    class_b_argument_errors(unused);
}

/* Appendix A: but owned reads, llam_connect and positional I/O fail with ECANCELED in such a task
 * even when they could complete. I7 class B. */
TEST(class_b_fails_in_a_cancelled_task_even_if_it_could_complete) {
    run_cancelled(class_b_fails, NULL);
}
TEST(class_b_fails_in_a_stopping_runtime_even_if_it_could_complete) {
    run_task(stop_then_class_b, NULL);
}

/* I7: argument errors come before the cancellation. */
TEST(argument_errors_come_before_the_cancellation) {
    run_cancelled(class_b_argument_errors, NULL);
}

static void polls_of_a_cancelled_task(void *unused) {
    (void)unused;
    int fds[2];
    short revents = 0x7fff;
    make_pair(SOCK_STREAM, fds);
    CHECK_EQ(llam_poll_fd(fds[0], POLLIN, 0, &revents), 0);
    CHECK_EQ(revents, 0);
    revents = 0x7fff;
    CHECK_FAILS(llam_poll_fd(fds[0], POLLIN, 100, &revents), ECANCELED);
    CHECK_EQ(revents, 0);
    revents = 0x7fff;
    CHECK_FAILS(llam_poll_handle(fds[0], POLLIN, -1, &revents), ECANCELED);
    CHECK_EQ(revents, 0);
    CHECK_FAILS(llam_poll_fd(fds[0], POLLIN, -1, NULL), ECANCELED);
    CHECK_EQ(llam_poll_fd(fds[0], POLLIN | POLLOUT, -1, &revents), 1);
    CHECK_EQ(revents, POLLOUT);
    CHECK_FAILS(llam_read_when_ready(fds[0], scratch, 1, 0), ETIMEDOUT);
}

/* Appendix A: cancelled poll with a timeout: ECANCELED and *revents 0 even if it held garbage.
 * 5.3: with timeout 0 it is 1 or 0; expired comes before cancelled. */
TEST(a_cancelled_poll_probes_but_does_not_wait) { run_cancelled(polls_of_a_cancelled_task, NULL); }

/* A cancellation and the data race; neither result loses or doubles the byte. */
struct race {
    int fd, error;
    ssize_t count;
};

static void read_in_a_race(void *arg) {
    struct race *race = arg;
    race->count = llam_read(race->fd, scratch, 1);
    race->error = errno;
}

static void write_in_a_race(void *arg) { CHECK_EQ(llam_write(*(int *)arg, "r", 1), 1); }

static void races(void *unused) {
    (void)unused;
    for (int round = 0; round < 200; round++) {
        int fds[2];
        make_pair(SOCK_STREAM, fds);
        set_nonblocking(fds[0], round % 2);
        struct race race = {.fd = fds[0]};
        llam_cancel_token_t *token = llam_cancel_token_create();
        llam_task_t *reader = spawn_with(read_in_a_race, &race, token);
        await_parked(reader);
        llam_task_t *writer = spawn_ok(write_in_a_race, &fds[1]);
        if (round % 4 / 2) llam_yield();
        CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_OK(llam_join(writer));
        CHECK_OK(llam_join(reader));
        CHECK_OK(llam_cancel_token_destroy(token));
        if (race.count != 1) {
            CHECK_EQ(race.count, -1);
            CHECK_EQ(race.error, ECANCELED);
            CHECK_EQ(llam_read(fds[0], scratch, 1), 1);
        }
        CHECK(!ready_for(fds[0], POLLIN));
        CHECK_OK(llam_close(fds[0]));
        CHECK_OK(llam_close(fds[1]));
    }
}

/* I7: a result that came first is returned; ECANCELED never loses a byte. */
TEST(a_cancellation_that_races_with_data_loses_nothing) { run_task(races, NULL); }

MAIN
