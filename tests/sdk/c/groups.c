/* Task groups: children and their borrowed handles, cancelling, joining, destroying, and what other
 * runtimes may do with them. Covers abi.md 4.4, 5.9, R2, R4, R5 for groups.
 */
#include "scheduling.h"

static llam_task_group_t *group_new(void) {
    llam_task_group_t *group = llam_task_group_create();
    if (group == NULL) FAIL("no group: errno %d", errno);
    return group;
}

static llam_task_t *child_ok(llam_task_group_t *group, llam_task_fn fn, void *arg) {
    llam_task_t *child = llam_task_group_spawn(group, fn, arg, NULL);
    if (child == NULL) FAIL("group spawn failed with errno %d", errno);
    return child;
}

struct scene {
    llam_task_group_t *group;
    llam_task_t *task;
    counter gate, entered, count;
};

/* ---- Handles ---- */

static void check_no_group(llam_task_group_t *group) {
    CHECK_NULL(llam_task_group_spawn(group, do_nothing, NULL, NULL), EINVAL);
    CHECK_NULL(llam_task_group_spawn_ex(group, do_nothing, NULL, NULL, 0), EINVAL);
    CHECK_FAILS(llam_task_group_cancel(group), EINVAL);
    CHECK_FAILS(llam_task_group_join(group), EINVAL);
    CHECK_FAILS(llam_task_group_join_until(group, 0), EINVAL);
    CHECK_FAILS(llam_task_group_destroy(group), EINVAL);
}

static void check_no_groups(void *arg) {
    llam_mutex_t *mutex = llam_mutex_create();
    check_no_group(NULL);
    check_no_group((llam_task_group_t *)(uintptr_t)3);
    check_no_group((llam_task_group_t *)mutex);
    check_no_group(arg);
    CHECK_OK(llam_mutex_destroy(mutex));
}

/* R1, and Appendix A: "Spawn into a destroyed group: EINVAL", after 64 new ones too. */
TEST(a_dead_group_is_invalid) {
    llam_task_group_t *dead = group_new(), *later[64];
    CHECK_OK(llam_task_group_destroy(dead));
    for (int i = 0; i < 64; i++) {
        later[i] = group_new();
        CHECK(later[i] != dead);
    }
    check_no_groups(dead);
    run_task(check_no_groups, dead);
    check_no_groups(dead);
    for (int i = 0; i < 64; i++) CHECK_OK(llam_task_group_destroy(later[i]));
}

/* Appendix A: "A group can be created before init and destroyed after shutdown when empty."
 * R4: cancel and join of an empty group work while nothing is live; spawns are EINVAL. */
TEST(a_group_outlives_its_runtime) {
    llam_task_group_t *before = group_new(), *used = group_new();
    CHECK_OK(llam_task_group_join(used));
    CHECK_OK(llam_task_group_join_until(used, 0));
    CHECK_NULL(llam_task_group_spawn(used, do_nothing, NULL, NULL), EINVAL);
    init_default(0);
    counter ran = 0;
    child_ok(used, count_one, &ran);
    run_here();
    CHECK_OK(llam_task_group_join(used));
    CHECK_EQ(atomic_load(&ran), 1);
    llam_runtime_shutdown();
    CHECK_NULL(llam_task_group_spawn(used, do_nothing, NULL, NULL), EINVAL);
    CHECK_OK(llam_task_group_cancel(used));
    CHECK_OK(llam_task_group_cancel(used));
    CHECK_OK(llam_task_group_join(used));
    CHECK_OK(llam_task_group_destroy(used));
    CHECK_OK(llam_task_group_destroy(before));
}

/* ---- Errors of spawning ---- */

/* abi.md 4.4; Appendix A: "Group opts non-NULL with size 0: EINVAL." Nothing is started. */
TEST(bad_options_start_no_child) {
    init_default(0);
    counter ran = 0;
    llam_task_group_t *group = group_new();
    llam_spawn_opts_t opts = spawn_options();
    CHECK_NULL(llam_task_group_spawn(group, NULL, &ran, NULL), EINVAL);
    CHECK_NULL(llam_task_group_spawn_ex(group, count_one, &ran, &opts, 0), EINVAL);
    opts.task_class = 3;
    CHECK_NULL(llam_task_group_spawn(group, count_one, &ran, &opts), EINVAL);
    opts.task_class = 1;
    opts.stack_class = 3;
    CHECK_NULL(llam_task_group_spawn(group, count_one, &ran, &opts), EINVAL);
    opts.stack_class = 0;
    llam_cancel_token_t *token = token_new();
    opts.cancel_token = token;
    CHECK_NULL(llam_task_group_spawn(group, NULL, &ran, &opts), EINVAL);
    CHECK_OK(llam_cancel_token_destroy(token));
    CHECK_NULL(llam_task_group_spawn(group, count_one, &ran, &opts), EINVAL);
    run_here();
    CHECK_EQ(atomic_load(&ran), 0);
    CHECK_OK(llam_task_group_destroy(group));
    llam_runtime_shutdown();
}

