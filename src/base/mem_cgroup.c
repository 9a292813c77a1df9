/* What the control groups of this process leave it: Linux, cgroup v1 and v2. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { MAX_PATH = 4096 };

struct names {
    const char *limit, *usage, *cache[2];
};

static const struct names v1 = {
    "memory.limit_in_bytes", "memory.usage_in_bytes", {"total_inactive_file", "total_active_file"}};
static const struct names v2 = {"memory.max", "memory.current", {"inactive_file", "active_file"}};

/* The number in dir/name; false where there is none ("max"). */
static int read_number(const char *dir, const char *name, uint64_t *out)
{
    char path[MAX_PATH + 64];
    unsigned long long n;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    int found = fscanf(f, "%llu", &n) == 1;
    fclose(f);
    if (found) *out = n;
    return found;
}

/* File pages of the group: the kernel takes them back when it has to. */
static uint64_t file_cache(const char *dir, const struct names *names)
{
    char path[MAX_PATH + 64], line[128], key[64];
    unsigned long long n;
    uint64_t sum = 0;
    snprintf(path, sizeof path, "%s/memory.stat", dir);
    FILE *f = fopen(path, "re");
    if (!f) return 0;
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%63s %llu", key, &n) == 2 &&
            (!strcmp(key, names->cache[0]) || !strcmp(key, names->cache[1])))
            sum += n;
    fclose(f);
    return sum;
}

/* The least that dir or a group above it, up to top bytes of the path, leaves. */
static uint64_t least_left(char *dir, size_t top, const struct names *names)
{
    uint64_t least = UINT64_MAX, limit, usage;
    for (;;) {
        if (read_number(dir, names->limit, &limit) && read_number(dir, names->usage, &usage)) {
            uint64_t cache = file_cache(dir, names);
            uint64_t used = usage > cache ? usage - cache : 0;
            uint64_t left = limit > used ? limit - used : 0;
            if (left < least) least = left;
        }
        char *slash = strrchr(dir, '/');
        if (!slash || (size_t)(slash - dir) < top) return least;
        *slash = 0;
    }
}

size_t mem_cgroup(const char *root)
{
    char path[MAX_PATH], line[MAX_PATH], dir[MAX_PATH];
    uint64_t least = UINT64_MAX;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *kinds = strchr(line, ':'), *group = kinds ? strchr(kinds + 1, ':') : NULL;
        if (!group) continue;
        *group++ = 0;
        kinds++;
        if (*kinds && strcmp(kinds, "memory") != 0) continue;
        const struct names *names = *kinds ? &v1 : &v2;
        int top = snprintf(dir, sizeof dir, "%s/sys/fs/cgroup%s", root, *kinds ? "/memory" : "");
        if ((size_t)top + strlen(group) >= sizeof dir) continue;
        if (strcmp(group, "/")) memcpy(dir + top, group, strlen(group) + 1);
        uint64_t left = least_left(dir, (size_t)top, names);
        if (left < least) least = left;
    }
    if (f) fclose(f);
    return least < SIZE_MAX ? (size_t)least : SIZE_MAX;
}
