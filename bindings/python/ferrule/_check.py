"""Arguments that would be taken for something else, or refused without saying which one is wrong."""

from __future__ import annotations

import operator


def flag(name: str, value: bool) -> bool:
    """Raises TypeError for what is neither True nor False: "no" would count as true."""
    if value is not True and value is not False:
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return value


def whole(name: str, number: int) -> int:
    """Raises TypeError for what is no whole number."""
    try:
        return operator.index(number)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {number!r}") from None


def real(name: str, number: float) -> float:
    """Raises TypeError for what cannot be compared with a number."""
    try:
        operator.lt(number, 0)
    except TypeError:
        raise TypeError(f"{name} must be a number, not {number!r}") from None
    return number
