/* POST /tokenize, /detokenize, /apply-template: text to tokens and back. All of it happens on the prepare thread,
 * and the engine has no part in it.
 * Source: docs/spec, API, section 7. */
#include <stdlib.h>
#include <string.h>

#include "serve/chat_request.h"
#include "serve/server_state.h"
#include "serve/token_ids.h"
#include "serve/token_log.h"

enum { MAX_NAME = 1 << 20, MAX_TEXT = 64 << 20 };

/* ---- writing ---- */

static void put_string(struct buf *out, const char *text, size_t size)
{
    json_t *string = json_stringn(text, size);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (quoted)
        buf_add_str(out, quoted);
    else
        out->failed = true;
    free(quoted);
    json_decref(string);
}

static void put_ids(struct buf *out, const struct ids *ids)
{
    buf_add_byte(out, '[');
    for (size_t i = 0; i < ids->n; i++)
        buf_printf(out, i ? ",%d" : "%d", (int)ids->data[i]);
    buf_add_byte(out, ']');
}

static void put_names(struct buf *out, const struct tokenizer *t, const struct ids *ids)
{
    struct buf name;
    buf_init(&name, MAX_NAME);
    buf_add_byte(out, '[');
    for (size_t i = 0; i < ids->n; i++) {
        buf_clear(&name);
        token_name(t, ids->data[i], &name);
        if (i) buf_add_byte(out, ',');
        put_string(out, buf_text(&name), name.size);
    }
    buf_add_byte(out, ']');
    out->failed |= name.failed;
    buf_fini(&name);
}

/* llama-server's pieces: text, or a list of bytes where a token is no whole characters. */
static void put_pieces(struct buf *out, const struct tokenizer *t, const struct ids *ids)
{
    buf_add_byte(out, '[');
    for (size_t i = 0; i < ids->n; i++) {
        size_t size;
        const char *piece = tokenizer_piece(t, ids->data[i], &size);
        buf_printf(out, "%s{\"id\":%d,\"piece\":", i ? "," : "", (int)ids->data[i]);
        if (utf8_valid(piece, size)) {
            put_string(out, piece, size);
        } else {
            for (size_t k = 0; k < size; k++)
                buf_printf(out, "%c%u", k ? ',' : '[', (unsigned)(unsigned char)piece[k]);
            buf_add_byte(out, ']');
        }
        buf_add_byte(out, '}');
    }
    buf_add_byte(out, ']');
}

/* ---- reading ---- */

/* model may be left out here. */
static int check_model(const struct exchange *x, const struct fields *f)
{
    const char *model = NULL;
    if (field_text(f, "model", 1, CHAT_MAX_MODEL, &model)) return -1;
    return exchange_check_model(x, model ? model : x->server->o.model, f->e);
}

/* A body with messages, as a chat request has them. Takes body over, as chat_request_read. */
static int read_chat(struct chat_request *r, const struct server *s, json_t *body,
                     struct api_error *e)
{
    const json_t *model = json_object_get(body, "model");
    if ((!model || json_is_null(model)) &&
        json_object_set_new(body, "model", json_string(s->o.model))) {
        json_decref(body);
        return api_refuse_memory(e);
    }
    return chat_request_read(r, body, &s->o.rules, e);
}

static int tokenize_messages(struct exchange *x, json_t *body, struct api_error *e)
{
    const struct server *s = x->server;
    struct err err = {0};
    struct chat_request *r = calloc(1, sizeof *r);
    if (!r) {
        json_decref(body);
        return api_refuse_memory(e);
    }
    int rc = read_chat(r, s, body, e);
    if (rc == 0 && engine_prompt(s->engine, r->messages, r->tools, &r->prompt, &x->prompt, &err))
        rc = token_ids_refuse(&x->prompt, "messages", &err, e);
    chat_request_fini(r);
    free(r);
    return rc;
}

/* ---- /tokenize ---- */

/* What is asked for beside the ids. */
struct wish {
    bool llama;   /* the shape of llama-server, by its "content" */
    bool strings; /* return_token_strs, with_pieces */
};

static int read_text(struct exchange *x, const struct fields *f, struct wish *wish)
{
    const struct tokenizer *t = engine_tokenizer(x->server->engine);
    const char *name = wish->llama ? "content" : "prompt", *text = "";
    bool bos = !wish->llama, parse = false;
    if (field_require(f, name) || field_text(f, name, 0, SIZE_MAX, &text) ||
        field_bool(f, wish->llama ? "add_special" : "add_special_tokens", &bos) ||
        field_bool(f, "parse_special", &parse))
        return -1;
    if (parse)
        return field_refuse(f, 400, "parse_special",
                            "is not possible: text never becomes a control token here");
    return token_ids_of_text(text, bos, t, name, &x->prompt, f->e);
}

