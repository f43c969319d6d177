#!/usr/bin/env python3
"""Makes docs/errors.md out of the list of statuses and of what each language makes of them.

Usage: make_errors.py [--check]

  --check   write nothing: fail when the page is not what would be written
"""

from __future__ import annotations

import ast
import difflib
import re
import sys
from pathlib import Path

import headers

PAGE = "docs/errors.md"
NUMBERS = "impl/status.c"
PYTHON = "bindings/python/ferrule/error.py"
NODE = "bindings/node/lib/errors.js"

# What neither libuv nor Node's constants name on Linux; the Node tests compare the page with the package.
NODE_LACKS = {"FER_ETOOMANYREFS"}

INTRO = """\
# Statuses and errors

Every call that can fail gives a status. The values are fixed for ever and equal on every platform. 0 is success,
errors are negative. A value that is not in the table is treated as `FER_EUNKNOWN`.

This page is made from `capi/include/ferrule/status.h` by `scripts/make_errors.py`.

| in | an error is |
| --- | --- |
| C | a `fer_status`. `fer_status_name()` gives its name, `fer_status_text()` its text, `fer_status_errno()` the platform's number, `fer_status_detail()` what was wrong this time |
| Python | an exception of the class in the table, from `ferrule.error`; all are `ferrule.Error`, which is an `OSError`. `code` is the value, `status` the name, `errno` the platform's number |
| Node | an `Error` whose `code` is in the table. `status` is the name, `errno` Node's negative number, `syscall` what was attempted |

The detail text belongs to the last failing call, or the last callback with an error, on the calling thread. Read it at once.

## All of them

"errno" is what `fer_status_errno()` gives on Linux; where there is no number of that meaning, it is the nearest. Behind
each Python class stands the built-in exception that it also is.

"""

ADVICE = """
## What to do

| status | what it means for a program |
| --- | --- |
| `FER_EOF` | the peer ended in order; everything that it sent was received |
| `FER_ECONNRESET` | the peer died, or left without a goodbye; what it had sent whole was received |
| `FER_EPIPE` | the peer said goodbye or is gone; this message did not go out whole |
| `FER_EAGAIN` | nothing was done; wait (for drain, for the descriptor) and call again |
| `FER_EINTR` | only blocking calls: a signal arrived; act on it and call again |
| `FER_ETIMEDOUT` | the time is up. Receiving may be called again; a connect, a handshake or a close has ended |
| `FER_ENOENT`, `FER_ECONNREFUSED` | nobody listens there, after trying for the whole connect timeout |
| `FER_EADDRINUSE` | somebody listens there, or something that is no stale socket of yours is in the way |
| `FER_EPROTO` | the peer does not speak this wire; the detail says whether it looks like the other one |
| `FER_EMSGSIZE` | sending: nothing was sent, the channel goes on. Receiving: the channel ended |
| `FER_EINVAL`, `FER_EKIND`, `FER_EADDRESS` | a mistake in the program; the detail says where |
| `FER_ECLOSED` | a call on something that was closed before |
| `FER_ETHREAD` | a call from a thread that does not own the loop; use `fer_loop_post()` |
| `FER_EFORK` | a call in the child of a fork on an object of the parent |
| `FER_ECANCELED` | this side closed before it was done |
| `FER_ECALLBACK` | never made by the library: a binding reports with it that a callback raised |
"""


def numbers(root: Path) -> dict[str, str]:
    """From each status to the name of its errno value, by the tables of the implementation."""
    text = (root / NUMBERS).read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for table in ("both_ways", "nearest_number"):
        body = re.search(rf"{table}\[\] = {{(.*?)\n}};", text, re.DOTALL)
        if not body:
            raise ValueError(f"{NUMBERS}: no table {table}")
        # What is for systems that lack a number does not count for Linux.
        entries = re.sub(r"#ifndef.*?#endif", "", body.group(1), flags=re.DOTALL)
        for status, number in re.findall(r"\{(FER_\w+), (\w+)\}", entries):
            found.setdefault(status, number)
    return found


def python_classes(root: Path) -> dict[str, tuple[str, str]]:
    """From each status to its exception class, and the built-in one that this is too."""
    tree = ast.parse((root / PYTHON).read_text(encoding="utf-8"))
    bases: dict[str, str] = {}
    classes: dict[str, tuple[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            built_in = [base for base in map(ast.unparse, node.bases) if base not in ("Error", "OSError")]
            bases[node.name] = ", ".join(built_in)
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "_CLASSES":
            if not isinstance(node.value, ast.Dict):
                raise ValueError(f"{PYTHON}: _CLASSES is not written as a dictionary")
            for key, value in zip(node.value.keys, node.value.values):
                if key is not None:
                    name = ast.unparse(value)
                    classes[ast.unparse(key).rpartition(".")[2]] = (name, bases[name])
    if not classes:
        raise ValueError(f"{PYTHON}: no _CLASSES")
    return classes


def node_code(root: Path, status: str) -> str:
    """The `code` of Node's error for a status."""
    text = (root / NODE).read_text(encoding="utf-8")
    own = re.search(r"const OWN = new Set\(\[(.*?)\]\)", text, re.DOTALL)
    if not own:
        raise ValueError(f"{NODE}: no OWN")
    short = status[len("FER_") :]
    if status in re.findall(r"'(\w+)'", own.group(1)) or status in NODE_LACKS:
        return "ERR_FERRULE_" + re.sub(r"^E", "", short)
    return short


def make(root: Path) -> str:
    """The text of the page."""
    errno = numbers(root)
    classes = python_classes(root)
    lines = ["| status | value | text | errno | Python | Node |", "|" + " --- |" * 6]
    for name, value, text in headers.statuses(root / "capi" / "include"):
        number = errno.get(name, "EIO")
        if value == 0:
            cells = ["", ""]
        else:
            own, too = classes.get(name, ("Error", ""))
            cells = [f"`{own}`" + (f" (`{too}`)" if too else ""), f"`{node_code(root, name)}`"]
        lines.append("| " + " | ".join([f"`{name}`", str(value), text, number, *cells]) + " |")
    return INTRO + "\n".join(lines) + "\n" + ADVICE


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__)
        return 2
    page = headers.ROOT / PAGE
    text = make(headers.ROOT)
    if not arguments:
        page.write_text(text, encoding="utf-8")
        print(f"wrote {PAGE}")
        return 0
    there = page.read_text(encoding="utf-8") if page.is_file() else ""
    if there == text:
        print(f"{PAGE} is up to date")
        return 0
    for line in difflib.unified_diff(
        there.splitlines(), text.splitlines(), PAGE, "what is made", lineterm="", n=0
    ):
        print(line)
    print("Run scripts/make_errors.py")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
