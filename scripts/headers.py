"""Reads the public headers: declarations, their documentation, the status list.

Shared by the checks and by the generators. It knows the house style of the headers, not C.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "capi" / "include"

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_DECLARATION = re.compile(r"^FER_API\b([^;]*);", re.MULTILINE)
_TYPE = re.compile(
    r"^typedef\s+(?:(?:struct|enum|union)\s+(?P<braced>\w+)\s*\{(?P<body>[^}]*)\}"
    r"|[^;{]*?\(\*(?P<callback>\w+)\)|[^;{(]*?\b(?P<plain>\w+)\s*;)",
    re.MULTILINE,
)
_MEMBER_DOC = re.compile(r"/\*\*<")
_DOC_BEFORE = re.compile(r"/\*\*(?P<doc>(?:(?!\*/).)*)\*/[ \t]*\n\Z", re.DOTALL)
_STATUS = re.compile(r'X\((FER_\w+),\s*(-?\d+),\s*"([^"]*)"\)')


@dataclass
class Function:
    """One FER_API declaration."""

    name: str
    header: str
    line: int
    returns: str
    parameters: list[str] = field(default_factory=list)
    doc: Optional[str] = None


@dataclass
class Type:
    """One typedef."""

    name: str
    header: str
    line: int
    doc: Optional[str] = None
    undocumented: list[str] = field(default_factory=list)


def public_headers(include: Path = INCLUDE) -> list[Path]:
    """Every public header, the umbrella first."""
    return sorted(include.glob("*.h")) + sorted(include.glob("ferrule/*.h"))


def without_comments(text: str) -> str:
    """The text with comments blanked; line numbers stay."""
    return _COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)


def doc_before(text: str, position: int) -> Optional[str]:
    """The /** */ comment that ends on the line before `position`, without its stars."""
    found = _DOC_BEFORE.search(text, 0, position)
    if not found:
        return None
    lines = [re.sub(r"^\s*\*? ?", "", line) for line in found.group("doc").split("\n")]
    return "\n".join(lines).strip()


def _split_parameters(text: str) -> list[str]:
    """The names in a parameter list."""
    parts: list[str] = []
    depth = 0
    current = ""
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += character
    parts.append(current)
    names = []
    for part in parts:
        part = part.strip()
        if part in ("", "void"):
            continue
        pointer = re.search(r"\(\*\s*(\w+)\)", part)
        plain = re.search(r"(\w+)\s*(?:\[[^\]]*\]\s*)*$", part)
        found = pointer or plain
        names.append(found.group(1) if found else part)
    return names


def _undocumented_members(text: str, bare: str, found: "re.Match[str]") -> list[str]:
    """The members of a struct or an enum that have no comment beside or above them."""
    if found.group("body") is None:
        return []
    members = []
    start = found.start("body")
    end = found.end("body")
    lines = list(zip(text[start:end].split("\n"), bare[start:end].split("\n")))
    for number, (line, code) in enumerate(lines):
        code = code.strip()
        # The X-macro of the statuses fills one of them; its entries carry their own text.
        if not code or code.startswith("#") or "_MAP(" in code or re.match(r"\w+_M(IN|AX)_\b", code):
            continue
        above, code_above = (part.strip() for part in lines[number - 1]) if number else ("", "")
        if not _MEMBER_DOC.search(line) and not (above.endswith("*/") and not code_above):
            members.append(code)
    return members


def parse(text: str, header: str) -> tuple[list[Function], list[Type]]:
    """Functions and types of one header's text."""
    functions = []
    types = []
    bare = without_comments(text)
    for found in _DECLARATION.finditer(bare):
        declaration = " ".join(found.group(1).split())
        head = re.match(r"(?P<returns>.*?)\b(?P<name>\w+)\s*\((?P<parameters>.*)\)$", declaration)
        line = bare.count("\n", 0, found.start()) + 1
        if not head:
            raise ValueError(f"{header}:{line}: cannot read this declaration: {declaration}")
        functions.append(
            Function(
                name=head.group("name"),
                header=header,
                line=line,
                returns=head.group("returns").strip(),
                parameters=_split_parameters(head.group("parameters")),
                doc=doc_before(text, found.start()),
            )
        )
    for found in _TYPE.finditer(bare):
        types.append(
            Type(
                name=found.group("braced") or found.group("callback") or found.group("plain"),
                header=header,
                line=bare.count("\n", 0, found.start()) + 1,
                doc=doc_before(text, found.start()),
                undocumented=_undocumented_members(text, bare, found),
            )
        )
    return functions, types


def all_functions(include: Path = INCLUDE) -> list[Function]:
    """Every exported function, sorted by name."""
    functions = []
    for path in public_headers(include):
        functions += parse(path.read_text(encoding="utf-8"), str(path.relative_to(include)))[0]
    return sorted(functions, key=lambda function: function.name)


def statuses(include: Path = INCLUDE) -> list[tuple[str, int, str]]:
    """The status list: name, value, text."""
    text = (include / "ferrule" / "status.h").read_text(encoding="utf-8")
    return [(name, int(value), meaning) for name, value, meaning in _STATUS.findall(text)]
