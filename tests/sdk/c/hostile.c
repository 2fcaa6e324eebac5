/* Calls each of the 130 functions with wrong arguments of every kind, from every place, and checks
 * each answer against what abi.md says: usage `hostile [seconds] [seed]`, 60 seconds and a seed
 * from the clock if not given; LLAM_HOSTILE_SECONDS overrides the seconds.
 *
 * A round takes the default runtime through its states. Callers: host threads before init, while it
 * is idle, while it runs, and after shutdown; tasks, a cancelled task, a blocking callback, a task
 * of an explicit runtime, and the last task of a runtime that is stopping. The phase never changes
 * under a caller, so that every answer is known beforehand.
 *
 * The first wrong answer ends the program with exit code 1, a hang with a report of the calls in
 * progress and exit code 1. So does a function that was never called. The seed repeats the calls of
 * each caller, not their order among callers.
 *
 * hostile.h has the frame; hostile_base.h, hostile_objects.h, hostile_tasks.h and hostile_io.h have
 * one `try_` function for each function of the ABI. abi.md R1 to R8 and section 4.
 */
#include "hostile_base.h"
#include "hostile_io.h"
#include "hostile_objects.h"
#include "hostile_tasks.h"

#include <sys/mman.h>

/* A round takes well under a second; this covers checkers that slow it down. */
#define WATCHDOG_SECONDS 120

typedef void try_function(struct ctx *c);

static try_function *const tries[FUNCTIONS] = {
#define X(name) [ID_##name] = try_##name,
    LLAM_FUNCTIONS(X)
#undef X
};

_Static_assert(FUNCTIONS == LLAM_FUNCTION_COUNT, "the list has every function");

enum caller { MAIN_HOST, SECOND_HOST, CALLBACK, FIRST_TASK, SECOND_TASK, CANCELLED, FOREIGN, LAST };
#define CALLERS 8

static struct ctx callers[CALLERS] = {
    [MAIN_HOST] = {.name = "main thread"},
    [SECOND_HOST] = {.name = "host thread"},
    [CALLBACK] = {.name = "blocking callback"},
    [FIRST_TASK] = {.name = "first task", .place = TASK},
    [SECOND_TASK] = {.name = "second task", .place = TASK},
    [CANCELLED] = {.name = "cancelled task", .place = TASK, .cancelled = 1},
    [FOREIGN] = {.name = "task of an explicit runtime", .place = FOREIGN_TASK},
    [LAST] = {.name = "last task", .place = TASK},
};

/* Calls that each caller makes in a phase; a caller that runs a phase twice makes them twice. */
static int calls_per_batch = 2500;

/* ---- One caller ---- */

static void set_up(struct ctx *c) {
    llam_timer_t *timer = NULL;
    llam_io_buffer_t *buffer = NULL;
    llam_runtime_t *runtime = NULL;
    llam_runtime_opts_t opts;
    MUST(c, (c->own[MUTEX] = llam_mutex_create()) != NULL);
    MUST(c, (c->own[COND] = llam_cond_create()) != NULL);
    MUST(c, (c->own[CHANNEL] = llam_channel_create(2)) != NULL);
    MUST(c, (c->own[TOKEN] = llam_cancel_token_create()) != NULL);
    MUST(c, (c->own[GROUP] = llam_task_group_create()) != NULL);
    MUST(c, llam_timer_create(UINT64_C(36000) * 1000000000, &timer) == 0);
    c->own[TIMER] = timer;
    MUST(c, llam_io_buffer_alloc_aligned(32, 64, &buffer) == 0);
    c->own[BUFFER] = buffer;
    c->own[TASKS] = llam_current_task();
    if (c->place != FOREIGN_TASK) {
        MUST(c, llam_runtime_opts_init(&opts, sizeof opts) == 0);
        opts.deterministic = 1;
        MUST(c, llam_runtime_create(&opts, sizeof opts, &runtime) == 0);
    }
    c->own[RUNTIME] = runtime;
    MUST(c, llam_timer_create(1, &c->due) == 0);
    MUST(c, (c->closed = llam_channel_create(1)) != NULL);
    MUST(c, llam_channel_close(c->closed) == 0);
    MUST(c, llam_task_local_key_create(&c->key) == 0);
    if (!in_task(c) && !is_live(c)) return;
    MUST(c, (c->full = llam_channel_create(1)) != NULL);
    MUST(c, llam_channel_try_send(c->full, CONTENT) == 0);
    MUST(c, llam_timer_create(1, &c->stopped) == 0);
    MUST(c, llam_timer_cancel(c->stopped) == 0);
}

