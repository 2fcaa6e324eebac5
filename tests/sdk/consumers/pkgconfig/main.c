/* The program of the pkg-config consumer: a mutex between tasks, and a blocking call.
 *
 * Prints "ok" and the version; the exit code is 0 only when every step did what it must.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <llam/runtime.h>

#define TASKS 10
#define TURNS 20

#define REQUIRE(condition)                                                                       \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #condition,    \
                    errno);                                                                      \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

static llam_mutex_t *mutex;
static int counter;

static void *doubled(void *arg) {
    *(int *)arg *= 2;
    return arg;
}

static void count(void *unused) {
    (void)unused;
    for (int i = 0; i < TURNS; i++) {
        REQUIRE(llam_mutex_lock(mutex) == 0);
        int seen = counter;
        llam_yield();
        counter = seen + 1;
        REQUIRE(llam_mutex_unlock(mutex) == 0);
    }
    int number = 21;
    void *result = NULL;
    REQUIRE(llam_call_blocking_result(doubled, &number, &result) == 0);
    REQUIRE(result == &number && number == 42);
}

int main(void) {
    llam_task_t *tasks[TASKS];
    REQUIRE(llam_abi_version() == LLAM_ABI_VERSION);
    REQUIRE(llam_runtime_init_ex(NULL, 0) == 0);
    mutex = llam_mutex_create();
    REQUIRE(mutex != NULL);
    for (int i = 0; i < TASKS; i++) {
        tasks[i] = llam_spawn(count, NULL, NULL);
        REQUIRE(tasks[i] != NULL);
    }
    REQUIRE(llam_run() == 0);
    for (int i = 0; i < TASKS; i++) REQUIRE(llam_join(tasks[i]) == 0);
    REQUIRE(counter == TASKS * TURNS);
    REQUIRE(llam_mutex_destroy(mutex) == 0);
    llam_runtime_shutdown();
    printf("ok %s\n", llam_version_string());
    return 0;
}
