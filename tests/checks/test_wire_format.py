"""The receiver that docs/wire-format.md shows must see in every vector what the vector says."""

import io
import json
import unittest
from pathlib import Path

import doc_blocks

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "wire-format.md"
VECTORS = ROOT / "tests" / "vectors" / "frames.json"


def receiver():
    """The names that the program of the page defines."""
    (program,) = doc_blocks.programs(PAGE, "python")
    names = {}
    exec(compile(program.block.text, str(PAGE), "exec"), names)
    return names


def replay(names, vector):
    """What the receiver of the page sees, in the words of the vectors."""
    stream = io.BytesIO(bytes.fromhex(vector["hex"]))
    native = vector["wire"] == "native"
    read_message = names["read_native" if native else "read_plain"]
    try:
        if native:
            yield {"type": "hello", **names["read_hello"](stream)}
        while True:
            message = read_message(stream, vector["limits"]["max_message"])
            yield {"type": "message", "hex": message.hex(), "handles": 0}
    except names["Ended"] as ended:
        yield {"status": ended.args[0]}


def last_event(event):
    """The last event of a vector, as the receiver of the page tells of it."""
    return {"status": event.get("status", "FER_EOF")}


class WireFormat(unittest.TestCase):
    def test_vectors(self):
        names = receiver()
        vectors = json.loads(VECTORS.read_text(encoding="utf-8"))["vectors"]
        count = 0
        for vector in vectors:
            if "handles" in vector.get("needs", []):
                continue
            with self.subTest(vector["name"]):
                events = vector["events"][:-1] + [last_event(vector["events"][-1])]
                self.assertEqual(list(replay(names, vector)), events)
            count += 1
        self.assertGreater(count, 70)


if __name__ == "__main__":
    unittest.main()
