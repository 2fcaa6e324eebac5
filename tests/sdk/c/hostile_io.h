/* Hostile calls, part 4: I/O (abi.md 4.14), positional I/O (4.15), owned buffers (4.16), names and
 * files (4.17). */
#ifndef HOSTILE_IO_H
#define HOSTILE_IO_H

#include "hostile_base.h"

/* Kinds of descriptors. FILE_FD is the caller's own file, which holds CONTENTS; EVENT_FD and UDP_FD
 * are never readable, PIPE_FD neither: the writing end is open. */
enum fd_kind { BAD_FD, DIR_FD, NULL_FD, FILE_FD, RO_FD, WO_FD, EVENT_FD, PIPE_FD, TCP_FD, UDP_FD };
#define FD_KINDS 10

#define CONTENTS "hello"
#define CONTENT_SIZE 5

static int event_fd, pipe_fd, pipe_write_fd, tcp_fd, udp_fd;

static int fd_of(struct ctx *c, enum fd_kind kind) {
    switch (kind) {
    case DIR_FD: return dir_fd;
    case NULL_FD: return null_fd;
    case FILE_FD: return c->file;
    case RO_FD: return read_only_fd;
    case WO_FD: return write_only_fd;
    case EVENT_FD: return event_fd;
    case PIPE_FD: return pipe_fd;
    case TCP_FD: return tcp_fd;
    case UDP_FD: return udp_fd;
    default: return (int)ONE_OF(c, (uint64_t)-1, CLOSED_FD, 1000000, INT_MAX, (uint64_t)INT_MIN);
    }
}

static enum fd_kind any_kind(struct ctx *c) { return (enum fd_kind)below(c, FD_KINDS); }

static int is_socket(enum fd_kind kind) { return kind == TCP_FD || kind == UDP_FD; }

/* The answer of something that never becomes readable: a host thread's call fails at once, since
 * the descriptors are non-blocking, a cancelled task's with ECANCELED.
 * 0: it would wait for ever. */
static int never_ready(const struct ctx *c) {
    return !in_task(c) ? EAGAIN : c->cancelled ? ECANCELED : 0;
}

/* A class B call in a cancelled task fails with ECANCELED; whether an error of the descriptor comes
 * first is free (I7). */
static void class_b_verdict(struct ctx *c, int64_t got, int64_t count, int code) {
    if (!in_task(c) || !c->cancelled) {
        count_verdict(c, got, count, code);
    } else {
        verdict_of_two(c, got, ECANCELED, code != 0 ? code : ECANCELED);
    }
}

/* ---- Streams ---- */

struct transfer {
    enum fd_kind kind;
    int fd, code, skip;
    void *buf;
    size_t count;
    int64_t answer;
    unsigned char bytes[64];
};

/* A read that ends at once, or whose wait is hopeless. */
static void plan_read(struct ctx *c, struct transfer *t) {
    t->kind = any_kind(c);
    t->fd = fd_of(c, t->kind);
    t->buf = t->bytes;
    t->count = (size_t)ONE_OF(c, 1, 4, 7, 64);
    t->code = t->skip = 0;
    t->answer = 0;
    switch (t->kind) {
    case BAD_FD:
        t->code = EBADF;
        t->count = (size_t)ONE_OF(c, 1, 64, SIZE_MAX, (uint64_t)UINT32_MAX + 1);
        if (coin(c)) t->buf = NULL;
        break;
    case DIR_FD: t->code = EISDIR; break;
    case NULL_FD: t->buf = coin(c) ? NULL : t->bytes; break;
    case FILE_FD:
    case RO_FD:
        if (one_in(c, 3)) {
            t->count = 0;
        } else if (coin(c) && t->kind == FILE_FD) {
            MUST(c, lseek(t->fd, 0, SEEK_SET) == 0);
            t->answer = t->count < CONTENT_SIZE ? (int64_t)t->count : CONTENT_SIZE;
            if (coin(c)) t->buf = NULL, t->code = EFAULT;
        } else {
            MUST(c, lseek(t->fd, 0, SEEK_END) == CONTENT_SIZE);
            if (coin(c)) t->buf = NULL;
        }
        break;
    case WO_FD: t->code = EBADF; break;
    case EVENT_FD:
        if (t->count < 8) t->code = EINVAL;
        else t->skip = (t->code = never_ready(c)) == 0;
        break;
    case TCP_FD: t->code = ENOTCONN; break;
    default: t->skip = (t->code = never_ready(c)) == 0; break;
    }
}

typedef ssize_t read_call(int fd, void *buf, size_t count);

static void try_read(struct ctx *c, int id, read_call *call) {
    struct transfer t;
    plan_read(c, &t);
    if (t.skip) return;
    begin(c, id, 3, ARGUMENTS_OF((uint64_t)t.fd, A(t.buf), t.count));
    count_verdict(c, call(t.fd, t.buf, t.count), t.answer, t.code);
}

static void try_llam_read(struct ctx *c) { try_read(c, ID_llam_read, llam_read); }

