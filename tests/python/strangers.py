"""Helpers: processes of another user."""

from __future__ import annotations

import asyncio
import os
import textwrap
import threading
from typing import Callable, TypeVar

import pytest
from support import Child

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# The modules are imported before the folder that they are in may be out of reach.
_BECOME = f"""
import asyncio, ctypes, encodings.idna, os, socket, stat, sys, threading
import ferrule
from ferrule import sync
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
"""


def as_nobody(code: str, *arguments: str) -> Child:
    """Another Python process, of another user, that runs a piece of code."""
    return Child(_BECOME + textwrap.dedent(code), *arguments)


T = TypeVar("T")


async def in_a_thread(function: Callable[[], T]) -> T:
    """Call what waits for another process, which may wait for this loop."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            done = function()
        except Exception as failure:
            loop.call_soon_threadsafe(result.set_exception, failure)
        else:
            loop.call_soon_threadsafe(result.set_result, done)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        return await result
    finally:
        thread.join()
