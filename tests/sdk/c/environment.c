/* Environment variables: which exist, how their values are read, that they override the options at
 * every init and create, and that the others are ignored: abi.md 5.16, with the defaults of 5.13.
 *
 * What is seen is what the statistics report: mode, period and quantum of preemption.
 */
#include "runtime_support.h"

/* What a runtime made from opts reports; the default one, or an explicit one. */
static llam_runtime_stats_t started(const llam_runtime_opts_t *opts, int explicit_one) {
    llam_runtime_stats_t stats;
    if (explicit_one) {
        llam_runtime_t *runtime = NULL;
        CHECK_OK(llam_runtime_create(opts, opts == NULL ? 0 : sizeof *opts, &runtime));
        stats = stats_of(runtime);
        llam_runtime_destroy(runtime);
    } else {
        CHECK_OK(llam_runtime_init_ex(opts, opts == NULL ? 0 : sizeof *opts));
        stats = default_stats();
        llam_runtime_shutdown();
    }
    return stats;
}

enum reported { MODE, PERIOD, QUANTUM };

static int64_t report(const llam_runtime_opts_t *opts, int explicit_one, enum reported what) {
    llam_runtime_stats_t stats = started(opts, explicit_one);
    if (what == MODE) return stats.preempt_mode;
    if (what == PERIOD) return stats.preempt_poll_period;
    return (int64_t)stats.preempt_quantum_ns;
}

/* A text of the variable and what is then reported; UNCHANGED for texts that count as unset. */
struct reading {
    const char *text;
    int64_t expected;
};

#define UNCHANGED (-1)

/* Each text under both spellings, on both kinds of runtime. */
static void check_readings(const char *variable, const struct reading *readings, size_t count,
                           const llam_runtime_opts_t *opts, enum reported what) {
    static const char *const prefixes[] = {"LLAM", "NM"};
    int64_t unset = report(opts, 0, what);
    for (size_t i = 0; i < count; i++) {
        int64_t expected = readings[i].expected == UNCHANGED ? unset : readings[i].expected;
        for (int j = 0; j < 4; j++) {
            char name[64];
            snprintf(name, sizeof name, "%s_%s", prefixes[j % 2], variable);
            CHECK_OK(setenv(name, readings[i].text, 1));
            int64_t reported = report(opts, j / 2, what);
            if (reported != expected)
                FAIL("%s=\"%s\" gives %" PRId64 ", not %" PRId64, name, readings[i].text, reported,
                     expected);
            CHECK_OK(unsetenv(name));
        }
    }
    CHECK_EQ(report(opts, 0, what), unset);
}

#define CHECK_READINGS(variable, readings, opts, what)                                           \
    check_readings(variable, readings, sizeof readings / sizeof readings[0], opts, what)

/* 5.16: LLAM_PREEMPT_MODE, whatever the options say. */
TEST(the_mode_is_read_by_its_names) {
    static const struct reading readings[] = {
        {"off", 0},          {"OFF", 0},        {"oFf", 0},          {"0", 0},
        {"false", 0},        {"FALSE", 0},      {"no", 0},           {"No", 0},
        {"disabled", 0},     {"1", 1},          {"cooperative", 1},  {"coop", 1},
        {"2", 2},            {"auto", 2},       {"pressure", 2},     {"3", 3},
        {"strict", 3},       {"debug", 3},      {"", UNCHANGED},     {"4", UNCHANGED},
        {"on", UNCHANGED},   {"-1", UNCHANGED}, {" 1", UNCHANGED},   {"1 ", UNCHANGED},
        {"00", UNCHANGED},   {"strictly", UNCHANGED}};
    plain_environment();
    for (uint32_t mode = 0; mode < 4; mode++) {
        llam_runtime_opts_t opts = default_opts();
        opts.preempt_mode = mode;
        CHECK_READINGS("PREEMPT_MODE", readings, &opts, MODE);
    }
    CHECK_READINGS("PREEMPT_MODE", readings, NULL, MODE);
}

/* 5.16: the other names have the exact case. */
TEST(the_mode_names_are_case_sensitive_but_for_off) {
    static const struct reading readings[] = {
        {"Disabled", UNCHANGED}, {"COOP", UNCHANGED},   {"Cooperative", UNCHANGED},
        {"AUTO", UNCHANGED},     {"STRICT", UNCHANGED}, {"Debug", UNCHANGED}};
    plain_environment();
    CHECK_READINGS("PREEMPT_MODE", readings, NULL, MODE);
}

/* 5.16 and 5.13: the profile is seen by its default poll period: 1, 4, 1, 4 on Linux. */
TEST(the_profile_is_read_by_its_names) {
    static const struct reading readings[] = {
        {"balanced", 1},      {"default", 1},  {"release-fast", 4}, {"fast", 4},
        {"release", 4},       {"debug-safe", 1}, {"debug", 1},      {"safe", 1},
        {"io-latency", 4},    {"latency-io", 4}, {"poll", 4},       {"", UNCHANGED},
        {"Balanced", UNCHANGED}, {"FAST", UNCHANGED}, {"1", UNCHANGED}, {"fast ", UNCHANGED}};
    plain_environment();
    for (uint32_t profile = 0; profile < 4; profile++) {
        llam_runtime_opts_t opts = default_opts();
        opts.profile = profile;
        CHECK_EQ(report(&opts, 0, PERIOD), profile % 2 == 1 ? 4 : 1);
        CHECK_READINGS("RUNTIME_PROFILE", readings, &opts, PERIOD);
    }
}

