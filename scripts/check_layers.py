#!/usr/bin/env python3
"""Checks the rules that keep the layers apart.

Usage: check_layers.py [ROOT]

  - no public header includes libuv
  - the pure parts (frame, address, status) include no libuv and no system header, not even through another
  - libuv's version macros are in impl/uvcompat.h only
  - system headers are in impl/os_posix*.c and impl/os.h only
  - every source, and every public header, is listed in its CMakeLists.txt, and every listed one exists
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import headers

PURE = ["frame", "address", "status"]
SYSTEM = re.compile(
    r"<(sys/.*|unistd\.h|fcntl\.h|poll\.h|netinet/.*|arpa/.*|netdb\.h|dirent\.h|pwd\.h|signal\.h)>"
)
# sys/uio.h has only the type of a vectored write.
SYSTEM_IN_HEADERS = {"<sys/uio.h>"}
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(<[^>]+>|"[^"]+")', re.MULTILINE)


def includes(path: Path) -> list[str]:
    """What a file includes, with its brackets or quotes."""
    return _INCLUDE.findall(path.read_text(encoding="utf-8"))


def resolve(root: Path, path: Path, include: str) -> Optional[Path]:
    """The file of this project that an include means, if it is one."""
    name = include[1:-1]
    for folder in (path.parent, root / "capi" / "include", root / "impl", root):
        if (folder / name).is_file():
            return (folder / name).resolve()
    return None


def reached(root: Path, path: Path, seen: set[Path]) -> Iterator[tuple[Path, str]]:
    """Every include that a file has, also through the project's own headers."""
    if path in seen:
        return
    seen.add(path)
    for include in includes(path):
        yield path, include
        inner = resolve(root, path, include)
        if inner:
            yield from reached(root, inner, seen)


def is_uv(include: str) -> bool:
    return bool(re.fullmatch(r'[<"]uv(\.h|/.*|compat\.h)[>"]', include))


def check_public(root: Path) -> Iterator[str]:
    for path in headers.public_headers(root / "capi" / "include"):
        for include in includes(path):
            if is_uv(include):
                yield f"{path.relative_to(root)} includes {include}"


def check_pure(root: Path) -> Iterator[str]:
    for part in PURE:
        files = sorted((root / "impl").glob(f"{part}.[ch]"))
        if not files:
            yield f"impl/{part}.c is missing"
        for path in files:
            for where, include in reached(root, path.resolve(), set()):
                if is_uv(include) or SYSTEM.fullmatch(include):
                    yield f"impl/{path.name} is pure, but includes {include} (in {where.name})"


def check_versions(root: Path) -> Iterator[str]:
    for path in sorted([*(root / "impl").glob("*.[ch]"), *(root / "capi").rglob("*.[ch]")]):
        if path.name != "uvcompat.h" and "UV_VERSION_" in headers.without_comments(
            path.read_text(encoding="utf-8")
        ):
            yield f"{path.relative_to(root)} looks at libuv's version; impl/uvcompat.h is the place for that"


def check_system(root: Path) -> Iterator[str]:
    for path in sorted([*(root / "impl").glob("*.[ch]"), *(root / "capi" / "src").glob("*.[ch]")]):
        if path.name.startswith("os_posix"):
            continue
        for include in includes(path):
            if SYSTEM.fullmatch(include) and include not in SYSTEM_IN_HEADERS:
                yield f"{path.relative_to(root)} includes {include}; system calls are in impl/os_posix*.c"


def check_listed(root: Path) -> Iterator[str]:
    places = [
        (root / "impl", "impl", ["*.c"], r"([\w/]+\.c)\b"),
        (root / "capi", "capi", ["src/*.c"], r"(src/[\w/]+\.c)\b"),
        (
            root / "capi",
            "capi/include",
            ["include/*.h", "include/ferrule/*.h"],
            r"^\s+((?:ferrule/)?\w+\.h)\)?\s*$",
        ),
        (root / "tests" / "c", "tests/c", ["*.c"], r"\b(test_\w*[^\W_]\b|\w+(?=\.c\b))"),
    ]
    for folder, label, patterns, listed in places:
        lists = folder / "CMakeLists.txt"
        text = re.sub(r"#[^\n]*", "", lists.read_text(encoding="utf-8"))
        names = {re.sub(r"\.c$", "", name) for name in re.findall(listed, text, re.MULTILINE)}
        there = set()
        for pattern in patterns:
            for path in folder.glob(pattern):
                name = str(path.relative_to(folder))
                there.add(re.sub(r"\.c$", "", re.sub(r"^include/", "", name)))
        for name in sorted(there - names):
            yield f"{label}: {name} is not listed in {lists.relative_to(root)}"
        for name in sorted(names - there):
            yield f"{lists.relative_to(root)} lists {name}, which is not there"


CHECKS = [check_public, check_pure, check_versions, check_system, check_listed]


def main(arguments: list[str]) -> int:
    root = Path(arguments[0]).resolve() if arguments else headers.ROOT
    problems = [problem for check in CHECKS for problem in check(root)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
