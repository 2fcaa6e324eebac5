/* Statistics, their JSON and the dump: abi.md 4.18, 5.15, section 3 (llam_runtime_stats_t), and Appendix A
 * "Other". The size handshake of the snapshots is in handshake.c.
 */
#include "runtime_support.h"

#include <fcntl.h>
#include <poll.h>

#include "capture.h"

/* ---- Snapshots ---- */

/* 4.18: zeros while the runtime is not live; the default handle always works. */
TEST(stats_are_zero_while_not_live) {
    for (int round = 0; round < 2; round++) {
        llam_runtime_stats_t stats;
        check_default_is_not_live();
        memset(&stats, 0xff, sizeof stats);
        CHECK_OK(llam_runtime_collect_stats_ex_handle(llam_runtime_default(), &stats, sizeof stats));
        CHECK(all_zero(&stats, sizeof stats));
        init_default(0);
        CHECK(is_live());
        llam_runtime_shutdown();
    }
}

static void check_gauges(const llam_runtime_stats_t *stats) {
    CHECK(stats->active_workers > 0);
    CHECK(stats->online_workers <= stats->active_workers);
    CHECK(stats->online_workers_floor <= stats->active_workers);
    CHECK(stats->online_workers_min <= stats->online_workers_max);
    CHECK(stats->online_workers_max <= stats->active_workers);
    CHECK(stats->active_nodes > 0);
    CHECK(stats->dynamic_workers <= 1 && stats->worker_rings <= 1);
    CHECK(stats->worker_rings_multishot <= 1 && stats->lockfree_normq <= 1);
    CHECK(stats->huge_alloc <= 1 && stats->sqpoll <= 1);
}

/* The counters of the snapshot, in the order of the struct: bytes 0 to 152 without the gauge
 * overflow_depth, and 200 to 368. */
static void check_counters_grew(const llam_runtime_stats_t *before, const llam_runtime_stats_t *now) {
    const uint64_t *old = (const void *)before, *new = (const void *)now;
    for (size_t i = 0; i < 368 / 8; i++) {
        if (i >= 144 / 8 && i < 200 / 8) continue;
        if (new[i] < old[i]) FAIL("the counter at byte %zu went from %" PRIu64 " to %" PRIu64, i * 8,
                                  old[i], new[i]);
    }
}

static void *pool_job(void *arg) { return arg; }

static void task_does_some_of_all(void *arg) {
    void *out = NULL;
    llam_yield();
    CHECK_OK(llam_sleep_ns(CHECK_MS / 10));
    CHECK_OK(llam_call_blocking_result(pool_job, arg, &out));
    llam_task_t *child = spawn_ok(task_nothing, NULL);
    CHECK_OK(llam_join(child));
}

static atomic_int watching;

static void *watch(void *arg) {
    llam_runtime_stats_t before = default_stats();
    (void)arg;
    check_gauges(&before);
    while (atomic_load(&watching)) {
        llam_runtime_stats_t now = default_stats();
        check_gauges(&now);
        check_counters_grew(&before, &now);
        before = now;
    }
    return NULL;
}

/* Appendix A: active_workers >= online_workers, floors and minima consistent, at every moment. 4.18:
 * counters never decrease while the runtime is live. */
TEST(gauges_are_consistent_and_counters_grow) {
    init_default(0);
    atomic_store(&watching, 1);
    pthread_t thread = start_thread(watch, NULL);
    for (int i = 0; i < 30; i++) {
        for (int j = 0; j < 20; j++) CHECK_OK(llam_detach(spawn_ok(task_does_some_of_all, &watching)));
        CHECK_OK(llam_run());
    }
    atomic_store(&watching, 0);
    end_thread(thread);
    llam_runtime_shutdown();
}

/* 4.18: after tasks ran ctx_switches > 0, after llam_yield yields > 0, after blocking calls both
 * blocking counters > 0 and equal at rest; section 3 for parks, wakes and I/O. */
TEST(counters_count_what_their_names_say) {
    init_default(0);
    llam_runtime_stats_t stats = default_stats();
    check_gauges(&stats);
    CHECK(all_zero(&stats, 152));
    for (int i = 0; i < 10; i++) CHECK_OK(llam_detach(spawn_ok(task_does_some_of_all, &watching)));
    CHECK_OK(llam_run());
    stats = default_stats();
    check_gauges(&stats);
    CHECK(stats.ctx_switches >= 20);
    CHECK_EQ(stats.yields, 10);
    CHECK(stats.parks > 0);
    CHECK_EQ(stats.blocking_calls, 10);
    CHECK_EQ(stats.blocking_completions, 10);
    CHECK_EQ(stats.overflow_depth, 0);
    CHECK_OK(llam_run());
    CHECK_EQ(default_stats().ctx_switches, stats.ctx_switches);
    llam_runtime_shutdown();
}

