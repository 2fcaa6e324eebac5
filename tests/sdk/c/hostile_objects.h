/* Hostile calls, part 2: mutexes, conditions, channels, select (abi.md 4.10 to 4.13), tokens (4.9),
 * task-local values (4.8), blocking (4.7), signals (4.6), time and timers (4.5). */
#ifndef HOSTILE_OBJECTS_H
#define HOSTILE_OBJECTS_H

#include "hostile.h"

/* ---- Mutexes ---- */

static void try_llam_mutex_create(struct ctx *c) {
    BEGIN_PLAIN(c, llam_mutex_create);
    llam_mutex_t *mutex = llam_mutex_create();
    pointer_verdict(c, mutex, 0);
    MUST(c, llam_mutex_destroy(mutex) == 0);
    stale[MUTEX][below(c, STALE_VALUES)] = mutex;
}

static void try_llam_mutex_destroy(struct ctx *c) {
    struct pick picked = pick_to_end(c, MUTEX);
    int code = handle_code(picked);
    if (picked.standing == OWN) {
        picked.value = llam_mutex_create();
        MUST(c, picked.value != NULL);
        if (c->phase == RUNNING && c->place != FOREIGN_TASK && coin(c)) {
            MUST(c, llam_mutex_destroy(picked.value) == 0);
            picked.value = busy_mutex;
            code = EBUSY;
        }
    }
    BEGIN(c, llam_mutex_destroy, A(picked.value));
    quiet_verdict(c, llam_mutex_destroy(picked.value), code);
    if (code == 0) stale[MUTEX][below(c, STALE_VALUES)] = picked.value;
}

/* A mutex for a lock call, the code, and the deadline that gives it. */
static struct pick mutex_to_lock(struct ctx *c, uint64_t *deadline, int *code) {
    struct pick picked = pick(c, MUTEX);
    *deadline = coin(c) ? expired_deadline(c) : far_deadline(c);
    *code = managed_code(c, picked);
    if (picked.standing != OWN || !in_task(c)) return picked;
    if (coin(c)) {
        MUST(c, llam_mutex_trylock(picked.value) == 0);
        *code = EDEADLK;
    } else if (c->place == TASK && coin(c)) {
        picked.value = busy_mutex;
        *deadline = hopeless_deadline(c, code);
    }
    return picked;
}

static void unlock_own(struct ctx *c, int code) {
    if (code == 0 || code == EDEADLK) MUST(c, llam_mutex_unlock(c->own[MUTEX]) == 0);
}

static void try_llam_mutex_lock(struct ctx *c) {
    uint64_t deadline;
    int code;
    struct pick picked = mutex_to_lock(c, &deadline, &code);
    if (code == ETIMEDOUT) {
        if (!c->cancelled) return;
        code = ECANCELED;
    }
    BEGIN(c, llam_mutex_lock, A(picked.value));
    quiet_verdict(c, llam_mutex_lock(picked.value), code);
    unlock_own(c, code);
}

static void try_llam_mutex_lock_until(struct ctx *c) {
    uint64_t deadline;
    int code;
    struct pick picked = mutex_to_lock(c, &deadline, &code);
    BEGIN(c, llam_mutex_lock_until, A(picked.value), deadline);
    quiet_verdict(c, llam_mutex_lock_until(picked.value, deadline), code);
    unlock_own(c, code);
}

static void try_llam_mutex_trylock(struct ctx *c) {
    uint64_t deadline;
    int code;
    struct pick picked = mutex_to_lock(c, &deadline, &code);
    int answer = code == EDEADLK || code == ETIMEDOUT || code == ECANCELED ? EBUSY : code;
    BEGIN(c, llam_mutex_trylock, A(picked.value));
    quiet_verdict(c, llam_mutex_trylock(picked.value), answer);
    unlock_own(c, code);
}

static void try_llam_mutex_unlock(struct ctx *c) {
    struct pick picked = pick(c, MUTEX);
    int code = managed_code(c, picked);
    if (code == 0) {
        code = EPERM;
        if (c->place == TASK && one_in(c, 3)) {
            picked.value = busy_mutex;
        } else if (coin(c)) {
            MUST(c, llam_mutex_trylock(picked.value) == 0);
            code = 0;
        }
    }
    BEGIN(c, llam_mutex_unlock, A(picked.value));
    quiet_verdict(c, llam_mutex_unlock(picked.value), code);
}

/* ---- Conditions ---- */

static void try_llam_cond_create(struct ctx *c) {
    BEGIN_PLAIN(c, llam_cond_create);
    llam_cond_t *cond = llam_cond_create();
    pointer_verdict(c, cond, 0);
    MUST(c, llam_cond_destroy(cond) == 0);
    stale[COND][below(c, STALE_VALUES)] = cond;
}

static void try_llam_cond_destroy(struct ctx *c) {
    struct pick picked = pick_to_end(c, COND);
    if (picked.standing == OWN) picked.value = llam_cond_create();
    BEGIN(c, llam_cond_destroy, A(picked.value));
    quiet_verdict(c, llam_cond_destroy(picked.value), handle_code(picked));
}

