/* Bodies of POST /responses. */
#include "dialect.h"
#include "serve/responses_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct responses_request r = {0};
    struct api_error e = {0};
    json_t *body;
    if (body_parse(&body, (const char *)data, size, &e) || responses_request_read(&r, body, &e)) {
        check_refusal(&e);
    } else {
        CHECK(json_object_size(r.echo) == 20, "%zu fields come back", json_object_size(r.echo));
        check_chat(r.chat);
        r.chat = NULL;
    }
    responses_request_fini(&r);
    return 0;
}
