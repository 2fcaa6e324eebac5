/* Hostile calls, part 3: tasks (abi.md 4.3) and task groups (4.4). */
#ifndef HOSTILE_TASKS_H
#define HOSTILE_TASKS_H

#include "hostile.h"

static void brief_task(void *arg) { atomic_fetch_add((atomic_int *)arg, 1); }

static void task_never_runs(void *arg) {
    printf("a task of a failed spawn runs: %p\n1 wrong\n", arg);
    fflush(stdout);
    _exit(1);
}

/* Waits for a task to end and joins it, also when the caller is cancelled. */
static void reap(struct ctx *c, llam_task_t *task) {
    for (;;) {
        if (llam_join_until(task, 0) == 0) return;
        MUST(c, get_errno() == ETIMEDOUT);
        breathe();
    }
}

/* ---- Spawning ---- */

/* How spawn options can be wrong, and the code that this gives. */
struct spawn_plan {
    llam_spawn_opts_t opts;
    /* NULL is passed for the options, whatever they hold. */
    int use_null;
    size_t size;
    llam_task_fn fn;
    int code;
};

static const llam_spawn_opts_t *given_opts(const struct spawn_plan *plan) {
    return plan->use_null ? NULL : &plan->opts;
}

static void spoil(struct ctx *c, struct spawn_plan *plan, int fixed_size) {
    struct pick token = pick(c, TOKEN);
    plan->code = EINVAL;
    switch (below(c, fixed_size ? 4 : 5)) {
    case 0: plan->fn = NULL; break;
    case 1: plan->opts.task_class = (uint32_t)ONE_OF(c, 3, 4, INT32_MAX, UINT32_MAX); break;
    case 2: plan->opts.stack_class = (uint32_t)ONE_OF(c, 3, 4, 0x80000000, UINT32_MAX); break;
    case 3:
        while (token.standing == OWN || token.value == NULL) token = pick(c, TOKEN);
        plan->opts.cancel_token = token.value;
        if (token.standing == ALIEN) plan->code = EXDEV;
        break;
    default: plan->size = 0; break;
    }
}

/* Fine options: NULL, odd flags, garbage in what the size cuts off. */
static void make_fine(struct ctx *c, struct spawn_plan *plan, int fixed_size) {
    plan->opts.flags = (uint32_t)ONE_OF(c, 0, 2, 4, 8, 0xfffffff0, 0x10);
    plan->opts.reserved0 = UINT32_MAX;
    plan->opts.deadline_ns = ONE_OF(c, 0, 1, UINT64_MAX);
    plan->use_null = one_in(c, 3);
    if (fixed_size || coin(c)) return;
    plan->opts.cancel_token = forged(below(c, FORGED_VALUES));
    plan->size = (size_t)ONE_OF(c, 8, 12, 16, 24, 25, 31);
    if (coin(c)) return;
    plan->opts.stack_class = UINT32_MAX;
    plan->size = (size_t)ONE_OF(c, 4, 5, 7);
    if (coin(c)) return;
    plan->opts.task_class = UINT32_MAX;
    plan->size = (size_t)ONE_OF(c, 1, 2, 3);
}

static struct spawn_plan plan_spawn(struct ctx *c, int fixed_size) {
    struct spawn_plan plan = {.size = fixed_size ? 32 : (size_t)ONE_OF(c, 32, 33, 64, SIZE_MAX)};
    MUST(c, llam_spawn_opts_init(&plan.opts, sizeof plan.opts) == 0);
    plan.fn = brief_task;
    if (one_in(c, 3)) make_fine(c, &plan, fixed_size);
    else spoil(c, &plan, fixed_size);
    /* A runtime that is not live is EINVAL too; which of two errors comes first is not told. */
    if (!in_task(c) && !is_live(c)) {
        plan.opts.cancel_token = NULL;
        plan.code = EINVAL;
    }
    if (plan.code != 0 && plan.fn != NULL) plan.fn = task_never_runs;
    return plan;
}

/* A handle, or NULL with the code; success keeps errno (R8). */
static void spawn_verdict(const struct ctx *c, const llam_task_t *task, int code) {
    pointer_verdict(c, task, code);
    if (code == 0) errno_is_kept(c);
}

