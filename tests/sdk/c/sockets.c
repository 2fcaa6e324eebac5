/* Accepting and connecting (abi.md 4.14: llam_accept, llam_connect, rules I1, I2, I8, I9). */
#include "io_util.h"

static struct sockaddr_in address;

static int tcp_socket(int nonblocking) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    set_nonblocking(fd, nonblocking);
    return fd;
}

static int connect_to(int fd, const struct sockaddr_in *target) {
    return llam_connect(fd, (const struct sockaddr *)target, sizeof *target);
}

/* ---- llam_accept ---- */

/* Appendix A: llam_accept with only one of `addr`, `addrlen`: EINVAL, the pending connection is
 * still there. It comes before EBADF. */
TEST_EVERYWHERE(accept_wants_both_of_address_and_length_or_none) {
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    int server = listener(4, &address), client = plain_client(&address);
    CHECK_FAILS(llam_accept(server, (struct sockaddr *)&peer, NULL), EINVAL);
    CHECK_FAILS(llam_accept(server, NULL, &length), EINVAL);
    CHECK_FAILS(llam_accept(LLAM_INVALID_FD, NULL, &length), EINVAL);
    CHECK(ready_for(server, POLLIN));
    int accepted = llam_accept(server, (struct sockaddr *)&peer, &length);
    CHECK(accepted >= 0);
    struct sockaddr_in own;
    socklen_t own_length = sizeof own;
    CHECK_OK(getsockname(client, (struct sockaddr *)&own, &own_length));
    CHECK_EQ(length, sizeof peer);
    CHECK_EQ(peer.sin_family, AF_INET);
    CHECK_EQ(peer.sin_port, own.sin_port);
    CHECK_EQ(peer.sin_addr.s_addr, own.sin_addr.s_addr);
    CHECK(!ready_for(server, POLLIN));
}

/* llam_accept: EBADF, ENOTSOCK, EINVAL (not listening). */
TEST_EVERYWHERE(accept_passes_the_system_errors_on) {
    int fds[2];
    make_pipe(fds);
    CHECK_FAILS(llam_accept(LLAM_INVALID_FD, NULL, NULL), EBADF);
    CHECK_FAILS(llam_accept(closed_descriptor(), NULL, NULL), EBADF);
    CHECK_FAILS(llam_accept(fds[0], NULL, NULL), ENOTSOCK);
    CHECK_FAILS(llam_accept(temporary_file("", 0), NULL, NULL), ENOTSOCK);
    CHECK_FAILS(llam_accept(tcp_socket(0), NULL, NULL), EINVAL);
    CHECK_FAILS(llam_accept(tcp_socket(1), NULL, NULL), EINVAL);
    struct sockaddr_in bound;
    CHECK_FAILS(llam_accept(bound_socket(SOCK_DGRAM, &bound), NULL, NULL), EOPNOTSUPP);
}

/* I1: on a host thread a non-blocking listener gives EAGAIN. */
TEST(a_host_thread_that_accepts_sees_eagain) {
    int server = listener(4, &address);
    set_nonblocking(server, 1);
    CHECK_FAILS(llam_accept(server, NULL, NULL), EAGAIN);
}

static void check_plain_mode(int accepted) {
    CHECK(accepted >= 0);
    CHECK_EQ(fcntl(accepted, F_GETFL) & O_NONBLOCK, 0);
    CHECK_EQ(fcntl(accepted, F_GETFD) & FD_CLOEXEC, 0);
    CHECK_OK(llam_close(accepted));
}

/* llam_accept: the new descriptor is blocking and without close-on-exec, whatever the listener's
 * mode; the listener keeps its own. */
TEST_EVERYWHERE(an_accepted_socket_is_plain) {
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int server = listener(4, &address);
        set_nonblocking(server, nonblocking);
        CHECK_OK(fcntl(server, F_SETFD, FD_CLOEXEC));
        int flags = fcntl(server, F_GETFL), client = plain_client(&address);
        check_plain_mode(llam_accept(server, NULL, NULL));
        CHECK_EQ(fcntl(server, F_GETFL), flags);
        CHECK_OK(llam_close(client));
        CHECK_OK(llam_close(server));
    }
}

