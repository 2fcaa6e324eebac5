/* Hostile calls, part 1: versions and options (abi.md 4.1), lifecycle (4.2), statistics and
 * diagnostics (4.18). */
#ifndef HOSTILE_BASE_H
#define HOSTILE_BASE_H

#include "hostile.h"

static void try_llam_abi_version(struct ctx *c) {
    BEGIN_PLAIN(c, llam_abi_version);
    REQUIRE(c, llam_abi_version() == 0x00020000);
}

static void try_llam_version_string(struct ctx *c) {
    BEGIN_PLAIN(c, llam_version_string);
    REQUIRE(c, strcmp(llam_version_string(), "2.1.0") == 0);
}

typedef int sized_call(union sized *target, size_t size);

static int call_abi_info(union sized *target, size_t size) {
    return llam_abi_get_info((llam_abi_info_t *)target, size);
}

static int call_runtime_opts(union sized *target, size_t size) {
    return llam_runtime_opts_init((llam_runtime_opts_t *)target, size);
}

static int call_spawn_opts(union sized *target, size_t size) {
    return llam_spawn_opts_init((llam_spawn_opts_t *)target, size);
}

static int call_buffer_opts(union sized *target, size_t size) {
    return llam_io_buffer_opts_init((llam_io_buffer_opts_t *)target, size);
}

static int call_stats(union sized *target, size_t size) {
    return llam_runtime_collect_stats_ex((llam_runtime_stats_t *)target, size);
}

/* 1.3: NULL and 0 are EINVAL, any other size writes no more than the struct. */
static void try_sized(struct ctx *c, int id, sized_call *call, size_t struct_size) {
    union sized target;
    size_t size = any_size(c, struct_size);
    union sized *given = one_in(c, 6) ? NULL : &target;
    prepare_sized(&target);
    begin(c, id, 2, ARGUMENTS_OF(A(given), size));
    int status = call(given, size);
    int code = given == NULL || size == 0 ? EINVAL : 0;
    /* R8: statistics keep errno. */
    if (id == ID_llam_runtime_collect_stats_ex) quiet_verdict(c, status, code);
    else verdict(c, status, code);
    check_tail(c, &target, status == 0 ? size : 0, struct_size);
}

static void try_llam_abi_get_info(struct ctx *c) {
    try_sized(c, ID_llam_abi_get_info, call_abi_info, sizeof(llam_abi_info_t));
}

static void try_llam_runtime_opts_init(struct ctx *c) {
    try_sized(c, ID_llam_runtime_opts_init, call_runtime_opts, sizeof(llam_runtime_opts_t));
}

static void try_llam_spawn_opts_init(struct ctx *c) {
    try_sized(c, ID_llam_spawn_opts_init, call_spawn_opts, sizeof(llam_spawn_opts_t));
}

static void try_llam_io_buffer_opts_init(struct ctx *c) {
    try_sized(c, ID_llam_io_buffer_opts_init, call_buffer_opts, sizeof(llam_io_buffer_opts_t));
}

static void try_llam_runtime_collect_stats_ex(struct ctx *c) {
    try_sized(c, ID_llam_runtime_collect_stats_ex, call_stats, sizeof(llam_runtime_stats_t));
}

/* ---- Lifecycle ---- */

/* Runtime options that are wrong in one way, and a size that lets it be seen. */
static size_t bad_runtime_opts(struct ctx *c, llam_runtime_opts_t *opts) {
    MUST(c, llam_runtime_opts_init(opts, sizeof *opts) == 0);
    uint32_t number = (uint32_t)ONE_OF(c, 4, 5, 1000, INT32_MAX, 0x80000000, UINT32_MAX);
    switch (below(c, 3)) {
    case 0: return 0;
    case 1: opts->profile = number; return (size_t)ONE_OF(c, 36, 40, 43, 56, 100, SIZE_MAX);
    default: opts->preempt_mode = number; return (size_t)ONE_OF(c, 44, 48, 56, 57, SIZE_MAX);
    }
}

