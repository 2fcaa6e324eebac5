/* Scheduling knobs: deterministic order, forced yields, preemption modes, budgets, classes, safepoint
 * macros, and the numbers of workers. Covers abi.md 5.13, 4.3 (safepoint), 5.4 (flags), 2.7, R9.
 */
#include "scheduling.h"

static llam_runtime_opts_t runtime_options(void) {
    llam_runtime_opts_t opts;
    CHECK_OK(llam_runtime_opts_init(&opts, sizeof opts));
    return opts;
}

static void init_with(const llam_runtime_opts_t *opts) {
    CHECK_OK(llam_runtime_init_ex(opts, sizeof *opts));
}

static llam_runtime_stats_t stats_now(void) {
    llam_runtime_stats_t stats;
    CHECK_OK(llam_runtime_collect_stats_ex(&stats, sizeof stats));
    return stats;
}

static llam_task_t *spawn_flagged(llam_task_fn fn, void *arg, uint32_t flags, uint32_t class) {
    llam_spawn_opts_t opts = spawn_options();
    opts.flags = flags;
    opts.task_class = class;
    llam_task_t *task = llam_spawn(fn, arg, &opts);
    CHECK(task != NULL);
    return task;
}

/* ---- Deterministic runs ---- */

/* What tasks wrote down, in the order in which they did. */
struct trace {
    char text[256];
    size_t length;
    counter inside;
};

static struct trace trace;

static void note(char letter) {
    CHECK_EQ(atomic_fetch_add(&trace.inside, 1), 0);
    CHECK(trace.length < sizeof trace.text - 1);
    trace.text[trace.length++] = letter;
    atomic_fetch_sub(&trace.inside, 1);
}

static void note_yield_note(void *arg) {
    char letter = (char)('0' + (uintptr_t)arg);
    note(letter);
    llam_yield();
    note(letter);
}

/* abi.md 5.13: six tasks that print, yield, print give 0 1 2 3 4 5 0 1 2 3 4 5. */
TEST(six_tasks_yield_in_turn) {
    init_default(1);
    for (uintptr_t i = 0; i < 6; i++) CHECK_OK(llam_detach(spawn_ok(note_yield_note, (void *)i)));
    run_here();
    llam_runtime_shutdown();
    CHECK_STR(trace.text, "012345012345");
}

static void note_child(void *arg) { note(*(const char *)arg); }

static void spawn_and_go_on(void *arg) {
    const char *names = arg;
    note(names[0]);
    CHECK_OK(llam_detach(spawn_ok(note_child, (void *)(uintptr_t)&names[1])));
    CHECK_OK(llam_detach(spawn_ok(note_child, (void *)(uintptr_t)&names[2])));
    note(names[0]);
    llam_yield();
    note(names[0]);
}

/* abi.md 5.13: tasks start in spawn order; a spawned task runs after its parent yields or ends; a
 * yield goes to the end of the line. */
TEST(children_run_after_their_parent_yields) {
    static const char first[] = "Axy", second[] = "Buv";
    init_default(1);
    CHECK_OK(llam_detach(spawn_ok(spawn_and_go_on, (void *)(uintptr_t)first)));
    CHECK_OK(llam_detach(spawn_ok(spawn_and_go_on, (void *)(uintptr_t)second)));
    run_here();
    llam_runtime_shutdown();
    CHECK_STR(trace.text, "AABBxyAuvB");
}

static void spawn_and_join(void *arg) {
    const char *names = arg;
    note(names[0]);
    llam_task_t *child = spawn_ok(note_child, (void *)(uintptr_t)&names[1]);
    note(names[0]);
    CHECK_OK(llam_join(child));
    note(names[0]);
}

/* abi.md 5.13: the same when the parent parks; on an explicit runtime. */
TEST(children_run_after_their_parent_parks) {
    static const char first[] = "Ax", second[] = "Bu";
    llam_runtime_t *runtime = runtime_new(1);
    CHECK_OK(llam_detach(spawn_on(runtime, spawn_and_join, (void *)(uintptr_t)first)));
    CHECK_OK(llam_detach(spawn_on(runtime, spawn_and_join, (void *)(uintptr_t)second)));
    CHECK_OK(llam_runtime_run_handle(runtime));
    llam_runtime_destroy(runtime);
    CHECK_STR(trace.text, "AABBxuAB");
}

