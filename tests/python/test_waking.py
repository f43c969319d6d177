"""Tasks that a turn of the library's loop wakes, which run right after it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Generator
from typing import Any

import ferrule
import pytest
from ferrule import error
from support import message, raw_peer


async def test_each_in_its_order_and_with_its_context(address: str) -> None:
    name: contextvars.ContextVar[int] = contextvars.ContextVar("name", default=-1)
    order: list[tuple[int, bytes]] = []

    async def receive(number: int) -> None:
        name.set(number)
        received = await channel.recv()
        order.append((name.get(), received))
        assert asyncio.current_task() is tasks[number]
        name.set(number + 100)
        await asyncio.sleep(0)
        assert name.get() == number + 100

    async with raw_peer(address) as (raw, channel):
        tasks = [asyncio.ensure_future(receive(number)) for number in range(5)]
        await asyncio.sleep(0)
        raw.sendall(b"".join(message(b"%d" % number) for number in range(5)))
        await asyncio.gather(*tasks)
    assert order == [(number, b"%d" % number) for number in range(5)]
    assert name.get() == -1


async def test_one_that_is_woken_and_closes_everything(address: str) -> None:
    async with raw_peer(address) as (raw, channel):

        async def receive_and_abort() -> bytes:
            received = await channel.recv()
            channel.abort()
            return received

        first = asyncio.ensure_future(receive_and_abort())
        others = [asyncio.ensure_future(channel.recv()) for _ in range(3)]
        await asyncio.sleep(0)
        raw.sendall(message(b"one") + message(b"two"))
        assert await first == b"one"
        for other in others:
            with pytest.raises(error.ClosedError):
                await other


async def test_one_that_is_woken_and_waits_again(address: str) -> None:
    one, other = await ferrule.pair()

    async def echo() -> None:
        async for received in other:
            await other.send(received)

    echoing = asyncio.ensure_future(echo())
    for number in range(50):
        await one.send(b"%d" % number)
        assert await one.recv() == b"%d" % number
    await asyncio.gather(one.close(), echoing)
    await other.close()


def test_what_a_woken_task_lets_through() -> None:
    """SystemExit ends the asyncio loop, as in any callback of its; the others are not forgotten."""

    async def main() -> None:
        one, other = await ferrule.pair()
        ends.extend((one, other))

        async def raise_it() -> None:
            await other.recv()
            raise SystemExit(7)

        tasks.append(asyncio.ensure_future(raise_it()))
        tasks.append(asyncio.ensure_future(other.recv()))
        await asyncio.sleep(0)
        one.cork()
        await one.send_many([b"one", b"two"])
        one.uncork()
        await asyncio.sleep(60)

    ends: list[ferrule.Channel] = []
    tasks: list[asyncio.Future[Any]] = []
    loop = asyncio.new_event_loop()
    running = loop.create_task(main())
    with pytest.raises(SystemExit):
        loop.run_until_complete(running)
    assert loop.run_until_complete(tasks[1]) == b"two"
    with pytest.raises(SystemExit):
        tasks[0].result()

    async def end() -> None:
        running.cancel()
        for channel in ends:
            await channel._abandon()

    loop.run_until_complete(end())
    loop.close()


async def test_a_cancelled_receive_says_why(address: str) -> None:
    async with raw_peer(address) as (_, channel):
        task = asyncio.ensure_future(channel.recv())
        await asyncio.sleep(0)
        assert "waiting" in repr(task)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        assert raised.value.args in ((), ("enough",))


async def test_a_task_of_python(address: str) -> None:
    """Not the one of C, which goes another way about futures that are not asyncio's own."""
    from asyncio import tasks

    make: Any = getattr(tasks, "_PyTask")  # noqa: B009
    async with raw_peer(address) as (raw, channel):
        task = make(channel.recv(), loop=asyncio.get_running_loop())
        await asyncio.sleep(0)
        raw.sendall(message(b"one"))
        assert await task == b"one"
        task = make(channel.recv(), loop=asyncio.get_running_loop())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        task = make(asyncio.wait_for(channel.recv(), 0.01), loop=asyncio.get_running_loop())
        with pytest.raises(asyncio.TimeoutError):
            await task


def test_another_loop_in_the_same_thread() -> None:
    loops = [asyncio.new_event_loop(), asyncio.new_event_loop()]
    one, other = loops[0].run_until_complete(ferrule.pair())
    with pytest.raises(error.ThreadError):
        loops[1].run_until_complete(other.recv())
    assert not other._receivers

    async def end() -> None:
        await asyncio.gather(one.send(b"x"), other.recv())
        await asyncio.gather(one.close(), other.close())

    loops[0].run_until_complete(end())
    for loop in loops:
        loop.close()


def test_nobody_runs_the_task(address: str) -> None:
    """A coroutine that is stepped by hand, outside of any task."""

    async def main() -> None:
        async with raw_peer(address) as (raw, channel):
            stepped: Generator[Any, None, bytes] = channel.recv().__await__()
            next(stepped)
            raw.sendall(message(b"one") + message(b"two"))
            while not channel._messages:
                await asyncio.sleep(0)
            with pytest.raises(StopIteration) as stopped:
                next(stepped)
            assert stopped.value.value == b"one"
            assert await channel.recv() == b"two"

    asyncio.run(main())
