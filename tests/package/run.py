#!/usr/bin/env python3
"""Uses the library as a stranger would.

Usage: run.py MODE SOURCE BUILD WORK

MODE: install       install BUILD under WORK, then move the tree elsewhere, so that no path in it can be relied on
      package       find_package, shared library
      static        find_package, static library
      pkgconfig     pkg-config, shared library
      pkgconfig_static
      absolute      the .pc file of a build whose LIBDIR is absolute and outside of the prefix
      version       find_package refuses another major version
      command       the installed command ferrule, with the library beside it
      pip           the Python package, installed by pip from the source tree; wheel.py has the wheel
      npm           the Node package, installed by npm into a new project
      contents      what is installed, and what is not
      subdirectory  add_subdirectory
"""

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Optional

CONSUMER = Path(__file__).resolve().parent / "consumer"


def run(*command: object, env: Optional[dict[str, str]] = None) -> str:
    """The output of a command that must succeed."""
    words = [str(word) for word in command]
    print("+", " ".join(words), flush=True)
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    print(done.stdout, flush=True)
    if done.returncode != 0:
        raise SystemExit(f"status {done.returncode}: {' '.join(words)}")
    return done.stdout


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def cmake_variable(build: Path, name: str) -> str:
    """A value out of CMake's cache."""
    text = (build / "CMakeCache.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{name}:\w+=(.*)$", text, re.MULTILINE)
    if not found:
        raise SystemExit(f"no {name} in {build}/CMakeCache.txt")
    return found.group(1)


