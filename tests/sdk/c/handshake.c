/* The size handshakes: every size from 0 to 64 bytes more than the struct, for each function that
 * takes one: abi.md 1.3, 1.4, 1.5 and Appendix A "ABI and options".
 *
 * Inbound structs lie in heap blocks of exactly the size that is passed, so that a memory checker
 * sees a read behind it.
 */
#include "runtime_support.h"

#include <sys/stat.h>

#define TAIL 64
#define MOST (sizeof(llam_runtime_stats_t) + TAIL)

/* ---- abi.md 1.3: outbound ---- */

typedef int (*fill_fn)(void *out, size_t size);

static int fill_info(void *out, size_t size) { return llam_abi_get_info(out, size); }
static int fill_runtime_opts(void *out, size_t size) { return llam_runtime_opts_init(out, size); }
static int fill_spawn_opts(void *out, size_t size) { return llam_spawn_opts_init(out, size); }
static int fill_buffer_opts(void *out, size_t size) { return llam_io_buffer_opts_init(out, size); }
static int fill_stats(void *out, size_t size) { return llam_runtime_collect_stats_ex(out, size); }
static int fill_file_stat(void *out, size_t size) { return llam_stat_path_ex("/", out, size); }

static llam_runtime_t *measured;

static int fill_stats_handle(void *out, size_t size) {
    return llam_runtime_collect_stats_ex_handle(measured, out, size);
}

/* One size: exactly min(size, whole) bytes are written, a prefix of the full struct; the rest
 * keeps its pattern. The buffer is aligned to 8 bytes and no more. */
static void check_fill(fill_fn fill, const unsigned char *full, size_t whole, size_t size,
                       unsigned char pattern) {
    static _Alignas(16) unsigned char space[MOST + 24];
    unsigned char *bytes = space + 8;
    size_t written = size < whole ? size : whole;
    memset(space, pattern, sizeof space);
    CHECK_OK(fill(bytes, size));
    for (size_t i = 0; i < written; i++)
        if (bytes[i] != full[i]) FAIL("size %zu: byte %zu is %u, not %u", size, i, bytes[i], full[i]);
    for (size_t i = written; i < MOST + 16; i++)
        if (bytes[i] != pattern) FAIL("size %zu: byte %zu behind the struct changed", size, i);
    for (size_t i = 0; i < 8; i++) CHECK_EQ(space[i], pattern);
}

static void check_every_size(fill_fn fill, size_t whole) {
    unsigned char full[sizeof(llam_runtime_stats_t)], bytes[8];
    CHECK_OK(fill(full, whole));
    for (size_t size = 1; size <= whole + TAIL; size++) {
        check_fill(fill, full, whole, size, 0xa5);
        check_fill(fill, full, whole, size, 0x5a);
    }
    memset(bytes, 0xa5, sizeof bytes);
    CHECK_FAILS(fill(bytes, 0), EINVAL);
    for (size_t i = 0; i < sizeof bytes; i++) CHECK_EQ(bytes[i], 0xa5);
    CHECK_FAILS(fill(NULL, whole), EINVAL);
    CHECK_FAILS(fill(NULL, 0), EINVAL);
}

/* Appendix A: llam_abi_get_info with more than 80 bytes leaves the rest alone; with 16 it writes
 * 16. */
TEST(abi_info_is_a_prefix_at_every_size) { check_every_size(fill_info, 80); }

/* Appendix A: the same for the options and both statistics calls. */
TEST(runtime_opts_are_a_prefix_at_every_size) { check_every_size(fill_runtime_opts, 56); }
TEST(spawn_opts_are_a_prefix_at_every_size) { check_every_size(fill_spawn_opts, 32); }
TEST(buffer_opts_are_a_prefix_at_every_size) { check_every_size(fill_buffer_opts, 24); }
TEST(file_stat_is_a_prefix_at_every_size) { check_every_size(fill_file_stat, 48); }

TEST(stats_before_init_are_zero_at_every_size) {
    check_default_is_not_live();
    check_every_size(fill_stats, 384);
    measured = llam_runtime_default();
    check_every_size(fill_stats_handle, 384);
}