/* Every object is as it was made: the calls have had no effect on it. */
static void tear_down(struct ctx *c) {
    void *out = NULL;
    MUST(c, llam_mutex_destroy(c->own[MUTEX]) == 0);
    MUST(c, llam_cond_destroy(c->own[COND]) == 0);
    MUST(c, llam_channel_destroy(c->own[CHANNEL]) == 0);
    MUST(c, llam_cancel_token_is_cancelled(c->own[TOKEN]) == 0);
    MUST(c, llam_cancel_token_destroy(c->own[TOKEN]) == 0);
    MUST(c, llam_task_group_destroy(c->own[GROUP]) == 0);
    MUST(c, llam_timer_destroy(c->own[TIMER]) == 0);
    MUST(c, llam_timer_destroy(c->due) == 0);
    MUST(c, llam_channel_destroy(c->closed) == 0);
    MUST(c, llam_task_local_key_delete(c->key) == 0);
    llam_io_buffer_release(c->own[BUFFER]);
    for (int f = 0; f < FAMILIES; f++) {
        if (f != TASKS && f != RUNTIME) stale[f][below(c, STALE_VALUES)] = c->own[f];
        if (f != RUNTIME) c->own[f] = NULL;
    }
    if (c->full == NULL) return;
    MUST(c, llam_channel_try_recv_result(c->full, &out) == 0 && out == CONTENT);
    MUST(c, llam_channel_destroy(c->full) == 0);
    MUST(c, llam_timer_destroy(c->stopped) == 0);
    c->full = NULL;
    c->stopped = NULL;
}

/* Explicit runtimes are ended on host threads only. */
static void end_runtime(struct ctx *c) {
    if (c->own[RUNTIME] == NULL) return;
    llam_runtime_destroy(c->own[RUNTIME]);
    stale[RUNTIME][below(c, STALE_VALUES)] = c->own[RUNTIME];
    c->own[RUNTIME] = NULL;
}

static void make_calls(struct ctx *c, enum phase phase) {
    c->phase = phase;
    set_up(c);
    for (int i = 0; i < calls_per_batch; i++) tries[below(c, FUNCTIONS)](c);
    tear_down(c);
}

static void host_calls(struct ctx *c, enum phase phase) {
    make_calls(c, phase);
    end_runtime(c);
}

/* ---- One round ---- */

/* Callers that are still busy in the running phase; whether the run has begun, and is over. */
static atomic_int busy, begun, over;

static void task_calls(void *arg) {
    await_count(&begun, 1);
    make_calls(arg, RUNNING);
    atomic_fetch_sub(&busy, 1);
}

static void *callback_calls(void *arg) {
    host_calls(arg, RUNNING);
    return arg;
}

static void calls_from_callback(void *arg) {
    void *out = NULL;
    await_count(&begun, 1);
    MUST(&callers[CALLBACK], llam_call_blocking_result(callback_calls, arg, &out) == 0);
    atomic_fetch_sub(&busy, 1);
}

/* Holds busy_mutex from before the first call to after the last. */
static void hold_mutex(void *arg) {
    struct ctx *c = arg;
    MUST(c, llam_mutex_lock(busy_mutex) == 0);
    atomic_store(&begun, 1);
    while (!atomic_load(&over)) {
        /* After the stop request this fails at once; then it gives way by a yield. */
        (void)llam_sleep_ns(500000);
        llam_yield();
    }
    MUST(c, llam_mutex_unlock(busy_mutex) == 0);
}

/* The last caller: when the others have finished, it stops its runtime and goes on. */
static void last_calls(void *arg) {
    struct ctx *c = arg;
    while (atomic_load(&busy) != 0) MUST(c, llam_sleep_ns(200000) == 0);
    MUST(c, llam_runtime_request_stop() == 0);
    c->cancelled = 1;
    make_calls(c, STOPPING);
    c->cancelled = 0;
    atomic_store(&over, 1);
}

static void *second_host_idle(void *arg) {
    host_calls(arg, IDLE);
    return NULL;
}

static void *second_host_not_live(void *arg) {
    host_calls(arg, NOT_LIVE);
    return NULL;
}

static void *second_host_running(void *arg) {
    await_count(&begun, 1);
    host_calls(arg, RUNNING);
    atomic_fetch_sub(&busy, 1);
    return NULL;
}

static void foreign_task(void *arg) { make_calls(arg, RUNNING); }

