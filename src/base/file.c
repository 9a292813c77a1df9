#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

/* Takes ownership of fd. */
static int file_adopt(struct file *f, int fd, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        err_set(err, ERR_IO, "%s: not a regular file", path);
    } else {
        *f = (struct file){.fd = fd,
                           .direct_fd = -1,
                           .size = (uint64_t)st.st_size,
                           .changed = st.st_mtim,
                           .path = xstrdup(path)};
        return 0;
    }
    close(fd);
    return -1;
}

int file_open(struct file *f, const char *path, struct err *err)
{
    *f = (struct file){.fd = -1, .direct_fd = -1};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    return file_adopt(f, fd, path, err);
}

static int name_is_plain(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    return name[0] && strspn(name, allowed) == strlen(name) && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

int file_open_beneath(struct file *f, const char *dir, const char *name, struct err *err)
{
    *f = (struct file){.fd = -1, .direct_fd = -1};
    if (!name_is_plain(name))
        return err_set(err, ERR_FORMAT, "%s: file name \"%s\" is not of letters, digits, . _ -",
                       dir, name);
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) return err_set(err, ERR_IO, "%s: %s", dir, strerror(errno));

    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    int fd = (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof how);
    if (fd < 0 &&
        errno == ENOSYS) /* before Linux 5.6: the name holds no '/', so this is the same */
        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    int code = errno;
    close(dir_fd);

    struct buf path;
    buf_init(&path, 1 << 16);
    buf_printf(&path, "%s/%s", dir, name);
    const char *why = code == ELOOP
                          ? "is a symbolic link, which a model folder may not hold; copy the "
                            "files (hf download --local-dir, cp -L)"
                          : strerror(code);
    int rc = fd < 0 ? err_set(err, ERR_IO, "%s: %s", buf_text(&path), why)
                    : file_adopt(f, fd, buf_text(&path), err);
    buf_fini(&path);
    return rc;
}

void file_close(struct file *f)
{
    if (f->path) {
        close(f->fd);
        if (f->direct_fd >= 0) close(f->direct_fd);
        free(f->path);
    }
    *f = (struct file){.fd = -1, .direct_fd = -1};
}

int file_read(const struct file *f, uint64_t offset, void *out, size_t size, struct err *err)
{
    char *to = out;
    while (size) {
        ssize_t n = pread(f->fd, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return err_set(err, ERR_IO, "%s: %s", f->path, strerror(errno));
        if (n == 0)
            return err_set(err, ERR_IO, "%s: ends at byte %llu, %zu more were expected", f->path,
                           (unsigned long long)offset, size);
        to += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

void file_prefer_direct(struct file *f)
{
    char self[64];
    if (f->direct_fd >= 0) return;
    snprintf(self, sizeof self, "/proc/self/fd/%d", f->fd); /* the same file, whatever its name */
    f->direct_fd = open(self, O_RDONLY | O_CLOEXEC | O_DIRECT);
}

/* Some of the bytes at offset, from the system's cache: how many; 0 when the first is not there. */
static size_t read_cached(const struct file *f, uint64_t offset, void *out, size_t size)
{
    struct iovec to = {out, size};
    ssize_t n = preadv2(f->fd, &to, 1, (off_t)offset, RWF_NOWAIT);
    return n > 0 ? (size_t)n : 0;
}

/* The same from the device; 0 when that does not work. */
static size_t read_direct(const struct file *f, uint64_t offset, void *out, size_t size)
{
    enum { UNIT = 4096 };
    _Alignas(UNIT) uint8_t bounce[FILE_ONCE_BYTES];
    uint64_t skip = offset % UNIT, whole = (skip + size + UNIT - 1) / UNIT * UNIT;
    if (whole > sizeof bounce) whole = sizeof bounce;
    ssize_t n = pread(f->direct_fd, bounce, (size_t)whole, (off_t)(offset - skip));
    if (n < 0 || (uint64_t)n <= skip) return 0;
    size_t got = (size_t)n - (size_t)skip;
    if (got > size) got = size;
    memcpy(out, bounce + skip, got);
    return got;
}

int file_read_once(const struct file *f, uint64_t offset, void *out, size_t size, struct err *err)
{
    char *to = out;
    while (f->direct_fd >= 0 && size) {
        size_t n = read_cached(f, offset, to, size);
        if (!n) n = read_direct(f, offset, to, size);
        if (!n) break; /* the plain way works, or says what is wrong */
        to += n;
        offset += n;
        size -= n;
    }
    return file_read(f, offset, to, size, err);
}

int file_check(const struct file *f, struct err *err)
{
    struct stat st;
    if (fstat(f->fd, &st)) return err_set(err, ERR_IO, "%s: %s", f->path, strerror(errno));
    if ((uint64_t)st.st_size != f->size)
        return err_set(err, ERR_IO, "%s: has %llu bytes, had %llu when it was opened", f->path,
                       (unsigned long long)st.st_size, (unsigned long long)f->size);
    if (st.st_mtim.tv_sec != f->changed.tv_sec || st.st_mtim.tv_nsec != f->changed.tv_nsec)
        return err_set(err, ERR_IO, "%s: was written to since it was opened", f->path);
    return 0;
}

void file_forget(const struct file *f, uint64_t offset, uint64_t size)
{
    posix_fadvise(f->fd, (off_t)offset, (off_t)size, POSIX_FADV_DONTNEED);
}

/* Pipes and terminals have no size: read until they end. */
static int slurp_stream(FILE *in, const char *path, size_t max, char **out, size_t *size,
                        struct err *err)
{
    struct buf b;
    buf_init(&b, max);
    char piece[1 << 16];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, in)) > 0)
        buf_add(&b, piece, n);
    if (ferror(in) || b.failed) {
        int rc = b.failed ? err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path, max)
                          : err_set(err, ERR_IO, "%s: read failed", path);
        buf_fini(&b);
        return rc;
    }
    *size = b.size;
    *out = buf_take(&b);
    return 0;
}

