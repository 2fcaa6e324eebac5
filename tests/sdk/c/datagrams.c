/* Datagrams and flags: llam_recvfrom, llam_sendto (abi.md 4.14, rules I1, I2, I5). */
#include "io_util.h"

static struct sockaddr_in address;

static ssize_t send_to(int fd, const char *text, size_t count) {
    return llam_sendto(fd, text, count, 0, (struct sockaddr *)&address, sizeof address);
}

/* llam_recvfrom: EINVAL exactly one of `src_addr`, `addrlen` NULL; EINVAL `buf` NULL with
 * `count` > 0; both before the descriptor, and a task does not wait first. */
TEST_EVERYWHERE(recvfrom_checks_its_arguments_in_order) {
    struct sockaddr_in source;
    socklen_t length = sizeof source;
    struct sockaddr *from = (struct sockaddr *)&source;
    char byte;
    int fds[2];
    make_pair(SOCK_DGRAM, fds);
    CHECK_FAILS(llam_recvfrom(-1, &byte, 1, 0, from, NULL), EINVAL);
    CHECK_FAILS(llam_recvfrom(-1, &byte, 1, 0, NULL, &length), EINVAL);
    CHECK_FAILS(llam_recvfrom(-1, NULL, 1, 0, NULL, NULL), EINVAL);
    CHECK_FAILS(llam_recvfrom(fds[0], NULL, 1, 0, from, &length), EINVAL);
    CHECK_FAILS(llam_recvfrom(fds[0], &byte, 1, 0, NULL, &length), EINVAL);
    CHECK_FAILS(llam_recvfrom(-1, &byte, 1, 0, NULL, NULL), EBADF);
    CHECK_FAILS(llam_recvfrom(closed_descriptor(), &byte, 1, 0, from, &length), EBADF);
    make_pipe(fds);
    CHECK_FAILS(llam_recvfrom(fds[0], &byte, 1, 0, NULL, NULL), ENOTSOCK);
    CHECK_FAILS(llam_recvfrom(socket(AF_INET, SOCK_STREAM, 0), &byte, 1, 0, NULL, NULL), ENOTCONN);
}

/* llam_sendto: EINVAL `buf` NULL with `count` > 0; EINVAL `dst_addr` NULL with `addrlen` not 0;
 * then those of sendto(2). */
TEST_EVERYWHERE(sendto_checks_its_arguments_in_order) {
    int fds[2];
    make_pair(SOCK_DGRAM, fds);
    CHECK_FAILS(llam_sendto(-1, NULL, 1, 0, NULL, 0), EINVAL);
    CHECK_FAILS(llam_sendto(-1, "x", 1, 0, NULL, 1), EINVAL);
    CHECK_FAILS(llam_sendto(fds[0], NULL, 1, 0, NULL, 0), EINVAL);
    CHECK_FAILS(llam_sendto(fds[0], "x", 1, 0, NULL, sizeof address), EINVAL);
    CHECK(!ready_for(fds[1], POLLIN));
    CHECK_FAILS(llam_sendto(-1, "x", 1, 0, NULL, 0), EBADF);
    CHECK_FAILS(llam_sendto(closed_descriptor(), "x", 1, 0, NULL, 0), EBADF);
    make_pipe(fds);
    CHECK_FAILS(llam_sendto(fds[1], "x", 1, 0, NULL, 0), ENOTSOCK);
    int unconnected = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_FAILS(llam_sendto(unconnected, "x", 1, 0, NULL, 0), EDESTADDRREQ);
    static char huge[70000];
    int receiver = bound_socket(SOCK_DGRAM, &address);
    CHECK(receiver >= 0);
    CHECK_FAILS(send_to(unconnected, huge, sizeof huge), EMSGSIZE);
}

/* The address travels with the datagram; lengths are in and out. */
TEST_EVERYWHERE(datagrams_carry_the_address_of_their_sender) {
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        struct sockaddr_in own, source;
        socklen_t length = sizeof source;
        char got[16] = {0};
        int receiver = bound_socket(SOCK_DGRAM, &address);
        int sender = bound_socket(SOCK_DGRAM, &own);
        set_nonblocking(receiver, nonblocking);
        set_nonblocking(sender, nonblocking);
        CHECK_EQ(send_to(sender, "first", 5), 5);
        CHECK_EQ(send_to(sender, "second", 6), 6);
        AWAIT(ready_for(receiver, POLLIN));
        struct sockaddr *from = (struct sockaddr *)&source;
        CHECK_EQ(llam_recvfrom(receiver, got, 16, 0, from, &length), 5);
        CHECK_STR(got, "first");
        CHECK_EQ(length, sizeof source);
        CHECK_EQ(source.sin_port, own.sin_port);
        length = 2;
        memset(&source, 0xee, sizeof source);
        CHECK_EQ(llam_recvfrom(receiver, got, 3, 0, from, &length), 3);
        CHECK_EQ(length, sizeof source);
        CHECK_EQ(source.sin_family, AF_INET);
        CHECK_EQ(source.sin_port, 0xeeee);
        CHECK_EQ(memcmp(got, "sec", 3), 0);
        CHECK_OK(llam_close(receiver));
        CHECK_OK(llam_close(sender));
    }
}