static void task_yield_thrice(void *arg) {
    (void)arg;
    for (int i = 0; i < 3; i++) llam_yield();
}

/* A runtime that has run and rests: its counters stand still. */
TEST(stats_of_a_live_runtime_are_a_prefix_at_every_size) {
    init_default(1);
    CHECK_OK(llam_detach(spawn_ok(task_yield_thrice, NULL)));
    CHECK_OK(llam_run());
    CHECK_EQ(default_stats().yields, 3);
    check_every_size(fill_stats, 384);
    measured = create_ok();
    run_on(measured, task_yield_thrice, NULL);
    CHECK_EQ(stats_of(measured).yields, 3);
    check_every_size(fill_stats_handle, 384);
    llam_runtime_destroy(measured);
    llam_runtime_shutdown();
}

/* Appendix A: a statistics buffer of 8 bytes receives ctx_switches only; the byte behind stays. */
TEST(a_stats_buffer_of_8_bytes_gets_the_first_counter) {
    struct {
        uint64_t ctx_switches;
        unsigned char behind[8];
    } small;
    memset(&small, 0xee, sizeof small);
    init_default(1);
    CHECK_OK(llam_detach(spawn_ok(task_yield_thrice, NULL)));
    CHECK_OK(llam_run());
    CHECK_OK(llam_runtime_collect_stats_ex((llam_runtime_stats_t *)(void *)&small, 8));
    CHECK_EQ(small.ctx_switches, default_stats().ctx_switches);
    CHECK(small.ctx_switches > 0);
    for (size_t i = 0; i < 8; i++) CHECK_EQ(small.behind[i], 0xee);
    llam_runtime_shutdown();
}

static void check_zeroed_prefix(llam_runtime_t *runtime, size_t size) {
    _Alignas(8) unsigned char bytes[MOST];
    size_t written = size < 384 ? size : 384;
    memset(bytes, 0xa5, sizeof bytes);
    CHECK_FAILS(llam_runtime_collect_stats_ex_handle(runtime, (void *)bytes, size), EINVAL);
    CHECK(all_zero(bytes, written));
    for (size_t i = written; i < sizeof bytes; i++) CHECK_EQ(bytes[i], 0xa5);
}

/* Appendix A: llam_runtime_collect_stats_ex_handle(NULL, ...) fails with EINVAL and still zeroes
 * the prefix, tail untouched; 4.18: so do unknown and destroyed runtimes. */
TEST(stats_of_a_bad_runtime_zero_the_prefix) {
    llam_runtime_t *destroyed = create_ok();
    llam_mutex_t *mutex = llam_mutex_create();
    llam_runtime_destroy(destroyed);
    for (size_t size = 1; size <= MOST; size++) {
        check_zeroed_prefix(NULL, size);
        check_zeroed_prefix(destroyed, size);
        check_zeroed_prefix((llam_runtime_t *)(void *)mutex, size);
        check_zeroed_prefix((llam_runtime_t *)(uintptr_t)0x1234567, size);
    }
    CHECK_FAILS(llam_runtime_collect_stats_ex_handle(NULL, NULL, 384), EINVAL);
    CHECK_OK(llam_mutex_destroy(mutex));
}

/* R7: a failing llam_stat_path_ex zeroes the prefix it was given, and no more. */
TEST(a_failed_stat_zeroes_the_prefix_at_every_size) {
    for (size_t size = 1; size <= 48 + TAIL; size++) {
        _Alignas(8) unsigned char bytes[48 + TAIL + 8];
        size_t written = size < 48 ? size : 48;
        memset(bytes, 0xa5, sizeof bytes);
        CHECK_FAILS(llam_stat_path_ex("/no/such/file", (void *)bytes, size), ENOENT);
        CHECK(all_zero(bytes, written));
        for (size_t i = written; i < sizeof bytes; i++) CHECK_EQ(bytes[i], 0xa5);
    }
}

/* ---- abi.md 1.4: inbound ---- */

