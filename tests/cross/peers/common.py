"""What the peers in Python share: the messages, the handles, the result. README.md describes them."""

import json
import os
import socket
import tempfile
from typing import Any, Optional

PRIME = 251
STEP = 31
PATTERN = bytes(range(PRIME))
KINDS = ("other", "pipe", "tcp", "udp")


def contents(number: int, size: int) -> bytes:
    """The contents of a message."""
    first = STEP * number % PRIME
    return (PATTERN * ((first + size) // PRIME + 1))[first : first + size]


def expand(text: str) -> "list[tuple[int, int]]":
    """A list of sizes: size and number of handles, for each message."""
    messages: list[tuple[int, int]] = []
    for word in text.split(","):
        sizes, _, times = word.partition("x")
        sizes, _, handles = sizes.partition("+")
        first, _, last = sizes.partition("-")
        for size in range(int(first), int(last or first) + 1):
            messages += [(size, int(handles or 0))] * int(times or 1)
    return messages


def say(line: str) -> None:
    print(line, flush=True)


def make_handle(number: int) -> int:
    """A descriptor to be passed."""
    kind = KINDS[number % len(KINDS)]
    if kind == "other":
        file, path = tempfile.mkstemp(prefix="ferrule-peer-")
        os.unlink(path)
        os.write(file, str(number).encode())
        return file
    if kind == "pipe":
        end, other = socket.socketpair()
        other.close()
        return end.detach()
    inet = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    inet.bind(("127.0.0.1", 0))
    return inet.detach()


def tells(descriptor: int) -> "tuple[int, int]":
    """What tells a file or socket from all others."""
    info = os.fstat(descriptor)
    return info.st_dev, info.st_ino


def handle_is_good(descriptor: int, number: int) -> bool:
    """Whether this is the handle of that number, as far as can be seen."""
    if number % len(KINDS):
        return True
    text = str(number).encode()
    return os.pread(descriptor, len(text) + 1, 0) == text


class Result:
    """What was sent or received."""

    def __init__(self) -> None:
        self.messages = 0
        self.refused = 0
        self.unsent = 0
        self.runs: list[list[int]] = []
        self.bad = -1
        self.end = "FER_OK"
        self.error: Optional[str] = None

    def count(self, size: int, handles: int = 0) -> None:
        self.messages += 1
        run = [size, 1, handles] if handles else [size, 1]
        if self.runs and self.runs[-1][0] == size and self.runs[-1][2:] == run[2:]:
            self.runs[-1][1] += 1
        else:
            self.runs.append(run)

    def check(self, message: bytes, handles: int = 0, good: bool = True) -> None:
        if self.bad < 0 and not (good and message == contents(self.messages, len(message))):
            self.bad = self.messages
        self.count(len(message), handles)

    def say(self) -> None:
        fields: dict[str, Any] = {
            "messages": self.messages,
            "bad": self.bad,
            "end": self.end,
            "refused": self.refused,
            "unsent": self.unsent,
            "runs": self.runs,
        }
        if self.error is not None:
            fields["error"] = self.error
        say("result " + json.dumps(fields))
