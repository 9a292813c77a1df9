/* Stands between a program and some of its files (LD_PRELOAD): writes down what is done to them, and lets calls fail.
 *
 *   GATE_FILES=PATH:PATH     the files: these, and whatever begins so
 *   GATE_LOG=FILE            a line for each call, in the order in which they were made:
 *                            CALL FD RESULT ARGUMENT KINDS FAULT PATH [PATH]
 *                            RESULT: as the call gives it. ARGUMENT: flags of open, the size of ftruncate, of a write the
 *                            place of its bytes in GATE_DATA. KINDS: faults that it can have, joined by +. FAULT: the one
 *                            that it had. What is missing is -.
 *   GATE_DATA=FILE           the bytes that were written, one after another
 *   GATE_FAULT=KIND:N:MODE   the Nth call (from 1) that can have this fault has it. MODE once: that one; on: it and all that
 *                            come after it
 *
 * Kinds: EIO, ENOSPC, EINTR, EMFILE are what the call says; with EINTR, on, it is every second call, since a program
 * may try again. short: half of the bytes are read or written. full: half are written; the next write says ENOSPC.
 *
 * What the C library calls within itself is not seen: fopen, opendir by name. One call at a time, so that the order of
 * the lines is that of the calls. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX_FDS = 4096, MAX_PATH = 512, MAX_LINE = 2048 };

enum { CAN_EIO = 1, CAN_ENOSPC = 2, CAN_EINTR = 4, CAN_EMFILE = 8, CAN_SHORT = 16, CAN_FULL = 32 };

static const struct {
    const char *name;
    int code;
} kinds[] = {{"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EINTR", EINTR},
             {"EMFILE", EMFILE}, {"short", 0},       {"full", ENOSPC}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char paths[MAX_FDS][MAX_PATH]; /* of the descriptors that are watched; else "" */
static int log_fd = -1, data_fd = -1;
static long data_at;
static unsigned fault; /* its bit; 0: none */
static long fault_at, fault_count;
static bool fault_stays;

/* --- what is asked for --- */

static int open_output(const char *variable)
{
    const char *path = getenv(variable);
    return path ? (int)syscall(SYS_openat, AT_FDCWD, path,
                               O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
                : -1;
}

static void read_fault(const char *text)
{
    for (int i = 0; i < N_KINDS; i++) {
        size_t n = strlen(kinds[i].name);
        char *end;
        if (strncmp(text, kinds[i].name, n) != 0 || text[n] != ':') continue;
        fault = 1u << i;
        fault_at = strtol(text + n + 1, &end, 10);
        fault_stays = !strcmp(end, ":on");
        return;
    }
    abort();
}

__attribute__((constructor)) static void begin_all(void)
{
    const char *text = getenv("GATE_FAULT");
    log_fd = open_output("GATE_LOG");
    data_fd = open_output("GATE_DATA");
    if (data_fd >= 0) data_at = syscall(SYS_lseek, data_fd, 0L, SEEK_END);
    if (text) read_fault(text);
}

static bool is_wanted(const char *path)
{
    const char *list = getenv("GATE_FILES");
    while (list && *list) {
        size_t n = strcspn(list, ":");
        if (n && !strncmp(path, list, n)) return true;
        list += n + (list[n] == ':');
    }
    return false;
}

static const char *path_of(int fd)
{
    return fd >= 0 && fd < MAX_FDS ? paths[fd] : "";
}

static void watch(int fd, const char *path)
{
    if (fd >= 0 && fd < MAX_FDS) snprintf(paths[fd], MAX_PATH, "%s", path);
}

/* The name that a call means: "" when it is not watched. */
static const char *resolve(char out[MAX_PATH], int dir, const char *name)
{
    out[0] = 0;
    if (dir == AT_FDCWD || name[0] == '/')
        snprintf(out, MAX_PATH, "%s", is_wanted(name) ? name : "");
    else if (path_of(dir)[0])
        snprintf(out, MAX_PATH, "%s/%s", path_of(dir), name);
    return out;
}

/* --- one call --- */

struct call {
    const char *name, *path, *path2;
    int fd;
    long arg;
    unsigned can, has; /* kinds of faults */
    int code;          /* what it says; 0: nothing */
};

/* Whether this call has the fault: a bit or 0. */
static unsigned draw(unsigned can, int *code)
{
    if (!(can & fault)) return 0;
    long past = ++fault_count - fault_at;
    if (fault == CAN_FULL) {
        if (past == 1 || (past > 1 && fault_stays)) *code = ENOSPC;
        return past == 0 || *code ? fault : 0;
    }
    bool hit = past == 0 || (past > 0 && fault_stays && (fault != CAN_EINTR || past % 2 == 0));
    for (int i = 0; i < N_KINDS && hit; i++)
        if (fault == 1u << i) *code = kinds[i].code;
    return hit ? fault : 0;
}

static struct call begin(const char *name, int fd, const char *path, unsigned can)
{
    pthread_mutex_lock(&lock);
    struct call c = {.name = name, .fd = fd, .path = path, .can = can, .arg = -1};
    c.has = draw(can, &c.code);
    return c;
}

/* How many of the bytes it may move. */
static size_t share(const struct call *c, size_t size)
{
    return c->has & (CAN_SHORT | CAN_FULL) && size > 1 ? size / 2 : size;
}

static const char *names_of(char out[64], unsigned set)
{
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < N_KINDS; i++)
        if (set & 1u << i)
            n += (size_t)snprintf(out + n, 64 - n, "%s%s", n ? "+" : "", kinds[i].name);
    return n ? out : "-";
}