/* Options that are fine, fields that the size cuts included. */
static size_t good_runtime_opts(struct ctx *c, llam_runtime_opts_t *opts) {
    memset(opts, 0xff, sizeof *opts);
    opts->experimental_flags = 0;
    if (one_in(c, 3)) return (size_t)ONE_OF(c, 1, 3, 4, 8, 31);
    MUST(c, llam_runtime_opts_init(opts, sizeof *opts) == 0);
    opts->reserved0 = UINT32_MAX;
    if (coin(c)) opts->preempt_mode = UINT32_MAX;
    return opts->preempt_mode == UINT32_MAX ? (size_t)ONE_OF(c, 40, 41, 43)
                                            : (size_t)ONE_OF(c, 56, 64, SIZE_MAX);
}

static void try_llam_runtime_init_ex(struct ctx *c) {
    llam_runtime_opts_t opts;
    int good = is_live(c) && coin(c);
    size_t size = good ? good_runtime_opts(c, &opts) : bad_runtime_opts(c, &opts);
    int use_null = good && one_in(c, 4);
    BEGIN(c, llam_runtime_init_ex, A(use_null ? NULL : &opts), size, opts.profile,
          opts.preempt_mode);
    verdict(c, llam_runtime_init_ex(use_null ? NULL : &opts, size), good ? EBUSY : EINVAL);
}

static void try_llam_runtime_init(struct ctx *c) {
    llam_runtime_opts_t opts;
    int good = is_live(c) && coin(c);
    MUST(c, llam_runtime_opts_init(&opts, sizeof opts) == 0);
    while (!good && opts.profile < 4 && opts.preempt_mode < 4) (void)bad_runtime_opts(c, &opts);
    int use_null = good && coin(c);
    BEGIN(c, llam_runtime_init, A(use_null ? NULL : &opts), opts.profile, opts.preempt_mode);
    verdict(c, llam_runtime_init(use_null ? NULL : &opts), good ? EBUSY : EINVAL);
}

static void try_llam_runtime_default(struct ctx *c) {
    BEGIN_PLAIN(c, llam_runtime_default);
    REQUIRE(c, (void *)llam_runtime_default() == defaults[RUNTIME]);
}

static void try_llam_runtime_create(struct ctx *c) {
    llam_runtime_opts_t opts;
    llam_runtime_t *out = (llam_runtime_t *)c;
    if (one_in(c, 40) && !in_task(c)) {
        opts.deterministic = 1;
        BEGIN(c, llam_runtime_create, A(&opts), 4, A(&out));
        verdict(c, llam_runtime_create(&opts, 4, &out), 0);
        REQUIRE(c, out != NULL && (void *)out != defaults[RUNTIME]);
        MUST(c, llam_runtime_run_handle(out) == 0);
        llam_runtime_destroy(out);
        MUST(c, llam_runtime_run_handle(out) == -1 && get_errno() == EINVAL);
        return;
    }
    int no_out = one_in(c, 3);
    size_t size = no_out && coin(c) ? good_runtime_opts(c, &opts) : bad_runtime_opts(c, &opts);
    BEGIN(c, llam_runtime_create, A(&opts), size, A(no_out ? NULL : &out));
    verdict(c, llam_runtime_create(&opts, size, no_out ? NULL : &out), EINVAL);
    REQUIRE(c, no_out ? out == (llam_runtime_t *)c : out == NULL);
}

static void try_llam_runtime_run_handle(struct ctx *c) {
    struct pick picked = pick(c, RUNTIME);
    void *runtime = picked.value;
    if (c->phase != IDLE && one_in(c, 4)) runtime = defaults[RUNTIME];
    int runs = picked.standing == OWN && runtime == picked.value && !in_task(c);
    BEGIN(c, llam_runtime_run_handle, A(runtime));
    verdict(c, llam_runtime_run_handle(runtime), runs ? 0 : EINVAL);
}

/* NULL and the default handle mean shutdown: only where that has no effect beyond a stop that was
 * requested before. */
static void try_llam_runtime_destroy(struct ctx *c) {
    struct pick picked;
    do picked = pick(c, RUNTIME);
    while (picked.standing == OWN || picked.value == NULL);
    void *runtime = picked.value;
    int harmless = c->phase == STOPPING || (c->phase == NOT_LIVE && !in_task(c));
    if (harmless && coin(c)) runtime = coin(c) ? NULL : defaults[RUNTIME];
    if (c->place == TASK && one_in(c, 3)) runtime = c->own[RUNTIME];
    BEGIN(c, llam_runtime_destroy, A(runtime));
    llam_runtime_destroy(runtime);
    errno_is_kept(c);
}