/* Both handles, the code, and whether the own mutex has been locked for the wait. */
struct cond_wait {
    struct pick cond, mutex;
    uint64_t deadline;
    int code, locked;
};

static struct cond_wait prepare_cond_wait(struct ctx *c) {
    struct cond_wait wait = {pick(c, COND), pick(c, MUTEX), far_deadline(c), 0, 0};
    if (coin(c)) wait.cond = (struct pick){c->own[COND], OWN};
    if (coin(c)) wait.mutex = (struct pick){c->own[MUTEX], OWN};
    if (coin(c)) wait.deadline = expired_deadline(c);
    if (wait.cond.standing == BAD || wait.mutex.standing == BAD) wait.code = EINVAL;
    else if (!in_task(c)) wait.code = ENOTSUP;
    else if (wait.cond.standing == ALIEN || wait.mutex.standing == ALIEN) wait.code = EXDEV;
    else if (coin(c)) wait.code = EPERM;
    if (wait.code != 0) return wait;
    MUST(c, llam_mutex_trylock(wait.mutex.value) == 0);
    wait.locked = 1;
    wait.deadline = hopeless_deadline(c, &wait.code);
    return wait;
}

/* The mutex is held after every wait that began (4.11). */
static void end_cond_wait(struct ctx *c, const struct cond_wait *wait) {
    if (wait->locked) MUST(c, llam_mutex_unlock(wait->mutex.value) == 0);
}

static void try_llam_cond_wait(struct ctx *c) {
    struct cond_wait wait = prepare_cond_wait(c);
    if (wait.code == ETIMEDOUT && !c->cancelled) {
        end_cond_wait(c, &wait);
        return;
    }
    BEGIN(c, llam_cond_wait, A(wait.cond.value), A(wait.mutex.value));
    verdict(c, llam_cond_wait(wait.cond.value, wait.mutex.value),
            wait.code == ETIMEDOUT ? ECANCELED : wait.code);
    end_cond_wait(c, &wait);
}

static void try_llam_cond_wait_until(struct ctx *c) {
    struct cond_wait wait = prepare_cond_wait(c);
    BEGIN(c, llam_cond_wait_until, A(wait.cond.value), A(wait.mutex.value), wait.deadline);
    verdict(c, llam_cond_wait_until(wait.cond.value, wait.mutex.value, wait.deadline), wait.code);
    end_cond_wait(c, &wait);
}

static void try_llam_cond_signal(struct ctx *c) {
    struct pick picked = pick(c, COND);
    BEGIN(c, llam_cond_signal, A(picked.value));
    quiet_verdict(c, llam_cond_signal(picked.value), live_code(c, picked, ENOTSUP));
}

static void try_llam_cond_broadcast(struct ctx *c) {
    struct pick picked = pick(c, COND);
    BEGIN(c, llam_cond_broadcast, A(picked.value));
    quiet_verdict(c, llam_cond_broadcast(picked.value), live_code(c, picked, ENOTSUP));
}

/* ---- Channels ---- */

static void try_llam_channel_create(struct ctx *c) {
    int good = one_in(c, 3);
    size_t capacity = (size_t)ONE_OF(c, 0, SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 2,
                                     SIZE_MAX / 8 + 1, SIZE_MAX - 1);
    if (good) capacity = 1 + below(c, 100);
    BEGIN(c, llam_channel_create, capacity);
    llam_channel_t *channel = llam_channel_create(capacity);
    pointer_verdict(c, channel, good ? 0 : capacity == 0 ? EINVAL : ENOMEM);
    if (!good) return;
    MUST(c, llam_channel_destroy(channel) == 0);
    stale[CHANNEL][below(c, STALE_VALUES)] = channel;
}

static void try_llam_channel_destroy(struct ctx *c) {
    struct pick picked = pick_to_end(c, CHANNEL);
    int code = handle_code(picked);
    if (picked.standing == OWN) {
        picked.value = llam_channel_create(2);
        MUST(c, picked.value != NULL);
        if (coin(c)) MUST(c, llam_channel_close(picked.value) == 0);
        if (c->full != NULL && coin(c)) {
            MUST(c, llam_channel_destroy(picked.value) == 0);
            picked.value = c->full;
            code = EBUSY;
        }
    }
    BEGIN(c, llam_channel_destroy, A(picked.value));
    quiet_verdict(c, llam_channel_destroy(picked.value), code);
}

static void try_llam_channel_close(struct ctx *c) {
    struct pick picked = pick_to_end(c, CHANNEL);
    llam_channel_t *made = NULL;
    if (picked.standing == OWN) picked.value = made = llam_channel_create(1);
    if (made != NULL && coin(c)) MUST(c, llam_channel_close(made) == 0);
    BEGIN(c, llam_channel_close, A(picked.value));
    quiet_verdict(c, llam_channel_close(picked.value), handle_code(picked));
    if (made != NULL) MUST(c, llam_channel_destroy(made) == 0);
}

/* A channel for an operation, and what that operation meets when nothing is in the way of it: 0,
 * EPIPE, or EAGAIN when it cannot be done at once. */
