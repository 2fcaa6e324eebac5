/* Owners: each object belongs to one runtime. Every family of objects across two explicit runtimes and
 * the default one, from tasks and from host threads, while the owner is live and after its end: abi.md
 * 4.0 R1, R2, R3, R4.
 */
#include "runtime_support.h"

/* One object of each family, made by a task of one runtime. */
struct objects {
    llam_mutex_t *mutex;
    llam_cond_t *cond;
    llam_channel_t *channel; /* capacity 2, one value buffered */
    llam_cancel_token_t *token;
    llam_task_group_t *group;
    llam_timer_t *timer; /* due at once */
    llam_signal_set_t *signals;
    llam_task_t *task, *child; /* both end; the child is the group's */
    int signo;
};

#define VALUE ((void *)(uintptr_t)0xabcd)

static void make_objects(void *arg) {
    struct objects *made = arg;
    llam_timer_opts_t timer_opts = {0, 3600 * 1000 * CHECK_MS, 0, 0};
    made->mutex = llam_mutex_create();
    made->cond = llam_cond_create();
    made->channel = llam_channel_create(2);
    made->token = llam_cancel_token_create();
    made->group = llam_task_group_create();
    CHECK_OK(llam_timer_create_ex(&timer_opts, sizeof timer_opts, &made->timer));
    CHECK_OK(llam_signal_set_create_ex(&made->signo, 1, NULL, 0, &made->signals));
    CHECK_OK(llam_channel_send(made->channel, VALUE));
    made->task = spawn_ok(task_nothing, NULL);
    made->child = llam_task_group_spawn(made->group, task_nothing, NULL, NULL);
    CHECK(made->mutex != NULL && made->cond != NULL && made->channel != NULL);
    CHECK(made->token != NULL && made->child != NULL);
}

/* The maker's runtime can use all of it, unchanged; this ends the objects. */
static void use_and_destroy(void *arg) {
    struct objects *made = arg;
    uint64_t ticks = 0;
    void *out = NULL;
    llam_spawn_opts_t opts;
    CHECK_OK(llam_mutex_trylock(made->mutex));
    CHECK_FAILS(llam_cond_wait_until(made->cond, made->mutex, 0), ETIMEDOUT);
    CHECK_OK(llam_mutex_unlock(made->mutex));
    CHECK_OK(llam_channel_try_recv_result(made->channel, &out));
    CHECK_PTR(out, VALUE);
    CHECK_FAILS(llam_channel_try_recv_result(made->channel, &out), EAGAIN);
    CHECK_EQ(llam_cancel_token_is_cancelled(made->token), 0);
    CHECK_OK(llam_spawn_opts_init(&opts, sizeof opts));
    opts.cancel_token = made->token;
    llam_task_t *task = llam_spawn(task_nothing, NULL, &opts);
    CHECK_OK(llam_join(task));
    CHECK_OK(llam_timer_wait_until(made->timer, 1, &ticks));
    CHECK_EQ(ticks, 1);
    CHECK(llam_task_id(made->task) > 0);
    CHECK_OK(llam_join(made->task));
    CHECK_FAILS(llam_join(made->child), EBUSY);
    CHECK_OK(llam_task_group_join(made->group));
    CHECK_OK(llam_mutex_destroy(made->mutex));
    CHECK_OK(llam_cond_destroy(made->cond));
    CHECK_OK(llam_channel_destroy(made->channel));
    CHECK_OK(llam_cancel_token_destroy(made->token));
    CHECK_OK(llam_task_group_destroy(made->group));
    CHECK_OK(llam_timer_destroy(made->timer));
    CHECK_OK(llam_signal_set_destroy(made->signals));
}

/* ---- A task of another runtime: EXDEV from every operation ---- */