static void spawn_caller(llam_task_t **task, llam_runtime_t *runtime, llam_task_fn fn,
                         enum caller caller) {
    llam_spawn_opts_t opts;
    struct ctx *c = &callers[caller];
    MUST(c, llam_spawn_opts_init(&opts, sizeof opts) == 0);
    opts.stack_class = LLAM_STACK_CLASS_HUGE;
    opts.flags = 0xffff0000U;
    opts.cancel_token = c->observed;
    *task = llam_runtime_spawn_ex(runtime, fn, c, &opts, sizeof opts);
    MUST(c, *task != NULL);
}

static void *run_foreign(void *arg) {
    struct ctx *c = arg;
    llam_runtime_t *runtime = NULL;
    llam_task_t *task;
    await_count(&begun, 1);
    MUST(c, llam_runtime_create(NULL, 0, &runtime) == 0);
    spawn_caller(&task, runtime, foreign_task, FOREIGN);
    MUST(c, llam_runtime_run_handle(runtime) == 0);
    MUST(c, llam_join(task) == 0);
    llam_runtime_destroy(runtime);
    stale[RUNTIME][below(c, STALE_VALUES)] = runtime;
    atomic_fetch_sub(&busy, 1);
    return NULL;
}

static void hosts_call(void *(*second)(void *), enum phase phase) {
    pthread_t thread = start_thread(second, &callers[SECOND_HOST]);
    host_calls(&callers[MAIN_HOST], phase);
    end_thread(thread);
}

/* llam_run with every caller of the running phase. */
static void running_phase(void) {
    struct ctx *c = &callers[MAIN_HOST];
    llam_runtime_t *runtime = defaults[RUNTIME];
    llam_task_t *tasks[6];
    atomic_store(&begun, 0);
    atomic_store(&over, 0);
    atomic_store(&busy, CALLERS - 2); /* All but MAIN_HOST and LAST. */
    MUST(c, (callers[CANCELLED].observed = llam_cancel_token_create()) != NULL);
    MUST(c, llam_cancel_token_cancel(callers[CANCELLED].observed) == 0);
    tasks[0] = llam_spawn(hold_mutex, c, NULL);
    MUST(c, tasks[0] != NULL);
    spawn_caller(&tasks[1], runtime, last_calls, LAST);
    pthread_t second = start_thread(second_host_running, &callers[SECOND_HOST]);
    pthread_t foreign = start_thread(run_foreign, &callers[FOREIGN]);
    spawn_caller(&tasks[2], runtime, task_calls, FIRST_TASK);
    spawn_caller(&tasks[3], runtime, task_calls, SECOND_TASK);
    spawn_caller(&tasks[4], runtime, task_calls, CANCELLED);
    spawn_caller(&tasks[5], runtime, calls_from_callback, CALLBACK);
    begin(c, ID_llam_run, 0, NULL);
    verdict(c, llam_run(), 0);
    end_thread(second);
    end_thread(foreign);
    for (int i = 0; i < 6; i++) MUST(c, llam_join(tasks[i]) == 0);
    for (int i = 0; i < CALLERS; i++) end_runtime(&callers[i]);
    MUST(c, llam_cancel_token_destroy(callers[CANCELLED].observed) == 0);
    callers[CANCELLED].observed = NULL;
}

static void round_of_calls(uint64_t number) {
    struct ctx *c = &callers[MAIN_HOST];
    alarm(WATCHDOG_SECONDS);
    for (int i = 0; i < CALLERS; i++) {
        callers[i].index = i;
        callers[i].random = (seed + number * CALLERS + (uint64_t)i) * UINT64_C(0x9e3779b97f4a7c15);
        if (callers[i].random == 0) callers[i].random = 1;
    }
    hosts_call(second_host_not_live, NOT_LIVE);
    begin(c, ID_llam_runtime_init_ex, 2, ARGUMENTS_OF(0, 0));
    verdict(c, number % 2 == 0 ? llam_runtime_init_ex(NULL, 0) : llam_runtime_init(NULL), 0);
    hosts_call(second_host_idle, IDLE);
    begin(c, ID_llam_run, 0, NULL);
    verdict(c, llam_run(), 0);
    running_phase();
    begin(c, ID_llam_runtime_shutdown, 0, NULL);
    llam_runtime_shutdown();
    errno_is_kept(c);
    hosts_call(second_host_not_live, NOT_LIVE);
}

/* ---- The program ---- */

