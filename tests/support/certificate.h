/* Certificates for tests, made on the spot. */
#pragma once

/* A folder with a certificate that signs itself, for the name, and its key; the files can be made again. */
struct certificate {
    char folder[40], cert[64], key[64];
};

void certificate_open(struct certificate *c);
void certificate_close(struct certificate *c);
/* Writes both files anew: a new key, and a certificate of that name. */
void certificate_write(const struct certificate *c, const char *name);