static struct pick channel_for(struct ctx *c, int sends, int *meets) {
    struct pick picked = pick(c, CHANNEL);
    *meets = sends ? 0 : EAGAIN;
    if (picked.standing != OWN) return picked;
    if (c->full != NULL && one_in(c, 3)) {
        picked.value = c->full;
        *meets = sends ? EAGAIN : 0;
    } else if (c->closed != NULL && one_in(c, 3)) {
        picked.value = c->closed;
        *meets = EPIPE;
    }
    return picked;
}

#define CONTENT ((void *)(uintptr_t)0xc0ffee)

/* Puts back what an operation has moved. */
static void restore(struct ctx *c, void *channel, int sends) {
    void *out = NULL;
    if (sends) MUST(c, llam_channel_try_recv_result(channel, &out) == 0 && out == CONTENT);
    if (!sends) MUST(c, llam_channel_try_send(channel, CONTENT) == 0);
}

/* The code of a parking operation, and a deadline that gives it. */
static int parking_code(struct ctx *c, struct pick picked, int meets, uint64_t *deadline) {
    int code = managed_code(c, picked);
    *deadline = coin(c) ? expired_deadline(c) : far_deadline(c);
    if (code != 0 || meets != EAGAIN) return code != 0 ? code : meets;
    *deadline = hopeless_deadline(c, &code);
    return code;
}

static void try_llam_channel_send(struct ctx *c) {
    int meets;
    uint64_t deadline;
    struct pick picked = channel_for(c, 1, &meets);
    int code = parking_code(c, picked, meets, &deadline);
    if (code == ETIMEDOUT && !c->cancelled) return;
    if (code == ETIMEDOUT) code = ECANCELED;
    BEGIN(c, llam_channel_send, A(picked.value), A(CONTENT));
    quiet_verdict(c, llam_channel_send(picked.value, CONTENT), code);
    if (code == 0) restore(c, picked.value, 1);
}

static void try_llam_channel_send_until(struct ctx *c) {
    int meets;
    uint64_t deadline;
    struct pick picked = channel_for(c, 1, &meets);
    int code = parking_code(c, picked, meets, &deadline);
    BEGIN(c, llam_channel_send_until, A(picked.value), A(CONTENT), deadline);
    quiet_verdict(c, llam_channel_send_until(picked.value, CONTENT, deadline), code);
    if (code == 0) restore(c, picked.value, 1);
}

static void try_llam_channel_try_send(struct ctx *c) {
    int meets;
    struct pick picked = channel_for(c, 1, &meets);
    int code = live_code(c, picked, ENOTSUP);
    if (code == 0) code = meets;
    BEGIN(c, llam_channel_try_send, A(picked.value), A(CONTENT));
    quiet_verdict(c, llam_channel_try_send(picked.value, CONTENT), code);
    if (code == 0) restore(c, picked.value, 1);
}

/* What *out holds before a call. */
#define FILLER ((void *)(uintptr_t)0xbad)

/* R7: *out is the value, or NULL. */
static void check_received(struct ctx *c, struct pick picked, const void *out, int code) {
    require(c, out == (code == 0 ? CONTENT : NULL), "*out to be the value, or NULL");
    if (code == 0) restore(c, picked.value, 0);
}

static void try_llam_channel_recv_result(struct ctx *c) {
    int meets;
    uint64_t deadline;
    void *out = FILLER;
    struct pick picked = channel_for(c, 0, &meets);
    int code = parking_code(c, picked, meets, &deadline), no_out = one_in(c, 5);
    if (code == ETIMEDOUT && !c->cancelled) return;
    if (code == ETIMEDOUT) code = ECANCELED;
    BEGIN(c, llam_channel_recv_result, A(picked.value), A(no_out ? NULL : &out));
    int status = llam_channel_recv_result(picked.value, no_out ? NULL : &out);
    quiet_verdict(c, status, no_out ? EINVAL : code);
    if (!no_out) check_received(c, picked, out, code);
}

static void try_llam_channel_recv_until_result(struct ctx *c) {
    int meets;
    uint64_t deadline;
    void *out = FILLER;
    struct pick picked = channel_for(c, 0, &meets);
    int code = parking_code(c, picked, meets, &deadline), no_out = one_in(c, 5);
    BEGIN(c, llam_channel_recv_until_result, A(picked.value), deadline, A(no_out ? NULL : &out));
    int status = llam_channel_recv_until_result(picked.value, deadline, no_out ? NULL : &out);
    quiet_verdict(c, status, no_out ? EINVAL : code);
    if (!no_out) check_received(c, picked, out, code);
}

static void try_llam_channel_try_recv_result(struct ctx *c) {
    int meets;
    void *out = FILLER;
    struct pick picked = channel_for(c, 0, &meets);
    int code = handle_code(picked), no_out = one_in(c, 5);
    /* R4: an empty, open channel of an owner that is gone. */
    if (picked.standing == ALIEN && !in_task(c)) code = ENOTSUP;
    if (code == 0) code = meets == EAGAIN && !in_task(c) && !is_live(c) ? ENOTSUP : meets;
    BEGIN(c, llam_channel_try_recv_result, A(picked.value), A(no_out ? NULL : &out));
    int status = llam_channel_try_recv_result(picked.value, no_out ? NULL : &out);
    quiet_verdict(c, status, no_out ? EINVAL : code);
    if (!no_out) check_received(c, picked, out, code);
}

