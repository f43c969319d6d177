"""Times: seconds in Python, milliseconds in C."""

from __future__ import annotations

import math
import time

from . import _check

_LONGEST = 2**53  # Longer than anybody waits, and exact as a float.


def milliseconds(seconds: float | None) -> int:
    """As C has it: rounded up, so that nothing ends early; -1 for None and for infinity.

    Raises TypeError for what is no number, ValueError for a negative time and for NaN.
    """
    if seconds is None or seconds == math.inf:
        return -1
    if not _check.real("a time", seconds) >= 0:
        raise ValueError(f"a time cannot be {seconds!r}")
    return min(math.ceil(seconds * 1000), _LONGEST)


class Deadline:
    """What is left of a time, for calls that are made again after a signal."""

    __slots__ = ("_end",)

    def __init__(self, seconds: float | None) -> None:
        limit = milliseconds(seconds)
        self._end = None if limit < 0 else time.monotonic() + limit / 1000

    def left(self) -> int:
        """In milliseconds; 0 when it is over, -1 without limit."""
        if self._end is None:
            return -1
        return math.ceil(max(0.0, self._end - time.monotonic()) * 1000)
