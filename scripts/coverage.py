#!/usr/bin/env python3
"""Prints how much of the library's code the tests ran: lines and branches by file.

Usage: coverage.py BUILD
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def measure(data: Path) -> list[dict[str, object]]:
    """What gcov says about one object."""
    done = subprocess.run(
        ["gcov", "--json-format", "--stdout", "--branch-probabilities", str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        text=True,
        cwd=data.parent,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__)
        return 2
    files: dict[str, list[int]] = {}
    for data in sorted((Path(arguments[0]).resolve() / "capi").rglob("*.gcda")):
        for report in measure(data):
            for file in report["files"]:  # type: ignore[attr-defined]
                path = Path(file["file"]).resolve()
                if path.suffix != ".c" or ROOT not in path.parents:
                    continue
                branches = [branch for line in file["lines"] for branch in line["branches"]]
                files[str(path.relative_to(ROOT))] = [
                    sum(1 for line in file["lines"] if line["count"]),
                    len(file["lines"]),
                    sum(1 for branch in branches if branch["count"]),
                    len(branches),
                ]
    if not files:
        print("no coverage data: build the preset coverage and run its tests first")
        return 1
    total = [sum(column) for column in zip(*files.values())]
    for name, (lines, all_lines, branches, all_branches) in [*sorted(files.items()), ("together", total)]:
        line_share = 100 * lines / all_lines if all_lines else 100
        branch_share = 100 * branches / all_branches if all_branches else 100
        print(
            f"  {name:32} {line_share:5.1f} % of {all_lines:5} lines {branch_share:5.1f} % of {all_branches:5} branches"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
