/* Bodies of OpenAI's Responses API: what they become as chat requests, what a response repeats of them, and
 * what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../support/chat_body.h"
#include "../support/dialect_body.h"
#include "serve/responses_request.h"

static const char good[] = "{'model': 'm'";
static const char input[] = ", 'input': 'hi'";

static int read_request(json_t **chat, json_t *body, struct api_error *e)
{
    struct responses_request r;
    int rc = responses_request_read(&r, body, e);
    *chat = r.chat;
    r.chat = NULL;
    responses_request_fini(&r);
    return rc;
}

#define USER "{'role': 'user', 'content': 'q'}"
#define ITEMS(items) "'input': [" items "]"
#define F "'tools': [{'type': 'function', 'name': 'f', 'parameters': {'type': 'object'}}]"
#define CALL "{'type': 'function_call', 'call_id': 'c1', 'name': 'f', 'arguments': '{}'}"
#define OUT "{'type': 'function_call_output', 'call_id': 'c1', 'output': 'r'}"
#define CALLED(name, arguments)                                                                    \
    "{'id': 'c1', 'type': 'function', 'function': {'name': '" name "', 'arguments': " arguments "}}"

static void fields_become_those_of_a_chat_request(void **state)
{
    (void)state;
    static const struct dialect_row rows[] = {
        {"", "model", "'m'", 0, NULL},
        {"", "messages", "[{'role': 'user', 'content': 'hi'}]", 0, NULL},
        {"", "max_tokens", NULL, 0, NULL},
        {"", "tools", "[]", 0, NULL},
        {"", "stream", NULL, 0, NULL},
        {"", "reasoning_effort", NULL, 0, NULL},
        {"", "response_format", NULL, 0, NULL},
        {"", "tool_choice", NULL, 0, NULL},
        {"", "parallel_tool_calls", NULL, 0, NULL},
        {"'max_output_tokens': 5", "max_tokens", "5", 0, NULL},
        {"'max_output_tokens': null", "max_tokens", NULL, 0, NULL},
        {"'stream': true, 'stream_options': {'include_obfuscation': true}", "stream", "true", 0,
         NULL},
        {"'stream': true, 'stream_options': {'include_obfuscation': true}", "stream_options", NULL,
         0, NULL},
        {"'temperature': 0.5", "temperature", "0.5", 0, NULL},
        {"'top_p': 0.25", "top_p", "0.25", 0, NULL},
        {"'seed': 7", "seed", "7", 0, NULL},
        {"'top_k': 7", "top_k", "7", 0, NULL},
        {"'ignore_eos': true", "ignore_eos", "true", 0, NULL},
        {"'user': 'u'", "user", "'u'", 0, NULL},
        {"'reasoning': {'effort': 'low', 'summary': 'auto'}", "reasoning_effort", "'low'", 0, NULL},
        {"'reasoning': {'effort': 'none'}", "reasoning_effort", "'none'", 0, NULL},
        {"'reasoning': {'effort': null}", "reasoning_effort", NULL, 0, NULL},
        {"'text': {'format': {'type': 'text'}, 'verbosity': 'low'}", "response_format", NULL, 0,
         NULL},
        {"'text': {'format': {'type': 'json_object'}}", "response_format",
         "{'type': 'json_object'}", 0, NULL},
        {"'text': {'format': {'type': 'json_schema', 'name': 'n', 'schema': {'type': 'object'}, "
         "'strict': true}}",
         "response_format",
         "{'type': 'json_schema', 'json_schema': {'name': 'n', 'schema': {'type': 'object'}, "
         "'strict': true}}",
         0, NULL},
        {"'store': true, 'metadata': {'a': 'b'}, 'truncation': 'auto', 'service_tier': 'flex', "
         "'prompt_cache_key': 'k', 'max_tool_calls': 3, 'include': ['reasoning.encrypted_content', "
         "'web_search_call.action.sources'], 'background': false, 'previous_response_id': null, "
         "'conversation': null, 'unknown': {'n': 4}, 'top_logprobs': 0",
         "n", NULL, 0, NULL},
        {"'max_tokens': 4, 'n': 2, 'stop': 'x'", "max_tokens", NULL, 0, NULL},
        {"'max_tokens': 4, 'n': 2, 'stop': 'x'", "stop", NULL, 0, NULL},
    };
    assert_dialect(rows, LENGTH(rows), read_request, good, "input", input);
}

static void tools_become_functions(void **state)
{
    (void)state;
    static const struct dialect_row rows[] = {
        {F, "tools",
         "[{'type': 'function', 'function': {'name': 'f', 'parameters': {'type': 'object'}}}]", 0,
         NULL},
        {"'tools': [{'type': 'function', 'name': 'f', 'description': 'd', 'strict': false, "
         "'parameters': null}]",
         "tools",
         "[{'type': 'function', 'function': {'name': 'f', 'description': 'd', 'strict': false}}]",
         0, NULL},
        {"'tools': [{'type': 'function', 'name': 'f', 'strict': true, 'parameters': {}}]", "tools",
         "[{'type': 'function', 'function': {'name': 'f', 'parameters': {}, 'strict': true}}]", 0,
         NULL},
        {"'tools': [{'type': 'custom', 'name': 'p', 'description': 'd', 'format': {'type': 'text'}}"
         "]",
         "tools",
         "[{'type': 'function', 'function': {'name': 'p', 'description': 'd', 'parameters': "
         "{'type': 'object', 'properties': {'input': {'type': 'string'}}, 'required': "
         "['input']}}}]",
         0, NULL},
        {"'tools': [{'type': 'custom', 'name': 'p', 'description': 'd', 'format': {'type': "
         "'grammar', 'syntax': 'lark', 'definition': 'start: X'}}]",
         "tools",
         "[{'type': 'function', 'function': {'name': 'p', 'description': 'd\\n\\nThe input follows "
         "this grammar (Lark):\\nstart: X', 'parameters': {'type': 'object', 'properties': "
         "{'input': {'type': 'string'}}, 'required': ['input']}}}]",
         0, NULL},
        {"'tools': [{'type': 'custom', 'name': 'p', 'format': {'type': 'grammar', 'syntax': "
         "'regex', 'definition': 'a+'}}]",
         "tools",
         "[{'type': 'function', 'function': {'name': 'p', 'description': 'The input follows this "
         "regular expression:\\na+', 'parameters': {'type': 'object', 'properties': {'input': "
         "{'type': 'string'}}, 'required': ['input']}}}]",
         0, NULL},
        {"'tools': [{'type': 'web_search', 'external_web_access': true}, {'type': "
         "'web_search_preview'}, {'type': 'file_search'}, {'type': 'code_interpreter'}, {'type': "
         "'image_generation'}, {'type': 'mcp', 'server_label': 'x'}]",
         "tools", "[]", 0, NULL},
        {F ", 'tool_choice': 'auto'", "tool_choice", "'auto'", 0, NULL},
        {F ", 'tool_choice': 'none'", "tool_choice", "'none'", 0, NULL},
        {F ", 'tool_choice': 'required'", "tool_choice", "'required'", 0, NULL},
        {F ", 'tool_choice': {'type': 'function', 'name': 'f'}", "tool_choice",
         "{'type': 'function', 'function': {'name': 'f'}}", 0, NULL},
        {"'tools': [{'type': 'custom', 'name': 'p'}], 'tool_choice': {'type': 'custom', 'name': "
         "'p'}",
         "tool_choice", "{'type': 'function', 'function': {'name': 'p'}}", 0, NULL},
        {"'parallel_tool_calls': false", "parallel_tool_calls", "false", 0, NULL},
    };
    assert_dialect(rows, LENGTH(rows), read_request, good, "input", input);
}

static void items_become_messages(void **state)
{
    (void)state;
    static const struct dialect_row rows[] = {
        {"'instructions': 's'", "messages",
         "[{'role': 'system', 'content': 's'}, {'role': 'user', 'content': 'hi'}]", 0, NULL},
        {"'instructions': 's', " ITEMS("{'role': 'developer', 'content': 'd'}, {'role': 'system', "
                                       "'content': 't'}, " USER),
         "messages",
         "[{'role': 'system', 'content': 's\\n\\nd\\n\\nt'}, {'role': 'user', 'content': 'q'}]", 0,
         NULL},
        {ITEMS("{'type': 'message', 'role': 'user', 'content': [{'type': 'input_text', 'text': "
               "'a'}, {'type': 'input_text', 'text': 'b'}]}, " USER),
         "messages", "[{'role': 'user', 'content': 'a\\n\\nb\\n\\nq'}]", 0, NULL},
        {ITEMS("{'role': 'user', 'content': [{'type': 'text', 'text': 'n\\u0000l'}]}"), "messages",
         "[{'role': 'user', 'content': 'n\\u0000l'}]", 0, NULL},
        {ITEMS(USER ", {'type': 'message', 'id': 'msg_1', 'role': 'assistant', 'status': "
                    "'completed', 'content': [{'type': 'output_text', 'text': 'a', 'annotations': "
                    "[]}, {'type': 'refusal', 'refusal': 'b'}]}, " USER),
         "messages",
         "[{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': 'ab'}, {'role': "
         "'user', 'content': 'q'}]",
         0, NULL},
        {ITEMS(USER ", {'role': 'assistant', 'content': 'a'}, {'role': 'assistant', 'content': "
                    "'b'}, " USER),
         "messages",
         "[{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': 'a\\n\\nb'}, "
         "{'role': 'user', 'content': 'q'}]",
         0, NULL},
        {ITEMS(USER ", {'type': 'reasoning', 'id': 'rs_1', 'summary': [], 'content': [{'type': "
                    "'reasoning_text', 'text': 't'}]}, {'role': 'assistant', 'content': 'x'}, " CALL
                    ", " OUT),
         "messages",
         "[{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': 'x', "
         "'reasoning_content': 't', 'tool_calls': [" CALLED(
             "f", "'{}'") "]}, {'role': 'tool', "
                          "'tool_call_id': 'c1', 'content': 'r'}]",
         0, NULL},
        {ITEMS(USER ", {'type': 'custom_tool_call', 'call_id': 'c1', 'name': 'p', 'input': 'a\\'"
                    "b'}, {'type': 'custom_tool_call_output', 'call_id': 'c1', 'output': 'r'}"),
         "messages",
         "[{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': '', 'tool_calls': "
         "[" CALLED("p", "{'input': 'a\\'b'}") "]}, {'role': 'tool', 'tool_call_id': 'c1', "
                                               "'content': 'r'}]",
         0, NULL},
        {ITEMS(USER ", " CALL ", {'type': 'function_call_output', 'call_id': 'c1', 'output': "
                    "[{'type': 'input_text', 'text': 'a'}, {'type': 'input_image', 'image_url': "
                    "'x'}]}"),
         "messages",
         "[{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': '', 'tool_calls': "
         "[" CALLED("f", "'{}'") "]}, {'role': 'tool', 'tool_call_id': 'c1', 'content': "
                                 "'a\\n\\n[Unsupported input_image]'}]",
         0, NULL},
        /* reasoning: its content, else what was made here, else the summary */
        {ITEMS(USER ", {'type': 'reasoning', 'encrypted_content': 'dGVub246SSBhZGQ=', 'summary': "
                    "[{'type': 'summary_text', 'text': 's'}]}, " CALL ", " OUT),
         "messages",
         "[{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': '', "
         "'reasoning_content': 'I add', 'tool_calls': [" CALLED("f", "'{}'") "]}, {'role': "
                                                                             "'tool', "
                                                                             "'tool_call_id': "
                                                                             "'c1', 'content': "
                                                                             "'r'}]",
         0, NULL},
        {ITEMS("{'type': 'reasoning', 'encrypted_content': 'gAAAAforeign', 'summary': [{'type': "
               "'summary_text', 'text': 's'}, {'type': 'summary_text', 'text': 't'}]}, " USER),
         "messages",
         "[{'role': 'assistant', 'content': '', 'reasoning_content': 's\\n\\nt'}, {'role': "
         "'user', 'content': 'q'}]",
         0, NULL},
        {ITEMS("{'type': 'reasoning', 'encrypted_content': 'dGVub246SSBhZGQ=', 'content': "
               "[{'type': 'reasoning_text', 'text': 'c'}]}, " USER),
         "messages",
         "[{'role': 'assistant', 'content': '', 'reasoning_content': 'c'}, {'role': 'user', "
         "'content': 'q'}]",
         0, NULL},
        {ITEMS("{'type': 'reasoning', 'summary': []}, " USER), "messages",
         "[{'role': 'assistant', 'content': '', 'reasoning_content': ''}, {'role': 'user', "
         "'content': 'q'}]",
         0, NULL},
        /* broken: padding inside, a group too short, bytes that are no UTF-8 */
        {ITEMS("{'type': 'reasoning', 'encrypted_content': 'dGVub246SS=hZGQ='}, " USER), "messages",
         "[{'role': 'assistant', 'content': '', 'reasoning_content': ''}, {'role': 'user', "
         "'content': 'q'}]",
         0, NULL},
        {ITEMS("{'type': 'reasoning', 'encrypted_content': 'dGVub246SSB'}, " USER), "messages",
         "[{'role': 'assistant', 'content': '', 'reasoning_content': ''}, {'role': 'user', "
         "'content': 'q'}]",
         0, NULL},
        {ITEMS("{'type': 'reasoning', 'encrypted_content': 'dGVub246////'}, " USER), "messages",
         "[{'role': 'assistant', 'content': '', 'reasoning_content': ''}, {'role': 'user', "
         "'content': 'q'}]",
         0, NULL},
    };
    assert_dialect(rows, LENGTH(rows), read_request, good, "input", input);
}