#define BEGIN_SPAWN(c, name, target, plan)                                                       \
    BEGIN(c, name, A(target), A((plan).fn != NULL), A(given_opts(&(plan))), (plan).size,         \
          (plan).opts.task_class, (plan).opts.stack_class, A((plan).opts.cancel_token))

/* Ends what a spawn has made: the child runs, or waits for the next run. */
static void end_child(struct ctx *c, llam_task_t *task, atomic_int *ran) {
    if (!in_task(c) && c->phase == IDLE) {
        MUST(c, strcmp(llam_task_state_name(task), "RUNNABLE") == 0);
        MUST(c, llam_detach(task) == 0);
        return;
    }
    reap(c, task);
    MUST(c, atomic_load(ran) == 1);
    stale[TASKS][below(c, STALE_VALUES)] = task;
}

/* What a child of an idle runtime, which runs later, counts in. */
static atomic_int ran_later;

static void try_llam_spawn_ex(struct ctx *c) {
    atomic_int ran = 0;
    struct spawn_plan plan = plan_spawn(c, 0);
    if (plan.code == 0 && c->phase == IDLE && !one_in(c, 8)) return;
    BEGIN_SPAWN(c, llam_spawn_ex, NULL, plan);
    llam_task_t *task =
        llam_spawn_ex(plan.fn, c->phase == IDLE ? &ran_later : &ran, given_opts(&plan), plan.size);
    spawn_verdict(c, task, plan.code);
    if (task != NULL) end_child(c, task, &ran);
}

static void try_llam_spawn(struct ctx *c) {
    atomic_int ran = 0;
    struct spawn_plan plan = plan_spawn(c, 1);
    if (plan.code == 0 && c->phase == IDLE && !one_in(c, 8)) return;
    BEGIN_SPAWN(c, llam_spawn, NULL, plan);
    llam_task_t *task =
        llam_spawn(plan.fn, c->phase == IDLE ? &ran_later : &ran, given_opts(&plan));
    spawn_verdict(c, task, plan.code);
    if (task != NULL) end_child(c, task, &ran);
}

static void try_llam_runtime_spawn_ex(struct ctx *c) {
    atomic_int ran = 0;
    struct spawn_plan plan = plan_spawn(c, 0);
    struct pick picked = pick(c, RUNTIME);
    void *runtime = picked.value;
    int on_default = c->place != FOREIGN_TASK && coin(c);
    if (on_default) runtime = defaults[RUNTIME];
    if (!on_default) {
        while (picked.standing == OWN) picked = pick(c, RUNTIME);
        runtime = picked.value;
        plan.opts.cancel_token = NULL;
        plan.code = EINVAL;
        plan.fn = task_never_runs;
    }
    if (plan.code == 0 && c->phase == IDLE && !one_in(c, 8)) return;
    BEGIN_SPAWN(c, llam_runtime_spawn_ex, runtime, plan);
    llam_task_t *task = llam_runtime_spawn_ex(
        runtime, plan.fn, c->phase == IDLE ? &ran_later : &ran, given_opts(&plan), plan.size);
    spawn_verdict(c, task, plan.code);
    if (task != NULL) end_child(c, task, &ran);
}

/* ---- Handles of tasks ---- */

/* A child of the caller where one can run. */
static llam_task_t *make_child(struct ctx *c, atomic_int *ran) {
    if (c->phase != RUNNING && c->phase != STOPPING) return NULL;
    llam_task_t *task = llam_spawn(brief_task, ran, NULL);
    MUST(c, task != NULL);
    return task;
}

static void try_llam_join(struct ctx *c) {
    atomic_int ran = 0;
    struct pick picked = pick(c, TASKS);
    int code = in_task(c) && picked.standing == OWN ? EDEADLK : EINVAL;
    llam_task_t *child = one_in(c, 6) ? make_child(c, &ran) : NULL;
    if (child != NULL) picked.value = child;
    BEGIN(c, llam_join, A(picked.value));
    int status = llam_join(picked.value);
    if (child == NULL) {
        quiet_verdict(c, status, code);
    } else {
        verdict_of_two(c, status, 0, c->cancelled && in_task(c) ? ECANCELED : 0);
        if (status != 0) reap(c, child);
        MUST(c, atomic_load(&ran) == 1);
    }
}

