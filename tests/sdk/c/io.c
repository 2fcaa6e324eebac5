/* Reading, writing, closing: llam_read, llam_write, their handle forms, llam_read_when_ready,
 * llam_writev, llam_close (abi.md 4.14, rules I1 to I6).
 */
#include "io_util.h"

#include <sys/uio.h>

typedef ssize_t (*read_call)(int fd, void *buf, size_t count);
typedef ssize_t (*write_call)(int fd, const void *buf, size_t count);

static ssize_t read_ready(int fd, void *buf, size_t count) {
    return llam_read_when_ready(fd, buf, count, -1);
}

static ssize_t write_slices(int fd, const void *buf, size_t count) {
    llam_iovec_t slices[2] = {{buf, count / 2}, {(const char *)buf + count / 2, count - count / 2}};
    return llam_writev(fd, slices, 2);
}

static const read_call READS[] = {llam_read, llam_read_handle, read_ready};
static const write_call WRITES[] = {llam_write, llam_write_handle, write_slices};

/* The kinds of descriptors that wait. Writing goes to [1], reading from [0]. */
typedef void (*maker)(int fds[2]);

static void make_stream(int fds[2]) { make_pair(SOCK_STREAM, fds); }
static void make_packets(int fds[2]) { make_pair(SOCK_SEQPACKET, fds); }
static void make_datagrams(int fds[2]) { make_pair(SOCK_DGRAM, fds); }

/* A terminal: lines that are typed on [1] are read from [0]. */
static void make_terminal(int fds[2]) {
    fds[1] = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(fds[1] >= 0);
    CHECK_OK(grantpt(fds[1]));
    CHECK_OK(unlockpt(fds[1]));
    fds[0] = open(ptsname(fds[1]), O_RDWR | O_NOCTTY);
    CHECK(fds[0] >= 0);
}

static void make_counter(int fds[2]) {
    fds[0] = eventfd(0, 0);
    CHECK(fds[0] >= 0);
    fds[1] = dup(fds[0]);
    CHECK(fds[1] >= 0);
}

static const maker MAKERS[] = {make_pipe,      make_stream,   make_tcp_pair, make_packets,
                               make_datagrams, make_terminal, make_counter};
#define KINDS (sizeof MAKERS / sizeof MAKERS[0])
/* The first so many take all slices of a vectored write as one. */
#define JOINING 5

/* 4.14: all forms transfer; a read takes what is there. */
TEST_EVERYWHERE(bytes_that_were_written_are_read) {
    for (size_t kind = 0; kind < KINDS; kind++) {
        int fds[2];
        MAKERS[kind](fds);
        for (int round = 0; round < 6; round++) {
            const char text[] = "1234567\n";
            char got[64] = {0};
            set_nonblocking(fds[0], round >= 3);
            set_nonblocking(fds[1], round >= 3);
            CHECK_EQ(WRITES[kind < JOINING ? round % 3 : round % 2](fds[1], text, 8), 8);
            CHECK_EQ(READS[round % 3](fds[0], got, 8), 8);
            CHECK_STR(got, text);
        }
        CHECK_OK(llam_close(fds[0]));
        CHECK_OK(llam_close_handle(fds[1]));
    }
}

/* I5: end of stream is 0. */
TEST_EVERYWHERE(the_end_of_a_stream_is_zero) {
    const maker kinds[] = {make_pipe, make_stream, make_tcp_pair};
    for (int kind = 0; kind < 3; kind++) {
        for (int form = 0; form < 3; form++) {
            int fds[2];
            char byte;
            kinds[kind](fds);
            CHECK_EQ(llam_write(fds[1], "x", 1), 1);
            CHECK_OK(close(fds[1]));
            CHECK_EQ(READS[form](fds[0], &byte, 1), 1);
            CHECK_EQ(READS[form](fds[0], &byte, 1), 0);
            CHECK_EQ(READS[form](fds[0], &byte, 1), 0);
            CHECK_OK(close(fds[0]));
        }
    }
}

