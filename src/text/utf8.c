#include "text/utf8.h"

#include <string.h>

/* The bytes that may follow `lead` lie in [lo, hi]; later ones in [0x80, 0xbf]. Returns the length
 * of the sequence, 0 when nothing starts with this byte. */
static int lead_length(unsigned char lead, unsigned char *lo, unsigned char *hi)
{
    *lo = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    *hi = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) return 2;
    if (lead >= 0xe0 && lead <= 0xef) return 3;
    if (lead >= 0xf0 && lead <= 0xf4) return 4;
    return 0;
}

/* As utf8_decode; *cut says whether more bytes could complete what is there. */
static int decode(const char *s, size_t size, int32_t *cp, bool *cut)
{
    unsigned char lead = (unsigned char)s[0], lo, hi;
    *cut = false;
    *cp = lead;
    if (lead < 0x80) return 1;
    *cp = -1;
    int length = lead_length(lead, &lo, &hi);
    if (length == 0) return 1;
    int32_t value = lead & (0xff >> (length + 1));
    for (int i = 1; i < length; i++) {
        if ((size_t)i == size) {
            *cut = true;
            return i;
        }
        unsigned char c = (unsigned char)s[i];
        if (c < lo || c > hi) return i;
        value = value << 6 | (c & 0x3f);
        lo = 0x80;
        hi = 0xbf;
    }
    *cp = value;
    return length;
}

int utf8_decode(const char *s, size_t size, int32_t *cp)
{
    bool cut;
    return decode(s, size, cp, &cut);
}

int utf8_encode(int32_t cp, char out[4])
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    int length = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (int i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (cp & 0x3f));
        cp >>= 6;
    }
    out[0] = (char)(0xf00 >> length | cp);
    return length;
}

bool utf8_valid(const char *s, size_t size)
{
    int32_t cp;
    for (size_t i = 0; i < size;) {
        i += (size_t)utf8_decode(s + i, size - i, &cp);
        if (cp < 0) return false;
    }
    return true;
}

static const char replacement[] = "\xef\xbf\xbd";

/* Appends what is complete in s[0, size); returns how many bytes it dealt with. The rest, at most
 * three bytes, is the beginning of a character. */
static size_t add_complete(const char *s, size_t size, struct buf *out)
{
    size_t good = 0, i = 0;
    while (i < size) {
        int32_t cp;
        bool cut;
        int n = decode(s + i, size - i, &cp, &cut);
        if (cp < 0) {
            buf_add(out, s + good, i - good);
            if (cut) return i;
            buf_add_str(out, replacement);
            good = i + (size_t)n;
        }
        i += (size_t)n;
    }
    buf_add(out, s + good, i - good);
    return size;
}

void utf8_stream_add(struct utf8_stream *s, const char *bytes, size_t size, struct buf *out)
{
    /* A character begun earlier: feed it byte by byte until nothing waits. */
    while (s->n_pending > 0 && size > 0) {
        s->pending[s->n_pending++] = *bytes++;
        size--;
        size_t n = (size_t)s->n_pending, done = add_complete(s->pending, n, out);
        memmove(s->pending, s->pending + done, n - done);
        s->n_pending = (int)(n - done);
    }
    size_t done = add_complete(bytes, size, out);
    if (done < size) {
        memcpy(s->pending, bytes + done, size - done);
        s->n_pending = (int)(size - done);
    }
}

void utf8_stream_end(struct utf8_stream *s, struct buf *out)
{
    if (s->n_pending > 0) buf_add_str(out, replacement);
    s->n_pending = 0;
}
