"""What the tests between languages share."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import PEERS, Program  # noqa: E402

Start = Callable[..., Program]


@pytest.fixture(scope="session")
def tables(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Tables of what came out: shown at the end, and left for ./dev test to show."""
    found: list[str] = []
    yield found
    text = "\n".join(found)
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n\n{text}")
    path = os.environ.get("FERRULE_TABLE")
    if path:
        Path(path).write_text(text, encoding="utf-8")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of a short name: pytest's own are too long for a socket file on some systems."""
    folder = Path(tempfile.mkdtemp(prefix="ferrule-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts programs, and ends them with the test."""
    programs: list[Program] = []

    def run(*command: str, **options: Any) -> Program:
        program = Program(command, **options)
        programs.append(program)
        return program

    yield run
    for program in reversed(programs):
        program.stop()


@pytest.fixture
def peer(start: Start) -> Start:
    """Starts the peer program of a language: peer("c", "listen", "echo")."""

    def run(language: str, *arguments: object) -> Program:
        return start(*PEERS[language], *map(str, arguments))

    return run
