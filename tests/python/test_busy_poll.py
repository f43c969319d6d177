"""Looking for answers before going to sleep: everything is as without, only sooner."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import ferrule
import pytest
from children import SYNC_ECHO, python
from ferrule import _ferrule, sync
from support import message, raw_peer

TIMES: list[dict[str, Any]] = [{}, {"busy_poll": 0}, {"busy_poll": 0.00005}, {"busy_poll": 0.001}]
MANY = 10_000


class Peer:
    """The raw end of a channel. It answers just before the host lingers, so that looking finds the answer."""

    def __init__(self, raw: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found = 0
        self._raw = raw
        self._linger = _ferrule.ferpy_loop_linger
        raw.setblocking(False)
        monkeypatch.setattr(_ferrule, "ferpy_loop_linger", self._answer_and_linger)

    def _answer(self) -> None:
        try:
            if self._raw.recv(1 << 16):
                self._raw.sendall(message(b"answer"))
        except BlockingIOError:
            pass  # Nothing was asked.

    def _answer_and_linger(self, loop: Any) -> int | None:
        self._answer()
        result = self._linger(loop)
        self.found += result is not None
        return result

    async def answer_others(self) -> None:
        """What is asked by who does not linger after it."""
        while True:
            await asyncio.sleep(0.001)
            self._answer()


async def end(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def exchange(channel: ferrule.Channel, number: int) -> None:
    await channel.send(b"%d" % number)
    assert await channel.recv() == b"%d" % number


@pytest.mark.parametrize("ways", ["one task", "two tasks"])
async def test_answers_are_found_by_looking(address: str, monkeypatch: pytest.MonkeyPatch, ways: str) -> None:
    """Also when the task that asks is not the one that receives: it runs a turn of the asyncio loop later."""
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive() -> None:
        async for received in channel:
            await answers.put(received)

    async with raw_peer(address, busy_poll=0.001) as (raw, channel):
        peer = Peer(raw, monkeypatch)
        tasks = [asyncio.ensure_future(peer.answer_others())]
        take = channel.recv
        if ways == "two tasks":
            tasks.append(asyncio.ensure_future(receive()))
            take = answers.get
        for _ in range(MANY):
            await channel.send(b"question")
            assert await take() == b"answer"
            if peer.found >= 10:
                break
        await end(*tasks)
    assert peer.found >= 10


async def test_none_is_looked_for_when_told_so(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_peer(address, busy_poll=0) as (raw, channel):
        peer = Peer(raw, monkeypatch)
        answering = asyncio.ensure_future(peer.answer_others())
        for _ in range(200):
            await channel.send(b"question")
            assert await channel.recv() == b"answer"
        await end(answering)
    assert peer.found == 0


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
        await end(ticking)


async def test_callbacks_of_the_host_have_their_turn() -> None:
    """However many answers are found by looking."""
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
        async for received in other:
            await other.send(received)
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