/* I5: a zero-length read on an open descriptor returns 0, and does not wait. */
TEST_EVERYWHERE(a_zero_length_transfer_is_zero) {
    const maker kinds[] = {make_pipe, make_stream, make_tcp_pair};
    for (int kind = 0; kind < 3; kind++) {
        int fds[2];
        char byte;
        kinds[kind](fds);
        CHECK_EQ(llam_read(fds[0], &byte, 0), 0);
        CHECK_EQ(llam_read_handle(fds[0], &byte, 0), 0);
        CHECK_EQ(llam_read_when_ready(fds[0], &byte, 0, -1), 0);
        CHECK_EQ(llam_write(fds[1], &byte, 0), 0);
        CHECK_EQ(llam_write_handle(fds[1], &byte, 0), 0);
        CHECK(!ready_for(fds[0], POLLIN));
        CHECK_OK(close(fds[0]));
        CHECK_OK(close(fds[1]));
    }
}

/* I6: LLAM_INVALID_FD and closed descriptors give EBADF. */
TEST_EVERYWHERE(a_descriptor_that_is_not_open_is_ebadf) {
    char byte = 0;
    int fds[2] = {LLAM_INVALID_FD, closed_descriptor()};
    llam_iovec_t slice = {&byte, 1};
    for (int i = 0; i < 2; i++) {
        CHECK_FAILS(llam_read(fds[i], &byte, 1), EBADF);
        CHECK_FAILS(llam_read_handle(fds[i], &byte, 1), EBADF);
        CHECK_FAILS(llam_read_when_ready(fds[i], &byte, 1, -1), EBADF);
        CHECK_FAILS(llam_read_when_ready(fds[i], &byte, 1, 0), EBADF);
        CHECK_FAILS(llam_read_when_ready(fds[i], &byte, 1, 60000), EBADF);
        CHECK_FAILS(llam_write(fds[i], &byte, 1), EBADF);
        CHECK_FAILS(llam_write_handle(fds[i], &byte, 1), EBADF);
        CHECK_FAILS(llam_writev(fds[i], &slice, 1), EBADF);
        CHECK_FAILS(llam_close(fds[i]), EBADF);
        CHECK_FAILS(llam_close_handle(fds[i]), EBADF);
    }
}

/* I6: the wrong direction is EBADF, a directory EISDIR. */
TEST_EVERYWHERE(errors_of_the_system_call_are_passed_through) {
    int fds[2];
    char byte = 0;
    make_pipe(fds);
    CHECK_FAILS(llam_read(fds[1], &byte, 1), EBADF);
    CHECK_FAILS(llam_write(fds[0], &byte, 1), EBADF);
    CHECK_FAILS(write_slices(fds[0], "ab", 2), EBADF);
    int folder = open("/", O_RDONLY | O_DIRECTORY);
    CHECK(folder >= 0);
    CHECK_FAILS(llam_read(folder, &byte, 1), EISDIR);
    CHECK_FAILS(llam_read_handle(folder, &byte, 1), EISDIR);
    CHECK_FAILS(llam_read_when_ready(folder, &byte, 1, -1), EISDIR);
    int full = open("/dev/full", O_WRONLY);
    CHECK(full >= 0);
    CHECK_FAILS(llam_write(full, &byte, 1), ENOSPC);
    int unconnected = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(unconnected >= 0);
    CHECK_FAILS(llam_read(unconnected, &byte, 1), ENOTCONN);
}

/* I6: a connection that was reset. */
TEST_EVERYWHERE(a_reset_connection_is_econnreset) {
    for (int form = 0; form < 3; form++) {
        int fds[2];
        char byte;
        make_tcp_pair(fds);
        struct linger hard = {.l_onoff = 1, .l_linger = 0};
        CHECK_OK(setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &hard, sizeof hard));
        CHECK_OK(llam_close(fds[1]));
        CHECK_FAILS(READS[form](fds[0], &byte, 1), ECONNRESET);
        CHECK_OK(llam_close(fds[0]));
    }
}