/* Appendix A: "spawn opts of 1-3 bytes still mean class DEFAULT - for group spawns as well." */
TEST(cut_group_options_have_defaults) {
    init_default(0);
    llam_task_group_t *group = group_new();
    for (size_t size = 1; size <= 40; size++) {
        unsigned char bytes[40];
        memset(bytes, 0xA5, sizeof bytes);
        llam_spawn_opts_t *opts = (llam_spawn_opts_t *)(void *)bytes, local = spawn_options();
        local.task_class = size >= 4 ? LLAM_TASK_CLASS_LATENCY : 99;
        local.stack_class = size >= 8 ? LLAM_STACK_CLASS_DEFAULT : 99;
        if (size < 32) local.cancel_token = (llam_cancel_token_t *)(uintptr_t)0x77;
        memcpy(bytes, &local, sizeof local);
        llam_task_t *child = llam_task_group_spawn_ex(group, do_nothing, NULL, opts, size);
        if (child == NULL) FAIL("size %zu refused with errno %d", size, errno);
        CHECK_EQ(llam_task_class(child), size >= 4 ? 0 : 1);
    }
    run_here();
    CHECK_OK(llam_task_group_join(group));
    CHECK_OK(llam_task_group_destroy(group));
    llam_runtime_shutdown();
}

/* ---- Borrowed handles ---- */

static void borrowed_self(void *arg) {
    struct scene *scene = arg;
    llam_task_t *self = llam_current_task();
    CHECK_FAILS(llam_join(self), EBUSY);
    CHECK_FAILS(llam_join_until(self, 0), EBUSY);
    CHECK_FAILS(llam_detach(self), EBUSY);
    AWAIT(atomic_load(&scene->gate));
    CHECK_PTR(self, scene->task);
}

/* Appendix A: "Join or detach of a borrowed child: EBUSY, even from the child in its first
 * instruction." abi.md 5.9: introspection works until the group's join. */
static void borrow_handles(void *arg) {
    struct scene *scene = arg;
    scene->group = group_new();
    llam_spawn_opts_t opts = spawn_options();
    opts.task_class = LLAM_TASK_CLASS_BATCH;
    opts.flags = 0x100;
    llam_task_t *child = llam_task_group_spawn(scene->group, borrowed_self, scene, &opts);
    scene->task = child;
    CHECK_FAILS(llam_join(child), EBUSY);
    CHECK_FAILS(llam_detach(child), EBUSY);
    CHECK(llam_task_id(child) != 0);
    CHECK_EQ(llam_task_class(child), LLAM_TASK_CLASS_BATCH);
    CHECK_EQ(llam_task_flags(child), 0x100);
    atomic_store(&scene->gate, 1);
    AWAIT(in_state(child, "DEAD"));
    CHECK_FAILS(llam_join(child), EBUSY);
    CHECK_FAILS(llam_detach(child), EBUSY);
    CHECK_OK(llam_task_group_join(scene->group));
    check_dead(child);
    CHECK_OK(llam_task_group_destroy(scene->group));
}

TEST(a_childs_handle_is_borrowed) {
    static struct scene scene;
    run_task(borrow_handles, &scene);
}

/* The same from a host thread, before the run. */
TEST(a_host_thread_borrows_the_handle_too) {
    init_default(0);
    llam_task_group_t *group = group_new();
    llam_task_t *child = child_ok(group, do_nothing, NULL);
    CHECK_STR(llam_task_state_name(child), "RUNNABLE");
    CHECK_FAILS(llam_join(child), EBUSY);
    CHECK_FAILS(llam_join_until(child, 0), EBUSY);
    CHECK_FAILS(llam_detach(child), EBUSY);
    run_here();
    CHECK_FAILS(llam_join(child), EBUSY);
    CHECK_OK(llam_task_group_join(group));
    check_dead(child);
    CHECK_OK(llam_task_group_destroy(group));
    llam_runtime_shutdown();
}

