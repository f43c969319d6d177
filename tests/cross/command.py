"""Running the command `ferrule`."""

import subprocess
from typing import Any

from conftest import Start
from harness import COMMAND, PATIENCE, Program


def run(*arguments: object, stdin: bytes = b"", **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """Runs the command to its end."""
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        input=stdin,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
        **options,
    )


def listening(start: Start, command: str, address: str, *options: object, **more: Any) -> Program:
    """A server that listens."""
    server = start(COMMAND, command, *map(str, options), address, **more)
    assert server.complaint().startswith("ferrule: listening at ")
    return server