/* llam_read: a NULL buffer is passed on: EFAULT, or 0 at end of file. */
TEST_EVERYWHERE(a_null_buffer_is_efault_or_the_end) {
    if (under_valgrind()) return;
    const maker kinds[] = {make_pipe, make_stream};
    for (int kind = 0; kind < 2; kind++) {
        int fds[2];
        char byte;
        kinds[kind](fds);
        CHECK_EQ(llam_write(fds[1], "x", 1), 1);
        CHECK_FAILS(llam_read(fds[0], NULL, 1), EFAULT);
        CHECK_FAILS(llam_read_when_ready(fds[0], NULL, 1, -1), EFAULT);
        CHECK_FAILS(llam_write(fds[1], NULL, 1), EFAULT);
        CHECK_EQ(drain(fds[0]) <= 1, 1);
        CHECK_OK(close(fds[1]));
        CHECK_EQ(llam_read(fds[0], NULL, 1), 0);
        CHECK_EQ(llam_read(fds[0], &byte, 1), 0);
        CHECK_OK(close(fds[0]));
    }
    int file = temporary_file("ab", 2);
    CHECK_FAILS(llam_read(file, NULL, 2), EFAULT);
    CHECK_EQ(lseek(file, 0, SEEK_END), 2);
    CHECK_EQ(llam_read(file, NULL, 2), 0);
}

/* I3: files and devices are read and written at their position and never wait. */
TEST_EVERYWHERE(files_are_read_and_written_at_their_position) {
    char got[16] = {0};
    int file = temporary_file("", 0);
    CHECK_EQ(llam_write(file, "one ", 4), 4);
    CHECK_EQ(write_slices(file, "two ", 4), 4);
    CHECK_EQ(llam_write_handle(file, "three", 5), 5);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 13);
    CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
    CHECK_EQ(llam_read(file, got, 4), 4);
    CHECK_EQ(llam_read_handle(file, got + 4, 4), 4);
    CHECK_EQ(llam_read_when_ready(file, got + 8, 8, 0), 5);
    CHECK_STR(got, "one two three");
    CHECK_EQ(llam_read(file, got, 16), 0);
    CHECK_EQ(llam_read_when_ready(file, got, 16, -1), 0);
    int zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR);
    CHECK(zero >= 0 && null >= 0);
    CHECK_EQ(llam_read(zero, got, 16), 16);
    CHECK_EQ(got[0] | got[15], 0);
    CHECK_EQ(llam_write(null, got, 16), 16);
    CHECK_EQ(llam_read(null, got, 16), 0);
}

/* I1: on a host thread a non-blocking descriptor gives EAGAIN. */
TEST(a_host_thread_sees_eagain) {
    const maker kinds[] = {make_pipe, make_stream, make_tcp_pair};
    for (int kind = 0; kind < 3; kind++) {
        int fds[2];
        char byte = 0;
        kinds[kind](fds);
        set_nonblocking(fds[0], 1);
        set_nonblocking(fds[1], 1);
        CHECK_FAILS(llam_read(fds[0], &byte, 1), EAGAIN);
        CHECK_FAILS(llam_read_handle(fds[0], &byte, 1), EAGAIN);
        CHECK_FAILS(llam_read_when_ready(fds[0], &byte, 1, 0), ETIMEDOUT);
        while (llam_write(fds[1], &byte, 1) == 1) fill(fds[1]);
        CHECK_EQ(errno, EAGAIN);
        CHECK_OK(close(fds[0]));
        CHECK_OK(close(fds[1]));
    }
}

static atomic_int interruptions, finished;

