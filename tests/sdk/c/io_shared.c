/* Several tasks, runtimes and descriptors at once: bulk transfers in both directions, many tasks on
 * one descriptor, duplicates, closing under a waiter, SIGPIPE (abi.md 4.14, rules I4, I8 to I11).
 */
#include "io_util.h"

typedef void (*maker)(int fds[2]);

static void make_stream(int fds[2]) { make_pair(SOCK_STREAM, fds); }

/* ---- Bulk ---- */

#define BULK ((size_t)3 << 20)

struct stream {
    int fd;
    unsigned seed;
};

static unsigned char pattern(unsigned seed, size_t at) {
    return (unsigned char)((at + seed) * 31 + (at >> 9));
}

static void write_bulk(void *arg) {
    struct stream *stream = arg;
    unsigned char *bytes = malloc(BULK);
    CHECK(bytes != NULL);
    for (size_t i = 0; i < BULK; i++) bytes[i] = pattern(stream->seed, i);
    for (size_t at = 0; at < BULK;) {
        ssize_t wrote = llam_write(stream->fd, bytes + at, BULK - at);
        if (wrote <= 0) FAIL("write gave %zd with errno %d", wrote, errno);
        at += (size_t)wrote;
    }
    free(bytes);
}

static void read_bulk(void *arg) {
    struct stream *stream = arg;
    unsigned char *bytes = malloc(1 << 20);
    CHECK(bytes != NULL);
    for (size_t at = 0; at < BULK;) {
        size_t most = BULK - at < 1 << 20 ? BULK - at : 1 << 20;
        ssize_t got = llam_read(stream->fd, bytes, most);
        if (got <= 0) FAIL("read gave %zd with errno %d", got, errno);
        for (size_t i = 0; i < (size_t)got; i++)
            if (bytes[i] != pattern(stream->seed, at + i)) FAIL("byte %zu is wrong", at + i);
        at += (size_t)got;
    }
    free(bytes);
}

static void bulk_both_ways(maker make, int nonblocking) {
    int fds[2];
    make(fds);
    set_nonblocking(fds[0], nonblocking & 1);
    set_nonblocking(fds[1], nonblocking >> 1);
    struct stream ends[4] = {{fds[0], 1}, {fds[1], 1}, {fds[1], 2}, {fds[0], 2}};
    llam_task_t *tasks[4];
    for (int i = 0; i < 4; i++) tasks[i] = spawn_ok(i % 2 ? read_bulk : write_bulk, &ends[i]);
    for (int i = 0; i < 4; i++) CHECK_OK(llam_join(tasks[i]));
    CHECK_EQ(fcntl(fds[0], F_GETFL) & O_NONBLOCK, nonblocking & 1 ? O_NONBLOCK : 0);
    CHECK_EQ(fcntl(fds[1], F_GETFL) & O_NONBLOCK, nonblocking >> 1 ? O_NONBLOCK : 0);
    CHECK_OK(llam_close(fds[0]));
    CHECK_OK(llam_close(fds[1]));
}

static void bulk_over_socket_pairs(void *unused) {
    (void)unused;
    for (int mode = 0; mode < 4; mode++) bulk_both_ways(make_stream, mode);
}

static void bulk_over_tcp(void *unused) {
    (void)unused;
    for (int mode = 0; mode < 4; mode++) bulk_both_ways(make_tcp_pair, mode);
}

/* Appendix A: writes of megabytes between tasks over a socket pair make progress on both sides,
 * blocking or not. I8: all reads and all writes may be in flight at once. */
TEST(megabytes_go_both_ways_over_a_socket_pair) { run_task(bulk_over_socket_pairs, NULL); }
TEST(megabytes_go_both_ways_over_tcp) { run_task(bulk_over_tcp, NULL); }

