/* Writes a checkpoint of full size that takes no disk: shards with the complete headers of the model
 * that config.json describes, holes for data, the index and a copy of the config. For proving that
 * hundreds of gigabytes open, bind and are counted right.
 *
 *     build/tools/make-sparse models/deepseek-v4-pro/config.json /tmp/pro */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/json.h"
#include "format/checkpoint.h"

enum { MAX_CONFIG = 1 << 18, MAX_PATH = 1 << 16 };

static int copy_config(const char *from, const char *dir, struct err *err)
{
    struct buf path;
    char *text;
    size_t size;
    if (file_slurp(from, MAX_CONFIG, &text, &size, err)) return -1;
    buf_init(&path, MAX_PATH);
    buf_printf(&path, "%s/config.json", dir);
    int rc = file_replace(buf_text(&path), text, size, err);
    buf_fini(&path);
    free(text);
    return rc;
}

static int make(const char *config_path, const char *dir, struct err *err)
{
    struct config c;
    json_t *root;
    if (json_parse_file(&root, config_path, MAX_CONFIG, err)) return -1;
    int rc = config_from_json(&c, config_path, root, err);
    json_decref(root);
    if (rc) return -1;
    if (mkdir(dir, 0777) && errno != EEXIST)
        return err_set(err, ERR_IO, "%s: %s", dir, strerror(errno));
    struct official_options o = {.mtp = c.n_mtp > 0};
    if (checkpoint_write(dir, &c, o, NULL, NULL, err)) return -1;
    return copy_config(config_path, dir, err);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: make-sparse CONFIG_JSON FOLDER\n");
        return 2;
    }
    if (make(argv[1], argv[2], &err)) {
        fprintf(stderr, "make-sparse: %s\n", err.message);
        return 1;
    }
    return 0;
}
