/* Reads into buffers of the library: llam_read_owned, llam_recv_owned, llam_recvfrom_owned,
 * llam_pread_owned_aligned and its handle form (abi.md 4.16, 5.12, R7).
 */
#include "io_util.h"

static llam_io_buffer_t *some_value(void) { return (llam_io_buffer_t *)(uintptr_t)40; }

static ssize_t read_form(int fd, size_t most, llam_io_buffer_t **out) {
    return llam_read_owned(fd, most, out);
}
static ssize_t recv_form(int fd, size_t most, llam_io_buffer_t **out) {
    return llam_recv_owned(fd, most, 0, out);
}
static ssize_t recvfrom_form(int fd, size_t most, llam_io_buffer_t **out) {
    return llam_recvfrom_owned(fd, most, 0, NULL, NULL, out);
}
static ssize_t pread_form(int fd, size_t most, llam_io_buffer_t **out) {
    return llam_pread_owned_aligned(fd, most, 0, 0, out);
}
static ssize_t pread_handle_form(int fd, size_t most, llam_io_buffer_t **out) {
    return llam_pread_handle_owned_aligned(fd, most, 0, 0, out);
}

typedef ssize_t (*owned_call)(int fd, size_t most, llam_io_buffer_t **out);
static const owned_call FORMS[] = {read_form, recv_form, recvfrom_form, pread_form,
                                   pread_handle_form};
#define STREAM_FORMS 3
#define ALL_FORMS 5

/* The buffer holds exactly this text; releases it. */
static void take(llam_io_buffer_t *buffer, const char *text) {
    CHECK(buffer != NULL);
    size_t count = strlen(text);
    CHECK_EQ(llam_io_buffer_size(buffer), count);
    CHECK(llam_io_buffer_capacity(buffer) >= count);
    CHECK_EQ(llam_io_buffer_alignment(buffer), 8);
    CHECK_EQ(memcmp(llam_io_buffer_data(buffer), text, count), 0);
    llam_io_buffer_release(buffer);
}

#define CHECK_NOTHING(call, code)                                                                \
    do {                                                                                         \
        buffer = some_value();                                                                   \
        CHECK_FAILS(call, code);                                                                 \
        CHECK_PTR(buffer, NULL);                                                                 \
    } while (0)

/* > 0 and a buffer of that size; at most `max_count`; a big limit is no claim on memory. */
TEST_EVERYWHERE(an_owned_read_gives_a_buffer_of_the_bytes) {
    for (int round = 0; round < STREAM_FORMS * 2; round++) {
        int fds[2];
        llam_io_buffer_t *buffer = some_value();
        make_pair(SOCK_STREAM, fds);
        set_nonblocking(fds[0], round / STREAM_FORMS);
        owned_call form = FORMS[round % STREAM_FORMS];
        CHECK_EQ(write(fds[1], "hello world", 11), 11);
        CHECK_EQ(form(fds[0], 5, &buffer), 5);
        take(buffer, "hello");
        CHECK_EQ(form(fds[0], 100000, &buffer), 6);
        take(buffer, " world");
        CHECK_OK(close(fds[1]));
        buffer = some_value();
        CHECK_EQ(form(fds[0], 8, &buffer), 0);
        CHECK_PTR(buffer, NULL);
        CHECK_OK(close(fds[0]));
    }
}

/* Pipes and files; at the position of the file. */
TEST_EVERYWHERE(read_owned_reads_pipes_and_files) {
    int fds[2], file = temporary_file("0123456789", 10);
    llam_io_buffer_t *buffer = NULL;
    make_pipe(fds);
    CHECK_EQ(write(fds[1], "pipe", 4), 4);
    CHECK_EQ(llam_read_owned(fds[0], 64, &buffer), 4);
    take(buffer, "pipe");
    CHECK_OK(close(fds[1]));
    buffer = some_value();
    CHECK_EQ(llam_read_owned(fds[0], 64, &buffer), 0);
    CHECK_PTR(buffer, NULL);
    CHECK_EQ(llam_read_owned(file, 4, &buffer), 4);
    take(buffer, "0123");
    CHECK_EQ(llam_read_owned(file, 64, &buffer), 6);
    take(buffer, "456789");
    buffer = some_value();
    CHECK_EQ(llam_read_owned(file, 64, &buffer), 0);
    CHECK_PTR(buffer, NULL);
}

