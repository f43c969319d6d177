"""The examples in the docstrings of the package do what they say."""

from __future__ import annotations

import asyncio
import doctest
import importlib
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import ferrule
import pytest
from ferrule import sync
from support import PYTHON_SOURCES

MODULES = sorted(path.stem for path in (PYTHON_SOURCES / "ferrule").glob("*.py") if path.stem != "__init__")

# What nobody should have to guess how to use.
WITH_EXAMPLES: list[Any] = [
    ferrule.Channel,
    ferrule.Loop,
    ferrule.Pipe,
    ferrule.Timer,
    ferrule.UDP,
    ferrule.connect,
    ferrule.error,
    ferrule.ipc.make_ipc_channel,
    ferrule.listen,
    ferrule.open_pipe_connection,
    ferrule.pair,
    ferrule.parent,
    ferrule.spawn,
    sync.Channel,
    sync.listen,
    sync.spawn,
]


def examples_of(module: ModuleType) -> list[doctest.DocTest]:
    """Those of a module, with the names that they take for granted."""
    names = {
        **vars(module),
        "asyncio": asyncio,
        "ferrule": ferrule,
        "sync": sync,
        "sys": sys,
        "threading": threading,
    }
    found = doctest.DocTestFinder().find(module, globs=names)
    return [test for test in found if test.examples]


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of the runtime directory, and of files, are for each test alone."""
    tmp_path.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    told: list[str] = []
    for test in examples_of(importlib.import_module(f"ferrule.{name}")):
        runner.run(test, out=told.append)
    assert not runner.summarize(verbose=False).failed, "".join(told)


def test_what_has_an_example() -> None:
    for member in WITH_EXAMPLES:
        assert doctest.DocTestParser().get_examples(member.__doc__), f"{member} has no example"