static void count_interruption(int signal_number) {
    (void)signal_number;
    atomic_fetch_add(&interruptions, 1);
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = count_interruption};
    CHECK_OK(sigaction(SIGUSR2, &action, NULL));
}

struct interrupted {
    pthread_t target;
    int answer_fd, after;
};

/* Signals the thread again and again; after some of them types an answer, if one is wanted. */
static void *interrupt(void *arg) {
    struct interrupted *job = arg;
    while (!atomic_load(&finished)) {
        CHECK_OK(pthread_kill(job->target, SIGUSR2));
        usleep(1000);
        if (job->answer_fd >= 0 && atomic_load(&interruptions) >= job->after) {
            CHECK_EQ(write(job->answer_fd, "y", 1), 1);
            job->answer_fd = -1;
        }
    }
    return NULL;
}

/* I1: on a host thread EINTR surfaces. */
TEST(a_host_thread_sees_eintr) {
    int fds[2];
    char byte;
    make_pipe(fds);
    catch_signals();
    struct interrupted job = {pthread_self(), -1, 0};
    pthread_t thread = start_thread(interrupt, &job);
    CHECK_FAILS(llam_read(fds[0], &byte, 1), EINTR);
    atomic_store(&finished, 1);
    join_thread(thread);
}

/* I1: not in llam_read_when_ready. */
TEST(read_when_ready_on_a_host_thread_outlasts_signals) {
    int fds[2];
    char byte = 0;
    make_pipe(fds);
    catch_signals();
    struct interrupted job = {pthread_self(), fds[1], 5};
    pthread_t thread = start_thread(interrupt, &job);
    CHECK_EQ(llam_read_when_ready(fds[0], &byte, 1, PATIENCE_MS), 1);
    CHECK_EQ(byte, 'y');
    CHECK(atomic_load(&interruptions) >= 5);
    CHECK_FAILS(llam_read_when_ready(fds[0], &byte, 1, 20), ETIMEDOUT);
    atomic_store(&finished, 1);
    join_thread(thread);
}

static void read_a_byte(void *arg) {
    char byte = 0;
    CHECK_EQ(llam_read(*(int *)arg, &byte, 1), 1);
    CHECK_EQ(byte, 'y');
    atomic_store(&finished, 1);
}

/* I2: in a task EINTR never surfaces. */
TEST(a_task_never_sees_eintr) {
    int fds[2];
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        make_pair(SOCK_STREAM, fds);
        set_nonblocking(fds[0], nonblocking);
        catch_signals();
        atomic_store(&finished, 0);
        atomic_store(&interruptions, 0);
        struct interrupted job = {pthread_self(), fds[1], 5};
        pthread_t thread = start_thread(interrupt, &job);
        run_task(read_a_byte, &fds[0]);
        join_thread(thread);
        CHECK(atomic_load(&interruptions) >= 5);
    }
}

/* A read that has to wait, and what it gets. */
struct reader {
    int fd, form, flags;
    ssize_t count;
    char bytes[16];
};

static void read_once(void *arg) {
    struct reader *reader = arg;
    reader->count = READS[reader->form](reader->fd, reader->bytes, 8);
    reader->flags = fcntl(reader->fd, F_GETFL);
}

static void readers_of_every_kind_wait(void *unused) {
    (void)unused;
    for (size_t kind = 0; kind < KINDS; kind++) {
        for (int round = 0; round < 6; round++) {
            int fds[2];
            MAKERS[kind](fds);
            set_nonblocking(fds[0], round >= 3);
            int flags = fcntl(fds[0], F_GETFL);
            struct reader reader = {.fd = fds[0], .form = round % 3};
            llam_task_t *task = spawn_ok(read_once, &reader);
            await_parked(task);
            CHECK_EQ(write(fds[1], "abcdefg\n", 8), 8);
            CHECK_OK(llam_join(task));
            CHECK_EQ(reader.count, 8);
            CHECK_STR(reader.bytes, "abcdefg\n");
            CHECK_EQ(reader.flags, flags);
            CHECK_OK(close(fds[0]));
            CHECK_OK(llam_close(fds[1]));
        }
    }
}