/* Section 3: parks counts tasks that parked, wakes those made runnable again: by a timer, by the
 * blocking pool or by a task. When all have ended the two are equal. */
TEST(every_park_ends_with_a_wake) {
    init_default(0);
    for (int i = 0; i < 10; i++) CHECK_OK(llam_detach(spawn_ok(task_does_some_of_all, &watching)));
    CHECK_OK(llam_run());
    llam_runtime_stats_t stats = default_stats();
    CHECK(stats.parks > 0);
    CHECK_EQ(stats.wakes, stats.parks);
    llam_runtime_shutdown();
}

static int pipe_ends[2];

static void task_reads_late(void *arg) {
    char byte;
    (void)arg;
    CHECK_EQ(llam_read(pipe_ends[0], &byte, 1), 1);
}

static void task_writes(void *arg) {
    (void)arg;
    CHECK_OK(llam_sleep_ns(CHECK_MS));
    CHECK_EQ(llam_write(pipe_ends[1], "x", 1), 1);
}

/* Section 3: io_submits counts requests handed to the backend, io_completions those completed. */
TEST(waiting_for_io_is_counted) {
    CHECK_OK(pipe(pipe_ends));
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(task_reads_late, NULL)));
    CHECK_OK(llam_detach(spawn_ok(task_writes, NULL)));
    CHECK_OK(llam_run());
    llam_runtime_stats_t stats = default_stats();
    CHECK(stats.io_submits > 0);
    CHECK(stats.io_completions > 0);
    CHECK(stats.io_completions <= stats.io_submits);
    llam_runtime_shutdown();
}

/* Spins over safepoints: until a preemption was counted, or for 20 ms when none is expected. */
static void task_spins(void *expected) {
    uint64_t until = after_ms(expected != NULL ? LONG_MS : 20);
    while (llam_now_ns() < until) {
        for (int i = 0; i < 1000; i++) llam_task_safepoint();
        if (expected != NULL && default_stats().preempt_yields > 0) return;
    }
}

/* 4.18: with STRICT and tasks that spin over safepoints beyond their budget, preempt_yields > 0. They
 * count as yields; in mode OFF there are none. */
TEST(strict_preemption_is_counted) {
    static const uint32_t modes[] = {LLAM_PREEMPT_STRICT, LLAM_PREEMPT_OFF};
    plain_environment();
    for (int i = 0; i < 2; i++) {
        llam_runtime_opts_t opts = default_opts();
        void *expected = i == 0 ? &opts : NULL;
        opts.deterministic = 1;
        opts.preempt_mode = modes[i];
        CHECK_OK(llam_runtime_init_ex(&opts, sizeof opts));
        for (int j = 0; j < 2; j++) CHECK_OK(llam_detach(spawn_ok(task_spins, expected)));
        CHECK_OK(llam_run());
        llam_runtime_stats_t stats = default_stats();
        if (i == 0) CHECK(stats.preempt_yields > 0);
        else CHECK_EQ(stats.preempt_yields, 0);
        CHECK(stats.yields >= stats.preempt_yields);
        llam_runtime_shutdown();
    }
}

/* Section 3: the opaque_* fields count only with LLAM_OPAQUE_TIMING=1. */
static void task_opens_a_region(void *arg) {
    (void)arg;
    CHECK_OK(llam_enter_blocking());
    CHECK_OK(llam_leave_blocking());
}

TEST(opaque_timing_is_off_unless_asked_for) {
    unsetenv("LLAM_OPAQUE_TIMING");
    unsetenv("NM_OPAQUE_TIMING");
    init_default(0);
    CHECK_OK(llam_detach(spawn_ok(task_opens_a_region, NULL)));
    CHECK_OK(llam_run());
    llam_runtime_stats_t stats = default_stats();
    CHECK(all_zero(&stats.opaque_block_ns, 72));
    llam_runtime_shutdown();
}

/* 4.18: with deterministic, active_workers is 1. */
TEST(a_deterministic_runtime_has_one_worker) {
    for (uint32_t value = 1; value != 0; value = value == 1 ? UINT32_MAX : 0) {
        init_default(value);
        CHECK_EQ(default_stats().active_workers, 1);
        CHECK_EQ(default_stats().online_workers_max, 1);
        llam_runtime_shutdown();
    }
}

