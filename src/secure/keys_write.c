#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sha256.h"
#include "secure/keys.h"

/* Locks the folder that the file is in, since the file itself is replaced. -1 or a descriptor. */
static int lock_folder_of(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = !slash          ? xstrdup(".")
                   : slash == path ? xstrdup("/")
                                   : xstrndup(path, (size_t)(slash - path));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX)) {
        err_set(err, ERR_IO, "%s: %s", folder, strerror(errno));
        if (fd >= 0) close(fd);
        fd = -1;
    }
    free(folder);
    return fd;
}

/* The text of the file, "" when there is none, and the keys in it. *old has st_nlink 0 when there is none. */
static int read_old(struct buf *text, struct keys **keys, struct stat *old, const char *path,
                    struct err *err)
{
    char *data = NULL;
    size_t size = 0;
    *old = (struct stat){0};
    buf_init(text, KEYS_MAX_BYTES);
    if (stat(path, old) == 0) {
        if (file_slurp(path, KEYS_MAX_BYTES, &data, &size, err)) return -1;
        buf_add(text, data, size);
        free(data);
    } else if (errno != ENOENT) {
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    }
    return keys_parse(keys, path, buf_text(text), text->size, err);
}

/* The owner stays: the server may run as another user than the one who changes its keys. */
static int write_new(const char *path, const struct buf *text, const struct stat *old, int folder,
                     struct err *err)
{
    struct stat now;
    if (text->failed)
        return err_set(err, ERR_LIMIT, "%s: more than %d bytes", path, KEYS_MAX_BYTES);
    if (file_replace(path, buf_text(text), text->size, err)) return -1;
    if (fsync(folder)) return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    if (!old->st_nlink) return 0;
    if (stat(path, &now))
        return err_set(err, ERR_IO, "%s: its owner may have changed: %s", path, strerror(errno));
    if (now.st_uid == old->st_uid && now.st_gid == old->st_gid) return 0;
    if (chown(path, old->st_uid, old->st_gid) == 0) return 0;
    return err_set(err, ERR_IO, "%s: its owner has changed: %s", path, strerror(errno));
}

static const char *date_of(int64_t seconds, char out[16])
{
    time_t time = (time_t)seconds;
    struct tm t;
    if (!gmtime_r(&time, &t) || !strftime(out, 16, "%Y-%m-%d", &t)) out[0] = 0;
    return out;
}

static void add_limit(struct buf *out, const char *name, int64_t value)
{
    if (value) buf_printf(out, " %s=%" PRId64, name, value);
}

void key_limits(const struct key *k, struct buf *out)
{
    char date[16];
    add_limit(out, "requests", k->requests);
    add_limit(out, "tokens", k->tokens);
    add_limit(out, "concurrent", k->concurrent);
    add_limit(out, "daily", k->daily);
    if (k->models) buf_printf(out, " models=%s", k->models);
    add_limit(out, "priority", k->priority);
    if (k->expires) buf_printf(out, " expires=%s", date_of(k->expires, date));
}

static void add_line(struct buf *out, const struct key *k)
{
    char hash[65];
    if (out->size && out->data[out->size - 1] != '\n') buf_add_byte(out, '\n');
    sha256_hex(k->hash, 32, hash);
    buf_printf(out, "%s %s", k->name, hash);
    key_limits(k, out);
    buf_add_byte(out, '\n');
}

static const struct key *find_name(const struct keys *keys, const char *name)
{
    for (int i = 0; i < keys_count(keys); i++)
        if (!strcmp(keys_get(keys, i)->name, name)) return keys_get(keys, i);
    return NULL;
}

/* Whether the file would read well afterwards. */
static int check_new(const char *path, const struct buf *text, struct err *err)
{
    struct keys *keys = NULL;
    int rc = keys_parse(&keys, path, buf_text(text), text->size, err);
    keys_release(keys);
    return rc;
}

int keys_add(const char *path, const struct key *k, struct err *err)
{
    struct keys *keys = NULL;
    struct buf text = {0};
    struct stat old;
    int folder = lock_folder_of(path, err), rc = -1;
    if (folder < 0) return -1;
    if (read_old(&text, &keys, &old, path, err)) goto out;
    if (find_name(keys, k->name)) {
        err_set(err, ERR_ARGUMENT, "%s: there is a key \"%s\" already", path, k->name);
        goto out;
    }
    add_line(&text, k);
    if (check_new(path, &text, err)) goto out;
    rc = write_new(path, &text, &old, folder, err);

out:
    close(folder);
    keys_release(keys);
    buf_fini(&text);
    return rc;
}

/* Copies all lines but the one that begins with the name. */
static void copy_others(struct buf *out, const char *text, const char *name)
{
    static const char blanks[] = " \t\r";
    size_t n = strlen(name);
    while (*text) {
        const char *end = strchrnul(text, '\n'), *word = text + strspn(text, blanks);
        if (*end) end++;
        bool is_it = !strncmp(word, name, n) && word[n] && strchr(blanks, word[n]);
        if (!is_it) buf_add(out, text, (size_t)(end - text));
        text = end;
    }
}

int keys_remove(const char *path, const char *name, struct err *err)
{
    struct keys *keys = NULL;
    struct buf text = {0}, rest;
    struct stat old;
    int folder = lock_folder_of(path, err), rc = -1;
    if (folder < 0) return -1;
    buf_init(&rest, KEYS_MAX_BYTES);
    if (read_old(&text, &keys, &old, path, err)) goto out;
    if (!find_name(keys, name)) {
        err_set(err, ERR_ARGUMENT, "%s: there is no key \"%s\"", path, name);
        goto out;
    }
    copy_others(&rest, buf_text(&text), name);
    rc = write_new(path, &rest, &old, folder, err);

out:
    close(folder);
    keys_release(keys);
    buf_fini(&text);
    buf_fini(&rest);
    return rc;
}
