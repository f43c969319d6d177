#!/usr/bin/env python3
"""Compiles the C programs of the pages as strictly as our own sources, runs them, and compares what they print.

Usage: run_c_programs.py COMPILER INCLUDE LIBRARY [FLAG...]
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import check_docs
import doc_blocks
import headers

STRICT = ["-std=gnu11", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]


def run(command: list[str], folder: Path) -> tuple[int, str]:
    """The exit code and the output of a command in a folder that is its runtime directory too."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout


def check(program: doc_blocks.Program, compiler: str, flags: list[str]) -> str:
    """What is wrong with a program; empty when nothing is."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "program.c"
        source.write_text(program.block.text, encoding="utf-8")
        status, output = run([compiler, *STRICT, str(source), "-o", "program", *flags], folder)
        if status != 0:
            return f"does not compile:\n{output}"
        status, output = run(["./program"], folder)
    if status != 0:
        return f"ended with {status}:\n{output}"
    if program.prints is not None and output != program.prints:
        return f"printed:\n{output}"
    return ""


def main(arguments: list[str]) -> int:
    if len(arguments) < 3:
        print(__doc__)
        return 2
    compiler, include, library, *more = arguments
    flags = [f"-I{include}", library, f"-Wl,-rpath,{Path(library).parent}", *more]
    count = 0
    bad = 0
    for page in check_docs.pages(headers.ROOT):
        for program in doc_blocks.programs(page, "c"):
            count += 1
            problem = check(program, compiler, flags)
            if problem:
                bad += 1
                print(f"{page.relative_to(headers.ROOT)}:{program.block.line}: the program {problem}")
    print(f"{count} programs, {bad} of them wrong")
    return 1 if bad or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
