/* What tells of the engine: GET /metrics, /props, /slots, /load, /loads, /get_load, /get_server_info, /get_model_info,
 * /health_generate, /lora-adapters, /tokenizer_info. None of them waits for the engine or starts work in it.
 * Source: docs/spec, API, section 7; security, rules H6 and R6. */
#pragma once
#include <stdbool.h>

#include "serve/api_error.h"

struct http_request;
struct server;

void v1_metrics(struct server *s, struct http_request *r); /* for Prometheus: serve/metrics.h */
void v1_props(struct server *s, struct http_request *r);
/* What clients ask that tokenize here (POST /tokenize): the special tokens, by their text. */
void v1_tokenizer_info(struct server *s, struct http_request *r);
/* Every place for an answer: whether one is running there, and its counts; no texts. */
void v1_slots(struct server *s, struct http_request *r);
void v1_load(struct server *s, struct http_request *r);
void v1_loads(struct server *s, struct http_request *r);
void v1_server_info(struct server *s, struct http_request *r);
void v1_model_info(struct server *s, struct http_request *r);
/* 200 while the engine's steps succeed, or none was wanted yet; 503 when the last one failed, or one is
 * under way for longer than a minute. */
void v1_health_generate(struct server *s, struct http_request *r);
void v1_lora_adapters(struct server *s, struct http_request *r);

/* The refusal of what other servers have and this one has not: 404 for what it will never do, 501 for what it
 * does not do. False for any other path. */
bool absent_refuse(const char *path, struct api_error *e);