/* Appendix A: llam_read_owned(-1, 0, &b): 0; llam_read_owned(-1, 1, &b): EBADF. In order: EINVAL
 * `out` NULL, EINVAL `max_count` > UINT32_MAX, 0, EBADF. */
TEST_EVERYWHERE(owned_reads_check_their_arguments_in_order) {
    for (int form = 0; form < ALL_FORMS; form++) {
        llam_io_buffer_t *buffer = some_value();
        CHECK_FAILS(FORMS[form](-1, 1, NULL), EINVAL);
        CHECK_FAILS(FORMS[form](-1, 0, NULL), EINVAL);
        if (form != 2) CHECK_NOTHING(FORMS[form](-1, (size_t)UINT32_MAX + 1, &buffer), EINVAL);
        buffer = some_value();
        CHECK_EQ(FORMS[form](-1, 0, &buffer), 0);
        CHECK_PTR(buffer, NULL);
        CHECK_NOTHING(FORMS[form](-1, 1, &buffer), EBADF);
        CHECK_NOTHING(FORMS[form](closed_descriptor(), 1, &buffer), EBADF);
    }
}

/* Appendix A: owned reads on directories, write-only descriptors and (positional) pipes fail before
 * any buffer exists; in a task they do not wait. */
TEST_EVERYWHERE(descriptors_that_cannot_be_read_fail_at_once) {
    int fds[2], pair[2], directory = open("/", O_RDONLY | O_DIRECTORY);
    int null = open("/dev/null", O_WRONLY), unconnected = socket(AF_INET, SOCK_STREAM, 0);
    llam_io_buffer_t *buffer = NULL;
    make_pipe(fds);
    make_pair(SOCK_STREAM, pair);
    const int positional[] = {3, 4};
    CHECK_NOTHING(llam_read_owned(fds[1], 8, &buffer), EBADF);
    CHECK_NOTHING(llam_read_owned(null, 8, &buffer), EBADF);
    CHECK_NOTHING(llam_read_owned(directory, 8, &buffer), EISDIR);
    CHECK_NOTHING(llam_read_owned(unconnected, 8, &buffer), ENOTCONN);
    for (int i = 0; i < 2; i++) {
        CHECK_NOTHING(FORMS[positional[i]](null, 8, &buffer), EBADF);
        CHECK_NOTHING(FORMS[positional[i]](fds[1], 8, &buffer), EBADF);
        CHECK_NOTHING(FORMS[positional[i]](directory, 8, &buffer), EISDIR);
        CHECK_NOTHING(FORMS[positional[i]](fds[0], 8, &buffer), ESPIPE);
        CHECK_NOTHING(FORMS[positional[i]](pair[0], 8, &buffer), ESPIPE);
    }
    const int sockets_only[] = {1, 2};
    for (int i = 0; i < 2; i++) {
        CHECK_NOTHING(FORMS[sockets_only[i]](fds[0], 8, &buffer), ENOTSOCK);
        CHECK_NOTHING(FORMS[sockets_only[i]](directory, 8, &buffer), ENOTSOCK);
    }
}

/* I1: on a host thread a non-blocking descriptor gives EAGAIN, and no buffer. */
TEST(a_host_thread_sees_eagain) {
    int fds[2];
    llam_io_buffer_t *buffer = NULL;
    make_pair(SOCK_STREAM, fds);
    CHECK_NOTHING(llam_recv_owned(fds[0], 8, MSG_DONTWAIT, &buffer), EAGAIN);
    set_nonblocking(fds[0], 1);
    for (int form = 0; form < STREAM_FORMS; form++)
        CHECK_NOTHING(FORMS[form](fds[0], 8, &buffer), EAGAIN);
}

/* llam_recv_owned: MSG_PEEK leaves the data. */
TEST_EVERYWHERE(a_peek_leaves_the_data) {
    int fds[2];
    llam_io_buffer_t *buffer = NULL;
    make_pair(SOCK_STREAM, fds);
    CHECK_EQ(write(fds[1], "peek", 4), 4);
    CHECK_EQ(llam_recv_owned(fds[0], 8, MSG_PEEK, &buffer), 4);
    take(buffer, "peek");
    CHECK_EQ(llam_recvfrom_owned(fds[0], 2, MSG_PEEK, NULL, NULL, &buffer), 2);
    take(buffer, "pe");
    CHECK_EQ(llam_recv_owned(fds[0], 8, 0, &buffer), 4);
    take(buffer, "peek");
}