static void try_llam_read_handle(struct ctx *c) {
    try_read(c, ID_llam_read_handle, llam_read_handle);
}

static void try_llam_read_when_ready(struct ctx *c) {
    struct transfer t;
    plan_read(c, &t);
    int timeout = (int)ONE_OF(c, 0, 1, (uint64_t)-1, (uint64_t)INT_MIN, INT_MAX);
    int waits = t.kind == PIPE_FD || t.kind == UDP_FD || t.kind == EVENT_FD;
    if (one_in(c, 6)) {
        /* count 0: 0 at once, without looking at the descriptor. */
        t.count = 0, t.code = 0, t.answer = 0;
        if (coin(c)) t.buf = NULL;
    } else if (waits) {
        t.code = timeout == 0 ? ETIMEDOUT : c->cancelled && in_task(c) ? ECANCELED : ETIMEDOUT;
        if (t.code == ETIMEDOUT && timeout != 0) timeout = one_in(c, 4);
        if (coin(c)) t.buf = NULL;
    } else if (t.kind == BAD_FD && t.fd < -1) {
        return;
    }
    BEGIN(c, llam_read_when_ready, (uint64_t)t.fd, A(t.buf), t.count, (uint64_t)timeout);
    count_verdict(c, llam_read_when_ready(t.fd, t.buf, t.count, timeout), t.answer, t.code);
}

/* A write that ends at once. */
static void plan_write(struct ctx *c, struct transfer *t) {
    do t->kind = any_kind(c);
    while (t->kind == TCP_FD);
    t->fd = fd_of(c, t->kind);
    t->buf = t->bytes;
    t->count = (size_t)ONE_OF(c, 1, 2, 5);
    t->skip = 0;
    t->code = EBADF;
    memcpy(t->bytes, CONTENTS "hello", 10);
    switch (t->kind) {
    case NULL_FD:
        t->code = 0;
        if (coin(c)) t->buf = NULL;
        break;
    case FILE_FD:
        t->code = 0;
        MUST(c, lseek(t->fd, 0, SEEK_SET) == 0);
        if (one_in(c, 3)) t->buf = NULL, t->code = EFAULT;
        else if (coin(c)) t->count = 0;
        break;
    case WO_FD:
        t->code = EFAULT;
        t->buf = NULL;
        break;
    case EVENT_FD:
        t->code = EINVAL;
        if (coin(c)) memset(t->bytes, 0xff, t->count = 8);
        break;
    case UDP_FD: t->code = EDESTADDRREQ; break;
    default: break;
    }
    t->answer = (int64_t)t->count;
}

typedef ssize_t write_call(int fd, const void *buf, size_t count);

static void try_write(struct ctx *c, int id, write_call *call) {
    struct transfer t;
    plan_write(c, &t);
    begin(c, id, 3, ARGUMENTS_OF((uint64_t)t.fd, A(t.buf), t.count));
    count_verdict(c, call(t.fd, t.buf, t.count), t.answer, t.code);
}

static void try_llam_write(struct ctx *c) { try_write(c, ID_llam_write, llam_write); }

static void try_llam_write_handle(struct ctx *c) {
    try_write(c, ID_llam_write_handle, llam_write_handle);
}

/* Slices that are wrong in themselves: the count of them, or NULL. Returns the code, or -1 when
 * they are fine. */
static int plan_slices(struct ctx *c, const void **iov, int *iovcnt) {
    switch (below(c, 4)) {
    case 0:
        *iovcnt = (int)ONE_OF(c, (uint64_t)-1, (uint64_t)INT_MIN, 1025, 4096, INT_MAX);
        return EINVAL;
    case 1:
        *iovcnt = 0;
        if (coin(c)) *iov = NULL;
        return 0;
    case 2: *iov = NULL; return EINVAL;
    default: return -1;
    }
}

static void try_llam_writev(struct ctx *c) {
    struct transfer t;
    plan_write(c, &t);
    llam_iovec_t slices[2] = {{t.buf, t.count}, {t.bytes, 0}};
    const void *iov = slices;
    int iovcnt = 2, code = plan_slices(c, &iov, &iovcnt);
    if (code == 0) t.answer = 0;
    /* I6: a NULL base is the system call's own business. */
    if (code < 0 && (t.buf == NULL || t.kind == EVENT_FD)) return;
    BEGIN(c, llam_writev, (uint64_t)t.fd, A(iov), (uint64_t)iovcnt);
    count_verdict(c, llam_writev(t.fd, iov, iovcnt), t.answer, code < 0 ? t.code : code);
}

typedef int close_call(int fd);

static void try_close(struct ctx *c, int id, close_call *call) {
    int fd = fd_of(c, BAD_FD), good = one_in(c, 3);
    if (good) fd = dup(null_fd);
    begin(c, id, 1, ARGUMENTS_OF((uint64_t)fd));
    verdict(c, call(fd), good ? 0 : EBADF);
}