/* 4.18 and R8: statistics calls keep errno, live or not, on success. Appendix A: "errno of the caller
 * is kept by statistics calls". */
TEST(statistics_calls_keep_errno) {
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    llam_runtime_t *runtime = create_ok();
    for (int live = 0; live < 2; live++) {
        llam_runtime_stats_t stats;
        if (live) init_default(0);
        errno = ENOTTY;
        CHECK_OK(llam_runtime_collect_stats(&stats));
        CHECK_OK(llam_runtime_collect_stats_ex(&stats, sizeof stats));
        CHECK_OK(llam_runtime_collect_stats_ex(&stats, 5));
        CHECK_OK(llam_runtime_collect_stats_ex_handle(runtime, &stats, sizeof stats));
        CHECK_OK(llam_runtime_collect_stats_ex_handle(llam_runtime_default(), &stats, 8));
        CHECK_EQ(errno, ENOTTY);
        llam_dump_runtime_state(null_fd);
        CHECK_EQ(errno, ENOTTY);
        llam_dump_runtime_state(-1);
        CHECK_EQ(errno, ENOTTY);
        llam_dump_runtime_state(1000000);
        CHECK_EQ(errno, ENOTTY);
    }
    llam_runtime_shutdown();
    llam_runtime_destroy(runtime);
}

static void task_collects_default(void *arg) {
    llam_runtime_stats_t stats = default_stats();
    CHECK_EQ(stats.ctx_switches, 3);
    stats = stats_of(arg);
    CHECK_EQ(stats.ctx_switches, 1);
    struct capture json = capture_json();
    CHECK(strncmp(json.text, "{\"ctx_switches\":3,", 18) == 0);
    free(json.text);
}

/* 4.18: llam_runtime_collect_stats_ex means the default runtime, whoever calls; so does the JSON. */
TEST(stats_in_a_task_are_those_of_the_default_runtime) {
    llam_runtime_t *runtime = create_ok();
    init_default(0);
    for (int i = 0; i < 3; i++) CHECK_OK(llam_detach(spawn_ok(task_nothing, NULL)));
    CHECK_OK(llam_run());
    run_on(runtime, task_collects_default, runtime);
    llam_runtime_destroy(runtime);
    llam_runtime_shutdown();
}

/* ---- JSON ---- */

#define KEYS                                                                                     \
    X(ctx_switches) X(yields) X(parks) X(wakes) X(steals) X(migrations) X(blocking_calls)        \
    X(blocking_completions) X(io_submits) X(io_submit_calls) X(io_submit_syscalls)               \
    X(io_completions) X(idle_polls) X(idle_spin_loops) X(idle_spin_hits)                         \
    X(idle_spin_fallbacks) X(idle_spin_ns) X(queue_overflows) X(overflow_depth)                  \
    X(active_workers) X(online_workers) X(online_workers_floor) X(online_workers_min)            \
    X(online_workers_max) X(active_nodes) X(dynamic_workers) X(worker_rings)                     \
    X(worker_rings_multishot) X(lockfree_normq) X(huge_alloc) X(sqpoll) X(opaque_block_ns)       \
    X(opaque_block_samples) X(opaque_block_max_ns) X(opaque_enter_wait_ns)                       \
    X(opaque_enter_wait_samples) X(opaque_enter_wait_max_ns) X(opaque_leave_wait_ns)             \
    X(opaque_leave_wait_samples) X(opaque_leave_wait_max_ns) X(yield_direct_attempts)            \
    X(yield_direct_fast_hits) X(yield_direct_locked_hits) X(yield_direct_fail_context)           \
    X(yield_direct_fail_policy) X(yield_direct_fail_no_work) X(yield_direct_fail_self)           \
    X(yield_direct_fail_push) X(preempt_requests) X(preempt_yields) X(preempt_suppressed)        \
    X(preempt_signals) X(preempt_mode) X(preempt_poll_period) X(preempt_quantum_ns)

