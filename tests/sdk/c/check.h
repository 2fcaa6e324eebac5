/* The harness of the C tests: each test runs in a process of its own, under a time limit.
 *
 * A program is a list of TEST(name) bodies and one MAIN. With no arguments it runs every test and
 * prints a line for each; `--list` prints the names; any other argument runs the tests whose name
 * contains it. The exit code is 0 only when every test that ran has passed and at least one ran.
 *
 * A failed CHECK prints what was expected and ends its test's process at once, from a task as well.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <llam/runtime.h>

/* Most seconds that one test may take; valgrind runs set LLAM_TEST_SECONDS higher. */
#define CHECK_DEFAULT_SECONDS 30

struct check_test {
    const char *name;
    void (*body)(void);
    struct check_test *next;
};

static struct check_test *check_first, **check_last = &check_first;

#define TEST(test_name)                                                                          \
    static void test_name(void);                                                                 \
    static struct check_test check_entry_##test_name = {#test_name, test_name, NULL};            \
    __attribute__((constructor)) static void check_add_##test_name(void) {                       \
        *check_last = &check_entry_##test_name;                                                  \
        check_last = &check_entry_##test_name.next;                                              \
    }                                                                                            \
    static void test_name(void)

/* Ends the test as failed. Safe in tasks and on any thread. */
#define FAIL(...)                                                                                \
    do {                                                                                         \
        fprintf(stdout, "  %s:%d: ", __FILE__, __LINE__);                                        \
        fprintf(stdout, __VA_ARGS__);                                                            \
        fputc('\n', stdout);                                                                     \
        fflush(stdout);                                                                          \
        _exit(1);                                                                                \
    } while (0)

#define CHECK(condition)                                                                         \
    do {                                                                                         \
        if (!(condition)) FAIL("not so: %s (errno %d)", #condition, errno);                      \
    } while (0)

/* Both are integers; prints both values. */
#define CHECK_EQ(actual, expected)                                                               \
    do {                                                                                         \
        int64_t check_a = (int64_t)(actual), check_e = (int64_t)(expected);                      \
        if (check_a != check_e)                                                                  \
            FAIL("%s is %" PRId64 ", expected %s = %" PRId64 " (errno %d)", #actual, check_a,    \
                 #expected, check_e, errno);                                                     \
    } while (0)

#define CHECK_PTR(actual, expected)                                                              \
    do {                                                                                         \
        const void *check_a = (const void *)(actual), *check_e = (const void *)(expected);       \
        if (check_a != check_e)                                                                  \
            FAIL("%s is %p, expected %s = %p (errno %d)", #actual, check_a, #expected, check_e,  \
                 errno);                                                                         \
    } while (0)

#define CHECK_STR(actual, expected)                                                              \
    do {                                                                                         \
        const char *check_a = (actual), *check_e = (expected);                                   \
        if (check_a == NULL || strcmp(check_a, check_e) != 0)                                    \
            FAIL("%s is \"%s\", expected \"%s\"", #actual, check_a ? check_a : "(null)",         \
                 check_e);                                                                       \
    } while (0)

/* The errno of the OS thread of this moment. A call may move a task to another thread, while a
 * compiler keeps the address of errno over the calls of one function. */
__attribute__((noinline, unused)) static int check_errno_get(void) { return errno; }
__attribute__((noinline, unused)) static void check_errno_set(int code) { errno = code; }

/* The call gives -1 and this errno. errno is spoiled before, so a call that forgets it is seen. */
#define CHECK_FAILS(call, code)                                                                  \
    do {                                                                                         \
        check_errno_set(ENOTTY);                                                                 \
        int64_t check_r = (int64_t)(call);                                                       \
        int check_n = check_errno_get();                                                         \
        if (check_r != -1 || check_n != (code))                                                  \
            FAIL("%s gave %" PRId64 " with errno %d, expected -1 with %s = %d", #call, check_r,  \
                 check_n, #code, (code));                                                        \
    } while (0)

/* The call gives NULL and this errno. */
#define CHECK_NULL(call, code)                                                                   \
    do {                                                                                         \
        check_errno_set(ENOTTY);                                                                 \
        const void *check_r = (const void *)(call);                                              \
        int check_n = check_errno_get();                                                         \
        if (check_r != NULL || check_n != (code))                                                \
            FAIL("%s gave %p with errno %d, expected NULL with %s = %d", #call, check_r,         \
                 check_n, #code, (code));                                                        \
    } while (0)

/* The call gives 0. */
#define CHECK_OK(call) CHECK_EQ(call, 0)

#define CHECK_MS UINT64_C(1000000)

/* A deadline that many milliseconds from now. */
static inline uint64_t after_ms(uint64_t ms) { return llam_now_ns() + ms * CHECK_MS; }

/* The default runtime with default options but deterministic = one_worker. */
static inline void init_default(uint32_t one_worker) {
    llam_runtime_opts_t opts;
    CHECK_OK(llam_runtime_opts_init(&opts, sizeof opts));
    opts.deterministic = one_worker;
    CHECK_OK(llam_runtime_init_ex(&opts, sizeof opts));
}

static inline llam_task_t *spawn_ok(llam_task_fn fn, void *arg) {
    llam_task_t *task = llam_spawn(fn, arg, NULL);
    if (task == NULL) FAIL("spawn failed with errno %d", errno);
    return task;
}

/* Inits the default runtime, runs `fn(arg)` as its first task until every task has ended, and shuts
 * it down. */
static inline void run_task(llam_task_fn fn, void *arg) {
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(fn, arg)));
    CHECK_OK(llam_run());
    llam_runtime_shutdown();
}

/* Runs one test in a child; nonzero when it failed. */
static inline int check_run_one(const struct check_test *test, unsigned seconds) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(seconds);
        test->body();
        fflush(stdout);
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        printf("FAILED %s: no child process\n", test->name);
        return 1;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        printf("ok %s\n", test->name);
        return 0;
    }
    if (WIFSIGNALED(status))
        printf("FAILED %s: signal %d%s\n", test->name, WTERMSIG(status),
               WTERMSIG(status) == SIGALRM ? " (time limit)" : "");
    else
        printf("FAILED %s: exit code %d\n", test->name, WEXITSTATUS(status));
    return 1;
}

/* Whether a memory checker watches, which complains about addresses that are wrong on purpose. */
static inline int under_valgrind(void) {
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

static inline int check_main(int argc, char **argv) {
    const char *limit = getenv("LLAM_TEST_SECONDS");
    unsigned seconds = limit != NULL ? (unsigned)atoi(limit) : CHECK_DEFAULT_SECONDS;
    int ran = 0, failed = 0;
    for (const struct check_test *test = check_first; test != NULL; test = test->next) {
        if (argc > 1 && strcmp(argv[1], "--list") == 0) {
            printf("%s\n", test->name);
            ran = 1;
        } else if (argc < 2 || strstr(test->name, argv[1]) != NULL) {
            failed += check_run_one(test, seconds);
            ran++;
        }
    }
    if (argc < 2 || strcmp(argv[1], "--list") != 0) printf("%d ran, %d failed\n", ran, failed);
    return ran == 0 || failed != 0;
}

#define MAIN                                                                                     \
    int main(int argc, char **argv) { return check_main(argc, argv); }

#endif