/* A heap block of exactly `size` bytes: a copy of the struct's start, then 0xff. */
static void *exact(const void *whole, size_t whole_size, size_t size) {
    unsigned char *block = malloc(size);
    CHECK(block != NULL);
    memset(block, 0xff, size);
    memcpy(block, whole, size < whole_size ? size : whole_size);
    return block;
}

/* Whether a field lies wholly inside the first `size` bytes. */
#define INSIDE(type, field, size)                                                                \
    (offsetof(type, field) + sizeof(((type *)NULL)->field) <= (size))

/* Starts a runtime from opts, the default one when `explicit_one` is 0, and measures it. */
static llam_runtime_stats_t start_and_measure(const void *opts, size_t size, int explicit_one) {
    llam_runtime_stats_t stats;
    if (explicit_one) {
        llam_runtime_t *runtime = NULL;
        CHECK_OK(llam_runtime_create(opts, size, &runtime));
        stats = stats_of(runtime);
        llam_runtime_destroy(runtime);
    } else {
        CHECK_OK(llam_runtime_init_ex(opts, size));
        stats = default_stats();
        llam_runtime_shutdown();
    }
    return stats;
}

static void check_runtime_size(size_t size, uint32_t default_workers, int explicit_one) {
    llam_runtime_opts_t opts = default_opts();
    opts.deterministic = 7;
    opts.profile = LLAM_RUNTIME_PROFILE_RELEASE_FAST;
    opts.reserved0 = UINT32_MAX;
    opts.preempt_mode = LLAM_PREEMPT_COOPERATIVE;
    opts.preempt_poll_period = 77;
    opts.preempt_quantum_ns = 12345;
    void *block = exact(&opts, sizeof opts, size);
    llam_runtime_stats_t stats = start_and_measure(block, size, explicit_one);
    free(block);
    uint32_t profile_period = INSIDE(llam_runtime_opts_t, profile, size) ? 4 : 1;
    CHECK_EQ(stats.active_workers,
             INSIDE(llam_runtime_opts_t, deterministic, size) ? 1 : default_workers);
    CHECK_EQ(stats.preempt_mode, INSIDE(llam_runtime_opts_t, preempt_mode, size)
                                     ? LLAM_PREEMPT_COOPERATIVE
                                     : LLAM_PREEMPT_AUTO);
    CHECK_EQ(stats.preempt_poll_period,
             INSIDE(llam_runtime_opts_t, preempt_poll_period, size) ? 77 : profile_period);
    CHECK_EQ(stats.preempt_quantum_ns,
             INSIDE(llam_runtime_opts_t, preempt_quantum_ns, size) ? 12345 : 0);
}

/* 1.4, for llam_runtime_init_ex and llam_runtime_create: a field counts when it is whole. Appendix
 * A: runtime options of 1 to 3 bytes still mean the default of `deterministic`. */
TEST(runtime_options_count_when_they_are_whole) {
    plain_environment();
    uint32_t workers = start_and_measure(NULL, 0, 0).active_workers;
    for (size_t size = 1; size <= 56 + TAIL; size++) {
        check_runtime_size(size, workers, 0);
        check_runtime_size(size, workers, 1);
    }
}

/* The same struct with every field that is not whole filled with 0xff: the defaults remain. */
TEST(runtime_options_that_are_cut_may_hold_anything) {
    plain_environment();
    for (size_t size = 1; size <= 56; size++) {
        llam_runtime_opts_t opts = default_opts();
        size_t whole = size / 4 * 4;
        if (whole > 8 && whole < 24) whole = whole / 8 * 8;
        if (whole > 48 && whole < 56) whole = 48;
        memset((unsigned char *)&opts + whole, 0xff, sizeof opts - whole);
        void *block = exact(&opts, sizeof opts, size);
        llam_runtime_stats_t stats = start_and_measure(block, size, 0);
        CHECK_EQ(stats.preempt_mode, LLAM_PREEMPT_AUTO);
        CHECK_EQ(stats.preempt_poll_period, 1);
        CHECK_EQ(stats.preempt_quantum_ns, 0);
        free(block);
    }
}

