"""Worked thinking, in one notation for all languages, so that what is learned in one serves all.

A line is WHAT→STEPS→RESULT; steps are parted by commas and each is easy by itself: one column of a
sum, one product of two digits, one comparison. Every function gives the thinking and the answer.

    27+35-8                      the question as an expression
    27+35→7+5=12,2+3+1=6→62      columns from the right, with the carry
    62-8→12-8=4,6-1=5→54
"""


def digits(n: int) -> list[int]:
    """From the right."""
    return [int(d) for d in reversed(str(n))]


def column(parts: list[int], sign: str, value: int) -> str:
    """One column: a bare digit needs no sum."""
    return f"{sign.join(map(str, parts))}={value}" if len(parts) > 1 else str(value)


def add_columns(a: int, b: int) -> list[str]:
    one, two, carry, texts = digits(a), digits(b), 0, []
    for place in range(max(len(one), len(two))):
        parts = [d[place] for d in (one, two) if place < len(d)] + [1] * carry
        texts.append(column(parts, "+", sum(parts)))
        carry = sum(parts) // 10
    return texts


def sub_columns(a: int, b: int) -> list[str]:
    one, two, borrow, texts = digits(a), digits(b), 0, []
    for place, top in enumerate(one):
        down = ([two[place]] if place < len(two) else []) + [1] * borrow
        borrow = int(top < sum(down))
        top += 10 * borrow
        texts.append(column([top, *down], "-", top - sum(down)))
    return texts


def mul_columns(a: int, b: int) -> list[str]:
    """b has one digit."""
    carry, texts = 0, []
    for d in digits(a):
        value = d * b + carry
        texts.append(f"{d}×{b}{f'+{carry}' if carry else ''}={value}")
        carry = value // 10
    return texts


def operation(a: int, sign: str, b: int) -> tuple[str, int]:
    """The line of one operation, and its value."""
    if sign == "+":
        value, inner = a + b, add_columns(a, b) if max(a, b) > 9 else []
    elif sign == "-":
        value, inner = a - b, sub_columns(a, b) if a > 9 else []
    else:
        value, inner = a * b, product_steps(a, b)
    middle = ",".join(inner) + "→" if inner else ""
    return f"{a}{sign}{b}→{middle}{value}", value


def product_steps(a: int, b: int) -> list[str]:
    if max(a, b) <= 12 or b in (10, 100, 1000):
        return []
    if b % 10 == 0:  # tens: the zero is put behind
        return [f"{a}×{b // 10}={a * b // 10}"]
    if a > 9 and b > 9:
        raise ValueError(f"{a}×{b} has no easy steps")
    return mul_columns(max(a, b), min(a, b))


def never_negative(parts: list) -> bool:
    total, place = 0, 0
    sign = "+"
    while place < len(parts):
        value = parts[place]
        while place + 2 < len(parts) and parts[place + 1] == "×":
            value *= parts[place + 2]
            place += 2
        total += value if sign == "+" else -value
        if total < 0:
            return False
        sign = parts[place + 1] if place + 1 < len(parts) else ""
        place += 2
    return True


def expression(parts: list) -> tuple[str, str]:
    """Numbers and signs in turn; products first, then from the left."""
    parts, lines = list(parts), []
    if len(parts) > 3:
        lines.append("".join(map(str, parts)))
    while len(parts) > 1:
        at = parts.index("×") if "×" in parts else 1
        line, value = operation(*parts[at - 1 : at + 2])
        parts[at - 1 : at + 2] = [value]
        lines.append(line)
    return "\n".join(lines), str(parts[0])


def sign_between(a: int, b: int) -> str:
    return "<" if a < b else ">" if a > b else "="


def goal(most: bool) -> str:
    """Which end of the order is asked for: written first, so that it is learned by itself."""
    return "↑" if most else "↓"


def compare(a: int, b: int, names: tuple, before: str, want_larger: bool) -> tuple[str, str]:
    """From the left, one digit at a time, until they differ; more digits are more. Then both in
    order, the larger first. names: whose the numbers are, or nothing; before: what a name has
    before it."""
    if len(str(a)) != len(str(b)):
        inner = [f"{a}{sign_between(a, b)}{b}"]
    else:
        inner = []
        for x, y in zip(str(a), str(b)):
            inner.append(f"{x}{sign_between(int(x), int(y))}{y}")
            if x != y:
                break
    ends = [f"{before}{name}" for name in names] or [str(a), str(b)]
    shown = f"{ends[0]}:{a},{ends[1]}:{b}" if names else f"{a},{b}"
    high, low = ends if a > b else reversed(ends)
    found = high if want_larger else low
    return (f"{goal(want_larger)}{shown}→{','.join(inner)}→{high}>{low}→{found}",
            found.removeprefix(before) if names else found)