static void abuse_locks(const struct objects *foreign) {
    llam_mutex_t *mutex = llam_mutex_create();
    llam_cond_t *cond = llam_cond_create();
    CHECK_FAILS(llam_mutex_lock(foreign->mutex), EXDEV);
    CHECK_FAILS(llam_mutex_lock_until(foreign->mutex, 0), EXDEV);
    CHECK_FAILS(llam_mutex_trylock(foreign->mutex), EXDEV);
    CHECK_FAILS(llam_mutex_unlock(foreign->mutex), EXDEV);
    CHECK_FAILS(llam_mutex_destroy(foreign->mutex), EXDEV);
    CHECK_OK(llam_mutex_lock(mutex));
    CHECK_FAILS(llam_cond_wait(foreign->cond, mutex), EXDEV);
    CHECK_FAILS(llam_cond_wait_until(foreign->cond, mutex, 0), EXDEV);
    CHECK_FAILS(llam_cond_wait(cond, foreign->mutex), EXDEV);
    CHECK_FAILS(llam_cond_wait_until(cond, foreign->mutex, 0), EXDEV);
    CHECK_FAILS(llam_cond_signal(foreign->cond), EXDEV);
    CHECK_FAILS(llam_cond_broadcast(foreign->cond), EXDEV);
    CHECK_FAILS(llam_cond_destroy(foreign->cond), EXDEV);
    CHECK_OK(llam_mutex_unlock(mutex));
    CHECK_OK(llam_mutex_destroy(mutex));
    CHECK_OK(llam_cond_destroy(cond));
}

static void abuse_channel(llam_channel_t *foreign) {
    void *out = VALUE;
    CHECK_FAILS(llam_channel_send(foreign, VALUE), EXDEV);
    CHECK_FAILS(llam_channel_send_until(foreign, VALUE, 0), EXDEV);
    CHECK_FAILS(llam_channel_try_send(foreign, VALUE), EXDEV);
    CHECK_FAILS(llam_channel_recv_result(foreign, &out), EXDEV);
    CHECK_PTR(out, NULL);
    out = VALUE;
    CHECK_FAILS(llam_channel_recv_until_result(foreign, 0, &out), EXDEV);
    CHECK_PTR(out, NULL);
    out = VALUE;
    CHECK_FAILS(llam_channel_try_recv_result(foreign, &out), EXDEV);
    CHECK_PTR(out, NULL);
    CHECK_NULL(llam_channel_recv(foreign), EXDEV);
    CHECK_NULL(llam_channel_recv_until(foreign, 0), EXDEV);
    CHECK_FAILS(llam_channel_close(foreign), EXDEV);
    CHECK_FAILS(llam_channel_destroy(foreign), EXDEV);
}

/* One foreign arm, at each end: nothing happens to the ready arms of the caller's own channel. */
static void abuse_select(llam_channel_t *foreign) {
    llam_channel_t *own = llam_channel_create(2);
    CHECK_OK(llam_channel_send(own, VALUE));
    for (size_t bad = 0; bad < 3; bad++) {
        size_t index = 55;
        void *outs[3] = {NULL, NULL, NULL};
        llam_select_op_t ops[3];
        for (size_t i = 0; i < 3; i++) {
            llam_select_op_t op = {LLAM_SELECT_OP_RECV, 0, i == bad ? foreign : own, NULL,
                                   &outs[i], EIO};
            ops[i] = op;
        }
        CHECK_FAILS(llam_channel_select(ops, 3, UINT64_MAX, &index), EXDEV);
        CHECK_EQ(index, 55);
        for (size_t i = 0; i < 3; i++) CHECK_EQ(ops[i].result_errno, 0);
        ops[bad].kind = LLAM_SELECT_OP_SEND;
        CHECK_FAILS(llam_channel_select(ops, 3, 0, &index), EXDEV);
    }
    CHECK_PTR(llam_channel_recv(own), VALUE);
    CHECK_OK(llam_channel_destroy(own));
}

static void abuse_token_and_group(const struct objects *foreign) {
    llam_spawn_opts_t opts;
    llam_task_group_t *group = llam_task_group_create();
    CHECK_OK(llam_spawn_opts_init(&opts, sizeof opts));
    opts.cancel_token = foreign->token;
    CHECK_FAILS(llam_cancel_token_is_cancelled(foreign->token), EXDEV);
    CHECK_FAILS(llam_cancel_token_cancel(foreign->token), EXDEV);
    CHECK_FAILS(llam_cancel_token_destroy(foreign->token), EXDEV);
    CHECK_NULL(llam_spawn(task_nothing, NULL, &opts), EXDEV);
    CHECK_NULL(llam_spawn_ex(task_nothing, NULL, &opts, sizeof opts), EXDEV);
    CHECK_NULL(llam_task_group_spawn(group, task_nothing, NULL, &opts), EXDEV);
    CHECK_OK(llam_task_group_destroy(group));
    CHECK_NULL(llam_task_group_spawn(foreign->group, task_nothing, NULL, NULL), EXDEV);
    CHECK_NULL(llam_task_group_spawn_ex(foreign->group, task_nothing, NULL, NULL, 0), EXDEV);
    CHECK_FAILS(llam_task_group_cancel(foreign->group), EXDEV);
    CHECK_FAILS(llam_task_group_join(foreign->group), EXDEV);
    CHECK_FAILS(llam_task_group_join_until(foreign->group, 0), EXDEV);
    CHECK_FAILS(llam_task_group_destroy(foreign->group), EXDEV);
}

