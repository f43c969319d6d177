"""Finds the code blocks of the pages, and what is promised about them.

A comment on the line before a block says what it is:

  <!-- file: PATH -->      the block is that file, whole
  <!-- part of: PATH -->   the lines of the block stand in that file, in this order and together
  <!-- vector: NAME -->    the hexadecimal bytes of the block are those of that vector of frames.json
  <!-- run -->             the block is a program; a test runs it, and it must end with 0
  <!-- prints -->          what the program before it prints
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?:^<!-- (?P<promise>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass
class Block:
    """One code block of a page."""

    page: Path
    line: int
    language: str
    promise: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """Every code block of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        yield Block(page, line, found.group("language"), found.group("promise") or "", found.group("text"))


@dataclass
class Program:
    """A block that is run, and what it must print when the page says so."""

    block: Block
    prints: str | None = None


def programs(page: Path, language: str) -> list[Program]:
    """The programs of a page in one language."""
    found: list[Program] = []
    for block in blocks(page):
        if block.promise == "run":
            found.append(Program(block))
        elif block.promise == "prints" and found:
            found[-1].prints = block.text
    return [program for program in found if program.block.language == language]


def vector_bytes(text: str) -> str:
    """The hexadecimal digits at the beginning of each line; what follows two spaces is a remark."""
    return "".join(re.sub(r"\s", "", re.split(r"  ", line.strip())[0]) for line in text.splitlines())