/* I2, I3: a reading task waits, whatever the kind and mode; the status flags stay as set. */
TEST(a_reading_task_waits_on_every_kind_and_in_both_modes) {
    run_task(readers_of_every_kind_wait, NULL);
}

struct writer {
    int fd, form, flags;
    ssize_t count;
};

static void write_once(void *arg) {
    struct writer *writer = arg;
    writer->count = WRITES[writer->form](writer->fd, "abcdefgh", 8);
    writer->flags = fcntl(writer->fd, F_GETFL);
}

static void writers_wait(void *unused) {
    (void)unused;
    const maker kinds[] = {make_pipe, make_stream, make_packets};
    for (int kind = 0; kind < 3; kind++) {
        for (int round = 0; round < 6; round++) {
            int fds[2];
            kinds[kind](fds);
            fill(fds[1]);
            set_nonblocking(fds[1], round >= 3);
            int flags = fcntl(fds[1], F_GETFL);
            struct writer writer = {.fd = fds[1], .form = round % 3};
            llam_task_t *task = spawn_ok(write_once, &writer);
            await_parked(task);
            AWAIT(drain(fds[0]) == 0 && !is_parked(task));
            CHECK_OK(llam_join(task));
            CHECK(writer.count > 0 && writer.count <= 8);
            CHECK_EQ(writer.flags, flags);
            CHECK_OK(close(fds[0]));
            CHECK_OK(close(fds[1]));
        }
    }
}

/* I2: a writing task waits for room, whatever the mode. */
TEST(a_writing_task_waits_for_room_in_both_modes) { run_task(writers_wait, NULL); }

static void reader_sees_the_end(void *unused) {
    (void)unused;
    const maker kinds[] = {make_pipe, make_stream, make_tcp_pair};
    for (int kind = 0; kind < 3; kind++) {
        for (int round = 0; round < 6; round++) {
            int fds[2];
            kinds[kind](fds);
            set_nonblocking(fds[0], round >= 3);
            struct reader reader = {.fd = fds[0], .form = round % 3, .count = -7};
            llam_task_t *task = spawn_ok(read_once, &reader);
            await_parked(task);
            CHECK_OK(llam_close(fds[1]));
            CHECK_OK(llam_join(task));
            CHECK_EQ(reader.count, 0);
            CHECK_OK(llam_close(fds[0]));
        }
    }
}

/* I5: the other end's close ends a read that waits. */
TEST(a_waiting_reader_sees_the_end_of_the_stream) { run_task(reader_sees_the_end, NULL); }

/* R5, llam_read_when_ready: ETIMEDOUT when nothing is readable in time, never before. */
TEST_EVERYWHERE(read_when_ready_ends_after_its_timeout) {
    for (int round = 0; round < 4; round++) {
        int fds[2];
        char byte = 'k';
        if (round % 2) make_pipe(fds);
        else make_pair(SOCK_STREAM, fds);
        set_nonblocking(fds[0], round / 2);
        CHECK_FAILS(llam_read_when_ready(fds[0], &byte, 1, 0), ETIMEDOUT);
        uint64_t start = llam_now_ns();
        CHECK_FAILS(llam_read_when_ready(fds[0], &byte, 1, 30), ETIMEDOUT);
        CHECK(llam_now_ns() - start >= 30 * CHECK_MS);
        CHECK_FAILS(llam_read_when_ready(fds[0], NULL, 1, 1), ETIMEDOUT);
        CHECK_EQ(byte, 'k');
        CHECK_EQ(write(fds[1], "z", 1), 1);
        CHECK_EQ(llam_read_when_ready(fds[0], &byte, 1, 0), 1);
        CHECK_EQ(byte, 'z');
        CHECK_OK(close(fds[1]));
        CHECK_EQ(llam_read_when_ready(fds[0], &byte, 1, 0), 0);
        CHECK_OK(close(fds[0]));
    }
}

