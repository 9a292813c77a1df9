/* config.json in both spellings. What is accepted passes the checks and has a canonical form. */
#include <stdint.h>
#include <stdlib.h>

#include "base/json.h"
#include "format/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *root;
    struct config c;
    struct err err = {0};
    if (json_parse(&root, "fuzz", (const char *)data, size, &err)) return 0;
    if (config_from_json(&c, "fuzz", root, &err) == 0) {
        char *text = config_canonical(&c);
        json_t *again = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        CHECK(again, "canonical form is no JSON: %s", text);
        CHECK(config_check(&c, "fuzz", &err) == 0, "accepted, then refused: %s", err.message);
        json_decref(again);
        free(text);
    } else {
        CHECK(err.code != ERR_NONE && err.message[0], "refused without a reason");
    }
    json_decref(root);
    return 0;
}
