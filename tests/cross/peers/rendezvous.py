"""The rendezvous program in Python, on the module that it is told: ferrule.ipc, or aea's own. ../README.md describes it."""

import asyncio
import importlib
import os
import sys
import threading
from typing import Any

from common import contents, expand, say

TIMEOUT = 20.0


def make(module: Any, words: list[str]) -> Any:
    """One side, made as its arguments say."""
    if words[0] == "make":
        return module.TCPSocketChannel() if words[1] == "tcp" else module.PosixNamedPipeChannel()
    client = module.PosixNamedPipeChannelClient if "/" in words[1] else module.TCPSocketChannelClient
    return client(words[1], words[2])


async def echo(side: Any) -> int:
    count = 0
    while True:
        message = await side.read()
        if message is None:
            return count
        await side.write(message)
        count += 1


async def ping(side: Any, sizes: str) -> int:
    messages = expand(sizes)
    for number, (size, _) in enumerate(messages):
        await side.write(contents(number, size))
        found = await side.read()
        assert found == contents(number, size), f"message {number} of {size} bytes"
    return len(messages)


async def run() -> None:
    module = importlib.import_module(sys.argv[1])
    words = sys.argv[2:]
    side = make(module, words)
    action = words[2] if words[0] == "make" else words[3]
    if words[0] == "make":
        say(f"at {side.in_path} {side.out_path}")
    assert await side.connect(timeout=TIMEOUT), "nobody came"
    count = await (echo(side) if action == "echo" else ping(side, words[-1]))
    await side.close()
    say(f"ok {count}")


def end_with_input() -> None:
    """The test that started this program is gone."""
    sys.stdin.read()
    os._exit(3)


threading.Thread(target=end_with_input, daemon=True).start()
asyncio.run(run())