/* llam_read_when_ready: `count` 0 is 0 at once, without looking at the descriptor. */
TEST_EVERYWHERE(read_when_ready_of_nothing_looks_at_nothing) {
    CHECK_EQ(llam_read_when_ready(LLAM_INVALID_FD, NULL, 0, -1), 0);
    CHECK_EQ(llam_read_when_ready(closed_descriptor(), NULL, 0, 0), 0);
}

/* llam_writev: errors in order. */
TEST_EVERYWHERE(writev_checks_its_arguments_in_order) {
    int fds[2];
    char byte = 'x';
    llam_iovec_t slice = {&byte, 1};
    make_pipe(fds);
    CHECK_FAILS(llam_writev(LLAM_INVALID_FD, NULL, -1), EINVAL);
    CHECK_FAILS(llam_writev(fds[1], &slice, -1), EINVAL);
    CHECK_FAILS(llam_writev(LLAM_INVALID_FD, &slice, IOV_MAX + 1), EINVAL);
    CHECK_FAILS(llam_writev(LLAM_INVALID_FD, &slice, INT_MAX), EINVAL);
    CHECK_EQ(llam_writev(LLAM_INVALID_FD, NULL, 0), 0);
    CHECK_EQ(llam_writev(fds[1], NULL, 0), 0);
    CHECK_FAILS(llam_writev(LLAM_INVALID_FD, NULL, 1), EINVAL);
    CHECK_FAILS(llam_writev(LLAM_INVALID_FD, &slice, 1), EBADF);
    CHECK(!ready_for(fds[0], POLLIN));
}

static void writev_checks_slices(void *unused) {
    (void)unused;
    char bytes[20] = "0123456789012345678";
    llam_iovec_t many[20];
    int fds[2];
    make_pipe(fds);
    for (int i = 0; i < 20; i++) many[i] = (llam_iovec_t){&bytes[i], 1};
    many[19].iov_base = NULL;
    CHECK_FAILS(llam_writev(fds[1], many, 20), EINVAL);
    CHECK(!ready_for(fds[0], POLLIN));
    many[19].iov_base = bytes;
    many[18].iov_len = many[19].iov_len = SIZE_MAX / 2;
    CHECK_FAILS(llam_writev(fds[1], many, 20), EINVAL);
    CHECK(!ready_for(fds[0], POLLIN));
}

/* llam_writev in a task: with more than 16 slices every slice is checked before any is written. */
TEST(writev_of_many_slices_checks_all_before_it_writes) { run_task(writev_checks_slices, NULL); }

/* llam_writev: the slices are written in order, empty ones too; 17 and IOV_MAX of them. */
TEST_EVERYWHERE(writev_joins_its_slices) {
    static char sent[IOV_MAX], got[IOV_MAX + 1];
    static llam_iovec_t slices[IOV_MAX];
    const int counts[] = {1, 3, 16, 17, 40, IOV_MAX};
    for (int round = 0; round < 12; round++) {
        int fds[2], count = counts[round / 2];
        if (round % 2) make_pipe(fds);
        else make_pair(SOCK_STREAM, fds);
        for (int i = 0; i < count; i++) {
            sent[i] = (char)('a' + i % 26);
            slices[i] = (llam_iovec_t){i % 5 == 3 ? NULL : &sent[i], i % 5 == 3 ? 0 : 1};
        }
        ssize_t wrote = llam_writev(fds[1], slices, count), at = 0;
        CHECK(wrote > 0);
        CHECK_EQ(read(fds[0], got, sizeof got), wrote);
        for (int i = 0; i < count && at < wrote; i++)
            if (i % 5 != 3) CHECK_EQ(got[at++], sent[i]);
        CHECK_EQ(at, wrote);
        CHECK_OK(close(fds[0]));
        CHECK_OK(close(fds[1]));
    }
}

