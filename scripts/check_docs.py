#!/usr/bin/env python3
"""Checks the pages against the code.

Usage: check_docs.py [functions] [names] [errors] [links]

  - every exported function is named in a page
  - every fer_*() and FER_E* that a page names exists
  - docs/errors.md has every status with its value and its text
  - every relative link leads to a file, and to a heading of it
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import headers

_CODE_BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)


def pages(root: Path) -> list[Path]:
    """The pages of the repository."""
    found = sorted(root.glob("*.md")) + sorted((root / "docs").rglob("*.md"))
    return found + sorted(root.glob("bindings/*/README.md"))


def anchors(text: str) -> set[str]:
    """The names by which the headings of a page are linked to."""
    names = set()
    for heading in _HEADING.findall(_CODE_BLOCK.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        name = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        names.add(name)
    return names


def check_functions(root: Path) -> Iterator[str]:
    texts = "\n".join(path.read_text(encoding="utf-8") for path in pages(root))
    names = [function.name for function in headers.all_functions(root / "capi" / "include")]
    for name in names:
        if not re.search(rf"\b{name}\b", texts):
            yield f"no page names {name}"


def check_names(root: Path) -> Iterator[str]:
    include = root / "capi" / "include"
    code = "\n".join(path.read_text(encoding="utf-8") for path in headers.public_headers(include))
    known = set(re.findall(r"\bfer_\w+|\bFER_\w+", code))
    for path in pages(root):
        text = path.read_text(encoding="utf-8")
        for name in sorted(set(re.findall(r"\b(fer_\w+)\(|\b(FER_E[A-Z]+)\b", text))):
            word = name[0] or name[1]
            # A name with an ellipsis or a star stands for several.
            if word not in known and not word.endswith("_"):
                yield f"{path.relative_to(root)} names {word}, which does not exist"


def check_errors(root: Path) -> Iterator[str]:
    page = root / "docs" / "errors.md"
    if not page.is_file():
        yield "docs/errors.md is missing"
        return
    lines = page.read_text(encoding="utf-8").splitlines()
    for name, value, meaning in headers.statuses(root / "capi" / "include"):
        line = next((line for line in lines if re.search(rf"\b{name}\b", line) and "|" in line), None)
        if line is None:
            yield f"docs/errors.md lacks {name}"
        elif not re.search(rf"(?<![\d-]){value}(?!\d)", line) or meaning not in line:
            yield f"docs/errors.md: {name} is {value}, “{meaning}”, but the line is: {line}"


def check_links(root: Path) -> Iterator[str]:
    for path in pages(root):
        text = _CODE_BLOCK.sub("", path.read_text(encoding="utf-8"))
        for link in _LINK.findall(text):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = (path.parent / name) if name else path
            if not target.exists():
                yield f"{path.relative_to(root)} links to {link}, which is not there"
            elif (
                anchor
                and target.suffix == ".md"
                and anchor not in anchors(target.read_text(encoding="utf-8"))
            ):
                yield f"{path.relative_to(root)} links to {link}, which has no such heading"


CHECKS = {
    "functions": check_functions,
    "names": check_names,
    "errors": check_errors,
    "links": check_links,
}


def main(arguments: list[str]) -> int:
    names = arguments or list(CHECKS)
    if not set(names) <= set(CHECKS):
        print(__doc__)
        return 2
    problems = [problem for name in names for problem in CHECKS[name](headers.ROOT)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
