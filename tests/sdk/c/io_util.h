/* Helpers of the I/O tests: descriptors of every kind, waits with a limit, tasks with a token. */
#ifndef IO_UTIL_H
#define IO_UTIL_H

#include "check.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* Two tests of one body: on a host thread without a runtime, and in a task. */
#define TEST_EVERYWHERE(test_name)                                                               \
    static void body_of_##test_name(void *);                                                     \
    TEST(test_name##_on_a_host_thread) { body_of_##test_name(NULL); }                            \
    TEST(test_name##_in_a_task) { run_task(body_of_##test_name, NULL); }                         \
    static void body_of_##test_name(void *unused_argument __attribute__((unused)))

/* Most milliseconds that a wait of these tests lasts. */
#define PATIENCE_MS 25000

static inline int in_task(void) { return llam_current_task() != NULL; }

/* Lets others go on: other tasks in a task, other threads on a host thread. */
static inline void pause_a_little(void) {
    if (in_task()) {
        CHECK_OK(llam_sleep_ns(CHECK_MS / 5));
    } else {
        usleep(200);
    }
}

#define AWAIT(condition)                                                                         \
    do {                                                                                         \
        uint64_t await_limit = after_ms(PATIENCE_MS);                                            \
        while (!(condition)) {                                                                   \
            if (llam_now_ns() > await_limit) FAIL("never came true: %s", #condition);            \
            pause_a_little();                                                                    \
        }                                                                                        \
    } while (0)

static inline int is_parked(const llam_task_t *task) {
    return strcmp(llam_task_state_name(task), "PARKED") == 0;
}

/* Waits until the task is parked in the call that its body makes. */
static inline void await_parked(const llam_task_t *task) { AWAIT(is_parked(task)); }

static inline llam_task_t *spawn_with(llam_task_fn fn, void *arg, llam_cancel_token_t *token) {
    llam_spawn_opts_t opts;
    CHECK_OK(llam_spawn_opts_init(&opts, sizeof opts));
    opts.cancel_token = token;
    llam_task_t *task = llam_spawn_ex(fn, arg, &opts, sizeof opts);
    if (task == NULL) FAIL("spawn with a token failed with errno %d", errno);
    return task;
}

/* Runs `fn(arg)` as a task whose token was cancelled before it began. */
static inline void run_cancelled(llam_task_fn fn, void *arg) {
    init_default(0);
    llam_cancel_token_t *token = llam_cancel_token_create();
    CHECK(token != NULL);
    CHECK_OK(llam_cancel_token_cancel(token));
    llam_task_t *task = spawn_with(fn, arg, token);
    CHECK_OK(llam_run());
    CHECK_OK(llam_join(task));
    CHECK_OK(llam_cancel_token_destroy(token));
    llam_runtime_shutdown();
}

static inline void set_nonblocking(int fd, int on) {
    int flags = fcntl(fd, F_GETFL);
    CHECK(flags >= 0);
    CHECK_OK(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK));
}

static inline void make_pair(int type, int fds[2]) {
    CHECK_OK(socketpair(AF_UNIX, type, 0, fds));
}

static inline void make_pipe(int fds[2]) { CHECK_OK(pipe(fds)); }

/* A socket bound to a free port of 127.0.0.1. */
static inline int bound_socket(int type, struct sockaddr_in *address) {
    int fd = socket(AF_INET, type, 0);
    CHECK(fd >= 0);
    memset(address, 0, sizeof *address);
    address->sin_family = AF_INET;
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_OK(bind(fd, (struct sockaddr *)address, sizeof *address));
    socklen_t length = sizeof *address;
    CHECK_OK(getsockname(fd, (struct sockaddr *)address, &length));
    return fd;
}

static inline int listener(int backlog, struct sockaddr_in *address) {
    int fd = bound_socket(SOCK_STREAM, address);
    CHECK_OK(listen(fd, backlog));
    return fd;
}

/* A connected client of that listener, by the plain system calls. */
static inline int plain_client(const struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK_OK(connect(fd, (const struct sockaddr *)address, sizeof *address));
    return fd;
}

/* Two connected TCP sockets. */
static inline void make_tcp_pair(int fds[2]) {
    struct sockaddr_in address;
    int server = listener(4, &address);
    fds[0] = plain_client(&address);
    fds[1] = accept(server, NULL, NULL);
    CHECK(fds[1] >= 0);
    CHECK_OK(close(server));
}

/* A file without a name that holds these bytes, at position 0. */
static inline int temporary_file(const void *bytes, size_t count) {
    const char *folder = getenv("TMPDIR");
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/llam-io-XXXXXX", folder != NULL ? folder : "/tmp");
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    CHECK_OK(unlink(path));
    CHECK_EQ(write(fd, bytes, count), count);
    CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* A folder of the test's own; its path has room for a short name behind it. */
static inline void temporary_folder(char path[PATH_MAX]) {
    const char *folder = getenv("TMPDIR");
    snprintf(path, PATH_MAX / 2, "%s/llam-io-XXXXXX", folder != NULL ? folder : "/tmp");
    CHECK(mkdtemp(path) != NULL);
}

/* The same object under a number that nobody else gets who opens something: the tests that close a
 * number and use it again must not meet the descriptors that the engine opens meanwhile. */
static inline int moved_apart(int fd) {
    int apart = fcntl(fd, F_DUPFD, 900);
    CHECK(apart >= 900);
    CHECK_OK(close(fd));
    return apart;
}

/* A descriptor number that is not open. */
static inline int closed_descriptor(void) {
    int fd = moved_apart(dup(0));
    CHECK_OK(close(fd));
    return fd;
}

/* Writes until there is no room; the mode stays as it was. */
static inline size_t fill(int fd) {
    static const char block[4096] = {'f'};
    int flags = fcntl(fd, F_GETFL);
    size_t total = 0;
    ssize_t wrote;
    set_nonblocking(fd, 1);
    while ((wrote = write(fd, block, sizeof block)) > 0) total += (size_t)wrote;
    CHECK_EQ(errno, EAGAIN);
    while ((wrote = write(fd, block, 1)) > 0) total += (size_t)wrote;
    CHECK_EQ(errno, EAGAIN);
    CHECK_OK(fcntl(fd, F_SETFL, flags));
    return total;
}

/* Reads all there is without waiting; how many bytes it was. */
static inline size_t drain(int fd) {
    char block[8192];
    int flags = fcntl(fd, F_GETFL);
    size_t total = 0;
    ssize_t got;
    set_nonblocking(fd, 1);
    while ((got = read(fd, block, sizeof block)) > 0) total += (size_t)got;
    CHECK_OK(fcntl(fd, F_SETFL, flags));
    return total;
}

/* Whether a plain probe sees these events. */
static inline int ready_for(int fd, short events) {
    struct pollfd watched = {.fd = fd, .events = events};
    CHECK(poll(&watched, 1, 0) >= 0);
    return (watched.revents & events) != 0;
}

/* A thread that runs a test's own function; ends with join_thread. */
static inline pthread_t start_thread(void *(*fn)(void *), void *arg) {
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, fn, arg));
    return thread;
}

static inline void join_thread(pthread_t thread) { CHECK_OK(pthread_join(thread, NULL)); }

#endif
