/* A C program with two Rust static libraries: the engine and the neighbour of neighbour.rs. Links
 * with the two archives in either order.
 *
 * Prints the neighbour's line and "ok"; the exit code is 0 only when every step did what it must.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <llam/runtime.h>

uint64_t neighbour_sum(uint32_t threads);
int32_t neighbour_panic(void);
uint32_t neighbour_calls(void);
void neighbour_greet(uint32_t number);

#define REQUIRE(condition)                                                                       \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #condition,    \
                    errno);                                                                      \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

#define THREADS UINT32_C(4)
#define SUM UINT64_C(79800)

static int done;

/* On the pool of the engine, so that the neighbour's threads hold up no task. */
static void *sum_on_the_pool(void *arg) {
    *(uint64_t *)arg = neighbour_sum(THREADS);
    REQUIRE(neighbour_panic() == 1);
    return arg;
}

static void use_both(void *unused) {
    (void)unused;
    uint64_t sum = 0;
    void *result = NULL;
    REQUIRE(llam_call_blocking_result(sum_on_the_pool, &sum, &result) == 0);
    REQUIRE(result == &sum && sum == SUM);
    REQUIRE(llam_sleep_ns(1000000) == 0);
    REQUIRE(neighbour_calls() >= 1);
    done++;
}

int main(void) {
    REQUIRE(neighbour_sum(THREADS) == SUM);
    REQUIRE(neighbour_calls() == 1);
    REQUIRE(llam_runtime_init_ex(NULL, 0) == 0);
    llam_task_t *task = llam_spawn(use_both, NULL, NULL);
    REQUIRE(task != NULL);
    REQUIRE(llam_run() == 0);
    REQUIRE(llam_join(task) == 0);
    REQUIRE(done == 1);
    llam_runtime_shutdown();
    REQUIRE(neighbour_panic() == 1);
    REQUIRE(neighbour_calls() >= 2);
    neighbour_greet(7);
    puts("ok");
    return 0;
}
