#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "../support/certificate.h"
#include "../support/http_world.h"
#include "base/file.h"
#include "secure/tls.h"

#define GET "GET / HTTP/1.1\r\n" H "\r\n"

/* A server with TLS. */
struct safe {
    struct world world;
    struct certificate files;
    struct tls *tls;
};

static void safe_open(struct safe *s, double header_seconds)
{
    struct http_options o = patient();
    struct err err = {0};
    certificate_open(&s->files);
    certificate_write(&s->files, "first");
    if (tls_open(&s->tls, s->files.cert, s->files.key, &err)) fail_msg("%s", err.message);
    o.tls = s->tls;
    o.header_seconds = header_seconds;
    world_open(&s->world, &o, NULL);
}

static void safe_close(struct safe *s)
{
    world_close(&s->world);
    tls_close(s->tls);
    certificate_close(&s->files);
}

/* A client, driven by turns of the server's loop. */
struct client {
    struct world *w;
    SSL_CTX *ctx;
    SSL *ssl;
    int fd;
};

static void client_open(struct client *c, struct safe *s, int version)
{
    static const unsigned char protocols[] = "\x02h2\x08http/1.1";
    *c = (struct client){.w = &s->world, .ctx = SSL_CTX_new(TLS_client_method())};
    SSL_CTX_set_security_level(c->ctx, 0); /* else it would not even offer an old version */
    SSL_CTX_set_min_proto_version(c->ctx, version);
    SSL_CTX_set_max_proto_version(c->ctx, version);
    SSL_CTX_set_alpn_protos(c->ctx, protocols, sizeof protocols - 1);
    c->ssl = SSL_new(c->ctx);
    c->fd = dial(c->w);
    assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
    SSL_set_fd(c->ssl, c->fd);
}

static void client_close(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    close(c->fd);
    ERR_clear_error();
}

/* Whether an operation that gave rc wants to be tried again, after a turn of the server. */
static bool again(struct client *c, int rc)
{
    int why = SSL_get_error(c->ssl, rc);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return false;
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    turn(c->w);
    poll(&p, 1, 1);
    return true;
}

static int shake_hands(struct client *c)
{
    int rc, steps = 0;
    while ((rc = SSL_connect(c->ssl)) != 1 && again(c, rc) && steps < MAX_STEPS)
        steps++;
    return rc;
}

static void ask(struct client *c, const char *text)
{
    int rc, steps = 0;
    while ((rc = SSL_write(c->ssl, text, (int)strlen(text))) <= 0 && again(c, rc) &&
           steps < MAX_STEPS)
        steps++;
    assert_int_equal(rc, strlen(text));
}

/* Reads until n bytes are there or the other side closes; true when it has closed as TLS wants it. */
static bool hear_tls(struct client *c, struct buf *in, size_t n)
{
    char bytes[4096];
    int rc = 0;
    buf_init(in, MAX_RECEIVED);
    for (int steps = 0; in->size < n && steps < MAX_STEPS; steps++) {
        rc = SSL_read(c->ssl, bytes, sizeof bytes);
        if (rc > 0)
            buf_add(in, bytes, (size_t)rc);
        else if (!again(c, rc))
            break;
    }
    return rc <= 0 && SSL_get_error(c->ssl, rc) == SSL_ERROR_ZERO_RETURN;
}

static void check_answer(struct client *c)
{
    struct buf in;
    ask(c, GET);
    hear_tls(c, &in, 100);
    assert_non_null(strstr(buf_text(&in), "HTTP/1.1 200 OK\r\n"));
    buf_fini(&in);
}

