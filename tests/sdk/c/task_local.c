/* Task-local values: keys, values, deleted keys and the reuse of their ids, and races. Covers abi.md
 * 4.8, 5.10.
 */
#include "scheduling.h"

static llam_task_local_key_t key_new(void) {
    llam_task_local_key_t key = 0;
    CHECK_OK(llam_task_local_key_create(&key));
    CHECK(key != 0 && key <= 65535);
    return key;
}

static int a, b, c;

/* ---- Keys ---- */

/* abi.md 4.8: no runtime needed; ids from 1, the lowest free one first; bad keys are EINVAL. */
TEST(keys_are_the_lowest_free_ids) {
    CHECK_FAILS(llam_task_local_key_create(NULL), EINVAL);
    CHECK_FAILS(llam_task_local_key_delete(0), EINVAL);
    CHECK_FAILS(llam_task_local_key_delete(1), EINVAL);
    CHECK_FAILS(llam_task_local_key_delete(65535), EINVAL);
    CHECK_FAILS(llam_task_local_key_delete(65536), EINVAL);
    CHECK_FAILS(llam_task_local_key_delete(LLAM_TASK_LOCAL_INVALID_KEY), EINVAL);
    for (uint32_t id = 1; id <= 20; id++) CHECK_EQ(key_new(), id);
    CHECK_OK(llam_task_local_key_delete(7));
    CHECK_FAILS(llam_task_local_key_delete(7), EINVAL);
    CHECK_OK(llam_task_local_key_delete(3));
    CHECK_EQ(key_new(), 3);
    init_default(0);
    CHECK_EQ(key_new(), 7);
    CHECK_EQ(key_new(), 21);
    llam_runtime_shutdown();
    CHECK_OK(llam_task_local_key_delete(21));
    CHECK_EQ(key_new(), 21);
    for (uint32_t id = 21; id >= 1; id--) CHECK_OK(llam_task_local_key_delete(id));
    CHECK_EQ(key_new(), 1);
}

/* Appendix A: "65535 task-local keys work, the next gives ENOSPC and the invalid key; after one
 * delete it works again." */
TEST(there_are_65535_keys) {
    for (uint32_t id = 1; id <= 65535; id++) CHECK_EQ(key_new(), id);
    llam_task_local_key_t key = 5;
    CHECK_FAILS(llam_task_local_key_create(&key), ENOSPC);
    CHECK_EQ(key, LLAM_TASK_LOCAL_INVALID_KEY);
    CHECK_OK(llam_task_local_key_delete(40000));
    CHECK_EQ(key_new(), 40000);
    CHECK_FAILS(llam_task_local_key_create(&key), ENOSPC);
    CHECK_OK(llam_task_local_key_delete(65535));
    CHECK_OK(llam_task_local_key_delete(1));
    CHECK_EQ(key_new(), 1);
    CHECK_EQ(key_new(), 65535);
}

/* R3: values belong to tasks; host threads get ENOTSUP. */
TEST(a_host_thread_has_no_values) {
    llam_task_local_key_t key = key_new();
    for (int live = 0; live < 2; live++) {
        if (live) init_default(0);
        CHECK_NULL(llam_task_local_get(key), ENOTSUP);
        CHECK_FAILS(llam_task_local_set(key, &a), ENOTSUP);
        CHECK_FAILS(llam_task_local_set(key, NULL), ENOTSUP);
    }
    llam_runtime_shutdown();
    CHECK_OK(llam_task_local_key_delete(key));
}

/* ---- Values ---- */

#define CHECK_VALUE(key, expected)                                                               \
    do {                                                                                         \
        errno_marked();                                                                          \
        CHECK_PTR(llam_task_local_get(key), expected);                                           \
        CHECK_EQ(check_errno_get(), 0);                                                          \
    } while (0)

static void get_and_set(void *arg) {
    (void)arg;
    llam_task_local_key_t key = key_new(), other = key_new();
    CHECK_VALUE(key, NULL);
    CHECK_OK(llam_task_local_set(key, NULL));
    CHECK_OK(llam_task_local_set(key, &a));
    CHECK_VALUE(key, &a);
    CHECK_VALUE(other, NULL);
    CHECK_OK(llam_task_local_set(other, &b));
    CHECK_OK(llam_task_local_set(key, &c));
    CHECK_VALUE(key, &c);
    CHECK_VALUE(other, &b);
    CHECK_OK(llam_task_local_set(key, NULL));
    CHECK_VALUE(key, NULL);
    CHECK_OK(llam_task_local_set(key, NULL));
    CHECK_VALUE(other, &b);
    CHECK_OK(llam_task_local_key_delete(key));
    CHECK_OK(llam_task_local_key_delete(other));
}

/* abi.md 4.8: the value, or NULL, and errno 0; NULL removes the entry. */
TEST(values_are_kept_and_removed) { run_task(get_and_set, NULL); }