static void make_orphans(void *arg) {
    struct ctx *c = arg;
    llam_timer_t *timer = NULL;
    int signo = SIGRTMIN + 4;
    llam_signal_set_t *set = NULL;
    orphans[MUTEX] = llam_mutex_create();
    orphans[COND] = llam_cond_create();
    orphans[CHANNEL] = llam_channel_create(1);
    orphans[TOKEN] = llam_cancel_token_create();
    orphans[GROUP] = llam_task_group_create();
    MUST(c, llam_timer_create(1, &timer) == 0);
    orphans[TIMER] = timer;
    MUST(c, llam_signal_set_create_ex(&signo, 1, NULL, 0, &set) == 0);
    orphans[SIGNALS] = set;
}

static void make_defaults(struct ctx *c) {
    llam_timer_t *timer = NULL;
    int signo = TAKEN_SIGNAL;
    llam_signal_set_t *set = NULL;
    defaults[RUNTIME] = llam_runtime_default();
    defaults[MUTEX] = llam_mutex_create();
    defaults[COND] = llam_cond_create();
    defaults[CHANNEL] = llam_channel_create(1);
    defaults[TOKEN] = llam_cancel_token_create();
    defaults[GROUP] = llam_task_group_create();
    MUST(c, llam_timer_create(1, &timer) == 0);
    defaults[TIMER] = timer;
    MUST(c, llam_signal_set_create_ex(&signo, 1, NULL, 0, &set) == 0);
    defaults[SIGNALS] = set;
    busy_mutex = llam_mutex_create();
}

static int open_again(int fd, int flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, flags | O_CLOEXEC);
}

static void open_descriptors(struct ctx *c) {
    int pipes[2];
    for (int i = 0; i < CALLERS; i++) {
        int file = callers[i].file = memfd_create("hostile", MFD_CLOEXEC);
        MUST(c, file >= 0 && write(file, CONTENTS, CONTENT_SIZE) == CONTENT_SIZE);
    }
    read_only_fd = open_again(callers[MAIN_HOST].file, O_RDONLY);
    write_only_fd = open_again(callers[MAIN_HOST].file, O_WRONLY);
    MUST(c, pipe2(pipes, O_NONBLOCK | O_CLOEXEC) == 0);
    pipe_fd = pipes[0];
    pipe_write_fd = pipes[1];
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    dir_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    MUST(c, read_only_fd >= 0 && write_only_fd >= 0 && null_fd >= 0 && dir_fd >= 0);
    MUST(c, event_fd >= 0 && tcp_fd >= 0 && udp_fd >= 0);
    MUST(c, fcntl(CLOSED_FD, F_GETFD) == -1);
}

static void report_hang(int signo) {
    (void)signo;
    printf("hang; the calls in progress:\n");
    for (int i = 0; i < CALLERS; i++) {
        describe(&callers[i]);
        printf("\n");
    }
    printf("1 wrong\n");
    fflush(stdout);
    _exit(1);
}

static void prepare(void) {
    struct ctx *c = &callers[MAIN_HOST];
    struct sigaction on_alarm = {.sa_handler = report_hang};
    MUST(c, sigaction(SIGALRM, &on_alarm, NULL) == 0);
    signal(SIGPIPE, SIG_IGN);
    (void)check_last; /* There are no TESTs here. */
    c->random = seed | 1;
    alarm(WATCHDOG_SECONDS);
    make_defaults(c);
    llam_runtime_t *runtime = create_runtime();
    run_on(runtime, make_orphans, c);
    llam_runtime_destroy(runtime);
    orphans[RUNTIME] = runtime;
    open_descriptors(c);
}

/* The line at the end; 1 when a function was never called. */
static int summarise(uint64_t rounds) {
    unsigned long least = ULONG_MAX;
    int least_called = 0;
    for (int i = 0; i < FUNCTIONS; i++) {
        if (atomic_load(&counts[i]) >= least) continue;
        least = atomic_load(&counts[i]);
        least_called = i;
    }
    printf("%d functions, %" PRIu64 " rounds, %lu calls, at least %lu of each (%s), seed %" PRIu64
           ", %d wrong\n",
           FUNCTIONS, rounds, atomic_load(&total), least, function_names[least_called], seed,
           least == 0);
    return least == 0;
}

int main(int argc, char **argv) {
    const char *limit = getenv("LLAM_HOSTILE_SECONDS");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seconds = strtoull(limit != NULL ? limit : argc > 1 ? argv[1] : "60", NULL, 10);
    seed = argc > 2 ? strtoull(argv[2], NULL, 10)
                    : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec;
    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    prepare();
    uint64_t end = llam_now_ns() + seconds * 1000000000, rounds = 0;
    do round_of_calls(rounds++);
    while (llam_now_ns() < end);
    return summarise(rounds);
}