static void check_name(const struct client *c, const char *wanted)
{
    char name[64] = "";
    X509 *cert = SSL_get1_peer_certificate(c->ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
    X509_free(cert);
    assert_string_equal(name, wanted);
}

static void both_versions_are_answered(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct safe s;
    safe_open(&s, 1000);
    for (size_t i = 0; i < 2; i++) {
        struct client c;
        const unsigned char *protocol;
        unsigned size;
        client_open(&c, &s, versions[i]);
        assert_int_equal(shake_hands(&c), 1);
        assert_int_equal(SSL_version(c.ssl), versions[i]);
        SSL_get0_alpn_selected(c.ssl, &protocol, &size);
        assert_int_equal(size, 8);
        assert_memory_equal(protocol, "http/1.1", 8);
        check_name(&c, "first");
        for (int k = 0; k < 3; k++)
            check_answer(&c); /* on one connection */
        assert_false(SSL_SESSION_is_resumable(SSL_get0_session(c.ssl)));
        client_close(&c);
    }
    WAIT_FOR(&s.world, http_connections(s.world.server) == 0);
    safe_close(&s);
}

static void the_best_version_is_taken(void **state)
{
    (void)state;
    struct safe s;
    struct client c;
    safe_open(&s, 1000);
    client_open(&c, &s, 0); /* any */
    assert_int_equal(shake_hands(&c), 1);
    assert_int_equal(SSL_version(c.ssl), TLS1_3_VERSION);
    client_close(&c);
    safe_close(&s);
}

static void old_versions_are_refused(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_VERSION, TLS1_1_VERSION};
    struct safe s;
    safe_open(&s, 1000);
    for (size_t i = 0; i < 2; i++) {
        struct client c;
        client_open(&c, &s, versions[i]);
        assert_int_equal(shake_hands(&c), -1);
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
        client_close(&c);
        WAIT_FOR(&s.world, http_connections(s.world.server) == 0);
    }
    assert_int_equal(s.world.n_heads, 0);
    safe_close(&s);
}

static void renegotiation_is_refused(void **state)
{
    (void)state;
    struct safe s;
    struct client c;
    int rc, steps = 0;
    safe_open(&s, 1000);
    client_open(&c, &s, TLS1_2_VERSION);
    assert_int_equal(shake_hands(&c), 1);
    check_answer(&c);
    assert_int_equal(SSL_renegotiate(c.ssl), 1);
    while ((rc = SSL_do_handshake(c.ssl)) != 1 && again(&c, rc) && steps < MAX_STEPS)
        steps++;
    assert_int_not_equal(rc, 1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    client_close(&c);
    safe_close(&s);
}

static void a_large_answer_and_a_stream_arrive_whole(void **state)
{
    (void)state;
    struct safe s;
    struct client c;
    struct buf in;
    safe_open(&s, 1000);
    client_open(&c, &s, TLS1_3_VERSION);
    assert_int_equal(shake_hands(&c), 1);
    ask(&c, "GET /big HTTP/1.1\r\n" H "\r\n");
    hear_tls(&c, &in, sizeof BIG);
    const char *body = strstr(buf_text(&in), "\r\n\r\n");
    assert_non_null(body);
    size_t head = (size_t)(body - in.data) + 4, left = sizeof BIG + head - in.size;
    buf_fini(&in);
    if (left) hear_tls(&c, &in, left);
    if (left) buf_fini(&in);
    ask(&c, "GET /stream HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    assert_true(hear_tls(&c, &in, SIZE_MAX)); /* to the end, which is told */
    assert_non_null(strstr(buf_text(&in), "data: 1\n\n"));
    assert_non_null(strstr(buf_text(&in), "data: 2\n\n\r\n0\r\n\r\n"));
    buf_fini(&in);
    client_close(&c);
    WAIT_FOR(&s.world, http_connections(s.world.server) == 0);
    safe_close(&s);
}

static void a_client_that_goes_is_seen(void **state)
{
    (void)state;
    struct safe s;
    safe_open(&s, 1000);
    for (int polite = 0; polite < 2; polite++) {
        struct client c;
        client_open(&c, &s, TLS1_3_VERSION);
        assert_int_equal(shake_hands(&c), 1);
        ask(&c, GET_HOLD);
        WAIT_FOR(&s.world, s.world.held);
        if (polite) SSL_shutdown(c.ssl);
        client_close(&c);
        WAIT_FOR(&s.world, s.world.n_gone == polite + 1);
        WAIT_FOR(&s.world, http_connections(s.world.server) == 0);
    }
    safe_close(&s);
}

/* What is not TLS gets no answer, and reaches no handler. */
static void other_talk_is_cut(void **state)
{
    (void)state;
    static const char *const talk[] = {GET, "\x16\x03\x01\xff\xff", "\xff\xfe\xfd\xfc\xfb\xfa",
                                       "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"};
    struct safe s;
    safe_open(&s, 0.5);
    for (size_t i = 0; i < sizeof talk / sizeof *talk; i++) {
        struct buf in;
        int fd = dial(&s.world);
        say(&s.world, fd, talk[i]);
        buf_init(&in, MAX_RECEIVED);
        for (int steps = 0; steps < MAX_STEPS; steps++) { /* to the end; a reset is one */
            char bytes[100];
            turn(&s.world);
            ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
            if (n > 0) buf_add(&in, bytes, (size_t)n);
            if (n == 0 || (n < 0 && errno != EAGAIN)) break;
            poll(NULL, 0, 1);
        }
        assert_true(in.size <= 7 && !strstr(buf_text(&in), "HTTP")); /* an alert at most */
        buf_fini(&in);
        close(fd);
        WAIT_FOR(&s.world, http_connections(s.world.server) == 0);
    }
    assert_int_equal(s.world.n_heads, 0);
    safe_close(&s);
}

/* A handshake of which only n bytes come. */
static void half_a_handshake_is_cut_in_time(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 5, 100};
    struct safe s;
    safe_open(&s, 0.1);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char hello[2048];
        struct client c;
        client_open(&c, &s, TLS1_3_VERSION);
        BIO *out = BIO_new(BIO_s_mem());
        SSL_set_bio(c.ssl, BIO_new(BIO_s_mem()), out);
        SSL_connect(c.ssl);
        assert_true(BIO_read(out, hello, sizeof hello) > 100);
        if (sizes[i]) send_bytes(&s.world, c.fd, (const char *)hello, sizes[i]);
        struct buf in;
        buf_init(&in, MAX_RECEIVED);
        hear(&s.world, c.fd, &in, NULL); /* until it closes */
        assert_int_equal(in.size, 0);
        client_close(&c);
    }
    WAIT_FOR(&s.world, http_connections(s.world.server) == 0);
    safe_close(&s);
}

