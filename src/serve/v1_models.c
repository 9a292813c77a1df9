#include "serve/v1_models.h"

#include <string.h>

#include "serve/server_state.h"

static json_t *model_json(const struct server *s, const char *name)
{
    return json_pack("{s:s, s:s, s:i, s:s, s:i}", "id", name, "object", "model", "created", 0,
                     "owned_by", "tenon", "max_model_len", engine_context(s->engine));
}

/* What stands behind "/models/", or NULL. */
static const char *name_in(const char *path)
{
    static const char models[] = "/models/";
    const char *at = strstr(path, models);
    return at && at[sizeof models - 1] ? at + sizeof models - 1 : NULL;
}

void v1_models(struct server *s, struct http_request *r)
{
    const char *name = name_in(http_path(r));
    struct api_error e = {0};
    if (!name) {
        reply_json(r, 200,
                   json_pack("{s:s, s:[o]}", "object", "list", "data", model_json(s, s->o.model)));
    } else if (server_has_model(s, name)) {
        reply_json(r, 200, model_json(s, name));
    } else {
        api_refuse(&e, 404, "model", "The model `%s` does not exist", name);
        reply_refusal(r, API_OPENAI, &e, NULL);
    }
}

/* Nobody pays here: as DeepSeek's clients want it, and available. */
void v1_balance(struct server *s, struct http_request *r)
{
    (void)s;
    reply_json(r, 200,
               json_pack("{s:b, s:[{s:s, s:s, s:s, s:s}]}", "is_available", 1, "balance_infos",
                         "currency", "USD", "total_balance", "0.00", "granted_balance", "0.00",
                         "topped_up_balance", "0.00"));
}