/* 5.16: numbers are decimal digits only; a sign, leading space, suffix or overflow counts as unset;
 * too large values are clamped. */
TEST(the_period_is_a_clamped_number) {
    static const struct reading readings[] = {
        {"1", 1},           {"9", 9},         {"4096", 4096},     {"4097", 4096},
        {"0007", 7},        {"100000", 4096}, {"4294967296", 4096}, {"4294967297", 4096},
        {"18446744073709551615", 4096},       {"18446744073709551616", UNCHANGED},
        {"99999999999999999999999", UNCHANGED}, {"", UNCHANGED},  {"-5", UNCHANGED},
        {"+5", UNCHANGED},  {" 5", UNCHANGED}, {"5 ", UNCHANGED}, {"5k", UNCHANGED},
        {"0x10", UNCHANGED}, {"five", UNCHANGED}};
    llam_runtime_opts_t opts = default_opts();
    plain_environment();
    opts.preempt_poll_period = 77;
    CHECK_EQ(report(&opts, 0, PERIOD), 77);
    CHECK_READINGS("PREEMPT_POLL_PERIOD", readings, &opts, PERIOD);
    opts.preempt_mode = LLAM_PREEMPT_COOPERATIVE;
    CHECK_READINGS("PREEMPT_POLL_PERIOD", readings, &opts, PERIOD);
}

/* A period of 0 in the environment takes the default of the profile, as one in the options does. */
TEST(a_period_of_0_takes_the_default_of_the_profile) {
    static const struct reading readings[] = {{"0", 4}};
    llam_runtime_opts_t opts = default_opts();
    plain_environment();
    opts.profile = LLAM_RUNTIME_PROFILE_RELEASE_FAST;
    opts.preempt_poll_period = 77;
    CHECK_READINGS("PREEMPT_POLL_PERIOD", readings, &opts, PERIOD);
    opts.preempt_poll_period = 0;
    CHECK_EQ(report(&opts, 0, PERIOD), 4);
}

/* 5.16 and 4.18: OFF and STRICT still force 0 and 1. Section 3: an option above 4096 is 4096. */
TEST(off_and_strict_force_the_period) {
    static const struct reading off[] = {{"9", 0}, {"4097", 0}}, strict[] = {{"9", 1}, {"0", 1}};
    llam_runtime_opts_t opts = default_opts();
    plain_environment();
    opts.preempt_poll_period = 4097;
    CHECK_EQ(report(&opts, 0, PERIOD), 4096);
    opts.preempt_poll_period = UINT32_MAX;
    CHECK_EQ(report(&opts, 1, PERIOD), 4096);
    opts.preempt_mode = LLAM_PREEMPT_OFF;
    CHECK_EQ(report(&opts, 0, PERIOD), 0);
    CHECK_READINGS("PREEMPT_POLL_PERIOD", off, &opts, PERIOD);
    opts.preempt_mode = LLAM_PREEMPT_STRICT;
    CHECK_EQ(report(&opts, 0, PERIOD), 1);
    CHECK_READINGS("PREEMPT_POLL_PERIOD", strict, &opts, PERIOD);
}

/* 5.16: the quantum, at most 10^9; 0 means class budgets. */
TEST(the_quantum_is_a_clamped_number) {
    static const struct reading readings[] = {
        {"0", 0},          {"1", 1},          {"250000", 250000},       {"1000000000", 1000000000},
        {"1000000001", 1000000000},           {"18446744073709551615", 1000000000},
        {"18446744073709551616", UNCHANGED},  {"", UNCHANGED},          {"-1", UNCHANGED},
        {"1us", UNCHANGED}, {" 1", UNCHANGED}};
    llam_runtime_opts_t opts = default_opts();
    plain_environment();
    CHECK_READINGS("PREEMPT_QUANTUM_NS", readings, &opts, QUANTUM);
    opts.preempt_quantum_ns = 5555;
    CHECK_EQ(report(&opts, 0, QUANTUM), 5555);
    CHECK_READINGS("PREEMPT_QUANTUM_NS", readings, &opts, QUANTUM);
}

/* 5.16: of two spellings the LLAM_ one wins. */
TEST(the_llam_spelling_wins) {
    plain_environment();
    CHECK_OK(setenv("NM_PREEMPT_MODE", "off", 1));
    CHECK_EQ(report(NULL, 0, MODE), LLAM_PREEMPT_OFF);
    CHECK_OK(setenv("LLAM_PREEMPT_MODE", "strict", 1));
    CHECK_EQ(report(NULL, 0, MODE), LLAM_PREEMPT_STRICT);
    CHECK_OK(setenv("NM_PREEMPT_QUANTUM_NS", "7", 1));
    CHECK_OK(setenv("LLAM_PREEMPT_QUANTUM_NS", "8", 1));
    CHECK_EQ(report(NULL, 1, QUANTUM), 8);
    CHECK_OK(unsetenv("LLAM_PREEMPT_MODE"));
    CHECK_EQ(report(NULL, 0, MODE), LLAM_PREEMPT_OFF);
}