static void abuse_waits(const struct objects *foreign) {
    uint64_t ticks = 9;
    llam_signal_event_t event = {1, 1, 1};
    CHECK_FAILS(llam_timer_wait(foreign->timer, &ticks), EXDEV);
    CHECK_EQ(ticks, 0);
    CHECK_FAILS(llam_timer_wait_until(foreign->timer, 1, &ticks), EXDEV);
    CHECK_FAILS(llam_timer_reset(foreign->timer, 0, 1), EXDEV);
    CHECK_FAILS(llam_timer_cancel(foreign->timer), EXDEV);
    CHECK_FAILS(llam_timer_destroy(foreign->timer), EXDEV);
    CHECK_FAILS(llam_signal_wait(foreign->signals, &event), EXDEV);
    CHECK(all_zero(&event, sizeof event));
    CHECK_FAILS(llam_signal_wait_until(foreign->signals, 0, &event), EXDEV);
    CHECK_FAILS(llam_signal_set_destroy(foreign->signals), EXDEV);
}

static void abuse_task(llam_task_t *foreign) {
    errno = ENOTTY;
    CHECK_EQ(llam_task_id(foreign), 0);
    CHECK_STR(llam_task_state_name(foreign), "UNKNOWN");
    CHECK_EQ(llam_task_class(foreign), LLAM_TASK_CLASS_DEFAULT);
    CHECK_EQ(llam_task_flags(foreign), 0);
    CHECK_EQ(errno, ENOTTY);
    CHECK_FAILS(llam_join(foreign), EXDEV);
    CHECK_FAILS(llam_join_until(foreign, 0), EXDEV);
    CHECK_FAILS(llam_detach(foreign), EXDEV);
}

static void abuse_objects(void *arg) {
    const struct objects *foreign = arg;
    abuse_locks(foreign);
    abuse_channel(foreign->channel);
    abuse_select(foreign->channel);
    abuse_token_and_group(foreign);
    abuse_waits(foreign);
    abuse_task(foreign->task);
    abuse_task(foreign->child);
}

/* The default runtime and two explicit ones. */
static llam_runtime_t *runtimes[3];

static void make_runtimes(void) {
    init_default(0);
    runtimes[0] = llam_runtime_default();
    runtimes[1] = create_ok();
    runtimes[2] = create_ok();
}

static void end_runtimes(void) {
    for (int i = 2; i >= 0; i--) llam_runtime_destroy(runtimes[i]);
}

/* R2: a task of another runtime gets EXDEV from every operation on every object, without effect;
 * all six pairs of owner and caller. */
TEST(tasks_of_other_runtimes_get_exdev_everywhere) {
    make_runtimes();
    for (int owner = 0; owner < 3; owner++) {
        struct objects made = {.signo = SIGUSR1};
        run_on(runtimes[owner], make_objects, &made);
        for (int caller = 0; caller < 3; caller++)
            if (caller != owner) run_on(runtimes[caller], abuse_objects, &made);
        run_on(runtimes[owner], use_and_destroy, &made);
    }
    end_runtimes();
}

static void abuse_all_but_tasks(void *arg) {
    const struct objects *foreign = arg;
    abuse_locks(foreign);
    abuse_channel(foreign->channel);
    abuse_select(foreign->channel);
    abuse_token_and_group(foreign);
    abuse_waits(foreign);
    CHECK_FAILS(llam_join(foreign->task), EINVAL);
    CHECK_FAILS(llam_detach(foreign->child), EINVAL);
}

static void host_cleans_up(const struct objects *made);

/* R2: tasks get EXDEV for objects of a destroyed runtime as well, cleanup included; a runtime made
 * afterwards does not inherit them. */
TEST(a_new_runtime_is_not_the_owner_of_old_objects) {
    struct objects made = {.signo = SIGUSR1};
    make_runtimes();
    run_on(runtimes[1], make_objects, &made);
    llam_runtime_destroy(runtimes[1]);
    run_on(runtimes[2], abuse_all_but_tasks, &made);
    runtimes[1] = create_ok();
    for (int caller = 0; caller < 3; caller++)
        run_on(runtimes[caller], abuse_all_but_tasks, &made);
    host_cleans_up(&made);
    end_runtimes();
}