static void what_is_wrong_is_refused_by_its_name(void **state)
{
    (void)state;
    static const struct dialect_row rows[] = {
        {"'input': null", NULL, NULL, 400, "input"},
        {"'input': 7", NULL, NULL, 400, "input"},
        {"'input': {}", NULL, NULL, 400, "input"},
        {"'input': []", NULL, NULL, 422, "input"},
        {"'input': ['hi']", NULL, NULL, 400, "input[0]"},
        {ITEMS("{'content': 'x'}"), NULL, NULL, 400, "input[0].role"},
        {ITEMS("{'role': 'tool', 'content': 'x'}"), NULL, NULL, 400, "input[0].role"},
        {ITEMS("{'role': 'user'}"), NULL, NULL, 400, "input[0].content"},
        {ITEMS("{'role': 'user', 'content': 1}"), NULL, NULL, 400, "input[0].content"},
        {ITEMS("{'role': 'user', 'content': ['x']}"), NULL, NULL, 400, "input[0].content[0]"},
        {ITEMS("{'role': 'user', 'content': [{'text': 'x'}]}"), NULL, NULL, 400,
         "input[0].content[0].type"},
        {ITEMS("{'role': 'user', 'content': [{'type': 'input_text'}]}"), NULL, NULL, 400,
         "input[0].content[0].text"},
        {ITEMS("{'role': 'user', 'content': [{'type': 'input_text', 'text': 1}]}"), NULL, NULL, 400,
         "input[0].content[0].text"},
        {ITEMS("{'role': 'user', 'content': [{'type': 'input_image', 'image_url': 'x'}]}"), NULL,
         NULL, 400, "input[0].content[0].type"},
        {ITEMS("{'role': 'user', 'content': [{'type': 'input_file', 'file_id': 'x'}]}"), NULL, NULL,
         400, "input[0].content[0].type"},
        {ITEMS("{'type': 7, 'role': 'user', 'content': 'x'}"), NULL, NULL, 400, "input[0].type"},
        {ITEMS("{'type': 'item_reference', 'id': 'x'}"), NULL, NULL, 400, "input[0].type"},
        {ITEMS("{'type': 'local_shell_call', 'call_id': 'x'}"), NULL, NULL, 400, "input[0].type"},
        {ITEMS("{'type': 'mess\\u0000age', 'role': 'user', 'content': 'x'}"), NULL, NULL, 400,
         "input[0].type"},
        {ITEMS("{'type': 'function_call', 'name': 'f', 'arguments': '{}'}"), NULL, NULL, 400,
         "input[0].call_id"},
        {ITEMS("{'type': 'function_call', 'call_id': '', 'name': 'f', 'arguments': '{}'}"), NULL,
         NULL, 422, "input[0].call_id"},
        {ITEMS("{'type': 'function_call', 'call_id': 'c', 'arguments': '{}'}"), NULL, NULL, 400,
         "input[0].name"},
        {ITEMS("{'type': 'function_call', 'call_id': 'c', 'name': 'f'}"), NULL, NULL, 400,
         "input[0].arguments"},
        {ITEMS("{'type': 'function_call', 'call_id': 'c', 'name': 'f', 'arguments': {}}"), NULL,
         NULL, 400, "input[0].arguments"},
        {ITEMS("{'type': 'function_call', 'call_id': 'c', 'name': 'f', 'arguments': "
               "'[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[['}"),
         NULL, NULL, 400, "input[0].arguments"},
        {ITEMS("{'type': 'custom_tool_call', 'call_id': 'c', 'name': 'f'}"), NULL, NULL, 400,
         "input[0].input"},
        {ITEMS("{'type': 'custom_tool_call', 'call_id': 'c', 'name': 'f', 'input': {}}"), NULL,
         NULL, 400, "input[0].input"},
        {ITEMS("{'type': 'function_call_output', 'output': 'x'}"), NULL, NULL, 400,
         "input[0].call_id"},
        {ITEMS("{'type': 'function_call_output', 'call_id': 'c'}"), NULL, NULL, 400,
         "input[0].output"},
        {ITEMS("{'type': 'function_call_output', 'call_id': 'c', 'output': 3}"), NULL, NULL, 400,
         "input[0].output"},
        {ITEMS("{'type': 'function_call_output', 'call_id': 'c', 'output': ['x']}"), NULL, NULL,
         400, "input[0].output[0]"},
        {ITEMS("{'type': 'function_call_output', 'call_id': 'c', 'output': [{}]}"), NULL, NULL, 400,
         "input[0].output[0].type"},
        {ITEMS(
             "{'type': 'function_call_output', 'call_id': 'c', 'output': [{'type': 'a\\u0000'}]}"),
         NULL, NULL, 400, "input[0].output[0].type"},
        {ITEMS("{'type': 'function_call_output', 'call_id': 'c', 'output': [{'type': "
               "'input_text'}]}"),
         NULL, NULL, 400, "input[0].output[0].text"},
        {ITEMS("{'type': 'reasoning', 'content': 'x'}"), NULL, NULL, 400, "input[0].content"},
        {ITEMS("{'type': 'reasoning', 'content': [{'type': 'image'}]}"), NULL, NULL, 400,
         "input[0].content[0].type"},
        {ITEMS("{'type': 'reasoning', 'summary': [{'type': 'summary_text'}]}"), NULL, NULL, 400,
         "input[0].summary[0].text"},
        {ITEMS("{'type': 'reasoning', 'encrypted_content': 3}"), NULL, NULL, 400,
         "input[0].encrypted_content"},
        {ITEMS(USER ", {'role': 'assistant', 'content': 'so'}"), NULL, NULL, 400, "input[1]"},
        {ITEMS(USER ", " CALL), NULL, NULL, 400, "input[1]"},
        {ITEMS(USER ", {'type': 'reasoning'}"), NULL, NULL, 400, "input[1]"},
        {"'instructions': ['x']", NULL, NULL, 400, "instructions"},
        {"'previous_response_id': 'resp_1'", NULL, NULL, 400, "previous_response_id"},
        {"'conversation': 'conv_1'", NULL, NULL, 400, "conversation"},
        {"'conversation': {'id': 'c'}", NULL, NULL, 400, "conversation"},
        {"'prompt': {'id': 'p'}", NULL, NULL, 400, "prompt"},
        {"'background': true", NULL, NULL, 400, "background"},
        {"'background': 1", NULL, NULL, 400, "background"},
        {"'store': 'no'", NULL, NULL, 400, "store"},
        {"'include': 'x'", NULL, NULL, 400, "include"},
        {"'include': [1]", NULL, NULL, 400, "include"},
        {"'include': ['message.output_text.logprobs']", NULL, NULL, 400, "include"},
        {"'top_logprobs': 1", NULL, NULL, 400, "top_logprobs"},
        {"'top_logprobs': 21", NULL, NULL, 422, "top_logprobs"},
        {"'max_output_tokens': 0", NULL, NULL, 422, "max_output_tokens"},
        {"'max_output_tokens': 2147483648", NULL, NULL, 422, "max_output_tokens"},
        {"'max_output_tokens': 1.0", NULL, NULL, 400, "max_output_tokens"},
        {"'reasoning': 'low'", NULL, NULL, 400, "reasoning"},
        {"'reasoning': {'effort': 'most'}", NULL, NULL, 400, "reasoning.effort"},
        {"'reasoning': {'effort': 1}", NULL, NULL, 400, "reasoning.effort"},
        {"'reasoning': {'summary': 'long'}", NULL, NULL, 400, "reasoning.summary"},
        {"'reasoning': {'summary': true}", NULL, NULL, 400, "reasoning.summary"},
        {"'text': 'text'", NULL, NULL, 400, "text"},
        {"'text': {'format': 'text'}", NULL, NULL, 400, "text.format"},
        {"'text': {'format': {}}", NULL, NULL, 400, "text.format.type"},
        {"'text': {'format': {'type': 'xml'}}", NULL, NULL, 400, "text.format.type"},
        {"'text': {'format': {'type': 'json_schema'}}", NULL, NULL, 400, "text.format.name"},
        {"'text': {'format': {'type': 'json_schema', 'name': 'n'}}", NULL, NULL, 400,
         "text.format.schema"},
        {"'text': {'format': {'type': 'json_schema', 'name': 'n', 'schema': {}, 'strict': 1}}",
         NULL, NULL, 400, "text.format.strict"},
        {"'text': {'verbosity': 1}", NULL, NULL, 400, "text.verbosity"},
        {"'metadata': 'x'", NULL, NULL, 400, "metadata"},
        {"'metadata': {'a': 1}", NULL, NULL, 400, "metadata"},
        {"'tools': {}", NULL, NULL, 400, "tools"},
        {"'tools': ['f']", NULL, NULL, 400, "tools[0]"},
        {"'tools': [{'name': 'f'}]", NULL, NULL, 400, "tools[0].type"},
        {"'tools': [{'type': 'local_shell'}]", NULL, NULL, 400, "tools[0].type"},
        {"'tools': [{'type': 'computer_use_preview'}]", NULL, NULL, 400, "tools[0].type"},
        {"'tools': [{'type': 'function'}]", NULL, NULL, 400, "tools[0].name"},
        {"'tools': [{'type': 'function', 'function': {'name': 'f'}}]", NULL, NULL, 400,
         "tools[0].name"},
        {"'tools': [{'type': 'function', 'name': 'f g'}]", NULL, NULL, 400, "tools[0].name"},
        {"'tools': [{'type': 'function', 'name': 'f', 'parameters': 1}]", NULL, NULL, 400,
         "tools[0].parameters"},
        {"'tools': [{'type': 'function', 'name': 'f', 'strict': 'x'}]", NULL, NULL, 400,
         "tools[0].strict"},
        {"'tools': [{'type': 'custom'}]", NULL, NULL, 400, "tools[0].name"},
        {"'tools': [{'type': 'custom', 'name': 'p', 'format': {}}]", NULL, NULL, 400,
         "tools[0].format.type"},
        {"'tools': [{'type': 'custom', 'name': 'p', 'format': {'type': 'grammar'}}]", NULL, NULL,
         400, "tools[0].format.syntax"},
        {"'tools': [{'type': 'custom', 'name': 'p', 'format': {'type': 'grammar', 'syntax': "
         "'ebnf'}}]",
         NULL, NULL, 400, "tools[0].format.syntax"},
        {"'tools': [{'type': 'custom', 'name': 'p', 'format': {'type': 'grammar', 'syntax': "
         "'lark'}}]",
         NULL, NULL, 400, "tools[0].format.definition"},
        {"'tool_choice': 'required'", NULL, NULL, 400, "tool_choice"},
        {"'tool_choice': 'any'", NULL, NULL, 400, "tool_choice"},
        {"'tool_choice': 7", NULL, NULL, 400, "tool_choice"},
        {F ", 'tool_choice': {}", NULL, NULL, 400, "tool_choice.type"},
        {F ", 'tool_choice': {'type': 'web_search'}", NULL, NULL, 400, "tool_choice.type"},
        {F ", 'tool_choice': {'type': 'allowed_tools', 'mode': 'auto', 'tools': []}", NULL, NULL,
         400, "tool_choice.type"},
        {F ", 'tool_choice': {'type': 'function', 'name': 'g'}", NULL, NULL, 400,
         "tool_choice.name"},
        {"'parallel_tool_calls': 0", NULL, NULL, 400, "parallel_tool_calls"},
    };
    assert_dialect(rows, LENGTH(rows), read_request, good, "input", input);
}