/* llam_accept: `addrlen` is in and out; a short one cuts the address, 0 writes nothing. */
TEST_EVERYWHERE(accept_cuts_the_address_to_the_room) {
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        unsigned char bytes[32];
        socklen_t length = 4;
        int server = listener(4, &address);
        set_nonblocking(server, nonblocking);
        int clients[2] = {plain_client(&address), plain_client(&address)};
        memset(bytes, 0xee, sizeof bytes);
        int accepted = llam_accept(server, (struct sockaddr *)bytes, &length);
        CHECK(accepted >= 0);
        CHECK_EQ(length, sizeof(struct sockaddr_in));
        CHECK(bytes[0] != 0xee && bytes[4] == 0xee);
        CHECK_OK(llam_close(accepted));
        memset(bytes, 0xee, sizeof bytes);
        length = 0;
        accepted = llam_accept(server, (struct sockaddr *)bytes, &length);
        CHECK(accepted >= 0);
        CHECK_EQ(length, sizeof(struct sockaddr_in));
        CHECK_EQ(bytes[0], 0xee);
        int all[] = {accepted, clients[0], clients[1], server};
        for (int i = 0; i < 4; i++) CHECK_OK(llam_close(all[i]));
    }
}

struct acceptor {
    int server, accepted, flags;
    struct sockaddr_in peer;
    socklen_t length;
};

static void accept_one(void *arg) {
    struct acceptor *acceptor = arg;
    acceptor->length = sizeof acceptor->peer;
    acceptor->accepted =
        llam_accept(acceptor->server, (struct sockaddr *)&acceptor->peer, &acceptor->length);
    acceptor->flags = fcntl(acceptor->server, F_GETFL);
}

static void acceptor_waits(void *unused) {
    (void)unused;
    for (int round = 0; round < 4; round++) {
        int server = listener(4, &address);
        set_nonblocking(server, round % 2);
        int flags = fcntl(server, F_GETFL);
        struct acceptor acceptor = {.server = server};
        llam_task_t *task = spawn_ok(accept_one, &acceptor);
        await_parked(task);
        int client = plain_client(&address);
        CHECK_OK(llam_join(task));
        struct sockaddr_in own;
        socklen_t length = sizeof own;
        CHECK_OK(getsockname(client, (struct sockaddr *)&own, &length));
        CHECK_EQ(acceptor.peer.sin_port, own.sin_port);
        CHECK_EQ(acceptor.length, sizeof own);
        CHECK_EQ(acceptor.flags, flags);
        CHECK_EQ(llam_write(client, "hello", 5), 5);
        char got[8] = {0};
        CHECK_EQ(llam_read(acceptor.accepted, got, 8), 5);
        CHECK_STR(got, "hello");
        CHECK_OK(llam_close(client));
        check_plain_mode(acceptor.accepted);
        CHECK_OK(llam_close(server));
    }
}

/* I2: an accepting task waits, whatever the listener's mode. */
TEST(an_accepting_task_waits_in_both_modes) { run_task(acceptor_waits, NULL); }

#define ACCEPTORS 6

