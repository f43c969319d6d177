"""What one large message costs: ferrule_large.py serve|drive PATH SIZE, as bench/ferrule_large.c has it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import ferrule
from task import now, ready

SMALL = b"question"


def status_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def reset_peak() -> int:
    """Have the most that is resident counted from now on; how much it is now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return status_bytes("VmRSS:")


def result(size: int, seconds: float, before: int, peak: int) -> None:
    print(json.dumps({"bytes": size, "seconds": seconds, "peak": peak - before}), flush=True)


async def serve(path: str, size: int) -> None:
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def on_client(channel: ferrule.Channel) -> None:
        try:
            await channel.recv()
            before = reset_peak()
            await channel.send(SMALL)
            started = now()
            message = await channel.recv()
            seconds, peak = now() - started, status_bytes("VmHWM:")
            if len(message) != size or message[:1] != b"a" or message[-1:] != b"z":
                sys.exit("bench: not the message that was sent")
            await channel.send(SMALL)
            async for _ in channel:
                sys.exit("bench: one message too many")
            result(size, seconds, before, peak)
            ended.set_result(None)
        except BaseException as error:
            ended.set_exception(error)

    async with ferrule.listen("pipe:" + path, on_client):
        ready()
        await ended


async def drive(path: str, size: int) -> None:
    large = b"a" + bytes(size - 2) + b"z"
    async with ferrule.connect("pipe:" + path) as channel:
        await channel.send(SMALL)
        await channel.recv()
        before = reset_peak()
        started = now()
        await channel.send(large)
        await channel.recv()
        seconds, peak = now() - started, status_bytes("VmHWM:")
    result(size, seconds, before, peak)


def main() -> None:
    side, path, size = sys.argv[1:]
    asyncio.run((serve if side == "serve" else drive)(path, int(size)))


main()