/* ---- Cancelling ---- */

static void cancelled_by_token(void *arg) {
    atomic_fetch_add((counter *)arg, 1);
    CHECK_FAILS(llam_sleep_until(UINT64_MAX), ECANCELED);
    CHECK_FAILS(llam_sleep_ns(CHECK_MS), ECANCELED);
    atomic_fetch_add((counter *)arg, 100);
}

static void not_cancelled(void *arg) {
    counter *gate = arg;
    while (atomic_load(gate) == 0) CHECK_OK(llam_sleep_ns(200000));
    CHECK_OK(llam_sleep_ns(CHECK_MS));
}

static void cancel_a_group(void *arg) {
    struct scene *scene = arg;
    llam_task_group_t *group = group_new();
    llam_cancel_token_t *token = token_new();
    llam_spawn_opts_t opts = spawn_options();
    for (int i = 0; i < 3; i++) child_ok(group, cancelled_by_token, &scene->count);
    CHECK(llam_task_group_spawn(group, cancelled_by_token, &scene->count, &opts) != NULL);
    opts.cancel_token = token;
    CHECK(llam_task_group_spawn(group, not_cancelled, &scene->gate, &opts) != NULL);
    AWAIT(atomic_load(&scene->count) == 4);
    errno_marked();
    CHECK_OK(llam_task_group_cancel(group));
    CHECK_OK(llam_task_group_cancel(group));
    CHECK_ERRNO_KEPT();
    AWAIT(atomic_load(&scene->count) == 404);
    CHECK_EQ(llam_cancel_token_is_cancelled(token), 0);
    CHECK_FAILS(llam_cancel_token_destroy(token), EBUSY);
    /* abi.md 4.4: after a cancel spawns are allowed, and the child is born cancelled. */
    child_ok(group, cancelled_by_token, &scene->count);
    AWAIT(atomic_load(&scene->count) == 505);
    atomic_store(&scene->gate, 1);
    errno_marked();
    CHECK_OK(llam_task_group_join(group));
    CHECK_ERRNO_KEPT();
    CHECK_OK(llam_cancel_token_destroy(token));
    /* abi.md 5.9: cancel is for ever; a new group starts afresh. */
    child_ok(group, cancelled_by_token, &scene->count);
    CHECK_OK(llam_task_group_join(group));
    CHECK_OK(llam_task_group_destroy(group));
    CHECK_ERRNO_KEPT();
    group = group_new();
    child_ok(group, not_cancelled, &scene->gate);
    CHECK_OK(llam_task_group_join(group));
    CHECK_OK(llam_task_group_destroy(group));
}

/* Appendix A: "A child with its own explicit token is not cancelled by the group." */
TEST(a_group_cancels_the_children_of_its_token) {
    static struct scene scene;
    run_task(cancel_a_group, &scene);
    CHECK_EQ(atomic_load(&scene.count), 606);
}

/* R4: a host thread cancels a group, while it runs and before. */
TEST(a_host_thread_cancels_a_group) {
    init_default(0);
    counter count = 0;
    llam_task_group_t *group = group_new(), *early = group_new();
    CHECK_OK(llam_task_group_cancel(early));
    child_ok(early, cancelled_by_token, &count);
    child_ok(group, cancelled_by_token, &count);
    struct run run;
    run_start(&run, NULL);
    AWAIT(atomic_load(&count) == 102);
    CHECK_OK(llam_task_group_cancel(group));
    CHECK_OK(llam_task_group_join(group));
    CHECK_EQ(atomic_load(&count), 202);
    CHECK_OK(llam_task_group_join(early));
    run_finish(&run);
    CHECK_OK(llam_task_group_destroy(group));
    CHECK_OK(llam_task_group_destroy(early));
    llam_runtime_shutdown();
}

/* ---- Joining ---- */

static void join_ended_children(void *arg) {
    llam_task_group_t *group = arg;
    CHECK_OK(llam_task_group_join_until(group, 0));
}

