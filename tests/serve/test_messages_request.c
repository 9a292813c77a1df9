/* Bodies of Anthropic's API: what they become as chat requests, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/chat_body.h"
#include "../support/dialect_body.h"
#include "serve/messages_request.h"

static const char good[] = "{'model': 'claude-x', 'max_tokens': 9";
static const char input[] = ", 'messages': [{'role': 'user', 'content': 'hi'}]";

static int read_message(json_t **chat, json_t *body, struct api_error *e)
{
    return messages_request_read(chat, body, false, e);
}

static int read_count(json_t **chat, json_t *body, struct api_error *e)
{
    return messages_request_read(chat, body, true, e);
}

#define ONE(role, content) "'messages': [{'role': '" role "', 'content': " content "}]"
#define USER "{'role': 'user', 'content': 'q'}"
#define CALL "{'type': 'tool_use', 'id': 't1', 'name': 'f', 'input': {'a': 1}}"
#define RESULT "{'type': 'tool_result', 'tool_use_id': 't1', 'content': 'r'}"
#define SCHEMA "'input_schema': {'type': 'object'}"
#define F "'tools': [{'name': 'f', " SCHEMA "}]"
#define Q "[{'role': 'user', 'content': 'q'}"

static void fields_become_those_of_a_chat_request(void **state)
{
    (void)state;
    static const struct dialect_row rows[] = {
        {"", "model", "'claude-x'", 0, NULL},
        {"", "max_tokens", "9", 0, NULL},
        {"", "messages", "[{'role': 'user', 'content': 'hi'}]", 0, NULL},
        {"", "tools", "[]", 0, NULL},
        {"", "thinking", NULL, 0, NULL},
        {"", "reasoning_effort", NULL, 0, NULL},
        {"", "stop", NULL, 0, NULL},
        {"", "stream", NULL, 0, NULL},
        {"", "tool_choice", NULL, 0, NULL},
        {"", "parallel_tool_calls", NULL, 0, NULL},
        {"", "response_format", NULL, 0, NULL},
        {"", "user_id", NULL, 0, NULL},
        {"", "continue_final_message", NULL, 0, NULL},
        {"'stream': true", "stream", "true", 0, NULL},
        {"'temperature': 0.5", "temperature", "0.5", 0, NULL},
        {"'temperature': 2", "temperature", "2", 0, NULL},
        {"'top_p': 0.25", "top_p", "0.25", 0, NULL},
        {"'top_k': 40", "top_k", "40", 0, NULL},
        {"'seed': 7", "seed", "7", 0, NULL},
        {"'min_p': 0.5", "min_p", "0.5", 0, NULL},
        {"'ignore_eos': true", "ignore_eos", "true", 0, NULL},
        {"'stop_sequences': ['a', 'b']", "stop", "['a', 'b']", 0, NULL},
        {"'stop_sequences': []", "stop", "[]", 0, NULL},
        {"'stop_sequences': null", "stop", NULL, 0, NULL},
        {"'metadata': {'user_id': 'u', 'x': 1}", "user_id", "'u'", 0, NULL},
        {"'metadata': {}", "user_id", NULL, 0, NULL},
        {"'thinking': {'type': 'enabled', 'budget_tokens': 2048}", "thinking",
         "{'type': 'enabled'}", 0, NULL},
        {"'thinking': {'type': 'disabled'}", "thinking", "{'type': 'disabled'}", 0, NULL},
        {"'thinking': {'type': 'adaptive', 'display': 'omitted'}", "thinking",
         "{'type': 'adaptive'}", 0, NULL},
        {"'output_config': {'effort': 'max'}", "reasoning_effort", "'max'", 0, NULL},
        {"'output_config': {'effort': 'medium'}", "reasoning_effort", "'medium'", 0, NULL},
        {"'output_config': {}", "reasoning_effort", NULL, 0, NULL},
        {"'output_config': {'format': {'type': 'json_schema', 'schema': {'type': 'object'}}}",
         "response_format",
         "{'type': 'json_schema', 'json_schema': {'name': 'answer', 'schema': {'type': 'object'}, "
         "'strict': true}}",
         0, NULL},
        {"'output_format': {'type': 'json_schema', 'schema': {}}", "response_format",
         "{'type': 'json_schema', 'json_schema': {'name': 'answer', 'schema': {}, 'strict': true}}",
         0, NULL},
        /* what other servers of this API take, and this one leaves alone */
        {"'service_tier': 'auto', 'container': 'c', 'mcp_servers': [{'url': 'x'}], "
         "'cache_control': {'type': 'ephemeral'}, 'context_management': {'edits': []}, "
         "'unknown': [1], 'stop': 'x', 'messages_': 1, 'n': 4, 'logprobs': true",
         "stop", NULL, 0, NULL},
        {"'n': 4", "n", NULL, 0, NULL},
        {"'logprobs': true", "logprobs", NULL, 0, NULL},
        {"'reasoning_effort': 'max'", "reasoning_effort", NULL, 0, NULL},
    };
    assert_dialect(rows, LENGTH(rows), read_message, good, "messages", input);
}