static void try_llam_close(struct ctx *c) { try_close(c, ID_llam_close, llam_close); }

static void try_llam_close_handle(struct ctx *c) {
    try_close(c, ID_llam_close_handle, llam_close_handle);
}

static int socket_code(enum fd_kind kind) {
    return kind == BAD_FD ? EBADF : is_socket(kind) ? 0 : ENOTSOCK;
}

static void try_llam_accept(struct ctx *c) {
    enum fd_kind kind = any_kind(c);
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    int fd = fd_of(c, kind), with_address = coin(c), with_length = coin(c);
    int code = socket_code(kind);
    if (code == 0) code = kind == TCP_FD ? EINVAL : EOPNOTSUPP;
    if (with_address != with_length) code = EINVAL;
    struct sockaddr *addr = with_address ? (struct sockaddr *)&address : NULL;
    socklen_t *addrlen = with_length ? &length : NULL;
    BEGIN(c, llam_accept, (uint64_t)fd, A(addr), A(addrlen));
    verdict(c, llam_accept(fd, addr, addrlen), code);
}

static void try_llam_connect(struct ctx *c) {
    enum fd_kind kind = any_kind(c);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = 1};
    int fd = fd_of(c, kind), no_address = one_in(c, 3);
    socklen_t length = (socklen_t)ONE_OF(c, 0, 1, 2);
    if (is_socket(kind) && coin(c)) length = (socklen_t)ONE_OF(c, 0x80000000, UINT32_MAX);
    int code = kind == UDP_FD || kind == TCP_FD ? EINVAL : socket_code(kind);
    const struct sockaddr *addr = no_address ? NULL : (const struct sockaddr *)&address;
    BEGIN(c, llam_connect, (uint64_t)fd, A(addr), length);
    int status = llam_connect(fd, addr, length);
    if (no_address) verdict(c, status, EINVAL);
    else class_b_verdict(c, status, 0, code);
}

typedef int poll_call(int fd, short events, int timeout_ms, short *revents);

static void try_poll(struct ctx *c, int id, poll_call *call) {
    enum fd_kind kind = any_kind(c);
    int fd = fd_of(c, kind), code = 0, timeout, answer = 1;
    short events = POLLIN, got = 0x7777, expected = POLLIN, *revents = coin(c) ? &got : NULL;
    if (kind == BAD_FD) {
        if (fd < -1) fd = -1;
        events = (short)ONE_OF(c, 0, POLLIN, POLLOUT, 0xffff);
        expected = POLLNVAL;
    } else if (kind == EVENT_FD || kind == PIPE_FD || kind == UDP_FD) {
        answer = expected = 0;
    } else if (kind == WO_FD || kind == TCP_FD) {
        return;
    }
    timeout = (int)ONE_OF(c, 0, 1, (uint64_t)-1, (uint64_t)INT_MIN, INT_MAX);
    if (answer == 0 && timeout != 0) {
        if (in_task(c) && c->cancelled) code = ECANCELED;
        else timeout = one_in(c, 4);
    }
    begin(c, id, 4, ARGUMENTS_OF((uint64_t)fd, (uint64_t)events, (uint64_t)timeout, A(revents)));
    count_verdict(c, call(fd, events, timeout, revents), answer, code);
    if (revents != NULL && got != expected) wrong(c, got, 0, "*revents", expected);
}

static void try_llam_poll_fd(struct ctx *c) { try_poll(c, ID_llam_poll_fd, llam_poll_fd); }

static void try_llam_poll_handle(struct ctx *c) {
    try_poll(c, ID_llam_poll_handle, llam_poll_handle);
}

/* The code of a receive from this kind; *skip when it would wait for ever. */
static int receive_code(struct ctx *c, enum fd_kind kind, int *skip) {
    int code = socket_code(kind);
    *skip = 0;
    if (kind == TCP_FD) code = ENOTCONN;
    if (kind == UDP_FD) *skip = (code = never_ready(c)) == 0;
    return code;
}

static void try_llam_recvfrom(struct ctx *c) {
    enum fd_kind kind = any_kind(c);
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    unsigned char bytes[16];
    int fd = fd_of(c, kind), skip, code = receive_code(c, kind, &skip), pair = (int)below(c, 4);
    int no_buffer = one_in(c, 4), flags = (int)ONE_OF(c, 0, MSG_PEEK, MSG_DONTWAIT, MSG_TRUNC);
    struct sockaddr *addr = pair & 1 ? (struct sockaddr *)&address : NULL;
    socklen_t *addrlen = pair & 2 ? &length : NULL;
    if (pair == 1 || pair == 2 || no_buffer) code = EINVAL, skip = 0;
    if (skip) return;
    void *buf = no_buffer ? NULL : bytes;
    BEGIN(c, llam_recvfrom, (uint64_t)fd, A(buf), 16, (uint64_t)flags, A(addr), A(addrlen));
    verdict(c, llam_recvfrom(fd, buf, 16, flags, addr, addrlen), code);
}

