/* Positional I/O: llam_pread, llam_pwrite, their vector and handle forms (abi.md 4.15). */
#include "io_util.h"

typedef ssize_t (*read_call)(int fd, void *buf, size_t count, uint64_t offset);
typedef ssize_t (*write_call)(int fd, const void *buf, size_t count, uint64_t offset);
typedef ssize_t (*readv_call)(int fd, const llam_mut_iovec_t *iov, int iovcnt, uint64_t offset);
typedef ssize_t (*writev_call)(int fd, const llam_iovec_t *iov, int iovcnt, uint64_t offset);

static const read_call READS[] = {llam_pread, llam_pread_handle};
static const write_call WRITES[] = {llam_pwrite, llam_pwrite_handle};
static const readv_call READVS[] = {llam_preadv, llam_preadv_handle};
static const writev_call WRITEVS[] = {llam_pwritev, llam_pwritev_handle};

static size_t size_of_file(int fd) {
    struct stat status;
    CHECK_OK(fstat(fd, &status));
    return (size_t)status.st_size;
}

/* The file position is neither used nor moved. */
TEST_EVERYWHERE(the_file_position_is_neither_used_nor_moved) {
    for (int form = 0; form < 2; form++) {
        char got[16] = {0};
        int file = temporary_file("0123456789", 10);
        CHECK_EQ(lseek(file, 7, SEEK_SET), 7);
        CHECK_EQ(READS[form](file, got, 4, 2), 4);
        CHECK_STR(got, "2345");
        CHECK_EQ(WRITES[form](file, "abc", 3, 1), 3);
        llam_mut_iovec_t in[2] = {{got, 2}, {got + 2, 3}};
        CHECK_EQ(READVS[form](file, in, 2, 0), 5);
        CHECK_STR(got, "0abc4");
        llam_iovec_t out[2] = {{"X", 1}, {"YZ", 2}};
        CHECK_EQ(WRITEVS[form](file, out, 2, 8), 3);
        CHECK_EQ(lseek(file, 0, SEEK_CUR), 7);
        CHECK_EQ(size_of_file(file), 11);
        CHECK_EQ(READS[form](file, got, 16, 0), 11);
        CHECK_STR(got, "0abc4567XYZ");
    }
}

/* A read past the end is 0, across the end partial; a write behind it leaves zeros between. */
TEST_EVERYWHERE(the_end_of_the_file_is_as_with_pread) {
    for (int form = 0; form < 2; form++) {
        char got[16] = "????????????";
        int file = temporary_file("0123456789", 10);
        llam_mut_iovec_t in[3] = {{got, 1}, {got + 1, 1}, {got + 2, 8}};
        CHECK_EQ(READS[form](file, got, 4, 10), 0);
        CHECK_EQ(READS[form](file, got, 4, 1000000), 0);
        CHECK_EQ(READVS[form](file, in, 3, 10), 0);
        CHECK_EQ(got[0], '?');
        CHECK_EQ(READS[form](file, got, 16, 8), 2);
        CHECK_EQ(memcmp(got, "89?", 3), 0);
        CHECK_EQ(READVS[form](file, in, 3, 7), 3);
        CHECK_EQ(memcmp(got, "789?", 4), 0);
        CHECK_EQ(WRITES[form](file, "end", 3, 12), 3);
        CHECK_EQ(size_of_file(file), 15);
        CHECK_EQ(READS[form](file, got, 16, 9), 6);
        CHECK_EQ(memcmp(got, "9\0\0end", 6), 0);
    }
}

/* `count` 0 and 0 slices are 0; the vector form without looking at the descriptor. */
TEST_EVERYWHERE(nothing_is_zero) {
    for (int form = 0; form < 2; form++) {
        int file = temporary_file("0123", 4);
        CHECK_EQ(READS[form](file, NULL, 0, 0), 0);
        CHECK_EQ(WRITES[form](file, NULL, 0, 99), 0);
        CHECK_EQ(READVS[form](LLAM_INVALID_FD, NULL, 0, 0), 0);
        CHECK_EQ(WRITEVS[form](LLAM_INVALID_FD, NULL, 0, 0), 0);
        CHECK_EQ(size_of_file(file), 4);
        llam_mut_iovec_t in[2] = {{NULL, 0}, {NULL, 0}};
        llam_iovec_t out[2] = {{NULL, 0}, {NULL, 0}};
        CHECK_EQ(READVS[form](file, in, 2, 0), 0);
        CHECK_EQ(WRITEVS[form](file, out, 2, 0), 0);
    }
}

#define TOO_FAR ((uint64_t)INT64_MAX + 1)
#define TOO_MANY ((size_t)UINT32_MAX + 1)

/* Errors, in order: EINVAL `buf` NULL; EINVAL `count` > UINT32_MAX; EOVERFLOW `offset` >
 * INT64_MAX; EBADF; ESPIPE. */