static void tools_become_functions(void **state)
{
    (void)state;
    static const struct dialect_row rows[] = {
        {F, "tools",
         "[{'type': 'function', 'function': {'name': 'f', 'parameters': {'type': 'object'}}}]", 0,
         NULL},
        {"'tools': [{'type': 'custom', 'name': 'g-1_X', 'description': 'd', " SCHEMA
         ", 'cache_control': {'type': 'ephemeral'}}]",
         "tools",
         "[{'type': 'function', 'function': {'name': 'g-1_X', 'description': 'd', 'parameters': "
         "{'type': 'object'}}}]",
         0, NULL},
        {"'tools': [{'name': 'f', 'strict': true, " SCHEMA "}]", "tools",
         "[{'type': 'function', 'function': {'name': 'f', 'parameters': {'type': 'object'}, "
         "'strict': true}}]",
         0, NULL},
        {F ", 'tool_choice': {'type': 'auto'}", "tool_choice", "'auto'", 0, NULL},
        {F ", 'tool_choice': {'type': 'none'}", "tool_choice", "'none'", 0, NULL},
        {F ", 'tool_choice': {'type': 'any'}", "tool_choice", "'required'", 0, NULL},
        {F ", 'tool_choice': {'type': 'tool', 'name': 'f'}", "tool_choice",
         "{'type': 'function', 'function': {'name': 'f'}}", 0, NULL},
        {F ", 'tool_choice': {'type': 'auto', 'disable_parallel_tool_use': true}",
         "parallel_tool_calls", "false", 0, NULL},
        {F ", 'tool_choice': {'type': 'auto', 'disable_parallel_tool_use': false}",
         "parallel_tool_calls", NULL, 0, NULL},
        {"'tool_choice': {'type': 'auto'}", "tool_choice", "'auto'", 0, NULL},
    };
    assert_dialect(rows, LENGTH(rows), read_message, good, "messages", input);
}