static void try_llam_sendto(struct ctx *c) {
    enum fd_kind kind = any_kind(c);
    int fd = fd_of(c, kind), code = socket_code(kind), no_buffer = one_in(c, 4);
    socklen_t length = one_in(c, 4) ? (socklen_t)ONE_OF(c, 1, 16, UINT32_MAX) : 0;
    int flags = MSG_NOSIGNAL | (coin(c) ? MSG_DONTWAIT : 0);
    if (kind == TCP_FD) code = EPIPE;
    if (kind == UDP_FD) code = EDESTADDRREQ;
    if (no_buffer || length != 0) code = EINVAL;
    const void *buf = no_buffer ? NULL : "0123456789abcdef";
    BEGIN(c, llam_sendto, (uint64_t)fd, A(buf), 16, (uint64_t)flags, 0, length);
    verdict(c, llam_sendto(fd, buf, 16, flags, NULL, length), code);
}

/* ---- Positional ---- */

/* A positional transfer: `argument` when the code is one of the arguments, which come first. */
static void plan_positional(struct ctx *c, struct transfer *t, int writes, uint64_t *offset,
                            int *argument) {
    do t->kind = any_kind(c);
    while (t->kind == EVENT_FD || (writes && t->kind == PIPE_FD) || (!writes && t->kind == RO_FD));
    t->fd = fd_of(c, t->kind);
    t->buf = t->bytes;
    t->count = (size_t)ONE_OF(c, 1, 5, 64);
    t->answer = *argument = 0;
    *offset = ONE_OF(c, 0, 2, 5, UINT64_C(1) << 40);
    memcpy(t->bytes, CONTENTS, CONTENT_SIZE);
    t->code = t->kind == BAD_FD ? EBADF : is_socket(t->kind) || t->kind == PIPE_FD ? ESPIPE : 0;
    if (!writes && t->kind == DIR_FD) t->code = EISDIR;
    if (t->kind == (writes ? RO_FD : WO_FD) || (writes && t->kind == DIR_FD)) t->code = EBADF;
    if (t->kind == NULL_FD && writes) t->answer = (int64_t)t->count;
    if (t->kind == FILE_FD && !writes && *offset < CONTENT_SIZE) {
        t->answer = CONTENT_SIZE - (int64_t)*offset;
        if ((int64_t)t->count < t->answer) t->answer = (int64_t)t->count;
    }
    if (writes && (t->kind == FILE_FD || t->kind == WO_FD)) {
        *offset = 0;
        t->answer = (int64_t)(t->count = 1 + below(c, CONTENT_SIZE));
    }
    switch (below(c, 4)) {
    case 0: t->buf = NULL, t->code = EINVAL, *argument = 1; break;
    case 1:
        *offset = ONE_OF(c, (uint64_t)INT64_MAX + 1, UINT64_MAX, UINT64_MAX - 1);
        t->code = EOVERFLOW, *argument = 1;
        break;
    default: break;
    }
}

static void positional_verdict(struct ctx *c, int64_t got, const struct transfer *t, int argument) {
    if (argument) verdict(c, got, t->code);
    else class_b_verdict(c, got, t->answer, t->code);
}

typedef ssize_t pread_call(int fd, void *buf, size_t count, uint64_t offset);
typedef ssize_t pwrite_call(int fd, const void *buf, size_t count, uint64_t offset);

/* More than a count may be: EINVAL before the descriptor is looked at. */
static void too_many(struct ctx *c, struct transfer *t, int *argument) {
    if (!one_in(c, 8)) return;
    t->count = (size_t)ONE_OF(c, (uint64_t)UINT32_MAX + 1, SIZE_MAX, SIZE_MAX / 2 + 1);
    t->code = EINVAL;
    *argument = 1;
}

static void try_pread(struct ctx *c, int id, pread_call *call) {
    struct transfer t;
    uint64_t offset;
    int argument;
    plan_positional(c, &t, 0, &offset, &argument);
    too_many(c, &t, &argument);
    begin(c, id, 4, ARGUMENTS_OF((uint64_t)t.fd, A(t.buf), t.count, offset));
    positional_verdict(c, call(t.fd, t.buf, t.count, offset), &t, argument);
}

static void try_pwrite(struct ctx *c, int id, pwrite_call *call) {
    struct transfer t;
    uint64_t offset;
    int argument;
    plan_positional(c, &t, 1, &offset, &argument);
    too_many(c, &t, &argument);
    begin(c, id, 4, ARGUMENTS_OF((uint64_t)t.fd, A(t.buf), t.count, offset));
    positional_verdict(c, call(t.fd, t.buf, t.count, offset), &t, argument);
}

static void try_llam_pread(struct ctx *c) { try_pread(c, ID_llam_pread, llam_pread); }
static void try_llam_pwrite(struct ctx *c) { try_pwrite(c, ID_llam_pwrite, llam_pwrite); }

static void try_llam_pread_handle(struct ctx *c) {
    try_pread(c, ID_llam_pread_handle, llam_pread_handle);
}

