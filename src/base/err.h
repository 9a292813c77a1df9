/* Errors as values.
 *
 * A function that can fail for reasons outside the program (input, I/O, device) returns 0 or -1,
 * takes `struct err *err` last and fills it. Pass it up unchanged; whoever handles it logs it.
 * A broken invariant of our own is CHECK, which aborts. */
#pragma once

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum err_code {
    ERR_NONE = 0,
    ERR_IO,          /* the operating system refused: open, read, write */
    ERR_FORMAT,      /* bytes that break their format's rules */
    ERR_UNSUPPORTED, /* well formed, but not something Tenon does; the message names it */
    ERR_ARGUMENT,    /* a caller's or user's argument is out of range */
    ERR_LIMIT,       /* a stated budget or cap would be exceeded */
    ERR_DEVICE,      /* an accelerator failed */
    ERR_NUMERIC,     /* NaN or infinity where a number must be */
    ERR_CANCELLED,   /* the user stopped the work */
};

struct err {
    enum err_code code;
    char
        message[512]; /* one line, no newline; names the object, what was found, what was allowed */
};

/* Fills err (which may be NULL) and returns -1, so that `return err_set(...)` reads well. The first
 * error wins: an err that already holds a code is left alone. Bytes of the arguments that are not
 * printable appear escaped, so file content cannot forge log lines. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Control bytes and C1 control characters (U+0080 to U+009F in UTF-8) become '?', in place, so that a
 * name from a file cannot start a new line or drive a terminal. Other UTF-8 passes. */
void make_printable(char *s);

/* Adds "prefix: " in front of the message, to name the file or object on the way up. */
int err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Aborts with file, line and message when cond is false; in release builds too. */
#define CHECK(cond, ...)                                                                           \
    do {                                                                                           \
        if (!(cond)) check_failed(__FILE__, __LINE__, #cond, __VA_ARGS__);                         \
    } while (0)

_Noreturn void check_failed(const char *file, int line, const char *cond, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
