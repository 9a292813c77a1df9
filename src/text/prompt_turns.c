#include "text/prompt_turns.h"

#include <stdlib.h>
#include <string.h>

#include "text/prompt_text.h"

/* ---- checks of one message ---- */

static const json_t *member(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static int bad_field(struct err *err, int i, const char *field, const char *what)
{
    return err_set(err, ERR_ARGUMENT, "messages[%d].%s: %s", i, field, what);
}

/* A string, or a list of parts {"type": "text", "text": ...} and others. */
static int check_text(const json_t *value, int i, const char *field, struct err *err)
{
    if (json_is_string(value)) return 0;
    if (!json_is_array(value)) return bad_field(err, i, field, "neither a string nor a list");
    for (size_t k = 0; k < json_array_size(value); k++) {
        const json_t *part = json_array_get(value, k);
        const char *type = json_string_value(json_object_get(part, "type"));
        if (!type) return bad_field(err, i, field, "a part without a type");
        if (strcmp(type, "text") == 0 && !json_is_string(json_object_get(part, "text")))
            return bad_field(err, i, field, "a text part without text");
    }
    return 0;
}

static int check_string_or_none(const json_t *message, int i, const char *field, struct err *err)
{
    const json_t *value = member(message, field);
    if (value && !json_is_string(value)) return bad_field(err, i, field, "not a string");
    return 0;
}

/* The object with name and arguments: the call's `function`, or the call itself. */
static int check_calls(const json_t *calls, int i, struct err *err)
{
    if (!calls) return 0;
    if (!json_is_array(calls)) return bad_field(err, i, "tool_calls", "not a list");
    for (size_t k = 0; k < json_array_size(calls); k++) {
        const json_t *call = json_array_get(calls, k), *function = member(call, "function");
        if (!function) function = call;
        const json_t *arguments = member(function, "arguments");
        if (!json_is_string(json_object_get(function, "name")))
            return bad_field(err, i, "tool_calls", "a call without a name");
        if (!json_is_string(arguments) && !json_is_object(arguments))
            return bad_field(err, i, "tool_calls", "a call whose arguments are no string");
        if (member(call, "id") && !json_is_string(member(call, "id")))
            return bad_field(err, i, "tool_calls", "a call whose id is no string");
    }
    return 0;
}

static const char *tools_fault(const json_t *tools)
{
    if (!json_is_array(tools)) return "not a list";
    for (size_t k = 0; k < json_array_size(tools); k++) {
        const json_t *tool = json_array_get(tools, k), *function = member(tool, "function");
        if (!json_is_string(json_object_get(function ? function : tool, "name")))
            return "a tool without a name";
    }
    return NULL;
}

static int find_role(enum turn_role *role, bool *is_tool, const json_t *message, int i,
                     struct err *err)
{
    static const struct {
        const char *name;
        enum turn_role role;
    } roles[] = {{"system", TURN_SYSTEM},       {"user", TURN_USER},
                 {"assistant", TURN_ASSISTANT}, {"tool", TURN_USER},
                 {"developer", TURN_DEVELOPER}, {"latest_reminder", TURN_REMINDER}};
    const char *name = json_string_value(json_object_get(message, "role"));
    if (!name) return bad_field(err, i, "role", "missing, or not a string");
    for (size_t k = 0; k < sizeof roles / sizeof *roles; k++) {
        if (strcmp(name, roles[k].name) != 0) continue;
        *role = roles[k].role;
        *is_tool = strcmp(name, "tool") == 0;
        return 0;
    }
    return err_set(err, ERR_ARGUMENT, "messages[%d].role: \"%.64s\" is unknown", i, name);
}

static int find_task(const char **token, const json_t *message, int i, struct err *err)
{
    const json_t *value = member(message, "task");
    *token = NULL;
    if (!value) return 0;
    const char *name = json_string_value(value);
    for (const struct prompt_task *t = prompt_tasks; name && t->name; t++)
        if (strcmp(name, t->name) == 0) *token = t->token;
    return *token ? 0 : bad_field(err, i, "task", "unknown");
}

static bool is_empty_text(const json_t *content)
{
    return !content || (json_is_string(content) && json_string_length(content) == 0) ||
           (json_is_array(content) && json_array_size(content) == 0);
}

static int check_message(const json_t *message, enum turn_role role, int i, struct err *err)
{
    const json_t *content = member(message, "content"), *tools = member(message, "tools");
    const json_t *wo_eos = member(message, "wo_eos");
    bool may_lack = (role == TURN_ASSISTANT && (member(message, "tool_calls") ||
                                                member(message, "reasoning_content") || wo_eos)) ||
                    (role == TURN_SYSTEM && (tools || member(message, "response_format")));
    if (!content && !may_lack) return bad_field(err, i, "content", "missing");
    if (content && check_text(content, i, "content", err)) return -1;
    if (role == TURN_DEVELOPER && is_empty_text(content))
        return bad_field(err, i, "content", "empty, which a developer message must not be");
    if (tools && tools_fault(tools)) return bad_field(err, i, "tools", tools_fault(tools));
    if (wo_eos && !json_is_boolean(wo_eos)) return bad_field(err, i, "wo_eos", "not a boolean");
    if (check_string_or_none(message, i, "reasoning_content", err)) return -1;
    if (check_string_or_none(message, i, "tool_call_id", err)) return -1;
    return role == TURN_ASSISTANT ? check_calls(member(message, "tool_calls"), i, err) : 0;
}

/* ---- joining ---- */

static void add_block(struct turns *t, const json_t *message, bool is_result)
{
    t->blocks[t->n_blocks++] = (struct turn_block){.content = member(message, "content"),
                                                   .id = member(message, "tool_call_id"),
                                                   .is_result = is_result};
    t->list[t->n - 1].n_blocks++;
}

static int add_message(struct turns *t, const json_t *message, int i, struct err *err)
{
    enum turn_role role = TURN_USER;
    bool is_tool = false;
    const char *task = NULL;
    if (!json_is_object(message))
        return err_set(err, ERR_ARGUMENT, "messages[%d]: not an object", i);
    if (find_role(&role, &is_tool, message, i, err)) return -1;
    if (check_message(message, role, i, err) || find_task(&task, message, i, err)) return -1;

    struct turn *last = t->n ? &t->list[t->n - 1] : NULL;
    bool joins = role == TURN_USER && last && last->role == TURN_USER && (is_tool || !last->task);
    if (!joins) {
        const json_t *tools = member(message, "tools");
        if (role == TURN_USER || json_array_size(tools) == 0) tools = NULL;
        t->list[t->n++] = (struct turn){.role = role,
                                        .message = message,
                                        .tools = tools,
                                        .task = is_tool ? NULL : task,
                                        .first_block = t->n_blocks};
    }
    if (role == TURN_USER) add_block(t, message, is_tool);
    return 0;
}

/* The tools of a request go to the first system turn, to a developer turn that comes first, or to a
 * system turn made for them. */
static int attach_tools(struct turns *t, const json_t *tools, struct err *err)
{
    if (!tools || json_is_null(tools)) return 0;
    if (tools_fault(tools)) return err_set(err, ERR_ARGUMENT, "tools: %s", tools_fault(tools));
    if (json_array_size(tools) == 0) return 0;
    int at = 0;
    if (t->list[0].role != TURN_DEVELOPER)
        while (at < t->n && t->list[at].role != TURN_SYSTEM)
            at++;
    if (at == t->n) {
        memmove(t->list + 1, t->list, (size_t)t->n * sizeof *t->list);
        t->list[0] = (struct turn){.role = TURN_SYSTEM};
        t->n++;
        at = 0;
    }
    if (t->list[at].tools)
        return err_set(err, ERR_ARGUMENT, "tools: given by the request and by a message");
    t->list[at].tools = tools;
    return 0;
}

/* ---- order of tool results ---- */

struct ranked {
    json_int_t rank;
    int at; /* among the results, to keep equal ranks in order */
    struct turn_block block;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->rank != y->rank) return x->rank < y->rank ? -1 : 1;
    return x->at - y->at;
}