static void try_llam_channel_recv(struct ctx *c) {
    int meets;
    uint64_t deadline;
    struct pick picked = channel_for(c, 0, &meets);
    int code = parking_code(c, picked, meets, &deadline);
    if (code == ETIMEDOUT && !c->cancelled) return;
    if (code == ETIMEDOUT) code = ECANCELED;
    BEGIN(c, llam_channel_recv, A(picked.value));
    void *out = llam_channel_recv(picked.value);
    pointer_verdict(c, out, code);
    check_received(c, picked, out, code);
}

static void try_llam_channel_recv_until(struct ctx *c) {
    int meets;
    uint64_t deadline;
    struct pick picked = channel_for(c, 0, &meets);
    int code = parking_code(c, picked, meets, &deadline);
    BEGIN(c, llam_channel_recv_until, A(picked.value), deadline);
    void *out = llam_channel_recv_until(picked.value, deadline);
    pointer_verdict(c, out, code);
    check_received(c, picked, out, code);
}

/* ---- Select ---- */

#define MOST_ARMS 6

struct arms {
    llam_select_op_t ops[MOST_ARMS];
    void *outs[MOST_ARMS];
    size_t count, ready;
    int ready_result, bad, alien;
};

static void add_arm(struct ctx *c, struct arms *arms) {
    size_t i = arms->count++;
    int sends = coin(c), meets;
    struct pick picked = channel_for(c, sends, &meets);
    if (picked.standing == BAD && one_in(c, 3)) picked = (struct pick){c->own[CHANNEL], OWN};
    arms->outs[i] = FILLER;
    arms->ops[i] = (llam_select_op_t){
        sends ? LLAM_SELECT_OP_SEND : LLAM_SELECT_OP_RECV, 7, picked.value, CONTENT,
        sends ? NULL : &arms->outs[i], 99};
    int misshaped = one_in(c, 12);
    if (misshaped) {
        if (coin(c)) arms->ops[i].kind = (uint32_t)ONE_OF(c, 0, 3, 0x101, INT32_MAX, UINT32_MAX);
        else if (coin(c) || sends) arms->ops[i].channel = NULL;
        else arms->ops[i].recv_out = NULL;
    }
    if (misshaped || picked.standing == BAD) arms->bad++;
    else if (picked.standing == ALIEN) arms->alien++;
    else if (picked.value == c->own[CHANNEL]) meets = sends ? 0 : EAGAIN;
    if (arms->ready == SIZE_MAX && meets != EAGAIN) {
        arms->ready = i;
        arms->ready_result = meets;
    }
}

static void check_select(struct ctx *c, const struct arms *arms, size_t index, int performed) {
    for (size_t i = 0; i < arms->count; i++) {
        int wanted = performed && i == arms->ready ? arms->ready_result : 0;
        if (arms->ops[i].result_errno != wanted)
            wrong(c, arms->ops[i].result_errno, (int)i, "the arm's result_errno", wanted);
    }
    require(c, index == (performed ? arms->ready : 77), "the index of the lowest ready arm");
    if (!performed || arms->ready_result != 0) return;
    const llam_select_op_t *op = &arms->ops[index];
    if (op->kind == LLAM_SELECT_OP_RECV) REQUIRE(c, arms->outs[index] == CONTENT);
    restore(c, op->channel, op->kind == LLAM_SELECT_OP_SEND);
}

static void try_bad_select(struct ctx *c) {
    llam_select_op_t op = {LLAM_SELECT_OP_RECV, 0, c->own[CHANNEL], NULL, NULL, 99};
    size_t index = 77;
    int way = (int)below(c, 3);
    llam_select_op_t *ops = way == 0 ? NULL : &op;
    size_t count =
        way == 1 ? (size_t)ONE_OF(c, 0, 4097, 4098, SIZE_MAX, SIZE_MAX / 40 + 1, UINT32_MAX) : 1;
    size_t *selected = way == 2 ? NULL : &index;
    uint64_t deadline = coin(c) ? 0 : UINT64_MAX;
    BEGIN(c, llam_channel_select, A(ops), count, deadline, A(selected));
    verdict(c, llam_channel_select(ops, count, deadline, selected), EINVAL);
    REQUIRE(c, op.result_errno == 99 && index == 77);
}

