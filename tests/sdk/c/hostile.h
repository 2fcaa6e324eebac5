/* The frame of hostile.c: where a call is made from, wrong values of every kind, and the verdict on
 * each answer.
 *
 * A `ctx` is one caller: a place (host thread, task, task of another runtime), a phase of the
 * default runtime that holds for as long as the caller makes calls, and objects that nobody else
 * touches, so that abi.md gives one answer to each call.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "functions.h"
#include "sync.h"

#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

enum function_id {
#define X(name) ID_##name,
    LLAM_FUNCTIONS(X)
#undef X
        FUNCTIONS
};

/* States of the default runtime; STOPPING is seen from its last task only. */
enum phase { NOT_LIVE, IDLE, RUNNING, STOPPING };

/* FOREIGN_TASK: of an explicit runtime. Blocking callbacks are HOST. */
enum place { HOST, TASK, FOREIGN_TASK };

enum family { MUTEX, COND, CHANNEL, TOKEN, GROUP, TIMER, SIGNALS, BUFFER, TASKS, RUNTIME };
#define FAMILIES 10

#define MAX_ARGUMENTS 8
#define STALE_VALUES 64

struct ctx {
    const char *name;
    uint64_t random;
    int index;
    enum phase phase;
    enum place place;
    int cancelled;
    /* One object of each family that belongs to the caller's runtime; only this caller uses it. */
    void *own[FAMILIES];
    llam_channel_t *full, *closed;
    llam_timer_t *due, *stopped;
    /* The token of the calling task, which is cancelled, or NULL. */
    llam_cancel_token_t *observed;
    llam_task_local_key_t key;
    int file;
    /* The call in progress. */
    int function, argument_count;
    uint64_t arguments[MAX_ARGUMENTS];
    uint64_t number;
};

static uint64_t seed;
static atomic_ulong counts[FUNCTIONS];
static atomic_ulong total;

static const char *const function_names[] = {
#define X(name) #name,
    LLAM_FUNCTIONS(X)
#undef X
};

/* What belongs to an explicit runtime that is gone, what belongs to the default one, and values of
 * objects that are gone. */
static void *orphans[FAMILIES];
static void *defaults[FAMILIES];
static _Atomic(void *) stale[FAMILIES][STALE_VALUES];
/* A mutex of the default runtime that a task holds while the phase is RUNNING or STOPPING. */
static llam_mutex_t *busy_mutex;

/* errno, without an address that outlives a change of the thread. */
static __attribute__((noinline)) int get_errno(void) { return errno; }
static __attribute__((noinline)) void set_errno(int code) { errno = code; }

/* ---- Random values ---- */

static uint64_t roll(struct ctx *c) {
    c->random ^= c->random >> 12;
    c->random ^= c->random << 25;
    c->random ^= c->random >> 27;
    return c->random * UINT64_C(2685821657736338717) >> 11;
}

static size_t below(struct ctx *c, size_t limit) { return (size_t)(roll(c) % limit); }
static int one_in(struct ctx *c, size_t limit) { return below(c, limit) == 0; }
static int coin(struct ctx *c) { return one_in(c, 2); }

#define ONE_OF(c, ...)                                                                           \
    ((const uint64_t[]){__VA_ARGS__}[below(                                                      \
        c, sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))])

static int in_task(const struct ctx *c) { return c->place != HOST; }

/* Whether host threads can use what belongs to the default runtime. */
static int is_live(const struct ctx *c) { return c->phase != NOT_LIVE; }

static uint64_t expired_deadline(struct ctx *c) {
    uint64_t now = llam_now_ns();
    return ONE_OF(c, 0, 1, now - 1, now, now / 2, (uint64_t)below(c, 1000000));
}

static uint64_t far_deadline(struct ctx *c) {
    return ONE_OF(c, UINT64_MAX, UINT64_MAX - 1, INT64_MAX, (uint64_t)INT64_MAX + 1,
                  llam_now_ns() + UINT64_C(3600) * 1000000000);
}

