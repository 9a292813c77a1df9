#include "cli/show.h"

#include <string.h>
#include <unistd.h>

static const char DIM[] = "\033[2m", PLAIN[] = "\033[0m";

void show_init(struct show *s, FILE *out)
{
    *s = (struct show){.out = out, .terminal = isatty(fileno(out))};
}

static void put(struct show *s, const char *text, size_t size)
{
    if (!size) return;
    fwrite(text, 1, size, s->out);
    s->last = text[size - 1];
}

static void put_str(struct show *s, const char *text)
{
    put(s, text, strlen(text));
}

/* True for C0 but tab and newline, for DEL, and for C1, which is C2 80..9F in UTF-8. */
static bool is_control(const char *text, size_t size, int *length)
{
    unsigned char c = (unsigned char)text[0];
    *length = 1;
    if (c == 0xC2 && size > 1 && (unsigned char)text[1] < 0xA0) {
        *length = 2;
        return true;
    }
    return (c < 0x20 && c != '\t' && c != '\n') || c == 0x7F;
}

static void put_model_text(struct show *s, const char *text, size_t size)
{
    size_t from = 0, i = 0;
    while (s->terminal && i < size) {
        int length;
        if (!is_control(text + i, size - i, &length)) {
            i++;
            continue;
        }
        put(s, text + from, i - from);
        put_str(s, "?");
        i += (size_t)length;
        from = i;
    }
    put(s, text + from, size - from);
}

static void begin_reasoning(struct show *s)
{
    if (s->in_thinking) return;
    fputs(s->terminal ? DIM : "<think>\n", s->out);
    s->in_thinking = true;
}

static void close_reasoning(struct show *s)
{
    if (!s->in_thinking) return;
    if (s->terminal)
        fputs(PLAIN, s->out);
    else
        put_str(s, s->last == '\n' ? "</think>" : "\n</think>");
    s->in_thinking = false;
}

static void end_reasoning(struct show *s)
{
    if (!s->in_thinking) return;
    close_reasoning(s);
    put_str(s, s->last == '\n' ? "\n" : "\n\n");
}

static void end_line(struct show *s)
{
    if (s->last && s->last != '\n') put_str(s, "\n");
}

static void end_call(struct show *s, const char *how)
{
    if (!s->in_call) return;
    put_str(s, how);
    s->in_call = false;
}

void show_event(struct show *s, const struct parse_event *e)
{
    switch (e->kind) {
    case PARSE_REASONING:
        if (!s->terminal && !s->thinking) return;
        begin_reasoning(s);
        put_model_text(s, e->text, e->size);
        break;
    case PARSE_CONTENT:
        end_reasoning(s);
        put_model_text(s, e->text, e->size);
        break;
    case PARSE_CALL:
        end_reasoning(s);
        end_line(s);
        put_str(s, "[call ");
        put_model_text(s, e->text, e->size);
        put_str(s, " ");
        s->in_call = true;
        break;
    case PARSE_ARGUMENTS:
        put_model_text(s, e->text, e->size);
        break;
    case PARSE_CALL_END:
        end_call(s, "]");
        break;
    case PARSE_CALL_BROKEN:
        end_call(s, " (incomplete)]");
        break;
    }
    fflush(s->out);
}

void show_end(struct show *s)
{
    close_reasoning(s);
    end_line(s);
    fflush(s->out);
}
