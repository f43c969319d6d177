"""The gate of the binary interface must fail where it should. Small libraries are compiled for it."""

import contextlib
import io
import os
import shutil
import subprocess
import tempfile
import unittest
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable
from unittest import mock

import abi
import headers

HEADER = '#define FER_API __attribute__((visibility("default")))\nFER_API int fer_one(int a);\n'
SOURCE = '#include "ferrule.h"\nint fer_one(int a) { return a; }\n'
MAP = "FERRULE_1.0 { global: fer_*; local: *; };\n"


class Abi(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        include = self.folder / "capi" / "include"
        (include / "ferrule").mkdir(parents=True)
        self.header(HEADER)
        for name, value in {
            "SYMBOLS": self.folder / "symbols.txt",
            "BASELINE": self.folder / "baseline.abi",
            "SUPPRESSIONS": self.folder / "suppressions.ini",
        }.items():
            self.enterContext(mock.patch.object(abi, name, value))
        self.enterContext(mock.patch.object(headers, "INCLUDE", include))
        self.enterContext(mock.patch.object(headers, "ROOT", self.folder))
        functions = headers.all_functions
        self.enterContext(mock.patch.object(headers, "all_functions", lambda: functions(include)))
        (self.folder / "suppressions.ini").write_text("# none\n", encoding="utf-8")

    def enterContext(self, context: Any) -> Any:  # unittest has it from Python 3.11 on
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def header(self, text: str) -> None:
        (self.folder / "capi" / "include" / "ferrule.h").write_text(text, encoding="utf-8")

    def build(self, source: str = SOURCE, soname: str = abi.SONAME, options: Sequence[str] = ()) -> str:
        (self.folder / "source.c").write_text(source, encoding="utf-8")
        (self.folder / "source.map").write_text(MAP, encoding="utf-8")
        path = str(self.folder / "libferrule.so")
        subprocess.run(
            [os.environ.get("CC", "cc"), "-g", "-shared", "-fPIC", "-o", path, str(self.folder / "source.c"),
             f"-I{self.folder / 'capi' / 'include'}", f"-Wl,-soname,{soname}",
             f"-Wl,--version-script={self.folder / 'source.map'}", *options],
            check=True,
        )  # fmt: skip
        return path

    def run_quietly(self, function: Callable[..., int], *arguments: object) -> tuple[int, str]:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            status = function(*arguments)
        return status, output.getvalue()

    def accept_symbols(self, *names: str) -> None:
        (self.folder / "symbols.txt").write_text(
            "".join(f"{name}@@FERRULE_1.0\n" for name in names), encoding="utf-8"
        )

    def test_symbols_as_expected(self) -> None:
        self.accept_symbols("fer_one")
        self.assertEqual(self.run_quietly(abi.check_symbols, self.build())[0], 0)

    def test_new_symbol(self) -> None:
        self.accept_symbols("fer_one")
        self.header(HEADER + "FER_API int fer_two(void);\n")
        status, output = self.run_quietly(
            abi.check_symbols, self.build(SOURCE + "int fer_two(void) { return 2; }\n")
        )
        self.assertEqual(status, 1)
        self.assertIn("+fer_two@@FERRULE_1.0", output)

    def test_missing_symbol(self) -> None:
        self.accept_symbols("fer_one", "fer_two")
        status, output = self.run_quietly(abi.check_symbols, self.build())
        self.assertEqual(status, 1)
        self.assertIn("-fer_two@@FERRULE_1.0", output)

    def test_exported_but_not_declared(self) -> None:
        self.accept_symbols("fer_hidden", "fer_one")
        library = self.build(SOURCE + "int fer_hidden(void) { return 2; }\n")
        status, output = self.run_quietly(abi.check_symbols, library)
        self.assertEqual(status, 1)
        self.assertIn("+fer_hidden", output)

    @unittest.skipUnless(shutil.which("abidw"), "abidw is not installed")
    def test_changed_type(self) -> None:
        header = (
            HEADER
            + "typedef struct fer_pair { int a; } fer_pair;\nFER_API int fer_sum(const fer_pair *pair);\n"
        )
        source = SOURCE + "int fer_sum(const fer_pair *pair) { return pair->a; }\n"
        self.header(header)
        self.assertEqual(self.run_quietly(abi.accept, self.build(source)), (0, mock.ANY))
        self.assertEqual(self.run_quietly(abi.check_diff, self.build(source))[0], 0)
        self.header(header.replace("int a;", "int a; int b;"))
        status, output = self.run_quietly(abi.check_diff, self.build(source))
        self.assertEqual(status, 1)
        self.assertIn("fer_pair", output)
        self.header(header)
        self.assertEqual(self.run_quietly(abi.check_diff, self.build(source))[0], 0)

    @unittest.skipUnless(shutil.which("abidw"), "abidw is not installed")
    def test_private_type_may_change(self) -> None:
        header = HEADER + "typedef struct fer_loop fer_loop;\nFER_API int fer_size(const fer_loop *loop);\n"
        # A private header of the same name as the public one, as impl/ has them.
        body = '#line 1 "impl/ferrule.h"\nstruct fer_loop { int a; %s };\n'
        body += '#line 9 "source.c"\nint fer_size(const fer_loop *loop) { return loop->a; }\n'
        self.header(header)
        self.assertEqual(self.run_quietly(abi.accept, self.build(SOURCE + body % "")), (0, mock.ANY))
        self.assertEqual(
            self.run_quietly(abi.check_diff, self.build(SOURCE + body % "long b;")), (0, mock.ANY)
        )
        self.assertNotIn("long", (self.folder / "baseline.abi").read_text(encoding="utf-8"))

    @unittest.skipUnless(shutil.which("abidw"), "abidw is not installed")
    def test_parameter_of_another_private_type(self) -> None:
        types = "typedef struct fer_loop fer_loop;\ntypedef struct fer_pipe fer_pipe;\n"
        body = "struct fer_loop { int a; };\nstruct fer_pipe { int a; };\n%s { return thing->a; }\n"
        first = "int fer_size(const fer_loop *thing)"
        second = "int fer_size(const fer_pipe *thing)"
        self.header(f"{HEADER}{types}FER_API {first};\n")
        self.assertEqual(self.run_quietly(abi.accept, self.build(SOURCE + body % first)), (0, mock.ANY))
        self.header(f"{HEADER}{types}FER_API {second};\n")
        self.assertEqual(self.run_quietly(abi.check_diff, self.build(SOURCE + body % second))[0], 1)

    def test_machine_paths(self) -> None:
        self.assertEqual(
            abi.machine_paths("<a path='/home/somebody/x.c' name='/' b='include/x.h'/>"),
            ["/home/somebody/x.c"],
        )

    def test_soname_and_needed(self) -> None:
        status, output = self.run_quietly(abi.check_link, self.build(soname="libferrule.so.2"))
        self.assertEqual(status, 1)
        self.assertIn("the soname is", output)
        self.assertIn("libuv is not among", output)

    def test_forbidden_calls(self) -> None:
        source = SOURCE + "#include <stdlib.h>\nint fer_two(void) { abort(); }\n"
        status, output = self.run_quietly(abi.check_link, self.build(source))
        self.assertEqual(status, 1)
        self.assertIn("the library calls abort", output)


if __name__ == "__main__":
    unittest.main()
