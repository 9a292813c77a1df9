#include "serve/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/queue.h"

/* A line, or with no text the order to open the file again. */
struct line {
    struct queue_item item;
    size_t size;
    char text[];
};

struct audit {
    char *path;
    int fd; /* the thread's */
    struct queue *lines;
    pthread_t thread;
    atomic_size_t waiting; /* bytes */
    _Atomic uint64_t n_lost;
    uint64_t n_told; /* of these in the log; the thread's */
    bool failing;    /* the last line was lost; the thread's */
};

/* --- the thread --- */

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
}

static void open_again(struct audit *a)
{
    int fd = open_file(a->path);
    if (fd < 0) {
        log_error("audit: %s: %s; the old file goes on", a->path, strerror(errno));
        return;
    }
    close(a->fd);
    a->fd = fd;
}

/* Takes a piece of a line out again. */
static void cut_off(int fd, size_t size)
{
    struct stat st;
    if (size && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= (off_t)size &&
        ftruncate(fd, st.st_size - (off_t)size))
        log_error("audit: a piece of a line stays: %s", strerror(errno));
}

static int write_line(int fd, const char *text, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = write(fd, text + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            int code = n < 0 ? errno : ENOSPC;
            cut_off(fd, done);
            errno = code;
            return -1;
        }
        done += (size_t)n;
    }
    return 0;
}

/* One line in the log when it begins to fail, one when it works again. */
static void write_or_lose(struct audit *a, const struct line *l)
{
    if (write_line(a->fd, l->text, l->size) == 0) {
        uint64_t lost = atomic_load(&a->n_lost);
        if (lost > a->n_told)
            log_warn("audit: %s: %llu lines were lost", a->path,
                     (unsigned long long)(lost - a->n_told));
        a->n_told = lost;
        a->failing = false;
        return;
    }
    if (!a->failing) log_error("audit: %s: %s; lines are lost", a->path, strerror(errno));
    a->failing = true;
    atomic_fetch_add(&a->n_lost, 1);
}

static void *write_lines(void *ctx)
{
    struct audit *a = ctx;
    struct queue_item *i;
    while ((i = queue_wait(a->lines)))
        for (struct queue_item *next; i; i = next) {
            struct line *l = (struct line *)(void *)((char *)i - offsetof(struct line, item));
            next = i->next;
            if (l->size)
                write_or_lose(a, l);
            else
                open_again(a);
            atomic_fetch_sub(&a->waiting, l->size);
            free(l);
        }
    return NULL;
}

/* --- from outside --- */

int audit_open(struct audit **out, const char *path, struct err *err)
{
    int fd = open_file(path);
    *out = NULL;
    if (fd < 0) return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    struct audit *a = xcalloc(1, sizeof *a);
    a->path = xstrdup(path);
    a->fd = fd;
    a->lines = queue_new(NULL, NULL);
    if (pthread_create(&a->thread, NULL, write_lines, a) == 0) {
        *out = a;
        return 0;
    }
    queue_free(a->lines);
    close(fd);
    free(a->path);
    free(a);
    return err_set(err, ERR_LIMIT, "no thread for %s", path);
}

void audit_close(struct audit *a)
{
    if (!a) return;
    queue_close(a->lines);
    pthread_join(a->thread, NULL);
    queue_free(a->lines);
    close(a->fd);
    free(a->path);
    free(a);
}

static json_t *ms_json(double seconds)
{
    return seconds < 0 ? json_null() : json_integer(llround(seconds * 1e3));
}

static void write_time(char out[40], double unix_seconds)
{
    long long ms = llround(unix_seconds * 1e3);
    time_t seconds = (time_t)(ms / 1000);
    struct tm t;
    size_t n = gmtime_r(&seconds, &t) ? strftime(out, 30, "%Y-%m-%dT%H:%M:%S", &t) : 0;
    snprintf(out + n, 40 - n, ".%03lldZ", ms % 1000);
}

static char *entry_text(const struct audit_entry *e)
{
    char when[40];
    write_time(when, e->unix_seconds);
    json_t *j =
        json_pack("{s:s, s:s, s:s?, s:s, s:s, s:i, s:s?, s:i, s:i, s:i, s:i, s:o, s:o, s:o}",
                  "time", when, "request_id", e->request_id, "key", e->key, "endpoint", e->endpoint,
                  "model", e->model, "status", e->status, "finish", e->finish, "prompt_tokens",
                  e->n_prompt, "cached_tokens", e->n_cached, "completion_tokens", e->n_tokens,
                  "reasoning_tokens", e->n_reasoning, "queue_ms", ms_json(e->queue),
                  "first_token_ms", ms_json(e->first_token), "total_ms", ms_json(e->total));
    char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_decref(j);
    return text;
}

/* Room is reserved first, and given back by the thread. */
static struct line *new_line(struct audit *a, size_t size)
{
    if (atomic_fetch_add(&a->waiting, size) + size <= AUDIT_MAX_WAITING) {
        struct line *l = malloc(sizeof *l + size);
        if (l) {
            l->size = size;
            return l;
        }
    }
    atomic_fetch_sub(&a->waiting, size);
    return NULL;
}

void audit_add(struct audit *a, const struct audit_entry *e)
{
    if (!a) return;
    char *text = entry_text(e);
    size_t size = text ? strlen(text) + 1 : 0;
    struct line *l = text ? new_line(a, size) : NULL;
    if (l) {
        memcpy(l->text, text, size - 1);
        l->text[size - 1] = '\n';
        queue_put(a->lines, &l->item);
    } else {
        atomic_fetch_add(&a->n_lost, 1);
    }
    free(text);
}

void audit_reopen(struct audit *a)
{
    struct line *l = a ? new_line(a, 0) : NULL;
    if (l) queue_put(a->lines, &l->item);
}

uint64_t audit_lost(const struct audit *a)
{
    return a ? atomic_load(&a->n_lost) : 0;
}