static void try_llam_join_until(struct ctx *c) {
    atomic_int ran = 0;
    struct pick picked = pick(c, TASKS);
    int code = in_task(c) && picked.standing == OWN ? EDEADLK : EINVAL;
    uint64_t deadline = coin(c) ? expired_deadline(c) : far_deadline(c);
    llam_task_t *child = one_in(c, 6) ? make_child(c, &ran) : NULL;
    if (child != NULL) {
        picked.value = child;
        deadline = hopeless_deadline(c, &code);
    }
    BEGIN(c, llam_join_until, A(picked.value), deadline);
    int status = llam_join_until(picked.value, deadline);
    if (child == NULL) {
        quiet_verdict(c, status, code);
    } else {
        verdict_of_two(c, status, 0, code);
        if (status != 0) reap(c, child);
        MUST(c, atomic_load(&ran) == 1);
    }
}

static void try_llam_detach(struct ctx *c) {
    struct pick picked;
    do picked = pick(c, TASKS);
    while (picked.standing == OWN);
    BEGIN(c, llam_detach, A(picked.value));
    quiet_verdict(c, llam_detach(picked.value), EINVAL);
}

static void try_llam_current_task(struct ctx *c) {
    BEGIN_PLAIN(c, llam_current_task);
    void *task = llam_current_task();
    require(c, in_task(c) ? task == c->own[TASKS] : task == NULL, "the caller's own handle");
    errno_is_kept(c);
}

static void try_llam_task_id(struct ctx *c) {
    struct pick picked = pick(c, TASKS);
    BEGIN(c, llam_task_id, A(picked.value));
    uint64_t id = llam_task_id(picked.value);
    require(c, (id != 0) == (picked.standing == OWN), "0 exactly for what is no task");
    errno_is_kept(c);
}

static void try_llam_task_state_name(struct ctx *c) {
    struct pick picked = pick(c, TASKS);
    BEGIN(c, llam_task_state_name, A(picked.value));
    const char *name = llam_task_state_name(picked.value);
    require(c, strcmp(name, picked.standing == OWN ? "RUNNING" : "UNKNOWN") == 0, "the state");
    errno_is_kept(c);
}

static void try_llam_task_class(struct ctx *c) {
    struct pick picked = pick(c, TASKS);
    BEGIN(c, llam_task_class, A(picked.value));
    REQUIRE(c, llam_task_class(picked.value) == 1);
    errno_is_kept(c);
}

static void try_llam_task_flags(struct ctx *c) {
    struct pick picked = pick(c, TASKS);
    BEGIN(c, llam_task_flags, A(picked.value));
    REQUIRE(c, llam_task_flags(picked.value) == (picked.standing == OWN ? 0xffff0000U : 0));
    errno_is_kept(c);
}

static void try_llam_task_set_class(struct ctx *c) {
    uint32_t class = (uint32_t)ONE_OF(c, 0, 1, 2, 3, 99, 0x80000000, UINT32_MAX);
    BEGIN(c, llam_task_set_class, class);
    verdict(c, llam_task_set_class(class), class > 2 ? EINVAL : in_task(c) ? 0 : ENOTSUP);
    if (in_task(c)) MUST(c, llam_task_set_class(1) == 0);
}

static void try_llam_yield(struct ctx *c) {
    BEGIN_PLAIN(c, llam_yield);
    llam_yield();
    if (in_task(c)) errno_is_kept(c);
}

static void try_llam_task_safepoint(struct ctx *c) {
    BEGIN_PLAIN(c, llam_task_safepoint);
    llam_task_safepoint();
    errno_is_kept(c);
}

/* ---- Groups ---- */

static void try_llam_task_group_create(struct ctx *c) {
    BEGIN_PLAIN(c, llam_task_group_create);
    llam_task_group_t *group = llam_task_group_create();
    pointer_verdict(c, group, 0);
    MUST(c, llam_task_group_destroy(group) == 0);
    stale[GROUP][below(c, STALE_VALUES)] = group;
}

