"""Every language has all it needs: lists long enough, wordings whose fields exist and are all used.

    python test_languages.py [CODE ...]     all languages unless some are named
"""

import string
import sys

from languages import CODES, LISTS, Language

FIELDS = {
    "start": "n o A", "gain": "n m o b B", "lose": "n m o b B", "gain_each": "n m o k b B",
    "lose_each": "n m o k b B", "ask": "n o", "add": "n m o a b A B", "sub": "n m o a b A B",
    "mul": "n m o k b B", "expr": "e n", "shop_total": "n o k P", "shop_change": "n o k P Q",
    "shop_two": "n o o2 P Q", "share": "n o k a A", "rest": "n o k a A", "more": "n m o a b A B",
    "larger": "a b", "asc": "w", "desc": "w", "count": "w", "times": "w x", "kind": "w x",
    "day_after": "n d k", "day_before": "n d k", "month_after": "n d k", "month_before": "n d k",
    "time_after": "n t b", "time_before": "n t b", "time_hours": "n t k", "unit": "small A",
    "unit_and": "small A B", "relations": "n m o",
}
# What a wording cannot leave out: one of each group.
NEEDED = {
    "start": "A", "gain": "bB", "lose": "bB", "gain_each": "k bB", "lose_each": "k bB", "ask": "",
    "add": "aA bB", "sub": "aA bB", "mul": "k bB", "expr": "e", "shop_total": "k P",
    "shop_change": "k P Q", "shop_two": "P Q", "share": "aA k", "rest": "aA k", "more": "aA bB",
    "larger": "a b", "asc": "w", "desc": "w", "count": "w", "times": "w x", "kind": "w x",
    "day_after": "d k", "day_before": "d k", "month_after": "d k", "month_before": "d k",
    "time_after": "t b", "time_before": "t b", "time_hours": "t k", "unit": "small A",
    "unit_and": "small A B",
}


def fields(wording: str) -> set[str]:
    return {name.split(".")[0] for _, name, _, _ in string.Formatter().parse(wording) if name}


def check_wordings(lang: Language) -> None:
    for part, least in LISTS.items():
        found = lang[part]
        where = f"{lang.code} {part}"
        assert len(found) >= least, f"{where}: {len(found)} wordings, {least} are wanted"
        wordings = []
        for entry in found:
            if part in ("more", "larger"):
                assert isinstance(entry[1], bool), where
            wordings += [entry] if isinstance(entry, str) else [e for e in entry if isinstance(e, str)]
        assert len(set(wordings)) == len(wordings), f"{where}: a wording stands twice"
        for wording in wordings:
            used = fields(wording)
            assert used <= set(FIELDS[part].split()), f"{where}: {wording}"
            for group in NEEDED.get(part, "").split():
                names = {group} if group in ("small",) else set(group)
                assert used & names, f"{where}: none of {group}: {wording}"
            sample(lang, wording)
    for than, inverse, most, least in lang["relations"]:
        assert {"n", "m"} <= fields(than) and {"n", "m"} <= fields(inverse), than
        assert not {"n", "m"} & (fields(most) | fields(least)), most


def sample(lang: Language, wording: str) -> str:
    """Filled with the first words: fails where a form has no name."""
    o, o2 = lang["things"][:2]
    n, m = lang["names"][:2]
    _, big, small = lang["units"][0]
    unit = "{small" in wording
    return wording.format(
        n=n, m=m, o=o, o2=o2, a=7, b=5, c=3, k=4, P=lang.money(6), Q=lang.money(50), e="12 + 7",
        A=lang.counted(7, big if unit else o), B=lang.counted(5, small if unit else o), w="x, y",
        x="x", d=lang["weekdays"][0], t="14:35", small=small)


def check_words(lang: Language) -> None:
    for part, least in (("names", 12), ("things", 12), ("words", 20), ("units", 6)):
        assert len(lang[part]) >= least, f"{lang.code} {part}"
        assert len(set(lang[part])) == len(lang[part]), f"{lang.code} {part}: one stands twice"
    assert len(lang["weekdays"]) == 7 and len(lang["months"]) == 12, lang.code
    assert len(lang["kinds"]) >= 3 and all(len(v) >= 6 for v in lang["kinds"].values()), lang.code
    assert lang["answer"].count("{}") == 1, lang.code
    assert lang["answer"].rstrip(" .。।!").endswith("{}"), f"{lang.code}: the answer ends the reply"
    assert len(lang["systems"]) >= 3 and len(lang["greetings"]) >= 5, lang.code
    for n in (2, 3, 5, 21, 22, 25, 99, 100):
        for thing in lang["things"]:
            assert str(n) in lang.counted(n, thing), (lang.code, thing)
        for _, big, small in lang["units"]:
            assert str(n) in lang.counted(n, big) and str(n) in lang.counted(n, small)
        assert str(n) in lang.money(n)


def main() -> None:
    for code in sys.argv[1:] or CODES:
        lang = Language(code)
        check_wordings(lang)
        check_words(lang)
        print(f"{code}: {sum(len(lang[part]) for part in LISTS)} wordings")


if __name__ == "__main__":
    main()
