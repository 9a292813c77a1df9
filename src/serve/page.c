#include "serve/page.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "serve/server_state.h"

/* The Makefile makes an object of every file in src/serve/page: its bytes between these two names. */
#define EMBEDDED(name) extern const unsigned char page_##name[], page_##name##_end[]

EMBEDDED(index_html);
EMBEDDED(style_css);
EMBEDDED(icon_svg);
EMBEDDED(app_js);
EMBEDDED(api_js);
EMBEDDED(chat_js);
EMBEDDED(dom_js);
EMBEDDED(markdown_js);
EMBEDDED(settings_js);
EMBEDDED(status_js);
EMBEDDED(store_js);
EMBEDDED(theme_js);

static const char HTML[] = "text/html; charset=utf-8";
static const char CSS[] = "text/css; charset=utf-8";
static const char SCRIPT[] = "text/javascript; charset=utf-8";
static const char SVG[] = "image/svg+xml";

static const char POLICY[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

struct page_file {
    const char *path, *type;
    const unsigned char *begin, *end;
};

#define FILE_AT(path, type, name)                                                                  \
    {                                                                                              \
        path, type, page_##name, page_##name##_end                                                 \
    }

static const struct page_file files[] = {
    FILE_AT("/", HTML, index_html),
    FILE_AT("/page/style.css", CSS, style_css),
    FILE_AT("/page/icon.svg", SVG, icon_svg),
    FILE_AT("/page/app.js", SCRIPT, app_js),
    FILE_AT("/page/api.js", SCRIPT, api_js),
    FILE_AT("/page/chat.js", SCRIPT, chat_js),
    FILE_AT("/page/dom.js", SCRIPT, dom_js),
    FILE_AT("/page/markdown.js", SCRIPT, markdown_js),
    FILE_AT("/page/settings.js", SCRIPT, settings_js),
    FILE_AT("/page/status.js", SCRIPT, status_js),
    FILE_AT("/page/store.js", SCRIPT, store_js),
    FILE_AT("/page/theme.js", SCRIPT, theme_js),
};

/* By what the path ends with: a base may stand before it. */
static const struct page_file *find_file(const char *path)
{
    const char *at = strstr(path, "/page");
    if (!at) return &files[0];
    for (size_t i = 1; i < sizeof files / sizeof *files; i++)
        if (!strcmp(at, files[i].path)) return &files[i];
    return NULL;
}

bool page_tag_matches(const char *list, const char *tag)
{
    size_t n = strlen(tag);
    while (list && *list) {
        list += strspn(list, " \t,");
        if (*list == '*') return true;
        if (!strncmp(list, "W/", 2)) list += 2;
        size_t word = strcspn(list, " \t,");
        if (word == n && !strncmp(list, tag, n)) return true;
        list += word;
    }
    return false;
}

static void add_headers(struct http_request *r, const char *tag)
{
    static const char *const headers[][2] = {{"cache-control", "no-cache"},
                                             {"content-security-policy", POLICY},
                                             {"cross-origin-opener-policy", "same-origin"},
                                             {"cross-origin-resource-policy", "same-origin"},
                                             {"referrer-policy", "no-referrer"},
                                             {"x-content-type-options", "nosniff"},
                                             {"x-frame-options", "DENY"}};
    http_add_header(r, "etag", tag);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        http_add_header(r, headers[i][0], headers[i][1]);
}

void page_answer(struct server *s, struct http_request *r)
{
    const struct page_file *f = find_file(http_path(r));
    struct api_error e = {0};
    char tag[24];
    (void)s;
    if (!f) {
        api_refuse(&e, 404, NULL, "There is nothing at %s %s", http_method(r), http_path(r));
        reply_refusal(r, API_OPENAI, &e, NULL);
        return;
    }
    size_t size = (size_t)(f->end - f->begin);
    snprintf(tag, sizeof tag, "\"%016llx\"", (unsigned long long)XXH3_64bits(f->begin, size));
    add_headers(r, tag);
    if (page_tag_matches(http_header(r, "if-none-match"), tag))
        http_reply(r, 304, NULL, NULL, 0);
    else
        http_reply(r, 200, f->type, f->begin, size);
}