static void try_llam_pwrite_handle(struct ctx *c) {
    try_pwrite(c, ID_llam_pwrite_handle, llam_pwrite_handle);
}

/* The vector forms have the same slices in both directions. */
typedef ssize_t vector_call(int fd, const llam_iovec_t *iov, int iovcnt, uint64_t offset);

static void try_vector(struct ctx *c, int id, vector_call *call, int writes) {
    struct transfer t;
    uint64_t offset;
    int argument;
    plan_positional(c, &t, writes, &offset, &argument);
    llam_iovec_t slices[3] = {{NULL, 0}, {t.buf, t.count}, {t.bytes, 0}};
    const void *iov = slices;
    int iovcnt = 3, code = plan_slices(c, &iov, &iovcnt);
    if (code == 0) t.answer = 0;
    if (code >= 0) t.code = code, argument = 1;
    if (code < 0 && one_in(c, 6)) {
        slices[1] = (llam_iovec_t){t.bytes, SIZE_MAX / 2};
        slices[2] = (llam_iovec_t){t.bytes, 1};
        t.code = EINVAL, argument = 1;
    }
    begin(c, id, 4, ARGUMENTS_OF((uint64_t)t.fd, A(iov), (uint64_t)iovcnt, offset));
    int64_t got = call(t.fd, iov, iovcnt, offset);
    if (argument) count_verdict(c, got, t.answer, t.code);
    else class_b_verdict(c, got, t.answer, t.code);
}

static ssize_t call_preadv(int fd, const llam_iovec_t *iov, int iovcnt, uint64_t offset) {
    return llam_preadv(fd, (const llam_mut_iovec_t *)(const void *)iov, iovcnt, offset);
}

static ssize_t call_preadv_handle(int fd, const llam_iovec_t *iov, int iovcnt, uint64_t offset) {
    return llam_preadv_handle(fd, (const llam_mut_iovec_t *)(const void *)iov, iovcnt, offset);
}

static void try_llam_preadv(struct ctx *c) { try_vector(c, ID_llam_preadv, call_preadv, 0); }
static void try_llam_pwritev(struct ctx *c) { try_vector(c, ID_llam_pwritev, llam_pwritev, 1); }

static void try_llam_preadv_handle(struct ctx *c) {
    try_vector(c, ID_llam_preadv_handle, call_preadv_handle, 0);
}

static void try_llam_pwritev_handle(struct ctx *c) {
    try_vector(c, ID_llam_pwritev_handle, llam_pwritev_handle, 1);
}

/* ---- Owned buffers ---- */

/* 0 and NULL, -1 and NULL, or bytes and a buffer that is released here. */
static void check_owned(struct ctx *c, int64_t got, llam_io_buffer_t *out) {
    require(c, (got > 0) == (out != NULL), "a buffer exactly for a count above 0");
    if (out == NULL) return;
    MUST(c, (int64_t)llam_io_buffer_size(out) == got);
    MUST(c, memcmp(llam_io_buffer_data(out), CONTENTS, (size_t)got) == 0);
    llam_io_buffer_release(out);
    stale[BUFFER][below(c, STALE_VALUES)] = out;
}

/* What comes before the descriptor: -1 when nothing does. */
static int owned_argument(struct ctx *c, size_t *max_count, llam_io_buffer_t ***out) {
    switch (below(c, 6)) {
    case 0: *out = NULL; return EINVAL;
    case 1:
        *max_count = (size_t)ONE_OF(c, (uint64_t)UINT32_MAX + 1, SIZE_MAX, SIZE_MAX / 2 + 1);
        return EINVAL;
    case 2: *max_count = 0; return 0;
    default: return -1;
    }
}

static void owned_verdict(struct ctx *c, int64_t got, int argument, int64_t answer, int code,
                          llam_io_buffer_t *const *out) {
    if (argument >= 0) count_verdict(c, got, 0, argument);
    else class_b_verdict(c, got, answer, code);
    if (out != NULL) check_owned(c, got, *out);
}

static void try_llam_read_owned(struct ctx *c) {
    enum fd_kind kind;
    llam_io_buffer_t *buffer = (llam_io_buffer_t *)c, **out = &buffer;
    size_t max = (size_t)ONE_OF(c, 1, 5, 100);
    int argument = owned_argument(c, &max, &out), code = 0;
    int waits;
    do {
        kind = any_kind(c);
        waits = kind == EVENT_FD || kind == PIPE_FD || kind == UDP_FD;
    } while (kind == RO_FD || (argument < 0 && waits));
    int fd = fd_of(c, kind);
    int64_t answer = kind != FILE_FD ? 0 : max < CONTENT_SIZE ? (int64_t)max : CONTENT_SIZE;
    if (kind == FILE_FD) MUST(c, lseek(fd, 0, SEEK_SET) == 0);
    if (kind == BAD_FD || kind == WO_FD) code = EBADF;
    if (kind == DIR_FD) code = EISDIR;
    if (kind == TCP_FD) code = ENOTCONN;
    BEGIN(c, llam_read_owned, (uint64_t)fd, max, A(out));
    owned_verdict(c, llam_read_owned(fd, max, out), argument, answer, code, out);
}

