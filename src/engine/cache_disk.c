#include "engine/cache_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "engine/cache_index.h"

enum { KEY_HEX = 2 * HMAC_BYTES, NAME_MAX_BYTES = KEY_HEX + 16 };

static const char ENTRY[] = ".prefix", PART[] = ".part", SECRET[] = "secret",
                  SECRET_PART[] = "secret.part", LOCK[] = "lock";

struct cache_disk {
    char *dir;
    int dir_fd, lock_fd;
    uint64_t max_bytes;
    struct state_identity model;
    uint8_t secret[CACHE_SECRET];
    struct queue *to_read, *to_write, *done;
    pthread_t reader, writer;
    bool has_reader, has_writer;
    pthread_mutex_t lock; /* of what follows */
    struct cache_index index;
    struct disk_stats stats;
    void (*wake)(void *ctx);
    void *wake_ctx;
    /* the engine's thread alone: places in index.files of what may be found */
    struct cache_name *likely;
};

/* --- names, and the end of the disk --- */

static void name_file(char out[NAME_MAX_BYTES], const struct cache_name *name, const char *ending)
{
    sha256_hex(name->key, HMAC_BYTES, out);
    snprintf(out + KEY_HEX, NAME_MAX_BYTES - KEY_HEX, "%s", ending);
}

static bool has_key_name(const char *name, const char *ending)
{
    return strspn(name, "0123456789abcdef") == KEY_HEX && !strcmp(name + KEY_HEX, ending);
}

/* The system refused: nothing more is asked of it. */
static void turn_off(struct cache_disk *d, const char *what, int code)
{
    pthread_mutex_lock(&d->lock);
    bool was_off = d->stats.off;
    d->stats.off = true;
    pthread_mutex_unlock(&d->lock);
    if (!was_off)
        log_warn("cache: %s: %s: %s; the directory is not used any more", d->dir, what,
                 strerror(code));
}

static bool is_off(struct cache_disk *d)
{
    pthread_mutex_lock(&d->lock);
    bool off = d->stats.off;
    pthread_mutex_unlock(&d->lock);
    return off;
}

/* Whether it may go well the next time: no descriptor, no memory, a signal. */
static bool will_pass(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOMEM || code == EINTR;
}

/* False: it stays, and the use of the directory ends, since nobody would count it. */
static bool remove_file(struct cache_disk *d, const char *file)
{
    if (unlinkat(d->dir_fd, file, 0) == 0 || errno == ENOENT) return true;
    turn_off(d, file, errno);
    return false;
}

/* Forgets an entry; what is bad goes from the disk, too. */
static void forget(struct cache_disk *d, const struct cache_name *name, const char *why)
{
    char file[NAME_MAX_BYTES];
    name_file(file, name, ENTRY);
    pthread_mutex_lock(&d->lock);
    struct cached_file *f = cache_index_find(&d->index, name->key);
    if (f) cache_index_remove(&d->index, f);
    if (why) d->stats.n_bad++;
    pthread_mutex_unlock(&d->lock);
    if (!why) return;
    log_warn("cache: %s: a bad entry is removed: %s", d->dir, why);
    remove_file(d, file);
}

void cache_disk_refuse(struct cache_disk *d, const struct cache_name *name, const char *why)
{
    forget(d, name, why);
}

/* --- files --- */

