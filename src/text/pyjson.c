#include "text/pyjson.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pyjson_float(double x, char out[64])
{
    /* The fewest digits that read back as x: d[.ddd]e+XX */
    char text[40], digits[20];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, x);
        if (strtod(text, NULL) == x) break;
    }
    const char *at = text;
    char *o = out;
    if (*at == '-') *o++ = *at++;
    int n = 0;
    for (; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9') digits[n++] = *at;
    int exponent = (int)strtol(at + 1, NULL, 10);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = 0;

    if (exponent < -4 || exponent >= 16) {
        snprintf(o, 62, "%c%s%se%c%02d", digits[0], n > 1 ? "." : "", digits + 1,
                 exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        snprintf(o, 62, "0.%.*s%s", -exponent - 1, "000", digits);
    } else if (n <= exponent + 1) {
        snprintf(o, 62, "%s%.*s.0", digits, exponent + 1 - n, "0000000000000000");
    } else {
        snprintf(o, 62, "%.*s.%s", exponent + 1, digits, digits + exponent + 1);
    }
}

void pyjson_add_escaped(struct buf *out, const char *s, size_t size)
{
    static const char short_forms[] = "\"\"\\\\\nn\tt\rr\bb\ff";
    size_t plain = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        buf_add(out, s + plain, i - plain);
        plain = i + 1;
        const char *form = short_forms;
        while (*form && (unsigned char)*form != c)
            form += 2;
        if (*form)
            buf_printf(out, "\\%c", form[1]);
        else
            buf_printf(out, "\\u%04x", c);
    }
    buf_add(out, s + plain, size - plain);
}

void pyjson_add_string(struct buf *out, const char *s, size_t size)
{
    buf_add_byte(out, '"');
    pyjson_add_escaped(out, s, size);
    buf_add_byte(out, '"');
}

static void add_object(struct buf *out, const json_t *object)
{
    /* jansson's iterators want a value that may change; it does not. */
    union {
        const json_t *in;
        json_t *out;
    } o = {.in = object};
    const char *separator = "";
    buf_add_byte(out, '{');
    for (void *i = json_object_iter(o.out); i; i = json_object_iter_next(o.out, i)) {
        const char *key = json_object_iter_key(i);
        buf_add_str(out, separator);
        pyjson_add_string(out, key, strlen(key));
        buf_add_str(out, ": ");
        pyjson_add(out, json_object_iter_value(i));
        separator = ", ";
    }
    buf_add_byte(out, '}');
}

void pyjson_add(struct buf *out, const json_t *value)
{
    char number[64];
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        add_object(out, value);
        break;
    case JSON_ARRAY:
        buf_add_byte(out, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i) buf_add_str(out, ", ");
            pyjson_add(out, json_array_get(value, i));
        }
        buf_add_byte(out, ']');
        break;
    case JSON_STRING:
        pyjson_add_string(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        buf_printf(out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        pyjson_float(json_real_value(value), number);
        buf_add_str(out, number);
        break;
    case JSON_TRUE:
        buf_add_str(out, "true");
        break;
    case JSON_FALSE:
        buf_add_str(out, "false");
        break;
    case JSON_NULL:
        buf_add_str(out, "null");
        break;
    }
}