static void acceptors_share(void *unused) {
    (void)unused;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int server = listener(ACCEPTORS, &address), clients[ACCEPTORS];
        set_nonblocking(server, nonblocking);
        struct acceptor acceptors[ACCEPTORS] = {0};
        llam_task_t *tasks[ACCEPTORS];
        for (int i = 0; i < ACCEPTORS; i++) {
            acceptors[i].server = server;
            tasks[i] = spawn_ok(accept_one, &acceptors[i]);
        }
        for (int i = 0; i < ACCEPTORS; i++) await_parked(tasks[i]);
        for (int i = 0; i < ACCEPTORS; i++) clients[i] = plain_client(&address);
        for (int i = 0; i < ACCEPTORS; i++) CHECK_OK(llam_join(tasks[i]));
        for (int i = 0; i < ACCEPTORS; i++) {
            CHECK(acceptors[i].accepted >= 0);
            for (int k = 0; k < i; k++)
                CHECK(acceptors[i].peer.sin_port != acceptors[k].peer.sin_port);
        }
        CHECK(!ready_for(server, POLLIN));
        for (int i = 0; i < ACCEPTORS; i++) {
            CHECK_OK(llam_close(clients[i]));
            CHECK_OK(llam_close(acceptors[i].accepted));
        }
        CHECK_OK(llam_close(server));
    }
}

/* llam_accept: several acceptors; each connection goes to one of them. */
TEST(each_connection_goes_to_one_of_the_acceptors) { run_task(acceptors_share, NULL); }

static void descriptors_run_out(void *unused) {
    (void)unused;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int server = listener(4, &address), client = plain_client(&address);
        set_nonblocking(server, nonblocking);
        AWAIT(ready_for(server, POLLIN));
        struct rlimit limit, none;
        CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
        none = limit;
        none.rlim_cur = 0;
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
        errno = 0;
        int accepted = llam_accept(server, NULL, NULL), error = errno;
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
        CHECK_EQ(accepted, -1);
        CHECK_EQ(error, EMFILE);
        accepted = llam_accept(server, NULL, NULL);
        CHECK(accepted >= 0);
        CHECK_OK(llam_close(accepted));
        CHECK_OK(llam_close(client));
        CHECK_OK(llam_close(server));
    }
}

/* llam_accept: EMFILE; the connection stays in the queue. A memory checker that plays the limit
 * itself takes the connection, so there is nothing to see under one. */
TEST(accept_without_free_descriptors_is_emfile) {
    if (!under_valgrind()) run_task(descriptors_run_out, NULL);
}
TEST(accept_without_free_descriptors_is_emfile_on_a_host_thread) {
    if (!under_valgrind()) descriptors_run_out(NULL);
}

/* Closes the listener, with the engine's call or the system's, and opens another one under the
 * same number, of another mode. */
static int reopen(int server, int by_engine, int nonblocking, struct sockaddr_in *fresh_address) {
    CHECK_OK(by_engine ? llam_close(server) : close(server));
    int fresh = listener(4, fresh_address);
    CHECK_EQ(dup2(fresh, server), server);
    CHECK_OK(close(fresh));
    set_nonblocking(server, nonblocking);
    return server;
}

static void listeners_change_places(void *unused) {
    (void)unused;
    int server = moved_apart(listener(4, &address));
    for (int round = 0; round < 8; round++) {
        struct acceptor acceptor = {.server = server};
        llam_task_t *task = spawn_ok(accept_one, &acceptor);
        await_parked(task);
        int client = plain_client(&address);
        CHECK_OK(llam_join(task));
        CHECK(acceptor.accepted >= 0);
        int old_client = plain_client(&address);
        struct sockaddr_in fresh_address;
        server = reopen(server, round % 2, round / 2 % 2, &fresh_address);
        acceptor = (struct acceptor){.server = server};
        task = spawn_ok(accept_one, &acceptor);
        await_parked(task);
        address = fresh_address;
        int fresh_client = plain_client(&address);
        CHECK_OK(llam_join(task));
        struct sockaddr_in own;
        socklen_t length = sizeof own;
        CHECK_OK(getsockname(fresh_client, (struct sockaddr *)&own, &length));
        CHECK_EQ(acceptor.peer.sin_port, own.sin_port);
        CHECK_OK(getsockname(acceptor.accepted, (struct sockaddr *)&own, &length));
        CHECK_EQ(own.sin_port, address.sin_port);
        int all[] = {client, old_client, fresh_client, acceptor.accepted};
        for (int i = 0; i < 4; i++) CHECK_OK(llam_close(all[i]));
    }
}