static counter inside_now;

static void alone(void *arg) {
    (void)arg;
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(atomic_fetch_add(&inside_now, 1), 0);
        for (volatile int spin = 0; spin < 500; spin++) {}
        CHECK_EQ(atomic_fetch_sub(&inside_now, 1), 1);
        if (i % 5 == 0) CHECK_OK(llam_sleep_ns(50000));
        llam_yield();
    }
}

/* abi.md 5.13: one worker, so no two tasks run at the same time; DYNAMIC_WORKERS is off. */
TEST(a_deterministic_runtime_has_one_worker) {
    llam_runtime_opts_t opts = runtime_options();
    opts.deterministic = 7;
    opts.experimental_flags = LLAM_RUNTIME_EXPERIMENTAL_F_DYNAMIC_WORKERS;
    init_with(&opts);
    CHECK_EQ(stats_now().active_workers, 1);
    CHECK_EQ(stats_now().dynamic_workers, 0);
    for (int i = 0; i < 20; i++) CHECK_OK(llam_detach(spawn_ok(alone, NULL)));
    run_here();
    CHECK_EQ(stats_now().active_workers, 1);
    llam_runtime_shutdown();
}

/* ---- Forced yields ---- */

static void ten_safepoints(void *arg) {
    (void)arg;
    for (int i = 0; i < 10; i++) llam_task_safepoint();
}

/* abi.md 5.13: two tasks with 10 safepoints each and N = 2 make 10 yields, in every mode; they count
 * in `yields`, not in `preempt_yields`. */
TEST(forced_yields_are_counted_in_every_mode) {
    for (uint32_t mode = 0; mode <= 3; mode++) {
        llam_runtime_opts_t opts = runtime_options();
        opts.deterministic = 1;
        opts.forced_yield_every = 2;
        opts.preempt_mode = mode;
        opts.preempt_quantum_ns = 1000000000;
        init_with(&opts);
        for (int i = 0; i < 2; i++) CHECK_OK(llam_detach(spawn_ok(ten_safepoints, NULL)));
        run_here();
        CHECK_EQ(stats_now().yields, 10);
        CHECK_EQ(stats_now().preempt_yields, 0);
        llam_runtime_shutdown();
    }
}

/* abi.md 5.13, 5.4: never for a task with NO_PREEMPT. */
TEST(no_preempt_means_no_forced_yield) {
    llam_runtime_opts_t opts = runtime_options();
    opts.deterministic = 1;
    opts.forced_yield_every = 1;
    init_with(&opts);
    for (int i = 0; i < 3; i++)
        CHECK_OK(llam_detach(spawn_flagged(ten_safepoints, NULL, LLAM_SPAWN_F_NO_PREEMPT, 1)));
    run_here();
    CHECK_EQ(stats_now().yields, 0);
    llam_runtime_shutdown();
}

static void note_with_safepoints(void *arg) {
    for (int i = 0; i < 3; i++) {
        note((char)('a' + (uintptr_t)arg));
        llam_task_safepoint();
    }
}

/* abi.md 5.13: a forced yield goes to the end of the line like any other. */
TEST(forced_yields_let_the_others_run) {
    llam_runtime_opts_t opts = runtime_options();
    opts.deterministic = 1;
    opts.forced_yield_every = 1;
    init_with(&opts);
    for (uintptr_t i = 0; i < 3; i++)
        CHECK_OK(llam_detach(spawn_ok(note_with_safepoints, (void *)i)));
    run_here();
    llam_runtime_shutdown();
    CHECK_STR(trace.text, "abcabcabc");
}

static void pass_macros(void *arg) {
    uint64_t *yields = arg;
    uint64_t before = stats_now().yields;
    LLAM_PREEMPT_POLL();
    yields[0] = stats_now().yields - before;
    const size_t intervals[4] = {0, 1, 4, 100};
    for (int k = 0; k < 4; k++) {
        before = stats_now().yields;
        for (size_t i = 0; i < 16;) LLAM_PREEMPT_POLL_EVERY(i++, intervals[k]);
        yields[1 + k] = stats_now().yields - before;
    }
    before = stats_now().yields;
    for (size_t i = 3; i < 19; i++) llam_preempt_poll_every(i, 8);
    yields[5] = stats_now().yields - before;
}