/* The JSON that 5.15 wants for a snapshot. */
static size_t expected_json(const llam_runtime_stats_t *stats, char *out, size_t size, int *keys) {
    size_t length = 0;
    *keys = 0;
#define X(name)                                                                                  \
    length += (size_t)snprintf(out + length, size - length, "%c\"%s\":%" PRIu64,                 \
                               *keys == 0 ? '{' : ',', #name, (uint64_t)stats->name);            \
    ++*keys;
    KEYS
#undef X
    length += (size_t)snprintf(out + length, size - length, "}\n");
    CHECK(length < size);
    return length;
}

/* The JSON between two equal snapshots is theirs. */
static void check_json(llam_runtime_stats_t *stats) {
    char expected[8192];
    int keys = 0;
    llam_runtime_stats_t after;
    struct capture json;
    uint64_t until = after_ms(LONG_MS);
    for (;;) {
        *stats = default_stats();
        json = capture_json();
        after = default_stats();
        if (memcmp(stats, &after, sizeof after) == 0) break;
        CHECK(llam_now_ns() < until);
        free(json.text);
    }
    size_t length = expected_json(stats, expected, sizeof expected, &keys);
    CHECK_STR(json.text, expected);
    CHECK_EQ(json.length, length);
    free(json.text);
}

/* Appendix A: pre-init JSON is a full object of zeros. */
TEST(json_before_init_is_all_zeros) {
    llam_runtime_stats_t stats;
    for (int round = 0; round < 2; round++) {
        check_json(&stats);
        CHECK(all_zero(&stats, sizeof stats));
        init_default(0);
        llam_runtime_shutdown();
    }
}

/* 4.18 and 5.15: every field once, in struct order, unsigned decimals, no spaces, one newline. */
TEST(json_has_every_field_in_order) {
    llam_runtime_opts_t opts = default_opts();
    plain_environment();
    opts.preempt_quantum_ns = 987654321;
    opts.preempt_poll_period = 17;
    CHECK_OK(llam_runtime_init_ex(&opts, sizeof opts));
    for (int i = 0; i < 10; i++) CHECK_OK(llam_detach(spawn_ok(task_does_some_of_all, &watching)));
    CHECK_OK(llam_run());
    llam_runtime_stats_t stats;
    check_json(&stats);
    CHECK(stats.ctx_switches > 0);
    CHECK_EQ(stats.preempt_quantum_ns, 987654321);
    CHECK_EQ(stats.preempt_poll_period, 17);
    llam_runtime_shutdown();
}

/* 5.15: the listed names cover the whole struct, field by field. */
TEST(the_json_keys_cover_the_struct) {
    size_t bytes = 0;
#define X(name) bytes += sizeof(((llam_runtime_stats_t *)NULL)->name);
    KEYS
#undef X
    CHECK_EQ(bytes, sizeof(llam_runtime_stats_t));
}

/* 4.18: EINVAL for fd < 0; the error of write(2) else. */
TEST(json_reports_errors_of_the_descriptor) {
    int read_only = open("/dev/null", O_RDONLY | O_CLOEXEC), full = open("/dev/full", O_WRONLY);
    int ends[2];
    (void)signal(SIGPIPE, SIG_IGN);
    CHECK_OK(pipe(ends));
    CHECK_OK(close(ends[0]));
    for (int live = 0; live < 2; live++) {
        CHECK_FAILS(llam_runtime_write_stats_json(-1), EINVAL);
        CHECK_FAILS(llam_runtime_write_stats_json(INT32_MIN), EINVAL);
        CHECK_FAILS(llam_runtime_write_stats_json(read_only), EBADF);
        CHECK_FAILS(llam_runtime_write_stats_json(1000000), EBADF);
        CHECK_FAILS(llam_runtime_write_stats_json(ends[1]), EPIPE);
        CHECK_FAILS(llam_runtime_write_stats_json(full), ENOSPC);
        llam_dump_runtime_state(read_only);
        llam_dump_runtime_state(1000000);
        llam_dump_runtime_state(ends[1]);
        llam_dump_runtime_state(full);
        if (!live) init_default(0);
    }
    llam_runtime_shutdown();
}

/* ---- The dump ---- */

/* 5.15: while the runtime is not live the dump is non-empty. */
TEST(a_dump_is_never_empty) {
    for (int round = 0; round < 2; round++) {
        struct capture dump = capture_dump();
        CHECK(dump.length > 0);
        free(dump.text);
        init_default(0);
        dump = capture_dump();
        CHECK(dump.length > 0);
        free(dump.text);
        llam_runtime_shutdown();
    }
}

static void check_has(const struct capture *dump, const char *text) {
    if (strstr(dump->text, text) == NULL) FAIL("no \"%s\" in the dump:\n%s", text, dump->text);
}

/* The line of the task with this id. */
static void task_line(const struct capture *dump, uint64_t id, char *line, size_t size) {
    char start[64];
    snprintf(start, sizeof start, "id=%" PRIu64 " state=", id);
    const char *found = strstr(dump->text, start);
    if (found == NULL) FAIL("no task %" PRIu64 " in the dump:\n%s", id, dump->text);
    snprintf(line, size, "%.*s", (int)strcspn(found, "\n"), found);
}

static void check_line(const struct capture *dump, llam_task_t *task, const char *state,
                       const char *wait) {
    char line[1024], text[128];
    task_line(dump, llam_task_id(task), line, sizeof line);
    snprintf(text, sizeof text, "state=%s", state);
    if (strstr(line, text) == NULL) FAIL("no \"%s\" in \"%s\"", text, line);
    snprintf(text, sizeof text, "wait=%s", wait);
    if (strstr(line, text) == NULL) FAIL("no \"%s\" in \"%s\"", text, line);
    CHECK(strstr(line, "wait_owner=") != NULL);
    CHECK(strstr(line, "io_req=") != NULL);
    CHECK(strstr(line, "block_job=") != NULL);
}

static void check_sections(const struct capture *dump) {
    static const char *const sections[] = {"runtime:", "lifecycle:", "block:",
                                           "nodes:",   "shards:",    "tasks:"};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) check_has(dump, sections[i]);
    check_has(dump, "io_queues(");
    check_has(dump, "inflight_io_waiters=");
}