static int read_tokenize(struct exchange *x, json_t *body, struct wish *wish, struct api_error *e)
{
    struct fields f = fields_of(body, e);
    wish->llama = field_get(&f, "content") != NULL;
    int rc = check_model(x, &f) || field_bool(&f, wish->llama ? "with_pieces" : "return_token_strs",
                                              &wish->strings)
                 ? -1
                 : 0;
    if (rc == 0 && field_get(&f, "messages")) return tokenize_messages(x, body, e);
    if (rc == 0) rc = read_text(x, &f, wish);
    json_decref(body);
    return rc;
}

static int prepare_tokenize(struct exchange *x, json_t *body, struct api_error *e)
{
    const struct tokenizer *t = engine_tokenizer(x->server->engine);
    struct buf *out = &x->answer;
    struct wish wish = {0};
    if (read_tokenize(x, body, &wish, e)) return -1;
    if (!wish.llama)
        buf_printf(out, "{\"count\":%zu,\"max_model_len\":%d,", x->prompt.n,
                   engine_context(x->server->engine));
    buf_add_str(out, wish.llama ? "{\"tokens\":" : "\"tokens\":");
    if (wish.llama && wish.strings)
        put_pieces(out, t, &x->prompt);
    else
        put_ids(out, &x->prompt);
    if (!wish.llama) buf_add_str(out, wish.strings ? ",\"token_strs\":" : ",\"token_strs\":null");
    if (!wish.llama && wish.strings) put_names(out, t, &x->prompt);
    buf_add_byte(out, '}');
    x->answered = true;
    return 0;
}

/* ---- /detokenize ---- */

static int decode(struct exchange *x, const json_t *tokens, struct api_error *e)
{
    const struct tokenizer *t = engine_tokenizer(x->server->engine);
    struct err err = {0};
    struct buf text;
    if (token_ids_add(tokens, t, "tokens", &x->prompt, e)) return -1;
    buf_init(&text, MAX_TEXT);
    int rc = tokenizer_decode(t, x->prompt.data, x->prompt.n, false, &text, &err);
    if (rc) api_refuse_err(e, &err);
    buf_add_str(&x->answer, "{\"prompt\":");
    put_string(&x->answer, buf_text(&text), text.size);
    buf_add_str(&x->answer, ",\"content\":");
    put_string(&x->answer, buf_text(&text), text.size);
    buf_add_byte(&x->answer, '}');
    buf_fini(&text);
    return rc;
}

static int prepare_detokenize(struct exchange *x, json_t *body, struct api_error *e)
{
    struct fields f = fields_of(body, e);
    json_t *tokens = NULL;
    int rc = check_model(x, &f) || field_require(&f, "tokens") ||
                     field_list(&f, "tokens", 0, SIZE_MAX, &tokens) ||
                     (json_array_size(tokens) && token_ids_check(&f, "tokens", tokens))
                 ? -1
                 : decode(x, tokens, e);
    json_decref(body);
    x->answered = true;
    return rc;
}

/* ---- /apply-template ---- */

static int prepare_template(struct exchange *x, json_t *body, struct api_error *e)
{
    struct prompt p = {0};
    struct err err = {0};
    struct chat_request *r = calloc(1, sizeof *r);
    if (!r) {
        json_decref(body);
        return api_refuse_memory(e);
    }
    int rc = read_chat(r, x->server, body, e);
    if (rc == 0 && prompt_encode(&p, r->messages, r->tools, &r->prompt, &err))
        rc = api_refuse_err(e, &err);
    if (rc == 0) {
        buf_add_str(&x->answer, "{\"prompt\":");
        put_string(&x->answer, buf_text(&p.text), p.text.size);
        buf_add_byte(&x->answer, '}');
    }
    prompt_fini(&p);
    chat_request_fini(r);
    free(r);
    x->answered = true;
    return rc;
}

/* ---- endpoints ---- */

static bool streams(const struct exchange *x)
{
    (void)x;
    return false;
}

/* All is in the exchange. */
static void fini(struct exchange *x)
{
    (void)x;
}

const struct api tokenize_api = {
    .id_prefix = "tok-", .prepare = prepare_tokenize, .streams = streams, .fini = fini};
const struct api detokenize_api = {
    .id_prefix = "tok-", .prepare = prepare_detokenize, .streams = streams, .fini = fini};
const struct api template_api = {
    .id_prefix = "tok-", .prepare = prepare_template, .streams = streams, .fini = fini};