/* Options, group and code of a group spawn. */
static struct pick plan_group_spawn(struct ctx *c, struct spawn_plan *plan, int fixed_size) {
    struct pick picked = pick(c, GROUP);
    *plan = plan_spawn(c, fixed_size);
    if (picked.standing == OWN) return picked;
    /* Of two errors any may come first: only the group is wrong. */
    plan->opts = (llam_spawn_opts_t){1, 0, 0, 0, 0, NULL};
    plan->use_null = 0;
    plan->size = 32;
    plan->fn = task_never_runs;
    plan->code = handle_code(picked);
    return picked;
}

/* A child in a group: its handle is borrowed (EBUSY), the group cannot be destroyed before the
 * join, and a join from the child is refused. */
static void end_group_child(struct ctx *c, llam_task_group_t *group, llam_task_t *child,
                            atomic_int *ran) {
    MUST(c, llam_detach(child) == -1 && get_errno() == EBUSY);
    MUST(c, llam_join(child) == -1 && get_errno() == EBUSY);
    MUST(c, llam_task_group_destroy(group) == -1 && get_errno() == EBUSY);
    while (llam_task_group_join_until(group, 0) != 0) {
        MUST(c, get_errno() == ETIMEDOUT);
        breathe();
    }
    MUST(c, atomic_load(ran) == 1 && llam_task_id(child) == 0);
}

static void try_llam_task_group_spawn_ex(struct ctx *c) {
    atomic_int ran = 0;
    struct spawn_plan plan;
    struct pick picked = plan_group_spawn(c, &plan, 0);
    if (plan.code == 0 && c->phase == IDLE) return;
    BEGIN_SPAWN(c, llam_task_group_spawn_ex, picked.value, plan);
    llam_task_t *task =
        llam_task_group_spawn_ex(picked.value, plan.fn, &ran, given_opts(&plan), plan.size);
    spawn_verdict(c, task, plan.code);
    if (task != NULL) end_group_child(c, picked.value, task, &ran);
}

static void try_llam_task_group_spawn(struct ctx *c) {
    atomic_int ran = 0;
    struct spawn_plan plan;
    struct pick picked = plan_group_spawn(c, &plan, 1);
    if (plan.code == 0 && c->phase == IDLE) return;
    BEGIN_SPAWN(c, llam_task_group_spawn, picked.value, plan);
    llam_task_t *task = llam_task_group_spawn(picked.value, plan.fn, &ran, given_opts(&plan));
    spawn_verdict(c, task, plan.code);
    if (task != NULL) end_group_child(c, picked.value, task, &ran);
}

static void try_llam_task_group_cancel(struct ctx *c) {
    struct pick picked = pick(c, GROUP);
    BEGIN(c, llam_task_group_cancel, A(picked.value));
    quiet_verdict(c, llam_task_group_cancel(picked.value), handle_code(picked));
}

static void try_llam_task_group_join(struct ctx *c) {
    struct pick picked = pick(c, GROUP);
    BEGIN(c, llam_task_group_join, A(picked.value));
    quiet_verdict(c, llam_task_group_join(picked.value), handle_code(picked));
}

static void try_llam_task_group_join_until(struct ctx *c) {
    struct pick picked = pick(c, GROUP);
    uint64_t deadline = coin(c) ? expired_deadline(c) : far_deadline(c);
    BEGIN(c, llam_task_group_join_until, A(picked.value), deadline);
    quiet_verdict(c, llam_task_group_join_until(picked.value, deadline), handle_code(picked));
}

static void try_llam_task_group_destroy(struct ctx *c) {
    struct pick picked = pick_to_end(c, GROUP);
    if (picked.standing == OWN) picked.value = llam_task_group_create();
    BEGIN(c, llam_task_group_destroy, A(picked.value));
    quiet_verdict(c, llam_task_group_destroy(picked.value), handle_code(picked));
    if (picked.standing == OWN) stale[GROUP][below(c, STALE_VALUES)] = picked.value;
}

#endif