/* Appendix A: a listener closed and another opened under the same number: acceptors get the new
 * one's connections only. */
TEST(acceptors_get_the_connections_of_the_new_listener) {
    run_task(listeners_change_places, NULL);
}

struct late_acceptor {
    struct acceptor acceptor;
    int error;
};

static void accept_late(void *arg) {
    struct late_acceptor *late = arg;
    accept_one(&late->acceptor);
    late->error = errno;
}

static void listener_closed_under_acceptor(void *unused) {
    (void)unused;
    for (int round = 0; round < 8; round++) {
        struct sockaddr_in fresh_address;
        int server = moved_apart(listener(4, &address));
        set_nonblocking(server, round % 2);
        int keeper = round / 4 ? dup(server) : -1;
        struct late_acceptor late = {.acceptor = {.server = server, .accepted = -7}};
        llam_cancel_token_t *token = llam_cancel_token_create();
        llam_task_t *task = spawn_with(accept_late, &late, token);
        await_parked(task);
        reopen(server, round / 2 % 2, round % 2, &fresh_address);
        int fresh_client = plain_client(&fresh_address);
        int old_client = keeper >= 0 ? plain_client(&address) : -1;
        for (int i = 0; i < 20; i++) CHECK_OK(llam_sleep_ns(CHECK_MS / 10));
        CHECK_OK(llam_cancel_token_cancel(token));
        CHECK_OK(llam_join(task));
        CHECK_OK(llam_cancel_token_destroy(token));
        if (late.acceptor.accepted >= 0) {
            struct sockaddr_in own;
            socklen_t length = sizeof own;
            CHECK_OK(getsockname(late.acceptor.accepted, (struct sockaddr *)&own, &length));
            CHECK_EQ(own.sin_port, address.sin_port);
            CHECK_OK(llam_close(late.acceptor.accepted));
        } else {
            CHECK(late.error == EBADF || late.error == ECANCELED || late.error == EINVAL);
        }
        int accepted = llam_accept(server, NULL, NULL);
        CHECK(accepted >= 0);
        int all[] = {accepted, server, fresh_client, keeper, old_client};
        for (int i = 0; i < 5; i++)
            if (all[i] >= 0) CHECK_OK(llam_close(all[i]));
    }
}

/* I9: an acceptor whose listener is closed under it never takes a connection of another listener
 * that got the number. */
TEST(an_acceptor_of_a_closed_listener_takes_nothing_from_the_next) {
    run_task(listener_closed_under_acceptor, NULL);
}

/* ---- llam_connect ---- */

/* Appendix A: llam_connect(fd, NULL, n): EINVAL before `fd` is checked. */
TEST_EVERYWHERE(connect_without_an_address_is_einval_before_all_else) {
    CHECK_FAILS(llam_connect(LLAM_INVALID_FD, NULL, 0), EINVAL);
    CHECK_FAILS(llam_connect(LLAM_INVALID_FD, NULL, sizeof address), EINVAL);
    CHECK_FAILS(llam_connect(tcp_socket(0), NULL, sizeof address), EINVAL);
    CHECK_FAILS(llam_connect(tcp_socket(1), NULL, 0), EINVAL);
}

/* llam_connect: EBADF, ENOTSOCK, EINVAL (bad length), EISCONN, ENOENT. */
TEST_EVERYWHERE(connect_passes_the_system_errors_on) {
    int fds[2];
    struct sockaddr *target = (struct sockaddr *)&address;
    int server = listener(4, &address);
    CHECK(server >= 0);
    make_pipe(fds);
    CHECK_FAILS(llam_connect(LLAM_INVALID_FD, target, sizeof address), EBADF);
    CHECK_FAILS(llam_connect(closed_descriptor(), target, sizeof address), EBADF);
    CHECK_FAILS(llam_connect(fds[0], target, sizeof address), ENOTSOCK);
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        CHECK_FAILS(llam_connect(tcp_socket(nonblocking), target, 1), EINVAL);
        CHECK_FAILS(llam_connect(tcp_socket(nonblocking), target, 8), EINVAL);
        int client = plain_client(&address);
        set_nonblocking(client, nonblocking);
        CHECK_FAILS(llam_connect(client, target, sizeof address), EISCONN);
        struct sockaddr_un nowhere = {.sun_family = AF_UNIX, .sun_path = "/nowhere/at/all"};
        int local = socket(AF_UNIX, SOCK_STREAM, 0);
        set_nonblocking(local, nonblocking);
        CHECK_FAILS(llam_connect(local, (struct sockaddr *)&nowhere, sizeof nowhere), ENOENT);
    }
}

