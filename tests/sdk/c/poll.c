/* Readiness: llam_poll_fd, llam_poll_handle (abi.md 4.14, 5.2). */
#include "io_util.h"

#include <time.h>

typedef int (*poll_call)(int fd, short events, int timeout_ms, short *revents);
static const poll_call POLLS[] = {llam_poll_fd, llam_poll_handle};

/* The bits of a poll that is ready. */
static short ready_bits(int form, int fd, short events, int timeout_ms) {
    short revents = 0x7fff;
    CHECK_EQ(POLLS[form](fd, events, timeout_ms, &revents), 1);
    return revents;
}

/* Appendix A: llam_poll_fd(LLAM_INVALID_FD, ...): 1 with POLLNVAL; a closed descriptor the same,
 * with every timeout. */
TEST_EVERYWHERE(a_descriptor_that_is_not_open_is_pollnval) {
    const int timeouts[] = {0, 50, -1};
    for (int i = 0; i < 12; i++) {
        int fd = i / 6 ? closed_descriptor() : LLAM_INVALID_FD;
        CHECK_EQ(ready_bits(i % 2, fd, POLLIN, timeouts[i / 2 % 3]), POLLNVAL);
        CHECK_EQ(POLLS[i % 2](fd, POLLIN, timeouts[i / 2 % 3], NULL), 1);
    }
}