/* 5.15: a live runtime; lifecycle and what follows it, the sections, ended and new tasks. */
TEST(a_dump_of_an_idle_runtime_has_its_sections_and_tasks) {
    init_default(0);
    llam_task_t *ended = spawn_ok(task_nothing, NULL);
    CHECK_OK(llam_run());
    llam_task_t *waiting = spawn_ok(task_nothing, NULL);
    struct capture dump = capture_dump();
    check_sections(&dump);
    const char *lifecycle = strstr(dump.text, "lifecycle:");
    CHECK(strstr(lifecycle, "stop_requested=0") != NULL);
    CHECK(strstr(lifecycle, "live_tasks=1") != NULL);
    CHECK(strstr(lifecycle, "active_io_waiters=0") != NULL);
    check_line(&dump, ended, "DEAD", "none");
    check_line(&dump, waiting, "RUNNABLE", "none");
    free(dump.text);
    CHECK_OK(llam_runtime_request_stop());
    dump = capture_dump();
    check_has(&dump, "stop_requested=1");
    free(dump.text);
    CHECK_OK(llam_run());
    CHECK_OK(llam_join(ended));
    dump = capture_dump();
    check_has(&dump, "live_tasks=0");
    check_has(&dump, "stop_requested=0");
    free(dump.text);
    llam_runtime_shutdown();
}

static struct {
    llam_mutex_t *mutex, *cond_mutex;
    llam_cond_t *cond;
    llam_channel_t *empty, *full;
    atomic_int release;
} scene;

static void *wait_for_release(void *arg) {
    while (!atomic_load(&scene.release)) host_pause();
    return arg;
}

static void dump_sleeps(void *arg) { task_sleep_for_ever(arg); }

static void dump_receives(void *arg) {
    void *out = arg;
    CHECK_FAILS(llam_channel_recv_result(scene.empty, &out), ECANCELED);
}

static void dump_sends(void *arg) { CHECK_FAILS(llam_channel_send(scene.full, arg), ECANCELED); }

static void dump_holds(void *arg) {
    CHECK_OK(llam_mutex_lock(scene.mutex));
    task_sleep_for_ever(arg);
    CHECK_OK(llam_mutex_unlock(scene.mutex));
}

static void dump_locks(void *arg) {
    (void)arg;
    CHECK_FAILS(llam_mutex_lock(scene.mutex), ECANCELED);
}

static void dump_waits(void *arg) {
    (void)arg;
    CHECK_OK(llam_mutex_lock(scene.cond_mutex));
    CHECK_FAILS(llam_cond_wait(scene.cond, scene.cond_mutex), ECANCELED);
    CHECK_OK(llam_mutex_unlock(scene.cond_mutex));
}

static void dump_joins(void *arg) { CHECK_FAILS(llam_join(arg), ECANCELED); }

static void dump_calls(void *arg) {
    void *out = NULL;
    CHECK_FAILS(llam_call_blocking_result(wait_for_release, arg, &out), ECANCELED);
}

