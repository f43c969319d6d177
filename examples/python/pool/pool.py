"""Tasks done by worker processes, in any language. A worker that dies is replaced, and its task is done again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Union

import ferrule

# So many workers may die of one task. One that cannot even start ends it all at once.
ATTEMPTS = 3
# Seconds that a worker has to start, on a busy machine.
START = 30.0
# Seconds that a worker which has closed its channel has to exit.
PATIENCE = 5.0

Question = Union[bytes, bytearray, memoryview]


class TaskFailed(Exception):
    """A task that all its workers died of."""


async def run_tasks(
    count: int,
    make: Callable[[int], Question],
    take: Callable[[int, bytes], None],
    *,
    command: Sequence[str],
    size: int,
    on_start: Callable[[int], None],
    on_lost: Callable[[int, str], None],
) -> None:
    """Do the tasks from 0 to count - 1. When this is done, has failed or is cancelled, no worker is left.

    make: gives what a worker is sent for a task.
    take: gets what a worker answers.
    command: what a worker is; it sends one answer for each message.
    size: how many workers.
    on_start, on_lost: told the number of a worker that is there, or has died, and how.
    """
    tasks = iter(range(count))  # All take from the same.

    async def employ() -> None:
        """One worker after the other; the next takes on the task that the last one died of."""
        task = next(tasks, None)
        deaths = 0
        while task is not None:
            worker = await ferrule.spawn(*command, handshake_timeout=START)
            on_start(worker.pid)
            try:
                async with worker:  # A worker that is stopped or hangs is killed, too.
                    while task is not None:
                        take(task, await ask(worker, make(task)))
                        task = next(tasks, None)
                        deaths = 0
            except ConnectionError:
                how = describe(worker.returncode)
                on_lost(worker.pid, how)
                deaths += 1
                if deaths == ATTEMPTS:
                    raise TaskFailed(f"task {task}: {deaths} workers died of it, the last {how}") from None

    employed = [asyncio.ensure_future(employ()) for _ in range(min(size, count))]
    try:
        await asyncio.gather(*employed)
    finally:
        # The first failure ends the others.
        for one in employed:
            one.cancel()
        await asyncio.wait(employed)


async def ask(worker: ferrule.Child, question: Question) -> bytes:
    """One task at a time: then the two sides never both wait for the other to read."""
    try:
        await worker.channel.send(question)
        return await worker.channel.recv()
    except ConnectionError:
        # It is about to exit, and its exit code says why.
        await asyncio.wait({asyncio.ensure_future(worker.wait())}, timeout=PATIENCE)
        raise


def describe(returncode: int | None) -> str:
    if returncode is not None and returncode < 0:
        return f"was killed by signal {-returncode}"
    return f"exited with code {returncode}"