static void a_new_certificate_is_for_new_connections(void **state)
{
    (void)state;
    struct safe s;
    struct client old, new;
    struct err err = {0};
    safe_open(&s, 1000);
    client_open(&old, &s, TLS1_3_VERSION);
    assert_int_equal(shake_hands(&old), 1);
    certificate_write(&s.files, "second");
    assert_int_equal(tls_reload(s.tls, &err), 0);
    client_open(&new, &s, TLS1_3_VERSION);
    assert_int_equal(shake_hands(&new), 1);
    check_name(&new, "second");
    check_answer(&old);
    check_answer(&new);
    client_close(&old);
    client_close(&new);
    safe_close(&s);
}

static void a_bad_pair_leaves_the_old_one(void **state)
{
    (void)state;
    struct safe s;
    struct client c;
    struct certificate other;
    struct err err[4] = {0};
    char *text;
    size_t size;
    safe_open(&s, 1000);
    certificate_open(&other);
    certificate_write(&other, "other");
    assert_int_equal(file_slurp(other.key, 1 << 20, &text, &size, &err[0]), 0);
    assert_int_equal(file_replace(s.files.key, text, size, &err[0]), 0); /* another's key */
    free(text);
    assert_int_equal(tls_reload(s.tls, &err[0]), -1);
    assert_int_equal(err[0].code, ERR_FORMAT);
    assert_int_equal(file_replace(s.files.cert, "nonsense", 8, &err[1]), 0);
    assert_int_equal(tls_reload(s.tls, &err[1]), -1);
    unlink(s.files.cert);
    assert_int_equal(tls_reload(s.tls, &err[2]), -1);
    assert_non_null(strstr(err[2].message, s.files.cert));
    client_open(&c, &s, TLS1_3_VERSION);
    assert_int_equal(shake_hands(&c), 1);
    check_name(&c, "first");
    check_answer(&c);
    client_close(&c);
    struct tls *none = NULL;
    assert_int_equal(tls_open(&none, s.files.cert, s.files.key, &err[3]), -1);
    assert_null(none);
    tls_close(NULL);
    certificate_close(&other);
    safe_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_are_answered),
        cmocka_unit_test(the_best_version_is_taken),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(a_large_answer_and_a_stream_arrive_whole),
        cmocka_unit_test(a_client_that_goes_is_seen),
        cmocka_unit_test(other_talk_is_cut),
        cmocka_unit_test(half_a_handshake_is_cut_in_time),
        cmocka_unit_test(a_new_certificate_is_for_new_connections),
        cmocka_unit_test(a_bad_pair_leaves_the_old_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