/* Sorts the results of one turn among their own places. */
static int sort_results(struct turns *t, const struct turn *turn, const json_t *order,
                        struct err *err)
{
    struct turn_block *blocks = t->blocks + turn->first_block;
    int n = 0;
    struct ranked *results = calloc((size_t)turn->n_blocks, sizeof *results);
    if (!results) return err_set(err, ERR_LIMIT, "no memory for %d tool results", turn->n_blocks);
    for (int i = 0; i < turn->n_blocks; i++) {
        if (!blocks[i].is_result) continue;
        const json_t *rank = NULL;
        if (blocks[i].id)
            rank = json_object_getn(order, json_string_value(blocks[i].id),
                                    json_string_length(blocks[i].id));
        results[n] = (struct ranked){json_integer_value(rank), n, blocks[i]};
        n++;
    }
    qsort(results, (size_t)n, sizeof *results, by_rank);
    for (int i = 0, k = 0; i < turn->n_blocks; i++)
        if (blocks[i].is_result) blocks[i] = results[k++].block;
    free(results);
    return 0;
}

/* Ids of the calls to their indexes. */
static json_t *call_order(const json_t *calls)
{
    json_t *order = json_object();
    for (size_t k = 0; k < json_array_size(calls); k++) {
        const json_t *call = json_array_get(calls, k), *id = member(call, "id");
        if (!id) id = member(member(call, "function"), "id");
        if (json_is_string(id) && json_string_length(id) > 0)
            json_object_setn_new(order, json_string_value(id), json_string_length(id),
                                 json_integer((json_int_t)k));
    }
    return order;
}