static void try_llam_recv_owned(struct ctx *c) {
    enum fd_kind kind = any_kind(c);
    llam_io_buffer_t *buffer = (llam_io_buffer_t *)c, **out = &buffer;
    size_t max = (size_t)ONE_OF(c, 1, 5, 100);
    int argument = owned_argument(c, &max, &out), skip, fd = fd_of(c, kind);
    int code = receive_code(c, kind, &skip), flags = coin(c) ? MSG_PEEK : MSG_DONTWAIT;
    /* A write-only descriptor is EBADF for an owned read, and no socket. */
    if (argument < 0 && (skip || kind == WO_FD)) return;
    BEGIN(c, llam_recv_owned, (uint64_t)fd, max, (uint64_t)flags, A(out));
    owned_verdict(c, llam_recv_owned(fd, max, flags, out), argument, 0, code, out);
}

static void try_llam_recvfrom_owned(struct ctx *c) {
    enum fd_kind kind = any_kind(c);
    llam_io_buffer_t *buffer = (llam_io_buffer_t *)c, **out = one_in(c, 4) ? NULL : &buffer;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    size_t max = (size_t)ONE_OF(c, 0, 1, 100);
    int skip, fd = fd_of(c, kind), code = receive_code(c, kind, &skip), pair = (int)below(c, 4);
    struct sockaddr *addr = pair & 1 ? (struct sockaddr *)&address : NULL;
    socklen_t *addrlen = pair & 2 ? &length : NULL;
    if (max == 0) code = skip = 0;
    if (out == NULL || pair == 1 || pair == 2) code = EINVAL, skip = 0;
    if (skip || (kind == WO_FD && code == ENOTSOCK)) return;
    BEGIN(c, llam_recvfrom_owned, (uint64_t)fd, max, 0, A(addr), A(addrlen), A(out));
    int64_t got = llam_recvfrom_owned(fd, max, 0, addr, addrlen, out);
    count_verdict(c, got, 0, code);
    if (out != NULL) check_owned(c, got, *out);
}

static size_t bad_alignment(struct ctx *c) {
    return (size_t)ONE_OF(c, 1, 2, 4, 7, 24, 12, 4095, SIZE_MAX, SIZE_MAX - 7);
}

typedef ssize_t owned_pread_call(int fd, size_t max, uint64_t offset, size_t alignment,
                                 llam_io_buffer_t **out);

static void try_pread_owned(struct ctx *c, int id, owned_pread_call *call) {
    struct transfer t;
    uint64_t offset;
    llam_io_buffer_t *buffer = (llam_io_buffer_t *)c, **out = &buffer;
    size_t alignment = (size_t)ONE_OF(c, 0, 8, 64, 4096);
    int argument, early;
    plan_positional(c, &t, 0, &offset, &argument);
    while (argument) plan_positional(c, &t, 0, &offset, &argument);
    early = owned_argument(c, &t.count, &out);
    if (early < 0 && one_in(c, 4)) alignment = bad_alignment(c), early = EINVAL;
    if (early < 0 && t.code == 0 && one_in(c, 4)) offset = UINT64_MAX, t.code = EOVERFLOW;
    begin(c, id, 5, ARGUMENTS_OF((uint64_t)t.fd, t.count, offset, alignment, A(out)));
    int64_t got = call(t.fd, t.count, offset, alignment, out);
    if (early >= 0) count_verdict(c, got, 0, early);
    else class_b_verdict(c, got, t.answer, t.code);
    if (out == NULL) return;
    require(c, (got > 0) == (*out != NULL), "a buffer exactly for a count above 0");
    if (*out != NULL && alignment != 0)
        REQUIRE(c, (uintptr_t)llam_io_buffer_data(*out) % alignment == 0);
    if (*out != NULL) llam_io_buffer_release(*out);
}

static void try_llam_pread_owned_aligned(struct ctx *c) {
    try_pread_owned(c, ID_llam_pread_owned_aligned, llam_pread_owned_aligned);
}

static void try_llam_pread_handle_owned_aligned(struct ctx *c) {
    try_pread_owned(c, ID_llam_pread_handle_owned_aligned, llam_pread_handle_owned_aligned);
}

/* Checks a new buffer and releases it. */
static void end_buffer(struct ctx *c, llam_io_buffer_t *buffer, size_t capacity, size_t alignment) {
    REQUIRE(c, buffer != NULL && llam_io_buffer_size(buffer) == 0);
    REQUIRE(c, llam_io_buffer_capacity(buffer) >= capacity);
    REQUIRE(c, llam_io_buffer_alignment(buffer) == (alignment == 0 ? 8 : alignment));
    memset(llam_io_buffer_data(buffer), 0x11, llam_io_buffer_capacity(buffer));
    llam_io_buffer_release(buffer);
    stale[BUFFER][below(c, STALE_VALUES)] = buffer;
}