/* llam_recv_owned with MSG_OOB takes the urgent byte, as recv(2) does. */
TEST_EVERYWHERE(urgent_data_is_received) {
    int fds[2];
    llam_io_buffer_t *buffer = NULL;
    make_tcp_pair(fds);
    CHECK_EQ(send(fds[0], "!", 1, MSG_OOB), 1);
    AWAIT(ready_for(fds[1], POLLPRI));
    CHECK_EQ(llam_recv_owned(fds[1], 1, MSG_OOB, &buffer), 1);
    take(buffer, "!");
    CHECK_NOTHING(llam_recv_owned(fds[1], 1, MSG_OOB, &buffer), EINVAL);
}

/* llam_recvfrom_owned: EINVAL `out` NULL; then `*out` = NULL; EINVAL address pair; `max_count` 0
 * is 0. The source is written; Appendix A: zero-length datagram: 0 without buffer. */
TEST_EVERYWHERE(recvfrom_owned_tells_the_source) {
    struct sockaddr_in address, own, source;
    socklen_t length = sizeof source;
    struct sockaddr *from = (struct sockaddr *)&source;
    int to = bound_socket(SOCK_DGRAM, &address), sender = bound_socket(SOCK_DGRAM, &own);
    llam_io_buffer_t *buffer = some_value();
    CHECK_FAILS(llam_recvfrom_owned(to, 8, 0, from, &length, NULL), EINVAL);
    CHECK_NOTHING(llam_recvfrom_owned(-1, 8, 0, from, NULL, &buffer), EINVAL);
    CHECK_NOTHING(llam_recvfrom_owned(-1, 0, 0, NULL, &length, &buffer), EINVAL);
    buffer = some_value();
    CHECK_EQ(llam_recvfrom_owned(-1, 0, 0, from, &length, &buffer), 0);
    CHECK_PTR(buffer, NULL);
    const char *texts[] = {"datagram", "", "cut it"};
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sendto(sender, texts[i], strlen(texts[i]), 0, (struct sockaddr *)&address,
                        sizeof address),
                 strlen(texts[i]));
        memset(&source, 0, sizeof source);
        length = sizeof source;
        buffer = some_value();
        ssize_t count = llam_recvfrom_owned(to, i == 2 ? 3 : 64, 0, from, &length, &buffer);
        CHECK_EQ(count, i == 2 ? 3 : strlen(texts[i]));
        if (i == 1) CHECK_PTR(buffer, NULL);
        else take(buffer, i == 2 ? "cut" : texts[i]);
        CHECK_EQ(length, sizeof source);
        CHECK_EQ(source.sin_port, own.sin_port);
    }
}

struct reader {
    int fd, form, flags;
    ssize_t count;
    llam_io_buffer_t *buffer;
};

static void read_once(void *arg) {
    struct reader *reader = arg;
    reader->buffer = some_value();
    if (reader->flags)
        reader->count = llam_recv_owned(reader->fd, 64, reader->flags, &reader->buffer);
    else
        reader->count = FORMS[reader->form](reader->fd, 64, &reader->buffer);
}

static void readers_wait(void *unused) {
    (void)unused;
    for (int round = 0; round < STREAM_FORMS * 8; round++) {
        int fds[2], tcp = round / STREAM_FORMS % 2, end = round / STREAM_FORMS / 4;
        if (tcp) make_tcp_pair(fds);
        else make_pair(SOCK_STREAM, fds);
        set_nonblocking(fds[0], round / STREAM_FORMS / 2 % 2);
        int flags = fcntl(fds[0], F_GETFL);
        struct reader reader = {.fd = fds[0], .form = round % STREAM_FORMS};
        if (reader.form == 1 && tcp) reader.flags = MSG_DONTWAIT;
        llam_task_t *task = spawn_ok(read_once, &reader);
        await_parked(task);
        if (!end) CHECK_EQ(write(fds[1], "at last", 7), 7);
        CHECK_OK(close(fds[1]));
        CHECK_OK(llam_join(task));
        CHECK_EQ(reader.count, end ? 0 : 7);
        if (end) CHECK_PTR(reader.buffer, NULL);
        else take(reader.buffer, "at last");
        CHECK_EQ(fcntl(fds[0], F_GETFL), flags);
        CHECK_OK(close(fds[0]));
    }
}

/* I2: in a task owned reads wait, also with MSG_DONTWAIT. */
TEST(an_owned_read_waits_whatever_the_flags) { run_task(readers_wait, NULL); }

#define READERS 6