static void bad_keys(void *arg) {
    (void)arg;
    llam_task_local_key_t dead = key_new();
    CHECK_OK(llam_task_local_key_delete(dead));
    const llam_task_local_key_t keys[6] = {0, LLAM_TASK_LOCAL_INVALID_KEY, dead, 65535, 65536,
                                           0x80000001U};
    for (int i = 0; i < 6; i++) {
        CHECK_NULL(llam_task_local_get(keys[i]), EINVAL);
        CHECK_FAILS(llam_task_local_set(keys[i], &a), EINVAL);
        CHECK_FAILS(llam_task_local_set(keys[i], NULL), EINVAL);
    }
}

/* abi.md 4.8: 0, the invalid key, keys never made and deleted ones without an entry are EINVAL. */
TEST(bad_keys_are_invalid) { run_task(bad_keys, NULL); }

static void remove_under_a_deleted_key(void *arg) {
    (void)arg;
    llam_task_local_key_t key = key_new();
    CHECK_OK(llam_task_local_set(key, &a));
    CHECK_OK(llam_task_local_key_delete(key));
    CHECK_NULL(llam_task_local_get(key), EINVAL);
    CHECK_FAILS(llam_task_local_set(key, &b), EINVAL);
    /* abi.md 5.10: the id is not reused while an entry is left. */
    llam_task_local_key_t next = key_new();
    CHECK_EQ(next, key + 1);
    CHECK_OK(llam_task_local_set(key, NULL));
    CHECK_FAILS(llam_task_local_set(key, NULL), EINVAL);
    CHECK_EQ(key_new(), key);
    CHECK_VALUE(key, NULL);
    CHECK_OK(llam_task_local_key_delete(key));
    CHECK_OK(llam_task_local_key_delete(next));
}

/* abi.md 4.8, 5.10: an entry of a deleted key can be removed, once; then the id is free. */
TEST(an_entry_of_a_deleted_key_can_be_removed) { run_task(remove_under_a_deleted_key, NULL); }

struct holding {
    llam_task_local_key_t key;
    counter has, gate, unjoined;
};

static void hold_an_entry(void *arg) {
    struct holding *holding = arg;
    CHECK_OK(llam_task_local_set(holding->key, &a));
    atomic_fetch_add(&holding->has, 1);
    while (!atomic_load(&holding->gate)) CHECK_OK(llam_sleep_ns(200000));
    CHECK_NULL(llam_task_local_get(holding->key), EINVAL);
}

static void end_with_entries(void *arg) {
    struct holding *holding = arg;
    holding->key = key_new();
    llam_task_t *first = spawn_ok(hold_an_entry, holding);
    CHECK_OK(llam_detach(spawn_ok(hold_an_entry, holding)));
    AWAIT(atomic_load(&holding->has) == 2);
    CHECK_OK(llam_task_local_key_delete(holding->key));
    llam_task_local_key_t next = key_new();
    CHECK(next != holding->key);
    atomic_store(&holding->gate, 1);
    /* The entries vanish as the tasks end; `first` has not been joined then. */
    llam_task_local_key_t again = 0;
    uint64_t end = after_ms(AWAIT_MS);
    do {
        CHECK(llam_now_ns() < end);
        if (again != 0) CHECK_OK(llam_task_local_key_delete(again));
        let_others_go_on();
        again = key_new();
    } while (again != holding->key);
    CHECK_STR(llam_task_state_name(first), "DEAD");
    CHECK_VALUE(again, NULL);
    CHECK_OK(llam_join(first));
    CHECK_OK(llam_task_local_key_delete(again));
    CHECK_OK(llam_task_local_key_delete(next));
}

/* abi.md 5.10: the id of a deleted key comes back only after the last task with an entry ended. */
TEST(an_id_is_reused_when_its_last_entry_is_gone) {
    static struct holding holding;
    run_task(end_with_entries, &holding);
}

static llam_task_local_key_t shared_keys[3];

static void own_values(void *arg) {
    char *base = arg;
    for (int k = 0; k < 3; k++) CHECK_VALUE(shared_keys[k], NULL);
    for (int k = 0; k < 3; k++) CHECK_OK(llam_task_local_set(shared_keys[k], base + k));
    for (int i = 0; i < 10; i++) {
        if (i % 3 == 0) CHECK_OK(llam_sleep_ns(100000));
        llam_yield();
        for (int k = 0; k < 3; k++) CHECK_VALUE(shared_keys[k], base + k);
    }
}

static void *values_inside(void *arg) {
    CHECK_NULL(llam_task_local_get(shared_keys[0]), ENOTSUP);
    return arg;
}

static void own_values_and_call(void *arg) {
    own_values(arg);
    CHECK_PTR(llam_call_blocking(values_inside, arg), arg);
    CHECK_VALUE(shared_keys[0], arg);
}

/* abi.md 5.10: keys are for all tasks of all runtimes, values per task, kept over parks; new tasks
 * have none, and the slots of ended tasks leave none behind. */
