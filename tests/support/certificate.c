#include "certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

enum { DAY = 86400 };

void certificate_open(struct certificate *c)
{
    snprintf(c->folder, sizeof c->folder, "/tmp/tenon-cert-XXXXXX");
    CHECK(mkdtemp(c->folder), "no folder");
    snprintf(c->cert, sizeof c->cert, "%s/cert.pem", c->folder);
    snprintf(c->key, sizeof c->key, "%s/key.pem", c->folder);
}

void certificate_close(struct certificate *c)
{
    unlink(c->cert);
    unlink(c->key);
    rmdir(c->folder);
}

void certificate_write(const struct certificate *c, const char *name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FILE *cert_file = fopen(c->cert, "we"), *key_file = fopen(c->key, "we");
    CHECK(key && cert && cert_file && key_file && fchmod(fileno(key_file), 0600) == 0,
          "no certificate");
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -DAY);
    X509_gmtime_adj(X509_getm_notAfter(cert), DAY);
    X509_set_version(cert, 2);
    X509_set_issuer_name(cert, subject);
    X509_set_pubkey(cert, key);
    CHECK(X509_sign(cert, key, EVP_sha256()) && PEM_write_X509(cert_file, cert) == 1 &&
              PEM_write_PrivateKey(key_file, key, NULL, NULL, 0, NULL, NULL) == 1,
          "no certificate");
    fclose(cert_file);
    fclose(key_file);
    X509_free(cert);
    EVP_PKEY_free(key);
}