static void check_invalid_from(const llam_runtime_opts_t *opts, size_t first_bad) {
    for (size_t size = 1; size <= 56 + TAIL; size++) {
        llam_runtime_t *runtime = (llam_runtime_t *)(uintptr_t)1;
        void *block = exact(opts, sizeof *opts, size);
        if (size < first_bad) {
            CHECK_OK(llam_runtime_init_ex(block, size));
            llam_runtime_shutdown();
            CHECK_OK(llam_runtime_create(block, size, &runtime));
            llam_runtime_destroy(runtime);
        } else {
            CHECK_FAILS(llam_runtime_init_ex(block, size), EINVAL);
            CHECK_FAILS(llam_runtime_create(block, size, &runtime), EINVAL);
            CHECK_PTR(runtime, NULL);
        }
        free(block);
    }
}

/* 1.4: with size 43 an invalid preempt_mode is not looked at; with 44 it is EINVAL. */
TEST(an_invalid_mode_matters_from_size_44) {
    llam_runtime_opts_t opts = default_opts();
    opts.preempt_mode = 99;
    check_invalid_from(&opts, 44);
}

TEST(an_invalid_profile_matters_from_size_36) {
    llam_runtime_opts_t opts = default_opts();
    opts.profile = 99;
    check_invalid_from(&opts, 36);
}

/* 1.4: opts non-NULL with size 0 fails; NULL ignores the size (not so for timers). */
TEST(size_0_fails_and_null_ignores_the_size) {
    llam_runtime_opts_t opts = default_opts();
    llam_spawn_opts_t spawn;
    llam_io_buffer_opts_t buffer_opts;
    llam_io_buffer_t *buffer = NULL;
    llam_runtime_t *runtime = NULL;
    CHECK_OK(llam_spawn_opts_init(&spawn, sizeof spawn));
    CHECK_OK(llam_io_buffer_opts_init(&buffer_opts, sizeof buffer_opts));
    CHECK_FAILS(llam_runtime_init_ex(&opts, 0), EINVAL);
    CHECK_FAILS(llam_runtime_create(&opts, 0, &runtime), EINVAL);
    CHECK_FAILS(llam_io_buffer_alloc_ex(&buffer_opts, 0, &buffer), EINVAL);
    CHECK_OK(llam_io_buffer_alloc_ex(NULL, 12345, &buffer));
    llam_io_buffer_release(buffer);
    CHECK_OK(llam_runtime_create(NULL, SIZE_MAX, &runtime));
    CHECK_OK(llam_runtime_init_ex(NULL, 3));
    llam_task_group_t *group = llam_task_group_create();
    CHECK_NULL(llam_spawn_ex(task_nothing, NULL, &spawn, 0), EINVAL);
    CHECK_NULL(llam_runtime_spawn_ex(runtime, task_nothing, NULL, &spawn, 0), EINVAL);
    CHECK_NULL(llam_task_group_spawn_ex(group, task_nothing, NULL, &spawn, 0), EINVAL);
    CHECK(llam_spawn_ex(task_nothing, NULL, NULL, 7) != NULL);
    CHECK(llam_runtime_spawn_ex(runtime, task_nothing, NULL, NULL, 7) != NULL);
    CHECK(llam_task_group_spawn_ex(group, task_nothing, NULL, NULL, 7) != NULL);
    CHECK_OK(llam_run());
    CHECK_OK(llam_task_group_join(group));
    CHECK_OK(llam_task_group_destroy(group));
    llam_runtime_destroy(runtime);
    llam_runtime_shutdown();
}

/* The four ways to spawn with a size. */
enum way { SPAWN, ON_DEFAULT, ON_EXPLICIT, IN_GROUP, WAYS };

static llam_runtime_t *other;
static llam_task_group_t *spawn_group;

static llam_task_t *spawn_by(enum way way, const void *opts, size_t size) {
    switch (way) {
    case SPAWN:
        return llam_spawn_ex(task_nothing, NULL, opts, size);
    case ON_DEFAULT:
        return llam_runtime_spawn_ex(llam_runtime_default(), task_nothing, NULL, opts, size);
    case ON_EXPLICIT:
        return llam_runtime_spawn_ex(other, task_nothing, NULL, opts, size);
    default:
        return llam_task_group_spawn_ex(spawn_group, task_nothing, NULL, opts, size);
    }
}