static void join_children(void *arg) {
    struct scene *scene = arg;
    llam_task_group_t *group = group_new();
    const uint64_t past[3] = {0, 1, llam_now_ns() - 1};
    for (int i = 0; i < 3; i++) {
        llam_task_t *children[5];
        for (int k = 0; k < 5; k++) children[k] = child_ok(group, count_one, &scene->count);
        for (int k = 0; k < 5; k++) AWAIT(in_state(children[k], "DEAD"));
        CHECK_FAILS(llam_task_group_destroy(group), EBUSY);
        errno_marked();
        CHECK_OK(llam_task_group_join_until(group, past[i]));
        CHECK_ERRNO_KEPT();
        for (int k = 0; k < 5; k++) check_dead(children[k]);
    }
    /* A cancelled task joins ended children as well. */
    llam_task_t *child = child_ok(group, count_one, &scene->count);
    AWAIT(in_state(child, "DEAD"));
    run_cancelled(join_ended_children, group);
    check_dead(child);
    for (int i = 0; i < 50; i++) child_ok(group, count_one, &scene->count);
    CHECK_OK(llam_task_group_join(group));
    CHECK_EQ(atomic_load(&scene->count), 66);
    CHECK_OK(llam_task_group_destroy(group));
}

/* Appendix A: "llam_task_group_join_until with children that have all ended returns 0 whatever the
 * deadline." abi.md 4.4: then the group is empty and can be used again. */
TEST(ended_children_are_joined_whatever_the_deadline) {
    static struct scene scene;
    run_task(join_children, &scene);
}

static void join_group_cancelled(void *arg) {
    CHECK_FAILS(llam_task_group_join_until(arg, 0), ETIMEDOUT);
    CHECK_FAILS(llam_task_group_join(arg), ECANCELED);
    CHECK_FAILS(llam_task_group_join_until(arg, after_ms(60000)), ECANCELED);
}

static void join_until_cancelled(void *arg) {
    CHECK_FAILS(llam_task_group_join(arg), ECANCELED);
}

static void join_in_parts(void *arg) {
    struct scene *scene = arg;
    llam_task_group_t *group = group_new();
    llam_task_t *first = child_ok(group, do_nothing, NULL);
    llam_task_t *second = child_ok(group, until_set, &scene->gate);
    llam_task_t *third = child_ok(group, do_nothing, NULL);
    AWAIT(in_state(first, "DEAD") && in_state(third, "DEAD"));
    uint64_t deadline = after_ms(5);
    CHECK_FAILS(llam_task_group_join_until(group, deadline), ETIMEDOUT);
    CHECK(llam_now_ns() >= deadline);
    check_dead(first);
    CHECK(llam_task_id(second) != 0 && llam_task_id(third) != 0);
    CHECK_STR(llam_task_state_name(third), "DEAD");
    CHECK_FAILS(llam_task_group_destroy(group), EBUSY);
    CHECK_FAILS(llam_task_group_join_until(group, 0), ETIMEDOUT);
    run_cancelled(join_group_cancelled, group);
    llam_cancel_token_t *token = token_new();
    llam_task_t *joiner = spawn_with_token(join_until_cancelled, group, token);
    AWAIT(in_state(joiner, "PARKED"));
    CHECK_OK(llam_cancel_token_cancel(token));
    CHECK_OK(llam_join(joiner));
    CHECK_OK(llam_cancel_token_destroy(token));
    CHECK(llam_task_id(second) != 0 && llam_task_id(third) != 0);
    CHECK_FAILS(llam_join(second), EBUSY);
    atomic_store(&scene->gate, 1);
    CHECK_OK(llam_task_group_join(group));
    check_dead(second);
    check_dead(third);
    CHECK_OK(llam_task_group_destroy(group));
}

/* abi.md 4.4, 5.9: on timeout or cancel the earlier children are gone, the awaited and all later
 * ones stay, ended or not; join again to go on. */
TEST(a_join_that_fails_keeps_the_remaining_children) {
    static struct scene scene;
    run_task(join_in_parts, &scene);
}

/* Appendix A: "Destroy with unjoined children: EBUSY, even if they have ended." */
TEST(a_group_with_children_cannot_be_destroyed) {
    init_default(0);
    llam_task_group_t *group = group_new();
    child_ok(group, do_nothing, NULL);
    CHECK_FAILS(llam_task_group_destroy(group), EBUSY);
    run_here();
    CHECK_FAILS(llam_task_group_destroy(group), EBUSY);
    CHECK_OK(llam_task_group_join(group));
    CHECK_OK(llam_task_group_destroy(group));
    llam_runtime_shutdown();
}