/* abi.md 2.7: the macros pass safepoints; interval 0 and 1 always, else at multiples, also at 0.
 * Appendix A: "LLAM_PREEMPT_POLL_EVERY(i++, n) evaluates i++ once." */
TEST(the_macros_pass_safepoints) {
    uint64_t yields[6] = {0};
    llam_runtime_opts_t opts = runtime_options();
    opts.deterministic = 1;
    opts.forced_yield_every = 1;
    opts.preempt_mode = LLAM_PREEMPT_OFF;
    init_with(&opts);
    CHECK_OK(llam_detach(spawn_ok(pass_macros, yields)));
    run_here();
    llam_runtime_shutdown();
    const uint64_t expected[6] = {1, 16, 16, 4, 1, 2};
    for (int i = 0; i < 6; i++) CHECK_EQ(yields[i], expected[i]);
    /* Without effect on a host thread. */
    LLAM_PREEMPT_POLL();
    LLAM_PREEMPT_POLL_EVERY(0, 0);
}

/* ---- What is reported ---- */

/* abi.md 5.13: mode, period and quantum by the rules: OFF has period 0, STRICT 1, else the option, at
 * most 4096, or the default of the profile. */
TEST(mode_period_and_quantum_are_reported) {
    static const uint32_t defaults[4] = {1, 4, 1, 4};
    static const uint32_t periods[5] = {0, 1, 7, 4096, 5000};
    for (uint32_t profile = 0; profile <= 3; profile++) {
        for (uint32_t mode = 0; mode <= 3; mode++) {
            for (int k = 0; k < 5; k++) {
                llam_runtime_opts_t opts = runtime_options();
                opts.deterministic = 1;
                opts.profile = profile;
                opts.preempt_mode = mode;
                opts.preempt_poll_period = periods[k];
                opts.preempt_quantum_ns = (uint64_t)k * 12345;
                opts.reserved0 = 0xFFFFFFFFU;
                init_with(&opts);
                llam_runtime_stats_t stats = stats_now();
                uint32_t period = periods[k] == 0 ? defaults[profile] : periods[k];
                if (period > 4096) period = 4096;
                if (mode == LLAM_PREEMPT_OFF) period = 0;
                if (mode == LLAM_PREEMPT_STRICT) period = 1;
                CHECK_EQ(stats.preempt_mode, mode);
                CHECK_EQ(stats.preempt_poll_period, period);
                CHECK_EQ(stats.preempt_quantum_ns, (uint64_t)k * 12345);
                llam_runtime_shutdown();
            }
        }
    }
}

static void sum_in_parts(void *arg) {
    uint64_t *sum = arg, part = 0;
    for (uint64_t i = 1; i <= 2000; i++) {
        part += i;
        llam_task_safepoint();
        if (i % 500 == 0) llam_yield();
    }
    *sum = part;
}

/* abi.md 5.13: profile, modes and hints, known or not, never change results. */
TEST(knobs_do_not_change_results) {
    static const uint64_t flags[4] = {0, LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS |
                                             LLAM_RUNTIME_EXPERIMENTAL_F_HUGE_ALLOC,
                                      LLAM_RUNTIME_EXPERIMENTAL_F_DYNAMIC_WORKERS |
                                          LLAM_RUNTIME_EXPERIMENTAL_F_LOCKFREE_NORMQ,
                                      UINT64_C(0xFFFFFFFFFFFFFFC0)};
    for (uint32_t i = 0; i < 64; i++) {
        llam_runtime_opts_t opts = runtime_options();
        opts.profile = i & 3;
        opts.preempt_mode = i >> 2 & 3;
        opts.experimental_flags = flags[i >> 4];
        opts.idle_spin_ns = i % 5 * 1000;
        opts.idle_spin_max_iters = i % 3;
        init_with(&opts);
        llam_runtime_stats_t stats = stats_now();
        CHECK(stats.dynamic_workers <= 1 && stats.worker_rings <= 1);
        CHECK(stats.worker_rings_multishot <= 1 && stats.lockfree_normq <= 1);
        CHECK(stats.huge_alloc <= 1 && stats.sqpoll <= 1);
        uint64_t sums[8];
        for (int k = 0; k < 8; k++) CHECK_OK(llam_detach(spawn_ok(sum_in_parts, &sums[k])));
        run_here();
        for (int k = 0; k < 8; k++) CHECK_EQ(sums[k], 2001000);
        llam_runtime_shutdown();
    }
}

