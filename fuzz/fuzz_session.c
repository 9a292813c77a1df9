/* Session files: the parser alone, then, with every hash made right, parser, binding to a model and
 * one step on the state. Run from the repository root (it opens tests/golden/zeta).
 *
 * The seeds are sessions of that model; zeta-3 for example:
 *     echo 5 6 7 > t; tenon run tests/golden/zeta --tokens t -n 1 --seed 1 --session zeta-3 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "cpu/cpu.h"
#include "engine/state_file.h"
#include "format/weights.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    struct backend *backend;
    struct weights *weights;
    struct model *model;
    struct kv_pool *pool;
} rig;

static void rig_open(void)
{
    struct err err = {0};
    struct model_options o = {0};
    if (cpu_open(&rig.backend, MODE_DEFAULT, 1, NULL, &err) ||
        weights_open(&rig.weights, "tests/golden/zeta", &err) ||
        model_open(&rig.model, rig.backend, rig.weights, &o, &err))
        CHECK(0, "%s", err.message);
    rig.pool = kv_pool_new(rig.backend, model_layout(rig.model), 1 << 24);
}

/* Makes the hashes of a file right, as far as its lengths let it. */
static void make_hashes_right(uint8_t *p, size_t size)
{
    size_t at = STATE_HEADER;
    if (size < STATE_HEADER) return;
    for (int i = 0; i < STATE_SECTIONS; i++) {
        uint8_t *entry = p + 96 + 40 * i;
        uint64_t n = 0;
        for (int j = 7; j >= 0; j--)
            n = n << 8 | entry[j];
        if (n > size - at) break;
        sha256_of(p + at, (size_t)n, entry + 8);
        at += (size_t)n;
    }
    sha256_of(p, STATE_HEADER - 32, p + STATE_HEADER - 32);
}

static void check_round_trip(const struct state_view *v, const uint8_t *file, size_t size)
{
    struct state_image image;
    if (state_image_new(&image, v, NULL)) return;
    for (int i = STATE_RINGS; i <= STATE_MTP; i++)
        if (v->section[i].size)
            memcpy(state_image_section(&image, (enum state_section)i), v->section[i].data,
                   v->section[i].size);
    state_image_seal(&image);
    CHECK(image.size == size && memcmp(image.data, file, size) == 0, "written otherwise than read");
    free(image.data);
}

static void bind_and_step(struct state_view *v)
{
    struct session *s = NULL;
    v->id = state_identity_of(rig.model, v->id.model);
    if (session_from_state(&s, rig.model, rig.pool, &v->id, v, "fuzz", NULL)) return;
    int32_t next = 1;
    if (session_length(s) < 1000 && session_append(s, &next, 1, NULL) == 0) {
        int rc = session_feed(s, session_length(s), 64, NULL, NULL, NULL);
        (void)rc; /* rows of any bytes may give a NaN */
    }
    session_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state_view v;
    if (!rig.model) rig_open();
    if (state_parse(&v, "fuzz", data, size, NULL) == 0) check_round_trip(&v, data, size);

    uint8_t *copy = malloc(size + 1);
    if (size) memcpy(copy, data, size);
    make_hashes_right(copy, size);
    if (state_parse(&v, "fuzz", copy, size, NULL) == 0) {
        check_round_trip(&v, copy, size);
        bind_and_step(&v);
    }
    free(copy);
    return 0;
}
