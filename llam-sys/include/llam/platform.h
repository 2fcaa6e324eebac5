/*
 * llam/platform.h - platform macros, descriptor types and export marking of the LLAM C ABI.
 *
 * Owns: LLAM_PLATFORM_*, LLAM_ARCH_*, LLAM_PLATFORM_NAME, LLAM_API, llam_fd_t, llam_handle_t.
 * Invariant: every LLAM_PLATFORM_* and LLAM_ARCH_* macro is defined, as 1 or 0.
 * Included by llam/runtime.h and llam/io.h; programs need not include it themselves.
 */
#ifndef LLAM_PLATFORM_H
#define LLAM_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define LLAM_PLATFORM_WINDOWS 1
#else
#define LLAM_PLATFORM_WINDOWS 0
#endif

#if defined(__linux__)
#define LLAM_PLATFORM_LINUX 1
#else
#define LLAM_PLATFORM_LINUX 0
#endif

#if defined(__APPLE__) && defined(__MACH__)
#define LLAM_PLATFORM_DARWIN 1
#else
#define LLAM_PLATFORM_DARWIN 0
#endif

#if defined(__FreeBSD__)
#define LLAM_PLATFORM_FREEBSD 1
#else
#define LLAM_PLATFORM_FREEBSD 0
#endif

#if defined(__OpenBSD__)
#define LLAM_PLATFORM_OPENBSD 1
#else
#define LLAM_PLATFORM_OPENBSD 0
#endif

#if defined(__NetBSD__)
#define LLAM_PLATFORM_NETBSD 1
#else
#define LLAM_PLATFORM_NETBSD 0
#endif

#if defined(__DragonFly__)
#define LLAM_PLATFORM_DRAGONFLY 1
#else
#define LLAM_PLATFORM_DRAGONFLY 0
#endif

#if LLAM_PLATFORM_FREEBSD || LLAM_PLATFORM_OPENBSD || LLAM_PLATFORM_NETBSD || \
    LLAM_PLATFORM_DRAGONFLY
#define LLAM_PLATFORM_BSD 1
#else
#define LLAM_PLATFORM_BSD 0
#endif

#if LLAM_PLATFORM_DARWIN || LLAM_PLATFORM_BSD
#define LLAM_PLATFORM_KQUEUE 1
#else
#define LLAM_PLATFORM_KQUEUE 0
#endif

#if LLAM_PLATFORM_WINDOWS
#define LLAM_PLATFORM_POSIX 0
#else
#define LLAM_PLATFORM_POSIX 1
#endif

#if defined(__x86_64__) || defined(_M_X64)
#define LLAM_ARCH_X86_64 1
#else
#define LLAM_ARCH_X86_64 0
#endif

#if defined(__aarch64__) || defined(_M_ARM64)
#define LLAM_ARCH_AARCH64 1
#else
#define LLAM_ARCH_AARCH64 0
#endif

#if LLAM_PLATFORM_WINDOWS
#define LLAM_PLATFORM_NAME "windows"
#elif LLAM_PLATFORM_LINUX
#define LLAM_PLATFORM_NAME "linux"
#elif LLAM_PLATFORM_DARWIN
#define LLAM_PLATFORM_NAME "darwin"
#elif LLAM_PLATFORM_FREEBSD
#define LLAM_PLATFORM_NAME "freebsd"
#elif LLAM_PLATFORM_OPENBSD
#define LLAM_PLATFORM_NAME "openbsd"
#elif LLAM_PLATFORM_NETBSD
#define LLAM_PLATFORM_NAME "netbsd"
#elif LLAM_PLATFORM_DRAGONFLY
#define LLAM_PLATFORM_NAME "dragonfly"
#else
#define LLAM_PLATFORM_NAME "posix"
#endif

#if LLAM_PLATFORM_WINDOWS

#if defined(_WINSOCKAPI_) && !defined(_WINSOCK2API_)
#error "llam/platform.h needs <winsock2.h>; <winsock.h> was included before it"
#endif
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
/* The order matters: winsock2.h before ws2tcpip.h. */
#include <winsock2.h>
#include <ws2tcpip.h>

#if defined(_MSC_VER)
#include <BaseTsd.h>
#ifndef _SSIZE_T_DEFINED
#define _SSIZE_T_DEFINED
typedef SSIZE_T ssize_t;
#endif
#ifndef _SOCKLEN_T_DEFINED
#define _SOCKLEN_T_DEFINED
typedef int socklen_t;
#endif
#endif

#else

#include <sys/socket.h>
#include <sys/types.h>

#endif

#if LLAM_PLATFORM_WINDOWS && defined(LLAM_BUILD_SHARED)
#define LLAM_API __declspec(dllexport)
#elif LLAM_PLATFORM_WINDOWS && defined(LLAM_SHARED)
#define LLAM_API __declspec(dllimport)
#elif (defined(__GNUC__) || defined(__clang__)) && defined(LLAM_BUILD_SHARED)
#define LLAM_API __attribute__((visibility("default")))
#else
#define LLAM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if LLAM_PLATFORM_WINDOWS
/** A socket. */
typedef SOCKET llam_fd_t;
/** A HANDLE of the system. */
typedef void *llam_handle_t;
#define LLAM_INVALID_FD ((llam_fd_t)INVALID_SOCKET)
#define LLAM_INVALID_HANDLE ((llam_handle_t)(intptr_t)-1)
#else
/** A file descriptor; on Windows a socket. */
typedef int llam_fd_t;
/** A file descriptor; on Windows a HANDLE. */
typedef int llam_handle_t;
#define LLAM_INVALID_FD ((llam_fd_t)-1)
#define LLAM_INVALID_HANDLE ((llam_handle_t)-1)
#endif

/** Non-zero when fd is LLAM_INVALID_FD. */
static inline int llam_fd_is_invalid(llam_fd_t fd) {
    return fd == LLAM_INVALID_FD;
}

/** Non-zero when handle is LLAM_INVALID_HANDLE; on Windows also when it is NULL. */
static inline int llam_handle_is_invalid(llam_handle_t handle) {
#if LLAM_PLATFORM_WINDOWS
    return handle == LLAM_INVALID_HANDLE || handle == NULL;
#else
    return handle == LLAM_INVALID_HANDLE;
#endif
}

/* Both evaluate their argument exactly once. */
#define LLAM_FD_IS_INVALID(fd) (llam_fd_is_invalid(fd))
#define LLAM_HANDLE_IS_INVALID(handle) (llam_handle_is_invalid(handle))

#ifdef __cplusplus
}
#endif

#endif /* LLAM_PLATFORM_H */
