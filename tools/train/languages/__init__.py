"""How problems are told, one module a language.

Each module has one dict, LANGUAGE, and the functions `counted(n, thing)` ("5 apples") and
`money(n)` ("5 euros"). A word with several forms is a tuple; the dict's "forms" names them, and a
wording uses them as attributes: with things of the forms ("many", "one"), {o} is "apples" and
{o.one} is "apple". Fields of wordings:

    {n} {m}     two different persons          {o} {o2}    two different things
    {a} {b} {c} numbers, from 2 where counted  {A} {B}     counted(a, o), counted(b, o)
    {k}         a small number, 2 to 12        {P} {Q}     money(p), money(q)
    {e}         an expression: 12 + 7 - 5      {w} {x}     words listed, one of them
    {d}         a weekday or a month           {t}         a time of day: 14:35
    {small}     a unit as after "how many"; there {A} is counted(a, big), {B} counted(b, small)
"""

from functools import cache
from importlib import import_module

CODES = "en zh fr de es ru ja th sw bn te".split()

UNSPACED = ("zh", "ja", "th")  # words of a sentence follow one another without a space

# The least number of wordings in each list.
LISTS = {
    "start": 6, "gain": 10, "lose": 10, "gain_each": 5, "lose_each": 5, "ask": 5,
    "add": 12, "sub": 12, "mul": 10, "expr": 6,
    "shop_total": 6, "shop_change": 6, "shop_two": 5,
    "share": 8, "rest": 8,
    "more": 10, "larger": 6, "asc": 6, "desc": 6,
    "count": 5, "times": 5, "kind": 5,
    "day_after": 6, "day_before": 5, "month_after": 5, "month_before": 5,
    "time_after": 6, "time_before": 5, "time_hours": 5,
    "unit": 5, "unit_and": 5, "relations": 6,
}


class Word(str):
    """A word in its first form; other forms are attributes."""

    def __new__(cls, forms, names):
        word = super().__new__(cls, forms[0])
        for name, form in zip(names, forms, strict=True):
            setattr(word, name, form)
        return word


class Language:
    def __init__(self, code: str):
        module = import_module(f"languages.{code}")
        self.code, self.counted, self.money = code, module.counted, module.money
        self.words = dict(module.LANGUAGE)
        # What stands before a word in running text: in the thinking it stands there too, so that a
        # word is the same token in both.
        self.before_name = "" if code in UNSPACED else " "
        self.before_listed = " " if self.words["join"].endswith(" ") else ""
        for part, names in self.words["forms"].items():
            self.words[part] = [Word(forms, names) for forms in self.words[part]]
        if "units" in self.words["forms"]:
            raise ValueError("the forms of units are named by `unit` in forms")
        names = self.words["unit_forms"]
        self.words["units"] = [
            (factor, Word(as_tuple(big), names), Word(as_tuple(small), names))
            for factor, big, small in self.words["units"]
        ]

    def __getitem__(self, part: str):
        return self.words[part]


def all_words(lang: Language) -> set[str]:
    """Names, things, days, ... in all their forms: what changes from problem to problem."""
    found = {word for kind, listed in lang["kinds"].items() for word in (kind, *listed)}
    for part in ("names", "things", "words", "weekdays", "months"):
        for word in lang[part]:
            found |= {str(word), *getattr(word, "__dict__", {}).values()}
    for _, big, small in lang["units"]:
        found |= {str(word) for unit in (big, small) for word in (unit, *unit.__dict__.values())}
    return {word for word in found if isinstance(word, str) and word}


def as_tuple(forms) -> tuple:
    return (forms,) if isinstance(forms, str) else tuple(forms)


@cache
def language(code: str) -> Language:
    return Language(code)