def sort(numbers: list[int], down: bool, join: str) -> tuple[str, str]:
    """The order asked for; then each number in turn is put in its place, compared from the front."""
    done, lines = [numbers[0]], [f"{'>' if down else '<'}{numbers[0]}"]
    for n in numbers[1:]:
        inner, place = [], 0
        for other in done:
            inner.append(f"{n}{sign_between(n, other)}{other}")
            if (n > other) == down:
                break
            place += 1
        done.insert(place, n)
        lines.append(f"{n}→{','.join(inner)}→{','.join(map(str, done))}")
    return "\n".join(lines), join.join(map(str, done))


def count(listed: list[tuple[str, str]], asked: str, before: str) -> tuple[str, str]:
    """listed: each word with its kind, or with nothing; asked: a word or a kind, or nothing where
    all are counted. What is asked for, marked +; then each word with its number, its kind and a
    mark: + and the count so far, or -."""
    if not asked:
        numbered = [f"{place}{before}{word}" for place, (word, _) in enumerate(listed, 1)]
        return f"*→{','.join(numbered)}→{len(listed)}", str(len(listed))
    found, inner = 0, []
    for place, (word, kind) in enumerate(listed, 1):
        hit = asked in (word, kind)
        found += hit
        shown = before + word + (before + kind if kind else "")
        inner.append(f"{place}{shown}{f'+{found}' if hit else '-'}")
    return f"{before}{asked}+→{','.join(inner)}→{found}", str(found)


def divide(a: int, k: int, want_rest: bool) -> tuple[str, str]:
    whole, rest = divmod(a, k)
    inner = f"{k}×{whole}={k * whole}"
    if not want_rest:
        return f"{a}÷{k}→{inner}→{whole}", str(whole)
    return f"{a}÷{k}→{inner}\n{operation(a, '-', k * whole)[0]}", str(rest)


def walk(names: list[str], start: int, k: int, forward: bool, before: str) -> tuple[str, str]:
    """Days or months one by one, whole rounds left out."""
    lines = [f"{before}{names[start]}{'+' if forward else '-'}{k}"]
    whole = k // len(names) * len(names)
    if whole:
        lines.append(operation(k, "-", whole)[0])
    place, inner = start, [f"{before}{names[start]}:0"]
    for step in range(1, k - whole + 1):
        place = (place + (1 if forward else -1)) % len(names)
        inner.append(f"{before}{names[place]}:{step}")
    lines.append(f"{','.join(inner)}→{before}{names[place]}")
    return "\n".join(lines), str(names[place])


def clock(hour: int, minute: int, minutes: int = 0, hours: int = 0) -> tuple[str, str]:
    """The minutes first; at 60 or below 0 one hour moves."""
    lines = []
    if hours:
        line, hour = operation(hour, "+", hours)
        lines.append(line)
    elif minutes > 0:
        line, minute = operation(minute, "+", minutes)
        lines.append(line)
        if minute > 59:
            line, minute = operation(minute, "-", 60)
            lines += [line, f"{hour}+1→{hour + 1}"]
            hour += 1
    else:
        if minute < -minutes:
            line, minute = operation(minute, "+", 60)
            lines += [line, f"{hour}-1→{(hour - 1) % 24}"]
            hour = (hour - 1) % 24
        line, minute = operation(minute, "-", -minutes)
        lines.append(line)
    if hour > 23:
        line, hour = operation(hour, "-", 24)
        lines.append(line)
    answer = f"{hour:02}:{minute:02}"
    return "\n".join([*lines, answer]), answer


def chain(facts: list[tuple[str, str]], same: list[bool], want_most: bool,
          before: str) -> tuple[str, str]:
    """facts: (more, less), a chain in any order; same: told with the more first. The facts as told;
    each as a hop a:b towards the end asked for; and the way there from the first hop: it goes on
    while some hop begins where it stands."""
    told = [f"{before}{n}>{before}{m}" if first else f"{before}{m}<{before}{n}"
            for (n, m), first in zip(facts, same)]
    way = facts if not want_most else [(m, n) for n, m in facts]
    next_one = dict(way)
    hops = [f"{before}{n}:{before}{m}" for n, m in way]
    row = list(way[0])
    while row[-1] in next_one:
        row.append(next_one[row[-1]])
    shown = ":".join(before + name for name in row)
    return f"{goal(want_most)}{','.join(told)}→{','.join(hops)}→{shown}", row[-1]