/* ---- Preemption modes ---- */

/* Passes safepoints for that long, and never only a few: the machine may be busy. */
static void compute(uint64_t ms) {
    uint64_t end = after_ms(ms);
    for (int i = 0; i < 1000 || llam_now_ns() < end; i++) llam_task_safepoint();
}

static void compute_between_notes(void *arg) {
    note((char)('a' + (uintptr_t)arg));
    compute(10);
    note((char)('A' + (uintptr_t)arg));
}

static void run_two_computers(uint32_t mode, uint32_t flags) {
    llam_runtime_opts_t opts = runtime_options();
    opts.deterministic = 1;
    opts.preempt_mode = mode;
    opts.preempt_quantum_ns = 100000;
    init_with(&opts);
    for (uintptr_t i = 0; i < 2; i++)
        CHECK_OK(llam_detach(spawn_flagged(compute_between_notes, (void *)i, flags, 1)));
    run_here();
}

/* abi.md 5.13: in OFF and COOPERATIVE nothing requests a yield by itself. */
TEST(off_and_cooperative_never_preempt) {
    for (uint32_t mode = LLAM_PREEMPT_OFF; mode <= LLAM_PREEMPT_COOPERATIVE; mode++) {
        memset(&trace, 0, sizeof trace);
        run_two_computers(mode, 0);
        CHECK_EQ(stats_now().preempt_yields, 0);
        CHECK_EQ(stats_now().yields, 0);
        llam_runtime_shutdown();
        CHECK_STR(trace.text, "aAbB");
    }
}

/* abi.md 5.13: in AUTO and STRICT a task over its budget yields at a safepoint while another waits. */
TEST(auto_and_strict_preempt) {
    for (uint32_t mode = LLAM_PREEMPT_AUTO; mode <= LLAM_PREEMPT_STRICT; mode++) {
        memset(&trace, 0, sizeof trace);
        run_two_computers(mode, 0);
        CHECK(stats_now().yields > 0);
        CHECK(stats_now().preempt_yields > 0);
        CHECK(stats_now().preempt_yields <= stats_now().yields);
        llam_runtime_shutdown();
        CHECK(strncmp(trace.text, "ab", 2) == 0);
    }
}

/* abi.md 5.4: safepoints never yield for a NO_PREEMPT task; explicit yields do. */
TEST(a_no_preempt_task_is_not_preempted) {
    for (uint32_t mode = LLAM_PREEMPT_AUTO; mode <= LLAM_PREEMPT_STRICT; mode++) {
        memset(&trace, 0, sizeof trace);
        run_two_computers(mode, LLAM_SPAWN_F_NO_PREEMPT);
        CHECK_EQ(stats_now().yields, 0);
        CHECK_STR(trace.text, "aAbB");
        memset(&trace, 0, sizeof trace);
        for (uintptr_t i = 0; i < 2; i++)
            CHECK_OK(llam_detach(
                spawn_flagged(note_yield_note, (void *)i, LLAM_SPAWN_F_NO_PREEMPT, 1)));
        run_here();
        CHECK_STR(trace.text, "0101");
        llam_runtime_shutdown();
    }
}

static void compute_alone(void *arg) {
    (void)arg;
    compute(20);
}

/* abi.md 5.13: STRICT yields over budget, waiting work or not. */
TEST(strict_preempts_a_lonely_task) {
    llam_runtime_opts_t opts = runtime_options();
    opts.deterministic = 1;
    opts.preempt_mode = LLAM_PREEMPT_STRICT;
    opts.preempt_quantum_ns = 100000;
    init_with(&opts);
    CHECK_OK(llam_detach(spawn_ok(compute_alone, NULL)));
    run_here();
    CHECK(stats_now().yields > 0);
    llam_runtime_shutdown();
}