static void try_llam_channel_select(struct ctx *c) {
    if (one_in(c, 4)) {
        try_bad_select(c);
        return;
    }
    struct arms arms = {.count = 0, .ready = SIZE_MAX};
    size_t wanted = 1 + below(c, MOST_ARMS), index = 77;
    uint64_t deadline;
    int code;
    while (arms.count < wanted) add_arm(c, &arms);
    if (arms.bad != 0 && arms.alien != 0) return;
    deadline = hopeless_deadline(c, &code);
    if (!in_task(c)) code = ENOTSUP;
    else if (arms.bad != 0 || arms.alien != 0) code = arms.bad != 0 ? EINVAL : EXDEV;
    else if (arms.ready != SIZE_MAX) code = 0;
    if (code != ETIMEDOUT && code != ECANCELED && coin(c)) deadline = far_deadline(c);
    BEGIN(c, llam_channel_select, A(arms.ops), arms.count, deadline, A(&index));
    quiet_verdict(c, llam_channel_select(arms.ops, arms.count, deadline, &index), code);
    check_select(c, &arms, index, code == 0);
}

/* ---- Tokens ---- */

static void try_llam_cancel_token_create(struct ctx *c) {
    BEGIN_PLAIN(c, llam_cancel_token_create);
    llam_cancel_token_t *token = llam_cancel_token_create();
    pointer_verdict(c, token, 0);
    MUST(c, llam_cancel_token_destroy(token) == 0);
    stale[TOKEN][below(c, STALE_VALUES)] = token;
}

static void try_llam_cancel_token_cancel(struct ctx *c) {
    struct pick picked = pick(c, TOKEN);
    llam_cancel_token_t *made = NULL;
    int code = handle_code(picked);
    if (picked.standing == OWN) {
        picked.value = made = llam_cancel_token_create();
        MUST(c, made != NULL);
        if (coin(c)) MUST(c, llam_cancel_token_cancel(made) == 0);
    }
    BEGIN(c, llam_cancel_token_cancel, A(picked.value));
    quiet_verdict(c, llam_cancel_token_cancel(picked.value), code);
    if (made == NULL) return;
    MUST(c, llam_cancel_token_is_cancelled(made) == 1);
    MUST(c, llam_cancel_token_destroy(made) == 0);
}

static void try_llam_cancel_token_is_cancelled(struct ctx *c) {
    struct pick picked = pick(c, TOKEN);
    int wanted = 0;
    if (picked.standing == OWN && c->observed != NULL && coin(c)) {
        picked.value = c->observed;
        wanted = 1;
    }
    BEGIN(c, llam_cancel_token_is_cancelled, A(picked.value));
    count_verdict(c, llam_cancel_token_is_cancelled(picked.value), wanted, handle_code(picked));
}

static void try_llam_cancel_token_destroy(struct ctx *c) {
    struct pick picked = pick_to_end(c, TOKEN);
    int code = handle_code(picked);
    if (picked.standing == OWN) {
        picked.value = c->observed;
        code = EBUSY;
        if (picked.value == NULL || coin(c)) {
            picked.value = llam_cancel_token_create();
            code = 0;
        }
    }
    BEGIN(c, llam_cancel_token_destroy, A(picked.value));
    quiet_verdict(c, llam_cancel_token_destroy(picked.value), code);
}

/* ---- Task-local values ---- */

static llam_task_local_key_t bad_key(struct ctx *c) {
    return (llam_task_local_key_t)ONE_OF(c, 0, UINT32_MAX, 65536, 65535, 60000, INT32_MAX,
                                         UINT32_MAX - 1, 0x80000001);
}

static void try_llam_task_local_key_create(struct ctx *c) {
    llam_task_local_key_t key = 0;
    int use_null = coin(c);
    BEGIN(c, llam_task_local_key_create, A(use_null ? NULL : &key));
    verdict(c, llam_task_local_key_create(use_null ? NULL : &key), use_null ? EINVAL : 0);
    if (use_null) return;
    REQUIRE(c, key >= 1 && key <= 65535);
    MUST(c, llam_task_local_key_delete(key) == 0);
}

static void try_llam_task_local_key_delete(struct ctx *c) {
    llam_task_local_key_t key = bad_key(c);
    int good = coin(c);
    if (good) MUST(c, llam_task_local_key_create(&key) == 0);
    BEGIN(c, llam_task_local_key_delete, key);
    verdict(c, llam_task_local_key_delete(key), good ? 0 : EINVAL);
}

static void try_llam_task_local_get(struct ctx *c) {
    int good = coin(c);
    llam_task_local_key_t key = good ? c->key : bad_key(c);
    if (!good && !in_task(c)) return;
    void *wanted = NULL;
    if (good && in_task(c) && coin(c)) MUST(c, llam_task_local_set(key, wanted = CONTENT) == 0);
    BEGIN(c, llam_task_local_get, key);
    void *got = llam_task_local_get(key);
    int code = get_errno(), expected = !in_task(c) ? ENOTSUP : good ? 0 : EINVAL;
    if (got != wanted || code != expected)
        wrong(c, (int64_t)(uintptr_t)got, code, "the value or NULL, and errno", expected);
    if (wanted != NULL) MUST(c, llam_task_local_set(key, NULL) == 0);
}

