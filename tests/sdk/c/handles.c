/* Stale and forged handles by the million: abi.md R1 for every family, the neutral values of 4.3
 * and 4.16, 2.2. Lines of Appendix A covered: dead tasks answer neutrally "also after new tasks
 * were spawned, after shutdown and after re-init"; "a destroyed channel ... after 64 new channels
 * too"; "llam_io_buffer_release twice, with NULL, with a stale value"; "buffer accessors on NULL or
 * stale".
 *
 * Every family has a probe: it calls every function that takes the family with one value that is
 * not a live handle of it, and checks each answer. Live objects of all families stand by meanwhile
 * and must come out unharmed. The seed is printed; LLAM_HANDLES_SEED sets it, LLAM_HANDLES_CALLS
 * the number of calls per family and test.
 */
#include "sync.h"

#define FAMILIES 10
#define DEFAULT_CALLS 1000000
#define STALE_VALUES 256

enum { TASK, MUTEX, COND, CHANNEL, TOKEN, BUFFER, RUNTIME, GROUP, TIMER, SIGNALS };

static uint64_t random_state;

/* xorshift64*. */
static uint64_t next_random(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * UINT64_C(2685821657736338717);
}

static long calls_per_family(void) {
    const char *text = getenv("LLAM_HANDLES_CALLS");
    return text != NULL ? atol(text) : DEFAULT_CALLS;
}