static size_t absurd_capacity(struct ctx *c) {
    return (size_t)ONE_OF(c, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 2);
}

static void try_llam_io_buffer_alloc_ex(struct ctx *c) {
    llam_io_buffer_opts_t opts = {below(c, 10000), (size_t)ONE_OF(c, 0, 8, 4096), coin(c), 9};
    llam_io_buffer_t *buffer = (llam_io_buffer_t *)c, **out = &buffer;
    const llam_io_buffer_opts_t *given = &opts;
    size_t size = (size_t)ONE_OF(c, 24, 25, SIZE_MAX);
    int code = EINVAL;
    switch (below(c, 7)) {
    case 0: out = NULL; break;
    case 1: size = 0; break;
    case 2: opts.flags = (uint32_t)ONE_OF(c, 2, 3, 0x80000000, UINT32_MAX); break;
    case 3: opts.alignment = bad_alignment(c); break;
    case 4: opts.capacity = absurd_capacity(c), code = ENOMEM; break;
    case 5: given = NULL, size = 0, code = 0; break;
    default: code = 0; break;
    }
    BEGIN(c, llam_io_buffer_alloc_ex, A(given), size, A(out), opts.capacity, opts.alignment,
          opts.flags);
    verdict(c, llam_io_buffer_alloc_ex(given, size, out), code);
    if (code == 0) end_buffer(c, buffer, given ? opts.capacity : 0, given ? opts.alignment : 0);
    else require(c, out == NULL || buffer == NULL, "*out to be NULL");
}

static void try_llam_io_buffer_alloc(struct ctx *c) {
    llam_io_buffer_t *buffer = (llam_io_buffer_t *)c, **out = one_in(c, 4) ? NULL : &buffer;
    int absurd = coin(c), code = out == NULL ? EINVAL : absurd ? ENOMEM : 0;
    size_t capacity = absurd ? absurd_capacity(c) : below(c, 10000);
    BEGIN(c, llam_io_buffer_alloc, capacity, A(out));
    verdict(c, llam_io_buffer_alloc(capacity, out), code);
    if (code == 0) end_buffer(c, buffer, capacity, 0);
    else require(c, out == NULL || buffer == NULL, "*out to be NULL");
}

static void try_llam_io_buffer_alloc_aligned(struct ctx *c) {
    llam_io_buffer_t *buffer = (llam_io_buffer_t *)c, **out = one_in(c, 4) ? NULL : &buffer;
    size_t capacity = below(c, 10000), alignment = (size_t)ONE_OF(c, 0, 8, 16, 4096, 65536);
    int code = out == NULL ? EINVAL : 0;
    if (one_in(c, 3)) alignment = bad_alignment(c), code = EINVAL;
    else if (one_in(c, 3)) capacity = absurd_capacity(c), code = code == 0 ? ENOMEM : code;
    BEGIN(c, llam_io_buffer_alloc_aligned, capacity, alignment, A(out));
    verdict(c, llam_io_buffer_alloc_aligned(capacity, alignment, out), code);
    if (code == 0) end_buffer(c, buffer, capacity, alignment);
    else require(c, out == NULL || buffer == NULL, "*out to be NULL");
}

/* The own buffer has capacity 32 or more, alignment 64 and no bytes. */
static void accessor_verdict(struct ctx *c, struct pick picked, uint64_t got, int right) {
    int code = get_errno();
    if (picked.standing == OWN) require(c, right, "the buffer's own value");
    else if (got != 0 || code != EINVAL) wrong(c, (int64_t)got, code, "0 with", EINVAL);
}

static void try_llam_io_buffer_alignment(struct ctx *c) {
    struct pick picked = pick(c, BUFFER);
    BEGIN(c, llam_io_buffer_alignment, A(picked.value));
    size_t got = llam_io_buffer_alignment(picked.value);
    accessor_verdict(c, picked, got, got == 64);
}

static void try_llam_io_buffer_data(struct ctx *c) {
    struct pick picked = pick(c, BUFFER);
    BEGIN(c, llam_io_buffer_data, A(picked.value));
    uintptr_t got = (uintptr_t)llam_io_buffer_data(picked.value);
    accessor_verdict(c, picked, got, got != 0 && got % 64 == 0);
}

static void try_llam_io_buffer_size(struct ctx *c) {
    struct pick picked = pick(c, BUFFER);
    BEGIN(c, llam_io_buffer_size, A(picked.value));
    size_t got = llam_io_buffer_size(picked.value);
    accessor_verdict(c, picked, got, got == 0);
}

static void try_llam_io_buffer_capacity(struct ctx *c) {
    struct pick picked = pick(c, BUFFER);
    BEGIN(c, llam_io_buffer_capacity, A(picked.value));
    size_t got = llam_io_buffer_capacity(picked.value);
    accessor_verdict(c, picked, got, got >= 32);
}