int file_slurp(const char *path, size_t max, char **out, size_t *size, struct err *err)
{
    *out = NULL;
    *size = 0;
    if (!strcmp(path, "-")) return slurp_stream(stdin, "standard input", max, out, size, err);
    struct file f;
    if (file_open(&f, path, err)) return -1;
    char *data = NULL;
    if (f.size > max) {
        err_set(err, ERR_LIMIT, "%s: %llu bytes, at most %zu are allowed", path,
                (unsigned long long)f.size, max);
        goto fail;
    }
    data = xmalloc((size_t)f.size + 1);
    if (file_read(&f, 0, data, (size_t)f.size, err)) goto fail;
    data[f.size] = 0;
    *out = data;
    *size = (size_t)f.size;
    file_close(&f);
    return 0;

fail:
    free(data);
    file_close(&f);
    return -1;
}

int file_slurp_input(const char *path, size_t max, char **out, size_t *size, struct err *err)
{
    struct stat st;
    if (!strcmp(path, "-") || stat(path, &st) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
        return file_slurp(path, max, out, size, err);
    *out = NULL;
    *size = 0;
    FILE *in = fopen(path, "re");
    if (!in) return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    int rc = slurp_stream(in, path, max, out, size, err);
    fclose(in);
    return rc;
}

int file_write_all(int fd, const void *data, size_t size)
{
    const char *p = data;
    while (size) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int file_replace(const char *path, const void *data, size_t size, struct err *err)
{
    struct buf temp;
    buf_init(&temp, 1 << 16);
    buf_printf(&temp, "%s.XXXXXX", path);
    int rc = -1;
    int fd = temp.failed ? -1 : mkstemp(temp.data);
    if (fd < 0) {
        err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    } else {
        int bad = file_write_all(fd, data, size) || fsync(fd);
        int code = errno;
        if (close(fd) && !bad) {
            bad = 1;
            code = errno;
        }
        if (!bad && rename(temp.data, path)) {
            bad = 1;
            code = errno;
        }
        if (bad) {
            unlink(temp.data);
            err_set(err, ERR_IO, "%s: %s", path, strerror(code));
        } else {
            rc = 0;
        }
    }
    buf_fini(&temp);
    return rc;
}
