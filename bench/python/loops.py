"""The event loop of a program: asyncio's own or uvloop's."""

import asyncio
from collections.abc import Coroutine
from typing import Any


def run(name: str, main: Coroutine[Any, Any, None]) -> None:
    if name == "uvloop":
        import uvloop

        uvloop.run(main)
    else:
        asyncio.run(main)