TEST(values_belong_to_tasks) {
    static char room[400];
    for (int k = 0; k < 3; k++) shared_keys[k] = key_new();
    init_default(0);
    llam_runtime_t *other = runtime_new(0);
    struct run run;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 200; i++) {
            CHECK_OK(llam_detach(spawn_ok(own_values_and_call, room + i)));
            CHECK_OK(llam_detach(spawn_on(other, own_values, room + 200 + i % 190)));
        }
        run_start(&run, other);
        run_here();
        run_finish(&run);
    }
    llam_runtime_destroy(other);
    llam_runtime_shutdown();
    for (int k = 0; k < 3; k++) CHECK_OK(llam_task_local_key_delete(shared_keys[k]));
}

enum { MANY_KEYS = 3000 };

static void use_many_keys(void *arg) {
    char *base = arg;
    static llam_task_local_key_t keys[MANY_KEYS];
    for (int i = 0; i < MANY_KEYS; i++) keys[i] = key_new();
    for (int i = 0; i < MANY_KEYS; i++) CHECK_OK(llam_task_local_set(keys[i], base + i));
    for (int i = MANY_KEYS - 1; i >= 0; i--) CHECK_VALUE(keys[i], base + i);
    for (int i = 0; i < MANY_KEYS; i += 2) CHECK_OK(llam_task_local_set(keys[i], NULL));
    for (int i = 0; i < MANY_KEYS; i++) CHECK_VALUE(keys[i], i % 2 ? base + i : NULL);
    for (int i = 0; i < MANY_KEYS; i++) CHECK_OK(llam_task_local_key_delete(keys[i]));
    for (int i = 1; i < MANY_KEYS; i += 2) CHECK_OK(llam_task_local_set(keys[i], NULL));
}

/* abi.md 5.10: a task may have values under many keys. */
TEST(a_task_has_many_values) {
    static char room[MANY_KEYS];
    run_task(use_many_keys, room);
    CHECK_EQ(key_new(), 1);
}

/* ---- Races ---- */

struct local_race {
    _Atomic llam_task_local_key_t key;
    counter over, users;
};

static void get_and_set_in_a_race(void *arg) {
    struct local_race *race = arg;
    atomic_fetch_add(&race->users, 1);
    for (unsigned i = 0; !atomic_load(&race->over); i++) {
        llam_task_local_key_t key = atomic_load(&race->key);
        check_errno_set(0);
        int set = llam_task_local_set(key, &a);
        CHECK(set == 0 || (set == -1 && check_errno_get() == EINVAL));
        check_errno_set(ENOTTY);
        void *value = llam_task_local_get(key);
        CHECK(value == NULL || value == &a);
        CHECK(check_errno_get() == 0 || (value == NULL && check_errno_get() == EINVAL));
        check_errno_set(0);
        int removed = llam_task_local_set(key, NULL);
        CHECK(removed == 0 || (removed == -1 && check_errno_get() == EINVAL));
        /* What was set can be removed, whether the key was deleted meanwhile or not. */
        CHECK(set != 0 || removed == 0);
        if (i % 16 == 0) llam_yield();
    }
}

static void *delete_in_a_race(void *arg) {
    struct local_race *race = arg;
    AWAIT(atomic_load(&race->users) > 0);
    for (int i = 0; i < 20000; i++) {
        CHECK_OK(llam_task_local_key_delete(atomic_load(&race->key)));
        atomic_store(&race->key, key_new());
    }
    atomic_store(&race->over, 1);
    return NULL;
}

/* Appendix A: "Task-local delete racing with get and set: they see success or EINVAL, nothing
 * else." */
TEST(delete_may_race_with_get_and_set) {
    static struct local_race race;
    atomic_store(&race.key, key_new());
    init_default(0);
    for (int i = 0; i < 4; i++) CHECK_OK(llam_detach(spawn_ok(get_and_set_in_a_race, &race)));
    pthread_t thread;
    CHECK_OK(pthread_create(&thread, NULL, delete_in_a_race, &race));
    run_here();
    CHECK_OK(pthread_join(thread, NULL));
    llam_runtime_shutdown();
}

static void *create_and_delete(void *arg) {
    counter *used = arg;
    for (int i = 0; i < 3000; i++) {
        llam_task_local_key_t key = key_new();
        CHECK_EQ(atomic_fetch_add(&used[key], 1), 0);
        CHECK_EQ(atomic_fetch_sub(&used[key], 1), 1);
        CHECK_OK(llam_task_local_key_delete(key));
    }
    return NULL;
}

/* abi.md 4.0, 4.8: several threads make and delete keys at once; no id is out twice. */
TEST(threads_make_keys_at_the_same_time) {
    static counter used[65536];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK_OK(pthread_create(&threads[i], NULL, create_and_delete, used));
    for (int i = 0; i < 4; i++) CHECK_OK(pthread_join(threads[i], NULL));
    CHECK_EQ(key_new(), 1);
}

MAIN
