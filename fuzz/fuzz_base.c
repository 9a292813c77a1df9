/* Base files: as they are, then with the hash made right. What is accepted must be written again byte for
 * byte.
 *
 * The seed `small` is of a model of random weights (tests/cli/common.sh, make_model):
 *     echo abcdefgh > t; tenon eval MODEL --ppl t --window 4 --save-base small */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "measure/kl_base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_hash_right(uint8_t *p, size_t size)
{
    if (size < KL_BASE_HEADER) return;
    struct sha256 *h = sha256_new();
    sha256_add(h, p, 96);
    sha256_add(h, p + KL_BASE_HEADER, size - KL_BASE_HEADER);
    sha256_end(h, p + 96);
    sha256_free(h);
}

static void read_and_write(const uint8_t *data, size_t size)
{
    struct kl_base_view v;
    struct kl_base_image image;
    struct err err = {0};
    if (kl_base_parse(&v, "fuzz", data, size, &err)) {
        CHECK(err.message[0] && !v.rows, "refused without a message");
        return;
    }
    float *row = malloc(v.id.vocab * sizeof *row);
    bool good = true;
    CHECK(kl_base_new(&image, &v.id, &err) == 0, "%s", err.message);
    for (size_t i = 0; i < v.n_rows && good; i++) {
        good = kl_base_row(&v, i, row, NULL) == 0;
        kl_base_put(&image, i, row, (int)v.id.vocab);
    }
    kl_base_seal(&image);
    CHECK(!good || (image.size == size && !memcmp(image.data, data, size)),
          "written otherwise than read");
    free(image.data);
    free(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_and_write(data, size);
    uint8_t *copy = malloc(size + 1);
    if (size) memcpy(copy, data, size);
    make_hash_right(copy, size);
    read_and_write(copy, size);
    free(copy);
    return 0;
}