/* llam_recvfrom: 0 for an empty datagram or the end of a stream; llam_sendto: `count` 0 sends an
 * empty datagram (on a stream: 0). `dst_addr` NULL is send(2). */
TEST_EVERYWHERE(an_empty_datagram_is_a_datagram) {
    int fds[2], stream[2];
    char byte = 'k';
    make_pair(SOCK_DGRAM, fds);
    CHECK_EQ(llam_sendto(fds[1], NULL, 0, 0, NULL, 0), 0);
    CHECK_EQ(llam_sendto(fds[1], "n", 1, 0, NULL, 0), 1);
    CHECK_EQ(llam_recvfrom(fds[0], &byte, 1, 0, NULL, NULL), 0);
    CHECK_EQ(llam_recvfrom(fds[0], &byte, 1, 0, NULL, NULL), 1);
    CHECK_EQ(byte, 'n');
    make_pair(SOCK_STREAM, stream);
    CHECK_EQ(llam_sendto(stream[1], "", 0, 0, NULL, 0), 0);
    CHECK(!ready_for(stream[0], POLLIN));
    CHECK_EQ(llam_sendto(stream[1], "s", 1, 0, NULL, 0), 1);
    CHECK_EQ(llam_recvfrom(stream[0], &byte, 1, 0, NULL, NULL), 1);
    CHECK_OK(llam_close(stream[1]));
    CHECK_EQ(llam_recvfrom(stream[0], &byte, 1, 0, NULL, NULL), 0);
}

/* The flags are those of the system. */
TEST_EVERYWHERE(flags_are_passed_on) {
    int fds[2];
    char got[8] = {0};
    make_pair(SOCK_DGRAM, fds);
    CHECK_EQ(llam_sendto(fds[1], "peeked", 6, 0, NULL, 0), 6);
    CHECK_EQ(llam_recvfrom(fds[0], got, 3, MSG_PEEK, NULL, NULL), 3);
    CHECK_EQ(llam_recvfrom(fds[0], got, 2, MSG_PEEK | MSG_TRUNC, NULL, NULL), 6);
    CHECK_EQ(llam_recvfrom(fds[0], NULL, 0, MSG_PEEK | MSG_TRUNC, NULL, NULL), 6);
    CHECK_EQ(llam_recvfrom(fds[0], got, 8, 0, NULL, NULL), 6);
    CHECK_STR(got, "peeked");
    CHECK(!ready_for(fds[0], POLLIN));
    CHECK_FAILS(llam_sendto(fds[1], "x", 1, MSG_OOB, NULL, 0), EOPNOTSUPP);
}

/* I1: on a host thread MSG_DONTWAIT and non-blocking sockets give EAGAIN. */
TEST(a_host_thread_sees_eagain) {
    int fds[2];
    char byte;
    make_pair(SOCK_DGRAM, fds);
    CHECK_FAILS(llam_recvfrom(fds[0], &byte, 1, MSG_DONTWAIT, NULL, NULL), EAGAIN);
    while (llam_sendto(fds[1], "x", 1, MSG_DONTWAIT, NULL, 0) == 1) continue;
    CHECK_EQ(errno, EAGAIN);
    set_nonblocking(fds[1], 1);
    CHECK_FAILS(llam_sendto(fds[1], "x", 1, 0, NULL, 0), EAGAIN);
    CHECK_FAILS(llam_recvfrom(fds[1], &byte, 1, 0, NULL, NULL), EAGAIN);
}

struct receiver {
    int fd, flags;
    ssize_t count;
    char bytes[16];
    struct sockaddr_in source;
    socklen_t length;
};

static void receive(void *arg) {
    struct receiver *receiver = arg;
    receiver->length = sizeof receiver->source;
    receiver->count =
        llam_recvfrom(receiver->fd, receiver->bytes, sizeof receiver->bytes, receiver->flags,
                      (struct sockaddr *)&receiver->source, &receiver->length);
}

static void receivers_wait(void *unused) {
    (void)unused;
    for (int round = 0; round < 8; round++) {
        struct sockaddr_in own;
        int to = bound_socket(SOCK_DGRAM, &address), from = bound_socket(SOCK_DGRAM, &own);
        set_nonblocking(to, round % 2);
        int flags = fcntl(to, F_GETFL);
        struct receiver receiver = {.fd = to, .flags = round / 2 % 2 ? MSG_DONTWAIT : 0};
        llam_task_t *task = spawn_ok(receive, &receiver);
        await_parked(task);
        ssize_t count = round / 4 ? 0 : 5;
        CHECK_EQ(send_to(from, "hello", (size_t)count), count);
        CHECK_OK(llam_join(task));
        CHECK_EQ(receiver.count, count);
        CHECK_EQ(memcmp(receiver.bytes, "hello", (size_t)count), 0);
        CHECK_EQ(receiver.source.sin_port, own.sin_port);
        CHECK_EQ(receiver.length, sizeof own);
        CHECK_EQ(fcntl(to, F_GETFL), flags);
        CHECK_OK(llam_close(to));
        CHECK_OK(llam_close(from));
    }
}

