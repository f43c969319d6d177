"""The receiver that docs/wire-format.md shows must see in every vector what the vector says."""

import collections
import io
import json
import os
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import doc_blocks

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "wire-format.md"
VECTORS = ROOT / "tests" / "vectors" / "frames.json"


def receiver() -> dict[str, Any]:
    """The names that the program of the page defines."""
    (program,) = doc_blocks.programs(PAGE, "python")
    names: dict[str, Any] = {}
    exec(compile(program.block.text, str(PAGE), "exec"), names)
    return names


class Stream:
    """The bytes of a vector, with the descriptors that ride on them."""

    def __init__(self, vector: dict[str, Any]) -> None:
        self.bytes = io.BytesIO(bytes.fromhex(vector["hex"]))
        self.rides = vector.get("rides", [])
        self.descriptors: collections.deque[int] = collections.deque()

    def read(self, size: int) -> bytes:
        first = self.bytes.tell()
        data = self.bytes.read(size)
        for ride in self.rides:
            if first <= ride["at"] < first + len(data):
                self.descriptors.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(ride["count"]))
        return data


def replay(names: dict[str, Any], vector: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the receiver of the page sees, in the words of the vectors."""
    stream = Stream(vector)
    native = vector["wire"] == "native"
    limits = vector["limits"]
    try:
        if native:
            yield {"type": "hello", **names["read_hello"](stream)}
        while True:
            handles = []
            if native:
                message, handles = names["read_native"](stream, limits["max_message"], limits["max_handles"])
            else:
                message = names["read_plain"](stream, limits["max_message"])
            yield {"type": "message", "hex": message.hex(), "handles": len(handles)}
            for handle in handles:
                os.close(handle)
    except names["Ended"] as ended:
        yield {"status": ended.args[0]}
    finally:
        for descriptor in stream.descriptors:
            os.close(descriptor)


def last_event(event: dict[str, Any]) -> dict[str, Any]:
    """The last event of a vector, as the receiver of the page tells of it."""
    return {"status": event.get("status", "FER_EOF")}


class WireFormat(unittest.TestCase):
    def test_vectors(self) -> None:
        names = receiver()
        vectors = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
        count = 0
        before = os.listdir("/dev/fd")
        for vector in vectors:
            with self.subTest(vector["name"]):
                events = vector["events"][:-1] + [last_event(vector["events"][-1])]
                self.assertEqual(list(replay(names, vector)), events)
            count += 1
        self.assertGreater(count, 100)
        self.assertEqual(os.listdir("/dev/fd"), before)


if __name__ == "__main__":
    unittest.main()
