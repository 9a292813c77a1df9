#include "text/unicode.h"

#include <stdbool.h>
#include <stddef.h>
#include <utf8proc.h>

static bool is_white_space(int32_t cp)
{
    return (cp >= 0x09 && cp <= 0x0d) || cp == 0x20 || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f ||
           cp == 0x205f || cp == 0x3000;
}

/* Letters, marks, numbers, punctuation and symbols assigned in Unicode 15.1 and 16.0, in order. */
static const struct {
    int32_t first, last;
    int class;
} recent[] = {
    {0x897, 0x897, MARK},       {0x1b4e, 0x1b4f, PUNCT},    {0x1b7f, 0x1b7f, PUNCT},
    {0x1c89, 0x1c8a, LETTER},   {0x2427, 0x2429, PUNCT},    {0x2ffc, 0x2fff, PUNCT},
    {0x31e4, 0x31e5, PUNCT},    {0x31ef, 0x31ef, PUNCT},    {0xa7cb, 0xa7cd, LETTER},
    {0xa7da, 0xa7dc, LETTER},   {0x105c0, 0x105f3, LETTER}, {0x10d40, 0x10d49, NUMBER},
    {0x10d4a, 0x10d65, LETTER}, {0x10d69, 0x10d6d, MARK},   {0x10d6e, 0x10d6e, PUNCT},
    {0x10d6f, 0x10d85, LETTER}, {0x10d8e, 0x10d8f, PUNCT},  {0x10ec2, 0x10ec4, LETTER},
    {0x10efc, 0x10efc, MARK},   {0x11380, 0x11389, LETTER}, {0x1138b, 0x1138b, LETTER},
    {0x1138e, 0x1138e, LETTER}, {0x11390, 0x113b5, LETTER}, {0x113b7, 0x113b7, LETTER},
    {0x113b8, 0x113c0, MARK},   {0x113c2, 0x113c2, MARK},   {0x113c5, 0x113c5, MARK},
    {0x113c7, 0x113ca, MARK},   {0x113cc, 0x113d0, MARK},   {0x113d1, 0x113d1, LETTER},
    {0x113d2, 0x113d2, MARK},   {0x113d3, 0x113d3, LETTER}, {0x113d4, 0x113d5, PUNCT},
    {0x113d7, 0x113d8, PUNCT},  {0x113e1, 0x113e2, MARK},   {0x116d0, 0x116e3, NUMBER},
    {0x11bc0, 0x11be0, LETTER}, {0x11be1, 0x11be1, PUNCT},  {0x11bf0, 0x11bf9, NUMBER},
    {0x11f5a, 0x11f5a, MARK},   {0x13460, 0x143fa, LETTER}, {0x16100, 0x1611d, LETTER},
    {0x1611e, 0x1612f, MARK},   {0x16130, 0x16139, NUMBER}, {0x16d40, 0x16d6c, LETTER},
    {0x16d6d, 0x16d6f, PUNCT},  {0x16d70, 0x16d79, NUMBER}, {0x18cff, 0x18cff, LETTER},
    {0x1cc00, 0x1ccef, PUNCT},  {0x1ccf0, 0x1ccf9, NUMBER}, {0x1cd00, 0x1ceb3, PUNCT},
    {0x1e5d0, 0x1e5ed, LETTER}, {0x1e5ee, 0x1e5ef, MARK},   {0x1e5f0, 0x1e5f0, LETTER},
    {0x1e5f1, 0x1e5fa, NUMBER}, {0x1e5ff, 0x1e5ff, PUNCT},  {0x1f8b2, 0x1f8bb, PUNCT},
    {0x1f8c0, 0x1f8c1, PUNCT},  {0x1fa89, 0x1fa89, PUNCT},  {0x1fa8f, 0x1fa8f, PUNCT},
    {0x1fabe, 0x1fabe, PUNCT},  {0x1fac6, 0x1fac6, PUNCT},  {0x1fadc, 0x1fadc, PUNCT},
    {0x1fadf, 0x1fadf, PUNCT},  {0x1fae9, 0x1fae9, PUNCT},  {0x1fbcb, 0x1fbef, PUNCT},
    {0x2ebf0, 0x2ee5d, LETTER},
};

static int recent_class(int32_t cp)
{
    size_t lo = 0, hi = sizeof recent / sizeof *recent;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (cp > recent[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == sizeof recent / sizeof *recent || cp < recent[lo].first) return 0;
    return recent[lo].class;
}

static int category_class(int32_t cp)
{
    utf8proc_category_t c = utf8proc_category(cp);
    if (c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO) return LETTER;
    if (c >= UTF8PROC_CATEGORY_MN && c <= UTF8PROC_CATEGORY_ME) return MARK;
    if (c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO) return NUMBER;
    if (c >= UTF8PROC_CATEGORY_PC && c <= UTF8PROC_CATEGORY_SO) return PUNCT;
    return c == UTF8PROC_CATEGORY_CN ? recent_class(cp) : 0;
}

int unicode_class(int32_t cp)
{
    int class = category_class(cp);
    if (is_white_space(cp)) class |= SPACE;
    if (cp == '\r' || cp == '\n') class |= NEWLINE;
    if (cp < 0x80 && class == LETTER) class |= ASCII_LETTER;
    if ((cp >= 0x4e00 && cp <= 0x9fa5) || (cp >= 0x3040 && cp <= 0x30ff)) class |= HAN_KANA;
    return class;
}
