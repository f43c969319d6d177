"""The blocks of the pages must be found as they stand there."""

import tempfile
import unittest
from pathlib import Path

import doc_blocks

PAGE = """# Page

<!-- file: a/b.c -->
```c
int x;
```

```sh
ls
```

<!-- run -->
```python
print(1)

print(2)
```

It prints this:

<!-- prints -->
```text
1
2
```
"""


class DocBlocks(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.page = Path(folder.name) / "page.md"
        self.page.write_text(PAGE, encoding="utf-8")

    def test_blocks(self) -> None:
        found = [
            (block.line, block.language, block.promise, block.text) for block in doc_blocks.blocks(self.page)
        ]
        self.assertEqual(
            found,
            [
                (4, "c", "file: a/b.c", "int x;\n"),
                (8, "sh", "", "ls\n"),
                (13, "python", "run", "print(1)\n\nprint(2)\n"),
                (22, "text", "prints", "1\n2\n"),
            ],
        )

    def test_programs(self) -> None:
        (program,) = doc_blocks.programs(self.page, "python")
        self.assertEqual((program.block.line, program.prints), (13, "1\n2\n"))
        self.assertEqual(doc_blocks.programs(self.page, "c"), [])

    def test_what_a_program_prints_is_not_that_of_one_before_it(self) -> None:
        self.page.write_text(
            PAGE + "\n<!-- run -->\n```c\nint y;\n```\n\n<!-- prints -->\n```text\n3\n```\n", encoding="utf-8"
        )
        for language, prints in (("python", "1\n2\n"), ("c", "3\n")):
            (program,) = doc_blocks.programs(self.page, language)
            self.assertEqual(program.prints, prints)

    def test_vector_bytes(self) -> None:
        self.assertEqual(doc_blocks.vector_bytes("01 00  HELLO, one\n0a\n\n  ff 00   end\n"), "01000aff00")


if __name__ == "__main__":
    unittest.main()
