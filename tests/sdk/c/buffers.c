/* Owned buffers as objects: options, allocation, alignment, accessors, release (abi.md 4.16, 5.12,
 * 1.3, 1.4, R1, R7).
 */
#include "io_util.h"

#include <sched.h>

static llam_io_buffer_t *some_value(void) { return (llam_io_buffer_t *)(uintptr_t)40; }

static int is_zero(const void *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (((const unsigned char *)bytes)[i] != 0) return 0;
    return 1;
}

static void check_dead(llam_io_buffer_t *buffer) {
    CHECK_NULL(llam_io_buffer_data(buffer), EINVAL);
    errno = ENOTTY;
    CHECK_EQ(llam_io_buffer_size(buffer), 0);
    CHECK_EQ(errno, EINVAL);
    errno = ENOTTY;
    CHECK_EQ(llam_io_buffer_capacity(buffer), 0);
    CHECK_EQ(errno, EINVAL);
    errno = ENOTTY;
    CHECK_EQ(llam_io_buffer_alignment(buffer), 0);
    CHECK_EQ(errno, EINVAL);
}

/* A good new buffer; the whole capacity can be written and read back. */
static void check_buffer(llam_io_buffer_t *buffer, size_t capacity, size_t alignment) {
    CHECK(buffer != NULL);
    CHECK_EQ(llam_io_buffer_size(buffer), 0);
    CHECK(llam_io_buffer_capacity(buffer) >= capacity);
    CHECK_EQ(llam_io_buffer_alignment(buffer), alignment == 0 ? 8 : alignment);
    unsigned char *data = llam_io_buffer_data(buffer);
    CHECK(data != NULL);
    CHECK_EQ((uintptr_t)data % (alignment == 0 ? 8 : alignment), 0);
    memset(data, 0xa5, llam_io_buffer_capacity(buffer));
    CHECK_PTR(llam_io_buffer_data(buffer), data);
}

/* 1.3, Appendix A: the options are all zero; a short buffer gets a prefix, a long one keeps its
 * tail. */
TEST_EVERYWHERE(the_options_are_all_zero) {
    unsigned char bytes[64];
    llam_io_buffer_opts_t *opts = (llam_io_buffer_opts_t *)(void *)bytes;
    const size_t sizes[] = {1, 7, 8, 12, 17, 23, 24, 25, 64};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(bytes, 0xcc, sizeof bytes);
        CHECK_OK(llam_io_buffer_opts_init(opts, sizes[i]));
        size_t written = sizes[i] < 24 ? sizes[i] : 24;
        CHECK(is_zero(bytes, written));
        for (size_t k = written; k < sizeof bytes; k++) CHECK_EQ(bytes[k], 0xcc);
    }
    CHECK_FAILS(llam_io_buffer_opts_init(NULL, 24), EINVAL);
    memset(bytes, 0xcc, sizeof bytes);
    CHECK_FAILS(llam_io_buffer_opts_init(opts, 0), EINVAL);
    CHECK_EQ(bytes[0], 0xcc);
    CHECK_EQ(LLAM_IO_BUFFER_OPTS_CURRENT_SIZE, 24);
}

/* llam_io_buffer_alloc_ex: errors, in order; `*out` is NULL after each (R7). */
TEST_EVERYWHERE(allocation_checks_its_arguments_in_order) {
    llam_io_buffer_opts_t opts = {.capacity = SIZE_MAX, .alignment = 3, .flags = 2};
    llam_io_buffer_t *buffer = some_value();
    CHECK_FAILS(llam_io_buffer_alloc_ex(&opts, 0, NULL), EINVAL);
    CHECK_FAILS(llam_io_buffer_alloc(16, NULL), EINVAL);
    CHECK_FAILS(llam_io_buffer_alloc_aligned(16, 3, NULL), EINVAL);
    CHECK_FAILS(llam_io_buffer_alloc_ex(&opts, 0, &buffer), EINVAL);
    CHECK_PTR(buffer, NULL);
    const uint32_t flags[] = {2, 4, UINT32_C(1) << 31, UINT32_MAX, 3};
    for (int i = 0; i < 5; i++) {
        opts = (llam_io_buffer_opts_t){.flags = flags[i]};
        buffer = some_value();
        CHECK_FAILS(llam_io_buffer_alloc_ex(&opts, sizeof opts, &buffer), EINVAL);
        CHECK_PTR(buffer, NULL);
    }
}

