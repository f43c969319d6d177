"""The commands of README.md do what it says, as a person would type them; the page of this folder is whole."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import BUILD, PATIENCE, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
(SERVER,) = re.findall(r"^(build/dev/bin/ferrule echo \S+)$", README, re.MULTILINE)
CLIENTS = dict(re.findall(r"^\*\*(\w+)\*\*: `(.*)`$", README, re.MULTILINE))


def here(command: str) -> str:
    """A command of the page, with the programs of this build."""
    return command.replace("build/dev", str(BUILD))


@pytest.fixture
def environment(place: Path) -> dict[str, str]:
    # The page's own settings must be enough.
    kept = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "FERRULE_NODE_ADDON")
    }
    return {**kept, "XDG_RUNTIME_DIR": str(place)}


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(["sh", "-c", f"exec {here(SERVER)}"], cwd=ROOT, env=environment)
    yield
    ended = process.poll()
    process.terminate()
    process.wait(timeout=PATIENCE)
    assert ended is None, "the server ended by itself"


def test_three_languages() -> None:
    assert sorted(CLIENTS) == ["C", "Node", "Python"]


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("language", sorted(CLIENTS))
def test_client(language: str, environment: dict[str, str]) -> None:
    command = here(CLIENTS[language])
    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello\n", "")


def test_the_page_of_this_folder_lists_its_tests() -> None:
    """Also those that were added since it was written."""
    folder = ROOT / "tests" / "cross"
    page = (folder / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"`(test_\w+\.py)`", page)
    assert sorted(listed) == sorted(path.name for path in folder.glob("test_*.py"))