static void a_response_repeats_its_request(void **state)
{
    (void)state;
    static const struct {
        const char *body, *echo;
        bool summary, encrypted;
    } rows[] = {
        {"{'model': 'm', 'input': 'hi'}",
         "{'background': false, 'instructions': null, 'max_output_tokens': null, "
         "'max_tool_calls': null, 'metadata': {}, 'parallel_tool_calls': true, "
         "'previous_response_id': null, 'prompt_cache_key': null, 'safety_identifier': null, "
         "'service_tier': 'default', 'store': false, 'temperature': 1, 'tool_choice': 'auto', "
         "'tools': [], 'top_logprobs': 0, 'top_p': 1, 'truncation': 'disabled', 'user': null, "
         "'reasoning': {'effort': null, 'summary': null}, 'text': {'format': {'type': 'text'}, "
         "'verbosity': 'medium'}}",
         false, false},
        {"{'model': 'm', 'input': 'hi', 'instructions': 'i', 'max_output_tokens': 5, "
         "'max_tool_calls': 2, 'metadata': {'a': 'b'}, 'parallel_tool_calls': false, "
         "'prompt_cache_key': 'k', 'safety_identifier': 's', 'service_tier': 'flex', 'store': "
         "true, 'temperature': 0.5, 'tool_choice': 'none', 'tools': [{'type': 'custom', 'name': "
         "'p'}, {'type': 'web_search'}], 'top_p': 0.5, 'truncation': 'auto', 'user': 'u', "
         "'reasoning': {'effort': 'low', 'summary': 'auto'}, 'text': {'verbosity': 'low'}, "
         "'include': ['reasoning.encrypted_content']}",
         "{'background': false, 'instructions': 'i', 'max_output_tokens': 5, 'max_tool_calls': 2, "
         "'metadata': {'a': 'b'}, 'parallel_tool_calls': false, 'previous_response_id': null, "
         "'prompt_cache_key': 'k', 'safety_identifier': 's', 'service_tier': 'default', 'store': "
         "false, 'temperature': 0.5, 'tool_choice': 'none', 'tools': [{'type': 'custom', 'name': "
         "'p'}, {'type': 'web_search'}], 'top_logprobs': 0, 'top_p': 0.5, 'truncation': "
         "'disabled', 'user': 'u', 'reasoning': {'effort': 'low', 'summary': 'auto'}, 'text': "
         "{'format': {'type': 'text'}, 'verbosity': 'low'}}",
         true, true},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct responses_request r;
        struct api_error e = {0};
        json_t *want = dialect_json(rows[i].echo);
        assert_int_equal(responses_request_read(&r, dialect_json(rows[i].body), &e), 0);
        assert_true(json_equal(r.echo, want));
        assert_int_equal(r.summary, rows[i].summary);
        assert_int_equal(r.encrypted, rows[i].encrypted);
        assert_int_equal(json_object_size(r.custom), i);
        assert_true(i == 0 || json_object_get(r.custom, "p"));
        json_decref(want);
        responses_request_fini(&r);
    }
}

