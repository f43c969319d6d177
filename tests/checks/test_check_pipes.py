"""The checker of the page about pipes must fail where it should."""

import tempfile
import unittest
from pathlib import Path

import check_pipes


def rows(kind: str, name: str) -> str:
    """A row for every member of the seed, which all have the same name here."""
    members = sorted(check_pipes.SEED[kind] - {"bind"} if kind == "Pipe" else check_pipes.SEED[kind])
    return "".join(f"| `{member}` | `fer_one()` | `{name}()` | `{name}()` |\n" for member in members)


TREE = {
    "docs/pipes.md": (
        "# Pipes\n\n| pyuv | not | a | table |\n\n## Pipe\n\n| pyuv | C | Python | Node |\n| --- | --- | --- | --- |\n"
        "| `bind` | `fer_one()`, `fer_two(a, &b)` | `bind(name)`, `Pipe(loop)` | `bind(name)`, `new Pipe()` |\n"
        f"{rows('Pipe', 'bind')}"
        "| - | `fer_two()` | `fact` | `fact`, `end()`, `'handle'` events |\n"
        f"\n## TCP\n\n{rows('TCP', 'bind')}\n## UDP\n\n{rows('UDP', 'send')}| - | `fer_two()` | `send(x)` | `send(x)` |\n\n## More\n\n| a | b | c | d |\n"
    ),
    "capi/include/ferrule/one.h": "FER_API int fer_one(void);\nFER_API int fer_two(int a, int *b);\n",
    "bindings/python/ferrule/pipe.py": (
        "class Base:\n    def bind(self, name): ...\n    def _own(self): ...\n"
        "class Pipe(Base):\n    @property\n    def fact(self): ...\n"
        "class TCP(Base): ...\nclass UDP(Base):\n    def send(self, x): ...\n"
    ),
    "bindings/node/index.d.ts": (
        "  interface Stream {\n    bind(name: string): this;\n  }\n"
        "  /** Emits 'handle'. */\n  class Pipe extends Duplex {\n    readonly fact: number;\n  }\n"
        "  interface Pipe extends Stream {}\n"
        "  class TCP extends Duplex {\n  }\n  interface TCP extends Stream {}\n"
        "  class UDP extends EventEmitter {\n    send(x: number): this;\n  }\n"
    ),
    "tests/c/test.c": "fer_one(); fer_two();",
    "tests/python/test.py": "Pipe().bind, .fact, .send",
    "tests/node/a.test.js": "new Pipe().bind().fact.end().send().on('handle')",
}


class CheckPipes(unittest.TestCase):
    def problems(self, name: str = "docs/pipes.md", old: str = "", new: str = "") -> str:
        self.assertIn(old, TREE[name])
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for path, text in TREE.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                changed = text.replace(old, new, 1) if path == name and old else text
                (root / path).write_text(changed, encoding="utf-8")
            return " | ".join(check_pipes.problems(root))

    def test_good(self) -> None:
        self.assertEqual(self.problems(), "")

    def test_member_of_the_seed_without_a_row(self) -> None:
        self.assertIn("no row for try_write", self.problems(old="| `try_write` |", new="| - |"))
        self.assertIn("TCP: no row for nodelay", self.problems(old="| `nodelay` |", new="| - |"))
        self.assertIn("UDP: no row for set_ttl", self.problems(old="| `set_ttl` |", new="| - |"))

    def test_nothing_in_a_language(self) -> None:
        self.assertIn("has nothing in Python", self.problems(old="| `fact` |", new="| - |"))

    def test_name_that_does_not_exist(self) -> None:
        self.assertIn("C has no fer_three", self.problems(old="fer_two(a", new="fer_three(a"))
        self.assertIn("Python has no send", self.problems(old="| `fact` |", new="| `send()` |"))
        self.assertIn("Python has no _own", self.problems(old="| `fact` |", new="| `_own()` |"))
        self.assertIn("Node has no send", self.problems(old="`end()`", new="`send()`"))
        self.assertIn("Node has no 'gone'", self.problems(old="'handle'", new="'gone'"))

    def test_members_that_are_inherited(self) -> None:
        path = "bindings/python/ferrule/pipe.py"
        self.assertIn("Python has no bind", self.problems(path, "class Pipe(Base)", "class Pipe"))
        path = "bindings/node/index.d.ts"
        self.assertIn("Node has no bind", self.problems(path, "  interface Pipe extends Stream {}\n"))
        self.assertIn("Node has no end", self.problems(path, "class Pipe extends Duplex", "class Pipe"))

    def test_name_that_no_test_uses(self) -> None:
        self.assertIn("no test in C uses fer_two", self.problems("tests/c/test.c", "fer_two", "fer_two_more"))
        self.assertIn("no test in Python uses fact", self.problems("tests/python/test.py", ".fact"))
        self.assertIn("no test in Node uses 'handle'", self.problems("tests/node/a.test.js", "'handle'"))


if __name__ == "__main__":
    unittest.main()