static void bulk_through_a_pipe(void *unused) {
    (void)unused;
    for (int mode = 0; mode < 4; mode++) {
        int fds[2];
        make_pipe(fds);
        set_nonblocking(fds[0], mode & 1);
        set_nonblocking(fds[1], mode >> 1);
        struct stream ends[2] = {{fds[1], 5}, {fds[0], 5}};
        llam_task_t *writer = spawn_ok(write_bulk, &ends[0]);
        llam_task_t *reader = spawn_ok(read_bulk, &ends[1]);
        CHECK_OK(llam_join(writer));
        CHECK_OK(llam_join(reader));
        CHECK_OK(llam_close(fds[0]));
        CHECK_OK(llam_close(fds[1]));
    }
}

TEST(megabytes_go_through_a_pipe) { run_task(bulk_through_a_pipe, NULL); }

/* ---- Many tasks on one descriptor ---- */

#define READERS 8

struct crowd {
    int fd;
    _Atomic uint64_t seen;
};

static void take_one(void *arg) {
    struct crowd *crowd = arg;
    char byte = 0;
    CHECK_EQ(llam_read(crowd->fd, &byte, 1), 1);
    uint64_t bit = UINT64_C(1) << (byte - 'a');
    CHECK_EQ(atomic_fetch_or(&crowd->seen, bit) & bit, 0);
}

static void one_byte_for_each(void *unused) {
    (void)unused;
    const maker kinds[] = {make_pipe, make_stream, make_tcp_pair};
    for (int round = 0; round < 6; round++) {
        int fds[2];
        kinds[round / 2](fds);
        set_nonblocking(fds[0], round % 2);
        struct crowd crowd = {.fd = fds[0]};
        llam_task_t *tasks[READERS];
        for (int i = 0; i < READERS; i++) tasks[i] = spawn_ok(take_one, &crowd);
        for (int i = 0; i < READERS; i++) await_parked(tasks[i]);
        CHECK_EQ(llam_write(fds[1], "a", 1), 1);
        AWAIT(atomic_load(&crowd.seen) == 1);
        CHECK_EQ(llam_write(fds[1], "bcdefgh", READERS - 1), READERS - 1);
        for (int i = 0; i < READERS; i++) CHECK_OK(llam_join(tasks[i]));
        CHECK_EQ(atomic_load(&crowd.seen), (1 << READERS) - 1);
        CHECK_OK(llam_close(fds[0]));
        CHECK_OK(llam_close(fds[1]));
    }
}

/* I8: each byte goes to exactly one of the readers. */
TEST(each_byte_goes_to_one_of_the_readers) { run_task(one_byte_for_each, NULL); }

static void read_the_end(void *arg) {
    char byte;
    CHECK_EQ(llam_read(*(int *)arg, &byte, 1), 0);
}

static void the_end_is_for_all(void *unused) {
    (void)unused;
    for (int round = 0; round < 4; round++) {
        int fds[2];
        if (round / 2) make_tcp_pair(fds);
        else make_stream(fds);
        set_nonblocking(fds[0], round % 2);
        llam_task_t *tasks[READERS];
        for (int i = 0; i < READERS; i++) tasks[i] = spawn_ok(read_the_end, &fds[0]);
        for (int i = 0; i < READERS; i++) await_parked(tasks[i]);
        CHECK_OK(llam_close(fds[1]));
        for (int i = 0; i < READERS; i++) CHECK_OK(llam_join(tasks[i]));
        CHECK_OK(llam_close(fds[0]));
    }
}

TEST(the_end_of_a_stream_reaches_all_readers) { run_task(the_end_is_for_all, NULL); }

static void write_one(void *arg) { CHECK_EQ(llam_write(*(int *)arg, "w", 1), 1); }