static void join_group(void *arg) {
    struct scene *scene = arg;
    atomic_store(&scene->entered, 1);
    CHECK_OK(llam_task_group_join(scene->group));
    atomic_store(&scene->entered, 2);
}

static void join_own_group_during_join(void *arg) {
    struct scene *scene = arg;
    AWAIT(atomic_load(&scene->gate) == 1);
    CHECK_FAILS(llam_task_group_join(scene->group), EBUSY);
    CHECK_FAILS(llam_task_group_join_until(scene->group, 0), EBUSY);
    count_one(&scene->count);
    CHECK_FAILS(llam_sleep_until(UINT64_MAX), ECANCELED);
}

static void disturb_a_join(void *arg) {
    struct scene *scene = arg;
    scene->group = group_new();
    child_ok(scene->group, join_own_group_during_join, scene);
    llam_task_t *joiner = spawn_ok(join_group, scene);
    AWAIT(atomic_load(&scene->entered) == 1 && in_state(joiner, "PARKED"));
    CHECK_FAILS(llam_task_group_join(scene->group), EBUSY);
    CHECK_FAILS(llam_task_group_join_until(scene->group, 0), EBUSY);
    CHECK_NULL(llam_task_group_spawn(scene->group, do_nothing, NULL, NULL), EBUSY);
    CHECK_FAILS(llam_task_group_destroy(scene->group), EBUSY);
    atomic_store(&scene->gate, 1);
    AWAIT(atomic_load(&scene->count) == 1);
    CHECK_OK(llam_task_group_cancel(scene->group));
    CHECK_OK(llam_join(joiner));
    CHECK_EQ(atomic_load(&scene->entered), 2);
    CHECK_OK(llam_task_group_destroy(scene->group));
}

/* Appendix A: "Spawn while a join waits: EBUSY." abi.md 4.4, 5.9: a second join and a child that
 * joins its own group meanwhile get EBUSY too; a cancel during a join works. */
TEST(a_group_that_is_being_joined_is_busy) {
    static struct scene scene;
    run_task(disturb_a_join, &scene);
}

static void join_own_group(void *arg) {
    struct scene *scene = arg;
    CHECK_FAILS(llam_task_group_join(scene->group), EDEADLK);
    CHECK_FAILS(llam_task_group_join_until(scene->group, 0), EDEADLK);
    CHECK_FAILS(llam_task_group_join_until(scene->group, after_ms(10000)), EDEADLK);
    /* abi.md 4.4: a child may spawn siblings. */
    child_ok(scene->group, count_one, &scene->count);
    count_one(&scene->count);
}

/* abi.md 4.4: EDEADLK for a child that joins its own group, even with deadline 0. */
TEST(a_child_cannot_join_its_own_group) {
    static struct scene scene;
    init_default(0);
    scene.group = group_new();
    child_ok(scene.group, join_own_group, &scene);
    run_here();
    CHECK_EQ(atomic_load(&scene.count), 2);
    CHECK_OK(llam_task_group_join(scene.group));
    CHECK_OK(llam_task_group_destroy(scene.group));
    llam_runtime_shutdown();
}

/* abi.md 4.4: from a host thread as llam_join_until. */
TEST(a_host_thread_joins_a_group) {
    init_default(0);
    counter gate = 0;
    llam_task_group_t *group = group_new();
    child_ok(group, until_set, &gate);
    child_ok(group, until_set, &gate);
    CHECK_FAILS(llam_task_group_join_until(group, 0), ETIMEDOUT);
    uint64_t deadline = after_ms(5);
    CHECK_FAILS(llam_task_group_join_until(group, deadline), ETIMEDOUT);
    CHECK(llam_now_ns() >= deadline);
    struct run run;
    run_start(&run, NULL);
    CHECK_FAILS(llam_task_group_join_until(group, after_ms(5)), ETIMEDOUT);
    atomic_store(&gate, 1);
    CHECK_OK(llam_task_group_join(group));
    run_finish(&run);
    CHECK_OK(llam_task_group_destroy(group));
    llam_runtime_shutdown();
}

static void *spawn_children(void *arg) {
    struct scene *scene = arg;
    for (int i = 0; i < 200; i++) child_ok(scene->group, count_one, &scene->count);
    return NULL;
}

