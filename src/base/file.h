/* Files, read whole or at an offset. Regular files only. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"

struct file {
    int fd;        /* -1 when closed */
    int direct_fd; /* of file_prefer_direct; else -1 */
    uint64_t size;
    struct timespec changed; /* last change of its bytes, when it was opened */
    char *path;              /* as given, for messages */
};

/* Opens a regular file for reading. On failure *f is closed (fd -1). */
MUST_USE int file_open(struct file *f, const char *path, struct err *err);

/* Opens `name` inside directory `dir` for reading. The name comes from a file that may be hostile:
 * only [A-Za-z0-9._-]+, no symbolic link, nothing outside dir (openat2 RESOLVE_BENEATH). */
MUST_USE int file_open_beneath(struct file *f, const char *dir, const char *name, struct err *err);

void file_close(struct file *f); /* takes a closed one */

/* Reads exactly size bytes at offset; the file having shrunk since file_open is an error. Safe
 * from several threads. */
MUST_USE int file_read(const struct file *f, uint64_t offset, void *out, size_t size,
                       struct err *err);

/* For files larger than memory: file_read_once takes what the system's cache holds of the file, and
 * reads the rest from the device without filling that cache. file_prefer_direct is called before; where
 * the file system cannot do that, file_read_once is file_read. Safe from several threads; needs
 * FILE_ONCE_BYTES of stack. */
enum { FILE_ONCE_BYTES = (256 << 10) + 8192 };
void file_prefer_direct(struct file *f);
MUST_USE int file_read_once(const struct file *f, uint64_t offset, void *out, size_t size,
                            struct err *err);

/* ERR_IO when the file has been written to or cut since file_open. A file that another took the place
 * of (rename) is still there for those who have it open. Safe from several threads. */
MUST_USE int file_check(const struct file *f, struct err *err);

/* Tells the kernel that these bytes are not needed in its cache any more. */
void file_forget(const struct file *f, uint64_t offset, uint64_t size);

/* The whole file, at most max bytes, followed by a NUL that *size does not count. The caller
 * frees. "-" is standard input. */
MUST_USE int file_slurp(const char *path, size_t max, char **out, size_t *size, struct err *err);

/* The same for what a user names on the command line: pipes and terminals are read too. */
MUST_USE int file_slurp_input(const char *path, size_t max, char **out, size_t *size,
                              struct err *err);

/* Writes beside `path` first, syncs and renames: a reader sees the old file or the new one. */
MUST_USE int file_replace(const char *path, const void *data, size_t size, struct err *err);

/* Writes all of it. -1: errno says why not; a part may have been written. */
MUST_USE int file_write_all(int fd, const void *data, size_t size);
