"""Helpers: what children of these tests do."""

from __future__ import annotations

import sys

ECHO = """
import asyncio, ferrule, os, sys

async def main():
    async with ferrule.parent(max_handles=4) as channel:
        while True:
            try:
                message = await channel.recv()
            except ferrule.EndOfStream:
                break
            await channel.send(b"".join([message, *(os.read(handle.detach(), 100) for handle in message.handles)]))

asyncio.run(main())
"""

SYNC_ECHO = """
from ferrule import sync

with sync.parent() as channel:
    for message in channel:
        channel.send(message)
"""


def python(code: str, *arguments: str) -> tuple[str, ...]:
    """A program, and its arguments, that runs a piece of code."""
    return (sys.executable, "-c", code, *arguments)
