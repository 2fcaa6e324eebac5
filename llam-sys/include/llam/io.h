/*
 * llam/io.h - I/O, owned buffers, name and file calls of the LLAM C ABI.
 *
 * Owns: the I/O functions and their structs. Including it is the same as including llam/runtime.h.
 *
 * Conventions. In a task only the task waits, on blocking and non-blocking descriptors alike:
 * EAGAIN and EINTR never surface. On a host thread each call is the plain system call. Class A
 * calls (read, write, accept, poll, recvfrom, sendto) do what can be done at once even in a
 * cancelled task; class B calls (connect, owned reads, positional, names and files) fail with
 * ECANCELED there. LLAM_INVALID_FD gives EBADF unless told otherwise; other errors are those of the
 * system call.
 */
#ifndef LLAM_IO_H
#define LLAM_IO_H

#include "runtime.h"

#if LLAM_PLATFORM_POSIX
#include <netdb.h>
#endif

#ifndef LLAM_IO_DECLS_INCLUDED
#define LLAM_IO_DECLS_INCLUDED

#ifdef __cplusplus
extern "C" {
#endif

/* Strict C modes hide the definition in netdb.h. */
struct addrinfo;

/** A buffer filled by an owned read or made by llam_io_buffer_alloc; belongs to no runtime. */
typedef struct llam_io_buffer llam_io_buffer_t;

/** The contents of the new buffer are zero. */
#define LLAM_IO_BUFFER_F_ZERO_FILL UINT32_C(1)
/** A regular file. */
#define LLAM_FILE_TYPE_REGULAR UINT32_C(1)
/** A directory. */
#define LLAM_FILE_TYPE_DIRECTORY UINT32_C(2)
/** A link (never on POSIX, where links are followed). */
#define LLAM_FILE_TYPE_SYMLINK UINT32_C(3)
/** Anything else. */
#define LLAM_FILE_TYPE_OTHER UINT32_C(4)

/** A slice of bytes to write; on POSIX laid out as struct iovec. */
typedef struct llam_iovec {
    const void *iov_base; /**< Bytes to write. */
    size_t iov_len; /**< Length. */
} llam_iovec_t;

/** A slice of bytes to fill; on POSIX laid out as struct iovec. */
typedef struct llam_mut_iovec {
    void *iov_base; /**< Bytes to fill. */
    size_t iov_len; /**< Length. */
} llam_mut_iovec_t;

/** Options of llam_io_buffer_alloc_ex. */
typedef struct llam_io_buffer_opts {
    size_t capacity; /**< Least capacity wanted. */
    size_t alignment; /**< 0, or a power of two >= sizeof(void *). */
    uint32_t flags; /**< LLAM_IO_BUFFER_F_*; unknown bits are EINVAL. */
    uint32_t reserved0; /**< Ignored. */
} llam_io_buffer_opts_t;

/** What llam_stat_path_ex tells about a file. */
typedef struct llam_file_stat {
    uint64_t size; /**< Bytes. */
    uint64_t mtime_ns; /**< Modification time, ns since 1970. */
    uint64_t atime_ns; /**< Access time, ns since 1970. */
    uint64_t ctime_ns; /**< Status-change time, ns since 1970. */
    uint32_t mode; /**< st_mode on POSIX; the file attributes on Windows. */
    uint32_t type; /**< LLAM_FILE_TYPE_*. */
    uint64_t reserved0; /**< Always 0. */
} llam_file_stat_t;

/* The size each struct has in this header; pass it as the size argument. */
#define LLAM_IO_BUFFER_OPTS_CURRENT_SIZE ((size_t)sizeof(llam_io_buffer_opts_t))
#define LLAM_FILE_STAT_CURRENT_SIZE ((size_t)sizeof(llam_file_stat_t))

/* ---- I/O ---- */

/** read(2). */
LLAM_API ssize_t llam_read(llam_fd_t fd, void *buf, size_t count);

/** POSIX: llam_read. Windows: reads a HANDLE. */
LLAM_API ssize_t llam_read_handle(llam_handle_t handle, void *buf, size_t count);

/**
 * Waits up to timeout_ms (negative: no limit) for readability, then reads. ETIMEDOUT; ECANCELED;
 * errors of read(2). count 0 returns 0 at once.
 */
LLAM_API ssize_t llam_read_when_ready(llam_fd_t fd, void *buf, size_t count, int timeout_ms);

/** write(2); may be partial. SIGPIPE is not suppressed. */
LLAM_API ssize_t llam_write(llam_fd_t fd, const void *buf, size_t count);

/** POSIX: llam_write. Windows: writes a HANDLE. */
LLAM_API ssize_t llam_write_handle(llam_handle_t handle, const void *buf, size_t count);

/** writev(2); may be partial. EINVAL iovcnt below 0 or above IOV_MAX; 0 slices return 0. */
LLAM_API ssize_t llam_writev(llam_fd_t fd, const llam_iovec_t *iov, int iovcnt);

/**
 * Closes fd after forgetting what the engine knows about it. EBADF; errors of close(2). Any
 * thread.
 */
LLAM_API int llam_close(llam_fd_t fd);

/** POSIX: llam_close. Windows: CloseHandle. */
LLAM_API int llam_close_handle(llam_handle_t handle);

/**
 * accept(2). EINVAL when exactly one of addr and addrlen is NULL. The new descriptor is blocking
 * and without close-on-exec on Linux.
 */
LLAM_API llam_fd_t llam_accept(llam_fd_t fd, struct sockaddr *addr, socklen_t *addrlen);

/**
 * Connects and waits for the outcome, also on non-blocking sockets. EINVAL addr NULL; ECANCELED;
 * errors of connect(2).
 */
LLAM_API int llam_connect(llam_fd_t fd, const struct sockaddr *addr, socklen_t addrlen);

/**
 * Waits up to timeout_ms (negative: no limit, 0: probe) for one descriptor. 1 ready, 0 timeout;
 * *revents is always written. Invalid descriptors give 1 with POLLNVAL. ECANCELED.
 */
LLAM_API int llam_poll_fd(llam_fd_t fd, short events, int timeout_ms, short *revents);

/** POSIX: llam_poll_fd. Windows: waits for a HANDLE. */
LLAM_API int llam_poll_handle(llam_handle_t handle,
                              short events,
                              int timeout_ms,
                              short *revents);

/**
 * recvfrom(2); MSG_DONTWAIT does not prevent waiting in a task. EINVAL when exactly one of
 * src_addr and addrlen is NULL, or buf is NULL.
 */
LLAM_API ssize_t llam_recvfrom(llam_fd_t fd,
                               void *buf,
                               size_t count,
                               int flags,
                               struct sockaddr *src_addr,
                               socklen_t *addrlen);

/**
 * sendto(2); dst_addr NULL sends on a connected socket. EINVAL buf NULL, or dst_addr NULL with a
 * length.
 */
LLAM_API ssize_t llam_sendto(llam_fd_t fd,
                             const void *buf,
                             size_t count,
                             int flags,
                             const struct sockaddr *dst_addr,
                             socklen_t addrlen);

/* ---- Positional I/O ---- */

/**
 * pread(2). EINVAL buf NULL, count above UINT32_MAX; EOVERFLOW offset above INT64_MAX; EBADF;
 * ESPIPE.
 */
LLAM_API ssize_t llam_pread(llam_fd_t fd, void *buf, size_t count, uint64_t offset);

/** pwrite(2). Errors as llam_pread. */
LLAM_API ssize_t llam_pwrite(llam_fd_t fd, const void *buf, size_t count, uint64_t offset);

/** preadv(2). EINVAL bad slices; 0 slices return 0; else as llam_pread. */
LLAM_API ssize_t llam_preadv(llam_fd_t fd,
                             const llam_mut_iovec_t *iov,
                             int iovcnt,
                             uint64_t offset);

/** pwritev(2). Errors as llam_preadv. */
LLAM_API ssize_t llam_pwritev(llam_fd_t fd,
                              const llam_iovec_t *iov,
                              int iovcnt,
                              uint64_t offset);

/** POSIX: llam_pread. Windows: a HANDLE. */
LLAM_API ssize_t llam_pread_handle(llam_handle_t handle,
                                   void *buf,
                                   size_t count,
                                   uint64_t offset);

/** POSIX: llam_pwrite. Windows: a HANDLE. */
LLAM_API ssize_t llam_pwrite_handle(llam_handle_t handle,
                                    const void *buf,
                                    size_t count,
                                    uint64_t offset);

/** POSIX: llam_preadv. Windows: a HANDLE. */
LLAM_API ssize_t llam_preadv_handle(llam_handle_t handle,
                                    const llam_mut_iovec_t *iov,
                                    int iovcnt,
                                    uint64_t offset);

/** POSIX: llam_pwritev. Windows: a HANDLE. */
LLAM_API ssize_t llam_pwritev_handle(llam_handle_t handle,
                                     const llam_iovec_t *iov,
                                     int iovcnt,
                                     uint64_t offset);

/* ---- Owned buffers ---- */

/**
 * Reads up to max_count bytes into a new buffer. Above 0 and *out; 0 and NULL at the end of the
 * stream. EINVAL; EBADF; EISDIR; ENOMEM; ECANCELED.
 */
LLAM_API ssize_t llam_read_owned(llam_fd_t fd, size_t max_count, llam_io_buffer_t **out);

/** llam_read_owned with the flags of recv(2); ENOTSOCK. */
LLAM_API ssize_t llam_recv_owned(llam_fd_t fd,
                                 size_t max_count,
                                 int flags,
                                 llam_io_buffer_t **out);

/** llam_recvfrom into a new buffer. An empty datagram gives 0 and no buffer. */
LLAM_API ssize_t llam_recvfrom_owned(llam_fd_t fd,
                                     size_t max_count,
                                     int flags,
                                     struct sockaddr *src_addr,
                                     socklen_t *addrlen,
                                     llam_io_buffer_t **out);

/**
 * pread(2) into a new buffer with this alignment (0, or a power of two from sizeof(void *)).
 * EINVAL; EBADF; EISDIR; ESPIPE; EOVERFLOW; ENOMEM; ECANCELED.
 */
LLAM_API ssize_t llam_pread_owned_aligned(llam_fd_t fd,
                                          size_t max_count,
                                          uint64_t offset,
                                          size_t alignment,
                                          llam_io_buffer_t **out);

/** POSIX: llam_pread_owned_aligned. Windows: a HANDLE. */
LLAM_API ssize_t llam_pread_handle_owned_aligned(llam_handle_t handle,
                                                 size_t max_count,
                                                 uint64_t offset,
                                                 size_t alignment,
                                                 llam_io_buffer_t **out);

/** Writes the defaults: all 0. 0; EINVAL for NULL or size 0. */
LLAM_API int llam_io_buffer_opts_init(llam_io_buffer_opts_t *opts, size_t opts_size);

/**
 * A new buffer of size 0. Errors, in order: EINVAL out NULL, opts with size 0, unknown flags,
 * bad alignment; ENOMEM. Needs no runtime.
 */
LLAM_API int llam_io_buffer_alloc_ex(const llam_io_buffer_opts_t *opts,
                                     size_t opts_size,
                                     llam_io_buffer_t **out);

/** A new buffer with at least this capacity. */
LLAM_API int llam_io_buffer_alloc(size_t capacity, llam_io_buffer_t **out);

/** A new buffer with at least this capacity and this alignment. */
LLAM_API int llam_io_buffer_alloc_aligned(size_t capacity,
                                          size_t alignment,
                                          llam_io_buffer_t **out);

/** The alignment asked for, 8 when that was 0; 0 with EINVAL for a bad handle. */
LLAM_API size_t llam_io_buffer_alignment(const llam_io_buffer_t *buffer);

/** Start of the bytes, stable until release; NULL with EINVAL for a bad handle. */
LLAM_API void *llam_io_buffer_data(llam_io_buffer_t *buffer);

/** Bytes received; 0 with EINVAL for a bad handle. */
LLAM_API size_t llam_io_buffer_size(const llam_io_buffer_t *buffer);

/** Bytes there is room for; 0 with EINVAL for a bad handle. */
LLAM_API size_t llam_io_buffer_capacity(const llam_io_buffer_t *buffer);

/** Frees the buffer. NULL, dead and double releases are ignored. Any thread, any time. */
LLAM_API void llam_io_buffer_release(llam_io_buffer_t *buffer);

/* ---- Names and files ---- */

/**
 * getaddrinfo(3) on the blocking pool. 0 when the resolver was asked: *gai_error has its
 * verdict, *out the list. EINVAL; ECANCELED; ENOMEM.
 */
LLAM_API int llam_getaddrinfo_result(const char *node,
                                     const char *service,
                                     const struct addrinfo *hints,
                                     struct addrinfo **out,
                                     int *gai_error);

/** freeaddrinfo(3); NULL is ignored. */
LLAM_API void llam_freeaddrinfo_result(struct addrinfo *result);

/**
 * open(2) on the blocking pool; nothing is added to flags. EINVAL path or out NULL; ECANCELED;
 * errors of open(2).
 */
LLAM_API int llam_open_async(const char *path, int flags, uint32_t mode, llam_handle_t *out);

/**
 * stat(2) on the blocking pool; fills at most out_size bytes. EINVAL path or out NULL, size 0;
 * ECANCELED; errors of stat(2).
 */
LLAM_API int llam_stat_path_ex(const char *path, llam_file_stat_t *out, size_t out_size);

#ifdef __cplusplus
}
#endif

#endif /* LLAM_IO_DECLS_INCLUDED */

#endif /* LLAM_IO_H */