/* ---- Host threads ---- */

/* R2: a host thread may use objects of a live explicit runtime; R3 calls need a task even so. */
static void host_uses(const struct objects *made) {
    uint64_t ticks = 0;
    void *out = NULL;
    size_t index = 0;
    llam_signal_event_t event;
    llam_select_op_t op = {LLAM_SELECT_OP_RECV, 0, made->channel, NULL, &out, 9};
    CHECK_FAILS(llam_mutex_lock(made->mutex), ENOTSUP);
    CHECK_FAILS(llam_mutex_lock_until(made->mutex, 0), ENOTSUP);
    CHECK_FAILS(llam_mutex_trylock(made->mutex), ENOTSUP);
    CHECK_FAILS(llam_mutex_unlock(made->mutex), ENOTSUP);
    CHECK_FAILS(llam_cond_wait(made->cond, made->mutex), ENOTSUP);
    CHECK_FAILS(llam_cond_wait_until(made->cond, made->mutex, 0), ENOTSUP);
    CHECK_FAILS(llam_channel_send(made->channel, VALUE), ENOTSUP);
    CHECK_FAILS(llam_channel_send_until(made->channel, VALUE, 0), ENOTSUP);
    CHECK_FAILS(llam_channel_recv_result(made->channel, &out), ENOTSUP);
    CHECK_NULL(llam_channel_recv(made->channel), ENOTSUP);
    CHECK_FAILS(llam_channel_select(&op, 1, 0, &index), ENOTSUP);
    CHECK_EQ(op.result_errno, 0);
    CHECK_OK(llam_cond_signal(made->cond));
    CHECK_OK(llam_cond_broadcast(made->cond));
    CHECK_OK(llam_channel_try_send(made->channel, VALUE));
    CHECK_FAILS(llam_channel_try_send(made->channel, VALUE), EAGAIN);
    CHECK_OK(llam_channel_try_recv_result(made->channel, &out));
    CHECK_PTR(out, VALUE);
    CHECK_EQ(llam_cancel_token_is_cancelled(made->token), 0);
    CHECK_OK(llam_timer_wait(made->timer, &ticks));
    CHECK_EQ(ticks, 1);
    CHECK_FAILS(llam_timer_wait_until(made->timer, 1, &ticks), ETIMEDOUT);
    CHECK_OK(llam_timer_cancel(made->timer));
    CHECK_OK(llam_timer_reset(made->timer, 0, 3600 * 1000 * CHECK_MS));
    CHECK_FAILS(llam_signal_wait_until(made->signals, after_ms(2), &event), ETIMEDOUT);
    CHECK(llam_task_id(made->task) > 0);
    CHECK_STR(llam_task_state_name(made->task), "DEAD");
    CHECK_FAILS(llam_join(made->child), EBUSY);
    CHECK_FAILS(llam_detach(made->child), EBUSY);
}

TEST(host_threads_may_use_objects_of_live_runtimes) {
    make_runtimes();
    for (int owner = 0; owner < 3; owner++) {
        struct objects made = {.signo = SIGUSR1};
        run_on(runtimes[owner], make_objects, &made);
        host_uses(&made);
        llam_task_t *child = llam_task_group_spawn(made.group, task_nothing, NULL, NULL);
        CHECK(child != NULL);
        CHECK_STR(llam_task_state_name(child), "RUNNABLE");
        CHECK_OK(llam_runtime_run_handle(runtimes[owner]));
        CHECK_STR(llam_task_state_name(child), "DEAD");
        CHECK_OK(llam_task_group_cancel(made.group));
        run_on(runtimes[owner], use_and_destroy, &made);
    }
    end_runtimes();
}

/* Every destroy and the close, on a host thread. */
static void host_cleans_up(const struct objects *made) {
    void *out = NULL;
    CHECK_OK(llam_mutex_destroy(made->mutex));
    CHECK_OK(llam_cond_destroy(made->cond));
    CHECK_FAILS(llam_channel_destroy(made->channel), EBUSY);
    CHECK_OK(llam_channel_close(made->channel));
    CHECK_OK(llam_channel_try_recv_result(made->channel, &out));
    CHECK_PTR(out, VALUE);
    CHECK_OK(llam_channel_destroy(made->channel));
    CHECK_OK(llam_cancel_token_destroy(made->token));
    CHECK_OK(llam_task_group_destroy(made->group));
    CHECK_OK(llam_timer_destroy(made->timer));
    CHECK_OK(llam_signal_set_destroy(made->signals));
    CHECK_FAILS(llam_mutex_destroy(made->mutex), EINVAL);
    CHECK_FAILS(llam_channel_close(made->channel), EINVAL);
    CHECK_FAILS(llam_signal_set_destroy(made->signals), EINVAL);
}

