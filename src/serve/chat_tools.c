#include "serve/chat_tools.h"

#include <stdint.h>
#include <string.h>

static const char *const tool_types[] = {"function"};

static int read_tool(const struct fields *body, const json_t *tools, size_t i)
{
    struct fields tool, function, parameters;
    const char *text;
    int type;
    bool strict = false;
    if (field_element(body, "tools", tools, i, &tool) ||
        field_word(&tool, "type", tool_types, 1, &type) || field_require(&tool, "function") ||
        field_object(&tool, "function", &function) || field_require(&function, "name") ||
        field_name(&function, "name", &text) ||
        field_text(&function, "description", 0, SIZE_MAX, &text) ||
        field_object(&function, "parameters", &parameters) ||
        field_bool(&function, "strict", &strict))
        return -1;
    return 0;
}

static bool has_tool(const json_t *tools, const char *name)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *function = json_object_get(json_array_get(tools, i), "function");
        if (strcmp(json_string_value(json_object_get(function, "name")), name) == 0) return true;
    }
    return false;
}

/* {"type": "function", "function": {"name": ...}} */
static int read_named(struct chat_request *r, const struct fields *body, const json_t *tools)
{
    struct fields choice, function;
    int type;
    if (field_object(body, "tool_choice", &choice) ||
        field_word(&choice, "type", tool_types, 1, &type) || field_require(&choice, "function") ||
        field_object(&choice, "function", &function) || field_require(&function, "name") ||
        field_name(&function, "name", &r->tool_name))
        return -1;
    r->tool_choice = TOOLS_NAMED;
    if (has_tool(tools, r->tool_name)) return 0;
    return field_refuse(&function, 400, "name", "\"%s\" is not among the tools", r->tool_name);
}

static int read_choice(struct chat_request *r, const struct fields *body, const json_t *tools)
{
    static const char *const words[] = {
        [TOOLS_NONE] = "none", [TOOLS_AUTO] = "auto", [TOOLS_REQUIRED] = "required"};
    if (json_is_object(field_get(body, "tool_choice"))) return read_named(r, body, tools);
    int choice = TOOLS_AUTO;
    if (field_word(body, "tool_choice", words, 3, &choice)) return -1;
    if (choice == TOOLS_REQUIRED && !tools)
        return field_refuse(body, 400, "tool_choice", "\"required\" without tools");
    r->tool_choice = tools ? (enum tool_choice)choice : TOOLS_NONE;
    return 0;
}

int chat_tools_read(struct chat_request *r, const struct fields *body)
{
    json_t *tools = NULL;
    r->parallel_tool_calls = true;
    if (field_list(body, "tools", 0, CHAT_MAX_TOOLS, &tools) ||
        field_bool(body, "parallel_tool_calls", &r->parallel_tool_calls))
        return -1;
    for (size_t i = 0; i < json_array_size(tools); i++)
        if (read_tool(body, tools, i)) return -1;
    if (json_array_size(tools) == 0) tools = NULL;
    if (read_choice(r, body, tools)) return -1;
    r->tools = r->tool_choice == TOOLS_NONE ? NULL : tools;
    return 0;
}
