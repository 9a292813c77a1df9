/* main() for a fuzz target without a fuzzer: runs it once on every file named, and on every file in
 * every folder named. Prints how many; a finding aborts. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST_INPUT = 64 << 20, MAX_PATH = 1 << 16 };

static int run_file(const char *path)
{
    char *data;
    size_t size;
    struct err err = {0};
    if (file_slurp(path, LARGEST_INPUT, &data, &size, &err)) {
        fprintf(stderr, "replay: %s\n", err.message);
        return -1;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)data, size);
    free(data);
    return 0;
}

static int run_folder(const char *path, int *count)
{
    DIR *d = opendir(path);
    int rc = 0;
    if (!d) {
        perror(path);
        return -1;
    }
    for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;) {
        struct buf file;
        if (e->d_name[0] == '.') continue;
        buf_init(&file, MAX_PATH);
        buf_printf(&file, "%s/%s", path, e->d_name);
        rc = run_file(buf_text(&file));
        *count += rc == 0;
        buf_fini(&file);
    }
    closedir(d);
    return rc;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        int folder = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode);
        if (folder ? run_folder(argv[i], &count) : run_file(argv[i])) return 1;
        count += !folder;
    }
    printf("%d inputs replayed\n", count);
    return 0;
}