TEST_EVERYWHERE(errors_come_in_the_documented_order) {
    char byte = 'k';
    int pipes[2], pair[2];
    make_pipe(pipes);
    make_pair(SOCK_STREAM, pair);
    CHECK_EQ(write(pipes[1], "p", 1), 1);
    CHECK_EQ(write(pair[1], "s", 1), 1);
    for (int form = 0; form < 2; form++) {
        CHECK_FAILS(READS[form](-1, NULL, TOO_MANY, TOO_FAR), EINVAL);
        CHECK_FAILS(READS[form](-1, NULL, 1, TOO_FAR), EINVAL);
        CHECK_FAILS(READS[form](-1, &byte, TOO_MANY, TOO_FAR), EINVAL);
        CHECK_FAILS(READS[form](-1, &byte, 1, TOO_FAR), EOVERFLOW);
        CHECK_FAILS(READS[form](pipes[0], &byte, 1, UINT64_MAX), EOVERFLOW);
        CHECK_FAILS(READS[form](-1, &byte, 1, 0), EBADF);
        CHECK_FAILS(READS[form](closed_descriptor(), &byte, 1, 0), EBADF);
        CHECK_FAILS(READS[form](pipes[0], &byte, 1, 0), ESPIPE);
        CHECK_FAILS(READS[form](pair[0], &byte, 1, 0), ESPIPE);
        CHECK_FAILS(WRITES[form](-1, NULL, TOO_MANY, TOO_FAR), EINVAL);
        CHECK_FAILS(WRITES[form](-1, &byte, TOO_MANY, TOO_FAR), EINVAL);
        CHECK_FAILS(WRITES[form](-1, &byte, 1, UINT64_MAX), EOVERFLOW);
        CHECK_FAILS(WRITES[form](-1, &byte, 1, 0), EBADF);
        CHECK_FAILS(WRITES[form](closed_descriptor(), &byte, 1, 0), EBADF);
        CHECK_FAILS(WRITES[form](pipes[1], &byte, 1, 0), ESPIPE);
        CHECK_FAILS(WRITES[form](pair[0], &byte, 1, 0), ESPIPE);
    }
    CHECK_EQ(byte, 'k');
    CHECK_EQ(drain(pipes[0]) + drain(pair[0]), 2);
}

/* EOVERFLOW also for UINT64_MAX, and nothing is read or written at the current position. */
TEST_EVERYWHERE(no_offset_means_the_current_position) {
    for (int form = 0; form < 2; form++) {
        char byte = 'k';
        llam_mut_iovec_t in = {&byte, 1};
        llam_iovec_t out = {&byte, 1};
        int file = temporary_file("0123", 4);
        const uint64_t offsets[] = {TOO_FAR, UINT64_MAX};
        for (int i = 0; i < 2; i++) {
            CHECK_FAILS(READS[form](file, &byte, 1, offsets[i]), EOVERFLOW);
            CHECK_FAILS(WRITES[form](file, &byte, 1, offsets[i]), EOVERFLOW);
            CHECK_FAILS(READVS[form](file, &in, 1, offsets[i]), EOVERFLOW);
            CHECK_FAILS(WRITEVS[form](file, &out, 1, offsets[i]), EOVERFLOW);
        }
        CHECK_EQ(lseek(file, 0, SEEK_CUR), 0);
        CHECK_EQ(byte, 'k');
        CHECK_EQ(read(file, &byte, 1), 1);
        CHECK_EQ(byte, '0');
    }
}

/* The vector forms: EINVAL for `iovcnt` < 0 or > IOV_MAX, `iov` NULL, a NULL base with non-zero
 * length, a sum above SSIZE_MAX; all before the descriptor is looked at. */
TEST_EVERYWHERE(vectors_are_checked_before_the_descriptor) {
    char byte = 'k';
    llam_mut_iovec_t in[2] = {{&byte, 1}, {NULL, 1}};
    llam_iovec_t out[2] = {{&byte, 1}, {NULL, 1}};
    llam_mut_iovec_t long_in[2] = {{&byte, SSIZE_MAX}, {&byte, 1}};
    llam_iovec_t long_out[2] = {{&byte, SSIZE_MAX}, {&byte, 1}};
    const int counts[] = {-1, INT_MIN, IOV_MAX + 1, INT_MAX};
    for (int form = 0; form < 2; form++) {
        int file = temporary_file("0123", 4), pipes[2];
        make_pipe(pipes);
        for (int i = 0; i < 4; i++) {
            CHECK_FAILS(READVS[form](-1, in, counts[i], 0), EINVAL);
            CHECK_FAILS(WRITEVS[form](-1, out, counts[i], 0), EINVAL);
        }
        CHECK_FAILS(READVS[form](-1, NULL, 1, 0), EINVAL);
        CHECK_FAILS(WRITEVS[form](-1, NULL, 1, 0), EINVAL);
        CHECK_FAILS(READVS[form](-1, in, 2, 0), EINVAL);
        CHECK_FAILS(WRITEVS[form](-1, out, 2, 0), EINVAL);
        CHECK_FAILS(READVS[form](-1, long_in, 2, 0), EINVAL);
        CHECK_FAILS(WRITEVS[form](-1, long_out, 2, 0), EINVAL);
        CHECK_FAILS(READVS[form](file, in, 2, 0), EINVAL);
        CHECK_FAILS(WRITEVS[form](file, out, 2, 0), EINVAL);
        CHECK_FAILS(READVS[form](-1, in, 1, 0), EBADF);
        CHECK_FAILS(WRITEVS[form](-1, out, 1, 0), EBADF);
        CHECK_FAILS(READVS[form](pipes[0], in, 1, 0), ESPIPE);
        CHECK_FAILS(WRITEVS[form](pipes[1], out, 1, 0), ESPIPE);
        CHECK_EQ(byte, 'k');
        CHECK_EQ(size_of_file(file), 4);
        CHECK_EQ(READS[form](file, &byte, 1, 0), 1);
        CHECK_EQ(byte, '0');
        byte = 'k';
    }
}