/* abi.md 4.4: several threads may spawn into a group at once, before and during the run. */
TEST(several_threads_spawn_into_a_group) {
    static struct scene scene;
    init_default(0);
    scene.group = group_new();
    for (int during = 0; during < 2; during++) {
        pthread_t threads[4];
        struct run run;
        llam_task_t *keeper = spawn_ok(until_set, &scene.gate);
        if (during) run_start(&run, NULL);
        for (int i = 0; i < 4; i++)
            CHECK_OK(pthread_create(&threads[i], NULL, spawn_children, &scene));
        for (int i = 0; i < 4; i++) CHECK_OK(pthread_join(threads[i], NULL));
        if (!during) run_start(&run, NULL);
        CHECK_OK(llam_task_group_join(scene.group));
        CHECK_EQ(atomic_load(&scene.count), 800 * (during + 1));
        atomic_store(&scene.gate, 1);
        run_finish(&run);
        CHECK_OK(llam_join(keeper));
        atomic_store(&scene.gate, 0);
    }
    CHECK_OK(llam_task_group_destroy(scene.group));
    llam_runtime_shutdown();
}

/* abi.md 4.2, ours: children left at shutdown count as gone; the group can be destroyed. */
TEST(children_are_gone_after_shutdown) {
    init_default(0);
    llam_task_group_t *ended = group_new(), *never_ran = group_new();
    llam_cancel_token_t *token = token_new();
    llam_spawn_opts_t opts = spawn_options();
    opts.cancel_token = token;
    CHECK(llam_task_group_spawn(ended, do_nothing, NULL, &opts) != NULL);
    run_here();
    llam_task_t *child = child_ok(never_ran, do_nothing, NULL);
    CHECK_FAILS(llam_cancel_token_destroy(token), EBUSY);
    llam_runtime_shutdown();
    check_dead(child);
    CHECK_OK(llam_task_group_destroy(ended));
    CHECK_OK(llam_task_group_destroy(never_ran));
    CHECK_OK(llam_cancel_token_destroy(token));
}

/* ---- Other runtimes ---- */

static void use_a_foreign_group(void *arg) {
    CHECK_NULL(llam_task_group_spawn(arg, do_nothing, NULL, NULL), EXDEV);
    CHECK_FAILS(llam_task_group_cancel(arg), EXDEV);
    CHECK_FAILS(llam_task_group_join(arg), EXDEV);
    CHECK_FAILS(llam_task_group_join_until(arg, 0), EXDEV);
    CHECK_FAILS(llam_task_group_destroy(arg), EXDEV);
}

struct made {
    llam_task_group_t *group;
    llam_cancel_token_t *token;
};

static void make_a_group(void *arg) {
    struct made *made = arg;
    made->group = group_new();
    made->token = token_new();
}

/* R2: a task of another runtime gets EXDEV for every operation, without effect; a host thread may
 * use the group while its runtime lives, and only destroy it afterwards. */
TEST(a_group_belongs_to_its_runtime) {
    init_default(0);
    llam_runtime_t *other = runtime_new(0);
    struct made made;
    counter ran = 0;
    llam_task_group_t *own = group_new();
    run_on(other, make_a_group, &made);
    run_on(other, use_a_foreign_group, own);
    CHECK_OK(llam_detach(spawn_ok(use_a_foreign_group, made.group)));
    run_here();
    llam_spawn_opts_t opts = spawn_options();
    opts.cancel_token = made.token;
    CHECK_NULL(llam_task_group_spawn(own, count_one, &ran, &opts), EXDEV);
    CHECK(llam_task_group_spawn(made.group, count_one, &ran, &opts) != NULL);
    child_ok(made.group, count_one, &ran);
    CHECK_OK(llam_runtime_run_handle(other));
    CHECK_EQ(atomic_load(&ran), 2);
    CHECK_OK(llam_task_group_join(made.group));
    child_ok(made.group, count_one, &ran);
    llam_runtime_destroy(other);
    CHECK_NULL(llam_task_group_spawn(made.group, count_one, &ran, NULL), EXDEV);
    CHECK_FAILS(llam_task_group_cancel(made.group), EXDEV);
    CHECK_FAILS(llam_task_group_join(made.group), EXDEV);
    CHECK_FAILS(llam_task_group_join_until(made.group, 0), EXDEV);
    CHECK_OK(llam_task_group_destroy(made.group));
    CHECK_OK(llam_cancel_token_destroy(made.token));
    CHECK_OK(llam_task_group_destroy(own));
    CHECK_EQ(atomic_load(&ran), 2);
    llam_runtime_shutdown();
}

MAIN