/* `alignment` is 0 or a power of two from sizeof(void *): 1, 2, 4 and 24 fail. */
TEST_EVERYWHERE(bad_alignments_are_einval) {
    const size_t bad[] = {1, 2, 4, 3, 6, 7, 9, 12, 24, 48, 4095, 4097, SIZE_MAX, SIZE_MAX - 7};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        llam_io_buffer_opts_t opts = {.capacity = 64, .alignment = bad[i]};
        llam_io_buffer_t *buffer = some_value();
        CHECK_FAILS(llam_io_buffer_alloc_aligned(64, bad[i], &buffer), EINVAL);
        CHECK_PTR(buffer, NULL);
        buffer = some_value();
        CHECK_FAILS(llam_io_buffer_alloc_ex(&opts, sizeof opts, &buffer), EINVAL);
        CHECK_PTR(buffer, NULL);
        CHECK_FAILS(llam_io_buffer_alloc_aligned(SIZE_MAX, bad[i], &buffer), EINVAL);
    }
}

/* 8, 16, 4096 and larger powers work; size 0, capacity at least the wanted one, also for 0. */
TEST_EVERYWHERE(good_alignments_and_capacities_work) {
    const size_t capacities[] = {0, 1, 7, 4096, 4097, 100000};
    for (size_t c = 0; c < sizeof capacities / sizeof capacities[0]; c++) {
        llam_io_buffer_t *buffer = some_value();
        CHECK_OK(llam_io_buffer_alloc(capacities[c], &buffer));
        check_buffer(buffer, capacities[c], 0);
        llam_io_buffer_release(buffer);
        for (size_t alignment = 8; alignment <= 65536; alignment *= 2) {
            CHECK_OK(llam_io_buffer_alloc_aligned(capacities[c], alignment, &buffer));
            check_buffer(buffer, capacities[c], alignment);
            llam_io_buffer_release(buffer);
        }
    }
}

/* opts NULL: capacity 0, default alignment, no flags; the size does not matter (1.4). */
TEST_EVERYWHERE(no_options_mean_the_defaults) {
    for (size_t size = 0; size < 30; size += 8) {
        llam_io_buffer_t *buffer = NULL;
        CHECK_OK(llam_io_buffer_alloc_ex(NULL, size, &buffer));
        check_buffer(buffer, 0, 0);
        llam_io_buffer_release(buffer);
    }
}

/* 1.4: only fields that lie wholly inside the size are read; a larger size and reserved0 do not
 * matter. */
TEST_EVERYWHERE(cut_options_have_their_defaults) {
    struct {
        llam_io_buffer_opts_t opts;
        unsigned char tail[8];
    } long_opts;
    memset(&long_opts, 0xff, sizeof long_opts);
    long_opts.opts.capacity = 100;
    for (size_t size = 8; size <= 15; size++) {
        llam_io_buffer_t *buffer = NULL;
        CHECK_OK(llam_io_buffer_alloc_ex(&long_opts.opts, size, &buffer));
        check_buffer(buffer, 100, 0);
        llam_io_buffer_release(buffer);
    }
    long_opts.opts.alignment = 64;
    for (size_t size = 16; size <= 19; size++) {
        llam_io_buffer_t *buffer = NULL;
        CHECK_OK(llam_io_buffer_alloc_ex(&long_opts.opts, size, &buffer));
        check_buffer(buffer, 100, 64);
        llam_io_buffer_release(buffer);
    }
    long_opts.opts.flags = LLAM_IO_BUFFER_F_ZERO_FILL;
    for (size_t size = 20; size <= sizeof long_opts; size += 4) {
        llam_io_buffer_t *buffer = NULL;
        CHECK_OK(llam_io_buffer_alloc_ex(&long_opts.opts, size, &buffer));
        CHECK(is_zero(llam_io_buffer_data(buffer), 100));
        check_buffer(buffer, 100, 64);
        llam_io_buffer_release(buffer);
    }
}

