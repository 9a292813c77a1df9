/* Is the final answer right? Only the content of the output is looked at, never its reasoning, and only
 * of an output that came to its end: whoever calls this counts one that was cut off as wrong.
 *
 * A digit is an ASCII, fullwidth, Devanagari, Bengali, Telugu or Thai decimal digit, and stands for its
 * value. A number is
 *   - a sign: + - U+2212 U+FF0B U+FF0D, if the character before it is no digit, letter, mark or closing
 *     bracket; else it is not the number's;
 *   - digits, in which a separator may stand before groups of two or three digits of which the last
 *     has three, at most 32 groups: 1,450  12,34,567. Separators: , U+FF0C {,} ,\! \,
 *   - a point (. U+FF0E) and digits. Without digits before it, a point begins a number when no digit
 *     or letter stands before it.
 * Numbers are equal when they have the same decimal digits: leading zeros, zeros at the end of a
 * fraction and the sign of zero do not count, so 1450.0 is 1,450. Nothing is rounded.
 *
 * The wanted answer is numeric when all of it, white space at its ends aside, is one number. Then the
 * output's answer is
 *   - the last number inside the last \boxed{...}, when there is one (braces may nest; one that never
 *     closes ends with the content);
 *   - else the last number of the line behind the last ####, when there is one;
 *   - else the last number of the content.
 * No number there: wrong.
 *
 * Any other answer (14:35, a list such as "3, 5, 12", a name) is text. Content and wanted answer lose
 * white space, terminal punctuation, closing quotes, asterisks, underscores and backticks at their
 * ends; then the content must end with the answer, byte for byte, at a word boundary:
 *   - an answer that begins with a digit or a sign: no digit or minus sign before it, nor one of
 *     . : , / directly behind a digit; before a list (an answer with a comma behind a digit) also no
 *     comma, with or without white space, behind a digit, as the list would go on;
 *   - an answer that begins with a letter of a script written with spaces (any but Han, kana, Thai, Lao,
 *     Khmer, Burmese): no such letter, nor a mark, before it;
 *   - any other beginning: everywhere.
 * Upper and lower case differ. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

bool judge_answer(const char *content, size_t size, const char *wanted);

/* What the output gives as its answer, to count equal answers: for a numeric `wanted` the number in one
 * spelling (empty when there is none), else the content's last line, its ends cut as above. Appends to
 * out. */
void judge_given(const char *content, size_t size, const char *wanted, struct buf *out);