/* A deadline for a wait that cannot end well, and the code it ends with. */
static uint64_t hopeless_deadline(struct ctx *c, int *code) {
    *code = ETIMEDOUT;
    if (coin(c)) return expired_deadline(c);
    if (c->cancelled) {
        *code = ECANCELED;
        return far_deadline(c);
    }
    return llam_now_ns() + below(c, 50000);
}

/* ---- Wrong handles ---- */

enum standing { BAD, OWN, ALIEN };

struct pick {
    void *value;
    enum standing standing;
};

static void *bad_value(struct ctx *c, enum family family) {
    uint64_t own = (uint64_t)(uintptr_t)c->own[family];
    enum family other = (enum family)((family + 1 + below(c, FAMILIES - 1)) % FAMILIES);
    static const char bytes[64] = "not a handle";
    switch (below(c, 9)) {
    case 0: return NULL;
    case 1: return (void *)(uintptr_t)(roll(c) << 32 ^ roll(c));
    case 2: return (void *)(uintptr_t)(own == 0 ? 1 : own ^ UINT64_C(1) << below(c, 64));
    case 3: return stale[family][below(c, STALE_VALUES)];
    case 4: return stale[other][below(c, STALE_VALUES)];
    case 5: return c->own[other];
    case 6: return (void *)(uintptr_t)(bytes + below(c, 32));
    case 7: return (void *)((uintptr_t)c + below(c, 64));
    default: return forged(below(c, FORGED_VALUES));
    }
}

/* A value of any kind. Families without a live object here, or without a foreign one, give only
 * what there is. */
static struct pick pick(struct ctx *c, enum family family) {
    size_t way = below(c, 8);
    void *alien = orphans[family];
    if (c->place == FOREIGN_TASK && family != RUNTIME && coin(c)) alien = defaults[family];
    if (way == 0 && alien != NULL) return (struct pick){alien, ALIEN};
    if (way <= 3 && c->own[family] != NULL) return (struct pick){c->own[family], OWN};
    return (struct pick){bad_value(c, family), BAD};
}

/* The same without foreign objects on host threads, which may clean those up. */
static struct pick pick_to_end(struct ctx *c, enum family family) {
    struct pick picked;
    do picked = pick(c, family);
    while (picked.standing == ALIEN && !in_task(c));
    return picked;
}

static int handle_code(struct pick picked) {
    return picked.standing == BAD ? EINVAL : picked.standing == ALIEN ? EXDEV : 0;
}

/* R1, R3, R2: for operations that need a task. */
static int managed_code(struct ctx *c, struct pick picked) {
    if (picked.standing == BAD) return EINVAL;
    if (!in_task(c)) return ENOTSUP;
    return handle_code(picked);
}

/* R1, R2, R4: for operations that host threads may do while the owner is live. */
static int live_code(struct ctx *c, struct pick picked, int dead) {
    if (picked.standing != OWN) return handle_code(picked);
    return in_task(c) || is_live(c) ? 0 : dead;
}

/* ---- Verdicts ---- */

/* Says what is being called, for the messages, and spoils errno. */
static void begin(struct ctx *c, int function, int argument_count, const uint64_t *arguments) {
    c->function = function;
    c->argument_count = argument_count;
    for (int i = 0; i < argument_count; i++) c->arguments[i] = arguments[i];
    atomic_fetch_add_explicit(&counts[function], 1, memory_order_relaxed);
    c->number = atomic_fetch_add_explicit(&total, 1, memory_order_relaxed) + 1;
    set_errno(ENOTTY);
}

#define ARGUMENTS_OF(...) (const uint64_t[]){__VA_ARGS__}
#define BEGIN(c, name, ...)                                                                      \
    begin(c, ID_##name, (int)(sizeof(ARGUMENTS_OF(__VA_ARGS__)) / sizeof(uint64_t)),             \
          ARGUMENTS_OF(__VA_ARGS__))
#define BEGIN_PLAIN(c, name) begin(c, ID_##name, 0, NULL)
#define A(argument) ((uint64_t)(uintptr_t)(argument))