static void seed_random(void) {
    const char *text = getenv("LLAM_HANDLES_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    random_state = text != NULL ? strtoull(text, NULL, 10) : (uint64_t)now.tv_nsec * 7919 + 1;
    if (random_state == 0) random_state = 1;
    printf("  seed %" PRIu64 "\n", random_state);
    fflush(stdout);
}

/* ---- One probe per family: returns the number of calls it has made ---- */

/* The value that a probe is at, for the message of a failure. */
static const void *suspect;

#define WRONG(...)                                                                               \
    do {                                                                                         \
        printf("  value %p: ", suspect);                                                         \
        FAIL(__VA_ARGS__);                                                                       \
    } while (0)

#define MUST_FAIL(call)                                                                          \
    do {                                                                                         \
        errno = ENOTTY;                                                                          \
        int64_t must_r = (int64_t)(call);                                                        \
        int must_n = errno;                                                                      \
        calls++;                                                                                 \
        if (must_r != -1 || must_n != EINVAL)                                                    \
            WRONG("%s gave %" PRId64 " with errno %d", #call, must_r, must_n);                   \
    } while (0)

#define MUST_BE(call, expected, code)                                                            \
    do {                                                                                         \
        errno = ENOTTY;                                                                          \
        uint64_t must_r = (uint64_t)(call);                                                      \
        int must_n = errno;                                                                      \
        calls++;                                                                                 \
        if (must_r != (uint64_t)(expected) || must_n != (code))                                  \
            WRONG("%s gave %" PRIu64 " with errno %d", #call, must_r, must_n);                   \
    } while (0)

#define MUST_BE_NULL(call) MUST_BE((uintptr_t)(call), 0, EINVAL)

static void never_runs(void *arg) { FAIL("a task of a failed spawn runs: %p", arg); }

static int probe_task(void *value) {
    int calls = 0;
    llam_task_t *task = value;
    MUST_FAIL(llam_join(task));
    MUST_FAIL(llam_join_until(task, 0));
    MUST_FAIL(llam_join_until(task, UINT64_MAX));
    MUST_FAIL(llam_detach(task));
    MUST_BE(llam_task_id(task), 0, ENOTTY);
    MUST_BE(llam_task_class(task), 1, ENOTTY);
    MUST_BE(llam_task_flags(task), 0, ENOTTY);
    MUST_BE(strcmp(llam_task_state_name(task), "UNKNOWN"), 0, ENOTTY);
    return calls;
}

static llam_cond_t *live_cond;

static int probe_mutex(void *value) {
    int calls = 0;
    llam_mutex_t *mutex = value;
    MUST_FAIL(llam_mutex_lock(mutex));
    MUST_FAIL(llam_mutex_lock_until(mutex, 0));
    MUST_FAIL(llam_mutex_trylock(mutex));
    MUST_FAIL(llam_mutex_unlock(mutex));
    MUST_FAIL(llam_cond_wait_until(live_cond, mutex, 0));
    MUST_FAIL(llam_mutex_destroy(mutex));
    return calls;
}

static llam_mutex_t *live_mutex;

static int probe_cond(void *value) {
    int calls = 0;
    llam_cond_t *cond = value;
    MUST_FAIL(llam_cond_wait(cond, live_mutex));
    MUST_FAIL(llam_cond_wait_until(cond, live_mutex, 0));
    MUST_FAIL(llam_cond_signal(cond));
    MUST_FAIL(llam_cond_broadcast(cond));
    MUST_FAIL(llam_cond_destroy(cond));
    return calls;
}

static int probe_channel(void *value) {
    int calls = 0;
    llam_channel_t *channel = value;
    void *out = &out;
    MUST_FAIL(llam_channel_send(channel, NULL));
    MUST_FAIL(llam_channel_send_until(channel, NULL, 0));
    MUST_FAIL(llam_channel_try_send(channel, NULL));
    MUST_FAIL(llam_channel_recv_result(channel, &out));
    CHECK_PTR(out, NULL);
    MUST_FAIL(llam_channel_recv_until_result(channel, 0, &out));
    MUST_FAIL(llam_channel_try_recv_result(channel, &out));
    MUST_BE_NULL(llam_channel_recv(channel));
    MUST_BE_NULL(llam_channel_recv_until(channel, 0));
    MUST_FAIL(llam_channel_close(channel));
    MUST_FAIL(llam_channel_destroy(channel));
    if (llam_current_task() != NULL) {
        size_t index = 0;
        llam_select_op_t op = {LLAM_SELECT_OP_RECV, 0, channel, NULL, &out, 1};
        MUST_FAIL(llam_channel_select(&op, 1, 0, &index));
    }
    return calls;
}

static int probe_token(void *value) {
    int calls = 0;
    llam_cancel_token_t *token = value;
    MUST_FAIL(llam_cancel_token_cancel(token));
    MUST_FAIL(llam_cancel_token_is_cancelled(token));
    MUST_FAIL(llam_cancel_token_destroy(token));
    if (value != NULL) {
        llam_spawn_opts_t opts = {1, 0, 0, 0, 0, token};
        MUST_BE_NULL(llam_spawn_ex(never_runs, value, &opts, sizeof opts));
        MUST_BE_NULL(llam_spawn(never_runs, value, &opts));
    }
    return calls;
}

static int probe_buffer(void *value) {
    int calls = 0;
    llam_io_buffer_t *buffer = value;
    MUST_BE_NULL(llam_io_buffer_data(buffer));
    MUST_BE(llam_io_buffer_size(buffer), 0, EINVAL);
    MUST_BE(llam_io_buffer_capacity(buffer), 0, EINVAL);
    MUST_BE(llam_io_buffer_alignment(buffer), 0, EINVAL);
    llam_io_buffer_release(buffer);
    return calls + 1;
}

static int probe_runtime(void *value) {
    int calls = 0;
    llam_runtime_t *runtime = value;
    uint64_t stats[2] = {7, 7};
    MUST_FAIL(llam_runtime_run_handle(runtime));
    MUST_BE_NULL(llam_runtime_spawn_ex(runtime, never_runs, value, NULL, 0));
    MUST_FAIL(
        llam_runtime_collect_stats_ex_handle(runtime, (llam_runtime_stats_t *)stats, 8));
    if (stats[0] != 0 || stats[1] != 7) WRONG("the prefix is not zeroed, or more is");
    if (value != NULL) {
        errno = ENOTTY;
        llam_runtime_destroy(runtime);
        if (errno != ENOTTY) WRONG("destroy has changed errno to %d", errno);
        calls++;
    }
    return calls;
}

static int probe_group(void *value) {
    int calls = 0;
    llam_task_group_t *group = value;
    MUST_BE_NULL(llam_task_group_spawn(group, never_runs, value, NULL));
    MUST_BE_NULL(llam_task_group_spawn_ex(group, never_runs, value, NULL, 0));
    MUST_FAIL(llam_task_group_cancel(group));
    MUST_FAIL(llam_task_group_join(group));
    MUST_FAIL(llam_task_group_join_until(group, 0));
    MUST_FAIL(llam_task_group_destroy(group));
    return calls;
}

static int probe_timer(void *value) {
    int calls = 0;
    llam_timer_t *timer = value;
    uint64_t ticks = 9;
    MUST_FAIL(llam_timer_wait(timer, &ticks));
    MUST_FAIL(llam_timer_wait_until(timer, 1, &ticks));
    if (ticks != 0) WRONG("the ticks are not cleared");
    MUST_FAIL(llam_timer_reset(timer, 0, 1));
    MUST_FAIL(llam_timer_cancel(timer));
    MUST_FAIL(llam_timer_destroy(timer));
    return calls;
}

static int probe_signals(void *value) {
    int calls = 0;
    llam_signal_set_t *set = value;
    llam_signal_event_t event = {9, 9, 9};
    MUST_FAIL(llam_signal_wait(set, &event));
    MUST_FAIL(llam_signal_wait_until(set, 0, &event));
    if (event.signo != 0 || event.sequence != 0) WRONG("the event is not cleared");
    MUST_FAIL(llam_signal_set_destroy(set));
    return calls;
}

/* ---- Making and ending an object of each family ---- */

static void short_task(void *arg) { (void)arg; }

static void *make_task(void) { return llam_spawn(short_task, NULL, NULL); }
static void end_task(void *value) { CHECK_OK(llam_detach(value)); }
static void *make_mutex(void) { return llam_mutex_create(); }
static void end_mutex(void *value) { CHECK_OK(llam_mutex_destroy(value)); }
static void *make_cond(void) { return llam_cond_create(); }
static void end_cond(void *value) { CHECK_OK(llam_cond_destroy(value)); }
static void *make_channel(void) { return llam_channel_create(2); }
static void end_channel(void *value) { CHECK_OK(llam_channel_destroy(value)); }
static void *make_token(void) { return llam_cancel_token_create(); }
static void end_token(void *value) { CHECK_OK(llam_cancel_token_destroy(value)); }
static void *make_group(void) { return llam_task_group_create(); }
static void end_group(void *value) { CHECK_OK(llam_task_group_destroy(value)); }
static void end_buffer(void *value) { llam_io_buffer_release(value); }
static void end_runtime(void *value) { llam_runtime_destroy(value); }
static void end_timer(void *value) { CHECK_OK(llam_timer_destroy(value)); }
static void end_signals(void *value) { CHECK_OK(llam_signal_set_destroy(value)); }

static void *make_buffer(void) {
    llam_io_buffer_t *buffer = NULL;
    CHECK_OK(llam_io_buffer_alloc(16, &buffer));
    return buffer;
}

static void *make_runtime(void) { return create_runtime(); }

static void *make_timer(void) {
    llam_timer_t *timer = NULL;
    CHECK_OK(llam_timer_create(UINT64_C(3600) * 1000000000, &timer));
    return timer;
}

static void *make_signals(void) {
    static int offset;
    int signo = SIGRTMIN + 5 + offset++ % 8;
    llam_signal_set_t *set = NULL;
    CHECK_OK(llam_signal_set_create_ex(&signo, 1, NULL, 0, &set));
    return set;
}

static const struct family {
    const char *name;
    int (*probe)(void *value);
    void *(*make)(void);
    void (*end)(void *value);
    /* Objects that live while others are made and ended. */
    int alive;
} families[FAMILIES] = {
    [TASK] = {"task", probe_task, make_task, end_task, 8},
    [MUTEX] = {"mutex", probe_mutex, make_mutex, end_mutex, 8},
    [COND] = {"cond", probe_cond, make_cond, end_cond, 8},
    [CHANNEL] = {"channel", probe_channel, make_channel, end_channel, 8},
    [TOKEN] = {"token", probe_token, make_token, end_token, 8},
    [BUFFER] = {"buffer", probe_buffer, make_buffer, end_buffer, 8},
    [RUNTIME] = {"runtime", probe_runtime, make_runtime, end_runtime, 2},
    [GROUP] = {"group", probe_group, make_group, end_group, 8},
    [TIMER] = {"timer", probe_timer, make_timer, end_timer, 8},
    [SIGNALS] = {"signal set", probe_signals, make_signals, end_signals, 4},
};

static void *live[FAMILIES][8];
static void *stale[FAMILIES][STALE_VALUES];

static int is_live(const void *value) {
    for (int f = 0; f < FAMILIES; f++)
        for (int i = 0; i < families[f].alive; i++)
            if (live[f][i] == value) return 1;
    return value == llam_runtime_default() || value == (void *)llam_current_task();
}

/* Makes and ends objects until there are stale values; slots are used again and again. Tasks and
 * runtimes need what only the caller knows to be there. */
static void make_stale(int family, int count) {
    for (int i = 0; i < count; i++) {
        void *value = families[family].make();
        if (value == NULL) FAIL("no %s: errno %d", families[family].name, errno);
        for (int k = 0; k < i; k++)
            if (stale[family][k] == value)
                FAIL("a dead %s handle came again", families[family].name);
        families[family].end(value);
        stale[family][i] = value;
    }
    for (int i = count; i < STALE_VALUES; i++) stale[family][i] = stale[family][i % count];
}

static void make_live(int family) {
    for (int i = 0; i < families[family].alive; i++) {
        live[family][i] = families[family].make();
        CHECK(live[family][i] != NULL);
    }
    if (family == MUTEX) live_mutex = live[MUTEX][0];
    if (family == COND) live_cond = live[COND][0];
}

/* Each live object is as it was made. Runs on a host thread while the runtime is live. */
static void check_live(void) {
    for (int i = 0; i < 8; i++) {
        void *out;
        CHECK(llam_task_id(live[TASK][i]) != 0);
        CHECK_FAILS(llam_channel_try_recv_result(live[CHANNEL][i], &out), EAGAIN);
        CHECK_OK(llam_channel_try_send(live[CHANNEL][i], &out));
        CHECK_OK(llam_channel_try_recv_result(live[CHANNEL][i], &out));
        CHECK_PTR(out, &out);
        CHECK_EQ(llam_cancel_token_is_cancelled(live[TOKEN][i]), 0);
        CHECK_EQ(llam_io_buffer_capacity(live[BUFFER][i]) >= 16, 1);
        memset(llam_io_buffer_data(live[BUFFER][i]), i, 16);
        CHECK_OK(llam_task_group_join(live[GROUP][i]));
        uint64_t ticks;
        CHECK_FAILS(llam_timer_wait_until(live[TIMER][i], 1, &ticks), ETIMEDOUT);
        CHECK_FAILS(llam_mutex_trylock(live[MUTEX][i]), ENOTSUP);
        CHECK_OK(llam_cond_signal(live[COND][i]));
    }
    for (int i = 0; i < families[RUNTIME].alive; i++) {
        llam_runtime_stats_t stats;
        CHECK_OK(
            llam_runtime_collect_stats_ex_handle(live[RUNTIME][i], &stats, sizeof stats));
        CHECK(stats.active_workers > 0);
    }
    for (int i = 0; i < families[SIGNALS].alive; i++) {
        llam_signal_event_t event;
        CHECK_FAILS(llam_signal_wait_until(live[SIGNALS][i], 0, &event), ETIMEDOUT);
    }
}

static void end_live(int first, int last) {
    for (int f = first; f <= last; f++)
        for (int i = 0; i < families[f].alive; i++) {
            families[f].end(live[f][i]);
            live[f][i] = NULL;
        }
}

/* A value that is no live handle of the family. */
static void *pick(int family) {
    for (;;) {
        uint64_t random = next_random(), bits = next_random();
        int other = (int)((random >> 8) % FAMILIES), nth = (int)(random >> 24 & 7);
        uint64_t base = (uint64_t)(uintptr_t)live[family][nth % families[family].alive];
        switch (random & 7) {
        case 0: break;
        case 1: bits = base ^ UINT64_C(1) << (bits & 63); break;
        case 2: bits = base ^ (UINT64_C(1) << (bits & 63) | UINT64_C(1) << (bits >> 6 & 63)); break;
        case 3: bits = (uint64_t)(uintptr_t)stale[family][bits % STALE_VALUES]; break;
        case 4: bits = (uint64_t)(uintptr_t)stale[other][bits % STALE_VALUES]; break;
        case 5:
            bits = (uint64_t)(uintptr_t)live[other][nth % families[other].alive];
            if (other != family) return (void *)(uintptr_t)bits;
            continue;
        case 6: bits = base + (bits & 1 ? 1 + (bits >> 8 & 63) : -(1 + (bits >> 8 & 63))); break;
        default:
            bits = bits & 8 ? bits & 0xfff : (uint64_t)(uintptr_t)forged(bits >> 8 & 15);
            break;
        }
        if (!is_live((void *)(uintptr_t)bits)) return (void *)(uintptr_t)bits;
    }
}

static void probe_many(int family, long calls) {
    long made = 0;
    suspect = NULL;
    made += families[family].probe(NULL);
    for (int i = 0; i < STALE_VALUES; i++) {
        suspect = stale[family][i];
        made += families[family].probe(stale[family][i]);
    }
    while (made < calls) {
        void *value = pick(family);
        suspect = value;
        made += families[family].probe(value);
    }
}

static void probe_all(long calls) {
    for (int f = 0; f < FAMILIES; f++) probe_many(f, calls);
}

static void probe_all_in_task(void *arg) { probe_all(*(long *)arg); }

/* Makes stale values of the families that need a live runtime or cost more. */
static void set_up(void) {
    for (int f = 0; f < FAMILIES; f++) {
        if (f == TASK) {
            for (int i = 0; i < STALE_VALUES; i++) {
                stale[TASK][i] = make_task();
                CHECK(stale[TASK][i] != NULL);
            }
            CHECK_OK(llam_run());
            for (int i = 0; i < STALE_VALUES; i++)
                CHECK_OK(i % 2 == 0 ? llam_join(stale[TASK][i]) : llam_detach(stale[TASK][i]));
        } else {
            make_stale(f, f == RUNTIME || f == SIGNALS ? 16 : STALE_VALUES);
        }
        make_live(f);
    }
}

/* R1, on a host thread while the runtime is live, idle. */
TEST(a_host_thread_cannot_use_what_is_not_alive) {
    long calls = calls_per_family();
    seed_random();
    init_default(0);
    set_up();
    probe_all(calls);
    check_live();
    end_live(TASK, SIGNALS);
    CHECK_OK(llam_run());
    llam_runtime_shutdown();
}

/* R1, in a task; nothing behind a value is touched, so nothing parks either. */
TEST(a_task_cannot_use_what_is_not_alive) {
    long calls = calls_per_family();
    seed_random();
    init_default(0);
    set_up();
    CHECK_OK(llam_detach(spawn_ok(probe_all_in_task, &calls)));
    CHECK_OK(llam_run());
    check_live();
    end_live(TASK, SIGNALS);
    llam_runtime_shutdown();
}

/* R1: the same holds after the owning runtime has been shut down, and after it was initialised
 * again. Appendix A: dead task handles stay neutral then. */
TEST(nothing_comes_alive_through_shutdown_and_init) {
    long calls = calls_per_family() / 10;
    seed_random();
    init_default(0);
    set_up();
    void *tasks[8];
    memcpy(tasks, live[TASK], sizeof tasks);
    llam_runtime_shutdown();
    for (int i = 0; i < 8; i++) {
        suspect = tasks[i];
        probe_task(tasks[i]);
    }
    probe_all(calls);
    init_default(0);
    make_live(TASK);
    for (int i = 0; i < 8; i++) {
        suspect = tasks[i];
        probe_task(tasks[i]);
    }
    probe_all(calls);
    check_live();
    end_live(TASK, SIGNALS);
    CHECK_OK(llam_run());
    llam_runtime_shutdown();
}

/* One thread makes and ends objects; what it has ended must be dead for the other. */
struct relay {
    _Atomic(uintptr_t) dead[FAMILIES];
    atomic_int stop;
};

static void *make_and_end(void *arg) {
    struct relay *relay = arg;
    while (!atomic_load(&relay->stop)) {
        for (int f = MUTEX; f <= TIMER; f++) {
            if (f == RUNTIME) continue;
            void *value = families[f].make();
            CHECK(value != NULL);
            families[f].end(value);
            atomic_store(&relay->dead[f], (uintptr_t)value);
        }
    }
    return NULL;
}

/* R1 while another thread reuses the slots: a dead value is never accepted again. */
TEST(a_dead_value_stays_dead_while_its_slot_is_reused) {
    long rounds = calls_per_family() / 20;
    struct relay relay = {{0}, 0};
    init_default(0);
    live_cond = llam_cond_create();
    live_mutex = llam_mutex_create();
    pthread_t thread = start_thread(make_and_end, &relay);
    for (long i = 0; i < rounds; i++) {
        int f = MUTEX + (int)(i % (TIMER - MUTEX + 1));
        void *value = (void *)atomic_load(&relay.dead[f]);
        suspect = value;
        if (f != RUNTIME && value != NULL) families[f].probe(value);
    }
    atomic_store(&relay.stop, 1);
    end_thread(thread);
    CHECK_OK(llam_cond_destroy(live_cond));
    CHECK_OK(llam_mutex_destroy(live_mutex));
    llam_runtime_shutdown();
}

/* R1 and 4.2: 128 runtimes have 128 values, none the default's; 64 and more new objects never
 * bring a dead value back; live handles of different kinds are never equal. */
TEST(values_are_unique) {
    enum { COUNT = 300 };
    void *seen[FAMILIES][COUNT];
    init_default(0);
    for (int f = MUTEX; f < FAMILIES; f++) {
        int count = f == RUNTIME ? 128 : f == SIGNALS ? 64 : COUNT;
        for (int i = 0; i < count; i++) {
            seen[f][i] = families[f].make();
            CHECK(seen[f][i] != NULL && seen[f][i] != (void *)llam_runtime_default());
            for (int k = 0; k < i; k++) CHECK(seen[f][k] != seen[f][i]);
            families[f].end(seen[f][i]);
        }
    }
    for (int f = TASK; f < FAMILIES; f++) make_live(f);
    for (int f = TASK; f < FAMILIES; f++)
        for (int g = TASK; g < FAMILIES; g++)
            for (int i = 0; i < families[f].alive; i++)
                for (int k = 0; k < families[g].alive; k++)
                    CHECK((f == g && i == k) || live[f][i] != live[g][k]);
    end_live(TASK, SIGNALS);
    CHECK_OK(llam_run());
    llam_runtime_shutdown();
}

/* Appendix A: releasing twice, with NULL, with a stale value: nothing happens. */
TEST(a_double_release_harms_no_other_buffer) {
    llam_io_buffer_t *first = make_buffer();
    errno = ENOTTY;
    llam_io_buffer_release(NULL);
    llam_io_buffer_release(first);
    llam_io_buffer_t *second = make_buffer();
    CHECK(second != first);
    memset(llam_io_buffer_data(second), 0x5a, 16);
    for (int i = 0; i < 1000; i++) llam_io_buffer_release(first);
    const unsigned char *bytes = llam_io_buffer_data(second);
    for (int i = 0; i < 16; i++) CHECK_EQ(bytes[i], 0x5a);
    llam_io_buffer_release(second);
    suspect = second;
    probe_buffer(second);
}

/* 2.2, R1: reading behind a handle is not needed for anything: all are refused as another kind. */
TEST(a_live_handle_of_another_family_is_refused) {
    init_default(0);
    for (int f = 0; f < FAMILIES; f++) make_live(f);
    for (int f = 0; f < FAMILIES; f++) {
        for (int g = 0; g < FAMILIES; g++) {
            suspect = live[g][0];
            if (f != g) families[f].probe(live[g][0]);
        }
        suspect = llam_runtime_default();
        if (f != RUNTIME) families[f].probe(llam_runtime_default());
    }
    check_live();
    end_live(TASK, SIGNALS);
    CHECK_OK(llam_run());
    llam_runtime_shutdown();
}

/* Runs and ends explicit runtimes, one after the other. */
static void *end_runtimes(void *arg) {
    atomic_int *stop = arg;
    llam_runtime_opts_t opts;
    CHECK_OK(llam_runtime_opts_init(&opts, sizeof opts));
    opts.deterministic = 1;
    while (!atomic_load(stop)) {
        llam_runtime_t *runtime = NULL;
        CHECK_OK(llam_runtime_create(&opts, sizeof opts, &runtime));
        for (int i = 0; i < 300; i++) {
            llam_task_t *task = llam_runtime_spawn_ex(runtime, short_task, NULL, NULL, 0);
            CHECK(task != NULL);
            CHECK_OK(llam_detach(task));
        }
        CHECK_OK(llam_runtime_run_handle(runtime));
        llam_runtime_destroy(runtime);
    }
    return NULL;
}

/* R1, 4.2: destroying a runtime makes its own handles invalid and nobody else's, not even that of a
 * task that is being spawned elsewhere at that moment. */
TEST(the_end_of_a_runtime_spares_the_tasks_of_others) {
    enum { BATCH = 200 };
    atomic_int stop = 0;
    pthread_t threads[2];
    init_default(0);
    for (int i = 0; i < 2; i++) threads[i] = start_thread(end_runtimes, &stop);
    for (uint64_t end = after_ms(2000); llam_now_ns() < end;) {
        llam_task_t *tasks[BATCH];
        for (int i = 0; i < BATCH; i++) tasks[i] = spawn_ok(short_task, NULL);
        for (int i = 0; i < BATCH; i++) CHECK_OK(llam_detach(tasks[i]));
        CHECK_OK(llam_run());
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 2; i++) end_thread(threads[i]);
    llam_runtime_shutdown();
}

MAIN