static void try_llam_task_local_set(struct ctx *c) {
    int good = coin(c);
    llam_task_local_key_t key = good ? c->key : bad_key(c);
    void *value = coin(c) ? CONTENT : NULL;
    BEGIN(c, llam_task_local_set, key, A(value));
    int status = llam_task_local_set(key, value);
    verdict(c, status, !in_task(c) ? ENOTSUP : good ? 0 : EINVAL);
    if (status == 0) MUST(c, llam_task_local_set(key, NULL) == 0);
}

/* ---- Blocking ---- */

static void *return_argument(void *arg) {
    set_errno(EDOM);
    return arg;
}

static void *never_called(void *arg) {
    printf("a callback of a failed call runs: %p\n1 wrong\n", arg);
    fflush(stdout);
    _exit(1);
}

static void try_llam_call_blocking_result(struct ctx *c) {
    void *out = FILLER;
    int no_out = one_in(c, 3), no_fn = one_in(c, 3), code = 0;
    if (no_out || no_fn) code = EINVAL;
    else if (c->cancelled && in_task(c)) code = ECANCELED;
    else if (in_task(c) && !one_in(c, 4)) return;
    llam_blocking_fn fn = no_fn ? NULL : code != 0 ? never_called : return_argument;
    BEGIN(c, llam_call_blocking_result, A(fn != NULL), A(CONTENT), A(no_out ? NULL : &out));
    verdict(c, llam_call_blocking_result(fn, CONTENT, no_out ? NULL : &out), code);
    if (code == 0) require(c, get_errno() == EDOM, "errno as the callback left it");
    if (!no_out) require(c, out == (code == 0 ? CONTENT : NULL), "*out to be the result or NULL");
}

static void try_llam_call_blocking(struct ctx *c) {
    int no_fn = coin(c), code = no_fn ? EINVAL : c->cancelled && in_task(c) ? ECANCELED : 0;
    if (code == 0 && in_task(c) && !one_in(c, 4)) return;
    llam_blocking_fn fn = no_fn ? NULL : code != 0 ? never_called : return_argument;
    BEGIN(c, llam_call_blocking, A(fn != NULL), A(CONTENT));
    void *got = llam_call_blocking(fn, CONTENT);
    pointer_verdict(c, got, code);
    if (code == 0) REQUIRE(c, got == CONTENT);
}

static void try_llam_enter_blocking(struct ctx *c) {
    if (in_task(c) && !one_in(c, 8)) return;
    BEGIN_PLAIN(c, llam_enter_blocking);
    verdict(c, llam_enter_blocking(), 0);
    if (in_task(c)) MUST(c, llam_leave_blocking() == 0);
}

static void try_llam_leave_blocking(struct ctx *c) {
    int entered = in_task(c) && one_in(c, 16);
    if (entered) MUST(c, llam_enter_blocking() == 0);
    BEGIN_PLAIN(c, llam_leave_blocking);
    verdict(c, llam_leave_blocking(), in_task(c) && !entered ? EINVAL : 0);
}

/* ---- Signals ---- */

/* The signal of the set in defaults[SIGNALS]. */
#define TAKEN_SIGNAL (SIGRTMIN + 3)

static void try_llam_signal_set_create_ex(struct ctx *c) {
    static const int too_small[] = {0, -1, INT_MIN}, fixed[] = {SIGKILL, SIGSTOP};
    int own = SIGRTMIN + 5 + c->index, numbers[20], code = EINVAL;
    size_t count = 1, size = sizeof(llam_signal_opts_t);
    llam_signal_opts_t opts = {0, UINT32_MAX}, *given = coin(c) ? &opts : NULL;
    llam_signal_set_t *out = (llam_signal_set_t *)c;
    for (int i = 0; i < 20; i++) numbers[i] = own + i;
    int way = (int)below(c, 10);
    if (way == 0) given = &opts, size = 0;
    if (way == 1) given = &opts, opts.flags = (uint32_t)ONE_OF(c, 1, 2, UINT32_MAX), code = ENOTSUP;
    if (way == 2) count = (size_t)ONE_OF(c, 0, 17, 18, SIZE_MAX, SIZE_MAX / 4 + 1, UINT32_MAX);
    if (way == 3) numbers[0] = too_small[below(c, ARRAY_LENGTH(too_small))];
    if (way == 4) numbers[0] = (int)ONE_OF(c, (uint64_t)_NSIG, 1000, INT_MAX);
    if (way == 5) numbers[0] = fixed[below(c, ARRAY_LENGTH(fixed))];
    if (way == 6) numbers[1] = numbers[0], count = 2;
    if (way == 7) numbers[0] = TAKEN_SIGNAL, code = EBUSY;
    if (way == 9) code = 0;
    const int *signos = way == 8 && coin(c) ? NULL : numbers;
    llam_signal_set_t **target = way == 8 && signos != NULL ? NULL : &out;
    BEGIN(c, llam_signal_set_create_ex, A(signos), count, A(given), size, A(target),
          (uint64_t)numbers[0], opts.flags);
    verdict(c, llam_signal_set_create_ex(signos, count, given, size, target), code);
    if (code != 0) require(c, target == NULL || out == NULL, "*out to be NULL");
    if (code == 0) MUST(c, llam_signal_set_destroy(out) == 0);
}

