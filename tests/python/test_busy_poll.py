"""Looking for answers before going to sleep: everything is as without, only sooner."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import ferrule
import pytest
from children import ECHO, SYNC_ECHO, python
from ferrule import _ferrule, sync

TIMES: list[dict[str, Any]] = [{}, {"busy_poll": 0}, {"busy_poll": 0.00005}, {"busy_poll": 0.001}]
MANY = 100_000

# Where there is one only, the peer runs while this side does not look.
two_processors = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one processor"
)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Whether there was something each time that a host lingered."""
    linger = _ferrule.ferpy_loop_linger
    seen: list[bool] = []

    def noting(loop: Any) -> int | None:
        result = linger(loop)
        seen.append(result is not None)
        return result

    monkeypatch.setattr(_ferrule, "ferpy_loop_linger", noting)
    yield seen


async def exchange(channel: ferrule.Channel, number: int) -> None:
    await channel.send(b"%d" % number)
    assert await channel.recv() == b"%d" % number


@pytest.mark.parametrize("options", TIMES, ids=str)
async def test_questions_and_answers_and_timers_beside_them(options: dict[str, Any]) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    async with ferrule.spawn(*python(SYNC_ECHO), **options) as child:
        ticking = asyncio.ensure_future(tick())
        number = 0
        while number < 500 or ticks < 10:
            await exchange(child.channel, number)
            number += 1
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)


@two_processors
async def test_answers_are_found_by_looking(found: list[bool]) -> None:
    async with ferrule.spawn(*python(ECHO), busy_poll=0.001) as child:
        for number in range(MANY):
            await exchange(child.channel, number)
            if found.count(True) >= 10:
                break
        assert found.count(True) >= 10


async def test_none_is_looked_for_when_told_so(found: list[bool]) -> None:
    async with ferrule.spawn(*python(SYNC_ECHO), busy_poll=0) as child:
        for number in range(1000):
            await exchange(child.channel, number)
    assert True not in found


@two_processors
async def test_who_is_woken_by_another_task_looks_too(found: list[bool]) -> None:
    """The task that asks is not the one that receives: it runs a turn of the asyncio loop later."""
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(channel: ferrule.Channel) -> None:
        async for message in channel:
            await answers.put(message)

    async with ferrule.spawn(*python(SYNC_ECHO), busy_poll=0.001) as child:
        receiving = asyncio.ensure_future(receive(child.channel))
        for number in range(MANY):
            await child.channel.send(b"%d" % number)
            assert await answers.get() == b"%d" % number
            if found.count(True) >= 10:
                break
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
    assert found.count(True) >= 10


async def test_callbacks_of_the_host_have_their_turn() -> None:
    """However many answers are found by looking: each callback runs before many more are."""
    host = asyncio.get_running_loop()
    async with ferrule.spawn(*python(SYNC_ECHO), busy_poll=0.001) as child:
        for number in range(1000):
            await exchange(child.channel, number)
        for _ in range(20):
            called = asyncio.Event()
            host.call_soon(called.set)
            for number in range(MANY):
                await exchange(child.channel, number)
                if called.is_set():
                    break
            assert called.is_set()


async def test_two_ends_on_one_loop() -> None:
    one, other = await ferrule.pair(busy_poll=0.001)

    async def echo() -> None:
        async for message in other:
            await other.send(message)
        await other.close()

    echoing = asyncio.ensure_future(echo())
    for number in range(1000):
        await exchange(one, number)
    await one.close()
    await echoing


@pytest.mark.parametrize("options", TIMES, ids=str)
def test_blocking(options: dict[str, Any]) -> None:
    with sync.spawn(*python(SYNC_ECHO), **options) as child:
        for number in range(500):
            child.channel.send(b"%d" % number)
            assert child.channel.recv() == b"%d" % number
        # No answer comes: the time that was given is kept.
        with pytest.raises(ferrule.error.TimedOutError):
            child.channel.recv(0.002)
