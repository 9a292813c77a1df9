/* GET / and GET /page/NAME: the chat page, whose files (src/serve/page/) are in the program.
 *
 * The files are open to all; what the page asks of the API needs the key. They name each other, and the
 * endpoints, by relative paths, so that the page works under every base and behind a proxy. A browser keeps
 * them, and asks each time whether they are still the same (ETag, 304). The headers forbid code and styles
 * inside the page's text, anything from another host, frames, and strings that become HTML. */
#pragma once
#include "serve/http.h"

struct server;

void page_answer(struct server *s, struct http_request *r);

/* Whether If-None-Match (a list of tags, or *; NULL: none) names this tag, which has its quotes. */
bool page_tag_matches(const char *list, const char *tag);
