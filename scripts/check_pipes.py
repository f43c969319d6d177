#!/usr/bin/env python3
"""Checks docs/pipes.md: what its tables name exists in each language, and a test uses it.

Usage: check_pipes.py

  - the tables have a row for every member that pyuv's pipes, TCP and UDP have
  - every row has something in each language, which that language has, and which its tests use
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import headers

PAGE = "docs/pipes.md"
LANGUAGES = ("C", "Python", "Node")
# The members that the pages of pyuv about them list. What pipes have as streams, TCP has too.
SEED = {
    "Pipe": {
        "Pipe", "bind", "listen", "open", "accept", "connect", "shutdown", "write", "try_write", "start_read",
        "start_read2", "stop_read", "pending_instances", "fileno", "send_buffer_size", "receive_buffer_size",
        "write_queue_size", "readable", "writable",
    },
    "TCP": {
        "TCP", "bind", "listen", "open", "accept", "connect", "nodelay", "keepalive", "simultaneous_accepts",
        "getsockname", "getpeername",
    },
    "UDP": {
        "UDP", "bind", "open", "send", "try_send", "start_recv", "stop_recv", "getsockname", "set_membership",
        "set_multicast_interface", "set_multicast_loop", "set_multicast_ttl", "set_ttl", "set_broadcast",
    },
}  # fmt: skip
# What Node's own streams have; our declarations need not repeat it.
DUPLEX = {"write", "end", "pause", "resume", "destroy", "destroyed", "readable", "writable", "'data'"}

_SPAN = re.compile(r"`([^`]+)`")
_NAME = re.compile(r"(?:new )?('\w+'|\w+)")


class Row:
    """A row of a table: the class that it is about, and the names in each of its cells."""

    def __init__(self, kind: str, cells: list[str]) -> None:
        self.kind = kind
        self.seed, self.c, self.python, self.node = (
            [_NAME.match(span)[1] for span in _SPAN.findall(cell)]  # type: ignore[index]
            for cell in cells
        )

    def __str__(self) -> str:
        return f"{PAGE}: {self.kind}: {', '.join(self.c) or '?'}"


def rows(text: str) -> Iterator[Row]:
    """The rows below each heading that is the name of a class."""
    kind = ""
    for line in text.splitlines():
        if line.startswith("#"):
            found = re.fullmatch(r"## (Pipe|TCP|UDP)", line)
            kind = found[1] if found else ""
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if kind and line.startswith("|") and len(cells) == 4 and not re.match(r"pyuv$|-{3}", cells[0]):
            yield Row(kind, cells)


def python_members(folder: Path) -> dict[str, set[str]]:
    """The public members of each class, with those of its bases."""
    own: dict[str, set[str]] = {}
    bases: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                functions = [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
                own[node.name] = {name for name in functions if not name.startswith("_")} | {node.name}
                bases[node.name] = [base.id for base in node.bases if isinstance(base, ast.Name)]

    def all_of(name: str) -> set[str]:
        return own.get(name, set()).union(*(all_of(base) for base in bases.get(name, [])))

    return {name: all_of(name) for name in own}


def node_members(declarations: str) -> dict[str, set[str]]:
    """The members that index.d.ts declares for each class, and the events that its comments name."""
    found: dict[str, set[str]] = {}
    # An interface of the same name adds the members of another one to a class.
    merged = r"^  interface (\w+) extends (\w+) \{\}$"
    bases = dict(re.findall(merged, declarations, re.MULTILINE))
    rest = re.sub(merged, "", declarations, flags=re.MULTILINE)
    bodies = re.findall(r"^  (?:class|interface) (\w+)([^{]*)\{\n(.*?)^  \}", rest, re.MULTILINE | re.DOTALL)
    for name, heritage, body in bodies:
        members = found.setdefault(name, {name})
        members |= set(re.findall(r"^    (?:static |readonly )*(\w+)\??[(<:]", body, re.MULTILINE))
        if "Duplex" in heritage:
            members |= DUPLEX
    events = set(re.findall(r"'\w+'", declarations))
    return {name: members | found.get(bases.get(name, ""), set()) | events for name, members in found.items()}


def sources(root: Path, *patterns: str) -> str:
    """Tests as one text."""
    paths = sorted({path for pattern in patterns for path in root.glob(pattern)})
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


def problems(root: Path) -> Iterator[str]:
    """What is wrong with the page."""
    table = list(rows((root / PAGE).read_text(encoding="utf-8")))
    functions = {function.name for function in headers.all_functions(root / "capi" / "include")}
    python = python_members(root / "bindings" / "python" / "ferrule")
    node = node_members((root / "bindings" / "node" / "index.d.ts").read_text(encoding="utf-8"))
    tests = {
        "C": sources(root, "tests/c/*.[ch]"),
        "Python": sources(root, "tests/python/*.py"),
        "Node": sources(root, "tests/node/*.js", "tests/node/fixtures/*.js"),
    }
    for kind, members in SEED.items():
        listed = {name for row in table if row.kind == kind for name in row.seed}
        for name in sorted(members - listed):
            yield f"{PAGE}: {kind}: no row for {name}"
    for row in table:
        columns = {
            "C": (row.c, functions),
            "Python": (row.python, python.get(row.kind, set())),
            "Node": (row.node, node.get(row.kind, set())),
        }
        for language in LANGUAGES:
            names, known = columns[language]
            if not names:
                yield f"{row} has nothing in {language}"
            for name in names:
                if name not in known:
                    yield f"{row}: {language} has no {name}"
                elif not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", tests[language]):
                    yield f"{row}: no test in {language} uses {name}"


def main() -> int:
    found = list(problems(headers.ROOT))
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