static void blocks_become_messages(void **state)
{
    (void)state;
    static const struct dialect_row rows[] = {
        {"'system': 's'", "messages",
         "[{'role': 'system', 'content': 's'}, {'role': 'user', 'content': 'hi'}]", 0, NULL},
        {"'system': [{'type': 'text', 'text': 'a', 'cache_control': {'type': 'ephemeral'}}, "
         "{'type': 'text', 'text': 'b'}]",
         "messages", "[{'role': 'system', 'content': 'a\\nb'}, {'role': 'user', 'content': 'hi'}]",
         0, NULL},
        {"'system': []", "messages", "[{'role': 'user', 'content': 'hi'}]", 0, NULL},
        {ONE("user", "[{'type': 'text', 'text': 'a'}, {'type': 'text', 'text': ''}, {'type': "
                     "'text', 'text': 'b'}]"),
         "messages", "[{'role': 'user', 'content': 'a\\n\\nb'}]", 0, NULL},
        {ONE("user", "[{'type': 'text', 'text': 'n\\u0000l'}]"), "messages",
         "[{'role': 'user', 'content': 'n\\u0000l'}]", 0, NULL},
        {"'messages': [" USER ", " USER "]", "messages",
         "[{'role': 'user', 'content': 'q\\n\\nq'}]", 0, NULL},
        {"'messages': [" USER ", {'role': 'assistant', 'content': 'a'}, " USER "]", "messages",
         Q ", {'role': 'assistant', 'content': 'a'}, {'role': 'user', 'content': 'q'}]", 0, NULL},
        {"'messages': [" USER ", {'role': 'assistant', 'content': [{'type': 'thinking', "
         "'thinking': 't', 'signature': 'anything'}, {'type': 'text', 'text': 'x'}, " CALL
         "]}, {'role': 'user', 'content': [{'type': 'text', 'text': 'and'}, " RESULT "]}]",
         "messages",
         Q ", {'role': 'assistant', 'content': 'x', 'reasoning_content': 't', 'tool_calls': "
           "[{'id': 't1', 'type': 'function', 'function': {'name': 'f', 'arguments': "
           "{'a': 1}}}]}, {'role': 'tool', 'tool_call_id': 't1', 'content': 'r'}, "
           "{'role': 'user', 'content': 'and'}]",
         0, NULL},
        {"'messages': [" USER ", {'role': 'assistant', 'content': [" CALL "]}, {'role': 'user', "
         "'content': [{'type': 'tool_result', 'tool_use_id': 't1', 'is_error': true, 'content': "
         "[{'type': 'text', 'text': 'a'}, {'type': 'image', 'source': {}}, {'type': 'text', "
         "'text': 'b'}]}, {'type': 'tool_result', 'tool_use_id': 't2'}]}]",
         "messages",
         Q ", {'role': 'assistant', 'content': '', 'tool_calls': [{'id': 't1', 'type': "
           "'function', 'function': {'name': 'f', 'arguments': {'a': 1}}}]}, {'role': 'tool', "
           "'tool_call_id': 't1', 'content': 'a\\n\\n[Unsupported image]\\n\\nb'}, {'role': "
           "'tool', 'tool_call_id': 't2', 'content': ''}]",
         0, NULL},
        {"'messages': [" USER ", {'role': 'assistant', 'content': 'a'}, {'role': 'assistant', "
         "'content': [{'type': 'text', 'text': 'b'}]}, " USER "]",
         "messages",
         Q ", {'role': 'assistant', 'content': 'ab'}, {'role': 'user', 'content': 'q'}]", 0, NULL},
        {"'messages': [" USER ", {'role': 'assistant', 'content': []}, " USER "]", "messages",
         "[{'role': 'user', 'content': 'q\\n\\nq'}]", 0, NULL},
        {"'messages': [" USER ", {'role': 'system', 'content': 'new'}, " USER "]", "messages",
         Q ", {'role': 'system', 'content': 'new'}, {'role': 'user', 'content': 'q'}]", 0, NULL},
        {"'messages': [" USER ", {'role': 'assistant', 'content': 'so'}]", "continue_final_message",
         "true", 0, NULL},
        {"'messages': [" USER ", {'role': 'assistant', 'content': 'so'}]", "messages",
         Q ", {'role': 'assistant', 'content': 'so'}]", 0, NULL},
        {"'messages': [" USER ", {'role': 'assistant', 'content': [{'type': 'thinking', "
         "'thinking': 'a'}, {'type': 'thinking', 'thinking': 'b'}]}, " USER "]",
         "messages",
         Q ", {'role': 'assistant', 'content': '', 'reasoning_content': 'ab'}, {'role': 'user', "
           "'content': 'q'}]",
         0, NULL},
    };
    assert_dialect(rows, LENGTH(rows), read_message, good, "messages", input);
}

