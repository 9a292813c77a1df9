"""Judging answers."""

import re


def is_right(content: str, answer: str) -> bool:
    """A number: the last one of the content. A name: the content ends with it."""
    if answer.lstrip("-").isdigit():
        numbers = re.findall(r"-?\d+", content)
        return bool(numbers) and numbers[-1] == answer
    return content.rstrip(" .。!！\n").endswith(answer)


def interval(right: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z, share = 1.96, right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * (share * (1 - share) / count + z * z / (4 * count**2)) ** 0.5 / (1 + z * z / count)
    return middle - half, middle + half
