#!/usr/bin/env python3
"""Checks that every public declaration documents what the house style asks for, in its order.

For a function: what it does · @param for each parameter, in the order of the declaration · Ownership ·
Thread · Callbacks · @return, with statuses that exist · Seed. For a type, and for each member
of a struct or an enum: a comment.

Usage: check_header_docs.py [INCLUDE_FOLDER]
"""

import re
import sys
from pathlib import Path

import headers

LABELS = ["@param", "Ownership:", "Thread:", "Callbacks:", "@return", "Seed:"]
_LABEL = re.compile(r"^(@param(?:\[(?:in|out|in,out)\])?|@return|Ownership:|Thread:|Callbacks:|Seed:)(.*)$")


def check_function(function: headers.Function, known: set[str]) -> list[str]:
    """What is wrong with the documentation of one function."""
    if function.doc is None:
        return ["has no documentation"]
    problems = []
    order = []
    parameters = []
    texts: dict[str, str] = {}
    last = ""
    what = ""
    for line in function.doc.split("\n"):
        found = _LABEL.match(line)
        if found:
            last = "@param" if found.group(1).startswith("@param") else found.group(1)
            order.append(last)
            texts[last] = texts.get(last, "") + found.group(2).strip()
            if last == "@param":
                name, _, meaning = found.group(2).strip().partition(" ")
                parameters.append(name)
                if not meaning.strip():
                    problems.append(f"@param {name} says nothing")
        elif last:
            texts[last] += " " + line.strip()
        else:
            what += line
    if not what.strip():
        problems.append("does not say what it does")
    for label in LABELS:
        if label == "@param":
            continue
        if label not in order:
            problems.append(f"lacks the label {label}")
        elif order.count(label) > 1:
            problems.append(f"has the label {label} more than once")
        elif not texts[label].strip():
            problems.append(f"says nothing after {label}")
    if parameters != function.parameters:
        problems.append(f"documents the parameters {parameters}, but has {function.parameters}")
    if order != sorted(order, key=LABELS.index):
        problems.append(f"has its labels in the order {', '.join(dict.fromkeys(order))}")
    for status in re.findall(r"\bFER_E\w+\b|\bFER_OK\b", function.doc):
        if status not in known:
            problems.append(f"names {status}, which is no status")
    if function.returns.startswith("fer_status") and "*" not in function.returns:
        if not re.search(r"\bFER_\w+|\bas fer_\w+\(\)|`status`", texts.get("@return", "")):
            problems.append("returns a status, but @return names none")
    return problems


def check_text(text: str, header: str, known: set[str]) -> list[str]:
    """What is wrong in one header."""
    problems = []
    functions, types = headers.parse(text, header)
    for function in functions:
        for problem in check_function(function, known):
            problems.append(f"{header}:{function.line}: {function.name} {problem}")
    for kind in types:
        if not kind.doc:
            problems.append(f"{header}:{kind.line}: type {kind.name} has no documentation")
        for member in kind.undocumented:
            problems.append(f"{header}:{kind.line}: in {kind.name}, no comment for: {member}")
    return problems


def main(arguments: list[str]) -> int:
    include = Path(arguments[0]) if arguments else headers.INCLUDE
    known = {name for name, _, _ in headers.statuses(include)}
    problems = []
    count = 0
    for path in headers.public_headers(include):
        text = path.read_text(encoding="utf-8")
        problems += check_text(text, str(path.relative_to(include)), known)
        count += len(headers.parse(text, path.name)[0])
    for problem in problems:
        print(problem)
    if count == 0:
        print(f"{include}: no FER_API declaration found")
        return 1
    if not problems:
        print(f"{count} functions are documented in full")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