/* I2, llam_recvfrom in a task: waits until readable; MSG_DONTWAIT does not prevent it. An empty
 * datagram ends the wait, too. */
TEST(a_receiving_task_waits_whatever_the_flags) { run_task(receivers_wait, NULL); }

struct sender {
    int fd, flags;
    const struct sockaddr_un *to;
    ssize_t count;
};

static void send_one(void *arg) {
    struct sender *sender = arg;
    sender->count = llam_sendto(sender->fd, "x", 1, sender->flags, (struct sockaddr *)sender->to,
                                sender->to != NULL ? sizeof *sender->to : 0);
}

static void senders_wait(void *unused) {
    (void)unused;
    for (int round = 0; round < 8; round++) {
        int fds[2];
        char byte;
        make_pair(round / 4 ? SOCK_STREAM : SOCK_DGRAM, fds);
        set_nonblocking(fds[1], round % 2);
        while (send(fds[1], "xyzxyzxyz", round / 4 ? 9 : 1, MSG_DONTWAIT) > 0) continue;
        CHECK_EQ(errno, EAGAIN);
        struct sender sender = {.fd = fds[1], .flags = round / 2 % 2 ? MSG_DONTWAIT : 0};
        llam_task_t *task = spawn_ok(send_one, &sender);
        await_parked(task);
        CHECK_EQ(read(fds[0], &byte, 1), 1);
        AWAIT(drain(fds[0]) == 0 && !is_parked(task));
        CHECK_OK(llam_join(task));
        CHECK_EQ(sender.count, 1);
        CHECK_OK(llam_close(fds[0]));
        CHECK_OK(llam_close(fds[1]));
    }
}

/* I2, llam_sendto in a task: waits until writable, whatever mode and flags. */
TEST(a_sending_task_waits_whatever_the_flags) { run_task(senders_wait, NULL); }

static void send_to_a_full_receiver(void *unused) {
    (void)unused;
    char folder[PATH_MAX];
    struct sockaddr_un there = {.sun_family = AF_UNIX};
    temporary_folder(folder);
    snprintf(there.sun_path, sizeof there.sun_path, "%.80s/s", folder);
    int receiver = socket(AF_UNIX, SOCK_DGRAM, 0), fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    CHECK_OK(bind(receiver, (struct sockaddr *)&there, sizeof there));
    size_t sent = 0, got = 0;
    char bytes[8];
    while (sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&there, sizeof there) == 1) sent++;
    CHECK_EQ(errno, EAGAIN);
    struct sender sender = {.fd = fd, .to = &there};
    llam_task_t *task = spawn_ok(send_one, &sender);
    for (int i = 0; i < 50; i++) CHECK_OK(llam_sleep_ns(CHECK_MS / 10));
    CHECK(strcmp(llam_task_state_name(task), "DEAD") != 0);
    while (got < sent) got += (size_t)llam_recvfrom(receiver, bytes, 8, 0, NULL, NULL);
    CHECK_OK(llam_join(task));
    CHECK_EQ(sender.count, 1);
    CHECK_EQ(llam_recvfrom(receiver, bytes, 8, 0, NULL, NULL), 1);
    CHECK_OK(unlink(there.sun_path));
    CHECK_OK(rmdir(folder));
}

/* I2: also when it is the receiver's queue that is full, which the sender's own readiness does not
 * tell; other tasks go on meanwhile. */
TEST(a_sender_waits_for_a_receiver_whose_queue_is_full) { run_task(send_to_a_full_receiver, NULL); }

static void write_nothing(void *arg) {
    struct sender *sender = arg;
    sender->count = llam_write(sender->fd, "", 0);
}

static void empty_write_to_a_full_receiver(void *unused) {
    (void)unused;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int fds[2];
        make_pair(SOCK_DGRAM, fds);
        while (send(fds[1], "x", 1, MSG_DONTWAIT) == 1) continue;
        set_nonblocking(fds[1], nonblocking);
        struct sender sender = {.fd = fds[1], .count = -7};
        llam_task_t *task = spawn_ok(write_nothing, &sender);
        for (int i = 0; i < 50; i++) CHECK_OK(llam_sleep_ns(CHECK_MS / 10));
        AWAIT(drain(fds[0]) == 0 && strcmp(llam_task_state_name(task), "DEAD") == 0);
        CHECK_OK(llam_join(task));
        CHECK_EQ(sender.count, 0);
        CHECK_OK(llam_close(fds[0]));
        CHECK_OK(llam_close(fds[1]));
    }
}

/* I2: an empty write to a datagram socket without room waits as a task or does nothing; it neither
 * holds up other tasks nor gives EAGAIN. */
TEST(an_empty_write_never_holds_up_other_tasks) {
    run_task(empty_write_to_a_full_receiver, NULL);
}

MAIN