static void what_is_wrong_is_refused_by_its_name(void **state)
{
    (void)state;
    static const struct dialect_row rows[] = {
        {"'messages': null", NULL, NULL, 400, "messages"},
        {"'messages': 'hi'", NULL, NULL, 400, "messages"},
        {"'messages': []", NULL, NULL, 422, "messages"},
        {"'messages': ['hi']", NULL, NULL, 400, "messages[0]"},
        {"'messages': [{'content': 'x'}]", NULL, NULL, 400, "messages[0].role"},
        {"'messages': [" USER ", {'role': 'tool', 'content': 'x'}]", NULL, NULL, 400,
         "messages[1].role"},
        {"'messages': [{'role': 'user'}]", NULL, NULL, 400, "messages[0].content"},
        {ONE("user", "7"), NULL, NULL, 400, "messages[0].content"},
        {ONE("user", "{}"), NULL, NULL, 400, "messages[0].content"},
        {ONE("user", "['x']"), NULL, NULL, 400, "messages[0].content[0]"},
        {ONE("user", "[{'text': 'x'}]"), NULL, NULL, 400, "messages[0].content[0].type"},
        {ONE("user", "[{'type': 'text'}]"), NULL, NULL, 400, "messages[0].content[0].text"},
        {ONE("user", "[{'type': 'text', 'text': 1}]"), NULL, NULL, 400,
         "messages[0].content[0].text"},
        {ONE("user", "[{'type': 'image', 'source': {}}]"), NULL, NULL, 400,
         "messages[0].content[0].type"},
        {ONE("user", "[{'type': 'document', 'source': {}}]"), NULL, NULL, 400,
         "messages[0].content[0].type"},
        {ONE("user", "[{'type': 'video'}]"), NULL, NULL, 400, "messages[0].content[0].type"},
        {ONE("user", "[" CALL "]"), NULL, NULL, 400, "messages[0].content[0].type"},
        {ONE("user", "[{'type': 'thinking', 'thinking': 'x'}]"), NULL, NULL, 400,
         "messages[0].content[0].type"},
        {ONE("user", "[{'type': 'tool_result', 'content': 'x'}]"), NULL, NULL, 400,
         "messages[0].content[0].tool_use_id"},
        {ONE("user", "[{'type': 'tool_result', 'tool_use_id': 7}]"), NULL, NULL, 400,
         "messages[0].content[0].tool_use_id"},
        {ONE("user", "[{'type': 'tool_result', 'tool_use_id': ''}]"), NULL, NULL, 422,
         "messages[0].content[0].tool_use_id"},
        {ONE("user", "[{'type': 'tool_result', 'tool_use_id': 't\\u0000'}]"), NULL, NULL, 400,
         "messages[0].content[0].tool_use_id"},
        {ONE("user", "[{'type': 'tool_result', 'tool_use_id': 't', 'content': {}}]"), NULL, NULL,
         400, "messages[0].content[0].content"},
        {ONE("user", "[{'type': 'tool_result', 'tool_use_id': 't', 'is_error': 1}]"), NULL, NULL,
         400, "messages[0].content[0].is_error"},
        {ONE("user", "[{'type': 'tool_result', 'tool_use_id': 't', 'content': ['x']}]"), NULL, NULL,
         400, "messages[0].content[0].content[0]"},
        {ONE("user", "[{'type': 'tool_result', 'tool_use_id': 't', 'content': [{}]}]"), NULL, NULL,
         400, "messages[0].content[0].content[0].type"},
        {ONE("user", "[{'type': 'tool_result', 'tool_use_id': 't', 'content': [{'type': 'a\\u0000'"
                     "}]}]"),
         NULL, NULL, 400, "messages[0].content[0].content[0].type"},
        {ONE("user", "[{'type': 'tool_result', 'tool_use_id': 't', 'content': [{'type': 'text'}]"
                     "}]"),
         NULL, NULL, 400, "messages[0].content[0].content[0].text"},
        {ONE("assistant", "[" RESULT "]"), NULL, NULL, 400, "messages[0].content[0].type"},
        {ONE("assistant", "[{'type': 'redacted_thinking', 'data': 'x'}]"), NULL, NULL, 400,
         "messages[0].content[0].type"},
        {ONE("assistant", "[{'type': 'thinking'}]"), NULL, NULL, 400,
         "messages[0].content[0].thinking"},
        {ONE("assistant", "[{'type': 'thinking', 'thinking': null}]"), NULL, NULL, 400,
         "messages[0].content[0].thinking"},
        {ONE("assistant", "[{'type': 'tool_use', 'name': 'f', 'input': {}}]"), NULL, NULL, 400,
         "messages[0].content[0].id"},
        {ONE("assistant", "[{'type': 'tool_use', 'id': 'a', 'input': {}}]"), NULL, NULL, 400,
         "messages[0].content[0].name"},
        {ONE("assistant", "[{'type': 'tool_use', 'id': 'a', 'name': 'f'}]"), NULL, NULL, 400,
         "messages[0].content[0].input"},
        {ONE("assistant", "[{'type': 'tool_use', 'id': 'a', 'name': 'f', 'input': '{}'}]"), NULL,
         NULL, 400, "messages[0].content[0].input"},
        {"'messages': [" USER ", {'role': 'assistant', 'content': [" CALL "]}]", NULL, NULL, 400,
         "messages[1].content"},
        {ONE("system", "[{'type': 'image'}]"), NULL, NULL, 400, "messages[0].content[0].type"},
        {"'system': 7", NULL, NULL, 400, "system"},
        {"'system': {'type': 'text', 'text': 'x'}", NULL, NULL, 400, "system"},
        {"'system': ['x']", NULL, NULL, 400, "system[0]"},
        {"'system': [{'type': 'image'}]", NULL, NULL, 400, "system[0].type"},
        {"'system': [{'type': 'text'}]", NULL, NULL, 400, "system[0].text"},
        {"'stream': 'yes'", NULL, NULL, 400, "stream"},
        {"'stop_sequences': 'x'", NULL, NULL, 400, "stop_sequences"},
        {"'stop_sequences': [1]", NULL, NULL, 400, "stop_sequences[0]"},
        {"'stop_sequences': ['a', '']", NULL, NULL, 422, "stop_sequences[1]"},
        {"'stop_sequences': ['\\u0000']", NULL, NULL, 400, "stop_sequences[0]"},
        {"'stop_sequences': ['a','a','a','a','a','a','a','a','a','a','a','a','a','a','a','a','a']",
         NULL, NULL, 422, "stop_sequences"},
        {"'metadata': 'u'", NULL, NULL, 400, "metadata"},
        {"'metadata': {'user_id': 1}", NULL, NULL, 400, "metadata.user_id"},
        {"'thinking': true", NULL, NULL, 400, "thinking"},
        {"'thinking': {}", NULL, NULL, 400, "thinking.type"},
        {"'thinking': {'type': 'on'}", NULL, NULL, 400, "thinking.type"},
        {"'thinking': {'type': 'enabled', 'budget_tokens': 'x'}", NULL, NULL, 400,
         "thinking.budget_tokens"},
        {"'thinking': {'type': 'enabled', 'budget_tokens': -1}", NULL, NULL, 422,
         "thinking.budget_tokens"},
        {"'output_config': 'max'", NULL, NULL, 400, "output_config"},
        {"'output_config': {'effort': 'most'}", NULL, NULL, 400, "output_config.effort"},
        {"'output_config': {'effort': 'none'}", NULL, NULL, 400, "output_config.effort"},
        {"'output_config': {'effort': 3}", NULL, NULL, 400, "output_config.effort"},
        {"'output_config': {'format': {'type': 'json_object'}}", NULL, NULL, 400,
         "output_config.format.type"},
        {"'output_config': {'format': {'type': 'json_schema'}}", NULL, NULL, 400,
         "output_config.format.schema"},
        {"'output_format': {'schema': {}}", NULL, NULL, 400, "output_format.type"},
        {"'output_format': {'type': 'json_schema', 'schema': []}", NULL, NULL, 400,
         "output_format.schema"},
        {"'tools': {}", NULL, NULL, 400, "tools"},
        {"'tools': ['f']", NULL, NULL, 400, "tools[0]"},
        {"'tools': [{" SCHEMA "}]", NULL, NULL, 400, "tools[0].name"},
        {"'tools': [{'name': 'f'}]", NULL, NULL, 400, "tools[0].input_schema"},
        {"'tools': [{'name': 'f', 'input_schema': 'x'}]", NULL, NULL, 400, "tools[0].input_schema"},
        {"'tools': [{'name': 'f x', " SCHEMA "}]", NULL, NULL, 400, "tools[0].name"},
        {"'tools': [{'name': '', " SCHEMA "}]", NULL, NULL, 422, "tools[0].name"},
        {"'tools': [{'name': 'f', 'description': 1, " SCHEMA "}]", NULL, NULL, 400,
         "tools[0].description"},
        {"'tools': [{'name': 'f', 'strict': 1, " SCHEMA "}]", NULL, NULL, 400, "tools[0].strict"},
        {"'tools': [{'type': 'web_search_20250305', 'name': 'web_search'}]", NULL, NULL, 400,
         "tools[0].type"},
        {"'tools': [{'type': 'bash_20250124', 'name': 'bash'}]", NULL, NULL, 400, "tools[0].type"},
        {F ", 'tool_choice': 'auto'", NULL, NULL, 400, "tool_choice"},
        {F ", 'tool_choice': {}", NULL, NULL, 400, "tool_choice.type"},
        {F ", 'tool_choice': {'type': 'required'}", NULL, NULL, 400, "tool_choice.type"},
        {F ", 'tool_choice': {'type': 'tool'}", NULL, NULL, 400, "tool_choice.name"},
        {F ", 'tool_choice': {'type': 'tool', 'name': 'g'}", NULL, NULL, 400, "tool_choice.name"},
        {F ", 'tool_choice': {'type': 'auto', 'disable_parallel_tool_use': 1}", NULL, NULL, 400,
         "tool_choice.disable_parallel_tool_use"},
        {"'tool_choice': {'type': 'any'}", NULL, NULL, 400, "tool_choice.type"},
        {"'tool_choice': {'type': 'tool', 'name': 'f'}", NULL, NULL, 400, "tool_choice.name"},
    };
    assert_dialect(rows, LENGTH(rows), read_message, good, "messages", input);
}

