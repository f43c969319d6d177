"""The page of errors must follow from the sources, and a change in any of them must show."""

import shutil
import tempfile
import unittest
from pathlib import Path

import headers
import make_errors

SOURCES = ["capi/include/ferrule/status.h", make_errors.NUMBERS, make_errors.PYTHON, make_errors.NODE]


class MakeErrors(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        for name in SOURCES:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(headers.ROOT / name, self.root / name)

    def change(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text(encoding="utf-8")
        self.assertIn(old, text)
        path.write_text(text.replace(old, new), encoding="utf-8")

    def line(self, status: str) -> str:
        (line,) = [
            line for line in make_errors.make(self.root).splitlines() if line.startswith(f"| `{status}` | -")
        ]
        return line

    def test_line(self) -> None:
        self.assertEqual(
            self.line("FER_ECONNRESET"),
            "| `FER_ECONNRESET` | -23 | the peer went away without an orderly end | ECONNRESET "
            "| `ResetError` (`ConnectionResetError`) | `ECONNRESET` |",
        )
        self.assertIn(
            "| EBADF | `ClosedError` (`ValueError`) | `ERR_FERRULE_CLOSED` |", self.line("FER_ECLOSED")
        )
        self.assertIn("| ENXIO | `Error` | `ENXIO` |", self.line("FER_ENXIO"))
        self.assertIn("| EIO | `Error` | `EUNKNOWN` |", self.line("FER_EUNKNOWN"))

    def test_every_status_has_a_line(self) -> None:
        page = make_errors.make(self.root)
        for name, _, _ in headers.statuses():
            self.assertIn(f"\n| `{name}` | ", page)

    def test_another_text(self) -> None:
        self.change(SOURCES[0], '"in use"', '"taken"')
        self.assertIn("| taken |", self.line("FER_EBUSY"))

    def test_another_number(self) -> None:
        self.change(make_errors.NUMBERS, "{FER_ECLOSED, EBADF}", "{FER_ECLOSED, ENOTCONN}")
        self.assertIn("| ENOTCONN |", self.line("FER_ECLOSED"))

    def test_another_class(self) -> None:
        self.change(
            make_errors.PYTHON, "class KindError(Error, TypeError)", "class KindError(Error, LookupError)"
        )
        self.assertIn("`KindError` (`LookupError`)", self.line("FER_EKIND"))

    def test_another_code(self) -> None:
        self.change(make_errors.NODE, "'FER_EKIND', ", "")
        self.assertIn("| `EKIND` |", self.line("FER_EKIND"))

    def test_a_source_of_another_form(self) -> None:
        self.change(make_errors.PYTHON, "_CLASSES: dict", "_OTHERS: dict")
        with self.assertRaises(ValueError):
            make_errors.make(self.root)


if __name__ == "__main__":
    unittest.main()