static counter released;

static void compute_until_released(void *arg) {
    (void)arg;
    uint64_t end = after_ms(AWAIT_MS);
    while (!atomic_load(&released)) {
        llam_task_safepoint();
        if (llam_now_ns() > end) FAIL("starved the task that releases");
    }
}

static void release_soon(void *arg) {
    (void)arg;
    CHECK_OK(llam_sleep_ns(5 * CHECK_MS));
    atomic_store(&released, 1);
}

static void release_by_pipe(void *arg) {
    int *ends = arg;
    char byte;
    CHECK_EQ(llam_read(ends[0], &byte, 1), 1);
    atomic_store(&released, 1);
}

static void *write_soon(void *arg) {
    struct timespec rest = {0, 5000000};
    nanosleep(&rest, NULL);
    CHECK_EQ(write(((int *)arg)[1], "x", 1), 1);
    return NULL;
}

/* abi.md 5.13: in AUTO and STRICT tasks that pass safepoints starve no timer and no I/O, in any
 * class, with the budgets of the classes. */
TEST(safepoints_keep_timers_and_io_alive) {
    for (uint32_t mode = LLAM_PREEMPT_AUTO; mode <= LLAM_PREEMPT_STRICT; mode++) {
        for (uint32_t class = 0; class <= 2; class++) {
            llam_runtime_opts_t opts = runtime_options();
            opts.deterministic = 1;
            opts.preempt_mode = mode;
            for (int io = 0; io < 2; io++) {
                int ends[2];
                pthread_t writer;
                CHECK_OK(pipe(ends));
                atomic_store(&released, 0);
                init_with(&opts);
                llam_task_fn fn = io ? release_by_pipe : release_soon;
                CHECK_OK(llam_detach(spawn_flagged(fn, ends, 0, LLAM_TASK_CLASS_BATCH)));
                for (int i = 0; i < 2; i++)
                    CHECK_OK(llam_detach(spawn_flagged(compute_until_released, NULL, 0, class)));
                CHECK_OK(pthread_create(&writer, NULL, write_soon, ends));
                run_here();
                CHECK_OK(pthread_join(writer, NULL));
                llam_runtime_shutdown();
                CHECK_OK(close(ends[0]) | close(ends[1]));
            }
        }
    }
}

static void yield_until_released(void *arg) {
    (void)arg;
    uint64_t end = after_ms(AWAIT_MS);
    while (!atomic_load(&released)) {
        llam_yield();
        if (llam_now_ns() > end) FAIL("starved the task of the lower class");
    }
}

static void release_after_yields(void *arg) {
    (void)arg;
    for (int i = 0; i < 100; i++) llam_yield();
    atomic_store(&released, 1);
}

/* abi.md 5.4, 5.13: classes order the dispatch without starvation. */
TEST(no_class_starves_another) {
    for (uint32_t low = 0; low <= 2; low++) {
        atomic_store(&released, 0);
        init_default(1);
        for (int i = 0; i < 5; i++)
            CHECK_OK(llam_detach(
                spawn_flagged(yield_until_released, NULL, 0, LLAM_TASK_CLASS_LATENCY)));
        CHECK_OK(llam_detach(spawn_flagged(release_after_yields, NULL, 0, low)));
        run_here();
        llam_runtime_shutdown();
    }
}

/* ---- Workers ---- */

static uint32_t expected_workers(void) {
    const char *forced = getenv("LLAM_WORKERS");
    if (forced != NULL) return (uint32_t)atoi(forced);
    cpu_set_t cpus;
    CHECK_OK(sched_getaffinity(0, sizeof cpus, &cpus));
    return (uint32_t)CPU_COUNT(&cpus);
}

/* abi.md 5.13: not deterministic: one worker per CPU that the process may use at init; the variable
 * LLAM_WORKERS of this engine overrides the number. */
