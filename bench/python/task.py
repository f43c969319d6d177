"""What the benchmark's Python programs share: arguments, the messages, and the check of what arrives.

Messages are made beforehand, a cycle of them with numbers of their own, and are sent over and over: what is
measured is not how fast Python makes messages.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import NoReturn, Union

RTT, STREAM = "rtt", "stream"
NUMBER = 8  # bytes of a message's number
HEADER = 4  # bytes of a length
# Messages up to this size are compared as a whole, larger ones by size and number.
COMPARED = 4096
CYCLE_BYTES, CYCLE_LEAST, CYCLE_MOST = 1 << 20, 4, 1024
# How often a driver looks at the clock in round trips, in messages.
CLOCK_EVERY = 16
# A batch that arrives is compared in pieces of so many messages.
PIECE = 4096

Bytes = Union[bytes, memoryview]

now = time.perf_counter


def die(why: str) -> NoReturn:
    sys.exit(f"bench: {why}")


class Task:
    """The arguments: serve|drive PATH MODE SIZE SECONDS."""

    def __init__(self, arguments: list[str]) -> None:
        if len(arguments) != 5 or arguments[2] not in (RTT, STREAM):
            die("PROGRAM serve|drive PATH rtt|stream SIZE SECONDS")
        self.serves = arguments[0] == "serve"
        self.path = arguments[1]
        self.streams = arguments[2] == STREAM
        self.size = int(arguments[3])
        self.seconds = float(arguments[4])
        length = max(CYCLE_LEAST, min(CYCLE_MOST, CYCLE_BYTES // self.size)) if self.streams else CLOCK_EVERY
        rest = b"x" * (self.size - NUMBER)
        self.messages = [number.to_bytes(NUMBER, sys.byteorder) + rest for number in range(length)]
        small = self.size <= COMPARED
        # What is_expected() compares with first.
        self.expected = self.messages if small else [message[:NUMBER] for message in self.messages]

    def frames(self) -> list[bytes]:
        """The messages with their length in front."""
        header = self.size.to_bytes(HEADER, "big")
        return [header + message for message in self.messages]

    def rounds(self) -> Iterator[list[bytes]]:
        """The messages, again and again until time is up."""
        started = now()
        yield self.messages
        while now() - started < self.seconds:
            yield self.messages

    def check(self, message: Bytes, expected: bytes) -> None:
        """End the process unless it is the expected one: for those that do not equal it as a whole."""
        if len(message) != self.size or message[:NUMBER] != expected[:NUMBER]:
            die("a message of a wrong size, or with a wrong number")
        if len(expected) == self.size:
            die("a message with wrong bytes")


class Tally:
    """Counts and checks messages as they arrive."""

    def __init__(self, task: Task) -> None:
        self.count = 0
        self.started = 0.0
        self._task = task
        self._length = len(task.expected)
        self._expected = task.expected * (2 + PIECE // self._length)

    def add(self, message: Bytes) -> None:
        """One message."""
        if self.count == 0:
            self.started = now()
        expected = self._expected[self.count % self._length]
        if message != expected:
            self._task.check(message, expected)
        self.count += 1

    def add_many(self, messages: list[bytes]) -> None:
        """Those that came together."""
        if self.count == 0:
            self.started = now()
        for start in range(0, len(messages), PIECE):
            piece = messages[start : start + PIECE] if len(messages) > PIECE else messages
            at = self.count % self._length
            if piece != self._expected[at : at + len(piece)]:
                for message, expected in zip(piece, self._expected[at:]):
                    if message != expected:
                        self._task.check(message, expected)
            self.count += len(piece)


def ready() -> None:
    """The server listens."""
    print("ready", flush=True)


def result(task: Task, count: int, seconds: float) -> None:
    """The last line."""
    print(json.dumps({"count": count, "bytes": count * task.size, "seconds": seconds}), flush=True)
