/* The chat page as files: what a browser gets, and when it gets nothing new. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "../support/http_world.h"
#include "serve/page.h"

static void answer(void *ctx, struct http_request *r)
{
    (void)ctx;
    page_answer(NULL, r);
}

static int setup(void **state)
{
    static struct world w;
    struct http_options o = patient();
    struct http_handler h = {.request = answer};
    world_open(&w, &o, &h);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    return 0;
}

/* One request and its whole answer; lines are more header lines. */
static void fetch(struct world *w, const char *method, const char *path, const char *lines,
                  struct buf *out)
{
    char request[512];
    buf_init(out, MAX_RECEIVED);
    int fd = dial(w);
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\n" H "Connection: close\r\n%s\r\n", method,
             path, lines);
    say(w, fd, request);
    hear(w, fd, out, NULL);
    close(fd);
}

static bool has(const struct buf *b, const char *text)
{
    return strstr(buf_text(b), text) != NULL;
}

static const char *body_of(const struct buf *b)
{
    const char *end = strstr(buf_text(b), "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

/* The value of the ETag line. */
static void tag_of(const struct buf *b, char tag[64])
{
    const char *line = strstr(buf_text(b), "\r\netag: ");
    assert_non_null(line);
    assert_int_equal(sscanf(line, "\r\netag: %63[^\r]", tag), 1);
}

static void the_page_is_html_that_names_its_files(void **state)
{
    struct buf b;
    fetch(*state, "GET", "/", "", &b);
    assert_true(has(&b, "HTTP/1.1 200 OK\r\n"));
    assert_true(has(&b, "Content-Type: text/html; charset=utf-8\r\n"));
    assert_memory_equal(body_of(&b), "<!doctype html>", 15);
    assert_true(has(&b, "href=\"page/style.css\""));
    assert_true(has(&b, "src=\"page/app.js\""));
    assert_string_equal(b.data + b.size - 8, "</html>\n");
    buf_fini(&b);
}

static void each_file_has_its_type(void **state)
{
    static const char *const types[][2] = {{"/page/style.css", "text/css; charset=utf-8"},
                                           {"/page/icon.svg", "image/svg+xml"},
                                           {"/page/app.js", "text/javascript; charset=utf-8"},
                                           {"/v1/page/chat.js", "text/javascript; charset=utf-8"},
                                           {"/beta/v1/", "text/html; charset=utf-8"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct buf b;
        char line[128];
        fetch(*state, "GET", types[i][0], "", &b);
        snprintf(line, sizeof line, "\r\nContent-Type: %s\r\n", types[i][1]);
        assert_true(has(&b, "HTTP/1.1 200 OK\r\n"));
        assert_true(has(&b, line));
        assert_true(strlen(body_of(&b)) > 100);
        buf_fini(&b);
    }
}

static void every_answer_forbids_foreign_code(void **state)
{
    struct buf b;
    fetch(*state, "GET", "/", "", &b);
    const char *policy = strstr(buf_text(&b), "\r\ncontent-security-policy: default-src 'none'; ");
    assert_non_null(policy);
    assert_true(has(&b, "script-src 'self';"));
    assert_true(has(&b, "frame-ancestors 'none';"));
    assert_false(has(&b, "unsafe"));
    assert_true(has(&b, "\r\nx-content-type-options: nosniff\r\n"));
    assert_true(has(&b, "\r\nreferrer-policy: no-referrer\r\n"));
    assert_true(has(&b, "\r\ncache-control: no-cache\r\n"));
    buf_fini(&b);
}

/* The policy would stop it, and the page would not work. */
static void the_page_holds_no_code_of_its_own(void **state)
{
    struct buf b;
    fetch(*state, "GET", "/", "", &b);
    const char *body = body_of(&b);
    assert_null(strstr(body, "style="));
    assert_null(strstr(body, "<style"));
    assert_null(strstr(body, "onclick"));
    assert_null(strstr(body, "javascript:"));
    assert_null(strstr(body, "://"));
    for (const char *at = body; (at = strstr(at, "<script")); at++) {
        const char *end = strchr(at, '>'), *src = strstr(at, " src=\"page/");
        assert_true(src && src < end);
        assert_memory_equal(end, "></script>", 10);
    }
    buf_fini(&b);
}

static void what_the_browser_has_is_not_sent_again(void **state)
{
    struct buf b;
    char tag[64], line[128];
    fetch(*state, "GET", "/page/app.js", "", &b);
    tag_of(&b, tag);
    buf_fini(&b);
    snprintf(line, sizeof line, "If-None-Match: \"other\", W/%s\r\n", tag);
    fetch(*state, "GET", "/page/app.js", line, &b);
    assert_true(has(&b, "HTTP/1.1 304 Not Modified\r\n"));
    assert_true(has(&b, tag));
    assert_true(has(&b, "\r\ncache-control: no-cache\r\n"));
    assert_string_equal(body_of(&b), "");
    buf_fini(&b);
    fetch(*state, "GET", "/page/chat.js", line, &b);
    assert_true(has(&b, "HTTP/1.1 200 OK\r\n"));
    buf_fini(&b);
}

static void head_tells_the_length_alone(void **state)
{
    struct buf head, whole;
    char line[64];
    fetch(*state, "HEAD", "/page/style.css", "", &head);
    fetch(*state, "GET", "/page/style.css", "", &whole);
    snprintf(line, sizeof line, "\r\nContent-Length: %zu\r\n", strlen(body_of(&whole)));
    assert_true(has(&head, line));
    assert_true(has(&head, "HTTP/1.1 200 OK\r\n"));
    assert_string_equal(body_of(&head), "");
    buf_fini(&head);
    buf_fini(&whole);
}

static void an_unknown_file_is_404(void **state)
{
    static const char *const paths[] = {"/page", "/page/", "/page/none.js", "/page/app.js/",
                                        "/page/page/app.js"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct buf b;
        fetch(*state, "GET", paths[i], "", &b);
        assert_true(has(&b, "HTTP/1.1 404 Not Found\r\n"));
        assert_true(has(&b, "\"error\""));
        buf_fini(&b);
    }
}

static void a_tag_is_found_in_a_list(void **state)
{
    (void)state;
    static const char tag[] = "\"1f\"";
    assert_true(page_tag_matches("\"1f\"", tag));
    assert_true(page_tag_matches("W/\"1f\"", tag));
    assert_true(page_tag_matches("\"2\" ,\t\"1f\"", tag));
    assert_true(page_tag_matches("*", tag));
    assert_false(page_tag_matches(NULL, tag));
    assert_false(page_tag_matches("", tag));
    assert_false(page_tag_matches("1f", tag));
    assert_false(page_tag_matches("\"1f", tag));
    assert_false(page_tag_matches("\"1f\"x", tag));
    assert_false(page_tag_matches(", ,W/", tag));
}

#define WITH_PAGE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {WITH_PAGE(the_page_is_html_that_names_its_files),
                                       WITH_PAGE(each_file_has_its_type),
                                       WITH_PAGE(every_answer_forbids_foreign_code),
                                       WITH_PAGE(the_page_holds_no_code_of_its_own),
                                       WITH_PAGE(what_the_browser_has_is_not_sent_again),
                                       WITH_PAGE(head_tells_the_length_alone),
                                       WITH_PAGE(an_unknown_file_is_404),
                                       cmocka_unit_test(a_tag_is_found_in_a_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