/* Descriptors of the wrong direction, directories. */
TEST_EVERYWHERE(system_errors_are_passed_on) {
    char folder[PATH_MAX], path[PATH_MAX], byte = 0;
    temporary_folder(folder);
    snprintf(path, sizeof path, "%.200s/f", folder);
    int writable = open(path, O_WRONLY | O_CREAT, 0600), readable = open(path, O_RDONLY);
    int directory = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(writable >= 0 && readable >= 0 && directory >= 0);
    for (int form = 0; form < 2; form++) {
        CHECK_FAILS(READS[form](writable, &byte, 1, 0), EBADF);
        CHECK_FAILS(WRITES[form](readable, &byte, 1, 0), EBADF);
        CHECK_FAILS(READS[form](directory, &byte, 1, 0), EISDIR);
    }
    CHECK_OK(unlink(path));
    CHECK_OK(rmdir(folder));
}

/* Slices are filled in order, empty ones too; IOV_MAX of them work. */
TEST_EVERYWHERE(slices_are_used_in_order) {
    static char bytes[IOV_MAX], got[IOV_MAX];
    static llam_iovec_t out[IOV_MAX];
    static llam_mut_iovec_t in[IOV_MAX];
    for (int form = 0; form < 2; form++) {
        int file = temporary_file("", 0);
        size_t expected = 0, wrote = 0;
        memset(got, '?', sizeof got);
        for (int i = 0; i < IOV_MAX; i++) {
            bytes[i] = (char)('a' + i % 23);
            int empty = i % 7 == 2;
            out[i] = (llam_iovec_t){empty ? NULL : &bytes[i], !empty};
            in[i] = (llam_mut_iovec_t){empty ? NULL : &got[i], !empty};
            expected += !empty;
        }
        ssize_t count = WRITEVS[form](file, out, IOV_MAX, 5);
        CHECK_EQ(count, expected);
        CHECK_EQ(size_of_file(file), expected + 5);
        wrote = (size_t)READVS[form](file, in, IOV_MAX, 5);
        CHECK_EQ(wrote, expected);
        for (int i = 0; i < IOV_MAX; i++) CHECK_EQ(got[i], i % 7 == 2 ? '?' : bytes[i]);
    }
}

#define BIG ((size_t)5 << 20)
#define TASKS 8

struct part {
    int fd, index;
};

static void write_and_check_part(void *arg) {
    const struct part *part = arg;
    size_t size = BIG / TASKS, start = size * (size_t)part->index;
    unsigned char *bytes = malloc(size), *got = malloc(size);
    CHECK(bytes != NULL && got != NULL);
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(i * 13 + (size_t)part->index);
    for (size_t at = 0; at < size;) {
        ssize_t count = llam_pwrite(part->fd, bytes + at, size - at, start + at);
        CHECK(count > 0);
        at += (size_t)count;
    }
    llam_yield();
    for (size_t at = 0; at < size;) {
        ssize_t count = llam_pread(part->fd, got + at, size - at, start + at);
        CHECK(count > 0);
        at += (size_t)count;
    }
    CHECK_EQ(memcmp(bytes, got, size), 0);
    free(bytes);
    free(got);
}

static void parts_of_a_file(void *unused) {
    (void)unused;
    struct part parts[TASKS];
    llam_task_t *tasks[TASKS];
    int file = temporary_file("", 0);
    for (int i = 0; i < TASKS; i++) {
        parts[i] = (struct part){file, i};
        tasks[i] = spawn_ok(write_and_check_part, &parts[i]);
    }
    for (int i = 0; i < TASKS; i++) CHECK_OK(llam_join(tasks[i]));
    CHECK_EQ(size_of_file(file), BIG / TASKS * TASKS);
    CHECK_EQ(lseek(file, 0, SEEK_CUR), 0);
}

/* I8: many tasks, each with its own part of one file. */
TEST(tasks_use_parts_of_one_file_at_once) { run_task(parts_of_a_file, NULL); }

MAIN