class Check:
    """One run: where things are."""

    def __init__(self, source: Path, build: Path, work: Path) -> None:
        self.source = source
        self.build = build
        self.work = work
        self.prefix = work / "moved"
        self.library = self.prefix / cmake_variable(build, "CMAKE_INSTALL_LIBDIR")
        self.compiler = cmake_variable(build, "CMAKE_C_COMPILER")
        self.version = self.read_version()

    def read_version(self) -> str:
        text = (self.source / "capi/include/ferrule/version.h").read_text(encoding="utf-8")
        return ".".join(re.findall(r"#define FER_VERSION_(?:MAJOR|MINOR|PATCH) +(\d+)", text))

    def expect(self, program: Path, library_path: Optional[Path] = None) -> None:
        """Runs a built consumer and looks at what it says."""
        env = dict(os.environ)
        env.pop("LD_LIBRARY_PATH", None)
        if library_path:
            env["LD_LIBRARY_PATH"] = str(library_path)
        output = run(program, env=env)
        if output != f"ferrule {self.version}\n":
            raise SystemExit(f"the consumer said {output!r}")

    def cmake(self, mode: str, *options: str) -> Path:
        """Configures and builds the consumer."""
        folder = fresh(self.work / f"consumer-{mode}")
        run(
            "cmake", "-S", CONSUMER, "-B", folder, "-G", cmake_variable(self.build, "CMAKE_GENERATOR"),
            f"-DMODE={mode}", f"-DCMAKE_C_COMPILER={self.compiler}", "-DCMAKE_BUILD_TYPE=Debug",
            *options,
        )  # fmt: skip
        run("cmake", "--build", folder, "-j2")
        return folder / "consumer"

    def install(self) -> None:
        staged = fresh(self.work / "staged")
        shutil.rmtree(self.prefix, ignore_errors=True)
        run("cmake", "--install", self.build, "--prefix", staged)
        shutil.move(str(staged), str(self.prefix))

    def package(self) -> None:
        self.expect(
            self.cmake("package", f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DFERRULE_LEAST={self.version}")
        )

    def static(self) -> None:
        program = self.cmake(
            "static", f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DFERRULE_LEAST={self.version}"
        )
        if "libferrule" in run("readelf", "-d", program):
            raise SystemExit("the static consumer needs libferrule")
        self.expect(program)

    def pkg_config(self, folder: Path, *options: str) -> list[str]:
        env = dict(os.environ)
        env["PKG_CONFIG_PATH"] = str(folder)
        return run("pkg-config", *options, "ferrule", env=env).split()

    def compile_by_pkg_config(self, name: str, *options: str) -> Path:
        pkgconfig = self.library / "pkgconfig"
        version = self.pkg_config(pkgconfig, "--modversion")
        if version != [self.version]:
            raise SystemExit(f"the .pc file says version {version}")
        flags = self.pkg_config(pkgconfig, *options, "--cflags", "--libs")
        if str(self.work / "staged") in " ".join(flags):
            raise SystemExit(f"the .pc file remembers where it was installed first: {flags}")
        program = fresh(self.work / name) / "consumer"
        libraries = flags
        if "--static" in options:
            libraries = ["-Wl,-Bstatic" if flag == "-lferrule" else flag for flag in flags]
            at = libraries.index("-Wl,-Bstatic")
            libraries[at : at + 1] = ["-Wl,-Bstatic", "-lferrule", "-Wl,-Bdynamic"]
        run(self.compiler, "-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror", CONSUMER / "main.c",
            "-o", program, *libraries)  # fmt: skip
        return program

    def pkgconfig(self) -> None:
        self.expect(self.compile_by_pkg_config("pkgconfig"), self.library)

    def pkgconfig_static(self) -> None:
        program = self.compile_by_pkg_config("pkgconfig-static", "--static")
        if "libferrule" in run("readelf", "-d", program):
            raise SystemExit("the static consumer needs libferrule")
        self.expect(program)

    def absolute(self) -> None:
        folder = fresh(self.work / "absolute")
        library = folder / "elsewhere"
        run(
            "cmake", "-S", self.source, "-B", folder / "build",
            "-G", cmake_variable(self.build, "CMAKE_GENERATOR"), f"-DCMAKE_C_COMPILER={self.compiler}",
            f"-DCMAKE_INSTALL_PREFIX={folder / 'prefix'}", f"-DCMAKE_INSTALL_LIBDIR={library}",
            "-DFER_BUILD_TESTS=OFF", "-DFER_BUILD_TOOLS=OFF", "-DFER_BUILD_EXAMPLES=OFF",
        )  # fmt: skip
        flags = " ".join(self.pkg_config(folder / "build", "--libs", "--cflags"))
        if flags.count(f"-L{library} ") != 1 or f"-I{folder / 'prefix' / 'include'}" not in flags:
            raise SystemExit(f"wrong flags: {flags}")

    def refuse_version(self) -> None:
        folder = fresh(self.work / "consumer-version")
        major = int(self.version.split(".")[0]) + 1
        done = subprocess.run(
            ["cmake", "-S", str(CONSUMER), "-B", str(folder), f"-DCMAKE_PREFIX_PATH={self.prefix}",
             "-DMODE=package", f"-DFERRULE_LEAST={major}.0"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        print(done.stdout)
        if done.returncode == 0 or "compatible with requested version" not in done.stdout:
            raise SystemExit("find_package took a version that it must refuse")

    def command(self) -> None:
        env = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
        output = run(self.prefix / "bin" / "ferrule", "--version", env=env)
        if self.version not in output:
            raise SystemExit(f"ferrule --version said {output!r}")
        loaded = run("ldd", self.prefix / "bin" / "ferrule", env=env)
        found = re.search(r"libferrule\.so\.1 => (\S+)", loaded)
        if not found or Path(found.group(1)).resolve().parent != self.library.resolve():
            raise SystemExit("the command does not use the library that was installed with it")

    def pip(self) -> None:
        folder = fresh(self.work / "pip")
        python = Path(cmake_variable(self.build, "Python3_EXECUTABLE"))
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        env["PATH"] = f"{python.parent}:{env['PATH']}"
        env["SKBUILD_CMAKE_BUILD_TYPE"] = "Debug"  # which is compiled sooner
        # Offline: what the build needs is in the environment that runs the tests.
        run(python, "-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-deps",
            "--no-build-isolation", "--target", folder, self.source / "bindings" / "python", env=env)  # fmt: skip
        env["PYTHONPATH"] = str(folder)
        output = run(python, CONSUMER / "consumer.py", f"pipe:{self.socket()}", env=env)
        self.expect_words(output, folder)

    def npm(self) -> None:
        folder = fresh(self.work / "npm")
        (folder / "package.json").write_text('{ "name": "consumer", "private": true }\n', encoding="utf-8")
        env = {name: value for name, value in os.environ.items() if not name.startswith("FERRULE_")}
        package = self.source / "bindings" / "node"
        run("npm", "install", "--prefix", folder, "--offline", "--no-audit", "--no-fund", package, env=env)
        for name in ("consumer.cjs", "consumer.mjs"):
            shutil.copy(CONSUMER / name, folder)
            output = run("node", folder / name, f"pipe:{self.socket()}", env=env)
            # npm links the folder or copies it, as its version and settings have it.
            self.expect_words(output, package, folder / "node_modules")

    def socket(self) -> Path:
        """A path that is short enough for a socket, wherever the build is."""
        folder = Path(tempfile.mkdtemp(prefix="ferrule-"))
        atexit.register(shutil.rmtree, folder)
        return folder / "s"

    def expect_words(self, output: str, *places: Path) -> None:
        """What the consumers in Python and Node print: version, echoed message, where the package is."""
        version, echoed, where = output.rstrip("\n").split("\n")
        inside = {place.resolve() for place in places} & set(Path(where).resolve().parents)
        if version != self.version or echoed != "hello" or not inside:
            raise SystemExit(f"the consumer said {output!r}")

    def contents(self) -> None:
        headers = {str(path.relative_to(self.source / "capi/include"))
                   for path in (self.source / "capi/include").rglob("*.h")}  # fmt: skip
        include = self.prefix / "include"
        installed = {str(path.relative_to(include)) for path in include.rglob("*") if path.is_file()}
        if installed != headers:
            raise SystemExit(f"headers that differ from the source tree's: {sorted(installed ^ headers)}")
        links = {path.name: path.resolve().name for path in self.library.glob("libferrule.so*")}
        if links.get("libferrule.so") != links.get("libferrule.so.1") or len(links) != 3:
            raise SystemExit(f"the library's links are wrong: {links}")
        for path in self.prefix.rglob("*"):
            if path.suffix in (".cmake", ".pc") and str(self.source) in path.read_text(encoding="utf-8"):
                raise SystemExit(f"{path} names the source tree")
        print(f"{len(installed)} headers, {sorted(links)}")

    def subdirectory(self) -> None:
        program = self.cmake("subdirectory", f"-DFERRULE_SOURCE={self.source}")
        self.expect(program)
        run("cmake", "--install", program.parent, "--prefix", fresh(self.work / "nothing"))
        if list((self.work / "nothing").iterdir()):
            raise SystemExit("a project that only uses the library installs it too")


def main(arguments: list[str]) -> int:
    if len(arguments) != 4:
        print(__doc__)
        return 2
    check = Check(Path(arguments[1]), Path(arguments[2]), Path(arguments[3]))
    modes = {
        "install": check.install,
        "package": check.package,
        "static": check.static,
        "pkgconfig": check.pkgconfig,
        "pkgconfig_static": check.pkgconfig_static,
        "absolute": check.absolute,
        "version": check.refuse_version,
        "command": check.command,
        "pip": check.pip,
        "npm": check.npm,
        "contents": check.contents,
        "subdirectory": check.subdirectory,
    }
    modes[arguments[0]]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