static int sort_all(struct turns *t, struct err *err)
{
    json_t *order = NULL;
    int rc = 0;
    for (int i = 0; i < t->n && rc == 0; i++) {
        const struct turn *turn = &t->list[i];
        const json_t *calls = member(turn->message, "tool_calls");
        if (turn->role == TURN_ASSISTANT && json_array_size(calls) > 0) {
            json_decref(order);
            order = call_order(calls);
        } else if (turn->role == TURN_USER && turn->n_blocks > 1 && order) {
            rc = sort_results(t, turn, order, err);
        }
    }
    json_decref(order);
    return rc;
}

/* ---- dropping ---- */

static int find_last_user(const struct turns *t, enum prompt_family family)
{
    /* A later system message of V4.1 opens a turn as a user does. */
    for (int i = t->n - 1; i >= 0; i--)
        if (t->list[i].role == TURN_USER || t->list[i].role == TURN_DEVELOPER ||
            (family == FAMILY_V41 && i > 0 && t->list[i].role == TURN_SYSTEM))
            return i;
    return -1;
}

static void drop_reasoning(struct turns *t)
{
    int kept = 0;
    for (int i = 0; i < t->n; i++) {
        struct turn turn = t->list[i];
        if (i < t->last_user && turn.role == TURN_DEVELOPER) continue;
        turn.drop_reasoning = i < t->last_user;
        t->list[kept++] = turn;
    }
    t->n = kept;
}

int turns_make(struct turns *t, const json_t *messages, const json_t *tools,
               const struct prompt_options *options, struct err *err)
{
    *t = (struct turns){0};
    size_t n = json_array_size(messages);
    if (!json_is_array(messages)) return err_set(err, ERR_ARGUMENT, "messages: not a list");
    if (n == 0) return err_set(err, ERR_ARGUMENT, "messages: an empty list");
    t->list = calloc(n + 1, sizeof *t->list);
    t->blocks = calloc(n, sizeof *t->blocks);
    if (!t->list || !t->blocks) {
        err_set(err, ERR_LIMIT, "no memory for %zu messages", n);
        goto fail;
    }
    for (size_t i = 0; i < n; i++)
        if (add_message(t, json_array_get(messages, i), (int)i, err)) goto fail;
    if (attach_tools(t, tools, err) || sort_all(t, err)) goto fail;

    t->drop = !options->keep_thinking;
    for (int i = 0; i < t->n; i++)
        if (t->list[i].tools) t->drop = false;
    t->last_user = find_last_user(t, options->family);
    if (options->thinking && t->drop) {
        drop_reasoning(t);
        t->last_user = find_last_user(t, options->family);
    }
    return 0;

fail:
    turns_fini(t);
    return -1;
}

void turns_fini(struct turns *t)
{
    free(t->list);
    free(t->blocks);
    *t = (struct turns){0};
}