static void check_spawn_size(enum way way, size_t size, llam_cancel_token_t *token) {
    llam_spawn_opts_t opts;
    CHECK_OK(llam_spawn_opts_init(&opts, sizeof opts));
    opts.task_class = LLAM_TASK_CLASS_BATCH;
    opts.stack_class = LLAM_STACK_CLASS_LARGE;
    opts.flags = 0x4000 | LLAM_SPAWN_F_SYS_TASK;
    opts.reserved0 = UINT32_MAX;
    opts.deadline_ns = 1;
    opts.cancel_token = token;
    void *block = exact(&opts, sizeof opts, size);
    llam_task_t *task = spawn_by(way, block, size);
    free(block);
    if (task == NULL) FAIL("way %d, size %zu: errno %d", (int)way, size, errno);
    CHECK_EQ(llam_task_class(task), size >= 4 ? LLAM_TASK_CLASS_BATCH : LLAM_TASK_CLASS_DEFAULT);
    CHECK_EQ(llam_task_flags(task), size >= 12 ? opts.flags : 0);
    if (token != NULL && size >= 32) CHECK_FAILS(llam_cancel_token_destroy(token), EBUSY);
    if (way == ON_EXPLICIT) CHECK_OK(llam_runtime_run_handle(other));
    else CHECK_OK(llam_run());
    if (way == IN_GROUP) CHECK_OK(llam_task_group_join(spawn_group));
    else CHECK_OK(llam_join(task));
}

/* 1.4: with size 4 only task_class is read, with 3 not even that. Appendix A: spawn options of 1 to
 * 3 bytes still mean class DEFAULT, for group spawns as well. */
TEST(spawn_options_count_when_they_are_whole) {
    init_default(0);
    other = create_ok();
    spawn_group = llam_task_group_create();
    for (size_t size = 1; size <= 32 + TAIL; size++) {
        for (enum way way = SPAWN; way < WAYS; way++) {
            llam_cancel_token_t *token = way == ON_EXPLICIT ? NULL : llam_cancel_token_create();
            check_spawn_size(way, size, token);
            if (token != NULL) CHECK_OK(llam_cancel_token_destroy(token));
        }
    }
    CHECK_OK(llam_task_group_destroy(spawn_group));
    llam_runtime_destroy(other);
    llam_runtime_shutdown();
}

/* Spawns with options that are bad from `first_bad` bytes on. */
static void check_bad_spawn(const llam_spawn_opts_t *opts, size_t first_bad) {
    for (size_t size = 1; size <= 32 + TAIL; size++) {
        for (enum way way = SPAWN; way < WAYS; way++) {
            void *block = exact(opts, sizeof *opts, size);
            if (size >= first_bad) CHECK_NULL(spawn_by(way, block, size), EINVAL);
            else if (spawn_by(way, block, size) == NULL)
                FAIL("way %d, size %zu: errno %d", (int)way, size, errno);
            free(block);
        }
    }
}

/* 1.4: with size 24 to 31 cancel_token is ignored even if it is garbage; so it is with classes. */
TEST(spawn_options_that_are_cut_may_hold_anything) {
    llam_spawn_opts_t token, task_class, stack_class;
    init_default(0);
    other = create_ok();
    spawn_group = llam_task_group_create();
    CHECK_OK(llam_spawn_opts_init(&token, sizeof token));
    task_class = stack_class = token;
    token.cancel_token = (llam_cancel_token_t *)(uintptr_t)0x5a5a5a5a5a5a5a5a;
    task_class.task_class = 3;
    stack_class.stack_class = 3;
    check_bad_spawn(&token, 32);
    check_bad_spawn(&task_class, 4);
    check_bad_spawn(&stack_class, 8);
    CHECK_OK(llam_run());
    CHECK_OK(llam_task_group_join(spawn_group));
    CHECK_OK(llam_task_group_destroy(spawn_group));
    llam_runtime_destroy(other);
    llam_runtime_shutdown();
}

/* 1.4: for timers 16 bytes are enough, 8 mean interval 0; flags matter from 20 bytes on; NULL is
 * EINVAL. */