/* The call's line. rc and errno are those of the caller, afterwards. */
static long end(struct call *c, long rc)
{
    char line[MAX_LINE], can[64], has[64];
    int code = c->code ? c->code : errno;
    int n = snprintf(line, sizeof line, "%s %d %ld %ld %s %s %s%s%s\n", c->name, c->fd, rc, c->arg,
                     names_of(can, c->can), names_of(has, c->has), c->path, c->path2 ? " " : "",
                     c->path2 ? c->path2 : "");
    if (log_fd >= 0 && syscall(SYS_write, log_fd, line, (size_t)n) != n) abort();
    pthread_mutex_unlock(&lock);
    errno = code;
    return rc;
}

/* --- names --- */

static int open_at(int dir, const char *name, int flags, mode_t mode)
{
    char path[MAX_PATH];
    if (!resolve(path, dir, name)[0]) return (int)syscall(SYS_openat, dir, name, flags, mode);
    struct call c =
        begin("open", -1, path,
              CAN_EIO | CAN_EINTR | CAN_EMFILE | (flags & O_CREAT ? (unsigned)CAN_ENOSPC : 0));
    long rc = c.code ? -1 : syscall(SYS_openat, dir, name, flags, mode);
    c.fd = (int)rc;
    c.arg = flags;
    watch(c.fd, path);
    return (int)end(&c, rc);
}

static mode_t mode_of(int flags, va_list more)
{
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
}

#define OPENS(NAME)                                                                                \
    int NAME(const char *name, int flags, ...)                                                     \
    {                                                                                              \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = mode_of(flags, more);                                                        \
        va_end(more);                                                                              \
        return open_at(AT_FDCWD, name, flags, mode);                                               \
    }
#define OPENS_AT(NAME)                                                                             \
    int NAME(int dir, const char *name, int flags, ...)                                            \
    {                                                                                              \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = mode_of(flags, more);                                                        \
        va_end(more);                                                                              \
        return open_at(dir, name, flags, mode);                                                    \
    }
OPENS(open)
OPENS(open64)
OPENS_AT(openat)
OPENS_AT(openat64)

