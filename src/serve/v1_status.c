#include "serve/v1_status.h"

#include "base/clock.h"
#include "serve/server_state.h"

static void add(json_t *status, const char *name, uint64_t value)
{
    json_object_set_new(status, name, json_integer((json_int_t)value));
}

void v1_status(struct server *s, struct http_request *r)
{
    struct scheduler_stats stats = scheduler_stats(s->scheduler);
    json_t *status =
        json_pack("{s:s, s:s, s:f, s:b}", "version", TENON_VERSION, "model", s->o.model,
                  "uptime_seconds", clock_seconds() - s->started, "stopping", (int)s->draining);
    add(status, "context", (uint64_t)engine_context(s->engine));
    add(status, "connections", (uint64_t)http_connections(s->http));
    add(status, "running", (uint64_t)stats.n_running);
    add(status, "max_running", (uint64_t)s->o.max_streams);
    add(status, "waiting", (uint64_t)stats.n_waiting);
    add(status, "max_waiting", (uint64_t)s->o.max_queue);
    add(status, "reserved_bytes", stats.reserved);
    add(status, "memory_bytes", stats.memory);
    add(status, "steps", stats.n_steps);
    add(status, "prompt_rows", stats.n_prompt_rows);
    add(status, "tokens", stats.n_tokens);
    add(status, "prompt_tokens", stats.n_prompt_tokens);
    add(status, "reused_tokens", stats.n_reused_tokens);
    add(status, "drafts", stats.n_drafts);
    add(status, "drafts_right", stats.n_right);
    add(status, "cache_entries", (uint64_t)stats.cache.n_entries);
    add(status, "cache_bytes", stats.cache.bytes);
    add(status, "cache_disk_bytes", stats.cache.disk.bytes);
    http_add_header(r, "cache-control", "no-store");
    reply_json(r, 200, status);
}