TEST(timer_options_count_when_they_are_whole) {
    llam_timer_opts_t opts = {UINT64_MAX, 1000 * CHECK_MS, 0, UINT32_MAX}, bad = opts;
    llam_timer_t *timer = NULL;
    bad.flags = 1;
    CHECK_FAILS(llam_timer_create_ex(NULL, sizeof opts, &timer), EINVAL);
    CHECK_FAILS(llam_timer_create_ex(&opts, 0, &timer), EINVAL);
    for (size_t size = 1; size <= 24 + TAIL; size++) {
        void *good_block = exact(&opts, sizeof opts, size);
        void *bad_block = exact(&bad, sizeof bad, size);
        timer = (llam_timer_t *)(uintptr_t)1;
        if (size < 16) {
            CHECK_FAILS(llam_timer_create_ex(good_block, size, &timer), EINVAL);
            CHECK_PTR(timer, NULL);
        } else {
            CHECK_OK(llam_timer_create_ex(good_block, size, &timer));
            CHECK_OK(llam_timer_destroy(timer));
        }
        timer = (llam_timer_t *)(uintptr_t)1;
        if (size >= 16 && size < 20) {
            CHECK_OK(llam_timer_create_ex(bad_block, size, &timer));
            CHECK_OK(llam_timer_destroy(timer));
        } else {
            CHECK_FAILS(llam_timer_create_ex(bad_block, size, &timer), size < 16 ? EINVAL : ENOTSUP);
            CHECK_PTR(timer, NULL);
        }
        free(good_block);
        free(bad_block);
    }
}

#ifdef __linux__
/* Signal set options: flags matter from 4 bytes on, reserved0 and the tail never. */
TEST(signal_options_count_when_they_are_whole) {
    const int signo = SIGUSR2;
    llam_signal_opts_t opts = {0, UINT32_MAX}, bad = {1, 0};
    llam_signal_set_t *set = NULL;
    CHECK_FAILS(llam_signal_set_create_ex(&signo, 1, &opts, 0, &set), EINVAL);
    for (size_t size = 1; size <= 8 + TAIL; size++) {
        void *good_block = exact(&opts, sizeof opts, size);
        void *bad_block = exact(&bad, sizeof bad, size);
        CHECK_OK(llam_signal_set_create_ex(&signo, 1, good_block, size, &set));
        CHECK_OK(llam_signal_set_destroy(set));
        set = (llam_signal_set_t *)(uintptr_t)1;
        if (size < 4) {
            CHECK_OK(llam_signal_set_create_ex(&signo, 1, bad_block, size, &set));
            CHECK_OK(llam_signal_set_destroy(set));
        } else {
            CHECK_FAILS(llam_signal_set_create_ex(&signo, 1, bad_block, size, &set), ENOTSUP);
            CHECK_PTR(set, NULL);
        }
        free(good_block);
        free(bad_block);
    }
    CHECK_OK(llam_signal_set_create_ex(&signo, 1, NULL, 99, &set));
    CHECK_OK(llam_signal_set_destroy(set));
}
#endif

/* Buffer options: capacity from 8 bytes on, alignment from 16, flags from 20. */
TEST(buffer_options_count_when_they_are_whole) {
    llam_io_buffer_opts_t opts = {100000, 8192, LLAM_IO_BUFFER_F_ZERO_FILL, UINT32_MAX}, bad = opts;
    bad.alignment = 24;
    bad.flags = UINT32_MAX;
    for (size_t size = 1; size <= 24 + TAIL; size++) {
        llam_io_buffer_t *buffer = NULL;
        void *good_block = exact(&opts, sizeof opts, size);
        void *bad_block = exact(&bad, sizeof bad, size);
        CHECK_OK(llam_io_buffer_alloc_ex(good_block, size, &buffer));
        if (size >= 8) CHECK(llam_io_buffer_capacity(buffer) >= 100000);
        else CHECK(llam_io_buffer_capacity(buffer) < 100000);
        CHECK_EQ(llam_io_buffer_alignment(buffer), size >= 16 ? 8192 : 8);
        if (size >= 20) CHECK(all_zero(llam_io_buffer_data(buffer), 100000));
        llam_io_buffer_release(buffer);
        buffer = (llam_io_buffer_t *)(uintptr_t)1;
        if (size < 16) {
            CHECK_OK(llam_io_buffer_alloc_ex(bad_block, size, &buffer));
            llam_io_buffer_release(buffer);
        } else {
            CHECK_FAILS(llam_io_buffer_alloc_ex(bad_block, size, &buffer), EINVAL);
            CHECK_PTR(buffer, NULL);
        }
        free(good_block);
        free(bad_block);
    }
    bad.alignment = 0;
    void *cut = exact(&bad, sizeof bad, 19);
    llam_io_buffer_t *buffer = NULL;
    CHECK_OK(llam_io_buffer_alloc_ex(cut, 19, &buffer));
    llam_io_buffer_release(buffer);
    free(cut);
}