static void reader_and_writer(void *unused) {
    (void)unused;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int fds[2];
        char byte;
        make_stream(fds);
        set_nonblocking(fds[0], nonblocking);
        struct crowd crowd = {.fd = fds[0]};
        llam_task_t *reader = spawn_ok(take_one, &crowd);
        await_parked(reader);
        CHECK_EQ(llam_write(fds[0], "now", 3), 3);
        CHECK_EQ(read(fds[1], &byte, 1), 1);
        fill(fds[0]);
        llam_task_t *writer = spawn_ok(write_one, &fds[0]);
        await_parked(writer);
        CHECK(is_parked(reader));
        CHECK_EQ(write(fds[1], "a", 1), 1);
        CHECK_OK(llam_join(reader));
        CHECK(is_parked(writer));
        AWAIT(drain(fds[1]) == 0 && !is_parked(writer));
        CHECK_OK(llam_join(writer));
        CHECK_OK(llam_close(fds[0]));
        CHECK_OK(llam_close(fds[1]));
    }
}

/* I8: a reader does not delay a writer, nor the other way round. */
TEST(a_waiting_reader_does_not_delay_a_writer) { run_task(reader_and_writer, NULL); }

/* ---- Duplicates ---- */

static void duplicates_are_independent(void *unused) {
    (void)unused;
    const maker kinds[] = {make_pipe, make_stream, make_tcp_pair};
    for (int round = 0; round < 6; round++) {
        int fds[2];
        kinds[round / 2](fds);
        set_nonblocking(fds[0], round % 2);
        int copy = dup(fds[0]);
        struct crowd crowd = {.fd = fds[0]}, other = {.fd = copy};
        llam_task_t *first = spawn_ok(take_one, &crowd);
        await_parked(first);
        CHECK_EQ(llam_write(fds[1], "a", 1), 1);
        CHECK_OK(llam_join(first));
        llam_task_t *second = spawn_ok(take_one, &other);
        await_parked(second);
        CHECK_OK(llam_close(fds[0]));
        CHECK_EQ(llam_write(fds[1], "b", 1), 1);
        CHECK_OK(llam_join(second));
        CHECK_EQ(atomic_load(&other.seen), 2);
        int fresh[2];
        make_stream(fresh);
        llam_task_t *third = spawn_ok(take_one, &(struct crowd){.fd = fresh[0]});
        await_parked(third);
        CHECK_EQ(llam_write(fds[1], "c", 1), 1);
        AWAIT(ready_for(copy, POLLIN));
        CHECK(is_parked(third));
        CHECK_EQ(llam_write(fresh[1], "d", 1), 1);
        CHECK_OK(llam_join(third));
        int all[] = {copy, fds[1], fresh[0], fresh[1]};
        for (int i = 0; i < 4; i++) CHECK_OK(llam_close(all[i]));
    }
}

/* I11: a duplicate is independent for waiting, also when the original's number comes back. */
TEST(a_duplicate_is_independent_for_waiting) { run_task(duplicates_are_independent, NULL); }

/* ---- Closing under a waiter ---- */

struct victim {
    int fd, close_by_engine;
    char byte;
    ssize_t count;
    int error;
};

static void read_as_victim(void *arg) {
    struct victim *victim = arg;
    victim->count = llam_read(victim->fd, &victim->byte, 1);
    victim->error = errno;
}

/* The number means another object with data while the task still waits on the old one; then the old
 * one sees its end, and the task is cancelled in case it stays parked. */