/* R2 and R4: after the owner was destroyed, a host thread gets EXDEV for everything but cleanup. */
TEST(objects_of_a_destroyed_runtime_can_only_be_cleaned_up) {
    struct objects made = {.signo = SIGUSR1};
    llam_channel_t *empty;
    uint64_t ticks = 9;
    void *out = NULL;
    llam_signal_event_t event;
    make_runtimes();
    run_on(runtimes[1], make_objects, &made);
    llam_runtime_destroy(runtimes[1]);
    CHECK_FAILS(llam_cond_signal(made.cond), EXDEV);
    CHECK_FAILS(llam_cond_broadcast(made.cond), EXDEV);
    CHECK_FAILS(llam_channel_try_send(made.channel, VALUE), EXDEV);
    CHECK_FAILS(llam_cancel_token_cancel(made.token), EXDEV);
    CHECK_FAILS(llam_cancel_token_is_cancelled(made.token), EXDEV);
    CHECK_FAILS(llam_timer_wait(made.timer, &ticks), EXDEV);
    CHECK_EQ(ticks, 0);
    CHECK_FAILS(llam_timer_wait_until(made.timer, after_ms(2), &ticks), EXDEV);
    CHECK_FAILS(llam_timer_reset(made.timer, 0, 1), EXDEV);
    CHECK_FAILS(llam_timer_cancel(made.timer), EXDEV);
    CHECK_FAILS(llam_signal_wait(made.signals, &event), EXDEV);
    CHECK_FAILS(llam_signal_wait_until(made.signals, after_ms(2), &event), EXDEV);
    CHECK_NULL(llam_task_group_spawn(made.group, task_nothing, NULL, NULL), EXDEV);
    CHECK_FAILS(llam_task_group_cancel(made.group), EXDEV);
    CHECK_FAILS(llam_task_group_join(made.group), EXDEV);
    CHECK_FAILS(llam_task_group_join_until(made.group, 0), EXDEV);
    CHECK_EQ(llam_task_id(made.task), 0);
    CHECK_FAILS(llam_join(made.task), EINVAL);
    CHECK_FAILS(llam_detach(made.child), EINVAL);
    empty = made.channel;
    CHECK_OK(llam_channel_try_recv_result(empty, &out));
    CHECK_PTR(out, VALUE);
    CHECK_FAILS(llam_channel_try_recv_result(empty, &out), ENOTSUP);
    CHECK_OK(llam_channel_destroy(empty));
    made.channel = llam_channel_create(2);
    CHECK_OK(llam_channel_try_send(made.channel, VALUE));
    host_cleans_up(&made);
    end_runtimes();
}

/* R2: what a host thread makes is default-owned: tasks of an explicit runtime cannot use it, those of
 * the default one can. */
TEST(what_a_host_thread_makes_is_default_owned) {
    struct objects made = {.signo = SIGUSR1};
    llam_timer_opts_t timer_opts = {0, 3600 * 1000 * CHECK_MS, 0, 0};
    make_runtimes();
    made.mutex = llam_mutex_create();
    made.cond = llam_cond_create();
    made.channel = llam_channel_create(2);
    made.token = llam_cancel_token_create();
    made.group = llam_task_group_create();
    CHECK_OK(llam_timer_create_ex(&timer_opts, sizeof timer_opts, &made.timer));
    CHECK_OK(llam_signal_set_create_ex(&made.signo, 1, NULL, 0, &made.signals));
    CHECK_OK(llam_channel_try_send(made.channel, VALUE));
    made.task = spawn_ok(task_nothing, NULL);
    made.child = llam_task_group_spawn(made.group, task_nothing, NULL, NULL);
    CHECK_OK(llam_run());
    run_on(runtimes[1], abuse_objects, &made);
    run_on(runtimes[2], abuse_objects, &made);
    run_on(runtimes[0], use_and_destroy, &made);
    end_runtimes();
}

static void *make_mutex(void *arg) {
    (void)arg;
    return llam_mutex_create();
}

static void task_makes_on_the_pool(void *arg) {
    void *out = NULL;
    CHECK_OK(llam_call_blocking_result(make_mutex, NULL, &out));
    CHECK_FAILS(llam_mutex_lock(out), EXDEV);
    CHECK_FAILS(llam_mutex_destroy(out), EXDEV);
    *(void **)arg = out;
}

