/* A safetensors file: header, names and views. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t header_size(const uint8_t *data)
{
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | data[i];
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors st;
    struct view_list views;
    struct err err = {0};
    struct config c = small_model();
    if (size < 8 || header_size(data) > size - 8) return 0;
    size_t n = (size_t)header_size(data);
    char *header = xmalloc(n + 1);
    memcpy(header, data + 8, n);
    if (safetensors_parse(&st, "fuzz", header, n, size, &err)) {
        CHECK(err.code != ERR_NONE && err.message[0], "refused without a reason");
        return 0;
    }
    struct stored *stored = xcalloc((size_t)st.n, sizeof *stored);
    if (stored_from_safetensors(stored, &st, 0, "fuzz", &err) == 0 &&
        views_build(&views, stored, st.n, &c, (struct scale_block){0}, "fuzz", &err) == 0) {
        check_views(&views, size);
        views_free(&views);
    }
    stored_free(stored, st.n);
    safetensors_close(&st);
    return 0;
}