static void dump_polls(void *arg) {
    short revents;
    (void)arg;
    CHECK_FAILS(llam_poll_fd(pipe_ends[0], POLLIN, -1, &revents), ECANCELED);
}

static llam_task_t *park(llam_task_fn fn, void *arg) {
    llam_task_t *task = spawn_ok(fn, arg);
    EVENTUALLY(strcmp(llam_task_state_name(task), "PARKED") == 0);
    return task;
}

static void make_scene(void) {
    scene.mutex = llam_mutex_create();
    scene.cond_mutex = llam_mutex_create();
    scene.cond = llam_cond_create();
    scene.empty = llam_channel_create(1);
    scene.full = llam_channel_create(1);
    CHECK_OK(llam_channel_try_send(scene.full, NULL));
    CHECK_OK(pipe(pipe_ends));
}

/* 5.15: per task its state, its wait by one of the listed names, and the other keys; a task parked in
 * llam_poll_fd shows one of two descriptions. */
TEST(a_dump_of_a_running_runtime_names_the_waits) {
    struct runner runner;
    char line[1024], text[64];
    init_default(0);
    make_scene();
    llam_task_t *sleeper = spawn_ok(dump_sleeps, NULL);
    start_run(&runner, llam_runtime_default());
    EVENTUALLY(strcmp(llam_task_state_name(sleeper), "PARKED") == 0);
    llam_task_t *receiver = park(dump_receives, NULL), *sender = park(dump_sends, NULL);
    (void)park(dump_holds, NULL);
    llam_task_t *locker = park(dump_locks, NULL), *waiter = park(dump_waits, NULL);
    llam_task_t *joiner = park(dump_joins, sleeper), *caller = park(dump_calls, NULL);
    llam_task_t *poller = park(dump_polls, NULL);
    struct capture dump = capture_dump();
    CHECK(dump.length < 2U << 20);
    check_sections(&dump);
    check_has(&dump, "live_tasks=9");
    check_has(&dump, "stop_requested=0");
    check_line(&dump, sleeper, "PARKED", "sleep");
    check_line(&dump, receiver, "PARKED", "channel_recv");
    check_line(&dump, sender, "PARKED", "channel_send");
    check_line(&dump, locker, "PARKED", "mutex");
    check_line(&dump, waiter, "PARKED", "cond");
    check_line(&dump, joiner, "PARKED", "join");
    check_line(&dump, caller, "PARKED", "blocking");
    check_line(&dump, poller, "PARKED", "io");
    task_line(&dump, llam_task_id(poller), line, sizeof line);
    snprintf(text, sizeof text, "fd=%d", pipe_ends[0]);
    if (strstr(line, "wait_owner=io_req") != NULL) {
        CHECK(strstr(line, "kind=poll") != NULL && strstr(line, text) != NULL);
        CHECK(strstr(dump.text, "wait_mode=") != NULL);
        CHECK(strstr(dump.text, "active_io_waiters=1") != NULL);
    } else {
        CHECK(strstr(line, "wait_owner=blocking_job") != NULL);
        CHECK(strstr(dump.text, "io_fallbacks=") != NULL);
    }
    free(dump.text);
    CHECK_OK(llam_runtime_request_stop());
    atomic_store(&scene.release, 1);
    end_run_ok(&runner);
    llam_runtime_shutdown();
}

static void task_dumps(void *arg) {
    struct capture dump = capture_dump();
    check_line(&dump, llam_current_task(), "RUNNING", "none");
    free(dump.text);
    errno = ENOTTY;
    llam_dump_runtime_state(-1);
    CHECK_EQ(errno, ENOTTY);
    task_count(arg);
}

/* 4.18: any thread, also a task of the runtime that is dumped. */
TEST(a_task_may_dump_its_own_runtime) {
    atomic_int ran = 0;
    init_default(0);
    llam_task_t *task = spawn_ok(task_dumps, &ran);
    CHECK_OK(llam_run());
    CHECK_EQ(ran, 1);
    CHECK_OK(llam_join(task));
    llam_runtime_shutdown();
}

/* 5.15: the dump stays small when there are very many tasks. */
TEST(a_dump_of_many_tasks_stays_small) {
    init_default(0);
    for (int i = 0; i < 20000; i++) CHECK_OK(llam_detach(spawn_ok(task_nothing, NULL)));
    struct capture dump = capture_dump();
    check_has(&dump, "live_tasks=20000");
    CHECK(dump.length < 4U << 20);
    free(dump.text);
    CHECK_OK(llam_run());
    llam_runtime_shutdown();
}

MAIN