static void close_under_a_reader(maker make, int nonblocking, int by_engine) {
    int old[2], fresh[2];
    char byte = 0;
    make(old);
    make(fresh);
    old[0] = moved_apart(old[0]);
    set_nonblocking(old[0], nonblocking);
    set_nonblocking(fresh[0], nonblocking);
    struct victim victim = {.fd = old[0]};
    llam_cancel_token_t *token = llam_cancel_token_create();
    llam_task_t *task = spawn_with(read_as_victim, &victim, token);
    await_parked(task);
    CHECK_OK(by_engine ? llam_close(old[0]) : close(old[0]));
    CHECK_EQ(dup2(fresh[0], old[0]), old[0]);
    CHECK_EQ(write(fresh[1], "n", 1), 1);
    for (int i = 0; i < 20; i++) CHECK_OK(llam_sleep_ns(CHECK_MS / 10));
    if (shutdown(old[1], SHUT_RDWR) != 0) CHECK(errno == ENOTSOCK || errno == ENOTCONN);
    CHECK_OK(close(old[1]));
    for (int i = 0; i < 20; i++) CHECK_OK(llam_sleep_ns(CHECK_MS / 10));
    CHECK_OK(llam_cancel_token_cancel(token));
    CHECK_OK(llam_join(task));
    CHECK_OK(llam_cancel_token_destroy(token));
    if (victim.count == 1) FAIL("the waiter took a byte of another object under its number");
    if (victim.count == -1) CHECK(victim.error == EBADF || victim.error == ECANCELED);
    CHECK_EQ(llam_read(old[0], &byte, 1), 1);
    CHECK_EQ(byte, 'n');
    CHECK_OK(llam_close(old[0]));
    CHECK_OK(llam_close(fresh[0]));
    CHECK_OK(llam_close(fresh[1]));
}

static void close_under_readers(void *unused) {
    (void)unused;
    const maker kinds[] = {make_stream, make_tcp_pair, make_pipe};
    for (int kind = 0; kind < 3; kind++)
        for (int mode = 0; mode < 4; mode++) close_under_a_reader(kinds[kind], mode & 1, mode >> 1);
}

/* I9: the wait never acts on a new object that got the same number. */
TEST(a_waiter_never_acts_on_a_new_object_with_its_number) { run_task(close_under_readers, NULL); }

/* ---- SIGPIPE ---- */

static atomic_int pipe_signals;

static void count_pipe_signal(int signal_number) {
    (void)signal_number;
    atomic_fetch_add(&pipe_signals, 1);
}

static ssize_t write_slice(int fd, const void *buf, size_t count) {
    llam_iovec_t slice = {buf, count};
    return llam_writev(fd, &slice, 1);
}

static ssize_t send_bytes(int fd, const void *buf, size_t count) {
    return llam_sendto(fd, buf, count, 0, NULL, 0);
}

typedef ssize_t (*write_call)(int fd, const void *buf, size_t count);
static const write_call WRITES[] = {llam_write, llam_write_handle, write_slice, send_bytes};

/* I10: a write to a closed peer raises SIGPIPE, and fails with EPIPE when it is caught. */
TEST_EVERYWHERE(a_write_to_a_closed_peer_raises_sigpipe) {
    struct sigaction action = {.sa_handler = count_pipe_signal};
    CHECK_OK(sigaction(SIGPIPE, &action, NULL));
    for (int round = 0; round < 16; round++) {
        int fds[2], form = round % 4;
        if (round / 4 % 2 && form < 3) make_pipe(fds);
        else make_stream(fds);
        set_nonblocking(fds[1], round / 8);
        CHECK_OK(llam_close(fds[0]));
        int before = atomic_load(&pipe_signals);
        CHECK_FAILS(WRITES[form](fds[1], "x", 1), EPIPE);
        CHECK_EQ(atomic_load(&pipe_signals), before + 1);
        CHECK_OK(llam_close(fds[1]));
    }
    int fds[2];
    make_stream(fds);
    CHECK_OK(close(fds[0]));
    int before = atomic_load(&pipe_signals);
    CHECK_FAILS(llam_sendto(fds[1], "x", 1, MSG_NOSIGNAL, NULL, 0), EPIPE);
    CHECK_EQ(atomic_load(&pipe_signals), before);
}