/* The address of a port on which nobody listens. */
static struct sockaddr_in refusing_address(void) {
    struct sockaddr_in unused;
    CHECK(bound_socket(SOCK_STREAM, &unused) >= 0);
    return unused;
}

static void refused(void *unused) {
    (void)unused;
    struct sockaddr_in nobody = refusing_address();
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int client = tcp_socket(nonblocking), flags = fcntl(client, F_GETFL);
        CHECK_FAILS(connect_to(client, &nobody), ECONNREFUSED);
        CHECK_EQ(fcntl(client, F_GETFL), flags);
        CHECK_OK(llam_close(client));
    }
}

/* llam_connect in a task: the socket's error, also on non-blocking sockets. */
TEST(a_refused_connection_is_econnrefused) { run_task(refused, NULL); }

/* llam_connect on a host thread: connect(2). */
TEST(a_host_thread_connects_as_connect_does) {
    int server = listener(4, &address), client = tcp_socket(0), later = tcp_socket(1);
    struct sockaddr_in nobody = refusing_address();
    CHECK_FAILS(connect_to(tcp_socket(0), &nobody), ECONNREFUSED);
    CHECK_OK(connect_to(client, &address));
    CHECK_FAILS(connect_to(later, &address), EINPROGRESS);
    CHECK_EQ(llam_poll_fd(later, POLLOUT, PATIENCE_MS, NULL), 1);
    CHECK(accept(server, NULL, NULL) >= 0);
    CHECK(accept(server, NULL, NULL) >= 0);
}

static void connections(void *unused) {
    (void)unused;
    for (int round = 0; round < 4; round++) {
        int server = listener(4, &address), client = tcp_socket(round % 2);
        int flags = fcntl(client, F_GETFL);
        struct acceptor acceptor = {.server = server};
        set_nonblocking(server, round / 2);
        llam_task_t *task = spawn_ok(accept_one, &acceptor);
        CHECK_OK(connect_to(client, &address));
        CHECK_EQ(fcntl(client, F_GETFL), flags);
        CHECK_FAILS(connect_to(client, &address), EISCONN);
        char got[8] = {0};
        CHECK_EQ(llam_write(client, "ping", 4), 4);
        CHECK_OK(llam_join(task));
        CHECK_EQ(llam_read(acceptor.accepted, got, 8), 4);
        CHECK_STR(got, "ping");
        CHECK_EQ(llam_write(acceptor.accepted, "pong", 4), 4);
        CHECK_EQ(llam_read(client, got, 8), 4);
        CHECK_STR(got, "pong");
        int all[] = {client, acceptor.accepted, server};
        for (int i = 0; i < 3; i++) CHECK_OK(llam_close(all[i]));
    }
}

/* llam_connect in a task: 0 when connected, in both modes. */
TEST(a_task_connects_in_both_modes) { run_task(connections, NULL); }

static void datagram_connections(void *unused) {
    (void)unused;
    struct sockaddr_in there;
    char got[8] = {0};
    int receiver = bound_socket(SOCK_DGRAM, &there), sender = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_OK(connect_to(sender, &there));
    CHECK_EQ(llam_write(sender, "d", 1), 1);
    CHECK_EQ(llam_read(receiver, got, 8), 1);
}

