/* What the library writes to a descriptor, as text: for the JSON and the dump.
 *
 * Owns the temporary file between a write and its reading.
 */
#ifndef CAPTURE_H
#define CAPTURE_H

#include "check.h"

#include <sys/mman.h>

struct capture {
    int fd;
    char *text;
    size_t length;
};

/* Opens a file in memory to write to. */
static inline struct capture capture_begin(void) {
    struct capture capture = {memfd_create("capture", MFD_CLOEXEC), NULL, 0};
    CHECK(capture.fd >= 0);
    return capture;
}

/* Reads all that was written, with a NUL behind it. */
static inline void capture_end(struct capture *capture) {
    off_t length = lseek(capture->fd, 0, SEEK_END);
    CHECK(length >= 0);
    capture->length = (size_t)length;
    capture->text = malloc(capture->length + 1);
    CHECK(capture->text != NULL);
    CHECK_EQ(pread(capture->fd, capture->text, capture->length, 0), length);
    capture->text[capture->length] = '\0';
    close(capture->fd);
}

static inline struct capture capture_json(void) {
    struct capture capture = capture_begin();
    CHECK_OK(llam_runtime_write_stats_json(capture.fd));
    capture_end(&capture);
    return capture;
}

static inline struct capture capture_dump(void) {
    struct capture capture = capture_begin();
    llam_dump_runtime_state(capture.fd);
    capture_end(&capture);
    return capture;
}

#endif
