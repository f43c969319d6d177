"""The pages about Python: their programs run, they name everything, and what they say of errors holds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import ferrule
import pytest
import support
from ferrule import error, sync

sys.path.insert(0, str(support.ROOT / "scripts"))
import doc_blocks  # noqa: E402

DOCS = support.ROOT / "docs"
PACKAGE = str(Path(ferrule.__file__).resolve().parents[1])
PAGE = DOCS / "python.md"
PROGRAMS = [
    program
    for page in (PAGE, DOCS / "from-pyuv.md", DOCS / "pipes.md", DOCS / "channels.md", DOCS / "server.md")
    for program in doc_blocks.programs(page, "python")
]


def test_there_are_programs() -> None:
    assert len(PROGRAMS) >= 5


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: f"line{program.block.line}")
def test_program(program: doc_blocks.Program, tmp_path: Path) -> None:
    """It ends with 0, without a warning, and prints what the page says."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    source = tmp_path / "program.py"
    source.write_text(program.block.text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(source)],
        cwd=tmp_path,
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime), "PYTHONPATH": PACKAGE},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    # How long a step took says something about the machine alone.
    printed = re.sub(r"^Executing <.*> took \d+\.\d+ seconds\n", "", done.stdout, flags=re.MULTILINE)
    assert (done.returncode, printed) == (0, program.prints)


@pytest.mark.parametrize(
    "thing",
    [
        ferrule,
        ferrule.Channel,
        ferrule.Server,
        ferrule.Loop,
        ferrule.Pipe,
        ferrule.TCP,
        ferrule.UDP,
        ferrule.Timer,
        ferrule.PipeServer,
        ferrule.Async,
        sync,
        sync.Channel,
        sync.Server,
        sync.Child,
        ferrule.Child,
        ferrule.ChannelStats,
        ferrule.Credentials,
        ferrule.Message,
        ferrule.ReceivedHandle,
        ferrule.ipc,
        ferrule.ipc.IPCChannel,
    ],
)
def test_page_names_everything(thing: object) -> None:
    text = PAGE.read_text(encoding="utf-8")
    known = (
        {*dir(bytes), *dir(tuple)} if isinstance(thing, type) and issubclass(thing, (bytes, tuple)) else ()
    )
    names = [name for name in getattr(thing, "__all__", dir(thing)) if not name.startswith("_")]
    names = [name for name in names if name not in known]
    assert names
    # Types for annotations, and what the package itself calls at the interpreter's end.
    left_out = {"Address", "Allow", "ClientConnected", "Handler", "Options", "PipeName"}
    missing = [name for name in names if name not in left_out and not re.search(rf"\b{name}\b", text)]
    assert not missing


def test_page_names_every_option() -> None:
    text = PAGE.read_text(encoding="utf-8")
    missing = [name for name in ferrule.Options.__annotations__ if f"| `{name}` |" not in text]
    assert not missing


def test_classes_of_the_errors() -> None:
    """docs/errors.md names the class of each status, and the built-in one that it is too."""
    lines = (DOCS / "errors.md").read_text(encoding="utf-8").splitlines()
    checked = 0
    for line in lines:
        found = re.match(r"\| `FER_\w+` \| (-\d+) \|.*\| `(\w+)`(?: \(`(\w+)`\))? \| `\w+` \|$", line)
        if found:
            number, own, built_in = found.groups()
            failure = error.from_status(int(number))
            assert type(failure).__name__ == own
            also = {base.__name__ for base in type(failure).__mro__} - {
                "OSError",
                "Exception",
                "BaseException",
            }
            assert (built_in or own) in also
            checked += 1
    assert checked == len(ferrule.errno.errorcode) - 1