/* llam_connect: on datagram sockets it sets the peer. */
TEST(a_datagram_socket_connects_at_once) { run_task(datagram_connections, NULL); }

struct connector {
    int fd, nonblocking;
    struct sockaddr_un *target;
    int result, error;
};

static void connect_locally(void *arg) {
    struct connector *connector = arg;
    connector->result = llam_connect(connector->fd, (struct sockaddr *)connector->target,
                                     sizeof *connector->target);
    connector->error = errno;
}

static void full_local_queue(void *unused) {
    (void)unused;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        char folder[PATH_MAX];
        struct sockaddr_un target = {.sun_family = AF_UNIX};
        temporary_folder(folder);
        snprintf(target.sun_path, sizeof target.sun_path, "%.80s/s", folder);
        int server = socket(AF_UNIX, SOCK_STREAM, 0), early[2];
        CHECK_OK(bind(server, (struct sockaddr *)&target, sizeof target));
        CHECK_OK(listen(server, 0));
        int queued = 0;
        for (; queued < 2; queued++) {
            early[queued] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
            if (connect(early[queued], (struct sockaddr *)&target, sizeof target) != 0) break;
        }
        CHECK_EQ(errno, EAGAIN);
        struct connector connector = {.fd = socket(AF_UNIX, SOCK_STREAM, 0), .target = &target};
        set_nonblocking(connector.fd, nonblocking);
        llam_task_t *task = spawn_ok(connect_locally, &connector);
        await_parked(task);
        for (int i = 0; i < queued; i++) CHECK(accept(server, NULL, NULL) >= 0);
        CHECK_OK(llam_join(task));
        CHECK_EQ(connector.result, 0);
        CHECK_OK(unlink(target.sun_path));
        CHECK_OK(rmdir(folder));
    }
}

/* llam_connect in a task: waits for the outcome also where the system cannot queue it. */
TEST(a_connection_to_a_full_local_queue_waits) { run_task(full_local_queue, NULL); }

#define CONNECTIONS 32

static void serve_one(void *arg) {
    int fd = (int)(intptr_t)arg;
    char byte;
    while (llam_read(fd, &byte, 1) == 1) CHECK_EQ(llam_write(fd, &byte, 1), 1);
    CHECK_OK(llam_close(fd));
}

static void serve_all(void *arg) {
    for (int i = 0; i < CONNECTIONS; i++) {
        int fd = llam_accept(*(int *)arg, NULL, NULL);
        CHECK(fd >= 0);
        CHECK_OK(llam_detach(spawn_ok(serve_one, (void *)(intptr_t)fd)));
    }
}

static void use_one(void *arg) {
    int fd = tcp_socket((int)(intptr_t)arg % 2);
    CHECK_OK(connect_to(fd, &address));
    for (int i = 0; i < 10; i++) {
        char byte = (char)i, got = -1;
        CHECK_EQ(llam_write(fd, &byte, 1), 1);
        CHECK_EQ(llam_read(fd, &got, 1), 1);
        CHECK_EQ(got, byte);
    }
    CHECK_OK(llam_close(fd));
}

static void many_connections(void *unused) {
    (void)unused;
    for (int nonblocking = 0; nonblocking < 2; nonblocking++) {
        int server = listener(CONNECTIONS, &address);
        set_nonblocking(server, nonblocking);
        llam_task_t *tasks[CONNECTIONS + 1];
        tasks[CONNECTIONS] = spawn_ok(serve_all, &server);
        for (int i = 0; i < CONNECTIONS; i++) tasks[i] = spawn_ok(use_one, (void *)(intptr_t)i);
        for (int i = 0; i <= CONNECTIONS; i++) CHECK_OK(llam_join(tasks[i]));
        CHECK_OK(llam_close(server));
    }
}

/* I2, I8: many connections at once, each served by a task of its own. */
TEST(many_connections_are_served_at_once) { run_task(many_connections, NULL); }

MAIN