static void try_llam_io_buffer_release(struct ctx *c) {
    struct pick picked = pick(c, BUFFER);
    if (picked.standing == OWN) return;
    BEGIN(c, llam_io_buffer_release, A(picked.value));
    llam_io_buffer_release(picked.value);
    MUST(c, llam_io_buffer_alignment(c->own[BUFFER]) == 64);
}

/* ---- Names and files ---- */

static void try_llam_getaddrinfo_result(struct ctx *c) {
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *list = &hints;
    struct addrinfo **out = &list;
    const char *node = coin(c) ? "127.0.0.1" : "no number", *service = coin(c) ? "80" : NULL;
    int verdict_code = 12345, *gai = &verdict_code, code = 0, numeric = node[0] == '1';
    switch (below(c, 6)) {
    case 0: out = NULL, code = EINVAL; break;
    case 1: gai = NULL, code = EINVAL; break;
    case 2: node = service = NULL, code = EINVAL; break;
    default:
        if (in_task(c) && !c->cancelled && !one_in(c, 8)) return;
        if (in_task(c) && c->cancelled) code = ECANCELED;
        break;
    }
    BEGIN(c, llam_getaddrinfo_result, A(node), A(service), A(&hints), A(out), A(gai));
    verdict(c, llam_getaddrinfo_result(node, service, &hints, out, gai), code);
    if (code == EINVAL) REQUIRE(c, list == &hints && verdict_code == 12345);
    if (code == ECANCELED) REQUIRE(c, list == NULL && verdict_code == 0);
    if (code != 0) return;
    REQUIRE(c, (verdict_code == 0) == numeric && (list != NULL) == numeric);
    if (list != NULL) llam_freeaddrinfo_result(list);
}

static void try_llam_freeaddrinfo_result(struct ctx *c) {
    struct addrinfo *list = NULL;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST};
    if (!in_task(c) && one_in(c, 8)) MUST(c, getaddrinfo("::1", NULL, &hints, &list) == 0);
    BEGIN(c, llam_freeaddrinfo_result, A(list));
    llam_freeaddrinfo_result(list);
}

static void try_llam_open_async(struct ctx *c) {
    static const struct {
        const char *path;
        int flags, code;
    } cases[] = {{"", O_RDONLY, ENOENT},          {"/nowhere/at/all", O_RDONLY, ENOENT},
                 {"/", O_WRONLY, EISDIR},         {"/dev/null/x", O_RDONLY, ENOTDIR},
                 {"/dev/null", O_DIRECTORY, ENOTDIR}, {"/dev/null", O_RDWR, 0}};
    size_t which = below(c, ARRAY_LENGTH(cases));
    llam_handle_t handle = 4242, *out = one_in(c, 4) ? NULL : &handle;
    const char *path = one_in(c, 4) ? NULL : cases[which].path;
    uint32_t mode = (uint32_t)ONE_OF(c, 0, 0644, UINT32_MAX);
    int code = cases[which].code, argument = path == NULL || out == NULL;
    if (!argument && in_task(c) && !c->cancelled && !one_in(c, 4)) return;
    if (in_task(c) && c->cancelled) code = ECANCELED;
    BEGIN(c, llam_open_async, A(path), (uint64_t)cases[which].flags, mode, A(out));
    verdict(c, llam_open_async(path, cases[which].flags, mode, out), argument ? EINVAL : code);
    if (argument) REQUIRE(c, handle == 4242);
    else if (code != 0) REQUIRE(c, handle == LLAM_INVALID_HANDLE);
    else MUST(c, llam_close_handle(handle) == 0);
}

static void try_llam_stat_path_ex(struct ctx *c) {
    static const struct {
        const char *path;
        int code;
    } cases[] = {{"", ENOENT}, {"/nowhere/at/all", ENOENT}, {"/dev/null/x", ENOTDIR}, {"/", 0}};
    union sized target;
    size_t which = below(c, ARRAY_LENGTH(cases)), size = any_size(c, sizeof(llam_file_stat_t));
    llam_file_stat_t *out = one_in(c, 5) ? NULL : (llam_file_stat_t *)&target;
    const char *path = one_in(c, 5) ? NULL : cases[which].path;
    int code = cases[which].code, argument = path == NULL || out == NULL || size == 0;
    if (!argument && in_task(c) && !c->cancelled && !one_in(c, 4)) return;
    if (in_task(c) && c->cancelled) code = ECANCELED;
    prepare_sized(&target);
    BEGIN(c, llam_stat_path_ex, A(path), A(out), size);
    verdict(c, llam_stat_path_ex(path, out, size), argument ? EINVAL : code);
    check_tail(c, &target, argument ? 0 : size, sizeof(llam_file_stat_t));
    for (size_t i = 0; !argument && code != 0 && i < size && i < sizeof(llam_file_stat_t); i++)
        if (target.bytes[i] != 0) wrong(c, (int64_t)i, 0, "the prefix zeroed", 0);
}

#endif