static void try_llam_run(struct ctx *c) {
    if (c->phase == IDLE) return;
    BEGIN_PLAIN(c, llam_run);
    verdict(c, llam_run(), EINVAL);
}

static void try_llam_runtime_request_stop(struct ctx *c) {
    int stopping = c->phase == STOPPING && in_task(c);
    if (c->phase != NOT_LIVE && !stopping) return;
    BEGIN_PLAIN(c, llam_runtime_request_stop);
    verdict(c, llam_runtime_request_stop(), stopping ? 0 : EINVAL);
}

static void try_llam_runtime_shutdown(struct ctx *c) {
    if (c->phase != NOT_LIVE && !(c->phase == STOPPING && in_task(c))) return;
    BEGIN_PLAIN(c, llam_runtime_shutdown);
    llam_runtime_shutdown();
    errno_is_kept(c);
}

/* ---- Statistics and diagnostics ---- */

static void try_llam_runtime_collect_stats(struct ctx *c) {
    llam_runtime_stats_t stats;
    int use_null = coin(c);
    memset(&stats, 0xa5, sizeof stats);
    BEGIN(c, llam_runtime_collect_stats, A(use_null ? NULL : &stats));
    quiet_verdict(c, llam_runtime_collect_stats(use_null ? NULL : &stats), use_null ? EINVAL : 0);
    if (use_null) return;
    REQUIRE(c, is_live(c) == (stats.active_workers > 0));
    REQUIRE(c, stats.online_workers <= stats.active_workers);
}

static void try_llam_runtime_collect_stats_ex_handle(struct ctx *c) {
    union sized target;
    struct pick picked = pick(c, RUNTIME);
    size_t size = any_size(c, sizeof(llam_runtime_stats_t));
    int use_default = one_in(c, 4), use_null = one_in(c, 6);
    void *runtime = use_default ? defaults[RUNTIME] : picked.value;
    int good = use_default || picked.standing == OWN;
    prepare_sized(&target);
    BEGIN(c, llam_runtime_collect_stats_ex_handle, A(runtime), A(use_null ? NULL : &target), size);
    int status = llam_runtime_collect_stats_ex_handle(
        runtime, use_null ? NULL : (llam_runtime_stats_t *)&target, size);
    quiet_verdict(c, status, use_null || size == 0 || !good ? EINVAL : 0);
    int touched = !use_null && size != 0;
    check_tail(c, &target, touched ? size : 0, sizeof(llam_runtime_stats_t));
    for (size_t i = 0; touched && !good && i < size && i < sizeof(llam_runtime_stats_t); i++)
        if (target.bytes[i] != 0) wrong(c, (int64_t)i, 0, "the prefix zeroed", 0);
}

static int null_fd, dir_fd, read_only_fd, write_only_fd;

/* A number that is open nowhere. */
#define CLOSED_FD 1000

static void try_llam_runtime_write_stats_json(struct ctx *c) {
    static const int codes[] = {EINVAL, EINVAL, EINVAL, EBADF, EBADF, EBADF, 0};
    const int fds[] = {-1, -2, INT_MIN, INT_MAX, CLOSED_FD, read_only_fd, null_fd};
    size_t which = below(c, ARRAY_LENGTH(fds));
    BEGIN(c, llam_runtime_write_stats_json, (uint64_t)fds[which]);
    verdict(c, llam_runtime_write_stats_json(fds[which]), codes[which]);
}

static void try_llam_dump_runtime_state(struct ctx *c) {
    const int fds[] = {-1, INT_MIN, INT_MAX, CLOSED_FD, read_only_fd, dir_fd, null_fd};
    int fd = fds[below(c, ARRAY_LENGTH(fds))];
    BEGIN(c, llam_dump_runtime_state, (uint64_t)fd);
    llam_dump_runtime_state(fd);
    errno_is_kept(c);
}

#endif