/* 5.16: read at every init and create: a runtime keeps what it was made with. */
TEST(variables_are_read_at_every_init_and_create) {
    plain_environment();
    CHECK_OK(setenv("LLAM_PREEMPT_MODE", "off", 1));
    llam_runtime_t *off = create_ok();
    CHECK_OK(setenv("LLAM_PREEMPT_MODE", "strict", 1));
    llam_runtime_t *strict = create_ok();
    CHECK_OK(setenv("LLAM_PREEMPT_MODE", "coop", 1));
    init_default(0);
    CHECK_OK(unsetenv("LLAM_PREEMPT_MODE"));
    CHECK_EQ(stats_of(off).preempt_mode, LLAM_PREEMPT_OFF);
    CHECK_EQ(stats_of(strict).preempt_mode, LLAM_PREEMPT_STRICT);
    CHECK_EQ(default_stats().preempt_mode, LLAM_PREEMPT_COOPERATIVE);
    llam_runtime_destroy(off);
    llam_runtime_destroy(strict);
    llam_runtime_shutdown();
    init_default(0);
    CHECK_EQ(default_stats().preempt_mode, LLAM_PREEMPT_AUTO);
    llam_runtime_shutdown();
}

static void task_works(void *arg) {
    llam_yield();
    CHECK_OK(llam_sleep_ns(CHECK_MS / 10));
    CHECK_OK(llam_enter_blocking());
    CHECK_OK(llam_leave_blocking());
    task_count(arg);
}

static void check_runtime_works(void) {
    atomic_int ran = 0;
    init_default(0);
    for (int i = 0; i < 10; i++) CHECK_OK(llam_detach(spawn_ok(task_works, &ran)));
    CHECK_OK(llam_run());
    CHECK_EQ(ran, 10);
    llam_runtime_shutdown();
}

/* 5.16: the tuning variables change no result, whatever their text. */
TEST(tuning_variables_change_no_result) {
    static const char *const variables[] = {
        "SAFEPOINT_CLOCK_PERIOD", "STRICT_SAFEPOINT",   "TRACE_EVENTS",       "WAKE_LATENCY_METRICS",
        "STACK_SAMPLING",         "RUN_TIMING",         "TASK_LIST_EAGER",    "OPAQUE_TIMING",
        "BIND_WORKERS",           "TASK_CACHE_PREWARM", "STACK_CACHE_PREWARM", "TIMER_HEAP_PREWARM",
        "FP_CONTROL_CONTEXT"};
    static const char *const texts[] = {"1", "0", "true", "OFF", "64", "", "garbage", "-1"};
    for (size_t text = 0; text < sizeof texts / sizeof texts[0]; text++) {
        for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
            char name[64];
            snprintf(name, sizeof name, "%s_%s", i % 2 == text % 2 ? "LLAM" : "NM", variables[i]);
            CHECK_OK(setenv(name, texts[text], 1));
        }
        check_runtime_works();
    }
}

/* 5.16: variables of bundled programs and of other mechanisms are ignored. */
TEST(other_variables_are_ignored) {
    static const char *const variables[] = {
        "LLAM_EXPERIMENTAL_DYNAMIC_WORKERS", "LLAM_EXPERIMENTAL_SQPOLL",
        "LLAM_EXPERIMENTAL_WORKER_RINGS",    "LLAM_EXPERIMENTAL_HUGE_ALLOC",
        "LLAM_IDLE_SPIN_NS",                 "LLAM_IDLE_SPIN_ITERS",
        "LLAM_RUNTIME_DUMP_ON_SIGNAL",       "LLAM_BENCH_TASKS",
        "LLAM_IO_RING_ENTRIES",              "LLAM_DIRECT_SWITCH",
        "LLAM_READ_READY_LIMIT",             "LLAM_CHANNEL_FAST_PATH",
        "LLAM_YIELD_DIRECT",                 "LLAM_OPAQUE_HELPERS",
        "LLAM_SPAWN_BATCH",                  "LLAM_DETERMINISTIC"};
    plain_environment();
    llam_runtime_stats_t before = started(NULL, 0);
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        CHECK_OK(setenv(variables[i], "1", 1));
    CHECK_OK(setenv("LLAM_SQPOLL_CPU", "1000000", 1));
    llam_runtime_stats_t after = started(NULL, 0);
    CHECK_EQ(after.active_workers, before.active_workers);
    CHECK_OK(memcmp(&after.dynamic_workers, &before.dynamic_workers, 24));
    CHECK_EQ(after.preempt_mode, before.preempt_mode);
    check_runtime_works();
}

MAIN