/* 4.7: a blocking callback is a host thread; what it makes is default-owned. */
TEST(what_a_blocking_callback_makes_is_default_owned) {
    void *mutex = NULL;
    make_runtimes();
    run_on(runtimes[1], task_makes_on_the_pool, &mutex);
    CHECK_OK(llam_mutex_destroy(mutex));
    end_runtimes();
}

static void make_token(void *arg) { *(llam_cancel_token_t **)arg = llam_cancel_token_create(); }

/* R2: a token in spawn options must have the owner of the new task. Nothing is started and no
 * reference to the token remains (4.3). */
TEST(a_token_must_have_the_owner_of_the_new_task) {
    llam_cancel_token_t *tokens[3];
    make_runtimes();
    for (int i = 0; i < 3; i++) run_on(runtimes[i], make_token, &tokens[i]);
    for (int token = 0; token < 3; token++) {
        llam_spawn_opts_t opts;
        CHECK_OK(llam_spawn_opts_init(&opts, sizeof opts));
        opts.cancel_token = tokens[token];
        for (int target = 0; target < 3; target++) {
            if (target == token) continue;
            CHECK_NULL(llam_runtime_spawn_ex(runtimes[target], task_nothing, NULL, &opts, 32), EXDEV);
        }
        if (token != 0) CHECK_NULL(llam_spawn(task_nothing, NULL, &opts), EXDEV);
        llam_task_t *task = llam_runtime_spawn_ex(runtimes[token], task_nothing, NULL, &opts, 32);
        CHECK(task != NULL);
        CHECK_FAILS(llam_cancel_token_destroy(tokens[token]), EBUSY);
        CHECK_OK(llam_runtime_run_handle(runtimes[token]));
        CHECK(stats_of(runtimes[token]).ctx_switches >= 2);
        CHECK_OK(llam_join(task));
        CHECK_OK(llam_cancel_token_destroy(tokens[token]));
    }
    end_runtimes();
}

static void task_spawns_elsewhere(void *arg) {
    llam_spawn_opts_t opts;
    llam_runtime_t *target = arg;
    CHECK_OK(llam_spawn_opts_init(&opts, sizeof opts));
    opts.cancel_token = llam_cancel_token_create();
    CHECK_NULL(llam_runtime_spawn_ex(target, task_nothing, NULL, &opts, 32), EXDEV);
    CHECK_OK(llam_cancel_token_destroy(opts.cancel_token));
    llam_task_t *task = spawn_on(target, task_nothing, NULL);
    abuse_task(task);
}

/* 4.3: llam_runtime_spawn_ex works from tasks of other runtimes; the new task is foreign to them. */
TEST(a_task_may_spawn_on_another_runtime) {
    make_runtimes();
    for (int from = 0; from < 3; from++) {
        for (int to = 0; to < 3; to++) {
            if (to == from) continue;
            uint64_t before = stats_of(runtimes[to]).ctx_switches;
            run_on(runtimes[from], task_spawns_elsewhere, runtimes[to]);
            CHECK_EQ(stats_of(runtimes[to]).ctx_switches, before);
            CHECK_OK(llam_runtime_run_handle(runtimes[to]));
            CHECK(stats_of(runtimes[to]).ctx_switches > before);
        }
    }
    end_runtimes();
}

static llam_io_buffer_t *shared_buffer;
static llam_task_local_key_t shared_key;

static void task_uses_ownerless(void *arg) {
    (void)arg;
    CHECK(llam_io_buffer_capacity(shared_buffer) >= 10);
    memset(llam_io_buffer_data(shared_buffer), 1, 10);
    errno = 0;
    CHECK_PTR(llam_task_local_get(shared_key), NULL);
    CHECK_EQ(errno, 0);
    CHECK_OK(llam_task_local_set(shared_key, VALUE));
    CHECK_PTR(llam_task_local_get(shared_key), VALUE);
}

/* R2: I/O buffers and task-local keys have no owner. */
TEST(buffers_and_keys_have_no_owner) {
    make_runtimes();
    CHECK_OK(llam_io_buffer_alloc(10, &shared_buffer));
    CHECK_OK(llam_task_local_key_create(&shared_key));
    for (int i = 0; i < 3; i++) run_on(runtimes[i], task_uses_ownerless, NULL);
    end_runtimes();
    llam_io_buffer_release(shared_buffer);
    CHECK_OK(llam_task_local_key_delete(shared_key));
}

MAIN