/* A request whose metadata is n pairs, with a key of n_key characters and a text of n_value. */
static int read_metadata(struct responses_request *r, int n, int n_key, int n_value,
                         struct api_error *e)
{
    json_t *metadata = json_object();
    struct buf key, value;
    buf_init(&key, 1 << 16);
    buf_init(&value, 1 << 16);
    while (n_key-- > 0)
        buf_add_str(&key, "é");
    while (n_value-- > 0)
        buf_add_str(&value, "語");
    for (int i = 1; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        json_object_set_new(metadata, name, json_string("x"));
    }
    json_object_set_new(metadata, buf_text(&key), json_string(buf_text(&value)));
    buf_fini(&key);
    buf_fini(&value);
    return responses_request_read(
        r, json_pack("{s:s, s:s, s:o}", "model", "m", "input", "hi", "metadata", metadata), e);
}

static void metadata_has_the_limits_of_openai(void **state)
{
    (void)state;
    static const struct {
        int n, n_key, n_value, status;
    } rows[] = {
        {16, 64, 512, 0}, {17, 64, 512, 400}, {16, 65, 512, 400}, {16, 64, 513, 400}, {1, 1, 0, 0}};
    for (size_t i = 0; i < LENGTH(rows); i++) {
        struct responses_request r;
        struct api_error e = {0};
        int rc = read_metadata(&r, rows[i].n, rows[i].n_key, rows[i].n_value, &e);
        assert_int_equal(rc, rows[i].status ? -1 : 0);
        assert_int_equal(e.status, rows[i].status);
        if (rows[i].status) assert_string_equal(e.param, "metadata");
        responses_request_fini(&r);
    }
}

