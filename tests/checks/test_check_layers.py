"""The checker of the layers must fail where it should."""

import tempfile
import unittest
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import check_layers

TREE = {
    "capi/include/ferrule.h": '#include "ferrule/status.h"\n',
    "capi/include/ferrule/status.h": "#include <stdint.h>\n",
    "capi/src/loop.c": '#include "loop.h"\n',
    "capi/CMakeLists.txt": "set(FERRULE_HEADERS\n    ferrule.h\n    ferrule/status.h)\ntarget_sources(x PRIVATE src/loop.c)\n",
    "impl/loop.h": "#include <uv.h>\n",
    "impl/uvcompat.h": "#if UV_VERSION_HEX\n#endif\n",
    "impl/os.h": "#include <sys/uio.h>\n",
    "impl/os_posix.c": '#include <unistd.h>\n#include "os.h"\n',
    "impl/frame.h": '#include "ferrule/status.h"\n',
    "impl/frame.c": '#include "frame.h"\n',
    "impl/address.c": "#include <string.h>\n",
    "impl/status.c": "#include <errno.h>\n/* UV_VERSION_ in a comment */\n",
    "impl/CMakeLists.txt": "target_sources(x PRIVATE frame.c address.c status.c os_posix.c)\n",
    "tests/c/test_frame.c": "",
    "tests/c/CMakeLists.txt": "set(T test_frame)\n",
}


class CheckLayers(unittest.TestCase):
    def problems(self, changes: Mapping[str, Optional[str]]) -> list[str]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder).resolve()
            for name, text in {**TREE, **changes}.items():
                if text is not None:
                    path = root / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text, encoding="utf-8")
            return [problem for check in check_layers.CHECKS for problem in check(root)]

    def with_file(self, name: str, text: Optional[str]) -> str:
        """The problems of the tree when one file is another; None takes it away."""
        return " | ".join(self.problems({name: text}))

    def test_good(self) -> None:
        self.assertEqual(self.problems({}), [])

    def test_public_header_with_uv(self) -> None:
        self.assertIn(
            "status.h includes <uv.h>", self.with_file("capi/include/ferrule/status.h", "#include <uv.h>\n")
        )

    def test_pure_part_with_uv(self) -> None:
        self.assertIn("impl/frame.c is pure", self.with_file("impl/frame.c", "#include <uv.h>\n"))

    def test_pure_part_with_uv_through_another(self) -> None:
        self.assertIn("impl/frame.c is pure", self.with_file("impl/frame.c", '#include "loop.h"\n'))

    def test_pure_part_with_uvcompat(self) -> None:
        self.assertIn("impl/address.c is pure", self.with_file("impl/address.c", '#include "uvcompat.h"\n'))

    def test_pure_part_with_system_header(self) -> None:
        self.assertIn("impl/frame.c is pure", self.with_file("impl/frame.c", "#include <unistd.h>\n"))

    def test_pure_part_missing(self) -> None:
        self.assertIn("impl/status.c is missing", self.with_file("impl/status.c", None))

    def test_version_macro(self) -> None:
        text = self.with_file("impl/loop.h", "#if UV_VERSION_HEX > 1\n#endif\n")
        self.assertIn("impl/loop.h looks at libuv's version", text)

    def test_system_header(self) -> None:
        self.assertIn(
            "capi/src/loop.c includes <fcntl.h>", self.with_file("capi/src/loop.c", "#include <fcntl.h>\n")
        )

    def test_source_not_listed(self) -> None:
        self.assertIn("impl: pool is not listed", self.with_file("impl/pool.c", ""))

    def test_header_not_listed(self) -> None:
        text = self.with_file("capi/include/ferrule/new.h", "")
        self.assertIn("capi/include: ferrule/new.h is not listed", text)

    def test_test_not_listed(self) -> None:
        self.assertIn("tests/c: test_pool is not listed", self.with_file("tests/c/test_pool.c", ""))

    def test_listed_in_a_comment_only(self) -> None:
        text = self.with_file("tests/c/CMakeLists.txt", "# test_frame\n")
        self.assertIn("tests/c: test_frame is not listed", text)

    def test_listed_but_not_there(self) -> None:
        self.assertIn("lists test_frame, which is not there", self.with_file("tests/c/test_frame.c", None))


if __name__ == "__main__":
    unittest.main()
