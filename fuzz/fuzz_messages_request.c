/* Bodies of POST /v1/messages and its count_tokens. */
#include "dialect.h"
#include "serve/messages_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int counts = 0; counts < 2; counts++) {
        struct api_error e = {0};
        json_t *body, *chat;
        if (body_parse(&body, (const char *)data, size, &e) ||
            messages_request_read(&chat, body, counts, &e))
            check_refusal(&e);
        else
            check_chat(chat);
    }
    return 0;
}