static int read_all(int fd, void *out, size_t size)
{
    char *to = out;
    for (size_t at = 0; at < size;) {
        ssize_t n = pread(fd, to + at, size - at, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (n == 0) {
            errno = 0; /* shorter than it was */
            return -1;
        }
        at += (size_t)n;
    }
    return 0;
}

/* Why read_all has failed. */
static const char *read_failure(void)
{
    return errno ? strerror(errno) : "it is cut off";
}

static int sync_file(int fd)
{
    int rc;
    do
        rc = fsync(fd);
    while (rc && errno == EINTR);
    return rc;
}

/* --- loading --- */

/* -1: errno says why; ELOOP: it is no plain file. */
static int open_entry(const struct cache_disk *d, const char *file, struct stat *st)
{
    int fd = openat(d->dir_fd, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return -1;
    int code = fstat(fd, st) ? errno : S_ISREG(st->st_mode) ? 0 : ELOOP;
    if (code == 0) return fd;
    close(fd);
    errno = code;
    return -1;
}

/* Of a file that is not what it was. */
static int check_loaded(const struct cache_disk *d, struct disk_request *r, const char *file,
                        struct err *err)
{
    struct cache_name name;
    if (cache_file_parse(&name, &r->view, d->secret, file, r->image.data, r->image.size, err))
        return -1;
    if (!hmac_equal(name.key, r->name.key) || name.n_tokens != r->name.n_tokens)
        return err_set(err, ERR_FORMAT, "%s: it is another entry", file);
    return 0;
}

static void count_load(struct cache_disk *d, const struct disk_request *r)
{
    pthread_mutex_lock(&d->lock);
    d->stats.n_loaded += r->image.data != NULL;
    pthread_mutex_unlock(&d->lock);
}

/* Reads the file into r->image. */
static void load(struct cache_disk *d, struct disk_request *r)
{
    char file[NAME_MAX_BYTES];
    struct stat st;
    struct err err = {0};
    r->image = (struct state_image){0};
    if (is_off(d)) return;
    name_file(file, &r->name, ENTRY);
    int fd = open_entry(d, file, &st);
    if (fd < 0) {
        int why = errno;
        if (why == ENOENT || why == ELOOP)
            forget(d, &r->name, why == ENOENT ? NULL : strerror(why));
        else if (!will_pass(why)) /* else it is a miss this time */
            turn_off(d, file, why);
        return;
    }
    size_t size = (size_t)st.st_size;
    if ((uint64_t)st.st_size <= d->max_bytes) r->image.data = malloc(size ? size : 1);
    r->image.size = size;
    int rc = r->image.data ? read_all(fd, r->image.data, size) : 0, code = errno;
    if (r->image.data && rc == 0) rc = check_loaded(d, r, file, &err);
    if (r->image.data && rc == 0) futimens(fd, NULL); /* its last use */
    close(fd);
    if (rc == 0) { /* also without memory, which is a miss */
        count_load(d, r);
        return;
    }
    free(r->image.data);
    r->image = (struct state_image){0};
    if (err.code == ERR_NONE && code)
        turn_off(d, file, code);
    else
        forget(d, &r->name, err.code ? err.message : "it is cut off");
}

/* --- writing --- */

enum room { ROOM, NO_ROOM, ROOM_LATER };

/* Whether there is room for an entry of so many bytes. ROOM_LATER: one has left the index for it, and has to leave
 * the disk. */
static enum room take_victim(struct cache_disk *d, const struct cache_name *name, uint64_t bytes,
                             struct cache_name *victim)
{
    struct cache_index *x = &d->index;
    if (bytes > d->max_bytes) return NO_ROOM;
    bool fits = x->bytes <= d->max_bytes - bytes;
    if (fits && x->n_files < x->capacity) return ROOM;
    struct cached_file *f = fits ? cache_index_victim(x, INDEX_FILES, name->owner, 1)
                                 : cache_index_victim(x, INDEX_BYTES, name->owner, bytes);
    if (!f) return NO_ROOM;
    *victim = f->name;
    cache_index_remove(x, f);
    d->stats.n_evicted++;
    return ROOM_LATER;
}

/* Large files take long to go: not under the lock, which the engine's thread takes at every step. */
static bool make_room(struct cache_disk *d, const struct cache_name *name, uint64_t bytes)
{
    for (;;) {
        struct cache_name victim;
        char file[NAME_MAX_BYTES];
        pthread_mutex_lock(&d->lock);
        enum room room = take_victim(d, name, bytes, &victim);
        pthread_mutex_unlock(&d->lock);
        if (room != ROOM_LATER) return room == ROOM;
        name_file(file, &victim, ENTRY);
        if (!remove_file(d, file)) return false;
    }
}

/* Writes, syncs and renames. 0, or what the system said. */
static int write_entry(struct cache_disk *d, const struct disk_request *r)
{
    char part[NAME_MAX_BYTES], file[NAME_MAX_BYTES];
    uint8_t head[CACHE_FILE_HEAD];
    name_file(part, &r->name, PART);
    name_file(file, &r->name, ENTRY);
    cache_file_head(head, d->secret, &r->name, &r->image);
    int fd = openat(d->dir_fd, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    bool bad = file_write_all(fd, head, sizeof head) ||
               file_write_all(fd, r->image.data, r->image.size) || sync_file(fd);
    int code = bad ? errno : 0;
    if (close(fd) && !code) code = errno;
    if (!code && renameat(d->dir_fd, part, d->dir_fd, file)) code = errno;
    if (code) remove_file(d, part);
    if (!code && sync_file(d->dir_fd)) {
        code = errno;
        remove_file(d, file); /* nobody counts it */
    }
    return code;
}

static void store(struct cache_disk *d, struct disk_request *r)
{
    uint64_t bytes = CACHE_FILE_HEAD + (uint64_t)r->image.size;
    if (is_off(d) || !make_room(d, &r->name, bytes)) return;
    state_image_seal(&r->image);
    int code = write_entry(d, r);
    if (code) {
        if (!will_pass(code)) turn_off(d, "writing", code);
        return;
    }
    pthread_mutex_lock(&d->lock);
    if (!cache_index_find(&d->index, r->name.key)) cache_index_add(&d->index, &r->name, bytes);
    d->stats.n_written++;
    pthread_mutex_unlock(&d->lock);
}

/* --- threads --- */

/* Signals are the main thread's; writing past a limit of the file size is an error here, not a signal. */
static void block_signals(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

static void give_back(struct cache_disk *d, struct disk_request *r)
{
    queue_put(d->done, &r->item);
    pthread_mutex_lock(&d->lock);
    if (d->wake) d->wake(d->wake_ctx);
    pthread_mutex_unlock(&d->lock);
}

static void *serve(struct cache_disk *d, struct queue *q)
{
    struct queue_item *i;
    block_signals();
    while ((i = queue_wait(q)))
        for (struct queue_item *next; i; i = next) {
            struct disk_request *r = (struct disk_request *)(void *)i; /* item comes first */
            next = i->next;
            if (r->kind == DISK_LOAD) {
                load(d, r);
            } else {
                store(d, r);
                free(r->image.data);
                r->image = (struct state_image){0};
            }
            give_back(d, r);
        }
    return NULL;
}

static void *serve_reads(void *ctx)
{
    struct cache_disk *d = ctx;
    return serve(d, d->to_read);
}

static void *serve_writes(void *ctx)
{
    struct cache_disk *d = ctx;
    return serve(d, d->to_write);
}

void cache_disk_submit(struct cache_disk *d, struct disk_request *r)
{
    queue_put(r->kind == DISK_LOAD ? d->to_read : d->to_write, &r->item);
}

struct queue_item *cache_disk_take(struct cache_disk *d, bool wait)
{
    return wait ? queue_wait(d->done) : queue_take(d->done);
}

void cache_disk_on_done(struct cache_disk *d, void (*wake)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&d->lock);
    d->wake = wake;
    d->wake_ctx = ctx;
    pthread_mutex_unlock(&d->lock);
}

struct disk_stats cache_disk_stats(struct cache_disk *d)
{
    pthread_mutex_lock(&d->lock);
    struct disk_stats stats = d->stats;
    stats.n_files = d->index.n_files;
    stats.bytes = d->index.bytes;
    pthread_mutex_unlock(&d->lock);
    return stats;
}

/* --- finding --- */

static int by_length(const void *a, const void *b)
{
    const struct cache_name *x = a, *y = b;
    return (x->n_tokens > y->n_tokens) - (x->n_tokens < y->n_tokens);
}

/* Entries that may be of these tokens, by what is cheap to see, shorter ones first. */
static int collect(struct cache_disk *d, const struct cache_tenant *t, const int32_t *ids, int n,
                   int longer_than)
{
    uint8_t owner[HMAC_BYTES];
    int n_likely = 0;
    cache_owner(d->secret, t, owner);
    pthread_mutex_lock(&d->lock);
    for (int i = 0; i < d->index.n_files && !d->stats.off; i++) {
        const struct cache_name *name = &d->index.files[i].name;
        if (name->n_tokens > longer_than && name->n_tokens <= n &&
            name->last_token == ids[name->n_tokens - 1] && hmac_equal(name->owner, owner))
            d->likely[n_likely++] = *name;
    }
    pthread_mutex_unlock(&d->lock);
    qsort(d->likely, (size_t)n_likely, sizeof *d->likely, by_length);
    return n_likely;
}

bool cache_disk_find(struct cache_disk *d, const struct cache_tenant *t, const int32_t *ids, int n,
                     int longer_than, struct cache_name *out)
{
    struct cache_keys keys;
    bool found = false;
    int n_likely = collect(d, t, ids, n, longer_than);
    cache_keys_begin(&keys, d->secret, &d->model, t);
    for (int i = 0; i < n_likely; i++) {
        uint8_t key[HMAC_BYTES];
        cache_keys_at(&keys, ids, d->likely[i].n_tokens, key);
        if (!hmac_equal(key, d->likely[i].key)) continue;
        *out = d->likely[i];
        found = true;
    }
    if (!found) return false;
    pthread_mutex_lock(&d->lock);
    struct cached_file *f = cache_index_find(&d->index, out->key);
    if (f) cache_index_use(&d->index, f);
    pthread_mutex_unlock(&d->lock);
    return f != NULL;
}

bool cache_disk_name(struct cache_disk *d, const struct cache_tenant *t, const int32_t *ids, int n,
                     struct cache_name *out)
{
    struct cache_keys keys;
    *out = (struct cache_name){.n_tokens = n, .last_token = ids[n - 1]};
    cache_keys_begin(&keys, d->secret, &d->model, t);
    cache_keys_at(&keys, ids, n, out->key);
    cache_owner(d->secret, t, out->owner);
    pthread_mutex_lock(&d->lock);
    bool wanted = !d->stats.off && !cache_index_find(&d->index, out->key);
    pthread_mutex_unlock(&d->lock);
    return wanted;
}

/* --- opening --- */

static int open_dir(struct cache_disk *d, struct err *err)
{
    struct stat st;
    if (mkdir(d->dir, 0700) && errno != EEXIST)
        return err_set(err, ERR_IO, "%s: %s", d->dir, strerror(errno));
    d->dir_fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->dir_fd < 0 || fstat(d->dir_fd, &st))
        return err_set(err, ERR_IO, "%s: %s", d->dir, strerror(errno));
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
        return err_set(
            err, ERR_ARGUMENT,
            "%s: a cache directory belongs to who serves, and nobody else may write there", d->dir);
    d->lock_fd = openat(d->dir_fd, LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (d->lock_fd < 0) return err_set(err, ERR_IO, "%s/%s: %s", d->dir, LOCK, strerror(errno));
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) == 0) return 0;
    return errno == EWOULDBLOCK
               ? err_set(err, ERR_ARGUMENT, "%s: another process uses this cache directory", d->dir)
               : err_set(err, ERR_IO, "%s/%s: %s", d->dir, LOCK, strerror(errno));
}

/* A new secret: whole, or not there. */
static int make_secret(struct cache_disk *d, struct err *err)
{
    if (getrandom(d->secret, sizeof d->secret, 0) != (ssize_t)sizeof d->secret)
        return err_set(err, ERR_IO, "no random numbers for the cache's secret");
    int fd =
        openat(d->dir_fd, SECRET_PART, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return err_set(err, ERR_IO, "%s/%s: %s", d->dir, SECRET_PART, strerror(errno));
    bool bad = file_write_all(fd, d->secret, sizeof d->secret) || sync_file(fd);
    int code = bad ? errno : 0;
    if (close(fd) && !code) code = errno;
    if (!code && renameat(d->dir_fd, SECRET_PART, d->dir_fd, SECRET)) code = errno;
    if (!code && sync_file(d->dir_fd)) code = errno;
    return code ? err_set(err, ERR_IO, "%s/%s: %s", d->dir, SECRET, strerror(code)) : 0;
}

static int read_secret(struct cache_disk *d, struct err *err)
{
    struct stat st;
    /* A power cut may leave this name beside the other one. */
    if (unlinkat(d->dir_fd, SECRET_PART, 0) && errno != ENOENT)
        return err_set(err, ERR_IO, "%s/%s: %s", d->dir, SECRET_PART, strerror(errno));
    int fd = open_entry(d, SECRET, &st);
    if (fd < 0 && errno == ENOENT) return make_secret(d, err);
    if (fd < 0) return err_set(err, ERR_IO, "%s/%s: %s", d->dir, SECRET, strerror(errno));
    int rc = 0;
    if (st.st_size != CACHE_SECRET || st.st_uid != geteuid() || (st.st_mode & 077))
        rc = err_set(err, ERR_ARGUMENT, "%s/%s: %d bytes that only who serves can read are wanted",
                     d->dir, SECRET, CACHE_SECRET);
    else if (read_all(fd, d->secret, CACHE_SECRET))
        rc = err_set(err, ERR_IO, "%s/%s: %s", d->dir, SECRET, read_failure());
    close(fd);
    return rc;
}

/* A file found at the start. */
struct found {
    struct cache_name name;
    uint64_t bytes;
    struct timespec used;
};

static int by_use(const void *a, const void *b)
{
    const struct timespec *x = &((const struct found *)a)->used,
                          *y = &((const struct found *)b)->used;
    if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* ERR_IO: it cannot be read now, which says nothing about it. */
static int inspect(const struct cache_disk *d, const char *file, struct found *out, struct err *err)
{
    uint8_t head[CACHE_FILE_SIGNED];
    char right[NAME_MAX_BYTES];
    struct stat st;
    int fd = open_entry(d, file, &st);
    if (fd < 0)
        return err_set(err, errno == ELOOP ? ERR_FORMAT : ERR_IO, "%s: %s", file, strerror(errno));
    size_t size = st.st_size < CACHE_FILE_SIGNED ? (size_t)st.st_size : CACHE_FILE_SIGNED;
    int rc = read_all(fd, head, size);
    if (rc) err_set(err, ERR_IO, "%s: %s", file, read_failure());
    close(fd);
    if (rc) return -1;
    if (cache_file_check(&out->name, d->secret, file, head, size, (uint64_t)st.st_size, err))
        return -1;
    name_file(right, &out->name, ENTRY);
    if (strcmp(file, right) != 0) return err_set(err, ERR_FORMAT, "%s: it is %s", file, right);
    out->bytes = (uint64_t)st.st_size;
    out->used = st.st_mtim;
    return 0;
}

/* Takes one file of the directory into the list, or removes it. The oldest goes when there are too many. */
static void scan_file(struct cache_disk *d, const char *file, struct found *list, int *n)
{
    struct err err = {0};
    struct found f;
    if (has_key_name(file, PART)) remove_file(d, file);
    if (!has_key_name(file, ENTRY)) return;
    int rc = inspect(d, file, &f, &err);
    if (rc && err.code == ERR_IO) {
        log_warn("cache: %s: an entry is left out: %s", d->dir, err.message);
        return;
    }
    if (rc) {
        log_warn("cache: %s: a bad entry is removed: %s", d->dir, err.message);
        remove_file(d, file);
        d->stats.n_bad++;
        return;
    }
    if (*n < DISK_MAX_FILES) {
        list[(*n)++] = f;
        return;
    }
    int oldest = 0;
    for (int i = 1; i < *n; i++)
        if (by_use(&list[i], &list[oldest]) < 0) oldest = i;
    struct found gone = by_use(&f, &list[oldest]) < 0 ? f : list[oldest];
    char name[NAME_MAX_BYTES];
    if (by_use(&f, &list[oldest]) >= 0) list[oldest] = f;
    name_file(name, &gone.name, ENTRY);
    remove_file(d, name);
}

/* Fills list; how many there are, or -1. */
static int scan_dir(struct cache_disk *d, struct found *list, struct err *err)
{
    int fd = openat(d->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        err_set(err, ERR_IO, "%s: cannot be listed: %s", d->dir, strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    struct dirent *e;
    while (errno = 0, e = readdir(dir))
        scan_file(d, e->d_name, list, &n);
    if (errno) n = err_set(err, ERR_IO, "%s: cannot be listed: %s", d->dir, strerror(errno));
    closedir(dir);
    return n;
}

static int scan(struct cache_disk *d, struct err *err)
{
    struct found *list = xcalloc(DISK_MAX_FILES, sizeof *list);
    int n = scan_dir(d, list, err);
    if (n < 0) {
        free(list);
        return -1;
    }
    qsort(list, (size_t)n, sizeof *list, by_use);
    for (int i = 0; i < n; i++)
        cache_index_add(&d->index, &list[i].name, list[i].bytes);
    free(list);
    while (d->index.bytes > d->max_bytes) {
        char file[NAME_MAX_BYTES];
        struct cached_file *f = cache_index_victim(&d->index, INDEX_BYTES, NULL, 0);
        name_file(file, &f->name, ENTRY);
        remove_file(d, file);
        cache_index_remove(&d->index, f);
    }
    return 0;
}

static int start_threads(struct cache_disk *d, struct err *err)
{
    d->has_reader = pthread_create(&d->reader, NULL, serve_reads, d) == 0;
    d->has_writer = d->has_reader && pthread_create(&d->writer, NULL, serve_writes, d) == 0;
    return d->has_writer ? 0 : err_set(err, ERR_LIMIT, "no threads for the cache directory");
}

int cache_disk_open(struct cache_disk **out, const struct disk_options *o, struct err *err)
{
    *out = NULL;
    struct cache_disk *d = xcalloc(1, sizeof *d);
    *d = (struct cache_disk){.dir = xstrdup(o->dir),
                             .dir_fd = -1,
                             .lock_fd = -1,
                             .max_bytes = o->max_bytes,
                             .model = o->model};
    d->to_read = queue_new(NULL, NULL);
    d->to_write = queue_new(NULL, NULL);
    d->done = queue_new(NULL, NULL);
    d->likely = xcalloc(DISK_MAX_FILES, sizeof *d->likely);
    pthread_mutex_init(&d->lock, NULL);
    if (cache_index_init(&d->index, DISK_MAX_FILES, err) || open_dir(d, err) ||
        read_secret(d, err) || scan(d, err) || start_threads(d, err)) {
        cache_disk_close(d);
        return -1;
    }
    log_info("cache: %s: %d entries, %llu of %llu bytes", d->dir, d->index.n_files,
             (unsigned long long)d->index.bytes, (unsigned long long)d->max_bytes);
    *out = d;
    return 0;
}

void cache_disk_close(struct cache_disk *d)
{
    if (!d) return;
    queue_close(d->to_read);
    queue_close(d->to_write);
    if (d->has_reader) pthread_join(d->reader, NULL);
    if (d->has_writer) pthread_join(d->writer, NULL);
    queue_free(d->to_read);
    queue_free(d->to_write);
    queue_free(d->done);
    pthread_mutex_destroy(&d->lock);
    cache_index_fini(&d->index);
    if (d->lock_fd >= 0) close(d->lock_fd);
    if (d->dir_fd >= 0) close(d->dir_fd);
    explicit_bzero(d->secret, sizeof d->secret);
    free(d->likely);
    free(d->dir);
    free(d);
}
