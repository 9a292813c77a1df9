/* TLS for a server: a certificate and its key, TLS 1.2 and 1.3, by OpenSSL.
 *
 *     tls_open(&t, "cert.pem", "key.pem", err)
 *     ssl = tls_session(t)            for each connection
 *     tls_reload(t, err)              both files again; connections under way keep what they began with
 *
 * TLS 1.2 only with forward secrecy and AEAD; no compression, no renegotiation, and no resumption: there is
 * no ticket key that would open old talks. Connections of API clients live long, so a whole handshake for each costs
 * little. ALPN answers http/1.1. For one thread. */
#pragma once
#include "base/err.h"

struct ssl_st;
struct tls;

/* Files of PEM: cert has the server's certificate first and then those that lead to its root. A key that all users of
 * the machine can read is told in the log. ERR_FORMAT when they are bad or do not belong together. Paths are copied. */
MUST_USE int tls_open(struct tls **out, const char *cert, const char *key, struct err *err);
/* On failure what was read before stays. */
MUST_USE int tls_reload(struct tls *t, struct err *err);
void tls_close(struct tls *t); /* takes NULL; sessions live on */

/* For a connection that the client begins; NULL when there is no memory. The caller's. */
struct ssl_st *tls_session(struct tls *t);
void tls_free_session(struct ssl_st *ssl);
/* Tells the client that no more comes, if that can be done at once. */
void tls_say_end(struct ssl_st *ssl);