/* I10: and fails with EPIPE when it is ignored. */
TEST_EVERYWHERE(an_ignored_sigpipe_leaves_epipe) {
    CHECK(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    for (int form = 0; form < 4; form++) {
        int fds[2];
        make_stream(fds);
        CHECK_OK(close(fds[0]));
        CHECK_FAILS(WRITES[form](fds[1], "x", 1), EPIPE);
        CHECK_OK(close(fds[1]));
    }
}

struct pipe_writer {
    int fd, form, error;
    ssize_t count;
};

static void write_while_the_peer_closes(void *arg) {
    struct pipe_writer *writer = arg;
    writer->count = WRITES[writer->form](writer->fd, "x", 1);
    writer->error = errno;
}

static void peer_closes_under_writers(void *unused) {
    (void)unused;
    struct sigaction action = {.sa_handler = count_pipe_signal};
    CHECK_OK(sigaction(SIGPIPE, &action, NULL));
    for (int round = 0; round < 16; round++) {
        int fds[2];
        if (round / 4 % 2 && round % 4 < 3) make_pipe(fds);
        else make_stream(fds);
        fill(fds[1]);
        set_nonblocking(fds[1], round / 8);
        struct pipe_writer writer = {.fd = fds[1], .form = round % 4};
        int before = atomic_load(&pipe_signals);
        llam_task_t *task = spawn_ok(write_while_the_peer_closes, &writer);
        await_parked(task);
        CHECK_OK(llam_close(fds[0]));
        CHECK_OK(llam_join(task));
        CHECK_EQ(writer.count, -1);
        CHECK_EQ(writer.error, EPIPE);
        CHECK_EQ(atomic_load(&pipe_signals), before + 1);
        CHECK_OK(llam_close(fds[1]));
    }
}

/* I10: also when the peer closes while the write waits for room. */
TEST(a_peer_that_closes_under_a_writer_raises_sigpipe) {
    run_task(peer_closes_under_writers, NULL);
}

static void die_of_sigpipe(void *arg) { llam_write(*(int *)arg, "x", 1); }

/* I10: not suppressed: without a handler the process ends, as with write(2). */
TEST(an_unhandled_sigpipe_ends_the_process) {
    int fds[2];
    make_stream(fds);
    CHECK_OK(close(fds[0]));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGPIPE, SIG_DFL);
        run_task(die_of_sigpipe, &fds[1]);
        _exit(0);
    }
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGPIPE);
}

/* ---- Several runtimes ---- */

struct link {
    llam_runtime_t *runtime;
    struct crowd crowd;
    int fd;
};

static void *run_other(void *arg) {
    struct link *link = arg;
    CHECK_OK(llam_runtime_run_handle(link->runtime));
    return NULL;
}

static void write_letters(void *arg) {
    struct link *link = arg;
    for (int i = 0; i < READERS; i++) {
        char letter = (char)('a' + i);
        CHECK_EQ(llam_write(link->fd, &letter, 1), 1);
        llam_yield();
    }
}

/* I4: descriptors belong to no runtime; tasks of two runtimes read from one of them at once. */
TEST(tasks_of_two_runtimes_share_a_descriptor) {
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int fds[2];
        make_stream(fds);
        set_nonblocking(fds[0], nonblocking);
        struct link link = {.crowd = {.fd = fds[0]}, .fd = fds[1]};
        CHECK_OK(llam_runtime_create(NULL, 0, &link.runtime));
        init_default(0);
        for (int i = 0; i < READERS; i++) {
            llam_task_t *task;
            if (i % 2) task = llam_spawn(take_one, &link.crowd, NULL);
            else task = llam_runtime_spawn_ex(link.runtime, take_one, &link.crowd, NULL, 0);
            CHECK(task != NULL);
            CHECK_OK(llam_detach(task));
        }
        CHECK_OK(llam_detach(spawn_ok(write_letters, &link)));
        pthread_t thread = start_thread(run_other, &link);
        CHECK_OK(llam_run());
        join_thread(thread);
        CHECK_EQ(atomic_load(&link.crowd.seen), (1 << READERS) - 1);
        llam_runtime_destroy(link.runtime);
        llam_runtime_shutdown();
        CHECK_OK(llam_close(fds[0]));
        CHECK_OK(llam_close(fds[1]));
    }
}

MAIN
