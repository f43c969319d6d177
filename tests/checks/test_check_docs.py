"""The checker of the pages must fail where it should."""

import tempfile
import unittest
from pathlib import Path

import check_docs

TREE = {
    "capi/include/ferrule/status.h": (
        '#define FER_STATUS_MAP(X) X(FER_OK, 0, "success") X(FER_EINVAL, -1, "invalid argument")\n'
        "FER_API int fer_one(void);\n"
    ),
    "README.md": "# Read\n\n[errors](docs/errors.md#the-list-of-fer_ok) and [up](#read), [net](https://example.org/x)\n\n"
    "<!-- file: a.c -->\n```c\nint a;\nint b;\n```\n\n<!-- part of: a.c -->\n```c\nint b;\n```\n\n"
    "<!-- vector: one -->\n```text\n01 02  two bytes\n03\n```\n\n<!-- run -->\n```c\nint c;\n```\n",
    "a.c": "int a;\nint b;\n",
    "tests/vectors/frames.json": '{"vectors": [{"name": "one", "hex": "010203"}]}',
    "docs/errors.md": (
        "# The list of `FER_OK`\n\n| FER_OK | 0 | success |\n| FER_EINVAL | -1 | invalid argument |\n\n"
        "`fer_one()` and the `fer_loop_*` functions.\n"
    ),
}


class CheckDocs(unittest.TestCase):
    def problems(self, name: str = "README.md", old: str = "", new: str = "") -> str:
        self.assertIn(old, TREE[name])
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for path, text in TREE.items():
                (root / path).parent.mkdir(parents=True, exist_ok=True)
                if path == name and old:
                    text = text.replace(old, new)
                (root / path).write_text(text, encoding="utf-8")
            return " | ".join(problem for check in check_docs.CHECKS.values() for problem in check(root))

    def test_good(self) -> None:
        self.assertEqual(self.problems(), "")

    def test_function_without_page(self) -> None:
        self.assertIn("no page names fer_one", self.problems("docs/errors.md", "fer_one()", "it"))

    def test_function_that_does_not_exist(self) -> None:
        self.assertIn("names fer_two, which", self.problems("README.md", "# Read\n", "# Read\n`fer_two()`\n"))

    def test_status_that_does_not_exist(self) -> None:
        self.assertIn(
            "names FER_ENOPE, which", self.problems("README.md", "# Read\n", "# Read\n`FER_ENOPE`\n")
        )

    def test_status_missing(self) -> None:
        self.assertIn(
            "lacks FER_EINVAL", self.problems("docs/errors.md", "| FER_EINVAL | -1 | invalid argument |", "")
        )

    def test_status_with_another_value(self) -> None:
        self.assertIn("FER_EINVAL is -1", self.problems("docs/errors.md", "-1", "-11"))

    def test_status_with_another_text(self) -> None:
        self.assertIn("FER_EINVAL is -1", self.problems("docs/errors.md", "invalid argument", "wrong"))

    def test_broken_link(self) -> None:
        self.assertIn("which is not there", self.problems("README.md", "errors.md#", "error.md#"))

    def test_broken_anchor(self) -> None:
        self.assertIn("no such heading", self.problems("README.md", "(#read)", "(#write)"))

    def test_block_unlike_its_file(self) -> None:
        self.assertIn("is not what a.c says", self.problems("a.c", "int b", "long b"))
        self.assertIn("is not what a.c says", self.problems("README.md", "int a;\nint b", "int a;\n\nint b"))

    def test_block_of_no_file(self) -> None:
        self.assertIn(
            "repeats b.c, which is not there", self.problems("README.md", "part of: a", "part of: b")
        )

    def test_block_unlike_its_vector(self) -> None:
        self.assertIn("has other bytes", self.problems("README.md", "01 02  ", "01 03  "))

    def test_block_of_no_vector(self) -> None:
        self.assertIn("the vector two, which", self.problems("README.md", "vector: one", "vector: two"))

    def test_program_in_a_language_that_is_not_run(self) -> None:
        self.assertIn(
            "in 'sh', which no test runs", self.problems("README.md", "run -->\n```c", "run -->\n```sh")
        )

    def test_unknown_promise(self) -> None:
        self.assertIn("“ran”, which means nothing", self.problems("README.md", "!-- run", "!-- ran"))


if __name__ == "__main__":
    unittest.main()
