#!/usr/bin/env python3
"""Checks the pages against the code.

Usage: check_docs.py [functions] [names] [errors] [links] [blocks]

  - every exported function is named in a page
  - every fer_*() and FER_E* that a page names exists
  - docs/errors.md has every status with its value and its text
  - every relative link leads to a file, and to a heading of it
  - code blocks that repeat a file or a wire vector say the same as it (doc_blocks.py)
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import doc_blocks
import headers

_CODE_BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
# A test runs the programs in these languages.
_RUN = {"c", "python", "js"}
_HEADING = re.compile(r"^#+\s+(.*)$", re.MULTILINE)


def pages(root: Path) -> list[Path]:
    """The pages of the repository."""
    found = sorted(root.glob("*.md")) + sorted((root / "docs").rglob("*.md"))
    return found + sorted(root.glob("bindings/*/README.md")) + sorted(root.glob("examples/*.md"))


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


def _problem_with_block(root: Path, block: doc_blocks.Block, vectors: dict[str, str]) -> str:
    """What is wrong with a block that promises something; empty when nothing is."""
    kind, _, name = block.promise.partition(": ")
    if block.promise == "prints":
        return ""
    if block.promise == "run":
        return "" if block.language in _RUN else f"is in {block.language!r}, which no test runs"
    if kind in ("file", "part of"):
        path = root / name
        if not path.is_file():
            return f"repeats {name}, which is not there"
        text = path.read_text(encoding="utf-8")
        same = block.text == text if kind == "file" else f"\n{block.text}" in f"\n{text}"
        return "" if same else f"is not what {name} says"
    if kind == "vector":
        if name not in vectors:
            return f"shows the vector {name}, which does not exist"
        same = doc_blocks.vector_bytes(block.text) == vectors[name]
        return "" if same else f"has other bytes than the vector {name}"
    return f"promises “{block.promise}”, which means nothing"


def check_blocks(root: Path) -> Iterator[str]:
    vectors: dict[str, str] = {}
    frames = root / "tests" / "vectors" / "frames.json"
    if frames.is_file():
        entries = json.loads(frames.read_text(encoding="utf-8"))["vectors"]
        vectors = {entry["name"]: entry["hex"] for entry in entries}
    for page in pages(root):
        for block in doc_blocks.blocks(page):
            problem = _problem_with_block(root, block, vectors) if block.promise else ""
            if problem:
                yield f"{page.relative_to(root)}:{block.line}: the block {problem}"


CHECKS = {
    "functions": check_functions,
    "names": check_names,
    "errors": check_errors,
    "links": check_links,
    "blocks": check_blocks,
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