/* 1 with the bits that were asked for and are there; 0 and no bits when none is. */
TEST_EVERYWHERE(a_probe_tells_what_is_ready) {
    for (int form = 0; form < 2; form++) {
        int fds[2];
        short revents = 0x7fff;
        make_pair(SOCK_STREAM, fds);
        CHECK_EQ(POLLS[form](fds[0], POLLIN, 0, &revents), 0);
        CHECK_EQ(revents, 0);
        CHECK_EQ(POLLS[form](fds[0], 0, 0, NULL), 0);
        CHECK_EQ(ready_bits(form, fds[0], POLLIN | POLLOUT, 0), POLLOUT);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        CHECK_EQ(ready_bits(form, fds[0], POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
        CHECK_EQ(ready_bits(form, fds[0], POLLIN, -1), POLLIN);
        CHECK_EQ(POLLS[form](fds[0], POLLIN, -1, NULL), 1);
        revents = 0x7fff;
        CHECK_EQ(POLLS[form](fds[0], POLLPRI, 0, &revents), 0);
        CHECK_EQ(revents, 0);
        fill(fds[0]);
        CHECK_EQ(ready_bits(form, fds[0], POLLIN | POLLOUT, 1000), POLLIN);
        CHECK_EQ(POLLS[form](fds[0], POLLOUT, 0, &revents), 0);
    }
}

/* POLLERR and POLLHUP are reported unasked. */
TEST_EVERYWHERE(hang_ups_and_errors_are_reported_unasked) {
    for (int form = 0; form < 2; form++) {
        int fds[2];
        make_pipe(fds);
        CHECK_OK(llam_close(fds[1]));
        CHECK_EQ(ready_bits(form, fds[0], 0, -1), POLLHUP);
        CHECK_EQ(ready_bits(form, fds[0], POLLIN, 50), POLLHUP);
        make_pipe(fds);
        CHECK_OK(llam_close(fds[0]));
        CHECK_EQ(ready_bits(form, fds[1], POLLOUT, -1), POLLOUT | POLLERR);
        CHECK_EQ(ready_bits(form, fds[1], 0, 0), POLLERR);
        make_pair(SOCK_STREAM, fds);
        CHECK_OK(llam_close(fds[1]));
        CHECK_EQ(ready_bits(form, fds[0], POLLIN, -1), POLLIN | POLLHUP);
    }
}

/* I3: files are always ready. */
TEST_EVERYWHERE(files_are_always_ready) {
    int file = temporary_file("x", 1), folder = open("/", O_RDONLY | O_DIRECTORY);
    for (int form = 0; form < 2; form++) {
        CHECK_EQ(ready_bits(form, file, POLLIN | POLLOUT, -1), POLLIN | POLLOUT);
        CHECK_EQ(ready_bits(form, file, POLLIN, 0), POLLIN);
        CHECK(ready_bits(form, folder, POLLIN, 100) & POLLIN);
    }
}

/* 0 after the timeout, never before it (5.2); *revents is 0. */
TEST_EVERYWHERE(a_poll_ends_after_its_timeout) {
    for (int round = 0; round < 6; round++) {
        int fds[2];
        short revents = 0x7fff;
        if (round / 2 == 0) make_pipe(fds);
        else if (round / 2 == 1) make_pair(SOCK_DGRAM, fds);
        else fds[0] = eventfd(0, 0);
        uint64_t start = llam_now_ns();
        CHECK_EQ(POLLS[round % 2](fds[0], POLLIN, 30, &revents), 0);
        CHECK(llam_now_ns() - start >= 30 * CHECK_MS);
        CHECK_EQ(revents, 0);
        CHECK_EQ(POLLS[round % 2](fds[0], POLLIN, 1, NULL), 0);
    }
}

struct poller {
    int fd, form, timeout_ms, result;
    short events, revents;
};

static void poll_once(void *arg) {
    struct poller *poller = arg;
    poller->revents = 0x7fff;
    poller->result =
        POLLS[poller->form](poller->fd, poller->events, poller->timeout_ms, &poller->revents);
}

static llam_task_t *start_poller(struct poller *poller, int fd, short events, int round) {
    *poller = (struct poller){fd, round % 2, round / 2 % 2 ? 900000 : -1, -7, events, 0};
    llam_task_t *task = spawn_ok(poll_once, poller);
    await_parked(task);
    return task;
}

static void end_poller(llam_task_t *task, const struct poller *poller, short expected) {
    CHECK_OK(llam_join(task));
    CHECK_EQ(poller->result, 1);
    CHECK_EQ(poller->revents, expected);
}

static void pollers_wait(void *unused) {
    (void)unused;
    for (int round = 0; round < 8; round++) {
        struct poller poller;
        int fds[2];
        make_pair(SOCK_STREAM, fds);
        set_nonblocking(fds[0], round / 4);
        int flags = fcntl(fds[0], F_GETFL);
        llam_task_t *task = start_poller(&poller, fds[0], POLLIN, round);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        end_poller(task, &poller, POLLIN);
        fill(fds[0]);
        task = start_poller(&poller, fds[0], POLLOUT, round);
        while (!ready_for(fds[0], POLLOUT)) drain(fds[1]);
        end_poller(task, &poller, POLLOUT);
        CHECK_EQ(drain(fds[0]), 1);
        task = start_poller(&poller, fds[0], POLLIN, round);
        CHECK_OK(close(fds[1]));
        end_poller(task, &poller, POLLIN | POLLHUP);
        CHECK_EQ(fcntl(fds[0], F_GETFL), flags);
        CHECK_OK(llam_close(fds[0]));
    }
}

/* A task waits for data, for room and for the end; only the events asked for count. */
TEST(a_polling_task_waits) { run_task(pollers_wait, NULL); }

static void pollers_wait_for_hang_ups(void *unused) {
    (void)unused;
    for (int round = 0; round < 4; round++) {
        struct poller poller;
        int fds[2];
        make_pipe(fds);
        llam_task_t *task = start_poller(&poller, fds[0], 0, round);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        for (int i = 0; i < 10; i++) CHECK_OK(llam_sleep_ns(CHECK_MS / 10));
        CHECK(strcmp(llam_task_state_name(task), "DEAD") != 0);
        CHECK_OK(close(fds[1]));
        end_poller(task, &poller, POLLHUP);
        CHECK_OK(close(fds[0]));
    }
}

/* Also when no events were asked for at all; data does not end that wait. */
TEST(a_task_that_polls_for_nothing_waits_for_the_hang_up) {
    run_task(pollers_wait_for_hang_ups, NULL);
}

static uint64_t processor_time(void) {
    struct timespec used;
    CHECK_OK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used));
    return (uint64_t)used.tv_sec * 1000 * CHECK_MS + (uint64_t)used.tv_nsec;
}

