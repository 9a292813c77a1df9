/* GET /status.json: what the server counts, for the page's status view. Numbers, the model's name and the
 * version; of requests and their texts nothing. Needs the key, as what it tells is of all who ask.
 *
 *     version, model, context         as /version, /models
 *     uptime_seconds, stopping
 *     connections                     open now
 *     running, max_running            answers under way
 *     waiting, max_waiting            requests in the queue
 *     reserved_bytes, memory_bytes    memory set aside for the worst case of what runs, and all there is for it
 *     steps, prompt_rows, tokens      since the start: steps of the model, rows of prompts computed, tokens drawn
 *     prompt_tokens, reused_tokens    of answers that ended: of their prompts computed, and found computed
 *     drafts, drafts_right            of answers that ended: tokens drafted, and of these right */
#pragma once

struct server;
struct http_request;

void v1_status(struct server *s, struct http_request *r);
