"""The sidecar of main.mjs: counts primes, tells how far it is, and lets itself be told to stop.

{"id": 1, "below": 100} asks for a number, and {"cancel": 1} takes that back. The answers are {"id": 1, "done": 0.5}, and in the
end {"id": 1, "count": 25} or {"id": 1, "failed": "why"}.
"""

from __future__ import annotations

import signal

# Ctrl-C reaches all processes of a terminal. This one ends when its channel does, from the first instant on.
signal.signal(signal.SIGINT, signal.SIG_IGN)

import asyncio  # noqa: E402
import json  # noqa: E402
import math  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402

import ferrule  # noqa: E402

SEGMENT = 1 << 19


def sieve(start: int, stop: int, divisors: list[int]) -> bytearray:
    """A byte for each number from start up to stop: 1 for those that have none of the divisors but themselves."""
    flags = bytearray(b"\1") * (stop - start)
    for divisor in divisors:
        first = max(divisor * divisor, -(-start // divisor) * divisor) - start
        flags[first::divisor] = bytes(len(range(first, stop - start, divisor)))
    return flags


def primes(below: int) -> list[int]:
    """The primes below a small number."""
    if below <= 2:
        return []
    flags = sieve(0, below, primes(math.isqrt(below - 1) + 1))
    return [number for number in range(2, below) if flags[number]]


async def count(channel: ferrule.Channel, number: int, below: int) -> None:
    """Do a job. Between two segments others have their turn: other jobs, and the order to stop."""

    async def tell(**what: Any) -> None:
        await channel.send(json.dumps({"id": number, **what}).encode())

    try:
        divisors = primes(math.isqrt(below - 1) + 1)
        found = 0
        for start in range(2, below, SEGMENT):
            stop = min(start + SEGMENT, below)
            found += sieve(start, stop, divisors).count(1)
            await tell(done=stop / below)
            await asyncio.sleep(0)
        await tell(count=found)
    except ConnectionError:
        raise  # There is nobody to tell.
    except Exception as problem:
        await tell(failed=f"{type(problem).__name__}: {problem}")


async def main() -> None:
    jobs: dict[int, asyncio.Task[None]] = {}
    async with ferrule.parent() as channel:
        try:
            async for message in channel:
                order = json.loads(message)
                if "cancel" not in order:
                    jobs[order["id"]] = asyncio.ensure_future(count(channel, order["id"], order["below"]))
                elif order["cancel"] in jobs:
                    jobs.pop(order["cancel"]).cancel()
                jobs = {number: job for number, job in jobs.items() if not job.done()}
        finally:
            for job in jobs.values():
                job.cancel()
            await asyncio.gather(*jobs.values(), return_exceptions=True)


try:
    asyncio.run(main())
except ConnectionError:
    sys.exit(1)  # The program that this is the sidecar of has died.