TEST(there_is_a_worker_per_cpu) {
    init_default(0);
    CHECK_EQ(stats_now().active_workers, expected_workers());
    llam_runtime_shutdown();
    if (getenv("LLAM_WORKERS") == NULL) {
        cpu_set_t one;
        CPU_ZERO(&one);
        cpu_set_t cpus;
        CHECK_OK(sched_getaffinity(0, sizeof cpus, &cpus));
        for (int i = 0; CPU_COUNT(&one) == 0; i++)
            if (CPU_ISSET(i, &cpus)) CPU_SET(i, &one);
        CHECK_OK(sched_setaffinity(0, sizeof one, &one));
        init_default(0);
        CHECK_EQ(stats_now().active_workers, 1);
        llam_runtime_shutdown();
    }
}

static void spin_without_safepoints(void *arg) {
    (void)arg;
    uint64_t end = after_ms(AWAIT_MS);
    while (!atomic_load(&released))
        if (llam_now_ns() > end) FAIL("the other workers did not go on");
}

/* abi.md 5.13: a task that passes no safepoint keeps its worker; the other workers go on. */
TEST(other_workers_go_on_beside_a_computing_task) {
    init_default(0);
    int many = stats_now().active_workers > 1;
    CHECK_OK(llam_detach(spawn_ok(many ? spin_without_safepoints : do_nothing, NULL)));
    CHECK_OK(llam_detach(spawn_ok(release_soon, NULL)));
    run_here();
    CHECK_EQ(atomic_load(&released), 1);
    llam_runtime_shutdown();
}

struct sampling {
    llam_runtime_t *runtime;
    counter over, samples;
};

static void check_workers(const llam_runtime_stats_t *stats) {
    CHECK(stats->active_workers >= 1);
    CHECK(stats->active_workers >= stats->online_workers);
    CHECK(stats->active_workers >= stats->online_workers_max);
    CHECK(stats->active_workers >= stats->online_workers_floor);
    CHECK(stats->online_workers_max >= stats->online_workers);
    CHECK(stats->online_workers >= stats->online_workers_min);
    CHECK(stats->online_workers >= stats->online_workers_floor);
    CHECK(stats->online_workers_min >= stats->online_workers_floor);
    CHECK(stats->active_nodes >= 1);
}

static void *sample(void *arg) {
    struct sampling *sampling = arg;
    llam_runtime_stats_t stats;
    while (!atomic_load(&sampling->over)) {
        CHECK_OK(llam_runtime_collect_stats_ex_handle(sampling->runtime, &stats, sizeof stats));
        check_workers(&stats);
        atomic_fetch_add(&sampling->samples, 1);
        sched_yield();
    }
    return NULL;
}

static void busy_life(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++) {
        CHECK_OK(llam_sleep_ns(50000));
        CHECK_OK(llam_enter_blocking());
        sched_yield();
        CHECK_OK(llam_leave_blocking());
        CHECK_OK(llam_join(spawn_ok(do_nothing, NULL)));
        llam_yield();
    }
}

/* Appendix A: "active_workers >= online_workers, floors and minima consistent, at every moment":
 * idle, during runs with blocking regions, between runs; default and explicit; hints or none. */
TEST(the_numbers_of_workers_are_consistent) {
    for (int i = 0; i < 4; i++) {
        struct sampling sampling = {.runtime = NULL};
        llam_runtime_opts_t opts = runtime_options();
        if (i & 1) opts.experimental_flags = LLAM_RUNTIME_EXPERIMENTAL_F_DYNAMIC_WORKERS;
        if (i & 2) {
            CHECK_OK(llam_runtime_create(&opts, sizeof opts, &sampling.runtime));
        } else {
            init_with(&opts);
            sampling.runtime = llam_runtime_default();
        }
        pthread_t sampler;
        CHECK_OK(pthread_create(&sampler, NULL, sample, &sampling));
        for (int round = 0; round < 5; round++) {
            for (int k = 0; k < 10; k++)
                CHECK_OK(llam_detach(spawn_on(sampling.runtime, busy_life, NULL)));
            CHECK_OK(llam_runtime_run_handle(sampling.runtime));
        }
        AWAIT(atomic_load(&sampling.samples) > 10);
        atomic_store(&sampling.over, 1);
        CHECK_OK(pthread_join(sampler, NULL));
        llam_runtime_destroy(sampling.runtime);
    }
}

MAIN
