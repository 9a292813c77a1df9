#include "serve/chat_format.h"

#include "serve/form.h"

static bool has_strict(const json_t *tools)
{
    for (size_t i = 0; i < json_array_size(tools); i++)
        if (json_is_true(
                json_object_get(json_object_get(json_array_get(tools, i), "function"), "strict")))
            return true;
    return false;
}

/* Whether the calls are bound, too. */
static void read_calls(struct chat_request *r)
{
    struct constraint_spec *a = &r->answer;
    a->must_call = r->tool_choice == TOOLS_REQUIRED || r->tool_choice == TOOLS_NAMED;
    a->only = r->tool_choice == TOOLS_NAMED ? r->tool_name : NULL;
    a->one_call = !r->parallel_tool_calls;
    a->family = r->prompt.family;
    if (!r->tools) return;
    if (!a->must_call && !a->one_call && a->kind == CONSTRAINT_NONE && !has_strict(r->tools))
        return;
    a->tools = r->tools;
    if (!r->answer_field || a->must_call) r->answer_field = "tools";
}

int chat_format_read(struct chat_request *r, const struct fields *body)
{
    struct form form;
    if (form_read(&form, body)) return -1;
    r->answer = form.spec;
    r->answer_field = form.field;
    read_calls(r);
    r->is_bound = r->answer.kind != CONSTRAINT_NONE || r->answer.tools;
    return 0;
}