#define SLICE 50000
#define SLICES 20

static void write_slices_fully(void *arg) {
    static char bytes[SLICES * SLICE];
    int fd = *(int *)arg;
    size_t done = 0;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 7 + i / 251);
    while (done < sizeof bytes) {
        llam_iovec_t slices[SLICES];
        int count = 0;
        for (size_t at = done; at < sizeof bytes; count++) {
            size_t end = (at / SLICE + 1) * SLICE;
            slices[count] = (llam_iovec_t){bytes + at, end - at};
            at = end;
        }
        ssize_t wrote = llam_writev(fd, slices, count);
        CHECK(wrote > 0);
        done += (size_t)wrote;
    }
    CHECK_EQ(done, sizeof bytes);
    CHECK_OK(llam_close(fd));
}

static void writev_of_much(void *unused) {
    (void)unused;
    for (int round = 0; round < 4; round++) {
        int fds[2];
        char got[7919];
        size_t at = 0;
        ssize_t count;
        if (round % 2) make_pipe(fds);
        else make_pair(SOCK_STREAM, fds);
        set_nonblocking(fds[1], round / 2);
        llam_task_t *task = spawn_ok(write_slices_fully, &fds[1]);
        while ((count = llam_read(fds[0], got, sizeof got)) > 0)
            for (ssize_t i = 0; i < count; i++, at++) CHECK_EQ(got[i], (char)(at * 7 + at / 251));
        CHECK_EQ(count, 0);
        CHECK_EQ(at, SLICES * SLICE);
        CHECK_OK(llam_join(task));
        CHECK_OK(llam_close(fds[0]));
    }
}

/* llam_writev: a task waits for room; a partial result never loses or repeats bytes. */
TEST(writev_of_more_than_there_is_room_waits) { run_task(writev_of_much, NULL); }

/* llam_close: 0 once, then EBADF; a number that comes back is another object. */
TEST_EVERYWHERE(closing_twice_is_ebadf) {
    int fds[2];
    char byte = 0;
    for (int round = 0; round < 2; round++) {
        make_pair(SOCK_STREAM, fds);
        fds[0] = moved_apart(fds[0]);
        CHECK_OK(round ? llam_close(fds[0]) : llam_close_handle(fds[0]));
        CHECK_FAILS(llam_close(fds[0]), EBADF);
        CHECK_FAILS(llam_close_handle(fds[0]), EBADF);
        CHECK_FAILS(llam_read(fds[0], &byte, 1), EBADF);
        CHECK_EQ(llam_read(fds[1], &byte, 1), 0);
        CHECK_OK(llam_close(fds[1]));
    }
}

static void numbers_come_back(void *unused) {
    (void)unused;
    int number = moved_apart(open("/dev/null", O_RDWR));
    for (int round = 0; round < 24; round++) {
        int fds[2];
        MAKERS[(size_t)round % KINDS](fds);
        CHECK_OK(round % 4 < 2 ? close(number) : llam_close(number));
        CHECK_EQ(dup2(fds[0], number), number);
        CHECK_OK(close(fds[0]));
        set_nonblocking(number, round % 3 == 0);
        struct reader reader = {.fd = number, .form = round % 3};
        llam_task_t *task = spawn_ok(read_once, &reader);
        await_parked(task);
        CHECK_EQ(write(fds[1], "abcdefg\n", 8), 8);
        CHECK_OK(llam_join(task));
        CHECK_EQ(reader.count, 8);
        CHECK_OK(llam_close(fds[1]));
    }
}

/* llam_close: a plain close remains legal; nothing remembered about a number is trusted when it
 * comes back as an object of another kind. */
TEST(a_number_that_comes_back_is_a_new_object) { run_task(numbers_come_back, NULL); }

MAIN
