#include "serve/responses_tools.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "serve/chat_request.h"
#include "serve/dialect.h"

enum { MAX_TEXT = 1 << 30 };

/* Takes function over. */
static int add_function(json_t *tools, json_t *function, struct api_error *e)
{
    if (json_array_append_new(tools,
                              json_pack("{s:s, s:o}", "type", "function", "function", function)))
        return api_refuse_memory(e);
    return 0;
}

/* What the caller keeps of the tool is not shared: the chat body is changed by its reader. */
static int copy(const struct fields *tool, const char *name, json_t *function)
{
    json_t *value = field_get(tool, name);
    if (value && json_object_set_new(function, name, json_deep_copy(value)))
        return api_refuse_memory(tool->e);
    return 0;
}

static int read_function(const struct fields *tool, json_t *tools)
{
    struct fields parameters;
    const char *text = NULL;
    bool strict;
    if (field_require(tool, "name") || field_name(tool, "name", &text) ||
        field_text(tool, "description", 0, SIZE_MAX, &text) ||
        field_object(tool, "parameters", &parameters) || field_bool(tool, "strict", &strict))
        return -1;
    json_t *function = json_object();
    if (copy(tool, "name", function) || copy(tool, "description", function) ||
        copy(tool, "parameters", function) || copy(tool, "strict", function)) {
        json_decref(function);
        return -1;
    }
    return add_function(tools, function, tool->e);
}

/* What the model is told of a custom tool: its description, and the grammar of its input. */
static int describe(const struct fields *tool, struct buf *out)
{
    static const char *const types[] = {"text", "grammar"}, *const syntaxes[] = {"lark", "regex"};
    struct fields format;
    int type = 0, syntax = 0;
    const char *text = "", *definition = NULL;
    if (field_text(tool, "description", 0, SIZE_MAX, &text) ||
        field_object(tool, "format", &format) ||
        (format.object && field_require(&format, "type")) ||
        field_word(&format, "type", types, 2, &type))
        return -1;
    buf_add_str(out, text);
    if (type == 0) return 0;
    if (field_require(&format, "syntax") || field_word(&format, "syntax", syntaxes, 2, &syntax) ||
        field_require(&format, "definition") ||
        field_text(&format, "definition", 1, SIZE_MAX, &definition))
        return -1;
    buf_printf(out, "%sThe input follows this %s:\n", out->size ? "\n\n" : "",
               syntax == 0 ? "grammar (Lark)" : "regular expression");
    buf_add_str(out, definition);
    return 0;
}

/* A function with one text. */
static int read_custom(const struct fields *tool, json_t *tools, json_t *custom)
{
    struct buf description;
    const char *name = NULL;
    int rc = -1;
    buf_init(&description, MAX_TEXT);
    if (field_require(tool, "name") || field_name(tool, "name", &name) ||
        describe(tool, &description))
        goto done;
    json_t *function =
        json_pack("{s:s, s:s%, s:{s:s, s:{s:{s:s}}, s:[s]}}", "name", name, "description",
                  buf_text(&description), description.size, "parameters", "type", "object",
                  "properties", "input", "type", "string", "required", "input");
    if (description.failed || json_object_set_new(custom, name, json_true()))
        api_refuse_memory(tool->e);
    rc = add_function(tools, function, tool->e);
    if (tool->e->status) rc = -1;

done:
    buf_fini(&description);
    return rc;
}

/* Tools that a service runs for its clients: the model has to do without. */
static bool is_hosted(const char *type)
{
    static const char *const hosted[] = {"web_search", "file_search", "code_interpreter",
                                         "image_generation", "mcp"};
    for (size_t i = 0; i < sizeof hosted / sizeof *hosted; i++)
        if (strncmp(type, hosted[i], strlen(hosted[i])) == 0) return true;
    return false;
}

static int read_tool(const struct fields *body, const json_t *list, size_t i, json_t *tools,
                     json_t *custom)
{
    struct fields tool;
    const char *type = NULL;
    if (field_element(body, "tools", list, i, &tool) || dialect_label(&tool, "type", &type))
        return -1;
    if (strcmp(type, "function") == 0) return read_function(&tool, tools);
    if (strcmp(type, "custom") == 0) return read_custom(&tool, tools, custom);
    if (is_hosted(type)) return 0;
    return field_refuse(&tool, 400, "type", "tools of type \"%.64s\" are not supported", type);
}

/* {"type": "function" or "custom", "name": ...} */
static int read_named(const struct fields *choice, const json_t *tools, json_t **out)
{
    static const char *const types[] = {"function", "custom"};
    const char *name = NULL;
    int type;
    if (field_require(choice, "type") || field_word(choice, "type", types, 2, &type) ||
        field_require(choice, "name") || field_name(choice, "name", &name))
        return -1;
    if (!dialect_has_function(tools, name))
        return field_refuse(choice, 400, "name", "\"%s\" is not among the tools", name);
    *out = json_pack("{s:s, s:{s:s}}", "type", "function", "function", "name", name);
    return 0;
}

static int read_choice(const struct fields *body, const json_t *tools, json_t *chat)
{
    static const char *const words[] = {"auto", "none", "required"};
    const json_t *value = field_get(body, "tool_choice");
    struct fields choice;
    int word = 0;
    json_t *out = NULL;
    if (!value) return 0;
    if (json_is_object(value)) {
        if (field_object(body, "tool_choice", &choice) || read_named(&choice, tools, &out))
            return -1;
    } else {
        if (field_word(body, "tool_choice", words, 3, &word)) return -1;
        if (word == 2 && !json_array_size(tools))
            return field_refuse(body, 400, "tool_choice", "\"required\" without tools");
        out = json_string(words[word]);
    }
    return json_object_set_new(chat, "tool_choice", out) ? api_refuse_memory(body->e) : 0;
}

int responses_tools_read(const struct fields *body, json_t *chat, json_t *custom)
{
    json_t *list = NULL, *tools = json_array();
    bool parallel;
    if (json_object_set_new(chat, "tools", tools)) return api_refuse_memory(body->e);
    if (field_list(body, "tools", 0, CHAT_MAX_TOOLS, &list) ||
        field_bool(body, "parallel_tool_calls", &parallel) ||
        field_pass(body, "parallel_tool_calls", chat, "parallel_tool_calls"))
        return -1;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (read_tool(body, list, i, tools, custom)) return -1;
    return read_choice(body, tools, chat);
}
