#!/usr/bin/env python3
"""The source distribution and the wheel of the Python package, installed where there is nothing else.

Usage: wheel.py SOURCE BUILD WORK

Makes both as ./dev wheel does, offline; with FERRULE_TEST_LONG in the environment as pip and build do for anybody, from
PyPI, and then also installs the source distribution. Each Python of this machine that the wheel is for gets a new virtual
environment with the wheel and nothing else. A program runs there with no program on its PATH, and with files that are no
libraries in front of the system's libuv and libsodium. So neither root nor another machine is needed.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple, Optional

from run import CONSUMER, Check, cmake_variable, fresh, run

LONG = bool(os.environ.get("FERRULE_TEST_LONG"))
# What every Linux with the C library has.
OF_THE_SYSTEM = re.compile(r"(lib(c|m|dl|rt|pthread|resolv)\.so\.\d+|ld-linux.*)$")
ABOUT_PYTHON = """
import ensurepip, sys, sysconfig, venv
print(sys.implementation.name, sys.version_info[0], sys.version_info[1], sysconfig.get_config_var("Py_GIL_DISABLED") or 0)
"""


class Python(NamedTuple):
    """An interpreter that can make virtual environments."""

    path: Path
    version: tuple[int, int]


def look_at(path: Path) -> Optional[Python]:
    """The Python at a path, if it is CPython with its lock and can make virtual environments."""
    done = subprocess.run(
        [str(path), "-c", ABOUT_PYTHON], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    words = done.stdout.split()
    if done.returncode != 0 or words[0] != "cpython" or words[3] != "0":
        return None
    return Python(path, (int(words[1]), int(words[2])))


def other_pythons(known: Python) -> list[Python]:
    """One more of each version that is here: on the PATH, or in the folder of pyenv."""
    names = [f"python3.{minor}" for minor in range(9, 30)]
    paths = [Path(found) for found in map(shutil.which, names) if found]
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    found = {known.version: known}
    for path in [*paths, *sorted(pyenv.glob("versions/3.*/bin/python3"))]:
        python = look_at(path)
        if python and python.version >= (3, 9):
            found.setdefault(python.version, python)
    return [found[version] for version in sorted(found) if version != known.version]


def needed(module: Path) -> list[str]:
    """The libraries that a module asks the system for."""
    names = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", module))
    return [name for name in names if not OF_THE_SYSTEM.match(name)]


def read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise SystemExit(f"{name} is no file")
    return file.read()


class Wheel(Check):
    """The two files, and where they are tried."""

    def __init__(self, source: Path, build: Path, work: Path) -> None:
        super().__init__(source, build, work)
        self.folder = fresh(work / "wheel")
        made = look_at(Path(cmake_variable(build, "Python3_EXECUTABLE")))
        if made is None:
            raise SystemExit("the Python of the build cannot make virtual environments")
        self.python = made
        self.plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.hidden = self.hide()

    def make(self) -> None:
        options = [] if LONG else ["--no-isolation"]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        run(
            self.python.path,
            self.source / "scripts" / "make_wheel.py",
            *options,
            self.folder / "dist",
            env=env,
        )
        (self.wheel,) = (self.folder / "dist").glob("*.whl")
        (self.archive,) = (self.folder / "dist").glob("*.tar.gz")
        tag = self.wheel.name.split("-")[2:4]
        self.lasts = tag == ["cp311", "abi3"]
        own = "cp{}{}".format(*self.python.version)
        if not self.lasts and (tag != [own, own] or self.python.version >= (3, 11)):
            raise SystemExit(f"{self.wheel.name} is for another Python than {own}")
        if "-manylinux_" not in self.wheel.name:
            raise SystemExit(f"{self.wheel.name} is not for many systems")

    def expect_contents(self) -> None:
        """Version, metadata and licences of both; the package whole."""
        package = self.source / "bindings" / "python"
        top = f"ferrule-{self.version}"
        licences = {name: (self.source / where).read_bytes() for name, where in
                    (("LICENSE", "LICENSE"), ("THIRD-PARTY.md", "bindings/python/THIRD-PARTY.md"))}  # fmt: skip
        with tarfile.open(self.archive) as archive:
            facts = read(archive, f"{top}/PKG-INFO").decode("utf-8")
            for name, text in licences.items():
                if read(archive, f"{top}/{name}") != text:
                    raise SystemExit(f"{name} of the source distribution is another than the repository's")
        with zipfile.ZipFile(self.wheel) as archive:
            if archive.read(f"{top}.dist-info/METADATA").decode("utf-8") != facts:
                raise SystemExit("the metadata of the wheel are not those of the source distribution")
            for name, text in licences.items():
                if archive.read(f"{top}.dist-info/licenses/{name}") != text:
                    raise SystemExit(f"{name} of the wheel is another than the repository's")
            files = {
                name for name in archive.namelist() if name.startswith("ferrule/") and not name.endswith("/")
            }
        sources = {f"ferrule/{path.name}" for path in (package / "ferrule").iterdir() if path.is_file()}
        modules = files - sources
        if not files > sources or len(modules) != 1 or not modules.pop().endswith(".so"):
            raise SystemExit(f"files that differ from the source tree's: {sorted(files ^ sources)}")
        header, _, description = facts.partition("\n\n")
        for line in (f"Version: {self.version}", "License-Expression: MIT", "License-File: LICENSE",
                     "License-File: THIRD-PARTY.md", "Requires-Python: >=3.9"):  # fmt: skip
            if line not in header.splitlines():
                raise SystemExit(f"the metadata do not say {line}")
        if description != (package / "README.md").read_text(encoding="utf-8"):
            raise SystemExit("the description is not the README")

    def hide(self) -> dict[str, str]:
        """An environment in which no program is found, and not the libraries that a build finds."""
        programs = fresh(self.folder / "no-programs")
        libraries = fresh(self.folder / "no-libraries")
        (module,) = (self.build / "python" / "ferrule").glob("_ferrule.*.so")
        hidden = needed(module)
        if not {name.split(".")[0] for name in hidden} >= {"libuv", "libsodium"}:
            raise SystemExit(f"{module} needs {hidden}: nothing to hide")
        for name in hidden:
            (libraries / name).write_text("This is not a library.\n", encoding="utf-8")
        return {
            "PATH": str(programs),
            "LD_LIBRARY_PATH": str(libraries),
            "HOME": str(programs),
            "LANG": "C.UTF-8",
        }

    def environment(self, python: Python, name: str) -> tuple[Path, list[object]]:
        """A new virtual environment, and the command that installs into it."""
        folder = self.folder / f"{name}-{python.version[0]}.{python.version[1]}"
        inside = folder / "bin" / "python"
        pip: list[object] = ["-m", "pip", "--disable-pip-version-check"]
        if python is self.python:
            run(python.path, "-I", "-m", "venv", folder)
            return inside, [inside, *pip, "install"]
        # Without pip it is made much sooner.
        run(python.path, "-I", "-m", "venv", "--without-pip", folder)
        return inside, [self.python.path, *pip, "--python", inside, "install"]

    def bare(self, python: Python) -> Path:
        """The Python of a new virtual environment with the wheel and nothing else."""
        inside, install = self.environment(python, "bare")
        run(*install, "--no-index", "--no-deps", self.wheel, env=self.hidden)
        return inside

    def from_source(self, python: Python) -> Path:
        """The Python of a new virtual environment with what pip makes of the source distribution."""
        inside, install = self.environment(python, "source")
        run(*install, self.archive, env=self.plain)
        return inside

    def expect_program(self, python: Path, env: dict[str, str], *, carried: bool) -> None:
        """The program works, with the libraries of the package or with those of the system."""
        output = run(python, "-X", "dev", CONSUMER / "two.py", f"pipe:{self.socket()}", env=env)
        version, text, *libraries = output.rstrip("\n").split("\n")
        if (version, text) != (self.version, "hello, written by the other process"):
            raise SystemExit(f"the program said {output!r}")
        inside = str(python.parent.parent.resolve()) + os.sep
        ours = [path for path in libraries if re.match(r"lib(uv|sodium)\b", Path(path).name)]
        if len(ours) != 2 or any(path.startswith(inside) != carried for path in ours):
            raise SystemExit(f"the program runs on {ours}")

    def expect_hidden(self, python: Path) -> None:
        """The module of the build, which takes the system's libraries, does not load there."""
        words = [str(python), "-c", "import ferrule"]
        env = {**self.hidden, "PYTHONPATH": str(self.build / "python")}
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
        if done.returncode == 0 or not re.search(r"ImportError: .*lib(uv|sodium)\.so", done.stdout):
            raise SystemExit(f"the system's libraries are not hidden:\n{done.stdout}")

    def check(self) -> None:
        self.make()
        self.expect_contents()
        inside = self.bare(self.python)
        self.expect_hidden(inside)
        self.expect_program(inside, self.hidden, carried=True)
        others = other_pythons(self.python)
        for python in others:
            if self.lasts and python.version >= (3, 11):
                self.expect_program(self.bare(python), self.hidden, carried=True)
        if LONG:
            # Those that the wheel is not for build a module of their own.
            for python in [self.python, *others]:
                if python is self.python or not self.lasts or python.version < (3, 11):
                    self.expect_program(self.from_source(python), self.plain, carried=False)


def main(arguments: list[str]) -> int:
    if len(arguments) != 3:
        print(__doc__)
        return 2
    Wheel(*(Path(argument) for argument in arguments)).check()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