int mkstemp(char *form)
{
    for (char *at = form + strlen(form) - 6;; at[5]++) { /* XXXXXX, XXXXXY, ... */
        int fd = open_at(AT_FDCWD, form, O_RDWR | O_CREAT | O_EXCL, 0600);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
}

int mkdir(const char *name, mode_t mode)
{
    char path[MAX_PATH];
    if (!resolve(path, AT_FDCWD, name)[0]) return (int)syscall(SYS_mkdirat, AT_FDCWD, name, mode);
    struct call c = begin("mkdir", -1, path, CAN_EIO | CAN_ENOSPC);
    return (int)end(&c, c.code ? -1 : syscall(SYS_mkdirat, AT_FDCWD, name, mode));
}

int unlinkat(int dir, const char *name, int flags)
{
    char path[MAX_PATH];
    if (!resolve(path, dir, name)[0]) return (int)syscall(SYS_unlinkat, dir, name, flags);
    struct call c = begin("unlink", -1, path, CAN_EIO);
    return (int)end(&c, c.code ? -1 : syscall(SYS_unlinkat, dir, name, flags));
}

int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char path[MAX_PATH], path2[MAX_PATH];
    if (!resolve(path, from_dir, from)[0])
        return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
    struct call c = begin("rename", -1, path, CAN_EIO | CAN_ENOSPC);
    c.path2 = resolve(path2, to_dir, to);
    return (int)end(&c, c.code ? -1 : syscall(SYS_renameat2, from_dir, from, to_dir, to, 0));
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int stat(const char *restrict name, struct stat *restrict out)
{
    char path[MAX_PATH];
    if (!resolve(path, AT_FDCWD, name)[0])
        return (int)syscall(SYS_newfstatat, AT_FDCWD, name, out, 0);
    struct call c = begin("stat", -1, path, CAN_EIO);
    return (int)end(&c, c.code ? -1 : syscall(SYS_newfstatat, AT_FDCWD, name, out, 0));
}

/* --- descriptors --- */

int fstat(int fd, struct stat *out)
{
    if (!path_of(fd)[0]) return (int)syscall(SYS_fstat, fd, out);
    struct call c = begin("fstat", fd, path_of(fd), CAN_EIO);
    return (int)end(&c, c.code ? -1 : syscall(SYS_fstat, fd, out));
}

ssize_t read(int fd, void *out, size_t size)
{
    if (!path_of(fd)[0]) return syscall(SYS_read, fd, out, size);
    struct call c = begin("read", fd, path_of(fd), CAN_EIO | CAN_EINTR | CAN_SHORT);
    return end(&c, c.code ? -1 : syscall(SYS_read, fd, out, share(&c, size)));
}

ssize_t pread(int fd, void *out, size_t size, off_t at)
{
    if (!path_of(fd)[0]) return syscall(SYS_pread64, fd, out, size, at);
    struct call c = begin("pread", fd, path_of(fd), CAN_EIO | CAN_EINTR | CAN_SHORT);
    return end(&c, c.code ? -1 : syscall(SYS_pread64, fd, out, share(&c, size), at));
}

ssize_t pread64(int fd, void *out, size_t size, off64_t at)
{
    return pread(fd, out, size, at);
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (!path_of(fd)[0]) return syscall(SYS_write, fd, data, size);
    struct call c =
        begin("write", fd, path_of(fd), CAN_EIO | CAN_ENOSPC | CAN_EINTR | CAN_SHORT | CAN_FULL);
    long rc = c.code ? -1 : syscall(SYS_write, fd, data, share(&c, size));
    if (rc > 0 && data_fd >= 0) {
        if (syscall(SYS_write, data_fd, data, (size_t)rc) != rc) abort();
        c.arg = data_at;
        data_at += rc;
    }
    return end(&c, rc);
}

int fsync(int fd)
{
    if (!path_of(fd)[0]) return (int)syscall(SYS_fsync, fd);
    struct call c = begin("fsync", fd, path_of(fd), CAN_EIO | CAN_ENOSPC | CAN_EINTR);
    return (int)end(&c, c.code ? -1 : syscall(SYS_fsync, fd));
}

int ftruncate(int fd, off_t size)
{
    if (!path_of(fd)[0]) return (int)syscall(SYS_ftruncate, fd, size);
    struct call c = begin("ftruncate", fd, path_of(fd), CAN_EIO | CAN_EINTR);
    c.arg = size;
    return (int)end(&c, c.code ? -1 : syscall(SYS_ftruncate, fd, size));
}

int futimens(int fd, const struct timespec times[2])
{
    if (!path_of(fd)[0]) return (int)syscall(SYS_utimensat, fd, NULL, times, 0);
    struct call c = begin("futimens", fd, path_of(fd), CAN_EIO);
    return (int)end(&c, c.code ? -1 : syscall(SYS_utimensat, fd, NULL, times, 0));
}

int flock(int fd, int how)
{
    if (!path_of(fd)[0]) return (int)syscall(SYS_flock, fd, how);
    struct call c = begin("flock", fd, path_of(fd), CAN_EIO | CAN_EINTR);
    return (int)end(&c, c.code ? -1 : syscall(SYS_flock, fd, how));
}

/* Also where it fails the descriptor is gone. */
int close(int fd)
{
    char path[MAX_PATH];
    if (!path_of(fd)[0]) return (int)syscall(SYS_close, fd);
    snprintf(path, sizeof path, "%s", path_of(fd));
    struct call c = begin("close", fd, path, CAN_EIO | CAN_ENOSPC | CAN_EINTR);
    watch(fd, "");
    long rc = syscall(SYS_close, fd);
    return (int)end(&c, c.code ? -1 : rc);
}

/* --- lists of a directory --- */

struct dirent *readdir(DIR *d)
{
    static struct dirent *(*real)(DIR *);
    if (!real) real = (struct dirent * (*)(DIR *))(void *)dlsym(RTLD_NEXT, "readdir");
    if (!path_of(dirfd(d))[0]) return real(d);
    struct call c = begin("readdir", dirfd(d), path_of(dirfd(d)), CAN_EIO);
    struct dirent *e = c.code ? NULL : real(d);
    end(&c, e != NULL);
    return e;
}

int closedir(DIR *d)
{
    static int (*real)(DIR *);
    if (!real) real = (int (*)(DIR *))(void *)dlsym(RTLD_NEXT, "closedir");
    watch(dirfd(d), "");
    return real(d);
}
