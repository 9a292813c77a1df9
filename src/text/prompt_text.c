/* Texts of DeepSeek's encoder (MIT, Copyright (c) 2023 DeepSeek); a test compares them with
 * tests/data/prompt-constants.json. */
#include "text/prompt_text.h"

const char prompt_effort_abs[] =
    "Reasoning Effort: Absolute maximum with no shortcuts permitted.\n"
    "You MUST be very thorough in your thinking and comprehensively decompose the problem "
    "to resolve the root cause, rigorously stress-testing your logic against all potential "
    "paths, edge cases, and adversarial scenarios.\n"
    "Explicitly write out your entire deliberation process, documenting every intermediate "
    "step, considered alternative, and rejected hypothesis to ensure absolutely no "
    "assumption is left unchecked.\n"
    "\n";

const char prompt_effort_beyond[] =
    "Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.\n"
    "You MUST reason with the utmost depth and rigor, leaving absolutely nothing to "
    "chance: exhaustively decompose the problem into its most fundamental components, "
    "trace every causal chain to its root, and resolve the underlying cause rather than "
    "any surface symptom.\n"
    "Do not stop reasoning until you have independently verified the solution from "
    "multiple angles and are certain that no assumption remains unchecked and no error "
    "remains undiscovered.\n"
    "\n";

const char prompt_tools_prefix[] =
    "## Tools\n"
    "\n"
    "You have access to a set of tools to help answer the user's question. You can invoke "
    "tools by writing a \"<｜DSML｜tool_calls>\" block like the following:\n"
    "\n"
    "<｜DSML｜tool_calls>\n"
    "<｜DSML｜invoke name=\"$TOOL_NAME\">\n"
    "<｜DSML｜parameter name=\"$PARAMETER_NAME\" "
    "string=\"true|false\">$PARAMETER_VALUE</｜DSML｜parameter>\n"
    "...\n"
    "</｜DSML｜invoke>\n"
    "<｜DSML｜invoke name=\"$TOOL_NAME2\">\n"
    "...\n"
    "</｜DSML｜invoke>\n"
    "</｜DSML｜tool_calls>\n"
    "\n"
    "String parameters should be specified as is and set `string=\"true\"`. For all other "
    "types (numbers, booleans, arrays, objects), pass the value in JSON format and set "
    "`string=\"false\"`.\n"
    "\n"
    "If thinking_mode is enabled (triggered by <think>), you MUST output your complete "
    "reasoning inside <think>...</think> BEFORE any tool calls or final response.\n"
    "\n"
    "Otherwise, output directly after </think> with tool calls or final response.\n"
    "\n"
    "### Available Tool Schemas\n"
    "\n";

const char prompt_tools_suffix[] =
    "\n"
    "\n"
    "You MUST strictly follow the above defined tool name and parameter schemas to invoke "
    "tool calls.\n";

const char prompt_response_format_prefix[] =
    "## Response Format:\n"
    "\n"
    "You MUST strictly adhere to the following schema to reply:\n";

const struct prompt_task prompt_tasks[] = {
    {"action", "<｜action｜>"},
    {"query", "<｜query｜>"},
    {"authority", "<｜authority｜>"},
    {"domain", "<｜domain｜>"},
    {"title", "<｜title｜>"},
    {"read_url", "<｜read_url｜>"},
    {NULL, NULL},
};

static const struct prompt_effort preview_efforts[] = {
    {"none", ""}, {"high", ""}, {"max", prompt_effort_abs}, {NULL, NULL}};

static const struct prompt_effort official_efforts[] = {
    {"low", ""}, {"high", prompt_effort_abs}, {"max", prompt_effort_beyond}, {NULL, NULL}};

static const struct prompt_effort v41_efforts[] = {{"high", PROMPT_EFFORT_LINE("50")},
                                                   {"low", PROMPT_EFFORT_LINE("25")},
                                                   {"xhigh", PROMPT_EFFORT_LINE("75")},
                                                   {"max", PROMPT_EFFORT_LINE("100")},
                                                   {NULL, NULL}};

const struct prompt_family_text prompt_families[FAMILY_COUNT] = {
    [FAMILY_PREVIEW] = {"preview", preview_efforts, false, "", "tool_calls", "invoke", "parameter"},
    [FAMILY_OFFICIAL] = {"official", official_efforts, false, "", "tool_calls", "invoke",
                         "parameter"},
    [FAMILY_V41] = {"v4.1", v41_efforts, true, "<｜System｜>", " calls", " invoke", " parameter"},
};