static void readers_share(void *unused) {
    (void)unused;
    for (int form = 0; form < STREAM_FORMS; form++) {
        int fds[2], with_buffer = 0;
        llam_task_t *tasks[READERS];
        struct reader readers[READERS];
        make_pair(SOCK_SEQPACKET, fds);
        for (int i = 0; i < READERS; i++) {
            readers[i] = (struct reader){.fd = fds[0], .form = form};
            tasks[i] = spawn_ok(read_once, &readers[i]);
        }
        for (int i = 0; i < READERS; i++) await_parked(tasks[i]);
        for (int i = 0; i < READERS; i++) CHECK_EQ(llam_write(fds[1], "packet", 6), 6);
        for (int i = 0; i < READERS; i++) {
            CHECK_OK(llam_join(tasks[i]));
            CHECK_EQ(readers[i].count, 6);
            for (int k = 0; k < i; k++) CHECK(readers[k].buffer != readers[i].buffer);
            with_buffer += readers[i].buffer != NULL;
        }
        for (int i = 0; i < READERS; i++) take(readers[i].buffer, "packet");
        CHECK_EQ(with_buffer, READERS);
        CHECK_OK(close(fds[0]));
        CHECK_OK(close(fds[1]));
    }
}

/* I8, 5.12: several owned reads on one descriptor: each success gives one buffer of its own. */
TEST(each_owned_read_has_its_own_buffer) { run_task(readers_share, NULL); }

/* llam_pread_owned_aligned: alignment errors before everything but `out` and the count; the
 * data pointer has the alignment. */
TEST_EVERYWHERE(positional_owned_reads_are_aligned) {
    static char bytes[20000];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 3);
    int file = temporary_file(bytes, sizeof bytes);
    const size_t bad[] = {1, 2, 4, 24, 4095, SIZE_MAX};
    llam_io_buffer_t *buffer = NULL;
    for (int i = 0; i < 6; i++) {
        CHECK_NOTHING(llam_pread_owned_aligned(file, 8, 0, bad[i], &buffer), EINVAL);
        CHECK_NOTHING(llam_pread_owned_aligned(-1, 0, UINT64_MAX, bad[i], &buffer), EINVAL);
        CHECK_NOTHING(llam_pread_handle_owned_aligned(file, 8, 0, bad[i], &buffer), EINVAL);
    }
    for (size_t alignment = 8; alignment <= 65536; alignment *= 2) {
        buffer = NULL;
        CHECK_EQ(llam_pread_owned_aligned(file, 5000, 777, alignment, &buffer), 5000);
        CHECK_EQ(llam_io_buffer_alignment(buffer), alignment);
        CHECK_EQ((uintptr_t)llam_io_buffer_data(buffer) % alignment, 0);
        CHECK_EQ(llam_io_buffer_size(buffer), 5000);
        CHECK_EQ(memcmp(llam_io_buffer_data(buffer), bytes + 777, 5000), 0);
        llam_io_buffer_release(buffer);
    }
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 0);
}

/* 0 and NULL past the end of the file; across the end a partial read; EOVERFLOW for the offset,
 * after ESPIPE. */
TEST_EVERYWHERE(positional_owned_reads_end_with_the_file) {
    int file = temporary_file("0123456789", 10), fds[2];
    llam_io_buffer_t *buffer = some_value();
    make_pipe(fds);
    CHECK_EQ(llam_pread_owned_aligned(file, 64, 6, 0, &buffer), 4);
    take(buffer, "6789");
    const uint64_t past[] = {10, 11, 1000000};
    for (int i = 0; i < 3; i++) {
        buffer = some_value();
        CHECK_EQ(llam_pread_handle_owned_aligned(file, 64, past[i], 0, &buffer), 0);
        CHECK_PTR(buffer, NULL);
    }
    const uint64_t too_far = (uint64_t)INT64_MAX + 1;
    CHECK_NOTHING(llam_pread_owned_aligned(file, 8, too_far, 0, &buffer), EOVERFLOW);
    CHECK_NOTHING(llam_pread_owned_aligned(file, 8, UINT64_MAX, 512, &buffer), EOVERFLOW);
    CHECK_NOTHING(llam_pread_owned_aligned(fds[0], 8, UINT64_MAX, 0, &buffer), ESPIPE);
    CHECK_NOTHING(llam_pread_owned_aligned(-1, 8, UINT64_MAX, 0, &buffer), EBADF);
}

MAIN