/* The set of the default runtime as every caller sees it. */
static struct pick pick_signals(struct ctx *c) {
    struct pick picked = pick(c, SIGNALS);
    if (coin(c)) picked = (struct pick){defaults[SIGNALS], c->place == FOREIGN_TASK ? ALIEN : OWN};
    return picked;
}

static void check_event(struct ctx *c, const llam_signal_event_t *event) {
    REQUIRE(c, event->signo == 0 && event->reserved0 == 0 && event->sequence == 0);
}

static void try_llam_signal_wait(struct ctx *c) {
    struct pick picked = pick_signals(c);
    llam_signal_event_t event = {9, 9, 9};
    int code = live_code(c, picked, EINVAL), no_out = one_in(c, 5);
    if (code == 0 && !c->cancelled && !no_out) return;
    BEGIN(c, llam_signal_wait, A(picked.value), A(no_out ? NULL : &event));
    int status = llam_signal_wait(picked.value, no_out ? NULL : &event);
    verdict(c, status, no_out ? EINVAL : code != 0 ? code : ECANCELED);
    if (!no_out) check_event(c, &event);
}

static void try_llam_signal_wait_until(struct ctx *c) {
    struct pick picked = pick_signals(c);
    llam_signal_event_t event = {9, 9, 9};
    int code = live_code(c, picked, EINVAL), no_out = one_in(c, 5), late = !coin(c);
    uint64_t deadline = late ? expired_deadline(c) : far_deadline(c);
    if (code == 0 && !c->cancelled && !late && !no_out) deadline = 0, late = 1;
    if (code == 0) code = late ? ETIMEDOUT : ECANCELED;
    BEGIN(c, llam_signal_wait_until, A(picked.value), deadline, A(no_out ? NULL : &event));
    int status = llam_signal_wait_until(picked.value, deadline, no_out ? NULL : &event);
    verdict(c, status, no_out ? EINVAL : code);
    if (!no_out) check_event(c, &event);
}

static void try_llam_signal_set_destroy(struct ctx *c) {
    struct pick picked = pick_to_end(c, SIGNALS);
    int code = handle_code(picked);
    if (coin(c)) {
        int own = SIGRTMIN + 5 + c->index;
        llam_signal_set_t *made = NULL;
        MUST(c, llam_signal_set_create_ex(&own, 1, NULL, 0, &made) == 0);
        picked.value = made;
        code = 0;
    }
    BEGIN(c, llam_signal_set_destroy, A(picked.value));
    verdict(c, llam_signal_set_destroy(picked.value), code);
    if (code == 0) stale[SIGNALS][below(c, STALE_VALUES)] = picked.value;
}

/* ---- Time and timers ---- */

