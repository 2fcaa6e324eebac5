/* Names and files: llam_getaddrinfo_result, llam_freeaddrinfo_result, llam_open_async,
 * llam_stat_path_ex (abi.md 4.17, R7, I7 class B).
 */
#include "io_util.h"

#include <time.h>

/* ---- Names ---- */

static struct addrinfo *some_list(void) { return (struct addrinfo *)(uintptr_t)64; }

/* The address and port of a numeric name. */
static void check_numeric(const char *node, const char *service, int flags, uint32_t expected,
                          uint16_t port) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *list = some_list();
    int verdict = -77;
    CHECK_OK(llam_getaddrinfo_result(node, service, &hints, &list, &verdict));
    CHECK_EQ(verdict, 0);
    CHECK(list != NULL);
    CHECK_EQ(list->ai_family, AF_INET);
    CHECK_EQ(list->ai_socktype, SOCK_STREAM);
    CHECK_EQ(list->ai_addrlen, sizeof(struct sockaddr_in));
    struct sockaddr_in found;
    memcpy(&found, list->ai_addr, sizeof found);
    CHECK_EQ(ntohl(found.sin_addr.s_addr), expected);
    CHECK_EQ(ntohs(found.sin_port), port);
    llam_freeaddrinfo_result(list);
}

/* 0 and a list in `*out`; node or service may be absent. */
TEST_EVERYWHERE(numeric_names_resolve) {
    int numeric = AI_NUMERICHOST | AI_NUMERICSERV;
    check_numeric("127.0.0.1", "8080", numeric, INADDR_LOOPBACK, 8080);
    check_numeric("10.1.2.3", NULL, numeric, 0x0a010203, 0);
    check_numeric(NULL, "80", numeric, INADDR_LOOPBACK, 80);
    check_numeric(NULL, "80", AI_NUMERICSERV | AI_PASSIVE, INADDR_ANY, 80);
    struct addrinfo *list = some_list();
    int verdict = -77;
    CHECK_OK(llam_getaddrinfo_result("::1", "1", NULL, &list, &verdict));
    CHECK_EQ(verdict, 0);
    CHECK_EQ(list->ai_family, AF_INET6);
    llam_freeaddrinfo_result(list);
    llam_freeaddrinfo_result(NULL);
}

/* A name of the local table, when there is one: as getaddrinfo says. */
TEST_EVERYWHERE(localhost_resolves_as_the_system_does) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *expected = NULL, *list = some_list();
    int verdict = -77, plain = getaddrinfo("localhost", "80", &hints, &expected);
    CHECK_OK(llam_getaddrinfo_result("localhost", "80", &hints, &list, &verdict));
    CHECK_EQ(verdict, plain);
    CHECK_EQ(list != NULL, plain == 0);
    for (struct addrinfo *a = expected, *b = list; a != NULL || b != NULL;
         a = a->ai_next, b = b->ai_next) {
        CHECK(a != NULL && b != NULL);
        CHECK_EQ(a->ai_family, b->ai_family);
        CHECK_EQ(a->ai_addrlen, b->ai_addrlen);
        CHECK_EQ(memcmp(a->ai_addr, b->ai_addr, a->ai_addrlen), 0);
    }
    if (expected != NULL) freeaddrinfo(expected);
    llam_freeaddrinfo_result(list);
}