static void describe(const struct ctx *c) {
    static const char *const phases[] = {"not live", "idle", "running", "stopping"};
    printf("seed %" PRIu64 ", call %" PRIu64 ", %s%s, default runtime %s\n  %s(", seed, c->number,
           c->name, c->cancelled ? " (cancelled)" : "", phases[c->phase],
           function_names[c->function]);
    for (int i = 0; i < c->argument_count; i++)
        printf("%s%#" PRIx64, i == 0 ? "" : ", ", c->arguments[i]);
    printf(")");
}

__attribute__((noreturn)) static void wrong(const struct ctx *c, int64_t got, int code,
                                            const char *expected, int expected_code) {
    describe(c);
    printf(" gave %" PRId64 " with errno %d (%s), expected %s", got, code, strerror(code),
           expected);
    if (expected_code > 0) printf(" %d (%s)", expected_code, strerror(expected_code));
    printf("\n1 wrong\n");
    fflush(stdout);
    _exit(1);
}

/* Something else about the answer. */
static void require(const struct ctx *c, int condition, const char *what) {
    if (!condition) wrong(c, 0, get_errno(), what, 0);
}
#define REQUIRE(c, condition) require(c, condition, #condition)

/* What a caller does for itself between the calls that are judged. */
#define MUST(c, condition)                                                                       \
    do {                                                                                         \
        if (!(condition)) wrong(c, 0, get_errno(), "in preparation: " #condition, 0);            \
    } while (0)

/* 0, or -1 with the code. */
static void verdict(const struct ctx *c, int64_t got, int expected) {
    int code = get_errno();
    if (expected == 0 && got != 0) wrong(c, got, code, "0", 0);
    if (expected != 0 && (got != -1 || code != expected))
        wrong(c, got, code, "-1 with", expected);
}

/* The same of a call whose success keeps errno (R8). */
static void quiet_verdict(const struct ctx *c, int64_t got, int expected) {
    int code = get_errno();
    verdict(c, got, expected);
    if (expected == 0 && code != ENOTTY) wrong(c, got, code, "0 and errno kept at", ENOTTY);
}

/* Either of two codes, 0 included. */
static void verdict_of_two(const struct ctx *c, int64_t got, int first, int second) {
    int code = got == 0 ? 0 : get_errno();
    verdict(c, got, code == second ? second : first);
}

/* A count, or -1 with the code. */
static void count_verdict(const struct ctx *c, int64_t got, int64_t count, int expected) {
    if (expected != 0) verdict(c, got, expected);
    if (expected == 0 && got != count) wrong(c, got, get_errno(), "the right count", 0);
}

/* Not NULL, or NULL with the code. */
static void pointer_verdict(const struct ctx *c, const void *got, int expected) {
    int code = get_errno();
    if (expected == 0 && got == NULL) wrong(c, 0, code, "not NULL", 0);
    if (expected != 0 && (got != NULL || code != expected))
        wrong(c, (int64_t)(uintptr_t)got, code, "NULL with", expected);
}

static void errno_is_kept(const struct ctx *c) {
    int code = get_errno();
    if (code != ENOTTY) wrong(c, 0, code, "errno kept at", ENOTTY);
}

/* ---- Sized structs (abi.md 1.3) ---- */

/* A caller's struct with guard bytes behind it. */
union sized {
    unsigned char bytes[512];
    uint64_t aligned[64];
};

static void prepare_sized(union sized *sized) { memset(sized->bytes, 0xa5, sizeof sized->bytes); }

/* Only the first `size` bytes of the struct may have been written. */
static void check_tail(const struct ctx *c, const union sized *sized, size_t size,
                       size_t struct_size) {
    size_t from = size < struct_size ? size : struct_size;
    for (size_t i = from; i < sizeof sized->bytes; i++)
        if (sized->bytes[i] != 0xa5) wrong(c, (int64_t)i, 0, "bytes behind the struct kept", 0);
}

static size_t any_size(struct ctx *c, size_t struct_size) {
    return (size_t)ONE_OF(c, 0, 1, 3, 4, struct_size / 2, struct_size - 1, struct_size,
                          struct_size + 1, struct_size + 8, SIZE_MAX / 2 + 1, SIZE_MAX);
}

#endif
