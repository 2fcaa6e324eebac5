/* The binary interface without a runtime: versions, constants, types, struct layouts, declarations,
 * header macros and inline functions: abi.md 1.1, 1.2, 2, 3, 4.1.
 *
 * Most of it is checked by the compiler. The size handshakes are in handshake.c.
 */
#include <llam/io.h>

/* abi.md 2.1: llam/io.h alone brings in everything, with these guards. */
#if !defined(LLAM_RUNTIME_H) || !defined(LLAM_IO_H) || !defined(LLAM_PLATFORM_H) || \
    !defined(LLAM_IO_DECLS_INCLUDED)
#error "an include guard is missing"
#endif

#include "contract.h"

#include "check.h"

#include <netdb.h>
#include <pthread.h>
#include <sys/uio.h>

#include "functions.h"

#define SAME_TYPE(expression, type) _Generic((expression), type: 1, default: 0)

/* ---- abi.md 1.1 and 2.4: constants and their types ---- */

#define CONSTANT(name, value, type)                                                              \
    _Static_assert((name) == (value), #name);                                                    \
    _Static_assert(SAME_TYPE(name, type), #name " has another type")

CONSTANT(LLAM_VERSION_MAJOR, 2U, unsigned);
CONSTANT(LLAM_VERSION_MINOR, 1U, unsigned);
CONSTANT(LLAM_VERSION_PATCH, 0U, unsigned);
CONSTANT(LLAM_ABI_VERSION_MAJOR, 2U, unsigned);
CONSTANT(LLAM_ABI_VERSION_MINOR, 0U, unsigned);
CONSTANT(LLAM_ABI_VERSION, 0x00020000U, unsigned);
CONSTANT(LLAM_TASK_LOCAL_INVALID_KEY, UINT32_MAX, uint32_t);
CONSTANT(LLAM_INVALID_FD, -1, llam_fd_t);
CONSTANT(LLAM_INVALID_HANDLE, -1, llam_handle_t);
CONSTANT(LLAM_CHANNEL_SELECT_MAX_OPS, 4096U, unsigned);
CONSTANT(LLAM_IO_BUFFER_F_ZERO_FILL, 1U, uint32_t);
CONSTANT(LLAM_FILE_TYPE_REGULAR, 1U, uint32_t);
CONSTANT(LLAM_FILE_TYPE_DIRECTORY, 2U, uint32_t);
CONSTANT(LLAM_FILE_TYPE_SYMLINK, 3U, uint32_t);
CONSTANT(LLAM_FILE_TYPE_OTHER, 4U, uint32_t);
CONSTANT(LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS, 1U, uint64_t);
CONSTANT(LLAM_RUNTIME_EXPERIMENTAL_F_WORKER_RINGS_MULTISHOT, 2U, uint64_t);
CONSTANT(LLAM_RUNTIME_EXPERIMENTAL_F_DYNAMIC_WORKERS, 4U, uint64_t);
CONSTANT(LLAM_RUNTIME_EXPERIMENTAL_F_LOCKFREE_NORMQ, 8U, uint64_t);
CONSTANT(LLAM_RUNTIME_EXPERIMENTAL_F_HUGE_ALLOC, 16U, uint64_t);
CONSTANT(LLAM_RUNTIME_EXPERIMENTAL_F_SQPOLL, 32U, uint64_t);
CONSTANT(LLAM_ABI_INFO_CURRENT_SIZE, sizeof(llam_abi_info_t), size_t);
CONSTANT(LLAM_SPAWN_OPTS_CURRENT_SIZE, sizeof(llam_spawn_opts_t), size_t);
CONSTANT(LLAM_RUNTIME_OPTS_CURRENT_SIZE, sizeof(llam_runtime_opts_t), size_t);
CONSTANT(LLAM_RUNTIME_STATS_CURRENT_SIZE, sizeof(llam_runtime_stats_t), size_t);
CONSTANT(LLAM_TIMER_OPTS_CURRENT_SIZE, sizeof(llam_timer_opts_t), size_t);
CONSTANT(LLAM_SIGNAL_OPTS_CURRENT_SIZE, sizeof(llam_signal_opts_t), size_t);
CONSTANT(LLAM_IO_BUFFER_OPTS_CURRENT_SIZE, sizeof(llam_io_buffer_opts_t), size_t);
CONSTANT(LLAM_FILE_STAT_CURRENT_SIZE, sizeof(llam_file_stat_t), size_t);

/* The versions are usable in preprocessor conditions. */
#if LLAM_VERSION_MAJOR != 2 || LLAM_VERSION_MINOR != 1 || LLAM_VERSION_PATCH != 0 || \
    LLAM_ABI_VERSION != 0x00020000
#error "wrong versions"
#endif

/* ---- abi.md 2.5: enums and flags ---- */

#define MEMBER(name, value) _Static_assert((name) == (value), #name)

MEMBER(LLAM_TASK_CLASS_LATENCY, 0);
MEMBER(LLAM_TASK_CLASS_DEFAULT, 1);
MEMBER(LLAM_TASK_CLASS_BATCH, 2);
MEMBER(LLAM_STACK_CLASS_DEFAULT, 0);
MEMBER(LLAM_STACK_CLASS_LARGE, 1);
MEMBER(LLAM_STACK_CLASS_HUGE, 2);
MEMBER(LLAM_RUNTIME_PROFILE_BALANCED, 0);
MEMBER(LLAM_RUNTIME_PROFILE_RELEASE_FAST, 1);
MEMBER(LLAM_RUNTIME_PROFILE_DEBUG_SAFE, 2);
MEMBER(LLAM_RUNTIME_PROFILE_IO_LATENCY, 3);
MEMBER(LLAM_PREEMPT_OFF, 0);
MEMBER(LLAM_PREEMPT_COOPERATIVE, 1);
MEMBER(LLAM_PREEMPT_AUTO, 2);
MEMBER(LLAM_PREEMPT_STRICT, 3);
MEMBER(LLAM_SELECT_OP_RECV, 1);
MEMBER(LLAM_SELECT_OP_SEND, 2);
MEMBER(LLAM_SPAWN_F_PINNED, 1);
MEMBER(LLAM_SPAWN_F_NO_PREEMPT, 2);
MEMBER(LLAM_SPAWN_F_SYS_TASK, 4);
MEMBER(LLAM_SPAWN_F_LATENCY_CRITICAL, 8);

_Static_assert(sizeof(llam_task_class_t) == sizeof(int), "llam_task_class_t");
_Static_assert(sizeof(llam_stack_class_t) == sizeof(int), "llam_stack_class_t");
_Static_assert(sizeof(llam_runtime_profile_t) == sizeof(int), "llam_runtime_profile_t");
_Static_assert(sizeof(llam_preempt_mode_t) == sizeof(int), "llam_preempt_mode_t");
_Static_assert(sizeof(llam_select_op_kind_t) == sizeof(int), "llam_select_op_kind_t");

/* 2.2: the tags of the enums are the type names without _t. */
_Static_assert(SAME_TYPE((enum llam_task_class)0, llam_task_class_t), "enum tag");
_Static_assert(SAME_TYPE((enum llam_stack_class)0, llam_stack_class_t), "enum tag");
_Static_assert(SAME_TYPE((enum llam_runtime_profile)0, llam_runtime_profile_t), "enum tag");
_Static_assert(SAME_TYPE((enum llam_preempt_mode)0, llam_preempt_mode_t), "enum tag");
_Static_assert(SAME_TYPE((enum llam_select_op_kind)0, llam_select_op_kind_t), "enum tag");

/* ---- abi.md 2.2 and 2.3: types ---- */

/* An opaque handle is the struct of its tag. */
#define OPAQUE(name)                                                                             \
    _Static_assert(SAME_TYPE((struct llam_##name *)NULL, llam_##name##_t *), #name)

OPAQUE(task);
OPAQUE(mutex);
OPAQUE(cond);
OPAQUE(channel);
OPAQUE(cancel_token);
OPAQUE(io_buffer);
OPAQUE(runtime);
OPAQUE(task_group);
OPAQUE(timer);
OPAQUE(signal_set);

/* So are the other structs. */
OPAQUE(abi_info);
OPAQUE(spawn_opts);
OPAQUE(runtime_opts);
OPAQUE(runtime_stats);
OPAQUE(select_op);
OPAQUE(timer_opts);
OPAQUE(signal_event);
OPAQUE(signal_opts);
OPAQUE(iovec);
OPAQUE(mut_iovec);
OPAQUE(io_buffer_opts);
OPAQUE(file_stat);

_Static_assert(SAME_TYPE((llam_task_local_key_t)0, uint32_t), "llam_task_local_key_t");
_Static_assert(SAME_TYPE((llam_task_fn)NULL, void (*)(void *)), "llam_task_fn");
_Static_assert(SAME_TYPE((llam_blocking_fn)NULL, void *(*)(void *)), "llam_blocking_fn");
_Static_assert(SAME_TYPE((llam_fd_t)0, int), "llam_fd_t");
_Static_assert(SAME_TYPE((llam_handle_t)0, int), "llam_handle_t");

/* ---- abi.md 3: structs ---- */

#define STRUCT(type, bytes, alignment)                                                           \
    _Static_assert(sizeof(type) == (bytes) && _Alignof(type) == (alignment), #type)

#define FIELD(type, offset, field_type, field)                                                   \
    _Static_assert(offsetof(type, field) == (offset), #type "." #field);                         \
    _Static_assert(sizeof(((type *)NULL)->field) == sizeof(field_type), #type "." #field);       \
    _Static_assert(SAME_TYPE(((type *)NULL)->field, field_type), #type "." #field)

STRUCT(llam_abi_info_t, 80, 8);
FIELD(llam_abi_info_t, 0, uint32_t, abi_major);
FIELD(llam_abi_info_t, 4, uint32_t, abi_minor);
FIELD(llam_abi_info_t, 8, uint32_t, version_major);
FIELD(llam_abi_info_t, 12, uint32_t, version_minor);
FIELD(llam_abi_info_t, 16, uint32_t, version_patch);
FIELD(llam_abi_info_t, 20, uint32_t, reserved0);
FIELD(llam_abi_info_t, 24, size_t, struct_size);
FIELD(llam_abi_info_t, 32, size_t, runtime_opts_size);
FIELD(llam_abi_info_t, 40, size_t, spawn_opts_size);
FIELD(llam_abi_info_t, 48, size_t, runtime_stats_size);
FIELD(llam_abi_info_t, 56, const char *, runtime_name);
FIELD(llam_abi_info_t, 64, const char *, version_string);
FIELD(llam_abi_info_t, 72, const char *, platform_name);

STRUCT(llam_spawn_opts_t, 32, 8);
FIELD(llam_spawn_opts_t, 0, uint32_t, task_class);
FIELD(llam_spawn_opts_t, 4, uint32_t, stack_class);
FIELD(llam_spawn_opts_t, 8, uint32_t, flags);
FIELD(llam_spawn_opts_t, 12, uint32_t, reserved0);
FIELD(llam_spawn_opts_t, 16, uint64_t, deadline_ns);
FIELD(llam_spawn_opts_t, 24, llam_cancel_token_t *, cancel_token);

STRUCT(llam_runtime_opts_t, 56, 8);
FIELD(llam_runtime_opts_t, 0, uint32_t, deterministic);
FIELD(llam_runtime_opts_t, 4, uint32_t, forced_yield_every);
FIELD(llam_runtime_opts_t, 8, uint64_t, experimental_flags);
FIELD(llam_runtime_opts_t, 16, uint64_t, idle_spin_ns);
FIELD(llam_runtime_opts_t, 24, uint32_t, idle_spin_max_iters);
FIELD(llam_runtime_opts_t, 28, int32_t, sqpoll_cpu);
FIELD(llam_runtime_opts_t, 32, uint32_t, profile);
FIELD(llam_runtime_opts_t, 36, uint32_t, reserved0);
FIELD(llam_runtime_opts_t, 40, uint32_t, preempt_mode);
FIELD(llam_runtime_opts_t, 44, uint32_t, preempt_poll_period);
FIELD(llam_runtime_opts_t, 48, uint64_t, preempt_quantum_ns);

STRUCT(llam_runtime_stats_t, 384, 8);
FIELD(llam_runtime_stats_t, 0, uint64_t, ctx_switches);
FIELD(llam_runtime_stats_t, 8, uint64_t, yields);
FIELD(llam_runtime_stats_t, 16, uint64_t, parks);
FIELD(llam_runtime_stats_t, 24, uint64_t, wakes);
FIELD(llam_runtime_stats_t, 32, uint64_t, steals);
FIELD(llam_runtime_stats_t, 40, uint64_t, migrations);
FIELD(llam_runtime_stats_t, 48, uint64_t, blocking_calls);
FIELD(llam_runtime_stats_t, 56, uint64_t, blocking_completions);
FIELD(llam_runtime_stats_t, 64, uint64_t, io_submits);
FIELD(llam_runtime_stats_t, 72, uint64_t, io_submit_calls);
FIELD(llam_runtime_stats_t, 80, uint64_t, io_submit_syscalls);
FIELD(llam_runtime_stats_t, 88, uint64_t, io_completions);
FIELD(llam_runtime_stats_t, 96, uint64_t, idle_polls);
FIELD(llam_runtime_stats_t, 104, uint64_t, idle_spin_loops);
FIELD(llam_runtime_stats_t, 112, uint64_t, idle_spin_hits);
FIELD(llam_runtime_stats_t, 120, uint64_t, idle_spin_fallbacks);
FIELD(llam_runtime_stats_t, 128, uint64_t, idle_spin_ns);
FIELD(llam_runtime_stats_t, 136, uint64_t, queue_overflows);
FIELD(llam_runtime_stats_t, 144, uint64_t, overflow_depth);
FIELD(llam_runtime_stats_t, 152, uint32_t, active_workers);
FIELD(llam_runtime_stats_t, 156, uint32_t, online_workers);
FIELD(llam_runtime_stats_t, 160, uint32_t, online_workers_floor);
FIELD(llam_runtime_stats_t, 164, uint32_t, online_workers_min);
FIELD(llam_runtime_stats_t, 168, uint32_t, online_workers_max);
FIELD(llam_runtime_stats_t, 172, uint32_t, active_nodes);
FIELD(llam_runtime_stats_t, 176, uint32_t, dynamic_workers);
FIELD(llam_runtime_stats_t, 180, uint32_t, worker_rings);
FIELD(llam_runtime_stats_t, 184, uint32_t, worker_rings_multishot);
FIELD(llam_runtime_stats_t, 188, uint32_t, lockfree_normq);
FIELD(llam_runtime_stats_t, 192, uint32_t, huge_alloc);
FIELD(llam_runtime_stats_t, 196, uint32_t, sqpoll);
FIELD(llam_runtime_stats_t, 200, uint64_t, opaque_block_ns);
FIELD(llam_runtime_stats_t, 208, uint64_t, opaque_block_samples);
FIELD(llam_runtime_stats_t, 216, uint64_t, opaque_block_max_ns);
FIELD(llam_runtime_stats_t, 224, uint64_t, opaque_enter_wait_ns);
FIELD(llam_runtime_stats_t, 232, uint64_t, opaque_enter_wait_samples);
FIELD(llam_runtime_stats_t, 240, uint64_t, opaque_enter_wait_max_ns);
FIELD(llam_runtime_stats_t, 248, uint64_t, opaque_leave_wait_ns);
FIELD(llam_runtime_stats_t, 256, uint64_t, opaque_leave_wait_samples);
FIELD(llam_runtime_stats_t, 264, uint64_t, opaque_leave_wait_max_ns);
FIELD(llam_runtime_stats_t, 272, uint64_t, yield_direct_attempts);
FIELD(llam_runtime_stats_t, 280, uint64_t, yield_direct_fast_hits);
FIELD(llam_runtime_stats_t, 288, uint64_t, yield_direct_locked_hits);
FIELD(llam_runtime_stats_t, 296, uint64_t, yield_direct_fail_context);
FIELD(llam_runtime_stats_t, 304, uint64_t, yield_direct_fail_policy);
FIELD(llam_runtime_stats_t, 312, uint64_t, yield_direct_fail_no_work);
FIELD(llam_runtime_stats_t, 320, uint64_t, yield_direct_fail_self);
FIELD(llam_runtime_stats_t, 328, uint64_t, yield_direct_fail_push);
FIELD(llam_runtime_stats_t, 336, uint64_t, preempt_requests);
FIELD(llam_runtime_stats_t, 344, uint64_t, preempt_yields);
FIELD(llam_runtime_stats_t, 352, uint64_t, preempt_suppressed);
FIELD(llam_runtime_stats_t, 360, uint64_t, preempt_signals);
FIELD(llam_runtime_stats_t, 368, uint32_t, preempt_mode);
FIELD(llam_runtime_stats_t, 372, uint32_t, preempt_poll_period);
FIELD(llam_runtime_stats_t, 376, uint64_t, preempt_quantum_ns);

STRUCT(llam_select_op_t, 40, 8);
FIELD(llam_select_op_t, 0, uint32_t, kind);
FIELD(llam_select_op_t, 4, uint32_t, reserved0);
FIELD(llam_select_op_t, 8, llam_channel_t *, channel);
FIELD(llam_select_op_t, 16, void *, send_value);
FIELD(llam_select_op_t, 24, void **, recv_out);
FIELD(llam_select_op_t, 32, int, result_errno);

STRUCT(llam_timer_opts_t, 24, 8);
FIELD(llam_timer_opts_t, 0, uint64_t, first_deadline_ns);
FIELD(llam_timer_opts_t, 8, uint64_t, interval_ns);
FIELD(llam_timer_opts_t, 16, uint32_t, flags);
FIELD(llam_timer_opts_t, 20, uint32_t, reserved0);

STRUCT(llam_signal_event_t, 16, 8);
FIELD(llam_signal_event_t, 0, int32_t, signo);
FIELD(llam_signal_event_t, 4, uint32_t, reserved0);
FIELD(llam_signal_event_t, 8, uint64_t, sequence);

STRUCT(llam_signal_opts_t, 8, 4);
FIELD(llam_signal_opts_t, 0, uint32_t, flags);
FIELD(llam_signal_opts_t, 4, uint32_t, reserved0);

STRUCT(llam_iovec_t, 16, 8);
FIELD(llam_iovec_t, 0, const void *, iov_base);
FIELD(llam_iovec_t, 8, size_t, iov_len);

STRUCT(llam_mut_iovec_t, 16, 8);
FIELD(llam_mut_iovec_t, 0, void *, iov_base);
FIELD(llam_mut_iovec_t, 8, size_t, iov_len);

STRUCT(llam_io_buffer_opts_t, 24, 8);
FIELD(llam_io_buffer_opts_t, 0, size_t, capacity);
FIELD(llam_io_buffer_opts_t, 8, size_t, alignment);
FIELD(llam_io_buffer_opts_t, 16, uint32_t, flags);
FIELD(llam_io_buffer_opts_t, 20, uint32_t, reserved0);

STRUCT(llam_file_stat_t, 48, 8);
FIELD(llam_file_stat_t, 0, uint64_t, size);
FIELD(llam_file_stat_t, 8, uint64_t, mtime_ns);
FIELD(llam_file_stat_t, 16, uint64_t, atime_ns);
FIELD(llam_file_stat_t, 24, uint64_t, ctime_ns);
FIELD(llam_file_stat_t, 32, uint32_t, mode);
FIELD(llam_file_stat_t, 36, uint32_t, type);
FIELD(llam_file_stat_t, 40, uint64_t, reserved0);

/* On POSIX both slices have the layout of struct iovec. */
_Static_assert(sizeof(llam_iovec_t) == sizeof(struct iovec), "llam_iovec_t");
_Static_assert(sizeof(llam_mut_iovec_t) == sizeof(struct iovec), "llam_mut_iovec_t");
_Static_assert(offsetof(struct iovec, iov_base) == offsetof(llam_iovec_t, iov_base), "iov_base");
_Static_assert(offsetof(struct iovec, iov_len) == offsetof(llam_mut_iovec_t, iov_len), "iov_len");

/* ---- abi.md 2.6: platform macros are always defined, as 1 or 0 ---- */

#define FLAG(name) _Static_assert((name) == 0 || (name) == 1, #name)

FLAG(LLAM_PLATFORM_WINDOWS);
FLAG(LLAM_PLATFORM_LINUX);
FLAG(LLAM_PLATFORM_DARWIN);
FLAG(LLAM_PLATFORM_FREEBSD);
FLAG(LLAM_PLATFORM_OPENBSD);
FLAG(LLAM_PLATFORM_NETBSD);
FLAG(LLAM_PLATFORM_DRAGONFLY);
FLAG(LLAM_PLATFORM_BSD);
FLAG(LLAM_PLATFORM_KQUEUE);
FLAG(LLAM_PLATFORM_POSIX);
FLAG(LLAM_ARCH_X86_64);
FLAG(LLAM_ARCH_AARCH64);

_Static_assert(LLAM_PLATFORM_WINDOWS + LLAM_PLATFORM_LINUX + LLAM_PLATFORM_DARWIN +
                       LLAM_PLATFORM_FREEBSD + LLAM_PLATFORM_OPENBSD + LLAM_PLATFORM_NETBSD +
                       LLAM_PLATFORM_DRAGONFLY <=
                   1,
               "one platform at most");
_Static_assert(LLAM_PLATFORM_BSD == (LLAM_PLATFORM_FREEBSD + LLAM_PLATFORM_OPENBSD +
                                     LLAM_PLATFORM_NETBSD + LLAM_PLATFORM_DRAGONFLY),
               "LLAM_PLATFORM_BSD");
_Static_assert(LLAM_PLATFORM_KQUEUE == (LLAM_PLATFORM_DARWIN || LLAM_PLATFORM_BSD),
               "LLAM_PLATFORM_KQUEUE");
_Static_assert(LLAM_PLATFORM_POSIX == !LLAM_PLATFORM_WINDOWS, "LLAM_PLATFORM_POSIX");

#ifdef __linux__
_Static_assert(LLAM_PLATFORM_LINUX == 1, "LLAM_PLATFORM_LINUX");
_Static_assert(sizeof(LLAM_PLATFORM_NAME) == sizeof("linux"), "LLAM_PLATFORM_NAME");
#endif
#ifdef __x86_64__
_Static_assert(LLAM_ARCH_X86_64 == 1 && LLAM_ARCH_AARCH64 == 0, "LLAM_ARCH_X86_64");
#endif
#ifdef __aarch64__
_Static_assert(LLAM_ARCH_AARCH64 == 1 && LLAM_ARCH_X86_64 == 0, "LLAM_ARCH_AARCH64");
#endif

/* Without LLAM_BUILD_SHARED the export mark is empty. */
#define TEXT_OF(x) TEXT(x)
#define TEXT(...) #__VA_ARGS__
_Static_assert(sizeof(TEXT_OF(LLAM_API)) == 1, "LLAM_API");

/* 2.1: the headers bring in sockets and resolver types. */
_Static_assert(sizeof(struct sockaddr) > 0, "struct sockaddr");
_Static_assert(sizeof(socklen_t) > 0, "socklen_t");
_Static_assert(sizeof(ssize_t) == sizeof(size_t), "ssize_t");
_Static_assert(sizeof(struct addrinfo) > 0, "struct addrinfo");

/* ---- abi.md 4.1 ---- */

/* 1.1: what the library says is what the header says. */
TEST(the_versions_are_those_of_the_header) {
    char text[32];
    snprintf(text, sizeof text, "%u.%u.%u", LLAM_VERSION_MAJOR, LLAM_VERSION_MINOR,
             LLAM_VERSION_PATCH);
    CHECK_EQ(llam_abi_version(), LLAM_ABI_VERSION);
    CHECK_EQ(llam_abi_version(), 0x00020000);
    CHECK_STR(llam_version_string(), text);
    CHECK_STR(llam_version_string(), "2.1.0");
}

static void check_info(void) {
    llam_abi_info_t info;
    memset(&info, 0xa5, sizeof info);
    CHECK_OK(llam_abi_get_info(&info, sizeof info));
    CHECK_EQ(info.abi_major, 2);
    CHECK_EQ(info.abi_minor, 0);
    CHECK_EQ(info.version_major, 2);
    CHECK_EQ(info.version_minor, 1);
    CHECK_EQ(info.version_patch, 0);
    CHECK_EQ(info.reserved0, 0);
    CHECK_EQ(info.struct_size, 80);
    CHECK_EQ(info.runtime_opts_size, 56);
    CHECK_EQ(info.spawn_opts_size, 32);
    CHECK_EQ(info.runtime_stats_size, 384);
    CHECK_STR(info.runtime_name, "LLAM");
    CHECK_STR(info.version_string, "2.1.0");
    CHECK_STR(info.version_string, llam_version_string());
    CHECK_EQ(llam_abi_version(), (info.abi_major << 16) | info.abi_minor);
}

/* 1.2: every field, and the invariants between them. */
TEST(the_info_is_identity_2_0) { check_info(); }

/* Appendix A: platform_name equals the header's LLAM_PLATFORM_NAME. */
TEST(platform_name_is_that_of_the_header) {
    llam_abi_info_t info;
    CHECK_OK(llam_abi_get_info(&info, sizeof info));
    CHECK_STR(info.platform_name, LLAM_PLATFORM_NAME);
}

static const char *version_seen;

static void info_task(void *arg) {
    (void)arg;
    check_info();
    CHECK_PTR(llam_version_string(), version_seen);
}

static void *info_thread(void *arg) {
    info_task(arg);
    return NULL;
}

/* 4.1: any thread, any time, in tasks as well; the text is at the same place each time. */
TEST(the_version_calls_work_everywhere) {
    pthread_t thread;
    version_seen = llam_version_string();
    info_task(NULL);
    CHECK_OK(pthread_create(&thread, NULL, info_thread, NULL));
    CHECK_OK(pthread_join(thread, NULL));
    run_task(info_task, NULL);
    info_task(NULL);
}

/* 4.1: NULL and size 0 are refused, and nothing is written. */
TEST(version_and_defaults_calls_refuse_null_and_size_0) {
    unsigned char bytes[128], before[128];
    memset(bytes, 0x5a, sizeof bytes);
    memcpy(before, bytes, sizeof bytes);
    CHECK_FAILS(llam_abi_get_info(NULL, sizeof(llam_abi_info_t)), EINVAL);
    CHECK_FAILS(llam_abi_get_info(NULL, 0), EINVAL);
    CHECK_FAILS(llam_abi_get_info((void *)bytes, 0), EINVAL);
    CHECK_FAILS(llam_runtime_opts_init(NULL, sizeof(llam_runtime_opts_t)), EINVAL);
    CHECK_FAILS(llam_runtime_opts_init((void *)bytes, 0), EINVAL);
    CHECK_FAILS(llam_spawn_opts_init(NULL, sizeof(llam_spawn_opts_t)), EINVAL);
    CHECK_FAILS(llam_spawn_opts_init((void *)bytes, 0), EINVAL);
    CHECK_FAILS(llam_io_buffer_opts_init(NULL, sizeof(llam_io_buffer_opts_t)), EINVAL);
    CHECK_FAILS(llam_io_buffer_opts_init((void *)bytes, 0), EINVAL);
    CHECK_OK(memcmp(bytes, before, sizeof bytes));
}

/* Appendix A: the defaults; section 3 for the other fields. */
TEST(the_default_options_are_those_of_section_3) {
    llam_runtime_opts_t runtime, zero;
    llam_spawn_opts_t spawn;
    llam_io_buffer_opts_t buffer, no_buffer;
    memset(&runtime, 0xff, sizeof runtime);
    memset(&zero, 0, sizeof zero);
    CHECK_OK(llam_runtime_opts_init(&runtime, sizeof runtime));
    CHECK_EQ(runtime.sqpoll_cpu, -1);
    CHECK_EQ(runtime.preempt_mode, LLAM_PREEMPT_AUTO);
    CHECK_EQ(runtime.deterministic, 0);
    zero.sqpoll_cpu = -1;
    zero.preempt_mode = LLAM_PREEMPT_AUTO;
    CHECK_OK(memcmp(&runtime, &zero, sizeof zero));
    memset(&spawn, 0xff, sizeof spawn);
    CHECK_OK(llam_spawn_opts_init(&spawn, sizeof spawn));
    CHECK_EQ(spawn.task_class, LLAM_TASK_CLASS_DEFAULT);
    CHECK_EQ(spawn.stack_class, LLAM_STACK_CLASS_DEFAULT);
    CHECK_EQ(spawn.flags, 0);
    CHECK_EQ(spawn.reserved0, 0);
    CHECK_EQ(spawn.deadline_ns, 0);
    CHECK_PTR(spawn.cancel_token, NULL);
    memset(&buffer, 0xff, sizeof buffer);
    memset(&no_buffer, 0, sizeof no_buffer);
    CHECK_OK(llam_io_buffer_opts_init(&buffer, sizeof buffer));
    CHECK_OK(memcmp(&buffer, &no_buffer, sizeof buffer));
}

/* ---- abi.md 2.7 ---- */

/* Appendix A: LLAM_FD_IS_INVALID(i++) evaluates i++ once. */
TEST(the_invalid_macros_evaluate_their_argument_once) {
    llam_fd_t fd = -2;
    llam_handle_t handle = -2;
    CHECK_EQ(LLAM_FD_IS_INVALID(fd++), 0);
    CHECK_EQ(fd, -1);
    CHECK(LLAM_FD_IS_INVALID(fd++) != 0);
    CHECK_EQ(fd, 0);
    CHECK_EQ(LLAM_FD_IS_INVALID(fd++), 0);
    CHECK_EQ(fd, 1);
    CHECK_EQ(LLAM_HANDLE_IS_INVALID(handle++), 0);
    CHECK(LLAM_HANDLE_IS_INVALID(handle++) != 0);
    CHECK_EQ(LLAM_HANDLE_IS_INVALID(handle++), 0);
    CHECK_EQ(handle, 1);
    CHECK(llam_fd_is_invalid(LLAM_INVALID_FD) != 0);
    CHECK_EQ(llam_fd_is_invalid(0), 0);
    CHECK(llam_handle_is_invalid(LLAM_INVALID_HANDLE) != 0);
    CHECK_EQ(llam_handle_is_invalid(0), 0);
}

static uint64_t yields(void) {
    llam_runtime_stats_t stats;
    CHECK_OK(llam_runtime_collect_stats_ex(&stats, sizeof stats));
    return stats.yields;
}

/* With forced_yield_every 1 each safepoint yields, so `yields` counts the safepoints. */
#define CHECK_POLLS(statement, count)                                                            \
    do {                                                                                         \
        uint64_t check_before = yields();                                                        \
        statement;                                                                               \
        CHECK_EQ(yields() - check_before, count);                                                \
    } while (0)

static void polling_task(void *arg) {
    size_t calls = 0, intervals = 0;
    (void)arg;
    CHECK_POLLS(llam_task_safepoint(), 1);
    CHECK_POLLS(LLAM_PREEMPT_POLL(), 1);
    CHECK_POLLS(llam_preempt_poll_every(7, 0), 1);
    CHECK_POLLS(llam_preempt_poll_every(7, 1), 1);
    CHECK_POLLS(llam_preempt_poll_every(0, 5), 1);
    CHECK_POLLS(llam_preempt_poll_every(5, 5), 1);
    CHECK_POLLS(llam_preempt_poll_every(10, 5), 1);
    CHECK_POLLS(llam_preempt_poll_every(9, 5), 0);
    CHECK_POLLS(llam_preempt_poll_every(1, SIZE_MAX), 0);
    CHECK_POLLS(llam_preempt_poll_every(SIZE_MAX, SIZE_MAX), 1);
    CHECK_POLLS(while (calls < 12) LLAM_PREEMPT_POLL_EVERY(calls++, 4), 3);
    CHECK_EQ(calls, 12);
    CHECK_POLLS(LLAM_PREEMPT_POLL_EVERY(8, intervals++), 1);
    CHECK_EQ(intervals, 1);
    CHECK_POLLS(LLAM_PREEMPT_POLL_EVERY((char)8, (short)3), 0);
    CHECK_POLLS(LLAM_PREEMPT_POLL_EVERY((char)9, (short)3), 1);
}

/* Appendix A: LLAM_PREEMPT_POLL_EVERY(i++, n) evaluates i++ once; 2.7: when it is a safepoint. */
TEST(the_poll_macros_are_safepoints_when_2_7_says) {
    llam_runtime_opts_t opts;
    CHECK_OK(llam_runtime_opts_init(&opts, sizeof opts));
    opts.deterministic = 1;
    opts.forced_yield_every = 1;
    opts.preempt_mode = LLAM_PREEMPT_OFF;
    CHECK_OK(llam_runtime_init_ex(&opts, sizeof opts));
    CHECK_OK(llam_detach(spawn_ok(polling_task, NULL)));
    CHECK_OK(llam_run());
    llam_runtime_shutdown();
}

/* On a host thread they do nothing. */
TEST(the_poll_macros_work_on_a_host_thread) {
    size_t calls = 0;
    errno = ENOTTY;
    LLAM_PREEMPT_POLL();
    LLAM_PREEMPT_POLL_EVERY(calls++, 1);
    CHECK_EQ(calls, 1);
    CHECK_EQ(errno, ENOTTY);
}

#define ADDRESS(name) (void (*)(void))name,

/* The library has all 130 functions; contract.h lets the compiler compare their declarations. */
TEST(all_130_functions_are_linked) {
    void (*const functions[])(void) = {LLAM_FUNCTIONS(ADDRESS)};
    const size_t count = sizeof functions / sizeof functions[0];
    CHECK_EQ(count, LLAM_FUNCTION_COUNT);
    for (size_t i = 0; i < count; i++) CHECK(functions[i] != NULL);
}

MAIN
