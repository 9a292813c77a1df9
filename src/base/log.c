#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic int max_level = LOG_WARN;

void log_set_level(enum log_level level)
{
    max_level = (int)level;
}

/* One fputs per line, so that lines of several threads do not mix. */
static void write_line(enum log_level level, const char *tag, const char *fmt, va_list ap)
{
    if ((int)level > max_level) return;
    char line[1024];
    int n = snprintf(line, sizeof line, "%s", tag);
    vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    make_printable(line);
    size_t end = 0;
    while (line[end])
        end++;
    line[end] = '\n';
    line[end + 1] = 0;
    fputs(line, stderr);
}

#define LOG_AT(level, tag)                                                                         \
    va_list ap;                                                                                    \
    va_start(ap, fmt);                                                                             \
    write_line(level, tag, fmt, ap);                                                               \
    va_end(ap)

void log_error(const char *fmt, ...)
{
    LOG_AT(LOG_ERROR, "error: ");
}

void log_warn(const char *fmt, ...)
{
    LOG_AT(LOG_WARN, "warning: ");
}

void log_info(const char *fmt, ...)
{
    LOG_AT(LOG_INFO, "");
}

void log_debug(const char *fmt, ...)
{
    LOG_AT(LOG_DEBUG, "");
}