static void wait_without_work(void *unused) {
    (void)unused;
    struct poller pollers[2];
    int fds[2];
    make_pipe(fds);
    llam_task_t *reader = start_poller(&pollers[0], fds[0], POLLIN, 0);
    uint64_t before = processor_time();
    CHECK_OK(llam_sleep_ns(400 * CHECK_MS));
    CHECK(processor_time() - before < 200 * CHECK_MS);
    llam_task_t *other = start_poller(&pollers[1], fds[0], 0, 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    end_poller(reader, &pollers[0], POLLIN);
    before = processor_time();
    CHECK_OK(llam_sleep_ns(400 * CHECK_MS));
    CHECK(processor_time() - before < 200 * CHECK_MS);
    CHECK_OK(close(fds[1]));
    end_poller(other, &pollers[1], POLLHUP);
}

/* "Parks": a waiting task gives up its thread until it is woken; events that nobody asked for do
 * not keep it busy. */
TEST(a_polling_task_uses_no_processor_time) {
    if (!under_valgrind()) run_task(wait_without_work, NULL);
}

#define POLLERS 8

static void pollers_share(void *unused) {
    (void)unused;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        struct poller pollers[POLLERS];
        llam_task_t *tasks[POLLERS];
        int fds[2];
        make_pair(SOCK_STREAM, fds);
        set_nonblocking(fds[0], nonblocking);
        fill(fds[0]);
        for (int i = 0; i < POLLERS; i++)
            tasks[i] = start_poller(&pollers[i], fds[0], i % 2 ? POLLIN : POLLOUT, i / 2);
        CHECK_EQ(write(fds[1], "x", 1), 1);
        for (int i = 1; i < POLLERS; i += 2) end_poller(tasks[i], &pollers[i], POLLIN);
        for (int i = 0; i < POLLERS; i += 2) CHECK(is_parked(tasks[i]));
        while (!ready_for(fds[0], POLLOUT)) drain(fds[1]);
        for (int i = 0; i < POLLERS; i += 2) end_poller(tasks[i], &pollers[i], POLLOUT);
        CHECK_OK(llam_close(fds[0]));
        CHECK_OK(llam_close(fds[1]));
    }
}

/* I8: readiness ends the wait of every task that polls for it, and of no other. */
TEST(readiness_wakes_all_that_wait_for_it) { run_task(pollers_share, NULL); }

static void poll_of_a_connect(void *unused) {
    (void)unused;
    struct sockaddr_in address;
    int server = listener(4, &address), client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct poller poller;
    llam_task_t *task = start_poller(&poller, server, POLLIN, 0);
    CHECK_FAILS(connect(client, (struct sockaddr *)&address, sizeof address), EINPROGRESS);
    end_poller(task, &poller, POLLIN);
    CHECK(ready_bits(0, client, POLLOUT, PATIENCE_MS) & POLLOUT);
    int accepted = llam_accept(server, NULL, NULL);
    task = start_poller(&poller, accepted, POLLPRI, 0);
    CHECK_EQ(send(client, "!", 1, MSG_OOB), 1);
    end_poller(task, &poller, POLLPRI);
    CHECK_OK(llam_close(accepted));
    CHECK_OK(llam_close(client));
    CHECK_OK(llam_close(server));
}

/* Listeners are readable with a pending connection; urgent data is POLLPRI. */
TEST(listeners_and_urgent_data_are_waited_for) { run_task(poll_of_a_connect, NULL); }

static atomic_int turns;

static void take_turns(void *unused) {
    (void)unused;
    for (int i = 0; i < 1000; i++) {
        atomic_fetch_add(&turns, 1);
        llam_yield();
    }
}

static void others_run(void *unused) {
    (void)unused;
    int fds[2];
    make_pipe(fds);
    llam_task_t *other = spawn_ok(take_turns, NULL);
    while (atomic_load(&turns) < 1000) CHECK_EQ(llam_poll_fd(fds[0], POLLIN, 1, NULL), 0);
    CHECK_OK(llam_join(other));
}

/* I2: only the task waits. */
TEST(other_tasks_run_while_a_task_polls) { run_task(others_run, NULL); }

MAIN