/* 0 when the resolver was asked: `*gai_error` tells its verdict, `*out` is NULL. */
TEST_EVERYWHERE(the_resolvers_verdict_is_no_failure_of_the_call) {
    static const struct {
        const char *node, *service;
        struct addrinfo hints;
        int verdict;
    } cases[] = {
        {"not a number", NULL, {.ai_flags = AI_NUMERICHOST}, EAI_NONAME},
        {"300.1.1.1", "80", {.ai_flags = AI_NUMERICHOST}, EAI_NONAME},
        {"127.0.0.1", "no number", {.ai_flags = AI_NUMERICSERV}, EAI_NONAME},
        {"127.0.0.1", "80", {.ai_family = 12345}, EAI_FAMILY},
        {"127.0.0.1", "80", {.ai_flags = 1 << 30}, EAI_BADFLAGS},
        {"127.0.0.1", "80", {.ai_socktype = 12345}, EAI_SOCKTYPE},
        {"::1", "80", {.ai_flags = AI_NUMERICHOST, .ai_family = AF_INET}, EAI_ADDRFAMILY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct addrinfo *list = some_list();
        int verdict = 4711;
        CHECK_OK(llam_getaddrinfo_result(cases[i].node, cases[i].service, &cases[i].hints, &list,
                                         &verdict));
        CHECK_EQ(verdict, cases[i].verdict);
        CHECK_PTR(list, NULL);
    }
}

/* EINVAL `out` NULL, `gai_error` NULL, `node` and `service` both NULL: outputs untouched. */
TEST_EVERYWHERE(name_arguments_are_checked_before_the_outputs) {
    struct addrinfo *list = some_list();
    int verdict = 4711;
    CHECK_FAILS(llam_getaddrinfo_result("127.0.0.1", NULL, NULL, NULL, &verdict), EINVAL);
    CHECK_FAILS(llam_getaddrinfo_result("127.0.0.1", NULL, NULL, &list, NULL), EINVAL);
    CHECK_FAILS(llam_getaddrinfo_result(NULL, NULL, NULL, &list, &verdict), EINVAL);
    CHECK_EQ(verdict, 4711);
    CHECK_PTR(list, some_list());
}

/* ---- Opening ---- */

static char folder[PATH_MAX];

static const char *in_folder(const char *name) {
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%.200s/%s", folder, name);
    return path;
}

/* open(path, flags, mode): flags and mode are the system's, nothing is added. */
TEST_EVERYWHERE(opening_is_as_with_open) {
    temporary_folder(folder);
    umask(022);
    llam_handle_t handle = -7;
    struct stat status;
    CHECK_OK(llam_open_async(in_folder("f"), O_RDWR | O_CREAT | O_EXCL, 0666, &handle));
    CHECK(handle >= 0);
    CHECK_OK(fstat(handle, &status));
    CHECK_EQ(status.st_mode & 07777, 0644);
    CHECK_EQ(fcntl(handle, F_GETFD) & FD_CLOEXEC, 0);
    CHECK_EQ(fcntl(handle, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND), O_RDWR);
    CHECK_EQ(llam_write_handle(handle, "text", 4), 4);
    CHECK_OK(llam_close_handle(handle));
    CHECK_OK(llam_open_async(in_folder("f"), O_WRONLY | O_APPEND | O_CLOEXEC, 0, &handle));
    CHECK_EQ(fcntl(handle, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    CHECK_EQ(fcntl(handle, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
    CHECK_EQ(llam_write(handle, "+", 1), 1);
    CHECK_OK(llam_close(handle));
    CHECK_OK(llam_open_async(in_folder("f"), O_RDONLY | O_NONBLOCK, 0, &handle));
    char got[8] = {0};
    CHECK_EQ(llam_read_handle(handle, got, 8), 5);
    CHECK_STR(got, "text+");
    CHECK_OK(llam_close_handle(handle));
    CHECK_OK(unlink(in_folder("f")));
    CHECK_OK(rmdir(folder));
}

/* EINVAL `path` or `out` NULL (then `*out` is untouched); those of open(2), with
 * LLAM_INVALID_HANDLE in `*out`. */
TEST_EVERYWHERE(failing_to_open_leaves_no_handle) {
    llam_handle_t handle = -7;
    temporary_folder(folder);
    CHECK_FAILS(llam_open_async(NULL, O_RDONLY, 0, &handle), EINVAL);
    CHECK_EQ(handle, -7);
    CHECK_FAILS(llam_open_async("/", O_RDONLY, 0, NULL), EINVAL);
    CHECK_FAILS(llam_open_async(NULL, O_RDONLY, 0, NULL), EINVAL);
    static const struct {
        const char *name;
        int flags, error;
    } cases[] = {{"none", O_RDONLY, ENOENT},
                 {".", O_WRONLY, EISDIR},
                 {".", O_RDWR | O_CREAT | O_EXCL, EEXIST},
                 {"none/none", O_RDWR | O_CREAT, ENOENT}};
    for (int i = 0; i < 4; i++) {
        handle = 3;
        CHECK_FAILS(llam_open_async(in_folder(cases[i].name), cases[i].flags, 0600, &handle),
                    cases[i].error);
        CHECK_EQ(handle, LLAM_INVALID_HANDLE);
    }
    CHECK_FAILS(llam_open_async("", O_RDONLY, 0, &handle), ENOENT);
    CHECK_FAILS(llam_open_async("/dev/null/x", O_RDONLY, 0, &handle), ENOTDIR);
    CHECK_OK(rmdir(folder));
}

/* How many descriptors of this process mean that file. */
static int descriptors_of(const char *path) {
    struct stat wanted, status;
    int count = 0;
    CHECK_OK(stat(path, &wanted));
    for (int fd = 0; fd < 1024; fd++)
        count += fstat(fd, &status) == 0 && status.st_ino == wanted.st_ino &&
                 status.st_dev == wanted.st_dev;
    return count;
}

struct opener {
    char path[PATH_MAX];
    llam_handle_t handle;
    int result, error;
    atomic_int done;
};

static void open_to_read(void *arg) {
    struct opener *opener = arg;
    opener->handle = -7;
    opener->result = llam_open_async(opener->path, O_RDONLY, 0, &opener->handle);
    opener->error = errno;
    atomic_store(&opener->done, 1);
}

static void open_a_fifo(void *unused) {
    (void)unused;
    static struct opener opener;
    temporary_folder(folder);
    snprintf(opener.path, sizeof opener.path, "%s", in_folder("fifo"));
    CHECK_OK(mkfifo(opener.path, 0600));
    llam_task_t *task = spawn_ok(open_to_read, &opener);
    await_parked(task);
    CHECK(!atomic_load(&opener.done));
    llam_handle_t writer = -7;
    char got[8] = {0};
    CHECK_OK(llam_open_async(opener.path, O_WRONLY, 0, &writer));
    CHECK_OK(llam_join(task));
    CHECK_OK(opener.result);
    CHECK_EQ(llam_write(writer, "fifo", 4), 4);
    CHECK_EQ(llam_read(opener.handle, got, 8), 4);
    CHECK_STR(got, "fifo");
    CHECK_OK(llam_close_handle(writer));
    CHECK_EQ(llam_read(opener.handle, got, 8), 0);
    CHECK_OK(llam_close_handle(opener.handle));
    CHECK_OK(unlink(opener.path));
    CHECK_OK(rmdir(folder));
}

/* Blocking pool in a task: other tasks go on while an open waits for its peer. */
TEST(an_open_that_blocks_holds_up_nobody) { run_task(open_a_fifo, NULL); }

static void cancel_an_open(void *unused) {
    (void)unused;
    static struct opener opener;
    temporary_folder(folder);
    snprintf(opener.path, sizeof opener.path, "%s", in_folder("fifo"));
    CHECK_OK(mkfifo(opener.path, 0600));
    llam_cancel_token_t *token = llam_cancel_token_create();
    llam_task_t *task = spawn_with(open_to_read, &opener, token);
    await_parked(task);
    int writer = -1;
    /* ENXIO tells that nobody reads: the pool has not begun, and a cancellation would drop it. */
    AWAIT((writer = open(opener.path, O_WRONLY | O_NONBLOCK)) >= 0);
    CHECK_OK(llam_join(task));
    CHECK_OK(opener.result);
    CHECK_OK(llam_close(opener.handle));
    CHECK_OK(llam_cancel_token_destroy(token));
    CHECK_OK(close(writer));

    CHECK_EQ(descriptors_of(opener.path), 0);
    token = llam_cancel_token_create();
    task = spawn_with(open_to_read, &opener, token);
    await_parked(task);
    CHECK_OK(llam_cancel_token_cancel(token));
    uint64_t limit = after_ms(PATIENCE_MS);
    writer = -1;
    while (strcmp(llam_task_state_name(task), "DEAD") != 0) {
        CHECK(llam_now_ns() < limit);
        if (writer < 0) writer = open(opener.path, O_WRONLY | O_NONBLOCK);
        pause_a_little();
    }
    CHECK_OK(llam_join(task));
    CHECK_EQ(opener.result, -1);
    CHECK_EQ(opener.error, ECANCELED);
    CHECK_EQ(opener.handle, LLAM_INVALID_HANDLE);
    if (writer >= 0) CHECK_OK(close(writer));
    CHECK_EQ(descriptors_of(opener.path), 0);
    CHECK_OK(llam_cancel_token_destroy(token));
    CHECK_OK(unlink(opener.path));
    CHECK_OK(rmdir(folder));
}

/* ECANCELED; ours closes a descriptor that was opened all the same. */
TEST(a_cancelled_open_leaves_no_descriptor) { run_task(cancel_an_open, NULL); }

/* ---- Stating ---- */

static void check_times(const llam_file_stat_t *found, const struct stat *status) {
    const struct timespec times[] = {status->st_mtim, status->st_atim, status->st_ctim};
    const uint64_t values[] = {found->mtime_ns, found->atime_ns, found->ctime_ns};
    for (int i = 0; i < 3; i++) {
        uint64_t whole = (uint64_t)times[i].tv_sec * 1000000000;
        CHECK(values[i] == whole || values[i] == whole + (uint64_t)times[i].tv_nsec);
    }
}

/* The values of the system; links are followed, LLAM_FILE_TYPE_SYMLINK never appears. */
TEST_EVERYWHERE(a_stat_tells_what_the_system_tells) {
    temporary_folder(folder);
    int fd = open(in_folder("f"), O_WRONLY | O_CREAT, 0640);
    CHECK_EQ(write(fd, "12345", 5), 5);
    CHECK_OK(close(fd));
    CHECK_OK(symlink("f", in_folder("link")));
    CHECK_OK(mkfifo(in_folder("fifo"), 0600));
    static const struct {
        const char *name;
        uint32_t type;
    } cases[] = {{"f", LLAM_FILE_TYPE_REGULAR},
                 {"link", LLAM_FILE_TYPE_REGULAR},
                 {".", LLAM_FILE_TYPE_DIRECTORY},
                 {"fifo", LLAM_FILE_TYPE_OTHER}};
    for (int i = 0; i < 4; i++) {
        llam_file_stat_t found;
        struct stat status;
        memset(&found, 0xcc, sizeof found);
        CHECK_OK(llam_stat_path_ex(in_folder(cases[i].name), &found, sizeof found));
        CHECK_OK(stat(in_folder(cases[i].name), &status));
        CHECK_EQ(found.size, status.st_size);
        CHECK_EQ(found.mode, status.st_mode);
        CHECK_EQ(found.type, cases[i].type);
        CHECK_EQ(found.reserved0, 0);
        check_times(&found, &status);
    }
    llam_file_stat_t device;
    CHECK_OK(llam_stat_path_ex("/dev/null", &device, sizeof device));
    CHECK_EQ(device.type, LLAM_FILE_TYPE_OTHER);
    CHECK_OK(unlink(in_folder("f")));
    CHECK_OK(unlink(in_folder("link")));
    CHECK_OK(unlink(in_folder("fifo")));
    CHECK_OK(rmdir(folder));
}

/* Times before 1970 are 0. */
TEST_EVERYWHERE(times_before_1970_are_zero) {
    temporary_folder(folder);
    struct timespec times[2] = {{-86400, 0}, {-2, 500000000}};
    struct stat status;
    llam_file_stat_t found;
    CHECK_OK(utimensat(AT_FDCWD, folder, times, 0));
    CHECK_OK(stat(folder, &status));
    CHECK_OK(llam_stat_path_ex(folder, &found, sizeof found));
    if (status.st_mtim.tv_sec < 0) CHECK_EQ(found.mtime_ns, 0);
    else check_times(&found, &status);
    CHECK_OK(rmdir(folder));
}

/* 1.3: the prefix is written, the bytes behind it are left alone. */
TEST_EVERYWHERE(a_stat_writes_the_prefix) {
    llam_file_stat_t whole;
    CHECK_EQ(LLAM_FILE_STAT_CURRENT_SIZE, 48);
    CHECK_OK(llam_stat_path_ex("/", &whole, sizeof whole));
    unsigned char *expected = (unsigned char *)&whole;
    union {
        llam_file_stat_t stat;
        unsigned char bytes[80];
    } found;
    const size_t sizes[] = {1, 8, 12, 36, 39, 40, 47, 48, 49, 80};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(&found, 0xcc, sizeof found);
        CHECK_OK(llam_stat_path_ex("/", &found.stat, sizes[i]));
        size_t written = sizes[i] < 48 ? sizes[i] : 48;
        for (size_t k = 0; k < written; k++)
            if (k < 16 || k >= 24) CHECK_EQ(found.bytes[k], expected[k]);
        for (size_t k = written; k < 80; k++) CHECK_EQ(found.bytes[k], 0xcc);
    }
}

/* EINVAL `path` NULL, `out` NULL, `out_size` 0: nothing is written; then the prefix is zeroed (R7)
 * and the errors are those of stat(2). */
TEST_EVERYWHERE(a_failing_stat_zeroes_the_prefix) {
    union {
        llam_file_stat_t stat;
        unsigned char bytes[80];
    } found;
    memset(&found, 0xcc, sizeof found);
    CHECK_FAILS(llam_stat_path_ex(NULL, &found.stat, 48), EINVAL);
    CHECK_FAILS(llam_stat_path_ex("/", &found.stat, 0), EINVAL);
    CHECK_FAILS(llam_stat_path_ex("/", NULL, 48), EINVAL);
    for (int k = 0; k < 80; k++) CHECK_EQ(found.bytes[k], 0xcc);
    const size_t sizes[] = {1, 12, 48, 80};
    for (int i = 0; i < 4; i++) {
        memset(&found, 0xcc, sizeof found);
        CHECK_FAILS(llam_stat_path_ex("/nowhere/at/all", &found.stat, sizes[i]), ENOENT);
        for (size_t k = 0; k < 80; k++)
            CHECK_EQ(found.bytes[k], k < sizes[i] && k < 48 ? 0 : 0xcc);
    }
    CHECK_FAILS(llam_stat_path_ex("/dev/null/x", &found.stat, 48), ENOTDIR);
    CHECK_FAILS(llam_stat_path_ex("", &found.stat, 48), ENOENT);
}

/* ---- Cancellation ---- */

static void class_b(void *unused) {
    (void)unused;
    struct addrinfo *list = some_list();
    int verdict = 4711;
    llam_handle_t handle = 3;
    llam_file_stat_t found;
    memset(&found, 0xcc, sizeof found);
    temporary_folder(folder);
    CHECK_FAILS(llam_getaddrinfo_result("127.0.0.1", NULL, NULL, &list, &verdict), ECANCELED);
    CHECK_PTR(list, NULL);
    CHECK_EQ(verdict, 0);
    CHECK_FAILS(llam_open_async(in_folder("f"), O_CREAT | O_RDWR, 0600, &handle), ECANCELED);
    CHECK_EQ(handle, LLAM_INVALID_HANDLE);
    CHECK_FAILS(access(in_folder("f"), F_OK), ENOENT);
    CHECK_FAILS(llam_stat_path_ex("/", &found, sizeof found), ECANCELED);
    CHECK_EQ(found.mode | found.type | found.mtime_ns, 0);
    CHECK_FAILS(llam_open_async(NULL, 0, 0, &handle), EINVAL);
    CHECK_FAILS(llam_getaddrinfo_result(NULL, NULL, NULL, &list, &verdict), EINVAL);
    CHECK_OK(rmdir(folder));
}

static void stop_then_class_b(void *unused) {
    CHECK_OK(llam_runtime_request_stop());
    class_b(unused);
}

/* I7 class B: ECANCELED at once in a cancelled task or a stopping runtime, and nothing is done. */
TEST(a_cancelled_task_neither_resolves_nor_opens) { run_cancelled(class_b, NULL); }
TEST(a_stopping_runtime_neither_resolves_nor_opens) { run_task(stop_then_class_b, NULL); }

#define CLIENTS 24

static void use_all(void *unused) {
    (void)unused;
    for (int i = 0; i < 5; i++) {
        llam_handle_t handle = -1;
        llam_file_stat_t found;
        check_numeric("127.0.0.1", "99", AI_NUMERICHOST, INADDR_LOOPBACK, 99);
        CHECK_OK(llam_open_async("/dev/null", O_RDWR, 0, &handle));
        CHECK_OK(llam_close_handle(handle));
        CHECK_OK(llam_stat_path_ex("/", &found, sizeof found));
        CHECK_EQ(found.type, LLAM_FILE_TYPE_DIRECTORY);
    }
}

static void use_all_at_once(void *unused) {
    (void)unused;
    llam_task_t *tasks[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) tasks[i] = spawn_ok(use_all, NULL);
    for (int i = 0; i < CLIENTS; i++) CHECK_OK(llam_join(tasks[i]));
}

/* Many tasks at once share the pool. */
TEST(many_tasks_resolve_open_and_stat_at_once) { run_task(use_all_at_once, NULL); }

MAIN
