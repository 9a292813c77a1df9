#include "secure/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"

/* Of TLS 1.2; those of 1.3 are all good. */
static const char CIPHERS[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

struct tls {
    char *cert, *key;
    SSL_CTX *ctx; /* NULL: half-open */
};

/* The oldest thing that OpenSSL says, without the place in its source. */
static int fail(struct err *err, const char *path)
{
    unsigned long code = ERR_get_error();
    const char *why = ERR_reason_error_string(code);
    ERR_clear_error();
    return err_set(err, ERR_FORMAT, "%s: %s", path, why ? why : "not readable");
}

/* Of the protocols that the client speaks http/1.1 is ours; with others alone there is no talk. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *size,
                           const unsigned char *in, unsigned in_size, void *ctx)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen = NULL;
    (void)ssl;
    (void)ctx;
    int rc = SSL_select_next_proto(&chosen, size, ours, sizeof ours - 1, in, in_size);
    *out = chosen;
    return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A question for the key's password would stall the server. */
static int no_password(char *out, int size, int writing, void *ctx)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

static void set_rules(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
}

static void check_reader(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && st.st_mode & (S_IROTH | S_IWOTH))
        log_warn("%s: this key can be read by all users of the machine", path);
}

static SSL_CTX *read_files(const struct tls *t, struct err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    CHECK(ctx, "no TLS");
    ERR_clear_error();
    set_rules(ctx);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ctx, CIPHERS) != 1)
        fail(err, "TLS 1.2");
    else if (SSL_CTX_use_certificate_chain_file(ctx, t->cert) != 1)
        fail(err, t->cert);
    else if (SSL_CTX_use_PrivateKey_file(ctx, t->key, SSL_FILETYPE_PEM) != 1)
        fail(err, t->key); /* also when it is not the certificate's */
    else
        return ctx;
    SSL_CTX_free(ctx);
    return NULL;
}

int tls_reload(struct tls *t, struct err *err)
{
    SSL_CTX *ctx = read_files(t, err);
    if (!ctx) return -1;
    check_reader(t->key);
    SSL_CTX_free(t->ctx);
    t->ctx = ctx;
    return 0;
}

int tls_open(struct tls **out, const char *cert, const char *key, struct err *err)
{
    struct tls *t = xcalloc(1, sizeof *t);
    t->cert = xstrdup(cert);
    t->key = xstrdup(key);
    *out = NULL;
    if (tls_reload(t, err)) {
        tls_close(t);
        return -1;
    }
    *out = t;
    return 0;
}

void tls_close(struct tls *t)
{
    if (!t) return;
    SSL_CTX_free(t->ctx);
    free(t->cert);
    free(t->key);
    free(t);
}

struct ssl_st *tls_session(struct tls *t)
{
    return SSL_new(t->ctx);
}

void tls_free_session(struct ssl_st *ssl)
{
    SSL_free(ssl);
}

void tls_say_end(struct ssl_st *ssl)
{
    if (SSL_is_init_finished(ssl)) SSL_shutdown(ssl);
    ERR_clear_error();
}