static void try_llam_now_ns(struct ctx *c) {
    struct timespec now;
    BEGIN_PLAIN(c, llam_now_ns);
    uint64_t got = llam_now_ns();
    clock_gettime(CLOCK_MONOTONIC, &now);
    REQUIRE(c, got <= (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
}

static void try_llam_sleep_until(struct ctx *c) {
    int late = coin(c), hopeless = !late && c->cancelled && in_task(c);
    uint64_t deadline = late       ? expired_deadline(c)
                        : hopeless ? far_deadline(c)
                                   : llam_now_ns() + below(c, 50000);
    int code = !in_task(c) && !is_live(c) ? EINVAL : hopeless ? ECANCELED : 0;
    if (!in_task(c) && !is_live(c) && coin(c)) deadline = far_deadline(c);
    BEGIN(c, llam_sleep_until, deadline);
    int status = llam_sleep_until(deadline);
    quiet_verdict(c, status, code);
    if (code == 0) REQUIRE(c, llam_now_ns() >= deadline);
}

static void try_llam_sleep_ns(struct ctx *c) {
    int hopeless = c->cancelled && in_task(c);
    uint64_t duration = coin(c) ? 0 : below(c, 50000);
    if (hopeless && duration != 0)
        duration = ONE_OF(c, UINT64_MAX, INT64_MAX, UINT64_C(3600000000000));
    int code = !in_task(c) && !is_live(c) ? EINVAL : hopeless && duration != 0 ? ECANCELED : 0;
    BEGIN(c, llam_sleep_ns, duration);
    quiet_verdict(c, llam_sleep_ns(duration), code);
}

static void try_llam_timer_create_ex(struct ctx *c) {
    llam_timer_opts_t opts = {ONE_OF(c, 0, 1, UINT64_MAX), ONE_OF(c, 1, 1000000, UINT64_MAX), 0, 9};
    size_t size = (size_t)ONE_OF(c, 16, 19, 20, 24, 25, SIZE_MAX);
    const llam_timer_opts_t *given = &opts;
    llam_timer_t *out = (llam_timer_t *)c, **target = &out;
    int way = (int)below(c, 7), code = way == 6 ? 0 : EINVAL;
    if (way == 0) target = NULL;
    if (way == 1) given = NULL;
    if (way == 2) size = 0;
    if (way == 3) opts.interval_ns = 0;
    if (way == 4) size = (size_t)ONE_OF(c, 1, 8, 15);
    if (way == 5) {
        size = 24;
        opts.flags = (uint32_t)ONE_OF(c, 1, 0x80000000, UINT32_MAX);
        code = ENOTSUP;
    }
    BEGIN(c, llam_timer_create_ex, A(given), size, A(target), opts.interval_ns, opts.flags);
    verdict(c, llam_timer_create_ex(given, size, target), code);
    if (code != 0) require(c, target == NULL || out == NULL, "*out to be NULL");
    if (code == 0) MUST(c, llam_timer_destroy(out) == 0);
}

static void try_llam_timer_create(struct ctx *c) {
    llam_timer_t *out = (llam_timer_t *)c;
    int no_out = one_in(c, 3);
    uint64_t interval = ONE_OF(c, 0, 1, UINT64_MAX, UINT64_MAX - 1);
    int code = no_out || interval == 0 ? EINVAL : 0;
    BEGIN(c, llam_timer_create, interval, A(no_out ? NULL : &out));
    verdict(c, llam_timer_create(interval, no_out ? NULL : &out), code);
    if (code != 0) require(c, no_out || out == NULL, "*out to be NULL");
    if (code == 0) MUST(c, llam_timer_destroy(out) == 0);
}

/* A timer to wait for: the own one has no tick due for hours. */
static struct pick pick_timer(struct ctx *c, int *code, int *ticks) {
    struct pick picked = pick(c, TIMER);
    *code = live_code(c, picked, EINVAL);
    *ticks = 0;
    if (picked.standing != OWN || one_in(c, 3)) return picked;
    if (coin(c) && c->stopped != NULL) {
        picked.value = c->stopped;
        if (*code == 0) *code = ECANCELED;
    } else {
        picked.value = c->due;
        *ticks = *code == 0;
    }
    return picked;
}

static void try_llam_timer_wait(struct ctx *c) {
    int code, due, no_out = one_in(c, 5);
    uint64_t ticks = 9;
    struct pick picked = pick_timer(c, &code, &due);
    if (code == 0 && !due) {
        if (!c->cancelled) return;
        code = ECANCELED;
    }
    BEGIN(c, llam_timer_wait, A(picked.value), A(no_out ? NULL : &ticks));
    int status = llam_timer_wait(picked.value, no_out ? NULL : &ticks);
    quiet_verdict(c, status, no_out ? EINVAL : code);
    if (!no_out) require(c, code == 0 ? ticks >= 1 : ticks == 0, "*ticks_out");
}

static void try_llam_timer_wait_until(struct ctx *c) {
    int code, due, no_out = one_in(c, 5);
    uint64_t ticks = 9, deadline = coin(c) ? expired_deadline(c) : far_deadline(c);
    struct pick picked = pick_timer(c, &code, &due);
    if (code == 0 && !due) deadline = hopeless_deadline(c, &code);
    if (deadline == 0) code = ETIMEDOUT;
    BEGIN(c, llam_timer_wait_until, A(picked.value), deadline, A(no_out ? NULL : &ticks));
    int status = llam_timer_wait_until(picked.value, deadline, no_out ? NULL : &ticks);
    quiet_verdict(c, status, no_out ? EINVAL : code);
    if (!no_out) require(c, code == 0 ? ticks >= 1 : ticks == 0, "*ticks_out");
}

/* A timer to change: of the own ones a new one. */
static struct pick timer_to_change(struct ctx *c, int *code) {
    struct pick picked = pick(c, TIMER);
    *code = live_code(c, picked, EINVAL);
    if (picked.standing == OWN) {
        llam_timer_t *made = NULL;
        MUST(c, llam_timer_create(1000000000, &made) == 0);
        picked.value = made;
    }
    return picked;
}

static void try_llam_timer_reset(struct ctx *c) {
    int code;
    struct pick picked = timer_to_change(c, &code);
    uint64_t first = ONE_OF(c, 0, 1, UINT64_MAX), interval = ONE_OF(c, 0, 1, UINT64_MAX);
    if (interval == 0 && code == EXDEV) interval = 1;
    if (interval == 0) code = EINVAL;
    BEGIN(c, llam_timer_reset, A(picked.value), first, interval);
    quiet_verdict(c, llam_timer_reset(picked.value, first, interval), code);
    if (picked.standing == OWN) MUST(c, llam_timer_destroy(picked.value) == 0);
}

static void try_llam_timer_cancel(struct ctx *c) {
    int code;
    struct pick picked = timer_to_change(c, &code);
    BEGIN(c, llam_timer_cancel, A(picked.value));
    quiet_verdict(c, llam_timer_cancel(picked.value), code);
    if (picked.standing == OWN) MUST(c, llam_timer_destroy(picked.value) == 0);
}

static void try_llam_timer_destroy(struct ctx *c) {
    int unused;
    struct pick picked;
    do picked = timer_to_change(c, &unused);
    while (picked.standing == ALIEN && !in_task(c));
    BEGIN(c, llam_timer_destroy, A(picked.value));
    quiet_verdict(c, llam_timer_destroy(picked.value), handle_code(picked));
}

#endif