/* 1.4: memset 0 is legal for every options struct; for runtimes it means preempt_mode OFF. */
TEST(options_of_zeros_are_legal) {
    llam_runtime_opts_t opts;
    llam_spawn_opts_t spawn;
    plain_environment();
    memset(&opts, 0, sizeof opts);
    memset(&spawn, 0, sizeof spawn);
    CHECK_OK(llam_runtime_init_ex(&opts, sizeof opts));
    CHECK_EQ(default_stats().preempt_mode, LLAM_PREEMPT_OFF);
    CHECK_EQ(default_stats().preempt_poll_period, 0);
    CHECK_EQ(default_stats().sqpoll, 0);
    llam_task_t *task = llam_spawn_ex(task_nothing, NULL, &spawn, sizeof spawn);
    CHECK(task != NULL);
    CHECK_EQ(llam_task_class(task), LLAM_TASK_CLASS_LATENCY);
    CHECK_OK(llam_run());
    CHECK_OK(llam_join(task));
    llam_runtime_shutdown();
}

/* ---- abi.md 1.5: the wrappers use the library's sizes ---- */

TEST(the_wrappers_use_the_whole_structs) {
    llam_runtime_opts_t opts = default_opts();
    llam_runtime_stats_t stats;
    llam_spawn_opts_t spawn;
    plain_environment();
    opts.preempt_mode = LLAM_PREEMPT_COOPERATIVE;
    opts.preempt_quantum_ns = 777;
    CHECK_OK(llam_runtime_init(&opts));
    memset(&stats, 0xff, sizeof stats);
    CHECK_OK(llam_runtime_collect_stats(&stats));
    CHECK_EQ(stats.preempt_mode, LLAM_PREEMPT_COOPERATIVE);
    CHECK_EQ(stats.preempt_quantum_ns, 777);
    CHECK_FAILS(llam_runtime_collect_stats(NULL), EINVAL);
    CHECK_OK(llam_spawn_opts_init(&spawn, sizeof spawn));
    spawn.flags = 0x100;
    spawn.cancel_token = llam_cancel_token_create();
    llam_task_group_t *group = llam_task_group_create();
    llam_task_t *task = llam_spawn(task_nothing, NULL, &spawn);
    llam_task_t *child = llam_task_group_spawn(group, task_nothing, NULL, &spawn);
    CHECK_EQ(llam_task_flags(task), 0x100);
    CHECK_EQ(llam_task_flags(child), 0x100);
    CHECK_FAILS(llam_cancel_token_destroy(spawn.cancel_token), EBUSY);
    CHECK_OK(llam_run());
    CHECK_OK(llam_join(task));
    CHECK_FAILS(llam_cancel_token_destroy(spawn.cancel_token), EBUSY);
    CHECK_OK(llam_task_group_join(group));
    CHECK_OK(llam_cancel_token_destroy(spawn.cancel_token));
    CHECK_OK(llam_task_group_destroy(group));
    llam_runtime_shutdown();
    CHECK_OK(llam_runtime_init(NULL));
    CHECK_EQ(default_stats().preempt_mode, LLAM_PREEMPT_AUTO);
    llam_runtime_shutdown();
}

MAIN
