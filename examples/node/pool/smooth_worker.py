"""A worker of smooth.mjs: takes samples as 64-bit numbers, and sends them back smoothed."""

from __future__ import annotations

import signal

# Ctrl-C reaches all processes of a terminal. The pool decides when its workers end, from the first instant on.
signal.signal(signal.SIGINT, signal.SIG_IGN)

import sys  # noqa: E402
from array import array  # noqa: E402
from collections.abc import Iterable  # noqa: E402
from itertools import accumulate  # noqa: E402

from ferrule import sync  # noqa: E402


def smooth(samples: Iterable[float]) -> array[float]:
    """Every sample pulls the mean an eighth of the way towards itself."""
    return array("d", accumulate(samples, lambda mean, sample: mean + (sample - mean) / 8))


try:
    with sync.parent() as channel:
        for message in channel:
            # The bytes of the message are the numbers, and the bytes of the array the answer: nothing is converted.
            channel.send(smooth(memoryview(message).cast("d")))
except ConnectionError:
    sys.exit(1)  # The pool has died.