static void max_tokens_is_required_but_for_counting(void **state)
{
    (void)state;
    static const struct dialect_row wrong[] = {
        {"", NULL, NULL, 400, "max_tokens"},
        {"'max_tokens': null", NULL, NULL, 400, "max_tokens"},
        {"'max_tokens': 0", NULL, NULL, 422, "max_tokens"},
        {"'max_tokens': 2147483648", NULL, NULL, 422, "max_tokens"},
        {"'max_tokens': 1.0", NULL, NULL, 400, "max_tokens"},
        {"'max_tokens': '9'", NULL, NULL, 400, "max_tokens"},
    };
    static const struct dialect_row counting[] = {
        {"", "max_tokens", NULL, 0, NULL},
        {"'max_tokens': 5", "max_tokens", NULL, 0, NULL},
        {"'max_tokens': 0", NULL, NULL, 422, "max_tokens"},
        {"'stream': true", "stream", NULL, 0, NULL},
        {"'system': 's'", "messages",
         "[{'role': 'system', 'content': 's'}, {'role': 'user', 'content': 'hi'}]", 0, NULL},
    };
    assert_dialect(wrong, LENGTH(wrong), read_message, "{'model': 'm'", "messages", input);
    assert_dialect(counting, LENGTH(counting), read_count, "{'model': 'm'", "messages", input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_become_those_of_a_chat_request),
        cmocka_unit_test(tools_become_functions),
        cmocka_unit_test(blocks_become_messages),
        cmocka_unit_test(what_is_wrong_is_refused_by_its_name),
        cmocka_unit_test(max_tokens_is_required_but_for_counting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
