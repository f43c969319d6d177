#!/usr/bin/env python3
"""The gate of the binary interface: what libferrule.so exports, and what it looks like.

Usage:
  abi.py symbols LIBRARY    the exported symbols are those of capi/abi/symbols.txt and of the headers
  abi.py diff LIBRARY       nothing changed against capi/abi/baseline.abi
  abi.py baseline           the baseline holds no path of the machine that made it
  abi.py link LIBRARY       soname, needed libraries, and what the library must not call
  abi.py accept LIBRARY     write symbols.txt and baseline.abi anew: a change made on purpose
"""

import difflib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import headers

ABI = headers.ROOT / "capi" / "abi"
SYMBOLS = ABI / "symbols.txt"
BASELINE = ABI / "baseline.abi"
SUPPRESSIONS = ABI / "suppressions.ini"
PRIVATE_TYPES = ABI / "private-types.ini"
SONAME = "libferrule.so.1"
# ctest is told to take this status for "skipped".
SKIP = 77

# The library never ends the process and never prints.
FORBIDDEN = {
    "abort", "exit", "_exit", "_Exit", "quick_exit", "__assert_fail",
    "printf", "puts", "putchar", "perror", "vprintf", "fprintf", "fputs", "fputc", "fwrite",
    "__printf_chk", "__fprintf_chk", "__vprintf_chk", "__vfprintf_chk",
    "stdout", "stderr",
    "strcpy", "strcat", "sprintf", "gets",
}  # fmt: skip


def run(*command: str) -> str:
    """The output of a command that must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} gave {done.returncode}:\n{done.stdout}")
    return done.stdout


def exported(library: str) -> list[str]:
    """The defined dynamic symbols with their versions, sorted; the version nodes themselves left out."""
    symbols = []
    for line in run("nm", "-D", "--defined-only", "--with-symbol-versions", library).splitlines():
        kind, name = line.split()[-2:]
        if kind != "A":
            symbols.append(name)
    return sorted(symbols)


def undefined(library: str) -> list[str]:
    """The names that the library takes from others."""
    lines = run("nm", "-D", "--undefined-only", library).splitlines()
    return sorted({line.split()[-1].split("@")[0] for line in lines})


def show_difference(expected: list[str], found: list[str], what: str) -> bool:
    """Prints how two lists differ, if they do."""
    if expected == found:
        return False
    print(f"{what}:")
    for line in difflib.unified_diff(expected, found, "expected", "found", lineterm="", n=0):
        print(f"  {line}")
    return True


def check_symbols(library: str) -> int:
    found = exported(library)
    expected = SYMBOLS.read_text(encoding="utf-8").split()
    declared = [function.name for function in headers.all_functions()]
    bad = show_difference(expected, found, f"{SYMBOLS.name} and the library differ")
    names = [symbol.split("@")[0] for symbol in found]
    bad |= show_difference(declared, names, "the headers and the library differ")
    if bad:
        print(
            "If this is meant: scripts/abi.py accept build/dev/lib/libferrule.so, and say why in the commit."
        )
        return 1
    print(f"{len(found)} symbols, as expected")
    return 0


def write_abi(library: str, output: Path) -> None:
    """The interface as XML, without machine paths and without what only the implementation sees."""
    options = ["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs", "--no-elf-needed"]
    # libabigail before 2.1 always writes everything; comparing gives the same.
    help_text = subprocess.run(
        ["abidw", "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if "--exported-interfaces-only" in help_text.stdout:
        options.append("--exported-interfaces-only")
    options += ["--suppressions", str(PRIVATE_TYPES), "--type-id-style", "hash"]
    run("abidw", *options, "--out-file", str(output), library)
    text = output.read_text(encoding="utf-8")
    for path in set(machine_paths(text)):
        inside = headers.ROOT in Path(path).parents
        short = str(Path(path).relative_to(headers.ROOT)) if inside else Path(path).name
        text = text.replace(f"'{path}'", f"'{short}'")
    output.write_text(text, encoding="utf-8")


def machine_paths(text: str) -> list[str]:
    """Absolute paths in an interface description."""
    return [path for path in re.findall(r"=['\"](/[^'\"]*)['\"]", text) if len(path) > 1]


def check_diff(library: str) -> int:
    if not shutil.which("abidiff"):
        print("abidiff is not installed")
        return SKIP
    machine = re.search(r"architecture='elf-([\w-]+)'", BASELINE.read_text(encoding="utf-8"))
    here = {"x86_64": "amd-x86_64", "aarch64": "arm-aarch64"}.get(platform.machine())
    if machine and machine.group(1) != here:
        print(f"the baseline is for {machine.group(1)}, this is {platform.machine()}")
        return SKIP
    with tempfile.TemporaryDirectory() as folder:
        present = Path(folder) / "present.abi"
        write_abi(library, present)
        done = subprocess.run(
            ["abidiff", "--suppressions", str(SUPPRESSIONS), str(BASELINE), str(present)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    if done.returncode != 0:
        print(done.stdout)
        print(f"abidiff gave {done.returncode}: the interface is not that of {BASELINE.name}.")
        print(
            "If this is meant: scripts/abi.py accept build/dev/lib/libferrule.so, and say why in the commit."
        )
        return 1
    print("the interface is that of the baseline")
    return 0


def check_baseline() -> int:
    paths = machine_paths(BASELINE.read_text(encoding="utf-8"))
    for path in sorted(set(paths)):
        print(f"{BASELINE.name} holds a path of the machine that made it: {path}")
    return 1 if paths else 0


def check_link(library: str) -> int:
    dynamic = run("readelf", "-d", library)
    soname = re.findall(r"\(SONAME\).*\[(.*)\]", dynamic)
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    bad = False
    if soname != [SONAME]:
        print(f"the soname is {soname}, not {SONAME}")
        bad = True
    if not any(name.startswith("libuv.so") for name in needed):
        print(f"libuv is not among the needed libraries: {needed}")
        bad = True
    if "(TEXTREL)" in dynamic or "(RPATH)" in dynamic:
        print("the library has text relocations or an RPATH")
        bad = True
    for name in undefined(library):
        if name in FORBIDDEN:
            print(f"the library calls {name}")
            bad = True
    return 1 if bad else 0


def accept(library: str) -> int:
    SYMBOLS.write_text("".join(f"{symbol}\n" for symbol in exported(library)), encoding="utf-8")
    write_abi(library, BASELINE)
    print(f"wrote {SYMBOLS.relative_to(headers.ROOT)} and {BASELINE.relative_to(headers.ROOT)}")
    return check_baseline() or check_symbols(library)


def main(arguments: list[str]) -> int:
    commands = {"symbols": check_symbols, "diff": check_diff, "link": check_link, "accept": accept}
    if arguments == ["baseline"]:
        return check_baseline()
    if len(arguments) == 2 and arguments[0] in commands:
        return commands[arguments[0]](arguments[1])
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