/* LLAM_IO_BUFFER_F_ZERO_FILL: contents zero, also in memory that was used before. */
TEST_EVERYWHERE(zero_filled_buffers_are_zero) {
    const size_t capacities[] = {1, 100, 4096, 5000, 1 << 20};
    for (int round = 0; round < 40; round++) {
        llam_io_buffer_opts_t opts = {.capacity = capacities[round % 5],
                                      .alignment = round % 3 ? 0 : 512,
                                      .flags = LLAM_IO_BUFFER_F_ZERO_FILL};
        llam_io_buffer_t *buffer = NULL;
        CHECK_OK(llam_io_buffer_alloc_ex(&opts, sizeof opts, &buffer));
        CHECK(is_zero(llam_io_buffer_data(buffer), opts.capacity));
        check_buffer(buffer, opts.capacity, opts.alignment);
        llam_io_buffer_release(buffer);
    }
}

/* ENOMEM for what cannot be had; `*out` is NULL. */
TEST_EVERYWHERE(an_impossible_capacity_is_enomem) {
    const size_t capacities[] = {SIZE_MAX, SIZE_MAX - 8, SIZE_MAX / 2, SIZE_MAX / 2 + 1};
    const size_t alignments[] = {0, 8, 4096};
    for (int i = 0; i < 12; i++) {
        llam_io_buffer_t *buffer = some_value();
        CHECK_FAILS(llam_io_buffer_alloc_aligned(capacities[i % 4], alignments[i / 4], &buffer),
                    ENOMEM);
        CHECK_PTR(buffer, NULL);
    }
    llam_io_buffer_t *buffer = some_value();
    CHECK_FAILS(llam_io_buffer_alloc(SIZE_MAX, &buffer), ENOMEM);
    CHECK_PTR(buffer, NULL);
    CHECK_FAILS(llam_io_buffer_alloc_aligned(8, SIZE_MAX / 2 + 1, &buffer), ENOMEM);
}

/* Appendix A: buffer accessors on NULL or stale: 0 or NULL, errno EINVAL. R1: handles of another
 * kind as well. */
TEST_EVERYWHERE(accessors_refuse_what_is_not_a_buffer) {
    llam_io_buffer_t *buffer = NULL;
    check_dead(NULL);
    check_dead(some_value());
    check_dead((llam_io_buffer_t *)UINTPTR_MAX);
    llam_mutex_t *mutex = llam_mutex_create();
    CHECK(mutex != NULL);
    check_dead((llam_io_buffer_t *)(void *)mutex);
    llam_io_buffer_release((llam_io_buffer_t *)(void *)mutex);
    CHECK_OK(llam_mutex_destroy(mutex));
    CHECK_OK(llam_io_buffer_alloc(10, &buffer));
    CHECK_FAILS(llam_mutex_destroy((llam_mutex_t *)(void *)buffer), EINVAL);
    llam_io_buffer_release(buffer);
    check_dead(buffer);
}

/* Appendix A: llam_io_buffer_release twice, with NULL, with a stale value: nothing happens. */
TEST_EVERYWHERE(releasing_what_is_dead_does_nothing) {
    llam_io_buffer_t *buffer = NULL, *other = NULL;
    CHECK_OK(llam_io_buffer_alloc(10, &buffer));
    CHECK_OK(llam_io_buffer_alloc(10, &other));
    strcpy(llam_io_buffer_data(other), "other");
    errno = ENOTTY;
    llam_io_buffer_release(buffer);
    llam_io_buffer_release(buffer);
    llam_io_buffer_release(NULL);
    llam_io_buffer_release(some_value());
    llam_io_buffer_release((llam_io_buffer_t *)UINTPTR_MAX);
    CHECK_EQ(errno, ENOTTY);
    CHECK_STR((char *)llam_io_buffer_data(other), "other");
    llam_io_buffer_release(other);
}

