/* The program of the CMake consumer, in strict C11: two tasks talk over a channel and sleep.
 *
 * Prints "ok" and the version; the exit code is 0 only when every step did what it must.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llam/runtime.h>

#define NUMBERS 50

#define REQUIRE(condition)                                                                       \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            fprintf(stderr, "%s:%d: not so: %s (errno %d)\n", __FILE__, __LINE__, #condition,    \
                    errno);                                                                      \
            exit(1);                                                                             \
        }                                                                                        \
    } while (0)

static int numbers[NUMBERS];

static void produce(void *arg) {
    llam_channel_t *channel = arg;
    for (int i = 0; i < NUMBERS; i++) {
        numbers[i] = i * i;
        REQUIRE(llam_channel_send(channel, &numbers[i]) == 0);
        if (i % 10 == 0) REQUIRE(llam_sleep_ns(100000) == 0);
    }
    REQUIRE(llam_channel_close(channel) == 0);
}

static void consume(void *arg) {
    llam_channel_t *channel = arg;
    void *value = NULL;
    for (int i = 0; i < NUMBERS; i++) {
        REQUIRE(llam_channel_recv_result(channel, &value) == 0);
        REQUIRE(*(int *)value == i * i);
    }
    REQUIRE(llam_channel_recv_result(channel, &value) == -1 && errno == EPIPE);
}

int main(void) {
    llam_abi_info_t info;
    REQUIRE(llam_abi_get_info(&info, sizeof info) == 0);
    REQUIRE(info.abi_major == LLAM_ABI_VERSION_MAJOR);
    REQUIRE(info.runtime_opts_size == sizeof(llam_runtime_opts_t));
    REQUIRE(strcmp(info.version_string, llam_version_string()) == 0);

    llam_runtime_opts_t opts;
    REQUIRE(llam_runtime_opts_init(&opts, sizeof opts) == 0);
    REQUIRE(llam_runtime_init_ex(&opts, sizeof opts) == 0);
    llam_channel_t *channel = llam_channel_create(3);
    REQUIRE(channel != NULL);
    llam_task_t *consumer = llam_spawn(consume, channel, NULL);
    llam_task_t *producer = llam_spawn(produce, channel, NULL);
    REQUIRE(consumer != NULL && producer != NULL);
    REQUIRE(llam_run() == 0);
    REQUIRE(llam_join(consumer) == 0);
    REQUIRE(llam_join(producer) == 0);
    REQUIRE(llam_channel_destroy(channel) == 0);
    llam_runtime_shutdown();
    printf("ok %s\n", llam_version_string());
    return 0;
}
