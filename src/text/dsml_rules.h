/* Tool calls as a part of a grammar, in the form of text/prompt.h:
 *
 *     <DSML tool_calls>\n<DSML invoke name="NAME">\n parameters \n</DSML invoke> ... \n</DSML tool_calls>
 *
 * Names are those of the tools, parameters those of a tool's schema, in its order; what is not required may be left
 * out. A parameter that is a string is written as it is (string="true"), all else in JSON (string="false").
 * A tool with "strict": true keeps to its schema, and what the compiler of schemas cannot do is refused by name. Of
 * other tools such parts count as any value. A tool without properties, not strict, that does not forbid others
 * takes parameters of any name. */
#pragma once
#include <jansson.h>

#include "text/grammar.h"
#include "text/prompt.h"

/* From the "<" of the block on. tools as for prompt_encode; only: the one that may be called, NULL: any;
 * many: one call or more, else one. */
int dsml_add(struct grammar *g, const json_t *tools, const char *only, bool many,
             enum prompt_family family);