static void what_is_repeated_can_be_limited_and_the_largest_field_is_named(void **state)
{
    (void)state;
    struct responses_request r;
    struct api_error e = {0};
    json_t *body =
        dialect_json("{'model': 'm', 'input': 'hi', 'instructions': "
                     "'01234567890123456789012345678901234567890123456789012345678901'}");
    assert_int_equal(responses_request_read(&r, body, &e), 0);
    size_t low = 0, high = 1000; /* the least limit that it keeps */
    while (low < high) {
        struct api_error refused = {0};
        size_t middle = (low + high) / 2;
        if (responses_request_limit(&r, middle, &refused)) {
            assert_int_equal(refused.status, 413);
            assert_string_equal(refused.param, "instructions");
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t whole = json_dumpb(r.echo, NULL, 0, JSON_COMPACT);
    assert_true(low > 100 && low < whole); /* without the names */
    responses_request_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_become_those_of_a_chat_request),
        cmocka_unit_test(tools_become_functions),
        cmocka_unit_test(items_become_messages),
        cmocka_unit_test(what_is_wrong_is_refused_by_its_name),
        cmocka_unit_test(a_response_repeats_its_request),
        cmocka_unit_test(metadata_has_the_limits_of_openai),
        cmocka_unit_test(what_is_repeated_can_be_limited_and_the_largest_field_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