/* R1: a dead value is not given out again soon; the live ones stay apart. */
TEST_EVERYWHERE(a_dead_value_is_not_given_out_again_soon) {
    llam_io_buffer_t *dead = NULL, *live[64];
    CHECK_OK(llam_io_buffer_alloc(10, &dead));
    llam_io_buffer_release(dead);
    for (int i = 0; i < 64; i++) {
        CHECK_OK(llam_io_buffer_alloc(10, &live[i]));
        CHECK(live[i] != dead);
        check_dead(dead);
        llam_io_buffer_release(live[i]);
    }
    for (int i = 0; i < 64; i++) {
        CHECK_OK(llam_io_buffer_alloc(10, &live[i]));
        memset(llam_io_buffer_data(live[i]), i, 10);
        for (int k = 0; k < i; k++) CHECK(live[k] != live[i]);
    }
    llam_io_buffer_release(dead);
    for (int i = 0; i < 64; i++) {
        CHECK_EQ(((unsigned char *)llam_io_buffer_data(live[i]))[9], i);
        llam_io_buffer_release(live[i]);
    }
}

static llam_io_buffer_t *made_in_a_task;

static void make_one(void *unused) {
    (void)unused;
    CHECK_OK(llam_io_buffer_alloc(32, &made_in_a_task));
    strcpy(llam_io_buffer_data(made_in_a_task), "kept");
}

static void *use_and_release(void *unused) {
    (void)unused;
    CHECK_STR((char *)llam_io_buffer_data(made_in_a_task), "kept");
    llam_io_buffer_release(made_in_a_task);
    check_dead(made_in_a_task);
    return NULL;
}

/* 5.12: buffers belong to nobody: any thread may use and release them, also after shutdown of the
 * runtime that made them. */
TEST(a_buffer_outlives_its_runtime) {
    run_task(make_one, NULL);
    CHECK_STR((char *)llam_io_buffer_data(made_in_a_task), "kept");
    CHECK(llam_io_buffer_capacity(made_in_a_task) >= 32);
    join_thread(start_thread(use_and_release, NULL));
}

static void use_the_hosts(void *arg) {
    llam_io_buffer_t *buffer = arg;
    CHECK_STR((char *)llam_io_buffer_data(buffer), "host");
    llam_io_buffer_release(buffer);
    make_one(NULL);
}

/* And of another runtime: there is no owner, hence no EXDEV. */
TEST(a_buffer_crosses_runtimes) {
    llam_runtime_t *runtime = NULL;
    llam_io_buffer_t *buffer = NULL;
    CHECK_OK(llam_io_buffer_alloc(32, &buffer));
    strcpy(llam_io_buffer_data(buffer), "host");
    CHECK_OK(llam_runtime_create(NULL, 0, &runtime));
    llam_task_t *task = llam_runtime_spawn_ex(runtime, use_the_hosts, buffer, NULL, 0);
    CHECK(task != NULL);
    CHECK_OK(llam_detach(task));
    CHECK_OK(llam_runtime_run_handle(runtime));
    llam_runtime_destroy(runtime);
    CHECK_PTR(use_and_release(NULL), NULL);
}

#define THREADS 4

static llam_io_buffer_t *contested[200];
static atomic_int ready_threads;

static void *release_all(void *unused) {
    (void)unused;
    atomic_fetch_add(&ready_threads, 1);
    while (atomic_load(&ready_threads) < THREADS) sched_yield();
    for (int i = 0; i < 200; i++) llam_io_buffer_release(contested[i]);
    return NULL;
}

/* 5.12: releasing twice is harmless, from several threads at once too. */
TEST(threads_may_release_the_same_buffers) {
    pthread_t threads[THREADS];
    for (int i = 0; i < 200; i++) CHECK_OK(llam_io_buffer_alloc(64, &contested[i]));
    for (int i = 0; i < THREADS; i++) threads[i] = start_thread(release_all, NULL);
    for (int i = 0; i < THREADS; i++) join_thread(threads[i]);
    for (int i = 0; i < 200; i++) check_dead(contested[i]);
}

MAIN
